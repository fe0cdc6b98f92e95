package store_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/heartlock/heartlock/migrations"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/store"
)

func versions(list []migrations.Migration) []int {
	numbers := []int{}
	for _, m := range list {
		numbers = append(numbers, m.Version)
	}
	return numbers
}

func wantVersions(t *testing.T, what string, list []migrations.Migration, err error, want ...int) {
	t.Helper()
	if err != nil || !cmp.Equal(versions(list), append([]int{}, want...)) {
		t.Errorf("%s: %v, %v, want %v", what, versions(list), err, want)
	}
}

func TestMigrateUpAndDown(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, o store.Options) {
		ctx := t.Context()
		s := opened(t, o)
		list, err := s.Pending(ctx)
		wantVersions(t, "pending at first", list, err, 1, 2)
		list, err = s.Migrate(ctx)
		wantVersions(t, "migrated", list, err, 1, 2)
		list, err = s.Migrate(ctx)
		wantVersions(t, "migrated again", list, err)
		list, err = s.Pending(ctx)
		wantVersions(t, "pending at last", list, err)
		mustInt(t, s.Queries, "SELECT n FROM counters WHERE id = 2", 100)

		o.Migrations = steps(t, step1, step2, step3)
		newer := opened(t, o)
		list, err = newer.Migrate(ctx)
		wantVersions(t, "migrated by a newer one", list, err, 3)
		mustInt(t, s.Queries, "SELECT n FROM counters WHERE id = 2", 1100)
		list, err = newer.Down(ctx, 1)
		wantVersions(t, "down to 1", list, err, 3, 2)
		mustInt(t, s.Queries, "SELECT n FROM counters WHERE id = 2", 0)
		list, err = newer.Down(ctx, 2)
		wantVersions(t, "down to what is above", list, err)
		list, err = newer.Down(ctx, 0)
		wantVersions(t, "down to 0", list, err, 1)
		mustInt(t, s.Queries, "SELECT count(*) FROM schema_migrations", 0)
		for _, version := range []int{-1, 4} {
			if _, err := newer.Down(ctx, version); !errors.Is(err, fault.Usage) {
				t.Errorf("down to %d: %v", version, err)
			}
		}
		list, err = newer.Migrate(ctx)
		wantVersions(t, "up again", list, err, 1, 2, 3)
	})
}

func TestStatus(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, o store.Options) {
		before := time.Now().Add(-time.Second)
		both := migrated(t, o)
		o.Migrations = steps(t, step1)
		older := opened(t, o)
		o.Migrations = steps(t, step1, step2, step3)
		newer := opened(t, o)
		for name, c := range map[string]struct {
			s    *store.Store
			want []store.MigrationStatus
		}{
			"same":  {both, []store.MigrationStatus{{1, "a", true, time.Time{}, true}, {2, "b", true, time.Time{}, true}}},
			"older": {older, []store.MigrationStatus{{1, "a", true, time.Time{}, true}, {2, "b", true, time.Time{}, false}}},
			"newer": {newer, []store.MigrationStatus{{1, "a", true, time.Time{}, true}, {2, "b", true, time.Time{}, true}, {3, "c", false, time.Time{}, true}}},
		} {
			got, err := c.s.Status(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for i := range got {
				if got[i].Applied && (got[i].AppliedAt.Before(before) || got[i].AppliedAt.After(time.Now().Add(time.Second))) {
					t.Errorf("%s: applied at %v", name, got[i].AppliedAt)
				}
				got[i].AppliedAt = time.Time{}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("%s: %s", name, diff)
			}
		}
	})
}

func TestAFailedStepLeavesNothing(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, o store.Options) {
		good := o.Migrations
		o.Migrations = steps(t, step1, step{step2[0] + "INSERT INTO nowhere VALUES (1);", "SELECT 1"})
		s := opened(t, o)
		list, err := s.Migrate(t.Context())
		if err == nil || len(list) != 1 || !strings.Contains(fault.Detail(err), "migration 2 (b)") {
			t.Fatalf("%v, %v", versions(list), err)
		}
		mustInt(t, s.Queries, "SELECT n FROM counters WHERE id = 2", 0)
		mustWrite(t, s, "UPDATE counters SET n = 1 WHERE id = 1") // the connections still work
		o.Migrations = good
		list, err = opened(t, o).Migrate(t.Context())
		wantVersions(t, "the mended step", list, err, 2)
	})
}

