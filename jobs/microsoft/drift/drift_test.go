package drift_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/calends/calends/jobs/microsoft/drift"
	"github.com/calends/calends/pipeline/change"
	"github.com/calends/calends/pipeline/subscription"
	"github.com/calends/calends/pricing"
)

// Both sides have, unless a row says otherwise: ten seats of A/0001 since 15 September
// 2026 09:30, a year billed monthly, auto-renew on, nothing scheduled.
var start = instant("2026-09-15T09:30:00Z")

// The snapshot is of the morning of 20 October.
var snapshotAt = instant("2026-10-20T06:00:00Z")

func instant(s string) pricing.Instant {
	at, err := pricing.ParseInstant(s)
	if err != nil {
		panic(err)
	}
	return at
}

func date(s string) pricing.Date {
	day, err := pricing.ParseDate(s)
	if err != nil {
		panic(err)
	}
	return day
}

func ptr[T any](v T) *T { return &v }

func ours() subscription.View {
	return subscription.View{
		Term: &subscription.Term{SubscriptionID: "S1", SKU: pricing.SKU{ProductID: "A", SkuID: "0001"},
			Span: pricing.FullTerm(pricing.P1Y, start.Date(), pricing.Clamp), Plan: pricing.Monthly},
		Quantity: 10, AutoRenew: true, Start: start, Layers: []subscription.Layer{{Seats: 10, Added: start}},
	}
}

func theirs() drift.Theirs {
	return drift.Theirs{
		ID: "S1", Status: drift.Active, Word: "active", SKU: pricing.SKU{ProductID: "A", SkuID: "0001"}, Term: pricing.P1Y, Plan: pricing.Monthly,
		Quantity: ptr(int64(10)), AutoRenew: ptr(true), Created: start, Start: start, CommitmentEnd: date("2027-09-14"),
	}
}

// lot is a number of seats by when they came.
func lot(seats int64, added string) drift.Lot {
	return drift.Lot{Seats: seats, Until: instant(added) + 168*pricing.Hour}
}

// print is a finding as a row of a table tells it.
func print(f drift.Finding) string {
	text := fmt.Sprintf("%s: %s, theirs %s", f.Field, f.Ours, f.Theirs)
	for _, c := range f.Changes {
		text += "; " + strings.TrimPrefix(string(c.Type), "subscription.")
		if c.Quantity != nil {
			text += fmt.Sprintf(" x%d", *c.Quantity)
		}
		if c.TermDuration != "" {
			text += fmt.Sprintf(" %s/%s %s %s", c.SKU.ProductID, c.SKU.SkuID, c.TermDuration, c.BillingCycle)
		}
		if c.CustomTermEnd != pricing.NoDate {
			text += " to " + c.CustomTermEnd.String()
		}
		if c.AutoRenew != nil {
			text += fmt.Sprintf(" autorenew %t", *c.AutoRenew)
		}
		if c.NextTerm != nil && c.NextTerm.Quantity != nil {
			text += fmt.Sprintf(" next x%d", *c.NextTerm.Quantity)
		}
		text += " at " + c.At.String()
	}
	if len(f.Changes) == 0 {
		text += ": " + f.Reason
	}
	return text
}

func next(quantity int64) *change.NextTerm {
	return &change.NextTerm{Quantity: ptr(quantity), CustomTermEnd: pricing.NoDate}
}

