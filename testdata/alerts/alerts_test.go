// Package alerts holds the shipped alert rules against Prometheus itself: they are read
// by its own parser and asked of its own engine, on the figures that Calends gives of a
// bucket that is well and of one that is not. A module of its own, because nobody who
// builds calends should need Prometheus.
package alerts

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/annotations"
)

// noon is when the figures were read.
var noon = time.Date(2026, 11, 3, 12, 0, 0, 0, time.UTC)

func rules(t *testing.T) []rulefmt.Rule {
	t.Helper()
	groups, errs := rulefmt.ParseFile(filepath.FromSlash("../../cmd/calends/examples/prometheus/alerts.yaml"),
		false, model.UTF8Validation, parser.NewParser(parser.Options{}), slog.New(slog.DiscardHandler))
	if len(errs) > 0 || len(groups.Groups) != 1 {
		t.Fatal(errs)
	}
	return groups.Groups[0].Rules
}

// figures are the series of a textfile, as two machines would give them.
func figures(t *testing.T, name string) []storage.Series {
	t.Helper()
	data, err := os.ReadFile(filepath.FromSlash("../../jobs/metrics/testdata/" + name))
	if err != nil {
		t.Fatal(err)
	}
	p := expfmt.NewTextParser(model.UTF8Validation)
	families, err := p.TextToMetricFamilies(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	var series []storage.Series
	for name, family := range families {
		for _, m := range family.GetMetric() {
			for _, instance := range []string{"a:9464", "b:9464"} {
				b := labels.NewBuilder(labels.FromStrings("__name__", name, "job", "calends", "instance", instance))
				for _, pair := range m.GetLabel() {
					if b.Get(pair.GetName()) != "" {
						t.Errorf("%s: Prometheus sets the label %s itself", name, pair.GetName())
					}
					b.Set(pair.GetName(), pair.GetValue())
				}
				value := m.GetGauge().GetValue() + m.GetCounter().GetValue()
				series = append(series, promql.NewStorageSeries(promql.Series{Metric: b.Labels(), Floats: scraped(value)}))
			}
		}
	}
	return series
}

// scraped is a value that is read once a minute for a week.
func scraped(value float64) (points []promql.FPoint) {
	for at := noon; at.Before(noon.Add(7 * 24 * time.Hour)); at = at.Add(time.Minute) {
		points = append(points, promql.FPoint{T: at.UnixMilli(), F: value})
	}
	return points
}

// seriesSet walks over series.
type seriesSet struct {
	series []storage.Series
	at     int
}

func (s *seriesSet) Next() bool                      { s.at++; return s.at <= len(s.series) }
func (s *seriesSet) At() storage.Series              { return s.series[s.at-1] }
func (*seriesSet) Err() error                        { return nil }
func (*seriesSet) Warnings() annotations.Annotations { return nil }

// among is a store that has just these series.
func among(all []storage.Series) storage.Queryable {
	return &storage.MockQueryable{MockQuerier: &storage.MockQuerier{SelectMockFunction: func(_ bool, _ *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
		return &seriesSet{series: slices.DeleteFunc(slices.Clone(all), func(s storage.Series) bool {
			return slices.ContainsFunc(matchers, func(m *labels.Matcher) bool { return !m.Matches(s.Labels().Get(m.Name)) })
		})}
	}}}
}

// fires asks a rule at an instant: it returns each alert's labels and value.
func fires(t *testing.T, rule rulefmt.Rule, all []storage.Series, at time.Time) []string {
	t.Helper()
	engine := promql.NewEngine(promql.EngineOpts{MaxSamples: 1e6, Timeout: time.Minute, LookbackDelta: 5 * time.Minute,
		Parser: parser.NewParser(parser.Options{})})
	defer engine.Close()
	query, err := engine.NewInstantQuery(t.Context(), among(all), nil, rule.Expr, at)
	if err != nil {
		t.Fatalf("%s: %v", rule.Alert, err)
	}
	defer query.Close()
	result := query.Exec(t.Context())
	vector, err := result.Vector()
	if err != nil {
		t.Fatalf("%s: %v", rule.Alert, err)
	}
	var alerts []string
	for _, sample := range vector {
		alerts = append(alerts, strings.TrimSpace(rule.Alert+" "+labels.NewBuilder(sample.Metric).Del("__name__").Labels().String()+
			" "+strconv.FormatFloat(sample.F, 'f', -1, 64)))
	}
	slices.Sort(alerts)
	return alerts
}

func expect(t *testing.T, all []storage.Series, at time.Time, want ...string) {
	t.Helper()
	var got []string
	for _, rule := range rules(t) {
		got = append(got, fires(t, rule, all, at)...)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("fire\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

// trouble is what fires in a bucket that is not well, once for both machines.
var trouble = []string{
	`CalendsExceptions {job_name="bill"} 17`,
	`CalendsHeld {job_name="close", month="2026-09", reason="missing-input"} 2678460`,
	`CalendsJobFailing {job_name="import-prices", subject="DE"} 1`,
	`CalendsJobTooLongAgo {job_name="import-prices", subject="DE"} 3456000`,
	`CalendsNobodyTold {} 2`,
	`CalendsOpenDifferences {month="2026-08"} 12`,
	`CalendsPriceListOld {market="DE"} 63`,
	`CalendsRefreshTokenOld {} 76`,
	`CalendsSliceParked {job_name="import-prices", month="2026-10", subject="DE"} 1`,
	`CalendsWaitsForApproval {job_name="close", month="2026-10"} 176460`,
}

func TestWhatFires(t *testing.T) {
	t.Parallel()
	expect(t, figures(t, "well.prom"), noon)
	expect(t, figures(t, "trouble.prom"), noon, trouble...)
	expect(t, nil, noon, `CalendsGone {} 1`)
}

// TestStandstill: the process is there, and reads its bucket no more.
func TestStandstill(t *testing.T) {
	t.Parallel()
	well := figures(t, "well.prom")
	expect(t, well, noon.Add(3*time.Hour))
	expect(t, well, noon.Add(3*time.Hour+time.Minute), `CalendsFiguresOld {} 10860`)
}

// TestLimits: a month that waits for approval, and a job that waits to succeed, fire when
// their time is up, and not before.
func TestLimits(t *testing.T) {
	t.Parallel()
	rule := func(name string) rulefmt.Rule {
		all := rules(t)
		return all[slices.IndexFunc(all, func(r rulefmt.Rule) bool { return r.Alert == name })]
	}
	well := figures(t, "well.prom")
	for _, limit := range []struct {
		alert string
		after time.Duration // noon
	}{
		{"CalendsWaitsForApproval", 48*time.Hour - 6*time.Hour - time.Minute},
		{"CalendsJobTooLongAgo", 5 * 24 * time.Hour}, // the close of September
	} {
		if got := fires(t, rule(limit.alert), well, noon.Add(limit.after)); len(got) != 0 {
			t.Errorf("fires too early: %s", got)
		}
		if got := fires(t, rule(limit.alert), well, noon.Add(limit.after+time.Minute)); len(got) != 1 {
			t.Errorf("%s does not fire: %s", limit.alert, got)
		}
	}
}

// TestWords: every rule says what is wrong and what to do, and asks for labels that its
// alerts have.
func TestWords(t *testing.T) {
	t.Parallel()
	asked := regexp.MustCompile(`\$labels\.(\w+)`)
	has := regexp.MustCompile(`by \(([^)]*)\)`)
	for _, rule := range rules(t) {
		if rule.Annotations["summary"] == "" || rule.Annotations["description"] == "" || rule.Labels["severity"] == "" {
			t.Errorf("%s: it does not say what is wrong, what to do, or how bad it is", rule.Alert)
		}
		var names []string
		for _, by := range has.FindAllStringSubmatch(rule.Expr, -1) {
			names = append(names, strings.Split(by[1], ", ")...)
		}
		for _, text := range rule.Annotations {
			for _, label := range asked.FindAllStringSubmatch(text, -1) {
				if !slices.Contains(names, label[1]) {
					t.Errorf("%s speaks of the label %s, and has %q", rule.Alert, label[1], names)
				}
			}
		}
	}
}
