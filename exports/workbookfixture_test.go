package exports

import (
	"bytes"
	"iter"
	"testing"

	"github.com/shopspring/decimal"
	"github.com/xuri/excelize/v2"

	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pipeline/invoice/waterfall"
	"github.com/calends/calends/pricing"
)

// proved is company with the calculations of its lines, in the order of a file.
func proved() []*invoice.Line {
	lines := company()
	for i, days := range []int{31, 16, 16} {
		l := lines[i]
		l.Proof = &invoice.Proof{Calculation: pricing.Calculation{
			UnitPrice: decimal.RequireFromString("115.2"), CycleMonths: 1, TermMonths: 12, BillingDays: days, CycleDays: 31,
			ExchangeRate: l.ExchangeRate, Quantity: l.Quantity.IntPart(), Credit: l.EffectiveUnitPrice.IsNegative(),
			PerUnit: l.ChargeType == "new", MinorDigits: 2,
		}}
		if i > 0 {
			l.Proof.EventID = "e-20"
		}
	}
	return lines
}

// september is what company's partner was billed the month before.
func september() []*invoice.Line {
	first := *company()[4]
	first.OrderDate, first.ChargeStart, first.ChargeEnd = day("2026-09-03"), day("2026-09-03"), day("2026-10-02")
	first.ChargeType, first.EffectiveUnitPrice = "renew", decimal.RequireFromString("14.25")
	first.Subtotal, first.TaxTotal, first.Total = 3939, 0, 3939
	gone := *company()[0]
	gone.Account = &invoice.Account{PartnerID: gone.Account.PartnerID, CustomerID: "99999999-0000-4000-8000-000000000009", CustomerName: "Left & Gone Ltd"}
	gone.OrderDate, gone.ChargeStart, gone.ChargeEnd, gone.TermEnd = day("2026-09-05"), day("2026-09-05"), day("2026-10-04"), day("2026-10-04")
	gone.Subtotal, gone.TaxTotal, gone.Total = 10000, 1900, 11900
	return []*invoice.Line{&gone, &first}
}

func all(lines []*invoice.Line) iter.Seq2[*invoice.Line, error] {
	return func(yield func(*invoice.Line, error) bool) {
		for _, l := range lines {
			if !yield(l, nil) {
				return
			}
		}
	}
}

// lastMonth compares lines with those of september. Credits without a
// subscription come first, as in a file.
func lastMonth(t testing.TB, this []*invoice.Line) *LastMonth {
	t.Helper()
	last := &LastMonth{Revision: 3, State: "closed", CSV: Control{File: "reconciliation.csv", SHA256: "77aa"}}
	for _, l := range september() {
		last.CSV.Add(l)
	}
	var err error
	if last.Waterfall, err = waterfall.Explain(october, all(september()), all(this)); err != nil {
		t.Fatal(err)
	}
	return last
}

