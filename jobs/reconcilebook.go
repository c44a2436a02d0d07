package jobs

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/calends/calends/exports"
	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pipeline/reconcile"
	"github.com/calends/calends/pricing"
)

// newBook begins the workbook of a partner: all that its invoice's own workbook
// has, beside Microsoft's lines. It is nil for a partner without an invoice in the
// month.
func (r *reconciliation) newBook(ctx context.Context, id string, w io.Writer) (*exports.Workbook, error) {
	inv, err := r.env.header(ctx, r.month, id)
	if err != nil || inv == nil {
		return nil, err
	}
	info := exports.WorkbookInfo{Invoice: inv, Exceptions: ofPartner(r.exceptions, id), Revision: r.month.Current.Revision,
		SoftwareVersion: r.env.Version, CSV: exports.Control{File: csvName, SHA256: sha256Of(r.month, partnerFile(id, csvName)), Totals: inv.Totals}}
	if info.Last, err = r.env.lastMonth(ctx, r.at, inv, r.env.invoiceLines(ctx, r.month, id)); err != nil {
		return nil, err
	}
	proofs := r.proofs.of(id)
	info.Recon = &exports.ReconInfo{Unproven: proofs.unproven}
	if proofs.unproven == "" {
		info.Seats, info.PriceChanges = &proofs.seats, proofs.changes
	}
	past, err := r.at.asOf(r.month)
	if err != nil {
		past.inputs = r.at.inputs // some of what it knew is gone; proofs say so
	}
	info.Sources = slices.Concat(r.sources(id, info.CSV), sources(past.inputs, inv, info.Last))
	return exports.NewWorkbook(w, info)
}

// sources are what the two sides of a partner are: our invoice, and those of
// Microsoft's files that name the partner.
func (r *reconciliation) sources(id string, csv exports.Control) []exports.Source {
	all := []exports.Source{{Kind: "invoice", Name: csv.File, Month: r.plan.Month.String(), SHA256: csv.SHA256, Records: int64(csv.Totals.Lines), Refused: -1,
		Use: fmt.Sprintf("our lines: revision %d, %s", r.month.Current.Revision, r.month.Current.State)}}
	for _, f := range r.reading.files {
		if !slices.ContainsFunc(f.documents, func(d *document) bool { return d.partners[id] }) {
			continue
		}
		months := make(map[pricing.Month]bool)
		for _, d := range f.documents {
			if d.partners[id] {
				maps.Copy(months, d.own)
			}
		}
		source := exports.Source{Kind: exports.KindMicrosoft, Name: f.Name, Month: strings.Join(monthNames(months), " "), SHA256: f.SHA256,
			Records: f.Lines, Refused: f.Refused, Use: f.Kind}
		if f.Same != "" {
			source.Use = "the same as " + f.Same + ", left out"
		}
		all = append(all, source)
	}
	slices.SortStableFunc(all[1:], func(a, b exports.Source) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.SHA256, b.SHA256))
	})
	return all
}

// finishBook says what was read of theirs, and what truncation may bring.
func (r *reconciliation) finishBook(book *exports.Workbook, p *partnerSum) {
	currency := book.Info.Invoice.Currency
	for _, s := range p.tally.Sides() {
		if s.Currency == currency {
			book.Info.Recon.Billed = invoice.Totals{Lines: s.TheirLines, Subtotal: s.Theirs.Subtotal, TaxTotal: s.Theirs.Tax, Total: s.Theirs.Total}
		}
	}
	for _, c := range p.tally.Causes() {
		if c.Currency == currency {
			book.Info.Recon.Causes = append(book.Info.Recon.Causes, invoice.Section{Name: string(c.Cause),
				Totals: invoice.Totals{Lines: c.Differences, Subtotal: c.Amount.Subtotal, TaxTotal: c.Amount.Tax, Total: c.Amount.Total}})
		}
	}
	book.Info.Recon.Tolerance = p.tolerated
}

// tolerate adds up what truncating elsewhere brings.
func (p *partnerSum) tolerate(d *exports.Difference) {
	p.tolerated.Merge(invoice.Totals{Lines: 1, Subtotal: max(d.Subtotal, -d.Subtotal), TaxTotal: max(d.TaxTotal, -d.TaxTotal), Total: max(d.Total, -d.Total)})
}

