package access

import (
	"fmt"
	"slices"
	"strings"
)

// Holds reports whether all of the partners, at least one, are those of the principal:
// then a user, a token or an event of them is his to see and to change. What belongs to
// everyone is held by those only who do too.
func (p Principal) Holds(partners []string, everyone bool) bool {
	if p.Everyone {
		return true
	}
	return !everyone && len(partners) > 0 && !slices.ContainsFunc(partners, func(id string) bool { return !p.Sees(id) })
}

// MayGive refuses to give away more than one has: a role that is allowed what the giver
// is not, everyone by somebody who is not everyone's, a partner that the giver does not
// belong to.
func (p Principal) MayGive(roles []Role, partners []string, everyone bool) error {
	for _, r := range roles {
		if !slices.Contains(Roles(), r) {
			return fmt.Errorf("role %q: want one of %s", r, join(Roles()))
		}
		for _, a := range Actions() {
			if r.May(a) && !p.May(a) {
				return fmt.Errorf("role %s is allowed to %s, and you are not", r, a)
			}
		}
	}
	if everyone && !p.Everyone {
		return fmt.Errorf("only who belongs to every partner can give that away: name partners")
	}
	for _, id := range partners {
		if !p.Sees(id) {
			return fmt.Errorf("partner %q is not known", id)
		}
	}
	return nil
}

// Advice says what somebody lacks who cannot do anything, and how to get it; "" where
// there is nothing to say.
func (p Principal) Advice() string {
	var lacks []string
	if len(p.Roles) == 0 {
		lacks = append(lacks, "has no role")
	}
	if !p.Everyone && len(p.Partners) == 0 {
		lacks = append(lacks, "belongs to no partner")
	}
	if len(lacks) == 0 {
		return ""
	}
	return fmt.Sprintf("%s %s: ask a global admin to enter the user %s", p.Name, strings.Join(lacks, " and "), p.ID)
}

func join(roles []Role) string {
	texts := make([]string, len(roles))
	for i, r := range roles {
		texts[i] = string(r)
	}
	return strings.Join(texts, ", ")
}
