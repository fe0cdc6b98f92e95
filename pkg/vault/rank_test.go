package vault

import (
	"errors"
	"testing"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
)

// The two rules on ranks, for every pair of roles. A row is the role of who acts;
// the columns are viewer, member, admin, owner.
func TestRanks(t *testing.T) {
	t.Parallel()
	const yes, no = true, false
	actOn := map[api.Role][4]bool{
		api.RoleViewer: {no, no, no, no},
		api.RoleMember: {yes, no, no, no}, // the policy table asks for an admin besides
		api.RoleAdmin:  {yes, yes, no, no},
		api.RoleOwner:  {yes, yes, yes, yes},
		"":             {no, no, no, no},
		"Owner":        {no, no, no, no},
	}
	grant := map[api.Role][4]bool{
		api.RoleViewer: {yes, no, no, no},
		api.RoleMember: {yes, yes, no, no},
		api.RoleAdmin:  {yes, yes, yes, no},
		api.RoleOwner:  {yes, yes, yes, yes},
		"":             {no, no, no, no},
		"Owner":        {no, no, no, no},
	}
	check := func(what string, actor, other api.Role, err error, may bool) {
		t.Helper()
		if may && err != nil || !may && !errors.Is(err, fault.Forbidden) {
			t.Errorf("%s: %q and %q: %v, want %v", what, actor, other, err, may)
		}
	}
	for actor := range actOn {
		for i, other := range api.Roles() {
			check("act on", actor, other, mayActOn(actor, other, false), actOn[actor][i])
			check("act on himself", actor, other, mayActOn(actor, other, true), yes)
			check("grant", actor, other, mayGrant(actor, other), grant[actor][i])
		}
	}
}
