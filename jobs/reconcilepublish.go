package jobs

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/calends/calends/exports"
	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pricing"
)

// What a reconciliation leaves in the bucket, in revisions as a month's own
// files are:
//
//	reconcile/month=2026-10/revision=0001/partner=<PartnerId>/differences.csv, .parquet, .xlsx
//	                                      manifest.json, written last
const (
	reconcileFolder    = "reconcile/"
	differencesName    = "differences.csv"
	differencesParquet = "differences.parquet"
	differencesBook    = "differences.xlsx"
)

// reconcileFiles are the files of each format.
var reconcileFiles = map[string]string{"csv": differencesName, "parquet": differencesParquet, "xlsx": differencesBook}

// ReconcileFormats lists the formats, sorted.
func ReconcileFormats() []string { return slices.Sorted(maps.Keys(reconcileFiles)) }

// ReconcileManifest is the last write of a revision and makes it visible.
type ReconcileManifest struct {
	Layout   int    `json:"layout"`
	Month    string `json:"month"`
	Revision int    `json:"revision"`
	Software string `json:"software"`
	// Fingerprint is equal for equal files of Microsoft's, months of ours, and
	// differences.
	Fingerprint string              `json:"fingerprint"`
	Ours        []ReconciledMonth   `json:"ours"`
	Theirs      []ReconciledFile    `json:"theirs"`
	Partners    []ReconciledPartner `json:"partners"`
	// Unproven counts for the fingerprint: once the month comes out again, the next
	// run writes whole workbooks.
	Unproven []UnprovenPartner `json:"unproven,omitempty"`
	Files    []ledger.File     `json:"files"`
}

// ReconciledMonth is a revision of ours that was compared.
type ReconciledMonth struct {
	Month       string `json:"month"`
	Revision    int    `json:"revision"`
	State       string `json:"state"`
	Fingerprint string `json:"fingerprint"`
}

func reconcileMonthPrefix(month pricing.Month) string {
	return fmt.Sprintf("%smonth=%s/", reconcileFolder, month)
}

func reconcilePrefix(month pricing.Month, revision int) string {
	return fmt.Sprintf("%srevision=%04d/", reconcileMonthPrefix(month), revision)
}

// partnerOutput writes the files of one partner into a folder of its own.
type partnerOutput struct {
	id      string
	folder  string
	files   []*os.File
	writers []interface {
		Encode(*exports.Difference) error
		Close() error
	}
	book *exports.Workbook // nil for none
}

func newPartnerOutput(root, id string, formats []string) (*partnerOutput, error) {
	o := &partnerOutput{id: id, folder: filepath.Join(root, "partner="+bucket.Segment(id))}
	if err := os.Mkdir(o.folder, 0o777); err != nil {
		return nil, err
	}
	for _, format := range []string{"csv", "parquet"} {
		if len(formats) > 0 && !slices.Contains(formats, format) {
			continue
		}
		file, err := o.create(reconcileFiles[format])
		if err != nil {
			return nil, errors.Join(err, o.abort())
		}
		if format == "csv" {
			o.writers = append(o.writers, exports.NewDifferencesCSV(file))
		} else {
			o.writers = append(o.writers, exports.NewDifferencesParquet(file))
		}
	}
	return o, nil
}

func (o *partnerOutput) create(name string) (*os.File, error) {
	file, err := os.Create(filepath.Join(o.folder, name))
	if err == nil {
		o.files = append(o.files, file)
	}
	return file, err
}

// show writes lines of ours and matches into the workbook.
func (o *partnerOutput) show(lines []*invoice.Line, recon []exports.ReconRow) error {
	if o.book == nil {
		return nil
	}
	for _, l := range lines {
		if err := o.book.Encode(l); err != nil {
			return err
		}
	}
	for i := range recon {
		if err := o.book.EncodeRecon(&recon[i]); err != nil {
			return err
		}
	}
	return nil
}

func (o *partnerOutput) encode(d *exports.Difference) error {
	for _, w := range o.writers {
		if err := w.Encode(d); err != nil {
			return err
		}
	}
	return nil
}

func (o *partnerOutput) close() error {
	for _, w := range o.writers {
		if err := w.Close(); err != nil {
			return errors.Join(err, o.abort())
		}
	}
	if o.book != nil {
		book := o.book
		o.book = nil
		if err := book.Close(); err != nil {
			return errors.Join(err, o.abort())
		}
	}
	return o.abort()
}

// abort lets go of the files. A workbook is closed for its temporary ones.
func (o *partnerOutput) abort() error {
	var errs []error
	if o.book != nil {
		_ = o.book.Close() // it complains of what is not there, and nobody will read it
		o.book = nil
	}
	for _, f := range o.files {
		errs = append(errs, f.Close())
	}
	o.files = nil
	return errors.Join(errs...)
}

// publishReconciliation writes the files below root as the month's next
// revision, unless one says the same already.
func (e Env) publishReconciliation(ctx context.Context, month pricing.Month, m ReconcileManifest, root string) (_ ReconcileManifest, written bool, err error) {
	if m.Files, err = filesBelow(root); err != nil {
		return m, false, err
	}
	m.Layout, m.Month, m.Software = ledger.Layout, month.String(), e.Version
	if m.Fingerprint, err = m.fingerprint(); err != nil {
		return m, false, err
	}
	err = e.locked(ctx, "reconcile "+month.String(), func(ctx context.Context, e Env) error {
		next := 1
		for known, err := range e.reconcileManifests(ctx, month, &next) {
			if err != nil {
				return err
			}
			if known.Fingerprint == m.Fingerprint && sameFormats(known.Files, m.Files) {
				m = known
				return nil
			}
		}
		m.Revision, written = next, true
		return e.writeReconciliation(ctx, month, m, root)
	})
	return m, written, err
}

