// Command generate writes the demo world: the input files beside it and the
// table of changes in testdata/README.md. It has no clock and no randomness:
//
//	go run ./testdata/demo/generate
//
// rewrites the same bytes.
package main

import (
	"archive/zip"
	"bytes"
	"cmp"
	"compress/gzip"
	"crypto/sha256"
	"encoding/csv"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go"
)

var (
	markets = []string{"CH", "DE", "GB", "JP", "KW", "NL", "US"}
	months  = []string{"2024-01", "2024-02", "2024-03", "2024-04", "2024-05", "2024-06", "2024-07",
		"2024-08", "2024-09", "2024-10", "2024-11", "2024-12", "2025-01", "2025-02"}
)

func main() {
	dir := flag.String("dir", "testdata/demo", "the folder to write")
	readme := flag.String("readme", "testdata/README.md", "the page whose table of changes is rewritten")
	flag.Parse()
	if err := run(*dir, *readme); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func run(dir, readme string) error {
	files, err := world()
	if err != nil {
		return err
	}
	// What an earlier version wrote must not stay behind.
	for _, name := range []string{"prices", "changes", "charges", "bad", "late", "microsoft"} {
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, files[name], 0o644); err != nil {
			return err
		}
	}
	page, err := os.ReadFile(readme)
	if err != nil {
		return err
	}
	page, err = withTable(page)
	if err != nil {
		return fmt.Errorf("%s: %w", readme, err)
	}
	return os.WriteFile(readme, page, 0o644)
}

// world returns every file of the demo by its path.
func world() (map[string][]byte, error) {
	files := map[string][]byte{
		"partners.csv":    partnersCSV(),
		"customers.csv":   customersCSV(),
		"offermatrix.csv": offerMatrix(),
		"fxrates.csv":     fxRates(),

		"charges/rated-elsewhere-2024-03.csv": []byte(chargesCSV()),

		"changes/takeover.csv":            bulkCSV(takeover),
		"changes/2024-01.jsonl":           jsonLines(january),
		"changes/2024-02.jsonl":           withDuplicate(february),
		"changes/2024-03.jsonl":           jsonLines(march),
		"changes/2024-04.jsonl":           jsonLines(april),
		"changes/2024-05-and-after.jsonl": jsonLines(afterwards),
		"late/changes.jsonl":              jsonLines(late),
		// The sheet of March once more, now with Guides.
		"late/prices/2024-03/US.csv": styleOf("US", "2024-03").sheet(withGuides()),
	}
	var err error
	if files["promotions.json"], err = promotionsJSON(); err != nil {
		return nil, err
	}
	if files["changes/reidai.parquet"], err = bulkParquet(reidai); err != nil {
		return nil, err
	}
	for _, month := range months {
		zipped := map[string][]byte{}
		for _, market := range markets {
			sheet, name := sheetOf(market, month), "prices/"+month+"/"+market+".csv"
			switch market + " " + month {
			case "KW 2024-04": // no sheet: March's governs, with a warning
				continue
			case "JP 2024-03":
				name += ".gz"
				if sheet, err = gzipped(sheet); err != nil {
					return nil, err
				}
			}
			if month == "2024-06" {
				zipped[month+"/"+market+".csv"] = sheet
				continue
			}
			files[name] = sheet
		}
		if len(zipped) > 0 {
			if files["prices/"+month+".zip"], err = zipOf(zipped); err != nil {
				return nil, err
			}
		}
	}
	for name, content := range broken() {
		files["bad/"+name] = content
	}
	billed, err := microsoft(files)
	if err != nil {
		return nil, fmt.Errorf("microsoft: %w", err)
	}
	maps.Copy(files, billed)
	return files, nil
}

