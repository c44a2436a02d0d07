package ledger

import (
	"fmt"
	"slices"

	"github.com/shopspring/decimal"

	"github.com/calends/calends/pipeline/change"
	"github.com/calends/calends/pipeline/ledger/pages"
)

// encodeChanges makes a Parquet file of changes in their order.
func encodeChanges(of []placed) ([]byte, error) {
	n := len(of)
	w := newChangeWriter(min(n, rowGroup))
	for group := range slices.Chunk(of, rowGroup) {
		for _, p := range group {
			w.add(p.change)
		}
		if err := w.flush(); err != nil {
			return nil, fmt.Errorf("encode %d rows: %w", n, err)
		}
	}
	data, err := w.file.Close()
	if err != nil {
		return nil, fmt.Errorf("encode %d rows: %w", n, err)
	}
	return data, nil
}

// changeWriter writes changes by their columns, as [changeReader] reads them. Their
// input is the one that names the file.
type changeWriter struct {
	file *pages.Writer

	customer, source, kind, override, product, sku         pages.Names
	duration, billing, promotion, order, availability      pages.Names
	parent, toSubscription, currency, subscription, reason pages.Names
	event, defect, unitPrice, amount                       pages.Names
	id, content, subject                                   pages.Texts
	contents                                               []byte
	at, record, quantity, nextQuantity                     pages.Numbers[int64]
	customEnd, nextCustomEnd                               pages.Numbers[int32]
	trial, autoRenew, next                                 pages.Flags
	hasQuantity, hasAutoRenew, hasUnitPrice, hasAmount     []bool
	hasNextQuantity                                        []bool

	nextProduct, nextSku, nextDuration, nextBilling pages.Names
	nextAvailability, nextPromotion                 pages.Names
}

// newChangeWriter returns one with room for the rows of a group.
func newChangeWriter(rows int) *changeWriter {
	w := &changeWriter{file: pages.NewWriter("changeRow", createdBy)}
	names := func(name string, c *pages.Names) {
		c.Index = make([]int32, 0, rows)
		w.file.Add(name, c)
	}
	texts := func(name string, c *pages.Texts) {
		c.Values = make([]string, 0, rows)
		w.file.Add(name, c)
	}
	whole := func(name string, c *pages.Numbers[int64]) {
		c.Values = make([]int64, 0, rows)
		w.file.Add(name, c)
	}
	days := func(name string, c *pages.Numbers[int32]) {
		c.Values = make([]int32, 0, rows)
		w.file.Add(name, c)
	}
	names("customerId", &w.customer)
	whole("at", &w.at)
	texts("id", &w.id)
	whole("record", &w.record)
	w.file.AddBytes("content", &w.content)
	names("source", &w.source)
	names("type", &w.kind)
	texts("subject", &w.subject)
	names("override", &w.override)
	names("productId", &w.product)
	names("skuId", &w.sku)
	names("termDuration", &w.duration)
	names("billingCycle", &w.billing)
	names("promotionId", &w.promotion)
	w.file.AddOptional("quantity", &w.quantity, &w.hasQuantity)
	names("orderId", &w.order)
	names("availabilityId", &w.availability)
	names("parentSubscriptionId", &w.parent)
	names("toSubscriptionId", &w.toSubscription)
	w.file.Add("isTrial", &w.trial)
	w.file.AddOptional("autoRenewEnabled", &w.autoRenew, &w.hasAutoRenew)
	days("customTermEndDate", &w.customEnd)
	w.file.AddOptional("unitPrice", &w.unitPrice, &w.hasUnitPrice)
	w.file.AddOptional("amount", &w.amount, &w.hasAmount)
	names("currency", &w.currency)
	names("subscriptionId", &w.subscription)
	names("reason", &w.reason)
	names("eventId", &w.event)
	names("defect", &w.defect)
	w.file.Add("nextTerm", &w.next) // whether the next* columns were given
	names("nextProductId", &w.nextProduct)
	names("nextSkuId", &w.nextSku)
	names("nextTermDuration", &w.nextDuration)
	names("nextBillingCycle", &w.nextBilling)
	names("nextAvailabilityId", &w.nextAvailability)
	names("nextPromotionId", &w.nextPromotion)
	w.file.AddOptional("nextQuantity", &w.nextQuantity, &w.hasNextQuantity)
	days("nextCustomTermEndDate", &w.nextCustomEnd)
	return w
}

func (w *changeWriter) add(c *change.Change) {
	w.customer.Append(c.CustomerID)
	w.at.Values = append(w.at.Values, int64(c.At))
	w.id.Values = append(w.id.Values, c.ID)
	w.record.Values = append(w.record.Values, c.Taken.Record)
	w.contents = append(w.contents, c.Content[:]...)
	w.source.Append(c.Source)
	w.kind.Append(string(c.Type))
	w.subject.Values = append(w.subject.Values, c.Subject)
	w.override.Append(c.Override)
	w.product.Append(c.SKU.ProductID)
	w.sku.Append(c.SKU.SkuID)
	w.duration.Append(c.TermDuration)
	w.billing.Append(c.BillingCycle)
	w.promotion.Append(c.PromotionID)
	appendGiven(&w.quantity.Values, &w.hasQuantity, c.Quantity)
	w.order.Append(c.OrderID)
	w.availability.Append(c.AvailabilityID)
	w.parent.Append(c.ParentID)
	w.toSubscription.Append(c.ToSubscription)
	w.trial.Values = append(w.trial.Values, c.IsTrial)
	appendGiven(&w.autoRenew.Values, &w.hasAutoRenew, c.AutoRenew)
	w.customEnd.Values = append(w.customEnd.Values, int32(c.CustomTermEnd))
	appendAmount(&w.unitPrice, &w.hasUnitPrice, c.UnitPrice)
	appendAmount(&w.amount, &w.hasAmount, c.Amount)
	w.currency.Append(c.Currency)
	w.subscription.Append(c.SubscriptionID)
	w.reason.Append(c.Reason)
	w.event.Append(c.EventID)
	w.defect.Append(c.Defect)
	w.addNext(c.NextTerm)
}

func (w *changeWriter) addNext(n *change.NextTerm) {
	w.next.Values = append(w.next.Values, n != nil)
	if n == nil {
		n = &change.NextTerm{}
	}
	w.nextProduct.Append(n.SKU.ProductID)
	w.nextSku.Append(n.SKU.SkuID)
	w.nextDuration.Append(n.TermDuration)
	w.nextBilling.Append(n.BillingCycle)
	w.nextAvailability.Append(n.AvailabilityID)
	w.nextPromotion.Append(n.PromotionID)
	appendGiven(&w.nextQuantity.Values, &w.hasNextQuantity, n.Quantity)
	w.nextCustomEnd.Values = append(w.nextCustomEnd.Values, int32(n.CustomTermEnd))
}

func appendGiven[T any](values *[]T, given *[]bool, v *T) {
	var value T
	if v != nil {
		value = *v
	}
	*values, *given = append(*values, value), append(*given, v != nil)
}

func appendAmount(names *pages.Names, given *[]bool, d *decimal.Decimal) {
	text := ""
	if d != nil {
		text = d.String()
	}
	names.Append(text)
	*given = append(*given, d != nil)
}

// flush writes the row group.
func (w *changeWriter) flush() error {
	const size = len(change.Change{}.Content)
	w.content.Values = slices.Grow(w.content.Values, len(w.contents)/size)
	for all := string(w.contents); all != ""; all = all[size:] {
		w.content.Values = append(w.content.Values, all[:size])
	}
	w.contents = w.contents[:0]
	return w.file.Group()
}
