package vault_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/store"
	"github.com/heartlock/heartlock/pkg/vault"
)

func login(email, password string) api.LoginRequest {
	return api.LoginRequest{Email: email, Password: api.NewValue(password)}
}

// TestEveryFailedSignInIsAnsweredAlike compares what a stranger sees of it.
func TestEveryFailedSignInIsAnsweredAlike(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		must(h.CreateAdmin(t.Context(), vault.Local(), admin("gone@example.com")))
		h.exec(t, "UPDATE users SET is_active = ? WHERE email = 'gone@example.com'", h.boolean(false))
		must(h.CreateAdmin(t.Context(), vault.Local(), admin("sso@example.com")))
		h.exec(t, "UPDATE users SET password_hash = '' WHERE email = 'sso@example.com'")
		before := h.count(t, "audit_events")
		attempts := map[string]api.LoginRequest{
			"wrong password": login("ann@example.com", "not the passphrase"), "unknown": login("nobody@example.com", password),
			"inactive": login("gone@example.com", password), "no password": login("sso@example.com", ""),
			"no address": login("my password, mistyped into the wrong field", password), "empty": login("", ""),
			"too long": login("ann@example.com", strings.Repeat("x", 5000)),
		}
		for what, attempt := range attempts {
			account, token, err := h.Login(t.Context(), vault.Anonymous(request()), attempt)
			if err == nil || err.Error() != "Invalid email or password." || token.Len() > 0 || account.ID != "" {
				t.Errorf("%s: %v", what, err)
			}
			isKind(t, what, err, fault.Unauthenticated)
		}
		equal(t, "audited", h.count(t, "audit_events")-before, len(attempts))
		equal(t, "audited as refused", h.count(t, "audit_events WHERE action = 'auth.login' AND outcome = 'refused'"), len(attempts))
		equal(t, "a mistyped password in the trail", h.count(t, "audit_events WHERE target LIKE '%mistyped%'"), 0)
		equal(t, "sessions", h.count(t, "sessions"), 1)
		h.signIn(t, "ANN@Example.com", password) // another spelling of the same address
	})
}

// boolean is a value of a column that is 0 or 1 on SQLite.
func (p *place) boolean(b bool) any {
	if p.options.DSN != "" {
		return b
	}
	return map[bool]int{true: 1}[b]
}

// TestAPasswordThatChangesDuringASignInOpensNothing replaces the password between
// the moment at which a sign-in has read the old one and its transaction.
func TestAPasswordThatChangesDuringASignInOpensNothing(t *testing.T) {
	t.Parallel()
	const replaced = "quite another passphrase"
	eachHouse(t, func(t *testing.T, h *house) {
		release := h.HoldHashing()
		done := make(chan error)
		go func() {
			_, token, err := h.Login(t.Context(), vault.Anonymous(request()), login("ann@example.com", password))
			equal(t, "token", token.Len(), 0)
			done <- err
		}()
		eventually(t, "the sign-in waits", func() bool { return h.Hashing() == 1 })
		h.exec(t, "UPDATE users SET password_hash = ?", vault.HashPassword(replaced))
		h.exec(t, "DELETE FROM sessions")
		release()
		isKind(t, "sign-in with the former password", <-done, fault.Unauthenticated)
		equal(t, "sessions", h.count(t, "sessions"), 0)

		ann := h.signIn(t, "ann@example.com", replaced)
		if err := h.ResetPassword(t.Context(), vault.Local(), "ann@example.com", api.NewValue(replaced), false); err != nil {
			t.Error(fault.Detail(err))
		} // overtakes a change that ann has sent with a session that was alive
		_, err := h.ChangePassword(t.Context(), ann, api.ChangePassword{CurrentPassword: api.NewValue(replaced), NewPassword: api.NewValue("a third passphrase")})
		isKind(t, "a change by a session that has ended", err, fault.Unauthenticated)
		equal(t, "sessions", h.count(t, "sessions"), 0)
		h.signIn(t, "ann@example.com", replaced)
	})
}

