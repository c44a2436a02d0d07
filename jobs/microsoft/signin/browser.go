package signin

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/confidential"
)

// ErrDeclined is a sign-in that the person, or a rule of the tenant, ended.
var ErrDeclined = errors.New("the sign-in was declined")

// Browse lets a person sign in with a browser on this machine and stores the
// refresh token in its file. show is told the address that the person opens; the
// browser comes back to l, which must be http://localhost with any port among the
// application's redirect addresses. Browse closes l.
func (t *Tokens) Browse(ctx context.Context, l net.Listener, scope string, show func(address string)) error {
	err := t.browse(ctx, l, scope, show)
	if err = errors.Join(err, closed(l.Close())); err != nil {
		return fmt.Errorf("sign in %s: %w", t.who(), err)
	}
	return nil
}

func closed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

func (t *Tokens) browse(ctx context.Context, l net.Listener, scope string, show func(address string)) error {
	name := t.o.RefreshToken.File
	if name == "" {
		return errors.New("the refresh token must have a file that it can be stored in: refreshToken: {file: PATH}")
	}
	login, proof, hide, err := t.identity()
	if err != nil {
		return err
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		return err
	}
	// PKCE and state: who brings the code back is who was sent for it.
	state, verifier := rand.Text(), rand.Text()+rand.Text()
	challenge := sha256.Sum256([]byte(verifier))
	back := "http://localhost:" + port

	seed := &seeded{client: t.o.Client, host: strings.ToLower(login.Host)}
	client, err := t.msal(login, proof, seed)
	if err != nil {
		return err
	}
	address, err := client.AuthCodeURL(ctx, t.o.Client, back, []string{scope})
	if err != nil {
		return explain(err, hide, t.o.Now())
	}
	if login.Scheme == "http" {
		address = strings.Replace(address, "https://"+login.Host, "http://"+login.Host, 1)
	}
	show(address + "&" + url.Values{
		"state": {state}, "prompt": {"select_account"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(challenge[:])}, "code_challenge_method": {"S256"},
	}.Encode())

	code, err := awaitCode(ctx, l, state)
	if err != nil {
		return err
	}
	if _, err := client.AcquireTokenByAuthCode(ctx, code, back, []string{scope}, confidential.WithChallenge(verifier)); err != nil {
		return explain(err, append(hide, code, verifier), t.o.Now())
	}
	if seed.renewed == "" {
		return errors.New("no refresh token came with the sign-in")
	}
	if err := writeFile(name, seed.renewed); err != nil {
		return fmt.Errorf("store the refresh token: %w", err)
	}
	return nil
}

// awaitCode serves the address that the browser comes back to until it has.
func awaitCode(ctx context.Context, l net.Listener, state string) (string, error) {
	type answer struct {
		code string
		err  error
	}
	answers := make(chan answer, 1)
	server := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		if r.URL.Path != "/" || q.Get("state") != state {
			http.NotFound(w, r) // a browser asks for more than it was sent for
			return
		}
		a := answer{code: q.Get("code")}
		text := "Signed in. This window can be closed.\n"
		if a.code == "" {
			a.err = declined(q)
			text = "Not signed in: " + a.err.Error() + "\n"
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = io.WriteString(w, text)
		select {
		case answers <- a:
		default: // the page was opened again
		}
	})}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	var a answer
	select {
	case a = <-answers:
	case err := <-served:
		return "", err
	case <-ctx.Done():
		a.err = fmt.Errorf("nobody came back from the browser: %w", ctx.Err())
	}
	// The browser gets its last page.
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	_ = server.Shutdown(stop)
	if err := <-served; a.err == nil && !errors.Is(err, http.ErrServerClosed) {
		a.err = err
	}
	return a.code, a.err
}

func declined(q url.Values) error {
	code, description := q.Get("error"), firstSentence(q.Get("error_description"))
	text := strings.TrimPrefix(code+": "+description, ": ")
	if a := advice(aadsts.FindString(description), ""); a != "" {
		text += "; " + a
	}
	return fmt.Errorf("%w: %s", ErrDeclined, text)
}
