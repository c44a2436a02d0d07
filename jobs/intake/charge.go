package intake

import (
	"bytes"

	"github.com/shopspring/decimal"

	"github.com/calends/calends/pricing"
	"github.com/calends/calends/pricing/pricesheet/table"
)

// Charge is one line of Microsoft's reconciliation file, or of a file of
// charges rated elsewhere in its columns. What the file leaves blank is "",
// NoDate or zero. Text stands as it came, but for SkuId, which has four places.
type Charge struct {
	Line int64 // in the file, 1 being the first

	PartnerID                  string
	CustomerID                 string
	CustomerName               string
	CustomerDomainName         string
	CustomerCountry            string
	InvoiceNumber              string
	MpnID                      string
	ResellerMpnID              string // Tier2MpnId in some files
	OrderID                    string
	OrderDate                  pricing.Date
	ProductID                  string
	SkuID                      string
	AvailabilityID             string
	SkuName                    string
	ProductName                string
	ChargeType                 string
	UnitPrice                  decimal.Decimal
	Quantity                   decimal.Decimal
	Subtotal                   decimal.Decimal
	TaxTotal                   decimal.Decimal
	Total                      decimal.Decimal // totalForCustomer in the newer spelling
	Currency                   string
	PriceAdjustmentDescription string // JSON text where it was an array
	PublisherName              string
	PublisherID                string
	SubscriptionDescription    string
	SubscriptionID             string
	ChargeStartDate            pricing.Date
	ChargeEndDate              pricing.Date
	TermAndBillingCycle        string
	EffectiveUnitPrice         decimal.Decimal
	UnitType                   string
	AlternateID                string
	BillableQuantity           decimal.Decimal
	BillingFrequency           string
	PricingCurrency            string
	PCToBCExchangeRate         decimal.Decimal
	PCToBCExchangeRateDate     pricing.Date
	MeterDescription           string
	ReservationOrderID         string
	CreditReasonCode           string
	SubscriptionStartDate      pricing.Date
	SubscriptionEndDate        pricing.Date
	ReferenceID                string
	ProductQualifiers          string // JSON text where it was an array
	PromotionID                string

	// Only the legacy licence file has these: its gross amount and what was
	// taken off before Subtotal.
	Amount             decimal.Decimal
	TotalOtherDiscount decimal.Decimal

	// Present are the columns that the file has for this charge, Filled those
	// of them that are not blank.
	Present, Filled ColumnSet
	// Extra are the cells of columns without a meaning here, by the file's own
	// names; blank ones are left out. Only with [ChargeReader.KeepUnknown].
	Extra map[string]string
}

// ColumnSet is a set of the columns of a reconciliation file, by their place in
// the reader that made it: see [ChargeReader.Column].
type ColumnSet uint64

// Has reports whether the set has the column; -1 is in none.
func (s ColumnSet) Has(column int) bool { return column >= 0 && s&(1<<column) != 0 }

// chargeColumn is one column of a reconciliation file.
type chargeColumn struct {
	// names are its spellings. Case does not matter; where several stand in
	// one file, the first counts.
	names []string
	set   func(p *chargeParser, c *Charge, cell []byte) (rule string)
	// required in the header; needed in every row.
	required, needed bool
}

// Rules of a charge's cells.
const (
	ruleChargeDate = "want a date such as 2026-10-03 or 10/3/2026 (month/day/year)"
)

// chargeParser reads cells.
type chargeParser struct {
	text table.Interner
}

// own is text that few lines share, shared text that many do.
func own(at func(*Charge) *string, names ...string) chargeColumn {
	return chargeColumn{names: names, set: func(_ *chargeParser, c *Charge, cell []byte) string {
		*at(c) = string(cell)
		return ""
	}}
}

func shared(at func(*Charge) *string, names ...string) chargeColumn {
	return chargeColumn{names: names, set: func(p *chargeParser, c *Charge, cell []byte) string {
		*at(c) = p.text.String(cell)
		return ""
	}}
}

func day(at func(*Charge) *pricing.Date, names ...string) chargeColumn {
	return chargeColumn{names: names, set: func(_ *chargeParser, c *Charge, cell []byte) string {
		stamp, ok := table.Time(bytes.TrimSpace(cell))
		if !ok {
			return ruleChargeDate
		}
		*at(c) = stamp.At.Date()
		return ""
	}}
}

func money(at func(*Charge) *decimal.Decimal, names ...string) chargeColumn {
	return chargeColumn{names: names, set: func(_ *chargeParser, c *Charge, cell []byte) string {
		d, ok := table.Number(bytes.TrimSpace(cell))
		if !ok {
			return table.RuleDecimal
		}
		*at(c) = d
		return ""
	}}
}

