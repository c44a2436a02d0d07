package jobs

import (
	"bytes"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/shopspring/decimal"
	"github.com/xuri/excelize/v2"

	"github.com/calends/calends/pipeline/ledger"
)

// comparisonBook opens the workbook of a partner's comparison.
func comparisonBook(t *testing.T, env Env, r ReconcileResult, partner string) *excelize.File {
	t.Helper()
	data := get(t, env.Bucket, reconcilePrefix(testMonth(t, r.Month), r.Revision)+partnerFile(partner, differencesBook))
	book, err := excelize.OpenReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := book.Close(); err != nil {
			t.Error(err)
		}
	})
	return book
}

// spoil plants differences into what Microsoft bills: a line that is gone, one that
// is billed twice, and one with other amounts.
func spoil(rows []row) []row {
	if len(rows) < 4 {
		return rows
	}
	other := rows[2].clone()
	for _, name := range []string{"Subtotal", "Total"} {
		other[name] = decimal.RequireFromString(rows[2][name]).Add(decimal.NewFromInt(3)).String()
	}
	return append(append([]row{rows[1], rows[1], other}, rows[3:]...), rows[3].clone())
}

// The workbook of a comparison has all that the invoice's own workbook has, of open
// and closed months: the same records, cell by cell, on the same sheets.
func TestComparisonBookIsWhole(t *testing.T) {
	t.Parallel()
	env := storyEnv(t)
	months, err := env.ledger().Months(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	prorated, changed := 0, 0
	for _, m := range months {
		var theirs []row
		for _, inv := range m.Current.Invoices {
			theirs = append(theirs, spoil(billedRows(t, env, m.Month.String(), inv.PartnerID))...)
		}
		result := reconciled(t, env, ReconcilePlan{Month: m.Month, Formats: ReconcileFormats(), Files: files(t, map[string][]byte{"recon.csv": newerCSV(theirs)})})
		if len(result.Unproven) > 0 || result.Open == 0 {
			t.Errorf("%s: %d open, unproven %v", m.Month, result.Open, result.Unproven)
		}
		for _, inv := range m.Current.Invoices {
			name := m.Month.String() + " " + inv.PartnerID
			own, book := bookOf(t, env, m, inv.PartnerID), comparisonBook(t, env, result, inv.PartnerID)
			want := []string{"Summary", "By customer", "By product", "Exceptions", "Recon lines", "Invoice lines", "Prorations", "Price changes", "FX", "Sources", "Notes"}
			if got := book.GetSheetList(); !slices.Equal(got, want) {
				t.Errorf("%s: sheets %q", name, got)
			}
			for _, sheet := range []string{"By product", "Invoice lines", "Prorations", "Price changes", "FX"} {
				requireSameRows(t, name+", "+sheet, rawRows(t, book, sheet), rawRows(t, own, sheet))
			}
			for _, s := range records(t, own, "Sources") {
				if !slices.ContainsFunc(records(t, book, "Sources"), func(o map[string]string) bool { return maps.Equal(s, o) }) {
					t.Errorf("%s: sources lack %v", name, s)
				}
			}
			prorated += len(records(t, book, "Prorations"))
			changed += len(records(t, book, "Price changes"))
			requireBlocks(t, name, book, own)
			requireComparison(t, name, env, result, book, inv)
		}
	}
	if prorated < 20 || changed < 5 {
		t.Errorf("%d prorations and %d price changes were compared", prorated, changed)
	}
}

func rawRows(t *testing.T, book *excelize.File, sheet string) [][]string {
	t.Helper()
	rows, err := book.GetRows(sheet, excelize.Options{RawCellValue: true})
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func requireSameRows(t *testing.T, what string, got, want [][]string) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d rows, want %d", what, len(got), len(want))
		return
	}
	for i := range want {
		if !slices.Equal(got[i], want[i]) {
			t.Errorf("%s, row %d:\n%q\nwant\n%q", what, i+1, got[i], want[i])
		}
	}
}

