package signin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/cache"
	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/confidential"

	"github.com/calends/calends/jobs/secret"
)

// How old a refresh token may become, counted from the day it was issued.
const (
	StaleAfter = 90 * 24 * time.Hour
	WarnAfter  = 75 * 24 * time.Hour
)

// Age is how long ago the refresh token was stored, by its file's time. A token from
// the environment has no age that could be known.
func Age(s secret.Source, now time.Time) (age time.Duration, known bool, err error) {
	if s.File == "" {
		return 0, false, nil
	}
	info, err := os.Stat(s.File)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w: %w", secret.ErrMissing, err)
	}
	if err != nil {
		return 0, false, fmt.Errorf("age of the refresh token: %w", err)
	}
	return max(0, now.Sub(info.ModTime())), true, nil
}

// Warning says that a refresh token will soon be of no use, or is blank. One from the
// environment is not known to be old.
func Warning(s secret.Source, now time.Time) string {
	age, known, err := Age(s, now)
	switch {
	case err != nil || !known || age < WarnAfter:
		return ""
	case age >= StaleAfter:
		return fmt.Sprintf("the refresh token in %s has not been renewed for %d days: a person must sign in again", s, int(age/(24*time.Hour)))
	}
	return fmt.Sprintf("the refresh token in %s has not been renewed for %d days: it ends on its 90th day", s, int(age/(24*time.Hour)))
}

// home is the account under which the refresh token is put into MSAL's cache. Whose
// it is stands in the token, and Microsoft alone can read it.
const home = "calends"

// seeded is a cache of MSAL's with nothing in it but the refresh token: MSAL has no
// call that takes one, but redeems what its cache has. The form is the schema that
// MSAL's libraries of all languages share.
type seeded struct {
	client, host string
	secret       string
	renewed      string // blank: no new one came
}

type cached struct {
	RefreshToken map[string]cachedToken    `json:"RefreshToken"`
	AppMetadata  map[string]cachedMetadata `json:"AppMetadata"`
}

type cachedToken struct {
	HomeAccountID  string `json:"home_account_id"`
	Environment    string `json:"environment"`
	CredentialType string `json:"credential_type"`
	ClientID       string `json:"client_id"`
	Secret         string `json:"secret"`
}

type cachedMetadata struct {
	Environment string `json:"environment"`
	ClientID    string `json:"client_id"`
}

// Replace gives MSAL the refresh token.
func (s *seeded) Replace(_ context.Context, c cache.Unmarshaler, _ cache.ReplaceHints) error {
	key := strings.ToLower(strings.Join([]string{home, s.host, "RefreshToken", s.client}, "-"))
	data, err := json.Marshal(cached{
		RefreshToken: map[string]cachedToken{key: {home, s.host, "RefreshToken", s.client, s.secret}},
		AppMetadata:  map[string]cachedMetadata{strings.ToLower("appmetadata-" + s.host + "-" + s.client): {s.host, s.client}},
	})
	if err != nil {
		return err
	}
	return c.Unmarshal(data)
}

// Export takes the new refresh token, if one came: it is under the account that the
// answer named, which is not ours.
func (s *seeded) Export(_ context.Context, c cache.Marshaler, _ cache.ExportHints) error {
	data, err := c.Marshal()
	if err != nil {
		return err
	}
	var got cached
	if err := json.Unmarshal(data, &got); err != nil {
		return errors.New("the cache of the sign-in library has another form than before")
	}
	for _, r := range got.RefreshToken {
		if r.HomeAccountID != home && r.Secret != s.secret {
			s.renewed = r.Secret
		}
	}
	return nil
}

func (s *seeded) account() confidential.Account {
	return confidential.Account{HomeAccountID: home, Environment: s.host}
}

// seed reads the refresh token where it is kept. One that came since is taken
// instead, unless somebody has put another one there.
func (t *Tokens) seed(login *url.URL) (*seeded, error) {
	if t.o.RefreshToken.IsZero() {
		return nil, errors.New("no refresh token of a user is configured")
	}
	value, err := t.o.RefreshToken.Read(t.o.Lookup)
	if err != nil {
		return nil, fmt.Errorf("the user's refresh token: %w", err)
	}
	if text := value.Reveal(); text != t.found {
		t.found, t.latest = text, text
	}
	return &seeded{client: t.o.Client, host: strings.ToLower(login.Host), secret: t.latest}, nil
}

// keep puts a new refresh token in the old one's place. That it cannot be kept is no
// reason to fail: the old one still holds for a while.
func (t *Tokens) keep(s *seeded) {
	if s == nil || s.renewed == "" {
		return
	}
	t.latest = s.renewed
	if name := t.o.RefreshToken.File; name != "" {
		if err := writeFile(name, s.renewed); err != nil {
			t.o.Log.Warn("the renewed refresh token cannot be kept: 90 days after the stored one was issued a person must sign in again",
				"file", name, "cause", err)
			return
		}
		t.found = s.renewed
	} else if !t.told {
		t.told = true
		t.o.Log.Warn("the refresh token comes from the environment, where a renewed one cannot be kept: 90 days after it was issued a person must sign in again; in a file it renews itself",
			"variable", t.o.RefreshToken.Env)
	}
}

// warn says, once a day, that the stored token ends soon: it has been used, and a new
// one could not be kept.
func (t *Tokens) warn() {
	now := t.o.Now()
	if text := Warning(t.o.RefreshToken, now); t.user && text != "" && now.Sub(t.warned) >= 24*time.Hour {
		t.warned = now
		t.o.Log.Warn(text)
	}
}

// writeFile replaces a file so that it is the old one or the new one, for the owner's
// eyes only.
func writeFile(name, text string) error {
	if real, err := filepath.EvalSymlinks(name); err == nil {
		name = real
	}
	dir := filepath.Dir(name)
	f, err := os.CreateTemp(dir, ".refresh-*") // 0600
	if err != nil {
		return err
	}
	_, err = f.WriteString(text + "\n")
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
