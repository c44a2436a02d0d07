package api

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"unicode"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"
	"golang.org/x/text/language"

	"github.com/calends/calends/jobs"
	"github.com/calends/calends/jobs/relationship"
	"github.com/calends/calends/jobs/serve/access"
	"github.com/calends/calends/jobs/serve/audit"
	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pipeline/party"
)

// Customer is one customer.
type Customer struct {
	ID            string             `json:"id" example:"dd6c7dae-4000-49f1-93b4-5dee8cf0620e"`
	Name          string             `json:"name" example:"Voorbeeld Fietsen B.V."`
	Domain        string             `json:"domain" example:"voorbeeldfietsen.onmicrosoft.com"`
	Country       string             `json:"country" example:"NL" doc:"The market whose price sheets govern"`
	Segment       string             `json:"segment" example:"Commercial"`
	PartnerID     string             `json:"partnerId" example:"80f6fb73-3725-4404-a0ee-98ef768080f3"`
	ResellerMpnID string             `json:"resellerMpnId,omitempty" example:"6200011"`
	Relationship  relationship.State `json:"relationship" enum:"none,requested,expired,accepted,declined" doc:"Whether the customer has agreed to buy from the partner; without accepted nothing can be bought for it"`
}

func customerOf(c party.Customer, state relationship.State) Customer {
	return Customer{ID: c.ID, Name: c.Name, Domain: c.Domain, Country: c.Country, Segment: c.Segment,
		PartnerID: c.PartnerID, ResellerMpnID: c.ResellerMpnID, Relationship: state}
}

// CustomerList is some of the customers, by id.
type CustomerList struct {
	List[Customer]
}

// listCustomers is a question for customers.
type listCustomers struct {
	Partner      string `query:"partnerId" maxLength:"100" doc:"PartnerId. Default: all of the caller's"`
	Search       string `query:"q" maxLength:"200" example:"fietsen" doc:"Words, up to 16; each occurs in the name, the domain or the id, in any case"`
	Relationship string `query:"relationship" enum:"none,requested,expired,accepted,declined"`
	Page
}

// customerID is whose operation it is.
type customerID struct {
	ID string `path:"id" example:"dd6c7dae-4000-49f1-93b4-5dee8cf0620e"`
}

// NewCustomer is a customer to be created.
type NewCustomer struct {
	PartnerID      string `json:"partnerId" minLength:"1" maxLength:"100" example:"80f6fb73-3725-4404-a0ee-98ef768080f3"`
	ID             string `json:"id,omitempty" pattern:"^[0-9A-Za-z][0-9A-Za-z._-]{0,99}$" doc:"One of the caller's own, such as the customer's tenant. Default: a new one"`
	Name           string `json:"name" minLength:"1" maxLength:"200" example:"Voorbeeld Fietsen B.V."`
	Domain         string `json:"domain" maxLength:"253" pattern:"^([0-9A-Za-z]([0-9A-Za-z-]{0,61}[0-9A-Za-z])?\\.)+[A-Za-z]([0-9A-Za-z-]{0,61}[0-9A-Za-z])?$" example:"voorbeeldfietsen.onmicrosoft.com"`
	Country        string `json:"country" pattern:"^[A-Za-z]{2}$" example:"NL" doc:"Two letters, as ISO 3166 has them: the market whose price sheets govern"`
	Segment        string `json:"segment,omitempty" enum:"Commercial,Education,Charity,Government" default:"Commercial"`
	ResellerMpnID  string `json:"resellerMpnId,omitempty" pattern:"^[0-9]{1,20}$" example:"6200011" doc:"Of the reseller that serves the customer for the partner"`
	AllowDuplicate bool   `json:"allowDuplicate,omitempty" doc:"Create it although the partner has a customer of this domain"`
}

// createCustomer is a request for one.
type createCustomer struct {
	Key  string `header:"Idempotency-Key" required:"true" minLength:"1" maxLength:"200" example:"b0a2b1f0-5d8e-4c54-9b1a-0d6f0c1f7a11" doc:"The caller's own, of the partner. The same key with the same customer creates it once and has the same answer; with another customer it is refused with 409"`
	Body NewCustomer
}

// createdCustomer is the answer.
type createdCustomer struct {
	Location string `header:"Location"`
	Body     Customer
}

