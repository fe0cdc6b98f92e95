// Package cmd is the command line: the tree of commands, one file for each, and
// the only place that reads the process's surroundings, builds the parts of
// Heartlock together and turns a failure into an exit code.
//
// A command is made by a constructor that does no work but describing itself, so
// that a command which only talks to a server starts as fast as its one request.
// Standard output carries data alone; everything that is said to a person goes
// to standard error, and passes through [safeText] on its way to a terminal.
package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/heartlock/heartlock/pkg/client"
	"github.com/heartlock/heartlock/pkg/fault"
)

// Streams are the three standard streams of the process. Prompts appear only
// where In is an *os.File that is a terminal.
type Streams struct {
	In  io.Reader
	Out io.Writer
	Err io.Writer
}

// Build says which build this is. What is empty is looked up in the build
// information that the Go tool leaves in the binary.
type Build struct {
	Version string // "1.2.3"
	Commit  string
	Date    string // RFC 3339
}

// cli is what every command gets: its surroundings, so that no command reads a
// global of the process.
type cli struct {
	streams       Streams
	build         Build
	environ       []string // KEY=value
	workDir       string
	userConfigDir func() (string, error) // where "heartlock" has its folder
	now           func() time.Time
}

// Main runs the command that args (without the program's name) stand for and
// returns the exit code of the process. An interrupt or SIGTERM ends the
// command's context; a second one ends the process as usual.
func Main(args []string, streams Streams, build Build) int {
	workDir, err := os.Getwd()
	if err != nil {
		workDir = "." // removed under our feet; relative names then fail where they are used
	}
	c := &cli{
		streams:       streams,
		build:         build,
		environ:       os.Environ(),
		workDir:       workDir,
		userConfigDir: os.UserConfigDir,
		now:           time.Now,
	}
	ctx, stop := withSignals(context.Background())
	defer stop()
	return c.run(ctx, args)
}

// run executes one command line.
func (c *cli) run(ctx context.Context, args []string) int {
	root := newRootCommand(c)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	var (
		ended interruption
		code  exitCode
	)
	if errors.As(context.Cause(ctx), &ended) && !errors.As(err, &code) {
		return 128 + int(ended.signal)
	}
	if !hasKind(err) { // cobra's own
		err = wrongUse(root, "%v", err)
	}
	return c.report(err)
}

// exitCode is the error of a command that has already said everything and ends
// with a code of its own, such as a check that found something.
type exitCode int

// Error is never shown.
func (e exitCode) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// report tells the person what went wrong and returns the exit code for it.
func (c *cli) report(err error) int {
	var code exitCode
	if errors.As(err, &code) {
		return int(code)
	}
	kind := fault.KindOf(err)
	text := err.Error()
	if kind == fault.Internal {
		text = fault.Detail(err) // there is no log that would keep it
	}
	c.say("heartlock: %s", text)
	if e := fault.As(err); e != nil {
		c.reportMore(e)
	}
	return kind.ExitCode()
}

// reportMore adds what a server said beyond its sentence.
func (c *cli) reportMore(e *fault.Error) {
	for _, f := range e.Fields {
		if !strings.Contains(e.Message, f.Message) {
			c.say("  %s: %s", f.Location, f.Message)
		}
	}
	if e.RetryAfter > 0 {
		c.say("  Try again in %v.", e.RetryAfter)
	}
	var answer *client.ResponseError
	if errors.As(e, &answer) && answer.RequestID != "" && (e.Kind == fault.Internal || e.Kind == fault.Unavailable) {
		c.say("  The server's log knows more about it under the request id %s.", answer.RequestID)
	}
}

// say writes a line for the person to standard error.
func (c *cli) say(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if isTerminal(c.streams.Err) {
		text = safeText(text)
	}
	// Where standard error is closed there is nobody to tell.
	_, _ = fmt.Fprintln(c.streams.Err, text)
}

// path makes a file name of the command line absolute.
func (c *cli) path(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(c.workDir, name)
}

// wrongUse is the error for a command line that can not be meant.
func wrongUse(cmd *cobra.Command, format string, args ...any) error {
	return fault.Newf(fault.Usage, "%s\nSee '%s --help'.", fmt.Sprintf(format, args...), cmd.CommandPath())
}

// interruption is the cause of a context that a signal ended.
type interruption struct{ signal syscall.Signal }

func (i interruption) Error() string { return "interrupted by " + i.signal.String() }

// withSignals is ctx until the process is asked to end. Only the first request
// is taken: after it the signals do again what they do by default, so that a
// command that does not end can be ended.
func withSignals(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		select {
		case s := <-signals:
			signal.Stop(signals)
			number, _ := s.(syscall.Signal)
			cancel(interruption{number})
		case <-ctx.Done():
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		cancel(nil)
	}
}
