package cases

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// columns are the short names of reconciliation.csv's columns.
var columns = map[string]string{
	"sub": "SubscriptionId", "type": "ChargeType", "qty": "Quantity", "order": "OrderDate",
	"start": "ChargeStartDate", "end": "ChargeEndDate", "term-start": "SubscriptionStartDate", "term-end": "SubscriptionEndDate",
	"unit": "UnitPrice", "effective": "EffectiveUnitPrice", "amount": "Subtotal", "tax": "TaxTotal", "total": "Total",
	"currency": "Currency", "pricing": "PricingCurrency", "rate": "PCToBCExchangeRate", "frequency": "BillingFrequency",
	"promotion": "PromotionId", "qualifiers": "ProductQualifiers", "product": "ProductName",
}

// parser reads one case. Its words fields are what is left of the line.
type parser struct {
	c     Case
	words []string
	// table is the section of wanted rows that the line is in, nil above them.
	table   func(Row)
	headers []string
}

// Parse reads a case. name stands in the errors.
func Parse(name, text string) (Case, error) {
	p := parser{c: Case{products: map[string]product{}, customer: customer{market: "US"}}}
	for i, line := range strings.Split(text, "\n") {
		if err := p.line(i, strings.TrimSpace(line)); err != nil {
			return Case{}, fmt.Errorf("%s line %d: %w", name, i+1, err)
		}
	}
	if err := p.complete(); err != nil {
		return Case{}, fmt.Errorf("%s: %w", name, err)
	}
	return p.c, nil
}

func (p *parser) complete() error {
	switch {
	case p.c.ID == "" || p.c.Title == "":
		return fmt.Errorf(`no first line "# id  title"`)
	case p.c.Status == "":
		return fmt.Errorf(`no "# status: reproduced|differs|ours"`)
	case p.c.partner.currency == "":
		return fmt.Errorf("no partner")
	case len(p.c.months) == 0:
		return fmt.Errorf("no month to bill")
	case len(p.c.Want) == 0:
		return fmt.Errorf("no lines wanted")
	}
	return nil
}

func (p *parser) line(i int, line string) (err error) {
	if comment, ok := strings.CutPrefix(line, "#"); ok {
		return p.comment(i, strings.TrimSpace(comment))
	}
	if p.words, err = split(line); err != nil {
		return err
	}
	if len(p.words) == 0 {
		return nil
	}
	switch p.words[0] {
	case "lines":
		p.table, p.headers = func(r Row) { p.c.Want = append(p.c.Want, r) }, nil
		return p.end(1)
	case "exceptions":
		p.table, p.headers = func(r Row) { p.c.WantExceptions = append(p.c.WantExceptions, r) }, []string{"Code", "SubscriptionId"}
		return p.end(1)
	}
	switch {
	case p.table == nil:
		return p.statement()
	case p.headers == nil:
		return p.header()
	}
	return p.row()
}

// comment takes what the first comments say about the case; the rest is prose.
func (p *parser) comment(i int, text string) error {
	switch key, value, _ := strings.Cut(text, ":"); {
	case i == 0:
		p.c.ID, p.c.Title, _ = strings.Cut(text, " ")
		p.c.Title = strings.TrimSpace(p.c.Title)
	case key == "source":
		p.c.Source = strings.TrimSpace(value)
	case key == "status":
		p.c.Status = strings.TrimSpace(value)
		if !slices.Contains([]string{"reproduced", "differs", "ours"}, p.c.Status) {
			return fmt.Errorf("status %q: want reproduced, differs or ours", p.c.Status)
		}
	}
	return nil
}

func (p *parser) header() error {
	for _, word := range p.words {
		name, ok := columns[word]
		if !ok {
			return fmt.Errorf("column %q: want one of %s", word, strings.Join(slices.Sorted(maps.Keys(columns)), " "))
		}
		p.headers = append(p.headers, name)
	}
	return nil
}

func (p *parser) row() error {
	if len(p.words) != len(p.headers) {
		return fmt.Errorf("%d values for %d columns (%s)", len(p.words), len(p.headers), strings.Join(p.headers, " "))
	}
	row := Row{}
	for i, name := range p.headers {
		if row[name] = p.words[i]; p.words[i] == "-" {
			row[name] = ""
		}
	}
	p.table(row)
	return nil
}

