package ledger_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pipeline/party"
)

// Where nobody has a relationship the object has the bytes that it had before there
// were relationships, so that what closed months kept can still be made again.
func TestCustomersWithoutRelationshipsKeepTheirBytes(t *testing.T) {
	t.Parallel()
	s := newStore()
	o := must(s.PutCustomers(s.ctx, []party.Customer{
		{ID: "C1", Name: "Müller", Domain: "m.example", Country: "DE", Segment: "Commercial", PartnerID: "P"},
		{ID: "C2", Country: "NL", Segment: "Education", PartnerID: "P", ResellerMpnID: "77"},
	}))
	const before = "6ed805c440fb457e7c7a4f609bb8f7000c7cee64605a44a98c7b35dbe9df81dc"
	if o.SHA256 != before {
		t.Errorf("sha256 %s, before %s", o.SHA256, before)
	}
}

// Relationships come back by each way on which customers are read: as they stand now,
// and as closes knew them, whether or not the object has the column.
func TestRelationshipsComeBack(t *testing.T) {
	t.Parallel()
	said := []party.Relationship{"", party.Accepted, party.Requested, party.Declined, party.Unasked}
	var with, without []party.Customer
	for i := range 3000 { // some pages
		c := party.Customer{ID: fmt.Sprintf("C%05d", i), Name: fmt.Sprint("Customer ", i), Country: "DE", Segment: "Commercial", PartnerID: "P"}
		without = append(without, c)
		c.Relationship = said[i%len(said)]
		with = append(with, c)
	}
	for _, tt := range []struct {
		name      string
		customers []party.Customer
	}{{"with the column", with}, {"without it", without}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newStore()
			objects := must(s.PutParties(s.ctx, slices.Clone(tt.customers)))
			s.take(ledger.Customers, "", objects...)
			c := s.load(t)
			k := closed("2023-06", len(s.inputs))
			k.AtClose = &ledger.AtClose{Parties: objects}
			parties := s.Parties(s.ctx, []ledger.Close{k})
			defer parties.Close()
			for i := 0; i < len(tt.customers); i += 1 + i%700 { // some side by side, some pages away
				want := tt.customers[i]
				if got, ok := c.CustomerFact(want.ID); !ok || got.Customer != want {
					t.Fatalf("now %+v, want %+v", got, want)
				}
				known := must(parties.Of(want.ID))
				if len(known) != 1 || known[0].Customer != want {
					t.Fatalf("at the close %+v, want %+v", known, want)
				}
			}
		})
	}
}

// What an input repeats is no news, and a blank is none: the word is as old as the input
// that said it first.
func TestWhenARelationshipWasSaid(t *testing.T) {
	t.Parallel()
	s := newStore()
	for i, tt := range []struct {
		says, word party.Relationship
		since      int64
	}{
		{"", "", 0},
		{party.Unasked, party.Unasked, 2},
		{party.Unasked, party.Unasked, 2},
		{"", party.Unasked, 2},
		{party.Unasked, party.Unasked, 2},
		{party.Declined, party.Declined, 6},
		{"", party.Declined, 6},
		{party.Unasked, party.Unasked, 8},
	} {
		name := fmt.Sprint("as input ", i+1, " names it")
		s.take(ledger.Customers, "", must(s.PutCustomers(s.ctx, []party.Customer{{ID: "C", Name: name, PartnerID: "P", Country: "DE", Relationship: tt.says}})))
		got, ok := s.load(t).CustomerFact("C")
		if !ok || got.Relationship != tt.says || got.Word != tt.word || got.Said != tt.since || got.Name != name {
			t.Errorf("after input %d: %+v, want %q, and %q since input %d", i+1, got, tt.says, tt.word, tt.since)
		}
	}
	if got, ok := s.load(t).CustomerFact("nobody"); ok {
		t.Errorf("nobody is %+v", got)
	}
}
