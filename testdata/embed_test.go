package testdata_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/calends/calends/testdata"
)

// Every file of the demo is in the binary, and the generator is not.
func TestDemoIsComplete(t *testing.T) {
	err := filepath.WalkDir("demo", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := filepath.ToSlash(path)
		if d.IsDir() {
			if d.Name() == "generate" {
				return filepath.SkipDir
			}
			return nil
		}
		want, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		got, err := testdata.Demo.ReadFile(name)
		if err != nil || string(got) != string(want) {
			t.Errorf("%s is not embedded as it is: %v", name, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fs.Stat(testdata.Demo, "demo/generate"); err == nil {
		t.Error("the generator is embedded")
	}
}
