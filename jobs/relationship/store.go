package relationship

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"

	"golang.org/x/sync/errgroup"

	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pipeline/ledger"
)

const prefix = "relationships/"

var keys = regexp.MustCompile(`^relationships/([^/]+)/([0-9]{4,})\.json$`)

func folder(customerID string) string { return prefix + bucket.Segment(customerID) + "/" }

func keyOf(customerID string, number int) string {
	return fmt.Sprintf("%s%04d.json", folder(customerID), number)
}

// parseKey is the inverse of keyOf.
func parseKey(key string) (customerID string, number int, ok bool) {
	parts := keys.FindStringSubmatch(key)
	if parts == nil {
		return "", 0, false
	}
	customerID, err1 := bucket.ParseSegment(parts[1])
	number, err2 := strconv.Atoi(parts[2])
	return customerID, number, err1 == nil && err2 == nil && keyOf(customerID, number) == key
}

// A Store reads and writes the records of a bucket. It may be used concurrently, and by
// many programs on one bucket. Records never change, so it remembers those that it has
// read.
type Store struct {
	bucket bucket.Bucket

	listing sync.Mutex // held by who lists all

	mu   sync.Mutex
	read map[string]Record // by key
	// all is what All found, and when; by customer. nil: it is to be found anew.
	all    map[string]Known
	listed time.Time
	writes int
}

// NewStore returns the relationships of a bucket.
func NewStore(b bucket.Bucket) *Store { return &Store{bucket: b, read: make(map[string]Record)} }

// Accepted reports whether a customer may be bought for, and where it stands. Before
// anything is bought it has to be asked anew: it reads what the bucket says at the moment.
func (s *Store) Accepted(ctx context.Context, fact ledger.CustomerFact, now time.Time) (bool, State, error) {
	standing, err := s.Of(ctx, fact, now)
	return standing.State == Accepted, standing.State, err
}

// Of says where a customer stands.
func (s *Store) Of(ctx context.Context, fact ledger.CustomerFact, now time.Time) (Standing, error) {
	records, err := s.records(ctx, fact.ID)
	if err != nil {
		return Standing{}, fmt.Errorf("relationship of customer %s: %w", fact.ID, err)
	}
	return Stands(fact, records, now), nil
}

// Asker is somebody who does something here, and when.
type Asker struct {
	ID     string // of a principal; "" for whoever comes by a link
	Name   string
	From   string // the address
	At     time.Time
	Inputs int64 // that the ledger has
}

// record is what the asker says of the customer next.
func (a Asker) record(fact ledger.CustomerFact, s Standing, next int, says Word) Record {
	r := Record{Layout: Layout, CustomerID: fact.ID, PartnerID: fact.PartnerID, Number: next, Says: says,
		At: a.At.UTC().Format(time.RFC3339), By: a.ID, Name: a.Name, From: a.From, Inputs: a.Inputs}
	if open := s.Open(); open != nil && says != SaysRequested {
		r.Request = open.Number
	}
	return r
}

// Request asks the customer for the relationship. What the token opens expires after
// that long, or when the next request is made. Errors: ErrAccepted, ErrMeanwhile.
func (s *Store) Request(ctx context.Context, fact ledger.CustomerFact, by Asker, valid time.Duration, random io.Reader) (Token, Record, error) {
	fail := func(err error) (Token, Record, error) {
		return Token{}, Record{}, fmt.Errorf("request a relationship of customer %s: %w", fact.ID, err)
	}
	records, err := s.records(ctx, fact.ID)
	if err != nil {
		return fail(err)
	}
	standing := Stands(fact, records, by.At)
	if standing.State == Accepted {
		return fail(ErrAccepted)
	}
	token, err := newToken(fact.ID, len(records)+1, random)
	if err != nil {
		return fail(err)
	}
	r := by.record(fact, standing, token.Number, SaysRequested)
	r.Expires = by.At.Add(valid).UTC().Format(time.RFC3339)
	r.SecretSHA256 = token.sum()
	if err := s.put(ctx, r); err != nil {
		return fail(err)
	}
	return token, r, nil
}

// Withdraw takes a request back that waits for its answer. Errors: ErrNoRequest,
// ErrMeanwhile.
func (s *Store) Withdraw(ctx context.Context, fact ledger.CustomerFact, number int, by Asker) (Record, error) {
	fail := func(err error) (Record, error) {
		return Record{}, fmt.Errorf("withdraw request %d to customer %s: %w", number, fact.ID, err)
	}
	records, err := s.records(ctx, fact.ID)
	if err != nil {
		return fail(err)
	}
	standing := Stands(fact, records, by.At)
	if open := standing.Open(); open == nil || open.Number != number {
		return fail(ErrNoRequest)
	}
	r := by.record(fact, standing, len(records)+1, SaysWithdrawn)
	if err := s.put(ctx, r); err != nil {
		return fail(err)
	}
	return r, nil
}

// Opens returns the request that the token is the link of, as long as it waits for an
// answer. The fact is that of the token's customer. Errors: ErrLink.
func (s *Store) Opens(ctx context.Context, fact ledger.CustomerFact, token Token, now time.Time) (Record, error) {
	open, _, err := s.opened(ctx, fact, token, now)
	return open, err
}

// opened also returns how many records there are. Whoever has no right secret costs one
// look at one key, whatever there is.
func (s *Store) opened(ctx context.Context, fact ledger.CustomerFact, token Token, now time.Time) (Record, int, error) {
	fail := func(err error) (Record, int, error) { return Record{}, 0, fmt.Errorf("%s: %w", token, err) }
	asked, err := s.get(ctx, token.CustomerID, token.Number)
	if err != nil && !errors.Is(err, bucket.ErrNotExist) && !errors.Is(err, bucket.ErrInvalidKey) {
		return fail(err)
	}
	if !token.opens(asked) || err != nil || fact.ID != token.CustomerID {
		return Record{}, 0, ErrLink
	}
	records, err := s.records(ctx, fact.ID)
	if err != nil {
		return fail(err)
	}
	open := Stands(fact, records, now).Open()
	if open == nil || open.Number != token.Number {
		return Record{}, 0, ErrLink
	}
	return *open, len(records), nil
}

// Answer accepts or declines the request that the token is the link of. Errors:
// ErrLink; also for the later of two who answer at once.
func (s *Store) Answer(ctx context.Context, fact ledger.CustomerFact, token Token, accept bool, by Asker) (Record, error) {
	open, known, err := s.opened(ctx, fact, token, by.At)
	if err != nil {
		return Record{}, err
	}
	says := SaysDeclined
	if accept {
		says = SaysAccepted
	}
	r := by.record(fact, Standing{State: Requested, By: &open}, known+1, says)
	err = s.put(ctx, r)
	if errors.Is(err, ErrMeanwhile) {
		return Record{}, ErrLink
	}
	if err != nil {
		return Record{}, fmt.Errorf("answer %s: %w", token, err)
	}
	return r, nil
}

// nameLength is how long a name may be, in bytes.
const nameLength = 200

// CheckName returns the name of whoever answers as it is kept, or why it is none.
func CheckName(name string) (string, error) {
	name = strings.TrimSpace(name)
	if name == "" || len(name) > nameLength || strings.ContainsFunc(name, unicode.IsControl) {
		return "", fmt.Errorf("want a name, one line of at most %d bytes", nameLength)
	}
	return name, nil
}

// often is how old a listing of all records may be. What this program writes itself is
// in it at once.
const often = 2 * time.Second

// Known is what the bucket has of a customer: its records, oldest first, or what is
// wrong with them.
type Known struct {
	Records []Record
	Err     error // a [DamageError]
}

// DamageError is a record that cannot be read, or is missing. Whatever its customer said
// is not known then.
type DamageError struct {
	Key     string
	Missing bool
	Cause   error // nil: it is missing
}

func (e *DamageError) Error() string {
	if e.Missing {
		return e.Key + " is missing, and later ones are there: put it back from a backup"
	}
	return fmt.Sprintf("read %s: %v", e.Key, e.Cause)
}

// Unwrap is the cause.
func (e *DamageError) Unwrap() error { return e.Cause }

