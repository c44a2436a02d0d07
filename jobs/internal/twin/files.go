package twin

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2" //nolint:depguard // made-up test cases, drawn from a given seed
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Files is where one step's inputs were written.
type Files struct {
	// Inputs is the folder with everything but charges; blank when there is none.
	Inputs string
	// Charges are the files of charges rated elsewhere, to be taken in by month, in this order.
	Charges []WrittenCharges
}

// WrittenCharges is one file of charges rated elsewhere.
type WrittenCharges struct {
	Month Month
	Path  string
}

// WriteFiles writes the inputs of every ingest step of a life below dir, in the
// real formats, one folder a step. The result has one element a step.
func (l Life) WriteFiles(dir string) ([]Files, error) {
	written := make([]Files, len(l.Steps))
	for i, s := range l.Steps {
		if s.Kind != StepIngest {
			continue
		}
		files, err := s.Inputs.WriteFiles(filepath.Join(dir, fmt.Sprintf("step-%03d", i)))
		if err != nil {
			return nil, err
		}
		written[i] = files
	}
	return written, nil
}

// WriteFiles writes inputs as real files: everything but charges into dir/in, and
// the charges into dir/charges/<month>.
func (w World) WriteFiles(dir string) (Files, error) {
	var files Files
	in := filepath.Join(dir, "in")
	texts := w.inputTexts()
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		if err := writeFile(filepath.Join(in, name), texts[name]); err != nil {
			return Files{}, err
		}
		files.Inputs = in
	}
	for _, f := range w.Charges {
		path := filepath.Join(dir, "charges", f.Month.String(), f.Name+".csv")
		if err := writeFile(path, chargesText(f)); err != nil {
			return Files{}, err
		}
		files.Charges = append(files.Charges, WrittenCharges{f.Month, path})
	}
	return files, nil
}

func writeFile(path, text string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(text), 0o644)
}

// inputTexts are the files of everything but charges, by name.
func (w World) inputTexts() map[string]string {
	texts := map[string]string{}
	if len(w.Partners) > 0 {
		texts["partners.csv"] = w.partnersText()
	}
	if len(w.Customers) > 0 {
		texts["customers.csv"] = w.customersText()
	}
	for _, s := range w.Sheets {
		texts["prices-"+s.Market+"-"+s.Month.String()+".csv"] = sheetText(s)
	}
	if len(w.FX) > 0 {
		texts["fxrates.csv"] = w.ratesText()
	}
	if len(w.Promotions) > 0 {
		texts["promotions.json"] = w.promotionsText()
	}
	if len(w.Offers) > 0 {
		texts["offermatrix.csv"] = w.offersText()
	}
	if len(w.Changes) > 0 {
		texts["changes.jsonl"] = w.changesText()
	}
	return texts
}

// table writes a CSV.
func table(header []string, rows [][]string, crlf bool) string {
	var b strings.Builder
	out := csv.NewWriter(&b)
	out.UseCRLF = crlf
	if err := out.WriteAll(append([][]string{header}, rows...)); err != nil {
		panic(err)
	}
	return b.String()
}

func (w World) partnersText() string {
	var rows [][]string
	for _, p := range w.Partners {
		rows = append(rows, []string{p.ID, p.Name, p.Country, p.Currency, p.MpnID, p.TaxRate})
	}
	return table([]string{"PartnerId", "PartnerName", "Country", "BillingCurrency", "MpnId", "TaxRate"}, rows, false)
}

func (w World) customersText() string {
	var rows [][]string
	for _, c := range w.Customers {
		rows = append(rows, []string{c.ID, c.Name, c.Domain, c.Market, c.Segment, c.PartnerID, c.ResellerMpnID})
	}
	return table([]string{"CustomerId", "CustomerName", "CustomerDomainName", "CustomerCountry", "Segment", "PartnerId", "ResellerMpnId"}, rows, false)
}

