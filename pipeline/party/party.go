// Package party holds who is billed: the partners that get the invoices and
// the customers whose subscriptions stand on them.
package party

import (
	"cmp"
	"strings"

	"github.com/shopspring/decimal"
)

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
	// Relationship is what imports say of it, blank where they say nothing. Nothing that
	// is billed depends on it: what has happened is billed.
	Relationship Relationship
}

// Relationship is whether a customer has agreed to buy from its partner.
type Relationship string

// The relationships.
const (
	Accepted  Relationship = "accepted"
	Requested Relationship = "requested" // asked for, and not answered
	Declined  Relationship = "declined"
	Unasked   Relationship = "none"
)

// ParseRelationship reads a relationship in any case; a blank is one, too.
func ParseRelationship(text string) (Relationship, bool) {
	for _, r := range [...]Relationship{"", Accepted, Requested, Declined, Unasked} {
		if strings.EqualFold(text, string(r)) {
			return r, true
		}
	}
	return "", false
}

// Stands is the relationship that imports tell: where they say nothing, the customer
// came from Microsoft's books, which hold none without an accepted one.
func (c Customer) Stands() Relationship { return cmp.Or(c.Relationship, Accepted) }

// Equal reports whether two partners are the same in every field.
func (p Partner) Equal(q Partner) bool {
	rate := p.TaxRate.Equal(q.TaxRate)
	p.TaxRate, q.TaxRate = decimal.Decimal{}, decimal.Decimal{}
	return rate && p == q
}
