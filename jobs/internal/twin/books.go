package twin

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"sort"
	"strings"
	"time"
)

// Books is everything that was taken in so far, and everything that was issued.
type Books struct {
	partners   map[string]Partner
	customers  map[string]Customer
	sheets     map[string]map[Month]parsedSheet // by market
	rates      map[rateKey]*big.Rat             // USD per unit
	promotions map[string]Promotion
	offers     map[string]Offer
	standing   map[string]map[string]Change // by customer and id: the first content of each
	conflicts  []conflict
	charges    map[Month][]ChargeFile

	closed map[Month]*closedMonth
	first  Month // the first closed month begins the books
	last   Month // the last closed month

	// What closed months used is never looked up again.
	locks       map[lookupKey]lock
	discounts   map[promotionKey]*big.Rat
	issuedRates map[pairKey]*big.Rat

	// What the present computation used: a close keeps it.
	usedLocks     map[lookupKey]lock
	usedDiscounts map[promotionKey]*big.Rat
	usedRates     map[pairKey]*big.Rat
}

type rateKey struct {
	month    Month
	currency string
}

type pairKey struct {
	month            Month
	pricing, billing string
}

// conflict is a change whose id was taken by another content before it.
type conflict struct {
	customer string
	change   parsedChange
}

// closedMonth is what was issued for a month, and who was who when it was.
type closedMonth struct {
	partners  map[string]Partner
	customers map[string]Customer
	lines     []*issuedLine
	result    Result
}

// issuedLine is one data row of a closed invoice.
type issuedLine struct {
	row     Row
	number  int // of the row in its file
	live    bool
	content string
}

// Result is one month, computed.
type Result struct {
	Month      Month
	Closed     bool
	Partners   map[string][]Row // by PartnerId, rows in the order of the file; no empty ones
	Exceptions []Exception
}

// NewBooks makes empty books.
func NewBooks() *Books {
	return &Books{
		partners: map[string]Partner{}, customers: map[string]Customer{},
		sheets: map[string]map[Month]parsedSheet{}, rates: map[rateKey]*big.Rat{},
		promotions: map[string]Promotion{}, offers: map[string]Offer{},
		standing: map[string]map[string]Change{}, charges: map[Month][]ChargeFile{},
		closed: map[Month]*closedMonth{},
		locks:  map[lookupKey]lock{}, discounts: map[promotionKey]*big.Rat{}, issuedRates: map[pairKey]*big.Rat{},
	}
}

// Outcome is what a step came to.
type Outcome struct {
	Step    Step
	Result  Result   // of a bill or a close
	Refused []string // of an ingest: the names of charge files of closed months
	Err     error    // of a close out of order
}

// Run lives a whole life.
func Run(l Life) []Outcome {
	books := NewBooks()
	var outcomes []Outcome
	for _, s := range l.Steps {
		outcomes = append(outcomes, books.Do(s))
	}
	return outcomes
}

// Do does one step.
func (b *Books) Do(s Step) Outcome {
	o := Outcome{Step: s}
	switch s.Kind {
	case StepIngest:
		o.Refused = b.Ingest(s.Inputs)
	case StepBill:
		o.Result = b.Bill(s.Month)
	case StepClose:
		o.Result, o.Err = b.Close(s.Month)
	}
	return o
}

// Ingest takes inputs in. Later imports supersede earlier ones of the same key;
// of changes the first content of an id stands. It names the charge files that it
// refuses: those of closed months that say something new.
func (b *Books) Ingest(in World) (refused []string) {
	for _, p := range in.Partners {
		b.partners[p.ID] = p
	}
	for _, c := range in.Customers {
		b.customers[c.ID] = c
	}
	for _, s := range in.Sheets {
		if b.sheets[s.Market] == nil {
			b.sheets[s.Market] = map[Month]parsedSheet{}
		}
		b.sheets[s.Market][s.Month] = parseSheet(s)
	}
	for _, r := range in.FX {
		value, ok := rat(r.USDPerUnit)
		if !ok {
			panic("twin: unreadable rate " + r.USDPerUnit)
		}
		b.rates[rateKey{r.Month, r.Currency}] = value
	}
	for _, p := range in.Promotions {
		b.promotions[p.ID] = p
	}
	for _, o := range in.Offers {
		b.offers[offerKey(o.ProductID, o.SkuID)] = o
	}
	for _, c := range in.Changes {
		b.ingestChange(c)
	}
	for _, f := range in.Charges {
		if !b.ingestCharges(f) {
			refused = append(refused, f.Name)
		}
	}
	return refused
}

