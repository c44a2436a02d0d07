package api

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/calends/calends/jobs"
	"github.com/calends/calends/jobs/serve/access"
	"github.com/calends/calends/jobs/serve/current"
	"github.com/calends/calends/jobs/serve/offers"
	"github.com/calends/calends/jobs/serve/servetest"
)

// The demo's, with a matrix that makes Teams Phone an add-on to Business Standard and
// to anything of Visio Plan 1.
const (
	phone      = "/v1/offers/CFQ7TTC0LH0T/0001"
	addOnsOf   = "Microsoft Teams Phone Standard,CFQ7TTC0LH0T,0001,Microsoft Teams Phone Standard,c0ffee,PHONE,1,10,1,ConcurrentCount,CFQ7TTC0LDPB/0001;CFQ7TTC0HD33,,Calls,DE;NL;US\n"
	matrixHead = "ProductTitle,ProductId,SkuId,SkuTitle,ProvisioningId,ProvisioningString,MinLicenses,MaxLicenses,AssetOwnershipLimit,AssetOwnershipLimitType," +
		"ProductSkuPreRequisites,ProductSkuConversion,Description,AllowedCountries\n"

	partnerEuro   = "80f6fb73-3725-4404-a0ee-98ef768080f3" // Voorbeeldstad Cloud B.V.
	partnerDollar = "6c483e07-8f13-4923-9228-bccb7b3b8939" // Sampleton Resale Inc.
	bicycles      = "dd6c7dae-4000-49f1-93b4-5dee8cf0620e" // of the first, with Business Standard
	college       = "cfe07499-aa42-420a-aa2f-8ffce6f7d115" // of the first, without
	shipping      = "3eed43f6-31aa-411d-bfbd-785e6b92bc44" // of the first, with Visio that has ended
)

type offerDesk struct {
	*testing.T
	mux   *http.ServeMux
	trail heard
}

func newOfferDesk(t *testing.T) *offerDesk {
	t.Helper()
	env := servetest.Env(servetest.Demo(t))
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "matrix.csv"), []byte(matrixHead+addOnsOf), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := env.Ingest(t.Context(), jobs.IngestPlan{Folder: folder, Paths: []string{"matrix.csv"}}); err != nil {
		t.Fatal(err)
	}
	now := current.New(t.Context(), func() jobs.Env { return env }, servetest.Now, time.Hour)
	d := &offerDesk{T: t, mux: http.NewServeMux()}
	log := slog.New(slog.DiscardHandler)
	New(d.mux, Desk{Env: func() jobs.Env { return env }, Current: now, Prices: now.Prices(log), Offers: offers.NewShelf(offers.Most), Now: servetest.Now, Trail: &d.trail, Log: log, Version: "test"})
	return d
}

// sales belongs to the first partner.
var sales = access.Principal{ID: "s1", Roles: []access.Role{access.SalesAgent}, Partners: []string{partnerEuro}}

func (d *offerDesk) ask(who access.Principal, path string, pairs ...string) *httptest.ResponseRecorder {
	d.Helper()
	r := httptest.NewRequest(http.MethodGet, path, nil)
	for i := 0; i+1 < len(pairs); i += 2 {
		r.Header.Set(pairs[i], pairs[i+1])
	}
	w := httptest.NewRecorder()
	d.mux.ServeHTTP(w, r.WithContext(access.With(r.Context(), who)))
	return w
}

func (d *offerDesk) get(path string, into any) *httptest.ResponseRecorder {
	d.Helper()
	w := d.ask(sales, path)
	if err := json.Unmarshal(w.Body.Bytes(), into); w.Code != http.StatusOK || err != nil {
		d.Fatalf("GET %s: %d %v %s", path, w.Code, err, w.Body)
	}
	return w
}

