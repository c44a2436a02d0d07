package jobs

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/shopspring/decimal"
	"go.yaml.in/yaml/v3"

	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pricing"
)

// bounds reads them as they stand in the configuration.
func bounds(t *testing.T, text string) Bounds {
	t.Helper()
	var b Bounds
	if err := yaml.Unmarshal([]byte(text), &b); err != nil {
		t.Fatal(err)
	}
	if err := b.Validate(); err != nil {
		t.Fatal(err)
	}
	return b
}

// invoicesOf reads "p EUR 100.00, q USD 5.00".
func invoicesOf(text string) (invoices []ledger.InvoiceSummary) {
	for one := range strings.SplitSeq(text, ", ") {
		if fields := strings.Fields(one); len(fields) == 3 {
			invoices = append(invoices, ledger.InvoiceSummary{PartnerID: fields[0], Currency: fields[1], Total: fields[2]})
		}
	}
	return invoices
}

// TestBoundsOfPartners: each bound at its limit, just inside and just beyond.
func TestBoundsOfPartners(t *testing.T) {
	t.Parallel()
	const nothing = "-" // the month before is not closed
	for _, tt := range []struct {
		name, bounds, last, now string
		want                    []string // code: reason
	}{
		{"without bounds everything may change", "{}", "p EUR 100.00, q EUR 5.00", "p USD -900.00, r EUR 1.00", nil},

		{"a quarter more is allowed", "totalPercent: 25", "p EUR 1000.00", "p EUR 1250.00", nil},
		{"a cent less too", "totalPercent: 25", "p EUR 1000.00", "p EUR 1249.99", nil},
		{"a cent more is not", "totalPercent: 25", "p EUR 1000.00", "p EUR 1250.01",
			[]string{"total: partner p: EUR 1250.01, after EUR 1000.00 in 2026-09: 25.01 % more, and the bound is 25 %"}},
		{"a quarter less is allowed", "totalPercent: 25", "p EUR 1000.00", "p EUR 750.00", nil},
		{"and a cent more", "totalPercent: 25", "p EUR 1000.00", "p EUR 750.01", nil},
		{"a cent less is not", "totalPercent: 25", "p EUR 1000.00", "p EUR 749.99",
			[]string{"total: partner p: EUR 749.99, after EUR 1000.00 in 2026-09: 25.01 % less, and the bound is 25 %"}},
		{"what is hardly beyond reads so", "totalPercent: 25", "p EUR 1000000000.00", "p EUR 1250000000.01",
			[]string{"total: partner p: EUR 1250000000.01, after EUR 1000000000.00 in 2026-09: 25.01 % more, and the bound is 25 %"}},
		{"a third is a third to the last digit", "totalPercent: 33.3333333333333333", "p EUR 3.00", "p EUR 4.00",
			[]string{"total: partner p: EUR 4.00, after EUR 3.00 in 2026-09: 33.34 % more, and the bound is 33.3333333333333333 %"}},
		{"a bound with decimals", "totalPercent: 0.5", "p JPY 1000", "p JPY 1005", nil},
		{"and a yen beyond", "totalPercent: 0.5", "p JPY 1000", "p JPY 1006",
			[]string{"total: partner p: JPY 1006, after JPY 1000 in 2026-09: 0.6 % more, and the bound is 0.5 %"}},
		{"nothing may change at 0", "totalPercent: 0", "p EUR 1.00, q EUR 1.00", "p EUR 1.00, q EUR 1.01",
			[]string{"total: partner q: EUR 1.01, after EUR 1.00 in 2026-09: 1 % more, and the bound is 0 %"}},
		{"after a credit note the percentage is of what was credited", "totalPercent: 100", "p EUR -100.00", "p EUR 0.00", nil},
		{"and a cent beyond", "totalPercent: 100", "p EUR -100.00", "p EUR 0.01",
			[]string{"total: partner p: EUR 0.01, after EUR -100.00 in 2026-09: 100.01 % more, and the bound is 100 %"}},
		{"after 0 anything is beyond", "totalPercent: 500", "p EUR 0.00", "p EUR 0.01",
			[]string{"total: partner p: EUR 0.01, after EUR 0.00 in 2026-09, and the bound is 500 %"}},
		{"but 0", "totalPercent: 0", "p EUR 0.00", "p EUR 0.00", nil},

		{"a partner that vanished has a total of 0", "totalPercent: 99.99", "p EUR 100.00", "",
			[]string{"total: partner p: no invoice, after EUR 100.00 in 2026-09: 100 % less, and the bound is 99.99 %"}},
		{"which a bound of 100 allows", "totalPercent: 100", "p EUR 100.00", "", nil},
		{"a new partner is compared with nothing", "totalPercent: 1", "p EUR 100.00", "p EUR 100.00, q EUR 9999.00", nil},
		{"unless new partners are to be seen", "{totalPercent: 1, newPartner: true}", "p EUR 100.00", "p EUR 100.00, q EUR 9999.00",
			[]string{"new-partner: partner q: EUR 9999.00, and no invoice in 2026-09"}},
		{"the first month of the books is compared with nothing", "{totalPercent: 1, newPartner: true, currencyChange: true}", nothing, "p EUR 100.00", nil},

		{"a credit note of a cent", "negative: true", "p EUR 100.00", "p EUR -0.01", []string{"negative: partner p: EUR -0.01: the invoice is negative"}},
		{"0 is not negative", "negative: true", "p EUR 100.00", "p EUR 0.00", nil},
		{"nor is a cent", "negative: true", "p EUR 100.00", "p EUR 0.01", nil},
		{"in the first month too", "negative: true", nothing, "p EUR -0.01", []string{"negative: partner p: EUR -0.01: the invoice is negative"}},

		{"another currency", "currencyChange: true", "p EUR 100.00, q EUR 1.00", "p USD 100.00, q EUR 1.00",
			[]string{"currency: partner p: USD 100.00, after EUR 100.00 in 2026-09: the currency has changed"}},
		{"is said once", "{currencyChange: true, totalPercent: 1}", "p EUR 100.00", "p USD 900.00",
			[]string{"currency: partner p: USD 900.00, after EUR 100.00 in 2026-09: the currency has changed"}},
		{"and where it may change, amounts cannot be compared", "totalPercent: 500", "p EUR 100.00", "p USD 100.00",
			[]string{"total: partner p: USD 100.00 cannot be compared with EUR 100.00 in 2026-09"}},

		{"in the order of the partners", "{totalPercent: 10, negative: true}", "p EUR 1.00, q EUR 1.00, r EUR 1.00", "r EUR 2.00, p EUR -1.00",
			[]string{
				"negative: partner p: EUR -1.00: the invoice is negative",
				"total: partner p: EUR -1.00, after EUR 1.00 in 2026-09: 200 % less, and the bound is 10 %",
				"total: partner q: no invoice, after EUR 1.00 in 2026-09: 100 % less, and the bound is 10 %",
				"total: partner r: EUR 2.00, after EUR 1.00 in 2026-09: 100 % more, and the bound is 10 %",
			}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := closable{month: mustMonth(t, "2026-10"), invoices: invoicesOf(tt.now)}
			if tt.last != nothing {
				m.last = &ledger.Manifest{Invoices: invoicesOf(tt.last)}
			}
			holds, err := bounds(t, tt.bounds).holds(m)
			if err != nil {
				t.Fatal(err)
			}
			if got := inCodes(holds); !slices.Equal(got, tt.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
			}
		})
	}
}

