package browser

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strings"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"
)

// attach tells the watch which frame is the tab's.
func (w *watch) attach(frame cdp.FrameID, dialogs func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.frame, w.dialogs = frame, dialogs
}

// proxied makes a browser context send everything through a proxy.
func proxied(address string) chromedp.CreateBrowserContextOption {
	return func(p *target.CreateBrowserContextParams) {
		p.ProxyServer = address
		p.ProxyBypassList = "<-loopback>" // bypass nothing, not even this machine
	}
}

// focused is the role and the name of what has the focus.
func (t *Tab) focused(ctx context.Context) (string, error) {
	element, err := chromedp.Run(ctx, chromedp.Evaluate[*runtime.RemoteObject]("document.activeElement"))
	if err != nil || element == nil || element.ObjectID == "" {
		return "", err
	}
	tree, err := chromedp.Call(ctx, accessibility.GetPartialAXTree, accessibility.GetPartialAXTreeParams{
		ObjectID: element.ObjectID, FetchRelatives: new(false),
	})
	if err != nil || len(tree.Nodes) == 0 {
		return "", err
	}
	role := axText(tree.Nodes[0].Role)
	if role == "RootWebArea" || role == "none" || role == "generic" {
		return "", nil
	}
	return fmt.Sprintf("%s %q", role, axText(tree.Nodes[0].Name)), nil
}

// artifacts is the directory for what a failed test leaves: the test's own if the
// go command keeps it, else a new one.
func (t *Tab) artifacts() (string, error) {
	if f := flag.Lookup("test.artifacts"); f != nil && f.Value.String() == "true" {
		return t.tb.ArtifactDir(), nil
	}
	name := strings.Map(func(r rune) rune {
		if r == '/' || r == '*' {
			return '-'
		}
		return r
	}, t.tb.Name())
	return os.MkdirTemp("", "heartlock-"+name+"-")
}

// allDone reports whether every request has been answered to its last byte.
func (t *Tab) allDone(context.Context) error {
	t.watch.mu.Lock()
	defer t.watch.mu.Unlock()
	for _, r := range t.watch.requests {
		if !r.done {
			return fmt.Errorf("%s is not answered", r.url)
		}
	}
	return nil
}
