package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/calends/calends/jobs"
	"github.com/calends/calends/jobs/serve/picture"
)

type storyCmd struct {
	ID       string  `arg:"" help:"The subscription."`
	Customer string  `placeholder:"ID" help:"Whose it is. Only needed where two customers have the same id."`
	Day      dateArg `placeholder:"DATE" help:"At whose end. Default: today."`
	SVG      string  `name:"svg" placeholder:"FILE" help:"Write a picture of it, too."`
}

// Help tells more than one line.
func (storyCmd) Help() string {
	return `Tells where a subscription stands: term, price with its sheet row, seats with the windows in which they can
be taken back, what is scheduled and the next charge. Then its whole history, with what each change did or
why it was refused, and every line: as issued, and in open months as it would be billed now.

    calends subscription ac85bab0-1652-40cc-94ec-81da3ac37385
    calends subscription ac85bab0-1652-40cc-94ec-81da3ac37385 --svg story.svg

The exit code is 4 when there is no such subscription.`
}

// Run tells a subscription's story.
func (c storyCmd) Run(ctx context.Context, a *app) error {
	env, err := a.env()
	if err != nil {
		return err
	}
	reading, err := env.Read(ctx)
	if err != nil {
		return err
	}
	owner, ok, err := reading.Owner(ctx, c.ID, func(id string) bool { return c.Customer == "" || id == c.Customer })
	if err != nil {
		return err
	}
	if !ok {
		return fmt.Errorf("subscription %s: %w: no change that was taken in made it", c.ID, jobs.ErrMissing)
	}
	day := a.today()
	if c.Day.given {
		day = c.Day.Date
	}
	story, err := reading.Story(ctx, jobs.StoryPlan{CustomerID: owner, SubscriptionID: c.ID, Day: day})
	if err != nil {
		return err
	}
	if c.SVG != "" {
		if err := writePicture(c.SVG, story); err != nil {
			return err
		}
		a.say("%s has its picture", c.SVG)
	}
	return a.show(view{json: story, rows: storyRows(story), text: func(w io.Writer) { writeStory(w, story) }})
}

// writePicture writes the whole picture or none.
func writePicture(file string, story jobs.Story) error {
	var svg bytes.Buffer
	if err := picture.Draw(&svg, story); err != nil {
		return err
	}
	return os.WriteFile(file, svg.Bytes(), 0o644) //nolint:gosec // a picture for whoever asked for it
}

// storyRows are the lines.
func storyRows(s jobs.Story) *table {
	t := newTable("Line", "Month", "State", "OrderDate", "ChargeType", "ChargeStartDate", "ChargeEndDate", ">Quantity", ">EffectiveUnitPrice",
		"Currency", ">Subtotal", ">TaxTotal", ">Total", "EventId", "Corrects")
	for _, l := range s.Lines {
		t.add(l.Ref, l.Month, l.State, l.OrderDate, l.ChargeType, l.ChargeStart, l.ChargeEnd, l.Quantity, l.EffectiveUnitPrice,
			l.Currency, l.Subtotal, l.TaxTotal, l.Total, l.Event, l.Corrects)
	}
	return t
}

func writeStory(w io.Writer, s jobs.Story) {
	product := strings.TrimSpace(s.SkuName + " (" + s.ProductID + "/" + s.SkuID + ")")
	fmt.Fprintf(w, "%s  %s  %s\n", s.SubscriptionID, s.State, product)
	out := sheet{w}
	out.put("customer", "%s (%s)", s.CustomerName, s.CustomerID)
	out.put("partner", "%s", s.PartnerID)
	out.put("day", "the end of %s", s.Day)
	if s.Parked != nil {
		out.put("parked", "%s: %s", s.Parked.Code, s.Parked.Reason)
	}
	if s.TermStart != "" {
		writeStoryTerm(out, s)
	}
	if s.Price != nil {
		writePrice(out, *s.Price)
	}
	for i, l := range s.Layers {
		label := ""
		if i == 0 {
			label = "seats"
		}
		out.put(label, "%d since %s, %s", l.Seats, l.Since, windowOf(l))
	}
	writeUpcoming(out, s)
	for _, other := range s.UpgradedFrom {
		out.put("upgraded from", "%s", other)
	}
	for _, other := range s.UpgradedInto {
		out.put("upgraded into", "%s", other)
	}
	writeHistory(w, s)
	writeStoryLines(w, s)
}

