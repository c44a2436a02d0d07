package twin

import "strings"

// upgradePlan is an upgrade with its texts understood.
type upgradePlan struct {
	product, sku string
	moved        int64
	longer       bool
	name, plan   string        // of the target's term
	targetID     string        // the source's own id when it keeps it
	existing     *subscription // nil: the target is new
}

func (w *walk) upgrade(c parsedChange, sub *subscription) string {
	up, code := w.planUpgrade(c, sub)
	if code == "" {
		code = w.upgradeSeats(up, sub)
	}
	if code == "" {
		code = w.upgradeEligible(c, up, sub)
	}
	if code != "" {
		return code
	}
	if up.existing != nil {
		w.upgradeIntoExisting(c, up, sub)
		return ""
	}
	return w.upgradeToNew(c, up, sub)
}

// planUpgrade checks the values of an upgrade.
func (w *walk) planUpgrade(c parsedChange, sub *subscription) (upgradePlan, string) {
	up := upgradePlan{product: c.text("toProductId"), sku: c.text("toSkuId"), moved: sub.quantity}
	n, given, ok := count(c.Data, "quantity")
	if given {
		up.moved = n
	}
	name := or(c.text("termDuration"), sub.term.name)
	if given && !ok || up.product == "" || up.sku == "" || termMonths(name) == 0 {
		return up, "INVALID_CHANGE"
	}
	up.longer = termMonths(name) > termMonths(sub.term.name)
	up.name, up.plan = name, or(c.text("billingCycle"), sub.term.plan)
	if up.longer {
		if !planFits(up.name, up.plan) {
			return up, "INVALID_CHANGE"
		}
	} else {
		same := up.product == sub.product && padSku(up.sku) == padSku(sub.sku)
		if up.plan != sub.term.plan || same {
			return up, "INVALID_CHANGE"
		}
	}
	up.targetID = or(c.text("toSubscriptionId"), sub.id)
	if up.targetID != sub.id {
		up.existing = w.subs[up.targetID]
	}
	return up, ""
}

// upgradeSeats checks trial and seats.
func (w *walk) upgradeSeats(up upgradePlan, sub *subscription) string {
	if sub.term.trial || up.moved > sub.quantity {
		return "INVALID_CHANGE"
	}
	rest := sub.quantity - up.moved
	if rest > 0 && up.targetID == sub.id {
		return "INVALID_CHANGE" // a part without a new id
	}
	target := up.moved
	if up.existing != nil && up.existing.state != ended { // an ended one has no seats
		target += up.existing.quantity
	}
	if !w.books.withinLimits(up.product, up.sku, target) || rest > 0 && !w.books.withinLimits(sub.product, sub.sku, rest) {
		return "INVALID_CHANGE"
	}
	return ""
}

// upgradeEligible checks whether the source may become the target.
func (w *walk) upgradeEligible(c parsedChange, up upgradePlan, sub *subscription) string {
	shorter := termMonths(up.name) < termMonths(sub.term.name)
	if shorter || !w.books.mayConvert(sub.product, sub.sku, up.product, up.sku) {
		return "UPGRADE_NOT_ELIGIBLE"
	}
	target := up.existing
	if target == nil {
		return ""
	}
	fits := target.state == active && !target.term.trial && !target.parked() &&
		target.product == up.product && padSku(target.sku) == padSku(up.sku) &&
		termMonths(target.term.name) >= termMonths(sub.term.name) && target.term.end >= sub.term.end &&
		!target.cancelOpen(c.at)
	if !fits {
		return "UPGRADE_NOT_ELIGIBLE"
	}
	return ""
}

func (w *walk) upgradeIntoExisting(c parsedChange, up upgradePlan, sub *subscription) {
	target := up.existing
	w.emit(sub, sub.term, sub.cycle(), w.entryOf(c, "moveQuantity", up.moved, true))
	w.emit(target, target.term, target.cycle(), w.entryOf(c, "moveQuantity", up.moved, false))
	if promotion := c.text("promotionId"); promotion != "" {
		w.report(c.month(), "warning", "PROMOTION_NOT_APPLIED", sub.id, c.ID)
	}
	target.quantity += up.moved
	target.quantityChanged, target.scheduled = true, nil
	target.layers = append(target.layers, layer{quantity: up.moved, since: c.at, closed: true})
	w.seatsLeave(c, up, sub)
}

func (w *walk) upgradeToNew(c parsedChange, up upgradePlan, sub *subscription) string {
	wanted := want{
		subscription: up.targetID, product: up.product, sku: up.sku, term: up.name, plan: up.plan,
		at: c.at, month: c.month(), event: c.ID,
	}
	found, code := w.price(wanted)
	if found == nil {
		return code
	}
	target := &subscription{
		id: up.targetID, product: up.product, sku: up.sku, quantity: up.moved, autoRenew: sub.autoRenew,
		orderID: sub.orderID, availabilityID: sub.availabilityID,
		addOn:  sub.addOn && up.targetID == sub.id,
		layers: []layer{{quantity: up.moved, since: c.at, closed: true}},
	}
	target.promotion = w.applyPromotion(found, c.text("promotionId"), wanted, false)
	if up.longer {
		target.term, _ = newTerm(up.name, up.plan, false, c.at, nil, w.stick(c.month()))
	} else {
		same := *sub.term
		same.cycles = append([]cycle(nil), sub.term.cycles...)
		target.term, target.at = &same, sub.at
	}
	for i := range target.term.cycles {
		target.term.cycles[i].lock = found
	}
	w.emit(sub, sub.term, sub.cycle(), w.entryOf(c, "convert", up.moved, true))
	w.emit(target, target.term, target.cycle(), w.entryOf(c, "convert", up.moved, false))
	w.seatsLeave(c, up, sub)
	w.subs[target.id] = target
	return ""
}

// seatsLeave takes the moved seats from the source, newest layers first.
func (w *walk) seatsLeave(c parsedChange, up upgradePlan, sub *subscription) {
	sub.scheduled = nil
	if up.moved == sub.quantity {
		w.end(sub, c.date())
		return
	}
	sub.takeSeats(up.moved, func(layer) bool { return true })
	sub.quantity -= up.moved
	sub.quantityChanged = true
}

// The offer matrix.

func offerKey(product, sku string) string { return product + "/" + padSku(sku) }

// withinLimits says whether a quantity keeps the licence limits of its SKU.
func (b *Books) withinLimits(product, sku string, quantity int64) bool {
	offer, ok := b.offers[offerKey(product, sku)]
	if !ok {
		return true
	}
	if least, ok := rat(offer.Min); ok && ratOf(quantity).Cmp(least) < 0 {
		return false
	}
	most, ok := rat(offer.Max)
	return !ok || ratOf(quantity).Cmp(most) <= 0
}

// mayConvert says whether the offer matrix lets one SKU become another. Without
// a matrix everything may.
func (b *Books) mayConvert(product, sku, toProduct, toSku string) bool {
	if len(b.offers) == 0 {
		return true
	}
	offer := b.offers[offerKey(product, sku)]
	for _, allowed := range strings.FieldsFunc(offer.Conversions, func(r rune) bool { return r == ',' || r == ';' }) {
		toP, toS, _ := strings.Cut(strings.TrimSpace(allowed), "/")
		if offerKey(toP, toS) == offerKey(toProduct, toSku) {
			return true
		}
	}
	return false
}
