package api

import "time"

// SecretVersion is one version of a secret, without its value.
type SecretVersion struct {
	Version   int64     `json:"version"`
	Key       string    `json:"key"` // the secret's key at that time
	Comment   string    `json:"comment"`
	Deleted   bool      `json:"deleted"`  // this version is the deletion
	Revision  int64     `json:"revision"` // of the environment, at which it came
	UpdatedAt time.Time `json:"updated_at"`
	UpdatedBy Actor     `json:"updated_by"`
}

// RollbackRequest gives a secret the value and the comment of a former version,
// as a new version. It also brings a deleted secret back.
type RollbackRequest struct {
	Version int64 `json:"version"`
}

// EnvironmentRevision is one change of an environment's secrets.
type EnvironmentRevision struct {
	Revision int64     `json:"revision"`
	At       time.Time `json:"at"`
	By       Actor     `json:"by"`
	Created  []string  `json:"created"` // keys; also of those that were brought back
	Updated  []string  `json:"updated"`
	Deleted  []string  `json:"deleted"`
	Renamed  []Rename  `json:"renamed"`
}

// Rename is a secret that got another key.
type Rename struct {
	From string `json:"from"`
	To   string `json:"to"`
}

// RestoreRequest puts an environment back to what it was: either at a revision or
// at a time.
type RestoreRequest struct {
	Revision *int64     `json:"revision,omitzero"`
	At       *time.Time `json:"at,omitzero"`
	DryRun   bool       `json:"dry_run,omitempty"` // only say what would change
}
