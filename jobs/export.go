package jobs

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/calends/calends/exports"
	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pricing"
)

// ExportPlan says what to copy where.
type ExportPlan struct {
	Month pricing.Month
	// Folder is a plain one, not a bucket: what differs in it is replaced.
	Folder string
	// Store is where the files go instead, if it is given; Folder is then what
	// messages call it. Nothing in it is replaced: what differs is a conflict.
	Store bucket.Bucket
	// Partners, by id. None: all, and what belongs to the month as a whole.
	Partners []string
	// Formats of the partners' files, see [ExportFormats]. None: all.
	Formats []string
}

// ExportResult says what lies in the folder now.
type ExportResult struct {
	Month    string         `json:"month"`
	Revision int            `json:"revision"`
	State    string         `json:"state"`
	Folder   string         `json:"folder"`
	Files    []ExportedFile `json:"files"`
	Partners []string       `json:"partners"` // with an invoice in the export
	// Notes say what a reader of the folder should know.
	Notes []string `json:"notes,omitempty"`
}

// ExportedFile is one file of the folder.
type ExportedFile struct {
	Path   string `json:"path"` // below the folder
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
	// Written is false when the same was there already.
	Written bool `json:"written"`
}

// formatFiles are the files of each format.
var formatFiles = map[string]string{"csv": csvName, "parquet": parquetName, "xlsx": workbookName, "json": invoiceName}

// ExportFormats lists the formats, sorted.
func ExportFormats() []string { return slices.Sorted(maps.Keys(formatFiles)) }

// Export copies the current revision of a month into a plain folder, every file
// checked against the manifest on its way. Files go in as they are, the machine
// CSV too, under the paths that they have in the revision:
//
//	partner=<PartnerId>/reconciliation.csv, .parquet, .xlsx and invoice.json
//	exceptions.csv, late-exceptions.csv
//	manifest.json, only of a whole export: it names every partner
//
// With partners, only their files are copied and the exceptions keep only their
// rows; a row without a partner is nobody's then. A file that is there with the
// same bytes stays; one that differs is replaced as a whole, so that a reader
// sees the old one or the new one. Nothing is deleted.
//
// In a store nothing is replaced either: a file that differs there is
// bucket.ErrConflict.
func (e Env) Export(ctx context.Context, plan ExportPlan) (ExportResult, error) {
	at, err := e.snapshot(ctx)
	if err != nil {
		return ExportResult{}, err
	}
	if err := at.something("export " + plan.Month.String()); err != nil {
		return ExportResult{}, err
	}
	known, err := at.exportable(plan)
	if err != nil {
		return ExportResult{}, err
	}
	m := known.Current
	x := export{env: e, plan: plan, month: known, target: plan.target(),
		result: ExportResult{Month: m.Month, Revision: m.Revision, State: string(m.State), Folder: plan.Folder,
			Files: []ExportedFile{}, Partners: []string{}}}
	if err := x.copyAll(ctx); err != nil {
		return ExportResult{}, fmt.Errorf("export %s to %s: %w", known.Month, plan.Folder, err)
	}
	return x.result, x.note(ctx)
}

// exportTarget is where files are exported to.
type exportTarget interface {
	// put writes a file unless it is there with the same bytes, as a whole and only if
	// it has the wanted hash; "" wants none.
	put(ctx context.Context, path string, content io.Reader, wanted string) (ExportedFile, error)
	// others lists files that are named as an export names them but are none of ours:
	// what an earlier export of another month or revision left.
	others(ctx context.Context, ours map[string]bool) ([]string, error)
}

func (p ExportPlan) target() exportTarget {
	if p.Store != nil {
		return exportStore{p.Store}
	}
	return folder(p.Folder)
}

// exportable finds the month and refuses a plan that asks for what is not there.
func (s snapshot) exportable(plan ExportPlan) (ledger.Month, error) {
	known, ok := s.month(plan.Month)
	if !ok {
		return known, fmt.Errorf("export %s: %w: the month has no revision; bill it first, with: calends bill %s", plan.Month, ErrMissing, plan.Month)
	}
	for _, format := range plan.Formats {
		if formatFiles[format] == "" {
			return known, fmt.Errorf("export %s: %w: format %q; known are %s", plan.Month, ErrUsage, format, strings.Join(ExportFormats(), ", "))
		}
	}
	for _, id := range plan.Partners {
		if _, ok := known.Current.Policies[id]; !ok {
			return known, fmt.Errorf("export %s: %w: no partner %q in that month; it has %s",
				plan.Month, ErrUsage, id, joinIDs(slices.Sorted(maps.Keys(known.Current.Policies))))
		}
	}
	return known, nil
}

