package relationship

import (
	"context"
	"time"

	"github.com/calends/calends/pipeline/ledger"
)

// Links answers whoever comes by a link, and nobody has to sign in for it.
type Links struct {
	Store *Store
	// Ledger is what came in, and how many inputs that is.
	Ledger func() (*ledger.Catalog, int64, error)
	Now    func() time.Time
}

// Question is what a link asks. It tells nothing that its customer does not know.
type Question struct {
	PartnerID  string
	CustomerID string
	Partner    string // the partner's name
	Expires    string // RFC 3339, in UTC
}

// Look says what a link asks; text is what follows [Path]. Errors: ErrLink.
func (l Links) Look(ctx context.Context, text string) (Question, error) {
	c, err := l.come(text)
	if err != nil {
		return Question{}, err
	}
	open, err := l.Store.Opens(ctx, c.fact, c.token, l.Now())
	if err != nil {
		return Question{}, err
	}
	return c.question(open), nil
}

// Answer answers what a link asks, once. The name is that of whoever answers, as
// [CheckName] has it; from is their address. Errors: ErrLink.
func (l Links) Answer(ctx context.Context, text string, accept bool, name, from string) (Question, error) {
	c, err := l.come(text)
	if err != nil {
		return Question{}, err
	}
	answer, err := l.Store.Answer(ctx, c.fact, c.token, accept, Asker{Name: name, From: from, At: l.Now(), Inputs: c.inputs})
	if err != nil {
		return Question{}, err
	}
	return c.question(answer), nil
}

// comer is somebody with a link.
type comer struct {
	token   Token
	fact    ledger.CustomerFact // of nobody, where the link's customer is not known
	inputs  int64
	partner string
}

func (l Links) come(text string) (c comer, err error) {
	if c.token, err = ParseToken(text); err != nil {
		return c, err
	}
	known, inputs, err := l.Ledger()
	if err != nil {
		return c, err
	}
	c.inputs = inputs
	c.fact, _ = known.CustomerFact(c.token.CustomerID)
	partner, _ := known.Partner(c.fact.PartnerID, ledger.Ever)
	c.partner = partner.Name
	if c.partner == "" {
		c.partner = c.fact.PartnerID
	}
	return c, nil
}

func (c comer) question(r Record) Question {
	return Question{PartnerID: c.fact.PartnerID, CustomerID: c.fact.ID, Partner: c.partner, Expires: r.Expires}
}