func (b *Books) ingestChange(c Change) {
	customer, _ := c.Data["customerId"].(string)
	if b.standing[customer] == nil {
		b.standing[customer] = map[string]Change{}
	}
	before, known := b.standing[customer][c.ID]
	switch {
	case !known:
		b.standing[customer][c.ID] = c
	case content(before) != content(c):
		b.conflicts = append(b.conflicts, conflict{customer, parseChange(c)})
	}
}

// content is what a change says, whatever the order of its keys.
func content(c Change) string {
	c.KeyOrder = 0
	text, err := json.Marshal(c) // writes the keys of maps in order
	if err != nil {
		panic(err)
	}
	return string(text)
}

func parseChange(c Change) parsedChange {
	at, err := time.Parse(time.RFC3339Nano, c.Time)
	if err != nil {
		panic("twin: unreadable time " + c.Time)
	}
	return parsedChange{c, at.UTC()}
}

// changesOf are a customer's changes in (time, id) order, ids by bytes.
func (b *Books) changesOf(customer string) []parsedChange {
	var all []parsedChange
	for _, c := range b.standing[customer] {
		all = append(all, parseChange(c))
	}
	sort.Slice(all, func(i, j int) bool {
		if !all[i].at.Equal(all[j].at) {
			return all[i].at.Before(all[j].at)
		}
		return all[i].ID < all[j].ID
	})
	return all
}

// ingestCharges takes a file of charges, or says false: its month is closed and
// it is not what was there.
func (b *Books) ingestCharges(f ChargeFile) bool {
	for i, earlier := range b.charges[f.Month] {
		if sameInvoice(earlier, f) {
			if sameRows(earlier.Rows, f.Rows) {
				return true
			}
			if b.isClosed(f.Month) {
				return false
			}
			b.charges[f.Month] = slices.Delete(slices.Clone(b.charges[f.Month]), i, i+1)
			break
		}
	}
	if b.isClosed(f.Month) {
		return false
	}
	b.charges[f.Month] = append(b.charges[f.Month], f)
	return true
}

func sameInvoice(a, b ChargeFile) bool {
	if len(a.Rows) == 0 || len(b.Rows) == 0 {
		return len(a.Rows) == len(b.Rows)
	}
	return a.Rows[0]["PartnerId"] == b.Rows[0]["PartnerId"] && a.Rows[0]["InvoiceNumber"] == b.Rows[0]["InvoiceNumber"]
}

func sameRows(a, b []Row) bool {
	return slices.EqualFunc(a, b, func(x, y Row) bool { return maps.Equal(x, y) })
}

func (b *Books) isClosed(m Month) bool { return b.closed[m] != nil }

// customerAt is a customer as a month knows it: as it was when the month was
// closed, else as the newest import has it.
func (b *Books) customerAt(id string, m Month) (Customer, bool) {
	if c := b.closed[m]; c != nil {
		if known, ok := c.customers[id]; ok {
			return known, true
		}
	}
	known, ok := b.customers[id]
	return known, ok
}

// partnerAt is a partner as a month knows it.
func (b *Books) partnerAt(id string, m Month) (Partner, bool) {
	if c := b.closed[m]; c != nil {
		if known, ok := c.partners[id]; ok {
			return known, true
		}
	}
	known, ok := b.partners[id]
	return known, ok
}

// sheetFor is the sheet that governs a month in a market.
func (b *Books) sheetFor(market string, m Month) (sheet parsedSheet, stale, ok bool) {
	best := Month(-1)
	for have := range b.sheets[market] {
		if have <= m && have > best {
			best = have
		}
	}
	if best < 0 {
		return nil, false, false
	}
	return b.sheets[market][best], best != m, true
}

