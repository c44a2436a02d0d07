package jobs

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/calends/calends/pricing"
)

// A reading that goes on knows what one from the beginning knows, and reads the
// catalog anew only where something came for it.
func TestReadingGoesOn(t *testing.T) {
	t.Parallel()
	env, ctx := storyEnv(t), t.Context()
	first, err := env.Read(ctx)
	if err != nil {
		t.Fatal(err)
	}
	next := func(from *Reading) *Reading {
		t.Helper()
		r, err := from.Next(ctx, env)
		if err != nil {
			t.Fatal(err)
		}
		fresh, err := env.Read(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Inputs()) != len(fresh.Inputs()) || len(r.Months()) != len(fresh.Months()) || len(r.at.closes) != len(fresh.at.closes) {
			t.Errorf("%d inputs, %d months, %d closes; want %d, %d, %d", len(r.Inputs()), len(r.Months()), len(r.at.closes),
				len(fresh.Inputs()), len(fresh.Months()), len(fresh.at.closes))
		}
		for i, m := range fresh.Months() {
			if got := r.Months()[i]; got.Current.Fingerprint != m.Current.Fingerprint || got.Current.Revision != m.Current.Revision {
				t.Errorf("month %s: revision %d, want %d", m.Month, got.Current.Revision, m.Current.Revision)
			}
		}
		return r
	}
	if again := next(first); again != first {
		t.Error("nothing is new, but it is another reading")
	}

	ingest := func(name, content string) {
		t.Helper()
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		result, err := env.Ingest(ctx, IngestPlan{Paths: []string{path}})
		if err != nil || result.Taken != 1 {
			t.Fatalf("ingest %s: %+v, %v", name, result, err)
		}
	}
	ingest("changes.jsonl", `{"specversion":"1.0","id":"one","type":"subscription.quantityChanged","time":"2024-04-20T10:00:00Z","subject":"`+voorbeeldStandard+`","data":{"quantity":30,"customerId":"dd6c7dae-4000-49f1-93b4-5dee8cf0620e"}}`+"\n")
	grown := next(first)
	if grown == first || grown.Catalog() != first.Catalog() {
		t.Error("changes came in: want another reading with the same catalog")
	}
	if _, err := env.Bill(ctx, testMonth(t, "2024-04"), false); err != nil {
		t.Fatal(err)
	}
	billed := next(grown)
	if billed == grown || billed.Catalog() != first.Catalog() {
		t.Error("a draft was made: want another reading with the same catalog")
	}

	ingest("partners.csv", "PartnerId,PartnerName,Country,BillingCurrency,MpnId,TaxRate\nnew,New Cloud,NL,EUR,1,0.21\n")
	known := next(billed)
	if _, ok := known.Catalog().Partner("new", testMonth(t, "2024-04")); !ok {
		t.Error("the new partner is not known")
	}
	if _, ok := billed.Catalog().Partner("new", testMonth(t, "2024-04")); ok {
		t.Error("the earlier reading has changed")
	}
	if _, err := env.Close(ctx, testMonth(t, "2024-04"), "for the test"); err != nil {
		t.Fatal(err)
	}
	if closed := next(known); closed.Catalog() == known.Catalog() {
		t.Error("a month was closed: want another catalog")
	}
	env.Today = pricing.DateOf(2026, 1, 2)
	if later := next(known); later == known {
		t.Error("another day, the same reading")
	}
}
