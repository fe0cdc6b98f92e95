//go:build unix

package people

import (
	"fmt"
	"testing"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/heartlocktest"
)

// TestAProjectKeepsAnOwner: two owners demote, remove or leave at the same moment,
// round after round.
func TestAProjectKeepsAnOwner(t *testing.T) {
	eachHouse(t, func(t *testing.T, h *house) {
		ann, ben := h.person("ann"), h.person("ben")
		for round := range rounds() {
			slug := fmt.Sprint("shop-", round)
			p := h.project(ann, slug)
			h.servers[0].AddMember(p.ID, ben.UserID, api.RoleOwner)
			member := func(c *heartlocktest.Caller) string { return "/projects/" + slug + "/members/" + c.UserID + "/" }
			lower := func(i int, who, whom *heartlocktest.Caller) func() int {
				return func() int {
					return h.at(i, who).Call("PATCH", member(whom), map[string]any{"role": "viewer"}).Status
				}
			}
			leave := func(i int, who *heartlocktest.Caller) func() int {
				return func() int { return h.at(i, who).Call("DELETE", member(who), nil).Status }
			}
			remove := func(i int, who, whom *heartlocktest.Caller) func() int {
				return func() int { return h.at(i, who).Call("DELETE", member(whom), nil).Status }
			}
			pairs := [][2]func() int{
				{lower(0, ann, ben), lower(1, ben, ann)},
				{leave(0, ann), leave(1, ben)},
				{remove(0, ann, ben), remove(1, ben, ann)},
				{lower(0, ann, ann), leave(1, ben)},
				{remove(1, ann, ben), lower(0, ben, ben)},
			}
			pair := pairs[round%len(pairs)]
			count := together(pair[0], pair[1])
			if n := h.servers[0].Count("memberships", "role = 'owner' AND project_id = '"+p.ID+"'"); n < 1 {
				t.Fatalf("round %d: the project has no owner; the answers were %v", round, count)
			}
			if count[200]+count[204] < 1 || count[500] > 0 || count[503] > 0 {
				t.Errorf("round %d: %v", round, count)
			}
		}
	})
}

// TestAServerKeepsAnAdministrator: two demote or switch off each other.
func TestAServerKeepsAnAdministrator(t *testing.T) {
	eachHouse(t, func(t *testing.T, h *house) {
		ann := h.person("ann")
		for round := range rounds() {
			h.servers[0].Exec("UPDATE users SET is_superuser = is_active WHERE id IN ('" + h.owner.UserID + "', '" + ann.UserID + "')")
			body := map[string]any{"is_superuser": false}
			change := func(i int, who, whom *heartlocktest.Caller) func() int {
				return func() int { return h.at(i, who).Call("PATCH", "/admin/users/"+whom.UserID+"/", body).Status }
			}
			count := together(change(0, h.owner, ann), change(1, ann, h.owner))
			if n := h.servers[0].Count("users", "is_superuser AND is_active"); n < 1 {
				t.Fatalf("round %d: nobody administers the server; the answers were %v", round, count)
			}
			if count[200] < 1 || count[500] > 0 || count[503] > 0 {
				t.Errorf("round %d: %v", round, count)
			}
		}
	})
}

// TestAnInvitationIsAcceptedOnce, by however many at the same moment.
func TestAnInvitationIsAcceptedOnce(t *testing.T) {
	eachHouse(t, func(t *testing.T, h *house) {
		guest := h.person("guest")
		for round := range rounds() {
			slug := fmt.Sprint("shop-", round)
			h.project(h.owner, slug)
			made, token := h.invite(h.owner, slug, "guest@example.com", api.RoleMember)
			accept := func(i int) func() int {
				return func() int {
					return h.at(i, guest).Call("POST", "/invitations/"+token+"/accept/", map[string]any{}).Status
				}
			}
			requests := []func() int{accept(0), accept(1), accept(0), accept(1)}
			revokes := round%2 == 1
			if revokes {
				requests = append(requests, func() int {
					return h.at(round, h.owner).Call("DELETE", "/projects/"+slug+"/invitations/"+made.ID+"/", nil).Status
				})
			}
			count := together(requests...)
			members := h.servers[0].Count("memberships", "user_id = '"+guest.UserID+"' AND project_id = (SELECT id FROM projects WHERE slug = '"+slug+"')")
			switch {
			case count[200] > 1 || members != count[200] || count[500] > 0 || count[503] > 0:
				t.Errorf("round %d: %v, %d memberships", round, count, members)
			case !revokes && count[200] != 1:
				t.Errorf("round %d: nobody was let in: %v", round, count)
			case revokes && count[200]+count[204] != 1:
				t.Errorf("round %d: accepted and revoked: %v", round, count)
			}
			// The bound on invitations of a person and day is not what is tested.
			h.servers[0].Exec("DELETE FROM throttles")
		}
	})
}
