package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/calends/calends/jobs"
	"github.com/calends/calends/pipeline/change"
	"github.com/calends/calends/pricing"
)

type quoteCmd struct {
	Purchase quotePurchaseCmd `cmd:"" help:"What a purchase would bill."`
	Seats    quoteSeatsCmd    `cmd:"" help:"What more or fewer seats would bill."`
	Upgrade  quoteUpgradeCmd  `cmd:"" help:"What an upgrade of all or some seats would bill."`
	Cancel   quoteCancelCmd   `cmd:"" help:"What a cancellation would bill."`
}

// Help tells more than one line.
func (quoteCmd) Help() string {
	return `Lives the customer's history with and without the change and prints what differs: the lines of this month,
what follows to the end of the term, and until when it can be taken back. The rules, prices and policies
are those of calends bill. Nothing is recorded.

The exit code is 3 when the change would be refused or bring an error, 4 when the customer or the
subscription is not known.`
}

// quoteFlags are those of every quote.
type quoteFlags struct {
	On instantArg `placeholder:"TIME" help:"When it happens: 2026-10-05T09:30:00Z, or a day alone for the last second of it, after its other changes. Default: now."`
}

// at is the instant of a quote.
func (f quoteFlags) at(a *app) pricing.Instant {
	switch {
	case f.On.given:
		return f.On.Instant
	case a.globals.Today.given:
		return lastSecond(a.globals.Today.Date)
	}
	return pricing.InstantOf(time.Now())
}

// ofSubscription are the flags that name a subscription.
type ofSubscription struct {
	quoteFlags
	Subscription string `required:"" placeholder:"ID" help:"The subscription."`
	Customer     string `placeholder:"ID" help:"Its customer; without, the subscription is looked for."`
	Override     string `placeholder:"REASON" help:"Quote as if closed windows were lifted for this reason."`
}

func (f ofSubscription) plan(a *app, what change.Type) jobs.QuotePlan {
	return jobs.QuotePlan{Type: what, At: f.at(a), CustomerID: f.Customer, SubscriptionID: f.Subscription,
		Override: f.Override, CustomTermEnd: pricing.NoDate}
}

type quotePurchaseCmd struct {
	quoteFlags
	Customer string `placeholder:"ID" help:"A customer of the ledger. Without, give --currency and what else matters of one."`
	Market   string `placeholder:"DE" help:"Market of a customer that the ledger does not have."`
	Segment  string `default:"Commercial" help:"Its segment."`
	Currency string `placeholder:"EUR" help:"The currency in which it is billed."`
	TaxRate  string `default:"0" placeholder:"0.21" help:"Its partner's tax rate, as a fraction."`

	Product       string  `placeholder:"ID" help:"ProductId."`
	SKU           string  `name:"sku" placeholder:"ID" help:"SkuId; 1 and 0001 are one."`
	Term          string  `default:"P1Y" placeholder:"P1Y" help:"P1M, P1Y or P3Y."`
	Plan          string  `default:"Monthly" placeholder:"Monthly" help:"Monthly, Annual or Triennial."`
	Quantity      int64   `required:"" placeholder:"N" help:"Seats."`
	End           dateArg `placeholder:"DATE" help:"Custom end of the term."`
	Promotion     string  `placeholder:"ID" help:"Promotion to ask for."`
	Trial         bool    `help:"A trial: a month at price 0."`
	UnitPrice     string  `placeholder:"120.96" help:"Own price of one licence for the whole term, instead of the sheet's."`
	PriceCurrency string  `placeholder:"EUR" help:"Currency of --unit-price. Default: the billing currency."`
}

// Help tells more than one line.
func (quotePurchaseCmd) Help() string {
	return `For a customer of the ledger, for one of no ledger by the price sheets of the bucket, or by a price alone:

    calends quote purchase --customer ID --product CFQ7TTC0LDPB --sku 0001 --quantity 10
    calends quote purchase --market DE --currency EUR --product CFQ7TTC0LDPB --sku 0001 --quantity 10
    calends quote purchase --currency EUR --unit-price 120.96 --quantity 10`
}

// Run quotes a purchase.
func (c quotePurchaseCmd) Run(ctx context.Context, a *app) error {
	plan := jobs.QuotePlan{Type: change.Purchased, At: c.at(a), CustomerID: c.Customer, ProductID: c.Product, SkuID: c.SKU,
		TermDuration: c.Term, BillingCycle: c.Plan, Quantity: &c.Quantity, PromotionID: c.Promotion, IsTrial: c.Trial,
		PriceCurrency: strings.ToUpper(c.PriceCurrency), CustomTermEnd: pricing.NoDate}
	if c.End.given {
		plan.CustomTermEnd = c.End.Date
	}
	if err := c.price(&plan); err != nil {
		return err
	}
	if err := c.customer(&plan); err != nil {
		return err
	}
	return a.quote(ctx, plan)
}

