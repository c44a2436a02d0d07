package main

import (
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/calends/calends/pipeline/bucket/buckettest"
)

// killRounds is how often the months are lived: more with `make kill ROUNDS=40`.
func killRounds(t *testing.T) int {
	t.Helper()
	rounds, err := strconv.Atoi(os.Getenv("CALENDS_KILL_ROUNDS"))
	if err != nil {
		return 1
	}
	return rounds
}

// killed is a command that is killed on its way.
type killed struct {
	args []string
	code int           // of an undisturbed run
	took time.Duration // of an undisturbed run
}

// killedLife takes two months in, bills, closes and exports them, with changes
// that come after the first has closed.
func killedLife(inputs, export string) []killed {
	var all []killed
	for _, args := range [][]string{
		{"ingest", "partners.csv", "customers.csv", "fxrates.csv", "promotions.json", "offermatrix.csv", "prices/2024-01", "prices/2024-02", "changes/2024-01.jsonl", "changes/takeover.csv"},
		{"bill", "2024-01"},
		{"close", "2024-01", "--accept", "killed again and again"},
		{"ingest", "changes/2024-02.jsonl", "changes/reidai.parquet", "late/changes.jsonl"},
		{"bill", "2024-02"},
		{"close", "2024-02", "--accept", "killed again and again"},
		{"export", "2024-01", export},
		{"export", "2024-02", export},
	} {
		if args[0] == "ingest" {
			for i := range args[1:] {
				args[i+1] = filepath.Join(inputs, args[i+1])
			}
		}
		all = append(all, killed{args: args})
	}
	return all
}

// TestKilledAtRandom kills the program with SIGKILL at moments spread over each
// command, up to three times in a row, then lets it finish. On disk and on a real S3
// server the bucket and the export are then those that nobody disturbed, to the
// byte, and nothing else is left.
func TestKilledAtRandom(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts many processes")
	}
	demo, err := finishedDemo(t)
	if err != nil {
		t.Fatal(err)
	}
	inputs := filepath.Join(demo, "inputs")
	t.Run("disk", func(t *testing.T) {
		t.Parallel()
		killAtRandom(t, inputs, func() place {
			folder := filepath.Join(t.TempDir(), "bucket")
			return place{t: t, address: folder, folder: folder}
		})
	})
	t.Run("S3", func(t *testing.T) {
		t.Parallel()
		server := buckettest.StartS3(t)
		killAtRandom(t, inputs, func() place {
			address, folder := server.NewBucket(t)
			return place{t: t, address: address, folder: folder, env: server.Env()}
		})
	})
}

func killAtRandom(t *testing.T, inputs string, fresh func() place) {
	undisturbed, wantExport := fresh(), filepath.Join(t.TempDir(), "export")
	life := killedLife(inputs, wantExport)
	for i := range life {
		begun := time.Now()
		r := undisturbed.calends(life[i].args...)
		life[i].code, life[i].took = r.ProcessState.ExitCode(), time.Since(begun)
		if code := life[i].code; code != exitDone && code != exitOpen {
			t.Fatalf("%s ended with exit code %d: %s", strings.Join(r.Args, " "), code, &r.said)
		}
	}
	want := undisturbed.objects()
	for round := range killRounds(t) {
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			moments := rand.New(rand.NewPCG(uint64(round), 9)) // which moments, not what comes out
			p, export := fresh(), filepath.Join(t.TempDir(), "export")
			p.t = t
			hit := 0
			for i, c := range killedLife(inputs, export) {
				c.code, c.took = life[i].code, life[i].took
				hit += p.killed(c, moments)
			}
			t.Logf("%d commands were killed on their way", hit)
			if hit == 0 {
				t.Error("nothing was killed")
			}
			p.wantUndisturbed(want)
			wantFolder(t, wantExport, export)
		})
	}
}

// killed kills a command at random moments, then lets it finish. It returns how
// often the command was still on its way.
func (p place) killed(c killed, moments *rand.Rand) (hit int) {
	p.t.Helper()
	for range moments.IntN(4) {
		r := p.start(nil, c.args...)
		time.Sleep(time.Duration(moments.Int64N(int64(c.took))))
		p.signal(r, syscall.SIGKILL) // also when it has ended: nobody has waited for it yet
		if r.end() == -1 {
			hit++
		}
	}
	p.wantCode(p.calends(c.args...), c.code)
	return hit
}

// wantFolder wants the same files in two folders, hidden ones too.
func wantFolder(t *testing.T, want, got string) {
	t.Helper()
	files := func(dir string) map[string]string {
		found := make(map[string]string)
		err := fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			data, err := os.ReadFile(filepath.Join(dir, name))
			found[name] = string(data)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	wanted, there := files(want), files(got)
	for name, data := range wanted {
		if there[name] != data {
			t.Errorf("%s of the export is not as an undisturbed run leaves it", name)
		}
		delete(there, name)
	}
	for name := range maps.Keys(there) {
		t.Errorf("%s is left in the export", name)
	}
}
