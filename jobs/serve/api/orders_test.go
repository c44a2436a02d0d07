package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/calends/calends/jobs"
	"github.com/calends/calends/jobs/serve/access"
	"github.com/calends/calends/jobs/serve/servetest"
)

// Subscriptions of the demo, of Voorbeeld Fietsen B.V. but for the last.
const (
	standard    = "ac85bab0-1652-40cc-94ec-81da3ac37385" // 26 seats of Business Standard, to 14 January 2025
	dairyPlan   = "770f9957-c3ed-4a2d-af57-c0fc9fb8c8f0" // Sampleton's
	tenStandard = `{"customerId":"` + fietsen + `","lines":[{"productId":"CFQ7TTC0LDPB","skuId":"1","termDuration":"P1Y","billingCycle":"Monthly","quantity":10%s}]}`
)

func keyed(key string) []string { return []string{"Idempotency-Key", key} }

// buys sends an order and wants it taken.
func (d *customerDesk) buys(key, method, path, body string) jobs.OrderResult {
	d.Helper()
	status := http.StatusCreated
	if method != "POST" {
		status = http.StatusOK
	}
	return want[jobs.OrderResult](d, d.as(agent(dutch), method, path, body, keyed(key)...), status)
}

func TestPlaceOrder(t *testing.T) {
	t.Parallel()
	d := newCustomerDesk(t)
	body := fmt.Sprintf(tenStandard, "")
	quoted := want[jobs.CartQuote](t, d.as(agent(dutch), "POST", "/v1/quotes", body), 200)
	first := d.as(agent(dutch), "POST", "/v1/orders", body, keyed("one")...)
	o := want[jobs.OrderResult](t, first, 201)
	// The Dutch sheet of May has 124.44 for the year: 10.37 a cycle, ten of them 103.70, tax 21.777.
	if o.Quote.ThisMonth != (jobs.Amounts{Subtotal: "103.70", TaxTotal: "21.77", Total: "125.47"}) || o.Quote.ThisMonth != quoted.ThisMonth || o.By != "agent-1" {
		t.Errorf("quoted %+v, ordered %+v", quoted.ThisMonth, o)
	}
	if o.Quote.Changes[0].ReturnableUntil != "2024-05-09T09:30:00Z" || len(o.Quote.FromNextMonth[0].Cycles) != 11 {
		t.Errorf("%+v", o.Quote)
	}
	if at := first.Header().Get("Location"); at != "/v1/orders/"+o.ID {
		t.Errorf("it is at %s", at)
	}
	if e := d.trail.last(); e.Operation != "place-order" || e.Partner != dutch || e.Object != "order "+o.ID {
		t.Errorf("the trail has %+v", e)
	}

	d.now = d.now.Add(72 * time.Hour)
	again := d.as(agent(dutch), "POST", "/v1/orders", body, keyed("one")...)
	read := d.as(agent(dutch), "GET", "/v1/orders/"+strings.ToUpper(o.ID), "")
	for name, w := range map[string]*httptest.ResponseRecorder{"asked again": again, "read": read} {
		if w.Body.String() != first.Body.String() {
			t.Errorf("%s: %d\n%s\nwant\n%s", name, w.Code, w.Body, first.Body)
		}
	}
	d.refuses(d.as(agent(dutch), "POST", "/v1/orders", fmt.Sprintf(tenStandard, `,"autoRenewEnabled":false`), keyed("one")...), 409, "idempotency-key-reused")
	if other := d.buys("two", "POST", "/v1/orders", body); other.ID == o.ID || other.SubscriptionIDs[0] == o.SubscriptionIDs[0] {
		t.Errorf("another key: %+v", other)
	}
	// The quote was of an order that never came.
	bought, err := d.env.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	views, err := bought.SubscriptionsOf(t.Context(), fietsen, servetest.Today+3)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, v := range views {
		if v.Start.String() >= quoted.Time {
			n++
		}
	}
	if n != 2 {
		t.Errorf("%d subscriptions were bought, want 2", n)
	}
}

