package exports

import (
	"fmt"
	"slices"

	"github.com/xuri/excelize/v2"

	"github.com/calends/calends/pipeline/invoice"
)

const (
	messageWidth = 60
	causesWidth  = 30
	// comparedColumns stand on the sheet of a comparison only.
	comparedColumns = 8
)

// mostLinks is how many rows get a link to their line: a sheet holds 65,530.
const mostLinks = 2_000

// writeExceptions lists what the comparison with Microsoft's file left open, the
// largest first, and what was not billed, or billed with a warning, of this
// partner and no other. Owner, status and comment are for people.
func (b *Workbook) writeExceptions() error {
	inv := b.Info.Invoice
	compared := b.Info.Recon != nil
	columns := []sheetColumn{
		{"Severity", 12, kindText, "error: money is missing or differs; warning: somebody should look."},
		{"Code", 28, kindText, "A stable name of what is wrong."},
		{"Customer", 28, kindText, "CustomerName."},
		{"Subscription id", 39, kindText, "SubscriptionId."},
		{"SKU", 22, kindText, "ProductId:SkuId, where it is known."},
		{"Message", messageWidth, kindWrapped, "What is wrong, with the rule and its dates."},
	}
	if compared {
		columns = append(columns,
			sheetColumn{"Causes, gross", causesWidth, kindWrapped, causesMeaning}.in(inv.Currency),
			sheetColumn{oursNetName, 15, kindAmount, "Our net amount."}.in(inv.Currency),
			sheetColumn{microsoftNetName, 15, kindAmount, "Microsoft's net amount."}.in(inv.Currency),
			sheetColumn{reconNetName, 15, kindAmount, "Microsoft's net amount less ours."}.in(inv.Currency),
			sheetColumn{reconTaxName, 15, kindAmount, "Microsoft's tax less ours."}.in(inv.Currency),
			sheetColumn{reconGrossName, 15, kindAmount, "Microsoft's gross amount less ours."}.in(inv.Currency),
			sheetColumn{"Abs difference", 15, kindAmount, "The gross difference without its sign, to sort by."}.in(inv.Currency),
			sheetColumn{"Line", 9, kindWhole, "Line of Invoice lines; click to go there."})
	}
	columns = append(columns, []sheetColumn{
		{"Owner", 16, kindInput, "For input: who looks after it."},
		{"Status", 24, kindInput, "For input: open, accepted, disputed or corrected."},
		{"Comment", 30, kindInput, "For input."},
		{"Resolved in", 14, kindInput, "For input: the month that corrects it."},
		{"Customer id", 39, kindText, "CustomerId."},
		{"Event id", 39, kindText, "The change; blank for renewals and for what no change asked for."},
	}...)
	sheet := b.sheet(dataSheet{name: exceptionsSheet, table: "Exceptions", colour: tabRed, keys: 2, printed: len(columns) - 2, columns: columns, empty: "No exceptions"})

	var links []exceptionLink
	open := b.recon.open
	sortOpen(open)
	for i := range open {
		if err := b.addOpen(sheet, &open[i]); err != nil {
			return err
		}
		if ours := open[i].Ours; ours != nil && ours.Row > 0 && len(links) < mostLinks {
			links = append(links, exceptionLink{i + 1, ours.Row})
		}
	}
	if err := b.addExceptions(sheet, compared); err != nil {
		return err
	}
	return sheet.addTo(b.file, b.archive, func(part sheetPart) error {
		if err := b.dropDown(sheet, part); err != nil {
			return err
		}
		if part.name != sheet.name {
			return nil // links are few and stand on the first
		}
		return b.link(sheet, links)
	})
}

// addOpen enters a difference from Microsoft's file.
func (b *Workbook) addOpen(sheet *dataSheet, m *ReconRow) error {
	digits := b.Info.Invoice.MinorDigits
	causes := string(m.appendCauses(nil, digits))
	row, err := sheet.next(max(heightFor(m.Message, messageWidth), heightFor(causes, causesWidth)))
	if err != nil {
		return err
	}
	row.text(string(invoice.Error))
	row.text(m.Code)
	row.text(m.CustomerName)
	row.text(m.SubscriptionID)
	row.text(sku(m.ProductID, m.SkuID))
	row.text(m.Message)
	row.text(causes)
	for _, side := range []*ReconSide{m.Ours, m.Microsofts} {
		if side == nil {
			row.skip()
		} else {
			row.amount(side.Subtotal, digits)
		}
	}
	difference := m.difference()
	row.amount(difference.Subtotal, digits)
	row.amount(difference.TaxTotal, digits)
	row.amount(difference.Total, digits)
	row.amount(abs(difference.Total), digits)
	if m.Ours != nil && m.Ours.Row > 0 {
		row.whole(int64(m.Ours.Row))
	} else {
		row.skip()
	}
	row.inputs()
	row.text(m.CustomerID)
	row.skip()
	return row.end()
}

// addExceptions enters what billing the month could not do.
func (b *Workbook) addExceptions(sheet *dataSheet, compared bool) error {
	names := make(map[string]string)
	for _, c := range b.Info.Invoice.Customers {
		names[c.CustomerID] = c.CustomerName
	}
	own := make([]invoice.Exception, 0, len(b.Info.Exceptions))
	for _, e := range b.Info.Exceptions {
		if e.PartnerID == b.Info.Invoice.PartnerID {
			own = append(own, e)
		}
	}
	slices.SortFunc(own, compareExceptions)
	for _, e := range own {
		row, err := sheet.next(heightFor(e.Message, messageWidth))
		if err != nil {
			return err
		}
		row.text(string(e.Severity))
		row.text(string(e.Code))
		row.text(names[e.CustomerID])
		row.text(e.SubscriptionID)
		row.skip()
		row.text(e.Message)
		if compared {
			for range comparedColumns {
				row.skip()
			}
		}
		row.inputs()
		row.text(e.CustomerID)
		row.text(e.EventID)
		if err := row.end(); err != nil {
			return err
		}
	}
	return nil
}

// inputs writes the cells for owner, status, comment and month.
func (r *rows) inputs() {
	for range 4 {
		r.blank()
	}
}

func sku(product, sku string) string {
	if product == "" || sku == "" {
		return product + sku
	}
	return product + ":" + sku
}

// dropDown offers the states that an exception can have.
func (b *Workbook) dropDown(sheet *dataSheet, part sheetPart) error {
	name, err := excelize.ColumnNumberToName(sheet.column("Status"))
	if err != nil {
		return err
	}
	status := excelize.NewDataValidation(true)
	status.SetSqref(fmt.Sprintf("%s2:%s%d", name, name, part.rows+1))
	if err := status.SetDropList([]string{"Open", "Accepted", "Disputed with Microsoft", "Corrected"}); err != nil {
		return err
	}
	return b.file.AddDataValidation(part.name, status)
}

// exceptionLink leads from a record to a line, both counted from 1.
type exceptionLink struct{ record, line int }

func (b *Workbook) link(sheet *dataSheet, links []exceptionLink) error {
	for _, l := range links {
		cell, err := excelize.CoordinatesToCellName(sheet.column("Line"), l.record+1)
		if err != nil {
			return err
		}
		if err := b.file.SetCellHyperLink(sheet.name, cell, b.lines.place(l.line), "Location"); err != nil {
			return err
		}
	}
	return nil
}
