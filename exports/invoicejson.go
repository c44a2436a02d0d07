package exports

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pricing"
)

// invoiceFormat is the version of the invoice.json contract. Fields may be
// added to a version; a renamed, removed or reinterpreted one makes the next.
const invoiceFormat = 1

// Provenance is what invoice.json says about its own making.
type Provenance struct {
	// SoftwareVersion is the program that computed the invoice.
	SoftwareVersion string
	// Controls are the files written of the invoice's lines, in the order to
	// print, each with the totals of the lines that went into it.
	Controls []Control
}

// Control is a file and what its encoder added up while it wrote.
type Control struct {
	File   string // its name, such as reconciliation.csv
	SHA256 string // of its content, in hex
	invoice.Totals
}

// invoiceFile is invoice.json: the fields in the order in which they are
// printed. Money is text with exactly the currency's minor digits.
type invoiceFile struct {
	FormatVersion int              `json:"formatVersion"`
	Number        string           `json:"number"` // "" in a draft
	Kind          invoice.Kind     `json:"kind"`   // invoice or creditNote
	Status        string           `json:"status"` // draft or closed
	Month         string           `json:"month"`  // YYYY-MM
	Partner       partnerEntry     `json:"partner"`
	Currency      string           `json:"currency"`
	MinorDigits   int              `json:"minorDigits"`
	TaxRate       string           `json:"taxRate"` // a fraction
	Policies      invoice.Policies `json:"policies"`
	Totals        totalsEntry      `json:"totals"`
	Sections      []sectionEntry   `json:"sections"` // by charge type
	Customers     []customerEntry  `json:"customers"`
	PriceSheets   []sheetEntry     `json:"priceSheets"`   // those that priced its lines
	ExchangeRates []rateEntry      `json:"exchangeRates"` // those on its lines
	// ControlTotals are of the lines as they were written, file by file; each
	// must equal Totals.
	ControlTotals   []controlEntry `json:"controlTotals"`
	SoftwareVersion string         `json:"softwareVersion"`
}

type partnerEntry struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Country string `json:"country"`
	MpnID   string `json:"mpnId"`
}

type totalsEntry struct {
	Lines    int    `json:"lines"`
	Subtotal string `json:"subtotal"`
	TaxTotal string `json:"taxTotal"`
	Total    string `json:"total"`
}

type sectionEntry struct {
	Name string `json:"name"`
	totalsEntry
}

type customerEntry struct {
	CustomerID   string `json:"customerId"`
	CustomerName string `json:"customerName"`
	totalsEntry
}

type sheetEntry struct {
	Market string `json:"market"`
	Month  string `json:"month"`
	File   string `json:"file"`
	SHA256 string `json:"sha256"`
}

type rateEntry struct {
	PricingCurrency string `json:"pricingCurrency"`
	Month           string `json:"month"`
	Rate            string `json:"rate"` // to the invoice's currency
}

type controlEntry struct {
	File   string `json:"file"`
	SHA256 string `json:"sha256"`
	totalsEntry
}

// status is not a field of an invoice: closing is what numbers it.
func status(inv *invoice.Invoice) string {
	if inv.Number == "" {
		return "draft"
	}
	return "closed"
}

