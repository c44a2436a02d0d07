package jobs

import (
	"context"
	"fmt"

	"github.com/shopspring/decimal"

	"github.com/calends/calends/jobs/intake"
	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pricing"
	"github.com/calends/calends/pricing/pricesheet/table"
)

// chargeDocument is what a file of charges supersedes by: one partner's
// invoice of whoever rated the charges. Without a number it is all that the
// partner has for the month.
type chargeDocument struct {
	partner, number string
	month           pricing.Month // 0 with a number
}

func documentOf(l *invoice.Line, month pricing.Month) chargeDocument {
	return newChargeDocument(l.Account.PartnerID, l.InvoiceNumber, month)
}

func newChargeDocument(partner, number string, month pricing.Month) chargeDocument {
	if number != "" {
		month = 0
	}
	return chargeDocument{partner, number, month}
}

// documents returns what an input of charges has, by its record or, where that
// does not say, by its lines.
func (e Env) documents(ctx context.Context, in ledger.Input) (map[chargeDocument]bool, pricing.Month, error) {
	month, err := pricing.ParseMonth(in.Month)
	if err != nil {
		return nil, 0, fmt.Errorf("input %d: %w", in.Number, err)
	}
	documents := make(map[chargeDocument]bool)
	for _, d := range in.Documents {
		documents[newChargeDocument(d.PartnerID, d.Number, month)] = true
	}
	if in.Documents != nil {
		return documents, month, nil
	}
	for _, o := range in.Objects {
		if err := e.readLines(ctx, o.Key, func(l *invoice.Line) { documents[documentOf(l, month)] = true }); err != nil {
			return nil, 0, err
		}
	}
	return documents, month, nil
}

// readElsewhere reads the charges rated elsewhere, by customer, that were taken
// in for the months wanted. Of two files with one partner and invoice number the
// later counts, for whatever month.
func (e Env) readElsewhere(ctx context.Context, at snapshot, wanted func(pricing.Month) bool) (map[string][]invoice.Elsewhere, error) {
	latest := make(map[chargeDocument]int64)
	months := make(map[int64]pricing.Month)
	for _, in := range at.inputs {
		if in.Kind != ledger.Charges {
			continue
		}
		documents, month, err := e.documents(ctx, in)
		if err != nil {
			return nil, err
		}
		for d := range documents {
			latest[d] = in.Number
		}
		months[in.Number] = month
	}
	charges := make(map[string][]invoice.Elsewhere)
	for _, in := range at.inputs {
		month, ok := months[in.Number]
		if !ok || !wanted(month) {
			continue
		}
		for _, o := range in.Objects {
			err := e.readLines(ctx, o.Key, func(l *invoice.Line) {
				if latest[documentOf(l, month)] != in.Number {
					return
				}
				line := *l
				line.InvoiceNumber = "" // of whoever rated it; ours comes at close
				id := line.Account.CustomerID
				charges[id] = append(charges[id], invoice.Elsewhere{Line: &line, Month: month})
			})
			if err != nil {
				return nil, err
			}
		}
	}
	return charges, nil
}

// closedDocuments returns the numbered documents that closed months have billed.
func (e Env) closedDocuments(ctx context.Context, at snapshot) (map[chargeDocument]pricing.Month, error) {
	closed := make(map[chargeDocument]pricing.Month)
	for _, in := range at.inputs {
		if in.Kind != ledger.Charges {
			continue
		}
		documents, month, err := e.documents(ctx, in)
		if err != nil {
			return nil, err
		}
		if ledger.Books(at.closes).IsClosed(month) {
			for d := range documents {
				closed[d] = month
			}
		}
	}
	return closed, nil
}

// notBilledBefore refuses a line of a document that a closed month has billed:
// it would be billed twice.
func notBilledBefore(c *intake.Charge, l *invoice.Line, closed map[chargeDocument]pricing.Month) *table.Error {
	month, billed := closed[documentOf(l, 0)]
	if !billed || l.InvoiceNumber == "" {
		return nil
	}
	return &table.Error{Line: c.Line, Column: "InvoiceNumber", Value: c.InvoiceNumber,
		Rule: "was billed with " + month.String() + ", which is closed: take in what differs under another number"}
}

