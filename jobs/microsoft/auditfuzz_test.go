package microsoft

import (
	"bytes"
	"encoding/json"
	"testing"
)

// FuzzAuditRecord: whatever a record says, it is counted once, its changes can be
// written for ingest, and reading it again says the same.
func FuzzAuditRecord(f *testing.F) {
	const whole = `{"Id":"S1","OfferId":"A:1:C","Quantity":10,"Status":"active","CommitmentEndDate":"2027-09-14T00:00:00Z","AutoRenewEnabled":true,"BillingCycle":"monthly","TermDuration":"P1Y"}`
	const order = `{"Id":"O","BillingCycle":"Monthly","LineItems":[{"OfferId":"A:1:C","SubscriptionId":"S1","Quantity":25,"TermDuration":"P1Y","CustomTermEndDate":"2027-06-30"}]}`
	for _, seed := range [][5]string{
		{"subscription", "update_subscription", whole, `{"Id":"S1","OfferId":"A:1:C","Quantity":12,"Status":"suspended","TermDuration":"P1Y"}`, "2026-10-20T09:30:00Z"},
		{"subscription", "upgrade_subscription", whole, `{"Id":"S1","OfferId":"B:1:C","Quantity":10,"Status":"active","TermDuration":"P3Y","BillingCycle":"annual"}`, "2026-10-20T09:30:00"},
		{"subscription", "convert_trial_subscription", `{"Id":"S1","OfferId":"A:1:C","IsTrial":true}`, whole, "2026-10-20"},
		{"subscription", "update_subscription", whole, `{"Id":"S1","OfferId":"A:1:C","TermDuration":"P1Y","ScheduledNextTermInstructions":{"Product":{"SkuId":"2"},"Quantity":"7","CustomTermEndDate":"2027-12-31"}}`, "x"},
		{"order", "create_order", "", order, "2026-10-20T09:30:00Z"},
	} {
		f.Add(seed[0], seed[1], seed[2], seed[3], seed[4], "C")
	}
	f.Fuzz(func(t *testing.T, resource, operation, before, after, at, customer string) {
		item, err := json.Marshal(map[string]string{"resourceType": resource, "operationType": operation, "operationStatus": "succeeded",
			"resourceOldValue": before, "resourceNewValue": after, "operationDate": at, "customerId": customer})
		if err != nil {
			t.Skip(err)
		}
		read := func() (AuditResult, string) {
			var r AuditResult
			if err := r.add([]json.RawMessage{item, item}, make(map[string]bool)); err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			if err := WriteChanges(&out, r.Changes); err != nil {
				t.Fatal(err)
			}
			return r, out.String()
		}
		r, text := read()
		if r.Records != 1 || (r.Ignored == 0) != (len(r.Changes)+len(r.Left) > 0) {
			t.Errorf("%d records, %d ignored, %d changes, %d left", r.Records, r.Ignored, len(r.Changes), len(r.Left))
		}
		if _, again := read(); again != text {
			t.Errorf("then\n%s\nfirst\n%s", again, text)
		}
	})
}
