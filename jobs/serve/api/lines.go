package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/shopspring/decimal"

	"github.com/calends/calends/jobs"
	"github.com/calends/calends/jobs/serve/access"
	"github.com/calends/calends/jobs/serve/audit"
	"github.com/calends/calends/jobs/serve/linebook"
	"github.com/calends/calends/pricing"
)

// InvoiceLine is a row of the reconciliation file: all 46 columns as text, exactly as
// the CSV has them.
type InvoiceLine struct {
	Row int    `json:"row" doc:"1 is the first below the header of reconciliation.csv"`
	Ref string `json:"ref" example:"C202403-000002:12" doc:"Name of the line, for its explanation"`

	PartnerId                  string `json:"partnerId"`
	CustomerId                 string `json:"customerId"`
	CustomerName               string `json:"customerName"`
	CustomerDomainName         string `json:"customerDomainName"`
	CustomerCountry            string `json:"customerCountry" example:"NL"`
	InvoiceNumber              string `json:"invoiceNumber" example:"C202610-000001"`
	MpnId                      string `json:"mpnId"`
	ResellerMpnId              string `json:"resellerMpnId"`
	OrderId                    string `json:"orderId"`
	OrderDate                  string `json:"orderDate" example:"2026-10-20"`
	ProductId                  string `json:"productId" example:"CFQ7TTC0LH16"`
	SkuId                      string `json:"skuId" example:"0001"`
	AvailabilityId             string `json:"availabilityId"`
	SkuName                    string `json:"skuName"`
	ProductName                string `json:"productName"`
	ChargeType                 string `json:"chargeType" example:"addQuantity"`
	UnitPrice                  string `json:"unitPrice" example:"9.6"`
	Quantity                   string `json:"quantity" example:"25"`
	Subtotal                   string `json:"subtotal" example:"-123.87"`
	TaxTotal                   string `json:"taxTotal" example:"-23.53"`
	Total                      string `json:"total" example:"-147.40"`
	Currency                   string `json:"currency" example:"EUR"`
	PriceAdjustmentDescription string `json:"priceAdjustmentDescription"`
	PublisherName              string `json:"publisherName"`
	PublisherId                string `json:"publisherId"`
	SubscriptionDescription    string `json:"subscriptionDescription"`
	SubscriptionId             string `json:"subscriptionId"`
	ChargeStartDate            string `json:"chargeStartDate" example:"2026-10-20"`
	ChargeEndDate              string `json:"chargeEndDate" example:"2026-11-04"`
	TermAndBillingCycle        string `json:"termAndBillingCycle" example:"One-year commitment for monthly billing"`
	EffectiveUnitPrice         string `json:"effectiveUnitPrice" example:"-4.9548387097"`
	UnitType                   string `json:"unitType" example:"Licenses"`
	AlternateId                string `json:"alternateId"`
	BillableQuantity           string `json:"billableQuantity" example:"25"`
	BillingFrequency           string `json:"billingFrequency"`
	PricingCurrency            string `json:"pricingCurrency" example:"EUR"`
	PCToBCExchangeRate         string `json:"pcToBCExchangeRate"`
	PCToBCExchangeRateDate     string `json:"pcToBCExchangeRateDate"`
	MeterDescription           string `json:"meterDescription"`
	ReservationOrderId         string `json:"reservationOrderId"`
	CreditReasonCode           string `json:"creditReasonCode"`
	SubscriptionStartDate      string `json:"subscriptionStartDate"`
	SubscriptionEndDate        string `json:"subscriptionEndDate"`
	ReferenceId                string `json:"referenceId"`
	ProductQualifiers          string `json:"productQualifiers"`
	PromotionId                string `json:"promotionId"`
}

func invoiceLine(ref string, l linebook.Line) InvoiceLine {
	f := &l.Fields
	return InvoiceLine{Row: l.Row, Ref: ref + ":" + strconv.Itoa(l.Row),
		PartnerId: f[0], CustomerId: f[1], CustomerName: f[2], CustomerDomainName: f[3], CustomerCountry: f[4], InvoiceNumber: f[5],
		MpnId: f[6], ResellerMpnId: f[7], OrderId: f[8], OrderDate: f[9], ProductId: f[10], SkuId: f[11],
		AvailabilityId: f[12], SkuName: f[13], ProductName: f[14], ChargeType: f[15], UnitPrice: f[16], Quantity: f[17],
		Subtotal: f[18], TaxTotal: f[19], Total: f[20], Currency: f[21], PriceAdjustmentDescription: f[22], PublisherName: f[23],
		PublisherId: f[24], SubscriptionDescription: f[25], SubscriptionId: f[26], ChargeStartDate: f[27], ChargeEndDate: f[28], TermAndBillingCycle: f[29],
		EffectiveUnitPrice: f[30], UnitType: f[31], AlternateId: f[32], BillableQuantity: f[33], BillingFrequency: f[34], PricingCurrency: f[35],
		PCToBCExchangeRate: f[36], PCToBCExchangeRateDate: f[37], MeterDescription: f[38], ReservationOrderId: f[39], CreditReasonCode: f[40], SubscriptionStartDate: f[41],
		SubscriptionEndDate: f[42], ReferenceId: f[43], ProductQualifiers: f[44], PromotionId: f[45],
	}
}

