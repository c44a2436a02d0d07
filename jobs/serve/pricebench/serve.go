package pricebench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"sync"
	"time"

	"github.com/calends/calends/jobs"
	"github.com/calends/calends/jobs/serve"
	"github.com/calends/calends/jobs/serve/access"
	"github.com/calends/calends/jobs/serve/access/directory"
	"github.com/calends/calends/jobs/serve/access/signin"
	"github.com/calends/calends/jobs/serve/audit"
	"github.com/calends/calends/jobs/serve/pricebook"
	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pricing"
)

// PerSecond is the limit of requests for one caller while it is measured: it is on, and
// above what can be asked.
const PerSecond = 1_000_000

// Token makes a token in the bucket that may ask for prices for an hour.
func Token(ctx context.Context, b bucket.Bucket) (string, error) {
	token, _, err := directory.New(b, time.Now).CreateToken(ctx, directory.Token{
		Name: "bench", Rights: directory.Rights{Roles: []access.Role{access.SalesAgent}}, Expires: time.Now().Add(time.Hour).UTC().Format(time.RFC3339)})
	if err != nil {
		return "", fmt.Errorf("make a token: %w", err)
	}
	return token.Reveal(), nil
}

// Serve is the whole server on a bucket, as calends serve is without a configuration:
// sign-in, limits and trail are on. It ends with the context.
func Serve(ctx context.Context, env jobs.Env, l net.Listener) (err error) {
	trail := audit.NewStore(env.Bucket, audit.Settings{Now: time.Now, Log: env.Log})
	var group sync.WaitGroup
	group.Go(func() { trail.Run(ctx) })
	defer func() {
		group.Wait()
		err = errors.Join(err, trail.Close(context.WithoutCancel(ctx)))
	}()
	who, err := signin.NewLocal(l.Addr(), signin.Settings{Directory: directory.New(env.Bucket, time.Now), Trail: trail, Now: time.Now, Log: env.Log})
	if err != nil {
		return err
	}
	s, err := serve.New(ctx, serve.Options{Limits: serve.Limits{PerSecond: PerSecond, Burst: PerSecond}}, serve.World{
		Env: func() jobs.Env { return env }, Now: time.Now, Log: env.Log, Version: env.Version, Who: who, Trail: trail})
	if err != nil {
		return err
	}
	return s.Serve(ctx, l)
}

// LookedUp is what looking prices up in this process took, without a server.
type LookedUp struct {
	StartUp    float64 `json:"startUp"` // seconds until all sheets were read
	PerSecond  float64 `json:"perSecond"`
	PeakMemory int64   `json:"peakMemory"` // bytes
}

// Books are the ways to have all sheets in memory.
var Books = map[string]func(ctx context.Context, env jobs.Env) (pricing.Book, error){
	"book": func(ctx context.Context, env jobs.Env) (pricing.Book, error) {
		reading, err := env.Read(ctx)
		if err != nil {
			return nil, err
		}
		book, err := pricebook.Read(ctx, ledger.Ledger{Bucket: env.Bucket}, reading.Catalog().SheetSources(), nil, env.Workers)
		return finder{book}, err
	},
	// maps is what a run of billing does: each sheet a map of rows.
	"maps": func(ctx context.Context, env jobs.Env) (pricing.Book, error) {
		reading, err := env.Read(ctx)
		if err != nil {
			return nil, err
		}
		return reading.Catalog(), errors.Join(together(env.Workers, reading.Catalog().SheetSources(), func(s ledger.SheetSource) error {
			_, err := reading.Catalog().Sheet(s.Market, s.Month)
			return err
		})...)
	},
}

// finder has its own way to find a price.
type finder struct{ *pricebook.Book }

// together does something with each, as many at a time as there are workers.
func together[T any](workers int, all []T, do func(T) error) []error {
	errs := make([]error, len(all))
	next := make(chan int, len(all))
	for i := range all {
		next <- i
	}
	close(next)
	var group sync.WaitGroup
	for range max(1, workers) {
		group.Go(func() {
			for i := range next {
				errs[i] = do(all[i])
			}
		})
	}
	group.Wait()
	return errs
}

// LookUp reads all sheets in one of the [Books] and looks the plan's prices up for a
// while, in as many goroutines as there are workers.
func LookUp(ctx context.Context, env jobs.Env, p Plan, how string, during time.Duration) (LookedUp, error) {
	began := time.Now()
	book, err := Books[how](ctx, env)
	if err != nil {
		return LookedUp{}, err
	}
	r := LookedUp{StartUp: time.Since(began).Seconds()}
	find := func(q pricing.PriceQuery) (pricing.Price, error) { return pricing.FindPrice(book, q) }
	if f, ok := book.(finder); ok {
		find = f.Find
	}
	queries, wants := p.queries(20_000)
	begin := time.Now()
	counts := make([]int, max(1, env.Workers))
	workers := make([]int, len(counts))
	for i := range workers {
		workers[i] = i
	}
	errs := together(len(workers), workers, func(worker int) error {
		for n := worker; ; n += len(workers) {
			if counts[worker]%256 == 0 && (time.Since(begin) > during || ctx.Err() != nil) {
				return ctx.Err()
			}
			i := n % len(queries)
			price, err := find(queries[i])
			if err != nil {
				return err
			}
			if !price.Row.UnitPrice.Equal(wants[i].UnitPrice) {
				return fmt.Errorf("look up %+v: got %s, want %s", queries[i], price.Row.UnitPrice, wants[i].UnitPrice)
			}
			counts[worker]++
		}
	})
	took := time.Since(begin)
	all := 0
	for _, n := range counts {
		all += n
	}
	r.PerSecond = float64(all) / took.Seconds()
	runtime.KeepAlive(book)
	if err := errors.Join(errs...); err != nil {
		return LookedUp{}, err
	}
	r.PeakMemory, err = jobs.PeakMemory()
	return r, err
}
