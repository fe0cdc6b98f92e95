package vault

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/store"
)

// Moment names a former state of an environment: exactly one of the two.
type Moment struct {
	Revision *int64
	At       *time.Time
}

// resolve finds the revision that is meant, if it can be told.
func (m Moment) resolve(ctx context.Context, q store.Queries, view *store.EnvironmentView) (revision int64, err error) {
	switch {
	case (m.Revision == nil) == (m.At == nil):
		return 0, fault.New(fault.Invalid, "Give either a revision or a time.")
	case m.At != nil:
		revision, err = q.RevisionAt(ctx, view.ID, store.MicrosOf(*m.At))
	default:
		revision = *m.Revision
	}
	if err != nil {
		return 0, err
	}
	if revision < 0 || revision > view.Revision {
		return 0, fault.Newf(fault.NotFound, "The environment has no revision %d; it is at revision %d.", revision, view.Revision)
	}
	oldest, err := q.HistoryFrom(ctx, view.ID)
	if err == nil && revision < oldest {
		err = fault.Newf(fault.Gone, "The history of this environment is kept from revision %d on; what it was at revision %d can not be told any more.", oldest, revision)
	}
	return revision, err
}

// RevisionAt is the revision of an environment at a moment, for a caller who may
// list its secrets. It is what a conditional read compares before anything is
// decrypted.
func (v *Vault) RevisionAt(ctx context.Context, p Principal, ref EnvironmentRef, m Moment) (revision int64, err error) {
	err = v.store.Snapshot(ctx, func(ctx context.Context, q store.Queries) error {
		view, err := v.environment(ctx, q, p, ActionListSecrets, ref)
		if err != nil {
			return err
		}
		revision, err = m.resolve(ctx, q, view)
		return err
	})
	return revision, err
}

// SecretsAt lists the secrets of an environment by key as they were at a moment,
// with their values if asked for, which is audited first.
func (v *Vault) SecretsAt(ctx context.Context, p Principal, ref EnvironmentRef, m Moment, values bool) (list api.SecretList, err error) {
	action := ActionListSecrets
	if values {
		action = ActionReadSecret
	}
	var view *store.EnvironmentView
	var rows []store.Secret
	err = v.store.Snapshot(ctx, func(ctx context.Context, q store.Queries) error {
		if view, err = v.environment(ctx, q, p, action, ref); err != nil {
			return err
		}
		if list.Revision, err = m.resolve(ctx, q, view); err != nil {
			return err
		}
		rows, err = q.SecretsAt(ctx, view.ID, list.Revision)
		return err
	})
	if err != nil {
		return api.SecretList{}, err
	}
	list.Results = make([]api.Secret, len(rows))
	for i := range rows {
		list.Results[i] = apiSecret(&rows[i])
		if !values {
			continue
		}
		value, err := v.open(&rows[i])
		if err != nil {
			return api.SecretList{}, err
		}
		list.Results[i].Value = &value
	}
	if values {
		err = v.recordRead(ctx, p, event{
			action: ActionReadSecret, projectID: view.ProjectID, environment: view.Slug, target: "*",
			detail: map[string]string{"count": strconv.Itoa(len(rows)), "revision": strconv.FormatInt(list.Revision, 10)},
		})
		if err != nil {
			return api.SecretList{}, err
		}
	}
	return list, nil
}

// DeletedSecrets lists the deleted secrets of an environment that can be brought
// back, by key: when and by whom they were deleted. If there are more than an
// environment holds, it is those that were deleted last.
func (v *Vault) DeletedSecrets(ctx context.Context, p Principal, ref EnvironmentRef) (api.SecretList, error) {
	view, err := v.environment(ctx, v.store.Queries, p, ActionListSecrets, ref)
	if err != nil {
		return api.SecretList{}, err
	}
	rows, err := v.store.DeletedSecrets(ctx, view.ID, api.MaxSecretsPerEnvironment)
	if err != nil {
		return api.SecretList{}, err
	}
	slices.SortFunc(rows, func(a, b store.Secret) int { return strings.Compare(a.Key, b.Key) })
	list := api.SecretList{Revision: view.Revision, Results: make([]api.Secret, len(rows))}
	for i := range rows {
		list.Results[i] = apiSecret(&rows[i])
	}
	return list, nil
}

