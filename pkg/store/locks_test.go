package store_test

import (
	"fmt"
	"os"
	"syscall"
	"testing"

	"github.com/heartlock/heartlock/pkg/store"
)

// TestALiveDatabaseIsSeenToBeInUse opens a database twice in this process, as a
// server does at the end of its first run, and has another process look whether
// it is in use. To whom it is not, the log is a left-over: SQLite deletes it when
// the last connection closes, and with it goes what a live server has
// acknowledged. A backup with the sqlite3 program is such a process.
func TestALiveDatabaseIsSeenToBeInUse(t *testing.T) {
	t.Parallel()
	o := freshDatabase(t, store.SQLite)
	first := migrated(t, o)
	second := migrated(t, o)
	seen := func(want string) {
		t.Helper()
		input, _ := gate(t)
		if got := startChild(t, childTask{"look for a lock", o}, input).line(t); got != want {
			t.Errorf("another process finds the database %s, want %s", got, want)
		}
	}
	seen("in use")
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	seen("in use")
	mustWrite(t, second, "INSERT INTO parents VALUES (1, 'second')")
	opened(t, o)
	seen("in use")
}

// lookForALock prints whether another process holds the lock that every open
// connection to a database in WAL mode has: that of readers on the file itself
// (https://sqlite.org/fileformat2.html, section 1.1; os_unix.c, SHARED_FIRST).
func lookForALock(path string) error {
	const pendingByte, sharedSize = 0x40000000, 510
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	lock := syscall.Flock_t{Type: syscall.F_WRLCK, Start: pendingByte + 2, Len: sharedSize}
	if err := syscall.FcntlFlock(f.Fd(), syscall.F_GETLK, &lock); err != nil {
		return err
	}
	if lock.Type == syscall.F_UNLCK {
		fmt.Println("not in use")
	} else {
		fmt.Println("in use")
	}
	return nil
}
