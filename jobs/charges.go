package jobs

import (
	"github.com/shopspring/decimal"

	"github.com/calends/calends/jobs/intake"
	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pricing"
	"github.com/calends/calends/pricing/pricesheet/table"
)

// chargeLine makes a line of a charge that was rated elsewhere: it keeps its
// own type, amounts and tax. What cannot stand on an invoice is refused.
func chargeLine(c *intake.Charge) (*invoice.Line, *table.Error) {
	refuse := func(column, value, rule string) (*invoice.Line, *table.Error) {
		return nil, &table.Error{Line: c.Line, Column: column, Value: value, Rule: rule}
	}
	digits, ok := pricing.MinorDigits(c.Currency)
	if !ok {
		return refuse("Currency", c.Currency, "want an ISO 4217 code")
	}
	if c.PartnerID == "" {
		return refuse("PartnerId", "", "want the partner that is billed")
	}
	if c.CustomerID == "" {
		return refuse("CustomerId", "", "want the customer that is billed")
	}
	line := &invoice.Line{
		Account: &invoice.Account{PartnerID: c.PartnerID, MpnID: c.MpnID, CustomerID: c.CustomerID, CustomerName: c.CustomerName,
			CustomerDomainName: c.CustomerDomainName, CustomerCountry: c.CustomerCountry, ResellerMpnID: c.ResellerMpnID},
		Item: &invoice.Item{ProductID: c.ProductID, SkuID: c.SkuID, AvailabilityID: c.AvailabilityID, SkuName: c.SkuName,
			ProductName: c.ProductName, PublisherName: c.PublisherName, PublisherID: c.PublisherID,
			SubscriptionDescription: c.SubscriptionDescription, TermAndBillingCycle: c.TermAndBillingCycle, UnitType: c.UnitType,
			AlternateID: c.AlternateID, BillingFrequency: c.BillingFrequency, MeterDescription: c.MeterDescription,
			ReservationOrderID: c.ReservationOrderID, ProductQualifiers: c.ProductQualifiers, PromotionID: c.PromotionID},
		InvoiceNumber: c.InvoiceNumber, SubscriptionID: c.SubscriptionID, OrderID: c.OrderID, OrderDate: c.OrderDate,
		ChargeType: c.ChargeType, UnitPrice: c.UnitPrice, EffectiveUnitPrice: c.EffectiveUnitPrice,
		Quantity: c.Quantity, BillableQuantity: c.BillableQuantity, Currency: c.Currency, PricingCurrency: c.PricingCurrency,
		ExchangeRate: c.PCToBCExchangeRate, RateDate: c.PCToBCExchangeRateDate, ChargeStart: c.ChargeStartDate, ChargeEnd: c.ChargeEndDate,
		TermStart: c.SubscriptionStartDate, TermEnd: c.SubscriptionEndDate, PriceAdjustment: c.PriceAdjustmentDescription,
		CreditReasonCode: c.CreditReasonCode, ReferenceID: c.ReferenceID,
	}
	for _, amount := range []struct {
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
	return line, nil
}
