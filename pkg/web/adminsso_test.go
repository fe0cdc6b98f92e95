//go:build unix

package web_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/heartlocktest"
)

const ssoPage = "/admin/oidc/"

// providerFields fill the form in for a fake provider.
func providerFields(fake *heartlocktest.OpenIDFake) url.Values {
	return field(
		"client_id", heartlocktest.OpenIDClient, "client_secret", heartlocktest.OpenIDSecret,
		"authorization_endpoint", fake.URL+"/auth", "token_endpoint", fake.URL+"/oauth/token", "userinfo_endpoint", fake.URL+"/userinfo",
	)
}

// SubmitTo is Submit by a button that sends the form somewhere else.
func (f *sheet) SubmitTo(t *testing.T, action string, values url.Values) *document {
	t.Helper()
	if !f.page.Offers(action) {
		t.Fatalf("%s has no button for %s", f.page.Path, action)
	}
	other := *f
	other.action = action
	return other.Submit(t, values)
}

func settingsOf(t *testing.T, owner *heartlocktest.Caller) (settings api.SSOSettings) {
	t.Helper()
	owner.Call("GET", "/admin/oidc/", nil).Want(http.StatusOK).Decode(&settings)
	return settings
}

func TestSSOPage(t *testing.T) {
	t.Parallel()
	heartlocktest.EachEngine(t, func(t *testing.T, s *heartlocktest.Server, owner *heartlocktest.Caller) {
		fake := heartlocktest.StartOpenIDFake(t, func(int) map[string]any { return claims("ann-1", "ann@example.com", true) })
		page := open(t, owner, ssoPage).Has(t, "Still to be set: Client ID, Authorization endpoint, Token endpoint, User info endpoint.", "/oidc/callback/")
		if page.Offers(ssoPage + "remove/") {
			t.Error("nothing is saved, and it can be removed")
		}
		values := providerFields(fake)

		// The test shows what it found, keeps what was typed but for the secret, and saves nothing.
		test := page.Form(t, ssoPage).SubmitTo(t, ssoPage+"test/", values).wants(t, http.StatusOK)
		test.Has(t, "Nothing was saved.", "Type the client secret again", "Token endpoint").keeps(t, heartlocktest.OpenIDSecret)
		if kept := test.Form(t, ssoPage).Values(); kept.Get("client_id") != heartlocktest.OpenIDClient || kept.Get("client_secret") != "" {
			t.Errorf("the form keeps %v", kept)
		}
		if settingsOf(t, owner).Generation != 0 {
			t.Error("the test has saved something")
		}
		bad := url.Values{}
		for name, value := range values {
			bad[name] = value
		}
		bad.Set("token_endpoint", fake.URL+"/nothing-here")
		page.Form(t, ssoPage).SubmitTo(t, ssoPage+"test/", bad).Has(t, "failed", "Something does not work yet.")

		page.Form(t, ssoPage).Submit(t, values).wants(t, http.StatusOK).Has(t, "The settings are saved.", "A secret is set", "Saved here.", "On").
			keeps(t, heartlocktest.OpenIDSecret)
		if got := settingsOf(t, owner); !got.Enabled || !got.ClientSecretSet || got.Generation != 1 {
			t.Fatalf("saved: %+v", got)
		}
		// Whoever has an old page saves nothing over what is new.
		page.Form(t, ssoPage).Submit(t, field("client_id", "other")).wants(t, http.StatusConflict).Has(t, "Somebody else has saved these settings")

		again := open(t, owner, ssoPage)
		again.Form(t, ssoPage).Submit(t, nil) // nothing is changed
		if got := settingsOf(t, owner); got.Generation != 1 {
			t.Errorf("a form that changes nothing has saved generation %d", got.Generation)
		}
		again.Form(t, ssoPage).Submit(t, field("token_endpoint", fake.URL+"/elsewhere")).
			wants(t, http.StatusBadRequest).Has(t, "Must be given together with another token endpoint")
		again.Form(t, ssoPage).Submit(t, field("enable", "false", "create_unknown_user", "false")).Has(t, "The settings are saved.")
		if got := settingsOf(t, owner); got.Enabled || got.CreateUnknownUser || !got.ClientSecretSet {
			t.Errorf("switched off: %+v", got)
		}
		open(t, owner, ssoPage).Form(t, ssoPage).Submit(t, field("enable", "", "forget_secret", "on"))
		if got := settingsOf(t, owner); !got.Enabled || got.ClientSecretSet || got.Enable != nil {
			t.Errorf("without a secret: %+v", got)
		}
		open(t, owner, ssoPage).Form(t, ssoPage+"remove/").Submit(t, nil).Has(t, "The saved settings are removed.", "Still to be set")
		if got := settingsOf(t, owner); got.Enabled || got.ClientID != "" {
			t.Errorf("removed: %+v", got)
		}
		if s.Logs.Contains(heartlocktest.OpenIDSecret) {
			t.Error("the secret is in the log")
		}
	})
}

func TestSSOPageShowsWhatIsTyped(t *testing.T) {
	t.Parallel()
	s := heartlocktest.StartServer(t, heartlocktest.ServerOptions{})
	owner := s.Onboard()
	names := []string{
		"client_secret", "enable", "create_unknown_user", "client_id", "issuer", "authorization_endpoint", "token_endpoint",
		"userinfo_endpoint", "end_session_endpoint", "scopes", "redirect_uri", "generation", "forget_secret",
	}
	const secret = "typed-as-a-secret"
	for _, name := range names {
		for _, text := range injections() {
			values := open(t, owner, ssoPage).Form(t, ssoPage).Values()
			values.Set(name, text+secret)
			for _, path := range []string{ssoPage, ssoPage + "test/"} {
				if page := post(t, owner, path, values).IsTame(t); name == "client_secret" {
					page.keeps(t, secret)
				}
			}
			open(t, owner, ssoPage).IsTame(t)
		}
	}
}

// What the environment has set is said to come from there, and what is saved here
// takes its place until it is removed.
func TestSSOPageOverTheEnvironment(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	page := open(t, w.owner, ssoPage).Has(t, "in the server's environment. What you save here takes its place.").
		keeps(t, heartlocktest.OpenIDSecret)
	page.Form(t, ssoPage).Submit(t, nil)
	if got := settingsOf(t, w.owner); got.Generation != 0 {
		t.Errorf("what the environment says was saved: %+v", got)
	}
	page.Form(t, ssoPage).Submit(t, field("userinfo_endpoint", "")).wants(t, http.StatusBadRequest).Has(t, "Is set by the server's environment")
	page.Form(t, ssoPage).Submit(t, field("userinfo_endpoint", w.fake.URL+"/other")).Has(t, "Saved here.")
	if got := settingsOf(t, w.owner); got.UserinfoEndpoint != w.fake.URL+"/other" || got.Sources["client_id"] == "appconfig.json" {
		t.Errorf("saved: %+v", got)
	}
	open(t, w.owner, ssoPage).Form(t, ssoPage).Submit(t, field("userinfo_endpoint", "")).Has(t, "The settings are saved.")
	if got := settingsOf(t, w.owner); got.UserinfoEndpoint != w.fake.URL+"/userinfo" {
		t.Errorf("emptied: %s", got.UserinfoEndpoint)
	}
}