// eventually waits for something that another goroutine is about to do.
func eventually(t *testing.T, what string, happened func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !happened(); {
		if time.Now().After(end) {
			t.Fatal("not within ten seconds: " + what)
		}
		runtime.Gosched()
	}
}

func TestAPasswordChangeEndsEverySession(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		_, other, err := h.Login(t.Context(), vault.Anonymous(request()), login("ann@example.com", password))
		must(other, err)
		change := api.ChangePassword{CurrentPassword: api.NewValue("wrong"), NewPassword: api.NewValue("a new passphrase")}
		_, err = h.ChangePassword(t.Context(), h.ann, change)
		isKind(t, "with a wrong password", err, fault.Invalid)
		change.CurrentPassword = api.NewValue(password)
		renewed := must(h.ChangePassword(t.Context(), h.ann, change))
		_, err = h.IdentifySession(t.Context(), other.Reveal(), request())
		isKind(t, "another session", err, fault.Unauthenticated)
		p := must(h.IdentifySession(t.Context(), renewed.Reveal(), request()))
		equal(t, "sessions", len(must(h.Sessions(t.Context(), p)).Results), 1)
		if p.SessionID() == h.ann.SessionID() {
			t.Error("the session keeps its id")
		}
	})
}

func TestAHashOfAnotherCostIsRenewedAtSignIn(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		h.exec(t, "UPDATE users SET password_hash = ?", "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc")
		h.signIn(t, "ann@example.com", "password")
		equal(t, "hashes at our cost", h.count(t, "users WHERE password_hash LIKE '$argon2id$v=19$m=19456,t=2,p=1$%'"), 1)
		h.signIn(t, "ann@example.com", "password")
	})
}

func TestSessionsEnd(t *testing.T) {
	t.Parallel()
	eachPlace(t, func(t *testing.T, p place) {
		var clock atomic.Int64
		start := time.Now()
		p.now = func() time.Time { return start.Add(time.Duration(clock.Load())) }
		h := p.house(t)
		_, token, err := h.Login(t.Context(), vault.Anonymous(request()), login("ann@example.com", password))
		text := must(token, err).Reveal()
		// The later moments first: a session that is found alive is noted as used,
		// a little later.
		for _, c := range []struct {
			after time.Duration
			alive bool
		}{{24 * time.Hour, false}, {24*time.Hour - time.Second, true}, {time.Hour, true}} {
			clock.Store(int64(c.after))
			if _, err := h.IdentifySession(t.Context(), text, request()); (err == nil) != c.alive {
				t.Errorf("not used for %v: %v", c.after, err)
			}
		}
		h.exec(t, "UPDATE sessions SET last_seen_at = ?", start.Add(14*24*time.Hour).UnixMicro())
		clock.Store(int64(14*24*time.Hour + time.Second))
		_, err = h.IdentifySession(t.Context(), text, request())
		isKind(t, "older than two weeks", err, fault.Unauthenticated)
		if err := h.Maintain(t.Context()); err != nil {
			t.Error(err)
		}
		equal(t, "sessions after maintenance", h.count(t, "sessions"), 0)
		for _, near := range []string{"", text[:42], text + "x", strings.ToLower(text), text[1:] + "!"} {
			_, err := h.IdentifySession(t.Context(), near, request())
			isKind(t, "a text that is no session", err, fault.Unauthenticated)
		}
	})
}

