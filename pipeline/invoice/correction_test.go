package invoice_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/calends/calends/pipeline/change"
	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pricing"
)

func TestCorrections(t *testing.T) {
	t.Parallel()
	const june = `
		e1 2023-06-01 buy S1 P1Y Monthly 10
		e3 2023-06-21 seats S1 12`
	tests := []struct {
		name string
		late string // what arrives after June was closed
		want string // July
	}{
		{"nothing late, nothing corrected", ``, `
			S1 cycleCharge 12 120.00 22.80 142.80`},
		{"a late change comes with its own dates", `e4 2023-06-26 seats S1 13`, `
			S1 addQuantity -12 -20.00 -3.80 -23.80
			S1 addQuantity  13  21.66  4.11  25.77
			S1 cycleCharge  13 130.00 24.70 154.70`},
		{"what the history no longer wants is mirrored, what it wants instead issued anew", `e2 2023-06-11 seats S1 11`, `
			S1 addQuantity -10 -66.66 -12.66 -79.32
			S1 addQuantity  11  73.33  13.93  87.26
			S1 addQuantity  10  33.33   6.33  39.66 ["Correction of C202306-000001 line 2"]
			S1 addQuantity -11 -36.66  -6.96 -43.62
			S1 cycleCharge  12 120.00  22.80 142.80`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			i := issuer{world: newWorld()}
			i.close(month("2023-06"), invoice.Customer{Changes: history(june)})
			all := invoice.Customer{Changes: history(june + "\n" + test.late)}
			july := i.close(month("2023-07"), all)
			if got, want := lines(july), squeeze(test.want); got != want {
				t.Errorf("July\n%s\nwant\n%s", got, want)
			}
			august := i.close(month("2023-08"), all)
			if len(august) != 1 || august[0].ChargeType != "cycleCharge" {
				t.Errorf("August corrects again:\n%s", lines(august))
			}
		})
	}
}

// The mirror keeps everything but the signs, the reason and the number.
func TestMirror(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.prices, w.rates = "USD", map[string]string{"USD/EUR 2023-06": "0.9", "USD/EUR 2023-07": "0.8"}
	i := issuer{world: w}
	i.close(month("2023-06"), invoice.Customer{Changes: history("e1 2023-06-10 buy S1 P1M Monthly 7")})
	issued := i.issued[0].Line
	w.rates["USD/EUR 2023-06"] = "0.7" // a world that forgot what the close used

	july := i.close(month("2023-07"), invoice.Customer{Changes: history("e1 2023-06-10 buy S1 P1M Monthly 7")})
	mirror := july[0]
	if mirror.PriceAdjustment != `["Correction of C202306-000001 line 1"]` || mirror.CreditReasonCode != "Correction" || mirror.InvoiceNumber != "" {
		t.Errorf("%q %q %q", mirror.PriceAdjustment, mirror.CreditReasonCode, mirror.InvoiceNumber)
	}
	if mirror.Proof.Corrects != "C202306-000001 line 1" {
		t.Errorf("Corrects = %q", mirror.Proof.Corrects)
	}
	if mirror.EffectiveUnitPrice.String() != "-10" || mirror.Subtotal != -issued.Subtotal || mirror.TaxTotal != -issued.TaxTotal || mirror.Total != -issued.Total {
		t.Errorf("amounts %s %d %d %d of %d %d %d", mirror.EffectiveUnitPrice, mirror.Subtotal, mirror.TaxTotal, mirror.Total, issued.Subtotal, issued.TaxTotal, issued.Total)
	}
	same := *mirror
	same.InvoiceNumber, same.EffectiveUnitPrice, same.CreditReasonCode, same.PriceAdjustment = issued.InvoiceNumber, issued.EffectiveUnitPrice, "", ""
	same.Subtotal, same.TaxTotal, same.Total, same.Proof = issued.Subtotal, issued.TaxTotal, issued.Total, nil
	if same != *issued {
		t.Errorf("the mirror differs in more:\n%+v\n%+v", same, *issued)
	}
	if again := july[1]; again.ReferenceID != issued.ReferenceID || again.ExchangeRate.String() != "0.7" || again.CreditReasonCode != "" {
		t.Errorf("issued anew: %+v", again)
	}
}