// TestMigrateRefuses has a binary whose steps are not those of the database;
// nothing may change, not even a byte of the file.
func TestMigrateRefuses(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, o store.Options) {
		s, err := store.Open(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		before := fingerprint(t, o)
		for name, c := range map[string]struct {
			list    []migrations.Migration
			message string
		}{
			"older":   {steps(t, step1), "has schema version 2, and this heartlock knows no later one than 1"},
			"changed": {steps(t, step{step1[0] + " ", step1[1]}, step2), "Schema version 1 (a) was applied to the database in another form"},
		} {
			o.Migrations = c.list
			s, err := store.Open(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			_, migrate := s.Migrate(t.Context())
			_, pending := s.Pending(t.Context())
			_, down := s.Down(t.Context(), 0)
			for _, err := range []error{migrate, pending, down} {
				if !errors.Is(err, fault.Usage) || !strings.Contains(err.Error(), c.message) {
					t.Errorf("%s: %v", name, err)
				}
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			if fingerprint(t, o) != before {
				t.Errorf("%s: the database changed", name)
			}
		}
	})
}

// fingerprint is of the file's bytes on SQLite and of the rows that count on
// PostgreSQL.
func fingerprint(t *testing.T, o store.Options) [32]byte {
	t.Helper()
	if o.Engine == store.SQLite {
		bytes, err := os.ReadFile(o.Path)
		if err != nil {
			t.Fatal(err)
		}
		return sha256.Sum256(bytes)
	}
	var text string
	err := opened(t, o).ReaderPool().QueryRowContext(t.Context(), `
SELECT (SELECT string_agg(m::text, ',' ORDER BY version) FROM schema_migrations m)
    || (SELECT string_agg(c::text, ',' ORDER BY id) FROM counters c)
    || (SELECT string_agg(tablename, ',' ORDER BY tablename) FROM pg_tables WHERE schemaname = 'public')`).Scan(&text)
	if err != nil {
		t.Fatal(err)
	}
	return sha256.Sum256([]byte(text))
}

func TestAGapIsRefused(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, o store.Options) {
		s := migrated(t, o)
		mustWrite(t, s, "DELETE FROM schema_migrations WHERE version = 1")
		if _, err := s.Migrate(t.Context()); !errors.Is(err, fault.Usage) || !strings.Contains(err.Error(), "lacks 1") {
			t.Errorf("%v", err)
		}
	})
}

// TestReplacingATableKeepsWhatRefersToIt is about SQLite, where a table can be
// changed only by making another one, and where dropping the old one would
// delete the rows that refer to it.
func TestReplacingATableKeepsWhatRefersToIt(t *testing.T) {
	t.Parallel()
	o := freshDatabase(t, store.SQLite)
	mustWrite(t, migrated(t, o), "INSERT INTO parents VALUES (1, 'p'); INSERT INTO children VALUES (1, 1, 'k')")
	replace := `CREATE TABLE fresh (id BIGINT NOT NULL PRIMARY KEY, name TEXT NOT NULL, added TEXT, UNIQUE (name));
		INSERT INTO fresh (id, name) SELECT id, name FROM parents %;
		DROP TABLE parents; ALTER TABLE fresh RENAME TO parents;`
	o.Migrations = steps(t, step1, step2, step{strings.ReplaceAll(replace, "%", "WHERE id <> 1"), "SELECT 1"})
	s := opened(t, o)
	if _, err := s.Migrate(t.Context()); !errors.Is(err, store.ErrReference) {
		t.Errorf("a step that leaves a reference to nothing: %v", err)
	}
	o.Migrations = steps(t, step1, step2, step{strings.ReplaceAll(replace, "%", ""), "SELECT 1"})
	s = opened(t, o)
	list, err := s.Migrate(t.Context())
	wantVersions(t, "replacing", list, err, 3)
	mustInt(t, s.Queries, "SELECT count(*) FROM children", 1)
	if err := s.Write(t.Context(), exec("INSERT INTO children VALUES (2, 9, 'k')")); !errors.Is(err, store.ErrReference) {
		t.Errorf("references are not checked after a migration: %v", err)
	}
}

// TestEightProcessesMigrateAtOnce starts them on an empty database and on one
// with the schema before.
func TestEightProcessesMigrateAtOnce(t *testing.T) {
	t.Parallel()
	const rounds, processes = 4, 8
	for _, engine := range []store.Engine{store.SQLite, store.PostgreSQL} {
		t.Run(engine.String(), func(t *testing.T) {
			t.Parallel()
			for round := range rounds {
				o := freshDatabase(t, engine)
				taken := 3
				if round%2 == 1 {
					migrated(t, o)
					taken = 1
				}
				o.Migrations = steps(t, step1, step2, step3)
				input, open := gate(t)
				children := make([]*child, processes)
				for i := range children {
					children[i] = startChild(t, childTask{"migrate", o}, input)
				}
				for _, c := range children {
					if got := c.line(t); got != "ready" {
						t.Fatal(got)
					}
				}
				open()
				for _, c := range children {
					line := c.line(t)
					if line != "applied 0" && line != "applied 1" && line != "applied 2" && line != "applied 3" {
						t.Errorf("round %d: %s", round, line)
						continue
					}
					taken -= int(line[len(line)-1] - '0')
				}
				if taken != 0 {
					t.Errorf("round %d: %d steps too few were taken", round, taken)
				}
				s := opened(t, o)
				mustInt(t, s.Queries, "SELECT count(*) FROM schema_migrations", 3)
				mustInt(t, s.Queries, "SELECT n FROM counters WHERE id = 2", 1100)
			}
		})
	}
}

