package page

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/calends/calends/jobs"
	"github.com/calends/calends/jobs/serve/access"
	"github.com/calends/calends/pricing"
)

func (s *Site) registerPrices() {
	s.register(http.MethodGet, "/prices", "page-prices", access.SeePrices, s.prices)
	s.register(http.MethodGet, "/prices/changes", "page-price-changes", access.SeePrices, s.priceChanges)
}

// pageRows is how many rows a page of a list has.
const pageRows = 100

// pager leads through a list.
type pager struct {
	First, Last, Total int // counted from 1
	Before, After      string
	Start              string // the first page, "" on it
}

// page cuts a page out of a list of n rows and tells how to go on. The page begins
// behind the rows that the query's skip says.
func (a ask) page(n int) (from, to int, p pager) {
	from, err := strconv.Atoi(a.FormValue("skip"))
	if err != nil || from < 0 || from >= n {
		from = 0
	}
	to = min(from+pageRows, n)
	p = pager{First: min(from+1, n), Last: to, Total: n}
	at := func(skip int) string {
		text := ""
		if skip > 0 {
			text = strconv.Itoa(skip)
		}
		return with(a.Request, map[string]string{"skip": text})
	}
	if from > 0 {
		p.Before, p.Start = at(from-pageRows), at(0)
	}
	if to < n {
		p.After = at(to)
	}
	return from, to, p
}

// Choices of the price forms.
var (
	terms = []pricing.Term{pricing.P1M, pricing.P1Y, pricing.P3Y}
	plans = []pricing.Plan{pricing.Monthly, pricing.Annual, pricing.Triennial}
)

type priceRow struct {
	ProductID, SkuID, Title, Product, Publisher string
	Term, Plan, Segment, Currency, Price        string
	Start, End                                  string
	Line                                        int
	Tiered                                      bool
}

type pricesBody struct {
	Markets, Months, Terms, Plans []choice
	Words                         string
	Rows                          []priceRow
	Pager                         pager
	Sheet                         *pricing.Sheet
	Stale                         bool
	Market                        string
	Month                         string
	Missing                       string // why there is no sheet
	Query                         string // of this search, to compare months
}

// sheetChoice reads market and month of a price form, and lists what there is.
func (s *Site) sheetChoice(a ask, field string, months []pricing.Month) (pricing.Month, []choice, error) {
	month := pricing.MonthOf(s.Now().UTC().Year(), s.Now().UTC().Month())
	if text := a.FormValue(field); text != "" {
		var err error
		if month, err = pricing.ParseMonth(text); err != nil {
			return 0, nil, wrongError{"The month " + text + " cannot be read: it is written like 2024-03."}
		}
	} else if len(months) > 0 {
		month = min(max(month, months[0]), months[len(months)-1])
	}
	var list []choice
	for _, m := range slices.Backward(months) {
		list = append(list, choice{m.String(), m.String(), m == month})
	}
	return month, list, nil
}

func marketChoice(a ask, markets []string) (string, []choice) {
	market := a.FormValue("market")
	if market == "" && len(markets) > 0 {
		market = markets[0]
	}
	var list []choice
	for _, m := range markets {
		list = append(list, choice{m, m, m == market})
	}
	return market, list
}

func (s *Site) prices(a ask) (answer, error) {
	reading, err := s.Current.Reading()
	if err != nil {
		return answer{}, err
	}
	out := answer{template: "prices", title: "Prices", place: "Prices"}
	catalog := reading.Catalog()
	var body pricesBody
	body.Market, body.Markets = marketChoice(a, catalog.Markets())
	months := catalog.Months(body.Market)
	month, list, err := s.sheetChoice(a, "month", months)
	if err != nil {
		return out, err
	}
	body.Months, body.Month = list, month.String()
	term, plan := a.FormValue("term"), a.FormValue("plan")
	for _, t := range terms {
		body.Terms = append(body.Terms, choice{t.String(), termWords[t.String()], t.String() == term})
	}
	for _, p := range plans {
		body.Plans = append(body.Plans, choice{p.String(), p.String(), p.String() == plan})
	}
	body.Words = a.FormValue("q")
	sheet, err := catalog.Sheet(body.Market, month)
	if err != nil {
		return out, fmt.Errorf("read the price sheet of %s for %s: %w", body.Market, month, err)
	}
	if sheet == nil {
		body.Missing = "There is no price sheet of " + body.Market + " for " + month.String() + " or earlier."
		if len(catalog.Markets()) == 0 {
			body.Missing = "No price sheet was taken in yet."
		}
		out.body = body
		return out, nil
	}
	body.Sheet, body.Stale = sheet, sheet.Month != month
	words := strings.Fields(strings.ToLower(body.Words))
	var found []pricing.Row
	for _, r := range sheet.Rows() {
		if (term == "" || r.Term.String() == term) && (plan == "" || r.Plan.String() == plan) && matches(words, r) {
			found = append(found, r)
		}
	}
	from, to, p := a.page(len(found))
	body.Pager = p
	for _, r := range found[from:to] {
		body.Rows = append(body.Rows, priceRowOf(r))
	}
	out.body = body
	return out, nil
}

