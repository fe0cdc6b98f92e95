package server_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/heartlock/heartlock/pkg/backup"
	"github.com/heartlock/heartlock/pkg/config"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/heartlocktest"
	"github.com/heartlock/heartlock/pkg/server"
)

// scheduled are servers on one database with a schedule of backups.
func scheduled(t *testing.T, engine string, more ...string) (*heartlocktest.Server, *server.Instance, string) {
	t.Helper()
	o := heartlocktest.ServerOptions{Dir: t.TempDir()}
	if engine == "postgres" {
		o.DatabaseURL = heartlocktest.Postgres(t)
	}
	s := heartlocktest.StartServer(t, o)
	s.Onboard()
	dir := filepath.Join(o.Dir, "made", "backups")
	environ := append(more, "HEARTLOCK_BACKUP_DIR="+dir+"/") // as people write it
	if o.DatabaseURL != "" {
		environ = append(environ, "DATABASE_URL="+o.DatabaseURL)
	}
	cfg, err := config.LoadServer(config.Options{Dir: o.Dir, Environ: environ})
	if err != nil {
		t.Fatal(err)
	}
	i, err := server.Open(t.Context(), cfg, false, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(fault.Detail(err))
	}
	t.Cleanup(func() {
		if err := i.Close(); err != nil {
			t.Error(err)
		}
	})
	return s, i, dir
}

func backupIfDue(t *testing.T, i *server.Instance) *server.ScheduledBackup {
	t.Helper()
	made, err := i.BackupIfDue(t.Context(), "1.2.3")
	if err != nil {
		t.Fatal(fault.Detail(err))
	}
	return made
}

func names(t *testing.T, dir string) (list []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

const age = "UPDATE backups SET taken_at = taken_at - 86400000000"

func TestTheScheduleMakesAndRemovesItsBackups(t *testing.T) {
	t.Parallel()
	for _, engine := range []string{"sqlite", "postgres"} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			s, i, dir := scheduled(t, engine, "HEARTLOCK_BACKUP_KEEP=2")
			first := backupIfDue(t, i)
			if first == nil || !first.Verified() || filepath.Dir(first.Path) != dir || first.EncryptedTo != i.Vault.Fingerprint() {
				t.Fatalf("the first is %+v", first)
			}
			info, err := os.Stat(first.Path)
			if err != nil || info.Mode().Perm() != 0o600 || info.Size() != first.Bytes {
				t.Errorf("%v, %v", info, err)
			}
			if folder, err := os.Stat(dir); err != nil || folder.Mode().Perm() != 0o700 {
				t.Errorf("%v, %v", folder, err)
			}
			if again := backupIfDue(t, i); again != nil {
				t.Errorf("another one was made at once: %s", again.Path)
			}
			// One by hand is none of the schedule's.
			stranger := filepath.Join(dir, "heartlock-by-hand.backup")
			if err := os.WriteFile(stranger, []byte("mine"), 0o600); err != nil {
				t.Fatal(err)
			}
			for n := range 3 {
				s.Exec(age)
				made := backupIfDue(t, i)
				if made == nil || made.Removed != min(1, n) {
					t.Fatalf("backup %d: %+v", n+2, made)
				}
			}
			list := names(t, dir)
			if len(list) != 3 || !strings.Contains(strings.Join(list, " "), "by-hand") {
				t.Errorf("there are %v", list)
			}
			if n := s.Count("backups", "is_scheduled"); n != 2 {
				t.Errorf("%d are listed", n)
			}
		})
	}
}

func TestOneOfManyServersMakesTheBackup(t *testing.T) {
	t.Parallel()
	for _, engine := range []string{"sqlite", "postgres"} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			_, i, dir := scheduled(t, engine)
			var all sync.WaitGroup
			for range 8 {
				all.Go(func() {
					if _, err := i.BackupIfDue(t.Context(), "1.2.3"); err != nil {
						t.Error(fault.Detail(err))
					}
				})
			}
			all.Wait()
			if list := names(t, dir); len(list) != 1 {
				t.Errorf("there are %v", list)
			}
		})
	}
}

