package jobs

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pricing"
)

const unnamedData = "ledger/data/0000000000000000000000000000000000000000000000000000000000000000.parquet"

// TestGC: what goes, what stays, and why.
func TestGC(t *testing.T) {
	t.Parallel()
	const (
		half    = "invoices/month=2026-02/revision=0002/exceptions.csv"
		another = "invoices/month=2026-02/revision=0002/partner=shelf/reconciliation.csv"
		day     = 24 * time.Hour
	)
	put := func(key string) string { return "write " + key + " half" }
	later := func(age time.Duration) string { return "later " + age.String() }
	for _, tt := range []struct {
		name   string
		damage []string
		plan   GCPlan
		gone   []string
		kept   GCResult // how much of what is kept
	}{
		{"a sound bucket", []string{later(90 * day)}, GCPlan{}, nil, GCResult{}},
		{"old unnamed data", []string{put(unnamedData), later(25 * time.Hour)}, GCPlan{}, []string{unnamedData}, GCResult{}},
		{"young unnamed data", []string{put(unnamedData), later(23 * time.Hour)}, GCPlan{}, nil, GCResult{Young: 1}},
		{"unnamed data as old as was asked", []string{put(unnamedData), later(61 * time.Minute)}, GCPlan{OlderThan: time.Hour}, []string{unnamedData}, GCResult{}},
		{"an old revision without a manifest", []string{put(half), put(another), later(2 * day)}, GCPlan{}, []string{half, another}, GCResult{}},
		{"one that somebody still writes", []string{put(half), later(2 * day), put(another)}, GCPlan{}, nil, GCResult{Young: 2}},
		{"a file beside a manifest that does not name it", []string{put(january26 + "notes.txt"), later(2 * day)}, GCPlan{}, []string{january26 + "notes.txt"}, GCResult{}},
		{"files of somebody else", []string{put("notes.txt"), put("ledger/data/notes.txt"), put("quarantine/x"), put("reconcile/x"), later(2 * day)}, GCPlan{}, nil, GCResult{}},
		{"what an interrupted reconciliation left", []string{put("reconcile/month=2026-01/revision=0001/partner=shelf/differences.csv"), later(2 * day)}, GCPlan{},
			[]string{"reconcile/month=2026-01/revision=0001/partner=shelf/differences.csv"}, GCResult{}},
		{"what a reconciliation names", []string{put(comparison + "partner=shelf/differences.csv"), "write " + comparison + "manifest.json " +
			`{"files":[{"path":"partner=shelf/differences.csv"}]}`, later(2 * day)}, GCPlan{}, nil, GCResult{}},
		{"a close that lost its manifest, and data that it may name", []string{"remove " + january26 + "manifest.json", later(2 * day)}, GCPlan{}, nil, GCResult{Numbered: 1}},
		{"the draft before a close", []string{later(2 * day)}, GCPlan{Drafts: true}, []string{
			draft26 + "manifest.json", draft26 + "partner=shelf/invoice.json", draft26 + "partner=shelf/reconciliation.csv",
			draft26 + "partner=shelf/reconciliation.parquet", draft26 + "partner=shelf/reconciliation.xlsx", draft26 + "exceptions.csv"}, GCResult{}},
		{"a young draft before a close", []string{later(time.Hour)}, GCPlan{Drafts: true}, nil, GCResult{Young: 6}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newShelf(t)
			for _, line := range tt.damage {
				s.run(line)
			}
			if tt.plan.OlderThan == 0 {
				tt.plan.OlderThan = day
			}
			tt.plan.Now = s.now
			before := contents(t.Context(), t, s.env.Bucket)
			tt.plan.DryRun = true
			would, err := s.env.GC(t.Context(), tt.plan)
			if err != nil {
				t.Fatal(err)
			}
			sameFiles(t, "a dry run", before, contents(t.Context(), t, s.env.Bucket))
			tt.plan.DryRun = false
			result, err := s.env.GC(t.Context(), tt.plan)
			if err != nil {
				t.Fatal(err)
			}
			if fmt.Sprint(would.Removed) != fmt.Sprint(result.Removed) {
				t.Errorf("a dry run says %v, then %v went", would.Removed, result.Removed)
			}
			for _, key := range tt.gone {
				if _, ok := before[key]; !ok {
					t.Errorf("%s was not there", key)
				}
				delete(before, key)
			}
			sameFiles(t, "gc", before, contents(t.Context(), t, s.env.Bucket))
			if result.Young != tt.kept.Young || (result.Numbered > 0) != (tt.kept.Numbered > 0) || result.Undated != 0 {
				t.Errorf("young %d, numbered %d, undated %d; want %d, %d, 0", result.Young, result.Numbered, result.Undated, tt.kept.Young, tt.kept.Numbered)
			}
		})
	}
}

