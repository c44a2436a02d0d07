package bucket

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"gocloud.dev/blob"
)

const (
	// inlineSize is up to which size an object is collected in memory and sent whole,
	// in one request that creates it or does not. Longer ones are sent in parts.
	inlineSize = 8 << 20
	partSize   = 8 << 20
	// partsAtOnce of one object are on their way at a time, each in memory.
	partsAtOnce = 3
	// putAttempts bounds how often a creation runs into one of the same key that is
	// under way and then fails.
	putAttempts = 5
)

// markName is the entry of an object's metadata that says which writer made it.
const markName = "calendswriter"

// newMark is the mark of one writer. It tells a creation that was repeated, since
// its answer was lost on the way, from somebody else's: both find the key taken.
func newMark() string { return rand.Text() }

func writerOptions(mark string) *blob.WriterOptions {
	return &blob.WriterOptions{
		BufferSize:     partSize,
		MaxConcurrency: partsAtOnce,
		ContentType:    "application/octet-stream",
		Metadata:       map[string]string{markName: mark},
		IfNotExist:     true,
	}
}

// put creates an object from memory.
func (s remoteStore) put(ctx context.Context, key, mark string, data []byte) error {
	var err error
	for range putAttempts {
		err = s.bucket.Upload(ctx, s.prefix+key, bytes.NewReader(data), writerOptions(mark))
		if err = s.settle(ctx, key, mark, err); !errors.Is(err, errUndecided) {
			break
		}
	}
	return err
}

// errUndecided is a creation that met another one of the same key, and then there
// was no object.
var errUndecided = errors.New("another creation of the same object was under way, and came to nothing; run again, and if it stays so ask who runs the store: it refuses a name that it does not have")

// settle says how a creation ended that returned err.
func (s remoteStore) settle(ctx context.Context, key, mark string, err error) error {
	if err == nil {
		return nil
	}
	if a, ok := answerOf(err); ok && a.code == folderCode {
		return s.settleFolder(ctx, key, err)
	}
	if !isTaken(err) {
		return s.explain(ctx, err)
	}
	there, err := s.bucket.Attributes(ctx, s.prefix+key)
	switch {
	case isNotFound(err):
		return errUndecided
	case err != nil:
		return s.explain(ctx, err)
	case there.Metadata[markName] == mark:
		return nil
	}
	return ErrExists
}

// folderCode is what a store over a file system answers when the key is a folder.
// It may also be that a folder on the way was removed at the same moment.
const folderCode = "ExistingObjectIsDirectory"

func (s remoteStore) settleFolder(ctx context.Context, key string, err error) error {
	for _, listErr := range s.pages(ctx, key+"/") {
		if listErr != nil {
			return listErr
		}
		return s.explain(ctx, err)
	}
	return errUndecided
}

// remoteSink writes one object. Nothing is sent before it is clear whether the
// object is small enough to go whole.
type remoteSink struct {
	ctx    context.Context // that of the writer
	store  remoteStore
	key    string
	mark   string
	buffer bytes.Buffer

	stream *blob.Writer       // of a long object
	stop   context.CancelFunc // of the stream
	// taken: a long object was there already, so that nothing was sent at all.
	taken bool
}

func newRemoteSink(ctx context.Context, store remoteStore, key string) *remoteSink {
	return &remoteSink{ctx: ctx, store: store, key: key, mark: newMark()}
}

func (s *remoteSink) write(p []byte) (int, error) {
	if s.stream == nil && !s.taken {
		if s.buffer.Len()+len(p) <= inlineSize {
			return s.buffer.Write(p)
		}
		if err := s.begin(); err != nil {
			return 0, err
		}
	}
	if s.taken {
		return len(p), nil
	}
	n, err := s.stream.Write(p)
	if err != nil {
		err = s.failed(err)
	}
	return n, err
}

// begin goes over to sending in parts what is buffered and what follows, unless
// the object is there.
func (s *remoteSink) begin() error {
	_, err := s.store.bucket.Attributes(s.ctx, s.store.prefix+s.key)
	if err == nil {
		s.taken = true
		s.buffer = bytes.Buffer{}
		return nil
	}
	if !isNotFound(err) {
		return s.store.explain(s.ctx, err)
	}
	ctx, stop := context.WithCancel(s.ctx)
	stream, err := s.store.bucket.NewWriter(ctx, s.store.prefix+s.key, writerOptions(s.mark))
	if err != nil {
		stop()
		return s.store.explain(s.ctx, err)
	}
	s.stream, s.stop = stream, stop
	_, err = s.buffer.WriteTo(stream)
	s.buffer = bytes.Buffer{}
	if err != nil {
		return s.failed(err)
	}
	return nil
}

// failed explains a failed write. A store may refuse the object as early as here.
func (s *remoteSink) failed(err error) error {
	return s.store.settle(s.ctx, s.key, "", err)
}

func (s *remoteSink) publish() error {
	switch {
	case s.taken:
		return ErrExists
	case s.stream == nil:
		return s.store.put(s.ctx, s.key, s.mark, s.buffer.Bytes())
	}
	defer s.stop()
	return s.store.settle(s.ctx, s.key, s.mark, s.stream.Close())
}

func (s *remoteSink) discard() error {
	s.buffer = bytes.Buffer{}
	if s.stream == nil {
		return nil
	}
	// Closing would complete the object; after the stop it gives up and removes the
	// parts that were sent.
	s.stop()
	if err := s.stream.Close(); err == nil {
		return fmt.Errorf("object %q came to be although it was stopped", s.key)
	}
	return nil
}
