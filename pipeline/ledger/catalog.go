package ledger

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/shopspring/decimal"

	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pipeline/party"
	"github.com/calends/calends/pipeline/subscription"
	"github.com/calends/calends/pricing"
)

// Catalog is everything that came in besides changes and charges, with its
// history: it answers for a closed month as that month's close did, and for an
// open one by the newest input. It implements [invoice.World]. It is safe for
// concurrent use once loaded.
type Catalog struct {
	ledger Ledger
	//nolint:containedctx // price sheets are read when a lookup first asks for them; the context is that of the run that loaded the catalog
	ctx    context.Context
	closes []Close
	policy func(partnerID string) subscription.Policies

	partners   map[string]*versions[party.Partner]
	customers  map[string]*versions[party.Customer]
	rates      map[rateKey]*versions[decimal.Decimal]
	promotions map[string]*versions[[]pricing.Promotion]
	offers     map[pricing.SKU]*versions[pricing.Offer]
	// firstOffers is the first input with an offer matrix, 0 without any.
	firstOffers int64
	// since is the close whose state the catalog begins with: of what came in
	// before only that is loaded. nil: everything is.
	since *Close
	// past are the facts of earlier closes, of customers that are looked back at.
	past sync.Map // customer id -> versions[party.Customer]
	// oldOffers are the offer matrices from the beginning, read when a closed
	// month first asks.
	oldOffers offerHistory

	sheets sheets
}

type rateKey struct {
	currency string
	month    pricing.Month
}

// newest is a number that no input reaches: what holds now.
const newest = 1<<62 - 1

// Load reads the inputs' data, but for changes and charges. policy gives a
// partner's policies in open months. With since, which must be the last close,
// customers and offers begin as they stood then; what closed months knew of a
// customer has to be added with [Catalog.Remember] before they are asked about it.
func (l Ledger) Load(ctx context.Context, inputs []Input, closes []Close, since *Close, policy func(partnerID string) subscription.Policies) (*Catalog, error) {
	c := &Catalog{
		ledger: l, ctx: ctx, closes: closes, since: since, policy: policy,
		partners:   make(map[string]*versions[party.Partner]),
		customers:  make(map[string]*versions[party.Customer]),
		rates:      make(map[rateKey]*versions[decimal.Decimal]),
		promotions: make(map[string]*versions[[]pricing.Promotion]),
		offers:     make(map[pricing.SKU]*versions[pricing.Offer]),
		sheets:     sheets{byMarket: make(map[string]map[pricing.Month]*monthSheet)},
	}
	if since != nil {
		stood := Input{Number: since.Inputs, Kind: Customers, Objects: since.AtClose.Parties}
		if err := c.loadAll(ctx, stood); err != nil {
			return nil, fmt.Errorf("state at the close of %s: %w", since.Month, err)
		}
		stood.Kind, stood.Objects = Offers, since.AtClose.Offers
		if err := c.loadAll(ctx, stood); err != nil {
			return nil, fmt.Errorf("state at the close of %s: %w", since.Month, err)
		}
	}
	for _, in := range inputs {
		if since != nil && in.Number <= since.Inputs && (in.Kind == Customers || in.Kind == Offers) {
			if in.Kind == Offers {
				c.oldOffers.add(in)
				c.noteOffers(in.Number)
			}
			continue
		}
		if err := c.loadAll(ctx, in); err != nil {
			return nil, fmt.Errorf("input %d (%s %s): %w", in.Number, in.Kind, in.Name, err)
		}
	}
	return c, nil
}

func (c *Catalog) loadAll(ctx context.Context, in Input) error {
	for _, o := range in.Objects {
		if err := c.load(ctx, in, o); err != nil {
			return err
		}
	}
	return nil
}

// noteOffers keeps the first input with an offer matrix.
func (c *Catalog) noteOffers(input int64) {
	if c.firstOffers == 0 || input < c.firstOffers {
		c.firstOffers = input
	}
}

