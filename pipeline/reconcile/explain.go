package reconcile

import (
	"fmt"
	"math/big"
	"strings"

	"github.com/shopspring/decimal"

	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pricing"
)

// explainer names the causes of what a matcher found.
type explainer struct {
	world    World
	group    *Group
	theirs   []entry
	refusals map[string][]*Refusal // by subscription
	// Looked up once they are asked for.
	changes map[string][]*entry // their seat changes by subscription
	charges map[key]*entry      // their lines by what is charged
}

func newExplainer(world World, g *Group, theirs []entry) *explainer {
	if world == nil {
		world = nothing{}
	}
	x := &explainer{world: world, group: g, theirs: theirs, refusals: make(map[string][]*Refusal)}
	for i := range g.Refusals {
		r := &g.Refusals[i]
		id := strings.ToLower(r.SubscriptionID)
		x.refusals[id] = append(x.refusals[id], r)
	}
	return x
}

// nothing is a world that knows nothing.
type nothing struct{}

func (nothing) Prices(string, pricing.SKU, pricing.Month) ([]PriceRow, error) { return nil, nil }
func (nothing) Promotions(pricing.SKU) []pricing.Promotion                    { return nil }
func (nothing) Rate(_, _ string, _ pricing.Month) (rate decimal.Decimal, ok bool) {
	return rate, false
}

// explain makes a match of what was found, with its causes.
func (x *explainer) explain(f found) (Match, error) {
	m := Match{Step: f.step}
	m.Ours, m.Theirs = linesOf(x.group.Ours, f.ours), linesOf(x.group.Theirs, f.theirs)
	for _, e := range f.ours {
		m.Currency = e.line.Currency
		if e.here {
			m.Difference = m.Difference.Sub(amountOf(e.line))
		}
	}
	for _, e := range f.theirs {
		if m.Currency == "" {
			m.Currency = e.line.Currency
		}
		if e.here && e.line.Currency == m.Currency {
			m.Difference = m.Difference.Add(amountOf(e.line))
		}
	}
	var err error
	switch {
	case f.step == StepEqual:
	case f.step == StepCurrency:
		m.Differences = x.twoCurrencies(f)
	case f.step == StepDuplicate:
		m.Differences = []Difference{x.duplicate(f, m.Difference)}
	case len(f.theirs) == 0:
		m.Differences = []Difference{x.missingThere(f.ours[0], f.unread, m.Difference)}
	case len(f.ours) == 0:
		m.Differences = []Difference{x.missingHere(f.theirs[0], m.Difference)}
	default:
		m.Differences, err = x.pair(f)
	}
	for i := range m.Differences {
		if d := &m.Differences[i]; d.Currency == "" {
			d.Currency = m.Currency
		}
	}
	return m, err
}

// anotherMonth reports whether their line is dated into another month than
// ours. An event that only moved a few days across the month's end is not:
// days of the cycle are charged on both sides, and days are what differs.
func anotherMonth(o, b *bill) bool {
	from, to := o.lead.line.OrderDate, b.lead.line.OrderDate
	if from == pricing.NoDate || to == pricing.NoDate || from.Month() == to.Month() {
		return false
	}
	shared := o.dated() && b.dated() && o.start <= b.end && b.start <= o.end
	same := o.start == b.start && o.end == b.end
	return !shared || same || wholeMonths(o.lead, b.lead)
}

// linesOf returns the lines of a side that entries stand for.
func linesOf[T any](all []T, entries []*entry) []T {
	switch len(entries) {
	case 0:
		return nil
	case 1:
		at := entries[0].place
		return all[at : at+1 : at+1]
	}
	lines := make([]T, len(entries))
	for i, e := range entries {
		lines[i] = all[e.place]
	}
	return lines
}

// lacks are the fields that none of a bill's rows can be believed to have.
func (x *explainer) lacks(b *bill) Fields {
	var all Fields
	for _, e := range b.entries {
		all |= x.group.Theirs[e.place].Lacks
	}
	return all
}

