// Package servetest gives tests of the server the demo company's bucket: partners,
// prices and changes taken in, January to March 2024 closed, April a draft, March
// compared with Microsoft's files.
package servetest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/calends/calends/jobs"
	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pipeline/subscription"
	"github.com/calends/calends/pricing"
	"github.com/calends/calends/testdata"
)

// Today is the day on which the demo is looked at.
var Today = pricing.DateOf(2024, time.May, 2)

// Now is an instant of that day.
func Now() time.Time { return time.Date(2024, time.May, 2, 9, 30, 0, 0, time.UTC) }

// Env is what jobs work with on a bucket, at [Today].
func Env(b bucket.Bucket) jobs.Env {
	return jobs.Env{
		Bucket: b, Policies: func(string) subscription.Policies { return subscription.Policies{} },
		Version: "test", Today: Today, Workers: 1, Log: slog.New(slog.DiscardHandler),
	}
}

// demo is played once a process.
var demo = sync.OnceValues(play)

// Demo returns a bucket of the test's own with the demo in it.
func Demo(t testing.TB) *bucket.Memory {
	t.Helper()
	all, err := demo()
	if err != nil {
		t.Fatal(err)
	}
	b := bucket.NewMemory()
	b.Now = Now
	for _, o := range all {
		if err := bucket.Put(t.Context(), b, o.key, o.data); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

type object struct {
	key  string
	data []byte
}

// play does what the demo command does, and returns what is in the bucket then.
func play() (all []object, err error) {
	ctx := context.Background()
	folder, err := os.MkdirTemp("", "calends-servetest-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	inputs, err := fs.Sub(testdata.Demo, "demo")
	if err != nil {
		return nil, err
	}
	if err := os.CopyFS(folder, inputs); err != nil {
		return nil, err
	}
	b := bucket.NewMemory()
	env := Env(b)
	months := make([]pricing.Month, 4)
	for i := range months {
		months[i] = pricing.MonthOf(2024, time.January+time.Month(i))
	}
	march, april := months[2], months[3]
	for _, plan := range []jobs.IngestPlan{
		{Paths: []string{"partners.csv", "customers.csv", "fxrates.csv", "promotions.json", "offermatrix.csv", "prices", "changes"}},
		{Paths: []string{"charges"}, Charges: march},
		{Paths: []string{"bad"}},
	} {
		plan.Folder = folder
		if _, err := env.Ingest(ctx, plan); err != nil {
			return nil, err
		}
	}
	for _, m := range months[:3] {
		if _, err := env.Bill(ctx, m, false); err != nil {
			return nil, err
		}
		accept := ""
		if m == march {
			accept = "what is open is known"
		}
		if _, err := env.Close(ctx, m, accept); err != nil {
			return nil, fmt.Errorf("close %s: %w", m, err)
		}
	}
	if _, err := env.Ingest(ctx, jobs.IngestPlan{Folder: folder, Paths: []string{"late"}}); err != nil {
		return nil, err
	}
	if _, err := env.Bill(ctx, april, false); err != nil {
		return nil, err
	}
	if _, err := env.Reconcile(ctx, jobs.ReconcilePlan{Month: march, Folder: folder, Files: []string{"microsoft"}, To: folder}); err != nil {
		return nil, err
	}
	for info, err := range b.List(ctx, "") {
		if err != nil {
			return nil, err
		}
		data, err := bucket.ReadAll(ctx, b, info.Key)
		if err != nil {
			return nil, err
		}
		all = append(all, object{info.Key, data})
	}
	return all, nil
}
