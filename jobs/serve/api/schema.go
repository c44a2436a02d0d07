package api

import (
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	"github.com/calends/calends/jobs"
	"github.com/calends/calends/jobs/serve/offers"
)

// schemas are the document's, by their names. A type of jobs that has the name of one
// here stands there under another.
func schemas() huma.Registry {
	renamed := map[reflect.Type]string{
		reflect.TypeFor[jobs.PriceRow](): "ExplainedPriceRow",
		reflect.TypeFor[offers.Plan]():   "OfferPlan",
		reflect.TypeFor[offers.Price]():  "OfferPrice",
		reflect.TypeFor[offers.Limits](): "LicenseLimits",
		reflect.TypeFor[offers.Named]():  "NamedSKU",
		reflect.TypeFor[offers.Owned]():  "MeetingSubscription",
	}
	return huma.NewMapRegistry("#/components/schemas/", func(t reflect.Type, hint string) string {
		for t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		if name, ok := renamed[t]; ok {
			return name
		}
		return huma.DefaultSchemaNamer(t, hint)
	})
}