// The border: what is another partner's is not there, and a role that may not is told so.
func TestOrdersOfOthers(t *testing.T) {
	t.Parallel()
	d := newCustomerDesk(t)
	o := d.buys("one", "POST", "/v1/orders", fmt.Sprintf(tenStandard, ""))
	cancel := `"cancellation":{}`
	for _, tt := range []struct{ method, path, body, ours, invented string }{
		{"POST", "/v1/orders", fmt.Sprintf(tenStandard, ""), fietsen, nobody},
		{"POST", "/v1/quotes", fmt.Sprintf(tenStandard, ""), fietsen, nobody},
		{"POST", "/v1/quotes", `{"changes":[{"subscriptionId":"` + standard + `",` + cancel + `}]}`, standard, nobody},
		{"GET", "/v1/orders/" + o.ID, "", o.ID, nobody},
		{"GET", "/v1/end-dates?term=P1Y&customerId=" + fietsen, "", fietsen, nobody},
		{"GET", "/v1/subscriptions/" + standard + "/end-dates", "", standard, nobody},
		{"POST", "/v1/subscriptions/" + standard + "/seats", `{"quantity":30}`, standard, nobody},
		{"POST", "/v1/subscriptions/" + standard + "/upgrades", `{"toProductId":"CFQ7TTC0LCHC","toSkuId":"0002"}`, standard, nobody},
		{"PUT", "/v1/subscriptions/" + standard + "/next-term", `{"quantity":30}`, standard, nobody},
		{"DELETE", "/v1/subscriptions/" + standard + "/next-term", "", standard, nobody},
		{"POST", "/v1/subscriptions/" + standard + "/auto-renew", `{"enabled":false}`, standard, nobody},
		{"POST", "/v1/subscriptions/" + standard + "/end-date", `{"alignTo":"calendar-month"}`, standard, nobody},
		{"POST", "/v1/subscriptions/" + standard + "/conversion", `{}`, standard, nobody},
		{"POST", "/v1/subscriptions/" + standard + "/cancellation", "", standard, nobody},
		{"POST", "/v1/subscriptions/" + standard + "/suspension", "", standard, nobody},
		{"POST", "/v1/subscriptions/" + standard + "/reactivation", "", standard, nobody},
		{"POST", "/v1/subscriptions/" + standard + "/billing-plan", `{"billingCycle":"Annual"}`, standard, nobody},
	} {
		name := tt.method + " " + tt.path
		key := keyed("of-others")
		if tt.method == "GET" || tt.path == "/v1/quotes" {
			key = nil
		}
		other := d.as(agent(us), tt.method, tt.path, tt.body, key...)
		d.refuses(other, 404, "not-found")
		replace := func(s string) string { return strings.ReplaceAll(s, tt.ours, tt.invented) }
		invented := d.as(agent(us), tt.method, replace(tt.path), replace(tt.body), key...)
		if invented.Code != 404 || replace(other.Body.String()) != invented.Body.String() {
			t.Errorf("%s of another partner: %s\ninvented: %d %s", name, other.Body, invented.Code, invented.Body)
		}
		none := agent(dutch)
		none.Roles = []access.Role{"guest"}
		d.refuses(d.as(none, tt.method, tt.path, tt.body, key...), 403, "not-allowed")
	}
	// One's own customer does not open another's subscription.
	d.refuses(d.as(agent(us), "POST", "/v1/quotes", `{"customerId":"c99fd50d-b26c-4098-8dec-54feeda05e1b","changes":[{"subscriptionId":"`+standard+`",`+cancel+`}]}`), 404, "not-found")
	d.refuses(d.as(agent(), "POST", "/v1/quotes", `{"customerId":"`+fietsen+`","changes":[{"subscriptionId":"`+dairyPlan+`",`+cancel+`}]}`), 404, "not-found")
	d.refuses(d.as(agent(dutch), "POST", "/v1/orders", fmt.Sprintf(tenStandard, `,"parentSubscriptionId":"`+dairyPlan+`"`), keyed("x")...), 404, "not-found")
	d.refuses(d.as(agent(dutch), "POST", "/v1/orders", fmt.Sprintf(tenStandard, `,"alignTo":"`+dairyPlan+`"`), keyed("x")...), 404, "not-found")
	d.refuses(d.as(agent(dutch), "POST", "/v1/subscriptions/"+standard+"/upgrades", `{"toProductId":"a","toSkuId":"b","toSubscriptionId":"`+dairyPlan+`"}`, keyed("x")...), 404, "not-found")
}

