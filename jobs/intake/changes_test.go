package intake

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/calends/calends/pipeline/change"
	"github.com/calends/calends/pricing"
	"github.com/calends/calends/pricing/pricesheet/table"
)

// readChanges returns all changes and refusals of a reader.
func readChanges(t testing.TB, r *ChangeReader, err error) (changes []change.Change, refused []string) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	for {
		var c change.Change
		e, err := r.Next(&c)
		switch {
		case errors.Is(err, io.EOF):
			return changes, refused
		case err != nil:
			t.Fatal(err)
		case e != nil:
			refused = append(refused, e.Error())
		default:
			changes = append(changes, c)
		}
	}
}

func jsonOf(t testing.TB, in string) ([]change.Change, []string) {
	t.Helper()
	r, err := NewJSONChanges(strings.NewReader(in))
	return readChanges(t, r, err)
}

func csvOf(t testing.TB, in string) ([]change.Change, []string) {
	t.Helper()
	r, err := NewCSVChanges(strings.NewReader(in))
	return readChanges(t, r, err)
}

// event returns a JSON line with the given members in data besides customerId.
func event(kind, data string) string {
	if data != "" {
		data = "," + data
	}
	return `{"specversion":"1.0","id":"e1","source":"partner-center","type":"` + kind + `","time":"2026-10-05T09:30:00Z","subject":"s1","data":{"customerId":"c1"` + data + `}}`
}

// showChange prints every field that is set.
func showChange(c change.Change) string {
	var b strings.Builder
	put := func(name string, v any) {
		if s := fmt.Sprint(v); s != "" && s != "false" {
			fmt.Fprintf(&b, "%s=%s ", name, s)
		}
	}
	number := func(name string, v *int64) {
		if v != nil {
			put(name, *v)
		}
	}
	put("id", c.ID)
	put("source", c.Source)
	put("type", c.Type)
	put("at", c.At)
	put("subject", c.Subject)
	put("customer", c.CustomerID)
	put("override", c.Override)
	put("product", c.SKU.ProductID)
	put("sku", c.SKU.SkuID)
	put("term", c.TermDuration)
	put("cycle", c.BillingCycle)
	put("promotion", c.PromotionID)
	number("quantity", c.Quantity)
	put("order", c.OrderID)
	put("availability", c.AvailabilityID)
	put("parent", c.ParentID)
	put("to", c.ToSubscription)
	put("trial", c.IsTrial)
	if c.AutoRenew != nil {
		fmt.Fprintf(&b, "renew=%v ", *c.AutoRenew)
	}
	put("end", c.CustomTermEnd)
	if c.UnitPrice != nil {
		put("price", c.UnitPrice)
	}
	if c.Amount != nil {
		put("amount", c.Amount)
	}
	put("currency", c.Currency)
	put("for", c.SubscriptionID)
	put("reason", c.Reason)
	put("event", c.EventID)
	if n := c.NextTerm; n != nil {
		b.WriteString("next{ ")
		put("product", n.SKU.ProductID)
		put("sku", n.SKU.SkuID)
		put("term", n.TermDuration)
		put("cycle", n.BillingCycle)
		put("availability", n.AvailabilityID)
		put("promotion", n.PromotionID)
		number("quantity", n.Quantity)
		put("end", n.CustomTermEnd)
		b.WriteString("} ")
	}
	return strings.TrimSpace(b.String())
}

const head = "id=e1 source=partner-center type=%s at=2026-10-05T09:30:00Z subject=s1 customer=c1"

