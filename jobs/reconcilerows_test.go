package jobs

import (
	"fmt"
	"testing"

	"github.com/calends/calends/exports"
	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pipeline/reconcile"
	"github.com/calends/calends/pricing"
)

// Each match is reconciled in March. What is expected of Microsoft's lines there
// is what ours of the match come to, wherever they stand.
func TestDisputeOf(t *testing.T) {
	t.Parallel()
	day := func(text string) pricing.Date {
		d, err := pricing.ParseDate(text)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	side := func(month, dated string, total int64) exports.DifferenceSide {
		return exports.DifferenceSide{Lines: 1, Month: month, OrderDate: day(dated), Currency: "EUR", Total: total}
	}
	none := exports.DifferenceSide{OrderDate: pricing.NoDate}
	for _, c := range []struct {
		name         string
		ours, theirs exports.DifferenceSide
		causes       []reconcile.Cause
		want         string // expected, billed, difference, causes
	}{
		{"a seat more", side("2024-03", "2024-03-05", 10000), side("2024-03", "2024-03-05", 11000), []reconcile.Cause{reconcile.Quantity}, "10000 11000 1000 quantity"},
		{"a seat more at another price", side("2024-03", "2024-03-05", 10000), side("2024-03", "2024-03-05", 12000), []reconcile.Cause{reconcile.Quantity, reconcile.Price},
			"10000 12000 2000 quantity, unitPrice"},
		{"billed twice", none, side("2024-03", "2024-03-05", 10955), []reconcile.Cause{reconcile.Duplicate}, "0 10955 10955 duplicate"},
		{"truncated elsewhere", side("2024-03", "2024-03-05", 10000), side("2024-03", "2024-03-05", 10002), []reconcile.Cause{reconcile.Rounding}, "none"},
		{"not billed", side("2024-03", "2024-03-05", 10000), none, []reconcile.Cause{reconcile.MissingThere}, "none"},
		{"billed a month late by them", side("2024-03", "2024-03-05", 10955), side("2024-04", "2024-03-05", 10955), []reconcile.Cause{reconcile.Period}, "none"},
		{"a credit a month late by them", side("2024-03", "2024-03-05", -7500), side("2024-04", "2024-03-05", -7500), []reconcile.Cause{reconcile.Period}, "none"},
		{"billed a month late by us", side("2024-04", "2024-03-05", 10955), side("2024-03", "2024-03-05", 10955), []reconcile.Cause{reconcile.Period}, "none"},
		{"billed late by us, and a seat more", side("2024-04", "2024-03-05", 10955), side("2024-03", "2024-03-05", 12050), []reconcile.Cause{reconcile.Period, reconcile.Quantity},
			"10955 12050 1095 quantity"},
		{"billed before it is due", side("2024-04", "2024-04-05", 10955), side("2024-03", "2024-04-05", 10955), []reconcile.Cause{reconcile.Period}, "0 10955 10955 period"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var rows []exports.Difference
			for _, cause := range c.causes {
				row := exports.Difference{Ours: c.ours, Theirs: c.theirs, Cause: string(cause), Status: StatusOpen, Currency: "EUR"}
				if cause == reconcile.Rounding {
					row.Status = StatusTolerated
				}
				rows = append(rows, row)
			}
			got := "none"
			if d := disputeOf(testMonth(t, "2024-03"), rows); d != nil {
				got = fmt.Sprint(d.Expected, d.Billed, d.Difference, " ", d.Cause)
			}
			if got != c.want {
				t.Errorf("it is %s, want %s", got, c.want)
			}
		})
	}
}

// A charge rated elsewhere is no change of its subscription; a renewal, which has
// no event id either, is.
func TestChargeRefused(t *testing.T) {
	t.Parallel()
	for message, want := range map[string]string{
		"new of 2024-03-21 rated elsewhere is not billed: it is in EUR, the invoice in USD": "new",
		"not billed from 2024-03-12: CFQ7TTC0HHSF/0001 P1Y Monthly US has no row":           "",
	} {
		if got := chargeRefused(invoice.Exception{Message: message}); got != want {
			t.Errorf("%s: charge type %q, want %q", message, got, want)
		}
	}
}
