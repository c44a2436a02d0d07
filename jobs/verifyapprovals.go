package jobs

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/calends/calends/pipeline/ledger"
)

// approvals reads what was said of drafts. Nothing is computed from it, but a month is
// not closed while it is damaged.
func (v *verification) approvals(ctx context.Context) error {
	type row struct{ count, highest int }
	rows := make(map[string]*row) // by month
	for found, err := range v.env.ledger().AuditApprovals(ctx, v.env.Workers) {
		if err != nil {
			return fmt.Errorf("verify: %w", err)
		}
		if _, named := v.named[found.Key]; !named {
			v.named[found.Key] = nil
		}
		month, number, _ := ledger.ApprovalOf(found.Key)
		if rows[month] == nil {
			rows[month] = new(row)
		}
		rows[month].count++
		rows[month].highest = max(rows[month].highest, number)
		switch {
		case errors.Is(found.Err, ledger.ErrNewer):
			v.unreadableRecord(found.Key, found.Err)
		case found.Err != nil:
			v.wrongApproval(ctx, UnreadableObject, found.Key, "content", "", found.Err.Error())
		}
	}
	for _, month := range slices.Sorted(maps.Keys(rows)) {
		if r := rows[month]; r.count != r.highest {
			v.wrongApproval(ctx, WrongBooks, "approvals of "+month, "numbers without a gap", "1 to "+count(int64(r.highest)), plural(r.count, "approval"))
		}
	}
	return ctx.Err()
}

// wrongApproval enters a finding, unless it says only that the run was stopped.
func (v *verification) wrongApproval(ctx context.Context, kind FindingKind, object, what, expected, is string) {
	if ctx.Err() != nil {
		return
	}
	v.notes.add(kind, object, what, expected, is)
	v.notes[len(v.notes)-1].Advice = "put it back from a backup; without one move the month's approvals away and approve its draft again"
}
