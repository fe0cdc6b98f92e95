//go:build unix

package vault_test

import (
	"context"
	netmail "net/mail"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/heartlocktest"
	"github.com/heartlock/heartlock/pkg/keyring"
	"github.com/heartlock/heartlock/pkg/mail"
	"github.com/heartlock/heartlock/pkg/store"
	"github.com/heartlock/heartlock/pkg/vault"
)

// clock is a clock that stands until it is moved on.
type clock struct{ micros atomic.Int64 }

func (c *clock) now() time.Time          { return time.UnixMicro(c.micros.Load()).UTC() }
func (c *clock) advance(d time.Duration) { c.micros.Add(d.Microseconds()) }

// mailHouse is a house whose mail goes to a server of its own, and whose clock
// stands still.
type mailHouse struct {
	*house
	clock *clock
	smtp  *heartlocktest.SMTP
	woken *atomic.Int64
}

func eachMailHouse(t *testing.T, test func(t *testing.T, h *mailHouse)) {
	t.Helper()
	eachPlace(t, func(t *testing.T, p place) {
		c := new(clock)
		c.micros.Store(time.Now().UnixMicro())
		p.now = c.now
		h := &mailHouse{house: p.house(t), clock: c, smtp: heartlocktest.StartSMTP(t, heartlocktest.SMTPStartTLS, "user", "pass"), woken: new(atomic.Int64)}
		h.UseAppURL("https://secrets.example.com")
		h.UseMailer(h.mailer(), func() { h.woken.Add(1) })
		test(t, h)
	})
}

func (h *mailHouse) mailer() *mail.Mailer {
	return &mail.Mailer{
		From: netmail.Address{Name: "Heartlock", Address: "noreply@example.com"},
		Sender: &mail.SMTP{
			Host: h.smtp.Host, Port: h.smtp.Port, User: "user", Password: "pass", Security: mail.StartTLS, Timeout: 5 * time.Second, Roots: h.smtp.Roots,
		},
	}
}

func (h *mailHouse) queue(t *testing.T, recipient string, m mail.Message) {
	t.Helper()
	if err := h.QueueMail(t.Context(), recipient, m); err != nil {
		t.Fatal(fault.Detail(err))
	}
}

// deliver delivers what is due, which must come to this.
func (h *mailHouse) deliver(t *testing.T, want vault.Delivery, trouble string) {
	t.Helper()
	done, err := h.DeliverMail(t.Context())
	equal(t, "delivery", done, want)
	if got := detail(err); (trouble == "") != (got == "") || !strings.Contains(got, trouble) {
		t.Errorf("the trouble is %q, want %q", got, trouble)
	}
}

func detail(err error) string {
	if err == nil {
		return ""
	}
	return fault.Detail(err)
}

func (h *mailHouse) status(t *testing.T) api.MailStatus {
	t.Helper()
	status, err := h.MailStatus(t.Context(), h.ann)
	return must(status, err)
}

const link = "https://secrets.example.com/invitations/hli_0123456789abcdefghijklmnopq"

func (h *mailHouse) invitation() mail.Invitation {
	return mail.Invitation{Project: "Shop", Role: "viewer", InvitedBy: "Ann", Link: link, ExpiresAt: h.clock.now().Add(7 * 24 * time.Hour)}
}

func TestQueuedMailIsSentOnce(t *testing.T) {
	eachMailHouse(t, func(t *testing.T, h *mailHouse) {
		for _, to := range []string{"zoe@example.com", "bob@example.com", "eve@example.com"} {
			h.queue(t, to, h.invitation())
			h.clock.advance(time.Second)
		}
		if h.woken.Load() != 3 {
			t.Errorf("woken %d times", h.woken.Load())
		}
		equal(t, "waiting", h.status(t).Waiting, int64(3))
		h.deliver(t, vault.Delivery{Sent: 3}, "")
		h.deliver(t, vault.Delivery{}, "")
		for _, to := range []string{"zoe@example.com", "bob@example.com", "eve@example.com"} {
			m := h.smtp.Next(t)
			if m.To[0] != to || !m.TLS || m.User != "user" || m.Connection != 1 || !strings.Contains(m.Text, link) || !strings.Contains(m.HTML, link) {
				t.Errorf("the mail %+v, want one to %s", m, to)
			}
		}
		equal(t, "what is left to read of them", h.count(t, "mail_queue WHERE sealed IS NOT NULL"), 0)
		equal(t, "status", h.status(t), api.MailStatus{
			Backend: "smtp", Server: h.mailer().About().Server, Security: "starttls", User: "user", From: `"Heartlock" <noreply@example.com>`,
			Sent: 3, Failing: []api.QueuedMail{}, GivenUp: []api.QueuedMail{},
		})
	})
}