func TestChangeFields(t *testing.T) {
	t.Parallel()
	const instructions = `"scheduledNextTermInstructions":{"product":{"productId":"p","skuId":"2","availabilityId":"a","billingCycle":"Annual","termDuration":"P3Y","promotionId":"o"},"quantity":1,"customTermEndDate":"2019-01-09T00:21:45.9263727"}`
	for _, tt := range []struct{ kind, data, want string }{
		{"subscription.purchased", `"productId":"p","skuId":"1","termDuration":"P1Y","billingCycle":"Monthly","quantity":5`, "product=p sku=0001 term=P1Y cycle=Monthly quantity=5"},
		{"subscription.purchased", `"orderId":"o","availabilityId":"a","autoRenewEnabled":false,"customTermEndDate":"2027-06-30","promotionId":"x","isTrial":true,"parentSubscriptionId":"s0","unitPrice":"57.60","currency":"EUR"`,
			"promotion=x order=o availability=a parent=s0 trial=true renew=false end=2027-06-30 price=57.6 currency=EUR"},
		{"subscription.quantityChanged", `"quantity":"7"`, "quantity=7"},
		{"subscription.quantityChanged", `"quantity":-7.0`, "quantity=-7"},
		{"subscription.canceled", ``, ""},
		{"subscription.upgraded", `"toProductId":"p","toSkuId":"000P","toSubscriptionId":"s2","quantity":2,"termDuration":"P3Y"`, "product=p sku=000P term=P3Y quantity=2 to=s2"},
		{"subscription.upgraded", `"productId":"not","skuId":"this","toProductId":"p","toSkuId":1`, "product=p sku=0001"},
		{"subscription.trialConverted", `"toProductId":"p","toSkuId":"1"`, "product=p sku=0001"},
		{"subscription.purchased", `"productId":"p","toProductId":"not"`, "product=p"},
		{"subscription.billingPlanChanged", `"billingCycle":"Annual"`, "cycle=Annual"},
		{"subscription.renewalChanged", `"autoRenewEnabled":"True"`, "renew=true"},
		{"subscription.nextTermScheduled", instructions, "next{ product=p sku=0002 term=P3Y cycle=Annual availability=a promotion=o quantity=1 end=2019-01-09 }"},
		{"subscription.nextTermScheduled", `"scheduledNextTermInstructions":{}`, "next{ }"},
		{"subscription.nextTermScheduled", `"scheduledNextTermInstructions":null`, "next{ }"},
		{"subscription.nextTermScheduled", `"scheduledNextTermInstructions":{"product":null,"quantity":"3"}`, "next{ quantity=3 }"},
		{"subscription.nextTermScheduled", `"scheduledNextTermInstructions":"{\"quantity\":3}"`, "next{ quantity=3 }"},
		{"subscription.nextTermScheduled", `"scheduledNextTermInstructions":""`, ""},
		{"subscription.nextTermCleared", `"quantity":null,"reason":""`, ""},
		{"change.overridden", `"eventId":"e0","reason":"asked \u00fcber \"all\""`, `reason=asked über "all" event=e0`},
		{"customer.credited", `"amount":12.5,"currency":"EUR","reason":"SLA","subscriptionId":"s9"`, "amount=12.5 currency=EUR for=s9 reason=SLA"},
		// Billing refuses these, with a code.
		{"subscription.exploded", `"quantity":0`, "quantity=0"},
		{"subscription.purchased", `"termDuration":"P9Y","billingCycle":"Hourly"`, "term=P9Y cycle=Hourly"},
		{"subscription.purchased", `"friendlyName":"ours","nested":{"a":[1]}`, ""},
		// Dates.
		{"subscription.purchased", `"customTermEndDate":"2027-06-30T23:30:00-02:00"`, "end=2027-07-01"},
		{"subscription.purchased", `"customTermEndDate":"2027-06-30T23:30:00"`, "end=2027-06-30"},
	} {
		t.Run(tt.kind+" "+tt.data, func(t *testing.T) {
			t.Parallel()
			got, refused := jsonOf(t, event(tt.kind, tt.data))
			want := strings.TrimSpace(fmt.Sprintf(head, tt.kind) + " " + tt.want)
			if len(got) != 1 || showChange(got[0]) != want {
				t.Errorf("got %v, refused %q\nwant %s", got, refused, want)
			}
		})
	}
}

