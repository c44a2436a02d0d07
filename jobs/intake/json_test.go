package intake

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

// decode builds what encoding/json would with UseNumber.
func decode(p *scanner) (any, bool) {
	switch p.peek() {
	case '{':
		m := map[string]any{}
		ok := p.members(func(key []byte) bool {
			v, ok := decode(p)
			m[string(key)] = v
			return ok
		})
		return m, ok
	case '[':
		list := []any{}
		ok := p.elements(func() bool {
			v, ok := decode(p)
			list = append(list, v)
			return ok
		})
		return list, ok
	}
	v, ok := p.value(0)
	switch v.kind {
	case null:
		return nil, ok
	case boolean:
		return string(v.text) == "true", ok
	case number:
		return json.Number(v.text), ok
	}
	return string(v.text), ok
}

// FuzzScannerAgainstEncodingJSON holds the scanner against the standard
// library: the same texts are valid, and mean the same.
func FuzzScannerAgainstEncodingJSON(f *testing.F) {
	for _, s := range []string{`{}`, ` [1, -0.5e+3, "a\u00e9\ud83d\ude00\ud83d", true, false, null] `, `{"a":{"b":[{}]},"a":1}`, `"\x"`, `01`, `1.`, `-`, `{"a"}`, `[1,]`, "\"\x1f\"",
		`"\ud800\u0041"`, `{"a":1}x`, `tru`, `"\`, `"\u12`, `1e`, "\u00a0", `{,}`, `"\ud800\ud800\udc00"`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		if !utf8.ValidString(in) || strings.Count(in, "[")+strings.Count(in, "{") >= maxDepth {
			t.Skip()
		}
		p := scanner{s: []byte(in)}
		v, ok := p.value(0)
		ok = ok && p.done()
		if ok != json.Valid([]byte(in)) {
			t.Fatalf("%q: valid %v, encoding/json %v", in, ok, !ok)
		}
		if !ok {
			return
		}
		d := json.NewDecoder(strings.NewReader(in))
		d.UseNumber()
		var want any
		if err := d.Decode(&want); err != nil {
			t.Fatal(err)
		}
		got, ok := decode(&scanner{s: []byte(in)})
		a, _ := json.Marshal(got)  // both are made of what JSON is made of
		b, _ := json.Marshal(want) //
		if !ok || !bytes.Equal(a, b) {
			t.Fatalf("%q: got %s, encoding/json %s", in, a, b)
		}
		var compact bytes.Buffer
		if err := json.Indent(&compact, []byte(in), " ", "\t"); err != nil {
			t.Fatal(err)
		}
		q := scanner{s: compact.Bytes()}
		w, _ := q.value(0)
		if !bytes.Equal(appendCanonical(nil, v), appendCanonical(nil, w)) {
			t.Fatalf("%q: white space changes the canonical form", in)
		}
		if r := []byte(b); json.Valid(r) {
			q := scanner{s: r}
			w, _ := q.value(0)
			if !bytes.Equal(appendCanonical(nil, v), appendCanonical(nil, w)) {
				t.Fatalf("%q: the order of keys or escapes change the canonical form", in)
			}
		}
	})
}
