package microsoft_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/calends/calends/jobs/intake"
	"github.com/calends/calends/jobs/microsoft"
	"github.com/calends/calends/jobs/microsoft/microsofttest"
	"github.com/calends/calends/jobs/microsoft/signin"
	"github.com/calends/calends/jobs/microsoft/web"
	"github.com/calends/calends/jobs/secret"
	"github.com/calends/calends/pricing"
)

const (
	sheet = `"ProductTitle","ProductId","SkuId","SkuTitle","Publisher","SkuDescription","UnitOfMeasure","TermDuration","BillingPlan","Market","Currency","UnitPrice","PricingTierRangeMin","PricingTierRangeMax","EffectiveStartDate","EffectiveEndDate","Tags","ERP Price","Segment"
"Sample Basic","CFQ7TTC0LH18","0001","Sample Basic","Microsoft Corporation","Mail, and more","","P1Y","Annual","DE","EUR","61.2","","","2/1/2023 12:00:00 AM","11/30/9999 11:59:59 PM","License","76.5","Commercial"
"Sample Basic","CFQ7TTC0LH18","0001","Sample Basic","Microsoft Corporation","Mail, and more","","P1M","Monthly","DE","EUR","6.12","","","2/1/2023 12:00:00 AM","11/30/9999 11:59:59 PM","License","7.65","Commercial"
`
	rates  = "\"CurrencyCode\",\"USDPerUnit\",\"Month\"\n\"EUR\",\"1.0812\",\"202610\"\n\"AED\",\"0.2722\",\"202610\"\n"
	matrix = "\"ProductTitle\",\"ProductId\",\"SkuId\",\"SkuTitle\",\"ProvisioningId\",\"ProvisioningString\",\"MinLicenses\",\"MaxLicenses\",\"AssetOwnershipLimit\",\"AssetOwnershipLimitType\",\"ProductSkuPreRequisites\",\"ProductSkuConversion\",\"Description\",\"AllowedCountries\"\n" +
		"\"Sample Basic\",\"CFQ7TTC0LH18\",\"0001\",\"Sample Basic\",\"\",\"\",\"1\",\"300\",\"\",\"\",\"\",\"CFQ7TTC0LDPB/0001\",\"\",\"DE;NL\"\n"
)

// world is Microsoft, a client of it, and the client's clock.
type world struct {
	*microsofttest.Server
	*microsoft.Client
	dir string

	mu     sync.Mutex
	now    time.Time
	waited []time.Duration
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{Server: microsofttest.New(t), dir: t.TempDir(), now: time.Date(2026, 10, 15, 4, 0, 0, 0, time.UTC)}
	o := microsoft.Options{
		Tenant: microsofttest.Tenant, Client: microsofttest.ClientID, Secret: secret.Source{Env: "SECRET"}, RefreshToken: secret.Source{Env: "REFRESH"},
		Markets: []string{"DE"}, Endpoints: microsoft.Endpoints{Login: w.URL, Prices: w.URL, PartnerCenter: w.URL, Graph: w.URL},
	}
	if err := o.Validate(); err != nil {
		t.Fatal(err)
	}
	w.Client = w.connect(o)
	t.Cleanup(w.Client.Close)
	return w
}

func (w *world) connect(o microsoft.Options) *microsoft.Client {
	return microsoft.NewClient(o, microsoft.Surroundings{
		Version: "test",
		Lookup: func(name string) (string, bool) {
			v, ok := map[string]string{"SECRET": microsofttest.ClientSecret, "REFRESH": microsofttest.RefreshToken}[name]
			return v, ok
		},
		Now: func() time.Time {
			w.mu.Lock()
			defer w.mu.Unlock()
			return w.now
		},
		Wait: func(ctx context.Context, d time.Duration) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.now = w.now.Add(d)
			w.waited = append(w.waited, d)
			return ctx.Err()
		},
	})
}

// Close is of the server; the client is closed with the test.
func (w *world) Close() { w.Server.Close() }

