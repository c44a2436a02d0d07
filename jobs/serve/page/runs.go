package page

import (
	"cmp"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/calends/calends/jobs/history"
	"github.com/calends/calends/jobs/serve/access"
	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pricing"
)

func (s *Site) registerRuns() {
	s.register(http.MethodGet, "/runs", "page-runs", access.SeeRuns, s.runs)
	s.register(http.MethodGet, "/runs/{slice...}", "page-run", access.SeeRuns, s.run)
}

// runRow is an attempt. Whoever does not belong to every partner learns what ran, when
// and how it ended, and nothing of what it met.
type runRow struct {
	Slice, Job, Month string
	Attempt           int
	Started, Ended    time.Time
	Result            string
	Took              string
	Parked            bool
	What              string
	Exceptions        int64
	Address           string
}

type runsBody struct {
	Rows     []runRow
	Months   []choice
	Results  []choice
	Everyone bool
	More     bool
}

// runsShown is how many attempts a list has.
const runsShown = 200

func (s *Site) runs(a ask) (answer, error) {
	months, err := s.history.Months(a.Context())
	if err != nil {
		return answer{}, err
	}
	body := runsBody{Everyone: a.who.Everyone}
	if len(months) > 0 {
		first, last := months[max(0, len(months)-3)], months[len(months)-1]
		if asked := a.FormValue("month"); asked != "" {
			m, err := pricing.ParseMonth(asked)
			if err != nil {
				return answer{}, wrongError{"The month " + asked + " cannot be read: it is written like 2024-03."}
			}
			first, last = m, m
		}
		all, err := s.history.Runs(a.Context(), first, last)
		if err != nil {
			return answer{}, err
		}
		for _, e := range slices.Backward(all) {
			row := runOf(e, a.who.Everyone)
			if want := a.FormValue("result"); want != "" && want != row.Result {
				continue
			}
			if len(body.Rows) == runsShown {
				body.More = true
				break
			}
			body.Rows = append(body.Rows, row)
		}
	}
	for _, m := range slices.Backward(months) {
		body.Months = append(body.Months, choice{m.String(), m.String(), m.String() == a.FormValue("month")})
	}
	for _, r := range []history.Result{history.Done, history.Failed, history.Waiting, history.Stopped, history.Interrupted, "running"} {
		body.Results = append(body.Results, choice{string(r), string(r), string(r) == a.FormValue("result")})
	}
	return answer{template: "runs", title: "Runs", place: "Runs", body: body}, nil
}

func runOf(e history.Ended, everyone bool) runRow {
	row := runRow{
		Slice: e.Slice.String(), Job: e.Slice.Job, Month: e.Slice.Month.String(), Attempt: e.Attempt,
		Started: e.Started, Ended: e.Ended, Result: cmp.Or(string(e.Result), "running"), Parked: e.Standing.Parked,
		Address: runAddress(e.Slice, e.Attempt),
	}
	if e.Result != "" {
		row.Took = e.Ended.Sub(e.Started).Round(time.Millisecond).String()
	}
	if everyone {
		row.What, row.Exceptions = strings.Join(strings.Fields(cmp.Or(e.Error, e.Reason, e.Summary)), " "), e.Exceptions
	}
	return row
}

func runAddress(slice history.Slice, attempt int) string {
	parts := strings.Split(slice.String(), "/")
	for i := range parts {
		parts[i] = pathSegment(parts[i])
	}
	return "/runs/" + strings.Join(parts, "/") + "?attempt=" + strconv.Itoa(attempt)
}

type runBody struct {
	runRow
	Everyone bool
	Run      history.Ended
	Counts   []countRow
	Log      []logLine
	Attempts []choice
}

type countRow struct {
	Name string
	N    int64
}

// logLine is a line of a run's log.
type logLine struct {
	Time, Level, Text string
	Fields            []crumb // names and values
}

func (s *Site) run(a ask) (answer, error) {
	slice, err := history.ParseSlice(a.PathValue("slice"))
	if err != nil {
		return answer{}, errNotFound
	}
	view, err := s.history.View(a.Context(), slice.Month, slice.Month)
	if err != nil {
		return answer{}, err
	}
	newest := view.Of(slice).Attempts
	attempt := newest
	if text := a.FormValue("attempt"); text != "" {
		if attempt, err = strconv.Atoi(text); err != nil {
			return answer{}, errNotFound
		}
	}
	e, err := s.history.End(a.Context(), slice, attempt)
	if errors.Is(err, bucket.ErrNotExist) { // it is under way, was killed, or never was
		e.Begun, err = s.history.Start(a.Context(), slice, attempt)
	}
	if errors.Is(err, bucket.ErrNotExist) {
		return answer{}, errNotFound
	}
	if err != nil {
		return answer{}, err
	}
	body := runBody{runRow: runOf(e, a.who.Everyone), Everyone: a.who.Everyone}
	for n := newest; n >= 1; n-- {
		body.Attempts = append(body.Attempts, choice{runAddress(slice, n), strconv.Itoa(n), n == attempt})
	}
	if a.who.Everyone {
		body.Run = e
		for _, name := range slices.Sorted(maps.Keys(e.Counts)) {
			body.Counts = append(body.Counts, countRow{name, e.Counts[name]})
		}
		log, err := s.history.LogOf(a.Context(), e)
		if err != nil {
			return answer{}, err
		}
		body.Log = logLines(string(log))
	}
	return answer{template: "run", title: "Run " + slice.String(), place: "Runs", crumbs: []crumb{{"Runs", "/runs"}}, body: body}, nil
}

// logLines reads a log of JSON lines; what is none is shown as it is.
func logLines(log string) []logLine {
	var lines []logLine
	for text := range strings.Lines(log) {
		text = strings.TrimSpace(text)
		if text == "" {
			continue
		}
		fields := make(map[string]any)
		decoder := json.NewDecoder(strings.NewReader(text))
		decoder.UseNumber()
		if decoder.Decode(&fields) != nil {
			lines = append(lines, logLine{Text: text})
			continue
		}
		var line logLine
		take := func(name string) string {
			value, _ := fields[name].(string)
			delete(fields, name)
			return value
		}
		line.Time, line.Level, line.Text = take("time"), take("level"), take("msg")
		for _, name := range slices.Sorted(maps.Keys(fields)) {
			value, ok := fields[name].(string)
			if !ok {
				encoded, err := json.Marshal(fields[name])
				if err != nil {
					continue // it was JSON a moment ago
				}
				value = string(encoded)
			}
			line.Fields = append(line.Fields, crumb{name, value})
		}
		lines = append(lines, line)
	}
	return lines
}
