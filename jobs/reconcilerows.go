package jobs

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/shopspring/decimal"

	"github.com/calends/calends/exports"
	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pipeline/reconcile"
	"github.com/calends/calends/pricing"
)

// What is to be done about a difference.
const (
	// StatusOpen: somebody has to look.
	StatusOpen = "open"
	// StatusTolerated: what truncating elsewhere brings, and no more.
	StatusTolerated = "tolerated"
	// StatusNoted: something differs and costs nothing.
	StatusNoted = "noted"
)

func statusOf(d *reconcile.Difference) string {
	switch {
	case d.Amount.IsZero() && d.Cause != reconcile.Currency:
		return StatusNoted
	case d.Cause == reconcile.Rounding:
		return StatusTolerated
	}
	return StatusOpen
}

// differenceRows makes a row of each cause of a match. The match gets its
// number when it is written.
func differenceRows(g *reconcile.Group, m *reconcile.Match) []exports.Difference {
	if len(m.Differences) == 0 {
		return nil
	}
	base := exports.Difference{PartnerID: g.PartnerID, CustomerID: g.CustomerID, Step: string(m.Step)}
	var lines []*invoice.Line
	for i := range m.Ours {
		lines = append(lines, m.Ours[i].Line)
	}
	for i := range m.Theirs {
		lines = append(lines, m.Theirs[i].Line)
	}
	if len(lines) > 0 {
		// What we say stands first: the names are those that people here know.
		l := lines[0]
		base.CustomerName, base.SubscriptionID = l.Account.CustomerName, l.SubscriptionID
		base.ProductID, base.SkuID, base.SkuName = l.Item.ProductID, l.Item.SkuID, l.Item.SkuName
	}
	base.Ours, base.Theirs = ourSide(m.Ours), theirSide(m.Theirs)
	rows := make([]exports.Difference, len(m.Differences))
	for i := range m.Differences {
		d := &m.Differences[i]
		row := base
		row.Cause, row.Status, row.Currency = string(d.Cause), statusOf(d), d.Currency
		row.Subtotal, row.TaxTotal, row.Total = d.Amount.Subtotal, d.Amount.Tax, d.Amount.Total
		row.Explanation, row.Expected, row.Billed = d.Explanation, d.Evidence.Ours, d.Evidence.Theirs
		row.Evidence = evidenceText(&d.Evidence)
		rows[i] = row
	}
	return rows
}

func ourSide(ours []reconcile.Ours) exports.DifferenceSide {
	s := newSide(len(ours), func(i int) *invoice.Line { return ours[i].Line }, 0)
	var rows []string
	for i := range ours {
		rows = append(rows, strconv.Itoa(ours[i].Row))
	}
	s.Rows = strings.Join(rows, " ")
	s.Month = common(len(ours), func(i int) string { return ours[i].Month.String() })
	return s
}

func theirSide(theirs []reconcile.Billed) exports.DifferenceSide {
	var lacks reconcile.Fields
	var rows []string
	for i := range theirs {
		lacks |= theirs[i].Lacks
		rows = append(rows, strconv.FormatInt(theirs[i].Row, 10))
	}
	s := newSide(len(theirs), func(i int) *invoice.Line { return theirs[i].Line }, lacks)
	s.Rows = strings.Join(rows, " ")
	s.Month = common(len(theirs), func(i int) string { return monthText(theirs[i].Month) })
	s.File = common(len(theirs), func(i int) string { return theirs[i].File })
	s.Unknown = common(len(theirs), func(i int) string { return jsonText(theirs[i].Extra, len(theirs[i].Extra)) })
	return s
}

func monthText(m pricing.Month) string {
	if m == 0 {
		return ""
	}
	return m.String()
}

