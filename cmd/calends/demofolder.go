package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/calends/calends/exports"
	"github.com/calends/calends/jobs"
	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pricing"
	"github.com/calends/calends/testdata"
)

// demoFolder is where a demo plays.
type demoFolder string

// demoMark says that a folder is a demo's.
const demoMark = "calends-demo.txt"

const demoMarkText = "Made by: calends demo\n\ninputs        what came in\ncalends-data  the bucket\nexport        the months' files\nreconcile     March beside Microsoft's\n\n" +
	"Running the demo again on this folder finishes it. It can be removed at any time.\n"

func (f demoFolder) inputs() string { return filepath.Join(string(f), "inputs") }

func (f demoFolder) export(month string) string { return filepath.Join(string(f), "export", month) }

// prepare makes the folder and unpacks the inputs. It refuses a folder that
// holds something of somebody else's.
func (f demoFolder) prepare() error {
	entries, err := os.ReadDir(string(f))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("demo: %w: %w", jobs.ErrUsage, err)
	}
	if len(entries) > 0 {
		if _, err := os.Stat(filepath.Join(string(f), demoMark)); err != nil {
			return fmt.Errorf("demo: %w: folder %s is not empty and no earlier demo; give another one", jobs.ErrUsage, f)
		}
	}
	if err := unpack(filepath.Join(string(f), demoMark), []byte(demoMarkText)); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	return fs.WalkDir(testdata.Demo, "demo", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := testdata.Demo.ReadFile(name)
		if err == nil {
			err = unpack(filepath.Join(f.inputs(), filepath.FromSlash(strings.TrimPrefix(name, "demo/"))), data)
		}
		if err != nil {
			return fmt.Errorf("demo: %w", err)
		}
		return nil
	})
}

// unpack writes a file, whole or not at all. It does not touch one that somebody
// has changed.
func unpack(name string, data []byte) error {
	there, err := os.ReadFile(name)
	switch {
	case err == nil && bytes.Equal(there, data):
		return nil
	case err == nil:
		return fmt.Errorf("%w: %s is not as this demo ships it; give another folder", jobs.ErrUsage, name)
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
		return err
	}
	part := filepath.Join(filepath.Dir(name), "."+filepath.Base(name))
	if err := os.WriteFile(part, data, 0o666); err != nil {
		return err
	}
	return os.Rename(part, name)
}

// demoLine is a line of the open month with a date of a closed one.
type demoLine struct {
	Date       string `json:"date"`
	Customer   string `json:"customer"`
	Product    string `json:"product"`
	ChargeType string `json:"chargeType"`
	Quantity   string `json:"quantity"`
	Subtotal   string `json:"subtotal"`
	Currency   string `json:"currency"`
	Why        string `json:"why"`
}

// lateLines reads the month's export: which of its lines belong to earlier
// months, and what the partners are called.
func (f demoFolder) lateLines(name string) (lines []demoLine, names map[string]string, err error) {
	month, err := pricing.ParseMonth(name)
	if err != nil {
		return nil, nil, err
	}
	names = make(map[string]string)
	folders, err := filepath.Glob(filepath.Join(f.export("*"), "partner=*"))
	if err != nil {
		return nil, nil, err
	}
	for _, folder := range folders {
		inv, err := readHeader(filepath.Join(folder, "invoice.json"))
		if err != nil {
			return nil, nil, err
		}
		names[inv.PartnerID] = inv.PartnerName
		if inv.Month != month {
			continue
		}
		late, err := readLate(filepath.Join(folder, "reconciliation.csv"), inv)
		if err != nil {
			return nil, nil, err
		}
		lines = append(lines, late...)
	}
	return lines, names, nil
}

func readHeader(name string) (*invoice.Invoice, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	inv, _, err := exports.ReadInvoice(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return inv, nil
}

func readLate(name string, inv *invoice.Invoice) ([]demoLine, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	type occasion struct {
		subscription, chargeType string
		date                     pricing.Date
	}
	takenBack := make(map[occasion]bool)
	var late []demoLine
	for l, err := range exports.ReadLines(file) {
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if l.OrderDate >= inv.Month.First() {
			continue
		}
		o := occasion{l.SubscriptionID, l.ChargeType, l.OrderDate}
		why := "was not billed yet"
		switch {
		case l.CreditReasonCode == "Correction":
			why = strings.Trim(l.PriceAdjustment, `[]"`)
			takenBack[o] = true
		case takenBack[o]:
			why = "issued anew" // it follows the line that is taken back
		}
		late = append(late, demoLine{l.OrderDate.String(), l.Account.CustomerName, l.Item.SkuName, l.ChargeType, l.BillableQuantity.String(),
			pricing.FormatMinor(l.Subtotal, inv.MinorDigits), l.Currency, why})
	}
	return late, nil
}
