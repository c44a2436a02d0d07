package jobs

import (
	"fmt"
	"hash/maphash"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pipeline/subscription"
	"github.com/calends/calends/pricing"
)

// read returns the ledger as it is now.
func read(t testing.TB, env Env) *Reading {
	t.Helper()
	r, err := env.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestOwnerOfEverySubscription: each subscription of the demo is found, with the
// customer that the ledger lives it for.
func TestOwnerOfEverySubscription(t *testing.T) {
	t.Parallel()
	env := story(t)
	env.WholeHistory = true
	r := read(t, env)
	n := 0
	for b, err := range env.Subscriptions(t.Context(), pricing.DateOf(2024, 5, 2)) {
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range b.Subscriptions {
			n++
			owner, ok, err := r.Owner(t.Context(), s.Term.SubscriptionID, nil)
			if err != nil || !ok || owner != b.CustomerID {
				t.Errorf("owner of %s is %q, %v, %v; want %s", s.Term.SubscriptionID, owner, ok, err, b.CustomerID)
			}
		}
		of, err := r.SubscriptionsOf(t.Context(), b.CustomerID, pricing.DateOf(2024, 5, 2))
		if err != nil {
			t.Fatal(err)
		}
		if got, want := fmt.Sprintf("%+v", viewTexts(of)), fmt.Sprintf("%+v", viewTexts(b.Subscriptions)); got != want {
			t.Errorf("customer %s: got %s, want %s", b.CustomerID, got, want)
		}
	}
	if n < 20 {
		t.Errorf("%d subscriptions, want those of the demo", n)
	}
	for _, id := range []string{"", "nobody's", strings.ToUpper(voorbeeldStandard), beispiel} {
		if owner, ok, err := r.Owner(t.Context(), id, nil); ok || err != nil {
			t.Errorf("owner of %q is %q, %v; want none", id, owner, err)
		}
	}
}

// TestOwnersOfWhatCameIn: a reading after another reads what came in since, and the
// one before does not see it.
func TestOwnersOfWhatCameIn(t *testing.T) {
	t.Parallel()
	env := demoEnv(t)
	before := read(t, env)
	if err := before.KnowOwners(t.Context()); err != nil {
		t.Fatal(err)
	}
	known := before.owners.index.Load()
	mustIngest(t.Context(), t, env, inputFile(t, "new.jsonl", purchaseOf("sub-1", beispiel)+purchaseOf("sub-2", beispiel)))
	mustIngest(t.Context(), t, env, inputFile(t, "other.jsonl", purchaseOf("sub-1", "A customer")))

	after, err := env.ReadAfter(t.Context(), before)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		name  string
		r     *Reading
		id    string
		among func(string) bool
		want  string
	}{
		{"it is there", after, "sub-2", nil, beispiel},
		{"of two the first by its bytes", after, "sub-1", nil, "A customer"},
		{"of two the one that is asked for", after, "sub-1", func(id string) bool { return id == beispiel }, beispiel},
		{"neither is asked for", after, "sub-1", func(string) bool { return false }, ""},
		{"what was there before", after, voorbeeldStandard, nil, read(t, env).mustOwn(t, voorbeeldStandard)},
		{"it was not there before", before, "sub-2", nil, ""},
	} {
		if got, _, err := row.r.Owner(t.Context(), row.id, row.among); err != nil || got != row.want {
			t.Errorf("%s: owner of %s is %q, %v; want %q", row.name, row.id, got, err, row.want)
		}
	}
	if x := after.owners.index.Load(); len(x.made.hashes) != len(known.made.hashes)+3 || x.inputs != known.inputs+2 {
		t.Errorf("%d hashes of %d inputs, want 3 and 2 more than %d and %d", len(x.made.hashes), x.inputs, len(known.made.hashes), known.inputs)
	}
}

func (r *Reading) mustOwn(t *testing.T, id string) string {
	t.Helper()
	owner, _, err := r.Owner(t.Context(), id, nil)
	if err != nil {
		t.Fatal(err)
	}
	return owner
}

