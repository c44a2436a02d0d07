package signin

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/calends/calends/jobs/serve/access"
	"github.com/calends/calends/jobs/serve/access/directory"
)

// claims are what a token of the provider says, once its signature, audience and time
// are known to be right.
type claims struct {
	Issuer   string   `json:"iss"`
	Subject  string   `json:"sub"`
	Audience audience `json:"aud"`
	Nonce    string   `json:"nonce"`

	// Who the token was given to: OpenID Connect's, Entra's before 2.0, and RFC 9068's.
	AuthorizedParty string `json:"azp"`
	AppID           string `json:"appid"`
	Client          string `json:"client_id"`
	CodeHash        string `json:"c_hash"`
	AccessHash      string `json:"at_hash"`

	// Entra's: the tenant, and the object that stays the same in all applications.
	Tenant string `json:"tid"`
	Object string `json:"oid"`

	Name          string `json:"name"`
	PreferredName string `json:"preferred_username"`
	Email         string `json:"email"`
	EmailVerified flag   `json:"email_verified"`
	// EmailOwned is Entra's: the tenant owns the address's domain.
	EmailOwned flag `json:"xms_edov"`

	all map[string]any
}

// audience is one text or several.
type audience []string

// UnmarshalJSON reads either form.
func (a *audience) UnmarshalJSON(data []byte) error {
	var one string
	if json.Unmarshal(data, &one) == nil {
		*a = audience{one}
		return nil
	}
	return json.Unmarshal(data, (*[]string)(a))
}

// flag is true as a truth value, a text or a number. Whatever it does not know is false.
type flag bool

// UnmarshalJSON reads any form.
func (f *flag) UnmarshalJSON(data []byte) error {
	switch strings.ToLower(string(data)) {
	case "true", `"true"`, "1", `"1"`:
		*f = true
	}
	return nil
}

// decodeClaims reads a token's payload by way of unmarshal.
func decodeClaims(unmarshal func(into any) error) (claims, error) {
	var c claims
	if err := errors.Join(unmarshal(&c), unmarshal(&c.all)); err != nil {
		return claims{}, refused("the token's claims cannot be read")
	}
	c.Tenant, c.Object = strings.ToLower(c.Tenant), strings.ToLower(c.Object)
	if c.Subject == "" {
		return claims{}, refused("the token names nobody: sub is missing")
	}
	return c, nil
}

// tenantMark is what stands for the tenant in the issuer of an application that serves
// many.
const tenantMark = "{tenantid}"

// checkIssuer refuses a token of another issuer, and one of a tenant that may not sign in.
func (o Options) checkTokenIssuer(c claims, issuer string) error {
	want := issuer
	if strings.Contains(issuer, tenantMark) {
		if !guid.MatchString(c.Tenant) {
			return refused("the token names no tenant: tid is missing")
		}
		want = strings.ReplaceAll(issuer, tenantMark, c.Tenant)
	}
	if c.Issuer != want {
		if strings.HasPrefix(c.Issuer, "https://sts.windows.net/") {
			return refused("the token has the form of version 1.0: set requestedAccessTokenVersion to 2 in the manifest of the application")
		}
		return refused("the token was issued by another provider")
	}
	if len(o.Tenants) == 0 {
		return nil
	}
	if _, ok := o.Tenants[c.Tenant]; !ok {
		return refused("the tenant may not sign in: its GUID has to stand under tenants")
	}
	return nil
}

// claimed is who a token tells of.
func (o Options) claimed(c claims) directory.Claimed {
	d := directory.Claimed{ID: idOf(c), Name: cmp.Or(c.Name, c.PreferredName, c.Email, c.Subject)}
	if o.Emails && c.Email != "" && (bool(c.EmailVerified) || bool(c.EmailOwned)) {
		d.Email = c.Email
	}
	d.Roles = o.rolesOf(c)
	d.Partners, d.Everyone = o.partnersOf(c)
	return d
}

// entraID is what the ids of Entra's users begin with.
const entraID = "entra:"

// idOf is an id that never changes and is nobody else's. Of Entra it is made of the
// tenant and the object, which an administrator can look up; of others, of the subject
// and the issuer.
func idOf(c claims) string {
	if guid.MatchString(c.Tenant) && guid.MatchString(c.Object) {
		return entraID + c.Tenant + ":" + c.Object
	}
	id := c.Subject + "@" + strings.TrimPrefix(strings.TrimPrefix(c.Issuer, "https://"), "http://")
	if directory.CheckID(id) != nil {
		sum := sha256.Sum256([]byte(c.Issuer + "\n" + c.Subject))
		return "subject:" + hex.EncodeToString(sum[:])
	}
	return id
}

// tenantOf tells which tenant an id of Entra's is of.
func tenantOf(id string) (string, bool) {
	rest, ok := strings.CutPrefix(id, entraID)
	tenant, _, found := strings.Cut(rest, ":")
	return tenant, ok && found
}

func (o Options) rolesOf(c claims) []access.Role {
	roles := []access.Role{}
	for _, value := range c.texts(cmp.Or(o.RolesClaim, defaultRolesClaim)) {
		role, ok := o.Roles[value]
		if !ok {
			role = access.Role(value)
		}
		if slices.Contains(access.Roles(), role) && !slices.Contains(roles, role) {
			roles = append(roles, role)
		}
	}
	slices.Sort(roles)
	return roles
}

// partnersOf are those that the tenant, or the configuration, gives, narrowed by the
// claim: whoever governs a tenant also governs what its claims say.
func (o Options) partnersOf(c claims) (partners []string, everyone bool) {
	given := o.Partners
	if len(o.Tenants) > 0 {
		given = o.Tenants[c.Tenant]
	}
	if o.PartnersClaim == "" {
		if slices.Contains(given, Everyone) {
			return []string{}, true
		}
		return append([]string{}, given...), false
	}
	any := slices.Contains(given, Everyone) || len(given) == 0 && len(o.Tenants) == 0
	partners = []string{}
	for _, id := range c.texts(o.PartnersClaim) {
		if id != "" && id != Everyone && (any || slices.Contains(given, id)) && !slices.Contains(partners, id) {
			partners = append(partners, id)
		}
	}
	return partners, false
}

// texts are a claim's: one, a list, or none. A name that is no claim's may lead into
// objects, as realm_access.roles.
func (c claims) texts(name string) []string {
	value, ok := c.all[name]
	for object := c.all; !ok && object != nil; {
		first, rest, more := strings.Cut(name, ".")
		value, name, ok = object[first], rest, !more
		object, _ = value.(map[string]any)
	}
	if !ok {
		return nil
	}
	switch v := value.(type) {
	case string:
		return []string{v}
	case []any:
		var all []string
		for _, one := range v {
			if text, isText := one.(string); isText {
				all = append(all, text)
			}
		}
		return all
	}
	return nil
}

// refusal is a credential that is not right, with a reason that may be shown.
type refusal struct{ reason string }

func refused(format string, args ...any) error { return &refusal{fmt.Sprintf(format, args...)} }

// Error is the reason.
func (r *refusal) Error() string { return r.reason }
