package picture

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/calends/calends/jobs"
	"github.com/calends/calends/pipeline/change"
	"github.com/calends/calends/pricing"
)

const began = "2024-01-15T09:00:00Z"

// simple is a story of some seats for a year.
func simple(seats int64, day string) jobs.Story {
	return jobs.Story{
		SubscriptionFacts: jobs.SubscriptionFacts{
			SubscriptionID: "a subscription", CustomerName: "Voorbeeld Fietsen B.V.", State: jobs.StateActive, ProductID: "P", SkuID: "0001", SkuName: "Office 365 E3",
			TermDuration: "P1Y", BillingCycle: "Monthly", TermStart: "2024-01-15", TermEnd: "2025-01-14", Quantity: seats, AutoRenew: true,
		},
		Day: day,
		Terms: []jobs.StoryTerm{{Start: "2024-01-15", End: "2025-01-14", From: "2024-01-15", To: "2025-01-14", SkuName: "Office 365 E3", TermDuration: "P1Y",
			BillingCycle: "Monthly", UnitPrice: "120", Currency: "EUR", Cycles: []string{"2024-01-15", "2024-02-15"}}},
		History: []jobs.StoryEvent{event(change.Purchased, began, "bought", 0, seats)},
	}
}

func event(kind change.Type, at, did string, before, after int64) jobs.StoryEvent {
	e := jobs.StoryEvent{Time: at, Kind: jobs.EventChange, Change: &jobs.EventFacts{Type: string(kind), Time: at}, Did: did, QuantityBefore: before, Quantity: after, State: jobs.StateActive}
	if after > 0 {
		e.Layers = []jobs.SeatLayer{{Seats: after, Since: at, Until: at}}
	}
	return e
}

func drawn(t testing.TB, s jobs.Story) string {
	t.Helper()
	var b bytes.Buffer
	if err := Draw(&b, s); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// elements reads a picture as XML and returns its elements' names and texts.
func elements(picture string) (names []string, texts []string, attributes []xml.Attr, err error) {
	d := xml.NewDecoder(strings.NewReader(picture))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return names, texts, attributes, nil
		}
		if err != nil {
			return nil, nil, nil, err
		}
		switch token := token.(type) {
		case xml.StartElement:
			names, attributes = append(names, token.Name.Local), append(attributes, token.Attr...)
		case xml.CharData:
			texts = append(texts, string(token))
		case xml.ProcInst, xml.Directive, xml.Comment:
			return nil, nil, nil, fmt.Errorf("%T in the picture", token)
		}
	}
}

// harmless are all elements that a picture may have.
var harmless = map[string]bool{"svg": true, "title": true, "desc": true, "style": true, "defs": true, "pattern": true, "rect": true, "path": true,
	"line": true, "text": true, "g": true}

// check holds a picture against what it promises whatever its texts are.
func check(t *testing.T, picture string) {
	t.Helper()
	if !utf8.ValidString(picture) {
		t.Fatal("it is no UTF-8")
	}
	names, texts, attributes, err := elements(picture)
	if err != nil {
		t.Fatalf("it is no XML: %v", err)
	}
	for _, n := range names {
		if !harmless[n] {
			t.Errorf("it has an element %s", n)
		}
	}
	for _, a := range attributes {
		value := strings.ToLower(a.Value)
		if strings.HasPrefix(a.Name.Local, "on") || strings.Contains(value, "javascript:") || a.Name.Local == "href" || a.Name.Local == "style" ||
			strings.Contains(value, "url(") && !strings.HasPrefix(value, "url(#story-") {
			t.Errorf("it has an attribute %s=%q", a.Name.Local, a.Value)
		}
		switch a.Name.Local {
		case "x", "y", "x1", "x2", "y1", "y2", "width", "height":
			if n, err := strconv.ParseFloat(a.Value, 64); err != nil || n < 0 || n > 20000 {
				t.Errorf("%s=%q lies outside", a.Name.Local, a.Value)
			}
		}
	}
	if strings.Join(names[:4], " ") != "svg title desc style" {
		t.Errorf("it begins with %v, want its title and description", names[:4])
	}
	for _, text := range texts {
		if strings.ContainsAny(text, "\u202a\u202b\u202d\u202e\u2066\u2067\u2068") {
			t.Errorf("%q turns the direction", text)
		}
	}
}

