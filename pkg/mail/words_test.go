package mail_test

import (
	"flag"
	"html"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/mail"
)

var update = flag.Bool("update", false, "write the golden files anew")

const (
	recipient = "zoe@example.com"
	site      = "https://secrets.example.com"
)

// examples is one message of every kind, and more where the words differ.
func examples() map[string]mail.Message {
	at := time.Date(2026, 11, 24, 12, 45, 7, 0, time.UTC)
	link := site + "/invitations/hli_0123456789abcdefghijklmnopqrstuvwxyzABCDEFG"
	return map[string]mail.Message{
		"invitation":               mail.Invitation{Project: "Web shop", Role: "member", InvitedBy: "Ann Archer", Link: link, ExpiresAt: at.AddDate(0, 0, 7)},
		"invitation-stranger":      mail.Invitation{Project: `<a href="https://evil.example">Win</a> www.evil.example` + "\r\nBcc: e@e.example", Role: "viewer", InvitedBy: "mallory@evil.example", Link: link, ExpiresAt: at},
		"password-reset":           mail.PasswordReset{Link: site + "/reset/0123456789abcdef?a=1&b=2", ExpiresAt: at.Add(time.Hour), IP: "192.0.2.7"},
		"password-reset-admin":     mail.PasswordReset{Link: site + "/reset/0123456789abcdef", ExpiresAt: at.Add(time.Hour), IP: "192.0.2.7", Administrator: "root@example.com"},
		"account-created":          mail.AccountCreated{CreatedBy: "root@example.com", Link: site + "/reset/0123456789abcdef", ExpiresAt: at.AddDate(0, 0, 7)},
		"password-changed":         mail.PasswordChanged{At: at, IP: "2001:db8::7"},
		"password-changed-locally": mail.PasswordChanged{At: at},
		"new-sign-in":              mail.NewSignIn{At: at, IP: "192.0.2.7", UserAgent: "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0"},
		"new-sign-in-cli":          mail.NewSignIn{At: at, IP: "192.0.2.7", UserAgent: "heartlock/1.0 (linux/amd64)", Token: "heartlock on laptop"},
		"token-expires":            mail.TokenExpires{Name: "ci", Project: "Web shop", ExpiresAt: at},
		"token-expires-personal":   mail.TokenExpires{Name: "laptop", ExpiresAt: at},
		"administrator-joined":     mail.AdministratorJoined{Administrator: "root@example.com", Project: "Web shop", Role: "owner", At: at},
		"second-factor-enabled":    mail.SecondFactorChanged{Change: "enabled", At: at, IP: "192.0.2.7"},
		"second-factor-disabled":   mail.SecondFactorChanged{Change: "disabled", At: at, IP: "192.0.2.7"},
		"second-factor-recovery":   mail.SecondFactorChanged{Change: "recovery_code", At: at, IP: "192.0.2.7"},
		"second-factor-refused":    mail.SecondFactorChanged{Change: "codes_refused", At: at, IP: "192.0.2.7"},
		"second-factor-renewed":    mail.SecondFactorChanged{Change: "recovery_codes_renewed", At: at, IP: "192.0.2.7"},
		"identity-linked":          mail.IdentityChanged{Linked: true, Provider: "https://id.example.com", Account: "ann@example.com", At: at, IP: "192.0.2.7"},
		"identity-removed":         mail.IdentityChanged{Provider: "https://id.example.com", At: at, IP: "192.0.2.7"},
		"test":                     mail.Test{SentBy: "root@example.com", At: at},
	}
}

func words(t *testing.T, m mail.Message) mail.Content {
	t.Helper()
	c, err := mail.Word(m, recipient, site)
	if err != nil {
		t.Fatal(fault.Detail(err))
	}
	return c
}

