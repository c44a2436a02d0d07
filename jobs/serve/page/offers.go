package page

import (
	"errors"
	"net/http"

	"github.com/calends/calends/jobs"
	"github.com/calends/calends/jobs/serve/access"
	"github.com/calends/calends/jobs/serve/offers"
	"github.com/calends/calends/pricing"
)

func (s *Site) registerOffers() {
	s.register(http.MethodGet, "/offers", "page-offers", access.SeeOffers, s.offers)
	s.register(http.MethodGet, "/offers/{product}/{sku}", "page-offer", access.SeeOffers, s.offer)
}

type offersBody struct {
	Words, Market, Month    string
	Markets, Months         []choice
	Terms, Segments, Others []choice
	Rows                    []offerRow
	Pager                   pager
	Missing                 string
}

type offerRow struct {
	offers.Offer
	Address string
}

// segments are those of sheets.
var segments = []string{"Commercial", "Education", "Charity", "Government"}

// catalogue finds the offers of the market and month that the form names, and the
// instant at which they are looked at: now, or the first of another month.
func (s *Site) catalogue(a ask) (*offers.Catalogue, offersBody, pricing.Instant, error) {
	var body offersBody
	reading, err := s.Current.Reading()
	if err != nil {
		return nil, body, 0, err
	}
	body.Market, body.Markets = marketChoice(a, reading.Catalog().Markets())
	month, list, err := s.sheetChoice(a, "month", reading.Catalog().Months(body.Market))
	if err != nil {
		return nil, body, 0, err
	}
	body.Month, body.Months = month.String(), list
	at := pricing.InstantOf(s.Now())
	if at.Date().Month() != month {
		at = month.First().Instant()
	}
	c, err := s.Offers.Catalogue(a.Context(), reading, body.Market, month)
	if errors.Is(err, jobs.ErrMissing) {
		body.Missing = "There is no price sheet of this market for that month or earlier."
		return nil, body, at, nil
	}
	return c, body, at, err
}

func (s *Site) offers(a ask) (answer, error) {
	c, body, at, err := s.catalogue(a)
	if err != nil {
		return answer{}, err
	}
	q := offers.Query{At: at, Words: a.FormValue("q"), Segment: a.FormValue("segment")}
	body.Words = q.Words
	if text := a.FormValue("term"); text != "" {
		var known bool
		if q.Term, known = pricing.ParseTerm(text); !known {
			return answer{}, wrongError{"There is no term " + text + "."}
		}
	}
	for _, t := range terms {
		body.Terms = append(body.Terms, choice{t.String(), termWords[t.String()], t == q.Term})
	}
	for _, segment := range segments {
		body.Segments = append(body.Segments, choice{segment, segment, segment == q.Segment})
	}
	yes := true
	only := a.FormValue("only")
	for _, o := range []choice{{Value: "trials", Name: "trials"}, {Value: "add-ons", Name: "add-ons"}, {Value: "promotions", Name: "with an open promotion"},
		{Value: "new", Name: "new commerce"}, {Value: "traditional", Name: "traditional"}} {
		o.Chosen = o.Value == only
		body.Others = append(body.Others, o)
	}
	switch only {
	case "trials":
		q.Trial = &yes
	case "add-ons":
		q.AddOn = &yes
	case "promotions":
		q.Promotion = true
	case "new", "traditional":
		q.Commerce = offers.Commerce(only)
	}
	if c != nil {
		places := c.Find(q)
		from, to, p := a.page(len(places))
		body.Pager = p
		for _, place := range places[from:to] {
			o := c.Offer(place, q)
			body.Rows = append(body.Rows, offerRow{o, offerAddress(o.ProductID, o.SkuID, body)})
		}
	}
	return answer{template: "offers", title: "Offers", place: "Offers", body: body}, nil
}

func offerAddress(product, sku string, body offersBody) string {
	return "/offers/" + pathSegment(product) + "/" + pathSegment(sku) + "?market=" + body.Market + "&month=" + body.Month
}

type offerBody struct {
	offersBody
	Offer offers.Offer
	// What it goes with; only what is sold here and now has a page.
	Needs, UpgradesTo, ConvertsTo, AddOns []namedOffer
}

// namedOffer is another offer; Address is "" where it has no page.
type namedOffer struct {
	offers.Named
	Address string
}

func (s *Site) offer(a ask) (answer, error) {
	c, body, at, err := s.catalogue(a)
	if err != nil {
		return answer{}, err
	}
	if c == nil {
		return answer{}, errNotFound
	}
	sku := pricing.SKU{ProductID: a.PathValue("product"), SkuID: pricing.NormalSKU(a.PathValue("sku"))}
	o, ok := c.Whole(sku, offers.Query{At: at})
	if !ok {
		return answer{}, errNotFound
	}
	named := func(list []offers.Named) (all []namedOffer) {
		for _, n := range list {
			one := namedOffer{Named: n}
			if _, sold := c.Whole(pricing.SKU{ProductID: n.ProductID, SkuID: n.SkuID}, offers.Query{At: at}); sold {
				one.Address = offerAddress(n.ProductID, n.SkuID, body)
			}
			all = append(all, one)
		}
		return all
	}
	whole := offerBody{body, o, named(o.Needs), named(o.UpgradesTo), named(o.ConvertsTo), named(o.AddOns)}
	return answer{template: "offer", title: o.SkuTitle, place: "Offers", crumbs: []crumb{{"Offers", "/offers?market=" + body.Market + "&month=" + body.Month}}, body: whole}, nil
}
