package jobs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/shopspring/decimal"
	"golang.org/x/sync/errgroup"

	"github.com/calends/calends/jobs/intake"
	"github.com/calends/calends/jobs/internal/spill"
	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pipeline/reconcile"
	"github.com/calends/calends/pricing"
	"github.com/calends/calends/pricing/pricesheet/table"
)

// theirFile is one of Microsoft's files as it was read.
type theirFile struct {
	ReconciledFile
	given     pricing.Month // that the plan says, 0 for none
	named     pricing.Month // that its path says, 0 for none
	documents []*document
	illegible int64 // lines of which not even the subscription could be read
	byNumber  map[string]int
	foreign   map[foreignKey]*foreignSum
}

// document is an invoice of Microsoft's, or what a file has without a number.
type document struct {
	number     string
	months     map[pricing.Month]int // lines by the month of their date
	partners   map[string]bool       // of ours
	readable   map[partnerMonth]int  // lines that could be read, by the month of their date
	currencies map[string]bool
	// month is the one that it bills: most of its lines have it, unless by says
	// otherwise. own are all that it bills, where it is no single invoice.
	month pricing.Month
	own   map[pricing.Month]bool
	by    MonthBy
}

type partnerMonth struct {
	partner string
	month   pricing.Month
}

// settle finds the month that has most of the lines.
func (d *document) settle() { d.bill(fullest(d.months), ByDates) }

// bill says which month it is that the document bills.
func (d *document) bill(m pricing.Month, by MonthBy) {
	d.month, d.own, d.by = m, map[pricing.Month]bool{m: true}, by
}

// fullest is the month with most lines; of several, the last.
func fullest(months map[pricing.Month]int) (month pricing.Month) {
	most := 0
	for _, m := range slices.Sorted(maps.Keys(months)) {
		if n := months[m]; n >= most {
			month, most = m, n
		}
	}
	return month
}

// full are the months that it bills and has lines of. A document that holds
// nothing but lines dated elsewhere has no month in full.
func (d *document) full() map[pricing.Month]bool {
	full := make(map[pricing.Month]bool)
	for m := range d.own {
		if d.months[m] > 0 {
			full[m] = true
		}
	}
	return full
}

// ample reports whether so many lines are of the month that it stands for
// itself: a fifth of the fullest month's. Fewer are of that one, dated elsewhere.
func (d *document) ample(m pricing.Month) bool {
	return d.months[m] > 0 && d.months[m]*5 >= d.months[d.month]
}

func (d *document) lines() (n int) {
	for _, lines := range d.months {
		n += lines
	}
	return n
}

// monthOf is the month in which a line was billed.
func (d *document) monthOf(l *invoice.Line) pricing.Month { return d.billing(dated(l)) }

// billing is the month in which lines dated in a month were billed.
func (d *document) billing(dated pricing.Month) pricing.Month {
	if d.own[dated] {
		return dated
	}
	return d.month
}

// dated is the month that a line's own date says, 0 without one.
func dated(l *invoice.Line) pricing.Month {
	switch {
	case l.OrderDate != pricing.NoDate:
		return l.OrderDate.Month()
	case l.ChargeStart != pricing.NoDate:
		return l.ChargeStart.Month()
	}
	return 0
}

type foreignKey struct{ partner, currency string }

type foreignSum struct {
	lines int64
	total int64
}

// parties says who is known, by ids in lower case: Microsoft's files differ in
// the case of ids.
type parties struct {
	partners  map[string]string
	customers map[string]theirCustomer
	wanted    map[string]bool // nil: all
	only      string          // the partner of lines that name none, or ""
}

type theirCustomer struct{ id, partner string }

func partiesOf(catalog *ledger.Catalog, plan ReconcilePlan) (parties, error) {
	p := parties{partners: make(map[string]string), customers: make(map[string]theirCustomer)}
	for id := range catalog.Partners {
		p.partners[strings.ToLower(id)] = id
	}
	for c := range catalog.Customers {
		p.customers[strings.ToLower(c.ID)] = theirCustomer{c.ID, c.PartnerID}
	}
	if len(plan.Partners) == 0 {
		return p, nil
	}
	p.wanted = make(map[string]bool)
	for _, id := range plan.Partners {
		known, ok := p.partners[strings.ToLower(id)]
		if !ok {
			return p, fmt.Errorf("%w: no partner %q was taken in", ErrUsage, id)
		}
		p.wanted[known] = true
	}
	if len(plan.Partners) == 1 {
		p.only = p.partners[strings.ToLower(plan.Partners[0])]
	}
	return p, nil
}

