package intake

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/shopspring/decimal"

	"github.com/calends/calends/pricing"
	"github.com/calends/calends/pricing/pricesheet/table"
)

// readCharges returns all charges and refusals of a file that is recognised.
func readCharges(t testing.TB, in string) (charges []Charge, refused, unknown []string) {
	t.Helper()
	what := Recognise([]byte(in))
	if what.Kind != Charges && what.Kind != LegacyCharges {
		t.Fatalf("recognised %+v", what)
	}
	r, err := NewCharges(strings.NewReader(in), what)
	if err != nil {
		t.Fatal(err)
	}
	for {
		var c Charge
		e, err := r.Next(&c)
		switch {
		case errors.Is(err, io.EOF):
			return charges, refused, r.Unknown()
		case err != nil:
			t.Fatal(err)
		case e != nil:
			refused = append(refused, e.Error())
		default:
			charges = append(charges, c)
		}
	}
}

// showCharge prints every field by its name, so that none is forgotten.
func showCharge(c Charge) string {
	var b strings.Builder
	v := reflect.ValueOf(c)
	for i := range v.NumField() {
		name := v.Type().Field(i).Name
		switch f := v.Field(i).Interface().(type) {
		case decimal.Decimal:
			if !f.IsZero() {
				fmt.Fprintf(&b, "%s=%s ", name, f)
			}
		case pricing.Date:
			if f != pricing.NoDate {
				fmt.Fprintf(&b, "%s=%s ", name, f)
			}
		case string:
			if f != "" {
				fmt.Fprintf(&b, "%s=%s ", name, f)
			}
		}
	}
	return strings.TrimSpace(b.String())
}

// documented is the sample of each column in Microsoft's documentation.
const documented = `0e195b37,196e2273,Johnny Modern Cust DE2,test.onmicrosoft.com,DE,G002297372,6034453,6048879,0ET2qaZv,10/3/2020,DZH318Z0BNZ5,006G,DZH318Z08B80,Tables - LRS,Tables,New,0.045,1,0.01,0,0.045,EUR,"[""15.0% Partner earned credit for services managed""]",Microsoft,NA,Azure plan,307628f1,9/1/2020,9/30/2020,"One-Year commitment for monthly/yearly billing",0.03825,1 GB/Month,6dc5c039750a,0.005001,Monthly,USD,0.846202666,9/30/2020,Tables - LRS Data Stored,55eebd03,Azure Credit Offer,5/1/2021,4/30/2022,025d68a6,"[""Add-on""]",CFQ7TTC0LDPB:1:CFQ7TTC0GZQJ`

const documentedCharge = `PartnerID=0e195b37 CustomerID=196e2273 CustomerName=Johnny Modern Cust DE2 CustomerDomainName=test.onmicrosoft.com CustomerCountry=DE InvoiceNumber=G002297372 MpnID=6034453 ResellerMpnID=6048879 ` +
	`OrderID=0ET2qaZv OrderDate=2020-10-03 ProductID=DZH318Z0BNZ5 SkuID=006G AvailabilityID=DZH318Z08B80 SkuName=Tables - LRS ProductName=Tables ChargeType=New UnitPrice=0.045 Quantity=1 Subtotal=0.01 Total=0.045 ` +
	`Currency=EUR PriceAdjustmentDescription=["15.0% Partner earned credit for services managed"] PublisherName=Microsoft PublisherID=NA SubscriptionDescription=Azure plan SubscriptionID=307628f1 ` +
	`ChargeStartDate=2020-09-01 ChargeEndDate=2020-09-30 TermAndBillingCycle=One-Year commitment for monthly/yearly billing EffectiveUnitPrice=0.03825 UnitType=1 GB/Month AlternateID=6dc5c039750a ` +
	`BillableQuantity=0.005001 BillingFrequency=Monthly PricingCurrency=USD PCToBCExchangeRate=0.846202666 PCToBCExchangeRateDate=2020-09-30 MeterDescription=Tables - LRS Data Stored ReservationOrderID=55eebd03 ` +
	`CreditReasonCode=Azure Credit Offer SubscriptionStartDate=2021-05-01 SubscriptionEndDate=2022-04-30 ReferenceID=025d68a6 ProductQualifiers=["Add-on"] PromotionID=CFQ7TTC0LDPB:1:CFQ7TTC0GZQJ`

// newer returns the header in camelCase, with totalForCustomer.
func newer() []string {
	names := strings.Split(strings.NewReplacer("MPNID", "MpnId", "ReferenceID", "ReferenceId", "PromotionID", "PromotionId", ",Total,", ",TotalForCustomer,", "PCToBC", "pcToBC").Replace(chargesHeader), ",")
	for i, name := range names {
		names[i] = strings.ToLower(name[:1]) + name[1:]
	}
	return names
}

