package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/shopspring/decimal"

	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pipeline/subscription"
	"github.com/calends/calends/pricing"
)

// State says whether a revision may still be followed by another.
type State string

// The states of a month's revision.
const (
	Draft  State = "draft"
	Closed State = "closed"
)

// Manifest is the last write of a revision and makes it visible: it names
// every file, every input and what the month was computed by.
type Manifest struct {
	Layout   int    `json:"layout,omitempty"` // [Layout] when it was written
	Month    string `json:"month"`
	Revision int    `json:"revision"`
	State    State  `json:"state"`
	// Software is the version that computed the revision.
	Software string `json:"software"`
	// Fingerprint is equal for equal lines, headers and exceptions.
	Fingerprint string `json:"fingerprint"`
	// Accepted is the reason for which a month was closed with something open.
	Accepted string `json:"accepted,omitempty"`
	// Approval is the one by which a month was closed, where there was one.
	Approval *ApprovalRef `json:"approval,omitempty"`

	Subscriptions Subscriptions    `json:"subscriptions"`
	Invoices      []InvoiceSummary `json:"invoices"`
	Exceptions    ExceptionCounts  `json:"exceptions"`
	// Late counts the rows of late-exceptions.csv.
	Late   ExceptionCounts `json:"lateExceptions"`
	Files  []File          `json:"files"`
	Inputs []InputRef      `json:"inputs"`
	// Policies are those of each partner with an invoice or a close.
	Policies map[string]invoice.Policies `json:"policies"`
	// Rates are the exchange rates on its lines.
	Rates []RateRef `json:"rates,omitempty"`
	// Locks are the prices that this close adds to those of earlier ones.
	Locks []Object `json:"locks,omitempty"`
	// Begins is the month with which the books begin, in closed months: without
	// it the loss of the first close would move it.
	Begins string `json:"begins,omitempty"`
	// AtClose is where everything stood at this close.
	AtClose *AtClose `json:"atClose,omitempty"`
}

// Subscriptions says where all subscriptions stand at the month's end.
type Subscriptions struct {
	Billed int `json:"billed"`
	Parked int `json:"parked"`
	Ended  int `json:"ended"`
}

// ExceptionCounts counts the rows of exceptions.csv.
type ExceptionCounts struct {
	Errors   int `json:"errors"`
	Warnings int `json:"warnings"`
}

// InvoiceSummary is one partner's invoice. Amounts are decimal text.
type InvoiceSummary struct {
	PartnerID string `json:"partnerId"`
	Number    string `json:"number,omitempty"`
	Currency  string `json:"currency"`
	Lines     int    `json:"lines"`
	Subtotal  string `json:"subtotal"`
	TaxTotal  string `json:"taxTotal"`
	Total     string `json:"total"`
}

