package pricesheet

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/calends/calends/pricing"
	"github.com/calends/calends/pricing/pricesheet/table"
)

const header = "ProductTitle,ProductId,SkuId,SkuTitle,Publisher,SkuDescription,UnitOfMeasure,TermDuration,BillingPlan,Market,Currency," +
	"UnitPrice,PricingTierRangeMin,PricingTierRangeMax,EffectiveStartDate,EffectiveEndDate,Tags,ERP Price,Segment"

// sheetRow returns one row of a sheet that varies the base row by `Column=value` pairs.
func sheetRow(vary ...string) string {
	cells := map[string]string{
		"ProductTitle": "Copilot", "ProductId": "CFQ7TTC0LH18", "SkuId": "1", "SkuTitle": "Copilot", "Publisher": "Microsoft Corporation",
		"TermDuration": "P1Y", "BillingPlan": "Annual", "Market": "NL", "Currency": "EUR", "UnitPrice": "115.2",
		"EffectiveStartDate": "10/1/2026", "EffectiveEndDate": "11/30/9999 23:59", "Tags": "License", "ERP Price": "144", "Segment": "Commercial",
	}
	for _, v := range vary {
		column, value, _ := strings.Cut(v, "=")
		cells[column] = value
	}
	var b strings.Builder
	for i, column := range strings.Split(header, ",") {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(cells[column])
	}
	return b.String()
}

func sheet(rows ...string) string { return header + "\n" + strings.Join(rows, "\n") + "\n" }

func show(r pricing.Row) string {
	return fmt.Sprintf("%s/%s %s %s %s %s %s %s [%s, %s]", r.ProductID, r.SkuID, r.Term, r.Plan, r.Market, r.Segment, r.Currency, r.UnitPrice, r.Start, r.End)
}

func TestReadShapes(t *testing.T) {
	t.Parallel()
	const base = "CFQ7TTC0LH18/0001 P1Y Annual NL Commercial EUR 115.2 [2026-10-01T00:00:00Z, 9999-11-30T23:59:59.9999999Z]"
	with := func(oldnew ...string) string { return strings.NewReplacer(oldnew...).Replace(base) }
	plain := sheet(sheetRow())
	quotedHeader := "\ufeff\"" + strings.ReplaceAll(header, ",", `","`) + "\"\n" + sheetRow() + "\n"
	tests := []struct{ name, in, want string }{
		{"as documented", plain, base},
		{"a byte-order mark", "\ufeff" + plain, base},
		{"a byte-order mark before a quoted header", quotedHeader, base},
		{"CRLF", strings.ReplaceAll(plain, "\n", "\r\n"), base},
		{"columns in any case", strings.ToUpper(header) + "\n" + sheetRow(), base},
		{"columns in any order", reversed(plain), base},
		{"no Segment column is Commercial", strings.ReplaceAll(strings.ReplaceAll(plain, ",Segment", ""), ",Commercial", ""), base},
		{"a blank segment is Commercial", sheet(sheetRow("Segment=")), base},
		{"segments in any case", sheet(sheetRow("Segment=EDUCATION")), with("Commercial", "Education")},
		{"an unknown segment stands", sheet(sheetRow("Segment=GovGCC")), with("Commercial", "GovGCC")},
		{"a SkuId has four places", sheet(sheetRow("SkuId=000P")), with("0001", "000P")},
		{"markets are in capitals", sheet(sheetRow("Market=nl")), base},
		{"a price of zero", sheet(sheetRow("UnitPrice=0.00")), with("115.2", "0")},
		{"trials are kept", sheet(sheetRow("BillingPlan=None", "TermDuration=P1M", "UnitPrice=0")), with("P1Y Annual", "P1M None", "115.2", "0")},
		{"P12M is P1Y", sheet(sheetRow("TermDuration=P12M")), base},

		{"dates with AM and PM", sheet(sheetRow("EffectiveStartDate=2/1/2019 12:00:00 AM", "EffectiveEndDate=2/4/2021 8:35:31 PM")),
			with("2026-10-01T00:00:00Z", "2019-02-01T00:00:00Z", "9999-11-30T23:59:59.9999999Z", "2021-02-04T20:35:31Z")},
		{"an end to the minute lasts through it", sheet(sheetRow("EffectiveStartDate=2/1/2023 0:00", "EffectiveEndDate=2/28/2023 23:59")),
			with("2026-10-01T00:00:00Z", "2023-02-01T00:00:00Z", "9999-11-30", "2023-02-28")},
		{"an end to the day lasts through it", sheet(sheetRow("EffectiveEndDate=2026-10-31")), with("9999-11-30", "2026-10-31")},
		{"an end to the second is exact", sheet(sheetRow("EffectiveStartDate=2021-11-01T00:00:00.0000000Z", "EffectiveEndDate=9999-11-30T23:59:59.0000000Z")),
			with("2026-10-01T00:00:00Z", "2021-11-01T00:00:00Z", ".9999999Z", "Z")},
		{"placeholder years", sheet(sheetRow("EffectiveStartDate=1/1/1753 12:00:00 AM")), with("2026-10-01", "1753-01-01")},
		{"blank dates are unbounded", sheet(sheetRow("EffectiveStartDate=", "EffectiveEndDate=")), with("2026-10-01", "1753-01-01", "9999-11-30", "9999-12-31")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := Read(strings.NewReader(tt.in))
			if err != nil {
				t.Fatal(err)
			}
			if len(got.Rows) != 1 || show(got.Rows[0]) != tt.want || got.Rows[0].Line != 2 {
				t.Errorf("got %+v\nwant %s", got.Rows, tt.want)
			}
			if len(got.Unknown) > 0 {
				t.Errorf("unknown columns %q", got.Unknown)
			}
		})
	}
}

