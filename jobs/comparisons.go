package jobs

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pricing"
)

// PublishedFile is a file that a manifest names.
type PublishedFile struct {
	Name   string // such as reconciliation.csv
	Key    string // in the bucket
	Size   int64
	SHA256 string
}

// FilesOf lists the files of a partner's invoice in the month's current revision; the
// files of the whole month for "".
func FilesOf(m ledger.Month, partnerID string) []PublishedFile {
	return publishedFiles(ledger.RevisionPrefix(m.Month, m.Current.Revision), partnerID, m.Current.Files)
}

// publishedFiles are those below a partner's folder of a revision, or beside all folders.
func publishedFiles(prefix, partnerID string, all []ledger.File) []PublishedFile {
	folder := ""
	if partnerID != "" {
		folder = partnerFile(partnerID, "")
	}
	var files []PublishedFile
	for _, f := range all {
		if name, ok := strings.CutPrefix(f.Path, folder); ok && !strings.Contains(name, "/") {
			files = append(files, PublishedFile{name, prefix + f.Path, f.Size, f.SHA256})
		}
	}
	return files
}

// ExceptionFiles are the names of the files of exceptions in a revision, and whether
// theirs are of closed months.
func ExceptionFiles() map[string]bool { return map[string]bool{exceptionsName: false, lateName: true} }

// LinesFile is the name of the file that has an invoice's lines.
const LinesFile = csvName

// HeaderFile is the name of the file that has an invoice's header.
const HeaderFile = invoiceName

// DifferencesFile is the name of the file that has a partner's differences.
const DifferencesFile = differencesName

// Comparison is the newest one of a partner's month with Microsoft's file.
type Comparison struct {
	ReconciledPartner
	// Revision of the comparison, and ours of the month that it was made with.
	Revision int
	Ours     []ReconciledMonth
	Files    []PublishedFile
}

// Comparisons returns the newest comparison of each partner of a month, by partner.
func (e Env) Comparisons(ctx context.Context, month pricing.Month) ([]Comparison, error) {
	newest := make(map[string]Comparison)
	for m, err := range e.reconcileManifests(ctx, month, new(int)) {
		if err != nil {
			return nil, fmt.Errorf("comparisons of %s: %w", month, err)
		}
		for _, p := range m.Partners {
			if m.Revision >= newest[p.PartnerID].Revision {
				newest[p.PartnerID] = Comparison{ReconciledPartner: p, Revision: m.Revision, Ours: m.Ours,
					Files: publishedFiles(reconcilePrefix(month, m.Revision), p.PartnerID, m.Files)}
			}
		}
	}
	all := make([]Comparison, 0, len(newest))
	for _, c := range newest {
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b Comparison) int { return cmp.Compare(a.PartnerID, b.PartnerID) })
	return all, nil
}
