package microsoft_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/calends/calends/jobs/microsoft"
	"github.com/calends/calends/jobs/microsoft/drift"
	"github.com/calends/calends/jobs/microsoft/microsofttest"
	"github.com/calends/calends/jobs/microsoft/web"
)

// sold is a subscription as Partner Center prints it, bought on 1 November 2026; and
// stands behind the rest, so that it wins.
func sold(id, and string) string {
	if and != "" {
		and = "," + and
	}
	return `{"id":"` + id + `","offerId":"CFQ7TTC0LH18:0001:CFQ7TTC0K971","offerName":"Microsoft 365 Business Basic","productType":{"id":"OnlineServicesNCE"},
		"quantity":15,"unitType":"Licenses","creationDate":"2026-11-01T16:57:15.0966728Z","effectiveStartDate":"2026-11-01T16:57:14.498252Z",
		"commitmentEndDate":"2027-10-31T00:00:00Z","commitmentEndDateTime":"2027-10-31T23:59:59Z","status":"active","autoRenewEnabled":true,"isTrial":false,
		"billingType":"license","billingCycle":"monthly","termDuration":"P1Y","renewalTermDuration":"","orderId":"34b37d7340cc",
		"refundableQuantity":{"totalQuantity":15,"details":[{"quantity":15,"allowedUntilDateTime":"2026-11-08T16:57:14.498252Z"}]}` + and + `}`
}

// snapshot takes one of all customers.
func snapshot(t *testing.T, o *office, had func(string) bool) (string, microsoft.SnapshotResult) {
	t.Helper()
	customers, err := o.Customers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	r, err := o.Snapshot(t.Context(), microsoft.SnapshotPlan{Customers: customers, Had: had}, &out)
	if err != nil {
		t.Fatal(err)
	}
	return out.String(), r
}

