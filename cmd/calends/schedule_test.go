package main

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/calends/calends/jobs/history"
	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pipeline/bucket/buckettest"
	"github.com/calends/calends/pricing"
)

// scheduled writes a configuration and returns the arguments that name it.
func scheduled(t *testing.T, text string) []string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "calends.yaml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{"--config", name}
}

// records are all attempts that the place has recorded. Each slice's are numbered
// from one, and no tick is done with twice, but where one of both was killed: a store
// may take its last write after it is dead, and after the next has looked.
func (p place) records(killed ...int) []history.Ended {
	p.t.Helper()
	b, err := bucket.Open(p.folder)
	if err != nil {
		p.t.Fatal(err)
	}
	store := history.NewStore(b)
	months, err := store.Months(p.t.Context())
	if err != nil || len(months) == 0 {
		p.t.Fatalf("nothing ran: %v", err)
	}
	runs, err := store.Runs(p.t.Context(), months[0], months[len(months)-1])
	if err != nil {
		p.t.Fatal(err)
	}
	attempts, done := make(map[history.Slice]map[int]bool), make(map[string]bool)
	dead := func(e history.Ended) bool {
		return slices.ContainsFunc(killed, func(pid int) bool { return strings.HasSuffix(e.By, fmt.Sprint("process ", pid)) })
	}
	for _, e := range runs {
		if attempts[e.Slice] == nil {
			attempts[e.Slice] = make(map[int]bool)
		}
		attempts[e.Slice][e.Attempt] = true
		tick := fmt.Sprint(e.Slice, " at ", e.Tick)
		if e.Result != history.Done || dead(e) {
			continue
		}
		if done[tick] {
			p.t.Errorf("%s was done twice", tick)
		}
		done[tick] = true
	}
	for slice, numbers := range attempts {
		for n := range len(numbers) {
			if !numbers[n+1] {
				p.t.Errorf("%s: of %d attempts number %d is not there", slice, len(numbers), n+1)
			}
		}
	}
	return runs
}

// rehearsal are the moments at which somebody looks what is due: some a few hours
// late, one after a month of downtime, on both nights on which the clocks move.
var rehearsal = []string{
	"2024-01-20T07:00:00Z", "2024-02-01T00:00:00Z", "2024-02-03T05:30:00Z", "2024-02-03T23:00:00Z",
	"2024-03-31T01:30:00Z", "2024-04-04T12:00:00Z", "2024-10-27T00:30:00Z", "2024-10-27T01:30:00Z",
}

// A schedule that is killed at random moments, sometimes two at a time, and started
// again leaves the invoices of one that nobody disturbed, to the byte.
func TestScheduleKilledAtRandom(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts many processes")
	}
	config := scheduled(t, "schedule: {since: 2024-01, zone: Europe/Amsterdam}\n")
	inputs := filepath.Join("..", "..", "testdata", "demo")
	onDisk := func(t *testing.T) place {
		folder := filepath.Join(t.TempDir(), "bucket")
		return place{t: t, address: folder, folder: folder, inputs: inputs}
	}
	undisturbed := onDisk(t)
	undisturbed.ingest()
	codes := make(map[string]int)
	for _, now := range rehearsal {
		r := undisturbed.calends(append(config, "run", "--due", "--now", now)...)
		if codes[now] = r.ProcessState.ExitCode(); codes[now] != exitDone && codes[now] != exitOpen {
			t.Fatalf("at %s the exit code is %d: %s", now, codes[now], &r.said)
		}
	}
	want := withoutRuns(undisturbed.objects())
	undisturbed.records()

	rehearse := func(t *testing.T, seed uint64, p place) {
		moments := rand.New(rand.NewPCG(seed, 10)) // which moments, not what comes out
		p.ingest()
		hit := 0
		var killed []int
		for _, now := range rehearsal {
			args := append(config, "run", "--due", "--now", now)
			for range moments.IntN(4) {
				both := []*running{p.start(nil, args...), p.start(nil, args...)}[:1+moments.IntN(2)]
				time.Sleep(time.Duration(moments.Int64N(int64(time.Second))))
				for _, r := range both {
					p.signal(r, syscall.SIGKILL) // also when it has ended: nobody has waited for it yet
					if r.end() == -1 {
						hit++
						killed = append(killed, r.Process.Pid)
					}
				}
			}
			p.wantCode(p.calends(args...), codes[now])
		}
		t.Logf("%d rounds were killed on their way", hit)
		if hit == 0 {
			t.Error("nothing was killed")
		}
		got := withoutRuns(p.objects())
		for name, data := range want {
			if got[name] != data {
				t.Errorf("%s is not as an undisturbed schedule leaves it", name)
			}
		}
		if len(got) != len(want) {
			t.Errorf("%d objects, and %d where nobody disturbed it", len(got), len(want))
		}
		for _, e := range p.records(killed...) {
			if e.Result == "" {
				t.Errorf("%s attempt %d did not end", e.Slice, e.Attempt)
			}
		}
		p.wantCode(p.calends("verify"), exitDone)
	}
	for seed := range uint64(killRounds(t)) {
		t.Run(fmt.Sprint("disk ", seed), func(t *testing.T) {
			t.Parallel()
			rehearse(t, seed, onDisk(t))
		})
		t.Run(fmt.Sprint("S3 ", seed), func(t *testing.T) {
			t.Parallel()
			server := buckettest.StartS3(t)
			address, folder := server.NewBucket(t)
			rehearse(t, seed, place{t: t, address: address, folder: folder, env: server.Env(), inputs: inputs})
		})
	}
}

