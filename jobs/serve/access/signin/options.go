package signin

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/calends/calends/jobs/secret"
	"github.com/calends/calends/jobs/serve/access"
)

// Options say how people and programs prove who they are, by a provider of OpenID
// Connect such as Microsoft Entra:
//
//	signIn:
//	  issuer: https://login.microsoftonline.com/72f988bf-86f1-41af-91ab-2d7cd011db47/v2.0
//	  clientId: 4a7ed1c2-1f3b-4c55-9d0e-6f0a3a5b8a11
//	  clientSecret: {file: /run/secrets/sign-in}
//	  partners: ["*"]
//	  api: {audience: [4a7ed1c2-1f3b-4c55-9d0e-6f0a3a5b8a11]}
//
// The provider has to know the address of the server with /sign-in/callback after it.
type Options struct {
	// Issuer is the provider. One application of Entra that serves many tenants has
	// https://login.microsoftonline.com/organizations/v2.0, and tenants.
	Issuer   string `yaml:"issuer"`
	ClientID string `yaml:"clientId"`
	// ClientSecret is that of the application. None: a public client, whose proof is PKCE.
	ClientSecret secret.Source `yaml:"clientSecret"`

	// RolesClaim names the claim with roles; blank: roles. A dot goes into an object.
	RolesClaim string `yaml:"rolesClaim"`
	// Roles are ours by the claim's values. Our own names always mean themselves.
	Roles map[string]access.Role `yaml:"roles"`

	// Tenants are those that may sign in, by their GUID, with the PartnerIds that their
	// people belong to; "*" is every partner. None: the issuer's own, with Partners.
	Tenants map[string][]string `yaml:"tenants"`
	// Partners are the PartnerIds of everybody who signs in where there are no tenants.
	Partners []string `yaml:"partners"`
	// PartnersClaim names a claim with PartnerIds. It narrows what Tenants or Partners
	// give; where these give nothing, it counts by itself.
	PartnersClaim string `yaml:"partnersClaim"`

	// Emails lets users be entered by their e-mail address. It counts only where the
	// provider says that it is verified.
	Emails bool `yaml:"emails"`

	// API is about tokens that the provider gives to programs.
	API API `yaml:"api"`

	// Lifetime is how long a session lasts at most, and Idle how long without a request.
	// 0: 12 hours, and one.
	Lifetime time.Duration `yaml:"lifetime"`
	Idle     time.Duration `yaml:"idle"`
}

// API says which of the provider's tokens the API takes.
type API struct {
	// Audience is what such a token must be for: one of these. None: no such tokens.
	Audience []string `yaml:"audience"`
	// Clients are the applications that may ask with one, by their ids. None: any.
	Clients []string `yaml:"clients"`
}

// Everyone stands for every partner, also those that come later.
const Everyone = "*"

const (
	defaultLifetime   = 12 * time.Hour
	defaultIdle       = time.Hour
	longestLifetime   = 7 * 24 * time.Hour
	defaultRolesClaim = "roles"
)

// IsZero says that no sign-in is configured.
func (o Options) IsZero() bool {
	return o.Issuer == "" && o.ClientID == "" && o.ClientSecret.IsZero() && o.RolesClaim == "" && len(o.Roles) == 0 && len(o.Tenants) == 0 &&
		len(o.Partners) == 0 && o.PartnersClaim == "" && !o.Emails && len(o.API.Audience) == 0 && len(o.API.Clients) == 0 && o.Lifetime == 0 && o.Idle == 0
}

var guid = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)

