package vault_test

import (
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/vault"
)

const chosen = "a passphrase that was chosen anew"

// onSite is somebody whose request names the server by a host that it knows.
func onSite() vault.Principal {
	r := request()
	r.Origin = "https://secrets.example.com"
	return vault.Anonymous(r)
}

// mails opens the waiting mails of a kind to a recipient, oldest first.
func (p *place) mails(t *testing.T, kind, recipient string) (all []map[string]any) {
	t.Helper()
	rows, err := p.sql.QueryContext(t.Context(), "SELECT sealed, key_fingerprint FROM mail_queue WHERE kind = '"+kind+"' AND recipient = '"+recipient+"' ORDER BY created_at, id")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var sealed, fingerprint string
		if err := rows.Scan(&sealed, &fingerprint); err != nil {
			t.Fatal(err)
		}
		var m map[string]any
		if err := json.Unmarshal([]byte(must(p.ring.OpenText(sealed, fingerprint))), &m); err != nil {
			t.Fatal(err)
		}
		all = append(all, m)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// askForReset asks for a link, and returns the tokens of all that wait for the
// address.
func (h *house) askForReset(t *testing.T, address, recipient string) (tokens []string) {
	t.Helper()
	if err := h.RequestPasswordReset(t.Context(), onSite(), api.PasswordResetRequest{Email: address}); err != nil {
		t.Fatal(fault.Detail(err))
	}
	for _, m := range h.mails(t, "password-reset", recipient) {
		token, ok := strings.CutPrefix(m["link"].(string), "https://secrets.example.com/password-reset/")
		if !ok || m["ip"] != "192.0.2.1" {
			t.Errorf("a mail says %v", m)
		}
		tokens = append(tokens, strings.TrimSuffix(token, "/"))
	}
	return tokens
}

func (h *house) confirmReset(t *testing.T, token, newPassword string) error {
	t.Helper()
	return h.ConfirmPasswordReset(t.Context(), onSite(), api.PasswordResetConfirm{Token: api.NewValue(token), NewPassword: api.NewValue(newPassword)})
}

func TestALinkChoosesAPasswordOnce(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		for range 5 {
			isKind(t, "wrong", h.guess(t, h.Vault, onSite(), "ann@example.com", tooLong), fault.Unauthenticated)
		}
		tokens := h.askForReset(t, " ANN@Example.com ", "ann@example.com")
		if len(tokens) != 1 || len(tokens[0]) != 43 {
			t.Fatalf("tokens %d", len(tokens))
		}
		equal(t, "tokens in the database", h.count(t, "password_resets WHERE length(digest) = 32"), 1)
		isKind(t, "a weak password", h.confirmReset(t, tokens[0], "password1"), fault.Invalid)
		isKind(t, "one like the address", h.confirmReset(t, tokens[0], "ann@example.com"), fault.Invalid)
		if err := h.confirmReset(t, tokens[0], chosen); err != nil {
			t.Fatal(fault.Detail(err))
		}
		equal(t, "sessions", h.count(t, "sessions"), 0)
		equal(t, "mails of the change", len(h.mails(t, "password-changed", "ann@example.com")), 1)
		equal(t, "audited", h.count(t, "audit_events WHERE action = 'auth.password.reset' AND actor_name = 'ann@example.com'"), 1)
		isKind(t, "used again", h.confirmReset(t, tokens[0], "yet another passphrase"), fault.Gone)
		isKind(t, "the former password", h.guess(t, h.Vault, onSite(), "ann@example.com", password), fault.Unauthenticated)
		h.signIn(t, "ann@example.com", chosen) // the block is over: the mailbox has proved more
	})
}

