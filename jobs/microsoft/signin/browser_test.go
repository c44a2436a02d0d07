package signin_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/calends/calends/jobs/microsoft/microsofttest"
	"github.com/calends/calends/jobs/microsoft/signin"
	"github.com/calends/calends/jobs/secret"
)

// browse signs in with a browser that opens what change makes of the address. It
// returns the last page.
func browse(t *testing.T, o signin.Options, change func(address string) string) (page string, err error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	pages, shown := make(chan string, 1), false
	err = signin.User(o).Browse(ctx, l, scope, func(address string) {
		shown = true
		go func() {
			res, err := http.Get(change(address))
			if err != nil {
				pages <- err.Error()
				cancel()
				return
			}
			defer res.Body.Close()
			text, _ := io.ReadAll(res.Body)
			pages <- res.Status + " " + string(text)
			if res.StatusCode != http.StatusOK {
				cancel()
			}
		}()
	})
	if shown {
		page = <-pages
	}
	return page, err
}

func asIs(address string) string { return address }

func TestAPersonSignsInWithABrowser(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.RevokeRefreshTokens()
	o := w.options()
	name := filepath.Join(t.TempDir(), "refresh-token")
	o.RefreshToken = secret.Source{File: name}
	page, err := browse(t, o, asIs)
	if err != nil || !strings.Contains(page, "Signed in.") {
		t.Fatalf("got %v, and the page %q", err, page)
	}
	info, err := os.Stat(name)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file has mode %v, %v; want 0600", info.Mode(), err)
	}
	get(t, signin.User(o))
}

func TestASignInThatIsNone(t *testing.T) {
	t.Parallel()
	t.Run("declined", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		o := w.options()
		name := w.inFile(t, &o)
		w.RefuseSignIns(&microsofttest.Refusal{Status: 400, Code: "access_denied", Description: "AADSTS65004: User declined to consent."})
		page, err := browse(t, o, asIs)
		if !errors.Is(err, signin.ErrDeclined) || !strings.Contains(err.Error(), "AADSTS65004") || !strings.Contains(err.Error(), "an administrator must grant") {
			t.Errorf("got %v", err)
		}
		if !strings.Contains(page, "Not signed in") {
			t.Errorf("the page says %q", page)
		}
		if data, err := os.ReadFile(name); err != nil || !strings.Contains(string(data), microsofttest.RefreshToken) {
			t.Errorf("the stored token became %q, %v", data, err)
		}
	})
	t.Run("with another state", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		o := w.options()
		w.inFile(t, &o)
		page, err := browse(t, o, func(a string) string { return strings.Replace(a, "&state=", "&state=forged", 1) })
		if !errors.Is(err, context.Canceled) || !strings.HasPrefix(page, "404") {
			t.Errorf("got %v, and the page %q", err, page)
		}
	})
	t.Run("with another challenge", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		o := w.options()
		w.inFile(t, &o)
		_, err := browse(t, o, func(a string) string { return strings.Replace(a, "code_challenge=", "code_challenge=forged", 1) })
		if !errors.Is(err, signin.ErrPerson) || strings.Contains(err.Error(), "code-of-browser") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("with no place for the token", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		if _, err := browse(t, w.options(), asIs); err == nil || !strings.Contains(err.Error(), "must have a file") {
			t.Errorf("got %v", err)
		}
	})
}
