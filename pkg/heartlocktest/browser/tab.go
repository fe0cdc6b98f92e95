package browser

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/security"
	"github.com/chromedp/chromedp"
)

// settings are how a tab sees the world.
type settings struct {
	width, height int64
	dark          bool
	noScript      bool
	proxy         string
	before        []string // scripts that run before those of every page
	selfSigned    bool
}

// Option says how a tab differs from a laptop's: 1280 x 800 pixels, light, with
// JavaScript. Movements are reduced in every tab.
type Option func(*settings)

// Phone is a window of 390 x 844 pixels.
func Phone(s *settings) { s.width, s.height = 390, 844 }

// Dark prefers dark colours.
func Dark(s *settings) { s.dark = true }

// WithoutJavaScript runs no script of a page. The helpers of this package work.
func WithoutJavaScript(s *settings) { s.noScript = true }

// Proxy sends all requests, those to this machine too, through an HTTP proxy at
// the address, which is "host:port".
func Proxy(address string) Option { return func(s *settings) { s.proxy = address } }

// BeforeScripts runs a script in every page before the page's own, past its
// Content-Security-Policy.
func BeforeScripts(script string) Option {
	return func(s *settings) { s.before = append(s.before, script) }
}

// SelfSigned takes any certificate, so that a test can have TLS.
func SelfSigned(s *settings) { s.selfSigned = true }

// Tab is one tab, with the methods of the Part that is its whole page. It belongs
// to the test's goroutine, and is closed when the test ends.
type Tab struct {
	*Part
	tb       testing.TB
	ctx      context.Context
	base     *url.URL
	watch    *watch
	noScript bool
}

// NewTab opens an empty tab in a browser context of its own for the server at
// base, "http://127.0.0.1:12345". No other address may be talked to.
func NewTab(tb testing.TB, base string, options ...Option) *Tab {
	tb.Helper()
	s := settings{width: 1280, height: 800}
	for _, o := range options {
		o(&s)
	}
	context := chromedp.WithNewBrowserContext()
	if s.proxy != "" {
		context = chromedp.WithNewBrowserContext(proxied(s.proxy))
	}
	return newTab(shared.start(tb), tb, base, s, context)
}

// Another opens another tab of the same person: with the same cookies.
func (t *Tab) Another(options ...Option) *Tab {
	t.tb.Helper()
	s := settings{width: 1280, height: 800}
	for _, o := range options {
		o(&s)
	}
	return newTab(t.ctx, t.tb, t.base.String(), s)
}

func newTab(parent context.Context, tb testing.TB, base string, s settings, options ...chromedp.ContextOption) *Tab {
	tb.Helper()
	address, err := url.Parse(base)
	if err != nil {
		tb.Fatal(err)
	}
	t := &Tab{tb: tb, base: address, noScript: s.noScript, watch: newWatch(address.Scheme + "://" + address.Host)}
	t.Part = &Part{tab: t}
	ctx, closeTab := chromedp.NewContext(parent, append(options, chromedp.WithListener(t.watch.see))...)
	t.ctx = ctx
	tb.Cleanup(func() {
		t.end()
		closeTab()
	})
	if err := chromedp.Do(ctx); err != nil { // opens it, for as long as ctx lives
		tb.Fatalf("a tab can not be opened: %v", err)
	}
	t.watch.attach(cdp.FrameID(chromedp.FromContext(ctx).Target.TargetID), t.answerDialog)
	if err := t.prepare(s); err != nil {
		tb.Fatalf("a tab can not be prepared: %v", err)
	}
	return t
}

// prepare makes the tab see the world as the settings say.
func (t *Tab) prepare(s settings) error {
	scheme := "light"
	if s.dark {
		scheme = "dark"
	}
	ctx, cancel := t.limited()
	defer cancel()
	steps := []error{
		command(ctx, audits.Enable, cdp.Empty{}),
		command(ctx, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true}),
		command(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
			{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
		}}),
		command(ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: s.noScript}),
		chromedp.Do(ctx, chromedp.EmulateViewport(s.width, s.height)),
	}
	if s.selfSigned {
		steps = append(steps, command(ctx, security.SetIgnoreCertificateErrors, security.SetIgnoreCertificateErrorsParams{Ignore: true}))
	}
	for _, script := range s.before {
		steps = append(steps, command(ctx, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: script}))
	}
	for _, err := range steps {
		if err != nil {
			return err
		}
	}
	return nil
}

// command sends a command whose answer says nothing.
func command[P, R any](ctx context.Context, c cdp.Command[P, R], params P) error {
	_, err := chromedp.Call(ctx, c, params)
	return err
}

func (t *Tab) limited() (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.ctx, Limit)
}

func (t *Tab) answerDialog() {
	ctx, cancel := t.limited()
	defer cancel()
	_ = command(ctx, page.HandleJavaScriptDialog, page.HandleJavaScriptDialogParams{Accept: true}) // it may be gone
}

// Resize makes the window another size, in pixels.
func (t *Tab) Resize(width, height int64) {
	t.tb.Helper()
	ctx, cancel := t.limited()
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(width, height)); err != nil {
		t.tb.Fatal(err)
	}
}

// Scheme shows the present page in "light" or "dark".
func (t *Tab) Scheme(scheme string) {
	t.tb.Helper()
	ctx, cancel := t.limited()
	defer cancel()
	err := command(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
	}})
	if err != nil {
		t.tb.Fatal(err)
	}
}

// SignIn gives the tab the cookies of somebody who is signed in, such as a
// heartlocktest.Caller's.
func (t *Tab) SignIn(cookies map[string]string) {
	t.tb.Helper()
	ctx, cancel := t.limited()
	defer cancel()
	for name, value := range cookies {
		if err := command(ctx, network.SetCookie, network.SetCookieParams{Name: name, Value: value, URL: t.base.String() + "/"}); err != nil {
			t.tb.Fatalf("the cookie %s can not be set: %v", name, err)
		}
	}
}

