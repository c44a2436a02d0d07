package picture

import (
	"encoding/xml"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/calends/calends/jobs"
	"github.com/calends/calends/pricing"
)

// Where things lie, in tenths of a pixel.
const (
	width      = 9600
	left       = 620 // of the plot
	right      = 9400
	headHeight = 760
	rowHeight  = 190 // of marks
	plotHeight = 1900
	axisHeight = 240
	bandHeight = 280
	tickHeight = 120
	legendRow  = 220
	markRoom   = 170
	mostRows   = 6
)

// Colours of a light picture; the style sheet has the dark ones.
const (
	paper  = "#ffffff"
	ink    = "#1b1f24"
	faint  = "#57606a"
	grid   = "#d5dae0"
	blue   = "#0b6fb8"
	band   = "#f1f3f6"
	band2  = "#e2e7ed"
	edge   = "#8b95a1"
	orange = "#b5490b"
)

// canvas writes elements; after a failure it writes nothing more.
type canvas struct {
	to  *xml.Encoder
	err error
}

// open begins an element; pairs are names and values of attributes.
func (c *canvas) open(name string, pairs ...string) {
	start := xml.StartElement{Name: xml.Name{Local: name}}
	for i := 0; i+1 < len(pairs); i += 2 {
		start.Attr = append(start.Attr, xml.Attr{Name: xml.Name{Local: pairs[i]}, Value: pairs[i+1]})
	}
	c.token(start)
}

func (c *canvas) close(name string) { c.token(xml.EndElement{Name: xml.Name{Local: name}}) }

// words writes a text, without what would turn the direction of what stands beside it.
func (c *canvas) words(words string) {
	c.token(xml.CharData(strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Bidi_Control, r) {
			return -1
		}
		return r
	}, words)))
}

func (c *canvas) token(t xml.Token) {
	if c.err == nil {
		c.err = c.to.EncodeToken(t)
	}
}

// shape writes an element without content but a title, which is shown where a pointer
// rests on it.
func (c *canvas) shape(title, name string, pairs ...string) {
	c.open(name, pairs...)
	if title != "" {
		c.open("title")
		c.words(title)
		c.close("title")
	}
	c.close(name)
}

// text writes words at a place.
func (c *canvas) text(x, y int, class, fill, words string, pairs ...string) {
	c.open("text", append([]string{"class", class, "fill", fill, "x", px(x), "y", px(y)}, pairs...)...)
	c.words(words)
	c.close("text")
}

// line draws from one place to another.
func (c *canvas) line(class, stroke string, x1, y1, x2, y2 int, pairs ...string) {
	c.shape("", "line", append([]string{"class", class, "stroke", stroke, "x1", px(x1), "y1", px(y1), "x2", px(x2), "y2", px(y2)}, pairs...)...)
}

// px writes tenths as pixels.
func px(tenths int) string {
	sign := ""
	if tenths < 0 {
		sign, tenths = "-", -tenths
	}
	if tenths%10 == 0 {
		return sign + strconv.Itoa(tenths/10)
	}
	return sign + strconv.Itoa(tenths/10) + "." + strconv.Itoa(tenths%10)
}

// heights are where the parts of a picture begin.
type heights struct {
	marks, plot, floor, axis, bands, ticks, legend, all int
}

func (p *plan) heights(legend []entry) (h heights) {
	h.marks = headHeight
	h.plot = h.marks + max(p.rows, 1)*rowHeight + 260
	h.floor = h.plot + plotHeight
	h.axis = h.floor
	h.bands = h.axis + axisHeight
	h.ticks = h.bands + bandHeight
	h.legend = h.ticks + tickHeight + 140
	rows := 0
	if len(legend) > 0 {
		rows = legend[len(legend)-1].row + 1
	}
	h.all = h.legend + rows*legendRow + 60
	return h
}

