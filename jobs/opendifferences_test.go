package jobs

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pricing"
)

func TestOpenDifferences(t *testing.T) {
	t.Parallel()
	october := pricing.MonthOf(2026, time.October)
	e := Env{Bucket: bucket.NewMemory()}
	put := func(month pricing.Month, revision int, partners ...ReconciledPartner) {
		data, err := json.Marshal(ReconcileManifest{Month: month.String(), Revision: revision, Partners: partners})
		if err != nil {
			t.Fatal(err)
		}
		if err := bucket.Put(t.Context(), e.Bucket, reconcilePrefix(month, revision)+"manifest.json", data); err != nil {
			t.Fatal(err)
		}
	}
	put(october-2, 1, ReconciledPartner{PartnerID: "A", Open: 100}) // before the first month asked for
	put(october-1, 1, ReconciledPartner{PartnerID: "A", Open: 5}, ReconciledPartner{PartnerID: "B", Open: 2})
	put(october-1, 2, ReconciledPartner{PartnerID: "A"})
	// A file without a manifest is no comparison.
	if err := bucket.Put(t.Context(), e.Bucket, reconcilePrefix(october, 1)+"partner=A/differences.csv", nil); err != nil {
		t.Fatal(err)
	}
	put(october+1, 9999, ReconciledPartner{PartnerID: "A", Open: 7})
	put(october+1, 10000, ReconciledPartner{PartnerID: "A", Open: 3})
	put(october+2, 1, ReconciledPartner{PartnerID: "A"})
	put(october+3, 1, ReconciledPartner{PartnerID: "A", Open: 100}) // after the last one

	got, err := e.OpenDifferences(t.Context(), october-1, october+2)
	want := []MonthDifferences{{october - 1, 2}, {october + 1, 3}, {october + 2, 0}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	if err := bucket.Put(t.Context(), e.Bucket, reconcilePrefix(october, 2)+"manifest.json", []byte("{")); err != nil {
		t.Fatal(err)
	}
	if _, err := e.OpenDifferences(t.Context(), october, october); err == nil {
		t.Error("a manifest that cannot be read went unnoticed")
	}
}
