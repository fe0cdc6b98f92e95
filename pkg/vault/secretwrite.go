package vault

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/store"
)

// edit is one wanted change of one secret; what is nil stays.
type edit struct {
	key     string
	value   *api.Value
	comment *string
	rename  *string
	remove  bool
	detail  map[string]string // for the audit event
}

// effect is what an edit did.
type effect string

const (
	created   effect = "secret.create"
	updated   effect = "secret.update"
	deleted   effect = "secret.delete"
	unchanged effect = ""
)

// change is an edit carried out on rows, not yet written.
type change struct {
	effect effect
	old    *store.Secret     // nil: the key was never there
	row    store.Secret      // as it shall be
	detail map[string]string // for the audit event
}

// PutSecret creates a secret or replaces its value. A value and comment equal
// to the present ones change nothing and make no version. The answer holds no
// value.
func (v *Vault) PutSecret(ctx context.Context, p Principal, ref SecretRef, in api.PutSecret, m Match) (answer api.Secret, isNew bool, err error) {
	if in.Value == nil {
		return answer, false, fault.InvalidField("body.value", "is required; it may be empty")
	}
	c, err := v.editOne(ctx, p, ActionWriteSecret, ref, edit{key: ref.Key, value: in.Value, comment: in.Comment}, m)
	if err != nil {
		return answer, false, err
	}
	answer = apiSecret(&c.row)
	answer.Warnings = keyWarnings(c.row.Key)
	return answer, c.effect == created, nil
}

// PatchSecret renames a secret or edits its comment, which makes a version.
func (v *Vault) PatchSecret(ctx context.Context, p Principal, ref SecretRef, in api.PatchSecret, m Match) (api.Secret, error) {
	if in.Key != nil {
		if problem := api.CheckKey(*in.Key); problem != "" {
			return api.Secret{}, fault.InvalidField("body.key", problem)
		}
	}
	c, err := v.editOne(ctx, p, ActionWriteSecret, ref, edit{key: ref.Key, rename: in.Key, comment: in.Comment}, m)
	if err != nil {
		return api.Secret{}, err
	}
	answer := apiSecret(&c.row)
	answer.Warnings = keyWarnings(c.row.Key)
	return answer, nil
}

// DeleteSecret removes a secret from the environment. Its versions stay.
func (v *Vault) DeleteSecret(ctx context.Context, p Principal, ref SecretRef, m Match) error {
	_, err := v.editOne(ctx, p, ActionDeleteSecret, ref, edit{key: ref.Key, remove: true}, m)
	return err
}

// editOne makes one edit under a condition. To change or remove what is not
// there is fault.NotFound.
func (v *Vault) editOne(ctx context.Context, p Principal, a Action, ref SecretRef, e edit, m Match) (done change, err error) {
	err = v.write(ctx, p, func(ctx context.Context, tx store.Tx) error {
		view, err := v.environment(ctx, tx.Queries, p, a, ref.EnvironmentRef)
		if err != nil {
			return refusedOn(err, ref.Key)
		}
		if problem := checkEdit(e, "path.key", "body.value", "body.comment"); problem != nil {
			return problem
		}
		found, err := tx.SecretsByKey(ctx, view.ID, keysOf([]edit{e}))
		if err != nil {
			return err
		}
		present := live(found[e.key])
		if present == nil && e.value == nil {
			return errNotFound
		}
		if err := m.check(view, present); err != nil {
			return err
		}
		changes, err := v.plan(ctx, tx, p, view, found, []edit{e})
		if err != nil {
			return err
		}
		done, err = v.applyOne(ctx, tx, p, view, changes)
		return err
	})
	return done, err
}

