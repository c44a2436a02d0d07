// Package cases holds the published worked examples as golden cases: small text
// files that a billing person can read, with what goes in above and the lines
// that must come out below.
//
//	# nce-008-cancel  Cancel inside the window on day 3 of a 31-day cycle
//	# source: https://learn.microsoft.com/...
//	# status: reproduced
//	partner EUR
//	product BS CFQ7TTC0LDPB/0001 "Microsoft 365 Business Standard"
//	price BS P1M Monthly EUR 10.08
//
//	2021-07-15 09:00  buy S1 BS P1M Monthly 10
//	2021-07-17 12:00  cancel S1
//
//	bill 2021-07
//
//	lines
//	type             qty  start       end         unit   effective      amount
//	new              10   2021-07-15  2021-08-14  10.08  10.08          100.80
//	cancelImmediate  10   2021-07-17  2021-08-14  10.08  -9.4296774194  -94.20
//
// [Case.WriteFiles] turns the upper half into input files in the formats that
// `calends ingest` reads; [Case.Diff] compares the rows of reconciliation.csv
// with the lower half. README.md has the language and the list of all cases.
package cases

import (
	"embed"
	"fmt"
	"path"
	"strings"
	"time"
)

//go:embed *.txt
var files embed.FS

// A Case is one example: what goes in, and the lines that must come out.
type Case struct {
	ID     string
	Title  string
	Source string // the page that published it; "" for an example of our own
	// Status is "reproduced", "differs" (the page's own numbers disagree, or
	// with our rules; the file says why) or "ours".
	Status string

	Policies Policies
	// Want are the lines of all billed months, with the compared columns only,
	// by the names of reconciliation.csv's header.
	Want []Row
	// WantExceptions are all exceptions of these months: Code and SubscriptionId.
	WantExceptions []Row

	partner    partner
	customer   customer
	products   map[string]product
	prices     []price
	promotions []promotion
	rates      []rate
	changes    []change
	months     []string
}

// Policies are the named ones of the billing rules; "" is the default.
type Policies struct {
	Rounding string // documented, unit or line
	MonthEnd string // clamp or stick
	Windows  string // enforce or trust
}

// Row is a row of a CSV file by the names of its header.
type Row = map[string]string

// Ids of the files that a case writes. Subscriptions are named as in the case.
const (
	PartnerID  = "partner"
	CustomerID = "customer"
)

type partner struct{ currency, taxRate string }

type customer struct{ market, segment string }

type product struct{ productID, skuID, title string }

type price struct {
	product, term, plan, currency, unitPrice string
	from, until                              string
}

type promotion struct {
	id, percent, product, term, plan string
	from, until                      string
}

type rate struct{ currency, month, usd string }

// change is a CloudEvent: data is written as it stands.
type change struct {
	at       time.Time
	kind     string
	subject  string
	override string
	data     map[string]any
}

// All returns every case, in the order of their ids.
func All() ([]Case, error) {
	entries, err := files.ReadDir(".")
	if err != nil {
		return nil, err
	}
	all := make([]Case, 0, len(entries))
	for _, e := range entries {
		text, err := files.ReadFile(e.Name())
		if err != nil {
			return nil, err
		}
		c, err := Parse(e.Name(), string(text))
		if err != nil {
			return nil, err
		}
		if want := strings.TrimSuffix(e.Name(), path.Ext(e.Name())); c.ID != want {
			return nil, fmt.Errorf("%s: the first line says %q, the file's name %q", e.Name(), c.ID, want)
		}
		all = append(all, c)
	}
	return all, nil
}

// Months are those to bill, in order, as 2021-06.
func (c Case) Months() []string { return c.months }
