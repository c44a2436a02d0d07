package main

import (
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// progress draws one bar a stage, on a terminal. A job calls show from one
// goroutine at a time.
type progress struct {
	out   *os.File
	stage string
	bar   *progressbar.ProgressBar
}

// newProgress returns nil when nobody watches.
func newProgress(out *os.File) *progress {
	if !term.IsTerminal(int(out.Fd())) {
		return nil
	}
	return &progress{out: out}
}

// show draws how far a stage is. With a total of 0 it is not known how long it takes.
func (p *progress) show(stage string, done, total int64) {
	if p.bar == nil || stage != p.stage {
		p.end()
		most := total
		if most <= 0 {
			most = -1 // a spinner
		}
		p.stage = stage
		p.bar = progressbar.NewOptions64(most, progressbar.OptionSetDescription(stage), progressbar.OptionSetWriter(p.out),
			progressbar.OptionSetWidth(24), progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionShowCount(),
			progressbar.OptionClearOnFinish(), progressbar.OptionSetPredictTime(total > 0))
	}
	// A bar that cannot be drawn is nothing to stop for.
	_ = p.bar.Set64(done)
}

// end takes the bar away.
func (p *progress) end() {
	if p.bar != nil {
		_ = p.bar.Clear()
		p.bar = nil
	}
}