const (
	january26 = "invoices/month=2026-01/revision=0002/"
	draft26   = "invoices/month=2026-01/revision=0001/"
	// comparison is the folder of a reconciliation.
	comparison = "reconcile/month=2026-01/revision=0001/"
)

// TestGCRefuses: while it is not known what all records name, nothing goes.
func TestGCRefuses(t *testing.T) {
	t.Parallel()
	for _, line := range []string{
		"cut ledger/inputs/00000002.json", "remove ledger/inputs/00000002.json", "remove ledger/inputs/00000006.json",
		"write " + comparison + "manifest.json {", "cut " + january26 + "manifest.json", "set ledger/inputs/00000001.json layout 99", "set " + draft26 + "manifest.json layout 99",
	} {
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			s := newShelf(t)
			for _, l := range []string{"write " + unnamedData + " half", line, "later 48h"} {
				s.run(l)
			}
			before := contents(t.Context(), t, s.env.Bucket)
			if _, err := s.env.GC(t.Context(), GCPlan{OlderThan: MinimumAge, Drafts: true}); err == nil || !strings.Contains(err.Error(), "nothing is removed") {
				t.Errorf("error %v", err)
			}
			sameFiles(t, "a refusal", before, contents(t.Context(), t, s.env.Bucket))
		})
	}
	s := newShelf(t)
	if _, err := s.env.GC(t.Context(), GCPlan{OlderThan: time.Minute}); !errors.Is(err, ErrUsage) {
		t.Errorf("a minute: %v", err)
	}
}

// TestGCWithoutDates: a store that does not date its objects keeps them all.
func TestGCWithoutDates(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	undated := envOn(bucket.NewMemory())
	for key, data := range contents(t.Context(), t, s.env.Bucket) {
		put(t, undated.Bucket, key, []byte(data))
	}
	put(t, undated.Bucket, unnamedData, []byte("half"))
	result, err := undated.GC(t.Context(), GCPlan{OlderThan: MinimumAge, Drafts: true})
	if err != nil || len(result.Removed) > 0 || result.Undated != 7 {
		t.Errorf("removed %v, undated %d, %v; want nothing, 7", result.Removed, result.Undated, err)
	}
}

// mortalBucket dies after so many writes and deletions.
type mortalBucket struct {
	bucket.Bucket
	left *atomic.Int64
}

type mortalWriter struct {
	bucket.Writer
	left *atomic.Int64
}

var errDead = errors.New("the process is dead")

func (b mortalBucket) Create(ctx context.Context, key string) (bucket.Writer, error) {
	w, err := b.Bucket.Create(ctx, key)
	return mortalWriter{w, b.left}, err
}

func (w mortalWriter) Commit() error {
	if w.left.Add(-1) < 0 {
		return errors.Join(errDead, w.Abort())
	}
	return w.Writer.Commit()
}

func (b mortalBucket) Delete(ctx context.Context, key string) error {
	if b.left.Add(-1) < 0 {
		return errDead
	}
	return b.Bucket.Delete(ctx, key)
}

