package reconcile

import (
	"github.com/shopspring/decimal"

	"github.com/calends/calends/pricing"
)

// Cause names why the two sides differ.
type Cause string

// The causes. They are a contract: none is ever renamed.
const (
	// Unknown is what is left when everything else was tried: the number to
	// drive to zero.
	Unknown Cause = "unknown"
	// Arithmetic: their amount is not what their own columns give, whatever is
	// truncated where.
	Arithmetic Cause = "arithmetic"
	// Quantity: they billed another number of licences.
	Quantity Cause = "quantity"
	// Price: another list price.
	Price Cause = "unitPrice"
	// Promotion: another percentage off, or none.
	Promotion Cause = "promotion"
	// Days: other charge dates.
	Days Cause = "days"
	// Rate: another exchange rate.
	Rate Cause = "exchangeRate"
	// Rounding: truncated at another place, or a different number of times.
	Rounding Cause = "roundingPolicy"
	// Period: billed in, or dated into, another month.
	Period Cause = "period"
	// MissingHere: they billed what we did not.
	MissingHere Cause = "missingHere"
	// MissingThere: we billed what they did not.
	MissingThere Cause = "missingThere"
	// Duplicate: one side billed the same twice.
	Duplicate Cause = "duplicate"
	// Credit: a credit that only one side has.
	Credit Cause = "credit"
	// Tax: another tax on the same amount.
	Tax Cause = "tax"
	// Refused: they billed a change that we refused or have parked.
	Refused Cause = "refused"
	// Currency: the same charge in two currencies. Each side's amount stands
	// in its own; the two are never added.
	Currency Cause = "currency"
)

// Causes returns all causes in the order of a report: unknown first.
func Causes() []Cause {
	return []Cause{Unknown, Arithmetic, Quantity, Price, Promotion, Days, Rate, Rounding, Period, MissingHere, MissingThere, Duplicate, Credit, Tax,
		Refused, Currency}
}

// Step says how the lines of a match were found: what they have in common
// besides customer and subscription.
type Step string

// The steps, from the strictest to the loosest.
const (
	StepEqual     Step = "equal"     // everything that is billed
	StepKey       Step = "key"       // charge type, charge dates, quantity
	StepSign      Step = "sign"      // as key, with the other sign
	StepSplit     Step = "split"     // one line here, several there
	StepMerged    Step = "merged"    // several lines here, one there
	StepNetted    Step = "netted"    // lines of both signs on one side, their net on the other
	StepReference Step = "reference" // reference id, charge type
	StepQuantity  Step = "quantity"  // charge type and dates
	StepDate      Step = "date"      // charge type, quantity, the cycle's last day
	StepDates     Step = "dates"     // charge type, quantity
	StepOccasion  Step = "occasion"  // charge type, the cycle's last day
	StepType      Step = "type"      // charge dates, quantity
	StepLoose     Step = "loose"     // charge type
	StepNeighbour Step = "neighbour" // as key or dates, in a neighbouring month
	StepProduct   Step = "product"   // product, charge type, dates, quantity; another subscription id
	StepCurrency  Step = "currency"  // as key, in another currency
	StepDuplicate Step = "duplicate" // another line of the same side
	StepRemainder Step = "remainder" // nothing
)

// Amount is a difference, theirs - ours, in minor units of a currency.
type Amount struct {
	Subtotal int64
	Tax      int64
	Total    int64
}

// Add returns the sum.
func (a Amount) Add(b Amount) Amount {
	return Amount{a.Subtotal + b.Subtotal, a.Tax + b.Tax, a.Total + b.Total}
}

// Sub returns the difference.
func (a Amount) Sub(b Amount) Amount {
	return Amount{a.Subtotal - b.Subtotal, a.Tax - b.Tax, a.Total - b.Total}
}

// IsZero reports whether nothing differs.
func (a Amount) IsZero() bool { return a == Amount{} }

// Match is a set of lines that belong together, or a remainder: one line that
// has no counterpart.
type Match struct {
	Step   Step
	Ours   []Ours
	Theirs []Billed
	// Currency is that of the difference. Of StepCurrency it is ours: there,
	// look at the causes.
	Currency string
	// Difference is theirs - ours, of the lines of the group's month.
	Difference Amount
	// Differences say why, and add up to Difference. One of no amount names
	// what is different but costs nothing here. A match that has none agrees.
	Differences []Difference
}

// Difference is one cause with its amount and what speaks for it.
type Difference struct {
	Cause    Cause
	Currency string
	Amount   Amount
	// Explanation is one sentence for a person.
	Explanation string
	Evidence    Evidence
}

// Evidence is what a cause rests on; what does not apply is left empty.
type Evidence struct {
	// Ours and Theirs are the two values of what differs, as text.
	Ours, Theirs string
	// Sheet is the price row that has their price.
	Sheet *PriceRow
	// Date is the event date that explains their days; NoDate for none.
	Date pricing.Date
	// Month explains a period or an exchange rate; HasMonth says so.
	Month       pricing.Month
	HasMonth    bool
	PromotionID string
	Rate        decimal.Decimal // zero for none
	Policy      string          // the rounding that gives their amount: unit, line or usage
	// Code and EventID are of the change that we refused.
	Code    pricing.Code
	EventID string
	// Change is what would have to come in for us to bill the same, such as
	// "purchase of 5".
	Change string
	// Other names another line: the one that a duplicate repeats, or one of
	// theirs that could not be read.
	Other string
}

// Result is what a group comes to.
type Result struct {
	// Matches are in the order of our lines, then of theirs that have none of
	// ours. Matches of neighbouring months among themselves are left out.
	Matches []Match
}
