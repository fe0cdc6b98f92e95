package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"time"

	"github.com/heartlock/heartlock/migrations"
	"github.com/heartlock/heartlock/pkg/fault"
)

// keepSnapshots is how many copies of the file from before migrations are kept.
const keepSnapshots = 2

// snapshotName is what a copy is called: the name of the file, the step that
// came after it, and when it was made.
var snapshotName = regexp.MustCompile(`\.before-\d{4}-(\d{8}T\d{6}Z)$`)

// keepCopy copies the SQLite file beside itself, as it is before the first of
// the pending steps, because a step that turns out wrong can not always be taken
// back. It is called in the transaction of the step, which has changed nothing
// yet: another connection sees the state before it, and no other process can
// write. A database that holds nothing, is in memory, or is PostgreSQL, whose
// operators have their own means, is not copied.
func (s *Store) keepCopy(ctx context.Context, step migrations.Migration) error {
	if s.engine != SQLite || step.Version == 1 || s.readers == s.writer {
		return nil
	}
	empty, err := s.HoldsNothing(ctx)
	if err != nil || empty {
		return err
	}
	var path string
	if err := s.readers.QueryRowContext(ctx, "SELECT file FROM pragma_database_list WHERE name = 'main'").Scan(&path); err != nil {
		return wrap(err)
	}
	name := fmt.Sprintf("%s.before-%04d-%s", path, step.Version, time.Now().UTC().Format("20060102T150405Z"))
	if err := s.copyTo(ctx, path+".before.part", name); err != nil {
		return fault.Wrap(fault.Unavailable, err, fmt.Sprintf(
			"The database was not migrated, because no copy of it could be made before: %s can not be written. See that there is room and that the folder is writable, and try again.", name))
	}
	removeOldCopies(path, filepath.Base(name))
	return nil
}

// copyTo writes a copy that is complete and durable when it has its name. Until
// then it is part, which is the same each time: so a process that is killed at
// every start, because it takes too long, does not fill the disk.
func (s *Store) copyTo(ctx context.Context, part, name string) error {
	file, err := os.OpenFile(part, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600) // SQLite takes an empty file, and keeps its mode
	if err != nil {
		return err
	}
	if err = file.Close(); err == nil {
		err = s.vacuumInto(ctx, part)
	}
	if err == nil {
		err = syncPath(part)
	}
	if err == nil {
		err = os.Rename(part, name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(part))
	}
	if runtime.GOOS == "windows" {
		return nil // it has no way to make a name durable
	}
	return syncPath(filepath.Dir(name))
}

// vacuumInto runs on a connection that reads, which is allowed to write for that
// long.
func (s *Store) vacuumInto(ctx context.Context, path string) error {
	conn, err := s.readers.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if _, err := conn.ExecContext(ctx, "PRAGMA query_only = 0"); err != nil {
		return err
	}
	_, err = conn.ExecContext(ctx, "VACUUM INTO ?", path)
	_, restored := conn.ExecContext(context.WithoutCancel(ctx), "PRAGMA query_only = 1")
	return errors.Join(err, restored)
}

func syncPath(path string) error {
	file, err := os.OpenFile(path, os.O_RDONLY, 0)
	if err != nil {
		return err
	}
	return errors.Join(file.Sync(), file.Close())
}

// removeOldCopies keeps the one that was just made, whatever the clock says, and
// those that were made last, whatever step came after them: steps may have been
// taken back. One that can not be removed is no reason not to
// migrate.
func removeOldCopies(path, just string) {
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return
	}
	base := filepath.Base(path)
	made := map[string]string{} // when each copy was made
	for _, e := range entries {
		at := snapshotName.FindStringSubmatchIndex(e.Name())
		if at != nil && e.Name() != just && e.Name()[:at[0]] == base && e.Type().IsRegular() {
			made[e.Name()] = e.Name()[at[2]:at[3]]
		}
	}
	newest := slices.SortedFunc(maps.Keys(made), func(a, b string) int {
		return cmp.Or(cmp.Compare(made[b], made[a]), cmp.Compare(b, a))
	})
	for _, name := range newest[min(keepSnapshots-1, len(newest)):] {
		_ = os.Remove(filepath.Join(filepath.Dir(path), name))
	}
}