func sheetText(s Sheet) string {
	header := []string{
		"ProductTitle", "ProductId", "SkuId", "SkuTitle", "Publisher", "SkuDescription", "UnitOfMeasure", "TermDuration", "BillingPlan",
		"Market", "Currency", "UnitPrice", "PricingTierRangeMin", "PricingTierRangeMax", "EffectiveStartDate", "EffectiveEndDate", "Tags", "ERP Price",
	}
	if !s.NoSegmentColumn {
		header = append(header, "Segment")
	}
	if s.ExtraColumns {
		header = append(append([]string{"ChangeIndicator"}, header...), "PreviousValues")
	}
	var rows [][]string
	for _, r := range s.Rows {
		row := []string{
			r.ProductTitle, r.ProductID, r.SkuID, r.SkuTitle, r.Publisher, "Seats, by the term", "", r.Term, r.Plan,
			s.Market, r.Currency, r.UnitPrice, r.TierMin, r.TierMax, r.Start, r.End, "License", "",
		}
		if !s.NoSegmentColumn {
			row = append(row, r.Segment)
		}
		if s.ExtraColumns {
			row = append(append([]string{"Unchanged"}, row...), "")
		}
		rows = append(rows, row)
	}
	text := table(header, rows, s.CRLF)
	if s.ByteOrderMark {
		text = "\ufeff" + text
	}
	return text
}

func (w World) ratesText() string {
	var rows [][]string
	for _, r := range w.FX {
		month := r.Month.Compact()
		if r.Slashed {
			year, m, _ := r.Month.First().YMD()
			month = fmt.Sprintf("%d/1/%d", m, year)
		}
		rows = append(rows, []string{r.Currency, r.USDPerUnit, month})
	}
	return table([]string{"CurrencyCode", "USDPerUnit", "Month"}, rows, false)
}

func (w World) promotionsText() string {
	var items []any
	for _, p := range w.Promotions {
		items = append(items, map[string]any{
			"id": p.ID, "name": p.ID, "startDate": p.Start, "endDate": p.End,
			"requiredProducts": []any{map[string]any{
				"productId": p.ProductID, "skuId": p.SkuID,
				"term":            map[string]any{"duration": p.Term, "billingCycle": p.Plan},
				"pricingPolicies": []any{map[string]any{"policyType": "PercentDiscount", "value": p.Discount}},
			}},
		})
	}
	text, err := json.MarshalIndent(map[string]any{"totalCount": len(items), "items": items}, "", "  ")
	if err != nil {
		panic(err)
	}
	return string(text) + "\n"
}

func (w World) offersText() string {
	header := []string{
		"ProductTitle", "ProductId", "SkuId", "SkuTitle", "ProvisioningId", "ProvisioningString", "MinLicenses", "MaxLicenses",
		"AssetOwnershipLimit", "AssetOwnershipLimitType", "ProductSkuPreRequisites", "ProductSkuConversion", "Description", "AllowedCountries",
	}
	var rows [][]string
	for _, o := range w.Offers {
		rows = append(rows, []string{
			"Offer " + o.ProductID, o.ProductID, o.SkuID, "Offer " + o.SkuID, "", "", o.Min, o.Max,
			"", "", "", o.Conversions, "", "",
		})
	}
	return table(header, rows, false)
}

func (w World) changesText() string {
	var b strings.Builder
	for _, c := range w.Changes {
		b.WriteString(c.JSON())
		b.WriteByte('\n')
	}
	return b.String()
}

// JSON is the change as one CloudEvent, its keys in the order of KeyOrder.
func (c Change) JSON() string {
	envelope := map[string]any{
		"specversion": "1.0", "id": c.ID, "source": "partner-center", "type": c.Type,
		"time": c.Time, "subject": c.Subject, "data": c.Data,
	}
	if c.Override != "" {
		envelope["override"] = c.Override
	}
	var b strings.Builder
	writeJSON(&b, envelope, rand.New(rand.NewPCG(c.KeyOrder, 7)))
	return b.String()
}

// writeJSON writes a value with the keys of objects shuffled.
func writeJSON(b *strings.Builder, value any, shuffle *rand.Rand) {
	object, ok := value.(map[string]any)
	if !ok {
		text, err := json.Marshal(value)
		if err != nil {
			panic(err)
		}
		b.Write(text)
		return
	}
	keys := slices.Sorted(maps.Keys(object))
	shuffle.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
	b.WriteByte('{')
	for i, key := range keys {
		if i > 0 {
			b.WriteByte(',')
		}
		writeJSON(b, key, shuffle)
		b.WriteByte(':')
		writeJSON(b, object[key], shuffle)
	}
	b.WriteByte('}')
}

func chargesText(f ChargeFile) string {
	var rows [][]string
	for _, r := range f.Rows {
		var row []string
		for _, column := range Columns {
			row = append(row, r[column])
		}
		rows = append(rows, row)
	}
	return table(Columns, rows, true)
}
