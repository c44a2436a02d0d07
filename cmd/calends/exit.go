package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/calends/calends/jobs"
	"github.com/calends/calends/pipeline/bucket"
)

// The exit codes. The help lists them.
const (
	exitDone    = 0
	exitFailed  = 1
	exitUsage   = 2
	exitOpen    = 3
	exitMissing = 4
	exitLocked  = 5
	exitStopped = 130
)

// errOpen is returned by a command that is done and leaves something for a
// person to look at. Its result has said what.
var errOpen = errors.New("done, with something to look at")

// openIf is errOpen when there is something to look at.
func openIf(something bool) error {
	if something {
		return errOpen
	}
	return nil
}

// exitCode is the class of a command's error.
func exitCode(err error) int {
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, errOpen):
		return exitOpen
	case errors.Is(err, bucket.ErrLocked):
		return exitLocked
	case errors.Is(err, jobs.ErrMissing):
		return exitMissing
	case errors.Is(err, jobs.ErrUsage):
		return exitUsage
	default:
		return exitFailed
	}
}

// exit reports how the command ended and returns the exit code.
func (a *app) exit(ctx context.Context, err error) int {
	a.endProgress()
	if err != nil && ctx.Err() != nil && errors.Is(err, context.Canceled) {
		a.complain(errors.New("stopped; nothing half-written counts, running again finishes the job"))
		return exitStopped
	}
	code := exitCode(err)
	switch code {
	case exitDone, exitOpen:
	case exitLocked:
		a.complain(fmt.Errorf("%w\nwait until the other run is done, then run again", err))
	default:
		a.complain(err)
	}
	return code
}
