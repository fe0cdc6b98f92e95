package cmd

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/heartlock/heartlock/pkg/heartlocktest"
)

// TestMain makes this test binary the heartlock command of the scripts.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"heartlock": func() {
			os.Exit(Main(os.Args[1:], Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}, Build{Version: "1.2.3", Commit: "0123abc", Date: "2027-01-31T12:00:00Z"}))
		},
	})
}

// TestScripts runs testdata/script: each file is a session at a shell, with a
// home directory of its own and nothing configured. Beyond the commands of
// testscript a script has
//
//	server               set a server up and start it; see startScriptServer
//	serve [FLAG…]        start a server in the working directory; see scriptServe
//	signin NAME EMAIL    set a variable to a new token of a person; see scriptSignIn
//	fails CODE program … the program must end with exactly this exit code
//	capture NAME [REGEX] set a variable to the last standard output, or to the
//	                     first group of REGEX in it
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, scripts(t, testscript.Params{Dir: "testdata/script"}, func(*testscript.Env) {}))
}

// TestServerScriptsOnPostgreSQL runs the scripts that start a server once more,
// with only DATABASE_URL changed.
func TestServerScriptsOnPostgreSQL(t *testing.T) {
	t.Parallel()
	var files []string
	for _, pattern := range []string{"client_server_*", "server_engine_*"} {
		found, err := filepath.Glob("testdata/script/" + pattern + ".txtar")
		if err != nil || len(found) == 0 {
			t.Fatalf("no scripts %s: %v", pattern, err)
		}
		files = append(files, found...)
	}
	testscript.Run(t, scripts(t, testscript.Params{Files: files}, func(env *testscript.Env) {
		env.Setenv("DATABASE_URL", heartlocktest.Postgres(t))
	}))
}

func scripts(t *testing.T, p testscript.Params, setup func(*testscript.Env)) testscript.Params {
	p.RequireExplicitExec = true
	p.RequireUniqueNames = true
	p.Setup = func(env *testscript.Env) error {
		home := filepath.Join(env.WorkDir, "home")
		env.Setenv("HOME", home)
		env.Setenv("XDG_CONFIG_HOME", filepath.Join(home, ".config"))
		// The race detector would wait for a second at the end of each process.
		env.Setenv("GORACE", "atexit_sleep_ms=0")
		setup(env)
		return os.MkdirAll(home, 0o700)
	}
	p.Cmds = map[string]func(*testscript.TestScript, bool, []string){
		"capture": scriptCapture,
		"fails":   scriptFails,
		"serve": func(ts *testscript.TestScript, neg bool, args []string) {
			if neg {
				ts.Fatalf("usage: serve [flags]")
			}
			scriptServe(t, ts, args)
		},
		"signin": scriptSignIn,
		"server": func(ts *testscript.TestScript, neg bool, args []string) {
			if neg || len(args) > 0 {
				ts.Fatalf("usage: server")
			}
			startScriptServer(t, ts)
		},
	}
	return p
}

// scriptFails is `fails CODE program …`: the program must end with exactly this
// exit code, and say why on standard error. Its output is left for `stdout` and
// `stderr`.
func scriptFails(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: fails CODE program [arguments]")
	}
	want, err := strconv.Atoi(args[0])
	if err != nil {
		ts.Fatalf("fails: %q is no exit code", args[0])
	}
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	var ended *exec.ExitError
	if errors.As(err, &ended) {
		got = ended.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
	if ts.ReadFile("stderr") == "" {
		ts.Fatalf("exit code %d without a word on standard error", got)
	}
}

// scriptCapture is `capture NAME [REGEX]`.
func scriptCapture(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 || len(args) > 2 {
		ts.Fatalf("usage: capture NAME [REGEX]")
	}
	text := strings.TrimSuffix(ts.ReadFile("stdout"), "\n")
	if len(args) == 2 {
		found := regexp.MustCompile(args[1]).FindStringSubmatch(text)
		if len(found) < 2 {
			ts.Fatalf("capture: the last output does not match")
		}
		text = found[1]
	}
	ts.Setenv(args[0], text)
}
