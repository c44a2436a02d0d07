package main

import (
	"context"
	"fmt"
	"io"
	"os/user"
	"slices"
	"strings"
	"time"

	"github.com/calends/calends/jobs"
	"github.com/calends/calends/jobs/serve/access"
	"github.com/calends/calends/jobs/serve/access/directory"
	"github.com/calends/calends/pipeline/ledger"
)

type tokenCmd struct {
	Create tokenCreateCmd `cmd:"" help:"Make a token for a program. It is printed once and kept nowhere."`
	List   tokenListCmd   `cmd:"" default:"1" help:"List the tokens that were made."`
	Revoke tokenRevokeCmd `cmd:"" help:"Take a token back."`
}

// Help tells more than one line.
func (tokenCmd) Help() string {
	return `Programs show a token to calends serve: Authorization: Bearer cal_... Each has a name, a role and partners, and
ends by itself. The bucket keeps its hash only. A global admin makes them by the API, too.`
}

type tokenCreateCmd struct {
	Name     string   `required:"" help:"What the token is for, such as its program."`
	Role     []string `required:"" enum:"global-admin,admin-agent,sales-agent" help:"global-admin, admin-agent or sales-agent; may be given several times."`
	Partner  []string `xor:"whose" required:"" placeholder:"ID" help:"PartnerId that the program belongs to; may be given several times."`
	Everyone bool     `xor:"whose" required:"" help:"The program belongs to every partner."`
	Days     int      `default:"90" help:"How many days it holds, 366 at most. Default 90."`
}

// mostDays is how long a token may hold.
const mostDays = 366

// Run makes a token.
func (c tokenCreateCmd) Run(ctx context.Context, a *app) error {
	if c.Days < 1 || c.Days > mostDays {
		return fmt.Errorf("token create: %w: --days %d: want 1 to %d", jobs.ErrUsage, c.Days, mostDays)
	}
	if strings.TrimSpace(c.Name) == "" {
		return fmt.Errorf("token create: %w: --name: want what the token is for", jobs.ErrUsage)
	}
	env, err := a.env()
	if err != nil {
		return err
	}
	if err := knownPartners(ctx, env, c.Partner); err != nil {
		return fmt.Errorf("token create: %w", err)
	}
	now := time.Now().UTC()
	rights := directory.Rights{Partners: c.Partner, Everyone: c.Everyone}
	for _, r := range c.Role {
		rights.Roles = append(rights.Roles, access.Role(r))
	}
	token, made, err := directory.New(env.Bucket, time.Now).CreateToken(ctx, directory.Token{
		Name: strings.TrimSpace(c.Name), Rights: rights, Expires: now.AddDate(0, 0, c.Days).Format(time.RFC3339),
		Made: directory.Act{By: atTheConsole(), At: now.Format(time.RFC3339)},
	})
	if err != nil {
		return fmt.Errorf("token create: %w", err)
	}
	result := createdToken{Token: token.Reveal(), Record: made}
	return a.show(view{json: result, rows: tokenRows([]directory.Token{made}), text: func(w io.Writer) {
		fmt.Fprintln(w, result.Token)
		a.say("token %s, %s, until %s; it is not shown again", made.ID, whoseToken(made.Rights), made.Expires)
	}})
}

// createdToken is a token with its record.
type createdToken struct {
	Token  string          `json:"token"`
	Record directory.Token `json:"record"`
}

// knownPartners refuses a partner that was not taken in: it is more likely mistyped.
func knownPartners(ctx context.Context, env jobs.Env, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	reading, err := env.Read(ctx)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if _, ok := reading.Catalog().Partner(id, ledger.Ever); !ok {
			return fmt.Errorf("%w: partner %s was not taken in", jobs.ErrMissing, id)
		}
	}
	return nil
}

// atTheConsole names who works with the bucket itself.
func atTheConsole() string {
	name := "somebody"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	return "console:" + name
}

func whoseToken(r directory.Rights) string {
	if r.Everyone {
		return "of every partner"
	}
	return "of " + strings.Join(r.Partners, ", ")
}

type tokenListCmd struct{}

// Run lists.
func (tokenListCmd) Run(ctx context.Context, a *app) error {
	env, err := a.env()
	if err != nil {
		return err
	}
	tokens, err := directory.New(env.Bucket, time.Now).Tokens(ctx)
	if err != nil {
		return fmt.Errorf("token list: %w", err)
	}
	if tokens == nil {
		tokens = []directory.Token{}
	}
	return a.show(view{json: tokens, rows: tokenRows(tokens), text: func(w io.Writer) {
		if len(tokens) == 0 {
			fmt.Fprintln(w, "no token was made")
			return
		}
		tokenRows(tokens).write(w, "")
	}})
}

func tokenRows(tokens []directory.Token) *table {
	t := newTable("Token", "Name", "Roles", "Partners", "Expires", "State", "MadeBy", "MadeAt")
	for _, one := range tokens {
		roles := make([]string, len(one.Roles))
		for i, r := range one.Roles {
			roles[i] = string(r)
		}
		partners := strings.Join(one.Partners, " ")
		if one.Everyone {
			partners = "all"
		}
		state := "holds"
		switch {
		case one.Revoked != nil:
			state = "revoked"
		case !one.Live(time.Now()):
			state = "over"
		}
		t.add(one.ID, one.Name, strings.Join(roles, " "), partners, one.Expires, state, one.Made.By, one.Made.At)
	}
	return t
}

type tokenRevokeCmd struct {
	Token []string `arg:"" name:"token" help:"The token's id, as listed."`
}

// Run takes tokens back.
func (c tokenRevokeCmd) Run(ctx context.Context, a *app) error {
	env, err := a.env()
	if err != nil {
		return err
	}
	d := directory.New(env.Bucket, time.Now)
	known, err := d.Tokens(ctx)
	if err != nil {
		return fmt.Errorf("token revoke: %w", err)
	}
	var revoked []directory.Token
	for _, id := range c.Token {
		if !slices.ContainsFunc(known, func(t directory.Token) bool { return t.ID == id }) {
			return fmt.Errorf("token revoke: %w: there is no token %s", jobs.ErrMissing, id)
		}
		t, err := d.RevokeToken(ctx, id, directory.Act{By: atTheConsole(), At: time.Now().UTC().Format(time.RFC3339)})
		if err != nil {
			return fmt.Errorf("token revoke: %w", err)
		}
		revoked = append(revoked, t)
	}
	return a.show(view{json: revoked, rows: tokenRows(revoked), text: func(w io.Writer) { tokenRows(revoked).write(w, "") }})
}
