package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/calends/calends/jobs"
)

type repairCmd struct {
	DryRun bool     `help:"Only say what would be done."`
	From   []string `placeholder:"PATH" sep:"none" help:"File or folder to take content from: files that were taken in, exports, backups. May be given several times."`
}

// Help tells more than one line.
func (repairCmd) Help() string {
	return `Looks at the bucket as verify does, says what it will do, and does it:

    put back    a missing or damaged file: exactly the bytes that its
                manifest or input names, computed again from what the
                revision knew, or found in what --from offers
    set aside   what stands where it should not: moved to quarantine/,
                never destroyed
    bill again  a month whose draft is damaged and cannot be made again
    remove      what nothing names and is older than a day, as gc does

What cannot be mended is named, with the reason and with what helps: most often the file that was taken
in, by name and SHA-256. The exit code is then 3.

    calends repair --dry-run
    calends repair --from inputs/ --from /backup/calends-data`
}

// Run mends the bucket.
func (c repairCmd) Run(ctx context.Context, a *app) error {
	env, err := a.env()
	if err != nil {
		return err
	}
	plan := jobs.RepairPlan{DryRun: c.DryRun, From: c.From, Now: time.Now()}
	plan.Before = func(r jobs.RepairResult) error {
		for _, action := range r.Actions {
			a.say("will %s %s", action.Do, action.Key)
		}
		return nil
	}
	result, err := env.Repair(ctx, plan)
	if err != nil {
		return err
	}
	if err := a.show(view{json: result, rows: repairRows(result), text: func(w io.Writer) { writeRepair(w, result) }}); err != nil {
		return err
	}
	return openIf(result.Open())
}

func repairRows(r jobs.RepairResult) *table {
	t := newTable("Do", "Key", "Why", "How", "Done")
	for _, action := range r.Actions {
		t.add(action.Do, action.Key, action.Why, action.How, fmt.Sprint(action.Done))
	}
	for _, l := range r.Left {
		t.add("left", l.Key, l.What, l.Reason+"; "+l.Advice, "false")
	}
	return t
}

func writeRepair(w io.Writer, r jobs.RepairResult) {
	title := "done:"
	if r.DryRun {
		title = "would be done:"
	}
	if len(r.Actions) > 0 {
		fmt.Fprintln(w, title)
	}
	for _, action := range r.Actions {
		fmt.Fprintf(w, "  %s %s\n    %s; %s\n", action.Do, action.Key, action.Why, action.How)
	}
	if len(r.Left) > 0 {
		fmt.Fprintln(w, "cannot be mended:")
	}
	for _, l := range r.Left {
		fmt.Fprintf(w, "  %s\n    %s: %s\n    %s\n", l.Key, l.What, l.Reason, l.Advice)
	}
	switch {
	case r.Faults == 0 && len(r.Actions) == 0:
		fmt.Fprintln(w, "nothing to mend")
	case r.DryRun:
		fmt.Fprintf(w, "\n%s found; nothing was changed\n", plural(r.Faults, "fault"))
	case r.Faults == 0:
		fmt.Fprintln(w, "\nlooked at again: nothing is wrong")
	default:
		fmt.Fprintf(w, "\nlooked at again: %s left; calends verify names them\n", plural(r.Faults, "fault"))
	}
}
