package rest_test

import (
	"context"
	"crypto/sha256"
	"strings"
	"testing"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/heartlocktest"
	"github.com/heartlock/heartlock/pkg/store"
)

// TestSigningACommandLineInOverHTTP sees what of it is of the wire: statuses, the
// problem's word for programs, when to ask again, and that no code or token stays
// anywhere.
func TestSigningACommandLineInOverHTTP(t *testing.T) {
	t.Parallel()
	heartlocktest.EachEngine(t, func(t *testing.T, s *heartlocktest.Server, owner *heartlocktest.Caller) {
		nobody := s.Anonymous()
		code := strings.Repeat("c", 43)
		grantCode(s, owner.UserID, code)
		exchange := map[string]any{"code": code, "code_verifier": verifierOfCLI}
		var byBrowser, byDevice api.CLIToken
		nobody.Call("POST", "/auth/cli-token/", exchange).Want(200).Decode(&byBrowser)
		refusedCLI(t, nobody.Call("POST", "/auth/cli-token/", exchange), api.ErrorInvalidGrant, "")
		exchange["code"] = strings.Repeat("d", 43)
		refusedCLI(t, nobody.Call("POST", "/auth/cli-token/", exchange), api.ErrorInvalidGrant, "")
		exchange["device_code"] = exchange["code"]
		nobody.Call("POST", "/auth/cli-token/", exchange).WantProblem(400)

		var begun api.DeviceAuthorization
		nobody.Call("POST", "/auth/device/", map[string]any{"machine": "box"}, "User-Agent: heartlock/1.0").Want(200).Decode(&begun)
		if begun.VerificationURI != s.URL+"/device/" || begun.VerificationURIComplete != s.URL+"/device/?user_code="+begun.UserCode {
			t.Errorf("pages: %s, %s", begun.VerificationURI, begun.VerificationURIComplete)
		}
		ask := func() heartlocktest.Answer {
			return nobody.Call("POST", "/auth/cli-token/", map[string]any{"device_code": begun.DeviceCode.Reveal()})
		}
		refusedCLI(t, ask(), api.ErrorAuthorizationPending, "5")
		refusedCLI(t, ask(), api.ErrorSlowDown, "10")
		decideDevice(t, s, owner, begun)
		ask().Want(200).Decode(&byDevice)
		refusedCLI(t, ask(), api.ErrorExpiredToken, "")

		var page api.Page[api.PersonalToken]
		owner.Call("GET", "/auth/tokens/", nil).Want(200).Decode(&page)
		if len(page.Results) != 2 || page.Results[0].Name != "heartlock command line" || page.Results[1].Name != "heartlock on box" || page.Results[1].ExpiresAt == nil {
			t.Errorf("the owner's tokens: %+v", page.Results)
		}
		var me api.Me
		s.WithToken("cli", byDevice.Token.Reveal()).Call("GET", "/auth/me/", nil).Want(200).Decode(&me)
		if me.Account == nil || me.Email != byDevice.Email || me.Email != heartlocktest.OwnerEmail {
			t.Errorf("whose it is: %+v", me)
		}
		nobody.Call("POST", "/auth/device/", map[string]any{}, "Authorization: Bearer hlp_stale").WantProblem(401)

		everything := s.Dump() + s.Logs.String()
		for what, secret := range map[string]string{
			"a code": code, "a device code": begun.DeviceCode.Reveal(), "a user code": begun.UserCode, "a user code in one": strings.ReplaceAll(begun.UserCode, "-", ""),
			"a token": byBrowser.Token.Reveal(), "the other token": byDevice.Token.Reveal(), "a verifier": verifierOfCLI,
		} {
			if strings.Contains(everything, secret) {
				t.Errorf("%s is in the database or the log", what)
			}
		}
	})
}

// refusedCLI makes sure of a refusal's word and of when to ask again.
func refusedCLI(t *testing.T, a heartlocktest.Answer, word, retryAfter string) {
	t.Helper()
	if p := a.WantProblem(400); p.Error != word || a.Header.Get("Retry-After") != retryAfter {
		t.Errorf("error %q after %q, want %q after %q", p.Error, a.Header.Get("Retry-After"), word, retryAfter)
	}
}

// decideDevice agrees, as the page does, and lets time pass since the last request.
func decideDevice(t *testing.T, s *heartlocktest.Server, owner *heartlocktest.Caller, begun api.DeviceAuthorization) {
	t.Helper()
	var page api.Page[api.Session]
	owner.Call("GET", "/auth/sessions/", nil).Want(200).Decode(&page)
	digest := sha256.Sum256([]byte(begun.DeviceCode.Reveal()))
	err := s.Store().Write(t.Context(), func(ctx context.Context, tx store.Tx) error {
		return tx.DecideDeviceLogin(ctx, &store.DeviceLogin{
			DeviceDigest: digest[:], State: store.DeviceApproved, UserID: &owner.UserID, SessionID: &page.Results[0].ID, LifetimeDays: 7,
		}, 1)
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Exec("UPDATE device_logins SET last_poll_at = last_poll_at - 5000000")
}
