//go:build unix

package mail_test

import (
	"crypto/x509"
	"errors"
	"net"
	netmail "net/mail"
	"strings"
	"testing"
	"time"

	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/heartlocktest"
	"github.com/heartlock/heartlock/pkg/mail"
)

const (
	user     = "heartlock@example.com"
	password = "relay password ümlaut"
)

func sender(s *heartlocktest.SMTP, security mail.Security) *mail.SMTP {
	return &mail.SMTP{
		Host: s.Host, Port: s.Port, User: user, Password: password, Security: security,
		Timeout: 5 * time.Second, Roots: s.Roots, Name: "secrets.example.com",
	}
}

func mailer(s mail.Sender) *mail.Mailer {
	return &mail.Mailer{Sender: s, From: netmail.Address{Name: "Heartlock", Address: "noreply@example.com"}}
}

func letter(t *testing.T, to string) mail.Letter {
	t.Helper()
	l, err := mailer(nil).Letter("0001", to, site, examples()["invitation"])
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// deliver opens a connection and sends one letter.
func deliver(t *testing.T, s mail.Sender, l mail.Letter) error {
	t.Helper()
	c, err := s.Open(t.Context(), nil)
	if err != nil {
		return err
	}
	defer c.Close()
	return c.Send(t.Context(), l)
}

func TestMailArrives(t *testing.T) {
	for _, mode := range []struct {
		name     string
		mode     heartlocktest.SMTPMode
		security mail.Security
		offers   []string
	}{
		{"starttls", heartlocktest.SMTPStartTLS, mail.StartTLS, []string{"PLAIN", "LOGIN"}},
		{"starttls, LOGIN alone", heartlocktest.SMTPStartTLS, mail.StartTLS, []string{"LOGIN"}},
		{"implicit TLS", heartlocktest.SMTPTLS, mail.ImplicitTLS, []string{"PLAIN"}},
		{"in the clear on this machine", heartlocktest.SMTPPlain, mail.Plain, []string{"PLAIN"}},
		{"in the clear on this machine, LOGIN alone", heartlocktest.SMTPPlain, mail.Plain, []string{"LOGIN"}},
	} {
		t.Run(mode.name, func(t *testing.T) {
			t.Parallel()
			s := heartlocktest.StartSMTP(t, mode.mode, user, password)
			s.Offer(mode.offers...)
			c, err := sender(s, mode.security).Open(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			for _, to := range []string{"ann@example.com", "bob@example.com"} {
				if err := c.Send(t.Context(), letter(t, to)); err != nil {
					t.Fatal(err)
				}
				checkMail(t, s.Next(t), to, mode.security != mail.Plain)
			}
			c.Close()
			if s.Connections() != 1 {
				t.Errorf("%d connections for two letters", s.Connections())
			}
		})
	}
}

func checkMail(t *testing.T, m heartlocktest.Mail, to string, protected bool) {
	t.Helper()
	want := letter(t, to)
	if m.From != "noreply@example.com" || len(m.To) != 1 || m.To[0] != to || m.User != user || m.TLS != protected {
		t.Errorf("envelope: from %s to %s by %s, TLS %t", m.From, m.To, m.User, m.TLS)
	}
	if m.Subject() != want.Subject || m.Text != want.Text || m.HTML != want.HTML {
		t.Errorf("not what was sent:\n%s\n%s", m.Subject(), m.Text)
	}
	for name, value := range map[string]string{
		"From": `"Heartlock" <noreply@example.com>`, "To": "<" + to + ">", "Message-Id": "<0001@secrets.example.com>",
		"Auto-Submitted": "auto-generated", "X-Mailer": "", "User-Agent": "",
	} {
		if got := m.Header.Get(name); got != value {
			t.Errorf("%s is %q, want %q", name, got, value)
		}
	}
	if _, err := m.Header.Date(); err != nil {
		t.Error(err)
	}
	for line := range strings.Lines(m.Raw) {
		if len(line) > 998 {
			t.Errorf("a line of %d bytes", len(line))
		}
	}
}

// A stranger's text makes no header.
func TestAHeaderCanNotBeInjected(t *testing.T) {
	s := heartlocktest.StartSMTP(t, heartlocktest.SMTPStartTLS, user, password)
	l, err := mailer(nil).Letter("0002", "ann@example.com", site, examples()["invitation-stranger"])
	if err != nil {
		t.Fatal(err)
	}
	l.Subject = "x\r\nBcc: e@e.example\r\n\r\nbody" // as if the words had let it through
	if err := deliver(t, sender(s, mail.StartTLS), l); err != nil {
		t.Fatal(err)
	}
	m := s.Next(t)
	if m.Header.Get("Bcc") != "" || len(m.To) != 1 || !strings.HasPrefix(m.Subject(), "x Bcc: e") {
		t.Errorf("the mail has the headers %v", m.Header)
	}
}

// failure is a way of a server to fail, and what is said of it.
type failure struct {
	mode      heartlocktest.SMTPMode
	prepare   func(*heartlocktest.SMTP, *mail.SMTP)
	says      string
	permanent bool
}

func refuse(command string, err error) func(*heartlocktest.SMTP, *mail.SMTP) {
	return func(s *heartlocktest.SMTP, _ *mail.SMTP) {
		s.Answer(func(c, _ string) error {
			if c == command {
				return err
			}
			return nil
		})
	}
}

func failures() map[string]failure {
	const start = heartlocktest.SMTPStartTLS
	reply := heartlocktest.Refusal
	return map[string]failure{
		"no STARTTLS":           {heartlocktest.SMTPPlain, nil, "does not offer STARTTLS, so nothing was sent", false},
		"untrusted, STARTTLS":   {start, func(_ *heartlocktest.SMTP, c *mail.SMTP) { c.Roots = x509.NewCertPool() }, "no authority that this system trusts", false},
		"untrusted, implicit":   {heartlocktest.SMTPTLS, func(_ *heartlocktest.SMTP, c *mail.SMTP) { c.Roots, c.Security = x509.NewCertPool(), mail.ImplicitTLS }, "no authority that this system trusts", false},
		"wrong password":        {start, func(_ *heartlocktest.SMTP, c *mail.SMTP) { c.Password = "wrong" }, "refused the password of " + user, false},
		"no password":           {start, func(_ *heartlocktest.SMTP, c *mail.SMTP) { c.Password = "" }, "refused the sender", false},
		"no known mechanism":    {start, func(s *heartlocktest.SMTP, _ *mail.SMTP) { s.Offer("GSSAPI") }, "does not offer to sign in", false},
		"implicit at STARTTLS":  {start, func(_ *heartlocktest.SMTP, c *mail.SMTP) { c.Security = mail.ImplicitTLS }, "does not speak TLS from the first byte", false},
		"no such name":          {start, func(_ *heartlocktest.SMTP, c *mail.SMTP) { c.Host = "no-such-host.invalid" }, "mail server", false},
		"down":                  {start, func(s *heartlocktest.SMTP, _ *mail.SMTP) { s.Stop() }, "Nothing accepts connections", false},
		"no such recipient":     {start, refuse("RCPT", reply(550, [3]int{5, 1, 1}, "no such user")), "refused the recipient. It said: 550 5.1.1 no such user", true},
		"full mailbox":          {start, refuse("RCPT", reply(452, [3]int{4, 2, 2}, "mailbox full")), "It said: 452 4.2.2 mailbox full", false},
		"relaying denied":       {start, refuse("RCPT", reply(550, [3]int{5, 7, 1}, "relaying denied")), "refused the recipient", false},
		"sender refused":        {start, refuse("MAIL", reply(553, [3]int{5, 7, 1}, "not owned by user")), "Check DEFAULT_FROM_EMAIL", false},
		"content refused":       {start, refuse("DATA", reply(554, [3]int{5, 7, 1}, "spam")), "refused the mail. It said: 554 5.7.1 spam", true},
		"content refused a bit": {start, refuse("DATA", reply(451, [3]int{4, 3, 0}, "try later")), "refused the mail", false},
		"password repeated":     {start, refuse("AUTH", reply(535, [3]int{5, 7, 8}, "bad password "+password)), "It said: 535 5.7.8 bad password …", false},
	}
}

// Every failure says what to mend, tells what will not go away from what will,
// and repeats no password and no link. Nothing of a letter is sent in the clear.
func TestFailuresAreExplained(t *testing.T) {
	for name, f := range failures() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := heartlocktest.StartSMTP(t, f.mode, user, password)
			client := sender(s, mail.StartTLS)
			if f.prepare != nil {
				f.prepare(s, client)
			}
			err := deliver(t, client, letter(t, "ann@example.com"))
			if err == nil {
				t.Fatal("the mail was sent")
			}
			if !strings.Contains(err.Error(), f.says) || mail.IsPermanent(err) != f.permanent || fault.As(err) == nil {
				t.Errorf("permanent %t: %s", mail.IsPermanent(err), fault.Detail(err))
			}
			checkDiscreet(t, s, fault.Detail(err))
		})
	}
}

