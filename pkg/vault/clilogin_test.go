package vault_test

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/vault"
)

const verifier = "a-verifier-that-never-left-the-command-line"

func challengeOf(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// fromLaptop is a sign-in as a command line begins it.
func fromLaptop() vault.CLILogin {
	return vault.CLILogin{Callback: "http://127.0.0.1:4711/callback", State: "st&te=1", CodeChallenge: challengeOf(verifier), Machine: "laptop"}
}

// commandLine is a command line as the server sees it.
func commandLine() vault.Principal {
	r := request()
	r.IP, r.UserAgent, r.Origin = netip.MustParseAddr("198.51.100.7"), "heartlock/1.0 (linux/amd64)", "https://secrets.example.com"
	return vault.Anonymous(r)
}

// agree approves, and returns the code that the browser takes along.
func (h *house) agree(t *testing.T, p vault.Principal, in vault.CLILogin, days int) string {
	t.Helper()
	address, err := h.ApproveCLILogin(t.Context(), p, in, days)
	if err != nil {
		t.Fatal(fault.Detail(err))
	}
	u := must(url.Parse(address.Reveal()))
	code := u.Query().Get("code")
	if u.Scheme+"://"+u.Host+u.Path != in.Callback || u.Query().Get("state") != in.State || len(u.Query()) != 2 || len(code) != 43 {
		t.Fatalf("the browser goes to %q", strings.ReplaceAll(address.Reveal(), code, "CODE"))
	}
	return code
}

func exchange(t *testing.T, v *vault.Vault, code, verifier string) (api.CLIToken, error) {
	t.Helper()
	return v.ExchangeCLIToken(t.Context(), commandLine(), api.CLITokenRequest{Code: api.NewValue(code), CodeVerifier: api.NewValue(verifier)})
}

// hasCode makes sure that a refusal carries the word for programs.
func hasCode(t *testing.T, what string, err error, code string) {
	t.Helper()
	if f := fault.As(err); f == nil || f.Kind != fault.Invalid || f.Code != code {
		t.Errorf("%s: %v, want %q", what, err, code)
	}
}

// TestACallbackLeadsToThisMachineOnly tries every spelling that could lead elsewhere,
// or that some parser could read as something else.
func TestACallbackLeadsToThisMachineOnly(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		for _, good := range []string{
			"http://localhost:1/callback", "http://127.0.0.1:65535/callback", "http://[::1]:8080/callback", "http://localhost:80/callback",
		} {
			in := fromLaptop()
			in.Callback = good
			view, err := h.CheckCLILogin(h.ann, in)
			if err != nil || view.Listener+"/callback" != good || view.TokenName != "heartlock on laptop" {
				t.Errorf("%q: %+v, %v", good, view, err)
			}
			h.agree(t, h.ann, in, 0)
		}
		before := h.dump(t) + h.loginRows(t)
		for _, bad := range []string{
			"", "/callback", "callback", "//localhost:1/callback",
			"http://evil.com/callback", "http://evil.com:80/callback", "http://localhost.evil.com", "http://localhost.evil.com:1/callback",
			"http://localhost@evil.com", "http://localhost:1@evil.com/callback", "http://127.0.0.1:1@evil", "http://127.0.0.1:1@evil/callback",
			"http://user@localhost:1/callback", "http://user:pw@127.0.0.1:1/callback", "http://@127.0.0.1:1/callback", "http://evil.com#@localhost:1/callback",
			"https://localhost", "https://localhost:1/callback", "HTTP://localhost:1/callback", "ftp://localhost:1/callback", "http:localhost:1/callback", "http:///localhost:1/callback",
			"http://[::ffff:7f00:1]", "http://[::ffff:7f00:1]:1/callback", "http://[::ffff:127.0.0.1]:1/callback", "http://[0:0:0:0:0:0:0:1]:1/callback", "http://[::1%25lo]:1/callback", "http://::1:1/callback", "http://[::]:1/callback",
			"http://0x7f.1/", "http://0x7f.1:1/callback", "http://127.1:1/callback", "http://127.0.0.2:1/callback", "http://2130706433:1/callback", "http://017700000001:1/callback", "http://0.0.0.0:1/callback", "http://0:1/callback", "http://127.0.0.1.:1/callback", "http://127.0.0.1.nip.io:1/callback",
			"http://LOCALHOST:1/callback", "http://localhost.:1/callback", "http://loc\u0430lhost:1/callback", "http://localhost\u3002:1/callback", "http://\uff4cocalhost:1/callback", "http://%6cocalhost:1/callback",
			"http://localhost:80/x", "http://localhost:1", "http://localhost:1/", "http://localhost:1/callback/", "http://localhost:1//callback", "http://localhost:1/./callback", "http://localhost:1/x/../callback", "http://localhost:1/Callback", "http://localhost:1/%63allback", "http://localhost:1/callback;x",
			"http://localhost:1/callback?", "http://localhost:1/callback?x=1", "http://localhost:1/callback#", "http://localhost:1/callback#x", "http://localhost:1\\callback", "http:\\\\localhost:1\\callback", "http://localhost:1\\@evil.com/callback", "http://evil.com\\@localhost:1/callback",
			"http://localhost/callback", "http://localhost:/callback", "http://localhost:0/callback", "http://localhost:00080/callback", "http://localhost:080/callback", "http://localhost:65536/callback", "http://localhost:99999/callback", "http://localhost:100000/callback", "http://localhost:-1/callback", "http://localhost:+1/callback", "http://localhost:1e3/callback", "http://localhost:\u0661/callback",
			" http://localhost:1/callback", "http://localhost:1/callback ", "http://localhost:1/callback\n", "http://localhost:1/callback\r\nSet-Cookie: a=b", "http://localhost:1/call\tback", "\x00http://localhost:1/callback", "http://localhost:1/callback\x00",
			"javascript:", "javascript://localhost:1/callback", "javascript:alert(1)//http://localhost:1/callback", "data:text/html,x", "heartlock://callback", "http://localhost:1/callback\nhttp://evil.com/callback", "http://evil.com/\nhttp://localhost:1/callback",
			strings.Repeat("http://localhost:1/callback", 1000),
		} {
			in := fromLaptop()
			in.Callback = bad
			_, err := h.CheckCLILogin(h.ann, in)
			isKind(t, bad, err, fault.Invalid)
			_, err = h.CheckCLILogin(vault.Anonymous(request()), in)
			isKind(t, bad+", anonymous", err, fault.Invalid)
			address, err := h.ApproveCLILogin(t.Context(), h.ann, in, 0)
			if isKind(t, bad+", approved", err, fault.Invalid); address.Len() > 0 {
				t.Errorf("%q: there is an address", bad)
			}
			denied, err := h.DenyCLILogin(t.Context(), h.ann, in)
			if isKind(t, bad+", denied", err, fault.Invalid); denied != "" {
				t.Errorf("%q: there is an address", bad)
			}
			if len(bad) > len("/callback") && strings.Contains(err.Error(), bad) {
				t.Errorf("%q is repeated", bad)
			}
		}
		equal(t, "the database", h.dump(t)+h.loginRows(t), before)
	})
}

