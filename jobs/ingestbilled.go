package jobs

import (
	"errors"
	"io"

	"github.com/calends/calends/jobs/intake"
	"github.com/calends/calends/pricing"
)

// BilledMonth is the month that a file of Microsoft's bills, by the dates of its
// lines: that which most lines of each of its invoices have. It is 0 where invoices
// bill several months, and where no line can be read.
func BilledMonth(m *intake.Member, what intake.Recognised) (month pricing.Month, err error) {
	r, err := intake.OpenCharges(m, what)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	invoices := make(map[string]map[pricing.Month]int)
	var c intake.Charge
	for {
		refused, err := r.Next(&c)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return 0, err
		}
		day := c.OrderDate
		if day == pricing.NoDate {
			day = c.ChargeStartDate
		}
		if refused != nil || day == pricing.NoDate {
			continue
		}
		if invoices[c.InvoiceNumber] == nil {
			invoices[c.InvoiceNumber] = make(map[pricing.Month]int)
		}
		invoices[c.InvoiceNumber][day.Month()]++
	}
	for _, months := range invoices {
		switch billed := fullest(months); {
		case month == 0:
			month = billed
		case month != billed:
			return 0, nil
		}
	}
	return month, nil
}
