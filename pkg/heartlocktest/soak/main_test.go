//go:build unix

package soak

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"sync"
	"testing"
	"text/tabwriter"
)

var soak = flag.Bool("soak", false, "run until the promised figures are reached, and print them")

// measured is where the tests leave what they have measured.
var measured figures

func TestMain(m *testing.M) {
	flag.Parse()
	code := m.Run()
	if *soak {
		measured.print()
	}
	removeBinary()
	os.Exit(code)
}

// binaries is the folder of what was built; it goes when the tests have ended.
var binaries = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "heartlock-soak-")
	if err != nil {
		return "", err
	}
	builtIn = dir
	return dir, os.Chmod(dir, 0o755) // other users run it too
})

// builtIn is the folder, once there is one.
var builtIn string

// binary builds heartlock once for all tests; crashing, with the places at which
// it can be made to kill itself (see package crashpoint). The former is built as
// the test binary itself was, under the race detector if that is; the latter never
// is, because it is started some hundred times.
var (
	binary   = sync.OnceValues(func() (string, error) { return build("heartlock", asBuilt()...) })
	crashing = sync.OnceValues(func() (string, error) { return build("heartlock-crashing", "-tags=crashpoints") })
)

// asBuilt are the flags with which the test binary was built.
func asBuilt() (flags []string) {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "-race" || s.Key == "-gcflags" {
				flags = append(flags, s.Key+"="+s.Value)
			}
		}
	}
	return flags
}

func build(name string, flags ...string) (string, error) {
	dir, err := binaries()
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, name)
	args := append([]string{"build", "-buildvcs=false", "-o", path}, flags...)
	if out, err := exec.Command("go", append(args, "github.com/heartlock/heartlock")...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, nil
}

func removeBinary() {
	if builtIn != "" {
		_ = os.RemoveAll(builtIn)
	}
}

// figures are lines of the table that a soak ends with.
type figures struct {
	mu   sync.Mutex
	rows []figure
}

type figure struct {
	what, got, target string
	reached           bool
}

// add enters a figure and reports whether it was reached.
func (f *figures) add(what string, reached bool, target, format string, args ...any) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rows = append(f.rows, figure{what, fmt.Sprintf(format, args...), target, reached})
	return reached
}

func (f *figures) print() {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nWHAT\tFIGURE\tTARGET\tREACHED")
	for _, row := range f.rows {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", row.what, row.got, row.target, map[bool]string{true: "yes", false: "NO"}[row.reached])
	}
	_ = w.Flush()
}
