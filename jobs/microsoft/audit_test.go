package microsoft_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/calends/calends/jobs/intake"
	"github.com/calends/calends/jobs/microsoft"
	"github.com/calends/calends/jobs/microsoft/microsofttest"
	"github.com/calends/calends/jobs/microsoft/web"
	"github.com/calends/calends/pipeline/change"
	"github.com/calends/calends/pricing"
)

const (
	customer = "0c39d6d5-c70d-4c55-bc02-f620844f3fd1"
	sub      = "a4c1340d-6911-4758-bba3-0c4c6007d161"
)

// paid is a subscription as audit records have it; and is merged over it.
func paid(and string) string {
	resource := map[string]any{
		"Id": strings.ToUpper(sub), "OfferId": "CFQ7TTC0LH18:0001:CFQ7TTC0K971", "Quantity": 10, "Status": "active",
		"CommitmentEndDate": "2027-09-14T00:00:00Z", "AutoRenewEnabled": true, "IsTrial": false, "BillingType": "license",
		"BillingCycle": "monthly", "TermDuration": "P1Y", "FriendlyName": "Basic", "ProductType": map[string]string{"Id": "OnlineServicesNCE"},
	}
	if err := json.Unmarshal([]byte("{"+and+"}"), &resource); err != nil {
		panic(and + ": " + err.Error())
	}
	return compact(resource)
}

func compact(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(data)
}

// record is an audit record; and is merged over it.
func record(operation, before, after, and string) string {
	r := map[string]any{
		"customerId": strings.ToUpper(customer), "resourceType": "subscription", "operationType": operation, "operationStatus": "succeeded",
		"operationDate": "2026-10-20T09:30:00.0589308Z", "userPrincipalName": "admin@example.com", "resourceNewValue": after,
	}
	if before != "" {
		r["resourceOldValue"] = before
	}
	if err := json.Unmarshal([]byte("{"+and+"}"), &r); err != nil {
		panic(and + ": " + err.Error())
	}
	return compact(r)
}

// told is a change as a row of a test tells it, without what all of them share.
func told(c *change.Change) string {
	words := []string{strings.TrimPrefix(string(c.Type), "subscription.")}
	add := func(name, value string) {
		if value != "" {
			words = append(words, name+value)
		}
	}
	number := func(name string, n *int64) {
		if n != nil {
			add(name, fmt.Sprint(*n))
		}
	}
	number("x", c.Quantity)
	add("", strings.TrimSuffix(c.SKU.ProductID+"/"+c.SKU.SkuID, "/"))
	add("", c.TermDuration)
	add("", c.BillingCycle)
	if c.CustomTermEnd != pricing.NoDate {
		add("to ", c.CustomTermEnd.String())
	}
	if c.AutoRenew != nil {
		add("autorenew ", fmt.Sprint(*c.AutoRenew))
	}
	add("order ", c.OrderID)
	add("add-on of ", c.ParentID)
	add("promotion ", c.PromotionID)
	if n := c.NextTerm; n != nil {
		number("next x", n.Quantity)
		add("next ", strings.TrimSuffix(n.SKU.ProductID+"/"+n.SKU.SkuID, "/"))
		add("next ", n.TermDuration)
		add("next ", n.BillingCycle)
		if n.CustomTermEnd != pricing.NoDate {
			add("next to ", n.CustomTermEnd.String())
		}
	}
	return strings.Join(words, " ")
}

