package metrics

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/calends/calends/jobs"
	"github.com/calends/calends/jobs/history"
)

var update = flag.Bool("update", false, "rewrite the figures in testdata")

// all is a world in which everything has its place, with a token.
func (w *world) all(tokenAge time.Duration) *Metrics {
	w.t.Helper()
	s := w.source()
	s.Tells = true
	s.TokenAge = func(context.Context) (time.Duration, bool, error) { return tokenAge, true, nil }
	m := New(s)
	if err := m.Refresh(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	return m
}

// toldOfAll notes that everybody was told how the newest attempts ended.
func (w *world) toldOfAll() {
	w.t.Helper()
	for slice, e := range w.attempts {
		if err := w.store.Tell(w.t.Context(), slice, e.Attempt, history.Telling{At: w.now}); err != nil {
			w.t.Fatal(err)
		}
	}
}

func wellWorld(t *testing.T) *Metrics {
	w := newWorld(t)
	w.ran("import-prices/DE/2026-11", history.Done, 2*day, counts(0, "records", 104_882))
	w.ran("import-prices/NL/2026-11", history.Done, 2*day, counts(0, "records", 104_790))
	w.ran("import-changes/inbox/2026-11", history.Failed, 3*hour)
	w.ran("import-changes/inbox/2026-11", history.Done, 2*hour, counts(0, "records", 31))
	w.ran("bill/2026-10", history.Done, 8*hour, counts(0, "lines", 2_417))
	w.ran("close/2026-10", history.Waiting, 6*hour, waits("approval"))
	w.ran("close/2026-09", history.Done, 30*day, counts(0, "invoices", 4))
	w.ran("reconcile/2026-09", history.Done, 25*day, counts(0, "matches", 2_391))
	w.status = jobs.StatusResult{
		Months: []jobs.MonthStatus{{Month: "2026-09", State: "closed"}, {Month: "2026-10", State: "draft"}},
		Prices: []jobs.MarketSheet{{Market: "DE", Months: []string{"2026-10", "2026-11"}}, {Market: "NL", Months: []string{"2026-10", "2026-11"}}},
	}
	w.differences = []jobs.MonthDifferences{{Month: october - 1}}
	w.toldOfAll()
	return w.all(9 * day)
}

func troubledWorld(t *testing.T) *Metrics {
	w := newWorld(t)
	w.ran("import-prices/DE/2026-09", history.Done, 40*day, counts(0, "records", 104_882))
	w.ran("import-prices/FR/2026-06", history.Done, 120*day, counts(0, "records", 7)) // no longer imported
	for n := range 3 {
		w.ran("import-prices/DE/2026-10", history.Failed, time.Duration(30-n)*day)
	}
	w.ran("import-prices/DE/2026-11", history.Failed, hour)
	w.ran("bill/2026-10", history.Done, 8*hour, counts(17, "lines", 2_417))
	w.ran("close/2026-09", history.Waiting, 31*day, waits("missing-input"))
	w.ran("close/2026-10", history.Waiting, 49*hour, waits("approval"))
	w.ran("import-prices/BE/2026-10", history.Waiting, 20*day, waits("not-published")) // no fault of anybody here
	w.status = jobs.StatusResult{
		Months: []jobs.MonthStatus{{Month: "2026-09", State: "draft"}, {Month: "2026-10", State: "draft"}},
		Prices: []jobs.MarketSheet{{Market: "DE", Months: []string{"2026-08", "2026-09"}}},
	}
	w.differences = []jobs.MonthDifferences{{Month: october - 2, Open: 12}, {Month: october - 1}}
	return w.all(76 * day)
}

// TestFigures holds the textfiles of a bucket that is well and of one that is not to
// those in testdata. From these, testdata/alerts tells which alerts fire.
func TestFigures(t *testing.T) {
	t.Parallel()
	for name, m := range map[string]*Metrics{"well": wellWorld(t), "trouble": troubledWorld(t)} {
		file := filepath.Join(t.TempDir(), "calends.prom")
		if err := m.WriteTextfile(file); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		got := strings.Replace(string(data), runtime.Version(), "go1.26", 1)
		golden := filepath.Join("testdata", name+".prom")
		if *update {
			if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil || got != string(want) {
			t.Errorf("%s: %v, got\n%s", golden, err, got)
		}
	}
}

// TestAlertsKnowTheirFigures: what the shipped rules ask for is there, by that name and
// with those labels.
func TestAlertsKnowTheirFigures(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(filepath.FromSlash("../../cmd/calends/examples/prometheus/alerts.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Groups []struct {
			Rules []struct{ Alert, Expr string }
		}
	}
	if err := yaml.Unmarshal(data, &file); err != nil || len(file.Groups) != 1 || len(file.Groups[0].Rules) == 0 {
		t.Fatal(err, file)
	}
	labels := regexp.MustCompile(`variableLabels: \{([^}]*)\}`)
	for _, rule := range file.Groups[0].Rules {
		names := regexp.MustCompile(`calends_\w+`).FindAllString(rule.Expr, -1)
		if len(names) == 0 {
			t.Errorf("%s asks for nothing of ours", rule.Alert)
		}
		for _, name := range names {
			f, ok := families[name]
			if !ok {
				t.Errorf("%s asks for %s, which is not there", rule.Alert, name)
				continue
			}
			has := strings.Split(labels.FindStringSubmatch(f.desc.String())[1], ",")
			var wants []string
			for _, by := range regexp.MustCompile(`by \(([^)]*)\)`).FindAllStringSubmatch(rule.Expr, -1) {
				wants = append(wants, strings.Split(by[1], ", ")...)
			}
			for _, matcher := range regexp.MustCompile(`(\w+)[!=]?[=~]"`).FindAllStringSubmatch(rule.Expr, -1) {
				wants = append(wants, matcher[1])
			}
			for _, label := range wants {
				if !slices.Contains(has, label) {
					t.Errorf("%s asks for the label %s of %s, which has %q", rule.Alert, label, name, has)
				}
			}
		}
	}
}
