//go:build unix

package heartlocktest

import (
	"bufio"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

func query(t *testing.T, url, sql string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return "", err
	}
	var text string
	err = conn.QueryRow(ctx, sql).Scan(&text)
	return text, errors.Join(err, conn.Close(ctx))
}

func mustExec(t *testing.T, url string, statements ...string) {
	t.Helper()
	for _, sql := range statements {
		if _, err := query(t, url, sql); !errors.Is(err, pgx.ErrNoRows) {
			t.Fatalf("%s: %v", sql, err)
		}
	}
}

func mustQuery(t *testing.T, url, sql, want string) {
	t.Helper()
	if got, err := query(t, url, sql); err != nil || got != want {
		t.Errorf("%s = %q, %v, want %q", sql, got, err, want)
	}
}

func TestPostgresGivesFreshDatabases(t *testing.T) {
	t.Parallel()
	var first string
	t.Run("inner", func(t *testing.T) {
		first = Postgres(t)
		second := Postgres(t)
		if first == second {
			t.Fatal("two calls gave one database")
		}
		mustExec(t, first, "create table t(x text)", "insert into t values('here')")
		mustQuery(t, second, "select count(*)::text from pg_tables where tablename = 't'", "0")
		mustQuery(t, first, "show server_encoding", "UTF8")
	})
	if _, err := query(t, first, "select '1'"); err == nil || !strings.Contains(err.Error(), "does not exist") {
		t.Errorf("the database is still there after its test: %v", err)
	}
}

func TestPostgresUsesTheServerOfTheEnvironment(t *testing.T) {
	s := StartPostgres(t, PostgresOptions{Settings: map[string]string{"cluster_name": "it's mine"}})
	t.Setenv(EnvDatabaseURL, s.URL("postgres"))
	mustQuery(t, Postgres(t), "show cluster_name", "it's mine")
}

func TestPostgresServerStopsAndStarts(t *testing.T) {
	t.Parallel()
	s := StartPostgres(t, PostgresOptions{Durable: true})
	url := s.Database(t)
	for setting, want := range map[string]string{"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"} {
		mustQuery(t, url, "show "+setting, want)
	}
	mustExec(t, url, "create table t(x text)", "insert into t values('kept')")
	s.Stop(t)
	if _, err := query(t, url, "select x from t"); err == nil {
		t.Error("a stopped server answers")
	}
	s.Start(t)
	mustQuery(t, url, "select x from t", "kept")
	s.Restart(t)
	mustQuery(t, url, "select x from t", "kept")
	s.Kill(t)
	s.Start(t)
	mustQuery(t, url, "select x from t", "kept")
}

func TestPostgresServerIsRemoved(t *testing.T) {
	t.Parallel()
	var s *PostgresServer
	t.Run("inner", func(t *testing.T) { s = StartPostgres(t, PostgresOptions{}) })
	if _, err := os.Stat(s.dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the server's folder: %v", err)
	}
	if _, err := query(t, s.URL("postgres"), "select '1'"); err == nil {
		t.Error("the server answers after its test")
	}
}

// TestMain lets the test binary play the process that dies with a server.
func TestMain(m *testing.M) {
	if os.Getenv("HEARTLOCK_TEST_ROLE") == "holds a server" {
		s, err := startPostgres(PostgresOptions{})
		if err != nil {
			os.Stderr.WriteString(err.Error())
			os.Exit(1)
		}
		os.Stdout.WriteString(s.dir + "\n")
		select {} // until killed
	}
	os.Exit(m.Run())
}

func TestPostgresServerDiesWithAKilledProcess(t *testing.T) {
	t.Parallel()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), "HEARTLOCK_TEST_ROLE=holds a server")
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	dir := strings.TrimSpace(line)
	if _, err := os.Stat(filepath.Join(dir, "data", "postmaster.pid")); err != nil {
		t.Fatalf("the child's server is not running: %v", err)
	}
	_ = child.Process.Kill()
	_ = child.Wait()
	deadline := time.After(20 * time.Second)
	for {
		if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
			return
		}
		select {
		case <-deadline:
			t.Fatalf("%s is still there", dir)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
