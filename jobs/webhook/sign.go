package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/calends/calends/jobs/secret"
)

// prefix begins a secret that is written in base64, as the specification has it.
const prefix = "whsec_"

// The lengths of keys, in bytes. The specification has 24 to 64 for its own form; one
// who brings a passphrase of his own may use a shorter one, but not one that is guessed
// from a single message.
const (
	minKey    = 24
	maxKey    = 64
	minPhrase = 16
)

// keyOf gives the key of a secret: whsec_ and base64, or any other text for itself.
func keyOf(v secret.Value) ([]byte, error) {
	text := v.Reveal()
	encoded, ok := strings.CutPrefix(text, prefix)
	if !ok {
		if len(text) < minPhrase {
			return nil, fmt.Errorf("secret of %d characters: want at least %d, or whsec_ and base64", len(text), minPhrase)
		}
		return []byte(text), nil
	}
	key, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		// The decoder's own error tells where in the secret, which is no help.
		return nil, errors.New("secret: what follows whsec_ is not base64")
	}
	if len(key) < minKey || len(key) > maxKey {
		return nil, fmt.Errorf("secret of %d bytes: want %d to %d", len(key), minKey, maxKey)
	}
	return key, nil
}

// sign gives the header's value: a signature by each key.
func sign(keys [][]byte, id string, at time.Time, body []byte) string {
	var signatures []string
	for _, key := range keys {
		mac := hmac.New(sha256.New, key)
		_, _ = fmt.Fprintf(mac, "%s.%s.%s", id, stamp(at), body) // a hash takes everything
		signatures = append(signatures, "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	}
	return strings.Join(signatures, " ")
}

// stamp is an instant in a header: seconds since 1970.
func stamp(at time.Time) string { return strconv.FormatInt(at.Unix(), 10) }
