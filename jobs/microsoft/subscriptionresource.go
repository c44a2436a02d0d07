package microsoft

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/calends/calends/jobs/microsoft/drift"
	"github.com/calends/calends/pipeline/change"
	"github.com/calends/calends/pricing"
)

// subscriptionResource is a subscription as Partner Center prints it: in its API
// with small first letters, in audit records with large ones.
type subscriptionResource struct {
	ID                    string            `json:"id"`
	OfferID               string            `json:"offerId"`
	ParentSubscriptionID  string            `json:"parentSubscriptionId"`
	Quantity              *wholeText        `json:"quantity"`
	CreationDate          string            `json:"creationDate"`
	EffectiveStartDate    string            `json:"effectiveStartDate"`
	CommitmentEndDate     string            `json:"commitmentEndDate"`
	CommitmentEndDateTime string            `json:"commitmentEndDateTime"`
	Status                word              `json:"status"`
	AutoRenewEnabled      *bool             `json:"autoRenewEnabled"`
	IsTrial               bool              `json:"isTrial"`
	BillingType           word              `json:"billingType"`
	BillingCycle          word              `json:"billingCycle"`
	TermDuration          string            `json:"termDuration"`
	OrderID               string            `json:"orderId"`
	PromotionID           string            `json:"promotionId"`
	ProductType           named             `json:"productType"`
	ScheduledNextTerm     *nextTermResource `json:"scheduledNextTermInstructions"`
	RefundableQuantity    *struct {
		Details []struct {
			Quantity             wholeText `json:"quantity"`
			AllowedUntilDateTime string    `json:"allowedUntilDateTime"`
		} `json:"details"`
	} `json:"refundableQuantity"`
}

type nextTermResource struct {
	Product *struct {
		ProductID      string `json:"productId"`
		SkuID          string `json:"skuId"`
		AvailabilityID string `json:"availabilityId"`
		BillingCycle   word   `json:"billingCycle"`
		TermDuration   string `json:"termDuration"`
		PromotionID    string `json:"promotionId"`
	} `json:"product"`
	Quantity          *wholeText `json:"quantity"`
	CustomTermEndDate string     `json:"customTermEndDate"`
}

// named is an object with an id, or the id itself.
type named string

// UnmarshalJSON takes either.
func (n *named) UnmarshalJSON(data []byte) error {
	var object struct {
		ID string `json:"id"`
	}
	if json.Unmarshal(data, &object) != nil {
		// The id itself; anything else says nothing.
		if err := json.Unmarshal(data, &object.ID); err != nil {
			object.ID = ""
		}
	}
	*n = named(object.ID)
	return nil
}

// word is a value of an enumeration: a word, in any case. A number stands for one
// in some answers, and is kept as such: it says nothing.
type word string

// UnmarshalJSON takes a text or anything else as it stands.
func (w *word) UnmarshalJSON(data []byte) error {
	var s string
	if json.Unmarshal(data, &s) != nil {
		s = string(data)
	}
	if s == "null" {
		s = ""
	}
	*w = word(strings.ToLower(strings.TrimSpace(s)))
	return nil
}

// wholeText is a whole number that may be written 15, 15.0 or "15".
type wholeText int64

// UnmarshalJSON reads it.
func (n *wholeText) UnmarshalJSON(data []byte) error {
	text := strings.Trim(string(data), `"`)
	if text == "null" {
		return nil
	}
	var f float64 // a count of seats, checked to be whole
	if err := json.Unmarshal([]byte(text), &f); err != nil || f != math.Trunc(f) || math.Abs(f) > 1<<53 {
		return fmt.Errorf("quantity %.40s: want a whole number", data)
	}
	*n = wholeText(f)
	return nil
}

func (n *wholeText) whole() *int64 {
	if n == nil {
		return nil
	}
	v := int64(*n)
	return &v
}

// licensed reports whether the new commerce bills it by seats: its offer is product,
// SKU and availability, and it has a term. Usage, software and legacy offers are
// rated elsewhere.
func (s *subscriptionResource) licensed() bool {
	if t := string(s.ProductType); t != "" && !strings.EqualFold(t, "OnlineServicesNCE") && !strings.EqualFold(t, "OnlineServices") {
		return false
	}
	_, term := pricing.ParseTerm(s.TermDuration)
	product, _, _ := splitOffer(s.OfferID)
	return product != "" && (term || s.IsTrial) && (s.BillingType == "" || s.BillingType == "license" || s.BillingType == "none")
}

