package relationship_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/calends/calends/jobs/relationship"
	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pipeline/party"
)

var noon = time.Date(2024, time.May, 2, 12, 0, 0, 0, time.UTC)

const day = 24 * time.Hour

// fact is what the input of that number first said of the customer.
func fact(says party.Relationship, said int64) ledger.CustomerFact {
	f := ledger.CustomerFact{Customer: party.Customer{ID: "C", PartnerID: "P"}}
	return importing(f, says, said)
}

// importing is the fact after one more input.
func importing(f ledger.CustomerFact, says party.Relationship, input int64) ledger.CustomerFact {
	f.Relationship = says
	if says != "" && says != f.Word {
		f.Word, f.Said = says, input
	}
	return f
}

// office asks and answers for one customer, at instants that the test gives.
type office struct {
	*testing.T
	bucket *bucket.Memory
	store  *relationship.Store
	random *rand.ChaCha8
	fact   ledger.CustomerFact
	inputs int64
	tokens []relationship.Token
}

func open(t *testing.T, f ledger.CustomerFact) *office {
	t.Helper()
	b := bucket.NewMemory()
	return &office{T: t, bucket: b, store: relationship.NewStore(b), random: rand.NewChaCha8([32]byte{1}), fact: f, inputs: 5}
}

func (o *office) by(name string, at time.Time) relationship.Asker {
	return relationship.Asker{ID: "id of " + name, Name: name, From: "192.0.2.7", At: at, Inputs: o.inputs}
}

// do does one thing that a line of a table says: ask, withdraw, accept or decline; the
// last two by the link of the request of that number.
func (o *office) do(what string, at time.Time) error {
	verb, number, _ := strings.Cut(what, " ")
	if verb == "withdraw" && number == "" {
		number = fmt.Sprint(len(o.tokens)) // in most lines the only one
	}
	link := func() relationship.Token {
		for _, t := range o.tokens {
			if fmt.Sprint(t.Number) == number {
				return t
			}
		}
		o.Fatalf("no request has number %s", number)
		return relationship.Token{}
	}
	switch verb {
	case "ask":
		token, _, err := o.store.Request(o.Context(), o.fact, o.by("Ann Agent", at), relationship.Valid, o.random)
		if err == nil {
			o.tokens = append(o.tokens, token)
		}
		return err
	case "withdraw":
		n, err := strconv.Atoi(number)
		if err != nil {
			o.Fatal(err)
		}
		_, err = o.store.Withdraw(o.Context(), o.fact, n, o.by("Ann Agent", at))
		return err
	case "accept", "decline":
		_, err := o.store.Answer(o.Context(), o.fact, link(), verb == "accept", o.by("Carl Customer", at))
		return err
	}
	o.Fatalf("nobody can %q", what)
	return nil
}

func (o *office) state(at time.Time) relationship.State {
	o.Helper()
	s, err := o.store.Of(o.Context(), o.fact, at)
	if err != nil {
		o.Fatal(err)
	}
	return s.State
}

