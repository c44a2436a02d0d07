// Package testdata carries the demo world, so that the binary can show its
// whole job anywhere. README.md tells who is who in it.
package testdata

import "embed"

// Demo holds the input files of the demo under demo/: everything but the
// program that writes them.
//
//go:embed demo/partners.csv demo/customers.csv demo/fxrates.csv demo/promotions.json demo/offermatrix.csv
//go:embed demo/prices demo/changes demo/charges demo/bad demo/late demo/microsoft
var Demo embed.FS
