package serve

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"

	"github.com/calends/calends/jobs/serve/access/signin"
)

// Options say where the server listens and what it bears.
type Options struct {
	// Listen is a port of this machine, such as 8420, or host:port.
	Listen string `yaml:"listen"`
	// URL is how browsers reach the server, where a proxy stands before it: its scheme
	// and host.
	URL string `yaml:"url"`
	// Proxies are the addresses whose X-Forwarded-For is believed, such as 10.0.0.0/8.
	Proxies []string `yaml:"proxies"`
	TLS     TLS      `yaml:"tls"`
	// SignIn is the provider that people sign in at. Without it the server is for this
	// machine only.
	SignIn signin.Options `yaml:"signIn"`
	Limits Limits         `yaml:"limits"`
}

// TLS names PEM files. Without them the server speaks plain HTTP, for a proxy or this
// machine alone. They are read again when they change.
type TLS struct {
	Certificate string `yaml:"certificate"` // with the chain
	Key         string `yaml:"key"`
}

// Limits bound what one caller may ask, and all together.
type Limits struct {
	// PerSecond is how many requests a caller may make in a second, for long; Burst at
	// once. 0: 100 and 200.
	PerSecond int `yaml:"perSecond"`
	Burst     int `yaml:"burst"`
	// Together is how many requests may be under way. 0: 256.
	Together int `yaml:"together"`
}

// DefaultListen is where the server listens if nothing is said: this machine only.
const DefaultListen = "127.0.0.1:8420"

// The limits that hold where none are given.
const (
	defaultPerSecond = 100
	defaultBurst     = 200
	defaultTogether  = 256
)

// Validate refuses what could not work, and says what would.
func (o Options) Validate() error {
	if (o.TLS.Certificate == "") != (o.TLS.Key == "") {
		return errors.New("tls: certificate and key go together")
	}
	if o.Limits.PerSecond < 0 || o.Limits.Burst < 0 || o.Limits.Together < 0 {
		return errors.New("limits: want whole numbers above 0; 0 is the default")
	}
	if o.URL != "" {
		u, err := url.Parse(o.URL)
		if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.User != nil {
			return fmt.Errorf("url %q: want a scheme and a host, such as https://billing.example.com", o.URL)
		}
	}
	if !o.SignIn.IsZero() {
		if err := o.SignIn.Validate(); err != nil {
			return fmt.Errorf("signIn: %w", err)
		}
	}
	_, err := o.proxies()
	return err
}

func (o Options) proxies() ([]netip.Prefix, error) {
	var all []netip.Prefix
	for _, text := range o.Proxies {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			address, bad := netip.ParseAddr(text)
			if bad != nil {
				return nil, fmt.Errorf("proxies: %q: want an address or a range, such as 10.0.0.0/8", text)
			}
			prefix = netip.PrefixFrom(address, address.BitLen())
		}
		all = append(all, prefix)
	}
	return all, nil
}

// withDefaults fills in what is not said.
func (l Limits) withDefaults() Limits {
	for _, one := range []struct {
		value *int
		or    int
	}{{&l.PerSecond, defaultPerSecond}, {&l.Burst, max(defaultBurst, 2*l.PerSecond)}, {&l.Together, defaultTogether}} {
		if *one.value == 0 {
			*one.value = one.or
		}
	}
	return l
}

// IsLoopback reports whether an address is reached from this machine only.
func IsLoopback(a net.Addr) bool {
	tcp, ok := a.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}