// TestAKilledMigrationIsTakenOver kills a process in the transaction of its
// second step while another one waits.
func TestAKilledMigrationIsTakenOver(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, o store.Options) {
		o.Migrations = steps(t, step1, step2, step3)
		input, open := gate(t)
		first := startChild(t, childTask{"stop in step 2", o}, input)
		open()
		for _, want := range []string{"ready", "in step 2"} {
			if got := first.line(t); got != want {
				t.Fatal(got)
			}
		}
		s := opened(t, o)
		mustInt(t, s.Queries, "SELECT count(*) FROM schema_migrations", 1)
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		if list, err := s.Migrate(ctx); !errors.Is(err, context.DeadlineExceeded) || len(list) != 0 {
			t.Errorf("beside a running migration: %v, %v", versions(list), err)
		}
		second := startChild(t, childTask{"migrate", o}, input)
		if got := second.line(t); got != "ready" {
			t.Fatal(got)
		}
		killed := time.Now()
		if err := first.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		if got := second.line(t); got != "applied 2" {
			t.Errorf("the other process: %s", got)
		}
		if took := time.Since(killed); took > 5*time.Second {
			t.Errorf("it took %v", took)
		}
		mustInt(t, s.Queries, "SELECT count(*) FROM schema_migrations", 3)
		mustInt(t, s.Queries, "SELECT n FROM counters WHERE id = 2", 1100)
	})
}

// TestAKilledStatementIsTakenOver kills a process whose step is one statement
// that would run for an hour: PostgreSQL must notice.
func TestAKilledStatementIsTakenOver(t *testing.T) {
	t.Parallel()
	o := freshDatabase(t, store.PostgreSQL)
	slow := step{"SELECT pg_sleep(3600) FROM counters WHERE id = 1 AND n = 0; UPDATE counters SET n = n + 1000 WHERE id = 2;", "SELECT 1"}
	s := migrated(t, o)
	o.Migrations = steps(t, step1, step2, slow)
	input, open := gate(t)
	first := startChild(t, childTask{"migrate", o}, input)
	open()
	if got := first.line(t); got != "ready" {
		t.Fatal(got)
	}
	for sleeping := 0; sleeping == 0; { // until the statement runs
		var err error
		if sleeping, err = s.Int("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'"); err != nil {
			t.Fatal(err)
		}
	}
	mustWrite(t, s, "UPDATE counters SET n = 1 WHERE id = 1") // the next one need not sleep
	killed := time.Now()
	if err := first.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	list, err := opened(t, o).Migrate(within(t, 30*time.Second))
	wantVersions(t, "taken over", list, err, 3)
	if took := time.Since(killed); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
	mustInt(t, s.Queries, "SELECT n FROM counters WHERE id = 2", 1100)
}

func TestConcurrentMigrationsInOneProcess(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, o store.Options) {
		s := opened(t, o)
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				if _, err := s.Migrate(t.Context()); err != nil {
					t.Error(fault.Detail(err))
				}
			})
		}
		wg.Wait()
		mustInt(t, s.Queries, "SELECT n FROM counters WHERE id = 2", 100)
	})
}

// TestAnImpatientProcessStillMigrates: how long a write waits for another
// process is for requests; the start has time.
func TestAnImpatientProcessStillMigrates(t *testing.T) {
	t.Parallel()
	o := freshDatabase(t, store.SQLite)
	o.BusyTimeout = time.Millisecond
	s, other := opened(t, o), opened(t, o)
	result := make(chan error, 1)
	err := other.Write(t.Context(), func(context.Context, store.Tx) error {
		go func() {
			_, err := s.Migrate(within(t, 20*time.Second))
			result <- err
		}()
		select {
		case err := <-result:
			t.Errorf("it did not wait: %v", err)
			result <- nil
		case <-time.After(200 * time.Millisecond):
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := <-result; err != nil {
		t.Error(fault.Detail(err))
	}
	mustInt(t, s.Queries, "SELECT n FROM counters WHERE id = 2", 100)
}
