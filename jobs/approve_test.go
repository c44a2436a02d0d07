package jobs

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pipeline/subscription"
	"github.com/calends/calends/pricing"
)

// reviewed is a small world to approve months of: one partner, one customer, who buys
// a seat for EUR 10.00 a month in July 2026 and nine more in August. July is closed.
type reviewed struct {
	*testing.T
	env  Env
	dir  string
	took int
}

const (
	reviewedSheet = "ProductTitle,ProductId,SkuId,SkuTitle,Publisher,TermDuration,BillingPlan,Market,Currency,UnitPrice,EffectiveStartDate,EffectiveEndDate,Segment\n"
	reviewedRow   = "T,PA,1,S,M,P1Y,Monthly,DE,EUR,120,1/1/2020,11/30/9999,Commercial\n"
)

func newReviewed(t *testing.T) *reviewed {
	t.Helper()
	w := &reviewed{T: t, env: testEnv(t, nil), dir: t.TempDir()}
	w.env.Today = pricing.DateOf(2026, 9, 1)
	w.take("PartnerId,PartnerName,Country,BillingCurrency,MpnId,TaxRate\np,P,DE,EUR,1,\n")
	w.take("CustomerId,CustomerName,CustomerDomainName,CustomerCountry,Segment,PartnerId,ResellerMpnId\nc,C,c.example,DE,,p,\n")
	w.take(reviewedSheet + reviewedRow)
	w.take(purchased("1", "PA", "2026-07-05T10:00:00Z", 1))
	if _, err := w.close("2026-07", ""); err != nil {
		t.Fatal(err)
	}
	w.take(purchased("2", "PA", "2026-08-05T10:00:00Z", 9))
	return w
}

func purchased(id, product, at string, quantity int) string {
	return fmt.Sprintf(`{"specversion":"1.0","id":"%s","source":"t","type":"subscription.purchased","time":"%s","subject":"s%s",`+
		`"data":{"customerId":"c","productId":"%s","skuId":"1","termDuration":"P1Y","billingCycle":"Monthly","quantity":%d}}`+"\n", id, at, id, product, quantity)
}

// take takes a file in; a price sheet is of July.
func (w *reviewed) take(content string) {
	w.Helper()
	w.took++
	path := filepath.Join(w.dir, fmt.Sprintf("2026-07-%d", w.took))
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		w.Fatal(err)
	}
	mustIngest(w.Context(), w.T, w.env, path)
}

func (w *reviewed) bill(month string) {
	w.Helper()
	if _, err := w.env.Bill(w.Context(), mustMonth(w.T, month), false); err != nil {
		w.Fatal(err)
	}
}

func (w *reviewed) close(month, accept string) (BillResult, error) {
	return w.env.Close(w.Context(), mustMonth(w.T, month), accept)
}

// approve says what "ann", "ann because" or "-ann", a revocation, means of August.
func (w *reviewed) approve(words string) (ApprovalResult, error) {
	plan := ApprovePlan{Month: mustMonth(w.T, "2026-08"), At: time.Date(2026, 9, 1, 11, 0, 0, 0, time.FixedZone("", 2*60*60))}
	name, reason, _ := strings.Cut(words, " ")
	plan.By, plan.Revoke = strings.CutPrefix(name, "-")
	plan.Accept = reason
	return w.env.Approve(w.Context(), plan)
}

func (w *reviewed) mustApprove(words string) ApprovalResult {
	w.Helper()
	result, err := w.approve(words)
	if err != nil {
		w.Fatalf("approve %s: %v", words, err)
	}
	return result
}

// current is the manifest of the month's current revision.
func (w *reviewed) current(month string) ledger.Manifest {
	w.Helper()
	at, err := w.env.snapshot(w.Context())
	if err != nil {
		w.Fatal(err)
	}
	known, _ := at.month(mustMonth(w.T, month))
	return known.Current
}

