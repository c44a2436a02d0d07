package signin_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/calends/calends/jobs/secret"
	"github.com/calends/calends/jobs/serve/access"
	"github.com/calends/calends/jobs/serve/access/signin"
)

func entra() signin.Options {
	return signin.Options{Issuer: "https://login.microsoftonline.com/" + tenant + "/v2.0", ClientID: "4a7e", Partners: []string{"*"}}
}

func TestOptionsThatCannotWork(t *testing.T) {
	t.Parallel()
	issuer := func(text string) func(o *signin.Options) { return func(o *signin.Options) { o.Issuer = text } }
	for name, test := range map[string]struct {
		change func(o *signin.Options)
		says   string // "": right
	}{
		"a tenant":           {func(*signin.Options) {}, ""},
		"another provider":   {issuer("https://accounts.example.com/realms/x"), ""},
		"on this machine":    {issuer("http://127.0.0.1:8080"), ""},
		"tenants of one":     {func(o *signin.Options) { o.Partners, o.Tenants = nil, map[string][]string{tenant: {"A"}} }, ""},
		"a public client":    {func(o *signin.Options) { o.ClientSecret = secret.Source{} }, ""},
		"hours":              {func(o *signin.Options) { o.Lifetime, o.Idle = 24*time.Hour, 8*time.Hour }, ""},
		"an idle of its own": {func(o *signin.Options) { o.Idle = 24 * time.Hour }, ""},
		"many, with tenants": {func(o *signin.Options) {
			o.Issuer, o.Partners, o.Tenants = "https://login.microsoftonline.com/organizations/v2.0", nil, map[string][]string{tenant: {"*"}, other: {"A", "B"}}
		}, ""},

		"no issuer":             {issuer(""), "issuer: it is missing"},
		"no client":             {func(o *signin.Options) { o.ClientID = "" }, "clientId is missing"},
		"plain http":            {issuer("http://accounts.example.com"), "want https"},
		"a query":               {issuer("https://accounts.example.com?x=1"), "nothing after it"},
		"a password":            {issuer("https://a:hunter2@accounts.example.com"), "nothing after it"},
		"not an address":        {issuer("login"), "nothing after it"},
		"of version 1.0":        {issuer("https://login.microsoftonline.com/" + tenant), "want https://login.microsoftonline.com/TENANT/v2.0"},
		"any tenant":            {issuer("https://login.microsoftonline.com/organizations/v2.0"), "name the tenants"},
		"anybody":               {issuer("https://login.microsoftonline.com/common/v2.0"), "name the tenants"},
		"personal accounts":     {issuer("https://login.microsoftonline.com/consumers/v2.0"), "personal accounts"},
		"a tenant's domain":     {issuer("https://login.microsoftonline.com/example.onmicrosoft.com/v2.0"), "want the tenant's GUID"},
		"a tenant that is none": {func(o *signin.Options) { o.Partners, o.Tenants = nil, map[string][]string{"example.com": {"A"}} }, `tenants: "example.com"`},
		"an unknown role":       {func(o *signin.Options) { o.Roles = map[string]access.Role{"Boss": "owner"} }, "roles: Boss"},
		"a blank partner":       {func(o *signin.Options) { o.Partners = []string{"A", ""} }, "want a PartnerId"},
		"all and one":           {func(o *signin.Options) { o.Partners = []string{"*", "A"} }, "stands for all"},
		"tenants and partners":  {func(o *signin.Options) { o.Tenants = map[string][]string{tenant: {"A"}} }, "want one of both"},
		"clients alone":         {func(o *signin.Options) { o.API.Clients = []string{"x"} }, "clients without an audience"},
		"too long":              {func(o *signin.Options) { o.Lifetime = 8 * 24 * time.Hour }, "at most 168h"},
		"too short":             {func(o *signin.Options) { o.Idle = time.Second }, "a minute at least"},
		"idle above all":        {func(o *signin.Options) { o.Lifetime, o.Idle = time.Hour, 2*time.Hour }, "not above lifetime"},
		"a secret of two":       {func(o *signin.Options) { o.ClientSecret = secret.Source{Env: "A", File: "b"} }, "clientSecret"},
	} {
		o := entra()
		test.change(&o)
		err := o.Validate()
		if (err == nil) != (test.says == "") || err != nil && !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: got %v, want %q", name, err, test.says)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: a password is told: %v", name, err)
		}
		if o.IsZero() {
			t.Errorf("%s: nothing is configured", name)
		}
	}
	if !(signin.Options{}).IsZero() {
		t.Error("what is not configured is")
	}
}

func TestOptionsInYAML(t *testing.T) {
	t.Parallel()
	d := yaml.NewDecoder(bytes.NewReader([]byte(`
issuer: https://login.microsoftonline.com/organizations/v2.0
clientId: 4a7e
clientSecret: {file: /run/secrets/sign-in}
rolesClaim: roles
roles: {Billing.Admin: global-admin}
tenants:
  ` + tenant + `: ["*"]
partnersClaim: partners
emails: true
api: {audience: [4a7e], clients: [erp]}
lifetime: 8h
idle: 30m
`)))
	d.KnownFields(true)
	var o signin.Options
	if err := d.Decode(&o); err != nil {
		t.Fatal(err)
	}
	if err := o.Validate(); err != nil || o.Idle != 30*time.Minute || o.Roles["Billing.Admin"] != access.GlobalAdmin || !slices.Equal(o.Tenants[tenant], []string{"*"}) {
		t.Errorf("%+v %v", o, err)
	}
}

func TestTheServersAddress(t *testing.T) {
	t.Parallel()
	for base, want := range map[string]bool{
		home: true, home + "/": true, "http://127.0.0.1:8420": true, "http://localhost:8420": true,
		"": false, "http://billing.example.com": false, "billing.example.com": false, "ftp://x": false,
	} {
		_, err := signin.New(entra(), base, new(world).settingsOf(), signin.Surroundings{Lookup: lookup})
		if (err == nil) != want {
			t.Errorf("%q: %v", base, err)
		}
	}
}

// The most that the provider can say: whoever enters a user must hold it.
func TestReach(t *testing.T) {
	t.Parallel()
	tenants := func(o *signin.Options) {
		o.Partners, o.Tenants = nil, map[string][]string{tenant: {"A", "B"}, other: {"B", "C"}}
	}
	for name, test := range map[string]struct {
		change func(o *signin.Options)
		id     string
		want   string
	}{
		"everyone":                 {func(*signin.Options) {}, "anna", "[] true"},
		"everyone, narrowed":       {func(o *signin.Options) { o.PartnersClaim = "p" }, "anna", "[] true"},
		"some":                     {func(o *signin.Options) { o.Partners = []string{"B", "A"} }, "anna", "[A B] false"},
		"none":                     {func(o *signin.Options) { o.Partners = nil }, "anna", "[] false"},
		"a claim may say anything": {func(o *signin.Options) { o.Partners, o.PartnersClaim = nil, "p" }, "anna", "[] true"},
		"of one's tenant":          {tenants, "entra:" + other + ":" + object, "[B C] false"},
		"of a strange tenant":      {tenants, "entra:x:" + object, "[] false"},
		"of any tenant":            {tenants, "email:anna@example.com", "[A B C] false"},
	} {
		o := entra()
		test.change(&o)
		partners, everyone := o.Reach(test.id)
		if got := fmt.Sprint(append([]string{}, partners...), " ", everyone); got != test.want {
			t.Errorf("%s: got %s, want %s", name, got, test.want)
		}
	}
}
