package web

import (
	"bytes"
	"context"
	"crypto/md5" // only to compare with the sum of a server that has nothing better
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"mime"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

// Downloaded is what a download brought.
type Downloaded struct {
	Size   int64
	SHA256 string // of the bytes as they came
	ETag   string
	// Encoding is the answer's Content-Encoding; Unpack wants it.
	Encoding string
	// FileName is what the server calls the file, or blank.
	FileName string
	Header   http.Header
}

// MaxDownload is the size of a download, unless its limit says otherwise.
const MaxDownload = 16 << 30

// Download writes an answer into a file, as its bytes come, and checks it against
// the length and the MD5 that the server gave. limit is its largest size; 0 is
// MaxDownload.
//
// A download that breaks off goes on where it was if the server can do that for
// the same content, and from the start if it cannot. After an error the file
// holds nothing of use.
func (c *Client) Download(ctx context.Context, r Request, to *os.File, limit int64) (Downloaded, error) {
	d := &download{file: to, limit: limit, progress: r.Progress, total: -1}
	if d.limit <= 0 {
		d.limit = MaxDownload
	}
	if err := d.restart(); err != nil {
		return Downloaded{}, named(r, err)
	}
	err := c.try(ctx, r, func(ctx context.Context, t try) error {
		ctx, alive := c.watch(ctx)
		defer alive.stop()
		if t.header.Get("Accept-Encoding") == "" {
			t.header.Set("Accept-Encoding", "identity")
		}
		d.goOn(t.header)
		res, err := c.send(ctx, r, t)
		if errors.Is(err, errRange) {
			if restart := d.restart(); restart != nil {
				return restart
			}
			return fmt.Errorf("%w: the rest cannot be had: %w", ErrIncomplete, err)
		}
		if err != nil {
			return alive.why(err)
		}
		defer res.Body.Close()
		return alive.why(d.take(res, alive))
	})
	if err != nil {
		return Downloaded{}, err
	}
	return d.result(), nil
}

// download is a file on its way.
type download struct {
	file     *os.File
	limit    int64
	progress func(done, total int64)

	size    int64 // bytes written
	total   int64 // what there will be; -1: unknown
	sum     hash.Hash
	md5     hash.Hash
	wantMD5 []byte
	etag    string
	resume  string // what names the same content for If-Range; blank: it cannot go on
	header  http.Header
}

// restart forgets what came.
func (d *download) restart() error {
	d.size, d.total, d.sum, d.md5, d.wantMD5, d.etag, d.resume = 0, -1, sha256.New(), md5.New(), nil, "", ""
	if err := d.file.Truncate(0); err != nil {
		return fmt.Errorf("empty a file: %w", err)
	}
	if _, err := d.file.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("empty a file: %w", err)
	}
	return nil
}

// goOn asks for the rest.
func (d *download) goOn(h http.Header) {
	if d.size > 0 && d.resume != "" {
		h.Set("Range", fmt.Sprintf("bytes=%d-", d.size))
		h.Set("If-Range", d.resume)
		h.Del("If-None-Match") // it is known to be new
	}
}

// take writes what an answer brings behind what there is.
func (d *download) take(res *http.Response, alive *watch) error {
	if res.StatusCode == http.StatusPartialContent && d.continues(res) {
		if sum := decodeMD5(res.Header.Get("X-Ms-Blob-Content-Md5")); sum != nil {
			d.wantMD5 = sum
		}
	} else {
		asked := d.size > 0
		if err := d.restart(); err != nil {
			return err
		}
		if res.StatusCode == http.StatusPartialContent {
			return fmt.Errorf("%w: other bytes came than were asked for: %s (asked to go on: %t)", ErrIncomplete, clip(res.Header.Get("Content-Range"), 60), asked)
		}
		d.begin(res)
	}
	d.header = res.Header
	if err := d.copy(res, alive); err != nil {
		return err
	}
	return d.check()
}

// begin notes what an answer from the start says of the whole.
func (d *download) begin(res *http.Response) {
	d.total = res.ContentLength
	d.etag = res.Header.Get("ETag")
	d.wantMD5 = decodeMD5(firstOf(res.Header.Get("Content-Md5"), res.Header.Get("X-Ms-Blob-Content-Md5")))
	switch {
	case strings.EqualFold(res.Header.Get("Accept-Ranges"), "none"):
	case d.etag != "" && !strings.HasPrefix(d.etag, "W/"):
		d.resume = d.etag
	default:
		d.resume = oldEnough(res.Header)
	}
}