func checkDiscreet(t *testing.T, s *heartlocktest.SMTP, texts ...string) {
	t.Helper()
	for _, text := range append(texts, s.Received()) {
		for _, secret := range []string{password, "hli_", "0123456789abcdefghijklmnopq", "MAIL FROM", "AUTH ", "RCPT TO", "cmVsYXkg"} {
			if strings.Contains(text, secret) {
				t.Errorf("%q is in: %s", secret, text)
			}
		}
	}
}

// A spam filter may say which link it does not like.
func TestALinkIsNotRepeated(t *testing.T) {
	s := heartlocktest.StartSMTP(t, heartlocktest.SMTPStartTLS, user, password)
	for _, quoted := range []string{
		site + "/rewritten/by-the-filter", site + "/invitations/hli_0123456789abcdefghijklmnopqrstuvwxyzABCDEFG", "hli_0123456789abcdefghijklmnopqrstuvwxyzABCDEFG",
	} {
		refuse("DATA", heartlocktest.Refusal(554, [3]int{5, 7, 1}, "bad link "+quoted+" in it"))(s, nil)
		err := deliver(t, sender(s, mail.StartTLS), letter(t, "ann@example.com"))
		if err == nil || !strings.HasSuffix(err.Error(), "554 5.7.1 bad link … in it") {
			t.Errorf("got %v", err)
		}
		checkDiscreet(t, s, fault.Detail(err))
	}
}

