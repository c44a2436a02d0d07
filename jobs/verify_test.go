package jobs

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"sync"
	"testing"

	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pipeline/subscription"
	"github.com/calends/calends/pricing"
)

// demoEnv works on a copy of a bucket in memory: the demo's start with January
// to March 2024 closed and April as a draft.
func demoEnv(t *testing.T) Env {
	t.Helper()
	from, err := demoBucket()
	if err != nil {
		t.Fatal(err)
	}
	env := envOn(bucket.NewMemory())
	for info, err := range from.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		put(t, env.Bucket, info.Key, get(t, from, info.Key))
	}
	return env
}

func envOn(b bucket.Bucket) Env {
	return Env{Bucket: b, Version: "test", Workers: 2, Today: pricing.DateOf(2026, 1, 1),
		Policies: func(string) subscription.Policies { return subscription.Policies{} }}
}

// demoBucket is made once for all tests.
var demoBucket = sync.OnceValues(func() (bucket.Bucket, error) {
	env := envOn(bucket.NewMemory())
	ctx := context.Background()
	start := IngestPlan{Folder: "../testdata/demo", Paths: []string{"partners.csv", "customers.csv", "fxrates.csv", "promotions.json", "offermatrix.csv", "prices", "changes"}}
	if _, err := env.Ingest(ctx, start); err != nil {
		return nil, err
	}
	for m := pricing.MonthOf(2024, 1); m <= pricing.MonthOf(2024, 3); m++ {
		if _, err := env.Bill(ctx, m, false); err != nil {
			return nil, err
		}
		if _, err := env.Close(ctx, m, "what is open is known"); err != nil {
			return nil, err
		}
	}
	if _, err := env.Ingest(ctx, IngestPlan{Folder: "../testdata/demo", Paths: []string{"late"}}); err != nil {
		return nil, err
	}
	_, err := env.Bill(ctx, pricing.MonthOf(2024, 4), false)
	return env.Bucket, err
})

