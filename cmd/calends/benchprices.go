package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/calends/calends/jobs"
	"github.com/calends/calends/jobs/serve/pricebench"
)

type benchPricesCmd struct {
	benchSheets
	Seconds     int  `default:"10" placeholder:"N" help:"How long each measurement lasts. Default 10."`
	Connections int  `default:"16" placeholder:"N" help:"How many ask at a time. Default 16."`
	Rate        int  `default:"20000" placeholder:"N" help:"Lookups a second of the second measurement. Default 20000."`
	Keys        int  `default:"50" placeholder:"N" help:"Keys a request of the third measurement, 1000 at most. Default 50."`
	Keep        bool `help:"Keep the sheets, and say where they are."`
}

// benchSheets are the flags that say which price sheets are invented.
type benchSheets struct {
	Rows    int      `default:"1000000" placeholder:"N" help:"Rows of all sheets together. Default 1000000."`
	Markets int      `default:"40" placeholder:"N" help:"Markets. Default 40."`
	Months  int      `default:"1" placeholder:"N" help:"Months. Default 1."`
	Month   monthArg `default:"2026-10" placeholder:"MONTH" help:"The last month. Default 2026-10."`
	Seed    uint64   `default:"1" placeholder:"N" help:"The same seed gives the same sheets. Default 1."`
}

func (s benchSheets) plan() (pricebench.Plan, error) {
	if s.Markets < 1 || s.Markets > 26*26 || s.Months < 1 || s.Months > 120 || s.Rows < s.Markets*s.Months || s.Rows > 100_000_000 {
		return pricebench.Plan{}, fmt.Errorf("bench prices: %w: want 1 to 676 markets, 1 to 120 months, and up to 100000000 rows, one for each of both at least", jobs.ErrUsage)
	}
	return pricebench.Plan{Markets: s.Markets, Months: s.Months, Month: s.Month.Month, Rows: s.Rows, Seed: s.Seed}, nil
}

func (s benchSheets) args() []string {
	return []string{"--rows", strconv.Itoa(s.Rows), "--markets", strconv.Itoa(s.Markets), "--months", strconv.Itoa(s.Months), "--month", s.Month.String(), "--seed", strconv.FormatUint(s.Seed, 10)}
}

// Help tells more than one line.
func (benchPricesCmd) Help() string {
	return `Invents price sheets, starts a server on 127.0.0.1 with all of them, and asks it for prices by
GET /v1/price with a token, each with a key of its own: first as many as are answered, then at a steady rate, where an
answer counts from when it was due to be asked for, then by POST /v1/price-lookups, many keys a request. Each
answer is compared with the price that was invented.
The limit for one caller is on, raised to 1000000 a second. Asking costs processor time, too, on the same machine.

Beside it, without a server, the same lookups in the index that the server has and in the maps of rows that a
run of billing makes.

    calends bench prices --rows 1000000 --markets 40`
}

// benchPricesResult is what asking for prices took.
type benchPricesResult struct {
	Rows        int     `json:"rows"`
	Sheets      int     `json:"sheets"`
	Workers     int     `json:"workers"`
	Connections int     `json:"connections"`
	StartUp     float64 `json:"startUp"` // seconds from the start of the program to its first price
	PeakMemory  int64   `json:"peakMemory"`
	// Limit is how many requests a second the server would let one caller make.
	Limit int          `json:"limit"`
	Most  benchLookups `json:"most"`
	Paced benchLookups `json:"paced"`
	// Bulk is in requests of many keys; its times are those of requests.
	Bulk benchLookups        `json:"bulk"`
	Book pricebench.LookedUp `json:"book"`
	Maps pricebench.LookedUp `json:"maps"`
}

// benchLookups is how lookups were answered. Times are milliseconds.
type benchLookups struct {
	Answers   int     `json:"answers"`
	PerSecond float64 `json:"perSecond"`
	P50       float64 `json:"p50"`
	P99       float64 `json:"p99"`
	P999      float64 `json:"p999"`
	Longest   float64 `json:"longest"`
	// Processor time for one lookup, microseconds: of the server and of who asks.
	Server float64 `json:"serverMicroseconds"`
	Client float64 `json:"clientMicroseconds"`
}