// InvoiceLines is some lines of an invoice, and what all that were asked for come to.
type InvoiceLines struct {
	List[InvoiceLine]
	Count    int    `json:"count" doc:"How many lines there are of those that were asked for, on all pages"`
	Currency string `json:"currency" example:"EUR"`
	Subtotal string `json:"subtotal" doc:"Of all of them"`
	TaxTotal string `json:"taxTotal"`
	Total    string `json:"total"`
}

// listLines is a question for lines of an invoice.
type listLines struct {
	InvoicePath
	Customer     string   `query:"customerId" maxLength:"200"`
	Subscription string   `query:"subscriptionId" maxLength:"200"`
	OrderID      string   `query:"orderId" maxLength:"200"`
	Product      string   `query:"productId" maxLength:"100"`
	Sku          string   `query:"skuId" maxLength:"100"`
	ChargeTypes  []string `query:"chargeType" maxItems:"30" example:"new,addQuantity" doc:"One or several, separated by commas"`
	From         string   `query:"from" format:"date" doc:"The charge begins on this day or later"`
	To           string   `query:"to" format:"date" doc:"The charge begins on this day or earlier"`
	Search       string   `query:"q" maxLength:"200" example:"business basic" doc:"Words, up to 16; each occurs in a name of the customer, its domain, the product, SKU, subscription or publisher, in any case"`
	Sign         string   `query:"sign" enum:"charge,credit" doc:"Lines with a total above zero, or below"`
	Min          string   `query:"minTotal" pattern:"^-?[0-9]{1,15}([.][0-9]{1,6})?$" example:"-100.00"`
	Max          string   `query:"maxTotal" pattern:"^-?[0-9]{1,15}([.][0-9]{1,6})?$"`
	Sort         string   `query:"sort" enum:"customerName,productName,skuName,chargeType,orderDate,chargeStartDate,chargeEndDate,unitPrice,quantity,subtotal,taxTotal,total" doc:"Default: the order of the file"`
	Order        string   `query:"order" enum:"ascending,descending" default:"ascending"`
	Page
	Conditional
}

// query is what the question asks of each line.
func (in *listLines) query() (q linebook.Query, err error) {
	q = linebook.All()
	q.CustomerID, q.SubscriptionID, q.OrderID, q.ProductID = in.Customer, in.Subscription, in.OrderID, in.Product
	q.SkuID = in.Sku
	q.ChargeTypes, q.Sort, q.Descending = in.ChargeTypes, linebook.Sort(in.Sort), in.Order == "descending"
	if q.Text = in.Search; len(strings.Fields(in.Search)) > maxWords {
		return q, invalid("query.q", "give up to "+strconv.Itoa(maxWords)+" words", in.Search)
	}
	if q.From, err = dayAt("query.from", in.From); err != nil {
		return q, err
	}
	if q.To, err = dayAt("query.to", in.To); err != nil {
		return q, err
	}
	switch in.Sign {
	case "charge":
		q.Sign = 1
	case "credit":
		q.Sign = -1
	}
	if q.Min, err = numberAt("query.minTotal", in.Min); err != nil {
		return q, err
	}
	q.Max, err = numberAt("query.maxTotal", in.Max)
	return q, err
}

// dayAt reads a day that stands somewhere in the question, or does not.
func dayAt(location, text string) (pricing.Date, error) {
	if text == "" {
		return pricing.NoDate, nil
	}
	day, err := pricing.ParseDate(text)
	if err != nil {
		return day, invalid(location, err.Error(), text)
	}
	return day, nil
}

func numberAt(location, text string) (*decimal.Decimal, error) {
	if text == "" {
		return nil, nil
	}
	d, err := decimal.NewFromString(text)
	if err != nil {
		return nil, invalid(location, "want a number", text)
	}
	return &d, nil
}

// explainLine is a question for how a line came about.
type explainLine struct {
	Ref string `path:"ref" maxLength:"700" example:"C202403-000002:12" doc:"The invoice's number, or month/partnerId with the slash escaped as %2F, a colon and the row"`
}