// loginRows is how many sign-ins are under way.
func (h *house) loginRows(t *testing.T) string {
	t.Helper()
	return strings.Repeat("c", h.count(t, "cli_logins")) + strings.Repeat("d", h.count(t, "device_logins"))
}

func TestWhatElseASignInOfTheCommandLineAsks(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		for what, change := range map[string]func(*vault.CLILogin){
			"no state":                 func(in *vault.CLILogin) { in.State = "" },
			"a long state":             func(in *vault.CLILogin) { in.State = strings.Repeat("x", 257) },
			"a state with a new line":  func(in *vault.CLILogin) { in.State = "x\r\nLocation: http://evil.com" },
			"a state beyond ASCII":     func(in *vault.CLILogin) { in.State = "\u00e9" },
			"no challenge":             func(in *vault.CLILogin) { in.CodeChallenge = "" },
			"the verifier itself":      func(in *vault.CLILogin) { in.CodeChallenge = verifier[:42] },
			"a padded challenge":       func(in *vault.CLILogin) { in.CodeChallenge += "=" },
			"a challenge in base64":    func(in *vault.CLILogin) { in.CodeChallenge = strings.Repeat("+", 43) },
			"a challenge with a break": func(in *vault.CLILogin) { in.CodeChallenge = strings.Repeat("A", 42) + "\n" },
			"a loose last character":   func(in *vault.CLILogin) { in.CodeChallenge = strings.Repeat("A", 42) + "B" },
			"a long machine":           func(in *vault.CLILogin) { in.Machine = strings.Repeat("x", 81) },
			"a machine that reorders":  func(in *vault.CLILogin) { in.Machine = "a\u202eb" },
			"a machine with a break":   func(in *vault.CLILogin) { in.Machine = "a\nb" },
			"an invisible machine":     func(in *vault.CLILogin) { in.Machine = "\u2800" },
		} {
			in := fromLaptop()
			change(&in)
			_, err := h.ApproveCLILogin(t.Context(), h.ann, in, 0)
			isKind(t, what, err, fault.Invalid)
		}
		for _, days := range []int{-1, 2, 366, 1 << 40} {
			_, err := h.ApproveCLILogin(t.Context(), h.ann, fromLaptop(), days)
			isKind(t, "days", err, fault.Invalid)
		}
		equal(t, "codes", h.count(t, "cli_logins"), 0)
		in := fromLaptop()
		in.Machine, in.State = "", strings.Repeat("~", 256)
		equal(t, "without a machine", must(h.CheckCLILogin(h.ann, in)).TokenName, "heartlock command line")
	})
}

