package twin

import (
	"encoding/json"
	"math/big"
	"time"
)

// parsedChange is a change with its time understood.
type parsedChange struct {
	Change
	at time.Time
}

func (c parsedChange) date() Date   { return DateOf(c.at) }
func (c parsedChange) month() Month { return c.date().Month() }

func (c parsedChange) text(field string) string {
	s, _ := c.Data[field].(string)
	return s
}

// count reads a whole number of at least 1. Given says whether the field is there.
func count(data map[string]any, field string) (n int64, given, valid bool) {
	value, given := data[field]
	if !given || value == nil {
		return 0, false, false
	}
	n, ok := wholeNumber(value)
	return n, true, ok && n >= 1
}

func wholeNumber(value any) (int64, bool) {
	text, ok := value.(json.Number)
	if !ok {
		return 0, false
	}
	x, ok := rat(string(text))
	if !ok || !x.IsInt() || !x.Num().IsInt64() {
		return 0, false
	}
	return x.Num().Int64(), true
}

// decimalField reads a number that is a JSON number or a text.
func decimalField(value any) (*big.Rat, bool) {
	switch v := value.(type) {
	case json.Number:
		return rat(string(v))
	case string:
		return rat(v)
	}
	return nil, false
}

// dateField reads the date of a date or timestamp.
func dateField(value any) (date *Date, valid bool) {
	if value == nil {
		return nil, true
	}
	text, _ := value.(string)
	if text == "" {
		return nil, value == ""
	}
	t, _, ok := parseStamp(text)
	if !ok {
		return nil, false
	}
	d := DateOf(t)
	return &d, true
}

// refuse reports a change that is not taken.
func (w *walk) refuse(c parsedChange, code string) {
	w.report(c.month(), "error", code, c.subject(), c.ID)
}

// subject is the subscription that a change is about.
func (c parsedChange) subject() string {
	if c.Type == "customer.credited" {
		return c.text("subscriptionId")
	}
	return c.Subject
}

// apply takes one change, or refuses it with the first code that fails.
func (w *walk) apply(c parsedChange) {
	customer, ok := w.books.customerAt(w.customer, c.month())
	if !ok {
		w.refuse(c, "UNKNOWN_CUSTOMER")
		return
	}
	if _, ok := w.books.partnerAt(customer.PartnerID, c.month()); !ok {
		w.refuse(c, "UNKNOWN_PARTNER")
		return
	}
	if code := w.applyKnown(c); code != "" {
		w.refuse(c, code)
	}
}

func (w *walk) applyKnown(c parsedChange) string {
	switch c.Type {
	case "subscription.purchased":
		return w.purchase(c)
	case "customer.credited":
		return w.credit(c)
	}
	sub := w.subs[c.Subject]
	if sub == nil {
		return "UNKNOWN_SUBSCRIPTION"
	}
	if c.Type == "change.overridden" {
		return w.override(c)
	}
	if sub.state == ended || sub.state == suspended && needsActive(c.Type) {
		return "SUBSCRIPTION_NOT_ACTIVE"
	}
	switch c.Type {
	case "subscription.quantityChanged":
		return w.changeQuantity(c, sub)
	case "subscription.canceled":
		return w.cancel(c, sub)
	case "subscription.upgraded":
		return w.upgrade(c, sub)
	case "subscription.trialConverted":
		return w.convertTrial(c, sub)
	case "subscription.billingPlanChanged":
		return w.changePlan(c, sub)
	case "subscription.renewalChanged":
		return changeRenewal(c, sub)
	case "subscription.nextTermScheduled":
		return schedule(c, sub)
	case "subscription.nextTermCleared":
		sub.scheduled = nil
		return ""
	case "subscription.suspended":
		if sub.state == active {
			sub.state, sub.scheduled = suspended, nil
		}
		return ""
	case "subscription.reactivated":
		sub.state = active
		return ""
	}
	return "INVALID_CHANGE" // an unknown type
}