func (c *Catalog) load(ctx context.Context, in Input, o Object) error {
	n := in.Number
	switch in.Kind {
	case Partners:
		return read(ctx, c.ledger, o, func(rows []partnerRow) error {
			for _, r := range rows {
				rate, err := decimal.NewFromString(r.TaxRate)
				if err != nil {
					return fmt.Errorf("partner %s: tax rate: %w", r.ID, err)
				}
				entry(c.partners, r.ID).add(n, party.Partner{ID: r.ID, Name: r.Name, Country: r.Country,
					BillingCurrency: r.BillingCurrency, MpnID: r.MpnID, TaxRate: rate})
			}
			return nil
		})
	case Customers:
		return c.ledger.eachCustomer(ctx, o, func(p party.Customer) { entry(c.customers, p.ID).add(n, p) })
	case Rates:
		return read(ctx, c.ledger, o, func(rows []rateRow) error {
			for _, r := range rows {
				usd, err := decimal.NewFromString(r.USDPerUnit)
				if err != nil {
					return fmt.Errorf("rate of %s: %w", r.Currency, err)
				}
				entry(c.rates, rateKey{r.Currency, pricing.Month(r.Month)}).add(n, usd)
			}
			return nil
		})
	case Promotions:
		byID := make(map[string][]pricing.Promotion)
		err := read(ctx, c.ledger, o, func(rows []promotionRow) error {
			for _, r := range rows {
				discount, err := decimal.NewFromString(r.Discount)
				if err != nil {
					return fmt.Errorf("promotion %s: %w", r.ID, err)
				}
				byID[r.ID] = append(byID[r.ID], pricing.Promotion{ID: r.ID, SKU: pricing.SKU{ProductID: r.ProductID, SkuID: r.SkuID},
					Term: pricing.Term(r.Term), Plan: pricing.Plan(r.Plan), Start: pricing.Instant(r.Start), End: pricing.Instant(r.End), Discount: discount})
			}
			return nil
		})
		for id, promotions := range byID {
			entry(c.promotions, id).add(n, promotions)
		}
		return err
	case Offers:
		c.noteOffers(n)
		return c.ledger.eachOffer(ctx, o, func(offer pricing.Offer) { entry(c.offers, offer.SKU).add(n, offer) })
	case Prices, Software:
		month, err := monthOf(in.Month)
		if err != nil {
			return err
		}
		c.sheets.add(o.Market, month, sheetImport{in, o})
	case Changes, Charges:
		// read when a month is billed
	}
	return nil
}

func entry[K comparable, V any](m map[K]*V, key K) *V {
	v, ok := m[key]
	if !ok {
		v = new(V)
		m[key] = v
	}
	return v
}

// closing returns the index of the first close that covered the month,
// len(c.closes) for an open one.
func (c *Catalog) closing(month pricing.Month) int {
	i, _ := slices.BinarySearchFunc(c.closes, month, func(k Close, m pricing.Month) int { return int(k.Month - m) })
	return i
}

// Payer returns who pays for the customer in the month. Customer and partner are
// looked up apart: each is what the first close knew of it, so that a customer
// who came late pays the tax rate of the month.
func (c *Catalog) Payer(customerID string, month pricing.Month) (*subscription.Payer, pricing.Code) {
	customer, ok := firstKnown(c, c.customerVersions(customerID), month)
	if !ok {
		return nil, pricing.UnknownCustomer
	}
	partner, ok := firstKnown(c, c.partners[customer.PartnerID], month)
	if !ok {
		return &subscription.Payer{Customer: customer, Partner: party.Partner{ID: customer.PartnerID}}, pricing.UnknownPartner
	}
	return &subscription.Payer{Partner: partner, Customer: customer, Policies: c.PoliciesIn(partner.ID, month)}, ""
}

// factsOf is closing for the facts of a month itself: those of months before
// the books began are none that a close used.
func (c *Catalog) factsOf(month pricing.Month) int {
	if len(c.closes) > 0 && month < c.closes[0].Month {
		return len(c.closes)
	}
	return c.closing(month)
}

// customerVersions returns what the ledger knew of a customer, and when.
func (c *Catalog) customerVersions(id string) *versions[party.Customer] {
	if known, ok := c.past.Load(id); ok {
		return known.(*versions[party.Customer])
	}
	return c.customers[id]
}

// Remember adds what earlier closes knew of a customer, so that closed months
// can be asked about it. It must come before the first such question.
func (c *Catalog) Remember(customerID string, known []KnownCustomer) {
	var v versions[party.Customer]
	for _, k := range known {
		v.add(k.Inputs, k.Customer)
	}
	if later := c.customers[customerID]; later != nil {
		for _, one := range *later {
			v.add(one.input, one.value)
		}
	}
	c.past.Store(customerID, &v)
}