// WriteInvoice writes invoice.json: two-space indent, a final newline, and the
// same bytes for the same invoice.
func WriteInvoice(w io.Writer, inv *invoice.Invoice, p Provenance) error {
	totals := func(t invoice.Totals) totalsEntry {
		money := func(minor int64) string { return string(appendAmount(nil, minor, inv.MinorDigits)) }
		return totalsEntry{t.Lines, money(t.Subtotal), money(t.TaxTotal), money(t.Total)}
	}
	file := invoiceFile{
		FormatVersion:   invoiceFormat,
		Number:          inv.Number,
		Kind:            inv.Kind,
		Status:          status(inv),
		Month:           inv.Month.String(),
		Partner:         partnerEntry{inv.PartnerID, inv.PartnerName, inv.Country, inv.MpnID},
		Currency:        inv.Currency,
		MinorDigits:     inv.MinorDigits,
		TaxRate:         inv.TaxRate,
		Policies:        inv.Policies,
		Totals:          totals(inv.Totals),
		Sections:        make([]sectionEntry, 0, len(inv.Sections)),
		Customers:       []customerEntry{}, // see writeAround
		PriceSheets:     make([]sheetEntry, 0, len(inv.Sheets)),
		ExchangeRates:   make([]rateEntry, 0, len(inv.Rates)),
		ControlTotals:   make([]controlEntry, 0, len(p.Controls)),
		SoftwareVersion: p.SoftwareVersion,
	}
	for _, s := range inv.Sections {
		file.Sections = append(file.Sections, sectionEntry{s.Name, totals(s.Totals)})
	}
	for _, s := range inv.Sheets {
		file.PriceSheets = append(file.PriceSheets, sheetEntry{s.Market, s.Month.String(), s.File, s.SHA256})
	}
	for _, r := range inv.Rates {
		file.ExchangeRates = append(file.ExchangeRates, rateEntry{r.PricingCurrency, r.Month.String(), r.Rate})
	}
	for _, c := range p.Controls {
		file.ControlTotals = append(file.ControlTotals, controlEntry{c.File, c.SHA256, totals(c.Totals)})
	}
	text, err := jsonText(file, "  ")
	if err == nil {
		err = writeAround(w, text, inv)
	}
	if err != nil {
		return fmt.Errorf("write invoice.json of partner %q: %w", inv.PartnerID, err)
	}
	return nil
}

// jsonText renders a value as the file has it, with a final newline.
func jsonText(v any, indent string) ([]byte, error) {
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetIndent("", indent)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return text.Bytes(), err
}

// noCustomers can stand nowhere else: no text of JSON has a line end in it.
const noCustomers = "\n  \"customers\": []"

// writeAround writes a file that was rendered without its customers around them.
// A large invoice has tens of thousands, which take encoding/json, as it indents
// what it wrote, ten times as long.
func writeAround(w io.Writer, text []byte, inv *invoice.Invoice) (err error) {
	at := bytes.Index(text, []byte(noCustomers)) + len(noCustomers) - len("]")
	buf := append(make([]byte, 0, csvBuffer+csvBuffer/4), text[:at]...)
	for i := range inv.Customers {
		if i > 0 {
			buf = append(buf, ',')
		}
		if buf, err = appendCustomer(buf, &inv.Customers[i], inv.MinorDigits); err != nil {
			return fmt.Errorf("customer %q: %w", inv.Customers[i].CustomerID, err)
		}
		if len(buf) >= csvBuffer {
			if _, err := w.Write(buf); err != nil {
				return err
			}
			buf = buf[:0]
		}
	}
	if len(inv.Customers) > 0 {
		buf = append(buf, "\n  "...)
	}
	_, err = w.Write(append(buf, text[at:]...))
	return err
}

// appendCustomer appends what encoding/json makes of a [customerEntry] there.
func appendCustomer(dst []byte, c *invoice.CustomerTotal, digits int) (_ []byte, err error) {
	dst = append(dst, "\n    {\n      \"customerId\": "...)
	if dst, err = appendJSON(dst, c.CustomerID); err != nil {
		return nil, err
	}
	dst = append(dst, ",\n      \"customerName\": "...)
	if dst, err = appendJSON(dst, c.CustomerName); err != nil {
		return nil, err
	}
	dst = strconv.AppendInt(append(dst, ",\n      \"lines\": "...), int64(c.Lines), 10)
	dst = appendAmount(append(dst, ",\n      \"subtotal\": \""...), c.Subtotal, digits)
	dst = appendAmount(append(dst, "\",\n      \"taxTotal\": \""...), c.TaxTotal, digits)
	dst = appendAmount(append(dst, "\",\n      \"total\": \""...), c.Total, digits)
	return append(dst, "\"\n    }"...), nil
}

// appendJSON appends a text as JSON.
func appendJSON(dst []byte, s string) ([]byte, error) {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			text, err := jsonText(s, "")
			return append(dst, bytes.TrimSuffix(text, []byte{'\n'})...), err
		}
	}
	return append(append(append(dst, '"'), s...), '"'), nil
}