// After a recipient was refused, the connection carries the next letter.
func TestAConnectionSurvivesARefusedRecipient(t *testing.T) {
	s := heartlocktest.StartSMTP(t, heartlocktest.SMTPStartTLS, user, password)
	s.Answer(func(command, argument string) error {
		if command == "RCPT" && argument == "gone@example.com" {
			return heartlocktest.Refusal(550, [3]int{5, 1, 1}, "gone")
		}
		return nil
	})
	c, err := sender(s, mail.StartTLS).Open(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Send(t.Context(), letter(t, "gone@example.com")); !mail.IsPermanent(err) || !c.Usable() {
		t.Errorf("usable %t after %v", c.Usable(), err)
	}
	if err := c.Send(t.Context(), letter(t, "ann@example.com")); err != nil {
		t.Error(err)
	}
	if m := s.Next(t); m.To[0] != "ann@example.com" || s.Connections() != 1 {
		t.Errorf("%v came by %d connections", m.To, s.Connections())
	}
}

// A server that says nothing is given up after the time-out, at every step.
func TestAServerThatHangs(t *testing.T) {
	for name, security := range map[string]mail.Security{"greeting": mail.StartTLS, "handshake": mail.ImplicitTLS} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			listener, err := net.Listen("tcp", "127.0.0.1:0") // it accepts, and nobody reads
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = listener.Close() }()
			client := &mail.SMTP{Host: "127.0.0.1", Port: listener.Addr().(*net.TCPAddr).Port, Security: security, Timeout: 200 * time.Millisecond}
			start := time.Now()
			err = deliver(t, client, letter(t, "ann@example.com"))
			if err == nil || !strings.Contains(err.Error(), "did not answer in time") || mail.IsPermanent(err) {
				t.Errorf("got %v", err)
			}
			if took := time.Since(start); took > 3*time.Second {
				t.Errorf("it took %s", took)
			}
		})
	}
}

