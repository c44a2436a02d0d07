package microsoft

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/calends/calends/jobs/microsoft/web"
)

// Export says which reconciliation data is asked for: the lines of an invoice, or
// those of a period that are not on one yet.
type Export struct {
	InvoiceID string `json:"invoiceId,omitempty"` // of a billed month, such as G016907411
	// Currency and Period are those of what is not billed yet; the period is
	// "current" or "last".
	Currency string `json:"currencyCode,omitempty"`
	Period   string `json:"billingPeriod,omitempty"`
	// Basic asks for fewer attributes. All are needed to explain a difference.
	Basic bool `json:"basic,omitempty"`
}

// String names it, as "billed G016907411" and "unbilled USD current".
func (e Export) String() string {
	if e.InvoiceID != "" {
		return "billed " + e.InvoiceID
	}
	return "unbilled " + e.Currency + " " + e.Period
}

// Validate refuses what Graph would.
func (e Export) Validate() error {
	switch {
	case e.InvoiceID != "" && (e.Currency != "" || e.Period != ""):
		return errors.New("export: an invoice, or a currency and a period, not both")
	case e.InvoiceID != "":
		return nil
	case len(e.Currency) != 3:
		return fmt.Errorf("export: currency %q: want an ISO 4217 code", e.Currency)
	case e.Period != "current" && e.Period != "last":
		return fmt.Errorf("export: period %q: want current or last", e.Period)
	}
	return nil
}

// Asked is what a caller keeps of an export, so that nothing is asked or fetched twice.
type Asked struct {
	// Operation is the address of one that is under way. It authorises nothing.
	Operation string `json:"operation,omitempty"`
	// ETag is the version of what was fetched in whole.
	ETag string `json:"eTag,omitempty"`
}

// ExportPlan is an export that is to be fetched.
type ExportPlan struct {
	Export
	// Folder takes the files, below a folder of their version. It is one export's own.
	Folder string
	// Known is what an earlier run kept.
	Known Asked
	// Keep is told what there is to keep: the operation as soon as it was asked for,
	// the eTag once everything is there. Nil: nothing is kept.
	Keep func(Asked) error
	// Limit is how long an operation may take. 0: [DefaultExportLimit].
	Limit time.Duration
	// Progress is told how many of the files are there. Nil: nobody watches.
	Progress func(done, total int)
}

// DefaultExportLimit is how long an export may take Microsoft: half an hour is usual
// for large partners.
const DefaultExportLimit = 2 * time.Hour

// Exported is what came.
type Exported struct {
	ETag          string
	SchemaVersion string
	Created       string
	// Unchanged is set where the eTag is the known one: nothing was fetched.
	Unchanged bool
	// Files in the manifest's order: JSON lines, mostly packed by gzip.
	Files []ExportedFile
}

// ExportedFile is one file of an export, read to its end.
type ExportedFile struct {
	Name   string
	Path   string
	Size   int64
	SHA256 string
	Lines  int64
}

// Classes of errors of exports.
var (
	// ErrNoExport: Microsoft has no data for what was asked; perhaps not yet.
	ErrNoExport = errors.New("there is no data")
	// ErrExportLate: an operation takes longer than it may. It goes on, and so can the caller.
	ErrExportLate = errors.New("the export is still running")
	// ErrExportFailed: Microsoft could not make it.
	ErrExportFailed = errors.New("the export failed")
)

// ExportReconciliation asks Graph for reconciliation data and fetches its files.
//
// It can be interrupted anywhere. With what Keep was told as Known, the next call
// polls the same operation, and takes files that are in the folder in whole as they
// are. When what opens the files has expired, the operation is asked for it anew;
// when the operation has, the export is.
func (c *Client) ExportReconciliation(ctx context.Context, plan ExportPlan) (Exported, error) {
	if err := plan.Validate(); err != nil {
		return Exported{}, err
	}
	x := &exporting{Client: c, plan: plan, kept: plan.Known}
	out, err := x.run(ctx)
	if err != nil {
		return Exported{}, fmt.Errorf("export %s: %w", plan.Export, err)
	}
	return out, nil
}

// exporting is one export on its way.
type exporting struct {
	*Client
	plan ExportPlan
	kept Asked
}

func (x *exporting) run(ctx context.Context) (Exported, error) {
	m, err := x.manifest(ctx)
	if err != nil {
		return Exported{}, err
	}
	out := Exported{ETag: m.version(), SchemaVersion: m.SchemaVersion, Created: m.CreatedDateTime}
	if out.ETag == x.plan.Known.ETag {
		out.Unchanged = true
		return out, x.keep(Asked{ETag: out.ETag})
	}
	if m, out.Files, err = x.fetch(ctx, m); err != nil {
		return Exported{}, err
	}
	out.ETag, out.SchemaVersion, out.Created = m.version(), m.SchemaVersion, m.CreatedDateTime
	return out, x.keep(Asked{ETag: out.ETag})
}

func (x *exporting) keep(a Asked) error {
	x.kept = a
	if x.plan.Keep == nil {
		return nil
	}
	if err := x.plan.Keep(a); err != nil {
		return fmt.Errorf("keep what was asked: %w", err)
	}
	return nil
}

// manifest waits for the operation, asking for one where there is none, or no more.
func (x *exporting) manifest(ctx context.Context) (*manifest, error) {
	known := x.kept.Operation != ""
	for {
		if x.kept.Operation == "" {
			address, err := x.ask(ctx)
			if err != nil {
				return nil, err
			}
			if err := x.keep(Asked{Operation: address, ETag: x.plan.Known.ETag}); err != nil {
				return nil, err
			}
		}
		m, err := x.await(ctx, x.kept.Operation)
		if err == nil {
			if err := m.check(); err != nil {
				return nil, err
			}
			return m, nil
		}
		over := gone(err) || errors.Is(err, ErrExportFailed) || errors.Is(err, ErrNoExport)
		if over {
			// The next run asks anew; so does this one, if the operation was an old one.
			if keepErr := x.keep(Asked{ETag: x.plan.Known.ETag}); keepErr != nil {
				return nil, errors.Join(err, keepErr)
			}
		}
		if !over || !known {
			return nil, err
		}
		known = false
	}
}

