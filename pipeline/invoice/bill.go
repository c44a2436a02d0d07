package invoice

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"

	"github.com/calends/calends/pipeline/change"
	"github.com/calends/calends/pipeline/party"
	"github.com/calends/calends/pipeline/subscription"
	"github.com/calends/calends/pricing"
)

// World is all that a customer's lines depend on besides what came in for it.
type World interface {
	subscription.Facts
	// Partner returns a partner as it stood in a month.
	Partner(id string, month pricing.Month) (party.Partner, bool)
	// Rate returns the exchange rate of a month. ok is false without one.
	Rate(pricingCurrency, billingCurrency string, month pricing.Month) (rate decimal.Decimal, ok bool)
}

// Books says which months are issued. The first month that was closed begins
// them: lines of earlier months were issued elsewhere.
type Books struct {
	Begun  bool
	Begin  pricing.Month
	Closed pricing.Month // the last closed one
}

// IsClosed reports whether the month's invoices are frozen.
func (b Books) IsClosed(m pricing.Month) bool { return b.Begun && b.Begin <= m && m <= b.Closed }

// FirstOpen reports whether late lines and corrections belong to the month.
func (b Books) FirstOpen(m pricing.Month) bool { return b.Begun && m == b.Closed+1 }

// Customer is everything that came in for one customer: from the beginning, or
// since a close at which its subscriptions stood as Standing says.
type Customer struct {
	ID string
	// Standing and Ended are where the subscriptions stood, and how many had
	// ended; nothing when Changes are the whole history.
	Standing []subscription.Standing
	Ended    int
	// Parts say where more of them stood, in columns.
	Parts []subscription.Part
	// Changes are in the order of [change.Compare], one content an id;
	// Conflicts are the other contents, refused.
	Changes   []*change.Change
	Conflicts []*change.Change
	Elsewhere []Elsewhere
	// Issued are the lines of its closed months, and Locks what those used, when
	// Changes are the whole history.
	Issued []Issued
	Locks  map[subscription.LockKey]subscription.Lock
}

// Elsewhere is a charge that was rated elsewhere (usage, marketplace,
// perpetual software): passed through as it came, in the month that it was
// taken in for.
type Elsewhere struct {
	Line  *Line
	Month pricing.Month
}

// Outcome is what a customer's history gives for one month, besides its lines.
type Outcome struct {
	// Lines are filled in by [Bill] alone.
	Lines []*Line
	// PartnerID is who pays in the month; "" when that is not known.
	PartnerID  string
	Exceptions []Exception
	Count      subscription.Count
	// Late are exceptions of closed months, which publish no more of them:
	// what they published before is among them.
	Late  []Exception
	Stale []subscription.StaleSheet
	Locks []CustomerLock
	// End is where the customer's subscriptions stand after the month. LookBack
	// is set when its closed months may yet come out otherwise although nothing
	// more happens to it: something was missing that can still come in.
	End      subscription.End
	LookBack bool
	// Mismatched counts lines of closed months that no invoice can hold: their
	// partner has changed its currency since.
	Mismatched int
}

// Seats says how seats went through a month: a customer's, or all of a partner.
type Seats = subscription.Seats

// CustomerLock is a lock that was looked up, to be kept when the month closes.
type CustomerLock struct {
	CustomerID string
	Key        subscription.LockKey
	Lock       subscription.Lock
}

// Bill computes one customer's lines and exceptions of a month, in the order
// of the file: by subscription and order date, then as the rules produce them.
// In the first open month they include the late lines and corrections of
// closed ones. An error comes from the world, never from a change.
func Bill(world World, books Books, month pricing.Month, c Customer) (Outcome, error) {
	b := NewBiller(world, books, month)
	b.KeepLocks = true
	outcome, err := b.Bill(c)
	lines := b.Take()
	for _, partner := range slices.Sorted(maps.Keys(lines)) {
		for _, block := range lines[partner] {
			outcome.Lines = slices.AppendSeq(outcome.Lines, block.Lines())
		}
	}
	return outcome, err
}

// customerWorld is the world of one customer: it knows who pays for it, and what
// closed months used.
type customerWorld struct {
	World
	biller *Biller
	locks  map[subscription.LockKey]subscription.Lock
}

// Payer returns who pays for the customer.
func (w customerWorld) Payer(customerID string, month pricing.Month) (*subscription.Payer, pricing.Code) {
	if customerID != w.biller.customer {
		return w.World.Payer(customerID, month)
	}
	a := w.biller.account(month)
	return a.payer, a.code
}

