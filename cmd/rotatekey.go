package cmd

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/heartlock/heartlock/pkg/config"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/keyring"
	"github.com/heartlock/heartlock/pkg/rotation"
	"github.com/heartlock/heartlock/pkg/server"
	"github.com/heartlock/heartlock/pkg/vault"
)

type rotateKeyOptions struct {
	envFileFlag
	status, undo, finish bool
	newKeyFile           string
	wait, noBackup       bool
	leaveDamaged, json   bool
	batch                int
}

func newRotateKeyCommand(c *cli) *cobra.Command {
	o := &rotateKeyOptions{}
	cmd := &cobra.Command{
		Use:   "rotate-key",
		Short: "Put everything under a new encryption key while servers run",
		Long: `Gives this installation a new encryption key, without stopping a server. Run it
on one host, in the server's directory, with the server's settings:

  1. It sees that the present key opens what is stored, and that a backup of the
     last 24 hours exists.
  2. It writes the new key, beside the present one, to appconfig.json or secret.key,
     which running servers read by themselves. Where the key comes from
     HEARTLOCK_ENCRYPTION_KEY it prints a new key and says what to set: the variable
     takes several keys, separated by commas; all of them open. With --wait it goes
     on by itself when every running server reports both keys.
  3. It makes the new key the one that seals, and re-encrypts every stored value.
  4. It opens every value with the new key alone.

Then 'heartlock rotate-key --finish' retires the former key, or --undo goes back.
Until then servers need both. It may be interrupted at any moment: run again, it
goes on where it was. A key is never given as an argument.` + exits(fault.Conflict, fault.Unavailable),
		Example: `  heartlock rotate-key
  heartlock rotate-key --status
  heartlock rotate-key --finish
  heartlock rotate-key --new-key-file new.key --wait`,
		Args: takes(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error { return c.rotateKey(cmd.Context(), cmd, o) },
	}
	o.register(cmd)
	flags := cmd.Flags()
	flags.BoolVar(&o.status, "status", false, "show the keys, the rotation and the running servers; change nothing")
	flags.BoolVar(&o.undo, "undo", false, "go back to the former key")
	flags.BoolVar(&o.finish, "finish", false, "retire the former key")
	flags.StringVar(&o.newKeyFile, "new-key-file", "", "take the new key from this file instead of making one")
	flags.BoolVar(&o.wait, "wait", false, "wait until every running server has the new key")
	flags.BoolVar(&o.noBackup, "no-backup", false, "begin although no backup was made in the last 24 hours")
	flags.BoolVar(&o.leaveDamaged, "leave-damaged", false, "give up the values that no key opens (also with --finish and --undo)")
	flags.IntVar(&o.batch, "batch-size", vault.DefaultBatch, "values that one transaction re-encrypts")
	flags.BoolVar(&o.json, "json", false, "with --status: print JSON")
	cmd.MarkFlagsMutuallyExclusive("status", "undo", "finish")
	return cmd
}

func (c *cli) rotateKey(ctx context.Context, cmd *cobra.Command, o *rotateKeyOptions) error {
	if o.json && !o.status {
		return wrongUse(cmd, "--json is for --status.")
	}
	for _, only := range []struct {
		flag     string
		fits     bool
		fitsWhat string
	}{
		{"wait", !o.status && !o.finish && !o.undo, "beginning a rotation"},
		{"no-backup", !o.status && !o.finish && !o.undo, "beginning a rotation"},
		{"new-key-file", !o.status, "beginning, finishing or undoing a rotation"},
		{"batch-size", !o.status, "rotating"},
		{"leave-damaged", !o.status, "rotating, finishing or undoing"},
	} {
		if cmd.Flags().Changed(only.flag) && !only.fits {
			return wrongUse(cmd, "--%s is for %s.", only.flag, only.fitsWhat)
		}
	}
	if o.batch < 1 || o.batch > 100_000 {
		return wrongUse(cmd, "--batch-size must be from 1 to 100000.")
	}
	restrictFileModes()
	server.TuneMemory(false)
	cfg, err := config.LoadServer(o.options(c, nil))
	if err != nil {
		return err
	}
	shown := c.newProgress()
	defer shown.clear()
	ro := rotation.Options{
		Config: cfg, Load: func() (*config.Server, error) { return config.LoadServer(o.options(c, nil)) }, Wait: o.wait, NoBackup: o.noBackup, LeaveDamaged: o.leaveDamaged, Batch: o.batch, Log: c.quiet(),
		Say:      func(format string, args ...any) { shown.clear(); c.say(format, args...) },
		Progress: shown.show,
		ShowKey:  func(k keyring.Key) error { return c.write([]byte(k.Encode() + "\n")) },
	}
	if o.newKeyFile != "" {
		if ro.Keys, err = config.ReadKeyFile(c.path(o.newKeyFile)); err != nil {
			return err
		}
	}
	switch {
	case o.status:
		return c.rotationStatus(ctx, ro, o.json)
	case o.finish:
		return rotation.Finish(ctx, ro)
	case o.undo:
		return rotation.Undo(ctx, ro)
	default:
		return rotation.Rotate(ctx, ro)
	}
}

func (c *cli) rotationStatus(ctx context.Context, o rotation.Options, asJSON bool) error {
	state, err := rotation.Status(ctx, o)
	if err != nil {
		return err
	}
	if asJSON {
		return c.printJSON(newKeyStateLine(o.Config, state))
	}
	keys := table{head: []string{"KEY", "STATE", "VALUES", "KNOWN SINCE"}}
	for _, k := range state.Keys {
		keys.add(k.Fingerprint, keyRole(k), fmt.Sprint(k.Values), when(k.CreatedAt))
	}
	if err := c.printTable(keys); err != nil {
		return err
	}
	if len(state.Servers) > 0 {
		running := table{head: []string{"SERVER", "VERSION", "KEYS", "SETTINGS", "STARTED"}}
		for _, s := range state.Servers {
			running.add(s.Host, s.Version, strings.Join(s.KeyFingerprints, ", "), s.ConfigGeneration, when(s.StartedAt))
		}
		if err := c.write([]byte("\n")); err != nil {
			return err
		}
		if err := c.printTable(running); err != nil {
			return err
		}
	}
	c.say("\n%s", rotationText(o.Config, state))
	return nil
}

// keyRole is what a key is for.
func keyRole(k vault.KnownKey) string {
	switch {
	case k.Seals:
		return "seals"
	case k.RetiredAt != nil:
		return "retired " + when(*k.RetiredAt)
	default:
		return "opens"
	}
}

// rotationText says in a sentence what is under way and what to do next.
func rotationText(cfg *config.Server, state vault.KeyState) string {
	r := state.Rotation
	switch {
	case r == nil:
		return settingsText(cfg, state)
	case r.IsUndo:
		return fmt.Sprintf("The rotation to key %s is being undone; %d values are to be re-encrypted. Run `heartlock rotate-key --undo` to go on.", r.From, state.Remaining())
	case state.Remaining() > 0:
		return fmt.Sprintf("The rotation from key %s to %s is unfinished: %d values are to be re-encrypted. Run `heartlock rotate-key` to go on, or --undo to go back.", r.From, r.To, state.Remaining())
	case r.VerifiedAt == nil:
		return fmt.Sprintf("Everything is under key %s, but not verified yet. Run `heartlock rotate-key` to go on, or --undo to go back.", r.To)
	}
	return fmt.Sprintf("Everything was re-encrypted and verified on %s. Run `heartlock rotate-key --finish` to retire key %s, or --undo to go back.", when(*r.VerifiedAt), r.From)
}

// settingsText is for a database in which no rotation is under way: one may have
// been interrupted before that, or after, with only the settings changed.
func settingsText(cfg *config.Server, state vault.KeyState) string {
	for _, k := range cfg.EncryptionKey.Keys {
		fingerprint := k.Fingerprint()
		switch known, is := state.Key(fingerprint); {
		case !is:
			return fmt.Sprintf("Key %s is in the settings, but nothing is under it yet. Run `heartlock rotate-key` to rotate to it, or --undo to take it out again.", fingerprint)
		case known.RetiredAt != nil:
			return fmt.Sprintf("Key %s is retired, but still in the settings. Run `heartlock rotate-key --finish` to take it out.", fingerprint)
		}
	}
	return "No rotation is under way."
}

// keyStateLine is the state of the keys in JSON.
type keyStateLine struct {
	Settings []string      `json:"settings"` // fingerprints of the keys in the settings
	Keys     []keyLine     `json:"keys"`
	Rotation *rotationLine `json:"rotation"` // null: none is under way
	Servers  []serverLine  `json:"servers"`
}

type keyLine struct {
	Fingerprint string     `json:"fingerprint"`
	Seals       bool       `json:"seals"`
	Values      int64      `json:"values"`
	CreatedAt   time.Time  `json:"created_at"`
	RetiredAt   *time.Time `json:"retired_at"`
}

type rotationLine struct {
	From       string     `json:"from"`
	To         string     `json:"to"`
	Undo       bool       `json:"undo"`
	Remaining  int64      `json:"remaining"` // values to be re-encrypted
	StartedAt  time.Time  `json:"started_at"`
	VerifiedAt *time.Time `json:"verified_at"`
}

// serverLine is a running server in JSON.
type serverLine struct {
	Host             string    `json:"host"`
	Version          string    `json:"version"`
	Keys             []string  `json:"keys"`
	ConfigGeneration string    `json:"config_generation"`
	StartedAt        time.Time `json:"started_at"`
	SeenAt           time.Time `json:"seen_at"`
}

func newKeyStateLine(cfg *config.Server, state vault.KeyState) keyStateLine {
	line := keyStateLine{Settings: []string{}, Keys: []keyLine{}, Servers: []serverLine{}}
	for _, k := range cfg.EncryptionKey.Keys {
		line.Settings = append(line.Settings, k.Fingerprint())
	}
	for _, k := range state.Keys {
		line.Keys = append(line.Keys, keyLine{k.Fingerprint, k.Seals, k.Values, k.CreatedAt, k.RetiredAt})
	}
	if r := state.Rotation; r != nil {
		line.Rotation = &rotationLine{r.From, r.To, r.IsUndo, state.Remaining(), r.StartedAt, r.VerifiedAt}
	}
	for _, s := range state.Servers {
		line.Servers = append(line.Servers, serverLine{s.Host, s.Version, s.KeyFingerprints, s.ConfigGeneration, s.StartedAt, s.SeenAt})
	}
	return line
}
