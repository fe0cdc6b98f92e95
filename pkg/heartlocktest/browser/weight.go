package browser

import (
	"fmt"
	"strings"

	"github.com/chromedp/cdproto/network"
)

// Weight is what a page costs on the first visit.
type Weight struct {
	Path     string
	Requests int
	Bytes    int // sent by the server, headers included, compressed as it sends them
	// Rounds is how often the browser has to ask before it can show anything: once
	// for the page, once more for the styles that it names, and so on.
	Rounds    int
	Redirects int // before the page; each is one of the rounds
	// Painted is when something was shown first, in milliseconds; 0 if that is
	// unknown. It depends on the machine.
	Painted float64
	// Shift is how much of the page has moved while it was loading (Cumulative
	// Layout Shift: 0 is nothing).
	Shift float64
	Moved []string // what has moved
	// Parts are the requests, for a failure to be explained.
	Parts []string
}

// Weigh opens a page in a tab that has not been anywhere and says what that cost.
// It fails the test when the tab has been somewhere.
func (t *Tab) Weigh(path string) Weight {
	t.tb.Helper()
	t.watch.mu.Lock()
	used := len(t.watch.order) > 0
	t.watch.mu.Unlock()
	if used {
		t.tb.Fatal("this tab has been somewhere, so its cache is not empty")
	}
	t.Open(path)
	t.until(t.allDone)
	w := t.watch.weight()
	w.Path = path
	w.Painted, _ = evaluate[float64](t, `performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0`)
	const shift = `new Promise(resolve => {
		const all = {Shift: 0, Moved: []};
		const name = n => n && n.nodeType === 1 ? n.outerHTML.slice(0, 120) : String(n && n.textContent).trim().slice(0, 60);
		const seen = list => { for (const e of list) { all.Shift += e.value; all.Moved.push(...e.sources.map(s => name(s.node))) } };
		const observer = new PerformanceObserver(l => seen(l.getEntries()));
		observer.observe({type: 'layout-shift', buffered: true});
		setTimeout(() => { seen(observer.takeRecords()); resolve(all) }, 50);
	})`
	if moves, err := evaluate[struct {
		Shift float64
		Moved []string
	}](t, shift); err == nil { // without scripts nothing moves
		w.Shift, w.Moved = moves.Shift, moves.Moved
	}
	return w
}

// weight adds up what the tab has asked for.
func (w *watch) weight() Weight {
	w.mu.Lock()
	defer w.mu.Unlock()
	var total Weight
	depth := map[string]int{} // by address: how many answers came one after the other
	for _, id := range w.order {
		r := w.requests[id]
		total.Requests++
		total.Bytes += int(r.bytes)
		total.Parts = append(total.Parts, fmt.Sprintf("%6.0f  %s", r.bytes, r.url))
		depth[r.url] = depth[r.initiator] + 1
		if r.kind == network.ResourceTypeDocument {
			depth[r.url] = total.Rounds + 1 // after the redirects before it
			total.Rounds = depth[r.url]
			total.Redirects = depth[r.url] - 1
		} else if r.blocking {
			total.Rounds = max(total.Rounds, depth[r.url])
		}
	}
	return total
}

// String is a line of a table, see WeightHeader.
func (w Weight) String() string {
	path, _, _ := strings.Cut(w.Path, "?")
	return fmt.Sprintf("%-74s %4d %7.1f %7d %7.0f %7.3f", path, w.Requests, float64(w.Bytes)/1024, w.Rounds, w.Painted, w.Shift)
}

// WeightHeader is above a table of weights.
func WeightHeader() string {
	return fmt.Sprintf("%-74s %4s %7s %7s %7s %7s\n%s", "page, first visit", "req.", "KiB", "rounds", "ms", "shift", strings.Repeat("-", 111))
}
