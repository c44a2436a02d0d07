package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/calends/calends/jobs/history"
	"github.com/calends/calends/jobs/routine"
	"github.com/calends/calends/jobs/schedule"
	"github.com/calends/calends/pricing"
)

// ScheduleConfig says when jobs run by themselves.
type ScheduleConfig struct {
	// Zone of the cron expressions, of the IANA list. Blank: UTC. Months and days are
	// UTC whatever it is.
	Zone string `yaml:"zone"`
	// Since is the first month to mind. Blank: the first open one.
	Since configMonth `yaml:"since"`
	// Poll is how often calends schedule looks for what is due. 0: a minute.
	Poll    time.Duration `yaml:"poll"`
	Retries RetryConfig   `yaml:"retries"`
	// Jobs are cron expressions by the job's name; a job that is not named has its own.
	Jobs map[string]string `yaml:"jobs"`
}

// RetryConfig says when what failed is tried again. 0 is as without it.
type RetryConfig struct {
	Limit int           `yaml:"limit"`
	First time.Duration `yaml:"first"`
	Most  time.Duration `yaml:"most"`
}

// ImportConfig says what of a source is taken, and what holds it.
type ImportConfig struct {
	// RowsLostPercent is by how many percent a price sheet may be shorter than last
	// month's of the market. Not given: 30.
	RowsLostPercent *int `yaml:"rowsLostPercent"`
	// Snapshot says what becomes of differences between Microsoft's subscriptions and
	// the ledger's: report or changes. Blank: report.
	Snapshot string `yaml:"snapshot"`
	// Unbilled are the currencies of which Microsoft's lines are compared before they
	// are billed.
	Unbilled []string `yaml:"unbilled"`
	// Future fetches next month's price sheet too, once there is one.
	Future bool `yaml:"future"`
}

// defaultTicks are the cron expressions of jobs that the configuration does not name.
var defaultTicks = map[string]string{
	routine.ImportPricesName:         "15 2 * * *",
	routine.ImportFXName:             "20 2 * * *",
	routine.ImportOffersName:         "25 2 * * *",
	routine.ImportChangesName:        "*/5 * * * *",
	routine.ImportAuditName:          "35 * * * *",
	routine.ImportSnapshotName:       "45 1 * * *",
	routine.ImportReconciliationName: "0 5 * * *",
	routine.BillName:                 "0 4 * * *",
	routine.CloseName:                "0 6 3 * *",
	routine.ExportName:               "*/10 * * * *",
	routine.ReconcileName:            "*/10 * * * *",
	routine.VerifyName:               "0 3 * * 0",
}

// checkSchedule refuses what could not run.
func (c Config) checkSchedule() error {
	if _, err := c.Schedule.ticks(); err != nil {
		return fmt.Errorf("schedule: %w", err)
	}
	if r := c.Schedule.Retries; r.Limit < 0 || r.First < 0 || r.Most < 0 || c.Schedule.Poll < 0 {
		return errors.New("schedule: poll and retries: want 0 or more")
	}
	if p := c.Imports.RowsLostPercent; p != nil && (*p < 0 || *p > 100) {
		return fmt.Errorf("imports: rowsLostPercent %d: want 0 to 100", *p)
	}
	if s := c.Imports.Snapshot; s != "" && s != routine.SnapshotReport && s != routine.SnapshotChanges {
		return fmt.Errorf("imports: snapshot %q: want %s or %s", s, routine.SnapshotReport, routine.SnapshotChanges)
	}
	for _, currency := range c.Imports.Unbilled {
		if _, ok := pricing.MinorDigits(currency); !ok {
			return fmt.Errorf("imports: unbilled: %q is no currency: want such as EUR", currency)
		}
	}
	if err := c.Close.Bounds.Validate(); err != nil {
		return fmt.Errorf("close: bounds: %w", err)
	}
	names := make(map[string]bool)
	for i, d := range c.Exports {
		if err := d.Validate(); err != nil {
			return fmt.Errorf("exports %d: %w", i+1, err)
		}
		if names[d.Name] {
			return fmt.Errorf("exports %d: the name %q stands there already", i+1, d.Name)
		}
		names[d.Name] = true
	}
	for i, w := range c.Webhooks {
		if err := w.Validate(); err != nil {
			return fmt.Errorf("webhooks %d: %w", i+1, err)
		}
	}
	if c.Microsoft.IsZero() {
		return nil
	}
	if err := c.Microsoft.Validate(); err != nil {
		return fmt.Errorf("microsoft: %w", err)
	}
	return nil
}

// ticks are those of each job.
func (s ScheduleConfig) ticks() (map[string]schedule.Ticks, error) {
	zone, err := schedule.ParseZone(s.Zone)
	if err != nil {
		return nil, err
	}
	specs := maps.Clone(defaultTicks)
	for _, name := range slices.Sorted(maps.Keys(s.Jobs)) {
		if _, ok := specs[name]; !ok {
			return nil, fmt.Errorf("jobs: there is no job %q%s", name, suggest(name, slices.Sorted(maps.Keys(defaultTicks))))
		}
		specs[name] = s.Jobs[name]
	}
	ticks := make(map[string]schedule.Ticks, len(specs))
	for _, name := range slices.Sorted(maps.Keys(specs)) {
		if ticks[name], err = schedule.ParseTicks(specs[name], zone); err != nil {
			return nil, fmt.Errorf("jobs: %s: %w", name, err)
		}
	}
	return ticks, nil
}

// retry is when what failed is tried again.
func (s ScheduleConfig) retry() history.Retry {
	retry := history.DefaultRetry()
	if s.Retries.Limit > 0 {
		retry.Limit = s.Retries.Limit
	}
	if s.Retries.First > 0 {
		retry.First = s.Retries.First
	}
	if s.Retries.Most > 0 {
		retry.Most = s.Retries.Most
	}
	retry.Most = max(retry.First, retry.Most)
	return retry
}

// off says why a job does not run by itself, "" if it does.
func (c Config) off(name string, ticks schedule.Ticks) string {
	noMicrosoft := c.Microsoft.IsZero()
	switch {
	case ticks.Off():
		return "the configuration says so"
	case name == routine.ExportName && len(c.Exports) == 0:
		return "exports names no destination"
	case noMicrosoft && strings.HasPrefix(name, "import-") && name != routine.ImportChangesName:
		return "microsoft is not configured: drop files under inbox/"
	case name == routine.ImportPricesName && len(c.Microsoft.Markets) == 0:
		return "microsoft names no markets"
	}
	return ""
}
