package page_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/calends/calends/jobs"
	"github.com/calends/calends/jobs/secret"
	"github.com/calends/calends/jobs/serve"
	"github.com/calends/calends/jobs/serve/access/directory"
	"github.com/calends/calends/jobs/serve/access/oidctest"
	"github.com/calends/calends/jobs/serve/access/signin"
	"github.com/calends/calends/jobs/serve/audit"
	"github.com/calends/calends/jobs/serve/page"
	"github.com/calends/calends/jobs/serve/servetest"
	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pricing"
)

// chromium is the browser of the machine. Without one the test is left out, unless
// CALENDS_REQUIRE_BROWSER says that there has to be one.
func chromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("CALENDS_REQUIRE_BROWSER") != "" {
		t.Fatal("no chromium, and CALENDS_REQUIRE_BROWSER is set")
	}
	t.Skip("no chromium")
	return ""
}

// street is a whole server with a provider of sign-ins, and a browser.
type street struct {
	t        *testing.T
	bucket   *bucket.Memory
	env      jobs.Env
	provider *oidctest.Provider
	base     string
	browser  context.Context
}

func newStreet(t *testing.T) *street {
	t.Helper()
	path := chromium(t)
	b := servetest.Demo(t)
	b.Now = time.Now
	env := servetest.Env(b)
	s := &street{t: t, bucket: b, env: env, provider: oidctest.New(t, time.Now)}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.base = "http://" + listener.Addr().String()
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	show, err := page.Words("test", log)
	if err != nil {
		t.Fatal(err)
	}
	trail := audit.NewStore(b, audit.Settings{Now: time.Now, Log: log})
	who, err := signin.New(signin.Options{
		Issuer: s.provider.URL(), ClientID: oidctest.ClientID, ClientSecret: secret.Source{Env: "SECRET"}, Partners: []string{signin.Everyone}, PartnersClaim: "partners",
	}, s.base, signin.Settings{Directory: directory.New(b, time.Now), Trail: trail, Now: time.Now, Log: log, Show: show},
		signin.Surroundings{Lookup: func(string) (string, bool) { return oidctest.ClientSecret, true }})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	server, err := serve.New(ctx, serve.Options{URL: s.base}, serve.World{
		Env: func() jobs.Env { return env }, Now: time.Now, Log: log, Version: "test", Who: who, Trail: trail,
	})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ctx, listener) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := trail.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	allocator, end := chromedp.NewExecAllocator(t.Context(), append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()), chromedp.WindowSize(1280, 1000))...)
	t.Cleanup(end)
	var close context.CancelFunc
	s.browser, close = chromedp.NewContext(allocator, chromedp.WithErrorf(t.Logf))
	t.Cleanup(close)
	// The first one starts the browser, which lives as long as its context.
	if err := chromedp.Do(s.browser, chromedp.Navigate("about:blank")); err != nil {
		t.Fatal(err)
	}
	return s
}

// person is somebody with a browser of their own, who has signed in.
type person struct {
	*street
	tab context.Context
}

func (s *street) signsIn(claims oidctest.Claims) person {
	s.t.Helper()
	s.provider.SignsIn(claims)
	tab, end := chromedp.NewContext(s.browser, chromedp.WithNewBrowserContext())
	s.t.Cleanup(end)
	if err := chromedp.Do(tab, chromedp.Navigate("about:blank")); err != nil {
		s.t.Fatal(err)
	}
	p := person{s, tab}
	p.does("open the page", chromedp.Navigate(s.base+"/"), chromedp.WaitVisible(chromedp.CSS("h1")))
	return p
}

// does one thing, for a while at most.
func (p person) does(what string, actions ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.tab, 30*time.Second)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		p.t.Fatalf("%s: %v\n%s", what, err, p.sees())
	}
}

// sees is all text on the page.
func (p person) sees() string {
	ctx, cancel := context.WithTimeout(p.tab, 10*time.Second)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Text(chromedp.CSS("body")))
	if err != nil {
		return err.Error()
	}
	return text
}

// evaluates what a script would see.
func (p person) evaluates(expression string) string {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.tab, 10*time.Second)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string](expression))
	if err != nil {
		p.t.Fatal(err)
	}
	return text
}

// follows a link by its words and waits for the heading of the page behind it.
func (p person) follows(words, heading string) {
	p.t.Helper()
	p.does("follow "+words, chromedp.Click(`//a[normalize-space()="`+words+`"]`), p.heading(heading))
}

func (p person) heading(words string) chromedp.Action[chromedp.Void] {
	return chromedp.WaitVisible(`//h1[contains(normalize-space(), "` + words + `")]`)
}

// downloads clicks on a file and returns what the browser has written.
func (p person) downloads(words string) []byte {
	p.t.Helper()
	folder := p.t.TempDir()
	ctx, cancel := context.WithTimeout(p.tab, 30*time.Second)
	defer cancel()
	done := make(chan string, 1)
	err := chromedp.ListenBrowser(ctx, func(event any) {
		if e, ok := event.(*browser.EventDownloadProgress); ok && e.State == browser.DownloadProgressStateCompleted {
			select {
			case done <- e.GUID:
			default:
			}
		}
	})
	if err != nil {
		p.t.Fatal(err)
	}
	events := true
	_, err = chromedp.CallBrowser(ctx, browser.SetDownloadBehavior, browser.SetDownloadBehaviorParams{
		Behavior: browser.SetDownloadBehaviorBehaviorAllowAndName, BrowserContextID: chromedp.FromContext(p.tab).BrowserContextID, DownloadPath: folder, EventsEnabled: &events,
	})
	if err != nil {
		p.t.Fatal(err)
	}
	p.does("download "+words, chromedp.Click(`//a[normalize-space()="`+words+`"]`))
	select {
	case guid := <-done:
		data, err := os.ReadFile(filepath.Join(folder, guid))
		if err != nil {
			p.t.Fatal(err)
		}
		return data
	case <-ctx.Done():
		p.t.Fatalf("the download of %s did not end", words)
		return nil
	}
}

// A person signs in, finds an invoice, takes its file along, approves a draft; another
// of another partner finds nothing of it.
func TestInABrowser(t *testing.T) {
	t.Parallel()
	s := newStreet(t)
	march, april := pricing.MonthOf(2024, 3), pricing.MonthOf(2024, 4)
	known, _, err := ledger.Ledger{Bucket: s.bucket}.Month(t.Context(), march)
	if err != nil {
		t.Fatal(err)
	}
	everybody := []string{}
	for _, inv := range known.Current.Invoices {
		everybody = append(everybody, inv.PartnerID)
	}
	ada := s.signsIn(oidctest.Claims{"sub": "ada", "name": "Ada", "roles": []string{"global-admin"}, "partners": everybody})
	ada.does("read the months", ada.heading("Months"))

	ada.does("press Tab", chromedp.KeyEvent(kb.Tab))
	if focused := ada.evaluates(`document.activeElement.textContent`); focused != "Skip to the content" {
		t.Errorf("the first Tab goes to %q", focused)
	}
	ada.does("skip", chromedp.KeyEvent(kb.Enter))
	if focused := ada.evaluates(`document.activeElement.id`); focused != "main" {
		t.Errorf("the skip link leads to %q", focused)
	}

	ada.follows("March 2024", "March 2024")
	ada.follows("Voorbeeldstad Cloud B.V.", "C202403-000003")
	if text := ada.sees(); !strings.Contains(text, "11917.02") {
		t.Errorf("the invoice lacks its total:\n%s", text)
	}
	var want jobs.PublishedFile
	for _, f := range jobs.FilesOf(known, ours) {
		if f.Name == jobs.LinesFile {
			want = f
		}
	}
	data := ada.downloads(want.Name)
	sum := sha256.Sum256(data)
	if got := hex.EncodeToString(sum[:]); got != want.SHA256 || want.SHA256 == "" || !strings.Contains(ada.sees(), got) {
		t.Errorf("the file has the hash %s, the manifest %s; on the page: %v", got, want.SHA256, strings.Contains(ada.sees(), got))
	}
	ada.follows("All 25 lines", "Lines of Invoice C202403-000003")
	ada.does("sort", chromedp.Click(`//th/a[normalize-space()="Total"]`), chromedp.WaitVisible(`//th[@aria-sort="ascending"]/a[normalize-space()="Total"]`))

	ada.does("go to the approval", chromedp.Navigate(s.base+"/months/2024-04/approval"), ada.heading("Approval"),
		chromedp.SendKeys(chromedp.CSS("#accept"), "what is open is known"), chromedp.Click(`//button[normalize-space()="Approve revision 1"]`),
		chromedp.WaitVisible(`//p[@role="status"]`))
	if text := ada.sees(); !strings.Contains(text, "Your approval is recorded.") || !strings.Contains(text, "approved, stands") {
		t.Errorf("after approving:\n%s", text)
	}
	said, err := s.env.Approvals(t.Context(), april)
	if err != nil || len(said.Approvals) != 1 || !said.Approved || !strings.HasPrefix(said.Approvals[0].By, "Ada") || said.Approvals[0].Accepted != "what is open is known" {
		t.Errorf("the ledger has %+v, %v", said, err)
	}

	ben := s.signsIn(oidctest.Claims{"sub": "ben", "name": "Ben", "roles": []string{"admin-agent"}, "partners": []string{theirs}})
	ben.does("read the months", ben.heading("Months"))
	if text := ben.sees(); strings.Contains(text, "11917.02") || !strings.Contains(text, "7117.03") {
		t.Errorf("another partner's person sees:\n%s", text)
	}
	for _, address := range []string{"/invoices/2024-03/" + ours, "/invoices/2024-03/" + ours + "/lines", "/partners/" + ours, "/customers/" + ourCustomer, "/subscriptions/" + ourSubscription} {
		ben.does("ask for "+address, chromedp.Navigate(s.base+address), ben.heading("Not found"))
	}
	ben.does("search", chromedp.Navigate(s.base+"/customers?q=voorbeeld"), ben.heading("Customers"))
	if text := ben.sees(); !strings.Contains(text, "No customer matches") {
		t.Errorf("another partner's person finds:\n%s", text)
	}
	ben.does("sign out", chromedp.Click(`//button[normalize-space()="Sign out"]`), chromedp.WaitNotPresent(`//button[normalize-space()="Sign out"]`))
}
