package access_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/calends/calends/jobs/serve/access"
)

// The table, as it is written down: global admin everything, users, settings,
// reopening; admin agent invoices, downloads, customers, approvals, buying; sales agent
// prices, offers, quotes, customers, buying, but no cost totals and no invoices.
const table = `
	action             global-admin  admin-agent  sales-agent
	see-self           yes           yes          yes
	see-prices         yes           yes          yes
	see-offers         yes           yes          yes
	ask-quotes         yes           yes          yes
	see-customers      yes           yes          yes
	manage-customers   yes           yes          yes
	see-subscriptions  yes           yes          yes
	buy                yes           yes          yes

	see-invoices       yes           yes          no
	download           yes           yes          no
	see-exceptions     yes           yes          no
	see-differences    yes           yes          no
	see-runs           yes           yes          no
	see-approvals      yes           yes          no
	approve            yes           yes          no

	reopen             yes           no           no
	manage-users       yes           no           no
	see-settings       yes           no           no
	see-trail          yes           no           no
`

func TestWhoMayDoWhat(t *testing.T) {
	t.Parallel()
	var roles []access.Role
	seen := make(map[access.Action]bool)
	for line := range strings.Lines(table) {
		fields := strings.Fields(line)
		switch {
		case len(fields) == 0:
			continue
		case fields[0] == "action":
			for _, r := range fields[1:] {
				roles = append(roles, access.Role(r))
			}
			continue
		}
		action := access.Action(fields[0])
		seen[action] = true
		for i, r := range roles {
			want := fields[i+1] == "yes"
			if got := r.May(action); got != want {
				t.Errorf("%s may %s: %v, want %v", r, action, got, want)
			}
			if got := (access.Principal{Roles: []access.Role{r}}).May(action); got != want {
				t.Errorf("a principal with %s may %s: %v, want %v", r, action, got, want)
			}
		}
	}
	for _, a := range access.Actions() {
		if !seen[a] {
			t.Errorf("the table lacks %s", a)
		}
	}
	if len(seen) != len(access.Actions()) || !slices.Equal(slices.Sorted(slices.Values(roles)), slices.Sorted(slices.Values(access.Roles()))) {
		t.Errorf("the table has %d actions and the roles %v", len(seen), roles)
	}
}

func TestNobodyMayDoAnything(t *testing.T) {
	t.Parallel()
	for _, a := range access.Actions() {
		for _, r := range []access.Role{"", "GLOBAL-ADMIN", "global admin", "owner"} {
			if r.May(a) || (access.Principal{Roles: []access.Role{r}}).May(a) {
				t.Errorf("role %q may %s", r, a)
			}
		}
		if (access.Principal{Everyone: true}).May(a) {
			t.Errorf("without a role one may %s", a)
		}
	}
	for _, r := range access.Roles() {
		if r.May("") || r.May("delete-everything") {
			t.Errorf("%s may do what is no action", r)
		}
	}
	if _, ok := access.From(context.Background()); ok {
		t.Error("a request of nobody is somebody's")
	}
}

var (
	anna    = access.Principal{ID: "anna", Name: "Anna", Roles: []access.Role{access.GlobalAdmin}, Partners: []string{"A", "B"}}
	all     = access.Principal{ID: "all", Roles: []access.Role{access.GlobalAdmin}, Everyone: true}
	agent   = access.Principal{ID: "agent", Roles: []access.Role{access.AdminAgent}, Partners: []string{"A"}}
	sales   = []access.Role{access.SalesAgent}
	admins  = []access.Role{access.GlobalAdmin}
	nothing = []string{}
)

func TestNobodyGivesAwayMoreThanHeHas(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		who      access.Principal
		roles    []access.Role
		partners string
		everyone bool
		says     string // "": allowed
	}{
		{anna, sales, "A", false, ""},
		{anna, admins, "A B", false, ""},
		{anna, sales, "", false, ""},
		{anna, sales, "C", false, `partner "C" is not known`},
		{anna, sales, "A C", false, `partner "C" is not known`},
		{anna, sales, "", true, "every partner"},
		{anna, sales, "A", true, "every partner"},
		{all, admins, "", true, ""},
		{all, admins, "C", false, ""},
		{agent, sales, "A", false, ""},
		{agent, []access.Role{access.AdminAgent}, "A", false, ""},
		{agent, admins, "A", false, "you are not"},
		{all, []access.Role{"owner"}, "A", false, "want one of global-admin, admin-agent, sales-agent"},
	} {
		err := test.who.MayGive(test.roles, strings.Fields(test.partners), test.everyone)
		if (err == nil) != (test.says == "") || err != nil && !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s gives %v of %q, everyone %v: %v, want %q", test.who.ID, test.roles, test.partners, test.everyone, err, test.says)
		}
	}
}

func TestHolds(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		who      access.Principal
		partners []string
		everyone bool
		want     bool
	}{
		{anna, []string{"A"}, false, true},
		{anna, []string{"A", "B"}, false, true},
		{anna, []string{"A", "C"}, false, false},
		{anna, []string{"A"}, true, false},
		{anna, nothing, false, false}, // nobody's: only of those who belong to all
		{all, nothing, false, true},
		{all, nothing, true, true},
		{access.Principal{}, nothing, false, false},
	} {
		if got := test.who.Holds(test.partners, test.everyone); got != test.want {
			t.Errorf("%s holds %v, everyone %v: %v", test.who.ID, test.partners, test.everyone, got)
		}
	}
}

func TestAdvice(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		who  access.Principal
		want string
	}{
		{anna, ""},
		{all, ""},
		{access.Principal{ID: "x", Name: "Xaver"}, "Xaver has no role and belongs to no partner: ask a global admin to enter the user x"},
		{access.Principal{ID: "x", Name: "Xaver", Roles: sales}, "Xaver belongs to no partner: ask a global admin to enter the user x"},
	} {
		if got := test.who.Advice(); got != test.want {
			t.Errorf("got %q, want %q", got, test.want)
		}
	}
}