// TestGCNeverHurts: after any history of runs, whole and interrupted, and
// collections, whole and interrupted, nothing is wrong in the bucket, all months
// have the files that they had, and closed ones come out the same.
func TestGCNeverHurts(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("a hundred histories")
	}
	files := []string{"partners.csv", "customers.csv", "prices/2026-01", "prices/2026-02", "changes/2026-01.jsonl", "changes/2026-02.jsonl"}
	rapid.Check(t, func(t *rapid.T) {
		ctx := context.Background()
		memory := bucket.NewMemory()
		now := shelfBegin
		memory.Now = func() time.Time { return now }
		whole := envOn(memory)
		january := pricing.MonthOf(2026, 1)
		next := january
		steps := map[string]func(Env) error{
			"ingest": func(env Env) error {
				some := rapid.SliceOfNDistinct(rapid.SampledFrom(files), 1, 3, rapid.ID).Draw(t, "files")
				_, err := env.Ingest(ctx, IngestPlan{Folder: shelfFolder + "/inputs", Paths: some})
				return err
			},
			"bill": func(env Env) error {
				_, err := env.Bill(ctx, january+pricing.Month(rapid.IntRange(0, 2).Draw(t, "month")), false)
				return err
			},
			"close": func(env Env) error {
				_, err := env.Close(ctx, next, "test")
				if err == nil {
					next++
				}
				return err
			},
			"gc": func(env Env) error {
				_, err := env.GC(ctx, GCPlan{OlderThan: MinimumAge, Drafts: rapid.Bool().Draw(t, "drafts")})
				return err
			},
		}
		names := slices.Sorted(maps.Keys(steps))
		if _, err := whole.Ingest(ctx, IngestPlan{Folder: shelfFolder + "/inputs", Paths: files[:4]}); err != nil {
			t.Fatal(err)
		}
		for range rapid.IntRange(1, 8).Draw(t, "steps") {
			name := rapid.SampledFrom(names).Draw(t, "step")
			env := whole
			if rapid.Bool().Draw(t, "dies") {
				left := new(atomic.Int64)
				left.Store(rapid.Int64Range(0, 9).Draw(t, "writes"))
				env.Bucket = mortalBucket{memory, left}
			}
			before := currentFiles(ctx, t, whole)
			err := steps[name](env)
			var held *HeldError
			if err != nil && !errors.Is(err, errDead) && !errors.Is(err, ErrUsage) && !errors.As(err, &held) {
				t.Fatalf("%s: %v", name, err)
			}
			now = now.Add(time.Duration(rapid.IntRange(0, 120).Draw(t, "minutes")) * time.Minute)
			if after := currentFiles(ctx, t, whole); name == "gc" && !maps.Equal(before, after) {
				t.Fatalf("gc changed what months have: %d files before, %d after", len(before), len(after))
			}
		}
		result, err := whole.Verify(ctx, VerifyPlan{})
		if err != nil || len(result.Findings) > 0 {
			t.Fatalf("verify: %v, %+v", err, result.Findings)
		}
		if closed := int(next - january); len(result.Proved) < closed {
			t.Errorf("%d months closed, %v proved", closed, result.Proved)
		}
		finishAndCollect(ctx, t, whole, &now, next)
	})
}

// finishAndCollect runs what was interrupted to its end; then a collection leaves
// nothing over.
func finishAndCollect(ctx context.Context, t *rapid.T, env Env, now *time.Time, next pricing.Month) {
	if _, err := env.Close(ctx, next, "test"); err != nil {
		t.Fatal(err)
	}
	*now = now.Add(48 * time.Hour)
	if _, err := env.GC(ctx, GCPlan{OlderThan: 24 * time.Hour}); err != nil {
		t.Fatal(err)
	}
	result, err := env.Verify(ctx, VerifyPlan{})
	if err != nil || len(result.Findings) > 0 || len(result.Leftovers) > 0 {
		t.Fatalf("after all: %v, findings %+v, leftovers %v", err, result.Findings, result.Leftovers)
	}
}

// currentFiles are the bytes that an export of each month would copy.
func currentFiles(ctx context.Context, t *rapid.T, env Env) map[string]string {
	at, err := env.snapshot(ctx)
	if err != nil {
		t.Fatal(err)
	}
	files := make(map[string]string)
	for _, m := range at.months {
		for _, f := range m.Current.Files {
			key := ledger.RevisionPrefix(m.Month, m.Current.Revision) + f.Path
			data, err := bucket.ReadAll(ctx, env.Bucket, key)
			if err != nil || hashOf(data) != f.SHA256 {
				t.Fatalf("%s: %v, or another hash", key, err)
			}
			files[key] = string(data)
		}
	}
	return files
}
