package api

import "github.com/danielgtaylor/huma/v2"

// OpenAPI describes all operations. It is not to be changed.
func (a *API) OpenAPI() *huma.OpenAPI { return a.huma.OpenAPI() }
