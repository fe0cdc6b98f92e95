package store_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/heartlock/heartlock/migrations"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/store"
)

// atStep1 is a SQLite database with the first real step and one project, and all
// steps of this binary.
func atStep1(t *testing.T, path string) (store.Options, []migrations.Migration) {
	t.Helper()
	all, err := migrations.For("sqlite")
	if err != nil {
		t.Fatal(err)
	}
	o := store.Options{Engine: store.SQLite, Path: path, Migrations: all[:1]}
	s, err := store.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	mustWrite(t, s, "INSERT INTO projects VALUES ('p', 'shop', 'Shop', '', 1, 1)")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return o, all
}

func copiesIn(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.Contains(e.Name(), ".before-") {
			names = append(names, e.Name())
		}
	}
	return names
}

func TestTheFileIsCopiedBeforeItIsMigrated(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "data", "db.sqlite3")
	dir := filepath.Dir(path)
	o, all := atStep1(t, path)
	if got := copiesIn(t, dir); len(got) != 0 {
		t.Errorf("a new database was copied: %v", got)
	}
	former := []string{
		"db.sqlite3.before-0001-20200101T000000Z", "db.sqlite3.before-0001-20210101T000000Z",
		"other.sqlite3.before-0001-20200101T000000Z", "db.sqlite3.before-0001-mine",
		"db.sqlite3.before-0009-20190101T000000Z", "db.sqlite3.before-0010-20190201T000000Z", // of a schema that was taken back since
		"db.sqlite3.before.part", // of a process that was killed
	}
	for _, name := range former {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	o.Migrations = all
	s := opened(t, o)
	for range 2 { // the second time there is nothing to do
		if _, err := s.Migrate(t.Context()); err != nil {
			t.Fatal(fault.Detail(err))
		}
	}
	got := copiesIn(t, dir)
	i := slices.IndexFunc(got, func(name string) bool { return strings.HasPrefix(name, "db.sqlite3.before-0002-") })
	if i < 0 || len(got) != 4 || !slices.Contains(got, former[1]) {
		t.Fatalf("there are %v", got)
	}
	if _, err := os.Lstat(filepath.Join(dir, "db.sqlite3.before.part")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what a killed process left is still there: %v", err)
	}
	info, err := os.Stat(filepath.Join(dir, got[i]))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	o.Path, o.Migrations = filepath.Join(dir, got[i]), all[:1]
	was := opened(t, o)
	mustInt(t, was.Queries, "SELECT count(*) FROM projects", 1)
	mustInt(t, was.Queries, "SELECT count(*) FROM sqlite_master WHERE name = 'backups'", 0)
	if pending, err := was.Pending(t.Context()); err != nil || len(pending) != 0 {
		t.Errorf("the copy has another schema: %v, %v", pending, err)
	}
	// Readers of the store can write no more than before.
	if _, err := s.ReaderPool().ExecContext(t.Context(), "DELETE FROM projects"); err == nil {
		t.Error("a reader may write")
	}
}

// TestACopyIsKeptWhateverTheClockSays has copies of the future, from a time when
// the clock was wrong.
func TestACopyIsKeptWhateverTheClockSays(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "data", "db.sqlite3")
	dir := filepath.Dir(path)
	o, all := atStep1(t, path)
	for _, name := range []string{"db.sqlite3.before-0002-20990101T000000Z", "db.sqlite3.before-0002-20990102T000000Z"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	o.Migrations = all
	if _, err := opened(t, o).Migrate(t.Context()); err != nil {
		t.Fatal(fault.Detail(err))
	}
	if got := copiesIn(t, dir); len(got) != 2 || got[1] != "db.sqlite3.before-0002-20990102T000000Z" {
		t.Errorf("there are %v", got)
	}
}

func TestWithoutACopyNothingIsMigrated(t *testing.T) {
	t.Parallel()
	// A name of 240 bytes leaves no room for that of the copy.
	path := filepath.Join(t.TempDir(), strings.Repeat("x", 240))
	o, all := atStep1(t, path)
	o.Migrations = all
	s := opened(t, o)
	done, err := s.Migrate(t.Context())
	if !errors.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "was not migrated") || len(done) != 0 {
		t.Errorf("%v, %v", done, err)
	}
	if pending, err := s.Pending(t.Context()); err != nil || len(pending) != len(all)-1 {
		t.Errorf("%d pending, %v", len(pending), err)
	}
}
