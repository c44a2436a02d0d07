package jobs

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/calends/calends/pricing"
)

// Each row is a file: its documents with their lines by month; then the months
// that each of them bills. name= is the month in the file's name, with= the one
// that the user gave.
func TestSettleMonths(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, files, want string }{
		{"an invoice bills the month of most of its lines", `
			G1 10:30 09:8`, `
			G1 10`},
		{"unbilled data of two months has both", `
			- 10:30 11:20`, `
			- 10 11`},
		{"a few lines dated elsewhere are no month", `
			- 10:30 11:5`, `
			- 10`},
		{"lines in the file of the next month were moved there", `
			- 10:30
			- 11:12 10:4`, `
			- 10
			- 11`},
		{"parts of one export both mix the months", `
			- 10:30 11:20
			- 11:30 10:20`, `
			- 10 11
			- 10 11`},
		{"of another partner's file nothing follows", `
			- 10:30 partner=B
			- 11:12 10:4`, `
			- 10
			- 10 11`},
		{"lines that kept their invoice number were moved, too", `
			G1 10:30
			- 11:12 ; G1 10:4`, `
			G1 10
			- 11 ; G1 11`},
		{"an invoice in two files is one all the same", `
			G1 10:30
			G1 10:4`, `
			G1 10
			G1 10`},
		{"several invoices of two months in two files", `
			G1 10:30 ; G2 11:30
			G1 10:4 ; G2 11:12`, `
			G1 10 ; G2 11
			G1 10 ; G2 11`},
		{"nothing but moved lines, under the number of the next invoice", `
			G041 10:30
			G042 10:4`, `
			G041 10
			G042 11`},
		{"and of the one before", `
			G041 10:30
			G040 10:4`, `
			G041 10
			G040 09`},
		{"unless another invoice is the next month's", `
			G041 10:30
			G042 10:4
			G043 11:30`, `
			G041 10
			G042 10
			G043 11`},
		{"the next invoice is in two files", `
			G041 10:30
			G042 10:4
			G042 11:30`, `
			G041 10
			G042 11
			G042 11`},
		{"two invoices of a month in two currencies", `
			G041 10:30
			G042 10:4 currency=USD`, `
			G041 10
			G042 10`},
		{"two invoices that are both large", `
			G041 10:30
			G042 10:20`, `
			G041 10
			G042 10`},
		{"numbers of two series tell nothing", `
			G041 10:30
			E042 10:4`, `
			G041 10
			E042 10`},
		{"the file's name tells where no number does", `
			- 10:30 name=10
			- 10:4 name=11`, `
			- 10
			- 11`},
		{"but not the folder of all", `
			- 10:30 name=11
			- 10:4 name=11`, `
			- 10
			- 10`},
		{"nor alone: an invoice arrives in the month after", `
			- 10:30 name=11`, `
			- 10`},
		{"the user knows", `
			G041 10:30
			G041 10:30 with=11`, `
			G041 10
			G041 11`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for _, turned := range []bool{false, true} {
				files := theirFiles(t, c.files)
				order := slices.Clone(files)
				if turned {
					slices.Reverse(order)
				}
				r := reading{files: order}
				if err := r.settle(); err != nil {
					t.Fatal(err)
				}
				var got []string
				for _, f := range files {
					var documents []string
					for _, d := range f.Documents {
						months := strings.ReplaceAll(strings.Join(d.Months, " "), "2025-", "")
						documents = append(documents, strings.TrimSpace(strings.Trim(d.Number, " ")+" "+months))
					}
					got = append(got, strings.Join(documents, " ; "))
				}
				want := strings.ReplaceAll(strings.Join(trimmedLines(c.want), "\n"), "- ", "")
				if strings.Join(got, "\n") != want {
					t.Errorf("turned %v: found\n%s\nwant\n%s", turned, strings.Join(got, "\n"), want)
				}
			}
		})
	}
}

func trimmedLines(text string) (lines []string) {
	for l := range strings.Lines(text) {
		if l = strings.TrimSpace(l); l != "" {
			lines = append(lines, l)
		}
	}
	return lines
}

func theirFiles(t *testing.T, text string) (files []*theirFile) {
	t.Helper()
	for i, l := range trimmedLines(text) {
		f := &theirFile{ReconciledFile: ReconciledFile{Name: fmt.Sprintf("%d.csv", i), SHA256: fmt.Sprint(i), Lines: 1}}
		for part := range strings.SplitSeq(l, " ; ") {
			words := strings.Fields(part)
			d := &document{number: strings.Trim(words[0], "-"), months: make(map[pricing.Month]int), partners: map[string]bool{"A": true}, currencies: map[string]bool{"EUR": true}}
			for _, word := range words[1:] {
				if partner, ok := strings.CutPrefix(word, "partner="); ok {
					d.partners = map[string]bool{partner: true}
					continue
				}
				if currency, ok := strings.CutPrefix(word, "currency="); ok {
					d.currencies = map[string]bool{currency: true}
					continue
				}
				if month, ok := strings.CutPrefix(word, "name="); ok {
					f.named = testMonth(t, "2025-"+month)
					continue
				}
				if month, ok := strings.CutPrefix(word, "with="); ok {
					f.given = testMonth(t, "2025-"+month)
					continue
				}
				month, lines := "", 0
				if _, err := fmt.Sscanf(strings.Replace(word, ":", " ", 1), "%s %d", &month, &lines); err != nil {
					t.Fatal(err)
				}
				d.months[testMonth(t, "2025-"+month)] = lines
			}
			f.documents = append(f.documents, d)
		}
		files = append(files, f)
	}
	return files
}
