package jobs

import (
	"strings"
	"testing"

	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pricing"
)

// TestRepairOfWhatWasTakenInBefore: what a program took in that kept nothing of what
// sheets and offer matrices tell can be taken in again by this one, byte for byte.
func TestRepairOfWhatWasTakenInBefore(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	files := IngestPlan{Folder: "../testdata/demo", Paths: []string{"offermatrix.csv", "prices/2024-03/NL.csv"}, Month: pricing.MonthOf(2024, 3)}
	now := envOn(bucket.NewMemory())
	if _, err := now.Ingest(ctx, files); err != nil {
		t.Fatal(err)
	}
	inputs, err := now.ledger().Inputs(ctx)
	if err != nil || len(inputs) != 2 {
		t.Fatal(inputs, err)
	}
	before := envOn(bucket.NewMemory())
	l := before.ledger()
	for _, in := range inputs {
		o, put := in.Objects[0], ledger.Object{}
		if in.Kind == ledger.Offers {
			offers, err := now.ledger().OfferMatrix(ctx, inputs)
			if err != nil {
				t.Fatal(err)
			}
			for i := range offers {
				offers[i].Needs, offers[i].Facts = nil, nil
			}
			put, err = l.PutOffers(ctx, offers)
			if err != nil {
				t.Fatal(err)
			}
		} else {
			rows, err := now.ledger().PriceRows(ctx, o)
			if err != nil {
				t.Fatal(err)
			}
			if put, err = l.PutPrices(ctx, o.Market, rows); err != nil {
				t.Fatal(err)
			}
		}
		if put.Key == o.Key {
			t.Fatalf("%s tells nothing", in.Name)
		}
		in.Objects = []ledger.Object{put}
		if err := l.Append(ctx, in); err != nil {
			t.Fatal(err)
		}
	}
	healthy := contents(ctx, t, before.Bucket)
	for key := range healthy {
		if strings.HasPrefix(key, "ledger/data/") {
			if err := before.Bucket.Delete(ctx, key); err != nil {
				t.Fatal(err)
			}
		}
	}
	result, err := before.Repair(ctx, RepairPlan{From: []string{"../testdata/demo/offermatrix.csv", "../testdata/demo/prices/2024-03/NL.csv"}})
	if err != nil || len(result.Left) > 0 {
		t.Fatalf("%+v, %v", result, err)
	}
	sameFiles(t, "repaired", healthy, contents(ctx, t, before.Bucket))
}