// reconRow is a match as a row of the workbook: its lines of the month, in the
// invoice's currency. ok is false when there are none.
func reconRow(g *reconcile.Group, m *reconcile.Match, currency string) (row exports.ReconRow, ok bool) {
	var ours, theirs []*invoice.Line
	var ourRef, theirRef string
	firstRow := 0
	for i := range m.Ours {
		if o := &m.Ours[i]; o.Month == g.Month && o.Line.Currency == currency {
			if ours == nil {
				ourRef, firstRow = fmt.Sprint(o.Row), o.Row
			}
			ours = append(ours, o.Line)
		}
	}
	for i := range m.Theirs {
		if b := &m.Theirs[i]; b.Month == g.Month && b.Line.Currency == currency {
			if theirs == nil {
				theirRef = fmt.Sprintf("%s:%d", b.File, b.Row)
			}
			theirs = append(theirs, b.Line)
		}
	}
	all := slices.Concat(ours, theirs)
	if len(all) == 0 {
		return row, false
	}
	l := all[0]
	row = exports.ReconRow{State: stateOf(m), CustomerID: g.CustomerID, CustomerName: l.Account.CustomerName, SubscriptionID: l.SubscriptionID,
		ProductID: l.Item.ProductID, SkuID: l.Item.SkuID, SkuName: l.Item.SkuName, ChargeType: l.ChargeType,
		Ours: reconSide(ours, ourRef, firstRow), Microsofts: reconSide(theirs, theirRef, 0), Start: pricing.NoDate, End: pricing.NoDate}
	for _, l := range all {
		row.Start = earliest(row.Start, l.ChargeStart)
		if l.ChargeEnd != pricing.NoDate && (row.End == pricing.NoDate || l.ChargeEnd > row.End) {
			row.End = l.ChargeEnd
		}
	}
	largest := int64(-1)
	var explained []string
	for i := range m.Differences {
		d := &m.Differences[i]
		if d.Currency == currency {
			row.Causes = append(row.Causes, exports.ReconCause{Code: string(d.Cause), Subtotal: d.Amount.Subtotal, TaxTotal: d.Amount.Tax, Total: d.Amount.Total})
			if statusOf(d) == StatusOpen {
				row.Open++
			}
		}
		if size := max(d.Amount.Total, -d.Amount.Total); size > largest {
			largest, row.Code = size, string(d.Cause)
		}
		explained = append(explained, d.Explanation)
	}
	row.Message = strings.Join(explained, "; ")
	if month, ref := elsewhere(g, m, &row); ref != "" {
		row.Elsewhere = month + ", " + ref
		who := "Microsoft's"
		if row.Ours == nil {
			who = "ours"
		}
		row.State = who + " in " + month
	}
	return row, true
}

// elsewhere finds the line of the side that has none in the month: where it was
// billed in another one. ref is "" where there is none.
func elsewhere(g *reconcile.Group, m *reconcile.Match, row *exports.ReconRow) (month, ref string) {
	if row.Microsofts == nil {
		for i := range m.Theirs {
			if b := &m.Theirs[i]; b.Month != g.Month {
				return b.Month.String(), fmt.Sprintf("%s:%d", b.File, b.Row)
			}
		}
	}
	if row.Ours == nil {
		for i := range m.Ours {
			if o := &m.Ours[i]; o.Month != g.Month {
				return o.Month.String(), fmt.Sprintf("row %d", o.Row)
			}
		}
	}
	return "", ""
}

// stateOf says in a word or two how the sides met.
func stateOf(m *reconcile.Match) string {
	switch {
	case m.Step == reconcile.StepRemainder && len(m.Ours) > 0:
		return "only ours"
	case m.Step == reconcile.StepRemainder:
		return "only Microsoft's"
	case len(m.Differences) == 0:
		return "agrees"
	case !slices.ContainsFunc(m.Differences, func(d reconcile.Difference) bool { return statusOf(&d) == StatusOpen }):
		return "agrees, within tolerance"
	}
	return "differs"
}

func reconSide(lines []*invoice.Line, ref string, row int) *exports.ReconSide {
	if len(lines) == 0 {
		return nil
	}
	s := &exports.ReconSide{Ref: ref, Row: row, Lines: len(lines)}
	if len(lines) == 1 {
		s.Quantity, s.EffectivePrice, s.ExchangeRate = lines[0].BillableQuantity, lines[0].EffectiveUnitPrice, lines[0].ExchangeRate
		if s.Quantity.IsZero() {
			s.Quantity = lines[0].Quantity
		}
	}
	for _, l := range lines {
		s.Subtotal, s.TaxTotal, s.Total = s.Subtotal+l.Subtotal, s.TaxTotal+l.TaxTotal, s.Total+l.Total
	}
	return s
}
