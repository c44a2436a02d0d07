// Package api is what programs ask over HTTP: prices, offers, customers, changes of
// subscriptions, invoices and runs, described by an OpenAPI document.
package api

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/calends/calends/jobs"
	"github.com/calends/calends/jobs/relationship"
	"github.com/calends/calends/jobs/serve/access"
	"github.com/calends/calends/jobs/serve/access/directory"
	"github.com/calends/calends/jobs/serve/audit"
	"github.com/calends/calends/jobs/serve/current"
	"github.com/calends/calends/jobs/serve/linebook"
	"github.com/calends/calends/jobs/serve/offers"
	"github.com/calends/calends/jobs/serve/pricebook"
)

// Desk is what operations work with.
type Desk struct {
	// Env is what jobs work with today.
	Env     func() jobs.Env
	Current *current.Current
	Prices  *pricebook.Shelf
	Offers  *offers.Shelf
	// Lines has those of invoices that were asked for last.
	Lines *linebook.Shelf
	// Relationships are those of the bucket.
	Relationships *relationship.Store
	// Random is where secrets and new ids come from.
	Random io.Reader
	// URL is where people find the server, without a slash at the end; "" where nobody has
	// said it, and then links begin with their path.
	URL string
	// Directory has users and tokens; Reach is the most that the provider of the sign-in
	// can say of a user's partners, nil where there is none.
	Directory *directory.Directory
	Reach     func(id string) (partners []string, everyone bool)
	Now       func() time.Time
	Trail     audit.Trail
	Events    *audit.Store // what the trail has
	// Settings are how the server was started, by the names of the configuration file.
	Settings map[string]any
	Log      *slog.Logger
	Version  string
}

// API is the operations on a mux.
type API struct {
	Desk
	huma   huma.API
	routes []Route
	public []Route

	customers customerBook
}

// Route is one operation and what it needs.
type Route struct {
	Method, Path, Operation string
	Needs                   access.Action
}

// version is that of the operations: its first number changes when a program that was
// written for them would not work any more.
const version = "1.0"

// New registers all operations on the mux. Whoever asks is in the request's context
// ([access.From]); a request of nobody is refused here.
func New(mux *http.ServeMux, d Desk) *API {
	config := huma.DefaultConfig("Calends", version)
	config.DocsPath, config.SchemasPath = "", ""
	config.OpenAPIPath = "/v1/openapi"
	config.CreateHooks = nil // no $schema in every answer
	config.Components.SecuritySchemes = map[string]*huma.SecurityScheme{"token": {Type: "http", Scheme: "bearer"}}
	config.Components.Schemas = schemas()
	config.RejectUnknownQueryParameters = true
	config.Info.Description = "Prices, offers, customers, changes of subscriptions, invoices and what becomes of them. " +
		"Amounts, prices, rates and quantities are decimal text; dates are days of UTC. What belongs to a partner that the caller does not belong to is answered like what does not exist."
	a := &API{Desk: d, huma: humago.New(mux, config)}
	a.registerSelf()
	a.registerSettings()
	a.registerPrices()
	a.registerOffers()
	a.registerCustomers()
	a.registerBilling()
	a.registerSubscriptions()
	a.registerBuying()
	a.registerUsers()
	a.registerTokens()
	a.registerTrail()
	a.complete()
	return a
}

// complete says in the document what holds for all operations.
func (a *API) complete() {
	document := a.huma.OpenAPI()
	document.Servers = []*huma.Server{{URL: "/", Description: "The server that gave this document"}}
	for _, s := range document.Components.Schemas.Map() {
		listsAreThere(s)
	}
}

// listsAreThere says that an empty list is [], not null.
func listsAreThere(s *huma.Schema) {
	if s == nil {
		return
	}
	if s.Type == huma.TypeArray {
		s.Nullable = false
	}
	listsAreThere(s.Items)
	for _, p := range s.Properties {
		listsAreThere(p)
	}
	for _, several := range [][]*huma.Schema{s.OneOf, s.AnyOf, s.AllOf} {
		for _, one := range several {
			listsAreThere(one)
		}
	}
}

// Routes are all operations that want a sign-in, for whoever wants to try each.
func (a *API) Routes() []Route { return a.routes }

// Public are the others.
func (a *API) Public() []Route { return a.public }

// Document is the OpenAPI document, YAML.
func (a *API) Document() ([]byte, error) { return a.huma.OpenAPI().YAML() }

// onlyAsks is the metadata of a POST that changes nothing: a question that is too long
// for a query.
var onlyAsks = map[string]any{onlyAsked: true}

const onlyAsked = "only asked"

