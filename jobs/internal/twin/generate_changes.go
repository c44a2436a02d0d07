package twin

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// history makes the changes of every customer.
func (m *maker) history() {
	for _, c := range slices.Concat(m.customers, m.newcomers) {
		m.customerHistory(c.ID, m.currencyOf(c))
	}
	for _, id := range m.strangers {
		m.customerHistory(id, "EUR")
	}
	for _, a := range slices.Clone(m.changes) {
		m.repeat(a)
	}
}

func (m *maker) currencyOf(c Customer) string {
	for _, p := range slices.Concat(m.partners, m.late) {
		if p.ID == c.PartnerID {
			return p.Currency
		}
	}
	return "EUR"
}

func (m *maker) customerHistory(customer, currency string) {
	var subs []*subject
	var taken []Change
	for range m.between(1, 4) {
		sub, change := m.purchase(customer, currency)
		subs = append(subs, sub)
		taken = append(taken, change)
	}
	for range m.rng.IntN(13) {
		change := m.anyChange(customer, currency, &subs, taken)
		taken = append(taken, change)
		closes := change.Type == "subscription.canceled" || change.Type == "subscription.quantityChanged"
		if closes && m.chance(12) {
			taken = append(taken, m.overrideOf(customer, change))
		}
	}
	for _, c := range taken {
		m.arrive(c)
	}
}

// arrive decides which ingest brings a change: mostly that of its own month,
// sometimes a later one, now and then one before it has happened.
func (m *maker) arrive(c Change) {
	month := parseChange(c).month()
	switch {
	case m.chance(18):
		month += Month(m.between(1, 4))
	case m.chance(4):
		month--
	}
	m.changes = append(m.changes, arriving{c, month})
}

// repeat delivers some changes again, and some ids with another content.
func (m *maker) repeat(a arriving) {
	again := a
	again.month += Month(m.rng.IntN(3))
	again.change.KeyOrder = m.rng.Uint64()
	switch {
	case m.chance(6):
		m.changes = append(m.changes, again)
	case m.chance(4):
		again.change.Data = maps.Clone(a.change.Data)
		switch {
		case m.chance(40):
			at := parseChange(a.change).at.Add(time.Duration(m.between(1, 40*24)) * time.Hour)
			again.change.Time = at.Format(time.RFC3339)
		case m.chance(20):
			again.change.Override = "second thoughts"
		default:
			again.change.Data["quantity"] = number(fmt.Sprint(m.between(1, 30)))
		}
		m.changes = append(m.changes, again)
		if m.chance(20) {
			m.changes = append(m.changes, again)
		}
	}
}

func (m *maker) spanStart() time.Time { return m.start.First().Midnight() }
func (m *maker) spanEnd() time.Time   { return (m.end + 1).First().Midnight() }

// instant is any second of the span, often at a month's end or on a border of the rules.
func (m *maker) instant() time.Time {
	days := int(m.end.Last() - m.start.First())
	day := m.start.First() + Date(m.rng.IntN(days+1))
	if m.chance(50) { // most of a history is at its start, so that something follows
		day = m.start.First() + Date(m.rng.IntN(min(days, 75)+1))
	}
	switch {
	case m.chance(25):
		day = day.Month().Last() - Date(m.rng.IntN(4))
	case m.chance(12):
		day = pick(m, []Date{
			NewDate(2022, 3, 11), NewDate(2022, 3, 12), NewDate(2022, 3, 9), NewDate(2024, 2, 29), NewDate(2024, 2, 28),
			NewDate(2025, 3, 31), NewDate(2025, 4, 1), NewDate(2025, 2, 28), NewDate(2022, 1, 30), NewDate(2023, 1, 31),
		})
	}
	return m.inside(m.onDay(day))
}

// onDay is an instant on a day, often its first.
func (m *maker) onDay(day Date) time.Time {
	if m.chance(20) {
		return day.Midnight()
	}
	return day.Midnight().Add(time.Duration(m.rng.IntN(86400)) * time.Second)
}

