package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pipeline/bucket/buckettest"
)

// A place is a bucket that several processes work on.
type place struct {
	t       *testing.T
	address string
	folder  string   // where its objects are
	env     []string // of who works on it
	inputs  string
}

// places are a bucket on disk and one on a real S3 server, with the demo's inputs
// taken in; and want is what an undisturbed close of 2024-01 makes of them.
func places(t *testing.T, test func(t *testing.T, fresh func() place, want map[string]string)) {
	if testing.Short() {
		t.Skip("starts many processes")
	}
	inputs := filepath.Join("..", "..", "testdata", "demo")
	onDisk := func(t *testing.T) place {
		folder := filepath.Join(t.TempDir(), "bucket")
		return place{t: t, address: folder, folder: folder, inputs: inputs}
	}
	undisturbed := onDisk(t)
	undisturbed.ingest()
	undisturbed.wantCode(undisturbed.calends("close", "2024-01"), exitDone)
	want := undisturbed.objects()

	t.Run("disk", func(t *testing.T) {
		t.Parallel()
		test(t, func() place { return onDisk(t) }, want)
	})
	t.Run("S3", func(t *testing.T) {
		t.Parallel()
		server := buckettest.StartS3(t)
		test(t, func() place {
			address, folder := server.NewBucket(t)
			return place{t: t, address: address, folder: folder, env: server.Env(), inputs: inputs}
		}, want)
	})
}

// running is a calends process and what it says.
type running struct {
	*exec.Cmd
	said bytes.Buffer
}

func (p place) start(env []string, args ...string) *running {
	p.t.Helper()
	r := &running{Cmd: exec.CommandContext(p.t.Context(), "calends", append(args, "--bucket", p.address)...)}
	r.Env = append(append(os.Environ(), p.env...), env...)
	r.Stderr = &r.said
	if err := r.Start(); err != nil {
		p.t.Fatal(err)
	}
	return r
}

// end waits for the process and returns its exit code; -1: it was killed.
func (r *running) end() int {
	_ = r.Wait() // the state says it all
	return r.ProcessState.ExitCode()
}

func (p place) calends(args ...string) *running {
	p.t.Helper()
	r := p.start(nil, args...)
	_ = r.end()
	return r
}

func (p place) wantCode(r *running, want int) {
	p.t.Helper()
	if got := r.ProcessState.ExitCode(); got != want {
		p.t.Errorf("%s ended with exit code %d, want %d: %s", strings.Join(r.Args, " "), got, want, &r.said)
	}
}

func (p place) ingest() {
	p.t.Helper()
	args := []string{"ingest"}
	for _, name := range []string{"partners.csv", "customers.csv", "fxrates.csv", "promotions.json", "offermatrix.csv", "prices", "changes"} {
		args = append(args, filepath.Join(p.inputs, name))
	}
	p.wantCode(p.calends(args...), exitDone)
}

// objects are all files of the bucket, but for the hidden ones of the store.
func (p place) objects() map[string]string {
	p.t.Helper()
	found := make(map[string]string)
	for name, data := range p.files() {
		if !strings.HasPrefix(name, ".") {
			found[name] = data
		}
	}
	return found
}