func TestChangeRefusals(t *testing.T) {
	t.Parallel()
	whole := event("subscription.quantityChanged", `"quantity":5`)
	data := func(members string) string { return event("subscription.purchased", members) }
	for _, tt := range []struct{ name, in, want string }{
		{"no id", strings.Replace(whole, `"id":"e1",`, "", 1), `id "": every change has an id`},
		{"a blank id", strings.Replace(whole, `"e1"`, `" "`, 1), `id "": every change has an id`},
		{"no type", strings.Replace(whole, `"type"`, `"kind"`, 1), `type "": every change has a type`},
		{"no time", strings.Replace(whole, `"time"`, `"when"`, 1), `time "": every change has a time`},
		{"no customer", strings.Replace(whole, `"c1"`, `null`, 1), `customerId "": every change names its customer`},
		{"a time without offset", strings.Replace(whole, "00Z", "00", 1), `time "2026-10-05T09:30:00": ` + ruleTime},
		{"a time without seconds", strings.Replace(whole, "09:30:00Z", "09:30Z", 1), `time "2026-10-05T09:30Z": ` + ruleTime},
		{"a time that is a date", strings.Replace(whole, "T09:30:00Z", "", 1), `time "2026-10-05": ` + ruleTime},
		{"a time on no day", strings.Replace(whole, "10-05", "02-30", 1), `time "2026-02-30T09:30:00Z": ` + ruleTime},
		{"a time that is a number", strings.Replace(whole, `"2026-10-05T09:30:00Z"`, "1759656600", 1), `time "1759656600": ` + ruleTime},
		{"an id that is a number", strings.Replace(whole, `"e1"`, "1", 1), `id "1": want text`},

		{"a quantity in words", data(`"quantity":"abc"`), `quantity "abc": want a whole number`},
		{"a quantity that is a list", data(`"quantity":[5]`), `quantity "[5]": want a whole number`},
		{"a flag in words", data(`"autoRenewEnabled":"maybe"`), `autoRenewEnabled "maybe": want true or false`},
		{"a flag that is a number", data(`"isTrial":1`), `isTrial "1": want true or false`},
		{"a day that does not exist", data(`"customTermEndDate":"31/31/2026"`), `customTermEndDate "31/31/2026": want a date such as 2026-10-31`},
		{"a day in another order", data(`"customTermEndDate":"6/7/2026"`), `customTermEndDate "6/7/2026": want a date such as 2026-10-31`},
		{"a decimal comma", data(`"unitPrice":"1,5"`), `unitPrice "1,5": ` + table.RuleDecimal},
		{"a product that is an object", data(`"productId":{"id":1}`), `productId "{\"id\":1}": want text`},
		{"data that is text", strings.Replace(whole, `{"customerId"`, `"x","d":{"customerId"`, 1), `data "x": want a JSON object`},
		{"instructions that are a list", data(`"scheduledNextTermInstructions":[]`), `scheduledNextTermInstructions "[]": want a JSON object`},
		{"a product of instructions that is text", data(`"scheduledNextTermInstructions":{"product":"p"}`), `scheduledNextTermInstructions.product "p": want a JSON object`},

		{"no JSON", "hello", `"hello": ` + ruleNoJSON},
		{"JSON cut off", whole[:40], ""},
		{"a list", "[" + whole + "]", ""},
		{"two objects on one line", "{}{}", `"{}{}": ` + ruleMore},
		{"bytes that are no UTF-8", strings.Replace(whole, "s1", "s\xe4", 1), table.RuleUTF8},
		{"a line longer than 1 MiB", data(`"reason":"` + strings.Repeat("x", 100<<20) + `"`), ruleLong},
		{"objects in objects without end", data(`"x":` + strings.Repeat(`{"x":`, 100_000)), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			// The records around the bad one are read, and the bad one is line 3.
			got, refused := jsonOf(t, whole+"\n\n"+tt.in+"\n"+whole)
			if len(got) != 2 || len(refused) != 1 {
				t.Fatalf("got %d changes, refused %.200q", len(got), refused)
			}
			if message := strings.Replace(refused[0], `line 3: "": `, "line 3: ", 1); tt.want != "" && message != "line 3: "+tt.want {
				t.Errorf("got  %s\nwant line 3: %s", message, tt.want)
			} else if tt.want == "" && !strings.HasSuffix(message, ruleNoJSON) {
				t.Errorf("got %s", message)
			}
			if got[1].Taken != (change.Position{Record: 4}) || got[0].Content != got[1].Content {
				t.Errorf("position %+v", got[1].Taken)
			}
		})
	}
}

