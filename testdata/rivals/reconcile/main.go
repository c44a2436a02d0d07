// Command reconcile puts `calends reconcile` beside the same join and comparison
// in DuckDB: the two sides of a month are joined line by line, what has no exact
// counterpart once more by subscription, and every difference is written down with
// its amounts. Both read the same two CSV files and write one.
//
//	go run . CALENDS DIR [ROUNDS]
//
// DIR is what `go test ./jobs -run TestWriteReconcileWorld -reconcile-world DIR`
// wrote. They run in turn, each as a process of its own; what counts is the median.
// Calends does more: it explains each difference with prices, rates and policies,
// and proves its sums. DuckDB's part says so if its total is another.
package main

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	_ "github.com/duckdb/duckdb-go/v2"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "reconcile:", err)
		os.Exit(1)
	}
}

const month = "2026-10"

func run(args []string) error {
	if len(args) == 2 && args[0] == "duckdb" {
		return join(args[1])
	}
	if len(args) < 2 {
		return errors.New("usage: reconcile CALENDS DIR [ROUNDS]")
	}
	rounds := 3
	if len(args) > 2 {
		n, err := strconv.Atoi(args[2])
		if err != nil || n < 1 {
			return fmt.Errorf("rounds %q: want a number above 0", args[2])
		}
		rounds = n
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	dir := args[1]
	contestants := []*contestant{
		{name: "calends", command: []string{args[0], "reconcile", month, "--quiet", "--bucket", filepath.Join(dir, "calends-data"), "--with", filepath.Join(dir, "microsoft.csv"),
			"--format", "csv", "--output", "json"}},
		{name: "DuckDB", command: []string{self, "duckdb", dir}},
	}
	for range rounds {
		for _, c := range contestants {
			// What an earlier round wrote must not be found again.
			if err := os.RemoveAll(filepath.Join(dir, "calends-data", "reconcile")); err != nil {
				return err
			}
			if err := c.run(); err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
		}
	}
	if a, b := contestants[0].difference, contestants[1].difference; a != b {
		return fmt.Errorf("theirs - ours is %s by calends and %s by DuckDB", a, b)
	}
	fmt.Printf("%-8s  %10s  %10s  %10s  %8s\n", "", "wall", "cpu", "lines/s", "memory")
	for _, c := range contestants {
		wall, cpu, memory := c.medians()
		fmt.Printf("%-8s  %9.1fs  %9.1fs  %10.0f  %5d MB\n", c.name, wall.Seconds(), cpu.Seconds(), float64(c.lines)/wall.Seconds(), memory>>20)
	}
	fmt.Printf("theirs - ours = %s EUR by both; %d lines; medians of %d rounds in turn\n", contestants[0].difference, contestants[0].lines, rounds)
	return nil
}

// contestant is run as a process of its own, so that time and memory are its own.
type contestant struct {
	name       string
	command    []string
	lines      int
	difference string
	wall, cpu  []time.Duration
	memory     []int64
}

// answer is what both print: calends more of it.
type answer struct {
	Sides []struct {
		OurLines   int    `json:"ourLines"`
		TheirLines int    `json:"theirLines"`
		Difference string `json:"difference"`
	} `json:"sides"`
}

func (c *contestant) run() error {
	cmd := exec.Command(c.command[0], c.command[1:]...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	begin := time.Now()
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 3 { // done, with differences
		err = nil
	}
	if err != nil {
		return err
	}
	c.wall = append(c.wall, time.Since(begin))
	c.cpu = append(c.cpu, cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime())
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		c.memory = append(c.memory, usage.Maxrss<<10)
	}
	var a answer
	if err := json.Unmarshal(out.Bytes(), &a); err != nil {
		return err
	}
	if len(a.Sides) != 1 {
		return fmt.Errorf("%d currencies, want one", len(a.Sides))
	}
	c.lines, c.difference = a.Sides[0].OurLines+a.Sides[0].TheirLines, a.Sides[0].Difference
	return nil
}

func (c *contestant) medians() (wall, cpu time.Duration, memory int64) {
	return median(c.wall), median(c.cpu), median(c.memory)
}

func median[T ~int64](values []T) T {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

// join is DuckDB's part. Columns are typed as it finds them; only those that
// the comparison needs are kept.
func join(dir string) error {
	db, err := sql.Open("duckdb", "")
	if err != nil {
		return err
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	ours, err := filepath.Glob(filepath.Join(dir, "calends-data", "invoices", "month="+month, "*", "*", "reconciliation.csv"))
	if err != nil || len(ours) != 1 {
		return fmt.Errorf("our file: %v, %w", ours, err)
	}
	script := strings.NewReplacer("OURS", quoted(ours[0]), "THEIRS", quoted(filepath.Join(dir, "microsoft.csv")), "OUT", quoted(filepath.Join(dir, "duckdb-differences.csv"))).Replace(comparison)
	if _, err := db.Exec(script); err != nil {
		return err
	}
	row := db.QueryRow(`SELECT (SELECT count(*) FROM ours), (SELECT count(*) FROM theirs), (SELECT sum(difference) FROM differences)::DECIMAL(18,2)::VARCHAR`)
	var ourLines, theirLines int
	var difference string
	if err := row.Scan(&ourLines, &theirLines, &difference); err != nil {
		return err
	}
	_, err = fmt.Printf(`{"sides": [{"ourLines": %d, "theirLines": %d, "difference": %q}]}`, ourLines, theirLines, difference)
	return err
}

func quoted(path string) string { return "'" + strings.ReplaceAll(path, "'", "''") + "'" }

// comparison joins by all that is billed; then what is left by subscription and
// charge type; the n-th of equal lines meets the n-th.
const comparison = `
CREATE MACRO side(file) AS TABLE
  SELECT PartnerId, CustomerId, SubscriptionId, lower(ChargeType) AS ChargeType, ChargeStartDate, ChargeEndDate, Quantity, UnitPrice, EffectiveUnitPrice,
         Subtotal::DECIMAL(18,2) AS Subtotal, TaxTotal::DECIMAL(18,2) AS TaxTotal, Total::DECIMAL(18,2) AS Total,
         row_number() OVER (PARTITION BY PartnerId, CustomerId, SubscriptionId, ChargeType, ChargeStartDate, ChargeEndDate, Quantity, Subtotal, Total) AS nth
  FROM read_csv(file, header = true);
CREATE TEMP TABLE ours AS SELECT *, row_number() OVER () AS id FROM side(OURS);
CREATE TEMP TABLE theirs AS SELECT *, row_number() OVER () AS id FROM side(THEIRS);
CREATE TEMP TABLE agreed AS
  SELECT o.id AS our, t.id AS their FROM ours o JOIN theirs t
  USING (PartnerId, CustomerId, SubscriptionId, ChargeType, ChargeStartDate, ChargeEndDate, Quantity, Subtotal, TaxTotal, Total, nth);
CREATE TEMP TABLE differences AS
  WITH o AS (SELECT *, row_number() OVER (PARTITION BY PartnerId, CustomerId, SubscriptionId, ChargeType ORDER BY id) AS k FROM ours WHERE id NOT IN (SELECT our FROM agreed)),
       t AS (SELECT *, row_number() OVER (PARTITION BY PartnerId, CustomerId, SubscriptionId, ChargeType ORDER BY id) AS k FROM theirs WHERE id NOT IN (SELECT their FROM agreed))
  SELECT PartnerId, CustomerId, SubscriptionId, ChargeType, o.Quantity AS ourQuantity, t.Quantity AS theirQuantity, o.UnitPrice AS ourPrice, t.UnitPrice AS theirPrice,
         coalesce(t.Total, 0) - coalesce(o.Total, 0) AS difference,
         CASE WHEN o.id IS NULL THEN 'missingHere or duplicate' WHEN t.id IS NULL THEN 'missingThere'
              WHEN o.Quantity <> t.Quantity THEN 'quantity' WHEN o.UnitPrice <> t.UnitPrice THEN 'unitPrice' ELSE 'unknown' END AS cause
  FROM o FULL JOIN t USING (PartnerId, CustomerId, SubscriptionId, ChargeType, k);
COPY (SELECT * FROM differences ORDER BY PartnerId, CustomerId, SubscriptionId) TO OUT (HEADER);
`
