package jobs

import (
	"context"
	"fmt"
	"slices"

	"github.com/calends/calends/pipeline/change"
	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pipeline/subscription"
	"github.com/calends/calends/pricing"
)

// makes reports whether a change brings a subscription into being.
func makes(c *change.Change, subscriptionID string) bool {
	return c.Type == change.Purchased && c.Subject == subscriptionID ||
		c.Type == change.Upgraded && c.ToSubscription == subscriptionID
}

// bothWays is one month, with and without what is asked for.
type bothWays struct{ with, without invoice.Outcome }

// in bills a month both ways.
func (q *quotation) in(month pricing.Month) (*bothWays, error) {
	if known, ok := q.months[month]; ok {
		return known, nil
	}
	var two bothWays
	var err error
	if two.without, err = invoice.Bill(q.world, invoice.Books{}, month, q.without); err != nil {
		return nil, err
	}
	if two.with, err = invoice.Bill(q.world, invoice.Books{}, month, q.with); err != nil {
		return nil, err
	}
	q.months[month] = &two
	return &two, nil
}

// news are the exceptions that come with what is asked for.
func (m *bothWays) news() (news []invoice.Exception) {
	for _, x := range m.with.Exceptions {
		if !slices.Contains(m.without.Exceptions, x) {
			news = append(news, x)
		}
	}
	return news
}

// refusals says which changes would not be taken, by their ids.
func (q *quotation) refusals() (map[string]*Refusal, error) {
	refused := make(map[string]*Refusal)
	for _, c := range q.asked {
		if why := q.ruled[c.ID]; why != nil {
			refused[c.ID] = why
		}
	}
	if len(refused) > 0 {
		return refused, nil
	}
	month, err := q.in(q.month)
	if err != nil {
		return nil, err
	}
	for _, x := range month.news() {
		if q.isAsked(x.EventID) && refused[x.EventID] == nil && q.refuses(x, month.with.Lines) {
			refused[x.EventID] = &Refusal{Code: string(x.Code), Reason: x.Message, Rule: ruleOf(x.Code)}
		}
	}
	if q.asImported {
		return refused, nil
	}
	for _, c := range q.asked {
		if c.Type != change.NextTermScheduled || refused[c.ID] != nil {
			continue
		}
		why, err := q.unfitRenewal(c)
		if err != nil {
			return nil, err
		}
		if why != nil {
			refused[c.ID] = why
		}
	}
	return refused, nil
}

// refuses reports whether an exception of a change means that it is not taken. What
// is bought here has not happened yet, so that what an import is billed for with an
// error, or in trust of its source, is refused, too.
func (q *quotation) refuses(x invoice.Exception, lines []*invoice.Line) bool {
	if q.asImported {
		return x.Severity == invoice.Error && len(ownLines(lines, x.EventID)) == 0
	}
	return x.Severity == invoice.Error || x.Code == pricing.CancelWindowClosed || x.Code == pricing.SeatWindowClosed
}

// unfitRenewal says what is wrong with an end that is scheduled for the next term:
// it shows only when the term begins.
func (q *quotation) unfitRenewal(c *change.Change) (*Refusal, error) {
	s, ok := q.states[len(q.asked)][c.Subject]
	if !ok || s.Next == nil || s.Next.CustomTermEnd == pricing.NoDate {
		return nil, nil
	}
	month, err := q.in((s.Term.Span.End + 1).Month())
	if err != nil {
		return nil, err
	}
	for _, x := range month.news() {
		if x.SubscriptionID == c.Subject && x.EventID == "" && x.Code == pricing.TermEndNotAllowed {
			return &Refusal{Code: string(x.Code), Reason: "at the renewal: " + x.Message, Rule: ruleOf(x.Code)}, nil
		}
	}
	return nil, nil
}

