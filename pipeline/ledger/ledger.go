// Package ledger keeps what has come in and what was issued, as immutable
// objects in a bucket.
//
//	ledger/inputs/00000007.json      one input: what it was, its hash, its data objects
//	ledger/data/<sha256>.parquet     rows of an input, named by their own hash
//	invoices/month=2026-10/revision=0003/manifest.json   see [Manifest]
//
// An input is there once its JSON is; data objects that no input or manifest
// names do not count. The number of an input is the order of taking in: later
// partners, customers, rates, promotions and offers supersede earlier ones of
// the same key, later price sheets those of the same market and month. Changes
// are kept sorted by customer, time and id, in runs that are merged when read.
package ledger

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/parquet-go/parquet-go"

	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pricing"
)

// Kind says what an input is.
type Kind string

// The kinds of inputs.
const (
	Partners   Kind = "partners"
	Customers  Kind = "customers"
	Prices     Kind = "prices"
	Software   Kind = "software prices"
	Rates      Kind = "fx"
	Promotions Kind = "promotions"
	Offers     Kind = "offers"
	Changes    Kind = "changes"
	Charges    Kind = "charges"
)

// Input is one file that was taken in.
type Input struct {
	Layout  int      `json:"layout,omitempty"` // [Layout] when it was written
	Number  int64    `json:"number"`
	Kind    Kind     `json:"kind"`
	Name    string   `json:"name"`            // the file's name, without its folders
	SHA256  string   `json:"sha256"`          // of the content, decompressed
	Month   string   `json:"month,omitempty"` // of price sheets and charges
	Records int64    `json:"records"`
	Refused int64    `json:"refused,omitempty"`
	Objects []Object `json:"objects"`
	// Documents are the invoices whose charges it has.
	Documents []Document `json:"documents,omitempty"`
	// Accepted is the reason for which it was taken in although it looked broken.
	Accepted string `json:"accepted,omitempty"`
}

// Document is an invoice of whoever rated charges; Number may be blank.
type Document struct {
	PartnerID string `json:"partnerId"`
	Number    string `json:"number,omitempty"`
}

// Object is a data object of an input or a close.
type Object struct {
	Key     string `json:"key"`
	SHA256  string `json:"sha256"`
	Size    int64  `json:"size"`
	Records int64  `json:"records"`
	Market  string `json:"market,omitempty"` // of a price sheet
	// Month is the one of all changes in it; Overrides is set when some of them
	// are overrides, which earlier months want to know.
	Month     string `json:"month,omitempty"`
	Overrides bool   `json:"overrides,omitempty"`
}

// Ledger reads and writes a bucket's ledger.
type Ledger struct {
	Bucket bucket.Bucket
}

const inputsPrefix = "ledger/inputs/"

func inputKey(number int64) string { return fmt.Sprintf("%s%08d.json", inputsPrefix, number) }

// Inputs returns all inputs in the order of taking in. A listing may be behind what
// is there, so the numbers after the last are asked for by their keys.
func (l Ledger) Inputs(ctx context.Context) ([]Input, error) {
	var keys []string
	for info, err := range l.Bucket.List(ctx, inputsPrefix) {
		if err != nil {
			return nil, fmt.Errorf("list inputs: %w", err)
		}
		keys = append(keys, info.Key)
	}
	inputs, err := readAll(ctx, l.Bucket, keys, func(key string, in Input) error { return checkLayout(key, in.Layout) })
	if err != nil {
		return nil, err
	}
	for i, in := range inputs {
		if want := int64(i) + 1; in.Number != want || inputKey(want) != keys[i] {
			return nil, fmt.Errorf("read %s: input %d where %d should stand: the ledger has a gap", keys[i], in.Number, want)
		}
	}
	return l.InputsSince(ctx, inputs)
}

// InputsSince returns the inputs that are known, and those that have come after them.
func (l Ledger) InputsSince(ctx context.Context, known []Input) ([]Input, error) {
	inputs := known[:len(known):len(known)]
	for {
		in, err := l.input(ctx, inputKey(int64(len(inputs))+1))
		if errors.Is(err, bucket.ErrNotExist) {
			return inputs, nil
		}
		if err != nil {
			return nil, err
		}
		inputs = append(inputs, in)
	}
}

func (l Ledger) input(ctx context.Context, key string) (in Input, err error) {
	if err := readJSON(ctx, l.Bucket, key, &in); err != nil {
		return in, err
	}
	return in, checkLayout(key, in.Layout)
}

// HasInputs reports whether anything was taken in.
func (l Ledger) HasInputs(ctx context.Context) (bool, error) {
	for _, err := range l.Bucket.List(ctx, inputsPrefix) {
		return err == nil, err
	}
	return false, nil
}

