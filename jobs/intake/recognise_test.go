package intake

import (
	"strings"
	"testing"
)

const chargesHeader = "PartnerId,CustomerId,CustomerName,CustomerDomainName,CustomerCountry,InvoiceNumber,MPNID,ResellerMPNID,OrderId,OrderDate,ProductId,SkuId,AvailabilityId,SkuName,ProductName," +
	"ChargeType,UnitPrice,Quantity,Subtotal,TaxTotal,Total,Currency,PriceAdjustmentDescription,PublisherName,PublisherId,SubscriptionDescription,SubscriptionId,ChargeStartDate,ChargeEndDate," +
	"TermAndBillingCycle,EffectiveUnitPrice,UnitType,AlternateId,BillableQuantity,BillingFrequency,PricingCurrency,PCToBCExchangeRate,PCToBCExchangeRateDate,MeterDescription,ReservationOrderId," +
	"CreditReasonCode,SubscriptionStartDate,SubscriptionEndDate,ReferenceID,ProductQualifiers,PromotionID"

const legacyHeader = "PartnerId,CustomerId,CustomerName,MPNID,ResellerMPNID,OrderId,SubscriptionId,SyndicationPartnerSubscriptionNumber,OfferId,DurableOfferId,OfferName,SubscriptionStartDate," +
	"SubscriptionEndDate,ChargeStartDate,ChargeEndDate,ChargeType,UnitPrice,Quantity,Amount,TotalOtherDiscount,Subtotal,Tax,TotalForCustomer,Currency,DomainName,SubscriptionName," +
	"SubscriptionDescription,BillingCycleType"

func TestRecognise(t *testing.T) {
	t.Parallel()
	const priceSheet = "ProductTitle,ProductId,SkuId,SkuTitle,Publisher,SkuDescription,UnitOfMeasure,TermDuration,BillingPlan,Market,Currency,UnitPrice,EffectiveStartDate,EffectiveEndDate"
	for _, tt := range []struct{ name, in, want string }{
		{"partners", partnersCSV, "partners, CSV"},
		{"customers", "CustomerId,CustomerName,CustomerDomainName,CustomerCountry,Segment,PartnerId,ResellerMpnId\n", "customers, CSV"},
		{"a price sheet", priceSheet + "\r\n", "price sheet, CSV"},
		{"a price sheet with a quoted header", "\ufeff\"" + strings.ReplaceAll(priceSheet, ",", `","`) + "\"\n", "price sheet, CSV"},
		{"exchange rates", "\"CurrencyCode\",\"USDPerUnit\",\"Month\"\n", "exchange rates, CSV"},
		{"an offer matrix", "ProductTitle,ProductId,SkuId,MinLicenses,MaxLicenses,ProductSkuConversion\n", "offer matrix, CSV"},
		{"charges", chargesHeader, "charges, CSV"},
		{"charges in the newer spelling", "partnerId,customerId,chargeType,subtotal,totalForCustomer,currency,productCategory\n", "charges, CSV"},
		{"charges as JSON Lines", `{"partnerId":"p","customerId":"c","chargeType":"new","subtotal":1,"totalForCustomer":1,"currency":"EUR"}` + "\n", "charges, JSON Lines"},
		{"the legacy licence file", legacyHeader, "legacy charges, CSV"},
		{"changes as JSON Lines", event("subscription.canceled", ""), "changes, JSON Lines"},
		{"changes behind a broken line", "{broken\n" + event("subscription.canceled", ""), "changes, JSON Lines"},
		{"changes with a first line without end", `{"id":"e","type":"t","time":"` + strings.Repeat("x", 1000), "changes, JSON Lines"},
		{"changes that lack something are refused one by one", `{"id":"e","type":"t","data":{}}`, "changes, JSON Lines"},
		{"changes as CSV", "id,type,time,data.customerId,data.quantity\n", "changes, CSV"},
		{"promotions", "{\n  \"totalCount\": 0,\n  \"items\": []\n}", "promotions, JSON"},
		{"promotions on one line", `{"items":[{"id":"x"}]}`, "promotions, JSON"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := Recognise([]byte(tt.in))
			if s := got.Kind.String() + ", " + got.Format.String(); s != tt.want || got.Reason != "" {
				t.Errorf("got %s %s, want %s", s, got.Reason, tt.want)
			}
		})
	}
}

