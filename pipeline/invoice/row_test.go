package invoice

import (
	"reflect"
	"testing"

	"github.com/shopspring/decimal"

	"github.com/calends/calends/pipeline/change"
	"github.com/calends/calends/pipeline/party"
	"github.com/calends/calends/pipeline/subscription"
	"github.com/calends/calends/pricing"
)

// onePayer is a world that knows one customer and one rate.
type onePayer struct {
	World
	payer subscription.Payer
	rate  decimal.Decimal
}

func (w onePayer) Payer(string, pricing.Month) (*subscription.Payer, pricing.Code) {
	return &w.payer, ""
}

func (w onePayer) Rate(string, string, pricing.Month) (decimal.Decimal, bool) { return w.rate, true }

// FuzzRowAgainstLine makes the line of a charge in whole numbers and in decimals:
// wherever the first is taken, both are the same line, with the same proof.
func FuzzRowAgainstLine(f *testing.F) {
	type seed struct {
		price, discount, rate, tax uint64
		scale, days, day           uint8
		quantity                   uint64
		bits                       uint16
		event, note                string
	}
	for _, s := range []seed{
		{12096, 0, 1_000_000_000, 0, 2, 30, 2, 10, 0, "", ""},
		{1234567890, 15, 846202666, 19, 6, 31, 15, 300, 0x35, "e-1", "why"},
		{1<<63 - 1, 99, 999_999_999_999, 25, 9, 31, 0, 1 << 40, 0xff, "0b7a3c1e-0000-4000-8000-000000000001", ""},
		{0, 100, 1, 100, 0, 1, 0, 1, 0x10, "", ""},
	} {
		f.Add(s.price, s.discount, s.rate, s.tax, s.scale, s.days, s.day, s.quantity, s.bits, s.event, s.note)
	}
	f.Fuzz(func(t *testing.T, price, discount, rate, tax uint64, scale, days, day uint8, quantity uint64, bits uint16, event, note string) {
		month := pricing.MonthOf(2024, 3)
		flag := func(i uint) bool { return bits>>i&1 == 1 }
		length := int(days%31) + 1
		cycle := pricing.Cycle{First: month.First(), Last: month.First() + pricing.Date(length) - 1, Days: length, Months: 1}
		billing := []string{"EUR", "JPY", "KWD", "USD"}[bits>>8%4]
		w := onePayer{rate: decimal.New(int64(rate>>1), -9), payer: subscription.Payer{
			Partner:  party.Partner{ID: "P", BillingCurrency: billing, TaxRate: decimal.New(int64(tax%101), -2)},
			Customer: party.Customer{ID: "C", Name: "Contoso", PartnerID: "P"},
			Policies: subscription.Policies{Rounding: pricing.Rounding(bits >> 10 % 3)},
		}}
		c := subscription.Charge{
			Type: ChargeTypes[int(bits>>12)%(len(ChargeTypes)-1)], Quantity: int64(quantity >> 1), Credit: flag(0),
			OrderDate: cycle.First, Start: cycle.First + pricing.Date(int(day)%length), Cycle: cycle, Note: note,
			Term: &subscription.Term{
				SubscriptionID: "S", OrderID: "O", AvailabilityID: "A", AddOn: flag(1), SKU: pricing.SKU{ProductID: "CFQ7", SkuID: "0001"},
				Span: pricing.TermSpan{Term: pricing.P1Y, Start: cycle.First, End: cycle.Last, Trial: flag(2)}, Plan: pricing.Monthly,
				Lock: &subscription.Lock{UnitPrice: decimal.New(int64(price>>1), -int32(scale%12)), Currency: "USD",
					Discount: decimal.New(int64(discount%101), -2), SkuTitle: "Seat", Source: subscription.Source{SHA256: "00"}},
			},
		}
		if event != "" {
			c.Change = &change.Change{ID: event}
		}
		b := NewBiller(w, Books{}, month)
		block := Block{Shared: b.shared}
		fast := b.row(&block, c, b.account(month))
		want, refused := b.line(c, month)
		switch {
		case !fast && len(block.Rows) > 0:
			t.Fatal("no row is claimed and one is there")
		case !fast:
			return
		case refused != nil:
			t.Fatalf("a row is made of what is refused: %s", refused.Message)
		}
		if got := block.Line(0); !reflect.DeepEqual(plain(*got), plain(*want)) {
			t.Fatalf("the row is\n%+v\n%+v\n%+v, the line\n%+v\n%+v\n%+v", got, got.Item, got.Proof, want, want.Item, want.Proof)
		}
	})
}

// plain spells decimals out, which have several forms for one number.
func plain(l Line) any {
	text := []string{l.UnitPrice.String(), l.EffectiveUnitPrice.String(), l.Quantity.String(), l.BillableQuantity.String(), l.ExchangeRate.String()}
	l.UnitPrice, l.EffectiveUnitPrice, l.Quantity, l.BillableQuantity = decimal.Zero, decimal.Zero, decimal.Zero, decimal.Zero
	proof := *l.Proof
	text = append(text, proof.Calculation.UnitPrice.String(), proof.Calculation.Discount.String())
	proof.Calculation.UnitPrice, proof.Calculation.Discount = decimal.Zero, decimal.Zero
	l.Proof = nil
	return []any{text, l, proof}
}

// Lines of ordinary sizes all have rows: the other path is for the rest.
func TestOrdinaryChargesHaveRows(t *testing.T) {
	t.Parallel()
	w := onePayer{rate: decimal.RequireFromString("0.846202666"), payer: subscription.Payer{
		Partner: party.Partner{ID: "P", BillingCurrency: "EUR", TaxRate: decimal.RequireFromString("0.19")}, Customer: party.Customer{ID: "C"}}}
	month := pricing.MonthOf(2024, 3)
	for _, test := range []struct {
		price, discount string
		quantity        int64
		row             bool
	}{
		{"120.96", "0", 10, true},
		{"234.6", "0.15", 300, true},
		{"12345.678901", "0.125", 1_000_000, true},
		{"400000000.99", "0", 1, true},
		{"9999999999999999.99", "0", 1, false},
	} {
		b := NewBiller(w, Books{}, month)
		block := Block{Shared: b.shared}
		cycle := pricing.Cycle{First: month.First(), Last: month.Last(), Days: 31, Months: 1}
		row := b.row(&block, subscription.Charge{Type: subscription.CycleCharge, Quantity: test.quantity, OrderDate: cycle.First, Start: cycle.First, Cycle: cycle,
			Term: &subscription.Term{SubscriptionID: "S", Span: pricing.TermSpan{Term: pricing.P1Y}, Plan: pricing.Monthly,
				Lock: &subscription.Lock{UnitPrice: decimal.RequireFromString(test.price), Currency: "USD", Discount: decimal.RequireFromString(test.discount)}}}, b.account(month))
		if row != test.row {
			t.Errorf("%d at %s less %s: a row %t, want %t", test.quantity, test.price, test.discount, row, test.row)
		}
	}
}
