package ledger_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pipeline/subscription"
	"github.com/calends/calends/pricing"
)

// leave writes an object that no manifest names.
func (s *store) leave(t *testing.T, key string) {
	t.Helper()
	if err := bucket.Put(s.ctx, s.Bucket, key, []byte("{}")); err != nil {
		t.Fatal(err)
	}
}

func (s *store) publish(t *testing.T, m string, revision int, state ledger.State) {
	t.Helper()
	if err := s.PutManifest(s.ctx, month(m), manifest(m, revision, state)); err != nil {
		t.Fatal(err)
	}
}

// The revision with the highest number that has a manifest is the current one.
func TestMonths(t *testing.T) {
	t.Parallel()
	s := newStore()
	s.publish(t, "2023-07", 2, ledger.Draft)
	s.publish(t, "2023-06", 1, ledger.Draft)
	s.publish(t, "2023-06", 9999, ledger.Draft)
	s.publish(t, "2023-06", 10000, ledger.Closed)
	s.leave(t, "invoices/month=2023-06/revision=10001/exceptions.csv")
	s.leave(t, "invoices/month=2023-08/revision=0001/exceptions.csv")
	s.leave(t, "invoices/month=2023-08/revision=0001/partner=P/manifest.json")
	s.leave(t, "invoices/month=2023-13/revision=0001/manifest.json")
	s.leave(t, "invoices/other/manifest.json")
	months, err := s.Months(s.ctx)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range months {
		got = append(got, fmt.Sprint(m.Month, " ", m.Current.Revision, " ", m.Current.State))
	}
	if want := "[2023-06 10000 closed 2023-07 2 draft]"; fmt.Sprint(got) != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for _, m := range months {
		alone, ok, err := s.Month(s.ctx, m.Month)
		if err != nil || !ok || fmt.Sprint(alone) != fmt.Sprint(m) {
			t.Errorf("%s alone: %v, %v, %v; want %v", m.Month, alone, ok, err, m)
		}
	}
	if m, ok, err := s.Month(s.ctx, month("2023-08")); ok || err != nil {
		t.Errorf("2023-08, without a manifest: %v, %v", m, err)
	}
}

func TestMonthsRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, content, want string }{
		{"a manifest of another month", `{"month": "2023-07", "revision": 1}`, "read invoices/month=2023-06/revision=0001/manifest.json: it says month 2023-07, revision 1"},
		{"a manifest of another revision", `{"month": "2023-06", "revision": 2}`, "read invoices/month=2023-06/revision=0001/manifest.json: it says month 2023-06, revision 2"},
		{"half a manifest", `{"month": "2023-06",`, "read invoices/month=2023-06/revision=0001/manifest.json: unexpected EOF"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newStore()
			s.publish(t, "2023-05", 1, ledger.Closed)
			if err := bucket.Put(s.ctx, s.Bucket, ledger.RevisionPrefix(month("2023-06"), 1)+ledger.ManifestName, []byte(test.content)); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Months(s.ctx); err == nil || err.Error() != test.want {
				t.Errorf("error %v, want %s", err, test.want)
			}
			var good, bad int
			for f, err := range s.AuditRevisions(s.ctx, 2) {
				if err != nil {
					t.Fatal(err)
				}
				if f.Err != nil {
					bad++
				} else {
					good++
				}
			}
			if good != 1 || bad != 1 {
				t.Errorf("an audit goes on and finds %d good and %d bad manifests, want 1 and 1", good, bad)
			}
		})
	}
}

func TestNextRevision(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name      string
		leftovers []string
		want      int
	}{
		{"the first", nil, 1},
		{"above every manifest", []string{"invoices/month=2023-06/revision=0001/manifest.json"}, 2},
		{"above what an interrupted run left", []string{"invoices/month=2023-06/revision=0001/manifest.json", "invoices/month=2023-06/revision=0004/partner=P/reconciliation.csv"}, 5},
		{"by number, not by text", []string{"invoices/month=2023-06/revision=9999/manifest.json", "invoices/month=2023-06/revision=10000/manifest.json"}, 10001},
		{"another month's do not count", []string{"invoices/month=2023-07/revision=0004/manifest.json"}, 1},
		{"nor what is no revision", []string{"invoices/month=2023-06/revision=x/manifest.json"}, 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newStore()
			for _, key := range test.leftovers {
				s.leave(t, key)
			}
			if got, err := s.NextRevision(s.ctx, month("2023-06")); err != nil || got != test.want {
				t.Errorf("got %d, %v, want %d", got, err, test.want)
			}
		})
	}
}

func TestPutManifest(t *testing.T) {
	t.Parallel()
	s := newStore()
	s.publish(t, "2023-06", 1, ledger.Draft)
	s.publish(t, "2023-06", 1, ledger.Draft) // the same again changes nothing
	err := s.PutManifest(s.ctx, month("2023-06"), manifest("2023-06", 1, ledger.Closed))
	if !ledger.IsConflict(err) {
		t.Errorf("another manifest of the revision: %v, want a conflict", err)
	}
	for key, want := range map[string]bool{
		"invoices/month=2026-10/revision=0003/manifest.json": true, "invoices/month=2026-10/revision=0003/exceptions.csv": false,
		"invoices/month=2026-1/revision=0003/manifest.json": false, "ledger/inputs/00000001.json": false,
	} {
		m, revision, ok := ledger.RevisionOf(key)
		if ok != want || ok && (m != month("2026-10") || revision != 3) {
			t.Errorf("RevisionOf(%s) = %s, %d, %v", key, m, revision, ok)
		}
	}
}