// Open goes to a path of the server, or to a whole address, and waits until the
// page and all that it needs are there. It returns the status of the answer.
func (t *Tab) Open(path string) int {
	t.tb.Helper()
	address := path
	if strings.HasPrefix(path, "/") {
		address = t.base.String() + path
	}
	ctx, cancel := t.limited()
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.Navigate(address)); err != nil {
		t.tb.Fatalf("%s can not be opened: %v", path, err)
	}
	t.settle()
	return t.Status()
}

// Reload loads the page anew.
func (t *Tab) Reload() {
	t.tb.Helper()
	ctx, cancel := t.limited()
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.Reload()); err != nil {
		t.tb.Fatal(err)
	}
	t.settle()
}

// Back goes back to the page before, which may come from the browser's memory.
func (t *Tab) Back() {
	t.tb.Helper()
	_, _ = evaluate[bool](t, "history.back(), true") // the page may be gone before it answers
	t.settle()
}

// settle waits until no page is on its way. What an event has begun is known to
// the browser's process once the page has answered twice.
func (t *Tab) settle() {
	t.tb.Helper()
	for range 2 {
		_, _ = evaluate[bool](t, "true") // it may leave just now
	}
	t.until(func(context.Context) error {
		if !t.watch.settled() {
			return fmt.Errorf("the page is still loading after %v", Limit)
		}
		return nil
	})
}

// Status is the status of the answer that the page came with.
func (t *Tab) Status() int {
	t.watch.mu.Lock()
	defer t.watch.mu.Unlock()
	return int(t.watch.status)
}

// Path is where the tab is: path and query, without the server's address when it
// is the server's.
func (t *Tab) Path() string {
	t.tb.Helper()
	address, err := evaluate[string](t, "location.href")
	if err != nil {
		t.tb.Fatal(err)
	}
	if path, ok := strings.CutPrefix(address, t.base.String()+"/"); ok {
		return "/" + path
	}
	return address
}

// Title is the title of the page.
func (t *Tab) Title() string { return Evaluate[string](t, "document.title") }

// HTML is the page as it is now, changed by scripts or not.
func (t *Tab) HTML() string { return Evaluate[string](t, "document.documentElement.outerHTML") }

// Evaluate runs JavaScript in a tab and returns its value, that of a promise when
// it is kept. An exception fails the test.
func Evaluate[T any](t *Tab, expression string) T {
	t.tb.Helper()
	value, err := evaluate[T](t, expression)
	if err != nil {
		t.tb.Fatalf("JavaScript in %s: %v", t.base, err)
	}
	return value
}

func evaluate[T any](t *Tab, expression string) (T, error) {
	ctx, cancel := t.limited()
	defer cancel()
	return chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
}

// Rest waits until the page has nothing to do: every request is answered, and what
// scripts have made of the answers is drawn.
func (t *Tab) Rest() {
	t.tb.Helper()
	t.settle()
	for range 2 { // what one script asks for may ask for more
		t.until(t.allDone)
		if !t.noScript {
			_, _ = evaluate[bool](t, "new Promise(drawn => requestAnimationFrame(() => requestAnimationFrame(() => drawn(true))))")
		}
	}
}

// Screenshot is the whole page as a PNG picture, once it has nothing to do.
func (t *Tab) Screenshot() []byte {
	t.tb.Helper()
	t.Rest()
	picture, err := t.picture()
	if err != nil {
		t.tb.Fatal(err)
	}
	return picture
}

func (t *Tab) picture() ([]byte, error) {
	ctx, cancel := t.limited()
	defer cancel()
	return chromedp.Run(ctx, chromedp.FullScreenshot(100))
}

// Allow says that requests of scripts may be answered with these statuses. Pages
// may have any, see WantStatus.
func (t *Tab) Allow(statuses ...int) {
	t.watch.mu.Lock()
	defer t.watch.mu.Unlock()
	for _, s := range statuses {
		t.watch.statuses = append(t.watch.statuses, int64(s))
	}
}

// AllowOrigin says that pages may be got from another server, whose address is
// "http://host:port".
func (t *Tab) AllowOrigin(origin string) {
	t.watch.mu.Lock()
	defer t.watch.mu.Unlock()
	t.watch.origins = append(t.watch.origins, strings.TrimSuffix(origin, "/"))
}

// Complaints are what would fail the test at its end, see the package's comment.
// The test is then not failed by them any more.
func (t *Tab) Complaints() []string {
	t.settle()
	t.watch.mu.Lock()
	defer t.watch.mu.Unlock()
	faults := t.watch.faults
	t.watch.faults = nil
	return faults
}

// end fails the test for what the tab has complained about, and keeps what it
// shows when the test has failed.
func (t *Tab) end() {
	for _, complaint := range t.watch.complaints() {
		t.tb.Errorf("the browser complains: %s", complaint)
	}
	if !t.tb.Failed() {
		return
	}
	dir, err := t.artifacts()
	if err != nil {
		t.tb.Logf("the page can not be kept: %v", err)
		return
	}
	name := filepath.Join(dir, fmt.Sprintf("tab-%d", time.Now().UnixNano()))
	address, _ := evaluate[string](t, "location.href") // a crashed tab has none
	t.tb.Logf("the tab was at %s; see %s.png and .html", address, name)
	if picture, err := t.picture(); err == nil {
		_ = os.WriteFile(name+".png", picture, 0o600)
	}
	if html, err := evaluate[string](t, "document.documentElement.outerHTML"); err == nil {
		_ = os.WriteFile(name+".html", []byte(html), 0o600)
	}
}
