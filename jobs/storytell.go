package jobs

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"github.com/calends/calends/pipeline/change"
	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pipeline/subscription"
	"github.com/calends/calends/pricing"
)

// facts says where the subscription stands, with the sheet row of its price.
func (t *teller) facts() (SubscriptionFacts, error) {
	r := t.reading
	f := r.facts(t.customer.ID, t.id, t.now, t.day)
	if t.now == nil {
		asked := t.events[0].change
		f.ProductID, f.SkuID = asked.SKU.ProductID, asked.SKU.SkuID
		return f, nil
	}
	if f.State == StateParked {
		f.Parked = parkingOf(t.id, t.heard.exceptions)
	}
	if f.Price == nil {
		return f, nil
	}
	switch lock := t.now.Term.Lock; {
	case lock.Source.SHA256 != "":
		row, err := r.env.sheetRow(t.ctx, r.at.inputs, lock.Source, t.now.Term.SKU)
		f.Price.Row = row
		return f, err
	case f.Price.Source == PriceOwn:
		for _, c := range t.customer.Changes {
			if c.Type == change.Purchased && c.Subject == t.id {
				event := eventFacts(c, r.at.inputs)
				f.Price.Purchase = &event
				break
			}
		}
	}
	return f, nil
}

// facts says where a subscription stands at the end of a day. The sheet row of its
// price and why it is parked are for others to find.
func (r *Reading) facts(customerID, subscriptionID string, v *subscription.View, day pricing.Date) SubscriptionFacts {
	f := SubscriptionFacts{SubscriptionID: subscriptionID, CustomerID: customerID, State: standsAs(v)}
	payer, _ := r.catalog.Payer(customerID, day.Month())
	if payer != nil {
		f.CustomerName, f.PartnerID = payer.Customer.Name, payer.Partner.ID
	}
	f.Layers = layersOf(v, (day+1).Instant()-1)
	if v == nil {
		return f
	}
	term := v.Term
	f.ProductID, f.SkuID = term.SKU.ProductID, term.SKU.SkuID
	f.TermDuration, f.BillingCycle = term.Span.Term.String(), term.Plan.String()
	f.TermStart, f.TermEnd = term.Span.Start.String(), term.Span.End.String()
	f.CustomEnd, f.Trial, f.AddOn = term.Span.Custom, term.Span.Trial, term.AddOn
	if lock := term.Lock; lock != nil {
		f.ProductName, f.SkuName = lock.ProductTitle, lock.SkuTitle
		f.Price = r.lockFacts(term, payer, day)
	}
	if v.Ended {
		return f
	}
	f.Quantity, f.AutoRenew = v.Quantity, v.AutoRenew
	if end := subscription.WindowEnd(v.Start); !v.Upgraded && day.Instant() <= end {
		f.CancelUntil = end.String()
	}
	f.Scheduled = scheduledOf(v, day)
	return f
}

// lockFacts says what a term's price is and where it comes from.
func (r *Reading) lockFacts(term *subscription.Term, payer *subscription.Payer, day pricing.Date) *PriceFacts {
	lock := term.Lock
	f := &PriceFacts{Source: PriceFromSheet, UnitPrice: lock.UnitPrice.String(), Currency: lock.Currency, Promotion: lock.PromotionID}
	if lock.PromotionID != "" {
		f.Discount = lock.Discount.String()
	}
	switch s := lock.Source; {
	case s.SHA256 != "":
		f.Sheet = &SheetFacts{Market: s.Market, Month: s.Month.String(), File: s.File, SHA256: s.SHA256, Stale: s.Month < term.Span.Start.Month()}
	case term.Span.Trial:
		f.Source = PriceOfTrial
	default:
		f.Source = PriceOwn
	}
	if payer == nil || payer.Partner.BillingCurrency == "" || payer.Partner.BillingCurrency == lock.Currency {
		return f
	}
	if rate, ok := r.catalog.Rate(lock.Currency, payer.Partner.BillingCurrency, day.Month()); ok {
		f.Rate = &RateFacts{From: lock.Currency, To: payer.Partner.BillingCurrency, Rate: rate.String(), Month: day.Month().String()}
	}
	return f
}

// scheduledOf is what a subscription will be at its next term, or its next cycle.
func scheduledOf(v *subscription.View, day pricing.Date) *Scheduled {
	span := v.Term.Span
	if n := v.Next; n != nil {
		s := &Scheduled{On: (span.End + 1).String(), ProductID: n.SKU.ProductID, SkuID: n.SKU.SkuID, TermDuration: n.TermDuration,
			BillingCycle: n.BillingCycle, Quantity: n.Quantity, PromotionID: n.PromotionID}
		if n.CustomTermEnd != pricing.NoDate {
			s.CustomEnd = n.CustomTermEnd.String()
		}
		return s
	}
	if span.Trial || v.NextPlan == v.Term.Plan {
		return nil
	}
	return &Scheduled{On: (span.CycleAt(v.Term.Plan, day).Last + 1).String(), BillingCycle: v.NextPlan.String()}
}

