package api

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"

	"github.com/calends/calends/jobs"
	"github.com/calends/calends/jobs/serve/access"
	"github.com/calends/calends/pricing"
)

func (a *API) registerPriceSheets() {
	var compared comparisons
	register(a, access.SeePrices, conditionalOperation(huma.Operation{OperationID: "list-price-changes", Method: http.MethodGet, Path: "/v1/price-changes",
		Summary: "Compare the prices of two months", Tags: []string{"Prices"}, Errors: []int{http.StatusBadRequest, http.StatusNotFound},
		Description: "What is new, gone, up or down from one month's sheet to another's, by product, SKU, term, plan, segment and currency. Of each key the row that governs is compared, " +
			"at the first instant of each month; prices that stayed are only counted.",
	}), func(_ context.Context, _ access.Principal, in *listPriceChanges) (*tagged[PriceChanges], error) {
		return a.listPriceChanges(in, &compared)
	})
	register(a, access.SeePrices, conditionalOperation(huma.Operation{OperationID: "list-price-sheets", Method: http.MethodGet, Path: "/v1/price-sheets",
		Summary: "List price sheets", Tags: []string{"Prices"}, Errors: []int{http.StatusBadRequest},
		Description: "The sheets that there are, by market and month. Where several files came for a market and month, the last governs.",
	}), func(_ context.Context, _ access.Principal, in *listPriceSheets) (*tagged[PriceSheetList], error) {
		return a.listPriceSheets(in)
	})
	register(a, access.SeePrices, conditionalOperation(huma.Operation{OperationID: "get-price-sheet", Method: http.MethodGet, Path: "/v1/price-sheets/{market}/{month}",
		Summary: "Get a whole price sheet", Tags: []string{"Prices"}, Errors: []int{http.StatusNotFound},
		Description: "All rows of the sheet of this very month, in the columns of Microsoft's price sheet. As CSV prices and instants are exact text, and the file can be taken in again; " +
			"of a PricingTierRange only that there was one is known: PricingTierRangeMin says tiered. As Parquet UnitPrice is DECIMAL(18,6), rounded half even, with the exact text beside it.",
		Responses: map[string]*huma.Response{"200": {Description: "The sheet", Content: map[string]*huma.MediaType{
			csvType: {Schema: &huma.Schema{Type: huma.TypeString}}, parquetType: {Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}}}}},
	}), func(ctx context.Context, _ access.Principal, in *getPriceSheet) (*wholeSheet, error) {
		return a.getPriceSheet(ctx, in)
	})
}

// listPriceChanges is a question for what changed.
type listPriceChanges struct {
	Market    string `query:"market" required:"true" pattern:"^[A-Za-z]{2}$" example:"NL"`
	From      string `query:"from" required:"true" pattern:"^[0-9]{4}-(0[1-9]|1[0-2])$" example:"2024-02" doc:"The earlier month"`
	To        string `query:"to" required:"true" pattern:"^[0-9]{4}-(0[1-9]|1[0-2])$" example:"2024-03" doc:"The later month"`
	At        string `query:"at" format:"date-time" doc:"Compare what is valid at this instant in both sheets, instead of at the first of each month"`
	What      string `query:"what" enum:"new,gone,up,down,ambiguous" doc:"Default: all of them"`
	ProductID string `query:"productId" maxLength:"100"`
	Page
	Conditional
}

// PriceChange is what became of a price.
type PriceChange struct {
	PriceKey
	Currency string `json:"currency" example:"EUR"`
	SkuTitle string `json:"skuTitle"`
	What     string `json:"what" enum:"new,gone,up,down,ambiguous"`
	Before   string `json:"before,omitempty" example:"150" doc:"For one licence and the whole term"`
	After    string `json:"after,omitempty" example:"158.4"`
	Change   string `json:"change,omitempty" example:"+8.4" doc:"After less before"`
	Percent  string `json:"percent,omitempty" example:"+5.6" doc:"Of before, to two decimals; absent where that is 0"`
	Note     string `json:"note,omitempty" doc:"Why it is ambiguous"`
}

// ComparedSheet names a sheet.
type ComparedSheet struct {
	Month  string `json:"month" example:"2024-02"`
	File   string `json:"file" example:"NL.csv"`
	SHA256 string `json:"sha256"`
	Stale  bool   `json:"stale" doc:"It is an earlier month's, for want of the month's own"`
}

