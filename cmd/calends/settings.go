package main

import (
	"fmt"
	"net/url"
	"slices"

	"go.yaml.in/yaml/v3"
)

// shown is what the configuration sets, by the names of its file, for who may see how the
// server was started. A secret stands there as in the file: by the variable or the file
// that has it. Of a webhook's address only the host is shown, since its path may be one.
func (c Config) shown() (map[string]any, error) {
	c.Webhooks = slices.Clone(c.Webhooks)
	for i, w := range c.Webhooks {
		c.Webhooks[i].URL = hostOf(w.URL)
	}
	data, err := yaml.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("settings: %w", err)
	}
	var all map[string]any
	if err := yaml.Unmarshal(data, &all); err != nil {
		return nil, fmt.Errorf("settings: %w", err)
	}
	withoutBlanks(all)
	return all, nil
}

func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

// withoutBlanks takes out what is not set.
func withoutBlanks(value any) (blank bool) {
	switch v := value.(type) {
	case nil:
		return true
	case string:
		return v == "" || v == "0s"
	case int:
		return v == 0
	case []any:
		for _, one := range v {
			withoutBlanks(one)
		}
		return len(v) == 0
	case map[string]any:
		for name, one := range v {
			if withoutBlanks(one) {
				delete(v, name)
			}
		}
		return len(v) == 0
	default:
		return false
	}
}