// parkingOf finds why a life left a subscription parked: that is the last it said.
func parkingOf(subscriptionID string, heard []subscription.Exception) *Parking {
	for i := len(heard) - 1; i >= 0; i-- {
		if x := heard[i]; x.SubscriptionID == subscriptionID && !x.Warning {
			return &Parking{Code: string(x.Code), Reason: x.Message}
		}
	}
	return nil
}

// tell puts an event into words.
func (t *teller) tell(e storyEvent) StoryEvent {
	told := StoryEvent{Time: e.at.String(), Kind: e.kind, State: standsAs(e.after), QuantityBefore: quantityOf(e.before), Quantity: quantityOf(e.after),
		Layers: layersOf(e.after, e.at)}
	for _, x := range e.notes {
		told.Notes = append(told.Notes, string(x.Code)+": "+x.Message)
	}
	if c := e.change; c != nil {
		facts := eventFacts(c, t.reading.at.inputs)
		told.Change, told.ReferenceID = &facts, invoice.ReferenceOf(c.ID)
		if c.Type == change.Upgraded && c.ToSubscription != "" && c.ToSubscription != c.Subject {
			told.Other = c.ToSubscription
			if told.Other == t.id {
				told.Other = c.Subject
			}
		}
	}
	if x := e.refusal; x != nil {
		// The message begins with type and instant, which stand beside it already.
		reason := strings.TrimPrefix(x.Message, string(e.change.Type)+" at "+e.change.At.String()+": ")
		told.Refused = &Refusal{Code: string(x.Code), Reason: reason, Rule: ruleOf(x.Code)}
		told.Did = "refused: " + reason
		return told
	}
	told.Did = did(e, told)
	return told
}

func quantityOf(v *subscription.View) int64 {
	if v == nil || v.Ended {
		return 0
	}
	return v.Quantity
}

// did says what came of an event that was taken.
func did(e storyEvent, told StoryEvent) string {
	is := e.after
	switch e.kind {
	case EventExpiry:
		return "expired: " + seatCount(told.QuantityBefore) + " ended with " + e.before.Term.Span.End.String()
	case EventRenewal:
		return fmt.Sprintf("renewed: %s of %s to %s", seatCount(told.Quantity), termText(is.Term), is.Term.Span.End)
	case EventPlan:
		return "billed " + is.Term.Plan.String() + " from here on"
	}
	c := e.change
	switch c.Type {
	case change.Purchased:
		return fmt.Sprintf("bought: %s of %s to %s", seatCount(told.Quantity), termText(is.Term), is.Term.Span.End)
	case change.QuantityChanged:
		if told.Quantity == told.QuantityBefore {
			return "nothing: there are " + seatCount(told.Quantity) + " already"
		}
		return fmt.Sprintf("%+d: %d to %s", told.Quantity-told.QuantityBefore, told.QuantityBefore, seatCount(told.Quantity))
	case change.Canceled:
		return "cancelled: " + seatCount(told.QuantityBefore) + " ended"
	case change.Upgraded:
		return upgradeText(c, told, is)
	case change.TrialConverted:
		return fmt.Sprintf("trial converted: %s of %s to %s", seatCount(told.Quantity), termText(is.Term), is.Term.Span.End)
	case change.BillingPlanChanged:
		return "billed " + c.BillingCycle + " from the next cycle on"
	case change.RenewalChanged:
		if is.AutoRenew {
			return "auto-renew on"
		}
		return "auto-renew off"
	case change.NextTermScheduled:
		if is.Next == nil {
			return "nothing is scheduled any more"
		}
		return "scheduled for the next term: " + nextText(is.Next)
	case change.NextTermCleared:
		return "nothing is scheduled any more"
	case change.Suspended:
		return "suspended; billed on until the term ends"
	case change.Reactivated:
		return "active again"
	case change.Overridden:
		return "the closed window of change " + c.EventID + " does not hold: " + c.Reason
	case change.CustomerCredited:
		return fmt.Sprintf("credit of %s %s: %s", c.Currency, c.Amount, c.Reason)
	}
	return "taken"
}

func upgradeText(c *change.Change, told StoryEvent, is *subscription.View) string {
	moved := told.Quantity - told.QuantityBefore
	switch told.Other {
	case "":
		return fmt.Sprintf("upgraded: %s of %s to %s", seatCount(told.Quantity), termText(is.Term), is.Term.Span.End)
	case c.Subject:
		return fmt.Sprintf("%s came by an upgrade from %s", seatCount(moved), told.Other)
	}
	return fmt.Sprintf("%s upgraded to %s/%s as %s", seatCount(-moved), c.SKU.ProductID, c.SKU.SkuID, told.Other)
}

