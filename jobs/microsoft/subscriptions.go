package microsoft

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/calends/calends/jobs/microsoft/drift"
	"github.com/calends/calends/jobs/microsoft/web"
	"github.com/calends/calends/pricing"
)

// CustomerSnapshot is one customer's subscriptions as Partner Center told them. A
// snapshot is a file of these, a JSON object a line, in the order of the ids.
type CustomerSnapshot struct {
	CustomerID string `json:"customerId"`
	// At is when it was asked.
	At string `json:"at"`
	// Subscriptions stand as they came.
	Subscriptions []json.RawMessage `json:"subscriptions"`
	// Failed says why there are none: the customer is not compared.
	Failed string `json:"failed,omitempty"`
}

// Customers lists the ids of the partner's customers, in order.
func (c *Client) Customers(ctx context.Context) ([]string, error) {
	var ids []string
	err := c.eachPage(ctx, c.partnerCenter("/v1/customers?size=500"), func(items []json.RawMessage) error {
		for _, item := range items {
			var customer struct {
				ID             string `json:"id"`
				CompanyProfile struct {
					TenantID string `json:"tenantId"`
				} `json:"companyProfile"`
			}
			if err := json.Unmarshal(item, &customer); err != nil {
				return fmt.Errorf("%w: %w", web.ErrNotData, err)
			}
			id := lowerGUID(cmp.Or(customer.ID, customer.CompanyProfile.TenantID))
			if id == "" {
				return fmt.Errorf("%w: a customer without an id", web.ErrNotData)
			}
			ids = append(ids, id)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list customers: %w", err)
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

// SnapshotPlan says what is asked.
type SnapshotPlan struct {
	// Customers by id, as [Client.Customers] lists them.
	Customers []string
	// Had reports whether an earlier, interrupted run has the customer already. Nil: none.
	Had func(customerID string) bool
	// Progress is told how many customers are done. Nil: nobody watches.
	Progress func(done, total int)
}

// SnapshotResult counts what came.
type SnapshotResult struct {
	Customers, Subscriptions int
	// Failed are customers that could not be read, each with its line and reason.
	Failed int
}

// failedInARow is how many customers may fail one after the other before it is not
// they who are to blame.
const failedInARow = 20

// Snapshot asks for the subscriptions of all customers and writes a line for each,
// in the order of the plan. A customer that cannot be read has a line that says why,
// and the others go on. After an interruption the lines that were written stand:
// say so by Had, and append.
func (c *Client) Snapshot(ctx context.Context, plan SnapshotPlan, w io.Writer) (r SnapshotResult, err error) {
	customers := plan.Customers
	if plan.Had != nil {
		customers = slices.DeleteFunc(slices.Clone(customers), plan.Had)
	}
	done, row := len(plan.Customers)-len(customers), 0
	encoder := json.NewEncoder(w)
	for one, err := range c.snapshots(ctx, customers) {
		var reason *unreadable
		switch {
		case errors.As(err, &reason):
			if row++; row >= failedInARow {
				return r, fmt.Errorf("snapshot: %d customers in a row: %w", row, reason.err)
			}
			one.Failed = reason.err.Error()
			r.Failed++
		case err != nil:
			return r, fmt.Errorf("snapshot: %w", err)
		default:
			row = 0
			r.Customers++
			r.Subscriptions += len(one.Subscriptions)
		}
		if err := encoder.Encode(one); err != nil {
			return r, fmt.Errorf("write snapshot: %w", err)
		}
		if done++; plan.Progress != nil {
			plan.Progress(done, len(plan.Customers))
		}
	}
	return r, nil
}

// unreadable is a customer that failed where others may not.
type unreadable struct{ err error }

func (u *unreadable) Error() string { return u.err.Error() }

// ahead is how many customers are asked for before the first of them is written;
// how many requests go out at a time is the client's to say.
const ahead = 32

// snapshots asks for customers side by side and yields them in order.
func (c *Client) snapshots(parent context.Context, customers []string) iter.Seq2[CustomerSnapshot, error] {
	return func(yield func(CustomerSnapshot, error) bool) {
		ctx, cancel := context.WithCancel(parent)
		var wait sync.WaitGroup
		defer wait.Wait()
		defer cancel()
		type answer struct {
			snapshot CustomerSnapshot
			err      error
		}
		ordered := make(chan chan answer, ahead)
		wait.Go(func() {
			defer close(ordered)
			for _, id := range customers {
				reply := make(chan answer, 1)
				select {
				case ordered <- reply:
				case <-ctx.Done():
					return
				}
				wait.Go(func() {
					snapshot, err := c.customer(ctx, id)
					reply <- answer{snapshot, err}
				})
			}
		})
		for reply := range ordered {
			a := <-reply
			if !yield(a.snapshot, a.err) {
				return
			}
		}
		if err := parent.Err(); err != nil {
			yield(CustomerSnapshot{}, err)
		}
	}
}

// customer asks for one customer's subscriptions.
func (c *Client) customer(ctx context.Context, id string) (CustomerSnapshot, error) {
	one := CustomerSnapshot{CustomerID: id, At: c.Web.Now().UTC().Format("2006-01-02T15:04:05Z"), Subscriptions: []json.RawMessage{}}
	err := c.eachPage(ctx, c.partnerCenter("/v1/customers/"+url.PathEscape(id)+"/subscriptions"), func(items []json.RawMessage) error {
		one.Subscriptions = append(one.Subscriptions, items...)
		return nil
	})
	if err == nil {
		return one, nil
	}
	one.Subscriptions = nil
	err = fmt.Errorf("subscriptions of customer %s: %w", id, err)
	var answer *web.Error
	answered := errors.Is(err, web.ErrNotData) || errors.As(err, &answer) && answer.Status != 0
	if answered && ctx.Err() == nil && !errors.Is(err, web.ErrUnauthorized) && !errors.Is(err, web.ErrThrottled) {
		err = &unreadable{err}
	}
	return one, err
}

// ReadSnapshot yields the lines of a snapshot. A last line that was cut off by an
// interruption is left out.
func ReadSnapshot(r io.Reader) iter.Seq2[CustomerSnapshot, error] {
	return func(yield func(CustomerSnapshot, error) bool) {
		lines := bufio.NewReaderSize(r, 1<<16)
		for number := 1; ; number++ {
			line, err := lines.ReadBytes('\n')
			if err != nil {
				if !errors.Is(err, io.EOF) {
					yield(CustomerSnapshot{}, fmt.Errorf("read snapshot, line %d: %w", number, err))
				}
				return // what stands behind the last line's end is no line
			}
			var one CustomerSnapshot
			if err = json.Unmarshal(bytes.TrimSpace(line), &one); err == nil && one.CustomerID == "" {
				err = errors.New("it names no customer")
			}
			if err != nil {
				yield(CustomerSnapshot{}, fmt.Errorf("read snapshot, line %d: not a customer's subscriptions: %w", number, err))
				return
			}
			if !yield(one, nil) {
				return
			}
		}
	}
}

// DriftResult counts what was compared.
type DriftResult struct {
	Customers     int `json:"customers"`
	Subscriptions int `json:"subscriptions"` // of Microsoft's
	// Elsewhere are subscriptions that are not billed by seats here: usage, software,
	// legacy offers.
	Elsewhere int `json:"elsewhere"`
	// Failed are customers that the snapshot could not read: they are not compared.
	Failed   int `json:"failed"`
	Findings int `json:"findings"` // without those
	Proposed int `json:"proposed"` // changes
}

// Drift compares a snapshot with what the ledger believes on the same day, and hands
// on the findings customer by customer: those that could not be read, those of the
// ledger in their order, then those that only Microsoft has. A customer that the snapshot has no line for is
// compared as one without subscriptions.
func Drift(snapshot iter.Seq2[CustomerSnapshot, error], ours iter.Seq2[drift.Ours, error], each func([]drift.Finding) error) (r DriftResult, err error) {
	told := make(map[string]drift.Customer)
	failed := make(map[string]string) // why
	for one, err := range snapshot {
		if err != nil {
			return r, fmt.Errorf("drift: %w", err)
		}
		id := strings.ToLower(one.CustomerID)
		c, err := one.theirs()
		switch {
		case one.Failed != "":
			failed[id] = one.Failed
		case err != nil:
			failed[id] = err.Error()
		default:
			told[id] = c
			delete(failed, id) // an earlier line, of an interrupted run
		}
	}
	r.Failed = len(failed)
	for _, id := range slices.Sorted(maps.Keys(failed)) {
		if err := each([]drift.Finding{{CustomerID: id, Field: drift.FieldCustomer, Reason: "not compared: " + failed[id]}}); err != nil {
			return r, fmt.Errorf("drift: %w", err)
		}
	}
	compare := func(c drift.Customer) error {
		r.Customers++
		for i := range c.Theirs {
			if c.Theirs[i].Elsewhere {
				r.Elsewhere++
			} else {
				r.Subscriptions++
			}
		}
		findings := drift.Compare(c)
		r.Findings += len(findings)
		for i := range findings {
			f := &findings[i]
			if err := unwritable(f.Changes); err != nil {
				f.Changes, f.Reason = nil, err.Error()
			}
			r.Proposed += len(f.Changes)
		}
		if len(findings) == 0 {
			return nil
		}
		return each(findings)
	}
	for mine, err := range ours {
		if err != nil {
			return r, fmt.Errorf("drift: %w", err)
		}
		id := strings.ToLower(mine.CustomerID)
		c := told[id]
		delete(told, id)
		if failed[id] != "" {
			continue
		}
		c.Ours = mine
		if err := compare(c); err != nil {
			return r, fmt.Errorf("drift: %w", err)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(told)) {
		c := told[id]
		c.Ours = drift.Ours{CustomerID: id}
		if err := compare(c); err != nil {
			return r, fmt.Errorf("drift: %w", err)
		}
	}
	return r, nil
}

// theirs reads the subscriptions.
func (s CustomerSnapshot) theirs() (c drift.Customer, err error) {
	if c.At, err = pricing.ParseInstant(s.At); err != nil {
		return c, err
	}
	for _, item := range s.Subscriptions {
		var resource subscriptionResource
		if err := json.Unmarshal(item, &resource); err != nil {
			return c, fmt.Errorf("%w: a subscription: %w", web.ErrNotData, err)
		}
		t, err := resource.theirs()
		if err != nil {
			return c, err
		}
		t.Elsewhere = !resource.licensed()
		c.Theirs = append(c.Theirs, t)
	}
	return c, nil
}
