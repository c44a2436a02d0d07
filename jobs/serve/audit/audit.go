// Package audit keeps who did, saw and downloaded what: events that are written into
// the bucket and never changed.
package audit

import (
	"context"
)

// Kind is the kind of an event.
type Kind string

// The kinds of events.
const (
	Did        Kind = "did"        // changed something
	Saw        Kind = "saw"        // read something of a partner
	Downloaded Kind = "downloaded" // took a file along
	SignedIn   Kind = "signed-in"
	Refused    Kind = "refused" // was not allowed
)

// Event is one thing that somebody did or tried.
type Event struct {
	At     string `json:"at"` // RFC 3339, UTC
	Kind   Kind   `json:"kind"`
	Who    string `json:"who"`            // the principal's id
	Name   string `json:"name,omitempty"` // as it was then
	Action string `json:"action"`         // of package access
	// Operation names the route, and Path is what was asked, without the query.
	Operation string `json:"operation"`
	Path      string `json:"path"`
	Partner   string `json:"partner,omitempty"` // whose it was
	Object    string `json:"object,omitempty"`  // what it was, such as an order or a file
	Status    int    `json:"status"`
	From      string `json:"from,omitempty"` // the address
	Request   string `json:"request"`        // the id of the request
	Count     int64  `json:"count"`          // how often, of what is seen often
}

// Trail takes events. Those of [Saw] may be written later, a few at a time; all others
// are in the bucket when Note returns.
type Trail interface {
	Note(ctx context.Context, e Event) error
}
