// Package secret has the values that nobody may read: where they are kept, and a
// type that does not print them.
//
// A configuration names a Source, never the secret itself. It is read when it is
// needed, so that a file that was replaced is noticed without a restart:
//
//	secret: {env: CALENDS_WEBHOOK_SECRET}
//	secret: {file: /run/secrets/webhook}
package secret

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"go.yaml.in/yaml/v3"
)

// MaxSize is how many bytes a secret may have. More is probably another file.
const MaxSize = 64 << 10

// ErrMissing is a secret that is not where it should be, or is empty there.
var ErrMissing = errors.New("secret is missing")

// Source says where a secret is kept: in an environment variable or in a file, one
// of both. The zero Source is kept nowhere.
type Source struct {
	Env  string `yaml:"env" json:"env,omitempty"`   // name of the variable
	File string `yaml:"file" json:"file,omitempty"` // path; blank space around the secret is not part of it
}

// IsZero says that nothing is named.
func (s Source) IsZero() bool { return s == Source{} }

// Validate refuses a source that names nothing, or two places.
func (s Source) Validate() error {
	switch {
	case s.IsZero():
		return errors.New("it names no place: want env, the name of a variable, or file, a path")
	case s.Env != "" && s.File != "":
		return errors.New("it names two places: want env or file, not both")
	case strings.ContainsAny(s.Env, "= \t\n"):
		// Perhaps the secret itself, so it is not repeated here.
		return errors.New("env is not the name of a variable")
	}
	return nil
}

// String says where the secret is kept, for people.
func (s Source) String() string {
	switch {
	case s.Env != "":
		return "environment variable " + s.Env
	case s.File != "":
		return "file " + s.File
	}
	return "no place"
}

// Read fetches the secret. lookup is os.LookupEnv, but in tests. The errors name the
// place and never the value.
func (s Source) Read(lookup func(name string) (string, bool)) (Value, error) {
	if err := s.Validate(); err != nil {
		return Value{}, fmt.Errorf("read secret: %w", err)
	}
	text := ""
	if s.Env != "" {
		text, _ = lookup(s.Env)
	} else {
		var err error
		if text, err = readFile(s.File); err != nil {
			return Value{}, fmt.Errorf("read secret: %w", err)
		}
	}
	if text = strings.TrimSpace(text); text == "" {
		return Value{}, fmt.Errorf("%w: %s is empty or not there", ErrMissing, s)
	}
	if len(text) > MaxSize {
		return Value{}, fmt.Errorf("read secret: %s has more than %d bytes", s, MaxSize)
	}
	return Of(text), nil
}

func readFile(name string) (string, error) {
	f, err := os.Open(name)
	if errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("%w: %w", ErrMissing, err)
	}
	if err != nil {
		return "", err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, MaxSize+1))
	return string(data), err
}

// UnmarshalYAML reads {env: NAME} or {file: PATH}. A secret that stands in the
// configuration itself is refused without being repeated in the error, as the
// decoder's own message would.
func (s *Source) UnmarshalYAML(node *yaml.Node) error {
	want := "want {env: NAME} or {file: PATH}"
	if node.Kind != yaml.MappingNode {
		return fmt.Errorf("line %d: a secret does not stand in the configuration itself: %s", node.Line, want)
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		if value.Kind != yaml.ScalarNode {
			return fmt.Errorf("line %d: %s", value.Line, want)
		}
		switch key.Value {
		case "env":
			s.Env = value.Value
		case "file":
			s.File = value.Value
		default:
			return fmt.Errorf("line %d: unknown key of a secret: %s", key.Line, want)
		}
	}
	if err := s.Validate(); err != nil {
		return fmt.Errorf("line %d: secret: %w", node.Line, err)
	}
	return nil
}
