package directory

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"strings"
	"time"

	"github.com/calends/calends/jobs/secret"
	"github.com/calends/calends/jobs/serve/access"
)

// Token is a record of a program's token. The token itself is kept nowhere.
type Token struct {
	Layout int    `json:"layout"`
	ID     string `json:"id"`
	Number int    `json:"number"`
	SHA256 string `json:"sha256"` // of the whole token
	Name   string `json:"name"`
	Rights
	Expires string `json:"expires"` // RFC 3339, UTC
	Made    Act    `json:"made"`
	Revoked *Act   `json:"revoked,omitempty"`
}

// Act says who did something when.
type Act struct {
	By string `json:"by"`
	At string `json:"at"` // RFC 3339, UTC
}

// Live reports whether the token still opens anything.
func (t Token) Live(now time.Time) bool { return t.refusal(now) == nil }

func (t Token) refusal(now time.Time) error {
	expires, err := time.Parse(time.RFC3339, t.Expires)
	switch {
	case t.Revoked != nil:
		return fmt.Errorf("%w: it was revoked", ErrToken)
	case err != nil:
		return fmt.Errorf("%w: its end cannot be read: %w", ErrToken, err)
	case !now.Before(expires):
		return fmt.Errorf("%w: it has expired", ErrToken)
	}
	return nil
}

// TokenPrefix is what all tokens begin with.
const TokenPrefix = "cal_"

// A token is cal_, its id, its secret of 256 bits, and a checksum by which a scanner, or
// whoever has copied only a part, knows that it is one.
const (
	idLength     = 16
	secretLength = 52
	sumLength    = 7
	tokenLength  = len(TokenPrefix) + idLength + secretLength + sumLength
)

var base = base32.StdEncoding.WithPadding(base32.NoPadding)

// mint makes a new token.
func mint() (id string, token secret.Value) {
	id = rand.Text()[:idLength]
	text := TokenPrefix + id + rand.Text() + rand.Text()
	return id, secret.Of(text + checksum(text))
}

func checksum(text string) string {
	var sum [4]byte
	binary.BigEndian.PutUint32(sum[:], crc32.ChecksumIEEE([]byte(text)))
	return base.EncodeToString(sum[:])
}

// ParseToken returns the id of a token and the hash by which it is kept. It asks
// nobody whether there is such a token. The error does not repeat it.
func ParseToken(text string) (id, sum string, err error) {
	if len(text) != tokenLength || !strings.HasPrefix(text, TokenPrefix) {
		return "", "", fmt.Errorf("%w: want %s and %d characters", ErrToken, TokenPrefix, tokenLength-len(TokenPrefix))
	}
	body, check := text[:tokenLength-sumLength], text[tokenLength-sumLength:]
	if strings.Trim(body[len(TokenPrefix):], "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") != "" || checksum(body) != check {
		return "", "", fmt.Errorf("%w: it was not copied right", ErrToken)
	}
	return text[len(TokenPrefix) : len(TokenPrefix)+idLength], hashOf(text), nil
}

func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

func checkToken(id string, number int, t Token) error {
	if t.Layout > Layout {
		return fmt.Errorf("layout %d, and this program knows %d: use a newer one", t.Layout, Layout)
	}
	if t.ID != id || t.Number != number {
		return fmt.Errorf("it says %s, number %d", t.ID, t.Number)
	}
	return nil
}

// Tokens returns the records of all tokens that can be read, by id.
func (d *Directory) Tokens(ctx context.Context) ([]Token, error) {
	s, err := d.state(ctx)
	if err != nil {
		return nil, err
	}
	return values(s.tokens), nil
}

// Token returns the record of a token, false if there is none.
func (d *Directory) Token(ctx context.Context, id string) (Token, bool, error) {
	s, err := d.state(ctx)
	if err != nil {
		return Token{}, false, err
	}
	r, ok := s.tokens[id]
	return r.value, ok, r.err
}

// CreateToken makes a token of the name, rights, end and maker of t, and returns it with
// its record. Nobody can be told it again.
func (d *Directory) CreateToken(ctx context.Context, t Token) (secret.Value, Token, error) {
	if _, err := d.renew(ctx); err != nil {
		return secret.Value{}, Token{}, err
	}
	id, token := mint()
	t.Layout, t.ID, t.Number, t.SHA256, t.Revoked = Layout, id, 1, hashOf(token.Reveal()), nil
	t.normalise()
	if err := put(ctx, d.bucket, keyOf(tokensPrefix, id, 1), t); err != nil {
		return secret.Value{}, Token{}, fmt.Errorf("write token %s: %w", id, err)
	}
	d.keepToken(t)
	return token, t, nil
}

// RevokeToken takes a token back. Doing it again changes nothing.
func (d *Directory) RevokeToken(ctx context.Context, id string, by Act) (Token, error) {
	s, err := d.renew(ctx)
	if err != nil {
		return Token{}, err
	}
	r, ok := s.tokens[id]
	if !ok || r.err != nil {
		return Token{}, cmp.Or(r.err, errors.New("revoke token: there is none"))
	}
	t := r.value
	if t.Revoked != nil {
		return t, nil
	}
	t.Number++
	t.Revoked = &by
	if err := put(ctx, d.bucket, keyOf(tokensPrefix, id, t.Number), t); err != nil {
		return Token{}, fmt.Errorf("revoke token %s: %w", id, err)
	}
	d.keepToken(t)
	return t, nil
}

func (d *Directory) keepToken(t Token) {
	d.change(func(s *state) {
		s.tokens = maps.Clone(s.tokens)
		s.tokens[t.ID] = record[Token]{number: t.Number, value: t}
	})
}

// Bearer returns the program that a token is of. A token ends with its maker: a user who
// is disabled has left none behind, nor has a token that was revoked. Errors: ErrToken.
func (d *Directory) Bearer(ctx context.Context, text string) (access.Principal, error) {
	id, sum, err := ParseToken(text)
	if err != nil {
		return access.Principal{}, err
	}
	s, err := d.state(ctx)
	if err != nil {
		return access.Principal{}, err
	}
	r, ok := s.tokens[id]
	if !ok {
		// Another server may have made it a moment ago; but an unknown one must not
		// cost a reading of the bucket each time.
		return access.Principal{}, fmt.Errorf("%w: it is not known", ErrToken)
	}
	if r.err != nil {
		return access.Principal{}, r.err
	}
	t := r.value
	if subtle.ConstantTimeCompare([]byte(t.SHA256), []byte(sum)) != 1 {
		return access.Principal{}, fmt.Errorf("%w: it is not known", ErrToken)
	}
	if err := t.refusal(d.now()); err != nil {
		return access.Principal{}, err
	}
	if s.ended(t.Made.By) {
		return access.Principal{}, fmt.Errorf("%w: who made it is disabled or revoked", ErrToken)
	}
	return principal(access.TokenIDs+id, t.Name, t.Rights), nil
}

// ended reports whether a maker of tokens is one no more. What made whom cannot go round
// in a circle, since a maker was there before.
func (s *state) ended(maker string) bool {
	for {
		id, isToken := strings.CutPrefix(maker, access.TokenIDs)
		if !isToken {
			u, ok := s.users[maker]
			return ok && (u.err != nil || u.value.Disabled)
		}
		t, ok := s.tokens[id]
		if !ok || t.err != nil || t.value.Revoked != nil || t.value.Made.By == maker {
			return true
		}
		maker = t.value.Made.By
	}
}
