//go:build unix

package cmd

import (
	"context"
	"os"
	"reflect"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/term"
)

// screen is a terminal on which a command of this process runs.
type screen struct {
	t       *testing.T
	tty     *os.File    // the command's side
	keys    *os.File    // the person's side
	open    *term.State // how it is when what is typed is shown
	mu      sync.Mutex
	shown   strings.Builder
	changed chan struct{}
}

func newScreen(t *testing.T) *screen {
	t.Helper()
	keys, tty, err := pty.Open()
	if err != nil {
		t.Fatalf("no pseudo-terminal: %v", err)
	}
	open, err := term.GetState(int(tty.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	s := &screen{t: t, tty: tty, keys: keys, open: open, changed: make(chan struct{}, 1)}
	go s.watch()
	t.Cleanup(func() { leaveOpen(keys, tty) })
	return s
}

// leftOpen are the terminals of tests that have ended. A form asks for the size of
// its terminal in a goroutine that it does not wait for, so nobody can know when it
// is safe to close one.
var leftOpen struct {
	mu    sync.Mutex
	files []*os.File
}

func leaveOpen(files ...*os.File) {
	leftOpen.mu.Lock()
	defer leftOpen.mu.Unlock()
	leftOpen.files = append(leftOpen.files, files...)
}

func (s *screen) watch() {
	buffer := make([]byte, 4096)
	for {
		n, err := s.keys.Read(buffer)
		s.mu.Lock()
		s.shown.Write(buffer[:n])
		s.mu.Unlock()
		select {
		case s.changed <- struct{}{}:
		default:
		}
		if err != nil {
			return
		}
	}
}

func (s *screen) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.shown.String()
}

// see waits until text is on the screen.
func (s *screen) see(text string) {
	s.t.Helper()
	deadline := time.After(10 * time.Second)
	for !strings.Contains(s.text(), text) {
		select {
		case <-s.changed:
		case <-deadline:
			s.t.Fatalf("never saw %q, but %q", text, s.text())
		}
	}
}

func (s *screen) press(text string) {
	s.t.Helper()
	if _, err := s.keys.WriteString(text); err != nil {
		s.t.Fatal(err)
	}
}

// start runs a command on the screen; its exit code arrives in the channel.
func (s *screen) start(sh *shell, args ...string) <-chan int {
	c := *sh.cli
	c.streams = Streams{In: s.tty, Out: s.tty, Err: s.tty}
	code := make(chan int, 1)
	go func() { code <- c.run(sh.ctx, args) }()
	return code
}

func (s *screen) wantCode(code <-chan int, want int) {
	s.t.Helper()
	select {
	case got := <-code:
		if got != want {
			s.t.Errorf("exit code %d, want %d; screen %q", got, want, s.text())
		}
	case <-time.After(10 * time.Second):
		s.t.Fatalf("the command does not end; screen %q", s.text())
	}
}

func inShop(t *testing.T, server *recorder) *shell {
	t.Helper()
	return newShell(t, "HEARTLOCK_SERVER="+server.URL, "HEARTLOCK_TOKEN=hlp_x", "HEARTLOCK_PROJECT=shop", "HEARTLOCK_ENVIRONMENT=production")
}

func TestAValueIsAskedForAndNotShown(t *testing.T) {
	t.Parallel()
	server := newRecorder(t, map[string]string{"PUT " + shopProd + "/secrets/A/": secretA})
	s := newScreen(t)
	code := s.start(inShop(t, server), "secrets", "set", "A")
	s.see("Value of A (not shown): ")
	s.waitForHiddenInput()
	s.press(" hunter2 \n")
	s.wantCode(code, 0)
	s.see("Set A in shop/production (version 3).")
	if strings.Contains(s.text(), "hunter2") {
		t.Errorf("the terminal shows the value: %q", s.text())
	}
	if got := server.requests(); len(got) != 1 || !strings.HasSuffix(got[0], `{"value":" hunter2 "}`) {
		t.Errorf("sent %q", got)
	}
}

func TestNothingTypedIsNotTheEmptyValue(t *testing.T) {
	t.Parallel()
	server := newRecorder(t, nil)
	s := newScreen(t)
	code := s.start(inShop(t, server), "secrets", "set", "A")
	s.see("(not shown): ")
	s.waitForHiddenInput()
	s.press("\n")
	s.wantCode(code, 2)
	s.see("write A=")
	if got := server.requests(); len(got) != 0 {
		t.Errorf("sent %q", got)
	}
}

// The terminal drops what does not fit into its line: half a key must not be
// stored as if it were the whole one.
func TestALineThatTheTerminalCutIsRefused(t *testing.T) {
	t.Parallel()
	server := newRecorder(t, nil)
	s := newScreen(t)
	code := s.start(inShop(t, server), "secrets", "set", "A")
	s.see("(not shown): ")
	s.waitForHiddenInput()
	for range 5 {
		s.press(strings.Repeat("x", 1000))
	}
	s.press("\n")
	s.wantCode(code, 2)
	s.see("may have been cut off")
	if got := server.requests(); len(got) != 0 {
		t.Errorf("sent %q", got)
	}
}

func TestAnInterruptedPromptLeavesTheTerminalInOrder(t *testing.T) {
	t.Parallel()
	server := newRecorder(t, nil)
	s := newScreen(t)
	sh := inShop(t, server)
	ctx, cancel := context.WithCancelCause(t.Context())
	sh.ctx = ctx
	code := s.start(sh, "secrets", "set", "A")
	s.see("(not shown): ")
	s.waitForHiddenInput()
	cancel(interruption{syscall.SIGINT})
	s.wantCode(code, 130)
	after, err := term.GetState(int(s.tty.Fd()))
	if err != nil || !reflect.DeepEqual(s.open, after) {
		t.Errorf("the terminal is not as it was before (%v)", err)
	}
	s.press("\n") // ends the read that was left behind
}

// waitForHiddenInput waits until the terminal no longer shows what is typed.
func (s *screen) waitForHiddenInput() {
	s.t.Helper()
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		if now, err := term.GetState(int(s.tty.Fd())); err == nil && !reflect.DeepEqual(s.open, now) {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			s.t.Fatal("the terminal still shows what is typed")
		}
	}
}

