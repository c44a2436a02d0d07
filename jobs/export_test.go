package jobs

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pricing"
)

var marchMonth = pricing.MonthOf(2024, 3)

const usdPartner = "6c483e07-8f13-4923-9228-bccb7b3b8939"

func TestExportTwiceWritesNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("the whole demo twice")
	}
	env := demoEnv(t)
	plan := ExportPlan{Month: marchMonth, Folder: t.TempDir()}
	for _, written := range []bool{true, false} {
		result, err := env.Export(t.Context(), plan)
		if err != nil {
			t.Fatal(err)
		}
		if len(result.Files) != 4*4+2 {
			t.Errorf("%d files, want four of each partner, exceptions and the manifest", len(result.Files))
		}
		for _, f := range result.Files {
			if f.Written != written {
				t.Errorf("%s: written is %t, want %t", f.Path, f.Written, written)
			}
		}
	}
}

func TestExportOfOnePartnerNamesNoOther(t *testing.T) {
	env := demoEnv(t)
	plan := ExportPlan{Month: marchMonth, Folder: t.TempDir(), Partners: []string{usdPartner}}
	if _, err := env.Export(t.Context(), plan); err != nil {
		t.Fatal(err)
	}
	exceptions := string(readFile(t, plan.Folder, exceptionsName))
	for row := range strings.Lines(exceptions) {
		if !strings.HasPrefix(row, "Severity,") && strings.Split(row, ",")[2] != usdPartner {
			t.Errorf("exception of somebody else: %s", row)
		}
	}
	if strings.Count(exceptions, "\n") < 2 {
		t.Errorf("want the partner's exceptions, got %q", exceptions)
	}
	if names := below(t, plan.Folder); slices.Contains(names, "manifest.json") || len(names) != 5 {
		t.Errorf("files %v, want four of the partner and its exceptions", names)
	}
}

func TestExportReplacesWhatDiffers(t *testing.T) {
	env := demoEnv(t)
	plan := ExportPlan{Month: marchMonth, Folder: t.TempDir(), Formats: []string{"csv"}}
	if err := os.WriteFile(filepath.Join(plan.Folder, exceptionsName), []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(plan.Folder, "manifest.json"), []byte("of another export"), 0o600); err != nil {
		t.Fatal(err)
	}
	result, err := env.Export(t.Context(), plan)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := readFile(t, plan.Folder, exceptionsName), get(t, env.Bucket, march+exceptionsName); string(got) != string(want) {
		t.Errorf("exceptions.csv is %q, want %q", got, want)
	}
	if len(result.Notes) != 1 || !strings.Contains(result.Notes[0], "manifest.json") {
		t.Errorf("notes %q, want the manifest of another export named", result.Notes)
	}
}

func TestExportRefusesDamage(t *testing.T) {
	env := demoEnv(t)
	damage{t, env.Bucket}.edit(march+usd+csvName, ",1122.00,", ",1123.00,")
	plan := ExportPlan{Month: marchMonth, Folder: t.TempDir(), Partners: []string{usdPartner}}
	if _, err := env.Export(t.Context(), plan); !errors.Is(err, bucket.ErrConflict) {
		t.Errorf("error %v, want a conflict", err)
	}
	if names := below(t, plan.Folder); len(names) > 0 {
		t.Errorf("files %v, want none: the first one is damaged", names)
	}
}

func TestExportRefusesPlans(t *testing.T) {
	env := demoEnv(t)
	tests := []struct {
		name string
		plan ExportPlan
		want error
	}{
		{"a month without a revision", ExportPlan{Month: marchMonth + 7}, ErrMissing},
		{"a format that there is not", ExportPlan{Month: marchMonth, Formats: []string{"doc"}}, ErrUsage},
		{"a partner that there is not", ExportPlan{Month: marchMonth, Partners: []string{"nobody"}}, ErrUsage},
	}
	for _, tt := range tests {
		tt.plan.Folder = t.TempDir()
		if _, err := env.Export(t.Context(), tt.plan); !errors.Is(err, tt.want) {
			t.Errorf("%s: error %v, want %v", tt.name, err, tt.want)
		}
	}
}

// In a store nothing is replaced: an export is written once, and found again.
func TestExportIntoStore(t *testing.T) {
	env := demoEnv(t)
	plan := ExportPlan{Month: marchMonth, Folder: "mem://", Store: bucket.NewMemory()}
	for _, written := range []bool{true, false} {
		result, err := env.Export(t.Context(), plan)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range result.Files {
			if f.Written != written {
				t.Errorf("%s: written %t, want %t", f.Path, f.Written, written)
			}
			if got, want := get(t, plan.Store, f.Path), get(t, env.Bucket, ledger.RevisionPrefix(marchMonth, result.Revision)+f.Path); string(got) != string(want) {
				t.Errorf("%s has other bytes than the month", f.Path)
			}
		}
	}
	other := ExportPlan{Month: marchMonth, Folder: "mem://", Store: bucket.NewMemory(), Formats: []string{"csv"}}
	for path, text := range map[string]string{exceptionsName: "old", "manifest.json": "of another export", "mine": "x"} {
		if err := bucket.Put(t.Context(), other.Store, path, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	_, err := env.Export(t.Context(), other)
	if !errors.Is(err, bucket.ErrConflict) || !strings.Contains(err.Error(), exceptionsName) || !strings.Contains(err.Error(), "another prefix") {
		t.Errorf("export over another file: %v, want a conflict that names it and a way out", err)
	}
	if got := get(t, other.Store, exceptionsName); string(got) != "old" {
		t.Errorf("the file that was there is %q now", got)
	}
	if err := other.Store.Delete(t.Context(), exceptionsName); err != nil {
		t.Fatal(err)
	}
	result, err := env.Export(t.Context(), other)
	if err != nil {
		t.Fatal(err)
	}
	if len(result.Notes) != 1 || !strings.HasSuffix(result.Notes[0], ": manifest.json") {
		t.Errorf("notes %q, want the manifest of another export, and not mine", result.Notes)
	}
}

func TestFolderRefusesPathsThatLeadOut(t *testing.T) {
	dir := t.TempDir()
	if _, err := folder(filepath.Join(dir, "in")).put(t.Context(), "../out", strings.NewReader("x"), ""); err == nil {
		t.Error("a file was written outside the folder")
	}
}

func readFile(t *testing.T, dir, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func below(t *testing.T, dir string) (names []string) {
	t.Helper()
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			names = append(names, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}
