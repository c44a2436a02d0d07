package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/calends/calends/jobs"
)

type gcCmd struct {
	DryRun    bool          `help:"Only list what would be removed."`
	OlderThan time.Duration `default:"24h" placeholder:"AGE" help:"How old a leftover must be, by the clock of the store: at least 1h, by default 24h."`
	Drafts    bool          `help:"Remove the superseded drafts of closed months too."`
}

// Help tells more than one line.
func (gcCmd) Help() string {
	return `Removes what interrupted runs have left: data that no input and no manifest names, and the files of
revisions without a manifest. Whatever is named stays, and so do young leftovers, files that are not
calends' own, and what calends repair has set aside. While a record cannot be read nothing is removed,
for it is not known what it names; where the manifest of a close may be lost, its files and all unnamed
data stay.

With --drafts the drafts go that were superseded before their month was closed. What was issued never
goes.`
}

// Run removes leftovers.
func (c gcCmd) Run(ctx context.Context, a *app) error {
	env, err := a.env()
	if err != nil {
		return err
	}
	result, err := env.GC(ctx, jobs.GCPlan{DryRun: c.DryRun, OlderThan: c.OlderThan, Drafts: c.Drafts, Now: time.Now()})
	if err != nil {
		return err
	}
	return a.show(view{json: result, rows: removalRows(result), text: func(w io.Writer) { writeGC(w, result, c.OlderThan) }})
}

func removalRows(r jobs.GCResult) *table {
	t := newTable("Key", ">Size", "Why")
	for _, removal := range r.Removed {
		t.add(removal.Key, count(removal.Size), removal.Why)
	}
	return t
}

func writeGC(w io.Writer, r jobs.GCResult, age time.Duration) {
	if len(r.Removed) > 0 {
		t := newTable("OBJECT", ">BYTES", "WHY")
		for _, removal := range r.Removed {
			t.add(removal.Key, count(removal.Size), removal.Why)
		}
		t.write(w, "")
		fmt.Fprintln(w)
	}
	verb := "removed"
	if r.DryRun {
		verb = "would be removed"
	}
	fmt.Fprintf(w, "%s: %s, %s\n", verb, plural(len(r.Removed), "object"), plural(r.Bytes, "byte"))
	if r.Young > 0 {
		fmt.Fprintf(w, "kept, younger than %s: %s\n", shortAge(age), plural(r.Young, "leftover"))
	}
	if r.Undated > 0 {
		fmt.Fprintf(w, "kept, the store does not tell their age: %s\n", plural(r.Undated, "leftover"))
	}
	if r.Numbered > 0 {
		fmt.Fprintf(w, "kept, a close was interrupted or its manifest is lost (see calends verify): %s\n", plural(r.Numbered, "object"))
	}
}

// shortAge says 24h, not 24h0m0s.
func shortAge(age time.Duration) string {
	text := age.String()
	for _, nothing := range []string{"0s", "0m"} {
		if strings.HasSuffix(text, "m"+nothing) || strings.HasSuffix(text, "h"+nothing) {
			text = strings.TrimSuffix(text, nothing)
		}
	}
	return text
}
