package main

import (
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// keysOf lists the keys that a setting knows, as paths. Names of one's own are *.
func keysOf(s setting, path string) (keys []string) {
	if s.each != nil && s.below == nil {
		return keysOf(*s.each, path)
	}
	if len(s.below) == 0 {
		return []string{path}
	}
	for name, below := range s.below {
		keys = append(keys, keysOf(below, strings.TrimPrefix(path+": "+name, ": "))...)
	}
	return keys
}

// shownKeys lists the keys of a document.
func shownKeys(node *yaml.Node, path string, s setting) (keys []string) {
	switch node.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(node.Content); i += 2 {
			name := node.Content[i].Value
			below, ok := s.below[name]
			if !ok {
				name, below = "*", s.below["*"]
			}
			keys = append(keys, shownKeys(node.Content[i+1], strings.TrimPrefix(path+": "+name, ": "), below)...)
		}
		return keys
	case yaml.SequenceNode:
		for _, element := range node.Content {
			keys = append(keys, shownKeys(element, path, *s.each)...)
		}
		return keys
	default:
		return []string{path}
	}
}

// The example shows every key that there is, and the times that hold without it.
func TestExampleConfigIsWhole(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../../calends.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var document yaml.Node
	if err := yaml.Unmarshal(data, &document); err != nil {
		t.Fatal(err)
	}
	s := settingOf(reflect.TypeFor[Config]())
	shown := shownKeys(document.Content[0], "", s)
	for _, key := range keysOf(s, "") {
		if !slices.Contains(shown, key) && !slices.Contains(notShown, key) {
			t.Errorf("the example does not show %s", key)
		}
	}
	config, err := parseConfig(data)
	if err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(config.Schedule.Jobs, defaultTicks) {
		t.Errorf("the example shows the times %v, want those that hold without it: %v", config.Schedule.Jobs, defaultTicks)
	}
}

// notShown are keys that stand in a comment, since another takes their place, or that
// are better not recommended.
var notShown = []string{
	"microsoft: certificate: env", "microsoft: certificate: file", "microsoft: secret: file", "microsoft: refreshToken: env",
	"webhooks: secret: file", "webhooks: plainHttp",
	"partners: *: monthEnd", "partners: *: windows",
	"serve: signIn: tenants: *", "serve: signIn: clientSecret: file",
}
