package ledger

import (
	"errors"
	"strings"
	"testing"

	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pricing"
)

func TestKindOfKey(t *testing.T) {
	t.Parallel()
	sum := strings.Repeat("0a", 32)
	for key, want := range map[string]KeyKind{
		"ledger/inputs/00000001.json":                           InputKey,
		"ledger/inputs/100000000.json":                          InputKey,
		"ledger/inputs/1.json":                                  ForeignKey,
		"ledger/inputs/00000001.json.bak":                       ForeignKey,
		"ledger/data/" + sum + ".parquet":                       DataKey,
		"ledger/data/" + sum:                                    ForeignKey,
		"ledger/data/notes.txt":                                 ForeignKey,
		"invoices/month=2026-10/notes.txt":                      ForeignKey,
		"invoices/month=2026-13/revision=0001/manifest.json":    ForeignKey,
		"invoices/month=2026-10/revision=0003/manifest.json":    ManifestKey,
		"invoices/month=2026-10/revision=10000/manifest.json":   ManifestKey,
		"invoices/month=2026-10/revision=0003/exceptions.csv":   RevisionKey,
		"invoices/month=2026-10/revision=0003/a/manifest.json":  RevisionKey,
		"invoices/month=2026-10/revision=0003/partner=p/x.xlsx": RevisionKey,
		"approvals/month=2026-10/0001.json":                     ApprovalKey,
		"approvals/month=2026-10/10000.json":                    ApprovalKey,
		"approvals/month=2026-10/1.json":                        ForeignKey,
		"approvals/month=2026-13/0001.json":                     ForeignKey,
		"approvals/month=2026-10/0001/notes.txt":                ForeignKey,
		"notes.txt":                                             ForeignKey,
		"inbox/changes.csv":                                     JobKey,
		"inbox/done/2026-10-05/ledger/inputs/00000001.json":     JobKey,
		"runs/month=2026-10/job=bill/x.json":                    JobKey,
		"holds/month=2026-10/0001.json":                         JobKey,
		"microsoft/reconciliation/2026-10/x.csv":                JobKey,
		"users/anna/0001.json":                                  JobKey,
		"tokens/abc/0001.json":                                  JobKey,
		"audit/day=2026-11-23/x.jsonl":                          JobKey,
		"relationships/dd6c7dae-4000/0001.json":                 JobKey,
		"orders/partner=p/5b0a4a1e/order.json":                  JobKey,
		"inbox":                                                 ForeignKey,
		"inboxes/x.csv":                                         ForeignKey,
	} {
		if got := KindOfKey(key); got != want {
			t.Errorf("%s: kind %d, want %d", key, got, want)
		}
	}
}

func TestRevisionFolder(t *testing.T) {
	t.Parallel()
	const folder = "invoices/month=2026-10/revision=0003/"
	for _, name := range []string{"manifest.json", "partner=p/invoice.json"} {
		if got := RevisionFolder(folder + name); got != folder {
			t.Errorf("folder of %s is %s", name, got)
		}
	}
}

// TestLaterLayoutIsRefused: what a later program wrote is read by none of the
// ways that billing takes.
func TestLaterLayoutIsRefused(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	l := Ledger{Bucket: bucket.NewMemory()}
	put := func(key, text string) {
		t.Helper()
		if err := bucket.Put(ctx, l.Bucket, key, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	put(inputKey(1), `{"layout":3,"number":1}`)
	put(RevisionPrefix(pricing.MonthOf(2026, 10), 1)+ManifestName, `{"layout":3,"month":"2026-10","revision":1}`)
	if _, err := l.Inputs(ctx); !errors.Is(err, ErrNewer) {
		t.Errorf("inputs: %v", err)
	}
	if _, err := l.Months(ctx); !errors.Is(err, ErrNewer) {
		t.Errorf("months: %v", err)
	}
	for found, err := range l.AuditInputs(ctx, 2) {
		if err != nil || !errors.Is(found.Err, ErrNewer) {
			t.Errorf("audit: %v, %v", found.Err, err)
		}
	}
}
