//go:build unix

package people

import (
	"strings"
	"testing"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/heartlocktest"
)

const newPassword = "a quiet lake in november"

// TestTheLifeOfAnInvitation goes from the invitation to the first secret that the
// new colleague reads, each step at another server than the one before.
func TestTheLifeOfAnInvitation(t *testing.T) {
	eachHouse(t, func(t *testing.T, h *house) {
		h.project(h.owner, "shop")
		made, token := h.invite(h.owner, "shop", "Zoe@Example.com", api.RoleMember)
		if made.Email != "zoe@example.com" {
			t.Errorf("the address is %q", made.Email)
		}

		for i := range 10 { // programs that look at links in mails use nothing up
			var seen api.OpenedInvitation
			h.anonymous(i).Call("GET", "/invitations/"+token+"/", nil).Want(200).Decode(&seen)
			if seen.Project != "Project shop" || seen.Role != api.RoleMember || seen.AccountExists || seen.State != api.InvitationPending {
				t.Fatalf("the link shows %+v", seen)
			}
		}
		if list := h.owner.Call("GET", "/projects/shop/invitations/", nil).Want(200).Body; strings.Contains(list, token) {
			t.Error("the list shows the token")
		}

		accept := "/invitations/" + token + "/accept/"
		h.anonymous(1).Call("POST", accept, map[string]any{"email": "other@example.com", "password": newPassword}).Want(400)
		h.anonymous(1).Call("POST", accept, map[string]any{"password": "password1"}).Want(400)
		// The link that the inviter sees is for who has an account.
		shown := "/invitations/" + tokenOf(t, made.Link) + "/accept/"
		h.anonymous(1).Call("POST", shown, map[string]any{"password": newPassword}).Want(403)
		other := h.person("other")
		h.at(1, other).Call("POST", accept, map[string]any{}).Want(403)

		zoe := h.anonymous(1)
		var accepted api.AcceptedInvitation
		zoe.Call("POST", accept, map[string]any{"password": newPassword, "first_name": "Zoe"}).Want(200).Decode(&accepted)
		if accepted.Account.Email != "zoe@example.com" || accepted.Account.IsSuperuser || accepted.Project.Role != api.RoleMember {
			t.Errorf("accepted: %+v", accepted)
		}
		h.at(0, zoe).Call("PUT", secretsOf("shop")+"API_KEY/", map[string]any{"value": "x"}).Want(201)
		for i := range 2 {
			h.anonymous(i).Call("POST", accept, map[string]any{"password": newPassword}).WantProblem(410)
		}
		h.at(0, other).Call("GET", secretsOf("shop"), nil).Want(404)
	})
}

// TestInvitationsEnd walks the ways in which a link stops working.
func TestInvitationsEnd(t *testing.T) {
	eachHouse(t, func(t *testing.T, h *house) {
		h.project(h.owner, "shop")
		admin := h.person("admin")
		h.servers[0].AddMember(h.projectID("shop"), admin.UserID, api.RoleAdmin)
		accept := func(i int, token string) heartlocktest.Answer {
			return h.anonymous(i).Call("POST", "/invitations/"+token+"/accept/", map[string]any{"password": newPassword})
		}

		late, token := h.invite(h.owner, "shop", "late@example.com", api.RoleViewer)
		h.servers[0].Exec("UPDATE invitations SET expires_at = " + now(0) + " WHERE id = '" + late.ID + "'")
		accept(1, token).WantProblem(410)

		revoked, token := h.invite(h.owner, "shop", "revoked@example.com", api.RoleViewer)
		h.at(1, h.owner).Call("DELETE", "/projects/shop/invitations/"+revoked.ID+"/", nil).Want(204)
		accept(0, token).WantProblem(410)

		again, former := h.invite(h.owner, "shop", "again@example.com", api.RoleViewer)
		h.owner.Call("POST", "/projects/shop/invitations/"+again.ID+"/resend/", nil).Want(429)
		h.servers[0].Exec("UPDATE invitations SET sent_at = sent_at - 3600000000 WHERE id = '" + again.ID + "'")
		h.at(1, h.owner).Call("POST", "/projects/shop/invitations/"+again.ID+"/resend/", nil).Want(200).Decode(&again)
		if status := accept(0, former).Status; status != 404 && status != 410 {
			t.Errorf("the former link answers %d", status)
		}
		accept(1, h.invited("again@example.com")).Want(200)

		_, token = h.invite(admin, "shop", "lowered@example.com", api.RoleAdmin)
		h.at(1, h.owner).Call("PATCH", "/projects/shop/members/"+admin.UserID+"/", map[string]any{"role": "viewer"}).Want(200)
		accept(0, token).WantProblem(410)

		outsider := h.person("outsider")
		h.project(outsider, "lab")
		pending, token := h.invite(h.owner, "shop", "pending@example.com", api.RoleViewer)
		for _, slug := range []string{"lab", "shop"} {
			h.at(1, outsider).Call("DELETE", "/projects/"+slug+"/invitations/"+pending.ID+"/", nil).WantProblem(404)
		}
		accept(0, token).Want(200)
	})
}

// TestAnInviteeHasNoRights until the invitation is accepted.
func TestAnInviteeHasNoRights(t *testing.T) {
	eachHouse(t, func(t *testing.T, h *house) {
		h.project(h.owner, "shop")
		ben := h.person("ben")
		_, token := h.invite(h.owner, "shop", "ben@example.com", api.RoleOwner)
		h.at(1, ben).Call("GET", "/projects/shop/", nil).WantProblem(404)
		h.anonymous(0).Call("POST", "/invitations/"+token+"/accept/", map[string]any{"password": newPassword}).WantProblem(409)
		h.at(1, ben).Call("POST", "/invitations/"+token+"/accept/", map[string]any{}).Want(200)
		h.at(0, ben).Call("GET", secretsOf("shop"), nil).Want(200)
	})
}

// TestForgedHostsAreInNoLink: whoever asks, a mailed link leads to this server.
func TestForgedHostsAreInNoLink(t *testing.T) {
	t.Parallel()
	for name, environ := range map[string][]string{
		"public address": {"HEARTLOCK_APP_URL=https://secrets.example.com", "ALLOWED_HOSTS=127.0.0.1,secrets.example.com,.evil.example"},
		"none":           {"ALLOWED_HOSTS=127.0.0.1,.evil.example"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, "", 1, environ...)
			h.project(h.owner, "shop")
			for i, forged := range [][]string{
				{"Host: www.evil.example"},
				{"Host: 127.0.0.1:1@www.evil.example"},
				{"X-Forwarded-Host: www.evil.example"},
				{"Forwarded: host=www.evil.example"},
				{"X-Original-Host: www.evil.example", "X-Forwarded-Server: www.evil.example"},
			} {
				body := map[string]any{"email": "guest" + string(rune('a'+i)) + "@example.com", "role": "viewer"}
				answer := h.owner.Call("POST", "/projects/shop/invitations/", body, append(forged, "Origin: "+h.servers[0].URL)...)
				if strings.Contains(answer.Body, "evil") {
					t.Errorf("%v: %d %s", forged, answer.Status, answer.Body)
				}
				if answer.Status == 201 {
					if letter := h.letter(body["email"].(string), "/invitations/"); strings.Contains(letter.Raw, "evil") {
						t.Errorf("%v is in the mail:\n%s", forged, letter.Text)
					}
				} else if answer.Status != 400 && answer.Status != 403 {
					t.Errorf("%v: %d", forged, answer.Status)
				}
			}
		})
	}
}