// secretWithHistory finds a secret by its key: the live one, or the one that was
// deleted last.
func (v *Vault) secretWithHistory(ctx context.Context, p Principal, a Action, ref SecretRef) (*store.EnvironmentView, *store.Secret, error) {
	view, err := v.environment(ctx, v.store.Queries, p, a, ref.EnvironmentRef)
	if err != nil {
		return nil, nil, refusedOn(err, ref.Key)
	}
	found, err := v.lastWithKey(ctx, v.store.Queries, view, ref.Key)
	return view, found, err
}

func (v *Vault) lastWithKey(ctx context.Context, q store.Queries, view *store.EnvironmentView, key string) (*store.Secret, error) {
	if api.CheckKey(key) != "" {
		return nil, errNotFound
	}
	found, err := q.SecretsByKey(ctx, view.ID, []string{key})
	if err == nil && found[key] == nil {
		err = errNotFound
	}
	return found[key], err
}

// SecretVersions lists the versions of a secret that are kept, the newest first.
// That of a deleted one begins with the deletion.
func (v *Vault) SecretVersions(ctx context.Context, p Principal, ref SecretRef, cursor string, limit int) (page api.Page[api.SecretVersion], err error) {
	page.Results = []api.SecretVersion{}
	_, newest, err := v.secretWithHistory(ctx, p, ActionListSecrets, ref)
	if err != nil {
		return page, err
	}
	if limit, err = pageLimit(limit); err != nil {
		return page, err
	}
	before := newest.Version
	if cursor == "" {
		page.Results = append(page.Results, apiSecretVersion(newest.AsVersion()))
	} else if before, err = strconv.ParseInt(cursor, 10, 64); err != nil || before < 1 {
		return page, badCursor()
	}
	rows, err := v.store.FormerVersions(ctx, newest.ID, before, limit+1-len(page.Results))
	if err != nil {
		return page, err
	}
	for _, row := range rows {
		if len(page.Results) == limit {
			next := strconv.FormatInt(page.Results[limit-1].Version, 10)
			page.Next = &next
			break
		}
		page.Results = append(page.Results, apiSecretVersion(row))
	}
	return page, nil
}

func apiSecretVersion(row store.SecretVersion) api.SecretVersion {
	return api.SecretVersion{
		Version: row.Version, Key: row.Key, Comment: row.Comment, Deleted: row.Sealed == nil, Revision: row.Revision,
		UpdatedAt: row.UpdatedAt.Time(), UpdatedBy: apiActor(row.UpdatedBy),
	}
}

// versionOf finds a version of a secret that has a value.
func versionOf(ctx context.Context, q store.Queries, newest *store.Secret, version int64) (*store.Secret, error) {
	row := newest.AsVersion()
	if version != newest.Version {
		former, err := q.FormerVersion(ctx, newest.ID, version)
		switch {
		case errors.Is(err, fault.NotFound):
			return nil, fault.Newf(fault.NotFound, "There is no version %d of %s, or it is not kept any more.", version, newest.Key)
		case err != nil:
			return nil, err
		}
		row = *former
	}
	if row.Sealed == nil {
		return nil, fault.Newf(fault.NotFound, "Version %d of %s is its deletion and has no value.", version, newest.Key)
	}
	return &store.Secret{
		ID: newest.ID, Key: row.Key, Version: row.Version, Comment: row.Comment, Sealed: row.Sealed, KeyFingerprint: row.KeyFingerprint,
		Revision: row.Revision, CreatedAt: newest.CreatedAt, UpdatedAt: row.UpdatedAt, UpdatedBy: row.UpdatedBy,
	}, nil
}

// SecretVersion returns one version of a secret with its value, also of a deleted
// one. The reading is audited first.
func (v *Vault) SecretVersion(ctx context.Context, p Principal, ref SecretRef, version int64) (api.Secret, error) {
	view, newest, err := v.secretWithHistory(ctx, p, ActionReadSecret, ref)
	if err != nil {
		return api.Secret{}, err
	}
	row, err := versionOf(ctx, v.store.Queries, newest, version)
	if err != nil {
		return api.Secret{}, err
	}
	value, err := v.open(row)
	if err != nil {
		return api.Secret{}, err
	}
	err = v.recordRead(ctx, p, event{
		action: ActionReadSecret, projectID: view.ProjectID, environment: view.Slug, target: ref.Key,
		detail: map[string]string{"version": strconv.FormatInt(version, 10)},
	})
	if err != nil {
		return api.Secret{}, err
	}
	answer := apiSecret(row)
	answer.Value = &value
	return answer, nil
}

