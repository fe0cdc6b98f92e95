package cmd

import (
	"fmt"
	"strings"
	"time"
)

// How often progress is shown: on a terminal a line is drawn anew, elsewhere a
// line is added.
const (
	redrawEvery = 100 * time.Millisecond
	lineEvery   = 10 * time.Second
	barWidth    = 24
)

// progress shows how far long work is: a bar on a terminal, now and then a line
// elsewhere. Short work shows nothing.
type progress struct {
	cli     *cli
	what    string
	started time.Time
	shown   time.Time
	drawn   bool // the bar stands on the terminal's last line
}

func (c *cli) newProgress() *progress { return &progress{cli: c} }

// show tells that done of total are done. A new what begins anew.
func (p *progress) show(what string, done, total int64) {
	now := time.Now()
	if what != p.what {
		p.clear()
		p.what, p.started, p.shown = what, now, now
	}
	every := lineEvery
	terminal := isTerminal(p.cli.streams.Err)
	if terminal {
		every = redrawEvery
	}
	if now.Sub(p.shown) < every || total == 0 {
		return
	}
	p.shown = now
	text := progressText(what, done, total, now.Sub(p.started))
	if !terminal {
		p.cli.say("%s", text)
		return
	}
	p.cli.prompt("\r" + bar(done, total) + " " + text + "\x1b[K")
	p.drawn = true
}

// clear takes the bar off the terminal, so that a line can be written.
func (p *progress) clear() {
	if p.drawn {
		p.cli.prompt("\r\x1b[K")
		p.drawn = false
	}
}

func bar(done, total int64) string {
	filled := int(done * barWidth / total)
	return "[" + strings.Repeat("#", filled) + strings.Repeat(".", barWidth-filled) + "]"
}

func progressText(what string, done, total int64, since time.Duration) string {
	rate := float64(done) / max(since.Seconds(), 0.001)
	text := fmt.Sprintf("%s %d of %d (%d %%), %.0f/s", what, done, total, done*100/total, rate)
	if done > 0 && done < total {
		left := time.Duration(float64(total-done) / rate * float64(time.Second))
		text += ", " + left.Round(time.Second).String() + " left"
	}
	return text
}
