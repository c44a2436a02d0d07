package jobs

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/shopspring/decimal"
	"github.com/xuri/excelize/v2"
	"pgregory.net/rapid"

	"github.com/calends/calends/exports"
	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pricing"
)

// row is a line of Microsoft's: our line, before somebody changes it.
type row map[string]string

// billedRows are the lines of the partner's invoice as Microsoft would bill them.
func billedRows(t *testing.T, env Env, month, partner string) []row {
	t.Helper()
	known, err := env.snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	m, err := known.billed(testMonth(t, month))
	if err != nil {
		t.Fatal(err)
	}
	var rows []row
	for _, r := range csvRows(t.Context(), t, env, m.Month, partnerFile(partner, csvName)) {
		r["InvoiceNumber"] = "G0" + m.Month.Compact()
		rows = append(rows, r)
	}
	return rows
}

func (r row) clone() row { return maps.Clone(r) }

// rate writes amounts for another quantity and effective price, rounded by unit.
func (r row) rate(quantity, price string) row {
	q, p, rate := decimal.RequireFromString(quantity), decimal.RequireFromString(price), decimal.RequireFromString(r["PCToBCExchangeRate"])
	before, tax := decimal.RequireFromString(r["Subtotal"]), decimal.RequireFromString(r["TaxTotal"])
	subtotal := p.Mul(rate).RoundDown(2).Mul(q)
	tax = subtotal.Mul(tax.Div(before).Round(2)).RoundDown(2)
	r["Quantity"], r["BillableQuantity"], r["EffectiveUnitPrice"] = quantity, quantity, price
	r["Subtotal"], r["TaxTotal"], r["Total"] = subtotal.StringFixed(2), tax.StringFixed(2), subtotal.Add(tax).StringFixed(2)
	return r
}

// The forms that Microsoft's files have.

func american(date string) string {
	d, err := pricing.ParseDate(date)
	if err != nil {
		return date
	}
	year, month, day := d.Civil()
	return fmt.Sprintf("%d/%d/%d", month, day, year)
}

// olderCSV has the header of 2022 and American dates.
func olderCSV(rows []row) []byte {
	older := map[string]string{"MpnId": "MPNID", "ResellerMpnId": "ResellerMPNID", "ReferenceId": "ReferenceID", "PromotionId": "PromotionID"}
	return csvOf(rows, func(name string) string {
		if o, ok := older[name]; ok {
			return o
		}
		return name
	}, american)
}

// newerName is the spelling since August 2023.
func newerName(name string) string {
	if name == "Total" {
		return "totalForCustomer"
	}
	return strings.ToLower(name[:1]) + name[1:]
}

func newerCSV(rows []row) []byte {
	return csvOf(rows, newerName, func(date string) string { return date + "T00:00:00Z" })
}

func csvOf(rows []row, spell, date func(string) string) []byte {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	var names []string
	for _, name := range exports.Columns() {
		names = append(names, spell(name))
	}
	_ = w.Write(append(names, "ProductCategory", "Tier")) // into memory
	for _, r := range rows {
		var cells []string
		for _, name := range exports.Columns() {
			cell := r[name]
			if strings.HasSuffix(name, "Date") && cell != "" {
				cell = date(cell)
			}
			cells = append(cells, cell)
		}
		_ = w.Write(append(cells, "License", r["Tier"]))
	}
	w.Flush()
	return b.Bytes()
}

// graphExport is what the Graph API gives: gzip JSON lines with more attributes.
func graphExport(rows []row) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	e := json.NewEncoder(z)
	for _, r := range rows {
		object := map[string]any{"attributes": map[string]string{"objectType": "line"}, "billingProvider": "one_time", "tier": r["Tier"]}
		for _, name := range exports.Columns() {
			object[newerName(name)] = r[name]
			switch name {
			case "Subtotal", "TaxTotal", "Total", "Quantity", "UnitPrice":
				object[newerName(name)] = json.Number(r[name])
			}
		}
		_ = e.Encode(object)
	}
	_ = z.Close()
	return b.Bytes()
}

// files writes files into a folder of their own and returns their names.
func files(t *testing.T, content map[string][]byte) (paths []string) {
	t.Helper()
	dir := t.TempDir()
	for _, name := range slices.Sorted(maps.Keys(content)) {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content[name], 0o666); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	return paths
}

// storyEnv works on a copy of the demo as its story leaves it.
func storyEnv(t *testing.T) Env {
	t.Helper()
	from := story(t)
	env := envOn(bucket.NewMemory())
	for info, err := range from.Bucket.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		put(t, env.Bucket, info.Key, get(t, from.Bucket, info.Key))
	}
	return env
}

