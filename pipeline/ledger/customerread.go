package ledger

import (
	"context"
	"fmt"

	"github.com/calends/calends/pipeline/ledger/pages"
	"github.com/calends/calends/pipeline/party"
)

// eachCustomer reads customers' facts. Those of one partner share its id, and so
// on: all customers are in memory at a time.
func (l Ledger) eachCustomer(ctx context.Context, o Object, each func(party.Customer)) error {
	var id, name, domain pages.Texts
	var country, segment, partner, reseller, relationship pages.Names
	rows := columns{ctx: ctx, ledger: l, objects: []Object{o}, add: func(r *pages.Reader) {
		r.Add("id", &id)
		r.Add("name", &name)
		r.Add("domain", &domain)
		r.Add("country", &country)
		r.Add("segment", &segment)
		r.Add("partnerId", &partner)
		r.Add("resellerMpnId", &reseller)
		r.Add("relationship", &relationship)
	}}
	defer rows.close()
	for {
		n, err := rows.next(1024)
		if err != nil || n == 0 {
			return err
		}
		for i := range n {
			each(party.Customer{ID: id.Values[i], Name: name.Values[i], Domain: domain.Values[i],
				Country: country.Of(i), Segment: segment.Of(i), PartnerID: partner.Of(i), ResellerMpnID: reseller.Of(i),
				Relationship: party.Relationship(relationship.Of(i))})
		}
	}
}

// CustomerFact is what imports say of a customer now.
type CustomerFact struct {
	party.Customer
	// Word is the newest relationship that an import said in words, and Said the number
	// of the input that first said it: blanks between are no news, nor is what is
	// repeated. In a catalog that begins at a close it is not before that.
	Word party.Relationship
	Said int64
}

// CustomerFact returns what imports say of a customer now, false if they do not know it.
func (c *Catalog) CustomerFact(id string) (f CustomerFact, ok bool) {
	known := c.customers[id]
	if known == nil {
		return f, false
	}
	for _, v := range *known {
		if word := v.value.Relationship; word != "" && word != f.Word {
			f.Word, f.Said = word, v.input
		}
		f.Customer = v.value
	}
	return f, true
}

// InputCustomers returns the customers that an input brought, in its order.
func (l Ledger) InputCustomers(ctx context.Context, in Input) (customers []party.Customer, err error) {
	for _, o := range in.Objects {
		if err := l.eachCustomer(ctx, o, func(c party.Customer) { customers = append(customers, c) }); err != nil {
			return nil, fmt.Errorf("input %d (%s %s): %w", in.Number, in.Kind, in.Name, err)
		}
	}
	return customers, nil
}