// Lock returns what a closed month used for the lookup.
func (w customerWorld) Lock(key subscription.LockKey) (subscription.Lock, bool) {
	lock, ok := w.locks[key]
	return lock, ok
}

// wanted reports whether lines of the month matter: the month that is billed,
// and closed ones when their corrections belong to it.
func (b *Biller) wanted(m pricing.Month) bool {
	return m == b.month || b.books.FirstOpen(b.month) && b.books.IsClosed(m)
}

// Charge makes a line of a charge, with the facts of its month.
func (b *Biller) Charge(c subscription.Charge) {
	month := b.month
	if c.OrderDate < b.first || c.OrderDate > b.last {
		month = c.OrderDate.Month()
		if !b.wanted(month) {
			return
		}
	}
	account := b.account(month)
	block := &b.desired
	if month == b.month && account.code == "" {
		if b.failed = b.open(account); b.failed != nil {
			return
		}
		block = account.block
	}
	if b.row(block, c, account) {
		return
	}
	line, failed := b.line(c, month)
	if failed != nil {
		b.Exception(*failed)
		return
	}
	block.Add(line)
}

// open finds the block of who pays in the billed month.
func (b *Biller) open(a *account) (err error) {
	if a.block == nil {
		a.block, err = b.blockOf(a.payer.Partner.ID)
	}
	return err
}

// Exception keeps those of the billed month.
func (b *Biller) Exception(e subscription.Exception) {
	b.outcome.LookBack = b.outcome.LookBack || missing(e.Code)
	if e.From > b.month {
		return
	}
	severity := Error
	if e.Warning {
		severity = Warning
	}
	x := Exception{Severity: severity, Code: e.Code, CustomerID: b.customer,
		SubscriptionID: e.SubscriptionID, EventID: e.EventID, Message: e.Message, Month: min(e.To, b.month)}
	x.PartnerID = b.partnerID(x.Month)
	b.exceptions(x)
}

// missing reports whether what is refused with the code would be taken if
// something came in that is not there yet.
func missing(code pricing.Code) bool {
	switch code {
	case pricing.PriceNotFound, pricing.PriceAmbiguous, pricing.FXRateNotFound, pricing.UnknownCustomer, pricing.UnknownPartner:
		return true
	default:
		return false
	}
}

// exceptions keeps an exception where it stands: in the billed month, or in a
// closed one. Whether it is news there is the caller's to say.
func (b *Biller) exceptions(x Exception) {
	switch {
	case x.Month == b.month:
		b.outcome.Exceptions = append(b.outcome.Exceptions, x)
	case b.wanted(x.Month):
		b.outcome.Late = append(b.outcome.Late, x)
	}
}

// partnerID names the customer's partner, also one that is not known.
func (b *Biller) partnerID(month pricing.Month) string {
	if payer, _ := b.world.Payer(b.customer, month); payer != nil {
		return payer.Partner.ID
	}
	return ""
}

// conflict refuses a second content of an id.
func (b *Biller) conflict(c *change.Change) Exception {
	x := Exception{Severity: Error, Code: pricing.ConflictingChange, CustomerID: b.customer, SubscriptionID: c.Subject,
		EventID: c.ID, Month: c.At.Date().Month(),
		Message: string(c.Type) + " at " + c.At.String() + ": the id was taken in before with another content, which stands"}
	if c.Type == change.CustomerCredited {
		x.SubscriptionID = c.SubscriptionID
	}
	x.PartnerID = b.partnerID(x.Month)
	return x
}

// StaleSheet keeps warnings of the billed month.
func (b *Biller) StaleSheet(event pricing.Month, stale subscription.StaleSheet) {
	if event == b.month {
		b.outcome.Stale = append(b.outcome.Stale, stale)
	}
}

// Locked keeps a lock for the close.
func (b *Biller) Locked(key subscription.LockKey, lock subscription.Lock) {
	if !b.KeepLocks {
		return
	}
	b.outcome.Locks = append(b.outcome.Locks, CustomerLock{b.customer, key, lock})
}

