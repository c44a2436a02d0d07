package api

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/calends/calends/jobs"
	"github.com/calends/calends/jobs/serve/access"
)

// dairy is a subscription of a customer of us; standard is one of fietsen's.
const dairy = "770f9957-c3ed-4a2d-af57-c0fc9fb8c8f0"

// biller is an admin agent of some partners.
func biller(partners ...string) access.Principal {
	p := agent(partners...)
	p.ID, p.Roles = "admin-1", []access.Role{access.AdminAgent}
	return p
}

func TestGetSubscription(t *testing.T) {
	t.Parallel()
	d := newCustomerDesk(t)
	w := d.as(agent(dutch), http.MethodGet, "/v1/subscriptions/"+standard, "")
	got := want[Subscription](t, w, http.StatusOK)
	if got.State != jobs.StateActive || got.Quantity != 26 || got.CustomerID != fietsen || got.PartnerID != dutch || got.TermEnd != "2025-01-14" || got.Day != "2024-05-02" ||
		got.Price.UnitPrice != "119.34" || got.Price.Row == nil || got.Price.Row.Line != 6 || len(got.Layers) != 2 || got.Layers[1].Until != "2024-01-26T14:00:00Z" || got.Layers[1].Open ||
		got.Next.Charge.First != "2024-05-15" || got.Next.Charge.Subtotal != "258.44" || got.Next.Renewal.First != "2025-01-15" {
		t.Errorf("got %+v", got)
	}
	if e := d.trail.last(); e.Partner != dutch || e.Object != "subscription "+standard {
		t.Errorf("the trail has %+v", e)
	}
	into := want[Subscription](t, d.as(agent(us), http.MethodGet, "/v1/subscriptions/74ed4072-312c-4a44-900e-348198989f5e", ""), http.StatusOK)
	if fmt.Sprint(into.UpgradedInto) != "[b2b6f2b0-90b0-475e-ac49-80123a26839c]" {
		t.Errorf("upgraded into %v", into.UpgradedInto)
	}
}

// TestStoryByRole: a sales agent sees states, windows and prices, and nothing that was billed.
func TestStoryByRole(t *testing.T) {
	t.Parallel()
	d := newCustomerDesk(t)
	path := "/v1/subscriptions/" + dairy + "/story"
	whole := want[SubscriptionStory](t, d.as(biller(us), http.MethodGet, path, ""), http.StatusOK)
	if !whole.Billed || len(whole.Lines) != 12 || len(whole.Sums) != 1 || whole.Sums[0].Total != "4541.42" || whole.Lines[5].Corrects != whole.Lines[2].Ref {
		t.Errorf("an admin agent got %d lines, %+v, %+v", len(whole.Lines), whole.Lines[5], whole.Sums)
	}
	w := d.as(agent(us), http.MethodGet, path, "")
	part := want[SubscriptionStory](t, w, http.StatusOK)
	if part.Billed || len(part.Lines) != 0 || len(part.Sums) != 0 || len(part.History) != len(whole.History) || part.Price == nil {
		t.Errorf("a sales agent got %+v", part)
	}
	for _, amount := range []string{"1122.00", "-1044.62", "4541.42", "C202403"} {
		if strings.Contains(w.Body.String(), amount) {
			t.Errorf("a sales agent is told %s", amount)
		}
	}
}

// TestStoryTags: the same answer has the same tag, and one of another role, day or ledger another.
func TestStoryTags(t *testing.T) {
	t.Parallel()
	d := newCustomerDesk(t)
	for _, what := range []string{"", "/story", "/picture.svg"} {
		path := "/v1/subscriptions/" + standard + what
		first := d.as(agent(dutch), http.MethodGet, path, "")
		tag := first.Header().Get("ETag")
		if first.Code != 200 || !strings.HasPrefix(tag, `"`) {
			t.Fatalf("%s: %d, tag %s", path, first.Code, tag)
		}
		if again := d.as(agent(dutch), http.MethodGet, path, "", "If-None-Match", tag); again.Code != http.StatusNotModified || again.Body.Len() > 0 || again.Header().Get("ETag") != tag {
			t.Errorf("%s: having it: %d, %d bytes, tag %s", path, again.Code, again.Body.Len(), again.Header().Get("ETag"))
		}
		if other := d.as(agent(us), http.MethodGet, path, "", "If-None-Match", tag); other.Code != http.StatusNotFound {
			t.Errorf("%s: another partner's user with the tag: %d", path, other.Code)
		}
		whole := d.as(biller(dutch), http.MethodGet, path, "", "If-None-Match", tag)
		if wanted := map[bool]int{true: 200, false: 304}[what == "/story"]; whole.Code != wanted {
			t.Errorf("%s: an admin agent with a sales agent's tag: %d, want %d", path, whole.Code, wanted)
		}
		d.now = d.now.AddDate(0, 0, 1)
		if tomorrow := d.as(agent(dutch), http.MethodGet, path, "", "If-None-Match", tag); tomorrow.Code != 200 {
			t.Errorf("%s: the day after: %d", path, tomorrow.Code)
		}
		d.now = d.now.AddDate(0, 0, -1)
	}
}

