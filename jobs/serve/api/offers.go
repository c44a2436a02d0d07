package api

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/calends/calends/jobs"
	"github.com/calends/calends/jobs/serve/access"
	"github.com/calends/calends/jobs/serve/offers"
	"github.com/calends/calends/pricing"
)

// offerRule says where offers come from, told with each operation.
const offerRule = "An offer is a SKU with a price that is valid at the instant, of the sheet that governs its month in the market. Limits, prerequisites and targets are those of the offer matrix as it stands now."

func (a *API) registerOffers() {
	register(a, access.SeeOffers, conditionalOperation(huma.Operation{OperationID: "list-offers", Method: http.MethodGet, Path: "/v1/offers",
		Summary: "Discover offers", Tags: []string{"Offers"}, Errors: []int{http.StatusBadRequest, http.StatusNotFound},
		Description: "What can be bought in a market. " + offerRule + " Where plans are asked for (segment, termDuration, billingPlan, currency, promotion) an offer is listed if one price has all of it, with these plans only. " +
			"With q the best come first: an id that is these very words, titles that begin with them, titles that have them all, then the rest; within these, and without q, by title, product and SKU.",
	}), func(ctx context.Context, _ access.Principal, in *listOffers) (*tagged[OfferList], error) {
		return a.listOffers(ctx, in)
	})
	register(a, access.SeeOffers, conditionalOperation(huma.Operation{OperationID: "get-offer", Method: http.MethodGet, Path: "/v1/offers/{productId}/{skuId}",
		Summary: "Get an offer", Tags: []string{"Offers"}, Errors: []int{http.StatusNotFound},
		Description: "All there is to say of one offer, with its add-ons and the countries where it is sold. " + offerRule,
	}), func(ctx context.Context, _ access.Principal, in *getOffer) (*tagged[OfferFound], error) {
		return a.getOffer(ctx, in)
	})
	register(a, access.SeeOffers, huma.Operation{OperationID: "check-prerequisites", Method: http.MethodGet, Path: "/v1/offers/{productId}/{skuId}/prerequisites",
		Summary: "What a customer needs to buy an offer", Tags: []string{"Offers"}, Errors: []int{http.StatusNotFound},
		Description: "Which prerequisites of an add-on the customer's subscriptions meet, as of now: those that run, trials too. One that is met is enough. A purchase without is refused here; what Microsoft reports as bought is not.",
	}, a.checkPrerequisites)
	register(a, access.SeeOffers, conditionalOperation(huma.Operation{OperationID: "list-promotions", Method: http.MethodGet, Path: "/v1/promotions",
		Summary: "List open promotions", Tags: []string{"Offers"}, Errors: []int{http.StatusBadRequest, http.StatusNotFound},
		Description: "The promotions that are open at an instant, by product, SKU, term, billing plan and start. With a market only those of what is sold there, with the prices before and after. A purchase names the promotion that it wants.",
	}), func(ctx context.Context, _ access.Principal, in *listPromotions) (*tagged[PromotionList], error) {
		return a.listPromotions(ctx, in)
	})
}

// SoldIn says of which market and when offers are asked for.
type SoldIn struct {
	Market string `query:"market" required:"true" pattern:"^[A-Za-z]{2}$" example:"NL"`
	When
}

// WantedPlans says which plans of an offer are wanted.
type WantedPlans struct {
	Segment  string `query:"segment" maxLength:"100" example:"Commercial"`
	Term     string `query:"termDuration" enum:"P1M,P1Y,P3Y" doc:"P1M is the monthly term"`
	Plan     string `query:"billingPlan" enum:"Monthly,Annual,Triennial,None" doc:"None is a trial's"`
	Currency string `query:"currency" pattern:"^[A-Za-z]{3}$" example:"EUR"`
}