func reconciled(t *testing.T, env Env, plan ReconcilePlan) ReconcileResult {
	t.Helper()
	if plan.Month == 0 {
		plan.Month = testMonth(t, "2024-03")
	}
	if plan.Formats == nil {
		plan.Formats = []string{"csv", "parquet"}
	}
	if plan.Largest == 0 {
		plan.Largest = 20
	}
	result, err := env.Reconcile(t.Context(), plan)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// causesText says "quantity 14.43 EUR" for each cause with a difference.
func causesText(r ReconcileResult) []string {
	texts := []string{}
	for _, c := range r.Causes {
		if c.Differences > 0 {
			texts = append(texts, fmt.Sprintf("%s %d: %s %s", c.Cause, c.Differences, c.Total, c.Currency))
		}
	}
	return texts
}

// rowsOf finds rows by subscription, charge type and day.
func rowsOf(t *testing.T, rows []row, subscription, chargeType, day string) row {
	t.Helper()
	for _, r := range rows {
		if r["SubscriptionId"] == subscription && r["ChargeType"] == chargeType && r["OrderDate"] == day {
			return r
		}
	}
	t.Fatalf("no %s of %s on %s", chargeType, subscription, day)
	return nil
}

func without(rows []row, gone row) []row {
	return slices.DeleteFunc(slices.Clone(rows), func(r row) bool { return r["ReferenceId"] == gone["ReferenceId"] && r["Subtotal"] == gone["Subtotal"] })
}

// Each is planted in Microsoft's file of the European partner's March.
func TestReconcileNamesWhatWasPlanted(t *testing.T) {
	t.Parallel()
	cycle := func(t *testing.T, rows []row) row {
		return rowsOf(t, rows, voorbeeldStandard, "cycleCharge", "2024-03-15")
	} // 26 x 9.94 = 258.44, tax 54.27
	for _, c := range []struct {
		name  string
		plant func(t *testing.T, rows []row) []row
		want  []string
	}{
		{"nothing", func(_ *testing.T, rows []row) []row { return rows }, nil},
		{"one seat more", func(t *testing.T, rows []row) []row { cycle(t, rows).rate("27", "9.945"); return rows },
			[]string{"quantity 1: 12.02 EUR"}},
		{"a line that they do not have", func(t *testing.T, rows []row) []row { return without(rows, cycle(t, rows)) },
			[]string{"missingThere 1: -312.71 EUR"}},
		{"a line that they have twice", func(t *testing.T, rows []row) []row { return append(rows, cycle(t, rows).clone()) },
			[]string{"duplicate 1: 312.71 EUR"}},
		{"a purchase that we know nothing of", func(t *testing.T, rows []row) []row {
			r := cycle(t, rows).clone()
			r["SubscriptionId"], r["ReferenceId"], r["ChargeType"] = "77777777-0000-4000-8000-000000000000", "88888888-0000-4000-8000-000000000000", "new"
			return append(rows, r.rate("3", "11"))
		}, []string{"missingHere 1: 39.93 EUR"}},
		{"another tax", func(t *testing.T, rows []row) []row {
			r := cycle(t, rows)
			r["TaxTotal"], r["Total"] = "0.00", "258.44"
			return rows
		}, []string{"tax 1: -54.27 EUR"}},
		{"ids in capitals", func(_ *testing.T, rows []row) []row {
			for _, r := range rows {
				for _, id := range []string{"PartnerId", "CustomerId", "SubscriptionId"} {
					r[id] = strings.ToUpper(r[id])
				}
			}
			return rows
		}, nil},
		{"the noise of binary numbers", func(t *testing.T, rows []row) []row { cycle(t, rows)["Subtotal"] = "258.44000000000005"; return rows }, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			env := storyEnv(t)
			rows := c.plant(t, billedRows(t, env, "2024-03", demoEuropean))
			result := reconciled(t, env, ReconcilePlan{Files: files(t, map[string][]byte{"recon.csv": newerCSV(rows)})})
			if got := causesText(result); !slices.Equal(got, append([]string{}, c.want...)) {
				t.Errorf("causes %q, want %q", got, c.want)
			}
			if result.NeedsALook() != (len(c.want) > 0) {
				t.Errorf("needs a look: %v, with %d open", result.NeedsALook(), result.Open)
			}
		})
	}
}