// pair explains lines of both sides.
func (x *explainer) pair(f found) ([]Difference, error) {
	o, b := newBill(f.ours), newBill(f.theirs)
	w := walk{explainer: x, o: &o, b: &b, days: Days}
	moved := anotherMonth(&o, &b)
	if moved {
		w.days = Period // it is another month's days that they charge
	}
	if err := w.run(); err != nil {
		return nil, err
	}
	oursHere, theirsHere := o.lead.here, b.lead.here
	switch {
	case oursHere && theirsHere:
		if moved && !w.has(Period) {
			w.free(Period, fmt.Sprintf("they date it %s, we %s", b.lead.line.OrderDate, o.lead.line.OrderDate),
				Evidence{Ours: o.lead.line.OrderDate.String(), Theirs: b.lead.line.OrderDate.String(), Date: b.lead.line.OrderDate, Month: b.lead.line.OrderDate.Month(), HasMonth: true})
		}
		return w.differences, nil
	case oursHere:
		// What differs beyond the month is a difference of that month.
		for i := range w.differences {
			w.differences[i].Amount = Amount{}
			w.differences[i].Explanation += "; it counts in " + b.lead.month.String()
		}
		period := x.period(&o, &b, Amount{}.Sub(o.sum), "they billed it in "+b.lead.month.String()+", we in "+o.lead.month.String(), b.lead.month)
		return join(period, w.differences), nil
	default:
		period := x.period(&o, &b, o.sum, "they billed it in "+b.lead.month.String()+", we in "+o.lead.month.String(), o.lead.month)
		return join(period, w.differences), nil
	}
}

// join puts a period first and takes up what the days of the other month come to.
func join(period Difference, others []Difference) []Difference {
	all := []Difference{period}
	for _, d := range others {
		if d.Cause == Period {
			all[0].Amount = all[0].Amount.Add(d.Amount)
			continue
		}
		all = append(all, d)
	}
	return all
}

func (x *explainer) period(o, b *bill, amount Amount, why string, month pricing.Month) Difference {
	return Difference{Cause: Period, Amount: amount, Explanation: why, Evidence: Evidence{
		Ours: o.lead.month.String(), Theirs: b.lead.month.String(), Date: pricing.NoDate, Month: month, HasMonth: true}}
}

// walk goes from our amount to theirs, one factor after the other, each with
// the exact formula: what a step changes is its cause's.
type walk struct {
	*explainer
	o, b        *bill
	days        Cause // what other dates are: Days, or Period where they are another month's
	differences []Difference

	at       Amount // where the walk stands
	taxRate  decimal.Decimal
	subtotal bool // the taxes follow from the subtotals
}

func (w *walk) has(c Cause) bool {
	for _, d := range w.differences {
		if d.Cause == c {
			return true
		}
	}
	return false
}

// add names a cause, each once.
func (w *walk) add(c Cause, amount Amount, why string, e Evidence) {
	if e.Date == 0 {
		e.Date = pricing.NoDate
	}
	for i := range w.differences {
		if d := &w.differences[i]; d.Cause == c {
			d.Amount = d.Amount.Add(amount)
			d.Explanation += "; " + why
			return
		}
	}
	w.differences = append(w.differences, Difference{Cause: c, Amount: amount, Explanation: why, Evidence: e})
}

// last is the cause that was named last.
func (w *walk) last() Cause { return w.differences[len(w.differences)-1].Cause }

// free names a cause that costs nothing here.
func (w *walk) free(c Cause, why string, e Evidence) { w.add(c, Amount{}, why, e) }

// to moves on to a subtotal, with the tax that it has.
func (w *walk) to(c Cause, subtotal int64, why string, e Evidence) {
	next := Amount{Subtotal: subtotal, Tax: w.at.Tax}
	if w.subtotal {
		next.Tax = w.at.Tax + taxOf(subtotal, w.taxRate) - taxOf(w.at.Subtotal, w.taxRate)
	}
	next.Total = w.at.Total + next.Subtotal - w.at.Subtotal + next.Tax - w.at.Tax
	w.add(c, next.Sub(w.at), why, e)
	w.at = next
}

func (w *walk) run() error {
	o, b := w.o, w.b
	w.at = o.sum
	if b.sum == o.sum && !w.changed() {
		return nil
	}
	w.taxRate, w.subtotal = w.ourTaxRate()
	if b.sum.Subtotal != o.sum.Subtotal || w.changed() {
		if err := w.subtotals(); err != nil {
			return err
		}
	}
	w.stated()
	w.taxes()
	if rest := b.sum.Sub(w.at); !rest.IsZero() {
		stated := b.sum.Subtotal + b.sum.Tax
		w.add(Arithmetic, rest, fmt.Sprintf("their own Subtotal and TaxTotal give %s, they billed %s", w.money(stated), w.money(b.sum.Total)),
			Evidence{Ours: w.money(stated), Theirs: w.money(b.sum.Total)})
	}
	return nil
}