func TestWhatIsAskedAndAnswered(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		imported party.Relationship
		does     string // a day each
		want     relationship.State
		last     error // of what is done last
	}{
		{"a blank in an import is an accepted one", "", "", relationship.Accepted, nil},
		{"an import says what it says", party.Declined, "", relationship.Declined, nil},
		{"a request of an import is one", party.Requested, "", relationship.Requested, nil},
		{"nobody was asked", party.Unasked, "", relationship.None, nil},

		{"asked", party.Unasked, "ask", relationship.Requested, nil},
		{"asked and accepted", party.Unasked, "ask, accept 1", relationship.Accepted, nil},
		{"asked and declined", party.Unasked, "ask, decline 1", relationship.Declined, nil},
		{"asked again after a no", party.Declined, "ask, decline 1, ask, accept 3", relationship.Accepted, nil},
		{"asked, and the request withdrawn", party.Unasked, "ask, withdraw", relationship.None, nil},
		{"asked where an import has a request of its own", party.Requested, "ask, accept 1", relationship.Accepted, nil},

		{"what is accepted is not asked for", "", "ask", relationship.Accepted, relationship.ErrAccepted},
		{"what was accepted is not asked for", party.Unasked, "ask, accept 1, ask", relationship.Accepted, relationship.ErrAccepted},
		{"no request, nothing to withdraw", party.Unasked, "withdraw", relationship.None, relationship.ErrNoRequest},
		{"an import's request is not ours to withdraw", party.Requested, "withdraw", relationship.Requested, relationship.ErrNoRequest},
		{"an answer is not withdrawn", party.Unasked, "ask, accept 1, withdraw", relationship.Accepted, relationship.ErrNoRequest},
		{"a link is good for one answer", party.Unasked, "ask, accept 1, decline 1", relationship.Accepted, relationship.ErrLink},
		{"a yes is not said twice", party.Unasked, "ask, accept 1, accept 1", relationship.Accepted, relationship.ErrLink},
		{"the next request ends the link of the one before", party.Unasked, "ask, ask, accept 1", relationship.Requested, relationship.ErrLink},
		{"the link of the newest is good", party.Unasked, "ask, ask, accept 2", relationship.Accepted, nil},
		{"only the newest request is withdrawn", party.Unasked, "ask, ask, withdraw 1", relationship.Requested, relationship.ErrNoRequest},
		{"a link that was withdrawn is over", party.Unasked, "ask, withdraw, accept 1", relationship.None, relationship.ErrLink},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o := open(t, fact(tt.imported, 1))
			at := noon
			if tt.does != "" {
				all := strings.Split(tt.does, ", ")
				for i, what := range all {
					at = at.Add(day)
					var want error
					if i == len(all)-1 {
						want = tt.last
					}
					if err := o.do(what, at); !errors.Is(err, want) {
						t.Fatalf("%s: got %v, want %v", what, err, want)
					}
				}
			}
			if got := o.state(at); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			accepted, state, err := o.store.Accepted(t.Context(), o.fact, at)
			if accepted != (tt.want == relationship.Accepted) || state != tt.want || err != nil {
				t.Errorf("may be bought for: %t, %s, %v", accepted, state, err)
			}
		})
	}
}

func TestARequestExpires(t *testing.T) {
	t.Parallel()
	o := open(t, fact(party.Unasked, 1))
	if err := o.do("ask", noon); err != nil {
		t.Fatal(err)
	}
	last := noon.Add(relationship.Valid - time.Second)
	if got := o.state(last); got != relationship.Requested {
		t.Errorf("in its last second: %s", got)
	}
	if _, err := o.store.Opens(t.Context(), o.fact, o.tokens[0], last); err != nil {
		t.Errorf("in its last second the link says %v", err)
	}
	over := last.Add(time.Second)
	if got := o.state(over); got != relationship.Expired {
		t.Errorf("when it is over: %s", got)
	}
	if err := o.do("accept 1", over); !errors.Is(err, relationship.ErrLink) {
		t.Errorf("an answer too late: %v", err)
	}
	if err := o.do("withdraw", over); !errors.Is(err, relationship.ErrNoRequest) {
		t.Errorf("what is over is withdrawn: %v", err)
	}
	if err := o.do("ask", over); err != nil || o.state(over) != relationship.Requested {
		t.Errorf("asked again: %v, %s", err, o.state(over))
	}
}

