package api_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/calends/calends/jobs"
	"github.com/calends/calends/jobs/serve/access"
	"github.com/calends/calends/jobs/serve/access/directory"
	"github.com/calends/calends/jobs/serve/api"
	"github.com/calends/calends/jobs/serve/audit"
	"github.com/calends/calends/jobs/serve/current"
	"github.com/calends/calends/jobs/serve/servetest"
	"github.com/calends/calends/pipeline/bucket"
)

// Two of the demo's partners, and one that is nobody.
const (
	ours     = "80f6fb73-3725-4404-a0ee-98ef768080f3"
	theirs   = "6c483e07-8f13-4923-9228-bccb7b3b8939"
	invented = "00000000-0000-4000-8000-000000000000"
)

func admin(id string, partners ...string) access.Principal {
	return access.Principal{ID: id, Name: id, Roles: []access.Role{access.GlobalAdmin}, Partners: partners, Everyone: len(partners) == 0}
}

var (
	boss  = admin("boss")
	here  = admin("here", ours)
	there = admin("there", theirs)
)

// office is the API with users, tokens and a trail.
type office struct {
	*testing.T
	bucket bucket.Bucket
	mux    *http.ServeMux
	people *directory.Directory
	trail  *audit.Store
	later  atomic.Int64
}

func (o *office) now() time.Time { return servetest.Now().Add(time.Duration(o.later.Load())) }

func newOffice(t *testing.T, reach func(id string) ([]string, bool)) *office {
	t.Helper()
	b := servetest.Demo(t)
	o := &office{T: t, bucket: b, mux: http.NewServeMux()}
	o.people = directory.New(b, o.now)
	log := slog.New(slog.DiscardHandler)
	o.trail = audit.NewStore(b, audit.Settings{Now: o.now, Log: log})
	env := func() jobs.Env { return servetest.Env(b) }
	api.New(o.mux, api.Desk{Env: env, Current: current.New(t.Context(), env, o.now, time.Hour), Directory: o.people, Reach: reach,
		Now: o.now, Trail: o.trail, Events: o.trail, Log: log, Version: "test"})
	return o
}

// ask asks as somebody, wants a status and reads the answer.
func (o *office) ask(who access.Principal, method, path, body string, status int, into any) string {
	o.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	ctx := audit.WithAsked(access.With(r.Context(), who), &audit.Asked{ID: "r1", From: "192.0.2.1", Path: r.URL.EscapedPath()})
	w := httptest.NewRecorder()
	o.mux.ServeHTTP(w, r.WithContext(ctx))
	if w.Code != status {
		o.Fatalf("%s %s as %s: %d %s, want %d", method, path, who.ID, w.Code, w.Body, status)
	}
	if into != nil {
		if err := json.Unmarshal(w.Body.Bytes(), into); err != nil {
			o.Fatalf("%s %s: %v in %s", method, path, err, w.Body)
		}
	}
	return w.Body.String()
}

// refused wants a problem of a type.
func (o *office) refused(who access.Principal, method, path, body string, status int, code string) string {
	o.Helper()
	var p struct{ Type, Detail string }
	text := o.ask(who, method, path, body, status, &p)
	if p.Type != "urn:calends:problem:"+code {
		o.Errorf("%s %s as %s: %s, want %s", method, path, who.ID, text, code)
	}
	return text
}

func rights(role string, partners ...string) string {
	text, err := json.Marshal(partners)
	if err != nil {
		panic(err)
	}
	if len(partners) == 0 {
		text = []byte("[]")
	}
	return fmt.Sprintf(`"roles":[%q],"partners":%s`, role, text)
}

func person(role string, partners ...string) string {
	return `{"name":"Anna",` + rights(role, partners...) + `}`
}

func users(o *office, who access.Principal) string {
	var list api.UserList
	o.ask(who, "GET", "/v1/users", "", 200, &list)
	ids := []string{}
	for _, u := range list.Items {
		ids = append(ids, u.ID)
	}
	return strings.Join(ids, " ")
}

