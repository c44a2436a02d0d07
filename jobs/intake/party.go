package intake

import (
	"fmt"
	"io"

	"github.com/shopspring/decimal"

	"github.com/calends/calends/pipeline/party"
	"github.com/calends/calends/pricing/pricesheet/table"
)

const (
	ruleBlank     = "must not be blank"
	ruleCountry   = "want a two-letter country code"
	ruleCurrency  = "want an ISO 4217 currency code"
	ruleTaxRate   = "want a fraction from 0 to 1, such as 0.21"
	ruleRelation  = "want accepted, requested, declined, none or a blank"
	ruleDuplicate = "stands on line %d already, with other content"
)

var one = decimal.NewFromInt(1)

// Partners is what a file of partners holds.
type Partners struct {
	Partners []party.Partner // in file order, each id once
	Unknown  []string        // columns without a meaning here
}

// ReadPartners reads partners.csv.
func ReadPartners(src io.Reader) (*Partners, error) {
	t, err := table.New("partners", src)
	if err != nil {
		return nil, err
	}
	id, currency := t.Required("PartnerId"), t.Required("BillingCurrency")
	name, country := t.Optional("PartnerName"), t.Optional("Country")
	mpn, tax := t.Optional("MpnId"), t.Optional("TaxRate")
	out := &Partners{}
	seen := make(map[string]first)
	err = t.Each(func() *table.Error {
		p := party.Partner{ID: string(t.Cell(id)), Name: string(t.Cell(name)), MpnID: string(t.Cell(mpn))}
		if p.ID == "" {
			return t.Refuse(id, ruleBlank)
		}
		var ok bool
		if p.BillingCurrency, ok = table.Currency(t.Cell(currency)); !ok {
			return t.Refuse(currency, ruleCurrency)
		}
		if p.Country, ok = table.Country(t.Cell(country)); !ok && len(t.Cell(country)) > 0 {
			return t.Refuse(country, ruleCountry)
		}
		if cell := t.Cell(tax); len(cell) > 0 {
			if p.TaxRate, ok = table.Decimal(cell); !ok || p.TaxRate.IsNegative() || p.TaxRate.GreaterThan(one) {
				return t.Refuse(tax, ruleTaxRate)
			}
		}
		if f, dup := seen[p.ID]; dup {
			if !out.Partners[f.index].Equal(p) {
				return t.Refuse(id, fmt.Sprintf(ruleDuplicate, f.line))
			}
			return nil
		}
		seen[p.ID] = first{len(out.Partners), t.Line()}
		out.Partners = append(out.Partners, p)
		return nil
	})
	if err != nil {
		return nil, err
	}
	out.Unknown = t.Unknown()
	return out, nil
}

// first is where an id stood first.
type first struct {
	index int
	line  int64
}

// Customers is what a file of customers holds.
type Customers struct {
	Customers []party.Customer // in file order, each id once
	Unknown   []string         // columns without a meaning here
}

// ReadCustomers reads customers.csv.
func ReadCustomers(src io.Reader) (*Customers, error) {
	t, err := table.New("customers", src)
	if err != nil {
		return nil, err
	}
	id, partner, country := t.Required("CustomerId"), t.Required("PartnerId"), t.Required("CustomerCountry")
	name, domain := t.Optional("CustomerName"), t.Optional("CustomerDomainName")
	segment, reseller := t.Optional("Segment"), t.Optional("ResellerMpnId")
	relationship := t.Optional("Relationship")
	out := &Customers{}
	seen := make(map[string]first)
	var text table.Interner
	err = t.Each(func() *table.Error {
		c := party.Customer{
			ID: string(t.Cell(id)), Name: string(t.Cell(name)), Domain: string(t.Cell(domain)),
			Segment:   text.String([]byte(table.Segment(t.Cell(segment)))),
			PartnerID: text.String(t.Cell(partner)), ResellerMpnID: text.String(t.Cell(reseller)),
		}
		if c.ID == "" {
			return t.Refuse(id, ruleBlank)
		}
		if c.PartnerID == "" {
			return t.Refuse(partner, ruleBlank)
		}
		market, ok := table.Country(t.Cell(country))
		if !ok {
			return t.Refuse(country, ruleCountry)
		}
		c.Country = text.String([]byte(market))
		if c.Relationship, ok = party.ParseRelationship(string(t.Cell(relationship))); !ok {
			return t.Refuse(relationship, ruleRelation)
		}
		if f, dup := seen[c.ID]; dup {
			if out.Customers[f.index] != c {
				return t.Refuse(id, fmt.Sprintf(ruleDuplicate, f.line))
			}
			return nil
		}
		seen[c.ID] = first{len(out.Customers), t.Line()}
		out.Customers = append(out.Customers, c)
		return nil
	})
	if err != nil {
		return nil, err
	}
	out.Unknown = t.Unknown()
	return out, nil
}
