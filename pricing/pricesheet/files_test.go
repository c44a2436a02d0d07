package pricesheet

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/calends/calends/pricing"
	"github.com/calends/calends/pricing/pricesheet/table"
)

func TestReadFX(t *testing.T) {
	t.Parallel()
	got, err := ReadFX(strings.NewReader("\ufeff\"CurrencyCode\",\"USDPerUnit\",\"Month\",\"Source\"\r\n" +
		`"AED","0.27224589249009701","202610","x"` + "\r\nEUR,1.08,10/1/2026,\r\nEUR,1.080,202610,\r\njpy,0.0067,2026-11,\r\nUSD,1,2026-11-01,\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	var rates []string
	for _, r := range got.Rates {
		rates = append(rates, fmt.Sprintf("%s %s %s", r.Currency, r.Month, r.USDPerUnit))
	}
	if want := "AED 2026-10 0.27224589249009701; EUR 2026-10 1.08; JPY 2026-11 0.0067; USD 2026-11 1"; strings.Join(rates, "; ") != want {
		t.Errorf("got %s\nwant %s", strings.Join(rates, "; "), want)
	}
	if len(got.Unknown) != 1 || got.Unknown[0] != "Source" {
		t.Errorf("unknown %q", got.Unknown)
	}
}

func TestReadFXRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, in, want string }{
		{"a month that is only a year", "AED,0.27,2019", `line 2: Month "2019": want a month such as 202610 or 10/1/2026`},
		{"a thirteenth month", "AED,0.27,202613", `line 2: Month "202613": want a month such as 202610 or 10/1/2026`},
		{"an unknown currency", "EUX,1.08,202610", `line 2: CurrencyCode "EUX": want an ISO 4217 currency code`},
		{"a rate of zero", "EUR,0,202610", `line 2: USDPerUnit "0": want a rate greater than 0, such as 0.2722`},
		{"a negative rate", "EUR,-1,202610", `line 2: USDPerUnit "-1": want a rate greater than 0, such as 0.2722`},
		{"a decimal comma", `EUR,"1,08",202610`, `line 2: USDPerUnit "1,08": want a rate greater than 0, such as 0.2722`},
		{"two rates of one month", "EUR,1.08,202610\nEUR,1.09,10/1/2026", `line 3: USDPerUnit "1.09": is another rate for EUR in 2026-10 than line 2 has`},
		{"no rows", "", "has a header and no rows"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := ReadFX(strings.NewReader("CurrencyCode,USDPerUnit,Month\n" + tt.in))
			if want := "exchange rates: " + tt.want; err == nil || err.Error() != want {
				t.Errorf("got %v\nwant %s", err, want)
			}
		})
	}
}

const matrixHeader = "ProductTitle,ProductId,SkuId,SkuTitle,ProvisioningId,ProvisioningString,MinLicenses,MaxLicenses,AssetOwnershipLimit,AssetOwnershipLimitType," +
	"ProductSkuPreRequisites,ProductSkuConversion,Description,AllowedCountries\n"

