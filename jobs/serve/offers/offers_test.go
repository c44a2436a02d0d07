package offers

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/shopspring/decimal"
	"pgregory.net/rapid"

	"github.com/calends/calends/pricing"
)

// sheetOf reads rows such as "P/0001 P1Y Monthly 120 EUR | Title | tags=Trial". An
// instant is a small number; a row is valid from 0 to 99 unless it says from= and to=.
func sheetOf(t testing.TB, lines ...string) (rows []pricing.Row) {
	t.Helper()
	for i, line := range lines {
		parts := strings.Split(line, "|")
		f := strings.Fields(parts[0])
		r := pricing.Row{SKU: skuOf(f[0]), Market: "NL", Segment: "Commercial", Currency: f[4], UnitPrice: decimal.RequireFromString(f[3]), End: 99, Line: i + 2}
		var ok1, ok2 bool
		r.Term, ok1 = pricing.ParseTerm(f[1])
		r.Plan, ok2 = pricing.ParsePlan(f[2])
		if !ok1 || !ok2 {
			t.Fatalf("row %q", line)
		}
		var l pricing.Listing
		for _, p := range parts[1:] {
			key, value, named := strings.Cut(strings.TrimSpace(p), "=")
			switch {
			case !named:
				r.ProductTitle, r.SkuTitle = key, key
			case key == "from":
				r.Start = instantOf(t, value)
			case key == "to":
				r.End = instantOf(t, value)
			case key == "by":
				r.Publisher = value
			case key == "segment":
				r.Segment = value
			case key == "tags":
				l.Tags = value
			case key == "about":
				l.Description = value
			case key == "erp":
				l.ERPPrice = value
			case key == "tiered":
				r.Tiered = true
			default:
				t.Fatalf("row %q: %q", line, key)
			}
		}
		if l != (pricing.Listing{}) {
			r.Listing = &l
		}
		rows = append(rows, r)
	}
	return rows
}

func instantOf(t testing.TB, text string) pricing.Instant {
	t.Helper()
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return pricing.Instant(n)
}

func skuOf(text string) pricing.SKU {
	product, sku, _ := strings.Cut(text, "/")
	return pricing.SKU{ProductID: product, SkuID: sku}
}

func skusOf(text string) (all []pricing.SKU) {
	for _, one := range strings.Fields(text) {
		all = append(all, skuOf(one))
	}
	return all
}

func catalogueOf(t testing.TB, matrix []pricing.Offer, promotions []pricing.Promotion, lines ...string) *Catalogue {
	t.Helper()
	return New(Sheet{Market: "NL", Tag: "sheet"}, sheetOf(t, lines...), NewBackground("background", matrix, promotions))
}

// world is a catalogue in which each of the tests below finds something.
func world(t testing.TB) *Catalogue {
	return catalogueOf(t, worldMatrix(), worldPromotions(), worldRows...)
}

func worldMatrix() []pricing.Offer {
	return []pricing.Offer{
		{SKU: skuOf("BASIC/0001"), MinLicenses: 1, MaxLicenses: 300, Conversions: skusOf("STD/0001 GONE/0001"),
			Facts: &pricing.OfferFacts{SkuTitle: "Basic, by the matrix", OwnershipLimit: "2", OwnershipLimitType: "ConcurrentCount", Countries: "DE;NL; US",
				ProvisioningString: "BB", Description: "by the matrix"}},
		{SKU: skuOf("STD/000T"), Conversions: skusOf("STD/0001")},
		{SKU: skuOf("PHONE/0001"), Needs: skusOf("BASIC/0001 STD/")},
		{SKU: skuOf("GONE/0001"), Facts: &pricing.OfferFacts{SkuTitle: "Gone from the sheet"}},
	}
}

