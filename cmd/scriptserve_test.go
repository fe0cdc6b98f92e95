package cmd

import (
	"os/exec"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/heartlock/heartlock/pkg/config"
)

// scriptServe is the script command `serve`: it runs heartlock serve in the
// working directory, with the script's settings and on a free port, whether or
// not it has been set up. Afterwards HEARTLOCK_SERVER is its address and
// $WORK/server.log what it logs. It is stopped, and has to end well, when the
// script ends.
func scriptServe(t *testing.T, ts *testscript.TestScript, flags []string) {
	serve := exec.Command(lookPath(ts, "heartlock"), append([]string{"serve", "--listen", "127.0.0.1:0"}, flags...)...)
	serve.Dir = ts.MkAbs(".")
	names := []string{"PATH", "HOME", "TMPDIR", "GORACE"}
	for _, d := range config.Definitions() {
		names = append(append(names, d.Name), d.Aliases...)
	}
	for _, name := range names {
		if value := ts.Getenv(name); value != "" {
			serve.Env = append(serve.Env, name+"="+value)
		}
	}
	ts.Setenv("HEARTLOCK_SERVER", runScriptServer(t, ts, serve))
}
