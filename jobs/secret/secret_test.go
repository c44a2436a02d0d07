package secret

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

const tell = "hunter2-hunter2"

func environment(name string) (string, bool) {
	text, ok := map[string]string{"SET": tell, "SPACED": "\n " + tell + "\t\n", "EMPTY": "", "BLANK": " \n"}[name]
	return text, ok
}

func TestRead(t *testing.T) {
	t.Parallel()
	file := func(content string) string {
		name := filepath.Join(t.TempDir(), "secret")
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	for name, test := range map[string]struct {
		source Source
		want   string // "" is an error
		is     error
		says   string
	}{
		"a variable":                         {Source{Env: "SET"}, tell, nil, ""},
		"space around is no part":            {Source{Env: "SPACED"}, tell, nil, ""},
		"a file":                             {Source{File: file(tell)}, tell, nil, ""},
		"an editor's newline is no part":     {Source{File: file(tell + "\r\n")}, tell, nil, ""},
		"a file as large as may be":          {Source{File: file(strings.Repeat("x", MaxSize))}, strings.Repeat("x", MaxSize), nil, ""},
		"a variable that is not set":         {Source{Env: "OTHER"}, "", ErrMissing, "environment variable OTHER"},
		"a variable that is empty":           {Source{Env: "EMPTY"}, "", ErrMissing, "environment variable EMPTY"},
		"a variable of blanks":               {Source{Env: "BLANK"}, "", ErrMissing, "environment variable BLANK"},
		"a file that is not there":           {Source{File: filepath.Join(t.TempDir(), "none")}, "", ErrMissing, "none"},
		"a file that is empty":               {Source{File: file("")}, "", ErrMissing, "file "},
		"a folder":                           {Source{File: t.TempDir()}, "", nil, "directory"},
		"a file too large":                   {Source{File: file(strings.Repeat("x", MaxSize+1))}, "", nil, "more than 65536 bytes"},
		"no place":                           {Source{}, "", nil, "names no place"},
		"two places":                         {Source{Env: "SET", File: "x"}, "", nil, "names two places"},
		"a secret where its name should be":  {Source{Env: tell + " x"}, "", nil, "not the name of a variable"},
		"a setting where its name should be": {Source{Env: "SET=" + tell}, "", nil, "not the name of a variable"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := test.source.Read(environment)
			if test.want != "" {
				if err != nil || got.Reveal() != test.want {
					t.Fatalf("got %d bytes, %v", len(got.Reveal()), err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), test.says) || strings.Contains(err.Error(), tell) {
				t.Errorf("error %v: want one with %q and without the secret", err, test.says)
			}
			if errors.Is(err, ErrMissing) != (test.is != nil) {
				t.Errorf("error %v: missing is %v, want %v", err, errors.Is(err, ErrMissing), test.is != nil)
			}
		})
	}
}

func TestNothingPrintsAValue(t *testing.T) {
	t.Parallel()
	value := Of(tell)
	type open struct{ Secret Value }
	type closed struct{ secret Value }
	type deep struct{ m map[string]*closed }
	things := []any{value, &value, open{value}, &open{value}, closed{value}, &closed{value}, []Value{value},
		map[string]Value{"a": value}, deep{map[string]*closed{"a": {value}}}}
	for _, thing := range things {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T", "%10s"} {
			if s := fmt.Sprintf(verb, thing); strings.Contains(s, "hunter") || strings.Contains(s, fmt.Sprintf("%x", "hunter")) {
				t.Errorf("%s of %T tells the secret: %s", verb, thing, s)
			}
		}
		var log bytes.Buffer
		slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "secret", thing)
		slog.New(slog.NewTextHandler(&log, nil)).Info("x", "secret", thing)
		inJSON, _ := json.Marshal(thing)
		if strings.Contains(log.String()+string(inJSON), "hunter") {
			t.Errorf("%T is told: %s %s", thing, &log, inJSON)
		}
	}
	inYAML, err := yaml.Marshal(open{value})
	if err != nil || strings.Contains(string(inYAML), "hunter") {
		t.Errorf("YAML tells the secret: %s %v", inYAML, err)
	}
	if got := fmt.Sprint(value) + fmt.Sprint(Value{}); got != "******" {
		t.Errorf("printed %q, want stars for any secret, the empty one too", got)
	}
	if !(Value{}).IsZero() || value.IsZero() {
		t.Error("IsZero is wrong")
	}
}

func TestSourceInYAML(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Source{
		"{env: NAME}":       {Env: "NAME"},
		"file: /run/secret": {File: "/run/secret"},
	} {
		var got Source
		if err := yaml.Unmarshal([]byte(text), &got); err != nil || got != want {
			t.Errorf("%s: got %v, %v", text, got, err)
		}
	}
	for text, says := range map[string]string{
		tell:                         "does not stand in the configuration",
		"[" + tell + "]":             "does not stand in the configuration",
		"{value: " + tell + "}":      "unknown key",
		"{" + tell + ": x}":          "unknown key",
		"{env: [" + tell + "]}":      "want {env: NAME}",
		"{env: A, file: b}":          "two places",
		"{env: ''}":                  "no place",
		"{env: 'A=" + tell + "'}":    "not the name",
		"{env: 'whsec " + tell + "'": "", // not YAML
	} {
		var got Source
		err := yaml.Unmarshal([]byte(text), &got)
		if err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), tell) {
			t.Errorf("%s: error %v: want one with %q and without the secret", text, err, says)
		}
	}
}