func TestChargesInEverySpelling(t *testing.T) {
	t.Parallel()
	cells, err := csv.NewReader(strings.NewReader(documented)).Read()
	if err != nil {
		t.Fatal(err)
	}
	asText, asValues := map[string]any{}, map[string]any{"attributes": map[string]string{"objectType": "x"}}
	for i, name := range newer() {
		asText[name], asValues[name] = cells[i], cells[i]
		switch {
		case strings.HasPrefix(cells[i], "["):
			asValues[name] = json.RawMessage(strings.ReplaceAll(cells[i], "[", "[ "))
		case slices.Contains([]string{"unitPrice", "quantity", "subtotal", "taxTotal", "totalForCustomer", "effectiveUnitPrice", "billableQuantity", "pcToBCExchangeRate"}, name):
			asValues[name] = json.Number(cells[i])
		case strings.Contains(strings.ToLower(name), "date"):
			d, _ := table.Time([]byte(cells[i]))
			asValues[name] = d.At.Date().String() + "T18:30:06.6045692Z"
		}
	}
	text, err := json.Marshal(asText)
	if err != nil {
		t.Fatal(err)
	}
	values, err := json.Marshal(asValues)
	if err != nil {
		t.Fatal(err)
	}
	camel := strings.Join(newer(), ",")
	for _, tt := range []struct{ name, in, unknown string }{
		{"the older spelling", chargesHeader + "\r\n" + documented + "\r\n", ""},
		{"the newer spelling", "\ufeff" + camel + "\n" + documented, ""},
		{"Tier2MpnId and ProductCategory", "ProductCategory," + strings.Replace(chargesHeader, "ResellerMPNID", "Tier2MpnId", 1) + "\nx," + documented, "ProductCategory"},
		{"JSON Lines of text", string(text), ""},
		{"JSON Lines of values", string(values), "attributes"},
		{"other dates", chargesHeader + "\n" + strings.NewReplacer("10/3/2020", "2020-10-03", "9/1/2020", "2020-09-01T00:00:00Z", "9/30/2020", "9/30/2020 12:00:00 AM").Replace(documented), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, refused, unknown := readCharges(t, tt.in)
			if len(got) != 1 || showCharge(got[0]) != documentedCharge {
				t.Errorf("got  %v %q\nwant %s", got, refused, documentedCharge)
			}
			if strings.Join(unknown, " ") != tt.unknown {
				t.Errorf("unknown %q, want %q", unknown, tt.unknown)
			}
		})
	}
	if n := len(strings.Fields(strings.ReplaceAll(chargesHeader, ",", " "))); n != 46 || len(chargeColumns()) != 46 {
		t.Errorf("%d columns, %d in the reader", n, len(chargeColumns()))
	}
}

func TestLegacyCharges(t *testing.T) {
	t.Parallel()
	got, refused, unknown := readCharges(t, legacyHeader+"\n"+`8ddd,12AB,Test Customer A,4390934,,566890604832738111,usCBMgAAAAAAAAIA,fb977ab5,FE616D64,1017D7F3,Office 365 (Plan E3),2/1/2019 0:00,1/31/2020 0:00,2/1/2019 0:00,2/28/2019 23:59,Cycle fee,6.82,2,13.32,2.32,11,0,11,EUR,example.onmicrosoft.com,PROJECT ONLINE,PROJECT ONLINE PREMIUM,Monthly`+"\n")
	want := `PartnerID=8ddd CustomerID=12AB CustomerName=Test Customer A CustomerDomainName=example.onmicrosoft.com MpnID=4390934 OrderID=566890604832738111 ProductID=1017D7F3 AvailabilityID=FE616D64 ` +
		`SkuName=PROJECT ONLINE ProductName=Office 365 (Plan E3) ChargeType=Cycle fee UnitPrice=6.82 Quantity=2 Subtotal=11 Total=11 Currency=EUR SubscriptionDescription=PROJECT ONLINE PREMIUM SubscriptionID=fb977ab5 ` +
		`ChargeStartDate=2019-02-01 ChargeEndDate=2019-02-28 AlternateID=usCBMgAAAAAAAAIA BillingFrequency=Monthly SubscriptionStartDate=2019-02-01 SubscriptionEndDate=2020-01-31 Amount=13.32 TotalOtherDiscount=2.32`
	if len(got) != 1 || showCharge(got[0]) != want || len(unknown) != 0 {
		t.Errorf("got  %v %q, unknown %q\nwant %s", got, refused, unknown, want)
	}
}