func TestJSONLinesOfAnyShape(t *testing.T) {
	t.Parallel()
	line := event("subscription.canceled", "")
	for name, in := range map[string]string{
		"a byte-order mark":      "\ufeff" + line + "\n" + line,
		"CRLF":                   line + "\r\n" + line + "\r\n",
		"empty lines":            "\n\n" + line + "\n  \n" + line + "\n\n",
		"white space everywhere": strings.ReplaceAll(line, ",", " ,\t") + "\n " + line,
		"fields beside data":     strings.ReplaceAll(line, `"data":{"customerId":"c1"}`, `"customerId":"c1"`) + "\n" + line,
	} {
		got, refused := jsonOf(t, in)
		if len(got) != 2 || len(refused) != 0 || got[0].Content != got[1].Content {
			t.Errorf("%s: got %v, refused %q", name, got, refused)
		}
	}
	r, err := NewJSONChanges(io.MultiReader(strings.NewReader(line+"\n"), iotest.ErrReader(io.ErrUnexpectedEOF)))
	if err != nil {
		t.Fatal(err)
	}
	var c change.Change
	if refused, err := r.Next(&c); refused != nil || err != nil {
		t.Fatal(refused, err)
	}
	if _, err := r.Next(&c); !errors.Is(err, io.ErrUnexpectedEOF) || err.Error() != "read changes, line 2: unexpected EOF" {
		t.Errorf("an input cut off ends the file: got %v", err)
	}
}

