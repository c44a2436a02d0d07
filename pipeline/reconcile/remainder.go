package reconcile

import (
	"fmt"
	"slices"
	"strings"

	"github.com/calends/calends/pipeline/subscription"
	"github.com/calends/calends/pricing"
)

// twoCurrencies explains the same charge in two currencies: each side's amount
// stands alone.
func (x *explainer) twoCurrencies(f found) []Difference {
	o, b := f.ours[0], f.theirs[0]
	why := "they billed it in " + b.line.Currency + ", we in " + o.line.Currency
	e := Evidence{Ours: o.line.Currency, Theirs: b.line.Currency, Date: pricing.NoDate}
	var all []Difference
	if o.here {
		all = append(all, Difference{Cause: Currency, Currency: o.line.Currency, Amount: Amount{}.Sub(amountOf(o.line)), Explanation: why, Evidence: e})
	}
	if b.here {
		all = append(all, Difference{Cause: Currency, Currency: b.line.Currency, Amount: amountOf(b.line), Explanation: why, Evidence: e})
	}
	return all
}

func (x *explainer) duplicate(f found, amount Amount) Difference {
	d := Difference{Cause: Duplicate, Amount: amount, Evidence: Evidence{Date: pricing.NoDate}}
	if len(f.theirs) > 0 {
		first := &x.group.Theirs[f.repeats.place]
		d.Evidence.Other = fmt.Sprintf("%s row %d", first.File, first.Row)
		d.Explanation = "they billed it twice: see " + d.Evidence.Other
	} else {
		first := &x.group.Ours[f.repeats.place]
		d.Evidence.Other = fmt.Sprintf("%s row %d", first.Line.InvoiceNumber, first.Row)
		d.Explanation = "we billed it twice: see " + strings.TrimSpace(d.Evidence.Other)
	}
	return d
}

// missingThere explains a line of ours that they do not have. Where a line of
// theirs could not be read, nobody can tell.
func (x *explainer) missingThere(e *entry, unread *Billed, amount Amount) Difference {
	l := e.line
	d := Difference{Cause: MissingThere, Amount: amount, Evidence: Evidence{Date: pricing.NoDate}}
	billed := fmt.Sprintf("we billed %s of %s on %s; ", l.ChargeType, l.Quantity, l.OrderDate)
	if unread != nil {
		if e.credit() {
			d.Cause = Credit
		}
		d.Evidence.Other = fmt.Sprintf("%s row %d", unread.File, unread.Row)
		d.Explanation = billed + "a line of theirs like it was refused, " + d.Evidence.Other + ": " + unread.Refused
		return d
	}
	d.Explanation = billed + "their files have nothing like it"
	if e.credit() {
		d.Cause, d.Explanation = Credit, "our credit of "+l.OrderDate.String()+" is not in their files"+x.unless()
		return d
	}
	d.Explanation += x.refusedBefore(e, &d.Evidence)
	late := l.OrderDate != pricing.NoDate && l.OrderDate.Month() < e.month
	if !late {
		d.Explanation += x.unless()
		return d
	}
	d.Evidence.Month, d.Evidence.HasMonth = l.OrderDate.Month(), true
	switch {
	case corrects(e):
		d.Cause, d.Explanation = Period, "we take back a line of "+l.OrderDate.Month().String()+": "+l.PriceAdjustment
	case x.has(e, l.OrderDate.Month()):
		d.Cause, d.Explanation = Period, "we billed it late; they billed it in "+l.OrderDate.Month().String()
	case slices.Contains(x.group.TheirMonths, l.OrderDate.Month()) && l.OrderDate.Month() >= x.group.Month-1:
		d.Explanation += ", nor have those of " + l.OrderDate.Month().String() + x.unless()
	default: // their lines of months further back are not compared
		d.Explanation += "; whether they billed it in " + l.OrderDate.Month().String() + " was not looked at" + x.unless()
	}
	return d
}