func TestChargeRefusals(t *testing.T) {
	t.Parallel()
	const header = "CustomerId,ChargeType,OrderDate,UnitPrice,Subtotal,TaxTotal,totalForCustomer,Currency\n"
	for _, tt := range []struct{ name, row, want string }{
		{"a decimal comma", `c,new,,"1,5",1,0,1,EUR`, `line 2: UnitPrice "1,5": ` + table.RuleDecimal},
		{"day/month/year", "c,new,31/12/2026,1,1,0,1,EUR", `line 2: OrderDate "31/12/2026": ` + ruleChargeDate},
		{"an unknown currency", "c,new,,1,1,0,1,EUX", `line 2: Currency "EUX": want an ISO 4217 currency code`},
		{"no total", "c,new,,1,1,0,,EUR", `line 2: totalForCustomer "": must not be blank`},
		{"no subtotal", "c,new,,1, ,0,1,EUR", `line 2: Subtotal " ": must not be blank`},
		{"no currency", "c,new,,1,1,0,1,", `line 2: Currency "": must not be blank`},
		{"a ragged row", "c,new", "line 2: has 2 fields, the header has 8: the file is cut off or a comma is not quoted"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, refused, _ := readCharges(t, header+tt.row+"\nc,credit,,,-1.50,,-1.5,eur\n")
			if len(refused) != 1 || refused[0] != tt.want {
				t.Errorf("got  %q\nwant %s", refused, tt.want)
			}
			if len(got) != 1 || got[0].Line != 3 || showCharge(got[0]) != "CustomerID=c ChargeType=credit Subtotal=-1.5 Total=-1.5 Currency=EUR" {
				t.Errorf("reading goes on: got %v", got)
			}
		})
	}
	good := `{"customerId":"c","chargeType":"new","subtotal":"1","totalForCustomer":1E+0,"currency":"EUR","productQualifiers":[],"resellerMpnId":"","tier2MpnId":"7"}`
	for _, tt := range []struct{ name, line, want string }{
		{"no JSON", "hello", `line 2: "hello": is no JSON object (at character 1: invalid character 'h' looking for beginning of value): charges are one object a line`},
		{"an object for a price", strings.Replace(good, `"1"`, `{"a":1}`, 1), `line 2: subtotal "{\"a\":1}": want text or a number`},
		{"a bad number", strings.Replace(good, `"1"`, `"1.000,00"`, 1), `line 2: Subtotal "1.000,00": ` + table.RuleDecimal},
		{"no total", strings.Replace(good, `1E+0`, `null`, 1), `line 2: Total "": must not be blank`},
		{"a line longer than 1 MiB", strings.Replace(good, "new", strings.Repeat("x", 2<<20), 1), "line 2: " + ruleLong},
		{"bytes that are no UTF-8", strings.Replace(good, "new", "\xff", 1), "line 2: " + table.RuleUTF8},
	} {
		t.Run("JSON, "+tt.name, func(t *testing.T) {
			t.Parallel()
			got, refused, _ := readCharges(t, good+"\n"+tt.line+"\n"+good)
			if len(refused) != 1 || refused[0] != tt.want {
				t.Errorf("got  %.300q\nwant %s", refused, tt.want)
			}
			if len(got) != 2 || got[1].Line != 3 || showCharge(got[1]) != "CustomerID=c ResellerMpnID=7 ChargeType=new Subtotal=1 Total=1 Currency=EUR" {
				t.Errorf("reading goes on: got %v", got)
			}
		})
	}
	for in, want := range map[string]string{
		"CustomerId,ChargeType,Subtotal,Currency\n":                      "charges: line 1: column Total is missing",
		"CustomerId,customerid,ChargeType,Subtotal,Total,Currency\n":     `charges: line 1: customerid "": stands twice in the header`,
		"CustomerId,ChargeType,Subtotal,Total,TotalForCustomer,Currency": "",
	} {
		_, err := NewCharges(strings.NewReader(in), Recognised{Kind: Charges, Format: CSV})
		if got := fmt.Sprint(err); got != want && (err != nil || want != "") {
			t.Errorf("%q: got %s, want %s", in, got, want)
		}
	}
}

// chargeCells returns a charge as the cells of the 46 columns.
func chargeCells(c Charge) []string {
	cells := make([]string, 0, 46)
	v := reflect.ValueOf(c)
	for i := 1; i <= 46; i++ {
		cells = append(cells, fmt.Sprint(v.Field(i).Interface()))
	}
	return cells
}