// register adds an operation and the action that whoever asks must be allowed. What a
// principal does not see does not exist: the answer is [notFound], as for any other id.
// The trail has every answer before the caller does; [audit.About] tells it whose and
// what it was.
func register[I, O any](a *API, needs access.Action, op huma.Operation, do func(ctx context.Context, who access.Principal, in *I) (*O, error)) {
	a.routes = append(a.routes, Route{Method: op.Method, Path: op.Path, Operation: op.OperationID, Needs: needs})
	op.Errors = append(op.Errors, http.StatusUnauthorized, http.StatusForbidden, http.StatusTooManyRequests, http.StatusServiceUnavailable)
	op.Security = []map[string][]string{{"token": {}}}
	op.BodyReadTimeout = -1 // the server's own, which ends with the body
	kind := audit.Did
	if op.Method == http.MethodGet || op.Method == http.MethodHead || op.Metadata[onlyAsked] != nil {
		kind = audit.Saw
	}
	if needs == access.Download {
		kind = audit.Downloaded // the trail has it before the first byte goes out
	}
	// Before anything of the request is looked at: a stranger learns nothing of it.
	op.Middlewares = append(op.Middlewares, a.allows(needs, op))
	huma.Register(a.huma, op, func(ctx context.Context, in *I) (*O, error) {
		who, _ := access.From(ctx)
		out, err := do(ctx, who, in)
		if err != nil {
			err = a.problemOf(err)
		}
		if unwritten := a.note(ctx, kind, who, needs, op, err); unwritten != nil {
			return nil, unwritten
		}
		return out, err
	})
}

// publicBody is how much anybody may send.
const publicBody = 4 << 10

// publicAction is what the trail calls what anybody does.
const publicAction access.Action = "public"

// registerPublic adds an operation for which nobody has to sign in. It opens with a
// secret of its own, tells nothing to who has not the right one, and takes little.
func registerPublic[I, O any](a *API, op huma.Operation, do func(ctx context.Context, in *I) (*O, error)) {
	a.public = append(a.public, Route{Method: op.Method, Path: op.Path, Operation: op.OperationID})
	op.Errors = append(op.Errors, http.StatusTooManyRequests, http.StatusServiceUnavailable)
	op.Security = []map[string][]string{}
	op.MaxBodyBytes = publicBody
	op.BodyReadTimeout = -1 // the server's own, which ends with the body
	kind := audit.Did
	if op.Method == http.MethodGet {
		kind = audit.Saw
	}
	huma.Register(a.huma, op, func(ctx context.Context, in *I) (*O, error) {
		out, err := do(ctx, in)
		if err != nil {
			err = a.problemOf(err)
		}
		if unwritten := a.note(ctx, kind, access.Principal{ID: "anybody"}, publicAction, op, err); unwritten != nil {
			return nil, unwritten
		}
		return out, err
	})
}

// allows lets those through who are signed in and may do what is needed.
func (a *API) allows(needs access.Action, op huma.Operation) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		who, ok := access.From(ctx.Context())
		var refused error
		switch {
		case !ok:
			refused = problem(http.StatusUnauthorized, "not-signed-in", "sign in, or send a token: Authorization: Bearer ...")
			ctx.SetHeader("WWW-Authenticate", `Bearer realm="calends"`)
		case !who.May(needs):
			refused = problem(http.StatusForbidden, "not-allowed", "the role does not allow "+string(needs))
			refused = cmp.Or(a.note(ctx.Context(), audit.Refused, who, needs, op, refused), refused)
		default:
			if refused = once(ctx); refused == nil {
				next(ctx)
				return
			}
		}
		a.answer(ctx, refused)
	}
}

// once refuses parameters that stand in the query more than once: the first would be
// taken and the others lost.
func once(ctx huma.Context) error {
	u := ctx.URL()
	if u.RawQuery == "" {
		return nil
	}
	query := u.Query()
	for _, name := range slices.Sorted(maps.Keys(query)) {
		if len(query[name]) > 1 {
			return invalid("query."+name, "give it once; where it may have several values, with commas between them", query[name])
		}
	}
	return nil
}

// answer writes a problem.
func (a *API) answer(ctx huma.Context, err error) {
	status := http.StatusInternalServerError
	if s := huma.StatusError(nil); errors.As(err, &s) {
		status = s.GetStatus()
	}
	ctx.SetHeader("Content-Type", "application/problem+json")
	ctx.SetStatus(status)
	if err := a.huma.Marshal(ctx.BodyWriter(), "application/json", err); err != nil {
		a.Log.Debug("nobody reads the answer", "error", err)
	}
}

// note tells the trail of an answer. Without the trail there is no answer; what was
// asked may have been done by then, and is not done again when it is asked with the
// same key.
func (a *API) note(ctx context.Context, kind audit.Kind, who access.Principal, needs access.Action, op huma.Operation, answer error) error {
	asked := audit.AskedOf(ctx)
	e := audit.Event{
		At: a.Now().UTC().Format(time.RFC3339Nano), Kind: kind, Who: who.ID, Name: who.Name, Action: string(needs),
		Operation: op.OperationID, Path: asked.Path, Status: cmp.Or(op.DefaultStatus, http.StatusOK), From: asked.From, Request: asked.ID, Count: 1,
	}
	e.Partner, e.Object = asked.Subject()
	if status := huma.StatusError(nil); errors.As(answer, &status) {
		e.Status = status.GetStatus()
	}
	if err := a.Trail.Note(ctx, e); err != nil {
		a.Log.Error("the trail could not be written", "request", asked.ID, "error", err)
		return problem(http.StatusServiceUnavailable, "trail-unwritable", "who does what cannot be recorded at the moment, so nothing is answered; try again")
	}
	return nil
}
