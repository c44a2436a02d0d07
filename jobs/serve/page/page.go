// Package page is what people see of a server: HTML that is made here and works
// without scripts, with one stylesheet. What a person may see and do is decided as it
// is for programs, by the actions of [access]; what is another partner's is answered as
// what does not exist.
package page

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"io/fs"
	"log/slog"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/calends/calends/jobs"
	"github.com/calends/calends/jobs/history"
	"github.com/calends/calends/jobs/relationship"
	"github.com/calends/calends/jobs/serve/access"
	"github.com/calends/calends/jobs/serve/access/signin"
	"github.com/calends/calends/jobs/serve/audit"
	"github.com/calends/calends/jobs/serve/current"
	"github.com/calends/calends/jobs/serve/linebook"
	"github.com/calends/calends/jobs/serve/offers"
)

// Desk is what pages are made of.
type Desk struct {
	// Env is what jobs work with today.
	Env     func() jobs.Env
	Current *current.Current
	Now     func() time.Time
	// Lines are those of invoices.
	Lines  *linebook.Shelf
	Offers *offers.Shelf
	// Relationships are those of customers with their partners.
	Relationships *relationship.Store
	Trail         audit.Trail
	Log           *slog.Logger
	Version       string
}

// Site is the pages on a mux.
type Site struct {
	Desk
	mux       *http.ServeMux
	templates map[string]*template.Template
	assets    map[string]asset
	routes    []Route
	directory directory
	history   *history.Store
}

// Route is one page and what it needs.
type Route struct {
	Method, Path, Operation string
	// Needs is "" for what anybody may ask.
	Needs access.Action
}

//go:embed templates assets
var files embed.FS

// New registers all pages on the mux; what nobody else registered is answered as not
// found. Whoever asks is in the request's context ([access.From]).
func New(mux *http.ServeMux, d Desk) (*Site, error) {
	s := &Site{Desk: d, mux: mux, history: history.NewStore(d.Env().Bucket)}
	if err := s.load(); err != nil {
		return nil, fmt.Errorf("load the page: %w", err)
	}
	s.registerAssets()
	s.registerHome()
	s.registerPartners()
	s.registerInvoices()
	s.registerLines()
	s.registerExceptions()
	s.registerDifferences()
	s.registerRuns()
	s.registerApproval()
	s.registerPrices()
	s.registerOffers()
	s.registerCustomers()
	s.registerSubscriptions()
	s.registerRelationships()
	mux.HandleFunc("/", s.nowhere)
	return s, nil
}

// Words returns what tells people a few words on their way in and out.
func Words(version string, log *slog.Logger) (func(http.ResponseWriter, *http.Request, signin.Notice), error) {
	s := &Site{Desk: Desk{Version: version, Log: log}}
	if err := s.load(); err != nil {
		return nil, fmt.Errorf("load the page: %w", err)
	}
	return func(w http.ResponseWriter, r *http.Request, n signin.Notice) {
		w.Header().Set("Referrer-Policy", "no-referrer")
		s.show(w, ask{Request: r}, n.Status, answer{template: "words", title: n.Title, body: n})
	}, nil
}

// Routes are all pages, for whoever wants to try each.
func (s *Site) Routes() []Route { return s.routes }

// asset is a file that never changes under its name.
type asset struct {
	data      []byte
	mediaType string
	address   string
}

// load reads templates and assets.
func (s *Site) load() error {
	s.assets = make(map[string]asset)
	for name, mediaType := range map[string]string{"calends.css": "text/css; charset=utf-8", "icon.svg": "image/svg+xml"} {
		data, err := files.ReadFile("assets/" + name)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(data)
		base, ext := strings.TrimSuffix(name, path.Ext(name)), path.Ext(name)
		s.assets[name] = asset{data, mediaType, "/assets/" + base + "-" + hex.EncodeToString(sum[:8]) + ext}
	}
	base, err := template.New("layout").Funcs(s.functions()).ParseFS(files, "templates/layout.html", "templates/parts.html")
	if err != nil {
		return err
	}
	s.templates = make(map[string]*template.Template)
	return fs.WalkDir(files, "templates", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		short := strings.TrimSuffix(path.Base(name), ".html")
		if short == "layout" || short == "parts" {
			return nil
		}
		t, err := base.Clone()
		if err == nil {
			s.templates[short], err = t.ParseFS(files, name)
		}
		return err
	})
}

