package jobs

import (
	"io"

	"github.com/calends/calends/pricing"
)

// ReconcilePlan says what to compare.
type ReconcilePlan struct {
	Month pricing.Month
	// Files of Microsoft's, and folders of them; "-" is Stdin. They may hold
	// other partners and neighbouring months too. 2026-11=FILE says when all of
	// its lines were billed; of others their content tells.
	Files []string
	Stdin io.Reader
	// Folder that Files are below, "" for the working folder.
	Folder string
	// Partners, by id. None: those that the files bill in the month. A partner that
	// is named here and in no file has all its lines missing there.
	Partners []string
	// Formats of the files to write, see [ReconcileFormats]. None: all.
	Formats []string
	// To is a plain folder that gets the files too, or "".
	To string
	// Disputes is a file for the lines to dispute with Microsoft, or "": CSV, or
	// a workbook if it ends in .xlsx.
	Disputes string
	// Largest is how many of the largest differences the result lists.
	Largest int
	// Memory bounds the bytes of Microsoft's lines that are sorted without
	// temporary files; 0 is a good choice.
	Memory int
}

// ReconciledFile is one of Microsoft's files.
type ReconciledFile struct {
	Name   string `json:"name"`
	SHA256 string `json:"sha256,omitempty"`
	Kind   string `json:"kind,omitempty"`
	// Reason says why it was refused as a whole.
	Reason string `json:"reason,omitempty"`
	// Same names the file that has the same content and was read instead.
	Same string `json:"same,omitempty"`
	// Lines that were read, and those that could not be.
	Lines   int64         `json:"lines"`
	Refused int64         `json:"refused"`
	Errors  []RecordError `json:"errors,omitempty"`
	// Others are lines of partners that were not asked for.
	Others int64 `json:"others,omitempty"`
	// ByCustomer are lines whose PartnerId is none of ours and whose customer is.
	ByCustomer int64 `json:"byCustomer,omitempty"`
	// Unknown are columns without a meaning here.
	Unknown   []string             `json:"unknownColumns,omitempty"`
	Documents []ReconciledDocument `json:"documents,omitempty"`
}

// ReconciledDocument is an invoice of Microsoft's in a file.
type ReconciledDocument struct {
	Number string `json:"number,omitempty"`
	// Months that it was read as billing, and what they were told by.
	Months []string `json:"months"`
	By     MonthBy  `json:"by"`
}

// MonthBy is what told the month that a document bills.
type MonthBy string

// What tells it.
const (
	ByDates   MonthBy = "dates"   // most of its lines are dated in it
	ByOption  MonthBy = "option"  // the plan says so
	ByInvoice MonthBy = "invoice" // the number of its invoice, beside others of the partner
	ByName    MonthBy = "name"    // the name of its file or folder
	ByFile    MonthBy = "file"    // the rest of its file, into which its lines were moved
)

// ReconcileResult says what comparing came to.
type ReconcileResult struct {
	Month string `json:"month"`
	// Revision of the result in the bucket. Written is false when it was there already.
	Revision int  `json:"revision"`
	Written  bool `json:"written"`
	// Ours are the revisions that were compared: the month's, and those beside it.
	Ours []ReconciledMonth `json:"ours"`
	// Theirs are the files.
	Theirs []ReconciledFile `json:"theirs"`
	// Sides, Causes and Steps are over all partners.
	Sides  []ReconciledSides `json:"sides"`
	Causes []ReconciledCause `json:"causes"`
	Steps  map[string]int    `json:"steps"`
	// Open counts the differences that somebody has to look at.
	Open     int                 `json:"open"`
	Partners []ReconciledPartner `json:"partners"`
	// Largest are the largest open differences.
	Largest []LargestDifference `json:"largest"`
	// Policies say which formula gives Microsoft's own amounts, by charge type.
	Policies  []PolicyEvidence `json:"policies"`
	Suggested *SuggestedPolicy `json:"suggestedPolicy,omitempty"`
	Foreign   []ForeignLines   `json:"foreign,omitempty"`
	Elsewhere []ElsewhereLines `json:"elsewhere,omitempty"`
	// Neighbours are lines of theirs that belong to another month: those of the
	// months beside it serve for matching only, others for nothing.
	Neighbours int64 `json:"neighbours"`
	Outside    int64 `json:"outside"`
	// Unread counts lines that could not be read.
	Unread int64 `json:"unread"`
	// LeftOut are partners whom the files name and none of them bills in the month.
	LeftOut []LeftOutPartner `json:"leftOut,omitempty"`
	// Unnamed are partners whom the plan names and no file: all of their lines are
	// missing there.
	Unnamed []string `json:"unnamed,omitempty"`
	// Absent are partners with an invoice of ours and no line in the files.
	Absent   []string `json:"absent,omitempty"`
	Disputes int      `json:"disputes,omitempty"`
	// Unproven are partners whose workbooks do not say how their lines came about.
	Unproven []UnprovenPartner `json:"unproven,omitempty"`
	// Folder is where the files lie besides, as it was given.
	Folder string `json:"folder,omitempty"`
}