// changed reports whether the two state another quantity or other dates.
func (w *walk) changed() bool {
	return len(w.o.entries) == 1 && len(w.b.entries) == 1 && w.o.quantity.Cmp(w.b.quantity) != 0 || w.datesDiffer()
}

// stated names what the file says otherwise although the amount does not.
func (w *walk) stated() {
	o, b := w.o, w.b
	if len(o.entries) == 1 && len(b.entries) == 1 && o.quantity.Cmp(b.quantity) != 0 && !w.has(Quantity) {
		w.free(Quantity, w.quantityText(b.quantity), w.quantityEvidence(b.quantity))
	}
	if w.datesDiffer() && !w.has(w.days) {
		w.free(w.days, w.datesText(), w.datesEvidence(pricing.NoDate))
	}
}

func (w *walk) datesDiffer() bool {
	return w.o.dated() && w.b.dated() && !w.lacks(w.b).Has(FieldChargeDates) && (w.o.start != w.b.start || w.o.end != w.b.end || w.o.turned != w.b.turned)
}

// subtotals goes through the factors in their order: quantity, unit price,
// promotion, days, exchange rate, rounding.
func (w *walk) subtotals() error {
	o, b := w.o, w.b
	target := b.sum.Subtotal
	if o.lead.credit() || b.lead.credit() {
		w.to(Credit, target, fmt.Sprintf("their credit is %s, ours %s", w.money(target), w.money(o.sum.Subtotal)), Evidence{Ours: w.money(o.sum.Subtotal), Theirs: w.money(target)})
		return nil
	}
	ours, ok := w.readOurs(o)
	if !ok {
		return w.opaque(ours)
	}
	theirs, solved, err := w.solve(ours, o, b)
	if err != nil {
		return err
	}
	// Of all the rows, rates and days there are, some may well come near an amount
	// that their columns do not give: what neither they nor we state explains none.
	if !solved || theirs.unstated || !theirs.unit.touches(unitPrice(b.lead.line.UnitPrice)) && !theirs.unit.touches(ours.unit) {
		if right, ok := w.asStated(b, ours.formula, o.sum.Subtotal); ok {
			return w.contradicted(&right, (*walk).subtotals)
		}
	}
	at := ours
	if len(o.entries)+len(b.entries) > 2 {
		at.sign = b.sign // a net has the sign of what is left
	}
	if len(o.entries) > 1 {
		at.sign = o.sign
		if together := at.amount(o.sum.Subtotal); together != o.sum.Subtotal {
			w.to(Rounding, together, fmt.Sprintf("%d lines of ours are truncated one by one", len(o.entries)), Evidence{Policy: string(at.formula)})
		}
	}
	step := func(c Cause, why string, e Evidence) { w.to(c, at.amount(target), why, e) }

	if at.quantity.Cmp(theirs.quantity) != 0 || at.sign != theirs.sign {
		at.quantity, at.sign = theirs.quantity, theirs.sign
		step(Quantity, w.quantityText(theirs.quantity), w.quantityEvidence(theirs.quantity))
	}
	foreign := o.lead.line.PricingCurrency != b.lead.line.PricingCurrency && b.lead.line.PricingCurrency != "" && !w.lacks(b).Has(FieldPricingCurrency)
	if !at.unit.touches(theirs.unit) || foreign {
		from := at.unit
		at.unit = theirs.unit
		if foreign { // a price in another currency goes with its rate
			at.rate = theirs.rate
		}
		step(Price, w.priceText(from, theirs), Evidence{Ours: text(from.middle()), Theirs: text(theirs.unit.middle()), Sheet: theirs.row})
	}
	if at.share.Cmp(theirs.share) != 0 {
		from := at.share
		at.share = theirs.share
		step(Promotion, w.promotionText(from, theirs), Evidence{Ours: percent(from), Theirs: percent(theirs.share), PromotionID: w.promotionOf(theirs)})
	}
	if at.days.Cmp(theirs.days) != 0 {
		at.days = theirs.days
		step(w.days, w.daysText(ours, theirs), w.datesEvidence(theirs.date))
	}
	if at.rate.Cmp(theirs.rate) != 0 {
		from := at.rate
		at.rate = theirs.rate
		why, month, ok := w.rateText(from, theirs.rate)
		e := Evidence{Ours: text(from), Theirs: text(theirs.rate), Rate: asDecimal(theirs.rate)}
		if ok {
			e.Month, e.HasMonth = month, true
		}
		step(Rate, why, e)
	}
	if at.formula != theirs.formula && w.at.Subtotal != target {
		at.formula = theirs.formula
		w.rounding(ours.formula, theirs.formula, at.amount(target))
	}
	rest := target - w.at.Subtotal
	switch {
	case rest == 0:
	case solved && len(b.entries) > 1:
		w.to(Rounding, target, fmt.Sprintf("%d lines of theirs are truncated one by one", len(b.entries)), Evidence{Policy: string(theirs.formula)})
	case theirs.truncated && len(w.differences) > 0: // the tolerance of a cause that is there
		w.to(w.last(), target, "what truncations of "+text(at.quantity)+" units can make is in it", Evidence{})
	case theirs.truncated:
		w.to(Rounding, target, "their amount is no truncation's, but within what truncations of "+text(at.quantity)+" units can make", Evidence{Ours: string(ours.formula)})
	case solved && len(w.differences) > 0: // what the last decimal of a printed price leaves
		w.into(target)
	case solved:
		w.to(Rounding, target, "their price is printed to its tenth decimal", Evidence{Policy: string(theirs.formula)})
	default:
		w.to(Unknown, target, "no quantity, price, promotion, days, rate or rounding at hand gives their "+w.money(target), Evidence{Ours: w.money(o.sum.Subtotal), Theirs: w.money(target)})
	}
	return nil
}

