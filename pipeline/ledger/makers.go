package ledger

import (
	"context"

	"github.com/calends/calends/pipeline/change"
	"github.com/calends/calends/pipeline/ledger/pages"
)

// EachOwner tells of every change whose it is, and which subscription it brings into
// being, if it is taken: a purchase's, an upgrade's to another id, else "". It reads no
// more of the changes than that. The texts are good until each returns.
func (l Ledger) EachOwner(ctx context.Context, inputs []Input, each func(customerID, made string)) error {
	wanted, err := wantedRuns(inputs, func(int64, Object) (bool, error) { return true, nil })
	if err != nil {
		return err
	}
	objects := make([]Object, len(wanted))
	for i, w := range wanted {
		objects[i] = w.object
	}
	var customer, kind, to pages.Names
	var subject pages.Texts
	rows := columns{ctx: ctx, ledger: l, objects: objects, add: func(r *pages.Reader) {
		r.Add("customerId", &customer)
		r.Add("type", &kind)
		r.Add("subject", &subject)
		r.Add("toSubscriptionId", &to)
	}}
	defer rows.close()
	for {
		n, err := rows.next(standingBatch)
		if err != nil || n == 0 {
			return err
		}
		for i := range n {
			id := ""
			switch change.Type(kind.Of(i)) {
			case change.Purchased:
				id = subject.Values[i]
			case change.Upgraded:
				id = to.Of(i)
			default: // changes one that is there
			}
			each(customer.Of(i), id)
		}
	}
}
