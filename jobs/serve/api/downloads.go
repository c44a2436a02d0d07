package api

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"mime"
	"net/http"
	"path"
	"reflect"
	"slices"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/klauspost/compress/gzhttp"

	"github.com/calends/calends/jobs"
	"github.com/calends/calends/jobs/serve/access"
	"github.com/calends/calends/jobs/serve/audit"
	"github.com/calends/calends/pipeline/bucket"
)

// InvoiceFile is a file to download.
type InvoiceFile struct {
	Name      string `json:"name" example:"reconciliation.csv"`
	Of        string `json:"of" enum:"invoice,comparison" doc:"The invoice, or its comparison with Microsoft's file"`
	MediaType string `json:"mediaType" example:"text/csv; charset=utf-8"`
	Size      int64  `json:"size" doc:"Bytes"`
	SHA256    string `json:"sha256" doc:"Of the whole file, in hex"`
}

// InvoiceFileList is the files of an invoice.
type InvoiceFileList struct {
	Items []InvoiceFile `json:"items"`
}

// Media types of files besides those of price sheets.
const (
	workbookType = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
	jsonType     = "application/json"
	bytesType    = "application/octet-stream"
)

// mediaType of a file, by its name.
func mediaType(name string) string {
	switch path.Ext(name) {
	case ".csv":
		return csvType + "; charset=utf-8"
	case ".parquet":
		return parquetType
	case ".xlsx":
		return workbookType
	case ".json":
		return jsonType
	}
	return bytesType
}

// FilePath names a file of an invoice.
type FilePath struct {
	InvoicePath
	Name string `path:"name" maxLength:"100" example:"reconciliation.csv"`
}

// getFile is a question for a file. What its headers say is net/http's to understand.
type getFile struct {
	FilePath
	Range       string `header:"Range" maxLength:"1000" example:"bytes=0-1023" doc:"One range, or several"`
	IfRange     string `header:"If-Range" maxLength:"200" doc:"The ETag of the file that a part is there of: if it is another by now, all of it comes"`
	IfNoneMatch string `header:"If-None-Match" maxLength:"2000" doc:"ETags of files that the caller has; for one of them the answer is 304"`
	IfMatch     string `header:"If-Match" maxLength:"2000" doc:"ETags; for a file with none of them the answer is 412"`
}

// FileAddress is where a file can be had without this server, for a while.
type FileAddress struct {
	URL     string `json:"url" doc:"Whoever has it has the file: pass it on to nobody"`
	Expires string `json:"expires" format:"date-time"`
	SHA256  string `json:"sha256" doc:"Of the file, in hex: compare what was downloaded"`
}

// addressLasts is how long an address is good for.
const addressLasts = 5 * time.Minute

func (a *API) registerDownloads() {
	register(a, access.SeeInvoices, huma.Operation{OperationID: "list-files", Method: http.MethodGet, Path: "/v1/invoices/{month}/{partnerId}/files",
		Summary: "List the files of an invoice", Description: "Those of the current revision, and those of the newest comparison with Microsoft's file, if there is one.", Tags: []string{"Downloads"}, Errors: []int{http.StatusNotFound}},
		func(ctx context.Context, who access.Principal, in *InvoicePath) (*struct{ Body InvoiceFileList }, error) {
			files, err := a.filesOf(ctx, who, *in)
			answer := InvoiceFileList{Items: []InvoiceFile{}}
			for _, f := range files {
				answer.Items = append(answer.Items, InvoiceFile{Name: f.Name, Of: f.of, MediaType: mediaType(f.Name), Size: f.Size, SHA256: f.SHA256})
			}
			return &struct{ Body InvoiceFileList }{answer}, err
		})
	register(a, access.Download, a.fileOperation(), func(ctx context.Context, who access.Principal, in *getFile) (*huma.StreamResponse, error) {
		f, err := a.fileOf(ctx, who, in.FilePath)
		if err != nil {
			return nil, err
		}
		return a.send(f), nil
	})
	register(a, access.Download, huma.Operation{OperationID: "get-file-address", Method: http.MethodGet, Path: "/v1/invoices/{month}/{partnerId}/files/{name}/address",
		Summary: "Get an address of a file in the store itself", Description: "For large files: good for some minutes, without a sign-in, and without this server in between. Only where the bucket is in a store that can do this, as S3.",
		Tags: []string{"Downloads"}, Errors: []int{http.StatusNotFound, http.StatusConflict}},
		func(ctx context.Context, who access.Principal, in *FilePath) (*struct{ Body FileAddress }, error) {
			f, err := a.fileOf(ctx, who, *in)
			if err != nil {
				return nil, err
			}
			address, err := a.address(ctx, f)
			return &struct{ Body FileAddress }{address}, err
		})
}

