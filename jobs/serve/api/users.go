package api

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/calends/calends/jobs/serve/access"
	"github.com/calends/calends/jobs/serve/access/directory"
	"github.com/calends/calends/jobs/serve/audit"
	"github.com/calends/calends/pipeline/ledger"
)

// Rights are what a user or a token may do, and whose it sees.
type Rights struct {
	Roles    []access.Role `json:"roles" enum:"global-admin,admin-agent,sales-agent" maxItems:"3" example:"[\"admin-agent\"]"`
	Partners []string      `json:"partners" maxItems:"1000" example:"[\"80f6fb73-3725-4404-a0ee-98ef768080f3\"]" doc:"PartnerIds; empty with everyone"`
	Everyone bool          `json:"everyone,omitempty" doc:"Every partner, also those that come later. Only who has it can give it"`
}

func rightsOf(r directory.Rights) Rights {
	return Rights{Roles: append([]access.Role{}, r.Roles...), Partners: append([]string{}, r.Partners...), Everyone: r.Everyone}
}

func (r Rights) record() directory.Rights {
	return directory.Rights{Roles: r.Roles, Partners: r.Partners, Everyone: r.Everyone}
}

// User is somebody of whom there is a record.
type User struct {
	ID   string `json:"id" example:"entra:72f988bf-86f1-41af-91ab-2d7cd011db47:00000000-0000-0000-66f3-3332eca7ea81" doc:"As get-self tells it"`
	Name string `json:"name" example:"Anna"`
	Rights
	Disabled  bool   `json:"disabled" doc:"May not sign in, and the tokens that the user has made open nothing"`
	Number    int    `json:"number" doc:"How often the record was written"`
	ChangedBy string `json:"changedBy" doc:"The id of who wrote it last"`
	ChangedAt string `json:"changedAt" format:"date-time"`
}

func userOf(u directory.User) User {
	return User{ID: u.ID, Name: u.Name, Rights: rightsOf(u.Rights), Disabled: u.Disabled, Number: u.Number, ChangedBy: u.By, ChangedAt: u.At}
}

// UserList is some of the users, by id.
type UserList struct {
	List[User]
}

// userID is whose operation it is.
type userID struct {
	ID string `path:"id" maxLength:"700" example:"entra:72f988bf-86f1-41af-91ab-2d7cd011db47:00000000-0000-0000-66f3-3332eca7ea81"`
}

// putUser is a user as it shall be.
type putUser struct {
	ID   string `path:"id" maxLength:"700"`
	Body struct {
		Name string `json:"name" minLength:"1" maxLength:"200" example:"Anna"`
		Rights
		Disabled bool `json:"disabled,omitempty"`
	}
}

type userOutput struct{ Body User }

func (a *API) registerUsers() {
	tags := []string{"Users"}
	register(a, access.ManageUsers, huma.Operation{OperationID: "list-users", Method: http.MethodGet, Path: "/v1/users",
		Summary: "List the users", Tags: tags, Errors: []int{http.StatusBadRequest},
		Description: "Those of whom there is a record, and who belong to none but the caller's partners. Whoever has no record has what the provider of the sign-in says."},
		a.listUsers)
	register(a, access.ManageUsers, huma.Operation{OperationID: "get-user", Method: http.MethodGet, Path: "/v1/users/{id}",
		Summary: "Get a user", Tags: tags, Errors: []int{http.StatusNotFound}},
		func(ctx context.Context, who access.Principal, in *userID) (*userOutput, error) {
			u, err := a.userOf(ctx, who, in.ID)
			return &userOutput{userOf(u)}, err
		})
	register(a, access.ManageUsers, huma.Operation{OperationID: "put-user", Method: http.MethodPut, Path: "/v1/users/{id}",
		Summary: "Enter or change a user", Tags: tags, Errors: []int{http.StatusNotFound, http.StatusConflict}, MaxBodyBytes: 64 << 10,
		Description: "What stands here counts instead of what the provider of the sign-in says, from the user's next request on. The id is the one that get-self tells; where addresses are configured it may be email: and a verified e-mail address, in small letters. " +
			"Nobody gives away more than they have, or takes away their own rights. The same again writes nothing."},
		a.putUser)
	register(a, access.ManageUsers, huma.Operation{OperationID: "disable-user", Method: http.MethodPost, Path: "/v1/users/{id}/disable",
		Summary: "Disable a user", Tags: tags, Errors: []int{http.StatusNotFound, http.StatusConflict},
		Description: "Sessions end and tokens open nothing any more, here at once and on other servers within seconds. Putting the user with disabled false takes it back."},
		a.disableUser)
}

// paged returns the page of items that are in the order of their ids.
func paged[T any](p Page, items []T, id func(T) string, depends ...string) (List[T], error) {
	page := List[T]{Items: []T{}}
	for _, one := range items {
		depends = append(depends, id(one))
	}
	_, at, err := p.place(depends...)
	if err != nil {
		return page, err
	}
	end := min(at+p.Limit, len(items))
	page.Items = append(page.Items, items[min(at, end):end]...)
	if end < len(items) {
		page.Next = cursorOf(0, end, depends...)
	}
	return page, nil
}

