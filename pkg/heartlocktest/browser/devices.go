package browser

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// Clipboard is what was copied last, by whatever tab. Only after HoldClipboard it
// is known that it was this one.
func (t *Tab) Clipboard() string {
	t.tb.Helper()
	text, err := evaluate[string](t, "navigator.clipboard.readText()")
	if err != nil {
		t.tb.Fatalf("the clipboard can not be read: %v", err)
	}
	return text
}

// WantClipboard waits until the clipboard holds the text.
func (t *Tab) WantClipboard(text string) {
	t.tb.Helper()
	t.until(func(context.Context) error {
		if got := t.Clipboard(); got != text {
			return fmt.Errorf("the clipboard holds %q, want %q", got, text)
		}
		return nil
	})
}

// HoldClipboard makes the clipboard, which is one for all tabs, that of this test
// until it ends, and lets the tab read it. A test calls it once.
func (t *Tab) HoldClipboard() {
	t.tb.Helper()
	clipboard.Lock()
	t.tb.Cleanup(clipboard.Unlock)
	t.permit("clipboard-read")
	t.permit("clipboard-write")
}

// clipboard is held by the test that uses it.
var clipboard sync.Mutex

func (t *Tab) permit(permission string) {
	t.tb.Helper()
	ctx, cancel := t.limited()
	defer cancel()
	_, err := chromedp.CallBrowser(ctx, browser.SetPermission, browser.SetPermissionParams{
		Permission: &browser.PermissionDescriptor{Name: permission}, Setting: browser.PermissionSettingGranted,
		Origin: t.base.String(), BrowserContextID: chromedp.FromContext(t.ctx).BrowserContextID,
	})
	if err != nil {
		t.tb.Fatalf("permission for %s: %v", permission, err)
	}
}

// Download does something that makes the browser save a file, waits until it is
// whole, and returns the name that it was given and what is in it.
func (t *Tab) Download(do func()) (name string, content []byte) {
	t.tb.Helper()
	dir, events := t.tb.TempDir(), true
	ctx, cancel := t.limited()
	defer cancel()
	_, err := chromedp.CallBrowser(ctx, browser.SetDownloadBehavior, browser.SetDownloadBehaviorParams{
		Behavior: browser.SetDownloadBehaviorBehaviorAllowAndName, BrowserContextID: chromedp.FromContext(t.ctx).BrowserContextID,
		DownloadPath: dir, EventsEnabled: &events,
	})
	saved := download{frame: cdp.FrameID(chromedp.FromContext(t.ctx).Target.TargetID)}
	if err == nil {
		err = chromedp.ListenBrowser(ctx, saved.see)
	}
	if err != nil {
		t.tb.Fatalf("downloads: %v", err)
	}
	do()
	t.until(saved.whole)
	content, err = os.ReadFile(filepath.Join(dir, saved.id))
	if err != nil {
		t.tb.Fatal(err)
	}
	return saved.name, content
}

// download is a file that a tab saves; the browser tells of those of all tabs.
type download struct {
	mu       sync.Mutex
	frame    cdp.FrameID
	id, name string
	done     bool
}

func (d *download) see(event any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch e := event.(type) {
	case *browser.EventDownloadWillBegin:
		if e.FrameID == d.frame {
			d.id, d.name = e.GUID, e.SuggestedFilename
		}
	case *browser.EventDownloadProgress:
		d.done = d.done || e.GUID == d.id && e.State == browser.DownloadProgressStateCompleted
	}
}

func (d *download) whole(context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.id == "":
		return errors.New("no file was saved")
	case !d.done:
		return fmt.Errorf("%s is not saved to its end", d.name)
	}
	return nil
}

// PassTime lets the page's clock run ahead: its timers fire, without anybody
// waiting for them. Time stands still for the page afterwards, until the next call.
func (t *Tab) PassTime(d time.Duration) {
	t.tb.Helper()
	ctx, cancel := t.limited()
	defer cancel()
	over := chromedp.Events(ctx, emulation.VirtualTimeBudgetExpired)
	budget := float64(d.Milliseconds())
	err := command(ctx, emulation.SetVirtualTimePolicy, emulation.SetVirtualTimePolicyParams{
		Policy: emulation.VirtualTimePolicyAdvance, Budget: &budget,
	})
	if err != nil {
		t.tb.Fatalf("the page's clock: %v", err)
	}
	for _, err := range over {
		if err != nil {
			t.tb.Fatalf("the page's clock: %v", err)
		}
		return
	}
}

// Hide minimizes the tab's window, as somebody does who goes to do something else:
// the page becomes hidden.
func (t *Tab) Hide() {
	t.tb.Helper()
	ctx, cancel := t.limited()
	defer cancel()
	// What has the focus for ever, as tabs do here, is never hidden either.
	err := command(ctx, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: false})
	if err != nil {
		t.tb.Fatal(err)
	}
	window, err := chromedp.CallBrowser(ctx, browser.GetWindowForTarget, browser.GetWindowForTargetParams{TargetID: chromedp.FromContext(t.ctx).Target.TargetID})
	if err == nil {
		_, err = chromedp.CallBrowser(ctx, browser.SetWindowBounds, browser.SetWindowBoundsParams{
			WindowID: window.WindowID, Bounds: &browser.Bounds{WindowState: browser.WindowStateMinimized},
		})
	}
	if err != nil {
		t.tb.Fatalf("the window can not be minimized: %v", err)
	}
}
