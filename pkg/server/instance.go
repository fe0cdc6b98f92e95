package server

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"log/slog"
	"sync"
	"time"

	"github.com/heartlock/heartlock/pkg/config"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/keyring"
	"github.com/heartlock/heartlock/pkg/store"
	"github.com/heartlock/heartlock/pkg/vault"
)

// Instance is an open database with the domain over it: what one set of
// settings makes. A server has one at a time; commands on the server open one
// for themselves.
type Instance struct {
	Config *config.Server
	Store  *store.Store
	Vault  *vault.Vault

	sso      sso
	recorder *store.Recorder
	users    sync.RWMutex // held for reading by the requests that are using it
}

// OpenStore opens the database that the settings name. It does not migrate.
func OpenStore(ctx context.Context, cfg *config.Server) (*store.Store, error) {
	return store.Open(ctx, storeOptions(cfg))
}

// InspectStore opens the database that the settings name to look at it alone:
// see store.OpenReadOnly.
func InspectStore(ctx context.Context, cfg *config.Server) (*store.Store, error) {
	return store.OpenReadOnly(ctx, storeOptions(cfg))
}

func storeOptions(cfg *config.Server) store.Options {
	d := cfg.Database
	o := store.Options{
		Engine: store.SQLite, Path: d.Path, InMemory: d.InMemory, BusyTimeout: d.Timeout, Synchronous: d.Synchronous,
	}
	if d.Engine == config.Postgres {
		o = store.Options{Engine: store.PostgreSQL, DSN: d.PostgresDSN(), ConnMaxAge: d.Options.ConnMaxAge}
	}
	return o
}

// Open opens the database, migrates it if asked to, finds the encryption key and
// checks it against the database. A development server without a key gets one,
// unless the database holds anything that another key has sealed.
func Open(ctx context.Context, cfg *config.Server, migrate bool, log *slog.Logger) (*Instance, error) {
	return openInstance(ctx, cfg, migrate, vault.EnterFirstKey, log)
}

// openToServe is Open for a server that starts: a new first key of the settings
// begins a rotation, see vault.TakeUpKey.
func openToServe(ctx context.Context, cfg *config.Server, migrate bool, log *slog.Logger) (*Instance, error) {
	return openInstance(ctx, cfg, migrate, vault.TakeUpKey, log)
}

// OpenToRotate opens the database with these encryption keys in the place of the
// configured ones, for a command that rotates keys: see vault.RotateKeys.
func OpenToRotate(ctx context.Context, cfg *config.Server, keys []keyring.Key, log *slog.Logger) (*Instance, error) {
	with := *cfg
	with.EncryptionKey.Keys = keys
	return openInstance(ctx, &with, false, vault.RotateKeys, log)
}

// openInstance is Open; entry says what may be done with the keys: one that a first run
// has still to save (see vault.Options).
func openInstance(ctx context.Context, cfg *config.Server, migrate bool, entry vault.KeyEntry, log *slog.Logger) (*Instance, error) {
	st, err := OpenStore(ctx, cfg)
	if err != nil {
		return nil, err
	}
	i := &Instance{Config: cfg, Store: st}
	if err := i.open(ctx, migrate, entry, log); err != nil {
		_ = st.Close()
		return nil, err
	}
	return i, nil
}

func (i *Instance) open(ctx context.Context, migrate bool, entry vault.KeyEntry, log *slog.Logger) error {
	if err := prepareSchema(ctx, i.Store, migrate, log); err != nil {
		return err
	}
	ring, err := findRing(ctx, i.Config, i.Store, log)
	if err != nil {
		return err
	}
	sessionKeys, err := purposeKeys(i.Config, "heartlock session digest 1")
	if err != nil {
		return err
	}
	ssoKeys, err := purposeKeys(i.Config, "heartlock sign-in attempt 1")
	if err != nil {
		return err
	}
	if err := i.sso.use(i.Config.OIDC, i.Config.Debug); err != nil {
		log.Warn("single sign-on is off", "error", fault.Detail(err))
	}
	i.recorder = store.NewRecorder(i.Store) //nolint:contextcheck // it works for as long as the instance, not for this call
	i.Vault, err = vault.New(ctx, vault.Options{
		Store: i.Store, Recorder: i.recorder, Ring: ring, KeyEntry: entry,
		SessionKeys: sessionKeys, AppURL: i.Config.AppURL, InviteExpiry: i.Config.InviteExpiry, SSOEnabled: i.sso.enabled, SSOKeys: ssoKeys,
		SecondFactor: vault.SecondFactorDemand(i.Config.SecondFactor),
		AuditAge:     time.Duration(i.Config.AuditDays) * 24 * time.Hour,
		Retention:    vault.Retention{Versions: i.Config.History.Versions, Age: time.Duration(i.Config.History.Days) * 24 * time.Hour},
	})
	if err != nil {
		i.recorder.Close()
	}
	return err
}

// Close waits for the requests that use the instance and closes its database.
func (i *Instance) Close() error {
	i.users.Lock() // for ever: nobody uses a closed instance
	i.recorder.Close()
	return i.Store.Close()
}

func prepareSchema(ctx context.Context, st *store.Store, migrate bool, log *slog.Logger) error {
	if migrate {
		applied, err := st.Migrate(ctx)
		for _, m := range applied {
			log.Info("database migrated", "version", m.Version, "name", m.Name)
		}
		return err
	}
	pending, err := st.Pending(ctx)
	if err == nil && len(pending) > 0 {
		err = fault.Newf(fault.Usage, "The database has pending migrations (%d). Run `heartlock migrate`; a server that is started without --no-migrate does it by itself.", len(pending))
	}
	return err
}

// findRing makes the ring of the configured keys; nil if there is none yet.
func findRing(ctx context.Context, cfg *config.Server, st *store.Store, log *slog.Logger) (*keyring.Ring, error) {
	if cfg.EncryptionKey.Source == config.KeyMayBeGenerated {
		sealed, err := st.HasSealed(ctx)
		if err != nil || sealed {
			return nil, err // with sealed data, vault.New says which key is missing
		}
		created, err := cfg.GenerateDevelopmentKey()
		if err != nil {
			return nil, err
		}
		if created {
			log.Info("encryption key generated", "file", "heartlock_data/"+config.KeyFileName)
		}
	}
	keys := cfg.EncryptionKey.Keys
	if len(keys) == 0 {
		return nil, nil
	}
	return keyring.NewRing(keys[0], keys[1:]...)
}

// purposeKeys derives one key for a purpose from each SECRET_KEY (RFC 5869), the
// current one first, so that no purpose can be played off against another.
func purposeKeys(cfg *config.Server, purpose string) ([][]byte, error) {
	var keys [][]byte
	for _, secret := range append([]config.Secret{cfg.SecretKey}, cfg.SecretKeyFallbacks...) {
		key, err := hkdf.Key(sha256.New, []byte(secret.Reveal()), nil, purpose, sha256.Size)
		if err != nil {
			return nil, fault.Wrap(fault.Internal, err, "a key could not be derived from SECRET_KEY")
		}
		keys = append(keys, key)
	}
	return keys, nil
}
