package inbox

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/calends/calends/jobs"
	"github.com/calends/calends/jobs/intake"
	"github.com/calends/calends/pipeline/bucket"
)

// keepRefused writes the refused records of files that were taken otherwise, each
// into an object of its own.
func (r *run) keepRefused(ctx context.Context, item Item, in *intake.Input, files []jobs.FileResult) (keys []string, err error) {
	for n, f := range files {
		if f.Status != jobs.StatusTaken || f.Refused == 0 {
			continue
		}
		key, err := r.keepRecords(ctx, item, in.Members[n])
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	return keys, nil
}

func (r *run) keepRecords(ctx context.Context, item Item, m *intake.Member) (key string, err error) {
	what := m.Recognise()
	rel := item.rel
	if _, member, ok := strings.Cut(m.Name, item.rel+"!"); ok { // of an archive
		rel += "!" + bucket.Segment(member)
	}
	end := ".csv"
	if what.Format == intake.JSONLines {
		end = ".jsonl"
	}
	records, err := os.CreateTemp("", "calends-inbox-*")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, records.Close()) }()
	if err := os.Remove(records.Name()); err != nil {
		return "", err
	}
	hash := sha256.New()
	if _, err := intake.CopyRefused(m, what.Format, io.MultiWriter(records, hash)); err != nil {
		return "", fmt.Errorf("copy the refused records of %s: %w", m.Name, err)
	}
	size, err := records.Seek(0, io.SeekCurrent)
	if err != nil {
		return "", err
	}
	file := &spooled{records, size, hex.EncodeToString(hash.Sum(nil))}
	err = name(refused, r.plan.Day, bare(rel)+refusedSuffix+end, file.sha256, func(k string) (bool, error) {
		key = k
		there, err := r.sha256(ctx, key)
		if err != nil || there != "" {
			return there == file.sha256, err
		}
		return true, r.copy(ctx, key, file)
	})
	return key, err
}