func TestListOffers(t *testing.T) {
	t.Parallel()
	d := newOfferDesk(t)
	for _, tt := range []struct{ name, query, want string }{
		{"words, the best first", "q=BUSINESS+prem", "CFQ7TTC0LCHC/0002 CFQ7TTC0LCHC/000P of 2"},
		{"an id", "q=cfq7ttc0lh18", "CFQ7TTC0LH18/0001 of 1"},
		{"trials", "trial=true", "CFQ7TTC0LFF1/000K CFQ7TTC0LCHC/000P CFQ7TTC0HL8W/000T of 3"},
		{"add-ons", "addOn=true", "CFQ7TTC0LH0T/0001 of 1"},
		{"no add-ons that are called so", "addOn=false&q=teams+phone", " of 0"},
		{"of a segment", "segment=Education&q=faculty", "CFQ7TTC0P0HK/0001 CFQ7TTC0P0HL/0001 of 2"},
		{"promotions", "promotion=open", "CFQ7TTC0LDPB/0001 CFQ7TTC0HL8W/0001 CFQ7TTC0HD32/0002 of 3"},
		{"promotions of one plan", "promotion=open&billingPlan=Annual", "CFQ7TTC0HL8W/0001 of 1"},
		{"traditional ones", "commerce=traditional", " of 0"},
		{"nothing is in dollars", "currency=usd", " of 0"},
		{"in euros", "currency=eur&q=copilot", "CFQ7TTC0MM8R/0002 of 1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var page OfferList
			newOfferDeskOf(t, d).get("/v1/offers?market=nl&month=2024-03&"+tt.query, &page)
			var ids []string
			for _, o := range page.Items {
				ids = append(ids, o.ProductID+"/"+o.SkuID)
			}
			if got := fmt.Sprintf("%s of %d", strings.Join(ids, " "), page.Total); got != tt.want {
				t.Errorf("got %s\nwant %s", got, tt.want)
			}
		})
	}
}

// newOfferDeskOf is the desk for a subtest.
func newOfferDeskOf(t *testing.T, d *offerDesk) *offerDesk {
	return &offerDesk{T: t, mux: d.mux}
}

func TestOfferPages(t *testing.T) {
	t.Parallel()
	d := newOfferDesk(t)
	var all, page OfferList
	d.get("/v1/offers?market=NL&month=2024-03", &all)
	if len(all.Items) != all.Total || all.Total < 20 || all.Next != "" || all.Sheet.File != "NL.csv" || all.Sheet.Month != "2024-03" {
		t.Fatalf("%d of %d, next %q, %+v", len(all.Items), all.Total, all.Next, all.Sheet)
	}
	var paged []offers.Offer
	cursor := ""
	for {
		page = OfferList{}
		d.get("/v1/offers?market=NL&month=2024-03&limit=7&cursor="+cursor, &page)
		paged = append(paged, page.Items...)
		if cursor = page.Next; cursor == "" {
			break
		}
		if w := d.ask(sales, "/v1/offers?market=NL&month=2024-03&q=microsoft&cursor="+cursor); w.Code != http.StatusBadRequest {
			t.Fatalf("the cursor of another question: %d %s", w.Code, w.Body)
		}
	}
	if asJSON(paged) != asJSON(all.Items) {
		t.Errorf("in pages\n%s\nat once\n%s", asJSON(paged), asJSON(all.Items))
	}
}

func asJSON(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(data)
}

