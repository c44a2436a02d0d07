package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"time"

	"github.com/calends/calends/jobs/internal/world"
	"github.com/calends/calends/pricing"
)

// WorldPlan says which invented world is wanted to measure with.
type WorldPlan struct {
	// Folder is where it is made: new, empty, or of an earlier run with the same plan.
	Folder string `json:"-"`
	// Subscriptions run when Month begins, the month to measure.
	Subscriptions int    `json:"subscriptions"`
	Seed          uint64 `json:"seed"`
	Month         string `json:"month"`
	// Simple leaves out all but purchases, renewals and changes of seats.
	Simple bool `json:"simple,omitempty"`
}

// WorldResult says what a world came to, and how long making it took.
type WorldResult struct {
	WorldPlan
	Folder    string `json:"folder"`
	Partners  int    `json:"partners"`
	Customers int    `json:"customers"`
	// Purchases are those of the years before, Changes those of the month.
	Purchases int64 `json:"purchases"`
	Changes   int64 `json:"changes"`
	// Made is false when it was there already.
	Made   bool         `json:"made"`
	Stages []BenchStage `json:"stages"`
}

// BenchStage is how long a part took.
type BenchStage struct {
	Name    string  `json:"name"`
	Seconds float64 `json:"seconds"`
}

// WorldBucket is where a world keeps its bucket: what Env.Bucket has to be.
func WorldBucket(folder string) string { return filepath.Join(folder, "calends-data") }

// WorldChanges is the file of the month's changes, as they came in.
func WorldChanges(folder string) string { return filepath.Join(folder, "month", "changes.jsonl") }

// worldRecord is written last: a world is there once this is.
const worldRecord = "world.json"

// worldMark says that a folder is a world's while it is made.
const worldMark = "world.part.json"

// MakeWorld invents a world, takes it into the bucket as any other input, closes
// the month before and takes the month's changes in. What an interrupted run left is finished.
func (e Env) MakeWorld(ctx context.Context, plan WorldPlan) (WorldResult, error) {
	month, err := pricing.ParseMonth(plan.Month)
	if err != nil {
		return WorldResult{}, fmt.Errorf("make a world: %w: month %q: want year and month, such as 2026-10", ErrUsage, plan.Month)
	}
	w, err := world.New(world.Plan{Subscriptions: plan.Subscriptions, Seed: plan.Seed, Month: month, Simple: plan.Simple})
	if err != nil {
		return WorldResult{}, fmt.Errorf("make a world: %w: %w", ErrUsage, err)
	}
	there, err := plan.prepare()
	if err != nil || there != nil {
		return deref(there), err
	}
	m := worldMaker{env: e, world: w, result: WorldResult{WorldPlan: plan, Folder: plan.Folder, Partners: w.Partners(), Customers: w.Customers(), Made: true}}
	// Its months are over, whatever the day is. Of the month before nothing but the
	// CSV is read again.
	m.env.Today, m.env.Formats = month.Last()+1, CSV
	if err := m.make(ctx); err != nil {
		return WorldResult{}, fmt.Errorf("make a world in %s: %w", plan.Folder, err)
	}
	if err := writeJSON(filepath.Join(plan.Folder, worldRecord), m.result); err != nil {
		return WorldResult{}, fmt.Errorf("make a world: %w", err)
	}
	return m.result, os.Remove(filepath.Join(plan.Folder, worldMark))
}

func deref(r *WorldResult) WorldResult {
	if r == nil {
		return WorldResult{}
	}
	return *r
}

// ReadWorld returns what the folder's world is.
func ReadWorld(folder string) (WorldResult, error) {
	data, err := os.ReadFile(filepath.Join(folder, worldRecord))
	if errors.Is(err, fs.ErrNotExist) {
		return WorldResult{}, fmt.Errorf("world in %s: %w: there is none, or it is not finished; make one with: calends bench make %s", folder, ErrMissing, folder)
	}
	if err != nil {
		return WorldResult{}, fmt.Errorf("world in %s: %w", folder, err)
	}
	r := WorldResult{}
	if err := json.Unmarshal(data, &r); err != nil {
		return WorldResult{}, fmt.Errorf("world in %s: read %s: %w", folder, worldRecord, err)
	}
	r.Folder, r.Made = folder, false
	return r, nil
}

// prepare makes the folder, or finds the same world in it. It refuses one that
// holds something else.
func (p WorldPlan) prepare() (*WorldResult, error) {
	refuse := func(what string) error {
		return fmt.Errorf("make a world: %w: folder %s %s; give another one", ErrUsage, p.Folder, what)
	}
	wanted := p
	wanted.Folder = ""
	if r, err := ReadWorld(p.Folder); err == nil {
		if r.WorldPlan != wanted {
			return nil, refuse("has another world")
		}
		return &r, nil
	} else if !errors.Is(err, ErrMissing) {
		return nil, err
	}
	entries, err := os.ReadDir(p.Folder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("make a world: %w: %w", ErrUsage, err)
	}
	mark := filepath.Join(p.Folder, worldMark)
	if len(entries) > 0 {
		var begun WorldPlan
		data, err := os.ReadFile(mark)
		if err != nil || json.Unmarshal(data, &begun) != nil {
			return nil, refuse("is not empty and has no world")
		}
		if begun != wanted {
			return nil, refuse("has the beginning of another world")
		}
		return nil, nil
	}
	if err := os.MkdirAll(p.Folder, 0o777); err != nil {
		return nil, fmt.Errorf("make a world: %w", err)
	}
	return nil, writeJSON(mark, wanted)
}

