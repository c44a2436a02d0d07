package drift

import (
	"fmt"

	"github.com/calends/calends/pipeline/change"
	"github.com/calends/calends/pipeline/subscription"
	"github.com/calends/calends/pricing"
)

// Source is what changes made of a snapshot name as theirs.
const Source = "partner-center/subscriptions"

// change begins one for the subscription at hand.
func (x *comparison) change(kind change.Type, at pricing.Instant, id string) *change.Change {
	return &change.Change{ID: id, Source: Source, Type: kind, At: at, Subject: x.id, CustomerID: x.CustomerID, CustomTermEnd: pricing.NoDate}
}

// snapshotID names a change that is dated at the snapshot: another snapshot that
// still finds the difference has another instant, and so another id.
func (x *comparison) snapshotID(what string) string {
	return "snapshot:" + x.id + ":" + what + ":" + x.At.String()
}

// provenID names a change that the resource itself dates: whatever snapshot it is
// found in, it is the same.
func (x *comparison) provenID(what string, at pricing.Instant) string {
	return "subscription:" + x.id + ":" + what + ":" + at.String()
}

// purchase returns the changes that make a subscription which the ledger does not
// have, or the reason why what is said does not prove them.
func (x *comparison) purchase(t *Theirs) ([]*change.Change, string) {
	span := pricing.FullTerm(t.Term, t.Start.Date(), pricing.Clamp)
	if t.Trial {
		span = pricing.TrialTerm(t.Term, t.Start.Date())
	}
	switch {
	case t.Status != Active:
		return nil, "it is not active, and nothing says since when"
	case t.Start == 0 || t.CommitmentEnd == pricing.NoDate:
		return nil, "its start or its end is not said"
	case t.Created != 0 && t.Created.Date() != t.Start.Date():
		return nil, "it was created on " + t.Created.Date().String() + " and took effect on " + t.Start.Date().String() + ": it was moved or dated back"
	case t.SKU.ProductID == "" || t.Quantity == nil || *t.Quantity < 1:
		return nil, "its product or its quantity is not said"
	case !t.Trial && !t.Term.Allows(t.Plan):
		return nil, "its term and its billing cycle are not said, or do not go together"
	case t.CommitmentEnd > span.End:
		return nil, "it has renewed since it began: its history and its locked price are not said"
	case t.CommitmentEnd < span.Start || t.Trial && t.CommitmentEnd != span.End:
		return nil, "its start and its end do not go together"
	}
	lots, reason := t.since(t.Start)
	if reason != "" && !t.Trial { // of a trial's seats nothing is billed
		return nil, reason
	}
	c := x.change(change.Purchased, t.Start, x.provenID("purchased", t.Start))
	c.SKU, c.IsTrial, c.AutoRenew = t.SKU, t.Trial, t.AutoRenew
	c.TermDuration, c.BillingCycle = t.Term.String(), t.Plan.String()
	c.OrderID, c.AvailabilityID, c.ParentID, c.PromotionID = t.OrderID, t.AvailabilityID, t.ParentID, t.PromotionID
	if t.CommitmentEnd != span.End {
		c.CustomTermEnd = t.CommitmentEnd
	}
	if t.Trial {
		c.Quantity = t.Quantity
		return []*change.Change{c}, "dated at its start"
	}
	total := lots[0].Seats
	c.Quantity = seats(total)
	changes := []*change.Change{c}
	for _, lot := range lots[1:] {
		total += lot.Seats
		changes = append(changes, x.quantity(lot.Added(), total))
	}
	if t.Next != nil && !t.Next.Empty() && t.CommitmentEnd >= x.At.Date() {
		c := x.change(change.NextTermScheduled, x.At, x.snapshotID(FieldNextTerm))
		c.NextTerm = t.Next
		changes = append(changes, c)
	}
	return changes, "dated at its start; all seats are within their windows"
}

// since returns the lots of all seats when the first came with the start.
func (t *Theirs) since(start pricing.Instant) ([]Lot, string) {
	lots := t.lots()
	sum := int64(0)
	for _, lot := range lots {
		sum += lot.Seats
	}
	switch {
	case sum != *t.Quantity:
		return nil, fmt.Sprintf("the windows of %d of %d seats are said: how many it began with is not", sum, *t.Quantity)
	case lots[0].Added().Date() != start.Date():
		return nil, "the first of its seats did not come on the day of its start"
	}
	return lots, ""
}

// additions returns the changes that bring the seats to what they are, or why they
// cannot be dated.
func (x *comparison) additions(ours *subscription.View, t *Theirs) ([]*change.Change, string) {
	missing := *t.Quantity - ours.Quantity
	switch {
	case missing < 0:
		return nil, "a snapshot does not say when seats went"
	case ours.Suspended || t.Status != Active:
		return nil, "it is not active on both sides"
	case t.CommitmentEnd != ours.Term.Span.End:
		return nil, "the term does not end on the same day on both sides"
	}
	newest := pricing.Instant(0) // of the seats that the ledger has
	for _, l := range ours.Layers {
		newest = max(newest, l.Added)
	}
	lots := t.lots()
	first := len(lots)
	for first > 0 && missing > 0 {
		first--
		missing -= lots[first].Seats
	}
	if missing != 0 || lots[first].Added() <= newest {
		return nil, "the windows of its seats do not tell when these came"
	}
	total := ours.Quantity
	var changes []*change.Change
	for _, lot := range lots[first:] {
		if lot.Added() > x.At {
			return nil, "the windows of its seats do not tell when these came"
		}
		total += lot.Seats
		changes = append(changes, x.quantity(lot.Added(), total))
	}
	return changes, "dated by the windows of the added seats"
}

func (x *comparison) quantity(at pricing.Instant, total int64) *change.Change {
	c := x.change(change.QuantityChanged, at, x.provenID("quantity", at))
	c.Quantity = seats(total)
	return c
}

func seats(n int64) *int64 { return &n }

// expiry returns the change that lets a subscription expire which the ledger
// renewed: auto-renew was off by the last day of the term before.
func (x *comparison) expiry(ours *subscription.View, t *Theirs) ([]*change.Change, string) {
	off := t.AutoRenew != nil && !*t.AutoRenew
	ranOut := t.Word == "expired" || t.Word == "disabled" // not deleted, which a cancellation makes it too
	if !ranOut || !off || t.CommitmentEnd == pricing.NoDate || t.CommitmentEnd+1 != ours.Term.Span.Start {
		return nil, "a snapshot does not say when it ended"
	}
	c := x.change(change.RenewalChanged, t.CommitmentEnd.Instant(), x.provenID(FieldAutoRenew, t.CommitmentEnd.Instant()))
	c.AutoRenew = t.AutoRenew
	return []*change.Change{c}, "dated on the term's last day: auto-renew was off when it ended"
}