// A correction belongs to the first open month, and to no other.
func TestCorrectionsBelongToTheFirstOpenMonth(t *testing.T) {
	t.Parallel()
	i := issuer{world: newWorld()}
	before := history("e1 2023-06-01 buy S1 P1Y Monthly 10")
	i.close(month("2023-06"), invoice.Customer{Changes: before})
	after := history("e1 2023-06-01 buy S1 P1Y Monthly 10\ne2 2023-06-11 seats S1 12")
	for m, want := range map[string]int{"2023-06": 3, "2023-07": 3, "2023-08": 1} {
		outcome := must(invoice.Bill(i.world, i.books, month(m), invoice.Customer{ID: "C", Changes: after, Issued: i.issued}))
		if len(outcome.Lines) != want {
			t.Errorf("%s: %d lines, want %d:\n%s", m, len(outcome.Lines), want, lines(outcome.Lines))
		}
	}
}

// Lines of months before the books were issued elsewhere.
func TestBooksBegin(t *testing.T) {
	t.Parallel()
	i := issuer{world: newWorld()}
	i.close(month("2023-06"), invoice.Customer{Changes: history("e1 2023-04-01 buy S1 P1Y Monthly 10")})
	july := i.close(month("2023-07"), invoice.Customer{Changes: history("e1 2023-04-01 buy S1 P1Y Monthly 10\ne2 2023-05-16 seats S1 12")})
	want := squeeze(`
		S1 cycleCharge -10 -100.00 -19.00 -119.00 ["Correction of C202306-000001 line 1"]
		S1 cycleCharge 12 120.00 22.80 142.80
		S1 cycleCharge 12 120.00 22.80 142.80`)
	if got := lines(july); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// Of equal issued lines as many stay as are wanted; the last ones go.
func TestEqualDuplicates(t *testing.T) {
	t.Parallel()
	june := month("2023-06")
	elsewhere := func(n int) (charges []invoice.Elsewhere) {
		for range n {
			charges = append(charges, invoice.Elsewhere{Line: usage("S7", "2023-06-18", 500), Month: june})
		}
		return charges
	}
	i := issuer{world: newWorld()}
	i.close(june, invoice.Customer{Elsewhere: elsewhere(3)})
	steps := []struct {
		month  string
		wanted int
		want   string
	}{
		{"2023-07", 1, `
			S7 usage -1 -5.00 0.00 -5.00 ["Correction of C202306-000001 line 2"]
			S7 usage -1 -5.00 0.00 -5.00 ["Correction of C202306-000001 line 3"]`},
		{"2023-08", 1, ``},
		{"2023-09", 2, `S7 usage 1 5.00 0.00 5.00`},
		{"2023-10", 0, `
			S7 usage -1 -5.00 0.00 -5.00 ["Correction of C202306-000001 line 1"]
			S7 usage -1 -5.00 0.00 -5.00 ["Correction of C202309-000001 line 1"]`},
		{"2023-11", 0, ``},
	}
	for _, s := range steps {
		if got, want := lines(i.close(month(s.month), invoice.Customer{Elsewhere: elsewhere(s.wanted)})), squeeze(s.want); got != want {
			t.Errorf("%s, %d wanted: got\n%s\nwant\n%s", s.month, s.wanted, got, want)
		}
	}
}

// Exceptions of closed months come late, for the job to say which are news.
func TestLateExceptions(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.policies.Trust = false
	i := issuer{world: w}
	i.close(month("2023-06"), invoice.Customer{Changes: history("e1 2023-06-01 buy S1 P1Y Monthly 10")})
	outcome := must(invoice.Bill(w, i.books, month("2023-07"), invoice.Customer{ID: "C", Issued: i.issued,
		Changes: history("e1 2023-06-01 buy S1 P1Y Monthly 10\ne2 2023-06-20 cancel S1")}))
	want := `error CANCEL_WINDOW_CLOSED P/C "S1" "e2" 2023-06: subscription.canceled at 2023-06-20T09:00:00Z: the window closed on 2023-06-08T09:00:00Z, 168 hours after the term's start`
	if got := exceptions(outcome.Late); got != want || len(outcome.Exceptions) != 0 {
		t.Errorf("late\n%s\nand\n%s\nwant\n%s", got, exceptions(outcome.Exceptions), want)
	}
}

// Whatever was issued and is wanted: live issued lines and corrections are the
// wanted ones, to the cent, month after month.
func TestIssuedAndCorrectionsAreDesired(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		i := issuer{world: newWorld()}
		first := month("2023-06")
		for step := range rapid.IntRange(2, 5).Draw(t, "months") {
			var charges []invoice.Elsewhere
			for range rapid.IntRange(0, 6).Draw(t, "wanted") {
				line := usage(rapid.SampledFrom([]string{"S1", "S2"}).Draw(t, "subscription"), "2023-06-18", int64(rapid.IntRange(1, 3).Draw(t, "amount")))
				charges = append(charges, invoice.Elsewhere{Line: line, Month: first})
			}
			i.close(first+pricing.Month(step), invoice.Customer{Elsewhere: charges})
			want := make(map[string]int64)
			for _, c := range charges {
				want[c.Line.SubscriptionID] += c.Line.Total
			}
			compareTotals(t, i.issued, want)
			if live := live(t, i.issued); live != len(charges) {
				t.Fatalf("%d lines live, %d wanted", live, len(charges))
			}
		}
	})
}

