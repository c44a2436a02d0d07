package invoice_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/shopspring/decimal"

	"github.com/calends/calends/pipeline/change"
	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pipeline/party"
	"github.com/calends/calends/pipeline/subscription"
	"github.com/calends/calends/pricing"
)

// world sells to customer C of partner P: A at 10.00 a month and 120.00 a year,
// in the currency of prices. Its windows are by trust, so that no case is about them.
type world struct {
	partner  party.Partner
	policies subscription.Policies
	prices   string // the currency of the sheet
	monthly  string // the price of A by the month
	rates    map[string]string
	unknown  func(pricing.Month) pricing.Code
}

func newWorld() *world {
	return &world{
		partner:  party.Partner{ID: "P", Name: "Partner", Country: "DE", BillingCurrency: "EUR", TaxRate: dec("0.19")},
		policies: subscription.Policies{Trust: true},
		prices:   "EUR", monthly: "10",
	}
}

func (w *world) Payer(customerID string, month pricing.Month) (*subscription.Payer, pricing.Code) {
	p := &subscription.Payer{Partner: w.partner, Policies: w.policies,
		Customer: party.Customer{ID: customerID, Name: "Customer " + customerID, Country: "DE", Segment: "Commercial", PartnerID: w.partner.ID}}
	if w.unknown != nil && w.unknown(month) != "" {
		return p, w.unknown(month)
	}
	return p, ""
}

func (w *world) Partner(id string, _ pricing.Month) (party.Partner, bool) {
	return w.partner, id == w.partner.ID
}

func (w *world) Rate(from, to string, month pricing.Month) (decimal.Decimal, bool) {
	rate, ok := w.rates[from+"/"+to+" "+month.String()]
	if !ok {
		return decimal.Decimal{}, false
	}
	return dec(rate), true
}

func (w *world) Sheet(market string, month pricing.Month) (*pricing.Sheet, error) {
	row := func(term pricing.Term, plan pricing.Plan, price decimal.Decimal, line int) pricing.Row {
		return pricing.Row{SKU: skuA, Term: term, Plan: plan, Market: market, Segment: "Commercial", Currency: w.prices, UnitPrice: price,
			Start: 0, End: pricing.DateOf(2100, 1, 1).Instant(), ProductTitle: "Product A", SkuTitle: "SKU A", Publisher: "Microsoft", Line: line}
	}
	price := dec(w.monthly)
	year := price.Mul(decimal.NewFromInt(12))
	return pricing.NewSheet(market, month, "prices.csv", "hash", []pricing.Row{
		row(pricing.P1M, pricing.Monthly, price, 2), row(pricing.P1Y, pricing.Monthly, year, 3), row(pricing.P1Y, pricing.Annual, year, 4),
	}), nil
}

func (w *world) Promotions(id string) []pricing.Promotion {
	if id != "THIRD" {
		return nil
	}
	return []pricing.Promotion{{ID: id, SKU: skuA, Term: pricing.P1M, Plan: pricing.Monthly, Discount: dec("0.3333"),
		Start: 0, End: pricing.DateOf(2100, 1, 1).Instant()}}
}

func (w *world) Offer(pricing.SKU, pricing.Month) (pricing.Offer, bool) {
	return pricing.Offer{}, false
}

var _ invoice.World = (*world)(nil)

var skuA = pricing.SKU{ProductID: "A", SkuID: "0001"}

