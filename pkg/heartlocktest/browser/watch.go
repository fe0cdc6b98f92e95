package browser

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/inspector"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
)

// watch sees all that happens in a tab. Its see is called by the goroutine that
// reads what the browser says.
type watch struct {
	mu       sync.Mutex
	frame    cdp.FrameID // the tab's own; embedded ones are none of ours
	loading  bool        // between the wish for another page and its last byte
	status   int64       // of the page
	faults   []string
	origins  []string // that may be talked to; the first is the server's, whose faults count
	statuses []int64  // that requests of scripts may end in
	dialogs  func()   // answers a JavaScript dialog
	requests map[network.RequestID]*request
	order    []network.RequestID
}

// request is one message to the server and its answer.
type request struct {
	url, initiator string
	kind           network.ResourceType
	blocking       bool // nothing is shown before it is there
	status         int64
	bytes          float64 // as they were sent: headers, and the body compressed
	done           bool
}

func newWatch(origin string) *watch {
	return &watch{origins: []string{origin}, requests: map[network.RequestID]*request{}}
}

func (w *watch) see(event any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch e := event.(type) {
	case *page.EventFrameRequestedNavigation:
		w.load(e.FrameID, true)
	case *page.EventFrameStartedLoading:
		w.load(e.FrameID, true)
	case *page.EventFrameStoppedLoading:
		w.load(e.FrameID, false)
	case *network.EventRequestWillBeSent:
		w.sent(e)
	case *network.EventResponseReceived:
		w.answered(e)
	case *network.EventLoadingFinished:
		w.finished(e)
	case *network.EventLoadingFailed:
		w.failed(e)
	default:
		w.complain(event)
	}
}

// complain writes down what must not be heard of.
func (w *watch) complain(event any) {
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		text := e.ExceptionDetails.Text
		if thrown := e.ExceptionDetails.Exception; thrown != nil {
			text += " " + thrown.Description
		}
		w.fault("exception: %s (%s)", text, e.ExceptionDetails.URL)
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeAssert {
			w.fault("console: %s", consoleText(e.Args))
		}
	case *log.EventEntryAdded:
		// Failed requests are in the log too; sent, answered and failed know more.
		if e.Entry.Level == log.EntryLevelError && e.Entry.Source != log.EntrySourceNetwork {
			w.fault("%s: %s (%s)", e.Entry.Source, e.Entry.Text, e.Entry.URL)
		}
	case *audits.EventIssueAdded:
		if d := e.Issue.Details; d != nil && d.ContentSecurityPolicyIssueDetails != nil {
			csp := d.ContentSecurityPolicyIssueDetails
			w.fault("violation of the Content-Security-Policy: %s %s", csp.ViolatedDirective, csp.BlockedURL)
		}
	case *page.EventJavascriptDialogOpening:
		if e.Type != page.DialogTypeBeforeunload { // the browser's own question about unsaved work
			w.fault("JavaScript dialog: %s %q", e.Type, e.Message)
		}
		if w.dialogs != nil {
			go w.dialogs() // an answer is a command, which this goroutine must not give
		}
	case *inspector.EventTargetCrashed:
		w.fault("the tab crashed")
	}
}

func consoleText(args []*runtime.RemoteObject) string {
	var texts []string
	for _, a := range args {
		if len(a.Value) > 0 {
			texts = append(texts, string(a.Value))
		} else {
			texts = append(texts, a.Description)
		}
	}
	return strings.Join(texts, " ")
}

func (w *watch) load(frame cdp.FrameID, loading bool) {
	if frame == w.frame {
		w.loading = loading
	}
}

func (w *watch) sent(e *network.EventRequestWillBeSent) {
	if !strings.HasPrefix(e.Request.URL, "http") {
		return // data: and blob: go nowhere
	}
	if before := w.requests[e.RequestID]; before != nil && e.RedirectResponse != nil {
		before.status, before.bytes, before.done = e.RedirectResponse.Status, e.RedirectResponse.EncodedDataLength, true
		id := e.RequestID + network.RequestID(fmt.Sprintf(" redirected %d", len(w.order)))
		w.requests[id] = before
		w.order[slices.Index(w.order, e.RequestID)] = id
	}
	w.requests[e.RequestID] = &request{
		url: e.Request.URL, kind: e.Type, initiator: initiator(e),
		blocking: e.RenderBlockingBehavior == network.RenderBlockingBehaviorBlocking || e.RenderBlockingBehavior == network.RenderBlockingBehaviorInBodyParserBlocking,
	}
	w.order = append(w.order, e.RequestID)
	if !w.known(e.Request.URL) {
		w.fault("request to another origin: %s %s", e.Request.Method, e.Request.URL)
	}
}

// initiator is the address of what asked for the request, or "" for a page.
func initiator(e *network.EventRequestWillBeSent) string {
	if e.Type == network.ResourceTypeDocument || e.Initiator == nil {
		return ""
	}
	if e.Initiator.URL != "" {
		return e.Initiator.URL
	}
	if s := e.Initiator.Stack; s != nil && len(s.CallFrames) > 0 {
		return s.CallFrames[0].URL
	}
	return e.DocumentURL
}

func (w *watch) known(address string) bool {
	u, err := url.Parse(address)
	return err == nil && slices.Contains(w.origins, u.Scheme+"://"+u.Host)
}

func (w *watch) answered(e *network.EventResponseReceived) {
	r := w.requests[e.RequestID]
	if r == nil {
		return
	}
	r.status = e.Response.Status
	if e.Type == network.ResourceTypeDocument {
		if e.FrameID == w.frame {
			w.status = r.status // what a page says of itself is WantStatus's business
		}
		return
	}
	if r.status >= 400 && !slices.Contains(w.statuses, r.status) && strings.HasPrefix(r.url, w.origins[0]+"/") {
		w.fault("%s answered with %d", r.url, r.status)
	}
}

func (w *watch) finished(e *network.EventLoadingFinished) {
	if r := w.requests[e.RequestID]; r != nil {
		r.bytes, r.done = e.EncodedDataLength, true
	}
}

func (w *watch) failed(e *network.EventLoadingFailed) {
	r := w.requests[e.RequestID]
	if r == nil {
		return
	}
	r.done = true
	if e.BlockedReason != "" || !e.Canceled && e.ErrorText != "net::ERR_ABORTED" {
		w.fault("%s failed: %s %s", r.url, e.ErrorText, e.BlockedReason)
	}
}

// fault keeps a complaint once.
func (w *watch) fault(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(w.faults, text) {
		w.faults = append(w.faults, text)
	}
}

// complaints are all the faults so far.
func (w *watch) complaints() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.faults)
}

// settled reports whether no page is on its way.
func (w *watch) settled() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.loading
}
