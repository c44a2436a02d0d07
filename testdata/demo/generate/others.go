package main

import (
	"fmt"
	"slices"
	"strings"
)

// withGuides is the US sheet of March with the rows that were left out of it.
func withGuides() []row {
	rows := rowsOf("US", "2024-03")
	for _, key := range strings.Fields(bySKU("DG").plans) {
		s := bySKU("DG")
		s.segment = "Commercial"
		rows = append(rows, priced(s, key, "US", "USD", "2024-03"))
	}
	return slices.Concat(rows, tiered(), perpetual())
}

// charge is what Microsoft rated itself: a row of its reconciliation file.
type charge struct {
	customer, order, day, product, sku, skuName, name, kind string
	unit, quantity, subtotal, total, currency, adjustment   string
	start, end, term, effective, unitType, meter, publisher string
	subscription                                            string
}

// chargesCSV is Microsoft's file for the American partner, in its own columns
// and dates. Subtotal of usage: cut to cents after EffectiveUnitPrice x quantity.
func chargesCSV() string {
	const credit = `["15.0% Partner earned credit for services managed"]`
	rows := []charge{
		{"placeholder", "8a1b2c3d4e5f", "3/31/2024", "DZH318Z0BQ3Q", "00H5", "Virtual Machines Dsv3 Series - D2s v3", "Azure plan", "Usage", "0.096", "744", "60.71", "60.71", "USD", credit, "3/1/2024", "3/31/2024", "D2s v3 (1 Hour)", "0.0816", "1 Hour", "Virtual Machines Dsv3 Series - D2s v3 - US East", "Microsoft", "azure"},
		{"placeholder", "8a1b2c3d4e5f", "3/31/2024", "DZH318Z0BNZ5", "006G", "Tables - LRS", "Azure plan", "Usage", "0.045", "1250.5", "47.83", "47.83", "USD", credit, "3/1/2024", "3/31/2024", "Data Stored (GB/Month)", "0.03825", "1 GB/Month", "Tables - LRS Data Stored (GB/Month)", "Microsoft", "azure"},
		{"exemplar", "77aa88bb99cc", "3/31/2024", "DZH318Z0BPS6", "00JX", "Bandwidth - Zone 1", "Azure plan", "Usage", "0.087", "312.25", "23.09", "23.09", "USD", credit, "3/1/2024", "3/31/2024", "Data Transfer Out (GB)", "0.07395", "1 GB", "Bandwidth - Data Transfer Out - Zone 1", "Microsoft", "azure"},
		{"exemplar", "0c1d2e3f4a5b", "3/11/2024", "DG7GMGF0D5SL", "0007", "Windows Server 2022 CAL - 1 Device", "Windows Server 2022 CAL", "new", "39.1", "25", "977.50", "977.50", "USD", "", "3/11/2024", "3/11/2024", "OneTime", "39.1", "License", "", "Microsoft", ""},
		{"dairy", "5f5e5d5c5b5a", "3/20/2024", "DZH318Z0XXXX", "0001", "Herd Ledger, Professional", "Herd Ledger", "new", "49", "1", "49.00", "49.00", "USD", "", "3/20/2024", "4/19/2024", "One-Month commitment for monthly billing", "49", "License", "", "Sample Publisher LLC", "ledger"},
		// Another currency than the partner's: CURRENCY_MISMATCH, not billed.
		{"dairy", "5f5e5d5c5b5b", "3/21/2024", "DZH318Z0XXXX", "0002", "Herd Ledger, Add-on", "Herd Ledger", "new", "9", "2", "18.00", "18.00", "EUR", "", "3/21/2024", "4/19/2024", "One-Month commitment for monthly billing", "9", "License", "", "Sample Publisher LLC", "ledger"},
	}
	header := "PartnerId,CustomerId,CustomerName,CustomerDomainName,CustomerCountry,InvoiceNumber,MPNID,ResellerMPNID,OrderId,OrderDate,ProductId,SkuId,AvailabilityId,SkuName,ProductName,ChargeType,UnitPrice,Quantity,Subtotal,TaxTotal,Total,Currency,PriceAdjustmentDescription,PublisherName,PublisherId,SubscriptionDescription,SubscriptionId,ChargeStartDate,ChargeEndDate,TermAndBillingCycle,EffectiveUnitPrice,UnitType,AlternateId,BillableQuantity,BillingFrequency,PricingCurrency,PCToBCExchangeRate,PCToBCExchangeRateDate,MeterDescription,ReservationOrderId,CreditReasonCode,SubscriptionStartDate,SubscriptionEndDate,ReferenceID,ProductQualifiers,PromotionID"
	records := [][]string{strings.Split(header, ",")}
	for i, r := range rows {
		c := customers[slices.IndexFunc(customers, func(c customer) bool { return c.key == r.customer })]
		subscription := ""
		if r.subscription != "" {
			subscription = subscriptionID(r.customer + "/" + r.subscription)
		}
		records = append(records, []string{partnerID("sampleton"), customerID(c.key), c.name, c.domain + ".onmicrosoft.com", c.country, "G045210881", "6100002", c.reseller,
			r.order, r.day, r.product, r.sku, "", r.skuName, r.name, r.kind, r.unit, r.quantity, r.subtotal, "0.00", r.total, r.currency, r.adjustment,
			r.publisher, "", r.name, subscription, r.start, r.end, r.term, r.effective, r.unitType, r.order, r.quantity, "",
			r.currency, "1", "3/1/2024", r.meter, "", "", "", "", guid(fmt.Sprint("charge ", i)), "", ""})
	}
	return string(table(records))
}

