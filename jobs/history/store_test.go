package history_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/calends/calends/jobs/history"
	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pricing"
)

var (
	october = pricing.MonthOf(2026, 10)
	bill    = history.Slice{Job: "bill", Month: october}
	prices  = history.Slice{Job: "import-prices", Subject: "DE", Month: october}
)

// book is a history with short words for what a test writes into it.
type book struct {
	*history.Store
	t      *testing.T
	bucket bucket.Bucket
}

func newBook(t *testing.T) book {
	b := bucket.NewMemory()
	return book{history.NewStore(b), t, b}
}

func (b book) check(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

// begun began at minute n of an hour.
func (b book) begun(s history.Slice, attempt, n int) history.Begun {
	return history.Begun{Slice: s, Attempt: attempt, Tick: at(b.t, "2026-10-03T02:00:00Z"), Started: at(b.t, "2026-10-03T06:00:00Z").Add(time.Duration(n) * time.Minute), By: "here", Version: "test"}
}

func (b book) begin(s history.Slice, attempt, n int) {
	b.t.Helper()
	b.check(b.Begin(b.t.Context(), b.begun(s, attempt, n)))
}

func (b book) end(s history.Slice, attempt, n int, result history.Result) history.Ended {
	b.t.Helper()
	e := history.Ended{Begun: b.begun(s, attempt, n), Ended: b.begun(s, attempt, n+1).Started, Result: result, Tried: true}
	e.Standing = history.DefaultRetry().After(history.Standing{}, e)
	b.check(b.Finish(b.t.Context(), e, fmt.Appendf(nil, "{\"msg\":\"%s\"}\n", result)))
	return e
}

func (b book) view(first, last pricing.Month) history.View {
	b.t.Helper()
	v, err := b.View(b.t.Context(), first, last)
	b.check(err)
	return v
}

func (b book) put(key, text string) {
	b.t.Helper()
	b.check(bucket.Put(b.t.Context(), b.bucket, key, []byte(text)))
}

func TestViewSaysWhereSlicesStand(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	if track := b.view(october, october).Of(bill); track.Attempts != 0 || track.Last != nil || track.Slice != bill || track.Standing() != (history.Standing{}) {
		t.Errorf("what never ran stands at %+v", track)
	}
	b.begin(bill, 1, 0)
	b.end(bill, 1, 0, history.Failed)
	b.begin(bill, 2, 10)
	b.end(bill, 2, 10, history.Done)
	b.begin(bill, 3, 20)
	b.begin(prices, 1, 5)
	b.check(b.Tell(t.Context(), bill, 1, history.Telling{At: at(t, "2026-10-03T06:30:00Z")}))
	b.end(history.Slice{Job: "bill", Month: october + 1}, 1, 0, history.Done)

	view := b.view(october, october)
	if got := fmt.Sprint(view.Slices()); got != "[bill/2026-10 import-prices/DE/2026-10]" {
		t.Errorf("slices %s", got)
	}
	track := view.Of(bill)
	if track.Attempts != 3 || !slices.Equal(track.Open, []int{3}) || !slices.Equal(track.Untold, []int{2}) {
		t.Errorf("bill: %d attempts, open %v, untold %v", track.Attempts, track.Open, track.Untold)
	}
	if got := line(track.Standing()); track.Last.Attempt != 2 || got != "done 03T02:00" {
		t.Errorf("bill: attempt %d, %s", track.Last.Attempt, got)
	}
	if track := view.Of(prices); track.Attempts != 1 || track.Last != nil || !slices.Equal(track.Open, []int{1}) {
		t.Errorf("prices: %+v", track)
	}
	if got := len(b.view(october, october+1).Slices()); got != 3 {
		t.Errorf("%d slices in two months", got)
	}
	// An older attempt that never ended is not open once a later one has ended.
	b.end(bill, 4, 30, history.Done)
	if track := b.view(october, october).Of(bill); len(track.Open) > 0 || track.Attempts != 4 {
		t.Errorf("after attempt 4: %+v", track)
	}
}

// What lies below runs/ and is no record is passed over; a record that cannot be
// read is an error with its key.
func TestForeignObjects(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	b.begin(bill, 1, 0)
	b.end(bill, 1, 0, history.Done)
	for _, key := range []string{"runs/notes.txt", "runs/month=2026-10/notes.txt", "runs/month=2026-10/job=bill/subject=%/notes.txt",
		"runs/month=2026-10/bill/subject=%/attempt=0002-ended.json", "runs/month=2026-10/job=bill/subject=%/attempt=00003-ended.json", "runs/told/run_1/2.json"} {
		b.put(key, "not JSON")
	}
	if view := b.view(october, october); len(view) != 1 || view.Of(bill).Attempts != 1 {
		t.Errorf("view %+v", view)
	}
	runs, err := b.Runs(t.Context(), october, october)
	if err != nil || len(runs) != 1 {
		t.Errorf("runs %+v, %v", runs, err)
	}
	months, err := b.Months(t.Context())
	if err != nil || !slices.Equal(months, []pricing.Month{october}) {
		t.Errorf("months %v, %v", months, err)
	}
	const torn = "runs/month=2026-10/job=bill/subject=%/attempt=0002-ended.json"
	b.put(torn, `{"slice": "bill/2026-10", "att`)
	if _, err := b.View(t.Context(), october, october); err == nil || !strings.Contains(err.Error(), torn) {
		t.Errorf("view with a torn record: %v", err)
	}
}

func TestRunsAreInOrder(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	b.begin(bill, 1, 10)
	b.end(bill, 1, 10, history.Done)
	b.begin(prices, 1, 0)
	b.end(prices, 1, 0, history.Failed)
	b.begin(bill, 2, 20)
	b.end(history.Slice{Job: "close", Month: october - 1}, 1, 15, history.Waiting)
	runs, err := b.Runs(t.Context(), october-1, october)
	b.check(err)
	var got []string
	for _, e := range runs {
		got = append(got, fmt.Sprintf("%s %d %s", e.Slice, e.Attempt, e.Result))
	}
	want := []string{"import-prices/DE/2026-10 1 failed", "bill/2026-10 1 done", "close/2026-09 1 waiting", "bill/2026-10 2 "}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestRecordsKeepWhatTheyWereGiven(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	e := history.Ended{Begun: b.begun(prices, 7, 0), Ended: at(t, "2026-10-03T06:01:00Z"), Result: history.Done, Tried: true,
		Outcome: history.Outcome{Summary: "<1,234 rows>", Counts: map[string]int64{"rows": 1234}, Exceptions: 2, Basis: "sheet",
			Inputs: []history.Ref{{Name: "https://example.com/sheet", Size: 9}}, Outputs: []history.Ref{{Name: "inputs/1", SHA256: "ab"}}}}
	e.Accept, e.ByHand, e.Steps = "because", true, []string{"fetch"}
	e.Standing = history.Standing{Done: e.Tick, Basis: "sheet"}
	log := []byte(`{"msg":"hello"}` + "\n")
	b.check(b.Finish(t.Context(), e, log))
	for name, store := range map[string]*history.Store{"the store that wrote it": b.Store, "another": history.NewStore(b.bucket)} {
		got, err := store.End(t.Context(), prices, 7)
		b.check(err)
		if got.Summary != e.Summary || got.Counts["rows"] != 1234 || got.Exceptions != 2 || got.Standing != e.Standing || !got.ByHand || got.Accept != "because" ||
			!slices.Equal(got.Inputs, e.Inputs) || !slices.Equal(got.Outputs, e.Outputs) || got.Log == nil || got.Log.Size != int64(len(log)) {
			t.Errorf("%s: %+v", name, got)
		}
		if text, err := store.LogOf(t.Context(), got); err != nil || string(text) != string(log) {
			t.Errorf("%s: log %q, %v", name, text, err)
		}
	}
	if _, err := b.End(t.Context(), prices, 8); !errors.Is(err, bucket.ErrNotExist) {
		t.Errorf("the end of an attempt that did not end: %v", err)
	}
	if _, err := b.Start(t.Context(), prices, 7); !errors.Is(err, bucket.ErrNotExist) {
		t.Errorf("the start of an attempt that never began: %v", err)
	}
}

// Of two that begin the same attempt one does; of two ends the first stands, and
// the same end twice is fine.
func TestTwoAtOneAttempt(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	b.begin(bill, 1, 0)
	other := b.begun(bill, 1, 0)
	other.By = "there"
	if err := b.Begin(t.Context(), other); !errors.Is(err, bucket.ErrExists) {
		t.Errorf("the second start: %v", err)
	}
	e := b.end(bill, 1, 0, history.Done)
	b.check(b.Finish(t.Context(), e, []byte("{\"msg\":\"done\"}\n")))
	late := e
	late.Result, late.Error = history.Interrupted, "the process ended without a word"
	if err := b.Finish(t.Context(), late, nil); !errors.Is(err, bucket.ErrConflict) || !strings.Contains(err.Error(), "bill/2026-10 attempt 1") {
		t.Errorf("another end: %v", err)
	}
	got, err := history.NewStore(b.bucket).End(t.Context(), bill, 1)
	if err != nil || got.Result != history.Done {
		t.Errorf("the end is %q, %v", got.Result, err)
	}
}

func TestTellTwice(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	b.end(bill, 1, 0, history.Done)
	for _, who := range []string{"https://example.com/a", "https://example.com/b"} {
		b.check(b.Tell(t.Context(), bill, 1, history.Telling{At: at(t, "2026-10-03T06:30:00Z"), To: []history.Told{{Address: who}}}))
	}
	data, err := bucket.ReadAll(t.Context(), b.bucket, "runs/month=2026-10/job=bill/subject=%/attempt=0001-told.json")
	if err != nil || !strings.Contains(string(data), "example.com/a") {
		t.Errorf("the first to tell is not the one who told: %s, %v", data, err)
	}
	if track := b.view(october, october).Of(bill); len(track.Untold) > 0 {
		t.Errorf("untold %v", track.Untold)
	}
}

// The first schedule that runs decides with which month it begins.
func TestBeginning(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	if _, found, err := b.Began(t.Context()); found || err != nil {
		t.Errorf("began: %v, %v", found, err)
	}
	for _, month := range []pricing.Month{october, october - 5} {
		got, err := b.Beginning(t.Context(), month, at(t, "2026-10-03T06:00:00Z"))
		if err != nil || got != october {
			t.Errorf("it begins with %s, %v", got, err)
		}
	}
	if got, found, err := b.Began(t.Context()); got != october || !found || err != nil {
		t.Errorf("began with %s, %v, %v", got, found, err)
	}
}
