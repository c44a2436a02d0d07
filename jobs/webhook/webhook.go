// Package webhook tells other systems what became of a run: a small JSON message, by
// POST, signed as the Standard Webhooks specification says.
//
//	webhook-id: run_5f0c2c4a9d0e4f7b
//	webhook-timestamp: 1793491200
//	webhook-signature: v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=
//
//	{"type":"run.finished","id":"run_5f0c2c4a9d0e4f7b","timestamp":"2026-11-01T00:00:00Z",
//	 "slice":{"job":"close","month":"2026-10"},"attempt":2,"counts":{"invoices":4},"exceptions":0}
//
// A message is delivered at least once: an answer can be lost after the receiver has
// acted. Its id stays the same however often it is sent, so a receiver that has seen
// the id answers 2xx and does nothing. The timestamp in the header is that of the
// sending, the one in the body that of the event.
//
// Answers: 2xx is delivered. 410 says that nobody listens there any more, and nothing
// is sent there again. Anything else, a redirect too, is sent again, a few times and
// with growing pauses. Which message has been told to whom is remembered by the
// caller, who sends again later what could not be delivered now.
package webhook

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// Type is what a message tells.
type Type string

// The types of messages.
const (
	Finished Type = "run.finished" // with or without exceptions; the counts tell
	Failed   Type = "run.failed"   // and will be tried again
	Waiting  Type = "run.waiting"  // for somebody: to approve, to accept, to bring what is missing
	Parked   Type = "run.parked"   // failed too often; nothing happens until a person acts
)

// types are all types, by the names that a configuration uses.
var types = map[string]Type{"finished": Finished, "failed": Failed, "waiting": Waiting, "parked": Parked}

// Message is what a receiver is told.
type Message struct {
	Type Type `json:"type"`
	// ID is the same whenever the message is sent: letters, digits, "-" and "_".
	ID    string    `json:"id"`
	Time  time.Time `json:"timestamp"` // of the event
	Slice Slice     `json:"slice"`
	// Attempt counts the runs of the slice, from 1.
	Attempt int              `json:"attempt,omitempty"`
	Counts  map[string]int64 `json:"counts,omitempty"`
	// Exceptions need somebody to look, also where the run has finished.
	Exceptions int64  `json:"exceptions"`
	Summary    string `json:"summary,omitempty"` // a line for people
	Code       string `json:"code,omitempty"`    // what it waits for, such as approval
	// Reason is why the run failed, waits or is parked; at most 4 KiB are sent.
	Reason string `json:"reason,omitempty"`
}

// Slice says what ran, for whom and for which month.
type Slice struct {
	Job     string `json:"job"`
	Subject string `json:"subject,omitempty"` // a partner or a market
	Month   string `json:"month,omitempty"`   // 2026-10
}

const (
	maxID     = 200     // characters
	maxReason = 4 << 10 // bytes; a receiver should not have to expect books
)

// encode gives the body. The same message has the same bytes.
func (m Message) encode() ([]byte, error) {
	if err := checkID(m.ID); err != nil {
		return nil, err
	}
	m.Time = m.Time.UTC()
	if len(m.Reason) > maxReason {
		cut := maxReason
		for !utf8.RuneStart(m.Reason[cut]) {
			cut--
		}
		m.Reason = m.Reason[:cut] + "..."
	}
	return json.Marshal(m)
}

// checkID refuses an id that the signature could not keep apart from the timestamp, or
// that no header could carry.
func checkID(id string) error {
	if id == "" || len(id) > maxID {
		return fmt.Errorf("message id of %d characters: want 1 to %d", len(id), maxID)
	}
	plain := func(r rune) bool {
		return r == '-' || r == '_' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
	}
	if strings.ContainsFunc(id, func(r rune) bool { return !plain(r) }) {
		return fmt.Errorf("message id %q: want letters, digits, - and _", id)
	}
	return nil
}

// ErrGone is a receiver that answered 410: it wants no messages any more. Whoever
// remembers what was delivered counts its messages as settled.
var ErrGone = errors.New("the receiver is gone (410): take the webhook out of the configuration")

// UndeliveredError is a message that a receiver did not take, however often it was
// sent. It may be sent again later.
type UndeliveredError struct {
	Tries int
	Err   error // of the last try
}

func (e *UndeliveredError) Error() string {
	return fmt.Sprintf("not delivered (tries: %d): %v", e.Tries, e.Err)
}

func (e *UndeliveredError) Unwrap() error { return e.Err }
