// Package rotation changes the encryption key of an installation while its
// servers run. It is what `heartlock rotate-key` does: it looks at the state,
// gives the new key to the servers, waits for them, and has package vault put
// the values under it.
//
// Every step leaves a state from which each of the commands can go on, whenever
// it is killed:
//
//  1. announced: the settings hold the new key and the former one; every server
//     seals with the former one still;
//  2. begun: the database names the new key, and nothing new comes under the
//     former one;
//  3. resealed and verified: every value opens with the new key alone;
//  4. finished: the former key is retired, and servers need it no more.
//
// Until the last step Undo goes back the same way. No key is ever written to a
// log or passed on a command line.
package rotation

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/heartlock/heartlock/pkg/config"
	"github.com/heartlock/heartlock/pkg/crashpoint"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/keyring"
	"github.com/heartlock/heartlock/pkg/server"
	"github.com/heartlock/heartlock/pkg/vault"
)

// Options say what to do and how to tell of it.
type Options struct {
	Config *config.Server
	// Keys are keys beside those of the settings: with Rotate the first of them is
	// the new one.
	Keys []keyring.Key
	// Wait waits for servers that a person has to give the new key, however long
	// that takes; otherwise Rotate ends and says what to do.
	Wait bool
	// NoBackup begins although no backup was made lately.
	NoBackup bool
	// LeaveDamaged finishes although there are values that no key opens.
	LeaveDamaged bool
	Batch        int // rows of a transaction; 0 = vault.DefaultBatch
	Log          *slog.Logger

	// Say is told each step in a sentence.
	Say func(format string, args ...any)
	// Progress is told how many values are done.
	Progress func(what string, done, total int64)
	// ShowKey gives a person a new key that he has to put into the settings.
	ShowKey func(keyring.Key) error
}

// backupAge is how old the latest backup may be when a rotation begins.
const backupAge = 24 * time.Hour

// fileWait is how long servers are waited for that read the new key from a file
// by themselves, which they look at every second.
const fileWait = 20 * time.Second

// run is one command at work.
type run struct {
	Options
	instance *server.Instance
	state    vault.KeyState
}

