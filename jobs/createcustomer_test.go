package jobs

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pipeline/party"
)

// office is a bucket of one partner and one customer of it.
func office(t *testing.T) Env {
	t.Helper()
	env := envOn(bucket.NewMemory())
	files := map[string]string{
		"partners.csv":  "PartnerId,BillingCurrency\nP,EUR\nQ,USD\n",
		"customers.csv": "CustomerId,CustomerName,CustomerDomainName,CustomerCountry,PartnerId\nC1,Voorbeeld,voorbeeld.example,NL,P\nno-domain,Zonder,,NL,P\n",
	}
	files["changes.jsonl"] = `{"specversion":"1.0","id":"e1","source":"x","type":"subscription.purchased","time":"2025-10-05T09:30:00Z","subject":"S",` +
		`"data":{"customerId":"orphan","productId":"A","skuId":"0001","termDuration":"P1Y","billingCycle":"monthly","quantity":1}}` + "\n"
	for _, name := range []string{"partners.csv", "customers.csv", "changes.jsonl"} {
		if _, err := env.Ingest(t.Context(), IngestPlan{Paths: []string{"-"}, Stdin: strings.NewReader(files[name])}); err != nil {
			t.Fatal(err)
		}
	}
	return env
}

func planned(id, key string) CustomerPlan {
	return CustomerPlan{Key: key, Customer: party.Customer{ID: id, Name: "Nieuwe, \"Klant\"", Domain: id + ".example", Country: "NL", PartnerID: "P", ResellerMpnID: "77"}}
}

func TestCreateCustomer(t *testing.T) {
	t.Parallel()
	env := office(t)
	plan := planned("C2", "key")
	plan.Customer.Segment = "education"
	created, err := env.CreateCustomer(t.Context(), nil, plan)
	want := plan.Customer
	want.Segment, want.Relationship = "Education", party.Unasked
	if err != nil || created.Customer != want || created.Input != 4 || created.Again {
		t.Fatalf("%+v, %v, want %+v", created, err, want)
	}
	reading, err := env.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if fact, ok := reading.Catalog().CustomerFact("C2"); !ok || fact.Customer != want || fact.Word != party.Unasked {
		t.Errorf("the ledger has %+v", fact)
	}
	if in := reading.Inputs()[3]; strings.Contains(in.Name, "key") || in.Records != 1 {
		t.Errorf("the input is %+v", in)
	}
	verified, err := env.Verify(t.Context(), VerifyPlan{})
	if err != nil || len(verified.Findings)+len(verified.Notices) > 0 {
		t.Errorf("verify: %+v, %v", verified.Findings, err)
	}
}

// The same key with the same content has the same answer, whatever came meanwhile.
func TestCreateCustomerOnceMore(t *testing.T) {
	t.Parallel()
	env := office(t)
	first, err := env.CreateCustomer(t.Context(), nil, planned("C2", "key"))
	if err != nil {
		t.Fatal(err)
	}
	reading, err := env.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	rename := "CustomerId,CustomerName,CustomerCountry,PartnerId\nC2,Anders,NL,P\n"
	if _, err := env.Ingest(t.Context(), IngestPlan{Paths: []string{"-"}, Stdin: strings.NewReader(rename)}); err != nil {
		t.Fatal(err)
	}
	again, err := env.CreateCustomer(t.Context(), reading, planned("C2", "key"))
	if first.Again = true; err != nil || again != first {
		t.Errorf("%+v, %v, want %+v", again, err, first)
	}
	other := planned("C3", "key")
	other.Customer.Domain = "C2.example"
	if _, err := env.CreateCustomer(t.Context(), nil, other); !errors.Is(err, ErrKeyUsed) {
		t.Errorf("another id under the key: %v", err)
	}
	other.AnyID = true
	if again, err = env.CreateCustomer(t.Context(), nil, other); err != nil || again != first {
		t.Errorf("any id under the key: %+v, %v, want %+v", again, err, first)
	}
	other.Customer.Name = "Iemand anders"
	if _, err := env.CreateCustomer(t.Context(), nil, other); !errors.Is(err, ErrKeyUsed) {
		t.Errorf("another name under the key: %v", err)
	}
	theirs := planned("C4", "key")
	theirs.Customer.PartnerID = "Q"
	if created, err := env.CreateCustomer(t.Context(), nil, theirs); err != nil || created.Again {
		t.Errorf("the same key of another partner's: %+v, %v", created, err)
	}
}

