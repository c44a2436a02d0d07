// Package exports turns an invoice and its lines into files: the book as CSV,
// the same rows typed as Parquet, a workbook for people, invoice.json for
// programs, and the exceptions. It also reads its own CSV and JSON files back.
//
// Everything goes to an io.Writer and nothing is opened here. The same input
// gives the same bytes: no clock, no map order, no random. The order, the names
// and the text form of the 46 columns stand in columns.go and nowhere else.
package exports