func TestContent(t *testing.T) {
	t.Parallel()
	base := event("subscription.purchased", `"quantity":5,"productId":"p","skuId":"1","unitPrice":57.60,"autoRenewEnabled":true,"customTermEndDate":"2027-06-30","tags":{"a":1,"b":[1,2.50,"x"]}`)
	replace := func(oldnew ...string) string { return strings.NewReplacer(oldnew...).Replace(base) }
	for name, in := range map[string]string{
		"white space":               replace(",", " ,\t", "{", " { ", `":`, `" : `),
		"order of keys":             replace(`"quantity":5,`, ``, `,"tags"`, `,"quantity":5,"tags"`),
		"order of the envelope":     replace(`"id":"e1",`, ``, `"subject"`, `"id":"e1","subject"`),
		"another source":            replace(`partner-center`, `graph`),
		"order in unknown fields":   replace(`"a":1,"b":[1,2.50,"x"]`, `"b":[1,2.50,"x"],"a":1`),
		"numbers in unknown fields": replace(`"a":1`, `"a":1.0`, `2.50`, `25e-1`),
		"5.0":                       replace(`"quantity":5`, `"quantity":5.0`),
		"a number in a string":      replace(`"quantity":5`, `"quantity":"5"`, `57.60`, `"57.6"`),
		"a flag in a string":        replace(`true`, `"TRUE"`),
		"a SkuId in four places":    replace(`"skuId":"1"`, `"skuId":"0001"`),
		"the same instant":          replace(`09:30:00Z`, `11:30:00.000+02:00`),
		"the day of a timestamp":    replace(`2027-06-30`, `2027-06-30T05:00:00`),
		"escapes":                   replace(`"p"`, `"\u0070"`, `"tags"`, `"t\u0061gs"`),
		"null is absent":            replace(`"quantity"`, `"reason":null,"orderId":"","other":null,"quantity"`),
		"the spec's own fields":     replace(`"specversion":"1.0"`, `"datacontenttype":"application/json"`),
		"the last of two keys":      replace(`"quantity":5`, `"quantity":4,"quantity":5`, `"a":1`, `"a":7,"a":1`),
	} {
		got, refused := jsonOf(t, base+"\n"+in)
		if len(got) != 2 || got[0].Content != got[1].Content {
			t.Errorf("%s: want the same content, refused %q\n%s", name, refused, in)
		}
	}
	for name, pair := range map[string][2]string{
		"data goes before the envelope": {
			strings.Replace(event("t", `"quantity":5,"scheduledNextTermInstructions":{}`), `"id"`, `"quantity":6,"scheduledNextTermInstructions":{"quantity":1},"id"`, 1),
			strings.TrimSuffix(event("t", `"quantity":5,"scheduledNextTermInstructions":{}`), "}") + `,"quantity":6,"scheduledNextTermInstructions":{"quantity":1}}`,
		},
		"empty instructions": {event("t", `"scheduledNextTermInstructions":null`), event("t", `"scheduledNextTermInstructions":{"product":{},"quantity":null}`)},
	} {
		got, refused := jsonOf(t, pair[0]+"\n"+pair[1])
		if len(got) != 2 || got[0].Content != got[1].Content || showChange(got[0]) != showChange(got[1]) || !got[0].NextTerm.Empty() {
			t.Errorf("%s: got %v, refused %q", name, got, refused)
		}
	}
	flat, _ := csvOf(t, "id,type,time,customerId,x,"+next+".product.y,"+next+".quantity\ne,t,2026-10-05T09:30:00Z,c,1,2,3\n")
	nested, _ := jsonOf(t, `{"id":"e","type":"t","time":"2026-10-05T09:30:00Z","data":{"customerId":"c","x":"1","scheduledNextTermInstructions":{"product":{"y":"2"},"quantity":3}}}`)
	if len(flat) != 1 || len(nested) != 1 || flat[0].Content != nested[0].Content {
		t.Errorf("unknown fields of CSV and JSON: got %v and %v", flat, nested)
	}
	seen := map[[32]byte]string{}
	for name, in := range map[string]string{
		"as it is":            base,
		"another id":          replace(`e1`, `e2`),
		"another subject":     replace(`s1`, `s2`),
		"another instant":     replace(`00Z`, `00.0000001Z`),
		"another customer":    replace(`c1`, `c2`),
		"another quantity":    replace(`"quantity":5`, `"quantity":6`),
		"no quantity":         replace(`"quantity":5`, `"quantity":null`),
		"another price":       replace(`57.60`, `57.61`),
		"another day":         replace(`06-30`, `06-29`),
		"an override":         replace(`"id"`, `"override":"why","id"`),
		"an unknown value":    replace(`"a":1`, `"a":"1"`),
		"an unknown order":    replace(`1,2.50`, `2.50,1`),
		"one more unknown":    replace(`"a":1`, `"a":1,"c":{}`),
		"instructions":        replace(`"quantity":5`, `"quantity":5,"scheduledNextTermInstructions":null`),
		"a reason in between": replace(`"quantity"`, `"reason":"r","quantity"`),
		"an order in between": replace(`"quantity"`, `"orderId":"r","quantity"`),
	} {
		got, _ := jsonOf(t, in)
		if other := seen[got[0].Content]; other != "" {
			t.Errorf("%s has the content of %s", name, other)
		}
		seen[got[0].Content] = name
	}
}

