package bucket

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
)

// Put creates an object of the given bytes. Errors: those of [Bucket.Create] and
// [Writer.Commit], so ErrExists if the key is taken.
func Put(ctx context.Context, b Bucket, key string, data []byte) error {
	w, err := b.Create(ctx, key)
	if err != nil {
		return err
	}
	return fill(w, data)
}

// ReadAll returns the bytes of an object. Errors: those of [Bucket.Open].
func ReadAll(ctx context.Context, b Bucket, key string) ([]byte, error) {
	object, err := b.Open(ctx, key)
	if err != nil {
		return nil, err
	}
	defer object.Close()
	var data bytes.Buffer
	data.Grow(int(object.Size()) + bytes.MinRead) // the room that ReadFrom wants, so it does not grow again
	if _, err := data.ReadFrom(object); err != nil {
		return nil, fmt.Errorf("read object %q: %w", key, err)
	}
	return data.Bytes(), nil
}

// PutSame makes sure that an object of exactly these bytes exists: it creates it,
// or finds it there. Errors: ErrConflict, naming both SHA-256, if other bytes are
// there; else those of [Bucket.Create] and [Writer.Commit].
func PutSame(ctx context.Context, b Bucket, key string, data []byte) error {
	w, err := CreateSame(ctx, b, key)
	if err != nil {
		return err
	}
	return fill(w, data)
}

func fill(w Writer, data []byte) error {
	if _, err := w.Write(data); err != nil {
		return errors.Join(err, w.Abort())
	}
	return w.Commit()
}

// CreateSame is [PutSame] for an object that is streamed. The writer also knows
// the size and hash of what went through it, which is what a manifest records.
func CreateSame(ctx context.Context, b Bucket, key string) (*SameWriter, error) {
	w, err := b.Create(ctx, key)
	if err != nil {
		return nil, err
	}
	return &SameWriter{ctx: ctx, bucket: b, key: key, writer: w, hash: sha256.New()}, nil
}

// A SameWriter is a [Writer] for which an existing object of the same bytes is
// success. Make one with [CreateSame].
type SameWriter struct {
	ctx    context.Context
	bucket Bucket
	key    string
	writer Writer
	hash   hash.Hash
	size   int64
}

// Write is [Writer]'s.
func (w *SameWriter) Write(p []byte) (int, error) {
	n, err := w.writer.Write(p)
	w.hash.Write(p[:n])
	w.size += int64(n)
	return n, err
}

// Commit is [Writer]'s, but never returns ErrExists: an object that is already
// there is read and compared, and differing bytes are ErrConflict.
func (w *SameWriter) Commit() error {
	err := w.writer.Commit()
	if !errors.Is(err, ErrExists) {
		return err
	}
	stored, err := hashObject(w.ctx, w.bucket, w.key)
	if err != nil {
		return fmt.Errorf("compare with the existing object: %w", err)
	}
	if stored != w.SHA256() {
		return fmt.Errorf("commit object %q: %w: stored sha256 %s, new sha256 %s", w.key, ErrConflict, stored, w.SHA256())
	}
	return nil
}

// Abort is [Writer]'s.
func (w *SameWriter) Abort() error { return w.writer.Abort() }

// Size is the number of bytes written so far.
func (w *SameWriter) Size() int64 { return w.size }

// SHA256 is the hash of the bytes written so far, in lower-case hexadecimal.
func (w *SameWriter) SHA256() string { return hex.EncodeToString(w.hash.Sum(nil)) }

func hashObject(ctx context.Context, b Bucket, key string) (string, error) {
	object, err := b.Open(ctx, key)
	if err != nil {
		return "", err
	}
	defer object.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, object); err != nil {
		return "", fmt.Errorf("read object %q: %w", key, err)
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}
