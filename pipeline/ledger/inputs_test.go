package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pipeline/ledger"
)

func TestInputs(t *testing.T) {
	t.Parallel()
	s := newStore()
	for range 11 {
		s.take(ledger.Rates, "")
	}
	got, err := s.Inputs(s.ctx)
	if err != nil {
		t.Fatal(err)
	}
	for i := range got {
		if got[i].Layout != ledger.Layout {
			t.Errorf("input %d has layout %d", got[i].Number, got[i].Layout)
		}
		got[i].Layout = 0 // the store enters it
	}
	if !slices.EqualFunc(got, s.inputs, func(a, b ledger.Input) bool { return fmt.Sprint(a) == fmt.Sprint(b) }) {
		t.Errorf("got %v, want %v", got, s.inputs)
	}
	if err := s.Append(s.ctx, s.inputs[3]); err != nil {
		t.Errorf("the same input again: %v", err)
	}
	other := s.inputs[3]
	other.Name = "other.csv"
	if err := s.Append(s.ctx, other); !errors.Is(err, bucket.ErrConflict) {
		t.Errorf("another input under a number that is taken: %v, want a conflict", err)
	}
}

func TestInputsRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, key, content, want string }{
		{"a gap", "ledger/inputs/00000003.json", `{"number": 3}`, "read ledger/inputs/00000003.json: input 3 where 2 should stand: the ledger has a gap"},
		{"a key that names another number", "ledger/inputs/00000002.json", `{"number": 7}`, "read ledger/inputs/00000002.json: input 7 where 2 should stand: the ledger has a gap"},
		{"a number of another width", "ledger/inputs/2.json", `{"number": 2}`, "read ledger/inputs/2.json: input 2 where 2 should stand: the ledger has a gap"},
		{"what is no JSON", "ledger/inputs/00000002.json", `{`, "read ledger/inputs/00000002.json: unexpected EOF"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newStore()
			s.take(ledger.Rates, "")
			if err := bucket.Put(s.ctx, s.Bucket, test.key, []byte(test.content)); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Inputs(s.ctx); err == nil || err.Error() != test.want {
				t.Errorf("error %v, want %s", err, test.want)
			}
			found := 0
			for f, err := range s.AuditInputs(s.ctx, 2) {
				if err != nil {
					t.Fatal(err)
				}
				if f.Err != nil || f.Key == test.key {
					found++
				}
			}
			if found != 1 {
				t.Errorf("an audit goes on and sees %d such records, want 1", found)
			}
		})
	}
}

func TestHistories(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		files [][]string
		want  string
	}{
		{"nothing", nil, ""},
		{"an empty file", [][]string{{}}, ""},
		{"by customer's bytes, time, id, whatever came when", [][]string{
			{"b 2023-06-02 e1 x", "B 2023-06-03 e1 x", "b 2023-06-01 e9 x"},
			{"a 2023-06-01 e1 x", "b 2023-06-01 e10 x", "B 2023-06-01 e2 x"},
		}, `
			B: e2=x e1=x
			a: e1=x
			b: e10=x e9=x e1=x`},
		{"the same content counts once", [][]string{{"a 2023-06-01 e1 x", "a 2023-06-01 e1 x"}, {"a 2023-06-01 e1 x"}}, `
			a: e1=x`},
		{"ids are looked up within the customer", [][]string{{"a 2023-06-01 e1 x", "b 2023-06-01 e1 y"}}, `
			a: e1=x
			b: e1=y`},

		{"of two contents the first that was taken in stands, by file", [][]string{{"a 2023-06-02 e1 x"}, {"a 2023-06-01 e1 y"}}, `
			a: e1=x !e1=y`},
		{"and by record", [][]string{{"a 2023-06-02 e1 x", "a 2023-06-01 e1 y"}}, `
			a: e1=x !e1=y`},
		{"each other content is reported once", [][]string{{"a 2023-06-01 e1 x", "a 2023-06-01 e1 y"}, {"a 2023-06-01 e1 y", "a 2023-06-01 e1 z"}, {"a 2023-06-01 e1 x"}}, `
			a: e1=x !e1=y !e1=z`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newStore()
			for _, file := range test.files {
				s.takeChanges(file...)
			}
			s.take(ledger.Rates, "") // another kind in between
			if got, want := s.histories(t), squeeze(test.want); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// Where the files are cut does not matter: one file of everything, or one for each change.
func TestHistoriesDoNotDependOnTheNumberOfRuns(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		one, many := newStore(), newStore()
		lines := drawLines(t, []string{"x", "y", "z"})
		one.takeChanges(lines...)
		for len(lines) > 0 {
			n := rapid.IntRange(0, len(lines)).Draw(t, "cut")
			many.takeChanges(lines[:n]...)
			lines = lines[n:]
		}
		if got, want := many.histories(t), one.histories(t); got != want {
			t.Fatalf("in %d files\n%s\nin one\n%s", len(many.inputs), got, want)
		}
	})
}

// With one content an id, neither order nor repetition matters.
func TestOrderSplitAndRepetitionChangeNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		first, then := newStore(), newStore()
		content := make(map[string]string) // by customer and id
		var lines []string
		for _, l := range drawLines(t, []string{"x"}) {
			c := told(l, 1)
			if known, ok := content[c.CustomerID+c.ID]; ok {
				l = known
			}
			content[c.CustomerID+c.ID] = l
			lines = append(lines, l)
		}
		first.takeChanges(lines...)
		lines = append(lines, lines[:rapid.IntRange(0, len(lines)).Draw(t, "again")]...)
		lines = rapid.Permutation(lines).Draw(t, "order")
		half := rapid.IntRange(0, len(lines)).Draw(t, "cut")
		then.takeChanges(lines[:half]...)
		then.takeChanges(lines[half:]...)
		if got, want := then.histories(t), first.histories(t); got != want {
			t.Fatalf("got\n%s\nwant\n%s", got, want)
		}
	})
}

func drawLines(t *rapid.T, contents []string) (lines []string) {
	for range rapid.IntRange(0, 20).Draw(t, "changes") {
		lines = append(lines, fmt.Sprintf("%s 2023-06-%02d e%d %s", rapid.SampledFrom([]string{"a", "b", "B"}).Draw(t, "customer"),
			rapid.IntRange(1, 4).Draw(t, "day"), rapid.IntRange(1, 4).Draw(t, "id"), rapid.SampledFrom(contents).Draw(t, "content")))
	}
	return lines
}

// A reader that has seen enough, or is stopped, leaves.
func TestHistoriesEnd(t *testing.T) {
	t.Parallel()
	s := newStore()
	s.takeChanges("a 2023-06-01 e1 x", "b 2023-06-01 e1 x", "c 2023-06-01 e1 x")
	for h, err := range s.each(s.ctx, s.inputs) {
		if err != nil || h.CustomerID != "a" {
			t.Errorf("first came customer %q, %v", h.CustomerID, err)
		}
		break
	}
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	var last error
	for _, err := range s.each(ctx, s.inputs) {
		last = err
		cancel()
	}
	if !errors.Is(last, context.Canceled) {
		t.Errorf("stopped: %v", last)
	}
	lost := s.inputs[0]
	lost.Objects = []ledger.Object{{Key: "ledger/data/lost.parquet"}}
	for _, err := range s.each(s.ctx, []ledger.Input{lost}) {
		if !errors.Is(err, bucket.ErrNotExist) {
			t.Errorf("a run that is not there: %v", err)
		}
	}
}

func TestSuperseding(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		take  func(*store) // the input, then later ones
		wants bool
	}{
		{"nothing came later", func(s *store) { s.takePartner("P", "EUR", "0") }, false},
		{"the same partner", func(s *store) { s.takePartner("P", "EUR", "0"); s.takePartner("P", "USD", "0") }, true},
		{"another partner", func(s *store) { s.takePartner("P", "EUR", "0"); s.takePartner("Q", "USD", "0") }, false},
		{"a customer of that id is no partner", func(s *store) { s.takePartner("P", "EUR", "0"); s.takeCustomer("P", "P", "DE") }, false},
		{"the same customer", func(s *store) { s.takeCustomer("C", "P", "DE"); s.takeCustomer("C", "Q", "DE") }, true},
		{"the same currency and month", func(s *store) { s.takeRate("EUR", "2023-06", "1.1"); s.takeRate("EUR", "2023-06", "1.2") }, true},
		{"another month's rate", func(s *store) { s.takeRate("EUR", "2023-06", "1.1"); s.takeRate("EUR", "2023-07", "1.2") }, false},
		{"the sheet of the market and month", func(s *store) {
			s.takePrices(ledger.Prices, "DE", "2023-06", "1")
			s.takePrices(ledger.Prices, "DE", "2023-06", "2")
		}, true},
		{"another market", func(s *store) {
			s.takePrices(ledger.Prices, "DE", "2023-06", "1")
			s.takePrices(ledger.Prices, "FR", "2023-06", "2")
		}, false},
		{"another month's sheet", func(s *store) {
			s.takePrices(ledger.Prices, "DE", "2023-06", "1")
			s.takePrices(ledger.Prices, "DE", "2023-07", "2")
		}, false},
		{"a software sheet is no licence sheet", func(s *store) {
			s.takePrices(ledger.Prices, "DE", "2023-06", "1")
			s.takePrices(ledger.Software, "DE", "2023-06", "2")
		}, false},
		{"the same promotion", func(s *store) { s.takePromotion("SUMMER"); s.takePromotion("SUMMER") }, true},
		{"another promotion", func(s *store) { s.takePromotion("SUMMER"); s.takePromotion("WINTER") }, false},
		{"the same offer", func(s *store) { s.takeOffer("A", 1); s.takeOffer("A", 2) }, true},
		{"another offer", func(s *store) { s.takeOffer("A", 1); s.takeOffer("B", 2) }, false},
		{"changes are never", func(s *store) { s.takeChanges("a 2023-06-01 e1 x"); s.takeChanges("a 2023-06-01 e1 x") }, false},
		{"nor are charges", func(s *store) { s.take(ledger.Charges, "2023-06"); s.take(ledger.Charges, "2023-06") }, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newStore()
			test.take(s)
			superseding, err := s.Superseding(s.ctx, s.inputs[0], s.inputs[1:])
			got := len(superseding) > 0
			if err != nil || got != test.wants {
				t.Errorf("%v, %v, want %v", got, err, test.wants)
			}
		})
	}
}
