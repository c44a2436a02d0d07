package microsofttest

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Exports are Graph's exports of reconciliation data, and the blobs that they are in.
// Fields may be set until the first request comes, and with [Exports.Change] after it.
type Exports struct {
	// Blobs are the files of every export, in order, as they lie in the store.
	Blobs []Blob
	ETag  string
	// Running is how often an operation is still running before it is done, and
	// RetryAfter what it says then; blank: nothing.
	Running    int
	RetryAfter string
	// Inline puts the manifest into the operation, else it has a link.
	Inline bool
	// Done is how the operation says that it is.
	Done string
	// Code and Message let operations fail.
	Code, Message string
	// Reads is how many blobs one signature opens; 0: any number.
	Reads int
	// BlobCount is what the manifest says there are; nil: as many as there are.
	BlobCount *int
	// Links is the service that links name, as Microsoft's do; blank: this server.
	Links string

	server *Server

	mu         sync.Mutex
	operations map[string]*exportOperation
	signatures map[string]int // reads left
	bodies     []string
}

// Blob is a file in the store.
type Blob struct {
	Name string
	Data []byte
}

type exportOperation struct{ looks int }

// AddExports lets the server answer Graph's partner billing API. The pages behind
// it: partners.billing billedReconciliation and unbilledReconciliation export, Get
// operation, Get manifest.
func AddExports(s *Server) *Exports {
	x := &Exports{ETag: "etag-1", Done: "succeeded", RetryAfter: "10", server: s, operations: make(map[string]*exportOperation), signatures: make(map[string]int)}
	const root = "/v1.0/reports/partners/billing/"
	s.Handle("POST "+root+"reconciliation/{kind}/export", Signed, x.export)
	s.Handle("GET "+root+"operations/{id}", Signed, x.operation)
	s.Handle("GET "+root+"manifests/{id}", Signed, func(w http.ResponseWriter, r *http.Request) {
		x.mu.Lock()
		defer x.mu.Unlock()
		JSON(w, http.StatusOK, x.manifest(r.PathValue("id")))
	})
	s.Handle("GET /blobs/reconciliation/{name...}", Anyone, x.blob)
	return x
}

// Change changes what the service has while it answers.
func (x *Exports) Change(change func(x *Exports)) {
	x.mu.Lock()
	defer x.mu.Unlock()
	change(x)
}

// Forget ends all operations and signatures, as time does.
func (x *Exports) Forget() {
	x.mu.Lock()
	defer x.mu.Unlock()
	clear(x.operations)
	clear(x.signatures)
}

// Asked returns the bodies of the requests for exports.
func (x *Exports) Asked() []string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return append([]string(nil), x.bodies...)
}