func TestWrongOrders(t *testing.T) {
	t.Parallel()
	d := newCustomerDesk(t)
	seats := "/v1/subscriptions/" + standard + "/seats"
	for _, tt := range []struct {
		name, method, path, body string
		status                   int
		code                     string
	}{
		{"seats whose window is closed", "POST", seats, `{"quantity":20}`, 422, "SEAT_WINDOW_CLOSED"},
		{"a cancellation after the window", "POST", "/v1/subscriptions/" + standard + "/cancellation", "", 422, "CANCEL_WINDOW_CLOSED"},
		{"a conversion of no trial", "POST", "/v1/subscriptions/" + standard + "/conversion", `{}`, 422, "INVALID_CHANGE"},
		{"a plan that stays", "POST", "/v1/subscriptions/" + standard + "/billing-plan", `{"billingCycle":"Annual"}`, 422, "PLAN_CHANGE_NOT_ALLOWED"},
		{"an upgrade that is none", "POST", "/v1/subscriptions/" + standard + "/upgrades", `{"toProductId":"CFQ7TTC0LH18","toSkuId":"0001"}`, 422, "UPGRADE_NOT_ELIGIBLE"},
		{"an end outside of the next term", "POST", "/v1/subscriptions/" + standard + "/end-date", `{"customTermEndDate":"2024-06-30"}`, 422, "TERM_END_NOT_ALLOWED"},
		{"an end outside of the term", "POST", "/v1/orders", fmt.Sprintf(tenStandard, `,"customTermEndDate":"2026-01-01"`), 422, "TERM_END_NOT_ALLOWED"},
		{"no end at all", "POST", "/v1/subscriptions/" + standard + "/end-date", `{}`, 422, ""},
		{"two ends", "POST", "/v1/orders", fmt.Sprintf(tenStandard, `,"customTermEndDate":"2025-01-01","alignTo":"calendar-month"`), 422, ""},
		{"an empty schedule", "PUT", "/v1/subscriptions/" + standard + "/next-term", `{}`, 422, ""},
		{"no seats", "POST", seats, `{"quantity":0}`, 422, ""},
		{"seats in words", "POST", seats, `{"quantity":"30"}`, 422, ""},
		{"a field that is none", "POST", seats, `{"quantity":30,"override":"please"}`, 422, ""},
		{"a term that is none", "POST", "/v1/orders", strings.Replace(fmt.Sprintf(tenStandard, ""), "P1Y", "P2Y", 1), 422, ""},
		{"an empty cart", "POST", "/v1/orders", `{"customerId":"` + fietsen + `","lines":[]}`, 422, ""},
	} {
		p := d.refuses(d.as(agent(dutch), tt.method, tt.path, tt.body, keyed("wrong")...), tt.status, tt.code)
		if tt.code != "" && (len(p.Errors) == 0 || p.Errors[0].Location != "rule" || p.Errors[0].Message == "" || p.Detail == "") {
			t.Errorf("%s: says %+v", tt.name, p)
		}
	}
	two := strings.Replace(fmt.Sprintf(tenStandard, ""), `"lines":[`, `"lines":[{"productId":"CFQ7TTC0LDPB","skuId":"1","termDuration":"P1Y","billingCycle":"Monthly","quantity":301},`, 1)
	if p := d.refuses(d.as(agent(dutch), "POST", "/v1/orders", two, keyed("wrong")...), 422, "INVALID_CHANGE"); len(p.Errors) != 2 || p.Errors[1].Location != "body.lines[0]" {
		t.Errorf("the first of two: %+v", p)
	}
	for _, key := range []string{"", strings.Repeat("k", 256), "two words", "Schlüssel"} {
		var pairs []string
		if key != "" {
			pairs = keyed(key)
		}
		d.refuses(d.as(agent(dutch), "POST", seats, `{"quantity":30}`, pairs...), 422, "")
	}
	for _, body := range []string{`{}`, `{"lines":[{"productId":"CFQ7TTC0LDPB","skuId":"1","termDuration":"P1Y","billingCycle":"Monthly","quantity":10}]}`,
		`{"changes":[{"subscriptionId":"` + standard + `"}]}`, `{"changes":[{"subscriptionId":"` + standard + `","seats":{"quantity":30},"cancellation":{}}]}`} {
		d.refuses(d.as(agent(dutch), "POST", "/v1/quotes", body), 422, "")
	}
	// Nothing of it was done, and the key is still good.
	if o := d.buys("wrong", "POST", seats, `{"quantity":30}`); o.Quote.Changes[0].Refused != nil {
		t.Errorf("%+v", o)
	}
}