func seatCount(n int64) string {
	if n == 1 {
		return "1 seat"
	}
	return fmt.Sprintf("%d seats", n)
}

// termText names what a term is of.
func termText(term *subscription.Term) string {
	name := term.SKU.ProductID + "/" + term.SKU.SkuID
	if term.Lock != nil && term.Lock.SkuTitle != "" {
		name = term.Lock.SkuTitle + " (" + name + ")"
	}
	if term.Span.Trial {
		return name + ", a trial"
	}
	return fmt.Sprintf("%s, %s billed %s", name, term.Span.Term, term.Plan)
}

// nextText names what is asked for; the rest stays as it is.
func nextText(n *change.NextTerm) string {
	var parts []string
	add := func(what, value string) {
		if value != "" {
			parts = append(parts, strings.TrimSpace(what+" "+value))
		}
	}
	if n.Quantity != nil {
		add("", seatCount(*n.Quantity))
	}
	if n.SKU != (pricing.SKU{}) {
		add("product", strings.Trim(n.SKU.ProductID+"/"+n.SKU.SkuID, "/"))
	}
	add("term", n.TermDuration)
	add("billed", n.BillingCycle)
	if n.CustomTermEnd != pricing.NoDate {
		add("to", n.CustomTermEnd.String())
	}
	add("promotion", n.PromotionID)
	return strings.Join(parts, ", ")
}

// upcoming bills the next cycle and the first one of the next term.
func (t *teller) upcoming(f SubscriptionFacts) (*Upcoming, error) {
	if t.now == nil || t.now.Ended {
		return nil, nil
	}
	payer, _ := t.reading.catalog.Payer(t.customer.ID, t.day.Month())
	if payer == nil {
		return nil, nil
	}
	world := &quoteWorld{World: t.reading.catalog, borrowed: make(map[string]pricing.Month)}
	u := &Upcoming{Currency: payer.Partner.BillingCurrency}
	span := t.now.Term.Span
	renews := span.End + 1
	var err error
	if next := span.CycleAt(t.now.Term.Plan, t.day).Last + 1; next < renews {
		if u.Charge, _, err = t.chargeOn(world, next); err != nil {
			return nil, err
		}
	}
	var missing *Parking
	if u.Renewal, missing, err = t.chargeOn(world, renews); err != nil {
		return nil, err
	}
	if u.Charge == nil && f.State != StateParked {
		u.Charge = u.Renewal
	}
	if u.Renewal == nil && missing != nil {
		u.RenewalParked = missing.Code + ": " + missing.Reason
	}
	u.Notes = world.notes()
	if u.Charge == nil && u.Renewal == nil && u.RenewalParked == "" {
		return nil, nil
	}
	return u, nil
}

// chargeOn bills the day's month and picks the cycle that begins on the day.
func (t *teller) chargeOn(world *quoteWorld, day pricing.Date) (*CycleCharge, *Parking, error) {
	outcome, err := invoice.Bill(world, invoice.Books{}, day.Month(), t.customer)
	if err != nil {
		return nil, nil, err
	}
	for _, l := range outcome.Lines {
		if l.SubscriptionID != t.id || l.OrderDate != day {
			continue
		}
		switch l.ChargeType {
		case subscription.CycleCharge, subscription.ChangeBillingPlan, subscription.Renew:
			digits, _ := pricing.MinorDigits(l.Currency)
			amount := func(units int64) string { return pricing.FormatMinor(units, digits) }
			return &CycleCharge{First: l.ChargeStart.String(), Last: l.ChargeEnd.String(), ChargeType: l.ChargeType, Quantity: l.BillableQuantity.String(),
				Amounts: Amounts{amount(l.Subtotal), amount(l.TaxTotal), amount(l.Total)}}, nil, nil
		}
	}
	for _, x := range outcome.Exceptions {
		if x.SubscriptionID == t.id && x.EventID == "" && x.Severity == invoice.Error {
			return nil, &Parking{Code: string(x.Code), Reason: x.Message}, nil
		}
	}
	return nil, nil, nil
}

