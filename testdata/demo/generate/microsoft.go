package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/shopspring/decimal"

	"github.com/calends/calends/exports"
	"github.com/calends/calends/jobs"
	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pipeline/subscription"
	"github.com/calends/calends/pricing"
)

// reconMonth is the month that microsoft/ bills.
var reconMonth = pricing.MonthOf(2024, 3)

// microsoft returns Microsoft's own files for March: what Calends bills of the
// other files, in Microsoft's columns, with a handful of differences planted.
func microsoft(files map[string][]byte) (map[string][]byte, error) {
	march, err := play(files)
	if err != nil {
		return nil, err
	}
	european, err := billedTo("musterstadt", march)
	if err != nil {
		return nil, err
	}
	american, err := billedTo("sampleton", march)
	if err != nil {
		return nil, err
	}
	for _, l := range european {
		l["InvoiceNumber"] = "G045210882"
	}
	for _, l := range american {
		l["InvoiceNumber"] = "G045210881"
	}
	packed, err := gzipped(graphExport(plantAmerican(american)))
	if err != nil {
		return nil, err
	}
	return map[string][]byte{
		"microsoft/G045210882_ReconLineItems.csv": reconCSV(plantEuropean(european)),
		"microsoft/G045210881.json.gz":            packed,
	}, nil
}

// line is a row of a reconciliation file by column.
type line map[string]string

// plantEuropean plants a quantity, a lost line, a line twice, next month's price
// and a later start.
func plantEuropean(lines []line) []line {
	find(lines, "voorbeeld/standard", "cycleCharge").quantity(27)
	april := slices.IndexFunc(rowsOf("NL", "2024-04"), func(r row) bool { return r.key == "V2" && r.billing == "Monthly" && r.term == "P1M" })
	price := rowsOf("NL", "2024-04")[april].unit
	visio := find(lines, "voorbeeld/visio", "renew")
	visio["UnitPrice"] = price
	visio.amounts(decimal.RequireFromString(price))
	later := find(lines, "hogeschool/powerbi", "new")
	later["ChargeStartDate"] = "2024-03-03"
	later.amounts(decimal.RequireFromString(later["UnitPrice"]).Mul(decimal.NewFromInt(29)).DivRound(decimal.NewFromInt(31), 10))
	twice := maps.Clone(find(lines, "specimen/standard", "convert"))
	lost := find(lines, "muster/premium", "cycleCharge")
	lines = slices.DeleteFunc(lines, func(l line) bool { return l["ReferenceId"] == lost["ReferenceId"] })
	return append(lines, twice)
}

// plantAmerican plants a lost promotion, another rounding, and a pair of lines
// netted into one.
func plantAmerican(lines []line) []line {
	visio := find(lines, "placeholder/visio", "renew")
	visio["PromotionId"] = ""
	visio.amounts(decimal.RequireFromString(visio["UnitPrice"]))
	faculty := find(lines, "school/faculty", "cycleCharge")
	faculty.total(decimal.RequireFromString(faculty["EffectiveUnitPrice"]).Mul(decimal.RequireFromString(faculty["Quantity"])).RoundDown(2))
	var pair []line
	for _, l := range lines {
		if l["SubscriptionId"] == subscriptionID("placeholder/standard") && l["ChargeType"] == "addQuantity" {
			pair = append(pair, l)
		}
	}
	minus, plus := pair[0], pair[1]
	lines = slices.DeleteFunc(lines, func(l line) bool {
		return l["ReferenceId"] == minus["ReferenceId"] && l["Subtotal"] == minus["Subtotal"]
	})
	seats := decimal.RequireFromString(plus["Quantity"]).Sub(decimal.RequireFromString(minus["Quantity"]))
	plus["Quantity"], plus["BillableQuantity"] = seats.String(), seats.String()
	plus.total(decimal.RequireFromString(plus["Subtotal"]).Add(decimal.RequireFromString(minus["Subtotal"])))
	return lines
}

// find returns the line of a subscription and charge type.
func find(lines []line, subscription, chargeType string) line {
	for _, l := range lines {
		if l["SubscriptionId"] == subscriptionID(subscription) && l["ChargeType"] == chargeType {
			return l
		}
	}
	panic("no " + chargeType + " of " + subscription + " in " + reconMonth.String())
}

// quantity bills another number of seats.
func (l line) quantity(n int) {
	l["Quantity"], l["BillableQuantity"] = strconv.Itoa(n), strconv.Itoa(n)
	l.amounts(decimal.RequireFromString(l["EffectiveUnitPrice"]))
}

// amounts bills at another effective price, cut to cents by unit.
func (l line) amounts(price decimal.Decimal) {
	l["EffectiveUnitPrice"] = price.String()
	rate := decimal.RequireFromString(l["PCToBCExchangeRate"])
	l.total(price.Mul(rate).RoundDown(2).Mul(decimal.RequireFromString(l["Quantity"])))
}

// total writes the amounts; the tax rate stays.
func (l line) total(subtotal decimal.Decimal) {
	tax := decimal.RequireFromString(l["TaxTotal"]).DivRound(decimal.RequireFromString(l["Subtotal"]), 2).Mul(subtotal).RoundDown(2)
	l["Subtotal"], l["TaxTotal"], l["Total"] = subtotal.StringFixed(2), tax.StringFixed(2), subtotal.Add(tax).StringFixed(2)
}

// newerName is how Microsoft spells a column since August 2023.
func newerName(column string) string {
	if column == "Total" {
		return "totalForCustomer"
	}
	return strings.ToLower(column[:1]) + column[1:]
}

// reconCSV is a file of the partner's portal, with a column that nobody knows.
func reconCSV(lines []line) []byte {
	header := []string{}
	for _, name := range exports.Columns() {
		header = append(header, newerName(name))
	}
	records := [][]string{append(header, "productCategory")}
	for _, l := range lines {
		var record []string
		for _, name := range exports.Columns() {
			record = append(record, l[name])
		}
		records = append(records, append(record, "License based services"))
	}
	return table(records)
}

// graphExport is a file of the Graph API before it is packed.
func graphExport(lines []line) []byte {
	var b bytes.Buffer
	for _, l := range lines {
		object := make(map[string]any)
		for _, name := range exports.Columns() {
			object[newerName(name)] = l[name]
			if strings.HasSuffix(name, "Date") && l[name] != "" {
				object[newerName(name)] = l[name] + "T00:00:00Z"
			}
		}
		object["billingProvider"] = "one_time"
		text, err := json.Marshal(object)
		if err != nil {
			panic(err) // text is always JSON
		}
		b.Write(append(text, '\n'))
	}
	return b.Bytes()
}

// play plays the demo's story in memory until March is closed.
func play(files map[string][]byte) (_ bucket.Bucket, err error) {
	dir, err := os.MkdirTemp("", "calends-demo-*")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	for name, data := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			return nil, err
		}
		if err := os.WriteFile(path, data, 0o666); err != nil {
			return nil, err
		}
	}
	ctx := context.Background()
	env := jobs.Env{Bucket: bucket.NewMemory(), Workers: 1, Version: "demo", Today: pricing.DateOf(2024, 5, 1), Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Policies: func(string) subscription.Policies { return subscription.Policies{} }}
	for _, plan := range []jobs.IngestPlan{
		{Paths: []string{"partners.csv", "customers.csv", "fxrates.csv", "promotions.json", "offermatrix.csv", "prices", "changes"}},
		{Paths: []string{"charges"}, Charges: reconMonth},
		{Paths: []string{"bad"}},
	} {
		plan.Folder = dir
		if _, err := env.Ingest(ctx, plan); err != nil {
			return nil, err
		}
	}
	for month := reconMonth - 2; month <= reconMonth; month++ {
		if _, err := env.Close(ctx, month, "the demo's story"); err != nil {
			return nil, err
		}
	}
	return env.Bucket, nil
}

// billedTo is what a partner's invoice of March says.
func billedTo(partner string, march bucket.Bucket) (lines []line, err error) {
	key := fmt.Sprintf("%spartner=%s/reconciliation.csv", ledger.RevisionPrefix(reconMonth, 1), bucket.Segment(partnerID(partner)))
	data, err := bucket.ReadAll(context.Background(), march, key)
	if err != nil {
		return nil, err
	}
	records, err := csv.NewReader(bytes.NewReader(data)).ReadAll()
	if err != nil {
		return nil, err
	}
	for _, record := range records[1:] {
		l := make(line)
		for i, name := range records[0] {
			l[name] = record[i]
		}
		lines = append(lines, l)
	}
	return lines, nil
}
