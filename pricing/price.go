package pricing

import (
	"cmp"
	"slices"
	"strings"

	"github.com/shopspring/decimal"
)

// SKU names one thing on a price sheet. Its ID is in the form of [NormalSKU].
type SKU struct {
	ProductID string
	SkuID     string
}

// NormalSKU pads a SkuId to the four places that invoices print: sheets write
// `1` where invoices write `0001`.
func NormalSKU(id string) string {
	if n := len(id); n < 4 {
		return strings.Repeat("0", 4-n) + id
	}
	return id
}

// Row is one price of a licence price sheet.
type Row struct {
	SKU
	Term     Term
	Plan     Plan
	Market   string
	Segment  string
	Currency string
	// UnitPrice is for one licence and the whole term.
	UnitPrice decimal.Decimal
	// Start and End are both inside the row's validity.
	Start, End Instant
	// Tiered rows (PricingTierRangeMin or Max set) are no licence prices.
	Tiered bool

	ProductTitle string
	SkuTitle     string
	Publisher    string

	// Line is the row's line in the file, 1 being the header.
	Line int

	// Listing is what the sheet tells besides, which no price depends on. nil: nothing,
	// or it was not read.
	Listing *Listing
}

// Listing is what a price sheet tells people of a row, as it stands there.
type Listing struct {
	Description   string
	UnitOfMeasure string
	Tags          string // such as "License; Trial"
	ERPPrice      string // the estimated retail price
}

// Sheet is the price sheet of one market and month, as one import brought it.
type Sheet struct {
	Market string
	Month  Month
	File   string // the imported file's name
	SHA256 string // of its content
	// rows by what a lookup knows before currency and instant.
	rows map[rowKey][]Row
}

type rowKey struct {
	SKU
	Term    Term
	Plan    Plan
	Segment string
}

// NewSheet indexes the rows of one market.
func NewSheet(market string, month Month, file, sha256 string, rows []Row) *Sheet {
	s := &Sheet{Market: market, Month: month, File: file, SHA256: sha256, rows: make(map[rowKey][]Row)}
	for _, r := range rows {
		k := rowKey{r.SKU, r.Term, r.Plan, r.Segment}
		s.rows[k] = append(s.rows[k], r)
	}
	return s
}

// Rows returns all rows by product, SKU, term, plan, segment, currency, start
// and line.
func (s *Sheet) Rows() []Row {
	var all []Row
	for _, rows := range s.rows {
		all = append(all, rows...)
	}
	slices.SortFunc(all, func(a, b Row) int {
		return cmp.Or(strings.Compare(a.ProductID, b.ProductID), strings.Compare(a.SkuID, b.SkuID), cmp.Compare(a.Term, b.Term),
			cmp.Compare(a.Plan, b.Plan), strings.Compare(a.Segment, b.Segment), strings.Compare(a.Currency, b.Currency),
			cmp.Compare(a.Start, b.Start), cmp.Compare(a.Line, b.Line), a.UnitPrice.Cmp(b.UnitPrice))
	})
	return all
}

// Book finds the sheet that governs a market in a month: that month's, else
// the latest earlier one. It returns nil where there is none at all.
type Book interface {
	Sheet(market string, month Month) (*Sheet, error)
}

// PriceQuery says what is bought, where, by whom and when.
type PriceQuery struct {
	SKU
	Term    Term
	Plan    Plan
	Market  string
	Segment string
	// BillingCurrency is preferred, then USD, then the only one on offer.
	BillingCurrency string
	At              Instant
}

// Price is the row that governs a query.
type Price struct {
	Row   Row
	Sheet *Sheet
	// Stale is set when the month had no sheet of its own and an earlier
	// month's governs.
	Stale bool
	// Anyhow is set when there was no choice of currencies: the same question has
	// this answer whatever the billing currency.
	Anyhow bool
	// From and Until are the first and the last instant, of the query's month at
	// most, between which the same question has this answer.
	From, Until Instant
}

// PriceError says why no price governs. Its Code is PRICE_NOT_FOUND or
// PRICE_AMBIGUOUS.
type PriceError struct {
	Code   Code
	Reason string
	// Stale is set when the sheet that was searched, that of Governs, is an
	// earlier month's.
	Stale   bool
	Governs Month
}

func (e *PriceError) Error() string { return string(e.Code) + ": " + e.Reason }

// Promotion is a percentage off one SKU in one term and plan between two instants.
type Promotion struct {
	ID string
	SKU
	Term  Term
	Plan  Plan
	Start Instant
	End   Instant // inclusive
	// Discount is the fraction off, 0 to 1.
	Discount decimal.Decimal
}

// Fits reports whether the promotion applies to the query.
func (p Promotion) Fits(q PriceQuery) bool {
	return p.SKU == q.SKU && p.Term == q.Term && p.Plan == q.Plan && p.Start <= q.At && q.At <= p.End
}

// FXRate is what one unit of a currency was worth in USD in a month.
type FXRate struct {
	Currency   string
	Month      Month
	USDPerUnit decimal.Decimal
}

// Code names why something was not billed, or was billed with a warning.
type Code string

// The codes of exceptions. They are a contract: none is ever renamed.
const (
	PriceNotFound         Code = "PRICE_NOT_FOUND"
	PriceAmbiguous        Code = "PRICE_AMBIGUOUS"
	PriceListStale        Code = "PRICE_LIST_STALE"
	PromotionNotApplied   Code = "PROMOTION_NOT_APPLIED"
	FXRateNotFound        Code = "FX_RATE_NOT_FOUND"
	CurrencyMismatch      Code = "CURRENCY_MISMATCH"
	CancelWindowClosed    Code = "CANCEL_WINDOW_CLOSED"
	SeatWindowClosed      Code = "SEAT_WINDOW_CLOSED"
	UpgradeNotEligible    Code = "UPGRADE_NOT_ELIGIBLE"
	PlanChangeNotAllowed  Code = "PLAN_CHANGE_NOT_ALLOWED"
	TermEndNotAllowed     Code = "TERM_END_NOT_ALLOWED"
	UnknownCustomer       Code = "UNKNOWN_CUSTOMER"
	UnknownPartner        Code = "UNKNOWN_PARTNER"
	UnknownSubscription   Code = "UNKNOWN_SUBSCRIPTION"
	SubscriptionNotActive Code = "SUBSCRIPTION_NOT_ACTIVE"
	ConflictingChange     Code = "CONFLICTING_CHANGE"
	InvalidChange         Code = "INVALID_CHANGE"
)