// tell compares the months with and without what is asked for.
func (q *quotation) tell(ctx context.Context) error {
	month, err := q.in(q.month)
	if err != nil {
		return err
	}
	gone, added := invoice.Diff(month.without.Lines, month.with.Lines)
	q.result.Lines, q.result.FromNextMonth = []LineFacts{}, []Recurring{}
	for _, l := range added {
		q.result.Lines = append(q.result.Lines, lineFacts(l))
	}
	for _, l := range gone {
		q.result.Instead = append(q.result.Instead, lineFacts(l))
	}
	sum, less := totals(added), totals(gone)
	q.result.ThisMonth = q.amounts(invoice.Totals{Subtotal: sum.Subtotal - less.Subtotal, TaxTotal: sum.TaxTotal - less.TaxTotal, Total: sum.Total - less.Total})
	for _, x := range month.news() {
		q.result.Exceptions = append(q.result.Exceptions, entryOf(x))
	}
	var touched []string
	for i, c := range q.asked {
		own := ownLines(added, c.ID)
		told := q.quoteOf(c)
		told.ThisMonth = q.amounts(totals(own))
		if len(own) == 0 && q.altersNothing(i) {
			told.note("the change alters nothing: it asks for what is there already")
			continue
		}
		q.window(i, told)
		for _, id := range []string{c.Subject, c.ToSubscription} {
			if id != "" && !slices.Contains(touched, id) {
				touched = append(touched, id)
			}
		}
	}
	for _, id := range touched {
		if err := q.recurring(ctx, id); err != nil {
			return err
		}
	}
	q.result.Notes = append(q.result.Notes, q.world.notes()...)
	return nil
}

func (c *ChangeQuote) note(format string, args ...any) {
	c.Notes = append(c.Notes, fmt.Sprintf(format, args...))
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

// ownLines are those of one change.
func ownLines(lines []*invoice.Line, eventID string) (own []*invoice.Line) {
	for _, l := range lines {
		if l.Proof != nil && l.Proof.EventID == eventID {
			own = append(own, l)
		}
	}
	return own
}

// altersNothing reports whether everything stands as before the change.
func (q *quotation) altersNothing(i int) bool {
	c := q.asked[i]
	for _, id := range []string{c.Subject, c.ToSubscription} {
		before, was := q.states[i][id]
		after, is := q.states[i+1][id]
		if was != is || is && !sameState(before, after) {
			return false
		}
	}
	return true
}

func sameState(a, b subscription.View) bool {
	return a.Suspended == b.Suspended && a.Ended == b.Ended && a.Parked == b.Parked && a.Quantity == b.Quantity && a.AutoRenew == b.AutoRenew &&
		a.NextPlan == b.NextPlan && a.Term.SKU == b.Term.SKU && a.Term.Span == b.Term.Span && a.Term.Plan == b.Term.Plan && sameSchedule(a.Next, b.Next)
}

func sameSchedule(a, b *change.NextTerm) bool {
	if a == nil || b == nil {
		return a == b
	}
	if (a.Quantity == nil) != (b.Quantity == nil) || a.Quantity != nil && *a.Quantity != *b.Quantity {
		return false
	}
	x, y := *a, *b
	x.Quantity, y.Quantity = nil, nil
	return x == y
}

// recurring is what a subscription is charged after this month to the end of its
// term, and at the renewal after it.
func (q *quotation) recurring(ctx context.Context, id string) error {
	before, was := q.states[0][id]
	term, is := q.states[len(q.asked)][id]
	if !is {
		return nil
	}
	if term.Ended && was {
		term = before // what would have come, to the end that it would have had
	}
	span := term.Term.Span
	r := Recurring{SubscriptionID: id, TermStart: span.Start.String(), TermEnd: span.End.String(), Cycles: []CycleCharge{}}
	var sum, less invoice.Totals
	for month := q.month + 1; month <= span.End.Month(); month++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		two, err := q.in(month)
		if err != nil {
			return err
		}
		for _, l := range two.with.Lines {
			if l.SubscriptionID == id && l.OrderDate <= span.End {
				sum.Add(l)
				r.Cycles = append(r.Cycles, q.cycleCharge(l))
			}
		}
		for _, l := range two.without.Lines {
			if l.SubscriptionID == id && l.OrderDate <= span.End {
				less.Add(l)
			}
		}
	}
	r.Sum = q.amounts(sum)
	if less.Lines > 0 {
		amounts := q.amounts(less)
		r.Before = &amounts
	}
	two, err := q.in((span.End + 1).Month())
	if err != nil {
		return err
	}
	r.Renewal, r.RenewalParked = q.renewal(two.with, id, span.End+1)
	if was && !before.Ended {
		if two, err = q.in((before.Term.Span.End + 1).Month()); err != nil {
			return err
		}
		r.RenewalBefore, _ = q.renewal(two.without, id, before.Term.Span.End+1)
	}
	q.result.FromNextMonth = append(q.result.FromNextMonth, r)
	return nil
}