// registerAssets serves the stylesheet and the icon under names with their hash.
func (s *Site) registerAssets() {
	for _, a := range s.assets {
		s.mux.HandleFunc("GET "+a.address, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", a.mediaType)
			w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
			// A caller that hangs up needs no answer.
			_, _ = w.Write(a.data)
		})
	}
}

// answer is a page to show, or a place to go to.
type answer struct {
	template string
	title    string
	// place is the part of the site that it belongs to, as the navigation has it.
	place  string
	crumbs []crumb
	body   any
	// to is where to go instead, after something was done.
	to string
}

// crumb is a page above.
type crumb struct{ Name, Address string }

// ask is somebody's request.
type ask struct {
	*http.Request
	who access.Principal
}

// may reports whether whoever asks is allowed the action.
func (a ask) may(action access.Action) bool { return a.who.May(action) }

// register adds a page and the action that whoever asks must be allowed. The trail has
// every answer before the caller does.
func (s *Site) register(method, path, operation string, needs access.Action, do func(ask) (answer, error)) {
	s.routes = append(s.routes, Route{Method: method, Path: path, Operation: operation, Needs: needs})
	kind := audit.Did
	if method == http.MethodGet {
		kind = audit.Saw
	}
	s.mux.HandleFunc(method+" "+path, func(w http.ResponseWriter, r *http.Request) {
		who, ok := access.From(r.Context())
		if !ok {
			s.signIn(w, r)
			return
		}
		a := ask{r, who}
		event := audit.Event{Kind: kind, Action: string(needs), Operation: operation}
		if !who.May(needs) {
			event.Kind = audit.Refused
			s.answer(w, a, event, answer{}, errNotAllowed)
			return
		}
		out, err := do(a)
		s.answer(w, a, event, out, err)
	})
}

// answer tells the trail and then the caller.
func (s *Site) answer(w http.ResponseWriter, a ask, event audit.Event, out answer, failed error) {
	status := http.StatusOK
	if failed != nil {
		status, out = s.trouble(failed)
	} else if out.to != "" {
		status = http.StatusSeeOther
	}
	body, err := s.render(a, out)
	if err != nil {
		s.Log.Error("a page could not be made", "operation", event.Operation, "error", err)
		http.Error(w, "The page could not be made; the server's log says why.", http.StatusInternalServerError)
		return
	}
	if err := s.note(a.Context(), a.who, event, status); err != nil {
		s.Log.Error("the trail could not be written", "error", err)
		http.Error(w, "Who does what cannot be recorded at the moment, so nothing is shown. Try again in a moment.", http.StatusServiceUnavailable)
		return
	}
	if out.to != "" && failed == nil {
		http.Redirect(w, a.Request, out.to, http.StatusSeeOther)
		return
	}
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "5")
	}
	write(w, status, body)
}

// write sends a page. Nobody but the person who asked keeps it.
func write(w http.ResponseWriter, status int, body []byte) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "private, no-store")
	w.WriteHeader(status)
	// A caller that hangs up needs no answer.
	_, _ = w.Write(body)
}

// note tells the trail.
func (s *Site) note(ctx context.Context, who access.Principal, e audit.Event, status int) error {
	asked := audit.AskedOf(ctx)
	e.At, e.Who, e.Name = s.Now().UTC().Format(time.RFC3339Nano), who.ID, who.Name
	e.Path, e.From, e.Request, e.Status, e.Count = asked.Path, asked.From, asked.ID, status, 1
	e.Partner, e.Object = asked.Subject()
	return s.Trail.Note(ctx, e)
}
