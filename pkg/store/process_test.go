package store_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	osexec "os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/store"
)

// The tests of several processes start the test binary again and tell it by
// this variable what to do instead of testing.
const childVariable = "HEARTLOCK_TEST_STORE_CHILD"

// childTask is what a child process is told. It prints one line when it is
// ready, waits for the end of its input, does its work, and prints one line.
type childTask struct {
	Role    string // "migrate", "stop in step 2", "umask 000" or "look for a lock"
	Options store.Options
}

func TestMain(m *testing.M) {
	text := os.Getenv(childVariable)
	if text == "" {
		os.Exit(m.Run())
	}
	var task childTask
	err := json.Unmarshal([]byte(text), &task)
	if err == nil {
		err = task.run()
	}
	if err != nil {
		fmt.Println("failed:", fault.Detail(err))
		os.Exit(1)
	}
}

func (task childTask) run() error {
	if task.Role == "umask 000" {
		syscall.Umask(0)
		return modesOfNewFiles(task.Options)
	}
	if task.Role == "look for a lock" {
		return lookForALock(task.Options.Path)
	}
	fmt.Println("ready")
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		return err
	}
	s, err := store.Open(context.Background(), task.Options)
	if err != nil {
		return err
	}
	if task.Role == "stop in step 2" {
		s.OnStep(func(version int) {
			if version == 2 {
				fmt.Println("in step 2")
				select {} // until killed
			}
		})
	}
	done, err := s.Migrate(context.Background())
	if err != nil {
		return err
	}
	fmt.Println("applied", len(done))
	return s.Close()
}

// modesOfNewFiles makes a database and lists everything in its folder that
// others than the owner may use, while the database is open.
func modesOfNewFiles(o store.Options) error {
	s, err := store.Open(context.Background(), o)
	if err != nil {
		return err
	}
	if _, err := s.Migrate(context.Background()); err != nil {
		return err
	}
	if err := s.Ping(context.Background()); err != nil {
		return err
	}
	root := filepath.Dir(o.Path)
	err = filepath.WalkDir(root, func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			fmt.Printf("%04o %s\n", info.Mode().Perm(), filepath.Base(path))
		}
		return err
	})
	if err != nil {
		return err
	}
	return s.Close()
}

// child is a running child process.
type child struct {
	cmd *osexec.Cmd
	out *bufio.Reader
}

// startChild starts a child with input as its standard input.
func startChild(t *testing.T, task childTask, input *os.File) *child {
	t.Helper()
	text, err := json.Marshal(task)
	if err != nil {
		t.Fatal(err)
	}
	cmd := osexec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childVariable+"="+string(text))
	cmd.Stdin, cmd.Stderr = input, os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return &child{cmd, bufio.NewReader(out)}
}

// line is the next line that the child prints.
func (c *child) line(t *testing.T) string {
	t.Helper()
	line, err := c.out.ReadString('\n')
	if err != nil {
		t.Fatalf("a child printed %q, then %v", line, err)
	}
	return strings.TrimSpace(line)
}

// gate is an input for children that ends for all of them at once.
func gate(t *testing.T) (input *os.File, open func()) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close(); _ = w.Close() })
	return r, func() { _ = w.Close() }
}