// TestApprove: what is said is kept once, with who, when and of which draft.
func TestApprove(t *testing.T) {
	t.Parallel()
	w := newReviewed(t)
	w.bill("2026-08")
	draft := w.current("2026-08")
	for _, step := range []struct {
		words   string
		written bool
		stand   string // numbers of the approvals that stand
	}{
		{"-ann", false, ""},
		{"ann", true, "1"},
		{"ann", false, "1"},
		{" ann ", false, "1"},
		{"bob", true, "1 2"},
		{"bob because", true, "1 2 3"},
		{"bob because", false, "1 2 3"},
		{"bob", false, "1 2 3"},
		{"-cleo", true, ""},
		{"-ann", false, ""},
		{"ann", true, "5"},
	} {
		result := w.mustApprove(strings.TrimSpace(step.words))
		var stand []string
		for _, a := range result.Approvals {
			if a.Stands {
				stand = append(stand, fmt.Sprint(a.Number))
			}
		}
		if result.Written != step.written || strings.Join(stand, " ") != step.stand || result.Approved != (step.stand != "") {
			t.Errorf("%q: written %v, standing %v, approved %v; want %v, %s", step.words, result.Written, stand, result.Approved, step.written, step.stand)
		}
	}
	listed, err := w.env.Approvals(t.Context(), mustMonth(t, "2026-08"))
	if err != nil || len(listed.Approvals) != 5 {
		t.Fatalf("%d approvals, %v; want 5", len(listed.Approvals), err)
	}
	want := ledger.Approval{Layout: ledger.Layout, Month: "2026-08", Number: 3, By: "bob", At: "2026-09-01T09:00:00Z",
		Revision: 1, Fingerprint: draft.Fingerprint, Accepted: "because"}
	if got := listed.Approvals[2].Approval; got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// TestApproveRefuses: only somebody, and only what would be billed now.
func TestApproveRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		before func(*reviewed)
		words  string
		class  error
		want   string
	}{
		{"without a name", func(w *reviewed) { w.bill("2026-08") }, "", ErrUsage, "has to give a name"},
		{"a name of two lines", func(w *reviewed) { w.bill("2026-08") }, "a\nb", ErrUsage, "want one line"},
		{"without a draft", func(*reviewed) {}, "ann", ErrMissing, "calends bill 2026-08"},
		{"of a closed month", func(w *reviewed) {
			if _, err := w.close("2026-08", ""); err != nil {
				w.Fatal(err)
			}
		}, "ann", ErrUsage, "the month is closed, with revision 1"},
		{"of a draft that an input has changed", func(w *reviewed) {
			w.bill("2026-08")
			w.take(purchased("3", "PA", "2026-08-06T10:00:00Z", 1))
		}, "ann", ErrMissing, "revision 1 is not what would be billed now"},
		{"of a draft that a policy has changed", func(w *reviewed) {
			w.bill("2026-08")
			w.env.Policies = func(string) subscription.Policies { return subscription.Policies{Trust: true} }
		}, "ann", ErrMissing, "policies have changed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newReviewed(t)
			tt.before(w)
			if _, err := w.approve(tt.words); !errors.Is(err, tt.class) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %v: %s", err, tt.class, tt.want)
			}
			if approvals, err := w.env.ledger().Approvals(t.Context(), mustMonth(t, "2026-08")); err != nil || len(approvals) > 0 {
				t.Errorf("%d approvals, %v; want none", len(approvals), err)
			}
		})
	}
	if _, err := envOn(bucket.NewMemory()).Approve(t.Context(), ApprovePlan{Month: mustMonth(t, "2026-08"), By: "ann"}); !errors.Is(err, ErrMissing) {
		t.Errorf("an empty bucket: %v", err)
	}
	if _, err := envOn(bucket.NewMemory()).Approvals(t.Context(), mustMonth(t, "2026-08")); !errors.Is(err, ErrMissing) {
		t.Errorf("approvals of an empty bucket: %v", err)
	}
}

