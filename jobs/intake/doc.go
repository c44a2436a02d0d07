// Package intake knows what a file is and what is in it.
//
// [Open] looks through compression and archives, [Member.Recognise] names the
// kind of a file by its header or first record, and the readers turn it into
// the values that the rest of the house works with. Names of files and folders
// mean nothing but the month of a price sheet ([MonthFromPath]).
//
// Reference files (partners, customers and what package pricesheet reads) are
// taken whole or refused whole, with a [*table.Errors]. Changes and charges are
// streams: each record comes out as a value or as a [*table.Error], and reading
// goes on. Memory is bounded by the longest record, not by the file.
//
// [ChangeReader] refuses only what cannot be understood. Whether a change makes
// sense is for billing to say, with a code.
package intake