// termWords say how long a term is.
var termWords = map[string]string{"P1M": "1 month (P1M)", "P1Y": "1 year (P1Y)", "P3Y": "3 years (P3Y)"}

// matches reports whether all words occur in a row's titles and ids.
func matches(words []string, r pricing.Row) bool {
	if len(words) == 0 {
		return true
	}
	text := strings.ToLower(strings.Join([]string{r.SkuTitle, r.ProductTitle, r.Publisher, r.ProductID, r.SkuID, r.ProductID + "/" + r.SkuID, r.Segment}, "\n"))
	for _, w := range words {
		if !strings.Contains(text, w) {
			return false
		}
	}
	return true
}

func priceRowOf(r pricing.Row) priceRow {
	return priceRow{
		ProductID: r.ProductID, SkuID: r.SkuID, Title: r.SkuTitle, Product: r.ProductTitle, Publisher: r.Publisher,
		Term: r.Term.String(), Plan: r.Plan.String(), Segment: r.Segment, Currency: r.Currency, Price: r.UnitPrice.String(),
		Start: validity(r.Start), End: validity(r.End), Line: r.Line, Tiered: r.Tiered,
	}
}

// validity is one end of it, "" for the years that stand for none.
func validity(at pricing.Instant) string {
	switch year, _, _ := at.Date().Civil(); year {
	case 1753, 9999:
		return ""
	}
	return at.Date().String()
}

type priceChangesBody struct {
	Markets, From, To, Kinds []choice
	Words                    string
	Market                   string
	Result                   jobs.PriceCompareResult
	Rows                     []jobs.PriceChange
	Pager                    pager
	Missing                  string
}

func (s *Site) priceChanges(a ask) (answer, error) {
	reading, err := s.Current.Reading()
	if err != nil {
		return answer{}, err
	}
	out := answer{template: "pricechanges", title: "What changed in prices", place: "Prices", crumbs: []crumb{{"Prices", "/prices"}}}
	catalog := reading.Catalog()
	var body priceChangesBody
	body.Market, body.Markets = marketChoice(a, catalog.Markets())
	months := catalog.Months(body.Market)
	to, list, err := s.sheetChoice(a, "to", months)
	if err != nil {
		return out, err
	}
	body.To = list
	from := to - 1
	if text := a.FormValue("from"); text != "" {
		if from, err = pricing.ParseMonth(text); err != nil {
			return out, wrongError{"The month " + text + " cannot be read: it is written like 2024-03."}
		}
	}
	for _, m := range slices.Backward(months) {
		body.From = append(body.From, choice{m.String(), m.String(), m == from})
	}
	kind := a.FormValue("what")
	for _, k := range []string{jobs.PriceUp, jobs.PriceDown, jobs.PriceNew, jobs.PriceGone, jobs.PriceAmbiguous} {
		body.Kinds = append(body.Kinds, choice{k, k, k == kind})
	}
	body.Words = a.FormValue("q")
	if len(months) == 0 || from < months[0] || to < months[0] {
		body.Missing = "There are not two price sheets of " + body.Market + " to compare: choose another market or later months."
		out.body = body
		return out, nil
	}
	if body.Result, err = s.Env().ComparePrices(a.Context(), jobs.PriceComparePlan{Market: body.Market, Before: from, After: to}); err != nil {
		return out, err
	}
	words := strings.Fields(strings.ToLower(body.Words))
	var found []jobs.PriceChange
	for _, c := range body.Result.Changes {
		row := pricing.Row{SkuTitle: c.Title, Segment: c.Segment}
		row.ProductID, row.SkuID = c.ProductID, c.SkuID
		if (kind == "" || c.What == kind) && matches(words, row) {
			found = append(found, c)
		}
	}
	first, last, p := a.page(len(found))
	body.Rows, body.Pager = found[first:last], p
	out.body = body
	return out, nil
}
