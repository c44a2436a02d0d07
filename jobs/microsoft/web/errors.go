package web

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"
)

// Classes of errors, for errors.Is.
var (
	ErrNotModified  = errors.New("not modified")
	ErrUnauthorized = errors.New("not authorised")
	ErrForbidden    = errors.New("forbidden")
	ErrNotFound     = errors.New("not found")
	ErrThrottled    = errors.New("throttled")
	// ErrNotData is an answer of 2xx that is not what was asked for: a page for
	// people, nothing at all, other JSON.
	ErrNotData = errors.New("the answer is no data")
	// ErrIncomplete is an answer that breaks off.
	ErrIncomplete = errors.New("the answer breaks off")
	// ErrTooLarge is an answer beyond what it may be.
	ErrTooLarge = errors.New("the answer is too large")

	errBroken = errors.New("no answer")
	errRange  = errors.New("range not satisfiable")
)

// Error is an answer that says no, or what became of an answer.
type Error struct {
	Method  string
	Address string // without what authorises
	Status  int    // 0: there was no answer
	// Code and Message are Microsoft's own.
	Code, Message string
	// RequestID and CorrelationID find the request in Microsoft's logs.
	RequestID, CorrelationID string
	// RetryAfter is how long the server wants to be left alone. 0: it did not say.
	RetryAfter time.Duration
	// Page is set where a page for people came: perhaps not from the service at all.
	Page bool

	cause error
}

// Error says what was asked, of whom, and what came of it.
func (e *Error) Error() string {
	text := e.Method + " " + e.Address + ": "
	if e.cause != nil {
		text += e.cause.Error()
	} else {
		text += fmt.Sprintf("%d %s", e.Status, http.StatusText(e.Status))
	}
	if e.Code != "" {
		text += ": " + e.Code
	}
	if e.Message != "" {
		text += ": " + e.Message
	}
	var ids []string
	if e.CorrelationID != "" {
		ids = append(ids, "correlation id "+e.CorrelationID)
	}
	if e.RequestID != "" && e.RequestID != e.CorrelationID {
		ids = append(ids, "request id "+e.RequestID)
	}
	if len(ids) > 0 {
		text += " (" + strings.Join(ids, ", ") + ")"
	}
	return text
}

// Unwrap returns what stopped a request that has no answer.
func (e *Error) Unwrap() error { return e.cause }

// Is tells the class of the status.
func (e *Error) Is(target error) bool {
	class, ok := map[int]error{
		http.StatusNotModified:     ErrNotModified,
		http.StatusUnauthorized:    ErrUnauthorized,
		http.StatusForbidden:       ErrForbidden,
		http.StatusNotFound:        ErrNotFound,
		http.StatusTooManyRequests: ErrThrottled,

		http.StatusRequestedRangeNotSatisfiable: errRange,
	}[e.Status]
	return ok && e.cause == nil && target == class
}

// named says of what request an error is, unless it says so itself.
func named(r Request, err error) error {
	var e *Error
	if errors.As(err, &e) {
		return err
	}
	return &Error{Method: r.method(), Address: Redact(r.URL), cause: err}
}

// describe is named with what the answer's headers tell.
func describe(r Request, status int, h http.Header, err error) error {
	e := &Error{Method: r.method(), Address: Redact(r.URL), Status: status, cause: err}
	e.RequestID, e.CorrelationID = ids(h)
	return e
}

func ids(h http.Header) (request, correlation string) {
	first := func(names ...string) string {
		for _, name := range names {
			if v := clip(h.Get(name), 80); v != "" {
				return v
			}
		}
		return ""
	}
	return first("Request-Id", "MS-RequestId", "X-Ms-Request-Id"), first("MS-CorrelationId", "X-Ms-Correlation-Id", "Client-Request-Id")
}

// refusal is the error that an answer beside 2xx means.
func (c *Client) refusal(r Request, token string, res *http.Response) error {
	e := &Error{Method: r.method(), Address: Redact(r.URL), Status: res.StatusCode, RetryAfter: RetryAfter(res.Header, c.o.Now())}
	e.RequestID, e.CorrelationID = ids(res.Header)
	// A body that breaks off tells as much as it tells.
	raw, _ := io.ReadAll(io.LimitReader(res.Body, 64<<10))
	if body, err := unpackBody(raw, res.Header.Get("Content-Encoding"), 64<<10); err == nil {
		raw = body
	}
	code, message := explain(raw)
	e.Page = message == aPage
	secrets := secretsOf(token, r.URL)
	e.Code, e.Message = clip(without(code, secrets), 80), clip(without(message, secrets), 500)
	return e
}

