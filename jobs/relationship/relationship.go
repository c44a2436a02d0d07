// Package relationship keeps whether customers have agreed to buy from their partner:
// what was asked and answered here, as numbered records in the bucket that never change.
//
//	relationships/<customer>/0001.json    requested, by whom, until when
//	relationships/<customer>/0002.json    accepted, by what name, from which address
//
// A request gives a link with a secret, of which only the hash is kept. Whoever has the
// link may answer, once, until it expires, is withdrawn, or a newer request takes its
// place. No lock is needed: of two who write at once one has the number, and the other
// is told.
//
// Where a customer stands is the word of its newest record. An import counts
// instead where there is no record (a blank stands for accepted), or where it came after
// the newest one with a word that the imports before it did not have: a file that repeats
// what was said before, or has a blank, takes nothing back. Records of a partner that the
// customer has left say nothing of the one that it has now.
//
// There is no clock and no randomness here: both come in.
package relationship

import (
	"errors"
	"time"

	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pipeline/party"
)

// State is where a customer stands with its partner.
type State string

// The states.
const (
	None      State = "none" // not asked, or the request was withdrawn
	Requested State = "requested"
	Expired   State = "expired" // requested, and not answered in time
	Accepted  State = "accepted"
	Declined  State = "declined"
)

// States returns all states.
func States() []State { return []State{None, Requested, Expired, Accepted, Declined} }

// Word is what a record says.
type Word string

// The words.
const (
	SaysRequested Word = "requested"
	SaysAccepted  Word = "accepted"
	SaysDeclined  Word = "declined"
	SaysWithdrawn Word = "withdrawn"
)

// Record is one thing that was asked or answered. The records of a customer are
// numbered 1, 2, 3 … and never change.
type Record struct {
	Layout     int    `json:"layout"`
	CustomerID string `json:"customerId"`
	PartnerID  string `json:"partnerId"`
	Number     int    `json:"number"`
	Says       Word   `json:"says"`
	At         string `json:"at"` // RFC 3339, in UTC
	// By is the id of whoever asked or withdrew; Name is theirs, or the one that
	// whoever answered gave.
	By   string `json:"by,omitempty"`
	Name string `json:"name"`
	From string `json:"from,omitempty"` // the address
	// Inputs is how many inputs the ledger had: what came later is news.
	Inputs int64 `json:"inputs"`

	// Expires is the instant from which a request cannot be answered any more.
	Expires string `json:"expires,omitempty"`
	// SecretSHA256 is that of the link's secret, in lower-case hexadecimal.
	SecretSHA256 string `json:"secretSha256,omitempty"`
	// Request is the number of the one that is answered or withdrawn.
	Request int `json:"request,omitempty"`
}

// Layout is the version of the records that this program writes.
const Layout = 1

// Standing is where a customer stands, and why.
type Standing struct {
	State State
	// By is the record that says so; nil: an import does.
	By *Record
	// Records are all with the partner, oldest first.
	Records []Record
}

// Open returns the request that waits for an answer, nil if none does.
func (s Standing) Open() *Record {
	if s.State == Requested {
		return s.By
	}
	return nil
}

// The refusals, for errors.Is.
var (
	// ErrLink: the link is not known, was answered, has expired, was withdrawn, or is
	// not the newest. Which of these is for nobody to know who has not the newest one.
	ErrLink = errors.New("the link is not known, or is over")
	// ErrAccepted: there is nothing to ask for.
	ErrAccepted = errors.New("the relationship is accepted already")
	// ErrNoRequest: there is nothing to withdraw.
	ErrNoRequest = errors.New("no such request waits for an answer")
	// ErrMeanwhile: somebody else asked or answered at the same time.
	ErrMeanwhile = errors.New("somebody else has asked or answered meanwhile; look again")
)

// Stands says where a customer stands, by what imports say and all its records, oldest
// first.
func Stands(fact ledger.CustomerFact, records []Record, now time.Time) Standing {
	s := Standing{State: imported(fact.Stands())}
	for _, r := range records {
		if r.PartnerID == fact.PartnerID {
			s.Records = append(s.Records, r)
		}
	}
	if len(s.Records) == 0 {
		return s
	}
	last := &s.Records[len(s.Records)-1]
	if fact.Word != "" && fact.Said > last.Inputs {
		s.State = imported(fact.Word)
		return s
	}
	s.By = last
	switch last.Says {
	case SaysRequested:
		s.State = Requested
		if expires, err := time.Parse(time.RFC3339, last.Expires); err != nil || !now.Before(expires) {
			s.State = Expired
		}
	case SaysAccepted:
		s.State = Accepted
	case SaysDeclined:
		s.State = Declined
	case SaysWithdrawn:
		s.State = None
	}
	return s
}

// imported is the state that an import tells.
func imported(r party.Relationship) State {
	switch r {
	case party.Accepted:
		return Accepted
	case party.Requested:
		return Requested
	case party.Declined:
		return Declined
	case party.Unasked:
		return None
	}
	return None // nobody who says something else has agreed
}

// How long a request waits for its answer.
const (
	Valid     = 30 * 24 * time.Hour // where nobody says otherwise
	MostValid = 90 * 24 * time.Hour
)