// into adds what is left to the last cause.
func (w *walk) into(subtotal int64) {
	last := &w.differences[len(w.differences)-1]
	why := last.Explanation
	w.to(last.Cause, subtotal, "", Evidence{})
	last.Explanation = why
}

// opaque explains a line whose effective price is made of no price and days of
// ours, such as usage, by what the columns of the two sides give.
func (w *walk) opaque(ours factors) error {
	o, b := w.o, w.b
	target := b.sum.Subtotal
	at := factors{quantity: o.quantity, unit: o.effective(), share: rat1, days: rat1, rate: ours.rate, sign: o.sign, digits: ours.digits}
	theirs := at
	theirs.quantity, theirs.unit, theirs.sign = b.quantity, b.effective(), b.sign
	if lacks := w.lacks(b); lacks.Has(FieldEffectiveUnitPrice) {
		theirs.unit = at.unit
	} else if !lacks.Has(FieldExchangeRate) && !b.lead.line.ExchangeRate.IsZero() {
		theirs.rate = b.lead.line.ExchangeRate.Rat()
	}
	single := len(o.entries) == 1 && len(b.entries) == 1 && at.settle(formulas, o.sum.Subtotal)
	if right, ok := w.asStated(b, at.formula, o.sum.Subtotal); single && ok {
		return w.contradicted(&right, func(w *walk) error { return w.opaque(ours) })
	}
	if single && theirs.settle(append([]formula{at.formula}, formulas...), target) {
		if at.quantity.Cmp(theirs.quantity) != 0 || at.sign != theirs.sign {
			at.quantity, at.sign = theirs.quantity, theirs.sign
			w.to(Quantity, at.amount(target), w.quantityText(theirs.quantity), w.quantityEvidence(theirs.quantity))
		}
		if !at.unit.touches(theirs.unit) {
			at.unit = theirs.unit
			w.to(Price, at.amount(target), fmt.Sprintf("their effective price is %s, ours %s", b.price, o.price), Evidence{Ours: o.price.String(), Theirs: b.price.String()})
		}
		if from := at.rate; from.Cmp(theirs.rate) != 0 {
			at.rate = theirs.rate
			why, _, _ := w.rateText(from, theirs.rate)
			w.to(Rate, at.amount(target), why, Evidence{Ours: text(from), Theirs: text(theirs.rate), Rate: asDecimal(theirs.rate)})
		}
		if at.formula != theirs.formula {
			w.rounding(at.formula, theirs.formula, target)
		}
		if w.at.Subtotal != target && len(w.differences) > 0 {
			w.into(target)
		}
	}
	if w.at.Subtotal != target {
		w.to(Unknown, target, "nothing here computes the amount: it was rated elsewhere", Evidence{Ours: w.money(o.sum.Subtotal), Theirs: w.money(target)})
	}
	return nil
}

