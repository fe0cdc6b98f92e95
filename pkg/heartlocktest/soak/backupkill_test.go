//go:build unix

package soak

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestKilledWhileRestoring kills a restore in each table and before and after it
// commits. Until then the database holds nothing, and restoring again works; then
// it holds everything.
func TestKilledWhileRestoring(t *testing.T) {
	parallel(t)
	eachInstallation(t, crashing, rotatedSecrets, func(t *testing.T, i *installation) {
		file := filepath.Join(t.TempDir(), "one.backup")
		i.mustRun(t, "", "backup", file)
		other := i.bare(t)
		kills, left := 0, 0
		for _, place := range []string{"instance", "users", "secrets", "secret_versions", "audit_events", "filled", "recorded"} {
			if !other.crash(t, "restore:"+place, "restore", file) {
				t.Fatalf("the restore does not come to %s", place)
			}
			kills++
			if n := other.rowsLeft(t); n > 0 {
				t.Errorf("killed at %s it leaves %d rows", place, n)
				left++
			}
		}
		if !other.crash(t, "restore:committed", "restore", file) {
			t.Fatal("the restore does not commit")
		}
		if e := other.run(t, "", "restore", file); e.code != 6 || !strings.Contains(e.err, "nothing was overwritten") {
			t.Errorf("restored over it: exit code %d\n%s", e.code, e.err)
		}
		v := other.serve(t)
		unreadable := other.unreadable(t, v)
		v.stop(t)
		if want, got := len(i.sealed(t)), len(other.sealed(t)); want != got+1 { // the remembered answer is not backed up
			t.Errorf("%d sealed values were restored, there were %d", got, want)
		}
		if !measured.add(i.engine()+", restores killed at every table: kills, with rows left, values unreadable", left+unreadable == 0, "0, 0", "%d, %d, %d", kills, left, unreadable) {
			t.Errorf("%d times rows were left; %d values are unreadable", left, unreadable)
		}
	})
}

// bare is a place with the keys of an installation and a database that is empty.
func (i *installation) bare(t *testing.T) *installation {
	t.Helper()
	other := *i
	other.site = newSite(t)
	other.program = i.program
	if i.postgres != nil {
		other.databaseURL = i.postgres.Database(t)
		other.environ = []string{"DATABASE_URL=" + other.databaseURL}
	}
	if err := os.Mkdir(other.data(""), 0o700); err != nil {
		t.Fatal(err)
	}
	other.put(t, "secret.key", i.read(t, "secret.key"), 0o600)
	return &other
}

// rowsLeft is how many rows a restore has left in the tables that it fills.
func (i *installation) rowsLeft(t *testing.T) (all int) {
	t.Helper()
	db := i.database(t)
	for _, table := range []string{"instance", "encryption_keys", "users", "projects", "environments", "secrets", "secret_versions", "tokens", "audit_events"} {
		var n int
		if err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM "+table).Scan(&n); err != nil {
			t.Fatal(err)
		}
		all += n
	}
	return all
}

// TestKilledWhileBackingUp kills a backup until it has its name. Until then there
// is no file of that name, and nothing that counts as a backup; the next one
// works.
func TestKilledWhileBackingUp(t *testing.T) {
	parallel(t)
	eachInstallation(t, crashing, rotatedSecrets/10, func(t *testing.T, i *installation) {
		dir := t.TempDir()
		for n, place := range []string{"begun", "written", "verified"} {
			file := filepath.Join(dir, fmt.Sprintf("%d.backup", n))
			if !i.crash(t, "backup:"+place, "backup", file) {
				t.Fatalf("the backup does not come to %s", place)
			}
			if _, err := os.Lstat(file); err == nil {
				t.Errorf("killed at %s, there is a file", place)
			}
			if e := i.run(t, "", "rotate-key"); e.code == 0 || !strings.Contains(e.err, "backup") {
				t.Errorf("killed at %s, it counts as a backup: exit code %d\n%s", place, e.code, e.err)
			}
		}
		file := filepath.Join(dir, "0.backup")
		i.mustRun(t, "", "backup", file)
		i.mustRun(t, "", "restore", "--verify", file)
		named := filepath.Join(dir, "named.backup")
		if !i.crash(t, "backup:named", "backup", named) {
			t.Fatal("the backup does not get its name")
		}
		i.mustRun(t, "", "restore", "--verify", named)
	})
}
