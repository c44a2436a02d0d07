// Package reconcile puts our lines of a month beside Microsoft's, finds which
// belong together, and names the cause of every difference, to the cent.
//
// It works one customer at a time: a [Group] in, a [Result] out. Each line of
// either side is in exactly one [Match], the causes of a match add up to its
// difference, and so the causes of a month add up to theirs - ours.
//
// It reads no file and knows no format; jobs bring the lines and write down
// what comes out.
package reconcile
