package exports

import "github.com/shopspring/decimal"

// Source is a file that the workbook's figures come from.
type Source struct {
	Kind   string // partners, customers, prices, changes, last month and so on
	Name   string
	Month  string // of a price sheet or charges; "" for none
	Market string // of a price sheet
	SHA256 string // in hex, of the content
	// Records that were taken and refused; -1 where nobody counts.
	Records, Refused int64
	// Use says what it is for.
	Use string
}

// KindMicrosoft is the kind of a source that Microsoft's lines were read from.
const KindMicrosoft = "Microsoft's file"

const refusedName = "Refused"

// refused is how many lines of Microsoft's files could not be read, as a leg over
// the sheet Sources.
func (b *Workbook) refused() (leg, error) {
	var n int64
	for _, s := range b.Info.Sources {
		if s.Kind == KindMicrosoft {
			n += max(0, s.Refused)
		}
	}
	formula, err := b.sources.sumWhere(refusedName, "Kind", `"`+KindMicrosoft+`"`)
	return leg{formula, decimal.NewFromInt(n)}, err
}

func (b *Workbook) writeSources() error {
	b.sources = b.sheet(dataSheet{name: sourcesSheet, table: "Sources", colour: tabGrey, keys: 2,
		empty: "No sources were named",
		columns: []sheetColumn{
			{"Kind", 20, kindText, "What the file is."},
			{"Name", 44, kindText, "Its name when it was taken in."},
			{"Month", 10, kindText, "Of a price sheet, of charges rated elsewhere, of an earlier invoice."},
			{"Market", 9, kindText, "Of a price sheet."},
			{"Records", 11, kindWhole, "Rows or changes that were taken."},
			{refusedName, 10, kindWhole, "Rows or changes that could not be read."},
			{"SHA-256", 68, kindText, "Of the content, decompressed, in hex."},
			{"Use", 60, kindText, "What it is for."},
		}})
	for _, s := range b.Info.Sources {
		row, err := b.sources.next(0)
		if err != nil {
			return err
		}
		for _, text := range []string{s.Kind, s.Name, s.Month, s.Market} {
			row.text(text)
		}
		for _, count := range []int64{s.Records, s.Refused} {
			if count < 0 {
				row.skip()
			} else {
				row.whole(count)
			}
		}
		row.text(s.SHA256)
		row.text(s.Use)
		if err := row.end(); err != nil {
			return err
		}
	}
	return b.sources.addTo(b.file, b.archive, nil)
}
