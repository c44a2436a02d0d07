package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/calends/calends/jobs"
	"github.com/calends/calends/jobs/serve/offers"
	"github.com/calends/calends/pricing"
)

type offersCmd struct {
	Market     string     `required:"" placeholder:"NL" help:"Market of the customer."`
	Search     []string   `sep:" " placeholder:"WORDS" help:"Only offers that have every word, or one that begins so: in a title, the publisher, the description or an id."`
	Product    string     `placeholder:"ID" help:"One ProductId, with all there is to say of it."`
	SKU        string     `name:"sku" placeholder:"ID" help:"One SkuId of it."`
	Term       string     `placeholder:"P1Y" help:"P1M, P1Y or P3Y."`
	Plan       string     `placeholder:"Monthly" help:"Monthly, Annual, Triennial, or None for trials."`
	Segment    string     `placeholder:"NAME" help:"Segment."`
	Currency   string     `placeholder:"EUR" help:"Currency of the price."`
	Commerce   string     `enum:",new,traditional" default:"" placeholder:"HOW" help:"How they are sold: new or traditional."`
	Trials     bool       `help:"Only trials."`
	AddOns     bool       `name:"add-ons" help:"Only add-ons."`
	Promotions bool       `help:"Only what has an open promotion."`
	At         instantArg `xor:"when" placeholder:"TIME" help:"2026-10-05T09:30:00Z, or a day alone for the last second of it. Default: now."`
	Month      monthArg   `xor:"when" placeholder:"MONTH" help:"The first instant of a month instead."`
}

// Help tells more than one line.
func (offersCmd) Help() string {
	return `What can be bought in a market: each SKU with a price that is valid at the instant, by the sheet of its month or
the latest earlier one. Prices are for one licence and the whole term; limits, prerequisites and upgrade
targets are those of the offer matrix. With --search the best come first: an id, a title that begins with the words, a
title that has them, the rest. Case and accents do not matter.

An offer is new commerce, or traditional if its id is a GUID. An add-on needs one of its prerequisites.
Perpetual software is not listed: its rows are no licence prices.

The exit code is 4 when there is no sheet at all.`
}

// offersResult is what the command prints as JSON.
type offersResult struct {
	Sheet  jobs.SheetFacts `json:"sheet"`
	At     string          `json:"at"`
	Offers []offers.Offer  `json:"offers"`
}

// Run lists offers.
func (c offersCmd) Run(ctx context.Context, a *app) error {
	q, err := c.query(a)
	if err != nil {
		return err
	}
	env, err := a.env()
	if err != nil {
		return err
	}
	reading, err := env.Read(ctx)
	if err != nil {
		return err
	}
	month := q.At.Date().Month()
	catalogue, err := offers.NewShelf(1).Catalogue(ctx, reading, strings.ToUpper(c.Market), month)
	if err != nil {
		return err
	}
	s := catalogue.Sheet
	result := offersResult{At: q.At.String(), Offers: []offers.Offer{},
		Sheet: jobs.SheetFacts{Market: s.Market, Month: s.Month.String(), File: s.File, SHA256: s.SHA256, Stale: s.Month != month}}
	for _, place := range catalogue.Find(q) {
		o := catalogue.Offer(place, q)
		if c.Product != "" {
			o, _ = catalogue.Whole(pricing.SKU{ProductID: o.ProductID, SkuID: o.SkuID}, q)
		}
		result.Offers = append(result.Offers, o)
	}
	return a.show(view{json: result, rows: offerRows(result.Offers), text: func(w io.Writer) {
		writeSheet(w, "at "+result.At+" governs", result.Sheet)
		fmt.Fprintln(w)
		if c.Product != "" {
			writeWholeOffers(w, result.Offers)
		} else if len(result.Offers) > 0 {
			writeOffers(w, result.Offers)
			fmt.Fprintln(w)
		}
		fmt.Fprintln(w, plural(len(result.Offers), "offer"))
	}})
}

func (c offersCmd) query(a *app) (offers.Query, error) {
	q := offers.Query{At: a.instantAsked(c.At, c.Month), Words: strings.Join(c.Search, " "), Segment: c.Segment, Currency: strings.ToUpper(c.Currency),
		ProductID: c.Product, Commerce: offers.Commerce(c.Commerce), Promotion: c.Promotions}
	var err error
	if q.Term, err = asTerm(c.Term); err != nil {
		return q, err
	}
	if q.Plan, err = asPlan(c.Plan); err != nil {
		return q, err
	}
	if c.SKU != "" {
		if c.Product == "" {
			return q, fmt.Errorf("%w: --sku %s: give --product too; a SkuId is unique within its product only", jobs.ErrUsage, c.SKU)
		}
		q.SkuID = pricing.NormalSKU(c.SKU)
	}
	if c.Trials {
		q.Trial = new(true)
	}
	if c.AddOns {
		q.AddOn = new(true)
	}
	return q, nil
}

