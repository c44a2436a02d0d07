package main

import (
	"encoding"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/calends/calends/jobs/secret"
	"github.com/calends/calends/pricing"
)

// setting is what may stand at a place of the configuration file: a mapping with the
// names below, a list, a plain value that fits, or several of them. It is read off
// the types that the file is decoded into, so that the two cannot disagree.
type setting struct {
	want  string // for people
	fits  func(*yaml.Node) bool
	below map[string]setting // "*" is any name
	each  *setting           // of a list
	// secret: what stands here by mistake may be a secret, and is not repeated.
	secret bool
}

// wanted says what fits a plain type.
var wanted = map[reflect.Kind]string{
	reflect.String: "a text", reflect.Int: "a whole number", reflect.Bool: "true or false",
}

// settingOf reads a type.
func settingOf(t reflect.Type) setting {
	plain := setting{fits: func(n *yaml.Node) bool {
		return n.Kind == yaml.ScalarNode && n.Decode(reflect.New(t).Interface()) == nil
	}}
	isText := reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
	ownWay := reflect.PointerTo(t).Implements(reflect.TypeFor[yaml.Unmarshaler]())
	switch {
	case t.Kind() == reflect.Pointer:
		return settingOf(t.Elem())
	case t == reflect.TypeFor[time.Duration]():
		plain.want = "a time with its unit, such as 30s"
	case t == reflect.TypeFor[configMonth]():
		plain.want = "a month, such as 2026-10"
	case isText:
		plain.want = "a number"
	case t == reflect.TypeFor[secret.Source]():
		return setting{below: belowOf(t), want: "where the secret is, as {env: NAME} or {file: PATH}", secret: true}
	case t.Kind() == reflect.Struct:
		var names []string
		for field := range fields(t) {
			names = append(names, field.Tag.Get("yaml"))
		}
		s := setting{below: belowOf(t), want: "a mapping of " + list(names)}
		if ownWay {
			s.want, s.fits = "an address, or a mapping with url", plain.fits
		}
		return s
	case t.Kind() == reflect.Map:
		each := settingOf(t.Elem())
		return setting{below: map[string]setting{"*": each}, want: "a mapping of names, to " + each.want + " each"}
	case t.Kind() == reflect.Slice:
		each := settingOf(t.Elem())
		s := setting{each: &each, want: "a list of " + each.want, secret: each.secret}
		if ownWay { // one stands for a list of one
			s.below, s.want = each.below, each.want+", or a list of such"
		}
		return s
	default:
		plain.want = wanted[t.Kind()]
	}
	return plain
}

// belowOf are the settings of a struct's fields.
func belowOf(t reflect.Type) map[string]setting {
	below := make(map[string]setting)
	for field := range fields(t) {
		below[field.Tag.Get("yaml")] = settingOf(field.Type)
	}
	return below
}

// fields are those that the file may name.
func fields(t reflect.Type) func(func(reflect.StructField) bool) {
	return func(yield func(reflect.StructField) bool) {
		for _, field := range reflect.VisibleFields(t) {
			if name := field.Tag.Get("yaml"); name != "" && name != "-" && field.IsExported() && !yield(field) {
				return
			}
		}
	}
}

// list joins names as people do.
func list(names []string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1]
}

// check refuses what has no meaning, in a person's words. A setting that is misspelt
// would otherwise silently not hold.
func (s setting) check(path string, node *yaml.Node) error {
	if node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	where := path
	if where != "" {
		where += ": "
	}
	switch {
	case node.Tag == "!!null":
		return nil // nothing is set
	case node.Kind == yaml.MappingNode && s.below != nil:
		return s.checkKeys(where, node)
	case node.Kind == yaml.MappingNode:
		return fmt.Errorf("line %d: %sit is a mapping: want %s", node.Line, where, s.want)
	case node.Kind == yaml.SequenceNode && s.each != nil:
		for i, element := range node.Content {
			if err := s.each.check(fmt.Sprintf("%s %d", path, i+1), element); err != nil {
				return err
			}
		}
		return nil
	case node.Kind == yaml.SequenceNode:
		return fmt.Errorf("line %d: %sit is a list: want %s", node.Line, where, s.want)
	case s.secret:
		return fmt.Errorf("line %d: %sit is a text: want %s", node.Line, where, s.want)
	case s.fits == nil || !s.fits(node):
		return fmt.Errorf("line %d: %s%q: want %s", node.Line, where, node.Value, s.want)
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
		if !ok && s.secret {
			return fmt.Errorf("line %d: %sunknown key: want %s", key.Line, path, s.want)
		}
		if !ok {
			return fmt.Errorf("line %d: %sunknown key %q%s", key.Line, path, key.Value, suggest(key.Value, slices.Sorted(maps.Keys(s.below))))
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

// configMonth is a month of the file; the zero value is none.
type configMonth struct{ pricing.Month }

// MarshalYAML writes it as it is read.
func (m configMonth) MarshalYAML() (any, error) {
	if m.Month == 0 {
		return "", nil
	}
	return m.String(), nil
}

// UnmarshalYAML reads 2026-10.
func (m *configMonth) UnmarshalYAML(node *yaml.Node) (err error) {
	m.Month, err = pricing.ParseMonth(node.Value)
	return err
}
