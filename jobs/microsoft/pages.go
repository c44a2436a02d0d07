package microsoft

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/calends/calends/jobs/microsoft/web"
)

// maxPages is more than any collection has.
const maxPages = 100_000

// collection is a page of any of Partner Center's collections.
type collection struct {
	TotalCount *int               `json:"totalCount"`
	Items      *[]json.RawMessage `json:"items"`
	Links      struct {
		Next *link `json:"next"`
	} `json:"links"`
	// Other spellings of where the next page is.
	ContinuationToken string `json:"continuationToken"`
	NextLink          string `json:"nextLink"`
	ODataNextLink     string `json:"@odata.nextLink"`
}

type link struct {
	URI     string `json:"uri"`
	Headers []struct {
		Key   string `json:"key"`
		Value string `json:"value"`
	} `json:"headers"`
}

// errNoCollection is an answer without items[].
var errNoCollection = fmt.Errorf("%w: it has no items[]", web.ErrNotData)

// eachPage asks for a collection, page by page, in order. An answer without items[]
// is an error, and so is a page that leads back to one that was there.
func (c *Client) eachPage(ctx context.Context, r web.Request, take func(items []json.RawMessage) error) error {
	first, seen := r, make(map[string]bool)
	for range maxPages {
		var page collection
		if err := c.Web.JSON(ctx, r, &page); err != nil {
			return err
		}
		if page.Items == nil {
			return fmt.Errorf("%s: %w", web.Redact(r.URL), errNoCollection)
		}
		if err := take(*page.Items); err != nil {
			return err
		}
		next, err := page.next(first)
		if err != nil {
			return fmt.Errorf("%s: next page: %w", web.Redact(r.URL), err)
		}
		if next == nil {
			return nil
		}
		key := next.URL + " " + next.Header.Get(continuation)
		if seen[key] {
			return fmt.Errorf("%s: the pages go round in circles", web.Redact(next.URL))
		}
		seen[key] = true
		r = *next
	}
	return fmt.Errorf("%s: more than %d pages", web.Redact(first.URL), maxPages)
}

const continuation = "MS-ContinuationToken"

// next is the request for the page behind this one, or nil.
func (p collection) next(first web.Request) (*web.Request, error) {
	uri, header := "", first.Header.Clone()
	if header == nil {
		header = make(http.Header)
	}
	switch {
	case p.Links.Next != nil && p.Links.Next.URI != "":
		uri = p.Links.Next.URI
		for _, h := range p.Links.Next.Headers {
			// Nothing but what is for paging: an answer has no say about who asks.
			if strings.EqualFold(h.Key, continuation) {
				header.Set(continuation, h.Value)
			}
		}
		if header.Get(continuation) == "" && p.ContinuationToken != "" {
			header.Set(continuation, p.ContinuationToken)
		}
	case p.ODataNextLink != "" || p.NextLink != "":
		uri = orElse(p.ODataNextLink, p.NextLink)
	case p.ContinuationToken != "":
		u, err := url.Parse(first.URL)
		if err != nil {
			return nil, errors.New("the address cannot be read")
		}
		q := u.Query()
		q.Set("seekOperation", "Next")
		u.RawQuery = q.Encode()
		uri = u.String()
		header.Set(continuation, p.ContinuationToken)
	default:
		return nil, nil // the last one
	}
	address, err := resolve(first.URL, uri)
	if err != nil {
		return nil, err
	}
	next := first
	next.URL, next.Header = address, header
	return &next, nil
}

// resolve is where a link leads from an address. It stays with the service: nobody
// else gets its token. A path without the version means the one of the address.
func resolve(from, link string) (string, error) {
	base, err := url.Parse(from)
	if err != nil {
		return "", errors.New("the address cannot be read")
	}
	to, err := url.Parse(link)
	if err != nil {
		return "", errors.New("the link cannot be read")
	}
	if to.Host != "" {
		if to.Host != base.Host || to.Scheme != base.Scheme {
			return "", fmt.Errorf("the link leads to %s, another place than %s", to.Host, base.Host)
		}
		return to.String(), nil
	}
	path := to.Path
	// The service may itself lie below a path, as a stand-in on this machine does.
	if before, _, ok := strings.Cut(base.Path, "/v1/"); ok && !strings.HasPrefix(path, before+"/v1/") {
		path = before + "/v1/" + strings.TrimPrefix(strings.TrimPrefix(strings.TrimPrefix(path, "/"), "v1/"), "/")
	}
	out := *base
	out.Path, out.RawPath, out.RawQuery = path, "", to.RawQuery
	return out.String(), nil
}
