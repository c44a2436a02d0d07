package reconcile

import (
	"cmp"
	"math/big"
	"slices"

	"github.com/shopspring/decimal"

	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pricing"
)

// option is a value that a factor of theirs can have. Its doubt says how far
// it is from what their file states: 0 for the file's own word.
type option[T any] struct {
	value T
	doubt int
	row   *PriceRow // of a unit price
	date  pricing.Date
	name  string // of a promotion
}

// Doubts. What is stated is believed first; then that a stated change was not
// applied; then what nobody states but the world knows.
const (
	stated     = 0
	elsewhere  = 1 // stated by another column
	unapplied  = 2 // ours, although the file states another
	lost       = 3 // a promotion that stands in the file and is not given
	known      = 4 // a price row or a promotion of the SKU
	counted    = 5 // some number of days
	solved     = 6 // whatever the price must have been
	mostDoubt  = 7
	unfitPrice = 3 // the printed effective price says otherwise
)

// solution is how their amount came about.
type solution struct {
	factors
	row       *PriceRow
	promotion string
	date      pricing.Date // the event date that the days speak for; NoDate where the file states it
	guessed   bool         // the price is solved for: nothing else explains it
	// unstated is set where their columns agree with each other on a price that
	// their amount is not of, and the factors are others.
	unstated bool
	// truncated is set where no formula gives the amount, but what truncations
	// can take off or leave does.
	truncated bool
}

// solve finds factors that give their amount: in two parts where their
// effective unit price does, in one where it does not. ok is false when
// nothing gives the amount; the factors then are what the file states.
func (x *explainer) solve(ours factors, o, b *bill) (s solution, ok bool, err error) {
	c, err := x.choices(ours, o, b)
	if err != nil {
		return solution{}, false, err
	}
	lacksPrice := x.lacks(b).Has(FieldEffectiveUnitPrice)
	if !lacksPrice {
		if s, ok := c.byPrice(ours, b); ok {
			return s, true, nil
		}
	}
	word := c.first(ours, b)
	agree := !lacksPrice && word.price().touches(b.effective())
	exactly := func(f factors) bool { return f.gives(b.sum.Subtotal) }
	if s, ok := c.byAmount(ours, b, lacksPrice, exactly); ok {
		s.unstated = agree && !s.of(word.factors)
		return s, true, nil
	}
	nearly := func(f factors) bool { return f.formula == ours.formula && f.nearly(b.sum.Subtotal) }
	if s, ok := c.byAmount(ours, b, lacksPrice, nearly); ok {
		s.truncated, s.unstated = true, agree && !s.of(word.factors)
		return s, true, nil
	}
	return word, false, nil
}

// of reports whether price and rate are those of other factors.
func (f factors) of(o factors) bool {
	return f.unit.touches(o.unit) && f.share.Cmp(o.share) == 0 && f.days.Cmp(o.days) == 0 && f.rate.Cmp(o.rate) == 0
}

// choices are the options of each factor, the least doubtful first.
type choices struct {
	quantities []option[*big.Rat]
	units      []option[span]
	shares     []option[*big.Rat]
	days       []option[*big.Rat]
	rates      []option[*big.Rat]
	formulas   []option[formula]
	cycles     []int64 // for a count of days
	end        pricing.Date
}