func purchaseOf(id, customer string) string {
	return fmt.Sprintf(`{"specversion":"1.0","id":"buy %[1]s %[2]s","source":"test","type":"subscription.purchased","time":"2024-04-05T09:30:00Z","subject":%[1]q,`+
		`"data":{"customerId":%[2]q,"productId":"CFQ7TTC0LDPB","skuId":"0001","termDuration":"P1Y","billingCycle":"Monthly","quantity":3}}`+"\n", id, customer)
}

// TestOwnerIsNotGuessed: a hash that two ids share finds neither's owner for the other.
func TestOwnerIsNotGuessed(t *testing.T) {
	t.Parallel()
	env := story(t)
	r := read(t, env)
	if err := r.KnowOwners(t.Context()); err != nil {
		t.Fatal(err)
	}
	liar := *r.owners.index.Load()
	liar.made.hashes = slices.Repeat([]uint64{maphash.String(r.owners.seed, "nobody's")}, len(liar.made.hashes))
	r.owners.index.Store(&liar)
	if got := liar.madeBy(liar.made.hashes[0]); len(got) < 2 {
		t.Fatalf("customers of the hash are %q, want all", got)
	}
	if owner, ok, err := r.Owner(t.Context(), "nobody's", nil); ok || err != nil {
		t.Errorf("owner of nobody's is %q, %v; want none", owner, err)
	}
}

// TestOwnerIndexMerges: extended in parts or at once, the index says the same.
func TestOwnerIndexMerges(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOfN(rapid.SliceOf(rapid.Uint64Range(0, 9)), 1, 5).Draw(t, "parts")
		x := &ownerIndex{}
		want := make(map[uint64][]string)
		for n, part := range parts {
			next := &ownerIndex{customers: append(x.customers, fmt.Sprint(n))}
			var news []lead
			slices.Sort(part)
			for _, hash := range slices.Compact(part) {
				news = append(news, lead{hash, uint32(n)})
				want[hash] = append(want[hash], fmt.Sprint(n))
			}
			next.made = x.made.with(news)
			x = next
		}
		if !slices.IsSorted(x.made.hashes) {
			t.Fatalf("hashes %v are out of order", x.made.hashes)
		}
		for hash := range uint64(10) {
			if got := x.madeBy(hash); !slices.Equal(got, want[hash]) {
				t.Fatalf("customers of %d are %q, want %q", hash, got, want[hash])
			}
		}
	})
}

// BenchmarkOwners reads whose subscriptions are, of the world in the folder that
// CALENDS_WORLD names; calends bench make makes one.
func BenchmarkOwners(b *testing.B) {
	folder := os.Getenv("CALENDS_WORLD")
	if folder == "" {
		b.Skip("CALENDS_WORLD names no world")
	}
	at, err := bucket.Open(WorldBucket(folder))
	if err != nil {
		b.Fatal(err)
	}
	r := read(b, envOn(at))
	subscriptions := 0
	for b.Loop() {
		x, err := newOwners().knowing(b.Context(), r.env, r.at.inputs)
		if err != nil {
			b.Fatal(err)
		}
		subscriptions += len(x.made.hashes)
	}
	b.ReportMetric(float64(subscriptions)/b.Elapsed().Seconds(), "subscriptions/s")
}

// viewTexts are views by their values.
func viewTexts(views []subscription.View) (all []string) {
	for _, v := range views {
		term := *v.Term
		lock := term.Lock
		term.Lock = nil
		text := fmt.Sprintf("%+v %v %v %d %v %v %d", term, v.Suspended, v.Ended, v.Quantity, v.Layers, v.AutoRenew, v.Start)
		if lock != nil {
			text += fmt.Sprintf(" %s %s %+v", lock.UnitPrice, lock.Currency, lock.Source)
		}
		if v.Next != nil {
			text += fmt.Sprintf(" %+v", *v.Next)
		}
		all = append(all, text)
	}
	return all
}

// inputFile writes a file to take in.
func inputFile(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