func TestCompare(t *testing.T) {
	t.Parallel()
	type both struct {
		o *subscription.View
		t *drift.Theirs
	}
	for _, tt := range []struct {
		name string
		set  func(b both)
		want string // "" for no finding
	}{
		{"the same", func(both) {}, ""},
		{"ids in another case", func(b both) { b.t.ID = "s1" }, ""},
		{"what is not said is not compared", func(b both) { *b.t = drift.Theirs{ID: "S1", Status: drift.Active, CommitmentEnd: pricing.NoDate} }, ""},
		{"a status that means nothing", func(b both) { *b.t = drift.Theirs{ID: "S1", Word: "pending", CommitmentEnd: pricing.NoDate} }, ""},
		{"ended on both sides", func(b both) { b.o.Ended = true; b.t.Status, b.t.Word = drift.Ended, "deleted" }, ""},

		{"suspended there", func(b both) { b.t.Status, b.t.Word = drift.Suspended, "suspended" }, "status: active, theirs suspended: a snapshot does not say when that happened"},
		{"suspended here", func(b both) { b.o.Suspended = true }, "status: suspended, theirs active: a snapshot does not say when that happened"},
		{"deleted there", func(b both) { b.t.Status, b.t.Word = drift.Ended, "deleted" }, "status: active, theirs deleted: a snapshot does not say when it ended"},
		{"ended here", func(b both) { b.o.Ended = true }, "status: ended on 2027-09-14, theirs active: nothing says when it came back, or that the change which ended it was wrong"},
		{"expired there, renewed here", func(b both) {
			b.o.Term.Span = pricing.FullTerm(pricing.P1Y, date("2026-10-15"), pricing.Clamp)
			b.t.Status, b.t.Word, b.t.AutoRenew, b.t.CommitmentEnd = drift.Ended, "expired", ptr(false), date("2026-10-14")
		}, "status: active, theirs expired; renewalChanged autorenew false at 2026-10-14T00:00:00Z"},
		{"disabled since, renewed here", func(b both) {
			b.o.Term.Span = pricing.FullTerm(pricing.P1Y, date("2026-08-15"), pricing.Clamp)
			b.t.Status, b.t.Word, b.t.AutoRenew, b.t.CommitmentEnd = drift.Ended, "disabled", ptr(false), date("2026-08-14")
		}, "status: active, theirs disabled; renewalChanged autorenew false at 2026-08-14T00:00:00Z"},
		{"deleted, with auto-renew off", func(b both) {
			b.o.Term.Span = pricing.FullTerm(pricing.P1Y, date("2026-08-15"), pricing.Clamp)
			b.t.Status, b.t.Word, b.t.AutoRenew, b.t.CommitmentEnd = drift.Ended, "deleted", ptr(false), date("2026-08-14")
		}, "status: active, theirs deleted: a snapshot does not say when it ended"},
		{"expired there, with auto-renew on", func(b both) {
			b.o.Term.Span = pricing.FullTerm(pricing.P1Y, date("2026-10-15"), pricing.Clamp)
			b.t.Status, b.t.Word, b.t.CommitmentEnd = drift.Ended, "expired", date("2026-10-14")
		}, "status: active, theirs expired: a snapshot does not say when it ended"},

		{"another product", func(b both) { b.t.SKU.ProductID = "B" }, "product: A/0001, theirs B/0001: a snapshot does not say when it was upgraded, or which seats moved"},
		{"another term", func(b both) { b.t.Term = pricing.P3Y }, "termDuration: P1Y, theirs P3Y: a snapshot does not say when it changed"},
		{"another plan", func(b both) { b.t.Plan = pricing.Annual }, "billingCycle: Monthly, theirs Annual: a snapshot does not say when it changed"},
		{"a trial there", func(b both) { b.t.Trial = true }, "termDuration: paid, theirs trial: a snapshot does not say when the trial was converted"},
		{"another end", func(b both) { b.t.CommitmentEnd = date("2027-09-30") }, "commitmentEnd: 2027-09-14, theirs 2027-09-30: the terms are not the same: a renewal, an upgrade or a custom end is missing on one side"},

		{"fewer seats", func(b both) { b.t.Quantity = ptr(int64(8)) }, "quantity: 10, theirs 8: a snapshot does not say when seats went"},
		{"more seats, without a window", func(b both) { b.t.Quantity = ptr(int64(12)) }, "quantity: 10, theirs 12: the windows of its seats do not tell when these came"},
		{"more seats, each dated", func(b both) {
			b.t.Quantity = ptr(int64(15))
			b.t.Refundable = []drift.Lot{lot(3, "2026-10-18T08:00:00Z"), lot(2, "2026-10-14T08:00:00Z")}
		}, "quantity: 10, theirs 15; quantityChanged x12 at 2026-10-14T08:00:00Z; quantityChanged x15 at 2026-10-18T08:00:00Z"},
		{"more seats, the newest of the lots", func(b both) {
			b.o.Layers = append(b.o.Layers, subscription.Layer{Seats: 4, Added: instant("2026-10-13T00:00:00Z")})
			b.o.Quantity = 14
			b.t.Quantity = ptr(int64(16))
			b.t.Refundable = []drift.Lot{lot(4, "2026-10-13T00:00:00Z"), lot(2, "2026-10-18T08:00:00Z")}
		}, "quantity: 14, theirs 16; quantityChanged x16 at 2026-10-18T08:00:00Z"},
		{"more seats than the windows have", func(b both) {
			b.t.Quantity = ptr(int64(15))
			b.t.Refundable = []drift.Lot{lot(3, "2026-10-18T08:00:00Z")}
		}, "quantity: 10, theirs 15: the windows of its seats do not tell when these came"},
		{"a lot that is only partly missing", func(b both) {
			b.t.Quantity = ptr(int64(12))
			b.t.Refundable = []drift.Lot{lot(3, "2026-10-18T08:00:00Z")}
		}, "quantity: 10, theirs 12: the windows of its seats do not tell when these came"},
		{"a lot before seats that are known", func(b both) {
			b.o.Layers = append(b.o.Layers, subscription.Layer{Seats: 0, Added: instant("2026-10-19T00:00:00Z")})
			b.t.Quantity = ptr(int64(12))
			b.t.Refundable = []drift.Lot{lot(2, "2026-10-18T08:00:00Z")}
		}, "quantity: 10, theirs 12: the windows of its seats do not tell when these came"},
		{"a lot from the future", func(b both) {
			b.t.Quantity = ptr(int64(12))
			b.t.Refundable = []drift.Lot{lot(2, "2026-10-21T08:00:00Z")}
		}, "quantity: 10, theirs 12: the windows of its seats do not tell when these came"},

		{"auto-renew off there", func(b both) { b.t.AutoRenew = ptr(false) }, "autoRenewEnabled: true, theirs false; renewalChanged autorenew false at 2026-10-20T06:00:00Z"},
		{"auto-renew off, and the term is not the same", func(b both) { b.t.AutoRenew, b.t.CommitmentEnd = ptr(false), date("2027-09-30") },
			"commitmentEnd: 2027-09-14, theirs 2027-09-30: the terms are not the same: a renewal, an upgrade or a custom end is missing on one side\n" +
				"autoRenewEnabled: true, theirs false: the term does not end on the same day on both sides"},
		{"auto-renew off, suspended", func(b both) {
			b.o.Suspended, b.t.Status, b.t.Word, b.t.AutoRenew = true, drift.Suspended, "suspended", ptr(false)
		}, "autoRenewEnabled: true, theirs false: it is not active on both sides"},

		{"scheduled there", func(b both) { b.t.Next = next(20) }, "scheduledNextTerm: none, theirs 20; nextTermScheduled next x20 at 2026-10-20T06:00:00Z"},
		{"scheduled here", func(b both) { b.o.Next = next(20) }, "scheduledNextTerm: 20, theirs none; nextTermCleared at 2026-10-20T06:00:00Z"},
		{"scheduled otherwise", func(b both) { b.o.Next, b.t.Next = next(20), next(21) }, "scheduledNextTerm: 20, theirs 21; nextTermScheduled next x21 at 2026-10-20T06:00:00Z"},
		{"scheduled what is there anyway", func(b both) {
			b.t.Next = &change.NextTerm{SKU: b.t.SKU, TermDuration: "P1Y", BillingCycle: "monthly", Quantity: ptr(int64(10)), AvailabilityID: "X", CustomTermEnd: pricing.NoDate}
		}, ""},
		{"scheduled, in more words than here", func(b both) {
			b.o.Next = next(20)
			b.t.Next = &change.NextTerm{SKU: b.t.SKU, TermDuration: "P1Y", BillingCycle: "Monthly", Quantity: ptr(int64(20)), CustomTermEnd: pricing.NoDate}
		}, ""},
		{"scheduled for a term that does not come", func(b both) { b.o.AutoRenew, b.t.AutoRenew, b.t.Next = false, ptr(false), next(20) }, ""},
		{"auto-renew on, and scheduled", func(b both) { b.o.AutoRenew, b.t.Next = false, next(20) },
			"autoRenewEnabled: false, theirs true; renewalChanged autorenew true at 2026-10-20T06:00:00Z\n" +
				"scheduledNextTerm: none, theirs 20; nextTermScheduled next x20 at 2026-10-20T06:00:00Z"},
		{"a trial that will be paid there", func(b both) {
			b.o.Term.Span, b.t.Trial = pricing.TrialTerm(pricing.P1Y, date("2026-10-01")), true
			b.t.CommitmentEnd, b.t.Next = date("2026-10-31"), &change.NextTerm{TermDuration: "P1Y", CustomTermEnd: pricing.NoDate}
		}, "scheduledNextTerm: none, theirs P1Y; nextTermScheduled at 2026-10-20T06:00:00Z"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o, other := ours(), theirs()
			tt.set(both{&o, &other})
			findings := drift.Compare(drift.Customer{Ours: drift.Ours{CustomerID: "C", Subscriptions: []subscription.View{o}}, Theirs: []drift.Theirs{other}, At: snapshotAt})
			var got []string
			for _, f := range findings {
				if f.CustomerID != "C" || f.SubscriptionID != "S1" {
					t.Errorf("finding of %s/%s, want our spelling C/S1", f.CustomerID, f.SubscriptionID)
				}
				got = append(got, print(f))
			}
			if text := strings.Join(got, "\n"); text != tt.want {
				t.Errorf("got\n%s\nwant\n%s", text, tt.want)
			}
		})
	}
}

