package api

import (
	"context"
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/calends/calends/jobs/relationship"
	"github.com/calends/calends/jobs/serve/audit"
	"github.com/calends/calends/pipeline/ledger"
)

// LinkQuestion is what a link asks, and nothing else.
type LinkQuestion struct {
	Partner string `json:"partner" example:"Voorbeeldstad Cloud B.V." doc:"The name of the partner that asks"`
	Asks    string `json:"asks" example:"To buy and manage subscriptions for you."`
	Expires string `json:"expires" format:"date-time" doc:"From when it cannot be answered any more"`
}

// whatIsAsked is what whoever accepts agrees to.
const whatIsAsked = "To buy and manage subscriptions for you."

// LinkAnswer is what was answered.
type LinkAnswer struct {
	Partner string            `json:"partner" example:"Voorbeeldstad Cloud B.V."`
	Says    relationship.Word `json:"says" enum:"accepted,declined"`
}

// linkToken is what a link ends with. Its form is no concern of the document: whatever is
// wrong with it has the same answer.
type linkToken struct {
	Token string `path:"token" doc:"What the link ends with"`
}

// answerLink is an answer of whoever has the link.
type answerLink struct {
	Token string `path:"token" doc:"What the link ends with"`
	Body  struct {
		Name string `json:"name" minLength:"1" maxLength:"200" example:"Anna Voorbeeld" doc:"Of whoever answers"`
	}
}

func (a *API) registerRelationshipLinks() {
	registerPublic(a, huma.Operation{OperationID: "get-relationship-link", Method: http.MethodGet, Path: "/v1/relationship-links/{token}",
		Summary: "See what a link asks", Tags: []string{"Relationship links"}, Errors: []int{http.StatusNotFound},
		Description: "For whoever has the link; nobody has to sign in. A link that is not known, has expired, was answered, was withdrawn or is not the newest is 404.",
	}, func(ctx context.Context, in *linkToken) (*struct{ Body LinkQuestion }, error) {
		q, err := a.links().Look(ctx, in.Token)
		if err != nil {
			return nil, linkProblem(err)
		}
		audit.About(ctx, q.PartnerID, "customer "+q.CustomerID)
		return &struct{ Body LinkQuestion }{LinkQuestion{q.Partner, whatIsAsked, q.Expires}}, nil
	})
	for _, answer := range []struct {
		verb, summary string
		says          relationship.Word
	}{{"accept", "Accept what a link asks", relationship.SaysAccepted}, {"decline", "Decline what a link asks", relationship.SaysDeclined}} {
		registerPublic(a, huma.Operation{OperationID: answer.verb + "-relationship-link", Method: http.MethodPost, Path: "/v1/relationship-links/{token}/" + answer.verb,
			Summary: answer.summary, Tags: []string{"Relationship links"}, Errors: []int{http.StatusNotFound},
			Description: "For whoever has the link; nobody has to sign in. It is answered once, with the name of whoever answers.",
		}, func(ctx context.Context, in *answerLink) (*struct{ Body LinkAnswer }, error) {
			name, err := relationship.CheckName(in.Body.Name)
			if err != nil {
				return nil, invalid("body.name", err.Error(), in.Body.Name)
			}
			q, err := a.links().Answer(ctx, in.Token, answer.says == relationship.SaysAccepted, name, audit.AskedOf(ctx).From)
			if err != nil {
				return nil, linkProblem(err)
			}
			audit.About(ctx, q.PartnerID, "customer "+q.CustomerID)
			return &struct{ Body LinkAnswer }{LinkAnswer{q.Partner, answer.says}}, nil
		})
	}
}

func (a *API) links() relationship.Links {
	return relationship.Links{Store: a.Relationships, Now: a.Now, Ledger: func() (*ledger.Catalog, int64, error) {
		reading, err := a.Current.Reading()
		if err != nil {
			return nil, 0, err
		}
		return reading.Catalog(), int64(len(reading.Inputs())), nil
	}}
}

// linkProblem is the same for every link that is none, or is over.
func linkProblem(err error) error {
	if errors.Is(err, relationship.ErrLink) {
		return problem(http.StatusNotFound, "link", relationship.ErrLink.Error()+"; ask your partner for a new one")
	}
	return err
}
