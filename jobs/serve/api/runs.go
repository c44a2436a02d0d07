package api

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/calends/calends/jobs/history"
	"github.com/calends/calends/jobs/serve/access"
	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pricing"
)

// ListedRun is an attempt at a slice of work.
type ListedRun struct {
	ID      string `json:"id" example:"close/2024-03:1" doc:"The slice, a colon and the attempt; in a path its slashes are escaped as %2F"`
	Job     string `json:"job" example:"close"`
	Slice   string `json:"slice" example:"close/2024-03"`
	Month   string `json:"month" example:"2024-03"`
	Attempt int    `json:"attempt"`
	Started string `json:"started" format:"date-time"`
	Ended   string `json:"ended,omitempty" format:"date-time" doc:"Absent while it runs, and where it ended without a word"`
	Result  string `json:"result" enum:"running,done,failed,waiting,stopped,interrupted"`
	// Details are of the whole house.
	Details *RunDetails `json:"details,omitempty" doc:"For those who belong to every partner"`
}

// RunDetails is what a run brought.
type RunDetails struct {
	Summary    string           `json:"summary,omitempty"`
	Code       string           `json:"code,omitempty" doc:"What it waits for"`
	Reason     string           `json:"reason,omitempty"`
	Error      string           `json:"error,omitempty"`
	Exceptions int64            `json:"exceptions"`
	Parked     bool             `json:"parked" doc:"It failed too often, and is not tried until a person runs it"`
	NotBefore  string           `json:"notBefore,omitempty" format:"date-time" doc:"When it is tried again"`
	Tick       string           `json:"tick" format:"date-time" doc:"The instant of the calendar that asked for it"`
	By         string           `json:"by" doc:"Machine and process"`
	Version    string           `json:"version"`
	ByHand     bool             `json:"byHand"`
	Accept     string           `json:"accept,omitempty"`
	Steps      []string         `json:"steps,omitempty"`
	Counts     map[string]int64 `json:"counts,omitempty"`
	Inputs     []history.Ref    `json:"inputs,omitempty"`
	Outputs    []history.Ref    `json:"outputs,omitempty"`
	Log        string           `json:"log,omitempty" doc:"JSON, one object a line; of one run only"`
}

// listedRun shows a run, and more of it to those who belong to every partner.
func listedRun(who access.Principal, e history.Ended) ListedRun {
	r := ListedRun{ID: e.Slice.String() + ":" + strconv.Itoa(e.Attempt), Job: e.Slice.Job, Slice: e.Slice.String(), Month: e.Slice.Month.String(), Attempt: e.Attempt,
		Started: instant(e.Started), Ended: instant(e.Ended), Result: runResult(e)}
	if who.Everyone {
		r.Details = &RunDetails{Summary: e.Summary, Code: e.Code, Reason: e.Reason, Error: e.Error, Exceptions: e.Exceptions, Parked: e.Standing.Parked, NotBefore: instant(e.Standing.NotBefore),
			Tick: instant(e.Tick), By: e.By, Version: e.Version, ByHand: e.ByHand, Accept: e.Accept, Steps: e.Steps, Counts: e.Counts, Inputs: e.Inputs, Outputs: e.Outputs}
	}
	return r
}