func get(t *testing.T, b bucket.Bucket, key string) []byte {
	t.Helper()
	data, err := bucket.ReadAll(t.Context(), b, key)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func put(t *testing.T, b bucket.Bucket, key string, data []byte) {
	t.Helper()
	if err := bucket.Put(t.Context(), b, key, data); err != nil {
		t.Fatal(err)
	}
}

// damage is what somebody did to a bucket.
type damage struct {
	*testing.T
	bucket bucket.Bucket
}

func (d damage) remove(key string) {
	d.Helper()
	if err := d.bucket.Delete(d.Context(), key); err != nil {
		d.Fatal(err)
	}
}

func (d damage) replace(key string, data []byte) {
	d.Helper()
	d.remove(key)
	put(d.T, d.bucket, key, data)
}

// edit changes a text of an object.
func (d damage) edit(key, from, to string) {
	d.Helper()
	data := get(d.T, d.bucket, key)
	if !bytes.Contains(data, []byte(from)) {
		d.Fatalf("%s does not hold %q", key, from)
	}
	d.replace(key, bytes.Replace(data, []byte(from), []byte(to), 1))
}

// manifest changes the manifest of a revision.
func (d damage) manifest(key string, change func(*ledger.Manifest)) {
	d.Helper()
	var m ledger.Manifest
	if err := json.Unmarshal(get(d.T, d.bucket, key), &m); err != nil {
		d.Fatal(err)
	}
	change(&m)
	data, err := json.Marshal(m)
	if err != nil {
		d.Fatal(err)
	}
	d.replace(key, data)
}

// swap puts one file of March in another's place and tells the manifest so:
// hashes are right then, only the sums are not.
func (d damage) swap(path, with string) {
	d.Helper()
	d.replace(march+path, get(d.T, d.bucket, march+with))
	d.manifest(march+"manifest.json", func(m *ledger.Manifest) {
		var other ledger.File
		for _, f := range m.Files {
			if f.Path == with {
				other = f
			}
		}
		for i := range m.Files {
			if m.Files[i].Path == path {
				m.Files[i].Size, m.Files[i].SHA256 = other.Size, other.SHA256
			}
		}
	})
}

const (
	january  = "invoices/month=2024-01/revision=0002/"
	february = "invoices/month=2024-02/revision=0002/"
	march    = "invoices/month=2024-03/revision=0002/"
	usd      = "partner=6c483e07-8f13-4923-9228-bccb7b3b8939/"
	eur      = "partner=80f6fb73-3725-4404-a0ee-98ef768080f3/"
)

func TestVerifyNamesDamage(t *testing.T) {
	if testing.Short() {
		t.Skip("every kind of damage")
	}
	tests := []struct {
		name   string
		damage func(damage)
		object string // of the finding that is wanted
		what   string
	}{
		{"an input's data is missing", func(d damage) { d.remove(firstData(d)) }, "ledger/data/", "object"},
		{"an input's data is changed", func(d damage) { d.replace(firstData(d), []byte("PAR1")) }, "ledger/data/", "sha256"},
		{"an input's data is cut", func(d damage) { d.replace(firstData(d), nil) }, "ledger/data/", "size"},
		{"an input is missing", func(d damage) { d.remove("ledger/inputs/00000002.json") }, "ledger/inputs/00000003.json", "number of the input: one before it is missing"},
		{"an input is no JSON", func(d damage) { d.replace("ledger/inputs/00000002.json", []byte("{")) }, "ledger/inputs/00000002.json", "content"},
		{"an input counts records that are not there", func(d damage) { d.edit("ledger/inputs/00000001.json", `"records": 4`, `"records": 5`) },
			"ledger/inputs/00000001.json", "records of its objects"},

		{"a file of a superseded revision is missing", func(d damage) { d.remove("invoices/month=2024-01/revision=0001/" + usd + csvName) },
			"invoices/month=2024-01/revision=0001/" + usd + csvName, "object"},
		{"an amount in the CSV is changed", func(d damage) { d.edit(march+usd+csvName, ",1122.00,", ",1123.00,") }, march + usd + csvName, "sha256"},
		{"the CSV and the Parquet file differ", func(d damage) { d.swap(eur+parquetName, usd+parquetName) }, march + eur + parquetName, "lines"},
		{"the workbook is another partner's", func(d damage) { d.swap(eur+workbookName, usd+workbookName) }, march + eur + workbookName, "content"},
		{"the header is another partner's", func(d damage) { d.swap(eur+invoiceName, usd+invoiceName) }, march + eur + invoiceName, "customers together: lines"},
		{"the CSV is another partner's", func(d damage) { d.swap(eur+csvName, usd+csvName) }, march + eur + csvName, "line 1: PartnerId"},
		{"a workbook is no workbook", func(d damage) { d.replace(march+usd+workbookName, []byte("PK")) }, march + usd + workbookName, "content"},

		{"the manifest says another total", func(d damage) {
			d.manifest(march+"manifest.json", func(m *ledger.Manifest) { m.Invoices[1].Total = "1.00" })
		}, march + "manifest.json", "partner 6c483e07-8f13-4923-9228-bccb7b3b8939: Total in minor units"},
		{"the manifest counts other exceptions", func(d damage) {
			d.manifest(march+"manifest.json", func(m *ledger.Manifest) { m.Exceptions.Errors++ })
		}, march + exceptionsName, "rows"},
		{"an invoice has another's number", func(d damage) {
			d.manifest(march+"manifest.json", func(m *ledger.Manifest) { m.Invoices[1].Number = "C202403-000007" })
		}, march + "manifest.json", "number of the invoice of partner 6c483e07-8f13-4923-9228-bccb7b3b8939"},
		{"the manifest names another input", func(d damage) {
			d.manifest(march+"manifest.json", func(m *ledger.Manifest) { m.Inputs[0].SHA256 = "0" })
		}, march + "manifest.json", "input 1"},
		{"a manifest is of another month", func(d damage) {
			d.manifest(march+"manifest.json", func(m *ledger.Manifest) { m.Month = "2024-05" })
		}, march + "manifest.json", "content"},

		{"a closed month is gone", func(d damage) {
			d.remove(february + "manifest.json")
			d.remove(strings.Replace(february, "0002", "0001", 1) + "manifest.json")
		},
			"2024-03", "closed months follow each other"},
		{"a revision follows the closed one", func(d damage) {
			put(d.T, d.bucket, strings.Replace(january, "0002", "0003", 1)+"manifest.json",
				bytes.Replace(get(d.T, d.bucket, january+"manifest.json"), []byte(`"revision": 2`), []byte(`"revision": 3`), 1))
		}, strings.Replace(january, "0002", "0003", 1) + "manifest.json", "revision"},
		{"a closed month would come out otherwise", func(d damage) {
			d.manifest(march+"manifest.json", func(m *ledger.Manifest) { m.Fingerprint = "0" })
		}, "2024-03", "computed again: partner : exceptions or headers differ, no line does"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			env := demoEnv(t)
			tt.damage(damage{t, env.Bucket})
			result, err := env.Verify(t.Context(), VerifyPlan{SkipProof: !strings.HasPrefix(tt.what, "computed again")})
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range result.Findings {
				if strings.HasPrefix(f.Object, tt.object) && f.What == tt.what {
					return
				}
			}
			t.Errorf("no finding %q of %s in %+v", tt.what, tt.object, result.Findings)
		})
	}
}

// firstData is the key of the first input's data.
func firstData(d damage) string {
	var in ledger.Input
	if err := json.Unmarshal(get(d.T, d.bucket, "ledger/inputs/00000001.json"), &in); err != nil {
		d.Fatal(err)
	}
	return in.Objects[0].Key
}

func TestVerifySound(t *testing.T) {
	env := demoEnv(t)
	put(t, env.Bucket, "invoices/month=2024-04/revision=0002/exceptions.csv", []byte("half"))
	result, err := env.Verify(t.Context(), VerifyPlan{})
	if err != nil {
		t.Fatal(err)
	}
	if len(result.Findings) > 0 {
		t.Errorf("findings %+v, want none", result.Findings)
	}
	if len(result.Proved) != 3 || result.Invoices != 16 || result.Revisions != 7 {
		t.Errorf("proved %v, %d invoices, %d revisions; want 3 months, 16, 7", result.Proved, result.Invoices, result.Revisions)
	}
	if len(result.Leftovers) != 1 || !strings.HasSuffix(result.Leftovers[0], "revision=0002/exceptions.csv") {
		t.Errorf("leftovers %v, want the half-written revision", result.Leftovers)
	}
}

func TestVerifyStops(t *testing.T) {
	env := demoEnv(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := env.Verify(ctx, VerifyPlan{}); err == nil {
		t.Error("a stopped verification has no error")
	}
}
