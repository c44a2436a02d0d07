package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/calends/calends/jobs"
	"github.com/calends/calends/jobs/serve/access"
	"github.com/calends/calends/jobs/serve/audit"
	"github.com/calends/calends/jobs/serve/current"
	"github.com/calends/calends/jobs/serve/servetest"
	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pricing"
	"github.com/calends/calends/pricing/pricesheet"
)

// heard is a trail that remembers.
type heard struct {
	mu    sync.Mutex
	kinds []audit.Kind
}

// Note remembers the kind.
func (h *heard) Note(_ context.Context, e audit.Event) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.kinds = append(h.kinds, e.Kind)
	return nil
}

// priceDesk answers for the demo's prices, to a sales agent of no partner.
type priceDesk struct {
	*testing.T
	env   jobs.Env
	api   *API
	mux   *http.ServeMux
	role  access.Role
	trail heard
}

func newPriceDesk(t *testing.T) *priceDesk {
	t.Helper()
	env := servetest.Env(servetest.Demo(t))
	now := current.New(t.Context(), func() jobs.Env { return env }, servetest.Now, time.Hour)
	d := &priceDesk{T: t, env: env, mux: http.NewServeMux(), role: access.SalesAgent}
	log := slog.New(slog.DiscardHandler)
	d.api = New(d.mux, Desk{Env: func() jobs.Env { return env }, Current: now, Prices: now.Prices(log), Now: servetest.Now, Trail: &d.trail, Log: log, Version: "test"})
	return d
}

// ask sends a request; pairs are header names and values.
func (d *priceDesk) ask(method, path, body string, pairs ...string) *httptest.ResponseRecorder {
	d.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		r.Header.Set(pairs[i], pairs[i+1])
	}
	w := httptest.NewRecorder()
	d.mux.ServeHTTP(w, r.WithContext(access.With(r.Context(), access.Principal{ID: "someone", Roles: []access.Role{d.role}})))
	return w
}

// get asks, wants 200 and reads the answer.
func (d *priceDesk) get(path string, into any) *httptest.ResponseRecorder {
	d.Helper()
	w := d.ask(http.MethodGet, path, "")
	if w.Code != http.StatusOK {
		d.Fatalf("GET %s: %d %s", path, w.Code, w.Body)
	}
	if err := json.Unmarshal(w.Body.Bytes(), into); err != nil {
		d.Fatalf("GET %s: %v", path, err)
	}
	return w
}

// basic is the price that the demo's first rows have: Business Basic, a year, in NL.
const basic = "/v1/price?market=NL&productId=CFQ7TTC0LH18&skuId=0001&termDuration=P1Y&billingPlan=Monthly&currency=EUR"

func TestGetPrice(t *testing.T) {
	t.Parallel()
	d := newPriceDesk(t)
	var p Price
	w := d.get(basic+"&at=2024-03-15T09:30:00Z", &p)
	if p.UnitPrice != "57.12" || p.CyclePrice != "4.76" || p.Currency != "EUR" || p.Sheet.File != "NL.csv" || p.Sheet.Line != 3 || p.Sheet.Month != "2024-03" || p.Sheet.Stale ||
		len(p.Sheet.SHA256) != 64 || p.Segment != "Commercial" || p.HoldsFrom != "2024-03-01T00:00:00Z" || p.HoldsUntil != "2024-03-31T23:59:59.9999999Z" || p.Start != "2023-11-01T00:00:00Z" || p.End != "" {
		t.Errorf("got %+v", p)
	}
	// The same question at another instant of the month has the same answer, byte for byte.
	again := d.ask(http.MethodGet, basic+"&month=2024-03", "")
	if again.Body.String() != w.Body.String() || again.Header().Get("ETag") != w.Header().Get("ETag") || w.Header().Get("ETag") == "" {
		t.Errorf("got %s %s, want %s %s", again.Header().Get("ETag"), again.Body, w.Header().Get("ETag"), w.Body)
	}
	for _, had := range []string{w.Header().Get("ETag"), `"x", W/` + w.Header().Get("ETag"), "*"} {
		if w := d.ask(http.MethodGet, basic+"&at=2024-03-15T09:30:00Z", "", "If-None-Match", had); w.Code != 304 || w.Body.Len() > 0 || w.Header().Get("ETag") == "" {
			t.Errorf("having %s: %d %s", had, w.Code, w.Body)
		}
	}
	if w := d.ask(http.MethodGet, basic+"&month=2024-01", "", "If-None-Match", w.Header().Get("ETag")); w.Code != 200 {
		t.Errorf("the ETag of another month: %d", w.Code)
	}
	// Nothing said: now, which is in May 2024.
	if d.get(basic, &p); p.Sheet.Month != "2024-05" {
		t.Errorf("now: got the sheet of %s", p.Sheet.Month)
	}
	// Kuwait has no sheet of April.
	d.get(strings.Replace(basic, "NL", "kw", 1)+"&month=2024-04", &p)
	if p.Market != "KW" || p.Sheet.Month != "2024-03" || !p.Sheet.Stale {
		t.Errorf("got %+v, want March's sheet", p)
	}
}

