package api

import (
	"context"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/calends/calends/jobs/serve/access"
	"github.com/calends/calends/jobs/serve/audit"
)

// TrailEvent is one thing that somebody did or tried.
type TrailEvent struct {
	At        string     `json:"at" format:"date-time"`
	Kind      audit.Kind `json:"kind" enum:"did,saw,downloaded,signed-in,refused"`
	Who       string     `json:"who" doc:"The id of a user or a token; nobody where that could not be found out"`
	Name      string     `json:"name,omitempty" doc:"As it was then"`
	Action    string     `json:"action" doc:"What the role had to allow"`
	Operation string     `json:"operation" doc:"Of this API, or of the page"`
	Path      string     `json:"path" doc:"What was asked, without the query"`
	Partner   string     `json:"partner,omitempty" doc:"Whose it was, where it was one partner's"`
	Object    string     `json:"object,omitempty" doc:"What it was, such as an order or a file"`
	Status    int        `json:"status"`
	From      string     `json:"from,omitempty" doc:"The address"`
	Request   string     `json:"request" doc:"The id of the request, as the log has it"`
	Count     int64      `json:"count" doc:"How often within the minute, of what was seen"`
}

// Trail is some of a day's events, in the order in which they were written.
type Trail struct {
	List[TrailEvent]
}

// listTrail is a question for events.
type listTrail struct {
	Day     string `query:"day" format:"date" example:"2026-11-23" doc:"Of UTC, on which they were written. Default: today"`
	Who     string `query:"who" maxLength:"300" doc:"The id of a user or a token"`
	Partner string `query:"partnerId" maxLength:"100" doc:"PartnerId"`
	Kind    string `query:"kind" enum:"did,saw,downloaded,signed-in,refused"`
	Page
}

// checkTrail is a question for the trail's faults.
type checkTrail struct {
	From string `query:"from" format:"date" example:"2026-11-01" doc:"The first day, of UTC. Default: today"`
	To   string `query:"to" format:"date" example:"2026-11-23" doc:"The last day, at most 31 in all. Default: the first"`
}

type checkedOutput struct{ Body audit.Checked }

// mostScanned is how many events one page looks through, whatever it asks for.
const mostScanned = 50_000

func (a *API) registerTrail() {
	tags := []string{"Trail"}
	register(a, access.SeeTrail, huma.Operation{OperationID: "list-trail", Method: http.MethodGet, Path: "/v1/trail",
		Summary: "Who did, saw and downloaded what", Tags: tags, Errors: []int{http.StatusBadRequest},
		Description: "Of those who do not belong to every partner, the events of their partners, and those of no partner of users and tokens that are wholly theirs. " +
			"What was seen is written within seconds. A page may have fewer items than the limit, and a next all the same."},
		a.listTrail)
	register(a, access.SeeTrail, huma.Operation{OperationID: "check-trail", Method: http.MethodGet, Path: "/v1/trail/check",
		Summary: "Check that the trail is whole", Tags: tags,
		Description: "Each object of the trail has the SHA-256 of the one before it: what is missing or was changed shows. For those who belong to every partner."},
		a.checkTrail)
}

// dayOf reads a day; blank is the other one.
func dayOf(location, text string, other time.Time) (time.Time, error) {
	if text == "" {
		return other, nil
	}
	day, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return day, &huma.ErrorModel{Type: problemTypes + "wrong-usage", Title: http.StatusText(http.StatusUnprocessableEntity), Status: http.StatusUnprocessableEntity,
			Detail: "want a day, such as 2026-11-23", Errors: []*huma.ErrorDetail{{Message: "want a day", Location: location, Value: text}}}
	}
	return day, nil
}

func (a *API) today() time.Time { return a.Now().UTC().Truncate(24 * time.Hour) }