// Bulk makes many edits of one environment, all or none. The secrets are named
// in the answer by what happened to them; with DryRun nothing happens.
func (v *Vault) Bulk(ctx context.Context, p Principal, ref EnvironmentRef, in api.BulkRequest, m Match) (answer api.BulkResult, err error) {
	if m.Absent || m.Version != nil {
		return answer, fault.InvalidField("header", "a bulk request can depend on the environment's ETag alone, such as If-Match: \"12\"")
	}
	m.Exists = false // the environment does, or it is not found
	edits, err := bulkEdits(in)
	if err != nil {
		return answer, err
	}
	err = v.write(ctx, p, func(ctx context.Context, tx store.Tx) error {
		view, err := v.environment(ctx, tx.Queries, p, ActionWriteSecret, ref)
		if err != nil {
			return err
		}
		if err := m.check(view, nil); err != nil {
			return err
		}
		found, err := tx.SecretsByKey(ctx, view.ID, keysOf(edits))
		if err != nil {
			return err
		}
		changes, err := v.plan(ctx, tx, p, view, found, edits)
		if err != nil {
			return err
		}
		answer = summarise(changes, view.Revision)
		if answer.DryRun = in.DryRun; in.DryRun {
			return v.recordComparison(ctx, tx, p, view, changes)
		}
		answer.Revision, err = v.apply(ctx, tx, p, view, changes)
		return err
	})
	return answer, err
}

// recordComparison audits a dry run as a reading of what it compared: to ask of
// many values whether they would change something is a way to find one out.
func (v *Vault) recordComparison(ctx context.Context, tx store.Tx, p Principal, view *store.EnvironmentView, changes []change) error {
	compared := 0
	for _, c := range changes {
		if live(c.old) != nil && c.effect != deleted {
			compared++
		}
	}
	if compared == 0 {
		return nil
	}
	return v.record(ctx, tx, p, event{
		action: ActionReadSecret, projectID: view.ProjectID, environment: view.Slug, target: "*",
		detail: map[string]string{"dry_run": "true", "count": strconv.Itoa(compared)},
	})
}

// bulkEdits checks a bulk request and turns it into edits, ordered by key so
// that the same request always does the same.
func bulkEdits(in api.BulkRequest) ([]edit, error) {
	if n := len(in.Set) + len(in.Unset); n == 0 || n > api.MaxSecretsPerBulk {
		return nil, fault.InvalidField("body", fmt.Sprintf("must set or unset 1 to %d secrets", api.MaxSecretsPerBulk))
	}
	var edits []edit
	for _, key := range slices.Sorted(maps.Keys(in.Set)) {
		value := in.Set[key]
		e := edit{key: key, value: &value}
		if comment, given := in.Comments[key]; given {
			e.comment = &comment
		}
		edits = append(edits, e)
	}
	for key := range in.Comments {
		if _, set := in.Set[key]; !set {
			return nil, fault.InvalidField("body.comments", "names a secret that is not set")
		}
	}
	for i, key := range in.Unset {
		if _, both := in.Set[key]; both || slices.Contains(in.Unset[:i], key) {
			return nil, fault.InvalidField("body.unset", "names a secret twice, or one that is also set")
		}
		edits = append(edits, edit{key: key, remove: true})
	}
	for _, e := range edits {
		keyAt := "body.set"
		if e.remove {
			keyAt = "body.unset"
		}
		if err := checkEdit(e, keyAt, "body.set."+e.key, "body.comments."+e.key); err != nil {
			return nil, err
		}
	}
	return edits, nil
}

// checkEdit checks what an edit is made of; keyAt, valueAt and commentAt are where
// in the request they stood. The latter two are named only if the key is good.
func checkEdit(e edit, keyAt, valueAt, commentAt string) error {
	if problem := api.CheckKey(e.key); problem != "" {
		return fault.InvalidField(keyAt, "a secret's key "+problem)
	}
	if e.value != nil {
		if problem := api.CheckValue(*e.value); problem != "" {
			return fault.InvalidField(valueAt, "the value of "+e.key+" "+problem)
		}
	}
	if e.comment != nil {
		if problem := api.CheckText(*e.comment); problem != "" {
			return fault.InvalidField(commentAt, problem)
		}
	}
	return nil
}