// Every row of the demo's sheets is asked for, and what is told is what the engine says.
func TestPricesAreTheEngines(t *testing.T) {
	t.Parallel()
	d := newPriceDesk(t)
	reading, err := d.env.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	catalog := reading.Catalog()
	found, refused := 0, 0
	for _, market := range catalog.Markets() {
		for _, month := range catalog.Months(market)[:4] {
			sheet, err := catalog.Sheet(market, month)
			if err != nil {
				t.Fatal(err)
			}
			var keys []PriceQuestion
			var queries []pricing.PriceQuery
			at := (month.First() + 14).Instant()
			for i, r := range sheet.Rows() {
				currency := []string{"EUR", "USD", "JPY"}[i%3]
				q := pricing.PriceQuery{SKU: r.SKU, Term: r.Term, Plan: r.Plan, Market: market, Segment: r.Segment, BillingCurrency: currency, At: at}
				if i%5 == 0 {
					q.Segment = "Nobody's"
				}
				queries = append(queries, q)
				keys = append(keys, PriceQuestion{Market: market, ProductID: q.ProductID, SkuID: q.SkuID, Term: q.Term.String(), Plan: q.Plan.String(), Segment: q.Segment, Currency: currency})
			}
			body, err := json.Marshal(map[string]any{"at": at.String(), "keys": keys})
			if err != nil {
				t.Fatal(err)
			}
			w := d.ask(http.MethodPost, "/v1/price-lookups", string(body))
			var answers PriceAnswers
			if err := json.Unmarshal(w.Body.Bytes(), &answers); err != nil || w.Code != 200 || len(answers.Answers) != len(keys) {
				t.Fatalf("%d %s %v", w.Code, w.Body, err)
			}
			for i, q := range queries {
				got := answers.Answers[i]
				want, err := pricing.FindPrice(catalog, q)
				if err != nil {
					refused++
					if code, reason, _ := strings.Cut(err.Error(), ": "); got.Price != nil || got.Code != code || got.Reason != reason {
						t.Errorf("%+v: got %+v, want %v", q, got, err)
					}
				} else if found++; got.Price == nil || got.Price.UnitPrice != want.Row.UnitPrice.String() || got.Price.Currency != want.Row.Currency || got.Price.Sheet.Line != want.Row.Line ||
					got.Price.Sheet.SHA256 != want.Sheet.SHA256 || got.Price.Sheet.Stale != want.Stale || got.Price.HoldsUntil != want.Until.String() {
					t.Errorf("%+v: got %+v, want %+v", q, got.Price, want)
				}
				// And asked alone, the same.
				k := keys[i]
				one := d.ask(http.MethodGet, "/v1/price?"+url.Values{"market": {market}, "productId": {k.ProductID}, "skuId": {k.SkuID}, "termDuration": {k.Term}, "billingPlan": {k.Plan},
					"segment": {k.Segment}, "currency": {k.Currency}, "at": {at.String()}}.Encode(), "")
				switch {
				case got.Price != nil:
					var p Price
					if err := json.Unmarshal(one.Body.Bytes(), &p); err != nil || one.Code != 200 || p != *got.Price {
						t.Errorf("%+v: alone %s, among others %+v", q, one.Body, *got.Price)
					}
				case one.Code != 422 || !strings.Contains(one.Body.String(), `"type":"urn:calends:problem:`+got.Code+`"`) || !strings.Contains(one.Body.String(), `"location":"rule"`):
					t.Errorf("%+v: alone %s, among others %+v", q, one.Body, got)
				}
			}
		}
	}
	if found < 100 || refused < 20 {
		t.Fatalf("%d prices and %d refusals: the test asks too little", found, refused)
	}
	if slices.Contains(d.trail.kinds, audit.Did) {
		t.Error("the trail says that a question changed something")
	}
}

