package jobs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/shopspring/decimal"
	"github.com/xuri/excelize/v2"

	"github.com/calends/calends/exports"
	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pricing"
)

// records are the rows of a sheet as they are stored, by heading.
func records(t *testing.T, book *excelize.File, sheet string) []map[string]string {
	t.Helper()
	rows, err := book.GetRows(sheet, excelize.Options{RawCellValue: true})
	if err != nil {
		t.Fatal(err)
	}
	all := make([]map[string]string, 0, len(rows))
	for _, row := range rows[1:] {
		if len(row) > 0 && row[0] == "Total" {
			continue // below the records
		}
		record := make(map[string]string)
		for i, cell := range row {
			record[rows[0][i]] = cell
		}
		all = append(all, record)
	}
	return all
}

func sumOf(t *testing.T, records []map[string]string, column string) (sum decimal.Decimal) {
	t.Helper()
	for _, r := range records {
		sum = sum.Add(testDecimal(t, r[column]))
	}
	return sum
}

// bookOf opens a partner's workbook of a month's current revision.
func bookOf(t *testing.T, env Env, m ledger.Month, partnerID string) *excelize.File {
	t.Helper()
	data, err := bucket.ReadAll(t.Context(), env.Bucket, ledger.RevisionPrefix(m.Month, m.Current.Revision)+partnerFile(partnerID, workbookName))
	if err != nil {
		t.Fatal(err)
	}
	book, err := excelize.OpenReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := book.Close(); err != nil {
			t.Error(err)
		}
	})
	return book
}