func (x *explainer) choices(ours factors, o, b *bill) (*choices, error) {
	c := &choices{end: b.end}
	lacks := x.lacks(b)
	mine, line := o.lead.line, b.lead.line

	c.quantities = []option[*big.Rat]{{value: b.quantity}}
	if len(b.entries) == 1 && !lacks.Has(FieldBillableQuantity) && !line.Quantity.IsZero() {
		c.quantities = addOption(c.quantities, line.Quantity.Abs().Rat(), elsewhere)
	}
	c.quantities = addOption(c.quantities, ours.quantity, unapplied)

	if !lacks.Has(FieldExchangeRate) && !line.ExchangeRate.IsZero() {
		c.rates = addOption(c.rates, line.ExchangeRate.Rat(), stated)
	}
	if mine.PricingCurrency == line.PricingCurrency || lacks.Has(FieldPricingCurrency) {
		c.rates = addOption(c.rates, ours.rate, cmp.Or(unapplied*one(len(c.rates) > 0), stated))
	}
	if lacks.Has(FieldExchangeRate) {
		for _, month := range ratesAround(o, b) {
			if rate, ok := x.world.Rate(pricingCurrency(o, b), line.Currency, month); ok {
				c.rates = addOption(c.rates, rate.Rat(), known)
			}
		}
	}
	c.rates = addOption(c.rates, rat1, unapplied)

	for _, f := range append([]formula{ours.formula}, formulas...) {
		if !slices.ContainsFunc(c.formulas, func(o option[formula]) bool { return o.value == f }) {
			doubt := lost
			if f == perUnit || f == perLine {
				doubt = elsewhere
			}
			if f == ours.formula {
				doubt = stated
			}
			c.formulas = append(c.formulas, option[formula]{value: f, doubt: doubt})
		}
	}

	rows, err := x.prices(o, b)
	if err != nil {
		return nil, err
	}
	switch {
	case lacks.Has(FieldUnitPrice) || line.UnitPrice.IsZero() && !mine.UnitPrice.IsZero():
		c.units = []option[span]{{value: ours.unit}}
	case samePrice(line.UnitPrice, mine.UnitPrice):
		c.units = []option[span]{{value: ours.unit}}
	default:
		c.units = []option[span]{{value: unitPrice(line.UnitPrice), row: rowOf(rows, line.UnitPrice)}}
		c.units = append(c.units, option[span]{value: ours.unit, doubt: unapplied})
	}
	for i := range rows {
		c.units = append(c.units, option[span]{value: rows[i].price, row: rows[i].row, doubt: known})
	}

	c.shares = x.shares(ours, o, b, lacks)

	switch {
	case !b.dated() || lacks.Has(FieldChargeDates) || b.start == o.start && b.end == o.end:
		c.days = []option[*big.Rat]{{value: ours.days, date: pricing.NoDate}}
	default:
		for _, days := range b.daysOptions() {
			c.days = append(c.days, option[*big.Rat]{value: days, date: pricing.NoDate})
		}
		// A cycle keeps its length when an event in it moves.
		if n := new(big.Rat).Mul(ours.days, big.NewRat(b.days(), max(o.days(), 1))); o.dated() && b.end == o.end && n.Sign() > 0 {
			c.days = append([]option[*big.Rat]{{value: n, date: pricing.NoDate}}, c.days...)
		}
		c.days = append(c.days, option[*big.Rat]{value: ours.days, doubt: unapplied, date: pricing.NoDate})
	}
	if b.dated() {
		c.cycles = b.fullCycles()
		if o.dated() && ours.days.Sign() > 0 { // the length of our cycle first
			n := new(big.Rat).Quo(big.NewRat(o.days(), 1), ours.days)
			if n.IsInt() {
				c.cycles = append([]int64{n.Num().Int64()}, c.cycles...)
			}
		}
	}
	return c, nil
}

// shares are what a promotion may leave on their line.
func (x *explainer) shares(ours factors, o, b *bill, lacks Fields) []option[*big.Rat] {
	var all []option[*big.Rat]
	add := func(share *big.Rat, doubt int, name string) {
		if !slices.ContainsFunc(all, func(o option[*big.Rat]) bool { return o.value.Cmp(share) == 0 }) {
			all = append(all, option[*big.Rat]{value: share, doubt: doubt, name: name})
		}
	}
	mine, theirs := o.lead.line.Item.PromotionID, b.lead.line.Item.PromotionID
	switch {
	case lacks.Has(FieldPromotionID) || theirs == mine:
		add(ours.share, stated, mine)
	case theirs == "":
		add(rat1, stated, "")
		add(ours.share, lost, mine)
	default:
		for _, share := range x.discounts(skuBilled(o, b), theirs) {
			add(share, stated, theirs)
		}
		add(ours.share, unapplied, mine)
	}
	add(rat1, lost, "")
	for _, p := range x.world.Promotions(skuBilled(o, b)) {
		add(new(big.Rat).Sub(rat1, p.Discount.Rat()), known, p.ID)
	}
	// A promotion or adjustment that only they know has whatever percentage
	// their price shows.
	if theirs != "" && theirs != mine || b.lead.line.PriceAdjustment != "" {
		for _, days := range b.daysOptions() {
			if share, _ := left(b.effective(), unitPrice(b.lead.line.UnitPrice), days); share != nil {
				add(share, elsewhere, theirs)
				break
			}
		}
	}
	return all
}

