package rotation

import (
	"context"
	"slices"
	"strings"

	"github.com/heartlock/heartlock/pkg/crashpoint"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/keyring"
	"github.com/heartlock/heartlock/pkg/server"
	"github.com/heartlock/heartlock/pkg/vault"
)

// Status tells what state the keys are in. It changes nothing, and needs no key.
func Status(ctx context.Context, o Options) (state vault.KeyState, err error) {
	st, err := server.InspectStore(ctx, o.Config)
	if err != nil {
		return state, err
	}
	defer func() { _ = st.Close() }() // it was only read
	pending, err := st.Pending(ctx)
	if err != nil {
		return state, err
	}
	if len(pending) > 0 {
		return state, fault.New(fault.Usage, "The database has pending migrations. Run `heartlock migrate`; the start of a server does it too.")
	}
	return vault.InspectKeys(ctx, st)
}

// Finish retires the former key after a verified rotation, and takes it out of
// the settings. Where Heartlock manages them it keeps the key in a file of its
// own, for the backups that were made under it.
func Finish(ctx context.Context, o Options) error {
	r, err := open(ctx, o)
	if err != nil {
		return err
	}
	defer r.close()
	what := "No rotation is under way."
	if r.state.Rotation != nil {
		if err := r.finish(ctx); err != nil {
			return err
		}
		crashpoint.Reach("rotate:finished")
		what = "The rotation is finished."
	}
	return r.dropRetired(what)
}

func (r *run) finish(ctx context.Context) error {
	under := r.state.Rotation
	if under.IsUndo {
		return fault.New(fault.Conflict, "A rotation is being undone. Run `heartlock rotate-key --undo` to go on with that.")
	}
	givenUp := int64(0)
	switch n := r.state.Remaining(); {
	case n > 0 && !r.LeaveDamaged:
		return fault.Newf(fault.Conflict, "%d values are not under key %s yet. Run `heartlock rotate-key` first.", n, under.To)
	case r.LeaveDamaged && (n > 0 || under.VerifiedAt == nil): // only those that no key opens may be left
		var err error
		if givenUp, err = r.carryOut(ctx); err != nil {
			return err
		}
		r.Say("Gave up %d values that no key opens.", givenUp)
	}
	if _, err := r.instance.Vault.FinishRotation(ctx, vault.Local(), false, givenUp); err != nil {
		return err
	}
	return r.look(ctx)
}

// Undo goes back to the former key: it becomes the one that seals, everything is
// put back under it, and the new key is retired and taken out of the settings. A
// rotation that was only announced is taken out of the settings, and what an
// interrupted undoing has left in them too.
func Undo(ctx context.Context, o Options) error {
	r, err := open(ctx, o)
	if err != nil {
		return err
	}
	defer r.close()
	if r.state.Rotation == nil {
		if r.retired(r.Config.EncryptionKey.Keys[0].Fingerprint()) { // an undoing that was interrupted
			return r.dropRetired("The rotation is undone.")
		}
		return r.undoAnnouncement(ctx)
	}
	if err := r.instance.Vault.UndoRotation(ctx, vault.Local()); err != nil {
		return err
	}
	if err := r.look(ctx); err != nil {
		return err
	}
	r.Say("New values are sealed with key %s again.", r.state.Rotation.To)
	givenUp, err := r.carryOut(ctx)
	if err != nil {
		return err
	}
	if _, err := r.instance.Vault.FinishRotation(ctx, vault.Local(), true, givenUp); err != nil {
		return err
	}
	crashpoint.Reach("rotate:undone")
	if err := r.look(ctx); err != nil {
		return err
	}
	return r.dropRetired("The rotation is undone.")
}

// undoAnnouncement takes keys that nothing is under yet out of the settings. The
// database remembers them first, so that no server that holds one takes it up.
func (r *run) undoAnnouncement(ctx context.Context) error {
	kept, dropped := r.split(func(fingerprint string) bool {
		_, known := r.state.Key(fingerprint)
		return known
	})
	if len(dropped) == 0 {
		return fault.New(fault.Conflict, "No key rotation is under way. One that is finished can not be undone; rotate to a new key instead.")
	}
	names := make([]string, len(dropped))
	for i, k := range dropped {
		names[i] = k.Fingerprint()
	}
	if err := r.instance.Vault.WithdrawKeys(ctx, vault.Local(), names); err != nil {
		return err
	}
	return r.drop(kept, dropped, "Nothing was rotated yet.")
}

// dropRetired takes retired keys out of the settings.
func (r *run) dropRetired(what string) error {
	kept, dropped := r.split(func(fingerprint string) bool { return !r.retired(fingerprint) })
	if len(dropped) == 0 {
		r.Say("%s Nothing else is to be done: key %s seals, and the settings hold no retired key.", what, r.state.Seals())
		return nil
	}
	return r.drop(kept, dropped, what)
}

// split divides the keys of the settings. The key that seals comes first.
func (r *run) split(keep func(fingerprint string) bool) (kept, dropped []keyring.Key) {
	for _, k := range r.Config.EncryptionKey.Keys {
		switch fingerprint := k.Fingerprint(); {
		case fingerprint == r.state.Seals():
			kept = append([]keyring.Key{k}, kept...)
		case keep(fingerprint):
			kept = append(kept, k)
		default:
			dropped = append(dropped, k)
		}
	}
	return kept, dropped
}

// drop leaves only the kept keys in the settings.
func (r *run) drop(kept, dropped []keyring.Key, what string) error {
	names := make([]string, len(dropped))
	for i, k := range dropped {
		names[i] = k.Fingerprint()
	}
	list := strings.Join(names, ", ")
	if len(kept) == 0 || kept[0].Fingerprint() != r.state.Seals() {
		return fault.Newf(fault.Usage, "The settings do not hold key %s, which seals. Put it into them first.", r.state.Seals())
	}
	if !r.Config.KeysAreManaged() {
		r.Say("%s Take key %s out of HEARTLOCK_ENCRYPTION_KEY of every server, and keep it for as long as you keep backups that were made under it.", what, list)
		return nil
	}
	for _, k := range dropped {
		path, err := r.Config.SaveFormerKey(k)
		if err != nil {
			return err
		}
		r.Say("Key %s is kept in %s, for what may be under it elsewhere, such as backups. Delete the file when nothing needs it.", k.Fingerprint(), path)
	}
	crashpoint.Reach("rotate:saved")
	if err := r.Config.ReplaceKeys(slices.Clone(kept)); err != nil {
		return err
	}
	r.Say("%s Took key %s out of %s; key %s seals.", what, list, r.Config.EncryptionKey.Source, r.state.Seals())
	return nil
}