// In every workbook of the demo the sheets add up to the CSV, every check passes,
// and the waterfall leads from one month's net to the next one's.
func TestWorkbooksOfTheDemo(t *testing.T) {
	t.Parallel()
	env := story(t)
	months, err := env.ledger().Months(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	nets := make(map[string]string) // of the month before, by partner
	for _, m := range months {
		for _, inv := range m.Current.Invoices {
			book := bookOf(t, env, m, inv.PartnerID)
			name := m.Month.String() + " " + inv.PartnerID
			var totals invoice.Totals
			key := ledger.RevisionPrefix(m.Month, m.Current.Revision) + partnerFile(inv.PartnerID, csvName)
			if err := env.readLines(t.Context(), key, totals.Add); err != nil {
				t.Fatal(err)
			}
			digits, _ := pricing.MinorDigits(inv.Currency)
			for _, sheet := range []string{"Invoice lines", "By customer", "By product"} {
				for column, want := range map[string]int64{"Net": totals.Subtotal, "Tax": totals.TaxTotal, "Gross": totals.Total} {
					if got := sumOf(t, records(t, book, sheet), column+" ("+inv.Currency+")"); !got.Equal(decimal.New(want, -int32(digits))) {
						t.Errorf("%s: %s, %s comes to %s, the CSV to %s", name, sheet, column, got, pricing.FormatMinor(want, digits))
					}
				}
			}
			requireSummary(t, name, book, nets[inv.PartnerID], inv.Subtotal, m.Month)
			nets[inv.PartnerID] = inv.Subtotal
		}
	}
	if len(nets) != 4 {
		t.Errorf("%d partners", len(nets))
	}
}

func requireSummary(t *testing.T, name string, book *excelize.File, last, this string, month pricing.Month) {
	t.Helper()
	rows, err := book.GetRows("Summary", excelize.Options{RawCellValue: true})
	if err != nil {
		t.Fatal(err)
	}
	checks := 0
	ends := make(map[string]string)
	for _, row := range rows {
		switch {
		case len(row) > 5 && row[5] == "PASS":
			checks++
		case len(row) > 5 && row[5] == "FAIL":
			t.Errorf("%s: %q", name, row)
		case len(row) == 3 && strings.HasPrefix(row[0], "Net of "):
			ends[row[0]] = row[2]
		}
	}
	if checks < 8 {
		t.Errorf("%s: %d checks", name, checks)
	}
	if last == "" {
		if len(ends) > 0 {
			t.Errorf("%s: a waterfall from nothing: %v", name, ends)
		}
		return
	}
	for label, want := range map[string]string{"Net of " + (month - 1).String(): last, "Net of " + month.String(): this} {
		if got, ok := ends[label]; !ok || !testDecimal(t, got).Equal(testDecimal(t, want)) {
			t.Errorf("%s: %s is %q, want %s", name, label, got, want)
		}
	}
}

// Each month of the demo opens with the seats that the month before left, but for
// those that late changes of that month brought.
func TestWorkbookSeatsOfTheDemo(t *testing.T) {
	t.Parallel()
	env := story(t)
	months, err := env.ledger().Months(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	left := make(map[string]int64)                              // by partner
	late := map[string]int64{"2024-04 " + demoAmerican: 8 - 15} // a purchase of March and a reduction of February
	for i, m := range months {
		for _, inv := range m.Current.Invoices {
			opening, closing := seatsOf(t, bookOf(t, env, m, inv.PartnerID))
			want := left[inv.PartnerID] + late[m.Month.String()+" "+inv.PartnerID]
			if i > 0 && opening != want || closing == 0 {
				t.Errorf("%s, partner %s: opens with %d seats, want %d, and closes with %d", m.Month, inv.PartnerID, opening, want, closing)
			}
			left[inv.PartnerID] = closing
		}
	}
	if len(left) != 4 {
		t.Errorf("%d partners", len(left))
	}
}

// seatsOf returns the first and the last number of the roll-forward.
func seatsOf(t *testing.T, book *excelize.File) (opening, closing int64) {
	t.Helper()
	rows, err := book.GetRows("Summary", excelize.Options{RawCellValue: true})
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, row := range rows {
		switch {
		case len(row) != 2 || !strings.HasPrefix(row[0], "Seats as "):
		case strings.HasSuffix(row[0], " begins"):
			opening = testDecimal(t, row[1]).IntPart()
			found++
		case strings.HasSuffix(row[0], " ends"):
			closing = testDecimal(t, row[1]).IntPart()
			found++
		}
	}
	if found != 2 {
		t.Fatalf("the roll-forward of the seats has %d ends", found)
	}
	return opening, closing
}

// A workbook names the revision that it was compared with, its price sheets, and
// no file that is about other partners alone.
func TestWorkbookSources(t *testing.T) {
	t.Parallel()
	env := story(t)
	months, err := env.ledger().Months(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	march := months[2]
	inputs, err := env.ledger().Inputs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, inv := range march.Current.Invoices {
		sources := records(t, bookOf(t, env, march, inv.PartnerID), "Sources")
		if got := sources[0]; got["Kind"] != "last month" || got["Month"] != "2024-02" || got["SHA-256"] != fileOf(t, months[1], partnerFile(inv.PartnerID, csvName)) {
			t.Errorf("partner %s: the first source is %v", inv.PartnerID, got)
		}
		for _, in := range inputs {
			if in.Kind != ledger.Charges || in.Month != "2024-03" {
				continue
			}
			named := slices.ContainsFunc(sources, func(s map[string]string) bool { return s["SHA-256"] == in.SHA256 })
			theirs := slices.ContainsFunc(in.Documents, func(d ledger.Document) bool { return d.PartnerID == inv.PartnerID })
			if named != theirs {
				t.Errorf("partner %s: charges %s are named: %t, are theirs: %t", inv.PartnerID, in.Name, named, theirs)
			}
		}
		if sources[1]["Kind"] != "changes" || sources[1]["Name"] != "manifest.json" {
			t.Errorf("partner %s: the second source is %v", inv.PartnerID, sources[1])
		}
		for _, s := range sources[2:] {
			if len(s["SHA-256"]) != 64 || s["Use"] == "" || s["Records"] == "" {
				t.Errorf("partner %s: source %v", inv.PartnerID, s)
			}
		}
	}
}

func fileOf(t *testing.T, m ledger.Month, path string) string {
	t.Helper()
	for _, f := range m.Current.Files {
		if f.Path == path {
			return f.SHA256
		}
	}
	t.Fatalf("%s has no %s", m.Month, path)
	return ""
}

// The price changes are those that comparing the sheets finds, of what is billed.
func TestWorkbookPriceChanges(t *testing.T) {
	t.Parallel()
	env := story(t)
	months, err := env.ledger().Months(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, m := range months[1:] {
		for _, inv := range m.Current.Invoices {
			for _, c := range records(t, bookOf(t, env, m, inv.PartnerID), "Price changes") {
				if c["Product id"] == "" {
					continue // says that there are none
				}
				found++
				compared, err := env.ComparePrices(t.Context(), PriceComparePlan{Market: c["Market"], Before: m.Month - 1, After: m.Month})
				if err != nil {
					t.Fatal(err)
				}
				if !slices.ContainsFunc(compared.Changes, func(x PriceChange) bool {
					return x.ProductID == c["Product id"] && x.SkuID == c["SKU id"] && x.Term == c["Term"] && x.Plan == c["Plan"] &&
						x.Segment == c["Segment"] && x.Currency == c["Currency"] && x.Before == c["Old price"] && x.After == c["New price"]
				}) {
					t.Errorf("%s: no such change between the sheets: %v", m.Month, c)
				}
			}
		}
	}
	if found == 0 {
		t.Error("the demo has price changes of what it bills")
	}
}

func TestTermAndPlan(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		cycle, term int
		want        string
	}{{1, 1, "P1M Monthly true"}, {1, 12, "P1Y Monthly true"}, {12, 12, "P1Y Annual true"}, {1, 36, "P3Y Monthly true"}, {12, 36, "P3Y Annual true"}, {36, 36, "P3Y Triennial true"}, {3, 12, "  false"}} {
		term, plan, ok := termAndPlan(pricing.Calculation{CycleMonths: c.cycle, TermMonths: c.term})
		if got := fmt.Sprint(term, " ", plan, " ", ok); got != c.want {
			t.Errorf("%d of %d months: %q, want %q", c.cycle, c.term, got, c.want)
		}
	}
}

func TestLinesOf(t *testing.T) {
	t.Parallel()
	env := story(t)
	for _, err := range env.linesOf(t.Context(), "invoices/none.csv") {
		if !errors.Is(err, bucket.ErrNotExist) {
			t.Errorf("a missing file: %v", err)
		}
	}
	m, ok, err := currentMonth(t.Context(), env, marchMonth)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	key := ledger.RevisionPrefix(m.Month, m.Current.Revision) + partnerFile(demoEuropean, csvName)
	seen := 0
	for line, err := range env.linesOf(t.Context(), key) {
		if err != nil || line == nil {
			t.Fatal(err)
		}
		if seen++; seen == 2 {
			break
		}
	}
	stopped, cancel := context.WithCancel(t.Context())
	cancel()
	for _, err := range env.linesOf(stopped, key) {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("a stopped run: %v", err)
		}
	}
	p := publication{env: env, computed: &computed{month: marchMonth}}
	if _, err := p.workbookInfo(t.Context(), partnerInvoice{}, exports.Control{}); !errors.Is(err, errNoCatalog) {
		t.Errorf("without a catalog: %v", err)
	}
}

func currentMonth(ctx context.Context, env Env, month pricing.Month) (ledger.Month, bool, error) {
	at, err := env.snapshot(ctx)
	if err != nil {
		return ledger.Month{}, false, err
	}
	m, ok := at.month(month)
	return m, ok, nil
}