// withoutRuns are the objects that have no instant of the machine's in them.
func withoutRuns(objects map[string]string) map[string]string {
	maps.DeleteFunc(objects, func(name, _ string) bool { return strings.HasPrefix(name, "runs/") })
	return objects
}

// Two machines run the schedule beside each other. One is stopped in the middle of
// its round: that is no failure, what it was at is recorded, and the other goes on at
// once, until all is done once.
func TestScheduleStopsCleanly(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts processes")
	}
	today := time.Now().UTC()
	month := pricing.MonthOf(today.Year(), today.Month())
	first := month - 11
	args := append(scheduled(t, fmt.Sprintf("schedule: {since: %s, poll: 100ms, jobs: {close: \"off\", bill: \"* * 1-31 * *\", verify: \"off\"}}\n", first)), "schedule")
	folder := filepath.Join(t.TempDir(), "bucket")
	p := place{t: t, address: folder, folder: folder, inputs: filepath.Join("..", "..", "testdata", "demo")}
	p.ingest()

	stopped := p.start(nil, args...)
	p.waitForFile(fmt.Sprintf("runs/month=%s/*/*/attempt=0001-started.json", first))
	other := p.start(nil, args...)
	p.waitForFile(fmt.Sprintf("runs/month=%s/*/*/attempt=0001-started.json", first+1))
	p.signal(stopped, syscall.SIGTERM)
	if code := stopped.end(); code != exitDone || !strings.Contains(stopped.said.String(), "stopped; nothing half-written counts") {
		t.Errorf("the first ended with exit code %d: %s", code, &stopped.said)
	}
	for _, e := range p.records() {
		if pid := fmt.Sprintf("process %d", stopped.Process.Pid); e.Result == "" && strings.HasSuffix(e.By, pid) || e.Result == history.Interrupted {
			t.Errorf("%s attempt %d is %q", e.Slice, e.Attempt, e.Result)
		}
	}
	p.waitForFile(fmt.Sprintf("runs/month=%s/*/*/attempt=000?-ended.json", month))
	p.signal(other, syscall.SIGTERM)
	if code := other.end(); code != exitDone {
		t.Errorf("the second ended with exit code %d: %s", code, &other.said)
	}
	by := make(map[string]int)
	for _, e := range p.records() {
		if by[e.By]++; e.Result != history.Done && e.Result != history.Stopped {
			t.Errorf("%s attempt %d is %q: %s", e.Slice, e.Attempt, e.Result, e.Error)
		}
	}
	if len(by) != 2 {
		t.Errorf("the attempts are by %v, want two machines", by)
	}
}

// A machine that is paused in the middle of its round loses the lease, and another
// does the round. When it wakes up it says so, and nothing is done twice.
func TestPausedRound(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts processes")
	}
	server := buckettest.StartS3(t)
	args := append(scheduled(t, "schedule: {since: 2024-01, jobs: {verify: \"off\"}}\n"), "run", "--due", "--now", "2024-01-20T07:00:00Z")
	ttl := []string{"CALENDS_LEASE_TTL=2s"}
	const attempts = 5
	for range attempts {
		address, folder := server.NewBucket(t)
		p := place{t: t, address: address, folder: folder, env: server.Env(), inputs: filepath.Join("..", "..", "testdata", "demo")}
		p.ingest()
		paused := p.start(ttl, args...)
		p.waitForFile("runs/month=2024-01/job=bill/*/attempt=0001-started.json")
		p.signal(paused, syscall.SIGSTOP)
		time.Sleep(100 * time.Millisecond) // for a request that is on its way
		if first := p.records(); len(first) != 1 || first[0].Result != "" {
			p.signal(paused, syscall.SIGCONT)
			_ = paused.end()
			continue // it was done before it could be paused
		}
		next := p.start(ttl, args...)
		if code := next.end(); code != exitDone {
			t.Errorf("the next machine ended with exit code %d: %s", code, &next.said)
		}
		want := withoutRuns(p.objects())
		p.signal(paused, syscall.SIGCONT)
		if code := paused.end(); code != exitFailed || !strings.Contains(paused.said.String(), "the lock is lost") {
			t.Errorf("the machine that was paused ended with exit code %d: %s", code, &paused.said)
		}
		if got := withoutRuns(p.objects()); !maps.Equal(got, want) {
			t.Errorf("the machine that was paused changed something: %d objects, and %d before", len(got), len(want))
		}
		var results []string
		for _, e := range p.records() {
			results = append(results, string(e.Result))
		}
		if got := strings.Join(results, ", "); got != "interrupted, done" {
			t.Errorf("the attempts ended: %s", got)
		}
		return
	}
	t.Fatalf("in %d attempts the round was done before it could be paused", attempts)
}
