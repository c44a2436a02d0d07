package intake

import (
	"encoding/csv"
	"fmt"
	"strings"
	"testing"
)

func TestReadPartners(t *testing.T) {
	t.Parallel()
	got, err := ReadPartners(strings.NewReader("\ufeffTaxRate,PARTNERID,PartnerName,Country,BillingCurrency,MpnId,Note\r\n" +
		`0.21,p1,"Contoso, Inc",nl,eur,6034453,x` + "\r\n" + `0.210,p1,"Contoso, Inc",NL,EUR,6034453,y` + "\r\n,p2,,,JPY,,\r\n1,p3,,,USD,,\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := "[{p1 Contoso, Inc NL EUR 6034453 0.21} {p2   JPY  0} {p3   USD  1}]"
	if s := fmt.Sprint(got.Partners); s != want || strings.Join(got.Unknown, " ") != "Note" {
		t.Errorf("got %s, unknown %q\nwant %s", s, got.Unknown, want)
	}
}

func TestReadPartnersRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, row, want string }{
		{"a blank id", ",x,NL,EUR,,", `line 2: PartnerId "": must not be blank`},
		{"an unknown currency", "p,x,NL,EURO,,", `line 2: BillingCurrency "EURO": want an ISO 4217 currency code`},
		{"a country in words", "p,x,Holland,EUR,,", `line 2: Country "Holland": want a two-letter country code`},
		{"a tax rate in per cent", "p,x,NL,EUR,,21", `line 2: TaxRate "21": want a fraction from 0 to 1, such as 0.21`},
		{"a tax rate with a sign", "p,x,NL,EUR,,21%", `line 2: TaxRate "21%": want a fraction from 0 to 1, such as 0.21`},
		{"a negative tax rate", "p,x,NL,EUR,,-0.1", `line 2: TaxRate "-0.1": want a fraction from 0 to 1, such as 0.21`},
		{"a tax rate with a comma", `p,x,NL,EUR,,"0,21"`, `line 2: TaxRate "0,21": want a fraction from 0 to 1, such as 0.21`},
		{"one id with two contents", "p,x,NL,EUR,,\np,y,NL,EUR,,", `line 3: PartnerId "p": stands on line 2 already, with other content`},
		{"a ragged row", "p,x,NL,EUR,", "line 2: has 5 fields, the header has 6: the file is cut off or a comma is not quoted"},
		{"no rows", "", "has a header and no rows"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := ReadPartners(strings.NewReader("PartnerId,PartnerName,Country,BillingCurrency,MpnId,TaxRate\n" + tt.row))
			if want := "partners: " + tt.want; err == nil || err.Error() != want || got != nil {
				t.Errorf("got %v\nwant %s", err, want)
			}
		})
	}
}

const (
	customersHeader = "CustomerId,CustomerName,CustomerDomainName,CustomerCountry,Segment,PartnerId,ResellerMpnId\n"
	relationsHeader = "CustomerId,CustomerName,CustomerDomainName,CustomerCountry,Segment,PartnerId,ResellerMpnId,Relationship\n"
)

