package exports

import "github.com/calends/calends/pipeline/invoice"

// inFull returns a row of a block as a line. Rows know no invoice number; a
// line that stands in full has its own.
func inFull(b *invoice.Block, i int, number string) *invoice.Line {
	l := b.Line(i)
	if b.Rows[i].Other < 0 {
		l.InvoiceNumber = number
	}
	return l
}