// reversed returns a file with its columns in the opposite order.
func reversed(file string) string {
	lines := strings.Split(strings.TrimSpace(file), "\n")
	for i, line := range lines {
		cells := strings.Split(line, ",")
		slices.Reverse(cells)
		lines[i] = strings.Join(cells, ",")
	}
	return strings.Join(lines, "\n")
}

// What a sheet tells people stands beside each row, once for those that tell the same.
func TestReadListing(t *testing.T) {
	t.Parallel()
	got, err := Read(strings.NewReader(sheet(
		sheetRow("SkuDescription=\"Text, images\"", "UnitOfMeasure=1 Licence", "Tags=License; Trial", "ERP Price=144.00"),
		sheetRow("SkuDescription=\"Text, images\"", "UnitOfMeasure=1 Licence", "Tags=License; Trial", "ERP Price=144.00", "Market=DE"),
		sheetRow(), sheetRow("Tags=", "ERP Price="))))
	if err != nil {
		t.Fatal(err)
	}
	rows := got.Rows
	want := pricing.Listing{Description: "Text, images", UnitOfMeasure: "1 Licence", Tags: "License; Trial", ERPPrice: "144.00"}
	if *rows[0].Listing != want || rows[1].Listing != rows[0].Listing || *rows[2].Listing != (pricing.Listing{Tags: "License", ERPPrice: "144"}) || rows[3].Listing != nil {
		t.Errorf("got %+v, %+v, %+v, %+v", rows[0].Listing, rows[1].Listing, rows[2].Listing, rows[3].Listing)
	}
}

func TestReadAccountsForEveryRow(t *testing.T) {
	t.Parallel()
	in := "ChangeIndicator," + header + ",EndofSaleDate,PreviousValues\n"
	for _, row := range []string{
		sheetRow(), sheetRow(), // duplicates are for the lookup to deal with
		sheetRow("Market=us", "Currency=USD", `ProductTitle="Teams, Rooms"`),
		sheetRow("PricingTierRangeMin=1", "PricingTierRangeMax=9"),
		sheetRow("BillingPlan=None", "UnitPrice=0"),
		sheetRow("TermDuration=OneTime", "BillingPlan=", "UnitPrice="),
		sheetRow("BillingPlan="),
	} {
		in += "Unchanged," + row + ",,\n"
	}
	got, err := Read(strings.NewReader(in))
	if err != nil {
		t.Fatal(err)
	}
	if want := (Counts{Records: 7, Rows: 5, OneTime: 1, NoPlan: 1, Tiered: 1, Trial: 1}); got.Counts != want {
		t.Errorf("got %+v, want %+v", got.Counts, want)
	}
	if !got.Software || strings.Join(got.Markets, " ") != "NL US" {
		t.Errorf("software %v, markets %q", got.Software, got.Markets)
	}
	if want := []string{"ChangeIndicator", "EndofSaleDate", "PreviousValues"}; !slices.Equal(got.Unknown, want) {
		t.Errorf("unknown %q, want %q", got.Unknown, want)
	}
	if got.Rows[2].ProductTitle != "Teams, Rooms" || !got.Rows[3].Tiered || got.Rows[4].Line != 6 {
		t.Errorf("rows %+v", got.Rows)
	}
}