func (a *API) registerCustomers() {
	register(a, access.SeeCustomers, huma.Operation{OperationID: "list-customers", Method: http.MethodGet, Path: "/v1/customers",
		Summary: "List customers", Tags: []string{"Customers"}, Errors: []int{http.StatusBadRequest, http.StatusNotFound},
		Description: "Those of the caller's partners, by id.",
	}, func(ctx context.Context, who access.Principal, in *listCustomers) (*struct{ Body CustomerList }, error) {
		page, err := a.listCustomers(ctx, who, in)
		return &struct{ Body CustomerList }{page}, err
	})
	register(a, access.SeeCustomers, huma.Operation{OperationID: "get-customer", Method: http.MethodGet, Path: "/v1/customers/{id}",
		Summary: "Get a customer", Tags: []string{"Customers"}, Errors: []int{http.StatusNotFound},
	}, func(ctx context.Context, who access.Principal, in *customerID) (*struct{ Body Customer }, error) {
		c, err := a.customer(ctx, who, in.ID)
		if err != nil {
			return nil, err
		}
		standing, err := a.Relationships.Of(ctx, c.fact, a.Now())
		return &struct{ Body Customer }{customerOf(c.fact.Customer, standing.State)}, err
	})
	register(a, access.ManageCustomers, huma.Operation{OperationID: "create-customer", Method: http.MethodPost, Path: "/v1/customers",
		Summary: "Create a customer", Tags: []string{"Customers"}, DefaultStatus: http.StatusCreated, MaxBodyBytes: 16 << 10,
		Errors:      []int{http.StatusNotFound, http.StatusConflict},
		Description: "It has no relationship until it was asked for one and has accepted. A partner's second customer of the same domain is refused with 409, and the id of the first, unless allowDuplicate is set.",
	}, a.createCustomer)
	a.registerRelationships()
	a.registerRelationshipLinks()
}

// customerBook is all customers by id, as one catalog has them.
type customerBook struct {
	mu  sync.Mutex
	of  *ledger.Catalog
	all []listedCustomer
}

// listedCustomer is a customer, and the text that words are looked for in.
type listedCustomer struct {
	ledger.CustomerFact
	text string
}

// customers are not to be changed.
func (b *customerBook) customers(of *ledger.Catalog) []listedCustomer {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.of != of {
		b.of, b.all = of, nil
		for c := range of.Customers {
			fact, _ := of.CustomerFact(c.ID)
			b.all = append(b.all, listedCustomer{fact, strings.ToLower(c.Name + "\n" + c.Domain + "\n" + c.ID)})
		}
		slices.SortFunc(b.all, func(x, y listedCustomer) int { return strings.Compare(x.ID, y.ID) })
	}
	return b.all
}

func (a *API) listCustomers(ctx context.Context, who access.Principal, in *listCustomers) (CustomerList, error) {
	page := CustomerList{List[Customer]{Items: []Customer{}}}
	words := strings.Fields(strings.ToLower(in.Search))
	if len(words) > maxWords {
		return page, invalid("query.q", "give up to 16 words", in.Search)
	}
	reading, err := a.Current.Reading()
	if err != nil {
		return page, err
	}
	if in.Partner != "" {
		if _, known := reading.Catalog().Partner(in.Partner, ledger.Ever); !known || !who.Sees(in.Partner) {
			return page, notFound("partner " + in.Partner)
		}
		audit.About(ctx, in.Partner, "")
	}
	depends := []string{"customers", in.Partner, in.Search, in.Relationship}
	after, err := in.after(depends...)
	if err != nil {
		return page, err
	}
	known, err := a.Relationships.All(ctx, a.Now())
	if err != nil {
		return page, err
	}
	all := a.customers.customers(reading.Catalog())
	first, found := slices.BinarySearchFunc(all, after, func(c listedCustomer, id string) int { return strings.Compare(c.ID, id) })
	if found {
		first++
	}
	now := a.Now()
	for _, c := range all[first:] {
		if !who.Sees(c.PartnerID) || in.Partner != "" && c.PartnerID != in.Partner || !hasAll(c.text, words) {
			continue
		}
		if err := known[c.ID].Err; err != nil {
			return page, err
		}
		state := relationship.Stands(c.CustomerFact, known[c.ID].Records, now).State
		if in.Relationship != "" && string(state) != in.Relationship {
			continue
		}
		if len(page.Items) == in.Limit {
			page.Next = cursorAfter(page.Items[in.Limit-1].ID, depends...)
			break
		}
		page.Items = append(page.Items, customerOf(c.Customer, state))
	}
	return page, nil
}

// hasAll reports whether each of the words occurs in the text.
func hasAll(text string, words []string) bool {
	return !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(text, w) })
}

// cursorAfter is a cursor to what follows an id in a list by ids. It fits whatever
// comes and goes.
func cursorAfter(id string, depends ...string) string {
	of := digest(depends...)
	return base64.RawURLEncoding.EncodeToString(append(of[:8:8], id...))
}