// The same lines in every form give the same differences.
func TestReconcileReadsEveryForm(t *testing.T) {
	t.Parallel()
	env := storyEnv(t)
	rows := billedRows(t, env, "2024-03", demoEuropean)
	rowsOf(t, rows, voorbeeldStandard, "cycleCharge", "2024-03-15").rate("27", "9.945")["Tier"] = "2"
	slices.Reverse(rows)
	half := len(rows) / 2
	var zipped bytes.Buffer
	z := zip.NewWriter(&zipped)
	for i, part := range [][]row{rows[:half], rows[half:]} {
		w, err := z.Create(fmt.Sprintf("part%d.csv", i))
		if err == nil {
			_, err = w.Write(olderCSV(part))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, kind, unknown string
		files               map[string][]byte
	}{
		{"the older header", "reconciliation, CSV", "ProductCategory Tier", map[string][]byte{"a.csv": olderCSV(rows)}},
		{"the newer header", "reconciliation, CSV", "ProductCategory Tier", map[string][]byte{"a.csv": newerCSV(rows)}},
		{"the Graph export", "reconciliation, JSON Lines", "attributes billingProvider tier", map[string][]byte{"a.json.gz": graphExport(rows)}},
		{"several files", "reconciliation, CSV", "ProductCategory Tier", map[string][]byte{"a.csv": olderCSV(rows[:3]), "b.csv": newerCSV(rows[3:])}},
		{"an archive", "reconciliation, CSV", "ProductCategory Tier", map[string][]byte{"a.zip": zipped.Bytes()}},
		{"a file twice", "reconciliation, CSV", "ProductCategory Tier", map[string][]byte{"a.csv": olderCSV(rows), "b.csv": olderCSV(rows)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			env := Env{Bucket: storyEnv(t).Bucket, Version: "test", Workers: 2, Policies: env.Policies}
			result := reconciled(t, env, ReconcilePlan{Files: files(t, c.files)})
			sameLines(t, "causes", causesText(result), "quantity 1: 12.02 EUR")
			for _, f := range result.Theirs {
				if f.Kind != c.kind || strings.Join(f.Unknown, " ") != c.unknown {
					t.Errorf("%s is %s with the unknown columns %v", f.Name, f.Kind, f.Unknown)
				}
			}
			difference := differencesOf(t, env, result, demoEuropean)[0]
			var unknown map[string]string
			if err := json.Unmarshal([]byte(difference["TheirUnknownColumns"]), &unknown); err != nil {
				t.Fatal(err)
			}
			if unknown["Tier"]+unknown["tier"] != "2" {
				t.Errorf("the unknown columns came out as %s", difference["TheirUnknownColumns"])
			}
		})
	}
}

// differencesOf reads a partner's differences.csv of the result.
func differencesOf(t *testing.T, env Env, r ReconcileResult, partner string) (rows []row) {
	t.Helper()
	data := get(t, env.Bucket, reconcilePrefix(testMonth(t, r.Month), r.Revision)+partnerFile(partner, differencesName))
	all, err := csv.NewReader(bytes.NewReader(data)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, cells := range all[1:] {
		r := make(row)
		for i, name := range all[0] {
			r[name] = cells[i]
		}
		rows = append(rows, r)
	}
	return rows
}

func TestReconcileTwiceWritesNothing(t *testing.T) {
	t.Parallel()
	env := storyEnv(t)
	rows := billedRows(t, env, "2024-03", demoEuropean)
	paths := files(t, map[string][]byte{"recon.csv": olderCSV(rows[1:])})
	plan := ReconcilePlan{Files: paths, Formats: ReconcileFormats(), To: t.TempDir()}
	first := reconciled(t, env, plan)
	if !first.Written || first.Revision != 1 {
		t.Errorf("revision %d, written %v", first.Revision, first.Written)
	}
	env.Workers, plan.Memory = 1, 1 // every line goes through a file of its own
	if again := reconciled(t, env, plan); again.Written || again.Revision != 1 {
		t.Errorf("again: revision %d, written %v", again.Revision, again.Written)
	}
	other := reconciled(t, env, ReconcilePlan{Files: files(t, map[string][]byte{"recon.csv": olderCSV(rows)})})
	if !other.Written || other.Revision != 2 {
		t.Errorf("another file: revision %d, written %v", other.Revision, other.Written)
	}
	if back := reconciled(t, env, plan); back.Written || back.Revision != 1 {
		t.Errorf("the first file again: revision %d, written %v", back.Revision, back.Written)
	}
	var want []string
	for _, name := range []string{differencesName, differencesParquet, differencesBook} {
		want = append(want, "reconcile/month=2024-03/"+partnerFile(demoEuropean, name))
	}
	sameLines(t, "files", below(t, plan.To), want...)
	result, err := env.Verify(t.Context(), VerifyPlan{Quick: true})
	if err != nil || len(result.Findings) > 0 {
		t.Errorf("verify found %v, %v", result.Findings, err)
	}
}

// Files in another order are the same files; the workbook names them.
func TestReconcileFilesInAnyOrder(t *testing.T) {
	t.Parallel()
	env := storyEnv(t)
	rows := billedRows(t, env, "2024-03", demoEuropean)
	paths := files(t, map[string][]byte{"a.csv": olderCSV(rows[:9]), "b.csv": newerCSV(rows[9:]), "us.csv": newerCSV(billedRows(t, env, "2024-03", demoAmerican))})
	plan := ReconcilePlan{Files: paths, Formats: ReconcileFormats()}
	first := reconciled(t, env, plan)
	slices.Reverse(plan.Files)
	if again := reconciled(t, env, plan); again.Written || again.Revision != first.Revision {
		t.Errorf("turned round: revision %d, written %v", again.Revision, again.Written)
	}
	book, err := excelize.OpenReader(bytes.NewReader(get(t, env.Bucket, reconcilePrefix(testMonth(t, first.Month), first.Revision)+partnerFile(demoEuropean, differencesBook))))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = book.Close() }()
	var names []string
	for _, s := range records(t, book, "Sources")[:4] {
		names = append(names, s["Name"]+" "+s["Records"])
	}
	sameLines(t, "sources", names, "reconciliation.csv 25", "a.csv 9", "b.csv 16", "reconciliation.csv 28")
}

// What the files do not tell about the month is said, and is no difference.
func TestReconcileBesideTheMonth(t *testing.T) {
	t.Parallel()
	env := storyEnv(t)
	march, april := billedRows(t, env, "2024-03", demoEuropean), billedRows(t, env, "2024-04", demoEuropean)
	older := march[0].clone()
	older["InvoiceNumber"], older["OrderDate"] = "G1999", "1999-12-31"
	stranger := march[0].clone()
	stranger["PartnerId"], stranger["CustomerId"] = "nobody", "someone"
	provider := march[0].clone()
	provider["PartnerId"] = "the indirect provider"
	lines := append(append(slices.Clone(march[1:]), provider, stranger, older), april...)
	result := reconciled(t, env, ReconcilePlan{Files: files(t, map[string][]byte{"all.csv": newerCSV(lines)})})
	if got := causesText(result); len(got) > 0 {
		t.Errorf("causes %q", got)
	}
	if int(result.Neighbours) != len(april) || result.Outside != 1 {
		t.Errorf("%d lines beside the month and %d outside, want %d and 1", result.Neighbours, result.Outside, len(april))
	}
	if len(result.Foreign) != 1 || result.Foreign[0].PartnerID != "nobody" || result.Foreign[0].Lines != 1 {
		t.Errorf("foreign: %+v", result.Foreign)
	}
	if f := result.Theirs[0]; f.ByCustomer != 1 {
		t.Errorf("%d lines found by their customer", f.ByCustomer)
	}
	if len(result.Absent) != 3 || slices.Contains(result.Absent, demoEuropean) {
		t.Errorf("absent: %v", result.Absent)
	}
	asked := reconciled(t, env, ReconcilePlan{Files: files(t, map[string][]byte{"all.csv": newerCSV(march)}), Partners: []string{demoAmerican}})
	if got := causesText(asked); len(got) != 1 || !strings.HasPrefix(got[0], "missingThere 17: -7092.55 USD") {
		t.Errorf("a partner that is asked for and in no file: %q", got)
	}
}

// Of a partner whose file is of another month, or cannot be read, nothing is
// compared, and nothing is published; the others are.
func TestReconcileLeavesOut(t *testing.T) {
	t.Parallel()
	env := storyEnv(t)
	good := newerCSV(billedRows(t, env, "2024-03", demoAmerican))
	unread := billedRows(t, env, "2024-03", demoEuropean)
	for _, r := range unread {
		r["Subtotal"] = "12,3O"
	}
	for _, c := range []struct {
		name string
		file []byte
		why  string
	}{
		{"the month after", newerCSV(billedRows(t, env, "2024-04", demoEuropean)), "other.csv: billed in 2024-04, not in 2024-03"},
		{"nothing to read", newerCSV(unread), "no line of it in other.csv could be read"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			result := reconciled(t, storyEnv(t), ReconcilePlan{Files: files(t, map[string][]byte{"us.csv": good, "other.csv": c.file})})
			if len(result.LeftOut) != 1 || result.LeftOut[0] != (LeftOutPartner{demoEuropean, c.why}) {
				t.Errorf("left out: %+v", result.LeftOut)
			}
			if len(result.Partners) != 1 || result.Partners[0].PartnerID != demoAmerican || slices.Contains(result.Absent, demoEuropean) {
				t.Errorf("compared %+v, absent %v", result.Partners, result.Absent)
			}
			if got := causesText(result); len(got) > 0 || !result.NeedsALook() {
				t.Errorf("causes %q, needs a look: %v", got, result.NeedsALook())
			}
		})
	}
	given := files(t, map[string][]byte{"april.csv": newerCSV(billedRows(t, env, "2024-04", demoEuropean))})
	if result := reconciled(t, env, ReconcilePlan{Files: []string{"2024-03=" + given[0]}}); len(result.Partners) != 1 || len(result.LeftOut) > 0 {
		t.Errorf("a file that the user knows better is not compared: %+v", result.LeftOut)
	}
}

