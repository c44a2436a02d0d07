package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/calends/calends/pipeline/bucket/buckettest"
)

// TestScriptsOnS3 runs testdata/s3/*.txtar with a real S3 server. They have the
// commands of the other scripts, and in their environment
//
//	S3, OBJECTS         a bucket below a prefix: its address, and where its files are
//	EXPORTS, EXPORTED   the same for exports
//	DISK                a bucket in a folder
//	NOBUCKET            the address of a bucket that does not exist
//	ACCESS, SECRET      the credentials
//
// and a calends.yaml that names the bucket of S3.
func TestScriptsOnS3(t *testing.T) {
	if testing.Short() {
		t.Skip("long")
	}
	server := buckettest.StartS3(t)
	demo := sync.OnceValues(func() (string, error) { return finishedDemo(t) })
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "s3"),
		RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			address, folder := server.NewBucket(t)
			name, query, _ := strings.Cut(address, "?")
			for _, variable := range server.Env() {
				key, value, _ := strings.Cut(variable, "=")
				e.Setenv(key, value)
			}
			e.Setenv("S3", name+"/books?"+query)
			e.Setenv("OBJECTS", filepath.Join(folder, "books"))
			e.Setenv("EXPORTS", name+"/exports/February?"+query)
			e.Setenv("EXPORTED", filepath.Join(folder, "exports", "February"))
			e.Setenv("DISK", filepath.Join(e.WorkDir, "disk"))
			e.Setenv("NOBUCKET", "s3://absent?"+query)
			e.Setenv("ACCESS", buckettest.S3AccessKey)
			e.Setenv("SECRET", buckettest.S3SecretKey)
			return writeS3Config(e.WorkDir, name+"/books", server)
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"code":     runWithCode,
			"same":     sameObjects,
			"mentions": mentions,
			"demo": func(ts *testscript.TestScript, _ bool, args []string) {
				from, err := demo()
				ts.Check(err)
				ts.Check(os.CopyFS(ts.MkAbs(args[0]), os.DirFS(from)))
			},
		},
	})
}

func writeS3Config(folder, address string, server *buckettest.S3) error {
	return os.WriteFile(filepath.Join(folder, "calends.yaml"), fmt.Appendf(nil, `bucket:
  url: %s
  endpoint: %s
  region: %s
  pathStyle: true
  checksums: when_required
  timeout: 10s
`, address, server.Endpoint, buckettest.S3Region), 0o600)
}

// sameObjects is sameFolders but for hidden files, which are no objects.
func sameObjects(ts *testscript.TestScript, _ bool, args []string) {
	a, b := hashes(ts, ts.MkAbs(args[0])), hashes(ts, ts.MkAbs(args[1]))
	seen := 0
	for _, sums := range []map[string][32]byte{a, b} {
		for name := range sums {
			if strings.HasPrefix(name, ".") {
				continue
			}
			seen++
			if a[name] != b[name] {
				ts.Fatalf("%s is not the same in %s and %s", name, args[0], args[1])
			}
		}
	}
	if seen == 0 {
		ts.Fatalf("nothing is in %s and %s", args[0], args[1])
	}
}