// broken are inputs to be refused, and one good line between bad ones.
func broken() map[string][]byte {
	// One field of one line of a good sheet is spoilt.
	sheet := func(line int, column, value string) []byte {
		plain := style{}
		rows := rowsOf("DE", "2024-03")[:6]
		lines := []string{plain.line(plain.columns())}
		for i, r := range rows {
			fields := plain.fields(r)
			if i+2 == line {
				at := slices.Index(plain.columns(), column)
				fields[at] = value
				if column == "Tags" { // ragged: a field is missing
					fields = slices.Delete(fields, at, at+1)
				}
			}
			lines = append(lines, plain.line(fields))
		}
		return []byte(strings.Join(lines, ""))
	}
	good := buy("2024-03-21T15:00", "dairy/frontline", "F3", "m", 3)
	events := strings.Split(strings.TrimSuffix(string(jsonLines([]change{
		seats("2024-03-21T16:00", "dairy/frontline", 4), good, seats("2024-03-21T17:00", "dairy/frontline", 5), seats("2024-03-21T18:00", "dairy/frontline", 6),
	})), "\n"), "\n")
	events[0] = events[0][:len(events[0])-20]
	events[2] = strings.Replace(events[2], `"2024-03-21T17:00:00Z"`, `"21 March 2024, 5 pm"`, 1)
	events[3] = strings.Replace(events[3], `"quantity":6`, `"quantity":"six"`, 1)
	return map[string][]byte{
		"prices-DE-2024-03-ragged.csv":           sheet(4, "Tags", ""),
		"prices-DE-2024-03-decimal-comma.csv":    sheet(3, "UnitPrice", "1,5"),
		"prices-DE-2024-03-date.csv":             sheet(5, "EffectiveStartDate", "31/31/2026"),
		"prices-DE-2024-03-unknown-currency.csv": sheet(6, "Currency", "EURO"),
		"prices-without-a-month.csv":             sheet(0, "", ""),
		"partners-unknown-currency.csv":          []byte("PartnerId,PartnerName,Country,BillingCurrency,MpnId,TaxRate\n" + partnerID("fantasia") + ",Fantasia Cloud,NL,XFT,6100009,0\n"),
		"changes.jsonl":                          []byte(strings.Join(events, "\n") + "\n"),
		"what-is-this.csv":                       []byte("Apples,Pears\n1,2\n"),
	}
}

