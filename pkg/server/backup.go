package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/backup"
	"github.com/heartlock/heartlock/pkg/crashpoint"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/keyring"
	"github.com/heartlock/heartlock/pkg/vault"
)

// BackupOptions say where a backup goes and how it is made.
type BackupOptions struct {
	Path       string    // absolute; the folder must be there
	Out        io.Writer // instead of a file, if Path is empty
	Replace    bool      // a file that is there
	NoVerify   bool      // do not read the file back
	Passphrase api.Value // empty: encrypt to the key that seals
	Version    string    // of this program
	Progress   func(what string, done, total int64)
}

// BackupResult is a backup that was made.
type BackupResult struct {
	Manifest    backup.Manifest
	Bytes       int64
	EncryptedTo string
	Read        bool // it was read back to its end, and every sum in it is right
	Content     vault.BackupContent
}

// Verified reports whether the backup was read back and every value in it opened.
func (r BackupResult) Verified() bool { return r.Read && r.Content.DamagedCount() == 0 }

// Backup makes a backup of the database while servers write to it. The file
// takes its name, durably, when it is complete, and unless NoVerify is set only
// after it was read back; a failure leaves nothing. A value that no key opens is
// in the backup as it is in the database, and named in the result.
func (i *Instance) Backup(ctx context.Context, p vault.Principal, o BackupOptions) (BackupResult, error) {
	if o.Path != "" && !o.Replace {
		if _, err := os.Lstat(o.Path); err == nil {
			return BackupResult{}, alreadyThere(o.Path)
		}
	}
	run, err := i.Vault.BeginBackup(ctx, p, vault.BackupTarget{Host: hostName(), Path: o.Path})
	if err != nil {
		return BackupResult{}, err
	}
	result, err := makeBackup(ctx, run, i.Vault, o)
	if err != nil {
		return result, errors.Join(err, run.Abandon(context.WithoutCancel(ctx)))
	}
	crashpoint.Reach("backup:named")
	// The file is there: whoever interrupts now is too late.
	return result, run.Finish(context.WithoutCancel(ctx), result.Bytes, result.Verified())
}

// partEnd ends the name of a file that is not complete; it begins with a dot.
const partEnd = ".part"

// makeBackup writes what was begun.
func makeBackup(ctx context.Context, run *vault.BackupRun, v *vault.Vault, o BackupOptions) (result BackupResult, err error) {
	if o.Path == "" {
		counted := &counter{to: o.Out}
		result.Manifest, err = run.Write(ctx, counted, o.vaultOptions())
		result.Bytes, result.EncryptedTo = counted.n, run.EncryptedTo()
		return result, err
	}
	file, err := os.CreateTemp(filepath.Dir(o.Path), "."+filepath.Base(o.Path)+".*"+partEnd) // mode 0600
	if err != nil {
		return result, notWritten(o.Path, err)
	}
	defer func() { _ = os.Remove(file.Name()) }()
	result.Manifest, err = run.Write(ctx, file, o.vaultOptions())
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return result, notWritten(o.Path, err)
	}
	crashpoint.Reach("backup:written")
	info, err := os.Stat(file.Name())
	if err != nil {
		return result, notWritten(o.Path, err)
	}
	result.Bytes, result.EncryptedTo = info.Size(), run.EncryptedTo()
	if !o.NoVerify {
		if result.Content, err = readBack(ctx, file.Name(), v, o); err != nil {
			return result, err
		}
		result.Read = true
	}
	crashpoint.Reach("backup:verified")
	return result, takeName(file.Name(), o.Path, o.Replace)
}

func (o BackupOptions) vaultOptions() vault.BackupOptions {
	return vault.BackupOptions{Passphrase: o.Passphrase, Version: o.Version, Progress: o.Progress}
}

// readBack opens everything in a file that was just written, with the passphrase
// alone where there is one.
func readBack(ctx context.Context, path string, v *vault.Vault, o BackupOptions) (vault.BackupContent, error) {
	keys := v.Keys()
	opener := backup.Opener{Keys: keys}
	if o.Passphrase.Len() > 0 {
		keys = nil
		opener = backup.Opener{Passphrase: func() (api.Value, error) { return o.Passphrase, nil }}
	}
	content, err := vault.VerifyBackup(ctx, fileSource(path, opener), keys, progressOf("Verifying", o.Progress))
	if err != nil {
		return content, fault.Wrap(fault.KindOf(err), err, "The backup was written, but can not be read back, and was removed: "+err.Error())
	}
	return content, nil
}

