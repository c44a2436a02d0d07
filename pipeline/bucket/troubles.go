package bucket

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"
	"gocloud.dev/gcerrors"
)

// troubles turns the errors of a store into what happened and what to do.
type troubles struct {
	store    string // such as s3://books
	endpoint string
	name     string // of the bucket or container
	timeout  time.Duration
	now      func() time.Time
	words    storeWords
}

// storeWords are what the two kinds of store call things.
type storeWords struct {
	bucket      string
	credentials string // where they come from
	permissions string // that are needed
}

var s3Words = storeWords{
	bucket:      "bucket",
	credentials: "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or the role of this machine",
	permissions: "s3:ListBucket, s3:GetObject, s3:PutObject, s3:DeleteObject and s3:AbortMultipartUpload",
}

var azureWords = storeWords{
	bucket:      "container",
	credentials: "AZURE_STORAGE_ACCOUNT with AZURE_STORAGE_KEY or AZURE_STORAGE_SAS_TOKEN, AZURE_STORAGE_CONNECTION_STRING, or the identity of this machine",
	permissions: "the role Storage Blob Data Contributor, or a signature with read, create, write, delete and list",
}

// A storeError is a failure in words for the operator; the store's own stay with
// it, for errors.As.
type storeError struct {
	text  string
	cause error
}

func (e *storeError) Error() string { return e.text }
func (e *storeError) Unwrap() error { return e.cause }

