package subscription_test

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/shopspring/decimal"

	"github.com/calends/calends/pipeline/change"
	"github.com/calends/calends/pipeline/subscription"
	"github.com/calends/calends/pricing"
)

// A case is a text: first what the world has, then the changes of customer C
// as they happened. Their ids are e1, e2, ... unless id= says otherwise.
//
//	price X P1M Monthly EUR 10 2021-06-01..2021-06-30   a row more, see world_test.go for the others
//	promo SUMMER A P1M Monthly 0.25 2021-06-01..2021-06-30
//	offer A 1..300 B C                                   the offer matrix: limits and what A converts to
//	policy trust stick currency=USD                      the partner's
//	sheets 2021-06 2021-09                               the only months with a sheet
//	unknown customer 2021-07                             from that month on; or partner
//	until 2021-09                                        the month to live to; else that of the last change
//	show price term                                      also print the lock, the term
//
//	2021-06-18T09:00Z purchase S1 P1M Monthly 10 sku=A end=2021-06-30 promo=SUMMER price=12 currency=EUR trial autorenew=off   (_ for none)
//	2021-06-18T09:00Z seats S1 12
//	2021-06-18T09:00Z cancel S1 override=reason
//	2021-06-18T09:00Z upgrade S1 B qty=4 to=S2 term=P1Y plan=Annual
//	2021-06-18T09:00Z convert S1 qty=4 sku=A term=P1Y plan=Annual
//	2021-06-18T09:00Z plan S1 Annual
//	2021-06-18T09:00Z autorenew S1 off
//	2021-06-18T09:00Z schedule S1 qty=4 sku=B term=P1Y plan=Annual end=2021-12-31 promo=SUMMER   (or {})
//	2021-06-18T09:00Z clear|suspend|reactivate S1
//	2021-06-18T09:00Z overridden S1 e2 reason
//	2021-06-18T09:00Z credit 12.50 EUR of=S1
//
// The answer has one line a charge, `new +10 2021-06-18..2021-07-17`, in the order
// in which they come. It ends with what is not usual: `17/31` for a stub of a
// cycle of 31 days, the order date where it is not the first day, the reason of
// an override, and the subscription where it is not S1. Exceptions follow:
// `error CODE S1 e2 2021-06: message`.
type life struct {
	world   *world
	changes []*change.Change
	until   pricing.Month
	show    []string
}

// story is the row of a table of lives that go well.
type story struct{ name, changes, want string }

func tell(t *testing.T, stories []story) {
	t.Helper()
	for _, s := range stories {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			got := parse(t, s.changes).live(t).String()
			if want := squeeze(s.want); got != want {
				t.Errorf("%s\n\ngot\n%s\n\nwant\n%s", squeeze(s.changes), got, want)
			}
		})
	}
}

// refusal is the row of a table of last changes that are refused.
type refusal struct {
	name, changes string
	code          pricing.Code
	message       string // without the type and time of the change
}

// refuse asks for one exception by the last change, and that it changes nothing
// for good: with and without it the life goes on alike for fifteen months.
func refuse(t *testing.T, refusals []refusal) {
	t.Helper()
	for _, r := range refusals {
		t.Run(string(r.code)+" "+r.name, func(t *testing.T) {
			t.Parallel()
			with, without := parse(t, r.changes), parse(t, r.changes)
			last := with.changes[len(with.changes)-1]
			without.changes = without.changes[:len(without.changes)-1]
			with.until = last.At.Date().Month() + 15
			without.until = with.until
			got, before := with.live(t), without.live(t)
			if fmt.Sprint(got.charges) != fmt.Sprint(before.charges) {
				t.Errorf("it changes what is charged from\n%s\nto\n%s", before, got)
			}
			var added []subscription.Exception
			for _, x := range got.exceptions {
				if !slices.Contains(before.exceptions, x) {
					added = append(added, x)
				}
			}
			month := last.At.Date().Month()
			subject := last.Subject
			if last.Type == change.CustomerCredited {
				subject = last.SubscriptionID
			}
			want := subscription.Exception{Code: r.code, SubscriptionID: subject, EventID: last.ID,
				Message: string(last.Type) + " at " + last.At.String() + ": " + r.message, From: month, To: month}
			if len(added) != 1 || added[0] != want {
				t.Errorf("%s\n\ngot\n%s\n\nwant\n%s", squeeze(r.changes), printExceptions(added), printExceptions([]subscription.Exception{want}))
			}
		})
	}
}

// outcome is the sink of a life.
type outcome struct {
	show       []string
	sheets     bool // whether stale sheets are printed
	charges    []string
	exceptions []subscription.Exception
	stale      []string
	count      subscription.Count
	seats      subscription.Seats
	locks      map[subscription.LockKey]subscription.Lock
}

func (l life) live(t *testing.T) *outcome {
	t.Helper()
	slices.SortFunc(l.changes, change.Compare)
	o := &outcome{show: l.show, sheets: l.world.sheets != nil, locks: make(map[subscription.LockKey]subscription.Lock)}
	end, err := new(subscription.Lives).Live(l.world, o, "C", nil, l.changes, l.until)
	if err != nil {
		t.Fatal(err)
	}
	o.count, o.seats = end.Count, end.Seats
	return o
}

func (o *outcome) Charge(c subscription.Charge) {
	sign, quantity := "+", c.Quantity
	if c.Credit {
		sign = "-"
	}
	line := fmt.Sprintf("%s %s%d %s..%s", c.Type, sign, quantity, c.Start, c.Cycle.Last)
	id := c.SubscriptionID
	if c.Term != nil {
		id = c.Term.SubscriptionID
	}
	if c.Cycle.Len() != c.Cycle.Days {
		line += fmt.Sprintf(" %d/%d", c.Cycle.Len(), c.Cycle.Days)
	}
	if c.OrderDate != c.Start {
		line += " on " + c.OrderDate.String()
	}
	if c.Note != "" {
		line += " " + strconv.Quote(c.Note)
	}
	if c.Type == subscription.CustomerCredit {
		line += " " + c.Amount.String()
	}
	if slices.Contains(o.show, "price") {
		line += " @" + c.Term.Lock.UnitPrice.String() + " " + c.Term.Lock.Currency
		if c.Term.Lock.PromotionID != "" {
			line += " " + c.Term.Lock.PromotionID + " -" + c.Term.Lock.Discount.String()
		}
	}
	if slices.Contains(o.show, "term") {
		line += " " + c.Term.SKU.ProductID + " " + c.Term.Span.Term.String() + " " + c.Term.Plan.String() +
			" " + c.Term.Span.Start.String() + ".." + c.Term.Span.End.String()
	}
	if id != "S1" {
		line += " " + cmp.Or(id, "-")
	}
	o.charges = append(o.charges, line)
}

func (o *outcome) Exception(x subscription.Exception) { o.exceptions = append(o.exceptions, x) }

func (o *outcome) StaleSheet(event pricing.Month, s subscription.StaleSheet) {
	o.stale = append(o.stale, fmt.Sprintf("stale %s %s: %s governs, asked in %s", s.Market, s.Month, s.Governs, event))
}

func (o *outcome) Locked(key subscription.LockKey, lock subscription.Lock) { o.locks[key] = lock }

func (o *outcome) String() string {
	lines := slices.Clone(o.charges)
	if x := printExceptions(o.exceptions); x != "" {
		lines = append(lines, x)
	}
	if o.sheets {
		lines = append(lines, o.stale...)
	}
	return squeeze(strings.Join(lines, "\n"))
}

func printExceptions(exceptions []subscription.Exception) string {
	var lines []string
	for _, x := range exceptions {
		severity := "error"
		if x.Warning {
			severity = "warning"
		}
		months := x.From.String()
		if x.To != x.From {
			months += ".." + x.To.String()
		}
		lines = append(lines, fmt.Sprintf("%s %s %s %s %s: %s", severity, x.Code, cmp.Or(x.SubscriptionID, "-"), cmp.Or(x.EventID, "-"), months, x.Message))
	}
	return strings.Join(lines, "\n")
}

// squeeze drops indentation, empty lines and double spaces.
func squeeze(text string) string {
	var lines []string
	for line := range strings.Lines(text) {
		if words := strings.Fields(line); len(words) > 0 {
			lines = append(lines, strings.Join(words, " "))
		}
	}
	return strings.Join(lines, "\n")
}

// parse reads a case. It panics at a text that is none: that is the test's mistake.
func parse(t *testing.T, text string) life {
	t.Helper()
	l := life{world: newWorld()}
	for line := range strings.Lines(squeeze(text)) {
		words := strings.Fields(line)
		if words[0][0] < '0' || words[0][0] > '9' {
			switch words[0] {
			case "until":
				l.until = must(pricing.ParseMonth(words[1]))
			case "show":
				l.show = words[1:]
			default:
				l.world.learn(words)
			}
			continue
		}
		l.changes = append(l.changes, parseChange(words, fmt.Sprintf("e%d", len(l.changes)+1)))
	}
	if l.until == 0 {
		for _, c := range l.changes {
			l.until = max(l.until, c.At.Date().Month())
		}
	}
	return l
}

