package jobs

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/shopspring/decimal"

	"github.com/calends/calends/jobs/internal/twin"
	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pricing"
)

// forLives runs a property on a few random lives.
func forLives(t *testing.T, first, last uint64, property func(*testing.T, twin.Life)) {
	t.Helper()
	if testing.Short() {
		last = first // the race detector has enough to see
	}
	for seed := first; seed <= last; seed++ {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			t.Parallel()
			property(t, twin.Random(seed, 10))
		})
	}
}

// allInputs writes everything that a life ever takes in, references before
// changes, and returns the folders and the change files in order.
func allInputs(t *testing.T, life twin.Life) (references []string, changes []string) {
	t.Helper()
	files, err := life.WriteFiles(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if f.Inputs == "" {
			continue
		}
		entries, err := os.ReadDir(f.Inputs)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			path := filepath.Join(f.Inputs, e.Name())
			if strings.HasSuffix(path, ".jsonl") {
				changes = append(changes, path)
			} else {
				references = append(references, path)
			}
		}
	}
	return references, changes
}

func lastMonth(life twin.Life) twin.Month {
	var last twin.Month
	for _, s := range life.Steps {
		last = max(last, s.Month)
	}
	return last
}

// fingerprints returns path and hash of each file of the months' current revisions.
func fingerprints(ctx context.Context, t *testing.T, env Env) map[string]string {
	t.Helper()
	at, err := env.snapshot(ctx)
	if err != nil {
		t.Fatal(err)
	}
	prints := make(map[string]string)
	for _, m := range at.months {
		for _, f := range m.Current.Files {
			prints[m.Month.String()+"/"+f.Path] = f.SHA256
		}
	}
	return prints
}