func (p *plan) draw(w io.Writer) error {
	legend := p.legend()
	h := p.heights(legend)
	c := &canvas{to: xml.NewEncoder(w)}
	c.open("svg", "xmlns", "http://www.w3.org/2000/svg", "viewBox", "0 0 "+px(width)+" "+px(h.all), "width", px(width), "height", px(h.all),
		"role", "img", "aria-labelledby", "story-title story-desc", "font-family", "system-ui, sans-serif", "font-size", "12")
	c.open("title", "id", "story-title")
	c.words(p.title())
	c.close("title")
	c.open("desc", "id", "story-desc")
	c.words(p.description())
	c.close("desc")
	c.open("style")
	c.words(style)
	c.close("style")
	p.patterns(c)
	c.shape("", "rect", "class", "paper", "fill", paper, "width", px(width), "height", px(h.all))
	p.head(c)
	p.grid(c, h)
	p.stems(c, h)
	p.seats(c, h)
	p.future(c, h)
	p.bands(c, h)
	p.now(c, h)
	for _, m := range p.marks {
		drawMark(c, m, p.x(m.at), h.markY(m.row))
	}
	p.drawLegend(c, h, legend)
	c.close("svg")
	if c.err == nil {
		c.err = c.to.Close()
	}
	return c.err
}

// patterns tell apart what colours alone should not.
func (p *plan) patterns(c *canvas) {
	pattern := func(id, size, d string) {
		c.open("pattern", "id", id, "width", size, "height", size, "patternUnits", "userSpaceOnUse")
		c.shape("", "path", "class", "line", "d", d, "stroke", blue, "stroke-width", "1.4", "fill", "none")
		c.close("pattern")
	}
	c.open("defs")
	pattern("story-open", "6", "M-1 1 L1 -1 M0 6 L6 0 M5 7 L7 5")
	pattern("story-suspended", "6", "M0 3 H6")
	pattern("story-parked", "8", "M2 2 h1 M6 6 h1")
	c.close("defs")
}

// name is what the subscription is of.
func (p *plan) name() string {
	s := p.story
	if s.SkuName != "" {
		return s.SkuName
	}
	return s.ProductID + "/" + s.SkuID
}

func (p *plan) title() string {
	return fmt.Sprintf("%s, %s: %s", p.name(), p.story.SubscriptionID, p.standing())
}

// standing says in a few words how it stands.
func (p *plan) standing() string {
	s := p.story
	switch s.State {
	case jobs.StateEnded:
		return "ended on " + s.TermEnd
	case jobs.StateRefused:
		return "refused, never began"
	}
	parts := []string{s.State, seatsText(s.Quantity)}
	length := strings.TrimSpace(s.TermDuration + " billed " + s.BillingCycle)
	if s.Trial {
		length = "trial"
	}
	parts = append(parts, length, s.TermStart+" to "+s.TermEnd)
	if p.after != nil {
		parts = append(parts, "renews")
	} else {
		parts = append(parts, "does not renew")
	}
	return strings.Join(parts, ", ")
}

func seatsText(n int64) string {
	if n == 1 {
		return "1 seat"
	}
	return strconv.FormatInt(n, 10) + " seats"
}

// described is how many events a description names.
const described = 40

// description tells whoever does not see the picture what is on it.
func (p *plan) description() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Seats over time until %s. ", p.story.Day)
	for i, m := range p.marks {
		if i == described {
			fmt.Fprintf(&b, "And %d more. ", len(p.marks)-described)
			break
		}
		b.WriteString(m.title + ". ")
	}
	if s := p.story.Scheduled; s != nil {
		b.WriteString("Something is scheduled for " + s.On + ". ")
	}
	if n := p.story.Next; n != nil && n.Charge != nil {
		fmt.Fprintf(&b, "The next charge is on %s.", n.Charge.First)
	}
	return strings.TrimSpace(b.String())
}

func (p *plan) head(c *canvas) {
	c.text(200, 300, "ink", ink, cut(p.name(), 8300, 18), "font-size", "18", "font-weight", "600")
	s := p.story
	c.text(200, 500, "ink", ink, cut(p.standing(), 9000, 13), "font-size", "13")
	who := s.SubscriptionID
	if s.CustomerName != "" {
		who = s.CustomerName + ", " + who
	}
	c.text(200, 670, "faint", faint, cut(who, 9000, 12))
}

// grid draws the axes.
func (p *plan) grid(c *canvas, h heights) {
	for n := int64(0); n <= p.most; n += p.each {
		y := p.y(h.floor, n)
		c.line("grid", grid, left, y, right, y)
		c.text(left-80, y+40, "faint", faint, grouped(n), "text-anchor", "end", "font-size", "11")
	}
	c.text(left-80, h.plot-90, "faint", faint, "seats", "text-anchor", "end", "font-size", "11")
	for _, t := range p.timeTicks() {
		x := p.x(t.at)
		c.line("grid", grid, x, h.plot, x, h.floor+50)
		c.text(x, h.axis+170, "faint", faint, t.label, "text-anchor", "middle", "font-size", "11")
	}
}