// A subscription's life, by the requests that a person would make.
func TestManage(t *testing.T) {
	t.Parallel()
	d := newCustomerDesk(t)
	of := "/v1/subscriptions/" + standard
	n := 0
	do := func(method, path, body string) jobs.OrderResult {
		t.Helper()
		n++
		d.now = d.now.Add(time.Minute)
		return d.buys(fmt.Sprint(n), method, path, body)
	}
	renewal := func(o jobs.OrderResult) string {
		t.Helper()
		tell := func(c *jobs.CycleCharge) string {
			if c == nil {
				return "none"
			}
			return c.First + " x " + c.Quantity + " = " + c.Subtotal
		}
		if len(o.Quote.FromNextMonth) == 0 {
			return fmt.Sprint(o.Quote.Changes[0].Notes)
		}
		r := o.Quote.FromNextMonth[0]
		return tell(r.RenewalBefore) + " -> " + tell(r.Renewal)
	}
	// 9.945 a cycle; from 2 May 13 of 30 days are left: 4.3095 x 26 = 112.047, x 30 = 129.285.
	if o := do("POST", of+"/seats", `{"quantity":30}`); o.Quote.ThisMonth.Subtotal != "57.00" && o.Quote.Lines[1].Subtotal != "129.28" {
		t.Errorf("seats: %+v", o.Quote)
	}
	for _, tt := range []struct{ method, path, body, want string }{
		{"PUT", "/next-term", `{"quantity":40}`, "2025-01-15 x 30 = 311.10 -> 2025-01-15 x 40 = 414.80"},
		{"POST", "/end-date", `{"alignTo":"calendar-month"}`, "2025-01-15 x 40 = 414.80 -> 2025-01-15 x 40 = 227.20"},
		{"DELETE", "/next-term", "", "2025-01-15 x 40 = 227.20 -> 2025-01-15 x 30 = 311.10"},
		{"POST", "/auto-renew", `{"enabled":false}`, "2025-01-15 x 30 = 311.10 -> none"},
		{"POST", "/auto-renew", `{"enabled":false}`, "[the change alters nothing: it asks for what is there already]"},
		{"POST", "/auto-renew", `{"enabled":true}`, "none -> 2025-01-15 x 30 = 311.10"},
		{"POST", "/suspension", "", "2025-01-15 x 30 = 311.10 -> none"},
		{"POST", "/reactivation", "", "none -> 2025-01-15 x 30 = 311.10"},
	} {
		if got := renewal(do(tt.method, of+tt.path, tt.body)); got != tt.want {
			t.Errorf("%s %s %s: got %s, want %s", tt.method, tt.path, tt.body, got, tt.want)
		}
	}
	// Business Standard to Premium: five seats leave for a subscription of their own, the others follow.
	part := do("POST", of+"/upgrades", `{"toProductId":"CFQ7TTC0LCHC","toSkuId":"0002","quantity":5}`)
	if part.SubscriptionIDs[0] == standard || len(part.Quote.FromNextMonth) != 2 {
		t.Errorf("five seats: %+v", part)
	}
	rest := do("POST", of+"/upgrades", `{"toProductId":"CFQ7TTC0LCHC","toSkuId":"0002"}`)
	if rest.SubscriptionIDs[0] != standard || rest.Quote.Lines[0].Quantity != "25" {
		t.Errorf("the others: %+v", rest)
	}

	trial := do("POST", "/v1/orders", fmt.Sprintf(tenStandard, `,"isTrial":true`))
	if trial.Quote.ThisMonth.Total != "0.00" {
		t.Errorf("a trial: %+v", trial.Quote)
	}
	paid := do("POST", "/v1/subscriptions/"+trial.SubscriptionIDs[0]+"/conversion", `{"quantity":12}`)
	if paid.Quote.ThisMonth.Subtotal != "124.44" || paid.Quote.Changes[0].ReturnableUntil == "" {
		t.Errorf("converted: %+v", paid.Quote)
	}
	gone := do("POST", "/v1/subscriptions/"+trial.SubscriptionIDs[0]+"/cancellation", "")
	if gone.Quote.ThisMonth.Subtotal != "-124.44" || gone.Quote.Changes[0].ReturnableUntil != "" {
		t.Errorf("cancelled: %+v", gone.Quote)
	}
	d.refuses(d.as(agent(dutch), "POST", "/v1/subscriptions/"+trial.SubscriptionIDs[0]+"/suspension", "", keyed("late")...), 422, "SUBSCRIPTION_NOT_ACTIVE")
	d.refuses(d.as(agent(dutch), "GET", "/v1/subscriptions/"+trial.SubscriptionIDs[0]+"/end-dates", ""), 422, "SUBSCRIPTION_NOT_ACTIVE")

	// All of it is billed as it was quoted.
	if _, err := d.env.Bill(t.Context(), 2024*12+4, false); err != nil {
		t.Fatal(err)
	}
}