// newSide puts together what the lines of a side share.
func newSide(n int, at func(int) *invoice.Line, lacks reconcile.Fields) exports.DifferenceSide {
	s := exports.DifferenceSide{Lines: n, OrderDate: pricing.NoDate, ChargeStart: pricing.NoDate, ChargeEnd: pricing.NoDate}
	if n == 0 {
		return s
	}
	text := func(of func(*invoice.Line) string) string {
		return common(n, func(i int) string { return of(at(i)) })
	}
	number := func(of func(*invoice.Line) decimal.Decimal, field reconcile.Fields) exports.Optional {
		first := of(at(0))
		for i := range n {
			if !of(at(i)).Equal(first) {
				return exports.Optional{}
			}
		}
		return exports.Optional{Decimal: first, Valid: !lacks.Has(field)}
	}
	s.Invoice = text(func(l *invoice.Line) string { return l.InvoiceNumber })
	s.ChargeType = text(func(l *invoice.Line) string { return l.ChargeType })
	s.PricingCurrency = text(func(l *invoice.Line) string { return l.PricingCurrency })
	s.PromotionID = text(func(l *invoice.Line) string { return l.Item.PromotionID })
	s.ReferenceID = text(func(l *invoice.Line) string { return l.ReferenceID })
	s.Currency = text(func(l *invoice.Line) string { return l.Currency })
	s.Quantity = number(func(l *invoice.Line) decimal.Decimal { return l.Quantity }, 0)
	s.UnitPrice = number(func(l *invoice.Line) decimal.Decimal { return l.UnitPrice }, reconcile.FieldUnitPrice)
	s.EffectiveUnitPrice = number(func(l *invoice.Line) decimal.Decimal { return l.EffectiveUnitPrice }, reconcile.FieldEffectiveUnitPrice)
	s.ExchangeRate = number(func(l *invoice.Line) decimal.Decimal { return l.ExchangeRate }, reconcile.FieldExchangeRate)
	for i := range n {
		l := at(i)
		s.Subtotal, s.TaxTotal, s.Total = s.Subtotal+l.Subtotal, s.TaxTotal+l.TaxTotal, s.Total+l.Total
		s.OrderDate = earliest(s.OrderDate, l.OrderDate)
		s.ChargeStart = earliest(s.ChargeStart, l.ChargeStart)
		if l.ChargeEnd != pricing.NoDate && (s.ChargeEnd == pricing.NoDate || l.ChargeEnd > s.ChargeEnd) {
			s.ChargeEnd = l.ChargeEnd
		}
	}
	return s
}

func earliest(a, b pricing.Date) pricing.Date {
	if a == pricing.NoDate || b != pricing.NoDate && b < a {
		return b
	}
	return a
}

// common is what all texts are, "" when they differ.
func common(n int, at func(int) string) string {
	if n == 0 {
		return ""
	}
	first := at(0)
	for i := range n {
		if at(i) != first {
			return ""
		}
	}
	return first
}

// evidence is [reconcile.Evidence] in the form that differences.csv has.
type evidence struct {
	Sheet       *evidenceSheet `json:"sheet,omitempty"`
	Date        string         `json:"date,omitempty"`
	Month       string         `json:"month,omitempty"`
	PromotionID string         `json:"promotionId,omitempty"`
	Rate        string         `json:"rate,omitempty"`
	Policy      string         `json:"policy,omitempty"`
	Code        string         `json:"code,omitempty"`
	EventID     string         `json:"eventId,omitempty"`
	Change      string         `json:"change,omitempty"`
	Other       string         `json:"other,omitempty"`
}

type evidenceSheet struct {
	Market    string `json:"market"`
	Month     string `json:"month"`
	File      string `json:"file"`
	Line      int    `json:"line"`
	UnitPrice string `json:"unitPrice"`
	Currency  string `json:"currency"`
}

func evidenceText(e *reconcile.Evidence) string {
	out := evidence{PromotionID: e.PromotionID, Policy: e.Policy, Code: string(e.Code), EventID: e.EventID, Change: e.Change, Other: e.Other}
	if e.Sheet != nil {
		out.Sheet = &evidenceSheet{e.Sheet.Market, e.Sheet.Month.String(), e.Sheet.File, e.Sheet.Row.Line, e.Sheet.Row.UnitPrice.String(), e.Sheet.Row.Currency}
	}
	if e.Date != pricing.NoDate && e.Date != 0 {
		out.Date = e.Date.String()
	}
	if e.HasMonth {
		out.Month = e.Month.String()
	}
	if !e.Rate.IsZero() {
		out.Rate = e.Rate.String()
	}
	if out == (evidence{}) {
		return ""
	}
	return jsonText(out, 1)
}

