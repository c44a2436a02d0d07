package main

import (
	"context"
	"database/sql"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	_ "github.com/duckdb/duckdb-go/v2"
)

//go:embed query.sql
var query string

//go:embed csv.sql
var csvQuery string

//go:embed parquet.sql
var parquetQuery string

// world is what a world's bucket has for the month.
type world struct {
	folder string
	month  string
	state  []string          // where every subscription stood at the last close
	facts  map[string]string // partners, customers, fx: a file of each
	sheets map[string]string // market: its price sheet of the month
	change []string          // the month's changes
}

type object struct {
	Key, Market, Month string
	Records            int64
}

// readWorld reads the few JSON files that say where things are.
func readWorld(folder string) (*world, error) {
	var record struct {
		Month  string
		Simple bool
	}
	if err := readJSON(filepath.Join(folder, "world.json"), &record); err != nil {
		return nil, err
	}
	if !record.Simple {
		return nil, fmt.Errorf("world %s has more than the query knows: make one with --simple", folder)
	}
	bucket := filepath.Join(folder, "calends-data")
	w := &world{folder: folder, month: record.Month, facts: make(map[string]string), sheets: make(map[string]string)}
	place := func(o object) string { return filepath.Join(bucket, filepath.FromSlash(o.Key)) }
	closes, err := filepath.Glob(filepath.Join(bucket, "invoices", "month=*", "revision=*", "manifest.json"))
	if err != nil || len(closes) != 1 {
		return nil, fmt.Errorf("world %s: %d closed months, want one: %w", folder, len(closes), err)
	}
	var manifest struct {
		AtClose struct{ Subscriptions []object }
	}
	if err := readJSON(closes[0], &manifest); err != nil {
		return nil, err
	}
	for _, o := range manifest.AtClose.Subscriptions {
		w.state = append(w.state, place(o))
	}
	inputs, err := filepath.Glob(filepath.Join(bucket, "ledger", "inputs", "*.json"))
	if err != nil {
		return nil, err
	}
	for _, name := range inputs {
		var in struct {
			Kind, Month string
			Objects     []object
		}
		if err := readJSON(name, &in); err != nil {
			return nil, err
		}
		for _, o := range in.Objects {
			switch {
			case in.Kind == "prices" && in.Month == w.month:
				w.sheets[o.Market] = place(o)
			case in.Kind == "changes" && o.Month == w.month:
				w.change = append(w.change, place(o))
			case in.Kind == "partners" || in.Kind == "customers" || in.Kind == "fx":
				w.facts[in.Kind] = place(o)
			}
		}
	}
	return w, nil
}

func readJSON(name string, into any) error {
	data, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	return nil
}

// shape is how the query is put to DuckDB: which of its steps are kept as
// temporary tables, TABLE or VIEW.
type shape struct {
	Standing string // one row a subscription
	Lines    string
}

// The fastest of those that were tried; see the README.
var best = shape{Standing: "VIEW", Lines: "TABLE"}

func quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

func list(files []string) string {
	var all []string
	for _, f := range files {
		all = append(all, quoted(f))
	}
	return "[" + strings.Join(all, ", ") + "]"
}

func (w *world) script(s shape) (string, error) {
	first, err := time.Parse("2006-01", w.month)
	if err != nil {
		return "", err
	}
	var markets, sheets []string
	for market, file := range w.sheets {
		markets = append(markets, "("+quoted(file)+", "+quoted(market)+")")
		sheets = append(sheets, file)
	}
	slices.Sort(markets)
	slices.Sort(sheets) // markets with the same prices share a file
	sheets = slices.Compact(sheets)
	if len(w.state) == 0 || len(w.change) == 0 || len(sheets) == 0 || len(w.facts) != 3 {
		return "", fmt.Errorf("world %s lacks state, changes, price sheets or facts", w.folder)
	}
	day := func(t time.Time) string { return "DATE " + quoted(t.Format("2006-01-02")) }
	return strings.NewReplacer("TEMP STANDING", "TEMP "+s.Standing, "TEMP LINES", "TEMP "+s.Lines,
		"RATES", quoted(w.facts["fx"]), "PARTNERS", quoted(w.facts["partners"]), "CUSTOMERS", quoted(w.facts["customers"]),
		"PRICES", list(sheets), "MARKETS", strings.Join(markets, ", "), "CHANGES", list(w.change), "STATE", list(w.state),
		"MONTHNUMBER", fmt.Sprint(first.Year()*12+int(first.Month())-1), "LASTDAY", day(first.AddDate(0, 1, -1)), "FIRSTDAY", day(first)).Replace(query), nil
}

