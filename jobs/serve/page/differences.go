package page

import (
	"cmp"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"

	"github.com/shopspring/decimal"

	"github.com/calends/calends/exports"
	"github.com/calends/calends/jobs"
	"github.com/calends/calends/jobs/serve/access"
	"github.com/calends/calends/pipeline/reconcile"
)

func (s *Site) registerDifferences() {
	s.register(http.MethodGet, "/months/{month}/differences", "page-differences", access.SeeDifferences, s.differences)
}

// differenceRow is a row of differences.csv in short.
type differenceRow struct {
	Partner, PartnerID   string
	Customer, CustomerID string
	Sku, Subscription    string
	Cause, Status        string
	Subtotal, Tax, Total string
	Currency             string
	Explanation          string
	Ours, Theirs         string // the lines
	Address              string // of ours, where it is one
	size                 decimal.Decimal
}

// sidesRow are both sides of a partner in one currency.
type sidesRow struct {
	Partner, PartnerID string
	jobs.ReconciledSides
	Open int
}

// causeRow is what one cause comes to in one currency, of the partners that are shown.
type causeRow struct {
	jobs.ReconciledCause
	Words string
	total decimal.Decimal
}

type differencesBody struct {
	Month    string
	Sides    []sidesRow
	Causes   []causeRow
	Rows     []differenceRow
	Pager    pager
	Partners []choice
	Kinds    []choice
	OpenOnly bool
	Files    []download
}

// causeWords say what a cause means.
var causeWords = map[reconcile.Cause]string{
	reconcile.Unknown:      "nothing that is known explains it",
	reconcile.Arithmetic:   "their own figures do not multiply to their amount",
	reconcile.Quantity:     "another number of seats",
	reconcile.Price:        "another unit price",
	reconcile.Promotion:    "another promotion, or none",
	reconcile.Days:         "other days are charged",
	reconcile.Rate:         "another exchange rate",
	reconcile.Rounding:     "truncated at another place",
	reconcile.Period:       "billed in another month",
	reconcile.MissingHere:  "they bill it, we do not",
	reconcile.MissingThere: "we bill it, they do not",
	reconcile.Duplicate:    "billed twice",
	reconcile.Credit:       "a credit of theirs",
	reconcile.Tax:          "another tax",
	reconcile.Refused:      "their line could not be read",
	reconcile.Currency:     "another currency",
}

func (s *Site) differences(a ask) (answer, error) {
	m, err := s.seenMonth(a)
	if err != nil {
		return answer{}, err
	}
	book, _, err := s.book()
	if err != nil {
		return answer{}, err
	}
	all, err := s.Env().Comparisons(a.Context(), m.Month)
	if err != nil {
		return answer{}, err
	}
	body := differencesBody{Month: m.Current.Month, OpenOnly: a.FormValue("status") == "open"}
	partner, kind := a.FormValue("partner"), a.FormValue("cause")
	causes := make(map[[2]string]*causeRow)
	var rows []differenceRow
	for _, c := range all {
		if !a.who.Sees(c.PartnerID) {
			continue
		}
		name := book.name(c.PartnerID)
		body.Partners = append(body.Partners, choice{c.PartnerID, name, c.PartnerID == partner})
		if partner != "" && c.PartnerID != partner {
			continue
		}
		for _, side := range c.Sides {
			body.Sides = append(body.Sides, sidesRow{name, c.PartnerID, side, c.Open})
		}
		if err := addCauses(causes, c.Causes); err != nil {
			return answer{}, fmt.Errorf("comparison of %s with partner %s: %w", m.Month, c.PartnerID, err)
		}
		for _, f := range c.Files {
			if a.may(access.Download) {
				body.Files = append(body.Files, download{Name: f.Name, What: name, Address: fileAddress(m.Current.Month, c.PartnerID, f.Name), Size: f.Size, SHA256: f.SHA256})
			}
			if f.Name != jobs.DifferencesFile {
				continue
			}
			more, err := s.differencesOf(a, f, func(r differenceRow) bool {
				return (kind == "" || r.Cause == kind) && (!body.OpenOnly || r.Status == jobs.StatusOpen)
			})
			if err != nil {
				return answer{}, err
			}
			for i := range more {
				more[i].Partner = name
			}
			rows = append(rows, more...)
		}
	}
	for _, c := range causes {
		if c.Differences == 0 && c.total.IsZero() {
			continue
		}
		body.Causes = append(body.Causes, *c)
	}
	slices.SortFunc(body.Causes, func(c, d causeRow) int {
		return cmp.Or(cmp.Compare(c.Currency, d.Currency), d.total.Abs().Cmp(c.total.Abs()), cmp.Compare(c.Cause, d.Cause))
	})
	for _, c := range reconcile.Causes() {
		body.Kinds = append(body.Kinds, choice{string(c), string(c), string(c) == kind})
	}
	slices.SortStableFunc(rows, func(r, t differenceRow) int {
		return cmp.Or(cmp.Compare(r.Currency, t.Currency), t.size.Cmp(r.size))
	})
	from, to, p := a.page(len(rows))
	body.Rows, body.Pager = rows[from:to], p
	return answer{template: "differences", title: "Differences with Microsoft in " + monthName(m.Current.Month), place: "Months", crumbs: crumbsOf(m.Current.Month), body: body}, nil
}