// Months billed as changes came in, late ones too, issue in the end what the
// whole history wants.
func TestMonthByMonthIsAllAtOnce(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld()
		w.policies.Rounding = rapid.SampledFrom([]pricing.Rounding{pricing.Documented, pricing.Unit, pricing.WholeLine}).Draw(t, "rounding")
		changes := drawHistory(t)
		arrives := make([]int, len(changes))
		for n := range changes {
			arrives[n] = rapid.IntRange(0, 3).Draw(t, "arrives")
		}
		i := issuer{world: w}
		first := month("2023-06")
		want := make(map[string]int64)
		for step := range 4 {
			var known []*change.Change
			for n, c := range changes {
				if arrives[n] <= step {
					known = append(known, c)
				}
			}
			i.close(first+pricing.Month(step), invoice.Customer{Changes: known})
		}
		for step := range 4 {
			for _, l := range must(invoice.Bill(w, invoice.Books{}, first+pricing.Month(step), invoice.Customer{ID: "C", Changes: changes})).Lines {
				want[l.SubscriptionID] += l.Total
			}
		}
		compareTotals(t, i.issued, want)
	})
}

// compareTotals adds issued lines up by subscription.
func compareTotals(t *rapid.T, issued []invoice.Issued, want map[string]int64) {
	got := make(map[string]int64)
	for _, l := range issued {
		got[l.Line.SubscriptionID] += l.Line.Total
	}
	drop := func(_ string, total int64) bool { return total == 0 }
	maps.DeleteFunc(got, drop)
	maps.DeleteFunc(want, drop)
	if !maps.Equal(got, want) {
		t.Fatalf("issued %v, the history wants %v", got, want)
	}
}

// live counts issued lines that no mirror took back, and fails where a mirror
// was mirrored or a line taken back twice.
func live(t *rapid.T, issued []invoice.Issued) (n int) {
	names := make(map[string]bool)
	for _, i := range issued {
		if i.Line.CreditReasonCode != "Correction" {
			names[fmt.Sprintf(`["Correction of %s line %d"]`, i.Line.InvoiceNumber, i.Row)] = true
		}
	}
	for _, i := range issued {
		if i.Line.CreditReasonCode == "Correction" {
			if !names[i.Line.PriceAdjustment] {
				t.Fatalf("%s takes back no live line", i.Line.PriceAdjustment)
			}
			delete(names, i.Line.PriceAdjustment)
		}
	}
	return len(names)
}