func (w *world) want(month pricing.Month) microsoft.Want {
	return microsoft.Want{Month: month, Today: pricing.DateOf(2026, 10, 15), Dir: w.dir}
}

var october = pricing.MonthOf(2026, 10)

// leftovers are the files beside those that were fetched.
func (w *world) leftovers(t *testing.T) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(w.dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			names = append(names, e.Name())
		}
	}
	return names
}

func read(t *testing.T, f microsoft.Fetched) string {
	t.Helper()
	data, err := os.ReadFile(f.Path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestPriceSheetsOfHistoryCurrentAndFuture(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.PutSheet("DE", "current", "", sheet)
	w.PutSheet("DE", "history", "202609", strings.Replace(sheet, "6.12", "6.01", 1))
	for _, tt := range []struct {
		month pricing.Month
		name  string
		query string
	}{
		{october, "2026-10/DE.csv", "?timeline=current"},
		{october - 1, "2026-09/DE.csv", "?timeline=history&month=202609"},
	} {
		f, err := w.PriceSheet(t.Context(), "DE", w.want(tt.month))
		if err != nil || f.Name != tt.name || f.Rows != 2 || f.Month != tt.month || f.ETag == "" || f.Size != int64(len(sheet)) {
			t.Errorf("%s: got %+v, %v", tt.month, f, err)
		}
		if n := w.Count("(Market='DE',PricesheetView='updatedlicensebased')/$value" + tt.query); n != 1 {
			t.Errorf("%s: asked %d times for %s: %q", tt.month, n, tt.query, w.Asked())
		}
		in, err := intake.Open(f.Path)
		if err != nil {
			t.Fatal(err)
		}
		if got := in.Members[0].Recognise(); got.Kind != intake.PriceSheet {
			t.Errorf("%s is taken for %s", f.Name, got.Kind)
		}
		if month, err := intake.MonthFromPath(f.Path); err != nil || month != tt.month {
			t.Errorf("%s is taken for a sheet of %s, %v", f.Name, month, err)
		}
		if err := in.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := w.PriceSheet(t.Context(), "DE", w.want(october+1)); !errors.Is(err, microsoft.ErrNotPublished) {
		t.Errorf("the future: got %v", err)
	}
	w.PutSheet("DE", "future", "", sheet)
	if f, err := w.PriceSheet(t.Context(), "DE", w.want(october+1)); err != nil || f.Name != "2026-11/DE.csv" {
		t.Errorf("the future, published: got %+v, %v", f, err)
	}
	if _, err := w.PriceSheet(t.Context(), "DE", w.want(october+2)); err == nil || !strings.Contains(err.Error(), "2026-11, at most") {
		t.Errorf("the month behind: got %v", err)
	}
	if _, err := w.PriceSheet(t.Context(), "FR", w.want(october)); !errors.Is(err, web.ErrNotFound) || errors.Is(err, microsoft.ErrNotPublished) {
		t.Errorf("a market that is not sold in: got %v", err)
	}
	if left := w.leftovers(t); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

func TestWhatIsThereAlreadyIsNotFetched(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.PutSheet("DE", "current", "", sheet)
	want := w.want(october)
	w.Fail("/sales/", microsofttest.Status(http.StatusNotModified))
	if _, err := w.PriceSheet(t.Context(), "DE", want); !errors.Is(err, web.ErrNotData) || errors.Is(err, web.ErrNotModified) {
		t.Errorf("said to be the same, and nothing is there: got %v", err)
	}
	f, err := w.PriceSheet(t.Context(), "DE", want)
	if err != nil {
		t.Fatal(err)
	}
	want.ETag = f.ETag
	if _, err := w.PriceSheet(t.Context(), "DE", want); !errors.Is(err, web.ErrNotModified) {
		t.Errorf("the same: got %v", err)
	}
	w.PutSheet("DE", "current", "", strings.Replace(sheet, "6.12", "6.13", 1))
	if again, err := w.PriceSheet(t.Context(), "DE", want); err != nil || again.SHA256 == f.SHA256 || !strings.Contains(read(t, again), "6.13") {
		t.Errorf("another one: got %+v, %v", again, err)
	}
}

// A price sheet is data only if it is one, of the market, and to its end.
func TestWhatIsNoPriceSheet(t *testing.T) {
	t.Parallel()
	half := sheet[:len(sheet)-40]
	for _, tt := range []struct {
		name   string
		faults []microsofttest.Fault
		class  error
		says   string
		asked  int
	}{
		{"an error page", []microsofttest.Fault{microsofttest.Page("Service unavailable")}, web.ErrNotData, `it is a web page: "Service unavailable"`, 1},
		{"an error in JSON", []microsofttest.Fault{microsofttest.Text(`{"error":{"code":"busy","message":"later"}}`)}, web.ErrNotData, "it is JSON: busy: later", 1},
		{"nothing", []microsofttest.Fault{microsofttest.Text("")}, web.ErrNotData, "it is empty", 1},
		{"a header alone", []microsofttest.Fault{microsofttest.Text(sheet[:strings.Index(sheet, "\n")+1])}, web.ErrNotData, "a header and no rows", 1},
		{"another table", []microsofttest.Fault{microsofttest.Text(rates)}, web.ErrNotData, "column Market is missing", 1},
		{"another market", []microsofttest.Fault{microsofttest.Text(strings.ReplaceAll(sheet, `"DE"`, `"FR"`))}, web.ErrNotData, "want the market that was asked for, DE", 1},
		{"one row of another market", []microsofttest.Fault{microsofttest.Text(strings.Replace(sheet, `"P1M","Monthly","DE"`, `"P1M","Monthly","FR"`, 1))}, web.ErrNotData, "line 3", 1},
		{"cut off in a row, three times", []microsofttest.Fault{microsofttest.Text(half), microsofttest.Text(half), microsofttest.Text(half)}, web.ErrIncomplete, "line 3", 3},
		{"half a zip, three times", []microsofttest.Fault{halfZip, halfZip, halfZip}, web.ErrIncomplete, "a zip without its end", 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.PutSheet("DE", "current", "", sheet)
			w.Fail("/sales/", tt.faults...)
			_, err := w.PriceSheet(t.Context(), "DE", w.want(october))
			if !errors.Is(err, tt.class) || !strings.Contains(err.Error(), tt.says) || !strings.Contains(err.Error(), "2026-10/DE.csv") {
				t.Errorf("got %v\nwant %v: %s", err, tt.class, tt.says)
			}
			if n := w.Count("/sales/"); n != tt.asked {
				t.Errorf("asked %d times, want %d", n, tt.asked)
			}
			if _, err := os.Stat(filepath.Join(w.dir, "2026-10", "DE.csv")); err == nil || len(w.leftovers(t)) > 0 {
				t.Errorf("something is left behind: %v, %q", err, w.leftovers(t))
			}
		})
	}
}

var halfZip = func() microsofttest.Fault {
	zip := microsofttest.Zip("sheets.csv", []byte(sheet))
	return microsofttest.Text(string(zip[:len(zip)/2]))
}()

// Whatever passes, the file is the same in the end.
func TestAPriceSheetThroughAllTroubles(t *testing.T) {
	t.Parallel()
	for name, faults := range map[string][]microsofttest.Fault{
		"none":              nil,
		"throttled":         {microsofttest.Throttle("30"), microsofttest.Throttle("")},
		"busy":              {microsofttest.Status(503), microsofttest.Status(500)},
		"hung up":           {microsofttest.HangUp()},
		"half, then whole":  {microsofttest.Half(), microsofttest.Half()},
		"a zip cut off":     {halfZip},
		"a table cut off":   {microsofttest.Text(sheet[:len(sheet)-40])},
		"plain":             {microsofttest.Text(sheet)},
		"with a mark":       {microsofttest.Text("\ufeff" + sheet)},
		"an expired token":  {microsofttest.Status(401)},
		"all one by one":    {microsofttest.Throttle("1"), microsofttest.Status(502), microsofttest.HangUp(), microsofttest.Half(), halfZip, microsofttest.Status(504)},
		"throttled by date": {microsofttest.Throttle("Thu, 15 Oct 2026 04:05:00 GMT")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.PutSheet("DE", "current", "", sheet)
			w.Fail("/sales/", faults...)
			f, err := w.PriceSheet(t.Context(), "DE", w.want(october))
			if err != nil || strings.TrimPrefix(read(t, f), "\ufeff") != sheet || f.Rows != 2 {
				t.Errorf("got %+v, %v", f, err)
			}
			if left := w.leftovers(t); len(left) > 0 {
				t.Errorf("left behind: %q", left)
			}
		})
	}
}

func TestTokensThatEndInTheMiddle(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.PutSheet("DE", "current", "", sheet)
	w.PutPromotions("DE", "commercial", promotion("A"))
	for range 3 {
		if _, err := w.PriceSheet(t.Context(), "DE", w.want(october)); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Promotions(t.Context(), "DE", "commercial", w.want(october)); err != nil {
			t.Fatal(err)
		}
		w.ExpireTokens()
	}
}

func TestExchangeRatesAndOfferMatrix(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, fetch := range map[string]func(context.Context, microsoft.Want) (microsoft.Fetched, error){"fxrates": w.FXRates, "offermatrix": w.OfferMatrix} {
		if _, err := fetch(t.Context(), w.want(october)); !errors.Is(err, microsoft.ErrNotPublished) {
			t.Errorf("%s: got %v, want not published", name, err)
		}
	}
	w.PutFX("202610", rates)
	w.PutOfferMatrix("202610", matrix)
	if f, err := w.FXRates(t.Context(), w.want(october)); err != nil || f.Name != "2026-10/fxrates.csv" || f.Rows != 2 || read(t, f) != rates {
		t.Errorf("rates: got %+v, %v", f, err)
	}
	if f, err := w.OfferMatrix(t.Context(), w.want(october)); err != nil || f.Name != "2026-10/offermatrix.csv" || f.Rows != 1 || read(t, f) != matrix {
		t.Errorf("matrix: got %+v, %v", f, err)
	}
	w.PutFX("202609", rates)
	if _, err := w.FXRates(t.Context(), w.want(october-1)); !errors.Is(err, web.ErrNotData) || !strings.Contains(err.Error(), "rates of 2026-10, and none of 2026-09") {
		t.Errorf("rates of another month: got %v", err)
	}
	w.PutOfferMatrix("202609", rates)
	if _, err := w.OfferMatrix(t.Context(), w.want(october-1)); !errors.Is(err, web.ErrNotData) {
		t.Errorf("rates for a matrix: got %v", err)
	}
}

func promotion(id string) string {
	return fmt.Sprintf(`{"id":%q,"name":"Sample and more","startDate":"2026-09-23T00:00:00+00:00","endDate":"2026-12-14T23:59:59+00:00","requiredProducts":[{"productId":"CFQ7TTC0HD33","skuId":"0003","term":{"duration":"P1Y","billingCycle":"Annual"},"pricingPolicies":[{"policyType":"PercentDiscount","value":"0.05"}]}]}`, id)
}

func TestPromotionsComeInPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.PutPromotions("DE", "commercial", promotion("C"), promotion("A"), promotion("B"), promotion("D"), promotion("A"))
	w.Fail("/productpromotions", microsofttest.Throttle("5"), microsofttest.Half())
	f, err := w.Promotions(t.Context(), "DE", "commercial", w.want(october))
	want := `{"totalCount":4,"items":[` + promotion("A") + "," + promotion("B") + "," + promotion("C") + "," + promotion("D") + "]}\n"
	if err != nil || f.Name != "2026-10/promotions-DE-commercial.json" || f.Rows != 4 || read(t, f) != want {
		t.Fatalf("got %+v, %v", f, err)
	}
	in, err := intake.Open(f.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if got := in.Members[0].Recognise(); got.Kind != intake.Promotions {
		t.Errorf("taken for %s", got.Kind)
	}
	w.PutPromotions("DE", "commercial", promotion("D"), promotion("B"), promotion("A"), promotion("C"))
	if again, err := w.Promotions(t.Context(), "DE", "commercial", w.want(october)); err != nil || again.SHA256 != f.SHA256 {
		t.Errorf("in another order: got %+v, %v", again, err)
	}
	if _, err := w.Promotions(t.Context(), "XX", "commercial", w.want(october)); err == nil || !strings.Contains(err.Error(), "3000: The country or the segment is not valid.") {
		t.Errorf("a country that is none: got %v", err)
	}
}

// Published pages differ in how they lead to the next one.
func TestPagesLeadOn(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, first, second string
		says                string // of an error
	}{
		{"a link without the version", `"links":{"next":{"uri":"/productpromotions?page=2","method":"GET","headers":[]}}`, "/v1/productpromotions?page=2", ""},
		{"a link with it", `"links":{"next":{"uri":"/v1/productpromotions?page=2"}}`, "/v1/productpromotions?page=2", ""},
		{"a whole address", `"nextLink":"URL/v1/productpromotions?page=2"`, "/v1/productpromotions?page=2", ""},
		{"OData", `"@odata.nextLink":"URL/v1/productpromotions?page=2"`, "/v1/productpromotions?page=2", ""},
		{"a token alone", `"continuationToken":"two"`, "/v1/productpromotions?country=DE&segment=commercial&seekOperation=Next", ""},
		{"nothing", `"links":{"self":{"uri":"/productpromotions"}}`, "", ""},

		{"to another host", `"nextLink":"https://elsewhere.example.com/v1/productpromotions?page=2"`, "", "another place"},
		{"in a circle", `"nextLink":"URL/v1/productpromotions?country=DE&segment=commercial"`, "", "round in circles"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			page := func(id, more string) microsofttest.Fault {
				return microsofttest.Text(`{"items":[` + promotion(id) + `],` + strings.ReplaceAll(more, "URL", w.URL) + `}`)
			}
			first := page("A", tt.first)
			if tt.says == "" {
				w.Fail("/productpromotions", first, page("B", `"totalCount":2`))
			} else {
				w.Fail("/productpromotions", first, first, first, first)
			}
			f, err := w.Promotions(t.Context(), "DE", "commercial", w.want(october))
			switch {
			case tt.says != "" && (err == nil || !strings.Contains(err.Error(), tt.says)):
				t.Errorf("got %+v, %v; want %q", f, err, tt.says)
			case tt.says == "" && err != nil:
				t.Error(err)
			case tt.says == "" && tt.second != "" && (f.Rows != 2 || w.Count("GET "+sorted(tt.second)) != 1):
				t.Errorf("got %d promotions of %q", f.Rows, w.Asked())
			case tt.says == "" && tt.second == "" && f.Rows != 1:
				t.Errorf("got %d promotions", f.Rows)
			}
		})
	}
}