func TestWords(t *testing.T) {
	for name, m := range examples() {
		t.Run(name, func(t *testing.T) {
			c := words(t, m)
			golden(t, name+".txt", "Subject: "+c.Subject+"\n\n"+c.Text)
			golden(t, name+".html", c.HTML)
		})
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; go test ./pkg/mail -update writes it", err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

// Every kind that can be queued has words, and survives the queue.
func TestEveryKindIsWordedAndDecoded(t *testing.T) {
	kinds := map[string]bool{}
	for name, m := range examples() {
		kinds[m.Kind()] = true
		text, err := mail.Encode(m)
		if err != nil {
			t.Fatal(err)
		}
		again, err := mail.Decode(m.Kind(), text)
		if err != nil {
			t.Fatal(fault.Detail(err))
		}
		if diff := cmp.Diff(m, again); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	files, err := filepath.Glob("templates/*.txt")
	if err != nil || len(files) != len(kinds)+1 { // and the layout
		t.Errorf("%d templates for %d kinds of messages in the examples (%v)", len(files), len(kinds), err)
	}
}

var remote = regexp.MustCompile(`(?i)(src|background|srcset|action)\s*=|url\(|@import|<(img|script|iframe|form|object|link|svg)`)

// Nothing is loaded from anywhere: no pictures, no fonts, nothing that tells when
// or where a mail is read.
func TestNothingIsLoaded(t *testing.T) {
	for name, m := range examples() {
		if found := remote.FindString(words(t, m).HTML); found != "" {
			t.Errorf("%s: the HTML part has %q", name, found)
		}
	}
}

// The plain text part stands on its own: whoever reads only that has all of it.
func TestTheTextPartHasTheLinkAndShortLines(t *testing.T) {
	for name, m := range examples() {
		c := words(t, m)
		for line := range strings.Lines(c.Text) {
			if n := len([]rune(strings.TrimRight(line, "\n"))); n > 76 && line[0] != ' ' {
				t.Errorf("%s: a line of %d characters: %s", name, n, line)
			}
		}
		var link string
		switch m := m.(type) {
		case mail.Invitation:
			link = m.Link
		case mail.PasswordReset:
			link = m.Link
		case mail.AccountCreated:
			link = m.Link
		default:
			continue
		}
		if !strings.Contains(c.Text, "\n    "+link+"\n") {
			t.Errorf("%s: the text part does not have the link on a line of its own", name)
		}
		if strings.Count(html.UnescapeString(c.HTML), link) != 3 { // the button, and the link with its text
			t.Errorf("%s: the HTML part does not have the button and the link", name)
		}
	}
}

// What strangers have chosen says what it says and does nothing.
func TestTextsOfStrangersAreInert(t *testing.T) {
	for _, hostile := range []string{
		"x\r\nBcc: e@e.example", "<a href=https://evil.example>", "https://evil.example/x", "www.evil.example", "EVIL.EXAMPLE",
		"call me@evil.example", "\u202eelpmaxe.live", "a\u2028b", "{{.To}}", "javascript:alert(1)", strings.Repeat("long ", 400), "\x00\x1b[31m",
		"evil。example", "evil\u200b.example", "\"><script>alert(1)</script>",
	} {
		for _, m := range []mail.Message{
			mail.Invitation{Project: hostile, InvitedBy: hostile, Role: hostile, Link: site + "/x"},
			mail.NewSignIn{IP: hostile, UserAgent: hostile, Token: hostile},
			mail.TokenExpires{Name: hostile, Project: hostile},
			mail.AdministratorJoined{Administrator: hostile, Project: hostile, Role: hostile},
			mail.PasswordReset{IP: hostile, Administrator: hostile, Link: site + "/x"},
			mail.AccountCreated{CreatedBy: hostile, Link: site + "/x"},
			mail.PasswordChanged{IP: hostile},
			mail.SecondFactorChanged{IP: hostile, Change: hostile},
			mail.Test{SentBy: hostile},
		} {
			c := words(t, m)
			checkInert(t, m.Kind()+" with "+hostile, c)
		}
	}
}

func checkInert(t *testing.T, what string, c mail.Content) {
	t.Helper()
	if strings.ContainsAny(c.Subject, "\r\n\x00\x1b") || len([]rune(c.Subject)) > 500 {
		t.Errorf("%.60q: the subject is %q", what, c.Subject)
	}
	for part, text := range map[string]string{"subject": c.Subject, "text": c.Text, "HTML": c.HTML} {
		for _, never := range []string{
			"evil.example", "EVIL.EXAMPLE", "evil。example", "https://evil", "me@evil", "<script", "<a href=https", "\u202e", "\u2028", "\r", "\x00", "\x1b", "\nBcc:", "href=\"javascript",
		} {
			if strings.Contains(text, never) && (part == "HTML" || never[0] != '<') {
				t.Errorf("%.60q: the %s has %q", what, part, never)
			}
		}
	}
}
