package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/calends/calends/jobs/serve/access"
)

// Self is whoever asks.
type Self struct {
	ID       string   `json:"id"`
	Name     string   `json:"name"`
	Roles    []string `json:"roles" doc:"global-admin, admin-agent or sales-agent"`
	Partners []string `json:"partners" doc:"PartnerIds that the caller belongs to; empty with everyone"`
	Everyone bool     `json:"everyone" doc:"The caller belongs to every partner"`
	Advice   string   `json:"advice,omitempty" doc:"What the caller lacks who may not do anything, and how to get it"`
}

type selfOutput struct{ Body Self }

func (a *API) registerSelf() {
	register(a, access.SeeSelf, huma.Operation{OperationID: "get-self", Method: http.MethodGet, Path: "/v1/self", Summary: "Who am I", Tags: []string{"Access"}},
		func(_ context.Context, who access.Principal, _ *struct{}) (*selfOutput, error) {
			s := Self{ID: who.ID, Name: who.Name, Roles: []string{}, Partners: []string{}, Everyone: who.Everyone, Advice: who.Advice()}
			for _, r := range who.Roles {
				s.Roles = append(s.Roles, string(r))
			}
			s.Partners = append(s.Partners, who.Partners...)
			return &selfOutput{s}, nil
		})
}