func same(t *testing.T, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

const annasID = "entra:72f988bf-86f1-41af-91ab-2d7cd011db47:00000000-0000-0000-66f3-3332eca7ea81"

func TestUsers(t *testing.T) {
	t.Parallel()
	o := newOffice(t, nil)
	path := "/v1/users/" + url.PathEscape(annasID)
	var u api.User
	o.ask(here, "PUT", path, person("sales-agent", ours), 200, &u)
	same(t, fmt.Sprint(u.ID, u.Number, u.Roles, u.Partners, u.ChangedBy, u.ChangedAt), annasID+"1 [sales-agent] ["+ours+"]here2024-05-02T09:30:00Z")
	o.ask(here, "PUT", path, person("sales-agent", ours), 200, &u)
	same(t, fmt.Sprint(u.Number), "1") // the same again
	o.ask(here, "PUT", path, person("global-admin", ours), 200, &u)
	same(t, fmt.Sprint(u.Number, u.Roles), "2 [global-admin]")
	u = api.User{}
	o.ask(here, "GET", path, "", 200, &u)
	same(t, fmt.Sprint(u.Number, u.Disabled), "2 false")
	o.ask(here, "POST", path+"/disable", "", 200, &u)
	same(t, fmt.Sprint(u.Number, u.Disabled), "3 true")
	if _, err := o.people.Principal(t.Context(), directory.Claimed{ID: annasID}); !errors.Is(err, directory.ErrDisabled) {
		t.Errorf("got %v", err)
	}
	o.ask(boss, "PUT", "/v1/users/email:bert@example.com", `{"name":"Bert","roles":["admin-agent"],"partners":[],"everyone":true}`, 200, nil)
	o.ask(boss, "PUT", "/v1/users/both", person("admin-agent", ours, theirs), 200, nil)
	o.ask(boss, "PUT", "/v1/users/none", person("admin-agent"), 200, nil)
	same(t, users(o, boss), "both email:bert@example.com "+annasID+" none")
	same(t, users(o, here), annasID)
	same(t, users(o, there), "")
}

func TestUsersByPages(t *testing.T) {
	t.Parallel()
	o := newOffice(t, nil)
	for i := range 5 {
		o.ask(boss, "PUT", fmt.Sprintf("/v1/users/u%d", i), person("sales-agent", ours), 200, nil)
	}
	var list api.UserList
	o.ask(boss, "GET", "/v1/users?limit=3", "", 200, &list)
	same(t, fmt.Sprint(len(list.Items), list.Items[2].ID), "3u2")
	next := "/v1/users?limit=3&cursor=" + list.Next
	list = api.UserList{}
	o.ask(boss, "GET", next, "", 200, &list)
	same(t, fmt.Sprint(len(list.Items), list.Items[0].ID, list.Next), "2u3")
	o.refused(here, "GET", next, "", 400, "cursor") // another one's
	o.ask(boss, "PUT", "/v1/users/u9", person("sales-agent", ours), 200, nil)
	o.refused(boss, "GET", next, "", 400, "cursor")
}

// Nobody gives away more than they have, and what is another partner's does not exist.
func TestGlobalAdminsOfAPartner(t *testing.T) {
	t.Parallel()
	o := newOffice(t, nil)
	o.ask(there, "PUT", "/v1/users/x", person("sales-agent", theirs), 200, nil)
	o.ask(boss, "PUT", "/v1/users/both", person("sales-agent", ours, theirs), 200, nil)
	o.ask(boss, "PUT", "/v1/users/root", `{"name":"R","roles":["global-admin"],"partners":[],"everyone":true}`, 200, nil)
	for _, id := range []string{"x", "both", "root", "invented"} {
		path := "/v1/users/" + id
		for _, one := range []struct{ method, path, body string }{{"GET", path, ""}, {"POST", path + "/disable", ""}} {
			text := o.refused(here, one.method, one.path, one.body, 404, "not-found")
			same(t, text, o.refused(here, one.method, strings.Replace(one.path, id, "nobody", 1), one.body, 404, "not-found"))
		}
		if id != "invented" {
			o.refused(here, "PUT", path, person("sales-agent", ours), 404, "not-found")
		}
	}
	for name, test := range map[string]struct {
		body   string
		status int
		code   string
	}{
		"another partner":       {person("sales-agent", theirs), 422, "unknown-partner"},
		"an invented one":       {person("sales-agent", invented), 422, "unknown-partner"},
		"one's own and another": {person("sales-agent", ours, theirs), 422, "unknown-partner"},
		"everyone":              {`{"name":"A","roles":[],"partners":[],"everyone":true}`, 403, "more-than-own"},
		"everyone and partners": {`{"name":"A","roles":[],"partners":["` + ours + `"],"everyone":true}`, 422, "everyone-and-partners"},
		"no partner":            {person("sales-agent"), 422, "no-partner"},
	} {
		t.Run(name, func(t *testing.T) {
			o := &office{T: t, mux: o.mux}
			o.refused(here, "PUT", "/v1/users/new", test.body, test.status, test.code)
			token := strings.Replace(test.body, `{"name"`, `{"expires":"2024-06-01T00:00:00Z","name"`, 1)
			o.refused(here, "POST", "/v1/tokens", token, test.status, test.code)
		})
	}
	theirText := o.refused(here, "PUT", "/v1/users/new", person("sales-agent", theirs), 422, "unknown-partner")
	same(t, strings.ReplaceAll(theirText, theirs, invented), o.refused(here, "PUT", "/v1/users/new", person("sales-agent", invented), 422, "unknown-partner"))
	same(t, users(o, here), "")
	same(t, users(o, there), "x")
}

// A record takes away what the provider says: who writes the first one must hold it.
func TestWhoMayEnterAUser(t *testing.T) {
	t.Parallel()
	o := newOffice(t, func(id string) ([]string, bool) {
		switch id {
		case "of-ours":
			return []string{ours}, false
		case "of-theirs":
			return []string{theirs}, false
		case "of-both":
			return []string{ours, theirs}, false
		case "of-none":
			return nil, false
		}
		return nil, true
	})
	for id, want := range map[string]int{"of-ours": 200, "of-none": 200, "of-theirs": 404, "of-both": 404, "of-anybody": 404} {
		o.ask(here, "PUT", "/v1/users/"+id, person("sales-agent", ours), want, nil)
		o.ask(boss, "PUT", "/v1/users/"+id, person("sales-agent", ours), 200, nil)
	}
	o.ask(here, "PUT", "/v1/users/of-anybody", person("admin-agent", ours), 200, nil) // since it is theirs now
}

func TestNobodyTakesAwayTheirOwnRights(t *testing.T) {
	t.Parallel()
	o := newOffice(t, nil)
	for _, body := range []string{
		person("sales-agent", ours),
		`{"name":"A","disabled":true,` + rights("global-admin", ours) + `}`,
	} {
		o.refused(here, "PUT", "/v1/users/here", body, 422, "own-rights")
	}
	o.refused(boss, "PUT", "/v1/users/boss", person("global-admin", ours), 422, "own-rights")
	o.ask(here, "PUT", "/v1/users/here", person("global-admin", ours), 200, nil)
	o.refused(here, "POST", "/v1/users/here/disable", "", 422, "own-rights")
}

func TestUsersThatCannotBe(t *testing.T) {
	t.Parallel()
	o := newOffice(t, nil)
	for id, code := range map[string]string{"local": "user-id", "token:ABC": "user-id", "email:Anna@example.com": "user-id", "%20x": "user-id"} {
		o.refused(boss, "PUT", "/v1/users/"+id, person("sales-agent", ours), 422, code)
	}
	o.ask(boss, "PUT", "/v1/users/x", `{"name":"A","roles":["owner"],"partners":[]}`, 422, nil)
	o.ask(boss, "PUT", "/v1/users/x", `{"name":"","roles":[],"partners":[]}`, 422, nil)
	o.ask(boss, "PUT", "/v1/users/x", `{"name":"A","roles":[],"partners":[],"admin":true}`, 422, nil)
	o.refused(boss, "PUT", "/v1/users/x", person("sales-agent", invented), 422, "unknown-partner")
}

func TestRolesThatManageNobody(t *testing.T) {
	t.Parallel()
	o := newOffice(t, nil)
	for _, role := range []access.Role{access.AdminAgent, access.SalesAgent} {
		who := access.Principal{ID: "x", Roles: []access.Role{role}, Everyone: true}
		for _, one := range []struct{ method, path, body string }{
			{"GET", "/v1/users", ""}, {"GET", "/v1/users/x", ""}, {"PUT", "/v1/users/x", person("global-admin", ours)}, {"POST", "/v1/users/x/disable", ""},
			{"GET", "/v1/tokens", ""}, {"POST", "/v1/tokens", `{"name":"A","expires":"2024-06-01T00:00:00Z",` + rights("sales-agent", ours) + `}`}, {"POST", "/v1/tokens/x/revoke", ""},
			{"GET", "/v1/trail", ""}, {"GET", "/v1/trail/check", ""},
		} {
			o.refused(who, one.method, one.path, one.body, 403, "not-allowed")
		}
	}
	same(t, users(o, boss), "")
}

func TestTokens(t *testing.T) {
	t.Parallel()
	o := newOffice(t, nil)
	body := func(expires, role string, partners ...string) string {
		return `{"name":"ERP","expires":"` + expires + `",` + rights(role, partners...) + `}`
	}
	var made api.MadeToken
	text := o.ask(here, "POST", "/v1/tokens", body("2024-06-01T00:00:00Z", "global-admin", ours), 201, &made)
	if strings.Count(text, "cal_") != 1 {
		t.Errorf("got %s", text)
	}
	who, err := o.people.Bearer(t.Context(), made.Secret)
	if err != nil || who.ID != "token:"+made.ID || !who.Sees(ours) || who.Sees(theirs) {
		t.Errorf("%+v %v", who, err)
	}
	for _, expires := range []string{"2024-05-02T09:30:00Z", "2020-01-01T00:00:00Z", "2025-05-04T00:00:00Z"} {
		o.refused(here, "POST", "/v1/tokens", body(expires, "sales-agent", ours), 422, "expires")
	}
	// A token that a token makes ends no later than it.
	o.refused(who, "POST", "/v1/tokens", body("2024-06-01T00:00:01Z", "sales-agent", ours), 422, "expires")
	var child api.MadeToken
	o.ask(who, "POST", "/v1/tokens", body("2024-06-01T00:00:00Z", "sales-agent", ours), 201, &child)

	list := func(who access.Principal) string {
		var tokens api.TokenList
		text := o.ask(who, "GET", "/v1/tokens", "", 200, &tokens)
		if strings.Contains(text, made.Secret[20:]) || strings.Contains(text, "sha256") {
			t.Errorf("the token is told: %s", text)
		}
		return fmt.Sprint(len(tokens.Items))
	}
	same(t, list(here)+list(boss)+list(there), "220")
	o.refused(there, "POST", "/v1/tokens/"+made.ID+"/revoke", "", 404, "not-found")
	o.refused(here, "POST", "/v1/tokens/NONE/revoke", "", 404, "not-found")
	var revoked api.Token
	for range 2 {
		o.ask(here, "POST", "/v1/tokens/"+made.ID+"/revoke", "", 200, &revoked)
		same(t, fmt.Sprint(revoked.Live, revoked.RevokedBy), "falsehere")
	}
	for _, secret := range []string{made.Secret, child.Secret} {
		if _, err := o.people.Bearer(t.Context(), secret); !errors.Is(err, directory.ErrToken) {
			t.Errorf("got %v", err)
		}
	}
	for info, err := range o.bucket.List(t.Context(), "audit/") {
		if err != nil {
			t.Fatal(err)
		}
		data, err := bucket.ReadAll(t.Context(), o.bucket, info.Key)
		if err != nil || strings.Contains(string(data), made.Secret) {
			t.Errorf("%s: %v, or it tells the token", info.Key, err)
		}
	}
}

// trailOf is what somebody finds in the trail: kind, who, object.
func trailOf(o *office, who access.Principal, query string) string {
	all, next := []string{}, ""
	for {
		var page api.Trail
		o.ask(who, "GET", "/v1/trail?"+query+"&cursor="+next, "", 200, &page)
		for _, e := range page.Items {
			all = append(all, strings.TrimSpace(fmt.Sprint(e.Kind, " ", e.Who, " ", e.Object)))
		}
		if next = page.Next; next == "" {
			return strings.Join(all, ", ")
		}
	}
}

func TestTheTrail(t *testing.T) {
	t.Parallel()
	o := newOffice(t, func(id string) ([]string, bool) { return []string{ours}, id != "of-ours" })
	put := func(e audit.Event) {
		e.At, e.Status, e.Count = o.now().Format(time.RFC3339), 200, 1
		if err := o.trail.Note(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		o.later.Add(int64(time.Second))
	}
	o.ask(boss, "PUT", "/v1/users/anna", person("admin-agent", ours), 200, nil)
	o.ask(boss, "PUT", "/v1/users/carl", person("admin-agent", theirs), 200, nil)
	put(audit.Event{Kind: audit.Downloaded, Who: "anna", Partner: ours, Object: "lines.csv"})
	put(audit.Event{Kind: audit.Downloaded, Who: "boss", Partner: ours, Object: "lines.csv"})
	put(audit.Event{Kind: audit.Downloaded, Who: "carl", Partner: theirs, Object: "lines.csv"})
	put(audit.Event{Kind: audit.SignedIn, Who: "anna"})
	put(audit.Event{Kind: audit.SignedIn, Who: "carl"})
	put(audit.Event{Kind: audit.SignedIn, Who: "of-ours"})
	put(audit.Event{Kind: audit.SignedIn, Who: "of-anybody"})
	put(audit.Event{Kind: audit.Refused, Who: "nobody"})
	put(audit.Event{Kind: audit.SignedIn, Who: "here"})

	all := "did boss user anna, did boss user carl, downloaded anna lines.csv, downloaded boss lines.csv, downloaded carl lines.csv, " +
		"signed-in anna, signed-in carl, signed-in of-ours, signed-in of-anybody, refused nobody, signed-in here"
	same(t, trailOf(o, boss, ""), all)
	same(t, trailOf(o, boss, "limit=1"), all)
	same(t, trailOf(o, boss, "limit=4"), all)
	same(t, trailOf(o, here, ""), "did boss user anna, downloaded anna lines.csv, downloaded boss lines.csv, signed-in anna, signed-in of-ours, signed-in here")
	same(t, trailOf(o, here, "limit=2"), trailOf(o, here, ""))
	same(t, trailOf(o, here, "partnerId="+theirs), "")
	same(t, trailOf(o, here, "who=carl"), "")
	same(t, trailOf(o, boss, "who=carl"), "downloaded carl lines.csv, signed-in carl")
	same(t, trailOf(o, boss, "kind=refused"), "refused nobody")
	same(t, trailOf(o, boss, "day=2024-05-01"), "")
	o.ask(boss, "GET", "/v1/trail?day=yesterday", "", 422, nil)
	o.refused(boss, "GET", "/v1/trail?cursor=x", "", 400, "cursor")

	var checked audit.Checked
	o.ask(boss, "GET", "/v1/trail/check?from=2024-05-02", "", 200, &checked)
	if len(checked.Faults) != 0 || checked.Events < 11 {
		t.Errorf("%+v", checked)
	}
	o.refused(here, "GET", "/v1/trail/check", "", 403, "not-every-partner")
	o.refused(boss, "GET", "/v1/trail/check?from=2024-05-02&to=2024-05-01", "", 422, "wrong-usage")
	o.refused(boss, "GET", "/v1/trail/check?from=2024-05-02&to=2024-06-02", "", 422, "wrong-usage")
}
