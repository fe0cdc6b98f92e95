package cmd

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// The files in completions/ are what packages install.
func TestCompletionsAreUpToDate(t *testing.T) {
	t.Parallel()
	for shell, file := range map[string]string{
		"bash": "heartlock.bash", "zsh": "heartlock.zsh", "fish": "heartlock.fish", "powershell": "heartlock.ps1",
	} {
		r := newShell(t).run("", "completion", shell)
		if r.code != 0 {
			t.Fatalf("%s: %s", shell, r.stderr)
		}
		committed, err := os.ReadFile(filepath.Join("..", "completions", file))
		if err != nil || string(committed) != r.stdout {
			t.Errorf("completions/%s is not what the binary prints (%v): run make completions", file, err)
		}
	}
}

// Every command says how it is used and how it ends.
func TestEveryCommandHasAnExampleAndItsExitCodes(t *testing.T) {
	t.Parallel()
	var visit func(*cobra.Command)
	visit = func(cmd *cobra.Command) {
		for _, sub := range cmd.Commands() {
			visit(sub)
		}
		if cmd.Name() == "help" || !cmd.HasParent() {
			return
		}
		if cmd.Short == "" || cmd.Example == "" {
			t.Errorf("%s lacks a description or an example", cmd.CommandPath())
		}
		if !strings.Contains(cmd.Long, "\nExit codes:\n") {
			t.Errorf("%s does not list its exit codes", cmd.CommandPath())
		}
		for line := range strings.SplitSeq(cmd.Long, "\n") {
			if len([]rune(line)) > 90 {
				t.Errorf("%s: a line of its help has %d characters", cmd.CommandPath(), len(line))
			}
		}
		if cmd.RunE == nil {
			t.Errorf("%s has no RunE", cmd.CommandPath())
		}
	}
	visit(newRootCommand(&cli{streams: Streams{In: strings.NewReader(""), Out: &bytes.Buffer{}, Err: &bytes.Buffer{}}}))
}

// shell runs the command line in this process with surroundings of its own.
type shell struct {
	t   *testing.T
	cli *cli
	ctx context.Context
}

type result struct {
	code           int
	stdout, stderr string
}

func newShell(t *testing.T, environ ...string) *shell {
	t.Helper()
	home := t.TempDir()
	return &shell{t: t, ctx: t.Context(), cli: &cli{
		environ:       append([]string{"HOME=" + home}, environ...),
		workDir:       home,
		userConfigDir: func() (string, error) { return filepath.Join(home, ".config"), nil },
		now:           fixedNow,
	}}
}

func (s *shell) run(stdin string, args ...string) result {
	s.t.Helper()
	var out, err bytes.Buffer
	c := *s.cli
	c.streams = Streams{In: strings.NewReader(stdin), Out: &out, Err: &err}
	code := c.run(s.ctx, args)
	return result{code, out.String(), err.String()}
}
