package exports

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
	"github.com/shopspring/decimal"

	"github.com/calends/calends/pricing"
)

func optional(s string) Optional { return Optional{decimal.RequireFromString(s), true} }

// someDifferences are rows of every shape: both sides, one side, two
// currencies, text that must be quoted.
func someDifferences() []Difference {
	both := Difference{
		PartnerID: "p1", CustomerID: "c1", CustomerName: `"Quoted", Inc.`, SubscriptionID: "s1", ProductID: "CFQ7", SkuID: "0001", SkuName: "Büro",
		Match: 1, Step: "quantity", Cause: "quantity", Status: "open", Currency: "EUR", Subtotal: -994, TaxTotal: -208, Total: -1202,
		Explanation: "they billed 24, we 25", Expected: "25", Billed: "24", Evidence: `{"date":"2026-10-05"}`,
		Ours: DifferenceSide{Lines: 1, Month: "2026-10", Invoice: "C202610-000001", Rows: "7", ChargeType: "new", OrderDate: pricing.DateOf(2026, 10, 5),
			ChargeStart: pricing.DateOf(2026, 10, 5), ChargeEnd: pricing.DateOf(2026, 11, 4), Quantity: optional("25"), UnitPrice: optional("9.945"),
			EffectiveUnitPrice: optional("9.945"), PricingCurrency: "EUR", ExchangeRate: optional("1"), Currency: "EUR", Subtotal: 24850, TaxTotal: 5218, Total: 30068},
		Theirs: DifferenceSide{Lines: 2, Month: "2026-10", Invoice: "G1", File: "recon.csv", Rows: "12 13", ChargeType: "new", OrderDate: pricing.NoDate,
			ChargeStart: pricing.DateOf(2026, 10, 5), ChargeEnd: pricing.DateOf(2026, 11, 4), Currency: "EUR", Subtotal: 23856, TaxTotal: 5010, Total: 28866,
			Unknown: `{"Tier":"2"}`},
	}
	one := Difference{PartnerID: "p1", CustomerID: "c2", Match: 2, Step: "remainder", Cause: "missingHere", Status: "open", Currency: "KWD",
		Subtotal: 6009, Total: 6009, Theirs: DifferenceSide{Lines: 1, Currency: "KWD", Subtotal: 6009, Total: 6009, ChargeStart: pricing.NoDate,
			ChargeEnd: pricing.NoDate, OrderDate: pricing.NoDate},
		Ours: DifferenceSide{ChargeStart: pricing.NoDate, ChargeEnd: pricing.NoDate, OrderDate: pricing.NoDate}}
	return []Difference{both, one}
}

func encodeDifferences(t *testing.T, w interface {
	Encode(*Difference) error
	Close() error
}) {
	t.Helper()
	for _, d := range someDifferences() {
		if err := w.Encode(&d); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := w.Encode(&Difference{}); err == nil {
		t.Error("a closed encoder takes another row")
	}
}

func TestDifferencesCSV(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	encodeDifferences(t, NewDifferencesCSV(&b))
	rows, err := csv.NewReader(bytes.NewReader(b.Bytes())).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	cell := func(row int, name string) string {
		for i, column := range rows[0] {
			if column == name {
				return rows[row][i]
			}
		}
		t.Fatalf("no column %s", name)
		return ""
	}
	for _, want := range []struct {
		row         int
		name, value string
	}{
		{1, "CustomerName", `"Quoted", Inc.`}, {1, "Match", "1"}, {1, "DifferenceSubtotal", "-9.94"}, {1, "DifferenceTotal", "-12.02"},
		{1, "OurQuantity", "25"}, {1, "OurChargeStartDate", "2026-10-05"}, {1, "OurUnitPrice", "9.945"}, {1, "OurSubtotal", "248.50"},
		{1, "TheirRows", "12 13"}, {1, "TheirQuantity", ""}, {1, "TheirOrderDate", ""}, {1, "TheirSubtotal", "238.56"},
		{1, "TheirFile", "recon.csv"}, {1, "TheirUnknownColumns", `{"Tier":"2"}`}, {1, "Evidence", `{"date":"2026-10-05"}`},
		{2, "DifferenceTotal", "6.009"}, {2, "OurLines", "0"}, {2, "OurSubtotal", ""}, {2, "TheirTotal", "6.009"},
	} {
		if got := cell(want.row, want.name); got != want.value {
			t.Errorf("row %d, %s is %q, want %q", want.row, want.name, got, want.value)
		}
	}
	if strings.Count(b.String(), rowEnd) != 3 {
		t.Error("rows do not end with CRLF")
	}
	for name, count := range map[string]int{"Match": 1, "TheirFile": 1} {
		if n := strings.Count(","+strings.Join(rows[0], ",")+",", ","+name+","); n != count {
			t.Errorf("column %s stands %d times", name, n)
		}
	}
}

func TestDifferencesParquet(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	encodeDifferences(t, NewDifferencesParquet(&b))
	file, err := parquet.OpenFile(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		t.Fatal(err)
	}
	if got := file.Schema().Name(); got != "differences" {
		t.Errorf("the schema is called %q", got)
	}
	rows := make([]parquet.Row, 3)
	reader := file.RowGroups()[0].Rows()
	n, err := reader.ReadRows(rows)
	if err != nil && !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	if err := reader.Close(); err != nil {
		t.Fatal(err)
	}
	if n != 2 {
		t.Fatalf("%d rows, want 2", n)
	}
	value := func(row int, name string) string {
		leaf, ok := file.Schema().Lookup(name)
		if !ok {
			t.Fatalf("no column %s", name)
		}
		return rows[row][leaf.ColumnIndex].String()
	}
	for _, want := range []struct {
		row         int
		name, value string
	}{
		{0, "SkuName", "Büro"}, {0, "DifferenceSubtotal", "-99400"}, {0, "Match", "1"}, {0, "OurUnitPrice", "9945000"}, {0, "OurQuantity", "25000000"},
		{0, "OurChargeStartDate", "20731"}, {0, "TheirOrderDate", "<null>"}, {0, "TheirUnitPrice", "<null>"}, {0, "OurExchangeRate", "1000000000"},
		{1, "DifferenceTotal", "60090"}, {1, "OurTotal", "<null>"}, {1, "OurLines", "0"}, {1, "OurRows", ""},
	} {
		if got := value(want.row, want.name); got != want.value {
			t.Errorf("row %d, %s is %s, want %s", want.row, want.name, got, want.value)
		}
	}
}
