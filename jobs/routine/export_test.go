package routine

import (
	"testing"

	"github.com/calends/calends/pricing"
)

func TestPlaceOfAnExport(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ to, want string }{
		{"out", "out/month=2026-10"},
		{"out/", "out/month=2026-10"},
		{"a?b", "a?b/month=2026-10"},
		{"file:///srv/out", "file:///srv/out/month=2026-10"},

		{"s3://books", "s3://books/month=2026-10"},
		{"s3://books/out/", "s3://books/out/month=2026-10"},
		{"s3://books/out?region=eu-west-1&endpoint=https://s3.example.com", "s3://books/out/month=2026-10?region=eu-west-1&endpoint=https://s3.example.com"},
		{"azblob://books?endpoint=https://store.example.com/", "azblob://books/month=2026-10?endpoint=https://store.example.com/"},
	} {
		if place, options := (Destination{To: c.to}).place(pricing.MonthOf(2026, 10)); place+options != c.want {
			t.Errorf("exports to %s: got %s%s, want %s", c.to, place, options, c.want)
		}
	}
}
