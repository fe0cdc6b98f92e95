package mail_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/mail"
)

func TestConsoleShowsTheTextPart(t *testing.T) {
	var out strings.Builder
	l := letter(t, "ann@example.com")
	if err := deliver(t, mail.NewConsole(&out), l); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"To: ann@example.com\n", "Subject: " + l.Subject + "\n", l.Text} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in:\n%s", want, out.String())
		}
	}
}

// A letter may open an account: nobody but the server's user reads it.
func TestDirectoryKeepsEachLetterInAFileOfItsOwn(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "heartlock_data", "mail")
	for range 2 { // a letter that is sent twice
		if err := deliver(t, mail.NewDirectory(dir), letter(t, "ann@example.com")); err != nil {
			t.Fatal(err)
		}
	}
	other := letter(t, "bob@example.com")
	other.ID = "../0002"
	if err := deliver(t, mail.NewDirectory(dir), other); err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) < 2 || len(files) > 3 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, f := range files {
		info, err := f.Info()
		if err != nil || info.Mode() != 0o600 || filepath.Ext(f.Name()) != ".eml" {
			t.Errorf("%s: mode %v, %v", f.Name(), info.Mode(), err)
		}
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the directory has the mode %v, %v", info.Mode(), err)
	}
	text, err := os.ReadFile(filepath.Join(dir, files[0].Name()))
	if err != nil || !strings.Contains(string(text), "Message-ID: <0001@secrets.example.com>") {
		t.Errorf("the first file holds %q, %v", text, err)
	}
	if err := deliver(t, mail.NewDirectory("/proc/nowhere"), other); err == nil || mail.IsPermanent(err) {
		t.Errorf("a directory that can not be made: %v", err)
	}
}

func TestMemoryAndDummy(t *testing.T) {
	m := mail.NewMemory()
	for range 1001 {
		if err := m.Send(t.Context(), mail.Letter{To: "ann@example.com"}); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(m.Letters()); n != 1000 {
		t.Errorf("%d letters are kept", n)
	}
	if err := deliver(t, mail.NewDummy(), letter(t, "ann@example.com")); err != nil {
		t.Error(err)
	}
}

func TestDisabledRefusesAndSaysWhatToSet(t *testing.T) {
	err := deliver(t, mail.Disabled{}, letter(t, "ann@example.com"))
	if err == nil || !strings.Contains(err.Error(), "EMAIL_HOST") || mail.IsPermanent(err) || fault.KindOf(err) != fault.Unavailable {
		t.Errorf("got %v", err)
	}
}

func TestMessageIDsHaveTheDomainOfTheServer(t *testing.T) {
	for site, want := range map[string]string{
		"": "example.com", "https://secrets.example.org": "secrets.example.org", "https://secrets.example.org:8443": "secrets.example.org",
		"http://[::1]:8082": "example.com", "https://a.example/heartlock": "a.example",
	} {
		l, err := mailer(mail.NewDummy()).Letter("1", recipient, site, mail.Test{})
		if err != nil || l.Domain != want {
			t.Errorf("%s: %q, %v", site, l.Domain, err)
		}
	}
}