// Validate refuses what cannot work, all of it at once. It asks nobody.
func (o Options) Validate() error {
	var all []error
	bad := func(format string, args ...any) { all = append(all, fmt.Errorf(format, args...)) }
	if err := o.checkIssuer(); err != nil {
		bad("issuer: %w", err)
	}
	if o.ClientID == "" {
		bad("clientId is missing: the application's id at the provider")
	}
	if !o.ClientSecret.IsZero() {
		if err := o.ClientSecret.Validate(); err != nil {
			bad("clientSecret: %w", err)
		}
	}
	for _, value := range slices.Sorted(maps.Keys(o.Roles)) {
		if r := o.Roles[value]; !slices.Contains(access.Roles(), r) {
			bad("roles: %s: %q: want one of %s, %s, %s", value, r, access.GlobalAdmin, access.AdminAgent, access.SalesAgent)
		}
	}
	for _, tenant := range slices.Sorted(maps.Keys(o.Tenants)) {
		if !guid.MatchString(tenant) {
			bad("tenants: %q: want the tenant's GUID, in small letters", tenant)
		}
		if err := checkPartners(o.Tenants[tenant]); err != nil {
			bad("tenants: %s: %w", tenant, err)
		}
	}
	if err := checkPartners(o.Partners); err != nil {
		bad("partners: %w", err)
	}
	if len(o.Tenants) > 0 && len(o.Partners) > 0 {
		bad("tenants and partners: want one of both; each tenant names its partners")
	}
	if slices.Contains(o.API.Audience, "") || slices.Contains(o.API.Clients, "") {
		bad("api: a blank value")
	}
	if len(o.API.Clients) > 0 && len(o.API.Audience) == 0 {
		bad("api: clients without an audience: no token of the provider is taken then")
	}
	lifetime, idle := o.lifetimes()
	switch {
	case o.Lifetime < 0 || o.Idle < 0 || lifetime > longestLifetime:
		bad("lifetime and idle: want at most %s", longestLifetime)
	case lifetime < time.Minute || idle < time.Minute || idle > lifetime:
		bad("lifetime %s, idle %s: want a minute at least, and idle not above lifetime", lifetime, idle)
	}
	return errors.Join(all...)
}

func (o Options) lifetimes() (lifetime, idle time.Duration) {
	lifetime, idle = o.Lifetime, o.Idle
	if lifetime == 0 {
		lifetime = max(defaultLifetime, idle)
	}
	if idle == 0 {
		idle = min(defaultIdle, lifetime)
	}
	return lifetime, idle
}

func checkPartners(ids []string) error {
	for _, id := range ids {
		if strings.TrimSpace(id) != id || id == "" {
			return fmt.Errorf("%q: want a PartnerId, or %q for every partner", id, Everyone)
		}
		if id == Everyone && len(ids) > 1 {
			return fmt.Errorf("%q stands for all: no other is wanted beside it", Everyone)
		}
	}
	return nil
}

// manyTenants are the paths of Entra for people of any tenant.
var manyTenants = []string{"organizations", "common"}

// isEntra reports whether the issuer is Microsoft's, of any cloud.
func isEntra(u *url.URL) bool {
	return slices.Contains([]string{"login.microsoftonline.com", "login.microsoftonline.us", "login.partner.microsoftonline.cn"}, strings.ToLower(u.Hostname()))
}

func (o Options) checkIssuer() error {
	u, err := url.Parse(o.Issuer)
	switch {
	case o.Issuer == "":
		return errors.New("it is missing: the provider's address, such as https://login.microsoftonline.com/TENANT/v2.0")
	case err != nil:
		return errors.New("it cannot be read as an address")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Hostname() == "":
		return fmt.Errorf("%s: want https://host/path and nothing after it", u.Redacted())
	case !private(u):
		return fmt.Errorf("%s: want https", o.Issuer)
	case !isEntra(u):
		return nil
	}
	tenant, version, _ := strings.Cut(strings.Trim(u.Path, "/"), "/")
	switch {
	case version != "v2.0":
		return fmt.Errorf("%s: want https://%s/TENANT/v2.0", o.Issuer, u.Host)
	case slices.Contains(manyTenants, tenant):
		if len(o.Tenants) == 0 {
			return fmt.Errorf("%s: anybody of any tenant could sign in: name the tenants, or write one tenant's GUID instead of %s", o.Issuer, tenant)
		}
	case tenant == "consumers":
		return fmt.Errorf("%s: personal accounts have no tenant of a partner: want organizations, or a tenant's GUID", o.Issuer)
	case !guid.MatchString(tenant):
		return fmt.Errorf("%s: want the tenant's GUID, in small letters, since tokens name it so", o.Issuer)
	}
	return nil
}

// private reports whether nobody on the way can read along.
func private(u *url.URL) bool {
	return u.Scheme == "https" || u.Scheme == "http" && loopback(u.Hostname())
}

func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// Reach is the most that the provider can say of a user's partners, for as long as no
// record says otherwise. Whoever enters a record takes that away, and so must hold it.
func (o Options) Reach(id string) (partners []string, everyone bool) {
	given := [][]string{o.Partners}
	if len(o.Tenants) > 0 {
		given = slices.Collect(maps.Values(o.Tenants))
		if tenant, ok := tenantOf(id); ok {
			given = [][]string{o.Tenants[tenant]}
		}
	}
	for _, ids := range given {
		partners = append(partners, ids...)
	}
	if slices.Contains(partners, Everyone) || len(partners) == 0 && o.PartnersClaim != "" {
		return nil, true
	}
	slices.Sort(partners)
	return slices.Compact(partners), false
}