// A quote of several things, some of which would be refused.
func TestQuote(t *testing.T) {
	t.Parallel()
	d := newCustomerDesk(t)
	body := strings.TrimSuffix(fmt.Sprintf(tenStandard, ""), "}") + `,"changes":[{"subscriptionId":"` + standard + `","seats":{"quantity":10}},{"subscriptionId":"` + standard + `","seats":{"quantity":27}}]}`
	q := want[jobs.CartQuote](t, d.as(agent(dutch), "POST", "/v1/quotes", body), 200)
	if len(q.Changes) != 3 || q.Changes[0].Refused != nil || q.Changes[1].Refused == nil || q.Changes[2].Refused != nil {
		t.Fatalf("%+v", q.Changes)
	}
	if q.Changes[1].Refused.Code != "SEAT_WINDOW_CLOSED" || len(q.FromNextMonth) != 2 || len(q.Lines) != 4 {
		t.Errorf("%+v", q)
	}
	if e := d.trail.last(); e.Kind != "saw" || e.Partner != dutch {
		t.Errorf("the trail has %+v", e)
	}
}

func TestEndDates(t *testing.T) {
	t.Parallel()
	d := newCustomerDesk(t)
	text := func(e EndDates) string {
		var aligned []string
		for _, a := range e.Aligned {
			if a.AlignTo == calendarMonth || a.AlignTo == standard {
				aligned = append(aligned, a.Date+" "+a.Name)
			}
		}
		return fmt.Sprintf("%s %s to %s, %d month ends: %s", e.Term, e.First, e.Last, len(e.MonthEnds), strings.Join(aligned, ", "))
	}
	for _, tt := range []struct{ query, want string }{
		{"?term=P1Y&start=2024-07-15", "P1Y 2024-07-15 to 2025-07-14, 12 month ends: 2025-06-30 "},
		{"?term=P1M&start=2024-01-31", "P1M 2024-01-31 to 2024-02-28, 1 month ends: 2024-01-31 "},
		{"?term=P1M&start=2024-06-01", "P1M 2024-06-01 to 2024-06-30, 1 month ends: 2024-06-30 "},
		{"?term=P3Y", "P3Y 2024-05-02 to 2027-05-01, 36 month ends: 2027-04-30 "},
		{"?term=P1Y&customerId=" + fietsen, "P1Y 2024-05-02 to 2025-05-01, 12 month ends: 2025-04-30 , 2025-01-14 Microsoft 365 Business Standard"},
	} {
		if got := text(want[EndDates](t, d.as(agent(dutch), "GET", "/v1/end-dates"+tt.query, ""), 200)); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.query, got, tt.want)
		}
	}
	if got := text(want[EndDates](t, d.as(agent(dutch), "GET", "/v1/subscriptions/"+standard+"/end-dates", ""), 200)); got != "P1Y 2025-01-15 to 2026-01-14, 12 month ends: 2025-12-31 " {
		t.Errorf("the next term: %s", got)
	}
	// What is listed is taken.
	o := d.buys("aligned", "POST", "/v1/orders", fmt.Sprintf(tenStandard, `,"alignTo":"`+standard+`"`))
	if got := o.Quote.FromNextMonth[0].TermEnd; got != "2025-01-14" {
		t.Errorf("it ends on %s", got)
	}
}