// line computes a charge's line. The exception says why there is none.
func (b *Biller) line(c subscription.Charge, month pricing.Month) (*Line, *subscription.Exception) {
	eventID := ""
	if c.Change != nil {
		eventID = c.Change.ID
	}
	id := c.SubscriptionID
	if c.Term != nil {
		id = c.Term.SubscriptionID
	}
	refuse := func(code pricing.Code, reason string) (*Line, *subscription.Exception) {
		return nil, &subscription.Exception{Code: code, SubscriptionID: id, EventID: eventID,
			Message: c.Type + " of " + c.OrderDate.String() + " is not billed: " + reason, From: month, To: month}
	}
	account := b.account(month)
	payer := account.payer
	if account.code != "" {
		return refuse(account.code, "the customer or its partner is unknown")
	}
	billing := payer.Partner.BillingCurrency
	digits, ok := pricing.MinorDigits(billing)
	if !ok {
		return refuse(pricing.CurrencyMismatch, "the partner's currency "+billing+" is unknown")
	}
	calculation := pricing.Calculation{
		UnitPrice: c.Amount, CycleMonths: 1, TermMonths: 1, BillingDays: 1, CycleDays: 1,
		ExchangeRate: decimal.NewFromInt(1), Quantity: c.Quantity, Credit: c.Credit, MinorDigits: digits,
		PerUnit: payer.Policies.Rounding.PerUnit(c.Type == subscription.AddQuantity || c.Type == subscription.RemoveQuantity),
	}
	line := &Line{
		Account: b.accountOf(account), Item: creditItem, SubscriptionID: id,
		OrderDate: c.OrderDate, ChargeType: c.Type, Currency: billing, PricingCurrency: billing,
		ChargeStart: c.Start, ChargeEnd: c.Cycle.Last, TermStart: pricing.NoDate, TermEnd: pricing.NoDate,
		RateDate: month.First(), ReferenceID: referenceID(c),
		Proof: &Proof{EventID: eventID, Cycle: c.Cycle, TaxRate: payer.Partner.TaxRate},
	}
	if c.Term == nil {
		line.CreditReasonCode = c.Change.Reason
	} else {
		line.Item = itemOf(c.Term)
		line.OrderID = c.Term.OrderID
		line.TermStart, line.TermEnd = c.Term.Span.Start, c.Term.Span.End
		lock := c.Term.Lock
		calculation.UnitPrice, calculation.Discount = lock.UnitPrice, lock.Discount
		calculation.CycleMonths, calculation.TermMonths = c.Cycle.Months, c.Term.Span.Months()
		calculation.BillingDays, calculation.CycleDays = c.Cycle.From(c.Start), c.Cycle.Days
		line.PricingCurrency = lock.Currency
		line.Proof.Source = lock.Source
		line.Proof.MonthEnd = c.Term.Span.MonthEnd
		if lock.Currency != billing {
			rate, ok := b.world.Rate(lock.Currency, billing, month)
			if !ok {
				return refuse(pricing.FXRateNotFound, "no rate from "+lock.Currency+" to "+billing+" for "+month.String())
			}
			calculation.ExchangeRate = rate
		}
	}
	line.ExchangeRate = calculation.ExchangeRate
	line.Quantity = decimal.NewFromInt(c.Quantity)
	line.BillableQuantity = line.Quantity
	if c.Note != "" {
		line.PriceAdjustment = jsonList(c.Note)
	}
	line.Proof.Calculation = calculation
	if err := line.rate(calculation, payer.Partner.TaxRate); err != nil {
		return refuse(pricing.InvalidChange, err.Error())
	}
	return line, nil
}

// rate fills in the amounts.
func (l *Line) rate(c pricing.Calculation, taxRate decimal.Decimal) error {
	rated, err := c.Rate()
	if err != nil {
		return err
	}
	l.UnitPrice, l.EffectiveUnitPrice, l.Subtotal = rated.UnitPrice, rated.EffectiveUnitPrice, rated.Subtotal
	if l.TaxTotal, err = pricing.Tax(l.Subtotal, taxRate); err != nil {
		return err
	}
	l.Total = l.Subtotal + l.TaxTotal
	return nil
}

// creditItem stands behind credits, which have no product.
var creditItem = &Item{UnitType: unitType}

// unitType is what a licence is counted in.
const unitType = "Licenses"

// account returns who pays in a month. It is good until the next month is asked for.
func (b *Biller) account(month pricing.Month) *account {
	for i := range b.accounts {
		if b.accounts[i].month == month {
			return &b.accounts[i]
		}
	}
	payer, code := b.world.Payer(b.customer, month)
	b.accounts = append(b.accounts, account{month: month, payer: payer, code: code, index: -1})
	return &b.accounts[len(b.accounts)-1]
}

