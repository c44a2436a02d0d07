// Package offers is the catalogue: what a price sheet sells in a market, with what the
// offer matrix and the promotions say of it. It finds offers by words, and answers as of
// an instant.
//
// An offer is of new commerce or traditional. New commerce sells products of the
// catalogue by term and billing plan, under ids such as CFQ7TTC0LH18/0001; its price is
// for the whole term. A traditional licence offer is known by a GUID. A sheet's rows of
// perpetual software are no licence prices, and not kept; software that is sold by the
// term is an offer like any other, marked as software by its tags.
//
// A trial has the billing plan None, or the tag Trial. An add-on is what the offer matrix
// names prerequisites of: it is bought on its own, and only whether the customer has one
// of them is asked, of purchases that are made here.
package offers
