package routine

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/calends/calends/jobs"
	"github.com/calends/calends/jobs/history"
	"github.com/calends/calends/jobs/schedule"
	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pricing"
)

// Destination is where months are exported to by themselves.
type Destination struct {
	// Name is the slice's subject.
	Name string `yaml:"name"`
	// To is a folder, file:///path, s3://name/prefix or azblob://name/prefix. Each month
	// lies in month=2026-10 below it.
	To string `yaml:"to"`
	// Partners, by id, whose files go there. None: all.
	Partners []string `yaml:"partners"`
	// Formats of the files. None: all.
	Formats []string `yaml:"formats"`
	// Drafts go there too, where To is a folder; else only closed months do.
	Drafts bool `yaml:"drafts"`
}

// Validate refuses what cannot be exported.
func (d Destination) Validate() error {
	switch {
	case d.Name == "":
		return fmt.Errorf("name is missing")
	case d.To == "":
		return fmt.Errorf("%s: to is missing: want a folder or the address of a store", d.Name)
	case d.Drafts && d.isStore():
		return fmt.Errorf("%s: drafts cannot go into a store, where nothing is replaced", d.Name)
	}
	for _, f := range d.Formats {
		if !slices.Contains(jobs.ExportFormats(), f) {
			return fmt.Errorf("%s: format %q: known are %s", d.Name, f, strings.Join(jobs.ExportFormats(), ", "))
		}
	}
	return nil
}

// Check opens a store's address, which reads no object.
func (d Destination) Check() error {
	if !d.isStore() {
		return nil
	}
	if _, err := bucket.Open(d.To); err != nil {
		return fmt.Errorf("%s: %w", d.Name, err)
	}
	return nil
}

func (d Destination) isStore() bool {
	return strings.Contains(d.To, "://") && !strings.HasPrefix(d.To, "file://")
}

// Export copies each month to each destination, whenever there is a new revision.
type Export struct {
	Job
	Destinations []Destination
}

// Name is the job's.
func (Export) Name() string { return ExportName }

// Asks are the months that are minded and have a revision, for each destination.
func (x Export) Asks(ctx context.Context, at schedule.Moment) ([]schedule.Ask, error) {
	tick, ok := x.latest(at)
	if !ok {
		return nil, nil
	}
	var asks []schedule.Ask
	for m := at.First; m <= schedule.MonthOf(tick); m++ {
		known, found, err := x.Books.Month(ctx, m)
		if err != nil {
			return nil, err
		}
		for _, d := range x.Destinations {
			if found && (d.Drafts || known.Current.State == ledger.Closed) {
				asks = append(asks, ask(ExportName, d.Name, m, tick))
			}
		}
	}
	return asks, nil
}

// Plan is nothing where the revision was exported before.
func (x Export) Plan(ctx context.Context, r schedule.Request) (schedule.Plan, error) {
	d, err := x.destination(r.Slice.Subject)
	if err != nil {
		return schedule.Plan{}, err
	}
	m, found, err := x.Books.Month(ctx, r.Slice.Month)
	switch {
	case err != nil:
		return schedule.Plan{}, err
	case !found || !d.Drafts && m.Current.State != ledger.Closed:
		return schedule.NothingTo(r.Slice, "%s is not closed", r.Slice.Month), nil
	case r.Stands.Basis == x.basis(m, d) && !r.ByHand:
		return schedule.NothingTo(r.Slice, "%s was exported already", stateOf(m)), nil
	}
	place, _ := d.place(m.Month)
	return schedule.ReadyTo(r.Slice, fmt.Sprintf("copy %s to %s", stateOf(m), place)), nil
}

// basis is what an export comes of.
func (x Export) basis(m ledger.Month, d Destination) string {
	place, _ := d.place(m.Month)
	return fmt.Sprintf("%s to %s, %s, %s", basisOf(m.Current.Revision), place, d.Partners, d.Formats)
}

// place is where a month goes, and the options of a store, which stand behind it in
// an address. Only the place is for people: by mistake options may hold a key.
func (d Destination) place(month pricing.Month) (place, options string) {
	to := d.To
	if at := strings.IndexByte(to, '?'); at >= 0 && d.isStore() {
		to, options = to[:at], to[at:]
	}
	return strings.TrimSuffix(to, "/") + "/month=" + month.String(), options
}

func (x Export) destination(name string) (Destination, error) {
	for _, d := range x.Destinations {
		if d.Name == name {
			return d, nil
		}
	}
	return Destination{}, fmt.Errorf("%w: there is no destination %q in the configuration", jobs.ErrUsage, name)
}

// Execute copies the month. Partners of the destination that have no invoice in it
// get nothing.
func (x Export) Execute(ctx context.Context, r schedule.Request, _ schedule.Plan) (history.Outcome, error) {
	d, err := x.destination(r.Slice.Subject)
	if err != nil {
		return history.Outcome{}, err
	}
	m, _, err := x.Books.Month(ctx, r.Slice.Month)
	if err != nil {
		return history.Outcome{}, err
	}
	place, options := d.place(m.Month)
	plan := jobs.ExportPlan{Month: r.Slice.Month, Folder: place, Formats: d.Formats}
	if d.isStore() {
		if plan.Store, err = bucket.Open(place + options); err != nil {
			return history.Outcome{}, fmt.Errorf("open destination %s: %w", d.Name, err)
		}
	} else {
		plan.Folder = strings.TrimPrefix(plan.Folder, "file://")
	}
	out := history.Outcome{Basis: x.basis(m, d)}
	if len(d.Partners) > 0 {
		known := slices.Sorted(maps.Keys(m.Current.Policies))
		for _, id := range d.Partners {
			if slices.Contains(known, id) {
				plan.Partners = append(plan.Partners, id)
			}
		}
		if len(plan.Partners) == 0 {
			out.Summary = "no partner of the destination has an invoice in the month"
			return out, nil
		}
	}
	result, err := x.env(r).Export(ctx, plan)
	if err != nil {
		return out, err
	}
	var written, bytes int64
	for _, f := range result.Files {
		out.Outputs = append(out.Outputs, history.Ref{Name: f.Path, SHA256: f.SHA256, Size: f.Size})
		if f.Written {
			written, bytes = written+1, bytes+f.Size
		}
	}
	out.Summary = fmt.Sprintf("%s is at %s: %d files, %d of them new", stateOf(m), plan.Folder, len(result.Files), written)
	out.Counts = map[string]int64{"files": int64(len(result.Files)), "written": written, "bytes": bytes}
	return out, nil
}
