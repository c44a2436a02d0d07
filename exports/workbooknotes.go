package exports

import (
	"fmt"

	"github.com/xuri/excelize/v2"
)

// note is a row of the sheet Notes.
type note struct{ topic, text string }

// notes explain the workbook to somebody who has only the workbook.
func (b *Workbook) notes() []note {
	inv := b.Info.Invoice
	return append([]note{
		{"What this is", "Everything that Calends bills one partner for one calendar month in one currency. The exact book is reconciliation.csv, whose SHA-256 stands on Summary; a spreadsheet keeps 15 digits of a number."},
		{"Period", fmt.Sprintf("Calendar month in UTC, %s to %s, both days included. A line belongs to the month of its order date; corrections and late changes keep their original dates.", inv.Month.First(), inv.Month.Last())},
		{"Signs", "Charges are positive, credits negative. Quantities are always positive; a credit has a negative effective price and negative amounts."},
		{"Rounding", roundingNote(inv.Policies.Rounding) + fmt.Sprintf(" Amounts have %d decimals.", inv.MinorDigits)},
		{"Tax", fmt.Sprintf("Truncated toward zero line by line: net times %s.", inv.TaxRate)},
		{"Control totals", "Column A of the check is the invoice as it was computed, column B a live sum over the sheets of this workbook. The tolerance is 0: a changed amount shows as FAIL."},
		{"Yellow cells", "For input: sign-off, and owner, status and comment of exceptions."},
		{"Draft", "Without an invoice number the month is open, and its lines are computed again by every run."},
	}, columnNotes(inv.Currency)...)
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

// columnNotes say which field of the reconciliation file a column shows.
func columnNotes(currency string) []note {
	all := make([]note, len(lineColumns))
	for i, c := range lineColumns {
		all[i] = note{"Column " + c.title(currency), c.means}
	}
	return all
}

const noteWidth = 110

func (b *Workbook) writeNotes() error {
	sheet, err := newDataSheet(b.file, b.styles, notesSheet, "Notes", tabGrey, []sheetColumn{{title: "Topic", width: 28}, {title: "Note", width: noteWidth}}, 1)
	if err != nil {
		return err
	}
	for _, n := range b.notes() {
		if err := sheet.append([]any{
			excelize.Cell{StyleID: b.styles.label, Value: n.topic},
			excelize.Cell{StyleID: b.styles.wrapped, Value: n.text},
		}, rowFor(n.text, noteWidth)); err != nil {
			return err
		}
	}
	return sheet.finish()
}
