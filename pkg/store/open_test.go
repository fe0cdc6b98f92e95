package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/heartlocktest"
	"github.com/heartlock/heartlock/pkg/store"
)

func TestOpenWithTheRealMigrations(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, o store.Options) {
		o.Migrations = nil
		s := migrated(t, o)
		if s.Engine() != o.Engine {
			t.Errorf("engine %v", s.Engine())
		}
		if pending, err := s.Pending(t.Context()); err != nil || len(pending) != 0 {
			t.Errorf("%d pending, %v", len(pending), err)
		}
		mustInt(t, s.Queries, "SELECT count(*) FROM users", 0)
		if _, err := s.Down(t.Context(), 0); err != nil {
			t.Errorf("Down: %v", err)
		}
	})
}

func TestOpenRefusesWrongOptions(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, o := range map[string]store.Options{
		"no path":              {Engine: store.SQLite},
		"a folder":             {Engine: store.SQLite, Path: dir},
		"below a file":         {Engine: store.SQLite, Path: filepath.Join(file, "db")},
		"synchronous":          {Engine: store.SQLite, InMemory: true, Synchronous: "off"},
		"no such engine":       {Engine: 7},
		"a malformed address":  {Engine: store.PostgreSQL, DSN: "postgres://u:hunter2@h:port/db"},
		"a missing database":   {Engine: store.PostgreSQL, DSN: otherDatabase(t, "nowhere")},
		"malformed parameters": {Engine: store.PostgreSQL, DSN: "host=h password=hunter2 port=x"},
	} {
		s, err := store.Open(t.Context(), o)
		if s != nil || !errors.Is(err, fault.Usage) && name != "no such engine" {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if strings.Contains(fault.Detail(err), "hunter2") {
			t.Errorf("%s: the error shows the password", name)
		}
	}
}

func otherDatabase(t *testing.T, name string) string {
	url := heartlocktest.Postgres(t)
	return url[:strings.LastIndex(url, "/")+1] + name + "?sslmode=disable"
}

func TestOpenRecognisesWhatIsNoDatabase(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "db.sqlite3")
	if err := os.WriteFile(path, []byte(strings.Repeat("this is no database\n", 500)), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), store.Options{Path: path})
	if s != nil || !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("%v", err)
	}
}

func TestOpenSaysThatPostgresIsAway(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(within(t, 20*time.Second), store.Options{Engine: store.PostgreSQL, DSN: "postgres://u:hunter2@" + address + "/db?sslmode=disable"})
	f := fault.As(err)
	if s != nil || f == nil || f.Kind != fault.Unavailable || f.RetryAfter == 0 {
		t.Fatalf("%v", err)
	}
	if strings.Contains(fault.Detail(err), "hunter2") || !strings.Contains(fault.Detail(err), "refused") {
		t.Errorf("detail: %s", fault.Detail(err))
	}
}

