package ledger

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"regexp"
	"slices"
	"strconv"

	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pricing"
)

// Approval is a person's word that a draft may be closed, or that it may not after
// all. A month's approvals are numbered 1, 2, 3 … and never change; what counts is
// what [Manifest.ApprovedBy] makes of all of them.
type Approval struct {
	Layout int    `json:"layout,omitempty"` // [Layout] when it was written
	Month  string `json:"month"`
	Number int    `json:"number"`
	By     string `json:"by"`
	At     string `json:"at"` // RFC 3339, in UTC
	// Revision and Fingerprint are those of the draft that was looked at.
	Revision    int    `json:"revision"`
	Fingerprint string `json:"fingerprint"`
	// Accepted is the reason for which the month may close with something open.
	Accepted string `json:"accepted,omitempty"`
	// Revoked takes back all approvals before this one.
	Revoked bool `json:"revoked,omitempty"`
}

// ApprovalRef names the approval by which a month was closed.
type ApprovalRef struct {
	Number   int    `json:"number"`
	By       string `json:"by"`
	At       string `json:"at"`
	Revision int    `json:"revision"` // the draft that was approved
	// Key, SHA256 and Size are those of its record.
	Key    string `json:"key"`
	SHA256 string `json:"sha256"`
	Size   int64  `json:"size"`
}

// ApprovedBy are those of the month's approvals that are of this draft and that nobody
// has taken back since: what was said of another revision says nothing of this one.
func (m Manifest) ApprovedBy(approvals []Approval) []Approval {
	var standing []Approval
	for _, a := range approvals {
		switch {
		case a.Revoked:
			standing = nil
		case a.Revision == m.Revision && a.Fingerprint == m.Fingerprint:
			standing = append(standing, a)
		}
	}
	return standing
}

const approvalsPrefix = "approvals/"

var approvalKeys = regexp.MustCompile(`^approvals/month=([0-9]{4}-(?:0[1-9]|1[0-2]))/([0-9]{4,})\.json$`)

// ApprovalKeyOf is the key of an approval's record.
func ApprovalKeyOf(month pricing.Month, number int) string {
	return fmt.Sprintf("%s%04d.json", approvalFolder(month), number)
}

func approvalFolder(month pricing.Month) string {
	return approvalsPrefix + "month=" + month.String() + "/"
}

// ApprovalOf tells which approval of which month a key is of.
func ApprovalOf(key string) (month string, number int, ok bool) {
	parts := approvalKeys.FindStringSubmatch(key)
	if parts == nil {
		return "", 0, false
	}
	number, err := strconv.Atoi(parts[2])
	return parts[1], number, err == nil
}

// checkApproval refuses a record that is not what its key says.
func checkApproval(key string, a Approval) error {
	if err := checkLayout(key, a.Layout); err != nil {
		return err
	}
	if month, number, _ := ApprovalOf(key); a.Month != month || a.Number != number {
		return fmt.Errorf("read %s: it says month %s, number %d", key, a.Month, a.Number)
	}
	return nil
}

// Approvals returns what was said of a month's drafts, in order. A number that is
// missing is an error: it may have been a revocation.
func (l Ledger) Approvals(ctx context.Context, month pricing.Month) ([]Approval, error) {
	numbers := make(map[string]int)
	var keys []string
	for info, err := range l.Bucket.List(ctx, approvalFolder(month)) {
		if err != nil {
			return nil, fmt.Errorf("list approvals of %s: %w", month, err)
		}
		if _, number, ok := ApprovalOf(info.Key); ok {
			numbers[info.Key] = number
			keys = append(keys, info.Key)
		}
	}
	slices.SortFunc(keys, func(a, b string) int { return cmp.Compare(numbers[a], numbers[b]) })
	approvals, err := readAll(ctx, l.Bucket, keys, checkApproval)
	if err != nil {
		return nil, err
	}
	for i, a := range approvals {
		if want := i + 1; a.Number != want {
			return nil, fmt.Errorf("read %s: approval %d where %d should stand: one before it is missing", keys[i], a.Number, want)
		}
	}
	return l.laterApprovals(ctx, month, approvals)
}

// laterApprovals asks for the numbers after the last by their keys: a listing may be
// behind what is there.
func (l Ledger) laterApprovals(ctx context.Context, month pricing.Month, approvals []Approval) ([]Approval, error) {
	for {
		key := ApprovalKeyOf(month, len(approvals)+1)
		var a Approval
		err := readJSON(ctx, l.Bucket, key, &a)
		if errors.Is(err, bucket.ErrNotExist) {
			return approvals, nil
		}
		if err == nil {
			err = checkApproval(key, a)
		}
		if err != nil {
			return nil, err
		}
		approvals = append(approvals, a)
	}
}

// PutApproval keeps an approval under its number. Where somebody else has taken the
// number meanwhile it is bucket.ErrConflict.
func (l Ledger) PutApproval(ctx context.Context, month pricing.Month, a Approval) error {
	a.Layout = Layout
	return putJSON(ctx, l.Bucket, ApprovalKeyOf(month, a.Number), a)
}

// RefApproval names an approval for a manifest.
func (l Ledger) RefApproval(ctx context.Context, month pricing.Month, a Approval) (ApprovalRef, error) {
	key := ApprovalKeyOf(month, a.Number)
	data, err := bucket.ReadAll(ctx, l.Bucket, key)
	if err != nil {
		return ApprovalRef{}, err
	}
	sum := sha256.Sum256(data)
	return ApprovalRef{Number: a.Number, By: a.By, At: a.At, Revision: a.Revision, Key: key, SHA256: hex.EncodeToString(sum[:]), Size: int64(len(data))}, nil
}

// AuditApprovals yields every approval in the order of its key, also those that
// [Ledger.Approvals] refuses.
func (l Ledger) AuditApprovals(ctx context.Context, workers int) iter.Seq2[Found[Approval], error] {
	return audit(ctx, l.Bucket, workers, approvalsPrefix, func(key string) bool { return approvalKeys.MatchString(key) }, checkApproval)
}