func inCodes(holds []Hold) (words []string) {
	for _, h := range holds {
		words = append(words, string(h.Code)+": "+h.Reason)
	}
	return words
}

// TestBoundsOfCounts: so many exceptions of severity error, and subscriptions
// without a price, may be there, and not one more.
func TestBoundsOfCounts(t *testing.T) {
	t.Parallel()
	refused := func(n int) (all []invoice.Exception) {
		for range n {
			all = append(all, invoice.Exception{Severity: invoice.Error, Code: pricing.CancelWindowClosed})
		}
		return all
	}
	warnings := []invoice.Exception{{Severity: invoice.Warning, Code: pricing.PriceListStale}, {Severity: invoice.Warning, Code: pricing.PriceNotFound}}
	parked := func(n int) (m closable) {
		m.parked = n
		for i := range n {
			m.exceptions = append(m.exceptions, invoice.Exception{Severity: invoice.Error, Code: pricing.PriceNotFound, SubscriptionID: fmt.Sprint("s", i)})
		}
		return m
	}
	unknown := invoice.Exception{Severity: invoice.Error, Code: pricing.UnknownCustomer}
	for _, tt := range []struct {
		name, bounds string
		month        closable
		want         []string
	}{
		{"any number without a bound", "{}", closable{exceptions: refused(1000)}, nil},
		{"one less than the bound", "exceptions: 3", closable{exceptions: append(refused(2), warnings...)}, nil},
		{"as many", "exceptions: 3", closable{exceptions: refused(1), late: refused(2)}, nil},
		{"one more", "exceptions: 3", closable{exceptions: refused(2), late: refused(2)}, []string{"exceptions: 4 exceptions of severity error, and the bound is 3"}},
		{"none are allowed", "exceptions: 0", closable{exceptions: refused(1)}, []string{"exceptions: 1 exception of severity error, and the bound is 0"}},

		{"one parked subscription holds", "{}", parked(1), []string{
			"parked: 1 subscription parked: without a price nothing is billed", "missing-input: 1 exception PRICE_NOT_FOUND: see exceptions.csv of the draft"}},
		{"one less than may be parked", "parked: 2", parked(1), nil},
		{"as many as may be", "parked: 2", parked(2), nil},
		{"one more", "parked: 2", parked(3), []string{
			"parked: 3 subscriptions parked: without a price nothing is billed", "missing-input: 3 exceptions PRICE_NOT_FOUND: see exceptions.csv of the draft"}},
		{"one that is parked in late months too is one", "parked: 1",
			closable{parked: 1, exceptions: parked(1).exceptions, late: parked(1).exceptions}, nil},
		{"another that is not parked counts, too", "parked: 1",
			closable{parked: 1, exceptions: parked(1).exceptions, late: parked(2).exceptions[1:]}, []string{
				"missing-input: 1 exception PRICE_NOT_FOUND: see exceptions.csv of the draft",
				"missing-input: 1 exception PRICE_NOT_FOUND: see late-exceptions.csv of the draft"}},
		{"what else is missing holds all the same", "parked: 2", closable{parked: 1, exceptions: append(parked(1).exceptions, unknown)},
			[]string{"missing-input: 1 exception UNKNOWN_CUSTOMER: see exceptions.csv of the draft"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			env := Env{Today: pricing.DateOf(2026, 11, 1), Closing: Closing{Bounds: bounds(t, tt.bounds)}}
			tt.month.month = mustMonth(t, "2026-10")
			holds, err := env.holds(tt.month)
			if err != nil {
				t.Fatal(err)
			}
			if got := inCodes(holds); !slices.Equal(got, tt.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
			}
		})
	}
}