func keysOf(edits []edit) []string {
	keys := make([]string, 0, len(edits))
	for _, e := range edits {
		keys = append(keys, e.key)
		if e.rename != nil {
			keys = append(keys, *e.rename)
		}
	}
	return keys
}

// live is the row if its secret is not deleted.
func live(row *store.Secret) *store.Secret {
	if row == nil || row.Sealed == nil {
		return nil
	}
	return row
}

// plan works out what the edits change, and seals the new values. Edits that
// remove what is not there change nothing.
func (v *Vault) plan(ctx context.Context, tx store.Tx, p Principal, view *store.EnvironmentView, found map[string]*store.Secret, edits []edit) ([]change, error) {
	s, err := v.sealer(ctx, tx, view.SealingKey)
	if err != nil {
		return nil, err
	}
	changes := make([]change, len(edits))
	now, actor := v.micros(), storedActor(p.Actor())
	for i, e := range edits {
		c, err := v.planOne(s, view, found, e)
		if err != nil {
			return nil, err
		}
		if c.effect != unchanged {
			c.row.UpdatedAt, c.row.UpdatedBy = now, actor
			c.row.Version++
		}
		if c.effect == created {
			c.row.CreatedAt = now
		}
		c.detail = e.detail
		changes[i] = c
	}
	return changes, nil
}

func (v *Vault) planOne(s sealer, view *store.EnvironmentView, found map[string]*store.Secret, e edit) (change, error) {
	old := found[e.key]
	present := live(old)
	c := change{old: old}
	if old != nil {
		c.row = *old
	} else {
		c.row = store.Secret{EnvironmentID: view.ID, Key: e.key}
	}
	switch {
	case e.remove:
		if present != nil {
			c.effect, c.row.Sealed, c.row.KeyFingerprint = deleted, nil, ""
		}
		return c, nil
	case present == nil:
		c.effect, c.row.Comment = created, ""
		assign(&c.row.Comment, e.comment)
		return c, s.sealInto(&c.row, *e.value)
	}
	if e.comment != nil && *e.comment != c.row.Comment {
		c.effect, c.row.Comment = updated, *e.comment
	}
	if e.rename != nil && *e.rename != e.key {
		if live(found[*e.rename]) != nil {
			return c, fault.New(fault.Conflict, "There is a secret "+*e.rename+" already.")
		}
		c.effect, c.row.Key = updated, *e.rename
	}
	return c, v.planValue(s, &c, present, e.value)
}

// planValue replaces the value if it differs from the present one. A present
// value that can not be decrypted differs from any: writing is how it is mended.
func (v *Vault) planValue(s sealer, c *change, present *store.Secret, value *api.Value) error {
	if value == nil {
		return nil
	}
	if s.ring == nil {
		return errNoKey
	}
	if former, err := v.open(present); err == nil && former.Equal(*value) {
		return nil
	}
	c.effect = updated
	return s.sealInto(&c.row, *value)
}

func (s sealer) sealInto(row *store.Secret, value api.Value) error {
	sealed, fingerprint, err := s.seal(value)
	row.Sealed, row.KeyFingerprint = &sealed, fingerprint
	return err
}

