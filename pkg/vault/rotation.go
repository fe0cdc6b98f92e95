package vault

import (
	"context"
	"strconv"
	"strings"

	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/keyring"
	"github.com/heartlock/heartlock/pkg/store"
)

// How a rotation never loses a value.
//
// The database names the key that seals. A rotation first changes that name, in
// one transaction that waits for everyone who is sealing: from then on nothing
// new comes under the former key. Then the values are put under the new key in
// batches. Each row carries the fingerprint of its key, and a batch replaces a
// token only if it is still the one that was read; so it does not matter when a
// run is killed, how many run at once, or what is edited meanwhile. The former
// key stays in the database's list, and every server has to hold it, until no
// row is under it any more.

// rotationPlan is a change of the key that seals.
type rotationPlan struct {
	from, to string // fingerprints
	undo     bool
	byServer bool // nobody asked for it: a server has found a new first key
}

// begin makes another key the one that seals. The caller holds the lock of the
// keys. The former key stays in use until FinishRotation.
func (v *Vault) begin(ctx context.Context, tx store.Tx, p Principal, ring *keyring.Ring, plan rotationPlan) error {
	known, err := tx.EncryptionKeys(ctx)
	if err != nil {
		return err
	}
	for _, k := range known {
		if k.Fingerprint == plan.to && k.RetiredAt != nil {
			return errRetired(plan.to)
		}
	}
	if !isInUse(known, plan.to) {
		if err := v.insertKey(ctx, tx, ring, plan.to, false); err != nil {
			return err
		}
	}
	if err := tx.SealWith(ctx, plan.to); err != nil {
		return err
	}
	row := &store.KeyRotation{FromFingerprint: plan.from, ToFingerprint: plan.to, IsUndo: plan.undo, StartedAt: v.micros()}
	if err := tx.SetKeyRotation(ctx, row); err != nil {
		return err
	}
	action := ActionBeginRotation
	if plan.undo {
		action = ActionUndoRotation
	}
	detail := map[string]string{"from": plan.from, "to": plan.to}
	if plan.byServer {
		detail["by"] = "server"
	}
	return v.record(ctx, tx, p, event{action: action, target: plan.to, detail: detail})
}

func isInUse(known []store.EncryptionKey, fingerprint string) bool {
	for _, k := range inUse(known) {
		if k.Fingerprint == fingerprint {
			return true
		}
	}
	return false
}

func errRetired(fingerprint string) error {
	return fault.Newf(fault.Usage, "The key %s was retired by an earlier rotation. Use a new one.", fingerprint)
}

var errNoRotation = fault.New(fault.Conflict, "No key rotation is under way.")

// BeginRotation makes to, which must be in the ring, the key that seals. It is
// refused while a running server does not have it, and while another rotation
// is under way; one to the same key goes on and is no error. Only a command on
// the server itself may.
func (v *Vault) BeginRotation(ctx context.Context, p Principal, to string) error {
	if _, err := admit(p, ActionBeginRotation); err != nil {
		return err
	}
	return v.holdingKeys(ctx, func(ctx context.Context, tx store.Tx) error {
		ring := v.currentRing()
		known, err := v.compareKeys(ctx, tx.Queries, ring)
		if err != nil {
			return err
		}
		under, err := tx.KeyRotation(ctx)
		switch {
		case err != nil:
			return err
		case under != nil && under.ToFingerprint == to:
			return nil
		case under != nil:
			return fault.Newf(fault.Conflict, "A rotation from key %s to %s is under way: finish it or undo it first.", under.FromFingerprint, under.ToFingerprint)
		case sealing(known) == to:
			return fault.Newf(fault.Conflict, "The key %s seals already.", to)
		}
		if err := refuseLacking(ctx, tx.Queries, to); err != nil {
			return err
		}
		return v.begin(ctx, tx, p, ring, rotationPlan{from: sealing(known), to: to})
	})
}

// refuseLacking refuses a key that a running server does not have.
func refuseLacking(ctx context.Context, q store.Queries, fingerprint string) error {
	lacking, err := lackingKey(ctx, q, fingerprint)
	if err == nil && len(lacking) > 0 {
		err = fault.Newf(fault.Conflict, "Not every running server has the key %s: %s.", fingerprint, serverNames(lacking))
	}
	return err
}

