package api

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/calends/calends/jobs"
	"github.com/calends/calends/jobs/serve/offers"
	"github.com/calends/calends/pricing"
)

func isMissing(err error) bool { return errors.Is(err, jobs.ErrMissing) }

// listPromotions is a question for promotions.
type listPromotions struct {
	At     string `query:"at" format:"date-time" example:"2024-03-15T09:30:00Z" doc:"An instant. Default: now"`
	Market string `query:"market" pattern:"^[A-Za-z]{2}$" example:"NL" doc:"Only of what is sold in this market, with prices. Default: all, without"`
	Page
	Conditional
}

// Promotion is a percentage off a SKU in one term and billing plan.
type Promotion struct {
	ID string `json:"promotionId" example:"39NFJQT1X27N:0001:39NFJQT1Q5KA"`
	offers.Named
	Term    string          `json:"termDuration" enum:"P1M,P1Y,P3Y" example:"P1Y"`
	Plan    string          `json:"billingPlan" enum:"Monthly,Annual,Triennial,None" example:"Monthly"`
	Percent string          `json:"percent" example:"10" doc:"Off the price, which stays for the term"`
	Start   string          `json:"startDate" format:"date-time" doc:"The first instant"`
	End     string          `json:"endDate" format:"date-time" doc:"The last one. It renews only inside"`
	Prices  []PromotedPrice `json:"prices,omitempty" doc:"By segment and currency; only with a market"`
}

// PromotedPrice is a price with a promotion.
type PromotedPrice struct {
	Segment  string `json:"segment" example:"Commercial"`
	Currency string `json:"currency" example:"EUR"`
	Before   string `json:"unitPrice" example:"158.4" doc:"For one licence and the whole term"`
	After    string `json:"promotedPrice" example:"142.56" doc:"Exact"`
}

// PromotionList is some of the open promotions.
type PromotionList struct {
	List[Promotion]
}

func (a *API) listPromotions(ctx context.Context, in *listPromotions) (*tagged[PromotionList], error) {
	at, _, err := When{At: in.At}.instant(a.now())
	if err != nil {
		return nil, err
	}
	reading, err := a.Current.Reading()
	if err != nil {
		return nil, err
	}
	background, err := a.Offers.Background(ctx, reading)
	if err != nil {
		return nil, err
	}
	depends := []string{"promotions", strings.ToUpper(in.Market), background.Tag(), since(background, at)}
	var c *offers.Catalogue
	if in.Market != "" {
		if c, err = a.Offers.Catalogue(ctx, reading, strings.ToUpper(in.Market), at.Date().Month()); err != nil {
			return nil, err
		}
		depends = append(depends, c.Tag(), since(c, at))
	}
	_, from, err := in.place(depends...)
	if err != nil {
		return nil, err
	}
	return unlessHad(in.Conditional, tagOf(append(depends, in.Cursor, strconv.Itoa(in.Limit))...), func() (PromotionList, error) {
		page := PromotionList{List[Promotion]{Items: []Promotion{}}}
		for i, p := range background.Promotions(at) {
			if i < from {
				continue
			}
			shown := promotionOf(p)
			if c == nil {
				shown.Title = background.Title(p.SKU)
			} else {
				shown.Title = c.Title(p.SKU)
				if shown.Prices = promoted(c, p, at); len(shown.Prices) == 0 {
					continue
				}
			}
			if len(page.Items) == in.Limit {
				page.Next = cursorOf(0, i, depends...)
				break
			}
			page.Items = append(page.Items, shown)
		}
		return page, nil
	})
}

func promotionOf(p pricing.Promotion) Promotion {
	return Promotion{ID: p.ID, Named: offers.Named{ProductID: p.ProductID, SkuID: p.SkuID}, Term: p.Term.String(), Plan: p.Plan.String(),
		Percent: p.Discount.Shift(2).String(), Start: p.Start.String(), End: p.End.String()}
}

// promoted are the prices of a market that a promotion is for.
func promoted(c *offers.Catalogue, p pricing.Promotion, at pricing.Instant) (prices []PromotedPrice) {
	o, _ := c.Whole(p.SKU, offers.Query{At: at, Term: p.Term, Plan: p.Plan})
	for _, plan := range o.Plans {
		for _, price := range plan.Prices {
			for _, open := range price.Promotions {
				// Of one id there may be several, such as one a month.
				if open.ID == p.ID && open.Until == p.End.String() && open.Percent == p.Discount.Shift(2).String() {
					prices = append(prices, PromotedPrice{plan.Segment, price.Currency, price.UnitPrice, open.UnitPrice})
					break
				}
			}
		}
	}
	return prices
}
