package vault_test

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/vault"
)

// fromAddress is a request from an address.
func fromAddress(address string) vault.Principal {
	r := request()
	r.IP = netip.MustParseAddr(address)
	return vault.Anonymous(r)
}

// tooLong is a wrong password that is refused without being hashed: it counts
// like any other, and costs a test nothing.
var tooLong = strings.Repeat("x", 5000)

func (h *house) guess(t *testing.T, v *vault.Vault, who vault.Principal, email, password string) error {
	t.Helper()
	_, token, err := v.Login(t.Context(), who, login(email, password))
	if (err == nil) != (token.Len() > 0) {
		t.Errorf("error %v, token of %d characters", err, token.Len())
	}
	return err
}

// eachTimedHouse is eachHouse with a clock that moves when it is told to.
func eachTimedHouse(t *testing.T, test func(t *testing.T, h *house, pass func(time.Duration))) {
	t.Helper()
	eachPlace(t, func(t *testing.T, p place) {
		var clock atomic.Int64
		start := time.Now()
		p.now = func() time.Time { return start.Add(time.Duration(clock.Load())) }
		test(t, p.house(t), func(d time.Duration) { clock.Add(int64(d)) })
	})
}

func TestFiveWrongPasswordsBlockAnAccount(t *testing.T) {
	t.Parallel()
	eachTimedHouse(t, func(t *testing.T, h *house, pass func(time.Duration)) {
		other := must(h.vault(t, h.ring)) // as on another server
		for _, email := range []string{"ann@example.com", "nobody@example.com"} {
			before := h.count(t, "audit_events WHERE action = 'auth.login'")
			spellings := []string{email, strings.ToUpper(email), " " + email, email + " \t", strings.Replace(email, "example", "EXAMPLE", 1)}
			for i, spelling := range spellings {
				v := []*vault.Vault{h.Vault, other}[i%2]
				isKind(t, spelling, h.guess(t, v, fromAddress(fmt.Sprintf("198.51.100.%d", i)), spelling, tooLong), fault.Unauthenticated)
			}
			for i, v := range []*vault.Vault{h.Vault, other, h.Vault, other} {
				err := h.guess(t, v, fromAddress("203.0.113.9"), spellings[i], password) // which is the right one
				isKind(t, email+", blocked", err, fault.TooManyRequests)
				if after := fault.As(err).RetryAfter; after <= 14*time.Minute || after > 15*time.Minute {
					t.Errorf("told to come back after %v", after)
				}
				equal(t, "text", err.Error(), "Too many attempts have failed. Try again in 15 minutes.")
			}
			equal(t, "audited attempts", h.count(t, "audit_events WHERE action = 'auth.login'")-before, len(spellings))
			equal(t, "audited blocks", h.count(t, "audit_events WHERE action = 'auth.throttle' AND target = '"+email+"'"), 1)
		}
		h.signedInBy(t, h.ann) // a block is for those who sign in
		pass(15*time.Minute - time.Second)
		isKind(t, "a second before its end", h.guess(t, h.Vault, fromAddress("203.0.113.9"), "ann@example.com", password), fault.TooManyRequests)
		pass(time.Second)
		if err := h.guess(t, other, fromAddress("203.0.113.9"), "ann@example.com", password); err != nil {
			t.Errorf("after the block: %v", err)
		}
	})
}

// signedInBy sees that a session still serves.
func (h *house) signedInBy(t *testing.T, p vault.Principal) {
	t.Helper()
	if _, err := h.WhoAmI(t.Context(), p); err != nil {
		t.Error(fault.Detail(err))
	}
}

func TestASuccessForgetsTheGuessesOfTheAccountButNotOfTheNetwork(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		for range 3 {
			for range 4 {
				isKind(t, "wrong", h.guess(t, h.Vault, fromAddress("198.51.100.7"), "ann@example.com", tooLong), fault.Unauthenticated)
			}
			if err := h.guess(t, h.Vault, fromAddress("198.51.100.7"), "ann@example.com", password); err != nil {
				t.Error(err)
			}
		}
		equal(t, "rows of the account", h.count(t, "throttles WHERE subject = 'account:ann@example.com'"), 0)
		equal(t, "failures of the network", h.count(t, "throttles WHERE subject = 'network:198.51.100.7/32' AND failures = 12"), 1)
	})
}

func TestThirtyWrongGuessesBlockANetwork(t *testing.T) {
	t.Parallel()
	eachTimedHouse(t, func(t *testing.T, h *house, pass func(time.Duration)) {
		for i := range 30 { // all of one /64, and one IPv4 address in two spellings
			six := fmt.Sprintf("2001:db8:1:2:%x::1", i+1)
			four := []string{"198.51.100.7", "::ffff:198.51.100.7"}[i%2]
			isKind(t, six, h.guess(t, h.Vault, fromAddress(six), fmt.Sprintf("six%d@example.com", i), tooLong), fault.Unauthenticated)
			isKind(t, four, h.guess(t, h.Vault, fromAddress(four), "no address at all", tooLong), fault.Unauthenticated)
		}
		for address, blocked := range map[string]bool{
			"2001:db8:1:2:ffff::9": true, "2001:db8:1:3::1": false, "198.51.100.7": true, "::ffff:198.51.100.7": true, "198.51.100.8": false,
		} {
			if err := h.guess(t, h.Vault, fromAddress(address), "ann@example.com", password); errors.Is(err, fault.TooManyRequests) != blocked || !blocked && err != nil {
				t.Errorf("%s: %v", address, err)
			}
		}
		pass(15 * time.Minute)
		if err := h.guess(t, h.Vault, fromAddress("198.51.100.7"), "ann@example.com", password); err != nil {
			t.Errorf("after the block: %v", err)
		}
		pass(2 * time.Hour)
		if err := h.Maintain(t.Context()); err != nil {
			t.Error(err)
		}
		equal(t, "rows after maintenance", h.count(t, "throttles"), 0)
	})
}

