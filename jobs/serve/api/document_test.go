package api_test

import (
	"bytes"
	"flag"
	"net/http"
	"os"
	"testing"

	"github.com/calends/calends/jobs/serve/api"
)

var update = flag.Bool("update", false, "write openapi.yaml anew")

// Programs are written against the document: it changes only in sight.
func TestDocumentIsAsCommitted(t *testing.T) {
	t.Parallel()
	got, err := api.New(http.NewServeMux(), api.Desk{}).Document()
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("openapi.yaml", got, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("openapi.yaml is not what the operations say: go test ./jobs/serve/api -run TestDocument -update, and look at the difference")
	}
}
