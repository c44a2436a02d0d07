package secret

import (
	"fmt"
	"io"
	"log/slog"
)

// hidden is what a secret looks like wherever it is printed.
const hidden = "***"

// Value is a secret. However it is printed, logged or encoded, as itself or inside
// something else, it comes out as three stars; only Reveal tells it. The zero Value is
// the empty secret.
type Value struct {
	// A function, since fmt looks into the unexported fields of what it prints, where
	// it asks no method: all that it finds here is an address.
	reveal func() string
}

// Of wraps a secret.
func Of(text string) Value { return Value{func() string { return text }} }

// Reveal tells the secret, to whoever must send or compute with it.
func (v Value) Reveal() string {
	if v.reveal == nil {
		return ""
	}
	return v.reveal()
}

// IsZero says that the secret is empty.
func (v Value) IsZero() bool { return v.Reveal() == "" }

// Format hides the value from every verb of fmt.
func (v Value) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, hidden) }

// String hides the value.
func (v Value) String() string { return hidden }

// MarshalText hides the value from JSON, YAML and the like.
func (v Value) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// LogValue hides the value from logs.
func (v Value) LogValue() slog.Value { return slog.StringValue(hidden) }