// pricedRow is a row with the price of one cycle.
type pricedRow struct {
	row   *PriceRow
	price span
}

// skuBilled is what the price list calls their product. A file without SKUs
// says so by our line.
func skuBilled(o, b *bill) pricing.SKU {
	if b.lead.line.Item.SkuID == "" {
		return skuOf(o.lead.line.Item)
	}
	return skuOf(b.lead.line.Item)
}

// pricingCurrency is that of their price, or ours where the file has none.
func pricingCurrency(o, b *bill) string {
	return cmp.Or(b.lead.line.PricingCurrency, o.lead.line.PricingCurrency)
}

// ratesAround are the months whose exchange rate may be theirs, the nearest
// first.
func ratesAround(o, b *bill) []pricing.Month {
	month := b.lead.month
	for _, l := range []*invoice.Line{o.lead.line, b.lead.line} {
		if l.OrderDate != pricing.NoDate {
			month = l.OrderDate.Month()
		}
	}
	return []pricing.Month{month, month - 1, month + 1, month - 2, month + 2, month - 3, month + 3}
}

// prices returns the rows that may explain a price of theirs, the nearest
// months first.
func (x *explainer) prices(o, b *bill) ([]pricedRow, error) {
	l := b.lead.line
	month := l.OrderDate
	if month == pricing.NoDate {
		month = b.lead.month.First()
	}
	rows, err := x.world.Prices(x.group.CustomerID, skuBilled(o, b), month.Month())
	if err != nil {
		return nil, err
	}
	var all []pricedRow
	for i := range rows {
		r := &rows[i]
		if r.Row.Tiered || r.Row.Term.Months() == 0 || l.PricingCurrency != "" && r.Row.Currency != l.PricingCurrency {
			continue
		}
		cycle := min(r.Row.Plan.Months(), r.Row.Term.Months())
		if cycle == 0 {
			cycle = r.Row.Term.Months()
		}
		price := new(big.Rat).Mul(r.Row.UnitPrice.Rat(), big.NewRat(int64(cycle), int64(r.Row.Term.Months())))
		all = append(all, pricedRow{r, exactly(price)})
	}
	slices.SortStableFunc(all, func(a, b pricedRow) int {
		return cmp.Or(cmp.Compare(abs(int64(a.row.Month-month.Month())), abs(int64(b.row.Month-month.Month()))),
			cmp.Compare(a.row.Month, b.row.Month), cmp.Compare(a.row.Row.Line, b.row.Row.Line))
	})
	return all, nil
}

// rowOf returns the first row that has the printed price.
func rowOf(rows []pricedRow, price decimal.Decimal) *PriceRow {
	want := around(price.Abs().Rat(), halfUnit(priceDecimals))
	for _, r := range rows {
		if want.touches(r.price) {
			return r.row
		}
	}
	return nil
}

// samePrice compares list prices. A file may print the whole term's where we
// print the cycle's.
func samePrice(theirs, ours decimal.Decimal) bool {
	for _, months := range []int64{1, 12, 3, 36} {
		if around(theirs.Abs().Rat(), halfUnit(priceDecimals)).touches(unitPrice(ours).times(big.NewRat(months, 1))) {
			return true
		}
	}
	return false
}

func addOption(all []option[*big.Rat], value *big.Rat, doubt int) []option[*big.Rat] {
	if value.Sign() == 0 || slices.ContainsFunc(all, func(o option[*big.Rat]) bool { return o.value.Cmp(value) == 0 }) {
		return all
	}
	return append(all, option[*big.Rat]{value: value, doubt: doubt})
}