// job is what DuckDB is asked to do.
type job struct {
	World, Out   string
	CSV, Parquet bool
	Threads      int
	Shape        shape
	// Read is a file of changes, to be taken in instead.
	Read string
}

// total is one partner's.
type total struct {
	Partner, Currency    string
	Lines                int64
	Subtotal, Tax, Total int64 // minor units
}

// done is what came of it.
type done struct {
	Totals     []total
	PeakMemory int64
	Stages     map[string]float64 // seconds
}

// run does the job in this process.
func (j job) run(ctx context.Context) (done, error) {
	w, err := readWorld(j.World)
	if err != nil {
		return done{}, err
	}
	script, err := w.script(j.Shape)
	if err != nil {
		return done{}, err
	}
	db, err := sql.Open("duckdb", "")
	if err != nil {
		return done{}, err
	}
	defer db.Close()
	db.SetMaxOpenConns(1) // temporary tables are a connection's
	result := done{Stages: make(map[string]float64)}
	step := func(name, script string) error {
		begin := time.Now()
		if _, err := db.ExecContext(ctx, script); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		result.Stages[name] += time.Since(begin).Seconds()
		return nil
	}
	first, _ := time.Parse("2006-01", w.month) // script has parsed it
	into := func(query, name string) string {
		return strings.NewReplacer("FIRSTDAY", "DATE "+quoted(first.Format("2006-01-02")), "FILE", quoted(filepath.Join(j.Out, name))).Replace(query)
	}
	steps := []struct {
		name, script string
		wanted       bool
	}{
		{"settings", fmt.Sprintf("SET threads = %d; SET preserve_insertion_order = false;", j.Threads), true},
		{"lines", script, true},
		{"csv", into(csvQuery, "reconciliation.csv"), j.CSV},
		{"parquet", into(parquetQuery, "reconciliation.parquet"), j.Parquet},
	}
	for _, s := range steps {
		if !s.wanted {
			continue
		}
		if err := step(s.name, s.script); err != nil {
			return done{}, err
		}
	}
	begin := time.Now()
	if result.Totals, err = totals(ctx, db); err != nil {
		return done{}, fmt.Errorf("totals: %w", err)
	}
	result.Stages["totals"] = time.Since(begin).Seconds()
	if result.PeakMemory, err = peakMemory(); err != nil {
		return done{}, err
	}
	data, err := json.Marshal(result.Totals)
	if err != nil {
		return done{}, err
	}
	return result, os.WriteFile(filepath.Join(j.Out, "totals.json"), data, 0o666)
}

func totals(ctx context.Context, db *sql.DB) (all []total, err error) {
	rows, err := db.QueryContext(ctx, `SELECT partner, billing, count(*), sum(subtotal)::BIGINT, sum(tax)::BIGINT, sum(subtotal + tax)::BIGINT FROM line GROUP BY ALL ORDER BY partner`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var t total
		if err := rows.Scan(&t.Partner, &t.Currency, &t.Lines, &t.Subtotal, &t.Tax, &t.Total); err != nil {
			return nil, err
		}
		all = append(all, t)
	}
	return all, rows.Err()
}

// peakMemory is the most that this process had resident, as Linux counts it.
func peakMemory() (int64, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		if kilobytes, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			var n int64
			_, err := fmt.Sscan(kilobytes, &n)
			return n << 10, err
		}
	}
	return 0, errors.New("/proc/self/status has no VmHWM")
}
