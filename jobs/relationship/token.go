package relationship

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// Token is what a link ends with: whose request it is, which of them, and the secret.
// It is shown once, and never logged.
type Token struct {
	CustomerID string
	Number     int
	secret     [secretBytes]byte
}

// secretBytes are as many as nobody guesses.
const secretBytes = 32

// secretMark begins every secret of ours, so that what must not be logged can be told.
const secretMark = "cal_"

var letters = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// newToken draws the secret of a request.
func newToken(customerID string, number int, random io.Reader) (Token, error) {
	t := Token{CustomerID: customerID, Number: number}
	if _, err := io.ReadFull(random, t.secret[:]); err != nil {
		return Token{}, fmt.Errorf("draw a secret: %w", err)
	}
	return t, nil
}

// Text is the token as it stands in a link.
func (t Token) Text() string {
	return base64.RawURLEncoding.EncodeToString([]byte(t.CustomerID)) + "." + strconv.Itoa(t.Number) + "." + secretMark + letters.EncodeToString(t.secret[:])
}

// String keeps the secret out of what is printed.
func (t Token) String() string {
	return fmt.Sprintf("request %d of customer %s", t.Number, t.CustomerID)
}

// GoString is String's.
func (t Token) GoString() string { return t.String() }

// Longest is how long the text of a token may be.
const Longest = 512

// ParseToken reads the end of a link. Errors: ErrLink.
func ParseToken(text string) (Token, error) {
	parts := strings.Split(text, ".")
	if len(text) > Longest || len(parts) != 3 {
		return Token{}, ErrLink
	}
	id, err1 := base64.RawURLEncoding.DecodeString(parts[0])
	number, err2 := strconv.ParseUint(parts[1], 10, 31)
	drawn, marked := strings.CutPrefix(parts[2], secretMark)
	secret, err3 := letters.DecodeString(drawn)
	if err1 != nil || err2 != nil || err3 != nil || !marked || len(id) == 0 || number == 0 || len(secret) != secretBytes {
		return Token{}, ErrLink
	}
	t := Token{CustomerID: string(id), Number: int(number)}
	copy(t.secret[:], secret)
	return t, nil
}

// sum is what is kept of the secret.
func (t Token) sum() string {
	sum := sha256.Sum256(t.secret[:])
	return hex.EncodeToString(sum[:])
}

// opens reports whether the secret is the one of the request, in the same time for
// every wrong one.
func (t Token) opens(r Record) bool {
	return subtle.ConstantTimeCompare([]byte(t.sum()), []byte(r.SecretSHA256)) == 1
}

// Path is where people find the page of a link; the token's text follows.
const Path = "/relationship-links/"

var secrets = regexp.MustCompile(secretMark + `[a-z2-7]+`)

// Redacted is a request's path, as it was sent, without the secret that may stand in it.
func Redacted(path string) string {
	plain, err := url.PathUnescape(path)
	if err != nil || !secrets.MatchString(plain) {
		return path
	}
	return secrets.ReplaceAllString(plain, secretMark+"***")
}
