package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/calends/calends/jobs/serve/access"
)

// Settings is how the server was started.
type Settings struct {
	Version  string         `json:"version" doc:"Of the program"`
	Settings map[string]any `json:"settings" doc:"What the configuration sets, by the names of its file; what is absent is as by default. Secrets are named by where they are, and never shown"`
}

type settingsOutput struct{ Body Settings }

func (a *API) registerSettings() {
	register(a, access.SeeSettings, huma.Operation{OperationID: "get-settings", Method: http.MethodGet, Path: "/v1/settings", Summary: "How the server was started",
		Description: "For who belongs to every partner.", Tags: []string{"Access"}},
		func(_ context.Context, who access.Principal, _ *struct{}) (*settingsOutput, error) {
			if !who.Everyone {
				return nil, problem(http.StatusForbidden, "not-everyones", "settings hold for every partner: only who belongs to all of them sees them")
			}
			settings := a.Settings
			if settings == nil {
				settings = map[string]any{}
			}
			return &settingsOutput{Settings{Version: a.Version, Settings: settings}}, nil
		})
}
