package jobs

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/shopspring/decimal"

	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pricing"
)

// Who is who in the demo; testdata/README.md tells their stories.
const (
	demoEuropean = "80f6fb73-3725-4404-a0ee-98ef768080f3" // bills in EUR, tax 0.21
	demoAmerican = "6c483e07-8f13-4923-9228-bccb7b3b8939"

	voorbeeldStandard = "ac85bab0-1652-40cc-94ec-81da3ac37385"
	voorbeeldOffice   = "9f82d669-9505-4808-8e4d-23756302fd7c"
	voorbeeldPowerBI  = "5c7739c5-386e-4e7c-a8a7-85c44d801912"
	beispielE3        = "094f5334-9545-4d72-b67d-83f1ff2f91d9"
	beispielTrialBI   = "44cfabb3-4523-4f06-af2f-4e5ab531d07e"
	musterSuite       = "ee9208d5-e303-4bd4-8bf1-ce6ef842f122"
	placeholderSales  = "fea68634-69cf-4989-85d4-c9f6c92396ad"
	placeholderSuite  = "74ed4072-312c-4a44-900e-348198989f5e"
	mithalOffice      = "e2c323c0-e539-4620-965e-c147eee7f583"
	dairyPremium      = "770f9957-c3ed-4a2d-af57-c0fc9fb8c8f0"
	exemplarGuides    = "4574c015-ce43-46c5-87db-68c47a2793ef"
	beispiel          = "d4395cd9-4be7-4106-8c3d-8df491e50996" // the customer
)

// storyBucket is the demo as its story leaves it: January to March 2024 closed
// with the charges rated elsewhere, the late files taken in, April billed.
// Tests must not write to it.
var storyBucket = sync.OnceValues(func() (bucket.Bucket, error) {
	env := envOn(bucket.NewMemory())
	return env.Bucket, playStory(context.Background(), env)
})

func playStory(ctx context.Context, env Env) error {
	const folder = "../testdata/demo"
	march := pricing.MonthOf(2024, 3)
	start := []string{"partners.csv", "customers.csv", "fxrates.csv", "promotions.json", "offermatrix.csv", "prices", "changes"}
	if _, err := env.Ingest(ctx, IngestPlan{Folder: folder, Paths: start}); err != nil {
		return err
	}
	if _, err := env.Ingest(ctx, IngestPlan{Folder: folder, Paths: []string{"charges"}, Charges: march}); err != nil {
		return err
	}
	for m := march - 2; m <= march; m++ {
		if _, err := env.Close(ctx, m, "the demo closes with what is open"); err != nil {
			return err
		}
	}
	if _, err := env.Ingest(ctx, IngestPlan{Folder: folder, Paths: []string{"late"}}); err != nil {
		return err
	}
	_, err := env.Bill(ctx, march+1, false)
	return err
}

// story returns the demo to read from.
func story(t *testing.T) Env {
	t.Helper()
	b, err := storyBucket()
	if err != nil {
		t.Fatal(err)
	}
	return envOn(b)
}

func testMonth(t *testing.T, s string) pricing.Month {
	t.Helper()
	m, err := pricing.ParseMonth(s)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func testInstant(t *testing.T, s string) pricing.Instant {
	t.Helper()
	at, err := pricing.ParseInstant(s)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// sameLines compares texts line by line.
func sameLines(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if g, w := strings.Join(got, "\n"), strings.Join(want, "\n"); g != w {
		t.Errorf("%s:\ngot\n%s\nwant\n%s", what, g, w)
	}
}

func testDecimal(t *testing.T, s string) decimal.Decimal {
	t.Helper()
	d, err := decimal.NewFromString(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}
