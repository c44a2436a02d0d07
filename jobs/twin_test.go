package jobs

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"strconv"
	"testing"

	"github.com/calends/calends/jobs/internal/twin"
	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pipeline/subscription"
	"github.com/calends/calends/pricing"
)

// TestTwin lives random lives twice: by the engine through real files, and by
// the slow second implementation of the rules. Every line of every month and
// every exception must agree.
//
// CALENDS_TWIN_SEEDS=first-last lives others than the usual ones.
func TestTwin(t *testing.T) {
	forSeeds(t, 40, 4, func(t *testing.T, seed uint64) {
		liveTwice(t, twin.Random(seed, int(1+seed%15)), seed%2 == 0)
	})
}

// forSeeds runs a test for the seeds from 1 on: fewer in short tests, where the
// race detector has enough to see.
func forSeeds(t *testing.T, last, short uint64, test func(*testing.T, uint64)) {
	t.Helper()
	first := uint64(1)
	if testing.Short() {
		last = short
	}
	if seeds := os.Getenv("CALENDS_TWIN_SEEDS"); seeds != "" {
		if _, err := fmt.Sscanf(seeds, "%d-%d", &first, &last); err != nil {
			t.Fatalf("CALENDS_TWIN_SEEDS=%q: want first-last", seeds)
		}
	}
	for seed := first; seed <= last; seed++ {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			t.Parallel()
			test(t, seed)
		})
	}
}

// TestTwinLate lives lives whose changes come in at any time: before their month,
// in it, or after any number of closes. A month is then corrected by one close
// after the other, and what was corrected before is corrected again.
func TestTwinLate(t *testing.T) {
	forSeeds(t, 12, 2, func(t *testing.T, seed uint64) {
		liveTwice(t, scattered(twin.Random(seed, int(2+seed%8)), seed), seed%2 == 0)
	})
}

// scattered lets each change come with another ingest.
func scattered(life twin.Life, seed uint64) twin.Life {
	random := rand.New(rand.NewPCG(seed, 3))
	var ingests []*twin.World
	var changes []twin.Change
	for i := range life.Steps {
		if life.Steps[i].Kind == twin.StepIngest {
			inputs := &life.Steps[i].Inputs
			ingests = append(ingests, inputs)
			changes = append(changes, inputs.Changes...)
			inputs.Changes = nil
		}
	}
	for _, c := range changes {
		to := ingests[random.IntN(len(ingests))]
		to.Changes = append(to.Changes, c)
	}
	return life
}