// audit asks for October's records.
func audit(t *testing.T, records ...string) microsoft.AuditResult {
	t.Helper()
	o := newOffice(t)
	microsofttest.AddPartners(o.Server).PutAudit(records...)
	r, err := o.AuditChanges(t.Context(), ofOctober(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func ofOctober() []microsoft.Window {
	return []microsoft.Window{{From: pricing.DateOf(2026, 10, 1), To: pricing.DateOf(2026, 10, 31)}}
}

// One record each: what is made of it, or why nothing is ("left: ..."), or nothing
// at all because nothing is billed ("").
func TestAuditChanges(t *testing.T) {
	t.Parallel()
	const (
		next   = `"ScheduledNextTermInstructions":{"Product":{"ProductId":"CFQ7TTC0LH18","SkuId":"0001","BillingCycle":"annual","TermDuration":"P1Y"},"Quantity":20}`
		custom = `"ScheduledNextTermInstructions":{"Quantity":20,"CustomTermEndDate":"2027-12-31T23:59:59"}`
		update = "update_subscription"
	)
	line := func(and string) string {
		l := map[string]any{"LineItemNumber": 0, "OfferId": "CFQ7TTC0LH18:0001:CFQ7TTC0K971", "SubscriptionId": strings.ToUpper(sub), "Quantity": 25, "TermDuration": "P1Y"}
		if err := json.Unmarshal([]byte("{"+and+"}"), &l); err != nil {
			panic(err)
		}
		return compact(l)
	}
	order := func(and string, lines ...string) string {
		return `{"Id":"34b37d7340cc","BillingCycle":"Monthly","CreationDate":"2026-10-20T02:29:59.077-07:00",` + and + `"LineItems":[` + strings.Join(lines, ",") + `]}`
	}
	bought := func(value string) string { return record("create_order", "", value, `"resourceType":"order"`) }
	for _, tt := range []struct{ name, record, want string }{
		{"more seats", record(update, paid(``), paid(`"Quantity":12`), ``), "quantityChanged x12"},
		{"fewer seats", record(update, paid(``), paid(`"Quantity":8`), ``), "quantityChanged x8"},
		{"seats as 12.0, with small letters", record(update, `{"id":"`+sub+`","quantity":10,"offerId":"A:1:C","termDuration":"P1M","status":"active"}`,
			`{"id":"`+sub+`","quantity":12.0,"offerId":"A:1:C","termDuration":"P1M","status":"active"}`, ``), "quantityChanged x12"},
		{"a part of the resource", record(update, paid(``), `{"Id":"`+sub+`","OfferId":"CFQ7TTC0LH18:0001","TermDuration":"P1Y","Quantity":11}`, ``), "quantityChanged x11"},
		{"values that are no text", record(update, "", "", `"resourceOldValue":`+paid(``)+`,"resourceNewValue":`+paid(`"Quantity":9`)), "quantityChanged x9"},

		{"auto-renew off", record(update, paid(``), paid(`"AutoRenewEnabled":false`), ``), "renewalChanged autorenew false"},
		{"auto-renew on", record(update, paid(`"AutoRenewEnabled":false`), paid(``), ``), "renewalChanged autorenew true"},
		{"seats and auto-renew", record(update, paid(``), paid(`"Quantity":12,"AutoRenewEnabled":false`), ``), "quantityChanged x12; renewalChanged autorenew false"},

		{"scheduled", record(update, paid(``), paid(next), ``), "nextTermScheduled next x20 next CFQ7TTC0LH18/0001 next P1Y next Annual"},
		{"scheduled in part", record(update, paid(``), paid(custom), ``), "nextTermScheduled next x20 next to 2027-12-31"},
		{"scheduled anew", record(update, paid(next), paid(custom), ``), "nextTermScheduled next x20 next to 2027-12-31"},
		{"scheduled as it was", record(update, paid(next), paid(next+`,"FriendlyName":"Other"`), ``), ""},
		{"cleared", record(update, paid(next), paid(``), ``), "nextTermCleared"},
		{"a part says nothing by leaving it out", record(update, paid(next), `{"Id":"`+sub+`","OfferId":"CFQ7TTC0LH18:0001","TermDuration":"P1Y","Quantity":11}`, ``), "quantityChanged x11"},
		{"seats clear the schedule by themselves", record(update, paid(next), paid(`"Quantity":12`), ``), "quantityChanged x12"},
		{"so does auto-renew off", record(update, paid(next), paid(`"AutoRenewEnabled":false`), ``), "renewalChanged autorenew false"},
		{"on, and scheduled", record(update, paid(`"AutoRenewEnabled":false`), paid(custom), ``), "renewalChanged autorenew true; nextTermScheduled next x20 next to 2027-12-31"},

		{"suspended", record(update, paid(``), paid(`"Status":"suspended"`), ``), "suspended"},
		{"reactivated", record(update, paid(`"Status":"suspended"`), paid(``), ``), "reactivated"},
		{"seats, then suspended", record(update, paid(``), paid(`"Status":"suspended","Quantity":12`), ``), "quantityChanged x12; suspended"},
		{"cancelled", record(update, paid(``), paid(`"Status":"deleted","AutoRenewEnabled":false,"Quantity":0`), ``), "canceled"},
		{"cancelled, in that very word", record(update, paid(`"Status":"suspended"`), paid(`"Status":"Cancelled"`), ``), "canceled"},
		{"deleted when its term was over", record(update, paid(`"CommitmentEndDate":"2026-10-01T00:00:00Z"`), paid(`"CommitmentEndDate":"2026-10-01T00:00:00Z","Status":"deleted"`), ``),
			"left: it was deleted after its term had ended: the ledger ends it by itself"},
		{"expired", record(update, paid(``), paid(`"Status":"expired"`), ``), "left: from active to expired: not a cancellation, a suspension or its end"},
		{"made available", record(update, paid(`"Status":"pending"`), paid(``), ``), ""},
		{"deleted at last", record(update, paid(`"Status":"disabled"`), paid(`"Status":"deleted"`), ``), ""},

		{"another SKU", record("upgrade_subscription", paid(``), paid(`"OfferId":"CFQ7TTC0LCHC:2:X"`), ``), "upgraded CFQ7TTC0LCHC/0002"},
		{"another SKU and a longer term", record("upgrade_subscription", paid(``), paid(`"OfferId":"CFQ7TTC0LCHC:0002:X","TermDuration":"P3Y","BillingCycle":"annual","CommitmentEndDate":"2029-10-19T00:00:00Z"`), ``),
			"upgraded CFQ7TTC0LCHC/0002 P3Y Annual"},
		{"a longer term", record("upgrade_subscription", paid(``), paid(`"TermDuration":"P3Y","CommitmentEndDate":"2029-10-19T00:00:00Z"`), ``), "upgraded CFQ7TTC0LH18/0001 P3Y Monthly"},
		{"a shorter term", record(update, paid(``), paid(`"TermDuration":"P1M"`), ``), "left: a shorter term, P1M for P1Y"},
		{"SKU and seats at once", record("upgrade_subscription", paid(``), paid(`"OfferId":"CFQ7TTC0LCHC:2:X","Quantity":4`), ``), "left: product or term and the quantity changed at once: which seats moved is not said"},
		{"into another subscription", record("upgrade_subscription", paid(``), paid(`"Id":"488745b5-2086-4912-802c-6abb9f7c3638"`), ``),
			"left: it leads from subscription " + sub + " to this one: how many seats moved, and whether this one was there before, is not said"},
		{"a renewal", record(update, paid(`"CommitmentEndDate":"2026-10-19T00:00:00Z"`), paid(``), ``), "left: it renewed: the ledger renews by itself"},
		{"an end that moved", record(update, paid(``), paid(`"CommitmentEndDate":"2027-09-30T00:00:00Z"`), ``), "left: the end of its term moved from 2027-09-14 to 2027-09-30"},
		{"another plan", record(update, paid(``), paid(`"BillingCycle":"annual"`), ``), "billingPlanChanged Annual"},

		{"a trial converted", record("convert_trial_subscription", paid(`"IsTrial":true,"BillingCycle":"none","TermDuration":"P1M"`), paid(`"Quantity":5`), ``),
			"trialConverted x5 CFQ7TTC0LH18/0001 P1Y Monthly"},
		{"a trial converted to nobody knows what", record("convert_trial_subscription", paid(`"IsTrial":true`), paid(`"BillingCycle":"none"`), ``),
			"left: a trial was converted, but to which product, quantity, term and billing cycle is not said"},

		{"a new name", record(update, paid(``), paid(`"FriendlyName":"Sales"`), ``), ""},
		{"failed", record(update, paid(``), paid(`"Quantity":12`), `"operationStatus":"failed"`), ""},
		{"another resource", record("update_customer_user_licenses", "", `{"LicensesToAssign":[]}`, `"resourceType":"license"`), ""},
		{"a subscription for usage", record(update, paid(`"BillingType":"usage","OfferId":"MS-AZR-0145P"`), paid(`"BillingType":"usage","OfferId":"MS-AZR-0145P","Quantity":2`), ``), ""},
		{"a legacy offer", record(update, paid(`"OfferId":"031C9E47-4802-4248-838E-778FB1D2CC05"`), paid(`"OfferId":"031C9E47-4802-4248-838E-778FB1D2CC05","Quantity":2`), ``), ""},
		{"nothing before", record(update, "", paid(``), ``), "left: it does not say what was before"},
		{"nothing after", record(update, paid(``), "", ``), "left: it does not say what came after"},
		{"values that cannot be read", record(update, paid(``), "changed", ``), "left: resourceNewValue: not a subscription: invalid character 'c' looking for beginning of value"},
		{"half a seat", record(update, paid(``), paid(`"Quantity":1.5`), ``), "left: resourceNewValue: not a subscription: quantity 1.5: want a whole number"},
		{"no seat", record(update, paid(``), paid(`"Quantity":0`), ``), "left: a quantity of 0"},
		{"no customer", record(update, paid(``), paid(`"Quantity":12`), `"customerId":null`), "left: it names no customer"},

		{"bought", bought(order("", line(""))), "purchased x25 CFQ7TTC0LH18/0001 P1Y Monthly order 34b37d7340cc"},
		{"bought, aligned", bought(order("", line(`"CustomTermEndDate":"2027-06-30T23:59:59Z"`))), "purchased x25 CFQ7TTC0LH18/0001 P1Y Monthly to 2027-06-30 order 34b37d7340cc"},
		{"an add-on with a promotion", bought(order(`"TransactionType":"UserPurchase",`, line(`"ParentSubscriptionId":"488745B5-2086-4912-802C-6ABB9F7C3638","PromotionId":"39NFJQT1PFPJ:000H:39NFJQT1Q5DK","TransactionType":"New"`))),
			"purchased x25 CFQ7TTC0LH18/0001 P1Y Monthly order 34b37d7340cc add-on of 488745b5-2086-4912-802c-6abb9f7c3638 promotion 39NFJQT1PFPJ:000H:39NFJQT1Q5DK"},
		{"two lines", bought(order("", line(""), line(`"SubscriptionId":"second","Quantity":1,"OfferId":"B:2:C"`))),
			"purchased x25 CFQ7TTC0LH18/0001 P1Y Monthly order 34b37d7340cc; purchased x1 B/0002 P1Y Monthly order 34b37d7340cc"},
		{"a line that has no subscription", bought(order("", line(`"SubscriptionId":null`))), "left: an order line of CFQ7TTC0LH18:0001:CFQ7TTC0K971 without a subscription"},
		{"a legacy order", bought(`{"Id":"d51a052e","BillingCycle":"none","LineItems":[{"OfferId":"C0BD2E08-11AC-4836-BDC7-3712E744922F","SubscriptionId":"488745B5-2086-4912-802C-6ABB9F7C3638","Quantity":25}]}`), ""},
		{"software", bought(order("", line(`"TermDuration":"","BillingCycle":"OneTime"`))), ""},
		{"no billing cycle", bought(order("", line(`"TermDuration":"P1M","BillingCycle":"None"`))), "left: no billing cycle: a trial, or free; the order does not say which"},
		{"a term billed in a way that is none", bought(order("", line(`"TermDuration":"P1M","BillingCycle":"Annual"`))), `left: a term of "P1M" billed "annual" is none that is known`},
		{"seats that were added", bought(order("", line(`"TransactionType":"AddQuantity"`))), "left: an order line of the kind addquantity: the record of its subscription says what changed"},
		{"a renewal's order", bought(order(`"TransactionType":"SystemBilling",`, line(""))), ""},
		{"an order under review", bought(order(`"Status":"pending review",`, line(""))), "left: an order that is pending review: what comes of it is not said"},
		{"an order that changed", record("update_order", order("", line("")), order("", line(`"Quantity":2`)), `"resourceType":"order"`), "left: an order that changed: the records of its subscriptions say what"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := audit(t, tt.record)
			var got []string
			for i, c := range r.Changes {
				got = append(got, told(c))
				if c.CustomerID != customer || i == 0 && c.Subject != sub || c.At.String() != "2026-10-20T09:30:00.0589308Z" {
					t.Errorf("change of customer %s, subscription %s, at %s", c.CustomerID, c.Subject, c.At)
				}
			}
			for _, l := range r.Left {
				got = append(got, "left: "+l.Reason)
			}
			if text := strings.Join(got, "; "); text != tt.want {
				t.Errorf("got  %s\nwant %s", text, tt.want)
			}
			if ignored := tt.want == ""; r.Records > 0 && (r.Ignored == 1) != ignored {
				t.Errorf("%d records ignored", r.Ignored)
			}
		})
	}
}

// What is written is what ingest reads, and the same record has the same id and
// content whenever it comes.
func TestAuditChangesAreIngestible(t *testing.T) {
	t.Parallel()
	records := []string{
		record("update_subscription", paid(``), paid(`"Quantity":12,"AutoRenewEnabled":false`), ``),
		record("update_subscription", paid(`"Quantity":12`), paid(`"Quantity":14`), `"id":"11111111-1111-4111-8111-111111111111","operationDate":"2026-10-21T09:30:00"`),
	}
	write := func(r microsoft.AuditResult) string {
		var out bytes.Buffer
		if err := microsoft.WriteChanges(&out, r.Changes); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	text := write(audit(t, records...))
	if again := write(audit(t, records[1], records[0], records[0], records[1])); again != text {
		t.Errorf("in another order, and twice:\n%s\nwant\n%s", again, text)
	}
	reader, err := intake.NewJSONChanges(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	ids := make(map[string]bool)
	for {
		var c change.Change
		refused, err := reader.Next(&c)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil || refused != nil {
			t.Fatal(err, refused)
		}
		ids[c.ID] = true
	}
	if len(ids) != 3 || !ids["11111111-1111-4111-8111-111111111111"] {
		t.Errorf("ids %v, want 3 with the record's own", ids)
	}
	if unknown := reader.Unknown(); len(unknown) > 0 {
		t.Errorf("fields that mean nothing: %s", unknown)
	}
}

func TestAuditThroughTrouble(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	p := microsofttest.AddPartners(o.Server)
	for day := 1; day <= 31; day++ {
		p.PutAudit(record("update_subscription", paid(``), paid(fmt.Sprintf(`"Quantity":%d`, 20+day)), fmt.Sprintf(`"operationDate":"2026-10-%02dT09:30:00Z"`, day)))
	}
	p.PutAudit(record("update_subscription", paid(``), paid(`"Quantity":12`), `"operationStatus":"progress"`))
	o.Fail("auditrecords", microsofttest.Throttle("30"), microsofttest.Status(500), microsofttest.Half(), microsofttest.HangUp(), microsofttest.Throttle(""))
	windows := []microsoft.Window{
		{From: pricing.DateOf(2026, 9, 20), To: pricing.DateOf(2026, 10, 17)},
		{From: pricing.DateOf(2026, 10, 15), To: pricing.DateOf(2026, 11, 3)}, // overlaps
	}
	var progress []string
	r, err := o.AuditChanges(t.Context(), windows, func(done, total int) { progress = append(progress, fmt.Sprintf("%d/%d", done, total)) })
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Changes) != 31 || r.Pending != 1 || r.Records != 32 {
		t.Errorf("%d changes and %d pending of %d records, want 31 and 1 of 32", len(r.Changes), r.Pending, r.Records)
	}
	if got := strings.Join(progress, " "); got != "1/4 2/4 3/4 4/4" {
		t.Errorf("progress %s", got)
	}
	for i := 1; i < len(r.Changes); i++ {
		if r.Changes[i-1].At > r.Changes[i].At {
			t.Fatal("not in the order of their times")
		}
	}
}

// A service that does not know the filter answers with everything, twice.
func TestAuditWithoutFilter(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	microsofttest.AddPartners(o.Server)
	all := `{"totalCount":2,"items":[` + record("update_customer_user_licenses", "", "{}", `"resourceType":"license"`) + "," +
		record("update_subscription", paid(``), paid(`"Quantity":12`), ``) + `]}`
	o.Fail("auditrecords", microsofttest.Text(all), microsofttest.Text(all))
	r, err := o.AuditChanges(t.Context(), ofOctober(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Changes) != 1 || r.Records != 2 || r.Ignored != 1 {
		t.Errorf("%d changes of %d records, %d ignored; want 1 of 2, 1 ignored", len(r.Changes), r.Records, r.Ignored)
	}
}

// Half of the records are none: an error anywhere is an error of the whole.
func TestAuditFails(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		fault microsofttest.Fault
		class error
	}{
		{"a page", microsofttest.Page("Sign in"), web.ErrNotData},
		{"nothing", microsofttest.Text(""), web.ErrNotData},
		{"other JSON", microsofttest.Text(`{"value":[]}`), web.ErrNotData},
		{"an error with 200", microsofttest.Text(`{"code":"900","description":"Sorry"}`), web.ErrNotData},
		{"records that are none", microsofttest.Text(`{"totalCount":1,"items":["x"]}`), web.ErrNotData},
		{"a start that is too long ago", microsofttest.Status(400), nil},
		{"another place", microsofttest.Text(`{"items":[],"links":{"next":{"uri":"https://elsewhere.example/v1/auditrecords"}}}`), nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o := newOffice(t)
			p := microsofttest.AddPartners(o.Server)
			for range 3 {
				p.PutAudit(record("update_subscription", paid(``), paid(`"Quantity":12`), ``))
			}
			o.Fail("auditrecords", microsofttest.Pass(), tt.fault) // on the second page
			r, err := o.AuditChanges(t.Context(), ofOctober(), nil)
			if err == nil || tt.class != nil && !errors.Is(err, tt.class) || len(r.Changes) > 0 {
				t.Errorf("error %v with %d changes, want one of the class %v and no change", err, len(r.Changes), tt.class)
			}
			if err != nil && !strings.HasPrefix(err.Error(), "audit records of 2026-10-01..2026-10-31, subscription: ") {
				t.Errorf("error %v does not say what was asked", err)
			}
		})
	}
}

func TestAuditWindows(t *testing.T) {
	t.Parallel()
	today := pricing.DateOf(2026, time.November, 3)
	for _, tt := range []struct{ name, last, want, lost string }{
		{"yesterday", "2026-11-02", "2026-10-31..2026-11-03", ""},
		{"today", "2026-11-03", "2026-11-01..2026-11-03", ""},
		{"a week of downtime", "2026-10-27", "2026-10-25..2026-11-03", ""},
		{"a month's windows", "2026-09-10", "2026-09-08..2026-10-07 2026-10-08..2026-11-03", ""},
		{"the last day that is kept", "2026-08-06", "2026-08-06..2026-09-04 2026-09-05..2026-10-04 2026-10-05..2026-11-03", ""},
		{"a day that is kept no more", "2026-08-05", "2026-08-06..2026-09-04 2026-09-05..2026-10-04 2026-10-05..2026-11-03", "2026-08-05"},
		{"never", "", "2026-08-06..2026-09-04 2026-09-05..2026-10-04 2026-10-05..2026-11-03", ""},
	} {
		last := pricing.NoDate
		if tt.last != "" {
			last, _ = pricing.ParseDate(tt.last)
		}
		windows, lost := microsoft.AuditWindows(last, today)
		if got := strings.Trim(fmt.Sprint(windows), "[]"); got != tt.want || lost.String() != tt.lost {
			t.Errorf("%s: %s, lost %q; want %s, lost %q", tt.name, got, lost, tt.want, tt.lost)
		}
	}
}

func TestWriteAuditLeft(t *testing.T) {
	t.Parallel()
	r := audit(t, record("update_subscription", paid(``), paid(`"Status":"expired"`), `"id":"r1"`))
	var out strings.Builder
	if err := microsoft.WriteAuditLeft(&out, r.Left); err != nil {
		t.Fatal(err)
	}
	want := "RecordId,CustomerId,SubscriptionId,Operation,Time,Reason\n" +
		"r1," + customer + "," + sub + `,update_subscription,2026-10-20T09:30:00.0589308Z,"from active to expired: not a cancellation, a suspension or its end"` + "\n"
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}