// KnownCustomer is a customer as a close with that many inputs knew it.
type KnownCustomer struct {
	Inputs   int64
	Customer party.Customer
}

// firstKnown returns what a month's close knew, else a later one's, else what
// is known now.
func firstKnown[T any](c *Catalog, v *versions[T], month pricing.Month) (value T, ok bool) {
	if v == nil {
		return value, false
	}
	for _, k := range c.closes[c.factsOf(month):] {
		if value, ok = v.at(k.Inputs); ok {
			return value, true
		}
	}
	return v.at(newest)
}

// Partner returns a partner as it stood in a month.
func (c *Catalog) Partner(id string, month pricing.Month) (party.Partner, bool) {
	return firstKnown(c, c.partners[id], month)
}

// Rate returns the exchange rate of a month, rounded as it is printed: the one
// that a close used, else by the newest table.
func (c *Catalog) Rate(pricingCurrency, billingCurrency string, month pricing.Month) (decimal.Decimal, bool) {
	for _, k := range c.closes[c.factsOf(month):] {
		if rate, ok := k.Rates[RateKey{pricingCurrency, billingCurrency, month}]; ok {
			return rate, true
		}
	}
	from, ok1 := c.usd(pricingCurrency, month)
	to, ok2 := c.usd(billingCurrency, month)
	if !ok1 || !ok2 {
		return decimal.Decimal{}, false
	}
	return pricing.ExchangeRate(from, to), true
}

// usd returns what a unit of the currency is worth in USD. A dollar is worth a
// dollar where the table does not say otherwise.
func (c *Catalog) usd(currency string, month pricing.Month) (decimal.Decimal, bool) {
	if v, ok := c.rates[rateKey{currency, month}]; ok {
		return v.at(newest)
	}
	return decimal.NewFromInt(1), currency == "USD"
}

// Promotions returns what is known under the id now.
func (c *Catalog) Promotions(id string) []pricing.Promotion {
	if v, ok := c.promotions[id]; ok {
		promotions, _ := v.at(newest)
		return promotions
	}
	return nil
}

// Offer returns the offer matrix's row as it stood in the month: a matrix that
// came later does not undo what a closed month took.
func (c *Catalog) Offer(sku pricing.SKU, month pricing.Month) (offer pricing.Offer, loaded bool) {
	position := int64(newest)
	if i := c.closing(month); i < len(c.closes) {
		position = c.closes[i].Inputs
	}
	if c.firstOffers == 0 || c.firstOffers > position {
		return pricing.Offer{}, false
	}
	if c.since != nil && position <= c.since.Inputs {
		return c.oldOffers.at(c, sku, position), true
	}
	if v, ok := c.offers[sku]; ok {
		offer, _ = v.at(position)
	}
	return offer, true
}

// Offers returns the offer matrix as it stands now, in no particular order.
func (c *Catalog) Offers(yield func(pricing.Offer) bool) {
	for _, v := range c.offers {
		if offer, ok := v.at(newest); ok && !yield(offer) {
			return
		}
	}
}

// Err returns the first failure to read what was asked for.
func (c *Catalog) Err() error { return c.oldOffers.err }

// offerHistory is all offer matrices before the last close.
type offerHistory struct {
	inputs []Input
	once   sync.Once
	offers map[pricing.SKU]*versions[pricing.Offer]
	err    error
}

func (h *offerHistory) add(in Input) { h.inputs = append(h.inputs, in) }

func (h *offerHistory) at(c *Catalog, sku pricing.SKU, position int64) (offer pricing.Offer) {
	h.once.Do(func() {
		h.offers = make(map[pricing.SKU]*versions[pricing.Offer])
		for _, in := range h.inputs {
			for _, o := range in.Objects {
				err := c.ledger.eachOffer(c.ctx, o, func(offer pricing.Offer) { entry(h.offers, offer.SKU).add(in.Number, offer) })
				if h.err == nil && err != nil {
					h.err = fmt.Errorf("input %d (%s %s): %w", in.Number, in.Kind, in.Name, err)
				}
			}
		}
	})
	if v, ok := h.offers[sku]; ok {
		offer, _ = v.at(position)
	}
	return offer
}

// Customers returns all customers as they stand now, in no particular order.
func (c *Catalog) Customers(yield func(party.Customer) bool) {
	for _, v := range c.customers {
		if customer, ok := v.at(newest); ok && !yield(customer) {
			return
		}
	}
}

