package page

import (
	"errors"
	"net/http"

	"github.com/calends/calends/jobs/relationship"
	"github.com/calends/calends/jobs/serve/access"
	"github.com/calends/calends/jobs/serve/audit"
	"github.com/calends/calends/pipeline/ledger"
)

func (s *Site) registerRelationships() {
	s.mux.HandleFunc("GET "+relationship.Path+"{token}", s.link)
	s.mux.HandleFunc("POST "+relationship.Path+"{token}", s.answerLink)
}

// linkBody is what somebody who has a link may know: who asks, and until when.
type linkBody struct {
	Partner, Expires string
	Country          string
	Answered         string // accepted or declined; "" while it waits
}

// opened is a link that waits for an answer.
type opened struct {
	fact   ledger.CustomerFact
	token  relationship.Token
	record relationship.Record
	body   linkBody
}

// open finds the request of a link. Every link that is none, or is over, is the same.
func (s *Site) open(r *http.Request) (opened, error) {
	var o opened
	var err error
	if o.token, err = relationship.ParseToken(r.PathValue("token")); err != nil {
		return o, err
	}
	book, reading, err := s.book()
	if err != nil {
		return o, err
	}
	fact, known := reading.Catalog().CustomerFact(o.token.CustomerID)
	if !known {
		return o, relationship.ErrLink
	}
	o.fact = fact
	if o.record, err = s.Relationships.Opens(r.Context(), fact, o.token, s.Now()); err != nil {
		return o, err
	}
	partner := book.byPartner[o.record.PartnerID]
	o.body = linkBody{Partner: book.name(o.record.PartnerID), Country: partner.Country, Expires: o.record.Expires}
	return o, nil
}

func (s *Site) link(w http.ResponseWriter, r *http.Request) {
	o, err := s.open(r)
	s.showLink(w, r, o.body, err)
}

// anybody is who answers a link, for the trail: nobody knows more than the name that
// was given.
const anybody = "anybody"

// answerLink accepts or declines. Nobody has to be signed in: the link is the key, and
// the record has the name that was given and the address that it came from.
func (s *Site) answerLink(w http.ResponseWriter, r *http.Request) {
	o, err := s.open(r)
	if err != nil {
		s.showLink(w, r, o.body, err)
		return
	}
	accept, answered := false, "declined"
	switch r.PostFormValue("answer") {
	case "accept":
		accept, answered = true, "accepted"
	case "decline":
	default:
		s.showLink(w, r, o.body, wrongError{"Choose whether you accept or decline."})
		return
	}
	name, err := relationship.CheckName(r.PostFormValue("name"))
	if err != nil {
		s.showLink(w, r, o.body, wrongError{"Give your name, so that your partner knows who has answered."})
		return
	}
	reading, err := s.Current.Reading()
	if err != nil {
		s.showLink(w, r, o.body, err)
		return
	}
	by := relationship.Asker{Name: name, From: audit.AskedOf(r.Context()).From, At: s.Now(), Inputs: int64(len(reading.Inputs()))}
	if _, err = s.Relationships.Answer(r.Context(), o.fact, o.token, accept, by); err == nil {
		o.body.Answered = answered
		audit.About(r.Context(), o.record.PartnerID, "customer "+o.fact.ID+" "+answered)
		err = s.note(r.Context(), access.Principal{ID: anybody, Name: name}, audit.Event{Kind: audit.Did, Action: "public", Operation: "answer-link"}, http.StatusOK)
	}
	s.showLink(w, r, o.body, err)
}

func (s *Site) showLink(w http.ResponseWriter, r *http.Request, body linkBody, err error) {
	w.Header().Set("Referrer-Policy", "no-referrer") // the address is a key
	if errors.Is(err, relationship.ErrLink) {
		err = errLinkOver
	}
	s.public(w, ask{Request: r}, answer{template: "link", title: "A partner asks for a relationship", body: body}, err)
}
