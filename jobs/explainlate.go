package jobs

import (
	"context"
	"fmt"
	"slices"

	"github.com/calends/calends/pipeline/change"
	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pricing"
)

// LateFacts says why an invoice has a line of a month that was closed before.
type LateFacts struct {
	// Month is the line's own; Closed the last month that was closed when the
	// revision was computed.
	Month  string `json:"month"`
	Closed string `json:"closed"`
	// Changes came in after that close and touch the subscription.
	Changes []EventFacts `json:"changes,omitempty"`
	// Inputs are the others that came in after it, when no change explains the
	// line.
	Inputs []InputFacts `json:"inputs,omitempty"`
}

// CorrectionFacts is what a correction takes back, and why.
type CorrectionFacts struct {
	Invoice string    `json:"invoice"`
	Row     int       `json:"row"`
	Line    LineFacts `json:"line"` // as it was issued
	LateFacts
}

// correction finds the line that a mirrored one takes back.
func (x *explainer) correction(ctx context.Context, b *customerBill, line *invoice.Line) (*CorrectionFacts, error) {
	f := &CorrectionFacts{}
	if _, err := fmt.Sscanf(line.Proof.Corrects, "%s line %d", &f.Invoice, &f.Row); err != nil {
		return nil, fmt.Errorf("correction of %q: %w", line.Proof.Corrects, err)
	}
	ref, err := parseLineRef(fmt.Sprintf("%s:%d", f.Invoice, f.Row))
	if err != nil {
		return nil, err
	}
	issued, err := x.env.lineAt(ctx, x.now, ref)
	if err != nil {
		return nil, err
	}
	f.Line = issued.facts()
	late, err := x.late(b, line, issued.month.Month)
	if err != nil {
		return nil, err
	}
	f.LateFacts = *late
	return f, nil
}

// late lists what came in since the last close and may have made the difference.
func (x *explainer) late(b *customerBill, line *invoice.Line, month pricing.Month) (*LateFacts, error) {
	if len(b.past.closes) == 0 {
		return nil, fmt.Errorf("a line of %s stands in %s, but no month was closed", month, b.known.Month)
	}
	last := b.past.closes[len(b.past.closes)-1]
	f := &LateFacts{Month: month.String(), Closed: last.Month.String()}
	for _, c := range b.customer.Changes {
		if c.Taken.Input > last.Inputs && alters(c, line) {
			f.Changes = append(f.Changes, eventFacts(c, b.past.inputs))
		}
	}
	if own := slices.IndexFunc(f.Changes, func(c EventFacts) bool { return c.ID == line.Proof.EventID }); own >= 0 {
		f.Changes = f.Changes[own : own+1] // it came in late itself: that is all there is to say
	}
	if len(f.Changes) > 0 {
		return f, nil
	}
	for _, in := range b.past.inputs[last.Inputs:] {
		if in.Kind != ledger.Changes {
			f.Inputs = append(f.Inputs, InputFacts{Number: in.Number, Name: in.Name, SHA256: in.SHA256})
		}
	}
	return f, nil
}

// alters reports whether a change may be why the line is there: of a change's
// own line, that change; of others, those of the subscription up to that day.
// An override may come later than what it lifts.
func alters(c *change.Change, line *invoice.Line) bool {
	if own := line.Proof.EventID; own != "" && c.ID == own {
		return true
	}
	if c.Type == change.CustomerCredited || c.Type != change.Overridden && c.At.Date() > line.OrderDate {
		return false
	}
	return c.Subject == line.SubscriptionID || c.ToSubscription != "" && c.ToSubscription == line.SubscriptionID
}
