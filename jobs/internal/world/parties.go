package world

import (
	"fmt"
	"io"
	"math/bits"
)

type partner struct {
	id, name string
	home     market
	// currency of its invoices; that of its home but for a few.
	currency, taxRate string
	// share of the customers are of this or of an earlier partner, in thousandths.
	share int
}

// inventPartners makes some partners, the first the largest: three at least,
// twenty or so for a million subscriptions.
func (w *World) inventPartners() []partner {
	n := 3
	if thousands := w.Subscriptions / 1000; thousands > 0 {
		n = 1 + 2*bits.Len(uint(thousands)) // doubles of a thousand
	}
	whole := 0
	for k := range n {
		whole += 1_000_000 / (k + 1)
	}
	all := make([]partner, n)
	sum := 0
	for k := range all {
		d := w.dice.of(aboutPartner, k)
		home := w.markets()[k%len(w.markets())]
		sum += 1_000_000 / (k + 1)
		all[k] = partner{id: d.uuid(), name: words[d.roll(len(words))] + " Cloud " + suffixes[d.again(1).roll(len(suffixes))],
			home: home, currency: home.currency, taxRate: [...]string{"0.21", "0.19", "", "0.20"}[d.again(2).roll(4)],
			share: 1000 * sum / whole}
		if home.country == "AE" {
			all[k].currency = "KWD" // a currency of three places, and no price sheet has it
		}
	}
	return all
}

// customer is a customer's own facts.
type customer struct {
	number  int
	partner int
	market  market
	segment int // index of segments
}

func (w *World) customerDice(c int) dice { return w.dice.of(aboutCustomer, c) }

// customerID is in the order of the numbers: so changes come out in the order in
// which they are kept.
func (w *World) customerID(c int) string {
	d := w.customerDice(c)
	head := uint64(c)<<32/uint64(w.customers) + uint64(d.again(1).roll(int(1<<31/uint64(w.customers))+1))
	return d.uuidFrom(uint32(head))
}

func (w *World) customer(c int) customer {
	d := w.customerDice(c)
	one := customer{number: c, partner: w.partnerOf(d.again(2))}
	one.market = w.partners[one.partner].home
	if d.again(3).roll(100) < 15 {
		one.market = w.markets()[d.again(4).roll(len(w.markets()))]
	}
	switch p := d.again(5).roll(100); {
	case p >= 98:
		one.segment = 3
	case p >= 94:
		one.segment = 2
	case p >= 85:
		one.segment = 1
	}
	return one
}

func (w *World) partnerOf(d dice) int {
	p := d.roll(1000)
	for k := range w.partners {
		if p < w.partners[k].share {
			return k
		}
	}
	return 0
}

var (
	words = [...]string{"Voorbeeld", "Beispiel", "Sample", "Exempel", "Mihon", "Mithal", "Exemple", "Muster", "Model", "Specimen", "Paragon",
		"Pattern", "Placeholder", "Template", "Imaginary", "Fictional", "Notional", "Supposed", "Assumed", "Invented"}
	trades = [...]string{"Bicycles", "Machinery", "Dairy", "Logistics", "Insurance", "Bakeries", "Watches", "Schools", "Consulting", "Textiles",
		"Shipping", "Energy", "Gardens", "Printing", "Furniture", "Hospitals", "Foods", "Optics", "Timber", "Tours"}
	suffixes = [...]string{"B.V.", "GmbH", "Inc.", "Ltd", "SAS", "AG", "K.K.", "AB", "Pty Ltd", "W.L.L."}
)

// WritePartners writes partners.csv.
func (w *World) WritePartners(out io.Writer) error {
	b := newText(out)
	b.printf("PartnerId,PartnerName,Country,BillingCurrency,MpnId,TaxRate\r\n")
	for k, p := range w.partners {
		b.printf("%s,%s,%s,%s,%d,%s\r\n", p.id, p.name, p.home.country, p.currency, 6_100_000+k, p.taxRate)
	}
	return b.Flush()
}

// WriteCustomers writes customers.csv.
func (w *World) WriteCustomers(out io.Writer) error {
	return w.writeCustomers(out, func(int, *customer) bool { return true })
}

// WriteMoves writes the few customers that change to another partner in the
// month that is measured.
func (w *World) WriteMoves(out io.Writer) error {
	return w.writeCustomers(out, func(c int, one *customer) bool {
		one.partner = (one.partner + 1) % len(w.partners)
		return c == 0 || c != w.giant && w.customerDice(c).again(6).roll(3000) == 0
	})
}

func (w *World) writeCustomers(out io.Writer, take func(c int, one *customer) bool) error {
	b := newText(out)
	b.printf("CustomerId,CustomerName,CustomerDomainName,CustomerCountry,Segment,PartnerId,ResellerMpnId\r\n")
	for c := range w.customers {
		one := w.customer(c)
		if !take(c, &one) {
			continue
		}
		d := w.customerDice(c).again(7)
		reseller := ""
		if d.roll(10) < 3 {
			reseller = fmt.Sprint(6_200_000 + d.again(1).roll(500))
		}
		word, trade := words[d.again(2).roll(len(words))], trades[d.again(3).roll(len(trades))]
		b.printf("%s,%s %s %d %s,%s%s%d.onmicrosoft.com,%s,%s,%s,%s\r\n", w.customerID(c), word, trade, c, suffixes[d.again(4).roll(len(suffixes))],
			word, trade, c, one.market.country, segments[one.segment], w.partners[one.partner].id, reseller)
	}
	return b.Flush()
}