// guid derives an id that never changes from what it stands for.
func guid(of string) string {
	h := sha256.Sum256([]byte("calends demo: " + of))
	h[6], h[8] = h[6]&0x0f|0x40, h[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", h[:4], h[4:6], h[6:8], h[8:10], h[10:16])
}

func partnerID(key string) string      { return guid("partner " + key) }
func customerID(key string) string     { return guid("customer " + key) }
func subscriptionID(key string) string { return guid("subscription " + key) }
func eventIDOf(name string) string     { return guid("event " + name) }
func orderID(sub string) string        { return strings.ReplaceAll(guid("order "+sub), "-", "")[:12] }

func availabilityID(s sku) string {
	return "CFQ7TTC0" + strings.ToUpper(strings.ReplaceAll(guid("availability "+s.key), "-", "")[:4])
}

func promotionID(key string) string {
	i := slices.IndexFunc(promotions, func(p promotion) bool { return p.key == key })
	return promotions[i].id
}

func customerOf(sub string) string {
	key, _, _ := strings.Cut(sub, "/")
	return key
}

func (c change) eventID() string {
	return eventIDOf(cmp.Or(c.name, c.At+" "+c.Type+" "+c.Subject+" "+c.Customer))
}

func (c change) subject() string {
	if c.Subject == "" {
		return customerID(c.Customer)
	}
	return subscriptionID(c.Subject)
}

// cloudEvent is a change as a line of JSON.
type cloudEvent struct {
	SpecVersion string `json:"specversion"`
	ID          string `json:"id"`
	Source      string `json:"source"`
	Type        string `json:"type"`
	Time        string `json:"time"`
	Subject     string `json:"subject"`
	Override    string `json:"override,omitempty"`
	Data        data   `json:"data"`
}

const source = "partner-center"

func (c change) cloudEvent() cloudEvent {
	d := c.Data
	d.CustomerID = customerID(c.Customer)
	return cloudEvent{"1.0", c.eventID(), source, c.Type, c.At + ":00Z", c.subject(), c.Override, d}
}

func jsonLines(changes []change) []byte {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	for _, c := range changes {
		if err := encoder.Encode(c.cloudEvent()); err != nil {
			panic(err) // the table holds nothing that JSON cannot
		}
	}
	return b.Bytes()
}

// withDuplicate repeats the change named twice, with its keys in another order.
func withDuplicate(changes []change) []byte {
	i := slices.IndexFunc(changes, func(c change) bool { return c.name == "twice" })
	var content map[string]any
	once := jsonLines(changes[i : i+1])
	decoder := json.NewDecoder(bytes.NewReader(once))
	decoder.UseNumber()
	if err := decoder.Decode(&content); err != nil {
		panic(err)
	}
	again, err := json.Marshal(content) // sorted keys
	if err != nil {
		panic(err)
	}
	return slices.Concat(jsonLines(changes[:i+1]), again, []byte("\n"), jsonLines(changes[i+1:]))
}

// bulk is a purchase or a seat change as flat columns.
type bulk struct {
	SpecVersion    string  `parquet:"specversion,dict"`
	ID             string  `parquet:"id"`
	Source         string  `parquet:"source,dict"`
	Type           string  `parquet:"type,dict"`
	Time           string  `parquet:"time"`
	Subject        string  `parquet:"subject"`
	CustomerID     string  `parquet:"customerId,dict"`
	ProductID      *string `parquet:"productId,optional,dict"`
	SkuID          *string `parquet:"skuId,optional,dict"`
	TermDuration   *string `parquet:"termDuration,optional,dict"`
	BillingCycle   *string `parquet:"billingCycle,optional,dict"`
	Quantity       *int64  `parquet:"quantity,optional"`
	OrderID        *string `parquet:"orderId,optional"`
	AvailabilityID *string `parquet:"availabilityId,optional"`
	UnitPrice      *string `parquet:"unitPrice,optional"`
	Currency       *string `parquet:"currency,optional"`
}

func (c change) bulk() bulk {
	e := c.cloudEvent()
	text := func(s string) *string {
		if s == "" {
			return nil
		}
		return &s
	}
	return bulk{e.SpecVersion, e.ID, e.Source, e.Type, e.Time, e.Subject, e.Data.CustomerID,
		text(e.Data.ProductID), text(e.Data.SkuID), text(e.Data.TermDuration), text(e.Data.BillingCycle), e.Data.Quantity,
		text(e.Data.OrderID), text(e.Data.AvailabilityID), text(string(e.Data.UnitPrice)), text(e.Data.Currency)}
}

func bulkCSV(changes []change) []byte {
	records := [][]string{strings.Split("specversion,id,source,type,time,subject,customerId,productId,skuId,termDuration,billingCycle,quantity,orderId,availabilityId,unitPrice,currency", ",")}
	for _, c := range changes {
		e := c.cloudEvent()
		d := e.Data
		records = append(records, []string{e.SpecVersion, e.ID, e.Source, e.Type, e.Time, e.Subject, d.CustomerID, d.ProductID, d.SkuID,
			d.TermDuration, d.BillingCycle, strconv.FormatInt(*d.Quantity, 10), d.OrderID, d.AvailabilityID, string(d.UnitPrice), d.Currency})
	}
	return table(records)
}

func bulkParquet(changes []change) ([]byte, error) {
	var b bytes.Buffer
	// CreatedBy would otherwise carry the build's version.
	w := parquet.NewGenericWriter[bulk](&b, parquet.Compression(&parquet.Snappy), parquet.CreatedBy("calends-demo", "1", "0"))
	for _, c := range changes {
		if _, err := w.Write([]bulk{c.bulk()}); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func table(records [][]string) []byte {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	if err := w.WriteAll(records); err != nil {
		panic(err) // a bytes.Buffer takes everything
	}
	return b.Bytes()
}

func partnersCSV() []byte {
	records := [][]string{{"PartnerId", "PartnerName", "Country", "BillingCurrency", "MpnId", "TaxRate"}}
	for _, p := range partners {
		records = append(records, []string{partnerID(p.key), p.name, p.country, p.currency, p.mpn, p.tax})
	}
	return table(records)
}

func customersCSV() []byte {
	records := [][]string{{"CustomerId", "CustomerName", "CustomerDomainName", "CustomerCountry", "Segment", "PartnerId", "ResellerMpnId"}}
	for _, c := range customers {
		records = append(records, []string{customerID(c.key), c.name, c.domain + ".onmicrosoft.com", c.country, c.segment, partnerID(c.partner), c.reseller})
	}
	return table(records)
}

func offerMatrix() []byte {
	records := [][]string{strings.Split("ProductTitle,ProductId,SkuId,SkuTitle,ProvisioningId,ProvisioningString,MinLicenses,MaxLicenses,AssetOwnershipLimit,AssetOwnershipLimitType,ProductSkuPreRequisites,ProductSkuConversion,Description,AllowedCountries", ",")}
	for _, s := range catalogue {
		if s.key == "PBIE" {
			continue // one SKU with Power BI Pro: the matrix knows no segments
		}
		var targets []string
		for _, key := range strings.Fields(s.targets) {
			t := bySKU(key)
			targets = append(targets, t.product+"/"+t.id)
		}
		records = append(records, []string{s.title, s.product, s.id, s.title, guid("provisioning " + s.key), "DEMO_" + s.key, "1",
			strconv.FormatInt(cmp.Or(s.max, 10_000_000), 10), "", "", "", strings.Join(targets, ","), "", strings.ReplaceAll(s.markets, " ", ";")})
	}
	return table(records)
}

// fxRates spells the months of 2024 as 202401 and those of 2025 as 1/1/2025.
func fxRates() []byte {
	records := [][]string{{"CurrencyCode", "USDPerUnit", "Month"}}
	for _, r := range rates {
		first, err := time.Parse("2006-01", r.month)
		if err != nil {
			panic(err)
		}
		month := first.Format("200601")
		if first.Year() == 2025 {
			month = first.Format(dayDates)
		}
		for i, cur := range []string{"EUR", "GBP", "CHF", "JPY", "KWD"} {
			records = append(records, []string{cur, r.usd[i], month})
		}
	}
	return table(records)
}

func promotionsJSON() ([]byte, error) {
	type object = map[string]any
	var items []object
	for _, p := range promotions {
		s := bySKU(p.sku)
		items = append(items, object{
			"id": p.id, "name": p.name, "description": p.name, "startDate": p.start, "endDate": p.end,
			"properties": object{"isAutoApplicable": true},
			"requiredProducts": []object{{
				"productId": s.product, "skuId": s.id, "term": object{"duration": p.term, "billingCycle": p.billing},
				"pricingPolicies": []object{{"policyType": "PercentDiscount", "value": p.value}},
			}},
		})
	}
	b, err := json.MarshalIndent(object{"totalCount": len(items), "items": items, "attributes": object{"objectType": "Collection"}}, "", "  ")
	return append(b, '\n'), err
}

func gzipped(content []byte) ([]byte, error) {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(content); err != nil {
		return nil, err
	}
	err := w.Close()
	return b.Bytes(), err
}

func zipOf(files map[string][]byte) ([]byte, error) {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		f, err := w.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate})
		if err != nil {
			return nil, err
		}
		if _, err := f.Write(files[name]); err != nil {
			return nil, err
		}
	}
	err := w.Close()
	return b.Bytes(), err
}