// Nothing is sold to a customer that has not agreed to buy; what it has is managed all the same.
func TestRelationshipIsAsked(t *testing.T) {
	t.Parallel()
	d := newCustomerDesk(t)
	made := want[Customer](t, d.as(agent(dutch), "POST", "/v1/customers", `{"partnerId":"`+dutch+`","name":"Nieuw B.V.","domain":"nieuw.example.com","country":"NL"}`, keyed("new")...), 201)
	body := strings.Replace(fmt.Sprintf(tenStandard, ""), fietsen, made.ID, 1)
	p := d.refuses(d.as(agent(dutch), "POST", "/v1/orders", body, keyed("buy")...), 422, relationshipNotAccepted)
	if !strings.Contains(p.Detail, "none") {
		t.Errorf("%+v", p)
	}
	q := want[jobs.CartQuote](t, d.as(agent(dutch), "POST", "/v1/quotes", body), 200)
	if q.Changes[0].Refused == nil || q.Changes[0].Refused.Code != relationshipNotAccepted {
		t.Errorf("the quote says %+v", q.Changes)
	}

	// The customer of a running subscription is declined by an import.
	d.takesIn("customers.csv", "CustomerId,CustomerName,CustomerDomainName,CustomerCountry,Segment,PartnerId,ResellerMpnId,Relationship\n"+
		fietsen+",Voorbeeld Fietsen B.V.,voorbeeldfietsen.onmicrosoft.com,NL,Commercial,"+dutch+",6200011,declined\n")
	of := "/v1/subscriptions/" + standard
	d.refuses(d.as(agent(dutch), "POST", of+"/seats", `{"quantity":30}`, keyed("more")...), 422, relationshipNotAccepted)
	d.refuses(d.as(agent(dutch), "POST", of+"/upgrades", `{"toProductId":"CFQ7TTC0LCHC","toSkuId":"0002"}`, keyed("up")...), 422, relationshipNotAccepted)
	d.buys("off", "POST", of+"/auto-renew", `{"enabled":false}`)
	d.buys("stop", "POST", of+"/suspension", "")
}

// An add-on needs one of its prerequisites: had before, or bought with it.
func TestAddOnIsBought(t *testing.T) {
	t.Parallel()
	d := newCustomerDesk(t)
	d.takesIn("offermatrix.csv", "ProductTitle,ProductId,SkuId,SkuTitle,ProvisioningId,ProvisioningString,MinLicenses,MaxLicenses,AssetOwnershipLimit,AssetOwnershipLimitType,ProductSkuPreRequisites,ProductSkuConversion,Description,AllowedCountries\n"+
		"Microsoft 365 Business Standard,CFQ7TTC0LDPB,0001,Microsoft 365 Business Standard,x,X,1,300,,,CFQ7TTC0LH18/0001,,,NL\n")
	line := `{"productId":"%s","skuId":"0001","termDuration":"P1Y","billingCycle":"Monthly","quantity":2}`
	addOn, base := fmt.Sprintf(line, "CFQ7TTC0LDPB"), fmt.Sprintf(line, "CFQ7TTC0LH18")
	cart := func(customer string, lines ...string) string {
		return `{"customerId":"` + customer + `","lines":[` + strings.Join(lines, ",") + `]}`
	}
	const beispiel = "d4395cd9-4be7-4106-8c3d-8df491e50996"
	p := d.refuses(d.as(agent(dutch), "POST", "/v1/orders", cart(beispiel, addOn), keyed("alone")...), 422, prerequisiteMissing)
	if !strings.Contains(p.Detail, "CFQ7TTC0LH18/0001") {
		t.Errorf("%+v", p)
	}
	d.buys("together", "POST", "/v1/orders", cart(beispiel, addOn, base))
	d.now = d.now.Add(time.Hour)
	d.buys("afterwards", "POST", "/v1/orders", cart(beispiel, addOn))
}

// takesIn takes a file in.
func (d *customerDesk) takesIn(name, content string) {
	d.Helper()
	path := filepath.Join(d.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		d.Fatal(err)
	}
	result, err := d.env.Ingest(d.Context(), jobs.IngestPlan{Paths: []string{path}})
	if err != nil || result.Taken != 1 {
		d.Fatalf("take %s in: %v, %+v", name, err, result)
	}
	d.now = d.now.Add(2 * time.Hour) // so that the ledger is read again
}

func TestOrderIsDescribed(t *testing.T) {
	t.Parallel()
	a := New(http.NewServeMux(), Desk{})
	document, err := json.Marshal(a.huma.OpenAPI().Paths["/v1/orders"].Post.Responses["201"])
	if err != nil || !strings.Contains(string(document), `#/components/schemas/OrderResult`) {
		t.Errorf("%v: %s", err, document)
	}
}