// fileOperation describes a download: its bytes are of several types.
func (a *API) fileOperation() huma.Operation {
	content, headers := make(map[string]*huma.MediaType), make(map[string]*huma.Param)
	for _, media := range []string{csvType, parquetType, workbookType} {
		content[media] = &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}}
	}
	content[jsonType] = &huma.MediaType{Schema: a.huma.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[Invoice](), true, "Invoice")}
	for name, says := range map[string]string{
		"ETag":                "The file's SHA-256 in hex",
		"Repr-Digest":         "The SHA-256 of the whole file (RFC 9530), also where a range is sent",
		"Content-Disposition": "A file name that tells the invoice",
		"Accept-Ranges":       "bytes",
	} {
		headers[name] = &huma.Param{Description: says, Schema: &huma.Schema{Type: huma.TypeString}}
	}
	return huma.Operation{OperationID: "get-file", Method: http.MethodGet, Path: "/v1/invoices/{month}/{partnerId}/files/{name}",
		Summary: "Download a file of an invoice", Tags: []string{"Downloads"}, Errors: []int{http.StatusNotFound, http.StatusPreconditionFailed, http.StatusRequestedRangeNotSatisfiable},
		Description: "The bytes as they lie in the bucket, also in ranges, so that an interrupted download goes on where it broke off. A whole file is compared with its SHA-256 on the way: if it is damaged, the answer breaks off before its end.",
		Responses: map[string]*huma.Response{
			"200": {Description: "The file", Content: content, Headers: headers},
			"206": {Description: "A part of the file", Content: content, Headers: headers},
			"304": {Description: "The caller has the file"},
		}}
}

// invoiceFile is a file, and what it is of.
type invoiceFile struct {
	jobs.PublishedFile
	of   string
	name string // of the download
}

// filesOf are those of an invoice that the caller may see.
func (a *API) filesOf(ctx context.Context, who access.Principal, in InvoicePath) (files []invoiceFile, err error) {
	b, err := a.billed(ctx, who, in)
	if err != nil {
		return nil, err
	}
	name := b.invoice.Number
	if name == "" {
		name = in.Month + "-" + bucket.Segment(in.Partner) + "-draft-" + strconv.Itoa(b.month.Current.Revision)
	}
	for _, f := range jobs.FilesOf(b.month, in.Partner) {
		files = append(files, invoiceFile{f, "invoice", name + "-" + f.Name})
	}
	compared, err := a.Env().Comparisons(ctx, b.month.Month)
	if err != nil {
		return nil, err
	}
	for _, c := range compared {
		if c.PartnerID != in.Partner {
			continue
		}
		for _, f := range c.Files {
			files = append(files, invoiceFile{f, "comparison", in.Month + "-" + bucket.Segment(in.Partner) + "-" + f.Name})
		}
	}
	return files, nil
}

func (a *API) fileOf(ctx context.Context, who access.Principal, in FilePath) (invoiceFile, error) {
	files, err := a.filesOf(ctx, who, in.InvoicePath)
	if err != nil {
		return invoiceFile{}, err
	}
	at := slices.IndexFunc(files, func(f invoiceFile) bool { return f.Name == in.Name })
	if at < 0 {
		return invoiceFile{}, notFound("the file " + in.Name)
	}
	audit.About(ctx, "", files[at].Key)
	return files[at], nil
}