func writeJSON(name string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(name, append(data, '\n'), 0o666)
}

// worldMaker makes one world. Its files are written one by one and, but for
// those of the month, removed as soon as they are taken in.
type worldMaker struct {
	env    Env
	world  *world.World
	result WorldResult
}

// The parts that making a world is timed by.
const (
	stageWorld = "world"
	stageTake  = "ingest"
	stageClose = "close of the month before"
)

func (m *worldMaker) make(ctx context.Context) error {
	facts := []worldFile{
		{"partners.csv", m.world.WritePartners}, {"customers.csv", m.world.WriteCustomers},
		{"fxrates.csv", m.world.WriteRates}, {"promotions.json", m.world.WritePromotions},
	}
	for month := m.world.First(); month <= m.world.Month; month++ {
		for _, market := range m.world.Markets() {
			facts = append(facts, worldFile{fmt.Sprintf("prices/%s/%s.csv", month, market),
				func(out io.Writer) error { return m.world.WriteSheet(out, market, month) }})
		}
	}
	if err := m.take(ctx, "inputs", facts...); err != nil {
		return err
	}
	for month := m.world.First(); month < m.world.Month; month++ {
		if err := m.take(ctx, "inputs", m.changes(month.String()+".parquet", m.world.Purchases(month), &m.result.Purchases)); err != nil {
			return err
		}
	}
	if !m.world.Simple {
		if err := m.take(ctx, "inputs", m.changes("before.parquet", m.world.Before(), new(int64))); err != nil {
			return err
		}
	}
	err := m.timed(stageClose, func() error {
		_, err := m.env.Close(ctx, m.world.Month-1, "")
		return err
	})
	if err != nil {
		return err
	}
	// Changes come in as they happen: day by day.
	month := worldFile{filepath.Base(WorldChanges("")), func(out io.Writer) (err error) {
		m.result.Changes, err = world.WriteJSON(out, func(yield func(world.Change) bool) {
			for day := m.world.Month.First(); day <= m.world.Month.Last(); day++ {
				for c := range m.world.Day(day) {
					if !yield(c) {
						return
					}
				}
			}
		})
		return err
	}}
	if m.world.Simple {
		return m.take(ctx, "month", month)
	}
	return m.take(ctx, "month", worldFile{"customers.csv", m.world.WriteMoves}, month)
}

// worldFile is a file to be.
type worldFile struct {
	name  string
	write func(io.Writer) error
}

func (m *worldMaker) changes(name string, changes iter.Seq[world.Change], count *int64) worldFile {
	return worldFile{"changes/" + name, func(out io.Writer) error {
		n, err := world.WriteParquet(out, changes)
		*count += n
		return err
	}}
}

func (m *worldMaker) path(parts ...string) string {
	return filepath.Join(append([]string{m.result.Folder}, parts...)...)
}

// take writes files and takes them in.
func (m *worldMaker) take(ctx context.Context, folder string, files ...worldFile) error {
	plan := IngestPlan{Folder: m.path(folder)}
	for _, f := range files {
		if err := ctx.Err(); err != nil {
			return err
		}
		name := m.path(folder, filepath.FromSlash(f.name))
		if err := m.timed(stageWorld, func() error { return writeFile(name, f.write) }); err != nil {
			return err
		}
		plan.Paths = append(plan.Paths, f.name)
	}
	var result IngestResult
	err := m.timed(stageTake, func() (err error) {
		result, err = m.env.Ingest(ctx, plan)
		return err
	})
	if err != nil {
		return err
	}
	for _, f := range result.Files {
		if f.Refused > 0 {
			return fmt.Errorf("%s: %s refused: %s %v", f.Name, plural(int(f.Refused), "record"), f.Reason, f.Errors)
		}
	}
	return os.RemoveAll(m.path("inputs"))
}

func writeFile(name string, write func(io.Writer) error) (err error) {
	if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
		return err
	}
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	return write(file)
}

// timed adds what do takes to a stage.
func (m *worldMaker) timed(stage string, do func() error) error {
	begin := time.Now()
	err := do()
	addStage(&m.result.Stages, stage, time.Since(begin))
	return err
}

// addStage adds to the stage of that name, which is made when it is new.
func addStage(stages *[]BenchStage, name string, took time.Duration) {
	for i := range *stages {
		if s := &(*stages)[i]; s.Name == name {
			s.Seconds += took.Seconds()
			return
		}
	}
	*stages = append(*stages, BenchStage{name, took.Seconds()})
}
