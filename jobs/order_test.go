package jobs

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pipeline/bucket/faulty"
	"github.com/calends/calends/pipeline/change"
	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pipeline/party"
	"github.com/calends/calends/pipeline/subscription"
	"github.com/calends/calends/pricing"
)

// demoBicycles is the customer of voorbeeldStandard.
const demoBicycles = "dd6c7dae-4000-49f1-93b4-5dee8cf0620e"

// tenSeats is an order of ten seats of Business Standard for a year.
func tenSeats(t *testing.T, key string) OrderPlan {
	t.Helper()
	return OrderPlan{Key: key, By: "the test", PartnerID: demoEuropean, CustomerID: beispiel, At: testInstant(t, "2024-04-25T09:30:00Z"),
		Changes: []Asked{{Type: change.Purchased, AskedData: AskedData{
			ProductID: "CFQ7TTC0LDPB", SkuID: "0001", TermDuration: "P1Y", BillingCycle: "Monthly", Quantity: seats(10)}}}}
}

// managing is an order of one change of a subscription of the European partner.
func managing(t *testing.T, customer, subscriptionID string, what change.Type, data AskedData) OrderPlan {
	t.Helper()
	return OrderPlan{Key: "key", By: "the test", PartnerID: demoEuropean, CustomerID: customer, At: testInstant(t, "2024-04-25T09:30:00Z"),
		Changes: []Asked{{Type: what, SubscriptionID: subscriptionID, AskedData: data}}}
}

func orderOf(t *testing.T, answer json.RawMessage) (o OrderResult) {
	t.Helper()
	if err := json.Unmarshal(answer, &o); err != nil {
		t.Fatal(err)
	}
	return o
}

// ordersIn counts the inputs that an order has brought.
func ordersIn(t *testing.T, env Env, id string) (n int) {
	t.Helper()
	inputs, err := env.ledger().Inputs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, in := range inputs {
		if strings.Contains(in.Name, id) {
			n++
		}
	}
	return n
}

// april bills April 2024 and returns each partner's totals.
func april(t *testing.T, env Env) (map[string][3]decimal.Decimal, BillResult) {
	t.Helper()
	result, err := env.Bill(t.Context(), testMonth(t, "2024-04"), true)
	if err != nil {
		t.Fatal(err)
	}
	sums := make(map[string][3]decimal.Decimal)
	for _, v := range result.Invoices {
		sums[v.PartnerID] = threeOf(t, Amounts{v.Subtotal, v.TaxTotal, v.Total})
	}
	return sums, result
}