func TestCSVChanges(t *testing.T) {
	t.Parallel()
	const header = "ID,type,Time,data.customerId,subject,quantity,scheduledNextTermInstructions,scheduledNextTermInstructions.quantity,ScheduledNextTermInstructions.Product.SkuId,note\n"
	for _, tt := range []struct{ name, row, want string }{
		{"columns in any case, with data. or not", "e1,t,2026-10-05T09:30:00Z,c1,s1,5,,,,", "id=e1 type=t at=2026-10-05T09:30:00Z subject=s1 customer=c1 quantity=5"},
		{"instructions as JSON", `e1,t,2026-10-05T09:30:00Z,c1,,,"{""quantity"":3,""product"":{""skuId"":""1""}}",,,`, "id=e1 type=t at=2026-10-05T09:30:00Z customer=c1 next{ sku=0001 quantity=3 }"},
		{"instructions in columns", "e1,t,2026-10-05T09:30:00Z,c1,,,,3,1,", "id=e1 type=t at=2026-10-05T09:30:00Z customer=c1 next{ sku=0001 quantity=3 }"},
		{"no instructions", "e1,t,2026-10-05T09:30:00Z,c1,,,{},,,", "id=e1 type=t at=2026-10-05T09:30:00Z customer=c1 next{ }"},
		{"null instructions", "e1,t,2026-10-05T09:30:00Z,c1,,,null,,,", "id=e1 type=t at=2026-10-05T09:30:00Z customer=c1 next{ }"},

		{"instructions twice", "e1,t,2026-10-05T09:30:00Z,c1,,,{},3,,", `line 2: scheduledNextTermInstructions "{}": ` + ruleTwice},
		{"instructions in words", "e1,t,2026-10-05T09:30:00Z,c1,,,none,,,", `line 2: scheduledNextTermInstructions "none": want a JSON object`},
		{"a blank cell is absent", "e1,t,2026-10-05T09:30:00Z, ,,,,,,", `line 2: customerId "": every change names its customer`},
		{"a bad quantity", "e1,t,2026-10-05T09:30:00Z,c1,,x,,,,", `line 2: quantity "x": want a whole number`},
		{"a ragged row", "e1,t", "line 2: has 2 fields, the header has 10: the file is cut off or a comma is not quoted"},
		{"an open quote", `e1,"t`, "line 2: ends inside a quoted field: the file is cut off, or a quote is missing"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, refused := csvOf(t, header+tt.row+"\n")
			for _, c := range got {
				refused = append(refused, showChange(c))
			}
			if len(refused) != 1 || refused[0] != tt.want {
				t.Errorf("got  %q\nwant %q", refused, tt.want)
			}
		})
	}
	for in, want := range map[string]string{
		"id,type,time\n": "changes: line 1: column customerId is missing",
		"id,type,time,customerId,data.customerId\n": `changes: line 1: data.customerId "": stands twice in the header`,
		"": "changes: line 1: has no header row",
	} {
		if _, err := NewCSVChanges(strings.NewReader(in)); err == nil || err.Error() != want {
			t.Errorf("%q: got %v, want %s", in, err, want)
		}
	}
	r, err := NewCSVChanges(strings.NewReader(header + "e1,t,2026-10-05T09:30:00Z,c1,,,,,,hello\n"))
	if readChanges(t, r, err); !slices.Equal(r.Unknown(), []string{"note"}) {
		t.Errorf("unknown %q", r.Unknown())
	}
}

// FuzzJSONChanges checks that white space and the order of keys change
// nothing, and that what was read, written as CSV, reads as the same change.
func FuzzJSONChanges(f *testing.F) {
	f.Add(event("subscription.purchased", `"productId":"p","skuId":"1","quantity":5,"unitPrice":"57.60","isTrial":"true","x":{"b":1,"a":[]}`))
	f.Add(event("subscription.nextTermScheduled", `"scheduledNextTermInstructions":{"product":{"skuId":"2"},"quantity":1,"customTermEndDate":"2019-01-09T00:21:45.9263727"}`))
	f.Add(event("change.overridden", `"eventId":"e0","reason":"\u00fc\ud83d\ude00"`))
	f.Fuzz(func(t *testing.T, in string) {
		if strings.ContainsAny(in, "\n\r") || len(in) > 1<<14 {
			t.Skip()
		}
		got, _ := jsonOf(t, in)
		if len(got) != 1 {
			return
		}
		var members map[string]any
		d := json.NewDecoder(strings.NewReader(strings.TrimPrefix(in, "\ufeff")))
		d.UseNumber()
		if err := d.Decode(&members); err != nil {
			t.Fatalf("%q was taken, but %v", in, err)
		}
		if duplicateKeys(in) {
			return // of those, what stands for a value depends on where they stand
		}
		sorted, err := json.Marshal(members)
		if err != nil {
			t.Fatal(err)
		}
		again, refused := jsonOf(t, string(sorted))
		if len(again) != 1 || again[0].Content != got[0].Content || showChange(again[0]) != showChange(got[0]) {
			t.Fatalf("%q reads as %s\n%s reads as %v, %q", in, showChange(got[0]), sorted, again, refused)
		}
		if c := got[0]; c.ID == "" || c.Type == "" || c.CustomerID == "" || c.At.Date() == pricing.NoDate {
			t.Fatalf("%q was taken without what every change has", in)
		}
	})
}

