//go:build unix

package heartlocktest

import (
	"bytes"
	"context"
	"database/sql"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/config"
	"github.com/heartlock/heartlock/pkg/server"
	"github.com/heartlock/heartlock/pkg/store"
)

// What every test server has in common.
const (
	// OwnerEmail is the account that finished the first run of an onboarded
	// server; a superuser.
	OwnerEmail = "owner@example.com"
	// Password is that of every account of a test server.
	Password = "correct-horse-battery-staple"
)

// Production is the environment of a server with DEBUG=False that accepts
// requests to 127.0.0.1. It believes X-Forwarded-Proto of the test, which is on
// the loopback interface.
func Production() []string {
	return []string{
		"DEBUG=False", "SECRET_KEY=Zk3w9Q-unguessable-0f81bd7a2c-production-secret-key-of-tests",
		"ALLOWED_HOSTS=127.0.0.1,secrets.example.com",
	}
}

// ServerOptions say what server to start. The zero value is a development server
// on SQLite that nobody has set up.
type ServerOptions struct {
	Dir         string   // the data root; empty: a fresh directory
	DatabaseURL string   // empty: SQLite in Dir
	Environ     []string // NAME=value; nothing else is in the environment
	Headers     []string // "Name: value", sent with every request of a caller
	Waiting     bool     // do not wait until it is ready: its database is away
	// Executed is told the name of every template of a page that is executed. It is
	// called by several goroutines; it may be nil.
	Executed func(template string)
}

// Server is a Heartlock that runs in the test's own process and listens on a
// port of the loopback interface. Its methods are for the test's goroutine; the
// callers it makes may each be used by another one.
type Server struct {
	URL         string // "http://127.0.0.1:12345"
	Dir         string // the data root
	DatabaseURL string // as configured; empty: SQLite in Dir
	Logs        *LogBuffer
	Console     *LogBuffer // mail, while no mail server is configured
	NeedsSetup  bool       // as the server announced it
	SetupToken  string     // as the server announced it

	tb      testing.TB
	options ServerOptions
	cancel  context.CancelFunc
	stopped chan struct{}
	err     error // of Run, once stopped is closed
	client  *http.Client

	store *store.Store // these two read and write beside the server, once it was asked for
	sql   *sql.DB
}

// StartServer starts a server and returns when it is ready. It is stopped when
// the test ends; that it then ends cleanly is part of the test.
func StartServer(tb testing.TB, o ServerOptions) *Server {
	tb.Helper()
	if o.Dir == "" {
		o.Dir = tb.TempDir()
	}
	s := &Server{Dir: o.Dir, DatabaseURL: o.DatabaseURL, Logs: new(LogBuffer), Console: new(LogBuffer), tb: tb, options: o}
	s.client = &http.Client{
		Transport:     &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 64},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       time.Minute,
	}
	s.start()
	tb.Cleanup(s.Stop)
	return s
}

// environ is the whole environment of the server.
func (s *Server) environ() []string {
	environ := append([]string{}, s.options.Environ...)
	if s.DatabaseURL != "" {
		environ = append(environ, "DATABASE_URL="+s.DatabaseURL)
	}
	return environ
}

// Config loads the server's settings as the server itself does.
func (s *Server) Config() (*config.Server, error) {
	return config.LoadServer(config.Options{Dir: s.Dir, Environ: s.environ()})
}

// stamp tells states of its settings files apart.
func (s *Server) stamp() string { return config.Stamp(config.Options{Dir: s.Dir}) }

func (s *Server) start() {
	s.tb.Helper()
	handler := slog.NewJSONHandler(s.Logs, &slog.HandlerOptions{Level: slog.LevelDebug})
	run, err := server.New(server.Options{
		Load: s.Config, Stamp: s.stamp, Migrate: true, Log: slog.New(handler), Console: s.Console, Version: "1.2.3", Commit: "0123abc",
		Executed: s.options.Executed,
	})
	if err != nil {
		s.tb.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.tb.Fatal(err)
	}
	s.URL = "http://" + listener.Addr().String()
	ctx, cancel := context.WithCancel(context.WithoutCancel(s.tb.Context()))
	s.cancel, s.stopped = cancel, make(chan struct{})
	ready := make(chan struct{})
	if s.options.Waiting {
		ready = nil // announced, but nobody waits
	}
	go func() {
		defer close(s.stopped)
		s.err = run.Run(ctx, listener, func(needsSetup bool, token string) {
			if ready != nil {
				s.NeedsSetup, s.SetupToken = needsSetup, token
				close(ready)
			}
		})
	}()
	if s.options.Waiting {
		return
	}
	select {
	case <-ready:
	case <-s.stopped:
		s.tb.Fatalf("the server did not start: %v", s.err)
	}
}

// StopBegin asks the server to stop and does not wait.
func (s *Server) StopBegin() { s.cancel() }