// A server that says one byte now and then is given up too.
func TestAServerThatDrips(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	go func() {
		c, err := listener.Accept()
		for err == nil {
			_, err = c.Write([]byte("2"))
			<-time.After(50 * time.Millisecond)
		}
	}()
	client := &mail.SMTP{Host: "127.0.0.1", Port: listener.Addr().(*net.TCPAddr).Port, Security: mail.StartTLS, Timeout: 200 * time.Millisecond}
	err = deliver(t, client, letter(t, "ann@example.com"))
	if err == nil || !strings.Contains(err.Error(), "did not answer in time") {
		t.Errorf("got %v", err)
	}
}

// A certificate for another name is not good enough.
func TestACertificateForAnotherName(t *testing.T) {
	for mode, security := range map[heartlocktest.SMTPMode]mail.Security{heartlocktest.SMTPStartTLS: mail.StartTLS, heartlocktest.SMTPTLS: mail.ImplicitTLS} {
		s := heartlocktest.StartSMTPAt(t, "127.0.0.2", mode, user, password)
		err := deliver(t, sender(s, security), letter(t, "ann@example.com"))
		if err == nil || !strings.Contains(err.Error(), "it is not for the name 127.0.0.2") {
			t.Errorf("%s: got %v", security, err)
		}
		checkDiscreet(t, s)
	}
}

// The mail password never goes to another machine in the clear.
func TestNoPasswordInTheClear(t *testing.T) {
	address := foreignAddress(t)
	s := heartlocktest.StartSMTPAt(t, address, heartlocktest.SMTPPlain, user, password)
	err := deliver(t, sender(s, mail.Plain), letter(t, "ann@example.com"))
	if err == nil || !strings.Contains(err.Error(), "is not sent over a connection in the clear") {
		t.Errorf("got %v", err)
	}
	checkDiscreet(t, s)
}

// foreignAddress is an address of this machine that is not of the loopback
// interface.
func foreignAddress(t *testing.T) string {
	t.Helper()
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addresses {
		if n, ok := a.(*net.IPNet); ok && !n.IP.IsLoopback() && n.IP.To4() != nil {
			return n.IP.String()
		}
	}
	t.Fatal("this test needs a network interface with an IPv4 address, other than lo")
	return ""
}

// What a server says is not kept without an end.
func TestAServerThatDoesNotComeToAnEnd(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	said := make(chan int, 1)
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		total, line := 0, []byte("220-"+strings.Repeat("x", 4000)+"\r\n")
		for total < 64<<20 {
			n, err := conn.Write(line)
			total += n
			if err != nil {
				break
			}
		}
		said <- total
	}()
	t.Cleanup(func() { _ = l.Close() })
	s := &mail.SMTP{Host: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).Port, Security: mail.StartTLS, Timeout: 10 * time.Second}
	if _, err := s.Open(t.Context(), nil); !errors.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "not of SMTP") {
		t.Errorf("got %v", err)
	}
	if n := <-said; n == 64<<20 {
		t.Error("everything was read")
	}
}
