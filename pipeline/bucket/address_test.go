package bucket_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pipeline/bucket/buckettest"
)

var lending = bucket.Lending{For: time.Minute, Name: "C202610-000001-reconciliation.csv", MediaType: "text/csv; charset=utf-8"}

// Whoever has the address has the object, and nothing else, without credentials.
func TestAddressOfS3(t *testing.T) {
	t.Parallel()
	server := buckettest.StartS3(t)
	name, _ := server.NewBucket(t)
	b := server.Open(t, strings.Replace(name, "?", "/some/prefix?", 1))
	const key, text = "invoices/month=2026-10/partner=a%2Fb/reconciliation.csv", "PartnerId\r\n"
	if err := bucket.Put(t.Context(), b, key, []byte(text)); err != nil {
		t.Fatal(err)
	}
	address, err := bucket.Address(t.Context(), b, key, lending)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(address, buckettest.S3SecretKey) || !strings.Contains(address, "X-Amz-Expires=60&") {
		t.Errorf("address %s", address)
	}
	for _, ask := range []struct {
		name, address, rang string
		status              int
		text                string
	}{
		{"the object", address, "", http.StatusOK, text},
		{"a part of it", address, "bytes=2-4", http.StatusPartialContent, text[2:5]},
		{"another object", strings.Replace(address, "2026-10", "2026-11", 1), "", http.StatusForbidden, ""},
		{"for longer", strings.Replace(address, "X-Amz-Expires=60", "X-Amz-Expires=600", 1), "", http.StatusForbidden, ""},
		{"without a signature", address[:strings.IndexByte(address, '?')], "", http.StatusForbidden, ""},
	} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, ask.address, nil)
		if err != nil {
			t.Fatal(err)
		}
		if ask.rang != "" {
			request.Header.Set("Range", ask.rang)
		}
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(answer.Body)
		if err = errors.Join(err, answer.Body.Close()); err != nil {
			t.Fatal(err)
		}
		if answer.StatusCode != ask.status || ask.text != "" && string(got) != ask.text {
			t.Errorf("%s: %s, %q", ask.name, answer.Status, got)
		}
		if ask.text == "" {
			continue
		}
		if h := answer.Header; h.Get("Content-Type") != lending.MediaType || h.Get("Content-Disposition") != "attachment; filename="+lending.Name {
			t.Errorf("%s: type %q, disposition %q", ask.name, h.Get("Content-Type"), h.Get("Content-Disposition"))
		}
	}
	if _, err := bucket.Address(t.Context(), b, "../other", lending); !errors.Is(err, bucket.ErrInvalidKey) {
		t.Errorf("an address outside the bucket: %v", err)
	}
}

func TestNoAddress(t *testing.T) {
	t.Parallel()
	for name, b := range map[string]bucket.Bucket{"disk": newDisk(t, t.TempDir()), "memory": bucket.NewMemory(), "another store": bucket.NewRemoteInMemory()} {
		if address, err := bucket.Address(t.Context(), b, "a/b", lending); !errors.Is(err, bucket.ErrNoAddress) {
			t.Errorf("%s gives %q, %v", name, address, err)
		}
	}
}
