package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"

	"github.com/calends/calends/jobs"
)

type benchCmd struct {
	Once benchOnceCmd `cmd:"" default:"withargs" help:"Make a world in a temporary folder, bill its month, remove it."`
	Make benchMakeCmd `cmd:"" help:"Make a world to measure with."`
	Run  benchRunCmd  `cmd:"" help:"Bill a world's month and say what it took."`

	Prices       benchPricesCmd       `cmd:"" help:"Ask a server for prices and say how fast it answers."`
	PricesServer benchPricesServerCmd `cmd:"" hidden:""`
	PricesLookUp benchPricesLookUpCmd `cmd:"" hidden:""`
}

// benchWorld are the flags that say which world is made.
type benchWorld struct {
	Subscriptions int      `default:"100000" placeholder:"N" help:"Subscriptions that run when the month begins. Default 100000."`
	Seed          uint64   `default:"1" placeholder:"N" help:"The same seed gives the same world. Default 1."`
	Month         monthArg `default:"2026-03" placeholder:"MONTH" help:"The month that is measured. Default 2026-03."`
	Simple        bool     `help:"Only purchases, renewals and changes of seats."`
}

func (w benchWorld) plan(folder string) jobs.WorldPlan {
	return jobs.WorldPlan{Folder: folder, Subscriptions: w.Subscriptions, Seed: w.Seed, Month: w.Month.String(), Simple: w.Simple}
}

// benchTo are the flags that say what is written and where.
type benchTo struct {
	Formats    []string `enum:"csv,parquet,xlsx,all,none" default:"all" placeholder:"FORM" help:"What is written: csv, parquet, xlsx, several of them, all or none. Default: all."`
	To         string   `placeholder:"FOLDER" help:"Where the invoices are written: a folder, new or empty, which is kept; or nowhere, which forgets them and so cannot check them. Default: a temporary folder."`
	CPUProfile string   `name:"cpu-profile" placeholder:"FILE" help:"Write a processor profile, for go tool pprof."`
}

// nowhere is the place that is none.
const nowhere = "nowhere"

// folder returns where the invoices go, and what removes it.
func (t benchTo) folder(near string) (name string, remove func() error, err error) {
	switch t.To {
	case nowhere:
		return "", func() error { return nil }, nil
	case "":
		name, err = os.MkdirTemp(near, ".bench-")
		return name, func() error { return os.RemoveAll(name) }, err
	}
	return t.To, func() error { return nil }, nil
}

// formats is what --formats says.
func (t benchTo) formats() jobs.Formats {
	var all jobs.Formats
	for _, name := range t.Formats {
		switch name {
		case "all":
			return jobs.AllFormats
		case "csv":
			all |= jobs.CSV
		case "parquet":
			all |= jobs.Parquet
		case "xlsx":
			all |= jobs.Workbook
		default:
			all |= jobs.NoFormats
		}
	}
	return all
}

type benchMakeCmd struct {
	Folder string `arg:"" help:"Folder for the world: new, empty, or of an earlier run, which is then finished."`
	benchWorld
}

// Run makes a world.
func (c benchMakeCmd) Run(ctx context.Context, a *app) error {
	r, err := a.makeWorld(ctx, c.plan(c.Folder))
	if err != nil {
		return err
	}
	return a.show(view{json: r, rows: stageRows(r.Stages), text: func(w io.Writer) { writeWorld(w, r) }})
}

func (a *app) makeWorld(ctx context.Context, plan jobs.WorldPlan) (jobs.WorldResult, error) {
	// Somebody's configuration must not change what is measured.
	env, err := a.envOn(jobs.WorldBucket(plan.Folder), defaultsOfConfig())
	if err != nil {
		return jobs.WorldResult{}, err
	}
	return env.MakeWorld(ctx, plan)
}

type benchRunCmd struct {
	Folder string `arg:"" help:"Folder that calends bench make has made."`
	benchTo
}

// Run bills once.
func (c benchRunCmd) Run(ctx context.Context, a *app) (err error) {
	if _, err := jobs.ReadWorld(c.Folder); err != nil {
		return err
	}
	to, remove, err := c.folder(c.Folder)
	if err != nil {
		return fmt.Errorf("bench: %w: %w", jobs.ErrUsage, err)
	}
	defer func() { err = errors.Join(err, remove()) }()
	env, err := a.envOn(jobs.WorldBucket(c.Folder), defaultsOfConfig())
	if err != nil {
		return err
	}
	stop, err := c.profile()
	if err != nil {
		return err
	}
	env.Formats = c.formats()
	r, err := env.Bench(ctx, jobs.BenchPlan{Folder: c.Folder, To: to})
	if err := errors.Join(err, stop()); err != nil {
		return err
	}
	return a.show(view{json: r, rows: benchRows(r), text: func(w io.Writer) { writeBench(w, r) }})
}

// profile begins to write a processor profile, if one is wanted.
func (t benchTo) profile() (stop func() error, err error) {
	if t.CPUProfile == "" {
		return func() error { return nil }, nil
	}
	file, err := os.Create(t.CPUProfile)
	if err != nil {
		return nil, fmt.Errorf("bench: %w: %w", jobs.ErrUsage, err)
	}
	if err := pprof.StartCPUProfile(file); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return func() error {
		pprof.StopCPUProfile()
		return file.Close()
	}, nil
}

type benchOnceCmd struct {
	benchWorld
	benchTo
	Keep bool `help:"Keep the world, and say where it is."`
}