func TestCloses(t *testing.T) {
	t.Parallel()
	june := manifest("2023-06", 3, ledger.Closed)
	june.Inputs = make([]ledger.InputRef, 7)
	june.Rates = []ledger.RateRef{{Month: "2023-05", Pricing: "USD", Billing: "EUR", Rate: "0.9"}}
	june.Locks = []ledger.Object{{Key: "ledger/data/x.parquet"}}
	closes, err := ledger.Closes([]ledger.Month{{Month: month("2023-06"), Current: june}, {Month: month("2023-07"), Current: manifest("2023-07", 1, ledger.Draft)}})
	if err != nil {
		t.Fatal(err)
	}
	if len(closes) != 1 || closes[0].Month != month("2023-06") || closes[0].Inputs != 7 || len(closes[0].Locks) != 1 {
		t.Errorf("got %+v", closes)
	}
	key := ledger.RateKey{Pricing: "USD", Billing: "EUR", Month: month("2023-05")}
	if got := closes[0].Rates[key].String(); got != "0.9" {
		t.Errorf("rate %s", got)
	}
	otherwise := func(string) subscription.Policies { return subscription.Policies{} }
	policy := closes[0].PolicyOf(otherwise)
	if got := fmt.Sprint(ledger.PolicyNames(policy("P")), ledger.PolicyNames(policy("Q"))); got != "{unit stick trust} {documented clamp enforce}" {
		t.Errorf("policies of P and of a partner that it did not know: %s", got)
	}
	if got, want := ledger.Books(closes), (invoice.Books{Begun: true, Begin: month("2023-06"), Closed: month("2023-06")}); got != want {
		t.Errorf("books %+v, want %+v", got, want)
	}
	if got := ledger.Books(nil); got != (invoice.Books{}) {
		t.Errorf("books before any close: %+v", got)
	}
}

func TestClosesRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		damage func(*ledger.Manifest)
		want   string
	}{
		{"a rounding policy that nobody knows", func(m *ledger.Manifest) { m.Policies["P"] = invoice.Policies{Rounding: "up"} },
			`close of 2023-06, partner P: rounding policy "up": want documented, unit or line`},
		{"a month-end policy that nobody knows", func(m *ledger.Manifest) { m.Policies["P"] = invoice.Policies{Rounding: "unit", MonthEnd: "jump"} },
			`close of 2023-06, partner P: month-end policy "jump": want clamp or stick`},
		{"a rate's month", func(m *ledger.Manifest) { m.Rates = []ledger.RateRef{{Month: "June", Rate: "1"}} },
			`close of 2023-06, rates: month "June": want YYYY-MM, such as 2026-10`},
		{"a rate", func(m *ledger.Manifest) { m.Rates = []ledger.RateRef{{Month: "2023-06", Pricing: "USD", Rate: "x"}} },
			`close of 2023-06, rate of USD: can't convert x to decimal`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			m := manifest("2023-06", 1, ledger.Closed)
			test.damage(&m)
			if _, err := ledger.Closes([]ledger.Month{{Month: month("2023-06"), Current: m}}); err == nil || err.Error() != test.want {
				t.Errorf("error %v, want %s", err, test.want)
			}
		})
	}
}

func TestPolicyNames(t *testing.T) {
	t.Parallel()
	for _, rounding := range []string{"documented", "unit", "line"} {
		for _, monthEnd := range []string{"clamp", "stick"} {
			for _, windows := range []string{"enforce", "trust"} {
				names := invoice.Policies{Rounding: rounding, MonthEnd: monthEnd, Windows: windows}
				policies, err := ledger.ParsePolicies(names)
				if got := ledger.PolicyNames(policies); err != nil || got != names {
					t.Errorf("%v became %v, %v", names, got, err)
				}
			}
		}
	}
	if _, err := ledger.ParsePolicies(invoice.Policies{Rounding: "unit", MonthEnd: "clamp", Windows: "ajar"}); err == nil || err.Error() != `windows policy "ajar": want enforce or trust` {
		t.Errorf("error %v", err)
	}
}

// Data objects are named by what is in them.
func TestData(t *testing.T) {
	t.Parallel()
	s := newStore()
	first := must(s.Data(s.ctx, "json", []byte("{}"), 1))
	again := must(s.Data(s.ctx, "json", []byte("{}"), 1))
	want := ledger.Object{Key: "ledger/data/" + first.SHA256 + ".json", SHA256: "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a", Size: 2, Records: 1}
	if first != want || again != want {
		t.Errorf("got %+v and %+v, want %+v", first, again, want)
	}
	if _, ok, err := s.CountRecords(s.ctx, first); ok || err != nil {
		t.Errorf("only Parquet is counted: %v, %v", ok, err)
	}
	rows := must(s.PutPrices(s.ctx, "DE", make([]pricing.Row, 3)))
	if n, ok, err := s.CountRecords(s.ctx, rows); n != 3 || !ok || err != nil {
		t.Errorf("%d rows, %v, %v", n, ok, err)
	}
	if _, _, err := s.CountRecords(s.ctx, ledger.Object{Key: "ledger/data/lost.parquet"}); !errors.Is(err, bucket.ErrNotExist) {
		t.Errorf("a lost object: %v", err)
	}
}
