package damage_test

import (
	"fmt"
	"testing"

	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pipeline/reconcile"
	"github.com/calends/calends/pricing"
)

// They billed all changes, we refused those whose window was closed. Nothing
// else is damaged, so whatever differs follows from a refusal: it is named, or
// stands as evidence beside the quantity or the line that is missing.
func TestRefusals(t *testing.T) {
	t.Parallel()
	w := newWorld(9)
	count := make(map[reconcile.Cause]int)
	for i := range 200 {
		g := refusing(t, w, fmt.Sprintf("C%03d", i))
		r, err := reconcile.Reconcile(known{w}, g)
		if err != nil {
			t.Fatal(err)
		}
		conserved(t, g, r)
		for _, m := range r.Matches {
			for _, d := range m.Differences {
				count[d.Cause]++
				switch d.Cause {
				case reconcile.Refused, reconcile.Quantity, reconcile.MissingHere, reconcile.MissingThere:
					if d.Evidence.Code == "" {
						t.Errorf("%s without the refusal: %s", d.Cause, d.Explanation)
					}
				default:
					t.Errorf("%s on %s: %s", d.Cause, m.Step, d.Explanation)
				}
			}
		}
	}
	if count[reconcile.Refused] < 100 {
		t.Errorf("no more than %v", count)
	}
}

// refusing bills a customer by windows that are enforced, and once more by
// windows that are not.
func refusing(t *testing.T, w *world, id string) *reconcile.Group {
	months := []pricing.Month{march - 1, march, march + 1}
	g := &reconcile.Group{PartnerID: "P", CustomerID: id, Month: march, OurMonths: months, TheirMonths: months}
	history := w.history(id)
	dates := make(map[string]pricing.Date)
	for _, c := range history {
		dates[c.ID] = c.At.Date()
	}
	bill := func(month pricing.Month, trust bool) invoice.Outcome {
		w.policies.Trust = trust
		outcome, err := invoice.Bill(w, invoice.Books{}, month, invoice.Customer{ID: id, Changes: history})
		if err != nil {
			t.Fatal(err)
		}
		return outcome
	}
	for month := first; month <= latest; month++ {
		ours := bill(month, false)
		for _, x := range ours.Exceptions {
			if x.Severity == invoice.Error {
				g.Refusals = append(g.Refusals, reconcile.Refusal{Code: x.Code, SubscriptionID: x.SubscriptionID, EventID: x.EventID,
					Date: dates[x.EventID], Month: x.Month, Message: x.Message})
			}
		}
		if month < march-1 {
			continue
		}
		for _, l := range ours.Lines {
			g.Ours = append(g.Ours, reconcile.Ours{Line: l, Month: month, Row: len(g.Ours) + 1, TaxRate: w.partner.TaxRate, HasTaxRate: true})
		}
		for _, l := range bill(month, true).Lines {
			l.ReferenceID = ""
			g.Theirs = append(g.Theirs, reconcile.Billed{Line: l, Month: month, Row: int64(len(g.Theirs) + 2), File: "microsoft.csv"})
		}
	}
	return g
}
