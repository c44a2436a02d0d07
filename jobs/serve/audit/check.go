package audit

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Checked is what a look at the chains of some days came to.
type Checked struct {
	Objects int     `json:"objects"`
	Events  int     `json:"events"`
	Faults  []Fault `json:"faults"`
	// Open are instances that did not say that they stopped: they run, or were
	// interrupted, and then what is missing at their end does not show.
	Open []string `json:"open"`
}

// Fault is something wrong with the trail.
type Fault struct {
	Object string `json:"object"`
	What   string `json:"what"`
}

// link is what an object says of another one.
type link struct {
	of string
	Link
}

// Check reads the trail of the days from from to to, both included, and tells what is
// missing or was changed. What came before the first day is taken on trust, but for the
// hash that the first object of each chain has of it.
func (s *Store) Check(ctx context.Context, from, to time.Time) (Checked, error) {
	c := Checked{Faults: []Fault{}, Open: []string{}}
	last := make(map[string]found) // by instance
	sums := make(map[string]string)
	var links []link
	for o, err := range s.objects(ctx, from, to, "") {
		if err != nil {
			return Checked{}, err
		}
		c.Objects++
		c.Events += len(o.events)
		wrong := func(format string, args ...any) {
			c.Faults = append(c.Faults, Fault{o.key, fmt.Sprintf(format, args...)})
		}
		instance, number, _ := parseKey(o.key)
		before, known := last[instance]
		o.header.Number = number // of one that cannot be read too
		last[instance] = o
		sums[o.key] = o.sum
		for _, l := range o.header.Others {
			links = append(links, link{o.key, l})
		}
		if o.err != nil {
			wrong("%v", o.err)
			continue
		}
		switch {
		case !known:
			if number == 1 && o.header.Before != "" {
				wrong("it is the first, and names one before it")
			}
			if number > 1 && o.header.Before == "" {
				wrong("it does not name the one before it")
			}
		case number != before.header.Number+1:
			wrong("it follows number %d: %d are missing", before.header.Number, number-before.header.Number-1)
		case o.header.Before != before.sum:
			wrong("the one before it, %s, has been changed: its SHA-256 is %s and was %s", before.key, before.sum, o.header.Before)
		case before.header.Last:
			wrong("it follows the last one of its instance")
		}
	}
	for _, l := range links {
		sum, there := sums[l.Key]
		switch {
		case !there && l.Key >= folderOf(from):
			c.Faults = append(c.Faults, Fault{l.Key, "it is missing: " + l.of + " names it"})
		case there && sum != l.SHA256:
			c.Faults = append(c.Faults, Fault{l.Key, "it has been changed: " + l.of + " names it with another SHA-256"})
		}
	}
	for _, instance := range slices.Sorted(maps.Keys(last)) {
		if !last[instance].header.Last {
			c.Open = append(c.Open, instance)
		}
	}
	return c, nil
}
