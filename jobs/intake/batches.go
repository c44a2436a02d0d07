package intake

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/calends/calends/pipeline/change"
	"github.com/calends/calends/pricing/pricesheet/table"
)

// Batch is some records of a file of changes that follow each other.
type Batch struct {
	Changes []change.Change
	Refused []*table.Error
	unknown []string
}

func (b *Batch) clear() {
	b.Changes, b.Refused, b.unknown = b.Changes[:0], nil, nil
}

// fill adds records until there are enough, or to the end: then the error is [io.EOF].
func (b *Batch) fill(r *ChangeReader, most int) (err error) {
	defer panicked(&err)
	r.unknown = nil
	defer func() { b.unknown = r.unknown }()
	for len(b.Changes)+len(b.Refused) < most {
		b.Changes = append(b.Changes, change.Change{})
		refused, err := r.Next(&b.Changes[len(b.Changes)-1])
		if refused != nil || err != nil {
			b.Changes = b.Changes[:len(b.Changes)-1]
		}
		if err != nil {
			return err
		}
		if refused != nil {
			b.Refused = append(b.Refused, refused)
		}
	}
	return nil
}

// panicked makes an error of a panic over what a file holds: in a goroutine of its
// own it would end the program, and with it the files that wait.
func panicked(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("the reader of the file panicked, which is a mistake in calends: %v", p)
	}
}

// batchSize is how many records are handed on at a time where nothing else says so.
const batchSize = 1024

// ReadChanges reads a member that was recognised as changes and hands what stands
// in it to take, in the order of the file. JSON Lines are read by all workers; the
// outcome does not depend on their number. A batch is valid until take returns.
//
// It returns the fields without a meaning here that were seen, as
// [ChangeReader.Unknown] does. An error is the file's, or take's as it stands.
func ReadChanges(ctx context.Context, m *Member, format Format, workers int, take func(*Batch) error) (unknown []string, err error) {
	var names firstNames
	each := func(b *Batch) error {
		for _, name := range b.unknown {
			names.add(name)
		}
		return take(b)
	}
	switch format {
	case CSV, Parquet:
		err = readTable(ctx, m, format, each)
	default:
		err = readLines(ctx, m, max(1, workers), each)
	}
	return names.sorted(), err
}

// readAhead is how many batches may wait for being taken.
const readAhead = 2

// batches is what the readers of a file and who takes what they read share: jobs
// in the order of the file, each with its outcome to come.
type batches struct {
	ordered chan *batchJob
	spare   chan *batchJob
}

type batchJob struct {
	piece []byte // of whole lines, where the file is text
	line  int64  // lines before it
	batch Batch
	done  chan error
}

func newBatches(ahead int) *batches {
	return &batches{make(chan *batchJob, ahead), make(chan *batchJob, 2*ahead+2)}
}

// job returns an empty one, of those that were taken if there is one.
func (b *batches) job() *batchJob {
	select {
	case j := <-b.spare:
		j.batch.clear()
		return j
	default:
		return &batchJob{done: make(chan error, 1)}
	}
}

// drain takes all jobs in order, up to the first error.
func (b *batches) drain(stop func(), take func(*Batch) error) (err error) {
	for j := range b.ordered {
		failed := <-j.done
		if err != nil {
			continue // so that everyone who waits gets home
		}
		if err = take(&j.batch); err == nil && !errors.Is(failed, io.EOF) {
			err = failed
		}
		if err != nil {
			stop()
		}
		select {
		case b.spare <- j:
		default:
		}
	}
	return err
}