// TestOnlyAPersonAgrees: no token of his, nobody else, and not while he owes a second
// factor.
func TestOnlyAPersonAgrees(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		begun := must(h.BeginDevice(t.Context(), commandLine(), api.BeginDevice{}))
		token := must(h.CreateOwnToken(t.Context(), h.ann, api.CreatePersonalToken{Name: "laptop"}))
		personal := must(h.IdentifyToken(t.Context(), token.Token.Reveal(), request()))
		strict := h.place
		strict.factorDemand = vault.SecondFactorEveryone
		demanding := must(strict.vault(t, h.ring))
		_, session, err := demanding.Login(t.Context(), vault.Anonymous(request()), api.LoginRequest{Email: "ann@example.com", Password: api.NewValue(password)})
		due := must(demanding.IdentifySession(t.Context(), must(session, err).Reveal(), request()))

		audited := h.count(t, "audit_events")
		for what, c := range map[string]struct {
			p    vault.Principal
			kind fault.Kind
		}{
			"nobody":           {vault.Anonymous(request()), fault.Unauthenticated},
			"a personal token": {personal, fault.Forbidden},
			"a service token":  {h.service(t, api.AccessWrite, "development"), fault.Forbidden},
			"a factor is due":  {due, fault.Forbidden},
			"the server":       {vault.Local(), fault.Forbidden},
		} {
			_, err := h.CheckCLILogin(c.p, fromLaptop())
			isKind(t, what+" looks", err, c.kind)
			_, err = h.ApproveCLILogin(t.Context(), c.p, fromLaptop(), 0)
			isKind(t, what+" agrees", err, c.kind)
			_, err = h.DenyCLILogin(t.Context(), c.p, fromLaptop())
			isKind(t, what+" denies", err, c.kind)
			_, err = h.DeviceRequest(t.Context(), c.p, begun.UserCode)
			isKind(t, what+" looks at a device", err, c.kind)
			isKind(t, what+" agrees to a device", h.ApproveDevice(t.Context(), c.p, begun.UserCode, 0), c.kind)
			isKind(t, what+" denies a device", h.DenyDevice(t.Context(), c.p, begun.UserCode), c.kind)
		}
		equal(t, "codes", h.count(t, "cli_logins"), 0)
		equal(t, "decisions", h.count(t, "device_logins WHERE state <> 'pending'"), 0)
		equal(t, "events but for the service token's", h.count(t, "audit_events"), audited+1)
	})
}

