package jobs

import (
	"context"
	"fmt"
	"slices"

	"github.com/calends/calends/pipeline/change"
	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pipeline/subscription"
	"github.com/calends/calends/pricing"
)

// makes reports whether a change brings a subscription into being.
func makes(c *change.Change, subscriptionID string) bool {
	return c.Type == change.Purchased && c.Subject == subscriptionID ||
		c.Type == change.Upgraded && c.ToSubscription == subscriptionID
}

// noteBooks says where lines of a month that is closed already would stand.
func (q *quotation) noteBooks(at snapshot) {
	books := ledger.Books(at.closes)
	switch {
	case books.Begun && q.month < books.Begin:
		q.note("%s is before %s, with which the books begin: lines of that month are never billed", q.month, books.Begin)
	case books.IsClosed(q.month):
		q.note("%s is closed: these lines would be billed in the first open month, with their own dates", q.month)
	}
}

func (q *quotation) note(format string, args ...any) {
	q.result.Notes = append(q.result.Notes, fmt.Sprintf(format, args...))
}

// run lives both histories and compares them. Every month is billed as if it
// were open: corrections of closed ones have no place in a quote.
func (q *quotation) run(ctx context.Context) error {
	without, err := q.bill(q.without, q.month)
	if err != nil {
		return err
	}
	with, err := q.bill(q.with, q.month)
	if err != nil {
		return err
	}
	gone, added := invoice.Diff(without.Lines, with.Lines)
	q.result.Lines, q.result.Next = []LineFacts{}, []Recurring{}
	for _, l := range added {
		q.result.Lines = append(q.result.Lines, lineFacts(l))
	}
	for _, l := range gone {
		q.result.Instead = append(q.result.Instead, lineFacts(l))
	}
	sum := totals(added)
	less := totals(gone)
	q.result.ThisMonth = q.amounts(invoice.Totals{Subtotal: sum.Subtotal - less.Subtotal, TaxTotal: sum.TaxTotal - less.TaxTotal, Total: sum.Total - less.Total})
	own := q.ownLines(added)
	q.exceptions(without.Exceptions, with.Exceptions, len(own) > 0)
	if q.result.Refused != nil {
		return nil
	}
	if len(own) == 0 {
		q.note("the change alters nothing: it asks for what is there already")
		return nil
	}
	for _, last := range lastLines(own) {
		if err := q.recurring(ctx, last); err != nil {
			return err
		}
	}
	q.window(own)
	q.result.Notes = append(q.result.Notes, q.world.notes()...)
	return nil
}

func (q *quotation) bill(c invoice.Customer, month pricing.Month) (invoice.Outcome, error) {
	return invoice.Bill(q.world, invoice.Books{}, month, c)
}

func totals(lines []*invoice.Line) (t invoice.Totals) {
	for _, l := range lines {
		t.Add(l)
	}
	return t
}

func (q *quotation) amounts(t invoice.Totals) Amounts {
	return Amounts{pricing.FormatMinor(t.Subtotal, q.digits), pricing.FormatMinor(t.TaxTotal, q.digits), pricing.FormatMinor(t.Total, q.digits)}
}

// ownLines are those of the change itself.
func (q *quotation) ownLines(lines []*invoice.Line) (own []*invoice.Line) {
	for _, l := range lines {
		if l.Proof != nil && l.Proof.EventID == q.change.ID {
			own = append(own, l)
		}
	}
	return own
}

// exceptions tells the refusal of the change from what else it brings.
func (q *quotation) exceptions(without, with []invoice.Exception, billed bool) {
	known := make(map[invoice.Exception]bool)
	for _, x := range without {
		known[x] = true
	}
	for _, x := range with {
		switch {
		case known[x]:
		case x.EventID == q.change.ID && x.Severity == invoice.Error && !billed:
			q.result.Refused = &Refusal{Code: string(x.Code), Reason: x.Message, Rule: ruleOf(x.Code)}
		default:
			q.result.Exceptions = append(q.result.Exceptions, entryOf(x))
		}
	}
}

// lastLines returns the last of each subscription's lines: it has the term as
// the change leaves it.
func lastLines(lines []*invoice.Line) (last []*invoice.Line) {
	at := make(map[string]int)
	for _, l := range lines {
		if i, known := at[l.SubscriptionID]; known {
			last[i] = l
			continue
		}
		at[l.SubscriptionID] = len(last)
		last = append(last, l)
	}
	return last
}

