package pricebench

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httputil"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/calends/calends/pricing"
)

// Question is a request for prices, as it goes over the wire, and what its answer has, in
// order: a price each.
type Question struct {
	Request []byte
	Want    [][]byte
}

// draw draws rows of the plan's last month.
func (p Plan) draw(n int) []pricing.Row {
	random := newDice(p.Seed, 1<<32)
	drawn := make([]pricing.Row, 0, n+p.Markets)
	for market := range p.Markets {
		rows := p.Sheet(market, p.Month)
		for range (n + p.Markets - 1) / p.Markets {
			drawn = append(drawn, rows[random.roll(len(rows))])
		}
	}
	for i := len(drawn) - 1; i > 0; i-- {
		k := random.roll(i + 1)
		drawn[i], drawn[k] = drawn[k], drawn[i]
	}
	return drawn
}

// queries are questions for drawn rows, which are their answers.
func (p Plan) queries(n int) ([]pricing.PriceQuery, []pricing.Row) {
	rows := p.draw(n)
	queries := make([]pricing.PriceQuery, len(rows))
	for i, r := range rows {
		queries[i] = pricing.PriceQuery{SKU: r.SKU, Term: r.Term, Plan: r.Plan, Market: r.Market, Segment: r.Segment, BillingCurrency: r.Currency, At: p.at()}
	}
	return queries, rows
}

// at is when prices are asked for: in the middle of the last month.
func (p Plan) at() pricing.Instant { return (p.Month.First() + 14).Instant() }

// Questions draws requests for prices.
func (p Plan) Questions(n int, host, token string) []Question {
	questions := make([]Question, 0, n)
	for _, r := range p.draw(n) {
		questions = append(questions, Question{
			Request: fmt.Appendf(nil, "GET /v1/price?market=%s&productId=%s&skuId=%s&termDuration=%s&billingPlan=%s&segment=%s&currency=%s&at=%s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n\r\n",
				r.Market, r.ProductID, r.SkuID, r.Term, r.Plan, r.Segment, r.Currency, p.at(), host, token),
			Want: [][]byte{wanted(r)},
		})
	}
	return questions
}

func wanted(r pricing.Row) []byte { return fmt.Appendf(nil, `"unitPrice":"%s"`, r.UnitPrice) }

// Bulk draws requests for many prices each.
func (p Plan) Bulk(requests, keys int, host, token string) []Question {
	rows := p.draw(requests * keys)
	questions := make([]Question, requests)
	for i := range questions {
		var body []byte
		for k, r := range rows[i*keys : (i+1)*keys] {
			body = fmt.Appendf(body, `%c{"market":"%s","productId":"%s","skuId":"%s","termDuration":"%s","billingPlan":"%s","segment":"%s","currency":"%s"}`,
				"[,"[min(k, 1)], r.Market, r.ProductID, r.SkuID, r.Term, r.Plan, r.Segment, r.Currency)
			questions[i].Want = append(questions[i].Want, wanted(r))
		}
		body = fmt.Appendf(nil, `{"at":"%s","keys":%s]}`, p.at(), body)
		questions[i].Request = fmt.Appendf(nil, "POST /v1/price-lookups HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
			host, token, len(body), body)
	}
	return questions
}

// Load says how a server is asked.
type Load struct {
	Address     string
	Questions   []Question
	Connections int // each asks one thing at a time
	// Rate is how many are asked in a second, each at its time, whether the answers
	// before have come or not: waiting for them counts. 0: as many as are answered.
	Rate int
	For  time.Duration
	// Most is how many a connection asks. 0: as many as there is time for.
	Most int
}

// Answered is how that went.
type Answered struct {
	Answers int
	Took    time.Duration
	waits   []time.Duration // sorted
}

// PerSecond is how many were answered in a second.
func (a Answered) PerSecond() float64 { return float64(a.Answers) / a.Took.Seconds() }