// A subscription that one side only has.
func TestCompareOneSide(t *testing.T) {
	t.Parallel()
	newOne := func(set func(*drift.Theirs)) drift.Customer {
		t := theirs()
		t.Start = instant("2026-10-16T09:30:00Z")
		t.Created, t.CommitmentEnd, t.Refundable = t.Start, date("2027-10-15"), []drift.Lot{lot(10, "2026-10-16T09:30:00Z")}
		set(&t)
		return drift.Customer{Ours: drift.Ours{CustomerID: "C"}, Theirs: []drift.Theirs{t}, At: snapshotAt}
	}
	for _, tt := range []struct {
		name string
		set  func(*drift.Theirs)
		want string
	}{
		{"bought, all seats in their window", func(*drift.Theirs) {}, "purchased x10 A/0001 P1Y Monthly autorenew true at 2026-10-16T09:30:00Z"},
		{"bought, aligned", func(t *drift.Theirs) { t.CommitmentEnd = date("2027-06-30") }, "purchased x10 A/0001 P1Y Monthly to 2027-06-30 autorenew true at 2026-10-16T09:30:00Z"},
		{"bought, then more seats", func(t *drift.Theirs) {
			t.Refundable = []drift.Lot{lot(4, "2026-10-18T10:00:00Z"), lot(6, "2026-10-16T09:30:00Z")}
		}, "purchased x6 A/0001 P1Y Monthly autorenew true at 2026-10-16T09:30:00Z; quantityChanged x10 at 2026-10-18T10:00:00Z"},
		{"bought and scheduled", func(t *drift.Theirs) { t.Next = next(20) },
			"purchased x10 A/0001 P1Y Monthly autorenew true at 2026-10-16T09:30:00Z; nextTermScheduled next x20 at 2026-10-20T06:00:00Z"},
		{"a trial", func(t *drift.Theirs) {
			t.Trial, t.CommitmentEnd, t.Refundable = true, date("2026-11-15"), nil
		}, "purchased x10 A/0001 P1Y Monthly autorenew true at 2026-10-16T09:30:00Z"},

		{"seats without windows", func(t *drift.Theirs) { t.Refundable = nil }, "the windows of 0 of 10 seats are said: how many it began with is not"},
		{"seats that came later than it began", func(t *drift.Theirs) { t.Refundable = []drift.Lot{lot(10, "2026-10-18T09:30:00Z")} }, "the first of its seats did not come on the day of its start"},
		{"renewed", func(t *drift.Theirs) { t.CommitmentEnd = date("2028-10-15") }, "it has renewed since it began: its history and its locked price are not said"},
		{"dated back", func(t *drift.Theirs) { t.Created = instant("2026-10-18T00:00:00Z") }, "it was created on 2026-10-18 and took effect on 2026-10-16: it was moved or dated back"},
		{"no start", func(t *drift.Theirs) { t.Start = 0 }, "its start or its end is not said"},
		{"no product", func(t *drift.Theirs) { t.SKU = pricing.SKU{} }, "its product or its quantity is not said"},
		{"a term billed in a way that is none", func(t *drift.Theirs) { t.Plan = pricing.Triennial }, "its term and its billing cycle are not said, or do not go together"},
		{"an end before the start", func(t *drift.Theirs) { t.CommitmentEnd = date("2026-10-15") }, "its start and its end do not go together"},
		{"suspended", func(t *drift.Theirs) { t.Status, t.Word = drift.Suspended, "suspended" }, "it is not active, and nothing says since when"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			findings := drift.Compare(newOne(tt.set))
			if len(findings) != 1 || findings[0].Field != drift.FieldSubscription || findings[0].Ours != "none" {
				t.Fatalf("findings %+v, want one of a subscription", findings)
			}
			_, got, _ := strings.Cut(print(findings[0]), "; ")
			if len(findings[0].Changes) == 0 {
				got = findings[0].Reason
			}
			if got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}

	for _, tt := range []struct {
		name string
		c    drift.Customer
		want string
	}{
		{"nobody has one", drift.Customer{}, ""},
		{"only ours", drift.Customer{Ours: drift.Ours{Subscriptions: []subscription.View{ours()}}}, "subscription: active, theirs none: Microsoft does not list it"},
		{"only ours, ended", drift.Customer{Ours: drift.Ours{Subscriptions: []subscription.View{{Term: ours().Term, Ended: true}}}}, ""},
		{"only theirs, ended", newOne(func(t *drift.Theirs) { t.Status = drift.Ended }), ""},
		{"only theirs, billed elsewhere", newOne(func(t *drift.Theirs) { t.Elsewhere = true }), ""},
	} {
		findings := drift.Compare(tt.c)
		got := ""
		for _, f := range findings {
			got += print(f)
		}
		if got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
	}
	c := newOne(func(*drift.Theirs) {})
	c.Seen = func(id string) bool { return id == "S1" }
	findings := drift.Compare(c)
	if len(findings) != 1 || findings[0].Field != drift.FieldStatus || len(findings[0].Changes) > 0 {
		t.Errorf("ended before the close: %+v, want a status without a change", findings)
	}
}

// What the resource dates has one id in every snapshot; what the snapshot dates has
// its instant in it.
func TestIDs(t *testing.T) {
	t.Parallel()
	ids := func(at pricing.Instant) (ids []string) {
		other := theirs()
		other.Quantity, other.Refundable, other.AutoRenew = ptr(int64(12)), []drift.Lot{lot(2, "2026-10-18T08:00:00Z")}, ptr(false)
		for _, f := range drift.Compare(drift.Customer{Ours: drift.Ours{CustomerID: "C", Subscriptions: []subscription.View{ours()}}, Theirs: []drift.Theirs{other}, At: at}) {
			for _, c := range f.Changes {
				ids = append(ids, c.ID)
			}
		}
		return ids
	}
	first, second := ids(snapshotAt), ids(snapshotAt+pricing.Day)
	want := []string{"subscription:S1:quantity:2026-10-18T08:00:00Z", "snapshot:S1:autoRenewEnabled:2026-10-20T06:00:00Z"}
	if fmt.Sprint(first) != fmt.Sprint(want) {
		t.Errorf("ids %v, want %v", first, want)
	}
	if first[0] != second[0] || first[1] == second[1] {
		t.Errorf("a day later %v", second)
	}
}

func TestReport(t *testing.T) {
	t.Parallel()
	other := theirs()
	other.Word, other.Status, other.AutoRenew = "=cmd()", drift.Suspended, ptr(false)
	var out strings.Builder
	r, err := drift.NewReport(&out)
	if err != nil {
		t.Fatal(err)
	}
	o := ours()
	if err := r.Add(drift.Compare(drift.Customer{Ours: drift.Ours{CustomerID: "C", Subscriptions: []subscription.View{o}}, Theirs: []drift.Theirs{other}, At: snapshotAt})); err != nil {
		t.Fatal(err)
	}
	other = theirs()
	other.AutoRenew = ptr(false)
	if err := r.Add(drift.Compare(drift.Customer{Ours: drift.Ours{CustomerID: "D", Subscriptions: []subscription.View{o}}, Theirs: []drift.Theirs{other}, At: snapshotAt})); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	want := `CustomerId,SubscriptionId,Field,Ours,Theirs,ProposedChange,ChangeId,ChangeTime,Reason
C,S1,status,active,'=cmd(),,,,a snapshot does not say when that happened
C,S1,autoRenewEnabled,true,false,,,,it is not active on both sides
D,S1,autoRenewEnabled,true,false,subscription.renewalChanged,snapshot:S1:autoRenewEnabled:2026-10-20T06:00:00Z,2026-10-20T06:00:00Z,dated at the snapshot: before the term's end no amount depends on it
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}
