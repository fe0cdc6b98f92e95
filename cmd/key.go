package cmd

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/server"
	"github.com/heartlock/heartlock/pkg/vault"
)

func newKeyCommand(c *cli) *cobra.Command {
	cmd := newGroup("key", "Keep the encryption key safe")
	cmd.Long = `Gives the encryption key to a person on the server itself. Without the key the
stored secrets can not be read by anybody, and a backup is worth nothing.` + exits(fault.Unavailable)
	cmd.Example = "  heartlock key export heartlock.key"
	cmd.AddCommand(newKeyExportCommand(c))
	return cmd
}

func newKeyExportCommand(c *cli) *cobra.Command {
	f := &envFileFlag{}
	cmd := &cobra.Command{
		Use:   "export FILE",
		Short: "Write the encryption key to a file, to keep it elsewhere",
		Long: `Writes the configured encryption key, while it is rotated both keys, to a new file
that only you can read (mode 0600), or to standard output with -. Keep it where
this machine's failure does not reach it, and not beside the backups. 'heartlock
check' reminds of a key that was never exported. The export is audited.` + exits(fault.Conflict, fault.Unavailable),
		Example: `  heartlock key export heartlock.key
  heartlock key export - | gpg --encrypt --recipient ops > heartlock.key.gpg`,
		Args: takes(1, 1, "a file name, or - for standard output"),
		RunE: func(cmd *cobra.Command, args []string) error { return c.exportKey(cmd.Context(), f, args[0]) },
	}
	f.register(cmd)
	return cmd
}

func (c *cli) exportKey(ctx context.Context, f *envFileFlag, name string) error {
	restrictFileModes()
	return c.withInstance(ctx, f, func(i *server.Instance) error {
		var texts []string
		for _, k := range i.Config.EncryptionKey.Keys {
			texts = append(texts, k.Encode())
		}
		if len(texts) == 0 {
			return fault.New(fault.Usage, "No encryption key is configured. Run this where the server's settings are.")
		}
		text := []byte(strings.Join(texts, ",") + "\n")
		var err error
		if name == "-" {
			err = c.write(text)
		} else {
			err = writeNewFile(c.path(name), text)
		}
		if err != nil {
			return err
		}
		if err := i.Vault.MarkKeysExported(ctx, vault.Local()); err != nil {
			return err
		}
		c.say("Exported key %s.", strings.Join(i.Vault.Fingerprints(), ", "))
		return nil
	})
}

// writeNewFile writes a secret durably to a file that must not be there yet, with
// mode 0600.
func writeNewFile(path string, content []byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fault.Newf(fault.Conflict, "%s is there already. Nothing was written; choose another name.", path)
	}
	if err != nil {
		return fault.Wrap(fault.Usage, err, path+" can not be written: "+ioReason(err)+".")
	}
	_, err = file.Write(content)
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return fault.Wrap(fault.Usage, errors.Join(err, os.Remove(path)), path+" can not be written: "+ioReason(err)+".")
	}
	return nil
}
