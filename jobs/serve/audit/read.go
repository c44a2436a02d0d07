package audit

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"regexp"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/calends/calends/pipeline/bucket"
)

// Header is the first line of an object.
type Header struct {
	Layout   int    `json:"layout"`
	Instance string `json:"instance"`
	Number   int64  `json:"number"` // 1, 2, 3 …, by instance
	At       string `json:"at"`
	Before   string `json:"before,omitempty"` // SHA-256 of the instance's object before
	Events   int    `json:"events"`
	// Others are the newest objects of other instances, as the first of this one was written.
	Others []Link `json:"others,omitempty"`
	// Last: the instance stopped in order, nothing comes after.
	Last bool `json:"last,omitempty"`
}

// Link names an object by what it was.
type Link struct {
	Key    string `json:"key"`
	SHA256 string `json:"sha256"`
}

// Entry is an event and where it stands.
type Entry struct {
	Event
	// Place is where it stands: object and line. Places of a day are in the order of
	// writing, which is that of instants but for a few seconds, and never change.
	Place Place
}

// Place is where an event stands.
type Place struct {
	Key  string
	Line int // 1: the first event
}

var keys = regexp.MustCompile(`^audit/day=([0-9]{4}-[0-9]{2}-[0-9]{2})/([0-9]{6}\.[0-9]{6})-([a-z2-7]{12})-([0-9]{8,})\.jsonl$`)

func keyOf(at time.Time, instance string, number int64) string {
	return fmt.Sprintf("%s%s-%s-%08d.jsonl", folderOf(at), at.UTC().Format("150405.000000"), instance, number)
}

func folderOf(day time.Time) string { return prefix + "day=" + day.UTC().Format(time.DateOnly) + "/" }

// parseKey tells whose a key is, and its which.
func parseKey(key string) (instance string, number int64, ok bool) {
	parts := keys.FindStringSubmatch(key)
	if parts == nil {
		return "", 0, false
	}
	number, err := strconv.ParseInt(parts[4], 10, 64)
	return parts[3], number, err == nil && number > 0
}

// Events yields the events that were written on the days of from to to, both included,
// after the place; the zero Place is before all. An error ends the sequence.
func (s *Store) Events(ctx context.Context, from, to time.Time, after Place) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		for o, err := range s.objects(ctx, from, to, after.Key) {
			if err == nil {
				err = o.err
			}
			if err != nil {
				yield(Entry{}, err)
				return
			}
			for i, e := range o.events {
				place := Place{o.key, i + 1}
				if o.key == after.Key && place.Line <= after.Line {
					continue
				}
				if !yield(Entry{e, place}, nil) {
					return
				}
			}
		}
	}
}

// found is an object of the trail as it was read. Its own error is that of its content.
type found struct {
	key    string
	sum    string
	header Header
	events []Event
	err    error
}

// atOnce is how many objects are read at a time.
const atOnce = 16

// objects reads those of the days, from a key on, in the order of their keys.
func (s *Store) objects(ctx context.Context, from, to time.Time, first string) iter.Seq2[found, error] {
	return func(yield func(found, error) bool) {
		for day := from.UTC().Truncate(24 * time.Hour); !day.After(to.UTC()); day = day.AddDate(0, 0, 1) {
			var batch []string
			for info, err := range s.bucket.List(ctx, folderOf(day)) {
				if err != nil {
					yield(found{}, fmt.Errorf("list the trail of %s: %w", day.Format(time.DateOnly), err))
					return
				}
				if _, _, ok := parseKey(info.Key); !ok || info.Key < first {
					continue
				}
				if batch = append(batch, info.Key); len(batch) == atOnce {
					if !s.yieldAll(ctx, batch, yield) {
						return
					}
					batch = batch[:0]
				}
			}
			if !s.yieldAll(ctx, batch, yield) {
				return
			}
		}
	}
}

func (s *Store) yieldAll(ctx context.Context, batch []string, yield func(found, error) bool) bool {
	all := make([]found, len(batch))
	g, ctx := errgroup.WithContext(ctx)
	for i, key := range batch {
		g.Go(func() (err error) {
			all[i], err = s.read(ctx, key)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		yield(found{}, err)
		return false
	}
	for _, f := range all {
		if !yield(f, nil) {
			return false
		}
	}
	return true
}

func (s *Store) read(ctx context.Context, key string) (found, error) {
	data, err := bucket.ReadAll(ctx, s.bucket, key)
	if err != nil {
		return found{}, fmt.Errorf("read the trail: %w", err)
	}
	f := found{key: key, sum: sumOf(data)}
	f.header, f.events, f.err = decode(key, data)
	return f, nil
}

// decode reads an object, and refuses one that is not what its key and its header say.
func decode(key string, data []byte) (h Header, events []Event, err error) {
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, 1<<20)
	bad := func(err error) (Header, []Event, error) {
		return Header{}, nil, fmt.Errorf("read %s: %w", key, err)
	}
	if !lines.Scan() {
		return bad(errors.New("it is empty"))
	}
	if err := json.Unmarshal(lines.Bytes(), &h); err != nil {
		return bad(err)
	}
	if h.Layout > Layout {
		return bad(fmt.Errorf("layout %d, and this program knows %d: use a newer one", h.Layout, Layout))
	}
	if instance, number, _ := parseKey(key); h.Instance != instance || h.Number != number {
		return bad(fmt.Errorf("it says instance %s, number %d", h.Instance, h.Number))
	}
	for lines.Scan() {
		var e Event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return bad(fmt.Errorf("line %d: %w", len(events)+2, err))
		}
		events = append(events, e)
	}
	if err := lines.Err(); err != nil {
		return bad(err)
	}
	if len(events) != h.Events {
		return bad(fmt.Errorf("%d events, and its header says %d", len(events), h.Events))
	}
	return h, events, nil
}
