package routine

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/calends/calends/jobs/history"
	"github.com/calends/calends/jobs/microsoft"
	"github.com/calends/calends/jobs/schedule"
	"github.com/calends/calends/pricing"
)

// ImportOffers fetches the offer matrix of each month, and the promotions of each
// market and segment as they are now.
type ImportOffers struct {
	Import
	Client  *microsoft.Client
	Markets []string
	// Segments, such as commercial.
	Segments []string
}

const (
	matrixSubject    = "matrix"
	promotionsPrefix = "promotions/"
)

// Name is the job's.
func (ImportOffers) Name() string { return ImportOffersName }

// Asks are the matrices of the months, and today's promotions. No close waits for
// them: what a change names and is not known stops it anyway, with its reason.
func (o ImportOffers) Asks(_ context.Context, at schedule.Moment) (asks []schedule.Ask, _ error) {
	add := func(subject string, m pricing.Month, tick time.Time) {
		a := ask(ImportOffersName, subject, m, tick)
		a.Needed = neverNeeded
		asks = append(asks, a)
	}
	o.byMonth(at, func(m pricing.Month, tick time.Time) { add(matrixSubject, m, tick) })
	if tick, ok := o.latest(at); ok {
		for _, market := range o.Markets {
			for _, segment := range o.Segments {
				add(promotionsPrefix+market+"/"+segment, schedule.MonthOf(tick), tick)
			}
		}
	}
	return asks, nil
}

// Plan is to fetch it.
func (o ImportOffers) Plan(_ context.Context, r schedule.Request) (schedule.Plan, error) {
	if plan, ok := waited(r); ok {
		return plan, nil
	}
	what := "the offer matrix of " + r.Slice.Month.String()
	if market, segment, ok := promotionsOf(r.Slice.Subject); ok {
		what = fmt.Sprintf("the promotions of %s, %s", market, segment)
	}
	return schedule.ReadyTo(r.Slice, "fetch "+what, "take it in if it is new"), nil
}

func promotionsOf(subject string) (market, segment string, ok bool) {
	rest, ok := strings.CutPrefix(subject, promotionsPrefix)
	if !ok {
		return "", "", false
	}
	return strings.Cut(rest, "/")
}

// Execute fetches and takes it in.
func (o ImportOffers) Execute(ctx context.Context, r schedule.Request, _ schedule.Plan) (history.Outcome, error) {
	if market, segment, ok := promotionsOf(r.Slice.Subject); ok {
		return o.fetched(ctx, r, func(ctx context.Context, w microsoft.Want) (microsoft.Fetched, error) {
			return o.Client.Promotions(ctx, market, segment, w)
		})
	}
	return o.fetched(ctx, r, o.Client.OfferMatrix)
}
