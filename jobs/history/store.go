package history

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pricing"
)

// A Store reads and writes the records of a bucket. It may be used concurrently.
// Records never change, so it remembers those that it has read.
type Store struct {
	bucket bucket.Bucket

	mu   sync.Mutex
	read map[string]Ended // by key
}

// NewStore returns the history of a bucket.
func NewStore(b bucket.Bucket) *Store { return &Store{bucket: b, read: make(map[string]Ended)} }

func key(s Slice, attempt int, p phase) string {
	return fmt.Sprintf("%sjob=%s/subject=%s/attempt=%04d-%s", monthPrefix(s.Month), bucket.Segment(s.Job), bucket.Segment(s.Subject), attempt, p)
}

// parseKey is the inverse of key: no other text gives a slice, so that what is found
// by listing can be read.
func parseKey(k string) (Slice, int, phase, error) {
	rest, isRun := strings.CutPrefix(k, prefix)
	parts := strings.Split(rest, "/")
	if !isRun || len(parts) != 4 {
		return Slice{}, 0, "", errNotOurs
	}
	month, hasMonth := strings.CutPrefix(parts[0], "month=")
	job, hasJob := strings.CutPrefix(parts[1], "job=")
	subject, hasSubject := strings.CutPrefix(parts[2], "subject=")
	attempt, p, ok := parseAttempt(parts[3])
	if !hasMonth || !hasJob || !hasSubject || !ok {
		return Slice{}, 0, "", errNotOurs
	}
	var s Slice
	var bad [3]error
	s.Month, bad[0] = pricing.ParseMonth(month)
	s.Job, bad[1] = bucket.ParseSegment(job)
	s.Subject, bad[2] = bucket.ParseSegment(subject)
	if errors.Join(bad[:]...) != nil {
		return Slice{}, 0, "", errNotOurs
	}
	return s, attempt, p, nil
}

// parseAttempt reads attempt=0001-started.json: the number from 1 on, in four digits
// or as many more as it needs.
func parseAttempt(name string) (attempt int, p phase, ok bool) {
	name, isAttempt := strings.CutPrefix(name, "attempt=")
	number, what, _ := strings.Cut(name, "-")
	n, err := strconv.ParseUint(number, 10, 31)
	if !isAttempt || err != nil || n == 0 || len(number) < 4 || len(number) > 4 && number[0] == '0' {
		return 0, "", false
	}
	switch p = phase(what); p {
	case started, logged, ended, told:
		return int(n), p, true
	}
	return 0, "", false
}

// A Track is what the history has of one slice.
type Track struct {
	Slice Slice
	// Attempts is the number of the newest attempt, 0 if there is none.
	Attempts int
	// Last is the record of the newest attempt that ended; nil: none has.
	Last *Ended
	// Open are attempts after it that began and did not end, oldest first.
	Open []int
	// Untold are attempts that ended and of which nobody was told, oldest first.
	Untold []int
}

// Standing is where the slice stands.
func (t Track) Standing() Standing {
	if t.Last == nil {
		return Standing{}
	}
	return t.Last.Standing
}

// View is what the history has of some months.
type View map[Slice]Track

// Of returns the track of a slice; an empty one if it never ran.
func (v View) Of(s Slice) Track {
	if t, ok := v[s]; ok {
		return t
	}
	return Track{Slice: s}
}

// Slices returns those of the view by month, job and subject.
func (v View) Slices() []Slice { return slices.SortedFunc(maps.Keys(v), Compare) }

// Compare orders slices by month, job and subject.
func Compare(a, b Slice) int {
	return cmp.Or(cmp.Compare(a.Month, b.Month), cmp.Compare(a.Job, b.Job), cmp.Compare(a.Subject, b.Subject))
}

// at is how many records are read at a time.
const at = 16