// after is the id that the page follows.
func (p Page) after(depends ...string) (id string, err error) {
	if p.Cursor == "" {
		return "", nil
	}
	of := digest(depends...)
	data, err := base64.RawURLEncoding.DecodeString(p.Cursor)
	if err != nil || len(data) < 8 || string(data[:8]) != string(of[:8]) {
		return "", problem(http.StatusBadRequest, "cursor", "the cursor is of another question: ask for the first page again")
	}
	return string(data[8:]), nil
}

// seenCustomer is a customer that the caller sees, and how many inputs say so.
type seenCustomer struct {
	fact   ledger.CustomerFact
	inputs int64
}

// customer returns one that the caller sees, and tells the trail of it.
func (a *API) customer(ctx context.Context, who access.Principal, id string) (seenCustomer, error) {
	reading, err := a.Current.Reading()
	if err != nil {
		return seenCustomer{}, err
	}
	fact, ok := reading.Catalog().CustomerFact(id)
	if !ok || !who.Sees(fact.PartnerID) {
		return seenCustomer{}, notFound("customer " + id)
	}
	audit.About(ctx, fact.PartnerID, "customer "+id)
	return seenCustomer{fact, int64(len(reading.Inputs()))}, nil
}

func (a *API) createCustomer(ctx context.Context, who access.Principal, in *createCustomer) (*createdCustomer, error) {
	body := &in.Body
	reading, err := a.Current.Reading()
	if err != nil {
		return nil, err
	}
	if _, known := reading.Catalog().Partner(body.PartnerID, ledger.Ever); !known || !who.Sees(body.PartnerID) {
		return nil, notFound("partner " + body.PartnerID)
	}
	audit.About(ctx, body.PartnerID, "")
	plan := jobs.CustomerPlan{Key: in.Key, AnyID: body.ID == "", AllowDuplicate: body.AllowDuplicate, Customer: party.Customer{
		ID: body.ID, Name: strings.TrimSpace(body.Name), Domain: strings.ToLower(body.Domain), Country: strings.ToUpper(body.Country), Segment: body.Segment,
		PartnerID: body.PartnerID, ResellerMpnID: body.ResellerMpnID}}
	if plan.Customer.Name == "" || strings.ContainsFunc(plan.Customer.Name, unicode.IsControl) {
		return nil, invalid("body.name", "want one line of text", body.Name)
	}
	if !isCountry(plan.Customer.Country) {
		return nil, invalid("body.country", "want the two letters that ISO 3166 has for a country, such as NL; the United Kingdom is GB", body.Country)
	}
	if plan.AnyID {
		id, err := newID(a.Random)
		if err != nil {
			return nil, err
		}
		plan.Customer.ID = id
	}
	env := a.Env()
	env.Patience = lockPatience
	created, err := env.CreateCustomer(ctx, reading, plan)
	var known *jobs.CustomerKnownError
	switch {
	case errors.As(err, &known):
		return nil, customerKnown(known)
	case errors.Is(err, jobs.ErrKeyUsed):
		return nil, problem(http.StatusConflict, "idempotency-key-reused", "the idempotency key was used for another customer")
	case err != nil:
		return nil, err
	}
	a.Current.Renew()
	c := created.Customer
	audit.About(ctx, c.PartnerID, "customer "+c.ID)
	return &createdCustomer{Location: "/v1/customers/" + url.PathEscape(c.ID), Body: customerOf(c, relationship.None)}, nil
}

// customerKnown names the customer that stands in the way, where the caller may know it.
func customerKnown(known *jobs.CustomerKnownError) error {
	p := &huma.ErrorModel{Type: problemTypes + "customer-known", Title: http.StatusText(http.StatusConflict), Status: http.StatusConflict, Detail: known.Error()}
	where := &huma.ErrorDetail{Location: "body.id", Message: "the id is taken", Value: known.ID}
	if known.Domain != "" {
		p.Detail += "; to create another one nevertheless, set allowDuplicate"
		where = &huma.ErrorDetail{Location: "body.domain", Message: "the customer with this id has it", Value: known.ID}
	}
	p.Errors = append(p.Errors, where)
	return p
}

// isCountry reports whether the letters, in capitals, are those of a country today.
func isCountry(letters string) bool {
	r, err := language.ParseRegion(letters)
	return err == nil && len(letters) == 2 && r.IsCountry() && r.Canonicalize() == r
}

func newID(random io.Reader) (string, error) {
	id, err := uuid.NewRandomFromReader(random)
	return id.String(), err
}
