package current_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/calends/calends/jobs"
	"github.com/calends/calends/jobs/serve/current"
	"github.com/calends/calends/jobs/serve/servetest"
	"github.com/calends/calends/pipeline/bucket"
)

// clock is moved by hand.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// gate is a bucket whose listings wait until they may pass.
type gate struct {
	*bucket.Memory
	mu     sync.Mutex
	closed chan struct{} // nil: open
	came   chan struct{}
	broken error
}

func (g *gate) Open(ctx context.Context, key string) (bucket.Object, error) {
	g.mu.Lock()
	closed, broken := g.closed, g.broken
	g.mu.Unlock()
	if broken != nil {
		return nil, broken
	}
	if closed != nil {
		select {
		case g.came <- struct{}{}:
		default:
		}
		<-closed
	}
	return g.Memory.Open(ctx, key)
}

func (g *gate) shut() (open func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	closed := make(chan struct{})
	g.closed = closed
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.closed = nil
		close(closed)
	}
}

func take(t *testing.T, env jobs.Env, id string) {
	t.Helper()
	folder := t.TempDir()
	line := `{"specversion":"1.0","id":"` + id + `","source":"test","type":"subscription.purchased","time":"2024-05-01T09:30:00Z","subject":"` + id +
		`","data":{"customerId":"dd6c7dae-4000-49f1-93b4-5dee8cf0620e","productId":"CFQ7TTC0LDPB","skuId":"0001","termDuration":"P1Y","billingCycle":"Monthly","quantity":1}}` + "\n"
	if err := os.WriteFile(filepath.Join(folder, "one.jsonl"), []byte(line), 0o600); err != nil {
		t.Fatal(err)
	}
	if r, err := env.Ingest(t.Context(), jobs.IngestPlan{Folder: folder, Paths: []string{"one.jsonl"}}); err != nil || len(r.Files) != 1 {
		t.Fatalf("%v, %+v", err, r)
	}
}

func TestReading(t *testing.T) {
	t.Parallel()
	g := &gate{Memory: servetest.Demo(t), came: make(chan struct{}, 1)}
	env := servetest.Env(g)
	time := &clock{at: servetest.Now()}
	c := current.New(t.Context(), func() jobs.Env { return env }, time.now, 2e9)
	inputs := func() int {
		t.Helper()
		r, err := c.Reading()
		if err != nil {
			t.Fatal(err)
		}
		return len(r.Inputs())
	}
	began := inputs()

	take(t, env, "11111111-0000-4000-8000-000000000001")
	if n := inputs(); n != began {
		t.Errorf("a reading of this moment was read again: %d inputs, had %d", n, began)
	}
	time.pass(2e9)
	if n := inputs(); n != began+1 {
		t.Errorf("two seconds later: %d inputs, want %d", n, began+1)
	}
	take(t, env, "11111111-0000-4000-8000-000000000002")
	c.Renew()
	if n := inputs(); n != began+2 {
		t.Errorf("after Renew: %d inputs, want %d", n, began+2)
	}

	// While one reads on, the others have what there is.
	take(t, env, "11111111-0000-4000-8000-000000000003")
	time.pass(2e9)
	open := g.shut()
	reader := make(chan int)
	go func() {
		r, err := c.Reading()
		if err != nil {
			reader <- -1
			return
		}
		reader <- len(r.Inputs())
	}()
	<-g.came
	if n := inputs(); n != began+2 {
		t.Errorf("while another reads: %d inputs, want %d", n, began+2)
	}
	open()
	if n := <-reader; n != began+3 {
		t.Errorf("who read on: %d inputs, want %d", n, began+3)
	}

	// A bucket that cannot be read is an error for who must see what was written.
	g.mu.Lock()
	g.broken = errors.New("the store is away")
	g.mu.Unlock()
	c.Renew()
	for range 2 {
		if _, err := c.Reading(); err == nil {
			t.Error("what was written is hidden")
		}
	}
	g.mu.Lock()
	g.broken = nil
	g.mu.Unlock()
	if n := inputs(); n != began+3 {
		t.Errorf("once it is back: %d inputs, want %d", n, began+3)
	}
}