// File is one file of a revision, by its path below the revision's folder.
type File struct {
	Path   string `json:"path"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// InputRef names an input that a revision was computed from.
type InputRef struct {
	Number int64  `json:"number"`
	Kind   Kind   `json:"kind"`
	Name   string `json:"name"`
	SHA256 string `json:"sha256"`
}

// RateRef is an exchange rate that lines of a revision used.
type RateRef struct {
	Month   string `json:"month"`
	Pricing string `json:"pricing"`
	Billing string `json:"billing"`
	Rate    string `json:"rate"`
}

// RateKey names an exchange rate.
type RateKey struct {
	Pricing, Billing string
	Month            pricing.Month
}

// Close is what later months must know of a closed one.
type Close struct {
	Month  pricing.Month
	Inputs int64 // how many inputs it knew
	Locks  []Object
	// Rates are those that its lines used.
	Rates map[RateKey]decimal.Decimal
	// Policies by partner, as the close recorded them.
	Policies map[string]invoice.Policies
	// Begins is the month with which the books began; the close's own month where
	// the manifest does not say.
	Begins pricing.Month
	// AtClose is nil for closes of a program that kept no state.
	AtClose *AtClose
}

func (k Close) policies(partnerID string, otherwise subscription.Policies) subscription.Policies {
	recorded, ok := k.Policies[partnerID]
	if !ok {
		return otherwise
	}
	policies, err := ParsePolicies(recorded)
	if err != nil {
		return otherwise // a manifest that this version cannot read was refused when it was loaded
	}
	return policies
}

// PolicyOf gives the policies that the close recorded, and others' otherwise.
func (k Close) PolicyOf(otherwise func(string) subscription.Policies) func(string) subscription.Policies {
	return func(partnerID string) subscription.Policies { return k.policies(partnerID, otherwise(partnerID)) }
}

// ParsePolicies reads policies by their names.
func ParsePolicies(p invoice.Policies) (subscription.Policies, error) {
	rounding, err := pricing.ParseRounding(p.Rounding)
	if err != nil {
		return subscription.Policies{}, err
	}
	monthEnd, err := pricing.ParseMonthEnd(p.MonthEnd)
	if err != nil {
		return subscription.Policies{}, err
	}
	switch p.Windows {
	case "enforce", "trust":
		return subscription.Policies{Rounding: rounding, MonthEnd: monthEnd, Trust: p.Windows == "trust"}, nil
	}
	return subscription.Policies{}, fmt.Errorf("windows policy %q: want enforce or trust", p.Windows)
}

// PolicyNames is the inverse of [ParsePolicies].
func PolicyNames(p subscription.Policies) invoice.Policies {
	windows := "enforce"
	if p.Trust {
		windows = "trust"
	}
	return invoice.Policies{Rounding: p.Rounding.String(), MonthEnd: p.MonthEnd.String(), Windows: windows}
}

const invoicesPrefix = "invoices/"

// RevisionPrefix is the folder of a revision, with its slash.
func RevisionPrefix(month pricing.Month, revision int) string {
	return fmt.Sprintf("%smonth=%s/revision=%04d/", invoicesPrefix, month, revision)
}

const manifestName = "manifest.json"

func manifestKey(month pricing.Month, revision int) string {
	return RevisionPrefix(month, revision) + manifestName
}

// Month is what the bucket has of a month.
type Month struct {
	Month pricing.Month
	// Current is the revision with the highest number that has a manifest.
	Current Manifest
}

// Months returns every month that has a revision, in order. A listing may be behind
// what is there, so what can come next is asked for by its key: a later revision of
// a month that is open, and the month after the last. Only the first revision of
// all stays hidden by a listing that lacks it.
func (l Ledger) Months(ctx context.Context) ([]Month, error) { return l.MonthsSince(ctx, nil) }

// MonthsSince is Months for whoever knows some of them from before: a manifest never
// changes, and what is known is not read again.
func (l Ledger) MonthsSince(ctx context.Context, known []Month) ([]Month, error) {
	var keys []string
	var months []Month                   // with only the number of their current revision, at first
	tried := make(map[pricing.Month]int) // the highest revision that left anything
	for info, err := range l.Bucket.List(ctx, invoicesPrefix) {
		if err != nil {
			return nil, fmt.Errorf("list months: %w", err)
		}
		month, revision, name, ok := parseRevisionKey(info.Key)
		if !ok {
			continue
		}
		tried[month] = max(tried[month], revision)
		if name != manifestName {
			continue
		}
		n := len(months)
		if n == 0 || months[n-1].Month != month {
			months, keys = append(months, Month{Month: month}), append(keys, "")
			n++
		}
		if revision > months[n-1].Current.Revision { // keys sort as text: 10000 comes before 9999
			months[n-1].Current.Revision, keys[n-1] = revision, info.Key
		}
	}
	var unread []int
	for i, m := range months {
		at := slices.IndexFunc(known, func(k Month) bool { return k.Month == m.Month && k.Current.Revision == m.Current.Revision })
		if at < 0 {
			unread = append(unread, i)
			keys[len(unread)-1] = keys[i]
			continue
		}
		months[i].Current = known[at].Current
	}
	keys = keys[:len(unread)]
	manifests, err := readAll(ctx, l.Bucket, keys, func(key string, m Manifest) error { return checkLayout(key, m.Layout) })
	if err != nil {
		return nil, err
	}
	for n, m := range manifests {
		month := &months[unread[n]]
		if m.Month != month.Month.String() || m.Revision != month.Current.Revision {
			return nil, fmt.Errorf("read %s: it says month %s, revision %d", keys[n], m.Month, m.Revision)
		}
		month.Current = m
	}
	for i := range months {
		if err := l.latest(ctx, &months[i], tried[months[i].Month]); err != nil {
			return nil, err
		}
	}
	for len(months) > 0 {
		next := Month{Month: months[len(months)-1].Month + 1}
		if err := l.latest(ctx, &next, 0); err != nil {
			return nil, err
		}
		if next.Current.Revision == 0 {
			break
		}
		months = append(months, next)
	}
	return months, nil
}

// latest makes sure that the month's current revision is the last one: nothing
// follows a closed one, and after an open one comes the next number, or one above
// those that an interrupted run has left without a manifest.
func (l Ledger) latest(ctx context.Context, m *Month, tried int) error {
	for n := m.Current.Revision + 1; m.Current.State != Closed; n++ {
		next, err := l.manifest(ctx, manifestKey(m.Month, n), m.Month, n)
		switch {
		case err == nil:
			m.Current = next
		case !errors.Is(err, bucket.ErrNotExist):
			return err
		case n > tried:
			return nil
		}
	}
	return nil
}

func (l Ledger) manifest(ctx context.Context, key string, month pricing.Month, revision int) (m Manifest, err error) {
	if err := readJSON(ctx, l.Bucket, key, &m); err != nil {
		return m, err
	}
	if err := checkLayout(key, m.Layout); err != nil {
		return m, err
	}
	if m.Month != month.String() || m.Revision != revision {
		return m, fmt.Errorf("read %s: it says month %s, revision %d", key, m.Month, m.Revision)
	}
	return m, nil
}

// IsPublished reports whether a revision has its manifest.
func (l Ledger) IsPublished(ctx context.Context, month pricing.Month, revision int) (bool, error) {
	_, err := l.manifest(ctx, manifestKey(month, revision), month, revision)
	if errors.Is(err, bucket.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// parseManifestKey reads invoices/month=2026-10/revision=0003/manifest.json.
func parseManifestKey(key string) (pricing.Month, int, bool) {
	month, revision, name, ok := parseRevisionKey(key)
	return month, revision, ok && name == manifestName
}

// parseRevisionKey reads the key of a revision's file; the name is what comes after
// the revision's folder.
func parseRevisionKey(key string) (month pricing.Month, revision int, name string, ok bool) {
	rest, ok := strings.CutPrefix(key, invoicesPrefix+"month=")
	if !ok {
		return 0, 0, "", false
	}
	monthText, rest, ok := strings.Cut(rest, "/revision=")
	if !ok {
		return 0, 0, "", false
	}
	number, name, ok := strings.Cut(rest, "/")
	if !ok {
		return 0, 0, "", false
	}
	month, err := pricing.ParseMonth(monthText)
	if err != nil {
		return 0, 0, "", false
	}
	revision, err = strconv.Atoi(number)
	return month, revision, name, err == nil
}

// Closes returns what closed months leave to later ones, in order.
func Closes(months []Month) ([]Close, error) {
	var closes []Close
	for _, m := range months {
		if m.Current.State != Closed {
			continue
		}
		for partner, policies := range m.Current.Policies {
			if _, err := ParsePolicies(policies); err != nil {
				return nil, fmt.Errorf("close of %s, partner %s: %w", m.Month, partner, err)
			}
		}
		rates := make(map[RateKey]decimal.Decimal)
		for _, r := range m.Current.Rates {
			month, err := pricing.ParseMonth(r.Month)
			if err != nil {
				return nil, fmt.Errorf("close of %s, rates: %w", m.Month, err)
			}
			rate, err := decimal.NewFromString(r.Rate)
			if err != nil {
				return nil, fmt.Errorf("close of %s, rate of %s: %w", m.Month, r.Pricing, err)
			}
			rates[RateKey{r.Pricing, r.Billing, month}] = rate
		}
		begins := m.Month
		if m.Current.Begins != "" {
			month, err := pricing.ParseMonth(m.Current.Begins)
			if err != nil {
				return nil, fmt.Errorf("close of %s, begin of the books: %w", m.Month, err)
			}
			begins = month
		}
		closes = append(closes, Close{Month: m.Month, Begins: begins, Inputs: int64(len(m.Current.Inputs)), Locks: m.Current.Locks,
			Rates: rates, Policies: m.Current.Policies, AtClose: m.Current.AtClose})
	}
	return closes, nil
}

// Books says which months are issued.
func Books(closes []Close) invoice.Books {
	if len(closes) == 0 {
		return invoice.Books{}
	}
	return invoice.Books{Begun: true, Begin: closes[0].Month, Closed: closes[len(closes)-1].Month}
}

// PutManifest makes a revision visible.
func (l Ledger) PutManifest(ctx context.Context, month pricing.Month, m Manifest) error {
	m.Layout = Layout
	return putJSON(ctx, l.Bucket, RevisionPrefix(month, m.Revision)+manifestName, m)
}

// NextRevision returns a number above every revision that left anything, with a
// manifest or without.
func (l Ledger) NextRevision(ctx context.Context, month pricing.Month) (int, error) {
	next := 1
	prefix := fmt.Sprintf("%smonth=%s/revision=", invoicesPrefix, month)
	for info, err := range l.Bucket.List(ctx, prefix) {
		if err != nil {
			return 0, fmt.Errorf("list revisions of %s: %w", month, err)
		}
		number, _, _ := strings.Cut(strings.TrimPrefix(info.Key, prefix), "/")
		if n, err := strconv.Atoi(number); err == nil && n >= next {
			next = n + 1
		}
	}
	return next, nil
}

// IsConflict reports whether a revision's file met one of another content: what
// an interrupted run with other inputs left.
func IsConflict(err error) bool { return errors.Is(err, bucket.ErrConflict) }