func currency(at func(*Charge) *string, names ...string) chargeColumn {
	return chargeColumn{names: names, set: func(p *chargeParser, c *Charge, cell []byte) string {
		code, ok := table.Currency(bytes.TrimSpace(cell))
		if !ok {
			return ruleCurrency
		}
		*at(c) = p.text.String([]byte(code))
		return ""
	}}
}

func (c chargeColumn) inHeader() chargeColumn { c.required = true; return c }
func (c chargeColumn) inRow() chargeColumn    { c.required, c.needed = true, true; return c }

// chargeColumns returns the 46 columns of the reconciliation file. The newer
// spelling differs in the case of letters, which does not count, and in
// totalForCustomer.
func chargeColumns() []chargeColumn {
	return []chargeColumn{
		shared(func(c *Charge) *string { return &c.PartnerID }, "PartnerId"),
		shared(func(c *Charge) *string { return &c.CustomerID }, "CustomerId").inHeader(),
		shared(func(c *Charge) *string { return &c.CustomerName }, "CustomerName"),
		shared(func(c *Charge) *string { return &c.CustomerDomainName }, "CustomerDomainName"),
		shared(func(c *Charge) *string { return &c.CustomerCountry }, "CustomerCountry"),
		shared(func(c *Charge) *string { return &c.InvoiceNumber }, "InvoiceNumber"),
		shared(func(c *Charge) *string { return &c.MpnID }, "MpnId"),
		shared(func(c *Charge) *string { return &c.ResellerMpnID }, "ResellerMpnId", "Tier2MpnId"),
		own(func(c *Charge) *string { return &c.OrderID }, "OrderId"),
		day(func(c *Charge) *pricing.Date { return &c.OrderDate }, "OrderDate"),
		shared(func(c *Charge) *string { return &c.ProductID }, "ProductId"),
		chargeSKU("SkuId"),
		shared(func(c *Charge) *string { return &c.AvailabilityID }, "AvailabilityId"),
		shared(func(c *Charge) *string { return &c.SkuName }, "SkuName"),
		shared(func(c *Charge) *string { return &c.ProductName }, "ProductName"),
		shared(func(c *Charge) *string { return &c.ChargeType }, "ChargeType").inHeader(),
		money(func(c *Charge) *decimal.Decimal { return &c.UnitPrice }, "UnitPrice"),
		money(func(c *Charge) *decimal.Decimal { return &c.Quantity }, "Quantity"),
		money(func(c *Charge) *decimal.Decimal { return &c.Subtotal }, "Subtotal").inRow(),
		money(func(c *Charge) *decimal.Decimal { return &c.TaxTotal }, "TaxTotal"),
		money(func(c *Charge) *decimal.Decimal { return &c.Total }, "Total", "TotalForCustomer").inRow(),
		currency(func(c *Charge) *string { return &c.Currency }, "Currency").inRow(),
		shared(func(c *Charge) *string { return &c.PriceAdjustmentDescription }, "PriceAdjustmentDescription"),
		shared(func(c *Charge) *string { return &c.PublisherName }, "PublisherName"),
		shared(func(c *Charge) *string { return &c.PublisherID }, "PublisherId"),
		shared(func(c *Charge) *string { return &c.SubscriptionDescription }, "SubscriptionDescription"),
		own(func(c *Charge) *string { return &c.SubscriptionID }, "SubscriptionId"),
		day(func(c *Charge) *pricing.Date { return &c.ChargeStartDate }, "ChargeStartDate"),
		day(func(c *Charge) *pricing.Date { return &c.ChargeEndDate }, "ChargeEndDate"),
		shared(func(c *Charge) *string { return &c.TermAndBillingCycle }, "TermAndBillingCycle"),
		money(func(c *Charge) *decimal.Decimal { return &c.EffectiveUnitPrice }, "EffectiveUnitPrice"),
		shared(func(c *Charge) *string { return &c.UnitType }, "UnitType"),
		own(func(c *Charge) *string { return &c.AlternateID }, "AlternateId"),
		money(func(c *Charge) *decimal.Decimal { return &c.BillableQuantity }, "BillableQuantity"),
		shared(func(c *Charge) *string { return &c.BillingFrequency }, "BillingFrequency"),
		currency(func(c *Charge) *string { return &c.PricingCurrency }, "PricingCurrency"),
		money(func(c *Charge) *decimal.Decimal { return &c.PCToBCExchangeRate }, "PCToBCExchangeRate"),
		day(func(c *Charge) *pricing.Date { return &c.PCToBCExchangeRateDate }, "PCToBCExchangeRateDate"),
		shared(func(c *Charge) *string { return &c.MeterDescription }, "MeterDescription"),
		own(func(c *Charge) *string { return &c.ReservationOrderID }, "ReservationOrderId"),
		shared(func(c *Charge) *string { return &c.CreditReasonCode }, "CreditReasonCode"),
		day(func(c *Charge) *pricing.Date { return &c.SubscriptionStartDate }, "SubscriptionStartDate"),
		day(func(c *Charge) *pricing.Date { return &c.SubscriptionEndDate }, "SubscriptionEndDate"),
		own(func(c *Charge) *string { return &c.ReferenceID }, "ReferenceId"),
		shared(func(c *Charge) *string { return &c.ProductQualifiers }, "ProductQualifiers"),
		shared(func(c *Charge) *string { return &c.PromotionID }, "PromotionId"),
	}
}

