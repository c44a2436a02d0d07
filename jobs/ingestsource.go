package jobs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/calends/calends/jobs/intake"
	"github.com/calends/calends/pricing"
)

// Source is a file to take in, wherever it lies.
type Source struct {
	// Name is what the result calls it. A price sheet's month is read from it where
	// Month is 0.
	Name string
	// Month and Charges are as in [IngestPlan].
	Month, Charges pricing.Month
	// Open looks into it; the ingest closes what it returns. It may be asked more than
	// once. [ErrLeave] leaves the file alone; any other error ends the ingest.
	Open func(ctx context.Context) (*intake.Input, error)
	// Before is told what will become of the files in it, before any of them counts:
	// what has to be kept of them is written now, and a run that dies comes here again.
	// After follows when all of them count. An error of either ends the ingest; nil:
	// nobody wants to know.
	Before func(ctx context.Context, in *intake.Input, files []FileResult) error
	After  func(ctx context.Context) error

	once bool // it can be opened only once
}

// ErrLeave is what [Source.Open] says of a file that is not to be taken now.
var ErrLeave = errors.New("the file is left alone")

// sources are all files of the plan, in the order of taking in.
func (p IngestPlan) sources() ([]Source, error) {
	files, err := p.files()
	if err != nil {
		return nil, err
	}
	var sources []Source
	for _, path := range files {
		s := Source{Name: p.shown(path), Month: p.Month, Charges: p.Charges, once: path == "-"}
		s.Open = func(context.Context) (*intake.Input, error) {
			in, err := p.open(path)
			if err != nil {
				err = &contentError{err}
			}
			return in, err
		}
		sources = append(sources, s)
	}
	return append(sources, p.Sources...), nil
}

func (p IngestPlan) open(path string) (*intake.Input, error) {
	if path == "-" {
		return intake.OpenReader("standard input", p.Stdin)
	}
	return intake.Open(path)
}

// files lists the files below the paths, folders in name order. Hidden ones are left out.
func (p IngestPlan) files() ([]string, error) {
	var files []string
	for _, path := range p.Paths {
		if path == "-" {
			files = append(files, path)
			continue
		}
		root := filepath.Join(p.Folder, path)
		err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
			hidden := name != root && strings.HasPrefix(d.Name(), ".")
			switch {
			case err != nil:
				return err
			case d.IsDir() && hidden:
				return fs.SkipDir
			case !d.IsDir() && !hidden:
				files = append(files, name)
			}
			return nil
		})
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("ingest %s: %w: there is no such file or folder", path, ErrMissing)
		}
		if err != nil {
			return nil, fmt.Errorf("ingest %s: %w", path, err)
		}
	}
	return files, nil
}