func TestWhatAKilledServerBeganIsTakenOver(t *testing.T) {
	t.Parallel()
	s, i, dir := scheduled(t, "sqlite")
	first := backupIfDue(t, i)
	// In a container the name of the host is another one each time.
	s.Exec("UPDATE backups SET finished_at = NULL, verified_at = NULL, host = 'gone'")
	left := filepath.Join(dir, "."+filepath.Base(first.Path)+".123.part")
	if err := os.WriteFile(left, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if made := backupIfDue(t, i); made != nil {
		t.Error("a backup that is being made is made twice")
	}
	s.Exec("UPDATE backups SET taken_at = taken_at - 3601000000")
	made := backupIfDue(t, i)
	if made == nil || made.Removed != 2 { // its file and the part of one
		t.Fatalf("%+v", made)
	}
	if list := names(t, dir); len(list) != 1 || list[0] != filepath.Base(made.Path) {
		t.Errorf("there are %v", list)
	}
}

// TestABackupOfTheFutureStandsForNoOther has made backups while a clock was
// wrong. They must not make the schedule take its new ones for old.
func TestABackupOfTheFutureStandsForNoOther(t *testing.T) {
	t.Parallel()
	s, i, dir := scheduled(t, "sqlite", "HEARTLOCK_BACKUP_KEEP=1")
	ahead := backupIfDue(t, i)
	s.Exec("UPDATE backups SET taken_at = taken_at + 864000000000")
	for n := range 3 {
		made := backupIfDue(t, i)
		if made == nil || made.Removed != min(1, n) {
			t.Fatalf("backup %d: %+v", n+1, made)
		}
		if list := names(t, dir); !slices.Contains(list, filepath.Base(made.Path)) || !slices.Contains(list, filepath.Base(ahead.Path)) || len(list) != 2 {
			t.Fatalf("there are %v", list)
		}
		latest, err := i.Store.LatestBackup(t.Context())
		if err != nil || latest == nil || latest.Path != made.Path {
			t.Errorf("the latest is %+v, %v", latest, err)
		}
		s.Exec("UPDATE backups SET taken_at = taken_at - 86400000000")
	}
}

// TestTwoInstallationsShareAFolder keeps each from removing what is the other's.
func TestTwoInstallationsShareAFolder(t *testing.T) {
	t.Parallel()
	one, a, dir := scheduled(t, "sqlite", "HEARTLOCK_BACKUP_KEEP=1")
	two, b, _ := scheduled(t, "postgres", "HEARTLOCK_BACKUP_KEEP=1")
	b.Config.Backup.Dir = dir
	for n := range 3 {
		made := []string{filepath.Base(backupIfDue(t, a).Path), filepath.Base(backupIfDue(t, b).Path)}
		slices.Sort(made)
		if list := names(t, dir); !slices.Equal(list, made) {
			t.Errorf("round %d: there are %v, want %v", n, list, made)
		}
		one.Exec(age)
		two.Exec(age)
	}
}

func TestABackupThatDoesNotOpenRemovesNoOther(t *testing.T) {
	t.Parallel()
	s, i, dir := scheduled(t, "sqlite", "HEARTLOCK_BACKUP_KEEP=1")
	before := filepath.Base(backupIfDue(t, i).Path)
	s.Exec(age)
	s.Exec("INSERT INTO projects VALUES ('p', 'shop', '', '', 1, 1)")
	s.Exec("INSERT INTO environments (id, project_id, slug, name, position, is_protected, revision, secret_count, created_at, updated_at) VALUES ('e', 'p', 'dev', '', 0, 0, 1, 1, 1, 1)")
	s.Exec("INSERT INTO secrets (environment_id, key, version, comment, sealed, key_fingerprint, revision, created_at, updated_at, updated_by_kind, updated_by_id, updated_by_name) VALUES ('e', 'K', 1, '', 'damaged', 'x', 1, 1, 1, '', '', '')")
	made := backupIfDue(t, i)
	if made == nil || made.Verified() || made.Removed != 0 || len(names(t, dir)) != 2 {
		t.Fatalf("%+v", made)
	}
	if d := made.Content.Damaged; len(d) != 1 || d[0].Project != "shop" || d[0].Environment != "dev" || d[0].Key != "K" {
		t.Errorf("%+v", d)
	}
	if s.Count("backups", "verified_at IS NULL") != 1 {
		t.Error("it is listed as verified")
	}
	// As long as nobody does anything about it, the newest of them is kept, and the
	// one from before.
	for range 2 {
		s.Exec(age)
		made = backupIfDue(t, i)
		if list := names(t, dir); made.Removed != 1 || len(list) != 2 || !slices.Contains(list, before) || !slices.Contains(list, filepath.Base(made.Path)) {
			t.Errorf("there are %v", list)
		}
	}
}

func TestAFailedScheduledBackupLeavesNothing(t *testing.T) {
	t.Parallel()
	s, i, dir := scheduled(t, "sqlite")
	if err := os.WriteFile(filepath.Dir(dir), nil, 0o600); err != nil { // a file where the folder should be
		t.Fatal(err)
	}
	if made, err := i.BackupIfDue(t.Context(), "1.2.3"); err == nil || made != nil {
		t.Errorf("%+v", made)
	}
	if s.Count("backups", "1 = 1") != 0 {
		t.Error("it is listed")
	}
}

func TestAServerFollowsItsSchedule(t *testing.T) {
	t.Parallel()
	s := heartlocktest.StartServer(t, heartlocktest.ServerOptions{Dir: t.TempDir(), Environ: []string{"HEARTLOCK_BACKUP_DIR=backups"}})
	if _, err := os.Stat(filepath.Join(s.Dir, "backups")); err == nil {
		t.Error("an installation that nobody has set up is backed up")
	}
	s.Onboard()
	s.Restart("HEARTLOCK_BACKUP_DIR=backups")
	dir := filepath.Join(s.Dir, "backups")
	heartlocktest.Eventually(t, "a backup was made", func() bool { return s.Logs.Contains(`"backup made"`) })
	list := names(t, dir)
	if len(list) != 1 {
		t.Fatalf("there are %v", list)
	}
	cfg, err := s.Config()
	if err != nil {
		t.Fatal(err)
	}
	content, err := server.VerifyBackup(t.Context(), filepath.Join(dir, list[0]), backup.Opener{Keys: cfg.EncryptionKey.Keys}, nil)
	if err != nil || content.Manifest.Tables[1].Rows != 1 {
		t.Errorf("%+v, %v", content, err)
	}
}
