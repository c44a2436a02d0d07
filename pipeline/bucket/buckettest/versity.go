package buckettest

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/calends/calends/pipeline/bucket"
)

// S3 is a real S3 server of the test's own, on this machine: versitygw over a
// plain folder.
type S3 struct {
	// Endpoint is its address, such as http://127.0.0.1:7070.
	Endpoint string
	// Folder holds a folder for each bucket, and in it a plain file for each object.
	Folder string

	buckets atomic.Int32
}

// What the server is started with, and what clients must give.
const (
	S3AccessKey = "calends-test"
	S3SecretKey = "calends-test-secret"
	S3Region    = "us-east-1"
)

// S3Version is the server that the tests are written against.
const S3Version = "v1.8.0"

const (
	serverEnv  = "CALENDS_VERSITYGW"
	requireEnv = "CALENDS_REQUIRE_S3"
)

// StartS3 starts a server with nothing in it, and stops it when the test is done.
// Where the program is not installed the test is skipped, or fails if
// CALENDS_REQUIRE_S3=1. It is looked for in CALENDS_VERSITYGW, PATH and GOPATH/bin.
func StartS3(t testing.TB) *S3 {
	t.Helper()
	program, err := findServer(t.Context())
	if err != nil {
		missing(t, err)
	}
	s := &S3{Folder: filepath.Join(t.TempDir(), "data")}
	sidecar := filepath.Join(t.TempDir(), "sidecar")
	for _, folder := range []string{s.Folder, sidecar} {
		if err := os.MkdirAll(folder, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	// Somebody else may take the port before the server does; and metadata goes into a
	// folder of its own only where files cannot have extended attributes.
	for _, backend := range [][]string{{s.Folder}, {s.Folder}, {"--sidecar", sidecar, s.Folder}, {"--sidecar", sidecar, s.Folder}} {
		if err = s.start(t, program, backend...); err == nil {
			return s
		}
	}
	t.Fatal("start the S3 server: ", err)
	return nil
}

// missing ends a test that cannot run.
func missing(t testing.TB, err error) {
	t.Helper()
	text := fmt.Sprintf("NOT TESTED ON S3: %v; install it with: go install github.com/versity/versitygw/cmd/versitygw@%s", err, S3Version)
	if os.Getenv(requireEnv) == "1" {
		t.Fatal(text)
	}
	t.Skip(text)
}

func findServer(ctx context.Context) (string, error) {
	if named := os.Getenv(serverEnv); named != "" {
		return exec.LookPath(named)
	}
	if found, err := exec.LookPath("versitygw"); err == nil {
		return found, nil
	}
	path, err := exec.CommandContext(ctx, "go", "env", "GOPATH").Output()
	if err != nil {
		return "", fmt.Errorf("versitygw is not in PATH, and go env GOPATH: %w", err)
	}
	return exec.LookPath(filepath.Join(strings.TrimSpace(string(path)), "bin", "versitygw"))
}

// start runs the server until it answers.
func (s *S3) start(t testing.TB, program string, backend ...string) error {
	address, err := freeAddress(t.Context())
	if err != nil {
		return err
	}
	s.Endpoint = "http://" + address
	said := new(strings.Builder)
	// Not the test's context, since that ends before the cleanups that still use the
	// server.
	ctx, stop := context.WithCancel(context.Background())
	server := exec.CommandContext(ctx, program, append([]string{"--quiet", "--port", address, "--region", S3Region, "--keep-alive",
		"--access", S3AccessKey, "--secret", S3SecretKey, "posix"}, backend...)...)
	server.Stdout, server.Stderr = said, said
	if err := server.Start(); err != nil {
		stop()
		return err
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.Wait() // it is stopped by a signal, or its words say more
	}()
	end := func() { stop(); <-ended }
	if err := s.wait(t.Context(), ended); err != nil {
		end()
		return fmt.Errorf("%w: it says: %s", err, said)
	}
	t.Cleanup(end)
	return nil
}

// wait returns when the server answers.
func (s *S3) wait(ctx context.Context, ended <-chan struct{}) error {
	const pause, most = 20 * time.Millisecond, 30 * time.Second
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.Endpoint, nil)
		if err != nil {
			return err
		}
		if response, err := http.DefaultClient.Do(request); err == nil {
			return response.Body.Close()
		}
		select {
		case <-ended:
			return fmt.Errorf("the server at %s has ended", s.Endpoint)
		case <-ctx.Done():
			return fmt.Errorf("the server at %s does not answer: %w", s.Endpoint, ctx.Err())
		case <-time.After(pause):
		}
	}
}

// freeAddress is one that nobody listened at just now.
func freeAddress(ctx context.Context) (string, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}

// NewBucket makes an empty bucket and returns its address for [bucket.Open] and
// --bucket, and the folder where the server keeps its objects. Whoever opens it
// needs the environment of [S3.Env].
func (s *S3) NewBucket(t testing.TB) (address, folder string) {
	t.Helper()
	name := fmt.Sprintf("bucket-%d", s.buckets.Add(1))
	folder = filepath.Join(s.Folder, name)
	// A bucket of this server is a folder; no request is needed to make one.
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	return "s3://" + name + "?region=" + S3Region + "&endpoint=" + s.Endpoint, folder
}

// Options are those by which this process opens one of the server's buckets.
func (s *S3) Options(address string) bucket.Options {
	return bucket.Options{Address: address, Keys: &bucket.Keys{Access: S3AccessKey, Secret: S3SecretKey}}
}

// Open opens one of the server's buckets in this process.
func (s *S3) Open(t testing.TB, address string) bucket.Bucket {
	t.Helper()
	b, err := bucket.OpenWith(s.Options(address))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Env is what a program needs in its environment to reach the server, as KEY=value.
// It also keeps the machine's own configuration out.
func (s *S3) Env() []string {
	nowhere := os.DevNull
	return []string{
		"AWS_ACCESS_KEY_ID=" + S3AccessKey, "AWS_SECRET_ACCESS_KEY=" + S3SecretKey, "AWS_SESSION_TOKEN=",
		"AWS_CONFIG_FILE=" + nowhere, "AWS_SHARED_CREDENTIALS_FILE=" + nowhere, "AWS_PROFILE=", "AWS_EC2_METADATA_DISABLED=true",
	}
}
