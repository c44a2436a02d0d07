package metrics

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/calends/calends/jobs"
	"github.com/calends/calends/jobs/history"
	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pricing"
)

var (
	october = pricing.MonthOf(2026, time.October)
	noon    = time.Date(2026, 11, 3, 12, 0, 0, 0, time.UTC)
)

// world is a bucket and what is known of its ledger, at a time.
type world struct {
	t           *testing.T
	now         time.Time
	store       *history.Store
	bucket      *bucket.Memory
	status      jobs.StatusResult
	statusErr   error
	differences []jobs.MonthDifferences
	attempts    map[history.Slice]history.Ended
}

func newWorld(t *testing.T) *world {
	b := bucket.NewMemory()
	return &world{t: t, now: noon, bucket: b, store: history.NewStore(b), attempts: make(map[history.Slice]history.Ended)}
}

func (w *world) metrics() *Metrics { return New(w.source()) }

func (w *world) source() Source {
	return Source{History: w.store, Version: "1.2.3", Now: func() time.Time { return w.now },
		Status: func(context.Context) (jobs.StatusResult, error) { return w.status, w.statusErr },
		OpenDifferences: func(_ context.Context, first, last pricing.Month) ([]jobs.MonthDifferences, error) {
			if first != pricing.MonthOf(2025, time.November) || last != october+1 {
				w.t.Errorf("asked for differences from %s to %s", first, last)
			}
			return w.differences, nil
		}}
}

// slice reads a name such as close/2026-10.
func (w *world) slice(name string) history.Slice {
	w.t.Helper()
	s, err := history.ParseSlice(name)
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// ran records the next attempt at a slice, which took a minute and ended so long ago.
func (w *world) ran(name string, result history.Result, ago time.Duration, but ...func(*history.Ended)) {
	w.t.Helper()
	s := w.slice(name)
	before := w.attempts[s]
	e := history.Ended{Result: result, Ended: w.now.Add(-ago), Begun: history.Begun{Slice: s, Attempt: before.Attempt + 1,
		Tick: w.now.Add(-ago).Truncate(24 * time.Hour), Started: w.now.Add(-ago - time.Minute)}}
	for _, b := range but {
		b(&e)
	}
	retry := history.Retry{Limit: 3, First: time.Minute, Most: time.Hour, Interruptions: 5}
	e.Standing = retry.After(before.Standing, e)
	if err := w.store.Finish(w.t.Context(), e, nil); err != nil {
		w.t.Fatal(err)
	}
	w.attempts[s] = e
}

func (w *world) begins(name string) {
	w.t.Helper()
	s := w.slice(name)
	if err := w.store.Begin(w.t.Context(), history.Begun{Slice: s, Attempt: w.attempts[s].Attempt + 1, Started: w.now}); err != nil {
		w.t.Fatal(err)
	}
}

func waits(code string) func(*history.Ended) { return func(e *history.Ended) { e.Code = code } }

func counts(exceptions int64, of string, n int64) func(*history.Ended) {
	return func(e *history.Ended) {
		e.Outcome = history.Outcome{Counts: map[string]int64{of: n}, Exceptions: exceptions}
	}
}

const (
	hour = time.Hour
	day  = 24 * time.Hour
)

// expect compares families, each given as its lines without help.
func (w *world) expect(m *Metrics, want string) {
	w.t.Helper()
	var names []string
	var text strings.Builder
	for line := range strings.Lines(want) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		name, _, _ := strings.Cut(line, "{")
		name, _, _ = strings.Cut(name, " ")
		if !slices.Contains(names, name) {
			kind := "gauge"
			if strings.HasSuffix(name, "_total") {
				kind = "counter"
			}
			fmt.Fprintf(&text, "# HELP %s %s\n# TYPE %s %s\n", name, families[name].help, name, kind)
			names = append(names, name)
		}
		fmt.Fprintln(&text, line)
	}
	if err := testutil.GatherAndCompare(m.registry, strings.NewReader(text.String()), names...); err != nil {
		w.t.Error(err)
	}
}