// PriceChanges are what became of the prices of a market. The counts are of all
// products.
type PriceChanges struct {
	Before    ComparedSheet `json:"before"`
	After     ComparedSheet `json:"after"`
	New       int           `json:"new"`
	Gone      int           `json:"gone"`
	Changed   int           `json:"changed" doc:"Up or down"`
	Same      int           `json:"same"`
	Ambiguous int           `json:"ambiguous" doc:"Keys with two prices that start at the same instant"`
	List[PriceChange]
}

func (a *API) listPriceChanges(in *listPriceChanges, compared *comparisons) (*tagged[PriceChanges], error) {
	plan := jobs.PriceComparePlan{Market: strings.ToUpper(in.Market)}
	for _, m := range []struct {
		text, where string
		month       *pricing.Month
	}{{in.From, "query.from", &plan.Before}, {in.To, "query.to", &plan.After}} {
		month, err := pricing.ParseMonth(m.text)
		if err != nil {
			return nil, invalid(m.where, err.Error(), m.text)
		}
		*m.month = month
	}
	if in.At != "" {
		at, err := pricing.ParseInstant(in.At)
		if err != nil {
			return nil, invalid("query.at", err.Error(), in.At)
		}
		plan.At = &at
	}
	book, err := a.Prices.Book()
	if err != nil {
		return nil, err
	}
	key := []string{"price changes", plan.Before.String(), plan.After.String(), in.At}
	for _, month := range []pricing.Month{plan.Before, plan.After} {
		sheets, err := governing(book, plan.Market, month)
		if err != nil {
			return nil, err
		}
		key = append(key, sheets[0].Tag())
	}
	depends := append(slices.Clone(key), in.What, in.ProductID)
	_, from, err := in.place(depends...)
	if err != nil {
		return nil, err
	}
	tag := tagOf(append(depends, in.Cursor, strconv.Itoa(in.Limit))...)
	return unlessHad(in.Conditional, tag, func() (PriceChanges, error) {
		r, err := compared.of(digest(key...), func() (jobs.PriceCompareResult, error) { return jobs.ComparePricesIn(book, plan) })
		if err != nil {
			return PriceChanges{}, err
		}
		page := PriceChanges{Before: comparedSheet(r.Before), After: comparedSheet(r.After), New: r.New, Gone: r.Gone, Changed: r.Changed, Same: r.Same,
			Ambiguous: r.Ambiguous, List: List[PriceChange]{Items: []PriceChange{}}}
		for i := from; i < len(r.Changes); i++ {
			c := r.Changes[i]
			if in.What != "" && c.What != in.What || in.ProductID != "" && c.ProductID != in.ProductID {
				continue
			}
			if len(page.Items) == in.Limit {
				page.Next = cursorOf(0, i, depends...)
				break
			}
			page.Items = append(page.Items, PriceChange{PriceKey: PriceKey(c.PriceKey), Currency: c.Currency, SkuTitle: c.Title, What: c.What,
				Before: c.Before, After: c.After, Change: c.Change, Percent: c.Percent, Note: c.Note})
		}
		return page, nil
	})
}

func comparedSheet(f jobs.SheetFacts) ComparedSheet {
	return ComparedSheet{Month: f.Month, File: f.File, SHA256: f.SHA256, Stale: f.Stale}
}

// comparisons are the last ones, so that the pages of one are not computed one by one.
// The zero value is ready; it is safe for concurrent use.
type comparisons struct {
	mu   sync.Mutex
	last []comparison // the newest last
}

type comparison struct {
	key    [32]byte
	result jobs.PriceCompareResult
}

// of returns the comparison of the key, computed one at a time if it is none of the last.
func (c *comparisons) of(key [32]byte, compute func() (jobs.PriceCompareResult, error)) (jobs.PriceCompareResult, error) {
	const kept = 4
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, known := range c.last {
		if known.key == key {
			return known.result, nil
		}
	}
	r, err := compute()
	if err != nil {
		return r, err
	}
	if len(c.last) == kept {
		c.last = slices.Delete(c.last, 0, 1)
	}
	c.last = append(c.last, comparison{key, r})
	return r, nil
}

// listPriceSheets is a question for sheets.
type listPriceSheets struct {
	Market string `query:"market" pattern:"^[A-Za-z]{2}$" example:"NL"`
	Month  string `query:"month" pattern:"^[0-9]{4}-(0[1-9]|1[0-2])$" example:"2024-03"`
	Page
	Conditional
}

// ListedSheet is a price sheet.
type ListedSheet struct {
	Market string `json:"market" example:"NL"`
	Month  string `json:"month" example:"2024-03"`
	File   string `json:"file" example:"NL.csv"`
	SHA256 string `json:"sha256" doc:"Of the file that came, unpacked"`
	Rows   int    `json:"rows"`
}

