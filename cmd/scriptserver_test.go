package cmd

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/heartlock/heartlock/pkg/client"
)

const ownerPassword = "correct horse battery staple"

// startScriptServer is the script command `server`: it sets a server up in
// $WORK/server, with ann@example.com as its administrator, and starts it on a
// free port. DATABASE_URL, if set, is its database. Afterwards HEARTLOCK_SERVER
// is its address, OWNER_TOKEN a personal token of the administrator and
// $WORK/server.log what it logs, at level debug. It is stopped, and has to end
// well, when the script ends.
func startScriptServer(t *testing.T, ts *testscript.TestScript) {
	dir, home := ts.MkAbs("server"), ts.MkAbs("server-home")
	for _, d := range []string{dir, home} {
		ts.Check(os.MkdirAll(d, 0o700))
	}
	heartlock := func(args ...string) *exec.Cmd {
		cmd := exec.Command(lookPath(ts, "heartlock"), args...)
		cmd.Dir = dir
		cmd.Env = []string{"PATH=" + ts.Getenv("PATH"), "HOME=" + home, "XDG_CONFIG_HOME=" + home, "TMPDIR=" + ts.Getenv("TMPDIR"), "GORACE=" + ts.Getenv("GORACE")}
		if url := ts.Getenv("DATABASE_URL"); url != "" {
			cmd.Env = append(cmd.Env, "DATABASE_URL="+url)
		}
		return cmd
	}
	onboard := heartlock("onboard", "--yes", "--email", "ann@example.com", "--password-stdin", "--login")
	onboard.Stdin = strings.NewReader(ownerPassword + "\n")
	if out, err := onboard.CombinedOutput(); err != nil {
		ts.Fatalf("onboard: %v\n%s", err, out)
	}
	token, ok, err := client.NewTokenStore(filepath.Join(home, "heartlock")).Get("http://localhost:8082")
	if err != nil || !ok {
		ts.Fatalf("onboard stored no token (%v)", err)
	}
	ts.Setenv("OWNER_TOKEN", token.Token.Reveal())
	ts.Setenv("HEARTLOCK_SERVER", runScriptServer(t, ts, heartlock("serve", "--listen", "127.0.0.1:0", "--log-level", "debug")))
}

// runScriptServer starts the server, has it stopped at the end, and returns its
// address as soon as it is ready.
func runScriptServer(t *testing.T, ts *testscript.TestScript, serve *exec.Cmd) string {
	path := ts.MkAbs("server.log")
	logFile, err := os.Create(path)
	ts.Check(err)
	serve.Stdout, serve.Stderr = logFile, logFile
	dieWithTheTest(serve)
	ts.Check(serve.Start())
	ended := make(chan error, 1)
	go func() {
		ended <- serve.Wait()
		_ = logFile.Close()
	}()
	ts.Defer(func() { stopScriptServer(t, serve, ended, path) })

	address := regexp.MustCompile(`"msg":"ready","url":"([^"]+)"`)
	deadline := time.After(30 * time.Second)
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for {
		log, err := os.ReadFile(path)
		ts.Check(err)
		if found := address.FindSubmatch(log); found != nil {
			return string(found[1])
		}
		select {
		case err := <-ended:
			ended <- err
			ts.Fatalf("the server ended (%v):\n%s", err, log)
		case <-deadline:
			ts.Fatalf("the server is not ready:\n%s", log)
		case <-poll.C:
		}
	}
}

// stopScriptServer runs after the script, when only t can fail.
func stopScriptServer(t *testing.T, serve *exec.Cmd, ended chan error, path string) {
	_ = serve.Process.Signal(syscall.SIGTERM) // it may have ended by itself, which Wait reports
	select {
	case err := <-ended:
		log, _ := os.ReadFile(path)
		if err != nil || bytes.Contains(log, []byte("panic")) {
			t.Errorf("the server did not end well (%v):\n%s", err, log)
		}
	case <-time.After(30 * time.Second):
		_ = serve.Process.Kill()
		t.Error("the server did not stop within 30 seconds")
	}
}

// lookPath finds a program on the script's PATH, which is not this process's.
func lookPath(ts *testscript.TestScript, name string) string {
	for _, dir := range filepath.SplitList(ts.Getenv("PATH")) {
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			return path
		}
	}
	ts.Fatalf("%s is not on the PATH", name)
	return ""
}
