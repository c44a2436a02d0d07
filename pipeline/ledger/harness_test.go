package ledger_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"iter"
	"strings"

	"github.com/shopspring/decimal"
	"pgregory.net/rapid"

	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pipeline/change"
	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pipeline/party"
	"github.com/calends/calends/pipeline/subscription"
	"github.com/calends/calends/pricing"
)

// store is a ledger in memory and what was taken into it.
type store struct {
	ledger.Ledger
	ctx    context.Context //nolint:containedctx // a test's, for as long as the test
	inputs []ledger.Input
}

func newStore() *store {
	return &store{Ledger: ledger.Ledger{Bucket: bucket.NewMemory()}, ctx: context.Background()}
}

// each yields every customer's whole history.
func (s *store) each(ctx context.Context, inputs []ledger.Input) iter.Seq2[ledger.History, error] {
	return func(yield func(ledger.History, error) bool) {
		for group, err := range s.Groups(ctx, inputs, ledger.Span{Until: ledger.Ever}) {
			h := ledger.History{}
			if err == nil {
				h = ledger.NewHistory(group[0].CustomerID, group)
			}
			if !yield(h, err) {
				return
			}
		}
	}
}

func (s *store) locksOf(customerID string, closes ...ledger.Close) map[subscription.LockKey]subscription.Lock {
	used := s.UsedLocks(s.ctx, closes)
	defer used.Close()
	return must(used.Of(customerID))
}

// take appends an input of the objects.
// putLocks keeps locks as a close does.
func (s *store) putLocks(locks ...ledger.Lock) []ledger.Object {
	var kept ledger.Locks
	for _, k := range locks {
		if err := kept.Add(k); err != nil {
			panic(err)
		}
	}
	return must(s.Put(s.ctx, must(kept.Finish())))
}

func (s *store) take(kind ledger.Kind, month string, objects ...ledger.Object) {
	n := int64(len(s.inputs)) + 1
	in := ledger.Input{Number: n, Kind: kind, Name: fmt.Sprintf("%s-%d.csv", strings.ReplaceAll(string(kind), " ", "-"), n),
		SHA256: fmt.Sprintf("hash %d", n), Month: month, Objects: objects}
	for _, o := range objects {
		in.Records += o.Records
	}
	if err := s.Append(s.ctx, in); err != nil {
		panic(err)
	}
	s.inputs = append(s.inputs, in)
}

func (s *store) takePartner(id, currency, tax string) {
	s.take(ledger.Partners, "", must(s.PutPartners(s.ctx, []party.Partner{{ID: id, BillingCurrency: currency, TaxRate: dec(tax)}})))
}

func (s *store) takeCustomer(id, partner, country string) {
	s.take(ledger.Customers, "", must(s.PutCustomers(s.ctx, []party.Customer{{ID: id, PartnerID: partner, Country: country}})))
}

func (s *store) takeRate(currency, m, usd string) {
	s.take(ledger.Rates, "", must(s.PutRates(s.ctx, []pricing.FXRate{{Currency: currency, Month: month(m), USDPerUnit: dec(usd)}})))
}

// takePrices takes a sheet of one row: A by the month at the price.
func (s *store) takePrices(kind ledger.Kind, market, m, price string) {
	s.take(kind, m, must(s.PutPrices(s.ctx, market, []pricing.Row{row(price)})))
}

func row(price string) pricing.Row {
	return pricing.Row{SKU: skuA, Term: pricing.P1M, Plan: pricing.Monthly, Segment: "Commercial", Currency: "EUR", UnitPrice: dec(price),
		End: pricing.DateOf(2100, 1, 1).Instant(), Line: 2}
}

var skuA = pricing.SKU{ProductID: "A", SkuID: "0001"}

// load reads everything that was taken in.
func (s *store) load(t rapid.TB, closes ...ledger.Close) *ledger.Catalog {
	t.Helper()
	c, err := s.Load(s.ctx, s.inputs, closes, nil, func(partnerID string) subscription.Policies {
		return subscription.Policies{Trust: partnerID == "trusted"}
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// closed is a close of the month that knew the first inputs.
func closed(m string, inputs int) ledger.Close {
	return ledger.Close{Month: month(m), Inputs: int64(inputs)}
}

// told makes a change of a line: customer, day, id and what makes its content.
func told(line string, record int64) change.Change {
	w := strings.Fields(line)
	return change.Change{CustomerID: w[0], At: must(pricing.ParseDate(w[1])).Instant(), ID: w[2], Reason: w[3],
		Content: sha256.Sum256([]byte(line)), CustomTermEnd: pricing.NoDate, Taken: change.Position{Record: record}}
}

// takeChanges takes one file of changes.
func (s *store) takeChanges(lines ...string) {
	var changes []change.Change
	for i, line := range lines {
		changes = append(changes, told(line, int64(i+1)))
	}
	s.take(ledger.Changes, "", must(s.PutChanges(s.ctx, changes))...)
}

// histories prints what every customer's history is.
func (s *store) histories(t rapid.TB) string {
	t.Helper()
	var text []string
	for h, err := range s.each(s.ctx, s.inputs) {
		if err != nil {
			t.Fatal(err)
		}
		line := h.CustomerID + ":"
		for _, c := range h.Changes {
			line += " " + c.ID + "=" + c.Reason
		}
		for _, c := range h.Conflicts {
			line += " !" + c.ID + "=" + c.Reason
		}
		text = append(text, line)
	}
	return strings.Join(text, "\n")
}

func manifest(m string, revision int, state ledger.State) ledger.Manifest {
	return ledger.Manifest{Month: m, Revision: revision, State: state, Policies: map[string]invoice.Policies{
		"P": {Rounding: "unit", MonthEnd: "stick", Windows: "trust"},
	}}
}

func month(s string) pricing.Month { return must(pricing.ParseMonth(s)) }
func dec(s string) decimal.Decimal { return must(decimal.NewFromString(s)) }

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// squeeze drops indentation and empty lines.
func squeeze(text string) string {
	var lines []string
	for line := range strings.Lines(text) {
		if words := strings.Fields(line); len(words) > 0 {
			lines = append(lines, strings.Join(words, " "))
		}
	}
	return strings.Join(lines, "\n")
}
