package jobs

import (
	"fmt"
	"maps"
	"slices"

	"github.com/shopspring/decimal"

	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pricing"
)

// Closing is what a month waits for before it closes, besides being over and whole.
type Closing struct {
	// Approval: somebody has to approve what will be closed.
	Approval bool   `yaml:"approval" json:"approval"`
	Bounds   Bounds `yaml:"bounds" json:"bounds"`
}

// Bounds say what of a month is so unusual that a person has to look before it
// closes. Months are compared with the one before as that was closed; the first month
// of the books is compared with nothing. Without a bound there is none.
type Bounds struct {
	// TotalPercent is by how many percent a partner's total may be more or less than
	// last month's. A partner without an invoice this month has a total of 0. An amount
	// in another currency cannot be compared and holds the month, too.
	TotalPercent *decimal.Decimal `yaml:"totalPercent" json:"totalPercent,omitempty"`
	// NewPartner holds the month for a partner that had no invoice last month.
	NewPartner bool `yaml:"newPartner" json:"newPartner,omitempty"`
	// Negative holds the month for an invoice below 0.
	Negative bool `yaml:"negative" json:"negative,omitempty"`
	// CurrencyChange holds the month for a partner that was billed in another currency
	// last month.
	CurrencyChange bool `yaml:"currencyChange" json:"currencyChange,omitempty"`
	// Exceptions is how many exceptions of severity error the month may have, those that
	// late arrivals brought for closed months included.
	Exceptions *int `yaml:"exceptions" json:"exceptions,omitempty"`
	// Parked is how many subscriptions may be without a price. Not given: none.
	Parked *int `yaml:"parked" json:"parked,omitempty"`
}

// Validate refuses what no month could keep.
func (b Bounds) Validate() error {
	if p := b.TotalPercent; p != nil {
		// The exponent first: 1e999999999 is short as text and endless as a number.
		if e := p.Exponent(); e < -16 || e > 16 || p.IsNegative() {
			return fmt.Errorf("totalPercent %se%d: want a plain number, 0 or more", p.Coefficient(), e)
		}
	}
	for _, bound := range []struct {
		name  string
		count *int
	}{{"exceptions", b.Exceptions}, {"parked", b.Parked}} {
		if bound.count != nil && *bound.count < 0 {
			return fmt.Errorf("%s %d: want 0 or more", bound.name, *bound.count)
		}
	}
	return nil
}

// closable is what decides whether a month may close.
type closable struct {
	month              pricing.Month
	parked, mismatched int
	exceptions, late   []invoice.Exception
	invoices           []ledger.InvoiceSummary
	last               *ledger.Manifest // of the month before, if that is closed
}

// closable is what was computed, as the bounds see it.
func (c *computed) closable(at snapshot) closable {
	m := closable{month: c.month, parked: c.count.Parked, mismatched: c.mismatched, exceptions: c.exceptions, late: c.late, last: at.closedBefore(c.month)}
	for _, inv := range c.invoices {
		m.invoices = append(m.invoices, inv.summary())
	}
	return m
}

// closedBefore is the manifest of the month before, if that is closed.
func (s snapshot) closedBefore(month pricing.Month) *ledger.Manifest {
	if before, ok := s.month(month - 1); ok && before.Current.State == ledger.Closed {
		return &before.Current
	}
	return nil
}

// holds lists what is beyond the bounds.
func (b Bounds) holds(m closable) ([]Hold, error) {
	partners, err := m.partners()
	if err != nil {
		return nil, err
	}
	var holds []Hold
	for _, id := range slices.Sorted(maps.Keys(partners)) {
		holds = append(holds, b.ofPartner(partners[id])...)
	}
	errors := countExceptions(m.exceptions).Errors + countExceptions(m.late).Errors
	if b.Exceptions != nil && errors > *b.Exceptions {
		holds = append(holds, Hold{Code: HeldByExceptions, Reason: fmt.Sprintf("%s of severity error, and the bound is %d", plural(errors, "exception"), *b.Exceptions)})
	}
	return holds, nil
}

