package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/calends/calends/jobs/serve/access"
	"github.com/calends/calends/jobs/serve/audit"
	"github.com/calends/calends/pipeline/bucket"
)

// Each file comes as it lies in the bucket, with what a program needs to be sure of it.
func TestDownload(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	var files InvoiceFileList
	h.get(ofEuro, march+"/files", &files)
	var names []string
	for _, f := range files.Items {
		names = append(names, f.Name)
		h.trail.kinds = nil
		w := h.ask(ofEuro, http.MethodGet, march+"/files/"+f.Name, "")
		sum := sha256.Sum256(w.Body.Bytes())
		if w.Code != 200 || int64(w.Body.Len()) != f.Size || hex.EncodeToString(sum[:]) != f.SHA256 {
			t.Errorf("%s: %d, %d bytes, sha256 %x", f.Name, w.Code, w.Body.Len(), sum)
		}
		_, named, err := mime.ParseMediaType(w.Header().Get("Content-Disposition"))
		want := "C202403-000003-" + f.Name
		if f.Of == "comparison" {
			want = "2024-03-" + euro + "-" + f.Name
		}
		if err != nil || named["filename"] != want {
			t.Errorf("%s is called %v, %v", f.Name, named, err)
		}
		for name, want := range map[string]string{"Content-Type": f.MediaType, "ETag": `"` + f.SHA256 + `"`, "Repr-Digest": "sha-256=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":", "Accept-Ranges": "bytes"} {
			if got := w.Header().Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", f.Name, name, got, want)
			}
		}
		if !slices.Equal(h.trail.kinds, []audit.Kind{audit.Downloaded}) {
			t.Errorf("%s: the trail was told %v", f.Name, h.trail.kinds)
		}
	}
	if got, want := strings.Join(names, " "), "reconciliation.csv reconciliation.parquet reconciliation.xlsx invoice.json differences.csv differences.parquet differences.xlsx"; got != want {
		t.Errorf("files:\n got %s\nwant %s", got, want)
	}
	w := h.ask(ofEuro, http.MethodGet, april+"/files/reconciliation.csv", "")
	if got := w.Header().Get("Content-Disposition"); got != "attachment; filename=2024-04-"+euro+"-draft-1-reconciliation.csv" {
		t.Errorf("a draft is called %s", got)
	}
	for _, name := range []string{"manifest.json", "nothing.csv", "..%2F..%2Fmanifest.json", "exceptions.csv"} {
		h.refused(ofEuro, http.MethodGet, march+"/files/"+name, "", 404, "not-found")
	}
	h.refused(ofEuro, http.MethodGet, march+"/files/reconciliation.csv/address", "", 409, "no-address")
}

// A download goes on where it broke off, and is not sent to who has it.
func TestDownloadInParts(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	const path = march + "/files/reconciliation.csv"
	data := h.object(marchFolder + "reconciliation.csv")
	sum := sha256.Sum256(data)
	tag := `"` + hex.EncodeToString(sum[:]) + `"`
	for name, c := range map[string]struct {
		headers []string
		status  int
		body    []byte
	}{
		"its beginning":           {[]string{"Range", "bytes=0-99"}, 206, data[:100]},
		"from somewhere on":       {[]string{"Range", "bytes=2000-"}, 206, data[2000:]},
		"its end":                 {[]string{"Range", "bytes=-7"}, 206, data[len(data)-7:]},
		"from where it broke off": {[]string{"Range", "bytes=500-", "If-Range", tag}, 206, data[500:]},
		"of another file, whole":  {[]string{"Range", "bytes=500-", "If-Range", `"other"`}, 200, data},
		"behind its end":          {[]string{"Range", "bytes=9999999-"}, 416, nil},
		"to who has it":           {[]string{"If-None-Match", tag}, 304, nil},
		"to who has another":      {[]string{"If-None-Match", `"other"`}, 200, data},
		"if it is another":        {[]string{"If-Match", `"other"`}, 412, nil},
		"no range at all":         {[]string{"Range", "lines=1-2"}, 416, nil},
	} {
		w := h.ask(ofEuro, http.MethodGet, path, "", c.headers...)
		if w.Code != c.status || c.body != nil && !bytes.Equal(w.Body.Bytes(), c.body) {
			t.Errorf("%s: %d, %d bytes, want %d, %d bytes", name, w.Code, w.Body.Len(), c.status, len(c.body))
		}
		if told := w.Header().Get("Content-Type"); c.status >= 400 && (told != "application/problem+json" || !strings.Contains(w.Body.String(), `"status":`+strconv.Itoa(c.status)) ||
			w.Header().Get("Content-Disposition") != "" || w.Header().Get("Repr-Digest") != "") {
			t.Errorf("%s: no problem but %s %s %v", name, told, w.Body, w.Header())
		}
		if c.status == 206 && w.Header().Get("Repr-Digest") == "" {
			t.Errorf("%s: without the digest of the whole", name)
		}
	}
	w := h.ask(ofEuro, http.MethodGet, path, "", "Range", "bytes=0-9,100-119")
	_, params, err := mime.ParseMediaType(w.Header().Get("Content-Type"))
	if err != nil || w.Code != 206 {
		t.Fatalf("two ranges: %d, %v", w.Code, err)
	}
	parts := multipart.NewReader(w.Body, params["boundary"])
	for _, want := range [][]byte{data[:10], data[100:120]} {
		part, err := parts.NextPart()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(part); err != nil || !bytes.Equal(got, want) {
			t.Errorf("a part: %q, %v, want %q", got, err, want)
		}
	}
	w = h.ask(ofEuro, http.MethodHead, path, "")
	if w.Code != 200 || w.Body.Len() != 0 || w.Header().Get("ETag") != tag || w.Header().Get("Content-Length") == "" {
		t.Errorf("HEAD: %d, %d bytes, %v", w.Code, w.Body.Len(), w.Header())
	}
}