// FuzzChargesCSV checks that a charge written in the 46 columns reads as the
// same charge, from CSV and from JSON.
func FuzzChargesCSV(f *testing.F) {
	f.Add(documented)
	f.Add(strings.Repeat(",", 18) + "1,,2,EUR" + strings.Repeat(",", 24))
	f.Fuzz(func(t *testing.T, row string) {
		if strings.ContainsAny(row, "\r") {
			t.Skip()
		}
		r, err := NewCharges(strings.NewReader(chargesHeader+"\n"+row), Recognised{Kind: Charges, Format: CSV})
		if err != nil {
			t.Fatal(err)
		}
		var c Charge
		if refused, err := r.Next(&c); refused != nil || err != nil {
			return
		}
		var b strings.Builder
		w := csv.NewWriter(&b)
		_ = w.WriteAll([][]string{newer(), chargeCells(c)}) // a Builder takes everything
		again, refused, _ := readCharges(t, b.String())
		if len(again) != 1 || showCharge(again[0]) != showCharge(c) {
			t.Fatalf("%s\nreads back as %v, %q", showCharge(c), again, refused)
		}
		object := map[string]string{}
		for i, name := range newer() {
			object[name] = chargeCells(c)[i]
		}
		line, err := json.Marshal(object)
		if err != nil {
			t.Fatal(err)
		}
		again, refused, _ = readCharges(t, string(line))
		if len(again) != 1 || showCharge(again[0]) != showCharge(c) {
			t.Fatalf("%s\nreads from JSON as %v, %q", showCharge(c), again, refused)
		}
	})
}

// FuzzChargesJSON checks that the order of keys changes nothing, and that the
// amounts of what was taken are there.
func FuzzChargesJSON(f *testing.F) {
	f.Add(`{"customerId":"c","chargeType":"new","subtotal":"1","totalForCustomer":1E+0,"currency":"EUR","productQualifiers":["a", "b"],"x":{}}`)
	f.Fuzz(func(t *testing.T, line string) {
		if strings.ContainsAny(line, "\n\r") || len(line) > 1<<14 || duplicateKeys(strings.ToLower(line)) {
			t.Skip()
		}
		read := func(s string) (string, bool) {
			r, err := NewCharges(strings.NewReader(s), Recognised{Kind: Charges, Format: JSONLines})
			if err != nil {
				t.Fatal(err)
			}
			var c Charge
			refused, err := r.Next(&c)
			return showCharge(c), refused == nil && err == nil
		}
		got, ok := read(line)
		if !ok {
			return
		}
		var members map[string]any
		d := json.NewDecoder(strings.NewReader(strings.TrimPrefix(line, "\ufeff")))
		d.UseNumber()
		if err := d.Decode(&members); err != nil {
			t.Fatalf("%q was taken, but %v", line, err)
		}
		for name := range members {
			if n := table.NormalName(name); n == "tier2mpnid" || n == "total" || strings.ContainsAny(name, " \t") || name != strings.ToValidUTF8(name, "") {
				return // two spellings of one column
			}
		}
		var sorted strings.Builder
		e := json.NewEncoder(&sorted)
		e.SetEscapeHTML(false)
		if err := e.Encode(members); err != nil {
			t.Fatal(err)
		}
		if again, ok := read(sorted.String()); !ok || strings.ReplaceAll(again, " ", "") != strings.ReplaceAll(got, " ", "") {
			if strings.ContainsAny(line, "[\\") {
				return // arrays stand as they are spelled
			}
			t.Fatalf("%q reads as %s\n%s reads as %s, %v", line, got, sorted.String(), again, ok)
		}
	})
}

func TestChargesTellWhatTheyHave(t *testing.T) {
	t.Parallel()
	const columns = "CustomerId,ChargeType,Subtotal,Total,Currency,UnitPrice,PromotionId,Discount Details,Empty\n"
	for _, f := range []struct{ name, in, promotion, unitPrice, tax, extra string }{
		{"a blank cell is there, and not filled", columns + "c,new,1,1,EUR,,,5 off,\n", "present", "present", "", "map[Discount Details:5 off]"},
		{"a cell with something is filled", columns + "c,new,1,1,EUR,2,P:1,,\n", "filled", "filled", "", "map[]"},
		{"an object has its own keys", `{"customerId":"c","chargeType":"new","subtotal":1,"totalForCustomer":1,"currency":"EUR","promotionId":"","taxTotal":0,` +
			`"attributes":{"objectType": "x"},"note":null,"discountDetails":"5 off"}`, "present", "", "filled", `map[attributes:{"objectType": "x"} discountDetails:5 off]`},
	} {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			r, err := NewCharges(strings.NewReader(f.in), Recognise([]byte(f.in)))
			if err != nil {
				t.Fatal(err)
			}
			r.KeepUnknown()
			var c Charge
			if refused, err := r.Next(&c); refused != nil || err != nil {
				t.Fatal(refused, err)
			}
			for column, want := range map[string]string{"PromotionId": f.promotion, "unitprice": f.unitPrice, "TaxTotal": f.tax, "Nothing": ""} {
				got := ""
				switch i := r.Column(column); {
				case c.Filled.Has(i):
					got = "filled"
				case c.Present.Has(i):
					got = "present"
				}
				if got != want {
					t.Errorf("%s is %q, want %q", column, got, want)
				}
			}
			if got := fmt.Sprint(c.Extra); got != f.extra {
				t.Errorf("extra %s, want %s", got, f.extra)
			}
		})
	}
}