// sorted is a query as url.Values writes it.
func sorted(address string) string {
	return strings.Replace(address, "country=DE&segment=commercial&seekOperation=Next", "country=DE&seekOperation=Next&segment=commercial", 1)
}

func TestPromotionsThatAreNone(t *testing.T) {
	t.Parallel()
	for body, says := range map[string]string{
		`{"totalCount":0}`:             "it has no items[]",
		`{"items":[{"name":"no id"}]}`: "a promotion without an id",
		`<html></html>`:                "it is a web page",
		`{"items":[`:                   "not the JSON that was asked for",
		``:                             "it is empty",
	} {
		w := newWorld(t)
		w.Fail("/productpromotions", microsofttest.Text(body))
		if _, err := w.Promotions(t.Context(), "DE", "commercial", w.want(october)); !errors.Is(err, web.ErrNotData) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: got %v, want %q", body, err, says)
		}
	}
	w := newWorld(t)
	w.PutPromotions("DE", "commercial")
	if f, err := w.Promotions(t.Context(), "DE", "commercial", w.want(october)); err != nil || f.Rows != 0 {
		t.Errorf("none at all: got %+v, %v", f, err)
	}
}

// Prices are for the user; the rest is asked for by whom the options say.
func TestWhoAsks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.PutSheet("DE", "current", "", sheet)
	w.PutPromotions("DE", "commercial", promotion("A"))
	o := w.Client.Options()
	o.RefreshToken = secret.Source{}
	appOnly := w.connect(o)
	defer appOnly.Close()
	if _, err := appOnly.PriceSheet(t.Context(), "DE", w.want(october)); err == nil || !strings.Contains(err.Error(), "no refresh token of a user is configured") {
		t.Errorf("a sheet without a user: got %v", err)
	}
	if _, err := appOnly.Promotions(t.Context(), "DE", "commercial", w.want(october)); err != nil {
		t.Errorf("promotions without a user: %v", err)
	}
	o = w.Client.Options()
	o.Identity = "user"
	asUser := w.connect(o)
	defer asUser.Close()
	if _, err := asUser.Promotions(t.Context(), "DE", "commercial", w.want(october)); err != nil {
		t.Errorf("promotions as the user: %v", err)
	}
	if w.Count("/oauth2/v2.0/token") != 2 {
		t.Errorf("signed in by %q", w.Asked())
	}
}

