package twin

import (
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestRandomIsDeterministic(t *testing.T) {
	for seed := range uint64(5) {
		if !reflect.DeepEqual(Random(seed, 8), Random(seed, 8)) {
			t.Fatalf("seed %d gives two lives", seed)
		}
	}
}

// TestLivesReachEverything lives many small lives and asks that every charge
// type, every code and every kind of step comes up: a generator that cannot reach
// a rule cannot test it.
func TestLivesReachEverything(t *testing.T) {
	types, codes := map[string]int{}, map[string]int{}
	mirrors, late, notes, lines := 0, 0, 0, 0
	for seed := range uint64(150) {
		for _, o := range Run(Random(seed, 10)) {
			if o.Err != nil {
				t.Fatalf("seed %d: %v", seed, o.Err)
			}
			if len(o.Refused) > 0 {
				codes["charges of a closed month refused"]++
			}
			for _, rows := range o.Result.Partners {
				for _, r := range rows {
					lines++
					types[r["ChargeType"]]++
					switch {
					case r["CreditReasonCode"] == "Correction":
						mirrors++
					case !strings.HasPrefix(r["OrderDate"], o.Result.Month.String()):
						late++
					}
					if strings.Contains(r["PriceAdjustmentDescription"], "decided later") {
						notes++
					}
				}
			}
			for _, e := range o.Result.Exceptions {
				codes[e.Severity+" "+e.Code]++
			}
		}
	}
	t.Logf("lines %d, mirrors %d, late %d, overridden later %d\n%v\n%v", lines, mirrors, late, notes, types, codes)
	for _, want := range []string{
		"new", "cycleCharge", "renew", "addQuantity", "removeQuantity", "cancelImmediate", "convert", "moveQuantity", "changeBillingPlan", "customerCredit",
	} {
		if types[want] == 0 {
			t.Errorf("no line of type %s", want)
		}
	}
	for _, want := range []string{
		"error PRICE_NOT_FOUND", "error PRICE_AMBIGUOUS", "warning PRICE_LIST_STALE", "warning PROMOTION_NOT_APPLIED", "error FX_RATE_NOT_FOUND",
		"error CURRENCY_MISMATCH", "error CANCEL_WINDOW_CLOSED", "warning CANCEL_WINDOW_CLOSED", "error SEAT_WINDOW_CLOSED", "warning SEAT_WINDOW_CLOSED",
		"error UPGRADE_NOT_ELIGIBLE", "error PLAN_CHANGE_NOT_ALLOWED", "error TERM_END_NOT_ALLOWED", "error UNKNOWN_CUSTOMER", "error UNKNOWN_PARTNER",
		"error UNKNOWN_SUBSCRIPTION", "error SUBSCRIPTION_NOT_ACTIVE", "error CONFLICTING_CHANGE", "error INVALID_CHANGE", "charges of a closed month refused",
	} {
		if codes[want] == 0 {
			t.Errorf("never: %s", want)
		}
	}
	if mirrors == 0 || late == 0 || notes == 0 {
		t.Error("no corrections, late lines or later overrides")
	}
}

func TestWriteFiles(t *testing.T) {
	dir := t.TempDir()
	life := Random(3, 6)
	files, err := life.WriteFiles(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != len(life.Steps) {
		t.Fatalf("%d steps, %d folders", len(life.Steps), len(files))
	}
	entries, err := os.ReadDir(files[0].Inputs)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	for _, want := range []string{"partners.csv", "customers.csv", "fxrates.csv", "promotions.json"} {
		if !slices.Contains(names, want) {
			t.Errorf("no %s among %v", want, names)
		}
	}
	for i, step := range life.Steps {
		for j, f := range step.Inputs.Charges {
			data, err := os.ReadFile(files[i].Charges[j].Path)
			if err != nil {
				t.Fatal(err)
			}
			rows, problems := readRows(data)
			if len(problems) > 0 || !sameRows(rows, f.Rows) {
				t.Errorf("%s does not read back: %v", filepath.Base(files[i].Charges[j].Path), problems)
			}
		}
	}
}

func TestChangeJSONKeepsContent(t *testing.T) {
	for _, step := range Random(4, 6).Steps {
		for _, c := range step.Inputs.Changes {
			other := c
			other.KeyOrder++
			if content(c) != content(other) {
				t.Fatalf("the order of keys is content: %s", c.JSON())
			}
			if len(c.JSON()) != len(other.JSON()) {
				t.Fatalf("%s\n%s", c.JSON(), other.JSON())
			}
		}
	}
}

// TestBooksBalance is the invariant of section 12: what was issued, corrections
// included, is what the whole history wants.
func TestBooksBalance(t *testing.T) {
	for seed := range uint64(60) {
		life := Random(seed, 8)
		books := NewBooks()
		for _, step := range life.Steps {
			if o := books.Do(step); o.Err != nil {
				t.Fatal(o.Err)
			}
		}
		next := books.last + 1
		if _, err := books.Close(next); err != nil {
			t.Fatal(err)
		}
		if again := books.Bill(next + 1); len(again.Partners) > 0 {
			for partner, rows := range again.Partners {
				for _, r := range rows {
					if r["OrderDate"] < (next + 1).First().String() {
						t.Errorf("seed %d: %s is still not settled: %v", seed, partner, describe(r))
					}
				}
			}
		}
		live := map[string]int{}
		for _, c := range books.closed {
			for _, l := range c.lines {
				if l.live {
					live[l.content]++
				}
			}
		}
		books.compute(next)
		wanted := map[string]int{}
		for customer := range books.standing {
			for _, l := range books.walkCustomer(customer, next.Last()).lines {
				if l.month >= books.first {
					wanted[l.row.content()]++
				}
			}
		}
		if !maps.Equal(live, wanted) {
			t.Errorf("seed %d: %d live lines, %d wanted", seed, len(live), len(wanted))
		}
	}
}