func (a *API) listTrail(ctx context.Context, who access.Principal, in *listTrail) (*struct{ Body Trail }, error) {
	day, err := dayOf("query.day", in.Day, a.today())
	if err != nil {
		return nil, err
	}
	depends := []string{"trail", day.Format(time.DateOnly), in.Who, in.Partner, in.Kind, who.ID}
	after, err := in.afterEvent(depends...)
	if err != nil {
		return nil, err
	}
	out := &struct{ Body Trail }{Trail{List[TrailEvent]{Items: []TrailEvent{}}}}
	sees := a.seesEvents(ctx, who)
	scanned := 0
	var last audit.Place
	for e, err := range a.Events.Events(ctx, day, day, after) {
		if err != nil {
			return nil, err
		}
		if len(out.Body.Items) == in.Limit || scanned == mostScanned {
			out.Body.Next = trailCursor(last, depends...)
			break
		}
		scanned++
		last = e.Place
		if in.Who != "" && e.Who != in.Who || in.Partner != "" && e.Partner != in.Partner || in.Kind != "" && string(e.Kind) != in.Kind {
			continue
		}
		seen, err := sees(e.Event)
		if err != nil {
			return nil, err
		}
		if seen {
			out.Body.Items = append(out.Body.Items, TrailEvent(e.Event))
		}
	}
	return out, nil
}

// seesEvents tells which events are a caller's to see: those of his partners, and of no
// partner his own and those of users and tokens that are wholly of his partners.
func (a *API) seesEvents(ctx context.Context, who access.Principal) func(e audit.Event) (bool, error) {
	held := map[string]bool{who.ID: true}
	return func(e audit.Event) (bool, error) {
		if who.Everyone || e.Partner != "" {
			return who.Everyone || who.Sees(e.Partner), nil
		}
		if holds, known := held[e.Who]; known {
			return holds, nil
		}
		partners, everyone, err := a.belongs(ctx, e.Who)
		if err != nil {
			return false, err
		}
		held[e.Who] = who.Holds(partners, everyone)
		return held[e.Who], nil
	}
}

// belongs tells the partners of a user or a token; of one without a record, the most
// that the provider of the sign-in can say.
func (a *API) belongs(ctx context.Context, id string) (partners []string, everyone bool, err error) {
	if token, ok := strings.CutPrefix(id, access.TokenIDs); ok {
		t, known, err := a.Directory.Token(ctx, token)
		if !known || err != nil {
			return nil, false, nil
		}
		return t.Partners, t.Everyone, nil
	}
	u, known, err := a.Directory.User(ctx, id)
	switch {
	case known && err != nil:
		return nil, true, nil // a record that cannot be read
	case err != nil:
		return nil, false, err
	case known:
		return u.Partners, u.Everyone, nil
	case a.Reach == nil:
		return nil, true, nil
	}
	partners, everyone = a.Reach(id)
	return partners, everyone, nil
}

// trailCursor is a cursor to what was written after a place. It keeps fitting, since
// what is written never changes.
func trailCursor(p audit.Place, depends ...string) string {
	of := digest(depends...)
	return base64.RawURLEncoding.EncodeToString(append(of[:8:8], strconv.Itoa(p.Line)+" "+p.Key...))
}

func (p Page) afterEvent(depends ...string) (audit.Place, error) {
	if p.Cursor == "" {
		return audit.Place{}, nil
	}
	of := digest(depends...)
	data, err := base64.RawURLEncoding.DecodeString(p.Cursor)
	if err != nil || len(data) < 8 || string(data[:8]) != string(of[:8]) {
		return audit.Place{}, unfitCursor()
	}
	line, key, _ := strings.Cut(string(data[8:]), " ")
	n, err := strconv.Atoi(line)
	if err != nil || n < 1 || key == "" {
		return audit.Place{}, unfitCursor()
	}
	return audit.Place{Key: key, Line: n}, nil
}

func unfitCursor() error {
	return problem(http.StatusBadRequest, "cursor", "the cursor does not fit, or fits no more: ask for the first page again")
}

func (a *API) checkTrail(ctx context.Context, who access.Principal, in *checkTrail) (*checkedOutput, error) {
	if !who.Everyone {
		return nil, problem(http.StatusForbidden, "not-every-partner", "the trail is checked as a whole, and has events of partners that you do not belong to")
	}
	from, err := dayOf("query.from", in.From, a.today())
	if err != nil {
		return nil, err
	}
	to, err := dayOf("query.to", in.To, from)
	if err != nil {
		return nil, err
	}
	if to.Before(from) || to.Sub(from) > 30*24*time.Hour {
		return nil, problem(http.StatusUnprocessableEntity, "wrong-usage", "want at most 31 days, from the first to the last")
	}
	checked, err := a.Events.Check(ctx, from, to)
	return &checkedOutput{checked}, err
}
