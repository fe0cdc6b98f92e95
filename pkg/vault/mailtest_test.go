//go:build unix

package vault_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/heartlocktest"
	"github.com/heartlock/heartlock/pkg/mail"
	"github.com/heartlock/heartlock/pkg/vault"
)

func TestATestMailGoesAtOnceAndTellsItsSteps(t *testing.T) {
	eachMailHouse(t, func(t *testing.T, h *mailHouse) {
		result := must(h.TestMail(t.Context(), h.ann, api.TestMail{}))
		server := h.mailer().About().Server
		if len(result.Steps) != 3 || !strings.Contains(result.Steps[1], "TLS 1.3") || !strings.Contains(result.Steps[2], "Signed in as user") {
			t.Errorf("steps %q", result.Steps)
		}
		result.Steps = nil
		equal(t, "result", result, api.MailTest{
			Sent: true, To: "ann@example.com", Backend: "smtp", Server: server,
			Detail: "The mail server " + server + " has accepted the mail to ann@example.com.",
		})
		if m := h.smtp.Next(t); m.To[0] != "ann@example.com" || m.Subject() != "Test mail from Heartlock" {
			t.Errorf("the mail %+v", m)
		}
		equal(t, "queued", h.count(t, "mail_queue"), 0)
		equal(t, "audited", h.count(t, "audit_events WHERE action = 'mail.test' AND target = 'ann@example.com'"), 1)

		other := "Zoe@EXAMPLE.com"
		if result := must(h.TestMail(t.Context(), h.ann, api.TestMail{To: &other})); !result.Sent || h.smtp.Next(t).To[0] != "zoe@example.com" {
			t.Errorf("result %+v", result)
		}
		for _, wrong := range []string{"", "nobody", "a@b.example\r\nBcc: x@y.example", "a@b.example, c@d.example"} {
			_, err := h.TestMail(t.Context(), h.ann, api.TestMail{To: &wrong})
			isKind(t, wrong, err, fault.Invalid)
		}
	})
}

// That mail does not work is what the caller wants to know, and no error.
func TestATestMailThatFailsSaysWhy(t *testing.T) {
	eachMailHouse(t, func(t *testing.T, h *mailHouse) {
		h.smtp.Answer(func(command, _ string) error {
			if command == "AUTH" {
				return heartlocktest.Refusal(535, [3]int{5, 7, 8}, "bad credentials")
			}
			return nil
		})
		result := must(h.TestMail(t.Context(), h.ann, api.TestMail{}))
		if result.Sent || len(result.Steps) != 2 || !strings.Contains(result.Detail, "refused the password of user. Check EMAIL_HOST_USER") {
			t.Errorf("result %+v", result)
		}
		h.UseMailer(&mail.Mailer{Sender: mail.Disabled{}}, func() {})
		result = must(h.TestMail(t.Context(), h.ann, api.TestMail{}))
		if result.Sent || result.Backend != "disabled" || !strings.Contains(result.Detail, "Set EMAIL_HOST") {
			t.Errorf("result %+v", result)
		}
	})
}

func TestTestMailsAreBounded(t *testing.T) {
	eachMailHouse(t, func(t *testing.T, h *mailHouse) {
		h.UseMailer(&mail.Mailer{Sender: mail.NewDummy()}, func() {})
		for range 10 {
			if result := must(h.TestMail(t.Context(), h.ann, api.TestMail{})); !result.Sent {
				t.Fatalf("result %+v", result)
			}
			h.clock.advance(time.Minute)
		}
		_, err := h.TestMail(t.Context(), h.ann, api.TestMail{})
		isKind(t, "the eleventh", err, fault.TooManyRequests)
		if f := fault.As(err); f == nil || f.RetryAfter != 50*time.Minute {
			t.Errorf("the eleventh: %+v", f)
		}
		h.clock.advance(50 * time.Minute)
		if _, err := h.TestMail(t.Context(), h.ann, api.TestMail{}); err != nil {
			t.Error(fault.Detail(err))
		}
	})
}

func TestMailIsForAdministrators(t *testing.T) {
	eachMailHouse(t, func(t *testing.T, h *mailHouse) {
		service := h.service(t, api.AccessWrite, "development")
		for name, p := range map[string]vault.Principal{"a service token": service, "nobody": vault.Anonymous(request())} {
			_, err := h.TestMail(t.Context(), p, api.TestMail{})
			_, err2 := h.MailStatus(t.Context(), p)
			for _, err := range []error{err, err2} {
				if !errors.Is(err, fault.Forbidden) && !errors.Is(err, fault.Unauthenticated) {
					t.Errorf("%s: %v", name, err)
				}
			}
		}
		equal(t, "mails", h.smtp.Connections(), 0)
	})
}

// A person is told once that a token of his ends soon.
func TestPeopleAreToldOfTokensThatExpire(t *testing.T) {
	const day = 24 * time.Hour
	eachMailHouse(t, func(t *testing.T, h *mailHouse) {
		ends := h.clock.now().Add(30 * day)
		must(h.CreateOwnToken(t.Context(), h.ann, api.CreatePersonalToken{Name: "laptop", ExpiresAt: &ends}))
		must(h.CreateServiceToken(t.Context(), h.ann, "shop", api.CreateServiceToken{Name: "ci", Environments: []string{"development"}, Access: api.AccessRead, ExpiresAt: &ends}))
		soon := h.clock.now().Add(day)
		must(h.CreateOwnToken(t.Context(), h.ann, api.CreatePersonalToken{Name: "short", ExpiresAt: &soon}))
		must(h.CreateOwnToken(t.Context(), h.ann, api.CreatePersonalToken{Name: "for ever"}))
		tell := func(want int) {
			t.Helper()
			for range 2 {
				if err := h.Maintain(t.Context()); err != nil {
					t.Fatal(fault.Detail(err))
				}
			}
			h.deliver(t, vault.Delivery{Sent: want}, "")
		}
		tell(0)
		h.clock.advance(22 * day)
		tell(0)
		h.clock.advance(2 * day)
		tell(2)
		subjects := []string{h.smtp.Next(t).Subject(), h.smtp.Next(t).Subject()}
		slices.Sort(subjects)
		date := ends.Format("2 January 2006")
		equal(t, "subjects", subjects, []string{"The token “ci” expires on " + date, "The token “laptop” expires on " + date})
		h.clock.advance(5 * day)
		tell(0)
	})
}
