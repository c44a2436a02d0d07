package bucket_test

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/calends/calends/pipeline/bucket"
)

// refusing answers every request with one error, as S3 does.
func refusing(status int, code, message string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.Header().Set("X-Amz-Request-Id", "R1")
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, "<Error><Code>%s</Code><Message>%s</Message><RequestId>R1</RequestId></Error>", code, message)
	}
}

// hanging takes a request and never answers.
func hanging(_ http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	<-r.Context().Done()
}

func fakeS3(t *testing.T, handler http.HandlerFunc, options ...func(*bucket.Options)) bucket.Bucket {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.CloseClientConnections)
	t.Cleanup(server.Close)
	t.Cleanup(server.CloseClientConnections) // first of the three: who hangs is let go
	o := bucket.Options{Address: "s3://books/calends", Endpoint: server.URL, Keys: &bucket.Keys{Access: "a", Secret: "secret-of-the-test"}}
	for _, set := range options {
		set(&o)
	}
	b, err := bucket.OpenWith(o)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// What goes wrong at a store is said in words, with what to do, and in time.
func TestTroubles(t *testing.T) {
	t.Parallel()
	skewed := time.Now().Add(-3 * time.Hour).UTC()
	tests := []struct {
		name    string
		handler http.HandlerFunc
		says    []string
		most    time.Duration
	}{
		{"wrong secret", refusing(403, "SignatureDoesNotMatch", "The request signature does not match."),
			[]string{"the credentials are refused: 403 SignatureDoesNotMatch, The request signature", "AWS_PROFILE", "request R1"}, 5 * time.Second},
		{"an expired token", refusing(400, "ExpiredToken", "The token has expired."), []string{"the credentials are refused", "ExpiredToken"}, 5 * time.Second},
		{"a key that the store does not know", refusing(404, "XAdminUserNotFound", "No user exists with the provided access key ID"),
			[]string{"the credentials are refused: 404 XAdminUserNotFound", "check AWS_ACCESS_KEY_ID"}, 5 * time.Second},
		{"no permission", refusing(403, "AccessDenied", "Access Denied"),
			[]string{"permission denied: 403 AccessDenied", "s3:PutObject"}, 5 * time.Second},
		{"no bucket", refusing(404, "NoSuchBucket", "The bucket does not exist"),
			[]string{`there is no bucket "books" at http://127.0.0.1`, "create it"}, 5 * time.Second},
		{"no space", refusing(507, "InsufficientStorage", "full"),
			[]string{"no space is left in the store", "make room"}, 5 * time.Second},
		{"a quota", refusing(403, "QuotaExceeded", "full"), []string{"no space is left in the store"}, 5 * time.Second},
		{"clocks apart", refusing(403, "RequestTimeTooSkewed", "The difference is too large.", "Date", skewed.Format(http.TimeFormat)),
			[]string{"the clocks differ too much: here it is 20", "at the store " + skewed.Format(time.DateTime), "NTP"}, 5 * time.Second},
		{"another region", refusing(301, "PermanentRedirect", "Use another endpoint.", "X-Amz-Bucket-Region", "eu-west-3"),
			[]string{"the bucket is in region eu-west-3", "?region=eu-west-3"}, 5 * time.Second},
		{"a store that fails", refusing(500, "InternalError", "We are sorry."),
			[]string{"the store failed, 5 times: 500 InternalError", "run again later"}, 5 * time.Second},
		{"a store that has too much to do", refusing(503, "SlowDown", "Reduce your rate."),
			[]string{"the store is overloaded, 5 times"}, 5 * time.Second},
		{"a store without conditions", refusing(501, "NotImplemented", "A header is not implemented."),
			[]string{"the store cannot do what is needed", "If-None-Match"}, 5 * time.Second},
		{"a store that hangs", hanging,
			[]string{"no sign of life from 127.0.0.1", "for 200ms, 2 times", "a larger timeout"}, 5 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := fakeS3(t, tt.handler, func(o *bucket.Options) { o.Timeout = 400 * time.Millisecond })
			var took time.Duration
			for name, do := range map[string]func() error{
				"put":  func() error { return bucket.PutSame(t.Context(), b, "a/b", []byte("x")) },
				"read": func() error { _, err := bucket.ReadAll(t.Context(), b, "a/b"); return err },
				"list": func() error {
					for _, err := range b.List(t.Context(), "a") {
						return err
					}
					return nil
				},
			} {
				begin := time.Now()
				err := do()
				took = max(took, time.Since(begin))
				if err == nil {
					t.Fatalf("%s succeeds", name)
				}
				for _, says := range append(tt.says, "s3://books: ") {
					if !strings.Contains(err.Error(), says) {
						t.Errorf("%s: %v\nwant it to say %q", name, err, says)
					}
				}
				for _, hides := range []string{"operation error", "https response", "secret-of-the-test", "\n"} {
					if strings.Contains(err.Error(), hides) {
						t.Errorf("%s: %v\nsays %q", name, err, hides)
					}
				}
				for _, class := range []error{bucket.ErrNotExist, bucket.ErrExists, bucket.ErrConflict} {
					if errors.Is(err, class) {
						t.Errorf("%s: %v is taken for %v", name, err, class)
					}
				}
			}
			if took > tt.most {
				t.Errorf("an operation took %s, want at most %s", took, tt.most)
			}
		})
	}
}