// All returns what there is of all customers that have records, as it was a moment ago.
// It is not to be changed.
func (s *Store) All(ctx context.Context, now time.Time) (map[string]Known, error) {
	s.listing.Lock()
	defer s.listing.Unlock()
	s.mu.Lock()
	all, listed, writes := s.all, s.listed, s.writes
	s.mu.Unlock()
	if all != nil && !now.Before(listed) && now.Sub(listed) < often {
		return all, nil
	}
	all, err := s.listAll(ctx)
	if err != nil {
		return nil, fmt.Errorf("relationships: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.writes == writes {
		s.all, s.listed = all, now
	}
	return all, nil
}

func (s *Store) listAll(ctx context.Context) (map[string]Known, error) {
	most := make(map[string]int)
	keys := make(map[string][]string)
	for info, err := range s.bucket.List(ctx, prefix) {
		if err != nil {
			return nil, fmt.Errorf("list them: %w", err)
		}
		if id, number, ok := parseKey(info.Key); ok {
			most[id] = max(most[id], number)
			keys[id] = append(keys[id], info.Key)
		}
	}
	var mu sync.Mutex
	all := make(map[string]Known, len(most))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	for id := range keys {
		g.Go(func() error {
			records, err := s.upTo(ctx, id, most[id])
			if damage := new(DamageError); err != nil && !errors.As(err, &damage) {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			all[id] = Known{records, err}
			return nil
		})
	}
	return all, g.Wait()
}

// Damaged lists the records that cannot be read, or are missing, the first of each
// customer, by their keys.
func Damaged(ctx context.Context, b bucket.Bucket) ([]*DamageError, error) {
	all, err := NewStore(b).listAll(ctx)
	if err != nil {
		return nil, fmt.Errorf("relationships: %w", err)
	}
	var wrong []*DamageError
	for _, known := range all {
		if damage := new(DamageError); errors.As(known.Err, &damage) {
			wrong = append(wrong, damage)
		}
	}
	slices.SortFunc(wrong, func(x, y *DamageError) int { return strings.Compare(x.Key, y.Key) })
	return wrong, nil
}

// upTo returns a customer's records to the one of that number.
func (s *Store) upTo(ctx context.Context, customerID string, most int) ([]Record, error) {
	records := make([]Record, 0, most)
	for number := range most {
		r, err := s.get(ctx, customerID, number+1)
		if errors.Is(err, bucket.ErrNotExist) {
			err = &DamageError{Key: keyOf(customerID, number+1), Missing: true}
		}
		if err != nil {
			return nil, err
		}
		records = append(records, r)
	}
	return records, nil
}

// records returns all of a customer's, in order. A number that is missing is an error:
// it may have been the one that counts.
func (s *Store) records(ctx context.Context, customerID string) ([]Record, error) {
	most := 0
	for info, err := range s.bucket.List(ctx, folder(customerID)) {
		if err != nil {
			return nil, fmt.Errorf("list its records: %w", err)
		}
		if _, number, ok := parseKey(info.Key); ok {
			most = max(most, number)
		}
	}
	records, err := s.upTo(ctx, customerID, most)
	for err == nil { // a listing may be behind what is there
		var r Record
		if r, err = s.get(ctx, customerID, len(records)+1); err == nil {
			records = append(records, r)
		}
	}
	if !errors.Is(err, bucket.ErrNotExist) {
		return nil, err
	}
	return records, nil
}

// get returns one record. Errors: those of [bucket.Bucket.Open].
func (s *Store) get(ctx context.Context, customerID string, number int) (Record, error) {
	key := keyOf(customerID, number)
	s.mu.Lock()
	r, known := s.read[key]
	s.mu.Unlock()
	if known {
		return r, nil
	}
	r, err := readRecord(ctx, s.bucket, key)
	if err == nil {
		s.mu.Lock()
		s.read[key] = r
		s.mu.Unlock()
	}
	return r, err
}

// atOnce is how many customers' records are read at a time.
const atOnce = 16

func readRecord(ctx context.Context, b bucket.Bucket, key string) (r Record, err error) {
	data, err := bucket.ReadAll(ctx, b, key)
	if err != nil {
		return Record{}, err
	}
	if err = json.Unmarshal(data, &r); err == nil {
		err = check(key, r)
	}
	if err != nil {
		return Record{}, &DamageError{Key: key, Cause: err}
	}
	return r, nil
}

// check refuses a record that is not what its key says, or says what is not known here.
func check(key string, r Record) error {
	if r.Layout > Layout {
		return fmt.Errorf("it has layout %d, this program knows up to %d: %w", r.Layout, Layout, ledger.ErrNewer)
	}
	if keyOf(r.CustomerID, r.Number) != key {
		return fmt.Errorf("it says customer %s, number %d", r.CustomerID, r.Number)
	}
	switch r.Says {
	case SaysAccepted, SaysDeclined, SaysWithdrawn:
	case SaysRequested:
		if _, err := time.Parse(time.RFC3339, r.Expires); err != nil {
			return fmt.Errorf("when it expires: %w", err)
		}
	default:
		return fmt.Errorf("it says %q", r.Says)
	}
	return nil
}

// put keeps a record under its number. Errors: ErrMeanwhile.
func (s *Store) put(ctx context.Context, r Record) error {
	var data bytes.Buffer
	e := json.NewEncoder(&data)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	key := keyOf(r.CustomerID, r.Number)
	if err := e.Encode(r); err != nil {
		return fmt.Errorf("write %s: %w", key, err)
	}
	err := bucket.PutSame(ctx, s.bucket, key, data.Bytes())
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = nil // whatever came of it
	s.writes++
	if errors.Is(err, bucket.ErrConflict) {
		return ErrMeanwhile
	}
	if err == nil {
		s.read[key] = r
	}
	return err
}
