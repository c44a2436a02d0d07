package picture

import (
	"fmt"
	"slices"
	"strings"

	"github.com/calends/calends/jobs"
	"github.com/calends/calends/pipeline/change"
	"github.com/calends/calends/pricing"
)

// plan is a story in numbers, and where everything comes to lie. Lengths are tenths of
// a pixel: whole numbers are the same on every machine.
type plan struct {
	story jobs.Story

	from, to pricing.Instant // what the time axis shows
	today    pricing.Instant // the end of the story's day
	ends     pricing.Instant // of the last term, or of the subscription
	marks    []mark
	rows     int // of marks above each other
	steps    []step
	terms    []term
	most     int64 // seats at the axis' top
	each     int64 // seats between its lines
	after    *step // what comes after the last term; nil: nothing
}

// mark is an event on the lane of marks.
type mark struct {
	at      pricing.Instant
	shape   shape
	refused bool
	title   string
	row     int
}

// step is a time in which nothing changed.
type step struct {
	from, to pricing.Instant
	seats    int64
	state    string
	layers   []layer
}

// layer is some seats of a step, and until when they can be taken back.
type layer struct {
	seats int64
	until pricing.Instant // of those that never can: 0
}

// term is a band.
type term struct {
	from, to pricing.Instant // to is the instant after
	labels   []string        // from the longest to the shortest
	title    string
	cycles   []pricing.Instant
	parked   bool
}

func planOf(s jobs.Story) (*plan, error) {
	p := &plan{story: s}
	r := reading{}
	p.today = r.after(s.Day)
	for _, e := range s.History {
		at := r.instant(e.Time)
		shape, words := shapeOf(e)
		p.marks = append(p.marks, mark{at: at, shape: shape, refused: e.Refused != nil, title: e.Time[:min(10, len(e.Time))] + " " + words + ": " + e.Did})
		if n := len(p.steps); n > 0 {
			p.steps[n-1].to = at
		}
		next := step{from: at, to: at, seats: e.Quantity, state: e.State}
		for _, l := range e.Layers {
			one := layer{seats: l.Seats}
			if l.Until != "" {
				one.until = r.instant(l.Until)
			}
			next.layers = append(next.layers, one)
		}
		p.steps = append(p.steps, next)
	}
	for _, t := range s.Terms {
		p.terms = append(p.terms, r.term(t))
	}
	if r.err != nil {
		return nil, r.err
	}
	if len(p.steps) == 0 {
		return nil, fmt.Errorf("it has no history")
	}
	p.span(&r)
	return p, r.err
}

// span decides what the axes show.
func (p *plan) span(r *reading) {
	s := p.story
	last := &p.steps[len(p.steps)-1]
	p.from = p.steps[0].from
	p.ends = last.from
	if s.TermEnd != "" {
		p.ends = max(p.ends, r.after(s.TermEnd))
	}
	if s.State == jobs.StateEnded || s.State == jobs.StateRefused {
		last.to = max(last.from, p.ends)
	} else {
		last.to = p.ends
		p.after = p.following()
	}
	const least = pricing.Day * 2
	// Some room at both ends: the first mark has its half, what follows has a place.
	length := max(p.ends-p.from, least)
	p.from -= length / 60
	p.to = p.ends + length/16
	if p.ends-p.steps[0].from < least {
		p.to = p.from + length + length/16
	}
	for _, one := range p.steps {
		p.most = max(p.most, one.seats)
	}
	if p.after != nil {
		p.most = max(p.most, p.after.seats)
	}
	p.each = niceStep(p.most, 4)
	p.most = max((p.most+p.each-1)/p.each, 1) * p.each
	p.placeMarks()
}

// following is what the subscription will be after its term.
func (p *plan) following() *step {
	s := p.story
	if !s.AutoRenew || s.Trial && s.Scheduled == nil {
		return nil
	}
	next := &step{from: p.ends, seats: s.Quantity, state: jobs.StateActive}
	if s.Scheduled != nil && s.Scheduled.Quantity != nil {
		next.seats = *s.Scheduled.Quantity
	}
	return next
}

