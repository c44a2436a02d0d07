package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// agree lets both compute the month once and compares what they wrote: every
// column of every row of the CSV and of the Parquet, and the totals of every partner. It
// returns how many lines there are.
func (r *race) agree(ctx context.Context) (int, error) {
	ours, err := r.folder()
	if err != nil {
		return 0, err
	}
	theirs, err := r.folder()
	if err != nil {
		return 0, err
	}
	both := []string{"csv", "parquet"}
	calends := contestant{command: func(out string) []string { return r.bench(out, both, 2) }}
	if _, err := calends.run(ctx, ours, 2); err != nil {
		return 0, fmt.Errorf("calends: %w", err)
	}
	duck := contestant{command: func(out string) []string {
		return r.duck(job{World: r.world, Out: out, CSV: true, Parquet: true, Threads: 2, Shape: best})
	}}
	printed, err := duck.run(ctx, theirs, 2)
	if err != nil {
		return 0, fmt.Errorf("DuckDB: %w", err)
	}
	var result done
	if err := json.Unmarshal(printed, &result); err != nil {
		return 0, err
	}
	lines, err := sameTotals(ours, result.Totals)
	if err != nil {
		return 0, err
	}
	revision := filepath.Join(ours, "bucket", "invoices", "*", "*", "*")
	for _, c := range []struct{ what, ours, theirs string }{
		{"CSV", "read_csv(" + quoted(filepath.Join(revision, "reconciliation.csv")) + ", all_varchar = true, header = true, hive_partitioning = false)",
			"read_csv(" + quoted(filepath.Join(theirs, "reconciliation.csv")) + ", all_varchar = true, header = true)"},
		{"Parquet", "(SELECT " + typed + " FROM read_parquet(" + quoted(filepath.Join(revision, "reconciliation.parquet")) + ", hive_partitioning = false, union_by_name = true))", // decimals differ from file to file
			"(SELECT " + typed + " FROM read_parquet(" + quoted(filepath.Join(theirs, "reconciliation.parquet")) + "))"},
	} {
		if err := sameRows(ctx, c.what, c.ours, c.theirs, lines); err != nil {
			return 0, err
		}
	}
	for _, dir := range []string{ours, theirs} {
		if err := os.RemoveAll(dir); err != nil {
			return 0, err
		}
	}
	return lines, nil
}

// typed makes numbers of one kind of both files' amounts; blank text is none.
const typed = `* REPLACE (Subtotal::DECIMAL(18,3) AS Subtotal, TaxTotal::DECIMAL(18,3) AS TaxTotal, Total::DECIMAL(18,3) AS Total, Quantity::DECIMAL(18,6) AS Quantity,
	BillableQuantity::DECIMAL(18,6) AS BillableQuantity, nullif(InvoiceNumber, '') AS InvoiceNumber, nullif(ResellerMpnId, '') AS ResellerMpnId,
	nullif(PriceAdjustmentDescription, '') AS PriceAdjustmentDescription, nullif(PublisherId, '') AS PublisherId, nullif(AlternateId, '') AS AlternateId,
	nullif(BillingFrequency, '') AS BillingFrequency, nullif(MeterDescription, '') AS MeterDescription, nullif(ReservationOrderId, '') AS ReservationOrderId,
	nullif(CreditReasonCode, '') AS CreditReasonCode, nullif(ProductQualifiers, '') AS ProductQualifiers, nullif(PromotionId, '') AS PromotionId)`

// sameRows compares two relations as sets with repetitions.
func sameRows(ctx context.Context, what, ours, theirs string, lines int) error {
	db, err := sql.Open("duckdb", "")
	if err != nil {
		return err
	}
	defer db.Close()
	var n, onlyOurs, onlyTheirs, columns int
	row := db.QueryRowContext(ctx, fmt.Sprintf(`SELECT (SELECT count(*) FROM %[1]s), (SELECT count(*) FROM (SELECT * FROM %[1]s EXCEPT ALL SELECT * FROM %[2]s)),
		(SELECT count(*) FROM (SELECT * FROM %[2]s EXCEPT ALL SELECT * FROM %[1]s)), (SELECT count(*) FROM (DESCRIBE SELECT * FROM %[1]s))`, ours, theirs))
	if err := row.Scan(&n, &onlyOurs, &onlyTheirs, &columns); err != nil {
		return fmt.Errorf("compare %s: %w", what, err)
	}
	if n != lines || columns != 46 || onlyOurs+onlyTheirs > 0 {
		return fmt.Errorf("%s: %d rows of %d columns, want %d of 46; %d rows only calends has, %d only DuckDB", what, n, columns, lines, onlyOurs, onlyTheirs)
	}
	return nil
}

// sameTotals compares DuckDB's totals with those of the manifest.
func sameTotals(dir string, totals []total) (lines int, err error) {
	names, err := filepath.Glob(filepath.Join(dir, "bucket", "invoices", "*", "*", "manifest.json"))
	if err != nil || len(names) != 1 {
		return 0, fmt.Errorf("%d manifests, want one: %w", len(names), err)
	}
	var manifest struct {
		Invoices []struct {
			PartnerID, Currency       string
			Lines                     int64
			Subtotal, TaxTotal, Total string
		}
	}
	if err := readJSON(names[0], &manifest); err != nil {
		return 0, err
	}
	if len(manifest.Invoices) != len(totals) {
		return 0, fmt.Errorf("calends has %d invoices, DuckDB %d", len(manifest.Invoices), len(totals))
	}
	units := func(amount string) int64 {
		n, parse := strconv.ParseInt(strings.Replace(amount, ".", "", 1), 10, 64)
		if parse != nil {
			err = fmt.Errorf("amount %q: %w", amount, parse)
		}
		return n
	}
	for i, inv := range manifest.Invoices { // both are in the order of the ids
		ours := total{inv.PartnerID, inv.Currency, inv.Lines, units(inv.Subtotal), units(inv.TaxTotal), units(inv.Total)}
		if err != nil {
			return 0, err
		}
		if ours != totals[i] {
			return 0, fmt.Errorf("totals: calends has %+v, DuckDB %+v", ours, totals[i])
		}
		lines += int(inv.Lines)
	}
	return lines, nil
}
