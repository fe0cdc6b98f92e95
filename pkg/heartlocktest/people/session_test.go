//go:build unix

package people

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/heartlocktest"
)

// now is the present as it is stored, and some more.
func now(more time.Duration) string { return fmt.Sprint(time.Now().Add(more).UnixMicro()) }

func (h *house) projectID(slug string) string {
	h.t.Helper()
	var p api.Project
	h.owner.Call("GET", "/projects/"+slug+"/", nil).Want(200).Decode(&p)
	return p.ID
}

// TestASessionIsNotChosenByOthers: signing in makes a new one, whatever the
// browser brought.
func TestASessionIsNotChosenByOthers(t *testing.T) {
	eachHouse(t, func(t *testing.T, h *house) {
		const planted = "attackerattackerattackerattackerattackeratt"
		victim := h.anonymous(0)
		victim.Cookies["sessionid"] = planted
		victim.Call("POST", "/auth/login/", map[string]any{"email": heartlocktest.OwnerEmail, "password": heartlocktest.Password}).Want(200)
		if victim.Cookies["sessionid"] == planted {
			t.Error("the planted session was taken")
		}
		attacker := h.anonymous(1)
		attacker.Cookies["sessionid"] = planted
		attacker.Call("GET", "/auth/me/", nil).WantProblem(http.StatusUnauthorized)
	})
}

// TestAPasswordChangeEndsTheOtherSessions, at every server at once.
func TestAPasswordChangeEndsTheOtherSessions(t *testing.T) {
	eachHouse(t, func(t *testing.T, h *house) {
		first := h.person("ben")
		second, third := h.servers[0].Login("ben@example.com"), h.servers[0].Login("ben@example.com")
		former := *first
		former.Cookies = map[string]string{"sessionid": first.Cookies["sessionid"]}
		first.Call("POST", "/auth/password/", map[string]any{"current_password": heartlocktest.Password, "new_password": newPassword}).Want(204)
		for i, ended := range []*heartlocktest.Caller{second, third, &former} {
			h.at(1, ended).Call("GET", "/auth/me/", nil).WantProblem(http.StatusUnauthorized)
			h.at(i, ended).Call("GET", "/auth/me/", nil).WantProblem(http.StatusUnauthorized)
		}
		h.at(1, first).Call("GET", "/auth/me/", nil).Want(200)
		h.anonymous(1).Call("POST", "/auth/login/", map[string]any{"email": "ben@example.com", "password": heartlocktest.Password}).Want(401)
	})
}

// TestSigningOutEndsTheSession, not only the cookie.
func TestSigningOutEndsTheSession(t *testing.T) {
	eachHouse(t, func(t *testing.T, h *house) {
		ben := h.person("ben")
		copied := h.at(1, ben)
		ben.Call("POST", "/auth/logout/", nil).Want(204)
		copied.Call("GET", "/auth/me/", nil).WantProblem(http.StatusUnauthorized)
	})
}

// TestAResetPassword ends all sessions, and its link serves once.
func TestAResetPassword(t *testing.T) {
	eachHouse(t, func(t *testing.T, h *house) {
		ben := h.person("ben")
		for _, body := range []string{`{"email":["ben@example.com","eve@example.com"]}`, `{"email":{"a":1}}`, `{"Email":"ben@example.com"}`} {
			h.anonymous(0).Call("POST", "/auth/password-reset/", body).WantProblem(400)
		}
		var links []string
		for i := range 2 {
			h.anonymous(i).Call("POST", "/auth/password-reset/", map[string]any{"email": " BEN@example.com"}).Want(202)
			links = append(links, linkIn(t, h.letter("ben@example.com", "/password-reset/").Text, "/password-reset/"))
		}
		h.anonymous(1).Call("POST", "/auth/password-reset/", map[string]any{"email": "nobody@example.com"}).Want(202)
		confirm := func(i int, token string) heartlocktest.Answer {
			return h.anonymous(i).Call("POST", "/auth/password-reset/confirm/", map[string]any{"token": token, "new_password": newPassword})
		}
		confirm(0, links[0]).WantProblem(410)
		count := together(func() int { return confirm(0, links[1]).Status }, func() int { return confirm(1, links[1]).Status }, func() int { return confirm(0, links[1]).Status })
		if count[204] != 1 || count[410] != 2 {
			t.Errorf("three answers to one link: %v", count)
		}
		h.at(1, ben).Call("GET", "/auth/me/", nil).WantProblem(http.StatusUnauthorized)
		h.anonymous(1).Call("POST", "/auth/login/", map[string]any{"email": "ben@example.com", "password": newPassword}).Want(200)
	})
}

