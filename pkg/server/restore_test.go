package server_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/heartlock/heartlock/pkg/backup"
	"github.com/heartlock/heartlock/pkg/config"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/heartlocktest"
	"github.com/heartlock/heartlock/pkg/keyring"
	"github.com/heartlock/heartlock/pkg/server"
	"github.com/heartlock/heartlock/pkg/store"
	"github.com/heartlock/heartlock/pkg/vault"
)

// settings are those of an installation that was never started, with this key.
func settings(t *testing.T, key keyring.Key, more ...string) *config.Server {
	t.Helper()
	cfg, err := config.LoadServer(config.Options{Dir: t.TempDir(), Environ: append(more, "HEARTLOCK_ENCRYPTION_KEY="+key.Encode())})
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func restored(ctx context.Context, cfg *config.Server, path string, progress func(string, int64, int64)) (vault.Restored, error) {
	return server.Restore(ctx, cfg, server.RestoreOptions{
		Path: path, Log: slog.New(slog.DiscardHandler), Say: func(string, ...any) {}, Progress: progress,
	})
}

// filled is a backup of a server with a project of n secrets.
func filled(t *testing.T, n int) (path string, key keyring.Key) {
	t.Helper()
	_, i, dir := scheduled(t, "sqlite")
	key = i.Config.EncryptionKey.Keys[0]
	token, _, err := must(keyring.NewRing(key)).Seal([]byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	err = i.Store.Write(t.Context(), func(ctx context.Context, tx store.Tx) error {
		project := store.Project{ID: fmt.Sprintf("%036d", 1), Slug: "shop"}
		environment := store.Environment{ID: fmt.Sprintf("%036d", 2), ProjectID: project.ID, Slug: "dev"}
		sealed := string(token)
		secrets := make([]store.Secret, n)
		for i := range secrets {
			secrets[i] = store.Secret{EnvironmentID: environment.ID, Key: fmt.Sprint("K", i), Version: 1, Sealed: &sealed, KeyFingerprint: key.Fingerprint()}
		}
		owner, err := tx.UserByEmail(ctx, heartlocktest.OwnerEmail)
		if err != nil {
			return err
		}
		return errors.Join(
			tx.InsertProject(ctx, &project, &store.Membership{ProjectID: project.ID, UserID: owner.ID, Role: "owner"}),
			tx.InsertEnvironments(ctx, []store.Environment{environment}),
			tx.InsertSecrets(ctx, secrets),
		)
	})
	if err != nil {
		t.Fatal(fault.Detail(err))
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(dir, "one.backup")
	if _, err := i.Backup(t.Context(), vault.Local(), server.BackupOptions{Path: path}); err != nil {
		t.Fatal(fault.Detail(err))
	}
	return path, key
}

func TestAnInterruptedRestoreLeavesAnEmptyDatabase(t *testing.T) {
	t.Parallel()
	path, key := filled(t, 5000)
	for _, engine := range []string{"sqlite", "postgres"} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			var more []string
			if engine == "postgres" {
				more = []string{"DATABASE_URL=" + heartlocktest.Postgres(t)}
			}
			cfg := settings(t, key, more...)
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			_, err := restored(ctx, cfg, path, func(_ string, done, total int64) {
				if done > total/2 {
					stop()
				}
			})
			if err == nil || ctx.Err() == nil {
				t.Fatalf("it was not interrupted: %v", err)
			}
			st, err := server.OpenStore(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			empty, err := st.HoldsNothing(t.Context())
			if err := errors.Join(err, st.Close()); err != nil || !empty {
				t.Errorf("something is left: %v", err)
			}
			all, err := restored(t.Context(), cfg, path, nil)
			if err != nil || all.Opened != 5001 { // with the key of the audit trail
				t.Errorf("the second time: %d, %v", all.Opened, err)
			}
			i, err := server.Open(t.Context(), cfg, false, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(fault.Detail(err))
			}
			if done, err := i.Vault.Onboarded(t.Context()); err != nil || !done {
				t.Errorf("it is not set up: %v", err)
			}
			if err := i.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestAServerThatStartsDuringARestore waits for the restore and finds what it
// brought, or that its key is not the one of the database. In the end the key of
// the restore is the only one.
func TestAServerThatStartsDuringARestore(t *testing.T) {
	t.Parallel()
	path, key := filled(t, 5000)
	for _, engine := range []string{"sqlite", "postgres"} {
		for _, same := range []bool{true, false} {
			t.Run(fmt.Sprint(engine, " with the same key: ", same), func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				url := "sqlite:///" + filepath.Join(dir, "db.sqlite3")
				if engine == "postgres" {
					url = heartlocktest.Postgres(t)
				}
				other := key
				if !same {
					other = keyring.Generate()
				}
				starting := settings(t, other, "DATABASE_URL="+url)
				type started struct {
					i   *server.Instance
					err error
				}
				ended := make(chan started, 1)
				var once sync.Once
				_, err := restored(t.Context(), settings(t, key, "DATABASE_URL="+url), path, func(_ string, done, total int64) {
					if done > total/2 {
						once.Do(func() {
							go func() {
								i, err := server.Open(t.Context(), starting, false, slog.New(slog.DiscardHandler))
								ended <- started{i, err}
							}()
							select {
							case early := <-ended:
								t.Errorf("the server did not wait: %v", early.err)
								ended <- early
							case <-time.After(500 * time.Millisecond): // it would be there by then
							}
						})
					}
				})
				if err != nil {
					t.Fatal(fault.Detail(err))
				}
				got := <-ended
				if !same {
					if got.err == nil || !strings.Contains(got.err.Error(), key.Fingerprint()) {
						t.Errorf("a server with another key: %v", got.err)
					}
					if got.err == nil {
						_ = got.i.Close()
					}
					got.i, got.err = server.Open(t.Context(), settings(t, key, "DATABASE_URL="+url), false, slog.New(slog.DiscardHandler))
				}
				if got.err != nil {
					t.Fatal(fault.Detail(got.err))
				}
				if done, err := got.i.Vault.Onboarded(t.Context()); err != nil || !done {
					t.Errorf("it is not set up: %v", err)
				}
				keys, err := got.i.Store.EncryptionKeys(t.Context())
				if err != nil || len(keys) != 1 || keys[0].Fingerprint != key.Fingerprint() || !keys[0].IsSealing {
					t.Errorf("the keys are %+v, %v", keys, err)
				}
				if err := got.i.Close(); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

func TestAnInterruptedBackupLeavesNothing(t *testing.T) {
	t.Parallel()
	s, i, _ := scheduled(t, "sqlite")
	dir := t.TempDir()
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if _, err := i.Backup(ctx, vault.Local(), server.BackupOptions{Path: filepath.Join(dir, "one.backup")}); err == nil {
		t.Error("it was not interrupted")
	}
	if list := names(t, dir); len(list) != 0 || s.Count("backups", "1 = 1") != 0 {
		t.Errorf("there are %v", list)
	}
}

func TestOtherSchemasAreRefused(t *testing.T) {
	t.Parallel()
	key := keyring.Generate()
	path := filepath.Join(t.TempDir(), "new.backup")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w := must(backup.NewWriter(file, backup.Manifest{SchemaVersion: 99, Heartlock: "9.9.9", Keys: []backup.KnownKey{}, Tables: []backup.Table{}}, backup.Encryption{Key: key}))
	if err := errors.Join(w.Close(), file.Close()); err != nil {
		t.Fatal(err)
	}
	cfg := settings(t, key)
	_, err = restored(t.Context(), cfg, path, nil)
	if !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "99") || !strings.Contains(err.Error(), "9.9.9") {
		t.Errorf("a newer schema: %v", err)
	}
	if _, err := os.Stat(cfg.Database.Path); err == nil {
		t.Error("a database was made")
	}

	right, key := filled(t, 1)
	cfg = settings(t, key)
	st := must(server.OpenStore(t.Context(), cfg))
	_, err = st.Migrate(t.Context())
	if err == nil {
		_, err = st.Down(t.Context(), 1)
	}
	if err := errors.Join(err, st.Close()); err != nil {
		t.Fatal(err)
	}
	_, err = restored(t.Context(), cfg, right, nil)
	if !errors.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "schema version 1, the backup has") {
		t.Errorf("a database of another schema: %v", err)
	}
	_, err = restored(t.Context(), settings(t, key, "DATABASE_URL=sqlite://:memory:"), right, nil)
	if !errors.Is(err, fault.Usage) {
		t.Errorf("in memory: %v", err)
	}
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(fault.Detail(err))
	}
	return value
}