// lines gathers what was issued and what open months would bill, in this order.
func (t *teller) lines() ([]StoryLine, []StorySum, error) {
	r := t.reading
	books := ledger.Books(r.at.closes)
	c := t.customer
	all, err := r.issuedTo(t.ctx, c.ID)
	if err != nil {
		return nil, nil, err
	}
	events := make(map[string]string, len(c.Changes)) // by the reference of their lines
	for _, one := range c.Changes {
		events[invoice.ReferenceOf(one.ID)] = one.ID
	}
	lines := []StoryLine{}
	var sums storySums
	for _, i := range all {
		if !t.family[i.Line.SubscriptionID] {
			continue
		}
		c.Issued = append(c.Issued, i)
		if month := monthOfInvoice(i.Line.InvoiceNumber); i.Line.SubscriptionID == t.id && month <= t.day.Month() {
			known, _ := r.at.month(month)
			line := StoryLine{LineFacts: storedLine{month: known, line: i.Line, number: i.Line.InvoiceNumber, row: i.Row}.facts(),
				Event: events[i.Line.ReferenceID], Corrects: correctedBy(i.Line)}
			lines = append(lines, line)
			sums.add(i.Line, true)
		}
	}
	if c.Elsewhere, err = t.ratedElsewhere(); err != nil {
		return nil, nil, err
	}
	for month := t.firstOpen(books); month <= t.day.Month(); month++ {
		outcome, err := invoice.Bill(r.catalog, books, month, c)
		if err != nil {
			return nil, nil, err
		}
		for _, l := range outcome.Lines {
			if l.SubscriptionID != t.id {
				continue
			}
			line := StoryLine{LineFacts: lineFacts(l), Event: events[l.ReferenceID], Corrects: correctedBy(l)}
			line.Month, line.State = month.String(), LineOpen
			lines = append(lines, line)
			sums.add(l, false)
		}
	}
	return lines, sums.told(), nil
}

// firstOpen is the first month that may have lines and no invoice yet: the one after
// the last closed; without any, the first that was billed, else that of the beginning.
func (t *teller) firstOpen(books invoice.Books) pricing.Month {
	switch {
	case books.Begun:
		return books.Closed + 1
	case len(t.reading.at.months) > 0:
		return t.reading.at.months[0].Month
	}
	return t.events[0].at.Date().Month()
}

// ratedElsewhere reads the charges of the family that were rated elsewhere, which
// hardly any licence has.
func (t *teller) ratedElsewhere() ([]invoice.Elsewhere, error) {
	r := t.reading
	rated, err := r.ratedElsewhere(t.ctx, t.family)
	if err != nil || !rated {
		return nil, err
	}
	all, err := r.env.readElsewhere(t.ctx, r.at, func(pricing.Month) bool { return true })
	if err != nil {
		return nil, err
	}
	var own []invoice.Elsewhere
	for _, e := range all[t.customer.ID] {
		if t.family[e.Line.SubscriptionID] {
			own = append(own, e)
		}
	}
	return own, nil
}

// issuedTo reads the lines of closed months of a customer, by month and row.
func (r *Reading) issuedTo(ctx context.Context, customerID string) ([]invoice.Issued, error) {
	issued, err := r.env.issuedLines(ctx, r.at, lastState(r.at.closes) != nil)
	if err != nil {
		return nil, err
	}
	defer issued.close()
	return issued.of(customerID)
}

// monthOfInvoice is the month that an invoice's number says, 0 for none.
func monthOfInvoice(number string) pricing.Month {
	ref, err := parseLineRef(number + ":1")
	if err != nil {
		return 0
	}
	return ref.month
}

// correctionText is what a mirrored line says that it takes back.
var correctionText = regexp.MustCompile(`^\["Correction of (\S+) line (\d+)"\]$`)

// correctedBy names the issued line that a correction takes back; "" for any other.
func correctedBy(l *invoice.Line) string {
	parts := correctionText.FindStringSubmatch(l.PriceAdjustment)
	if parts == nil || l.CreditReasonCode != "Correction" {
		return ""
	}
	return parts[1] + ":" + parts[2]
}

// storySums adds lines up by currency.
type storySums struct {
	currencies []string
	of         map[string]*[2]invoice.Totals // open, issued
}

func (s *storySums) add(l *invoice.Line, issued bool) {
	sum, known := s.of[l.Currency]
	if !known {
		if s.of == nil {
			s.of = make(map[string]*[2]invoice.Totals)
		}
		sum = new([2]invoice.Totals)
		s.currencies, s.of[l.Currency] = append(s.currencies, l.Currency), sum
	}
	sum[boolOrder(issued)].Add(l)
}

func (s *storySums) told() []StorySum {
	told := []StorySum{}
	for _, currency := range s.currencies {
		digits, _ := pricing.MinorDigits(currency)
		open, issued := s.of[currency][0], s.of[currency][1]
		all := open
		all.Merge(issued)
		told = append(told, StorySum{Currency: currency, Lines: all.Lines, Amounts: amountsOf(all, digits), Issued: amountsOf(issued, digits), Open: amountsOf(open, digits)})
	}
	return told
}

func amountsOf(t invoice.Totals, digits int) Amounts {
	return Amounts{pricing.FormatMinor(t.Subtotal, digits), pricing.FormatMinor(t.TaxTotal, digits), pricing.FormatMinor(t.Total, digits)}
}
