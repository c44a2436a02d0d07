package world

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"strconv"

	"github.com/parquet-go/parquet-go"

	"github.com/calends/calends/pricing"
)

// Change is a change as files carry it. What is "" or 0 is left out.
type Change struct {
	ID, Type, Subject, CustomerID                                               string
	At                                                                          pricing.Instant
	ProductID, SkuID, ToProductID, ToSkuID, Term, Plan, OrderID, AvailabilityID string
	PromotionID, ParentID, CustomTermEnd, AutoRenew, ToSubscription             string
	Quantity                                                                    int
	IsTrial                                                                     bool
	SubscriptionID, Amount, Currency, Reason                                    string
	NextProductID, NextSkuID, NextTerm, NextPlan                                string
	NextQuantity                                                                int
}

// WriteJSON writes changes as CloudEvents, one a line, and returns how many.
func WriteJSON(out io.Writer, changes iter.Seq[Change]) (n int64, err error) {
	b := bufio.NewWriterSize(out, 1<<16)
	var line []byte
	for c := range changes {
		if line, err = c.appendJSON(line[:0]); err != nil {
			return n, err
		}
		if _, err := b.Write(line); err != nil {
			return n, err
		}
		n++
	}
	return n, b.Flush()
}

func (c *Change) appendJSON(b []byte) ([]byte, error) {
	text := func(name, value string) {
		if value != "" {
			b = append(append(append(append(append(b, ',', '"'), name...), `":"`...), value...), '"')
		}
	}
	bare := func(name, value string) {
		if value != "" {
			b = append(append(append(append(b, ',', '"'), name...), `":`...), value...)
		}
	}
	b = append(append(append(b, `{"specversion":"1.0","id":"`...), c.ID...), `","source":"partner-center"`...)
	text("type", c.Type)
	text("time", c.At.String())
	text("subject", c.Subject)
	b = append(append(append(b, `,"data":{"customerId":"`...), c.CustomerID...), '"')
	text("productId", c.ProductID)
	text("skuId", c.SkuID)
	text("toProductId", c.ToProductID)
	text("toSkuId", c.ToSkuID)
	text("termDuration", c.Term)
	text("billingCycle", c.Plan)
	bare("quantity", number(c.Quantity))
	text("toSubscriptionId", c.ToSubscription)
	text("orderId", c.OrderID)
	text("availabilityId", c.AvailabilityID)
	text("promotionId", c.PromotionID)
	text("parentSubscriptionId", c.ParentID)
	text("customTermEndDate", c.CustomTermEnd)
	bare("autoRenewEnabled", c.AutoRenew)
	if c.IsTrial {
		bare("isTrial", "true")
	}
	bare("amount", c.Amount)
	text("currency", c.Currency)
	text("reason", c.Reason)
	text("subscriptionId", c.SubscriptionID)
	instructions, err := c.instructions()
	if err != nil {
		return nil, err
	}
	bare("scheduledNextTermInstructions", instructions)
	return append(b, "}}\n"...), nil
}

