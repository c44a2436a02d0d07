package ledger

import (
	"context"

	"github.com/calends/calends/pipeline/ledger/pages"
	"github.com/calends/calends/pipeline/party"
)

// eachCustomer reads customers' facts. Those of one partner share its id, and so
// on: all customers are in memory at a time.
func (l Ledger) eachCustomer(ctx context.Context, o Object, each func(party.Customer)) error {
	var id, name, domain pages.Texts
	var country, segment, partner, reseller pages.Names
	rows := columns{ctx: ctx, ledger: l, objects: []Object{o}, add: func(r *pages.Reader) {
		r.Add("id", &id)
		r.Add("name", &name)
		r.Add("domain", &domain)
		r.Add("country", &country)
		r.Add("segment", &segment)
		r.Add("partnerId", &partner)
		r.Add("resellerMpnId", &reseller)
	}}
	defer rows.close()
	for {
		n, err := rows.next(1024)
		if err != nil || n == 0 {
			return err
		}
		for i := range n {
			each(party.Customer{ID: id.Values[i], Name: name.Values[i], Domain: domain.Values[i],
				Country: country.Of(i), Segment: segment.Of(i), PartnerID: partner.Of(i), ResellerMpnID: reseller.Of(i)})
		}
	}
}