func (m *maker) inside(t time.Time) time.Time {
	if t.Before(m.spanStart()) {
		return m.spanStart().Add(t.Sub(t.Truncate(24 * time.Hour)))
	}
	if !t.Before(m.spanEnd()) {
		return m.spanEnd().Add(-time.Duration(1+m.rng.IntN(86400)) * time.Second)
	}
	return t
}

// near is an instant that means something to a subscription: an edge of a window,
// the first day of a cycle, the last day of a term, or just after another change.
func (m *maker) near(sub *subject, taken []Change) time.Time {
	start := DateOf(sub.start)
	length := termMonths(sub.term)
	if sub.trial {
		length = 1
	}
	renewal := addMonths(start, length*m.rng.IntN(3)).Midnight()
	var t time.Time
	switch m.rng.IntN(9) {
	case 0, 1:
		from := sub.start
		if m.chance(40) {
			from = renewal
		}
		hours := pick(m, []int{24, 72, 168})
		t = from.Add(time.Duration(hours)*time.Hour + time.Duration(m.between(-1, 1))*time.Second)
	case 2, 3:
		t = m.onDay(addMonths(start, m.between(0, 14)))
	case 4:
		t = m.onDay(addMonths(start, length) - Date(m.rng.IntN(2)))
	case 5:
		t = sub.start.Add(time.Duration(m.rng.IntN(7*86400)) * time.Second)
	case 6:
		t = parseChange(pick(m, taken)).at
	case 7:
		t = parseChange(pick(m, taken)).at
		if m.chance(40) { // an edge of the window of the seats that it brought
			t = t.Add(time.Duration(pick(m, []int{24, 72, 168}))*time.Hour + time.Duration(m.between(-1, 1))*time.Second)
		} else {
			t = t.Add(time.Duration(m.rng.IntN(3*86400)) * time.Second)
		}
	default:
		t = m.instant()
	}
	if t.Before(sub.start) && m.chance(95) {
		t = sub.start.Add(time.Duration(m.rng.IntN(30*86400)) * time.Second)
	}
	return m.inside(t)
}

func (m *maker) change(customer, changeType, about string, at time.Time, data map[string]any) Change {
	data["customerId"] = customer
	id := m.id("ev")
	if m.chance(1) {
		id = "ev-shared" // of several customers, and twice of one it is a conflict
	}
	return Change{
		ID: id, Type: changeType, Subject: about, Time: at.Format(time.RFC3339), Data: data, KeyOrder: m.rng.Uint64(),
	}
}

func (m *maker) seats() int64 {
	return int64(pick(m, []int{1, 2, 3, 5, 10, 10, 12, 25, 300}))
}

func (m *maker) purchase(customer, currency string) (*subject, Change) {
	p := pick(m, m.products)
	term, plan := m.termAndPlan()
	sub := &subject{
		id: m.id("sub"), start: m.instant(), term: term, plan: plan, trial: m.chance(15),
		quantity: m.seats(), product: p.id, sku: p.sku,
	}
	if m.chance(2) {
		sub.id = "sub-shared" // ids are looked up within the customer
	}
	data := map[string]any{
		"productId": p.id, "skuId": p.sku, "termDuration": term, "billingCycle": plan, "quantity": number(fmt.Sprint(sub.quantity)),
		"orderId": fmt.Sprintf("order%d", m.rng.IntN(100000)),
	}
	if m.chance(10) {
		data["skuId"] = strings.TrimLeft(p.sku, "0")
	}
	if m.chance(50) {
		data["availabilityId"] = "CFQ7TTC0K5RQ"
	}
	m.purchaseExtras(data, sub, currency)
	return sub, m.change(customer, "subscription.purchased", sub.id, sub.start, data)
}

