package server

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"

	"github.com/heartlock/heartlock/migrations"
	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/backup"
	"github.com/heartlock/heartlock/pkg/config"
	"github.com/heartlock/heartlock/pkg/crashpoint"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/keyring"
	"github.com/heartlock/heartlock/pkg/store"
	"github.com/heartlock/heartlock/pkg/vault"
)

// RestoreOptions say what is restored and with what it is opened.
type RestoreOptions struct {
	Path        string
	Keys        []keyring.Key // beside those of the settings
	Passphrase  func() (api.Value, error)
	KeepDamaged bool
	Log         *slog.Logger
	Say         func(format string, args ...any) // is told what was done on the way
	Progress    func(what string, done, total int64)
}

// Restore fills the database of the settings, which must hold nothing, from a
// backup, in one transaction, and brings its schema up to date. A development
// installation without a key gets one, as it would at its first start. See
// vault.Restore.
func Restore(ctx context.Context, cfg *config.Server, o RestoreOptions) (vault.Restored, error) {
	source := fileSource(o.Path, backup.Opener{Keys: keysOf(cfg.EncryptionKey.Keys, o.Keys), Passphrase: remembered(o.Passphrase)})
	m, err := manifestOf(source)
	if err != nil {
		return vault.Restored{}, err
	}
	all, err := migrations.For(storeOptions(cfg).Engine.String())
	if err != nil {
		return vault.Restored{}, err
	}
	if m.SchemaVersion < 1 || m.SchemaVersion > len(all) {
		return vault.Restored{}, fault.Newf(fault.Invalid,
			"The backup has schema version %d, and this heartlock (%d) knows no later one. Use the release that made it (%s), or a newer one. Nothing was written.",
			m.SchemaVersion, len(all), m.Heartlock)
	}
	if cfg.Database.InMemory {
		return vault.Restored{}, fault.New(fault.Usage, "The database is in memory and would be gone at once. Set DATABASE_URL.")
	}
	if err := removeStaleLog(cfg, o.Say); err != nil {
		return vault.Restored{}, err
	}
	st, err := openForRestore(ctx, cfg, all, m.SchemaVersion)
	if err != nil {
		return vault.Restored{}, err
	}
	restored, err := fill(ctx, cfg, st, source, o)
	crashpoint.Reach("restore:committed")
	if err = errors.Join(err, st.Close()); err != nil || m.SchemaVersion == len(all) {
		return restored, err
	}
	return restored, migrateOn(ctx, cfg, o.Log)
}

// remembered asks for a passphrase once.
func remembered(ask func() (api.Value, error)) func() (api.Value, error) {
	if ask == nil {
		return nil
	}
	var (
		known api.Value
		asked bool
	)
	return func() (api.Value, error) {
		if asked {
			return known, nil
		}
		value, err := ask()
		known, asked = value, err == nil
		return value, err
	}
}

func manifestOf(source vault.BackupSource) (backup.Manifest, error) {
	r, file, err := source()
	if err != nil {
		return backup.Manifest{}, err
	}
	return r.Manifest(), file.Close()
}

// removeStaleLog removes what SQLite left beside a file that is not there any
// more: it would be played into the new one.
func removeStaleLog(cfg *config.Server, say func(string, ...any)) error {
	path := cfg.Database.Path
	if cfg.Database.Engine == config.Postgres {
		return nil
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, stale := range []string{path + "-wal", path + "-shm", path + "-journal"} {
		err := os.Remove(stale)
		switch {
		case err == nil:
			say("Removed %s, which belonged to a database that is not there any more.", stale)
		case !errors.Is(err, fs.ErrNotExist):
			return fault.Wrap(fault.Usage, err, stale+" belongs to a database that is not there any more and can not be removed.")
		}
	}
	return nil
}

// openForRestore opens a database that holds nothing, with the schema of the
// backup; one without a schema gets it.
func openForRestore(ctx context.Context, cfg *config.Server, all []migrations.Migration, version int) (*store.Store, error) {
	o := storeOptions(cfg)
	o.Migrations = all
	st, err := store.Open(ctx, o)
	if err != nil {
		return nil, err
	}
	present, err := st.SchemaVersion(ctx)
	if err == nil && present > 0 {
		if err = vault.CheckEmpty(ctx, st.Queries); err == nil && present != version {
			err = fault.Newf(fault.Conflict, "The database has schema version %d, the backup has %d. Restore into a new database, which gets the right one by itself; nothing was written.", present, version)
		}
	}
	if err != nil || present > 0 {
		if err != nil {
			_ = st.Close()
			return nil, err
		}
		return st, nil
	}
	if err := st.Close(); err != nil {
		return nil, err
	}
	o.Migrations = all[:version]
	if st, err = store.Open(ctx, o); err != nil {
		return nil, err
	}
	if _, err = st.Migrate(ctx); err != nil {
		_ = st.Close()
		return nil, err
	}
	return st, nil
}

func fill(ctx context.Context, cfg *config.Server, st *store.Store, source vault.BackupSource, o RestoreOptions) (vault.Restored, error) {
	if cfg.EncryptionKey.Source == config.KeyMayBeGenerated {
		if _, err := cfg.GenerateDevelopmentKey(); err != nil {
			return vault.Restored{}, err
		}
		o.Say("Encryption key: heartlock_data/%s.", config.KeyFileName)
	}
	if len(cfg.EncryptionKey.Keys) == 0 {
		return vault.Restored{}, fault.New(fault.Usage, "No encryption key is configured. Set HEARTLOCK_ENCRYPTION_KEY to the key of the backup, or to a new one from `heartlock genkey`. Nothing was written.")
	}
	return vault.Restore(ctx, st, vault.Local(), vault.RestoreOptions{
		Source: source, Keys: cfg.EncryptionKey.Keys, Former: o.Keys, KeepDamaged: o.KeepDamaged, Progress: progressOf("Restoring", o.Progress),
	})
}

// migrateOn brings a restored database from the schema of its backup to that of
// this program.
func migrateOn(ctx context.Context, cfg *config.Server, log *slog.Logger) error {
	st, err := OpenStore(ctx, cfg)
	if err != nil {
		return err
	}
	return errors.Join(prepareSchema(ctx, st, true, log), st.Close())
}