// A refusal that stays until somebody acts can be told from one that passes.
func TestThatAPersonMustAct(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.RevokeRefreshTokens()
	if _, err := w.PriceSheet(t.Context(), "DE", w.want(october)); !errors.Is(err, signin.ErrPerson) {
		t.Errorf("got %v", err)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	t.Parallel()
	good := newWorld(t).Client.Options()
	for says, change := range map[string]func(*microsoft.Options){
		"tenant is missing":                          func(o *microsoft.Options) { o.Tenant = "" },
		"client is missing":                          func(o *microsoft.Options) { o.Client = "" },
		`tenant "our tenant": want a GUID`:           func(o *microsoft.Options) { o.Tenant = "our tenant" },
		`client "a/b": want the application's id`:    func(o *microsoft.Options) { o.Client = "a/b" },
		"secret or certificate is missing":           func(o *microsoft.Options) { o.Secret = secret.Source{} },
		"want one of both":                           func(o *microsoft.Options) { o.Certificate.File = "app.pem" },
		`identity "me": want app or user`:            func(o *microsoft.Options) { o.Identity = "me" },
		"identity user wants a refreshToken":         func(o *microsoft.Options) { o.Identity, o.RefreshToken = "user", secret.Source{} },
		`market "de": want two capital letters`:      func(o *microsoft.Options) { o.Markets = []string{"de"} },
		"market NL is there twice":                   func(o *microsoft.Options) { o.Markets = []string{"NL", "DE", "NL"} },
		`segment "all": want one of commercial`:      func(o *microsoft.Options) { o.Segments = []string{"all"} },
		"plain http is for this machine alone":       func(o *microsoft.Options) { o.Endpoints.Graph = "http://graph.example.com" },
		`endpoints: login address "login": want one`: func(o *microsoft.Options) { o.Endpoints.Login = "login" },
		"timeout and concurrency":                    func(o *microsoft.Options) { o.Timeout = -1 },
	} {
		o := good
		change(&o)
		if err := o.Validate(); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("got %v, want %q", err, says)
		}
	}
	if (microsoft.Options{}).IsZero() != true || good.IsZero() {
		t.Error("what is zero is not what has nothing")
	}
}
