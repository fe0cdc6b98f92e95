//go:build unix

package browser_test

import (
	"strings"
	"testing"
	"time"

	"github.com/heartlock/heartlock/pkg/heartlocktest/browser"
)

func TestTheClipboardIsRead(t *testing.T) {
	t.Parallel()
	tab := browser.NewTab(t, site(t, nil).URL)
	tab.HoldClipboard()
	tab.Open("/form")
	browser.Evaluate[bool](tab, "navigator.clipboard.writeText('copied text').then(() => true)")
	tab.WantClipboard("copied text")
}

func TestFilesAreSavedAndGiven(t *testing.T) {
	t.Parallel()
	tab := browser.NewTab(t, site(t, nil).URL)
	tab.Open("/form")
	name, content := tab.Download(func() {
		browser.Evaluate[bool](tab, `(() => { const a = document.createElement('a'); a.download = 'x.env';
			a.href = URL.createObjectURL(new Blob(['A=1\n'])); a.click(); return true })()`)
	})
	if name != "x.env" || string(content) != "A=1\n" {
		t.Errorf("%q: %q", name, content)
	}
}

func TestTimePasses(t *testing.T) {
	t.Parallel()
	tab := browser.NewTab(t, site(t, nil).URL)
	tab.Open("/form")
	browser.Evaluate[bool](tab, "setTimeout(() => { document.querySelector('#out').textContent = 'a minute later' }, 60000), true")
	begin := time.Now()
	tab.PassTime(59 * time.Second)
	tab.WantNoText("a minute later")
	tab.PassTime(2 * time.Second)
	tab.WantText("a minute later")
	tab.Click("Count") // works on
	tab.PassTime(time.Second)
	tab.WantText("counted 1")
	if waited := time.Since(begin); waited > browser.Limit {
		t.Errorf("a minute of the page took %v", waited)
	}
}

func TestAHiddenTabKnows(t *testing.T) {
	t.Parallel()
	tab := browser.NewTab(t, site(t, nil).URL)
	tab.Open("/form")
	browser.Evaluate[bool](tab, "document.addEventListener('visibilitychange', () => { document.querySelector('#out').textContent = 'it is ' + document.visibilityState }), true")
	tab.Hide()
	tab.WantText("it is hidden")
}

func TestAxeFindsBarriers(t *testing.T) {
	t.Parallel()
	tab := browser.NewTab(t, site(t, map[string]string{
		"/bad": `<!doctype html><html lang="en"><head><title>Bad</title></head><body><main><h1>Bad</h1><input><img src="data:,"></main></body></html>`,
	}).URL)
	tab.Open("/form")
	tab.Axe()
	tab.Open("/bad")
	if got := strings.Join(tab.Barriers(), "\n"); !strings.Contains(got, "label") || !strings.Contains(got, "image-alt") {
		t.Errorf("the barriers of a bad page: %s", got)
	}
	tab.Complaints() // of the picture, which the policy forbids
}

func TestPagesAreWeighed(t *testing.T) {
	t.Parallel()
	tab := browser.NewTab(t, site(t, nil).URL)
	w := tab.Weigh("/form")
	if w.Requests != 3 || w.Rounds != 2 || w.Bytes < len(form)+len(module) || w.Bytes > len(form)+len(module)+2000 {
		t.Errorf("%s\n%s\n%s", browser.WeightHeader(), w, strings.Join(w.Parts, "\n"))
	}
}
