package exports

import (
	"fmt"
	"slices"
)

// note is a row of the sheet Notes.
type note struct{ topic, text string }

// notes explain the workbook to somebody who has only the workbook.
func (b *Workbook) notes() []note {
	inv := b.Info.Invoice
	notes := []note{
		{"What this is", "Everything that Calends bills one partner for one calendar month in one currency. The exact book is reconciliation.csv, whose SHA-256 stands on Summary; a spreadsheet keeps 15 digits of a number."},
		{"Period", fmt.Sprintf("Calendar month in UTC, %s to %s, both days included. A line belongs to the month of its order date; corrections and late changes keep their original dates.", inv.Month.First(), inv.Month.Last())},
		{"Signs", "Charges are positive, credits negative. Quantities are always positive; a credit has a negative effective price and negative amounts."},
		{"Rounding", roundingNote(inv.Policies.Rounding) + fmt.Sprintf(" Amounts have %d decimals.", inv.MinorDigits)},
		{"Tax", fmt.Sprintf("Truncated toward zero line by line: net times %s.", inv.TaxRate)},
		{"Control totals", "Column A of a check is what was computed or read elsewhere, column B a live sum over the sheets of this workbook. A changed amount shows as FAIL. Where a tolerance stands, it is what truncation can prove."},
		{"Waterfall", "Net amounts, subscription by subscription. Where both months charge a cycle, one factor after another takes its new value: seats, list price, promotion or part of a cycle, exchange rate; the last one that differs answers for what truncation leaves. What one month charges and the other does not stands under its reason."},
		{"Price changes", "The prices of products on this invoice, of the sheet that governs the first of this month against that of the first of last month. A price holds for a whole term: running terms keep theirs."},
		{"Sources", "What the figures come from. Files of changes are named by the manifest of this revision: the same changes give the same invoice and workbook, however they were cut into files. Files about other partners alone are left out."},
		{"Yellow cells", "For input: sign-off, and owner, status, comment and month of exceptions. Summary is protected without a password, against slips."},
		{"Draft", "Without an invoice number the month is open, and its lines are computed again by every run."},
	}
	if b.Info.Seats != nil {
		notes = append(notes, note{"Seats", "Licences of all subscriptions of the customers that are this partner's in this month, trials, suspended ones and those without a price too. A term whose last day was the day before the month still is in the opening: it renews or expires at 00:00 of the first. Late changes of earlier months are in the opening already."})
	}
	if b.Info.Recon != nil {
		if b.Info.Recon.Unproven != "" {
			notes = append(notes, note{"What is not here", b.Info.Recon.Unproven + " So Prorations, Price changes, the seats on Summary, and on Invoice lines Cycle days and Discount are missing here; the invoice's own workbook, reconciliation.xlsx, has them."})
		} else {
			notes = append(notes, note{"Computed again", "To show how each line came about, the month was computed again from what its revision knew. The lines came out as reconciliation.csv has them, byte for byte."})
		}
		notes = append(notes, note{"Microsoft's file", "Recon lines has every line of both sides in exactly one row. Variance and difference are Microsoft's amount less ours: positive where Microsoft bills more. Amounts that cancel out are differences all the same: Summary adds them up without their signs, and counts what is open. A tolerance is what truncating at another place brought, line by line."})
	}
	return notes
}

func roundingNote(policy string) string {
	switch policy {
	case "unit":
		return "Policy unit: the price of one licence, converted to the billing currency, is truncated toward zero, then multiplied by the quantity."
	case "line":
		return "Policy line: price, rate and quantity are multiplied, then truncated toward zero."
	default:
		return "Policy documented: for addQuantity and removeQuantity the product of price, rate and quantity is truncated toward zero; for every other charge type the converted price of one licence is, then multiplied by the quantity."
	}
}

// dictionary says what every column of every sheet means, in the order of the
// sheets. It names the fields of the reconciliation file, to search by.
func (b *Workbook) dictionary() (notes []note) {
	order := []string{customersSheet, productsSheet, exceptionsSheet, reconSheet, linesSheet, prorationsSheet, pricesSheet, ratesSheet, sourcesSheet}
	for _, name := range order {
		at := slices.IndexFunc(b.sheets, func(s *dataSheet) bool { return s.name == name && len(s.written) > 0 })
		if at < 0 {
			continue
		}
		for _, c := range b.sheets[at].columns {
			notes = append(notes, note{name + ": " + c.title, c.means})
		}
	}
	return notes
}

const noteWidth = 110

func (b *Workbook) writeNotes() error {
	sheet := b.sheet(dataSheet{name: notesSheet, table: "Notes", colour: tabGrey, keys: 1,
		columns: []sheetColumn{{"Topic", 38, kindText, ""}, {"Note", noteWidth, kindWrapped, ""}}})
	for _, n := range append(b.notes(), b.dictionary()...) {
		row, err := sheet.next(heightFor(n.text, noteWidth))
		if err != nil {
			return err
		}
		row.text(n.topic)
		row.text(n.text)
		if err := row.end(); err != nil {
			return err
		}
	}
	return sheet.addTo(b.file, b.archive, nil)
}
