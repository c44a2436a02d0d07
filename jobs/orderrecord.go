package jobs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pipeline/change"
	"github.com/calends/calends/pipeline/ledger"
)

// orderRecord is what is kept of an order, and never changes.
type orderRecord struct {
	Layout    int    `json:"layout"`
	ID        string `json:"id"`
	PartnerID string `json:"partnerId"`
	Key       string `json:"key"`
	// Content is equal for orders that ask for the same.
	Content string `json:"content"`
	// Events are its changes as a file that could be taken in, JSON Lines.
	Events string          `json:"events"`
	Answer json.RawMessage `json:"answer"`
}

const (
	ordersPrefix = "orders/"
	// openPrefix is where an order stands from before its record is written until its
	// changes count.
	openPrefix = ordersPrefix + "open/"
)

func orderKey(partnerID, id string) string {
	return ordersPrefix + "partner=" + bucket.Segment(partnerID) + "/" + id + "/order.json"
}

func openKey(id string) string { return openPrefix + id + ".json" }

// openOrder is an order under way.
type openOrder struct {
	ID        string `json:"id"`
	PartnerID string `json:"partnerId"`
}

// TakenOrder returns the answer of an order that was taken. Errors: ErrMissing.
func (e Env) TakenOrder(ctx context.Context, partnerID, id string) (json.RawMessage, error) {
	record, err := e.orderRecord(ctx, partnerID, id)
	if errors.Is(err, bucket.ErrNotExist) {
		return nil, fmt.Errorf("%w: no order %s", ErrMissing, id)
	}
	return record.Answer, err
}

func (e Env) orderRecord(ctx context.Context, partnerID, id string) (record orderRecord, err error) {
	key := orderKey(partnerID, id)
	data, err := bucket.ReadAll(ctx, e.Bucket, key)
	if err != nil {
		return record, err
	}
	if err := json.Unmarshal(data, &record); err != nil {
		return record, fmt.Errorf("read %s: %w", key, err)
	}
	switch {
	case record.Layout > ledger.Layout:
		return record, fmt.Errorf("read %s: it has layout %d, this program knows up to %d: %w", key, record.Layout, ledger.Layout, ledger.ErrNewer)
	case record.ID != id || record.PartnerID != partnerID:
		return record, fmt.Errorf("read %s: it is of order %s of partner %s", key, record.ID, record.PartnerID)
	}
	return record, nil
}

// isOpen reports whether an order's changes may not count yet.
func (e Env) isOpen(ctx context.Context, id string) (bool, error) {
	o, err := e.Bucket.Open(ctx, openKey(id))
	if errors.Is(err, bucket.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, o.Close()
}

// putOrder writes an order: that it is under way, its record, and its changes, with
// which it counts.
func (e Env) putOrder(ctx context.Context, record orderRecord, changes []change.Change, inputs int64) error {
	open, err := encodeCompact(openOrder{record.ID, record.PartnerID})
	if err != nil {
		return err
	}
	data, err := encodeCompact(record)
	if err != nil {
		return err
	}
	if err := bucket.PutSame(ctx, e.Bucket, openKey(record.ID), open); err != nil {
		return err
	}
	if err := e.mayPublish(ctx); err != nil {
		return err
	}
	if err := bucket.PutSame(ctx, e.Bucket, orderKey(record.PartnerID, record.ID), data); err != nil {
		return err
	}
	return e.makeCount(ctx, record, changes, inputs)
}

// makeCount takes an order's changes into the ledger. The order is done with it; what
// says that it is under way goes by the next one, if not now.
func (e Env) makeCount(ctx context.Context, record orderRecord, changes []change.Change, inputs int64) error {
	in := record.input()
	in.Number, in.Records = inputs+1, int64(len(changes))
	var err error
	if in.Objects, err = e.ledger().PutChanges(ctx, changes); err != nil {
		return err
	}
	if err := e.mayPublish(ctx); err != nil {
		return err
	}
	if err := e.ledger().Append(ctx, in); err != nil {
		return err
	}
	if err := e.Bucket.Delete(ctx, openKey(record.ID)); err != nil && e.Log != nil {
		e.Log.Warn("an order is done, but still marked as under way", "order", record.ID, "error", err)
	}
	return nil
}

// input is the order as the file that it might have come in.
func (r orderRecord) input() ledger.Input {
	sum := sha256.Sum256([]byte(r.Events))
	return ledger.Input{Kind: ledger.Changes, Name: "order-" + r.ID + ".jsonl", SHA256: hex.EncodeToString(sum[:])}
}

// FinishOrders makes those orders count whose run ended in between. Each order does
// that first; it is called besides when a server starts.
func (e Env) FinishOrders(ctx context.Context) error {
	open, err := e.openOrders(ctx)
	if err != nil || len(open) == 0 {
		return err
	}
	return e.locked(ctx, "finish orders", func(ctx context.Context, e Env) error { return e.finishOrders(ctx) })
}

func (e Env) openOrders(ctx context.Context) (open []openOrder, err error) {
	for info, err := range e.Bucket.List(ctx, openPrefix) {
		if err != nil {
			return nil, fmt.Errorf("orders under way: %w", err)
		}
		if !strings.HasSuffix(info.Key, ".json") {
			continue
		}
		data, err := bucket.ReadAll(ctx, e.Bucket, info.Key)
		if errors.Is(err, bucket.ErrNotExist) {
			continue // it is done by now
		}
		var one openOrder
		if err == nil {
			err = json.Unmarshal(data, &one)
		}
		if err == nil && openKey(one.ID) != info.Key {
			err = fmt.Errorf("it is of order %s", one.ID)
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", info.Key, err)
		}
		open = append(open, one)
	}
	return open, nil
}

// finishOrders is FinishOrders under the lock: no other order is under way.
func (e Env) finishOrders(ctx context.Context) error {
	open, err := e.openOrders(ctx)
	if err != nil || len(open) == 0 {
		return err
	}
	for _, o := range open {
		if err := e.finishOrder(ctx, o); err != nil {
			return fmt.Errorf("finish order %s: %w", o.ID, err)
		}
	}
	return nil
}

func (e Env) finishOrder(ctx context.Context, o openOrder) error {
	record, err := e.orderRecord(ctx, o.PartnerID, o.ID)
	if errors.Is(err, bucket.ErrNotExist) {
		return e.Bucket.Delete(ctx, openKey(o.ID)) // it never came to be
	}
	if err != nil {
		return err
	}
	inputs, err := e.ledger().Inputs(ctx)
	if err != nil {
		return err
	}
	own := record.input()
	if slices.ContainsFunc(inputs, func(in ledger.Input) bool { return in.Kind == own.Kind && in.SHA256 == own.SHA256 }) {
		return e.Bucket.Delete(ctx, openKey(o.ID))
	}
	changes, err := readEvents([]byte(record.Events))
	if err != nil {
		return err
	}
	return e.makeCount(ctx, record, changes, int64(len(inputs)))
}