var types = map[string]change.Type{
	"purchase": change.Purchased, "seats": change.QuantityChanged, "cancel": change.Canceled, "upgrade": change.Upgraded,
	"convert": change.TrialConverted, "plan": change.BillingPlanChanged, "autorenew": change.RenewalChanged,
	"schedule": change.NextTermScheduled, "clear": change.NextTermCleared, "suspend": change.Suspended,
	"reactivate": change.Reactivated, "overridden": change.Overridden, "credit": change.CustomerCredited,
}

// notGiven stands for an argument that the change leaves out.
const notGiven = "_"

func parseChange(words []string, id string) *change.Change {
	c := &change.Change{ID: id, CustomerID: "C", At: parseInstant(words[0]), Type: change.Type(words[1]), CustomTermEnd: pricing.NoDate}
	if known, ok := types[words[1]]; ok {
		c.Type = known
	}
	options := make(map[string]string)
	var plain []string
	for _, w := range words[2:] {
		if key, value, ok := strings.Cut(w, "="); ok || w == "trial" || w == "{}" {
			options[key] = value
		} else {
			plain = append(plain, w)
		}
	}
	if c.Type != change.CustomerCredited {
		c.Subject, plain = plain[0], plain[1:]
	}
	arg := func() string {
		if len(plain) == 0 {
			return ""
		}
		first := plain[0]
		plain = plain[1:]
		return strings.TrimPrefix(first, notGiven)
	}
	option := func(key string) string { defer delete(options, key); return options[key] }
	c.ID = cmp.Or(option("id"), c.ID)
	c.Override, c.Defect = option("override"), option("defect")
	switch c.Type {
	case change.Purchased:
		c.TermDuration, c.BillingCycle, c.Quantity = arg(), arg(), whole(arg())
		c.SKU = pricing.SKU{ProductID: "A", SkuID: "0001"}
		c.OrderID = "order of " + c.Subject
	case change.QuantityChanged:
		c.Quantity = whole(arg())
	case change.Upgraded:
		c.SKU = sku(arg())
		c.ToSubscription = option("to")
	case change.BillingPlanChanged:
		c.BillingCycle = arg()
	case change.RenewalChanged:
		c.AutoRenew = onOff(arg())
	case change.Overridden:
		c.EventID, c.Reason = arg(), arg()
	case change.CustomerCredited:
		c.Amount, c.Currency = number(arg()), arg()
		c.Reason, c.SubscriptionID, c.Subject = "Goodwill", option("of"), option("subject")
	case change.NextTermScheduled:
		if len(options) > 0 {
			c.NextTerm = &change.NextTerm{Quantity: whole(option("qty")), TermDuration: option("term"), BillingCycle: option("plan"),
				PromotionID: option("promo"), CustomTermEnd: day(option("end")), SKU: sku(option("sku"))}
			delete(options, "{}")
		}
	}
	if s, ok := options["sku"]; ok {
		c.SKU = sku(s)
	}
	if q := option("qty"); q != "" {
		c.Quantity = whole(q)
	}
	c.TermDuration, c.BillingCycle = cmp.Or(option("term"), c.TermDuration), cmp.Or(option("plan"), c.BillingCycle)
	_, c.IsTrial = options["trial"]
	c.CustomTermEnd, c.PromotionID, c.UnitPrice = day(option("end")), option("promo"), number(option("price"))
	c.Currency, c.ParentID = cmp.Or(option("currency"), c.Currency), option("parent")
	if a := option("autorenew"); a != "" {
		c.AutoRenew = onOff(a)
	}
	delete(options, "sku")
	delete(options, "trial")
	if len(options) > 0 || len(plain) > 0 {
		panic(fmt.Sprintf("what is %v %v in %v?", options, plain, words))
	}
	return c
}

func parseInstant(s string) pricing.Instant {
	if len(s) == len("2021-06-18T09:00Z") {
		s = strings.TrimSuffix(s, "Z") + ":00Z"
	}
	return must(pricing.ParseInstant(s))
}

func sku(product string) pricing.SKU {
	if product == "" {
		return pricing.SKU{}
	}
	return pricing.SKU{ProductID: product, SkuID: "0001"}
}

func whole(s string) *int64 {
	if s == "" {
		return nil
	}
	n := must(strconv.ParseInt(s, 10, 64))
	return &n
}

func number(s string) *decimal.Decimal {
	if s == "" {
		return nil
	}
	d := must(decimal.NewFromString(s))
	return &d
}

func onOff(s string) *bool {
	if s == "" {
		return nil
	}
	on := s == "on"
	return &on
}

func day(s string) pricing.Date {
	if s == "" {
		return pricing.NoDate
	}
	return must(pricing.ParseDate(s))
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}
