//go:build unix

package browser_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/heartlock/heartlock/pkg/heartlocktest/browser"
)

// TestALargeEnvironmentIsQuick opens an environment with as many secrets as there
// can be, and types into its filter. What that takes is reported; it is held to
// the limits only with -speed, because it depends on what else the machine does.
func TestALargeEnvironmentIsQuick(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.project("shop", "")
	h.set("shop", "development", secretsNamed(5000))
	var paints []float64
	for range 3 {
		tab := h.tab(h.owner)
		paints = append(paints, tab.Weigh(shop).Painted)
	}
	slices.Sort(paints)

	tab := h.tab(h.owner)
	tab.Open(shop)
	tab.WantText("5000 secrets")
	tab.Focus("Filter by key or comment")
	browser.Evaluate[bool](tab, keystrokes)
	for _, key := range "payments_0" {
		tab.Type(string(key))
	}
	tab.WantText("of 5000")
	for range len("payments_0") {
		tab.Press("Backspace")
	}
	tab.WantText("5000 secrets")
	strokes := browser.Evaluate[[]float64](tab, "keystrokes")
	if len(strokes) < 2*len("payments_0") {
		t.Fatalf("%d keystrokes were measured", len(strokes))
	}
	slowest := slices.Max(strokes)
	slices.Sort(strokes)
	t.Logf("5000 secrets: first paint after %.0f ms (median of %d), a keystroke in the filter until its next frame %.0f ms (median), %.0f ms (slowest)",
		paints[len(paints)/2], len(paints), strokes[len(strokes)/2], slowest)
	if !*speed {
		return
	}
	if paint := time.Duration(paints[len(paints)/2] * float64(time.Millisecond)); paint > time.Second {
		t.Errorf("the first paint takes %v, want 1s at most", paint)
	}
	if stroke := fmt.Sprintf("%.0f ms", strokes[len(strokes)/2]); strokes[len(strokes)/2] > 50 {
		t.Errorf("a keystroke takes %s, want 50 ms at most", stroke)
	}
}

// keystrokes measures from each input event to the end of the frame that shows
// what it has changed.
const keystrokes = `(() => {
	window.keystrokes = [];
	document.querySelector('#filter').addEventListener('input', () => {
		const begun = performance.now();
		requestAnimationFrame(() => { const c = new MessageChannel(); c.port1.onmessage = () => window.keystrokes.push(performance.now() - begun); c.port2.postMessage(0) });
	}, true);
	return true;
})()`
