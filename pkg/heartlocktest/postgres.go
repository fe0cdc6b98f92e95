//go:build unix

package heartlocktest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Environment variables that choose another PostgreSQL for the tests.
const (
	// EnvDatabaseURL names a running server by the URL of a database in it
	// whose user may create databases. Without it a throw-away one is started.
	EnvDatabaseURL = "HEARTLOCK_TEST_DATABASE_URL"
	// EnvPostgresBin names the folder that holds initdb, pg_ctl and postgres,
	// to test with another version than the newest in /usr/lib/postgresql.
	EnvPostgresBin = "HEARTLOCK_TEST_POSTGRES_BIN"
)

// shared starts the one server that all tests of a test binary use.
var shared = sync.OnceValues(func() (*PostgresServer, error) {
	return startPostgres(PostgresOptions{})
})

// Postgres gives the URL of a fresh, empty database that is dropped when the
// test ends. The databases of one test binary are on one server, which is
// started by the first call, listens on the loopback interface alone and
// vanishes, files included, with the test binary, however that ends.
// [EnvDatabaseURL] names another server to use. A machine without PostgreSQL
// fails the test: what is not tested must not look tested.
func Postgres(tb testing.TB) string {
	tb.Helper()
	if server := os.Getenv(EnvDatabaseURL); server != "" {
		return newDatabase(tb, server)
	}
	s, err := shared()
	if err != nil {
		tb.Fatal(err)
	}
	return s.Database(tb)
}

// PostgresOptions say what kind of server [StartPostgres] starts. The zero
// value is the fastest: it forgets everything in a power cut.
type PostgresOptions struct {
	Durable  bool              // fsync, full_page_writes and synchronous_commit as in production
	Settings map[string]string // further settings of postgresql.conf
}

// PostgresServer is a throw-away PostgreSQL server.
type PostgresServer struct {
	bin        string // folder of initdb, postgres and pg_ctl
	dir        string // everything of the server; its data folder is data/
	port       int
	attr       *syscall.SysProcAttr // of every process that is run for it
	process    *os.Process
	exited     chan struct{} // closed when process has ended
	supervisor *supervisor
}

// StartPostgres starts a server of its own for the test, to be stopped, killed
// and restarted at will. It is removed when the test ends.
func StartPostgres(tb testing.TB, o PostgresOptions) *PostgresServer {
	tb.Helper()
	s, err := startPostgres(o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(s.supervisor.end)
	return s
}

// URL is the address of the named database on the server.
func (s *PostgresServer) URL(database string) string {
	return fmt.Sprintf("postgres://postgres@127.0.0.1:%d/%s?sslmode=disable", s.port, database)
}

// Database makes a fresh, empty database, gives its URL, and drops it when the
// test ends. The server must be running at both times.
func (s *PostgresServer) Database(tb testing.TB) string {
	tb.Helper()
	return newDatabase(tb, s.URL("postgres"))
}

// Stop ends the server in an orderly way: connections are cut, the files are
// consistent.
func (s *PostgresServer) Stop(tb testing.TB) { tb.Helper(); s.signal(tb, syscall.SIGINT) }

// Kill kills the server's main process; its other processes notice and end.
func (s *PostgresServer) Kill(tb testing.TB) { tb.Helper(); s.signal(tb, syscall.SIGKILL) }

// Start starts the server again after Stop or Kill, on the same port.
func (s *PostgresServer) Start(tb testing.TB) {
	tb.Helper()
	if err := s.start(); err != nil {
		tb.Fatal(err)
	}
}

// Restart ends the server without any courtesy, as a crash would, and starts it
// again; it then recovers from its log.
func (s *PostgresServer) Restart(tb testing.TB) {
	tb.Helper()
	s.signal(tb, syscall.SIGQUIT)
	s.Start(tb)
}

// signal ends the server with a signal and waits until every process of it has
// ended (they all hold its standard error).
func (s *PostgresServer) signal(tb testing.TB, sig syscall.Signal) {
	tb.Helper()
	if err := s.process.Signal(sig); err != nil {
		tb.Fatal(err)
	}
	<-s.exited
}

func startPostgres(o PostgresOptions) (_ *PostgresServer, err error) {
	s := &PostgresServer{attr: &syscall.SysProcAttr{Setpgid: true}} // an interrupt at the terminal is not for them
	if s.bin, err = postgresBin(); err != nil {
		return nil, err
	}
	// Not tb.TempDir: the server's user can not enter it when the tests run as
	// root, and the path of a Unix socket must be shorter than 108 bytes.
	if s.dir, err = os.MkdirTemp("", "heartlock-pg-"); err != nil {
		return nil, err
	}
	if err := s.dropPrivileges(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(s.dir))
	}
	if s.supervisor, err = supervise(s); err != nil {
		return nil, errors.Join(err, os.RemoveAll(s.dir))
	}
	if err := s.create(o); err != nil {
		s.supervisor.end()
		return nil, err
	}
	return s, nil
}

// postgresBin finds the newest server on the machine.
func postgresBin() (string, error) {
	if bin := os.Getenv(EnvPostgresBin); bin != "" {
		return bin, nil
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if len(found) > 0 {
		return filepath.Dir(slices.MaxFunc(found, func(a, b string) int { return major(a) - major(b) })), nil
	}
	if initdb, err := exec.LookPath("initdb"); err == nil {
		if initdb, err = filepath.EvalSymlinks(initdb); err == nil {
			return filepath.Dir(initdb), nil
		}
	}
	return "", errors.New("PostgreSQL server not found: apt-get install postgresql")
}

// major is the version in a path like /usr/lib/postgresql/15/bin/initdb.
func major(initdb string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(initdb))))
	return n
}