// Where all their amounts obey another rounding than ours, the result says so:
// line by line it is tolerated.
func TestReconcileSystematicRounding(t *testing.T) {
	t.Parallel()
	env := storyEnv(t)
	for _, c := range []struct {
		name string
		add  string // to the exact subtotal, before it is cut
		want string
	}{
		{"by the line", "0", "line"},
		{"to the nearest", "0.005", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			rows := billedRows(t, env, "2024-03", demoEuropean)
			for _, r := range rows {
				if r["ChargeType"] == "customerCredit" {
					continue
				}
				price, rate, quantity := decimal.RequireFromString(r["EffectiveUnitPrice"]), decimal.RequireFromString(r["PCToBCExchangeRate"]), decimal.RequireFromString(r["Quantity"])
				exact := price.Mul(rate).Mul(quantity)
				subtotal := exact.Abs().Add(decimal.RequireFromString(c.add)).RoundDown(2).Mul(decimal.NewFromInt(int64(exact.Sign())))
				r["Subtotal"], r["Total"] = subtotal.StringFixed(2), subtotal.Add(decimal.RequireFromString(r["TaxTotal"])).StringFixed(2)
			}
			result := reconciled(t, storyEnv(t), ReconcilePlan{Files: files(t, map[string][]byte{"recon.csv": newerCSV(rows)})})
			s := result.Suggested
			if s == nil || s.Rounding != c.want || s.Withheld != (c.want == "") {
				t.Fatalf("suggested %+v: %+v", s, result.Policies)
			}
			if want := []OtherPolicy{{demoEuropean, "documented"}}; c.want != "" && !slices.Equal(s.Otherwise, want) {
				t.Errorf("billed otherwise: %+v, want %+v", s.Otherwise, want)
			}
		})
	}
}

