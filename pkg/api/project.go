package api

import "time"

// Project holds environments; people are its members.
type Project struct {
	ID          string    `json:"id"`
	Slug        string    `json:"slug"`
	Name        string    `json:"name"`
	Description string    `json:"description"`
	Role        Role      `json:"role,omitempty"` // the caller's; absent for service tokens
	CreatedAt   time.Time `json:"created_at"`
	UpdatedAt   time.Time `json:"updated_at"`
}

// CreateProject makes a project with development, staging and production. The
// slug is made from the name when absent.
type CreateProject struct {
	Name        string `json:"name"`
	Slug        string `json:"slug,omitempty"`
	Description string `json:"description,omitempty"`
}

// UpdateProject changes a project; what is absent stays.
type UpdateProject struct {
	Name        *string `json:"name,omitzero"`
	Slug        *string `json:"slug,omitzero"`
	Description *string `json:"description,omitzero"`
}

// Environment holds secrets. Revision grows with each change of them.
type Environment struct {
	ID          string    `json:"id"`
	Slug        string    `json:"slug"`
	Name        string    `json:"name"`
	Position    int       `json:"position"`  // order in lists, from 0
	Protected   bool      `json:"protected"` // people need to be admin to change it
	Revision    int64     `json:"revision"`
	SecretCount int       `json:"secret_count"`
	CreatedAt   time.Time `json:"created_at"`
	UpdatedAt   time.Time `json:"updated_at"`
}

// CreateEnvironment makes an environment after the existing ones. The slug is
// made from the name when absent.
type CreateEnvironment struct {
	Name      string `json:"name"`
	Slug      string `json:"slug,omitempty"`
	Protected bool   `json:"protected,omitempty"`
}

// UpdateEnvironment changes an environment; what is absent stays.
type UpdateEnvironment struct {
	Name      *string `json:"name,omitzero"`
	Slug      *string `json:"slug,omitzero"`
	Position  *int    `json:"position,omitzero"`
	Protected *bool   `json:"protected,omitzero"`
}

// ServiceToken lets a machine at the secrets of some environments of one
// project. It belongs to the project, not to a person.
type ServiceToken struct {
	ID           string     `json:"id"`
	Name         string     `json:"name"`
	Prefix       string     `json:"prefix"`
	Environments []string   `json:"environments"` // slugs
	Access       Access     `json:"access"`
	AllowedCIDRs []string   `json:"allowed_cidrs"` // empty: from anywhere
	CreatedAt    time.Time  `json:"created_at"`
	CreatedBy    Actor      `json:"created_by"`
	ExpiresAt    *time.Time `json:"expires_at"`
	LastUsedAt   *time.Time `json:"last_used_at"`
	LastUsedIP   string     `json:"last_used_ip,omitempty"`
	ExposedAt    *time.Time `json:"exposed_at"`     // when it was sent over plain http: replace it
	Token        *Value     `json:"token,omitzero"` // only in the answer that creates it
}

// CreateServiceToken asks for a service token; without ExpiresAt it does not
// expire.
type CreateServiceToken struct {
	Name         string     `json:"name"`
	Environments []string   `json:"environments"` // slugs or ids, at least one
	Access       Access     `json:"access"`
	AllowedCIDRs []string   `json:"allowed_cidrs,omitempty"`
	ExpiresAt    *time.Time `json:"expires_at,omitzero"`
}
