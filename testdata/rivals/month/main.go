// Command month puts `calends bench run` beside the same month in DuckDB's SQL:
// full cycles, renewals and the pairs of a change of seats, from the same state,
// changes, price sheets and facts, into the same 46 columns.
//
//	go run . CALENDS WORLD [ROUNDS]
//
// WORLD is what `calends bench make WORLD --simple` made. First both must come to the
// same lines and totals. Then they run in turn, each in a process of its own and
// into a new folder; what counts are the medians. The README tells what each does.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "month:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 2 && args[0] == "duckdb" {
		return asked(ctx, args[1])
	}
	if len(args) < 2 {
		return errors.New("usage: month CALENDS WORLD [ROUNDS]")
	}
	rounds := 5
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
	dir, err := os.MkdirTemp(args[1], ".rival-")
	if err != nil {
		return err
	}
	r := race{calends: args[0], self: self, world: args[1], dir: dir, rounds: rounds}
	return errors.Join(r.run(ctx), os.RemoveAll(dir))
}

// asked does a job that another process wants done, and prints what came of it.
func asked(ctx context.Context, text string) error {
	var j job
	if err := json.Unmarshal([]byte(text), &j); err != nil {
		return err
	}
	do := j.run
	if j.Read != "" {
		do = j.read
	}
	result, err := do(ctx)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(result)
}

// race is one comparison.
type race struct {
	calends, self, world, dir string
	rounds                    int
	folders                   int
}

func (r *race) run(ctx context.Context) error {
	lines, err := r.agree(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("both have the same %d lines, in CSV and Parquet, and the same totals\n\n", lines)
	fmt.Printf("%-18s %5s  %-8s %9s %9s %10s %9s %9s %9s %9s\n", "medians of "+strconv.Itoa(r.rounds), "cores", "", "wall", "cpu", "rows/s", "memory", "written", "x wall", "x cpu")
	for _, forms := range [][]string{{"csv", "parquet"}, {"parquet"}, {"csv"}} {
		for _, cores := range []int{1, 2} {
			contest := []contestant{
				{name: "calends", command: func(out string) []string { return r.bench(out, forms, cores) }},
				{name: "DuckDB", command: func(out string) []string {
					return r.duck(job{World: r.world, Out: out, Threads: cores, Shape: best, CSV: slices.Contains(forms, "csv"), Parquet: slices.Contains(forms, "parquet")})
				}},
			}
			if err := r.turns(ctx, cores, contest); err != nil {
				return err
			}
			show(strings.Join(forms, "+")+"+totals", cores, int64(lines), contest)
		}
	}
	return r.reading(ctx)
}

// reading compares how the month's changes are taken in: read, sorted by customer,
// time and id, and kept as Parquet. Calends also checks every field and hashes.
func (r *race) reading(ctx context.Context) error {
	json := filepath.Join(r.world, "month", "changes.jsonl")
	flat := filepath.Join(r.dir, "changes.parquet")
	rows, err := flatten(ctx, json, flat)
	if err != nil {
		return err
	}
	fmt.Println()
	for _, file := range []string{json, flat} {
		for _, cores := range []int{1, 2} {
			contest := []contestant{
				{name: "calends", command: func(out string) []string {
					return []string{r.calends, "ingest", file, "--bucket", filepath.Join(out, "bucket"), "--quiet", "--output", "json", "--workers", strconv.Itoa(cores)}
				}},
				{name: "DuckDB", command: func(out string) []string { return r.duck(job{Read: file, Out: out, Threads: cores}) }},
			}
			if err := r.turns(ctx, cores, contest); err != nil {
				return err
			}
			show("read "+strings.TrimPrefix(filepath.Ext(file), "."), cores, rows, contest)
		}
	}
	return nil
}

func (r *race) bench(out string, forms []string, workers int) []string {
	return []string{r.calends, "bench", "run", r.world, "--quiet", "--output", "json", "--to", filepath.Join(out, "bucket"),
		"--formats", strings.Join(forms, ","), "--workers", strconv.Itoa(workers)}
}

func (r *race) duck(j job) []string {
	text, err := json.Marshal(j)
	if err != nil {
		panic(err) // a struct of strings and numbers
	}
	return []string{r.self, "duckdb", string(text)}
}

// folder is a new one.
func (r *race) folder() (string, error) {
	r.folders++
	name := filepath.Join(r.dir, strconv.Itoa(r.folders))
	return name, os.Mkdir(name, 0o777)
}

// turns lets the contestants run in turn.
func (r *race) turns(ctx context.Context, cores int, contest []contestant) error {
	for range r.rounds {
		for i := range contest {
			out, err := r.folder()
			if err != nil {
				return err
			}
			if _, err := contest[i].run(ctx, out, cores); err != nil {
				return fmt.Errorf("%s: %w", contest[i].name, err)
			}
			if err := os.RemoveAll(out); err != nil {
				return err
			}
		}
	}
	return nil
}

// contestant is run as a process of its own, so that time and memory are its own.
type contestant struct {
	name    string
	command func(out string) []string

	wall, cpu []time.Duration
	memory    []int64
	written   int64
}

// run lets it run once on so many cores and returns what it printed.
func (c *contestant) run(ctx context.Context, out string, cores int) ([]byte, error) {
	command := c.command(out)
	if cores == 1 {
		command = append([]string{"taskset", "--cpu-list", "0"}, command...)
	}
	var printed bytes.Buffer
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Env = append(os.Environ(), "GOMAXPROCS="+strconv.Itoa(cores))
	cmd.Stdout, cmd.Stderr = &printed, os.Stderr
	begin := time.Now()
	if err := cmd.Run(); err != nil {
		return nil, err
	}
	c.wall = append(c.wall, time.Since(begin))
	c.cpu = append(c.cpu, cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime())
	var said struct{ PeakMemory int64 }
	if err := json.Unmarshal(printed.Bytes(), &said); err != nil {
		return nil, err
	}
	c.memory = append(c.memory, said.PeakMemory)
	c.written = 0
	err := filepath.WalkDir(out, func(_ string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			c.written += info.Size()
		}
		return err
	})
	return printed.Bytes(), err
}

// show prints the medians, and how many times as fast the first is as the other.
func show(what string, cores int, rows int64, contest []contestant) {
	for i := range contest {
		c := &contest[i]
		wall, ratio, cpuRatio := median(c.wall), "", ""
		if i > 0 {
			ratio = fmt.Sprintf("%.2f", wall.Seconds()/median(contest[0].wall).Seconds())
			cpuRatio = fmt.Sprintf("%.2f", median(c.cpu).Seconds()/median(contest[0].cpu).Seconds())
		}
		memory := "-"
		if m := median(c.memory); m > 0 {
			memory = fmt.Sprintf("%d MB", m>>20)
		}
		fmt.Printf("%-18s %5d  %-8s %8.2fs %8.2fs %10.0f %9s %6d MB %9s %9s\n", what, cores, c.name, wall.Seconds(), median(c.cpu).Seconds(),
			float64(rows)/wall.Seconds(), memory, c.written>>20, ratio, cpuRatio)
	}
}

func median[T ~int64](values []T) T {
	if len(values) == 0 {
		return 0
	}
	return slices.Sorted(slices.Values(values))[len(values)/2]
}