// explain says of an error what happened and what to do.
func (t troubles) explain(ctx context.Context, err error) error {
	if err == nil || errors.Is(err, errUndecided) {
		return err
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	what, todo := t.network(err)
	if a, ok := answerOf(err); ok {
		if conflict := conflictCodes[a.code]; conflict != "" {
			return fmt.Errorf("%w: %s", ErrConflict, conflict)
		}
		what, todo = t.answer(a)
	}
	text := t.store + ": " + what
	if todo != "" {
		text += " (" + todo + ")"
	}
	return &storeError{text, err}
}

// conflictCodes are what stores over a file system say where a key would also be a
// folder.
var conflictCodes = map[string]string{
	"ObjectParentIsFile": "a folder on the way is an object",
	folderCode:           "objects exist below the key",
}

// network explains what kept a request from being answered.
func (t troubles) network(err error) (what, todo string) {
	var (
		silence     *silenceError
		missing     *credentialsError
		name        *net.DNSError
		dial        *net.OpError
		record      tls.RecordHeaderError
		certificate *tls.CertificateVerificationError
	)
	switch {
	case errors.As(err, &missing):
		return "no credentials were found: " + oneLine(missing.cause), "set " + t.words.credentials
	case errors.As(err, &silence):
		return fmt.Sprintf("%s, %d times", silence, silentAttempts),
			fmt.Sprintf("check the endpoint, the network and the proxy; a store that needs more than %s in all wants a larger timeout", t.timeout)
	case errors.As(err, &name):
		return fmt.Sprintf("the name %s cannot be resolved", name.Name), "check the endpoint " + t.endpoint + " and the name server"
	case errors.Is(err, syscall.ECONNREFUSED):
		at := t.endpoint
		if errors.As(err, &dial) && dial.Addr != nil {
			at = dial.Addr.String()
		}
		return "nothing answers at " + at + ": connection refused", "check the endpoint, and whether the store is running"
	case errors.As(err, &record), speaksNoTLS(err):
		return "the endpoint " + t.endpoint + " does not speak TLS", "write http:// if that is intended"
	case errors.As(err, &certificate):
		return "the certificate of " + t.endpoint + " is not trusted: " + oneLine(innermost(err)), "install its authority on this machine, or name it with SSL_CERT_FILE"
	}
	return "the store cannot be reached: " + oneLine(innermost(err)), "check the endpoint " + t.endpoint + " and the network, then run again"
}

// speaksNoTLS recognises an answer in plain text, which net/http knows by its text.
func speaksNoTLS(err error) bool {
	return strings.Contains(err.Error(), "server gave HTTP response to HTTPS client")
}

// hopeless says that trying again at once would go wrong in the same way.
func hopeless(err error) bool {
	var (
		missing     *credentialsError
		name        *net.DNSError
		certificate *tls.CertificateVerificationError
		record      tls.RecordHeaderError
	)
	return errors.As(err, &missing) || errors.As(err, &certificate) || errors.As(err, &record) || speaksNoTLS(err) ||
		errors.As(err, &name) && name.IsNotFound
}

// answer explains a refusal.
func (t troubles) answer(a answer) (what, todo string) {
	said := a.String()
	switch {
	case a.code == "RequestTimeTooSkewed", a.denied() && a.skew(t.now()).Abs() > maxSkew:
		return t.skewed(a)
	case noSpaceCodes[a.code] || a.status == http.StatusInsufficientStorage:
		return "no space is left in the store: " + said, "make room or raise the quota, then run again; nothing half-written is visible"
	case missingBucketCodes[a.code]:
		return fmt.Sprintf("there is no %s %q at %s: %s", t.words.bucket, t.name, t.endpoint, said), "create it, or correct the address"
	case credentialCodes[a.code] || a.status == http.StatusUnauthorized:
		return "the credentials are refused: " + said, "check " + t.words.credentials
	case a.region != "" && (wrongRegionCodes[a.code] || a.status/100 == 3):
		return fmt.Sprintf("the bucket is in region %s: %s", a.region, said), "add ?region=" + a.region + " to the address"
	case wrongRegionCodes[a.code], a.status/100 == 3:
		return "the bucket is not here: " + said, "check region and endpoint; this was asked of " + t.endpoint
	case a.denied():
		return "permission denied: " + said, "let the credentials have " + t.words.permissions
	case a.status == http.StatusNotImplemented || a.code == "NotImplemented":
		return "the store cannot do what is needed: " + said, "choose one that can create objects on the condition that they are absent (If-None-Match)"
	case a.status == http.StatusTooManyRequests || a.status == http.StatusServiceUnavailable:
		return fmt.Sprintf("the store is overloaded, %d times: %s", attempts, said), "run again later"
	case a.status >= http.StatusInternalServerError:
		return fmt.Sprintf("the store failed, %d times: %s", attempts, said), "run again later; if it stays so, ask who runs the store"
	}
	return "the store refused: " + said, ""
}

// maxSkew is how far clocks may differ before stores refuse signatures. They allow
// for a quarter of an hour; five minutes off deserve a word when they refuse.
const maxSkew = 5 * time.Minute

func (t troubles) skewed(a answer) (what, todo string) {
	now := t.now().UTC()
	if a.date.IsZero() {
		return fmt.Sprintf("the clocks differ too much: here it is %s: %s", now.Format(time.DateTime), a), "set this machine's clock, for instance by NTP"
	}
	return fmt.Sprintf("the clocks differ too much: here it is %s, at the store %s (UTC): %s",
		now.Format(time.DateTime), a.date.UTC().Format(time.DateTime), a), "set this machine's clock, for instance by NTP"
}

var (
	missingBucketCodes = set("NoSuchBucket", "ContainerNotFound", "ContainerBeingDeleted", "ResourceNotFound", "AccountNotFound")
	credentialCodes    = set("InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "ExpiredToken", "ExpiredTokenException",
		"TokenRefreshRequired", "AuthenticationFailed", "InvalidAuthenticationInfo", "NoAuthenticationInformation", "UnrecognizedClientException",
		"XAdminUserNotFound") // versitygw, of a key that it does not know
	wrongRegionCodes = set("PermanentRedirect", "TemporaryRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "MovedPermanently")
	noSpaceCodes     = set("InsufficientStorage", "QuotaExceeded", "XMinioStorageFull", "XMinioAdminBucketQuotaExceeded", "AccountQuotaExceeded", "InsufficientCapacity")
	takenCodes       = set("PreconditionFailed", "ConditionalRequestConflict", "NoSuchUpload", "BlobAlreadyExists", "ConditionNotMet", "TargetConditionNotMet")
	absentCodes      = set("NoSuchKey", "NotFound", "BlobNotFound")
)

func set(names ...string) map[string]bool {
	m := map[string]bool{}
	for _, name := range names {
		m[name] = true
	}
	return m
}

// answer is what a store says of a request that it refuses.
type answer struct {
	status  int
	code    string
	message string
	request string    // the store's number of it
	region  string    // of the bucket, where S3 tells
	date    time.Time // by the store's clock
}

func (a answer) String() string {
	text := a.code
	if text == "" {
		text = http.StatusText(a.status)
	}
	if a.status != 0 {
		text = fmt.Sprintf("%d %s", a.status, text)
	}
	if a.message != "" {
		text += ", " + strings.TrimRight(oneLine(errors.New(a.message)), ".")
	}
	if a.request != "" {
		text += ", request " + a.request
	}
	return text
}

func (a answer) denied() bool { return a.status == http.StatusForbidden || a.code == "AccessDenied" }

// skew is how far the store's clock is ahead.
func (a answer) skew(now time.Time) time.Duration {
	if a.date.IsZero() {
		return 0
	}
	return a.date.Sub(now)
}

// answerOf takes the answer out of an error of either SDK.
func answerOf(err error) (a answer, ok bool) {
	var azure *azcore.ResponseError
	if errors.As(err, &azure) {
		a = answer{status: azure.StatusCode, code: azure.ErrorCode}
		a.header(azure.RawResponse)
		return a, true
	}
	var api smithy.APIError
	var response *awshttp.ResponseError
	if errors.As(err, &response) {
		a.status = response.HTTPStatusCode()
		if response.Response != nil {
			a.header(response.Response.Response)
		}
	}
	if errors.As(err, &api) {
		a.code, a.message = api.ErrorCode(), api.ErrorMessage()
	}
	if a.code == "UnknownError" || a.code == "Unknown" {
		a.code, a.message = "", ""
	}
	return a, a.status != 0 || a.code != ""
}

func (a *answer) header(response *http.Response) {
	if response == nil {
		return
	}
	for _, name := range []string{"X-Amz-Request-Id", "X-Ms-Request-Id"} {
		if id := response.Header.Get(name); id != "" {
			a.request = id
		}
	}
	a.region = response.Header.Get("X-Amz-Bucket-Region")
	if date, err := http.ParseTime(response.Header.Get("Date")); err == nil {
		a.date = date
	}
}

// isNotFound says that an object is not there: an answer that says so, and not one
// of the many other ways to find nothing.
func isNotFound(err error) bool {
	if a, ok := answerOf(err); ok {
		return absentCodes[a.code] || a.status == http.StatusNotFound && a.code == ""
	}
	return fromMemory(err, gcerrors.NotFound)
}

// isTaken says that an object was not created since its key is taken, or since
// another creation of it was under way.
func isTaken(err error) bool {
	if err == nil {
		return false
	}
	if a, ok := answerOf(err); ok {
		return takenCodes[a.code] || a.status == http.StatusPreconditionFailed
	}
	return fromMemory(err, gcerrors.FailedPrecondition)
}

// isBeyondEnd says that a range begins where the object has ended.
func isBeyondEnd(err error) bool {
	a, ok := answerOf(err)
	return ok && a.status == http.StatusRequestedRangeNotSatisfiable
}

// fromMemory looks at the code of an error that comes from no network, and so from
// a store in this process. Elsewhere a host that is not found has the same code.
func fromMemory(err error, code gcerrors.ErrorCode) bool {
	var network net.Error
	return err != nil && gcerrors.Code(err) == code && !errors.As(err, &network)
}

// innermost is the cause at the bottom, without what the SDKs wrap around it.
func innermost(err error) error {
	for {
		var next error
		switch e := err.(type) { //nolint:errorlint // this walks the chain itself
		case interface{ Unwrap() error }:
			next = e.Unwrap()
		case interface{ Unwrap() []error }:
			for _, inner := range e.Unwrap() {
				if inner != nil {
					next = inner
				}
			}
		}
		if next == nil {
			return err
		}
		err = next
	}
}

// oneLine is the text of an error without its line breaks.
func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }
