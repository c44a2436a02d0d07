package jobs

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pricing"
)

var updateShelf = flag.Bool("update", false, "rewrite what the shelf of damaged buckets expects, and its healthy bucket")

const shelfFolder = "../testdata/damaged"

// shelfBegin is when everything in the shelf's bucket was written.
var shelfBegin = time.Date(2026, 3, 5, 9, 0, 0, 0, time.UTC)

// shelfBucket is the small healthy bucket that each case damages: January 2026
// is closed, February a draft. It is made anew, so that it has today's layout.
var shelfBucket = sync.OnceValues(func() (map[string][]byte, error) {
	env := envOn(bucket.NewMemory())
	ctx := context.Background()
	take := func(paths ...string) error {
		_, err := env.Ingest(ctx, IngestPlan{Folder: shelfFolder + "/inputs", Paths: paths})
		return err
	}
	january, february := pricing.MonthOf(2026, 1), pricing.MonthOf(2026, 2)
	env.Today = pricing.DateOf(2026, 3, 5)
	if err := take("partners.csv", "customers.csv", "prices", "changes/2026-01.jsonl"); err != nil {
		return nil, err
	}
	if _, err := env.Bill(ctx, january, false); err != nil {
		return nil, err
	}
	if _, err := env.Close(ctx, january, ""); err != nil {
		return nil, err
	}
	if err := take("changes/2026-02.jsonl"); err != nil {
		return nil, err
	}
	if _, err := env.Bill(ctx, february, false); err != nil {
		return nil, err
	}
	all := make(map[string][]byte)
	for info, err := range env.Bucket.List(ctx, "") {
		if err != nil {
			return nil, err
		}
		if all[info.Key], err = bucket.ReadAll(ctx, env.Bucket, info.Key); err != nil {
			return nil, err
		}
	}
	return all, nil
})

// shelf is one damaged bucket.
type shelf struct {
	*testing.T
	env    Env
	now    time.Time
	alias  map[string]string // data:2 -> its key
	offers []string
}

func newShelf(t *testing.T) *shelf {
	t.Helper()
	healthy, err := shelfBucket()
	if err != nil {
		t.Fatal(err)
	}
	s := &shelf{T: t, now: shelfBegin, alias: make(map[string]string)}
	memory := bucket.NewMemory()
	memory.Now = func() time.Time { return s.now }
	s.env = envOn(memory)
	for key, data := range healthy {
		put(t, memory, key, data)
	}
	at, err := s.env.snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, in := range at.inputs {
		for i, o := range in.DataObjects() {
			s.name("data", count(in.Number), i, o.Key)
		}
	}
	for _, m := range at.months {
		for i, o := range m.Current.Objects() {
			s.name("close", m.Month.String(), i, o.Key)
		}
	}
	s.now = s.now.Add(2 * time.Minute)
	return s
}

// name gives a data object a name that does not change with its content.
func (s *shelf) name(what, of string, i int, key string) {
	name := what + ":" + of
	if i > 0 {
		name += "." + count(int64(i+1))
	}
	s.alias[name] = key
}

func (s *shelf) key(name string) string {
	if key, ok := s.alias[name]; ok {
		return key
	}
	return name
}

// run does one line of a case: what somebody did to the bucket, or what a repair
// is offered.
//
//	remove KEY            data:2 is the data of input 2, close:2026-01 that of a close
//	write KEY TEXT
//	edit KEY FROM TO
//	set KEY FIELD JSON    a field of a record
//	flip KEY              one bit in the middle
//	cut KEY               the second half is gone
//	later DURATION
//	offer PATH            below the shelf's folder
//	offer copy KEY        as it was before the damage
//	offer export MONTH    likewise
func (s *shelf) run(line string) {
	s.Helper()
	words := strings.Fields(line)
	d := damage{s.T, s.env.Bucket}
	key := s.key(words[1])
	switch words[0] {
	case "remove":
		d.remove(key)
	case "write":
		put(s.T, s.env.Bucket, key, []byte(words[2]))
	case "edit":
		d.edit(key, words[2], words[3])
	case "set":
		var record map[string]json.RawMessage
		if err := json.Unmarshal(get(s.T, s.env.Bucket, key), &record); err != nil {
			s.Fatal(err)
		}
		record[words[2]] = json.RawMessage(words[3])
		data, err := json.Marshal(record)
		if err != nil {
			s.Fatal(err)
		}
		d.replace(key, data)
	case "flip":
		data := bytes.Clone(get(s.T, s.env.Bucket, key))
		data[len(data)/2] ^= 4
		d.replace(key, data)
	case "cut":
		data := get(s.T, s.env.Bucket, key)
		d.replace(key, data[:len(data)/2])
	case "later":
		wait, err := time.ParseDuration(words[1])
		if err != nil {
			s.Fatal(err)
		}
		s.now = s.now.Add(wait)
	case "offer":
		s.offer(words[1:])
	default:
		s.Fatalf("unknown line %q", line)
	}
}

