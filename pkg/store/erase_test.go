package store_test

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/heartlock/heartlock/pkg/store"
)

// The log of a SQLite database is emptied; a reader that still needs it is not
// disturbed and keeps nobody waiting, and once it is done the log goes.
func TestTracesAreErasedUnlessAReaderNeedsThem(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		log := func() int64 {
			info, err := os.Stat(w.options.Path + "-wal")
			must(0, err)
			return info.Size()
		}
		insert := func(key string) {
			w.write(t, func(ctx context.Context, tx store.Tx) error {
				return tx.InsertSecrets(ctx, []store.Secret{secret(w.shopDev, key, "x")})
			})
		}
		insert("A")
		if w.Engine() == store.PostgreSQL {
			must(0, w.EraseTraces(t.Context()))
			return
		}
		if log() == 0 {
			t.Fatal("there is no log even before it is emptied")
		}
		must(0, w.Snapshot(t.Context(), func(ctx context.Context, q store.Queries) error {
			must(q.Secret(ctx, w.shopDev.ID, "A")) // the snapshot begins
			insert("B")
			ctx, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
			defer cancel()
			must(0, w.EraseTraces(ctx))
			if log() == 0 {
				t.Error("the log was emptied under a reader")
			}
			if _, err := q.Secret(ctx, w.shopDev.ID, "B"); err == nil {
				t.Error("the reader has lost its snapshot")
			}
			return nil
		}))
		insert("C")
		must(0, w.EraseTraces(t.Context()))
		equal(t, "bytes of the log", log(), int64(0))
		var timeout int
		must(0, w.WriterPool().QueryRowContext(t.Context(), "PRAGMA busy_timeout").Scan(&timeout))
		if timeout == 0 {
			t.Error("writers do not wait for other processes any more")
		}
	})
}
