package vault_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/store"
	"github.com/heartlock/heartlock/pkg/vault"
)

func (h *house) beginDevice(t *testing.T, machine string) api.DeviceAuthorization {
	t.Helper()
	return must(h.BeginDevice(t.Context(), commandLine(), api.BeginDevice{Machine: machine}))
}

func poll(t *testing.T, v *vault.Vault, begun api.DeviceAuthorization) (api.CLIToken, error) {
	t.Helper()
	return v.ExchangeCLIToken(t.Context(), commandLine(), api.CLITokenRequest{DeviceCode: begun.DeviceCode})
}

func TestADeviceCodeSignsACommandLineIn(t *testing.T) {
	t.Parallel()
	eachTimedHouse(t, func(t *testing.T, h *house, pass func(time.Duration)) {
		other := must(h.vault(t, h.ring)) // the next server
		begun := h.beginDevice(t, "box")
		if !regexp.MustCompile(`^[B-DF-HJ-NP-TV-XZ]{4}-[B-DF-HJ-NP-TV-XZ]{4}$`).MatchString(begun.UserCode) || begun.DeviceCode.Len() != 43 ||
			begun.VerificationURI != "https://secrets.example.com/device/" || begun.VerificationURIComplete != begun.VerificationURI+"?user_code="+begun.UserCode ||
			begun.ExpiresIn != 600 || begun.Interval != 5 {
			t.Errorf("%+v", begun)
		}
		equal(t, "codes as text", h.count(t, "device_logins WHERE length(device_digest) <> 32 OR length(user_code_digest) <> 32"), 0)

		_, err := poll(t, h.Vault, begun)
		hasCode(t, "nobody has agreed", err, api.ErrorAuthorizationPending)
		equal(t, "asked to come back in", fault.As(err).RetryAfter, 5*time.Second)
		_, err = poll(t, other, begun)
		hasCode(t, "at once", err, api.ErrorSlowDown)
		equal(t, "asked to come back in", fault.As(err).RetryAfter, 10*time.Second)
		pass(3 * time.Second)
		_, err = poll(t, other, begun)
		hasCode(t, "too soon", err, api.ErrorSlowDown)
		pass(time.Second) // what the network took less this time
		_, err = poll(t, other, begun)
		hasCode(t, "in time", err, api.ErrorAuthorizationPending)

		for _, typed := range []string{begun.UserCode, strings.ToLower(begun.UserCode), strings.ReplaceAll(begun.UserCode, "-", ""), " " + strings.ReplaceAll(begun.UserCode, "-", " ") + "\t"} {
			got := must(h.DeviceRequest(t.Context(), h.ann, typed))
			if got.UserCode != begun.UserCode || got.Machine != "box" || got.TokenName != "heartlock on box" || got.IP != "198.51.100.7" || got.UserAgent != "heartlock/1.0 (linux/amd64)" ||
				got.ExpiresAt.Sub(got.CreatedAt) != 10*time.Minute {
				t.Errorf("%q: %+v", typed, got)
			}
		}
		if err := other.ApproveDevice(t.Context(), h.ann, begun.UserCode, 7); err != nil {
			t.Fatal(fault.Detail(err))
		}
		_, err = poll(t, h.Vault, begun)
		hasCode(t, "too soon also now", err, api.ErrorSlowDown)
		pass(5 * time.Second)
		got := must(poll(t, h.Vault, begun))
		if got.Name != "heartlock on box" || got.Email != "ann@example.com" || got.ExpiresAt.Sub(h.now()).Round(time.Hour) != 7*24*time.Hour {
			t.Errorf("%+v", got)
		}
		equal(t, "whose it is", must(h.IdentifyToken(t.Context(), got.Token.Reveal(), request())).Actor().Name, "ann@example.com")
		_, err = poll(t, h.Vault, begun)
		hasCode(t, "a second time", err, api.ErrorExpiredToken)
		equal(t, "tokens", h.count(t, "tokens"), 1)
		equal(t, "agreed", h.count(t, "audit_events WHERE action = 'auth.device.approve' AND outcome = 'success' AND actor_name = 'ann@example.com' AND target = 'heartlock on box' AND detail LIKE '%198.51.100.7%'"), 1)
		equal(t, "made", h.count(t, "audit_events WHERE action = 'auth.cli.token' AND outcome = 'success' AND actor_name = 'ann@example.com' AND credential = 'session:"+h.ann.SessionID()+"'"), 1)
		equal(t, "mails", len(h.mails(t, "new-sign-in", "ann@example.com")), 1)
	})
}