// TestCloseWaitsForApproval: a month closes with what was approved, and with nothing
// else.
func TestCloseWaitsForApproval(t *testing.T) {
	t.Parallel()
	const (
		another  = "CurrencyCode,USDPerUnit,Month\nSEK,0.095,202609\n" // of no matter to August
		negative = `{"specversion":"1.0","id":"9","source":"t","type":"customer.credited","time":"2026-08-09T10:00:00Z","subject":"c",` +
			`"data":{"customerId":"c","amount":"-500.00","currency":"EUR","reason":"goodwill"}}` + "\n"
	)
	approve := func(words string) func(*reviewed) { return func(w *reviewed) { w.mustApprove(words) } }
	take := func(content string) func(*reviewed) { return func(w *reviewed) { w.take(content) } }
	bill := func(w *reviewed) { w.bill("2026-08") }
	credit := func(w *reviewed) {
		w.take(strings.Replace(negative, `"-500.00"`, `"500.00"`, 1))
		w.env.Closing.Bounds.Negative = true
	}
	for _, tt := range []struct {
		name   string
		steps  []func(*reviewed)
		accept string
		held   string // "": the month closes
		by     string // whose approval the manifest names, and the reason
	}{
		{"nobody has billed", nil, "", "approval: waits for approval, and there is no draft to approve: bill it first, with: calends bill 2026-08", ""},
		{"nobody has approved", []func(*reviewed){bill}, "", "approval: waits for approval of revision 1", ""},
		{"a reason is no approval", []func(*reviewed){bill}, "hurry", "approval: waits for approval of revision 1", ""},
		{"approved", []func(*reviewed){bill, approve("ann")}, "", "", "ann 1"},
		{"approved by two", []func(*reviewed){bill, approve("ann"), approve("bob")}, "", "", "bob 2"},
		{"approved, and closed with a reason", []func(*reviewed){bill, approve("ann")}, "hurry", "", "ann 1 hurry"},
		{"revoked", []func(*reviewed){bill, approve("ann"), approve("-bob")}, "", "approval: waits for approval of revision 1: bob revoked what was approved", ""},
		{"approved again", []func(*reviewed){bill, approve("ann"), approve("-bob"), approve("ann")}, "", "", "ann 3"},
		{"an input has changed the month", []func(*reviewed){bill, approve("ann"), take(purchased("3", "PA", "2026-08-06T10:00:00Z", 1))}, "",
			"approval: waits for approval: revision 1, which ann approved, is not what would be closed: inputs have come in since, or policies have changed; bill it again, with: calends bill 2026-08", ""},
		{"so has one of July", []func(*reviewed){bill, approve("ann"), take(purchased("3", "PA", "2026-07-06T10:00:00Z", 1))}, "",
			"approval: waits for approval: revision 1, which ann approved, is not what would be closed: inputs have come in since, or policies have changed; bill it again, with: calends bill 2026-08", ""},
		{"and it was billed again", []func(*reviewed){bill, approve("ann"), take(purchased("3", "PA", "2026-08-06T10:00:00Z", 1)), bill}, "",
			"approval: waits for approval of revision 2: ann approved revision 1", ""},
		{"and the next draft was approved", []func(*reviewed){bill, approve("ann"), take(purchased("3", "PA", "2026-08-06T10:00:00Z", 1)), bill, approve("ann")}, "", "", "ann 2"},
		{"a policy has changed", []func(*reviewed){bill, approve("ann"), func(w *reviewed) {
			w.env.Policies = func(string) subscription.Policies { return subscription.Policies{Trust: true} }
		}}, "", "approval: waits for approval: revision 1, which ann approved, is not what would be closed: inputs have come in since, or policies have changed; bill it again, with: calends bill 2026-08", ""},
		{"an input of no matter has come in", []func(*reviewed){bill, approve("ann"), take(another)}, "", "", "ann 1"},
		{"an input of no matter before the approval", []func(*reviewed){bill, take(another), approve("ann")}, "", "", "ann 1"},
		{"the lines are back to what was approved, as another draft", []func(*reviewed){bill, approve("ann"),
			func(w *reviewed) {
				w.env.Policies = func(string) subscription.Policies { return subscription.Policies{Trust: true} }
			}, bill,
			func(w *reviewed) {
				w.env.Policies = func(string) subscription.Policies { return subscription.Policies{} }
			}, bill}, "", "approval: waits for approval of revision 3: ann approved revision 1", ""},

		{"a bound and an approval", []func(*reviewed){credit, bill}, "", "negative: partner p: EUR -400.00: the invoice is negative\napproval: waits for approval of revision 1", ""},
		{"approved, but not the bound", []func(*reviewed){credit, bill, approve("ann")}, "", "negative: partner p: EUR -400.00: the invoice is negative", ""},
		{"approved with a reason", []func(*reviewed){credit, bill, approve("ann agreed")}, "", "", "ann 1 agreed"},
		{"the reason of one, the approval of another", []func(*reviewed){credit, bill, approve("ann agreed"), approve("bob")}, "", "", "bob 2 agreed"},
		{"a later reason", []func(*reviewed){credit, bill, approve("ann agreed"), approve("bob indeed")}, "", "", "bob 2 indeed"},
		{"a reason that was revoked", []func(*reviewed){credit, bill, approve("ann agreed"), approve("-ann"), approve("bob")}, "", "negative: partner p: EUR -400.00: the invoice is negative", ""},
		{"the reason of the close comes first", []func(*reviewed){credit, bill, approve("ann agreed")}, "hurry", "", "ann 1 hurry"},
		{"a reason does not end the month", []func(*reviewed){credit, bill, approve("ann agreed"),
			func(w *reviewed) { w.env.Today = pricing.DateOf(2026, 8, 31) }}, "", "not-over: the month is not over: today is 2026-08-31, its last day 2026-08-31", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newReviewed(t)
			w.env.Closing.Approval = true
			for _, step := range tt.steps {
				step(w)
			}
			result, err := w.close("2026-08", tt.accept)
			if tt.held != "" {
				var held *HeldError
				if !errors.As(err, &held) || strings.Join(inCodes(held.Holds), "\n") != tt.held {
					t.Fatalf("got %v\nwant %s", err, tt.held)
				}
				if !slices.Equal(result.Held, held.Holds) || held.Waits() != strings.Contains(tt.held, "approval: ") || held.Missing {
					t.Errorf("the result says %v, the error %+v", result.Held, held)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			m := w.current("2026-08")
			if m.State != ledger.Closed || m.Approval == nil {
				t.Fatalf("%s, approval %+v", m.State, m.Approval)
			}
			if got := strings.TrimSpace(fmt.Sprint(m.Approval.By, " ", m.Approval.Number, " ", m.Accepted)); got != tt.by {
				t.Errorf("approved by %s, want %s", got, tt.by)
			}
			if m.Approval.Revision != m.Revision-1 || m.Approval.At != "2026-09-01T09:00:00Z" {
				t.Errorf("approval %+v of revision %d", m.Approval, m.Revision)
			}
		})
	}
}

// TestApprovalIsTaken: where nobody has to approve, an approval is recorded, its
// reason holds, and one that is stale changes nothing.
func TestApprovalIsTaken(t *testing.T) {
	t.Parallel()
	w := newReviewed(t)
	w.env.Closing.Bounds = bounds(t, "totalPercent: 50")
	w.bill("2026-08")
	if result := w.mustApprove("ann"); !result.Open() || len(result.Holds) != 1 || result.Holds[0].Code != HeldByTotal || result.Required {
		t.Errorf("the approver is not told what holds the month: %+v", result)
	}
	if result := w.mustApprove("ann because"); result.Open() || len(result.Holds) != 0 {
		t.Errorf("with a reason nothing holds it: %+v", result)
	}
	w.take(purchased("3", "PA", "2026-08-06T10:00:00Z", 1))
	_, err := w.close("2026-08", "")
	var held *HeldError
	if !errors.As(err, &held) || held.Waits() || !held.Has(HeldByTotal) {
		t.Errorf("a stale reason: %v", err)
	}
	w.bill("2026-08")
	w.mustApprove("bob because")
	if _, err := w.close("2026-08", ""); err != nil {
		t.Fatal(err)
	}
	if m := w.current("2026-08"); m.Accepted != "because" || m.Approval == nil || m.Approval.By != "bob" {
		t.Errorf("accepted %q, approval %+v", m.Accepted, m.Approval)
	}
	listed, err := w.env.Approvals(t.Context(), mustMonth(t, "2026-08"))
	if err != nil || listed.State != "closed" || !listed.Approvals[2].Stands || listed.Approvals[1].Stands {
		t.Errorf("of the closed month: %+v, %v", listed, err)
	}
}

// TestApproveAtOnce: of several who approve at the same time nobody is lost.
func TestApproveAtOnce(t *testing.T) {
	t.Parallel()
	w := newReviewed(t)
	w.bill("2026-08")
	people := []string{"ann", "bob", "cleo", "dan", "ann", "bob"}
	var group sync.WaitGroup
	for _, name := range people {
		group.Go(func() {
			for {
				_, err := w.approve(name)
				if errors.Is(err, bucket.ErrLocked) {
					continue // says calends, and to try again
				}
				if err != nil {
					t.Errorf("%s: %v", name, err)
				}
				return
			}
		})
	}
	group.Wait()
	result, err := w.env.Approvals(t.Context(), mustMonth(t, "2026-08"))
	if err != nil {
		t.Fatal(err)
	}
	var by []string
	for i, a := range result.Approvals {
		if a.Number != i+1 {
			t.Errorf("approval %d has number %d", i+1, a.Number)
		}
		by = append(by, a.By)
	}
	if slices.Sort(by); strings.Join(by, " ") != "ann bob cleo dan" {
		t.Errorf("approved by %v", by)
	}
}

// TestApprovalIsNotOverwritten: whoever lost the lock on the way meets what another
// has said under the number.
func TestApprovalIsNotOverwritten(t *testing.T) {
	t.Parallel()
	w := newReviewed(t)
	w.bill("2026-08")
	alone := w.env
	w.env.Bucket = &overtakenBucket{Bucket: alone.Bucket, prefix: "approvals/", first: func() {
		if err := alone.ledger().PutApproval(context.Background(), mustMonth(t, "2026-08"), ledger.Approval{Month: "2026-08", Number: 1, By: "bob"}); err != nil {
			t.Error(err)
		}
	}}
	if _, err := w.approve("ann"); !errors.Is(err, bucket.ErrConflict) {
		t.Errorf("got %v, want a conflict", err)
	}
	if result, err := alone.Approvals(t.Context(), mustMonth(t, "2026-08")); err != nil || len(result.Approvals) != 1 || result.Approvals[0].By != "bob" {
		t.Errorf("%+v, %v", result, err)
	}
}

// overtakenBucket lets somebody else write right before the first object of a prefix.
type overtakenBucket struct {
	bucket.Bucket
	prefix string
	first  func()
	once   sync.Once
}

func (b *overtakenBucket) Create(ctx context.Context, key string) (bucket.Writer, error) {
	if strings.HasPrefix(key, b.prefix) {
		b.once.Do(b.first)
	}
	return b.Bucket.Create(ctx, key)
}

// TestApprovedCloseIsFinished: a close that dies at any of its writes and runs again
// leaves what an undisturbed one does, to the byte.
func TestApprovedCloseIsFinished(t *testing.T) {
	t.Parallel()
	w := newReviewed(t)
	w.env.Closing.Approval, w.env.Workers, w.env.Formats = true, 1, CSV|Parquet
	w.bill("2026-08")
	w.mustApprove("ann because")
	before := contents(t.Context(), t, w.env.Bucket)
	again := func() Env {
		env := w.env
		env.Bucket = bucket.NewMemory()
		for _, key := range slices.Sorted(maps.Keys(before)) {
			put(t, env.Bucket, key, []byte(before[key]))
		}
		return env
	}
	month := mustMonth(t, "2026-08")
	env := again()
	if _, err := env.Close(t.Context(), month, ""); err != nil {
		t.Fatal(err)
	}
	want := contents(t.Context(), t, env.Bucket)
	died := 0
	for writes := int64(0); ; writes++ {
		env := again()
		whole := env.Bucket
		left := new(atomic.Int64)
		left.Store(writes)
		env.Bucket = mortalBucket{whole, left}
		_, err := env.Close(t.Context(), month, "")
		if err == nil {
			break
		}
		died++
		env.Bucket = whole
		if _, err := env.Close(t.Context(), month, ""); err != nil {
			t.Fatalf("after a death at write %d: %v", writes, err)
		}
		if got := contents(t.Context(), t, whole); !maps.Equal(got, want) {
			t.Errorf("after a death at write %d other objects are there: %d, want %d", writes, len(got), len(want))
		}
	}
	if died < 5 {
		t.Errorf("the close died %d times only", died)
	}
}

// TestVerifyKnowsApprovals: approvals are calends' own; what is wrong with them is
// named, and a copy puts the one back by which a month was closed.
func TestVerifyKnowsApprovals(t *testing.T) {
	t.Parallel()
	w := newReviewed(t)
	w.bill("2026-08")
	w.mustApprove("ann")
	w.mustApprove("bob")
	if _, err := w.close("2026-08", ""); err != nil {
		t.Fatal(err)
	}
	verify := func() VerifyResult {
		t.Helper()
		result, err := w.env.Verify(t.Context(), VerifyPlan{})
		if err != nil {
			t.Fatal(err)
		}
		return result
	}
	if r := verify(); len(r.Findings)+len(r.Notices)+len(r.Leftovers) > 0 {
		t.Errorf("an approved month: %+v %+v %v", r.Findings, r.Notices, r.Leftovers)
	}
	if r, err := w.env.GC(t.Context(), GCPlan{OlderThan: MinimumAge, Drafts: true, Now: time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC)}); err != nil || slices.ContainsFunc(r.Removed, func(r Removal) bool { return strings.HasPrefix(r.Key, "approvals/") }) {
		t.Errorf("gc: %+v, %v", r, err)
	}
	month := mustMonth(t, "2026-08")
	first, second := ledger.ApprovalKeyOf(month, 1), ledger.ApprovalKeyOf(month, 2)
	kept := map[string][]byte{first: get(t, w.env.Bucket, first), second: get(t, w.env.Bucket, second)}
	copies := t.TempDir()
	if err := os.WriteFile(filepath.Join(copies, "copy.json"), kept[second], 0o600); err != nil {
		t.Fatal(err)
	}
	edited := []byte(strings.Replace(string(kept[second]), "bob", "eve", 1))
	for _, tt := range []struct {
		name, key string
		content   []byte // nil: the object is gone
		findings  []FindingKind
		mended    bool // by the copy of the second
	}{
		{"the first is gone", first, nil, []FindingKind{WrongBooks}, false},
		{"the first says nothing", first, []byte("{"), []FindingKind{UnreadableObject}, false},
		{"the first is another's", first, kept[second], []FindingKind{UnreadableObject}, false},
		{"that of the close is gone", second, nil, []FindingKind{MissingObject}, true},
		{"that of the close is edited", second, edited, []FindingKind{WrongHash}, true},
	} {
		if err := w.env.Bucket.Delete(t.Context(), tt.key); err != nil {
			t.Fatal(err)
		}
		if tt.content != nil {
			put(t, w.env.Bucket, tt.key, tt.content)
		}
		var kinds []FindingKind
		for _, f := range verify().Findings {
			kinds = append(kinds, f.Kind)
		}
		if !slices.Equal(kinds, tt.findings) {
			t.Errorf("%s: found %v, want %v", tt.name, kinds, tt.findings)
		}
		without, err := w.env.Repair(t.Context(), RepairPlan{DryRun: true})
		if err != nil || len(without.Left) != 1 || without.Left[0].Advice == "" {
			t.Errorf("%s: repair without a copy: %+v, %v", tt.name, without, err)
		}
		with, err := w.env.Repair(t.Context(), RepairPlan{From: []string{copies}})
		if err != nil || tt.mended != (len(with.Left) == 0 && with.Faults == 0) {
			t.Errorf("%s: repair with a copy: %+v, %v", tt.name, with, err)
		}
		if !tt.mended {
			if err := w.env.Bucket.Delete(t.Context(), tt.key); err != nil {
				t.Fatal(err)
			}
			put(t, w.env.Bucket, tt.key, kept[tt.key])
		}
	}
	if r := verify(); len(r.Findings) > 0 {
		t.Errorf("mended: %+v", r.Findings)
	}
}

// TestStatusTellsApprovals: who approved what, and what holds the next month.
func TestStatusTellsApprovals(t *testing.T) {
	t.Parallel()
	w := newReviewed(t)
	w.env.Closing = Closing{Approval: true, Bounds: bounds(t, "totalPercent: 50")}
	w.bill("2026-08")
	w.bill("2026-09")
	status := func() string {
		t.Helper()
		result, err := w.env.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var words []string
		for _, m := range result.Months {
			word := m.Month + " by " + strings.Join(m.ApprovedBy, ", ")
			for _, h := range m.Holds {
				word += " " + string(h.Code)
			}
			words = append(words, word)
		}
		return strings.Join(words, "; ")
	}
	if got, want := status(), "2026-07 by ; 2026-08 by  total approval; 2026-09 by "; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	w.mustApprove("ann")
	w.mustApprove("ann because")
	w.mustApprove("bob")
	if got, want := status(), "2026-07 by ; 2026-08 by ann, bob; 2026-09 by "; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if _, err := w.close("2026-08", ""); err != nil {
		t.Fatal(err)
	}
	if got, want := status(), "2026-07 by ; 2026-08 by bob; 2026-09 by  not-over approval"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