// jsonText is a value as JSON on one line, "" for one without members.
func jsonText(v any, members int) string {
	if members == 0 {
		return ""
	}
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v) // strings and structs of strings are always JSON
	}
	return string(text)
}

// rules say by which rule a line of Microsoft's is disputed.
var rules = map[reconcile.Cause]string{
	reconcile.Unknown:     "Subtotal = EffectiveUnitPrice x exchange rate x billable quantity, truncated; the amount does not follow from the line's own fields",
	reconcile.Arithmetic:  "Subtotal = EffectiveUnitPrice x PCToBCExchangeRate x BillableQuantity, truncated, and Total = Subtotal + TaxTotal, by the line's own columns",
	reconcile.Quantity:    "the quantity is that of the subscription in the charged period",
	reconcile.Price:       "the unit price is the price list's on the first day of the term, locked for the term",
	reconcile.Promotion:   "a promotion that was applied at the start of the term holds for the term",
	reconcile.Days:        "EffectiveUnitPrice is prorated by the days from the event to the end of the charge cycle",
	reconcile.Rate:        "PCToBCExchangeRate is that of the month of the order date",
	reconcile.Period:      "a charge belongs to the billing period of its order date",
	reconcile.MissingHere: "a charge needs an order, a renewal or a cycle of a subscription",
	reconcile.Duplicate:   "a charge is billed once",
	reconcile.Credit:      "a credit stands on both sides",
	reconcile.Tax:         "TaxTotal = Subtotal x tax rate, truncated",
	reconcile.Refused:     "the change was outside of its window or not allowed",
	reconcile.Currency:    "charges are billed in the billing currency of the partner",
}

// disputeOf makes a line for Microsoft's support of the rows of one match, nil
// when there is nothing of theirs to dispute. What is expected of lines that
// they billed in the month is what our lines of the match come to, in whatever
// month we billed them: our being late is no fault of theirs. What they dated
// into a later month is not due yet; what they billed in another month is that
// one's to dispute.
func disputeOf(month pricing.Month, rows []exports.Difference) *exports.Dispute {
	first := &rows[0]
	ours, theirs := &first.Ours, &first.Theirs
	if theirs.Lines == 0 || theirs.Month != month.String() {
		return nil
	}
	d := &exports.Dispute{PartnerID: first.PartnerID, CustomerID: first.CustomerID, CustomerName: first.CustomerName, SubscriptionID: first.SubscriptionID,
		Product: first.SkuName, Invoice: theirs.Invoice, File: theirs.File, Rows: theirs.Rows, ChargeType: theirs.ChargeType,
		ChargeStart: theirs.ChargeStart, ChargeEnd: theirs.ChargeEnd, Currency: theirs.Currency, Expected: ours.Total, Billed: theirs.Total}
	if ours.Lines > 0 && ours.Currency != theirs.Currency {
		return nil // two currencies have no difference
	}
	elsewhere := ours.Lines > 0 && ours.Month != theirs.Month
	early := elsewhere && theirs.OrderDate != pricing.NoDate && theirs.OrderDate.Month() > month
	if early {
		d.Expected = 0
	}
	var causes, rulesFound, explained []string
	for i := range rows {
		row := &rows[i]
		if row.Status != StatusOpen || elsewhere && !early && row.Cause == string(reconcile.Period) {
			continue
		}
		causes = append(causes, row.Cause)
		if rule := rules[reconcile.Cause(row.Cause)]; rule != "" && !slices.Contains(rulesFound, rule) {
			rulesFound = append(rulesFound, rule)
		}
		explained = append(explained, row.Explanation)
	}
	d.Difference = d.Billed - d.Expected
	if len(causes) == 0 || d.Difference == 0 {
		return nil
	}
	d.Cause, d.Rule, d.Explanation = strings.Join(causes, ", "), strings.Join(rulesFound, "; "), strings.Join(explained, "; ")
	return d
}