func (a *API) listUsers(ctx context.Context, who access.Principal, in *Page) (*struct{ Body UserList }, error) {
	all, err := a.Directory.Users(ctx)
	if err != nil {
		return nil, err
	}
	users := []User{}
	for _, u := range all {
		if who.Holds(u.Partners, u.Everyone) {
			users = append(users, userOf(u))
		}
	}
	page, err := paged(*in, users, func(u User) string { return u.ID }, "users", who.ID)
	return &struct{ Body UserList }{UserList{page}}, err
}

// userOf returns a user that is wholly of the caller's partners.
func (a *API) userOf(ctx context.Context, who access.Principal, id string) (directory.User, error) {
	u, ok, err := a.Directory.User(ctx, id)
	if ok && err == nil && who.Holds(u.Partners, u.Everyone) {
		audit.About(ctx, onlyOne(u.Partners), "user "+id)
		return u, nil
	}
	if err != nil && who.Everyone {
		return u, err // a record that cannot be read
	}
	return u, notFound("the user")
}

// onlyOne is whose an event is that concerns one partner.
func onlyOne(partners []string) string {
	if len(partners) == 1 {
		return partners[0]
	}
	return ""
}

// mayGive refuses to give away more than one has. A partner that is not known is the
// same as one that is somebody else's.
func (a *API) mayGive(who access.Principal, r Rights) error {
	reading, err := a.Current.Reading()
	if err != nil {
		return err
	}
	unknown := &huma.ErrorModel{Type: problemTypes + "unknown-partner", Title: http.StatusText(http.StatusUnprocessableEntity),
		Status: http.StatusUnprocessableEntity, Detail: "a partner is not known"}
	for i, id := range r.Partners {
		if _, known := reading.Catalog().Partner(id, ledger.Ever); !known || !who.Sees(id) {
			unknown.Errors = append(unknown.Errors, &huma.ErrorDetail{Message: "is not known", Location: "body.partners[" + strconv.Itoa(i) + "]", Value: id})
		}
	}
	switch {
	case len(unknown.Errors) > 0:
		return unknown
	case r.Everyone && len(r.Partners) > 0:
		return problem(http.StatusUnprocessableEntity, "everyone-and-partners", "everyone and partners: want one of both")
	}
	if err := who.MayGive(r.Roles, r.Partners, r.Everyone); err != nil {
		return problem(http.StatusForbidden, "more-than-own", err.Error())
	}
	if !who.Holds(r.Partners, r.Everyone) {
		return problem(http.StatusUnprocessableEntity, "no-partner", "name one of your partners at least: otherwise nobody of yours could take it back")
	}
	return nil
}

func (a *API) putUser(ctx context.Context, who access.Principal, in *putUser) (*userOutput, error) {
	if err := a.mayGive(who, in.Body.Rights); err != nil {
		return nil, err
	}
	old, ok, err := a.Directory.User(ctx, in.ID)
	switch {
	case err != nil && !who.Everyone:
		return nil, notFound("the user")
	case err == nil && ok && !who.Holds(old.Partners, old.Everyone):
		return nil, notFound("the user")
	case !ok && !a.mayEnter(who, in.ID):
		return nil, notFound("the user")
	}
	u := directory.User{ID: in.ID, Name: strings.TrimSpace(in.Body.Name), Rights: in.Body.record(), Disabled: in.Body.Disabled}
	if in.ID == who.ID && (u.Disabled || !slices.Contains(u.Roles, access.GlobalAdmin) || who.Everyone && !u.Everyone || slices.ContainsFunc(who.Partners, func(id string) bool {
		return !u.Everyone && !slices.Contains(u.Partners, id)
	})) {
		return nil, ownRights()
	}
	return a.writeUser(ctx, who, u)
}

// mayEnter reports whether somebody may write the first record of a user: it takes away
// what the provider says, and so that must all be the writer's.
func (a *API) mayEnter(who access.Principal, id string) bool {
	if a.Reach == nil {
		return true // nobody comes from a provider
	}
	partners, everyone := a.Reach(id)
	return len(partners) == 0 && !everyone || who.Holds(partners, everyone)
}

func ownRights() error {
	return problem(http.StatusUnprocessableEntity, "own-rights", "nobody takes away their own rights: ask another global admin")
}

func (a *API) disableUser(ctx context.Context, who access.Principal, in *userID) (*userOutput, error) {
	u, err := a.userOf(ctx, who, in.ID)
	if err != nil {
		return nil, err
	}
	if in.ID == who.ID {
		return nil, ownRights()
	}
	u.Disabled = true
	return a.writeUser(ctx, who, u)
}

func (a *API) writeUser(ctx context.Context, who access.Principal, u directory.User) (*userOutput, error) {
	audit.About(ctx, onlyOne(u.Partners), "user "+u.ID)
	u.By, u.At = who.ID, a.Now().UTC().Format(time.RFC3339)
	written, err := a.Directory.PutUser(ctx, u)
	switch {
	case errors.Is(err, directory.ErrID):
		return nil, &huma.ErrorModel{Type: problemTypes + "user-id", Title: http.StatusText(http.StatusUnprocessableEntity), Status: http.StatusUnprocessableEntity,
			Detail: err.Error(), Errors: []*huma.ErrorDetail{{Message: err.Error(), Location: "path.id", Value: u.ID}}}
	case errors.Is(err, directory.ErrChanged):
		return nil, problem(http.StatusConflict, "changed", "somebody else has changed the user meanwhile: read it again")
	case err != nil:
		return nil, err
	}
	return &userOutput{userOf(written)}, nil
}