// requireBlocks compares the waterfall and the seats of both Summaries. The month
// before may have been billed again since: then it begins elsewhere, and arrives
// where it should.
func requireBlocks(t *testing.T, name string, book, own *excelize.File) {
	t.Helper()
	block := func(book *excelize.File, title string) (rows [][]string) {
		in := false
		for _, row := range rawRows(t, book, "Summary") {
			in = in && len(row) > 0 || len(row) == 1 && strings.HasPrefix(row[0], title)
			if in {
				rows = append(rows, row)
			}
		}
		return rows
	}
	for _, title := range []string{"From 20", "Seats in 20", "Totals by charge type"} {
		want := block(own, title)
		if len(want) == 0 {
			t.Fatalf("%s: Summary has no block %s", name, title)
		}
		requireSameRows(t, name+", Summary", block(book, title), want)
	}
}

// requireComparison adds the sheets up: to our CSV, to theirs, and to differences.csv.
func requireComparison(t *testing.T, name string, env Env, r ReconcileResult, book *excelize.File, inv ledger.InvoiceSummary) {
	t.Helper()
	column := func(title string) string { return title + " (" + inv.Currency + ")" }
	recon, customers := records(t, book, "Recon lines"), records(t, book, "By customer")
	byCustomer := rawRows(t, book, "By customer")
	total := byCustomer[len(byCustomer)-1]
	differences := differencesOf(t, env, r, inv.PartnerID)
	var net, tax, gross decimal.Decimal
	for _, d := range differences {
		net, tax, gross = net.Add(testDecimal(t, d["DifferenceSubtotal"])), tax.Add(testDecimal(t, d["DifferenceTax"])), gross.Add(testDecimal(t, d["DifferenceTotal"]))
	}
	at := slices.IndexFunc(r.Partners, func(p ReconciledPartner) bool { return p.PartnerID == inv.PartnerID })
	sides := r.Partners[at].Sides[0]
	lines := func(title string) (n int) {
		for _, record := range recon {
			count, _ := strconv.Atoi(record[title]) // blank where that side has none
			n += count
		}
		return n
	}
	ours, theirs := sumOf(t, filled(recon, column("Gross ours")), column("Gross ours")), sumOf(t, filled(recon, column("Gross Microsoft")), column("Gross Microsoft"))
	for _, c := range []struct {
		what      string
		got, want decimal.Decimal
	}{
		{"difference of Recon lines and differences.csv, net", sumOf(t, recon, column("Net difference")), net},
		{"difference of Recon lines and differences.csv, tax", sumOf(t, recon, column("Tax difference")), tax},
		{"difference of Recon lines and differences.csv, gross", sumOf(t, recon, column("Gross difference")), gross},
		{"open differences", decimal.NewFromInt(int64(lines("Open"))), decimal.NewFromInt(int64(r.Partners[at].Open))},
		{"variance by customer, gross", sumOf(t, customers, column("Gross variance")), gross},
		{"variance by customer, total", testDecimal(t, total[slices.Index(byCustomer[0], column("Net variance"))]), net},
		{"gross of both sides and differences.csv", theirs.Sub(ours), gross},
		{"gross ours and the invoice's", ours, testDecimal(t, inv.Total)},
		{"gross Microsoft and what was read", theirs, testDecimal(t, sides.Theirs)},
		{"our lines", decimal.NewFromInt(int64(lines("Lines ours"))), decimal.NewFromInt(int64(inv.Lines))},
		{"their lines", decimal.NewFromInt(int64(lines("Lines Microsoft"))), decimal.NewFromInt(int64(sides.TheirLines))},
		{"variance by customer", sumOf(t, customers, column("Net variance")), net},
	} {
		if !c.got.Equal(c.want) {
			t.Errorf("%s: %s: %s, want %s", name, c.what, c.got, c.want)
		}
	}
	checks := 0
	for i, row := range rawRows(t, book, "Summary") {
		if len(row) < 6 || row[5] != "PASS" && row[5] != "FAIL" {
			continue
		}
		checks++
		live, err := book.CalcCellValue("Summary", "F"+strconv.Itoa(i+1))
		if err != nil || live != row[5] {
			t.Errorf("%s: %s says %s, calculated %s (%v)", name, row[0], row[5], live, err)
		}
		open := strings.HasPrefix(row[0], "Rows of Recon lines") || row[0] == "Open differences" ||
			strings.HasSuffix(row[0], ": expected against billed by Microsoft") || strings.HasSuffix(row[0], ": all differences, without their signs")
		if row[5] == "FAIL" && !open {
			t.Errorf("%s: %q", name, row)
		}
	}
	if checks < 19 {
		t.Errorf("%s: %d checks", name, checks)
	}
}