// A file of the next month that holds nothing but lines of this one: its number,
// its name or the user says so, and each is found to be moved.
func TestReconcileMovedLines(t *testing.T) {
	t.Parallel()
	env := storyEnv(t)
	march := billedRows(t, env, "2024-03", demoEuropean)
	for _, r := range march {
		r["InvoiceNumber"] = "G045210882"
	}
	moved := func(number string) []byte {
		var rows []row
		for _, r := range march[:2] {
			r = r.clone()
			r["InvoiceNumber"] = number
			rows = append(rows, r)
		}
		return newerCSV(rows)
	}
	var cost decimal.Decimal
	for _, r := range march[:2] {
		cost = cost.Sub(decimal.RequireFromString(r["Total"]))
	}
	want := fmt.Sprintf("period 2: %s EUR", cost.StringFixed(2))
	for _, c := range []struct {
		name, file, number, prefix string
		by                         MonthBy
	}{
		{"by its number", "moved.csv", "G045310111", "", ByInvoice},
		{"by its name", "2024-04.csv", "", "", ByName},
		{"by the option", "moved.csv", "G045210882", "2024-04=", ByOption},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			paths := files(t, map[string][]byte{"ours.csv": newerCSV(march[2:]), c.file: moved(c.number)})
			for i, path := range paths {
				if filepath.Base(path) == c.file {
					paths[i] = c.prefix + path
				}
			}
			result := reconciled(t, env, ReconcilePlan{Files: paths})
			sameLines(t, "causes", causesText(result), want)
			for _, f := range result.Theirs {
				if d := f.Documents[0]; f.Name == c.file && (d.By != c.by || d.Months[0] != "2024-04") {
					t.Errorf("%s is read as %+v", f.Name, d)
				}
			}
		})
	}
	_, err := env.Reconcile(t.Context(), ReconcilePlan{Month: testMonth(t, "2024-03"), Files: []string{"2024-13=x.csv"}})
	if !errors.Is(err, ErrUsage) {
		t.Errorf("a month that is none: %v", err)
	}
}