// grouped writes 12000 as 12,000, and 50000000 as 50 M.
func grouped(n int64) string {
	if n >= 10_000_000 && n%1_000_000 == 0 {
		return grouped(n/1_000_000) + " M"
	}
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// piecesInDetail bounds how many layers are drawn apart: more would be a grey mass.
const piecesInDetail = 600

// seats draws the steps: the area, what can be taken back, the layers and the line.
func (p *plan) seats(c *canvas, h heights) {
	var area, line []string
	pieces := 0
	for i, s := range p.steps {
		pieces += len(s.layers)
		x1, x2, y := p.x(s.from), p.x(min(s.to, p.today)), p.y(h.floor, s.seats)
		if s.from > p.today {
			break
		}
		if i == 0 {
			line = append(line, "M"+px(x1)+" "+px(h.floor))
			area = append(area, "M"+px(x1)+" "+px(h.floor))
		}
		to := " V" + px(y) + " H" + px(max(x1, x2))
		line, area = append(line, to), append(area, to)
	}
	if len(line) == 0 {
		return
	}
	c.shape("", "path", "class", "area", "fill", blue, "fill-opacity", "0.14", "d", strings.Join(area, "")+" V"+px(h.floor)+" Z")
	for _, s := range p.steps {
		p.pieces(c, h, s, pieces <= piecesInDetail)
	}
	c.shape("", "path", "class", "line", "fill", "none", "stroke", blue, "stroke-width", "2.2", "stroke-linejoin", "round", "d", strings.Join(line, ""))
	p.numbers(c, h)
}

// pieces draws what is special in a step.
func (p *plan) pieces(c *canvas, h heights, s step, detail bool) {
	to := min(s.to, p.today)
	x1, x2 := p.x(s.from), p.x(to)
	if x2 <= x1 {
		return
	}
	fill := func(title, pattern string, x2, top, bottom int) {
		c.shape(title, "rect", "fill", "url(#"+pattern+")", "x", px(x1), "y", px(top), "width", px(x2-x1), "height", px(bottom-top))
	}
	switch s.state {
	case jobs.StateSuspended:
		fill("suspended, and billed on", "story-suspended", x2, p.y(h.floor, s.seats), h.floor)
	case jobs.StateParked:
		fill("parked: without a price, not billed", "story-parked", x2, p.y(h.floor, s.seats), h.floor)
	}
	if !detail {
		return
	}
	below := int64(0)
	for i, l := range s.layers {
		bottom, top := p.y(h.floor, below), p.y(h.floor, below+l.seats)
		below += l.seats
		if end := p.x(min(l.until, to)); l.until > s.from && end > x1 {
			fill(fmt.Sprintf("%s can be taken back until %s", seatsText(l.seats), l.until), "story-open", end, top, bottom)
		}
		if i+1 < len(s.layers) {
			c.line("line", blue, x1, top, x2, top, "stroke-width", "0.8", "stroke-dasharray", "2 2")
		}
	}
}

// numbers writes the seats on the line where there is room.
func (p *plan) numbers(c *canvas, h heights) {
	free := 0
	for i, s := range p.steps {
		text := grouped(s.seats)
		x := p.x(s.from) + 50
		room := textWidth(text, 11)
		switch {
		case s.from > p.today, s.seats == 0, x < free, x+room > right, i > 0 && p.steps[i-1].seats == s.seats,
			i+1 < len(p.steps) && p.steps[i+1].seats > s.seats && p.x(s.to) < x+room: // the next step stands in the way
			continue
		}
		c.text(x, p.y(h.floor, s.seats)-50, "ink", ink, text, "font-size", "11", "font-weight", "600")
		free = x + room + 40
	}
}

// future draws what is to come if nothing changes, in dashes.
func (p *plan) future(c *canvas, h heights) {
	s := p.story
	if s.State == jobs.StateEnded || s.State == jobs.StateRefused {
		return
	}
	last := p.steps[len(p.steps)-1]
	y := p.y(h.floor, last.seats)
	d := "M" + px(p.x(max(last.from, p.today))) + " " + px(y) + " H" + px(p.x(p.ends))
	if p.after == nil {
		d += " V" + px(h.floor)
	} else {
		d += " V" + px(p.y(h.floor, p.after.seats)) + " H" + px(right)
	}
	c.shape("if nothing changes", "path", "class", "line", "fill", "none", "stroke", blue, "stroke-width", "1.8", "stroke-dasharray", "6 4", "d", d)
	x := p.x(p.ends)
	if p.after != nil && s.Scheduled != nil && s.Scheduled.On == p.ends.Date().String() {
		c.shape("scheduled for "+s.Scheduled.On, "path", "class", "mark", "fill", paper, "stroke", ink, "stroke-width", "1.5", "stroke-dasharray", "3 2",
			"d", pathOf(square, x, p.y(h.floor, p.after.seats)))
	}
	c.line("now", ink, x, h.plot, x, h.floor, "stroke-width", "1", "stroke-dasharray", "1 3")
	c.text(x+40, h.plot-90, "faint", faint, p.endsWords(), "text-anchor", "end", "font-size", "11")
}

// endsWords say what will happen at the end of the term.
func (p *plan) endsWords() string {
	s := p.story
	day := p.ends.Date().String()
	switch {
	case s.State == jobs.StateEnded, s.State == jobs.StateRefused:
		return ""
	case p.after == nil:
		return "ends " + s.TermEnd
	case s.Scheduled != nil && s.Scheduled.On == day:
		return "renews " + day + " as scheduled"
	}
	return "renews " + day
}

// endsRoom is how far these words reach to the left.
func (p *plan) endsRoom() int { return textWidth(p.endsWords(), 11) }

// bands draws terms and cycles.
func (p *plan) bands(c *canvas, h heights) {
	for i, t := range p.terms {
		x1, x2 := p.x(t.from), p.x(t.to)
		class, fill := "band", band
		if i%2 == 1 {
			class, fill = "band2", band2
		}
		c.shape(t.title, "rect", "class", class, "fill", fill, "stroke", edge, "x", px(x1), "y", px(h.bands), "width", px(max(x2-x1, 10)), "height", px(bandHeight))
		for _, label := range t.labels {
			if room := x2 - x1 - 120; label != "" && textWidth(label, 11) <= room {
				c.text(x1+60, h.bands+180, "ink", ink, label, "font-size", "11", "pointer-events", "none")
				break
			}
		}
		for _, at := range t.cycles {
			x := p.x(at)
			c.line("cycle", faint, x, h.ticks+20, x, h.ticks+tickHeight)
		}
		if to := p.x(min(t.to, p.today)); to > x1 {
			c.line("cycle", faint, x1, h.ticks+70, to, h.ticks+70)
		}
		if from := p.x(max(t.from, p.today)); from < x2 {
			c.line("cycle", faint, from, h.ticks+70, x2, h.ticks+70, "stroke-dasharray", "3 3")
		}
	}
	if len(p.terms) > 0 {
		c.text(left-80, h.bands+180, "faint", faint, "terms", "text-anchor", "end", "font-size", "11")
		c.text(left-80, h.ticks+110, "faint", faint, "cycles", "text-anchor", "end", "font-size", "11")
	}
}

// now draws the day of the story.
func (p *plan) now(c *canvas, h heights) {
	if p.today <= p.from || p.today > p.to {
		return
	}
	x := p.x(p.today)
	c.line("now", ink, x, h.plot-50, x, h.floor, "stroke-width", "1.2", "stroke-dasharray", "4 3")
	words := "end of " + p.story.Day
	anchor, at := "start", x+40
	if taken := p.x(p.ends) - p.endsRoom(); x+textWidth(words, 11)+200 > taken {
		anchor, at = "end", min(x-40, taken-100)
	}
	c.text(at, h.plot-90, "ink", ink, words, "text-anchor", anchor, "font-size", "11")
}

// stems lead from marks down to the seats at their time.
func (p *plan) stems(c *canvas, h heights) {
	for _, m := range p.marks {
		x := p.x(m.at)
		c.line("grid", grid, x, h.markY(m.row), x, h.floor, "stroke-width", "0.8")
	}
}

func (h heights) markY(row int) int { return h.marks + row*rowHeight + rowHeight/2 }

// entry is one shape or pattern and its words in the legend.
type entry struct {
	x, row  int
	words   string
	shape   shape
	refused bool
	pattern string // instead of a shape
}

// legend names what is on the picture, and nothing else.
func (p *plan) legend() []entry {
	var all []entry
	for i, e := range p.story.History {
		_, words := shapeOf(e)
		one := entry{words: words, shape: p.marks[i].shape}
		if p.marks[i].refused {
			one = entry{words: "refused", shape: p.marks[i].shape, refused: true}
		}
		if !slices.ContainsFunc(all, func(known entry) bool { return known.words == one.words }) {
			all = append(all, one)
		}
	}
	slices.SortStableFunc(all, func(a, b entry) int {
		if a.refused != b.refused {
			if b.refused {
				return -1
			}
			return 1
		}
		return int(a.shape) - int(b.shape)
	})
	all = append(all, p.patternsUsed()...)
	x, row := left, 0
	for i := range all {
		room := 280 + textWidth(all[i].words, 11)
		if x+room > right && x > left {
			x, row = left, row+1
		}
		all[i].x, all[i].row = x, row
		x += room + 120
	}
	return all
}

func (p *plan) patternsUsed() (all []entry) {
	var open, suspended, parked bool
	for _, s := range p.steps {
		suspended = suspended || s.state == jobs.StateSuspended
		parked = parked || s.state == jobs.StateParked
		for _, l := range s.layers {
			open = open || l.until > s.from
		}
	}
	for _, one := range []struct {
		used        bool
		id, meaning string
	}{{open, "story-open", "can be taken back"}, {suspended, "story-suspended", "suspended"}, {parked, "story-parked", "parked, not billed"}} {
		if one.used {
			all = append(all, entry{words: one.meaning, pattern: one.id})
		}
	}
	return all
}

func (p *plan) drawLegend(c *canvas, h heights, legend []entry) {
	for _, e := range legend {
		y := h.legend + e.row*legendRow + 60
		if e.pattern != "" {
			c.shape("", "rect", "class", "area", "fill", blue, "fill-opacity", "0.14", "x", px(e.x), "y", px(y-60), "width", "18", "height", "12")
			c.shape("", "rect", "class", "line", "fill", "url(#"+e.pattern+")", "stroke", blue, "stroke-width", "0.8", "x", px(e.x), "y", px(y-60), "width", "18", "height", "12")
		} else {
			drawMark(c, mark{shape: e.shape, refused: e.refused}, e.x+90, y)
		}
		c.text(e.x+260, y+40, "faint", faint, e.words, "font-size", "11")
	}
}

// tick is a place on the time axis.
type tick struct {
	at    pricing.Instant
	label string
}

// timeTicks are as close as their labels allow: days, weeks, months or years.
func (p *plan) timeTicks() (ticks []tick) {
	first, last := p.from.Date()+1, p.to.Date()
	room := func(days int) int {
		return int(int64(days) * int64(pricing.Day) / second * int64(right-left) / max(int64(p.to-p.from)/second, 1))
	}
	for _, days := range []int{1, 2, 7, 14} {
		if room(days) < 900 {
			continue
		}
		for d := first; d <= last; d += pricing.Date(days) {
			ticks = append(ticks, tick{d.Instant(), d.String()})
		}
		return ticks
	}
	for _, months := range []int{1, 2, 3, 6, 12, 24, 60, 120} {
		if room(28*months) < 700 {
			continue
		}
		for m := first.Month(); m.First() <= last; m++ {
			year, month := m.Civil()
			if (year*12+int(month)-1)%months != 0 || m.First() < first {
				continue
			}
			label := m.String()
			if months >= 12 {
				label = strconv.Itoa(year)
			}
			ticks = append(ticks, tick{m.First().Instant(), label})
		}
		return ticks
	}
	return nil
}

// textWidth is about how wide words are, in tenths of a pixel, at a size in pixels.
func textWidth(words string, size int) (tenths int) {
	for _, r := range words {
		switch {
		case r >= 0x1100:
			tenths += 10 * size
		case strings.ContainsRune("ilj.,:;'|!()[] ", r):
			tenths += 3 * size
		case r >= 'A' && r <= 'Z' || strings.ContainsRune("mw@%", r):
			tenths += 7 * size
		default:
			tenths += 58 * size / 10
		}
	}
	return tenths
}

// cut shortens words that are too wide.
func cut(words string, room, size int) string {
	if textWidth(words, size) <= room {
		return words
	}
	used := textWidth("…", size)
	for i, r := range words {
		if used += textWidth(string(r), size); used > room {
			return words[:i] + "…"
		}
	}
	return words
}