// renewal looks at the day after a term's end: what the next one is charged first, or
// why it has no price.
func (q *quotation) renewal(month invoice.Outcome, id string, day pricing.Date) (charge *CycleCharge, parked string) {
	for _, l := range month.Lines {
		if l.SubscriptionID == id && l.ChargeType == subscription.Renew && l.OrderDate == day {
			charge = new(q.cycleCharge(l))
		}
	}
	for _, x := range month.Exceptions {
		noPrice := x.Code == pricing.PriceNotFound || x.Code == pricing.PriceAmbiguous
		if charge == nil && x.SubscriptionID == id && noPrice && x.EventID == "" {
			parked = string(x.Code) + ": " + x.Message
		}
	}
	return charge, parked
}

func (q *quotation) cycleCharge(l *invoice.Line) CycleCharge {
	return CycleCharge{First: l.ChargeStart.String(), Last: l.ChargeEnd.String(), ChargeType: l.ChargeType, Quantity: l.BillableQuantity.String(),
		Amounts: q.amounts(totals([]*invoice.Line{l}))}
}

// window says until when a change can be taken back.
func (q *quotation) window(i int, told *ChangeQuote) {
	c := q.asked[i]
	after := q.states[i+1][c.Subject]
	window := subscription.WindowEnd(c.At).String()
	termEnd := func() string { return ((after.Term.Span.End + 1).Instant() - 1).String() }
	switch c.Type {
	case change.Purchased:
		if c.IsTrial {
			return
		}
		told.ReturnableUntil = window
		told.note("it can be cancelled until %s; within 24 hours all days are refunded, later those from the day of the cancel on", window)
	case change.TrialConverted:
		told.ReturnableUntil = window
		told.note("the paid term can be cancelled until %s; the trial does not come back", window)
	case change.QuantityChanged:
		if q.states[i][c.Subject].Quantity < after.Quantity {
			told.ReturnableUntil = window
			told.note("the added seats can be taken back until %s", window)
		} else {
			told.note("seats that go cannot be taken back; adding them again is a new addition")
		}
	case change.Upgraded:
		told.note("seats that moved open no new window: they cannot be taken back before the next term")
	case change.Canceled:
		told.note("a subscription that is cancelled does not come back; buying it again is a new purchase")
	case change.NextTermScheduled, change.NextTermCleared:
		told.ReturnableUntil = termEnd()
		told.note("it applies at the renewal on %s and can be scheduled anew until then", after.Term.Span.End+1)
	case change.RenewalChanged:
		told.ReturnableUntil = termEnd()
		if after.AutoRenew {
			told.note("it renews on %s", after.Term.Span.End+1)
		} else {
			told.note("it expires at the end of %s, unless auto-renew is turned on again before; what was scheduled is gone", after.Term.Span.End)
		}
	case change.Suspended:
		told.ReturnableUntil = termEnd()
		told.note("it is billed on, and expires at the end of %s unless it is reactivated before; what was scheduled is gone", after.Term.Span.End)
	case change.Reactivated:
		told.ReturnableUntil = termEnd()
		told.note("it is active again")
	case change.BillingPlanChanged:
		told.note("it takes over with the next cycle")
	default: // nothing else can be quoted
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
	case pricing.TermEndNotAllowed:
		return "a custom end lies within the full term that it shortens, and a trial has none"
	case pricing.PlanChangeNotAllowed:
		return "only a term of three years changes its billing plan, and only before 2025-04-01"
	case pricing.FXRateNotFound:
		return "a price in another currency needs the exchange rate of the month"
	default:
		return "a change is taken whole or not at all"
	}
}
