package vault

import "github.com/heartlock/heartlock/pkg/api"

// What a page may offer to somebody, by the rules that the operations decide by. An
// operation that is asked for all the same decides for itself.

// RoleMay tells whether a role in a project allows an action there, outside of
// protected environments.
func RoleMay(role api.Role, a Action) bool {
	rule, known := policy[a]
	return known && rule.Role != "" && role.AtLeast(rule.Role)
}

// MayActOn tells whether somebody with a role in a project may do a, which changes or
// removes a member, with one who has another role; self: it is himself.
func MayActOn(role api.Role, a Action, target api.Role, self bool) bool {
	return RoleMay(role, a) && mayActOn(role, target, self) == nil
}

// RolesToGive lists the roles that somebody with a role in a project may give,
// from the lowest to the highest.
func RolesToGive(role api.Role) (roles []api.Role) {
	for _, r := range api.Roles() {
		if mayGrant(role, r) == nil {
			roles = append(roles, r)
		}
	}
	return roles
}

// MailDelivers tells whether letters reach the mailboxes of people here: otherwise
// links must be passed on by hand.
func (v *Vault) MailDelivers() bool { return v.mailer().About().Delivers }
