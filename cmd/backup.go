package cmd

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/backup"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/server"
	"github.com/heartlock/heartlock/pkg/vault"
)

type backupOptions struct {
	envFileFlag
	passphraseFile string
	passphrase     bool
	force          bool
	noVerify       bool
	json           bool
}

func newBackupCommand(c *cli) *cobra.Command {
	o := &backupOptions{}
	cmd := &cobra.Command{
		Use:   "backup FILE",
		Short: "Write everything into one encrypted file, while servers run",
		Long: `Writes the whole database, as it is at one moment, into one new file that only you
can read (mode 0600), or to standard output with -. Servers may go on writing. The
file is compressed and encrypted, and can be restored into SQLite and PostgreSQL
with 'heartlock restore'.

It is encrypted to the encryption key, which is not in it: keep the key elsewhere
('heartlock key export'). With --passphrase or --passphrase-file it is encrypted to
a passphrase instead and carries the key, so that the passphrase alone is enough;
without the passphrase it is lost.

Then the file is read back and every value in it opened; only after that it takes
its name. Exit code 1 if a stored value can not be opened: the backup is made, and
the value in it as it is. Sessions are not backed up. The backup is audited.` + exits(fault.Conflict, fault.Unavailable),
		Example: `  heartlock backup heartlock-2027-01-31.backup
  heartlock backup --passphrase-file phrase.txt offsite.backup
  heartlock backup - | ssh vault 'cat > heartlock.backup'`,
		Args: takes(1, 1, "a file name, or - for standard output"),
		RunE: func(cmd *cobra.Command, args []string) error { return c.backup(cmd.Context(), cmd, o, args[0]) },
	}
	o.register(cmd)
	flags := cmd.Flags()
	flags.StringVar(&o.passphraseFile, "passphrase-file", "", "encrypt to the passphrase in this file; one line break at its end does not count")
	flags.BoolVar(&o.passphrase, "passphrase", false, "encrypt to a passphrase that is asked for")
	flags.BoolVar(&o.force, "force", false, "replace a file that is there")
	flags.BoolVar(&o.noVerify, "no-verify", false, "do not read the file back")
	flags.BoolVar(&o.json, "json", false, "print JSON")
	cmd.MarkFlagsMutuallyExclusive("passphrase", "passphrase-file")
	return cmd
}

func (c *cli) backup(ctx context.Context, cmd *cobra.Command, o *backupOptions, name string) error {
	stdout := name == "-"
	if stdout && (o.json || o.force) {
		return wrongUse(cmd, "With - the backup goes to standard output; --json and --force are for files.")
	}
	if stdout && isTerminal(c.streams.Out) {
		return wrongUse(cmd, "The backup is not text. Send standard output to a file or a program.")
	}
	restrictFileModes()
	server.TuneMemory(false)
	passphrase, err := c.newPassphrase(ctx, o)
	if err != nil {
		return err
	}
	shown := c.newProgress()
	defer shown.clear()
	bo := server.BackupOptions{
		Replace: o.force, NoVerify: o.noVerify, Passphrase: passphrase,
		Version: c.build.info().Version, Progress: shown.show,
	}
	if stdout {
		bo.Out = c.streams.Out
	} else {
		bo.Path = c.path(name)
	}
	return c.withInstance(ctx, &o.envFileFlag, func(i *server.Instance) error {
		result, err := i.Backup(ctx, vault.Local(), bo)
		shown.clear()
		if err != nil {
			return err
		}
		return c.tellBackup(result, bo.Path, o.json)
	})
}

// newPassphrase is that of a new backup, or empty.
func (c *cli) newPassphrase(ctx context.Context, o *backupOptions) (passphrase api.Value, err error) {
	switch {
	case o.passphraseFile != "":
		passphrase, err = c.readPassphrase(o.passphraseFile)
	case o.passphrase && !isTerminal(c.streams.In):
		return passphrase, fault.New(fault.Usage, "--passphrase asks on a terminal. Elsewhere use --passphrase-file FILE.")
	case o.passphrase:
		passphrase, err = c.askTwice(ctx)
	default:
		return passphrase, nil
	}
	if err == nil {
		err = backup.CheckPassphrase(passphrase)
	}
	return passphrase, err
}

func (c *cli) askTwice(ctx context.Context) (api.Value, error) {
	first, err := c.askHidden(ctx, "Passphrase of the backup: ")
	if err != nil {
		return first, err
	}
	again, err := c.askHidden(ctx, "The same once more: ")
	if err == nil && !first.Equal(again) {
		err = fault.New(fault.Usage, "The two passphrases are not the same. Nothing was written.")
	}
	return first, err
}