func TestReadRefusesTheWholeSheet(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, in, want string }{
		{"a decimal comma is no price", sheet(sheetRow(`UnitPrice="1,5"`)), `price sheet: line 2: UnitPrice "1,5": ` + table.RuleDecimal},
		{"a negative price", sheet(sheetRow("UnitPrice=-1")), `price sheet: line 2: UnitPrice "-1": must not be negative`},
		{"a blank price", sheet(sheetRow("UnitPrice=")), `price sheet: line 2: UnitPrice "": must not be blank`},
		{"an unknown currency", sheet(sheetRow("Currency=EUX")), `price sheet: line 2: Currency "EUX": want an ISO 4217 currency code`},
		{"an unknown term", sheet(sheetRow("TermDuration=P2Y")), `price sheet: line 2: TermDuration "P2Y": want P1M, P1Y, P3Y or OneTime`},
		{"an unknown plan", sheet(sheetRow("BillingPlan=Weekly")), `price sheet: line 2: BillingPlan "Weekly": want Monthly, Annual, Triennial or None`},
		{"a blank plan in a licence sheet", sheet(sheetRow("BillingPlan=")), `price sheet: line 2: BillingPlan "": want Monthly, Annual, Triennial or None`},
		{"a blank product", sheet(sheetRow("ProductId=")), `price sheet: line 2: ProductId "": must not be blank`},
		{"a blank SKU", sheet(sheetRow("SkuId= ")), `price sheet: line 2: SkuId " ": must not be blank`},
		{"a market in words", sheet(sheetRow("Market=Netherlands")), `price sheet: line 2: Market "Netherlands": want a two-letter country code`},
		{"day/month/year", sheet(sheetRow("EffectiveStartDate=31/12/2026")), `price sheet: line 2: EffectiveStartDate "31/12/2026": ` + table.RuleDate},
		{"a bad end", sheet(sheetRow("EffectiveEndDate=soon")), `price sheet: line 2: EffectiveEndDate "soon": ` + table.RuleDate},
		{"a ragged row", sheet(sheetRow()) + "a,b,c\n", "price sheet: line 3: has 3 fields, the header has 19: the file is cut off or a comma is not quoted"},
		{"a file cut off in a quote", sheet(sheetRow(), sheetRow(`Tags="Lic`)), "price sheet: line 3: ends inside a quoted field: the file is cut off, or a quote is missing"},
		{"a missing column", strings.ReplaceAll(sheet(sheetRow()), "UnitPrice", "Price"), "price sheet: line 1: column UnitPrice is missing"},
		{"no rows", header + "\n", "price sheet: has a header and no rows"},
		{"nothing", "", "price sheet: line 1: has no header row"},
		{"several errors are listed", sheet(sheetRow("Market=1"), sheetRow(), sheetRow("Currency=")),
			"price sheet: 2 errors\n  line 2: Market \"1\": want a two-letter country code\n  line 4: Currency \"\": want an ISO 4217 currency code"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := Read(strings.NewReader(tt.in))
			if err == nil || err.Error() != tt.want || got != nil {
				t.Errorf("got %v\nwant %s", err, tt.want)
			}
			var errs *table.Errors
			if !errors.As(err, &errs) {
				t.Errorf("want a *table.Errors, got %T", err)
			}
		})
	}
}

// A sheet that was cut off anywhere inside its last row is refused.
func TestReadRefusesEveryCut(t *testing.T) {
	t.Parallel()
	whole := strings.TrimSuffix(sheet(sheetRow(), sheetRow("Segment=Education")), "\n")
	if _, err := Read(strings.NewReader(whole)); err != nil {
		t.Fatalf("the line end of the last row may be missing: %v", err)
	}
	last := strings.LastIndexByte(whole, '\n') + 1
	for cut := last + 1; cut < len(whole); cut++ {
		if _, err := Read(strings.NewReader(whole[:cut])); err == nil {
			t.Errorf("read %q as a whole row", whole[last:cut])
		}
	}
}