func (p *parser) statement() error {
	if at, err := time.Parse("2006-01-02", p.words[0]); err == nil {
		return p.change(at)
	}
	switch p.next() {
	case "partner":
		p.c.partner.currency = p.next()
		if p.take("tax") {
			p.c.partner.taxRate = p.next()
		}
	case "customer":
		p.c.customer.market, p.c.customer.segment = p.next(), p.next()
	case "policy":
		policy, value := p.next(), p.next()
		policies := map[string]*string{"rounding": &p.c.Policies.Rounding, "month-end": &p.c.Policies.MonthEnd, "windows": &p.c.Policies.Windows}
		if policies[policy] == nil || value == "" {
			return fmt.Errorf("policy %q: want rounding, month-end or windows and a value", policy)
		}
		*policies[policy] = value
	case "product":
		key, id, title := p.next(), p.next(), p.next()
		productID, skuID, ok := strings.Cut(id, "/")
		if !ok || title == "" {
			return fmt.Errorf(`want: product KEY ProductId/SkuId "Title"`)
		}
		p.c.products[key] = product{productID, skuID, title}
	case "price":
		row := price{product: p.next(), term: p.next(), plan: p.next(), currency: p.next(), unitPrice: p.next(),
			from: "2019-01-01T00:00:00Z", until: "9999-11-30T23:59:59Z"}
		p.option("from", &row.from)
		p.option("until", &row.until)
		if err := p.product(row.product); err != nil {
			return err
		}
		if _, err := strconv.ParseFloat(row.unitPrice, 64); err != nil {
			return fmt.Errorf("price %q is no number", row.unitPrice)
		}
		p.c.prices = append(p.c.prices, row)
	case "promotion":
		promo := promotion{id: p.next(), percent: p.next(), product: p.next(), term: p.next(), plan: p.next()}
		p.option("from", &promo.from)
		p.option("until", &promo.until)
		if err := p.product(promo.product); err != nil {
			return err
		}
		if !strings.HasSuffix(promo.percent, "%") || promo.from == "" || promo.until == "" {
			return fmt.Errorf("want: promotion ID 10%% KEY term plan from DATE until DATE")
		}
		p.c.promotions = append(p.c.promotions, promo)
	case "rate":
		r := rate{currency: p.next(), month: p.next(), usd: p.next()}
		if _, err := time.Parse("2006-01", r.month); err != nil || r.usd == "" {
			return fmt.Errorf("want: rate EUR 2021-06 1.19")
		}
		p.c.rates = append(p.c.rates, r)
	case "bill":
		return p.bill()
	default:
		return fmt.Errorf("unknown word; a statement starts with a date or one of partner, customer, policy, product, price, promotion, rate, bill, lines, exceptions")
	}
	return p.end(0)
}

// bill takes months and ranges of months: 2021-06 2022-01 to 2022-03.
func (p *parser) bill() error {
	for len(p.words) > 0 {
		first, err := time.Parse("2006-01", p.next())
		if err != nil {
			return err
		}
		last := first
		if p.take("to") {
			if last, err = time.Parse("2006-01", p.next()); err != nil {
				return err
			}
		}
		for m := first; !m.After(last); m = m.AddDate(0, 1, 0) {
			p.c.months = append(p.c.months, m.Format("2006-01"))
		}
	}
	return nil
}

// change takes an event. What is said of a subscription that the case never
// bought is taken too: it may be what the case is about.
func (p *parser) change(day time.Time) error {
	p.next()
	clock, err := time.Parse("15:04", p.next())
	if err != nil {
		return fmt.Errorf("after the day comes the time, as 09:30: %w", err)
	}
	c := change{at: day.Add(time.Duration(clock.Hour())*time.Hour + time.Duration(clock.Minute())*time.Minute), data: map[string]any{"customerId": CustomerID}}
	verb := p.next()
	c.subject = p.next()
	if c.subject == "" {
		return fmt.Errorf("%s of what?", verb)
	}
	switch verb {
	case "buy", "trial":
		c.kind = "subscription.purchased"
		err = p.purchase(&c, verb == "trial")
	case "seats":
		c.kind = "subscription.quantityChanged"
		err = p.quantity(&c)
	case "cancel":
		c.kind = "subscription.canceled"
	case "upgrade":
		c.kind = "subscription.upgraded"
		err = p.upgrade(&c)
	case "convert":
		c.kind = "subscription.trialConverted"
		if err = p.toProduct(&c); err == nil {
			c.data["termDuration"], c.data["billingCycle"] = p.next(), p.next()
			err = p.quantity(&c)
		}
	case "plan":
		c.kind = "subscription.billingPlanChanged"
		c.data["billingCycle"] = p.next()
	case "auto-renew":
		c.kind = "subscription.renewalChanged"
		c.data["autoRenewEnabled"] = p.next() == "on"
	case "schedule":
		c.kind = "subscription.nextTermScheduled"
		err = p.schedule(&c)
	case "clear":
		c.kind = "subscription.nextTermCleared"
	case "suspend":
		c.kind = "subscription.suspended"
	case "reactivate":
		c.kind = "subscription.reactivated"
	case "credit":
		// credit EUR 12.50 "reason" [of S1]: the second word is the currency.
		c.kind = "customer.credited"
		c.data["currency"], c.subject = c.subject, CustomerID
		c.data["amount"] = number(p.next())
		c.data["reason"] = p.next()
		if p.take("of") {
			c.data["subscriptionId"] = p.next()
		}
	default:
		return fmt.Errorf("unknown change %q: want buy, trial, seats, cancel, upgrade, convert, plan, auto-renew, schedule, clear, suspend, reactivate or credit", verb)
	}
	if err != nil {
		return err
	}
	p.option("override", &c.override)
	p.c.changes = append(p.c.changes, c)
	return p.end(0)
}

