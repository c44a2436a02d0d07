package api

import (
	"context"
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/calends/calends/jobs"
	"github.com/calends/calends/pipeline/bucket"
)

// problemTypes is what the type of every problem begins with (RFC 9457); the code
// follows: a code of an exception, such as SEAT_WINDOW_CLOSED, or one of the server's
// own in small letters.
const problemTypes = "urn:calends:problem:"

// problem is an answer that says what is wrong, and under which rule.
func problem(status int, code, detail string, rules ...string) error {
	p := &huma.ErrorModel{Type: problemTypes + code, Title: http.StatusText(status), Status: status, Detail: detail}
	for _, r := range rules {
		p.Errors = append(p.Errors, &huma.ErrorDetail{Message: r, Location: "rule"})
	}
	return p
}

// notFound is the answer for what is not there, or is another partner's.
func notFound(what string) error {
	return problem(http.StatusNotFound, "not-found", what+" is not known")
}

// retryAfter is when a request that could not have the lock is worth trying again.
const retryAfter = "5"

// problemOf turns the failure of a job into an answer. What is not the caller's doing
// is logged with its cause, and answered without.
func (a *API) problemOf(err error) error {
	var answered huma.StatusError
	var held *jobs.HeldError
	switch {
	case errors.As(err, &answered):
		return err
	case errors.As(err, &held), errors.Is(err, jobs.ErrHeld):
		return problem(http.StatusConflict, "held", err.Error())
	case errors.Is(err, jobs.ErrMissing):
		return problem(http.StatusNotFound, "not-found", err.Error())
	case errors.Is(err, jobs.ErrUsage):
		return problem(http.StatusUnprocessableEntity, "wrong-usage", err.Error())
	case errors.Is(err, bucket.ErrLocked):
		return huma.ErrorWithHeaders(problem(http.StatusServiceUnavailable, "busy", "another run holds the bucket; try again"),
			http.Header{"Retry-After": {retryAfter}})
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return problem(http.StatusServiceUnavailable, "interrupted", "the answer was not ready in time; try again")
	}
	a.Log.Error("a request failed", "error", err)
	return problem(http.StatusInternalServerError, "failed", "the server failed; its log says why")
}
