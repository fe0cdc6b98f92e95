package api

import (
	"slices"
	"time"
)

// EnvironmentAccess is what a member of a project may do in one environment.
type EnvironmentAccess string

// The accesses. Where none is named, it is EnvironmentWrite.
const (
	EnvironmentNone  EnvironmentAccess = "none"  // the environment does not exist for the member
	EnvironmentRead  EnvironmentAccess = "read"  // the member is a viewer in it, whatever the role
	EnvironmentWrite EnvironmentAccess = "write" // the member may do what the role allows
)

// EnvironmentAccesses lists every access, the narrowest first.
func EnvironmentAccesses() []EnvironmentAccess {
	return []EnvironmentAccess{EnvironmentNone, EnvironmentRead, EnvironmentWrite}
}

// Valid reports whether a is exactly one of the accesses.
func (a EnvironmentAccess) Valid() bool { return slices.Contains(EnvironmentAccesses(), a) }

// Member is a person in a project.
type Member struct {
	ID        string `json:"id"` // of the user
	Email     string `json:"email"`
	FirstName string `json:"first_name"`
	LastName  string `json:"last_name"`
	Role      Role   `json:"role"`
	// Environments has, by slug, the environments in which the member may do less
	// than the role allows, as far as the caller can see them.
	Environments map[string]EnvironmentAccess `json:"environments"`
	IsActive     bool                         `json:"is_active"`  // the account can be used
	CreatedAt    time.Time                    `json:"created_at"` // when the person became a member
}

// UpdateMember changes what a member may do; what is absent stays. Environments
// are named by slug or id; EnvironmentWrite ends a narrowing. Only viewers and
// members can be narrowed: an admin or owner may do everything everywhere, so to
// make someone one ends all narrowing. An environment that is created later is
// narrowed for nobody, also if one of that slug was before.
type UpdateMember struct {
	Role         *Role                        `json:"role,omitzero"`
	Environments map[string]EnvironmentAccess `json:"environments,omitzero"`
}