// byPrice believes their effective unit price, if rate and quantity make their
// amount of it, and then asks what it is made of.
func (c *choices) byPrice(ours factors, b *bill) (solution, bool) {
	s := solution{factors: ours, date: pricing.NoDate}
	s.sign = b.sign
	price := b.effective()
	best := mostDoubt
	for _, quantity := range c.quantities {
		for _, rate := range c.rates {
			for _, f := range c.formulas {
				doubt := quantity.doubt + rate.doubt + f.doubt
				if doubt >= best {
					continue
				}
				try := factors{quantity: quantity.value, unit: price, share: rat1, days: rat1, rate: rate.value, formula: f.value, sign: b.sign, digits: ours.digits}
				if try.givesParts(b) {
					s.quantity, s.rate, s.formula, best = quantity.value, rate.value, f.value, doubt
				}
			}
		}
	}
	if best == mostDoubt {
		return solution{}, false
	}

	for _, precise := range []span{price, coarse(b)} {
		best = mostDoubt
		for _, unit := range c.units {
			for _, share := range c.shares {
				for _, days := range c.days {
					doubt := unit.doubt + share.doubt + days.doubt
					if doubt < best && unit.value.times(share.value).times(days.value).touches(precise) {
						best = doubt
						s.unit, s.share, s.days, s.row, s.promotion = unit.value, share.value, days.value, unit.row, share.name
					}
				}
			}
		}
		if best < mostDoubt {
			return s, true
		}
	}
	// Some other number of days of the cycle.
	for _, unit := range c.units {
		for _, share := range c.shares {
			if unit.doubt+share.doubt > unapplied {
				continue
			}
			if days, cycle := c.count(price, unit.value, share.value); days > 0 {
				s.unit, s.share, s.days, s.row, s.promotion = unit.value, share.value, big.NewRat(days, cycle), unit.row, share.name
				s.date = c.end - pricing.Date(days-1)
				return s, true
			}
		}
	}
	// Their price is what it is; nothing at hand explains it.
	s.share, s.days, s.guessed = c.shares[0].value, c.days[0].value, true
	s.promotion = c.shares[0].name
	rest := new(big.Rat).Mul(s.share, s.days)
	if rest.Sign() == 0 {
		s.share, s.days, rest = rat1, rat1, rat1
	}
	s.unit = price.times(new(big.Rat).Inv(rest))
	return s, true
}

// coarse is what an effective price stands for in a file that prints fewer
// decimals: four at least, the last of them rounded.
func coarse(b *bill) span {
	decimals := -int(b.price.Exponent())
	if decimals < 4 || decimals >= someDecimals+2 {
		return b.effective()
	}
	return around(b.price.Rat(), halfUnit(decimals))
}

// count solves for a whole number of days.
func (c *choices) count(price, unit span, share *big.Rat) (days, cycle int64) {
	whole := new(big.Rat).Mul(unit.middle(), share)
	if whole.Sign() == 0 {
		return 0, 0
	}
	for _, cycle := range c.cycles {
		n := new(big.Rat).Quo(price.middle(), whole)
		n.Mul(n, big.NewRat(cycle, 1)).Add(n, big.NewRat(1, 2))
		days := new(big.Int).Quo(n.Num(), n.Denom())
		if !days.IsInt64() || days.Int64() < 1 || days.Int64() > cycle {
			continue
		}
		if unit.times(share).times(new(big.Rat).SetFrac(days, big.NewInt(cycle))).touches(price) {
			return days.Int64(), cycle
		}
	}
	return 0, 0
}

// byAmount asks which options make their amount, without their effective unit
// price or against it.
func (c *choices) byAmount(ours factors, b *bill, lacksPrice bool, fits func(factors) bool) (solution, bool) {
	s := solution{factors: ours, date: pricing.NoDate}
	best, price := mostDoubt+unfitPrice, b.effective()
	for _, unit := range c.units {
		for _, share := range c.shares {
			for _, days := range c.days {
				doubt := unit.doubt + share.doubt + days.doubt
				if doubt >= best {
					continue
				}
				if !lacksPrice && !unit.value.times(share.value).times(days.value).touches(price) {
					doubt++
				}
				for _, quantity := range c.quantities {
					for _, rate := range c.rates {
						for _, f := range c.formulas {
							if doubt+quantity.doubt+rate.doubt+f.doubt >= best {
								continue
							}
							try := factors{quantity.value, unit.value, share.value, days.value, rate.value, f.value, b.sign, ours.digits}
							if fits(try) {
								best = doubt + quantity.doubt + rate.doubt + f.doubt
								s.factors, s.row, s.promotion = try, unit.row, share.name
							}
						}
					}
				}
			}
		}
	}
	return s, best < mostDoubt+unfitPrice
}

// first is what the file states, whether it makes the amount or not.
func (c *choices) first(ours factors, b *bill) solution {
	return solution{
		factors: factors{c.quantities[0].value, c.units[0].value, c.shares[0].value, c.days[0].value, c.rates[0].value, ours.formula, b.sign, ours.digits},
		row:     c.units[0].row, promotion: c.shares[0].name, date: pricing.NoDate,
	}
}
