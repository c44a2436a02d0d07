package signin

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/calends/calends/jobs/serve/access/directory"
)

// sessions are those of the people who signed in at this server. They are in memory:
// nothing in the bucket opens one, signing out ends one at once, and after a restart a
// provider that still knows the person lets them in again without a question.
type sessions struct {
	lifetime, idle time.Duration
	now            func() time.Time

	mu  sync.Mutex
	all map[[sha256.Size]byte]*session // by the hash of the id
}

type session struct {
	who         directory.Claimed
	local       bool
	began, seen time.Time
}

// mostSessions is how many there may be. Beyond it the one goes that was silent longest.
const mostSessions = 10_000

func newSessions(lifetime, idle time.Duration, now func() time.Time) *sessions {
	return &sessions{lifetime: lifetime, idle: idle, now: now, all: make(map[[sha256.Size]byte]*session)}
}

func (s *sessions) live(one *session, now time.Time) bool {
	return now.Sub(one.began) < s.lifetime && now.Sub(one.seen) < s.idle
}

// begin makes a session and returns its id, 256 bits that nobody can guess.
func (s *sessions) begin(who directory.Claimed, local bool) string {
	id := rand.Text() + rand.Text()
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.all) >= mostSessions {
		s.forget(now)
	}
	s.all[sha256.Sum256([]byte(id))] = &session{who: who, local: local, began: now, seen: now}
	return id
}

func (s *sessions) forget(now time.Time) {
	var oldest [sha256.Size]byte
	var silent *session
	for id, one := range s.all {
		if !s.live(one, now) {
			delete(s.all, id)
			continue
		}
		if silent == nil || one.seen.Before(silent.seen) {
			oldest, silent = id, one
		}
	}
	if len(s.all) >= mostSessions {
		delete(s.all, oldest)
	}
}

// find returns the session of an id that is not over.
func (s *sessions) find(id string) (session, bool) {
	key, now := sha256.Sum256([]byte(id)), s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	one, ok := s.all[key]
	if !ok {
		return session{}, false
	}
	if !s.live(one, now) {
		delete(s.all, key)
		return session{}, false
	}
	one.seen = now
	return *one, true
}

func (s *sessions) end(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.all, sha256.Sum256([]byte(id)))
}

// flow is a sign-in under way: what the browser that comes back must know. It travels in
// a sealed cookie, so that those who only knock cost no memory.
type flow struct {
	State    string    `json:"state"`
	Nonce    string    `json:"nonce"`
	Verifier string    `json:"verifier"`
	Back     string    `json:"back"`
	Until    time.Time `json:"until"`
}

// flowsHold is how long a person may take at the provider.
const flowsHold = 10 * time.Minute

// seal keeps cookies from being read or changed by the browsers that carry them. The
// key is this process's own.
type seal struct{ box cipher.AEAD }

func newSeal() (seal, error) {
	key := make([]byte, 32)
	if _, err := rand.Read(key); err != nil {
		return seal{}, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return seal{}, err
	}
	box, err := cipher.NewGCMWithRandomNonce(block)
	return seal{box}, err
}

func (s seal) close(name string, f flow) (string, error) {
	data, err := json.Marshal(f)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(s.box.Seal(nil, nil, data, []byte(name))), nil
}

func (s seal) open(name, value string) (f flow, err error) {
	data, err := base64.RawURLEncoding.DecodeString(value)
	if err != nil {
		return flow{}, err
	}
	if data, err = s.box.Open(nil, nil, data, []byte(name)); err != nil {
		return flow{}, errors.New("the cookie is not ours")
	}
	return f, json.Unmarshal(data, &f)
}

// cookies are named so that a browser keeps them to this host and to encrypted
// connections; on this machine alone, by the port, since all ports share them.
type cookies struct {
	secure bool
	port   string
}

func (c cookies) session() string {
	if c.secure {
		return "__Host-calends"
	}
	return "calends-" + c.port
}

// flow is the name of a sign-in's own cookie: several tabs may sign in at a time.
func (c cookies) flow(state string) string {
	sum := sha256.Sum256([]byte(state))
	return c.flows() + hex.EncodeToString(sum[:4])
}

func (c cookies) flows() string { return c.session() + "-sign-in-" }

func (c cookies) set(w http.ResponseWriter, name, value string, lasts time.Duration) {
	http.SetCookie(w, &http.Cookie{
		Name: name, Value: value, Path: "/", MaxAge: int(lasts.Seconds()),
		Secure: c.secure, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}

func (c cookies) clear(w http.ResponseWriter, name string) {
	http.SetCookie(w, &http.Cookie{Name: name, Path: "/", MaxAge: -1, Secure: c.secure, HttpOnly: true, SameSite: http.SameSiteLaxMode})
}

// mostFlows is how many sign-ins one browser may have under way.
const mostFlows = 8

// tidy takes the cookies of other sign-ins away where there are too many.
func (c cookies) tidy(w http.ResponseWriter, r *http.Request) {
	var flows []string
	for _, one := range r.Cookies() {
		if strings.HasPrefix(one.Name, c.flows()) {
			flows = append(flows, one.Name)
		}
	}
	if len(flows) < mostFlows {
		return
	}
	for _, name := range flows {
		c.clear(w, name)
	}
}