// Nothing is lost while the mail server is away, and an administrator sees why it
// waits.
func TestAMailServerThatComesBack(t *testing.T) {
	eachMailHouse(t, func(t *testing.T, h *mailHouse) {
		h.smtp.Stop()
		h.queue(t, "zoe@example.com", h.invitation())
		h.clock.advance(time.Second)
		h.queue(t, "bob@example.com", h.invitation())
		h.deliver(t, vault.Delivery{Failed: 1}, "Nothing accepts connections")
		h.deliver(t, vault.Delivery{Failed: 1}, "Nothing accepts connections")
		h.deliver(t, vault.Delivery{}, "")

		status := h.status(t)
		if len(status.Failing) != 2 || status.Waiting != 2 || status.OldestAt == nil {
			t.Fatalf("status %+v", status)
		}
		first := status.Failing[0]
		if first.Recipient != "zoe@example.com" || first.Kind != "invitation" || first.Attempts != 1 || !strings.Contains(first.LastError, "Check EMAIL_HOST and EMAIL_PORT") {
			t.Errorf("the first is %+v", first)
		}
		if text := string(must(mail.Encode(h.invitation()))); strings.Contains(h.smtp.Received(), "hli_") || !strings.Contains(text, "hli_") {
			t.Error("a link was sent")
		}

		h.smtp.Start(t)
		h.clock.advance(44 * time.Second)
		h.deliver(t, vault.Delivery{}, "")
		h.clock.advance(17 * time.Second)
		h.deliver(t, vault.Delivery{Sent: 2}, "")
		h.smtp.Next(t)
		h.smtp.Next(t)
		equal(t, "failing", h.status(t).Failing, []api.QueuedMail{})
	})
}

// The pauses double from a minute to an hour, and after three days it is enough.
func TestAMailThatIsNeverTaken(t *testing.T) {
	eachMailHouse(t, func(t *testing.T, h *mailHouse) {
		h.smtp.Answer(func(command, _ string) error {
			if command == "RCPT" {
				return heartlocktest.Refusal(452, [3]int{4, 2, 2}, "mailbox full")
			}
			return nil
		})
		h.queue(t, "zoe@example.com", h.invitation())
		start := h.clock.now()
		longest := time.Minute
		for attempt := 1; ; attempt++ {
			done := must(h.DeliverMail(t.Context()))
			if done.GivenUp == 1 {
				break
			}
			equal(t, "delivery", done, vault.Delivery{Failed: 1})
			pause := h.status(t).Failing[0].NextAttemptAt.Sub(h.clock.now())
			if pause > longest || pause < longest*3/4 {
				t.Fatalf("after attempt %d the pause is %s, want up to %s", attempt, pause, longest)
			}
			longest = min(2*longest, time.Hour)
			h.clock.advance(pause)
		}
		if took := h.clock.now().Sub(start); took < 72*time.Hour || took > 73*time.Hour {
			t.Errorf("it was given up after %s", took)
		}
		status := h.status(t)
		if len(status.GivenUp) != 1 || status.Waiting != 0 || !strings.HasSuffix(status.GivenUp[0].LastError, "452 4.2.2 mailbox full It was tried for three days.") {
			t.Errorf("status %+v", status)
		}
		equal(t, "what is left to read of it", h.count(t, "mail_queue WHERE sealed IS NOT NULL"), 0)

		h.clock.advance(29 * 24 * time.Hour)
		if err := h.Maintain(t.Context()); err != nil {
			t.Fatal(fault.Detail(err))
		}
		equal(t, "after 29 days", len(h.status(t).GivenUp), 1)
		h.clock.advance(2 * 24 * time.Hour)
		if err := h.Maintain(t.Context()); err != nil {
			t.Fatal(fault.Detail(err))
		}
		equal(t, "after 31 days", h.count(t, "mail_queue"), 0)
	})
}

// A recipient that does not exist is given up at once, and keeps nobody else from
// his mail.
func TestARefusedRecipient(t *testing.T) {
	eachMailHouse(t, func(t *testing.T, h *mailHouse) {
		h.smtp.Answer(func(command, argument string) error {
			if command == "RCPT" && argument == "gone@example.com" {
				return heartlocktest.Refusal(550, [3]int{5, 1, 1}, "no such user")
			}
			return nil
		})
		h.queue(t, "gone@example.com", h.invitation())
		h.clock.advance(time.Second)
		h.queue(t, "zoe@example.com", h.invitation())
		h.deliver(t, vault.Delivery{Sent: 1, GivenUp: 1}, "")
		if m := h.smtp.Next(t); m.To[0] != "zoe@example.com" || h.smtp.Connections() != 1 {
			t.Errorf("%v, %d connections", m.To, h.smtp.Connections())
		}
		if last := h.status(t).GivenUp[0]; last.Recipient != "gone@example.com" || !strings.Contains(last.LastError, "no such user") || last.GivenUpAt == nil {
			t.Errorf("given up %+v", last)
		}
	})
}

