package jobs

import "context"

// Together runs jobs, and what belongs to them, under one write lock, so that no
// other run comes in between. They work with the context and the Env that it gives.
func (e Env) Together(ctx context.Context, run string, job func(ctx context.Context, e Env) error) error {
	return e.locked(ctx, run, job)
}

// MayWrite is an error once the lock of [Env.Together] is lost: it is asked right
// before what cannot be undone.
func (e Env) MayWrite(ctx context.Context) error { return e.mayPublish(ctx) }
