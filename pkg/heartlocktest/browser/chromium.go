package browser

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// Limit is how long anything is waited for. It is generous: a machine with two
// cores may run several test processes with the race detector at the same time.
const Limit = 30 * time.Second

// secureHost is where tests of single sign-on find their server, through a proxy:
// heartlocktest.OpenIDHost.
const secureHost = "http://heartlock.example.com"

// programs are the names under which distributions install the browser.
var programs = []string{"chromium", "chromium-browser", "google-chrome-stable", "google-chrome"}

// shared is the browser of this process. It is started by the first tab and
// stopped by Main.
var shared process

// process is a running Chromium.
type process struct {
	mu      sync.Mutex
	managed bool            // Main will stop it
	browser context.Context // nil: not started
	stop    func()
	err     error
}

// Main runs the tests of a package that uses tabs, stops the browser, and returns
// the exit code: os.Exit(browser.Main(m)) is the whole TestMain.
func Main(m *testing.M) int {
	shared.mu.Lock()
	shared.managed = true
	shared.mu.Unlock()
	defer shared.end()
	return m.Run()
}

// Start starts a Chromium for a program that is no test. The context is for
// NewContext's children of it; stop ends the browser and removes what it kept.
func Start() (browser context.Context, stop func(), err error) {
	path, err := find()
	if err != nil {
		return nil, nil, err
	}
	profile, err := os.MkdirTemp("", "heartlock-chromium-")
	if err != nil {
		return nil, nil, err
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:len(chromedp.DefaultExecAllocatorOptions):len(chromedp.DefaultExecAllocatorOptions)],
		chromedp.ExecPath(path),
		chromedp.UserDataDir(profile),
		chromedp.DisableGPU,
		chromedp.NoSandbox, // which needs user namespaces, or not to be root
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-domain-reliability", true),
		chromedp.Flag("no-pings", true),
		// A test's host is http and stays so, and has what pages have over https.
		chromedp.Flag("disable-features", "Translate,BlinkGenPropertyTrees,HttpsUpgrades,HttpsFirstBalancedMode,HttpsFirstBalancedModeAutoEnable"),
		chromedp.Flag("unsafely-treat-insecure-origin-as-secure", secureHost),
		chromedp.Flag("lang", "en-US"),
		chromedp.Flag("hide-scrollbars", true),
		chromedp.Flag("font-render-hinting", "none"), // the same picture on every machine
		chromedp.WindowSize(1280, 800),
		chromedp.WSURLReadTimeout(Limit),
	)
	allocator, free := chromedp.NewExecAllocator(context.Background(), options...)
	browser, closeBrowser := chromedp.NewContext(allocator)
	stop = func() {
		closeBrowser()
		free()
		_ = os.RemoveAll(profile) // what a dying process writes anew is left to the system
	}
	if err := chromedp.Do(browser); err != nil {
		stop()
		return nil, nil, fmt.Errorf("start %s: %w", path, err)
	}
	return browser, stop, nil
}

// find looks for the browser's program.
func find() (string, error) {
	for _, name := range programs {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("these tests need Chromium: install Debian's package chromium, or run scripts/test.sh, which does")
}

// start returns the process's browser, which it starts if nobody has yet.
func (p *process) start(tb testing.TB) context.Context {
	tb.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.managed {
		tb.Fatal("no TestMain of this package calls browser.Main, so nobody would stop the browser")
	}
	if p.browser == nil && p.err == nil {
		p.browser, p.stop, p.err = Start()
	}
	if p.err != nil {
		tb.Fatal(p.err)
	}
	return p.browser
}

func (p *process) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stop != nil {
		p.stop()
	}
}