func (m *maker) purchaseExtras(data map[string]any, sub *subject, currency string) {
	if sub.trial {
		data["isTrial"] = true
	}
	if m.chance(8) {
		data["autoRenewEnabled"] = m.chance(30)
	}
	if m.chance(25) && (!sub.trial || m.chance(20)) {
		data["customTermEndDate"] = m.customEnd(DateOf(sub.start), sub.term)
	}
	if m.chance(25) {
		data["promotionId"] = m.promotionFor(sub)
	}
	if m.chance(8) {
		data["parentSubscriptionId"] = m.uuid()
	}
	if m.chance(12) {
		data["unitPrice"] = number(pick(m, []string{"120.96", "100", "0", "57.123456789", "10.08"}))
		if m.chance(70) {
			data["currency"] = pick(m, []string{currency, "USD", "EUR", "KWD"})
		}
	}
	switch { // values that are refused
	case m.chance(1):
		data["quantity"] = number("0")
	case m.chance(1):
		data["termDuration"] = "P2Y"
	case m.chance(1):
		data["termDuration"], data["billingCycle"] = "P1M", "Annual"
	case m.chance(1):
		data["quantity"] = number("2.5")
	}
}

// promotionFor is mostly a promotion that could fit, if its dates do.
func (m *maker) promotionFor(sub *subject) string {
	for _, p := range m.promotions {
		if p.ProductID == sub.product && p.SkuID == sub.sku && m.chance(80) {
			return p.ID
		}
	}
	if m.chance(10) {
		return "39NFJQT1PJQB:9999:39NFJQT1Q5KN"
	}
	return pick(m, m.promotions).ID
}

// customEnd is a custom end of a term: mostly inside it, at times at its very
// ends or outside.
func (m *maker) customEnd(start Date, term string) string {
	full := addMonths(start, max(termMonths(term), 1)) - 1
	end := start + Date(m.rng.IntN(int(full-start)+1))
	switch {
	case m.chance(30):
		end = end.Month().Last()
	case m.chance(10):
		end = full
	case m.chance(10):
		end = start
	case m.chance(8):
		end = full + Date(m.between(1, 40))
	case m.chance(5):
		end = start - Date(m.between(1, 10))
	}
	if m.chance(50) {
		return end.String()
	}
	return end.String() + "T00:00:00Z"
}

// anyChange makes one change of a customer that has subscriptions.
func (m *maker) anyChange(customer, currency string, subs *[]*subject, taken []Change) Change {
	sub := pick(m, *subs)
	at := m.near(sub, taken)
	make := func(changeType string, data map[string]any) Change {
		return m.change(customer, changeType, sub.id, at, data)
	}
	n := m.rng.IntN(100)
	if sub.trial && m.chance(35) {
		return m.conversion(make, sub)
	}
	switch {
	case n < 28:
		return m.overridden(make("subscription.quantityChanged", map[string]any{"quantity": m.newQuantity(sub)}))
	case n < 38:
		return m.overridden(make("subscription.canceled", map[string]any{}))
	case n < 56:
		return m.overridden(m.upgrade(make, sub, subs))
	case n < 66:
		return make("subscription.nextTermScheduled", map[string]any{"scheduledNextTermInstructions": m.instructions(sub)})
	case n < 68:
		return make("subscription.nextTermCleared", map[string]any{})
	case n < 75:
		return make("subscription.renewalChanged", map[string]any{"autoRenewEnabled": m.chance(45)})
	case n < 79:
		if m.chance(50) { // on the last day, so that it expires
			at = m.inside(m.onDay(addMonths(DateOf(sub.start), max(1, m.rng.IntN(3))*termMonths(sub.term)) - 1))
		}
		return make("subscription.suspended", map[string]any{})
	case n < 83:
		return make("subscription.reactivated", map[string]any{})
	case n < 88:
		return make("subscription.billingPlanChanged", map[string]any{"billingCycle": pick(m, []string{"Monthly", "Annual", "Annual", "Triennial"})})
	case n < 93:
		return m.credit(customer, currency, sub, at)
	case n < 97:
		return m.override(customer, sub, at, taken)
	case n < 98:
		return make("subscription.renamed", map[string]any{})
	case n < 99:
		stray := make("subscription.quantityChanged", map[string]any{"quantity": number("4")})
		stray.Subject = m.id("sub")
		return stray
	}
	again := make("subscription.purchased", map[string]any{
		"productId": sub.product, "skuId": sub.sku, "termDuration": sub.term, "billingCycle": sub.plan, "quantity": number("3"),
	})
	return again
}