// TestTheBrowserSignsACommandLineIn is the whole way, and what is left of it.
func TestTheBrowserSignsACommandLineIn(t *testing.T) {
	t.Parallel()
	eachTimedHouse(t, func(t *testing.T, h *house, pass func(time.Duration)) {
		code := h.agree(t, h.ann, fromLaptop(), 30)
		equal(t, "codes as text", h.count(t, "cli_logins WHERE length(digest) <> 32"), 0)
		began := h.now()
		got, err := exchange(t, h.Vault, code, verifier)
		if err != nil {
			t.Fatal(fault.Detail(err))
		}
		if got.Name != "heartlock on laptop" || got.Email != "ann@example.com" || got.ExpiresAt == nil || got.ExpiresAt.Sub(began).Round(time.Hour) != 30*24*time.Hour {
			t.Errorf("%+v", got)
		}
		who := must(h.IdentifyToken(t.Context(), got.Token.Reveal(), commandLine().Request))
		equal(t, "whose it is", who.Actor().Name, "ann@example.com")
		list := must(h.OwnTokens(t.Context(), h.ann)).Results
		if len(list) != 1 || list[0].ID != got.ID || list[0].Name != got.Name || list[0].Prefix != got.Prefix || list[0].Token != nil {
			t.Errorf("her tokens: %+v", list)
		}
		equal(t, "agreed", h.count(t, "audit_events WHERE action = 'auth.cli.approve' AND outcome = 'success' AND actor_name = 'ann@example.com' AND target = 'heartlock on laptop'"), 1)
		equal(t, "made", h.count(t, "audit_events WHERE action = 'auth.cli.token' AND outcome = 'success' AND actor_name = 'ann@example.com' AND ip = '198.51.100.7' AND credential = 'session:"+h.ann.SessionID()+"'"), 1)

		mails := h.mails(t, "new-sign-in", "ann@example.com")
		if len(mails) != 1 || mails[0]["token"] != got.Name || mails[0]["ip"] != "198.51.100.7" {
			t.Errorf("mails: %v", mails)
		}
		must(exchange(t, h.Vault, h.agree(t, h.ann, fromLaptop(), 0), verifier))
		equal(t, "mails of a known place", len(h.mails(t, "new-sign-in", "ann@example.com")), 1)

		pass(31 * 24 * time.Hour)
		_, err = h.IdentifyToken(t.Context(), got.Token.Reveal(), request())
		isKind(t, "after its end", err, fault.Unauthenticated)
		equal(t, "the default is longer", h.count(t, fmt.Sprintf("tokens WHERE expires_at > %d", h.now().UnixMicro())), 1)

		denied := must(url.Parse(must(h.DenyCLILogin(t.Context(), h.signInAgain(t), fromLaptop()))))
		equal(t, "denied", denied.Query(), url.Values{"error": {"access_denied"}, "state": {"st&te=1"}})
		equal(t, "recorded", h.count(t, "audit_events WHERE action = 'auth.cli.deny'"), 1)
	})
}

// TestACodeIsWorthNothingElsewhere: to whoever has it without the verifier, a second
// time, or too late.
func TestACodeIsWorthNothingElsewhere(t *testing.T) {
	t.Parallel()
	eachTimedHouse(t, func(t *testing.T, h *house, pass func(time.Duration)) {
		other := must(h.vault(t, h.ring))
		never := strings.Repeat("0", 43)
		_, unknown := exchange(t, h.Vault, never, verifier)
		hasCode(t, "one that never was", unknown, api.ErrorInvalidGrant)
		refused := func(what, code, verifier string) {
			t.Helper()
			_, err := exchange(t, other, code, verifier)
			hasCode(t, what, err, api.ErrorInvalidGrant)
			equal(t, what+": the same answer", err, unknown)
		}

		code := h.agree(t, h.ann, fromLaptop(), 0)
		must(exchange(t, h.Vault, code, verifier))
		refused("used", code, verifier)
		equal(t, "tokens", h.count(t, "tokens"), 1)

		code = h.agree(t, h.ann, fromLaptop(), 0)
		refused("a wrong verifier", code, strings.Repeat("x", 43))
		refused("the right one after a wrong one", code, verifier)
		equal(t, "recorded", h.count(t, "audit_events WHERE action = 'auth.cli.token' AND outcome = 'refused' AND actor_name = 'ann@example.com'"), 1)
		refused("the challenge as verifier", h.agree(t, h.ann, fromLaptop(), 0), challengeOf(verifier))

		// Somebody has his own code brought to another's command line, to have that sign in
		// as him: it has another verifier.
		h.welcome(t, "mallory@example.com", api.RoleViewer)
		his := fromLaptop()
		his.CodeChallenge = challengeOf(strings.Repeat("m", 43))
		refused("a code of another person", h.agree(t, h.signIn(t, "mallory@example.com", password), his, 0), verifier)

		code = h.agree(t, h.ann, fromLaptop(), 0)
		pass(59 * time.Second)
		must(exchange(t, h.Vault, code, verifier))
		code = h.agree(t, h.ann, fromLaptop(), 0)
		pass(time.Minute)
		refused("after a minute", code, verifier)
		if err := h.Maintain(t.Context()); err != nil {
			t.Fatal(err)
		}
		equal(t, "rows that are left", h.loginRows(t), "")
		equal(t, "tokens", h.count(t, "tokens"), 2)

		for _, in := range []api.CLITokenRequest{
			{},
			{Code: api.NewValue(never)},
			{CodeVerifier: api.NewValue(verifier)},
			{Code: api.NewValue(never + "0"), CodeVerifier: api.NewValue(verifier)},
			{Code: api.NewValue("\x00" + never[1:]), CodeVerifier: api.NewValue(verifier)},
			{Code: api.NewValue(never), CodeVerifier: api.NewValue(verifier[:42])},
			{Code: api.NewValue(never), CodeVerifier: api.NewValue(strings.Repeat("x", 129))},
			{Code: api.NewValue(never), CodeVerifier: api.NewValue(verifier + "\n")},
			{Code: api.NewValue(never), CodeVerifier: api.NewValue(verifier), DeviceCode: api.NewValue(never)},
			{DeviceCode: api.NewValue(never[1:])},
			{DeviceCode: api.NewValue("_" + never[1:])},
		} {
			_, err := h.ExchangeCLIToken(t.Context(), commandLine(), in)
			if f := fault.As(err); f == nil || f.Kind != fault.Invalid || f.Code != "" || len(f.Fields) != 1 {
				t.Errorf("a malformed request: %v", err)
			}
		}
	})
}

