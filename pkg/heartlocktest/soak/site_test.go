//go:build unix

package soak

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/client"
)

const (
	owner    = "ann@example.com"
	password = "a good long passphrase"
)

// site is a directory in which a server has its data, and the environment in
// which heartlock is run there: nothing but what the test says.
type site struct {
	dir, home  string
	environ    []string
	credential *syscall.Credential // another user, or nil
	umask      string              // for sh, or ""
	program    func() (string, error)
}

// newSite makes an empty site with these variables.
func newSite(t *testing.T, environ ...string) *site {
	t.Helper()
	base, err := os.MkdirTemp("", "heartlock-site-") //nolint:usetesting // other users can not enter t.TempDir()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(base) })
	s := &site{dir: filepath.Join(base, "server"), home: filepath.Join(base, "home"), environ: environ, program: binary}
	for _, dir := range []string{s.dir, s.home} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(base, 0o755); err != nil {
		t.Fatal(err)
	}
	return s
}

// unprivileged makes the site another user's if the tests run as root, to whom
// the modes of files mean nothing.
func (s *site) unprivileged(t *testing.T) *site {
	t.Helper()
	if os.Geteuid() != 0 {
		return s
	}
	nobody, err := user.Lookup("nobody")
	if err != nil {
		t.Fatal(err)
	}
	uid, gid := number(t, nobody.Uid), number(t, nobody.Gid)
	s.credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	for _, dir := range []string{s.dir, s.home} {
		if err := os.Chown(dir, uid, gid); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func number(t *testing.T, text string) int {
	t.Helper()
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// command is heartlock with these arguments. It dies with the test binary.
func (s *site) command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	path, err := s.program()
	if err != nil {
		t.Fatal(err)
	}
	if s.umask != "" {
		args = append([]string{"-c", "umask " + s.umask + `; exec "$0" "$@"`, path}, args...)
		path = "/bin/sh"
	}
	cmd := exec.Command(path, args...)
	cmd.Dir = s.dir
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.home, "XDG_CONFIG_HOME=" + s.home, "GORACE=" + os.Getenv("GORACE")}, s.environ...)
	cmd.SysProcAttr = dieTogether(&syscall.SysProcAttr{Credential: s.credential})
	return cmd
}

// ended is what a command left behind.
type ended struct {
	out, err string
	code     int
}

// run runs a command to its end.
func (s *site) run(t *testing.T, input string, args ...string) ended {
	t.Helper()
	cmd := s.command(t, args...)
	var out, errOut bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &out, &errOut
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return ended{out.String(), errOut.String(), cmd.ProcessState.ExitCode()}
}

// mustRun is run for a command that has to succeed.
func (s *site) mustRun(t *testing.T, input string, args ...string) string {
	t.Helper()
	e := s.run(t, input, args...)
	if e.code != 0 {
		t.Fatalf("heartlock %s: exit code %d\n%s", strings.Join(args, " "), e.code, e.err)
	}
	return e.out
}

// onboard sets the site up and returns a personal token of its owner.
func (s *site) onboard(t *testing.T) api.Value {
	t.Helper()
	s.mustRun(t, password, "onboard", "--yes", "--email", owner, "--password-stdin", "--login")
	return s.ownToken(t)
}

// ownToken is the token that onboard has stored.
func (s *site) ownToken(t *testing.T) api.Value {
	t.Helper()
	stored, ok, err := client.NewTokenStore(filepath.Join(s.home, "heartlock")).Get("http://localhost:8082")
	if err != nil || !ok {
		t.Fatalf("onboard has stored no token: %v", err)
	}
	return stored.Token
}

// server is a running `heartlock serve`.
type server struct {
	url     string
	process *os.Process
	exited  chan struct{}
	state   *os.ProcessState // once exited is closed
	log     *log
	took    time.Duration // from its start until it was ready
}

// log keeps what a server writes, and finds in it when it is ready.
type log struct {
	mu    sync.Mutex
	text  bytes.Buffer
	ready chan string // receives the address
	told  bool
}

var readyLine = regexp.MustCompile(`"msg":"ready","url":"([^"]+)"`)

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Write(p)
	if !l.told {
		if found := readyLine.FindSubmatch(l.text.Bytes()); found != nil {
			l.told = true
			l.ready <- string(found[1])
		}
	}
	return len(p), nil
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// serve starts a server on a free port of the loopback interface and returns
// when it is ready. It is killed at the end of the test if it still runs.
func (s *site) serve(t *testing.T, args ...string) *server {
	t.Helper()
	v := &server{exited: make(chan struct{}), log: &log{ready: make(chan string, 1)}}
	cmd := s.command(t, append([]string{"serve", "--listen", "127.0.0.1:0"}, args...)...)
	cmd.Stdout, cmd.Stderr = io.Discard, v.log
	start := time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	v.process = cmd.Process
	go func() {
		_ = cmd.Wait()
		v.state = cmd.ProcessState
		close(v.exited)
	}()
	t.Cleanup(v.kill)
	select {
	case v.url = <-v.log.ready:
		v.took = time.Since(start)
	case <-v.exited:
		t.Fatalf("the server has ended with %v:\n%s", v.state, v.log)
	case <-time.After(time.Minute):
		t.Fatalf("the server is not ready within a minute:\n%s", v.log)
	}
	return v
}

// kill ends the server without warning.
func (v *server) kill() {
	_ = v.process.Kill()
	<-v.exited
}

// stop ends the server in an orderly way, which has to succeed.
func (v *server) stop(t *testing.T) {
	t.Helper()
	if err := v.process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case <-v.exited:
	case <-time.After(time.Minute):
		t.Fatalf("the server does not stop:\n%s", v.log)
	}
	if !v.state.Success() {
		t.Fatalf("the server has ended with %v:\n%s", v.state, v.log)
	}
	v.mustBeSound(t)
}

// mustBeSound fails the test if the server has had a data race or a panic.
func (v *server) mustBeSound(t *testing.T) {
	t.Helper()
	for _, sign := range []string{"DATA RACE", "panic"} {
		if text := v.log.String(); strings.Contains(text, sign) {
			t.Fatalf("%s:\n%s", sign, text)
		}
	}
}

// client talks to the server as whom the token stands for.
func (v *server) client(t *testing.T, token api.Value) *client.Client {
	t.Helper()
	c, err := client.New(client.Options{Server: v.url, Token: token})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

var development = client.Environment{Project: "shop", Slug: "development"}

// shop makes the project shop and a service token that writes in development.
func (v *server) shop(t *testing.T, owner api.Value) api.Value {
	t.Helper()
	c := v.client(t, owner)
	if _, err := c.CreateProject(t.Context(), api.CreateProject{Name: "Shop"}); err != nil {
		t.Fatal(err)
	}
	token, err := c.CreateServiceToken(t.Context(), "shop", api.CreateServiceToken{Name: "ci", Environments: []string{"development"}, Access: api.AccessWrite})
	if err != nil {
		t.Fatal(err)
	}
	return *token.Token
}