// Help tells more than one line.
func (benchOnceCmd) Help() string {
	return `Invents a world of partners, customers, price sheets, exchange rates, years of purchases and one month of
changes from a seed, takes it in as any other input, closes the month before, and bills the month: that alone
is measured, in a process of its own. About 12 % of the subscriptions change their seats in the month;
cancellations, renewals, schedules, suspensions, upgrades, trials, credits and new purchases occur too.

    calends bench --subscriptions 100000
    calends bench make world --subscriptions 1000000
    calends bench run world --to out --workers 1

The last two keep the world, so that it can be measured again. Single runs differ by what else the machine
does: compare medians of several.`
}

// Run makes a world and measures in a process of its own, so that the memory is
// that of billing alone.
func (c benchOnceCmd) Run(ctx context.Context, a *app) (err error) {
	folder, err := os.MkdirTemp("", "calends-bench-")
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	if c.Keep {
		a.say("bench: the world is kept in %s", folder)
	} else {
		defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	}
	a.say("bench: make a world of %s", plural(c.Subscriptions, "subscription"))
	made, err := a.makeWorld(ctx, c.plan(folder))
	if err != nil {
		return err
	}
	a.say("bench: bill %s", c.Month)
	r, err := c.again(ctx, a, folder)
	if err != nil {
		return err
	}
	r.Folder = ""
	if c.Keep {
		r.Folder = folder
	}
	type both struct {
		World jobs.WorldResult `json:"world"`
		Bench jobs.BenchResult `json:"bench"`
	}
	return a.show(view{json: both{made, r}, rows: benchRows(r), text: func(w io.Writer) {
		writeWorld(w, made)
		fmt.Fprintln(w)
		writeBench(w, r)
	}})
}

// again runs this program on the world.
func (c benchOnceCmd) again(ctx context.Context, a *app, folder string) (r jobs.BenchResult, err error) {
	self, err := os.Executable()
	if err != nil {
		return r, fmt.Errorf("bench: %w", err)
	}
	args := []string{"bench", "run", folder, "--output", "json", "--quiet", "--workers", strconv.Itoa(a.workers(defaultsOfConfig())),
		"--formats", strings.Join(c.Formats, ",")}
	if c.To != "" {
		args = append(args, "--to", c.To)
	}
	if c.CPUProfile != "" {
		args = append(args, "--cpu-profile", c.CPUProfile)
	}
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Stdout, cmd.Stderr = &out, a.stderr
	if err := cmd.Run(); err != nil {
		return r, fmt.Errorf("bench: %s: %w", strings.Join(args[:2], " "), errors.Join(err, ctx.Err()))
	}
	return r, json.Unmarshal(out.Bytes(), &r)
}

func writeWorld(w io.Writer, r jobs.WorldResult) {
	fmt.Fprintf(w, "world in %s: %s of %s and %s; %s before, %s in %s\n", filepath.ToSlash(r.Folder), plural(r.Subscriptions, "subscription"),
		plural(r.Customers, "customer"), plural(r.Partners, "partner"), plural(r.Purchases, "purchase"), plural(r.Changes, "change"), r.Month)
	if !r.Made {
		fmt.Fprintln(w, "  it was there already")
	}
	writeStages(w, r.Stages)
}

func writeStages(w io.Writer, stages []jobs.BenchStage) {
	for _, s := range stages {
		fmt.Fprintf(w, "  %-24s %9s\n", s.Name, seconds(s.Seconds))
	}
}

func writeBench(w io.Writer, r jobs.BenchResult) {
	fmt.Fprintf(w, "%s billed with %s: %s, %s of %s; %s, %s\n", r.Month, plural(r.Workers, "worker"), plural(r.Invoices, "invoice"),
		plural(r.Lines, "line"), plural(r.Subscriptions, "subscription"), plural(r.Errors, "error"), plural(r.Warnings, "warning"))
	fmt.Fprintf(w, "  %-24s %9s\n", "wall time", seconds(r.Seconds))
	fmt.Fprintf(w, "  %-24s %9s\n", "processor time", seconds(r.ProcessorSeconds))
	fmt.Fprintf(w, "  %-24s %9.0f\n", "lines a second", r.LinesPerSecond)
	fmt.Fprintf(w, "  %-24s %9.0f\n", "subscriptions a second", r.SubscriptionsPerSecond)
	fmt.Fprintf(w, "  %-24s %9s\n", "peak memory", megabytes(r.PeakMemory))
	for _, ending := range slices.Sorted(maps.Keys(r.Bytes)) {
		fmt.Fprintf(w, "  %-24s %9s\n", "written as ."+ending, megabytes(r.Bytes[ending]))
	}
	if len(r.Stages) > 0 {
		fmt.Fprintln(w, "time by stage")
		writeStages(w, r.Stages)
	}
}

func seconds(s float64) string { return fmt.Sprintf("%.2f s", s) }

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/(1<<20)) }

func stageRows(stages []jobs.BenchStage) *table {
	t := newTable("Stage", ">Seconds")
	for _, s := range stages {
		t.add(s.Name, strconv.FormatFloat(s.Seconds, 'f', 3, 64))
	}
	return t
}

func benchRows(r jobs.BenchResult) *table {
	t := newTable("Month", ">Workers", ">Subscriptions", ">Lines", ">Seconds", ">ProcessorSeconds", ">LinesPerSecond", ">SubscriptionsPerSecond", ">PeakMemory", ">Bytes")
	whole := int64(0)
	for _, n := range r.Bytes {
		whole += n
	}
	t.add(r.Month, strconv.Itoa(r.Workers), strconv.Itoa(r.Subscriptions), strconv.Itoa(r.Lines), fixed(r.Seconds, 3), fixed(r.ProcessorSeconds, 3),
		fixed(r.LinesPerSecond, 0), fixed(r.SubscriptionsPerSecond, 0), count(r.PeakMemory), count(whole))
	return t
}
