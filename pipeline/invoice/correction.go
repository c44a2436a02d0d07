package invoice

import (
	"fmt"
	"strconv"
	"strings"
)

// correctionCode marks a mirrored line in CreditReasonCode.
const correctionCode = "Correction"

// Issued is a line of a closed month, as its invoice has it.
type Issued struct {
	Line *Line
	Row  int // data row of the invoice's CSV, 1 for the first
}

// name is how a correction calls an issued line.
func (i Issued) name() string { return correctionOf(i.Line.InvoiceNumber, i.Row) }

func correctionOf(invoice string, row int) string {
	return jsonList("Correction of " + invoice + " line " + strconv.Itoa(row))
}

// corrections returns what makes issued lines the same as the desired ones: a
// mirror for each issued line that the history no longer wants, and each wanted
// line that was not issued. Issued + corrections = desired, to the cent.
func corrections(issued []Issued, desired []*Line) []*Line {
	settled := mirrored(issued)
	standing := make(map[string][]Issued)
	for _, i := range issued {
		if !settled[i.Line] {
			key := i.Line.identity()
			standing[key] = append(standing[key], i)
		}
	}
	var late []*Line
	for _, line := range desired {
		key := line.identity()
		if same := standing[key]; len(same) > 0 {
			standing[key] = same[1:]
			continue
		}
		late = append(late, line)
	}
	var lines []*Line
	for _, i := range issued { // in the order of the invoices
		key := i.Line.identity()
		if same := standing[key]; len(same) > 0 && same[0].Line == i.Line {
			standing[key] = same[1:]
			lines = append(lines, i.mirror())
		}
	}
	return append(lines, late...)
}

// mirrored returns the mirrors among issued lines and the lines that they took back.
func mirrored(issued []Issued) map[*Line]bool {
	mirrors := make(map[string][]*Line) // by the name of what they take back
	for _, i := range issued {
		if i.Line.isCorrection() {
			mirrors[i.Line.PriceAdjustment] = append(mirrors[i.Line.PriceAdjustment], i.Line)
		}
	}
	settled := make(map[*Line]bool)
	if len(mirrors) == 0 {
		return settled
	}
	for _, i := range issued {
		for _, m := range mirrors[i.name()] {
			if m.SubscriptionID == i.Line.SubscriptionID && m.ReferenceID == i.Line.ReferenceID && m.Total == -i.Line.Total {
				settled[m], settled[i.Line] = true, true
			}
		}
	}
	return settled
}

// isCorrection reports whether the line is marked as a mirror. The code alone
// says little: a credit's reason is anybody's word.
func (l *Line) isCorrection() bool {
	return l.CreditReasonCode == correctionCode && strings.HasPrefix(l.PriceAdjustment, `["Correction of `)
}

// mirror returns the line that takes an issued one back: the same but for the
// signs of its amounts and the reason.
func (i Issued) mirror() *Line {
	m := *i.Line
	m.InvoiceNumber = ""
	m.EffectiveUnitPrice = m.EffectiveUnitPrice.Neg()
	m.Subtotal, m.TaxTotal, m.Total = -m.Subtotal, -m.TaxTotal, -m.Total
	m.CreditReasonCode = correctionCode
	m.PriceAdjustment = i.name()
	m.Proof = &Proof{Corrects: fmt.Sprintf("%s line %d", i.Line.InvoiceNumber, i.Row)}
	return &m
}

// identity is equal for two lines that bill the same for the same reason: names
// and descriptions of customers and products may differ.
func (l *Line) identity() string {
	return strings.Join([]string{
		l.Account.PartnerID, l.SubscriptionID, l.OrderDate.String(), l.ChargeType, l.Item.ProductID, l.Item.SkuID,
		l.UnitPrice.String(), l.EffectiveUnitPrice.String(), l.BillableQuantity.String(),
		strconv.FormatInt(l.Subtotal, 10), strconv.FormatInt(l.TaxTotal, 10), strconv.FormatInt(l.Total, 10), l.Currency,
		l.PricingCurrency, l.ExchangeRate.String(), l.ChargeStart.String(), l.ChargeEnd.String(),
		l.TermStart.String(), l.TermEnd.String(), l.Item.PromotionID, l.ReferenceID, l.PriceAdjustment, l.CreditReasonCode,
	}, "\x00")
}
