package routine

import (
	"fmt"
	"strings"

	"github.com/calends/calends/jobs"
	"github.com/calends/calends/jobs/history"
)

// Takes refuses a subject: most jobs have none.
func (Job) Takes(s history.Slice) error {
	if s.Subject != "" {
		return fmt.Errorf("%w: %s has one slice a month, such as %s", jobs.ErrUsage, s.Job, history.Slice{Job: s.Job, Month: s.Month})
	}
	return nil
}

// wants says which subjects a job has.
func wants(s history.Slice, ok bool, subjects string) error {
	if ok {
		return nil
	}
	return fmt.Errorf("%w: slice %s: want %s/SUBJECT/%s, where the subject is %s", jobs.ErrUsage, s, s.Job, s.Month, subjects)
}

// Takes wants a market.
func (ImportPrices) Takes(s history.Slice) error {
	return wants(s, s.Subject != "", "a market such as DE")
}

// Takes wants the matrix, or the promotions of a market and a segment.
func (ImportOffers) Takes(s history.Slice) error {
	_, _, ok := promotionsOf(s.Subject)
	return wants(s, ok || s.Subject == matrixSubject, matrixSubject+", or promotions and what they are for, such as "+promotionsPrefix+"DE/commercial")
}

// Takes wants what is billed, or what is not yet.
func (ImportReconciliation) Takes(s history.Slice) error {
	return wants(s, s.Subject == "billed" || strings.HasPrefix(s.Subject, "unbilled/"), "billed, or unbilled and a currency, such as unbilled/EUR")
}

// Takes wants the inbox; there is one.
func (ImportChanges) Takes(s history.Slice) error {
	return wants(s, s.Subject == "inbox", "inbox")
}

// Takes wants a destination.
func (x Export) Takes(s history.Slice) error {
	_, err := x.destination(s.Subject)
	return err
}