// absent says that families have no series.
func (w *world) absent(m *Metrics, names ...string) {
	w.t.Helper()
	for _, name := range names {
		if n, err := testutil.GatherAndCount(m.registry, name); n != 0 || err != nil {
			w.t.Errorf("%s has %d series, %v", name, n, err)
		}
	}
}

func (w *world) refreshed() *Metrics {
	w.t.Helper()
	m := w.metrics()
	if err := m.Refresh(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	return m
}

func TestAnEmptyBucket(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.statusErr = fmt.Errorf("status: %w", jobs.ErrMissing)
	m := w.metrics()
	w.absent(m, "calends_snapshot_timestamp_seconds") // before it was read
	if err := m.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.expect(m, `calends_snapshot_timestamp_seconds 1.7937072e+09
		calends_snapshot_failed{part="differences"} 0
		calends_snapshot_failed{part="ledger"} 0
		calends_snapshot_failed{part="runs"} 0`)
	w.absent(m, "calends_runs_total", "calends_slices", "calends_price_list_age_days", "calends_refresh_token_age_days", "calends_month_state")
}

func TestRuns(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	// A market's sheet came in September, was not to be had in October, and then was.
	w.ran("import-prices/DE/2026-09", history.Done, 60*day, counts(0, "records", 7))
	w.ran("import-prices/DE/2026-10", history.Failed, 3*day)
	w.ran("import-prices/DE/2026-10", history.Done, 2*day, counts(2, "records", 9))
	// Another market fails since.
	w.ran("import-prices/NL/2026-10", history.Done, 5*day, counts(0, "records", 5))
	w.ran("import-prices/NL/2026-10", history.Failed, 2*hour)
	w.ran("import-prices/NL/2026-10", history.Interrupted, 90*time.Minute)
	w.ran("import-prices/NL/2026-10", history.Failed, hour)
	// Only long ago.
	w.ran("verify/2026-05", history.Done, 170*day)
	m := w.refreshed()
	w.expect(m, `
		calends_run_last_success_timestamp_seconds{job_name="import-prices",subject="DE"} 1.7935344e+09
		calends_run_last_success_timestamp_seconds{job_name="import-prices",subject="NL"} 1.7932752e+09
		calends_run_last_success_timestamp_seconds{job_name="verify",subject=""} 1.7790192e+09
		calends_run_duration_seconds{job_name="import-prices",subject="DE"} 60
		calends_run_duration_seconds{job_name="import-prices",subject="NL"} 60
		calends_run_duration_seconds{job_name="verify",subject=""} 60
		calends_run_exceptions{job_name="import-prices",subject="DE"} 2
		calends_run_exceptions{job_name="import-prices",subject="NL"} 0
		calends_run_exceptions{job_name="verify",subject=""} 0
		calends_run_rows{job_name="import-prices",of="records",subject="DE"} 9
		calends_run_rows{job_name="import-prices",of="records",subject="NL"} 5
		calends_run_failures{job_name="import-prices",subject="DE"} 0
		calends_run_failures{job_name="import-prices",subject="NL"} 2
		calends_run_failures{job_name="verify",subject=""} 0
		calends_runs_total{job_name="import-prices",month="2026-10",result="done"} 2
		calends_runs_total{job_name="import-prices",month="2026-10",result="failed"} 3
		calends_runs_total{job_name="import-prices",month="2026-10",result="interrupted"} 1`)
}

func TestSlices(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ran("bill/2026-10", history.Done, day)
	w.ran("bill/2026-11", history.Stopped, hour)
	for n := range 3 {
		w.ran("import-prices/DE/2026-03", history.Failed, time.Duration(200-n)*day) // long ago, and still
		w.ran("import-prices/NL/2026-10", history.Failed, time.Duration(3-n)*hour)
	}
	w.ran("import-prices/FR/2026-10", history.Failed, hour)
	w.begins("import-prices/IE/2026-10")
	// It waited for the sheet, then for one reason after another for an approval.
	w.ran("close/2026-10", history.Waiting, 60*hour, waits("missing-input"))
	w.ran("close/2026-10", history.Waiting, 50*hour, waits("approval"))
	w.ran("close/2026-10", history.Waiting, 20*hour, waits("approval"))
	w.ran("close/2026-10", history.Stopped, hour)
	m := w.refreshed()
	w.expect(m, `
		calends_slices{job_name="bill",state="done"} 1
		calends_slices{job_name="bill",state="failing"} 0
		calends_slices{job_name="bill",state="parked"} 0
		calends_slices{job_name="bill",state="running"} 0
		calends_slices{job_name="bill",state="stopped"} 1
		calends_slices{job_name="bill",state="waiting"} 0
		calends_slices{job_name="close",state="done"} 0
		calends_slices{job_name="close",state="failing"} 0
		calends_slices{job_name="close",state="parked"} 0
		calends_slices{job_name="close",state="running"} 0
		calends_slices{job_name="close",state="stopped"} 0
		calends_slices{job_name="close",state="waiting"} 1
		calends_slices{job_name="import-prices",state="done"} 0
		calends_slices{job_name="import-prices",state="failing"} 1
		calends_slices{job_name="import-prices",state="parked"} 2
		calends_slices{job_name="import-prices",state="running"} 1
		calends_slices{job_name="import-prices",state="stopped"} 0
		calends_slices{job_name="import-prices",state="waiting"} 0
		calends_slice_parked{job_name="import-prices",month="2026-03",subject="DE"} 1
		calends_slice_parked{job_name="import-prices",month="2026-10",subject="NL"} 1
		calends_slice_waiting{job_name="close",month="2026-10",reason="approval",subject=""} 1
		calends_slice_waiting_since_timestamp_seconds{job_name="close",month="2026-10",reason="approval",subject=""} 1.79352714e+09`)
	parked, waiting := m.Stuck()
	if got := fmt.Sprint(parked, waiting); got != "[import-prices/DE/2026-03 import-prices/NL/2026-10] [close/2026-10]" {
		t.Errorf("stuck are %s", got)
	}
}

func TestTheFirstMonthOfTheScheduleIsAskedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	old := october - 40
	if _, err := w.store.Beginning(t.Context(), old, w.now); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		w.ran("bill/"+old.String(), history.Failed, 1000*day)
	}
	w.expect(w.refreshed(), fmt.Sprintf(`calends_slice_parked{job_name="bill",month="%s",subject=""} 1`, old))
}

func TestSeriesAreBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const all = mostSlices + 50
	for n := range all {
		for range 3 {
			w.ran(fmt.Sprintf("import-prices/%03d/2026-10", n), history.Failed, day)
		}
	}
	m := w.refreshed()
	if n, err := testutil.GatherAndCount(m.registry, "calends_slice_parked"); n != mostSlices || err != nil {
		t.Errorf("%d series, %v: want %d", n, err, mostSlices)
	}
	for _, s := range m.current().samples(w.now, Source{}) {
		if s.name == "calends_slices" && s.labels[1] == "parked" && s.value != all {
			t.Errorf("%v slices are parked, want %d", s.value, all)
		}
	}
}

func TestLedger(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.status = jobs.StatusResult{
		Months: []jobs.MonthStatus{{Month: "2025-06", State: "draft"}, {Month: "2025-10", State: "closed"},
			{Month: "2025-11", State: "closed"}, {Month: "2026-10", State: "draft"}},
		Prices: []jobs.MarketSheet{{Market: "DE", Months: []string{"2026-09", "2026-10"}}, {Market: "NL", Months: []string{"2026-12"}},
			{Market: "ZA", Months: []string{"2024-01"}}},
	}
	w.differences = []jobs.MonthDifferences{{Month: october - 1, Open: 12}, {Month: october}}
	m := w.refreshed()
	w.expect(m, `
		calends_price_list_age_days{market="DE"} 33
		calends_price_list_age_days{market="NL"} 0
		calends_price_list_age_days{market="ZA"} 1037
		calends_open_differences{month="2026-09"} 12
		calends_open_differences{month="2026-10"} 0
		calends_month_state{month="2025-06",state="closed"} 0
		calends_month_state{month="2025-06",state="draft"} 1
		calends_month_state{month="2025-11",state="closed"} 1
		calends_month_state{month="2025-11",state="draft"} 0
		calends_month_state{month="2026-10",state="closed"} 0
		calends_month_state{month="2026-10",state="draft"} 1`)
	// An age grows without the bucket being read again.
	w.now = w.now.Add(36 * hour)
	w.expect(m, `
		calends_price_list_age_days{market="DE"} 35
		calends_price_list_age_days{market="NL"} 0
		calends_price_list_age_days{market="ZA"} 1039`)
	// Markets that are imported are those that count, also one that has no sheet.
	s := w.source()
	s.Markets = []string{"DE", "FR"}
	m = New(s)
	w.now = noon
	if err := m.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.expect(m, `
		calends_price_list_age_days{market="DE"} 33
		calends_price_list_age_days{market="FR"} +Inf`)
}

