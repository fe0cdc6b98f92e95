//go:build unix

package server_test

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/heartlocktest"
)

func invite(t *testing.T, owner *heartlocktest.Caller, email string) (link string) {
	t.Helper()
	owner.Call("POST", "/projects/", map[string]any{"name": "Shop", "slug": "shop"})
	var made api.Invitation
	owner.Call("POST", "/projects/shop/invitations/", map[string]any{"email": email, "role": "viewer"}).Want(201).Decode(&made)
	return made.Link.Reveal()
}

func mailStatus(t *testing.T, owner *heartlocktest.Caller) (status api.MailStatus) {
	t.Helper()
	owner.Call("GET", "/admin/mail/", nil).Want(200).Decode(&status)
	return status
}

// A mail leaves as soon as it is queued, and without holding the request up. While
// the relay is away it waits, and an administrator sees why.
func TestMailLeavesAtOnceOrWaits(t *testing.T) {
	heartlocktest.EachDatabase(t, func(t *testing.T, databaseURL string) {
		relay := heartlocktest.StartSMTP(t, heartlocktest.SMTPPlain, "user", "relay password")
		s := heartlocktest.StartServer(t, heartlocktest.ServerOptions{DatabaseURL: databaseURL, Environ: relay.Environ()})
		owner := s.Onboard()

		shown, links := invite(t, owner, "ann@example.com"), s.URL+"/invitations/"
		m := relay.Next(t)
		_, token, _ := strings.Cut(m.Text, links)
		link := links + token[:min(len(token), 43)]
		if m.To[0] != "ann@example.com" || len(link) != len(links)+43 || strings.Contains(m.Text, shown) {
			t.Errorf("the mail to %v:\n%s", m.To, m.Text)
		}

		// The relay has it before the server knows that; a relay that stops in between
		// gets it again.
		heartlocktest.Eventually(t, "the mail is done with", func() bool { return mailStatus(t, owner).Waiting == 0 })
		relay.Stop()
		invite(t, owner, "bob@example.com")
		heartlocktest.Eventually(t, "an attempt has failed", func() bool { return len(mailStatus(t, owner).Failing) == 1 })
		status := mailStatus(t, owner)
		if failing := status.Failing[0]; failing.Recipient != "bob@example.com" || !strings.HasPrefix(failing.LastError, "Nothing accepts connections at 127.0.0.1:") && !strings.HasSuffix(failing.LastError, "ended the connection.") || status.Waiting != 1 {
			t.Errorf("status %+v", status)
		}

		relay.Start(t)
		s.Exec("UPDATE mail_queue SET next_attempt_at = created_at WHERE sealed IS NOT NULL") // a minute later
		invite(t, owner, "eve@example.com")
		to := map[string]bool{relay.Next(t).To[0]: true, relay.Next(t).To[0]: true}
		if !to["bob@example.com"] || !to["eve@example.com"] {
			t.Errorf("mail came to %v", to)
		}
		for _, secret := range []string{link, shown, "relay password"} {
			if s.Logs.Contains(secret) || s.Console.Contains(secret) {
				t.Errorf("a log holds %q", secret)
			}
		}
	})
}

// A mail server that says nothing keeps neither requests nor the end of the server.
func TestAHangingMailServer(t *testing.T) {
	t.Parallel()
	hanging, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = hanging.Close() }()
	port := strconv.Itoa(hanging.Addr().(*net.TCPAddr).Port)
	s := heartlocktest.StartServer(t, heartlocktest.ServerOptions{Environ: []string{"EMAIL_HOST=127.0.0.1", "EMAIL_PORT=" + port, "EMAIL_TIMEOUT=2"}})
	owner := s.Onboard()
	start := time.Now()
	invite(t, owner, "ann@example.com")
	if took := time.Since(start); took > time.Second {
		t.Errorf("the invitation took %s", took)
	}
	if status := mailStatus(t, owner); status.Waiting != 1 {
		t.Errorf("status %+v", status)
	}
	s.Stop()
	if took := time.Since(start); took > 8*time.Second {
		t.Errorf("the server took %s to end", took)
	}
}

// What the settings say is what a server does with its mail.
func TestMailBackends(t *testing.T) {
	t.Parallel()
	s := heartlocktest.StartServer(t, heartlocktest.ServerOptions{})
	owner := s.Onboard()
	link := invite(t, owner, "ann@example.com")
	heartlocktest.Eventually(t, "the mail is on the console", func() bool { return s.Console.Contains(link) })
	if s.Logs.Contains(link) {
		t.Error("the log holds the link")
	}

	s.Restart("EMAIL_BACKEND=filebased")
	owner = owner.On(s)
	invite(t, owner, "bob@example.com")
	dir := filepath.Join(s.Dir, "heartlock_data", "mail")
	heartlocktest.Eventually(t, "the mail is in a file", func() bool {
		files, err := os.ReadDir(dir)
		return err == nil && len(files) == 1 && strings.HasSuffix(files[0].Name(), ".eml")
	})
}

// A production server without a mail server keeps the mail, in case there will be
// one, and never writes it to the log.
func TestMailIsDisabled(t *testing.T) {
	t.Parallel()
	s := heartlocktest.StartServer(t, heartlocktest.ServerOptions{Environ: heartlocktest.Production(), Headers: []string{"X-Forwarded-Proto: https"}})
	owner := s.Onboard()
	link := invite(t, owner, "ann@example.com")
	heartlocktest.Eventually(t, "an attempt has failed", func() bool { return len(mailStatus(t, owner).Failing) == 1 })
	if status := mailStatus(t, owner); status.Backend != "disabled" || !strings.Contains(status.Failing[0].LastError, "Set EMAIL_HOST") || status.Waiting != 1 {
		t.Errorf("status %+v", status)
	}
	if s.Logs.Contains(link) || s.Console.Contains(link) {
		t.Error("the link was logged")
	}
}