// UndoRotation makes the former key the one that seals again. It is refused while
// a running server does not have that key. The values that
// are under the new key by now are put back by Reseal; then FinishRotation
// retires the new one.
func (v *Vault) UndoRotation(ctx context.Context, p Principal) error {
	if _, err := admit(p, ActionUndoRotation); err != nil {
		return err
	}
	return v.holdingKeys(ctx, func(ctx context.Context, tx store.Tx) error {
		under, err := tx.KeyRotation(ctx)
		switch {
		case err != nil:
			return err
		case under == nil:
			return errNoRotation
		case under.IsUndo:
			return nil
		}
		if err := refuseLacking(ctx, tx.Queries, under.FromFingerprint); err != nil {
			return err
		}
		return v.begin(ctx, tx, p, v.currentRing(), rotationPlan{from: under.ToFingerprint, to: under.FromFingerprint, undo: true})
	})
}

// Verification is what VerifyRotation found.
type Verification struct {
	Opened  int64 // values that the new key alone opens
	Damaged int64 // values that it does not open
}

// VerifyRotation opens every value with the key that seals and no other, and
// remembers in the database that all of them did. It is refused while a value is
// under another key, unless that is one that no key opens. Only a command on the
// server itself may.
func (v *Vault) VerifyRotation(ctx context.Context, p Principal, progress func(done, total int64)) (Verification, error) {
	if _, err := admit(p, ActionBeginRotation); err != nil {
		return Verification{}, err
	}
	under, err := v.store.KeyRotation(ctx)
	if err != nil {
		return Verification{}, err
	}
	if under == nil {
		return Verification{}, errNoRotation
	}
	alone, err := v.currentRing().Only(under.ToFingerprint)
	if err != nil {
		return Verification{}, errKeyNotHere(under.ToFingerprint, err)
	}
	seen, err := v.openAll(ctx, alone, progress)
	if err != nil || seen.Damaged > 0 {
		return seen, err
	}
	return seen, v.holdingKeys(ctx, func(ctx context.Context, tx store.Tx) error {
		if err := stillUnder(ctx, tx, under); err != nil {
			return err
		}
		at := v.micros()
		verified := *under
		verified.VerifiedAt = &at
		if err := tx.SetKeyRotation(ctx, &verified); err != nil {
			return err
		}
		return v.record(ctx, tx, p, event{
			action: ActionVerifyRotation, target: under.ToFingerprint,
			detail: map[string]string{"opened": strconv.FormatInt(seen.Opened, 10)},
		})
	})
}

// stillUnder makes sure that the rotation is still the one that was looked at.
func stillUnder(ctx context.Context, tx store.Tx, looked *store.KeyRotation) error {
	now, err := tx.KeyRotation(ctx)
	if err != nil {
		return err
	}
	if now == nil || now.ToFingerprint != looked.ToFingerprint || now.IsUndo != looked.IsUndo || now.StartedAt != looked.StartedAt {
		return errRotationChanged
	}
	return nil
}

var errRotationChanged = fault.New(fault.Conflict, "Another command has changed the rotation. Look at `heartlock rotate-key --status`.")

// openAll opens every sealed value with a ring and drops it.
func (v *Vault) openAll(ctx context.Context, ring *keyring.Ring, progress func(done, total int64)) (seen Verification, err error) {
	counts, err := v.store.CountSealedByKey(ctx)
	if err != nil {
		return seen, err
	}
	var total int64
	for _, n := range counts {
		total += n
	}
	for _, table := range store.SealedTables() {
		var after []any
		for {
			rows, err := v.store.SealedAfter(ctx, table, after, "", DefaultBatch)
			if err != nil {
				return seen, err
			}
			if len(rows) == 0 {
				break
			}
			after = rows[len(rows)-1].Key
			opened := openRows(ring, rows)
			seen.Opened += opened
			seen.Damaged += int64(len(rows)) - opened
			if progress != nil {
				progress(seen.Opened+seen.Damaged, max(total, seen.Opened+seen.Damaged))
			}
		}
	}
	return seen, nil
}

// openRows counts the rows that the ring opens.
func openRows(ring *keyring.Ring, rows []store.SealedRow) (opened int64) {
	good := make([]bool, len(rows))
	inParallel(len(rows), func(i int) {
		_, err := ring.Open([]byte(rows[i].Sealed), rows[i].KeyFingerprint)
		good[i] = err == nil
	})
	for _, is := range good {
		if is {
			opened++
		}
	}
	return opened
}

// FinishRotation retires the keys that do not seal: no server has to hold them
// any more. undo says which of the two the caller means to finish: a rotation, or
// the undoing of one. It is refused as long as values are under a key that would
// be retired, or were not verified; givenUp is how many values, of those that no
// key opens, may be. It returns what was retired. Only a command on the server
// itself may.
func (v *Vault) FinishRotation(ctx context.Context, p Principal, undo bool, givenUp int64) (retired []string, err error) {
	if _, err := admit(p, ActionFinishRotation); err != nil {
		return nil, err
	}
	err = v.holdingKeys(ctx, func(ctx context.Context, tx store.Tx) error {
		under, err := tx.KeyRotation(ctx)
		switch {
		case err != nil:
			return err
		case under == nil:
			return errNoRotation
		case under.IsUndo != undo:
			return errRotationChanged
		case under.VerifiedAt == nil && givenUp == 0:
			return fault.New(fault.Conflict, "The rotation is not verified yet. Run `heartlock rotate-key` first.")
		}
		var left int64
		if retired, left, err = retiring(ctx, tx, under.ToFingerprint); err != nil {
			return err
		}
		if left > givenUp {
			return fault.Newf(fault.Conflict, "%d values are still under a key that would be retired. Run `heartlock rotate-key` first.", left)
		}
		if err := tx.RetireKeys(ctx, v.micros()); err != nil {
			return err
		}
		if err := tx.EndKeyRotation(ctx); err != nil {
			return err
		}
		return v.record(ctx, tx, p, event{action: ActionFinishRotation, target: under.ToFingerprint, detail: map[string]string{
			"retired": strings.Join(retired, ", "), "given_up": strconv.FormatInt(left, 10), "undo": strconv.FormatBool(undo),
		}})
	})
	return retired, err
}

// retiring lists the keys in use that do not seal, and counts the values under
// them, and under keys that the database does not know.
func retiring(ctx context.Context, tx store.Tx, to string) (retired []string, left int64, err error) {
	known, err := tx.EncryptionKeys(ctx)
	if err != nil {
		return nil, 0, err
	}
	if sealing(known) != to {
		return nil, 0, errRotationChanged
	}
	for _, k := range inUse(known) {
		if !k.IsSealing {
			retired = append(retired, k.Fingerprint)
		}
	}
	counts, err := tx.CountSealedByKey(ctx)
	for fingerprint, n := range counts {
		if fingerprint != to {
			left += n
		}
	}
	return retired, left, err
}

// WithdrawKeys remembers keys of the ring that were announced, and that nothing
// was sealed with, as retired: no server takes them up any more, although it may
// hold them still. It is refused while a rotation is under way, and for a key
// that is in use. Only a command on the server itself may.
func (v *Vault) WithdrawKeys(ctx context.Context, p Principal, withdrawn []string) error {
	if _, err := admit(p, ActionUndoRotation); err != nil {
		return err
	}
	return v.holdingKeys(ctx, func(ctx context.Context, tx store.Tx) error {
		under, err := tx.KeyRotation(ctx)
		if err != nil {
			return err
		}
		known, err := tx.EncryptionKeys(ctx)
		if err != nil {
			return err
		}
		for _, fingerprint := range withdrawn {
			switch {
			case under != nil || isInUse(known, fingerprint):
				return fault.New(fault.Conflict, "A server has begun the rotation meanwhile. Run `heartlock rotate-key --undo` again.")
			case isKnown(known, fingerprint):
				continue // retired before
			}
			if err := v.withdraw(ctx, tx, p, fingerprint); err != nil {
				return err
			}
		}
		return nil
	})
}

func (v *Vault) withdraw(ctx context.Context, tx store.Tx, p Principal, fingerprint string) error {
	token, err := v.currentRing().SealCheckWith(fingerprint)
	if err != nil {
		return err
	}
	now := v.micros()
	key := &store.EncryptionKey{Fingerprint: fingerprint, CheckToken: token, CreatedAt: now, RetiredAt: &now}
	if err := tx.InsertEncryptionKey(ctx, key); err != nil {
		return err
	}
	return v.record(ctx, tx, p, event{action: ActionUndoRotation, target: fingerprint, detail: map[string]string{"announced": "true"}})
}

// CheckAllValues opens every sealed value with the ring. It changes nothing. Only
// a command on the server itself may.
func (v *Vault) CheckAllValues(ctx context.Context, p Principal, progress func(done, total int64)) (Verification, error) {
	if _, err := admit(p, ActionBeginRotation); err != nil {
		return Verification{}, err
	}
	return v.openAll(ctx, v.currentRing(), progress)
}