// ReadInvoice reads what [WriteInvoice] wrote. Fields that it does not know are
// of a later program and skipped; a missing or misspelt amount is an error.
func ReadInvoice(r io.Reader) (*invoice.Invoice, Provenance, error) {
	var file invoiceFile
	d := json.NewDecoder(r)
	if err := d.Decode(&file); err != nil {
		return nil, Provenance{}, fmt.Errorf("read invoice.json: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, Provenance{}, fmt.Errorf("read invoice.json: %w: text after the object", ErrSyntax)
	}
	inv, p, err := file.invoice()
	if err != nil {
		return nil, Provenance{}, fmt.Errorf("read invoice.json: %w: %w", ErrSyntax, err)
	}
	return inv, p, nil
}

func (f *invoiceFile) invoice() (*invoice.Invoice, Provenance, error) {
	if f.FormatVersion != invoiceFormat {
		return nil, Provenance{}, fmt.Errorf("formatVersion is %d, want %d", f.FormatVersion, invoiceFormat)
	}
	if digits, err := minorDigits(f.Currency); err != nil {
		return nil, Provenance{}, fmt.Errorf("currency: %w", err)
	} else if digits != f.MinorDigits {
		return nil, Provenance{}, fmt.Errorf("minorDigits is %d, %s has %d", f.MinorDigits, f.Currency, digits)
	}
	p := parser{digits: f.MinorDigits}
	inv := &invoice.Invoice{
		Month:       p.month("month", f.Month),
		Number:      f.Number,
		Kind:        f.Kind,
		PartnerID:   f.Partner.ID,
		PartnerName: f.Partner.Name,
		Country:     f.Partner.Country,
		MpnID:       f.Partner.MpnID,
		Currency:    f.Currency,
		MinorDigits: f.MinorDigits,
		TaxRate:     f.TaxRate,
		Policies:    f.Policies,
		Totals:      p.totals("totals", f.Totals),
	}
	if f.Kind != invoice.KindInvoice && f.Kind != invoice.KindCreditNote {
		p.fail("kind", fmt.Errorf("%q: want %s or %s", f.Kind, invoice.KindInvoice, invoice.KindCreditNote))
	}
	if f.Status != status(inv) {
		p.fail("status", fmt.Errorf("%q of an invoice with the number %q", f.Status, f.Number))
	}
	for i, s := range f.Sections {
		inv.Sections = append(inv.Sections, invoice.Section{Name: s.Name, Totals: p.totals(entry("sections", i), s.totalsEntry)})
	}
	for i, c := range f.Customers {
		inv.Customers = append(inv.Customers, invoice.CustomerTotal{
			CustomerID: c.CustomerID, CustomerName: c.CustomerName,
			Totals: p.totals(entry("customers", i), c.totalsEntry),
		})
	}
	for i, s := range f.PriceSheets {
		inv.Sheets = append(inv.Sheets, invoice.SheetUse{
			Market: s.Market, Month: p.month(entry("priceSheets", i), s.Month), File: s.File, SHA256: s.SHA256,
		})
	}
	for i, r := range f.ExchangeRates {
		inv.Rates = append(inv.Rates, invoice.RateUse{
			PricingCurrency: r.PricingCurrency, Month: p.month(entry("exchangeRates", i), r.Month), Rate: r.Rate,
		})
	}
	made := Provenance{SoftwareVersion: f.SoftwareVersion}
	for i, c := range f.ControlTotals {
		made.Controls = append(made.Controls, Control{c.File, c.SHA256, p.totals(entry("controlTotals", i), c.totalsEntry)})
	}
	return inv, made, p.err
}

func entry(list string, i int) string { return fmt.Sprintf("%s[%d]", list, i) }

// parser reads the texts of an invoiceFile and keeps the first error.
type parser struct {
	digits int
	err    error
}

func (p *parser) fail(field string, err error) {
	if p.err == nil && err != nil {
		p.err = fmt.Errorf("%s: %w", field, err)
	}
}

func (p *parser) totals(field string, t totalsEntry) invoice.Totals {
	money := func(name, s string) int64 {
		minor, err := parseAmount(s, p.digits)
		p.fail(field+"."+name, err)
		return minor
	}
	return invoice.Totals{
		Lines:    t.Lines,
		Subtotal: money("subtotal", t.Subtotal),
		TaxTotal: money("taxTotal", t.TaxTotal),
		Total:    money("total", t.Total),
	}
}

func (p *parser) month(field, s string) pricing.Month {
	m, err := pricing.ParseMonth(s)
	p.fail(field, err)
	return m
}