func TestRecogniseSaysWhatToDo(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, in, want string }{
		{"UTF-16", "\xff\xfeP\x00a\x00", "is UTF-16 text: save it as UTF-8"},
		{"UTF-16 the other way round", "\xfe\xff\x00P\x00a", "is UTF-16 text: save it as UTF-8"},
		{"UTF-16 without a mark", "P\x00a\x00r\x00t\x00", "is UTF-16 text: save it as UTF-8"},
		{"a binary file", "abc\x00\x01\x02", "is no text: it has zero bytes"},
		{"an old workbook", "\xd0\xcf\x11\xe0\xa1\xb1", "is an old Excel workbook: save the sheet as CSV UTF-8 (comma delimited)"},
		{"a web page", "<!DOCTYPE html>", "is XML or HTML: perhaps the answer of a web page instead of the file"},
		{"semicolons", "PartnerId;PartnerName;BillingCurrency\n", "is separated by semicolons: save it separated by commas, with decimal points, or take it again as it was downloaded"},
		{"charges without their amount", "PartnerId,CustomerId,CustomerCountry,ChargeType,Total,Currency\n", "has the columns of no known file; for charges it lacks Subtotal"},
		{"quoted fields between semicolons", "\"PartnerId\";\"CustomerId\"\n", "is separated by semicolons: save it separated by commas, with decimal points, or take it again as it was downloaded"},
		{"tabs", "PartnerId\tPartnerName\n", "is separated by tabs: save it separated by commas, or take it again as it was downloaded"},
		{"white space", " \n\n", "is empty"},
		{"a JSON array", "[\n" + event("subscription.canceled", "") + "]", "is a JSON array: write one object a line, without the brackets"},
		{"one change over several lines", strings.ReplaceAll(event("subscription.canceled", ""), ",", ",\n"), "is one JSON object over several lines: write each object on one line"},
		{"a page of line items", `{"totalCount":1,"items":[{"chargeType":"new"}]}`, "is one JSON answer with items[]: write each of its lines as one object a line"},
		{"nearly a price sheet", "ProductId,SkuId,TermDuration,BillingPlan,Currency,UnitPrice\n", "has the columns of no known file; for price sheet it lacks Market"},
		{"something else", "foo,bar\n1,2\n", `starts with "foo,bar", which is the header of no known file`},
		{"other JSON", `{"foo":1}`, "is JSON with the fields of no known file"},
		{"a header that cannot be read", "a\"b,c\n", "has a header that cannot be read: file: line 1: has a quote in a field that does not start with one"},
		{"a file of no UTF-8", "Kunde,Stra\xdfe\n", "has a header that cannot be read: file: line 1: is not UTF-8: save the file as UTF-8"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := Recognise([]byte(tt.in)); got.Kind != Unknown || got.Reason != tt.want {
				t.Errorf("got  %s %s\nwant %s", got.Kind, got.Reason, tt.want)
			}
		})
	}
}

// FuzzRecognise checks that what is unknown has a reason and what is known has none.
func FuzzRecognise(f *testing.F) {
	for _, s := range []string{partnersCSV, chargesHeader, event("x", ""), `{"items":[]}`, "[", "PK", "\xff\xfe", "{\"a\":\n{\"data\":{"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		if got := Recognise(in); (got.Kind == Unknown) != (got.Reason != "") {
			t.Fatalf("%q: %+v", in, got)
		}
	})
}

func TestMonthFromPath(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"2026-10.csv":                      "2026-10",
		"prices/NL_202610.csv":             "2026-10",
		"sheet 2026-10-01 final.csv":       "2026-10",
		"202609/NL-2026-10.csv":            "2026-10",
		"2026-10/NL.csv":                   "2026-10",
		"2026-09/month=2026-10/NL.csv":     "2026-10",
		`C:\prices\202610\NL.csv`:          "2026-10",
		"prices-2026-10.zip!NL.csv":        "2026-10",
		"2026-09.zip!2026-10/NL.csv":       "2026-10",
		"202610_2026-10.csv":               "2026-10",
		"NL20261001.csv":                   "",
		"1202610.csv":                      "",
		"202613.csv":                       "",
		"199910.csv":                       "",
		"2026-1.csv":                       "",
		"NL.csv":                           "",
		"":                                 "",
		"12026-10.csv":                     "",
		"order 4202610 of 202610/x-99.csv": "2026-10",
	} {
		got, err := MonthFromPath(in)
		if want == "" {
			if err == nil || err.Error() != "month of "+in+": neither its name nor a folder has one, such as 2026-10 or 202610; say it with --month" {
				t.Errorf("%q: got %s, %v", in, got, err)
			}
		} else if err != nil || got.String() != want {
			t.Errorf("%q: got %s, %v, want %s", in, got, err, want)
		}
	}
	_, err := MonthFromPath("x/202610-202611.csv")
	if want := `month of x/202610-202611.csv: "202610-202611.csv" names two months, 2026-10 and 2026-11; say which with --month`; err == nil || err.Error() != want {
		t.Errorf("two months: got %v", err)
	}
}