// TestWhatEndsBetweenAgreementAndToken: then there is no token.
func TestWhatEndsBetweenAgreementAndToken(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		for _, c := range []struct {
			what string
			end  func(p vault.Principal) error
		}{
			{"signed out", func(p vault.Principal) error { return h.Logout(t.Context(), p) }},
			{"session ended elsewhere", func(p vault.Principal) error {
				return h.EndSession(t.Context(), h.signIn(t, "bob@example.com", password), p.SessionID())
			}},
			{"signed in again in its place", func(p vault.Principal) error {
				_, _, err := h.Login(t.Context(), p, api.LoginRequest{Email: "bob@example.com", Password: api.NewValue(password)})
				return err
			}},
			{"password changed", func(p vault.Principal) error {
				_, err := h.ChangePassword(t.Context(), p, api.ChangePassword{CurrentPassword: api.NewValue(password), NewPassword: api.NewValue(password)})
				return err
			}},
			{"session out of time", func(p vault.Principal) error {
				h.exec(t, "UPDATE sessions SET expires_at = 1 WHERE id = ?", p.SessionID())
				return nil
			}},
			{"switched off past the vault", func(vault.Principal) error {
				h.exec(t, "UPDATE users SET is_active = ? WHERE email = 'bob@example.com'", h.boolean(false))
				return nil
			}},
			{"deactivated", func(vault.Principal) error {
				h.exec(t, "UPDATE users SET is_active = ? WHERE email = 'bob@example.com'", h.boolean(true))
				_, err := h.UpdateUser(t.Context(), h.ann, h.id(t, "bob@example.com"), api.UpdateUser{IsActive: new(false)})
				return err
			}},
		} {
			if _, err := h.store.UserByEmail(t.Context(), "bob@example.com"); errors.Is(err, fault.NotFound) {
				h.welcome(t, "bob@example.com", api.RoleMember)
			}
			h.exec(t, "UPDATE users SET is_active = ? WHERE email = 'bob@example.com'", h.boolean(true))
			bob := h.signIn(t, "bob@example.com", password)
			code := h.agree(t, bob, fromLaptop(), 0)
			begun := must(h.BeginDevice(t.Context(), commandLine(), api.BeginDevice{}))
			if err := h.ApproveDevice(t.Context(), bob, begun.UserCode, 0); err != nil {
				t.Fatal(fault.Detail(err))
			}
			if err := c.end(bob); err != nil {
				t.Fatalf("%s: %s", c.what, fault.Detail(err))
			}
			_, err := exchange(t, h.Vault, code, verifier)
			hasCode(t, c.what, err, api.ErrorInvalidGrant)
			_, err = poll(t, h.Vault, begun)
			hasCode(t, c.what+", device", err, api.ErrorExpiredToken)
			equal(t, c.what+": tokens", h.count(t, "tokens"), 0)
		}
	})
}
