package web_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/calends/calends/jobs/microsoft/web"
)

// content is a file that is not the same anywhere.
var content = func() []byte {
	var b bytes.Buffer
	for i := 0; b.Len() < 300_000; i++ {
		_, _ = fmt.Fprintf(&b, "line %d\n", i)
	}
	return b.Bytes()
}()

// files serves a file of which the first answers break off after cut bytes.
type files struct {
	mu      sync.Mutex
	content []byte
	etag    string
	cuts    []int  // of the answers to come
	ranges  bool   // whether the server can go on
	change  []byte // what the file becomes after the first answer
	headers []string
	asked   []string // Range headers
}

func (f *files) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, r.Header.Get("Range"))
	for i := 0; i < len(f.headers); i += 2 {
		w.Header().Set(f.headers[i], f.headers[i+1])
	}
	if f.etag != "" {
		w.Header().Set("ETag", f.etag)
	}
	if !f.ranges {
		r.Header.Del("Range")
	}
	if len(f.cuts) > 0 {
		w = &cutter{w, f.cuts[0]}
		f.cuts = f.cuts[1:]
	}
	content := f.content
	if f.change != nil {
		f.content, f.change, f.etag = f.change, nil, `"changed"`
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
}

type cutter struct {
	http.ResponseWriter
	left int
}

func (c *cutter) Write(p []byte) (int, error) {
	if len(p) > c.left {
		_, _ = c.ResponseWriter.Write(p[:c.left])
		c.ResponseWriter.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	c.left -= len(p)
	return c.ResponseWriter.Write(p)
}

func download(t *testing.T, o web.Options, r web.Request, limit int64) (web.Downloaded, []byte, error) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "file")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	got, err := newClient(newClock(), o).Download(t.Context(), r, f, limit)
	data, readErr := os.ReadFile(name)
	if readErr != nil {
		t.Fatal(readErr)
	}
	return got, data, err
}

func sha(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func md5Of(data []byte) string {
	sum := md5.Sum(data)
	return base64.StdEncoding.EncodeToString(sum[:])
}

func TestDownload(t *testing.T) {
	t.Parallel()
	other := bytes.ToUpper(content)
	for _, tt := range []struct {
		name  string
		files *files
		asked []string
		want  []byte
	}{
		{"in one go", &files{content: content, etag: `"e"`, ranges: true}, []string{""}, content},
		{"with its MD5", &files{content: content, headers: []string{"Content-MD5", md5Of(content)}}, []string{""}, content},
		{"goes on where it was", &files{content: content, etag: `"e"`, ranges: true, cuts: []int{100_000, 50_000}}, []string{"", "bytes=100000-", "bytes=150000-"}, content},
		{"goes on, with its MD5", &files{content: content, etag: `"e"`, ranges: true, cuts: []int{100_000}, headers: []string{"X-Ms-Blob-Content-Md5", md5Of(content)}}, []string{"", "bytes=100000-"}, content},
		{"goes on by its date", &files{content: content, ranges: true, cuts: []int{100_000}, headers: []string{"Last-Modified", "Thu, 01 Oct 2026 04:00:00 GMT", "Date", "Thu, 01 Oct 2026 05:00:00 GMT"}},
			[]string{"", "bytes=100000-"}, content},
		{"a date that is too young names nothing", &files{content: content, ranges: true, cuts: []int{100_000}, headers: []string{"Last-Modified", "Thu, 01 Oct 2026 04:00:00 GMT", "Date", "Thu, 01 Oct 2026 04:00:30 GMT"}},
			[]string{"", ""}, content},
		{"from the start where nothing names the content", &files{content: content, ranges: true, cuts: []int{100_000}}, []string{"", ""}, content},
		{"from the start for a weak name", &files{content: content, etag: `W/"e"`, ranges: true, cuts: []int{100_000}}, []string{"", ""}, content},
		{"from the start where ranges are unknown", &files{content: content, etag: `"e"`, cuts: []int{100_000}}, []string{"", "bytes=100000-"}, content},
		{"from the start when the content has changed", &files{content: content, etag: `"e"`, ranges: true, cuts: []int{100_000}, change: other}, []string{"", "bytes=100000-"}, other},
		{"cut before its first byte", &files{content: content, etag: `"e"`, ranges: true, cuts: []int{0}}, []string{"", ""}, content},
		{"grown shorter than what is there", &files{content: content, etag: `"e"`, ranges: true, cuts: []int{100_000}, change: content[:10]}, []string{"", "bytes=100000-"}, content[:10]},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := tt.files
			server := serve(t, f.ServeHTTP)
			got, data, err := download(t, web.Options{}, web.Request{URL: server.URL, Scope: "s"}, 0)
			if err != nil || !bytes.Equal(data, tt.want) || got.SHA256 != sha(tt.want) || got.Size != int64(len(tt.want)) {
				t.Errorf("got %d bytes of %s, the file has %d of %s, error %v", got.Size, got.SHA256, len(data), sha(data), err)
			}
			if !slices.Equal(f.asked, tt.asked) {
				t.Errorf("asked for %q, want %q", f.asked, tt.asked)
			}
		})
	}
}