// niceStep is 1, 2 or 5 with noughts: so much that few steps or one less reach most.
func niceStep(most, few int64) int64 {
	for size := int64(1); ; size *= 10 {
		for _, n := range []int64{1, 2, 5} {
			if n*size*few >= most {
				return n * size
			}
		}
	}
}

// placeMarks puts marks that would lie on each other into rows.
func (p *plan) placeMarks() {
	var ends []int
	for i := range p.marks {
		m := &p.marks[i]
		x := p.x(m.at)
		row := slices.IndexFunc(ends, func(end int) bool { return end <= x })
		if row < 0 && len(ends) < mostRows {
			row, ends = len(ends), append(ends, 0)
		}
		if row < 0 { // crowded: the one that is free soonest
			row = slices.Index(ends, slices.Min(ends))
		}
		m.row, ends[row] = row, x+markRoom
	}
	p.rows = len(ends)
}

// x is where an instant lies, between the edges of the plot.
func (p *plan) x(at pricing.Instant) int {
	at = min(max(at, p.from), p.to)
	return left + int(int64(at-p.from)/second*int64(right-left)/max(int64(p.to-p.from)/second, 1))
}

const second = int64(pricing.Day) / (24 * 60 * 60)

// y is where a number of seats lies in a plot whose floor is given.
func (p *plan) y(floor int, seats int64) int {
	return floor - int(seats*plotHeight/p.most)
}

// reading reads a story's texts; the first that cannot be read is the error.
type reading struct{ err error }

func (r *reading) instant(s string) pricing.Instant {
	at, err := pricing.ParseInstant(s)
	if err != nil && r.err == nil {
		r.err = err
	}
	return at
}

func (r *reading) day(s string) pricing.Date {
	d, err := pricing.ParseDate(s)
	if err != nil && r.err == nil {
		r.err = err
	}
	return d
}

// after is the instant after a day.
func (r *reading) after(s string) pricing.Instant { return (r.day(s) + 1).Instant() }

func (r *reading) term(t jobs.StoryTerm) term {
	one := term{from: r.day(t.From).Instant(), to: r.after(t.To), parked: t.Parked}
	length := strings.TrimSpace(t.TermDuration + " " + t.BillingCycle)
	if t.Trial {
		length = "Trial"
	}
	price := t.Currency + " " + t.UnitPrice
	if t.UnitPrice == "" {
		price = "no price"
	}
	name := t.SkuName
	if name == "" {
		name = t.ProductID + "/" + t.SkuID
	}
	one.labels = []string{name + ", " + length + ", " + price, length + ", " + price, length, t.TermDuration}
	one.title = t.From + " to " + t.To + ": " + name + ", " + length + ", " + price + " a seat for the term"
	if t.PromotionID != "" {
		one.title += ", promotion " + t.PromotionID
	}
	for _, c := range t.Cycles {
		one.cycles = append(one.cycles, r.day(c).Instant())
	}
	return one
}

// shapeOf says which shape an event has, and what that is called.
func shapeOf(e jobs.StoryEvent) (shape, string) {
	switch e.Kind {
	case jobs.EventRenewal:
		return circle, "renewed"
	case jobs.EventExpiry:
		return cross, "expired"
	case jobs.EventPlan:
		return square, "billing plan"
	}
	if e.Change == nil {
		return square, "changed"
	}
	switch change.Type(e.Change.Type) {
	case change.Purchased:
		return disc, "bought"
	case change.QuantityChanged:
		if e.Quantity < e.QuantityBefore || e.Refused != nil {
			return down, "fewer seats"
		}
		return up, "more seats"
	case change.Canceled:
		return cross, "cancelled"
	case change.Upgraded, change.TrialConverted:
		return diamond, "upgraded or converted"
	case change.Suspended, change.Reactivated:
		return bars, "suspended or active again"
	case change.NextTermScheduled, change.NextTermCleared, change.RenewalChanged, change.BillingPlanChanged:
		return square, "next term or plan"
	default:
		return hexagon, "other"
	}
}
