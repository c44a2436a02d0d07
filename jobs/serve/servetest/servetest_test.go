package servetest_test

import (
	"testing"

	"github.com/calends/calends/jobs/serve/servetest"
)

// The bucket of a test is whole, and nobody else's.
func TestDemo(t *testing.T) {
	t.Parallel()
	b := servetest.Demo(t)
	status, err := servetest.Env(b).Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if status.Closed != "2024-03" || status.Next != "2024-04" || len(status.Months) != 4 {
		t.Errorf("closed %s, next %s, %d months", status.Closed, status.Next, len(status.Months))
	}
	if servetest.Demo(t) == b {
		t.Error("two tests share a bucket")
	}
}
