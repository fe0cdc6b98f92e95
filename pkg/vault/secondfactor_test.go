package vault_test

import (
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/vault"
)

// app is the authenticator app of a person.
type app struct {
	secret string
	now    func() time.Time
}

// code is the one that the app shows, steps from now.
func (a app) code(t *testing.T, steps int) api.Value {
	t.Helper()
	return api.NewValue(must(totp.GenerateCode(a.secret, a.now().Add(time.Duration(steps)*30*time.Second))))
}

func proof(password string, code api.Value) api.SecondFactorProof {
	return api.SecondFactorProof{Password: api.NewValue(password), Code: code}
}

// enable gives ann a second factor, and returns her app and recovery codes. The
// clock is a step further afterwards.
func (h *house) enable(t *testing.T, pass func(time.Duration)) (a app, codes []string) {
	t.Helper()
	setup := must(h.SetUpSecondFactor(t.Context(), h.ann, proof(password, api.Value{})))
	a = app{setup.Secret.Reveal(), h.now}
	answer := must(h.ConfirmSecondFactor(t.Context(), h.ann, api.SecondFactorCode{Code: a.code(t, 0)}))
	for _, c := range answer.Codes {
		codes = append(codes, c.Reveal())
	}
	pass(30 * time.Second)
	return a, codes
}

func (h *house) loginWith(t *testing.T, v *vault.Vault, password string, code api.Value) error {
	t.Helper()
	_, token, err := v.Login(t.Context(), vault.Anonymous(request()), api.LoginRequest{Email: "ann@example.com", Password: api.NewValue(password), Code: code})
	if (err == nil) != (token.Len() > 0) {
		t.Errorf("error %v, token of %d characters", err, token.Len())
	}
	return err
}

// asks reports whether an error tells of a second factor.
func asks(err error) bool { return fault.As(err) != nil && fault.As(err).SecondFactor }