// drawHistory draws a small life: a few subscriptions, seats up and down, a cancellation.
func drawHistory(t *rapid.T) []*change.Change {
	var text []string
	n := 0
	event := func(format string, args ...any) {
		n++
		date := (at("2023-06-01") + pricing.Date(rapid.IntRange(0, 100).Draw(t, "day"))).String()
		text = append(text, fmt.Sprintf("e%d %s ", n, date)+fmt.Sprintf(format, args...))
	}
	for s := range rapid.IntRange(1, 2).Draw(t, "subscriptions") {
		id := fmt.Sprintf("S%d", s+1)
		event("buy %s %s %d", id, rapid.SampledFrom([]string{"P1M Monthly", "P1Y Monthly", "P1Y Annual", "P1M Monthly"}).Draw(t, "term"), rapid.IntRange(1, 9).Draw(t, "quantity"))
		for range rapid.IntRange(0, 4).Draw(t, "changes") {
			event("seats %s %d", id, rapid.IntRange(1, 9).Draw(t, "quantity"))
		}
		if rapid.Bool().Draw(t, "cancels") {
			event("cancel %s", id)
		}
		if rapid.Bool().Draw(t, "credited") {
			event("credit %d.%02d %s", rapid.IntRange(1, 9).Draw(t, "euros"), rapid.IntRange(0, 99).Draw(t, "cents"), id)
		}
	}
	return history(strings.Join(text, "\n"))
}

// Who gives a credit, or rated a charge elsewhere, may call it a correction too:
// it is issued once like any other line, and corrected like one.
func TestWhatOthersCallCorrection(t *testing.T) {
	t.Parallel()
	credit := history("e1 2023-06-10 credit 5")
	credit[0].Reason = "Correction"
	charge := usage("S7", "2023-06-18", -300)
	charge.CreditReasonCode = "Correction"
	all := invoice.Customer{Changes: credit, Elsewhere: []invoice.Elsewhere{{Line: charge, Month: month("2023-06")}}}

	i := issuer{world: newWorld()}
	june := i.close(month("2023-06"), all)
	if inv := must(consolidate(month("2023-06"), newWorld().partner, policies, june)); len(inv.Sections) != 2 ||
		inv.Sections[0].Name != "customerCredit" || inv.Sections[1].Name != "usage" {
		t.Errorf("sections %v", inv.Sections)
	}
	if july := i.close(month("2023-07"), all); len(july) != 0 {
		t.Errorf("July issues again:\n%s", lines(july))
	}
	want := squeeze(`
		customerCredit 1 5.00 0.95 5.95 ["Correction of C202306-000001 line 1"]
		S7 usage 1 3.00 0.00 3.00 ["Correction of C202306-000001 line 2"]`)
	if got := squeeze(lines(i.close(month("2023-08"), invoice.Customer{}))); got != want {
		t.Errorf("August takes back\n%s\nwant\n%s", got, want)
	}
	if september := i.close(month("2023-09"), invoice.Customer{}); len(september) != 0 {
		t.Errorf("September takes back again:\n%s", lines(september))
	}
}

// A line says for which reason a window was lifted: another reason is another line.
func TestAReasonThatChanged(t *testing.T) {
	t.Parallel()
	story := func(reason string) invoice.Customer {
		changes := history("e1 2023-06-01 buy S1 P1M Monthly 3\ne2 2023-06-21 cancel S1")
		changes[1].Override = reason
		return invoice.Customer{Changes: changes}
	}
	i := issuer{world: newWorld()}
	i.close(month("2023-06"), story("ticket-1"))
	want := squeeze(`
		S1 cancelImmediate 3 9.99 1.89 11.88 ["Correction of C202306-000001 line 2"]
		S1 cancelImmediate -3 -9.99 -1.89 -11.88 ["ticket-2"]`)
	if got := lines(i.close(month("2023-07"), story("ticket-2"))); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if august := i.close(month("2023-08"), story("ticket-2")); len(august) != 0 {
		t.Errorf("August corrects again:\n%s", lines(august))
	}
}