func worldPromotions() []pricing.Promotion {
	off := decimal.RequireFromString
	return []pricing.Promotion{
		{ID: "TEN", SKU: skuOf("BASIC/0001"), Term: pricing.P1Y, Plan: pricing.Monthly, Start: 10, End: 20, Discount: off("0.1")},
		{ID: "OTHER", SKU: skuOf("BASIC/0001"), Term: pricing.P1Y, Plan: pricing.Annual, Start: 10, End: 20, Discount: off("0.125")},
		{ID: "TRY", SKU: skuOf("STD/000T"), Term: pricing.P1M, Plan: pricing.PlanNone, Start: 0, End: 99, Discount: off("0.5")},
	}
}

var worldRows = []string{
	"BASIC/0001 P1Y Monthly 57.12 EUR | Business Basic | by=Microsoft | tags=License | about=For mail and more | erp=67.20",
	"BASIC/0001 P1Y Annual 55 USD | Business Basic | by=Microsoft | to=15 | tags=License | about=For mail and more",
	"BASIC/0001 P1Y Monthly 60 USD | Business Basic | by=Microsoft | tags=License | about=For mail and more",
	"BASIC/0001 P1M Monthly 5.71 EUR | Business Basic | by=Microsoft | to=15 | about=For mail and more",
	"BASIC/0001 P1Y Monthly 50 EUR | Business Basic | by=Microsoft | segment=Education | about=For mail and more",
	"STD/0001 P1Y Monthly 120 EUR | Business Standard",
	"STD/0001 P1Y Monthly 130 EUR | Business Standard | from=50",
	"STD/000T P1M None 0 EUR | Business Standard Trial | tags=License; Trial",
	"PHONE/0001 P1Y Annual 80 EUR | Téléphone",
	"TWICE/0001 P1Y Annual 1 EUR | Two prices",
	"TWICE/0001 P1Y Annual 2 EUR | Two prices",
	"LATER/0001 P1Y Annual 1 EUR | Later | from=30",
	"TIERED/0001 P1Y Annual 1 EUR | By tiers | tiered=",
	"031C9E47-4802-4248-838E-778FB1D2CC05/0001 P1Y Monthly 7 EUR | Of before",
	"SOFT/0001 P1Y Annual 9 EUR | Server | tags=Software",
}

func show(c *Catalogue, q Query) string {
	var found []string
	for _, place := range c.Find(q) {
		o := c.Offer(place, q)
		found = append(found, o.ProductID+"/"+o.SkuID)
	}
	return strings.Join(found, " ")
}

