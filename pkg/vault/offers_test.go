package vault_test

import (
	"slices"
	"testing"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/vault"
)

func TestOffersFollowRank(t *testing.T) {
	t.Parallel()
	const change = vault.ActionUpdateMember
	for _, c := range []struct {
		role, target api.Role
		self, may    bool
	}{
		{api.RoleOwner, api.RoleOwner, false, true},
		{api.RoleOwner, api.RoleViewer, false, true},
		{api.RoleAdmin, api.RoleMember, false, true},
		{api.RoleAdmin, api.RoleAdmin, false, false},
		{api.RoleAdmin, api.RoleOwner, false, false},
		{api.RoleAdmin, api.RoleAdmin, true, true},
		{api.RoleMember, api.RoleViewer, false, false},
		{api.RoleMember, api.RoleMember, true, false},
		{"", api.RoleViewer, false, false},
	} {
		if may := vault.MayActOn(c.role, change, c.target, c.self); may != c.may {
			t.Errorf("%q on %q (self: %v): %v", c.role, c.target, c.self, may)
		}
	}
	for role, want := range map[api.Role][]api.Role{
		"": nil, api.RoleViewer: {api.RoleViewer}, api.RoleAdmin: {api.RoleViewer, api.RoleMember, api.RoleAdmin}, api.RoleOwner: api.Roles(),
	} {
		if got := vault.RolesToGive(role); !slices.Equal(got, want) {
			t.Errorf("%q may give %q", role, got)
		}
	}
	for action, may := range map[vault.Action]bool{
		vault.ActionListMembers: true, vault.ActionLeaveProject: true, vault.ActionCreateToken: false, vault.ActionListUsers: false, "no.action": false,
	} {
		if vault.RoleMay(api.RoleMember, action) != may {
			t.Errorf("a member and %s: %v", action, !may)
		}
	}
}
