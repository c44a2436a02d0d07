package api

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/shopspring/decimal"

	"github.com/calends/calends/jobs"
	"github.com/calends/calends/jobs/serve/access"
	"github.com/calends/calends/jobs/serve/pricebook"
	"github.com/calends/calends/pricing"
)

// priceRule is how a price is chosen, told with each refusal.
const priceRule = "The sheet of the instant's month in the market governs, or the latest earlier one. Of the rows that are valid at the instant, " +
	"in the billing currency, else USD, else the only currency on offer, the one that started first governs until it ends. Rows with a PricingTierRange are no licence prices."

// PriceKey is what a price is looked up by in a market.
type PriceKey struct {
	ProductID string `json:"productId" example:"CFQ7TTC0LH18"`
	SkuID     string `json:"skuId" example:"0001"`
	Term      string `json:"termDuration" enum:"P1M,P1Y,P3Y" example:"P1Y"`
	Plan      string `json:"billingPlan" enum:"Monthly,Annual,Triennial,None" example:"Monthly" doc:"None is a trial's"`
	Segment   string `json:"segment" example:"Commercial"`
}

// PriceRow is a row of a price sheet.
type PriceRow struct {
	Market string `json:"market" example:"NL"`
	PriceKey
	Currency     string `json:"currency" example:"EUR"`
	UnitPrice    string `json:"unitPrice" example:"158.4" doc:"For one licence and the whole term"`
	Start        string `json:"effectiveStart,omitempty" format:"date-time" doc:"The first instant at which the row is valid; absent: ever"`
	End          string `json:"effectiveEnd,omitempty" format:"date-time" doc:"The last one; absent: until further notice"`
	Tiered       bool   `json:"tiered,omitempty" doc:"The row has a PricingTierRange: it is no licence price"`
	ProductTitle string `json:"productTitle" example:"Microsoft 365 Business Basic"`
	SkuTitle     string `json:"skuTitle" example:"Microsoft 365 Business Basic"`
	Publisher    string `json:"publisher,omitempty" example:"Microsoft Corporation"`
	Line         int    `json:"line" doc:"In the sheet's file, 1 being the header"`
	SheetMonth   string `json:"sheetMonth" example:"2024-03" doc:"Month of the sheet; an earlier one than asked for where that has none"`
}

func priceRowOf(s *pricebook.Sheet, i int) PriceRow {
	r := jobs.PriceRowOf(s.Row(i))
	return PriceRow{
		Market: s.Market, PriceKey: PriceKey(r.PriceKey), Currency: r.Currency, UnitPrice: r.UnitPrice, Start: r.Start, End: r.End, Tiered: r.Tiered,
		ProductTitle: r.ProductTitle, SkuTitle: r.SkuTitle, Publisher: r.Publisher, Line: r.Line, SheetMonth: s.Month.String(),
	}
}

// When is the time that prices are asked for.
type When struct {
	At    string `query:"at" format:"date-time" example:"2024-03-15T09:30:00Z" doc:"An instant. Default: now"`
	Month string `query:"month" pattern:"^[0-9]{4}-(0[1-9]|1[0-2])$" example:"2024-03" doc:"A month instead"`
}

// instant is the one that is asked for, of a month its first. given is false for now.
func (w When) instant(now pricing.Instant) (at pricing.Instant, given bool, err error) {
	switch {
	case w.At != "" && w.Month != "":
		return 0, false, invalid("query.month", "give an instant or a month, not both", w.Month)
	case w.At != "":
		at, err := pricing.ParseInstant(w.At)
		if err != nil {
			return 0, false, invalid("query.at", err.Error(), w.At)
		}
		return at, true, nil
	case w.Month != "":
		month, err := pricing.ParseMonth(w.Month)
		if err != nil {
			return 0, false, invalid("query.month", err.Error(), w.Month)
		}
		return month.First().Instant(), true, nil
	}
	return now, false, nil
}

// invalid is the answer to a value that makes no sense where it stands.
func invalid(location, message string, value any) error {
	return huma.Error422UnprocessableEntity("validation failed", &huma.ErrorDetail{Location: location, Message: message, Value: value})
}

func (a *API) now() pricing.Instant { return pricing.InstantOf(a.Now()) }