// spoilt gives out other bytes under keys that end so.
type spoilt struct {
	bucket.Bucket
	suffix string
	spoil  func(data []byte) []byte
}

// Open is the bucket's, spoilt.
func (s spoilt) Open(ctx context.Context, key string) (bucket.Object, error) {
	if !strings.HasSuffix(key, s.suffix) {
		return s.Bucket.Open(ctx, key)
	}
	data, err := bucket.ReadAll(ctx, s.Bucket, key)
	if err != nil {
		return nil, err
	}
	other := bucket.NewMemory()
	if err := bucket.Put(ctx, other, "x", s.spoil(bytes.Clone(data))); err != nil {
		return nil, err
	}
	return other.Open(ctx, "x")
}

// lender is a bucket whose store signs addresses.
type lender struct {
	bucket.Bucket
	asked bucket.Lending
}

// Address is one of an invented store.
func (l *lender) Address(_ context.Context, key string, lending bucket.Lending) (string, error) {
	l.asked = lending
	return "https://store.example/" + key, nil
}

func TestFileAddress(t *testing.T) {
	t.Parallel()
	var l *lender
	h := newHouse(t, func(b bucket.Bucket) bucket.Bucket {
		l = &lender{Bucket: b}
		return l
	})
	sum := sha256.Sum256(h.object(marchFolder + "reconciliation.parquet"))
	var a FileAddress
	h.get(ofEuro, march+"/files/reconciliation.parquet/address", &a)
	if want := (FileAddress{URL: "https://store.example/" + marchFolder + "reconciliation.parquet", Expires: "2024-05-02T09:35:00Z", SHA256: hex.EncodeToString(sum[:])}); a != want {
		t.Errorf("got %+v, want %+v", a, want)
	}
	if want := (bucket.Lending{For: 5 * time.Minute, Name: "C202403-000003-reconciliation.parquet", MediaType: parquetType}); l.asked != want {
		t.Errorf("asked for %+v, want %+v", l.asked, want)
	}
	if !slices.Equal(h.trail.kinds, []audit.Kind{audit.Downloaded}) {
		t.Errorf("the trail was told %v", h.trail.kinds)
	}
	h.refused(ofDollar, http.MethodGet, march+"/files/reconciliation.parquet/address", "", 404, "not-found")
}

// What is not what the manifest says is not given out as if it were.
func TestDamagedFiles(t *testing.T) {
	t.Parallel()
	another := func(data []byte) []byte { data[len(data)/2] ^= 1; return data }
	shorter := func(data []byte) []byte { return data[:len(data)-1] }
	broken := func(suffix string, spoil func([]byte) []byte) *house {
		return newHouse(t, func(b bucket.Bucket) bucket.Bucket { return spoilt{b, suffix, spoil} })
	}
	h := broken("reconciliation.csv", another)
	h.refused(ofEuro, http.MethodGet, march+"/lines", "", 500, "damaged")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.mux.ServeHTTP(w, r.WithContext(access.With(r.Context(), ofEuro)))
	}))
	defer server.Close()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+march+"/files/reconciliation.csv", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := server.Client().Do(request)
	if err == nil {
		defer answer.Body.Close()
		_, err = io.ReadAll(answer.Body)
	}
	if !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		t.Errorf("a damaged file comes as if it were whole: %v", err)
	}
	h = broken("reconciliation.csv", shorter)
	h.refused(ofEuro, http.MethodGet, march+"/lines", "", 500, "damaged")
	h.refused(ofEuro, http.MethodGet, march+"/files/reconciliation.csv", "", 500, "damaged")
	h = broken("invoice.json", another)
	h.refused(ofEuro, http.MethodGet, march, "", 500, "damaged")
	h = broken("/exceptions.csv", another)
	h.refused(everyone, http.MethodGet, "/v1/exceptions?month=2024-03", "", 500, "damaged")
	h = broken("differences.csv", another)
	h.refused(ofEuro, http.MethodGet, "/v1/differences?month=2024-03", "", 500, "damaged")
}