func TestGetOffer(t *testing.T) {
	t.Parallel()
	d := newOfferDesk(t)
	var o OfferFound
	d.get("/v1/offers/CFQ7TTC0LDPB/1?market=NL&at=2024-03-01T12:00:00Z&termDuration=P1Y&billingPlan=Monthly&segment=Commercial", &o)
	const want = `{"productId":"CFQ7TTC0LDPB","skuId":"0001","productTitle":"Microsoft 365 Business Standard","skuTitle":"Microsoft 365 Business Standard","publisher":"Microsoft Corporation",` +
		`"commerce":"new","trial":false,"addOn":false,"software":false,"monthlyTerm":true,"tags":["License"],` +
		`"plans":[{"termDuration":"P1Y","billingPlan":"Monthly","segment":"Commercial","monthlyTerm":false,"trial":false,"prices":[{"currency":"EUR","unitPrice":"119.34","erpPrice":"140.40",` +
		`"promotions":[{"promotionId":"39NFJQT1X27N:0001:39NFJQT1Q5KA","percent":"10","unitPrice":"107.406","until":"2024-06-30T23:59:59Z"}]}]}],` +
		`"limits":{"minLicenses":1,"maxLicenses":300},"upgradesTo":[{"productId":"CFQ7TTC0LCHC","skuId":"0002","title":"Microsoft 365 Business Premium"},` +
		`{"productId":"CFQ7TTC0LF8R","skuId":"0001","title":"Office 365 E3"},{"productId":"CFQ7TTC0LFLX","skuId":"0001","title":"Microsoft 365 E3"}],` +
		`"addOns":[{"productId":"CFQ7TTC0LH0T","skuId":"0001","title":"Microsoft Teams Phone Standard"}],` +
		`"allowedCountries":["DE","NL","US","GB","CH","JP","KW"],"provisioning":{"provisioningId":"00961fc1-c6e1-454e-99eb-1a7d7b64c930","provisioningString":"DEMO_BS"}}`
	if got := asJSON(o.Offer); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	o = OfferFound{}
	d.get(phone+"?market=NL&month=2024-03", &o)
	if !o.AddOn || asJSON(o.Needs) != `[{"productId":"CFQ7TTC0LDPB","skuId":"0001","title":"Microsoft 365 Business Standard"},{"productId":"CFQ7TTC0HD33","title":"Visio Plan 1"}]` ||
		*o.Limits != (offers.Limits{MinLicenses: 1, MaxLicenses: 10, OwnershipLimit: "1", OwnershipLimitType: "ConcurrentCount"}) || o.Description != "Calls" {
		t.Errorf("got %s", asJSON(o))
	}
	for _, path := range []string{"/v1/offers/NONE/0001?market=NL&month=2024-03", "/v1/offers/CFQ7TTC0LDPB/0001?market=XX&month=2024-03", "/v1/offers/CFQ7TTC0LDPB/0001?market=NL&month=2019-03",
		"/v1/offers/CFQ7TTC0LDPB/0001?market=NL&month=2024-03&currency=USD"} {
		if w := d.ask(sales, path); w.Code != http.StatusNotFound {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
	for _, path := range []string{"/v1/offers", "/v1/offers?market=NLD", "/v1/offers?market=NL&month=2024-03&at=2024-03-01T00:00:00Z", "/v1/offers?market=NL&promotion=closed",
		"/v1/offers?market=NL&trial=perhaps", "/v1/offers?market=NL&colour=red", "/v1/offers?market=NL&q=a&q=b", "/v1/offers?market=NL&market=NL", "/v1/offers?market=NL&q=" + strings.Repeat("a+", 17)} {
		if w := d.ask(sales, path); w.Code != http.StatusUnprocessableEntity {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
}

// An answer is the same, and has the same tag, until something begins or ends.
func TestOfferTags(t *testing.T) {
	t.Parallel()
	d := newOfferDesk(t)
	for _, path := range []string{"/v1/offers?market=NL&", "/v1/offers/CFQ7TTC0LDPB/0001?market=NL&", "/v1/promotions?market=NL&", "/v1/promotions?"} {
		// Visio's promotion ends with the tenth.
		var first, again, later map[string]any
		w1 := d.get(path+"at=2024-03-04T00:00:00Z", &first)
		w2 := d.get(path+"at=2024-03-10T23:59:59Z", &again)
		w3 := d.get(path+"at=2024-03-11T00:00:00Z", &later)
		tag := w1.Header().Get("ETag")
		if tag == "" || w2.Header().Get("ETag") != tag || w1.Body.String() != w2.Body.String() {
			t.Errorf("%s: %s then %s", path, tag, w2.Header().Get("ETag"))
		}
		if w3.Header().Get("ETag") == tag {
			t.Errorf("%s: a promotion ended, the same tag", path)
		}
		if w := d.ask(sales, path+"at=2024-03-05T00:00:00Z", "If-None-Match", tag); w.Code != http.StatusNotModified || w.Body.Len() > 0 {
			t.Errorf("%s, had: %d %s", path, w.Code, w.Body)
		}
		if w := d.ask(sales, path+"at=2024-03-11T00:00:00Z", "If-None-Match", tag); w.Code != http.StatusOK {
			t.Errorf("%s, had another: %d %s", path, w.Code, w.Body)
		}
	}
}

func TestListPromotions(t *testing.T) {
	t.Parallel()
	d := newOfferDesk(t)
	for _, tt := range []struct{ name, query, want string }{
		{"all that are open", "at=2024-03-05T00:00:00Z", "[Visio Plan 2 P1M Monthly 15% []] [Power BI Pro P1Y Annual 5% []] [Microsoft 365 Business Standard P1Y Monthly 10% []]"},
		{"of a market, with prices", "at=2024-03-05T00:00:00Z&market=jp", "[Visio Plan 2 P1M Monthly 15% [{Commercial JPY 2173 1847.05}]] [Power BI Pro P1Y Annual 5% [{Commercial JPY 14484 13759.8}]] " +
			"[Microsoft 365 Business Standard P1Y Monthly 10% [{Commercial JPY 18156 16340.4}]]"},
		{"the instant at which one ends is inside", "at=2024-03-10T23:59:59Z&market=US", "[Visio Plan 2 P1M Monthly 15% [{Commercial USD 15.3 13.005}]] [Power BI Pro P1Y Annual 5% [{Commercial USD 102 96.9} {Education USD 30.6 29.07}]] " +
			"[Microsoft 365 Business Standard P1Y Monthly 10% [{Commercial USD 127.5 114.75}]]"},
		{"none is open", "at=2030-01-01T00:00:00Z", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var page PromotionList
			newOfferDeskOf(t, d).get("/v1/promotions?"+tt.query, &page)
			var all []string
			for _, p := range page.Items {
				all = append(all, fmt.Sprintf("[%s %s %s %s%% %v]", p.Title, p.Term, p.Plan, p.Percent, p.Prices))
			}
			if got := strings.Join(all, " "); got != tt.want {
				t.Errorf("got %s\nwant %s", got, tt.want)
			}
		})
	}
	var page PromotionList
	d.get("/v1/promotions?at=2024-03-05T00:00:00Z&limit=2", &page)
	if len(page.Items) != 2 || page.Next == "" {
		t.Fatalf("got %+v", page)
	}
	next := page.Next
	page = PromotionList{}
	if d.get("/v1/promotions?at=2024-03-05T00:00:00Z&limit=2&cursor="+next, &page); len(page.Items) != 1 || page.Next != "" {
		t.Errorf("got %+v", page)
	}
}

func TestPrerequisites(t *testing.T) {
	t.Parallel()
	d := newOfferDesk(t)
	const title = `"title":"Microsoft Teams Phone Standard"`
	for _, tt := range []struct{ name, path, customer, want string }{
		{"one is met", phone, bicycles, `{"productId":"CFQ7TTC0LH0T","skuId":"0001",` + title + `,"customerId":"` + bicycles + `","addOn":true,"met":true,"needs":[` +
			`{"productId":"CFQ7TTC0LDPB","skuId":"0001","title":"Microsoft 365 Business Standard","met":true,"subscriptions":[{"subscriptionId":"ac85bab0-1652-40cc-94ec-81da3ac37385","skuId":"0001","quantity":26}]},` +
			`{"productId":"CFQ7TTC0HD33","title":"Visio Plan 1","met":false,"subscriptions":[]}]}`},
		{"none is met", phone, college, `{"productId":"CFQ7TTC0LH0T","skuId":"0001",` + title + `,"customerId":"` + college + `","addOn":true,"met":false,"needs":[` +
			`{"productId":"CFQ7TTC0LDPB","skuId":"0001","title":"Microsoft 365 Business Standard","met":false,"subscriptions":[]},` +
			`{"productId":"CFQ7TTC0HD33","title":"Visio Plan 1","met":false,"subscriptions":[]}]}`},
		{"what has ended meets nothing", phone, shipping, `{"productId":"CFQ7TTC0LH0T","skuId":"0001",` + title + `,"customerId":"` + shipping + `","addOn":true,"met":true,"needs":[` +
			`{"productId":"CFQ7TTC0LDPB","skuId":"0001","title":"Microsoft 365 Business Standard","met":true,"subscriptions":[{"subscriptionId":"4c45d4ce-4c42-4075-9f94-684d045dcb0a","skuId":"0001","quantity":15}]},` +
			`{"productId":"CFQ7TTC0HD33","title":"Visio Plan 1","met":false,"subscriptions":[]}]}`},
		{"what needs nothing", "/v1/offers/CFQ7TTC0LDPB/1", college, `{"productId":"CFQ7TTC0LDPB","skuId":"0001","title":"Microsoft 365 Business Standard","customerId":"` + college + `","addOn":false,"met":true,"needs":[]}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var p Prerequisites
			newOfferDeskOf(t, d).get(tt.path+"/prerequisites?customerId="+tt.customer, &p)
			if got := asJSON(p); got != tt.want {
				t.Errorf("got %s\nwant %s", got, tt.want)
			}
		})
	}
	other := access.Principal{ID: "s2", Roles: []access.Role{access.SalesAgent}, Partners: []string{partnerDollar}}
	theirs := d.ask(other, phone+"/prerequisites?customerId="+bicycles)
	nobodys := d.ask(other, phone+"/prerequisites?customerId=00000000-0000-0000-0000-000000000000")
	if theirs.Code != http.StatusNotFound || strings.ReplaceAll(theirs.Body.String(), bicycles, "ID") != strings.ReplaceAll(nobodys.Body.String(), "00000000-0000-0000-0000-000000000000", "ID") {
		t.Errorf("another partner's customer: %d %s\nnobody's: %d %s", theirs.Code, theirs.Body, nobodys.Code, nobodys.Body)
	}
	if w := d.ask(sales, "/v1/offers/NONE/0001/prerequisites?customerId="+bicycles); w.Code != http.StatusNotFound {
		t.Errorf("an unknown offer: %d %s", w.Code, w.Body)
	}
}

// Who has no role that may see offers is refused everywhere.
func TestOffersNeedARole(t *testing.T) {
	t.Parallel()
	d := newOfferDesk(t)
	for _, path := range []string{"/v1/offers?market=NL", phone + "?market=NL", phone + "/prerequisites?customerId=" + bicycles, "/v1/promotions"} {
		if w := d.ask(access.Principal{ID: "x", Everyone: true}, path); w.Code != http.StatusForbidden {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
}