// ask asks for the export and returns the operation's address.
func (x *exporting) ask(ctx context.Context) (string, error) {
	kind, body := "unbilled", map[string]string{"currencyCode": x.plan.Currency, "billingPeriod": x.plan.Period}
	if x.plan.InvoiceID != "" {
		kind, body = "billed", map[string]string{"invoiceId": x.plan.InvoiceID}
	}
	body["attributeSet"] = "full"
	if x.plan.Basic {
		body["attributeSet"] = "basic"
	}
	r := x.graph("/v1.0/reports/partners/billing/reconciliation/" + kind + "/export")
	r.Method, r.Body = http.MethodPost, body
	answer, err := x.Web.Do(ctx, r)
	switch {
	case errors.Is(err, web.ErrNotFound):
		return "", fmt.Errorf("%w: %w", ErrNoExport, err)
	case err != nil:
		return "", err
	}
	location := cmp.Or(answer.Header.Get("Location"), answer.Header.Get("Operation-Location"))
	if location == "" {
		return "", fmt.Errorf("%w: %s answers %d without a Location to ask further", web.ErrNotData, web.Redact(r.URL), answer.Status)
	}
	return x.own(location)
}

// own returns a link of Graph's as an address of the service that is configured: a
// token is sent nowhere else, whatever the link says.
func (x *exporting) own(link string) (string, error) {
	service := x.graph("").URL
	base, baseErr := url.Parse(service)
	u, err := url.Parse(link)
	if err != nil || baseErr != nil {
		return "", fmt.Errorf("%w: %q is no address", web.ErrNotData, web.Redact(link))
	}
	if u.Path == "" {
		return "", fmt.Errorf("%w: %q leads nowhere", web.ErrNotData, web.Redact(link))
	}
	path := "/" + strings.TrimPrefix(u.EscapedPath(), "/")
	// The service may itself lie below a path, as a stand-in on this machine does.
	if below := strings.TrimRight(base.EscapedPath(), "/"); below != "" && strings.HasPrefix(path, below+"/") {
		path = strings.TrimPrefix(path, below)
	}
	if u.RawQuery != "" {
		path += "?" + u.RawQuery
	}
	return service + path, nil
}

// How long to wait before an operation is looked at again, where it does not say.
const (
	pollEvery = 10 * time.Second
	pollLeast = time.Second
)

// await polls an operation until it has a manifest.
func (x *exporting) await(ctx context.Context, address string) (*manifest, error) {
	limit := x.plan.Limit
	if limit <= 0 {
		limit = DefaultExportLimit
	}
	address, err := x.own(address) // it may have been kept for another endpoint
	if err != nil {
		return nil, err
	}
	for begin := x.Web.Now(); ; {
		o, pause, err := x.look(ctx, address)
		if err != nil {
			return nil, err
		}
		switch o.Status {
		case "succeeded", "completed":
			return x.read(ctx, o)
		case "failed":
			class := ErrExportFailed
			if o.Error.Code == "5000" || strings.EqualFold(o.Error.Message, "No data available") {
				class = ErrNoExport
			}
			return nil, fmt.Errorf("%w: %s", class, strings.TrimPrefix(o.Error.Code+": "+o.Error.Message, ": "))
		case "notstarted", "running", "":
		default:
			return nil, fmt.Errorf("%w: the operation's status is %q", web.ErrNotData, o.Status)
		}
		if spent := x.Web.Now().Sub(begin); spent+pause > limit {
			return nil, fmt.Errorf("%w after %s; run again to go on waiting for it", ErrExportLate, spent.Round(time.Second))
		}
		if err := x.Web.Wait(ctx, pause); err != nil {
			return nil, err
		}
	}
}

// look asks where the operation stands and when to ask again.
func (x *exporting) look(ctx context.Context, address string) (*operation, time.Duration, error) {
	r := x.graph("")
	r.URL = address
	answer, err := x.Web.Do(ctx, r)
	if err != nil {
		return nil, 0, err
	}
	pause := web.RetryAfter(answer.Header, x.Web.Now())
	if pause == 0 {
		pause = pollEvery
	}
	pause = max(pause, pollLeast)
	o := new(operation)
	if answer.Status == http.StatusAccepted && len(bytes.TrimSpace(answer.Body)) == 0 {
		return o, pause, nil // still running, in fewer words
	}
	if err := answer.Decode(o); err != nil {
		return nil, 0, fmt.Errorf("%s: %w", web.Redact(address), err)
	}
	if o.Status == "" && answer.Status != http.StatusAccepted {
		return nil, 0, fmt.Errorf("%w: %s tells no status", web.ErrNotData, web.Redact(address))
	}
	return o, pause, nil
}

// read returns the manifest of an operation that succeeded.
func (x *exporting) read(ctx context.Context, o *operation) (*manifest, error) {
	m, link, err := o.manifest()
	if err != nil || m != nil {
		return m, err
	}
	r := x.graph("")
	if r.URL, err = x.own(link); err != nil {
		return nil, err
	}
	m = new(manifest)
	return m, x.Web.JSON(ctx, r, m)
}

// gone reports whether what was asked for is no more.
func gone(err error) bool {
	var answer *web.Error
	return errors.Is(err, web.ErrNotFound) || errors.As(err, &answer) && answer.Status == http.StatusGone
}