// unless says that a line may be there all the same.
func (x *explainer) unless() string {
	switch n := x.group.Illegible; n {
	case 0:
		return ""
	case 1:
		return "; but 1 line of their files could not be read"
	default:
		return fmt.Sprintf("; but %d lines of their files could not be read", n)
	}
}

// corrects reports whether a line of ours takes back one of a closed month.
func corrects(e *entry) bool {
	return e.line.CreditReasonCode == "Correction" && strings.HasPrefix(e.line.PriceAdjustment, `["Correction of `)
}

// has reports whether their month has the same charge, whatever line of ours
// it was matched with there.
func (x *explainer) has(e *entry, month pricing.Month) bool {
	if x.charges == nil {
		x.charges = make(map[key]*entry)
		for i := range x.theirs {
			k, _ := x.theirs[i].key(sameCharge)
			x.charges[k] = &x.theirs[i]
		}
	}
	k, _ := e.key(sameCharge)
	k.month = month
	return x.charges[k] != nil
}

const sameCharge = sameMonth | byKind | byProduct | sameDates | byQuantity

// takesBack returns a line of theirs of another month that a line of theirs
// reverses.
func (x *explainer) takesBack(e *entry) *entry {
	if !e.rated || e.line.Subtotal == 0 {
		return nil
	}
	mirror := *e
	mirror.sign = -e.sign
	for _, by := range []pricing.Month{-1, 1} {
		if x.has(&mirror, e.month+by) {
			k, _ := mirror.key(sameCharge)
			k.month = e.month + by
			if other := x.charges[k]; other.line.Subtotal == -e.line.Subtotal {
				return other
			}
		}
	}
	return nil
}

// missingHere explains a line of theirs that we do not have.
func (x *explainer) missingHere(e *entry, amount Amount) Difference {
	d := Difference{Cause: MissingHere, Amount: amount, Evidence: Evidence{Date: pricing.NoDate}}
	if e.credit() {
		d.Cause, d.Explanation = Credit, "their credit of "+e.line.OrderDate.String()+" is not on our invoice"
		return d
	}
	if r := x.refusal(e); r != nil {
		d.Cause = Refused
		d.Explanation = "they billed what we refused: " + r.Message
		d.Evidence.Code, d.Evidence.EventID, d.Evidence.Date = r.Code, r.EventID, r.Date
		return d
	}
	if other := x.takesBack(e); other != nil {
		b := &x.group.Theirs[other.place]
		d.Cause = Period
		d.Evidence.Month, d.Evidence.HasMonth = other.month, true
		d.Evidence.Other = fmt.Sprintf("%s row %d", b.File, b.Row)
		d.Explanation = "they take back their line of " + other.month.String() + ": " + d.Evidence.Other
		return d
	}
	d.Evidence.Change = x.change(e)
	d.Evidence.Date = e.line.OrderDate
	d.Explanation = "we have nothing like it; it would take " + d.Evidence.Change + x.refusedBefore(e, &d.Evidence)
	return d
}

// refusedBefore adds a refused change of the subscription that may be behind a
// difference.
func (x *explainer) refusedBefore(e *entry, evidence *Evidence) string {
	r := x.anyRefusal(e)
	if r == nil {
		return ""
	}
	evidence.Code, evidence.EventID = r.Code, r.EventID
	return "; we refused a change of the subscription: " + string(r.Code)
}