func (p place) files() map[string]string {
	p.t.Helper()
	found := make(map[string]string)
	folder := os.DirFS(p.folder)
	err := fs.WalkDir(folder, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(folder, name)
		found[name] = string(data)
		return err
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return found
}

// wantUndisturbed wants what one run alone leaves, and nothing of the locks but
// the empty file of a lock on disk.
func (p place) wantUndisturbed(want map[string]string) {
	p.t.Helper()
	got := p.objects()
	for name, data := range want {
		if got[name] != data {
			p.t.Errorf("%s is not as an undisturbed run leaves it", name)
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			p.t.Errorf("%s is there, which an undisturbed run does not leave", name)
		}
	}
	for name, data := range p.files() {
		if strings.HasPrefix(name, ".calends/leases/") || strings.HasPrefix(name, ".calends/tmp/") || strings.HasPrefix(name, ".calends/locks/") && data != "" {
			p.t.Errorf("%s is left: %q", name, data)
		}
	}
}

// Six runs that close one month at the same time give one result. Who does not do
// it finds it done, or is told who is at it.
func TestSixStarters(t *testing.T) {
	t.Parallel()
	places(t, func(t *testing.T, fresh func() place, want map[string]string) {
		p := fresh()
		p.ingest()
		var starters []*running
		for range 6 {
			starters = append(starters, p.start(nil, "close", "2024-01"))
		}
		done := 0
		for _, s := range starters {
			switch code := s.end(); code {
			case exitDone:
				done++
			case exitLocked:
				if !strings.Contains(s.said.String(), "locked by another run: close 2024-01, process ") {
					t.Errorf("it does not say who holds the lock: %s", &s.said)
				}
			default:
				t.Errorf("a starter ended with exit code %d: %s", code, &s.said)
			}
		}
		t.Logf("%d of %d did it or found it done", done, len(starters))
		if done == 0 {
			t.Error("nobody did it")
		}
		p.wantUndisturbed(want)
	})
}

// A run that is killed leaves its lock behind. The next one on the same machine
// sees that it is dead, and does not wait.
func TestRunAfterAKill(t *testing.T) {
	t.Parallel()
	places(t, func(t *testing.T, fresh func() place, want map[string]string) {
		p, killed := caughtWriting(t, fresh)
		p.signal(killed, syscall.SIGKILL)
		if code := killed.end(); code != -1 {
			t.Fatalf("the killed process ended with exit code %d: %s", code, &killed.said)
		}
		begun := time.Now()
		next := p.calends("close", "2024-01")
		p.wantCode(next, exitDone)
		if took := time.Since(begun); took > bucket.DefaultTTL/2 {
			t.Errorf("the next run took %s: it waited for the dead", took)
		}
		p.wantUndisturbed(want)
	})
}

// caughtWriting starts to close 2024-01 in a fresh place, and stops the process
// where files of the revision are there and the manifest is not.
func caughtWriting(t *testing.T, fresh func() place, env ...string) (place, *running) {
	t.Helper()
	const attempts = 5
	for range attempts {
		p := fresh()
		p.ingest()
		r := p.start(env, "close", "2024-01")
		p.waitForFile("invoices/month=2024-01/revision=0001/*/*")
		p.signal(r, syscall.SIGSTOP)
		time.Sleep(100 * time.Millisecond) // for a request that is on its way
		if _, published := p.objects()["invoices/month=2024-01/revision=0001/manifest.json"]; !published {
			return p, r
		}
		p.signal(r, syscall.SIGCONT)
		_ = r.end()
	}
	t.Fatalf("in %d attempts the process was done before it could be stopped", attempts)
	return place{}, nil
}

func (p place) waitForFile(pattern string) {
	p.t.Helper()
	for begun := time.Now(); time.Since(begun) < time.Minute; time.Sleep(time.Millisecond) {
		if names, err := filepath.Glob(filepath.Join(p.folder, pattern)); err != nil || len(names) > 0 {
			return
		}
	}
	p.t.Fatalf("no file %s appears", pattern)
}

// A run that is paused for longer than it may be silent loses a lease. When it wakes
// up it publishes nothing and says why. A lock on disk is the kernel's, and a paused
// process keeps it.
func TestPausedRun(t *testing.T) {
	t.Parallel()
	places(t, func(t *testing.T, fresh func() place, want map[string]string) {
		const ttl = "CALENDS_LEASE_TTL=2s"
		p, paused := caughtWriting(t, fresh, ttl)
		next := p.start([]string{ttl}, "close", "2024-01")
		code := next.end()
		if p.env == nil {
			if holder := fmt.Sprintf("close 2024-01, process %d on ", paused.Process.Pid); code != exitLocked || !strings.Contains(next.said.String(), holder) {
				t.Errorf("while a process on this machine is paused the next ends with exit code %d, want %d and the holder: %s", code, exitLocked, &next.said)
			}
			p.signal(paused, syscall.SIGCONT)
			if code := paused.end(); code != exitDone {
				t.Errorf("the process that was paused ended with exit code %d: %s", code, &paused.said)
			}
			p.wantUndisturbed(want)
			return
		}
		p.wantCode(next, exitDone)
		if !strings.Contains(next.said.String(), "waiting up to 2s for a sign of life") {
			t.Errorf("the next run does not say why it waits: %s", &next.said)
		}
		p.wantUndisturbed(want)

		p.signal(paused, syscall.SIGCONT)
		if code := paused.end(); code != exitFailed || !strings.Contains(paused.said.String(), "the lock is lost: this run showed no sign of life for ") {
			t.Errorf("the loser ended with exit code %d, want %d and the reason: %s", code, exitFailed, &paused.said)
		}
		p.wantUndisturbed(want)
	})
}

func (p place) signal(r *running, s syscall.Signal) {
	p.t.Helper()
	if err := r.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}