// overridden gives a change an override, at times.
func (m *maker) overridden(c Change) Change {
	if m.chance(12) {
		c.Override = pick(m, []string{"goodwill", "agreed \"by phone\" & mail", "ticket 4711, <urgent>"})
	}
	return c
}

func (m *maker) newQuantity(sub *subject) any {
	switch {
	case m.chance(4):
		return number("0")
	case m.chance(2):
		return number("-3")
	case m.chance(8):
		return number(fmt.Sprint(sub.quantity)) // perhaps what it is already
	case m.chance(50):
		sub.quantity += int64(m.between(1, 5))
	default:
		sub.quantity = max(1, sub.quantity-int64(m.between(1, 5)))
	}
	return number(fmt.Sprint(sub.quantity))
}

func (m *maker) upgrade(make func(string, map[string]any) Change, sub *subject, subs *[]*subject) Change {
	to := pick(m, m.products)
	for to.id == sub.product && to.sku == sub.sku && m.chance(90) {
		to = pick(m, m.products)
	}
	data := map[string]any{"toProductId": to.id, "toSkuId": to.sku}
	part := sub.quantity > 1 && m.chance(50)
	moved := sub.quantity
	if part {
		moved = int64(m.between(1, int(sub.quantity)-1))
		data["quantity"] = number(fmt.Sprint(moved))
	} else if m.chance(20) {
		data["quantity"] = number(fmt.Sprint(pick(m, []int64{sub.quantity, sub.quantity, sub.quantity + 1, 0})))
	}
	if m.chance(20) {
		data["termDuration"] = pick(m, []string{"P1M", "P1Y", "P1Y", "P3Y", "P3Y"})
		if m.chance(80) {
			data["billingCycle"] = pick(m, []string{"Monthly", "Annual"})
		}
	} else if m.chance(8) {
		data["billingCycle"] = pick(m, []string{sub.plan, "Monthly"})
	}
	if m.chance(20) {
		data["promotionId"] = pick(m, m.promotions).ID
	}
	var into *subject
	switch {
	case m.chance(30): // into one that exists, perhaps
		other := m.fittingTarget(sub, *subs)
		if other != sub {
			data["toProductId"], data["toSkuId"] = other.product, other.sku
			if m.chance(90) {
				delete(data, "promotionId")
			}
			other.quantity += moved
			into = other
		}
		data["toSubscriptionId"] = other.id
	case part && m.chance(95) || m.chance(60):
		target := *sub
		target.id, target.product, target.sku, target.quantity = m.id("sub"), to.id, to.sku, moved
		data["toSubscriptionId"] = target.id
		*subs = append(*subs, &target)
	case !part:
		sub.product, sub.sku = to.id, to.sku
	}
	change := make("subscription.upgraded", data)
	if into != nil && m.chance(70) { // past the window of the target
		later := time.Duration(m.between(8, 25)*24) * time.Hour
		change.Time = m.inside(slices.MaxFunc([]time.Time{sub.start, into.start}, time.Time.Compare).Add(later)).Format(time.RFC3339)
	}
	if part {
		sub.quantity -= moved
	}
	return change
}