// Deleting asks with HEAD, whose answers have no text.
func TestDeleteInTrouble(t *testing.T) {
	t.Parallel()
	b := fakeS3(t, refusing(403, "AccessDenied", "Access Denied"))
	if err := b.Delete(t.Context(), "a/b"); err == nil || !strings.Contains(err.Error(), "permission denied: 403 Forbidden") {
		t.Errorf("Delete = %v, want permission denied", err)
	}
}

func TestStoreThatIsNotThere(t *testing.T) {
	t.Parallel()
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = log.New(io.Discard, "", 0) // it complains of the client that hangs up
	secure.StartTLS()
	t.Cleanup(secure.Close)
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)
	tests := []struct{ name, endpoint, says string }{
		{"nobody listens", gone.URL, "connection refused (check the endpoint"},
		{"no such name", "http://store.invalid", "the name store.invalid cannot be resolved"},
		{"an unknown authority", secure.URL, "is not trusted"},
		{"no TLS", strings.Replace(plain.URL, "http://", "https://", 1), "does not speak TLS"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := fakeS3(t, nil, func(o *bucket.Options) { o.Endpoint, o.Timeout = tt.endpoint, time.Second })
			begin := time.Now()
			_, err := bucket.ReadAll(t.Context(), b, "a")
			if err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("error %v, want it to say %q", err, tt.says)
			}
			if took := time.Since(begin); took > 20*time.Second {
				t.Errorf("it took %s", took)
			}
		})
	}
}

// A store that is slow but moves is waited for; one that stops in the middle is not.
func TestPatience(t *testing.T) {
	t.Parallel()
	const body, pause = 20, 50 * time.Millisecond
	for _, stops := range []bool{false, true} {
		t.Run(fmt.Sprintf("stops: %t", stops), func(t *testing.T) {
			t.Parallel()
			b := fakeS3(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Length", fmt.Sprint(body))
				for i := range body {
					if stops && (i == body/2 || !strings.HasPrefix(r.Header.Get("Range"), "bytes=0-")) {
						<-r.Context().Done()
						return
					}
					_, _ = w.Write([]byte{'x'})
					_ = http.NewResponseController(w).Flush()
					time.Sleep(pause)
				}
			}, func(o *bucket.Options) { o.Timeout = body * pause / 2 })
			begin := time.Now()
			data, err := bucket.ReadAll(t.Context(), b, "a")
			switch {
			case !stops && (err != nil || len(data) != body):
				t.Errorf("read %d bytes, %v; want all %d", len(data), err, body)
			case stops && (err == nil || !strings.Contains(err.Error(), "no sign of life")):
				t.Errorf("error %v, want that nothing came", err)
			case stops && time.Since(begin) > 10*time.Second:
				t.Errorf("it took %s", time.Since(begin))
			}
		})
	}
}

// A creation whose answer is lost is sent again and meets itself: that is a
// success, and somebody else's object is not.
func TestLostAnswer(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		ours bool
		want error
	}{
		{"our own object", true, nil},
		{"somebody else's", false, bucket.ErrExists},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var mark atomic.Value
			var puts atomic.Int32
			b := fakeS3(t, func(w http.ResponseWriter, r *http.Request) {
				const header = "X-Amz-Meta-Calendswriter"
				_, _ = io.Copy(io.Discard, r.Body)
				switch {
				case r.Method == http.MethodPut && puts.Add(1) == 1:
					if r.Header.Get("If-None-Match") != "*" {
						t.Error("created without the condition that it is absent")
					}
					mark.Store(r.Header.Get(header))
					panic(http.ErrAbortHandler) // stored, and the connection breaks
				case r.Method == http.MethodPut:
					refusing(http.StatusPreconditionFailed, "PreconditionFailed", "It is there.")(w, r)
				case tt.ours:
					w.Header().Set(header, mark.Load().(string))
				default:
					w.Header().Set(header, "another")
				}
			})
			if err := bucket.Put(t.Context(), b, "a", []byte("x")); !errors.Is(err, tt.want) {
				t.Errorf("Put = %v, want %v", err, tt.want)
			}
			if n := puts.Load(); n != 2 {
				t.Errorf("%d creations were sent, want 2", n)
			}
		})
	}
}

