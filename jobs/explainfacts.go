package jobs

import (
	"context"
	"fmt"
	"math/big"
	"strings"

	"github.com/calends/calends/pipeline/change"
	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pipeline/subscription"
	"github.com/calends/calends/pricing"
)

// LineFacts is a line in words and figures. Amounts are decimal text with the
// currency's decimals; dates are YYYY-MM-DD.
type LineFacts struct {
	// Ref names the line: C202610-000001:12, or 2026-10/<PartnerId>:12 in a
	// draft. "" for a line that no file has.
	Ref      string `json:"ref,omitempty"`
	Month    string `json:"month,omitempty"`
	Revision int    `json:"revision,omitempty"`
	State    string `json:"state,omitempty"` // draft or closed

	PartnerID      string `json:"partnerId"`
	CustomerID     string `json:"customerId"`
	CustomerName   string `json:"customerName"`
	SubscriptionID string `json:"subscriptionId,omitempty"`
	ProductID      string `json:"productId,omitempty"`
	SkuID          string `json:"skuId,omitempty"`
	SkuName        string `json:"skuName,omitempty"`

	ChargeType         string `json:"chargeType"`
	OrderDate          string `json:"orderDate"`
	ChargeStart        string `json:"chargeStartDate"`
	ChargeEnd          string `json:"chargeEndDate"`
	Quantity           string `json:"quantity"`
	UnitPrice          string `json:"unitPrice"`
	EffectiveUnitPrice string `json:"effectiveUnitPrice"`
	PricingCurrency    string `json:"pricingCurrency"`
	ExchangeRate       string `json:"exchangeRate"`
	Subtotal           string `json:"subtotal"`
	TaxTotal           string `json:"taxTotal"`
	Total              string `json:"total"`
	Currency           string `json:"currency"`
	PriceAdjustment    string `json:"priceAdjustment,omitempty"`
	ReferenceID        string `json:"referenceId,omitempty"`
}

func lineFacts(l *invoice.Line) LineFacts {
	digits, _ := pricing.MinorDigits(l.Currency)
	amount := func(units int64) string { return pricing.FormatMinor(units, digits) }
	return LineFacts{
		PartnerID: l.Account.PartnerID, CustomerID: l.Account.CustomerID, CustomerName: l.Account.CustomerName,
		SubscriptionID: l.SubscriptionID, ProductID: l.Item.ProductID, SkuID: l.Item.SkuID, SkuName: l.Item.SkuName,
		ChargeType: l.ChargeType, OrderDate: l.OrderDate.String(), ChargeStart: l.ChargeStart.String(), ChargeEnd: l.ChargeEnd.String(),
		Quantity: l.BillableQuantity.String(), UnitPrice: l.UnitPrice.String(), EffectiveUnitPrice: l.EffectiveUnitPrice.String(),
		PricingCurrency: l.PricingCurrency, ExchangeRate: l.ExchangeRate.String(),
		Subtotal: amount(l.Subtotal), TaxTotal: amount(l.TaxTotal), Total: amount(l.Total), Currency: l.Currency,
		PriceAdjustment: l.PriceAdjustment, ReferenceID: l.ReferenceID,
	}
}

func (s storedLine) facts() LineFacts {
	f := lineFacts(s.line)
	f.Ref, f.Month, f.Revision, f.State = s.ref(), s.month.Month.String(), s.month.Current.Revision, string(s.month.Current.State)
	return f
}

// InputFacts is the place in an input file that brought something.
type InputFacts struct {
	Number int64  `json:"number"` // in the order of taking in
	Name   string `json:"name"`
	SHA256 string `json:"sha256"`
	Record int64  `json:"record,omitempty"` // line of a text file, row of a table
}

// EventFacts is the change that asked for a line.
type EventFacts struct {
	Type  string     `json:"type"`
	ID    string     `json:"id"`
	Time  string     `json:"time"`
	Input InputFacts `json:"input"`
	// Quantity is the one that the change asks for, if it names one.
	Quantity *int64 `json:"quantity,omitempty"`
	Override string `json:"override,omitempty"`
}

func eventFacts(c *change.Change, inputs []ledger.Input) EventFacts {
	f := EventFacts{Type: string(c.Type), ID: c.ID, Time: c.At.String(), Quantity: c.Quantity, Override: c.Override,
		Input: InputFacts{Number: c.Taken.Input, Record: c.Taken.Record}}
	if n := c.Taken.Input; n >= 1 && n <= int64(len(inputs)) {
		f.Input.Name, f.Input.SHA256 = inputs[n-1].Name, inputs[n-1].SHA256
	}
	return f
}