// TestPictureSays: what is on the picture, in words.
func TestPictureSays(t *testing.T) {
	t.Parallel()
	grown := simple(25, "2024-03-01")
	grown.History = append(grown.History, event(change.QuantityChanged, "2024-02-01T10:00:00Z", "+5: 25 to 30 seats", 25, 30))
	refused := event(change.Canceled, "2024-02-20T10:00:00Z", "refused: the window is closed", 30, 30)
	refused.Refused = &jobs.Refusal{Code: "CANCEL_WINDOW_CLOSED"}
	grown.History = append(grown.History, refused)
	grown.Quantity = 30

	scheduled := simple(25, "2024-03-01")
	twelve := int64(12)
	scheduled.Scheduled = &jobs.Scheduled{On: "2025-01-15", Quantity: &twelve}

	leaving := simple(25, "2024-03-01")
	leaving.AutoRenew = false

	over := simple(25, "2024-03-01")
	over.State, over.Quantity, over.TermEnd = jobs.StateEnded, 0, "2024-01-20"
	over.Terms[0].To = "2024-01-20"
	gone := event(change.Canceled, "2024-01-20T10:00:00Z", "cancelled: 25 seats ended", 25, 0)
	gone.State = jobs.StateEnded
	over.History = append(over.History, gone)

	parked := simple(25, "2024-03-01")
	parked.State, parked.History[0].State = jobs.StateParked, jobs.StateParked

	for _, row := range []struct {
		name  string
		story jobs.Story
		want  []string
		not   []string
	}{
		{"a purchase", simple(25, "2024-03-01"), []string{"Office 365 E3", "active, 25 seats, P1Y billed Monthly, 2024-01-15 to 2025-01-14, renews", "end of 2024-03-01", "renews 2025-01-15",
			"Office 365 E3, P1Y Monthly, EUR 120", "2024-01-15 bought: bought", "bought", "25"}, []string{"refused", "parked, not billed", "more seats"}},
		{"seats and a refusal", grown, []string{"2024-02-01 more seats: +5: 25 to 30 seats", "refused", "more seats", "2024-02-20 cancelled: refused: the window is closed"}, []string{"fewer seats"}},
		{"a schedule", scheduled, []string{"renews 2025-01-15 as scheduled", "scheduled for 2025-01-15"}, nil},
		{"no renewal", leaving, []string{"ends 2025-01-14"}, []string{"renews 2025-01-15"}},
		{"an end", over, []string{"ended on 2024-01-20", "cancelled"}, []string{"end of 2024-03-01", "if nothing changes"}},
		{"without a price", parked, []string{"parked, not billed", "parked: without a price, not billed"}, nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			picture := drawn(t, row.story)
			check(t, picture)
			_, texts, _, _ := elements(picture)
			has := func(want string) bool {
				for _, text := range texts {
					if text == want || strings.Contains(text, want+". ") {
						return true
					}
				}
				return false
			}
			for _, want := range row.want {
				if !has(want) {
					t.Errorf("%q is not on it; texts: %q", want, texts)
				}
			}
			for _, not := range row.not {
				if has(not) {
					t.Errorf("%q is on it", not)
				}
			}
			if again := drawn(t, row.story); again != picture {
				t.Error("drawn again, it has other bytes")
			}
		})
	}
}

// TestPictureOfAnySize: from a day to six years, from one seat to the most there can be,
// the axes have a few round numbers and nothing lies outside.
func TestPictureOfAnySize(t *testing.T) {
	t.Parallel()
	for _, seats := range []int64{1, 3, 25, 999, 100_000, 1_000_000_000} {
		for _, last := range []string{"2024-01-15", "2024-01-16", "2024-02-14", "2025-01-14", "2030-01-14"} {
			s := simple(seats, last)
			s.TermEnd, s.Terms[0].End, s.Terms[0].To = last, last, last
			p, err := planOf(s)
			if err != nil {
				t.Fatal(err)
			}
			lines := p.most / p.each
			if p.most < seats || lines < 1 || lines > 4 || strings.Trim(strconv.FormatInt(p.each, 10), "0") != strings.Trim(strconv.FormatInt(p.each, 10)[:1], "0") {
				t.Errorf("%d seats: %d lines of %d", seats, lines, p.each)
			}
			if n := len(p.timeTicks()); n < 1 || n > 14 {
				t.Errorf("until %s: %d ticks of time", last, n)
			}
			check(t, drawn(t, s))
		}
	}
}

