package webhook

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/calends/calends/jobs/secret"
)

// DefaultTimeout is how long a receiver may take to answer.
const DefaultTimeout = 10 * time.Second

// Options are one webhook of the configuration:
//
//	webhooks:
//	  - url: https://billing.example.com/calends
//	    secret: {env: CALENDS_WEBHOOK_SECRET}
//	    on: [failed, waiting, parked]
//	    timeout: 10s
type Options struct {
	URL    string  `yaml:"url"`
	Secret Secrets `yaml:"secret"`
	// On are the types to send, without "run."; none means all.
	On []string `yaml:"on"`
	// Timeout is that of one sending, from the connection to the answer; 0 is DefaultTimeout.
	Timeout time.Duration `yaml:"timeout"`
	// PlainHTTP allows http to a host that is not this machine. Then whoever is on the
	// way reads the messages, though he cannot forge them.
	PlainHTTP bool `yaml:"plainHttp"`
}

// Secrets are what messages are signed with: one, or several while it is exchanged.
// Then each message carries a signature by each, and the receiver may know any of them.
type Secrets []secret.Source

// UnmarshalYAML reads a secret or a list of them.
func (s *Secrets) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind == yaml.SequenceNode {
		return node.Decode((*[]secret.Source)(s))
	}
	var one secret.Source
	if err := node.Decode(&one); err != nil {
		return err
	}
	*s = Secrets{one}
	return nil
}

// Validate refuses what cannot work. It does not read the secrets.
func (o Options) Validate() error {
	if _, err := o.parse(); err != nil {
		return err
	}
	if len(o.Secret) == 0 {
		return errors.New("secret is missing: a receiver could not tell our messages from anybody's")
	}
	for _, s := range o.Secret {
		if err := s.Validate(); err != nil {
			return fmt.Errorf("secret: %w", err)
		}
	}
	for _, name := range o.On {
		if _, ok := types[name]; !ok {
			return fmt.Errorf("on: %q: want %s", name, strings.Join(slices.Sorted(maps.Keys(types)), ", "))
		}
	}
	if o.Timeout < 0 || o.Timeout > time.Minute {
		return fmt.Errorf("timeout %s: want at most 1m", o.Timeout)
	}
	return nil
}

// Check reads the secrets and refuses what nothing can be signed with. lookup is
// [os.LookupEnv], but in tests.
func (o Options) Check(lookup func(name string) (string, bool)) error {
	_, err := o.keys(lookup)
	return err
}

func (o Options) keys(lookup func(name string) (string, bool)) ([][]byte, error) {
	var keys [][]byte
	for _, source := range o.Secret {
		value, err := source.Read(lookup)
		if err != nil {
			return nil, err
		}
		key, err := keyOf(value)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", source, err)
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// parse reads the address. Its errors name at most the host: tokens stand in paths
// and queries.
func (o Options) parse() (*url.URL, error) {
	u, err := url.Parse(o.URL)
	switch {
	case err != nil:
		return nil, errors.New("url: it cannot be read as an address")
	case u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "":
		return nil, errors.New("url: want https://host/path")
	case u.User != nil:
		return nil, fmt.Errorf("url: %s: user and password do not stand in an address; messages are known by their signature", u.Host)
	case u.Scheme == "http" && !o.PlainHTTP && !loopback(u.Hostname()):
		return nil, fmt.Errorf("url: %s: plain http is for this machine only: want https, or plainHttp: true", u.Host)
	}
	u.Fragment, u.RawFragment = "", ""
	return u, nil
}

func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}