func TestADeviceThatIsDeniedOrForgotten(t *testing.T) {
	t.Parallel()
	eachTimedHouse(t, func(t *testing.T, h *house, pass func(time.Duration)) {
		begun := h.beginDevice(t, "")
		if err := h.DenyDevice(t.Context(), h.ann, begun.UserCode); err != nil {
			t.Fatal(fault.Detail(err))
		}
		equal(t, "recorded", h.count(t, "audit_events WHERE action = 'auth.device.deny' AND actor_name = 'ann@example.com'"), 1)
		_, err := poll(t, h.Vault, begun)
		hasCode(t, "denied", err, api.ErrorAccessDenied)
		isKind(t, "to agree after all", h.ApproveDevice(t.Context(), h.ann, begun.UserCode, 0), fault.NotFound)
		pass(5 * time.Second)
		_, err = poll(t, h.Vault, begun)
		hasCode(t, "denied still", err, api.ErrorAccessDenied)

		late, approved := h.beginDevice(t, ""), h.beginDevice(t, "")
		pass(10*time.Minute - time.Second)
		must(h.DeviceRequest(t.Context(), h.ann, late.UserCode))
		if err := h.ApproveDevice(t.Context(), h.ann, approved.UserCode, 0); err != nil {
			t.Fatal(fault.Detail(err))
		}
		isKind(t, "to agree twice", h.ApproveDevice(t.Context(), h.ann, approved.UserCode, 0), fault.NotFound)
		pass(time.Second)
		_, err = poll(t, h.Vault, approved)
		hasCode(t, "approved, and out of time", err, api.ErrorExpiredToken)
		_, expired := poll(t, h.Vault, late)
		hasCode(t, "out of time", expired, api.ErrorExpiredToken)
		_, never := h.ExchangeCLIToken(t.Context(), commandLine(), api.CLITokenRequest{DeviceCode: api.NewValue(strings.Repeat("0", 43))})
		equal(t, "the same answer to one that never was", never, expired)
		isKind(t, "to agree too late", h.ApproveDevice(t.Context(), h.ann, late.UserCode, 0), fault.NotFound)
		if err := h.Maintain(t.Context()); err != nil {
			t.Fatal(err)
		}
		equal(t, "rows that are left", h.loginRows(t), "")
		equal(t, "tokens", h.count(t, "tokens"), 0)
		isKind(t, "a lifetime of his own", h.ApproveDevice(t.Context(), h.ann, late.UserCode, 3650), fault.Invalid)
	})
}