func TestReadCountsErrorsPastTheList(t *testing.T) {
	t.Parallel()
	_, err := Read(strings.NewReader(sheet(slices.Repeat([]string{sheetRow("Market=1")}, 1000)...)))
	var errs *table.Errors
	if !errors.As(err, &errs) || errs.Count != 1000 || len(errs.List) != table.MaxListed {
		t.Fatalf("got %v", err)
	}
}

func TestReadReportsABrokenInput(t *testing.T) {
	t.Parallel()
	_, err := Read(io.MultiReader(strings.NewReader(sheet(sheetRow())), iotest.ErrReader(io.ErrUnexpectedEOF)))
	if !errors.Is(err, io.ErrUnexpectedEOF) || !strings.HasPrefix(err.Error(), "read price sheet after line ") {
		t.Errorf("got %v", err)
	}
}

// FuzzRead checks that a sheet written from what was read reads as the same rows.
func FuzzRead(f *testing.F) {
	f.Add([]byte(sheet(sheetRow(), sheetRow("TermDuration=OneTime", "BillingPlan="))))
	f.Add([]byte("\ufeff" + sheet(sheetRow("EffectiveStartDate=", "UnitPrice=0.10", "PricingTierRangeMin=1"))))
	samples, _ := filepath.Glob("testdata/*.csv") // none is fine
	for _, name := range samples {
		if data, err := os.ReadFile(name); err == nil {
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		got, err := Read(bytes.NewReader(in))
		if err != nil {
			return
		}
		if c := got.Counts; c.Records != c.Rows+c.OneTime+c.NoPlan || c.Rows != len(got.Rows) {
			t.Fatalf("records are not accounted for: %+v", c)
		}
		if len(got.Rows) == 0 {
			return
		}
		again, err := Read(bytes.NewReader(write(got.Rows)))
		if err != nil {
			t.Fatal(err)
		}
		for i, r := range got.Rows {
			r.Line = again.Rows[i].Line
			if show(r) != show(again.Rows[i]) || r.Tiered != again.Rows[i].Tiered || r.UnitPrice.IsNegative() || r.Market != strings.ToUpper(r.Market) {
				t.Fatalf("row %d: %+v reads back as %+v", i, r, again.Rows[i])
			}
		}
	})
}

// write is a sheet with the rows, for reading back.
func write(rows []pricing.Row) []byte {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	_ = w.Write([]string{"ProductId", "SkuId", "TermDuration", "BillingPlan", "Market", "Segment", "Currency", "UnitPrice", "EffectiveStartDate", "EffectiveEndDate",
		"PricingTierRangeMin", "ProductTitle", "SkuTitle", "Publisher"}) // a Buffer takes everything
	for _, r := range rows {
		tier := ""
		if r.Tiered {
			tier = "1"
		}
		stamp := func(i pricing.Instant) string { return i.Time().Format("2006-01-02T15:04:05.0000000Z") }
		_ = w.Write([]string{r.ProductID, r.SkuID, r.Term.String(), r.Plan.String(), r.Market, r.Segment, r.Currency, r.UnitPrice.String(), stamp(r.Start), stamp(r.End),
			tier, r.ProductTitle, r.SkuTitle, r.Publisher})
	}
	w.Flush()
	return b.Bytes()
}

// BenchmarkRead reads a sheet of 100,000 rows: 5,000 SKUs with 20 prices each.
func BenchmarkRead(b *testing.B) {
	const rows = 100_000
	var in strings.Builder
	in.WriteString(header + "\n")
	for i := range rows {
		in.WriteString(sheetRow(fmt.Sprintf("ProductId=CFQ7TTC0%04X", i/20), fmt.Sprintf("ProductTitle=Product number %d", i/20), fmt.Sprintf("SkuTitle=Product number %d", i/20),
			"SkuDescription="+`"A description of some length, with a comma, as they all have one in the real sheets."`,
			fmt.Sprintf("UnitPrice=%d.%02d", i%997, i%100), "Market="+[]string{"NL", "US", "DE", "GB", "FR"}[i%5]) + "\n")
	}
	data := in.String()
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		if _, err := Read(strings.NewReader(data)); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}
