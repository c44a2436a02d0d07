package api

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/calends/calends/jobs/serve/access"
	"github.com/calends/calends/jobs/serve/access/directory"
	"github.com/calends/calends/jobs/serve/audit"
)

// Token is what a program has to show, but for the token itself.
type Token struct {
	ID   string `json:"id" example:"K44XGX7AAHTAFKDP" doc:"Not the token: its first letters after cal_"`
	Name string `json:"name" example:"The accounting's import"`
	Rights
	Expires   string `json:"expires" format:"date-time"`
	Live      bool   `json:"live" doc:"Neither expired nor revoked"`
	MadeBy    string `json:"madeBy" doc:"The id of who made it; where that user is disabled, or that token revoked, it opens nothing"`
	MadeAt    string `json:"madeAt" format:"date-time"`
	RevokedBy string `json:"revokedBy,omitempty"`
	RevokedAt string `json:"revokedAt,omitempty" format:"date-time"`
}

func tokenOf(t directory.Token, now time.Time) Token {
	shown := Token{ID: t.ID, Name: t.Name, Rights: rightsOf(t.Rights), Expires: t.Expires, Live: t.Live(now), MadeBy: t.Made.By, MadeAt: t.Made.At}
	if t.Revoked != nil {
		shown.RevokedBy, shown.RevokedAt = t.Revoked.By, t.Revoked.At
	}
	return shown
}

// TokenList is some of the tokens, by id.
type TokenList struct {
	List[Token]
}

// MadeToken is a new token, shown once.
type MadeToken struct {
	Token
	Secret string `json:"secret" doc:"The token, to be sent as Authorization: Bearer. It is shown this once and kept nowhere"`
}

// createToken is a request for one.
type createToken struct {
	Body struct {
		Name string `json:"name" minLength:"1" maxLength:"200" example:"The accounting's import" doc:"What it is for"`
		Rights
		Expires time.Time `json:"expires" format:"date-time" doc:"At most 366 days from now; of a token that a token makes, not after its own end"`
	}
}

// madeToken is the answer. No cache keeps it.
type madeToken struct {
	CacheControl string `header:"Cache-Control"`
	Body         MadeToken
}

// tokenID is whose operation it is.
type tokenID struct {
	ID string `path:"id" maxLength:"100" example:"K44XGX7AAHTAFKDP"`
}

// longestToken is how long a token lasts at most.
const longestToken = 366 * 24 * time.Hour

func (a *API) registerTokens() {
	tags := []string{"Users"}
	register(a, access.ManageUsers, huma.Operation{OperationID: "list-tokens", Method: http.MethodGet, Path: "/v1/tokens",
		Summary: "List the tokens of programs", Tags: tags, Errors: []int{http.StatusBadRequest},
		Description: "Those of none but the caller's partners, also what was revoked or has expired."},
		a.listTokens)
	register(a, access.ManageUsers, huma.Operation{OperationID: "create-token", Method: http.MethodPost, Path: "/v1/tokens",
		Summary: "Make a token for a program", Tags: tags, DefaultStatus: http.StatusCreated, MaxBodyBytes: 64 << 10,
		Description: "Nobody gives away more than they have."},
		a.createToken)
	register(a, access.ManageUsers, huma.Operation{OperationID: "revoke-token", Method: http.MethodPost, Path: "/v1/tokens/{id}/revoke",
		Summary: "Revoke a token", Tags: tags, Errors: []int{http.StatusNotFound, http.StatusConflict},
		Description: "It opens nothing any more, nor do the tokens that it has made: here at once, on other servers within seconds. It cannot be taken back; again it changes nothing."},
		a.revokeToken)
}

func (a *API) listTokens(ctx context.Context, who access.Principal, in *Page) (*struct{ Body TokenList }, error) {
	all, err := a.Directory.Tokens(ctx)
	if err != nil {
		return nil, err
	}
	tokens := []Token{}
	for _, t := range all {
		if who.Holds(t.Partners, t.Everyone) {
			tokens = append(tokens, tokenOf(t, a.Now()))
		}
	}
	page, err := paged(*in, tokens, func(t Token) string { return t.ID }, "tokens", who.ID)
	return &struct{ Body TokenList }{TokenList{page}}, err
}

func (a *API) createToken(ctx context.Context, who access.Principal, in *createToken) (*madeToken, error) {
	if err := a.mayGive(who, in.Body.Rights); err != nil {
		return nil, err
	}
	now := a.Now().UTC()
	latest, err := a.latestEnd(ctx, who, now)
	if err != nil {
		return nil, err
	}
	expires := in.Body.Expires.UTC().Truncate(time.Second)
	if !expires.After(now) || expires.After(latest) {
		return nil, &huma.ErrorModel{Type: problemTypes + "expires", Title: http.StatusText(http.StatusUnprocessableEntity), Status: http.StatusUnprocessableEntity,
			Detail: "a token ends after now, and not after " + latest.Format(time.RFC3339),
			Errors: []*huma.ErrorDetail{{Message: "want an instant until " + latest.Format(time.RFC3339), Location: "body.expires", Value: in.Body.Expires}}}
	}
	secret, made, err := a.Directory.CreateToken(ctx, directory.Token{
		Name: strings.TrimSpace(in.Body.Name), Rights: in.Body.record(), Expires: expires.Format(time.RFC3339),
		Made: directory.Act{By: who.ID, At: now.Format(time.RFC3339)},
	})
	if err != nil {
		return nil, err
	}
	audit.About(ctx, onlyOne(made.Partners), "token "+made.ID)
	return &madeToken{CacheControl: "no-store", Body: MadeToken{tokenOf(made, now), secret.Reveal()}}, nil
}

// latestEnd is when a token may end at the latest: one that a token makes lives no
// longer than its maker.
func (a *API) latestEnd(ctx context.Context, who access.Principal, now time.Time) (time.Time, error) {
	latest := now.Add(longestToken).Truncate(time.Second)
	id, isToken := strings.CutPrefix(who.ID, access.TokenIDs)
	if !isToken {
		return latest, nil
	}
	maker, ok, err := a.Directory.Token(ctx, id)
	if err != nil || !ok {
		return now, err
	}
	end, err := time.Parse(time.RFC3339, maker.Expires)
	if err == nil && end.Before(latest) {
		latest = end
	}
	return latest, err
}

func (a *API) revokeToken(ctx context.Context, who access.Principal, in *tokenID) (*struct{ Body Token }, error) {
	t, ok, err := a.Directory.Token(ctx, in.ID)
	if err != nil && who.Everyone {
		return nil, err // a record that cannot be read
	}
	if !ok || err != nil || !who.Holds(t.Partners, t.Everyone) {
		return nil, notFound("the token")
	}
	audit.About(ctx, onlyOne(t.Partners), "token "+t.ID)
	t, err = a.Directory.RevokeToken(ctx, in.ID, directory.Act{By: who.ID, At: a.Now().UTC().Format(time.RFC3339)})
	if errors.Is(err, directory.ErrChanged) {
		return nil, problem(http.StatusConflict, "changed", "somebody else has changed the token meanwhile: try again")
	}
	return &struct{ Body Token }{tokenOf(t, a.Now())}, err
}
