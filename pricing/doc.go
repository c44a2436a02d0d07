// Package pricing knows what a seat costs on a day.
//
// It holds the calendar of a subscription (terms, billing plans, charge
// cycles), the price book (which row of which sheet governs at an instant),
// promotions, exchange rates, and the arithmetic of one line. Everything in it
// is a pure function of its arguments: no clock, no files, no global state.
//
// Dates are whole UTC days ([Date]); instants ([Instant]) exist only because
// price rows, promotions and cancellation windows start and end inside a day.
// Money is exact until [Calculation.Rate] truncates it, once, to the minor
// unit of the billing currency.
package pricing