// An answer that breaks off is read on from where it broke.
func TestBrokenAnswerIsContinued(t *testing.T) {
	t.Parallel()
	data := strings.Repeat("0123456789", 300_000) // three blocks
	var requests atomic.Int32
	b := fakeS3(t, func(w http.ResponseWriter, r *http.Request) {
		var from, to int
		if _, err := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-%d", &from, &to); err != nil {
			to = len(data) - 1
		}
		to = min(to, len(data)-1)
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, to, len(data)))
		w.Header().Set("Content-Length", fmt.Sprint(to-from+1))
		w.WriteHeader(http.StatusPartialContent)
		if requests.Add(1)%2 == 1 && to-from > 10 { // every other one is cut in half
			_, _ = io.WriteString(w, data[from:from+(to-from)/2])
			panic(http.ErrAbortHandler)
		}
		_, _ = io.WriteString(w, data[from:to+1])
	})
	got, err := bucket.ReadAll(t.Context(), b, "a")
	if err != nil || string(got) != data {
		t.Errorf("read %d bytes, %v; want the %d that are there", len(got), err, len(data))
	}
}

// Reading parts asks for blocks, not for each part.
func TestRequestsOfReadAt(t *testing.T) {
	t.Parallel()
	data := strings.Repeat("x", 4<<20)
	var requests atomic.Int32
	b := fakeS3(t, func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(data))
	})
	object, err := b.Open(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	defer object.Close()
	part := make([]byte, 4096)
	for offset := int64(0); offset < object.Size(); offset += int64(len(part)) {
		if _, err := object.ReadAt(part, offset); err != nil {
			t.Fatal(err)
		}
	}
	if n := requests.Load(); n != 4 {
		t.Errorf("%d requests for 4 MiB in parts of 4 KiB, want 4", n)
	}
	requests.Store(0)
	if n, err := io.Copy(io.Discard, object); n != int64(len(data)) || err != nil {
		t.Fatalf("read %d bytes, %v", n, err)
	}
	if n := requests.Load(); n != 1 {
		t.Errorf("%d requests for reading on to the end, want 1", n)
	}
}

// The same for Azure: what it refuses, and a store that hangs.
func TestTroublesOfAzure(t *testing.T) {
	t.Setenv("AZURE_STORAGE_ACCOUNT", "books")
	t.Setenv("AZURE_STORAGE_KEY", "c2VjcmV0") // "secret"
	t.Setenv("AZURE_STORAGE_CONNECTION_STRING", "")
	tests := []struct {
		name    string
		handler http.HandlerFunc
		says    string
	}{
		{"no container", azureRefuses(404, "ContainerNotFound"), `there is no container "books" at http://127.0.0.1`},
		{"wrong key", azureRefuses(403, "AuthenticationFailed"), "the credentials are refused: 403 AuthenticationFailed"},
		{"no permission", azureRefuses(403, "AuthorizationPermissionMismatch"), "permission denied: 403 AuthorizationPermissionMismatch"},
		{"a store that fails", azureRefuses(500, "InternalError"), "the store failed, 5 times: 500 InternalError"},
		{"a store that hangs", hanging, "for 200ms, 2 times"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			server := httptest.NewServer(tt.handler)
			defer server.Close()
			defer server.CloseClientConnections()
			b, err := bucket.OpenWith(bucket.Options{Address: "azblob://books/calends", Endpoint: server.URL + "/books", Timeout: 400 * time.Millisecond})
			if err != nil {
				t.Fatal(err)
			}
			begin := time.Now()
			_, readErr := bucket.ReadAll(t.Context(), b, "a")
			for name, err := range map[string]error{"put": bucket.Put(t.Context(), b, "a", []byte("x")), "read": readErr, "delete": b.Delete(t.Context(), "a")} {
				if err == nil || !strings.Contains(err.Error(), tt.says) || !strings.Contains(err.Error(), "azblob://books: ") || strings.Contains(err.Error(), "\n") {
					t.Errorf("%s: %v\nwant it to say %q", name, err, tt.says)
				}
			}
			if took := time.Since(begin); took > 10*time.Second {
				t.Errorf("it took %s", took)
			}
		})
	}
}

func azureRefuses(status int, code string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Ms-Error-Code", code)
		w.WriteHeader(status)
	}
}