func (p WantedPlans) query(at pricing.Instant) offers.Query {
	q := offers.Query{At: at, Segment: p.Segment, Currency: strings.ToUpper(p.Currency)}
	q.Term, _ = pricing.ParseTerm(p.Term)
	q.Plan, _ = pricing.ParsePlan(p.Plan)
	return q
}

// catalogue returns the one that is asked for, and the instant.
func (a *API) catalogue(ctx context.Context, s SoldIn) (*offers.Catalogue, pricing.Instant, error) {
	at, _, err := s.instant(a.now())
	if err != nil {
		return nil, 0, err
	}
	reading, err := a.Current.Reading()
	if err != nil {
		return nil, 0, err
	}
	c, err := a.Offers.Catalogue(ctx, reading, strings.ToUpper(s.Market), at.Date().Month())
	return c, at, err
}

// since is short for the instants around at with the same answers.
func since(of interface {
	Since(at pricing.Instant) pricing.Instant
}, at pricing.Instant) string {
	return strconv.FormatInt(int64(of.Since(at)), 10)
}

// SheetNamed is the price sheet that an answer is of.
type SheetNamed struct {
	Market string `json:"market" example:"NL"`
	Month  string `json:"month" example:"2024-03" doc:"An earlier one than asked for where that has no sheet"`
	File   string `json:"file" example:"NL.csv"`
	SHA256 string `json:"sha256"`
}

func sheetNamed(s offers.Sheet) SheetNamed {
	return SheetNamed{s.Market, s.Month.String(), s.File, s.SHA256}
}

// listOffers is a question for offers.
type listOffers struct {
	SoldIn
	WantedPlans
	Search    string `query:"q" maxLength:"200" example:"business basic" doc:"Words, up to 16; each begins a word of a title, the publisher, the description or an id. Case and accents do not matter"`
	Commerce  string `query:"commerce" enum:"new,traditional" doc:"How it is sold"`
	Trial     string `query:"trial" enum:"true,false"`
	AddOn     string `query:"addOn" enum:"true,false"`
	Promotion string `query:"promotion" enum:"open" doc:"Only what has an open promotion for one of the plans"`
	Page
	Conditional
}

// OfferList is some of the offers of a market.
type OfferList struct {
	Sheet SheetNamed `json:"sheet"`
	Total int        `json:"total" doc:"How many there are on all pages"`
	List[offers.Offer]
}

func (a *API) listOffers(ctx context.Context, in *listOffers) (*tagged[OfferList], error) {
	words := strings.Fields(in.Search)
	if len(words) > maxWords {
		return nil, invalid("query.q", "give up to "+strconv.Itoa(maxWords)+" words", in.Search)
	}
	c, at, err := a.catalogue(ctx, in.SoldIn)
	if err != nil {
		return nil, err
	}
	q := in.query(at)
	q.Words, q.Commerce, q.Promotion = strings.Join(words, " "), offers.Commerce(in.Commerce), in.Promotion != ""
	q.Trial, q.AddOn = either(in.Trial), either(in.AddOn)
	depends := []string{"offers", c.Tag(), since(c, at), q.Words, q.Segment, in.Term, in.Plan, q.Currency, in.Commerce, in.Trial, in.AddOn, in.Promotion}
	_, from, err := in.place(depends...)
	if err != nil {
		return nil, err
	}
	return unlessHad(in.Conditional, tagOf(append(depends, in.Cursor, strconv.Itoa(in.Limit))...), func() (OfferList, error) {
		found := c.Find(q)
		page := OfferList{Sheet: sheetNamed(c.Sheet), Total: len(found), List: List[offers.Offer]{Items: []offers.Offer{}}}
		to := min(len(found), from+in.Limit)
		for _, place := range found[min(from, to):to] {
			page.Items = append(page.Items, c.Offer(place, q))
		}
		if to < len(found) {
			page.Next = cursorOf(0, to, depends...)
		}
		return page, nil
	})
}

