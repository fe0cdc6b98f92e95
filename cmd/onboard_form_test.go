//go:build unix

package cmd

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"

	"github.com/heartlock/heartlock/pkg/client"
)

// form is heartlock onboard on a terminal.
type form struct {
	*screen
	shell *shell
	code  <-chan int
	seen  int // of the screen's text, so that the next see looks behind it
}

func startForm(t *testing.T, environ []string, args ...string) *form {
	t.Helper()
	s := newScreen(t)
	if err := pty.Setsize(s.keys, &pty.Winsize{Rows: 24, Cols: 80}); err != nil {
		t.Fatal(err)
	}
	sh := newShell(t, append(environ, "TERM=xterm-256color")...)
	return &form{screen: s, shell: sh, code: s.start(sh, append([]string{"onboard"}, args...)...)}
}

// next waits until text appears on the screen after what was seen before.
func (f *form) next(text string) {
	f.t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		if at := strings.Index(f.text()[f.seen:], text); at >= 0 {
			f.seen += at + len(text)
			return
		}
		select {
		case <-f.changed:
		case <-deadline:
			f.t.Fatalf("never saw %q after %q", text, f.text())
		}
	}
}

func TestTheFormSetsAServerUp(t *testing.T) {
	t.Parallel()
	f := startForm(t, nil)
	f.next("The first administrator")
	f.next(f.shell.cli.workDir)
	f.next("E-mail")
	f.press("ann\r")
	f.next("must be an e-mail address")
	f.press("@example.com\r")
	f.next("┃ First name") // the bar marks the field that the keys go to
	f.press("Ann\r")
	f.next("┃ Last name")
	f.press("\r")
	f.next("┃ Password")
	f.press("hunter2\r")
	f.next("must have at least 8 characters")
	f.press("hunter2\r")
	f.next("┃ Password again")
	f.press("hunter2\r")
	f.next("The two passwords differ.")
	f.press("hunter2\r")
	f.next("┃ Public address")
	f.press("example.com\r")
	f.next("needs a scheme")
	f.press("\x15https://HL.example.com/\r") // Ctrl-U empties the line
	f.next("┃ Sign this terminal in")
	f.press("y")
	f.next("┃ Set the server up now?")
	f.press("y")
	f.wantCode(f.code, 0)
	f.next("ann@example.com administers this server now.")
	f.next("This terminal is signed in at https://hl.example.com.")
	if strings.Contains(f.text(), "hunter2") {
		t.Errorf("the password was shown: %q", f.text())
	}
	dir, err := f.shell.cli.userConfigDir()
	if err != nil {
		t.Fatal(err)
	}
	token, ok, err := client.NewTokenStore(filepath.Join(dir, "heartlock")).Get("https://hl.example.com")
	if err != nil || !ok || !strings.HasPrefix(token.Token.Reveal(), "hlp_") {
		t.Errorf("no token was stored (%v)", err)
	}
	if got := f.shell.setting("HEARTLOCK_APP_URL"); got.Value != "https://hl.example.com" || got.Source != "appconfig.json" {
		t.Errorf("%+v", got)
	}
	f.shell.finds(nil)
}

func TestTheFormAsksOnlyWhatIsOpen(t *testing.T) {
	t.Parallel()
	f := startForm(t, []string{"HEARTLOCK_APP_URL=https://hl.example.com"}, "--email", "ann@example.com", "--last-name", "Lee")
	f.next("ann@example.com")
	f.press("\r")
	f.next("┃ First name")
	f.press("\r")
	f.next("┃ Last name")
	f.press("\r")
	f.next("┃ Password")
	f.press("hunter2hunter2\r")
	f.next("┃ Password again")
	f.press("hunter2hunter2\r")
	f.next("┃ Sign this terminal in")
	if strings.Contains(f.text(), "Public address") {
		t.Error("it asks for the address that is set")
	}
	f.press("n")
	f.next("┃ Set the server up now?")
	f.press("n")
	f.wantCode(f.code, 1)
	f.next("Nothing was changed.")
	if _, err := os.Stat(filepath.Join(f.shell.cli.workDir, "heartlock_data")); err == nil {
		t.Error("it made something all the same")
	}
}

func TestTheFormCanBeLeft(t *testing.T) {
	t.Parallel()
	f := startForm(t, nil)
	f.next("E-mail")
	f.press("ann@example.com\r")
	f.next("┃ First name")
	f.press("\x03")
	f.wantCode(f.code, 130)
	f.next("Nothing was changed.")
	if entries, _ := os.ReadDir(f.shell.cli.workDir); len(entries) != 0 {
		t.Errorf("it made %v", entries)
	}
}
