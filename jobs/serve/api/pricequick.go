package api

import (
	"bytes"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/calends/calends/jobs/serve/access"
	"github.com/calends/calends/jobs/serve/audit"
)

// priceOperation is what the trail is told of a price that was got.
var priceOperation = huma.Operation{OperationID: "get-price", Method: http.MethodGet, Path: pricePath}

const pricePath = "/v1/price"

// Quick answers the plain questions for a price, which are asked most by far, and leaves
// everything else to next: other operations, callers that may not ask, questions that are
// wrong or unusual, refusals. An answer has the same bytes either way
// (TestQuickPricesAreTheSame).
func (a *API) Quick(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || r.URL.Path != pricePath || !a.quickPrice(w, r) {
			next.ServeHTTP(w, r)
		}
	})
}

func (a *API) quickPrice(w http.ResponseWriter, r *http.Request) bool {
	who, ok := access.From(r.Context())
	if !ok || !who.May(access.SeePrices) || len(r.Header["If-None-Match"]) > 0 || !takesJSON(r.Header["Accept"]) {
		return false
	}
	in := getPrice{Segment: "Commercial"}
	if !in.read(r.URL.RawQuery) {
		return false
	}
	found, err := a.getPrice(&in)
	if err != nil {
		return false
	}
	var body bytes.Buffer
	if err := a.huma.Marshal(&body, "application/json", found.Body); err != nil {
		return false
	}
	if err := a.note(r.Context(), audit.Saw, who, access.SeePrices, priceOperation, nil); err != nil {
		return false
	}
	h := w.Header()
	h["Content-Type"] = []string{"application/json"}
	h["Etag"] = []string{found.ETag}
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(body.Bytes()) // whoever has gone does not read it
	return true
}

// takesJSON reports whether the caller takes what it gets.
func takesJSON(accept []string) bool {
	return len(accept) == 0 || len(accept) == 1 && (accept[0] == "*/*" || accept[0] == "application/json")
}

// read reads a question all of whose parts are there, once, and as the document wants
// them; false leaves it to whoever can say what is wrong.
func (in *getPrice) read(query string) bool {
	var seen [8]bool
	for query != "" {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		name, value, _ := strings.Cut(pair, "=")
		if strings.ContainsAny(value, "%+;") {
			plain, err := url.QueryUnescape(value)
			if err != nil || strings.Contains(value, ";") {
				return false
			}
			value = plain
		}
		i, fits := in.set(name, value)
		if !fits || seen[i] {
			return false
		}
		seen[i] = true
	}
	return seen[0] && seen[1] && seen[2] && seen[3] && seen[4]
}

// set takes one parameter, and returns which it is and whether it is as it should be.
func (in *getPrice) set(name, value string) (which int, fits bool) {
	switch name {
	case "market":
		in.Market = value
		return 0, len(value) == 2 && letters(value)
	case "productId":
		in.ProductID = value
		return 1, named(value)
	case "skuId":
		in.SkuID = value
		return 2, named(value)
	case "termDuration":
		in.Term = value
		return 3, value == "P1M" || value == "P1Y" || value == "P3Y"
	case "billingPlan":
		in.Plan = value
		return 4, value == "Monthly" || value == "Annual" || value == "Triennial" || value == "None"
	case "segment":
		in.Segment = value
		return 5, named(value)
	case "currency":
		in.Currency = value
		return 6, len(value) == 3 && letters(value)
	case "at":
		in.At = value
		_, err := time.Parse(time.RFC3339, value)
		return 7, err == nil && len(value) == len("2006-01-02T15:04:05Z")
	default:
		return 0, false
	}
}

// letters reports whether a text is of plain letters.
func letters(s string) bool {
	for i := range len(s) {
		if c := s[i] | 0x20; c < 'a' || c > 'z' {
			return false
		}
	}
	return true
}

// named reports whether a text can be an id or a name, by its bytes alone.
func named(s string) bool {
	if s == "" || len(s) > 100 {
		return false
	}
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
