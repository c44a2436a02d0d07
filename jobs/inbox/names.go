package inbox

import (
	"errors"
	"fmt"
	"path"
	"strings"
	"unicode/utf8"

	"github.com/calends/calends/pipeline/bucket"
)

// The longest names, in bytes: what a bucket takes, less the ends that the inbox adds
// to them.
const (
	maxSegment = 255 - len(" (1000)") - len(reportSuffix)
	maxKey     = 1024 - len(" (1000)") - len(reportSuffix)
)

// errNoName: of all names that a file could get, none is free.
var errNoName = errors.New("no name is free for it")

// name finds the key of a file below a folder of the inbox: its own path, the same
// with a number, or, where a folder cannot be made because a file has its name, one
// without folders. try says whether a key is free and then takes it;
// [bucket.ErrConflict] is of such a folder.
func name(where, day, rel, sum string, try func(key string) (bool, error)) error {
	base := folder + where + "/" + day + "/"
	paths := []string{fitPath(rel), sum[:12] + "-" + fit(lastOf(rel), maxSegment-13)}
	if len(base)+len(paths[0]) > maxKey {
		paths = paths[1:]
	}
	for _, rel := range paths {
		for n := 1; n <= 1000; n++ {
			took, err := try(base + numbered(rel, n))
			if errors.Is(err, bucket.ErrConflict) {
				break
			}
			if took || err != nil {
				return err
			}
		}
	}
	return errNoName
}

// numbered puts a number before the end of a name.
func numbered(rel string, n int) string {
	if n == 1 {
		return rel
	}
	end := path.Ext(rel)
	return fmt.Sprintf("%s (%d)%s", strings.TrimSuffix(rel, end), n, end)
}

// bare is a path without the ends that say how it is packed and written.
func bare(rel string) string {
	for range 2 {
		switch end := path.Ext(rel); strings.ToLower(end) {
		case ".gz", ".zst", ".jsonl", ".json", ".ndjson", ".csv", ".parquet":
			rel = strings.TrimSuffix(rel, end)
		}
	}
	return rel
}

func lastOf(rel string) string { return rel[strings.LastIndexByte(rel, '/')+1:] }

func fitPath(rel string) string {
	return rel[:len(rel)-len(lastOf(rel))] + fit(lastOf(rel), maxSegment)
}

// fit cuts a name that is too long before its end.
func fit(name string, most int) string {
	if len(name) <= most {
		return name
	}
	end := path.Ext(name)
	if len(end) > 20 {
		end = ""
	}
	cut := most - len(end)
	for !utf8.RuneStart(name[cut]) {
		cut--
	}
	return strings.TrimRight(name[:cut], ".") + end
}
