package signin

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/calends/calends/jobs/serve/access"
	"github.com/calends/calends/jobs/serve/access/directory"
)

// local is the mode without a provider: whoever reads the link that the server prints
// has this machine, and may do everything.
type local struct {
	base string

	mu     sync.Mutex
	secret [sha256.Size]byte
	until  time.Time // zero: there is no link
}

const (
	// linksHold is how long a link works that nobody opened.
	linksHold = time.Hour
	// localLasts is how long a session does.
	localLasts = 7 * 24 * time.Hour
)

// NewLocal returns an authenticator without a provider, for a server that listens at an
// address of this machine; any other is refused.
func NewLocal(at net.Addr, s Settings) (*Authenticator, error) {
	tcp, ok := at.(*net.TCPAddr)
	if !ok || !tcp.IP.IsLoopback() {
		return nil, fmt.Errorf("listen at %s: without signIn the server is for this machine only: listen at 127.0.0.1, or configure signIn", at)
	}
	u := &url.URL{Scheme: "http", Host: tcp.String()}
	if s.TLS {
		u.Scheme = "https"
	}
	a, err := newAuthenticator(s, u)
	if err != nil {
		return nil, err
	}
	a.sessions = newSessions(localLasts, localLasts, s.Now)
	a.local = &local{base: u.String()}
	return a, nil
}

// Link makes a link that signs in whoever opens it first, within the hour. One that was
// made before works no more. It panics where there is a provider.
func (a *Authenticator) Link() string {
	text := rand.Text() + rand.Text()
	l := a.local
	l.mu.Lock()
	defer l.mu.Unlock()
	l.secret, l.until = sha256.Sum256([]byte(text)), a.s.Now().Add(linksHold)
	return l.base + localPath + text
}

// redeem takes a link's secret, once.
func (l *local) redeem(text string, now time.Time) error {
	sum := sha256.Sum256([]byte(text))
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.until.IsZero():
		return refused("the link was used already: start the server again for another")
	case subtle.ConstantTimeCompare(sum[:], l.secret[:]) != 1:
		return refused("the link is not the one that the server printed")
	case !now.Before(l.until):
		return refused("the link was not opened within the hour: start the server again for another")
	}
	l.until = time.Time{}
	return nil
}

// host reports whether a Host header is this machine's. A name that merely leads here
// is another site's page, which asks in the name of whoever looks at it.
func (l *local) host(text string) bool { return loopback(hostOf(text)) }

func localPrincipal() access.Principal {
	return access.Principal{ID: access.LocalID, Name: "local", Roles: []access.Role{access.GlobalAdmin}, Everyone: true}
}

// redeem signs in whoever opens the link.
func (a *Authenticator) redeem(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "no-referrer")
	if r.Method != http.MethodGet {
		w.WriteHeader(http.StatusMethodNotAllowed) // whoever only looks does not use the link up
		return
	}
	if err := a.local.redeem(r.PathValue("secret"), a.s.Now()); err != nil {
		if why, _ := reason(err); a.failed(w, r, http.StatusForbidden, "sign-in", why) {
			a.s.Show(w, r, Notice{Status: http.StatusForbidden, Title: "Not signed in", Text: "You are not signed in: " + why + "."})
		}
		return
	}
	a.letIn(w, r, localPrincipal(), directory.Claimed{}, true, "/")
}
