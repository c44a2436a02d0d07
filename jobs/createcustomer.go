package jobs

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/calends/calends/jobs/intake"
	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pipeline/party"
	"github.com/calends/calends/pricing/pricesheet/table"
)

// CustomerPlan is a customer to be created.
type CustomerPlan struct {
	// Customer has an id, which nobody else has yet, and no relationship.
	Customer party.Customer
	// Key is the caller's own: the same customer under the same key is created once. Keys
	// of two partners have nothing to do with each other.
	Key string
	// AnyID: the id was not asked for, it only has to be a new one.
	AnyID bool
	// AllowDuplicate creates it although the partner has a customer of this domain.
	AllowDuplicate bool
}

// CustomerResult is a customer that was created.
type CustomerResult struct {
	Customer party.Customer
	Input    int64 // its number in the ledger
	// Again: it was created under the same key before.
	Again bool
}

// ErrKeyUsed: the key was used before, and something else was asked for.
var ErrKeyUsed = errors.New("the key was used for something else before")

// CustomerKnownError says that there is such a customer already.
type CustomerKnownError struct {
	ID string
	// Domain: it is another one of the same partner with the same domain; else the id is
	// taken.
	Domain string
}

func (e *CustomerKnownError) Error() string {
	if e.Domain != "" {
		return fmt.Sprintf("the partner has a customer of the domain %s already: %s", e.Domain, e.ID)
	}
	return fmt.Sprintf("the id %s is taken", e.ID)
}

// CreateCustomer takes one customer into the ledger, with the relationship none. It is an
// input as a file of customers is, and named after its key. known may be nil, or a
// reading of a moment ago, which saves reading all. Errors: a [CustomerKnownError],
// [ErrKeyUsed]; [ErrMissing] where the partner is not known.
func (e Env) CreateCustomer(ctx context.Context, known *Reading, plan CustomerPlan) (result CustomerResult, err error) {
	c := &plan.Customer
	c.Relationship, c.Segment = party.Unasked, table.Segment([]byte(c.Segment))
	job := "create customer " + c.ID
	err = e.locked(ctx, job, func(ctx context.Context, e Env) error {
		reading, err := e.ReadAfter(ctx, known)
		if err != nil {
			return err
		}
		name := plan.inputName()
		for _, in := range reading.Inputs() {
			if in.Kind == ledger.Customers && in.Name == name {
				result, err = e.createdBefore(ctx, in, plan)
				return err
			}
		}
		if err := plan.isNew(reading.Catalog()); err != nil {
			return err
		}
		if !plan.AnyID {
			if err := e.unheardOf(ctx, reading.Inputs(), c.ID); err != nil {
				return err
			}
		}
		result, err = e.takeCustomer(ctx, name, *c)
		return err
	})
	if err != nil {
		return CustomerResult{}, fmt.Errorf("%s: %w", job, err)
	}
	return result, nil
}

// inputName is what the ledger calls the input: a key says nothing to anybody else, and
// may be any text.
func (p CustomerPlan) inputName() string {
	sum := sha256.Sum256([]byte(p.Customer.PartnerID + "\x00" + p.Key))
	return "customer-" + hex.EncodeToString(sum[:16]) + ".csv"
}

// createdBefore is the answer to who asks once more.
func (e Env) createdBefore(ctx context.Context, in ledger.Input, plan CustomerPlan) (CustomerResult, error) {
	customers, err := e.ledger().InputCustomers(ctx, in)
	if err != nil {
		return CustomerResult{}, err
	}
	want := plan.Customer
	if plan.AnyID && len(customers) == 1 {
		want.ID = customers[0].ID
	}
	if len(customers) != 1 || customers[0] != want {
		return CustomerResult{}, ErrKeyUsed
	}
	return CustomerResult{Customer: want, Input: in.Number, Again: true}, nil
}

// isNew refuses a customer of a partner that is not known, one whose id is taken, in any
// case, and one that the partner has under another id.
func (p CustomerPlan) isNew(known *ledger.Catalog) error {
	if _, ok := known.Partner(p.Customer.PartnerID, ledger.Ever); !ok {
		return fmt.Errorf("%w: partner %s is not known", ErrMissing, p.Customer.PartnerID)
	}
	var duplicate *CustomerKnownError
	for c := range known.Customers {
		if strings.EqualFold(c.ID, p.Customer.ID) {
			return &CustomerKnownError{ID: p.Customer.ID}
		}
		same := c.PartnerID == p.Customer.PartnerID && c.Domain != "" && strings.EqualFold(c.Domain, p.Customer.Domain)
		if same && !p.AllowDuplicate && (duplicate == nil || c.ID < duplicate.ID) {
			duplicate = &CustomerKnownError{ID: c.ID, Domain: c.Domain}
		}
	}
	if duplicate != nil {
		return duplicate
	}
	return nil
}

// unheardOf refuses an id under which something has happened already: whoever took it
// would get subscriptions that nobody says are theirs. Whose they are is for a file of
// customers to say.
func (e Env) unheardOf(ctx context.Context, inputs []ledger.Input, id string) error {
	all := e.ledger().All(ctx, inputs, ledger.Span{Until: ledger.Ever})
	defer all.Close()
	changes, err := all.Of(id)
	if err == nil && len(changes) > 0 {
		err = &CustomerKnownError{ID: id}
	}
	return err
}

// takeCustomer takes the customer in, by the rules for files.
func (e Env) takeCustomer(ctx context.Context, name string, c party.Customer) (CustomerResult, error) {
	var data bytes.Buffer
	w := csv.NewWriter(&data)
	for _, row := range [][]string{
		{"CustomerId", "CustomerName", "CustomerDomainName", "CustomerCountry", "Segment", "PartnerId", "ResellerMpnId", "Relationship"},
		{c.ID, c.Name, c.Domain, c.Country, c.Segment, c.PartnerID, c.ResellerMpnID, string(c.Relationship)},
	} {
		if err := w.Write(row); err != nil {
			return CustomerResult{}, err
		}
	}
	w.Flush()
	// What a file would say differently, such as a country in small letters, is
	// refused here, or asked once more it would look like something else.
	if read, err := intake.ReadCustomers(bytes.NewReader(data.Bytes())); err != nil {
		return CustomerResult{}, fmt.Errorf("%w: %w", ErrUsage, err)
	} else if len(read.Customers) != 1 || read.Customers[0] != c {
		return CustomerResult{}, fmt.Errorf("%w: customer %+v would be read as %+v", ErrUsage, c, read.Customers)
	}
	taken, err := e.Ingest(ctx, IngestPlan{Sources: []Source{{Name: name, Open: func(context.Context) (*intake.Input, error) {
		return intake.OpenContent(name, bytes.NewReader(data.Bytes()), int64(data.Len()))
	}}}})
	if err != nil {
		return CustomerResult{}, err
	}
	if len(taken.Files) != 1 || taken.Files[0].Status != StatusTaken {
		return CustomerResult{}, fmt.Errorf("take it in: got %+v", taken.Files)
	}
	return CustomerResult{Customer: c, Input: taken.Files[0].Input}, nil
}
