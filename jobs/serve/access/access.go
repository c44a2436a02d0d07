// Package access says who may do what: roles, actions, and the partners that a person
// or a program belongs to.
package access

import (
	"context"
	"slices"
)

// Role is what somebody is, as Partner Center names it.
type Role string

// The roles.
const (
	GlobalAdmin Role = "global-admin"
	AdminAgent  Role = "admin-agent"
	SalesAgent  Role = "sales-agent"
)

// Roles returns all roles.
func Roles() []Role { return []Role{GlobalAdmin, AdminAgent, SalesAgent} }

// Action is what a route does, as roles are allowed it.
type Action string

// The actions.
const (
	SeeSelf          Action = "see-self" // who am I
	SeePrices        Action = "see-prices"
	SeeOffers        Action = "see-offers"
	AskQuotes        Action = "ask-quotes"
	SeeCustomers     Action = "see-customers"
	ManageCustomers  Action = "manage-customers" // create, ask for a relationship
	SeeSubscriptions Action = "see-subscriptions"
	Buy              Action = "buy" // every change of a subscription
	SeeInvoices      Action = "see-invoices"
	Download         Action = "download"
	SeeExceptions    Action = "see-exceptions"
	SeeDifferences   Action = "see-differences"
	SeeRuns          Action = "see-runs"
	SeeApprovals     Action = "see-approvals"
	Approve          Action = "approve"
	Reopen           Action = "reopen" // take approvals back
	ManageUsers      Action = "manage-users"
	SeeSettings      Action = "see-settings"
	SeeTrail         Action = "see-trail"
)

// Actions returns all actions.
func Actions() []Action {
	return []Action{SeeSelf, SeePrices, SeeOffers, AskQuotes, SeeCustomers, ManageCustomers, SeeSubscriptions, Buy,
		SeeInvoices, Download, SeeExceptions, SeeDifferences, SeeRuns, SeeApprovals, Approve,
		Reopen, ManageUsers, SeeSettings, SeeTrail}
}

// ofSales is what a sales agent may, and everybody else too: no cost totals and no
// invoices.
var ofSales = []Action{SeeSelf, SeePrices, SeeOffers, AskQuotes, SeeCustomers, ManageCustomers, SeeSubscriptions, Buy}

// ofAdmins is what an admin agent may besides.
var ofAdmins = []Action{SeeInvoices, Download, SeeExceptions, SeeDifferences, SeeRuns, SeeApprovals, Approve}

// May reports whether the role is allowed the action. A global admin is allowed all.
func (r Role) May(a Action) bool {
	switch r {
	case GlobalAdmin:
		return slices.Contains(Actions(), a)
	case AdminAgent:
		return slices.Contains(ofSales, a) || slices.Contains(ofAdmins, a)
	case SalesAgent:
		return slices.Contains(ofSales, a)
	default:
		return false
	}
}

// LocalID is the principal of whoever has this machine, and TokenIDs is what the ids of
// programs begin with that have a token of our own.
const (
	LocalID  = "local"
	TokenIDs = "token:"
)

// Principal is a person or a program that asks.
type Principal struct {
	// ID never changes and is nobody else's.
	ID    string
	Name  string // for people
	Roles []Role
	// Partners are the ids of those that the principal belongs to; Everyone means all,
	// also those that come later.
	Partners []string
	Everyone bool
}

// May reports whether one of the roles is allowed the action.
func (p Principal) May(a Action) bool {
	return slices.ContainsFunc(p.Roles, func(r Role) bool { return r.May(a) })
}

// Sees reports whether the principal belongs to the partner. To anybody else the
// partner, and all that is its own, does not exist.
func (p Principal) Sees(partnerID string) bool {
	return p.Everyone || slices.Contains(p.Partners, partnerID)
}

type principalKey struct{}

// With returns a context of somebody's request.
func With(ctx context.Context, p Principal) context.Context {
	return context.WithValue(ctx, principalKey{}, p)
}

// From returns whose request it is, false for nobody's.
func From(ctx context.Context) (Principal, bool) {
	p, ok := ctx.Value(principalKey{}).(Principal)
	return p, ok
}