var _ invoice.World = (*Catalog)(nil)

// sheets finds the sheet that governs, reading it when it is first asked for.
type sheets struct {
	byMarket map[string]map[pricing.Month]*monthSheet
}

// monthSheet is what the last imports brought for a market and month: a
// licence sheet, a software sheet, or both.
type monthSheet struct {
	imports []sheetImport
	once    sync.Once
	sheet   *pricing.Sheet
	err     error
}

type sheetImport struct {
	input  Input
	object Object
}

func (s *sheets) add(market string, month pricing.Month, i sheetImport) {
	months := s.byMarket[market]
	if months == nil {
		months = make(map[pricing.Month]*monthSheet)
		s.byMarket[market] = months
	}
	m := entry(months, month)
	m.imports = slices.DeleteFunc(m.imports, func(earlier sheetImport) bool { return earlier.input.Kind == i.input.Kind })
	m.imports = append(m.imports, i)
}

// Sheet returns the sheet of the market and month, or the latest earlier one.
func (c *Catalog) Sheet(market string, month pricing.Month) (*pricing.Sheet, error) {
	months := c.sheets.byMarket[market]
	m, ok := months[month]
	if !ok {
		best := pricing.Month(-1)
		for at := range months {
			if at < month && at > best {
				best = at
			}
		}
		if best < 0 {
			return nil, nil
		}
		month, m = best, months[best]
	}
	m.once.Do(func() { m.sheet, m.err = c.readSheet(market, month, m.imports) })
	return m.sheet, m.err
}

// Months returns the months that have a sheet of the market, in order.
func (c *Catalog) Months(market string) []pricing.Month {
	var months []pricing.Month
	for m := range c.sheets.byMarket[market] {
		months = append(months, m)
	}
	slices.Sort(months)
	return months
}

// Markets returns the markets that have a sheet, in order.
func (c *Catalog) Markets() []string {
	var markets []string
	for m := range c.sheets.byMarket {
		markets = append(markets, m)
	}
	slices.Sort(markets)
	return markets
}

// SheetSource says what a price sheet is called and where its rows are, in the order
// in which the sheet has them.
type SheetSource struct {
	Market  string
	Month   pricing.Month
	File    string // the imported file's name
	SHA256  string // of its content
	Objects []Object
}

// SheetSources returns all sheets by market and month, none of them read.
func (c *Catalog) SheetSources() []SheetSource {
	var all []SheetSource
	for _, market := range c.Markets() {
		for _, month := range c.Months(market) {
			all = append(all, sourceOf(market, month, c.sheets.byMarket[market][month].imports))
		}
	}
	return all
}

func sourceOf(market string, month pricing.Month, imports []sheetImport) SheetSource {
	s := SheetSource{Market: market, Month: month}
	last := imports[len(imports)-1].input
	for _, i := range imports {
		if i.input.Kind == Prices {
			last = i.input
		}
		s.Objects = append(s.Objects, i.object)
	}
	s.File, s.SHA256 = last.Name, last.SHA256
	return s
}

func (c *Catalog) readSheet(market string, month pricing.Month, imports []sheetImport) (*pricing.Sheet, error) {
	var rows []pricing.Row
	for _, i := range imports {
		own, err := c.ledger.PriceRows(c.ctx, i.object)
		if err != nil {
			return nil, fmt.Errorf("price sheet of %s for %s (%s): %w", market, month, i.input.Name, err)
		}
		rows = append(rows, own...)
	}
	source := sourceOf(market, month, imports)
	return pricing.NewSheet(market, month, source.File, source.SHA256, rows), nil
}

// PoliciesIn returns a partner's policies in a month: those that the first close
// to cover the month recorded, so that terms which began before the books keep
// the cycles that issued lines have.
func (c *Catalog) PoliciesIn(partnerID string, month pricing.Month) subscription.Policies {
	for _, k := range c.closes[c.closing(month):] {
		if _, ok := k.Policies[partnerID]; ok {
			return k.policies(partnerID, subscription.Policies{})
		}
	}
	return c.policy(partnerID)
}

// Partners yields the ids of all partners, in no particular order.
func (c *Catalog) Partners(yield func(string) bool) {
	for id := range c.partners {
		if !yield(id) {
			return
		}
	}
}
