package jobs

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pipeline/subscription"
	"github.com/calends/calends/pricing"
)

// BenchmarkMonths bills and closes sixty months in a row and reports what the
// second and the last cost in processor time: a month reads where everything stood and its own
// changes, so history costs nothing. CALENDS_SLOPE sets the number of
// subscriptions; upfront takes all sixty months of changes in before the first.
func BenchmarkMonths(b *testing.B) {
	size := 5_000
	if text := os.Getenv("CALENDS_SLOPE"); text != "" {
		var err error
		if size, err = strconv.Atoi(text); err != nil {
			b.Fatal(err)
		}
	}
	for _, upfront := range []bool{false, true} {
		name := "taken in month by month"
		if upfront {
			name = "taken in upfront"
		}
		b.Run(name, func(b *testing.B) {
			for range b.N {
				w := newSlopeWorld(b, size)
				if upfront {
					for m := range slopeMonths {
						w.takeMonth(b, m)
					}
				}
				var took [slopeMonths]time.Duration
				for m := range slopeMonths {
					if !upfront {
						w.takeMonth(b, m)
					}
					took[m] = w.billAndClose(b, slopeBegin+pricing.Month(m))
				}
				second, last := median(took[1:6]), median(took[slopeMonths-5:])
				b.ReportMetric(float64(second.Milliseconds()), "month2-cpu-ms")
				b.ReportMetric(float64(last.Milliseconds()), "month60-cpu-ms")
				b.ReportMetric(float64(last)/float64(second), "month60/month2")
				b.ReportMetric(float64(w.lateInTheEnd(b).Milliseconds()), "and-20-late-cpu-ms")
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

// TestSlopeWorldFromStateAndWhole holds the last of some quiet months against
// the whole history.
func TestSlopeWorldFromStateAndWhole(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("fifteen months")
	}
	w := newSlopeWorld(t, 200)
	for m := range 15 {
		w.takeMonth(t, m)
		month := slopeBegin + pricing.Month(m)
		w.billAndClose(t, month)
		if m > 11 {
			sameFromWholeHistory(context.Background(), t, w.env, month)
		}
	}
}

const slopeMonths = 60

var slopeBegin = must(pricing.ParseMonth("2021-01"))

// slopeWorld keeps a steady number of yearly subscriptions, twenty a customer,
// of which an eighth change their seats every month and a few come and go.
type slopeWorld struct {
	env   Env
	size  int
	rng   *rand.Rand
	seats []int
	line  int
}

func newSlopeWorld(tb testing.TB, size int) *slopeWorld {
	tb.Helper()
	w := &slopeWorld{size: size, rng: rand.New(rand.NewPCG(60, uint64(size))), seats: make([]int, size)}
	w.env = Env{Bucket: bucket.NewMemory(), Version: "test", Today: pricing.DateOf(2099, 1, 1), Workers: 2,
		Policies: func(string) subscription.Policies { return subscription.Policies{} }}
	w.take(tb, "PartnerId,PartnerName,Country,BillingCurrency,MpnId,TaxRate\nP1,Partner,DE,EUR,1,0.19\n", 0)
	var customers strings.Builder
	customers.WriteString("CustomerId,CustomerName,CustomerDomainName,CustomerCountry,Segment,PartnerId,ResellerMpnId\n")
	for c := range size/20 + 1 {
		fmt.Fprintf(&customers, "%s,Customer %d,c%d.example,DE,Commercial,P1,\n", w.customer(20*c), c, c)
	}
	w.take(tb, customers.String(), 0)
	return w
}

func (w *slopeWorld) customer(i int) string { return fmt.Sprintf("customer-%06d", i/20) }

func (w *slopeWorld) take(tb testing.TB, text string, month pricing.Month) {
	tb.Helper()
	result, err := w.env.Ingest(context.Background(), IngestPlan{Paths: []string{"-"}, Stdin: strings.NewReader(text), Month: month})
	if err != nil {
		tb.Fatal(err)
	}
	if result.Refused > 0 {
		tb.Fatalf("refused: %+v", result.Files)
	}
}

// takeMonth takes a month's price sheet and changes in.
func (w *slopeWorld) takeMonth(tb testing.TB, m int) {
	tb.Helper()
	month := slopeBegin + pricing.Month(m)
	var sheet strings.Builder
	sheet.WriteString("ProductTitle,ProductId,SkuId,SkuTitle,Publisher,SkuDescription,UnitOfMeasure,TermDuration,BillingPlan,Market,Currency,UnitPrice,PricingTierRangeMin,PricingTierRangeMax,EffectiveStartDate,EffectiveEndDate,Tags,ERP Price,Segment\n")
	for sku := range 50 {
		fmt.Fprintf(&sheet, "Product %d,P%03d,0001,Sku,Microsoft Corporation,,1,P1Y,Monthly,DE,EUR,%d.%02d,,,1/1/2020,12/31/9999,,,Commercial\n", sku, sku, 60+sku, m)
	}
	w.take(tb, sheet.String(), month)

	var changes strings.Builder
	add := func(i int, kind, id, data string) {
		w.line++
		fmt.Fprintf(&changes, `{"specversion":"1.0","id":"e%d","source":"t","type":"subscription.%s","time":"%s-%02dT%02d:00:00Z","subject":"%s","data":{"customerId":"%s",%s}}`+"\n",
			w.line, kind, month, 1+w.rng.IntN(28), w.rng.IntN(24), id, w.customer(i), data)
	}
	for i := range w.seats {
		id := fmt.Sprintf("subscription-%06d", i)
		switch {
		case w.seats[i] == 0:
			w.seats[i] = 1 + w.rng.IntN(50)
			add(i, "purchased", id, fmt.Sprintf(`"productId":"P%03d","skuId":"0001","termDuration":"P1Y","billingCycle":"Monthly","quantity":%d`, w.rng.IntN(50), w.seats[i]))
		case w.rng.IntN(8) == 0:
			w.seats[i] += 1 + w.rng.IntN(5)
			add(i, "quantityChanged", id, fmt.Sprintf(`"quantity":%d`, w.seats[i]))
		}
	}
	w.take(tb, changes.String(), 0)
}

// lateInTheEnd brings one more month, in which twenty customers have a change of
// a month long closed, and bills and closes it.
func (w *slopeWorld) lateInTheEnd(tb testing.TB) time.Duration {
	tb.Helper()
	w.takeMonth(tb, slopeMonths)
	var late strings.Builder
	for n := range 20 {
		i := n * w.size / 20
		fmt.Fprintf(&late, `{"specversion":"1.0","id":"late%d","source":"t","type":"subscription.quantityChanged","time":"%s-15T12:00:00Z","subject":"subscription-%06d","data":{"customerId":"%s","quantity":999}}`+"\n",
			n, slopeBegin+slopeMonths/2, i, w.customer(i))
	}
	w.take(tb, late.String(), 0)
	return w.billAndClose(tb, slopeBegin+slopeMonths)
}

func (w *slopeWorld) billAndClose(tb testing.TB, month pricing.Month) time.Duration {
	tb.Helper()
	from := cpuTime(tb)
	if _, err := w.env.Bill(context.Background(), month, false); err != nil {
		tb.Fatal(err)
	}
	if _, err := w.env.Close(context.Background(), month, ""); err != nil {
		tb.Fatal(err)
	}
	return cpuTime(tb) - from
}

// cpuTime is what this process has used so far: what else the machine does
// changes it little.
func cpuTime(tb testing.TB) time.Duration {
	tb.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

func median(d []time.Duration) time.Duration {
	return slices.Sorted(slices.Values(d))[len(d)/2]
}
