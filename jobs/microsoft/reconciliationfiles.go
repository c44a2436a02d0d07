package microsoft

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"github.com/calends/calends/jobs/microsoft/web"
)

// partSuffix is that of a file on its way.
const partSuffix = ".part"

const (
	// fetchers download at a time; the client may allow fewer.
	fetchers = 4
	// renewals is how often the way to the files may be asked for anew without any
	// file more to show for it.
	renewals = 3
	// rereads is how often a file is fetched that came whole and reads badly.
	rereads = 2
	// maxLine is the length of a JSON line, which reconciliation's have a few thousand of.
	maxLine = 16 << 20
)

// fetch brings all files of the manifest into the folder. What opens them may expire
// meanwhile: then the manifest comes anew, and only what is missing is fetched. It
// may even be of a newer version, whose files are then fetched instead; the manifest
// that counts comes back.
func (x *exporting) fetch(ctx context.Context, m *manifest) (*manifest, []ExportedFile, error) {
	best := -1
	for tries := 0; ; tries++ {
		files, err := x.files(ctx, m)
		if err == nil {
			return m, files, nil
		}
		done := 0
		for _, f := range files {
			if f.Path != "" {
				done++
			}
		}
		if done > best {
			best, tries = done, 0
		}
		if !shut(err) || tries >= renewals || ctx.Err() != nil {
			return nil, nil, err
		}
		renewed, renewErr := x.manifest(ctx)
		if renewErr != nil {
			return nil, nil, errors.Join(err, fmt.Errorf("renew the way to the files: %w", renewErr))
		}
		if renewed.version() != m.version() {
			best = -1
		}
		m = renewed
	}
}

// files fetches side by side, and returns those that are there also with an error.
func (x *exporting) files(parent context.Context, m *manifest) ([]ExportedFile, error) {
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	folder := filepath.Join(x.plan.Folder, m.folder())
	files := make([]ExportedFile, len(m.Blobs))
	work := make(chan int)
	var wait sync.WaitGroup
	var mu sync.Mutex
	done := 0
	for range min(fetchers, len(m.Blobs)) {
		wait.Go(func() {
			for i := range work {
				f, err := x.file(ctx, m, m.Blobs[i], folder)
				if err != nil {
					cancel(fmt.Errorf("file %s: %w", m.Blobs[i].Name, err))
					return
				}
				mu.Lock()
				files[i] = f
				if done++; x.plan.Progress != nil {
					x.plan.Progress(done, len(files))
				}
				mu.Unlock()
			}
		})
	}
	for i := range m.Blobs {
		select {
		case work <- i:
			continue
		case <-ctx.Done():
		}
		break
	}
	close(work)
	wait.Wait()
	return files, context.Cause(ctx)
}

// file returns a file that is there in whole, fetching it if need be.
func (x *exporting) file(ctx context.Context, m *manifest, b blob, folder string) (ExportedFile, error) {
	name := filepath.Join(folder, filepath.FromSlash(b.Name))
	if f, err := readExported(b.Name, name); err == nil {
		return f, nil
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return ExportedFile{}, fmt.Errorf("make its folder: %w", err)
	}
	for try := 1; ; try++ {
		if err := x.download(ctx, m.address(b), name); err != nil {
			return ExportedFile{}, err
		}
		f, err := readExported(b.Name, name+partSuffix)
		if err == nil {
			if err := os.Rename(name+partSuffix, name); err != nil {
				return ExportedFile{}, err
			}
			f.Path = name
			return f, nil
		}
		if try >= rereads || ctx.Err() != nil {
			return ExportedFile{}, errors.Join(err, os.Remove(name+partSuffix))
		}
	}
}

// download fetches into the file of the name with ".part" behind it.
func (x *exporting) download(ctx context.Context, address, name string) (err error) {
	part, err := os.OpenFile(name+partSuffix, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := part.Close(); err == nil {
			err = closeErr
		}
		if err != nil {
			err = errors.Join(err, os.Remove(name+partSuffix))
		}
	}()
	if _, err := x.Web.Download(ctx, web.Request{URL: address}, part, 0); err != nil {
		return err
	}
	return part.Sync()
}

// readExported reads a file to its end: its JSON lines, unpacked, and its hash.
func readExported(name, path string) (ExportedFile, error) {
	file, err := os.Open(path)
	if err != nil {
		return ExportedFile{}, err
	}
	defer file.Close()
	hash := sha256.New()
	size, err := io.Copy(hash, file)
	if err != nil {
		return ExportedFile{}, err
	}
	f := ExportedFile{Name: name, Path: path, Size: size, SHA256: hex.EncodeToString(hash.Sum(nil))}
	content, err := web.Unpack(file, size, "")
	if err != nil {
		return ExportedFile{}, err
	}
	defer content.Close()
	f.Lines, err = countLines(content)
	return f, err
}

// countLines reads JSON lines, each of which must be an object.
func countLines(r io.Reader) (n int64, err error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 1<<16), maxLine)
	for number := 1; lines.Scan(); number++ {
		line := bytes.TrimSpace(lines.Bytes())
		if number == 1 {
			line = bytes.TrimPrefix(line, []byte("\xef\xbb\xbf"))
			if err := checkFirstLine(line); err != nil {
				return 0, err
			}
		}
		switch {
		case len(line) == 0:
			continue
		case line[0] != '{' || !json.Valid(line):
			return n, fmt.Errorf("%w: line %d is no JSON object", web.ErrIncomplete, number)
		}
		n++
	}
	if err := lines.Err(); err != nil {
		return n, fmt.Errorf("behind line %d: %w", n, err)
	}
	return n, nil
}

// checkFirstLine refuses an error that came as if it were a file.
func checkFirstLine(line []byte) error {
	if bytes.HasPrefix(line, []byte("<")) {
		return web.CheckHead(line)
	}
	var said struct {
		Error *struct{ Code, Message string } `json:"error"`
	}
	if json.Unmarshal(line, &said) == nil && said.Error != nil {
		return fmt.Errorf("%w: it is an error: %s: %s", web.ErrNotData, said.Error.Code, said.Error.Message)
	}
	return nil
}

// shut reports whether a file may be had by another way than this: what opens it has
// expired, or it was moved.
func shut(err error) bool {
	return errors.Is(err, web.ErrForbidden) || errors.Is(err, web.ErrUnauthorized) || errors.Is(err, web.ErrNotFound)
}
