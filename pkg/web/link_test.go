//go:build unix

package web_test

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/heartlocktest"
)

// A server that nobody owns is opened by nobody's provider.
func TestFirstRunIsNotForTheProvider(t *testing.T) {
	t.Parallel()
	heartlocktest.EachDatabase(t, func(t *testing.T, databaseURL string) {
		fake := heartlocktest.StartOpenIDFake(t, func(n int) map[string]any {
			return claims(fmt.Sprint("sub-", n), fmt.Sprintf("user%d@example.com", n), true)
		})
		s := heartlocktest.StartServer(t, heartlocktest.ServerOptions{DatabaseURL: databaseURL, Environ: fake.Environ(false)})
		together(30, func(int) {
			robot := browser(t, s)
			if page := robot.Browse(robot.Home("/oidc/login/"), ""); page.Status != http.StatusNotFound {
				t.Errorf("before the first run: %d", page.Status)
			}
		})
		if n := s.Count("users", "1 = 1"); n != 0 {
			t.Errorf("there are %d accounts", n)
		}
		s.Onboard() // it is still open
		together(30, func(int) {
			robot := browser(t, s)
			if page := robot.Browse(robot.Home("/oidc/login/"), ""); page.Status != http.StatusOK {
				t.Errorf("afterwards: %d %s", page.Status, page.Body)
			}
		})
		if all, super := s.Count("users", "1 = 1"), s.Count("users", "is_superuser"); all != 31 || super != 1 {
			t.Errorf("there are %d accounts and %d administrators", all, super)
		}
		if n := s.Count("memberships", "1 = 1"); n != 0 {
			t.Errorf("%d memberships came from the provider", n)
		}
	})
}

func TestFirstSignInsAtOnceMakeOneAccount(t *testing.T) {
	t.Parallel()
	heartlocktest.EachDatabase(t, func(t *testing.T, databaseURL string) {
		w := newWorld(t, databaseURL)
		together(30, func(int) {
			robot := browser(t, w.Server)
			if page := robot.Browse(robot.Home("/oidc/login/"), ""); page.Status != http.StatusOK {
				t.Errorf("%d %s", page.Status, page.Body)
			}
		})
		if n, ids := w.Count("users", "email = 'ann@example.com'"), w.Count("identities", "1 = 1"); n != 1 || ids != 1 {
			t.Errorf("%d accounts and %d identities", n, ids)
		}
		if n := w.Count("sessions", "by_provider"); n != 30 {
			t.Errorf("%d sessions", n)
		}
	})
}

// Two who both claim the same account at once: one of them gets it.
func TestTwoSubjectsWithOneAddress(t *testing.T) {
	t.Parallel()
	heartlocktest.EachDatabase(t, func(t *testing.T, databaseURL string) {
		w := newWorld(t, databaseURL)
		w.AddUser("ann@example.com")
		w.fake.Userinfo = func(n int) map[string]any { return claims(fmt.Sprint("sub-", n), "ann@example.com", true) }
		statuses := make([]int, 8)
		together(len(statuses), func(i int) {
			robot := browser(t, w.Server)
			statuses[i] = robot.Browse(robot.Home("/oidc/login/"), "").Status
		})
		won := 0
		for _, status := range statuses {
			switch status {
			case http.StatusOK:
				won++
			case http.StatusForbidden:
			default:
				t.Errorf("status %d", status)
			}
		}
		if n := w.Count("identities", "1 = 1"); won != 1 || n != 1 {
			t.Errorf("%d got in, %d identities", won, n)
		}
	})
}

func together(n int, do func(i int)) {
	var group sync.WaitGroup
	for i := range n {
		group.Go(func() { do(i) })
	}
	group.Wait()
}

// linkFrom begins to link from an account whose cookies the robot has, and gives
// the page where it ends.
func linkFrom(t *testing.T, robot *heartlocktest.Robot, body map[string]any) (back string) {
	t.Helper()
	caller := robot.Caller()
	var out api.Redirect
	caller.Call("POST", "/auth/identities/", body).Want(http.StatusOK).Decode(&out)
	robot.SetCookie("heartlock_sso", caller.Cookies["heartlock_sso"], "/oidc/")
	return robot.Browse(out.Redirect, robot.Home("/oidc/callback/")).URL.String()
}

// as is a robot with the session of an account with a password.
func as(t *testing.T, s *heartlocktest.Server, email string) *heartlocktest.Robot {
	t.Helper()
	robot := browser(t, s)
	for name, value := range s.Login(email).Cookies {
		robot.SetCookie(name, value, "/")
	}
	return robot
}

