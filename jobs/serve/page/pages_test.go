package page_test

import (
	"crypto/rand"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/calends/calends/jobs"
	"github.com/calends/calends/jobs/relationship"
	"github.com/calends/calends/jobs/serve/access"
	"github.com/calends/calends/jobs/serve/audit"
	"github.com/calends/calends/jobs/serve/servetest"
	"github.com/calends/calends/pricing"
)

// What a page shows of an invoice is what its files say: digits in groups are copied
// whole, the currency stands beside, and a credit says so in a word.
func TestInvoiceSaysWhatItsFilesSay(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s := h.get(as(access.AdminAgent, ours), "/invoices/2024-03/"+ours)
	s.says("Invoice C202403-000003", "Voorbeeldstad Cloud B.V.", "Total with tax 11917.02 EUR", "For Voorbeeldstad Cloud B.V., March 2024.", "reconciliation.csv", "SHA-256")
	rows := s.table("By type of charge")
	for _, want := range [][]string{
		{"renew", "8", "1276.06 EUR", "267.94 EUR", "1544.00 EUR"},
		{"removeQuantity", "2", "CR -20.57 EUR", "CR -4.32 EUR", "CR -24.89 EUR"},
		{"Total", "25", "9848.83 EUR", "2068.19 EUR", "11917.02 EUR"},
	} {
		if !slices.ContainsFunc(rows, func(row []string) bool { return slices.Equal(row, want) }) {
			t.Errorf("no row %v in %v", want, rows)
		}
	}
	if h.trail.of("page-invoice").Partner != ours || h.trail.of("page-invoice").Object != "C202403-000003" || h.trail.of("page-invoice").From != "203.0.113.7" {
		t.Errorf("the trail has %+v", h.trail.of("page-invoice"))
	}
}

func TestLinesAreFoundSortedAndSummed(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	who, list := as(access.AdminAgent, ours), "/invoices/2024-03/"+ours+"/lines"
	h.get(who, list).says("CFQ7TTC0LCHC") // of line 18, whose product has no name
	tests := []struct {
		name, query string
		rows        string // line numbers
		sum         string
	}{
		{"words in any case, in any name", "q=VISIO+exempla", "11", "9.99"},
		{"credits", "sign=credits&sort=total", "22 4 10", "-327.75"},
		{"a kind of charge", "type=removeQuantity", "22 23", "-24.89"},
		{"largest first", "least=2000&sort=total&order=descending", "", ""},
		{"nothing", "q=nothing", "", ""},
	}
	for _, tt := range tests {
		s := h.get(who, list+"?"+tt.query)
		if tt.rows == "" {
			if tt.name == "nothing" {
				s.says("No line matches")
			}
			continue
		}
		rows := s.table("Lines that match")
		var numbers []string
		for _, row := range rows[2:] { // below the head and the foot
			numbers = append(numbers, strings.TrimPrefix(row[0], "Line "))
		}
		if got := strings.Join(numbers, " "); got != tt.rows {
			t.Errorf("%s: lines %s, want %s", tt.name, got, tt.rows)
		}
		if got := rows[1][len(rows[1])-1]; !strings.HasSuffix(got, tt.sum+" EUR") {
			t.Errorf("%s: the sum is %s, want %s", tt.name, got, tt.sum)
		}
	}
	for query, why := range map[string]string{"from=spring": "spring", "least=1e9": "1e9", "least=x": "x", "sort=secret": "sorted", "cursor=abc": "page of the list"} {
		s := h.ask(&who, http.MethodGet, list+"?"+query, nil)
		if s.Code != http.StatusUnprocessableEntity || !strings.Contains(s.text(), why) {
			t.Errorf("%s: %d\n%s", query, s.Code, s.text())
		}
	}
}

func TestLineIsExplained(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s := h.get(as(access.AdminAgent, ours), "/invoices/2024-01/"+ours+"/lines/18")
	s.says("addQuantity", "119.34 x 1/12", "8.6617741935", "314.41 EUR", "2024-01.jsonl", "the policy documented truncates the whole line")
	if !slices.ContainsFunc(s.links(), func(l string) bool { return strings.HasPrefix(l, "/subscriptions/") }) {
		t.Error("no way from a line to its subscription")
	}
	for _, row := range []string{"0", "99", "018", "x", "-1"} {
		who := as(access.AdminAgent, ours)
		if s := h.ask(&who, http.MethodGet, "/invoices/2024-01/"+ours+"/lines/"+row, nil); s.Code != http.StatusNotFound {
			t.Errorf("line %s: %d", row, s.Code)
		}
	}
}

// Who sells learns of prices and customers, and of nothing that was billed.
func TestSalesAgentSeesNoTotals(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	who := as(access.SalesAgent, ours)
	for _, address := range []string{"/", "/partners", "/partners/" + ours, "/customers/" + ourCustomer, "/subscriptions/" + ourSubscription} {
		s := h.get(who, address)
		s.silent("/invoices/", "11917.02", "312.71", "Its lines", "Next charge")
	}
	h.get(who, "/subscriptions/"+ourSubscription).says("active", "119.34 EUR", "bought")
	h.get(as(access.AdminAgent, ours), "/subscriptions/"+ourSubscription).says("Its lines", "312.71 EUR", "Next charge")
}