// apply writes planned changes with their audit events and returns the
// environment's revision after them.
func (v *Vault) apply(ctx context.Context, tx store.Tx, p Principal, view *store.EnvironmentView, changes []change) (int64, error) {
	changes = slices.DeleteFunc(slices.Clone(changes), func(c change) bool { return c.effect == unchanged })
	if len(changes) == 0 {
		return view.Revision, nil
	}
	added := 0
	for _, c := range changes {
		switch c.effect {
		case created:
			added++
		case deleted:
			added--
		}
	}
	if added > 0 && view.SecretCount+added > api.MaxSecretsPerEnvironment {
		return 0, fault.New(fault.Conflict, fmt.Sprintf("An environment holds at most %d secrets.", api.MaxSecretsPerEnvironment))
	}
	revision, err := tx.AdvanceEnvironment(ctx, view.ID, added, v.micros())
	if err != nil {
		return 0, err
	}
	if err := write(ctx, tx, changes, revision); err != nil {
		return 0, err
	}
	if err := checkSize(ctx, tx, view.ID, changes); err != nil {
		return 0, err
	}
	return revision, v.record(ctx, tx, p, changeEvents(view, changes)...)
}

// applyOne is apply for one edit, and returns what it did.
func (v *Vault) applyOne(ctx context.Context, tx store.Tx, p Principal, view *store.EnvironmentView, changes []change) (done change, err error) {
	done = changes[0]
	revision, err := v.apply(ctx, tx, p, view, changes)
	if done.effect != unchanged {
		done.row.Revision = revision
	}
	return done, err
}

// smallValue is the size up to which as many values as an environment can hold
// stay within its bound together.
const smallValue = api.MaxEnvironmentBytes / api.MaxSecretsPerEnvironment

// checkSize bounds what reading the environment as a whole costs the server. It
// looks only when a value is large enough to matter.
func checkSize(ctx context.Context, tx store.Tx, environmentID string, changes []change) error {
	if !slices.ContainsFunc(changes, func(c change) bool { return c.row.Sealed != nil && len(*c.row.Sealed) > smallValue }) {
		return nil
	}
	sealed, err := tx.SealedBytes(ctx, environmentID)
	if err != nil {
		return err
	}
	if sealed > api.MaxEnvironmentBytes*4/3 { // base64 makes four bytes of three
		return fault.Newf(fault.Conflict, "The values of an environment may have %d MiB together. Keep large files elsewhere, and their key here.", api.MaxEnvironmentBytes>>20)
	}
	return nil
}

func write(ctx context.Context, tx store.Tx, changes []change, revision int64) error {
	var inserts []store.Secret
	var replaced []store.SecretChange
	for _, c := range changes {
		c.row.Revision = revision
		if c.old == nil {
			inserts = append(inserts, c.row)
		} else {
			replaced = append(replaced, store.SecretChange{Old: *c.old, New: c.row})
		}
	}
	if err := tx.InsertSecrets(ctx, inserts); err != nil {
		return err
	}
	return tx.ReplaceSecrets(ctx, replaced)
}

func changeEvents(view *store.EnvironmentView, changes []change) []event {
	events := make([]event, len(changes))
	for i, c := range changes {
		detail := with(c.detail, "version", strconv.FormatInt(c.row.Version, 10))
		if c.old != nil && c.old.Key != c.row.Key {
			detail["renamed_from"] = c.old.Key
		}
		events[i] = event{
			action: Action(c.effect), projectID: view.ProjectID, environment: view.Slug,
			target: c.row.Key, detail: detail,
		}
	}
	return events
}

// summarise sorts the keys of the changes by what happened to them.
func summarise(changes []change, revision int64) api.BulkResult {
	result := api.BulkResult{Revision: revision, Created: []string{}, Updated: []string{}, Unchanged: []string{}, Deleted: []string{}}
	for _, c := range slices.SortedFunc(slices.Values(changes), func(a, b change) int { return cmp.Compare(a.row.Key, b.row.Key) }) {
		switch c.effect {
		case created:
			result.Created = append(result.Created, c.row.Key)
		case updated:
			result.Updated = append(result.Updated, c.row.Key)
		case deleted:
			result.Deleted = append(result.Deleted, c.row.Key)
		default:
			result.Unchanged = append(result.Unchanged, c.row.Key)
		}
		if c.effect == created {
			result.Warnings = append(result.Warnings, keyWarnings(c.row.Key)...)
		}
	}
	return result
}
