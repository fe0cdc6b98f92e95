package store_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"modernc.org/sqlite"

	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/store"
)

// errReleased ends the transaction that holds a database, without a commit.
var errReleased = errors.New("released")

// held keeps everybody else from writing, and returns what ends that.
func (w *world) held(t *testing.T) (release func()) {
	t.Helper()
	holds, end, ended := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		err := w.Write(within(t, time.Minute), func(_ context.Context, tx store.Tx) error {
			if w.Engine() == store.PostgreSQL {
				if _, err := tx.Exec("LOCK TABLE audit_events, tokens IN EXCLUSIVE MODE"); err != nil {
					return err
				}
			}
			close(holds)
			<-end
			return errReleased
		})
		if !errors.Is(err, errReleased) {
			t.Error(fault.Detail(err))
		}
	}()
	<-holds
	return func() { close(end); <-ended }
}

// transactions counts those that append to the audit trail from now on: on
// SQLite by the commits of the one connection that writes, on PostgreSQL by the
// transaction that each row is of.
func (w *world) transactions(t *testing.T) func() int {
	t.Helper()
	if w.Engine() == store.PostgreSQL {
		return func() int { return must(w.Int("SELECT count(DISTINCT xmin::text) FROM audit_events")) }
	}
	conn, err := w.WriterPool().Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	var commits atomic.Int64
	err = conn.Raw(func(c any) error {
		c.(sqlite.HookRegisterer).RegisterCommitHook(func() int32 { commits.Add(1); return 0 })
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return func() int { return int(commits.Load()) }
}

// await waits for what another goroutine does.
func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(time.Minute); !done(); {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("not within a minute: %s", what)
		}
	}
}

// busyRecorder is a recorder that can not end its transaction before release is
// called.
func busyRecorder(t *testing.T, w *world) (r *store.Recorder, release func()) {
	t.Helper()
	r = store.NewRecorder(w.Store)
	release = w.held(t)
	r.Touch(store.Touch{TokenID: w.service.ID, At: 1})
	return r, release
}

// watched is a context that counts how often it was asked for its end: Record
// asks once while it queues and once more while it waits.
type watched struct {
	context.Context
	asked *atomic.Int64
}

func (w watched) Done() <-chan struct{} {
	w.asked.Add(1)
	return w.Context.Done()
}

// recordMany records n events at once and returns when all of them wait.
func recordMany(ctx context.Context, t *testing.T, r *store.Recorder, n int) <-chan error {
	t.Helper()
	asked := new(atomic.Int64)
	ctx = watched{ctx, asked}
	results := make(chan error, n)
	for i := range n {
		go func() {
			results <- r.Record(ctx, store.AuditEvent{At: store.Micros(i), Action: "read"})
		}()
	}
	await(t, "all events wait", func() bool { return asked.Load() == int64(2*n) })
	return results
}

func TestReadsShareACommit(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		count := w.transactions(t)
		r, release := busyRecorder(t, w)
		defer r.Close()
		const n = 300
		results := recordMany(within(t, time.Minute), t, r, n)
		select {
		case err := <-results:
			t.Fatalf("a read was answered before its event was durable (%v)", err)
		default:
		}
		release()
		for range n {
			if err := <-results; err != nil {
				t.Error(fault.Detail(err))
			}
		}
		mustInt(t, w.Queries, "SELECT count(*) FROM audit_events", n)
		if got := count(); got < 1 || got > 2 { // what came while the first one was made up is in it
			t.Errorf("%d transactions for %d events", got, n)
		}
	})
}

func TestAFailedCommitFailsEveryReadOfIt(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		w.failAudit(t)
		r, release := busyRecorder(t, w)
		const n = 50
		results := recordMany(within(t, time.Minute), t, r, n)
		release()
		for range n {
			if err := <-results; err == nil {
				t.Error("an event that was not written is reported as durable")
			}
		}
		mustInt(t, w.Queries, "SELECT count(*) FROM audit_events", 0)
		w.mendAudit(t)
		if err := r.Record(t.Context(), store.AuditEvent{Action: "read"}); err != nil {
			t.Errorf("the recorder does not go on after a failure: %v", fault.Detail(err))
		}
		r.Close()
		mustInt(t, w.Queries, "SELECT count(*) FROM audit_events", 1)
	})
}