// Pages laid end to end are what the command line lists.
func TestListPrices(t *testing.T) {
	t.Parallel()
	d := newPriceDesk(t)
	march, err := pricing.ParseMonth("2024-03")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, query string
		words       []string
		keep        func(jobs.PriceRow) bool
	}{
		{"a whole sheet", "", nil, nil},
		{"words", "&q=Business+BASIC", []string{"business", "basic"}, nil},
		{"a product", "&productId=CFQ7TTC0LH18&skuId=1", nil, func(r jobs.PriceRow) bool { return r.ProductID == "CFQ7TTC0LH18" && r.SkuID == "0001" }},
		{"a term and plan", "&termDuration=P1Y&billingPlan=Annual", nil, func(r jobs.PriceRow) bool { return r.Term == "P1Y" && r.Plan == "Annual" }},
		{"a segment and currency", "&segment=Education&currency=eur", nil, func(r jobs.PriceRow) bool { return r.Segment == "Education" && r.Currency == "EUR" }},
		{"words that are nowhere", "&q=unicorn", []string{"unicorn"}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			want, err := d.env.ListPrices(t.Context(), jobs.PriceListPlan{Market: "NL", Month: march, Search: tt.words})
			if err != nil {
				t.Fatal(err)
			}
			if tt.keep != nil {
				want.Rows = slices.DeleteFunc(want.Rows, func(r jobs.PriceRow) bool { return !tt.keep(r) })
			}
			var got []PriceRow
			pages := 0
			for cursor := ""; pages == 0 || cursor != ""; pages++ {
				var page PriceList
				d.get("/v1/prices?market=nl&month=2024-03&limit=7"+tt.query+"&cursor="+cursor, &page)
				if page.Next != "" && len(page.Items) != 7 {
					t.Fatalf("a page of %d", len(page.Items))
				}
				got, cursor = append(got, page.Items...), page.Next
			}
			if len(got) != len(want.Rows) || tt.name == "a whole sheet" && pages < 3 {
				t.Fatalf("got %d rows in %d pages, want %d", len(got), pages, len(want.Rows))
			}
			for i, r := range want.Rows {
				g := got[i]
				if PriceKey(r.PriceKey) != g.PriceKey || g.UnitPrice != r.UnitPrice || g.Line != r.Line || g.Currency != r.Currency || g.Start != r.Start || g.End != r.End || g.SkuTitle != r.SkuTitle || g.Market != "NL" || g.SheetMonth != "2024-03" {
					t.Errorf("row %d: got %+v, want %+v", i, g, r)
				}
			}
		})
	}
}

func TestListPricesOfAllMarkets(t *testing.T) {
	t.Parallel()
	d := newPriceDesk(t)
	markets := make(map[string]string)
	cursor := "x"
	for path := "/v1/prices?month=2024-04&productId=CFQ7TTC0LH18&limit=4"; cursor != ""; path += "" {
		var page PriceList
		if cursor == "x" {
			cursor = ""
		}
		d.get(path+"&cursor="+cursor, &page)
		for _, r := range page.Items {
			markets[r.Market] = r.SheetMonth
		}
		cursor = page.Next
	}
	if got := slices.Sorted(maps.Keys(markets)); !slices.Equal(got, []string{"CH", "DE", "GB", "JP", "KW", "NL", "US"}) || markets["KW"] != "2024-03" || markets["NL"] != "2024-04" {
		t.Errorf("got %v", markets)
	}
}

