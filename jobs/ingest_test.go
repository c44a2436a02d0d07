package jobs

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/calends/calends/pipeline/bucket"
)

// changeLine is a change as a feed brings it.
func changeLine(i int) string {
	data, kind := fmt.Sprintf(`,"quantity":%d`, i%300+1), "quantityChanged"
	if i%4 == 0 {
		kind = "purchased"
		data += fmt.Sprintf(`,"productId":"CFQ7TTC0L%03X","skuId":"0001","termDuration":"P1Y","billingCycle":"Monthly","orderId":"94e8%08x"`, i%900, i)
	}
	return fmt.Sprintf(`{"specversion":"1.0","id":"4f0c%08x-1111-4222-8333-%012x","source":"partner-center","type":"subscription.%s",`+
		`"time":"2026-%02d-%02dT09:%02d:00Z","subject":"9d7d-c8de-461c-db6d-%012x","data":{"customerId":"835a59a7-3172-47b5-bdef-%012x"%s}}`,
		i, i*7, kind, 9+i%2, i%28+1, i%60, i*7919%99_991/4, i*7919%99_991/20, data)
}

func writeChanges(t testing.TB, changes int, each func(i int, line string) string) (path string, size int64) {
	t.Helper()
	var text strings.Builder
	for i := range changes {
		text.WriteString(each(i, changeLine(i)))
	}
	path = filepath.Join(t.TempDir(), "changes.jsonl")
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return path, int64(text.Len())
}

// Whatever the number of workers, the same objects come of the same file, and the
// same lines are refused.
func TestIngestDoesNotDependOnWorkers(t *testing.T) {
	t.Parallel()
	path, _ := writeChanges(t, 2*runSize+5000, func(i int, line string) string {
		switch {
		case i == 0:
			return "\xef\xbb\xbf" + line + "\r\n"
		case i%20_011 == 17:
			return "{no JSON\n"
		case i%30_011 == 5:
			return line + "\n\n"
		case i == 60_000:
			return strings.Repeat("x", 3<<20) + "\n"
		case i%25_000 == 7:
			return strings.Replace(line, `"specversion"`, fmt.Sprintf(`"extra%02d":1,"specversion"`, i/5000), 1) + "\n"
		case i == 2*runSize+4999:
			return line
		}
		return line + "\n"
	})
	var want string
	for _, workers := range []int{1, 2, 5} {
		env := envOn(bucket.NewMemory())
		env.Workers = workers
		result, err := env.Ingest(t.Context(), IngestPlan{Folder: filepath.Dir(path), Paths: []string{filepath.Base(path)}})
		if err != nil {
			t.Fatal(err)
		}
		got := fmt.Sprintf("%+v\n", result)
		for info, err := range env.Bucket.List(t.Context(), "ledger/") {
			if err != nil {
				t.Fatal(err)
			}
			data, err := bucket.ReadAll(t.Context(), env.Bucket, info.Key)
			if err != nil {
				t.Fatal(err)
			}
			got += fmt.Sprintf("%s %d\n", info.Key, len(data))
			if strings.HasPrefix(info.Key, "ledger/inputs/") {
				got += string(data)
			}
		}
		if want == "" {
			want = got
			f := result.Files[0]
			if f.Refused != 8 || len(f.Errors) != 8 || f.Errors[0].Line != 19 || !strings.Contains(want, "extra00, extra05") {
				t.Errorf("%+v", result)
			}
		}
		if got != want {
			t.Errorf("with %d workers\n%s\nwith 1\n%s", workers, got, want)
		}
	}
}

func BenchmarkIngestChanges(b *testing.B) {
	const changes = 4 * runSize
	path, size := writeChanges(b, changes, func(_ int, line string) string { return line + "\n" })
	b.SetBytes(size)
	for b.Loop() {
		env := envOn(bucket.NewMemory())
		env.Workers = 2
		if _, err := env.Ingest(b.Context(), IngestPlan{Paths: []string{path}}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(changes*float64(b.N)/b.Elapsed().Seconds(), "changes/s")
}