// TermFacts is the term that a line belongs to.
type TermFacts struct {
	Start      string `json:"start"`
	End        string `json:"end"`
	Commitment string `json:"commitment"` // One-year commitment for monthly billing
	Months     int    `json:"months"`     // of the full term
	// Custom is set when the customer aligned the end, which shortened the term.
	Custom bool `json:"custom,omitempty"`
}

// PriceFacts is where a price comes from.
type PriceFacts struct {
	// Source is sheet, own (the purchase brought it), trial or credit.
	Source    string      `json:"source"`
	Row       *PriceRow   `json:"row,omitempty"`
	Sheet     *SheetFacts `json:"sheet,omitempty"`
	Purchase  *EventFacts `json:"purchase,omitempty"` // that brought its own price
	UnitPrice string      `json:"unitPrice"`          // of one licence for the whole term
	Currency  string      `json:"currency"`
	Promotion string      `json:"promotionId,omitempty"`
	Discount  string      `json:"discount,omitempty"` // a fraction
	Rate      *RateFacts  `json:"exchangeRate,omitempty"`
}

// The sources of a price.
const (
	PriceFromSheet  = "sheet"
	PriceOwn        = "own"
	PriceOfTrial    = "trial"
	PriceFromCredit = "credit"
)

// RateFacts is the exchange rate of a line.
type RateFacts struct {
	From  string `json:"from"`
	To    string `json:"to"`
	Rate  string `json:"rate"`
	Month string `json:"month"`
}

// CycleFacts says which days a line charges.
type CycleFacts struct {
	First       string `json:"first"`
	Last        string `json:"last"`
	Days        int    `json:"days"`   // of the full cycle
	Months      int    `json:"months"` // of the term's price that a full cycle carries
	Stub        bool   `json:"stub,omitempty"`
	ChargeStart string `json:"chargeStart"`
	BillingDays int    `json:"billingDays"`
}

// PolicyFacts are the named choices by which a line was computed.
type PolicyFacts struct {
	invoice.Policies
	// PerUnit is set where one licence is truncated, not the line; Why says why.
	PerUnit bool   `json:"perUnit"`
	Why     string `json:"why"`
}

// StepFacts is one step of the arithmetic. Value has at most 10 decimals and
// Exact says whether those are all; Fraction is always exact.
type StepFacts struct {
	Name     string `json:"name"`
	Formula  string `json:"formula"`
	Value    string `json:"value"`
	Exact    bool   `json:"exact"`
	Fraction string `json:"fraction"`
	Cut      string `json:"cut,omitempty"` // what a truncation took off
	Text     string `json:"text"`          // the step in one line
}

func stepFacts(steps []pricing.Step) []StepFacts {
	var facts []StepFacts
	for _, s := range steps {
		f := StepFacts{Name: s.Name, Formula: s.Formula, Value: s.Text(), Fraction: s.Value.RatString(), Cut: s.CutText(), Text: s.String()}
		shown, ok := new(big.Rat).SetString(f.Value)
		f.Exact = ok && shown.Cmp(s.Value) == 0
		facts = append(facts, f)
	}
	return facts
}

// proof fills in everything about a line of a licence or a credit.
func (x *explainer) proof(ctx context.Context, b *customerBill, line *invoice.Line, out *Explanation) error {
	p := line.Proof
	if p.EventID != "" {
		c := b.changeOf(p.EventID)
		if c == nil {
			return fmt.Errorf("its change %s is not in the ledger", p.EventID)
		}
		event := eventFacts(c, b.past.inputs)
		out.Event = &event
	}
	price, err := x.price(ctx, b, line)
	if err != nil {
		return err
	}
	out.Price = price
	if line.ChargeType != subscription.CustomerCredit {
		out.Term = termFacts(line)
		out.Cycle = &CycleFacts{First: p.Cycle.First.String(), Last: p.Cycle.Last.String(), Days: p.Cycle.Days, Months: p.Cycle.Months,
			Stub: p.Cycle.Len() < p.Cycle.Days, ChargeStart: line.ChargeStart.String(), BillingDays: p.Calculation.BillingDays}
	}
	month := line.OrderDate.Month()
	policies := b.catalog.PoliciesIn(line.Account.PartnerID, month)
	if out.Term != nil {
		policies.MonthEnd = line.Proof.MonthEnd
	}
	out.Policies = policyFacts(policies, line.ChargeType)
	steps := append(p.Calculation.Steps(), pricing.TaxSteps(line.Subtotal, p.TaxRate, p.Calculation.MinorDigits)...)
	out.Steps = stepFacts(steps)
	if month < b.known.Month {
		out.Late, err = x.late(b, line, month)
	}
	return err
}