// settle takes the first formula that gives the amount.
func (f *factors) settle(formulas []formula, amount int64) bool {
	for _, f.formula = range formulas {
		if f.gives(amount) {
			return true
		}
	}
	return false
}

func (w *walk) rounding(ours, theirs formula, target int64) {
	w.to(Rounding, target, "theirs: "+theirs.String()+"; ours: "+ours.String(), Evidence{Ours: string(ours), Theirs: string(theirs), Policy: string(theirs)})
}

// ourTaxRate is the invoice's, or what the line's own tax shows. ok is false
// where neither explains our own tax.
func (w *walk) ourTaxRate() (rate decimal.Decimal, ok bool) {
	lead := w.o.lead
	if o := &w.group.Ours[lead.place]; o.HasTaxRate && taxOf(lead.line.Subtotal, o.TaxRate) == lead.line.TaxTotal {
		return o.TaxRate, true
	}
	if p := lead.line.Proof; p != nil && taxOf(lead.line.Subtotal, p.TaxRate) == lead.line.TaxTotal {
		return p.TaxRate, true
	}
	return shownRate(lead.line.Subtotal, lead.line.TaxTotal)
}

// shownRate is the plainest rate of at most four decimals that gives the tax.
func shownRate(subtotal, tax int64) (rate decimal.Decimal, ok bool) {
	if tax == 0 {
		return decimal.Decimal{}, true
	}
	if subtotal == 0 {
		return decimal.Decimal{}, false
	}
	ratio := new(big.Rat).SetFrac64(tax, abs(subtotal))
	if subtotal < 0 {
		ratio.Neg(ratio)
	}
	for places := int32(2); places <= 4; places++ {
		near := decimal.NewFromBigRat(ratio, places)
		unit := decimal.New(1, -places)
		for _, rate := range []decimal.Decimal{near, near.Add(unit)} {
			if taxOf(subtotal, rate) == tax {
				return rate, true
			}
		}
	}
	return decimal.Decimal{}, false
}

func taxOf(subtotal int64, rate decimal.Decimal) int64 {
	tax, err := pricing.Tax(subtotal, rate)
	if err != nil {
		return 0
	}
	return tax
}

// taxes explains the tax that the subtotals do not.
func (w *walk) taxes() {
	b := w.b
	rest := b.sum.Tax - w.at.Tax
	if rest == 0 {
		return
	}
	amount := Amount{Tax: rest, Total: rest}
	cause, why := Tax, ""
	parts := int64(len(w.o.entries) + len(b.entries))
	exact := decimal.NewFromInt(b.sum.Subtotal).Mul(w.taxRate)
	switch {
	case parts > 2 && w.subtotal && abs(rest) < parts:
		cause, why = Rounding, "the tax is truncated line by line"
	case w.subtotal && exact.Round(0).Equal(decimal.NewFromInt(b.sum.Tax)):
		cause, why = Rounding, "their tax is rounded to the nearest, ours truncated"
		if len(w.differences) > 0 {
			cause = w.last()
		}
	case w.lacks(b).Has(FieldTaxTotal):
		why = "their file has no tax"
	case b.sum.Tax == 0:
		why = "they charge no tax, we " + percentOf(w.taxRate)
	default:
		rate, ok := shownRate(b.sum.Subtotal, b.sum.Tax)
		if ok {
			why = "their tax is " + percentOf(rate) + ", ours " + percentOf(w.taxRate)
		} else {
			why = fmt.Sprintf("their tax is %s, ours on the same amount %s", w.money(b.sum.Tax), w.money(w.at.Tax))
		}
	}
	w.at = w.at.Add(amount)
	w.add(cause, amount, why, Evidence{Ours: w.money(b.sum.Tax - rest), Theirs: w.money(b.sum.Tax)})
}

func (w *walk) money(units int64) string {
	digits, ok := pricing.MinorDigits(w.b.lead.line.Currency)
	if !ok {
		return fmt.Sprint(units)
	}
	return pricing.FormatMinor(units, digits)
}