func TestReadOfferMatrix(t *testing.T) {
	t.Parallel()
	got, err := ReadOfferMatrix(strings.NewReader(matrixHeader +
		`"Business Basic","CFQ7TTC0LH18","1","x","3b55","O365","1","300","2","ConcurrentCount","","CFQ7TTC0LDPB/0001,CFQ7TTC0LF8Q/1","Best for...","AD;AE..."` + "\n" +
		`A,B,0002,,,,,,,,,"C/000P; D/0003;",,` + "\n" + `A,B,2,,,,0,0,,,,C/000P;D/3,,` + "\n" + `A,E,0002,,,,,,,,,,,` + "\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := "[{CFQ7TTC0LH18 0001} 1 300 [{CFQ7TTC0LDPB 0001} {CFQ7TTC0LF8Q 0001}]; {B 0002} 0 0 [{C 000P} {D 0003}]; {E 0002} 0 0 []]"
	var offers []string
	for _, o := range got.Offers {
		offers = append(offers, fmt.Sprint(o.SKU, o.MinLicenses, o.MaxLicenses, o.Conversions))
	}
	if s := "[" + strings.Join(offers, "; ") + "]"; s != want || len(got.Unknown) > 0 {
		t.Errorf("got %s, unknown %q\nwant %s", s, got.Unknown, want)
	}
	facts := pricing.OfferFacts{ProductTitle: "Business Basic", SkuTitle: "x", Description: "Best for...", ProvisioningID: "3b55", ProvisioningString: "O365",
		OwnershipLimit: "2", OwnershipLimitType: "ConcurrentCount", Countries: "AD;AE..."}
	if *got.Offers[0].Facts != facts || *got.Offers[1].Facts != (pricing.OfferFacts{ProductTitle: "A"}) {
		t.Errorf("facts %+v, %+v", *got.Offers[0].Facts, *got.Offers[1].Facts)
	}
}

func TestReadOfferMatrixNeeds(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, cell, want string }{
		{"nothing is needed", "", "[]"},
		{"one of several", `"CFQ7TTC0LDPB/0001,CFQ7TTC0LF8Q/1"`, "[{CFQ7TTC0LDPB 0001} {CFQ7TTC0LF8Q 0001}]"},
		{"semicolons, spaces, a last one that is empty", "C/000P; D/0003;", "[{C 000P} {D 0003}]"},
		{"a colon as catalogues have it", "C:000P;D:3", "[{C 000P} {D 0003}]"},
		{"a product alone is any of its SKUs", "C;D/0003", "[{C } {D 0003}]"},
		{"two rows of one SKU: any of both", "C/1,,,\nA,B,1,,,,,,,,D/1;C/1", "[{C 0001} {D 0001}]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := ReadOfferMatrix(strings.NewReader(matrixHeader + "A,B,1,,,,,,,," + tt.cell + ",,,\n"))
			if err != nil || len(got.Offers) != 1 || fmt.Sprint(got.Offers[0].Needs) != tt.want {
				t.Errorf("got %+v, %v\nwant %s", got, err, tt.want)
			}
		})
	}
}

func TestReadOfferMatrixRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, in, want string }{
		{"a blank product", "A,,1,,,,,,,,,,,", `line 2: ProductId "": must not be blank`},
		{"a blank SKU", "A,B,,,,,,,,,,,,", `line 2: SkuId "": must not be blank`},
		{"half a licence", "A,B,1,,,,1.5,,,,,,,", `line 2: MinLicenses "1.5": want a whole number of licences, or blank for no limit`},
		{"fewer than none", "A,B,1,,,,,-1,,,,,,", `line 2: MaxLicenses "-1": want a whole number of licences, or blank for no limit`},
		{"the most under the least", "A,B,1,,,,5,4,,,,,,", `line 2: MaxLicenses "4": must not be less than MinLicenses`},
		{"a target without SKU", "A,B,1,,,,,,,,,C;D/1,,", `line 2: ProductSkuConversion "C;D/1": want PRODUCT/SKU, several of them separated by ; or ,`},
		{"targets run together", "A,B,1,,,,,,,,,C/1 D/1,,", `line 2: ProductSkuConversion "C/1 D/1": want PRODUCT/SKU, several of them separated by ; or ,`},
		{"a need without product", "A,B,1,,,,,,,,/1,,,", `line 2: ProductSkuPreRequisites "/1": want PRODUCT/SKU or PRODUCT, several of them separated by ; or ,`},
		{"needs run together", "A,B,1,,,,,,,,C/1 D/1,,,", `line 2: ProductSkuPreRequisites "C/1 D/1": want PRODUCT/SKU or PRODUCT, several of them separated by ; or ,`},
		{"two offers of one SKU", "A,B,1,,,,1,,,,,,,\nA,B,0001,,,,2,,,,,,,", `line 3: SkuId "0001": gives another offer for B/0001 than line 2`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := ReadOfferMatrix(strings.NewReader(matrixHeader + tt.in))
			if want := "offer matrix: " + tt.want; err == nil || err.Error() != want {
				t.Errorf("got %v\nwant %s", err, want)
			}
		})
	}
}

const promotion = `{
  "totalCount": 1,
  "items": [
    {"id": "39NFJQT1PJQB:0001:39NFJQT1Q5KN", "startDate": "2021-09-23T00:00:00+00:00", "endDate": "2021-10-14T23:59:59+00:00", "properties": {"isAutoApplicable": true},
     "requiredProducts": [
      {"productId": "CFQ7TTC0HD33", "skuId": "3", "term": {"duration": "P1Y", "billingCycle": "Annual"},
       "pricingPolicies": [{"policyType": "PercentDiscount", "value": "0.05"}]}
     ]}
  ]
}`