// legacyColumns returns the columns of the legacy licence file that correspond
// to one of the 46. The subscription is the one that Partner Center shows, the
// product the durable offer. The file has one currency and no exchange rate.
func legacyColumns() []chargeColumn {
	return []chargeColumn{
		shared(func(c *Charge) *string { return &c.PartnerID }, "PartnerId"),
		shared(func(c *Charge) *string { return &c.CustomerID }, "CustomerId").inHeader(),
		shared(func(c *Charge) *string { return &c.CustomerName }, "CustomerName"),
		shared(func(c *Charge) *string { return &c.CustomerDomainName }, "DomainName", "CustomerDomainName"),
		shared(func(c *Charge) *string { return &c.InvoiceNumber }, "InvoiceNumber"),
		shared(func(c *Charge) *string { return &c.MpnID }, "MpnId"),
		shared(func(c *Charge) *string { return &c.ResellerMpnID }, "ResellerMpnId", "Tier2MpnId"),
		own(func(c *Charge) *string { return &c.OrderID }, "OrderId"),
		own(func(c *Charge) *string { return &c.SubscriptionID }, "SyndicationPartnerSubscriptionNumber").inHeader(),
		own(func(c *Charge) *string { return &c.AlternateID }, "SubscriptionId"),
		shared(func(c *Charge) *string { return &c.ProductID }, "DurableOfferId"),
		shared(func(c *Charge) *string { return &c.AvailabilityID }, "OfferId"),
		shared(func(c *Charge) *string { return &c.ProductName }, "OfferName"),
		shared(func(c *Charge) *string { return &c.SkuName }, "SubscriptionName"),
		shared(func(c *Charge) *string { return &c.SubscriptionDescription }, "SubscriptionDescription"),
		day(func(c *Charge) *pricing.Date { return &c.SubscriptionStartDate }, "SubscriptionStartDate"),
		day(func(c *Charge) *pricing.Date { return &c.SubscriptionEndDate }, "SubscriptionEndDate"),
		day(func(c *Charge) *pricing.Date { return &c.ChargeStartDate }, "ChargeStartDate"),
		day(func(c *Charge) *pricing.Date { return &c.ChargeEndDate }, "ChargeEndDate"),
		shared(func(c *Charge) *string { return &c.ChargeType }, "ChargeType").inHeader(),
		money(func(c *Charge) *decimal.Decimal { return &c.UnitPrice }, "UnitPrice"),
		money(func(c *Charge) *decimal.Decimal { return &c.Quantity }, "Quantity"),
		money(func(c *Charge) *decimal.Decimal { return &c.Amount }, "Amount"),
		money(func(c *Charge) *decimal.Decimal { return &c.TotalOtherDiscount }, "TotalOtherDiscount"),
		money(func(c *Charge) *decimal.Decimal { return &c.Subtotal }, "Subtotal").inRow(),
		money(func(c *Charge) *decimal.Decimal { return &c.TaxTotal }, "Tax", "TaxTotal"),
		money(func(c *Charge) *decimal.Decimal { return &c.Total }, "TotalForCustomer", "Total").inRow(),
		currency(func(c *Charge) *string { return &c.Currency }, "Currency").inRow(),
		shared(func(c *Charge) *string { return &c.BillingFrequency }, "BillingCycleType"),
	}
}

// chargeSKU keeps SkuIds in four places; Azure's have four of their own.
func chargeSKU(name string) chargeColumn {
	return chargeColumn{names: []string{name}, set: func(p *chargeParser, c *Charge, cell []byte) string {
		if len(cell) < 4 {
			cell = []byte(pricing.NormalSKU(string(cell)))
		}
		c.SkuID = p.text.String(cell)
		return ""
	}}
}
