package intake

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/calends/calends/pipeline/change"
)

const benchChanges = 50_000

// benchLine is a change as a feed brings it; most are of the common types.
func benchLine(i int) string {
	envelope := fmt.Sprintf(`{"specversion":"1.0","id":"4f0c%08x-1111-4222-8333-%012x","source":"partner-center","type":"subscription.%%s","time":"2026-10-%02dT%02d:%02d:%02dZ","subject":"9d7d%04x-c8de-461c-db6d-%012x","data":{"customerId":"835a59a7-3172-47b5-bdef-%012x"%%s}}`+"\n",
		i, i*7, i%28+1, i%24, i%60, i*13%60, i%65536, i/3, i/40)
	switch i % 4 {
	case 0, 1:
		return fmt.Sprintf(envelope, "quantityChanged", fmt.Sprintf(`,"quantity":%d`, i%300+1))
	case 2:
		return fmt.Sprintf(envelope, "purchased", fmt.Sprintf(`,"productId":"CFQ7TTC0L%03X","skuId":"0001","termDuration":"P1Y","billingCycle":"Monthly","quantity":%d,"orderId":"94e8%08x","availabilityId":"CFQ7TTC0K%03X","autoRenewEnabled":true`, i%900, i%50+1, i, i%900))
	}
	return fmt.Sprintf(envelope, "renewalChanged", `,"autoRenewEnabled":false`)
}

func drain(b *testing.B, r *ChangeReader, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
	var c change.Change
	n := 0
	for {
		refused, err := r.Next(&c)
		if errors.Is(err, io.EOF) {
			break
		}
		if refused != nil || err != nil {
			b.Fatal(refused, err)
		}
		n++
	}
	if n != benchChanges {
		b.Fatalf("%d changes", n)
	}
}

func perSecond(b *testing.B, unit string) {
	b.ReportMetric(benchChanges*float64(b.N)/b.Elapsed().Seconds(), unit)
}

func BenchmarkJSONChanges(b *testing.B) {
	var in strings.Builder
	for i := range benchChanges {
		in.WriteString(benchLine(i))
	}
	b.SetBytes(int64(in.Len()))
	b.ReportAllocs()
	for b.Loop() {
		r, err := NewJSONChanges(strings.NewReader(in.String()))
		drain(b, r, err)
	}
	perSecond(b, "changes/s")
}

func BenchmarkCSVChanges(b *testing.B) {
	var in strings.Builder
	in.WriteString("id,source,type,time,subject,customerId,productId,skuId,termDuration,billingCycle,quantity,autoRenewEnabled\n")
	for i := range benchChanges {
		fmt.Fprintf(&in, "4f0c%08x-1111-4222-8333-%012x,partner-center,subscription.purchased,2026-10-%02dT09:30:00Z,9d7d%04x-c8de-461c-db6d-%012x,835a59a7-3172-47b5-bdef-%012x,CFQ7TTC0L%03X,0001,P1Y,Monthly,%d,true\n",
			i, i*7, i%28+1, i%65536, i/3, i/40, i%900, i%50+1)
	}
	b.SetBytes(int64(in.Len()))
	b.ReportAllocs()
	for b.Loop() {
		r, err := NewCSVChanges(strings.NewReader(in.String()))
		drain(b, r, err)
	}
	perSecond(b, "changes/s")
}

func BenchmarkParquetChanges(b *testing.B) {
	var rows []flatChange
	for i := range benchChanges {
		rows = append(rows, flatChange{ID: fmt.Sprintf("4f0c%08x-1111-4222-8333-%012x", i, i*7), Type: "subscription.purchased", Customer: fmt.Sprintf("835a59a7-3172-47b5-bdef-%012x", i/40),
			Subject: new(fmt.Sprintf("9d7d%04x-c8de-461c-db6d-%012x", i%65536, i/3)), Time: time.Date(2026, 10, 1+i%28, 9, 30, 0, 0, time.UTC), Product: new(fmt.Sprintf("CFQ7TTC0L%03X", i%900)),
			Sku: new("0001"), Quantity: new(int64(i%50 + 1)), AutoRenew: new(true)})
	}
	file := parquetFile(b, rows)
	b.SetBytes(file.Size())
	b.ReportAllocs()
	for b.Loop() {
		r, err := NewParquetChanges(file, file.Size())
		drain(b, r, err)
	}
	perSecond(b, "changes/s")
}

func BenchmarkCharges(b *testing.B) {
	in := []byte(chargesHeader + "\n" + strings.Repeat(documented+"\n", benchChanges))
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		r, err := NewCharges(bytes.NewReader(in), Recognised{Kind: Charges, Format: CSV})
		if err != nil {
			b.Fatal(err)
		}
		var c Charge
		for err == nil {
			_, err = r.Next(&c)
		}
	}
	perSecond(b, "rows/s")
}

// With as many workers as there are processors.
func BenchmarkReadChanges(b *testing.B) {
	var in bytes.Buffer
	for i := range benchChanges {
		in.WriteString(benchLine(i))
	}
	b.SetBytes(int64(in.Len()))
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		_, err := ReadChanges(b.Context(), memberOf(in.Bytes()), JSONLines, runtime.GOMAXPROCS(0), func(batch *Batch) error {
			n += len(batch.Changes)
			return nil
		})
		if err != nil || n != benchChanges {
			b.Fatal(n, err)
		}
	}
	perSecond(b, "changes/s")
}