func TestTokenAge(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.source()
	known := false
	s.TokenAge = func(context.Context) (time.Duration, bool, error) { return 80*day + 12*hour, known, nil }
	m := New(s)
	for _, known = range []bool{false, true} {
		if err := m.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		if !known {
			w.absent(m, "calends_refresh_token_age_days")
		}
	}
	w.expect(m, `calends_refresh_token_age_days 80.5`)
	w.now = w.now.Add(day)
	w.expect(m, `calends_refresh_token_age_days 81.5`)
}

func TestUntold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ran("bill/2026-08", history.Done, 25*hour) // nobody tries any more
	w.ran("bill/2026-09", history.Done, 23*hour)
	w.ran("bill/2026-10", history.Failed, 2*hour)
	w.ran("bill/2026-10", history.Done, hour)
	w.ran("bill/2026-11", history.Done, 2*hour)
	tell := func(name string, attempt int) {
		if err := w.store.Tell(t.Context(), w.slice(name), attempt, history.Telling{At: w.now}); err != nil {
			t.Fatal(err)
		}
	}
	tell("bill/2026-10", 1)
	tell("bill/2026-11", 1)
	w.absent(w.refreshed(), "calends_slices_untold") // where nobody wants to be told
	s := w.source()
	s.Tells = true
	m := New(s)
	for want := 2; want > 0; want-- {
		if err := m.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.expect(m, fmt.Sprintf(`calends_slices_untold %d`, want))
		tell("bill/2026-10", 2)
	}
}

func TestAPartThatCannotBeReadKeepsItsFigures(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.status.Prices = []jobs.MarketSheet{{Market: "DE", Months: []string{"2026-10"}}}
	m := w.refreshed()
	w.ran("bill/2026-10", history.Done, 0)
	w.statusErr = errors.New("a manifest is damaged")
	w.now = w.now.Add(hour)
	if err := m.Refresh(t.Context()); err == nil || err.Error() != "read the figures of the ledger: a manifest is damaged" {
		t.Errorf("error %v", err)
	}
	w.expect(m, `
		calends_price_list_age_days{market="DE"} 33
		calends_runs_total{job_name="bill",month="2026-10",result="done"} 1
		calends_snapshot_timestamp_seconds 1.7937072e+09
		calends_snapshot_failed{part="differences"} 0
		calends_snapshot_failed{part="ledger"} 1
		calends_snapshot_failed{part="runs"} 0`)
	w.statusErr = nil
	if err := m.Refresh(t.Context()); err != nil {
		t.Error(err)
	}
	w.expect(m, `calends_snapshot_timestamp_seconds 1.7937108e+09`)
}

