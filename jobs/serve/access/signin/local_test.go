package signin_test

import (
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/calends/calends/jobs/serve/access/signin"
)

func at(t *testing.T, address string) net.Addr {
	t.Helper()
	a, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func newLocal(t *testing.T) *world {
	t.Helper()
	w := &world{clock: new(clock)}
	var err error
	w.who, err = signin.NewLocal(at(t, "127.0.0.1:8420"), w.settings())
	if err != nil {
		t.Fatal(err)
	}
	w.serve()
	return w
}

// path is that of a link, whose browser asks for this machine.
func path(t *testing.T, link string) string {
	t.Helper()
	p, ok := strings.CutPrefix(link, "http://127.0.0.1:8420")
	if !ok {
		t.Fatalf("the link is %s", link)
	}
	return p
}

func here(b *browser, method, path string) *http.Response {
	return b.ask(method, path, "Host", "127.0.0.1:8420")
}

func TestTheLinkWorksOnce(t *testing.T) {
	t.Parallel()
	w := newLocal(t)
	link := path(t, w.who.Link())
	b := w.browser(t)
	contains(t, text(t, here(b, "GET", "/sign-in")), "Open the link")
	if res := here(b, "HEAD", link); res.StatusCode == http.StatusSeeOther {
		t.Error("whoever only looks has used the link up")
	}
	contains(t, text(t, here(b, "GET", link+"x")), "not the one that the server printed")
	res := here(b, "GET", link)
	expect(t, res.Header.Get("Location"), "/")
	c := b.cookies["calends-8420"]
	if c == nil || c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode {
		t.Errorf("the cookie is %+v", c)
	}
	expect(t, text(t, here(b, "GET", "/")), "local local [global-admin] [] true")
	second := w.browser(t)
	if res := here(second, "GET", link); res.StatusCode != http.StatusForbidden {
		t.Errorf("again: %s", res.Status)
	}
	expect(t, text(t, here(second, "GET", "/")), "nobody")
	if err := w.who.Ready(t.Context()); err != nil {
		t.Error(err)
	}
	here(b, "POST", "/sign-out")
	expect(t, text(t, here(b, "GET", "/")), "nobody")
	secret := strings.TrimPrefix(link, "/local/")
	if strings.Contains(w.log.String()+strings.Join(w.trail.say(), ""), secret) {
		t.Error("the secret is told")
	}
}

func TestOnlyOneOfManyOpensTheLink(t *testing.T) {
	t.Parallel()
	w := newLocal(t)
	link := path(t, w.who.Link())
	var all sync.WaitGroup
	var mu sync.Mutex
	in := 0
	for range 8 {
		b := w.browser(t)
		all.Go(func() {
			if here(b, "GET", link).StatusCode == http.StatusSeeOther {
				mu.Lock()
				in++
				mu.Unlock()
			}
		})
	}
	all.Wait()
	if in != 1 {
		t.Errorf("%d opened it", in)
	}
}

func TestALinkEnds(t *testing.T) {
	t.Parallel()
	w := newLocal(t)
	b := w.browser(t)
	contains(t, text(t, here(b, "GET", "/local/x")), "used already") // none was made
	first := path(t, w.who.Link())
	second := path(t, w.who.Link())
	contains(t, text(t, here(b, "GET", first)), "not the one")
	w.clock.add(time.Hour)
	contains(t, text(t, here(b, "GET", second)), "within the hour")
	expect(t, text(t, here(b, "GET", "/")), "nobody")
}

// A name of another site that leads to this machine is not ours, whoever is signed in.
func TestOnlyThisMachinesNamesAreAnswered(t *testing.T) {
	t.Parallel()
	w := newLocal(t)
	b := w.browser(t)
	here(b, "GET", path(t, w.who.Link()))
	for host, want := range map[string]bool{
		"127.0.0.1:8420": true, "localhost:8420": true, "[::1]:8420": true, "127.0.0.1": true, "[::1]": true, "127.8.8.8:8420": true,
		"evil.example.com": false, "evil.example.com:8420": false, "127.0.0.1.evil.example.com": false, "localhost.evil.example.com": false,
		"192.0.2.1:8420": false, "0.0.0.0:8420": false, "": false, "[::]:8420": false, "127.0.0.1@evil.example.com": false,
	} {
		res := b.ask("GET", "/", "Host", host)
		if got := res.StatusCode == http.StatusOK; got != want {
			t.Errorf("host %q: %s", host, res.Status)
		}
	}
}

func TestWithoutASignInOnlyThisMachineIsServed(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]bool{
		"127.0.0.1:80": true, "[::1]:80": true, "127.0.0.2:80": true,
		"0.0.0.0:80": false, "[::]:80": false, "192.0.2.1:80": false, ":80": false,
	} {
		_, err := signin.NewLocal(at(t, address), new(world).settingsOf())
		if (err == nil) != want {
			t.Errorf("%s: %v", address, err)
		}
		if err != nil {
			contains(t, err.Error(), "configure signIn")
		}
	}
	if _, err := signin.NewLocal(&net.UnixAddr{Name: "x"}, new(world).settingsOf()); err == nil {
		t.Error("a socket is no address of this machine's browsers")
	}
}

func TestTheLinkOfAServerThatSpeaksTLS(t *testing.T) {
	t.Parallel()
	w := &world{clock: new(clock)}
	s := w.settings()
	s.TLS = true
	who, err := signin.NewLocal(at(t, "[::1]:8420"), s)
	if err != nil {
		t.Fatal(err)
	}
	w.who = who
	w.serve()
	link, ok := strings.CutPrefix(who.Link(), "https://[::1]:8420")
	if !ok {
		t.Errorf("the link is %s", link)
	}
	b := w.browser(t)
	b.ask("GET", link, "Host", "[::1]:8420")
	if c := b.cookies["__Host-calends"]; c == nil || !c.Secure {
		t.Errorf("the cookie is %+v", c)
	}
}

func (w *world) settingsOf() signin.Settings {
	w.clock = new(clock)
	return w.settings()
}