// history reads changes of customer C, one a line, at 09:00 of a day:
//
//	e1 2023-06-01 buy S1 P1M Monthly 10      also with a promotion: 10 THIRD
//	e2 2023-06-11 seats S1 12
//	e3 2023-06-21 cancel S1
//	e4 2023-06-21 credit 12.50               or of a subscription: 12.50 S1
func history(text string) []*change.Change {
	var changes []*change.Change
	for line := range strings.Lines(text) {
		w := strings.Fields(line)
		if len(w) == 0 {
			continue
		}
		c := &change.Change{ID: w[0], At: at(w[1]).Instant() + 9*pricing.Hour, CustomerID: "C", CustomTermEnd: pricing.NoDate}
		switch args := w[3:]; w[2] {
		case "buy":
			c.Type, c.Subject, c.SKU, c.OrderID = change.Purchased, args[0], skuA, "order"
			c.TermDuration, c.BillingCycle, c.Quantity = args[1], args[2], seats(args[3])
			if len(args) > 4 {
				c.PromotionID = args[4]
			}
		case "seats":
			c.Type, c.Subject, c.Quantity = change.QuantityChanged, args[0], seats(args[1])
		case "cancel":
			c.Type, c.Subject = change.Canceled, args[0]
		case "credit":
			amount := dec(args[0])
			c.Type, c.Amount, c.Currency, c.Reason = change.CustomerCredited, &amount, "EUR", "Goodwill"
			if len(args) > 1 {
				c.SubscriptionID = args[1]
			}
		default:
			panic("what is " + line)
		}
		changes = append(changes, c)
	}
	slices.SortFunc(changes, change.Compare)
	return changes
}

// lines prints lines: subscription, type, quantity, subtotal, tax and total,
// then what is not usual: the days charged, the reason.
func lines(list []*invoice.Line) string {
	var text []string
	for _, l := range list {
		digits, _ := pricing.MinorDigits(l.Currency)
		sign := ""
		if l.EffectiveUnitPrice.IsNegative() {
			sign = "-"
		}
		s := fmt.Sprintf("%s %s %s%s %s %s %s", l.SubscriptionID, l.ChargeType, sign, l.Quantity, pricing.FormatMinor(l.Subtotal, digits),
			pricing.FormatMinor(l.TaxTotal, digits), pricing.FormatMinor(l.Total, digits))
		if l.PriceAdjustment != "" {
			s += " " + l.PriceAdjustment
		}
		text = append(text, s)
	}
	return strings.Join(text, "\n")
}

func exceptions(list []invoice.Exception) string {
	var text []string
	for _, x := range list {
		text = append(text, fmt.Sprintf("%s %s %s/%s %q %q %s: %s", x.Severity, x.Code, x.PartnerID, x.CustomerID, x.SubscriptionID, x.EventID, x.Month, x.Message))
	}
	return strings.Join(text, "\n")
}

func squeeze(text string) string {
	var out []string
	for line := range strings.Lines(text) {
		if words := strings.Fields(line); len(words) > 0 {
			out = append(out, strings.Join(words, " "))
		}
	}
	return strings.Join(out, "\n")
}

// issuer closes months one after the other, as a job does.
type issuer struct {
	world  invoice.World
	books  invoice.Books
	issued []invoice.Issued
}

// close bills the month with what has come in, numbers the lines and keeps them.
func (i *issuer) close(month pricing.Month, c invoice.Customer) []*invoice.Line {
	c.ID, c.Issued = "C", i.issued
	outcome, err := invoice.Bill(i.world, i.books, month, c)
	if err != nil {
		panic(err)
	}
	number := invoice.Number(month, 1)
	for n, line := range outcome.Lines {
		copied := *line // the file is what counts, the line in memory is gone
		copied.InvoiceNumber, copied.Proof = number, nil
		i.issued = append(i.issued, invoice.Issued{Line: &copied, Row: n + 1})
	}
	if !i.books.Begun {
		i.books = invoice.Books{Begun: true, Begin: month}
	}
	i.books.Closed = month
	return outcome.Lines
}

func month(s string) pricing.Month { return must(pricing.ParseMonth(s)) }
func at(s string) pricing.Date     { return must(pricing.ParseDate(s)) }
func dec(s string) decimal.Decimal { return must(decimal.NewFromString(s)) }
func seats(s string) *int64        { return new(must(strconv.ParseInt(s, 10, 64))) }

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// consolidate makes the header of one partner's lines.
func consolidate(m pricing.Month, partner party.Partner, policies invoice.Policies, lines []*invoice.Line) (*invoice.Invoice, error) {
	c, err := invoice.NewConsolidation(m, partner, policies)
	if err != nil {
		return nil, err
	}
	block := invoice.Block{Shared: new(invoice.Shared), Currency: partner.BillingCurrency}
	for _, l := range lines {
		block.Add(l)
	}
	if err := c.Add(&block); err != nil {
		return nil, err
	}
	return c.Invoice(), nil
}
