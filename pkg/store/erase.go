package store

import (
	"context"
	"fmt"
	"time"
)

// EraseTraces sees, after something was deleted for good, that it is in none of
// the files of a SQLite database any more: what was deleted has been overwritten
// by the transaction that did it, but the pages as they were before are still in
// the write-ahead log until that is emptied. It is not part of a transaction.
// Readers that still look at the former state keep it from being done; then it is
// tried again for a moment, and failing that, whoever next calls it or closes the
// database does it.
//
// On PostgreSQL there is nothing that a client could do: VACUUM frees what was
// deleted, and later writes overwrite it.
func (s *Store) EraseTraces(ctx context.Context) error {
	if s.engine != SQLite {
		return nil
	}
	for attempt := 1; ; attempt++ {
		done, err := s.truncateLog(ctx)
		if done || err != nil || attempt == eraseAttempts {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(erasePause):
		}
	}
}

const (
	eraseAttempts = 10
	erasePause    = 50 * time.Millisecond
)

// truncateLog brings the log into the database file and empties it, if no reader
// is in the way. It does not wait for readers, because writers would with it.
func (s *Store) truncateLog(ctx context.Context) (done bool, err error) {
	release, err := s.takeTurn(ctx)
	if err != nil {
		return false, err
	}
	defer release()
	conn, err := s.writer.Conn(ctx)
	if err != nil {
		return false, wrap(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := conn.ExecContext(ctx, "PRAGMA busy_timeout = 0"); err != nil {
		return false, wrap(err)
	}
	defer func() {
		_, _ = conn.ExecContext(context.WithoutCancel(ctx), fmt.Sprintf("PRAGMA busy_timeout = %d", s.busy.Milliseconds()))
	}()
	var busy, frames, moved int
	err = conn.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &frames, &moved)
	if isBusy(err) {
		return false, nil
	}
	return busy == 0, wrap(err)
}