// benchUsed is what a process has used so far.
type benchUsed struct {
	PeakMemory int64         `json:"peakMemory"`
	Processor  time.Duration `json:"processor"`
}

func used() (benchUsed, error) {
	peak, err := jobs.PeakMemory()
	return benchUsed{peak, jobs.ProcessorTime()}, err
}

// lookupsOf makes of requests of so many keys what is told.
func lookupsOf(a pricebench.Answered, keys int) benchLookups {
	ms := func(share float64) float64 { return float64(a.Within(share)) / float64(time.Millisecond) }
	return benchLookups{Answers: a.Answers * keys, PerSecond: a.PerSecond() * float64(keys), P50: ms(0.5), P99: ms(0.99), P999: ms(0.999), Longest: ms(1)}
}

// Run invents, serves and asks.
func (c benchPricesCmd) Run(ctx context.Context, a *app) (err error) {
	plan, err := c.plan()
	if err != nil {
		return err
	}
	if c.Seconds < 1 || c.Seconds > 300 || c.Connections < 1 || c.Connections > 1000 || c.Rate < 1 || c.Keys < 1 || c.Keys > 1000 {
		return fmt.Errorf("bench prices: %w: want 1 to 300 seconds, 1 to 1000 connections, 1 to 1000 keys, and a rate above 0", jobs.ErrUsage)
	}
	folder, err := os.MkdirTemp("", "calends-bench-prices-")
	if err != nil {
		return fmt.Errorf("bench prices: %w", err)
	}
	if c.Keep {
		a.say("bench prices: the sheets are kept in %s", folder)
	} else {
		defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	}
	env, err := a.envOn(folder, defaultsOfConfig())
	if err != nil {
		return err
	}
	a.say("bench prices: invent %s in %s", plural(c.Rows, "row"), plural(c.Markets*c.Months, "sheet"))
	err = plan.Make(ctx, env.Bucket, func(done, total int) {
		if env.Progress != nil {
			env.Progress("invent price sheets", int64(done), int64(total))
		}
	})
	if err != nil {
		return fmt.Errorf("bench prices: %w", err)
	}
	r := benchPricesResult{Rows: c.Rows / (c.Markets * c.Months) * c.Markets * c.Months, Sheets: c.Markets * c.Months, Workers: env.Workers, Connections: c.Connections, Limit: pricebench.PerSecond}
	if err := c.measure(ctx, a, env, plan, folder, &r); err != nil {
		return fmt.Errorf("bench prices: %w", err)
	}
	for how, into := range map[string]*pricebench.LookedUp{"book": &r.Book, "maps": &r.Maps} {
		a.say("bench prices: look up in %s, without a server", map[string]string{"book": "the index", "maps": "maps of rows"}[how])
		out, err := a.self(ctx, append([]string{"bench", "prices-look-up", folder, "--how", how, "--workers", strconv.Itoa(env.Workers)}, c.args()...)...)
		if err != nil {
			return fmt.Errorf("bench prices: %w", err)
		}
		if err := json.Unmarshal(out, into); err != nil {
			return fmt.Errorf("bench prices: read what was measured: %w", err)
		}
	}
	return a.show(view{json: r, rows: benchPricesRows(r), text: func(w io.Writer) { writeBenchPrices(w, c.Rate, r) }})
}

// self runs this program and returns what it prints.
func (a *app) self(ctx context.Context, args ...string) ([]byte, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Stdout, cmd.Stderr = &out, a.stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%s: %w", strings.Join(args[:2], " "), cmp.Or(ctx.Err(), err))
	}
	return out.Bytes(), nil
}