func TestFind(t *testing.T) {
	t.Parallel()
	c := world(t)
	yes, no := true, false
	const old = "031C9E47-4802-4248-838E-778FB1D2CC05/0001"
	for _, tt := range []struct {
		name string
		q    Query
		want string
	}{
		{"by title, what is valid at the instant", Query{}, "BASIC/0001 STD/0001 STD/000T " + old + " SOFT/0001 PHONE/0001 TWICE/0001"},
		{"what begins later", Query{At: 30, ProductID: "LATER"}, "LATER/0001"},
		{"monthly terms", Query{Term: pricing.P1M}, "BASIC/0001 STD/000T"},
		{"a term that is over", Query{Term: pricing.P1M, At: 16}, "STD/000T"},
		{"one row has all that is asked for", Query{Term: pricing.P1Y, Plan: pricing.Monthly, Currency: "USD"}, "BASIC/0001"},
		{"not each a row of its own", Query{Segment: "Education", Currency: "USD"}, ""},
		{"new commerce", Query{Commerce: NewCommerce, Plan: pricing.Monthly, Term: pricing.P1Y}, "BASIC/0001 STD/0001"},
		{"traditional", Query{Commerce: Traditional}, old},
		{"trials", Query{Trial: &yes}, "STD/000T"},
		{"no trials", Query{Trial: &no, Term: pricing.P1M}, "BASIC/0001"},
		{"add-ons", Query{AddOn: &yes}, "PHONE/0001"},
		{"a promotion before it opens", Query{Promotion: true, At: 9}, ""},
		{"a promotion when it opens", Query{Promotion: true, At: 10}, "BASIC/0001"},
		{"a promotion at its end", Query{Promotion: true, At: 20}, "BASIC/0001"},
		{"a promotion of another plan", Query{Promotion: true, At: 20, Plan: pricing.Annual}, ""},
		{"a promotion of that plan", Query{Promotion: true, At: 15, Plan: pricing.Annual}, "BASIC/0001"},
		{"words and more", Query{Words: "standard", Trial: &no}, "STD/0001"},
		{"one SKU", Query{ProductID: "STD", SkuID: "000T"}, "STD/000T"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := show(c, tt.q); got != tt.want {
				t.Errorf("got %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestWords(t *testing.T) {
	t.Parallel()
	c := catalogueOf(t, []pricing.Offer{{SKU: skuOf("CFQ7TTC0LH18/0001"), Facts: &pricing.OfferFacts{Description: "nothing: the sheet's goes before"}}}, nil,
		"CFQ7TTC0LH18/0001 P1Y Annual 1 EUR | Microsoft 365 Business Basic | by=Microsoft Corporation | about=Mail, files and Ünïcode",
		"CFQ7TTC0LH18/0002 P1Y Annual 1 EUR | Microsoft 365 Business Basic (no Teams) | by=Microsoft Corporation",
		"CFQ7TTC0LDPB/0001 P1Y Annual 1 EUR | Microsoft 365 Business Standard | about=Basic and more",
		"CFQ7TTC0HL8W/0001 P1Y Annual 1 EUR | Power BI Pro",
		"CFQ7TTC0HL8X/0001 P1Y Annual 1 EUR | Basic Power | about=ＦＵＬＬ width, Straße",
		"POWER/0001 P1Y Annual 1 EUR | Zebra",
	)
	for _, tt := range []struct{ name, words, want string }{
		{"all words", "business basic", "CFQ7TTC0LH18/0001 CFQ7TTC0LH18/0002 CFQ7TTC0LDPB/0001"},
		{"in any order", "basic business", "CFQ7TTC0LH18/0001 CFQ7TTC0LH18/0002 CFQ7TTC0LDPB/0001"},
		{"in any case", "POWER bi", "CFQ7TTC0HL8W/0001"},
		{"beginnings of words", "micro stand", "CFQ7TTC0LDPB/0001"},
		{"not their middles", "icrosoft", ""},
		{"a title that begins so goes before one that has it", "basic", "CFQ7TTC0HL8X/0001 CFQ7TTC0LH18/0001 CFQ7TTC0LH18/0002 CFQ7TTC0LDPB/0001"},
		{"an id goes before all", "power", "POWER/0001 CFQ7TTC0HL8W/0001 CFQ7TTC0HL8X/0001"},
		{"an id in small letters", "cfq7ttc0hl8w", "CFQ7TTC0HL8W/0001"},
		{"product and SKU", "CFQ7TTC0LH18/0002", "CFQ7TTC0LH18/0002"},
		{"product and SKU with a colon", "CFQ7TTC0LH18:0002", "CFQ7TTC0LH18/0002"},
		{"the beginning of an id", "cfq7ttc0hl", "CFQ7TTC0HL8X/0001 CFQ7TTC0HL8W/0001"},
		{"publisher", "corporation teams", "CFQ7TTC0LH18/0002"},
		{"accents are folded", "unicode", "CFQ7TTC0LH18/0001"},
		{"in what is asked for too", "BÁSIC búsiness stàndard", "CFQ7TTC0LDPB/0001"},
		{"forms of a letter are folded", "full", "CFQ7TTC0HL8X/0001"},
		{"marks between words do not matter", "(no teams)", "CFQ7TTC0LH18/0002"},
		{"what is nowhere", "basic nowhere", ""},
		{"no letter and no digit", "--", ""},
		{"no words are everything", "  ", "CFQ7TTC0HL8X/0001 CFQ7TTC0LH18/0001 CFQ7TTC0LH18/0002 CFQ7TTC0LDPB/0001 CFQ7TTC0HL8W/0001 POWER/0001"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := show(c, Query{Words: tt.words}); got != tt.want {
				t.Errorf("got %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestOffer(t *testing.T) {
	t.Parallel()
	c := world(t)
	offer := func(sku string, q Query) Offer {
		o, ok := c.Whole(skuOf(sku), q)
		if !ok {
			t.Errorf("%s is not there", sku)
		}
		return o
	}
	for _, tt := range []struct {
		name string
		got  any
		want string
	}{
		{"plans by term, plan and segment", offer("BASIC/0001", Query{At: 16}).Plans, "[{P1Y Monthly Commercial false false [{EUR 57.12 67.20 false 1970-01-01T00:00:00.0000099Z [{TEN 10 51.408 1970-01-01T00:00:00.000002Z}]} " +
			"{USD 60  false 1970-01-01T00:00:00.0000099Z [{TEN 10 54 1970-01-01T00:00:00.000002Z}]}]} {P1Y Monthly Education false false [{EUR 50  false 1970-01-01T00:00:00.0000099Z [{TEN 10 45 1970-01-01T00:00:00.000002Z}]}]}]"},
		{"only those that were asked for", offer("BASIC/0001", Query{Term: pricing.P1M}).Plans, "[{P1M Monthly Commercial true false [{EUR 5.71  false 1970-01-01T00:00:00.0000015Z []}]}]"},
		{"with a promotion, only those that have one", offer("BASIC/0001", Query{At: 10, Promotion: true, Currency: "EUR", Segment: "Commercial"}).Plans,
			"[{P1Y Monthly Commercial false false [{EUR 57.12 67.20 false 1970-01-01T00:00:00.0000099Z [{TEN 10 51.408 1970-01-01T00:00:00.000002Z}]}]}]"},
		{"a monthly term", offer("BASIC/0001", Query{Term: pricing.P1Y}).MonthlyTerm, "true"},
		{"a monthly term that is over", offer("BASIC/0001", Query{At: 16}).MonthlyTerm, "false"},
		{"of two that are valid the one that started first", offer("STD/0001", Query{At: 60}).Plans[0].Prices[0].UnitPrice, "120"},
		{"two prices of one start", offer("TWICE/0001", Query{}).Plans[0].Prices, "[{EUR   true  []}]"},
		{"limits", *offer("BASIC/0001", Query{}).Limits, "{1 300 2 ConcurrentCount}"},
		{"no row in the matrix", offer("SOFT/0001", Query{}).Limits, "<nil>"},
		{"upgrade targets with their titles, of the matrix where the sheet has none", offer("BASIC/0001", Query{}).UpgradesTo, "[{STD 0001 Business Standard} {GONE 0001 Gone from the sheet}]"},
		{"what a trial converts to", offer("STD/000T", Query{}).ConvertsTo, "[{STD 0001 Business Standard}]"},
		{"a trial is not upgraded", offer("STD/000T", Query{}).UpgradesTo, "[]"},
		{"a trial takes no promotion", offer("STD/000T", Query{}).Plans, "[{P1M None Commercial true true [{EUR 0  false 1970-01-01T00:00:00.0000099Z []}]}]"},
		{"what an add-on needs", offer("PHONE/0001", Query{}).Needs, "[{BASIC 0001 Business Basic} {STD  Business Standard}]"},
		{"its add-ons", offer("BASIC/0001", Query{}).AddOns, "[{PHONE 0001 Téléphone}]"},
		{"add-ons of any SKU of the product", offer("STD/000T", Query{}).AddOns, "[{PHONE 0001 Téléphone}]"},
		{"an add-on has none of its own", offer("PHONE/0001", Query{}).AddOns, "[]"},
		{"countries", offer("BASIC/0001", Query{}).Countries, "[DE NL US]"},
		{"what switches it on", *offer("BASIC/0001", Query{}).Provisioning, "{ BB}"},
		{"the sheet describes it before the matrix", offer("BASIC/0001", Query{}).Description, "For mail and more"},
		{"tags", offer("STD/000T", Query{}).Tags, "[License Trial]"},
		{"software", offer("SOFT/0001", Query{}).Software, "true"},
		{"new commerce", offer("BASIC/0001", Query{}).Commerce, "new"},
		{"traditional", offer("031C9E47-4802-4248-838E-778FB1D2CC05/0001", Query{}).Commerce, "traditional"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := fmt.Sprint(tt.got); got != tt.want {
				t.Errorf("got %s\nwant %s", got, tt.want)
			}
		})
	}
	for _, sku := range []string{"LATER/0001", "TIERED/0001", "GONE/0001"} {
		if o, ok := c.Whole(skuOf(sku), Query{}); ok {
			t.Errorf("%s is sold: %+v", sku, o)
		}
	}
}

// text is all that an offer says.
func text(o Offer) string {
	data, err := json.Marshal(o)
	if err != nil {
		panic(err)
	}
	return string(data)
}

func TestCommerceOf(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]Commerce{
		"CFQ7TTC0LH18": NewCommerce, "DG7GMGF0D5SL": NewCommerce, "031C9E47-4802-4248-838E-778FB1D2CC05": Traditional,
		"796b6b5f-613c-4e24-a17c-eba730d49c02": Traditional, "796b6b5f-613c-4e24-a17c-eba730d49c0": NewCommerce, "": NewCommerce,
	} {
		if got := CommerceOf(id); got != want {
			t.Errorf("%s: got %s, want %s", id, got, want)
		}
	}
}

// oneSheet is a price book of one sheet.
type oneSheet struct{ sheet *pricing.Sheet }

func (b oneSheet) Sheet(string, pricing.Month) (*pricing.Sheet, error) { return b.sheet, nil }

// The catalogue has the price that billing finds, in each currency.
func TestPricesAreThoseThatBillingFinds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		draw := func(what string, of ...string) string { return rapid.SampledFrom(of).Draw(t, what) }
		var rows []pricing.Row
		for i := range rapid.IntRange(1, 30).Draw(t, "rows") {
			start := rapid.IntRange(0, 9).Draw(t, "start")
			rows = append(rows, pricing.Row{SKU: pricing.SKU{ProductID: draw("product", "A", "B"), SkuID: draw("sku", "0001", "0002")}, Market: "NL",
				Term: rapid.SampledFrom([]pricing.Term{pricing.P1M, pricing.P1Y}).Draw(t, "term"), Plan: rapid.SampledFrom([]pricing.Plan{pricing.Monthly, pricing.PlanNone}).Draw(t, "plan"),
				Segment: draw("segment", "Commercial", "Education"), Currency: draw("currency", "EUR", "USD"), UnitPrice: decimal.RequireFromString(draw("price", "1", "1.0", "2")),
				Start: pricing.Instant(start), End: pricing.Instant(start + rapid.IntRange(0, 9).Draw(t, "length")), Tiered: draw("tiered", "no", "no", "yes") == "yes", Line: i + 2})
		}
		book := oneSheet{pricing.NewSheet("NL", pricing.DateOf(1970, 1, 1).Month(), "f", "h", rows)}
		c := New(Sheet{Market: "NL"}, rows, NewBackground("", nil, nil))
		q := Query{At: pricing.Instant(rapid.IntRange(-1, 20).Draw(t, "at"))}
		shown := make(map[string]Price)
		for _, place := range c.Find(q) {
			o := c.Offer(place, q)
			for _, plan := range o.Plans {
				for _, p := range plan.Prices {
					shown[strings.Join([]string{o.ProductID, o.SkuID, plan.Term, plan.Plan, plan.Segment, p.Currency}, " ")] = p
				}
			}
		}
		expected := 0
		asked := make(map[string]bool)
		for _, r := range rows {
			name := strings.Join([]string{r.ProductID, r.SkuID, r.Term.String(), r.Plan.String(), r.Segment, r.Currency}, " ")
			if asked[name] {
				continue
			}
			asked[name] = true
			own := slices.ContainsFunc(rows, func(o pricing.Row) bool { // else another currency may be what is ambiguous
				return o.SKU == r.SKU && o.Term == r.Term && o.Plan == r.Plan && o.Segment == r.Segment && o.Currency == r.Currency &&
					!o.Tiered && o.Start <= q.At && q.At <= o.End
			})
			price, err := pricing.FindPrice(book, pricing.PriceQuery{SKU: r.SKU, Term: r.Term, Plan: r.Plan, Market: "NL", Segment: r.Segment, BillingCurrency: r.Currency, At: q.At})
			var refused *pricing.PriceError
			got, there := shown[name]
			switch {
			case errors.As(err, &refused) && refused.Code == pricing.PriceAmbiguous && own:
				expected++
				if !got.Ambiguous {
					t.Fatalf("%s is ambiguous, shown as %+v", name, got)
				}
			case err == nil && price.Row.Currency == r.Currency:
				expected++
				if !there || got.Ambiguous || got.UnitPrice != price.Row.UnitPrice.String() {
					t.Fatalf("%s is %s, shown as %+v", name, price.Row.UnitPrice, got)
				}
			case there:
				t.Fatalf("%s is shown as %+v, billing says %v, %v", name, got, price.Row, err)
			}
		}
		if len(shown) != expected {
			t.Fatalf("%d shown of %d", len(shown), expected)
		}
		// Between borders nothing changes.
		if since := c.Since(q.At); since > never {
			then := q
			then.At = since
			for _, place := range c.Find(q) {
				if a, b := text(c.Offer(place, q)), text(c.Offer(place, then)); a != b {
					t.Fatalf("at %d %s, since %d %s", q.At, a, since, b)
				}
			}
			if a, b := show(c, q), show(c, then); a != b {
				t.Fatalf("at %d %s, since %d %s", q.At, a, since, b)
			}
		}
	})
}

// The order of rows, offers and promotions does not matter, but for equal rows.
func TestOrderDoesNotMatter(t *testing.T) {
	t.Parallel()
	all := func(c *Catalogue) string {
		var b strings.Builder
		for at := range pricing.Instant(60) {
			q := Query{At: at}
			for _, place := range c.Find(q) {
				fmt.Fprintln(&b, text(c.Offer(place, q)))
			}
			fmt.Fprintln(&b, c.Background.Promotions(at))
		}
		return b.String()
	}
	c := world(t)
	want := all(c)
	lines := worldRows
	matrix, promotions := worldMatrix(), worldPromotions()
	for i := range 20 {
		chance := rand.New(rand.NewPCG(1, uint64(i)))
		lines = slices.Clone(lines)
		chance.Shuffle(len(lines), func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
		chance.Shuffle(len(matrix), func(i, j int) { matrix[i], matrix[j] = matrix[j], matrix[i] })
		chance.Shuffle(len(promotions), func(i, j int) { promotions[i], promotions[j] = promotions[j], promotions[i] })
		if got := all(catalogueOf(t, matrix, promotions, lines...)); got != want {
			t.Fatalf("rows %q\ngot\n%s\nwant\n%s", lines, got, want)
		}
	}
}

func TestSince(t *testing.T) {
	t.Parallel()
	c := catalogueOf(t, nil, []pricing.Promotion{{ID: "X", SKU: skuOf("A/1"), Start: 30, End: 40}}, "A/1 P1Y Annual 1 EUR | A | from=10 | to=20")
	for at, want := range map[pricing.Instant]pricing.Instant{5: never, 10: 10, 20: 10, 21: 21, 29: 21, 30: 30, 40: 30, 41: 41, 99: 41} {
		if got := c.Since(at); got != want {
			t.Errorf("at %d: got %d, want %d", at, got, want)
		}
	}
	b := c.Background
	for at, want := range map[pricing.Instant]pricing.Instant{29: never, 30: 30, 40: 30, 41: 41, 99: 41} {
		if got := b.Since(at); got != want {
			t.Errorf("promotions at %d: got %d, want %d", at, got, want)
		}
	}
}