func sameFiles(t *testing.T, what string, want, got map[string]string) {
	t.Helper()
	for _, path := range slices.Sorted(maps.Keys(want)) {
		if got[path] != want[path] {
			t.Errorf("%s: %s differs", what, path)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%s: %d files, want %d", what, len(got), len(want))
	}
}

// TestOrderSplitAndDuplication: changes in one file, shuffled, torn over many
// files and taken twice, with any number of workers, give the same bytes in
// every file, the workbook included. Conflicting contents of one id are left
// out: for them the order of arrival is the rule.
func TestOrderSplitAndDuplication(t *testing.T) {
	t.Parallel()
	forLives(t, 1, 8, func(t *testing.T, life twin.Life) {
		ctx := context.Background()
		references, files := allInputs(t, life)
		lines := withoutConflicts(t, files)
		month := monthOf(t, lastMonth(life))
		bill := func(workers int, parts [][]string) map[string]string {
			env := testEnv(t, life.Policies())
			env.Workers = workers
			dir := t.TempDir()
			mustIngest(ctx, t, env, references...)
			for i, part := range parts {
				path := filepath.Join(dir, fmt.Sprintf("changes-%d.jsonl", i))
				if err := os.WriteFile(path, []byte(strings.Join(part, "\n")+"\n"), 0o600); err != nil {
					t.Fatal(err)
				}
				mustIngest(ctx, t, env, path)
			}
			for m := month - 2; m <= month; m++ {
				if _, err := env.Bill(ctx, m, false); err != nil {
					t.Fatal(err)
				}
			}
			return fingerprints(ctx, t, env)
		}
		want := bill(1, [][]string{lines})
		random := rand.New(rand.NewPCG(life.Seed, 7))
		shuffled := append(slices.Clone(lines), lines[:len(lines)/2]...)
		random.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		var parts [][]string
		for len(shuffled) > 0 {
			n := min(len(shuffled), 1+random.IntN(20))
			parts = append(parts, shuffled[:n])
			shuffled = shuffled[n:]
		}
		sameFiles(t, "shuffled, split and doubled", want, bill(3, parts))
		sameFiles(t, "8 workers", want, bill(8, [][]string{lines}))
	})
}

// withoutConflicts reads change files and keeps the first content of each id.
func withoutConflicts(t *testing.T, files []string) []string {
	t.Helper()
	seen := make(map[string]bool)
	var lines []string
	for _, path := range files {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for scanner := bufio.NewScanner(bytes.NewReader(data)); scanner.Scan(); {
			line := scanner.Text()
			_, id, _ := strings.Cut(line, `"id":"`)
			id, _, _ = strings.Cut(id, `"`)
			if !seen[id] {
				seen[id] = true
				lines = append(lines, line)
			}
		}
	}
	return lines
}

// TestMonthByMonthEqualsAllAtOnce: closing one month after the other while
// changes come late gives, per subscription and to the cent, what billing the
// whole history at once gives.
func TestMonthByMonthEqualsAllAtOnce(t *testing.T) {
	t.Parallel()
	forLives(t, 1, 12, func(t *testing.T, life twin.Life) {
		ctx := context.Background()
		references, files := allInputs(t, life)
		lines := withoutConflicts(t, files)
		last := monthOf(t, lastMonth(life))
		first := last - 3

		atOnce := testEnv(t, life.Policies())
		mustIngest(ctx, t, atOnce, references...)
		ingestLines(ctx, t, atOnce, lines)
		late := testEnv(t, life.Policies())
		mustIngest(ctx, t, late, references...)
		random := rand.New(rand.NewPCG(life.Seed, 11))
		for m := first; m <= last; m++ {
			// A change may come when its month is closed, up to the last one.
			var now, later []string
			for _, line := range lines {
				if m == last || random.IntN(3) > 0 {
					now = append(now, line)
				} else {
					later = append(later, line)
				}
			}
			lines = later
			ingestLines(ctx, t, late, now)
			for _, env := range []Env{atOnce, late} {
				if _, err := env.Close(ctx, m, "test"); err != nil {
					t.Fatal(err)
				}
			}
		}
		want, got := sumsOf(ctx, t, atOnce), sumsOf(ctx, t, late)
		for key := range want {
			if !got[key].Equal(want[key]) {
				t.Errorf("%s: month by month %s, all at once %s", key, got[key], want[key])
			}
		}
		for key := range got {
			if _, ok := want[key]; !ok && !got[key].IsZero() {
				t.Errorf("%s: month by month %s, all at once nothing", key, got[key])
			}
		}
		proveAll(ctx, t, late, first, last)
	})
}

// proveAll bills closed months again: each must come out byte for byte, and
// nothing may be written.
func proveAll(ctx context.Context, t *testing.T, env Env, first, last pricing.Month) {
	t.Helper()
	before := fingerprints(ctx, t, env)
	for m := first; m <= last; m++ {
		result, err := env.Bill(ctx, m, false)
		if err != nil {
			t.Fatal(err)
		}
		if !result.Proved || result.Written {
			t.Errorf("%s: proved %v, written %v, differences %v", m, result.Proved, result.Written, result.Differences)
		}
	}
	sameFiles(t, "proving", before, fingerprints(ctx, t, env))
}

func ingestLines(ctx context.Context, t *testing.T, env Env, lines []string) {
	t.Helper()
	if len(lines) == 0 {
		return
	}
	path := filepath.Join(t.TempDir(), "changes.jsonl")
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	mustIngest(ctx, t, env, path)
}

// sumsOf adds up all closed months per partner, subscription and currency.
func sumsOf(ctx context.Context, t *testing.T, env Env) map[string]decimal.Decimal {
	t.Helper()
	at, err := env.snapshot(ctx)
	if err != nil {
		t.Fatal(err)
	}
	sums := make(map[string]decimal.Decimal)
	for _, m := range at.months {
		for _, inv := range m.Current.Invoices {
			for _, row := range csvRows(ctx, t, env, m.Month, partnerFile(inv.PartnerID, csvName)) {
				key := strings.Join([]string{row["PartnerId"], row["CustomerId"], row["SubscriptionId"], row["Currency"]}, " ")
				sums[key] = sums[key].Add(decimal.RequireFromString(row["Total"]))
			}
		}
	}
	return sums
}

// TestStoppedRunIsFinished: a run that was killed after any number of writes
// and then runs again leaves the bucket that an undisturbed run leaves.
func TestStoppedRunIsFinished(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	life := twin.Random(5, 4)
	references, files := allInputs(t, life)
	lines := withoutConflicts(t, files)
	month := monthOf(t, lastMonth(life))
	prepared := func() Env {
		env := testEnv(t, life.Policies())
		mustIngest(ctx, t, env, references...)
		ingestLines(ctx, t, env, lines)
		return env
	}
	undisturbed := prepared()
	closeAndBill := func(env Env) error {
		if _, err := env.Close(ctx, month-1, "test"); err != nil {
			return err
		}
		_, err := env.Bill(ctx, month, false)
		return err
	}
	if err := closeAndBill(undisturbed); err != nil {
		t.Fatal(err)
	}
	want := contents(ctx, t, undisturbed.Bucket)
	for writes := 0; ; writes++ {
		env := prepared()
		failing := env
		dying := &stoppingBucket{Bucket: env.Bucket}
		dying.left.Store(int64(writes))
		failing.Bucket = dying
		stopped := closeAndBill(failing) != nil
		if err := closeAndBill(env); err != nil {
			t.Fatalf("after %d writes: %v", writes, err)
		}
		sameFiles(t, fmt.Sprintf("stopped after %d writes", writes), want, contents(ctx, t, env.Bucket))
		if !stopped {
			break
		}
	}
}

func contents(ctx context.Context, t *testing.T, b bucket.Bucket) map[string]string {
	t.Helper()
	all := make(map[string]string)
	for info, err := range b.List(ctx, "") {
		if err != nil {
			t.Fatal(err)
		}
		data, err := bucket.ReadAll(ctx, b, info.Key)
		if err != nil {
			t.Fatal(err)
		}
		all[info.Key] = string(data)
	}
	return all
}

// stoppingBucket dies after a number of committed writes: every later one fails.
type stoppingBucket struct {
	bucket.Bucket
	left atomic.Int64
}

type stoppingWriter struct {
	bucket.Writer
	bucket *stoppingBucket
}

func (b *stoppingBucket) Create(ctx context.Context, key string) (bucket.Writer, error) {
	w, err := b.Bucket.Create(ctx, key)
	return stoppingWriter{w, b}, err
}

func (w stoppingWriter) Commit() error {
	if w.bucket.left.Add(-1) < 0 {
		return fmt.Errorf("stopped: %w", os.ErrClosed)
	}
	return w.Writer.Commit()
}