// measure starts the server as a process of its own, so that the memory is its own, and
// asks it.
func (c benchPricesCmd) measure(ctx context.Context, a *app, env jobs.Env, plan pricebench.Plan, folder string, r *benchPricesResult) (err error) {
	token, err := pricebench.Token(ctx, env.Bucket)
	if err != nil {
		return err
	}
	questions := plan.Questions(100_000, "127.0.0.1", token)
	bulk := plan.Bulk(2000, c.Keys, "127.0.0.1", token)
	program, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, program, "bench", "prices-server", folder, "--workers", strconv.Itoa(env.Workers))
	cmd.Stderr = a.stderr
	stop, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	said, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	a.say("bench prices: start a server")
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return err
	}
	err = c.ask(ctx, a, bufio.NewReader(said), stop, questions, bulk, began, r)
	return errors.Join(err, stop.Close(), cmd.Wait())
}

// ask asks the server that says where it is, and what it has used when it gets a line.
func (c benchPricesCmd) ask(ctx context.Context, a *app, said *bufio.Reader, stop io.Writer, questions, bulk []pricebench.Question, began time.Time, r *benchPricesResult) error {
	line, err := said.ReadString('\n')
	if err != nil {
		return fmt.Errorf("start a server: %w", err)
	}
	load := pricebench.Load{Address: strings.TrimSpace(line), Questions: questions, Connections: 1, For: time.Minute, Most: 1}
	first, err := load.Run(ctx)
	if err != nil {
		return err
	}
	if first.Answers != 1 {
		return errors.New("the server did not answer within a minute")
	}
	r.StartUp = time.Since(began).Seconds()
	load.Connections, load.For, load.Most = c.Connections, time.Second, 0
	if _, err := load.Run(ctx); err != nil { // to get warm
		return err
	}
	usedBy := func() (u benchUsed, err error) {
		if _, err := fmt.Fprintln(stop); err != nil {
			return u, err
		}
		line, err := said.ReadBytes('\n')
		if err != nil {
			return u, err
		}
		return u, json.Unmarshal(line, &u)
	}
	load.For = time.Duration(c.Seconds) * time.Second
	for _, one := range []struct {
		rate int
		what string
		into *benchLookups
	}{
		{0, "as many as are answered", &r.Most},
		{c.Rate, plural(c.Rate, "lookup") + " a second", &r.Paced},
		{0, "as many as are answered, " + plural(c.Keys, "key") + " a request", &r.Bulk},
	} {
		a.say("bench prices: ask for %s, %s", plural(c.Seconds, "second"), one.what)
		keys := 1
		if load.Rate = one.rate; one.into == &r.Bulk {
			load.Questions, keys = bulk, c.Keys
		}
		before, err := usedBy()
		if err != nil {
			return err
		}
		own := jobs.ProcessorTime()
		answered, err := load.Run(ctx)
		if err != nil {
			return err
		}
		own = jobs.ProcessorTime() - own
		after, err := usedBy()
		if err != nil {
			return err
		}
		*one.into = lookupsOf(answered, keys)
		each := func(d time.Duration) float64 {
			return float64(d) / float64(time.Microsecond) / float64(max(1, one.into.Answers))
		}
		one.into.Server, one.into.Client = each(after.Processor-before.Processor), each(own)
		r.PeakMemory = after.PeakMemory
	}
	return nil
}

// benchPricesServerCmd is the server that bench prices asks.
type benchPricesServerCmd struct {
	Folder string `arg:"" help:"Bucket with price sheets."`
}

// Run serves until its input ends. It says where, and for each line what it has used.
func (c benchPricesServerCmd) Run(ctx context.Context, a *app) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	env, err := a.envOn(c.Folder, defaultsOfConfig())
	if err != nil {
		return err
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(a.stdout, l.Addr()); err != nil {
		return err
	}
	go func() { // ends with the process: nothing interrupts reading
		defer stop()
		for lines := bufio.NewScanner(a.stdin); lines.Scan(); {
			u, err := used()
			if err == nil {
				err = json.NewEncoder(a.stdout).Encode(u)
			}
			if err != nil {
				a.complain(err)
				return
			}
		}
	}()
	return pricebench.Serve(ctx, env, l)
}