func TestListPricesAtAnInstant(t *testing.T) {
	t.Parallel()
	d := newPriceDesk(t)
	var all, valid, none PriceList
	d.get("/v1/prices?market=NL&month=2024-03&limit=1000", &all)
	d.get("/v1/prices?market=NL&at=2024-03-15T00:00:00Z&limit=1000", &valid)
	want := 0
	for _, r := range all.Items {
		if r.Start <= "2024-03-15T00:00:00Z" && (r.End == "" || "2024-03-15T00:00:00Z" <= r.End) {
			want++
		}
	}
	if len(valid.Items) != want || want == 0 {
		t.Errorf("%d rows are valid, want %d of %d", len(valid.Items), want, len(all.Items))
	}
	w := d.get("/v1/prices?market=NL&month=2024-03&q=unicorn", &none)
	if none.Items == nil || strings.Contains(w.Body.String(), "next") {
		t.Errorf("got %s, want no items and no next page", w.Body)
	}
}

func TestPriceChanges(t *testing.T) {
	t.Parallel()
	d := newPriceDesk(t)
	compared := 0
	for _, market := range []string{"NL", "US", "DE", "KW"} {
		plan := jobs.PriceComparePlan{Market: market, Before: pricing.MonthOf(2024, 3), After: pricing.MonthOf(2024, 4)}
		want, err := d.env.ComparePrices(t.Context(), plan)
		if err != nil {
			t.Fatal(err)
		}
		var got []PriceChange
		next := ""
		for first := true; first || next != ""; first = false {
			var page PriceChanges
			d.get("/v1/price-changes?limit=2&from=2024-03&to=2024-04&market="+market+"&cursor="+next, &page)
			if page.New != want.New || page.Gone != want.Gone || page.Changed != want.Changed || page.Same != want.Same || page.Ambiguous != want.Ambiguous ||
				page.After.Month != want.After.Month || page.After.Stale != want.After.Stale || page.Before.SHA256 != want.Before.SHA256 {
				t.Fatalf("%s: got %+v, want %+v", market, page, want)
			}
			got, next = append(got, page.Items...), page.Next
		}
		if len(got) != len(want.Changes) {
			t.Fatalf("%s: got %d changes, want %d", market, len(got), len(want.Changes))
		}
		for i, c := range want.Changes {
			compared++
			if g := got[i]; PriceKey(c.PriceKey) != g.PriceKey || g.What != c.What || g.Before != c.Before || g.After != c.After || g.Change != c.Change || g.Percent != c.Percent || g.Currency != c.Currency {
				t.Errorf("%s: got %+v, want %+v", market, g, c)
			}
		}
		for _, what := range []string{"new", "gone", "up", "down", "ambiguous"} {
			var page PriceChanges
			d.get("/v1/price-changes?from=2024-03&to=2024-04&limit=1000&market="+market+"&what="+what, &page)
			n := 0
			for _, c := range want.Changes {
				if c.What == what {
					n++
				}
			}
			if len(page.Items) != n {
				t.Errorf("%s: got %d %s, want %d", market, len(page.Items), what, n)
			}
		}
	}
	if compared == 0 {
		t.Fatal("nothing changed: the test compares nothing")
	}
}

func TestPriceSheets(t *testing.T) {
	t.Parallel()
	d := newPriceDesk(t)
	var all PriceSheetList
	d.get("/v1/price-sheets?limit=1000", &all)
	var paged []ListedSheet
	next := ""
	for first := true; first || next != ""; first = false {
		var page PriceSheetList
		d.get("/v1/price-sheets?limit=10&cursor="+next, &page)
		paged, next = append(paged, page.Items...), page.Next
	}
	if len(all.Items) < 50 || !slices.Equal(paged, all.Items) {
		t.Fatalf("got %d sheets, in pages %d", len(all.Items), len(paged))
	}
	var one PriceSheetList
	d.get("/v1/price-sheets?market=NL&month=2024-03", &one)
	if len(one.Items) != 1 || one.Items[0].File != "NL.csv" || one.Items[0].Rows == 0 {
		t.Errorf("got %+v", one.Items)
	}
}

