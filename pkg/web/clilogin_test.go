//go:build unix

package web_test

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/heartlocktest"
)

const verifier = "a-verifier-that-never-left-the-command-line-0123456789"

// loginPath is the page that `heartlock login` opens.
func loginPath(callback, state, machine string) string {
	digest := sha256.Sum256([]byte(verifier))
	return "/cli/login/?" + url.Values{
		"callback": {callback}, "state": {state}, "machine": {machine},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(digest[:])},
	}.Encode()
}

// sentTo is where a page sends the browser on to, and that it is not told where from.
func sentTo(t *testing.T, d *document) *url.URL {
	t.Helper()
	to, found := strings.CutPrefix(d.Header.Get("Refresh"), "0;url=")
	target, err := url.Parse(to)
	if !found || err != nil {
		t.Fatalf("%s sends nobody on: %d %q", d.Path, d.Status, d.Header.Get("Refresh"))
	}
	if d.Header.Get("Referrer-Policy") != "no-referrer" || d.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%v", d.Header)
	}
	return target
}

func tokensOf(t *testing.T, c *heartlocktest.Caller) (names []string) {
	t.Helper()
	var list api.Page[api.PersonalToken]
	c.Call("GET", "/auth/tokens/", nil).Want(http.StatusOK).Decode(&list)
	for _, token := range list.Results {
		names = append(names, token.Name)
	}
	return names
}

func TestACommandLineIsLetInByAClick(t *testing.T) {
	t.Parallel()
	heartlocktest.EachEngine(t, func(t *testing.T, s *heartlocktest.Server, owner *heartlocktest.Caller) {
		path := loginPath("http://127.0.0.1:4711/callback", "the-state", `ann's <b>laptop</b>`)
		page := open(t, owner, path).Has(t, "http://127.0.0.1:4711", heartlocktest.OwnerEmail, `ann's <b>laptop</b>`)
		if names := tokensOf(t, owner); len(names) != 0 {
			t.Fatalf("looking at the page has made %q", names)
		}
		done := page.Form(t, "/cli/login/").Submit(t, url.Values{"days": {"7"}})
		target := sentTo(t, done)
		if target.Host != "127.0.0.1:4711" || target.Path != "/callback" || target.Query().Get("state") != "the-state" {
			t.Fatalf("sent to %s", target)
		}
		code := target.Query().Get("code")
		var token api.CLIToken
		s.Anonymous().Call("POST", "/auth/cli-token/", map[string]any{"code": code, "code_verifier": verifier}).Want(http.StatusOK).Decode(&token)
		if token.Email != heartlocktest.OwnerEmail || s.Logs.Contains(code) || s.Logs.Contains(token.Token.Reveal()) {
			t.Errorf("%+v", token)
		}
		s.Anonymous().Call("POST", "/auth/cli-token/", map[string]any{"code": code, "code_verifier": verifier}).WantProblem(http.StatusBadRequest)
		if names := tokensOf(t, owner); !slices.Equal(names, []string{`heartlock on ann's <b>laptop</b>`}) {
			t.Errorf("tokens %q", names)
		}
		denied := sentTo(t, post(t, owner, "/cli/login/deny/", page.Form(t, "/cli/login/").Values()))
		if denied.Query().Get("error") != "access_denied" || denied.Query().Has("code") {
			t.Errorf("sent to %s", denied)
		}
	})
}

// TestOnlyACommandLineOfThisMachineIsLetIn: what leads elsewhere is refused to
// everybody, and whoever is not signed in comes back to the page.
func TestOnlyACommandLineOfThisMachineIsLetIn(t *testing.T) {
	t.Parallel()
	s := heartlocktest.StartServer(t, heartlocktest.ServerOptions{})
	owner := s.Onboard()
	for _, callback := range []string{
		"", "http://evil.com/callback", "http://localhost.evil.com:80/callback", "http://localhost@evil.com:80/callback",
		"http://127.0.0.1:1@evil.com/callback", "https://localhost:1/callback", "http://[::ffff:7f00:1]:1/callback", "http://0x7f.1:1/callback",
		"http://localhost:80/x", "http://localhost/callback", "http://localhost:1/callback?x", "http://localhost:1/callback#x", "javascript:alert(1)",
	} {
		path := loginPath(callback, "state", "")
		for _, c := range []*heartlocktest.Caller{owner, s.Anonymous()} {
			page := visit(t, c, path)
			page.Want(http.StatusBadRequest)
			if page.Header.Get("Refresh") != "" || callback != "" && strings.Contains(page.Body, callback) {
				t.Errorf("%q as %s: %v %s", callback, c.Name, page.Header, page.Body)
			}
		}
		query, _ := url.Parse(path)
		values := query.Query()
		values.Set("days", "30")
		post(t, owner, "/cli/login/", values).Want(http.StatusBadRequest)
	}
	good := loginPath("http://localhost:1/callback", "state", "")
	answer := s.Anonymous().Do("GET", good, nil).Want(http.StatusSeeOther)
	if got := answer.Header.Get("Location"); got != "/login/?next="+url.QueryEscape(good) {
		t.Errorf("nobody is sent to %q", got)
	}
	if names := tokensOf(t, owner); len(names) != 0 {
		t.Errorf("tokens %q", names)
	}
}

func TestADeviceIsLetInByItsCode(t *testing.T) {
	t.Parallel()
	s := heartlocktest.StartServer(t, heartlocktest.ServerOptions{Environ: []string{"HEARTLOCK_APP_URL=http://localhost:8082"}})
	owner := s.Onboard()
	begin := func() (answer api.DeviceAuthorization) {
		s.Anonymous().Call("POST", "/auth/device/", map[string]any{"machine": `"><script>alert(1)</script>`}).Want(http.StatusOK).Decode(&answer)
		return answer
	}
	first := begin()
	complete, err := url.Parse(first.VerificationURIComplete)
	if err != nil {
		t.Fatal(err)
	}
	page := open(t, owner, complete.RequestURI()).Form(t, "/device/").Submit(t, nil)
	page.Has(t, first.UserCode, `"><script>alert(1)</script>`)
	page.Form(t, "/device/approve/").Submit(t, url.Values{"days": {"1"}}).Has(t, "The device is signed in")
	var token api.CLIToken
	s.Anonymous().Call("POST", "/auth/cli-token/", map[string]any{"device_code": first.DeviceCode.Reveal()}).Want(http.StatusOK).Decode(&token)
	if token.Email != heartlocktest.OwnerEmail {
		t.Errorf("%+v", token)
	}

	second := begin()
	page = open(t, owner, "/device/").Form(t, "/device/").Submit(t, url.Values{"code": {strings.ToLower(second.UserCode)}})
	values := page.Form(t, "/device/approve/").Values()
	post(t, owner, "/device/deny/", values).Has(t, "The device is not signed in")
	p := s.Anonymous().Call("POST", "/auth/cli-token/", map[string]any{"device_code": second.DeviceCode.Reveal()}).WantProblem(http.StatusBadRequest)
	if p.Error != api.ErrorAccessDenied {
		t.Errorf("%+v", p)
	}

	open(t, owner, "/device/").Form(t, "/device/").Submit(t, url.Values{"code": {"BBBB-BBBB"}}).Has(t, "No command line waits with this code")
	if visit(t, s.Anonymous(), "/device/").Path != "/login/?next=%2Fdevice%2F" {
		t.Error("nobody may look for devices")
	}
}