// TestUserCodesAreNotGuessed: five wrong ones and it is over for a while, for the right
// one too, on every server and whichever way they are tried. Those of his own, that a
// guesser types in between, do not help him.
func TestUserCodesAreNotGuessed(t *testing.T) {
	t.Parallel()
	eachTimedHouse(t, func(t *testing.T, h *house, pass func(time.Duration)) {
		other := must(h.vault(t, h.ring))
		victim, own := h.beginDevice(t, "victim"), h.beginDevice(t, "own")
		mallory := h.welcome(t, "mallory@example.com", api.RoleViewer)
		wrong := func(n int) string {
			return fmt.Sprintf("ZZZZ-ZZZ%c", "BCDFGHJKLM"[n])
		}
		for n, try := range []func(code string) error{
			func(code string) error { _, err := h.DeviceRequest(t.Context(), mallory, code); return err },
			func(code string) error { return other.ApproveDevice(t.Context(), mallory, code, 0) },
			func(code string) error { return h.DenyDevice(t.Context(), mallory, code) },
			func(code string) error { _, err := other.DeviceRequest(t.Context(), mallory, code); return err },
			func(code string) error { return h.ApproveDevice(t.Context(), mallory, code, 0) },
		} {
			must(h.DeviceRequest(t.Context(), mallory, own.UserCode))
			isKind(t, "a guess", try(wrong(n)), fault.NotFound)
		}
		for _, v := range []*vault.Vault{h.Vault, other} {
			_, err := v.DeviceRequest(t.Context(), mallory, victim.UserCode)
			isKind(t, "the right one", err, fault.TooManyRequests)
			isKind(t, "the right one", v.ApproveDevice(t.Context(), mallory, victim.UserCode, 0), fault.TooManyRequests)
			isKind(t, "the right one", v.DenyDevice(t.Context(), mallory, victim.UserCode), fault.TooManyRequests)
		}
		equal(t, "decided", h.count(t, "device_logins WHERE state <> 'pending'"), 0)
		equal(t, "recorded", h.count(t, "audit_events WHERE action = 'auth.throttle' AND target = 'mallory@example.com'"), 1)
		must(h.DeviceRequest(t.Context(), h.ann, victim.UserCode)) // others are not in his way
		h.signIn(t, "mallory@example.com", password)               // nor he in that of his own sign-in

		for _, text := range []string{"", "BCDF-GHJ", "BCDF-GHJKL", "ABCD-EFGH", "BCDF-GHJ1", "BCDF_GHJK", "BCDF\x00GHJK", strings.Repeat("-", 1000), strings.Repeat("B", 1<<20), "ＢＣＤＦ-ＧＨＪＫ"} {
			_, err := h.DeviceRequest(t.Context(), h.ann, text)
			isKind(t, fmt.Sprintf("%.20q", text), err, fault.Invalid)
		}
		must(h.DeviceRequest(t.Context(), h.ann, victim.UserCode))
		pass(15 * time.Minute)
		_, err := h.DeviceRequest(t.Context(), mallory, h.beginDevice(t, "").UserCode)
		if err != nil {
			t.Errorf("after a quarter of an hour: %v", err)
		}
	})
}

// TestANetworkBeginsOnlySoMany: every beginning is a row, and nobody has to be known.
func TestANetworkBeginsOnlySoMany(t *testing.T) {
	t.Parallel()
	eachTimedHouse(t, func(t *testing.T, h *house, pass func(time.Duration)) {
		codes := map[string]bool{}
		for range 100 {
			codes[h.beginDevice(t, "").UserCode] = true
		}
		equal(t, "codes", len(codes), 100)
		_, err := h.BeginDevice(t.Context(), commandLine(), api.BeginDevice{})
		isKind(t, "one more", err, fault.TooManyRequests)
		equal(t, "rows", h.count(t, "device_logins"), 100)
		elsewhere := onSite()
		must(h.BeginDevice(t.Context(), elsewhere, api.BeginDevice{}))
		pass(10 * time.Minute)
		h.beginDevice(t, "")

		_, err = h.BeginDevice(t.Context(), vault.Anonymous(request()), api.BeginDevice{}) // no public address is known
		isKind(t, "without a page to send the person to", err, fault.Invalid)
		for _, machine := range []string{strings.Repeat("x", 81), "a\x00b", "a\x1b[31mb", "a\u202eb", "\u2800"} {
			_, err := h.BeginDevice(t.Context(), commandLine(), api.BeginDevice{Machine: machine})
			isKind(t, fmt.Sprintf("%.20q", machine), err, fault.Invalid)
		}
	})
}

// TestANewSecretKeyKeepsCodes: while the former key is still there, what was begun
// under it goes on.
func TestANewSecretKeyKeepsCodes(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		begun := h.beginDevice(t, "")
		recorder := store.NewRecorder(h.store)
		t.Cleanup(recorder.Close)
		renewed := must(vault.New(t.Context(), vault.Options{
			Store: h.store, Recorder: recorder, Ring: h.ring, SessionKeys: [][]byte{[]byte("a new key"), []byte("a session key")},
		}))
		must(renewed.DeviceRequest(t.Context(), h.ann, begun.UserCode))
	})
}