func TestBoundsValidate(t *testing.T) {
	t.Parallel()
	minus, percent, endless := -1, decimal.New(-1, -2), decimal.New(1, 999999999)
	for want, b := range map[string]Bounds{
		"": {},
		"totalPercent -1e-2: want a plain number, 0 or more":       {TotalPercent: &percent},
		"totalPercent 1e999999999: want a plain number, 0 or more": {TotalPercent: &endless},
		"exceptions -1: want 0 or more":                            {Exceptions: &minus},
		"parked -1: want 0 or more":                                {Parked: &minus},
	} {
		got := ""
		if err := b.Validate(); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%+v: %q, want %q", b, got, want)
		}
	}
}

// TestBoundsOnTheDemo: what status and approve tell of April is what its close says.
func TestBoundsOnTheDemo(t *testing.T) {
	t.Parallel()
	env := demoEnv(t)
	env.Closing.Bounds = bounds(t, "{totalPercent: 20, exceptions: 0}")
	april := mustMonth(t, "2024-04")
	_, err := env.Close(t.Context(), april, "")
	var held *HeldError
	if !errors.As(err, &held) {
		t.Fatal(err)
	}
	var codes []string
	for _, h := range held.Holds {
		codes = append(codes, strings.TrimSpace(string(h.Code)+" "+h.PartnerID))
	}
	want := []string{"parked", "missing-input", "total 6c483e07-8f13-4923-9228-bccb7b3b8939",
		"total 80f6fb73-3725-4404-a0ee-98ef768080f3", "total b5d0230d-60d7-4799-9aac-0e83fb6c61ec", "exceptions"}
	if !slices.Equal(codes, want) || !held.Missing {
		t.Errorf("held by %v, want %v", held.Reasons(), want)
	}
	status, err := env.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := status.Months[3].Holds; !slices.Equal(got, held.Holds) {
		t.Errorf("status says %v, the close %v", got, held.Holds)
	}
	approvals, err := env.Approvals(t.Context(), april)
	if err != nil || !slices.Equal(approvals.Holds, held.Holds) {
		t.Errorf("approvals say %v, %v, the close %v", approvals.Holds, err, held.Holds)
	}
}

// TestBoundsRefuseDamage: an amount that is none is named.
func TestBoundsRefuseDamage(t *testing.T) {
	t.Parallel()
	m := closable{month: mustMonth(t, "2026-10"), last: &ledger.Manifest{Invoices: invoicesOf("p EUR x")}}
	if _, err := (Bounds{}).holds(m); err == nil || !strings.Contains(err.Error(), "total of partner p in 2026-09") {
		t.Errorf("got %v", err)
	}
}

// TestHeldErrorIsShort: of each kind ten are told, and how many more there are.
func TestHeldErrorIsShort(t *testing.T) {
	t.Parallel()
	var holds []Hold
	for i := range 12 {
		holds = append(holds, Hold{Code: HeldByTotal, Reason: fmt.Sprint("partner ", i)})
	}
	err := newHeldError(mustMonth(t, "2026-10"), append(holds, Hold{Code: HeldForApproval, Reason: "waits"}))
	text := err.Error()
	for _, want := range []string{"partner 9\n", "and 2 more of the kind total", "  waits\n", "accept it as it is with: calends approve 2026-10 --by NAME --accept REASON"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not said:\n%s", want, text)
		}
	}
	if strings.Contains(text, "partner 10") {
		t.Errorf("too much is said:\n%s", text)
	}
	if len(err.Reasons()) != 13 || !err.Waits() || err.Missing {
		t.Errorf("%d reasons, waits %v, missing %v", len(err.Reasons()), err.Waits(), err.Missing)
	}
}