// RollBack gives a secret the value and the comment of a former version, as a
// new version. It brings a deleted secret back. A version that does not differ
// from the present one changes nothing.
func (v *Vault) RollBack(ctx context.Context, p Principal, ref SecretRef, in api.RollbackRequest, m Match) (api.Secret, error) {
	var done change
	err := v.write(ctx, p, func(ctx context.Context, tx store.Tx) error {
		view, err := v.environment(ctx, tx.Queries, p, ActionWriteSecret, ref.EnvironmentRef)
		if err != nil {
			return refusedOn(err, ref.Key)
		}
		newest, err := v.lastWithKey(ctx, tx.Queries, view, ref.Key)
		if err != nil {
			return err
		}
		if err := m.check(view, live(newest)); err != nil {
			return err
		}
		former, err := versionOf(ctx, tx.Queries, newest, in.Version)
		if err != nil {
			return err
		}
		value, err := v.open(former)
		if err != nil {
			return err
		}
		changes, err := v.plan(ctx, tx, p, view, map[string]*store.Secret{ref.Key: newest}, []edit{{
			key: ref.Key, value: &value, comment: &former.Comment,
			detail: map[string]string{"rolled_back_to": strconv.FormatInt(in.Version, 10)},
		}})
		if err != nil {
			return err
		}
		done, err = v.applyOne(ctx, tx, p, view, changes)
		return err
	})
	if err != nil {
		return api.Secret{}, err
	}
	return apiSecret(&done.row), nil
}

// Bounds of a page of revisions: a revision may name all secrets that the
// environment had before it and all that it has after it.
const (
	maxRevisionsPerPage = 100
	maxChangesPerPage   = 2 * api.MaxSecretsPerEnvironment
)

// Revisions lists the changes of an environment's secrets, the newest first, as
// far back as the states that can be told.
func (v *Vault) Revisions(ctx context.Context, p Principal, ref EnvironmentRef, cursor string, limit int) (page api.Page[api.EnvironmentRevision], err error) {
	if limit, err = pageLimit(limit); err != nil {
		return page, err
	}
	limit = min(limit, maxRevisionsPerPage)
	var rows []store.RevisionChange
	var oldest, from int64
	err = v.store.Snapshot(ctx, func(ctx context.Context, q store.Queries) error {
		view, err := v.environment(ctx, q, p, ActionListSecrets, ref)
		if err != nil {
			return err
		}
		before := view.Revision + 1
		if cursor != "" {
			if before, err = strconv.ParseInt(cursor, 10, 64); err != nil || before < 1 {
				return badCursor()
			}
		}
		if oldest, err = q.HistoryFrom(ctx, view.ID); err != nil {
			return err
		}
		oldest = max(1, oldest)
		from = max(oldest, before-int64(limit))
		rows, err = q.ChangesBetween(ctx, view.ID, from, before, maxChangesPerPage+1)
		return err
	})
	if err != nil {
		return page, err
	}
	page.Results = revisionsOf(rows)
	if len(rows) > maxChangesPerPage && len(page.Results) > 1 { // the last one may not be whole
		page.Results = page.Results[:len(page.Results)-1]
		from = page.Results[len(page.Results)-1].Revision
	}
	if from > oldest {
		next := strconv.FormatInt(from, 10)
		page.Next = &next
	}
	return page, nil
}

// revisionsOf puts changes, the newest first, together by their revision.
func revisionsOf(rows []store.RevisionChange) []api.EnvironmentRevision {
	revisions := []api.EnvironmentRevision{}
	for _, row := range rows {
		if n := len(revisions); n == 0 || revisions[n-1].Revision != row.Revision {
			revisions = append(revisions, api.EnvironmentRevision{
				Revision: row.Revision, At: row.UpdatedAt.Time(), By: apiActor(row.UpdatedBy),
				Created: []string{}, Updated: []string{}, Deleted: []string{}, Renamed: []api.Rename{},
			})
		}
		tell(&revisions[len(revisions)-1], row)
	}
	return revisions
}