// splitOffer takes an offer of the new commerce apart, CFQ7TTC0LH18:0001:CFQ7TTC0K971.
func splitOffer(offer string) (product, sku, availability string) {
	parts := strings.Split(offer, ":")
	if len(parts) < 2 || parts[0] == "" || parts[1] == "" {
		return "", "", ""
	}
	if len(parts) > 2 {
		availability = parts[2]
	}
	return parts[0], pricing.NormalSKU(parts[1]), availability
}

// theirs reads the resource.
func (s *subscriptionResource) theirs() (drift.Theirs, error) {
	t := drift.Theirs{
		ID: lowerGUID(s.ID), Word: string(s.Status), Trial: s.IsTrial, Quantity: s.Quantity.whole(), AutoRenew: s.AutoRenewEnabled,
		CommitmentEnd: pricing.NoDate, OrderID: s.OrderID, ParentID: lowerGUID(s.ParentSubscriptionID), PromotionID: s.PromotionID,
	}
	if t.ID == "" {
		return t, fmt.Errorf("a subscription without an id")
	}
	switch s.Status {
	case "active":
		t.Status = drift.Active
	case "suspended":
		t.Status = drift.Suspended
	case "expired", "disabled", "deleted", "canceled", "cancelled":
		t.Status = drift.Ended
	}
	t.SKU.ProductID, t.SKU.SkuID, t.AvailabilityID = splitOffer(s.OfferID)
	t.Term, _ = pricing.ParseTerm(s.TermDuration)
	t.Plan, _ = pricing.ParsePlan(string(s.BillingCycle))
	var err error
	read := func(name, text string) pricing.Instant {
		at, readErr := instantOf(text)
		if readErr != nil && err == nil {
			err = fmt.Errorf("subscription %s, %s: %w", t.ID, name, readErr)
		}
		return at
	}
	t.Created = read("creationDate", s.CreationDate)
	t.Start = read("effectiveStartDate", s.EffectiveStartDate)
	// Both are inclusive: the last day of the term.
	end := read("commitmentEndDate", s.CommitmentEndDate)
	if end == 0 {
		end = read("commitmentEndDateTime", s.CommitmentEndDateTime)
	}
	if end != 0 {
		t.CommitmentEnd = end.Date()
	}
	if n := s.ScheduledNextTerm; n != nil {
		t.Next = n.nextTerm()
		if n.CustomTermEndDate != "" {
			if at := read("scheduledNextTermInstructions.customTermEndDate", n.CustomTermEndDate); at != 0 {
				t.Next.CustomTermEnd = at.Date()
			}
		}
		if t.Next.Empty() {
			t.Next = nil
		}
	}
	if r := s.RefundableQuantity; r != nil {
		for _, d := range r.Details {
			if until := read("refundableQuantity", d.AllowedUntilDateTime); until != 0 && d.Quantity > 0 {
				t.Refundable = append(t.Refundable, drift.Lot{Seats: int64(d.Quantity), Until: until})
			}
		}
	}
	return t, err
}

func (n *nextTermResource) nextTerm() *change.NextTerm {
	next := &change.NextTerm{Quantity: n.Quantity.whole(), CustomTermEnd: pricing.NoDate}
	if p := n.Product; p != nil {
		next.SKU.ProductID = p.ProductID
		if p.SkuID != "" {
			next.SKU.SkuID = pricing.NormalSKU(p.SkuID)
		}
		next.AvailabilityID, next.TermDuration, next.PromotionID = p.AvailabilityID, p.TermDuration, p.PromotionID
		next.BillingCycle = planName(p.BillingCycle)
	}
	return next
}

// planName spells a plan as Microsoft's sheets do.
func planName(w word) string {
	if plan, ok := pricing.ParsePlan(string(w)); ok {
		return plan.String()
	}
	return string(w)
}

// instantOf reads a time as Partner Center writes it. Without a zone it is UTC, as
// its pages say; blank is 0.
func instantOf(text string) (pricing.Instant, error) {
	if text = strings.TrimSpace(text); text == "" {
		return 0, nil
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			if t.Year() <= 1 { // how the service writes "never"
				return 0, nil
			}
			return pricing.InstantOf(t), nil
		}
	}
	return 0, fmt.Errorf("time %.40q: want one such as 2026-10-05T09:30:00Z", text)
}

// lowerGUID prints GUIDs in small letters, as the APIs mostly do, so that one thing
// has one id; other ids stand as they came.
func lowerGUID(id string) string {
	if len(id) == 36 && uuid.Validate(id) == nil {
		return strings.ToLower(id)
	}
	return id
}