// benchPricesLookUpCmd looks prices up without a server.
type benchPricesLookUpCmd struct {
	Folder string `arg:"" help:"Bucket with price sheets."`
	How    string `required:"" enum:"book,maps" help:"What has the sheets."`
	benchSheets
}

// Run looks up.
func (c benchPricesLookUpCmd) Run(ctx context.Context, a *app) error {
	plan, err := c.plan()
	if err != nil {
		return err
	}
	env, err := a.envOn(c.Folder, defaultsOfConfig())
	if err != nil {
		return err
	}
	r, err := pricebench.LookUp(ctx, env, plan, c.How, 3*time.Second)
	if err != nil {
		return err
	}
	return json.NewEncoder(a.stdout).Encode(r)
}

func writeBenchPrices(w io.Writer, rate int, r benchPricesResult) {
	fmt.Fprintf(w, "%s in %s, %s\n", plural(r.Rows, "row"), plural(r.Sheets, "sheet"), plural(r.Workers, "worker"))
	fmt.Fprintf(w, "  %-34s %9s\n", "start of the server to first price", seconds(r.StartUp))
	fmt.Fprintf(w, "  %-34s %9s\n", "peak memory of the server", megabytes(r.PeakMemory))
	fmt.Fprintf(w, "\n%s, each answer compared\n", plural(r.Connections, "connection"))
	t := newTable("", ">LOOKUPS A SECOND", ">P50 MS", ">P99 MS", ">P99.9 MS", ">LONGEST MS", ">SERVER", ">CLIENT")
	for _, one := range []struct {
		name string
		l    benchLookups
	}{{"as many as are answered", r.Most}, {fmt.Sprintf("%d a second", rate), r.Paced}, {"many a request", r.Bulk}} {
		t.add(one.name, fixed(one.l.PerSecond, 0), fixed(one.l.P50, 2), fixed(one.l.P99, 2), fixed(one.l.P999, 2), fixed(one.l.Longest, 2),
			fixed(one.l.Server, 0)+" µs", fixed(one.l.Client, 0)+" µs")
	}
	t.write(w, "  ")
	fmt.Fprintln(w, "  server, client: processor time of each for one lookup; the times of many a request are a request's")
	fmt.Fprintln(w, "\nwithout a server")
	t = newTable("", ">START-UP", ">LOOKUPS A SECOND", ">PEAK MEMORY")
	for _, one := range []struct {
		name string
		l    pricebench.LookedUp
	}{{"the server's index", r.Book}, {"maps of rows", r.Maps}} {
		t.add(one.name, seconds(one.l.StartUp), fixed(one.l.PerSecond, 0), megabytes(one.l.PeakMemory))
	}
	t.write(w, "  ")
}

func fixed(f float64, digits int) string { return strconv.FormatFloat(f, 'f', digits, 64) }

func benchPricesRows(r benchPricesResult) *table {
	t := newTable("What", ">Rows", ">StartUpSeconds", ">PeakMemory", ">LookupsPerSecond", ">P50Ms", ">P99Ms", ">P999Ms", ">LongestMs")
	for _, one := range []struct {
		name string
		l    benchLookups
	}{{"most", r.Most}, {"paced", r.Paced}, {"bulk", r.Bulk}} {
		t.add(one.name, strconv.Itoa(r.Rows), fixed(r.StartUp, 3), count(r.PeakMemory), fixed(one.l.PerSecond, 0), fixed(one.l.P50, 3), fixed(one.l.P99, 3), fixed(one.l.P999, 3), fixed(one.l.Longest, 3))
	}
	for _, one := range []struct {
		name string
		l    pricebench.LookedUp
	}{{"book", r.Book}, {"maps", r.Maps}} {
		t.add(one.name, strconv.Itoa(r.Rows), fixed(one.l.StartUp, 3), count(one.l.PeakMemory), fixed(one.l.PerSecond, 0), "", "", "", "")
	}
	return t
}