// find returns the ids under which we have a charge. known is false when the
// partner is none of ours; byCustomer is true when the customer told it.
func (p *parties) find(c *intake.Charge) (partner, customer string, known, byCustomer bool) {
	customer = c.CustomerID
	ours, isOurs := p.customers[strings.ToLower(c.CustomerID)]
	if isOurs {
		customer = ours.id
	}
	if id, ok := p.partners[strings.ToLower(c.PartnerID)]; ok {
		return id, customer, true, false
	}
	if _, ok := p.partners[strings.ToLower(ours.partner)]; isOurs && ok {
		return ours.partner, customer, true, true
	}
	return p.only, customer, c.PartnerID == "" && p.only != "", false
}

// reading is the first pass: every line of the files is read once, checked,
// and sorted by customer.
type reading struct {
	env     Env
	plan    ReconcilePlan
	parties parties
	files   []*theirFile
	sorters []*spill.Sorter
	// illegible are the lines without a subscription in the files of a partner.
	illegible map[string]int64

	watched sync.Mutex
	lines   int64
}

// reconcileMemory is how many bytes of Microsoft's lines are sorted in memory,
// over all workers, where the plan does not say.
const reconcileMemory = 64 << 20

func (r *reading) close() error {
	var errs []error
	for _, s := range r.sorters {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}

// read reads all files, as many at a time as there are workers.
func (r *reading) read(ctx context.Context) (err error) {
	inputs, err := r.plan.inputs()
	if err != nil {
		return err
	}
	var members []*intake.Member
	var names []string
	defer func() {
		if err == nil {
			err = r.settle()
		}
	}()
	for _, input := range inputs {
		source, err := r.open(input.path)
		if err != nil {
			r.files = append(r.files, &theirFile{ReconciledFile: ReconciledFile{Name: input.path, Reason: err.Error()}})
			members = append(members, nil)
			names = append(names, input.path)
			continue
		}
		defer source.Close()
		for _, m := range source.Members {
			f := &theirFile{given: input.month}
			if named, err := intake.MonthFromPath(m.Name); err == nil {
				f.named = named
			}
			r.files = append(r.files, f)
			members = append(members, m)
			names = append(names, m.Name)
		}
	}
	for i, name := range shortNames(names) {
		r.files[i].Name = name
	}
	workers := max(1, min(r.env.Workers, len(members)))
	memory := r.plan.Memory
	if memory <= 0 {
		memory = reconcileMemory
	}
	free := make(chan *spill.Sorter, workers)
	for range workers {
		s := spill.New("", memory/workers)
		r.sorters = append(r.sorters, s)
		free <- s
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(workers)
	for i, m := range members {
		if m == nil {
			continue
		}
		group.Go(func() error {
			sorter := <-free
			defer func() { free <- sorter }()
			if err := r.file(ctx, i, m, sorter); err != nil {
				return fmt.Errorf("read %s: %w", r.files[i].Name, err)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	r.env.progress("read", r.lines, r.lines)
	return nil
}

func (r *reading) open(path string) (*intake.Input, error) {
	if path == "-" {
		return intake.OpenReader("standard input", r.plan.Stdin)
	}
	return intake.Open(path)
}

// theirInput is a file to read, with the month that the plan says it was billed
// in, if it does.
type theirInput struct {
	path  string
	month pricing.Month
}

// inputs lists the files below what the plan names.
func (p ReconcilePlan) inputs() (inputs []theirInput, err error) {
	if len(p.Files) == 0 {
		return nil, fmt.Errorf("%w: name Microsoft's reconciliation files", ErrUsage)
	}
	for _, path := range p.Files {
		var month pricing.Month
		if monthPrefix.MatchString(path) {
			text, rest, _ := strings.Cut(path, "=")
			if month, err = pricing.ParseMonth(text); err != nil {
				return nil, fmt.Errorf("%w: file %s: %w", ErrUsage, path, err)
			}
			path = rest
		}
		if path != "-" {
			if _, err := os.Stat(filepath.Join(p.Folder, path)); errors.Is(err, fs.ErrNotExist) {
				return nil, fmt.Errorf("%w: there is no file or folder %s", ErrMissing, path)
			}
		}
		below, err := IngestPlan{Paths: []string{path}, Folder: p.Folder}.files()
		if err != nil {
			return nil, err
		}
		if len(below) == 0 {
			return nil, fmt.Errorf("%w: the folder %s has no files", ErrMissing, path)
		}
		for _, file := range below {
			inputs = append(inputs, theirInput{file, month})
		}
	}
	return inputs, nil
}

// monthPrefix begins a file whose month is given.
var monthPrefix = regexp.MustCompile(`^\d{4}-\d{2}=`)

// shortNames cuts paths down to what tells them apart: the file's own name, or
// the path where two have the same. The result must not depend on where a file lay.
func shortNames(paths []string) []string {
	count := make(map[string]int)
	for _, p := range paths {
		count[filepath.Base(p)]++
	}
	short := make([]string, len(paths))
	for i, p := range paths {
		if short[i] = filepath.Base(p); count[short[i]] > 1 {
			short[i] = filepath.ToSlash(p)
		}
	}
	return short
}

// settle finds what each document bills, and files that were given twice.
func (r *reading) settle() error {
	r.illegible = make(map[string]int64)
	first := make(map[string]string)
	left := false
	var reasons []string
	for _, f := range r.files {
		switch {
		case f.Reason != "":
			reasons = append(reasons, f.Name+": "+f.Reason)
			continue
		case first[f.SHA256] != "":
			f.Same = first[f.SHA256]
			continue
		}
		switch usable := f.Lines + f.Others; {
		case usable > 0 || f.Refused == 0 && len(r.parties.wanted) > 0:
			left = true
		case f.Refused > 0:
			reasons = append(reasons, f.Name+": "+f.allRefused())
		default: // alone it compares nothing, which must not look like agreement
			reasons = append(reasons, f.Name+": has no lines")
		}
		first[f.SHA256] = f.Name
		partners := make(map[string]bool)
		for _, d := range f.documents {
			d.settle()
			maps.Copy(partners, d.partners)
		}
		for partner := range partners {
			r.illegible[partner] += f.illegible
		}
	}
	if !left {
		return fmt.Errorf("%w: none of the files can be reconciled with:\n  %s", ErrUsage, strings.Join(reasons, "\n  "))
	}
	r.settleMonths()
	return nil
}

func monthNames(months map[pricing.Month]bool) []string {
	var names []string
	for _, m := range slices.Sorted(maps.Keys(months)) {
		if m != 0 {
			names = append(names, m.String())
		}
	}
	return names
}

// file reads one file. What is wrong with its lines stands in the result; a
// file that breaks off is an error: half of one would leave lines missing that
// are not.
func (r *reading) file(ctx context.Context, number int, m *intake.Member, sorter *spill.Sorter) (err error) {
	f := r.files[number]
	what := m.Recognise()
	if what.Kind != intake.Charges && what.Kind != intake.LegacyCharges {
		f.Reason = what.Reason
		if what.Kind != intake.Unknown {
			f.Reason = "is " + ofKind(what.Kind) + ", no reconciliation file"
		}
		return nil
	}
	f.Kind, f.byNumber, f.foreign = reconKind(what), make(map[string]int), make(map[foreignKey]*foreignSum)
	stream, err := m.Open()
	if err != nil {
		return err
	}
	defer stream.Close()
	hash, end := sha256.New(), new(lastByte)
	source := io.TeeReader(stream, io.MultiWriter(hash, end))
	reader, err := intake.NewCharges(source, what)
	var header *table.Errors
	if errors.As(err, &header) {
		f.Reason = headerReason(header)
		return nil
	}
	if err != nil {
		return err
	}
	reader.KeepUnknown()
	take := taker{reading: r, file: f, number: number, sorter: sorter, legacy: what.Kind == intake.LegacyCharges,
		line: invoice.Line{Account: new(invoice.Account), Item: new(invoice.Item)}, fields: fieldsOf(reader)}
	var last *table.Error // of the last line, as a whole
	for lines := 0; ; lines++ {
		if lines%4096 == 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
			r.count(min(lines, 4096))
		}
		refused, err := reader.Next(&take.charge)
		if errors.Is(err, io.EOF) {
			r.count(lines % 4096)
			break
		}
		if err != nil {
			return brokenOff(err)
		}
		last = nil
		if refused != nil && refused.Column == "" {
			last = refused
		}
		if refused == nil {
			refused, err = take.take()
		}
		if err != nil {
			return err
		}
		if refused != nil {
			f.Refused++
			if len(f.Errors) < maxErrors {
				f.Errors = append(f.Errors, recordError(refused))
			}
			if err := take.unread(refused); err != nil {
				return err
			}
		}
	}
	if last != nil && *end != '\n' { // nothing but a cut leaves half a line at the end
		return brokenOff(fmt.Errorf("its last line, %d, %s", last.Line, last.Rule))
	}
	f.Unknown = slices.Clone(reader.Unknown())
	if _, err := io.Copy(io.Discard, source); err != nil {
		return err
	}
	f.SHA256 = hex.EncodeToString(hash.Sum(nil))
	return nil
}

// ofKind names a file of a kind.
func ofKind(k intake.Kind) string {
	switch k {
	case intake.PriceSheet:
		return "a price sheet"
	case intake.OfferMatrix:
		return "an offer matrix"
	default:
		return "a file of " + k.String()
	}
}

// headerReason says what is wrong with a header, which has no values.
func headerReason(header *table.Errors) string {
	var all []string
	for _, e := range header.List {
		text := e.Rule
		if e.Column != "" {
			text = "column " + e.Column + " " + text
		}
		all = append(all, text)
	}
	return strings.Join(all, "; ")
}

// brokenOff says what to do about a file that is not whole.
func brokenOff(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = fmt.Errorf("what is packed in it ends too early: %w", err)
	}
	return fmt.Errorf("it breaks off: %w; download or copy it again", err)
}

// lastByte remembers the last byte written to it.
type lastByte byte

func (l *lastByte) Write(p []byte) (int, error) {
	if len(p) > 0 {
		*l = lastByte(p[len(p)-1])
	}
	return len(p), nil
}

// count tells how many lines were read.
func (r *reading) count(lines int) {
	r.watched.Lock()
	defer r.watched.Unlock()
	r.lines += int64(lines)
	r.env.progress("read", r.lines, 0)
}

func reconKind(what intake.Recognised) string {
	kind := "reconciliation"
	if what.Kind == intake.LegacyCharges {
		kind = "legacy licence reconciliation"
	}
	return kind + ", " + what.Format.String()
}

// fieldOf says which column must not be blank, or must be there, for a field
// not to lack.
type fieldOf struct {
	column  int
	field   reconcile.Fields
	present bool // blank is a value
}

func fieldsOf(r *intake.ChargeReader) []fieldOf {
	var all []fieldOf
	for _, f := range []struct {
		name    string
		field   reconcile.Fields
		present bool
	}{
		{"UnitPrice", reconcile.FieldUnitPrice, false},
		{"EffectiveUnitPrice", reconcile.FieldEffectiveUnitPrice, false},
		{"BillableQuantity", reconcile.FieldBillableQuantity, false},
		{"PCToBCExchangeRate", reconcile.FieldExchangeRate, false},
		{"PricingCurrency", reconcile.FieldPricingCurrency, false},
		{"PromotionId", reconcile.FieldPromotionID, true},
		{"OrderDate", reconcile.FieldOrderDate, false},
		{"ChargeStartDate", reconcile.FieldChargeDates, false},
		{"ChargeEndDate", reconcile.FieldChargeDates, false},
		{"TaxTotal", reconcile.FieldTaxTotal, false},
	} {
		all = append(all, fieldOf{r.Column(f.name), f.field, f.present})
	}
	return all
}

// taker makes records of the charges of one file.
type taker struct {
	*reading
	file   *theirFile
	number int
	sorter *spill.Sorter
	legacy bool
	fields []fieldOf

	charge     intake.Charge
	line       invoice.Line
	key, value []byte
}

// take sorts the charge in. What cannot be compared is refused.
func (t *taker) take() (*table.Error, error) {
	c := &t.charge
	r := billedRecord{line: &t.line, file: t.number, row: c.Line, legacy: t.legacy, extra: c.Extra}
	for _, f := range t.fields {
		if f.present && !c.Present.Has(f.column) || !f.present && !c.Filled.Has(f.column) {
			r.lacks |= f.field
		}
	}
	if r.lacks.Has(reconcile.FieldTaxTotal) {
		c.TaxTotal = c.Total.Sub(c.Subtotal)
	}
	if c.Quantity.IsZero() {
		c.Quantity = c.BillableQuantity
	}
	tidy(c)
	if refused := fillLine(&t.line, c); refused != nil {
		return refused, nil
	}
	if refused := unsortable(c); refused != nil {
		return refused, nil
	}
	partner, customer, known, byCustomer := t.parties.find(c)
	switch {
	case !known:
		key := foreignKey{c.PartnerID, t.line.Currency}
		if t.file.foreign[key] == nil {
			t.file.foreign[key] = new(foreignSum)
		}
		t.file.foreign[key].lines++
		t.file.foreign[key].total += t.line.Total
		t.file.Lines++
		return nil, nil
	case t.parties.wanted != nil && !t.parties.wanted[partner]:
		t.file.Others++
		return nil, nil
	case byCustomer:
		t.file.ByCustomer++
	}
	t.line.Account.PartnerID, t.line.Account.CustomerID = partner, customer
	r.document = t.document(partner)
	t.file.documents[r.document].readable[partnerMonth{partner, dated(&t.line)}]++
	t.file.Lines++
	t.key, t.value = r.sortKey(t.key[:0]), r.encode(t.value[:0])
	return nil, t.sorter.Add(t.key, t.value)
}

// unread sorts in what could be read of a refused line: a line of ours that it
// may be must not be called missing without a word of it.
func (t *taker) unread(refused *table.Error) error {
	c := &t.charge
	if unsortable(c) != nil || c.SubscriptionID == "" || c.CustomerID == "" {
		t.file.illegible++
		return nil
	}
	partner, customer, known, _ := t.parties.find(c)
	if !known || t.parties.wanted != nil && !t.parties.wanted[partner] {
		return nil
	}
	account, item := t.line.Account, t.line.Item
	*account = invoice.Account{PartnerID: partner, CustomerID: customer}
	*item = invoice.Item{ProductID: c.ProductID, SkuID: c.SkuID}
	t.line = invoice.Line{Account: account, Item: item, InvoiceNumber: c.InvoiceNumber, SubscriptionID: c.SubscriptionID, OrderDate: c.OrderDate,
		ChargeType: c.ChargeType, ChargeStart: c.ChargeStartDate, ChargeEnd: c.ChargeEndDate, Quantity: c.Quantity, BillableQuantity: c.BillableQuantity,
		EffectiveUnitPrice: c.EffectiveUnitPrice, RateDate: pricing.NoDate, TermStart: pricing.NoDate, TermEnd: pricing.NoDate}
	r := billedRecord{line: &t.line, file: t.number, row: refused.Line, legacy: t.legacy, refused: reason(refused)}
	r.document = t.document(partner)
	t.key, t.value = r.sortKey(t.key[:0]), r.encode(t.value[:0])
	return t.sorter.Add(t.key, t.value)
}

// reason is what is wrong with a line, without the number that it has.
func reason(refused *table.Error) string {
	e := *refused
	e.Line = 0
	return e.Error()
}

// unsortable refuses ids that nobody has: lines are sorted by them.
func unsortable(c *intake.Charge) *table.Error {
	for _, id := range [...]struct{ column, value string }{{"PartnerId", c.PartnerID}, {"CustomerId", c.CustomerID}, {"SubscriptionId", c.SubscriptionID}} {
		if strings.ContainsFunc(id.value, func(c rune) bool { return c < ' ' }) {
			return table.NewError(c.Line, id.column, []byte(id.value), "has a control character")
		}
	}
	return nil
}

// document enters the line in its invoice.
func (t *taker) document(partner string) int {
	i, ok := t.file.byNumber[t.line.InvoiceNumber]
	if !ok {
		i = len(t.file.documents)
		t.file.byNumber[t.line.InvoiceNumber] = i
		t.file.documents = append(t.file.documents, &document{number: t.line.InvoiceNumber, months: make(map[pricing.Month]int),
			partners: make(map[string]bool), readable: make(map[partnerMonth]int), currencies: make(map[string]bool)})
	}
	d := t.file.documents[i]
	d.months[dated(&t.line)]++
	d.partners[partner] = true
	d.currencies[t.line.Currency] = true
	return i
}

// noise is what a decimal fraction may be off after it went through binary
// floating point: far less than any price says.
var noise = decimal.New(1, -8)

// tidy takes such noise off the amounts.
func tidy(c *intake.Charge) {
	digits, ok := pricing.MinorDigits(c.Currency)
	if !ok {
		return
	}
	for _, amount := range [...]*decimal.Decimal{&c.Subtotal, &c.TaxTotal, &c.Total} {
		if amount.Exponent() >= -int32(digits) {
			continue
		}
		if rounded := amount.RoundBank(int32(digits)); amount.Sub(rounded).Abs().LessThan(noise) {
			*amount = rounded
		}
	}
}

// records yields theirs in order, without those of files that were given twice.
func (r *reading) records(yield func(billedRecord, error) bool) {
	for record, err := range spill.Merge(r.sorters...) {
		var b billedRecord
		if err == nil {
			b, err = decodeBilled(record.Value)
		}
		if err != nil {
			yield(b, err)
			return
		}
		if r.files[b.file].Same == "" && !yield(b, nil) {
			return
		}
	}
}