func writeStoryTerm(out sheet, s jobs.Story) {
	kind := s.TermDuration + " billed " + s.BillingCycle
	switch {
	case s.Trial:
		kind = "a trial"
	case s.CustomEnd:
		kind += ", shortened to a custom end"
	}
	out.put("term", "%s to %s, %s", s.TermStart, s.TermEnd, kind)
	if s.State == jobs.StateEnded {
		return
	}
	renewal := "auto-renew is off"
	if s.AutoRenew {
		renewal = "auto-renew is on"
	}
	out.put("", "%s", renewal)
	if s.CancelUntil != "" {
		out.put("", "can be cancelled until %s", s.CancelUntil)
	}
	if n := s.Scheduled; n != nil {
		out.put("scheduled", "for %s: %s", n.On, scheduledText(*n))
	}
}

// windowOf says whether seats can be taken back.
func windowOf(l jobs.SeatLayer) string {
	switch {
	case l.Until == "":
		return "moved by an upgrade: they stay until the term ends"
	case l.Open:
		return "can be taken back until " + l.Until
	}
	return "could be taken back until " + l.Until
}

func scheduledText(n jobs.Scheduled) string {
	var parts []string
	add := func(what, value string) {
		if value != "" {
			parts = append(parts, strings.TrimSpace(what+" "+value))
		}
	}
	if n.Quantity != nil {
		add("", plural(*n.Quantity, "seat"))
	}
	add("product", strings.Trim(n.ProductID+"/"+n.SkuID, "/"))
	add("term", n.TermDuration)
	add("billed", n.BillingCycle)
	add("to", n.CustomEnd)
	add("promotion", n.PromotionID)
	return strings.Join(parts, ", ")
}

func writeUpcoming(out sheet, s jobs.Story) {
	n := s.Next
	if n == nil {
		return
	}
	if c := n.Charge; c != nil {
		out.put("next charge", "%s: %s of %s, %s", c.First, c.ChargeType, c.Quantity, money(n.Currency, c.Subtotal, c.TaxTotal, c.Total))
	}
	if c := n.Renewal; c != nil && c != n.Charge && (n.Charge == nil || *c != *n.Charge) {
		out.put("renewal", "%s: %s of %s, %s", c.First, c.ChargeType, c.Quantity, money(n.Currency, c.Subtotal, c.TaxTotal, c.Total))
	}
	if n.RenewalParked != "" {
		out.put("renewal", "%s", n.RenewalParked)
	}
	for _, note := range n.Notes {
		out.put("", "%s", note)
	}
}

func writeHistory(w io.Writer, s jobs.Story) {
	fmt.Fprintln(w, "\nHISTORY")
	fmt.Fprintln(w)
	t := newTable("TIME", ">SEATS", "WHAT")
	for _, e := range s.History {
		what := e.Did
		if e.Refused != nil {
			what = "refused, " + e.Refused.Code + ": " + e.Refused.Reason
		}
		t.add(e.Time, fmt.Sprint(e.Quantity), what)
		if e.Change != nil && e.Change.Override != "" {
			t.add("", "", "override: "+e.Change.Override)
		}
		for _, n := range e.Notes {
			t.add("", "", n)
		}
	}
	t.write(w, "  ")
}

func writeStoryLines(w io.Writer, s jobs.Story) {
	if len(s.Lines) == 0 {
		return
	}
	fmt.Fprintln(w, "\nLINES")
	fmt.Fprintln(w)
	t := newTable("LINE", "DATE", "TYPE", ">QUANTITY", ">SUBTOTAL", ">TAX", ">TOTAL", "", "")
	for _, l := range s.Lines {
		corrects := ""
		if l.Corrects != "" {
			corrects = "corrects " + l.Corrects
		}
		t.add(cmp.Or(l.Ref, l.Month+" "+l.State), l.OrderDate, l.ChargeType, l.Quantity, l.Subtotal, l.TaxTotal, l.Total, l.Currency, corrects)
	}
	for _, sum := range s.Sums {
		t.add("together", "", "", "", sum.Subtotal, sum.TaxTotal, sum.Total, sum.Currency, "")
		if sum.Issued != sum.Amounts {
			t.add("issued", "", "", "", sum.Issued.Subtotal, sum.Issued.TaxTotal, sum.Issued.Total, sum.Currency, "")
		}
	}
	t.write(w, "  ")
}