// instant is one as answers have it, "" for none.
func instant(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// running is the result of a run that has none yet.
const running = "running"

func runResult(e history.Ended) string {
	if e.Result == "" {
		return running
	}
	return string(e.Result)
}

// RunList is some of the runs, those of the newest month first, and of a month the newest.
type RunList struct {
	List[ListedRun]
}

// listRuns is a question for runs.
type listRuns struct {
	Month  string `query:"month" pattern:"^[0-9]{4}-(0[1-9]|1[0-2])$" example:"2024-03" doc:"Of the slice"`
	Job    string `query:"job" maxLength:"60" example:"close"`
	Result string `query:"result" enum:"running,done,failed,waiting,stopped,interrupted"`
	Page
}

// getRun is a question for a run.
type getRun struct {
	ID string `path:"id" maxLength:"700" example:"close/2024-03:1"`
}

func (a *API) registerRuns() {
	// Records never change: one store remembers what it has read.
	store := sync.OnceValue(func() *history.Store { return history.NewStore(a.Env().Bucket) })
	register(a, access.SeeRuns, huma.Operation{OperationID: "list-runs", Method: http.MethodGet, Path: "/v1/runs",
		Summary: "List what ran", Description: "Attempts of the schedule, and of jobs by hand that it knows.", Tags: []string{"Runs"}, Errors: []int{http.StatusBadRequest}},
		func(ctx context.Context, who access.Principal, in *listRuns) (*struct{ Body RunList }, error) {
			page, err := in.answer(ctx, who, store())
			return &struct{ Body RunList }{page}, err
		})
	register(a, access.SeeRuns, huma.Operation{OperationID: "get-run", Method: http.MethodGet, Path: "/v1/runs/{id}",
		Summary: "Get a run", Tags: []string{"Runs"}, Errors: []int{http.StatusNotFound}},
		func(ctx context.Context, who access.Principal, in *getRun) (*struct{ Body ListedRun }, error) {
			run, err := in.answer(ctx, who, store())
			return &struct{ Body ListedRun }{run}, err
		})
}

func (in *listRuns) answer(ctx context.Context, who access.Principal, store *history.Store) (RunList, error) {
	page := RunList{List[ListedRun]{Items: []ListedRun{}}}
	months, err := in.months(ctx, store)
	if err != nil {
		return page, err
	}
	depends := []string{"runs", in.Month, in.Job, in.Result, who.ID}
	// A cursor names a month and how many of its runs, from the oldest, are left: new
	// ones come at the end.
	at, left, err := in.place(depends...)
	if err != nil {
		return page, err
	}
	for _, month := range slices.Backward(months) {
		if at > 0 && int(month) > at {
			continue
		}
		runs, err := store.Runs(ctx, month, month)
		if err != nil {
			return page, err
		}
		if int(month) == at {
			runs = runs[:min(left, len(runs))]
		}
		for i, e := range slices.Backward(runs) {
			if in.Job != "" && in.Job != e.Slice.Job || in.Result != "" && in.Result != runResult(e) {
				continue
			}
			if len(page.Items) == in.Limit {
				page.Next = cursorOf(int(month), i+1, depends...)
				return page, nil
			}
			page.Items = append(page.Items, listedRun(who, e))
		}
	}
	return page, nil
}

func (in *listRuns) months(ctx context.Context, store *history.Store) ([]pricing.Month, error) {
	if in.Month == "" {
		return store.Months(ctx)
	}
	month, err := monthAt("query.month", in.Month)
	return []pricing.Month{month}, err
}

func (in *getRun) answer(ctx context.Context, who access.Principal, store *history.Store) (ListedRun, error) {
	unknown := notFound("the run " + in.ID)
	colon := strings.LastIndexByte(in.ID, ':')
	if colon < 0 {
		return ListedRun{}, unknown
	}
	slice, err := history.ParseSlice(in.ID[:colon])
	attempt, notNumber := strconv.Atoi(in.ID[colon+1:])
	if err != nil || notNumber != nil || attempt < 1 {
		return ListedRun{}, unknown
	}
	e, err := store.End(ctx, slice, attempt)
	if errors.Is(err, bucket.ErrNotExist) { // it is under way, was killed, or never was
		e.Begun, err = store.Start(ctx, slice, attempt)
	}
	if errors.Is(err, bucket.ErrNotExist) {
		return ListedRun{}, unknown
	}
	if err != nil {
		return ListedRun{}, err
	}
	run := listedRun(who, e)
	if run.Details != nil {
		log, err := store.LogOf(ctx, e)
		if err != nil {
			return ListedRun{}, err
		}
		run.Details.Log = string(log)
	}
	return run, nil
}
