package party

import "testing"

func TestParseRelationship(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Relationship{
		"": "", "accepted": Accepted, "Accepted": Accepted, "REQUESTED": Requested, "Declined": Declined, "none": Unasked, "None": Unasked,
	} {
		if got, ok := ParseRelationship(text); !ok || got != want {
			t.Errorf("%q is %q, %t; want %q", text, got, ok, want)
		}
	}
	for _, text := range []string{"yes", "accept", "expired", " accepted", "none."} {
		if got, ok := ParseRelationship(text); ok || got != "" {
			t.Errorf("%q is %q", text, got)
		}
	}
}

func TestBlankRelationshipStandsForAccepted(t *testing.T) {
	t.Parallel()
	for said, want := range map[Relationship]Relationship{"": Accepted, Accepted: Accepted, Requested: Requested, Declined: Declined, Unasked: Unasked} {
		if got := (Customer{Relationship: said}).Stands(); got != want {
			t.Errorf("%q stands for %q, want %q", said, got, want)
		}
	}
}
