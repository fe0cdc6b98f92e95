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
	// Load reads the settings anew.
	Load func() (*config.Server, error)
	// Keys are keys beside those of the settings: with Rotate the first of them is
	// the new one.
	Keys []keyring.Key
	// Wait waits for servers that a person has to give the new key, however long
	// that takes; otherwise Rotate ends and says what to do.
	Wait bool
	// NoBackup begins although no backup was made lately.
	NoBackup bool
	// LeaveDamaged finishes, or undoes, although there are values that no key opens.
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
// by themselves, which they look at every second. One that was killed is counted
// among them until it has been silent for long enough.
const fileWait = vault.Silence + 2*vault.ReportEvery

// run is one command at work.
type run struct {
	Options
	instance *server.Instance
	state    vault.KeyState
	shown    bool // the new key is nowhere but where it was shown to a person
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
	if len(o.Config.EncryptionKey.Keys) == 0 {
		return nil, fault.New(fault.Usage, "No encryption key is configured. Run this where the server's settings are.")
	}
	i, err := server.OpenToRotate(ctx, o.Config, keys, o.Log)
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
		if err := r.checkBackup(); err != nil { // a server may have begun it
			return err
		}
		r.Say("Going on with the rotation from key %s to %s.", under.From, under.To)
	} else if err := r.prepare(ctx); err != nil {
		return err
	}
	damaged, err := r.carryOut(ctx)
	if err == nil && damaged == 0 {
		r.Say("Key %s still opens what a server may be holding. Run `heartlock rotate-key --finish` to retire it, or --undo to go back.", r.state.Rotation.From)
	}
	return err
}