func TestReadPromotions(t *testing.T) {
	t.Parallel()
	const want = "39NFJQT1PJQB:0001:39NFJQT1Q5KN {CFQ7TTC0HD33 0003} P1Y Annual 2021-09-23T00:00:00Z 2021-10-14T23:59:59Z 0.05"
	second := strings.Replace(promotion, `     ]}`, `,{"productId": "X", "skuId": "000P", "term": {"duration": "P1M", "billingCycle": "monthly"}, "pricingPolicies": [{"policyType": "PercentDiscount", "value": 1}]}]}`, 1)
	for _, tt := range []struct{ name, in, want string }{
		{"as documented", promotion, want},
		{"a byte-order mark", "\ufeff" + promotion, want},
		{"a value that is a number", strings.Replace(promotion, `"0.05"`, "5e-2", 1), want},
		{"an end to the day lasts through it", strings.Replace(promotion, "T23:59:59+00:00", "", 1), strings.Replace(want, "23:59:59Z", "23:59:59.9999999Z", 1)},
		{"two products are two promotions of one id", second, want + "; 39NFJQT1PJQB:0001:39NFJQT1Q5KN {X 000P} P1M Monthly 2021-09-23T00:00:00Z 2021-10-14T23:59:59Z 1"},
		{"no promotions are none", `{"totalCount": 0, "items": []}`, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := ReadPromotions(strings.NewReader(tt.in))
			if err != nil {
				t.Fatal(err)
			}
			var lines []string
			for _, p := range got {
				lines = append(lines, fmt.Sprint(p.ID, " ", p.SKU, " ", p.Term, " ", p.Plan, " ", p.Start, " ", p.End, " ", p.Discount))
			}
			if s := strings.Join(lines, "; "); s != tt.want {
				t.Errorf("got %s\nwant %s", s, tt.want)
			}
		})
	}
}

func TestReadPromotionsRefuses(t *testing.T) {
	t.Parallel()
	at := "line 4: items[0]."
	for _, tt := range []struct{ name, old, new, want string }{
		{"another kind of promotion", "PercentDiscount", "FixedPrice", at + `requiredProducts[0].pricingPolicies[0].policyType "FixedPrice": want PercentDiscount, the only kind of promotion that is known`},
		{"more than everything off", "0.05", "1.05", at + `requiredProducts[0].pricingPolicies[0].value "\"1.05\"": want a fraction from 0 to 1, such as 0.05`},
		{"less than nothing off", `"0.05"`, "-0.05", at + `requiredProducts[0].pricingPolicies[0].value "-0.05": want a fraction from 0 to 1, such as 0.05`},
		{"a decimal comma", "0.05", "0,05", at + `requiredProducts[0].pricingPolicies[0].value "\"0,05\"": want a fraction from 0 to 1, such as 0.05`},
		{"two discounts", `"0.05"}`, `"0.05"},{"policyType":"PercentDiscount","value":"0.1"}`, at + `requiredProducts[0].pricingPolicies[1].policyType "PercentDiscount": want one PercentDiscount`},
		{"no discount", `[{"policyType": "PercentDiscount", "value": "0.05"}]`, "[]", at + `requiredProducts[0].pricingPolicies "": want one PercentDiscount`},
		{"no id", "39NFJQT1PJQB:0001:39NFJQT1Q5KN", "", at + `id "": must not be blank`},
		{"no product", "CFQ7TTC0HD33", "", at + `requiredProducts[0].productId "": must not be blank`},
		{"an unknown term", "P1Y", "P2Y", at + `requiredProducts[0].term.duration "P2Y": want P1M, P1Y or P3Y`},
		{"an unknown cycle", "Annual", "Weekly", at + `requiredProducts[0].term.billingCycle "Weekly": want Monthly, Annual, Triennial or None`},
		{"a date in words", "2021-09-23T00:00:00+00:00", "soon", at + `startDate "soon": ` + table.RuleDate},
		{"an end before the start", "2021-10-14", "2021-09-14", at + `endDate "2021-09-14T23:59:59+00:00": must not be before startDate`},
		{"a number for an id", `"39NFJQT1PJQB:0001:39NFJQT1Q5KN"`, "5", `line 4: id "number": want a string`},
		{"no items", `"items"`, `"things"`, "has no items[]: want the answer of Partner Center's productpromotions"},
		{"no JSON", `"totalCount": 1,`, `"totalCount": 1`, `line 3: is no JSON: invalid character '"' after object key:value pair`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			in := strings.Replace(promotion, tt.old, tt.new, 1)
			_, err := ReadPromotions(strings.NewReader(in))
			if want := "promotions: " + tt.want; err == nil || err.Error() != want {
				t.Errorf("got %v\nwant %s", err, want)
			}
		})
	}
}

