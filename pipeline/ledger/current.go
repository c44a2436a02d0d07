package ledger

import (
	"context"
	"fmt"

	"github.com/calends/calends/pricing"
)

// Month returns what the bucket has of one month, false if it has no revision.
func (l Ledger) Month(ctx context.Context, month pricing.Month) (m Month, ok bool, err error) {
	m.Month = month
	current, tried := 0, 0
	for info, err := range l.Bucket.List(ctx, MonthPrefix(month)) {
		if err != nil {
			return m, false, fmt.Errorf("list month %s: %w", month, err)
		}
		if _, revision, name, ok := parseRevisionKey(info.Key); ok {
			tried = max(tried, revision)
			if name == manifestName {
				current = max(current, revision)
			}
		}
	}
	if current > 0 {
		if m.Current, err = l.manifest(ctx, manifestKey(month, current), month, current); err != nil {
			return m, false, err
		}
	}
	err = l.latest(ctx, &m, tried)
	return m, m.Current.Revision > 0, err
}

// LastInput is the number of the newest input, 0 if there is none.
func (l Ledger) LastInput(ctx context.Context) (last int64, err error) {
	for info, err := range l.Bucket.List(ctx, inputsPrefix) {
		if err != nil {
			return 0, fmt.Errorf("find the last input: %w", err)
		}
		if number, ok := InputNumber(info.Key); ok {
			last = max(last, number)
		}
	}
	return last, nil
}
