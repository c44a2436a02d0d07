package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

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
		if err := settings().check("", document.Content[0]); err != nil {
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
	return nil
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

// setting is what may stand at a place of the file: a mapping with the names below,
// a plain value that fits, or either.
type setting struct {
	want  string // for people
	fits  func(*yaml.Node) bool
	below map[string]setting // "*" is any name
}

func settings() setting {
	text := setting{want: "a text", fits: func(*yaml.Node) bool { return true }}
	policies := setting{want: "a mapping of rounding, monthEnd and windows",
		below: map[string]setting{"rounding": text, "monthEnd": text, "windows": text}}
	bucket := setting{want: "an address, or a mapping with url", fits: text.fits, below: map[string]setting{
		"url": text, "endpoint": text, "region": text, "checksums": text,
		"pathStyle": {want: "true or false", fits: func(n *yaml.Node) bool { return n.Decode(new(bool)) == nil }},
		"timeout":   {want: "a time with its unit, such as 30s", fits: func(n *yaml.Node) bool { return n.Decode(new(time.Duration)) == nil }},
	}}
	workers := setting{want: "a whole number", fits: func(n *yaml.Node) bool { _, err := strconv.Atoi(n.Value); return err == nil }}
	partners := setting{want: "a mapping of PartnerIds to their policies", below: map[string]setting{"*": policies}}
	return setting{want: "a mapping of bucket, partners, policies and workers",
		below: map[string]setting{"bucket": bucket, "workers": workers, "policies": policies, "partners": partners}}
}

// check refuses what has no meaning, in a person's words. A setting that is misspelt
// would otherwise silently not hold.
func (s setting) check(path string, node *yaml.Node) error {
	if node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	if path != "" {
		path += ": "
	}
	switch {
	case node.Tag == "!!null":
		return nil // nothing is set
	case node.Kind == yaml.MappingNode && s.below != nil:
		return s.checkKeys(path, node)
	case node.Kind == yaml.MappingNode:
		return fmt.Errorf("line %d: %sit is a mapping: want %s", node.Line, path, s.want)
	case node.Kind == yaml.SequenceNode:
		return fmt.Errorf("line %d: %sit is a list: want %s", node.Line, path, s.want)
	case s.fits == nil || !s.fits(node):
		return fmt.Errorf("line %d: %s%q: want %s", node.Line, path, node.Value, s.want)
	}
	return nil
}

func (s setting) checkKeys(path string, node *yaml.Node) error {
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		below, ok := s.below[key.Value]
		if !ok {
			below, ok = s.below["*"]
		}
		if !ok {
			return fmt.Errorf("line %d: unknown key %q%s", key.Line, key.Value, suggest(key.Value, slices.Sorted(maps.Keys(s.below))))
		}
		if err := below.check(path+key.Value, value); err != nil {
			return err
		}
	}
	return nil
}

// suggest names the known key that was probably meant, or all of them.
func suggest(name string, known []string) string {
	best, distance := "", len(name)/2+1
	for _, k := range known {
		if d := editDistance(strings.ToLower(name), strings.ToLower(k)); d < distance {
			best, distance = k, d
		}
	}
	if best != "" {
		return fmt.Sprintf("; did you mean %q?", best)
	}
	return "; known are " + strings.Join(known, ", ")
}

// editDistance counts the letters to insert, remove or replace.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replace := diagonal
			if a[i] != b[j] {
				replace++
			}
			diagonal = row[j+1]
			row[j+1] = min(replace, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