// duplicateKeys reports whether a key stands twice anywhere.
func duplicateKeys(in string) bool {
	d := json.NewDecoder(strings.NewReader(strings.TrimPrefix(in, "\ufeff")))
	seen := map[string]bool{}
	for {
		token, err := d.Token()
		if err != nil {
			return false
		}
		if s, ok := token.(string); ok {
			if seen[s] {
				return true
			}
			seen[s] = true
		}
	}
}

// FuzzCSVChanges checks that a CSV row and the JSON object with the same
// fields are the same change, or both are refused.
func FuzzCSVChanges(f *testing.F) {
	f.Add("e1", "subscription.purchased", "2026-10-05T09:30:00Z", "c1", "5", "57.60", "true", "2027-06-30", `{"quantity":1}`, "1")
	f.Add("e1", "subscription.upgraded", "2026-10-05T09:30:00+02:00", "c1", "5.0", "1,5", "maybe", "", "null", "")
	f.Add("e1", "x", "", "c1", "", "", "", "31/31/2026", "[]", " ")
	f.Fuzz(func(t *testing.T, id, kind, at, customer, quantity, price, renew, end, instructions, note string) {
		names := []string{"id", "type", "time", "customerId", "quantity", "unitPrice", "autoRenewEnabled", "customTermEndDate", next, "note"}
		cells := []string{id, kind, at, customer, quantity, price, renew, end, instructions, note}
		data := map[string]any{}
		for i, cell := range cells {
			if strings.ContainsAny(cell, "\r\x00") || strings.ToValidUTF8(cell, "") != cell {
				t.Skip()
			}
			data[names[i]] = cell
		}
		envelope := map[string]any{"id": id, "type": kind, "time": at, "data": data}
		for name := range maps.Keys(envelope) {
			delete(data, name)
		}
		line, err := json.Marshal(envelope)
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		w := csv.NewWriter(&b)
		_ = w.WriteAll([][]string{names, cells}) // a Buffer takes everything
		fromCSV, refusedCSV := csvOf(t, b.String())
		fromJSON, refusedJSON := jsonOf(t, string(line))
		if len(fromCSV) != len(fromJSON) || len(refusedCSV) != len(refusedJSON) {
			t.Fatalf("CSV %v %q\nJSON %v %q", fromCSV, refusedCSV, fromJSON, refusedJSON)
		}
		if len(fromCSV) == 1 && (fromCSV[0].Content != fromJSON[0].Content || showChange(fromCSV[0]) != showChange(fromJSON[0])) {
			t.Fatalf("CSV  %s\nJSON %s", showChange(fromCSV[0]), showChange(fromJSON[0]))
		}
	})
}

// A number that no seats can have is understood. It is taken in with its
// defect, and billing refuses it with a code.
func TestQuantityDefects(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, data, want string }{
		{"half a seat", `"quantity":2.5`, "quantity 2.5: want a whole number"},
		{"half a seat as text", `"quantity":"2.5"`, "quantity 2.5: want a whole number"},
		{"past all bounds", `"quantity":1e18`, "quantity 1000000000000000000: want a whole number"},
		{"in instructions", `"scheduledNextTermInstructions":{"quantity":0.5}`, "scheduledNextTermInstructions.quantity 0.5: want a whole number"},
		{"whole, with a point", `"quantity":5.0`, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r, err := NewJSONChanges(strings.NewReader(event("subscription.quantityChanged", tt.data)))
			if err != nil {
				t.Fatal(err)
			}
			var c change.Change
			if refused, err := r.Next(&c); refused != nil || err != nil {
				t.Fatalf("refused %v, %v", refused, err)
			}
			if c.Defect != tt.want {
				t.Errorf("defect %q, want %q", c.Defect, tt.want)
			}
		})
	}
}