// tell adds a change to its revision.
func tell(r *api.EnvironmentRevision, c store.RevisionChange) {
	switch {
	case c.Sealed == nil:
		r.Deleted = append(r.Deleted, c.Key)
	case c.Version == 1, c.HasFormer && !c.FormerHadText:
		r.Created = append(r.Created, c.Key)
	case c.HasFormer && c.FormerKey != c.Key:
		r.Renamed = append(r.Renamed, api.Rename{From: c.FormerKey, To: c.Key})
	default:
		r.Updated = append(r.Updated, c.Key)
	}
}

// Restore puts the secrets of an environment back to what they were at a moment,
// as one new revision: keys, values and comments. With DryRun nothing happens.
// One value of that time that can not be decrypted fails the whole.
func (v *Vault) Restore(ctx context.Context, p Principal, ref EnvironmentRef, in api.RestoreRequest, m Match) (answer api.BulkResult, err error) {
	if m.Absent || m.Version != nil {
		return answer, fault.InvalidField("header", "restoring can depend on the environment's ETag alone, such as If-Match: \"12\"")
	}
	m.Exists = false // the environment does, or it is not found
	err = v.write(ctx, p, func(ctx context.Context, tx store.Tx) error {
		view, err := v.environment(ctx, tx.Queries, p, ActionRestoreEnvironment, ref)
		if err != nil {
			return err
		}
		if err := m.check(view, nil); err != nil {
			return err
		}
		revision, err := Moment{in.Revision, in.At}.resolve(ctx, tx.Queries, view)
		if err != nil {
			return err
		}
		changes, err := v.planRestore(ctx, tx, p, view, revision)
		if err != nil {
			return err
		}
		answer = summarise(changes, view.Revision)
		if answer.DryRun = in.DryRun; in.DryRun {
			return v.recordComparison(ctx, tx, p, view, changes)
		}
		if answer.Revision, err = v.apply(ctx, tx, p, view, changes); err != nil || answer.Revision == view.Revision {
			return err
		}
		return v.record(ctx, tx, p, event{
			action: ActionRestoreEnvironment, projectID: view.ProjectID, environment: view.Slug, target: view.Slug,
			detail: map[string]string{"to": strconv.FormatInt(revision, 10), "revision": strconv.FormatInt(answer.Revision, 10)},
		})
	})
	return answer, err
}

// planRestore works out what makes the environment what it was at a revision.
func (v *Vault) planRestore(ctx context.Context, tx store.Tx, p Principal, view *store.EnvironmentView, revision int64) ([]change, error) {
	wanted, err := tx.SecretsAt(ctx, view.ID, revision)
	if err != nil {
		return nil, err
	}
	present, err := tx.SecretsOf(ctx, &view.Environment)
	if err != nil {
		return nil, err
	}
	edits := make([]edit, 0, len(wanted)+len(present))
	stays := make(map[string]bool, len(wanted))
	for i := range wanted {
		stays[wanted[i].Key] = true
		value, err := v.open(&wanted[i])
		if err != nil {
			return nil, err
		}
		edits = append(edits, edit{key: wanted[i].Key, value: &value, comment: &wanted[i].Comment})
	}
	for i := range present {
		if !stays[present[i].Key] {
			edits = append(edits, edit{key: present[i].Key, remove: true})
		}
	}
	found, err := secretsByKeys(ctx, tx.Queries, view.ID, keysOf(edits))
	if err != nil {
		return nil, err
	}
	return v.plan(ctx, tx, p, view, found, edits)
}

// keysPerQuery bounds the length of a query that names keys.
const keysPerQuery = 500

// secretsByKeys is SecretsByKey for any number of keys.
func secretsByKeys(ctx context.Context, q store.Queries, environmentID string, keys []string) (map[string]*store.Secret, error) {
	all := make(map[string]*store.Secret, len(keys))
	for some := range slices.Chunk(keys, keysPerQuery) {
		found, err := q.SecretsByKey(ctx, environmentID, some)
		if err != nil {
			return nil, err
		}
		for key, secret := range found {
			all[key] = secret
		}
	}
	return all, nil
}
