package diagnosis

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/heartlock/heartlock/pkg/config"
	"github.com/heartlock/heartlock/pkg/keyring"
	"github.com/heartlock/heartlock/pkg/store"
	"github.com/heartlock/heartlock/pkg/vault"
)

// custody looks at what keeps the values from being lost: where the keys are,
// what is under which, which servers have them, and the backups.
func (e *examination) custody(ctx context.Context, st *store.Store, ring *keyring.Ring) {
	state, err := vault.InspectKeys(ctx, st)
	if err != nil {
		e.failed(subjectKey, err)
		return
	}
	e.rotation(state)
	e.strayValues(state, ring)
	e.servers(state)
	if e.production() {
		e.exported(state)
		holdsSecrets, err := st.HoldsSecrets(ctx)
		if err != nil {
			e.failed(subjectBackups, err)
			return
		}
		e.backups(state, holdsSecrets)
	}
}

// production reports whether the installation is more than somebody's own, on
// which nobody depends.
func (e *examination) production() bool { return !e.config.Debug || e.options.Deploy }

// rotation reminds of one that is unfinished.
func (e *examination) rotation(state vault.KeyState) {
	r := state.Rotation
	switch {
	case r == nil:
	case r.IsUndo:
		e.found(Warning, subjectRotation, fmt.Sprintf("The rotation to key %s is being undone since %s. Run `heartlock rotate-key --undo` to go on.", r.From, day(r.StartedAt)))
	case r.VerifiedAt != nil && state.Remaining() == 0:
		e.found(Warning, subjectRotation, fmt.Sprintf("The rotation from key %s to %s is verified, but not finished. Run `heartlock rotate-key --finish`, or --undo.", r.From, r.To))
	default:
		e.found(Warning, subjectRotation, fmt.Sprintf("A rotation from key %s to %s began on %s; %s to be re-encrypted. Run `heartlock rotate-key` to go on.",
			r.From, r.To, day(r.StartedAt), count(state.Remaining(), "value is", "values are")))
	}
}

// strayValues finds values under keys that should hold none.
func (e *examination) strayValues(state vault.KeyState, ring *keyring.Ring) {
	for _, k := range state.Keys {
		if k.Fingerprint == "" { // damaged: the values are named one by one
			continue
		}
		if k.Values == 0 || k.Seals || state.Rotation != nil && ring.Has(k.Fingerprint) {
			continue
		}
		what := "which the database does not know"
		switch {
		case k.RetiredAt != nil:
			what = "which was retired on " + day(*k.RetiredAt)
		case !k.CreatedAt.IsZero():
			what = "though key " + state.Seals() + " seals and no rotation is under way"
		}
		e.found(Error, subjectKey, fmt.Sprintf("%s under key %s, %s. If you have that key (look in heartlock_data/%s), add it to the settings, behind the others, and run `heartlock rotate-key`; else restore a backup, or set the values anew. `heartlock check --decrypt-all` names them.",
			count(k.Values, "value is", "values are"), k.Fingerprint, what, config.FormerKeysName))
	}
}

// servers finds running servers that can not write, or that have other settings
// than the rest.
func (e *examination) servers(state vault.KeyState) {
	if len(state.Servers) == 0 {
		return
	}
	seals := state.Seals()
	lacking := state.Lacking(seals)
	for _, s := range lacking {
		e.found(Error, subjectServers, fmt.Sprintf("The server on %s (started %s) does not have key %s, which seals: it can not write. Put the key into its settings.", s.Host, s.StartedAt.UTC().Format(time.DateTime+"Z"), seals))
	}
	generations := map[string]bool{}
	versions := map[string]bool{}
	for _, s := range state.Servers {
		generations[s.ConfigGeneration], versions[s.Version] = true, true
	}
	if len(generations) > 1 {
		e.found(Warning, subjectServers, fmt.Sprintf("The %d running servers have %d different sets of settings. Compare `heartlock config` on their hosts.", len(state.Servers), len(generations)))
	}
	if len(versions) > 1 {
		e.found(Warning, subjectServers, fmt.Sprintf("The running servers are of %d different versions. Finish the update.", len(versions)))
	}
	if len(lacking) == 0 && len(generations) == 1 {
		e.right(subjectServers, count(len(state.Servers), "server runs", "servers run")+", with key "+seals)
	}
}

// exported finds keys that are nowhere but on this machine.
func (e *examination) exported(state vault.KeyState) {
	source := e.config.EncryptionKey.Source
	if source != config.KeyFromAppConfig && source != config.KeyFromFile {
		return // a person has put it where it is
	}
	var only []string
	for _, k := range state.Keys {
		if k.RetiredAt == nil && k.ExportedAt == nil && !k.CreatedAt.IsZero() {
			only = append(only, k.Fingerprint)
		}
	}
	if len(only) > 0 {
		e.found(Warning, subjectKey, fmt.Sprintf("Key %s is nowhere but in %s: if that is lost, every secret is, and the backups with it. Run `heartlock key export FILE` and keep the file elsewhere.", strings.Join(only, ", "), source))
	}
}

// backups finds out whether the latest one is too old.
func (e *examination) backups(state vault.KeyState, holdsSecrets bool) {
	allowed, how := oldestBackup, "Make one with `heartlock backup FILE`, or have the server make them with HEARTLOCK_BACKUP_DIR."
	if plan := e.config.Backup; plan.Dir != "" {
		allowed, how = plan.Interval+vault.ClaimLife, "The server makes them by itself: see in its log why it did not."
	}
	switch {
	case state.LatestBackup == nil && !holdsSecrets: // there is nothing to lose yet
	case state.LatestBackup == nil:
		e.found(Warning, subjectBackups, "No backup was made yet. "+how)
	case time.Since(*state.LatestBackup) > allowed:
		e.found(Warning, subjectBackups, fmt.Sprintf("The latest is of %s, %s ago. %s", day(*state.LatestBackup), age(time.Since(*state.LatestBackup)), how))
	default:
		e.right(subjectBackups, "the latest is "+age(time.Since(*state.LatestBackup))+" old")
	}
}

// oldestBackup is how old the latest backup may be where no schedule says it.
const oldestBackup = 7 * 24 * time.Hour

func day(t time.Time) string { return t.UTC().Format("2006-01-02") }

// age is a span as a person says it.
func age(d time.Duration) string {
	if d < 48*time.Hour {
		return d.Round(time.Minute).String()
	}
	return fmt.Sprintf("%d days", int(d/(24*time.Hour)))
}