func TestASecondFactorIsAskedFor(t *testing.T) {
	t.Parallel()
	eachTimedHouse(t, func(t *testing.T, h *house, pass func(time.Duration)) {
		equal(t, "at first", must(h.SecondFactor(t.Context(), h.ann)), api.SecondFactorState{})
		_, err := h.SetUpSecondFactor(t.Context(), h.ann, proof("not the passphrase", api.Value{}))
		isKind(t, "set up with a wrong password", err, fault.Invalid)
		first := must(h.SetUpSecondFactor(t.Context(), h.ann, proof(password, api.Value{})))
		uri := first.URI.Reveal()
		if !strings.HasPrefix(uri, "otpauth://totp/Heartlock:ann@example.com?") || !strings.Contains(uri, "issuer=Heartlock") || !strings.Contains(uri, "secret="+first.Secret.Reveal()) {
			t.Errorf("the URI is not for an app: %d characters", len(uri))
		}
		if err := h.loginWith(t, h.Vault, password, api.Value{}); err != nil {
			t.Errorf("while it is set up: %v", err)
		}
		equal(t, "the secret as it is stored", h.count(t, "second_factors WHERE sealed LIKE '%"+first.Secret.Reveal()+"%'"), 0)
		second := must(h.SetUpSecondFactor(t.Context(), h.ann, proof(password, api.Value{})))
		a := app{second.Secret.Reveal(), h.now}
		for what, code := range map[string]api.Value{
			"of the secret before": app{first.Secret.Reveal(), h.now}.code(t, 0), "too old": a.code(t, -2), "none": {}, "a recovery code": api.NewValue("ABCD-EFGH-IJKL-MNOP"),
		} {
			_, err = h.ConfirmSecondFactor(t.Context(), h.ann, api.SecondFactorCode{Code: code})
			isKind(t, what, err, fault.Invalid)
		}
		other := must(h.CreateOwnToken(t.Context(), h.ann, api.CreatePersonalToken{Name: "laptop"}))
		codes := must(h.ConfirmSecondFactor(t.Context(), h.ann, api.SecondFactorCode{Code: a.code(t, 0)}))
		equal(t, "sessions", h.count(t, "sessions"), 1) // those of the sign-in above have ended
		h.signedInBy(t, must(h.IdentifyToken(t.Context(), other.Token.Reveal(), request())))
		equal(t, "recovery codes", len(codes.Codes), 10)
		equal(t, "state", must(h.SecondFactor(t.Context(), h.ann)), api.SecondFactorState{Enabled: true, RecoveryCodesLeft: 10})
		equal(t, "who I am", *must(h.WhoAmI(t.Context(), h.ann)).SecondFactor, true)
		_, err = h.SetUpSecondFactor(t.Context(), h.ann, proof(password, api.Value{}))
		isKind(t, "set up again", err, fault.Conflict)

		pass(30 * time.Second)
		missing := h.loginWith(t, h.Vault, password, api.Value{})
		wrong := h.loginWith(t, h.Vault, password, api.NewValue("000000"))
		unknown := h.loginWith(t, h.Vault, "not the passphrase", api.Value{})
		for _, err := range []error{missing, wrong, unknown} {
			isKind(t, "refused", err, fault.Unauthenticated)
		}
		if !asks(missing) || !asks(wrong) || asks(unknown) || wrong.Error() != unknown.Error() {
			t.Errorf("missing %v, wrong %v, wrong password %v", asks(missing), asks(wrong), asks(unknown))
		}
		if asks(h.loginWith(t, h.Vault, "not the passphrase", a.code(t, 0))) {
			t.Error("a wrong password is told from a wrong code")
		}
		if err := h.loginWith(t, h.Vault, password, a.code(t, 0)); err != nil {
			t.Errorf("with its code: %v", err)
		}
		equal(t, "mails", len(h.mails(t, "second-factor-changed", "ann@example.com")), 1)
		if err := h.ResetPassword(t.Context(), vault.Local(), "ann@example.com", api.NewValue(chosen), false); err != nil {
			t.Error(err)
		}
		if !asks(h.loginWith(t, h.Vault, chosen, api.Value{})) {
			t.Error("a new password switches the second factor off")
		}
		for range 2 {
			if err := h.ResetPassword(t.Context(), vault.Local(), "ann@example.com", api.NewValue(chosen), true); err != nil {
				t.Error(err)
			}
		}
		if err := h.loginWith(t, h.Vault, chosen, api.Value{}); err != nil {
			t.Errorf("with the second factor cleared: %v", err)
		}
		equal(t, "audited", h.count(t, `audit_events WHERE action = 'admin.reset_password' AND detail LIKE '%"second_factor":"cleared"%'`), 1)
		equal(t, "mails", len(h.mails(t, "second-factor-changed", "ann@example.com")), 2)
	})
}

// TestACodeServesOnce uses one code on two servers at the same time, and then
// those that a clock beside it would show.
func TestACodeServesOnce(t *testing.T) {
	t.Parallel()
	eachTimedHouse(t, func(t *testing.T, h *house, pass func(time.Duration)) {
		a, codes := h.enable(t, pass)
		servers := []*vault.Vault{h.Vault, must(h.vault(t, h.ring))}
		for what, code := range map[string]api.Value{"of the app": a.code(t, 0), "recovery": api.NewValue(" " + strings.ToLower(strings.ReplaceAll(codes[3], "-", " ")))} {
			var all sync.WaitGroup
			var won atomic.Int64
			for i := range 4 {
				all.Go(func() {
					err := h.loginWith(t, servers[i%2], password, code)
					switch {
					case err == nil:
						won.Add(1)
					case !errors.Is(err, fault.Unauthenticated):
						t.Error(fault.Detail(err))
					}
				})
			}
			all.Wait()
			equal(t, what, won.Load(), int64(1))
			h.exec(t, "DELETE FROM throttles")
		}
		equal(t, "codes left", must(h.SecondFactor(t.Context(), h.ann)).RecoveryCodesLeft, 9)
		equal(t, "mails", len(h.mails(t, "second-factor-changed", "ann@example.com")), 2)
		isKind(t, "one before the last", h.loginWith(t, h.Vault, password, a.code(t, -1)), fault.Unauthenticated)
		isKind(t, "one of the future", h.loginWith(t, h.Vault, password, a.code(t, 2)), fault.Unauthenticated)
		if err := h.loginWith(t, h.Vault, password, a.code(t, 1)); err != nil {
			t.Errorf("of a clock that is ahead: %v", err)
		}
		pass(90 * time.Second)
		if err := h.loginWith(t, h.Vault, password, a.code(t, -1)); err != nil {
			t.Errorf("of a clock that is behind: %v", err)
		}
	})
}

