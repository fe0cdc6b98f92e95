package vault_test

import (
	"regexp"
	"testing"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/mail"
	"github.com/heartlock/heartlock/pkg/vault"
)

// An administrator who sees the link to an account's password can open the account
// unnoticed. So where mail reaches its person, nobody else gets the link.
func TestOnlyThePersonGetsTheLinkToHisPassword(t *testing.T) {
	mailed := regexp.MustCompile(`https://secrets\.example\.com/password-reset/([0-9A-Za-z]{43})/`)
	eachMailHouse(t, func(t *testing.T, h *mailHouse) {
		ctx := t.Context()
		choose := func(password string) {
			t.Helper()
			h.deliver(t, vault.Delivery{Sent: 1}, "")
			m := h.smtp.Next(t)
			found := mailed.FindStringSubmatch(m.Text)
			if m.To[0] != "nora@example.com" || found == nil {
				t.Fatalf("a mail to %v without a link", m.To)
			}
			must(0, h.ConfirmPasswordReset(ctx, vault.Anonymous(request()), api.PasswordResetConfirm{
				Token: api.NewValue(found[1]), NewPassword: api.NewValue(password),
			}))
			h.deliver(t, vault.Delivery{Sent: 1}, "")
			h.smtp.Next(t) // that it was changed
		}
		shown := func(action string) int {
			return h.count(t, `audit_events WHERE action = '`+action+`' AND target = 'nora@example.com' AND detail LIKE '%"link_shown":"true"%'`)
		}

		ann := h.ann
		ann.Request.IdempotencyKey = "nora"
		for range 2 {
			made := must(h.CreateUser(ctx, ann, api.CreateUser{Email: "nora@example.com"}))
			if made.PasswordLink == nil || made.PasswordLink.Link != nil || !made.PasswordLink.ExpiresAt.After(h.clock.now()) {
				t.Errorf("the new account: %+v", made.PasswordLink)
			}
		}
		choose("the long passphrase of hers")
		id := h.idOf(t, "nora@example.com")
		if link := must(h.ResetUserPassword(ctx, h.ann, id)); link.Link != nil || !link.ExpiresAt.After(h.clock.now()) {
			t.Errorf("the reset: %+v", link)
		}
		choose("another long passphrase of hers")
		if shown("user.create")+shown("user.password.reset") > 0 {
			t.Error("the trail says that the administrator saw a link")
		}

		for _, sender := range []mail.Sender{mail.Disabled{}, mail.NewDummy(), mail.NewMemory(), mail.NewConsole(t.Output()), mail.NewDirectory(t.TempDir())} {
			h.UseMailer(&mail.Mailer{Sender: sender}, func() {})
			if link := must(h.ResetUserPassword(ctx, h.ann, id)); link.Link == nil || !mailed.MatchString(link.Link.Reveal()) {
				t.Errorf("without mail (%s) the administrator can not pass the link on", sender.About().Backend)
			}
		}
		if n := shown("user.password.reset"); n != 5 {
			t.Errorf("the trail says %d times that the administrator saw a link", n)
		}
	})
}
