package twin

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// bench is a partner, a customer and a price sheet to try rules on.
type bench struct {
	partner Partner
	rows    []PriceRow
	promos  []Promotion
	fx      []Rate
	offers  []Offer
	changes []Change
}

func newBench() *bench {
	return &bench{partner: Partner{ID: "p", Currency: "EUR", Policy: DefaultPolicy}}
}

func (b *bench) price(product, term, plan, currency, price string) *bench {
	b.rows = append(b.rows, PriceRow{
		ProductTitle: product, ProductID: product, SkuID: "1", SkuTitle: product + " seat", Publisher: "Microsoft Corporation", Term: term, Plan: plan,
		Currency: currency, UnitPrice: price, Start: "1/1/1753 12:00:00 AM", End: "9999-11-30T23:59:59.0000000Z", Segment: "Commercial",
	})
	return b
}

// on adds a change: its time, what happened, and data as name=value.
func (b *bench) on(at, what string, data ...string) *bench {
	if len(at) == len("2006-01-02") {
		at += "T09:00:00Z"
	}
	subject := "s"
	c := Change{ID: fmt.Sprintf("ev-%02d", len(b.changes)), Type: "subscription." + what, Time: at, Data: map[string]any{"customerId": "c"}}
	if strings.Contains(what, ".") {
		c.Type = what
	}
	for _, d := range data {
		name, value, _ := strings.Cut(d, "=")
		switch name {
		case "subject":
			subject = value
		case "override":
			c.Override = value
		case "quantity", "unitPrice", "amount":
			c.Data[name] = number(value)
		case "isTrial", "autoRenewEnabled":
			c.Data[name] = value == "true"
		case "next":
			term, plan, _ := strings.Cut(value, "/")
			c.Data["scheduledNextTermInstructions"] = map[string]any{"product": map[string]any{"termDuration": term, "billingCycle": plan}}
		default:
			c.Data[name] = value
		}
	}
	c.Subject = subject
	b.changes = append(b.changes, c)
	return b
}

func (b *bench) buy(at, term, plan, quantity string, more ...string) *bench {
	return b.on(at, "purchased", append([]string{"productId=A", "skuId=1", "termDuration=" + term, "billingCycle=" + plan, "quantity=" + quantity}, more...)...)
}

func (b *bench) books() *Books {
	books := NewBooks()
	books.Ingest(World{
		Partners: []Partner{b.partner}, Customers: []Customer{{ID: "c", Market: "DE", PartnerID: "p"}},
		Sheets:     []Sheet{{Market: "DE", Month: NewMonth(2020, 1), Rows: b.rows}},
		Promotions: b.promos, FX: b.fx, Offers: b.offers, Changes: b.changes,
	})
	return books
}

// lines are the lines of some months, and the codes of their exceptions.
func (b *bench) lines(from, to Month) (lines, codes []string) {
	books := b.books()
	for m := from; m <= to; m++ {
		result := books.Bill(m)
		for _, r := range result.Partners["p"] {
			lines = append(lines, fmt.Sprintf("%s %s..%s %s x %s = %s",
				r["ChargeType"], r["ChargeStartDate"], r["ChargeEndDate"], r["EffectiveUnitPrice"], r["Quantity"], r["Subtotal"]))
		}
		for _, e := range result.Exceptions {
			if e.Code != "PRICE_LIST_STALE" {
				codes = append(codes, e.Code)
			}
		}
	}
	return lines, codes
}

