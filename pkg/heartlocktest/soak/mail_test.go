//go:build unix

package soak

import (
	"regexp"
	"strings"
	"testing"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/client"
	"github.com/heartlock/heartlock/pkg/heartlocktest"
)

const guest = "guest@example.com"

// inviting is a server that has just invited the guest, by a client of its owner,
// who sees the link.
func inviting(t *testing.T, environ ...string) (*server, *client.Client, string) {
	t.Helper()
	s := newSite(t, environ...)
	token := s.onboard(t)
	v := s.serve(t)
	c := v.client(t, token)
	if _, err := c.CreateProject(t.Context(), api.CreateProject{Name: "Shop"}); err != nil {
		t.Fatal(err)
	}
	invitation, err := c.CreateInvitation(t.Context(), "shop", api.CreateInvitation{Email: guest, Role: api.RoleViewer})
	if err != nil {
		t.Fatal(err)
	}
	return v, c, invitation.Link.Reveal()
}

// The program itself sends mail over connections that it protects, and trusts who
// the system trusts, which SSL_CERT_FILE tells it.
func TestTheProgramSendsMailOverTLS(t *testing.T) {
	for name, mode := range map[string]heartlocktest.SMTPMode{"starttls": heartlocktest.SMTPStartTLS, "tls": heartlocktest.SMTPTLS} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			relay := heartlocktest.StartSMTP(t, mode, "heartlock@example.com", "relay password")
			v, c, link := inviting(t, append(relay.Environ(), "DEFAULT_FROM_EMAIL=Secrets <secrets@example.com>")...)
			m := relay.Next(t)
			mailed := regexp.MustCompile(`/invitations/[0-9A-Za-z]{43}/`).FindString(m.Text)
			if m.To[0] != guest || m.From != "secrets@example.com" || !m.TLS || m.User != "heartlock@example.com" || mailed == "" || strings.Contains(m.Text, link) {
				t.Errorf("the mail to %v from %s, TLS %t, signed in as %q, with the text:\n%s", m.To, m.From, m.TLS, m.User, m.Text)
			}
			result, err := c.TestMail(t.Context(), api.TestMail{})
			if err != nil || !result.Sent || relay.Next(t).To[0] != owner {
				t.Errorf("test mail: %+v, %v", result, err)
			}
			heartlocktest.Eventually(t, "the mail is noted as sent", func() bool {
				status, err := c.MailStatus(t.Context())
				return err == nil && status.Backend == "smtp" && status.Security == name && status.Waiting == 0 && status.Sent == 1
			})
			v.stop(t)
			for _, secret := range []string{link, mailed, "relay password"} {
				if strings.Contains(v.log.String(), secret) {
					t.Errorf("the log holds %q", secret)
				}
			}
		})
	}
}

// Without TLS that it can trust the program sends nothing at all, and says why.
func TestTheProgramTrustsNoRelayBlindly(t *testing.T) {
	for name, relay := range map[string]*heartlocktest.SMTP{
		"does not offer STARTTLS":              heartlocktest.StartSMTP(t, heartlocktest.SMTPPlain, "user", "relay password"),
		"no authority that this system trusts": heartlocktest.StartSMTP(t, heartlocktest.SMTPStartTLS, "user", "relay password"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var environ []string
			for _, setting := range relay.Environ() {
				if !strings.HasPrefix(setting, "SSL_CERT_FILE=") && !strings.HasPrefix(setting, "EMAIL_USE_TLS=") {
					environ = append(environ, setting)
				}
			}
			v, c, link := inviting(t, environ...)
			heartlocktest.Eventually(t, "an attempt has failed", func() bool {
				status, err := c.MailStatus(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				return len(status.Failing) == 1 && strings.Contains(status.Failing[0].LastError, name) && status.Failing[0].Recipient == guest
			})
			v.stop(t)
			for _, command := range []string{"MAIL FROM", "RCPT", "AUTH", "DATA", guest} {
				if strings.Contains(relay.Received(), command) {
					t.Errorf("the relay got %s:\n%s", command, relay.Received())
				}
			}
			for _, secret := range []string{link, "relay password"} {
				if strings.Contains(v.log.String(), secret) {
					t.Errorf("the log holds %q", secret)
				}
			}
		})
	}
}

// Without settings for mail, a development server shows it on the console.
func TestTheProgramShowsMailOnTheConsole(t *testing.T) {
	t.Parallel()
	v, _, link := inviting(t)
	heartlocktest.Eventually(t, "the mail is on the console", func() bool {
		return strings.Contains(v.log.String(), "\nTo: "+guest+"\n") && strings.Contains(v.log.String(), "\n    "+link+"\n")
	})
	v.stop(t)
}