// rate is the exchange rate of a month, rounded as it is printed.
func (b *Books) rate(m Month, pricing, billing string) (*big.Rat, bool) {
	if pricing == billing {
		return ratOf(1), true
	}
	key := pairKey{m, pricing, billing}
	if stored, ok := b.issuedRates[key]; ok {
		return stored, true
	}
	from, ok := b.usdPerUnit(m, pricing)
	if !ok {
		return nil, false
	}
	to, ok := b.usdPerUnit(m, billing)
	if !ok {
		return nil, false
	}
	found := roundRate(new(big.Rat).Quo(from, to))
	b.usedRates[key] = found
	return found, true
}

// usdPerUnit is a currency's row of a month's table; USD is 1 where there is none.
func (b *Books) usdPerUnit(m Month, currency string) (*big.Rat, bool) {
	if value, ok := b.rates[rateKey{m, currency}]; ok {
		return value, true
	}
	return ratOf(1), currency == "USD"
}

// Bill computes a month. A closed month is what it was.
func (b *Books) Bill(m Month) Result {
	if c := b.closed[m]; c != nil {
		return c.result
	}
	result, _ := b.compute(m)
	return result
}

// compute works a month out from the whole history, and gives its lines by
// partner in the order of the file.
func (b *Books) compute(m Month) (Result, map[string][]line) {
	b.usedLocks = map[lookupKey]lock{}
	b.usedDiscounts = map[promotionKey]*big.Rat{}
	b.usedRates = map[pairKey]*big.Rat{}
	var desired []line
	var exceptions []dated
	for _, customer := range slices.Sorted(maps.Keys(b.standing)) {
		w := b.walkCustomer(customer, m.Last())
		desired = append(desired, w.lines...)
		exceptions = append(exceptions, w.exceptions...)
	}
	for _, c := range b.conflicts {
		w := &walk{books: b, customer: c.customer}
		w.refuse(c.change, "CONFLICTING_CHANGE")
		exceptions = append(exceptions, w.exceptions...)
	}

	var lines []line
	if len(b.closed) > 0 && m < b.first {
		desired = nil // issued elsewhere, before these books began
	}
	if len(b.closed) > 0 && m == b.last+1 {
		lines = b.corrections(desired)
	}
	for _, l := range desired {
		if l.month == m {
			lines = append(lines, l)
		}
	}
	charges, refused := b.chargeLines(m)
	if len(b.closed) == 0 || m >= b.first {
		lines = append(lines, charges...)
	}
	exceptions = append(exceptions, refused...)

	byPartner := map[string][]line{}
	for _, l := range lines {
		byPartner[l.row["PartnerId"]] = append(byPartner[l.row["PartnerId"]], l)
	}
	result := Result{Month: m, Partners: map[string][]Row{}, Exceptions: exceptionsOf(exceptions, m)}
	for partner, all := range byPartner {
		sortLines(all)
		for _, l := range all {
			result.Partners[partner] = append(result.Partners[partner], l.row)
		}
	}
	return result, byPartner
}

// sortLines sorts by customer, subscription and OrderDate; what is equal keeps
// the order in which it was produced.
func sortLines(lines []line) {
	key := func(l line) []string {
		return []string{l.row["CustomerId"], l.row["SubscriptionId"], l.row["OrderDate"]}
	}
	sort.SliceStable(lines, func(i, j int) bool { return slices.Compare(key(lines[i]), key(lines[j])) < 0 })
}

// corrections compares what closed months should say with what they do say:
// mirrors of the lines that are wanted no more, then the lines that are missing.
func (b *Books) corrections(desired []line) []line {
	missing := map[string][]line{}
	var order []string
	for _, l := range desired {
		if l.month < b.first || l.month > b.last {
			continue
		}
		text := l.row.content()
		missing[text] = append(missing[text], l)
		order = append(order, text)
	}
	var lines []line
	for m := b.first; m <= b.last; m++ {
		for _, issued := range b.closed[m].lines {
			if !issued.live {
				continue
			}
			if wanted := missing[issued.content]; len(wanted) > 0 {
				missing[issued.content] = wanted[1:]
				continue
			}
			lines = append(lines, mirror(issued))
		}
	}
	for _, text := range order {
		if late := missing[text]; len(late) > 0 {
			lines = append(lines, late[0])
			missing[text] = late[1:]
		}
	}
	return lines
}

