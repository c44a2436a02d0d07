package jobs

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/calends/calends/pipeline/ledger"
)

// A line is looked up by its name, and nothing is said of what else there is.
func TestInvoiceOfLine(t *testing.T) {
	t.Parallel()
	month := mustMonth(t, "2026-10")
	r := &Reading{at: snapshot{months: []ledger.Month{{Month: month, Current: ledger.Manifest{Invoices: []ledger.InvoiceSummary{
		{PartnerID: "a", Number: "C202610-000001", Lines: 3}, {PartnerID: "b", Lines: 1}}}}}}}
	for line, want := range map[string]string{"C202610-000001:3": "a", "2026-10/a:1": "a", "2026-10/b:1": "b"} {
		if m, inv, err := r.InvoiceOfLine(line); err != nil || inv.PartnerID != want || m.Month != month {
			t.Errorf("%s is of %q in %s, %v", line, inv.PartnerID, m.Month, err)
		}
	}
	for line, want := range map[string]error{
		"C202610-000001:4": ErrMissing, "C202610-000002:1": ErrMissing, "C202611-000001:1": ErrMissing, "2026-10/c:1": ErrMissing, "2026-10/b:2": ErrMissing,
		"": ErrUsage, "C202610-000001": ErrUsage, "C202610-000001:0": ErrUsage, "a:1": ErrUsage, "2026-13/a:1": ErrUsage,
	} {
		if _, inv, err := r.InvoiceOfLine(line); !errors.Is(err, want) || inv.PartnerID != "" || strings.Contains(strings.ReplaceAll(err.Error(), lineForms, ""), "000001") != strings.Contains(line, "000001") {
			t.Errorf("%s: %v, want %v", line, err, want)
		}
	}
}

// Files are those of a partner's own folder, or those beside all folders.
func TestFilesOf(t *testing.T) {
	t.Parallel()
	m := ledger.Month{Month: mustMonth(t, "2026-10"), Current: ledger.Manifest{Revision: 3, Files: []ledger.File{
		{Path: "exceptions.csv"}, {Path: "partner=a/invoice.json"}, {Path: "partner=a%2Fb/invoice.json", Size: 7, SHA256: "c0"}, {Path: "partner=ab/invoice.json"}}}}
	for partner, want := range map[string]string{
		"":    "invoices/month=2026-10/revision=0003/exceptions.csv",
		"a":   "invoices/month=2026-10/revision=0003/partner=a/invoice.json",
		"a/b": "invoices/month=2026-10/revision=0003/partner=a%2Fb/invoice.json",
		"c":   "",
	} {
		got := ""
		for _, f := range FilesOf(m, partner) {
			got += f.Key
		}
		if got != want {
			t.Errorf("partner %q: %q, want %q", partner, got, want)
		}
	}
}

// Who approves says what was looked at: another draft is not approved.
func TestApproveWhatWasLookedAt(t *testing.T) {
	t.Parallel()
	w := newReviewed(t)
	w.bill("2026-08")
	plan := ApprovePlan{Month: mustMonth(t, "2026-08"), By: "somebody", At: time.Date(2026, 9, 1, 8, 0, 0, 0, time.UTC), Revision: 2}
	if _, err := w.env.Approve(t.Context(), plan); !errors.Is(err, ErrMissing) || !strings.Contains(err.Error(), "revision 2 was looked at") {
		t.Errorf("another draft: %v", err)
	}
	plan.Revision = 1
	if result, err := w.env.Approve(t.Context(), plan); err != nil || !result.Approved || !result.Written {
		t.Errorf("the draft: %+v, %v", result, err)
	}
}