// twoMonths are a partner's invoices of a month and of the one before, nil where
// there is none.
type twoMonths struct {
	partnerID, before string // before is the month before
	compared          bool   // the month before is closed
	now, last         *amount
}

// amount is the total of an invoice.
type amount struct {
	currency, text string
	value          decimal.Decimal
}

func (a amount) String() string { return a.currency + " " + a.text }

// partners puts the invoices of both months side by side.
func (m closable) partners() (map[string]*twoMonths, error) {
	partners := make(map[string]*twoMonths)
	add := func(month pricing.Month, invoices []ledger.InvoiceSummary, set func(*twoMonths, *amount)) error {
		for _, inv := range invoices {
			value, err := decimal.NewFromString(inv.Total)
			if err != nil {
				return fmt.Errorf("total of partner %s in %s: %w", inv.PartnerID, month, err)
			}
			p := partners[inv.PartnerID]
			if p == nil {
				p = &twoMonths{partnerID: inv.PartnerID, before: (m.month - 1).String(), compared: m.last != nil}
				partners[inv.PartnerID] = p
			}
			set(p, &amount{inv.Currency, inv.Total, value})
		}
		return nil
	}
	if err := add(m.month, m.invoices, func(p *twoMonths, a *amount) { p.now = a }); err != nil {
		return nil, err
	}
	if m.last == nil {
		return partners, nil
	}
	return partners, add(m.month-1, m.last.Invoices, func(p *twoMonths, a *amount) { p.last = a })
}

// ofPartner lists what of a partner is beyond the bounds.
func (b Bounds) ofPartner(p *twoMonths) (holds []Hold) {
	hold := func(code HoldCode, format string, args ...any) {
		holds = append(holds, Hold{Code: code, PartnerID: p.partnerID, Reason: "partner " + p.partnerID + ": " + fmt.Sprintf(format, args...)})
	}
	if b.Negative && p.now != nil && p.now.value.IsNegative() {
		hold(HeldByNegative, "%s: the invoice is negative", p.now)
	}
	switch {
	case !p.compared:
	case p.last == nil:
		if b.NewPartner {
			hold(HeldByNewPartner, "%s, and no invoice in %s", p.now, p.before)
		}
	case p.now != nil && p.now.currency != p.last.currency:
		switch {
		case b.CurrencyChange:
			hold(HeldByCurrency, "%s, after %s in %s: the currency has changed", p.now, p.last, p.before)
		case b.TotalPercent != nil:
			hold(HeldByTotal, "%s cannot be compared with %s in %s", p.now, p.last, p.before)
		}
	case b.TotalPercent != nil:
		now, value := "no invoice", decimal.Zero
		if p.now != nil {
			now, value = p.now.String(), p.now.value
		}
		if percent, beyond := changed(p.last.value, value, *b.TotalPercent); beyond {
			hold(HeldByTotal, "%s, after %s in %s%s, and the bound is %s %%", now, p.last, p.before, percent, b.TotalPercent)
		}
	}
	return holds
}

// changed says whether an amount has changed by more than so many percent, and by how
// many: to two decimals, away from zero, so that what is beyond a bound reads so.
func changed(from, to, bound decimal.Decimal) (text string, beyond bool) {
	hundred := decimal.NewFromInt(100)
	by := to.Sub(from).Abs().Mul(hundred)
	if !by.GreaterThan(bound.Mul(from.Abs())) {
		return "", false
	}
	if from.IsZero() {
		return "", true // no percentage says it
	}
	percent, rest := by.QuoRem(from.Abs(), 2)
	if !rest.IsZero() {
		percent = percent.Add(decimal.New(1, -2))
	}
	direction := "more"
	if to.LessThan(from) {
		direction = "less"
	}
	return fmt.Sprintf(": %s %% %s", percent, direction), true
}