// TestAPersonHasSoManySessionsOnly: the oldest makes room.
func TestAPersonHasSoManySessionsOnly(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		_, bob := h.person(t, "bob@example.com", false)
		id, now := h.idOf(t, "ann@example.com"), store.MicrosOf(time.Now())
		err := h.store.Write(t.Context(), func(ctx context.Context, tx store.Tx) (err error) {
			for i := range 99 {
				s := store.Session{ID: fmt.Sprint(i), Digest: []byte{byte(i)}, UserID: id, CreatedAt: now + 1, LastSeenAt: now, ExpiresAt: now + 1e12}
				err = errors.Join(err, tx.InsertSession(ctx, &s))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		h.signedInBy(t, h.ann) // the hundredth, and the oldest
		newest := h.signIn(t, "ann@example.com", password)
		equal(t, "sessions", h.count(t, "sessions WHERE user_id = '"+id+"'"), 100)
		isKind(t, "the oldest", h.Logout(t.Context(), h.ann), fault.Unauthenticated)
		for _, p := range []vault.Principal{newest, bob} {
			if err := h.Logout(t.Context(), p); err != nil {
				t.Error(fault.Detail(err))
			}
		}
	})
}

func TestOneFirstRunWins(t *testing.T) {
	t.Parallel()
	eachPlace(t, func(t *testing.T, p place) {
		const tries = 12
		v := must(p.vault(t, p.ring))
		var all sync.WaitGroup
		var won, persisted atomic.Int64
		for i := range tries {
			all.Go(func() {
				who := admin("admin" + string(rune('a'+i)) + "@example.com")
				_, err := v.Onboard(t.Context(), vault.Anonymous(request()), who, func() error { persisted.Add(1); return nil })
				switch {
				case err == nil:
					won.Add(1)
				case !errors.Is(err, fault.NotFound):
					t.Error(fault.Detail(err))
				}
			})
		}
		all.Wait()
		equal(t, "winners", won.Load(), int64(1))
		equal(t, "persisted", persisted.Load(), int64(1))
		equal(t, "users", p.count(t, "users"), 1)
		equal(t, "audit events", p.count(t, "audit_events WHERE action <> 'audit.chain.begin'"), 1)
		p.exec(t, "DELETE FROM users")
		if done, err := must(p.vault(t, p.ring)).Onboarded(t.Context()); err != nil || !done {
			t.Errorf("open again when every administrator is gone: %v", err)
		}
	})
}

func TestAFirstRunThatCanNotBeSavedStaysOpen(t *testing.T) {
	t.Parallel()
	eachPlace(t, func(t *testing.T, p place) {
		v, full := must(p.vault(t, p.ring)), errors.New("disk full")
		if _, err := v.Onboard(t.Context(), vault.Local(), admin("ann@example.com"), func() error { return full }); !errors.Is(err, full) {
			t.Error(err)
		}
		if done, err := v.Onboarded(t.Context()); done || err != nil {
			t.Errorf("closed, %v", err)
		}
		for _, table := range []string{"users", "instance", "audit_events"} {
			equal(t, table, p.count(t, table), 0)
		}
	})
}

func TestNamesAreStoredInOneForm(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		me := must(h.UpdateProfile(t.Context(), h.ann, api.UpdateMe{FirstName: new(" Zoe\u0308\t"), LastName: new("  ")}))
		equal(t, "first name", me.FirstName, "Zo\u00eb")
		equal(t, "last name", me.LastName, "")
		_, err := h.UpdateProfile(t.Context(), h.ann, api.UpdateMe{FirstName: new("Ann\u202egnp")})
		isKind(t, "one that runs backwards", err, fault.Invalid)
		made := must(h.CreateProject(t.Context(), h.ann, api.CreateProject{Name: " Cafe\u0301 "}))
		equal(t, "project", made.Name, "Caf\u00e9")
		ref := vault.EnvironmentRef{Project: made.Slug, Environment: "staging"}
		equal(t, "environment", must(h.UpdateEnvironment(t.Context(), h.ann, ref, api.UpdateEnvironment{Name: new(" A\u030a")})).Name, "\u00c5")
		equal(t, "token", must(h.CreateOwnToken(t.Context(), h.ann, api.CreatePersonalToken{Name: " my\u00a0laptop "})).Name, "my\u00a0laptop")
	})
}
