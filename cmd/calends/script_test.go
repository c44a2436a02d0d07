package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/calends/calends/pipeline/bucket"
)

var update = flag.Bool("update", false, "rewrite the expected outputs in testdata")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"calends": main})
}

// TestScripts runs testdata/*.txtar, each in a folder of its own. Besides
// testscript's commands they have:
//
//	code N COMMAND...   run a command that must end with exit code N
//	demo DIR            copy a finished demo
//	same DIR DIR        two folders must hold the same files
//	mentions PATH TEXT  the file, or one below the folder, must hold the text; also with !
//	lock DIR, unlock    hold a bucket's lock
//	microsoft FILE...   stand in for Microsoft; URL in the files becomes its address
//	age DURATION PATH   the file, or those below the folder, came that long ago
func TestScripts(t *testing.T) {
	demo := sync.OnceValues(func() (string, error) { return finishedDemo(t) })
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"code":      runWithCode,
			"same":      sameFolders,
			"mentions":  mentions,
			"lock":      holdLock,
			"unlock":    releaseLock,
			"age":       makeOlder,
			"microsoft": func(ts *testscript.TestScript, _ bool, args []string) { startMicrosoft(t, ts, args) },
			"demo": func(ts *testscript.TestScript, _ bool, args []string) {
				from, err := demo()
				ts.Check(err)
				ts.Check(os.CopyFS(ts.MkAbs(args[0]), os.DirFS(from)))
			},
		},
	})
}

// finishedDemo plays the demo once for all scripts.
func finishedDemo(t *testing.T) (string, error) {
	dir := filepath.Join(t.TempDir(), "demo")
	var said strings.Builder
	if code := run(t.Context(), []string{"demo", dir, "--output", "json"}, streams{nil, io.Discard, &said}); code != exitDone {
		return "", fmt.Errorf("demo: exit code %d: %s", code, said.String())
	}
	return dir, nil
}

func runWithCode(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		got = exit.ExitCode()
	case err != nil:
		ts.Fatalf("run %s: %v", args[1], err)
	}
	if got != want {
		ts.Fatalf("%s ended with exit code %d, want %d", strings.Join(args[1:], " "), got, want)
	}
}

func sameFolders(ts *testscript.TestScript, _ bool, args []string) {
	a, b := hashes(ts, ts.MkAbs(args[0])), hashes(ts, ts.MkAbs(args[1]))
	for name, sum := range a {
		if b[name] != sum {
			ts.Fatalf("%s differs in %s", name, args[1])
		}
	}
	if len(a) != len(b) || len(a) == 0 {
		ts.Fatalf("%d files in %s, %d in %s", len(a), args[0], len(b), args[1])
	}
}

func hashes(ts *testscript.TestScript, dir string) map[string][sha256.Size]byte {
	sums := make(map[string][sha256.Size]byte)
	eachFile(ts, dir, func(name string, data []byte) { sums[name] = sha256.Sum256(data) })
	return sums
}

// eachFile reads the files below a folder, or the one file.
func eachFile(ts *testscript.TestScript, dir string, each func(name string, data []byte)) {
	if data, err := os.ReadFile(dir); err == nil {
		each(filepath.Base(dir), data)
		return
	}
	files := os.DirFS(dir)
	ts.Check(fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(files, name)
		each(name, data)
		return err
	}))
}

func mentions(ts *testscript.TestScript, neg bool, args []string) {
	var found []string
	eachFile(ts, ts.MkAbs(args[0]), func(name string, data []byte) {
		if strings.Contains(name+"\n"+string(data), args[1]) {
			found = append(found, name)
		}
	})
	if neg && len(found) > 0 {
		ts.Fatalf("%q stands in %s", args[1], strings.Join(found, ", "))
	}
	if !neg && len(found) == 0 {
		ts.Fatalf("%q stands in no file of %s", args[1], args[0])
	}
}

func makeOlder(ts *testscript.TestScript, _ bool, args []string) {
	age, err := time.ParseDuration(args[0])
	ts.Check(err)
	then := time.Now().Add(-age)
	ts.Check(filepath.WalkDir(ts.MkAbs(args[1]), func(path string, _ fs.DirEntry, err error) error {
		return errors.Join(err, os.Chtimes(path, then, then))
	}))
}

// locks are those that scripts hold, by script.
var locks sync.Map

func holdLock(ts *testscript.TestScript, _ bool, args []string) {
	b, err := bucket.Open(ts.MkAbs(args[0]))
	ts.Check(err)
	held, err := b.Lock(context.Background(), bucket.Claim{Name: "write", Run: "a test"})
	ts.Check(err)
	locks.Store(ts.Name(), held)
}

func releaseLock(ts *testscript.TestScript, _ bool, _ []string) {
	held, ok := locks.LoadAndDelete(ts.Name())
	if !ok {
		ts.Fatalf("no lock is held")
	}
	ts.Check(held.(bucket.Lock).Unlock())
}