// TestCodesAreNotGuessed knows the password.
func TestCodesAreNotGuessed(t *testing.T) {
	t.Parallel()
	eachTimedHouse(t, func(t *testing.T, h *house, pass func(time.Duration)) {
		a, codes := h.enable(t, pass)
		for range 5 {
			if !asks(h.loginWith(t, h.Vault, password, api.Value{})) { // is not counted, and forgets nothing
				t.Fatal("not asked")
			}
			isKind(t, "wrong", h.loginWith(t, h.Vault, password, api.NewValue("000000")), fault.Unauthenticated)
		}
		equal(t, "mails", len(h.mails(t, "second-factor-changed", "ann@example.com")), 2) // it was enabled; somebody knows the password
		isKind(t, "the sixth", h.loginWith(t, h.Vault, password, a.code(t, 0)), fault.TooManyRequests)
		isKind(t, "a recovery code", h.loginWith(t, h.Vault, password, api.NewValue(codes[0])), fault.TooManyRequests)
		for range 5 {
			isKind(t, "in the session", h.DisableSecondFactor(t.Context(), h.ann, proof(password, api.NewValue("000000"))), fault.Invalid)
		}
		isKind(t, "the sixth in the session", h.DisableSecondFactor(t.Context(), h.ann, proof(password, a.code(t, 0))), fault.TooManyRequests)
	})
}

func TestASecondFactorIsDisabledByBoth(t *testing.T) {
	t.Parallel()
	eachTimedHouse(t, func(t *testing.T, h *house, pass func(time.Duration)) {
		a, former := h.enable(t, pass)
		token := must(h.CreateOwnToken(t.Context(), h.ann, api.CreatePersonalToken{Name: "laptop"}))
		byToken := must(h.IdentifyToken(t.Context(), token.Token.Reveal(), request()))
		isKind(t, "by a token", h.DisableSecondFactor(t.Context(), byToken, proof(password, a.code(t, 0))), fault.Forbidden)
		isKind(t, "without the password", h.DisableSecondFactor(t.Context(), h.ann, proof("", a.code(t, 0))), fault.Invalid)
		isKind(t, "without a code", h.DisableSecondFactor(t.Context(), h.ann, proof(password, api.Value{})), fault.Invalid)

		for what, in := range map[string]api.SecondFactorProof{
			"nothing": {}, "the password alone": proof(password, api.Value{}), "a code alone": {Code: a.code(t, 0)},
			"a wrong code": proof(password, api.NewValue("000000")), "a wrong password": proof("not the passphrase", a.code(t, 0)),
		} {
			_, err := h.RenewRecoveryCodes(t.Context(), h.ann, in)
			isKind(t, "renewed by "+what, err, fault.Invalid)
		}
		told := len(h.mails(t, "second-factor-changed", "ann@example.com"))
		must(h.RenewRecoveryCodes(t.Context(), h.ann, proof(password, a.code(t, 0))))
		equal(t, "mails", len(h.mails(t, "second-factor-changed", "ann@example.com"))-told, 1)
		isKind(t, "a former recovery code", h.loginWith(t, h.Vault, password, api.NewValue(former[0])), fault.Unauthenticated)
		pass(30 * time.Second)
		if err := h.DisableSecondFactor(t.Context(), h.ann, proof(password, a.code(t, 0))); err != nil {
			t.Fatal(fault.Detail(err))
		}
		equal(t, "rows", h.count(t, "second_factors")+h.count(t, "recovery_codes"), 0)
		if err := h.loginWith(t, h.Vault, password, api.Value{}); err != nil {
			t.Error(err)
		}
		isKind(t, "again", h.DisableSecondFactor(t.Context(), h.ann, proof(password, a.code(t, 1))), fault.Conflict)
		_, session, err := h.Login(t.Context(), vault.Anonymous(request()), login("ann@example.com", password))
		must(session, err)
		h.exec(t, "UPDATE users SET password_hash = ''")
		_, err = h.SetUpSecondFactor(t.Context(), must(h.IdentifySession(t.Context(), session.Reveal(), request())), proof("", api.Value{}))
		isKind(t, "of who has no password", err, fault.Conflict)
	})
}

