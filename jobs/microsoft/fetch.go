package microsoft

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/calends/calends/jobs/microsoft/web"
	"github.com/calends/calends/pricing"
)

// ErrNotPublished is what Microsoft does not have yet, such as next month's prices
// where they will not change.
var ErrNotPublished = errors.New("not published yet")

// Want says what of a source is wanted, and where to put it.
type Want struct {
	Month pricing.Month
	Today pricing.Date // the day of the run: which months are history, current and future
	// ETag is that of what is there already: the same content again is
	// web.ErrNotModified. Blank: nothing is there.
	ETag string
	// Dir is the folder that the file is put into, in a folder of its month.
	Dir string
	// Progress is told of the bytes as they arrive; it may be nil.
	Progress func(done, total int64)
}

// Fetched is a file that was fetched, unpacked and found to be what was asked for.
type Fetched struct {
	Name   string // in a form that ingest understands, such as 2026-10/DE.csv
	Path   string // where it lies
	Month  pricing.Month
	Rows   int    // of a table, or the elements of a list
	Size   int64  // unpacked, as is SHA256: how Microsoft packs it may change
	SHA256 string // in hex
	ETag   string // blank: Microsoft gave none
}

// Open opens the file.
func (f Fetched) Open() (io.ReadCloser, error) { return os.Open(f.Path) }

const (
	// maxFile is the size of a reference file that ingest takes, unpacked.
	maxFile = 1 << 30
	// fetchAttempts are made at a file that turns out to be cut off only when it is
	// read.
	fetchAttempts = 3
)

// fetch gets a file of the price service, and has its content checked: the check
// returns the number of rows. Nothing is left behind but a good file.
func (c *Client) fetch(ctx context.Context, path, name string, w Want, check func(io.Reader) (int, error)) (f Fetched, err error) {
	r := c.prices(path)
	r.Progress = w.Progress
	// What comes then is a zip, a fifth of the size.
	r.Header = map[string][]string{"Accept-Encoding": {"deflate"}}
	if w.ETag != "" {
		r.Header.Set("If-None-Match", w.ETag)
	}
	for n := 1; ; n++ {
		f, err = c.fetchOnce(ctx, r, name, w, check)
		if err == nil || n == fetchAttempts || !errors.Is(err, errCut) {
			break
		}
		if err := c.Web.Wait(ctx, time.Second<<n); err != nil {
			return Fetched{}, err
		}
	}
	if err != nil {
		return Fetched{}, fmt.Errorf("fetch %s: %w", name, err)
	}
	return f, nil
}

// errCut is a file that came in whole as far as anybody could tell, and is not.
var errCut = errors.New("the file is cut off")

func (c *Client) fetchOnce(ctx context.Context, r web.Request, name string, w Want, check func(io.Reader) (int, error)) (_ Fetched, err error) {
	raw, err := os.CreateTemp(w.Dir, ".fetch-*")
	if err != nil {
		return Fetched{}, err
	}
	defer func() { err = errors.Join(err, raw.Close(), os.Remove(raw.Name())) }()
	got, err := c.Web.Download(ctx, r, raw, maxFile)
	if errors.Is(err, web.ErrNotModified) && w.ETag == "" {
		return Fetched{}, fmt.Errorf("%w: it is said not to have changed, and nothing is here", web.ErrNotData)
	}
	if err != nil {
		return Fetched{}, err
	}
	src, err := web.Unpack(raw, got.Size, got.Encoding)
	if err != nil {
		return Fetched{}, cut(err)
	}
	f, err := keep(src, name, w, check)
	if err = errors.Join(err, src.Close()); err != nil {
		return Fetched{}, cut(err)
	}
	f.ETag = got.ETag
	return f, nil
}

func cut(err error) error {
	if errors.Is(err, web.ErrIncomplete) {
		return fmt.Errorf("%w: %w", errCut, err)
	}
	return err
}

// keep writes content to its place, once it is there in whole and checked.
func keep(src io.Reader, name string, w Want, check func(io.Reader) (int, error)) (f Fetched, err error) {
	part, err := os.CreateTemp(w.Dir, ".keep-*")
	if err != nil {
		return Fetched{}, err
	}
	defer func() {
		err = errors.Join(err, part.Close())
		if remove := os.Remove(part.Name()); !errors.Is(remove, fs.ErrNotExist) {
			err = errors.Join(err, remove) // it was not renamed
		}
	}()
	f = Fetched{Name: name, Path: filepath.Join(w.Dir, filepath.FromSlash(name)), Month: w.Month}
	sum := sha256.New()
	if f.Size, err = io.Copy(io.MultiWriter(part, sum), io.LimitReader(src, maxFile+1)); err != nil {
		return Fetched{}, err
	}
	if f.Size > maxFile {
		return Fetched{}, fmt.Errorf("%w: more than %d bytes once unpacked", web.ErrTooLarge, maxFile)
	}
	f.SHA256 = hex.EncodeToString(sum.Sum(nil))
	if _, err = part.Seek(0, io.SeekStart); err != nil {
		return Fetched{}, err
	}
	content := bufio.NewReaderSize(part, 64<<10)
	head, _ := content.Peek(4 << 10)
	if filepath.Ext(name) == ".csv" {
		if err := web.CheckHead(head); err != nil {
			return Fetched{}, err
		}
	}
	if f.Rows, err = check(content); err != nil {
		return Fetched{}, err
	}
	if err := os.MkdirAll(filepath.Dir(f.Path), 0o755); err != nil {
		return Fetched{}, err
	}
	return f, os.Rename(part.Name(), f.Path)
}