// addCauses adds a partner's causes up with those of others, currency by currency.
func addCauses(sums map[[2]string]*causeRow, causes []jobs.ReconciledCause) error {
	for _, c := range causes {
		key := [2]string{c.Cause, c.Currency}
		sum := sums[key]
		if sum == nil {
			sum = &causeRow{ReconciledCause: jobs.ReconciledCause{Cause: c.Cause, Currency: c.Currency, Subtotal: "0", Tax: "0", Total: "0"}, Words: causeWords[reconcile.Cause(c.Cause)]}
			sums[key] = sum
		}
		sum.Differences += c.Differences
		sum.Free += c.Free
		for _, amount := range []struct {
			sum  *string
			more string
		}{{&sum.Subtotal, c.Subtotal}, {&sum.Tax, c.Tax}, {&sum.Total, c.Total}} {
			if err := addAmount(amount.sum, amount.more); err != nil {
				return err
			}
		}
		var err error
		if sum.total, err = decimal.NewFromString(sum.Total); err != nil {
			return err
		}
	}
	return nil
}

// addAmount adds two amounts that are written with the same decimals.
func addAmount(sum *string, more string) error {
	x, err := decimal.NewFromString(*sum)
	if err != nil {
		return err
	}
	y, err := decimal.NewFromString(more)
	if err != nil {
		return err
	}
	*sum = x.Add(y).StringFixed(-y.Exponent())
	return nil
}

// linesName names lines by their invoice, where it has a number, and their rows.
func linesName(invoice, rows string) string {
	if invoice == "" || rows == "" {
		return invoice + rows
	}
	return invoice + ":" + rows
}

// differencesOf reads the rows of a differences.csv that are wanted, and proves its hash.
func (s *Site) differencesOf(a ask, f jobs.PublishedFile, wanted func(differenceRow) bool) (rows []differenceRow, err error) {
	object, err := s.Env().Bucket.Open(a.Context(), f.Key)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, object.Close()) }()
	sum := sha256.New()
	r := csv.NewReader(io.TeeReader(object, sum))
	r.ReuseRecord = true
	head, err := r.Read()
	if err != nil || !slices.Equal(head, exports.DifferenceColumns()) {
		return nil, fmt.Errorf("read %s: its header is not that of differences: %w", f.Key, cmp.Or(err, exports.ErrSyntax))
	}
	at := make(map[string]int, len(head))
	for i, name := range head {
		at[name] = i
	}
	for {
		record, err := r.Read()
		if err == io.EOF { //nolint:errorlint // csv returns it as it is
			break
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", f.Key, err)
		}
		get := func(name string) string { return record[at[name]] }
		row := differenceRow{
			PartnerID: get("PartnerId"), Customer: get("CustomerName"), CustomerID: get("CustomerId"), Sku: get("SkuName"), Subscription: get("SubscriptionId"),
			Cause: get("Cause"), Status: get("Status"), Currency: get("Currency"), Explanation: get("Explanation"),
			Subtotal: get("DifferenceSubtotal"), Tax: get("DifferenceTax"), Total: get("DifferenceTotal"),
			Ours: linesName(get("OurInvoice"), get("OurRows")), Theirs: linesName(get("TheirInvoice"), get("TheirRows")),
		}
		if n, err := strconv.Atoi(get("OurRows")); err == nil {
			row.Address = invoiceAddress(get("OurMonth"), row.PartnerID) + "/lines/" + strconv.Itoa(n)
		}
		if !wanted(row) {
			continue
		}
		size, err := decimal.NewFromString(row.Total)
		if err != nil {
			return nil, fmt.Errorf("read %s: amount %q: %w", f.Key, row.Total, err)
		}
		row.size = size.Abs()
		rows = append(rows, row)
	}
	if hex.EncodeToString(sum.Sum(nil)) != f.SHA256 {
		return nil, fmt.Errorf("%s is not the file that its manifest names: run calends verify", f.Key)
	}
	return rows, nil
}