// PriceSheetList is some of the sheets.
type PriceSheetList struct {
	List[ListedSheet]
}

func (a *API) listPriceSheets(in *listPriceSheets) (*tagged[PriceSheetList], error) {
	book, err := a.Prices.Book()
	if err != nil {
		return nil, err
	}
	market := strings.ToUpper(in.Market)
	depends := []string{"price sheets", market, in.Month}
	for _, s := range book.Sheets() {
		depends = append(depends, s.Tag())
	}
	_, from, err := in.place(depends...)
	if err != nil {
		return nil, err
	}
	return unlessHad(in.Conditional, tagOf(append(depends, in.Cursor, strconv.Itoa(in.Limit))...), func() (PriceSheetList, error) {
		page := PriceSheetList{List[ListedSheet]{Items: []ListedSheet{}}}
		for i := from; i < len(book.Sheets()); i++ {
			s := book.Sheets()[i]
			if market != "" && s.Market != market || in.Month != "" && s.Month.String() != in.Month {
				continue
			}
			if len(page.Items) == in.Limit {
				page.Next = cursorOf(0, i, depends...)
				break
			}
			page.Items = append(page.Items, ListedSheet{Market: s.Market, Month: s.Month.String(), File: s.File, SHA256: s.SHA256, Rows: s.Len()})
		}
		return page, nil
	})
}

// getPriceSheet is a question for a whole sheet.
type getPriceSheet struct {
	Market string `path:"market" pattern:"^[A-Za-z]{2}$" example:"NL"`
	Month  string `path:"month" pattern:"^[0-9]{4}-(0[1-9]|1[0-2])$" example:"2024-03"`
	Format string `query:"format" enum:"csv,parquet" doc:"Default: what Accept asks for, else csv"`
	Accept string `header:"Accept" doc:"text/csv or application/vnd.apache.parquet"`
	Conditional
}

// Media types of a sheet.
const (
	csvType     = "text/csv"
	parquetType = "application/vnd.apache.parquet"
)

// format is the one that is asked for.
func (in *getPriceSheet) format() string {
	if in.Format == "" && strings.Contains(in.Accept, parquetType) && !strings.Contains(in.Accept, csvType) {
		return "parquet"
	}
	if in.Format == "" {
		return "csv"
	}
	return in.Format
}

// wholeSheet is a file that is written as it is sent.
type wholeSheet struct {
	ETag        string `header:"ETag"`
	Vary        string `header:"Vary"`
	ContentType string `header:"Content-Type"`
	Disposition string `header:"Content-Disposition"`
	Body        func(huma.Context)
}

func (a *API) getPriceSheet(ctx context.Context, in *getPriceSheet) (*wholeSheet, error) {
	month, err := pricing.ParseMonth(in.Month)
	if err != nil {
		return nil, invalid("path.month", err.Error(), in.Month)
	}
	book, err := a.Prices.Book()
	if err != nil {
		return nil, err
	}
	market := strings.ToUpper(in.Market)
	sheet := book.Of(market, month)
	if sheet == nil {
		return nil, notFound("a price sheet of " + market + " for " + in.Month)
	}
	format := in.format()
	out := &wholeSheet{ETag: tagOf("price sheet", sheet.Tag(), format), Vary: "Accept, Accept-Encoding"}
	if in.has(out.ETag) {
		out.Body = func(c huma.Context) { c.SetStatus(http.StatusNotModified) }
		return out, nil
	}
	told, err := a.Prices.Told(ctx, sheet)
	if err != nil {
		return nil, err
	}
	write := told.WriteCSV
	out.ContentType = csvType + "; charset=utf-8"
	if format == "parquet" {
		if err := sheet.FitsParquet(); err != nil {
			return nil, problem(http.StatusUnprocessableEntity, "does-not-fit", err.Error())
		}
		write, out.ContentType = told.WriteParquet, parquetType
	}
	out.Disposition = `attachment; filename="prices-` + market + "-" + in.Month + "." + format + `"`
	out.Body = func(c huma.Context) {
		c.SetStatus(http.StatusOK)
		stream(c, write)
	}
	return out, nil
}

// stream writes an answer whose header is sent. What fails then can only be cut off, so
// that nobody takes the half for the whole; whoever has gone takes nothing.
func stream(c huma.Context, write func(io.Writer) error) {
	if err := write(c.BodyWriter()); err != nil && c.Context().Err() == nil {
		panic(fmt.Errorf("write %s: %w", c.URL().Path, err))
	}
}