// liveTwice also holds each month against the whole history, where whole is set.
func liveTwice(t *testing.T, life twin.Life, whole bool) {
	t.Helper()
	ctx := context.Background()
	files, err := life.WriteFiles(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	env := testEnv(t, life.Policies())
	for i, want := range twin.Run(life) {
		month := monthOf(t, want.Step.Month)
		switch want.Step.Kind {
		case twin.StepIngest:
			ingestStep(ctx, t, env, files[i])
			continue
		case twin.StepBill:
			_, err = env.Bill(ctx, month, false)
		case twin.StepClose:
			_, err = env.Close(ctx, month, want.Step.Accept)
		}
		if (err != nil) != (want.Err != nil) {
			t.Fatalf("step %d, %s %s: %v, the twin says %v", i, want.Step.Kind, month, err, want.Err)
		}
		if err == nil {
			compareMonth(ctx, t, env, month, want.Result)
			if whole {
				sameFromWholeHistory(ctx, t, env, month)
			}
		}
		if t.Failed() {
			t.Fatalf("the differences above are after step %d, %s %s", i, want.Step.Kind, month)
		}
	}
}

// sameFromWholeHistory holds a month that began with the state at a close against
// the same month computed from all that ever came in: the same lines, seats and
// exceptions, and the same state for the month after. An open month is made of the
// state's columns where nothing happened, so it is held against both.
func sameFromWholeHistory(ctx context.Context, t *testing.T, env Env, month pricing.Month) {
	t.Helper()
	at, err := env.snapshot(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if known, _ := at.month(month); known.Current.State == ledger.Closed {
		if at, err = at.before(known); err != nil {
			t.Fatal(err)
		}
	}
	compute := func(env Env, closing bool) *computed {
		c, err := env.compute(ctx, at, month, closing)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.close() })
		return c
	}
	fromState, open := compute(env, true), compute(env, false)
	env.WholeHistory = true
	whole, wholeOpen := compute(env, true), compute(env, false)
	if got, want := must(open.sum(ctx, 1)), must(wholeOpen.sum(ctx, 2)); got != want {
		t.Errorf("%s: while open it comes out otherwise from the state at the last close than from the whole history", month)
	}
	for i, inv := range open.invoices {
		if want := wholeOpen.invoices[i].seats; inv.seats != want {
			t.Errorf("%s: partner %s has seats %+v, from the whole history %+v", month, inv.PartnerID, inv.seats, want)
		}
	}
	if open.count != wholeOpen.count {
		t.Errorf("%s: %+v, from the whole history %+v", month, open.count, wholeOpen.count)
	}
	if got, want := must(fromState.sum(ctx, 1)), must(whole.sum(ctx, 2)); got != want {
		t.Errorf("%s: from the state at the last close it comes out otherwise than from the whole history", month)
	}
	if !reflect.DeepEqual(fromState.locks, whole.locks) {
		t.Errorf("%s: %d locks differ from the %d of the whole history", month, len(fromState.locks), len(whole.locks))
	}
	if !reflect.DeepEqual(fromState.state.customers, whole.state.customers) || !reflect.DeepEqual(fromState.state.subscriptions, whole.state.subscriptions) {
		t.Errorf("%s: the state that it leaves differs from that of the whole history", month)
	}
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func testEnv(t *testing.T, policies map[string]twin.Policy) Env {
	t.Helper()
	named := make(map[string]subscription.Policies)
	for id, p := range policies {
		parsed, err := ledger.ParsePolicies(invoice.Policies{Rounding: p.Rounding, MonthEnd: p.MonthEnd, Windows: p.Windows})
		if err != nil {
			t.Fatal(err)
		}
		named[id] = parsed
	}
	return Env{
		Bucket: bucket.NewMemory(), Version: "test", Today: pricing.DateOf(2099, 1, 1), Workers: 2,
		Policies: func(id string) subscription.Policies { return named[id] },
	}
}

func ingestStep(ctx context.Context, t *testing.T, env Env, files twin.Files) {
	t.Helper()
	if files.Inputs != "" {
		result, err := env.Ingest(ctx, IngestPlan{Paths: []string{files.Inputs}})
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range result.Files {
			if f.Status == StatusRefused || f.Refused > 0 {
				t.Errorf("ingest %s: %s %s %v", f.Name, f.Status, f.Reason, f.Errors)
			}
		}
	}
	for _, c := range files.Charges {
		if _, err := env.Ingest(ctx, IngestPlan{Paths: []string{c.Path}, Charges: monthOf(t, c.Month)}); err != nil {
			t.Fatal(err)
		}
	}
}

func monthOf(t *testing.T, m twin.Month) pricing.Month {
	t.Helper()
	if m == 0 {
		return 0
	}
	month, err := pricing.ParseMonth(m.String())
	if err != nil {
		t.Fatal(err)
	}
	return month
}

// compareMonth holds the month's current revision against what the twin wants.
func compareMonth(ctx context.Context, t *testing.T, env Env, month pricing.Month, want twin.Result) {
	t.Helper()
	at, err := env.snapshot(ctx)
	if err != nil {
		t.Fatal(err)
	}
	known, ok := at.month(month)
	if !ok {
		t.Fatalf("%s has no revision", month)
	}
	prefix := ledger.RevisionPrefix(month, known.Current.Revision)
	got := make(map[string][]byte)
	for _, inv := range known.Current.Invoices {
		if got[inv.PartnerID], err = bucket.ReadAll(ctx, env.Bucket, prefix+partnerFile(inv.PartnerID, csvName)); err != nil {
			t.Fatal(err)
		}
		if _, ok := want.Partners[inv.PartnerID]; !ok {
			t.Errorf("%s: partner %s has an invoice, the twin wants none:\n%s", month, inv.PartnerID, got[inv.PartnerID])
		}
	}
	for partner, rows := range want.Partners {
		for _, d := range twin.Diff(rows, got[partner]) {
			t.Errorf("%s, partner %s: %s", month, partner, d)
		}
	}
	exceptions, err := bucket.ReadAll(ctx, env.Bucket, prefix+exceptionsName)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range twin.DiffExceptions(want.Exceptions, exceptions) {
		t.Errorf("%s: %s", month, d)
	}
}