// What other partners' exceptions say is nobody else's, and what is nobody's is the house's.
func TestExceptionsByCode(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s := h.get(as(access.GlobalAdmin), "/months/2024-03/exceptions")
	s.says("UNKNOWN_CUSTOMER", "INVALID_CHANGE", "Rule:", "What to do:", "15 errors")
	one := h.get(as(access.AdminAgent, theirs), "/months/2024-03/exceptions")
	one.silent("UNKNOWN_CUSTOMER", ours, ourSubscription)
}

func TestDifferencesLargestFirst(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s := h.get(as(access.GlobalAdmin), "/months/2024-03/differences")
	rows := s.table("Each difference")
	if !strings.Contains(strings.Join(rows[1], " "), "-1271.22 EUR") || !strings.Contains(strings.Join(rows[2], " "), "185.67 EUR") {
		t.Errorf("the first are %v", rows[1:3])
	}
	if rows := s.table("By cause"); rows[1][0] != "missingThere" || rows[1][1] != "we bill it, they do not" || rows[1][5] != "-1271.22 EUR" {
		t.Errorf("the largest cause is %v", rows[1])
	}
	one := h.get(as(access.AdminAgent, theirs), "/months/2024-03/differences")
	one.silent("1271.22", "Voorbeeld")
	one.says("12.31 USD")
}

func approvalForm(s shown) url.Values {
	form := url.Values{}
	for _, input := range all(s.doc, "input") {
		form.Set(attr(input, "name"), attr(input, "value"))
	}
	return form
}

func TestApproval(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	april, address := pricing.MonthOf(2024, 4), "/months/2024-04/approval"
	agent, admin := as(access.AdminAgent), as(access.GlobalAdmin)
	s := h.get(agent, address)
	s.says("Approve revision 1", "4 invoices with 57 lines", "8421.93 USD", "1 subscription parked")
	form := approvalForm(s)
	form.Set("accept", " known ")

	stale := url.Values{"fingerprint": {"0"}}
	if s := h.ask(&agent, http.MethodPost, address, stale); s.Code != http.StatusUnprocessableEntity || !strings.Contains(s.text(), "Nothing was approved") {
		t.Errorf("an approval of another draft: %d\n%s", s.Code, s.text())
	}
	one := as(access.GlobalAdmin, ours)
	if s := h.ask(&one, http.MethodPost, address, form); s.Code != http.StatusForbidden {
		t.Errorf("an approval of who belongs to one of four partners: %d", s.Code)
	}
	h.get(one, address).says("whoever approves it has to belong to all of them")
	if s := h.ask(&agent, http.MethodPost, "/months/2024-03/approval", form); s.Code != http.StatusUnprocessableEntity || !strings.Contains(s.text(), "closed") {
		t.Errorf("an approval of a closed month: %d", s.Code)
	}
	if said, err := h.env.Approvals(t.Context(), april); err != nil || len(said.Approvals) > 0 {
		t.Fatalf("refused approvals were written: %+v, %v", said, err)
	}

	done := h.ask(&agent, http.MethodPost, address, form)
	if done.Code != http.StatusSeeOther {
		t.Fatalf("%d\n%s", done.Code, done.text())
	}
	h.get(agent, done.Header().Get("Location")).says("Your approval is recorded.", "approved, stands", "Test admin-agent (id of admin-agent)", "known")
	if again := h.ask(&agent, http.MethodPost, address, form); again.Header().Get("Location") != address+"?done=the-same" {
		t.Errorf("said again: %d to %s", again.Code, again.Header().Get("Location"))
	}
	said, err := h.env.Approvals(t.Context(), april)
	if err != nil || len(said.Approvals) != 1 || !said.Approved || said.Approvals[0].Accepted != "known" || said.Approvals[0].At != "2024-05-02T09:30:00Z" {
		t.Errorf("the ledger has %+v, %v", said, err)
	}
	if e := h.trail.of("page-approve"); e.Kind != "did" || e.Status != 303 || e.Object != "approval of 2024-04" {
		t.Errorf("the trail has %+v", e)
	}

	if s := h.ask(&agent, http.MethodPost, address+"/taken-back", nil); s.Code != http.StatusForbidden {
		t.Errorf("an admin agent takes back: %d", s.Code)
	}
	if s := h.ask(&admin, http.MethodPost, address+"/taken-back", nil); s.Code != http.StatusSeeOther {
		t.Errorf("a global admin takes back: %d", s.Code)
	}
	if said, err = h.env.Approvals(t.Context(), april); err != nil || said.Approved || len(said.Approvals) != 2 {
		t.Errorf("after taking back the ledger has %+v, %v", said, err)
	}
}

