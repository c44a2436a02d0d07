package offers_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/calends/calends/jobs"
	"github.com/calends/calends/jobs/serve/offers"
	"github.com/calends/calends/jobs/serve/servetest"
	"github.com/calends/calends/pricing"
)

func reading(t *testing.T, env jobs.Env) *jobs.Reading {
	t.Helper()
	r, err := env.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func find(t *testing.T, shelf *offers.Shelf, r *jobs.Reading, market, month, words string) (*offers.Catalogue, []offers.Offer) {
	t.Helper()
	m, err := pricing.ParseMonth(month)
	if err != nil {
		t.Fatal(err)
	}
	c, err := shelf.Catalogue(t.Context(), r, market, m)
	if err != nil {
		t.Fatal(err)
	}
	var found []offers.Offer
	q := offers.Query{At: m.First().Instant(), Words: words}
	for _, place := range c.Find(q) {
		found = append(found, c.Offer(place, q))
	}
	return c, found
}

// A catalogue is kept as long as nothing that it is made of is new.
func TestShelf(t *testing.T) {
	t.Parallel()
	env := servetest.Env(servetest.Demo(t))
	shelf := offers.NewShelf(2)
	r := reading(t, env)
	first, found := find(t, shelf, r, "NL", "2024-04", "business basic")
	if len(found) == 0 || found[0].SkuTitle != "Microsoft 365 Business Basic" || found[0].Tags[0] != "License" || found[0].Limits.MaxLicenses != 300 {
		t.Fatalf("found %+v", found)
	}
	if again, _ := find(t, shelf, reading(t, env), "NL", "2024-04", ""); again != first {
		t.Error("the same input, another catalogue")
	}
	if stale, _ := find(t, shelf, r, "KW", "2024-04", ""); stale.Sheet.Month.String() != "2024-03" {
		t.Errorf("April of KW is governed by %s", stale.Sheet.Month)
	}
	find(t, shelf, r, "US", "2024-04", "")
	if again, _ := find(t, shelf, r, "NL", "2024-04", ""); again == first {
		t.Error("a shelf of two keeps three")
	}

	folder := t.TempDir()
	matrix := "ProductTitle,ProductId,SkuId,SkuTitle,ProvisioningId,ProvisioningString,MinLicenses,MaxLicenses,AssetOwnershipLimit,AssetOwnershipLimitType," +
		"ProductSkuPreRequisites,ProductSkuConversion,Description,AllowedCountries\n" +
		"Microsoft Teams Phone Standard,CFQ7TTC0LH0T,0001,Microsoft Teams Phone Standard,,,1,,,,CFQ7TTC0LH18/0001;CFQ7TTC0LDPB,,,\n"
	if err := os.WriteFile(filepath.Join(folder, "matrix.csv"), []byte(matrix), 0o600); err != nil {
		t.Fatal(err)
	}
	if result, err := env.Ingest(t.Context(), jobs.IngestPlan{Folder: folder, Paths: []string{"matrix.csv"}}); err != nil {
		t.Fatalf("%+v, %v", result, err)
	}
	r = reading(t, env)
	changed, found := find(t, shelf, r, "NL", "2024-04", "teams phone")
	if len(found) != 1 || !found[0].AddOn || fmt.Sprint(found[0].Needs) != "[{CFQ7TTC0LH18 0001 Microsoft 365 Business Basic} {CFQ7TTC0LDPB  Microsoft 365 Business Standard}]" {
		t.Fatalf("found %+v", found)
	}
	if changed.Tag() == first.Tag() {
		t.Error("another matrix, the same tag")
	}
	// Billing's own catalogue has it too, for purchases made here.
	offer, _ := r.Catalog().Offer(pricing.SKU{ProductID: "CFQ7TTC0LH0T", SkuID: "0001"}, pricing.MonthOf(2024, 5))
	if got := jobs.MissingNeeds(offer, nil); len(got) != 2 {
		t.Errorf("without subscriptions %v is missing", got)
	}

	if _, err := shelf.Catalogue(t.Context(), r, "XX", pricing.MonthOf(2024, 4)); !errors.Is(err, jobs.ErrMissing) || !strings.Contains(err.Error(), "XX") {
		t.Errorf("an unknown market: %v", err)
	}
	if _, err := shelf.Catalogue(t.Context(), r, "NL", pricing.MonthOf(2020, 4)); !errors.Is(err, jobs.ErrMissing) {
		t.Errorf("a month before the first sheet: %v", err)
	}
}

// Many who ask at a time share one catalogue, also when the first of them goes away.
func TestShelfIsShared(t *testing.T) {
	t.Parallel()
	r := reading(t, servetest.Env(servetest.Demo(t)))
	shelf := offers.NewShelf(offers.Most)
	gone, leave := context.WithCancel(t.Context())
	leave()
	var asking sync.WaitGroup
	got := make([]*offers.Catalogue, 8)
	for i := range got {
		asking.Go(func() {
			c, err := shelf.Catalogue(gone, r, "DE", pricing.MonthOf(2024, 4))
			if err != nil {
				t.Error(err)
			}
			got[i] = c
		})
	}
	asking.Wait()
	for _, c := range got {
		if c == nil || c != got[0] {
			t.Fatal("several catalogues")
		}
	}
}