// What an import says counts where it came after the newest record and is news.
func TestImportsAndRecords(t *testing.T) {
	t.Parallel()
	moved := fact("", 9)
	moved.PartnerID = "Q"
	for _, tt := range []struct {
		name string
		now  ledger.CustomerFact
		want relationship.State
	}{
		{"the import that was there stays what it was", fact(party.Unasked, 5), relationship.Accepted},
		{"a later one that says nothing", importing(fact(party.Unasked, 5), "", 9), relationship.Accepted},
		{"a later one that says what was said before", importing(fact(party.Unasked, 5), party.Unasked, 9), relationship.Accepted},
		{"a later one with news", fact(party.Declined, 6), relationship.Declined},
		{"one with news, and a blank after it", importing(fact(party.Declined, 6), "", 7), relationship.Declined},
		{"a later one that confirms", fact(party.Accepted, 6), relationship.Accepted},
		{"another partner's customer now", moved, relationship.Accepted},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o := open(t, fact(party.Unasked, 5))
			for _, what := range []string{"ask", "accept 1"} {
				if err := o.do(what, noon); err != nil {
					t.Fatal(err)
				}
			}
			o.fact = tt.now
			if got := o.state(noon); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestACustomerThatHasMovedAsksAnew(t *testing.T) {
	t.Parallel()
	o := open(t, fact(party.Unasked, 1))
	if err := errors.Join(o.do("ask", noon), o.do("accept 1", noon), o.do("ask", noon)); !errors.Is(err, relationship.ErrAccepted) {
		t.Fatal(err)
	}
	o.fact.PartnerID = "Q"
	if got := o.state(noon); got != relationship.None {
		t.Errorf("with the new partner: %s", got)
	}
	if err := o.do("ask", noon); err != nil {
		t.Fatal(err)
	}
	standing, err := o.store.Of(t.Context(), o.fact, noon)
	if err != nil || len(standing.Records) != 1 || standing.Records[0].PartnerID != "Q" || standing.Records[0].Number != 3 {
		t.Errorf("the new partner is told %+v, %v", standing, err)
	}
	o.fact.PartnerID = "P"
	if err := o.do("accept 3", noon); !errors.Is(err, relationship.ErrLink) {
		t.Errorf("the link of a partner that the customer has left: %v", err)
	}
}

// Whoever has not the newest link cannot tell what is wrong with theirs.
func TestWrongLinksSayTheSame(t *testing.T) {
	t.Parallel()
	o := open(t, fact(party.Unasked, 1))
	for range 2 {
		if err := o.do("ask", noon); err != nil {
			t.Fatal(err)
		}
	}
	newest := o.tokens[1].Text()
	whose, number, secret := cut(t, newest)
	other := "a"
	if strings.HasPrefix(secret, "cal_a") {
		other = "b"
	}
	texts := map[string]string{
		"the link before":      o.tokens[0].Text(),
		"another secret":       whose + "." + number + ".cal_" + other + secret[5:],
		"no secret":            whose + "." + number + ".cal_",
		"a number that is not": whose + ".3." + secret,
		"the number before":    whose + ".1." + secret,
		"another's":            "RA." + number + "." + secret,
		"a customer with dots": "Li4v." + number + "." + secret,
		"a number below one":   whose + ".0." + secret,
		"a long one":           strings.Repeat("A", relationship.Longest) + "." + number + "." + secret,
		"nothing":              "",
		"anything":             "x.y.z",
	}
	for name, text := range texts {
		token, err := relationship.ParseToken(text)
		if err == nil {
			f := o.fact
			if token.CustomerID != f.ID {
				f = ledger.CustomerFact{}
			}
			_, err = o.store.Opens(t.Context(), f, token, noon)
		}
		if err == nil || err.Error() != relationship.ErrLink.Error() {
			t.Errorf("%s: got %v, want %v", name, err, relationship.ErrLink)
		}
	}
	if token, err := relationship.ParseToken(newest); err != nil || token != o.tokens[1] {
		t.Errorf("the newest reads back as %v, %v", token, err)
	}
}

func cut(t *testing.T, token string) (whose, number, secret string) {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("the token has %d parts", len(parts))
	}
	return parts[0], parts[1], parts[2]
}

// The secret is in the link and nowhere else.
func TestTheSecretIsNotKept(t *testing.T) {
	t.Parallel()
	o := open(t, fact(party.Unasked, 1))
	if err := o.do("ask", noon); err != nil {
		t.Fatal(err)
	}
	token := o.tokens[0]
	_, _, secret := cut(t, token.Text())
	if len(secret) != len("cal_")+52 { // 256 bits, five a letter
		t.Errorf("the secret has %d letters", len(secret))
	}
	for info, err := range o.bucket.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		data, err := bucket.ReadAll(t.Context(), o.bucket, info.Key)
		if err != nil || bytes.Contains(data, []byte(secret[4:])) {
			t.Errorf("%s: %v, %s", info.Key, err, data)
		}
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		if text := fmt.Sprintf(verb, token); strings.Contains(text, secret[4:12]) {
			t.Errorf("%s prints %s", verb, text)
		}
	}
	if text, err := json.Marshal(token); err != nil || strings.Contains(string(text), secret[4:12]) {
		t.Errorf("as JSON: %s, %v", text, err)
	}
	path := relationship.Path + token.Text()
	for _, sent := range []string{path, "/v1" + path + "/accept", strings.Replace(path, "cal_", "c%61l%5f", 1)} {
		if got := relationship.Redacted(sent); strings.Contains(got, secret[4:12]) || !strings.Contains(got, relationship.Path) {
			t.Errorf("%s redacted: %s", sent, got)
		}
	}
	for _, other := range []string{"/v1/customers/a%2Fb", "/v1/%zz"} {
		if got := relationship.Redacted(other); got != other {
			t.Errorf("%s became %s", other, got)
		}
	}
}

