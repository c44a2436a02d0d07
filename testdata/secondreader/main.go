// Command secondreader opens every reconciliation.parquet below a folder with
// DuckDB, a reader that shares no code with the one that wrote it, and compares
// it with the reconciliation.csv beside it:
//
//   - names and types of the columns, and every field of every row
//   - the sum of every column of numbers
//   - counts under filters, which DuckDB answers by skipping row groups whose
//     statistics rule them out: wrong statistics lose rows
//
// It says what it read and fails at the first difference.
package main

import (
	"database/sql"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	_ "github.com/duckdb/duckdb-go/v2"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: secondreader DIR")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "secondreader:", err)
		os.Exit(1)
	}
}

func run(root string) error {
	db, err := sql.Open("duckdb", "")
	if err != nil {
		return err
	}
	defer db.Close()
	// One connection: its views are its own.
	db.SetMaxOpenConns(1)
	pairs := 0
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Name() != "reconciliation.parquet" {
			return err
		}
		pairs++
		rows, err := check(db, path, filepath.Join(filepath.Dir(path), "reconciliation.csv"))
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		fmt.Printf("%s: %d rows agree\n", path, rows)
		return nil
	})
	if err == nil && pairs == 0 {
		err = fmt.Errorf("no reconciliation.parquet below %s", root)
	}
	return err
}

// check compares one pair of files and returns the number of their rows.
func check(db *sql.DB, parquet, csv string) (rows int64, err error) {
	quoted := func(path string) string { return "'" + strings.ReplaceAll(path, "'", "''") + "'" }
	for _, q := range []string{
		"CREATE OR REPLACE VIEW p AS SELECT * FROM read_parquet(" + quoted(parquet) + ")",
		// Every field as text, as it stands in the file; blank is text, not null.
		`CREATE OR REPLACE TABLE c AS SELECT * FROM read_csv(` + quoted(csv) + `, all_varchar = true, header = true,
			delim = ',', quote = '"', escape = '"', auto_detect = false, columns = ` + csvColumns(csv) + `,
			nullstr = '<never>', max_line_size = 10000000, parallel = false)`,
		// What is in the Parquet file when no filter skips any of it.
		"CREATE OR REPLACE TABLE m AS SELECT * FROM p",
	} {
		if _, err := db.Exec(q); err != nil {
			return 0, err
		}
	}
	columns, err := describe(db)
	if err != nil {
		return 0, err
	}
	if rows, err = one(db, "SELECT count(*) FROM c"); err != nil {
		return 0, err
	}
	if err := agree(db, "rows", "SELECT count(*) FROM p", "SELECT count(*) FROM c"); err != nil {
		return 0, err
	}
	if rows == 0 {
		return 0, nil
	}
	for _, c := range columns {
		if err := c.compare(db); err != nil {
			return 0, fmt.Errorf("column %s: %w", c.name, err)
		}
	}
	return rows, nil
}

// csvColumns is the header of the file as DuckDB wants to be told it.
func csvColumns(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return "{}" // DuckDB reports that there is no file
	}
	header, _, _ := strings.Cut(string(b), "\r\n")
	names := strings.Split(header, ",")
	for i, name := range names {
		names[i] = fmt.Sprintf("'%s': 'VARCHAR'", name)
	}
	return "{" + strings.Join(names, ", ") + "}"
}

// column is one column of both files.
type column struct {
	name string
	kind string // DuckDB's type of it in the Parquet file
}

// describe returns the columns, names and types checked.
func describe(db *sql.DB) ([]column, error) {
	amount, err := amountType(db)
	if err != nil {
		return nil, err
	}
	names, err := strs(db, "SELECT column_name FROM (DESCRIBE c)")
	if err != nil {
		return nil, err
	}
	found, err := strs(db, "SELECT column_name || ' ' || column_type FROM (DESCRIBE p)")
	if err != nil {
		return nil, err
	}
	var columns []column
	var want []string
	for _, name := range names {
		c := column{name, "VARCHAR"}
		switch name {
		case "Subtotal", "TaxTotal", "Total":
			c.kind = amount
		case "UnitPrice", "EffectiveUnitPrice", "Quantity", "BillableQuantity":
			c.kind = "DECIMAL(18,6)"
		case "PCToBCExchangeRate":
			c.kind = "DECIMAL(18,9)"
		case "OrderDate", "ChargeStartDate", "ChargeEndDate", "PCToBCExchangeRateDate", "SubscriptionStartDate", "SubscriptionEndDate":
			c.kind = "DATE"
		}
		columns = append(columns, c)
		want = append(want, name+" "+c.kind)
	}
	if got, want := strings.Join(found, "\n"), strings.Join(want, "\n"); got != want {
		return nil, fmt.Errorf("columns are\n%s\nwant\n%s", got, want)
	}
	return columns, nil
}