func (s *shelf) offer(words []string) {
	s.Helper()
	healthy, err := shelfBucket()
	if err != nil {
		s.Fatal(err)
	}
	dir := s.TempDir()
	switch words[0] {
	case "copy":
		key := s.key(words[1])
		if err := os.WriteFile(filepath.Join(dir, "copy"), healthy[key], 0o600); err != nil {
			s.Fatal(err)
		}
	case "export":
		whole := envOn(bucket.NewMemory())
		for key, data := range healthy {
			put(s.T, whole.Bucket, key, data)
		}
		if _, err := whole.Export(s.Context(), ExportPlan{Month: mustMonth(s.T, words[1]), Folder: dir}); err != nil {
			s.Fatal(err)
		}
	default:
		dir = filepath.Join(shelfFolder, words[0])
	}
	s.offers = append(s.offers, dir)
}

var (
	anyHash = regexp.MustCompile(`\b[0-9a-f]{64}\b`)
	today   = regexp.MustCompile(`knows up to [0-9]+`)
	anyTemp = regexp.MustCompile(`/[^ ;]*/Test[^/ ]*/[0-9]+/`)
)

// text is what a report says, without what changes with a layout or a machine.
func (s *shelf) text(lines []string) string {
	var all strings.Builder
	for _, line := range lines {
		for _, name := range slices.Sorted(maps.Keys(s.alias)) {
			line = strings.ReplaceAll(line, s.alias[name], name)
		}
		line = today.ReplaceAllString(line, "knows up to today's")
		line = anyTemp.ReplaceAllString(line, "<folder>/")
		all.WriteString(anyHash.ReplaceAllString(line, "<sha256>") + "\n")
	}
	return all.String()
}

func (s *shelf) verify() (VerifyResult, string) {
	s.Helper()
	result, err := s.env.Verify(s.Context(), VerifyPlan{})
	if err != nil {
		s.Fatal(err)
	}
	var lines []string
	for _, f := range slices.Concat(result.Findings, result.Notices) {
		found := f.Found
		switch {
		case f.What == "size":
			f.Expected, found = "the size that was recorded", "another"
		case f.Kind == OldLayout:
			f.Expected = "today's"
		}
		if f.Expected != "" {
			found = "expected " + f.Expected + ", found " + found
		}
		lines = append(lines, fmt.Sprintf("%s %s %s: %s: %s", f.Severity, f.Kind, f.Object, f.What, found))
	}
	if len(lines) == 0 {
		lines = append(lines, "nothing")
	}
	text := strings.Split(strings.TrimSuffix(s.text(lines), "\n"), "\n")
	slices.Sort(text) // hashes change, and with them the order of data
	return result, strings.Join(text, "\n") + "\nproved: " + strings.Join(result.Proved, " ") + "\n"
}

func (s *shelf) repair(dryRun bool) (RepairResult, string) {
	s.Helper()
	result, err := s.env.Repair(s.Context(), RepairPlan{DryRun: dryRun, From: s.offers, Now: s.now})
	if err != nil {
		s.Fatal(err)
	}
	var lines []string
	for _, a := range result.Actions {
		lines = append(lines, fmt.Sprintf("%s %s: %s; %s", a.Do, a.Key, a.Why, a.How))
	}
	for _, l := range result.Left {
		lines = append(lines, fmt.Sprintf("left %s: %s; %s\n  %s", l.Key, l.What, l.Reason, l.Advice))
	}
	if len(lines) == 0 {
		lines = append(lines, "nothing")
	}
	return result, s.text(lines)
}

