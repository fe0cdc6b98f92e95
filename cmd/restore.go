package cmd

import (
	"context"
	"os"

	"github.com/spf13/cobra"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/backup"
	"github.com/heartlock/heartlock/pkg/config"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/keyring"
	"github.com/heartlock/heartlock/pkg/server"
	"github.com/heartlock/heartlock/pkg/vault"
)

type restoreOptions struct {
	envFileFlag
	keyFiles       []string
	passphraseFile string
	verify         bool
	keepDamaged    bool
	json           bool
}

func newRestoreCommand(c *cli) *cobra.Command {
	o := &restoreOptions{}
	cmd := &cobra.Command{
		Use:   "restore FILE",
		Short: "Fill an empty database from a backup, or verify one",
		Long: `Fills the database of the settings from a backup of 'heartlock backup', whichever
engine that was made from: this is also the way from SQLite to PostgreSQL. The
database must hold nothing, and no server may run on it; nothing is ever
overwritten. It is one transaction: either everything is there afterwards, with
every sum right and every value opened, or nothing.

The backup is opened with the keys of the settings, with those that --key-file
adds, or with its passphrase. Everything is put under the first key of the
settings, so a backup from before a rotation needs the former key beside it:
heartlock_data/former-keys has it.

With --verify it is read and every value opened, and nothing is written: a backup
that was never opened is none. No database is needed for that.

Exit code 1 if the backup is damaged or a value in it does not open.` + exits(fault.Conflict, fault.Unavailable),
		Example: `  heartlock restore --verify heartlock-2027-01-31.backup
  heartlock restore heartlock-2027-01-31.backup
  heartlock restore --key-file heartlock_data/former-keys/0123abcd.key old.backup
  DATABASE_URL=postgres://… heartlock restore from-sqlite.backup`,
		Args: takes(1, 1, "the file of a backup"),
		RunE: func(cmd *cobra.Command, args []string) error { return c.restore(cmd.Context(), o, args[0]) },
	}
	o.register(cmd)
	flags := cmd.Flags()
	flags.StringArrayVar(&o.keyFiles, "key-file", nil, "open with the keys in this file too; may be repeated")
	flags.StringVar(&o.passphraseFile, "passphrase-file", "", "take the passphrase from this file instead of asking")
	flags.BoolVar(&o.verify, "verify", false, "read everything and write nothing")
	flags.BoolVar(&o.keepDamaged, "keep-damaged", false, "restore values that no key opens as they are")
	flags.BoolVar(&o.json, "json", false, "print JSON")
	cmd.MarkFlagsMutuallyExclusive("verify", "keep-damaged")
	return cmd
}

func (c *cli) restore(ctx context.Context, o *restoreOptions, name string) error {
	restrictFileModes()
	server.TuneMemory(false)
	cfg, err := config.LoadServer(o.options(c, nil))
	if err != nil {
		return err
	}
	var keys []keyring.Key
	for _, file := range o.keyFiles {
		more, err := config.ReadKeyFile(c.path(file))
		if err != nil {
			return err
		}
		keys = append(keys, more...)
	}
	shown := c.newProgress()
	defer shown.clear()
	ro := server.RestoreOptions{
		Path: c.path(name), Keys: keys, Passphrase: c.passphraseOf(ctx, o), KeepDamaged: o.keepDamaged, Log: c.quiet(),
		Say:      func(format string, args ...any) { shown.clear(); c.say(format, args...) },
		Progress: shown.show,
	}
	if o.verify {
		return c.verifyBackup(ctx, cfg, ro, o.json)
	}
	restored, err := server.Restore(ctx, cfg, ro)
	shown.clear()
	if err != nil {
		return err
	}
	return c.tellRestored(restored, o.json)
}

// passphraseOf is how the passphrase of a backup is found, if it has one; nil is
// not at all.
func (c *cli) passphraseOf(ctx context.Context, o *restoreOptions) func() (api.Value, error) {
	switch {
	case o.passphraseFile != "":
		return func() (api.Value, error) { return c.readPassphrase(o.passphraseFile) }
	case isTerminal(c.streams.In):
		return func() (api.Value, error) { return c.askHidden(ctx, "Passphrase of the backup: ") }
	}
	return nil
}

func (c *cli) verifyBackup(ctx context.Context, cfg *config.Server, ro server.RestoreOptions, asJSON bool) error {
	opener := backup.Opener{Keys: append(cfg.EncryptionKey.Keys, ro.Keys...), Passphrase: ro.Passphrase}
	content, err := server.VerifyBackup(ctx, ro.Path, opener, ro.Progress)
	if err != nil {
		return err
	}
	good := content.DamagedCount() == 0
	if asJSON {
		line := newBackupLine(content.Manifest, content)
		line.Path, line.Verified, line.EncryptedTo = ro.Path, good, encryptedToOf(content.Manifest)
		if info, err := os.Stat(ro.Path); err == nil {
			line.Bytes = info.Size()
		}
		if err := c.printJSON(line); err != nil {
			return err
		}
	}
	m := content.Manifest
	ro.Say("The backup holds the state of %s of a %s database, schema version %d: %s.", when(m.TakenAt), m.Engine, m.SchemaVersion, rowsText(m))
	if !good {
		if len(content.Missing) > 0 {
			c.say("%s", vault.MissingKeys(content.Missing))
		}
		c.sayDamaged(content, "The rest of the backup is whole.")
		return exitCode(1)
	}
	c.say("Every sum is right, and all %s open.", plural(int(content.Opened), "value"))
	return nil
}

func encryptedToOf(m backup.Manifest) string {
	if m.CarriesKeys || len(m.Keys) == 0 {
		return "passphrase"
	}
	return m.Keys[0].Fingerprint
}

func (c *cli) tellRestored(r vault.Restored, asJSON bool) error {
	m := r.Manifest
	if asJSON {
		line := restoreLine{backupLine: newBackupLine(m, r.BackupContent), Resealed: r.Resealed}
		line.Verified, line.EncryptedTo = r.DamagedCount() == 0, encryptedToOf(m)
		if err := c.printJSON(line); err != nil {
			return err
		}
	}
	c.say("Restored the state of %s: %s.", when(m.TakenAt), rowsText(m))
	if r.Resealed > 0 {
		c.say("%s put under the key of the settings.", plural(int(r.Resealed), "value"))
	}
	if r.DamagedCount() > 0 {
		c.sayDamaged(r.BackupContent, "They were restored as they are.")
	}
	c.say("Start the server now. People sign in again. What was changed since the backup is as it was then: look for tokens that were revoked and people who were removed since.")
	return nil
}

// restoreLine is a restore in JSON.
type restoreLine struct {
	backupLine
	Resealed int64 `json:"resealed"` // values that were put under the key of the settings
}
