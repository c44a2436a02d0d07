package intake

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/calends/calends/pipeline/change"
)

const partnersCSV = "PartnerId,PartnerName,Country,BillingCurrency,MpnId,TaxRate\np1,Contoso,NL,EUR,1,0.21\n"

func gz(t testing.TB, s string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := io.WriteString(w, s)
	if err = errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func zst(t testing.TB, s string) string {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return string(w.EncodeAll([]byte(s), nil))
}

// zipped packs name, content pairs. A name that ends with * is marked encrypted.
func zipped(t testing.TB, pairs ...string) string {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for i := 0; i < len(pairs); i += 2 {
		name, encrypted := strings.CutSuffix(pairs[i], "*")
		h := &zip.FileHeader{Name: name, Method: zip.Deflate}
		if encrypted {
			h.Flags |= 1
		}
		f, err := w.CreateHeader(h)
		if err == nil {
			_, err = io.WriteString(f, pairs[i+1])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// looksLike describes every member of a file: its name, and its kind or why not.
func looksLike(t *testing.T, content string) string {
	t.Helper()
	in, err := OpenReader("in", strings.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := in.Close(); err != nil {
			t.Error(err)
		}
	}()
	var got []string
	for _, m := range in.Members {
		if r := m.Recognise(); r.Kind == Unknown {
			got = append(got, m.Name+" "+r.Reason)
		} else {
			got = append(got, m.Name+": "+r.Kind.String()+", "+r.Format.String())
		}
	}
	return strings.Join(got, "\n")
}

func TestOpen(t *testing.T) {
	t.Parallel()
	line := event("subscription.canceled", "") + "\n"
	truncated := gz(t, strings.Repeat(line, 1000))
	for _, tt := range []struct{ name, in, want string }{
		{"plain", partnersCSV, "in: partners, CSV"},
		{"gzip", gz(t, partnersCSV), "in: partners, CSV"},
		{"zstd", zst(t, partnersCSV), "in: partners, CSV"},
		{"zip", zipped(t, "a.csv", partnersCSV), "in!a.csv: partners, CSV"},
		{"a zip of several", zipped(t, "x/", "", "x/a.csv", partnersCSV, "b.jsonl.gz", gz(t, line), "c.zst", zst(t, line), "__MACOSX/._a.csv", "junk"),
			"in!x/a.csv: partners, CSV\nin!b.jsonl.gz: changes, JSON Lines\nin!c.zst: changes, JSON Lines"},
		{"a bad member leaves the others", zipped(t, "../a.csv", partnersCSV, "/b.csv", partnersCSV, `..\c.csv`, partnersCSV, "C:d.csv", partnersCSV, "e.csv*", partnersCSV, "f.zip", zipped(t, "x", "y"), "g.csv", partnersCSV),
			"in!../a.csv has a name that leads out of its archive\nin!/b.csv has a name that leads out of its archive\nin!..\\c.csv has a name that leads out of its archive\n" +
				"in!C:d.csv has a name that leads out of its archive\nin!e.csv is encrypted: unpack it with its password first\n" +
				"in!f.zip is a zip inside another archive: unpack the outer one\nin!g.csv: partners, CSV"},
		{"compressed twice", gz(t, gz(t, partnersCSV)), "in is compressed twice: unpack it once"},
		{"a zip in gzip", gz(t, zipped(t, "a", "b")), "in is a zip inside another archive: unpack the outer one"},
		{"an empty zip", zipped(t), "in is a zip archive without files"},
		{"a damaged zip", zipped(t, "a.csv", partnersCSV)[:60], "in is a damaged zip archive: zip: not a valid zip file"},
		{"an Excel workbook", zipped(t, "[Content_Types].xml", "<x/>", "xl/workbook.xml", "<x/>"), "in is an Excel workbook: save the sheet as CSV UTF-8 (comma delimited)"},
		{"a damaged gzip", "\x1f\x8b\x08garbage", "in cannot be read: unexpected EOF"},
		{"a gzip cut off is known by its beginning", truncated[:len(truncated)-20], "in: changes, JSON Lines"},
		{"empty", "", "in is empty"},
		{"zero bytes", strings.Repeat("\x00", 5000), "in holds nothing but zero bytes: it was damaged when it was copied or written; get it again"},
		{"zero bytes, compressed", gz(t, strings.Repeat("\x00", 1<<20)), "in holds nothing but zero bytes: it was damaged when it was copied or written; get it again"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := looksLike(t, tt.in); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestOpenOnDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := Open(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is not there: got %v", err)
	}
	if _, err := Open(dir); err == nil || !strings.HasSuffix(err.Error(), "is a folder") {
		t.Errorf("a folder: got %v", err)
	}
	// The name does not matter.
	name := filepath.Join(dir, "changes.csv")
	if err := os.WriteFile(name, []byte(gz(t, partnersCSV)), 0o600); err != nil {
		t.Fatal(err)
	}
	in, err := Open(name)
	if err != nil {
		t.Fatal(err)
	}
	sum, size, err := in.Members[0].SHA256()
	if err != nil || sum != sha256.Sum256([]byte(partnersCSV)) || size != int64(len(partnersCSV)) {
		t.Errorf("the hash is of what is inside: got %x, %d, %v", sum, size, err)
	}
	for range 2 { // it can be opened again
		s, err := in.Members[0].OpenReference()
		if err != nil {
			t.Fatal(err)
		}
		got, err := ReadPartners(s)
		if err != nil || len(got.Partners) != 1 {
			t.Errorf("got %v, %v", got, err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := in.Close(); err != nil {
		t.Error(err)
	}
}

// zeros yields n bytes of a partners file that never ends.
type zeros struct{ n int64 }

func (z *zeros) Read(p []byte) (int, error) {
	n := int(min(z.n, int64(len(p))))
	for i := range n {
		p[i] = ' '
	}
	z.n -= int64(n)
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

func TestReferenceIsBounded(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("unpacks 1 GiB")
	}
	var bomb bytes.Buffer
	w, err := zstd.NewWriter(&bomb, zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(w, &zeros{MaxReference + 1}); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	in, err := OpenReader("bomb", &bomb)
	if err != nil {
		t.Fatal(err)
	}
	s, err := in.Members[0].OpenReference()
	if err != nil {
		t.Fatal(err)
	}
	n, err := io.Copy(io.Discard, s)
	if n != MaxReference || !errors.Is(err, refusedReference) {
		t.Errorf("got %d bytes, %v", n, err)
	}
	if err := errors.Join(s.Close(), in.Close()); err != nil {
		t.Error(err)
	}
}

func TestOpenChangesOfEveryFormat(t *testing.T) {
	t.Parallel()
	line := event("subscription.canceled", "")
	file := parquetFile(t, []flatChange{{ID: "e1", Type: "odd", Customer: "c1"}})
	packed, err := io.ReadAll(file)
	if err != nil {
		t.Fatal(err)
	}
	content := zipped(t, "a.jsonl", line+"\n"+line, "b.csv", "id,type,time,customerId\ne1,odd,2026-10-05T09:30:00Z,c1\n", "c.parquet", string(packed), "d.gz", gz(t, string(packed)))
	for _, in := range []string{content, string(packed), gz(t, line), gz(t, strings.Repeat(line+"\n", 100))[:100]} {
		input, err := OpenReader("in", strings.NewReader(in))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range input.Members {
			what := m.Recognise()
			r, err := OpenChanges(m, what.Format)
			if err != nil {
				t.Fatalf("%s: %v", m.Name, err)
			}
			var c change.Change
			for err == nil {
				_, err = r.Next(&c)
			}
			if wantCut := len(in) == 100; wantCut != errors.Is(err, io.ErrUnexpectedEOF) || !wantCut && (!errors.Is(err, io.EOF) || c.ID != "e1") {
				t.Errorf("%s: got %v, %v", m.Name, err, c)
			}
			if err := r.Close(); err != nil {
				t.Errorf("%s: %v", m.Name, err)
			}
		}
		if err := input.Close(); err != nil {
			t.Error(err)
		}
	}
}
