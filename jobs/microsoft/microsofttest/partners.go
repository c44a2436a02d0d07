package microsofttest

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// Partners are Partner Center's customers, subscriptions, audit records and invoices.
type Partners struct {
	// PerPage is how many items a part of a list has.
	PerPage int

	mu            sync.Mutex
	customers     []string
	subscriptions map[string][]string // by customer
	audit         []string
	invoices      []string
}

// AddPartners lets the server answer Partner Center's REST API.
func AddPartners(s *Server) *Partners {
	p := &Partners{PerPage: 2, subscriptions: make(map[string][]string)}
	s.Handle("GET /v1/customers", Signed, func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		defer p.mu.Unlock()
		var items []string
		for _, id := range p.customers {
			items = append(items, `{"id":"`+id+`","companyProfile":{"tenantId":"`+id+`","companyName":"Customer"},"relationshipToPartner":"reseller"}`)
		}
		p.list(w, r, items)
	})
	s.Handle("GET /v1/customers/{id}/subscriptions", Signed, func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		defer p.mu.Unlock()
		items, ok := p.subscriptions[r.PathValue("id")]
		if !ok {
			Refuse(w, http.StatusNotFound, "1000", "The customer was not found.")
			return
		}
		JSON(w, http.StatusOK, map[string]any{"totalCount": len(items), "items": rawItems(items)})
	})
	s.Handle("GET /v1/auditrecords", Signed, p.auditRecords)
	s.Handle("GET /v1/invoices", Signed, func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.list(w, r, p.invoices)
	})
	return p
}

// Put adds a customer with its subscriptions, one JSON object each.
func (p *Partners) Put(customerID string, subscriptions ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, known := p.subscriptions[customerID]; !known {
		p.customers = append(p.customers, customerID)
	}
	p.subscriptions[customerID] = subscriptions
}

// Leave lets a customer stand in the list whose subscriptions are not to be had.
func (p *Partners) Leave(customerID string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.customers = append(p.customers, customerID)
}

// PutAudit adds audit records, one JSON object each.
func (p *Partners) PutAudit(records ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.audit = append(p.audit, records...)
}

// PutInvoices adds invoices, one JSON object each.
func (p *Partners) PutInvoices(invoices ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.invoices = append(p.invoices, invoices...)
}

// list answers with a part of a list, in the way of the seek-based collections: the
// next link has a header to be sent along.
func (p *Partners) list(w http.ResponseWriter, r *http.Request, items []string) {
	from, _ := strconv.Atoi(strings.TrimPrefix(r.Header.Get("MS-ContinuationToken"), "from-"))
	query := r.URL.Query()
	if (query.Get("seekOperation") == "Next") != (from > 0) {
		Refuse(w, http.StatusBadRequest, "2000", "The continuation token does not fit.")
		return
	}
	to := min(from+p.PerPage, len(items))
	links := map[string]any{}
	if to < len(items) {
		query.Set("seekOperation", "Next")
		links["next"] = map[string]any{
			"uri": strings.TrimPrefix(r.URL.Path, "/v1") + "?" + query.Encode(), "method": "GET",
			"headers": []map[string]string{{"key": "MS-ContinuationToken", "value": "from-" + strconv.Itoa(to)}},
		}
	}
	JSON(w, http.StatusOK, map[string]any{"totalCount": to - from, "items": rawItems(items[from:to]), "links": links})
}

// auditRecords are those of the days and of the resource that are asked for.
func (p *Partners) auditRecords(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	query := r.URL.Query()
	var filter struct{ Field, Value, Operator string }
	if text := query.Get("filter"); text != "" && json.Unmarshal([]byte(text), &filter) != nil {
		Refuse(w, http.StatusBadRequest, "2000", "The filter cannot be read.")
		return
	}
	var items []string
	for _, item := range p.audit {
		var record struct{ ResourceType, OperationDate string }
		if json.Unmarshal([]byte(item), &record) != nil || len(record.OperationDate) < 10 {
			panic("a test's own record: " + item)
		}
		day := record.OperationDate[:10]
		if filter.Value != "" && !strings.EqualFold(filter.Value, record.ResourceType) || day < query.Get("startDate") || day > query.Get("endDate") {
			continue
		}
		items = append(items, item)
	}
	p.list(w, r, items)
}
