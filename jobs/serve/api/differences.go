package api

import (
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"github.com/calends/calends/exports"
	"github.com/calends/calends/jobs"
	"github.com/calends/calends/jobs/serve/access"
	"github.com/calends/calends/jobs/serve/audit"
)

// ComparedPartner is what comparing a partner's month with Microsoft's file came to.
type ComparedPartner struct {
	jobs.ReconciledPartner
	Revision int                    `json:"revision" doc:"Revision of the comparison, the newest of the partner"`
	Ours     []jobs.ReconciledMonth `json:"ours" doc:"Our revisions that were compared"`
}

// ComparisonList is a month's comparisons.
type ComparisonList struct {
	List[ComparedPartner]
}

// listComparisons is a question for comparisons.
type listComparisons struct {
	Month string `query:"month" required:"true" pattern:"^[0-9]{4}-(0[1-9]|1[0-2])$" example:"2024-03"`
	Page
}

// ListedDifference is one cause of what differs between our lines and Microsoft's. A
// match with several causes has a row for each.
type ListedDifference struct {
	PartnerID          string         `json:"partnerId"`
	CustomerID         string         `json:"customerId"`
	CustomerName       string         `json:"customerName"`
	SubscriptionID     string         `json:"subscriptionId"`
	ProductID          string         `json:"productId"`
	SkuID              string         `json:"skuId"`
	SkuName            string         `json:"skuName"`
	Match              string         `json:"match" doc:"Number of the match; rows of one match share it"`
	Step               string         `json:"step" doc:"How its lines were found to belong together"`
	Cause              string         `json:"cause" example:"quantity"`
	Status             string         `json:"status" enum:"open,tolerated,noted" doc:"open: somebody has to look; tolerated: what truncating elsewhere brings; noted: it differs and costs nothing"`
	Currency           string         `json:"currency" example:"EUR"`
	DifferenceSubtotal string         `json:"differenceSubtotal" doc:"Theirs - ours, what this cause brings"`
	DifferenceTax      string         `json:"differenceTax"`
	DifferenceTotal    string         `json:"differenceTotal"`
	Explanation        string         `json:"explanation"`
	Expected           string         `json:"expected" doc:"Our value of what differs"`
	Billed             string         `json:"billed" doc:"Theirs"`
	Evidence           string         `json:"evidence" doc:"A JSON object of what speaks for the cause, or blank"`
	Ours               DifferenceSide `json:"ours"`
	Theirs             DifferenceSide `json:"theirs"`
}

// DifferenceSide is what one side has in a match; what several lines do not share is blank.
type DifferenceSide struct {
	Lines              string `json:"lines" doc:"How many"`
	Month              string `json:"month"`
	Invoice            string `json:"invoice"`
	File               string `json:"file,omitempty"`
	Rows               string `json:"rows" doc:"In the invoice's CSV or the file, separated by spaces"`
	ChargeType         string `json:"chargeType"`
	OrderDate          string `json:"orderDate"`
	ChargeStartDate    string `json:"chargeStartDate"`
	ChargeEndDate      string `json:"chargeEndDate"`
	Quantity           string `json:"quantity"`
	UnitPrice          string `json:"unitPrice"`
	EffectiveUnitPrice string `json:"effectiveUnitPrice"`
	PricingCurrency    string `json:"pricingCurrency"`
	ExchangeRate       string `json:"exchangeRate"`
	PromotionID        string `json:"promotionId"`
	ReferenceID        string `json:"referenceId"`
	Currency           string `json:"currency"`
	Subtotal           string `json:"subtotal"`
	TaxTotal           string `json:"taxTotal"`
	Total              string `json:"total"`
	UnknownColumns     string `json:"unknownColumns,omitempty" doc:"A JSON object of the columns of their file that have no meaning here"`
}

// DifferenceList is some of a month's differences, by partner, in the order of their files.
type DifferenceList struct {
	List[ListedDifference]
}