// TestAServerDemandsASecondFactor lets who lacks one do nothing but to set it up.
func TestAServerDemandsASecondFactor(t *testing.T) {
	t.Parallel()
	eachPlace(t, func(t *testing.T, p place) {
		var clock atomic.Int64
		start := time.Now()
		p.now = func() time.Time { return start.Add(time.Duration(clock.Load())) }
		h := p.house(t)
		token := must(h.CreateOwnToken(t.Context(), h.ann, api.CreatePersonalToken{Name: "laptop"})).Token.Reveal()
		service := h.service(t, api.AccessRead, "development")
		p.factorDemand = vault.SecondFactorSuperusers
		h.place, h.Vault = p, must(p.vault(t, p.ring))
		allowed := map[vault.Action]bool{}
		for _, a := range vault.Policy() {
			rule, _ := vault.RuleFor(a)
			allowed[a] = rule.WithoutFactor
		}
		h.ann = h.signIn(t, "ann@example.com", password)
		byToken := must(h.IdentifyToken(t.Context(), token, request()))
		for a, want := range allowed {
			rule, _ := vault.RuleFor(a)
			if err := vault.Admit(h.ann, a); (err == nil) != want {
				t.Errorf("%s: %v", a, err)
			}
			if err := vault.Admit(byToken, a); !rule.Open && (err == nil) != (want && !rule.SessionOnly) {
				t.Errorf("%s by a token: %v", a, err)
			}
		}
		_, err := h.Projects(t.Context(), h.ann, "", 0)
		isKind(t, "projects", err, fault.Forbidden)
		equal(t, "due", must(h.WhoAmI(t.Context(), h.ann)).SecondFactorDue, true)
		if _, err := h.Projects(t.Context(), service, "", 0); err != nil {
			t.Errorf("a service token: %v", err)
		}
		h.enable(t, func(d time.Duration) { clock.Add(int64(d)) })
		h.ann = must(h.IdentifyToken(t.Context(), token, request()))
		if _, err := h.Projects(t.Context(), h.ann, "", 0); err != nil {
			t.Errorf("with a second factor: %v", err)
		}
		h.exec(t, "DELETE FROM second_factors")
		h.exec(t, "UPDATE users SET is_superuser = ?", h.boolean(false))
		if _, err := h.Projects(t.Context(), must(h.IdentifyToken(t.Context(), token, request())), "", 0); err != nil {
			t.Errorf("somebody else: %v", err)
		}
		p.factorDemand = vault.SecondFactorEveryone
		h.Vault = must(p.vault(t, p.ring))
		_, err = h.Projects(t.Context(), must(h.IdentifyToken(t.Context(), token, request())), "", 0)
		isKind(t, "everyone", err, fault.Forbidden)
		h.exec(t, "UPDATE users SET password_hash = ''")
		if _, err := h.Projects(t.Context(), must(h.IdentifyToken(t.Context(), token, request())), "", 0); err != nil {
			t.Errorf("who signs in at the provider alone: %v", err)
		}
	})
}