// open opens the installation and looks at its keys.
func open(ctx context.Context, o Options) (*run, error) {
	if o.Config.Database.InMemory {
		return nil, fault.New(fault.Usage, "The database is in memory: there is nothing to rotate.")
	}
	keys := slices.Clone(o.Config.EncryptionKey.Keys)
	for _, k := range o.Keys {
		if !slices.ContainsFunc(keys, k.Equal) {
			keys = append(keys, k)
		}
	}
	if len(keys) == 0 {
		return nil, fault.New(fault.Usage, "No encryption key is configured. Run this where the server's settings are.")
	}
	i, err := server.OpenWithKeys(ctx, o.Config, keys, o.Log)
	if err != nil {
		return nil, err
	}
	r := &run{Options: o, instance: i}
	if err := r.look(ctx); err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

// close gives the database back. What was written was committed before.
func (r *run) close() { _ = r.instance.Close() }

func (r *run) look(ctx context.Context) (err error) {
	r.state, err = vault.InspectKeys(ctx, r.instance.Store)
	return err
}

// keys are those that the instance holds.
func (r *run) keys() []keyring.Key { return r.instance.Config.EncryptionKey.Keys }

// Rotate puts everything under a new key, or goes on with what an earlier run
// has begun. It ends with a verified rotation that waits to be finished.
func Rotate(ctx context.Context, o Options) error {
	r, err := open(ctx, o)
	if err != nil {
		return err
	}
	defer r.close()
	if under := r.state.Rotation; under != nil {
		if under.IsUndo {
			return fault.New(fault.Conflict, "A rotation is being undone. Run `heartlock rotate-key --undo` to go on with that.")
		}
		if len(o.Keys) > 0 && o.Keys[0].Fingerprint() != under.To {
			return fault.Newf(fault.Conflict, "A rotation to key %s is under way, and the key file holds %s. Finish it or undo it first.", under.To, o.Keys[0].Fingerprint())
		}
		if under.VerifiedAt != nil && r.state.Remaining() == 0 {
			r.Say("The rotation to key %s is done and verified. Run `heartlock rotate-key --finish` to retire key %s, or --undo to go back.", under.To, under.From)
			return nil
		}
		r.Say("Going on with the rotation from key %s to %s.", under.From, under.To)
		return r.carryOut(ctx)
	}
	if err := r.prepare(ctx); err != nil {
		return err
	}
	return r.carryOut(ctx)
}

// prepare does everything up to the change of the key that seals.
func (r *run) prepare(ctx context.Context) error {
	if err := r.checkValues(ctx); err != nil {
		return err
	}
	if err := r.checkBackup(); err != nil {
		return err
	}
	to, err := r.announce(ctx)
	if err != nil {
		return err
	}
	if err := r.await(ctx, to.Fingerprint()); err != nil {
		return err
	}
	crashpoint.Reach("rotate:announced")
	if err := r.instance.Vault.BeginRotation(ctx, vault.Local(), to.Fingerprint()); err != nil {
		return err
	}
	crashpoint.Reach("rotate:begun")
	r.Say("New values are sealed with key %s.", to.Fingerprint())
	return r.look(ctx)
}

// checkValues sees that the present keys open what they should, before anything
// is changed.
func (r *run) checkValues(ctx context.Context) error {
	ring, err := keyring.NewRing(r.keys()[0], r.keys()[1:]...)
	if err != nil {
		return err
	}
	check, err := vault.CheckValues(ctx, r.instance.Store, ring, false)
	if err != nil {
		return err
	}
	if len(check.Damaged) == 0 {
		return nil
	}
	d := check.Damaged[0]
	return fault.Newf(fault.Conflict, "Not everything can be decrypted with the present key, for example %s/%s/%s. Nothing was changed. Run `heartlock check --decrypt-all`, and set or delete what it names.",
		d.Project, d.Environment, d.Key)
}

func (r *run) checkBackup() error {
	latest := r.state.LatestBackup
	switch {
	case r.NoBackup:
		return nil
	case latest == nil:
		return fault.New(fault.Conflict, "No backup was made yet. Make one with `heartlock backup FILE` first, or say --no-backup. Nothing was changed.")
	case time.Since(*latest) > backupAge:
		return fault.Newf(fault.Conflict, "The latest backup is of %s. Make a new one with `heartlock backup FILE` first, or say --no-backup. Nothing was changed.", latest.UTC().Format(time.DateTime+"Z"))
	}
	return nil
}

// announce chooses the new key and gives it to the servers, as far as Heartlock
// can: an earlier run may have done so.
func (r *run) announce(ctx context.Context) (keyring.Key, error) {
	to, isNew, err := r.choose()
	if err != nil {
		return to, err
	}
	if slices.ContainsFunc(r.Config.EncryptionKey.Keys, to.Equal) {
		return to, nil
	}
	crashpoint.Reach("rotate:unannounced")
	if r.Config.KeysAreManaged() {
		if err := r.Config.ReplaceKeys(append([]keyring.Key{to}, r.Config.EncryptionKey.Keys...)); err != nil {
			return to, err
		}
		r.Say("Wrote key %s to %s, beside key %s.", to.Fingerprint(), r.Config.EncryptionKey.Source, r.state.Seals())
	} else {
		if isNew {
			if err := r.ShowKey(to); err != nil {
				return to, err
			}
		}
		r.Say("Put key %s into HEARTLOCK_ENCRYPTION_KEY of every server, before the present key and a comma, and restart them one by one; .env is read again by itself.", to.Fingerprint())
		if !r.Wait {
			return to, fault.New(fault.Conflict, "Nothing is rotated yet. When all servers have both keys, run `heartlock rotate-key` again with the same setting.")
		}
	}
	return to, r.useKeys(ctx, append([]keyring.Key{to}, r.keys()...))
}

// choose finds the new key: the one given, the one in the settings that the
// database does not know yet, or a random one.
func (r *run) choose() (to keyring.Key, isNew bool, err error) {
	seals := r.state.Seals()
	announced := slices.IndexFunc(r.Config.EncryptionKey.Keys, func(k keyring.Key) bool {
		_, known := r.state.Key(k.Fingerprint())
		return !known
	})
	switch {
	case len(r.Keys) > 0:
		to = r.Keys[0]
	case announced >= 0:
		to = r.Config.EncryptionKey.Keys[announced]
	default:
		to, isNew = keyring.Generate(), true
	}
	switch fingerprint := to.Fingerprint(); {
	case fingerprint == seals:
		return to, false, fault.Newf(fault.Usage, "The key %s is in use already. Give another one.", fingerprint)
	case r.retired(fingerprint):
		return to, false, fault.Newf(fault.Usage, "The key %s was retired by an earlier rotation. Give a new one.", fingerprint)
	}
	return to, isNew, nil
}

func (r *run) retired(fingerprint string) bool {
	k, known := r.state.Key(fingerprint)
	return known && k.RetiredAt != nil
}

// useKeys has the instance go on with other keys.
func (r *run) useKeys(ctx context.Context, keys []keyring.Key) error {
	var unique []keyring.Key
	for _, k := range keys {
		if !slices.ContainsFunc(unique, k.Equal) {
			unique = append(unique, k)
		}
	}
	ring, err := keyring.NewRing(unique[0], unique[1:]...)
	if err != nil {
		return err
	}
	if err := r.instance.Vault.HoldRing(ctx, ring); err != nil {
		return err
	}
	r.instance.Config.EncryptionKey.Keys = unique
	return nil
}

// await waits until every running server has the key.
func (r *run) await(ctx context.Context, fingerprint string) error {
	deadline := time.Now().Add(fileWait)
	told := ""
	for {
		lacking := r.state.Lacking(fingerprint)
		if len(lacking) == 0 {
			if n := len(r.state.Servers); n > 0 {
				r.Say("%s has key %s.", servers(n), fingerprint)
			}
			return nil
		}
		names := make([]string, len(lacking))
		for i, s := range lacking {
			names[i] = fmt.Sprintf("%s (started %s)", s.Host, s.StartedAt.UTC().Format(time.DateTime+"Z"))
		}
		text := strings.Join(names, ", ")
		if !r.Wait && (!r.Config.KeysAreManaged() || time.Now().After(deadline)) {
			return fault.Newf(fault.Conflict, "Nothing is rotated yet: these servers do not have key %s: %s. Give it to them and run `heartlock rotate-key` again, or let it wait with --wait.", fingerprint, text)
		}
		if text != told {
			r.Say("Waiting for %s to have key %s.", text, fingerprint)
			told = text
		}
		select {
		case <-ctx.Done():
			return fault.Wrap(fault.Unavailable, context.Cause(ctx), "The command was interrupted. Nothing is rotated yet; run it again to go on.")
		case <-time.After(time.Second):
		}
		if err := r.look(ctx); err != nil {
			return err
		}
	}
}

func servers(n int) string {
	if n == 1 {
		return "The running server"
	}
	return fmt.Sprintf("Each of the %d running servers", n)
}

// carryOut puts everything under the key that seals, and verifies it.
func (r *run) carryOut(ctx context.Context) error {
	under := r.state.Rotation
	started := time.Now()
	done, err := r.instance.Vault.Reseal(ctx, vault.Local(), vault.ResealOptions{
		Batch: r.Batch, Progress: func(done, total int64) { r.Progress("re-encrypted", done, total) },
	})
	if err != nil {
		if ctx.Err() != nil {
			return fault.Wrap(fault.Unavailable, err, "The command was interrupted. Nothing is lost: run it again to go on.")
		}
		return err
	}
	r.Say("Re-encrypted %d values in %s.", done.Resealed, took(started))
	started = time.Now()
	seen, err := r.instance.Vault.VerifyRotation(ctx, vault.Local(), func(done, total int64) { r.Progress("verified", done, total) })
	if err != nil {
		return err
	}
	crashpoint.Reach("rotate:verified")
	if seen.Damaged > 0 {
		return r.nameDamaged(ctx, seen.Damaged)
	}
	r.Say("Verified: all %d values open with key %s alone (%s).", seen.Opened, under.To, took(started))
	if !under.IsUndo {
		r.Say("Key %s still opens what a server may be holding. Run `heartlock rotate-key --finish` to retire it, or --undo to go back.", under.From)
	}
	return nil
}

func took(since time.Time) string { return time.Since(since).Round(time.Millisecond).String() }

// nameDamaged reports the values that no key opens.
func (r *run) nameDamaged(ctx context.Context, n int64) error {
	ring, err := keyring.NewRing(r.keys()[0], r.keys()[1:]...)
	if err != nil {
		return err
	}
	check, err := vault.CheckValues(ctx, r.instance.Store, ring, true)
	if err != nil {
		return err
	}
	for _, d := range check.Damaged {
		r.Say("Can not be decrypted: %s/%s/%s, version %d.", d.Project, d.Environment, d.Key, d.Version)
	}
	return fault.Newf(fault.Conflict, "Everything else is under the new key, but %d values can not be decrypted with any key. Set or delete them, or restore a backup, and run this again; or give them up with --finish --leave-damaged.", n)
}
