package jobs

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/calends/calends/jobs/microsoft"
	"github.com/calends/calends/jobs/microsoft/drift"
	"github.com/calends/calends/pipeline/change"
	"github.com/calends/calends/pipeline/subscription"
	"github.com/calends/calends/pricing"
)

// mirror is what Microsoft would say if it believed the same.
func mirror(v subscription.View) drift.Theirs {
	t := drift.Theirs{
		ID: v.Term.SubscriptionID, Status: drift.Active, Word: "active", SKU: v.Term.SKU, Term: v.Term.Span.Term, Plan: v.Term.Plan,
		Trial: v.Term.Span.Trial, Quantity: &v.Quantity, AutoRenew: &v.AutoRenew, CommitmentEnd: v.Term.Span.End, Next: v.Next,
	}
	switch {
	case v.Ended:
		t.Status, t.Word = drift.Ended, "deleted"
	case v.Suspended:
		t.Status, t.Word = drift.Suspended, "suspended"
	}
	return t
}

// findings holds the ledger against Microsoft's side of it.
func findings(t *testing.T, env Env, at pricing.Instant, theirs func(customerID string, mirrored []drift.Theirs) []drift.Theirs) (found []drift.Finding) {
	t.Helper()
	for b, err := range env.Subscriptions(t.Context(), at.Date()) {
		if err != nil {
			t.Fatal(err)
		}
		var mirrored []drift.Theirs
		for _, v := range b.Subscriptions {
			mirrored = append(mirrored, mirror(v))
		}
		found = append(found, drift.Compare(drift.Customer{Ours: drift.Ours(b), Theirs: theirs(b.CustomerID, mirrored), At: at})...)
	}
	return found
}

func untouched(_ string, mirrored []drift.Theirs) []drift.Theirs { return mirrored }

// What a snapshot proves is taken in by the ordinary ingest, and then the ledger
// agrees; what it does not prove goes on being reported. Taking the same again
// changes nothing.
func TestDriftIsTakenIn(t *testing.T) {
	t.Parallel()
	env := demoEnv(t)
	at := testInstant(t, "2024-04-20T06:00:00Z")
	if found := findings(t, env, at, untouched); len(found) > 0 {
		t.Fatalf("the ledger differs from itself: %+v", found)
	}
	added := func(quantity int64, day string) drift.Lot {
		return drift.Lot{Seats: quantity, Until: testInstant(t, day) + 168*pricing.Hour}
	}
	off := false
	const bought = "00000000-1111-4222-8333-444444444444"
	// Microsoft's side, whatever the ledger takes in meanwhile.
	told := make(map[string][]drift.Theirs)
	findings(t, env, at, func(customerID string, mirrored []drift.Theirs) []drift.Theirs {
		for i := range mirrored {
			m := &mirrored[i]
			switch m.ID[:8] {
			case "ac85bab0":
				fresh := *m
				fresh.ID, fresh.Quantity, fresh.Next = bought, seats(7), nil
				fresh.Start = testInstant(t, "2024-04-16T10:00:00Z")
				fresh.Created, fresh.CommitmentEnd = fresh.Start, pricing.DateOf(2025, 4, 15)
				fresh.Refundable = []drift.Lot{added(5, "2024-04-16T10:00:00Z"), added(2, "2024-04-17T11:00:00Z")}
				m.Quantity, m.Refundable = seats(*m.Quantity+4), []drift.Lot{added(4, "2024-04-18T09:00:00Z")}
				mirrored = append(mirrored, fresh)
			case "74ed4072":
				m.AutoRenew = &off
			case "58fd3919":
				m.Next = &change.NextTerm{Quantity: seats(33), CustomTermEnd: pricing.NoDate}
			case "453b6024":
				m.Quantity = seats(*m.Quantity - 1)
			}
		}
		told[customerID] = mirrored
		return nil
	})
	again := func(customerID string, _ []drift.Theirs) []drift.Theirs { return told[customerID] }
	var changes []*change.Change
	for _, f := range findings(t, env, at, again) {
		changes = append(changes, f.Changes...)
	}
	if len(changes) != 5 {
		t.Fatalf("%d changes proposed, want 5: a purchase with two lots, seats, auto-renew and a schedule", len(changes))
	}
	file := filepath.Join(t.TempDir(), "snapshot.jsonl")
	var text strings.Builder
	if err := microsoft.WriteChanges(&text, changes); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	for run, want := range []string{"taken 5 had 0 refused 0", "taken 0 had 5 refused 0"} {
		r, err := env.Ingest(t.Context(), IngestPlan{Paths: []string{file}})
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprintf("taken %d had %d refused %d", r.Taken, r.Had, r.Refused); got != want {
			t.Errorf("run %d: %s, want %s", run+1, got, want)
		}
		found := findings(t, env, at, again)
		if len(found) != 1 || found[0].Field != drift.FieldQuantity || len(found[0].Changes) > 0 {
			t.Errorf("run %d leaves %+v, want the seat that went, without a change", run+1, found)
		}
	}
	bill, err := env.Bill(t.Context(), pricing.MonthOf(2024, 4), true)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range bill.Exceptions {
		for _, c := range changes {
			if x.EventID == c.ID {
				t.Errorf("a change that was proved is not billed: %+v", x)
			}
		}
	}
}

// A ledger whose ids are in capitals takes in what names them in small letters.
func TestSpelling(t *testing.T) {
	t.Parallel()
	env := demoEnv(t)
	day := pricing.DateOf(2024, 4, 20)
	const customer, capitals = "dd6c7dae-0000-4000-8000-00000000abcd", "DD6C7DAE-0000-4000-8000-00000000ABCD"
	folder := t.TempDir()
	for name, text := range map[string]string{
		"customers.csv": "CustomerId,CustomerName,CustomerDomainName,CustomerCountry,Segment,PartnerId,ResellerMpnId\n" + capitals + ",A,a.example,NL,Commercial,80f6fb73-3725-4404-a0ee-98ef768080f3,\n",
		"changes.jsonl": `{"specversion":"1.0","id":"1","source":"x","type":"subscription.purchased","time":"2024-04-02T00:00:00Z","subject":"S-One","data":{"customerId":"` + capitals + `","productId":"A","skuId":"1","termDuration":"P1Y","billingCycle":"Monthly","quantity":1}}` + "\n",
	} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := env.Ingest(t.Context(), IngestPlan{Paths: []string{folder}}); err != nil {
		t.Fatal(err)
	}
	ours, err := env.Spelling(t.Context(), day)
	if err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]string{customer: capitals, capitals: capitals, dairySubscription: dairySubscription, strings.ToUpper(dairySubscription): strings.ToUpper(dairySubscription), "new": "new", "s-one": "S-One"} {
		if got := ours(id); got != want {
			t.Errorf("%s is spelled %s, want %s", id, got, want)
		}
	}
	c := &change.Change{CustomerID: customer, Subject: "s", ParentID: "p"}
	microsoft.Spell([]*change.Change{c}, ours)
	if c.CustomerID != capitals || c.Subject != "s" || c.ParentID != "p" || c.ToSubscription != "" {
		t.Errorf("spelled %+v", c)
	}
}
