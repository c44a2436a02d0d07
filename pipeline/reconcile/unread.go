package reconcile

import (
	"strings"

	"github.com/calends/calends/pricing"
)

// What a line of ours and one that could not be read have in common at least.
const (
	sameEvent = 3 // charge type and charge dates, or as much
	anEvent   = 0 // the subscription, and nothing that was read is not ours
)

// unread gives free lines of ours to lines of theirs that could not be read, the
// likest first. Both stay without a counterpart: what nobody can read agrees
// with nothing.
func (m *matcher) unread(least int) {
	if len(m.group.Unread) == 0 {
		return
	}
	free := make(map[string][]*entry)
	for _, o := range m.freeOurs {
		if o.here {
			free[o.subscription] = append(free[o.subscription], o)
		}
	}
	for i := range m.group.Unread {
		b := &m.group.Unread[i]
		if m.claimed[b] {
			continue
		}
		var best *entry
		most := least - 1
		for _, o := range free[strings.ToLower(b.Line.SubscriptionID)] {
			if n := common(o, b); n > most && !o.used {
				best, most = o, n
			}
		}
		if best == nil {
			continue
		}
		if m.claimed == nil {
			m.claimed = make(map[*Billed]bool)
		}
		m.claimed[b] = true
		f := m.alone(StepRemainder, best, nil)
		f.unread = b
		m.found = append(m.found, f)
	}
	m.sweep()
}

// common counts what was read of a line of the subscription and is ours; it is
// -1 where something that was read is not. Fields that could not be read say
// nothing.
func common(o *entry, b *Billed) int {
	l, ours := b.Line, o.line
	n := 0
	for _, field := range [...]struct{ read, same bool }{
		{l.ChargeType != "", kindOf(l.ChargeType) == o.kind},
		{l.ChargeStart != pricing.NoDate, l.ChargeStart == ours.ChargeStart},
		{l.ChargeEnd != pricing.NoDate, l.ChargeEnd == ours.ChargeEnd},
		{l.OrderDate != pricing.NoDate, l.OrderDate == ours.OrderDate},
		{!billable(b).IsZero(), billable(b).Abs().Equal(o.quantity)},
		{l.EffectiveUnitPrice.Sign()*ours.EffectiveUnitPrice.Sign() != 0, l.EffectiveUnitPrice.Sign() == ours.EffectiveUnitPrice.Sign()},
	} {
		if !field.read {
			continue
		}
		if !field.same {
			return -1
		}
		n++
	}
	return n
}