func (a *API) registerLines() {
	register(a, access.SeeInvoices, conditionalOperation(huma.Operation{OperationID: "list-lines", Method: http.MethodGet, Path: "/v1/invoices/{month}/{partnerId}/lines",
		Summary: "List lines of an invoice", Description: "Filtered and sorted; count and sums are of all lines that pass the filters, on whatever page they stand. The first question for a large invoice takes a second or two.",
		Tags: []string{"Invoices"}, Errors: []int{http.StatusBadRequest, http.StatusNotFound}}),
		func(ctx context.Context, who access.Principal, in *listLines) (*tagged[InvoiceLines], error) {
			return a.listLines(ctx, who, in)
		})
	register(a, access.SeeInvoices, huma.Operation{OperationID: "explain-line", Method: http.MethodGet, Path: "/v1/lines/{ref}/explanation",
		Summary: "Explain a line", Description: "How the line came about: its event, term, price sheet row, cycle and policies, and the arithmetic step by step. It is computed again from what the month's revision knew.",
		Tags: []string{"Invoices"}, Errors: []int{http.StatusNotFound}},
		func(ctx context.Context, who access.Principal, in *explainLine) (*struct{ Body jobs.Explanation }, error) {
			explanation, err := a.explainLine(ctx, who, in.Ref)
			return &struct{ Body jobs.Explanation }{explanation}, err
		})
}

func (a *API) listLines(ctx context.Context, who access.Principal, in *listLines) (*tagged[InvoiceLines], error) {
	b, err := a.billed(ctx, who, in.InvoicePath)
	if err != nil {
		return nil, err
	}
	q, err := in.query()
	if err != nil {
		return nil, err
	}
	f, err := b.file(jobs.LinesFile)
	if err != nil {
		return nil, err
	}
	name := invoiceName(b.month, b.invoice)
	asked := *in
	asked.Conditional = Conditional{}
	tag := tagOf("lines", name, f.SHA256, fmt.Sprintf("%+v", asked))
	return unlessHad(in.Conditional, tag, func() (InvoiceLines, error) {
		var answer InvoiceLines
		book, err := a.book(ctx, b)
		if err != nil {
			return answer, err
		}
		page, err := book.Page(ctx, q, in.Cursor, in.Limit)
		if errors.Is(err, linebook.ErrCursor) {
			return answer, problem(http.StatusBadRequest, "cursor", "the cursor does not fit, or fits no more: ask for the first page again")
		}
		if err != nil {
			return answer, fmt.Errorf("lines of %s: %w", name, err)
		}
		answer = InvoiceLines{List: List[InvoiceLine]{Items: make([]InvoiceLine, len(page.Lines)), Next: page.Next}, Count: page.Count, Currency: b.invoice.Currency,
			Subtotal: page.Subtotal, TaxTotal: page.TaxTotal, Total: page.Total}
		for i, l := range page.Lines {
			answer.Items[i] = invoiceLine(name, l)
		}
		return answer, nil
	})
}

// book is the lines of an invoice.
func (a *API) book(ctx context.Context, b billed) (*linebook.Book, error) {
	f, err := b.file(jobs.LinesFile)
	if err != nil {
		return nil, err
	}
	book, err := a.Lines.Open(ctx, a.Env().Bucket, linebook.File{Key: f.Key, Size: f.Size, SHA256: f.SHA256, Lines: b.invoice.Lines, Currency: b.invoice.Currency})
	if errors.Is(err, linebook.ErrDamaged) {
		return nil, a.damaged(err)
	}
	return book, err
}

func (a *API) explainLine(ctx context.Context, who access.Principal, ref string) (jobs.Explanation, error) {
	unknown := notFound("the line " + ref)
	r, err := a.Current.Reading()
	if err != nil {
		return jobs.Explanation{}, err
	}
	m, inv, err := r.InvoiceOfLine(ref)
	switch {
	case errors.Is(err, jobs.ErrMissing), err == nil && !who.Sees(inv.PartnerID):
		return jobs.Explanation{}, unknown
	case errors.Is(err, jobs.ErrUsage):
		return jobs.Explanation{}, invalid("path.ref", err.Error(), ref)
	case err != nil:
		return jobs.Explanation{}, err
	}
	audit.About(ctx, inv.PartnerID, "line "+ref)
	book, err := a.book(ctx, billed{r, m, inv})
	if err != nil {
		return jobs.Explanation{}, err
	}
	row, err := strconv.Atoi(ref[strings.LastIndexByte(ref, ':')+1:])
	if err != nil {
		return jobs.Explanation{}, fmt.Errorf("explain %s: %w", ref, err) // it was a number just now
	}
	result, err := r.Explain(ctx, jobs.ExplainPlan{Line: ref, Row: book.Row(row)})
	if err != nil || len(result.Lines) != 1 {
		return jobs.Explanation{}, fmt.Errorf("explain %s of %s: %w", ref, m.Month, err)
	}
	return result.Lines[0], nil
}