// listPrices is a question for rows.
type listPrices struct {
	Market    string `query:"market" pattern:"^[A-Za-z]{2}$" example:"NL" doc:"Default: every market"`
	ProductID string `query:"productId" maxLength:"100"`
	SkuID     string `query:"skuId" maxLength:"100" doc:"1 is the same as 0001"`
	Term      string `query:"termDuration" enum:"P1M,P1Y,P3Y"`
	Plan      string `query:"billingPlan" enum:"Monthly,Annual,Triennial,None"`
	Segment   string `query:"segment" maxLength:"100" example:"Commercial"`
	Currency  string `query:"currency" pattern:"^[A-Za-z]{3}$" example:"EUR" doc:"Currency of the price"`
	Search    string `query:"q" maxLength:"200" example:"business basic" doc:"Words, up to 16; each occurs in a title, an id, the publisher, term, plan, segment or currency, in any case"`
	At        string `query:"at" format:"date-time" doc:"Only rows that are valid at this instant, of the sheets of its month"`
	Month     string `query:"month" pattern:"^[0-9]{4}-(0[1-9]|1[0-2])$" doc:"All rows of the sheets of a month. Default: of this month"`
	Page
	Conditional
}

// maxWords is how many words are searched for at a time.
const maxWords = 16

// filter is what the question asks of each row.
func (in *listPrices) filter() (pricebook.Filter, error) {
	f := pricebook.Filter{ProductID: in.ProductID, Segment: in.Segment, Currency: strings.ToUpper(in.Currency), Words: strings.Fields(in.Search)}
	if len(f.Words) > maxWords {
		return f, invalid("query.q", "give up to "+strconv.Itoa(maxWords)+" words", in.Search)
	}
	if in.SkuID != "" {
		f.SkuID = pricing.NormalSKU(in.SkuID)
	}
	f.Term, _ = pricing.ParseTerm(in.Term)
	f.Plan, _ = pricing.ParsePlan(in.Plan)
	return f, nil
}

// PriceList is some rows of price sheets.
type PriceList struct {
	List[PriceRow]
}

func (a *API) registerPrices() {
	register(a, access.SeePrices, conditionalOperation(huma.Operation{OperationID: "list-prices", Method: http.MethodGet, Path: "/v1/prices",
		Summary: "List prices", Tags: []string{"Prices"}, Errors: []int{http.StatusBadRequest, http.StatusNotFound},
		Description: "Rows of the price sheets that govern, by market, product, SKU, term, plan, segment, currency, start and line. " +
			"A row that is listed is on the sheet; which one governs is what get-price says.",
	}), func(_ context.Context, _ access.Principal, in *listPrices) (*tagged[PriceList], error) {
		return a.listPrices(in)
	})
	register(a, access.SeePrices, conditionalOperation(huma.Operation{OperationID: "get-price", Method: http.MethodGet, Path: pricePath,
		Summary: "Get the price that governs", Tags: []string{"Prices"},
		Description: "The price of a licence as billing would lock it. " + priceRule + " Where none governs the answer is 422, with the code and the reason.",
	}), func(_ context.Context, _ access.Principal, in *getPrice) (*tagged[Price], error) {
		return a.getPrice(in)
	})
	register(a, access.SeePrices, huma.Operation{OperationID: "look-up-prices", Method: http.MethodPost, Path: "/v1/price-lookups",
		Summary: "Get many prices at once", Tags: []string{"Prices"}, Metadata: onlyAsks, MaxBodyBytes: 1 << 20,
		Description: "Up to 1000 questions as get-price answers them, each with its price or the reason why there is none. Nothing is changed by it.",
	}, func(_ context.Context, _ access.Principal, in *lookUpPrices) (*lookUpPricesOutput, error) {
		return a.lookUpPrices(in)
	})
	a.registerPriceSheets()
}

// governing are the sheets that govern a month, in all markets or one.
func governing(book *pricebook.Book, market string, month pricing.Month) ([]*pricebook.Sheet, error) {
	markets := book.Markets()
	if market != "" {
		markets = []string{market}
	}
	var sheets []*pricebook.Sheet
	for _, m := range markets {
		if s := book.Governing(m, month); s != nil {
			sheets = append(sheets, s)
		}
	}
	if market != "" && len(sheets) == 0 {
		return nil, notFound("a price sheet of " + market + " for " + month.String() + " or earlier")
	}
	return sheets, nil
}

func (a *API) listPrices(in *listPrices) (*tagged[PriceList], error) {
	at, _, err := When{in.At, in.Month}.instant(a.now())
	if err != nil {
		return nil, err
	}
	filter, err := in.filter()
	if err != nil {
		return nil, err
	}
	if in.At != "" {
		filter.At = &at
	}
	book, err := a.Prices.Book()
	if err != nil {
		return nil, err
	}
	sheets, err := governing(book, strings.ToUpper(in.Market), at.Date().Month())
	if err != nil {
		return nil, err
	}
	depends := []string{"prices", filter.ProductID, filter.SkuID, filter.Term.String(), filter.Plan.String(), filter.Segment, filter.Currency, strings.ToLower(strings.Join(filter.Words, " ")), in.At}
	for _, s := range sheets {
		depends = append(depends, s.Tag())
	}
	of, from, err := in.place(depends...)
	if err != nil {
		return nil, err
	}
	tag := tagOf(append(depends, in.Cursor, strconv.Itoa(in.Limit))...)
	return unlessHad(in.Conditional, tag, func() (PriceList, error) {
		page := PriceList{List[PriceRow]{Items: []PriceRow{}}}
		for ; of < len(sheets); of, from = of+1, 0 {
			for i := range sheets[of].Select(filter, from) {
				if len(page.Items) == in.Limit {
					page.Next = cursorOf(of, i, depends...)
					return page, nil
				}
				page.Items = append(page.Items, priceRowOf(sheets[of], i))
			}
		}
		return page, nil
	})
}

