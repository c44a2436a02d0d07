package directory_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/calends/calends/jobs/serve/access"
	"github.com/calends/calends/jobs/serve/access/directory"
	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pipeline/bucket/faulty"
)

var start = time.Date(2026, time.November, 23, 9, 0, 0, 0, time.UTC)

type clock struct{ after atomic.Int64 }

func (c *clock) now() time.Time      { return start.Add(time.Duration(c.after.Load())) }
func (c *clock) add(d time.Duration) { c.after.Add(int64(d)) }

func rights(role access.Role, partners ...string) directory.Rights {
	return directory.Rights{Roles: []access.Role{role}, Partners: partners}
}

func user(id string, r directory.Rights) directory.User {
	return directory.User{ID: id, Name: "Anna", Rights: r, By: "boss", At: start.Format(time.RFC3339)}
}

func put(t *testing.T, d *directory.Directory, u directory.User) directory.User {
	t.Helper()
	u, err := d.PutUser(t.Context(), u)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// say is who somebody is: name, roles, partners.
func say(p access.Principal, err error) string {
	if err != nil {
		return err.Error()
	}
	return fmt.Sprint(p.ID, " ", p.Name, " ", p.Roles, p.Partners, p.Everyone)
}

func expect(t *testing.T, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestARecordWinsOverClaims(t *testing.T) {
	t.Parallel()
	d := directory.New(bucket.NewMemory(), new(clock).now)
	claimed := directory.Claimed{ID: "anna", Name: "Anna of the provider", Email: "Anna@Example.com", Rights: rights(access.GlobalAdmin, "A", "B")}
	who := func() string { return say(d.Principal(t.Context(), claimed)) }

	expect(t, who(), "anna Anna of the provider [global-admin] [A B] false")
	put(t, d, user("email:anna@example.com", rights(access.AdminAgent, "A")))
	expect(t, who(), "anna Anna [admin-agent] [A] false")
	put(t, d, user("anna", rights(access.SalesAgent, "C", "B", "C")))
	expect(t, who(), "anna Anna [sales-agent] [B C] false")
	put(t, d, user("anna", directory.Rights{}))
	expect(t, who(), "anna Anna [] [] false")

	gone := user("anna", rights(access.SalesAgent, "B"))
	gone.Disabled = true
	put(t, d, gone)
	if _, err := d.Principal(t.Context(), claimed); !errors.Is(err, directory.ErrDisabled) {
		t.Errorf("got %v", err)
	}
	claimed.ID, claimed.Email = "bert", ""
	expect(t, who(), "bert Anna of the provider [global-admin] [A B] false")
}

func TestRecordsAreNumberedAndTheSameIsWrittenOnce(t *testing.T) {
	t.Parallel()
	b := bucket.NewMemory()
	d := directory.New(b, new(clock).now)
	for i, u := range []directory.User{
		user("a/b", rights(access.SalesAgent, "A", "B")), user("a/b", rights(access.SalesAgent, "B", "A")), // the same
		user("a/b", rights(access.SalesAgent, "A")), user("a/b", rights(access.SalesAgent, "A", "B")),
	} {
		if got, want := put(t, d, u).Number, []int{1, 1, 2, 3}[i]; got != want {
			t.Errorf("put %d is number %d, want %d", i, got, want)
		}
	}
	keys := ""
	for info, err := range b.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		keys += info.Key + " "
	}
	expect(t, keys, "users/a%2Fb/0001.json users/a%2Fb/0002.json users/a%2Fb/0003.json ")
	all, err := directory.New(b, new(clock).now).Users(t.Context())
	if err != nil || len(all) != 1 || all[0].Number != 3 || len(all[0].Partners) != 2 {
		t.Errorf("got %+v %v", all, err)
	}
}

func TestIDsThatNoUserCanHave(t *testing.T) {
	t.Parallel()
	d := directory.New(bucket.NewMemory(), new(clock).now)
	for _, id := range []string{"", " a", "a\n", "local", "token:ABC", "email:Anna@example.com", strings.Repeat("x", 256), strings.Repeat("/", 86)} {
		if _, err := d.PutUser(t.Context(), user(id, directory.Rights{})); !errors.Is(err, directory.ErrID) {
			t.Errorf("%q: %v", id, err)
		}
	}
}

// What another server writes counts a few seconds later, and one's own at once.
func TestDisablingHoldsEverywhereWithinSeconds(t *testing.T) {
	t.Parallel()
	b, c := bucket.NewMemory(), new(clock)
	here, there := directory.New(b, c.now), directory.New(b, c.now)
	claimed := directory.Claimed{ID: "anna", Rights: rights(access.SalesAgent, "A")}
	for _, d := range []*directory.Directory{here, there} {
		expect(t, say(d.Principal(t.Context(), claimed)), "anna  [sales-agent] [A] false")
	}
	u := user("anna", rights(access.SalesAgent, "A"))
	u.Disabled = true
	put(t, here, u)
	if _, err := here.Principal(t.Context(), claimed); !errors.Is(err, directory.ErrDisabled) {
		t.Errorf("here: %v", err)
	}
	c.add(5 * time.Second)
	if _, err := there.Principal(t.Context(), claimed); !errors.Is(err, directory.ErrDisabled) {
		t.Errorf("there: %v", err)
	}
}

func TestABucketThatCannotBeReadLetsNobodyInForLong(t *testing.T) {
	t.Parallel()
	c := new(clock)
	d := directory.New(faulty.New(bucket.NewMemory(), faulty.Fault{Kind: faulty.Fail, Op: faulty.List, At: 3, Times: -1}), c.now)
	for _, step := range []struct {
		after time.Duration
		in    bool
	}{{0, true}, {3 * time.Second, true}, {time.Second, true}, {time.Second, false}} {
		c.add(step.after)
		if _, err := d.Principal(t.Context(), directory.Claimed{ID: "anna"}); (err == nil) != step.in {
			t.Errorf("after %s: %v, in: want %v", c.now().Sub(start), err, step.in)
		}
	}
}

func TestARecordThatCannotBeReadKeepsItsOwnerOut(t *testing.T) {
	t.Parallel()
	for name, data := range map[string]string{
		"no JSON":        `{`,
		"another user's": `{"layout":1,"id":"bert","number":1}`,
		"a later layout": `{"layout":2,"id":"anna","number":1}`,
	} {
		b := bucket.NewMemory()
		if err := bucket.Put(t.Context(), b, "users/anna/0001.json", []byte(data)); err != nil {
			t.Fatal(err)
		}
		d := directory.New(b, new(clock).now)
		if _, err := d.Principal(t.Context(), directory.Claimed{ID: "anna"}); err == nil || !strings.Contains(err.Error(), "users/anna/0001.json") {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := d.Principal(t.Context(), directory.Claimed{ID: "carl"}); err != nil {
			t.Errorf("%s: another one is kept out: %v", name, err)
		}
	}
}

func TestOfTwoWhoWriteOneWins(t *testing.T) {
	t.Parallel()
	b, c := bucket.NewMemory(), new(clock)
	var all sync.WaitGroup
	var won, lost atomic.Int32
	for i := range 8 {
		all.Go(func() {
			_, err := directory.New(b, c.now).PutUser(context.Background(), user("anna", rights(access.SalesAgent, fmt.Sprint(i))))
			switch {
			case err == nil:
				won.Add(1)
			case errors.Is(err, directory.ErrChanged):
				lost.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	all.Wait()
	u, _, err := directory.New(b, c.now).User(t.Context(), "anna")
	if err != nil || u.Number != int(won.Load()) || won.Load()+lost.Load() != 8 {
		t.Errorf("%d won, %d lost, number %d, %v", won.Load(), lost.Load(), u.Number, err)
	}
}

func token(t *testing.T, d *directory.Directory, by string) (text string, made directory.Token) {
	t.Helper()
	value, made, err := d.CreateToken(t.Context(), directory.Token{
		Name: "erp", Rights: rights(access.SalesAgent, "A"), Expires: start.Add(time.Hour).Format(time.RFC3339), Made: directory.Act{By: by},
	})
	if err != nil {
		t.Fatal(err)
	}
	return value.Reveal(), made
}

func TestTokens(t *testing.T) {
	t.Parallel()
	b, c := bucket.NewMemory(), new(clock)
	d := directory.New(b, c.now)
	text, made := token(t, d, "anna")
	other, second := token(t, d, "anna")
	child, _ := token(t, d, "token:"+second.ID)
	who := func(text string) string { return say(d.Bearer(t.Context(), text)) }

	expect(t, who(text), "token:"+made.ID+" erp [sales-agent] [A] false")
	expect(t, who(child)[len("token:")+16:], " erp [sales-agent] [A] false")
	expect(t, say(directory.New(b, c.now).Bearer(t.Context(), text)), who(text)) // on another server
	for info, err := range b.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		data, err := bucket.ReadAll(t.Context(), b, info.Key)
		if err != nil || strings.Contains(string(data), text[len("cal_")+16:]) {
			t.Errorf("%s tells the token, %v", info.Key, err)
		}
	}
	// One of the right form that nobody made.
	unknown, _ := token(t, directory.New(bucket.NewMemory(), c.now), "anna")
	expect(t, who(unknown), "the token is not valid: it is not known")

	for range 2 {
		revoked, err := d.RevokeToken(t.Context(), second.ID, directory.Act{By: "boss"})
		if err != nil || revoked.Number != 2 || revoked.Live(c.now()) {
			t.Errorf("revoked %+v, %v", revoked, err)
		}
	}
	expect(t, who(other), "the token is not valid: it was revoked")
	expect(t, who(child), "the token is not valid: who made it is disabled or revoked")
	if _, err := d.RevokeToken(t.Context(), "NONE", directory.Act{}); err == nil {
		t.Error("a token that is not there was revoked")
	}

	c.add(time.Hour - time.Second)
	expect(t, who(text), "token:"+made.ID+" erp [sales-agent] [A] false")
	c.add(time.Second)
	expect(t, who(text), "the token is not valid: it has expired")
	c.add(-time.Minute)
	maker := user("anna", rights(access.GlobalAdmin, "A"))
	put(t, d, maker)
	expect(t, who(text), "token:"+made.ID+" erp [sales-agent] [A] false")
	maker.Disabled = true
	put(t, d, maker)
	expect(t, who(text), "the token is not valid: who made it is disabled or revoked")
}

// A token whose id is another's opens nothing.
func TestATokenIsItsSecret(t *testing.T) {
	t.Parallel()
	c := new(clock)
	one, two := directory.New(bucket.NewMemory(), c.now), bucket.NewMemory()
	text, made := token(t, one, "anna")
	made.SHA256 = strings.Repeat("0", 64)
	if err := bucket.Put(t.Context(), two, "tokens/"+made.ID+"/0001.json", fmt.Appendf(nil, `{"layout":1,"id":%q,"number":1,"sha256":%q,"expires":%q}`, made.ID, made.SHA256, made.Expires)); err != nil {
		t.Fatal(err)
	}
	expect(t, say(directory.New(two, c.now).Bearer(t.Context(), text)), "the token is not valid: it is not known")
}

// FuzzParseToken: what is parsed is a token, a changed one is none, and no error tells it.
func FuzzParseToken(f *testing.F) {
	d := directory.New(bucket.NewMemory(), new(clock).now)
	for range 3 {
		value, _, err := d.CreateToken(context.Background(), directory.Token{})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(value.Reveal(), 7, byte('A'))
		f.Add(value.Reveal(), 78, byte('2'))
	}
	f.Add("cal_", 0, byte(0))
	f.Add("cal_"+strings.Repeat("A", 75), 3, byte('x'))
	f.Add("Bearer eyJhbGciOiJub25lIn0.e30.", 1, byte(' '))
	f.Fuzz(func(t *testing.T, text string, at int, with byte) {
		id, sum, err := directory.ParseToken(text)
		if err != nil {
			if !errors.Is(err, directory.ErrToken) || len(text) > 20 && strings.Contains(err.Error(), text) {
				t.Errorf("%v", err)
			}
			return
		}
		if !strings.HasPrefix(text, "cal_"+id) || len(id) != 16 || len(sum) != 64 {
			t.Errorf("%q: id %q, sum %q", text, id, sum)
		}
		if at < 0 || at >= len(text) || text[at] == with {
			return
		}
		changed := text[:at] + string([]byte{with}) + text[at+1:]
		if _, _, err := directory.ParseToken(changed); err == nil {
			t.Errorf("%q is a token as well", changed)
		}
	})
}