// Append makes an input visible: it was the last write. The caller holds the
// bucket's lock and gives the next free number.
func (l Ledger) Append(ctx context.Context, in Input) error {
	in.Layout = Layout
	return putJSON(ctx, l.Bucket, inputKey(in.Number), in)
}

// Data writes a data object under its own hash. Writing the same again changes nothing.
func (l Ledger) Data(ctx context.Context, extension string, data []byte, records int64) (Object, error) {
	sum := sha256.Sum256(data)
	name := hex.EncodeToString(sum[:])
	o := Object{Key: "ledger/data/" + name + "." + extension, SHA256: name, Size: int64(len(data)), Records: records}
	return o, bucket.PutSame(ctx, l.Bucket, o.Key, data)
}

// write keeps rows as a Parquet object.
func write[Row any](ctx context.Context, l Ledger, rows []Row) (Object, error) {
	data, err := encode(rows)
	if err != nil {
		return Object{}, err
	}
	return l.Data(ctx, "parquet", data, int64(len(rows)))
}

// encode makes a Parquet file of rows.
func encode[Row any](rows []Row) ([]byte, error) {
	var buffer bytes.Buffer
	w := parquet.NewGenericWriter[Row](&buffer, parquet.Compression(&parquet.Zstd), parquet.MaxRowsPerRowGroup(rowGroup),
		parquet.PageBufferSize(pageSize), parquet.CreatedBy("calends", "1", ""))
	if _, err := w.Write(rows); err != nil {
		return nil, fmt.Errorf("encode %d rows: %w", len(rows), err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("encode %d rows: %w", len(rows), err)
	}
	return buffer.Bytes(), nil
}

// createdBy is constant: the version that wrote an object stands in its manifest.
const createdBy = "calends version 1(build )"

// rowGroup bounds what a reader must hold at a time.
const rowGroup = 131_072

// pageSize bounds what must be decoded to find one customer, in bytes.
const pageSize = 16 << 10

// read yields the rows of a Parquet object in batches. The batch is reused;
// the strings in it are not.
func read[Row any](ctx context.Context, l Ledger, o Object, each func([]Row) error) (err error) {
	object, err := l.Bucket.Open(ctx, o.Key)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, object.Close()) }()
	r, err := newRowReader[Row](o, object)
	if err != nil {
		return err
	}
	defer r.close()
	batch := make([]Row, min(1024, max(1, r.left)))
	for {
		n, readErr := r.read(batch)
		if n > 0 {
			if err := each(batch[:n]); err != nil {
				return err
			}
		}
		if errors.Is(readErr, io.EOF) {
			return nil
		}
		if readErr != nil {
			return readErr
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

// atOnce is how many small objects are read at a time: a store far away answers
// many questions as fast as one.
const atOnce = 16

// readAll reads small JSON objects, in the order of their keys. Of several
// failures it returns the first in that order.
func readAll[T any](ctx context.Context, b bucket.Bucket, keys []string, check func(string, T) error) ([]T, error) {
	var values []T
	for _, f := range readRecords(ctx, b, atOnce, keys, check) {
		if f.Err != nil {
			return nil, f.Err
		}
		values = append(values, f.Value)
	}
	return values, nil
}

func readJSON(ctx context.Context, b bucket.Bucket, key string, into any) error {
	data, err := bucket.ReadAll(ctx, b, key)
	if err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(data))
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("read %s: %w", key, err)
	}
	return nil
}

func putJSON(ctx context.Context, b bucket.Bucket, key string, value any) error {
	data, err := encodeJSON(value)
	if err != nil {
		return fmt.Errorf("write %s: %w", key, err)
	}
	return bucket.PutSame(ctx, b, key, data)
}

func encodeJSON(value any) ([]byte, error) {
	var buffer bytes.Buffer
	e := json.NewEncoder(&buffer)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(value)
	return buffer.Bytes(), err
}

// version is what an input brought for a key.
type version[T any] struct {
	input int64
	value T
}

// versions are in the order of taking in.
type versions[T any] []version[T]

// at returns what held after the first n inputs.
func (v versions[T]) at(n int64) (T, bool) {
	i, found := slices.BinarySearchFunc(v, n, func(e version[T], n int64) int { return int(e.input - n) })
	if !found {
		i--
	}
	if i < 0 {
		var none T
		return none, false
	}
	return v[i].value, true
}

// add keeps the later of two versions of one input.
func (v *versions[T]) add(input int64, value T) {
	if n := len(*v); n > 0 && (*v)[n-1].input == input {
		(*v)[n-1].value = value
		return
	}
	*v = append(*v, version[T]{input, value})
}

// monthOf reads a month that this package wrote.
func monthOf(s string) (pricing.Month, error) { return pricing.ParseMonth(s) }