// recurring bills the months after this one to the end of the term, and the
// renewal after it.
func (q *quotation) recurring(ctx context.Context, line *invoice.Line) error {
	r := Recurring{SubscriptionID: line.SubscriptionID, TermStart: line.TermStart.String(), TermEnd: line.TermEnd.String(), Cycles: []CycleCharge{}}
	var sum, before invoice.Totals
	for month := q.month + 1; month <= line.TermEnd.Month(); month++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		with, err := q.charges(q.with, line, month)
		if err != nil {
			return err
		}
		without, err := q.charges(q.without, line, month)
		if err != nil {
			return err
		}
		for _, l := range with {
			sum.Add(l)
			r.Cycles = append(r.Cycles, q.cycleCharge(l))
		}
		before.Merge(totals(without))
	}
	r.Sum = q.amounts(sum)
	if before.Lines > 0 {
		amounts := q.amounts(before)
		r.Before = &amounts
	}
	if err := q.renewal(line, &r); err != nil {
		return err
	}
	q.result.Next = append(q.result.Next, r)
	return nil
}

// renewal looks at the day after the term's end.
func (q *quotation) renewal(line *invoice.Line, r *Recurring) error {
	day := line.TermEnd + 1
	outcome, err := q.bill(q.with, day.Month())
	if err != nil {
		return err
	}
	for _, l := range outcome.Lines {
		if l.SubscriptionID == line.SubscriptionID && l.ChargeType == subscription.Renew && l.OrderDate == day {
			charge := q.cycleCharge(l)
			r.Renewal = &charge
		}
	}
	for _, x := range outcome.Exceptions {
		noPrice := x.Code == pricing.PriceNotFound || x.Code == pricing.PriceAmbiguous
		if r.Renewal == nil && x.SubscriptionID == line.SubscriptionID && noPrice && x.EventID == "" {
			r.RenewalParked = string(x.Code) + ": " + x.Message
		}
	}
	return nil
}

// charges returns a month's lines of a subscription that belong to the term.
func (q *quotation) charges(c invoice.Customer, term *invoice.Line, month pricing.Month) ([]*invoice.Line, error) {
	outcome, err := q.bill(c, month)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(outcome.Lines, func(l *invoice.Line) bool {
		return l.SubscriptionID != term.SubscriptionID || l.OrderDate > term.TermEnd
	}), nil
}

func (q *quotation) cycleCharge(l *invoice.Line) CycleCharge {
	return CycleCharge{First: l.ChargeStart.String(), Last: l.ChargeEnd.String(), ChargeType: l.ChargeType, Quantity: l.BillableQuantity.String(),
		Amounts: q.amounts(totals([]*invoice.Line{l}))}
}

// window says until when the change can be taken back.
func (q *quotation) window(own []*invoice.Line) {
	end := subscription.WindowEnd(q.change.At).String()
	switch q.change.Type {
	case change.Purchased:
		if q.change.IsTrial {
			return
		}
		q.result.ReturnableUntil = end
		q.note("it can be cancelled until %s; within 24 hours all days are refunded, later those from the day of the cancel on", end)
	case change.QuantityChanged:
		if own[0].ChargeType == subscription.AddQuantity {
			q.result.ReturnableUntil = end
			q.note("the added seats can be taken back until %s", end)
		} else {
			q.note("seats that go cannot be taken back; adding them again is a new addition")
		}
	case change.Upgraded:
		q.note("seats that moved open no new window: they cannot be taken back before the next term")
	case change.Canceled:
		q.note("a subscription that is cancelled does not come back; buying it again is a new purchase")
	default: // no other change can be quoted
	}
}

// ruleOf states the rule behind a refusal's code.
func ruleOf(code pricing.Code) string {
	switch code {
	case pricing.PriceNotFound:
		return "a term without a price is not billed: the sheet that governs needs a row for the product, SKU, term, plan, segment and instant"
	case pricing.PriceAmbiguous:
		return "of several rows the one that started first governs, in the billing currency, else USD, else the only one offered; two prices with one start are none"
	case pricing.CancelWindowClosed:
		return "a subscription can be cancelled up to and including 168 hours from the start of its term"
	case pricing.SeatWindowClosed:
		return "only seats that were added within the last 168 hours can go; others go at the renewal"
	case pricing.UpgradeNotEligible:
		return "the target's term is not shorter, it is active and past its own window, and the offer matrix allows the way"
	case pricing.SubscriptionNotActive:
		return "seats and upgrades need an active subscription; an ended one takes no change"
	case pricing.UnknownSubscription:
		return "a change needs a subscription of the customer that began before it"
	case pricing.UnknownPartner:
		return "a customer is billed to its partner, which must have been taken in"
	case pricing.FXRateNotFound:
		return "a price in another currency needs the exchange rate of the month"
	default:
		return "a change is taken whole or not at all"
	}
}
