package signin

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	msal "github.com/AzureAD/microsoft-authentication-library-for-go/apps/errors"

	"github.com/calends/calends/jobs/microsoft/web"
)

// ErrPerson is a refusal that stays until a person does something about it.
var ErrPerson = errors.New("a person must act")

// Error is a refused sign-in.
type Error struct {
	Code    string // such as AADSTS700082, or OAuth's own; blank: there was no answer
	Message string
	Advice  string // what to do, where that is known
	// CorrelationID finds the attempt in the tenant's sign-in logs.
	CorrelationID string

	passes     bool
	retryAfter time.Duration
	cause      error
}

// Error says what was refused and what helps.
func (e *Error) Error() string {
	text := e.Message
	if e.Code != "" {
		text = strings.TrimSuffix(e.Code+": "+e.Message, ": ")
	}
	if e.CorrelationID != "" {
		text += " (correlation id " + e.CorrelationID + ")"
	}
	if e.Advice != "" {
		text += "; " + e.Advice
	}
	return text
}

// Unwrap returns what stopped an attempt without an answer.
func (e *Error) Unwrap() error { return e.cause }

// Is tells the class.
func (e *Error) Is(target error) bool { return target == ErrPerson && e.Code != "" && !e.passes }

// explain turns what MSAL says into what a person needs. MSAL's own texts quote whole
// answers, so they are not shown.
func explain(err error, hide []string, now time.Time) *Error {
	var call msal.CallErr
	var broken *url.Error
	var badJSON msal.InvalidJsonErr
	switch {
	case errors.As(err, &call) && call.Resp != nil:
		return refusal(call.Resp, hide, now)
	case errors.As(err, &badJSON):
		return &Error{Message: "the sign-in service answered with something that is no token: look at the login address", passes: true}
	case errors.As(err, &broken):
		return &Error{Message: "no answer from the sign-in service: " + broken.Err.Error(), cause: broken.Err, passes: true}
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return &Error{Message: "no answer from the sign-in service", cause: err, passes: true}
	}
	return &Error{Message: without(err.Error(), hide)}
}

func refusal(res *http.Response, hide []string, now time.Time) *Error {
	e := &Error{
		passes:     res.StatusCode == http.StatusTooManyRequests || res.StatusCode == http.StatusRequestTimeout || res.StatusCode >= 500,
		retryAfter: web.RetryAfter(res.Header, now),
	}
	body, _ := io.ReadAll(io.LimitReader(res.Body, 64<<10))
	var said struct {
		Error         string `json:"error"`
		Description   string `json:"error_description"`
		CorrelationID string `json:"correlation_id"`
	}
	if json.Unmarshal(body, &said) != nil || said.Error == "" {
		e.Message = "the sign-in service answered " + res.Status
		if res.StatusCode == http.StatusNotFound {
			e.Message += ": look at the login address"
		}
		return e
	}
	e.Code, e.CorrelationID = without(said.Error, hide), without(said.CorrelationID, hide)
	e.Message = firstSentence(without(said.Description, hide))
	if code := aadsts.FindString(said.Description); code != "" {
		e.Code = code
		e.Message = strings.TrimSpace(strings.TrimPrefix(strings.TrimPrefix(e.Message, code), ":"))
		e.Advice = advice(code, said.Error)
	} else {
		e.Advice = advice("", said.Error)
	}
	return e
}

var aadsts = regexp.MustCompile(`AADSTS\d+`)

// firstSentence cuts the ids and times off that follow what is said.
func firstSentence(text string) string {
	text, _, _ = strings.Cut(text, "Trace ID:")
	return strings.Join(strings.Fields(text), " ")
}

func without(text string, secrets []string) string {
	for _, s := range secrets {
		if s != "" {
			text = strings.ReplaceAll(text, s, "***")
			text = strings.ReplaceAll(text, url.QueryEscape(s), "***")
		}
	}
	return text
}

const signInAgain = "a person must sign in again, with multi-factor authentication, and the new refresh token must be stored"