// A PartnerId that nobody knows is to be looked at, although the customer tells
// whose the line is and everything agrees.
func TestReconcileStrangers(t *testing.T) {
	t.Parallel()
	env := storyEnv(t)
	march := billedRows(t, env, "2024-03", demoEuropean)
	known := reconciled(t, env, ReconcilePlan{Files: files(t, map[string][]byte{"all.csv": newerCSV(march)})})
	march[0] = march[0].clone()
	march[0]["PartnerId"] = "somebody else"
	stranger := reconciled(t, env, ReconcilePlan{Files: files(t, map[string][]byte{"all.csv": newerCSV(march)})})
	if known.NeedsALook() || !stranger.NeedsALook() || stranger.Open != 0 {
		t.Errorf("to be looked at: %v without one, %v with one, %d open", known.NeedsALook(), stranger.NeedsALook(), stranger.Open)
	}
}

// A legacy licence that was not taken in is rated elsewhere; one that was is compared.
func TestReconcileLegacyLicences(t *testing.T) {
	t.Parallel()
	env := demoEnv(t)
	const header = "PartnerId,CustomerId,CustomerName,MPNID,ResellerMPNID,OrderId,SubscriptionId,SyndicationPartnerSubscriptionNumber,OfferId,DurableOfferId,OfferName," +
		"SubscriptionStartDate,SubscriptionEndDate,ChargeStartDate,ChargeEndDate,ChargeType,UnitPrice,Quantity,Amount,TotalOtherDiscount,Subtotal,Tax,TotalForCustomer,Currency," +
		"DomainName,SubscriptionName,SubscriptionDescription,BillingCycleType\r\n"
	line := func(quantity, amount string) string {
		return demoEuropean + "," + beispiel + ",Beispiel,1,,o1,usCBMg,legacy-1,of,dof,Office 365 E3,2/1/2024 0:00,2/1/2025 0:00,4/1/2024 0:00,4/30/2024 23:59,Cycle fee,10," +
			quantity + "," + amount + ",0," + amount + ",0," + amount + ",EUR,b.example,E3,E3,Monthly\r\n"
	}
	april := testMonth(t, "2024-04")
	paths := files(t, map[string][]byte{"legacy.csv": []byte(header + line("3", "30"))})
	result := reconciled(t, env, ReconcilePlan{Month: april, Files: paths})
	if len(result.Elsewhere) != 1 || result.Elsewhere[0].Lines != 1 || result.Elsewhere[0].Total != "30.00" {
		t.Errorf("elsewhere: %+v", result.Elsewhere)
	}
	if _, err := env.Ingest(t.Context(), IngestPlan{Paths: paths, Charges: april}); err != nil {
		t.Fatal(err)
	}
	if _, err := env.Bill(t.Context(), april, false); err != nil {
		t.Fatal(err)
	}
	paths = files(t, map[string][]byte{"legacy.csv": []byte(header + line("4", "40"))})
	result = reconciled(t, env, ReconcilePlan{Month: april, Files: paths})
	if len(result.Elsewhere) != 0 {
		t.Errorf("elsewhere: %+v", result.Elsewhere)
	}
	for _, d := range differencesOf(t, env, result, demoEuropean) {
		if d["SubscriptionId"] == "legacy-1" && d["DifferenceTotal"] == "10.00" && d["OurQuantity"] == "3" && d["TheirQuantity"] == "4" {
			return
		}
	}
	t.Errorf("the fourth licence is not found: %v", causesText(result))
}