// prepare does everything up to the change of the key that seals.
func (r *run) prepare(ctx context.Context) error {
	if seals := r.state.Seals(); !slices.ContainsFunc(r.keys(), func(k keyring.Key) bool { return k.Fingerprint() == seals }) {
		return fault.Newf(fault.Usage, "The settings do not hold key %s, which seals. Put it into them, beside the others. Nothing was changed.", seals)
	}
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

// checkValues sees that the present keys open everything, former versions
// included, before anything is changed.
func (r *run) checkValues(ctx context.Context) error {
	seen, err := r.instance.Vault.CheckAllValues(ctx, vault.Local(), func(done, total int64) { r.Progress("checked", done, total) })
	if err != nil || seen.Damaged == 0 {
		return err
	}
	if err := r.nameDamaged(ctx); err != nil {
		return err
	}
	if r.LeaveDamaged {
		return nil
	}
	return fault.Newf(fault.Conflict, "%d values can not be decrypted with the present keys. Nothing was changed. Set or delete present values, or restore a backup; or rotate without them, with --leave-damaged, which the last step needs too.", seen.Damaged)
}

func (r *run) checkBackup() error {
	latest := r.state.LatestBackup
	switch {
	case r.NoBackup:
		return nil
	case latest == nil:
		return fault.New(fault.Conflict, "No backup was made yet. Make one with `heartlock backup FILE` first, or say --no-backup. Nothing was changed.")
	case time.Since(*latest).Abs() > backupAge: // one of the future is of a clock that was wrong
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
		r.shown = isNew
		r.Say("Put key %s into HEARTLOCK_ENCRYPTION_KEY of every server, before the present key and a comma, and restart them one by one; .env is read again by itself.", to.Fingerprint())
		if !r.Wait {
			return to, fault.New(fault.Conflict, "Nothing is rotated yet. When all servers have both keys, run `heartlock rotate-key` again with the same setting.")
		}
	}
	return to, r.useKeys(ctx, append([]keyring.Key{to}, r.keys()...))
}

// choose finds the new key: the one given, the first of the settings if the
// database does not know it, or a random one. A key that the database does not
// know and that is not the first may be there for other reasons.
func (r *run) choose() (to keyring.Key, isNew bool, err error) {
	seals := r.state.Seals()
	unknown := slices.IndexFunc(r.Config.EncryptionKey.Keys, func(k keyring.Key) bool {
		_, known := r.state.Key(k.Fingerprint())
		return !known
	})
	switch {
	case len(r.Keys) > 0:
		to = r.Keys[0]
	case unknown > 0:
		return to, false, fault.Newf(fault.Conflict, "The settings hold key %s, which the database does not know, but not as the first. Put it first to rotate to it, take it out, or give the new key with --new-key-file. Nothing was changed.",
			r.Config.EncryptionKey.Keys[unknown].Fingerprint())
	case unknown == 0:
		to = r.Config.EncryptionKey.Keys[0]
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
	if err := r.instance.Vault.UseRing(ctx, ring); err != nil {
		return err
	}
	r.instance.Config.EncryptionKey.Keys = unique
	return nil
}

// await waits until every running server has the key, and a key that was only
// shown to a person is somewhere.
func (r *run) await(ctx context.Context, fingerprint string) error {
	deadline := time.Now().Add(fileWait)
	told := ""
	for {
		waiting := r.waitingFor(fingerprint)
		if waiting == "" {
			if n := len(r.state.Servers); n > 0 {
				r.Say("%s has key %s.", servers(n), fingerprint)
			}
			return nil
		}
		if !r.Wait && (!r.Config.KeysAreManaged() || time.Now().After(deadline)) {
			return fault.Newf(fault.Conflict, "Nothing is rotated yet: %s. Give it to them and run `heartlock rotate-key` again, or let it wait with --wait.", waiting)
		}
		if waiting != told {
			r.Say("Waiting: %s.", waiting)
			told = waiting
		}
		select {
		case <-ctx.Done():
			return fault.Wrap(fault.Unavailable, context.Cause(ctx), "The command was interrupted. Nothing is rotated yet; run it again to go on.")
		case <-time.After(time.Second):
		}
		var err error
		if r.state, err = vault.InspectServers(ctx, r.instance.Store); err != nil {
			return err
		}
	}
}

// waitingFor says what is lacking before the rotation may begin, or "".
func (r *run) waitingFor(fingerprint string) string {
	lacking := r.state.Lacking(fingerprint)
	if len(lacking) == 0 {
		if r.shown && len(r.state.Servers) == 0 && !r.inSettings(fingerprint) {
			return "no server runs, and the settings here do not hold key " + fingerprint + " yet: it is nowhere but where it was shown"
		}
		return ""
	}
	names := make([]string, len(lacking))
	for i, s := range lacking {
		names[i] = fmt.Sprintf("%s (started %s, last heard of %s)", s.Host, s.StartedAt.UTC().Format(time.DateTime+"Z"), s.SeenAt.UTC().Format(time.TimeOnly+"Z"))
	}
	return "these servers do not have key " + fingerprint + ": " + strings.Join(names, ", ")
}

// inSettings reports whether the settings of this host hold a key by now.
func (r *run) inSettings(fingerprint string) bool {
	cfg, err := r.Load()
	return err == nil && slices.ContainsFunc(cfg.EncryptionKey.Keys, func(k keyring.Key) bool { return k.Fingerprint() == fingerprint })
}

func servers(n int) string {
	if n == 1 {
		return "The running server"
	}
	return fmt.Sprintf("Each of the %d running servers", n)
}

// carryOut puts everything under the key that seals, and verifies it. With
// LeaveDamaged it returns how many values no key opens.
func (r *run) carryOut(ctx context.Context) (damaged int64, err error) {
	under := r.state.Rotation
	started := time.Now()
	done, err := r.instance.Vault.Reseal(ctx, vault.Local(), vault.ResealOptions{
		Batch: r.Batch, Progress: func(done, total int64) { r.Progress("re-encrypted", done, total) },
	})
	if err != nil {
		if ctx.Err() != nil {
			return 0, fault.Wrap(fault.Unavailable, err, "The command was interrupted. Nothing is lost: run it again to go on.")
		}
		return 0, err
	}
	r.Say("Re-encrypted %d values in %s.", done.Resealed, took(started))
	started = time.Now()
	seen, err := r.instance.Vault.VerifyRotation(ctx, vault.Local(), func(done, total int64) { r.Progress("verified", done, total) })
	if err != nil {
		return 0, err
	}
	crashpoint.Reach("rotate:verified")
	if seen.Damaged > 0 {
		return seen.Damaged, r.damaged(ctx, seen.Damaged)
	}
	r.Say("Verified: all %d values open with key %s alone (%s).", seen.Opened, under.To, took(started))
	return 0, nil
}

func took(since time.Time) string { return time.Since(since).Round(time.Millisecond).String() }

// damaged reports that values can not be opened with the key that seals.
func (r *run) damaged(ctx context.Context, n int64) error {
	if err := r.nameDamaged(ctx); err != nil {
		return err
	}
	if r.LeaveDamaged {
		return nil
	}
	giveUp := "--finish --leave-damaged"
	if r.state.Rotation.IsUndo {
		giveUp = "--undo --leave-damaged"
	}
	return fault.Newf(fault.Conflict, "Everything else is under key %s, but %d values can not be decrypted with it. Set or delete present values and run this again; for former versions, restore a backup, or give them up with %s.",
		r.state.Rotation.To, n, giveUp)
}

// nameDamaged names values that no key opens.
func (r *run) nameDamaged(ctx context.Context) error {
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
	return nil
}