func progressOf(what string, progress func(string, int64, int64)) func(done, total int64) {
	if progress == nil {
		return nil
	}
	return func(done, total int64) { progress(what, done, total) }
}

// fileSource opens a backup in a file. What can be read only once is refused,
// because a backup is opened more than once.
func fileSource(path string, o backup.Opener) vault.BackupSource {
	return func() (*backup.Reader, io.Closer, error) {
		info, err := os.Stat(path) // to open a pipe would wait for who writes
		if err != nil {
			return nil, nil, notRead(path, err)
		}
		if !info.Mode().IsRegular() {
			return nil, nil, fault.New(fault.Usage, path+" is no regular file. A backup is read more than once: save it to a file first.")
		}
		file, err := os.Open(path)
		if err != nil {
			return nil, nil, notRead(path, err)
		}
		r, err := backup.NewReader(file, o)
		if err != nil {
			_ = file.Close()
			var needs backup.NeedsKey
			if errors.As(err, &needs) {
				err = fault.New(fault.Usage, vault.MissingKeys(map[string]int64{needs.Fingerprint: 0})+" Nothing was written.")
			}
			return nil, nil, err
		}
		return r, file, nil
	}
}

// takeName gives a complete file its name.
func takeName(temp, path string, replace bool) error {
	if !replace {
		err := os.Link(temp, path) // fails if the name is taken
		if err == nil {
			return madeDurable(path)
		}
		if _, there := os.Lstat(path); there == nil || errors.Is(err, fs.ErrExist) {
			return alreadyThere(path)
		}
	}
	// The file system has no links, or the name may be taken.
	if err := os.Rename(temp, path); err != nil {
		return notWritten(path, err)
	}
	return madeDurable(path)
}

// madeDurable makes a new name durable.
func madeDurable(path string) error {
	if err := syncFolder(filepath.Dir(path)); err != nil {
		return fault.Wrap(fault.Unavailable, err, fmt.Sprintf("%s was written, but its folder can not be synchronized with the disk: %s. After a crash of the machine it may be missing.", path, reasonOf(err)))
	}
	return nil
}

// syncFolder makes the names in a folder durable, where that can be done.
func syncFolder(path string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

func alreadyThere(path string) error {
	return fault.Newf(fault.Conflict, "%s is there already. Nothing was written; choose another name, or replace it with --force.", path)
}

func notWritten(path string, err error) error {
	if !ofFile(err) {
		return err
	}
	return fault.Wrap(fault.Unavailable, err, fmt.Sprintf("%s can not be written: %s. Nothing is left of it.", path, reasonOf(err)))
}

func notRead(path string, err error) error {
	return fault.Wrap(fault.Usage, err, path+" can not be read: "+reasonOf(err)+".")
}

// ofFile reports whether the operating system has refused something with a file.
func ofFile(err error) bool {
	var (
		file *fs.PathError
		link *os.LinkError
	)
	return errors.As(err, &file) || errors.As(err, &link)
}

// reasonOf is what the operating system says of a file, without its name.
func reasonOf(err error) string {
	var (
		file *fs.PathError
		link *os.LinkError
	)
	switch {
	case errors.As(err, &file):
		return file.Err.Error()
	case errors.As(err, &link):
		return link.Err.Error()
	}
	return err.Error()
}

// counter counts what is written.
type counter struct {
	to io.Writer
	n  int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.to.Write(p)
	c.n += int64(n)
	return n, err
}

func hostName() string {
	host, err := os.Hostname()
	if err != nil {
		return "unknown"
	}
	return host
}

// VerifyBackup reads a whole backup file and opens everything in it; see
// vault.VerifyBackup. It needs no database.
func VerifyBackup(ctx context.Context, path string, o backup.Opener, progress func(what string, done, total int64)) (vault.BackupContent, error) {
	return vault.VerifyBackup(ctx, fileSource(path, o), o.Keys, progressOf("Verifying", progress))
}

// keysOf are those of the settings and others, each once.
func keysOf(lists ...[]keyring.Key) (all []keyring.Key) {
	for _, list := range lists {
		all = append(all, list...)
	}
	return all
}