// content is everything that a line says but for its invoice's number.
func (r Row) content() string {
	var b strings.Builder
	for _, column := range Columns {
		if column != "InvoiceNumber" {
			fmt.Fprintf(&b, "%q,", r[column])
		}
	}
	return b.String()
}

// mirror is the line that takes an issued one back.
func mirror(issued *issuedLine) line {
	row := maps.Clone(issued.row)
	for _, column := range []string{"EffectiveUnitPrice", "Subtotal", "TaxTotal", "Total"} {
		row[column] = negate(row[column])
	}
	row["CreditReasonCode"] = "Correction"
	row["PriceAdjustmentDescription"] = jsonArray(fmt.Sprintf("Correction of %s line %d", issued.row["InvoiceNumber"], issued.number))
	row["InvoiceNumber"] = ""
	return line{row: row, corrects: issued}
}

// chargeLines are the charges of a month that were rated elsewhere.
func (b *Books) chargeLines(m Month) (lines []line, refused []dated) {
	for _, f := range b.charges[m] {
		for _, r := range f.Rows {
			partner, ok := b.partnerAt(r["PartnerId"], m)
			code := ""
			switch {
			case !ok:
				code = "UNKNOWN_PARTNER"
			case r["Currency"] != partner.Currency:
				code = "CURRENCY_MISMATCH"
			}
			if code != "" {
				refused = append(refused, dated{m, Exception{
					Severity: "error", Code: code, PartnerID: r["PartnerId"], CustomerID: r["CustomerId"], SubscriptionID: r["SubscriptionId"],
				}})
				continue
			}
			row := Row{}
			for _, column := range Columns {
				row[column] = r[column]
			}
			row["InvoiceNumber"] = ""
			for _, column := range []string{"OrderDate", "ChargeStartDate", "ChargeEndDate", "PCToBCExchangeRateDate", "SubscriptionStartDate", "SubscriptionEndDate"} {
				if at, _, ok := parseStamp(row[column]); ok {
					row[column] = DateOf(at).String()
				}
			}
			lines = append(lines, line{month: m, row: row, charge: true})
		}
	}
	return lines, refused
}

// exceptionsOf are the exceptions of a month, each once, in a fixed order.
func exceptionsOf(all []dated, m Month) []Exception {
	seen := map[Exception]bool{}
	var out []Exception
	for _, e := range all {
		if e.month == m && !seen[e.Exception] {
			seen[e.Exception] = true
			out = append(out, e.Exception)
		}
	}
	sort.Slice(out, func(i, j int) bool { return exceptionText(out[i]) < exceptionText(out[j]) })
	return out
}

// Close bills a month, numbers its invoices and freezes them.
func (b *Books) Close(m Month) (Result, error) {
	if len(b.closed) > 0 && m != b.last+1 {
		return Result{}, fmt.Errorf("month %s cannot be closed: the next one is %s", m, b.last+1)
	}
	result, byPartner := b.compute(m)
	result.Closed = true
	frozen := &closedMonth{partners: maps.Clone(b.partners), customers: maps.Clone(b.customers)}
	for i, partner := range slices.Sorted(maps.Keys(byPartner)) {
		invoice := fmt.Sprintf("C%s-%06d", m.Compact(), i+1)
		var rows []Row
		for n, l := range byPartner[partner] {
			row := maps.Clone(l.row)
			row["InvoiceNumber"] = invoice
			rows = append(rows, row)
			issued := &issuedLine{row: row, number: n + 1, live: l.corrects == nil && !l.charge, content: row.content()}
			frozen.lines = append(frozen.lines, issued)
			if l.corrects != nil {
				l.corrects.live = false
			}
		}
		result.Partners[partner] = rows
	}
	frozen.result = result
	maps.Copy(b.locks, b.usedLocks)
	maps.Copy(b.discounts, b.usedDiscounts)
	maps.Copy(b.issuedRates, b.usedRates)
	if len(b.closed) == 0 {
		b.first = m
	}
	b.last = m
	b.closed[m] = frozen
	return result, nil
}
