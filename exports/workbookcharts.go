package exports

import (
	"fmt"

	"github.com/xuri/excelize/v2"
)

// The colours of the charts: totals, up, down.
const (
	chartBlue  = "1F4E9E"
	chartGreen = "00875A"
	chartRed   = "C0392B"
)

// chartFont is that of the axes, whose own colour is too pale to print.
var chartFont = excelize.Font{Size: 9, Color: "404040"}

// chartCustomers is how many of the largest customers are drawn.
const chartCustomers = 10

// chartHeight is how many rows a chart takes, with one below it.
const chartHeight = 21

// chartRows is how many rows the charts take.
func (s *summary) chartRows() (rows int) {
	if s.figures.first > 0 {
		rows += chartHeight
	}
	if s.customers.records() >= 2 { // one bar says nothing
		rows += chartHeight
	}
	return rows
}

// charts draws the waterfall and the largest customers beside the checks.
func (s *summary) charts() error {
	at := 1
	if s.figures.first > 0 {
		if err := s.waterfallChart(fmt.Sprintf("H%d", at)); err != nil {
			return err
		}
		at += chartHeight
	}
	if s.chartRows() < at {
		return nil
	}
	return s.customersChart(fmt.Sprintf("H%d", at))
}

func (s *summary) waterfallChart(cell string) error {
	inv := s.book.Info.Invoice
	column := func(name string) string {
		return fmt.Sprintf("%s!$%s$%d:$%s$%d", summarySheet, name, s.figures.first, name, s.figures.last)
	}
	series := func(name, column1 string, fill excelize.Fill) excelize.ChartSeries {
		return excelize.ChartSeries{Name: fmt.Sprintf("%s!$%s$%d", summarySheet, name, s.figures.first-1),
			Categories: column("A"), Values: column1, Fill: fill}
	}
	gap, overlap, vary := uint(40), 100, false
	return s.book.file.AddChart(summarySheet, cell, &excelize.Chart{
		Type: excelize.BarStacked, // lying down, since the names of the causes are long
		Series: []excelize.ChartSeries{
			series("B", column("B"), excelize.Fill{Type: "pattern", Pattern: 1, Color: []string{"FFFFFF"}, Transparency: 100}),
			series("C", column("C"), solid(chartBlue)),
			series("D", column("D"), solid(chartGreen)),
			series("E", column("E"), solid(chartRed)),
		},
		Title:     chartTitle(fmt.Sprintf("Net, %s to %s (%s)", inv.Month-1, inv.Month, inv.Currency)),
		Legend:    excelize.ChartLegend{Position: "none"},
		Dimension: excelize.ChartDimension{Width: 720, Height: 400},
		GapWidth:  &gap, Overlap: &overlap, VaryColors: &vary,
		XAxis:  excelize.ChartAxis{ReverseOrder: true, TickLabelPosition: excelize.ChartTickLabelLow, Font: chartFont},
		YAxis:  excelize.ChartAxis{MajorGridLines: true, Font: chartFont, NumFmt: excelize.ChartNumFmt{CustomNumFmt: "#,##0"}},
		Format: s.placed(),
	})
}

func (s *summary) customersChart(cell string) error {
	inv := s.book.Info.Invoice
	last := min(chartCustomers, s.customers.records())
	names, err := s.customers.cells(customerColumnName, last)
	if err != nil {
		return err
	}
	amounts, err := s.customers.cells(in(netColumnName, inv.Currency), last)
	if err != nil {
		return err
	}
	title := fmt.Sprintf("Net by customer (%s)", inv.Currency)
	if s.customers.records() > chartCustomers {
		title = fmt.Sprintf("Net of the %d largest customers of %d (%s)", chartCustomers, s.customers.records(), inv.Currency)
	}
	gap, vary := uint(40), false
	return s.book.file.AddChart(summarySheet, cell, &excelize.Chart{
		Type:      excelize.Bar,
		Series:    []excelize.ChartSeries{{Name: title, Categories: names, Values: amounts, Fill: solid(chartBlue)}},
		Title:     chartTitle(title),
		Legend:    excelize.ChartLegend{Position: "none"},
		Dimension: excelize.ChartDimension{Width: 720, Height: 400},
		GapWidth:  &gap, VaryColors: &vary,
		XAxis:  excelize.ChartAxis{ReverseOrder: true, TickLabelPosition: excelize.ChartTickLabelLow, Font: chartFont},
		YAxis:  excelize.ChartAxis{MajorGridLines: true, Font: chartFont, NumFmt: excelize.ChartNumFmt{CustomNumFmt: "#,##0"}},
		Format: s.placed(),
	})
}

func solid(colour string) excelize.Fill {
	return excelize.Fill{Type: "pattern", Pattern: 1, Color: []string{colour}}
}

func chartTitle(text string) excelize.ChartTitle {
	return excelize.ChartTitle{Paragraph: []excelize.RichTextRun{{Text: text, Font: &excelize.Font{Bold: true, Size: 12, Color: "202020"}}}}
}

// placed has a chart printed, and stay in size when columns are widened.
func (s *summary) placed() excelize.GraphicOptions {
	yes := true
	return excelize.GraphicOptions{PrintObject: &yes, Positioning: "oneCell"}
}
