package api

// Matrix is which key of a project has which value where, without the values:
// the columns are the environments that the caller can see, in their order.
type Matrix struct {
	Environments []MatrixEnvironment `json:"environments"`
	Rows         []MatrixRow         `json:"rows"` // by key
}

// MatrixEnvironment is a column of a matrix.
type MatrixEnvironment struct {
	Slug      string `json:"slug"`
	Name      string `json:"name"`
	Protected bool   `json:"protected"`
	Revision  int64  `json:"revision"` // at which the cells of this column were read
}

// MatrixRow is a key with one cell for each environment, in the order of the
// columns.
type MatrixRow struct {
	Key   string       `json:"key"`
	Cells []MatrixCell `json:"cells"`
}

// MatrixCell is a secret in one environment. Cells of one row that have the same
// Group hold the same value; groups are numbered from 1 in the order of the
// columns, and say nothing about another row.
type MatrixCell struct {
	Version int64 `json:"version"` // 0: there is no such secret
	Group   int   `json:"group"`   // 0: there is no such secret, or it is Damaged
	// Damaged: the value can not be decrypted, so it is not known what it equals.
	Damaged bool `json:"damaged,omitempty"`
}

// IsMissing reports whether the environment has no secret of the key.
func (c MatrixCell) IsMissing() bool { return c.Version == 0 }

// Comparison is how the secrets of two environments of a project differ. Values
// are absent unless they were asked for.
type Comparison struct {
	A         ComparedEnvironment `json:"a"`
	B         ComparedEnvironment `json:"b"`
	OnlyA     []Secret            `json:"only_a"`
	OnlyB     []Secret            `json:"only_b"`
	Different []Difference        `json:"different"`
	Same      []string            `json:"same"` // keys with the same value in both; comments may differ
}

// ComparedEnvironment is one side of a comparison.
type ComparedEnvironment struct {
	Slug      string `json:"slug"`
	Name      string `json:"name"`
	Protected bool   `json:"protected"`
	Revision  int64  `json:"revision"` // at which it was read
}

// Difference is a key whose value is not the same in both environments.
type Difference struct {
	Key string `json:"key"`
	A   Secret `json:"a"`
	B   Secret `json:"b"`
}

// PromoteRequest copies secrets, with their comments, from another environment of
// the project.
type PromoteRequest struct {
	From string `json:"from"` // slug or id of the environment to copy from
	// Keys are what is copied; absent, everything that differs or is missing.
	Keys   []string `json:"keys,omitzero"`
	DryRun bool     `json:"dry_run,omitempty"` // only say what would change
	// Delete removes what From does not have: of Keys, or absent these, of all.
	Delete bool `json:"delete,omitempty"`
	// FromRevision is the revision that From must still have, as If-Match is for the
	// environment that is changed.
	FromRevision *int64 `json:"from_revision,omitzero"`
}

// PromoteResult says what a promotion changed, by key, in order.
type PromoteResult struct {
	Revision     int64    `json:"revision"` // of the environment that was changed
	From         string   `json:"from"`     // slug
	FromRevision int64    `json:"from_revision"`
	Created      []string `json:"created"`
	Updated      []string `json:"updated"`
	Unchanged    []string `json:"unchanged"`
	Deleted      []string `json:"deleted"`
	DryRun       bool     `json:"dry_run"`
	Warnings     []string `json:"warnings,omitempty"`
}
