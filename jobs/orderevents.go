package jobs

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/google/uuid"

	"github.com/calends/calends/jobs/intake"
	"github.com/calends/calends/pipeline/change"
	"github.com/calends/calends/pricing"
)

// Asked is a change that somebody asks for. Fields that its type does not use are
// zero; they are those of a change that is taken in.
type Asked struct {
	Type change.Type `json:"type"`
	// SubscriptionID is blank for a purchase: it makes one.
	SubscriptionID string `json:"subscriptionId,omitempty"`
	AskedData
}

// AskedData is what a change says besides whose it is.
type AskedData struct {
	ProductID            string `json:"productId,omitempty"`
	SkuID                string `json:"skuId,omitempty"`
	ToProductID          string `json:"toProductId,omitempty"`
	ToSkuID              string `json:"toSkuId,omitempty"`
	TermDuration         string `json:"termDuration,omitempty"`
	BillingCycle         string `json:"billingCycle,omitempty"`
	Quantity             *int64 `json:"quantity,omitempty"`
	CustomTermEndDate    string `json:"customTermEndDate,omitempty"`
	PromotionID          string `json:"promotionId,omitempty"`
	IsTrial              bool   `json:"isTrial,omitempty"`
	ParentSubscriptionID string `json:"parentSubscriptionId,omitempty"`
	AutoRenewEnabled     *bool  `json:"autoRenewEnabled,omitempty"`
	// ToSubscriptionID is one that there is. Without it seats that are counted move to
	// a new one, and all of them keep theirs.
	ToSubscriptionID string    `json:"toSubscriptionId,omitempty"`
	Next             *NextTerm `json:"scheduledNextTermInstructions,omitempty"`
}

// NextTerm is what the next term shall be; what is left out stays.
type NextTerm struct {
	Product           NextProduct `json:"product"`
	Quantity          *int64      `json:"quantity,omitempty"`
	CustomTermEndDate string      `json:"customTermEndDate,omitempty"`
}

// NextProduct is the product of the next term.
type NextProduct struct {
	ProductID    string `json:"productId,omitempty"`
	SkuID        string `json:"skuId,omitempty"`
	TermDuration string `json:"termDuration,omitempty"`
	BillingCycle string `json:"billingCycle,omitempty"`
	PromotionID  string `json:"promotionId,omitempty"`
}

// event is a CloudEvent as it could be taken in from a file.
type event struct {
	SpecVersion string      `json:"specversion"`
	ID          string      `json:"id"`
	Source      string      `json:"source"`
	Type        change.Type `json:"type"`
	Time        string      `json:"time"`
	Subject     string      `json:"subject"`
	Data        eventData   `json:"data"`
}

type eventData struct {
	CustomerID string `json:"customerId"`
	OrderID    string `json:"orderId,omitempty"` // of a purchase
	AskedData
}

// orderSource is where changes that were bought here come from.
const orderSource = "calends"

// events makes the changes of an order: each under an id that the order and its
// place in it give, an instant after the one before, so that they are applied in the
// order of the cart.
func (p OrderPlan) events(orderID uuid.UUID, at pricing.Instant) ([]byte, error) {
	var lines bytes.Buffer
	for i, a := range p.Changes {
		e := event{
			SpecVersion: "1.0", ID: place(orderID, "change", i), Source: orderSource, Type: a.Type,
			Time: (at + pricing.Instant(i)).String(), Subject: a.SubscriptionID,
			Data: eventData{CustomerID: p.CustomerID, AskedData: a.AskedData},
		}
		newID := place(orderID, "subscription", i)
		switch {
		case a.Type == change.Purchased:
			e.Subject, e.Data.OrderID = newID, orderID.String()
		case a.Type == change.Upgraded && a.Quantity != nil && a.ToSubscriptionID == "":
			e.Data.ToSubscriptionID = newID
		}
		line, err := encodeCompact(e)
		if err != nil {
			return nil, err
		}
		lines.Write(line)
		lines.WriteByte('\n')
	}
	return lines.Bytes(), nil
}

// place is the id of what stands in an order's n-th place.
func place(orderID uuid.UUID, what string, n int) string {
	return uuid.NewSHA1(orderID, fmt.Appendf(nil, "%s %d", what, n)).String()
}

// readEvents reads changes as an import reads them, with the same checks.
func readEvents(lines []byte) ([]change.Change, error) {
	r, err := intake.NewJSONChanges(bytes.NewReader(lines))
	if err != nil {
		return nil, err
	}
	var changes []change.Change
	for {
		var c change.Change
		refused, err := r.Next(&c)
		switch {
		case errors.Is(err, io.EOF):
			return changes, nil
		case err != nil:
			return nil, err
		case refused != nil:
			return nil, fmt.Errorf("%w: change %d: %s %q: %s", ErrUsage, refused.Line, refused.Column, refused.Value, refused.Rule)
		}
		changes = append(changes, c)
	}
}

// encodeCompact writes JSON without white space, and text as it stands.
func encodeCompact(value any) ([]byte, error) {
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	if err := e.Encode(value); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(text.Bytes(), []byte("\n")), nil
}

// mostAhead is how far another machine's clock may be ahead of this one's.
const mostAhead = 10 * time.Minute

// instantAfter is the instant of an order: now, but after everything that was bought
// for the customer before, by whichever machine's clock.
func instantAfter(history []*change.Change, now pricing.Instant) (pricing.Instant, error) {
	at := now
	for _, c := range history {
		if c.Source == orderSource && c.At >= at {
			at = c.At + 1
		}
	}
	if ahead := at.Time().Sub(now.Time()); ahead > mostAhead {
		return 0, fmt.Errorf("the customer's newest order is of %s, %s ahead of this machine's clock: set the clock", at-1, ahead.Round(time.Second))
	}
	return at, nil
}