func TestOnlyTheNewestLinkServes(t *testing.T) {
	t.Parallel()
	eachTimedHouse(t, func(t *testing.T, h *house, pass func(time.Duration)) {
		h.askForReset(t, "ann@example.com", "ann@example.com")
		pass(time.Second)
		tokens := h.askForReset(t, "ann@example.com", "ann@example.com")
		isKind(t, "the older", h.confirmReset(t, tokens[0], chosen), fault.Gone)
		for _, near := range []string{"", tokens[1][:42], tokens[1] + "x", tokens[1] + "\n", strings.ToUpper(tokens[1]), strings.Repeat("0", 43)} {
			isKind(t, "a text that is no token", h.confirmReset(t, near, chosen), fault.Gone)
		}
		pass(time.Hour)
		isKind(t, "after an hour", h.confirmReset(t, tokens[1], chosen), fault.Gone)
		tokens = h.askForReset(t, "ann@example.com", "ann@example.com")
		pass(time.Hour - time.Second)
		h.exec(t, "UPDATE users SET is_active = ?", h.boolean(false))
		isKind(t, "of an account that was switched off", h.confirmReset(t, tokens[2], chosen), fault.Gone)
		h.exec(t, "UPDATE users SET is_active = ?", h.boolean(true))
		must(h.ChangePassword(t.Context(), h.signInAgain(t), api.ChangePassword{CurrentPassword: api.NewValue(password), NewPassword: api.NewValue(chosen)}))
		isKind(t, "after the password was changed", h.confirmReset(t, tokens[2], chosen), fault.Gone)
		if err := h.Maintain(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func (h *house) signInAgain(t *testing.T) vault.Principal {
	t.Helper()
	return h.signIn(t, "ann@example.com", password)
}

// TestTheAnswerToARequestTellsNothing asks for many addresses.
func TestTheAnswerToARequestTellsNothing(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		must(h.CreateAdmin(t.Context(), vault.Local(), admin("gone@example.com")))
		h.exec(t, "UPDATE users SET is_active = ? WHERE email = 'gone@example.com'", h.boolean(false))
		must(h.CreateAdmin(t.Context(), vault.Local(), admin("sso@example.com")))
		h.exec(t, "UPDATE users SET password_hash = '' WHERE email = 'sso@example.com'")
		for _, address := range []string{"nobody@example.com", "gone@example.com", "sso@example.com", "no address", " ", "ann@example.com\x00", "ann@example.com, eve@example.net"} {
			began := time.Now()
			if err := h.RequestPasswordReset(t.Context(), onSite(), api.PasswordResetRequest{Email: address}); err != nil {
				t.Errorf("%q: %v", address, err)
			}
			if took := time.Since(began); took < 250*time.Millisecond {
				t.Errorf("%q: answered after %v, before the others", address, took)
			}
		}
		equal(t, "mails", h.count(t, "mail_queue"), 0)
		equal(t, "links", h.count(t, "password_resets"), 0)
		equal(t, "audited", h.count(t, "audit_events WHERE action = 'auth.password.reset_request' AND outcome = 'refused'"), 7)
		for range 7 {
			h.askForReset(t, "ann@example.com", "ann@example.com")
		}
		equal(t, "mails to one address in an hour", len(h.mails(t, "password-reset", "ann@example.com")), 5)

		for _, address := range []string{"ann@example.com", "nobody@example.com"} { // no public address is known
			err := h.RequestPasswordReset(t.Context(), vault.Anonymous(request()), api.PasswordResetRequest{Email: address})
			isKind(t, address, err, fault.Invalid)
		}
	})
}

func TestOneOfManyUsesOfALinkSucceeds(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		token := h.askForReset(t, "ann@example.com", "ann@example.com")[0]
		other := must(h.vault(t, h.ring))
		var all sync.WaitGroup
		var won atomic.Int64
		for i := range 8 {
			all.Go(func() {
				v := []*vault.Vault{h.Vault, other}[i%2]
				err := v.ConfirmPasswordReset(t.Context(), onSite(), api.PasswordResetConfirm{Token: api.NewValue(token), NewPassword: api.NewValue(chosen)})
				switch {
				case err == nil:
					won.Add(1)
				case !errors.Is(err, fault.Gone):
					t.Error(fault.Detail(err))
				}
			})
		}
		all.Wait()
		equal(t, "successes", won.Load(), int64(1))
		equal(t, "mails", len(h.mails(t, "password-changed", "ann@example.com")), 1)
	})
}

// TestANewPlaceIsTold signs in from places that differ in what counts.
func TestANewPlaceIsTold(t *testing.T) {
	t.Parallel()
	const firefox, chrome = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
		"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36"
	eachTimedHouse(t, func(t *testing.T, h *house, pass func(time.Duration)) {
		equal(t, "mails after the first sign-in", h.count(t, "mail_queue"), 0)
		told := 0
		signIn := func(what, address, agent string, isNew bool) {
			t.Helper()
			who := fromAddress(address)
			who.Request.UserAgent = agent
			if err := h.guess(t, h.Vault, who, "ann@example.com", password); err != nil {
				t.Fatal(fault.Detail(err))
			}
			if isNew {
				told++
			}
			equal(t, what, len(h.mails(t, "new-sign-in", "ann@example.com")), told)
		}
		signIn("another browser", "192.0.2.1", firefox, true)
		signIn("the same again", "192.0.2.1", firefox, false)
		signIn("a newer version, a neighbour", "192.0.2.200", strings.ReplaceAll(firefox, "140", "141"), false)
		signIn("another network", "192.0.3.1", firefox, true)
		signIn("a third browser", "192.0.3.1", chrome, true)
		signIn("IPv6", "2001:db8:1:2::1", firefox, true)
		signIn("the same /48", "2001:db8:1:9::1", firefox, false)
		signIn("another /48", "2001:db8:2:9::1", firefox, true)
		m := h.mails(t, "new-sign-in", "ann@example.com")[0]
		if m["ip"] != "192.0.2.1" || m["user_agent"] != firefox {
			t.Errorf("the mail says %v", m)
		}
		pass(89 * 24 * time.Hour)
		signIn("seen for long", "192.0.2.1", firefox, false)
		pass(2 * 24 * time.Hour)
		if err := h.Maintain(t.Context()); err != nil {
			t.Fatal(err)
		}
		signIn("not forgotten", "192.0.2.1", firefox, false)
		signIn("forgotten", "192.0.3.1", firefox, true)
		equal(t, "an address in the database", h.count(t, "sign_in_places WHERE length(digest) <> 32"), 0)
	})
}