func TestDownloadRefuses(t *testing.T) {
	t.Parallel()
	short := content[:1000]
	rangesOf := func(answer string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Range") == "" {
				w.Header().Set("ETag", `"e"`)
				half(string(short))(w, r)
				return
			}
			w.Header().Set("Content-Range", answer)
			w.WriteHeader(http.StatusPartialContent)
			_, _ = w.Write(short)
		}
	}
	for _, tt := range []struct {
		name  string
		step  http.HandlerFunc
		limit int64
		class error
		says  string
	}{
		{"another MD5", text(200, string(short), "Content-MD5", md5Of(content)), 0, web.ErrIncomplete, "its 1000 bytes are not those that the server promised"},
		{"always half", half(string(short)), 0, web.ErrIncomplete, "gave up after 5 attempts"},
		{"nothing", text(200, ""), 0, web.ErrNotData, "it is empty"},
		{"too much", text(200, string(short)), 999, web.ErrTooLarge, "more than 999 bytes"},
		{"not found", text(404, `{"code":"404","description":"none"}`), 0, web.ErrNotFound, "404 Not Found: 404: none"},
		{"not modified", status(304), 0, web.ErrNotModified, "304"},
		{"a rest from elsewhere", rangesOf("bytes 500-1499/2000"), 0, web.ErrIncomplete, "gave up after 5 attempts"},
		{"a rest of another file", rangesOf("bytes 1000-1999/9000"), 0, web.ErrIncomplete, "gave up after 5 attempts"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, _, err := download(t, web.Options{}, web.Request{URL: serve(t, tt.step).URL, Scope: "s"}, tt.limit)
			if !errors.Is(err, tt.class) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v\nwant %v: %s", err, tt.class, tt.says)
			}
		})
	}
}

