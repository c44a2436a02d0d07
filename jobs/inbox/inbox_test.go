package inbox

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/calends/calends/pipeline/bucket"
)

// Where files go, and what becomes of them.
func TestWhereFilesGo(t *testing.T) {
	t.Parallel()
	recon := reconHeader + reconLine
	for _, tt := range []struct {
		name  string
		drop  files
		fates []string
		lie   []string
		taken int // inputs of the ledger
	}{
		{"reference files, at any depth", files{"partners.csv": partners, "a/b/customers.csv.gz": gz(t, customers)},
			[]string{"a/b/customers.csv.gz taken", "partners.csv taken"},
			[]string{"inbox/done/2026-10-05/a/b/customers.csv.gz", "inbox/done/2026-10-05/partners.csv"}, 2},
		{"the same content twice", files{"a.csv": partners, "b.csv": partners}, []string{"a.csv taken", "b.csv had"},
			[]string{"inbox/done/2026-10-05/a.csv", "inbox/done/2026-10-05/b.csv"}, 1},
		{"nothing that is known", files{"x.csv": bad}, []string{"x.csv refused"}, []string{"inbox/refused/2026-10-05/x.csv"}, 0},
		{"an archive, whole", files{"in.zip": zipped(t, "partners.csv", partners, "c/customers.csv", customers)},
			[]string{"in.zip taken"}, []string{"inbox/done/2026-10-05/in.zip"}, 2},
		{"an archive with something refused", files{"in.zip": zipped(t, "partners.csv", partners, "bad.csv", bad)},
			[]string{"in.zip refused"}, []string{"inbox/refused/2026-10-05/in.zip"}, 1},

		{"a sheet has its month from its folder", files{"prices/2026-10/NL.csv": sheet(1)}, []string{"prices/2026-10/NL.csv taken"},
			[]string{"inbox/done/2026-10-05/prices/2026-10/NL.csv"}, 1},
		{"or else is refused", files{"prices/NL.csv": sheet(1)}, []string{"prices/NL.csv refused"},
			[]string{"inbox/refused/2026-10-05/prices/NL.csv"}, 0},

		{"changes of which some are refused", files{"c.jsonl": change("1") + broken("2") + change("3")}, []string{"c.jsonl taken"},
			[]string{"inbox/done/2026-10-05/c.jsonl", "inbox/refused/2026-10-05/c.refused.jsonl"}, 1},
		{"changes of which all are", files{"c.jsonl": broken("2")}, []string{"c.jsonl refused"}, []string{"inbox/refused/2026-10-05/c.jsonl"}, 0},
		{"changes in an archive", files{"d/c.zip": zipped(t, "x/c.csv", "id,type,time,customerId\n1,t,soon,c1\n2,t,2026-10-05T09:30:00Z,c1\n")}, []string{"d/c.zip taken"},
			[]string{"inbox/done/2026-10-05/d/c.zip", "inbox/refused/2026-10-05/d/c.zip!x%2Fc.refused.csv"}, 1},

		{"charges rated elsewhere", files{"charges/2026-10/azure.csv": recon}, []string{"charges/2026-10/azure.csv taken"},
			[]string{"inbox/done/2026-10-05/charges/2026-10/azure.csv"}, 1},
		{"charges without a month", files{"charges/azure.csv": recon}, []string{"charges/azure.csv refused"},
			[]string{"inbox/refused/2026-10-05/charges/azure.csv"}, 0},
		{"no charges", files{"charges/2026-10/p.csv": partners}, []string{"charges/2026-10/p.csv refused"},
			[]string{"inbox/refused/2026-10-05/charges/2026-10/p.csv"}, 0},

		{"Microsoft's file, its month from the path", files{"microsoft/2026-11/r.csv": recon}, []string{"microsoft/2026-11/r.csv filed"},
			[]string{"microsoft/reconciliation/2026-11/ccbb5c63fe0b-r.csv"}, 0},
		{"or else from its lines, wherever it lies", files{"r.csv.gz": gz(t, recon)}, []string{"r.csv.gz filed"},
			[]string{"microsoft/reconciliation/2026-10/*-r.csv.gz"}, 0},
		{"or else unknown", files{"r.csv": reconHeader}, []string{"r.csv filed"}, []string{"microsoft/reconciliation/unknown/*-r.csv"}, 0},
		{"the same again is there already", files{"a.csv": recon, "b.csv": recon}, []string{"a.csv filed", "b.csv filed"},
			[]string{"microsoft/reconciliation/2026-10/*-a.csv"}, 0},
		{"in an archive", files{"r.zip": zipped(t, "1.csv", recon, "2.csv", recon)}, []string{"r.zip filed"}, []string{"microsoft/reconciliation/2026-10/*-r.zip"}, 0},
		{"among others it is refused", files{"r.zip": zipped(t, "1.csv", recon, "2.csv", partners)}, []string{"r.zip refused"},
			[]string{"inbox/refused/2026-10-05/r.zip"}, 1},
		{"another file in Microsoft's folder", files{"microsoft/p.csv": partners}, []string{"microsoft/p.csv refused"},
			[]string{"inbox/refused/2026-10-05/microsoft/p.csv"}, 0},

		{"what is still written stays", files{"a.csv.part": partners, "b.CRDOWNLOAD": partners, "c/~$c.csv": partners, "d.tmp": partners},
			[]string{"a.csv.part left", "b.CRDOWNLOAD left", "c/~$c.csv left", "d.tmp left"},
			[]string{"inbox/a.csv.part", "inbox/b.CRDOWNLOAD", "inbox/c/~$c.csv", "inbox/d.tmp"}, 0},
		{"what the inbox has put away stays", files{"done/2026-10-04/a.csv": partners, "refused/2026-10-04/b.csv": partners, "held/2026-10-04/c.csv": partners},
			nil, []string{"inbox/done/2026-10-04/a.csv", "inbox/held/2026-10-04/c.csv", "inbox/refused/2026-10-04/b.csv"}, 0},
		{"a name with a number where another file has it", files{"done/2026-10-05/a.csv": customers, "a.csv": partners}, []string{"a.csv taken"},
			[]string{"inbox/done/2026-10-05/a (2).csv", "inbox/done/2026-10-05/a.csv"}, 1},
		{"a name without folders where a file is in their way", files{"done/2026-10-05/a": customers, "a/b.csv": partners}, []string{"a/b.csv taken"},
			[]string{"inbox/done/2026-10-05/*-b.csv", "inbox/done/2026-10-05/a"}, 1},
		{"a file with the name of a folder", files{"done": partners}, []string{"done stuck"}, []string{"inbox/done"}, 0},
		{"a long name", files{strings.Repeat("x", 251) + ".csv": partners}, []string{strings.Repeat("x", 251) + ".csv taken"},
			[]string{"inbox/done/2026-10-05/" + strings.Repeat("x", 232) + ".csv"}, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			disk, err := bucket.NewDisk(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			for kind, b := range map[string]bucket.Bucket{"memory": bucket.NewMemory(), "disk": disk} {
				drop(t, b, tt.drop)
				same(t, kind+": fates", fates(take(t, b)), tt.fates)
				lie := shelves(t, b)
				for i, key := range lie {
					if i < len(tt.lie) {
						if ok, err := filepath.Match(tt.lie[i], key); ok && err == nil {
							lie[i] = tt.lie[i]
						}
					}
				}
				same(t, kind+": objects", lie, tt.lie)
				if n := len(inputs(t, b)); n != tt.taken {
					t.Errorf("%s: the ledger has %d inputs, want %d", kind, n, tt.taken)
				}
				before := contents(t, b)
				if take(t, b); !mapsEqual(contents(t, b), before) {
					t.Errorf("%s: a second run changes something", kind)
				}
			}
		})
	}
}

