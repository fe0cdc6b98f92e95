package store

import (
	"context"
	"database/sql"
	"time"

	"github.com/uptrace/bun"
)

// writeAttempts bounds how often a transaction is run on PostgreSQL; between the
// attempts the transaction that won has retryDelay, then twice that, and so on,
// to end before the loser takes the same locks again.
const (
	writeAttempts = 4
	retryDelay    = 20 * time.Millisecond
)

// Write runs do in a transaction and commits it if do returns nil; otherwise, or
// if do panics, nothing has happened. What do does through other means than tx
// is outside of the transaction; on SQLite a Write within a Write waits for
// itself.
//
// On SQLite the transactions run one after the other, in the order in which
// Write was called, and each has the write lock from its start: what it reads
// can not change before it writes. On PostgreSQL they run side by side at READ
// COMMITTED: lock the rows on which a decision depends. There do is called again
// if the server chose the transaction to end a deadlock, or the connection was
// lost before it began: it must not keep anything from an earlier call. After
// any other failure of a commit it is not known whether it happened.
//
// The time that ctx allows includes the waiting; a ctx without a deadline waits
// for as long as it takes.
func (s *Store) Write(ctx context.Context, do func(ctx context.Context, tx Tx) error) error {
	release, err := s.takeTurn(ctx)
	if err != nil {
		return err
	}
	defer release()
	for attempt := 1; ; attempt++ {
		err := s.writeOnce(ctx, do)
		if attempt == writeAttempts || !nothingHappened(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(time.Duration(attempt) * retryDelay):
		}
	}
}

// takeTurn waits until nobody else writes to SQLite. On PostgreSQL there is
// nothing to wait for.
func (s *Store) takeTurn(ctx context.Context) (release func(), err error) {
	if s.turn == nil {
		return func() {}, nil
	}
	if err := s.turn.Acquire(ctx, 1); err != nil {
		return nil, wrap(err)
	}
	return func() { s.turn.Release(1) }, nil
}

func (s *Store) writeOnce(ctx context.Context, do func(ctx context.Context, tx Tx) error) error {
	s.writing.getWanted(ctx)
	tx, err := s.writes.BeginTx(ctx, nil)
	if err != nil {
		return wrap(beginError{err})
	}
	within := s.within(tx)
	err = finish(tx, func() error { return within.run(ctx, do) })
	if err == nil {
		for _, f := range *within.committed {
			f()
		}
	}
	return err
}

// AfterCommit has f called once the transaction is committed, and never if it is
// not. f must be quick: others may be waiting for their turn to write.
func (tx Tx) AfterCommit(f func()) { *tx.committed = append(*tx.committed, f) }

// within is a transaction that writes.
func (s *Store) within(tx bun.Tx) Tx {
	return Tx{Queries{db: tx, engine: s.engine, prepared: s.writing, tx: tx.Tx, locks: true}, &pending{chain: &s.chain}, new([]func())}
}

// run is all that happens between the beginning and the commit.
func (tx Tx) run(ctx context.Context, do func(context.Context, Tx) error) error {
	if err := do(ctx, tx); err != nil {
		return err
	}
	return tx.flush(ctx)
}

// Snapshot runs do in a transaction that can only read and sees the database as
// it was at one moment, whatever is written meanwhile.
func (s *Store) Snapshot(ctx context.Context, do func(ctx context.Context, q Queries) error) error {
	s.prepared.getWanted(ctx)
	tx, err := s.db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true, Isolation: s.snapshotIsolation()})
	if err != nil {
		return wrap(err)
	}
	return finish(tx, func() error {
		return do(ctx, Queries{db: tx, engine: s.engine, prepared: s.prepared, tx: tx.Tx})
	})
}

// snapshotIsolation is what gives one view for several statements. SQLite knows
// no other and its driver no name for it.
func (s *Store) snapshotIsolation() sql.IsolationLevel {
	if s.engine == PostgreSQL {
		return sql.LevelRepeatableRead
	}
	return sql.LevelDefault
}

// finish commits after do, or rolls back, also if do panics.
func finish(tx bun.Tx, do func() error) error {
	done := false
	defer func() {
		if !done {
			_ = tx.Rollback()
		}
	}()
	if err := do(); err != nil {
		return wrap(err)
	}
	done = true
	return wrap(tx.Commit())
}
