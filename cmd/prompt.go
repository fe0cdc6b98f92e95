package cmd

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"

	"golang.org/x/term"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
)

// inTime runs a read that can not be interrupted, and leaves it behind when ctx
// ends first: the process is about to end then.
func inTime[T any](ctx context.Context, read func() (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		value, err := read()
		done <- result{value, err}
	}()
	select {
	case r := <-done:
		return r.value, r.err
	case <-ctx.Done():
		var none T
		return none, fault.Wrap(fault.Unavailable, context.Cause(ctx), "The command was interrupted.")
	}
}

// ask writes a question to the terminal and reads the line that is typed.
// It must only be called when standard input is a terminal.
func (c *cli) ask(ctx context.Context, question string) (string, error) {
	c.prompt(question)
	line, err := inTime(ctx, func() (string, error) { return bufio.NewReader(c.streams.In).ReadString('\n') })
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	return strings.TrimRight(line, "\r\n"), nil
}

// askHidden is ask for a secret: what is typed is not shown. The terminal is put
// back in order when ctx ends, also by an interrupt.
func (c *cli) askHidden(ctx context.Context, question string) (api.Value, error) {
	in, ok := c.streams.In.(*os.File)
	if !ok {
		return api.Value{}, errors.New("standard input is no terminal")
	}
	fd := int(in.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return api.Value{}, err
	}
	c.prompt(question)
	typed, err := inTime(ctx, func() ([]byte, error) { return term.ReadPassword(fd) })
	c.prompt("\n")
	if err != nil {
		_ = term.Restore(fd, before) // the interruption is what is reported
		if errors.Is(err, io.EOF) {
			return api.Value{}, fault.New(fault.Usage, "Nothing was typed.")
		}
		return api.Value{}, err
	}
	if longest := maxTerminalLine(); len(typed) >= longest {
		return api.Value{}, fault.Newf(fault.Usage,
			"A line of a terminal holds at most %d bytes; what was typed or pasted may have been cut off and was not used. Give it on standard input or in a file.", longest)
	}
	return api.NewValue(string(typed)), nil
}

func (c *cli) prompt(text string) { _, _ = io.WriteString(c.streams.Err, text) }

// maxTerminalLine is how much of one line the terminal driver takes before it
// silently drops the rest.
func maxTerminalLine() int {
	if runtime.GOOS == "linux" {
		return 4095
	}
	return 1023
}

// readValue reads a value byte for byte: nothing is trimmed, not even a line
// break at the end.
func readValue(ctx context.Context, r io.Reader, source string) (api.Value, error) {
	data, err := inTime(ctx, func() ([]byte, error) {
		var b bytes.Buffer
		_, err := b.ReadFrom(io.LimitReader(r, api.MaxValueBytes+1))
		return b.Bytes(), err
	})
	if fault.As(err) != nil {
		return api.Value{}, err
	}
	if err != nil {
		return api.Value{}, fault.Wrap(fault.Usage, err, fmt.Sprintf("%s can not be read: %s.", source, ioReason(err)))
	}
	return api.NewValue(string(data)), nil
}

// confirm makes sure that the person means to destroy what. The name has to be
// given a second time: by the flag, or typed at a terminal.
func (c *cli) confirm(ctx context.Context, what, name, given string) error {
	return c.confirmWith(ctx, confirmation{
		warning: fmt.Sprintf("This deletes %s and everything in it, for ever.", safeText(what)),
		undone:  "Nothing was deleted",
		how:     fmt.Sprintf("To delete %s and everything in it", what),
	}, name, given)
}

// confirmation is what a person is told of something that he has to confirm.
type confirmation struct {
	warning string // a sentence, at a terminal
	undone  string // what did not happen without it: "Nothing was deleted"
	how     string // "To delete it", to go on with how that is confirmed
}

// confirmWith is confirm for what is no deletion.
func (c *cli) confirmWith(ctx context.Context, w confirmation, name, given string) error {
	if given == "" && isTerminal(c.streams.In) {
		typed, err := c.ask(ctx, fmt.Sprintf("%s\nType %s to go on: ", w.warning, safeText(name)))
		if err != nil {
			return err
		}
		given = typed
	}
	switch given {
	case name:
		return nil
	case "":
		return fault.Newf(fault.Usage, "%s. %s, add --confirm %s.", w.undone, w.how, name)
	default:
		return fault.Newf(fault.Usage, "%s: the name that confirms it is not %s.", w.undone, name)
	}
}