// compare is Drift with a ledger that knows these customers and nothing of them.
func compare(t *testing.T, text string, known ...string) (lines []string, r microsoft.DriftResult) {
	t.Helper()
	ours := func(yield func(drift.Ours, error) bool) {
		for _, id := range known {
			if !yield(drift.Ours{CustomerID: id}, nil) {
				return
			}
		}
	}
	r, err := microsoft.Drift(microsoft.ReadSnapshot(strings.NewReader(text)), ours, func(findings []drift.Finding) error {
		for _, f := range findings {
			line := strings.TrimSpace(f.CustomerID + " " + f.SubscriptionID + " " + f.Theirs)
			for _, c := range f.Changes {
				line += ", " + told(c) + " at " + c.At.String()
			}
			if len(f.Changes) == 0 {
				line += ": " + f.Reason
			}
			lines = append(lines, line)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return lines, r
}

func TestCustomers(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	p := microsofttest.AddPartners(o.Server)
	for _, id := range []string{"c", "a", strings.ToUpper(customer), "b", "d"} {
		p.Put(id)
	}
	got, err := o.Customers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{customer, "a", "b", "c", "d"}; !slices.Equal(got, want) {
		t.Errorf("customers %v, want %v from three pages", got, want)
	}
}

func TestSnapshot(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	p := microsofttest.AddPartners(o.Server)
	for i := range 9 {
		p.Put(fmt.Sprintf("customer-%d", 9-i), sold(fmt.Sprintf("s-%d", i), ""), sold(fmt.Sprintf("t-%d", i), `"status":"deleted"`))
	}
	p.Leave("customer-0") // is listed and cannot be read
	text, r := snapshot(t, o, nil)
	if want := (microsoft.SnapshotResult{Customers: 9, Subscriptions: 18, Failed: 1}); r != want {
		t.Errorf("%+v, want %+v", r, want)
	}
	var ids []string
	for one, err := range microsoft.ReadSnapshot(strings.NewReader(text)) {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, one.CustomerID)
		if (one.Failed != "") != (one.CustomerID == "customer-0") || one.At != "2026-11-03T04:00:00Z" {
			t.Errorf("customer %s at %s, failed %q", one.CustomerID, one.At, one.Failed)
		}
	}
	if !slices.IsSorted(ids) || len(ids) != 10 {
		t.Errorf("lines of %v, want ten in order", ids)
	}
	lines, result := compare(t, text, "customer-0", "customer-3")
	if want := (microsoft.DriftResult{Customers: 9, Subscriptions: 18, Failed: 1, Findings: 9, Proposed: 9}); result != want {
		t.Errorf("%+v, want %+v", result, want)
	}
	if len(lines) != 10 || !strings.HasPrefix(lines[0], "customer-0: not compared: subscriptions of customer customer-0: GET ") || !strings.Contains(lines[0], "404") {
		t.Errorf("findings %q", lines)
	}
	if want := "customer-3 s-6 active 15 CFQ7TTC0LH18/0001 P1Y Monthly, purchased x15 CFQ7TTC0LH18/0001 P1Y Monthly autorenew true order 34b37d7340cc at 2026-11-01T16:57:14.498252Z"; len(lines) > 1 && lines[1] != want {
		t.Errorf("got  %s\nwant %s", lines[1], want)
	}
}

// What another kind of service bills is none of ours; what cannot be understood is said.
func TestSnapshotReads(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, subscription, want string }{
		{"a trial", sold("s", `"isTrial":true,"billingCycle":"none","termDuration":"P1M","commitmentEndDate":"2026-11-30T00:00:00Z"`),
			"c s active 15 CFQ7TTC0LH18/0001 P1M None, purchased x15 CFQ7TTC0LH18/0001 P1M None autorenew true order 34b37d7340cc at 2026-11-01T16:57:14.498252Z"},
		{"scheduled", sold("s", `"scheduledNextTermInstructions":{"product":{"productId":"CFQ7TTC0LH18","skuId":"0001","billingCycle":"annual","termDuration":"P3Y"},"quantity":1,"customTermEndDate":"2027-12-31T00:21:45.9263727"}`),
			"c s active 15 CFQ7TTC0LH18/0001 P1Y Monthly, purchased x15 CFQ7TTC0LH18/0001 P1Y Monthly autorenew true order 34b37d7340cc at 2026-11-01T16:57:14.498252Z, " +
				"nextTermScheduled next x1 next CFQ7TTC0LH18/0001 next P3Y next Annual next to 2027-12-31 at 2026-11-03T04:00:00Z"},
		{"a GUID in capitals", sold(strings.ToUpper(sub), `"refundableQuantity":null`), "c " + sub + " active 15 CFQ7TTC0LH18/0001 P1Y Monthly: the windows of 0 of 15 seats are said: how many it began with is not"},
		{"usage", sold("s", `"billingType":"usage","unitType":"Usage-based","termDuration":""`), ""},
		{"software", sold("s", `"productType":{"id":"Software"}`), ""},
		{"a legacy offer", sold("s", `"offerId":"031C9E47-4802-4248-838E-778FB1D2CC05"`), ""},
		{"pending", sold("s", `"status":"pending"`), ""},
		{"no id", sold("", ""), "c: not compared: a subscription without an id"},
		{"a date that is none", sold("s", `"commitmentEndDate":"soon"`), `c: not compared: subscription s, commitmentEndDate: time "soon": want one such as 2026-10-05T09:30:00Z`},
		{"no object", `"s"`, "c: not compared: the answer is no data: a subscription: json: cannot unmarshal string"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o := newOffice(t)
			microsofttest.AddPartners(o.Server).Put("c", tt.subscription)
			text, _ := snapshot(t, o, nil)
			lines, _ := compare(t, text)
			if got := strings.Join(lines, "\n"); !strings.HasPrefix(got, tt.want) || tt.want == "" && got != "" {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

// A snapshot that was stopped is gone on with, and becomes the same.
func TestSnapshotGoesOn(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	p := microsofttest.AddPartners(o.Server)
	for i := range 50 {
		p.Put(fmt.Sprintf("customer-%02d", i), sold("s", ""))
	}
	whole, _ := snapshot(t, o, nil)
	customers, err := o.Customers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var out bytes.Buffer
	_, err = o.Snapshot(ctx, microsoft.SnapshotPlan{Customers: customers, Progress: func(done, _ int) {
		if done == 20 {
			stop()
		}
	}}, &out)
	if !errors.Is(err, context.Canceled) || strings.Count(out.String(), "\n") < 20 || out.Len() >= len(whole) {
		t.Fatalf("error %v after %d lines, want to be stopped in the middle", err, strings.Count(out.String(), "\n"))
	}
	// The process died within a line.
	left := out.String()[:out.Len()-30]
	had := make(map[string]bool)
	kept := ""
	for one, err := range microsoft.ReadSnapshot(strings.NewReader(left)) {
		if err != nil {
			t.Fatal(err)
		}
		had[one.CustomerID] = true
	}
	kept = left[:strings.LastIndex(left, "\n")+1]
	rest, r := snapshot(t, o, func(id string) bool { return had[id] })
	if kept+rest != whole || r.Customers != 50-len(had) {
		t.Errorf("%d customers more make %d bytes, want those %d of an undisturbed run", r.Customers, len(kept+rest), len(whole))
	}
}

func TestSnapshotThroughTrouble(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	p := microsofttest.AddPartners(o.Server)
	for i := range 10 {
		p.Put(fmt.Sprintf("customer-%d", i), sold("s", ""))
	}
	want, _ := snapshot(t, o, nil)
	o.Fail("/customers", microsofttest.Throttle("20"), microsofttest.Half(), microsofttest.Status(503))
	o.Fail("/subscriptions", microsofttest.Throttle(""), microsofttest.HangUp(), microsofttest.Half(), microsofttest.Status(500), microsofttest.Throttle("60"))
	got, r := snapshot(t, o, nil)
	// The clock went on; the subscriptions are the same.
	if r.Failed > 0 || r.Subscriptions != 10 || strings.Count(got, "\n") != strings.Count(want, "\n") {
		t.Errorf("%+v of %d lines, want all ten", r, strings.Count(got, "\n"))
	}
}

// A page for people is not a customer without subscriptions.
func TestSnapshotPages(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	p := microsofttest.AddPartners(o.Server)
	p.Put("a", sold("s", ""))
	p.Put("b", sold("s", ""))
	o.Fail("/customers/a/", microsofttest.Page("Service unavailable"))
	text, r := snapshot(t, o, nil)
	if r.Failed != 1 || r.Customers != 1 || !strings.Contains(text, `web page: \"Service unavailable\"`) && !strings.Contains(text, "Service unavailable") {
		t.Errorf("%+v:\n%s", r, text)
	}
	lines, _ := compare(t, text, "a", "b")
	if len(lines) != 2 || !strings.Contains(lines[0], "not compared") {
		t.Errorf("findings %q", lines)
	}
}

// When every customer fails it is not the customers.
func TestSnapshotGivesUp(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	p := microsofttest.AddPartners(o.Server)
	for i := range 60 {
		p.Put(fmt.Sprintf("customer-%02d", i))
	}
	o.Fail("/subscriptions", slices.Repeat([]microsofttest.Fault{microsofttest.Status(http.StatusForbidden)}, 60)...)
	customers, err := o.Customers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, err = o.Snapshot(t.Context(), microsoft.SnapshotPlan{Customers: customers}, io.Discard)
	if !errors.Is(err, web.ErrForbidden) || !strings.HasPrefix(err.Error(), "snapshot: 20 customers in a row: ") {
		t.Errorf("error %v, want one for twenty customers in a row", err)
	}
}

func TestReadSnapshotRefuses(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"{}\n", "[]\n", "x\n", `{"customerId":"a","at":"2026-11-03T04:00:00Z"}` + "\nx\n"} {
		var last error
		for _, err := range microsoft.ReadSnapshot(strings.NewReader(text)) {
			last = err
		}
		if last == nil || !strings.HasPrefix(last.Error(), "read snapshot, line ") || strings.Contains(last.Error(), "%!") {
			t.Errorf("%q: error %v, want one that names the line", text, last)
		}
	}
}

// What stops on one side stops the comparison.
func TestDriftFails(t *testing.T) {
	t.Parallel()
	trouble := errors.New("the bucket is gone")
	var none iter.Seq2[drift.Ours, error] = func(func(drift.Ours, error) bool) {}
	broken := func(yield func(drift.Ours, error) bool) { yield(drift.Ours{}, trouble) }
	good := func() iter.Seq2[microsoft.CustomerSnapshot, error] {
		line := strings.Join(strings.Fields(`{"customerId":"a","at":"2026-11-03T04:00:00Z","subscriptions":[`+sold("s", "")+"]}"), " ")
		return microsoft.ReadSnapshot(strings.NewReader(line + "\n"))
	}
	if _, err := microsoft.Drift(good(), broken, func([]drift.Finding) error { return nil }); !errors.Is(err, trouble) {
		t.Errorf("error %v, want the ledger's", err)
	}
	if _, err := microsoft.Drift(good(), none, func([]drift.Finding) error { return trouble }); !errors.Is(err, trouble) {
		t.Errorf("error %v, want the report's", err)
	}
	if _, err := microsoft.Drift(microsoft.ReadSnapshot(strings.NewReader("x\n")), none, nil); err == nil {
		t.Error("no error of a snapshot that cannot be read")
	}
}
