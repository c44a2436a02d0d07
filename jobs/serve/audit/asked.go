package audit

import (
	"context"
	"sync"
)

// Asked is a request, as the trail tells of it. It is safe for concurrent use.
type Asked struct {
	ID   string // of the request
	From string // the address
	Path string // without the query, which may hold anything

	mu              sync.Mutex
	partner, object string
}

type askedKey struct{}

// WithAsked returns a context of a request.
func WithAsked(ctx context.Context, a *Asked) context.Context {
	return context.WithValue(ctx, askedKey{}, a)
}

// AskedOf returns the request that the context is of; without one, one of nobody's.
func AskedOf(ctx context.Context) *Asked {
	if a, ok := ctx.Value(askedKey{}).(*Asked); ok {
		return a
	}
	return new(Asked)
}

// About tells the trail whose the answer is and what it is of, such as an order or a
// file. Either may be "", and keeps what was told before.
func About(ctx context.Context, partnerID, object string) {
	a := AskedOf(ctx)
	a.mu.Lock()
	defer a.mu.Unlock()
	if partnerID != "" {
		a.partner = partnerID
	}
	if object != "" {
		a.object = object
	}
}

// Subject is what [About] was told.
func (a *Asked) Subject() (partnerID, object string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.partner, a.object
}
