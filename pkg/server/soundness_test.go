package server

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/heartlock/heartlock/pkg/config"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/store"
)

// startForSoundness runs a server over the SQLite file of a directory, until the
// returned function stops it or it ends by itself.
func startForSoundness(t *testing.T, dir string, how soundness) (ready <-chan struct{}, ended <-chan error, stop func()) {
	t.Helper()
	s, err := New(Options{
		Load: func() (*config.Server, error) { return config.LoadServer(config.Options{Dir: dir}) },
		Log:  slog.New(slog.DiscardHandler), Migrate: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	s.soundness = how
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	end, isReady := make(chan error, 1), make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { end <- s.Run(ctx, listener, func(bool, string) { close(isReady) }) }()
	t.Cleanup(cancel)
	return isReady, end, cancel
}

// spoil changes every page of a database but the first.
func spoil(t *testing.T, dir string) {
	t.Helper()
	path := filepath.Join(dir, config.DataDirName, "db.sqlite3")
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	info, err := file.Stat()
	if err != nil || info.Size() < 10*4096 {
		t.Fatalf("there is no database to spoil: %v", err)
	}
	page := make([]byte, info.Size()-4096)
	for i := range page {
		page[i] = 0x5a
	}
	if _, err := file.WriteAt(page, 4096); err != nil {
		t.Fatal(err)
	}
	// Closing it would take the locks of a server in this process away.
	t.Cleanup(func() { _ = file.Close() })
}

// spoilUnread damages an index that no start reads.
func spoilUnread(t *testing.T, dir string) {
	t.Helper()
	path := filepath.Join(dir, config.DataDirName, "db.sqlite3")
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	var page int64
	err = errors.Join(
		db.QueryRowContext(t.Context(), "SELECT rootpage FROM sqlite_schema WHERE name = 'audit_events_project'").Scan(&page),
		db.Close(),
	)
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = file.WriteAt([]byte("not a page of an index"), (page-1)*4096)
	if err := errors.Join(err, file.Close()); err != nil {
		t.Fatal(err)
	}
}

func isDamage(t *testing.T, ended <-chan error) {
	t.Helper()
	select {
	case err := <-ended:
		if f := fault.As(err); f == nil || f.Kind.ExitCode() == 0 || !errors.Is(err, store.ErrCorrupt) || f.Message != damaged(nil).Error() {
			t.Errorf("the server has ended with %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Error("the server goes on with a damaged database")
	}
}

// TestADamagedFileStopsTheServer: at the start before anybody is served, a large
// file soon after, and one that is damaged later when it is looked at again.
func TestADamagedFileStopsTheServer(t *testing.T) {
	t.Parallel()
	never, now := 24*time.Hour, 50*time.Millisecond
	for name, c := range map[string]struct {
		first, then soundness // of a start that makes the database, and of the one that is watched
		spoilFirst  bool
	}{
		"small, at the start": {first: soundness{never, 1 << 30}, then: soundness{never, 1 << 30}, spoilFirst: true},
		"large, afterwards":   {first: soundness{never, 0}, then: soundness{never, 0}, spoilFirst: true},
		"later":               {first: soundness{never, 0}, then: soundness{now, 1 << 30}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			ready, ended, stop := startForSoundness(t, dir, c.first)
			<-ready
			stop()
			if err := <-ended; err != nil {
				t.Fatal(err)
			}
			if c.spoilFirst {
				spoilUnread(t, dir)
			}
			ready, ended, _ = startForSoundness(t, dir, c.then)
			if !c.spoilFirst {
				<-ready
				spoil(t, dir)
			}
			isDamage(t, ended)
			select {
			case <-ready:
				if name == "small, at the start" {
					t.Error("it was ready")
				}
			default:
				if name != "small, at the start" {
					t.Error("it was not ready")
				}
			}
		})
	}
}