func TestReconcileRefusals(t *testing.T) {
	t.Parallel()
	env := storyEnv(t)
	good := newerCSV(billedRows(t, env, "2024-03", demoEuropean))
	april := newerCSV(billedRows(t, env, "2024-04", demoEuropean))
	packed := graphExport(billedRows(t, env, "2024-03", demoEuropean))
	broken := strings.Replace(string(good), "258.44", "258,44x", 1) // two columns for one
	for _, c := range []struct {
		name  string
		plan  ReconcilePlan
		files map[string][]byte
		class error
		want  string
	}{
		{"no file", ReconcilePlan{}, nil, ErrUsage, "name Microsoft's reconciliation files"},
		{"a file that is not there", ReconcilePlan{Files: []string{"nowhere.csv"}}, nil, ErrMissing, "there is no file or folder nowhere.csv"},
		{"another kind of file", ReconcilePlan{}, map[string][]byte{"p.csv": []byte("PartnerId,BillingCurrency\na,EUR\n")}, ErrUsage, "p.csv: is a file of partners, no reconciliation file"},
		{"no file of any kind", ReconcilePlan{}, map[string][]byte{"x.csv": []byte("a,b\n1,2\n")}, ErrUsage, "x.csv: starts with"},
		{"a header and no lines", ReconcilePlan{}, map[string][]byte{"h.csv": newerCSV(nil)}, ErrUsage, "h.csv: has no lines"},
		{"a header and lines that are all refused", ReconcilePlan{}, map[string][]byte{"h.csv": []byte(strings.ReplaceAll(string(good), ".", ",x"))}, ErrUsage,
			"h.csv: none of its 25 lines can be read; line 2: "},
		{"a file of the month after", ReconcilePlan{}, map[string][]byte{"april.csv": april}, ErrMissing,
			"none of the files bills 2024-03:\n  april.csv: bills 2024-04\ngive Microsoft's files of 2024-03"},
		{"the same, for a partner that is asked for", ReconcilePlan{Partners: []string{demoEuropean}}, map[string][]byte{"april.csv": april}, ErrMissing, "april.csv: bills 2024-04"},
		{"disputes as a picture", ReconcilePlan{Disputes: "ticket.png"}, map[string][]byte{"a.csv": good}, ErrUsage, `"ticket.png": want a name that ends in .csv or .xlsx`},
		{"a packed file that breaks off", ReconcilePlan{}, map[string][]byte{"g.json.gz": packed[:len(packed)/2]}, nil, "read g.json.gz: it breaks off: what is packed in it ends too early"},
		{"a file that breaks off", ReconcilePlan{}, map[string][]byte{"g.csv": good[:len(good)-60]}, nil, "read g.csv: it breaks off: its last line, 26, has "},
		{"a month that was not billed", ReconcilePlan{Month: testMonth(t, "2025-01")}, map[string][]byte{"a.csv": good}, ErrMissing, "2025-01 was not billed"},
		{"a partner that nobody knows", ReconcilePlan{Partners: []string{"p"}}, map[string][]byte{"a.csv": good}, ErrUsage, `no partner "p"`},
		{"a form that nobody knows", ReconcilePlan{Formats: []string{"doc"}}, map[string][]byte{"a.csv": good}, ErrUsage, `format "doc"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if c.files != nil {
				c.plan.Files = files(t, c.files)
			}
			if c.plan.Month == 0 {
				c.plan.Month = testMonth(t, "2024-03")
			}
			_, err := env.Reconcile(t.Context(), c.plan)
			if err == nil || !strings.Contains(err.Error(), c.want) || c.class != nil && !errors.Is(err, c.class) {
				t.Errorf("%v; want %q", err, c.want)
			}
		})
	}
	t.Run("one bad line, one bad file", func(t *testing.T) {
		t.Parallel()
		result := reconciled(t, storyEnv(t), ReconcilePlan{Files: files(t, map[string][]byte{"a.csv": []byte(broken), "b.csv": []byte("a,b\n")})})
		if result.Unread != 1 || len(result.Theirs[0].Errors) != 1 || result.Theirs[0].Errors[0].Line == 0 || result.Theirs[1].Reason == "" || !result.NeedsALook() {
			t.Errorf("%+v", result.Theirs)
		}
		sameLines(t, "causes", causesText(result), "missingThere 1: -312.71 EUR")
		if why := result.Largest[0].Explanation; !strings.HasSuffix(why, "; but 1 line of their files could not be read") {
			t.Errorf("it says %q", why)
		}
	})
	t.Run("a line whose amount alone is bad", func(t *testing.T) {
		t.Parallel()
		comma := strings.Replace(string(good), "258.44", `"258,44"`, 1)
		result := reconciled(t, storyEnv(t), ReconcilePlan{Files: files(t, map[string][]byte{"a.csv": []byte(comma)})})
		sameLines(t, "causes", causesText(result), "missingThere 1: -312.71 EUR")
		if why := result.Largest[0].Explanation; !strings.Contains(why, "a line of theirs like it was refused, a.csv row ") || !strings.Contains(why, `subtotal "258,44": want`) {
			t.Errorf("it says %q", why)
		}
	})
}

// Whatever they bill: theirs - ours is the sum of the rows, per currency, and
// every line of either side stands in a match.
func TestReconcileAddsUp(t *testing.T) {
	if testing.Short() {
		t.Skip("a hundred files; TestReconcileNamesWhatWasPlanted stays")
	}
	t.Parallel()
	env := storyEnv(t)
	var all []row
	for _, partner := range []string{demoEuropean, demoAmerican} {
		all = append(all, billedRows(t, env, "2024-03", partner)...)
	}
	ours := totalsOf(all)
	dir := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		var rows []row
		for i, r := range all {
			r := r.clone()
			switch rapid.IntRange(0, 9).Draw(rt, fmt.Sprint("fate ", i)) {
			case 0: // dropped
				continue
			case 1:
				rows = append(rows, r.clone())
			case 2:
				cents := decimal.New(int64(rapid.IntRange(-5000, 5000).Draw(rt, "cents")), -2)
				r["Subtotal"] = decimal.RequireFromString(r["Subtotal"]).Add(cents).StringFixed(2)
				r["Total"] = decimal.RequireFromString(r["Total"]).Add(cents).StringFixed(2)
			case 3:
				r["OrderDate"], r["ChargeStartDate"] = "2024-03-20", "2024-03-20"
			case 4:
				r["SubscriptionId"] = "other"
			}
			rows = append(rows, r)
		}
		path := filepath.Join(dir, "recon.csv")
		if err := os.WriteFile(path, olderCSV(append(rows, all[0].clone())), 0o666); err != nil {
			rt.Fatal(err)
		}
		rows = append(rows, all[0])
		result, err := env.Reconcile(t.Context(), ReconcilePlan{Month: testMonth(t, "2024-03"), Files: []string{path}, Formats: []string{"csv"}, Partners: []string{demoEuropean, demoAmerican}})
		if err != nil {
			rt.Fatal(err)
		}
		sums := make(map[string]decimal.Decimal)
		for _, p := range result.Partners {
			for _, d := range differencesOf(t, env, result, p.PartnerID) {
				sums[d["Currency"]] = sums[d["Currency"]].Add(decimal.RequireFromString(d["DifferenceTotal"]))
			}
		}
		theirs := totalsOf(rows)
		for _, currency := range []string{"EUR", "USD"} {
			if want := theirs[currency].Sub(ours[currency]); !sums[currency].Equal(want) {
				rt.Errorf("the rows come to %s %s, theirs - ours is %s", sums[currency], currency, want)
			}
		}
	})
}

func totalsOf(rows []row) map[string]decimal.Decimal {
	sums := make(map[string]decimal.Decimal)
	for _, r := range rows {
		sums[r["Currency"]] = sums[r["Currency"]].Add(decimal.RequireFromString(r["Total"]))
	}
	return sums
}

func TestReconcileDisputes(t *testing.T) {
	t.Parallel()
	env := storyEnv(t)
	rows := billedRows(t, env, "2024-03", demoEuropean)
	changed := rowsOf(t, rows, voorbeeldStandard, "cycleCharge", "2024-03-15").rate("27", "9.945")
	for _, r := range rows {
		r["CustomerName"] = "=SUM(A1)"
	}
	gone := rows[0]
	if gone["ReferenceId"] == changed["ReferenceId"] {
		t.Fatal("the two are one")
	}
	dir := t.TempDir()
	for _, name := range []string{"ticket.csv", "ticket.xlsx"} {
		result := reconciled(t, env, ReconcilePlan{Files: files(t, map[string][]byte{"recon.csv": newerCSV(rows[1:])}), Disputes: filepath.Join(dir, name)})
		if result.Disputes != 1 || result.Open != 2 {
			t.Errorf("%s: %d disputes of %d open differences, want 1 of 2: what they did not bill is nothing to dispute", name, result.Disputes, result.Open)
		}
	}
	text := string(readFile(t, dir, "ticket.csv"))
	for _, want := range []string{voorbeeldStandard, "G0202403", "312.71,324.73,12.02,EUR", "the quantity is that of the subscription"} {
		if !strings.Contains(text, want) {
			t.Errorf("ticket.csv has no %q:\n%s", want, text)
		}
	}
	sameLines(t, "files", below(t, dir), "ticket.csv", "ticket.xlsx")
}
