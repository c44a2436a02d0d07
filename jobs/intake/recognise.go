package intake

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/calends/calends/pricing/pricesheet/table"
)

// Kind is what a file is about.
type Kind uint8

// The kinds of files.
const (
	Unknown Kind = iota
	PartnerList
	CustomerList
	PriceSheet
	FXRates
	Promotions
	OfferMatrix
	Changes
	Charges       // Microsoft's reconciliation file, or charges rated elsewhere in its columns
	LegacyCharges // the licence-based reconciliation file from before the new commerce experience
)

// String returns the kind in words.
func (k Kind) String() string {
	return [...]string{"unknown", "partners", "customers", "price sheet", "exchange rates", "promotions", "offer matrix",
		"changes", "charges", "legacy charges"}[k]
}

// Whole reports whether a file of the kind is taken whole or refused whole.
func (k Kind) Whole() bool {
	return k != Unknown && k != Changes && k != Charges && k != LegacyCharges
}

// Format is how a file is written.
type Format uint8

// The formats.
const (
	CSV Format = iota
	JSONLines
	JSON // one document
	Parquet
)

// String returns the format's usual name.
func (f Format) String() string { return [...]string{"CSV", "JSON Lines", "JSON", "Parquet"}[f] }

// Recognised is what a file was found to be.
type Recognised struct {
	Kind   Kind
	Format Format
	// Reason says why the kind is Unknown, and what to do.
	Reason string
}

func unknown(format string, args ...any) Recognised {
	return Recognised{Reason: fmt.Sprintf(format, args...)}
}

// headSize is how much of a file is looked at.
const headSize = 128 << 10

// Recognise tells what a member is by its first bytes. A member that cannot be
// opened is Unknown, with the reason.
func (m *Member) Recognise() Recognised {
	s, err := m.open()
	if err != nil {
		return unknownBecause(err)
	}
	head := make([]byte, headSize)
	n, err := io.ReadFull(s, head)
	if err = errors.Join(notEOF(err), s.Close()); err != nil && n == 0 {
		return unknownBecause(err)
	}
	if !bytes.HasPrefix(head[:n], []byte("PAR1")) {
		return Recognise(head[:n])
	}
	t, err := m.OpenAt()
	if err != nil {
		return unknownBecause(err)
	}
	_, err = NewParquetChanges(t, t.Size)
	if err = errors.Join(err, t.Close()); err != nil {
		return unknown("is a Parquet file, but not of changes: %v", err)
	}
	return Recognised{Kind: Changes, Format: Parquet}
}

func notEOF(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return err
}

func unknownBecause(err error) Recognised {
	var r refusal
	if errors.As(err, &r) {
		return unknown("%s", string(r))
	}
	return unknown("cannot be read: %v", err)
}

// Recognise tells what an unpacked file is by how it begins. Parquet, whose
// columns stand at the end, is for [Member.Recognise].
func Recognise(head []byte) Recognised {
	if len(head) == 0 {
		return unknown("is empty")
	}
	if len(bytes.Trim(head, "\x00")) == 0 {
		return unknown("holds nothing but zero bytes: it was damaged when it was copied or written; get it again")
	}
	for _, magic := range [...]struct{ prefix, what string }{
		{"\xff\xfe", "is UTF-16 text: save it as UTF-8"},
		{"\xfe\xff", "is UTF-16 text: save it as UTF-8"},
		{"PK", "is a zip archive inside another one: unpack it"},
		{"%PDF", "is a PDF: the CSV of the same invoice is wanted"},
		{"\xd0\xcf\x11\xe0", "is an old Excel workbook: save the sheet as CSV UTF-8 (comma delimited)"},
		{"BZh", "is compressed with bzip2: use gzip, zstd or zip"},
		{"\xfd7zXZ", "is compressed with xz: use gzip, zstd or zip"},
		{"7z\xbc\xaf", "is a 7-Zip archive: use gzip, zstd or zip"},
		{"<", "is XML or HTML: perhaps the answer of a web page instead of the file"},
	} {
		if bytes.HasPrefix(head, []byte(magic.prefix)) {
			return unknown("%s", magic.what)
		}
	}
	if i := bytes.IndexByte(head[:min(len(head), 512)], 0); i >= 0 {
		if i <= 1 && len(head) > 3 && (head[0] == 0) != (head[1] == 0) && (head[2] == 0) == (head[0] == 0) {
			return unknown("is UTF-16 text: save it as UTF-8")
		}
		return unknown("is no text: it has zero bytes")
	}
	body := bytes.TrimLeft(bytes.TrimPrefix(head, []byte("\xef\xbb\xbf")), " \t\r\n")
	switch {
	case len(body) == 0:
		return unknown("is empty")
	case body[0] == '{':
		return recogniseJSON(body)
	case body[0] == '[':
		return unknown("is a JSON array: write one object a line, without the brackets")
	}
	return recogniseCSV(head)
}

// signature is the columns by which a kind is known. All must be there.
type signature struct {
	kind    Kind
	columns []string
}

// signatures stand in the order in which they are tried.
var signatures = [...]signature{
	{LegacyCharges, []string{"CustomerId", "SyndicationPartnerSubscriptionNumber", "ChargeType", "TotalForCustomer"}},
	{Charges, []string{"CustomerId", "ChargeType", "Subtotal", "Currency"}},
	{OfferMatrix, []string{"ProductId", "SkuId", "ProductSkuConversion"}},
	{PriceSheet, []string{"ProductId", "SkuId", "TermDuration", "BillingPlan", "Market", "Currency", "UnitPrice"}},
	{FXRates, []string{"CurrencyCode", "USDPerUnit", "Month"}},
	{Changes, []string{"id", "type", "time", "customerId"}},
	{CustomerList, []string{"CustomerId", "CustomerCountry", "PartnerId"}},
	{PartnerList, []string{"PartnerId", "BillingCurrency"}},
}

