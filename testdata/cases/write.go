package cases

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// WriteFiles writes the case's input files into dir, which is made if need be:
// partners.csv, customers.csv, a price sheet for every month from the first
// change to the last billed month, changes.jsonl, and promotions.json and
// fxrates.csv where the case has any.
func (c Case) WriteFiles(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	files, err := c.files()
	if err != nil {
		return err
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func (c Case) files() (map[string][]byte, error) {
	files := map[string][]byte{
		"partners.csv": table("PartnerId,PartnerName,Country,BillingCurrency,MpnId,TaxRate",
			[]string{PartnerID, "The partner", c.customer.market, c.partner.currency, "6100001", c.partner.taxRate}),
		"customers.csv": table("CustomerId,CustomerName,CustomerDomainName,CustomerCountry,Segment,PartnerId,ResellerMpnId",
			[]string{CustomerID, "The customer", "customer.onmicrosoft.com", c.customer.market, c.customer.segment, PartnerID, ""}),
	}
	var err error
	if files["changes.jsonl"], err = c.jsonLines(); err != nil {
		return nil, err
	}
	for _, month := range c.sheetMonths() {
		files["prices-"+c.customer.market+"-"+month+".csv"] = c.sheet()
	}
	if len(c.promotions) > 0 {
		if files["promotions.json"], err = c.promotionsJSON(); err != nil {
			return nil, err
		}
	}
	if len(c.rates) > 0 {
		var rows [][]string
		for _, r := range c.rates {
			rows = append(rows, []string{r.currency, r.usd, strings.ReplaceAll(r.month, "-", "")})
		}
		files["fxrates.csv"] = table("CurrencyCode,USDPerUnit,Month", rows...)
	}
	return files, nil
}

// sheetMonths leaves no month without a sheet of its own, so that no case gets
// a PRICE_LIST_STALE that it does not ask for.
func (c Case) sheetMonths() []string {
	first, last := slices.Min(c.months), slices.Max(c.months)
	for _, change := range c.changes {
		first, last = min(first, change.at.Format("2006-01")), max(last, change.at.Format("2006-01"))
	}
	var months []string
	month, err := time.Parse("2006-01", first)
	if err != nil {
		panic(err) // the parser has read it
	}
	for ; month.Format("2006-01") <= last; month = month.AddDate(0, 1, 0) {
		months = append(months, month.Format("2006-01"))
	}
	return months
}

func (c Case) sheet() []byte {
	segment := c.customer.segment
	if segment == "" {
		segment = "Commercial"
	}
	var rows [][]string
	for _, p := range c.prices {
		s := c.products[p.product]
		rows = append(rows, []string{s.title, s.productID, s.skuID, s.title, "Microsoft Corporation", "", "", p.term, p.plan,
			c.customer.market, p.currency, p.unitPrice, "", "", p.from, p.until, "License", "", segment})
	}
	return table("ProductTitle,ProductId,SkuId,SkuTitle,Publisher,SkuDescription,UnitOfMeasure,TermDuration,BillingPlan,Market,Currency,UnitPrice,PricingTierRangeMin,PricingTierRangeMax,EffectiveStartDate,EffectiveEndDate,Tags,ERP Price,Segment", rows...)
}

func (c Case) promotionsJSON() ([]byte, error) {
	type object = map[string]any
	items := []object{}
	for _, p := range c.promotions {
		percent, ok := new(big.Rat).SetString(strings.TrimSuffix(p.percent, "%"))
		if !ok {
			return nil, fmt.Errorf("%s: promotion %s: %q is no percentage", c.ID, p.id, p.percent)
		}
		value := strings.TrimRight(percent.Quo(percent, big.NewRat(100, 1)).FloatString(10), "0")
		s := c.products[p.product]
		items = append(items, object{"id": p.id, "name": p.id, "startDate": p.from + "T00:00:00+00:00", "endDate": p.until + "T23:59:59+00:00",
			"requiredProducts": []object{{"productId": s.productID, "skuId": s.skuID, "term": object{"duration": p.term, "billingCycle": p.plan},
				"pricingPolicies": []object{{"policyType": "PercentDiscount", "value": value}}}}})
	}
	return json.MarshalIndent(object{"totalCount": len(items), "items": items}, "", "  ")
}

// jsonLines numbers the changes: their ids keep the order of the case where
// two have the same time.
func (c Case) jsonLines() ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	for i, change := range c.changes {
		event := map[string]any{"specversion": "1.0", "id": fmt.Sprintf("%s-%02d", c.ID, i+1), "source": "cases", "type": change.kind,
			"time": change.at.Format(time.RFC3339), "subject": change.subject, "data": change.data}
		if change.override != "" {
			event["override"] = change.override
		}
		if err := encoder.Encode(event); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), nil
}

func table(header string, rows ...[]string) []byte {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	if err := w.WriteAll(append([][]string{strings.Split(header, ",")}, rows...)); err != nil {
		panic(err) // a bytes.Buffer takes everything
	}
	return b.Bytes()
}
