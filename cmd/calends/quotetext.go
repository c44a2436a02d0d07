package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/calends/calends/jobs"
)

func quoteView(r jobs.QuoteResult) view {
	return view{json: r, rows: quoteRows(r), text: func(w io.Writer) { writeQuote(w, r) }}
}

// quoteRows are this month's lines and the cycles to the end of the term.
func quoteRows(r jobs.QuoteResult) *table {
	t := newTable("What", "SubscriptionId", "ChargeType", "ChargeStartDate", "ChargeEndDate", ">Quantity", "Currency", ">Subtotal", ">TaxTotal", ">Total")
	line := func(what string, l jobs.LineFacts) {
		t.add(what, l.SubscriptionID, l.ChargeType, l.ChargeStart, l.ChargeEnd, l.Quantity, l.Currency, l.Subtotal, l.TaxTotal, l.Total)
	}
	for _, l := range r.Lines {
		line("this month", l)
	}
	for _, l := range r.Instead {
		line("no more this month", l)
	}
	cycle := func(what, subscription string, c jobs.CycleCharge) {
		t.add(what, subscription, c.ChargeType, c.First, c.Last, c.Quantity, r.Currency, c.Subtotal, c.TaxTotal, c.Total)
	}
	for _, n := range r.Next {
		for _, c := range n.Cycles {
			cycle("later", n.SubscriptionID, c)
		}
		if n.Renewal != nil {
			cycle("renewal", n.SubscriptionID, *n.Renewal)
		}
	}
	return t
}

func writeQuote(w io.Writer, r jobs.QuoteResult) {
	fmt.Fprintf(w, "%s at %s; nothing is recorded\n", r.Type, r.Time)
	if r.Refused != nil {
		fmt.Fprintf(w, "\nrefused: %s\n", r.Refused.Code)
		s := sheet{w}
		s.put("reason", "%s", r.Refused.Reason)
		s.put("rule", "%s", r.Refused.Rule)
	} else {
		writeThisMonth(w, r)
		for _, n := range r.Next {
			writeRecurring(w, r.Currency, n)
		}
	}
	if len(r.Exceptions) > 0 {
		fmt.Fprintln(w)
	}
	for _, x := range r.Exceptions {
		fmt.Fprintf(w, "%s %s: %s\n", x.Severity, x.Code, x.Message)
	}
	if len(r.Notes) > 0 {
		fmt.Fprintln(w)
	}
	for _, n := range r.Notes {
		fmt.Fprintln(w, n)
	}
}

func writeThisMonth(w io.Writer, r jobs.QuoteResult) {
	if len(r.Lines)+len(r.Instead) == 0 {
		return
	}
	fmt.Fprintf(w, "\nthis month, %s\n", r.Month)
	writeQuoteLines(w, r.Lines)
	if len(r.Instead) > 0 {
		fmt.Fprintln(w, "\n  instead of")
		writeQuoteLines(w, r.Instead)
	}
	fmt.Fprintf(w, "  together: %s\n", money(r.Currency, r.ThisMonth.Subtotal, r.ThisMonth.TaxTotal, r.ThisMonth.Total))
}

func writeQuoteLines(w io.Writer, lines []jobs.LineFacts) {
	t := newTable("TYPE", "PRODUCT", "FROM", "TO", ">QUANTITY", ">EFFECTIVE PRICE", ">SUBTOTAL", ">TAX", ">TOTAL")
	for _, l := range lines {
		product := l.SkuName
		if product == "" {
			product = strings.Trim(l.ProductID+"/"+l.SkuID, "/")
		}
		t.add(l.ChargeType, product, l.ChargeStart, l.ChargeEnd, l.Quantity, l.PricingCurrency+" "+l.EffectiveUnitPrice, l.Subtotal, l.TaxTotal, l.Total)
	}
	t.write(w, "  ")
}

// writeRecurring prints equal cycles in a row as one.
func writeRecurring(w io.Writer, currency string, n jobs.Recurring) {
	fmt.Fprintf(w, "\nfrom next month, subscription %s, term %s to %s\n", n.SubscriptionID, n.TermStart, n.TermEnd)
	if len(n.Cycles) == 0 {
		fmt.Fprintln(w, "  nothing more is charged in this term")
	}
	for i := 0; i < len(n.Cycles); {
		first, count := n.Cycles[i], 1
		for i+count < len(n.Cycles) && n.Cycles[i+count].Amounts == first.Amounts && n.Cycles[i+count].Quantity == first.Quantity {
			count++
		}
		last := n.Cycles[i+count-1]
		each := ""
		if count > 1 {
			each = " each"
		}
		fmt.Fprintf(w, "  %s from %s to %s, quantity %s: %s%s\n", plural(count, "cycle"), first.First, last.Last, first.Quantity,
			money(currency, first.Subtotal, first.TaxTotal, first.Total), each)
		i += count
	}
	if len(n.Cycles) > 0 {
		fmt.Fprintf(w, "  together: %s\n", money(currency, n.Sum.Subtotal, n.Sum.TaxTotal, n.Sum.Total))
	}
	if n.Before != nil {
		fmt.Fprintf(w, "  without the change: %s\n", money(currency, n.Before.Subtotal, n.Before.TaxTotal, n.Before.Total))
	}
	switch r := n.Renewal; {
	case r != nil:
		fmt.Fprintf(w, "  renews on %s, quantity %s: %s at the prices known now\n", r.First, r.Quantity, money(currency, r.Subtotal, r.TaxTotal, r.Total))
	case n.RenewalParked != "":
		fmt.Fprintf(w, "  renews after %s, but at no price that is known now: %s\n", n.TermEnd, n.RenewalParked)
	case len(n.Cycles) > 0:
		fmt.Fprintf(w, "  does not renew after %s\n", n.TermEnd)
	}
}