// Stop stops the server and waits for its end; a server that does not end
// cleanly fails the test. A stopped server may be stopped again.
func (s *Server) Stop() {
	s.tb.Helper()
	s.cancel()
	s.closeBeside()
	if err := s.Wait(); err != nil {
		s.tb.Errorf("the server did not stop cleanly: %v", err)
	}
}

// closeBeside closes the connections beside the server: a test may start hundreds of
// servers. They are opened anew by whoever asks for them after.
func (s *Server) closeBeside() {
	if s.store != nil {
		_ = s.store.Close()
	}
	if s.sql != nil {
		_ = s.sql.Close()
	}
	s.store, s.sql = nil, nil
}

// Wait waits for the end of the server and returns, once, what it ended with.
func (s *Server) Wait() error {
	<-s.stopped
	s.client.CloseIdleConnections()
	err := s.err
	s.err = nil
	return err
}

// Restart stops the server and starts it with another environment on the same
// data; its address changes.
func (s *Server) Restart(environ ...string) {
	s.tb.Helper()
	s.Stop()
	s.options.Environ = environ
	s.start()
}

// Onboard finishes the first run over HTTP and returns the owner, signed in.
func (s *Server) Onboard() *Caller {
	s.tb.Helper()
	body := map[string]any{"admin": map[string]any{
		"email": OwnerEmail, "password": Password, "first_name": "Olga", "last_name": "Owner",
	}}
	if s.SetupToken != "" {
		body["setup_token"] = s.SetupToken
	}
	s.Anonymous().Call("POST", "/onboarding/", body).Want(http.StatusCreated)
	return s.Login(OwnerEmail)
}

// EachEngine runs the test on an onboarded development server on SQLite and on
// another one on PostgreSQL.
func EachEngine(t *testing.T, test func(t *testing.T, s *Server, owner *Caller)) {
	t.Helper()
	EachDatabase(t, func(t *testing.T, databaseURL string) {
		s := StartServer(t, ServerOptions{DatabaseURL: databaseURL})
		test(t, s, s.Onboard())
	})
}

// EachDatabase runs the test with the DATABASE_URL of a fresh database of either
// engine; it is empty for SQLite in the data root.
func EachDatabase(t *testing.T, test func(t *testing.T, databaseURL string)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		test(t, "")
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		test(t, Postgres(t))
	})
}

// Store is a connection to the server's database beside the server, for what
// has no route.
func (s *Server) Store() *store.Store {
	s.tb.Helper()
	if s.store != nil {
		return s.store
	}
	cfg, err := s.Config()
	if err == nil {
		s.store, err = server.OpenStore(s.tb.Context(), cfg)
	}
	if err != nil {
		s.tb.Fatal(err)
	}
	return s.store
}

// AddUser makes an active account with the common password, past every route,
// and returns its id. It copies the owner's password hash, which costs nothing.
func (s *Server) AddUser(email string) string {
	s.tb.Helper()
	ctx := s.tb.Context()
	owner, err := s.Store().UserByEmail(ctx, OwnerEmail)
	if err != nil {
		s.tb.Fatal(err)
	}
	now := store.MicrosOf(time.Now())
	user := &store.User{
		ID: uuid.Must(uuid.NewV7()).String(), Email: email, PasswordHash: owner.PasswordHash, IsActive: true,
		CreatedAt: now, UpdatedAt: now,
	}
	s.write(func(ctx context.Context, tx store.Tx) error { return tx.InsertUser(ctx, user) })
	return user.ID
}

// AddMember makes an account a member of a project, past every route.
func (s *Server) AddMember(projectID, userID string, role api.Role) {
	s.tb.Helper()
	s.write(func(ctx context.Context, tx store.Tx) error {
		return tx.InsertMembership(ctx, &store.Membership{
			ProjectID: projectID, UserID: userID, Role: string(role), CreatedAt: store.MicrosOf(time.Now()),
		})
	})
}

// SetActive switches an account on or off, past every route.
func (s *Server) SetActive(userID string, active bool) {
	s.tb.Helper()
	s.write(func(ctx context.Context, tx store.Tx) error {
		return tx.UpdateUser(ctx, &store.User{ID: userID, IsActive: active}, "is_active")
	})
}

func (s *Server) write(do func(context.Context, store.Tx) error) {
	s.tb.Helper()
	if err := s.Store().Write(s.tb.Context(), do); err != nil {
		s.tb.Fatal(err)
	}
}

// sqlitePath is the file of a server on SQLite.
func (s *Server) sqlitePath() string { return filepath.Join(s.Dir, config.DataDirName, "db.sqlite3") }

// LogBuffer keeps what a server logs.
type LogBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write appends to the log.
func (b *LogBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

// String is the log so far.
func (b *LogBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// Contains reports whether the log holds the text.
func (b *LogBuffer) Contains(text string) bool { return strings.Contains(b.String(), text) }

// Eventually waits until what another goroutine or process does is to be seen.
func Eventually(tb testing.TB, what string, seen func() bool) {
	tb.Helper()
	for deadline := time.Now().Add(10 * time.Second); !seen(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			tb.Fatalf("it never came to pass that %s", what)
		}
	}
}
