package invoice

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/calends/calends/pipeline/subscription"
	"github.com/calends/calends/pricing"
)

// Biller bills one customer after another and keeps their lines by partner. It
// is for one goroutine.
type Biller struct {
	// KeepLocks has outcomes say which locks were looked up, as a close wants it.
	KeepLocks bool
	// Spare is where memory for lines comes from, if there is some.
	Spare *Spare

	world       World
	books       Books
	month       pricing.Month
	first, last pricing.Date // of the month

	lives subscription.Lives
	items map[Item]*sharedItem
	quiet quietPlaces
	// What was asked for lately is found without hashing all of it.
	recent [4096]recentItem
	sheets [1024]recentSheet

	// What follows is of the blocks at hand.
	shared     *Shared
	sheetIndex map[subscription.Source]int32
	rates      map[rateKey]int32
	fixedRates []fixedRate // by their places
	notes      map[Note]int32
	partners   map[string][]*Block // the last is added to

	// What follows is of the customer at hand.
	customer string
	expected int // about how many lines
	outcome  Outcome
	desired  Block        // what the history wants for closed months
	tails    []tail       // of the billed month
	accounts []account    // by month
	failed   error        // what a charge could not return
	order    []orderedRow // for sorting
	rows     []Row
}

// account is who pays for the customer in a month.
type account struct {
	month pricing.Month
	payer *subscription.Payer
	code  pricing.Code
	index int32 // of the account; -1 before it has a line
	block *Block
	// The rate of the currency that was asked for last.
	currency string
	rate     int32
}

// tail is where a customer's lines begin in a block.
type tail struct {
	block *Block
	from  int
}

// recentSheet is a price sheet and its place in the blocks that it was last used in.
type recentSheet struct {
	of    *Shared
	sheet subscription.Source
	index int32
}

// recentItem says which item the terms have that are alike.
type recentItem struct {
	sku                               pricing.SKU
	availability, promotion           string
	skuTitle, productTitle, publisher string
	addOn, trial                      bool
	term                              pricing.Term
	plan                              pricing.Plan
	item                              *sharedItem
}

// sharedItem is an item and its place likewise.
type sharedItem struct {
	item  *Item
	of    *Shared
	index int32
}

type rateKey struct {
	pricing string
	partner string
	month   pricing.Month
}

// NewBiller returns a Biller of customers' lines of the month.
func NewBiller(world World, books Books, month pricing.Month) *Biller {
	b := &Biller{world: world, books: books, month: month, first: month.First(), last: month.Last(), items: make(map[Item]*sharedItem)}
	b.Take()
	return b
}

// Take returns the lines so far, by partner and in the order of the customers,
// and begins anew.
func (b *Biller) Take() map[string][]*Block {
	lines := make(map[string][]*Block)
	for id, blocks := range b.partners {
		blocks = slices.DeleteFunc(blocks, func(one *Block) bool { return len(one.Rows) == 0 })
		if len(blocks) > 0 {
			lines[id] = blocks
		}
	}
	b.shared, b.sheetIndex = new(Shared), make(map[subscription.Source]int32)
	b.rates, b.notes, b.partners = make(map[rateKey]int32), make(map[Note]int32), make(map[string][]*Block)
	b.fixedRates = b.fixedRates[:0]
	b.desired = Block{Shared: b.shared}
	return lines
}

// Bill computes one customer's lines and exceptions, as the function [Bill]
// does. What the outcome says of the end is good until the next call.
func (b *Biller) Bill(c Customer) (Outcome, error) {
	b.customer, b.outcome, b.accounts, b.tails = c.ID, Outcome{}, b.accounts[:0], b.tails[:0]
	b.expected = len(c.Standing) + 2*len(c.Changes)
	for _, p := range c.Parts {
		b.expected += p.To - p.From
	}
	b.desired.clear()
	for _, lost := range c.Conflicts {
		b.exceptions(b.conflict(lost))
	}
	quiet, err := b.billQuiet(&c)
	if err != nil {
		return Outcome{}, err
	}
	end, err := b.lives.Live(customerWorld{b.world, b, c.Locks}, b, c.ID, c.Standing, c.Changes, b.month)
	if err = cmp.Or(b.failed, err); err != nil {
		return Outcome{}, err
	}
	for _, e := range c.Elsewhere {
		if err := b.passThrough(e); err != nil {
			return Outcome{}, err
		}
	}
	end.Seats.Opening += quiet.seats
	end.Seats.Closing += quiet.seats
	end.Billed += quiet.subscriptions
	b.outcome.End, b.outcome.Count = end, end.Count
	if payer := b.account(b.month); payer.code == "" {
		b.outcome.PartnerID = payer.payer.Partner.ID
	}
	b.outcome.Count.Ended += c.Ended
	if b.books.FirstOpen(b.month) && len(c.Issued)+len(b.desired.Rows) > 0 {
		for _, l := range corrections(c.Issued, slices.Collect(b.desired.Lines())) {
			if err := b.add(l); err != nil {
				return Outcome{}, err
			}
		}
	}
	for _, t := range b.tails {
		b.sort(t)
	}
	return b.outcome, nil
}