func TestATerminalIsNotSteered(t *testing.T) {
	t.Parallel()
	comment := strings.Replace(secretA, `"comment":""`, `"comment":"\u001b]0;x\u0007\u202e"`, 1)
	server := newRecorder(t, map[string]string{
		"GET " + shopProd + "/secrets/A/": secretA,
		"GET " + shopProd + "/secrets/":   `{"revision":9,"results":[` + comment + `],"next":null}`,
		"GET " + shopProd + "/secrets/B/": `404 {"detail":"No \u001b[31m B."}`,
	})
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"secrets", "get", "A"}, 0, "line\\x0d\r\n\\x1b[31m ä\r\n"},
		{[]string{"secrets", "list"}, 0, `\x1b]0;x\x07\u202e`},
		{[]string{"secrets", "list", "--show"}, 0, `line\r\n\x1b[31m ä\n`},
		{[]string{"secrets", "list", "--json"}, 0, `"comment": "\u001b]0;x\u0007\u202e"`},
		{[]string{"secrets", "get", "B"}, 5, `heartlock: No \x1b[31m B.`},
	} {
		s := newScreen(t)
		s.wantCode(s.start(inShop(t, server), c.args...), c.code)
		s.see(c.want)
		if strings.ContainsAny(s.text(), "\x1b\x07\u202e") {
			t.Errorf("%q steers the terminal: %q", c.args, s.text())
		}
	}
}

func TestDeletingIsConfirmedByTypingTheName(t *testing.T) {
	t.Parallel()
	for typed, want := range map[string]int{"shop": 0, "ship": 2, "": 2} {
		server := newRecorder(t, map[string]string{"DELETE /api/v1/projects/shop/": ""})
		s := newScreen(t)
		code := s.start(inShop(t, server), "projects", "delete", "shop")
		s.see("Type shop to go on: ")
		s.press(typed + "\n")
		s.wantCode(code, want)
		if got := server.requests(); len(got) != map[int]int{0: 1, 2: 0}[want] {
			t.Errorf("%q: sent %q", typed, got)
		}
	}
}

func TestAnImportIsConfirmedAfterItsPlan(t *testing.T) {
	t.Parallel()
	for typed, want := range map[string]int{"y": 0, "Yes": 0, "n": 2, "": 2, "maybe": 2} {
		server := newRecorder(t, map[string]string{"GET " + shopProd + "/": shopEnvironment, "POST " + shopProd + "/secrets/bulk/": bulkAnswer})
		s := newScreen(t)
		sh := inShop(t, server)
		writeFile(t, sh.cli.workDir+"/.env", "A=hunter2\n", 0o600)
		code := s.start(sh, "import", "dotenv", ".env", "--quiet")
		s.see("1 created: A")
		s.see("Write this? [y/N] ")
		s.press(typed + "\n")
		s.wantCode(code, want)
		if got := server.requests(); len(got) != map[int]int{0: 3, 2: 2}[want] {
			t.Errorf("%q: sent %d requests", typed, len(got))
		}
		if strings.Contains(s.text(), "hunter2") {
			t.Errorf("the terminal shows the value: %q", s.text())
		}
	}
}