// send answers with a file. The trail knows of it before it is opened.
func (a *API) send(f invoiceFile) *huma.StreamResponse {
	return &huma.StreamResponse{Body: func(c huma.Context) {
		object, err := a.Env().Bucket.Open(c.Context(), f.Key)
		if err != nil {
			a.answer(c, a.problemOf(fmt.Errorf("download: %w", err)))
			return
		}
		defer object.Close()
		if object.Size() != f.Size {
			a.answer(c, a.damaged(fmt.Errorf("read %s: it has %d bytes, not %d", f.Key, object.Size(), f.Size)))
			return
		}
		r, w := humago.Unwrap(c)
		h := w.Header()
		h.Set("Content-Type", mediaType(f.Name))
		h.Set("ETag", `"`+f.SHA256+`"`)
		if sum, err := hex.DecodeString(f.SHA256); err == nil {
			h.Set("Repr-Digest", "sha-256=:"+base64.StdEncoding.EncodeToString(sum)+":")
		}
		h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": f.name}))
		h.Set(gzhttp.HeaderNoCompression, "1") // it would be another file, and no ranges of it
		content := &content{object: object, sha256: f.SHA256, hash: sha256.New()}
		served := &served{ResponseWriter: w}
		http.ServeContent(served, r, "", time.Time{}, content)
		switch served.refused {
		case http.StatusPreconditionFailed:
			a.instead(c, problem(served.refused, "other-file", "the file is another by now: its ETag is none of If-Match"))
		case http.StatusRequestedRangeNotSatisfiable:
			a.instead(c, problem(served.refused, "no-such-range", "the file has "+strconv.FormatInt(f.Size, 10)+" bytes, and the range is none of them"))
		}
		if content.err != nil && c.Context().Err() == nil {
			a.Log.Error("a download broke off", "object", f.Key, "error", content.err)
			panic(http.ErrAbortHandler) // the half must not look like the whole
		}
	}}
}

// served keeps back what [http.ServeContent] says of a question that it refuses, which
// is no problem as other refusals are.
type served struct {
	http.ResponseWriter
	refused int
}

// WriteHeader notes a refusal and passes everything else on.
func (s *served) WriteHeader(status int) {
	if status == http.StatusPreconditionFailed || status == http.StatusRequestedRangeNotSatisfiable {
		s.refused = status
		return
	}
	s.ResponseWriter.WriteHeader(status)
}

// Write drops the text of a refusal.
func (s *served) Write(p []byte) (int, error) {
	if s.refused != 0 {
		return len(p), nil
	}
	return s.ResponseWriter.Write(p)
}

// instead answers with a problem where headers already tell of the file.
func (a *API) instead(c huma.Context, err error) {
	_, w := humago.Unwrap(c)
	for _, ofFile := range []string{"Content-Disposition", "Content-Length", "Repr-Digest"} {
		w.Header().Del(ofFile)
	}
	a.answer(c, err)
}

// content is an object for [http.ServeContent]. From its beginning it is read as one
// stream and hashed: the last bytes of a damaged file are not given out.
type content struct {
	object bucket.Object
	sha256 string
	hash   hash.Hash
	hashed int64 // bytes from the beginning
	at     int64
	err    error
}

// Seek is [io.Seeker]'s.
func (c *content) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += c.at
	case io.SeekEnd:
		offset += c.object.Size()
	}
	if offset < 0 {
		return 0, fmt.Errorf("seek to %d", offset)
	}
	c.at = offset
	return offset, nil
}

// Read is [io.Reader]'s.
func (c *content) Read(p []byte) (n int, err error) {
	if c.err != nil {
		return 0, c.err
	}
	if c.at != c.hashed {
		n, err = c.object.ReadAt(p, c.at)
		c.at += int64(n)
		return n, c.failed(n, err)
	}
	n, err = c.object.Read(p)
	c.hash.Write(p[:n])
	c.at, c.hashed = c.at+int64(n), c.hashed+int64(n)
	if c.hashed == c.object.Size() {
		if sum := hex.EncodeToString(c.hash.Sum(nil)); sum != c.sha256 {
			c.err = fmt.Errorf("its sha256 is %s, not %s; look at it with: calends verify", sum, c.sha256)
			return 0, c.err
		}
	}
	return n, c.failed(n, err)
}

// failed keeps an error that is more than the end; what was read before it counts.
func (c *content) failed(n int, err error) error {
	if err != nil && !errors.Is(err, io.EOF) {
		c.err = err
	}
	if n > 0 {
		return nil
	}
	return err
}

// address asks the store for one.
func (a *API) address(ctx context.Context, f invoiceFile) (FileAddress, error) {
	expires := a.Now().Add(addressLasts)
	url, err := bucket.Address(ctx, a.Env().Bucket, f.Key, bucket.Lending{For: addressLasts, Name: f.name, MediaType: mediaType(f.Name)})
	if errors.Is(err, bucket.ErrNoAddress) {
		return FileAddress{}, problem(http.StatusConflict, "no-address", "the bucket is in a store that gives out no addresses; download the file from this server, at the same path without /address")
	}
	return FileAddress{URL: url, Expires: expires.UTC().Format(time.RFC3339), SHA256: f.SHA256}, err
}
