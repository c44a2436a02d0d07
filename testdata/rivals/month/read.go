package main

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
)

// fromJSON has the fields of a change as JSON Lines have them; the rest of data is
// not in a simple world.
const fromJSON = `SELECT specversion, id, source, type, "time"::TIMESTAMPTZ AS "time", subject, data.customerId AS customerId, data.quantity AS quantity
	FROM read_json(%s, format = 'newline_delimited', columns = {specversion: 'VARCHAR', id: 'VARCHAR', source: 'VARCHAR', type: 'VARCHAR', "time": 'VARCHAR',
		subject: 'VARCHAR', data: 'STRUCT(customerId VARCHAR, quantity BIGINT)'})`

// read takes changes in: JSON Lines or flat Parquet, sorted, as Parquet.
func (j job) read(ctx context.Context) (done, error) {
	db, err := sql.Open("duckdb", "")
	if err != nil {
		return done{}, err
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	rows := fmt.Sprintf(fromJSON, quoted(j.Read))
	if filepath.Ext(j.Read) == ".parquet" {
		rows = "FROM read_parquet(" + quoted(j.Read) + ")"
	}
	_, err = db.ExecContext(ctx, fmt.Sprintf(`SET threads = %d; COPY (FROM (%s) ORDER BY customerId, "time", id) TO %s (FORMAT parquet, COMPRESSION zstd)`,
		j.Threads, rows, quoted(filepath.Join(j.Out, "changes.parquet"))))
	if err != nil {
		return done{}, err
	}
	memory, err := peakMemory()
	return done{PeakMemory: memory}, err
}

// flatten writes JSON Lines as flat Parquet, for both to read, and counts.
func flatten(ctx context.Context, from, to string) (rows int64, err error) {
	db, err := sql.Open("duckdb", "")
	if err != nil {
		return 0, err
	}
	defer db.Close()
	result, err := db.ExecContext(ctx, fmt.Sprintf("COPY (%s) TO %s (FORMAT parquet, COMPRESSION zstd)", fmt.Sprintf(fromJSON, quoted(from)), quoted(to)))
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}