func TestReadCustomers(t *testing.T) {
	t.Parallel()
	got, err := ReadCustomers(strings.NewReader(customersHeader + "c1,\"Müller, GmbH\",m.example,de,,p1,\nc2,School,s.example,NL,education,p1,77\nc1,\"Müller, GmbH\",m.example,DE,Commercial,p1,\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := "[{c1 Müller, GmbH m.example DE Commercial p1  } {c2 School s.example NL Education p1 77 }]"
	if s := fmt.Sprint(got.Customers); s != want {
		t.Errorf("got %s\nwant %s", s, want)
	}
}

func TestReadRelationships(t *testing.T) {
	t.Parallel()
	got, err := ReadCustomers(strings.NewReader("relationship,CustomerId,CustomerCountry,PartnerId\n,c1,DE,p\nAccepted,c2,DE,p\n" +
		"REQUESTED,c3,DE,p\ndeclined,c4,DE,p\n None ,c5,DE,p\n"))
	if err != nil {
		t.Fatal(err)
	}
	var s []string
	for _, c := range got.Customers {
		s = append(s, c.ID+" "+string(c.Relationship))
	}
	if want := "c1 , c2 accepted, c3 requested, c4 declined, c5 none"; strings.Join(s, ", ") != want || len(got.Unknown) > 0 {
		t.Errorf("got %s, unknown %q\nwant %s", strings.Join(s, ", "), got.Unknown, want)
	}
}

func TestReadCustomersRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, row, want string }{
		{"a blank id", ",x,,NL,,p,", `line 2: CustomerId "": must not be blank`},
		{"no partner", "c,x,,NL,,,", `line 2: PartnerId "": must not be blank`},
		{"no market", "c,x,,,,p,", `line 2: CustomerCountry "": want a two-letter country code`},
		{"a market in words", "c,x,,Germany,,p,", `line 2: CustomerCountry "Germany": want a two-letter country code`},
		{"one id with two contents", "c,x,,NL,,p,\nc,x,,NL,Charity,p,", `line 3: CustomerId "c": stands on line 2 already, with other content`},
		{"one id with two relationships", "c,x,,NL,,p,,\nc,x,,NL,,p,,accepted", `line 3: CustomerId "c": stands on line 2 already, with other content`},
		{"a relationship in other words", "c,x,,NL,,p,,yes", `line 2: Relationship "yes": want accepted, requested, declined, none or a blank`},
		{"a relationship that no import can have", "c,x,,NL,,p,,expired", `line 2: Relationship "expired": want accepted, requested, declined, none or a blank`},
		{"a name that is no UTF-8", "c,M\xfcller,,NL,,p,", "line 2: is not UTF-8: save the file as UTF-8"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			header := customersHeader
			if first, _, _ := strings.Cut(tt.row, "\n"); strings.Count(first, ",") == strings.Count(relationsHeader, ",") {
				header = relationsHeader
			}
			got, err := ReadCustomers(strings.NewReader(header + tt.row))
			if want := "customers: " + tt.want; err == nil || err.Error() != want || got != nil {
				t.Errorf("got %v\nwant %s", err, want)
			}
		})
	}
}

// FuzzReadPartners checks that what was read is written and read as the same.
func FuzzReadPartners(f *testing.F) {
	f.Add(partnersCSV)
	f.Add("BillingCurrency,PartnerId,TaxRate\neur,\" p \",0.10\n")
	f.Fuzz(func(t *testing.T, in string) {
		got, err := ReadPartners(strings.NewReader(in))
		if err != nil {
			return
		}
		var b strings.Builder
		w := csv.NewWriter(&b)
		_ = w.Write(strings.Split("PartnerId,PartnerName,Country,BillingCurrency,MpnId,TaxRate", ",")) // a Builder takes everything
		for _, p := range got.Partners {
			_ = w.Write([]string{p.ID, p.Name, p.Country, p.BillingCurrency, p.MpnID, p.TaxRate.String()})
		}
		w.Flush()
		again, err := ReadPartners(strings.NewReader(b.String()))
		if err != nil || fmt.Sprintf("%q", again.Partners) != fmt.Sprintf("%q", got.Partners) {
			t.Fatalf("%q: %q reads back as %v, %v", in, b.String(), again, err)
		}
	})
}

// FuzzReadCustomers checks that what was read is written and read as the same.
func FuzzReadCustomers(f *testing.F) {
	f.Add(customersHeader + "c1,\"Müller, GmbH\",m.example,de,,p1,\nc2,x,,NL,education,p1,77\n")
	f.Add(relationsHeader + "c1,x,,de,,p1,,\nc2,x,,NL,,p1,77,Accepted\nc3,x,,NL,,p1,,NONE\n")
	f.Fuzz(func(t *testing.T, in string) {
		got, err := ReadCustomers(strings.NewReader(in))
		if err != nil {
			return
		}
		var b strings.Builder
		w := csv.NewWriter(&b)
		_ = w.Write(strings.Split(strings.TrimSpace(relationsHeader), ",")) // a Builder takes everything
		for _, c := range got.Customers {
			_ = w.Write([]string{c.ID, c.Name, c.Domain, c.Country, c.Segment, c.PartnerID, c.ResellerMpnID, string(c.Relationship)})
		}
		w.Flush()
		again, err := ReadCustomers(strings.NewReader(b.String()))
		if err != nil || fmt.Sprintf("%q", again.Customers) != fmt.Sprintf("%q", got.Customers) {
			t.Fatalf("%q: %q reads back as %v, %v", in, b.String(), again, err)
		}
	})
}