// fittingTarget is mostly a subscription that could take the seats of another.
func (m *maker) fittingTarget(sub *subject, subs []*subject) *subject {
	var fitting []*subject
	for _, s := range subs {
		same := s.product == sub.product && s.sku == sub.sku
		if s != sub && !same && !s.trial && termMonths(s.term) >= termMonths(sub.term) &&
			(s.term != sub.term || !s.start.Before(sub.start)) {
			fitting = append(fitting, s)
		}
	}
	if len(fitting) == 0 || m.chance(15) {
		return pick(m, subs)
	}
	return pick(m, fitting)
}

func (m *maker) conversion(make func(string, map[string]any) Change, sub *subject) Change {
	to := pick(m, m.products)
	data := map[string]any{"toProductId": to.id, "toSkuId": to.sku, "quantity": number(fmt.Sprint(m.seats()))}
	if m.chance(60) {
		data["termDuration"], data["billingCycle"] = sub.term, sub.plan
		if m.chance(40) {
			data["termDuration"], data["billingCycle"] = m.termAndPlan()
		}
	}
	return make("subscription.trialConverted", data)
}

func (m *maker) instructions(sub *subject) map[string]any {
	if m.chance(6) {
		return map[string]any{}
	}
	product := map[string]any{}
	term := sub.term
	if m.chance(40) {
		to := pick(m, m.products)
		product["productId"], product["skuId"] = to.id, to.sku
	}
	if m.chance(30) {
		t, plan := m.termAndPlan()
		term = t
		product["termDuration"] = t
		if m.chance(85) {
			product["billingCycle"] = plan
		}
	}
	if m.chance(25) {
		product["promotionId"] = pick(m, m.promotions).ID
	}
	in := map[string]any{}
	if len(product) > 0 {
		in["product"] = product
	}
	if m.chance(45) || len(in) == 0 {
		in["quantity"] = number(fmt.Sprint(m.seats()))
		if m.chance(5) {
			in["quantity"] = number("0")
		}
	}
	if m.chance(20) {
		length := termMonths(sub.term)
		if sub.trial {
			length = 1
		}
		in["customTermEndDate"] = m.customEnd(addMonths(DateOf(sub.start), length), term)
	}
	return in
}

func (m *maker) credit(customer, currency string, sub *subject, at time.Time) Change {
	data := map[string]any{
		"amount":   number(pick(m, []string{"10", "12.34", "0.019", "7.5", "1000"})),
		"currency": currency, "reason": pick(m, []string{"SLA credit", "Goodwill, agreed"}),
	}
	switch {
	case m.chance(8):
		data["currency"] = "CHF"
	case m.chance(8):
		data["amount"] = number(pick(m, []string{"0", "-5"}))
	}
	if m.chance(40) {
		data["subscriptionId"] = sub.id
		if m.chance(10) {
			data["subscriptionId"] = m.id("sub")
		}
	}
	return m.change(customer, "customer.credited", customer, at, data)
}

// override names an earlier change, or now and then one that does not fit.
func (m *maker) override(customer string, sub *subject, at time.Time, taken []Change) Change {
	named := pick(m, taken)
	for _, c := range taken {
		if (c.Type == "subscription.canceled" || c.Type == "subscription.quantityChanged") && m.chance(70) {
			named = c
		}
	}
	data := map[string]any{"eventId": named.ID, "reason": "decided later"}
	about := named.Subject
	if m.chance(85) {
		at = m.inside(parseChange(named).at.Add(time.Duration(m.between(1, 40*24)) * time.Hour))
	}
	switch {
	case m.chance(6):
		data["eventId"] = m.id("ev")
	case m.chance(4):
		about = sub.id
	}
	return m.change(customer, "change.overridden", about, at, data)
}

// overrideOf is a later decision to take a change all the same.
func (m *maker) overrideOf(customer string, named Change) Change {
	at := m.inside(parseChange(named).at.Add(time.Duration(m.between(1, 40*24)) * time.Hour))
	return m.change(customer, "change.overridden", named.Subject, at, map[string]any{"eventId": named.ID, "reason": "decided later"})
}
