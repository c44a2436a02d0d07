package jobs

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pricing"
)

// BenchPlan says what is measured.
type BenchPlan struct {
	// Folder has the world.
	Folder string
	// To is the folder that the invoices are written to, new or empty; "" is
	// nowhere: they are kept in memory and forgotten.
	To string
}

// NoFormats writes no lines at all: what is left is reading and billing.
const NoFormats Formats = 1 << 7

// BenchResult is what billing a world's month took.
type BenchResult struct {
	Folder        string `json:"folder"`
	Month         string `json:"month"`
	Workers       int    `json:"workers"`
	Subscriptions int    `json:"subscriptions"` // that run when the month begins
	Changes       int64  `json:"changes"`
	Invoices      int    `json:"invoices"`
	Lines         int    `json:"lines"`
	Errors        int    `json:"errors"`
	Warnings      int    `json:"warnings"`

	Seconds                float64      `json:"seconds"`
	ProcessorSeconds       float64      `json:"processorSeconds"`
	LinesPerSecond         float64      `json:"linesPerSecond"`
	SubscriptionsPerSecond float64      `json:"subscriptionsPerSecond"`
	Stages                 []BenchStage `json:"stages"`
	// PeakMemory is the most that the process ever had in memory, in bytes, by the
	// operating system.
	PeakMemory int64 `json:"peakMemory"`
	// Bytes written, by the ending of the files.
	Bytes map[string]int64 `json:"bytes"`
}

// Bench bills the world's month once and says what it took. Nothing is written into the
// world: so it can be measured again, and each time is the first. Peak memory is
// that of billing only if the process does nothing else.
func (e Env) Bench(ctx context.Context, plan BenchPlan) (BenchResult, error) {
	w, err := ReadWorld(plan.Folder)
	if err != nil {
		return BenchResult{}, err
	}
	month, err := pricing.ParseMonth(w.Month)
	if err != nil {
		return BenchResult{}, fmt.Errorf("world in %s: %w", plan.Folder, err)
	}
	out, err := plan.out()
	if err != nil {
		return BenchResult{}, fmt.Errorf("bench: %w", err)
	}
	r := BenchResult{Folder: plan.Folder, Month: w.Month, Workers: max(1, e.Workers), Subscriptions: w.Subscriptions, Changes: w.Changes, Bytes: make(map[string]int64)}
	e.Bucket, e.forgotten = &patch{Bucket: e.Bucket, over: out}, plan.To == ""
	e.Stage = func(name string, took time.Duration) { addStage(&r.Stages, name, took) }
	begin, used := time.Now(), ProcessorTime()
	bill, err := e.Bill(ctx, month, false)
	took := time.Since(begin)
	if err != nil {
		return BenchResult{}, fmt.Errorf("bench: %w", err)
	}
	r.Seconds, r.ProcessorSeconds = took.Seconds(), (ProcessorTime() - used).Seconds()
	r.Errors, r.Warnings, r.Invoices = bill.Errors, bill.Warnings, len(bill.Invoices)
	for _, inv := range bill.Invoices {
		r.Lines += inv.Lines
	}
	r.LinesPerSecond, r.SubscriptionsPerSecond = float64(r.Lines)/r.Seconds, float64(r.Subscriptions)/r.Seconds
	if r.PeakMemory, err = PeakMemory(); err != nil {
		return BenchResult{}, fmt.Errorf("bench: %w", err)
	}
	for info, err := range out.List(ctx, "") {
		if err != nil {
			return BenchResult{}, fmt.Errorf("bench: %w", err)
		}
		r.Bytes[strings.TrimPrefix(filepath.Ext(info.Key), ".")] += info.Size
	}
	return r, nil
}

// out is where the invoices go.
func (p BenchPlan) out() (bucket.Bucket, error) {
	if p.To == "" {
		return newDrain(), nil
	}
	if entries, err := os.ReadDir(p.To); err == nil && len(entries) > 0 {
		return nil, fmt.Errorf("%w: folder %s is not empty: a run that finds its results there would not write them", ErrUsage, p.To)
	}
	return bucket.NewDisk(p.To)
}

// ProcessorTime is how much of the processors the process has used so far.
func ProcessorTime() time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		return 0
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// PeakMemory is the most that the process had resident, in bytes. Linux says it in /proc;
// its rusage would count what the parent had when it started this process.
func PeakMemory() (int64, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		var used syscall.Rusage
		err := syscall.Getrusage(syscall.RUSAGE_SELF, &used)
		return used.Maxrss, err // in bytes, where there is no /proc
	}
	for line := range strings.Lines(string(status)) {
		if kilobytes, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			n, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(kilobytes), " kB"), 10, 64)
			return n << 10, err
		}
	}
	return 0, fmt.Errorf("peak memory: /proc/self/status has no VmHWM: %w", fs.ErrNotExist)
}
