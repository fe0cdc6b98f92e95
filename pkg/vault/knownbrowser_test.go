package vault_test

import (
	"testing"
	"time"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/vault"
)

// marked is a request from a browser that keeps a mark.
func marked(mark, address string) vault.Principal {
	r := fromAddress(address).Request
	r.BrowserMark = mark
	return vault.Anonymous(r)
}

// TestAKnownBrowserIsNotLockedOut by what is guessed elsewhere, and guesses no more
// itself than anybody.
func TestAKnownBrowserIsNotLockedOut(t *testing.T) {
	t.Parallel()
	eachTimedHouse(t, func(t *testing.T, h *house, pass func(time.Duration)) {
		mark := h.BrowserMark(h.ann).Reveal()
		_, bob := h.person(t, "bob@example.com", false)
		for range 5 {
			isKind(t, "guessed", h.guess(t, h.Vault, fromAddress("198.51.100.7"), "ann@example.com", tooLong), fault.Unauthenticated)
		}
		for range 25 {
			isKind(t, "guessed", h.guess(t, h.Vault, fromAddress("198.51.100.7"), "not an address", tooLong), fault.Unauthenticated)
		}
		const theirs = "198.51.100.7" // the browser is behind the same proxy as the guesser
		for name, other := range map[string]string{
			"none": "", "another person's": h.BrowserMark(bob).Reveal(), "changed": "A" + mark[1:], "cut": mark[:len(mark)-1], "the first half": mark[:22] + ".", "long": mark + "A",
		} {
			isKind(t, name, h.guess(t, h.Vault, marked(other, "203.0.113.9"), "ann@example.com", password), fault.TooManyRequests)
		}
		if err := h.guess(t, h.Vault, marked(mark, theirs), " Ann@Example.com", password); err != nil {
			t.Fatalf("from the known browser: %v", err)
		}
		isKind(t, "from elsewhere", h.guess(t, h.Vault, fromAddress("203.0.113.9"), "ann@example.com", password), fault.TooManyRequests)
		isKind(t, "another account from the known browser", h.guess(t, h.Vault, marked(mark, theirs), "bob@example.com", tooLong), fault.TooManyRequests)

		pass(16 * time.Minute)
		for range 5 {
			isKind(t, "guessed in the known browser", h.guess(t, h.Vault, marked(mark, theirs), "ann@example.com", tooLong), fault.Unauthenticated)
		}
		isKind(t, "the sixth", h.guess(t, h.Vault, marked(mark, theirs), "ann@example.com", password), fault.TooManyRequests)
		equal(t, "audited blocks", h.count(t, "audit_events WHERE action = 'auth.throttle' AND target = 'ann@example.com'"), 2)
		if err := h.guess(t, h.Vault, fromAddress("203.0.113.9"), "ann@example.com", password); err != nil {
			t.Errorf("from elsewhere: %v", err)
		}
	})
}

// TestAMarkServesOnePassword of who signs in with one.
func TestAMarkServesOnePassword(t *testing.T) {
	t.Parallel()
	eachTimedHouse(t, func(t *testing.T, h *house, pass func(time.Duration)) {
		mark := h.BrowserMark(h.ann).Reveal()
		token := must(h.ChangePassword(t.Context(), h.ann, api.ChangePassword{CurrentPassword: api.NewValue(password), NewPassword: api.NewValue(chosen)}))
		for range 5 {
			isKind(t, "guessed", h.guess(t, h.Vault, fromAddress("198.51.100.7"), "ann@example.com", tooLong), fault.Unauthenticated)
		}
		isKind(t, "with a mark of the former password", h.guess(t, h.Vault, marked(mark, "203.0.113.9"), "ann@example.com", chosen), fault.TooManyRequests)
		again := must(h.IdentifySession(t.Context(), token.Reveal(), request()))
		if err := h.guess(t, h.Vault, marked(h.BrowserMark(again).Reveal(), "203.0.113.9"), "ann@example.com", chosen); err != nil {
			t.Errorf("with that of the new one: %v", err)
		}
		for name, p := range map[string]vault.Principal{"nobody": fromAddress("203.0.113.9"), "the server itself": vault.Local()} {
			equal(t, name, h.BrowserMark(p).Len(), 0)
		}
		h.exec(t, "UPDATE users SET password_hash = ''")
		equal(t, "who has no password", h.BrowserMark(must(h.IdentifySession(t.Context(), token.Reveal(), request()))).Len(), 0)
	})
}
