package bucket

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestHolderIsGone(t *testing.T) {
	t.Parallel()
	us := thisProcess(Claim{}.withDefaults())
	if us.Machine == "" || us.Started == "" {
		t.Skip("this system does not tell which processes run; every holder is waited for")
	}
	child := exec.CommandContext(t.Context(), "sleep", "60")
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	other := us
	other.PID = child.Process.Pid
	other.Started, _, _ = processStart(other.PID)
	wantGone := func(when string, h Holder, want bool) {
		t.Helper()
		if got := h.gone(); got != want {
			t.Errorf("%s: gone = %t, want %t", when, got, want)
		}
	}
	wantGone("this process", us, false)
	wantGone("another process", other, false)
	if err := child.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	wantGone("a stopped process", other, false)

	earlier := other
	earlier.Started += "0"
	wantGone("an earlier process of the same number", earlier, true)
	elsewhere := other
	elsewhere.Machine += " elsewhere"
	elsewhere.PID = 1 << 30
	wantGone("a process of another machine", elsewhere, false)
	wantGone("nothing is known", Holder{}, false)

	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for begun := time.Now(); !other.gone() && time.Since(begun) < 10*time.Second; time.Sleep(time.Millisecond) {
	}
	wantGone("a killed process that its parent has not noticed yet", other, true)
	_ = child.Wait() // killed, as wanted
	wantGone("a process that has ended", other, true)
}

// The note of a holder that was killed stays in the file. Who finds the lock taken
// by another, that has not come to writing its own, does not believe it.
func TestDiskDoesNotNameTheDead(t *testing.T) {
	t.Parallel()
	d, err := NewDisk(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	claim := Claim{Name: "write"}
	held, err := d.Lock(t.Context(), claim)
	if err != nil {
		t.Fatal(err)
	}
	dead := thisProcess(claim.withDefaults())
	dead.Run, dead.Started = "the dead one", "0"
	note, err := json.Marshal(dead)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(d.ownPath(lockFolder), "write"), note, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err = d.Lock(t.Context(), claim); !errors.Is(err, ErrLocked) || strings.Contains(err.Error(), dead.Run) {
		t.Errorf("Lock = %v, want ErrLocked, and nothing of the dead", err)
	}
	if err := held.Unlock(); err != nil {
		t.Error(err)
	}
}

// Who removes the store's own folder lets a second run in. The first notices.
func TestDiskLockRemovedByHand(t *testing.T) {
	t.Parallel()
	d, err := NewDisk(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	first, err := d.Lock(t.Context(), Claim{Name: "write"})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(d.ownPath("")); err != nil {
		t.Fatal(err)
	}
	for _, when := range []string{"removed", "taken by another"} {
		if err := first.Check(t.Context()); !errors.Is(err, ErrLost) {
			t.Errorf("Check of a lock that was %s = %v, want ErrLost", when, err)
		}
		if cause := context.Cause(first.Context()); !errors.Is(cause, ErrLost) {
			t.Errorf("the cause of its context = %v, want ErrLost", cause)
		}
		if when == "removed" {
			second, err := d.Lock(t.Context(), Claim{Name: "write"})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := second.Unlock(); err != nil {
					t.Error(err)
				}
			})
		}
	}
	if err := first.Unlock(); err != nil {
		t.Error(err)
	}
}