// TestTextfileAndPageSayTheSame: and so does a machine that was just started.
func TestTextfileAndPageSayTheSame(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.status.Prices = []jobs.MarketSheet{{Market: "DE", Months: []string{"2026-10"}}}
	w.ran("bill/2026-10", history.Done, hour, counts(3, "lines", 100))
	w.ran("export/out/\"quoted\" \\ and\nbroken/2026-10", history.Failed, hour)

	name := filepath.Join(t.TempDir(), "calends.prom")
	if err := w.refreshed().WriteTextfile(name); err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(w.refreshed().Handler())
	defer server.Close()
	answer, err := http.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	page, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != 200 {
		t.Fatal(answer.Status, err)
	}
	if len(file) == 0 || !strings.Contains(string(page), string(file)) {
		t.Errorf("the page is\n%s\nand the file\n%s", page, file)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	found, err := parser.TextToMetricFamilies(strings.NewReader(string(file)))
	if err != nil {
		t.Fatal(err)
	}
	for family := range found {
		if _, known := families[family]; !known {
			t.Errorf("%s is no family of ours", family)
		}
	}
	got := found["calends_run_rows"].GetMetric()[0]
	if got.GetGauge().GetValue() != 100 || len(found["calends_run_failures"].GetMetric()) != 2 {
		t.Errorf("read back %v", got)
	}
	info, err := os.Stat(name)
	if err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("mode %v, %v: the node exporter must be able to read it", info.Mode(), err)
	}
}

func TestTextfileIsReplacedAsAWhole(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	folder := t.TempDir()
	name := filepath.Join(folder, "calends.prom")
	m := w.refreshed()
	for range 2 {
		if err := m.WriteTextfile(name); err != nil {
			t.Fatal(err)
		}
	}
	files, err := os.ReadDir(folder)
	if err != nil || len(files) != 1 {
		t.Errorf("%d files, %v: want one", len(files), err)
	}
	for _, bad := range []string{filepath.Join(folder, "calends.txt"), filepath.Join(folder, "none", "calends.prom"), ""} {
		if err := m.WriteTextfile(bad); err == nil || !strings.Contains(err.Error(), "metrics file") {
			t.Errorf("%s: error %v", bad, err)
		}
	}
}

func TestSheetAgesDoNotGuess(t *testing.T) {
	t.Parallel()
	p := picture{status: jobs.StatusResult{Prices: []jobs.MarketSheet{{Market: "DE", Months: []string{"tomorrow"}}, {Market: "NL"}}}}
	if ages := p.sheetAges(noon, nil); len(ages) != 0 {
		t.Errorf("ages %v, want none", ages)
	}
	if ages := p.sheetAges(noon, []string{"DE"}); !math.IsInf(ages["DE"], 1) {
		t.Errorf("ages %v, want one without end", ages)
	}
}

func TestFiguresAreKeptWhileARoundIsLong(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.metrics()
	s := newStage()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	refreshed := make(chan error, 1)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		m.Keep(ctx, s, 5*time.Minute, func(err error) { refreshed <- err })
	}()
	for n := range 3 {
		if err := <-refreshed; err != nil {
			t.Fatal(err)
		}
		if until := <-s.asleep; !until.Equal(noon.Add(5 * time.Minute)) {
			t.Errorf("sleeps until %s", until)
		}
		if n > 0 {
			w.expect(m, fmt.Sprintf(`calends_runs_total{job_name="bill",month="2026-10",result="done"} %d`, n))
		}
		w.ran("bill/2026-10", history.Done, 0)
		if n == 2 {
			stop()
		}
		s.awake <- struct{}{}
	}
	<-ended
}
