package exports

import (
	"fmt"

	"github.com/shopspring/decimal"
	"github.com/xuri/excelize/v2"
)

// seatStep is a row of the roll-forward: seats with their sign.
type seatStep struct {
	name  string
	seats int64
}

// seatSteps are the opening and the movements.
func (b *Workbook) seatSteps() []seatStep {
	n, month := b.Info.Seats, b.Info.Invoice.Month
	return []seatStep{
		{"Seats as " + month.First().String() + " begins", n.Opening},
		{"New subscriptions", n.Purchased},
		{"Seats added", n.Added},
		{"Seats removed", -n.Removed},
		{"Cancelled", -n.Cancelled},
		{"Expired", -n.Expired},
		{"Upgrades, moved in", n.UpgradedIn},
		{"Upgrades, moved out", -n.UpgradedOut},
		{"Renewals and converted trials, change", n.Renewed},
	}
}

// seatMovements leads from the seats that the month opened with to those that it
// closed with.
func (s *summary) seatMovements() {
	if s.book.Info.Seats == nil {
		return
	}
	month := s.book.Info.Invoice.Month
	s.section("Seats in "+month.String(), sheetColumn{title: "Movement"}, sheetColumn{title: "Seats", kind: kindWhole})
	s.seats.first = s.row
	var sum int64
	for _, step := range s.book.seatSteps() {
		sum += step.seats
		s.put(s.text(step.name), s.cell(kindWhole, step.seats))
	}
	s.seats.last = s.row
	s.put(excelize.Cell{StyleID: s.book.styles.totalLabel, Value: "Seats as " + month.Last().String() + " ends"},
		excelize.Cell{StyleID: s.book.styles.totalWhole, Value: sum, Formula: fmt.Sprintf("SUM(B%d:B%d)", s.seats.first, s.row-1)})
}

// checkSeats compares the seats that the month closed with, counted subscription
// by subscription, with what opening and movements come to.
func (s *summary) checkSeats() {
	if s.book.Info.Seats == nil {
		return
	}
	var sum int64
	for _, step := range s.book.seatSteps() {
		sum += step.seats
	}
	s.check("Seats: closing against opening and movements", kindWhole, given(s.book.Info.Seats.Closing, 0),
		leg{fmt.Sprintf("SUM(B%d:B%d)", s.seats.first, s.seats.last-1), decimal.NewFromInt(sum)}, decimal.Zero)
}
