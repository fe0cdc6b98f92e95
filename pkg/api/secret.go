package api

import "time"

// Secret is one secret of an environment. Value is absent where only the
// metadata was asked for.
type Secret struct {
	Key       string    `json:"key"`
	Value     *Value    `json:"value,omitzero"`
	Version   int64     `json:"version"`  // 1, 2, …: grows with each change of value, key or comment
	Revision  int64     `json:"revision"` // of the environment, at which this version came
	Comment   string    `json:"comment"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
	UpdatedBy Actor     `json:"updated_by"`
	Warnings  []string  `json:"warnings,omitempty"` // what may surprise, such as a key that `run` will not pass on
}

// SecretList is all secrets of one environment at one revision.
type SecretList struct {
	Revision int64    `json:"revision"`
	Results  []Secret `json:"results"`
	Next     *string  `json:"next"` // always null: an environment comes whole
}

// PutSecret creates a secret or replaces its value. An absent comment leaves
// the present one.
type PutSecret struct {
	Value   *Value  `json:"value"`
	Comment *string `json:"comment,omitzero"`
}

// PatchSecret renames a secret or edits its comment; what is absent stays.
type PatchSecret struct {
	Key     *string `json:"key,omitzero"`
	Comment *string `json:"comment,omitzero"`
}

// BulkRequest changes many secrets of one environment, all or none of them. A
// key of Comments must be one of Set; where it is absent the present comment
// stays.
type BulkRequest struct {
	Set      map[string]Value  `json:"set,omitempty"`
	Comments map[string]string `json:"comments,omitempty"`
	Unset    []string          `json:"unset,omitempty"`
	DryRun   bool              `json:"dry_run,omitempty"` // only say what would change
}

// BulkResult says what a bulk request changed, by key, in order.
type BulkResult struct {
	Revision  int64    `json:"revision"`
	Created   []string `json:"created"`
	Updated   []string `json:"updated"`
	Unchanged []string `json:"unchanged"`
	Deleted   []string `json:"deleted"`
	DryRun    bool     `json:"dry_run"`
	Warnings  []string `json:"warnings,omitempty"`
}
