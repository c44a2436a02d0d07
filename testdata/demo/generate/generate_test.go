package main

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The files beside the generator are the ones that it writes.
func TestFilesAreCurrent(t *testing.T) {
	files, err := world()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join("..", filepath.FromSlash(name)))
		if err != nil {
			t.Error(err)
			continue
		}
		// The bytes of a compressed file may differ by Go version; its content may not.
		if !bytes.Equal(unpacked(t, name, got), unpacked(t, name, want)) {
			t.Errorf("%s is not what the generator writes: go run ./testdata/demo/generate", name)
		}
	}
	err = filepath.WalkDir("..", func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			if d != nil && d.Name() == "generate" {
				return filepath.SkipDir
			}
			return err
		}
		name, err := filepath.Rel("..", path)
		if _, ok := files[filepath.ToSlash(name)]; !ok {
			t.Errorf("%s is not written by the generator", name)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	page, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	again, err := withTable(page)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(page, again) {
		t.Error("the table of changes in testdata/README.md is not current: go run ./testdata/demo/generate")
	}
}

func unpacked(t *testing.T, name string, content []byte) []byte {
	t.Helper()
	switch filepath.Ext(name) {
	case ".gz":
		r, err := gzip.NewReader(bytes.NewReader(content))
		if err != nil {
			t.Fatal(name, err)
		}
		content, err = io.ReadAll(r)
		if err != nil {
			t.Fatal(name, err)
		}
	case ".zip":
		r, err := zip.NewReader(bytes.NewReader(content), int64(len(content)))
		if err != nil {
			t.Fatal(name, err)
		}
		content = nil
		for _, f := range r.File {
			open, err := f.Open()
			if err != nil {
				t.Fatal(name, err)
			}
			b, err := io.ReadAll(open)
			if err != nil {
				t.Fatal(name, err)
			}
			content = append(append(content, f.Name...), b...)
		}
	}
	return content
}

// The sheets are well-formed where they are meant to be, and every change is
// about a known customer and a SKU that some sheet has.
func TestWorldIsConsistent(t *testing.T) {
	files, err := world()
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, c := range customers {
		known[customerID(c.key)] = true
	}
	strangers := 0
	ids := map[string]int{}
	for name, content := range files {
		if strings.HasPrefix(name, "bad/") {
			continue
		}
		switch {
		case strings.HasSuffix(name, ".csv"):
			r := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(content, []byte("\ufeff"))))
			if _, err := r.ReadAll(); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		case strings.HasSuffix(name, ".jsonl"):
			for line := range bytes.Lines(content) {
				var e cloudEvent
				if err := json.Unmarshal(line, &e); err != nil {
					t.Errorf("%s: %v", name, err)
				}
				if !known[e.Data.CustomerID] {
					strangers++
				}
				ids[e.ID]++
			}
		}
	}
	if strangers != 1 {
		t.Errorf("%d changes of unknown customers, want 1", strangers)
	}
	repeated := 0
	for _, n := range ids {
		repeated += n - 1
	}
	if repeated != 2 {
		t.Errorf("%d ids come again, want 2: the duplicate and the conflict", repeated)
	}
	// Every SKU that is bought is on its market's sheet of that month, but for
	// the two that the demo parks.
	for _, changes := range [][]change{january, february, reidai, march, april, afterwards, late} {
		for _, c := range changes {
			i := strings.Index(c.At, "-")
			month := c.At[:i+3]
			if c.Type != "subscription.purchased" || c.Customer == "stranger" || c.Subject == "exemplar/guides" || c.Subject == "mithal/wrong" {
				continue
			}
			found := false
			for _, r := range rowsOf(countryOf(c.Customer), month) {
				found = found || r.product == c.Data.ProductID && r.sku.id == c.Data.SkuID &&
					(r.term == c.Data.TermDuration && r.billing == c.Data.BillingCycle || c.Data.IsTrial != nil)
			}
			if !found {
				t.Errorf("%s %s: no row for it in %s", c.At, c.Subject, month)
			}
		}
	}
}

func countryOf(key string) string {
	for _, c := range customers {
		if c.key == key {
			return c.country
		}
	}
	return ""
}
