package ledger

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/calends/calends/pricing"
)

// Layout is the version of the ledger's objects that this program writes: inputs
// and manifests record it. It reads this one and every earlier one; records
// without a layout are of the first.
const Layout = 2

// ErrNewer: a later version of the program wrote the object. What this one does
// not know of it, it might drop.
var ErrNewer = errors.New("written by a later version of calends: use that version, or a later one")

// LayoutOf is the layout that a record says it has.
func LayoutOf(recorded int) int { return max(1, recorded) }

// checkLayout refuses a record of a later layout.
func checkLayout(key string, recorded int) error {
	if recorded > Layout {
		return fmt.Errorf("read %s: it has layout %d, this program knows up to %d: %w", key, recorded, Layout, ErrNewer)
	}
	return nil
}

// Objects are all data objects that the manifest names. Whoever looks for what
// belongs to a month asks here, so that nothing named is ever taken for a leftover.
func (m Manifest) Objects() []Object { return slices.Concat(m.Locks, m.AtClose.Objects()) }

// DataObjects are all data objects that the input names.
func (in Input) DataObjects() []Object { return slices.Clone(in.Objects) }

// KeyKind says what a key of the bucket is for.
type KeyKind int

// The kinds of keys. A ForeignKey is none of the ledger's.
const (
	ForeignKey KeyKind = iota
	InputKey
	DataKey
	ManifestKey
	RevisionKey // any other file in the folder of a revision
	ApprovalKey
	JobKey // what jobs keep beside the ledger, for themselves and for people
)

// jobPrefixes are the folders of jobs: what was dropped, what ran, what is held
// back, what came from Microsoft to be compared; who may ask a server, and who did;
// which customers have agreed to buy. Nothing is computed from them, so no record here
// names what lies there.
var jobPrefixes = [...]string{"inbox/", "runs/", "holds/", "microsoft/", "users/", "tokens/", "audit/", "relationships/", "orders/"}

var (
	inputKeys    = regexp.MustCompile(`^ledger/inputs/[0-9]{8,}\.json$`)
	dataKeys     = regexp.MustCompile(`^ledger/data/[0-9a-f]{64}\.[a-z]+$`)
	revisionKeys = regexp.MustCompile(`^invoices/month=[0-9]{4}-(0[1-9]|1[0-2])/revision=[0-9]{4,}/.`)
)

// KindOfKey tells by its form what a key is for, whatever lies under it.
func KindOfKey(key string) KeyKind {
	switch {
	case inputKeys.MatchString(key):
		return InputKey
	case dataKeys.MatchString(key):
		return DataKey
	case approvalKeys.MatchString(key):
		return ApprovalKey
	case revisionKeys.MatchString(key):
		if _, _, ok := parseManifestKey(key); ok {
			return ManifestKey
		}
		return RevisionKey
	}
	for _, prefix := range jobPrefixes {
		if strings.HasPrefix(key, prefix) {
			return JobKey
		}
	}
	return ForeignKey
}

// RevisionFolder is the folder that a [ManifestKey] or [RevisionKey] lies in,
// with its slash.
func RevisionFolder(key string) string {
	parts := strings.SplitAfterN(key, "/", 4)
	return strings.Join(parts[:len(parts)-1], "")
}

// InputKeyOf is the key of an input's record.
func InputKeyOf(number int64) string { return inputKey(number) }

// InputNumber is the number that an [InputKey] says.
func InputNumber(key string) (number int64, ok bool) {
	if !inputKeys.MatchString(key) {
		return 0, false
	}
	number, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimPrefix(key, inputsPrefix), ".json"), 10, 64)
	return number, err == nil
}

// MonthPrefix is the folder of all revisions of a month, with its slash.
func MonthPrefix(month pricing.Month) string { return invoicesPrefix + "month=" + month.String() + "/" }