// TestSubscriptionsOfOthers: what another partner has is answered like what nobody has,
// and a role that may not is told so before anything else.
func TestSubscriptionsOfOthers(t *testing.T) {
	t.Parallel()
	d := newCustomerDesk(t)
	nothing := access.Principal{ID: "x", Everyone: true}
	for _, path := range []string{"/v1/subscriptions/%s", "/v1/subscriptions/%s/story", "/v1/subscriptions/%s/picture.svg", "/v1/subscriptions?customerId=%s", "/v1/subscriptions?partnerId=%s"} {
		theirs, id := dairy, ""
		switch {
		case strings.Contains(path, "customerId"):
			theirs = want[Subscription](t, d.as(agent(), http.MethodGet, "/v1/subscriptions/"+dairy, ""), 200).CustomerID
		case strings.Contains(path, "partnerId"):
			theirs = us
		}
		id = fmt.Sprintf(path, theirs)
		invented := fmt.Sprintf(path, nobody)
		a, b := d.as(agent(dutch), http.MethodGet, id, ""), d.as(agent(dutch), http.MethodGet, invented, "")
		if a.Code != http.StatusNotFound || b.Code != http.StatusNotFound || strings.ReplaceAll(a.Body.String(), theirs, nobody) != b.Body.String() {
			t.Errorf("%s: %d %s, an invented one %d %s", id, a.Code, a.Body, b.Code, b.Body)
		}
		if w := d.as(agent(us), http.MethodGet, id, ""); w.Code != http.StatusOK {
			t.Errorf("%s: to its own partner %d %s", id, w.Code, w.Body)
		}
		if w := d.as(nothing, http.MethodGet, id, ""); w.Code != http.StatusForbidden {
			t.Errorf("%s: without a role %d", id, w.Code)
		}
	}
}

// TestListSubscriptions: by pages of any size each is there once, and nobody else's.
func TestListSubscriptions(t *testing.T) {
	t.Parallel()
	d := newCustomerDesk(t)
	list := func(who access.Principal, query url.Values, limit int) (ids []string) {
		t.Helper()
		query.Set("limit", fmt.Sprint(limit))
		for pages := 0; pages < 200; pages++ {
			page := want[SubscriptionList](t, d.as(who, http.MethodGet, "/v1/subscriptions?"+query.Encode(), ""), http.StatusOK)
			if len(page.Items) > limit {
				t.Errorf("a page of %d has %d", limit, len(page.Items))
			}
			for _, s := range page.Items {
				if !who.Sees(s.PartnerID) {
					t.Errorf("%s is of %s", s.SubscriptionID, s.PartnerID)
				}
				ids = append(ids, s.SubscriptionID)
			}
			if page.Next == "" {
				return ids
			}
			query.Set("cursor", page.Next)
		}
		t.Fatal("the list has no end")
		return nil
	}
	ofDutch, ofUS, all := list(agent(dutch), url.Values{}, 1000), list(agent(us), url.Values{}, 1000), list(agent(), url.Values{}, 1000)
	if len(ofDutch) == 0 || len(ofUS) == 0 || len(all) <= len(ofDutch)+len(ofUS) {
		t.Errorf("%d and %d of %d", len(ofDutch), len(ofUS), len(all))
	}
	if got := list(agent(), url.Values{"partnerId": {dutch}}, 1000); fmt.Sprint(got) != fmt.Sprint(ofDutch) {
		t.Errorf("of the partner %v, want %v", got, ofDutch)
	}
	for _, limit := range []int{1, 4} {
		if got := list(agent(dutch), url.Values{}, limit); fmt.Sprint(got) != fmt.Sprint(ofDutch) {
			t.Errorf("by %d: %v, want %v", limit, got, ofDutch)
		}
	}
	ended := list(agent(), url.Values{"state": {"ended"}}, 1)
	ending := list(agent(), url.Values{"endingBefore": {"2024-07-01"}}, 3)
	power := list(agent(), url.Values{"productId": {"CFQ7TTC0HL8W"}}, 1000)
	if len(ended) == 0 || len(ending) == 0 || len(power) == 0 || len(ended)+len(ending) >= len(all) {
		t.Errorf("%d ended, %d ending, %d of a product, of %d", len(ended), len(ending), len(power), len(all))
	}
}

func TestListSubscriptionsRefuses(t *testing.T) {
	t.Parallel()
	d := newCustomerDesk(t)
	first := want[SubscriptionList](t, d.as(agent(dutch), http.MethodGet, "/v1/subscriptions?limit=1", ""), http.StatusOK)
	for query, status := range map[string]int{
		"state=gone": 422, "endingBefore=soon": 422, "limit=0": 422, "limit=1001": 422, "unknown=1": 422,
		"cursor=x": 400,
		"limit=1&state=active&cursor=" + first.Next: 400, // of another question
	} {
		if w := d.as(agent(dutch), http.MethodGet, "/v1/subscriptions?"+query, ""); w.Code != status {
			t.Errorf("%s: %d %s, want %d", query, w.Code, w.Body, status)
		}
	}
}

// TestPicture: it is SVG, and has a policy under which its style holds and nothing else.
func TestPicture(t *testing.T) {
	t.Parallel()
	d := newCustomerDesk(t)
	w := d.as(agent(dutch), http.MethodGet, "/v1/subscriptions/"+standard+"/picture.svg", "")
	if w.Code != 200 || w.Header().Get("Content-Type") != "image/svg+xml" || !strings.HasPrefix(w.Header().Get("Content-Security-Policy"), "default-src 'none'; style-src 'sha256-") {
		t.Fatalf("%d %v", w.Code, w.Header())
	}
	if !strings.Contains(w.Body.String(), "Voorbeeld Fietsen B.V.") {
		t.Error("it names no customer")
	}
	for d := xml.NewDecoder(w.Body); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
	}
}