func TestLinkFromTheAccount(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.AddUser("bob@example.com")
	password := map[string]any{"current_password": heartlocktest.Password, "next": "/account/"}
	owner := as(t, w.Server, heartlocktest.OwnerEmail)

	owner.Caller().Call("POST", "/auth/identities/", map[string]any{}).Want(http.StatusBadRequest)
	owner.Caller().Call("POST", "/auth/identities/", map[string]any{"current_password": "wrong"}).Want(http.StatusBadRequest)
	page := owner.Get(linkFrom(t, owner, password))
	if page.Status != http.StatusSeeOther || page.Header.Get("Location") != "/account/" {
		t.Fatalf("%d %s", page.Status, page.Body)
	}
	var list api.Page[api.Identity]
	owner.Caller().Call("GET", "/auth/identities/", nil).Want(http.StatusOK).Decode(&list)
	if len(list.Results) != 1 || list.Results[0].Email != "ann@example.com" || list.Results[0].Provider != w.fake.URL+"/userinfo" {
		t.Fatalf("got %+v", list.Results)
	}
	if n := w.Count("mail_queue", "kind = 'identity-changed' AND recipient = '"+heartlocktest.OwnerEmail+"'"); n != 1 {
		t.Errorf("%d mails about the new way in", n)
	}
	// The administrator comes in through it from now on, though never by his address.
	robot, page := w.signIn(t, claims("ann-1", "ann@example.com", true))
	if page.Status != http.StatusSeeOther || me(t, robot).Email != heartlocktest.OwnerEmail {
		t.Errorf("%d %s", page.Status, page.Body)
	}
	// Linking the same once more changes nothing; another one is refused.
	if page := owner.Get(linkFrom(t, owner, password)); page.Status != http.StatusSeeOther {
		t.Errorf("again: %d", page.Status)
	}
	w.fake.Userinfo = func(int) map[string]any { return claims("ann-2", "ann@example.com", true) }
	if page := owner.Get(linkFrom(t, owner, password)); page.Status != http.StatusConflict {
		t.Errorf("another subject: %d", page.Status)
	}
	// Nobody else gets it.
	w.fake.Userinfo = func(int) map[string]any { return claims("ann-1", "ann@example.com", true) }
	bob := as(t, w.Server, "bob@example.com")
	if page := bob.Get(linkFrom(t, bob, password)); page.Status != http.StatusConflict {
		t.Errorf("somebody else's: %d", page.Status)
	}
	// The way back is for who began it.
	back := linkFrom(t, bob, password)
	for name, value := range w.Login(heartlocktest.OwnerEmail).Cookies {
		bob.SetCookie(name, value, "/")
	}
	if page := bob.Get(back); page.Status != http.StatusForbidden {
		t.Errorf("in another session: %d", page.Status)
	}
	me(t, robot)
	unlink(t, w, owner, bob, list.Results[0].ID)
	robot.Caller().Call("GET", "/auth/me/", nil).Want(http.StatusUnauthorized) // who came in through it
	me(t, owner)
}

func unlink(t *testing.T, w *world, owner, other *heartlocktest.Robot, id string) {
	t.Helper()
	w.Login("bob@example.com").Call("DELETE", "/auth/identities/"+id+"/", nil).Want(http.StatusNotFound)
	owner.Caller().Call("DELETE", "/auth/identities/"+id+"/", nil).Want(http.StatusNoContent)
	owner.Caller().Call("DELETE", "/auth/identities/"+id+"/", nil).Want(http.StatusNotFound)
	if n := w.Count("mail_queue", "kind = 'identity-changed'"); n != 2 {
		t.Errorf("%d mails about ways in", n)
	}
	_ = other
	robot, page := w.signIn(t, claims("carl-1", "carl@example.com", true))
	if page.Status != http.StatusSeeOther {
		t.Fatalf("%d %s", page.Status, page.Body)
	}
	var list api.Page[api.Identity]
	robot.Caller().Call("GET", "/auth/identities/", nil).Want(http.StatusOK).Decode(&list)
	robot.Caller().Call("DELETE", "/auth/identities/"+list.Results[0].ID+"/", nil).Want(http.StatusConflict)
}

// Whoever has stolen a session and a password opens no second way around the
// second factor.
func TestLinkFromAnAccountWithASecondFactor(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	robot := as(t, w.Server, heartlocktest.OwnerEmail)
	caller := robot.Caller()
	var setup api.SecondFactorSetup
	caller.Call("POST", "/auth/second-factor/", map[string]any{"password": heartlocktest.Password}).Want(http.StatusOK).Decode(&setup)
	code, err := totp.GenerateCode(setup.Secret.Reveal(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	var answer api.RecoveryCodes
	caller.Call("POST", "/auth/second-factor/confirm/", map[string]any{"code": code}).Want(http.StatusOK).Decode(&answer)
	for _, wrong := range []string{"", "000000", code} { // the last one was used
		body := map[string]any{"current_password": heartlocktest.Password, "code": wrong}
		caller.Call("POST", "/auth/identities/", body).Want(http.StatusBadRequest)
	}
	caller.Call("POST", "/auth/identities/", map[string]any{"code": answer.Codes[0].Reveal()}).Want(http.StatusBadRequest)
	page := robot.Get(linkFrom(t, robot, map[string]any{"current_password": heartlocktest.Password, "code": answer.Codes[0].Reveal()}))
	if page.Status != http.StatusSeeOther || w.Count("identities", "1 = 1") != 1 {
		t.Errorf("with both: %d", page.Status)
	}
}

// An issuer that is configured later is the same provider.
func TestIssuerAddedLater(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	robot, _ := w.signIn(t, claims("ann-1", "ann@example.com", true))
	id := me(t, robot).ID
	w.fake.IDToken = func(nonce string) string {
		return w.fake.Sign(w.fake.Key, map[string]any{
			"iss": w.fake.URL, "aud": heartlocktest.OpenIDClient, "sub": "ann-1", "nonce": nonce, "exp": 1 << 40, "iat": 1,
		})
	}
	w.Restart(w.fake.Environ(true)...)
	robot, page := w.signIn(t, claims("ann-1", "changed@example.com", false))
	if page.Status != http.StatusSeeOther || me(t, robot).ID != id {
		t.Fatalf("%d %s", page.Status, page.Body)
	}
	if n := w.Count("identities", "provider = '"+w.fake.URL+"'"); n != 1 || w.Count("identities", "1 = 1") != 1 {
		t.Errorf("%d identities under the issuer", n)
	}
	// Whom the ID token is not about does not get in.
	robot, page = w.signIn(t, claims("victim", "victim@example.com", true))
	w.refused(t, robot, page)
}

func TestLogoutOfAPasswordSessionStaysHere(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	answer := w.Login(heartlocktest.OwnerEmail).Call("POST", "/auth/logout/", nil).Want(http.StatusNoContent)
	if answer.Body != "" {
		t.Errorf("got %q", answer.Body)
	}
}