// getPrice is a question for the price that governs.
type getPrice struct {
	Market    string `query:"market" required:"true" pattern:"^[A-Za-z]{2}$" example:"NL" doc:"Market of the customer"`
	ProductID string `query:"productId" required:"true" minLength:"1" maxLength:"100" example:"CFQ7TTC0LH18"`
	SkuID     string `query:"skuId" required:"true" minLength:"1" maxLength:"100" example:"0001" doc:"1 is the same as 0001"`
	Term      string `query:"termDuration" required:"true" enum:"P1M,P1Y,P3Y" example:"P1Y"`
	Plan      string `query:"billingPlan" required:"true" enum:"Monthly,Annual,Triennial,None" example:"Monthly"`
	Segment   string `query:"segment" maxLength:"100" default:"Commercial"`
	Currency  string `query:"currency" pattern:"^[A-Za-z]{3}$" example:"EUR" doc:"The partner's billing currency, which is preferred. Default: USD is"`
	When
	Conditional
}

// Price is the price that governs.
type Price struct {
	Market string `json:"market" example:"NL"`
	PriceKey
	Currency     string     `json:"currency" example:"EUR" doc:"Of the price: the billing currency, else USD, else the only one on offer"`
	UnitPrice    string     `json:"unitPrice" example:"158.4" doc:"For one licence and the whole term"`
	CyclePrice   string     `json:"cyclePrice" example:"13.2" doc:"For one licence and one full charge cycle, as invoices print it: rounded half even to 10 decimals"`
	Start        string     `json:"effectiveStart,omitempty" format:"date-time" doc:"The first instant at which the row is valid; absent: ever"`
	End          string     `json:"effectiveEnd,omitempty" format:"date-time" doc:"The last one; absent: until further notice"`
	ProductTitle string     `json:"productTitle"`
	SkuTitle     string     `json:"skuTitle"`
	Publisher    string     `json:"publisher,omitempty"`
	Sheet        PriceSheet `json:"sheet"`
	HoldsFrom    string     `json:"holdsFrom" format:"date-time" doc:"The first instant, of the month at most, at which the same question has this answer"`
	HoldsUntil   string     `json:"holdsUntil" format:"date-time" doc:"The last one"`
}

// PriceSheet names the sheet row of a price.
type PriceSheet struct {
	Month  string `json:"month" example:"2024-03"`
	File   string `json:"file" example:"NL.csv"`
	SHA256 string `json:"sha256"`
	Line   int    `json:"line" doc:"In the file, 1 being the header"`
	Stale  bool   `json:"stale" doc:"An earlier month's sheet governs, for want of the month's own"`
}

func priceOf(q pricing.PriceQuery, found pricing.Price) Price {
	r := jobs.PriceRowOf(found.Row)
	facts := jobs.SheetFactsOf(found.Sheet, q.At.Date().Month())
	return Price{
		Market: q.Market, PriceKey: PriceKey(r.PriceKey), Currency: r.Currency, UnitPrice: r.UnitPrice, CyclePrice: cyclePrice(found.Row).String(),
		Start: r.Start, End: r.End, ProductTitle: r.ProductTitle, SkuTitle: r.SkuTitle, Publisher: r.Publisher,
		Sheet:     PriceSheet{Month: facts.Month, File: facts.File, SHA256: facts.SHA256, Line: r.Line, Stale: facts.Stale},
		HoldsFrom: found.From.String(), HoldsUntil: found.Until.String(),
	}
}

// cyclePrice is the row's price of one full charge cycle, as a line prints it.
func cyclePrice(r pricing.Row) decimal.Decimal {
	whole := pricing.Calculation{UnitPrice: r.UnitPrice, CycleMonths: r.Plan.Months(), TermMonths: r.Term.Months(),
		BillingDays: 1, CycleDays: 1, ExchangeRate: decimal.NewFromInt(1)}
	rated, err := whole.Rate()
	if err != nil { // of no licences, which cost nothing
		return r.UnitPrice
	}
	return rated.UnitPrice
}

