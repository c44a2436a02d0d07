package api

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// Page is how a list is asked for.
type Page struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"How many items at most"`
	Cursor string `query:"cursor" maxLength:"200" doc:"The next of an earlier answer to the same question"`
}

// List is one page of items.
type List[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next,omitempty" doc:"Cursor of the next page; absent at the end"`
}

// digest is short for what an answer depends on.
func digest(depends ...string) [sha256.Size]byte {
	h := sha256.New()
	var size [8]byte
	for _, part := range depends {
		binary.BigEndian.PutUint64(size[:], uint64(len(part)))
		h.Write(size[:])
		h.Write([]byte(part))
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// cursorOf is a cursor to a place in a list, and to its sublist where it has several.
// It fits as long as the list depends on the same.
func cursorOf(sublist, place int, depends ...string) string {
	of := digest(depends...)
	data := binary.AppendUvarint(of[:8:8], uint64(sublist))
	data = binary.AppendUvarint(data, uint64(place))
	return base64.RawURLEncoding.EncodeToString(data)
}

// place is where the page begins; a cursor of another list, or of one that has changed,
// is refused.
func (p Page) place(depends ...string) (sublist, place int, err error) {
	if p.Cursor == "" {
		return 0, 0, nil
	}
	unfit := problem(http.StatusBadRequest, "cursor", "the cursor does not fit, or fits no more: ask for the first page again")
	of := digest(depends...)
	data, err := base64.RawURLEncoding.DecodeString(p.Cursor)
	if err != nil || len(data) < 8 || string(data[:8]) != string(of[:8]) {
		return 0, 0, unfit
	}
	data = data[8:]
	var numbers [2]int
	for i := range numbers {
		n, size := binary.Uvarint(data)
		if size <= 0 || n > 1<<40 {
			return 0, 0, unfit
		}
		numbers[i], data = int(n), data[size:]
	}
	if len(data) > 0 {
		return 0, 0, unfit
	}
	return numbers[0], numbers[1], nil
}

// Conditional is a question whose answer the caller may have already.
type Conditional struct {
	IfNoneMatch string `header:"If-None-Match" maxLength:"2000" doc:"ETags of answers that the caller has; if one of them still holds, the answer is 304 without a body"`
}

// tagged is an answer with its ETag.
type tagged[T any] struct {
	Status int
	ETag   string `header:"ETag"`
	Body   T
}

// tagOf is the strong ETag of what depends on these and on nothing else.
func tagOf(depends ...string) string {
	of := digest(depends...)
	return `"` + hex.EncodeToString(of[:16]) + `"`
}

// has reports whether the caller has the answer with this tag.
func (c Conditional) has(tag string) bool {
	for have := range strings.SplitSeq(c.IfNoneMatch, ",") {
		have = strings.TrimPrefix(strings.TrimSpace(have), "W/")
		if have == tag || have == "*" {
			return true
		}
	}
	return false
}

// unlessHad answers with what is made, or with 304 if the caller has it.
func unlessHad[T any](c Conditional, tag string, body func() (T, error)) (*tagged[T], error) {
	if c.has(tag) {
		return &tagged[T]{Status: http.StatusNotModified, ETag: tag}, nil
	}
	made, err := body()
	if err != nil {
		return nil, err
	}
	return &tagged[T]{Status: http.StatusOK, ETag: tag, Body: made}, nil
}

// conditionalOperation documents that an operation answers 304.
func conditionalOperation(op huma.Operation) huma.Operation {
	if op.Responses == nil {
		op.Responses = make(map[string]*huma.Response)
	}
	op.Responses["304"] = &huma.Response{Description: "The answer that the caller has still holds"}
	return op
}