// accountOf returns what the customer's lines of a month share.
func (b *Biller) accountOf(a *account) *Account {
	if a.index < 0 {
		a.index = b.shared.account(&Account{
			PartnerID: a.payer.Partner.ID, MpnID: a.payer.Partner.MpnID, CustomerID: a.payer.Customer.ID,
			CustomerName: a.payer.Customer.Name, CustomerDomainName: a.payer.Customer.Domain,
			CustomerCountry: a.payer.Customer.Country, ResellerMpnID: a.payer.Customer.ResellerMpnID,
		})
	}
	return b.shared.Accounts[a.index]
}

// itemOf returns what the lines of a term share.
func itemOf(t *subscription.Term) *Item {
	return &Item{
		ProductID: t.SKU.ProductID, SkuID: t.SKU.SkuID, AvailabilityID: t.AvailabilityID,
		SkuName: t.Lock.SkuTitle, ProductName: t.Lock.ProductTitle, PublisherName: t.Lock.Publisher,
		SubscriptionDescription: t.Lock.SkuTitle, UnitType: unitType, PromotionID: t.Lock.PromotionID,
		TermAndBillingCycle: commitment(t), BillingFrequency: frequency(t), ProductQualifiers: qualifiers(t),
	}
}

func commitment(t *subscription.Term) string {
	if t.Span.Trial {
		return "One-month commitment for trial"
	}
	length := map[pricing.Term]string{pricing.P1M: "One-month", pricing.P1Y: "One-year", pricing.P3Y: "Three-year"}
	plan := map[pricing.Plan]string{pricing.Monthly: "monthly", pricing.Annual: "yearly", pricing.Triennial: "triennial"}
	return length[t.Span.Term] + " commitment for " + plan[t.Plan] + " billing"
}

// frequency is blank when the plan is the whole term.
func frequency(t *subscription.Term) string {
	if t.Plan.Months() == t.Span.Months() {
		return ""
	}
	return t.Plan.String()
}

func qualifiers(t *subscription.Term) string {
	var q []string
	if t.Span.Trial {
		q = append(q, "Trial")
	}
	if t.AddOn {
		q = append(q, "Add-on")
	}
	if q == nil {
		return ""
	}
	return jsonList(q...)
}

// jsonList prints a JSON array of strings as reconciliation files carry it.
func jsonList(items ...string) string {
	var text strings.Builder
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(items); err != nil {
		return "" // strings always encode
	}
	return strings.TrimSuffix(text.String(), "\n")
}

// references is the name space of reference ids that are made of other names.
var references = uuid.MustParse("8f5b0f53-0f3c-5b44-9f0e-6a1d1c9c3f10")

// referenceID is shared by the lines of one event: the event's id if that is a
// UUID, else one made of it; a cycle's is made of subscription, term start and cycle.
func referenceID(c subscription.Charge) string {
	if c.Change != nil {
		return ReferenceOf(c.Change.ID)
	}
	name := c.Term.SubscriptionID + "|" + c.Term.Span.Start.String() + "|" + c.Cycle.First.String()
	return uuid.NewSHA1(references, []byte(name)).String()
}

// ReferenceOf is the reference id of an event's lines.
func ReferenceOf(eventID string) string {
	if isUUID(eventID) {
		return eventID
	}
	return uuid.NewSHA1(references, []byte(eventID)).String()
}

func isUUID(s string) bool { return len(s) == 36 && uuid.Validate(s) == nil }

// passThrough takes a charge that was rated elsewhere as it came, for the
// partner that it names, in that partner's currency only.
func (b *Biller) passThrough(e Elsewhere) error {
	if !b.wanted(e.Month) {
		return nil
	}
	refuse := func(code pricing.Code, reason string) {
		b.outcome.LookBack = b.outcome.LookBack || missing(code)
		b.exceptions(Exception{Severity: Error, Code: code, PartnerID: e.Line.Account.PartnerID, CustomerID: b.customer,
			SubscriptionID: e.Line.SubscriptionID, Month: e.Month,
			Message: e.Line.ChargeType + " of " + e.Line.OrderDate.String() + " rated elsewhere is not billed: " + reason})
	}
	partner, known := b.world.Partner(e.Line.Account.PartnerID, e.Month)
	switch {
	case !known:
		refuse(pricing.UnknownPartner, "the partner was not taken in")
	case partner.BillingCurrency != e.Line.Currency:
		refuse(pricing.CurrencyMismatch, "it is in "+e.Line.Currency+", the invoice in "+partner.BillingCurrency)
	default:
		if e.Month == b.month {
			return b.add(e.Line)
		}
		b.desired.Add(e.Line)
	}
	return nil
}