// View reads where the slices of the months stand, first and last included. What
// lies there and is no record is left alone.
func (s *Store) View(ctx context.Context, first, last pricing.Month) (View, error) {
	type seen struct{ started, ended, told map[int]bool }
	all := make(map[Slice]seen)
	for m := first; m <= last; m++ {
		for info, err := range s.bucket.List(ctx, monthPrefix(m)) {
			if err != nil {
				return nil, fmt.Errorf("list the runs of %s: %w", m, err)
			}
			slice, attempt, p, err := parseKey(info.Key)
			if err != nil {
				continue
			}
			if _, ok := all[slice]; !ok {
				all[slice] = seen{make(map[int]bool), make(map[int]bool), make(map[int]bool)}
			}
			switch p {
			case started:
				all[slice].started[attempt] = true
			case ended:
				all[slice].ended[attempt] = true
			case told:
				all[slice].told[attempt] = true
			case logged:
			}
		}
	}
	view := make(View, len(all))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(at)
	var mu sync.Mutex
	for slice, seen := range all {
		t := Track{Slice: slice}
		last := 0
		for _, n := range slices.Sorted(maps.Keys(seen.ended)) {
			last = n
			if !seen.told[n] {
				t.Untold = append(t.Untold, n)
			}
		}
		t.Attempts = last
		for _, n := range slices.Sorted(maps.Keys(seen.started)) {
			t.Attempts = max(t.Attempts, n)
			if !seen.ended[n] && n > last {
				t.Open = append(t.Open, n)
			}
		}
		group.Go(func() error {
			if last > 0 {
				e, err := s.End(ctx, slice, last)
				if err != nil {
					return err
				}
				t.Last = &e
			}
			mu.Lock()
			defer mu.Unlock()
			view[slice] = t
			return nil
		})
	}
	return view, group.Wait()
}