func (w *walk) quantityText(theirs *big.Rat) string {
	switch {
	case w.b.sign < w.o.sign:
		return fmt.Sprintf("they credit %s, we charge %s", text(theirs), text(w.o.quantity)) + w.refusedBefore(w.o.lead, new(Evidence))
	case w.b.sign > w.o.sign:
		return fmt.Sprintf("they charge %s, we credit %s", text(theirs), text(w.o.quantity)) + w.refusedBefore(w.o.lead, new(Evidence))
	}
	return fmt.Sprintf("they billed %s, we %s", text(theirs), text(w.o.quantity)) + w.refusedBefore(w.o.lead, new(Evidence))
}

func (w *walk) quantityEvidence(theirs *big.Rat) Evidence {
	e := Evidence{Ours: text(w.o.quantity), Theirs: text(theirs)}
	w.refusedBefore(w.o.lead, &e)
	return e
}

func (w *walk) priceText(from span, theirs solution) string {
	currency := w.b.lead.line.PricingCurrency
	why := fmt.Sprintf("their list price is %s %s, ours %s", text(theirs.unit.middle()), currency, text(from.middle()))
	switch {
	case theirs.row != nil:
		why += fmt.Sprintf("; theirs is on line %d of the sheet %s %s", theirs.row.Row.Line, theirs.row.Market, theirs.row.Month)
	case theirs.guessed:
		why += ", as their effective price shows; no row, promotion or date at hand explains it"
	default:
		why += "; no row at hand has theirs"
	}
	return why
}

func (w *walk) promotionOf(theirs solution) string {
	if theirs.promotion != "" {
		return theirs.promotion
	}
	return w.o.lead.line.Item.PromotionID
}

func (w *walk) promotionText(from *big.Rat, theirs solution) string {
	why := fmt.Sprintf("they take off %s, we %s", percent(theirs.share), percent(from))
	if id := w.promotionOf(theirs); id != "" {
		why += " (" + id + ")"
	}
	return why
}

func (w *walk) daysText(ours factors, theirs solution) string {
	if theirs.date != pricing.NoDate {
		return fmt.Sprintf("they charge %s of the cycle, we %s: as if the event was on %s", text(theirs.days), text(ours.days), theirs.date)
	}
	if !w.datesDiffer() {
		return fmt.Sprintf("they charge %s of the cycle, we %s", fraction(theirs.days), fraction(ours.days))
	}
	return w.datesText()
}

func (w *walk) datesText() string {
	if w.b.turned && !w.o.turned {
		return fmt.Sprintf("they charge from %s back to %s, we %s to %s", w.b.end, w.b.start, w.o.start, w.o.end)
	}
	return fmt.Sprintf("they charge %s to %s, we %s to %s", w.b.start, w.b.end, w.o.start, w.o.end)
}

func (w *walk) datesEvidence(date pricing.Date) Evidence {
	e := Evidence{Ours: w.o.start.String() + "/" + w.o.end.String(), Theirs: w.b.start.String() + "/" + w.b.end.String(), Date: w.b.start}
	if date != pricing.NoDate {
		e.Theirs, e.Date = date.String()+"/"+w.b.end.String(), date
	}
	return e
}

// rateText says whose month's rate theirs is.
func (w *walk) rateText(from, theirs *big.Rat) (why string, month pricing.Month, ok bool) {
	why = fmt.Sprintf("their exchange rate is %s, ours %s", text(theirs), text(from))
	for _, month = range ratesAround(w.o, w.b) {
		if rate, known := w.world.Rate(pricingCurrency(w.o, w.b), w.b.lead.line.Currency, month); known && rate.Rat().Cmp(theirs) == 0 {
			return why + "; theirs is that of " + month.String(), month, true
		}
	}
	return why, 0, false
}

// text prints a fraction as a decimal.
func text(r *big.Rat) string { return pricing.ExactText(r) }

// fraction prints 20/31.
func fraction(r *big.Rat) string { return r.RatString() }

func percent(left *big.Rat) string { return percentText(new(big.Rat).Sub(rat1, left)) }

func percentOf(rate decimal.Decimal) string { return percentText(rate.Rat()) }

func percentText(r *big.Rat) string {
	return text(new(big.Rat).Mul(r, big.NewRat(100, 1))) + " %"
}

func asDecimal(r *big.Rat) decimal.Decimal { return decimal.NewFromBigRat(r, 18) }

func amountOf(l *invoice.Line) Amount { return Amount{l.Subtotal, l.TaxTotal, l.Total} }
