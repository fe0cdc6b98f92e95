package mail

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/heartlock/heartlock/pkg/fault"
)

// letterBox is a Sender and Connection in one, for what needs no connection.
type letterBox struct {
	about About
	take  func(Letter) error
}

func (b *letterBox) Open(context.Context, func(string)) (Connection, error) { return b, nil }
func (b *letterBox) About() About                                           { return b.about }
func (b *letterBox) Budget() time.Duration                                  { return 10 * time.Second }
func (b *letterBox) Send(_ context.Context, l Letter) error                 { return b.take(l) }
func (b *letterBox) Usable() bool                                           { return true }
func (b *letterBox) Close()                                                 {}

// NewDummy makes a sender that drops what it is given.
func NewDummy() Sender {
	return &letterBox{about: About{Backend: "dummy"}, take: func(Letter) error { return nil }}
}

// NewConsole makes a sender for development: it writes the text part of letters,
// links included, to w.
func NewConsole(w io.Writer) Sender {
	var mu sync.Mutex
	return &letterBox{about: About{Backend: "console"}, take: func(l Letter) error {
		mu.Lock()
		defer mu.Unlock()
		_, err := fmt.Fprintf(w, "\n----- mail -----\nTo: %s\nSubject: %s\n\n%s----------------\n\n", l.To, l.Subject, l.Text)
		if err != nil {
			return fault.New(fault.Unavailable, "The mail can not be written to the console.")
		}
		return nil
	}}
}

// NewDirectory makes a sender that writes each letter into a file of its own,
// which only the server's user can read. The directory is made when it is needed.
func NewDirectory(dir string) Sender {
	return &letterBox{about: About{Backend: "filebased", Server: dir}, take: func(l Letter) error {
		text, err := l.encode()
		if err != nil {
			return err
		}
		return writeLetter(dir, l, text)
	}}
}

// writeLetter lets a file appear under its name only once it is whole.
func writeLetter(dir string, l Letter, text []byte) (err error) {
	defer func() {
		if err != nil {
			err = fault.Wrap(fault.Unavailable, err, "The mail can not be written to the directory "+dir+".")
		}
	}()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".mail-*") // mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), filepath.Join(dir, l.Date.Format("20060102T150405Z")+"-"+filepath.Base(l.ID)+".eml"))
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}

// mostKept is how many letters a Memory keeps.
const mostKept = 1000

// Memory is a sender that keeps the newest letters in memory.
type Memory struct {
	letterBox
	mu      sync.Mutex
	letters []Letter
}

// NewMemory makes an empty Memory.
func NewMemory() *Memory {
	m := new(Memory)
	m.letterBox = letterBox{about: About{Backend: "locmem"}, take: func(l Letter) error {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.letters = append(m.letters[max(0, len(m.letters)+1-mostKept):], l)
		return nil
	}}
	return m
}

// Letters are those that it keeps, the oldest first.
func (m *Memory) Letters() []Letter {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]Letter{}, m.letters...)
}
