package microsoft

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"

	"github.com/calends/calends/jobs/microsoft/web"
)

// Promotions fetches the promotions that a country and a segment, such as
// commercial, have now; Microsoft keeps none of the past. They come in pages and are
// put into one file, in the order of their ids, so that the same promotions are the
// same file.
func (c *Client) Promotions(ctx context.Context, country, segment string, w Want) (Fetched, error) {
	segment = strings.ToLower(segment)
	name := w.Month.String() + "/promotions-" + country + "-" + segment + ".json"
	f, err := c.promotionsFile(ctx, country, segment, name, w)
	if err != nil {
		return Fetched{}, fmt.Errorf("fetch %s: %w", name, err)
	}
	return f, nil
}

func (c *Client) promotionsFile(ctx context.Context, country, segment, name string, w Want) (Fetched, error) {
	type promotion struct {
		id  string
		raw []byte
	}
	all := []promotion{}
	r := c.partnerCenter("/v1/productpromotions?country=" + url.QueryEscape(country) + "&segment=" + url.QueryEscape(segment))
	err := c.eachPage(ctx, r, func(items []json.RawMessage) error {
		for _, item := range items {
			var has struct {
				ID string `json:"id"`
			}
			if err := json.Unmarshal(item, &has); err != nil || has.ID == "" {
				return fmt.Errorf("%w: a promotion without an id", web.ErrNotData)
			}
			var raw bytes.Buffer
			if err := json.Compact(&raw, item); err != nil {
				return notData(err)
			}
			all = append(all, promotion{has.ID, raw.Bytes()})
		}
		return nil
	})
	if err != nil {
		return Fetched{}, err
	}
	slices.SortFunc(all, func(a, b promotion) int {
		return cmp.Or(cmp.Compare(a.id, b.id), bytes.Compare(a.raw, b.raw))
	})
	// Pages that shift while they are read show the same one twice.
	all = slices.CompactFunc(all, func(a, b promotion) bool { return bytes.Equal(a.raw, b.raw) })
	items := make([]json.RawMessage, len(all))
	for i, p := range all {
		items[i] = p.raw
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(struct {
		TotalCount int               `json:"totalCount"`
		Items      []json.RawMessage `json:"items"`
	}{len(items), items}); err != nil {
		return Fetched{}, err
	}
	return keep(&out, name, w, func(io.Reader) (int, error) { return len(items), nil })
}
