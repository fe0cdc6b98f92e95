package api

import "slices"

// Role is what a person may do in a project. The order is the rank: each role
// may do what the ones before it may.
type Role string

// The roles, from the lowest to the highest.
const (
	RoleViewer Role = "viewer" // reads secrets
	RoleMember Role = "member" // also writes secrets and environments
	RoleAdmin  Role = "admin"  // also members, invitations, service tokens, the project's name
	RoleOwner  Role = "owner"  // also deletes the project and makes owners
)

// Roles lists every role by rank.
func Roles() []Role { return []Role{RoleViewer, RoleMember, RoleAdmin, RoleOwner} }

// Valid reports whether r is exactly one of the roles: no other case, no spaces.
func (r Role) Valid() bool { return slices.Contains(Roles(), r) }

// AtLeast reports whether r ranks as high as other or higher. What is no role
// ranks below all.
func (r Role) AtLeast(other Role) bool {
	return r.Valid() && slices.Index(Roles(), r) >= slices.Index(Roles(), other)
}

// Access is what a service token may do with the secrets of its environments.
type Access string

// The two accesses.
const (
	AccessRead  Access = "read"
	AccessWrite Access = "write" // reads as well
)

// Valid reports whether a is exactly one of the accesses.
func (a Access) Valid() bool { return a == AccessRead || a == AccessWrite }

// AtLeast reports whether a includes other.
func (a Access) AtLeast(other Access) bool {
	return a == other && a.Valid() || a == AccessWrite && other == AccessRead
}