// filled leaves out records that have nothing in a column.
func filled(records []map[string]string, column string) []map[string]string {
	return slices.DeleteFunc(slices.Clone(records), func(r map[string]string) bool { return r[column] == "" })
}

// Of a month with several invoices the workbook of one partner is the same whether
// the others are compared or not.
func TestComparisonBookOfOnePartner(t *testing.T) {
	t.Parallel()
	env := storyEnv(t)
	plan := ReconcilePlan{Formats: ReconcileFormats(), Month: testMonth(t, "2024-04"), Partners: []string{demoEuropean},
		Files: files(t, map[string][]byte{"recon.csv": newerCSV(billedRows(t, env, "2024-04", demoEuropean))})}
	one := reconciled(t, env, plan)
	plan.Partners = []string{demoEuropean, demoAmerican}
	both := reconciled(t, env, plan)
	if len(one.Unproven)+len(both.Unproven) > 0 || !both.Written {
		t.Fatalf("unproven: %v, %v", one.Unproven, both.Unproven)
	}
	a, b := comparisonBook(t, env, one, demoEuropean), comparisonBook(t, env, both, demoEuropean)
	for _, sheet := range a.GetSheetList() {
		requireSameRows(t, sheet, rawRows(t, b, sheet), rawRows(t, a, sheet))
	}
}

// What came in after a draft was made is no part of it, nor of its comparison.
func TestComparisonBookOfAnOlderDraft(t *testing.T) {
	t.Parallel()
	env := storyEnv(t)
	later := files(t, map[string][]byte{"partners.csv": []byte("PartnerId,PartnerName,Country,BillingCurrency,MpnId,TaxRate\n" +
		demoEuropean + ",Voorbeeldstad Cloud B.V.,NL,EUR,6100001,0.5\n")})
	if _, err := env.Ingest(t.Context(), IngestPlan{Paths: later}); err != nil {
		t.Fatal(err)
	}
	result := reconciled(t, env, ReconcilePlan{Month: testMonth(t, "2024-04"), Formats: ReconcileFormats(),
		Files: files(t, map[string][]byte{"recon.csv": newerCSV(billedRows(t, env, "2024-04", demoEuropean))})})
	if len(result.Unproven) > 0 || result.Open > 0 {
		t.Errorf("%d open, unproven %v", result.Open, result.Unproven)
	}
	for _, s := range records(t, comparisonBook(t, env, result, demoEuropean), "Sources") {
		if s["Kind"] == "partners" && s["Records"] == "1" {
			t.Errorf("the later file is a source: %v", s)
		}
	}
}

