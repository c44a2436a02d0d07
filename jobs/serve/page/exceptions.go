package page

import (
	"bytes"
	"cmp"
	"net/http"
	"slices"

	"github.com/calends/calends/exports"
	"github.com/calends/calends/jobs"
	"github.com/calends/calends/jobs/serve/access"
	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pricing"
)

func (s *Site) registerExceptions() {
	s.register(http.MethodGet, "/months/{month}/exceptions", "page-exceptions", access.SeeExceptions, s.exceptions)
}

// exceptionGroup is all exceptions of one code.
type exceptionGroup struct {
	Code     pricing.Code
	Severity invoice.Severity
	Advice   advice
	Rows     []exceptionRow
}

type exceptionRow struct {
	invoice.Exception
	Partner, Customer string // names
	Late              bool   // of a closed month, brought by what came late
}

type exceptionsBody struct {
	Month    string
	State    ledger.State
	Groups   []exceptionGroup
	Errors   int
	Warnings int
	Partner  string // only of this one
	Partners []choice
}

// choice is one of a list.
type choice struct {
	Value, Name string
	Chosen      bool
}

func (s *Site) exceptions(a ask) (answer, error) {
	m, err := s.seenMonth(a)
	if err != nil {
		return answer{}, err
	}
	book, _, err := s.book()
	if err != nil {
		return answer{}, err
	}
	body := exceptionsBody{Month: m.Current.Month, State: m.Current.State, Partner: a.FormValue("partner")}
	for _, p := range book.seen(a.who) {
		body.Partners = append(body.Partners, choice{p.ID, p.Name, p.ID == body.Partner})
	}
	byCode := make(map[pricing.Code]*exceptionGroup)
	for name, late := range jobs.ExceptionFiles() {
		data, err := s.monthFile(a, m, "", name)
		if err == errNotFound { //nolint:errorlint // made here, and never wrapped
			continue // a revision without any has no such file
		}
		if err != nil {
			return answer{}, err
		}
		all, err := exports.ReadExceptions(bytes.NewReader(data), m.Month)
		if err != nil {
			return answer{}, err
		}
		for _, x := range all {
			// Of nobody known is for those who belong to everybody.
			if !a.who.Everyone && (x.PartnerID == "" || !a.who.Sees(x.PartnerID)) || body.Partner != "" && x.PartnerID != body.Partner {
				continue
			}
			g := byCode[x.Code]
			if g == nil {
				g = &exceptionGroup{Code: x.Code, Severity: x.Severity, Advice: adviceOn(x.Code)}
				byCode[x.Code] = g
			}
			if x.Severity == invoice.Error {
				body.Errors++
				g.Severity = invoice.Error
			} else {
				body.Warnings++
			}
			row := exceptionRow{Exception: x, Late: late, Partner: book.name(x.PartnerID)}
			if c, known := book.byID[x.CustomerID]; known {
				row.Customer = c.Name
			}
			g.Rows = append(g.Rows, row)
		}
	}
	for _, g := range byCode {
		slices.SortStableFunc(g.Rows, func(x, y exceptionRow) int {
			return cmp.Or(compareNames(x.Partner, y.Partner), cmp.Compare(x.CustomerID, y.CustomerID), cmp.Compare(x.EventID, y.EventID))
		})
		body.Groups = append(body.Groups, *g)
	}
	slices.SortFunc(body.Groups, func(g, h exceptionGroup) int {
		return cmp.Or(rank(g.Severity)-rank(h.Severity), cmp.Compare(len(h.Rows), len(g.Rows)), cmp.Compare(g.Code, h.Code))
	})
	return answer{template: "exceptions", title: "Exceptions of " + monthName(m.Current.Month), place: "Months", crumbs: crumbsOf(m.Current.Month), body: body}, nil
}

// rank puts errors before warnings.
func rank(s invoice.Severity) int {
	if s == invoice.Error {
		return 0
	}
	return 1
}

// advice is the rule behind a code, and what somebody can do about it.
type advice struct{ Rule, Do string }

func adviceOn(code pricing.Code) advice {
	switch code {
	case pricing.PriceNotFound:
		return advice{"A term without a price is not billed: the sheet that governs needs a row for product, SKU, term, plan, segment and instant.",
			"Take in the month's price sheet of the customer's market, then bill the month again. A missing product may be one that is not for sale there."}
	case pricing.PriceAmbiguous:
		return advice{"Two prices for the same key that begin at the same instant are none.", "Ask Microsoft which holds, and take in a corrected sheet."}
	case pricing.PriceListStale:
		return advice{"Without the month's own sheet the latest earlier one governs.", "Take in the month's sheet of the market, then bill again."}
	case pricing.PromotionNotApplied:
		return advice{"A promotion that was asked for is taken off only where its own conditions are met.", "Compare the purchase with the promotion's products, dates, term and seats."}
	case pricing.FXRateNotFound:
		return advice{"A price in another currency needs the exchange rate of the month.", "Take in the month's exchange rates, then bill again."}
	case pricing.CurrencyMismatch:
		return advice{"An invoice has one currency.", "Correct the partner's billing currency or the charge that came in, then bill again."}
	case pricing.CancelWindowClosed:
		return advice{"A subscription can be cancelled within 168 hours from the start of its term.", "Turn auto-renew off instead, so that it ends with its term."}
	case pricing.SeatWindowClosed:
		return advice{"Only seats that were added within the last 168 hours can go.", "Schedule the smaller number for the renewal."}
	case pricing.UpgradeNotEligible:
		return advice{"The target's term is not shorter, it is active and past its own window, and the offer matrix allows the way.", "Compare both with the offer matrix, or buy the target and let the old one end."}
	case pricing.PlanChangeNotAllowed, pricing.TermEndNotAllowed:
		return advice{"Terms, plans and end dates change only as the offer allows.", "Schedule the change for the renewal, or pick one of the dates that are allowed."}
	case pricing.UnknownCustomer:
		return advice{"A change is billed to a customer that was taken in.", "Take in the customer, with its partner, then bill again."}
	case pricing.UnknownPartner:
		return advice{"A customer is billed to its partner.", "Take in the partner, then bill again."}
	case pricing.UnknownSubscription:
		return advice{"A change needs a subscription of the customer that began before it.", "Take in the purchase that is missing; look for a change under another id."}
	case pricing.SubscriptionNotActive:
		return advice{"Seats and upgrades need an active subscription; an ended one takes no change.", "Reactivate it first, or buy anew."}
	case pricing.ConflictingChange:
		return advice{"One event id stands for one change.", "Find out which of the two contents is right, and send the other under an id of its own."}
	case pricing.InvalidChange:
		return advice{"A change is taken whole or not at all.", "Correct what the message names and send the change again under a new id."}
	default:
		return advice{"", "The message says what was met."}
	}
}