// offerRows has a row for each price, and for each of its promotions.
func offerRows(all []offers.Offer) *table {
	t := newTable("ProductId", "SkuId", "SkuTitle", "Publisher", "Commerce", "Trial", "AddOn", "Software", "TermDuration", "BillingPlan", "Segment",
		"Currency", ">UnitPrice", ">ERPPrice", "PromotionId", ">Percent", ">PromotedPrice", "PromotionUntil")
	for _, o := range all {
		for _, plan := range o.Plans {
			for _, p := range plan.Prices {
				row := []string{o.ProductID, o.SkuID, o.SkuTitle, o.Publisher, string(o.Commerce), strconv.FormatBool(o.Trial), strconv.FormatBool(o.AddOn), strconv.FormatBool(o.Software),
					plan.Term, plan.Plan, plan.Segment, p.Currency, p.UnitPrice, p.ERPPrice}
				if len(p.Promotions) == 0 {
					t.add(append(row, "", "", "", "")...)
				}
				for _, off := range p.Promotions {
					t.add(append(row[:len(row):len(row)], off.ID, off.Percent, off.UnitPrice, off.Until)...)
				}
			}
		}
	}
	return t
}

// writeOffers prints a line a price.
func writeOffers(w io.Writer, all []offers.Offer) {
	t := newTable("PRODUCT", "SKU", "TITLE", "KIND", "TERM", "PLAN", "SEGMENT", ">PRICE", "", "PROMOTION")
	for _, o := range all {
		for _, plan := range o.Plans {
			for _, p := range plan.Prices {
				t.add(o.ProductID, o.SkuID, o.SkuTitle, kindOf(o), plan.Term, plan.Plan, plan.Segment, priceText(p), p.Currency, promotionText(p))
			}
		}
	}
	t.write(w, "")
}

// kindOf says what is special about an offer.
func kindOf(o offers.Offer) string {
	var kinds []string
	for _, k := range []struct {
		is   bool
		name string
	}{{o.Commerce == offers.Traditional, "traditional"}, {o.Trial, "trial"}, {o.AddOn, "add-on"}, {o.Software, "software"}} {
		if k.is {
			kinds = append(kinds, k.name)
		}
	}
	return strings.Join(kinds, ", ")
}

func priceText(p offers.Price) string {
	if p.Ambiguous {
		return "ambiguous"
	}
	return p.UnitPrice
}

func promotionText(p offers.Price) string {
	var all []string
	for _, off := range p.Promotions {
		all = append(all, fmt.Sprintf("%s until %s with %s (%s %%)", off.UnitPrice, off.Until[:len("2026-10-05")], off.ID, off.Percent))
	}
	return strings.Join(all, "; ")
}

// writeWholeOffers prints all there is to say of each.
func writeWholeOffers(w io.Writer, all []offers.Offer) {
	for _, o := range all {
		fmt.Fprintf(w, "%s/%s  %s\n", o.ProductID, o.SkuID, o.SkuTitle)
		said := func(what, text string) {
			if text != "" {
				fmt.Fprintf(w, "  %-14s %s\n", what, text)
			}
		}
		said("product", o.ProductTitle)
		said("publisher", o.Publisher)
		said("commerce", string(o.Commerce))
		said("kind", kindOf(o))
		said("tags", strings.Join(o.Tags, ", "))
		said("description", o.Description)
		said("licences", licences(o.Limits))
		said("needs one of", named(o.Needs))
		said("converts to", named(o.ConvertsTo))
		said("upgrades to", named(o.UpgradesTo))
		said("add-ons", named(o.AddOns))
		said("allowed in", strings.Join(o.Countries, " "))
		t := newTable("TERM", "PLAN", "SEGMENT", ">PRICE", "", ">RETAIL", "VALID TO", "PROMOTION")
		for _, plan := range o.Plans {
			for _, p := range plan.Prices {
				t.add(plan.Term, plan.Plan, plan.Segment, priceText(p), p.Currency, p.ERPPrice, cmp.Or(p.Until, "further notice"), promotionText(p))
			}
		}
		t.write(w, "  ")
		fmt.Fprintln(w)
	}
}

func licences(l *offers.Limits) string {
	if l == nil {
		return "not in the offer matrix"
	}
	text := ""
	switch {
	case l.MinLicenses > 0 && l.MaxLicenses > 0:
		text = fmt.Sprintf("%d to %d", l.MinLicenses, l.MaxLicenses)
	case l.MaxLicenses > 0:
		text = fmt.Sprintf("up to %d", l.MaxLicenses)
	case l.MinLicenses > 0:
		text = fmt.Sprintf("at least %d", l.MinLicenses)
	default:
		text = "any number"
	}
	if l.OwnershipLimit != "" {
		text += "; ownership limit " + strings.TrimSpace(l.OwnershipLimit+" "+l.OwnershipLimitType)
	}
	return text
}

func named(skus []offers.Named) string {
	var all []string
	for _, s := range skus {
		id := strings.TrimSuffix(s.ProductID+"/"+s.SkuID, "/")
		all = append(all, strings.TrimSpace(s.Title+" ("+id+")"))
	}
	return strings.Join(all, "; ")
}