// price reads the purchase's own price. With one, it does not matter of what.
func (c quotePurchaseCmd) price(plan *jobs.QuotePlan) error {
	if c.UnitPrice != "" {
		price, err := decimal.NewFromString(c.UnitPrice)
		if err != nil {
			return fmt.Errorf("%w: --unit-price %q: want a plain decimal such as 120.96", jobs.ErrUsage, c.UnitPrice)
		}
		plan.UnitPrice = &price
	}
	if plan.ProductID == "" && plan.SkuID == "" && (plan.UnitPrice != nil || plan.IsTrial) {
		plan.ProductID, plan.SkuID = "any", "0001"
	}
	if plan.ProductID == "" || plan.SkuID == "" {
		return fmt.Errorf("%w: give --product and --sku, or a price with --unit-price", jobs.ErrUsage)
	}
	return nil
}

// customer makes a customer of the flags, unless the ledger's is named.
func (c quotePurchaseCmd) customer(plan *jobs.QuotePlan) error {
	ofFlags := c.Market != "" || c.Currency != ""
	switch {
	case c.Customer != "" && ofFlags:
		return fmt.Errorf("%w: --customer has its own market and currency; leave --market and --currency out", jobs.ErrUsage)
	case c.Customer != "":
		return nil
	case c.Currency == "":
		return fmt.Errorf("%w: give --customer, or --currency (and --market for the price sheet) of one that the ledger does not have", jobs.ErrUsage)
	case c.Market == "" && c.UnitPrice == "" && !c.Trial:
		return fmt.Errorf("%w: without --unit-price the price is the sheet's: give --market", jobs.ErrUsage)
	}
	currency := strings.ToUpper(c.Currency)
	if _, ok := pricing.MinorDigits(currency); !ok {
		return fmt.Errorf("%w: --currency %q: want an ISO 4217 code such as EUR", jobs.ErrUsage, c.Currency)
	}
	tax, err := decimal.NewFromString(c.TaxRate)
	if err != nil || tax.IsNegative() || tax.GreaterThan(decimal.NewFromInt(1)) {
		return fmt.Errorf("%w: --tax-rate %q: want a fraction from 0 to 1, such as 0.21", jobs.ErrUsage, c.TaxRate)
	}
	plan.Stranger = &jobs.Stranger{Market: strings.ToUpper(c.Market), Segment: c.Segment, Currency: currency, TaxRate: tax}
	return nil
}

type quoteSeatsCmd struct {
	ofSubscription
	Quantity int64 `required:"" placeholder:"N" help:"The new total of seats."`
}

// Run quotes more or fewer seats.
func (c quoteSeatsCmd) Run(ctx context.Context, a *app) error {
	plan := c.plan(a, change.QuantityChanged)
	plan.Quantity = &c.Quantity
	return a.quote(ctx, plan)
}

type quoteUpgradeCmd struct {
	ofSubscription
	Product   string `required:"" placeholder:"ID" help:"ProductId to upgrade to."`
	SKU       string `name:"sku" required:"" placeholder:"ID" help:"SkuId to upgrade to."`
	Quantity  *int64 `placeholder:"N" help:"Seats that move. Default: all, the subscription keeps its id."`
	To        string `placeholder:"ID" help:"Subscription to move into. Without, a new one."`
	Term      string `placeholder:"P1Y" help:"A longer term, which starts on the day."`
	Plan      string `placeholder:"Monthly" help:"Billing plan of the longer term."`
	Promotion string `placeholder:"ID" help:"Promotion to ask for."`
}

// Run quotes an upgrade.
func (c quoteUpgradeCmd) Run(ctx context.Context, a *app) error {
	plan := c.plan(a, change.Upgraded)
	plan.ProductID, plan.SkuID, plan.Quantity, plan.ToSubscription = c.Product, c.SKU, c.Quantity, c.To
	plan.TermDuration, plan.BillingCycle, plan.PromotionID = c.Term, c.Plan, c.Promotion
	return a.quote(ctx, plan)
}

type quoteCancelCmd struct {
	ofSubscription
}

// Run quotes a cancellation.
func (c quoteCancelCmd) Run(ctx context.Context, a *app) error {
	return a.quote(ctx, c.plan(a, change.Canceled))
}

// quote runs a quote and prints it.
func (a *app) quote(ctx context.Context, plan jobs.QuotePlan) error {
	env, err := a.env()
	if err != nil {
		return err
	}
	result, err := env.Quote(ctx, plan)
	if err != nil {
		return err
	}
	if err := a.show(quoteView(result)); err != nil {
		return err
	}
	return openIf(result.Open())
}

// instantArg is an instant on the command line.
type instantArg struct {
	pricing.Instant
	given bool
}

// UnmarshalText reads 2026-10-05T09:30:00Z, and 2026-10-05 as its last second.
func (i *instantArg) UnmarshalText(text []byte) error {
	i.given = true
	if day, err := pricing.ParseDate(string(text)); err == nil {
		i.Instant = lastSecond(day)
		return nil
	}
	at, err := pricing.ParseInstant(string(text))
	if err != nil {
		return fmt.Errorf("time %q: want a day such as 2026-10-05, or an instant such as 2026-10-05T09:30:00Z", text)
	}
	i.Instant = at
	return nil
}

func lastSecond(day pricing.Date) pricing.Instant { return (day + 1).Instant() - pricing.Second }