// listDifferences is a question for differences.
type listDifferences struct {
	Month        string `query:"month" required:"true" pattern:"^[0-9]{4}-(0[1-9]|1[0-2])$" example:"2024-03"`
	Partner      string `query:"partnerId" maxLength:"200"`
	Customer     string `query:"customerId" maxLength:"200"`
	Subscription string `query:"subscriptionId" maxLength:"200"`
	Cause        string `query:"cause" maxLength:"40" example:"quantity"`
	Status       string `query:"status" enum:"open,tolerated,noted"`
	Page
}

func (in *listDifferences) wants(of differenceRow) bool {
	return (in.Customer == "" || in.Customer == of("CustomerId")) && (in.Subscription == "" || in.Subscription == of("SubscriptionId")) &&
		(in.Cause == "" || in.Cause == of("Cause")) && (in.Status == "" || in.Status == of("Status"))
}

// differenceRow is a row of differences.csv, by its columns.
type differenceRow func(column string) string

func (a *API) registerDifferences() {
	register(a, access.SeeDifferences, huma.Operation{OperationID: "list-comparisons", Method: http.MethodGet, Path: "/v1/comparisons",
		Summary: "List what comparing a month with Microsoft's files came to", Description: "The newest comparison of each partner, with both sides and the causes of what differs. Empty if the month was not compared.",
		Tags: []string{"Differences"}, Errors: []int{http.StatusBadRequest}},
		func(ctx context.Context, who access.Principal, in *listComparisons) (*struct{ Body ComparisonList }, error) {
			page, err := a.listComparisons(ctx, who, in)
			return &struct{ Body ComparisonList }{page}, err
		})
	register(a, access.SeeDifferences, huma.Operation{OperationID: "list-differences", Method: http.MethodGet, Path: "/v1/differences",
		Summary: "List differences with Microsoft's files", Description: "Of the newest comparison of each partner. Empty if the month was not compared.", Tags: []string{"Differences"}, Errors: []int{http.StatusBadRequest}},
		func(ctx context.Context, who access.Principal, in *listDifferences) (*struct{ Body DifferenceList }, error) {
			page, err := a.listDifferences(ctx, who, in)
			return &struct{ Body DifferenceList }{page}, err
		})
}

// comparisons are those of a month that the caller may see, by partner, and what a
// cursor through them depends on.
func (a *API) comparisons(ctx context.Context, who access.Principal, text string) (seen []jobs.Comparison, depends []string, err error) {
	month, err := monthAt("query.month", text)
	if err != nil {
		return nil, nil, err
	}
	all, err := a.Env().Comparisons(ctx, month)
	if err != nil {
		return nil, nil, err
	}
	depends = []string{text, who.ID}
	for _, c := range all {
		if who.Sees(c.PartnerID) {
			seen = append(seen, c)
			depends = append(depends, c.PartnerID+":"+strconv.Itoa(c.Revision))
		}
	}
	return seen, depends, nil
}

func (a *API) listComparisons(ctx context.Context, who access.Principal, in *listComparisons) (ComparisonList, error) {
	page := ComparisonList{List[ComparedPartner]{Items: []ComparedPartner{}}}
	seen, depends, err := a.comparisons(ctx, who, in.Month)
	if err != nil {
		return page, err
	}
	depends = append(depends, "comparisons")
	_, from, err := in.place(depends...)
	if err != nil {
		return page, err
	}
	audit.About(ctx, "", "comparisons of "+in.Month)
	for i := from; i < len(seen); i++ {
		if len(page.Items) == in.Limit {
			page.Next = cursorOf(0, i, depends...)
			break
		}
		c := seen[i]
		page.Items = append(page.Items, ComparedPartner{ReconciledPartner: c.ReconciledPartner, Revision: c.Revision, Ours: c.Ours})
	}
	return page, nil
}