// Without the trail nothing is shown.
func TestNoPageWithoutTheTrail(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.trail.broken = errors.New("the bucket is full")
	who := as(access.AdminAgent, ours)
	s := h.ask(&who, http.MethodGet, "/invoices/2024-03/"+ours, nil)
	if s.Code != http.StatusServiceUnavailable {
		t.Errorf("%d", s.Code)
	}
	s.silent("11917.02", "Voorbeeld")
}

func TestRelationshipLink(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.takeIn("customers.csv", "CustomerId,CustomerName,CustomerDomainName,CustomerCountry,Segment,PartnerId,ResellerMpnId,Relationship\n"+
		ourCustomer+",Voorbeeld Fietsen B.V.,voorbeeldfietsen.onmicrosoft.com,NL,Commercial,"+ours+",,none\n")
	ask := func() relationship.Token {
		reading, err := h.env.Read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		fact, _ := reading.Catalog().CustomerFact(ourCustomer)
		token, _, err := h.links.Request(t.Context(), fact, relationship.Asker{ID: "x", Name: "x", At: servetest.Now(), Inputs: int64(len(reading.Inputs()))}, time.Hour, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	address := relationship.Path + ask().Text()
	s := h.ask(nil, http.MethodGet, address, nil)
	s.says("Voorbeeldstad Cloud B.V.", "asks to be your partner", "2024-05-02 10:30:00 UTC")
	s.silent("Voorbeeld Fietsen", ourCustomer)
	if s.Code != http.StatusOK || s.Header().Get("Referrer-Policy") != "no-referrer" || s.Header().Get("Cache-Control") != "private, no-store" {
		t.Errorf("%d, %v", s.Code, s.Header())
	}
	for _, wrong := range []url.Values{{"answer": {"accept"}, "name": {" "}}, {"answer": {"perhaps"}, "name": {"Vera"}}} {
		if s := h.ask(nil, http.MethodPost, address, wrong); s.Code != http.StatusUnprocessableEntity {
			t.Errorf("%v: %d", wrong, s.Code)
		}
	}
	h.ask(nil, http.MethodPost, address, url.Values{"answer": {"accept"}, "name": {"Vera Voorbeeld"}}).says("Thank you", "accepted")
	if e := h.trail.of("answer-link"); e.Kind != audit.Did || e.Who != "anybody" || e.Name != "Vera Voorbeeld" || e.Partner != ours || !strings.Contains(e.Object, ourCustomer+" accepted") {
		t.Errorf("the trail has %+v", e)
	}
	over := h.ask(nil, http.MethodPost, address, url.Values{"answer": {"decline"}, "name": {"Vera Voorbeeld"}})
	invented := h.ask(nil, http.MethodGet, relationship.Path+"nothing", nil)
	if over.Code != http.StatusNotFound || over.Body.String() != invented.Body.String() {
		t.Errorf("a link that was used: %d, the same page as one that never was: %v", over.Code, over.Body.String() == invented.Body.String())
	}
	if who := as(access.AdminAgent, ours); !strings.Contains(h.get(who, "/customers/"+ourCustomer).text(), "accepted") {
		t.Error("the customer's page does not say that it accepted")
	}
}

func TestRunsAndOneRun(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	recordRun(t, h)
	admin, one := as(access.GlobalAdmin), as(access.AdminAgent, ours)
	h.get(admin, "/runs").says("bill/2024-04", "done", "1.5s", "two partners were billed")
	h.get(one, "/runs").silent("two partners were billed")
	h.get(admin, "/runs/bill/2024-04").says("two partners were billed", "the draft is written", "partner=x")
	if rows := h.get(admin, "/runs/bill/2024-04").table("Counts"); !slices.Equal(rows[1], []string{"lines", "57"}) {
		t.Errorf("the counts are %v", rows)
	}
	h.get(one, "/runs/bill/2024-04").silent("two partners", "the draft is written", "57")
	h.get(one, "/runs/bill/2024-04").says("done, attempt 1")
	if s := h.ask(&admin, http.MethodGet, "/runs/bill/2024-04?attempt=2", nil); s.Code != http.StatusNotFound {
		t.Errorf("an attempt that never was: %d", s.Code)
	}
}

func TestHomeTellsWhatIsNext(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.env.Closing = jobs.Closing{Approval: true}
	h.get(as(access.GlobalAdmin), "/").says("Next to close: April 2024", "It waits for an approval.", "1 subscription parked", "Approve", "11917.02 EUR")
	one := h.get(as(access.AdminAgent, theirs), "/")
	one.says("Next to close: April 2024", "7117.03 USD")
	one.silent("EUR", "1 subscription parked", `/approval"`)
	h.get(as(access.AdminAgent, invented), "/").says("Nothing was billed yet")
	nobody := access.Principal{ID: "n", Roles: []access.Role{access.AdminAgent}, Partners: []string{}}
	h.get(nobody, "/").says("You belong to no partner yet")
}
