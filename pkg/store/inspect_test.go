package store_test

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/store"
)

func TestOpenReadOnlyMakesAndWritesNothing(t *testing.T) {
	t.Parallel()
	o := freshDatabase(t, store.SQLite)
	_, err := store.OpenReadOnly(within(t, time.Minute), o)
	if !errors.Is(err, store.ErrNoDatabase) || !errors.Is(err, fault.NotFound) || !strings.Contains(err.Error(), o.Path) {
		t.Errorf("without a file: %v", err)
	}
	if entries, _ := os.ReadDir(filepath.Dir(filepath.Dir(o.Path))); len(entries) != 0 {
		t.Errorf("it made %v", entries)
	}
	if err := migrated(t, o).Close(); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(o.Path)
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.OpenReadOnly(within(t, time.Minute), o)
	if err != nil {
		t.Fatal(err)
	}
	if pending, err := s.Pending(t.Context()); err != nil || len(pending) != 0 {
		t.Errorf("pending %v, %v", pending, err)
	}
	if err := s.Write(within(t, time.Minute), exec(`INSERT INTO parents VALUES (1, 'a')`)); !errors.Is(err, fault.Unavailable) {
		t.Errorf("a write: %v", err)
	}
	if _, err := s.Down(within(t, time.Minute), 0); err == nil {
		t.Error("it took a migration back")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	after, err := os.ReadFile(o.Path)
	if err != nil || string(after) != string(before) {
		t.Errorf("the file changed (%v)", err)
	}
	if entries, _ := os.ReadDir(filepath.Dir(o.Path)); len(entries) != 1 {
		t.Errorf("it left %v", entries)
	}
}

// A rollback journal database is not turned into WAL by looking at it.
func TestOpenReadOnlyDoesNotConvert(t *testing.T) {
	t.Parallel()
	o := freshDatabase(t, store.SQLite)
	if err := os.MkdirAll(filepath.Dir(o.Path), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"empty": "", "no database": strings.Repeat("x", 5000)} {
		if err := os.WriteFile(o.Path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := store.OpenReadOnly(within(t, time.Minute), o)
		if content != "" {
			if !errors.Is(err, store.ErrCorrupt) {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if pending, err := s.Pending(t.Context()); err != nil || len(pending) != 2 {
			t.Errorf("%s: pending %v, %v", name, pending, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(o.Path); err != nil || info.Size() != 0 {
			t.Errorf("%s: it wrote (%v)", name, err)
		}
	}
}

func TestSealedValuesArePaged(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, o store.Options) {
		o.Migrations = nil
		s := migrated(t, o)
		mustWrite(t, s, `INSERT INTO projects VALUES ('p', 'shop', 'Shop', '', 1, 1);
			INSERT INTO environments (id, project_id, slug, name, position, is_protected, revision, secret_count, created_at, updated_at)
			SELECT 'e', 'p', 'production', 'Production', 1, (1 = 0), 1, 1, 1, 1;
			WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 1003)
			INSERT INTO secrets (environment_id, key, sealed, key_fingerprint, version, comment, revision, created_at, updated_at, updated_by_kind, updated_by_id, updated_by_name)
			SELECT 'e', 'K' || x, CASE WHEN x = 7 THEN NULL ELSE 'sealed' END, 'f', 4, '', 1, 1, 1, '', '', '' FROM n;
			INSERT INTO secret_versions (secret_id, version, key, comment, sealed, key_fingerprint, revision, updated_at, updated_by_kind, updated_by_id, updated_by_name)
			SELECT id, v, key, '', 'old', 'f', 1, 1, '', '', '' FROM secrets, (SELECT 1 AS v UNION ALL SELECT 2 UNION ALL SELECT 3) AS versions`)
		present, former, err := s.CountSealed(t.Context())
		if present != 1002 || former != 3009 || err != nil {
			t.Errorf("%d and %d, %v", present, former, err)
		}
		for name, each := range map[string]struct {
			want int
			run  func(func(store.SealedValue) error) error
		}{
			"present": {1002, func(do func(store.SealedValue) error) error {
				return s.EachPresentValue(t.Context(), math.MaxInt64, do)
			}},
			"the newest": {501, func(do func(store.SealedValue) error) error { return s.EachPresentValue(t.Context(), 501, do) }},
			"former":     {3009, func(do func(store.SealedValue) error) error { return s.EachFormerValue(t.Context(), do) }},
		} {
			seen := map[string]bool{}
			err := each.run(func(v store.SealedValue) error {
				if v.Project != "shop" || v.Environment != "production" || v.Sealed == "" || v.KeyFingerprint != "f" {
					return fmt.Errorf("%+v", v)
				}
				seen[fmt.Sprint(v.Key, " ", v.Version)] = true
				return nil
			})
			if err != nil || len(seen) != each.want {
				t.Errorf("%s: %d different values, want %d (%v)", name, len(seen), each.want, err)
			}
		}
		stop := errors.New("stop")
		if err := s.EachFormerValue(t.Context(), func(store.SealedValue) error { return stop }); !errors.Is(err, stop) {
			t.Errorf("%v", err)
		}
	})
}

func TestWhatAnEngineSaysOfItself(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, o store.Options) {
		s := migrated(t, o)
		version, err := s.Version(t.Context())
		if err != nil || version == "" || !s.SupportedVersion(version) {
			t.Errorf("version %q, %v", version, err)
		}
		if old := s.SupportedVersion("3.51.2"); old != (o.Engine == store.PostgreSQL) {
			t.Errorf("SQLite 3.51.2: %v", old)
		}
		if damage, err := s.QuickCheck(t.Context()); err != nil || len(damage) != 0 {
			t.Errorf("damage %q, %v", damage, err)
		}
		if difference, err := s.ClockDifference(t.Context()); err != nil || difference.Abs() > time.Second {
			t.Errorf("the clock of this machine differs from itself by %s, %v", difference, err)
		}
	})
}

// A database that is open, and whose pages SQLite has in memory, is looked at as
// it is on the disk.
func TestQuickCheckLooksAtTheFile(t *testing.T) {
	t.Parallel()
	o := freshDatabase(t, store.SQLite)
	o.Migrations, o.MaxConns = nil, 1
	s := migrated(t, o)
	if damage, err := s.QuickCheck(t.Context()); err != nil || len(damage) != 0 {
		t.Fatalf("damage %q, %v", damage, err)
	}
	if err := s.Close(); err != nil { // everything is in the file, nothing in the log beside it
		t.Fatal(err)
	}
	s, err := store.Open(within(t, time.Minute), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if damage, err := s.QuickCheck(t.Context()); err != nil || len(damage) != 0 {
		t.Fatalf("damage %q, %v", damage, err)
	}
	file, err := os.OpenFile(o.Path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() }) // not earlier: it takes the store's locks on the file away
	if _, err := file.WriteAt([]byte("not a page of a tree"), 5*4096); err != nil {
		t.Fatal(err)
	}
	if damage, err := s.QuickCheck(t.Context()); len(damage) == 0 && !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("damage %q, %v", damage, err)
	}
}
