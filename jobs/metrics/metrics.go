// Package metrics says how the schedule is doing: figures for Prometheus, on /metrics
// and as a textfile, and whether the process lives and is ready.
//
// The figures are read from the bucket: the records of runs, the months, the price
// sheets, what reconciling left open. So a machine that was just started, one that
// only stands by, and a textfile of `calends run --due` say the same. They are read by
// Refresh, not by a scrape: that costs the store nothing, and is answered at once.
// What depends on the time of day, an age, is computed as it is asked for.
//
// The number of series is bounded: a job has few subjects, slices stand alone only
// while they are parked or wait, at most 200 of each, and months leave after a year.
//
// The label of a job is job_name: Prometheus keeps job for itself.
package metrics

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/calends/calends/jobs"
	"github.com/calends/calends/jobs/history"
	"github.com/calends/calends/jobs/schedule"
	"github.com/calends/calends/pricing"
)

// Source is what the figures are computed from. History, Status, OpenDifferences and
// Now must be there.
type Source struct {
	History         *history.Store
	Status          func(context.Context) (jobs.StatusResult, error) // jobs.Env's
	OpenDifferences func(_ context.Context, first, last pricing.Month) ([]jobs.MonthDifferences, error)
	// Markets are those that price sheets are imported for: only their age is shown. nil:
	// that of all markets that have a sheet.
	Markets []string
	// TokenAge is the time since the refresh token was last used; false: there is none.
	TokenAge func(context.Context) (age time.Duration, known bool, err error)
	// Tells: webhooks are told what becomes of runs.
	Tells   bool
	Version string
	Now     func() time.Time
}

// Metrics are the figures of one bucket. They may be used from any goroutine.
type Metrics struct {
	source   Source
	registry *prometheus.Registry // of the bucket
	process  *prometheus.Registry

	refreshing sync.Mutex // held by whoever reads
	mu         sync.Mutex
	picture    picture
}

// New makes metrics that are empty until the first Refresh.
func New(s Source) *Metrics {
	m := &Metrics{source: s, registry: prometheus.NewRegistry(), process: prometheus.NewRegistry()}
	m.registry.MustRegister(collector{m})
	m.process.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Refresh reads the bucket. What cannot be read keeps its last figures, and
// calends_snapshot_failed says so; the error names it.
func (m *Metrics) Refresh(ctx context.Context) error {
	m.refreshing.Lock()
	defer m.refreshing.Unlock()
	now := m.source.Now().UTC()
	month := schedule.MonthOf(now)
	next := m.current()
	next.failed = make(map[string]bool)
	var errs []error
	read := func(part string, err error) bool {
		next.failed[part] = err != nil
		if err != nil {
			errs = append(errs, fmt.Errorf("read the figures of the %s: %w", part, err))
		}
		return err == nil
	}
	runs, err := readRuns(ctx, m.source.History, month)
	if read("runs", err) {
		next.runs = runs
	}
	status, err := m.source.Status(ctx)
	if errors.Is(err, jobs.ErrMissing) {
		err = nil // a bucket with nothing in it has no figures, and that is right
	}
	if read("ledger", err) {
		next.status = status
	}
	differences, err := m.source.OpenDifferences(ctx, month-monthsBack, month)
	if read("differences", err) {
		next.differences = differences
	}
	if m.source.TokenAge != nil {
		age, known, err := m.source.TokenAge(ctx)
		if read("token", err) {
			next.token, next.tokenUsed = known, now.Add(-age)
		}
	}
	if len(errs) == 0 {
		next.at = now
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.picture = next
	return errors.Join(errs...)
}

// current is the picture as it was last read.
func (m *Metrics) current() picture {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.picture
}

// Handler answers scrapes, with figures of the process besides.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(prometheus.Gatherers{m.registry, m.process}, promhttp.HandlerOpts{
		MaxRequestsInFlight: 4, Timeout: 10 * time.Second})
}

// CheckTextfile refuses a name that the node exporter would not read.
func CheckTextfile(name string) error {
	if filepath.Ext(name) != ".prom" {
		return fmt.Errorf("metrics file %q: want a name that ends in .prom, which is what the node exporter reads", name)
	}
	return nil
}

// WriteTextfile writes the figures of the bucket for the node exporter's textfile
// collector. The file is replaced as a whole.
func (m *Metrics) WriteTextfile(name string) error {
	if err := CheckTextfile(name); err != nil {
		return err
	}
	if err := prometheus.WriteToTextfile(name, m.registry); err != nil {
		return fmt.Errorf("write metrics file: %w", err)
	}
	return nil
}

// collector shows the picture to Prometheus.
type collector struct{ m *Metrics }

func (c collector) Describe(to chan<- *prometheus.Desc) {
	for _, f := range families {
		to <- f.desc
	}
}

func (c collector) Collect(to chan<- prometheus.Metric) {
	info := families["calends_build_info"]
	to <- prometheus.MustNewConstMetric(info.desc, info.kind, 1, c.m.source.Version, runtime.Version())
	for _, s := range c.m.current().samples(c.m.source.Now().UTC(), c.m.source) {
		f := families[s.name]
		to <- prometheus.MustNewConstMetric(f.desc, f.kind, s.value, s.labels...)
	}
}

// Stuck lists the slices that are parked and those that wait, as of the last Refresh.
func (m *Metrics) Stuck() (parked, waiting []history.Slice) {
	view := m.current().runs.view
	for _, slice := range view.Slices() {
		switch stateOf(view[slice]) {
		case "parked":
			parked = append(parked, slice)
		case "waiting":
			waiting = append(waiting, slice)
		}
	}
	return parked, waiting
}

// Keep refreshes the figures at once and then every so often, until the context is
// done: a round can be long, and another machine may work meanwhile. after, which may be
// nil, is told how each refreshing ended. The clock is not the one that [Health] watches.
func (m *Metrics) Keep(ctx context.Context, clock schedule.Clock, every time.Duration, after func(error)) {
	for {
		err := m.Refresh(ctx)
		if ctx.Err() != nil {
			return
		}
		if after != nil {
			after(err)
		}
		if clock.Wait(ctx, clock.Now().Add(every)) != nil {
			return
		}
	}
}
