package rest_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/heartlocktest"
)

// TestRolesAreExact: no other spelling and no other type is a role, and nothing
// else of a member can be set.
func TestRolesAreExact(t *testing.T) {
	heartlocktest.EachEngine(t, func(t *testing.T, s *heartlocktest.Server, owner *heartlocktest.Caller) {
		w := newWorld(t, s, owner)
		path := "/projects/" + w.p1.slug + "/members/" + w.callers["viewer"].UserID + "/"
		before := s.State()
		for _, body := range []map[string]any{
			{"role": "Owner"},
			{"role": "owner "},
			{"role": " owner"},
			{"role": "OWNER"},
			{"role": ""},
			{"role": 0},
			{"role": []string{"owner"}},
			{"role": map[string]any{"role": "owner"}},
			{"role": true},
			{"Role": "owner"},
			{"role": "member", "is_active": false},
			{"role": "member", "email": "other@example.com"},
			{"role": "member", "user_id": w.callers["admin"].UserID},
			{"role": "member", "id": w.callers["admin"].UserID},
			{"role": "member", "project_id": w.p2.id},
			{"role": "member", "created_at": "2020-01-01T00:00:00Z"},
			{"environments": "none"},
			{"environments": []string{"production"}},
			{"environments": map[string]any{"production": 0}},
			{"environments": map[string]any{"production": "None"}},
			{"environments": map[string]any{"production": nil}},
			{"environments": map[string]any{"never-was": "none"}},
			{"environments": map[string]any{w.p2.environments["production"]: "none"}},
			{"role": "admin", "environments": map[string]any{"production": "read"}},
		} {
			owner.Call("PATCH", path, body).WantProblem(400)
		}
		owner.Call("DELETE", path+"?keep_tokens=1", nil).WantProblem(400)
		owner.Call("DELETE", path+"?keep_token=true", nil).WantProblem(400)
		if diff := cmp.Diff(before, s.State()); diff != "" {
			t.Errorf("what was refused changed the database:\n%s", diff)
		}
	})
}

// TestMembersAsServed walks through what is answered.
func TestMembersAsServed(t *testing.T) {
	heartlocktest.EachEngine(t, func(t *testing.T, s *heartlocktest.Server, owner *heartlocktest.Caller) {
		w := newWorld(t, s, owner)
		members := "/projects/" + w.p1.slug + "/members/"
		var list api.Page[api.Member]
		w.callers["viewer"].Call("GET", members, nil).Want(200).Decode(&list)
		roles := map[string]api.Role{}
		for _, m := range list.Results {
			roles[m.Email] = m.Role
			if m.CreatedAt.IsZero() || !m.IsActive || m.Environments == nil {
				t.Errorf("%+v", m)
			}
		}
		if diff := cmp.Diff(map[string]api.Role{
			heartlocktest.OwnerEmail: "owner", "admin@example.com": "admin", "member@example.com": "member", "viewer@example.com": "viewer", "limited@example.com": "member",
		}, roles); diff != "" {
			t.Error(diff)
		}
		var first, second api.Page[api.Member]
		owner.Call("GET", members+"?limit=3", nil).Want(200).Decode(&first)
		owner.Call("GET", members+"?cursor="+*first.Next, nil).Want(200).Decode(&second)
		if len(first.Results) != 3 || len(second.Results) != 2 || second.Next != nil {
			t.Errorf("pages: %+v, %+v", first, second)
		}

		viewer := members + w.callers["viewer"].UserID + "/"
		var changed api.Member
		w.callers["admin"].Call("PATCH", viewer, map[string]any{"role": "member", "environments": map[string]any{"staging": "read"}}).Want(200).Decode(&changed)
		if changed.Role != api.RoleMember || !cmp.Equal(changed.Environments, map[string]api.EnvironmentAccess{"staging": "read"}) || changed.Email != "viewer@example.com" {
			t.Errorf("%+v", changed)
		}
		before := s.State()
		w.callers["admin"].Call("PATCH", viewer, map[string]any{}).Want(200)
		w.callers["admin"].Call("PATCH", viewer, map[string]any{"role": "member"}).Want(200)
		if diff := cmp.Diff(before, s.State()); diff != "" {
			t.Errorf("what changes nothing changed the database:\n%s", diff)
		}
		own := members + owner.UserID + "/"
		w.callers["admin"].Call("PATCH", own, map[string]any{"role": "viewer"}).WantProblem(403)
		w.callers["admin"].Call("DELETE", own, nil).WantProblem(403)
		w.callers["admin"].Call("PATCH", viewer, map[string]any{"role": "owner"}).WantProblem(403)
		var trail api.Page[api.AuditEvent]
		owner.Call("GET", "/projects/"+w.p1.slug+"/audit/?limit=3", nil).Want(200).Decode(&trail)
		var refused []string
		for _, e := range trail.Results {
			refused = append(refused, e.Action+" "+e.Outcome+" "+e.Target)
		}
		if diff := cmp.Diff([]string{
			"member.update refused viewer@example.com", "member.remove refused " + heartlocktest.OwnerEmail, "member.update refused " + heartlocktest.OwnerEmail,
		}, refused); diff != "" {
			t.Errorf("what an admin tried is not in the trail: %s", diff)
		}
		owner.Call("DELETE", own, nil).WantProblem(409)
		owner.Call("PATCH", own, map[string]any{"role": "admin"}).WantProblem(409)
		w.callers["viewer"].Call("DELETE", viewer, nil).Want(204)
		w.callers["viewer"].Call("DELETE", viewer, nil).WantProblem(404)
		w.callers["viewer"].Call("GET", members, nil).WantProblem(404)
		owner.Call("DELETE", viewer, nil).WantProblem(404)
	})
}