// either reads what may be left out.
func either(text string) *bool {
	if text == "" {
		return nil
	}
	return new(text == "true")
}

// getOffer is a question for one offer.
type getOffer struct {
	ProductID string `path:"productId" maxLength:"100" example:"CFQ7TTC0LH18"`
	SkuID     string `path:"skuId" maxLength:"100" example:"0001" doc:"1 is the same as 0001"`
	SoldIn
	WantedPlans
	Conditional
}

// OfferFound is one offer.
type OfferFound struct {
	Sheet SheetNamed `json:"sheet"`
	offers.Offer
}

// skuIn reads what stands in a path.
func skuIn(productID, skuID string) pricing.SKU {
	return pricing.SKU{ProductID: productID, SkuID: pricing.NormalSKU(skuID)}
}

func (a *API) getOffer(ctx context.Context, in *getOffer) (*tagged[OfferFound], error) {
	c, at, err := a.catalogue(ctx, in.SoldIn)
	if err != nil {
		return nil, err
	}
	sku, q := skuIn(in.ProductID, in.SkuID), in.query(at)
	tag := tagOf("offer", c.Tag(), since(c, at), sku.ProductID, sku.SkuID, q.Segment, in.Term, in.Plan, q.Currency)
	o, ok := c.Whole(sku, q)
	if !ok {
		return nil, notFound("the offer " + sku.ProductID + "/" + sku.SkuID + " in " + c.Sheet.Market)
	}
	return unlessHad(in.Conditional, tag, func() (OfferFound, error) { return OfferFound{sheetNamed(c.Sheet), o}, nil })
}

// checkPrerequisites is a question of what a customer needs.
type checkPrerequisites struct {
	ProductID  string `path:"productId" maxLength:"100" example:"CFQ7TTC0LH0T"`
	SkuID      string `path:"skuId" maxLength:"100" example:"0001"`
	CustomerID string `query:"customerId" required:"true" minLength:"1" maxLength:"100"`
}

// Prerequisites says what of an offer's needs a customer meets.
type Prerequisites struct {
	offers.Named
	CustomerID string        `json:"customerId"`
	AddOn      bool          `json:"addOn" doc:"Whether it needs anything at all"`
	Met        bool          `json:"met" doc:"The customer may buy it, as far as prerequisites go"`
	Needs      []offers.Need `json:"needs" doc:"One that is met is enough"`
}

type prerequisitesOutput struct{ Body Prerequisites }

func (a *API) checkPrerequisites(ctx context.Context, who access.Principal, in *checkPrerequisites) (*prerequisitesOutput, error) {
	customer, err := a.customer(ctx, who, in.CustomerID)
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
	sku, today := skuIn(in.ProductID, in.SkuID), a.now().Date()
	// Without a sheet of the customer's market what the matrix calls it has to do.
	title := background.Title
	known := background.Row(sku) != nil
	if c, err := a.Offers.Catalogue(ctx, reading, customer.fact.Country, today.Month()); err == nil {
		title, known = c.Title, known || c.Has(sku)
	} else if !isMissing(err) {
		return nil, err
	}
	if !known {
		return nil, notFound("the offer " + sku.ProductID + "/" + sku.SkuID)
	}
	var offer pricing.Offer
	if row := background.Row(sku); row != nil {
		offer = *row
	}
	p := Prerequisites{Named: offers.Named{ProductID: sku.ProductID, SkuID: sku.SkuID, Title: title(sku)}, CustomerID: in.CustomerID, AddOn: len(offer.Needs) > 0, Met: true, Needs: []offers.Need{}}
	if p.AddOn {
		owned, err := reading.SubscriptionsOf(ctx, in.CustomerID, today)
		if err != nil {
			return nil, err
		}
		p.Needs, p.Met = offers.Needs(offer, title, owned), jobs.MissingNeeds(offer, owned) == nil
	}
	return &prerequisitesOutput{p}, nil
}
