package page

import (
	"cmp"
	"slices"
	"strings"
	"sync"

	"github.com/calends/calends/jobs"
	"github.com/calends/calends/jobs/serve/access"
	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pipeline/party"
)

// directory is who there is, by name. It is made once a reading.
type directory struct {
	mu   sync.Mutex
	of   *jobs.Reading
	book *book
}

// book is the partners and customers of a reading. It never changes.
type book struct {
	partners  []party.Partner // by name
	byPartner map[string]party.Partner
	customers []party.Customer // by name
	byID      map[string]party.Customer
}

// book returns who there is now.
func (s *Site) book() (*book, *jobs.Reading, error) {
	reading, err := s.Current.Reading()
	if err != nil {
		return nil, nil, err
	}
	d := &s.directory
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.of != reading {
		d.of, d.book = reading, bookOf(reading.Catalog())
	}
	return d.book, reading, nil
}

func bookOf(c *ledger.Catalog) *book {
	b := &book{byPartner: make(map[string]party.Partner), byID: make(map[string]party.Customer)}
	for id := range c.Partners {
		if p, ok := c.Partner(id, ledger.Ever); ok {
			b.partners = append(b.partners, p)
			b.byPartner[id] = p
		}
	}
	slices.SortFunc(b.partners, func(p, q party.Partner) int {
		return cmp.Or(cmp.Compare(strings.ToLower(p.Name), strings.ToLower(q.Name)), cmp.Compare(p.ID, q.ID))
	})
	for customer := range c.Customers {
		b.customers = append(b.customers, customer)
		b.byID[customer.ID] = customer
	}
	slices.SortFunc(b.customers, func(c, d party.Customer) int {
		return cmp.Or(cmp.Compare(strings.ToLower(c.Name), strings.ToLower(d.Name)), cmp.Compare(c.ID, d.ID))
	})
	return b
}

// name is a partner's, or its id where nobody knows it any more.
func (b *book) name(partnerID string) string { return cmp.Or(b.byPartner[partnerID].Name, partnerID) }

// seen are the partners that somebody belongs to.
func (b *book) seen(who access.Principal) []party.Partner {
	var seen []party.Partner
	for _, p := range b.partners {
		if who.Sees(p.ID) {
			seen = append(seen, p)
		}
	}
	return seen
}

// invoicesOf are those of a month that somebody may see.
func invoicesOf(m ledger.Manifest, who access.Principal) []ledger.InvoiceSummary {
	var seen []ledger.InvoiceSummary
	for _, inv := range m.Invoices {
		if who.Sees(inv.PartnerID) {
			seen = append(seen, inv)
		}
	}
	return seen
}