// FuzzReadFX checks that what was read is written and read as the same.
func FuzzReadFX(f *testing.F) {
	f.Add("CurrencyCode,USDPerUnit,Month\nAED,0.27224589249009701,202610\n")
	f.Add("Month,USDPerUnit,CurrencyCode,x\n10/1/2026,1.0,EUR,\n")
	f.Fuzz(func(t *testing.T, in string) {
		got, err := ReadFX(strings.NewReader(in))
		if err != nil {
			return
		}
		out := "CurrencyCode,USDPerUnit,Month\n"
		for _, r := range got.Rates {
			out += fmt.Sprintf("%s,%s,%s\n", r.Currency, r.USDPerUnit, r.Month)
			if !r.USDPerUnit.IsPositive() {
				t.Fatalf("%q: rate %s", in, r.USDPerUnit)
			}
		}
		again, err := ReadFX(strings.NewReader(out))
		if err != nil || fmt.Sprint(again.Rates) != fmt.Sprint(got.Rates) {
			t.Fatalf("%q: %q reads back as %v, %v", in, out, again, err)
		}
	})
}

// FuzzReadOfferMatrix checks that what was read is written and read as the same.
func FuzzReadOfferMatrix(f *testing.F) {
	f.Add(matrixHeader + `A,B,2,,,,0,30,,,,"C/000P,D/3",,`)
	f.Add("ProductId,SkuId,MinLicenses,MaxLicenses,ProductSkuConversion\nA,B,,,C/1;D/2\n")
	f.Add(matrixHeader + `"A ""b""",B,2,x,y,z,0,30,2,ConcurrentCount,C:1;D,,"one, two",DE;NL`)
	f.Fuzz(func(t *testing.T, in string) {
		got, err := ReadOfferMatrix(strings.NewReader(in))
		if err != nil {
			return
		}
		quote := func(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }
		list := func(skus []pricing.SKU) string {
			var all []string
			for _, sku := range skus {
				all = append(all, strings.TrimSuffix(sku.ProductID+"/"+sku.SkuID, "/"))
			}
			return quote(strings.Join(all, ";"))
		}
		out := matrixHeader
		for _, o := range got.Offers {
			f := pricing.OfferFacts{}
			if o.Facts != nil {
				f = *o.Facts
			}
			out += strings.Join([]string{quote(f.ProductTitle), quote(o.ProductID), quote(o.SkuID), quote(f.SkuTitle), quote(f.ProvisioningID), quote(f.ProvisioningString),
				fmt.Sprint(o.MinLicenses), fmt.Sprint(o.MaxLicenses), quote(f.OwnershipLimit), quote(f.OwnershipLimitType),
				list(o.Needs), list(o.Conversions), quote(f.Description), quote(f.Countries)}, ",") + "\n"
		}
		again, err := ReadOfferMatrix(strings.NewReader(out))
		if err != nil || !reflect.DeepEqual(again.Offers, got.Offers) {
			t.Fatalf("%q: %q reads back as %v, %v", in, out, again, err)
		}
	})
}

// FuzzReadPromotions checks that white space and the order of keys change
// nothing, and the bounds of a discount.
func FuzzReadPromotions(f *testing.F) {
	f.Add([]byte(promotion))
	f.Add([]byte(`{"items":[]}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		got, err := ReadPromotions(bytes.NewReader(in))
		if err != nil {
			return
		}
		for _, p := range got {
			if p.Discount.IsNegative() || p.Discount.Ceil().IntPart() > 1 {
				t.Fatalf("discount %s", p.Discount)
			}
		}
		var indented bytes.Buffer
		if err := json.Indent(&indented, bytes.TrimPrefix(in, []byte("\ufeff")), "", "\t"); err != nil {
			t.Fatal(err)
		}
		again, err := ReadPromotions(&indented)
		if err != nil || fmt.Sprint(again) != fmt.Sprint(got) {
			t.Fatalf("%q reads as %v, indented as %v, %v", in, got, again, err)
		}
	})
}
