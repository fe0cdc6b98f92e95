package store_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/store"
)

func TestWriteIsAllOrNothing(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, o store.Options) {
		s := migrated(t, o)
		stop := errors.New("stop")
		err := s.Write(t.Context(), func(ctx context.Context, tx store.Tx) error {
			if err := exec("UPDATE counters SET n = 1")(ctx, tx); err != nil {
				return err
			}
			mustInt(t, tx.Queries, "SELECT sum(n) FROM counters", 2)
			return stop
		})
		if !errors.Is(err, stop) {
			t.Errorf("%v", err)
		}
		func() {
			defer func() {
				if recover() == nil {
					t.Error("the panic was swallowed")
				}
			}()
			_ = s.Write(t.Context(), func(ctx context.Context, tx store.Tx) error {
				_ = exec("UPDATE counters SET n = 1")(ctx, tx)
				panic("on purpose")
			})
		}()
		mustInt(t, s.Queries, "SELECT sum(n) FROM counters", 100)
		mustWrite(t, s, "UPDATE counters SET n = 3")
		mustInt(t, s.Queries, "SELECT sum(n) FROM counters", 6)
	})
}

func TestSnapshotSeesOneMoment(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, o store.Options) {
		s := migrated(t, o)
		err := s.Snapshot(t.Context(), func(_ context.Context, q store.Queries) error {
			mustInt(t, q, "SELECT n FROM counters WHERE id = 1", 0)
			mustWrite(t, s, "UPDATE counters SET n = 8 WHERE id = 1")
			mustInt(t, q, "SELECT n FROM counters WHERE id = 1", 0)
			mustInt(t, s.Queries, "SELECT n FROM counters WHERE id = 1", 8)
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		err = s.Snapshot(t.Context(), func(ctx context.Context, q store.Queries) error {
			return exec("UPDATE counters SET n = 9")(ctx, store.Tx{Queries: q})
		})
		if !errors.Is(err, fault.Unavailable) {
			t.Errorf("a write in a snapshot: %v", err)
		}
	})
}

// TestSQLiteWritersQueueUp has many goroutines, through two stores as two
// processes would, read a number and write the next one.
func TestSQLiteWritersQueueUp(t *testing.T) {
	t.Parallel()
	o := freshDatabase(t, store.SQLite)
	stores := []*store.Store{migrated(t, o), opened(t, o)}
	const writers, rounds = 64, 5
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			s := stores[i%2]
			for range rounds {
				err := s.Write(t.Context(), func(ctx context.Context, tx store.Tx) error {
					n, err := tx.Int("SELECT n FROM counters WHERE id = 1")
					if err != nil {
						return err
					}
					return exec("UPDATE counters SET n = ? WHERE id = 1", n+1)(ctx, tx)
				})
				if err != nil {
					t.Error(fault.Detail(err))
				}
				if _, err := s.Int("SELECT n FROM counters WHERE id = 1"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	mustInt(t, stores[0].Queries, "SELECT n FROM counters WHERE id = 1", writers*rounds)
}

func TestWaitingForATurnEndsWithTheContext(t *testing.T) {
	t.Parallel()
	o := freshDatabase(t, store.SQLite)
	o.BusyTimeout = 50 * time.Millisecond
	s, other := migrated(t, o), opened(t, o)
	err := s.Write(t.Context(), func(context.Context, store.Tx) error {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := s.Write(ctx, exec("UPDATE counters SET n = 1")); !errors.Is(err, context.Canceled) {
			t.Errorf("a cancelled wait: %v", err)
		}
		ctx, cancel = context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		err := s.Write(ctx, exec("UPDATE counters SET n = 1"))
		if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, fault.Unavailable) {
			t.Errorf("a wait that took too long: %v", err)
		}
		err = other.Write(t.Context(), exec("UPDATE counters SET n = 1"))
		if f := fault.As(err); f == nil || f.Kind != fault.Unavailable || f.RetryAfter == 0 {
			t.Errorf("another process that waited too long: %v", err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	mustInt(t, s.Queries, "SELECT sum(n) FROM counters", 100)
}

// TestDeadlocksAreResolved makes two transactions lock two rows in opposite
// order; PostgreSQL ends one of them, and it must be tried again.
func TestDeadlocksAreResolved(t *testing.T) {
	t.Parallel()
	s := migrated(t, freshDatabase(t, store.PostgreSQL))
	var (
		both, done sync.WaitGroup
		calls      [2]int
	)
	both.Add(2)
	for i := range 2 {
		done.Go(func() {
			err := s.Write(within(t, 30*time.Second), func(ctx context.Context, tx store.Tx) error {
				calls[i]++
				if err := exec("UPDATE counters SET n = n + 1 WHERE id = ?", 1+i)(ctx, tx); err != nil {
					return err
				}
				if calls[i] == 1 { // both have their first row now
					both.Done()
					both.Wait()
				}
				return exec("UPDATE counters SET n = n + 1 WHERE id = ?", 2-i)(ctx, tx)
			})
			if err != nil {
				t.Error(fault.Detail(err))
			}
		})
	}
	done.Wait()
	if calls[0]+calls[1] < 3 { // more if the loser was early
		t.Errorf("the transactions ran %d times: there was no deadlock", calls[0]+calls[1])
	}
	mustInt(t, s.Queries, "SELECT n FROM counters WHERE id = 1", 2)
	mustInt(t, s.Queries, "SELECT n FROM counters WHERE id = 2", 102)
}