func (x *Exports) export(w http.ResponseWriter, r *http.Request) {
	var body bytes.Buffer
	if _, err := body.ReadFrom(r.Body); err != nil {
		panic(http.ErrAbortHandler)
	}
	var asked struct{ InvoiceID, CurrencyCode, BillingPeriod, AttributeSet string }
	bad := json.Unmarshal(body.Bytes(), &asked) != nil
	if r.PathValue("kind") == "billed" {
		bad = bad || asked.InvoiceID == ""
	} else {
		bad = bad || asked.CurrencyCode == "" || asked.BillingPeriod != "current" && asked.BillingPeriod != "last"
	}
	if bad {
		graphError(w, http.StatusBadRequest, "BadRequest", "Invalid request.")
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.bodies = append(x.bodies, r.PathValue("kind")+" "+body.String())
	id := fmt.Sprintf("operation-%d", len(x.bodies))
	x.operations[id] = &exportOperation{}
	w.Header().Set("Location", x.link("operations/"+id))
	w.WriteHeader(http.StatusAccepted)
}

func (x *Exports) link(path string) string {
	service := x.Links
	if service == "" {
		service = x.server.URL
	}
	return service + "/v1.0/reports/partners/billing/" + path
}

func (x *Exports) operation(w http.ResponseWriter, r *http.Request) {
	x.mu.Lock()
	defer x.mu.Unlock()
	id := r.PathValue("id")
	o, ok := x.operations[id]
	if !ok {
		graphError(w, http.StatusGone, "Gone", "The operation has expired.")
		return
	}
	o.looks++
	answer := map[string]any{"id": id, "createdDateTime": "2026-11-03T08:12:53", "lastActionDateTime": "2026-11-03T08:37:48.5046691Z"}
	kind := "runningOperation"
	switch {
	case o.looks <= x.Running:
		answer["status"] = "running"
		if o.looks == 1 {
			answer["status"] = "notStarted"
		}
		if x.RetryAfter != "" {
			w.Header().Set("Retry-After", x.RetryAfter)
		}
	case x.Code != "":
		kind = "failedOperation"
		answer["status"], answer["error"] = "failed", map[string]string{"code": x.Code, "message": x.Message}
	default:
		kind = "exportSuccessOperation"
		answer["status"] = x.Done
		if x.Inline {
			answer["resourceLocation"] = x.manifest("manifest-of-" + id)
		} else {
			answer["resourceLocation@odata.navigationLink"] = x.link("manifests/manifest-of-" + id)
		}
	}
	answer["@odata.type"] = "#microsoft.graph.partners.billing." + kind
	JSON(w, http.StatusOK, answer)
}

func (x *Exports) manifest(id string) map[string]any {
	signature := fmt.Sprintf("signature/%d=", len(x.signatures)+1)
	x.signatures[signature] = x.Reads
	if x.Reads == 0 {
		x.signatures[signature] = 1 << 30
	}
	blobs := []map[string]string{}
	for _, b := range x.Blobs {
		blobs = append(blobs, map[string]string{"name": b.Name, "partitionValue": "default"})
	}
	count := len(x.Blobs)
	if x.BlobCount != nil {
		count = *x.BlobCount
	}
	return map[string]any{
		"id": id, "schemaVersion": "2", "dataFormat": "compressedJSONLines", "createdDateTime": "2026-11-03T06:34:34.87Z", "eTag": x.ETag,
		"partnerTenantId": Tenant, "rootDirectory": x.server.URL + "/blobs/reconciliation", "partitionType": "default",
		"sasToken":  "sv=2021-08-06&se=2026-11-03T12%3A37%3A17Z&sr=d&sp=rl&sig=" + strings.NewReplacer("/", "%2F", "=", "%3D").Replace(signature),
		"blobCount": count, "blobs": blobs,
	}
}

// blob is a file of the store, which knows ranges.
func (x *Exports) blob(w http.ResponseWriter, r *http.Request) {
	x.mu.Lock()
	signature := r.URL.Query().Get("sig")
	left := x.signatures[signature]
	if left > 0 {
		x.signatures[signature]--
	}
	var data []byte
	for _, b := range x.Blobs {
		if b.Name == r.PathValue("name") {
			data = b.Data
		}
	}
	tag := x.ETag
	x.mu.Unlock()
	switch {
	case left <= 0:
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(http.StatusForbidden)
		_, _ = fmt.Fprint(w, "\ufeff<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>AuthenticationFailed</Code><Message>Server failed to authenticate the request.\nSignature not valid in the specified time frame</Message></Error>")
	case data == nil:
		w.WriteHeader(http.StatusNotFound)
	default:
		w.Header().Set("ETag", strconv.Quote(tag+r.PathValue("name")))
		w.Header().Set("Content-Type", "application/octet-stream")
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
	}
}

func graphError(w http.ResponseWriter, status int, code, message string) {
	JSON(w, status, map[string]any{"error": map[string]any{"code": code, "message": message}})
}

// Pass lets a request through, so that a later one fails.
func Pass() Fault {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) { next.ServeHTTP(w, r) }
}

// Lines are JSON lines packed by gzip.
func Lines(lines ...string) []byte {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, err := z.Write([]byte(strings.Join(lines, "\n") + "\n"))
	if closeErr := z.Close(); err != nil || closeErr != nil {
		panic("memory takes everything")
	}
	return packed.Bytes()
}
