package page_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/calends/calends/jobs"
	"github.com/calends/calends/jobs/history"
	"github.com/calends/calends/jobs/relationship"
	"github.com/calends/calends/jobs/serve/access"
	"github.com/calends/calends/jobs/serve/audit"
	"github.com/calends/calends/jobs/serve/current"
	"github.com/calends/calends/jobs/serve/linebook"
	"github.com/calends/calends/jobs/serve/offers"
	"github.com/calends/calends/jobs/serve/page"
	"github.com/calends/calends/jobs/serve/servetest"
	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pricing"
)

// The demo's partners and what they have that the tests ask for.
const (
	ours     = "80f6fb73-3725-4404-a0ee-98ef768080f3" // Voorbeeldstad Cloud B.V.
	theirs   = "6c483e07-8f13-4923-9228-bccb7b3b8939" // Sampleton Resale Inc.
	invented = "00000000-0000-4000-8000-000000000000"

	ourCustomer     = "dd6c7dae-4000-49f1-93b4-5dee8cf0620e" // Voorbeeld Fietsen B.V.
	ourSubscription = "ac85bab0-1652-40cc-94ec-81da3ac37385"
)

// notes is a trail in memory.
type notes struct {
	mu     sync.Mutex
	events []audit.Event
	broken error
}

func (n *notes) Note(_ context.Context, e audit.Event) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.events = append(n.events, e)
	return n.broken
}

// of is the last event of an operation.
func (n *notes) of(operation string) audit.Event {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, e := range slices.Backward(n.events) {
		if e.Operation == operation {
			return e
		}
	}
	return audit.Event{}
}

// house is a site on a bucket of its own.
type house struct {
	t      *testing.T
	bucket *bucket.Memory
	env    *jobs.Env
	mux    *http.ServeMux
	site   *page.Site
	trail  *notes
	links  *relationship.Store
}

func newHouse(t *testing.T) *house {
	t.Helper()
	return houseOf(t, servetest.Demo(t))
}

func houseOf(t *testing.T, b *bucket.Memory) *house {
	t.Helper()
	env := servetest.Env(b)
	h := &house{t: t, bucket: b, env: &env, mux: http.NewServeMux(), trail: &notes{}, links: relationship.NewStore(b)}
	get := func() jobs.Env { return *h.env }
	var err error
	h.site, err = page.New(h.mux, page.Desk{
		Env: get, Current: current.New(t.Context(), get, time.Now, time.Minute), Now: servetest.Now, Trail: h.trail,
		Lines: linebook.NewShelf(1 << 28), Offers: offers.NewShelf(2), Relationships: h.links, Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Version: "test",
	})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// as is somebody of a role, of the partners or of everyone.
func as(role access.Role, partners ...string) access.Principal {
	return access.Principal{ID: "id of " + string(role), Name: "Test " + string(role), Roles: []access.Role{role}, Partners: partners, Everyone: len(partners) == 0}
}

// shown is an answer.
type shown struct {
	*httptest.ResponseRecorder
	t   *testing.T
	doc *html.Node
}

// ask makes a request as somebody, nil for nobody, with a form if it is a POST.
func (h *house) ask(who *access.Principal, method, address string, form url.Values) shown {
	h.t.Helper()
	r := httptest.NewRequestWithContext(h.t.Context(), method, address, strings.NewReader(form.Encode()))
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	asked := &audit.Asked{ID: "1", From: "203.0.113.7", Path: r.URL.EscapedPath()}
	ctx := audit.WithAsked(r.Context(), asked)
	if who != nil {
		ctx = access.With(ctx, *who)
	}
	w := httptest.NewRecorder()
	h.mux.ServeHTTP(w, r.WithContext(ctx))
	doc, err := html.Parse(strings.NewReader(w.Body.String()))
	if err != nil {
		h.t.Fatal(err)
	}
	return shown{w, h.t, doc}
}

// get asks for a page and wants it.
func (h *house) get(who access.Principal, address string) shown {
	h.t.Helper()
	s := h.ask(&who, http.MethodGet, address, nil)
	if s.Code != http.StatusOK {
		h.t.Fatalf("%s: %d\n%s", address, s.Code, s.text())
	}
	return s
}

// all are the elements of a name, in order.
func all(n *html.Node, name string) (found []*html.Node) {
	for d := range n.Descendants() {
		if d.Type == html.ElementNode && d.Data == name {
			found = append(found, d)
		}
	}
	return found
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// textOf is what a node says, with single spaces.
func textOf(n *html.Node) string {
	var b strings.Builder
	if n.Type == html.TextNode {
		b.WriteString(n.Data)
	}
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			b.WriteString(d.Data)
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

func (s shown) text() string { return textOf(s.doc) }

// says fails where the page lacks one of the texts.
func (s shown) says(texts ...string) {
	s.t.Helper()
	for _, text := range texts {
		if !strings.Contains(s.text(), text) {
			s.t.Errorf("the page lacks %q:\n%s", text, s.text())
		}
	}
}

// silent fails where the page has one of the texts, in text or source.
func (s shown) silent(texts ...string) {
	s.t.Helper()
	for _, text := range texts {
		if strings.Contains(s.text(), text) || strings.Contains(s.Body.String(), text) {
			s.t.Errorf("the page has %q:\n%s", text, s.text())
		}
	}
}

// links are the addresses of all links.
func (s shown) links() (list []string) {
	for _, a := range all(s.doc, "a") {
		list = append(list, attr(a, "href"))
	}
	return list
}

// table is the rows of the table with this caption, cell by cell.
func (s shown) table(caption string) (rows [][]string) {
	s.t.Helper()
	for _, t := range all(s.doc, "table") {
		captions := all(t, "caption")
		if len(captions) != 1 || !strings.HasPrefix(textOf(captions[0]), caption) {
			continue
		}
		for _, tr := range all(t, "tr") {
			var cells []string
			for c := range tr.ChildNodes() {
				if c.Type == html.ElementNode {
					cells = append(cells, textOf(c))
				}
			}
			rows = append(rows, cells)
		}
		return rows
	}
	s.t.Fatalf("no table %q on the page:\n%s", caption, s.text())
	return nil
}

// shownOf is an answer with just this page.
func shownOf(t *testing.T, source string) shown {
	t.Helper()
	w := httptest.NewRecorder()
	w.Body.WriteString(source)
	doc, err := html.Parse(strings.NewReader(source))
	if err != nil {
		t.Fatal(err)
	}
	return shown{w, t, doc}
}

// recordRun puts a run into the history.
func recordRun(t *testing.T, h *house) {
	t.Helper()
	store := history.NewStore(h.bucket)
	slice := history.Slice{Job: "bill", Month: pricing.MonthOf(2024, 4)}
	begun := history.Begun{Slice: slice, Attempt: 1, Tick: servetest.Now(), Started: servetest.Now(), By: "machine/1", Version: "test"}
	if err := store.Begin(t.Context(), begun); err != nil {
		t.Fatal(err)
	}
	err := store.Finish(t.Context(), history.Ended{Begun: begun, Ended: servetest.Now().Add(1500 * time.Millisecond), Result: history.Done, Tried: true,
		Outcome: history.Outcome{Summary: "two partners were billed", Counts: map[string]int64{"lines": 57}}},
		[]byte(`{"time":"2024-05-02T09:30:01Z","level":"INFO","msg":"the draft is written","partner":"x"}`+"\n"))
	if err != nil {
		t.Fatal(err)
	}
}

// takeIn has a file taken in, whole.
func (h *house) takeIn(name, content string) {
	h.t.Helper()
	folder := h.t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
		h.t.Fatal(err)
	}
	result, err := h.env.Ingest(h.t.Context(), jobs.IngestPlan{Folder: folder, Paths: []string{name}})
	if err != nil || len(result.Files) != 1 || result.Files[0].Status != jobs.StatusTaken {
		h.t.Fatalf("%+v, %v", result, err)
	}
}