// Of many who answer at once one is heard; of many who ask at once each either has the
// number or is told.
func TestTwoAtOnce(t *testing.T) {
	t.Parallel()
	const many = 8
	o := open(t, fact(party.Unasked, 1))
	together := func(do func(i int, s *relationship.Store) error) (done int, others []error) {
		var wait sync.WaitGroup
		errs := make([]error, many)
		for i := range many {
			wait.Go(func() { errs[i] = do(i, relationship.NewStore(o.bucket)) })
		}
		wait.Wait()
		for _, err := range errs {
			if err == nil {
				done++
			} else {
				others = append(others, err)
			}
		}
		return done, others
	}
	tokens := make([]relationship.Token, many)
	asked, told := together(func(i int, s *relationship.Store) (err error) {
		random := rand.NewChaCha8([32]byte{byte(i)})
		tokens[i], _, err = s.Request(t.Context(), o.fact, o.by(fmt.Sprint("Agent ", i), noon), relationship.Valid, random)
		return err
	})
	for _, err := range told {
		if !errors.Is(err, relationship.ErrMeanwhile) {
			t.Errorf("who asked: %v", err)
		}
	}
	standing, err := o.store.Of(t.Context(), o.fact, noon)
	if err != nil || len(standing.Records) != asked || asked == 0 {
		t.Fatalf("%d asked, %d records, %v", asked, len(standing.Records), err)
	}
	var newest relationship.Token
	for _, token := range tokens {
		if token.Number == asked {
			newest = token
		}
	}
	answered, told := together(func(i int, s *relationship.Store) error {
		_, err := s.Answer(t.Context(), o.fact, newest, i%2 == 0, o.by(fmt.Sprint("Customer ", i), noon))
		return err
	})
	if answered != 1 {
		t.Errorf("%d answers were heard", answered)
	}
	for _, err := range told {
		if !errors.Is(err, relationship.ErrLink) {
			t.Errorf("who answered: %v", err)
		}
	}
	if standing, err = o.store.Of(t.Context(), o.fact, noon); err != nil || len(standing.Records) != asked+1 || standing.By.Request != newest.Number {
		t.Errorf("%+v, %v", standing, err)
	}
}

// A record that is missing or damaged is told: it may have been the one that counts.
func TestDamage(t *testing.T) {
	t.Parallel()
	const first, second = "relationships/C/0001.json", "relationships/C/0002.json"
	for _, tt := range []struct {
		name string
		harm func(ctx context.Context, b *bucket.Memory) error
		want string
	}{
		{"the first is gone", func(ctx context.Context, b *bucket.Memory) error { return b.Delete(ctx, first) }, first + " is missing, and later ones are there"},
		{"no JSON", replace(second, "{"), "read " + second},
		{"another's", replace(second, `{"layout":1,"customerId":"D","number":2,"says":"declined"}`), "it says customer D, number 2"},
		{"another number", replace(second, `{"layout":1,"customerId":"C","number":3,"says":"declined"}`), "it says customer C, number 3"},
		{"an unknown word", replace(second, `{"layout":1,"customerId":"C","number":2,"says":"maybe"}`), `it says "maybe"`},
		{"no end", replace(second, `{"layout":1,"customerId":"C","number":2,"says":"requested"}`), "when it expires"},
		{"of a later program", replace(second, `{"layout":2,"customerId":"C","number":2,"says":"declined"}`), "this program knows up to 1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o := open(t, fact(party.Unasked, 1))
			if err := errors.Join(o.do("ask", noon), o.do("accept 1", noon), tt.harm(t.Context(), o.bucket)); err != nil {
				t.Fatal(err)
			}
			fresh := relationship.NewStore(o.bucket)
			if accepted, _, err := fresh.Accepted(t.Context(), o.fact, noon); accepted || err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("accepted %t, %v; want %q", accepted, err, tt.want)
			}
			// The customers beside it are known.
			o.fact.ID, o.tokens = "D", nil
			if err := o.do("ask", noon); err != nil {
				t.Fatal(err)
			}
			all, err := fresh.All(t.Context(), noon)
			if err != nil || all["C"].Err == nil || !strings.Contains(all["C"].Err.Error(), tt.want) || all["D"].Err != nil || len(all["D"].Records) != 1 {
				t.Errorf("all: %v, %v; want %q", all, err, tt.want)
			}
			wrong, err := relationship.Damaged(t.Context(), o.bucket)
			if err != nil || len(wrong) != 1 || !strings.HasPrefix(wrong[0].Key, "relationships/C/") || wrong[0].Missing != strings.Contains(tt.want, "missing") {
				t.Errorf("damaged: %v, %v", wrong, err)
			}
		})
	}
}

func replace(key, text string) func(context.Context, *bucket.Memory) error {
	return func(ctx context.Context, b *bucket.Memory) error {
		return errors.Join(b.Delete(ctx, key), bucket.Put(ctx, b, key, []byte(text)))
	}
}