func mapsEqual(a, b map[string]string) bool {
	if len(a) != len(b) {
		return false
	}
	for key, text := range a {
		if other, ok := b[key]; !ok || other != text {
			return false
		}
	}
	return true
}

// What a person finds beside a file.
func TestReport(t *testing.T) {
	t.Parallel()
	b := bucket.NewMemory()
	drop(t, b, files{"2026-10/changes.jsonl": change("1") + broken("2")})
	take(t, b)
	got := contents(t, b)["inbox/done/2026-10-05/2026-10/changes.jsonl.report.json"]
	const want = `{
  "dropped": "inbox/2026-10/changes.jsonl",
  "sha256": "99ef93eda0b85f0864bf416a2f86a25504bdf1496225aa8b042ff8403cb2ba3e",
  "size": 217,
  "status": "taken",
  "to": "inbox/done/2026-10-05/2026-10/changes.jsonl",
  "advice": "correct the records in the files that are named, and drop those into inbox/",
  "files": [
    {
      "name": "inbox/2026-10/changes.jsonl",
      "kind": "changes",
      "status": "taken",
      "taken": 1,
      "had": 0,
      "refused": 1,
      "errors": [
        {
          "line": 2,
          "column": "time",
          "value": "yesterday",
          "rule": "want RFC 3339 with Z or an offset, such as 2026-10-05T09:30:00Z"
        }
      ]
    }
  ],
  "refusedRecords": [
    "inbox/refused/2026-10-05/2026-10/changes.refused.jsonl"
  ]
}
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := contents(t, b)["inbox/refused/2026-10-05/2026-10/changes.refused.jsonl"]; got != broken("2") {
		t.Errorf("refused: %q", got)
	}
}

// What waits for a person is an exception, and says what to do.
func TestExceptions(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		drop   files
		want   int64
		advice string
	}{
		{"nothing", files{"a.csv": partners, "microsoft/2026-10/r.csv": reconHeader}, 0, ""},
		{"a file that is refused", files{"a.csv": bad}, 1, "correct it and drop it into inbox/ again"},
		{"a sheet without a month", files{"a.csv": sheet(1)}, 1, "drop it into a folder of its month, such as inbox/prices/2026-10/"},
		{"refused records", files{"a.jsonl": change("1") + broken("2") + broken("3")}, 2, "correct the records"},
		{"a file to compare of no month", files{"r.csv": reconHeader}, 1, "drop it again, below inbox/microsoft/2026-10/"},
		{"the name of a folder", files{"held": partners}, 1, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := bucket.NewMemory()
			drop(t, b, tt.drop)
			plan, err := inboxOn(b).Plan(t.Context(), Options{Now: fifth})
			if err != nil || !plan.Work() {
				t.Fatalf("%+v, %v", plan, err)
			}
			result, err := inboxOn(b).Execute(t.Context(), plan)
			if err != nil || result.Exceptions() != tt.want {
				t.Errorf("%+v, %v", result, err)
			}
			if f := result.Files[0]; f.Report != "" {
				if report := reportOf(t, b, strings.TrimSuffix(f.Report, reportSuffix)); !strings.HasPrefix(report.Advice, tt.advice) || tt.advice == "" && report.Advice != "" {
					t.Errorf("advice: %q", report.Advice)
				}
			}
		})
	}
}

// Every refused record is in the report, and none is lost: corrected and dropped
// again they are all there.
func TestRefusedRecordsComeBack(t *testing.T) {
	t.Parallel()
	b := bucket.NewMemory()
	const n = 400
	var text strings.Builder
	for i := range n {
		text.WriteString(change(fmt.Sprint("good", i)) + broken(fmt.Sprint("bad", i)))
	}
	drop(t, b, files{"c.jsonl.gz": gz(t, text.String())})
	if result := take(t, b); len(result.Files[0].Files[0].Errors) != 50 || result.Exceptions() != n {
		t.Errorf("the result lists %d", len(result.Files[0].Files[0].Errors))
	}
	report := reportOf(t, b, "inbox/done/2026-10-05/c.jsonl.gz")
	if f := report.Files[0]; f.Taken != n || f.Refused != n || len(f.Errors) != n || f.Errors[n-1].Line != 2*n {
		t.Errorf("%d taken, %d refused, %d listed", f.Taken, f.Refused, len(f.Errors))
	}
	corrected := strings.ReplaceAll(contents(t, b)[report.Refused[0]], "yesterday", "2026-10-04T00:00:00Z")
	drop(t, b, files{"corrected.jsonl": corrected})
	if result := take(t, b); result.Taken != n || result.Exceptions() != 0 {
		t.Errorf("corrected: %+v", result)
	}
}

func TestHeldSheet(t *testing.T) {
	t.Parallel()
	b := bucket.NewMemory()
	drop(t, b, files{"prices/2026-09/NL.csv": sheet(10), "prices/2026-10/NL.csv": sheet(4)})
	result := take(t, b)
	same(t, "fates", fates(result), []string{"prices/2026-09/NL.csv taken", "prices/2026-10/NL.csv held"})
	if result.Held != 1 || result.Exceptions() != 1 || len(inputs(t, b)) != 1 {
		t.Errorf("%+v", result)
	}
	const at = "inbox/held/2026-10-05/prices/2026-10/NL.csv"
	report := reportOf(t, b, at)
	if report.Status != Held || !strings.Contains(report.Advice, "--accept REASON") || !strings.Contains(report.Files[0].Reason, "more than 50% are gone") {
		t.Errorf("%+v", report)
	}
	if result := take(t, b); len(result.Files) != 0 {
		t.Errorf("without a reason it waits: %+v", result)
	}
	result, err := run1(t.Context(), inboxOn(b), Options{Now: fifth.AddDate(0, 0, 1), Accept: "Microsoft ended them"})
	if err != nil {
		t.Fatal(err)
	}
	same(t, "accepted", fates(result), []string{"held/2026-10-05/prices/2026-10/NL.csv taken"})
	same(t, "objects", shelves(t, b), []string{"inbox/done/2026-10-05/prices/2026-09/NL.csv", "inbox/done/2026-10-06/prices/2026-10/NL.csv"})
	if report := reportOf(t, b, "inbox/done/2026-10-06/prices/2026-10/NL.csv"); report.Accepted != "Microsoft ended them" || report.Dropped != at {
		t.Errorf("%+v", report)
	}
	if all := inputs(t, b); all[1].Month != "2026-10" || all[1].Accepted != "Microsoft ended them" {
		t.Errorf("%+v", all)
	}
	if _, err := bucket.ReadAll(t.Context(), b, at+reportSuffix); err == nil {
		t.Error("the report of the held file is still there")
	}
}

// The plan can be printed, changes nothing, and is what is then done.
func TestPlan(t *testing.T) {
	t.Parallel()
	b := bucket.NewMemory()
	drop(t, b, files{"b/changes.jsonl": change("1"), "a-1.csv": bad, "a/prices/2026-10/NL.csv": sheet(1), "charges/2026-09/x.csv": reconHeader + reconLine,
		"r.csv": reconHeader + reconLine, "x.part": "", "empty.csv": ""})
	before := contents(t, b)
	plan, err := inboxOn(b).Plan(t.Context(), Options{Now: fifth})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, i := range plan.Items {
		got = append(got, strings.TrimSpace(fmt.Sprintf("%s %s: %s %s", i.Will, strings.TrimPrefix(i.Key, folder), i.Kind, i.Month)))
	}
	// Folder by folder, as ingest goes through a folder: "a" before "a-1.csv".
	same(t, "plan", got, []string{"take a/prices/2026-10/NL.csv: price sheet 2026-10", "refuse a-1.csv: unknown", "take b/changes.jsonl: changes",
		"take charges/2026-09/x.csv: charges 2026-09", "refuse empty.csv: unknown", "file r.csv: reconciliation file", "leave x.part:"})
	if data, err := json.Marshal(plan); err != nil || !strings.Contains(string(data), `"day":"2026-10-05"`) {
		t.Errorf("%s, %v", data, err)
	}
	if !mapsEqual(before, contents(t, b)) {
		t.Error("planning changes the bucket")
	}
	result, err := inboxOn(b).Execute(t.Context(), plan)
	if err != nil || len(result.Files) != len(plan.Items) {
		t.Errorf("%+v, %v", result, err)
	}
}

// An empty inbox costs a listing, and no lock.
func TestNothingToDo(t *testing.T) {
	t.Parallel()
	b := bucket.NewMemory()
	lock, err := b.Lock(t.Context(), bucket.Claim{Name: "write"})
	if err != nil {
		t.Fatal(err)
	}
	drop(t, b, files{"x.part": partners})
	if result := take(t, b); result.Left != 1 {
		t.Errorf("%+v", result)
	}
	if err := lock.Unlock(); err != nil {
		t.Error(err)
	}
}

func TestSettle(t *testing.T) {
	t.Parallel()
	folderPath := t.TempDir()
	b, err := bucket.NewDisk(folderPath)
	if err != nil {
		t.Fatal(err)
	}
	if SettleFor(b) <= 0 || SettleFor(bucket.NewMemory()) != 0 {
		t.Error("a file grows, an object does not")
	}
	drop(t, b, files{"a.csv": partners})
	path := filepath.Join(folderPath, "inbox", "a.csv")
	for _, tt := range []struct {
		age  time.Duration
		want Will
	}{{0, Leave}, {4 * time.Second, Leave}, {5 * time.Second, Take}, {-time.Hour, Take}} {
		at := fifth.Add(-tt.age)
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
		i := inboxOn(b)
		i.Settle = 5 * time.Second
		plan, err := i.Plan(t.Context(), Options{Now: fifth})
		if err != nil || plan.Items[0].Will != tt.want {
			t.Errorf("%s old: %+v, %v", tt.age, plan.Items, err)
		}
	}
}

// What was held is whole: whoever accepts it does not wait.
func TestHeldFileNeedsNoTime(t *testing.T) {
	t.Parallel()
	b, err := bucket.NewDisk(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	put(t, b, "inbox/held/2026-10-05/a.csv", partners)
	i := inboxOn(b)
	i.Settle = time.Hour
	plan, err := i.Plan(t.Context(), Options{Now: time.Now(), Accept: "it is right"})
	if err != nil || len(plan.Items) != 1 || plan.Items[0].Will != Take {
		t.Errorf("%+v, %v", plan.Items, err)
	}
}

// A file that grows between two looks is taken when it has its size.
func TestFileThatGrows(t *testing.T) {
	t.Parallel()
	folderPath := t.TempDir()
	b, err := bucket.NewDisk(folderPath)
	if err != nil {
		t.Fatal(err)
	}
	drop(t, b, files{"a.csv": partners})
	plan, err := inboxOn(b).Plan(t.Context(), Options{Now: fifth})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(folderPath, "inbox", "a.csv")
	if err := os.WriteFile(path, []byte(partners+"p2,Tailspin,DE,EUR,3,\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	result, err := inboxOn(b).Execute(t.Context(), plan)
	if err != nil || len(inputs(t, b)) != 0 {
		t.Fatal(result, err)
	}
	same(t, "fates", fates(result), []string{"a.csv left"})
	if result := take(t, b); result.Taken != 2 {
		t.Errorf("the next run: %+v", result)
	}
}

// Files over which others would stumble cost nobody else anything.
func TestPoison(t *testing.T) {
	t.Parallel()
	bomb := "PartnerId,BillingCurrency\n" + strings.Repeat(strings.Repeat("0", 1<<20)+"\n", 64)
	poison := files{
		"01-empty.csv":       "",
		"02-binary.bin":      "\x00\x01\x02\xff\xfe rubbish",
		"03-cut.csv.gz":      gz(t, partners)[:30],
		"04-bomb.csv.gz":     gz(t, bomb),
		"05-zeros.csv":       strings.Repeat("\x00", 1000),
		"06-page.csv":        "<!DOCTYPE html><html><body>Service unavailable</body></html>",
		"07-cut.zip":         zipped(t, "partners.csv", partners)[:60],
		"08-nested.zip":      zipped(t, "in.zip", zipped(t, "partners.csv", partners)),
		"09-out.zip":         zipped(t, "../../partners.csv", partners),
		"10-changes.parquet": "PAR1 and nothing of the kind PAR1",
		"11-cut.jsonl.gz":    gz(t, strings.Repeat(change("1"), 1000))[:150],
		"12-quote.csv":       "PartnerId,PartnerName,BillingCurrency\n\"p1,Contoso,EUR\n",
		"13-book.xlsx":       zipped(t, "[Content_Types].xml", "<x/>"),
		"14-deep.jsonl":      `{"id":` + strings.Repeat("[", 100_000),
		"15-utf16.csv":       "\xff\xfeP\x00a\x00",
	}
	want := make([]string, 0, len(poison)+1)
	for name := range poison {
		want = append(want, name+" refused")
	}
	slices.Sort(want)
	poison["99-good.csv"] = partners
	want = append(want, "99-good.csv taken")
	b := bucket.NewMemory()
	drop(t, b, poison)
	result := take(t, b)
	same(t, "fates", fates(result), want)
	for _, f := range result.Files[:len(result.Files)-1] {
		if report := reportOf(t, b, f.To); report.Advice == "" || report.Files[0].Reason == "" || string(contents(t, b)[f.To]) != poison[strings.TrimPrefix(f.Key, folder)] {
			t.Errorf("%s: %+v", f.Key, report)
		}
	}
}

// The same files give the same bucket, however the store lists them.
func TestOrderDoesNotMatter(t *testing.T) {
	t.Parallel()
	dropped := everything(t)
	a, b := bucket.NewMemory(), bucket.NewMemory()
	drop(t, a, dropped)
	drop(t, b, dropped)
	take(t, a)
	if _, err := run1(t.Context(), inboxOn(backwards{b}), Options{Now: fifth}); err != nil {
		t.Fatal(err)
	}
	if !mapsEqual(contents(t, a), contents(t, b)) {
		t.Errorf("forwards %q\nbackwards %q", shelves(t, a), shelves(t, b))
	}
}

func BenchmarkManyFiles(b *testing.B) {
	const n = 1000
	for b.Loop() {
		b.StopTimer()
		disk, err := bucket.NewDisk(b.TempDir())
		if err != nil {
			b.Fatal(err)
		}
		for i := range n {
			put(b, disk, fmt.Sprintf("inbox/changes/%04d.jsonl", i), change(fmt.Sprint(i)))
		}
		b.StartTimer()
		if result := take(b, disk); result.Taken != n {
			b.Fatal(result.Taken)
		}
	}
	b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "files/s")
}

// everything is one of each kind of file.
func everything(t testing.TB) files {
	return files{
		"a/partners.csv": partners, "b/partners.csv": strings.ReplaceAll(partners, "Contoso", "Contoso B.V."),
		"changes.jsonl":             change("1") + broken("2") + change("3"),
		"in.zip":                    zipped(t, "customers.csv", customers, "changes.csv", "id,type,time,customerId\n8,t,soon,c1\n9,t,2026-10-05T09:30:00Z,c1\n", "fx.csv", rates),
		"prices/2026-09/NL.csv":     sheet(6),
		"prices/2026-10/NL.csv":     sheet(1),
		"charges/2026-10/azure.csv": reconHeader + reconLine,
		"recon.csv":                 reconHeader + reconLine,
		"bad.csv":                   bad,
		"again.csv":                 partners,
	}
}

// backwards lists from the end.
type backwards struct{ bucket.Bucket }

func (b backwards) List(ctx context.Context, prefix string) iter.Seq2[bucket.Info, error] {
	return func(yield func(bucket.Info, error) bool) {
		var infos []bucket.Info
		for info, err := range b.Bucket.List(ctx, prefix) {
			if err != nil {
				yield(info, err)
				return
			}
			infos = append(infos, info)
		}
		if prefix == folder {
			slices.Reverse(infos)
		}
		for _, info := range infos {
			if !yield(info, nil) {
				return
			}
		}
	}
}