// export is one run of Export.
type export struct {
	env    Env
	plan   ExportPlan
	month  ledger.Month
	target exportTarget
	result ExportResult
}

// whole reports whether everything of the revision is copied.
func (x *export) whole() bool { return len(x.plan.Partners) == 0 && len(x.plan.Formats) == 0 }

func (x *export) copyAll(ctx context.Context) error {
	prefix := ledger.RevisionPrefix(x.month.Month, x.month.Current.Revision)
	files := x.chosen()
	stage := "export " + x.month.Month.String()
	for i, f := range files {
		x.env.progress(stage, int64(i), int64(len(files)))
		if err := x.file(ctx, prefix, f); err != nil {
			return fmt.Errorf("%s: %w", f.Path, err)
		}
	}
	x.env.progress(stage, int64(len(files)), int64(len(files)))
	if x.whole() {
		data, err := bucket.ReadAll(ctx, x.env.Bucket, prefix+ledger.ManifestName)
		if err != nil {
			return err
		}
		return x.put(ctx, ledger.ManifestName, bytes.NewReader(data), "")
	}
	return nil
}

// chosen are the files of the revision that the plan asks for, in the
// manifest's order.
func (x *export) chosen() []ledger.File {
	var files []ledger.File
	wanted := map[string]bool{exceptionsName: true, lateName: true}
	for _, inv := range x.month.Current.Invoices {
		if len(x.plan.Partners) > 0 && !slices.Contains(x.plan.Partners, inv.PartnerID) {
			continue
		}
		x.result.Partners = append(x.result.Partners, inv.PartnerID)
		for format, name := range formatFiles {
			if len(x.plan.Formats) == 0 || slices.Contains(x.plan.Formats, format) {
				wanted[partnerFile(inv.PartnerID, name)] = true
			}
		}
	}
	for _, f := range x.month.Current.Files {
		if wanted[f.Path] {
			files = append(files, f)
		}
	}
	return files
}

// file copies one file of the revision. Of exceptions, chosen partners get
// their own.
func (x *export) file(ctx context.Context, prefix string, f ledger.File) error {
	object, err := x.env.Bucket.Open(ctx, prefix+f.Path)
	if err != nil {
		return err
	}
	defer object.Close()
	if len(x.plan.Partners) > 0 && (f.Path == exceptionsName || f.Path == lateName) {
		own, err := x.ownExceptions(object, f.SHA256)
		if err != nil {
			return err
		}
		return x.put(ctx, f.Path, bytes.NewReader(own), "")
	}
	return x.put(ctx, f.Path, object, f.SHA256)
}

// ownExceptions leaves the rows of the chosen partners.
func (x *export) ownExceptions(content io.Reader, wanted string) ([]byte, error) {
	hash := sha256.New()
	all, err := exports.ReadExceptions(io.TeeReader(content, hash), x.month.Month)
	if err != nil {
		return nil, err
	}
	if err := sameHash(wanted, hex.EncodeToString(hash.Sum(nil))); err != nil {
		return nil, err
	}
	own := all[:0]
	for _, e := range all {
		if e.PartnerID != "" && slices.Contains(x.plan.Partners, e.PartnerID) {
			own = append(own, e)
		}
	}
	var data bytes.Buffer
	err = exports.WriteExceptions(&data, own)
	return data.Bytes(), err
}

// put writes one file and enters it in the result. A sha256 that is given must
// be that of the content.
func (x *export) put(ctx context.Context, path string, content io.Reader, sha256 string) error {
	f, err := x.target.put(ctx, path, content, sha256)
	if err == nil {
		x.result.Files = append(x.result.Files, f)
	}
	return err
}

// note tells what else lies in the folder, and who has no invoice.
func (x *export) note(ctx context.Context) error {
	for _, id := range x.plan.Partners {
		if !slices.Contains(x.result.Partners, id) {
			x.result.Notes = append(x.result.Notes, fmt.Sprintf("partner %s has no invoice in %s", id, x.month.Month))
		}
	}
	ours := make(map[string]bool)
	for _, f := range x.result.Files {
		ours[f.Path] = true
	}
	others, err := x.target.others(ctx, ours)
	if err != nil {
		return fmt.Errorf("look through %s: %w", x.plan.Folder, err)
	}
	if len(others) > 0 {
		x.result.Notes = append(x.result.Notes, "not of this export, and left as it is: "+joinIDs(others))
	}
	return nil
}
