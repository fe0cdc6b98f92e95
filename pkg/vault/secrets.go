package vault

import (
	"context"
	"strconv"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/store"
)

// SecretRef names a secret by its path.
type SecretRef struct {
	EnvironmentRef
	Key string
}

// Secret returns a secret with its value. The reading is audited first.
func (v *Vault) Secret(ctx context.Context, p Principal, ref SecretRef) (api.Secret, error) {
	view, row, err := v.secret(ctx, p, ActionReadSecret, ref)
	if err != nil {
		return api.Secret{}, err
	}
	value, err := v.open(row)
	if err != nil {
		return api.Secret{}, err
	}
	err = v.recordRead(ctx, p, event{
		action: ActionReadSecret, projectID: view.ProjectID, environment: view.Slug, target: row.Key,
		detail: map[string]string{"version": strconv.FormatInt(row.Version, 10)},
	})
	if err != nil {
		return api.Secret{}, err
	}
	answer := apiSecret(row)
	answer.Value = &value
	return answer, nil
}

// EnvironmentRevision is the present revision of an environment, for a caller
// who may list its secrets. It is what a conditional read compares before
// anything is decrypted.
func (v *Vault) EnvironmentRevision(ctx context.Context, p Principal, ref EnvironmentRef) (int64, error) {
	view, err := v.environment(ctx, v.store.Queries, p, ActionListSecrets, ref)
	if err != nil {
		return 0, err
	}
	return view.Revision, nil
}

// Secrets lists the secrets of an environment by key, without values.
func (v *Vault) Secrets(ctx context.Context, p Principal, ref EnvironmentRef) (api.SecretList, error) {
	view, rows, err := v.secretsOf(ctx, p, ActionListSecrets, ref)
	if err != nil {
		return api.SecretList{}, err
	}
	list := api.SecretList{Revision: view.Revision, Results: make([]api.Secret, len(rows))}
	for i := range rows {
		list.Results[i] = apiSecret(&rows[i])
	}
	return list, nil
}

// SecretsWithValues lists the secrets of an environment by key, with their
// values. The reading is audited first, as one event. One value that can not be
// decrypted fails the whole: a program must not start with a part of its
// environment.
func (v *Vault) SecretsWithValues(ctx context.Context, p Principal, ref EnvironmentRef) (api.SecretList, error) {
	view, rows, err := v.secretsOf(ctx, p, ActionReadSecret, ref)
	if err != nil {
		return api.SecretList{}, err
	}
	list := api.SecretList{Revision: view.Revision, Results: make([]api.Secret, len(rows))}
	values := make([]api.Value, len(rows))
	for i := range rows {
		if values[i], err = v.open(&rows[i]); err != nil {
			return api.SecretList{}, err
		}
		list.Results[i] = apiSecret(&rows[i])
		list.Results[i].Value = &values[i]
	}
	err = v.recordRead(ctx, p, event{
		action: ActionReadSecret, projectID: view.ProjectID, environment: view.Slug, target: "*",
		detail: map[string]string{"count": strconv.Itoa(len(rows)), "revision": strconv.FormatInt(view.Revision, 10)},
	})
	if err != nil {
		return api.SecretList{}, err
	}
	return list, nil
}

func (v *Vault) secretsOf(ctx context.Context, p Principal, a Action, ref EnvironmentRef) (*store.EnvironmentView, []store.Secret, error) {
	view, err := v.environment(ctx, v.store.Queries, p, a, ref)
	if err != nil {
		return nil, nil, err
	}
	rows, err := v.store.SecretsOf(ctx, &view.Environment)
	return view, rows, err
}

func apiSecret(row *store.Secret) api.Secret {
	return api.Secret{
		Key: row.Key, Version: row.Version, Revision: row.Revision, Comment: row.Comment,
		CreatedAt: row.CreatedAt.Time(), UpdatedAt: row.UpdatedAt.Time(), UpdatedBy: apiActor(row.UpdatedBy),
	}
}

// keyWarnings says what may surprise about a key.
func keyWarnings(key string) []string {
	if !api.DangerousKey(key) {
		return nil
	}
	return []string{key + " changes what programs execute; `heartlock run` will not pass it on unless it is allowed by name."}
}

// Match is a condition on the present state of what a write changes (RFC 9110,
// section 13.1). The zero Match is no condition.
type Match struct {
	Exists   bool   // If-Match: * — the secret must exist
	Absent   bool   // If-None-Match: * — it must not
	Revision *int64 // If-Match: "12" — the environment must be at this revision
	Version  *int64 // If-Match: "v3" — the secret must be at this version
	// VersionCame goes with Version, If-Match: "v3-12": the environment's revision at
	// which that version came. It tells apart two secrets that had the same key one
	// after the other, each of which has a version 3.
	VersionCame *int64
}

// check compares the condition with the state in the transaction.
func (m Match) check(view *store.EnvironmentView, row *store.Secret) error {
	switch {
	case m.Exists && row == nil:
		return fault.New(fault.PreconditionFailed, "The secret does not exist.")
	case m.Absent && row != nil:
		return fault.New(fault.PreconditionFailed, "The secret exists already, at version "+strconv.FormatInt(row.Version, 10)+".")
	case m.Revision != nil && *m.Revision != view.Revision:
		return fault.New(fault.PreconditionFailed, "The environment has changed since you read it and is at revision "+
			strconv.FormatInt(view.Revision, 10)+" now. Read it again and repeat your change.")
	case m.Version != nil && (row == nil || *m.Version != row.Version || m.VersionCame != nil && *m.VersionCame != row.Revision):
		return fault.New(fault.PreconditionFailed, "The secret has changed since you read it. Read it again and repeat your change.")
	}
	return nil
}