func needsActive(changeType string) bool {
	switch changeType {
	case "subscription.quantityChanged", "subscription.upgraded", "subscription.trialConverted",
		"subscription.billingPlanChanged", "subscription.nextTermScheduled", "subscription.nextTermCleared":
		return true
	}
	return false
}

func (w *walk) purchase(c parsedChange) string {
	if w.subs[c.Subject] != nil {
		return "INVALID_CHANGE" // an id that is bought again
	}
	trial, _ := c.Data["isTrial"].(bool)
	name, plan := c.text("termDuration"), c.text("billingCycle")
	quantity, _, ok := count(c.Data, "quantity")
	customEnd, okEnd := dateField(c.Data["customTermEndDate"])
	own, okOwn := w.ownPrice(c)
	if !ok || !okEnd || !okOwn || c.text("productId") == "" || c.text("skuId") == "" {
		return "INVALID_CHANGE"
	}
	fits := planFits(name, plan) || trial && trialPlanFits(name, plan)
	if !fits {
		return "INVALID_CHANGE"
	}
	if !w.books.withinLimits(c.text("productId"), c.text("skuId"), quantity) {
		return "INVALID_CHANGE"
	}
	autoRenew, given := c.Data["autoRenewEnabled"].(bool)
	sub := &subscription{
		id: c.Subject, product: c.text("productId"), sku: c.text("skuId"),
		orderID: c.text("orderId"), availabilityID: c.text("availabilityId"), addOn: c.text("parentSubscriptionId") != "",
		quantity: quantity, autoRenew: autoRenew || !given, hasWindow: true,
		layers: []layer{{quantity: quantity, since: c.at}},
	}
	t, ok := newTerm(name, plan, trial, c.at, customEnd, w.stick(c.month()))
	if !ok {
		w.refuse(c, "TERM_END_NOT_ALLOWED") // reported; the full term stands
	}
	sub.term = t
	w.subs[sub.id] = sub
	w.lockTerm(sub, c.text("promotionId"), own, c.ID)
	w.emit(sub, t, sub.cycle(), w.entryOf(c, "new", quantity, false))
	return ""
}

// trialPlanFits allows a trial to name no plan at all, or the plan None.
func trialPlanFits(name, plan string) bool {
	return (name == "" || termMonths(name) > 0) && (plan == "" || plan == "None")
}

// ownPrice is the price that a purchase brings along, or nil.
func (w *walk) ownPrice(c parsedChange) (*lock, bool) {
	value, given := c.Data["unitPrice"]
	if !given || value == nil {
		return nil, true
	}
	price, ok := decimalField(value)
	if !ok || price.Sign() < 0 {
		return nil, false
	}
	currency := or(c.text("currency"), w.partner(c.month()).Currency)
	return &lock{price: price, currency: currency, discount: new(big.Rat)}, true
}

// entryOf is a line of a change, from the change's day to the end of a cycle.
func (w *walk) entryOf(c parsedChange, chargeType string, quantity int64, credit bool) entry {
	return entry{
		chargeType: chargeType, quantity: quantity, credit: credit,
		from: c.date(), order: c.date(), reference: eventReference(c.ID), event: c.ID,
	}
}

