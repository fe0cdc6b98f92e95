//go:build unix

package browser_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/heartlock/heartlock/pkg/heartlocktest/browser"
)

const (
	// maxWeight is what a page may send on the first visit, in bytes.
	maxWeight = 60 << 10
	// maxShift is how much a page may move while it loads (Cumulative Layout Shift,
	// which is called good up to 0.1).
	maxShift = 0.02
)

// TestPages looks at every page in every world.
func TestPages(t *testing.T) {
	t.Parallel()
	for name, create := range worlds {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, weights := create(t), new(weightTable)
			t.Cleanup(func() { t.Log("\n" + weights.String()) })
			for _, l := range looksIn(name) {
				t.Run(l.name, func(t *testing.T) {
					t.Parallel()
					lookAt(t, w, l, weights)
				})
			}
		})
	}
}

// lookAt holds a page to what all pages must be.
func lookAt(t *testing.T, w *world, l look, weights *weightTable) {
	tab := l.tab(t, w)
	weight := tab.Weigh(l.path(w))
	weights.add(weight)
	if weight.Bytes > maxWeight {
		t.Errorf("%s weighs %d KiB, more than %d:\n%s", weight.Path, weight.Bytes>>10, maxWeight>>10, strings.Join(weight.Parts, "\n"))
	}
	if weight.Rounds > 2+weight.Redirects {
		t.Errorf("%s is shown after %d round trips; the page and, together, all that it names must do:\n%s",
			weight.Path, weight.Rounds, strings.Join(weight.Parts, "\n"))
	}
	if weight.Shift > maxShift {
		t.Errorf("%s moves while it loads: %.3f\n%s", weight.Path, weight.Shift, strings.Join(weight.Moved, "\n"))
	}
	l.finish(tab, w)
	tab.Rest()
	tab.Axe()
	if w.thorough || !slices.ContainsFunc(looksIn(typical.name), func(other look) bool { return other.name == l.name }) {
		// Once for each page: colours do not depend on how much there is.
		tab.Scheme("dark")
		tab.Axe()
		tab.Scheme("light")
	}
	if w.thorough {
		wantFocusSeen(t, tab)
	}
	tab.Resize(390, 844)
	wantNoOverflow(t, tab)
}

// wantNoOverflow fails the test when the page is wider than the window, and names
// what sticks out.
func wantNoOverflow(t *testing.T, tab *browser.Tab) {
	t.Helper()
	const wide = `(() => {
		const root = document.scrollingElement;
		if (root.scrollWidth <= innerWidth) return '';
		const clipped = e => { for (let p = e.parentElement; p && p !== root; p = p.parentElement) if (/auto|scroll|hidden|clip/.test(getComputedStyle(p).overflowX)) return true; return false };
		const beyond = [...document.body.querySelectorAll('*')].filter(e => e.getBoundingClientRect().right > innerWidth + 1);
		const free = beyond.filter(e => !clipped(e)), out = free.length ? free : beyond.filter(e => getComputedStyle(e).position === 'absolute');
		return 'is ' + root.scrollWidth + ' px wide; what sticks out: ' + out.slice(-3).map(e => e.outerHTML.slice(0, 150)).join(' | ');
	})()`
	if problem := browser.Evaluate[string](tab, wide); problem != "" {
		t.Errorf("%s at 390 px %s", tab.Path(), problem)
	}
}

// wantFocusSeen walks through the page with the Tab key and fails the test at what
// does not show that it has the focus.
func wantFocusSeen(t *testing.T, tab *browser.Tab) {
	t.Helper()
	const seen = `(() => {
		const e = document.activeElement;
		if (!e || e === document.body) return 'end';
		if (['date', 'time', 'datetime-local'].includes(e.type)) return ''; // the browser marks the part that has the focus
		const r = e.getBoundingClientRect();
		const outlined = e => { const s = getComputedStyle(e); return s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 1 || s.boxShadow !== 'none' };
		const around = [e, e.parentElement, ...(e.labels || [])]; // what is drawn in place of a radio button, say
		if (!around.some(outlined)) return 'does not show the focus: ' + e.outerHTML.slice(0, 200);
		if (r.width < 2 || r.height < 2) return 'has the focus but can not be seen: ' + e.outerHTML.slice(0, 200);
		return '';
	})()`
	browser.Evaluate[bool](tab, "scrollTo(0, 0), document.activeElement?.blur(), true")
	for range 40 {
		tab.Press("Tab")
		switch problem := browser.Evaluate[string](tab, seen); problem {
		case "":
		case "end":
			return
		default:
			t.Errorf("%s: %s", tab.Path(), problem)
			return
		}
	}
}

// weightTable is the table of what pages cost.
type weightTable struct {
	mu    sync.Mutex
	lines []string
}

func (w *weightTable) add(weight browser.Weight) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lines = append(w.lines, weight.String())
}

// String is the whole table.
func (w *weightTable) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	slices.Sort(w.lines)
	return browser.WeightHeader() + "\n" + strings.Join(w.lines, "\n")
}

// TestScreenshots makes pictures of every page in every world, for people to look
// at, when it is asked to by -screenshots.
func TestScreenshots(t *testing.T) {
	if *screenshots == "" {
		return // nothing was asked for
	}
	if f := flag.Lookup("test.run"); f == nil || f.Value.String() == "" {
		t.Fatal("use scripts/screenshots.sh")
	}
	dir, err := filepath.Abs(*screenshots)
	if err == nil {
		err = os.MkdirAll(dir, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	for name, create := range worlds {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := create(t)
			for _, l := range looksIn(name) {
				t.Run(l.name, func(t *testing.T) {
					t.Parallel()
					picture(t, w, l, filepath.Join(dir, name))
				})
			}
		})
	}
}

// picture makes the four pictures of a page.
func picture(t *testing.T, w *world, l look, dir string) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	tab := l.tab(t, w)
	tab.Open(l.path(w))
	l.finish(tab, w)
	for _, window := range [][2]int64{{1280, 800}, {390, 844}} {
		tab.Resize(window[0], window[1])
		for _, scheme := range []string{"light", "dark"} {
			tab.Scheme(scheme)
			name := filepath.Join(dir, fmt.Sprintf("%s-%d-%s.png", l.name, window[0], scheme))
			if err := os.WriteFile(name, tab.Screenshot(), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
}
