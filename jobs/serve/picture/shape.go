package picture

import "fmt"

// shape is the form of a mark.
type shape int

// The shapes, in the order of a legend.
const (
	disc shape = iota
	up
	down
	diamond
	circle
	square
	bars
	hexagon
	cross
)

// pathOf draws a shape around a place, in tenths of a pixel.
func pathOf(s shape, x, y int) string {
	at := func(dx, dy int) string { return px(x+dx) + " " + px(y+dy) }
	switch s {
	case up:
		return "M" + at(0, -60) + " L" + at(60, 50) + " L" + at(-60, 50) + " Z"
	case down:
		return "M" + at(0, 60) + " L" + at(60, -50) + " L" + at(-60, -50) + " Z"
	case diamond:
		return "M" + at(0, -70) + " L" + at(60, 0) + " L" + at(0, 70) + " L" + at(-60, 0) + " Z"
	case square:
		return "M" + at(-50, -50) + " L" + at(50, -50) + " L" + at(50, 50) + " L" + at(-50, 50) + " Z"
	case bars:
		return "M" + at(-50, -60) + " L" + at(-15, -60) + " L" + at(-15, 60) + " L" + at(-50, 60) + " Z M" +
			at(15, -60) + " L" + at(50, -60) + " L" + at(50, 60) + " L" + at(15, 60) + " Z"
	case hexagon:
		return "M" + at(-30, -55) + " L" + at(30, -55) + " L" + at(60, 0) + " L" + at(30, 55) + " L" + at(-30, 55) + " L" + at(-60, 0) + " Z"
	case cross:
		return "M" + at(-50, -50) + " L" + at(50, 50) + " M" + at(-50, 50) + " L" + at(50, -50)
	default: // disc, circle
		return fmt.Sprintf("M%s A5.5 5.5 0 1 1 %s A5.5 5.5 0 1 1 %s Z", at(-55, 0), at(55, 0), at(-55, 0))
	}
}

// drawMark draws a shape; a refused one hollow and struck through.
func drawMark(c *canvas, m mark, x, y int) {
	d := pathOf(m.shape, x, y)
	switch {
	case m.refused:
		c.open("g")
		if m.title != "" {
			c.open("title")
			c.words(m.title)
			c.close("title")
		}
		c.shape("", "path", "class", "no", "fill", paper, "stroke", orange, "stroke-width", "1.4", "d", d)
		c.line("no", orange, x-75, y+75, x+75, y-75, "stroke-width", "1.8")
		c.close("g")
	case m.shape == cross:
		c.shape(m.title, "path", "class", "mark", "fill", "none", "stroke", ink, "stroke-width", "2.4", "stroke-linecap", "round", "d", d)
	case m.shape == circle, m.shape == square:
		c.shape(m.title, "path", "class", "mark", "fill", paper, "stroke", ink, "stroke-width", "1.6", "d", d)
	default:
		c.shape(m.title, "path", "class", "solid", "fill", ink, "stroke", ink, "stroke-width", "1", "stroke-linejoin", "round", "d", d)
	}
}
