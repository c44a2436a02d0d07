package page_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/calends/calends/jobs/serve/access"
)

// void elements have no end.
var void = []string{"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}

// unbalanced says which element of a page is not closed where it should be.
func unbalanced(source string) error {
	var open []string
	for z := html.NewTokenizer(strings.NewReader(source)); ; {
		switch z.Next() {
		case html.ErrorToken:
			if !errors.Is(z.Err(), io.EOF) {
				return z.Err()
			}
			if len(open) > 0 {
				return fmt.Errorf("%v are open at the end", open)
			}
			return nil
		case html.StartTagToken:
			if name, _ := z.TagName(); !slices.Contains(void, string(name)) {
				open = append(open, string(name))
			}
		case html.EndTagToken:
			name, _ := z.TagName()
			if len(open) == 0 || open[len(open)-1] != string(name) {
				return fmt.Errorf("</%s> closes %v", name, open)
			}
			open = open[:len(open)-1]
		}
	}
}

// faults lists what is wrong with a page for a browser, a screen reader or a strict
// content policy.
func faults(s shown) (list []string) {
	wrong := func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) }
	if err := unbalanced(s.Body.String()); err != nil {
		wrong("tags: %v", err)
	}
	if !strings.HasPrefix(s.Body.String(), "<!doctype html>") {
		wrong("no doctype")
	}
	count := func(name string, want int) {
		if n := len(all(s.doc, name)); n != want {
			wrong("%d of <%s>, want %d", n, name, want)
		}
	}
	count("h1", 1)
	count("main", 1)
	count("script", 0)
	count("style", 0)
	count("title", 1)
	if attr(all(s.doc, "html")[0], "lang") != "en" {
		wrong("no language")
	}
	if title := textOf(all(s.doc, "title")[0]); strings.HasPrefix(title, "·") {
		wrong("title %q", title)
	}
	ids, labels := make(map[string]int), make(map[string]bool)
	last := 0
	for n := range s.doc.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		for _, a := range n.Attr {
			if a.Key == "style" || strings.HasPrefix(a.Key, "on") || strings.HasPrefix(strings.TrimSpace(strings.ToLower(a.Val)), "javascript:") {
				wrong("<%s %s=%q>", n.Data, a.Key, a.Val)
			}
			if a.Key == "id" {
				ids[a.Val]++
			}
		}
		if n.Data == "label" {
			labels[attr(n, "for")] = true
		}
		if len(n.Data) == 2 && n.Data[0] == 'h' && n.Data[1] >= '1' && n.Data[1] <= '6' {
			level, _ := strconv.Atoi(n.Data[1:])
			if level > last+1 {
				wrong("heading %q of level %d after one of %d", textOf(n), level, last)
			}
			last = level
		}
	}
	for id, n := range ids {
		if n > 1 || strings.ContainsAny(id, " \t") || id == "" {
			wrong("id %q, %d times", id, n)
		}
	}
	for n := range s.doc.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		if by := attr(n, "aria-labelledby"); by != "" && ids[by] == 0 {
			wrong("<%s> is labelled by %q, which is not there", n.Data, by)
		}
		switch n.Data {
		case "input", "select", "textarea":
			if attr(n, "type") != "hidden" && !labels[attr(n, "id")] {
				wrong("<%s name=%q> has no label", n.Data, attr(n, "name"))
			}
		case "a":
			if attr(n, "href") == "" || textOf(n) == "" {
				wrong("a link to %q says %q", attr(n, "href"), textOf(n))
			}
		case "button":
			if textOf(n) == "" {
				wrong("a button says nothing")
			}
		case "img":
			if attr(n, "alt") == "" {
				wrong("a picture has no words")
			}
		case "table":
			if c := all(n, "caption"); len(c) != 1 || textOf(c[0]) == "" {
				wrong("a table has no caption")
			}
			width := -1
			for _, tr := range all(n, "tr") {
				cells := 0
				for c := range tr.ChildNodes() {
					if c.Type == html.ElementNode {
						span, err := strconv.Atoi(attr(c, "colspan"))
						if err != nil {
							span = 1
						}
						cells += span
					}
				}
				if width < 0 {
					width = cells
				}
				if cells != width {
					wrong("table %q: a row has %d columns, the first %d: %q", textOf(all(n, "caption")[0]), cells, width, textOf(tr))
				}
			}
		case "th":
			if s := attr(n, "scope"); s != "col" && s != "row" {
				wrong("the heading %q has no scope", textOf(n))
			}
		}
	}
	return list
}

// whole are the addresses that every kind of page is seen at.
func whole() (list []string) {
	for _, one := range samples {
		list = append(list, one.address)
	}
	return append(list, "/months/2024-04", "/invoices/2024-04/"+theirs, "/invoices/2024-04/"+theirs+"/lines?sort=total&order=descending", "/invoices/2024-04/"+theirs+"/lines/3",
		"/invoices/2024-03/"+theirs+"/lines/3", "/invoices/2024-03/"+ours+"/lines?q=nothing+like+it", "/prices?market=KW&month=2024-04", "/prices?q=nothing+like+it",
		"/prices/changes?market=NL&from=2022-01&to=2022-02", "/offers?q=nothing+like+it", "/months/2024-01/differences", "/months/2024-03/approval", "/customers?q=nothing+like+it",
		"/nowhere", "/months/1999-01", "/relationship-links/nothing", "/prices?month=spring")
}

// Pages are well formed, for browsers, screen readers and the content policy alike.
func TestPagesAreValid(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for _, who := range []access.Principal{as(access.GlobalAdmin), as(access.AdminAgent, ours), as(access.SalesAgent, ours), as(access.SalesAgent, invented)} {
		for _, address := range whole() {
			s := h.ask(&who, http.MethodGet, address, nil)
			if s.Code >= 500 {
				t.Errorf("%s: %d", address, s.Code)
			}
			for _, fault := range faults(s) {
				t.Errorf("%s as %s: %s", address, who.ID, fault)
			}
			if got := s.Header().Get("Cache-Control"); got != "private, no-store" {
				t.Errorf("%s: Cache-Control %q", address, got)
			}
		}
	}
}

// A page with a fault of each kind: what looks for them finds them.
func TestFaultsAreFound(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{
		`<p onclick="x">`, `<p style="color:red">`, `<script>1</script>`, `<a href="javascript:x">x</a>`, `<h3>x</h3>`, `<input name="x">`, `<a href="/x"></a>`,
		`<table><tr><th scope="row">x</th></tr></table>`, `<table><caption>c</caption><tr><td>1</td></tr><tr><td>1</td><td>2</td></tr></table>`,
		`<p id="x">1</p><p id="x">2</p>`, `<div>`, `</div>`, `<img src="/x">`, `<div aria-labelledby="nothing">x</div>`, `<button></button>`,
	} {
		s := shownOf(t, `<!doctype html><html lang="en"><head><title>x</title></head><body><main><h1>x</h1>`+bad+`</main></body></html>`)
		if len(faults(s)) == 0 {
			t.Errorf("%s passes", bad)
		}
	}
	if f := faults(shownOf(t, `<!doctype html><html lang="en"><head><title>x</title></head><body><main><h1>x</h1><h2>y</h2></main></body></html>`)); len(f) > 0 {
		t.Errorf("a good page: %v", f)
	}
}