// TestEveryConnectionHasTheSettings takes all connections of both pools at once.
func TestEveryConnectionHasTheSettings(t *testing.T) {
	t.Parallel()
	o := freshDatabase(t, store.SQLite)
	o.MaxConns = 5
	s := migrated(t, o)
	common := map[string]string{
		"foreign_keys": "1", "synchronous": "2", "secure_delete": "1", "busy_timeout": "10000", "journal_mode": "wal",
		"trusted_schema": "0", "journal_size_limit": "67108864",
	}
	for pool, want := range map[*sql.DB]string{s.ReaderPool(): "1", s.WriterPool(): "0"} {
		for range pool.Stats().MaxOpenConnections {
			conn, err := pool.Conn(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			common["query_only"] = want
			for pragma, want := range common {
				var got string
				if err := conn.QueryRowContext(t.Context(), "PRAGMA "+pragma).Scan(&got); err != nil || got != want {
					t.Errorf("%s = %s, %v, want %s", pragma, got, err, want)
				}
			}
		}
	}
	if n := s.ReaderPool().Stats().OpenConnections; n != 5 {
		t.Errorf("%d connections read", n)
	}
}

func TestSynchronousNormal(t *testing.T) {
	t.Parallel()
	o := freshDatabase(t, store.SQLite)
	o.Synchronous = "normal"
	mustInt(t, opened(t, o).Queries, "PRAGMA synchronous", 1)
}

func TestReadersCanNotWrite(t *testing.T) {
	t.Parallel()
	s := migrated(t, freshDatabase(t, store.SQLite))
	_, err := s.ReaderPool().ExecContext(t.Context(), "UPDATE counters SET n = 1")
	if err == nil {
		t.Error("a reader wrote")
	}
	mustInt(t, s.Queries, "SELECT sum(n) FROM counters", 100)
}

func TestInMemory(t *testing.T) {
	t.Parallel()
	s := migrated(t, store.Options{InMemory: true, Migrations: steps(t, step1, step2)})
	mustWrite(t, s, "UPDATE counters SET n = 7 WHERE id = 1")
	mustInt(t, s.Queries, "SELECT n FROM counters WHERE id = 1", 7)
	err := s.Snapshot(t.Context(), func(_ context.Context, q store.Queries) error {
		mustInt(t, q, "SELECT n FROM counters WHERE id = 1", 7)
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestPathsAreTakenLiterally(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"a?mode=memory&x.db", "a b.db", "50%25.db", "#.db", "é.db"} {
		path := filepath.Join(t.TempDir(), name)
		migrated(t, store.Options{Path: path, Migrations: steps(t, step1)})
		if info, err := os.Stat(path); err != nil || info.Size() == 0 && fileSize(path+"-wal") == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func fileSize(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}

func TestFilesAreForTheOwnerAlone(t *testing.T) {
	t.Parallel()
	o := freshDatabase(t, store.SQLite)
	input, _ := gate(t)
	c := startChild(t, childTask{"umask 000", o}, input)
	got := []string{c.line(t), c.line(t), c.line(t), c.line(t)}
	want := []string{"0700 data", "0600 db.sqlite3", "0600 db.sqlite3-shm", "0600 db.sqlite3-wal"}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("modes %q, want %q", got, want)
	}
}

// TestOpenWaitsForALockedFile has another process in the middle of making the
// file, before it is in WAL mode; SQLite does not wait for that by itself.
func TestOpenWaitsForALockedFile(t *testing.T) {
	t.Parallel()
	o := freshDatabase(t, store.SQLite)
	o.Path = filepath.Join(t.TempDir(), "db.sqlite3")
	o.BusyTimeout = time.Millisecond
	db, err := sql.Open("sqlite", o.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{"BEGIN IMMEDIATE", "CREATE TABLE other (x)"} {
		if _, err := conn.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	result := make(chan error, 1)
	go func() {
		s, err := store.Open(within(t, 20*time.Second), o)
		if err == nil {
			err = s.Close()
		}
		result <- err
	}()
	select {
	case err := <-result:
		t.Errorf("it did not wait: %v", err)
		result <- nil
	case <-time.After(200 * time.Millisecond):
	}
	if _, err := conn.ExecContext(t.Context(), "COMMIT"); err != nil {
		t.Fatal(err)
	}
	if err := <-result; err != nil {
		t.Error(fault.Detail(err))
	}
	if err := conn.Close(); err != nil {
		t.Error(err)
	}
}

func TestCloseLeavesOneFile(t *testing.T) {
	t.Parallel()
	o := freshDatabase(t, store.SQLite)
	s, err := store.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(filepath.Dir(o.Path))
	if err != nil || len(entries) != 1 {
		t.Errorf("%v, %v", entries, err)
	}
}

func TestAFileThatVanishedIsNotMadeAnew(t *testing.T) {
	t.Parallel()
	o := freshDatabase(t, store.SQLite)
	s := migrated(t, o)
	if err := os.Rename(o.Path, o.Path+".away"); err != nil {
		t.Fatal(err)
	}
	s.ReaderPool().SetMaxIdleConns(0) // drop what is open
	if err := s.Ping(t.Context()); !errors.Is(err, fault.Unavailable) {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(o.Path); err == nil {
		t.Error("a new file was made")
	}
}

func TestSQLiteVersion(t *testing.T) {
	for version, want := range map[string]bool{
		"3.51.2": false, "3.51.3": true, "3.51.10": true, "3.9.9": false, "3.54.1": true, "4.0.0": true, "2.99.99": false, "3.51": false, "": false, "x.y.z": false,
	} {
		if store.VersionAtLeast(version, store.OldestSQLite) != want {
			t.Errorf("%s: want %v", version, want)
		}
	}
}

func TestConnMaxAge(t *testing.T) {
	t.Parallel()
	for age, want := range map[time.Duration]int{0: 6, -1: 1, time.Minute: 1} {
		o := freshDatabase(t, store.PostgreSQL)
		o.ConnMaxAge = age
		s := opened(t, o)
		seen := make(map[int]bool)
		for range 6 {
			pid, err := s.Int("SELECT pg_backend_pid()")
			if err != nil {
				t.Fatal(err)
			}
			seen[pid] = true
		}
		if len(seen) != want {
			t.Errorf("age %v: %d connections for 6 queries, want %d", age, len(seen), want)
		}
	}
}

func TestPostgresSession(t *testing.T) {
	t.Parallel()
	o := freshDatabase(t, store.PostgreSQL)
	show := func(s *store.Store, name, want string) {
		t.Helper()
		var got string
		if err := s.ReaderPool().QueryRowContext(t.Context(), "SHOW "+name).Scan(&got); err != nil || got != want {
			t.Errorf("%s = %s, %v, want %s", name, got, err, want)
		}
	}
	s := opened(t, o)
	show(s, "statement_timeout", "30s")
	show(s, "lock_timeout", "10s")
	show(s, "idle_in_transaction_session_timeout", "1min")
	show(s, "jit", "off")
	show(s, "standard_conforming_strings", "on")
	show(s, "application_name", "heartlock")
	o.DSN += "&statement_timeout=5000&application_name=mine&options=-c%20lock_timeout%3D2000"
	s = opened(t, o)
	show(s, "statement_timeout", "5s")
	show(s, "lock_timeout", "2s")
	show(s, "idle_in_transaction_session_timeout", "1min")
	show(s, "application_name", "mine")
}

// TestQuotingDoesNotDependOnTheDatabase: with the setting off, a backslash
// would end bun's quoting early.
func TestQuotingDoesNotDependOnTheDatabase(t *testing.T) {
	t.Parallel()
	o := freshDatabase(t, store.PostgreSQL)
	first := migrated(t, o)
	var name string
	if err := first.ReaderPool().QueryRowContext(t.Context(), "SELECT current_database()").Scan(&name); err != nil {
		t.Fatal(err)
	}
	if _, err := first.ReaderPool().ExecContext(t.Context(), "ALTER DATABASE "+name+" SET standard_conforming_strings = off"); err != nil {
		t.Fatal(err)
	}
	s := opened(t, o)
	const text = `\'); DELETE FROM counters; --`
	mustWrite(t, s, "INSERT INTO parents VALUES (1, ?)", strings.ReplaceAll(text, ";", ","))
	mustInt(t, s.Queries, "SELECT count(*) FROM counters", 2)
	mustInt(t, s.Queries, "SELECT count(*) FROM parents", 1)
}

func TestPrepare(t *testing.T) {
	t.Parallel()
	if got := store.NumberPlaceholder("a = ? AND b IN (?, ?)"); got != "a = $1 AND b IN ($2, $3)" {
		t.Error(got)
	}
	eachEngine(t, func(t *testing.T, o store.Options) {
		s := migrated(t, o)
		stmt, err := s.Prepare(t.Context(), "SELECT n FROM counters WHERE id = ? AND n >= ?")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = stmt.Close() }()
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				var n int
				if err := stmt.QueryRowContext(t.Context(), 2, 0).Scan(&n); err != nil || n != 100 {
					t.Errorf("%d, %v", n, err)
				}
			})
		}
		wg.Wait()
		if _, err := s.Prepare(t.Context(), "SELECT nonsense FROM counters"); err == nil {
			t.Error("a wrong query was prepared")
		}
	})
}

func TestPostgresComesBack(t *testing.T) {
	t.Parallel()
	server := heartlocktest.StartPostgres(t, heartlocktest.PostgresOptions{Durable: true})
	o := store.Options{Engine: store.PostgreSQL, DSN: server.Database(t), ConnMaxAge: -1, Migrations: steps(t, step1, step2)}
	s := migrated(t, o)
	var conns sync.WaitGroup // several pooled connections that will be dead
	for range 8 {
		conns.Go(func() { _, _ = s.Int("SELECT 1 FROM (SELECT pg_sleep(0.1)) x") })
	}
	conns.Wait()
	mustWrite(t, s, "UPDATE counters SET n = 5 WHERE id = 1")

	server.Stop(t)
	for name, err := range map[string]error{
		"ping":  s.Ping(within(t, 5*time.Second)),
		"write": s.Write(within(t, 5*time.Second), exec("UPDATE counters SET n = 6 WHERE id = 1")),
	} {
		if !errors.Is(err, fault.Unavailable) {
			t.Errorf("%s while the server is away: %v", name, err)
		}
	}
	server.Start(t)
	if err := s.Write(within(t, 5*time.Second), exec("UPDATE counters SET n = n + 1 WHERE id = 1")); err != nil {
		t.Errorf("the first write after it came back: %v", err)
	}
	server.Restart(t)
	if err := s.Write(within(t, 5*time.Second), exec("UPDATE counters SET n = n + 1 WHERE id = 1")); err != nil {
		t.Errorf("the first write after a crash: %v", err)
	}
	mustInt(t, s.Queries, "SELECT n FROM counters WHERE id = 1", 7)
}