// query reads the parts of a question that were checked as they came in.
func priceQuery(market, productID, skuID, term, plan, segment, currency string, at pricing.Instant) pricing.PriceQuery {
	q := pricing.PriceQuery{SKU: pricing.SKU{ProductID: productID, SkuID: pricing.NormalSKU(skuID)}, Market: strings.ToUpper(market),
		Segment: segment, BillingCurrency: strings.ToUpper(currency), At: at}
	q.Term, _ = pricing.ParseTerm(term)
	q.Plan, _ = pricing.ParsePlan(plan)
	return q
}

func (a *API) getPrice(in *getPrice) (*tagged[Price], error) {
	at, _, err := in.instant(a.now())
	if err != nil {
		return nil, err
	}
	book, err := a.Prices.Book()
	if err != nil {
		return nil, err
	}
	q := priceQuery(in.Market, in.ProductID, in.SkuID, in.Term, in.Plan, in.Segment, in.Currency, at)
	found, err := book.Find(q)
	if err != nil {
		return nil, priceProblem(err)
	}
	// The answer says nothing of the instant, so that it is the same as long as it holds.
	tag := tagOf("price", book.Governing(q.Market, at.Date().Month()).Tag(), q.ProductID, q.SkuID, in.Term, in.Plan, q.Segment, q.BillingCurrency,
		strconv.FormatInt(int64(found.From), 16))
	return unlessHad(in.Conditional, tag, func() (Price, error) { return priceOf(q, found), nil })
}

// priceProblem is the answer where no price governs.
func priceProblem(err error) error {
	var refused *pricing.PriceError
	if !errors.As(err, &refused) {
		return err
	}
	return problem(http.StatusUnprocessableEntity, string(refused.Code), refused.Reason, priceRule)
}

// lookUpPrices is many questions.
type lookUpPrices struct {
	Body struct {
		At    string          `json:"at,omitempty" format:"date-time" doc:"An instant for all keys that say none. Default: now"`
		Month string          `json:"month,omitempty" pattern:"^[0-9]{4}-(0[1-9]|1[0-2])$" doc:"The first instant of a month instead"`
		Keys  []PriceQuestion `json:"keys" minItems:"1" maxItems:"1000"`
	}
}

// PriceQuestion is one question for a price.
type PriceQuestion struct {
	Market    string `json:"market" pattern:"^[A-Za-z]{2}$" example:"NL"`
	ProductID string `json:"productId" minLength:"1" maxLength:"100" example:"CFQ7TTC0LH18"`
	SkuID     string `json:"skuId" minLength:"1" maxLength:"100" example:"0001"`
	Term      string `json:"termDuration" enum:"P1M,P1Y,P3Y" example:"P1Y"`
	Plan      string `json:"billingPlan" enum:"Monthly,Annual,Triennial,None" example:"Monthly"`
	Segment   string `json:"segment,omitempty" maxLength:"100" default:"Commercial"`
	Currency  string `json:"currency,omitempty" pattern:"^[A-Za-z]{3}$" example:"EUR" doc:"The partner's billing currency. Default: USD is preferred"`
	At        string `json:"at,omitempty" format:"date-time"`
}

// PriceAnswer is the price of one key, or why there is none.
type PriceAnswer struct {
	Price  *Price `json:"price,omitempty"`
	Code   string `json:"code,omitempty" example:"PRICE_NOT_FOUND" doc:"PRICE_NOT_FOUND or PRICE_AMBIGUOUS"`
	Reason string `json:"reason,omitempty"`
}

// PriceAnswers are in the order of the keys.
type PriceAnswers struct {
	Answers []PriceAnswer `json:"answers"`
}

type lookUpPricesOutput struct{ Body PriceAnswers }

func (a *API) lookUpPrices(in *lookUpPrices) (*lookUpPricesOutput, error) {
	if in.Body.At != "" && in.Body.Month != "" {
		return nil, invalid("body.month", "give an instant or a month, not both", in.Body.Month)
	}
	all, _, err := When{in.Body.At, in.Body.Month}.instant(a.now())
	if err != nil {
		return nil, err
	}
	book, err := a.Prices.Book()
	if err != nil {
		return nil, err
	}
	out := &lookUpPricesOutput{PriceAnswers{make([]PriceAnswer, len(in.Body.Keys))}}
	for i, k := range in.Body.Keys {
		at := all
		if k.At != "" {
			if at, err = pricing.ParseInstant(k.At); err != nil {
				return nil, invalid("body.keys["+strconv.Itoa(i)+"].at", err.Error(), k.At)
			}
		}
		q := priceQuery(k.Market, k.ProductID, k.SkuID, k.Term, k.Plan, k.Segment, k.Currency, at)
		found, err := book.Find(q)
		var refused *pricing.PriceError
		switch {
		case errors.As(err, &refused):
			out.Body.Answers[i] = PriceAnswer{Code: string(refused.Code), Reason: refused.Reason}
		case err != nil:
			return nil, err
		default:
			price := priceOf(q, found)
			out.Body.Answers[i].Price = &price
		}
	}
	return out, nil
}