func termFacts(line *invoice.Line) *TermFacts {
	months := line.Proof.Calculation.TermMonths
	return &TermFacts{Start: line.TermStart.String(), End: line.TermEnd.String(), Months: months,
		Commitment: line.Item.TermAndBillingCycle, Custom: line.TermEnd != line.TermStart.AddMonths(months)-1}
}

func policyFacts(p subscription.Policies, chargeType string) *PolicyFacts {
	pair := chargeType == subscription.AddQuantity || chargeType == subscription.RemoveQuantity
	f := &PolicyFacts{Policies: ledger.PolicyNames(p), PerUnit: p.Rounding.PerUnit(pair)}
	switch {
	case p.Rounding != pricing.Documented && f.PerUnit:
		f.Why = "the policy unit truncates the price of one licence, whatever the charge type"
	case p.Rounding != pricing.Documented:
		f.Why = "the policy line truncates the whole line, whatever the charge type"
	case pair:
		f.Why = "the policy documented truncates the whole line for " + chargeType
	default:
		f.Why = "the policy documented truncates the price of one licence for every type but addQuantity and removeQuantity"
	}
	return f
}

// price says where the line's price comes from.
func (x *explainer) price(ctx context.Context, b *customerBill, line *invoice.Line) (*PriceFacts, error) {
	c, source := line.Proof.Calculation, line.Proof.Source
	f := &PriceFacts{Source: PriceFromSheet, UnitPrice: c.UnitPrice.String(), Currency: line.PricingCurrency, Promotion: line.Item.PromotionID}
	if f.Promotion != "" {
		f.Discount = c.Discount.String()
	}
	if line.PricingCurrency != line.Currency {
		f.Rate = &RateFacts{From: line.PricingCurrency, To: line.Currency, Rate: line.ExchangeRate.String(), Month: line.RateDate.Month().String()}
	}
	switch {
	case line.ChargeType == subscription.CustomerCredit:
		f.Source = PriceFromCredit
	case source.SHA256 != "":
		f.Sheet = &SheetFacts{Market: source.Market, Month: source.Month.String(), File: source.File, SHA256: source.SHA256,
			Stale: source.Month < line.TermStart.Month()}
		row, err := x.env.sheetRow(ctx, b.past.inputs, source, pricing.SKU{ProductID: line.Item.ProductID, SkuID: line.Item.SkuID})
		f.Row = row
		return f, err
	case strings.Contains(line.Item.ProductQualifiers, `"Trial"`):
		f.Source = PriceOfTrial
	default:
		f.Source = PriceOwn
		for _, bought := range b.customer.Changes {
			if bought.Type == change.Purchased && bought.Subject == line.SubscriptionID {
				event := eventFacts(bought, b.past.inputs)
				f.Purchase = &event
				break
			}
		}
	}
	return f, nil
}

// sheetRow reads the row again from the file that brought it: a later import
// may govern by now. nil: the file has no such row at that line.
func (e Env) sheetRow(ctx context.Context, inputs []ledger.Input, source subscription.Source, sku pricing.SKU) (*PriceRow, error) {
	for _, in := range inputs {
		if in.SHA256 != source.SHA256 || in.Month != source.Month.String() {
			continue
		}
		for _, o := range in.Objects {
			if o.Market != source.Market {
				continue
			}
			rows, err := e.ledger().PriceRows(ctx, o)
			if err != nil {
				return nil, err
			}
			for _, r := range rows {
				if r.Line == source.Line && r.SKU == sku {
					row := PriceRowOf(r)
					return &row, nil
				}
			}
		}
	}
	return nil, nil
}

// recordElsewhere finds the record of a charge that was rated elsewhere.
func (x *explainer) recordElsewhere(ctx context.Context, b *customerBill, text string) (found *InputFacts, err error) {
	for _, in := range b.past.inputs {
		if in.Kind != ledger.Charges {
			continue
		}
		record := int64(0)
		for _, o := range in.Objects {
			err := x.env.readLines(ctx, o.Key, func(l *invoice.Line) {
				record++
				if own, e := lineText(l); e == nil && own == text {
					found = &InputFacts{Number: in.Number, Name: in.Name, SHA256: in.SHA256, Record: record}
				}
			})
			if err != nil {
				return nil, err
			}
		}
	}
	return found, nil
}