// TestGuessesAtTheSameTimeAreCounted tries a hundred passwords at once, on two
// servers, the right one among them.
func TestGuessesAtTheSameTimeAreCounted(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		servers := []*vault.Vault{h.Vault, must(h.vault(t, h.ring))}
		var all sync.WaitGroup
		var evaluated, refused atomic.Int64
		for i := range 100 {
			all.Go(func() {
				err := h.guess(t, servers[i%2], fromAddress(fmt.Sprintf("198.51.100.%d", i)), "ann@example.com", "wrong by one more")
				switch {
				case errors.Is(err, fault.Unauthenticated):
					evaluated.Add(1)
				case errors.Is(err, fault.TooManyRequests):
					refused.Add(1)
				default:
					t.Error(fault.Detail(err))
				}
			})
		}
		all.Wait()
		equal(t, "evaluated", evaluated.Load(), int64(5))
		equal(t, "refused", refused.Load(), int64(95))
		equal(t, "audited blocks", h.count(t, "audit_events WHERE action = 'auth.throttle'"), 1)
	})
}

// TestARefusedGuessCostsNoHash fills the queue of the hasher: who is blocked does
// not come to it, and who finds it full is not counted.
func TestARefusedGuessCostsNoHash(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		for range 5 {
			isKind(t, "wrong", h.guess(t, h.Vault, fromAddress("198.51.100.7"), "bob@example.com", tooLong), fault.Unauthenticated)
		}
		release := h.HoldHashing()
		isKind(t, "blocked", h.guess(t, h.Vault, fromAddress("198.51.100.7"), "bob@example.com", password), fault.TooManyRequests)

		var all sync.WaitGroup
		for i := range 5 { // more than the account has would be refused before
			all.Go(func() {
				_ = h.guess(t, h.Vault, fromAddress("203.0.113.1"), fmt.Sprintf("user%d@example.com", i), password)
			})
		}
		eventually(t, "five wait", func() bool { return h.Hashing() == 5 })
		release()
		all.Wait()
		equal(t, "counted", h.count(t, "throttles WHERE subject LIKE 'account:user%' AND failures = 1"), 5)
	})
}

// TestEveryFailedSignInCostsOneHash counts the work and not the time.
func TestEveryFailedSignInCostsOneHash(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		must(h.CreateAdmin(t.Context(), vault.Local(), admin("gone@example.com")))
		h.exec(t, "UPDATE users SET is_active = ? WHERE email = 'gone@example.com'", h.boolean(false))
		must(h.CreateAdmin(t.Context(), vault.Local(), admin("sso@example.com")))
		h.exec(t, "UPDATE users SET password_hash = '' WHERE email = 'sso@example.com'")
		for _, email := range []string{"ann@example.com", "nobody@example.com", "gone@example.com", "sso@example.com", "no address"} {
			release := h.HoldHashing()
			done := make(chan error)
			go func() { done <- h.guess(t, h.Vault, vault.Anonymous(request()), email, "a wrong passphrase") }()
			eventually(t, email+" is hashed", func() bool { return h.Hashing() == 1 })
			release()
			isKind(t, email, <-done, fault.Unauthenticated)
		}
	})
}

func TestGuessingWithinASessionIsCounted(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		change := api.ChangePassword{CurrentPassword: api.NewValue(tooLong), NewPassword: api.NewValue("a new passphrase")}
		for range 5 {
			_, err := h.ChangePassword(t.Context(), h.ann, change)
			isKind(t, "wrong", err, fault.Invalid)
		}
		change.CurrentPassword = api.NewValue(password)
		_, err := h.ChangePassword(t.Context(), h.ann, change)
		isKind(t, "the sixth", err, fault.TooManyRequests)
		h.signIn(t, "ann@example.com", password) // which counts by itself
	})
}

func TestGuardCountsWrongTokensOfANetwork(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		wrong, calls := fault.New(fault.Gone, "gone"), 0
		guard := func(answer error) error {
			return h.Guard(t.Context(), fromAddress("198.51.100.7"), vault.ActionOnboard, func() error { calls++; return answer })
		}
		for range 29 {
			isKind(t, "wrong", guard(wrong), fault.Gone)
		}
		for range 3 {
			if err := guard(nil); err != nil {
				t.Errorf("right: %v", err)
			}
			isKind(t, "of no guess", guard(fault.New(fault.Invalid, "x")), fault.Invalid)
		}
		isKind(t, "wrong", guard(wrong), fault.Gone)
		isKind(t, "the next", guard(nil), fault.TooManyRequests)
		equal(t, "calls", calls, 36)
		equal(t, "audited", h.count(t, "audit_events WHERE action = 'auth.throttle' AND target = '198.51.100.7/32'"), 1)
	})
}