// A month that does not come out again is compared all the same. Its workbook says
// what it lacks and where that is; once it comes out, the next run writes the whole.
func TestComparisonBookWithoutProofs(t *testing.T) {
	t.Parallel()
	const key = "invoices/month=2024-03/revision=0001/" + ledger.ManifestName
	for _, c := range []struct {
		name   string
		damage func(damage, []ledger.Input) (undo func())
		says   string
	}{
		{"lines come out otherwise", func(d damage, _ []ledger.Input) func() {
			was := get(d.T, d.bucket, key)
			d.manifest(key, func(m *ledger.Manifest) {
				for i := range m.Files {
					if m.Files[i].Path == eur+csvName {
						m.Files[i].SHA256 = strings.Repeat("0", 64)
					}
				}
			})
			return func() { d.replace(key, was) }
		}, "Computed again, lines of revision 1 of 2024-03 do not come out as they stand: version "},
		{"changes are gone", func(d damage, inputs []ledger.Input) func() {
			at := slices.IndexFunc(inputs, func(in ledger.Input) bool { return in.Kind == ledger.Changes })
			gone := inputs[at].Objects[0].Key
			was := get(d.T, d.bucket, gone)
			d.remove(gone)
			return func() { put(d.T, d.bucket, gone, was) }
		}, "2024-03 cannot be computed again: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			env := storyEnv(t)
			env.WholeHistory = true // so that all changes are read
			at, err := env.snapshot(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			plan := ReconcilePlan{Formats: ReconcileFormats(), Files: files(t, map[string][]byte{"recon.csv": newerCSV(billedRows(t, env, "2024-03", demoEuropean)[1:])})}
			undo := c.damage(damage{t, env.Bucket}, at.inputs)
			result := reconciled(t, env, plan)
			if len(result.Unproven) != 1 || !strings.HasPrefix(result.Unproven[0].Reason, c.says) {
				t.Fatalf("unproven: %v", result.Unproven)
			}
			book := comparisonBook(t, env, result, demoEuropean)
			for _, sheet := range []string{"Prorations", "Price changes"} {
				if rows := rawRows(t, book, sheet); len(rows) != 2 || !strings.HasPrefix(rows[1][0], "Not known here, see Notes") {
					t.Errorf("%s: %q", sheet, rows[1:])
				}
			}
			if notes := records(t, book, "Notes"); !slices.ContainsFunc(notes, func(r map[string]string) bool {
				return r["Topic"] == "What is not here" && strings.HasPrefix(r["Note"], c.says)
			}) {
				t.Error("Notes do not say why")
			}
			if lines := records(t, book, "Invoice lines"); len(lines) != 25 {
				t.Errorf("%d lines", len(lines))
			}
			undo()
			again := reconciled(t, env, plan)
			if len(again.Unproven) > 0 || !again.Written || len(records(t, comparisonBook(t, env, again, demoEuropean), "Prorations")) == 0 {
				t.Errorf("mended: written %v, unproven %v", again.Written, again.Unproven)
			}
		})
	}
}

// A line that Microsoft billed in the month after says so, and in which line.
func TestComparisonBookOfMovedLines(t *testing.T) {
	t.Parallel()
	env := storyEnv(t)
	march := billedRows(t, env, "2024-03", demoEuropean)
	paths := files(t, map[string][]byte{"march.csv": newerCSV(march[2:]), "moved.csv": newerCSV(march[:2])})
	for i, path := range paths {
		if strings.HasSuffix(path, "moved.csv") {
			paths[i] = "2024-04=" + path
		}
	}
	result := reconciled(t, env, ReconcilePlan{Month: testMonth(t, "2024-03"), Formats: ReconcileFormats(), Files: paths})
	var moved []string
	for _, r := range records(t, comparisonBook(t, env, result, demoEuropean), "Recon lines") {
		if r["Code"] == "period" {
			moved = append(moved, r["State"]+": "+r["Microsoft's line"])
		}
	}
	slices.Sort(moved)
	if want := []string{"Microsoft's in 2024-04: 2024-04, moved.csv:2", "Microsoft's in 2024-04: 2024-04, moved.csv:3"}; !slices.Equal(moved, want) {
		t.Errorf("moved: %q, want %q", moved, want)
	}
}
