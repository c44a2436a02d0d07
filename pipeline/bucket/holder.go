package bucket

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A Holder is a run that has a lock, as others see it.
type Holder struct {
	// ID is drawn for each claim; no two holders share one.
	ID string `json:"id"`
	// Run says what the lock is held for.
	Run  string `json:"run,omitempty"`
	Host string `json:"host"`
	PID  int    `json:"pid"`
	// Started tells the process from a later one of the same number.
	Started string `json:"started,omitempty"`
	// Machine is equal for processes that see one another: one boot of one machine,
	// and one space of process numbers on it. A host's name would not do, since
	// containers share and keep theirs. Empty: not known.
	Machine string `json:"machine,omitempty"`
	// Since is when the lock was claimed, by the holder's clock.
	Since time.Time `json:"since"`
}

func (h Holder) String() string {
	run := h.Run
	if run != "" {
		run += ", "
	}
	if h.PID == 0 {
		return run + "of which nothing else is known"
	}
	return fmt.Sprintf("%sprocess %d on %s, since %s", run, h.PID, h.Host, h.Since.UTC().Format("2006-01-02 15:04:05 UTC"))
}

// thisProcess is the holder that this process becomes by a claim.
func thisProcess(claim Claim) Holder {
	h := Holder{ID: rand.Text(), Run: claim.Run, Host: "an unnamed host", PID: os.Getpid(), Machine: thisMachine(), Since: claim.Now().UTC()}
	if host, err := os.Hostname(); err == nil {
		h.Host = host
	}
	if started, _, err := processStart(h.PID); err == nil { // else the system does not tell
		h.Started = started
	}
	return h
}

// thisMachine is empty where the system does not tell, and then every process
// elsewhere or gone looks the same.
func thisMachine() string {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	space, err := os.Readlink("/proc/self/ns/pid")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(boot)) + " " + space
}

// gone reports that the holder's process is certain not to run any more.
func (h Holder) gone() bool {
	if h.PID <= 0 || h.Machine == "" || h.Started == "" || h.Machine != thisMachine() {
		return false
	}
	// Asked first, since /proc may hide the processes of other users.
	if err := syscall.Kill(h.PID, 0); errors.Is(err, syscall.ESRCH) {
		return true
	}
	started, ended, err := processStart(h.PID)
	return err == nil && (ended || started != h.Started)
}

// processStart reads when a process started, in the kernel's ticks, and whether it
// has ended and only waits for its parent to notice.
func processStart(pid int) (started string, ended bool, err error) {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return "", false, err
	}
	// The second field is the command in brackets, which may itself hold any of them.
	_, rest, found := cutLast(string(stat), ") ")
	fields := strings.Fields(rest)
	const state, start = 0, 19 // the third and the twenty-second field
	if !found || len(fields) <= start {
		return "", false, fmt.Errorf("read /proc/%d/stat: unknown form", pid)
	}
	return fields[start], fields[state] == "Z" || fields[state] == "X", nil
}