func (a *API) listDifferences(ctx context.Context, who access.Principal, in *listDifferences) (DifferenceList, error) {
	page := DifferenceList{List[ListedDifference]{Items: []ListedDifference{}}}
	seen, depends, err := a.comparisons(ctx, who, in.Month)
	if err != nil {
		return page, err
	}
	depends = append(depends, "differences", in.Partner, in.Customer, in.Subscription, in.Cause, in.Status)
	partner, row, err := in.place(depends...)
	if err != nil {
		return page, err
	}
	audit.About(ctx, "", "differences of "+in.Month)
	if who.Sees(in.Partner) { // else the event would be shown to that partner's admins
		audit.About(ctx, in.Partner, "")
	}
	for ; partner < len(seen); partner, row = partner+1, 0 {
		if in.Partner != "" && in.Partner != seen[partner].PartnerID {
			continue
		}
		all, err := a.differencesOf(ctx, seen[partner])
		if err != nil {
			return page, err
		}
		for ; row < len(all); row++ {
			if !in.wants(all[row]) {
				continue
			}
			if len(page.Items) == in.Limit {
				page.Next = cursorOf(partner, row, depends...)
				return page, nil
			}
			page.Items = append(page.Items, listedDifference(all[row]))
		}
	}
	return page, nil
}

// differencesOf reads a partner's differences.
func (a *API) differencesOf(ctx context.Context, c jobs.Comparison) ([]differenceRow, error) {
	at := slices.IndexFunc(c.Files, func(f jobs.PublishedFile) bool { return f.Name == jobs.DifferencesFile })
	if at < 0 {
		return nil, problem(http.StatusNotFound, "not-found", "the comparison of partner "+c.PartnerID+" was made without "+jobs.DifferencesFile+"; compare again with all formats")
	}
	f := c.Files[at]
	data, err := a.readFile(ctx, f)
	if err != nil {
		return nil, err
	}
	rows, err := csv.NewReader(bytes.NewReader(data)).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", f.Key, err)
	}
	if len(rows) == 0 || !slices.Equal(rows[0], exports.DifferenceColumns()) {
		return nil, fmt.Errorf("read %s: its columns are others", f.Key)
	}
	places := make(map[string]int, len(rows[0]))
	for i, name := range rows[0] {
		places[name] = i
	}
	all := make([]differenceRow, len(rows)-1)
	for i, row := range rows[1:] {
		all[i] = func(column string) string { return row[places[column]] }
	}
	return all, nil
}

func listedDifference(of differenceRow) ListedDifference {
	side := func(s string) DifferenceSide {
		return DifferenceSide{Lines: of(s + "Lines"), Month: of(s + "Month"), Invoice: of(s + "Invoice"), Rows: of(s + "Rows"), ChargeType: of(s + "ChargeType"),
			OrderDate: of(s + "OrderDate"), ChargeStartDate: of(s + "ChargeStartDate"), ChargeEndDate: of(s + "ChargeEndDate"), Quantity: of(s + "Quantity"),
			UnitPrice: of(s + "UnitPrice"), EffectiveUnitPrice: of(s + "EffectiveUnitPrice"), PricingCurrency: of(s + "PricingCurrency"), ExchangeRate: of(s + "ExchangeRate"),
			PromotionID: of(s + "PromotionId"), ReferenceID: of(s + "ReferenceId"), Currency: of(s + "Currency"), Subtotal: of(s + "Subtotal"), TaxTotal: of(s + "TaxTotal"), Total: of(s + "Total")}
	}
	d := ListedDifference{PartnerID: of("PartnerId"), CustomerID: of("CustomerId"), CustomerName: of("CustomerName"), SubscriptionID: of("SubscriptionId"), ProductID: of("ProductId"),
		SkuID: of("SkuId"), SkuName: of("SkuName"), Match: of("Match"), Step: of("Step"), Cause: of("Cause"), Status: of("Status"), Currency: of("Currency"),
		DifferenceSubtotal: of("DifferenceSubtotal"), DifferenceTax: of("DifferenceTax"), DifferenceTotal: of("DifferenceTotal"), Explanation: of("Explanation"),
		Expected: of("Expected"), Billed: of("Billed"), Evidence: of("Evidence"), Ours: side("Our"), Theirs: side("Their")}
	d.Theirs.File, d.Theirs.UnknownColumns = of("TheirFile"), of("TheirUnknownColumns")
	return d
}
