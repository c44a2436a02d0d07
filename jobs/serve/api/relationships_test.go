package api

import (
	"strings"
	"testing"
	"time"

	"github.com/calends/calends/jobs"
	"github.com/calends/calends/jobs/relationship"
	"github.com/calends/calends/pipeline/bucket"
)

// newcomer creates a customer whom nobody has asked yet.
func (d *customerDesk) newcomer() string {
	d.Helper()
	return want[Customer](d, d.as(agent(dutch), "POST", "/v1/customers", pizza, "Idempotency-Key", "newcomer"), 201).ID
}

func (d *customerDesk) request(id string) RelationshipRequest {
	d.Helper()
	w := d.as(agent(dutch), "POST", "/v1/customers/"+id+"/relationship-requests", "")
	if got := w.Header().Get("Cache-Control"); got != "no-store" {
		d.Errorf("Cache-Control: %s", got)
	}
	return want[RelationshipRequest](d, w, 201)
}

func (d *customerDesk) state(id string) relationship.State {
	d.Helper()
	return want[Customer](d, d.as(agent(dutch), "GET", "/v1/customers/"+id, ""), 200).Relationship
}

const carl = `{"name":"Carla Voorbeeld"}`

func TestRelationshipIsAskedAndAccepted(t *testing.T) {
	t.Parallel()
	d := newCustomerDesk(t)
	id := d.newcomer()
	r := d.request(id)
	if r.Link != "https://billing.example.com/relationship-links/"+r.Token || r.Number != 1 || r.Expires != "2024-06-01T09:30:00Z" {
		t.Errorf("%+v", r)
	}
	if got := d.state(id); got != relationship.Requested {
		t.Errorf("asked: %s", got)
	}
	link := "/v1/relationship-links/" + r.Token
	w := d.stranger("GET", link, "")
	if q := want[LinkQuestion](t, w, 200); q.Partner != "Voorbeeldstad Cloud B.V." || q.Expires != r.Expires || strings.Contains(w.Body.String(), "Pizzeria") {
		t.Errorf("the link asks %s", w.Body)
	}
	d.now = d.now.Add(time.Hour)
	if got := want[LinkAnswer](t, d.stranger("POST", link+"/accept", carl), 200); got.Says != "accepted" || got.Partner != "Voorbeeldstad Cloud B.V." {
		t.Errorf("%+v", got)
	}
	if e := d.trail.last(); e.Who != "anybody" || e.Partner != dutch || e.Object != "customer "+id || e.From != "203.0.113.9" || e.Operation != "accept-relationship-link" {
		t.Errorf("the trail has %+v", e)
	}
	if got := d.state(id); got != relationship.Accepted {
		t.Errorf("accepted: %s", got)
	}
	w = d.as(agent(dutch), "GET", "/v1/customers/"+id+"/relationship", "")
	got := want[Relationship](t, w, 200)
	if got.State != "accepted" || got.Imported || len(got.History) != 2 || got.History[0].Says != "requested" || got.History[0].By != "agent-1" || got.History[0].Expires != r.Expires {
		t.Errorf("%+v", got)
	}
	if answer := got.History[1]; answer.Name != "Carla Voorbeeld" || answer.From != "203.0.113.9" || answer.Request != 1 || answer.At != "2024-05-02T10:30:00Z" || answer.By != "" {
		t.Errorf("%+v", answer)
	}
	if strings.Contains(w.Body.String(), "ecret") || strings.Contains(w.Body.String(), r.Token[strings.LastIndex(r.Token, "_"):]) {
		t.Errorf("the history has a secret: %s", w.Body)
	}
	d.refuses(d.as(agent(dutch), "POST", "/v1/customers/"+id+"/relationship-requests", ""), 409, "relationship-accepted")
}

func TestRelationshipIsDeclinedAndAskedAgain(t *testing.T) {
	t.Parallel()
	d := newCustomerDesk(t)
	id := d.newcomer()
	first := d.request(id)
	want[LinkAnswer](t, d.stranger("POST", "/v1/relationship-links/"+first.Token+"/decline", carl), 200)
	if got := d.state(id); got != relationship.Declined {
		t.Errorf("declined: %s", got)
	}
	second := d.request(id)
	if second.Number != 3 || second.Token == first.Token {
		t.Errorf("%+v", second)
	}
	want[LinkAnswer](t, d.stranger("POST", "/v1/relationship-links/"+second.Token+"/accept", carl), 200)
	if got := d.state(id); got != relationship.Accepted {
		t.Errorf("accepted: %s", got)
	}
}