func TestClosingWritesWhatWaits(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		r, release := busyRecorder(t, w)
		const n = 1200 // more than one batch
		results := recordMany(within(t, time.Minute), t, r, n)
		r.Touch(store.Touch{TokenID: w.service.ID, At: 5, IP: "192.0.2.5"})
		closed := make(chan struct{})
		go func() { r.Close(); close(closed) }()
		release()
		<-closed
		for range n {
			if err := <-results; err != nil {
				t.Error(fault.Detail(err))
			}
		}
		mustInt(t, w.Queries, "SELECT count(*) FROM audit_events", n)
		mustInt(t, w.Queries, "SELECT last_used_at FROM tokens WHERE name = 'ci'", 5)
	})
}

// Who reads alone waits for nobody; many wait for most of those who were seen, but
// not for ever, also while the recorder is closed.
func TestARecorderWaitsForOthers(t *testing.T) {
	t.Parallel()
	for readers, want := range map[int]int{0: 1, 1: 1, 2: 2, 16: 16, 10_000: 512} {
		if got := store.Enough(readers); got != want {
			t.Errorf("after %d readers it waits for %d, want %d", readers, got, want)
		}
	}
	for _, c := range []struct {
		n, wanted int
		closes    bool
		want      int
	}{
		{1, 1, false, 1}, {1, 300, false, 1}, {3, 2, false, 3}, {3, 300, false, 3}, {3, 300, true, 3}, {2000, 1, false, 512}, {2000, 512, true, 512},
	} {
		if got := store.Collected(c.n, c.wanted, c.closes); got != c.want {
			t.Errorf("%+v: took %d", c, got)
		}
	}
}

// An event that can not be written does no harm to those that share its commit.
func TestABadEventFailsAlone(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		r, release := busyRecorder(t, w)
		defer r.Close()
		results := recordMany(within(t, time.Minute), t, r, 20)
		if err := r.Record(within(t, time.Minute), store.AuditEvent{Action: "read", Target: "a\x00b"}); err == nil {
			t.Error("an event with a NUL byte is durable")
		}
		release()
		for range 20 {
			if err := <-results; err != nil {
				t.Error(fault.Detail(err))
			}
		}
	})
}

func TestAReadThatNobodyWaitsForEnds(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		r, release := busyRecorder(t, w)
		ctx, cancel := context.WithCancel(t.Context())
		result := recordMany(ctx, t, r, 1)
		cancel()
		if err := <-result; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		release()
		r.Close()
	})
}

// TestTwoServersNoteTheSameTokens has two recorders write the use of the same
// tokens at once. Done in different orders they would wait for each other until
// the database ends one of them.
func TestTwoServersNoteTheSameTokens(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		const tokens, rounds = 40, 15
		w.write(t, func(ctx context.Context, tx store.Tx) error {
			for i := range tokens {
				if err := tx.InsertToken(ctx, &store.Token{ID: id(500 + i), Digest: digest(500 + i), ProjectID: &w.shop.ID, Access: "read"}, nil); err != nil {
					return err
				}
			}
			return nil
		})
		var both sync.WaitGroup
		for range 2 {
			r := store.NewRecorder(w.Store)
			both.Go(func() {
				defer r.Close()
				for round := range rounds {
					for i := range tokens {
						r.Touch(store.Touch{TokenID: id(500 + i), At: store.Micros(round)})
					}
					if err := r.Record(within(t, time.Minute), store.AuditEvent{Action: fmt.Sprint(round)}); err != nil {
						t.Error(fault.Detail(err))
					}
				}
			})
		}
		both.Wait()
		mustInt(t, w.Queries, "SELECT count(*) FROM audit_events", 2*rounds)
		if w.Engine() == store.PostgreSQL {
			equal(t, "deadlocks", w.deadlocks(t), 0)
		}
	})
}

// deadlocks closes the database, so that its connections report what they have
// counted, and reads that.
func (w *world) deadlocks(t *testing.T) int {
	t.Helper()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	s := opened(t, w.options)
	await(t, "the connections have ended", func() bool {
		return must(s.Int("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")) == 0
	})
	return must(s.Int("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"))
}

// failAudit makes every append to the audit trail fail.
func (w *world) failAudit(t *testing.T) {
	t.Helper()
	statement := "CREATE RULE no_audit AS ON INSERT TO audit_events DO INSTEAD SELECT 1/0"
	if w.Engine() == store.SQLite {
		statement = "CREATE TRIGGER no_audit BEFORE INSERT ON audit_events BEGIN SELECT RAISE(ABORT, 'no audit'); END"
	}
	w.write(t, func(_ context.Context, tx store.Tx) error { _, err := tx.Exec(statement); return err })
}

func (w *world) mendAudit(t *testing.T) {
	t.Helper()
	if w.Engine() == store.SQLite {
		mustWrite(t, w.Store, "DROP TRIGGER no_audit")
		return
	}
	mustWrite(t, w.Store, "DROP RULE no_audit ON audit_events")
}
