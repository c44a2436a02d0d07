package jobs

import (
	"context"
	"errors"
	"fmt"

	"github.com/calends/calends/jobs/relationship"
	"github.com/calends/calends/pipeline/ledger"
)

// relationships reads what customers were asked and have answered. Nothing is billed by
// it, but nothing is bought for a customer of whom it is damaged.
func (v *verification) relationships(ctx context.Context) error {
	wrong, err := relationship.Damaged(ctx, v.env.Bucket)
	if err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	for _, damage := range wrong {
		switch {
		case errors.Is(damage, ledger.ErrNewer):
			v.unreadableRecord(damage.Key, damage)
			continue
		case damage.Missing:
			v.wrong(WrongBooks, damage.Key, "records of the customer", "numbers without a gap", "it is missing, and later ones are there")
		default:
			v.wrong(UnreadableObject, damage.Key, "content", "", damage.Error())
		}
		v.notes[len(v.notes)-1].Advice = "put it back from a backup; until then nothing can be bought for the customer"
	}
	return ctx.Err()
}
