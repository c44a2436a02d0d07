package bucket_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pipeline/bucket/buckettest"
)

func TestOpenStoreRefuses(t *testing.T) {
	t.Setenv("AWS_REGION", "")
	t.Setenv("AWS_CONFIG_FILE", "/dev/null")
	t.Setenv("AZURE_STORAGE_ACCOUNT", "")
	t.Setenv("AZURE_STORAGE_CONNECTION_STRING", "")
	tests := []struct {
		name    string
		options bucket.Options
		says    string
	}{
		{"no name", bucket.Options{Address: "s3:///x"}, "the name is missing"},
		{"no region", bucket.Options{Address: "s3://books"}, "add ?region=… to the address"},
		{"a host", bucket.Options{Address: "s3://localhost:9000/books"}, "s3://name?endpoint=http://localhost:9000"},
		{"an unknown option", bucket.Options{Address: "s3://books?regoin=x"}, `unknown option "regoin"`},
		{"a style that is none", bucket.Options{Address: "s3://books?path_style=old"}, "want true or false"},
		{"a time that is none", bucket.Options{Address: "s3://books?timeout=soon"}, "want a time such as 30s"},
		{"no time at all", bucket.Options{Address: "s3://books?timeout=1ms"}, "want a tenth of a second or more"},
		{"checksums that are none", bucket.Options{Address: "s3://books?checksums=never"}, "want when_supported or when_required"},
		{"an endpoint without a scheme", bucket.Options{Address: "s3://books?endpoint=localhost:9000"}, "the endpoint is no address"},
		{"a prefix that is no key", bucket.Options{Address: "s3://books/a/../b?region=x"}, "segment"},
		{"no account", bucket.Options{Address: "azblob://books"}, "set AZURE_STORAGE_ACCOUNT"},
		{"a region of Azure", bucket.Options{Address: "azblob://books?region=x"}, "options of s3:// only"},
		{"an endpoint of a folder", bucket.Options{Address: "books", Endpoint: "http://localhost"}, "options of s3:// and azblob:// only"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := bucket.OpenWith(tt.options); err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("Open = %v, want it to say %q", err, tt.says)
			}
		})
	}
}

// Secrets that somebody puts into an address do not come out again.
func TestOpenRepeatsNoSecret(t *testing.T) {
	t.Parallel()
	for _, address := range []string{
		"s3://key:hush@books", "s3://books?secret=hush", "azblob://books?sig=hush", "s3://books?endpoint=http://key:hush@localhost",
		"s3://key:hush@books/%zz", "azblob://account:hush@books",
	} {
		if _, err := bucket.Open(address); err == nil || strings.Contains(err.Error(), "hush") {
			t.Errorf("Open(%q) = %v, want an error without the secret", address, err)
		}
	}
}

// An object of many parts is there as a whole or not at all, and one that is there
// already is not sent again.
func TestLargeObjectOnS3(t *testing.T) {
	t.Parallel()
	server := buckettest.StartS3(t)
	address, _ := server.NewBucket(t)
	b := server.Open(t, address)
	data := bytes.Repeat([]byte("0123456789abcdef"), 40<<20/16)

	stopped, err := b.Create(t.Context(), "large")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stopped.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := stopped.Abort(); err != nil {
		t.Errorf("Abort: %v", err)
	}
	if _, err := b.Open(t.Context(), "large"); !errors.Is(err, bucket.ErrNotExist) {
		t.Errorf("Open after Abort = %v, want ErrNotExist", err)
	}
	for range 2 {
		if err := bucket.PutSame(t.Context(), b, "large", data); err != nil {
			t.Fatal(err)
		}
	}
	if err := bucket.Put(t.Context(), b, "large", data); !errors.Is(err, bucket.ErrExists) {
		t.Errorf("Put of what is there = %v, want ErrExists", err)
	}
	if err := bucket.PutSame(t.Context(), b, "large", data[1:]); !errors.Is(err, bucket.ErrConflict) {
		t.Errorf("PutSame of other bytes = %v, want ErrConflict", err)
	}
	object, err := b.Open(t.Context(), "large")
	if err != nil {
		t.Fatal(err)
	}
	defer object.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, object); err != nil || [32]byte(hash.Sum(nil)) != sha256.Sum256(data) {
		t.Errorf("read other bytes than were written (%v)", err)
	}
}