// All is what each customer's own records are: at once for who wrote them, and a moment
// later for others.
func TestAll(t *testing.T) {
	t.Parallel()
	o := open(t, fact(party.Unasked, 1))
	other := relationship.NewStore(o.bucket)
	count := func(s *relationship.Store, at time.Time) int {
		t.Helper()
		all, err := s.All(t.Context(), at)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, known := range all {
			n += len(known.Records)
		}
		return n
	}
	if n := count(o.store, noon) + count(other, noon); n != 0 {
		t.Errorf("%d records before there were any", n)
	}
	for i := range 20 {
		o.fact.ID = fmt.Sprint("customer/", i)
		if err := o.do("ask", noon); err != nil {
			t.Fatal(err)
		}
		if n := count(o.store, noon); n != i+1 {
			t.Errorf("%d records after %d requests", n, i+1)
		}
	}
	if n := count(other, noon.Add(time.Second)); n != 0 {
		t.Errorf("another program lists after a second: %d", n)
	}
	if n := count(other, noon.Add(2*time.Second)); n != 20 {
		t.Errorf("another program has %d records after two seconds", n)
	}
	all, err := other.All(t.Context(), noon.Add(2*time.Second))
	if err != nil || len(all["customer/7"].Records) != 1 || all["customer/7"].Records[0].Name != "Ann Agent" {
		t.Errorf("%v, %v", all["customer/7"], err)
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	if name, err := relationship.CheckName("  Carl Customer "); name != "Carl Customer" || err != nil {
		t.Errorf("%q, %v", name, err)
	}
	for _, name := range []string{"", "  ", "Carl\nCustomer", "Carl\x00", strings.Repeat("x", 201)} {
		if got, err := relationship.CheckName(name); err == nil {
			t.Errorf("%q is the name %q", name, got)
		}
	}
}

// Whatever is asked and answered in whatever order: a customer is accepted only if the
// newest link was answered with yes, in time, or an import with news says so.
func TestNobodyIsAcceptedByAccident(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		o := open(t, fact(party.Unasked, 1))
		o.random = rand.NewChaCha8([32]byte{byte(rapid.Byte().Draw(rt, "seed"))})
		at, accepted, newest, expires := noon, false, 0, time.Time{} // newest is 0 where no request waits
		for range rapid.IntRange(1, 12).Draw(rt, "steps") {
			at = at.Add(time.Duration(rapid.IntRange(0, 20).Draw(rt, "days")) * day)
			step := rapid.SampledFrom([]string{"ask", "withdraw", "accept", "decline", "import"}).Draw(rt, "step")
			if step == "import" {
				says := rapid.SampledFrom([]party.Relationship{"", party.Accepted, party.Declined, party.Unasked}).Draw(rt, "says")
				o.inputs++
				news := says != "" && says != o.fact.Word
				o.fact = importing(o.fact, says, o.inputs)
				if news || len(o.tokens) == 0 {
					accepted, newest = says == "" || says == party.Accepted, 0
				}
				continue
			}
			waits := newest != 0 && at.Before(expires)
			if step == "withdraw" {
				step = fmt.Sprint(step, " ", newest)
			}
			if step == "accept" || step == "decline" {
				if len(o.tokens) == 0 {
					continue
				}
				step = fmt.Sprint(step, " ", rapid.SampledFrom(o.tokens).Draw(rt, "link").Number)
			}
			err := o.do(step, at)
			switch {
			case step == "ask" && err == nil:
				newest, expires, accepted = o.tokens[len(o.tokens)-1].Number, at.Add(relationship.Valid), false
			case step == "ask" && !accepted:
				rt.Fatalf("ask: %v", err)
			case strings.HasPrefix(step, "withdraw") && (err == nil) != waits:
				rt.Fatalf("%s: %v, while a request waits: %t", step, err, waits)
			case strings.HasPrefix(step, "withdraw") && err == nil:
				newest = 0
			case strings.HasSuffix(step, fmt.Sprint(" ", newest)) && waits:
				if err != nil {
					rt.Fatalf("%s: %v", step, err)
				}
				accepted, newest = strings.HasPrefix(step, "accept"), 0
			case step != "ask" && !strings.HasPrefix(step, "withdraw") && err == nil:
				rt.Fatalf("%s was heard, and request %d waits", step, newest)
			}
			if got := o.state(at); (got == relationship.Accepted) != accepted {
				rt.Fatalf("after %s: %s, want accepted: %t", step, got, accepted)
			}
		}
	})
}
