// Package party holds who is billed: the partners that get the invoices and
// the customers whose subscriptions stand on them.
package party

import "github.com/shopspring/decimal"

// Partner gets one invoice a month.
type Partner struct {
	ID              string
	Name            string
	Country         string // two letters, "" where it is not given
	BillingCurrency string // ISO 4217
	MpnID           string
	TaxRate         decimal.Decimal // a fraction, 0 to 1
}

// Customer owns subscriptions.
type Customer struct {
	ID            string
	Name          string
	Domain        string
	Country       string // two letters: the market whose price sheets govern
	Segment       string // Commercial where it is not given
	PartnerID     string
	ResellerMpnID string
}

// Equal reports whether two partners are the same in every field.
func (p Partner) Equal(q Partner) bool {
	rate := p.TaxRate.Equal(q.TaxRate)
	p.TaxRate, q.TaxRate = decimal.Decimal{}, decimal.Decimal{}
	return rate && p == q
}
