// Package pricesheet reads Microsoft's price files: the licence price sheet,
// exchange rates, promotions and the offer matrix. Files in, rows out; it opens
// nothing and knows no clock.
//
// A file is taken whole or refused whole: half a price sheet is worse than
// none. A refusal is a [*table.Errors] that lists the first errors with line,
// column, value and rule and counts all of them; any other error is the
// input's own.
package pricesheet