// TestWhoIsSwitchedOffIsOut, by whatever he came in, everywhere at once.
func TestWhoIsSwitchedOffIsOut(t *testing.T) {
	eachHouse(t, func(t *testing.T, h *house) {
		h.project(h.owner, "shop")
		ben := h.person("ben")
		h.servers[0].AddMember(h.projectID("shop"), ben.UserID, api.RoleMember)
		var personal api.PersonalToken
		ben.Call("POST", "/auth/tokens/", map[string]any{"name": "laptop"}).Want(201).Decode(&personal)
		token := h.servers[0].WithToken("laptop", personal.Token.Reveal())
		h.project(h.owner, "lab")
		_, invitation := h.invite(h.owner, "lab", "ben@example.com", api.RoleMember)
		h.anonymous(0).Call("POST", "/auth/password-reset/", map[string]any{"email": "ben@example.com"}).Want(202)
		reset := linkIn(t, h.letter("ben@example.com", "/password-reset/").Text, "/password-reset/")

		h.owner.Call("PATCH", "/admin/users/"+ben.UserID+"/", map[string]any{"is_active": false}).Want(200)
		for i := range 2 {
			h.at(i, ben).Call("GET", secretsOf("shop"), nil).WantProblem(http.StatusUnauthorized)
			h.at(i, token).Call("GET", secretsOf("shop"), nil).WantProblem(http.StatusUnauthorized)
			h.anonymous(i).Call("POST", "/auth/login/", map[string]any{"email": "ben@example.com", "password": heartlocktest.Password}).Want(401)
			if status := h.anonymous(i).Call("POST", "/invitations/"+invitation+"/accept/", map[string]any{"password": newPassword}).Status; status != 403 && status != 410 {
				t.Errorf("the invitation answers %d", status)
			}
			h.anonymous(i).Call("POST", "/auth/password-reset/confirm/", map[string]any{"token": reset, "new_password": newPassword}).WantProblem(410)
		}
		if n := h.servers[0].Count("users", "email = 'ben@example.com' AND NOT is_active"); n != 1 {
			t.Error("the account is on again")
		}
	})
}

// TestGuessingIsCountedForAllServersTogether: five wrong passwords block the
// account, however its address is spelled and whatever the client says of itself.
func TestGuessingIsCountedForAllServersTogether(t *testing.T) {
	eachHouse(t, func(t *testing.T, h *house) {
		h.person("ben")
		for i, email := range []string{"ben@example.com", "Ben@Example.com", " ben@example.com", "ben@example.com ", "BEN@EXAMPLE.COM"} {
			h.anonymous(i).Call("POST", "/auth/login/", map[string]any{"email": email, "password": "wrong"}, fmt.Sprint("X-Forwarded-For: 203.0.113.", i)).Want(401)
		}
		for i := range 4 {
			password := []string{"wrong", heartlocktest.Password}[i%2]
			blocked := h.anonymous(i).Call("POST", "/auth/login/", map[string]any{"email": "ben@example.com", "password": password}, fmt.Sprint("X-Forwarded-For: 198.51.100.", i))
			if blocked.WantProblem(429); blocked.Header.Get("Retry-After") == "" {
				t.Error("it does not say when to try again")
			}
		}
		h.servers[0].Login(heartlocktest.OwnerEmail) // others are not kept out
	})
}

// linkIn finds the token of a link in a text.
func linkIn(t *testing.T, text, path string) string {
	t.Helper()
	_, rest, found := strings.Cut(text, path)
	token, _, ended := strings.Cut(rest, "/")
	if !found || !ended {
		t.Fatalf("there is no link to %s in\n%s", path, text)
	}
	return token
}
