package microsoft

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"reflect"

	"github.com/calends/calends/jobs/intake"
	"github.com/calends/calends/pipeline/change"
	"github.com/calends/calends/pricing"
)

// WriteChanges writes changes as CloudEvents, one a line, for the ordinary ingest:
// what comes from Microsoft has no way of its own into the ledger. Each line is
// read back by the reader that ingest uses and must be the same change.
func WriteChanges(w io.Writer, changes []*change.Change) error {
	for _, c := range changes {
		line, err := encodeChange(c)
		if err == nil {
			_, err = w.Write(line)
		}
		if err != nil {
			return fmt.Errorf("write change %s of customer %s: %w", c.ID, c.CustomerID, err)
		}
	}
	return nil
}

// Spell gives changes the ids as the ledger has them: GUIDs come in either case of
// letters, and the ledger goes by bytes. ours returns its spelling of an id.
func Spell(changes []*change.Change, ours func(id string) string) {
	for _, c := range changes {
		for _, id := range []*string{&c.CustomerID, &c.Subject, &c.ParentID, &c.ToSubscription} {
			if *id != "" {
				*id = ours(*id)
			}
		}
	}
}

type cloudEvent struct {
	SpecVersion string     `json:"specversion"`
	ID          string     `json:"id"`
	Source      string     `json:"source"`
	Type        string     `json:"type"`
	Time        string     `json:"time"`
	Subject     string     `json:"subject"`
	Data        changeData `json:"data"`
}

type changeData struct {
	CustomerID       string        `json:"customerId"`
	ProductID        string        `json:"productId,omitempty"`
	SkuID            string        `json:"skuId,omitempty"`
	ToProductID      string        `json:"toProductId,omitempty"`
	ToSkuID          string        `json:"toSkuId,omitempty"`
	TermDuration     string        `json:"termDuration,omitempty"`
	BillingCycle     string        `json:"billingCycle,omitempty"`
	Quantity         *int64        `json:"quantity,omitempty"`
	OrderID          string        `json:"orderId,omitempty"`
	AvailabilityID   string        `json:"availabilityId,omitempty"`
	ParentID         string        `json:"parentSubscriptionId,omitempty"`
	PromotionID      string        `json:"promotionId,omitempty"`
	ToSubscription   string        `json:"toSubscriptionId,omitempty"`
	IsTrial          bool          `json:"isTrial,omitempty"`
	AutoRenewEnabled *bool         `json:"autoRenewEnabled,omitempty"`
	CustomTermEnd    string        `json:"customTermEndDate,omitempty"`
	NextTerm         *nextTermData `json:"scheduledNextTermInstructions,omitempty"`
}

type nextTermData struct {
	Product       nextProductData `json:"product"`
	Quantity      *int64          `json:"quantity,omitempty"`
	CustomTermEnd string          `json:"customTermEndDate,omitempty"`
}

type nextProductData struct {
	ProductID      string `json:"productId,omitempty"`
	SkuID          string `json:"skuId,omitempty"`
	AvailabilityID string `json:"availabilityId,omitempty"`
	BillingCycle   string `json:"billingCycle,omitempty"`
	TermDuration   string `json:"termDuration,omitempty"`
	PromotionID    string `json:"promotionId,omitempty"`
}

func encodeChange(c *change.Change) ([]byte, error) {
	data := changeData{
		CustomerID: c.CustomerID, ProductID: c.SKU.ProductID, SkuID: c.SKU.SkuID, TermDuration: c.TermDuration,
		BillingCycle: c.BillingCycle, Quantity: c.Quantity, OrderID: c.OrderID, AvailabilityID: c.AvailabilityID,
		ParentID: c.ParentID, PromotionID: c.PromotionID, ToSubscription: c.ToSubscription, IsTrial: c.IsTrial,
		AutoRenewEnabled: c.AutoRenew, CustomTermEnd: c.CustomTermEnd.String(),
	}
	if c.Type == change.Upgraded || c.Type == change.TrialConverted {
		data.ProductID, data.SkuID, data.ToProductID, data.ToSkuID = "", "", c.SKU.ProductID, c.SKU.SkuID
	}
	if n := c.NextTerm; n != nil {
		data.NextTerm = &nextTermData{Quantity: n.Quantity, CustomTermEnd: n.CustomTermEnd.String(), Product: nextProductData{
			ProductID: n.SKU.ProductID, SkuID: n.SKU.SkuID, AvailabilityID: n.AvailabilityID,
			BillingCycle: n.BillingCycle, TermDuration: n.TermDuration, PromotionID: n.PromotionID,
		}}
	}
	line, err := json.Marshal(cloudEvent{"1.0", c.ID, c.Source, string(c.Type), c.At.String(), c.Subject, data})
	if err != nil {
		return nil, err
	}
	line = append(line, '\n')
	return line, readsBack(line, c)
}

// readsBack makes sure that a line says what was meant, in the only reader that counts.
func readsBack(line []byte, meant *change.Change) error {
	reader, err := intake.NewJSONChanges(bytes.NewReader(line))
	if err != nil {
		return err
	}
	defer reader.Close()
	var read change.Change
	refused, err := reader.Next(&read)
	switch {
	case err != nil:
		return err
	case refused != nil:
		return refused
	}
	want := *meant
	want.Content, want.Taken = read.Content, read.Taken
	if !reflect.DeepEqual(read, want) {
		return fmt.Errorf("it reads otherwise than it was meant: %s", bytes.TrimSpace(line))
	}
	return nil
}

// unwritable says why changes cannot be written, as what a service sends may have
// values that no change can hold. One record must not stop the others.
func unwritable(changes []*change.Change) error {
	for _, c := range changes {
		if _, err := encodeChange(c); err != nil {
			return fmt.Errorf("it cannot be written as a change: %w", err)
		}
	}
	return nil
}

// noChange is a change without any field, as the reader makes it.
func noChange() *change.Change { return &change.Change{CustomTermEnd: pricing.NoDate} }
