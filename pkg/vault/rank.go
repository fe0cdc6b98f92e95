package vault

import (
	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
)

// Who may do something with whom. The policy table says from which role on a
// person may change members at all; these are the two rules on the roles of both,
// wherever a role is given or taken.

// mayActOn decides whether somebody with a role in a project may change or remove
// a member with another: those below him, and an owner everybody. Himself a person
// may always lower or remove.
func mayActOn(actor, target api.Role, self bool) error {
	if self || actor == api.RoleOwner || !target.AtLeast(actor) {
		return nil
	}
	return fault.Newf(fault.Forbidden, "Your role in this project is %s, so you may not change or remove an %s. Ask an owner.", actor, target)
}

// mayGrant decides whether somebody with a role in a project may give a role:
// his own at the highest.
func mayGrant(actor, role api.Role) error {
	if actor.AtLeast(role) {
		return nil
	}
	return fault.Newf(fault.Forbidden, "Your role in this project is %s, so you may not make anybody %s. Ask an owner.", actor, role)
}

// checkRole makes sure that what a request asks for is a role.
func checkRole(role api.Role) error {
	if role.Valid() {
		return nil
	}
	return fault.InvalidField("body.role", "must be \"viewer\", \"member\", \"admin\" or \"owner\"")
}