// dropPrivileges gives the server to another user when the tests run as root,
// because PostgreSQL refuses to.
func (s *PostgresServer) dropPrivileges() error {
	if os.Geteuid() != 0 {
		return nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.ParseUint(u.Uid, 10, 32)
		gid, gidErr := strconv.ParseUint(u.Gid, 10, 32)
		if err := errors.Join(uidErr, gidErr); err != nil {
			return err
		}
		s.attr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		return os.Chown(s.dir, int(uid), int(gid))
	}
	return errors.New("the tests run as root, which PostgreSQL refuses, and there is neither a user postgres nor nobody")
}

// create makes the data folder and starts the server for the first time, on a
// port that is free now; another process may take it before the server does.
func (s *PostgresServer) create(o PostgresOptions) error {
	initdb := s.command("initdb", "-D", s.data(), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions")
	if out, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	var err error
	for range 3 {
		if s.port, err = freePort(); err != nil {
			return err
		}
		if err = s.configure(o); err != nil {
			return err
		}
		if err = s.start(); err == nil {
			return nil
		}
	}
	return err
}

// configure appends to postgresql.conf; the last line for a setting counts.
func (s *PostgresServer) configure(o PostgresOptions) error {
	settings := map[string]string{
		"listen_addresses":        "127.0.0.1",
		"port":                    strconv.Itoa(s.port),
		"unix_socket_directories": s.dir,
		"max_connections":         "200",
		"shared_buffers":          "32MB",
	}
	if !o.Durable {
		for _, name := range []string{"fsync", "synchronous_commit", "full_page_writes", "autovacuum"} {
			settings[name] = "off"
		}
	}
	maps.Copy(settings, o.Settings)
	file, err := os.OpenFile(filepath.Join(s.data(), "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	for name, value := range settings {
		if _, err := fmt.Fprintf(file, "%s = '%s'\n", name, strings.ReplaceAll(value, "'", "''")); err != nil {
			return errors.Join(err, file.Close())
		}
	}
	return file.Close()
}

// start starts the server and waits until it takes connections. After a kill the
// last of the old processes may still hold the shared memory, so it tries again.
func (s *PostgresServer) start() error {
	deadline := time.Now().Add(time.Minute)
	for {
		err := s.startOnce(deadline)
		if err == nil || time.Now().After(deadline) || !strings.Contains(err.Error(), "shared memory") {
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (s *PostgresServer) startOnce(deadline time.Time) error {
	var log bytes.Buffer // read only after the process has ended
	cmd := s.command("postgres", "-D", s.data())
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		return err
	}
	exited := make(chan struct{})
	go func() { _ = cmd.Wait(); close(exited) }()
	s.process, s.exited = cmd.Process, exited
	for !s.answers() {
		select {
		case <-exited:
			return fmt.Errorf("the PostgreSQL server did not start:\n%s", log.String())
		case <-time.After(10 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return errors.New("the PostgreSQL server does not answer")
		}
	}
	return nil
}

func (s *PostgresServer) answers() bool {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.URL("postgres"))
	if err != nil {
		return false
	}
	return conn.Close(ctx) == nil
}

func (s *PostgresServer) data() string { return filepath.Join(s.dir, "data") }

// command is a program of PostgreSQL, run as the server's user.
func (s *PostgresServer) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(s.bin, name), args...)
	cmd.Dir = s.dir
	cmd.Env = []string{"PATH=/usr/bin:/bin", "LC_ALL=C", "HOME=" + s.dir}
	cmd.SysProcAttr = s.attr
	return cmd
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// supervisor is a shell that waits for the end of its input, which comes at the
// latest when this process ends, even by SIGKILL, and then stops the server and
// removes its files.
type supervisor struct {
	end func() // cleans up now; returns when that is done
}

const superviseScript = `cat >/dev/null; "$1/pg_ctl" -D "$2/data" -m immediate -w -t 10 stop; cd /; rm -rf "$2"`

func supervise(s *PostgresServer) (*supervisor, error) {
	cmd := s.command("pg_ctl")
	cmd.Path, cmd.Args = "/bin/sh", []string{"sh", "-c", superviseScript, "sh", s.bin, s.dir}
	input, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &supervisor{end: sync.OnceFunc(func() {
		_ = input.Close()
		_ = cmd.Wait()
	})}, nil
}

// newDatabase makes a database on the server that the URL names one of.
func newDatabase(tb testing.TB, server string) string {
	tb.Helper()
	address, err := url.Parse(server)
	if err != nil {
		tb.Fatalf("%s is not a URL", EnvDatabaseURL) // the error would show the password
	}
	name := "heartlock_test_" + strings.ToLower(rand.Text())
	run := func(sql string) error {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		conn, err := pgx.Connect(ctx, server)
		if err != nil {
			return err
		}
		_, err = conn.Exec(ctx, sql)
		return errors.Join(err, conn.Close(ctx))
	}
	if err := run("create database " + name + " template template0 encoding 'UTF8' strategy file_copy"); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := run("drop database " + name + " with (force)"); err != nil {
			tb.Errorf("a test database stays behind: %v", err)
		}
	})
	address.Path = "/" + name
	return address.String()
}