func TestCreateCustomerRefuses(t *testing.T) {
	t.Parallel()
	env := office(t)
	for _, tt := range []struct {
		name   string
		change func(*CustomerPlan)
		want   string // "" where it is created
	}{
		{"an id that is taken", func(p *CustomerPlan) { p.Customer.ID = "C1" }, "the id C1 is taken"},
		{"one that is taken in other letters", func(p *CustomerPlan) { p.Customer.ID = "c1" }, "the id c1 is taken"},
		{"one under which something has happened", func(p *CustomerPlan) { p.Customer.ID = "orphan" }, "the id orphan is taken"},
		{"a domain that the partner has", func(p *CustomerPlan) { p.Customer.Domain = "Voorbeeld.example" }, "the partner has a customer of the domain voorbeeld.example already: C1"},
		{"a partner that nobody knows", func(p *CustomerPlan) { p.Customer.PartnerID = "R" }, "partner R is not known"},
		{"a country that is none", func(p *CustomerPlan) { p.Customer.Country = "Nederland" }, `CustomerCountry "Nederland": want a two-letter country code`},
		{"a name that would be read differently", func(p *CustomerPlan) { p.Customer.Name = " Klant" }, "would be read as"},

		{"a duplicate that is wanted", func(p *CustomerPlan) { p.Customer.Domain, p.AllowDuplicate = "voorbeeld.example", true }, ""},
		{"the domain of another partner's", func(p *CustomerPlan) { p.Customer.PartnerID, p.Customer.Domain = "Q", "voorbeeld.example" }, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			plan := planned("new "+fmt.Sprint(len(tt.name)), tt.name)
			tt.change(&plan)
			_, err := env.CreateCustomer(t.Context(), nil, plan)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// Of many who create the same at once, one does.
func TestCreateCustomerTogether(t *testing.T) {
	t.Parallel()
	env := office(t)
	env.Patience = time.Minute
	var wait sync.WaitGroup
	results := make([]CustomerResult, 8)
	errs := make([]error, len(results))
	for i := range results {
		plan := planned(fmt.Sprint("id-", i), "key")
		plan.Customer.Domain, plan.AnyID = "samen.example", true
		wait.Go(func() { results[i], errs[i] = env.CreateCustomer(t.Context(), nil, plan) })
	}
	wait.Wait()
	created := 0
	for i, r := range results {
		if errs[i] != nil || r.Customer != results[0].Customer {
			t.Errorf("%+v, %v", r, errs[i])
		}
		if !r.Again {
			created++
		}
	}
	if created != 1 {
		t.Errorf("created %d times", created)
	}
}

// Whether a customer has agreed is nothing to its bills: what has happened is billed.
func TestRelationshipsDoNotChangeBills(t *testing.T) {
	t.Parallel()
	march := marchMonth
	bills := func(relationship string) BillResult {
		env := envOn(bucket.NewMemory())
		plan := IngestPlan{Folder: "../testdata/demo", Paths: []string{"partners.csv", "customers.csv", "fxrates.csv", "promotions.json", "offermatrix.csv", "prices", "changes"}}
		if _, err := env.Ingest(t.Context(), plan); err != nil {
			t.Fatal(err)
		}
		if relationship != "" {
			reading, err := env.Read(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			var file bytes.Buffer
			rows := [][]string{{"CustomerId", "CustomerName", "CustomerDomainName", "CustomerCountry", "Segment", "PartnerId", "ResellerMpnId", "Relationship"}}
			for c := range reading.Catalog().Customers {
				rows = append(rows, []string{c.ID, c.Name, c.Domain, c.Country, c.Segment, c.PartnerID, c.ResellerMpnID, relationship})
			}
			if err := csv.NewWriter(&file).WriteAll(rows); err != nil {
				t.Fatal(err)
			}
			if _, err := env.Ingest(t.Context(), IngestPlan{Paths: []string{"-"}, Stdin: &file}); err != nil {
				t.Fatal(err)
			}
		}
		for m := march - 2; m <= march; m++ {
			result, err := env.Bill(t.Context(), m, false)
			if err != nil {
				t.Fatal(err)
			}
			if m == march {
				return result
			}
			if _, err := env.Close(t.Context(), m, ""); err != nil {
				t.Fatal(err)
			}
		}
		panic("unreachable")
	}
	without := bills("")
	with := bills("Declined")
	if len(without.Invoices) == 0 || fmt.Sprint(with.Invoices) != fmt.Sprint(without.Invoices) || fmt.Sprint(with.Exceptions) != fmt.Sprint(without.Exceptions) {
		t.Errorf("declined: %+v\nblank: %+v", with, without)
	}
}
