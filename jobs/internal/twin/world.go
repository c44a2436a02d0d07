// Package twin is a second, slow and obvious implementation of the billing
// rules, written from the rules alone and sharing no code with the engine, and a
// generator of small random worlds to hold the two against each other.
//
// Where the engine is fast, the twin is plain: it walks every customer's history
// day by day from its first change on, for every month that is asked for, and all
// of its money is math/big.Rat. A disagreement between the two is a defect in one
// of them or an ambiguity in the rules, and either is worth knowing.
package twin

import "encoding/json"

// Policy is what one partner chose where the rules leave a choice. It is
// configuration, not part of any input file.
type Policy struct {
	Rounding string // unit, line or documented
	MonthEnd string // clamp or stick
	Windows  string // enforce or trust
}

// DefaultPolicy is the policy of a partner that chose nothing.
var DefaultPolicy = Policy{Rounding: "documented", MonthEnd: "clamp", Windows: "enforce"}

// Partner is one row of partners.csv, and the partner's policy.
type Partner struct {
	ID, Name, Country, Currency, MpnID string
	TaxRate                            string // a fraction such as 0.21; blank is none
	Policy                             Policy
}

// Customer is one row of customers.csv.
type Customer struct {
	ID, Name, Domain, Market, Segment, PartnerID, ResellerMpnID string
}

// PriceRow is one row of a price sheet, every field as it stands in the file.
type PriceRow struct {
	ProductTitle, ProductID, SkuID, SkuTitle, Publisher string
	Term, Plan, Currency, UnitPrice                     string
	TierMin, TierMax                                    string
	Start, End                                          string
	Segment                                             string
}

// Sheet is the price sheet of one market and month.
type Sheet struct {
	Market string
	Month  Month
	Rows   []PriceRow

	// How the file is dressed. None of it changes what the sheet says.
	NoSegmentColumn bool // only where every row is Commercial
	ByteOrderMark   bool
	CRLF            bool
	ExtraColumns    bool // ChangeIndicator first, PreviousValues last
}

// Rate is one row of an FX table.
type Rate struct {
	Currency, USDPerUnit string
	Month                Month
	Slashed              bool // the month is written 10/1/2026 instead of 202610
}

// Promotion is one item of the promotions file, for one product.
type Promotion struct {
	ID, Start, End               string
	ProductID, SkuID, Term, Plan string
	Discount                     string // 0.05 is five percent
}

// Offer is one row of the offer matrix.
type Offer struct {
	ProductID, SkuID string
	Min, Max         string // blank is no limit
	Conversions      string // product/sku, separated by commas or semicolons
}

// Change is one CloudEvent. Data holds JSON values: strings, booleans,
// json.Number and nested maps.
type Change struct {
	ID, Type, Subject, Time string
	Override                string
	Data                    map[string]any
	KeyOrder                uint64 // how the keys are ordered in the file: no meaning
}

// ChargeFile is one file of charges rated elsewhere.
type ChargeFile struct {
	Month Month
	Name  string // without folder and ending
	Rows  []Row
}

// Row is one row of a reconciliation file by column name.
type Row map[string]string

// World is a bundle of inputs. A life takes in several, one after another.
type World struct {
	Partners   []Partner
	Customers  []Customer
	Sheets     []Sheet
	FX         []Rate
	Promotions []Promotion
	Offers     []Offer
	Changes    []Change
	Charges    []ChargeFile
}

// StepKind says what a step of a life does.
type StepKind string

// The steps of a life.
const (
	StepIngest StepKind = "ingest"
	StepBill   StepKind = "bill"
	StepClose  StepKind = "close"
)

// Step is one thing that happens to a bucket.
type Step struct {
	Kind   StepKind
	Inputs World  // of an ingest
	Month  Month  // of a bill or a close
	Accept string // of a close: the reason that --accept gives
}

// Ingest is the step that takes in some inputs.
func Ingest(w World) Step { return Step{Kind: StepIngest, Inputs: w} }

// Bill is the step that computes a month.
func Bill(m Month) Step { return Step{Kind: StepBill, Month: m} }

// Close is the step that numbers and freezes a month.
func Close(m Month, accept string) Step { return Step{Kind: StepClose, Month: m, Accept: accept} }

// Life is the life of one bucket: an ordered list of steps.
type Life struct {
	Seed  uint64 // what Random made it from
	Steps []Step
}

// Policies gives the policy of every partner that a life ever takes in. A
// partner keeps its policy for life: policies are configuration.
func (l Life) Policies() map[string]Policy {
	all := map[string]Policy{}
	for _, s := range l.Steps {
		for _, p := range s.Inputs.Partners {
			all[p.ID] = p.Policy
		}
	}
	return all
}

// Columns are the columns of reconciliation.csv, in their order.
var Columns = []string{
	"PartnerId", "CustomerId", "CustomerName", "CustomerDomainName", "CustomerCountry",
	"InvoiceNumber", "MpnId", "ResellerMpnId", "OrderId", "OrderDate",
	"ProductId", "SkuId", "AvailabilityId", "SkuName", "ProductName",
	"ChargeType", "UnitPrice", "Quantity", "Subtotal", "TaxTotal",
	"Total", "Currency", "PriceAdjustmentDescription", "PublisherName", "PublisherId",
	"SubscriptionDescription", "SubscriptionId", "ChargeStartDate", "ChargeEndDate", "TermAndBillingCycle",
	"EffectiveUnitPrice", "UnitType", "AlternateId", "BillableQuantity", "BillingFrequency",
	"PricingCurrency", "PCToBCExchangeRate", "PCToBCExchangeRateDate", "MeterDescription", "ReservationOrderId",
	"CreditReasonCode", "SubscriptionStartDate", "SubscriptionEndDate", "ReferenceId", "ProductQualifiers",
	"PromotionId",
}

// Exception is one row of exceptions.csv.
type Exception struct {
	Severity, Code, PartnerID, CustomerID, SubscriptionID, EventID, Message string
}

// key is an exception without its message, which is free.
func (e Exception) key() Exception {
	e.Message = ""
	return e
}

// number makes a JSON number of exactly that text.
func number(text string) json.Number { return json.Number(text) }