// byColumns finds the kind with all of its columns, or else the nearest one
// and what is missing of it.
func byColumns(names []string) (kind, nearest Kind, missing []string) {
	have := make(map[string]bool, len(names))
	for _, name := range names {
		have[strings.TrimPrefix(table.NormalName(name), "data.")] = true
	}
	best := 0
	for _, s := range signatures {
		if list := s.kind == CustomerList || s.kind == PartnerList; list && have["chargetype"] {
			continue // a list charges nothing: these are charges that lack a column
		}
		var lacks []string
		for _, column := range s.columns {
			if !have[strings.ToLower(column)] {
				lacks = append(lacks, column)
			}
		}
		if len(lacks) == 0 {
			return s.kind, s.kind, nil
		}
		if found := len(s.columns) - len(lacks); found > best {
			best, nearest, missing = found, s.kind, lacks
		}
	}
	return Unknown, nearest, missing
}

const semicolons = "is separated by semicolons: save it separated by commas, with decimal points, or take it again as it was downloaded"

func recogniseCSV(head []byte) Recognised {
	t, err := table.New("file", bytes.NewReader(head))
	if err != nil {
		if first, _, _ := bytes.Cut(head, []byte{'\n'}); bytes.Count(first, []byte{';'}) > bytes.Count(first, []byte{','}) {
			return unknown("%s", semicolons)
		}
		return unknown("has a header that cannot be read: %v", err)
	}
	names := t.Names()
	kind, nearest, missing := byColumns(names)
	switch {
	case kind != Unknown:
		return Recognised{Kind: kind, Format: CSV}
	case len(names) == 1 && strings.Count(names[0], ";") > 0:
		return unknown("%s", semicolons)
	case len(names) == 1 && strings.Count(names[0], "\t") > 0:
		return unknown("is separated by tabs: save it separated by commas, or take it again as it was downloaded")
	case nearest != Unknown:
		return unknown("has the columns of no known file; for %s it lacks %s", nearest, strings.Join(missing, ", "))
	}
	return unknown("starts with %s, which is the header of no known file", quoted(strings.Join(names, ",")))
}

// quoted cuts a text that may be long.
func quoted(s string) string {
	if len(s) > 60 {
		s = strings.ToValidUTF8(s[:60], "") + "…"
	}
	return fmt.Sprintf("%q", s)
}

// recogniseJSON goes by the first line that is an object, or by a document
// that begins on several lines.
func recogniseJSON(body []byte) Recognised {
	lines := bytes.Split(body, []byte{'\n'})
	for i, line := range lines {
		keys, complete := topKeys(line)
		if i > 0 && !complete || len(keys) == 0 {
			continue
		}
		if r := byKeys(keys, body); r.Kind != Unknown && (complete || len(lines) == 1) {
			return r
		}
	}
	keys, _ := topKeys(body)
	r := byKeys(keys, body)
	if (r.Kind == Changes || r.Kind == Charges) && len(lines) > 1 {
		return unknown("is one JSON object over several lines: write each object on one line")
	}
	return r
}

func byKeys(keys []string, body []byte) Recognised {
	for _, key := range keys {
		if key != "items" {
			continue
		}
		if bytes.Contains(body, []byte(`"chargeType"`)) {
			return unknown("is one JSON answer with items[]: write each of its lines as one object a line")
		}
		return Recognised{Kind: Promotions, Format: JSON}
	}
	kind, nearest, missing := byColumns(keys)
	switch {
	case kind == Changes || kind == Charges || kind == LegacyCharges:
		return Recognised{Kind: kind, Format: JSONLines}
	case hasAll(keys, "type", "time") || hasAll(keys, "specversion") || hasAll(keys, "id", "type"):
		return Recognised{Kind: Changes, Format: JSONLines}
	case kind != Unknown:
		return unknown("is JSON, but %s are read as CSV", kind)
	case nearest != Unknown:
		return unknown("has the fields of no known file; for %s it lacks %s", nearest, strings.Join(missing, ", "))
	}
	return unknown("is JSON with the fields of no known file")
}

func hasAll(keys []string, wanted ...string) bool {
	for _, w := range wanted {
		found := false
		for _, key := range keys {
			found = found || key == w
		}
		if !found {
			return false
		}
	}
	return true
}

// topKeys returns the keys of the first object of a text, and of an object
// data in it, as far as the text goes. complete: it goes to the object's end.
func topKeys(s []byte) (keys []string, complete bool) {
	d := json.NewDecoder(bytes.NewReader(s))
	depth, isKey := 0, false
	inData := false
	for {
		token, err := d.Token()
		if err != nil {
			return keys, false
		}
		switch t := token.(type) {
		case json.Delim:
			switch t {
			case '{', '[':
				if depth == 1 && len(keys) > 0 && keys[len(keys)-1] == "data" && t == '{' {
					inData = true
				}
				depth++
				isKey = t == '{' && (depth == 1 || depth == 2 && inData)
			default:
				depth--
				if depth == 0 {
					return keys, true
				}
				inData = inData && depth >= 2
				isKey = depth == 1 || depth == 2 && inData
			}
			continue
		case string:
			if isKey && (depth == 1 || depth == 2 && inData) {
				keys = append(keys, t)
				isKey = false
				continue
			}
		}
		isKey = depth == 1 || depth == 2 && inData
	}
}