// oldEnough is the date of a content that cannot have changed within it: a date
// names a content only if it lies well before the answer's own.
func oldEnough(h http.Header) string {
	modified, err := http.ParseTime(h.Get("Last-Modified"))
	if err != nil {
		return ""
	}
	sent, err := http.ParseTime(h.Get("Date"))
	if err != nil || sent.Sub(modified) < time.Minute {
		return ""
	}
	return h.Get("Last-Modified")
}

// continues reports whether an answer is the rest of what there is.
func (d *download) continues(res *http.Response) bool {
	if d.size == 0 {
		return false
	}
	rest, ok := strings.CutPrefix(res.Header.Get("Content-Range"), "bytes ")
	if !ok {
		return false
	}
	span, whole, _ := strings.Cut(rest, "/")
	first, _, _ := strings.Cut(span, "-")
	from, err := strconv.ParseInt(strings.TrimSpace(first), 10, 64)
	if err != nil || from != d.size {
		return false
	}
	if total, err := strconv.ParseInt(strings.TrimSpace(whole), 10, 64); err == nil {
		if d.total >= 0 && total != d.total {
			return false
		}
		d.total = total
	}
	etag := res.Header.Get("ETag")
	return etag == "" || d.etag == "" || etag == d.etag
}

func (d *download) copy(res *http.Response, alive *watch) error {
	buf := make([]byte, 128<<10)
	for {
		n, err := res.Body.Read(buf)
		if n > 0 {
			alive.beat()
			if d.size+int64(n) > d.limit {
				return fmt.Errorf("%w: more than %d bytes", ErrTooLarge, d.limit)
			}
			if _, err := d.file.WriteAt(buf[:n], d.size); err != nil {
				return fmt.Errorf("write a file: %w", err)
			}
			d.size += int64(n)
			d.sum.Write(buf[:n])
			d.md5.Write(buf[:n])
			if d.progress != nil {
				d.progress(d.size, d.total)
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("%w after %d bytes: %w", ErrIncomplete, d.size, err)
		}
	}
}

// check compares what came with what was promised.
func (d *download) check() error {
	switch {
	case d.total >= 0 && d.size < d.total:
		return fmt.Errorf("%w: %d of %d bytes", ErrIncomplete, d.size, d.total)
	case d.total >= 0 && d.size > d.total, d.wantMD5 != nil && !bytes.Equal(d.md5.Sum(nil), d.wantMD5):
		size := d.size
		if err := d.restart(); err != nil {
			return err
		}
		return fmt.Errorf("%w: its %d bytes are not those that the server promised", ErrIncomplete, size)
	case d.size == 0:
		return fmt.Errorf("%w: it is empty", ErrNotData)
	}
	return nil
}

func (d *download) result() Downloaded {
	out := Downloaded{Size: d.size, SHA256: hex.EncodeToString(d.sum.Sum(nil)), ETag: d.etag, Encoding: d.header.Get("Content-Encoding"), Header: d.header}
	if _, params, err := mime.ParseMediaType(d.header.Get("Content-Disposition")); err == nil {
		out.FileName = params["filename"]
	}
	return out
}

func decodeMD5(text string) []byte {
	sum, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(sum) != md5.Size {
		return nil
	}
	return sum
}

// watch ends an answer that has fallen silent.
type watch struct {
	timer   *time.Timer
	timeout time.Duration
	cancel  context.CancelCauseFunc
	ctx     context.Context
}

func (c *Client) watch(ctx context.Context) (context.Context, *watch) {
	ctx, cancel := context.WithCancelCause(ctx)
	w := &watch{timeout: c.o.Timeout, cancel: cancel, ctx: ctx}
	w.timer = time.AfterFunc(w.timeout, func() { cancel(fmt.Errorf("%w: silent for %s", ErrIncomplete, w.timeout)) })
	return ctx, w
}

func (w *watch) beat() { w.timer.Reset(w.timeout) }

func (w *watch) stop() {
	w.timer.Stop()
	w.cancel(nil)
}

// why names the silence where that was the cause.
func (w *watch) why(err error) error {
	if cause := context.Cause(w.ctx); err != nil && errors.Is(cause, ErrIncomplete) {
		return cause
	}
	return err
}