// A whole sheet, taken in as a price sheet, has the rows that billing has.
func TestWholeSheets(t *testing.T) {
	t.Parallel()
	d := newPriceDesk(t)
	reading, err := d.env.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	rows, told := 0, 0
	for _, market := range reading.Catalog().Markets() {
		sheet, err := reading.Catalog().Sheet(market, pricing.MonthOf(2024, 3))
		if err != nil {
			t.Fatal(err)
		}
		path := "/v1/price-sheets/" + market + "/" + sheet.Month.String()
		w := d.ask(http.MethodGet, path, "")
		if got := w.Header().Get("Content-Type"); w.Code != 200 || w.Header().Get("Vary") != "Accept, Accept-Encoding" || got != "text/csv; charset=utf-8" || !strings.Contains(w.Header().Get("Content-Disposition"), "prices-"+market) {
			t.Fatalf("%s: %d %s", path, w.Code, got)
		}
		read, err := pricesheet.Read(bytes.NewReader(w.Body.Bytes()))
		if err != nil {
			t.Fatal(err)
		}
		source := slices.IndexFunc(reading.Catalog().SheetSources(), func(s ledger.SheetSource) bool { return s.Market == market && s.Month == sheet.Month })
		var want []pricing.Row
		for _, o := range reading.Catalog().SheetSources()[source].Objects {
			own, err := ledger.Ledger{Bucket: d.env.Bucket}.ListedRows(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			want = append(want, own...)
		}
		want = pricing.NewSheet(market, sheet.Month, "", "", want).Rows()
		if len(read.Rows) != len(want) || len(read.Unknown) > 0 {
			t.Fatalf("%s: read %d rows, want %d; unknown columns %v", path, len(read.Rows), len(want), read.Unknown)
		}
		for i, r := range read.Rows {
			r.Line = want[i].Line
			if !r.UnitPrice.Equal(want[i].UnitPrice) || r.UnitPrice.String() != want[i].UnitPrice.String() {
				t.Errorf("%s: row %d: price %s, want %s", path, i, r.UnitPrice, want[i].UnitPrice)
			}
			if (r.Listing == nil) != (want[i].Listing == nil) || r.Listing != nil && *r.Listing != *want[i].Listing {
				t.Errorf("%s: row %d: told %+v, want %+v", path, i, r.Listing, want[i].Listing)
			}
			if r.Listing != nil {
				told++
			}
			r.UnitPrice, r.Listing = want[i].UnitPrice, want[i].Listing
			if r != want[i] {
				t.Errorf("%s: row %d:\ngot  %+v\nwant %+v", path, i, r, want[i])
			}
			rows++
		}
		if w := d.ask(http.MethodGet, path, "", "If-None-Match", w.Header().Get("ETag")); w.Code != 304 || w.Body.Len() > 0 {
			t.Errorf("%s again: %d with %d bytes", path, w.Code, w.Body.Len())
		}
		p := d.ask(http.MethodGet, path, "", "Accept", "application/vnd.apache.parquet")
		if other := d.ask(http.MethodGet, path+"?format=parquet", ""); !bytes.Equal(other.Body.Bytes(), p.Body.Bytes()) || other.Header().Get("ETag") != p.Header().Get("ETag") || p.Header().Get("ETag") == w.Header().Get("ETag") {
			t.Errorf("%s: two ways to ask for Parquet, two answers", path)
		}
		parquetRows(t, p, want)
	}
	if rows < 100 || told < 100 {
		t.Fatalf("%d rows, %d with what they tell", rows, told)
	}
}

// parquetRows reads a Parquet answer with a schema of its own.
func parquetRows(t *testing.T, w *httptest.ResponseRecorder, want []pricing.Row) {
	t.Helper()
	type row struct {
		ProductID string `parquet:"ProductId"`
		SkuID     string `parquet:"SkuId"`
		Price     int64  `parquet:"UnitPrice,decimal(6:18)"`
		Text      string `parquet:"UnitPriceText"`
		Start     int64  `parquet:"EffectiveStartDate,timestamp(microsecond)"`
		Tiered    bool   `parquet:"Tiered"`
	}
	body := w.Body.Bytes()
	rows, err := parquet.Read[row](bytes.NewReader(body), int64(len(body)))
	if err != nil || len(rows) != len(want) {
		t.Fatalf("%d rows of %d, %v", len(rows), len(want), err)
	}
	for i, r := range rows {
		price := want[i].UnitPrice
		if r.ProductID != want[i].ProductID || r.SkuID != want[i].SkuID || r.Text != price.String() || fmt.Sprint(r.Price) != price.Shift(6).RoundBank(0).String() ||
			r.Start != want[i].Start.Time().UnixMicro() || r.Tiered != want[i].Tiered {
			t.Errorf("row %d: got %+v, want %+v", i, r, want[i])
		}
	}
}

func TestPricesRefuse(t *testing.T) {
	t.Parallel()
	d := newPriceDesk(t)
	var page PriceList
	d.get("/v1/prices?market=NL&month=2024-03&limit=5", &page)
	for _, tt := range []struct {
		name, path, body string
		status           int
		says             string
	}{
		{"a market that has no sheet", "/v1/prices?market=BR", "", 404, "a price sheet of BR"},
		{"a month before the first sheet", "/v1/prices?market=NL&month=2023-12", "", 404, "2023-12 or earlier"},
		{"a sheet of a month that has none of its own", "/v1/price-sheets/KW/2024-04", "", 404, "a price sheet of KW for 2024-04"},
		{"changes of a market that has no sheet", "/v1/price-changes?market=BR&from=2024-01&to=2024-02", "", 404, "a price sheet of BR"},
		{"a cursor of another question", "/v1/prices?market=NL&month=2024-04&limit=5&cursor=" + page.Next, "", 400, "the cursor does not fit"},
		{"a cursor that is none", "/v1/prices?market=NL&cursor=AAAA", "", 400, "the cursor does not fit"},
		{"a month that is none", "/v1/prices?month=2024-13", "", 422, "query.month"},
		{"an instant that is none", "/v1/price-changes?market=NL&from=2024-01&to=2024-02&at=yesterday", "", 422, "query.at"},
		{"an instant and a month", basic + "&at=2024-03-15T09:30:00Z&month=2024-03", "", 422, "an instant or a month, not both"},
		{"a term that is none", strings.Replace(basic, "P1Y", "P2Y", 1), "", 422, "query.termDuration"},
		{"a parameter that is none", basic + "&colour=red", "", 422, "colour"},
		{"no market", strings.Replace(basic, "market=NL&", "", 1), "", 422, "query.market"},
		{"more words than are searched for", "/v1/prices?q=" + strings.Repeat("a+", 17), "", 422, "up to 16 words"},
		{"a page that is too long", "/v1/prices?limit=1001", "", 422, "query.limit"},
		{"a price that is not there", strings.Replace(basic, "0001", "9999", 1) + "&month=2024-03", "", 422, "urn:calends:problem:PRICE_NOT_FOUND"},
		{"a price in a market without a sheet", strings.Replace(basic, "NL", "BR", 1), "", 422, "market BR has no price sheet"},
		{"no keys", "/v1/price-lookups", `{"keys":[]}`, 422, "body.keys"},
		{"a key without a product", "/v1/price-lookups", `{"keys":[{"market":"NL","skuId":"1","termDuration":"P1Y","billingPlan":"Annual"}]}`, 422, "productId"},
		{"a key with an instant that is none", "/v1/price-lookups", `{"keys":[{"market":"NL","productId":"P","skuId":"1","termDuration":"P1Y","billingPlan":"Annual","at":"x"}]}`, 422, "body.keys[0].at"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			method := http.MethodGet
			if tt.body != "" {
				method = http.MethodPost
			}
			w := d.ask(method, tt.path, tt.body)
			if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.says) || w.Header().Get("Content-Type") != "application/problem+json" {
				t.Errorf("got %d %s, want %d: %s", w.Code, w.Body, tt.status, tt.says)
			}
		})
	}
}

// A reader that fails in the middle is not told that it has the whole.
func TestStreamCutsOff(t *testing.T) {
	t.Parallel()
	d := newPriceDesk(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d.mux.ServeHTTP(&broken{w, 3000}, r.WithContext(access.With(r.Context(), access.Principal{ID: "someone", Roles: []access.Role{access.SalesAgent}})))
	}))
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	defer server.Close()
	response, err := http.Get(server.URL + "/v1/price-sheets/NL/2024-03")
	if err != nil {
		return // nothing came at all
	}
	defer response.Body.Close()
	if body, err := io.ReadAll(response.Body); err == nil {
		t.Errorf("%d bytes look like a whole answer", len(body))
	}
}

// broken fails after some bytes.
type broken struct {
	http.ResponseWriter
	left int
}

// Write fails once the bytes are used up.
func (b *broken) Write(p []byte) (int, error) {
	if b.left -= len(p); b.left < 0 {
		return 0, io.ErrShortWrite
	}
	return b.ResponseWriter.Write(p)
}
