package microsoft

import (
	"context"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"

	"github.com/calends/calends/jobs/microsoft/web"
	"github.com/calends/calends/pipeline/change"
	"github.com/calends/calends/pricing"
)

// Partner Center keeps audit records for 90 days and refuses a start before that.
const (
	auditKept    = 90
	auditOverlap = 2  // days that are asked for again
	auditWindow  = 30 // days asked for at a time
)

// Window is a number of days, both inclusive.
type Window struct{ From, To pricing.Date }

// String returns the days as 2026-10-01..2026-10-30.
func (w Window) String() string { return w.From.String() + ".." + w.To.String() }

// AuditWindows are the days to ask audit records for, oldest first: from two days
// before the last success, since records may come late, to today. Records that come
// again have the same ids and change nothing. last is [pricing.NoDate] the first
// time: all that is kept is asked for.
//
// lost is the first day that is kept no more although nobody asked for it, else
// [pricing.NoDate]: what happened from last to the day before the first window is to
// be found by a snapshot.
func AuditWindows(last, today pricing.Date) (windows []Window, lost pricing.Date) {
	oldest := today - (auditKept - 1)
	from := last - auditOverlap
	lost = pricing.NoDate
	if last == pricing.NoDate || from < oldest {
		if last != pricing.NoDate && last < oldest {
			lost = last
		}
		from = oldest
	}
	for ; from <= today; from += auditWindow {
		windows = append(windows, Window{from, min(from+auditWindow-1, today)})
	}
	return windows, lost
}

// AuditRecord is what one user or application did, as Partner Center tells it.
type AuditRecord struct {
	ID               string `json:"id"` // mostly blank
	CustomerID       string `json:"customerId"`
	ResourceType     word   `json:"resourceType"`
	ResourceOldValue text   `json:"resourceOldValue"`
	ResourceNewValue text   `json:"resourceNewValue"`
	OperationType    word   `json:"operationType"`
	OperationDate    string `json:"operationDate"`
	OperationStatus  word   `json:"operationStatus"`
}

// text is a JSON text within a text; a service that sends the object itself means
// the same.
type text string

// UnmarshalJSON takes the text, or what stands in its place.
func (t *text) UnmarshalJSON(data []byte) error {
	var s string
	if json.Unmarshal(data, &s) != nil {
		s = string(data)
	}
	if s == "null" {
		s = ""
	}
	*t = text(s)
	return nil
}

// key is the record's id, or one that is made of what it says: the same record has
// the same one whenever it comes.
func (r *AuditRecord) key() string {
	if r.ID != "" {
		return r.ID
	}
	h := sha256.New()
	for _, part := range []string{lowerGUID(r.CustomerID), string(r.ResourceType), string(r.OperationType), r.OperationDate,
		string(r.ResourceOldValue), string(r.ResourceNewValue)} {
		fmt.Fprintf(h, "%d:%s,", len(part), part) //nolint:errcheck // a hash takes everything
	}
	return "audit:" + hex.EncodeToString(h.Sum(nil)[:16])
}

// AuditLeft is a record that no change was made of, and why.
type AuditLeft struct {
	RecordID       string
	CustomerID     string
	SubscriptionID string
	Operation      string
	Time           string
	Reason         string
}

// AuditResult is what audit records gave.
type AuditResult struct {
	// Changes in the order in which they are applied.
	Changes []*change.Change
	// Left are records about subscriptions that do not prove what happened: somebody
	// has to look, or a snapshot tells.
	Left []AuditLeft
	// Records were read; Ignored of them bill nothing: other resources, failed
	// operations, a new name. Pending are not done yet and come again.
	Records, Ignored, Pending int
}

// AuditChanges asks for the audit records of the windows and makes changes of them.
// It keeps nothing: to go on after an interruption is to ask the same windows again.
func (c *Client) AuditChanges(ctx context.Context, windows []Window, progress func(done, total int)) (r AuditResult, err error) {
	seen := make(map[string]bool)
	resources := []string{"Subscription", "Order"}
	total, done := len(windows)*len(resources), 0
	for _, w := range windows {
		for _, resource := range resources {
			err := c.eachPage(ctx, c.partnerCenter(auditPath(w, resource)), func(items []json.RawMessage) error { return r.add(items, seen) })
			if err != nil {
				return AuditResult{}, fmt.Errorf("audit records of %s, %s: %w", w, strings.ToLower(resource), err)
			}
			if done++; progress != nil {
				progress(done, total)
			}
		}
	}
	slices.SortFunc(r.Changes, change.Compare)
	slices.SortFunc(r.Left, func(a, b AuditLeft) int {
		return strings.Compare(a.CustomerID+"\n"+a.Time+"\n"+a.RecordID, b.CustomerID+"\n"+b.Time+"\n"+b.RecordID)
	})
	return r, nil
}

func auditPath(w Window, resource string) string {
	filter := fmt.Sprintf(`{"Field":"ResourceType","Value":%q,"Operator":"equals"}`, resource)
	query := url.Values{"startDate": {w.From.String()}, "endDate": {w.To.String()}, "filter": {filter}}
	return "/v1/auditrecords?" + query.Encode()
}

// add makes changes of a page's records, each once: a service may not know the
// filter, and windows overlap.
func (r *AuditResult) add(items []json.RawMessage, seen map[string]bool) error {
	for _, item := range items {
		var record AuditRecord
		if err := json.Unmarshal(item, &record); err != nil {
			return fmt.Errorf("%w: an audit record: %w", web.ErrNotData, err)
		}
		key := record.key()
		if seen[key] {
			continue
		}
		if record.OperationStatus == "progress" && record.bills() {
			r.Records++
			r.Pending++
			continue // it may come again in this very run, done
		}
		seen[key] = true
		r.Records++
		changes, left := record.changes()
		if len(changes)+len(left) == 0 {
			r.Ignored++
		}
		if err := unwritable(changes); err != nil {
			changes = nil
			left = append(left, AuditLeft{RecordID: key, CustomerID: record.CustomerID, Operation: string(record.OperationType), Time: record.OperationDate, Reason: err.Error()})
		}
		r.Changes = append(r.Changes, changes...)
		r.Left = append(r.Left, left...)
	}
	return nil
}

// AuditLeftColumns are those of [WriteAuditLeft].
var AuditLeftColumns = []string{"RecordId", "CustomerId", "SubscriptionId", "Operation", "Time", "Reason"}

// WriteAuditLeft writes the records that no change was made of as CSV.
func WriteAuditLeft(w io.Writer, left []AuditLeft) error {
	out := csv.NewWriter(w)
	rows := [][]string{AuditLeftColumns}
	for _, l := range left {
		rows = append(rows, []string{l.RecordID, l.CustomerID, l.SubscriptionID, l.Operation, l.Time, l.Reason})
	}
	if err := out.WriteAll(rows); err != nil {
		return fmt.Errorf("write audit records that are left: %w", err)
	}
	return nil
}
