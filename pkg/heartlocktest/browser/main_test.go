//go:build unix

package browser_test

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/heartlock/heartlock/pkg/heartlocktest/browser"
	"github.com/heartlock/heartlock/pkg/web"
)

var (
	speed       = flag.Bool("speed", false, "hold the pages of a large environment to their times")
	screenshots = flag.String("screenshots", "", "the directory for pictures of every page; nothing else is tested")
)

// executed are the templates that the servers of this process have executed.
var executed templates

func TestMain(m *testing.M) {
	flag.Parse()
	code := browser.Main(m)
	if whole() {
		code = max(code, executed.report())
	}
	os.Exit(code)
}

// whole reports whether every test was run, so that a template that was not
// executed is one that nothing shows.
func whole() bool {
	for _, name := range []string{"test.run", "test.skip", "test.list", "screenshots"} {
		if f := flag.Lookup(name); f != nil && f.Value.String() != "" {
			return false
		}
	}
	return true
}

// templates are names of templates that were executed.
type templates struct {
	mu    sync.Mutex
	names map[string]bool
}

// mark is told the name of a template that is executed.
func (t *templates) mark(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.names == nil {
		t.names = map[string]bool{}
	}
	t.names[name] = true
}

// report names the templates that nothing has shown, and returns the exit code.
func (t *templates) report() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	unused := slices.DeleteFunc(web.Templates(), func(name string) bool { return t.names[name] })
	if len(unused) == 0 {
		return 0
	}
	fmt.Fprintf(os.Stderr, "FAIL: no test has shown these templates of pkg/web: %s\n", strings.Join(unused, ", "))
	return 1
}
