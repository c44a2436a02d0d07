package serve

import (
	"mime"
	"net/http"
	"strings"

	"github.com/klauspost/compress/gzhttp"
)

// zippedMark ends the ETag of an answer that was compressed on its way: other bytes,
// another mark.
const zippedMark = "-gzip"

// zipped compresses answers that are text, for who can read it.
func zipped(next http.Handler) (http.Handler, error) {
	wrap, err := gzhttp.NewWrapper(gzhttp.EnableZstd(false), gzhttp.SuffixETag(zippedMark), gzhttp.ContentTypeFilter(isText), gzhttp.MinSize(1024), gzhttp.KeepAcceptRanges())
	if err != nil {
		return nil, err
	}
	return unmarked(wrap(next)), nil
}

func isText(contentType string) bool {
	media, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		return false
	}
	switch media {
	case "application/json", "application/problem+json", "application/yaml", "application/openapi+json", "application/openapi+yaml", "image/svg+xml":
		return true
	}
	return strings.HasPrefix(media, "text/")
}

// unmarked takes the mark off what a caller has, so that handlers compare their own.
func unmarked(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if had := r.Header.Get("If-None-Match"); strings.Contains(had, zippedMark+`"`) {
			r = r.Clone(r.Context())
			r.Header.Set("If-None-Match", strings.ReplaceAll(had, zippedMark+`"`, `"`))
		}
		next.ServeHTTP(w, r)
	})
}