func threeOf(t *testing.T, a Amounts) (all [3]decimal.Decimal) {
	t.Helper()
	for i, text := range []string{a.Subtotal, a.TaxTotal, a.Total} {
		var err error
		if all[i], err = decimal.NewFromString(text); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

func TestOrder(t *testing.T) {
	t.Parallel()
	env, ctx := storyEnv(t), t.Context()
	plan := tenSeats(t, "one")
	first, err := env.Order(ctx, plan)
	if err != nil {
		t.Fatal(err)
	}
	o := orderOf(t, first)
	// 124.44 / 12 = 10.37, ten of them 103.70, tax 21.777; the same as a quote of it.
	if o.Quote.ThisMonth != (Amounts{"103.70", "21.77", "125.47"}) || o.Quote.Changes[0].ReturnableUntil != "2024-05-02T09:30:00Z" {
		t.Errorf("the quote is %+v", o.Quote)
	}
	if n := ordersIn(t, env, o.ID); n != 1 || len(o.ChangeIDs) != 1 || len(o.SubscriptionIDs) != 1 {
		t.Errorf("%d inputs, changes %v, subscriptions %v; want one each", n, o.ChangeIDs, o.SubscriptionIDs)
	}

	plan.At = testInstant(t, "2024-04-29T00:00:00Z")
	plan.By = "somebody else"
	again, err := env.Order(ctx, plan)
	if err != nil || !bytes.Equal(again, first) || ordersIn(t, env, o.ID) != 1 {
		t.Errorf("the same order again: %v\n%s\nwant\n%s", err, again, first)
	}
	taken, err := env.TakenOrder(ctx, demoEuropean, o.ID)
	if err != nil || !bytes.Equal(taken, first) {
		t.Errorf("the order by its id: %v, %s", err, taken)
	}
	if _, err := env.TakenOrder(ctx, demoAmerican, o.ID); !errors.Is(err, ErrMissing) {
		t.Errorf("the order of another partner: got %v, want that there is none", err)
	}

	plan.Changes[0].Quantity = seats(11)
	if _, err := env.Order(ctx, plan); !errors.Is(err, ErrKeyReused) {
		t.Errorf("another order with the same key: got %v, want %v", err, ErrKeyReused)
	}
	if OrderID(demoAmerican, "one").String() == o.ID {
		t.Error("keys of two partners are one")
	}

	// What was bought is there for the next one.
	more := managing(t, beispiel, o.SubscriptionIDs[0], change.QuantityChanged, AskedData{Quantity: seats(15)})
	more.At = testInstant(t, "2024-04-26T12:00:00Z")
	answer, err := env.Order(ctx, more)
	if err != nil {
		t.Fatal(err)
	}
	if q := orderOf(t, answer).Quote; len(q.Lines) != 2 || q.FromNextMonth[0].RenewalBefore.Quantity != "10" || q.FromNextMonth[0].Renewal.Quantity != "15" {
		t.Errorf("five more seats: %+v", q)
	}
	if result, err := env.Verify(ctx, VerifyPlan{}); err != nil || len(result.Findings) > 0 {
		t.Errorf("verify: %v, %+v", err, result.Findings)
	}
}

// What is refused leaves nothing behind, and its key may be used again.
func TestOrderRefused(t *testing.T) {
	t.Parallel()
	standard := voorbeeldStandard
	tests := []struct {
		name string
		plan OrderPlan
		code string
	}{
		{"seats whose window is closed", managing(t, demoBicycles, standard, change.QuantityChanged, AskedData{Quantity: seats(20)}), "SEAT_WINDOW_CLOSED"},
		{"no seats", managing(t, demoBicycles, standard, change.QuantityChanged, AskedData{Quantity: seats(0)}), "INVALID_CHANGE"},
		{"a cancellation after the window", managing(t, demoBicycles, standard, change.Canceled, AskedData{}), "CANCEL_WINDOW_CLOSED"},
		{"a subscription that nobody has", managing(t, demoBicycles, "nothing", change.Reactivated, AskedData{}), "UNKNOWN_SUBSCRIPTION"},
		{"a conversion of what is no trial", managing(t, demoBicycles, standard, change.TrialConverted, AskedData{TermDuration: "P1Y", BillingCycle: "Monthly"}), "INVALID_CHANGE"},
		{"a plan of a year", managing(t, demoBicycles, standard, change.BillingPlanChanged, AskedData{BillingCycle: "Annual"}), "PLAN_CHANGE_NOT_ALLOWED"},
		{"a schedule of another plan than the term's", managing(t, demoBicycles, standard, change.NextTermScheduled,
			AskedData{Next: &NextTerm{Product: NextProduct{TermDuration: "P1M", BillingCycle: "Annual"}}}), "INVALID_CHANGE"},
		{"an end outside of the next term", managing(t, demoBicycles, standard, change.NextTermScheduled,
			AskedData{Next: &NextTerm{CustomTermEndDate: "2026-06-30"}}), "TERM_END_NOT_ALLOWED"},
		{"an end outside of the term: imports are billed in full", func() OrderPlan {
			p := tenSeats(t, "key")
			p.Changes[0].CustomTermEndDate = "2026-01-01"
			return p
		}(), "TERM_END_NOT_ALLOWED"},
		{"a product without a price: imports are parked", func() OrderPlan {
			p := tenSeats(t, "key")
			p.Changes[0].ProductID = "NONE"
			return p
		}(), "PRICE_NOT_FOUND"},
		{"one of two", func() OrderPlan {
			p := tenSeats(t, "key")
			p.Changes = append(p.Changes, p.Changes[0])
			p.Changes[1].ProductID = "NONE"
			return p
		}(), "PRICE_NOT_FOUND"},
	}
	env := storyEnv(t)
	trusting := env
	trusting.Policies = func(string) subscription.Policies { return subscription.Policies{Trust: true} }
	before, err := env.ledger().LastInput(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range tests {
		for name, env := range map[string]Env{"": env, ", also where the source is trusted": trusting} {
			var refused *RefusedError
			if _, err := env.Order(t.Context(), test.plan); !errors.As(err, &refused) || refused.Quote.Refused().Refused.Code != test.code {
				t.Errorf("%s%s: got %v, want %s", test.name, name, err, test.code)
			}
		}
	}
	if after, err := env.ledger().LastInput(t.Context()); err != nil || after != before {
		t.Errorf("the ledger has %d inputs, %d before; %v", after, before, err)
	}
	for info, err := range env.Bucket.List(t.Context(), ordersPrefix) {
		t.Errorf("left behind: %s, %v", info.Key, err)
	}
	if _, err := env.Order(t.Context(), tenSeats(t, "key")); err != nil {
		t.Errorf("an order with the key of what was refused: %v", err)
	}
}

func TestOrderOfNobody(t *testing.T) {
	t.Parallel()
	env := storyEnv(t)
	for name, test := range map[string]struct {
		set  func(*OrderPlan)
		want error
	}{
		"a customer of another partner": {func(p *OrderPlan) { p.PartnerID = demoAmerican }, ErrMissing},
		"a customer that is not known":  {func(p *OrderPlan) { p.CustomerID = "nobody" }, ErrMissing},
		"nothing":                       {func(p *OrderPlan) { p.Changes = nil }, ErrUsage},
		"no key":                        {func(p *OrderPlan) { p.Key = "" }, ErrUsage},
		"a date that is none":           {func(p *OrderPlan) { p.Changes[0].CustomTermEndDate = "soon" }, ErrUsage},
		"in a closed month":             {func(p *OrderPlan) { p.At = testInstant(t, "2024-03-31T23:59:59Z") }, ErrHeld},
		"before the books":              {func(p *OrderPlan) { p.At = testInstant(t, "2023-12-31T00:00:00Z") }, ErrHeld},
	} {
		plan := tenSeats(t, "key")
		test.set(&plan)
		if _, err := env.Order(t.Context(), plan); !errors.Is(err, test.want) {
			t.Errorf("%s: got %v, want %v", name, err, test.want)
		}
	}
}

// A rule of buying refuses what imports take, knows what the customer has, and what
// else is in the cart.
func TestBuyingRule(t *testing.T) {
	t.Parallel()
	env := storyEnv(t)
	plan := managing(t, demoBicycles, voorbeeldStandard, change.QuantityChanged, AskedData{Quantity: seats(30)})
	plan.Changes = append(plan.Changes, tenSeats(t, "").Changes...)
	var saw Buying
	plan.Rule = func(_ context.Context, b Buying) (map[string]*Refusal, error) {
		saw = b
		return map[string]*Refusal{b.Changes[1].ID: {Code: "NOT_TODAY", Reason: "for the test"}}, nil
	}
	var refused *RefusedError
	if _, err := env.Order(t.Context(), plan); !errors.As(err, &refused) {
		t.Fatalf("got %v, want that it is refused", err)
	}
	if got := refused.Quote.Changes; got[0].Refused != nil || got[1].Refused == nil || got[1].Refused.Code != "NOT_TODAY" {
		t.Errorf("got %+v, want the second one refused", got)
	}
	if got := refused.Quote.ThisMonth.Subtotal; got == "0.00" || len(refused.Quote.Lines) != 2 {
		t.Errorf("without the second one this month has %s more, in %d lines", got, len(refused.Quote.Lines))
	}
	has := slices.ContainsFunc(saw.Owned, func(v subscription.View) bool { return v.Term.SubscriptionID == voorbeeldStandard && v.Quantity == 26 })
	if !has || saw.Payer.Partner.ID != demoEuropean || len(saw.Changes) != 2 {
		t.Errorf("the rule saw %+v", saw)
	}
}

// What happened on a machine whose clock is ahead is followed by what comes after it.
func TestOrdersOfTwoClocks(t *testing.T) {
	t.Parallel()
	env := storyEnv(t)
	seatsAt := func(key string, n int64, at string) error {
		plan := managing(t, demoBicycles, voorbeeldStandard, change.QuantityChanged, AskedData{Quantity: seats(n)})
		plan.Key, plan.At = key, testInstant(t, at)
		_, err := env.Order(t.Context(), plan)
		return err
	}
	for i, at := range []string{"2024-04-25T09:30:05Z", "2024-04-25T09:30:00Z", "2024-04-25T09:30:00Z"} {
		if err := seatsAt(fmt.Sprint(i), 40-int64(i), at); err != nil {
			t.Fatal(err)
		}
	}
	r, err := env.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	views, err := r.SubscriptionsOf(t.Context(), demoBicycles, pricing.DateOf(2024, 4, 25))
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range views {
		if v.Term.SubscriptionID == voorbeeldStandard && v.Quantity != 38 {
			t.Errorf("%d seats, want the 38 that were asked for last", v.Quantity)
		}
	}
	if err := seatsAt("late", 50, "2024-04-25T09:00:00Z"); err == nil || !strings.Contains(err.Error(), "set the clock") {
		t.Errorf("half an hour before: got %v, want that a clock is wrong", err)
	}
}

// Whatever the store does to an order, trying again gives one set of changes and one answer.
func TestOrderFaults(t *testing.T) {
	t.Parallel()
	base := storyEnv(t)
	reading, err := base.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	copied := func() Env {
		env := base
		b := bucket.NewMemory()
		for info, err := range base.Bucket.List(t.Context(), "") {
			if err != nil {
				t.Fatal(err)
			}
			put(t, b, info.Key, get(t, base.Bucket, info.Key))
		}
		env.Bucket = b
		return env
	}
	plan := tenSeats(t, "the key")
	plan.Reading = reading
	later := plan
	later.At += pricing.Hour

	undisturbed := copied()
	watched := faulty.New(undisturbed.Bucket)
	env := undisturbed
	env.Bucket = watched
	if _, err := env.Order(t.Context(), plan); err != nil {
		t.Fatal(err)
	}
	counts := make(map[faulty.Op]int)
	for _, e := range watched.Events() {
		counts[e.Op]++
	}
	id := OrderID(plan.PartnerID, plan.Key).String()
	tries := 0
	for _, op := range []faulty.Op{faulty.Lock, faulty.Check, faulty.Create, faulty.Write, faulty.Commit, faulty.Delete} {
		for at := 1; at <= counts[op]; at++ {
			for _, kind := range []faulty.Kind{faulty.Fail, faulty.FailAfter, faulty.Die, faulty.DieAfter} {
				if tries++; testing.Short() && tries%5 != 0 {
					continue
				}
				name := fmt.Sprintf("%s %d %s", op, at, kind)
				env := copied()
				clean := env.Bucket
				env.Bucket = faulty.New(clean, faulty.Fault{Kind: kind, Op: op, At: at})
				first, err := env.Order(t.Context(), plan)
				if err != nil {
					first = nil
				}
				env.Bucket = reopened(t, clean)
				if tries%2 == 0 { // another order comes first
					other := tenSeats(t, "another key")
					other.Reading = reading
					if _, err := env.Order(t.Context(), other); err != nil {
						t.Errorf("%s: another order after it: %v", name, err)
					}
				} else if tries%3 == 0 {
					if err := env.FinishOrders(t.Context()); err != nil {
						t.Errorf("%s: finish: %v", name, err)
					}
				}
				second, err := env.Order(t.Context(), later)
				if err != nil {
					t.Errorf("%s: again: %v", name, err)
					continue
				}
				third, err := env.Order(t.Context(), later)
				if err != nil || !bytes.Equal(second, third) || first != nil && !bytes.Equal(first, second) {
					t.Errorf("%s: answers differ, %v:\n%s\n%s\n%s", name, err, first, second, third)
				}
				if n := ordersIn(t, env, id); n != 1 {
					t.Errorf("%s: the order is %d times in the ledger", name, n)
				}
				for info, err := range env.Bucket.List(t.Context(), openPrefix) {
					t.Errorf("%s: left behind: %s, %v", name, info.Key, err)
				}
			}
		}
	}
	if tries < 40 {
		t.Errorf("%d faults were tried, of operations %v", tries, counts)
	}
}

// reopened is what a new process finds: the objects, and no lock.
func reopened(t *testing.T, from bucket.Bucket) bucket.Bucket {
	t.Helper()
	b := bucket.NewMemory()
	for info, err := range from.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		put(t, b, info.Key, get(t, from, info.Key))
	}
	return b
}

// Of many at once with one key one does it, and all have its answer.
func TestOrdersAtOnce(t *testing.T) {
	t.Parallel()
	env := storyEnv(t)
	env.Patience = time.Minute
	const many = 6
	answers := make([]json.RawMessage, 2*many)
	var wait sync.WaitGroup
	for i := range answers {
		wait.Go(func() {
			plan := tenSeats(t, fmt.Sprint("key ", i%2))
			plan.At += pricing.Instant(i) * pricing.Second
			answer, err := env.Order(t.Context(), plan)
			if err != nil {
				t.Errorf("order %d: %v", i, err)
			}
			answers[i] = answer
		})
	}
	wait.Wait()
	for i, answer := range answers {
		if !bytes.Equal(answer, answers[i%2]) {
			t.Errorf("answer %d:\n%s\nwant\n%s", i, answer, answers[i%2])
		}
	}
	for key := range 2 {
		if n := ordersIn(t, env, OrderID(demoEuropean, fmt.Sprint("key ", key)).String()); n != 1 {
			t.Errorf("order %d is %d times in the ledger", key, n)
		}
	}
}

// An order whose input met that of another run under its number comes after it.
func TestOrderThatWasOvertaken(t *testing.T) {
	t.Parallel()
	env, ctx := storyEnv(t), t.Context()
	whole := env.Bucket
	env.Bucket = faulty.New(whole, faulty.Fault{Kind: faulty.Die, Op: faulty.Create, Key: "ledger/inputs/"})
	plan := tenSeats(t, "key")
	if _, err := env.Order(ctx, plan); err == nil {
		t.Fatal("the run did not die")
	}
	env.Bucket = reopened(t, whole)
	if n := ordersIn(t, env, "order-"); n != 0 {
		t.Fatalf("%d orders in the ledger before anybody finished one", n)
	}
	last, err := env.ledger().LastInput(ctx)
	if err != nil {
		t.Fatal(err)
	}
	object, err := env.ledger().PutPartners(ctx, []party.Partner{{ID: "new", Name: "New", Country: "NL", BillingCurrency: "EUR"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := env.ledger().Append(ctx, ledger.Input{Number: last + 1, Kind: ledger.Partners, Name: "partners.csv", SHA256: "x", Records: 1, Objects: []ledger.Object{object}}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := env.FinishOrders(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if n := ordersIn(t, env, OrderID(demoEuropean, "key").String()); n != 1 {
		t.Errorf("the order is %d times in the ledger", n)
	}
}

// TestQuotesAreTheBill buys at random, and adds up what each quote said: that is what
// April bills more in the end, to the cent.
func TestQuotesAreTheBill(t *testing.T) {
	t.Parallel()
	last := uint64(4)
	if testing.Short() {
		last = 1
	}
	for seed := uint64(1); seed <= last; seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			b := buyer{env: storyEnv(t), rng: rand.New(rand.NewPCG(seed, 7)), at: testInstant(t, "2024-04-03T08:00:00Z"),
				sums: make(map[string][3]decimal.Decimal), changes: make(map[string]bool), kinds: make(map[string]int)}
			before, _ := april(t, b.env)
			for range 30 {
				b.buys(t)
			}
			after, billed := april(t, b.env)
			for partner, sum := range after {
				for i, want := range sum {
					if got := before[partner][i].Add(b.sums[partner][i]); !got.Equal(want) {
						t.Errorf("partner %s: April was %v, the quotes say %v, the bill says %v", partner, before[partner], b.sums[partner], sum)
						break
					}
				}
			}
			for _, x := range billed.Exceptions {
				if b.changes[x.EventID] && x.Severity == "error" {
					t.Errorf("what was ordered is refused: %+v", x)
				}
			}
			if b.taken < 8 || b.refused < 3 {
				t.Errorf("%d orders were taken, %d refused: hardly a test", b.taken, b.refused)
			}
			t.Logf("%d taken, %d refused: %v", b.taken, b.refused, b.kinds)
		})
	}
}

// buyer orders what comes to its mind.
type buyer struct {
	env            Env
	reading        *Reading
	rng            *rand.Rand
	at             pricing.Instant
	sums           map[string][3]decimal.Decimal
	taken, refused int
	changes        map[string]bool // by id
	kinds          map[string]int
}

func (b *buyer) buys(t *testing.T) {
	t.Helper()
	ctx := t.Context()
	var err error
	if b.reading, err = b.env.ReadAfter(ctx, b.reading); err != nil {
		t.Fatal(err)
	}
	b.at += pricing.Instant(b.rng.Int64N(int64(14 * pricing.Hour)))
	plan := OrderPlan{Key: fmt.Sprint(b.at), By: "the test", At: b.at, Reading: b.reading}
	var customers []party.Customer
	for c := range b.reading.Catalog().Customers {
		if _, ok := b.reading.Catalog().Partner(c.PartnerID, b.at.Date().Month()); ok {
			customers = append(customers, c)
		}
	}
	slices.SortFunc(customers, func(x, y party.Customer) int { return strings.Compare(x.ID, y.ID) })
	customer := customers[b.rng.IntN(len(customers))]
	plan.PartnerID, plan.CustomerID = customer.PartnerID, customer.ID
	for range 1 + b.rng.IntN(5)/4 {
		plan.Changes = append(plan.Changes, b.thinksOf(t, customer))
	}
	quote, err := b.reading.QuoteOrder(ctx, plan)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := b.env.Order(ctx, plan)
	var refused *RefusedError
	if errors.As(err, &refused) != (quote.Refused() != nil) {
		t.Fatalf("asked: %+v; done: %v", quote.Refused(), err)
	}
	if refused != nil {
		b.refused++
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	o := orderOf(t, answer)
	if o.Quote.ThisMonth != quote.ThisMonth || len(o.Quote.Lines) != len(quote.Lines) {
		t.Errorf("quoted %+v, then %+v", quote.ThisMonth, o.Quote.ThisMonth)
	}
	b.taken++
	for _, id := range o.ChangeIDs {
		b.changes[id] = true
	}
	for _, c := range plan.Changes {
		b.kinds[strings.TrimPrefix(string(c.Type), "subscription.")]++
	}
	sum := b.sums[plan.PartnerID]
	for i, a := range threeOf(t, o.Quote.ThisMonth) {
		sum[i] = sum[i].Add(a)
	}
	b.sums[plan.PartnerID] = sum
}

// thinksOf makes a change that may well be refused.
func (b *buyer) thinksOf(t *testing.T, customer party.Customer) Asked {
	t.Helper()
	sheet, err := b.reading.Catalog().Sheet(customer.Country, b.at.Date().Month())
	if err != nil || sheet == nil {
		t.Fatalf("no sheet of %s: %v", customer.Country, err)
	}
	views, err := b.reading.SubscriptionsOf(t.Context(), customer.ID, b.at.Date())
	if err != nil {
		t.Fatal(err)
	}
	var live []subscription.View
	for _, v := range views {
		if !v.Ended {
			live = append(live, v)
		}
	}
	rows := sheet.Rows()
	row := rows[b.rng.IntN(len(rows))]
	term, plan := row.Term.String(), row.Plan.String()
	n := seats(1 + b.rng.Int64N(40))
	kinds := []change.Type{change.Purchased, change.QuantityChanged, change.QuantityChanged, change.Upgraded, change.Canceled, change.Suspended,
		change.Reactivated, change.RenewalChanged, change.NextTermScheduled, change.NextTermCleared, change.TrialConverted, change.BillingPlanChanged}
	kind := kinds[b.rng.IntN(len(kinds))]
	if len(live) == 0 || b.rng.IntN(4) == 0 {
		kind = change.Purchased
	}
	a := Asked{Type: kind}
	if kind == change.Purchased {
		a.AskedData = AskedData{ProductID: row.SKU.ProductID, SkuID: row.SKU.SkuID, TermDuration: term, BillingCycle: plan, Quantity: n, IsTrial: b.rng.IntN(6) == 0}
		if b.rng.IntN(4) == 0 {
			a.CustomTermEndDate = (b.at.Date() + pricing.Date(b.rng.IntN(300))).String()
		}
		return a
	}
	s := live[b.rng.IntN(len(live))]
	a.SubscriptionID = s.Term.SubscriptionID
	switch kind {
	case change.QuantityChanged:
		a.Quantity = seats(max(1, s.Quantity+b.rng.Int64N(15)-5))
	case change.Upgraded:
		offer, _ := b.reading.Catalog().Offer(s.Term.SKU, b.at.Date().Month())
		to := row.SKU
		if len(offer.Conversions) > 0 {
			to = offer.Conversions[b.rng.IntN(len(offer.Conversions))]
		}
		a.ToProductID, a.ToSkuID = to.ProductID, to.SkuID
		if b.rng.IntN(2) == 0 {
			a.Quantity = seats(1 + b.rng.Int64N(s.Quantity))
		}
	case change.RenewalChanged:
		a.AutoRenewEnabled = new(b.rng.IntN(2) == 0)
	case change.NextTermScheduled:
		a.Next = &NextTerm{Quantity: n}
	case change.TrialConverted:
		a.TermDuration, a.BillingCycle = "P1Y", "Monthly"
	case change.BillingPlanChanged:
		a.BillingCycle = "Annual"
	}
	return a
}