// readTable reads CSV or Parquet, a few batches ahead of who takes them.
func readTable(parent context.Context, m *Member, format Format, take func(*Batch) error) (err error) {
	r, err := OpenChanges(m, format)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	ctx, stop := context.WithCancel(parent)
	defer stop()
	b := newBatches(readAhead)
	var wait sync.WaitGroup
	wait.Go(func() {
		defer close(b.ordered)
		for {
			j := b.job()
			err := j.batch.fill(r, batchSize)
			j.done <- err
			select {
			case b.ordered <- j:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	})
	err = b.drain(stop, take)
	wait.Wait()
	if err == nil {
		err = parent.Err() // stopped between two batches: what was taken is not all
	}
	return err
}

// readLines cuts JSON Lines into pieces of whole lines, which all workers read.
func readLines(parent context.Context, m *Member, workers int, take func(*Batch) error) (err error) {
	src, err := m.Open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, src.Close()) }()
	ctx, stop := context.WithCancel(parent)
	defer stop()
	b := newBatches(readAhead * workers)
	work := make(chan *batchJob)
	var wait sync.WaitGroup
	for range workers {
		wait.Go(func() {
			lines := &lineReader{}
			r := newChangeReader(&jsonChanges{lines: lines})
			for j := range work {
				lines.reset(bytes.NewReader(j.piece), j.line)
				j.done <- j.batch.fill(r, len(j.piece)+1) // a record has a byte at least: all of them
			}
		})
	}
	wait.Go(func() {
		defer close(b.ordered)
		defer close(work)
		cut := cutter{src: src}
		for {
			j := b.job()
			var end error
			if j.piece, j.line, end = cut.next(j.piece); end != nil {
				if !errors.Is(end, io.EOF) {
					j.done <- fmt.Errorf("read changes, line %d: %w", j.line+1, end)
					select {
					case b.ordered <- j:
					case <-ctx.Done():
					}
				}
				return
			}
			select {
			case b.ordered <- j:
			case <-ctx.Done():
				return
			}
			select {
			case work <- j:
			case <-ctx.Done():
				j.done <- ctx.Err()
				return
			}
		}
	})
	err = b.drain(stop, take)
	wait.Wait()
	if err == nil {
		err = parent.Err() // stopped between two batches: what was taken is not all
	}
	return err
}

// cutter cuts a text file into pieces of whole lines. Of a line longer than
// [MaxLine] it leaves so much that it is still too long, and no more.
type cutter struct {
	src   io.Reader
	rest  []byte // read, and no whole line
	lines int64  // cut off so far
	begun bool
	end   error // what reading ended with
}

// pieceSize is about how many bytes a piece has.
const pieceSize = 256 << 10

// next returns the next piece, in the memory given as far as it suffices, and how
// many lines stand before it. After the last the error is that of the file,
// [io.EOF] where all is well.
func (c *cutter) next(piece []byte) (_ []byte, before int64, err error) {
	defer panicked(&err)
	before = c.lines
	piece = append(piece[:0], c.rest...)
	c.rest = c.rest[:0]
	for size := pieceSize; ; size += pieceSize {
		piece = c.fill(piece, size)
		if !c.begun {
			c.begun = true
			piece = bytes.TrimPrefix(piece, []byte("\xef\xbb\xbf"))
		}
		if c.end != nil && errors.Is(c.end, io.EOF) {
			break
		}
		if i := bytes.LastIndexByte(piece, '\n'); i >= 0 {
			c.rest = append(c.rest, piece[i+1:]...)
			piece = piece[:i+1]
			break
		}
		if c.end != nil {
			piece = piece[:0] // a part of a line is none
			break
		}
		if len(piece) > MaxLine {
			piece = append(piece[:MaxLine+1], '\n')
			c.skip()
			break
		}
	}
	if len(piece) == 0 {
		return piece, before, c.end
	}
	c.lines += int64(bytes.Count(piece, []byte{'\n'}))
	return piece, before, nil
}

// fill reads until there are so many bytes, or nothing more.
func (c *cutter) fill(piece []byte, size int) []byte {
	for c.end == nil && len(piece) < size {
		from := len(piece)
		if cap(piece) < size {
			piece = append(make([]byte, 0, size), piece...)
		}
		var n int
		n, c.end = c.src.Read(piece[from:size])
		piece = piece[:from+n]
	}
	return piece
}

// skip leaves out the rest of a line.
func (c *cutter) skip() {
	for c.end == nil {
		part := c.fill(nil, pieceSize)
		if i := bytes.IndexByte(part, '\n'); i >= 0 {
			c.rest = append(c.rest[:0], part[i+1:]...)
			return
		}
	}
}
