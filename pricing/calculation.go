package pricing

import (
	"errors"
	"fmt"

	"github.com/shopspring/decimal"
)

// Rounding names the place where an amount is truncated.
type Rounding uint8

// The rounding policies. All truncate toward zero, to the minor unit of the
// billing currency.
const (
	// Documented truncates as Line for addQuantity and removeQuantity and as
	// Unit for every other type: the only one that reproduces all of
	// Microsoft's published tables.
	Documented Rounding = iota
	// Unit truncates the price of one licence, then multiplies by the
	// quantity: the formula that the reconciliation file's field guide prints.
	Unit
	// WholeLine truncates the product.
	WholeLine
)

// ParseRounding reads a policy name.
func ParseRounding(s string) (Rounding, error) {
	for r := Documented; r <= WholeLine; r++ {
		if s == r.String() {
			return r, nil
		}
	}
	return Documented, fmt.Errorf("rounding policy %q: want documented, unit or line", s)
}

// String returns the policy's name as the configuration spells it.
func (r Rounding) String() string { return [...]string{"documented", "unit", "line"}[r] }

// Calculation is everything that the amount of one line depends on. Nothing in
// it is rounded but the exchange rate, which is used as printed.
type Calculation struct {
	// UnitPrice is the list price of one licence for the whole term.
	UnitPrice decimal.Decimal
	// CycleMonths of TermMonths is the share of it that one full cycle carries.
	CycleMonths, TermMonths int
	// Discount is the promotion's fraction off, 0 to 1.
	Discount decimal.Decimal
	// BillingDays of CycleDays are charged.
	BillingDays, CycleDays int
	// ExchangeRate converts the pricing into the billing currency.
	ExchangeRate decimal.Decimal
	Quantity     int64
	// Credit turns the signs of the effective price and the amount.
	Credit bool
	// PerUnit truncates before the quantity is multiplied, see [Rounding].
	PerUnit bool
	// MinorDigits of the billing currency.
	MinorDigits int
}

// ErrAmountRange is returned for an amount of 10^18 minor units or more, which
// no output could hold.
var ErrAmountRange = errors.New("amount has more than 18 digits")
