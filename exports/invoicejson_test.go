package exports

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/calends/calends/pipeline/invoice"
)

func provenance() Provenance {
	totals := document().Totals
	return Provenance{SoftwareVersion: "1.4.0", Controls: []Control{
		{"reconciliation.csv", "0f1e", totals},
		{"reconciliation.parquet", "a2b3", totals},
	}}
}

func TestInvoiceGolden(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	if err := WriteInvoice(&b, document(), provenance()); err != nil {
		t.Fatal(err)
	}
	golden(t, "invoice.json", b.Bytes())
	inv, made, err := ReadInvoice(&b)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(inv, document()) {
		t.Errorf("invoice read back:\n got %+v\nwant %+v", inv, document())
	}
	if !reflect.DeepEqual(made, provenance()) {
		t.Errorf("provenance read back:\n got %+v\nwant %+v", made, provenance())
	}
}

func TestInvoiceOfADraftWithoutLines(t *testing.T) {
	t.Parallel()
	draft := &invoice.Invoice{Month: october, Kind: invoice.KindInvoice, Currency: "JPY", TaxRate: "0"}
	var b bytes.Buffer
	if err := WriteInvoice(&b, draft, Provenance{}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"status": "draft"`, `"subtotal": "0"`, `"sections": []`} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %s in\n%s", want, b.String())
		}
	}
	if inv, _, err := ReadInvoice(&b); err != nil || !reflect.DeepEqual(inv, draft) {
		t.Errorf("read back %+v, %v", inv, err)
	}
}

func TestInvoiceRefused(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	if err := WriteInvoice(&b, document(), provenance()); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, old, with, want string }{
		{"version", `"formatVersion": 1`, `"formatVersion": 2`, "formatVersion is 2, want 1"},
		{"kind", `"kind": "invoice"`, `"kind": "receipt"`, "kind:"},
		{"status", `"status": "closed"`, `"status": "draft"`, "status:"},
		{"month", `"month": "2026-10"`, `"month": "October"`, "month:"},
		{"currency", `"currency": "EUR"`, `"currency": "EURO"`, "currency:"},
		{"digits", `"minorDigits": 2`, `"minorDigits": 3`, "minorDigits is 3, EUR has 2"},
		{"amount missing", `"total": "221.29"`, `"totals": "221.29"`, "totals.total: amount"},
		{"amount as a number", `"total": "221.29"`, `"total": 221.29`, "cannot unmarshal number"},
		{"second object", "}\n", "}\n{}", "text after the object"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			i := strings.Index(b.String(), c.old)
			if c.old == "}\n" {
				i = b.Len() - 2
			}
			if i < 0 {
				t.Fatalf("%q is not in the file", c.old)
			}
			_, _, err := ReadInvoice(strings.NewReader(b.String()[:i] + c.with + b.String()[i+len(c.old):]))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
	if err := WriteInvoice(&brokenWriter{}, document(), provenance()); !errors.Is(err, errBroken) {
		t.Errorf("broken writer: %v", err)
	}
}

// A large invoice is written in pieces, and customers are as encoding/json writes them.
func TestInvoiceJSONCustomers(t *testing.T) {
	t.Parallel()
	names := []string{"Plain Ltd", "", "M\u00fcller & <S\u00f6hne>", `"Quoted" \ Sons`, "tab\tand\nline", "\u2028\u2029\x7f", "broken \xff", "\u65e5\u672c", `"customers": []`}
	for _, customers := range []int{0, 1, len(names), 5_000} {
		inv := document()
		inv.Customers = nil
		var want []customerEntry
		for i := range customers {
			c := invoice.CustomerTotal{CustomerID: fmt.Sprintf("c%05d", i), CustomerName: names[i%len(names)],
				Totals: invoice.Totals{Lines: i, Subtotal: int64(i) * 7, TaxTotal: -int64(i), Total: int64(i) * 6}}
			inv.Customers = append(inv.Customers, c)
			money := func(minor int64) string { return string(appendAmount(nil, minor, inv.MinorDigits)) }
			want = append(want, customerEntry{c.CustomerID, c.CustomerName, totalsEntry{c.Lines, money(c.Subtotal), money(c.TaxTotal), money(c.Total)}})
		}
		var b bytes.Buffer
		if err := WriteInvoice(&b, inv, provenance()); err != nil {
			t.Fatal(err)
		}
		var file invoiceFile
		if err := json.Unmarshal(b.Bytes(), &file); err != nil {
			t.Fatal(err)
		}
		file.Customers = append([]customerEntry{}, want...)
		whole, err := jsonText(file, "  ")
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(b.Bytes(), whole) {
			t.Errorf("%d customers: the file is not what encoding/json writes:\n%.2000s", customers, b.Bytes())
		}
	}
}
