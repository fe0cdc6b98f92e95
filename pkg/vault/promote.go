package vault

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/store"
)

// Promote copies secrets with their comments from another environment of the
// project, all or none, as one revision: those that are named, or all that differ
// or are missing. The caller must be able to read the other environment. With
// DryRun nothing happens; that is audited as a comparison. One value that can not
// be decrypted fails the whole.
func (v *Vault) Promote(ctx context.Context, p Principal, ref EnvironmentRef, in api.PromoteRequest, m Match) (answer api.PromoteResult, err error) {
	if m.Absent || m.Version != nil {
		return answer, fault.InvalidField("header", "promoting can depend on the environment's ETag alone, such as If-Match: \"12\"")
	}
	m.Exists = false // the environment does, or it is not found
	if err := checkPromotedKeys(in.Keys); err != nil {
		return answer, err
	}
	way, err := v.findWay(ctx, p, ref, in.From)
	if err != nil {
		return answer, err
	}
	err = v.write(ctx, p, func(ctx context.Context, tx store.Tx) error {
		target, source, err := v.lockWay(ctx, tx, p, way)
		if err != nil {
			return err
		}
		if err := m.check(target, nil); err != nil {
			return err
		}
		changes, err := v.planPromotion(ctx, tx, p, target, source, in)
		if err != nil {
			return err
		}
		answer = promoteResult(summarise(changes, target.Revision), source)
		if answer.DryRun = in.DryRun; !in.DryRun {
			if answer.Revision, err = v.apply(ctx, tx, p, target, changes); err != nil {
				return err
			}
		}
		return v.recordPromotion(ctx, tx, p, target, source, answer)
	})
	if err != nil { // what could not be recorded is not told
		return api.PromoteResult{}, err
	}
	return answer, nil
}

func checkPromotedKeys(keys []string) error {
	const location = "body.keys"
	if keys != nil && len(keys) == 0 || len(keys) > api.MaxSecretsPerEnvironment {
		return fault.InvalidField(location, fmt.Sprintf("must name 1 to %d secrets; leave it out for all", api.MaxSecretsPerEnvironment))
	}
	seen := make(map[string]bool, len(keys))
	for _, key := range keys {
		if problem := api.CheckKey(key); problem != "" {
			return fault.InvalidField(location, "a secret's key "+problem)
		}
		if seen[key] {
			return fault.InvalidField(location, "names "+key+" twice")
		}
		seen[key] = true
	}
	return nil
}

// way is the two environments of a promotion by their ids.
type way struct {
	project, target, source string
}

// findWay finds the two environments. What it finds is decided on again under the
// locks; here it is for their ids alone, so that the locks can be taken in an
// order.
func (v *Vault) findWay(ctx context.Context, p Principal, ref EnvironmentRef, from string) (way, error) {
	target, err := v.environment(ctx, v.store.Queries, p, ActionPromote, ref)
	if err != nil {
		return way{}, err
	}
	source, err := v.environment(ctx, v.store.Queries, p, ActionReadSecret, EnvironmentRef{target.ProjectID, from})
	if err != nil {
		return way{}, notReadable(err)
	}
	if source.ID == target.ID {
		return way{}, fault.InvalidField("body.from", "is the environment itself")
	}
	return way{target.ProjectID, target.ID, source.ID}, nil
}

// notReadable words that the environment to copy from is not found, the same for
// one that is withheld from the caller and for one that never was.
func notReadable(err error) error {
	if errors.Is(err, fault.NotFound) {
		return fault.InvalidField("body.from", "names no environment of this project that you can read")
	}
	return err
}

// lockWay locks both environments, in the order of their ids so that two
// promotions in opposite directions do not wait for each other, and decides on
// what the caller may do. From here on nobody changes either of them.
func (v *Vault) lockWay(ctx context.Context, tx store.Tx, p Principal, w way) (target, source *store.EnvironmentView, err error) {
	lockTarget := func() (err error) {
		target, err = v.environment(ctx, tx.Queries, p, ActionPromote, EnvironmentRef{w.project, w.target})
		return err
	}
	lockSource := func() (err error) {
		source, err = v.environment(ctx, tx.Queries, p, ActionReadSecret, EnvironmentRef{w.project, w.source})
		return notReadable(err)
	}
	steps := []func() error{lockTarget, lockSource}
	if w.source < w.target {
		slices.Reverse(steps)
	}
	for _, lock := range steps {
		if err := lock(); err != nil {
			return nil, nil, err
		}
	}
	return target, source, nil
}