func TestNiceStep(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ most, want int64 }{
		{0, 1}, {1, 1}, {4, 1}, {5, 2}, {8, 2}, {9, 5}, {20, 5}, {21, 10}, {26, 10}, {41, 20}, {100_000, 50_000}, {1_000_000_000, 500_000_000},
	} {
		if got := niceStep(row.most, 4); got != row.want {
			t.Errorf("lines for %d are %d apart, want %d", row.most, got, row.want)
		}
	}
}

// TestMarksDoNotHideEachOther: events close together lie in rows, as many as there is room.
func TestMarksDoNotHideEachOther(t *testing.T) {
	t.Parallel()
	s := simple(5, "2024-03-01")
	for i := range 40 {
		s.History = append(s.History, event(change.QuantityChanged, fmt.Sprintf("2024-02-01T10:%02d:00Z", i), "seats", 5, 5))
	}
	p, err := planOf(s)
	if err != nil {
		t.Fatal(err)
	}
	if p.rows != mostRows {
		t.Errorf("%d rows, want %d", p.rows, mostRows)
	}
	for i := 1; i < mostRows; i++ {
		if a, b := p.marks[i], p.marks[i+1]; a.row == b.row {
			t.Errorf("marks %d and %d lie on each other in row %d", i, i+1, a.row)
		}
	}
	check(t, drawn(t, s))
}

// TestPictureRefuses: a story that is none is an error, and no half picture's panic.
func TestPictureRefuses(t *testing.T) {
	t.Parallel()
	noTime, noDay := simple(1, "2024-03-01"), simple(1, "soon")
	noTime.History[0].Time = "then"
	for _, s := range []jobs.Story{{Day: "2024-03-01"}, noTime, noDay} {
		if err := Draw(io.Discard, s); err == nil {
			t.Errorf("%+v is drawn", s)
		}
	}
}

// FuzzPictureWithHostileNames: whatever the texts, the picture is XML with harmless
// elements, and the same every time.
func FuzzPictureWithHostileNames(f *testing.F) {
	f.Add("</title><script>alert(1)</script>", "\" onload=\"x", "]]>&amp;<!--", int64(5))
	f.Add("\u202eevil\x00\x01\xff", "日本語", "url(#x)", int64(1_000_000_000))
	f.Add("", "javascript:x", "'", int64(0))
	f.Fuzz(func(t *testing.T, product, customer, did string, seats int64) {
		if seats < 0 || seats > 1_000_000_000 {
			return
		}
		s := simple(seats, "2024-03-01")
		s.SkuName, s.CustomerName, s.SubscriptionID, s.ProductID = product, customer, customer, did
		s.History[0].Did, s.Terms[0].SkuName, s.Terms[0].PromotionID, s.Terms[0].UnitPrice = did, product, did, customer
		s.History = append(s.History, event(change.Type(did), "2024-02-01T10:00:00Z", product, seats, seats))
		picture := drawn(t, s)
		check(t, picture)
		if drawn(t, s) != picture {
			t.Error("drawn again, it has other bytes")
		}
	})
}

// TestPolicyIsOfTheStyle: the policy allows the style sheet that is in the picture.
func TestPolicyIsOfTheStyle(t *testing.T) {
	t.Parallel()
	picture := drawn(t, simple(1, "2024-03-01"))
	if !strings.Contains(picture, "<style>"+style+"</style>") {
		t.Error("the style sheet was changed on its way: its hash is another")
	}
	if strings.ContainsAny(style, `<>&"'`) {
		t.Error("the style sheet has what is escaped")
	}
}

// TestLength: the last instant that a picture can show is far away.
func TestLength(t *testing.T) {
	t.Parallel()
	p := plan{from: pricing.DateOf(1970, 1, 1).Instant(), to: pricing.DateOf(2200, 1, 1).Instant()}
	if got := p.x(p.to); got != right {
		t.Errorf("the end lies at %d, want %d", got, right)
	}
	if a, b := p.x(pricing.DateOf(2000, 1, 1).Instant()), p.x(pricing.DateOf(2100, 1, 1).Instant()); a >= b || a <= left || b >= right {
		t.Errorf("2000 lies at %d, 2100 at %d", a, b)
	}
}