const aPage = "the body is a web page"

// explain finds Microsoft's code and message in any of the forms in which its
// services tell them.
func explain(body []byte) (code, message string) {
	body = bytes.TrimSpace(bytes.TrimPrefix(body, []byte("\xef\xbb\xbf")))
	switch {
	case len(body) == 0:
		return "", ""
	case body[0] == '<':
		var blob struct {
			XMLName xml.Name `xml:"Error"`
			Code    string   `xml:"Code"`
			Message string   `xml:"Message"`
		}
		if xml.Unmarshal(body, &blob) == nil {
			message, _, _ = strings.Cut(blob.Message, "\n")
			return blob.Code, message
		}
		return "", aPage
	case body[0] != '{':
		return "", string(body)
	}
	type said struct {
		Code             any    `json:"code"`
		Message          string `json:"message"`
		Description      string `json:"description"`
		ErrorDescription string `json:"error_description"`
		ErrorMessage     string `json:"errorMessage"`
		ErrorCode        any    `json:"errorCode"`
		Title            string `json:"title"`
		Detail           string `json:"detail"`
	}
	var outer struct {
		said
		Error json.RawMessage `json:"error"`
	}
	if json.Unmarshal(body, &outer) != nil {
		return "", string(body)
	}
	s := outer.said
	if len(outer.Error) > 0 && outer.Error[0] == '{' {
		var inner said
		if json.Unmarshal(outer.Error, &inner) == nil {
			s = inner
		}
	}
	name := func(v any) string {
		if v == nil {
			return ""
		}
		return fmt.Sprint(v)
	}
	code = firstOf(name(s.Code), name(s.ErrorCode))
	var text string
	if code == "" && json.Unmarshal(outer.Error, &text) == nil {
		code = text
	}
	return code, firstOf(s.Message, s.Description, s.ErrorDescription, s.ErrorMessage, s.Detail, s.Title)
}

func firstOf(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

// clip makes somebody else's text fit for a line of ours.
func clip(s string, most int) string {
	s = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(s, ""), func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }), " ")
	if runes := []rune(s); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return s
}

// harmless are the query's parameters that an error may show.
var harmless = []string{"country", "currencycode", "enddate", "month", "period", "provider", "segment", "size", "startdate", "timeline"}

// Redact returns an address without what authorises: a user, a signature, and
// every other parameter that is not known to be harmless.
func Redact(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "an address that cannot be read"
	}
	u.User, u.Fragment = nil, ""
	if u.RawQuery != "" {
		var parts []string
		for part := range strings.SplitSeq(u.RawQuery, "&") {
			name, value, _ := strings.Cut(part, "=")
			if !slices.Contains(harmless, strings.ToLower(name)) && value != "" {
				part = name + "=***"
			}
			parts = append(parts, part)
		}
		u.RawQuery = strings.Join(parts, "&")
	}
	return u.String()
}

// hidden is an error whose text had a secret.
type hidden struct {
	error
	text string
}

func (h hidden) Error() string { return h.text }
func (h hidden) Unwrap() error { return h.error }

// hide takes out of an error what was repeated of the token or of the address's
// parameters.
func hide(err error, token, address string) error {
	if text := without(err.Error(), secretsOf(token, address)); text != err.Error() {
		return hidden{err, text}
	}
	return err
}

func secretsOf(token, address string) []string {
	secrets := []string{token}
	if u, err := url.Parse(address); err == nil {
		for name, values := range u.Query() {
			if !slices.Contains(harmless, strings.ToLower(name)) {
				for _, v := range values {
					secrets = append(secrets, v, url.QueryEscape(v))
				}
			}
		}
	}
	return secrets
}

func without(text string, secrets []string) string {
	for _, s := range secrets {
		if len(s) >= 8 { // shorter ones stand in any text
			text = strings.ReplaceAll(text, s, "***")
		}
	}
	return text
}