func (v *Vault) planPromotion(ctx context.Context, tx store.Tx, p Principal, target, source *store.EnvironmentView, in api.PromoteRequest) ([]change, error) {
	rows, err := tx.SecretsOf(ctx, &source.Environment)
	if err != nil {
		return nil, err
	}
	if in.FromRevision != nil && *in.FromRevision != source.Revision {
		return nil, fault.Newf(fault.PreconditionFailed, "%s has changed since you looked and is at revision %d now. Look again at what would be copied.", source.Slug, source.Revision)
	}
	var present []store.Secret
	if in.Delete {
		if present, err = tx.SecretsOf(ctx, &target.Environment); err != nil {
			return nil, err
		}
	}
	edits, err := v.promotionEdits(in, source.Slug, rows, present)
	if err != nil {
		return nil, err
	}
	found, err := secretsByKeys(ctx, tx.Queries, target.ID, keysOf(edits))
	if err != nil {
		return nil, err
	}
	return v.plan(ctx, tx, p, target, found, edits)
}

// promotionEdits are what makes the wanted secrets those of the source. present is
// what the target has, if something is to be deleted.
func (v *Vault) promotionEdits(in api.PromoteRequest, source string, rows, present []store.Secret) ([]edit, error) {
	wanted := func(string) bool { return true }
	if in.Keys != nil {
		named := make(map[string]bool, len(in.Keys))
		for _, key := range in.Keys {
			named[key] = true
		}
		wanted = func(key string) bool { return named[key] }
	}
	rows = slices.DeleteFunc(rows, func(s store.Secret) bool { return !wanted(s.Key) })
	values, err := v.openValues(rows)
	if err != nil {
		return nil, err
	}
	detail := map[string]string{"promoted_from": source}
	edits := make([]edit, 0, len(rows)+len(present))
	there := make(map[string]bool, len(rows)+len(present))
	for i := range rows {
		there[rows[i].Key] = true
		edits = append(edits, edit{key: rows[i].Key, value: &values[i], comment: &rows[i].Comment, detail: detail})
	}
	for i := range present {
		if key := present[i].Key; wanted(key) && !there[key] {
			there[key] = true
			edits = append(edits, edit{key: key, remove: true, detail: detail})
		}
	}
	for _, key := range in.Keys {
		if !there[key] {
			return nil, fault.InvalidField("body.keys", "names "+key+", which is not in "+source)
		}
	}
	return edits, nil
}

func promoteResult(r api.BulkResult, source *store.EnvironmentView) api.PromoteResult {
	return api.PromoteResult{
		Revision: r.Revision, From: source.Slug, FromRevision: source.Revision,
		Created: r.Created, Updated: r.Updated, Unchanged: r.Unchanged, Deleted: r.Deleted, Warnings: r.Warnings,
	}
}

// recordPromotion tells of the promotion where it went to, and of the reading where
// it came from. One that has changed nothing, or was only tried, has compared.
func (v *Vault) recordPromotion(ctx context.Context, tx store.Tx, p Principal, target, source *store.EnvironmentView, r api.PromoteResult) error {
	copied := len(r.Created) + len(r.Updated)
	if r.DryRun || copied+len(r.Deleted) == 0 {
		return v.record(ctx, tx, p, event{
			action: ActionCompareSecrets, projectID: target.ProjectID, environment: target.Slug, target: source.Slug,
			detail: map[string]string{"dry_run": strconv.FormatBool(r.DryRun), "count": strconv.Itoa(len(r.Updated) + len(r.Unchanged))},
		})
	}
	revision := strconv.FormatInt(source.Revision, 10)
	return v.record(
		ctx, tx, p,
		event{
			action: ActionReadSecret, projectID: source.ProjectID, environment: source.Slug, target: "*",
			detail: map[string]string{"count": strconv.Itoa(copied), "revision": revision, "promoted_to": target.Slug},
		},
		event{
			action: ActionPromote, projectID: target.ProjectID, environment: target.Slug, target: target.Slug,
			detail: map[string]string{"from": source.Slug, "from_revision": revision, "revision": strconv.FormatInt(r.Revision, 10)},
		},
	)
}
