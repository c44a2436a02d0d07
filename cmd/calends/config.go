package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/calends/calends/jobs"
	"github.com/calends/calends/jobs/microsoft"
	"github.com/calends/calends/jobs/routine"
	"github.com/calends/calends/jobs/serve"
	"github.com/calends/calends/jobs/webhook"
	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pipeline/subscription"
)

// Config is calends.yaml. calends.example.yaml shows every key.
type Config struct {
	Bucket  BucketConfig `yaml:"bucket"`
	Workers int          `yaml:"workers"`
	// Policies hold for every partner that names no others.
	Policies PolicyConfig            `yaml:"policies"`
	Partners map[string]PolicyConfig `yaml:"partners"` // by PartnerId

	// Close is what a month waits for before it closes.
	Close jobs.Closing `yaml:"close"`
	// Schedule, Imports, Exports and Webhooks are the schedule's.
	Schedule  ScheduleConfig        `yaml:"schedule"`
	Imports   ImportConfig          `yaml:"imports"`
	Exports   []routine.Destination `yaml:"exports"`
	Webhooks  []webhook.Options     `yaml:"webhooks"`
	Microsoft microsoft.Options     `yaml:"microsoft"`
	// Serve is calends serve's.
	Serve serve.Options `yaml:"serve"`

	// resolved are the policies of Partners and, under "", those of all others.
	resolved map[string]subscription.Policies
}

// BucketConfig says where everything is kept: an address alone, or a mapping of it
// and the options of a store. Credentials have no place in a file that is copied
// about.
type BucketConfig struct {
	URL       string        `yaml:"url"`
	Endpoint  string        `yaml:"endpoint"`
	Region    string        `yaml:"region"`
	PathStyle *bool         `yaml:"pathStyle"`
	Checksums string        `yaml:"checksums"` // when_supported or when_required
	Timeout   time.Duration `yaml:"timeout"`   // such as 30s
}

// UnmarshalYAML reads either form.
func (b *BucketConfig) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind == yaml.ScalarNode {
		return node.Decode(&b.URL)
	}
	type plain BucketConfig // without this method
	return node.Decode((*plain)(b))
}

// options are those for opening the bucket of an address, which may be another
// than the file's: then the file's options mean another store and do not hold.
func (b BucketConfig) options(address string) bucket.Options {
	if address != b.URL {
		return bucket.Options{Address: address}
	}
	return bucket.Options{Address: address, Endpoint: b.Endpoint, Region: b.Region, PathStyle: b.PathStyle,
		Checksums: b.Checksums, Timeout: b.Timeout}
}

// PolicyConfig names policies. A blank one is as for everybody.
type PolicyConfig struct {
	Rounding string `yaml:"rounding"` // documented, unit or line
	MonthEnd string `yaml:"monthEnd"` // clamp or stick
	Windows  string `yaml:"windows"`  // enforce or trust
}

// defaultsOfConfig is what holds without a file.
func defaultsOfConfig() Config {
	return Config{resolved: map[string]subscription.Policies{"": {}}}
}

// policiesOf gives the policies of a partner.
func (c Config) policiesOf(partnerID string) subscription.Policies {
	if p, ok := c.resolved[partnerID]; ok {
		return p
	}
	return c.resolved[""]
}

// loadConfig reads a configuration file and checks it.
func loadConfig(name string) (Config, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return Config{}, fmt.Errorf("read configuration: %w", err)
	}
	c, err := parseConfig(data)
	if err != nil {
		return Config{}, fmt.Errorf("read configuration %s: %w", filepath.Base(name), err)
	}
	return c, nil
}

func parseConfig(data []byte) (Config, error) {
	var c Config
	var document yaml.Node
	if err := yaml.Unmarshal(data, &document); err != nil {
		return Config{}, err
	}
	if len(document.Content) > 0 {
		if err := settingOf(reflect.TypeFor[Config]()).check("", document.Content[0]); err != nil {
			return Config{}, err
		}
	}
	d := yaml.NewDecoder(bytes.NewReader(data))
	d.KnownFields(true)
	if err := d.Decode(&c); err != nil && !errors.Is(err, io.EOF) {
		return Config{}, err
	}
	return c, c.resolve()
}

// resolve turns names into policies.
func (c *Config) resolve() error {
	if b := c.Bucket; b.URL == "" && b != (BucketConfig{}) {
		return errors.New("bucket: url is missing; without it the other keys mean nothing")
	}
	if c.Workers < 0 {
		return fmt.Errorf("workers %d: want 1 or more; 0 is one a core", c.Workers)
	}
	everybody := PolicyConfig{Rounding: "documented", MonthEnd: "clamp", Windows: "enforce"}.but(c.Policies)
	policies, err := everybody.parse()
	if err != nil {
		return fmt.Errorf("policies: %w", err)
	}
	c.resolved = map[string]subscription.Policies{"": policies}
	for _, id := range slices.Sorted(maps.Keys(c.Partners)) {
		if c.resolved[id], err = everybody.but(c.Partners[id]).parse(); err != nil {
			return fmt.Errorf("partners: %s: %w", id, err)
		}
	}
	if err := c.Serve.Validate(); err != nil {
		return fmt.Errorf("serve: %w", err)
	}
	return c.checkSchedule()
}

// but puts the names that other gives over those of p.
func (p PolicyConfig) but(other PolicyConfig) PolicyConfig {
	for _, pair := range []struct{ mine, theirs *string }{
		{&p.Rounding, &other.Rounding}, {&p.MonthEnd, &other.MonthEnd}, {&p.Windows, &other.Windows},
	} {
		if *pair.theirs != "" {
			*pair.mine = *pair.theirs
		}
	}
	return p
}

func (p PolicyConfig) parse() (subscription.Policies, error) {
	return ledger.ParsePolicies(invoice.Policies{Rounding: p.Rounding, MonthEnd: p.MonthEnd, Windows: p.Windows})
}