func (w *walk) changeQuantity(c parsedChange, sub *subscription) string {
	quantity, _, ok := count(c.Data, "quantity")
	if !ok {
		return "INVALID_CHANGE"
	}
	old := sub.quantity
	if quantity == old {
		return "" // produces nothing and clears nothing
	}
	if !w.books.withinLimits(sub.product, sub.sku, quantity) {
		return "INVALID_CHANGE"
	}
	chargeType, reason := "addQuantity", ""
	if quantity > old {
		sub.layers = append(sub.layers, layer{quantity: quantity - old, since: c.at})
	} else {
		chargeType = "removeQuantity"
		fewer := old - quantity
		if fewer > sub.openSeats(c.at) {
			var code string
			if reason, code = w.lift(c, "SEAT_WINDOW_CLOSED"); code != "" {
				return code
			}
		}
		rest := sub.takeSeats(fewer, func(l layer) bool { return l.open(c.at) })
		sub.takeSeats(rest, func(layer) bool { return true })
	}
	sub.quantity, sub.quantityChanged, sub.scheduled = quantity, true, nil
	minus, plus := w.entryOf(c, chargeType, old, true), w.entryOf(c, chargeType, quantity, false)
	minus.description, plus.description = reason, reason
	w.emit(sub, sub.term, sub.cycle(), minus)
	w.emit(sub, sub.term, sub.cycle(), plus)
	return ""
}

// lift decides on a change whose window is closed: an override takes it and its
// reason is printed; the policy trust takes it with a warning; else it is refused.
func (w *walk) lift(c parsedChange, code string) (description, refusal string) {
	if reason := w.overrideOf(c); reason != "" {
		return jsonArray(reason), ""
	}
	if w.partner(c.month()).Policy.Windows == "trust" {
		w.report(c.month(), "warning", code, c.Subject, c.ID)
		return "", ""
	}
	return "", code
}

// overrideOf is the reason why a change is taken all the same: its own, or that
// of the first later change that names it.
func (w *walk) overrideOf(c parsedChange) string {
	if c.Override != "" {
		return c.Override
	}
	named := false
	for _, other := range w.changes {
		if other.ID == c.ID {
			named = true // what comes from here on is later
			continue
		}
		if named && other.Type == "change.overridden" && other.text("eventId") == c.ID &&
			other.Subject == c.Subject && other.text("reason") != "" {
			return other.text("reason")
		}
	}
	return ""
}

// override checks a change.overridden; its effect is in overrideOf.
func (w *walk) override(c parsedChange) string {
	if c.text("reason") == "" {
		return "INVALID_CHANGE"
	}
	for _, other := range w.changes {
		if other.ID == c.ID {
			break
		}
		if other.ID == c.text("eventId") && other.Subject == c.Subject {
			return ""
		}
	}
	return "INVALID_CHANGE"
}

func (w *walk) cancel(c parsedChange, sub *subscription) string {
	reason := ""
	if !sub.cancelOpen(c.at) {
		var code string
		if reason, code = w.lift(c, "CANCEL_WINDOW_CLOSED"); code != "" {
			return code
		}
	}
	e := w.entryOf(c, "cancelImmediate", sub.quantity, true)
	e.description = reason
	if sub.hasWindow && c.at.Sub(sub.term.instant) <= 24*time.Hour && !sub.quantityChanged {
		e.from = sub.cycle().first
	}
	w.emit(sub, sub.term, sub.cycle(), e)
	w.end(sub, c.date())
	return ""
}

func changeRenewal(c parsedChange, sub *subscription) string {
	on, ok := c.Data["autoRenewEnabled"].(bool)
	if !ok {
		return "INVALID_CHANGE"
	}
	if !on && sub.autoRenew {
		sub.scheduled = nil
	}
	sub.autoRenew = on
	return ""
}

func schedule(c parsedChange, sub *subscription) string {
	in, empty, ok := parseInstructions(c.Data["scheduledNextTermInstructions"])
	if !ok || !sub.autoRenew {
		return "INVALID_CHANGE"
	}
	if empty {
		sub.scheduled = nil
		return ""
	}
	plan := sub.term.plan
	if sub.pending != nil {
		plan = sub.pending.plan
	}
	if !planFits(or(in.term, sub.term.name), or(in.plan, plan)) {
		return "INVALID_CHANGE"
	}
	sub.scheduled = in
	return ""
}

