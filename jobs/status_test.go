package jobs

import (
	"errors"
	"reflect"
	"testing"

	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pipeline/ledger"
)

func TestStatus(t *testing.T) {
	env := demoEnv(t)
	result, err := env.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if result.Begin != "2024-01" || result.Closed != "2024-03" || result.Next != "2024-04" {
		t.Errorf("books %s to %s, next %s; want 2024-01 to 2024-03, next 2024-04", result.Begin, result.Closed, result.Next)
	}
	if n := len(result.Months); n != 4 {
		t.Fatalf("%d months, want 4", n)
	}
	for i, state := range []string{"closed", "closed", "closed", "draft"} {
		if m := result.Months[i]; m.State != state || m.NewInputs != 0 || m.Invoices != 4 {
			t.Errorf("%s: %s, %d new inputs, %d invoices; want %s, 0, 4", m.Month, m.State, m.NewInputs, m.Invoices, state)
		}
	}
}

// A draft is told apart from what came in since; a closed month is not.
func TestStatusCountsNewInputs(t *testing.T) {
	env := demoEnv(t)
	if _, err := env.Ingest(t.Context(), IngestPlan{Folder: "../testdata/demo/bad", Paths: []string{"changes.jsonl"}}); err != nil {
		t.Fatal(err)
	}
	result, err := env.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if closed, draft := result.Months[2].NewInputs, result.Months[3].NewInputs; closed != 0 || draft != 1 {
		t.Errorf("new inputs %d of the closed month, %d of the draft; want 0 and 1", closed, draft)
	}
}

func TestStatusOfNothing(t *testing.T) {
	if _, err := envOn(bucket.NewMemory()).Status(t.Context()); !errors.Is(err, ErrMissing) {
		t.Errorf("error %v, want a missing input", err)
	}
}

func TestTotalsByCurrency(t *testing.T) {
	totals, err := TotalsByCurrency([]ledger.InvoiceSummary{
		{Currency: "USD", Subtotal: "10.10", TaxTotal: "0.00", Total: "10.10"},
		{Currency: "KWD", Subtotal: "1.500", TaxTotal: "0.001", Total: "1.501"},
		{Currency: "USD", Subtotal: "-0.10", TaxTotal: "0.00", Total: "-0.10"},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []CurrencyTotal{{"KWD", 1, "1.500", "0.001", "1.501"}, {"USD", 2, "10.00", "0.00", "10.00"}}
	if !reflect.DeepEqual(totals, want) {
		t.Errorf("got %v, want %v", totals, want)
	}
}