func TestADownloadThatFallsSilentGoesOn(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	silent := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"e"`)
		w.Header().Set("Content-Length", fmt.Sprint(len(content)))
		_, _ = w.Write(content[:100_000])
		w.(http.Flusher).Flush()
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}
	f := &files{content: content, etag: `"e"`, ranges: true}
	var last, total int64
	r := web.Request{URL: serve(t, silent, f.ServeHTTP).URL, Scope: "s", Progress: func(done, all int64) { last, total = done, all }}
	_, data, err := download(t, web.Options{Timeout: 300 * time.Millisecond}, r, 0)
	f.mu.Lock()
	defer f.mu.Unlock()
	// A slow machine may be silent itself, and ask once more.
	if err != nil || !bytes.Equal(data, content) || slices.Index(f.asked, "bytes=100000-") != 0 || slices.Contains(f.asked, "") {
		t.Errorf("got %d bytes, %v, after %q", len(data), err, f.asked)
	}
	if last != int64(len(content)) || total != last {
		t.Errorf("the progress ends at %d of %d", last, total)
	}
}

func TestADownloadCanBeCalledOff(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	endless := func(w http.ResponseWriter, r *http.Request) {
		for {
			if _, err := w.Write(content); err != nil {
				return
			}
			cancel()
		}
	}
	f, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	_, err = newClient(newClock(), web.Options{}).Download(ctx, web.Request{URL: serve(t, endless).URL, Scope: "s"}, f, 0)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestWhatADownloadIsCalled(t *testing.T) {
	t.Parallel()
	got, _, err := download(t, web.Options{}, web.Request{URL: serve(t, text(200, "a", "Content-Disposition", "attachment; filename=sheets.csv", "ETag", `"7"`, "Content-Encoding", "deflate")).URL}, 0)
	if err != nil || got.FileName != "sheets.csv" || got.ETag != `"7"` || got.Encoding != "deflate" {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestUnpack(t *testing.T) {
	t.Parallel()
	const text = "a,b\n1,2\n"
	for name, tt := range map[string]struct {
		raw, encoding string
		class         error
	}{
		"plain":                       {text, "", nil},
		"plain, said to be deflated":  {text, "deflate", nil},
		"gzip":                        {packGzip(text), "", nil},
		"zip":                         {packZip(text), "", nil},
		"deflated, with zlib's head":  {packZlib(text), "deflate", nil},
		"deflated, bare":              {packFlate(text), "deflate", nil},
		"half a gzip":                 {packGzip(text)[:15], "", web.ErrIncomplete},
		"half a zip":                  {packZip(text)[:50], "", web.ErrIncomplete},
		"half of what is deflated":    {packZlib(text)[:6], "deflate", web.ErrIncomplete},
		"a zip without files":         {packZip(), "", web.ErrNotData},
		"a zip of two files":          {packZip("a", "b"), "", web.ErrNotData},
		"a gzip with another content": {packGzip(text)[:len(packGzip(text))-8] + "12345678", "", web.ErrIncomplete},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := web.Unpack(strings.NewReader(tt.raw), int64(len(tt.raw)), tt.encoding)
			var got []byte
			if err == nil {
				got, err = io.ReadAll(r)
				err = errors.Join(err, r.Close())
			}
			if !errors.Is(err, tt.class) || tt.class == nil && (err != nil || string(got) != text) {
				t.Errorf("got %q, %v; want %v", got, err, tt.class)
			}
		})
	}
}

// Whatever comes, unpacking ends, and says so if it is no good.
func FuzzUnpack(f *testing.F) {
	for _, raw := range []string{"a,b\n", packGzip("a"), packZip("a"), packZlib("a"), packFlate("a"), "PK\x05\x06", "\x1f\x8b"} {
		f.Add([]byte(raw), "deflate")
		f.Add([]byte(raw), "")
	}
	f.Fuzz(func(t *testing.T, raw []byte, encoding string) {
		r, err := web.Unpack(bytes.NewReader(raw), int64(len(raw)), encoding)
		if err == nil {
			_, err = io.Copy(io.Discard, io.LimitReader(r, 1<<20))
			_ = r.Close()
		}
		if err != nil && !errors.Is(err, web.ErrIncomplete) && !errors.Is(err, web.ErrNotData) {
			t.Errorf("%v has no class", err)
		}
	})
}

func TestCheckHead(t *testing.T) {
	t.Parallel()
	for head, says := range map[string]string{
		"\"ProductTitle\",\"ProductId\"\r\n":    "",
		"\ufeffCurrencyCode,USDPerUnit,Month\n": "",
		`{"totalCount":0`:                       "it is JSON",
		"":                                      "it is empty",
		" \r\n":                                 "it is empty",
		"<html><head><title>Oops</title>":       `it is a web page: "Oops"`,
		"\ufeff<!DOCTYPE html><body>":           `it is a web page: "<!DOCTYPE html><body>"`,
		`{"error":{"code":"busy","message":"try"}}`:     "it is JSON: busy: try",
		`{"error":"busy","error_description":"try it"}`: "it is JSON: busy: try it",
	} {
		err := web.CheckHead([]byte(head))
		if says == "" && err != nil || says != "" && (!errors.Is(err, web.ErrNotData) || !strings.Contains(err.Error(), says)) {
			t.Errorf("%q: got %v, want %q", head, err, says)
		}
	}
}
