package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/calends/calends/jobs/relationship"
	"github.com/calends/calends/jobs/serve/access"
)

// Relationship is where a customer stands with its partner, and how it came there.
type Relationship struct {
	CustomerID string             `json:"customerId"`
	PartnerID  string             `json:"partnerId"`
	State      relationship.State `json:"state" enum:"none,requested,expired,accepted,declined"`
	Imported   bool               `json:"imported" doc:"An import says so, and nothing that was asked or answered here"`
	Expires    string             `json:"expires,omitempty" format:"date-time" doc:"Of a request: from when it cannot be answered any more"`
	History    []RelationshipStep `json:"history" doc:"What was asked and answered here, the oldest first"`
}

// RelationshipStep is one thing that was asked or answered.
type RelationshipStep struct {
	Number  int               `json:"number" example:"1" doc:"1, 2, 3 and so on; a customer that came from another partner has more"`
	Says    relationship.Word `json:"says" enum:"requested,accepted,declined,withdrawn"`
	At      string            `json:"at" format:"date-time"`
	By      string            `json:"by,omitempty" doc:"The id of whoever asked or withdrew"`
	Name    string            `json:"name" doc:"Their name, or the one that whoever answered gave"`
	From    string            `json:"from,omitempty" doc:"The address that it came from"`
	Expires string            `json:"expires,omitempty" format:"date-time" doc:"Of a request"`
	Request int               `json:"request,omitempty" doc:"The number of the request that is answered or withdrawn"`
}

// RelationshipRequest is a request that was made.
type RelationshipRequest struct {
	Number  int    `json:"number" example:"1"`
	Link    string `json:"link" doc:"For the customer: whoever has it can answer. It is shown only here. Where the server was not told its address it begins with the path"`
	Token   string `json:"token" doc:"What the link ends with, for /v1/relationship-links"`
	Expires string `json:"expires" format:"date-time"`
}

// requestRelationship asks a customer.
type requestRelationship struct {
	ID        string `path:"id"`
	ValidDays int    `query:"validDays" minimum:"1" maximum:"90" default:"30" doc:"How long the link can be answered"`
}

// madeRequest is the answer, which nobody keeps.
type madeRequest struct {
	CacheControl string `header:"Cache-Control"`
	Body         RelationshipRequest
}

// withdrawRelationship takes a request back.
type withdrawRelationship struct {
	ID     string `path:"id"`
	Number int    `path:"number" minimum:"1" example:"1"`
}

func (a *API) registerRelationships() {
	register(a, access.SeeCustomers, huma.Operation{OperationID: "get-relationship", Method: http.MethodGet, Path: "/v1/customers/{id}/relationship",
		Summary: "Get a customer's relationship", Tags: []string{"Customers"}, Errors: []int{http.StatusNotFound},
		Description: "The newest of what was asked and answered here says it. An import says it where nothing was asked, and where it came later and has another word than the imports before it; a blank in imports stands for accepted where nothing was asked, and for nothing else.",
	}, func(ctx context.Context, who access.Principal, in *customerID) (*struct{ Body Relationship }, error) {
		c, err := a.customer(ctx, who, in.ID)
		if err != nil {
			return nil, err
		}
		standing, err := a.Relationships.Of(ctx, c.fact, a.Now())
		return &struct{ Body Relationship }{relationshipOf(c, standing)}, err
	})
	register(a, access.ManageCustomers, huma.Operation{OperationID: "request-relationship", Method: http.MethodPost, Path: "/v1/customers/{id}/relationship-requests",
		Summary: "Ask a customer for the relationship", Tags: []string{"Customers"}, DefaultStatus: http.StatusCreated,
		Errors:      []int{http.StatusNotFound, http.StatusConflict},
		Description: "The answer has a link for the customer, with a secret that is kept nowhere. It can be answered once, until it expires; the next request ends it. Where the relationship is accepted already the answer is 409.",
	}, a.requestRelationship)
	register(a, access.ManageCustomers, huma.Operation{OperationID: "withdraw-relationship-request", Method: http.MethodDelete, Path: "/v1/customers/{id}/relationship-requests/{number}",
		Summary: "Withdraw a request for the relationship", Tags: []string{"Customers"}, DefaultStatus: http.StatusNoContent,
		Errors:      []int{http.StatusNotFound, http.StatusConflict},
		Description: "Its link cannot be answered any more. A request that waits for no answer cannot be withdrawn: 409.",
	}, func(ctx context.Context, who access.Principal, in *withdrawRelationship) (*struct{}, error) {
		c, err := a.customer(ctx, who, in.ID)
		if err != nil {
			return nil, err
		}
		_, err = a.Relationships.Withdraw(ctx, c.fact, in.Number, a.asker(who, c))
		return &struct{}{}, relationshipProblem(err)
	})
}

func relationshipOf(c seenCustomer, s relationship.Standing) Relationship {
	r := Relationship{CustomerID: c.fact.ID, PartnerID: c.fact.PartnerID, State: s.State, Imported: s.By == nil, History: []RelationshipStep{}}
	if open := s.Open(); open != nil {
		r.Expires = open.Expires
	}
	for _, one := range s.Records {
		r.History = append(r.History, RelationshipStep{Number: one.Number, Says: one.Says, At: one.At, By: one.By, Name: one.Name, From: one.From,
			Expires: one.Expires, Request: one.Request})
	}
	return r
}

// asker is the caller, as a record names it.
func (a *API) asker(who access.Principal, c seenCustomer) relationship.Asker {
	return relationship.Asker{ID: who.ID, Name: who.Name, At: a.Now(), Inputs: c.inputs}
}

func (a *API) requestRelationship(ctx context.Context, who access.Principal, in *requestRelationship) (*madeRequest, error) {
	c, err := a.customer(ctx, who, in.ID)
	if err != nil {
		return nil, err
	}
	token, r, err := a.Relationships.Request(ctx, c.fact, a.asker(who, c), time.Duration(in.ValidDays)*24*time.Hour, a.Random)
	if err != nil {
		return nil, relationshipProblem(err)
	}
	text := token.Text()
	return &madeRequest{"no-store", RelationshipRequest{Number: r.Number, Link: a.URL + relationship.Path + text, Token: text, Expires: r.Expires}}, nil
}

// relationshipProblem is the answer to what cannot be asked or withdrawn as it stands.
func relationshipProblem(err error) error {
	for _, refusal := range []struct {
		err  error
		code string
	}{
		{relationship.ErrAccepted, "relationship-accepted"},
		{relationship.ErrNoRequest, "no-open-request"},
		{relationship.ErrMeanwhile, "meanwhile"},
	} {
		if errors.Is(err, refusal.err) {
			return problem(http.StatusConflict, refusal.code, refusal.err.Error())
		}
	}
	return err
}