// TestDamaged: every case of the shelf is found, repaired as far as it goes, and
// what is left is named. With -update it writes down what is found today.
func TestDamaged(t *testing.T) {
	if testing.Short() {
		t.Skip("every damaged bucket")
	}
	t.Parallel()
	cases, err := filepath.Glob(shelfFolder + "/*.txtar")
	if err != nil || len(cases) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, path := range cases {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			t.Parallel()
			archive, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			s := newShelf(t)
			_, script, _ := strings.Cut(string(archive.Comment), "\n\n")
			for line := range strings.Lines(script) {
				if strings.TrimSpace(line) != "" {
					s.run(line)
				}
			}
			got := make(map[string]string)
			damaged := contents(t.Context(), t, s.env.Bucket)
			found, text := s.verify()
			got["findings"] = text
			_, got["plan"] = s.repair(true)
			sameFiles(t, "verify and a dry run", damaged, contents(t.Context(), t, s.env.Bucket))
			done, text := s.repair(false)
			if text != got["plan"] {
				t.Errorf("the dry run said\n%s\nand it did\n%s", got["plan"], text)
			}
			after, text := s.verify()
			got["after"] = text
			s.nothingIsLost(damaged)
			if len(done.Left) == 0 && len(after.Findings) > 0 {
				t.Errorf("nothing is left, but %d faults of %d", len(after.Findings), len(found.Findings))
			}
			if len(done.Left) > 0 && len(after.Findings) == 0 {
				t.Errorf("nothing is wrong, but left: %+v", done.Left)
			}
			if again, text := s.repair(false); len(again.Actions) > 0 {
				t.Errorf("a second repair does more:\n%s", text)
			}
			compareArchive(t, path, archive, got)
		})
	}
}

// nothingIsLost: all bytes that were in the bucket are there still, in their
// place or in the quarantine, but for what is nobody's.
func (s *shelf) nothingIsLost(before map[string]string) {
	s.Helper()
	there := make(map[string]bool)
	for _, data := range contents(s.Context(), s.T, s.env.Bucket) {
		there[data] = true
	}
	for key, data := range before {
		if !there[data] && data != "half" && data != "." {
			s.Errorf("the content of %s is lost", key)
		}
	}
}

func compareArchive(t *testing.T, path string, archive *txtar.Archive, got map[string]string) {
	t.Helper()
	if *updateShelf {
		archive.Files = nil
		for _, name := range []string{"findings", "plan", "after"} {
			archive.Files = append(archive.Files, txtar.File{Name: name, Data: []byte(got[name])})
		}
		if err := os.WriteFile(path, txtar.Format(archive), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if len(archive.Files) != len(got) {
		t.Fatalf("%d texts in the case, want %d; write them with -update", len(archive.Files), len(got))
	}
	for _, f := range archive.Files {
		if string(f.Data) != got[f.Name] {
			t.Errorf("%s: got\n%s\nwant\n%s", f.Name, got[f.Name], f.Data)
		}
	}
}

// TestRealBuckets: what this program and the one before have written to disk is
// whole, and its closed month comes out the same today.
func TestRealBuckets(t *testing.T) {
	t.Parallel()
	if *updateShelf {
		writeHealthy(t)
	}
	for name, notices := range map[string][]FindingKind{"healthy": nil, "layout-1": {OldLayout, OldLayout}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			disk, err := bucket.NewDisk(filepath.Join(shelfFolder, name))
			if err != nil {
				t.Fatal(err)
			}
			env := envOn(disk)
			result, err := env.Verify(t.Context(), VerifyPlan{})
			if err != nil {
				t.Fatal(err)
			}
			var kinds []FindingKind
			for _, f := range result.Notices {
				kinds = append(kinds, f.Kind)
			}
			if len(result.Findings) > 0 || !slices.Equal(kinds, notices) || !slices.Equal(result.Proved, []string{"2026-01"}) {
				t.Errorf("findings %+v, notices %v, proved %v", result.Findings, kinds, result.Proved)
			}
			if result.Inputs != 6 || result.Revisions != 3 || result.Lines != 6 {
				t.Errorf("%d inputs, %d revisions, %d lines; want 6, 3, 6", result.Inputs, result.Revisions, result.Lines)
			}
		})
	}
}

// writeHealthy makes the shelf's bucket on disk anew.
func writeHealthy(t *testing.T) {
	t.Helper()
	healthy, err := shelfBucket()
	if err != nil {
		t.Fatal(err)
	}
	root := filepath.Join(shelfFolder, "healthy")
	if err := os.RemoveAll(root); err != nil {
		t.Fatal(err)
	}
	for key, data := range healthy {
		path := filepath.Join(root, filepath.FromSlash(key))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