func (b *bench) expect(t *testing.T, from, to Month, want ...string) {
	t.Helper()
	lines, codes := b.lines(from, to)
	got := append(lines, codes...)
	if !slices.Equal(got, want) {
		t.Errorf("got\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

// The examples that Microsoft publishes and whose own numbers agree.

func TestPublishedMonthly(t *testing.T) {
	newBench().price("A", "P1M", "Monthly", "EUR", "10.08").buy("2021-06-18", "P1M", "Monthly", "10").
		expect(t, NewMonth(2021, 6), NewMonth(2021, 7),
			"new 2021-06-18..2021-07-17 10.08 x 10 = 100.80",
			"renew 2021-07-18..2021-08-17 10.08 x 10 = 100.80")
}

func TestPublishedAnnual(t *testing.T) {
	newBench().price("A", "P1Y", "Monthly", "EUR", "120.96").buy("2021-06-18", "P1Y", "Monthly", "10").
		expect(t, NewMonth(2021, 6), NewMonth(2021, 7),
			"new 2021-06-18..2021-07-17 10.08 x 10 = 100.80",
			"cycleCharge 2021-07-18..2021-08-17 10.08 x 10 = 100.80")
	newBench().price("A", "P1Y", "Annual", "EUR", "120.96").buy("2021-06-18", "P1Y", "Annual", "10").
		expect(t, NewMonth(2021, 6), NewMonth(2022, 6),
			"new 2021-06-18..2022-06-17 120.96 x 10 = 1209.60",
			"renew 2022-06-18..2023-06-17 120.96 x 10 = 1209.60")
}

func TestPublishedSeats(t *testing.T) {
	b := newBench().price("A", "P1M", "Monthly", "EUR", "10.08").buy("2021-06-18", "P1M", "Monthly", "10").
		on("2021-06-20", "quantityChanged", "quantity=12").on("2021-06-20T10:00:00Z", "quantityChanged", "quantity=8")
	june := NewMonth(2021, 6)
	b.expect(t, june, june,
		"new 2021-06-18..2021-07-17 10.08 x 10 = 100.80",
		"addQuantity 2021-06-20..2021-07-17 -9.408 x 10 = -94.08",
		"addQuantity 2021-06-20..2021-07-17 9.408 x 12 = 112.89",
		"removeQuantity 2021-06-20..2021-07-17 -9.408 x 12 = -112.89",
		"removeQuantity 2021-06-20..2021-07-17 9.408 x 8 = 75.26")
	b.partner.Policy.Rounding = "unit"
	b.expect(t, june, june,
		"new 2021-06-18..2021-07-17 10.08 x 10 = 100.80",
		"addQuantity 2021-06-20..2021-07-17 -9.408 x 10 = -94.00",
		"addQuantity 2021-06-20..2021-07-17 9.408 x 12 = 112.80",
		"removeQuantity 2021-06-20..2021-07-17 -9.408 x 12 = -112.80",
		"removeQuantity 2021-06-20..2021-07-17 9.408 x 8 = 75.20")
}

func TestPublishedCancel(t *testing.T) {
	july := NewMonth(2021, 7)
	newBench().price("A", "P1M", "Monthly", "EUR", "10.08").buy("2021-07-15", "P1M", "Monthly", "10").on("2021-07-17", "canceled").
		expect(t, july, july,
			"new 2021-07-15..2021-08-14 10.08 x 10 = 100.80",
			"cancelImmediate 2021-07-17..2021-08-14 -9.4296774194 x 10 = -94.20")
	newBench().price("A", "P1M", "Monthly", "EUR", "10.08").buy("2021-07-15", "P1M", "Monthly", "10").on("2021-07-16", "canceled").
		expect(t, july, july,
			"new 2021-07-15..2021-08-14 10.08 x 10 = 100.80",
			"cancelImmediate 2021-07-15..2021-08-14 -10.08 x 10 = -100.80")
	newBench().price("A", "P1M", "Monthly", "EUR", "10.08").buy("2021-07-15", "P1M", "Monthly", "10").on("2021-07-18T09:00:01Z", "canceled").
		expect(t, july, july,
			"new 2021-07-15..2021-08-14 10.08 x 10 = 100.80", "CANCEL_WINDOW_CLOSED")
}

func TestPublishedUpgrade(t *testing.T) {
	june := NewMonth(2021, 6)
	newBench().price("A", "P1M", "Monthly", "EUR", "10.08").price("B", "P1M", "Monthly", "EUR", "6.43").
		buy("2021-06-18", "P1M", "Monthly", "300").on("2021-06-25", "upgraded", "toProductId=B", "toSkuId=1", "toSubscriptionId=t").
		expect(t, june, june,
			"new 2021-06-18..2021-07-17 10.08 x 300 = 3024.00",
			"convert 2021-06-25..2021-07-17 -7.728 x 300 = -2316.00",
			"convert 2021-06-25..2021-07-17 4.9296666667 x 300 = 1476.00")
}

func TestPublishedTrial(t *testing.T) {
	june := NewMonth(2021, 6)
	newBench().price("B", "P1M", "Monthly", "EUR", "52.61").buy("2021-06-25", "P1M", "Monthly", "25", "isTrial=true").
		on("2021-06-25T10:00:00Z", "trialConverted", "toProductId=B", "toSkuId=1", "quantity=25").
		expect(t, june, june,
			"new 2021-06-25..2021-07-24 0 x 25 = 0.00",
			"convert 2021-06-25..2021-07-24 0 x 25 = 0.00",
			"convert 2021-06-25..2021-07-24 52.61 x 25 = 1315.25")
}

func TestPublishedPlanChange(t *testing.T) {
	newBench().price("A", "P3Y", "Annual", "EUR", "750").price("A", "P3Y", "Monthly", "EUR", "720").
		buy("2021-09-20", "P3Y", "Annual", "10").on("2022-01-10", "billingPlanChanged", "billingCycle=Monthly").
		expect(t, NewMonth(2021, 9), NewMonth(2022, 10),
			"new 2021-09-20..2022-09-19 250 x 10 = 2500.00",
			"changeBillingPlan 2022-09-20..2022-10-19 20 x 10 = 200.00",
			"cycleCharge 2022-10-20..2022-11-19 20 x 10 = 200.00")
	newBench().price("A", "P3Y", "Annual", "EUR", "720").price("A", "P3Y", "Monthly", "EUR", "720").
		buy("2021-09-20", "P3Y", "Monthly", "1").on("2021-10-25", "billingPlanChanged", "billingCycle=Annual").
		expect(t, NewMonth(2021, 9), NewMonth(2022, 9),
			"new 2021-09-20..2021-10-19 20 x 1 = 20.00",
			"cycleCharge 2021-10-20..2021-11-19 20 x 1 = 20.00",
			"changeBillingPlan 2021-11-20..2022-09-19 200 x 1 = 200.00",
			"cycleCharge 2022-09-20..2023-09-19 240 x 1 = 240.00")
}

func TestPublishedPromotion(t *testing.T) {
	b := newBench().price("A", "P1M", "Monthly", "EUR", "3")
	b.promos = []Promotion{{ID: "ten", Start: "2024-01-01", End: "2024-03-10", ProductID: "A", SkuID: "0001", Term: "P1M", Plan: "Monthly", Discount: "0.1"}}
	b.buy("2024-01-10", "P1M", "Monthly", "10", "promotionId=ten").expect(t, NewMonth(2024, 1), NewMonth(2024, 4),
		"new 2024-01-10..2024-02-09 2.7 x 10 = 27.00",
		"renew 2024-02-10..2024-03-09 2.7 x 10 = 27.00",
		"renew 2024-03-10..2024-04-09 2.7 x 10 = 27.00",
		"renew 2024-04-10..2024-05-09 3 x 10 = 30.00",
		"PROMOTION_NOT_APPLIED")
}

func TestPublishedMonthEnds(t *testing.T) {
	for start, want := range map[string]string{
		"2021-01-31": "2021-02-27", "2021-02-28": "2021-03-27", "2021-05-31": "2021-06-29", "2021-06-30": "2021-07-29", "2021-07-31": "2021-08-30",
		"2021-01-30": "2021-02-27", "2021-02-27": "2021-03-26", "2021-05-30": "2021-06-29", "2021-06-29": "2021-07-28", "2021-07-30": "2021-08-29",
	} {
		d, _ := dateField(start)
		if got := addMonths(*d, 1) - 1; got.String() != want {
			t.Errorf("a month from %s ends on %s, not %s", start, want, got)
		}
	}
}

func TestPublishedStick(t *testing.T) {
	term, _ := newTerm("P1Y", "Monthly", false, NewDate(2021, 1, 30).Midnight(), nil, true)
	var got []string
	for _, c := range term.cycles {
		got = append(got, c.first.String()[5:]+" "+c.last.String()[5:])
	}
	want := []string{
		"01-30 02-26", "02-27 03-29", "03-30 04-28", "04-29 05-29", "05-30 06-28", "06-29 07-29",
		"07-30 08-29", "08-30 09-28", "09-29 10-29", "10-30 11-28", "11-29 12-29", "12-30 01-29",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

func TestCustomEnds(t *testing.T) {
	end := NewDate(2023, 6, 30)
	term, ok := newTerm("P1Y", "Monthly", false, NewDate(2022, 7, 15).Midnight(), &end, false)
	first, second := term.cycles[0], term.cycles[1]
	if !ok || first.last-first.first+1 != 17 || first.days != 31 || second.first != NewDate(2022, 8, 1) || len(term.cycles) != 12 {
		t.Errorf("%+v", term.cycles)
	}
	end = NewDate(2024, 10, 1)
	term, ok = newTerm("P3Y", "Triennial", false, NewDate(2022, 7, 1).Midnight(), &end, false)
	if !ok || len(term.cycles) != 1 || term.cycles[0].days != 1096 || term.end != end {
		t.Errorf("%+v", term.cycles)
	}
	if next := addMonths(term.end+1, 36) - 1; next != NewDate(2027, 10, 1) {
		t.Errorf("the next term ends on %s", next)
	}
}

func TestCyclesTile(t *testing.T) {
	for start := NewDate(2023, 1, 1); start < NewDate(2024, 4, 1); start++ {
		for _, plan := range [][2]string{{"P1M", "Monthly"}, {"P1Y", "Monthly"}, {"P1Y", "Annual"}, {"P3Y", "Monthly"}, {"P3Y", "Annual"}, {"P3Y", "Triennial"}} {
			full := addMonths(start, termMonths(plan[0])) - 1
			for _, end := range []Date{full, start, start + 27, full - 1, full.Month().First() - 1} {
				for _, stick := range []bool{false, true} {
					term, _ := newTerm(plan[0], plan[1], false, start.Midnight(), &end, stick)
					next := start
					for _, c := range term.cycles {
						if c.first != next || c.last < c.first || c.last-c.first+1 > Date(c.days) {
							t.Fatalf("%s %v to %s: %+v", start, plan, end, term.cycles)
						}
						next = c.last + 1
					}
					if next != term.end+1 {
						t.Fatalf("%s %v to %s: ends on %s", start, plan, end, next-1)
					}
				}
			}
		}
	}
}

func TestRates(t *testing.T) {
	for _, c := range []struct{ pricing, billing, want string }{
		{"1.0837", "1", "1.0837"}, {"1", "3.2573289902280132", "0.307"}, {"0.0067114093959731544", "3.2573289902280132", "0.00206040268"}, {"3", "0.007", "428.571428571"},
	} {
		a, _ := rat(c.pricing)
		b, _ := rat(c.billing)
		if got := printRate(roundRate(a.Quo(a, b))); got != c.want {
			t.Errorf("%s / %s: %s, want %s", c.pricing, c.billing, got, c.want)
		}
	}
	half, _ := rat("0.0000000125")
	if got := printRate(roundHalfEven(half, 9)); got != "0.000000012" {
		t.Errorf("half even: %s", got)
	}
}

func TestSeatLayers(t *testing.T) {
	march := NewMonth(2024, 3)
	b := newBench().price("A", "P1M", "Monthly", "EUR", "31").buy("2024-03-01", "P1M", "Monthly", "10").
		on("2024-03-10", "quantityChanged", "quantity=14").
		on("2024-03-12", "quantityChanged", "quantity=9"). // five, but only four are open
		on("2024-03-12T10:00:00Z", "quantityChanged", "quantity=11")
	b.expect(t, march, march,
		"new 2024-03-01..2024-03-31 31 x 10 = 310.00",
		"addQuantity 2024-03-10..2024-03-31 -22 x 10 = -220.00",
		"addQuantity 2024-03-10..2024-03-31 22 x 14 = 308.00",
		"removeQuantity 2024-03-12..2024-03-31 -20 x 14 = -280.00",
		"removeQuantity 2024-03-12..2024-03-31 20 x 11 = 220.00",
		"SEAT_WINDOW_CLOSED")
}

func TestOverrideLater(t *testing.T) {
	march := NewMonth(2024, 3)
	b := newBench().price("A", "P1M", "Monthly", "EUR", "31").buy("2024-03-01", "P1M", "Monthly", "1").
		on("2024-03-20", "canceled").on("2024-04-02", "change.overridden", "eventId=ev-01", "reason=goodwill")
	result := b.books().Bill(march)
	rows := result.Partners["p"]
	if len(rows) != 2 || rows[1]["PriceAdjustmentDescription"] != `["goodwill"]` || rows[1]["Subtotal"] != "-12.00" {
		t.Errorf("%v %v", rows, result.Exceptions)
	}
}

func TestTrialRenewsIntoInstructions(t *testing.T) {
	newBench().price("A", "P1Y", "Annual", "EUR", "100").buy("2024-01-31", "P1Y", "Annual", "2", "isTrial=true").
		on("2024-02-01", "nextTermScheduled", "next=P1Y/Annual").
		expect(t, NewMonth(2024, 1), NewMonth(2024, 3),
			"new 2024-01-31..2024-02-28 0 x 2 = 0.00",
			"renew 2024-02-29..2025-02-27 100 x 2 = 200.00")
}

func TestLateChangeIsCorrected(t *testing.T) {
	b := newBench().price("A", "P1M", "Monthly", "EUR", "31").buy("2024-03-01", "P1M", "Monthly", "1", "subject=s")
	books := b.books()
	march, err := books.Close(NewMonth(2024, 3))
	if err != nil || march.Partners["p"][0]["InvoiceNumber"] != "C202403-000001" {
		t.Fatal(march, err)
	}
	late := b.on("2024-03-05", "quantityChanged", "quantity=2").on("2024-03-08", "canceled").changes[1:]
	books.Ingest(World{Changes: late})
	april := books.Bill(NewMonth(2024, 4))
	var got []string
	for _, r := range april.Partners["p"] {
		got = append(got, r["ChargeType"]+" "+r["OrderDate"]+" "+r["Subtotal"]+" "+r["CreditReasonCode"])
	}
	want := []string{"addQuantity 2024-03-05 -27.00 ", "addQuantity 2024-03-05 54.00 ", "cancelImmediate 2024-03-08 -48.00 "}
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	if _, err := books.Close(NewMonth(2024, 4)); err != nil {
		t.Fatal(err)
	}
	// The same id was in truth a purchase that never was: a conflict changes nothing,
	// so the books stay as they are.
	contradiction := b.changes[0]
	contradiction.Data = map[string]any{"customerId": "c"}
	books.Ingest(World{Changes: []Change{contradiction}})
	if may := books.Bill(NewMonth(2024, 5)); len(may.Partners) > 0 {
		t.Errorf("%v", may.Partners)
	}
}

func TestMirror(t *testing.T) {
	b := newBench().price("A", "P1M", "Monthly", "EUR", "31").buy("2024-03-01", "P1M", "Monthly", "1")
	books := b.books()
	for _, m := range []Month{NewMonth(2024, 3), NewMonth(2024, 4)} {
		if _, err := books.Close(m); err != nil {
			t.Fatal(err)
		}
	}
	books.Ingest(World{Changes: b.on("2024-03-05", "canceled").changes[1:]})
	rows := books.Bill(NewMonth(2024, 5)).Partners["p"]
	if len(rows) != 2 {
		t.Fatalf("%v", rows)
	}
	m := rows[1]
	if m["ChargeType"] != "renew" || m["Subtotal"] != "-31.00" || m["UnitPrice"] != "31" || m["EffectiveUnitPrice"] != "-31" ||
		m["CreditReasonCode"] != "Correction" || m["PriceAdjustmentDescription"] != `["Correction of C202404-000001 line 1"]` {
		t.Errorf("%v", m)
	}
}

func TestDiff(t *testing.T) {
	want := newBench().price("A", "P1M", "Monthly", "EUR", "31").buy("2024-03-01", "P1M", "Monthly", "1").
		on("2024-03-05", "quantityChanged", "quantity=2").books().Bill(NewMonth(2024, 3)).Partners["p"]
	got := make([]Row, len(want))
	for i, r := range want {
		got[i] = Row{}
		for k, v := range r {
			got[i][k] = v
		}
		got[i]["ReferenceId"] = []string{"6ba7b810-9dad-51d1-80b4-00c04fd430c8", "6ba7b811-9dad-51d1-80b4-00c04fd430c8", "6ba7b811-9dad-51d1-80b4-00c04fd430c8"}[i]
	}
	text := func() []byte { return []byte(chargesText(ChargeFile{Rows: got})) }
	if diffs := Diff(want, text()); len(diffs) > 0 {
		t.Errorf("equal, and yet %q", diffs)
	}
	got[1]["Subtotal"] = "-27.01"
	if diffs := Diff(want, text()); len(diffs) != 1 || !strings.Contains(diffs[0], `Subtotal: want "-27.00", got "-27.01"`) {
		t.Errorf("%q", diffs)
	}
	got[1]["Subtotal"] = "-27.00"
	got[2]["ReferenceId"] = got[0]["ReferenceId"]
	if diffs := Diff(want, text()); len(diffs) == 0 {
		t.Error("two events with one reference are no difference")
	}
	result := Result{Month: NewMonth(2024, 3), Partners: map[string][]Row{"p": want}, Exceptions: []Exception{{Severity: "error", Code: "INVALID_CHANGE", EventID: "e"}}}
	got[2]["ReferenceId"] = got[1]["ReferenceId"]
	published := "Severity,Code,PartnerId,CustomerId,SubscriptionId,EventId,Message\r\nerror,INVALID_CHANGE,,,,e,its reason\r\n"
	if diffs := result.Diff(map[string][]byte{"p": text()}, []byte(published)); len(diffs) > 0 {
		t.Errorf("%q", diffs)
	}
	if diffs := result.Diff(map[string][]byte{"p": text(), "q": text()}, nil); len(diffs) != len(want)+1 {
		t.Errorf("%q", diffs)
	}
	got = got[:2]
	if diffs := Diff(want, text()); len(diffs) != 1 || !strings.HasPrefix(diffs[0], "missing") {
		t.Errorf("%q", diffs)
	}
}