// advices are by code. https://login.microsoftonline.com/error?code=… has the rest.
var advices = map[string]string{
	"AADSTS700082": "the refresh token was not used for too long: " + signInAgain,
	"AADSTS70008":  "the refresh token has run out: " + signInAgain,
	"AADSTS70043":  "the refresh token has run out by the tenant's sign-in frequency: " + signInAgain,
	"AADSTS700084": "the refresh token was issued to a single-page application and holds a day: sign in by an application of type web",
	"AADSTS50173":  "the user's password was changed or sessions were revoked: " + signInAgain,
	"AADSTS50132":  "the user's sessions were revoked: " + signInAgain,
	"AADSTS50133":  "the user's sessions were revoked: " + signInAgain,
	"AADSTS50078":  "the multi-factor authentication has run out: " + signInAgain,
	"AADSTS50076":  "multi-factor authentication is required: " + signInAgain,
	"AADSTS50079":  "the user must register for multi-factor authentication first: " + signInAgain,
	"AADSTS50158":  "conditional access asks the user for more: " + signInAgain,
	"AADSTS50055":  "the user's password has run out: change it, then " + signInAgain,
	"AADSTS50057":  "the user's account is disabled: enable it, or sign in as another user",
	"AADSTS50034":  "the user is not in the tenant: look at the tenant, or sign in as another user",
	"AADSTS50105":  "the user is not assigned to the application: assign them under Enterprise applications",
	"AADSTS53000":  "conditional access wants a managed device: exclude the service account or let it sign in from one",
	"AADSTS53001":  "conditional access wants a joined device: exclude the service account or let it sign in from one",
	"AADSTS53003":  "conditional access blocks the sign-in: an administrator of the tenant must allow the application, or the place it signs in from",
	"AADSTS65001":  "consent is missing: an administrator must grant the application its permissions (API permissions, Grant admin consent), then " + signInAgain,
	"AADSTS65004":  "consent was declined: an administrator must grant the application its permissions",
	"AADSTS90094":  "an administrator's consent is missing: grant the application its permissions (API permissions, Grant admin consent)",
	"AADSTS650057": "the application does not list this API among its permissions: add it under API permissions and grant consent",
	"AADSTS650052": "the tenant lacks the service that is asked for: an administrator must consent to it",
	"AADSTS500011": "the tenant does not know the API that is asked for: look at tenant and endpoints, or consent to the API first",
	"AADSTS70011":  "the scope is not known: look at the endpoints",

	"AADSTS7000215": "the application's secret is wrong: take its value, not its id, from Certificates & secrets",
	"AADSTS7000222": "the application's secret has run out: make a new one under Certificates & secrets",
	"AADSTS7000216": "a secret or a certificate of the application is missing",
	"AADSTS7000218": "a secret or a certificate of the application is missing",
	"AADSTS700027":  "the application's certificate is not accepted: upload its public part under Certificates & secrets, and look at the machine's clock",
	"AADSTS700024":  "the application's assertion is not valid now: set the machine's clock",
	"AADSTS7000112": "the application is disabled in the tenant: enable it under Enterprise applications",
	"AADSTS700016":  "the tenant does not have the application: look at client and tenant",
	"AADSTS700003":  "the device is not known: " + signInAgain,
	"AADSTS90002":   "there is no such tenant: look at tenant",
	"AADSTS900023":  "the tenant is neither a GUID nor a domain: look at tenant",
	"AADSTS9002313": "the refresh token, or another part of the request, is damaged: store it again in whole, or " + signInAgain,
	"AADSTS50126":   "the user's credentials are wrong: " + signInAgain,
}

// advice is what helps against a code, or else against OAuth's class of errors.
func advice(code, class string) string {
	if a, ok := advices[code]; ok {
		return a
	}
	switch class {
	case "invalid_grant", "interaction_required":
		return signInAgain
	case "invalid_client", "unauthorized_client":
		return "look at client, and at its secret or certificate"
	case "consent_required":
		return advices["AADSTS65001"]
	}
	return ""
}