func companyInfo() WorkbookInfo {
	stranger := troubles()[0]
	stranger.PartnerID, stranger.Message = "22222222-2222-4222-8222-222222222222", "of another partner"
	return WorkbookInfo{
		Invoice: document(), Exceptions: append(troubles(), stranger), SoftwareVersion: "1.4.0", Revision: 2,
		CSV: Control{File: "reconciliation.csv", SHA256: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", Totals: document().Totals},
	}
}

// fullInfo fills every sheet but Recon lines.
func fullInfo(t testing.TB) WorkbookInfo {
	t.Helper()
	info := companyInfo()
	info.Last = lastMonth(t, company())
	info.Seats = &invoice.Seats{Opening: 30, Purchased: 25, Added: 5, Removed: 2, Cancelled: 3, Expired: 4, UpgradedIn: 6, UpgradedOut: 6, Renewed: -1, Closing: 50}
	num := decimal.RequireFromString
	was, is, gone := num("110.4"), num("115.2"), num("36")
	info.PriceChanges = []PriceChange{
		{Market: "DE", ProductID: "CFQ7TTC0LDPB", SkuID: "0001", Title: "Microsoft 365 Business Standard", Term: "P1Y", Plan: "Monthly", Segment: "Commercial",
			Currency: "EUR", Old: &was, New: &is, From: day("2026-10-01"), To: pricing.NoDate, Seats: 25, Impact: num("10")},
		{Market: "GB", ProductID: "CFQ7TTC0HD33", SkuID: "0003", Title: "Visio Plan 2", Term: "P1M", Plan: "Monthly", Segment: "Commercial",
			Currency: "USD", Old: &gone, From: day("2026-01-01"), To: day("2026-09-30")},
	}
	info.Sources = []Source{
		{Kind: "last month", Name: "reconciliation.csv", Month: "2026-09", SHA256: "77aa", Records: 2, Refused: -1, Use: "the month that the waterfall begins with"},
		{Kind: "prices", Name: "DE-202610.csv", Month: "2026-10", Market: "DE", SHA256: "5f3c", Records: 4711, Use: "priced lines of this invoice"},
		{Kind: "changes", Name: "=cmd.jsonl", SHA256: "aa00", Records: 12, Refused: 1, Use: "changes of subscriptions"},
	}
	return info
}

// comparison is what a reconciliation of company could find.
func comparison() (ReconInfo, []ReconRow) {
	num := decimal.RequireFromString
	lines := company()
	rows := make([]ReconRow, 0, len(lines)+1)
	var info ReconInfo
	info.Tolerance = invoice.Totals{Subtotal: 5, TaxTotal: 1, Total: 6}
	for i, l := range lines {
		item := l.Item
		row := ReconRow{State: "matched", CustomerID: l.Account.CustomerID, CustomerName: l.Account.CustomerName, SubscriptionID: l.SubscriptionID,
			ProductID: item.ProductID, SkuID: item.SkuID, SkuName: item.SkuName, ChargeType: l.ChargeType, Start: l.ChargeStart, End: l.ChargeEnd,
			Ours: &ReconSide{Ref: "row", Row: i + 1, Lines: 1, Quantity: l.BillableQuantity, EffectivePrice: l.EffectiveUnitPrice, ExchangeRate: l.ExchangeRate,
				Subtotal: l.Subtotal, TaxTotal: l.TaxTotal, Total: l.Total}}
		theirs := *row.Ours
		theirs.Ref, theirs.Row = "microsoft-2026-10.csv row 7", 0
		row.Microsofts = &theirs
		rows = append(rows, row)
	}
	rows[0].State, rows[0].Code, rows[0].Open = "same keys", "unit price", 2
	rows[0].Causes = []ReconCause{{"quantity", 960, 182, 1142}, {"unit price", -710, -135, -845}}
	rows[0].Message = "Microsoft charges 9.7 a licence, the row of 2026-09; our sheet of 2026-10 has 9.6"
	rows[0].Microsofts.EffectivePrice = num("9.7")
	rows[0].Microsofts.Subtotal, rows[0].Microsofts.TaxTotal, rows[0].Microsofts.Total = 24250, 4607, 28857
	rows[3].State, rows[3].Code, rows[3].Open, rows[3].Microsofts = "only ours", "missing there", 1, nil
	rows[3].Causes = []ReconCause{{"missing there", 5000, 950, 5950}}
	rows[3].Message = "Microsoft has no such credit"
	rows = append(rows, ReconRow{State: "only Microsoft's", Code: "missing here", Open: 1, Causes: []ReconCause{{"missing here", 1600, 304, 1904}}, Message: "no change of ours asks for it",
		CustomerID: "cccccccc-0000-4000-8000-000000000003", CustomerName: "Unheard-of Inc", SubscriptionID: "5c", SkuName: "Teams Phone", ProductID: "CFQ7TTC0AAAA", SkuID: "0002",
		ChargeType: "new", Start: day("2026-10-09"), End: day("2026-11-08"),
		Microsofts: &ReconSide{Ref: "microsoft-2026-10.csv row 12", Lines: 1, Quantity: num("2"), EffectivePrice: num("8"), ExchangeRate: num("1"), Subtotal: 1600, TaxTotal: 304, Total: 1904}})
	for _, code := range []string{"unknown", "quantity", "unit price", "missing here", "missing there"} {
		of := invoice.Section{Name: code}
		for _, r := range rows {
			for _, c := range r.Causes {
				if c.Code == code {
					of.Merge(invoice.Totals{Lines: 1, Subtotal: c.Subtotal, TaxTotal: c.TaxTotal, Total: c.Total})
				}
			}
		}
		info.Causes = append(info.Causes, of)
	}
	for _, r := range rows {
		if r.Microsofts != nil {
			info.Billed.Merge(r.Microsofts.totals())
		}
	}
	return info, rows
}

func writeWorkbook(t testing.TB, info WorkbookInfo, lines []*invoice.Line, rowsPerSheet int, compared ...ReconRow) []byte {
	t.Helper()
	var out bytes.Buffer
	b, err := newWorkbook(&out, info, rowsPerSheet)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range lines {
		if err := b.Encode(l); err != nil {
			t.Fatal(err)
		}
	}
	for i := range compared {
		if err := b.EncodeRecon(&compared[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// comparedWorkbook has every sheet.
func comparedWorkbook(t testing.TB, rowsPerSheet int) []byte {
	t.Helper()
	info := fullInfo(t)
	recon, rows := comparison()
	info.Recon = &recon
	return writeWorkbook(t, info, proved(), rowsPerSheet, rows...)
}

func openWorkbook(t testing.TB, file []byte) *excelize.File {
	t.Helper()
	f, err := excelize.OpenReader(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}