// amountType has the decimals that the amounts of the CSV have. A file without
// rows does not say; the one of the Parquet file is taken.
func amountType(db *sql.DB) (string, error) {
	const digits = `SELECT DISTINCT 'DECIMAL(18,' || CASE WHEN contains(Total, '.') THEN length(split_part(Total, '.', 2)) ELSE 0 END || ')' FROM c`
	kinds, err := strs(db, digits)
	if err == nil && len(kinds) == 0 {
		kinds, err = strs(db, "SELECT column_type FROM (DESCRIBE p) WHERE column_name = 'Total'")
	}
	if err != nil {
		return "", err
	}
	if len(kinds) != 1 {
		return "", fmt.Errorf("amounts of the CSV have different decimals: %s", kinds)
	}
	return kinds[0], nil
}

// compare checks every field of the column, its sum, and counts under filters.
func (c column) compare(db *sql.DB) error {
	m, csv := fmt.Sprintf(`m.%q`, c.name), fmt.Sprintf(`c.%q`, c.name)
	same := m + " = " + csv
	switch {
	case c.kind == "DATE":
		same = fmt.Sprintf("coalesce(%s::VARCHAR, '') = %s", m, csv)
	case c.rounded():
		// To half a unit of the last place, exactly.
		same = fmt.Sprintf("CASE WHEN %s = '' THEN %s IS NULL ELSE abs(%s::DECIMAL(38,18) - %s::DECIMAL(38,18)) <= %s END",
			csv, m, m, csv, map[string]string{"DECIMAL(18,6)": "0.0000005", "DECIMAL(18,9)": "0.0000000005"}[c.kind])
	case c.kind != "VARCHAR":
		same = fmt.Sprintf("%s::VARCHAR = %s", m, csv)
	}
	if err := agree(db, "fields that agree", "SELECT count(*) FROM m POSITIONAL JOIN c WHERE "+same, "SELECT count(*) FROM c"); err != nil {
		return err
	}
	if c.amount() {
		sum := "SELECT sum(%s::" + c.kind + ")::VARCHAR FROM %s"
		if err := agree(db, "sum", fmt.Sprintf(sum, m, "m"), fmt.Sprintf(sum, csv, "c")); err != nil {
			return err
		}
	}
	return c.filters(db, m)
}

// amount says whether the Parquet file has exactly the number of the CSV.
func (c column) amount() bool { return strings.HasPrefix(c.kind, "DECIMAL") && !c.rounded() }

// rounded says whether the CSV may have more decimals than the Parquet file.
func (c column) rounded() bool { return c.kind == "DECIMAL(18,6)" || c.kind == "DECIMAL(18,9)" }

// filters counts rows under filters, in the file and in its unfiltered copy.
func (c column) filters(db *sql.DB, m string) error {
	count := func(table, condition string) string {
		return fmt.Sprintf("SELECT count(*) FROM %s WHERE %q %s", table, c.name, condition)
	}
	if strings.HasPrefix(c.kind, "DECIMAL") {
		for _, condition := range []string{"< 0", "> 0", "= 0", "< 1", "> -1"} {
			if err := agree(db, "rows "+condition, count("p", condition), count("m", condition)); err != nil {
				return err
			}
		}
	}
	values, err := strs(db, fmt.Sprintf(`SELECT DISTINCT v::VARCHAR FROM (SELECT unnest([min(%s), max(%s)]) AS v FROM m
		UNION ALL SELECT %s FROM m WHERE rowid %% 50000 = 7) WHERE v IS NOT NULL`, m, m, m))
	if err != nil {
		return err
	}
	condition := "= ?::" + c.kind
	for _, v := range values {
		if err := agree(db, "rows of "+v, count("p", condition), count("m", condition), v); err != nil {
			return err
		}
	}
	return nil
}

// agree runs two queries of one value and compares the values.
func agree(db *sql.DB, what, parquet, csv string, args ...any) error {
	var got, want sql.NullString
	if err := db.QueryRow(parquet, args...).Scan(&got); err != nil {
		return fmt.Errorf("%s: %w", parquet, err)
	}
	if err := db.QueryRow(csv, args...).Scan(&want); err != nil {
		return fmt.Errorf("%s: %w", csv, err)
	}
	if got != want {
		return fmt.Errorf("%s: Parquet has %q, CSV has %q", what, got.String, want.String)
	}
	return nil
}

func one(db *sql.DB, query string) (n int64, err error) {
	if err := db.QueryRow(query).Scan(&n); err != nil {
		return 0, fmt.Errorf("%s: %w", query, err)
	}
	return n, nil
}

func strs(db *sql.DB, query string) (all []string, err error) {
	rows, err := db.Query(query)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", query, err)
	}
	defer rows.Close()
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return nil, fmt.Errorf("%s: %w", query, err)
		}
		all = append(all, s)
	}
	return all, rows.Err()
}