// sameFormats reports whether all of the files are among those of a revision.
func sameFormats(known, wanted []ledger.File) bool {
	for _, f := range wanted {
		if !slices.ContainsFunc(known, func(k ledger.File) bool { return k.Path == f.Path }) {
			return false
		}
	}
	return true
}

// fingerprint is over what the manifest says, but for the program's version
// and the files' bytes in other forms than CSV, which follow from it.
func (m ReconcileManifest) fingerprint() (string, error) {
	m.Software, m.Fingerprint, m.Revision = "", "", 0
	m.Files = slices.DeleteFunc(slices.Clone(m.Files), func(f ledger.File) bool { return !strings.HasSuffix(f.Path, "/"+differencesName) })
	data, err := json.Marshal(m)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:]), nil
}

// filesBelow hashes the files below a folder, in the order of their paths.
func filesBelow(root string) ([]ledger.File, error) {
	var files []ledger.File
	paths, err := filepath.Glob(filepath.Join(root, "*", "*"))
	if err != nil {
		return nil, err
	}
	slices.Sort(paths)
	for _, name := range paths {
		path, err := filepath.Rel(root, name)
		if err != nil {
			return nil, err
		}
		info, err := os.Stat(name)
		if err != nil {
			return nil, err
		}
		sum, err := hashFile(name)
		if err != nil {
			return nil, err
		}
		files = append(files, ledger.File{Path: filepath.ToSlash(path), Size: info.Size(), SHA256: sum})
	}
	return files, nil
}

// reconcileManifests reads the revisions of a month. next becomes a number above
// everything that lies there, also what an interrupted run left.
func (e Env) reconcileManifests(ctx context.Context, month pricing.Month, next *int) func(func(ReconcileManifest, error) bool) {
	return func(yield func(ReconcileManifest, error) bool) {
		prefix := reconcileMonthPrefix(month)
		for info, err := range e.Bucket.List(ctx, prefix) {
			if err != nil {
				yield(ReconcileManifest{}, err)
				return
			}
			revision, path, ok := reconcileRevision(info.Key, prefix)
			if !ok {
				continue
			}
			*next = max(*next, revision+1)
			if path != ledger.ManifestName {
				continue
			}
			var m ReconcileManifest
			data, err := bucket.ReadAll(ctx, e.Bucket, info.Key)
			if err == nil {
				if err = json.Unmarshal(data, &m); err != nil {
					err = fmt.Errorf("read %s: %w", info.Key, err)
				}
			}
			if !yield(m, err) || err != nil {
				return
			}
		}
	}
}

// reconcileRevision takes revision=0001/path apart.
func reconcileRevision(key, prefix string) (revision int, path string, ok bool) {
	folder, path, ok := strings.Cut(strings.TrimPrefix(key, prefix), "/")
	number, isRevision := strings.CutPrefix(folder, "revision=")
	revision, err := strconv.Atoi(number)
	return revision, path, ok && isRevision && err == nil
}

func (e Env) writeReconciliation(ctx context.Context, month pricing.Month, m ReconcileManifest, root string) error {
	prefix := reconcilePrefix(month, m.Revision)
	for i, f := range m.Files {
		e.progress("write", int64(i), int64(len(m.Files)))
		if err := e.copyIn(ctx, prefix+f.Path, filepath.Join(root, filepath.FromSlash(f.Path))); err != nil {
			return fmt.Errorf("write %s: %w", prefix+f.Path, err)
		}
	}
	e.progress("write", int64(len(m.Files)), int64(len(m.Files)))
	var data bytes.Buffer
	encoder := json.NewEncoder(&data)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(m); err != nil {
		return err
	}
	if err := e.mayPublish(ctx); err != nil {
		return err
	}
	return bucket.PutSame(ctx, e.Bucket, prefix+ledger.ManifestName, data.Bytes())
}

// copyIn writes a file as an object.
func (e Env) copyIn(ctx context.Context, key, name string) error {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	w, err := bucket.CreateSame(ctx, e.Bucket, key)
	if err != nil {
		return err
	}
	defer w.Abort()
	if _, err := io.Copy(w, file); err != nil {
		return err
	}
	return w.Commit()
}

// copyOut writes the files into a plain folder, under the month, without a
// revision: what differs there is replaced, each file as a whole.
func copyOut(to string, month pricing.Month, files []ledger.File, root string) error {
	for _, f := range files {
		target := filepath.Join(to, filepath.FromSlash(reconcileMonthPrefix(month)+f.Path))
		if err := copyFile(target, filepath.Join(root, filepath.FromSlash(f.Path))); err != nil {
			return fmt.Errorf("write %s: %w", target, err)
		}
	}
	return nil
}

func copyFile(target, source string) error {
	from, err := os.Open(source)
	if err != nil {
		return err
	}
	defer from.Close()
	if err := os.MkdirAll(filepath.Dir(target), 0o777); err != nil {
		return err
	}
	part, err := createPart(filepath.Dir(target))
	if err != nil {
		return err
	}
	defer part.Close()
	if _, err = fill(part, from); err == nil {
		err = os.Rename(part.Name(), target)
	}
	if err != nil {
		return errors.Join(err, os.Remove(part.Name()))
	}
	return nil
}