// chargeLine makes a line of a charge that was rated elsewhere: it keeps its
// own type, amounts and tax. What cannot stand on an invoice is refused.
func chargeLine(c *intake.Charge) (*invoice.Line, *table.Error) {
	switch {
	case c.PartnerID == "":
		return nil, &table.Error{Line: c.Line, Column: "PartnerId", Rule: "want the partner that is billed"}
	case c.CustomerID == "":
		return nil, &table.Error{Line: c.Line, Column: "CustomerId", Rule: "want the customer that is billed"}
	}
	line := &invoice.Line{Account: new(invoice.Account), Item: new(invoice.Item)}
	if refused := fillLine(line, c); refused != nil {
		return nil, refused
	}
	return line, nil
}

// fillLine writes a charge into a line that has an account and an item.
func fillLine(line *invoice.Line, c *intake.Charge) *table.Error {
	refuse := func(column, value, rule string) *table.Error {
		return &table.Error{Line: c.Line, Column: column, Value: value, Rule: rule}
	}
	digits, ok := pricing.MinorDigits(c.Currency)
	if !ok {
		return refuse("Currency", c.Currency, "want an ISO 4217 code")
	}
	*line.Account = invoice.Account{PartnerID: c.PartnerID, MpnID: c.MpnID, CustomerID: c.CustomerID, CustomerName: c.CustomerName,
		CustomerDomainName: c.CustomerDomainName, CustomerCountry: c.CustomerCountry, ResellerMpnID: c.ResellerMpnID}
	*line.Item = invoice.Item{ProductID: c.ProductID, SkuID: c.SkuID, AvailabilityID: c.AvailabilityID, SkuName: c.SkuName,
		ProductName: c.ProductName, PublisherName: c.PublisherName, PublisherID: c.PublisherID,
		SubscriptionDescription: c.SubscriptionDescription, TermAndBillingCycle: c.TermAndBillingCycle, UnitType: c.UnitType,
		AlternateID: c.AlternateID, BillingFrequency: c.BillingFrequency, MeterDescription: c.MeterDescription,
		ReservationOrderID: c.ReservationOrderID, ProductQualifiers: c.ProductQualifiers, PromotionID: c.PromotionID}
	*line = invoice.Line{
		Account: line.Account, Item: line.Item,
		InvoiceNumber: c.InvoiceNumber, SubscriptionID: c.SubscriptionID, OrderID: c.OrderID, OrderDate: c.OrderDate,
		ChargeType: c.ChargeType, UnitPrice: c.UnitPrice, EffectiveUnitPrice: c.EffectiveUnitPrice,
		Quantity: c.Quantity, BillableQuantity: c.BillableQuantity, Currency: c.Currency, PricingCurrency: c.PricingCurrency,
		ExchangeRate: c.PCToBCExchangeRate, RateDate: c.PCToBCExchangeRateDate, ChargeStart: c.ChargeStartDate, ChargeEnd: c.ChargeEndDate,
		TermStart: c.SubscriptionStartDate, TermEnd: c.SubscriptionEndDate, PriceAdjustment: c.PriceAdjustmentDescription,
		CreditReasonCode: c.CreditReasonCode, ReferenceID: c.ReferenceID,
	}
	for _, amount := range [...]struct {
		column string
		value  decimal.Decimal
		units  *int64
	}{
		{"Subtotal", c.Subtotal, &line.Subtotal},
		{"TaxTotal", c.TaxTotal, &line.TaxTotal},
		{"Total", c.Total, &line.Total},
	} {
		units, err := pricing.Truncate(amount.value, digits)
		if err != nil {
			return refuse(amount.column, amount.value.String(), err.Error())
		}
		if !decimal.New(units, -int32(digits)).Equal(amount.value) {
			return refuse(amount.column, amount.value.String(), "has more decimals than "+c.Currency+" has")
		}
		*amount.units = units
	}
	if line.Subtotal+line.TaxTotal != line.Total {
		return refuse("Total", c.Total.String(), "want Subtotal + TaxTotal")
	}
	return nil
}