// End reads how an attempt ended. Errors: bucket.ErrNotExist, if it did not.
func (s *Store) End(ctx context.Context, slice Slice, attempt int) (Ended, error) {
	k := key(slice, attempt, ended)
	s.mu.Lock()
	e, ok := s.read[k]
	s.mu.Unlock()
	if ok {
		return e, nil
	}
	if err := s.get(ctx, k, &e); err != nil {
		return Ended{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.read[k] = e
	return e, nil
}

// Start reads how an attempt began. Errors: bucket.ErrNotExist, if it did not, or
// only found that it has to wait.
func (s *Store) Start(ctx context.Context, slice Slice, attempt int) (Begun, error) {
	var begun Begun
	err := s.get(ctx, key(slice, attempt, started), &begun)
	return begun, err
}

// LogOf reads what an attempt logged, JSON lines.
func (s *Store) LogOf(ctx context.Context, e Ended) ([]byte, error) {
	if e.Log == nil {
		return nil, nil
	}
	data, err := bucket.ReadAll(ctx, s.bucket, e.Log.Name)
	if err != nil {
		return nil, fmt.Errorf("read the log of %s attempt %d: %w", e.Slice, e.Attempt, err)
	}
	return data, nil
}

// Begin records that an attempt begins. An attempt of that number by somebody else
// is bucket.ErrExists.
func (s *Store) Begin(ctx context.Context, begun Begun) error {
	data, err := encode(begun)
	if err == nil {
		err = bucket.Put(ctx, s.bucket, key(begun.Slice, begun.Attempt, started), data)
	}
	if err != nil {
		return fmt.Errorf("record the start of %s attempt %d: %w", begun.Slice, begun.Attempt, err)
	}
	return nil
}

// Finish records how an attempt ended, its log first. An attempt that ended
// otherwise already is bucket.ErrConflict.
func (s *Store) Finish(ctx context.Context, e Ended, log []byte) error {
	err := s.finish(ctx, e, log)
	if err != nil {
		return fmt.Errorf("record the end of %s attempt %d: %w", e.Slice, e.Attempt, err)
	}
	return nil
}

func (s *Store) finish(ctx context.Context, e Ended, log []byte) error {
	if len(log) > 0 {
		name := key(e.Slice, e.Attempt, logged)
		if err := bucket.PutSame(ctx, s.bucket, name, log); err != nil {
			return err
		}
		sum := sha256.Sum256(log)
		e.Log = &Ref{Name: name, SHA256: hex.EncodeToString(sum[:]), Size: int64(len(log))}
	}
	data, err := encode(e)
	if err != nil {
		return err
	}
	return bucket.PutSame(ctx, s.bucket, key(e.Slice, e.Attempt, ended), data)
}

// Telling is the record that somebody was told how an attempt ended.
type Telling struct {
	At time.Time `json:"at"`
	// To are addresses without secrets, each with what came of it.
	To []Told `json:"to"`
}

// Told is one of those who were told.
type Told struct {
	Address string `json:"address"`
	Error   string `json:"error,omitempty"` // "": delivered
}

// Tell records that it was told how an attempt ended. Another may have told at the
// same time; its record stands.
func (s *Store) Tell(ctx context.Context, slice Slice, attempt int, telling Telling) error {
	data, err := encode(telling)
	if err == nil {
		err = bucket.Put(ctx, s.bucket, key(slice, attempt, told), data)
	}
	if err != nil && !errors.Is(err, bucket.ErrExists) {
		return fmt.Errorf("record that %s attempt %d was told of: %w", slice, attempt, err)
	}
	return nil
}

// Runs reads all attempts of the months, first and last included, by the time they
// began. One that did not end has no result.
func (s *Store) Runs(ctx context.Context, first, last pricing.Month) ([]Ended, error) {
	type run struct {
		slice   Slice
		attempt int
	}
	ends := make(map[run]bool)
	for m := first; m <= last; m++ {
		for info, err := range s.bucket.List(ctx, monthPrefix(m)) {
			if err != nil {
				return nil, fmt.Errorf("list the runs of %s: %w", m, err)
			}
			slice, attempt, p, err := parseKey(info.Key)
			if err != nil || p == told || p == logged {
				continue
			}
			ends[run{slice, attempt}] = ends[run{slice, attempt}] || p == ended
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(at)
	var mu sync.Mutex
	var all []Ended
	for r, hasEnded := range ends {
		group.Go(func() (err error) {
			var e Ended
			if hasEnded {
				e, err = s.End(ctx, r.slice, r.attempt)
			} else {
				e.Begun, err = s.Start(ctx, r.slice, r.attempt)
			}
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			all = append(all, e)
			return nil
		})
	}
	err := group.Wait()
	slices.SortFunc(all, func(a, b Ended) int {
		return cmp.Or(a.Started.Compare(b.Started), Compare(a.Slice, b.Slice), cmp.Compare(a.Attempt, b.Attempt))
	})
	return all, err
}

// Months lists those that have records, oldest first.
func (s *Store) Months(ctx context.Context) ([]pricing.Month, error) {
	found := make(map[pricing.Month]bool)
	for info, err := range s.bucket.List(ctx, prefix+"month=") {
		if err != nil {
			return nil, fmt.Errorf("list the runs: %w", err)
		}
		if slice, _, _, err := parseKey(info.Key); err == nil {
			found[slice.Month] = true
		}
	}
	return slices.Sorted(maps.Keys(found)), nil
}

// beganKey has the first month that a schedule minds.
const beganKey = prefix + "began.json"

// beginning is where a schedule begins to mind months.
type beginning struct {
	Month string    `json:"month"`
	At    time.Time `json:"at"`
}

// Beginning returns the first month that the bucket's schedule minds: first, if it has
// not run before. Of several machines that begin at once one decides.
func (s *Store) Beginning(ctx context.Context, first pricing.Month, now time.Time) (pricing.Month, error) {
	month, found, err := s.Began(ctx)
	if err != nil || found {
		return month, err
	}
	data, err := encode(beginning{Month: first.String(), At: now})
	if err != nil {
		return 0, err
	}
	if err := bucket.Put(ctx, s.bucket, beganKey, data); err != nil && !errors.Is(err, bucket.ErrExists) {
		return 0, fmt.Errorf("record the schedule's first month: %w", err)
	}
	month, _, err = s.Began(ctx)
	return month, err
}

// Began returns the first month that the bucket's schedule minds, if it ran before.
func (s *Store) Began(ctx context.Context) (month pricing.Month, found bool, err error) {
	var b beginning
	err = s.get(ctx, beganKey, &b)
	if errors.Is(err, bucket.ErrNotExist) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	if month, err = pricing.ParseMonth(b.Month); err != nil {
		return 0, false, fmt.Errorf("read %s: %w", beganKey, err)
	}
	return month, true, nil
}

func (s *Store) get(ctx context.Context, key string, into any) error {
	data, err := bucket.ReadAll(ctx, s.bucket, key)
	if err != nil {
		return fmt.Errorf("read a run's record: %w", err)
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("read a run's record %s: %w", key, err)
	}
	return nil
}

func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return nil, fmt.Errorf("encode a run's record: %w", err)
	}
	return b.Bytes(), nil
}
