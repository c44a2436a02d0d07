package ledger

import (
	"context"
	"fmt"
	"strconv"
)

// Superseding returns the later inputs of the same kind that brought any key of
// this one again: taking the same file once more then means something. Changes
// and charges are not superseded by taking: the same content changes nothing.
func (l Ledger) Superseding(ctx context.Context, in Input, later []Input) ([]Input, error) {
	if in.Kind == Changes || in.Kind == Charges {
		return nil, nil
	}
	var own map[string]bool
	var superseding []Input
	for _, other := range later {
		if other.Kind != in.Kind || other.Month != in.Month {
			continue
		}
		if own == nil {
			var err error
			if own, err = l.keys(ctx, in); err != nil {
				return nil, err
			}
		}
		theirs, err := l.keys(ctx, other)
		if err != nil {
			return nil, err
		}
		for key := range theirs {
			if own[key] {
				superseding = append(superseding, other)
				break
			}
		}
	}
	return superseding, nil
}

// keys returns what later inputs of the same kind supersede by.
func (l Ledger) keys(ctx context.Context, in Input) (map[string]bool, error) {
	keys := make(map[string]bool)
	for _, o := range in.Objects {
		var err error
		switch in.Kind {
		case Prices, Software:
			keys[o.Market] = true
		case Partners:
			err = read(ctx, l, o, func(rows []partnerRow) error {
				for _, r := range rows {
					keys[r.ID] = true
				}
				return nil
			})
		case Customers:
			err = read(ctx, l, o, func(rows []relatedRow) error {
				for _, r := range rows {
					keys[r.ID] = true
				}
				return nil
			})
		case Rates:
			err = read(ctx, l, o, func(rows []rateRow) error {
				for _, r := range rows {
					keys[r.Currency+strconv.Itoa(int(r.Month))] = true
				}
				return nil
			})
		case Promotions:
			err = read(ctx, l, o, func(rows []promotionRow) error {
				for _, r := range rows {
					keys[r.ID] = true
				}
				return nil
			})
		case Offers:
			err = read(ctx, l, o, func(rows []offerRow) error {
				for _, r := range rows {
					keys[r.ProductID+"/"+r.SkuID] = true
				}
				return nil
			})
		case Changes, Charges:
		}
		if err != nil {
			return nil, fmt.Errorf("input %d (%s %s): %w", in.Number, in.Kind, in.Name, err)
		}
	}
	return keys, nil
}