// withTable puts the table of changes between the page's two marks.
func withTable(page []byte) ([]byte, error) {
	const begin, end = "<!-- changes: written by demo/generate -->\n", "<!-- end of changes -->"
	before, rest, ok := strings.Cut(string(page), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		return nil, fmt.Errorf("no marks for the table of changes")
	}
	var b strings.Builder
	b.WriteString(before + begin)
	for _, part := range []struct {
		title   string
		changes []change
	}{
		{"Taken over (changes/takeover.csv)", takeover},
		{"January 2024 (changes/2024-01.jsonl)", january},
		{"February 2024 (changes/2024-02.jsonl)", february},
		{"Reidai Works, January and February (changes/reidai.parquet)", reidai},
		{"March 2024 (changes/2024-03.jsonl)", march},
		{"April 2024 (changes/2024-04.jsonl)", april},
		{"After the demo (changes/2024-05-and-after.jsonl)", afterwards},
		{"Late (late/changes.jsonl): taken in when January to March are closed", late},
	} {
		fmt.Fprintf(&b, "\n### %s\n\n| time (UTC) | subscription | change | shows |\n|---|---|---|---|\n", part.title)
		for _, c := range part.changes {
			subject := c.Subject
			if subject == "" {
				subject = c.Customer
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", strings.Replace(c.At, "T", " ", 1), subject, c.words(), c.shows)
		}
	}
	b.WriteString(ids())
	b.WriteString("\n" + end + after)
	return []byte(b.String()), nil
}

// ids lists what the names of this page are in the files.
func ids() string {
	var b strings.Builder
	b.WriteString("\n### Ids\n\n| name | id in the files |\n|---|---|\n")
	for _, p := range partners {
		fmt.Fprintf(&b, "| %s (partner) | %s |\n", p.name, partnerID(p.key))
	}
	for _, c := range customers {
		fmt.Fprintf(&b, "| %s: %s | %s |\n", c.key, c.name, customerID(c.key))
	}
	var names []string
	for _, changes := range [][]change{takeover, january, february, reidai, march, april, afterwards, late} {
		for _, c := range changes {
			if c.Type == "subscription.purchased" {
				names = append(names, c.Subject)
			}
			if c.Type == "subscription.upgraded" {
				names = append(names, c.Data.to)
			}
		}
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		if name != "" {
			fmt.Fprintf(&b, "| %s | %s |\n", name, subscriptionID(name))
		}
	}
	return b.String()
}

// words says what a change is, for the table.
func (c change) words() string {
	d := c.Data
	_, kind, _ := strings.Cut(c.Type, ".")
	words := []string{kind}
	add := func(format string, args ...any) { words = append(words, fmt.Sprintf(format, args...)) }
	for _, s := range catalogue {
		product, id := d.ProductID+d.ToProductID, d.SkuID+d.ToSkuID
		if n := d.NextTerm; n != nil && n.Product != nil {
			product, id = n.Product.ProductID, n.Product.SkuID
		}
		if s.product == product && s.id == id {
			add("%s", s.title)
			break
		}
	}
	if n := d.NextTerm; n != nil {
		if n.Product != nil {
			add("%s %s", n.Product.TermDuration, n.Product.BillingCycle)
		}
		if n.Quantity != nil {
			add("x %d", *n.Quantity)
		}
	}
	if d.TermDuration+d.BillingCycle != "" {
		add("%s", strings.TrimSpace(d.TermDuration+" "+d.BillingCycle))
	}
	if d.Quantity != nil {
		add("x %d", *d.Quantity)
	}
	if d.CustomTermEndDate != "" {
		add("until %.10s", d.CustomTermEndDate)
	}
	if d.UnitPrice != nil {
		add("at %s %s", d.Currency, d.UnitPrice)
	}
	if d.Amount != nil {
		add("%s %s", d.Currency, d.Amount)
	}
	if d.AutoRenewEnabled != nil {
		add("auto-renew %v", *d.AutoRenewEnabled)
	}
	if c.Override != "" {
		add("(override)")
	}
	return strings.Join(words, " ")
}