// NeedsALook reports whether the result leaves something for a person.
func (r ReconcileResult) NeedsALook() bool {
	return r.Open > 0 || r.Unread > 0 || len(r.Foreign) > 0 || len(r.LeftOut) > 0 || r.refusedFiles() > 0 || r.strangers() > 0
}

// strangers counts lines of a PartnerId that nobody knows, although somebody
// knows the customer.
func (r ReconcileResult) strangers() (n int64) {
	for _, f := range r.Theirs {
		n += f.ByCustomer
	}
	return n
}

func (r ReconcileResult) refusedFiles() (n int) {
	for _, f := range r.Theirs {
		if f.Reason != "" {
			n++
		}
	}
	return n
}

// ReconciledSides are both sides in one currency. Theirs - Ours = Difference =
// the sum of the causes.
type ReconciledSides struct {
	Currency   string `json:"currency"`
	OurLines   int    `json:"ourLines"`
	TheirLines int    `json:"theirLines"`
	Ours       string `json:"ours"` // totals, with tax
	Theirs     string `json:"theirs"`
	Difference string `json:"difference"`
	Matches    int    `json:"matches"`
	Agreed     int    `json:"agreed"`
	Differing  int    `json:"differing"`
}

// ReconciledCause is what one cause comes to in one currency.
type ReconciledCause struct {
	Cause       string `json:"cause"`
	Currency    string `json:"currency"`
	Differences int    `json:"differences"`
	// Free ones cost nothing.
	Free     int    `json:"free"`
	Subtotal string `json:"subtotal"`
	Tax      string `json:"tax"`
	Total    string `json:"total"`
}

// ReconciledPartner is one partner's part.
type ReconciledPartner struct {
	PartnerID string            `json:"partnerId"`
	Open      int               `json:"open"`
	Sides     []ReconciledSides `json:"sides"`
	Causes    []ReconciledCause `json:"causes"`
}

// LeftOutPartner is a partner who was not compared, and why.
type LeftOutPartner struct {
	PartnerID string `json:"partnerId"`
	Reason    string `json:"reason"`
}

// UnprovenPartner is a partner whose lines do not come out again as they stand.
type UnprovenPartner struct {
	PartnerID string `json:"partnerId"`
	Reason    string `json:"reason"`
}

// LargestDifference is a row of differences.csv in short.
type LargestDifference struct {
	PartnerID      string `json:"partnerId"`
	CustomerID     string `json:"customerId"`
	CustomerName   string `json:"customerName"`
	SubscriptionID string `json:"subscriptionId"`
	Match          int    `json:"match"`
	Cause          string `json:"cause"`
	Total          string `json:"total"`
	Currency       string `json:"currency"`
	Explanation    string `json:"explanation"`
}

// PolicyEvidence counts Microsoft's lines of a charge type by the formulas that
// give their Subtotal from their own price, rate and quantity.
type PolicyEvidence struct {
	ChargeType string `json:"chargeType"`
	Lines      int    `json:"lines"`
	Unit       int    `json:"unit"`
	Line       int    `json:"line"`
	Usage      int    `json:"usage"`
	// OnlyUnit and OnlyLine decide: most lines obey several.
	OnlyUnit   int `json:"onlyUnit"`
	OnlyLine   int `json:"onlyLine"`
	Neither    int `json:"neither"`
	Unknowable int `json:"unknowable"`
}

// SuggestedPolicy is the rounding that Microsoft's arithmetic speaks for.
type SuggestedPolicy struct {
	Rounding string `json:"rounding,omitempty"`
	For      int    `json:"for"`
	Against  int    `json:"against"`
	// Neither are those of Against that no policy gives. Withheld: they are too
	// many to suggest any.
	Neither  int  `json:"neither"`
	Withheld bool `json:"withheld,omitempty"`
	// Otherwise are the compared partners that we bill by another rounding.
	Otherwise []OtherPolicy `json:"otherwise,omitempty"`
}

// OtherPolicy is a partner's rounding of ours.
type OtherPolicy struct {
	PartnerID string `json:"partnerId"`
	Rounding  string `json:"rounding"`
}

// ForeignLines are of a partner whom we do not know.
type ForeignLines struct {
	PartnerID string `json:"partnerId"`
	Currency  string `json:"currency"`
	Lines     int64  `json:"lines"`
	Total     string `json:"total"`
}

// ElsewhereLines are charges that are rated elsewhere and were not taken in.
type ElsewhereLines struct {
	PartnerID string `json:"partnerId"`
	Currency  string `json:"currency"`
	Lines     int64  `json:"lines"`
	Total     string `json:"total"`
	Reason    string `json:"reason"`
}