func TestRequestIsWithdrawn(t *testing.T) {
	t.Parallel()
	d := newCustomerDesk(t)
	id := d.newcomer()
	r := d.request(id)
	path := "/v1/customers/" + id + "/relationship-requests/"
	d.refuses(d.as(agent(dutch), "DELETE", path+"2", ""), 409, "no-open-request")
	want[struct{}](t, d.as(agent(dutch), "DELETE", path+"1", ""), 204)
	if got := d.state(id); got != relationship.None {
		t.Errorf("withdrawn: %s", got)
	}
	d.refuses(d.as(agent(dutch), "DELETE", path+"1", ""), 409, "no-open-request")
	d.refuses(d.stranger("POST", "/v1/relationship-links/"+r.Token+"/accept", carl), 404, "link")
	d.refuses(d.as(agent(dutch), "POST", "/v1/customers/"+id+"/relationship-requests?validDays=91", ""), 422, "")
}

// Links that never were, are over, or were answered have one answer, to the letter.
func TestLinksTellNothing(t *testing.T) {
	t.Parallel()
	d := newCustomerDesk(t)
	id := d.newcomer()
	old, answered := d.request(id), d.request(id)
	want[LinkAnswer](t, d.stranger("POST", "/v1/relationship-links/"+answered.Token+"/decline", carl), 200)
	expired := d.request(id)
	d.now = d.now.Add(30 * 24 * time.Hour)
	if got := d.state(id); got != relationship.Expired {
		t.Errorf("after thirty days: %s", got)
	}
	for _, ask := range []struct{ method, end, body string }{{"GET", "", ""}, {"POST", "/accept", carl}, {"POST", "/decline", carl}} {
		var one string
		for _, token := range []string{old.Token, answered.Token, expired.Token, "x", strings.Repeat("a", 4000), "%20", "..%2F..", expired.Token[:len(expired.Token)-1]} {
			w := d.stranger(ask.method, "/v1/relationship-links/"+token+ask.end, ask.body)
			d.refuses(w, 404, "link")
			if one == "" {
				one = w.Body.String()
			}
			if got := w.Body.String(); got != one {
				t.Errorf("%s %.20s: %s, want %s", ask.method, token, got, one)
			}
		}
	}
	fresh := d.request(id)
	for _, body := range []string{`{}`, `{"name":""}`, `{"name":"  "}`, `{"name":"a\nb"}`, `{"name":"x","customer":"y"}`} {
		d.refuses(d.stranger("POST", "/v1/relationship-links/"+fresh.Token+"/accept", body), 422, "")
	}
	if w := d.stranger("POST", "/v1/relationship-links/"+fresh.Token+"/accept", `{"name":"`+strings.Repeat("x", publicBody)+`"}`); w.Code != 413 {
		t.Errorf("a body of more than %d bytes: %d", publicBody, w.Code)
	}
	if got := d.state(id); got != relationship.Requested {
		t.Errorf("after wrong answers: %s", got)
	}
}

// What is imported later and is news counts; what is repeated does not.
func TestImportsAfterAnAnswer(t *testing.T) {
	t.Parallel()
	d := newCustomerDesk(t)
	id := d.newcomer()
	want[LinkAnswer](t, d.stranger("POST", "/v1/relationship-links/"+d.request(id).Token+"/accept", carl), 200)
	take := func(name, word string) {
		t.Helper()
		file := "CustomerId,CustomerName,CustomerCountry,PartnerId,Relationship\n" + id + "," + name + ",NL," + dutch + "," + word + "\n"
		if _, err := d.env.Ingest(t.Context(), jobs.IngestPlan{Paths: []string{"-"}, Stdin: strings.NewReader(file)}); err != nil {
			t.Fatal(err)
		}
		d.now = d.now.Add(time.Hour) // the desk reads anew
	}
	for i, tt := range []struct {
		word string
		want relationship.State
	}{{"", relationship.Accepted}, {"none", relationship.Accepted}, {"Declined", relationship.Declined}, {"", relationship.Declined}} {
		take("Pizzeria "+strings.Repeat("I", i+1), tt.word)
		if got := d.state(id); got != tt.want {
			t.Errorf("import %d, %q: %s, want %s", i+1, tt.word, got, tt.want)
		}
	}
	got := want[Relationship](t, d.as(agent(dutch), "GET", "/v1/customers/"+id+"/relationship", ""), 200)
	if !got.Imported || len(got.History) != 2 {
		t.Errorf("%+v", got)
	}
}

// Nothing that is kept of all this has a secret in it.
func TestSecretsAreNotKept(t *testing.T) {
	t.Parallel()
	d := newCustomerDesk(t)
	r := d.request(d.newcomer())
	secret := r.Token[strings.LastIndex(r.Token, "_")+1:]
	for info, err := range d.bucket.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		data, err := bucket.ReadAll(t.Context(), d.bucket, info.Key)
		if err != nil || strings.Contains(string(data), secret) {
			t.Errorf("%s: %v, %q", info.Key, err, data)
		}
	}
	for _, e := range d.trail.events {
		if strings.Contains(e.Path+e.Object, secret) {
			t.Errorf("the trail has %+v", e)
		}
	}
}