// readPassphrase reads a passphrase from a file, without one line break at its end.
func (c *cli) readPassphrase(name string) (api.Value, error) {
	path := c.path(name)
	text, err := os.ReadFile(path)
	if err != nil {
		return api.Value{}, fault.Wrap(fault.Usage, err, path+" can not be read: "+ioReason(err)+".")
	}
	text = bytes.TrimSuffix(bytes.TrimSuffix(text, []byte("\n")), []byte("\r"))
	return api.NewValue(string(text)), nil
}

// tellBackup reports what was made; a value that does not open is exit code 1.
func (c *cli) tellBackup(r server.BackupResult, path string, asJSON bool) error {
	if asJSON {
		line := newBackupLine(r.Manifest, r.Content)
		line.Path, line.Bytes, line.EncryptedTo, line.Verified = path, r.Bytes, r.EncryptedTo, r.Verified()
		if err := c.printJSON(line); err != nil {
			return err
		}
	}
	where := path
	if where == "" {
		where = "standard output"
	}
	c.say("Backed up the state of %s to %s: %s, %s, encrypted to %s.", when(r.Manifest.TakenAt), where, rowsText(r.Manifest), sizeText(r.Bytes), encryptedTo(r.EncryptedTo))
	switch {
	case !r.Read:
		c.say("It was not read back. See that it opens: heartlock restore --verify FILE")
	case r.Content.DamagedCount() > 0:
		c.sayDamaged(r.Content, "They are in the backup as they are in the database.")
		return exitCode(1)
	default:
		c.say("Read back: every sum is right, and all %s open.", plural(int(r.Content.Opened), "value"))
	}
	return nil
}

func encryptedTo(to string) string {
	if to == "passphrase" {
		return "the passphrase (the key is in it)"
	}
	return "key " + to + " (which is not in it)"
}

func (c *cli) sayDamaged(content vault.BackupContent, then string) {
	c.say("%s can not be decrypted:\n%s%s", plural(int(content.DamagedCount()), "value"), content.DamagedList(), then)
}

// rowsText counts what a person knows of.
func rowsText(m backup.Manifest) string {
	return fmt.Sprintf("%s, %s, %s, %s",
		plural(int(rowsOf(m, "users")), "user"), plural(int(rowsOf(m, "projects")), "project"),
		plural(int(rowsOf(m, "secrets")), "secret"), plural(int(rowsOf(m, "secret_versions")), "former version"))
}

func rowsOf(m backup.Manifest, table string) int64 {
	for _, t := range m.Tables {
		if t.Name == table {
			return t.Rows
		}
	}
	return 0
}

// sizeText is a number of bytes as a person says it.
func sizeText(n int64) string {
	const kibi = 1024
	value, units := float64(n), []string{"KiB", "MiB", "GiB", "TiB"}
	if n < kibi {
		return fmt.Sprintf("%d bytes", n)
	}
	unit := ""
	for _, unit = range units {
		if value /= kibi; value < kibi {
			break
		}
	}
	return fmt.Sprintf("%.1f %s", value, unit)
}

// backupLine is a backup in JSON.
type backupLine struct {
	Path          string         `json:"path"`
	Bytes         int64          `json:"bytes"`
	TakenAt       time.Time      `json:"taken_at"`
	CreatedAt     time.Time      `json:"created_at"`
	Heartlock     string         `json:"heartlock"`
	SchemaVersion int            `json:"schema_version"`
	Engine        string         `json:"engine"`
	EncryptedTo   string         `json:"encrypted_to"` // fingerprint of a key, or "passphrase"
	Keys          []string       `json:"keys"`         // that the instance knew, the one that seals first
	Tables        []backup.Table `json:"tables"`
	Verified      bool           `json:"verified"` // read back, and every value opened
	Opened        int64          `json:"opened"`   // values
	Damaged       int64          `json:"damaged"`  // values that no key opens
}

func newBackupLine(m backup.Manifest, content vault.BackupContent) backupLine {
	line := backupLine{
		TakenAt: m.TakenAt, CreatedAt: m.CreatedAt, Heartlock: m.Heartlock, SchemaVersion: m.SchemaVersion, Engine: m.Engine,
		Keys: []string{}, Tables: m.Tables, Opened: content.Opened, Damaged: content.DamagedCount(),
	}
	for _, k := range m.Keys {
		line.Keys = append(line.Keys, k.Fingerprint)
	}
	return line
}
