package inbox

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/calends/calends/jobs/intake"
	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pricing"
)

// Options say how an inbox is looked at.
type Options struct {
	// Now is the time by the clock of whoever asks; the folders of the day have its day in UTC.
	Now time.Time
	// Accept is the reason to take what would be held, what was held before too. "": none is.
	Accept string
}

// Plan is what an inbox has and what will be done with it.
type Plan struct {
	Day    string `json:"day"`
	Accept string `json:"accept,omitempty"`
	Items  []Item `json:"items"` // in the order of taking in
}

// Item is one file.
type Item struct {
	Key   string `json:"key"`
	Size  int64  `json:"size"`
	Kind  string `json:"kind,omitempty"`
	Month string `json:"month,omitempty"` // where the path says it
	Will  Will   `json:"will"`
	Why   string `json:"why,omitempty"` // it is refused or left

	rel    string      // its path below the inbox, as it was dropped
	seen   bucket.Info // as it was listed
	ingest bool        // the ledger decides what becomes of it
	month  pricing.Month
	byPath bool // charges, by the folder
	stuck  bool // a person has to see to it
}

// Will is what will be done with a file.
type Will string

// What can be done with a file.
const (
	Take   Will = "take"   // into the ledger
	File   Will = "file"   // where reconcile finds it
	Refuse Will = "refuse" // it is of no kind that can be taken
	Leave  Will = "leave"  // until it is whole
)

// Work reports whether there is anything to do, or to tell.
func (p Plan) Work() bool {
	return slices.ContainsFunc(p.Items, func(i Item) bool { return i.Will != Leave || i.stuck })
}

// Stuck are the files that are left until a person sees to them.
func (p Plan) Stuck() []Item {
	return slices.DeleteFunc(slices.Clone(p.Items), func(i Item) bool { return !i.stuck })
}

// Plan lists the inbox and looks into each file. It changes nothing.
func (b Inbox) Plan(ctx context.Context, o Options) (Plan, error) {
	plan := Plan{Day: o.Now.UTC().Format(time.DateOnly), Accept: o.Accept, Items: []Item{}}
	for info, err := range b.Env.Bucket.List(ctx, folder) {
		if err != nil {
			return Plan{}, fmt.Errorf("look into the inbox: %w", err)
		}
		rel, isHeld, ok := below(info.Key)
		if !ok || isHeld && o.Accept == "" {
			continue
		}
		item := Item{Key: info.Key, Size: info.Size, Will: Leave, rel: rel, seen: info}
		if !isHeld { // that is whole: the inbox has put it there
			item.Why, item.stuck = b.unready(info, rel, o.Now)
		}
		if item.Why == "" {
			if err := b.look(ctx, &item); err != nil {
				return Plan{}, err
			}
		}
		plan.Items = append(plan.Items, item)
	}
	slices.SortFunc(plan.Items, func(a, b Item) int { return cmp.Or(before(a.rel, b.rel), strings.Compare(a.Key, b.Key)) })
	return plan, nil
}

// unready is why a file is not looked at, and whether a person has to change that.
func (b Inbox) unready(info bucket.Info, rel string, now time.Time) (why string, stuck bool) {
	age := now.Sub(info.Modified)
	switch {
	case rel == done || rel == refused || rel == held:
		return "has the name of a folder of the inbox: rename it", true
	case isUnfinished(rel):
		return "is still being written, by its name", false
	case info.Size > intake.MaxSpool:
		return "is larger than 16 GiB: split it", true
	case !info.Modified.IsZero() && 0 <= age && age < b.Settle:
		// A time to come tells nothing: two clocks differ.
		return "is younger than " + b.Settle.String() + ": it may still grow", false
	}
	return "", false
}

// look recognises a file in the bucket. What nobody may read is left. Any other
// failure of the store ends the plan: of two files that hold the same, the later one
// counts, so none is taken before one that could not be read.
func (b Inbox) look(ctx context.Context, item *Item) (err error) {
	object, err := b.Env.Bucket.Open(ctx, item.Key)
	if errors.Is(err, bucket.ErrNotExist) {
		item.Why = errGone.Error()
		return nil
	}
	if err == nil {
		defer object.Close()
		content := &watched{ReaderAt: object}
		var in *intake.Input
		if in, err = intake.OpenContent(folder+item.rel, content, object.Size()); err == nil {
			decide(item, in)
			err = in.Close()
		}
		err = cmp.Or(content.err, err)
	}
	if errors.Is(err, fs.ErrPermission) {
		item.Will, item.Why, item.stuck = Leave, err.Error(), true
		return nil
	}
	if err != nil {
		return fmt.Errorf("look into the inbox: %w", err)
	}
	return nil
}

// watched remembers what went wrong with the store: whoever recognises a file takes
// it for a fault of the file.
type watched struct {
	io.ReaderAt
	err error
}

func (w *watched) ReadAt(p []byte, off int64) (int, error) {
	n, err := w.ReaderAt.ReadAt(p, off)
	if err != nil && !errors.Is(err, io.EOF) && off >= 0 { // a damaged archive may send its reader anywhere
		w.err = err
	}
	return n, err
}

// decide says what is to be done with a file by its folder and by what it holds.
func decide(item *Item, in *intake.Input) {
	var kinds []string
	recognised, compared, why := false, true, ""
	for _, m := range in.Members {
		what := recognise(m)
		if kind := what.Kind.String(); !slices.Contains(kinds, kind) {
			kinds = append(kinds, kind)
		}
		recognised = recognised || what.Kind != intake.Unknown
		compared = compared && isCharges(what)
		why = cmp.Or(why, what.Reason)
	}
	item.Kind = strings.Join(kinds, ", ")
	month, err := intake.MonthFromPath(folder + item.rel)
	if err == nil {
		item.month = month
	}
	area, _, _ := strings.Cut(item.rel, "/")
	switch {
	case area == charges && err != nil:
		item.Will, item.Why = Refuse, "charges rated elsewhere need their month: drop them below inbox/charges/2026-10/"
		return
	case area == charges:
		item.Will, item.Month, item.byPath, item.ingest = Take, month.String(), true, true
	case area == microsoft && !compared:
		item.Will, item.Why = Refuse, "below inbox/microsoft/ a file in the columns of Microsoft's reconciliation file is wanted, this is: "+item.Kind
		return
	case compared:
		item.Will, item.Kind = File, "reconciliation file"
	default:
		item.Will, item.ingest = Take, true
	}
	if !recognised {
		item.Will, item.Why = Refuse, why
	}
	if item.month != 0 && (item.Will == File || slices.Contains(kinds, intake.PriceSheet.String())) {
		item.Month = item.month.String()
	}
}

func isCharges(what intake.Recognised) bool {
	return what.Kind == intake.Charges || what.Kind == intake.LegacyCharges
}

// recognise is [intake.Member.Recognise] for any file: one over which it panics is
// unknown, and the others go on.
func recognise(m *intake.Member) (what intake.Recognised) {
	defer func() {
		if p := recover(); p != nil {
			what = intake.Recognised{Reason: fmt.Sprintf("the reader of the file panicked, which is a mistake in calends: %v", p)}
		}
	}()
	return m.Recognise()
}
