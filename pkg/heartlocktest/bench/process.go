//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"
)

// process is a child: one of the two servers, or the load.
type process struct {
	cmd     *exec.Cmd
	address string // of a server
	input   io.WriteCloser
	output  *bufio.Reader
	stderr  bytes.Buffer // read only after the process has ended
}

// plainEnviron is the environment of every child: no setting of the person who
// runs the program, such as GOGC, changes what is measured.
func plainEnviron() []string {
	return []string{"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent", "TMPDIR=" + os.TempDir()}
}

// launch starts a child whose input and output are pipes to this process.
func launch(ctx context.Context, dir string, environ []string, name string, args ...string) (*process, error) {
	p := &process{cmd: exec.CommandContext(ctx, name, args...)}
	p.cmd.Dir, p.cmd.Env, p.cmd.Stderr = dir, append(plainEnviron(), environ...), &p.stderr
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // an interrupt at the terminal is not for it
	p.cmd.Cancel = func() error { return p.cmd.Process.Signal(syscall.SIGTERM) }
	p.cmd.WaitDelay = 10 * time.Second
	var err error
	if p.input, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	output, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.output = bufio.NewReader(output)
	return p, p.cmd.Start()
}

// pid is the id of the process.
func (p *process) pid() int { return p.cmd.Process.Pid }

// stop asks the process to end and waits until it has.
func (p *process) stop() error {
	_ = p.input.Close()
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended already, which Wait reports
	err := p.cmd.Wait()
	var ended *exec.ExitError
	if errors.As(err, &ended) && !ended.Exited() {
		return nil // by the signal
	}
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", filepath.Base(p.cmd.Path), err, p.stderr.Bytes())
	}
	return nil
}

// launchSelf starts this program in another role.
func launchSelf(ctx context.Context, dir, role string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return launch(ctx, dir, nil, self, role)
}

// launchFloor starts the floor beside a site and waits until it serves.
func launchFloor(ctx context.Context, s *site) (*process, error) {
	p, err := launchSelf(ctx, s.dir, roleFloor)
	if err != nil {
		return nil, err
	}
	if err := gob.NewEncoder(p.input).Encode(s.floorSetup()); err != nil {
		return nil, errors.Join(err, p.stop())
	}
	line, err := p.output.ReadString('\n')
	if err != nil {
		return nil, errors.Join(fmt.Errorf("the floor did not start: %w", err), p.stop())
	}
	p.address = strings.TrimSpace(line)
	return p, nil
}

// launchHeartlock starts the server of a site and waits until it is ready.
func launchHeartlock(ctx context.Context, s *site, binary string) (*process, error) {
	logName := filepath.Join(s.dir, filepath.Base(binary)+".log")
	log, err := os.Create(logName)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	cmd := exec.CommandContext(ctx, binary, "serve", "--listen", "127.0.0.1:0")
	p := &process{cmd: cmd, input: nopCloser{}}
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = s.dir, append(plainEnviron(), s.environ...), log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p.address, err = readyAddress(ctx, logName)
	if err != nil {
		return nil, errors.Join(err, p.stop())
	}
	return p, nil
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

// readyAddress waits until the server's log tells where it listens.
func readyAddress(ctx context.Context, logName string) (string, error) {
	ready := regexp.MustCompile(`"msg":"ready".*"listen":"([^"]+)"`)
	deadline := time.Now().Add(time.Minute)
	for {
		text, err := os.ReadFile(logName)
		if err != nil {
			return "", err
		}
		if found := ready.FindSubmatch(text); found != nil {
			return string(found[1]), nil
		}
		if ctx.Err() != nil || time.Now().After(deadline) {
			return "", fmt.Errorf("the server is not ready:\n%s", text)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// load is the process that makes the requests.
type load struct {
	*process
	jobs     *gob.Encoder
	outcomes *gob.Decoder
}

func launchLoad(ctx context.Context, dir string) (*load, error) {
	p, err := launchSelf(ctx, dir, roleLoad)
	if err != nil {
		return nil, err
	}
	return &load{process: p, jobs: gob.NewEncoder(p.input), outcomes: gob.NewDecoder(p.output)}, nil
}

// do has a job done.
func (l *load) do(j job) (outcome, error) {
	var o outcome
	if err := l.jobs.Encode(j); err != nil {
		return o, err
	}
	if err := l.outcomes.Decode(&o); err != nil {
		return o, fmt.Errorf("the load process has ended: %w", err)
	}
	if o.Error != "" {
		return o, errors.New(o.Error)
	}
	return o, nil
}

// build makes the server's binary as it is released, in dir.
func build(ctx context.Context, dir string) (string, error) {
	return buildWith(ctx, dir, "heartlock", "")
}

// buildUnrecorded makes one that writes no audit trail of reads.
func buildUnrecorded(ctx context.Context, dir string) (string, error) {
	return buildWith(ctx, dir, "heartlock-unrecorded", "unrecorded")
}

func buildWith(ctx context.Context, dir, name, tags string) (string, error) {
	binary := filepath.Join(dir, name)
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-tags", tags, "-ldflags", "-s -w", "-o", binary, "github.com/heartlock/heartlock")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return binary, nil
}