func number(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

type instructions struct {
	Product struct {
		ProductID string `json:"productId,omitempty"`
		SkuID     string `json:"skuId,omitempty"`
		Term      string `json:"termDuration,omitempty"`
		Plan      string `json:"billingCycle,omitempty"`
	} `json:"product,omitzero"`
	Quantity int `json:"quantity,omitempty"`
}

// instructions are for the next term, as JSON; "" for none.
func (c *Change) instructions() (string, error) {
	var i instructions
	i.Product.ProductID, i.Product.SkuID, i.Product.Term, i.Product.Plan, i.Quantity = c.NextProductID, c.NextSkuID, c.NextTerm, c.NextPlan, c.NextQuantity
	if i == (instructions{}) {
		return "", nil
	}
	text, err := json.Marshal(i)
	return string(text), err
}

// row is a change as flat columns.
type row struct {
	SpecVersion    string  `parquet:"specversion,dict"`
	ID             string  `parquet:"id"`
	Source         string  `parquet:"source,dict"`
	Type           string  `parquet:"type,dict"`
	Time           int64   `parquet:"time,timestamp(microsecond)"`
	Subject        string  `parquet:"subject"`
	CustomerID     string  `parquet:"customerId,dict"`
	ProductID      *string `parquet:"productId,optional,dict"`
	SkuID          *string `parquet:"skuId,optional,dict"`
	ToProductID    *string `parquet:"toProductId,optional,dict"`
	ToSkuID        *string `parquet:"toSkuId,optional,dict"`
	Term           *string `parquet:"termDuration,optional,dict"`
	Plan           *string `parquet:"billingCycle,optional,dict"`
	Quantity       *int64  `parquet:"quantity,optional"`
	ToSubscription *string `parquet:"toSubscriptionId,optional"`
	OrderID        *string `parquet:"orderId,optional"`
	AvailabilityID *string `parquet:"availabilityId,optional,dict"`
	PromotionID    *string `parquet:"promotionId,optional,dict"`
	ParentID       *string `parquet:"parentSubscriptionId,optional"`
	CustomTermEnd  *string `parquet:"customTermEndDate,optional,dict"`
	AutoRenew      *bool   `parquet:"autoRenewEnabled,optional"`
	IsTrial        *bool   `parquet:"isTrial,optional"`
	Amount         *string `parquet:"amount,optional,dict"`
	Currency       *string `parquet:"currency,optional,dict"`
	Reason         *string `parquet:"reason,optional,dict"`
	SubscriptionID *string `parquet:"subscriptionId,optional"`
	NextTerm       *string `parquet:"scheduledNextTermInstructions,optional,dict"`
}

// WriteParquet writes changes as flat columns, and returns how many.
func WriteParquet(out io.Writer, changes iter.Seq[Change]) (n int64, err error) {
	const group = 131_072
	w := parquet.NewGenericWriter[row](out, parquet.Compression(&parquet.Zstd), parquet.MaxRowsPerRowGroup(group))
	batch := make([]row, 0, 1024)
	flush := func() error {
		_, err := w.Write(batch)
		n += int64(len(batch))
		batch = batch[:0]
		return err
	}
	for c := range changes {
		r, err := c.row()
		if err != nil {
			return n, err
		}
		if batch = append(batch, r); len(batch) == cap(batch) {
			if err := flush(); err != nil {
				return n, err
			}
		}
	}
	if err := flush(); err != nil {
		return n, err
	}
	return n, w.Close()
}

func (c *Change) row() (row, error) {
	instructions, err := c.instructions()
	if err != nil {
		return row{}, err
	}
	r := row{SpecVersion: "1.0", ID: c.ID, Source: "partner-center", Type: c.Type, Time: c.At.Time().UnixMicro(), Subject: c.Subject, CustomerID: c.CustomerID,
		ProductID: given(c.ProductID), SkuID: given(c.SkuID), ToProductID: given(c.ToProductID), ToSkuID: given(c.ToSkuID),
		Term: given(c.Term), Plan: given(c.Plan), Quantity: given(int64(c.Quantity)), ToSubscription: given(c.ToSubscription), OrderID: given(c.OrderID),
		AvailabilityID: given(c.AvailabilityID), PromotionID: given(c.PromotionID), ParentID: given(c.ParentID), CustomTermEnd: given(c.CustomTermEnd),
		IsTrial: given(c.IsTrial), Amount: given(c.Amount), Currency: given(c.Currency), Reason: given(c.Reason),
		SubscriptionID: given(c.SubscriptionID), NextTerm: given(instructions)}
	if c.AutoRenew != "" {
		on, err := strconv.ParseBool(c.AutoRenew)
		if err != nil {
			return row{}, fmt.Errorf("change %s: autoRenewEnabled: %w", c.ID, err)
		}
		r.AutoRenew = &on
	}
	return r, nil
}

// given is nil for what is left out.
func given[T comparable](v T) *T {
	var none T
	if v == none {
		return nil
	}
	return &v
}