func (p *parser) purchase(c *change, trial bool) error {
	key := p.next()
	if err := p.product(key); err != nil {
		return err
	}
	sold := p.c.products[key]
	c.data["productId"], c.data["skuId"] = sold.productID, sold.skuID
	c.data["termDuration"], c.data["billingCycle"] = p.next(), p.next()
	if err := p.quantity(c); err != nil {
		return err
	}
	if trial {
		c.data["isTrial"] = true
	}
	p.data(c, "until", "customTermEndDate")
	p.data(c, "promotion", "promotionId")
	p.data(c, "addon-to", "parentSubscriptionId")
	if p.take("at") {
		c.data["currency"], c.data["unitPrice"] = p.next(), number(p.next())
	}
	if p.take("no-renew") {
		c.data["autoRenewEnabled"] = false
	}
	return nil
}

// upgrade S1 to E3 [seats 5] [into S2] [term P1Y Annual] [promotion ID]
func (p *parser) upgrade(c *change) error {
	if err := p.toProduct(c); err != nil {
		return err
	}
	if p.take("seats") {
		if err := p.quantity(c); err != nil {
			return err
		}
	}
	p.data(c, "into", "toSubscriptionId")
	if p.take("term") {
		c.data["termDuration"], c.data["billingCycle"] = p.next(), p.next()
	}
	p.data(c, "promotion", "promotionId")
	return nil
}

// schedule S1 [product E3] [term P1Y Monthly] [seats 5] [until DATE] [promotion ID]
func (p *parser) schedule(c *change) error {
	next, sold := map[string]any{}, map[string]any{}
	if p.take("product") {
		key := p.next()
		if err := p.product(key); err != nil {
			return err
		}
		sold["productId"], sold["skuId"] = p.c.products[key].productID, p.c.products[key].skuID
	}
	if p.take("term") {
		sold["termDuration"], sold["billingCycle"] = p.next(), p.next()
	}
	if p.take("seats") {
		n, err := strconv.ParseInt(p.next(), 10, 64)
		if err != nil {
			return err
		}
		next["quantity"] = n
	}
	if p.take("until") {
		next["customTermEndDate"] = p.next()
	}
	if p.take("promotion") {
		sold["promotionId"] = p.next()
	}
	if len(sold) > 0 {
		next["product"] = sold
	}
	c.data["scheduledNextTermInstructions"] = next
	return nil
}

func (p *parser) toProduct(c *change) error {
	if !p.take("to") {
		return fmt.Errorf("to which product?")
	}
	key := p.next()
	sold := p.c.products[key]
	c.data["toProductId"], c.data["toSkuId"] = sold.productID, sold.skuID
	return p.product(key)
}

func (p *parser) quantity(c *change) error {
	n, err := strconv.ParseInt(p.next(), 10, 64)
	c.data["quantity"] = n
	return err
}

func (p *parser) product(key string) error {
	if _, ok := p.c.products[key]; !ok {
		return fmt.Errorf("product %q is not declared above", key)
	}
	return nil
}

// next takes a word, "" when there is none left.
func (p *parser) next() string {
	if len(p.words) == 0 {
		return ""
	}
	word := p.words[0]
	p.words = p.words[1:]
	return word
}

// take takes the word if it is the next one.
func (p *parser) take(word string) bool {
	if len(p.words) == 0 || p.words[0] != word {
		return false
	}
	p.words = p.words[1:]
	return true
}

func (p *parser) option(word string, into *string) {
	if p.take(word) {
		*into = p.next()
	}
}

func (p *parser) data(c *change, word, field string) {
	if p.take(word) {
		c.data[field] = p.next()
	}
}

func (p *parser) end(words int) error {
	if len(p.words) > words {
		return fmt.Errorf("what is %q?", strings.Join(p.words[words:], " "))
	}
	return nil
}

// number keeps a decimal as it is written.
type number string

// MarshalJSON writes the number bare.
func (n number) MarshalJSON() ([]byte, error) { return []byte(n), nil }

// split cuts a line into words; "quoted words" are one.
func split(line string) ([]string, error) {
	var words []string
	for line = strings.TrimSpace(line); line != ""; line = strings.TrimSpace(line) {
		if rest, ok := strings.CutPrefix(line, `"`); ok {
			word, after, ok := strings.Cut(rest, `"`)
			if !ok {
				return nil, fmt.Errorf("the quote does not end: %s", line)
			}
			words, line = append(words, word), after
			continue
		}
		end := strings.IndexAny(line, " \t")
		if end < 0 {
			end = len(line)
		}
		words, line = append(words, line[:end]), line[end:]
	}
	return words, nil
}