// Blocks of a partner have room for twice as many lines as the one before, so that
// few lines take little room and many are not copied.
const (
	leastRoom = 32
	mostRoom  = 1024
)

// blockOf returns a partner's block, to which the customer's lines are added:
// those of one customer stand in one.
func (b *Biller) blockOf(partnerID string) (*Block, error) {
	blocks := b.partners[partnerID]
	for _, t := range b.tails {
		if n := len(blocks); n > 0 && t.block == blocks[n-1] {
			return t.block, nil
		}
	}
	if len(blocks) == 0 {
		partner, known := b.world.Partner(partnerID, b.month)
		if !known {
			return nil, fmt.Errorf("partner %s has lines in %s but was never taken in", partnerID, b.month)
		}
		blocks = append(blocks, b.newBlock(partner.BillingCurrency, leastRoom))
		b.partners[partnerID] = blocks
	}
	block := blocks[len(blocks)-1]
	if room := cap(block.Rows); len(block.Rows) > 0 && len(block.Rows)+b.expected > room {
		block = b.newBlock(block.Currency, min(2*room, mostRoom))
		b.partners[partnerID] = append(blocks, block)
	}
	b.tails = append(b.tails, tail{block, len(block.Rows)})
	return block, nil
}

// newBlock makes room for some lines, with what their texts take: four ids.
func (b *Biller) newBlock(currency string, room int) *Block {
	room = max(room, b.expected)
	var block Block
	if room >= mostRoom/2 { // not for a few lines of a partner who has no more
		block = b.Spare.take(room)
	}
	if block.Rows == nil {
		block.Rows, block.Texts = make([]Row, 0, room), make([]byte, 0, 128*room)
	}
	block.Shared, block.Currency = b.shared, currency
	return &block
}

// add takes a line of the billed month in full.
func (b *Biller) add(l *Line) error {
	block, err := b.blockOf(l.Account.PartnerID)
	if err != nil {
		return err
	}
	if l.Currency != block.Currency {
		b.mismatch(l, block.Currency)
		return nil
	}
	block.Add(l)
	return nil
}

// orderedRow is what rows are sorted by; most are told apart by the first bytes
// of the subscription's id.
type orderedRow struct {
	prefix uint64
	date   pricing.Date
	row    int32
}

// sort puts the customer's rows in the order of the file: those of one
// subscription and day stay as they came.
func (b *Biller) sort(t tail) {
	rows := t.block.Rows[t.from:]
	b.order = b.order[:0]
	sorted := true
	compare := func(x, y orderedRow) int {
		if x.prefix != y.prefix {
			return cmp.Compare(x.prefix, y.prefix)
		}
		return cmp.Or(bytes.Compare(t.block.Text(rows[x.row].Subscription), t.block.Text(rows[y.row].Subscription)),
			cmp.Compare(x.date, y.date), cmp.Compare(x.row, y.row))
	}
	for i := range rows {
		var prefix [8]byte
		copy(prefix[:], t.block.Text(rows[i].Subscription))
		o := orderedRow{binary.BigEndian.Uint64(prefix[:]), rows[i].OrderDate, int32(i)}
		sorted = sorted && (i == 0 || compare(b.order[i-1], o) < 0)
		b.order = append(b.order, o)
	}
	if sorted {
		return
	}
	slices.SortFunc(b.order, compare)
	b.rows = append(b.rows[:0], rows...)
	for i, o := range b.order {
		rows[i] = b.rows[o.row]
	}
}

// mismatch refuses a line of another currency than the invoice's: a correction
// of a month that was billed before the partner changed its currency.
func (b *Biller) mismatch(l *Line, currency string) {
	b.outcome.Mismatched++
	b.outcome.LookBack = true // it is wanted, and not issued
	b.outcome.Exceptions = append(b.outcome.Exceptions, Exception{Severity: Error, Code: pricing.CurrencyMismatch,
		PartnerID: l.Account.PartnerID, CustomerID: l.Account.CustomerID, SubscriptionID: l.SubscriptionID, Month: b.month,
		Message: fmt.Sprintf("%s of %s is not billed: it is in %s, the invoice in %s", l.ChargeType, l.OrderDate, l.Currency, currency)})
}
