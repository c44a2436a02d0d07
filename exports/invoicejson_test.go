package exports

import (
	"bytes"
	"errors"
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