// change says what would have to come in for us to bill a line of theirs.
func (x *explainer) change(e *entry) string {
	l, on := e.line, ""
	if l.OrderDate != pricing.NoDate {
		on = " on " + l.OrderDate.String()
	} else if l.ChargeStart != pricing.NoDate {
		on = " on " + l.ChargeStart.String()
	}
	quantity, what := e.quantity.String(), l.Item.ProductID+"/"+l.Item.SkuID
	switch e.kind {
	case kindOf(subscription.New):
		return "a purchase of " + quantity + " of " + what + on
	case kindOf(subscription.Renew):
		return "a renewal with " + quantity + " of " + what + on
	case kindOf(subscription.CycleCharge):
		return "a subscription of " + quantity + " of " + what + " that runs" + on
	case kindOf(subscription.CancelImmediate):
		return "a cancellation of " + quantity + " of " + what + on
	case kindOf(subscription.ChangeBillingPlan):
		return "a change of the billing plan" + on
	case kindOf(subscription.Convert):
		return "an upgrade or trial conversion of " + quantity + " of " + what + on
	case kindOf(subscription.MoveQuantity):
		return "an upgrade of " + quantity + " into an existing subscription of " + what + on
	case kindOf(subscription.AddQuantity), kindOf(subscription.RemoveQuantity):
		from, to := "", quantity
		if other := x.otherHalf(e); other != nil {
			from, to = " from "+other.quantity.String(), quantity
			if e.sign < 0 {
				from, to = " from "+quantity, other.quantity.String()
			}
		} else if e.sign < 0 {
			return "a change of seats from " + quantity + on
		}
		return "a change of seats" + from + " to " + to + on
	}
	return "a charge rated elsewhere: " + l.ChargeType + " of " + what + on
}

// otherHalf is the line of theirs that a seat change came with.
func (x *explainer) otherHalf(e *entry) *entry {
	if x.changes == nil {
		x.changes = make(map[string][]*entry)
		for i := range x.theirs {
			if o := &x.theirs[i]; isSeatPair(o.kind) {
				x.changes[o.subscription] = append(x.changes[o.subscription], o)
			}
		}
	}
	for _, o := range x.changes[e.subscription] {
		if o.sign != e.sign && o.kind == e.kind && o.line.OrderDate == e.line.OrderDate &&
			o.line.ChargeStart == e.line.ChargeStart && o.line.ChargeEnd == e.line.ChargeEnd {
			return o
		}
	}
	return nil
}

// refusedBy are the charge types that a change of the code would have brought.
// Codes that are not here can be of any change.
var refusedBy = map[pricing.Code][]string{
	pricing.CancelWindowClosed:   {subscription.CancelImmediate},
	pricing.SeatWindowClosed:     {subscription.RemoveQuantity, subscription.AddQuantity},
	pricing.UpgradeNotEligible:   {subscription.Convert, subscription.MoveQuantity},
	pricing.PlanChangeNotAllowed: {subscription.ChangeBillingPlan},
}

// refusal returns the refused change that a line of theirs is of: of the same
// subscription, of a charge type that the code can mean, and of the same day,
// or of the same month where the day is not known.
func (x *explainer) refusal(e *entry) *Refusal {
	var best *Refusal
	for _, r := range x.refusals[e.subscription] {
		if kinds, ok := refusedBy[r.Code]; ok && !hasKind(kinds, e.kind) {
			continue
		}
		if r.ChargeType != "" && kindOf(r.ChargeType) != e.kind {
			continue
		}
		if r.Date != pricing.NoDate {
			if r.Date == e.line.OrderDate || r.Date == e.line.ChargeStart {
				return r
			}
			continue
		}
		if best == nil && (r.Month == e.month || e.line.OrderDate != pricing.NoDate && r.Month == e.line.OrderDate.Month()) {
			best = r
		}
	}
	return best
}

// anyRefusal returns the first refused change of the subscription up to the
// line: what follows from it differs too.
func (x *explainer) anyRefusal(e *entry) *Refusal {
	for _, r := range x.refusals[e.subscription] {
		if r.ChargeType == "" && r.Month <= e.month && (r.Date == pricing.NoDate || e.line.OrderDate == pricing.NoDate || r.Date <= e.line.OrderDate) {
			return r
		}
	}
	return nil
}

func hasKind(kinds []string, kind string) bool {
	for _, k := range kinds {
		if kindOf(k) == kind {
			return true
		}
	}
	return false
}
