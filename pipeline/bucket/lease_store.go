package bucket

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// leases are the leases of one store.
type leases struct {
	store rawStore
	self  func(Claim) Holder
	gone  func(Holder) bool
}

func leasesOn(store rawStore) leases { return leases{store, thisProcess, Holder.gone} }

// leaseFolder is where leases are, each in a folder of its name.
const leaseFolder = ownFolder + "/leases/"

// leaseRecord is what stands in an object of a lease.
type leaseRecord struct {
	Holder Holder `json:"holder"`
	// At is when the sign of life was given, by the holder's clock: for people, and
	// for the holder itself.
	At time.Time `json:"at"`
	// TTL is how long the holder may be silent.
	TTL string `json:"ttl"`
}

// A sighting is an object of a lease that was there.
type sighting struct {
	number int64
	leaseRecord
}

// same reports whether two sightings are of the same object.
func (s sighting) same(other sighting) bool {
	return s.number == other.number && s.Holder.ID == other.Holder.ID
}

func leaseKey(claim Claim, number int64) string {
	return fmt.Sprintf("%s%08d.json", leasePrefix(claim), number)
}

func leasePrefix(claim Claim) string { return leaseFolder + Segment(claim.Name) + "/" }

// create creates an object, and returns what it says of when: attempts at one
// number differ in that, so that one which arrives late is told from the first.
func (s leases) create(ctx context.Context, claim Claim, number int64, holder Holder) (at time.Time, err error) {
	at = claim.Now().UTC().Round(0)
	data, err := json.Marshal(leaseRecord{Holder: holder, At: at, TTL: claim.TTL.String()})
	if err != nil {
		return at, err
	}
	return at, s.store.create(ctx, leaseKey(claim, number), append(data, '\n'))
}

func (s leases) read(ctx context.Context, claim Claim, number int64) (sighting, error) {
	data, err := s.store.read(ctx, leaseKey(claim, number))
	if err != nil {
		return sighting{}, err
	}
	found := sighting{number: number}
	if json.Unmarshal(data, &found.leaseRecord) != nil || found.Holder.ID == "" {
		// Not written by this program, or by a later one: somebody holds it, who is
		// known by the bytes alone.
		found.leaseRecord = leaseRecord{Holder: Holder{ID: string(data)}}
	}
	return found, nil
}

// remove deletes an object of a holder. That it is gone, or another's, is no error.
func (s leases) remove(ctx context.Context, claim Claim, number int64, holderID string) error {
	there, err := s.read(ctx, claim, number)
	if errors.Is(err, ErrNotExist) || err == nil && there.Holder.ID != holderID {
		return nil
	}
	if err != nil {
		return err
	}
	return s.store.remove(ctx, leaseKey(claim, number))
}

// look returns what is there, by number. moved reports that something else was
// listed and gone when it was read: somebody is at it, and what is seen is no whole
// picture.
func (s leases) look(ctx context.Context, claim Claim) (seen []sighting, moved bool, err error) {
	keys, err := s.store.list(ctx, leasePrefix(claim))
	if err != nil {
		return nil, false, err
	}
	for _, key := range keys {
		name := strings.TrimPrefix(key, leasePrefix(claim))
		number, err := strconv.ParseInt(strings.TrimSuffix(name, ".json"), 10, 64)
		if err != nil || leaseKey(claim, number) != key {
			continue // something that is no lease's
		}
		found, err := s.read(ctx, claim, number)
		if errors.Is(err, ErrNotExist) {
			moved = true
			continue
		}
		if err != nil {
			return nil, false, err
		}
		seen = append(seen, found)
	}
	slices.SortFunc(seen, func(a, b sighting) int { return int(a.number - b.number) })
	return seen, moved, nil
}

// allGone reports whether all the holders' processes are certain to have ended.
func (s leases) allGone(seen []sighting) bool {
	for _, one := range seen {
		if !s.gone(one.Holder) {
			return false
		}
	}
	return true
}