func parseInstructions(value any) (in *instructions, empty, valid bool) {
	data, ok := value.(map[string]any)
	if !ok {
		return nil, false, false
	}
	in = &instructions{}
	if product, ok := data["product"].(map[string]any); ok {
		text := func(field string) string { s, _ := product[field].(string); return s }
		in.product, in.sku = text("productId"), text("skuId")
		in.term, in.plan, in.promotion = text("termDuration"), text("billingCycle"), text("promotionId")
		empty = len(product) == 0
	} else {
		empty = true
	}
	n, given, ok := count(data, "quantity")
	if given && !ok {
		return nil, false, false
	}
	in.quantity = n
	in.customEnd, ok = dateField(data["customTermEndDate"])
	if !ok {
		return nil, false, false
	}
	return in, empty && !given && in.customEnd == nil, true
}

func (w *walk) changePlan(c parsedChange, sub *subscription) string {
	plan := c.text("billingCycle")
	t := sub.term
	if !planFits(t.name, plan) {
		return "INVALID_CHANGE"
	}
	next := t.plan
	if sub.pending != nil {
		next = sub.pending.plan
	}
	if plan == next {
		return ""
	}
	if t.trial || t.name != "P3Y" || c.date() >= NewDate(2025, 4, 1) {
		return "PLAN_CHANGE_NOT_ALLOWED"
	}
	if plan == t.plan {
		sub.pending = nil // back to where it is: nothing waits any more
		return ""
	}
	change := &planChange{plan: plan, event: c.ID}
	if sub.at+1 < len(t.cycles) {
		wanted := want{
			subscription: sub.id, product: sub.product, sku: sub.sku, term: t.name, plan: plan,
			at: t.instant, month: c.month(), event: c.ID,
		}
		found, code := w.price(wanted)
		if found == nil && !sub.parked() {
			return code
		}
		change.lock, change.promotion = found, w.applyPromotion(found, sub.promotion, wanted, false)
	}
	sub.pending = change
	return ""
}

func (w *walk) convertTrial(c parsedChange, sub *subscription) string {
	product, sku := or(c.text("toProductId"), sub.product), or(c.text("toSkuId"), sub.sku)
	name, plan := or(c.text("termDuration"), sub.term.name), or(c.text("billingCycle"), sub.term.plan)
	quantity, given, ok := count(c.Data, "quantity")
	if !given {
		quantity, ok = sub.quantity, true
	}
	if !ok || !planFits(name, plan) || !sub.term.trial {
		return "INVALID_CHANGE"
	}
	found, code := w.price(want{
		subscription: sub.id, product: product, sku: sku, term: name, plan: plan,
		at: c.at, month: c.month(), event: c.ID,
	})
	if found == nil {
		return code
	}
	w.emit(sub, sub.term, sub.cycle(), w.entryOf(c, "convert", sub.quantity, true))
	t, _ := newTerm(name, plan, false, c.at, nil, w.stick(c.month()))
	for i := range t.cycles {
		t.cycles[i].lock = found
	}
	sub.term, sub.at, sub.product, sub.sku, sub.quantity = t, 0, product, sku, quantity
	sub.hasWindow, sub.quantityChanged, sub.scheduled, sub.promotion = true, false, nil, ""
	sub.layers = []layer{{quantity: quantity, since: c.at}}
	w.emit(sub, t, sub.cycle(), w.entryOf(c, "convert", quantity, false))
	return ""
}

func (w *walk) credit(c parsedChange) string {
	subscription := c.text("subscriptionId")
	if subscription != "" && w.subs[subscription] == nil {
		return "UNKNOWN_SUBSCRIPTION"
	}
	value, ok := decimalField(c.Data["amount"])
	if !ok || value.Sign() <= 0 {
		return "INVALID_CHANGE"
	}
	if c.text("currency") != w.partner(c.month()).Currency {
		return "CURRENCY_MISMATCH"
	}
	w.emitCredit(c.date(), value, c.text("currency"), c.text("reason"), subscription, c.ID)
	return ""
}