// Within is how long it took until so much of all answers, such as 0.99, were there.
func (a Answered) Within(share float64) time.Duration {
	if len(a.waits) == 0 {
		return 0
	}
	return a.waits[min(len(a.waits)-1, int(share*float64(len(a.waits))))]
}

// tolerance is how late a question may be asked; what is due after that is not asked.
const tolerance = 5 * time.Second

// Run asks. An answer that is not the one that is wanted ends it.
func (l Load) Run(ctx context.Context) (Answered, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	begin := time.Now()
	waits, errs := make([][]time.Duration, l.Connections), make([]error, l.Connections)
	var group sync.WaitGroup
	for i := range l.Connections {
		group.Go(func() {
			waits[i], errs[i] = l.ask(ctx, i, begin)
			if errs[i] != nil {
				cancel()
			}
		})
	}
	group.Wait()
	a := Answered{Took: time.Since(begin), waits: slices.Concat(waits...)}
	a.Answers = len(a.waits)
	slices.Sort(a.waits)
	if err := errors.Join(errs...); err != nil {
		return Answered{}, fmt.Errorf("ask %s: %w", l.Address, err)
	}
	return a, ctx.Err()
}

// ask asks every so manieth question on one connection until the time is over.
func (l Load) ask(ctx context.Context, which int, begin time.Time) (waits []time.Duration, err error) {
	var dialer net.Dialer
	c, err := dialer.DialContext(ctx, "tcp", l.Address)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	if err := c.SetDeadline(begin.Add(l.For + 2*tolerance)); err != nil {
		return nil, err
	}
	in := bufio.NewReaderSize(c, 256<<10)
	waits = make([]time.Duration, 0, 1<<16)
	for n := which; ctx.Err() == nil && (l.Most == 0 || len(waits) < l.Most); n += l.Connections {
		asked := time.Now()
		if l.Rate > 0 {
			due := begin.Add(time.Duration(n) * time.Second / time.Duration(l.Rate))
			if early := due.Sub(asked); early > 0 {
				time.Sleep(early)
			}
			asked = due
		}
		if asked.Sub(begin) >= l.For {
			return waits, nil
		}
		if time.Since(begin) > l.For+tolerance {
			return waits, nil // the rate is more than is answered, as the times show
		}
		q := l.Questions[n%len(l.Questions)]
		if _, err := c.Write(q.Request); err != nil {
			return nil, err
		}
		body, err := answer(in)
		if err != nil {
			return nil, err
		}
		waits = append(waits, time.Since(asked))
		for _, want := range q.Want {
			at := bytes.Index(body, want)
			if at < 0 {
				return nil, fmt.Errorf("want %s in the answer to %.200q, got %.500s", want, q.Request, body)
			}
			body = body[at+len(want):]
		}
	}
	return waits, nil
}

// answer reads an answer, and returns its body until the next is read.
func answer(in *bufio.Reader) ([]byte, error) {
	length, chunked := -1, false
	for first := true; ; first = false {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return nil, err
		}
		line = bytes.TrimRight(line, "\r\n")
		if first && !bytes.HasPrefix(line, []byte("HTTP/1.1 200 ")) {
			rest, _ := in.Peek(in.Buffered())
			return nil, fmt.Errorf("the answer is %s: %.1000s", line, rest)
		}
		if len(line) == 0 {
			break
		}
		chunked = chunked || bytes.EqualFold(line, []byte("Transfer-Encoding: chunked"))
		if name, value, ok := bytes.Cut(line, []byte(": ")); ok && bytes.EqualFold(name, []byte("Content-Length")) {
			if length, err = strconv.Atoi(string(value)); err != nil {
				return nil, err
			}
		}
	}
	if chunked {
		body, err := io.ReadAll(httputil.NewChunkedReader(in))
		if err == nil {
			_, err = in.ReadSlice('\n') // which ends the chunks
		}
		return body, err
	}
	if length < 0 {
		return nil, errors.New("the answer has no length")
	}
	body, err := in.Peek(length)
	if err != nil {
		return nil, err
	}
	_, err = in.Discard(length)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return body, err
}
