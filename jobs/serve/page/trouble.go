package page

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"github.com/calends/calends/jobs"
	"github.com/calends/calends/jobs/serve/access"
	"github.com/calends/calends/pipeline/bucket"
)

// What a page can be refused for, besides the failures of jobs.
var (
	errNotFound   = errors.New("there is no such page")
	errNotAllowed = errors.New("the role does not allow it")
	errLinkOver   = errors.New("the link is over")
)

// wrongError is a question or a wish that makes no sense as it was put, or that a rule
// forbids.
type wrongError struct{ text string }

func (e wrongError) Error() string { return e.text }

// troubleBody is what an error page says.
type troubleBody struct {
	Status int
	What   string
	Do     []string
}

// trouble is the page for a failure. What is not the caller's doing is logged with its
// cause and shown without.
func (s *Site) trouble(err error) (int, answer) {
	page := func(status int, title, what string, do ...string) (int, answer) {
		return status, answer{template: "trouble", title: title, body: troubleBody{status, what, do}}
	}
	var wrong wrongError
	switch {
	case errors.Is(err, errNotFound):
		return page(http.StatusNotFound, "Not found", "There is nothing at this address, or it is not yours to see.",
			"Check the address for a missing or an added character.", "Begin at the months or the partners, and go from there.")
	case errors.Is(err, errLinkOver):
		return page(http.StatusNotFound, "This link does not work", "It was answered already, has expired, was taken back, or is not whole.",
			"Look whether you copied all of it.", "Ask your partner for a new one.")
	case errors.Is(err, errNotAllowed):
		return page(http.StatusForbidden, "Not allowed", "Your role does not allow this.",
			"Ask a global admin of your house for the role, or to do it for you.")
	case errors.As(err, &wrong):
		return page(http.StatusUnprocessableEntity, "That does not work", wrong.text, "Go back, change it and send it again.")
	case errors.Is(err, jobs.ErrHeld), errors.Is(err, bucket.ErrConflict):
		return page(http.StatusConflict, "Not as it stands", err.Error(), "Look at the month again: it may have changed meanwhile.")
	case errors.Is(err, jobs.ErrUsage), errors.Is(err, jobs.ErrMissing):
		return page(http.StatusUnprocessableEntity, "That does not work", err.Error(), "Go back, change it and send it again.")
	case errors.Is(err, bucket.ErrLocked):
		return page(http.StatusServiceUnavailable, "Busy", "Another run is writing at the moment.", "Wait a little and send it again: nothing was changed.")
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return page(http.StatusServiceUnavailable, "Not in time", "The answer was not ready in time.", "Try again; ask for less at a time if it happens again.")
	}
	s.Log.Error("a page failed", "error", err)
	return page(http.StatusInternalServerError, "Something failed", "The server failed. Its log says why.", "Try again.", "If it stays so, tell whoever runs this server at which time it happened.")
}

// nowhere answers what no page has.
func (s *Site) nowhere(w http.ResponseWriter, r *http.Request) {
	who, _ := access.From(r.Context())
	s.public(w, ask{r, who}, answer{}, errNotFound)
}

// public answers without the trail what says nothing of anybody.
func (s *Site) public(w http.ResponseWriter, a ask, out answer, failed error) {
	status := http.StatusOK
	if failed != nil {
		status, out = s.trouble(failed)
	}
	s.show(w, a, status, out)
}

// show sends a page of which no trail tells.
func (s *Site) show(w http.ResponseWriter, a ask, status int, out answer) {
	body, err := s.render(a, out)
	if err != nil {
		s.Log.Error("a page could not be made", "error", err)
		http.Error(w, "The page could not be made; the server's log says why.", http.StatusInternalServerError)
		return
	}
	write(w, status, body)
}

// signIn sends somebody whom nobody knows to the door, and back here after it.
func (s *Site) signIn(w http.ResponseWriter, r *http.Request) {
	back := "/"
	if r.Method == http.MethodGet {
		back = r.URL.RequestURI()
	}
	http.Redirect(w, r, "/sign-in?"+url.Values{"back": {back}}.Encode(), http.StatusSeeOther)
}