// A link that does not work any more is not worth a mail.
func TestMailThatHasBecomePointless(t *testing.T) {
	eachMailHouse(t, func(t *testing.T, h *mailHouse) {
		h.smtp.Stop()
		reset := mail.PasswordReset{Link: link, ExpiresAt: h.clock.now().Add(time.Hour)}
		h.queue(t, "zoe@example.com", reset)
		h.deliver(t, vault.Delivery{Failed: 1}, "Nothing accepts")
		h.smtp.Start(t)
		h.clock.advance(time.Hour)
		h.deliver(t, vault.Delivery{GivenUp: 1}, "")
		if last := h.status(t).GivenUp[0]; !strings.HasPrefix(last.LastError, "It was not sent in time") {
			t.Errorf("given up %+v", last)
		}
		equal(t, "mails", h.smtp.Waiting(), 0)
	})
}

// Without the key a mail waits; one that no key opens is given up.
func TestMailThatCanNotBeOpened(t *testing.T) {
	eachMailHouse(t, func(t *testing.T, h *mailHouse) {
		h.queue(t, "zoe@example.com", h.invitation())
		other := ring(t, keyring.Generate())
		sealed := must(other.SealWith(other.SealFingerprint(), []byte("{}")))
		h.exec(t, "UPDATE mail_queue SET sealed = ?, key_fingerprint = ?", string(sealed), other.SealFingerprint())
		h.deliver(t, vault.Delivery{}, "which this server does not have yet")
		h.deliver(t, vault.Delivery{}, "")
		equal(t, "attempts that count", h.count(t, "mail_queue WHERE attempts > 0"), 0)

		h.clock.advance(time.Minute)
		h.exec(t, "UPDATE mail_queue SET sealed = 'gAAAAABnotatoken', key_fingerprint = ?", h.Fingerprint())
		h.deliver(t, vault.Delivery{GivenUp: 1}, "")
		if last := h.status(t).GivenUp[0]; !strings.Contains(last.LastError, "can not be decrypted") {
			t.Errorf("given up %+v", last)
		}
	})
}

// A server that dies with a mail in its hands leaves it to the others.
func TestAClaimThatNobodyEnds(t *testing.T) {
	eachMailHouse(t, func(t *testing.T, h *mailHouse) {
		h.queue(t, "zoe@example.com", h.invitation())
		dies := func(ctx context.Context, tx store.Tx) error {
			_, err := tx.ClaimMail(ctx, store.MicrosOf(h.clock.now()), store.MicrosOf(h.clock.now().Add(2*time.Minute)))
			return err
		}
		if err := h.store.Write(t.Context(), dies); err != nil {
			t.Fatal(err)
		}
		h.deliver(t, vault.Delivery{}, "")
		h.clock.advance(2 * time.Minute)
		h.deliver(t, vault.Delivery{Sent: 1}, "")
		h.smtp.Next(t)
	})
}

// A server that stops finishes the mail that it is sending, and begins no other.
func TestStoppingFinishesOneMail(t *testing.T) {
	eachMailHouse(t, func(t *testing.T, h *mailHouse) {
		ctx, stop := context.WithCancel(t.Context())
		h.smtp.Answer(func(command, _ string) error {
			if command == "MAIL" {
				stop()
			}
			return nil
		})
		h.queue(t, "zoe@example.com", h.invitation())
		h.queue(t, "bob@example.com", h.invitation())
		done, err := h.DeliverMail(ctx)
		equal(t, "delivery", done, vault.Delivery{Sent: 1})
		if err != nil {
			t.Error(fault.Detail(err))
		}
		equal(t, "waiting", h.status(t).Waiting, int64(1))
	})
}

// Any number of servers work on one queue, and each mail is sent by one of them.
func TestTwoServersSendEachMailOnce(t *testing.T) {
	eachMailHouse(t, func(t *testing.T, h *mailHouse) {
		const mails = 200
		for range mails {
			h.queue(t, "zoe@example.com", mail.Test{SentBy: "ann@example.com", At: h.clock.now()})
		}
		second := must(h.vault(t, h.ring))
		second.UseMailer(h.mailer(), func() {})
		var sent atomic.Int64
		var all sync.WaitGroup
		for _, v := range []*vault.Vault{h.Vault, second} {
			all.Go(func() {
				for {
					done, err := v.DeliverMail(t.Context())
					sent.Add(int64(done.Sent))
					if err != nil || done.Failed > 0 || done.GivenUp > 0 {
						t.Errorf("%+v: %s", done, detail(err))
						return
					}
					if due, err := h.store.IsMailDue(t.Context(), store.MicrosOf(h.clock.now())); err != nil || !due {
						return
					}
				}
			})
		}
		all.Wait()
		ids := map[string]int{}
		for h.smtp.Waiting() > 0 {
			ids[h.smtp.Next(t).Header.Get("Message-Id")]++
		}
		for id, times := range ids {
			if times != 1 {
				t.Errorf("%s came %d times", id, times)
			}
		}
		equal(t, "mails that came", len(ids), mails)
		equal(t, "mails that were sent", sent.Load(), int64(mails))
	})
}
