package vault_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/store"
	"github.com/heartlock/heartlock/pkg/vault"
)

// whileSealing runs do beside a transaction that seals, and inside once do waits
// for it. do must not end before the transaction does.
func (r rotated) whileSealing(t *testing.T, do func() error, inside func(ctx context.Context, tx store.Tx)) {
	t.Helper()
	done := make(chan error, 1)
	err := r.store.Write(t.Context(), func(ctx context.Context, tx store.Tx) error {
		if _, err := tx.SealingKey(ctx); err != nil {
			return err
		}
		go func() { done <- do() }()
		for r.waiting(t) == 0 {
			select {
			case err := <-done:
				t.Errorf("it did not wait for the transaction: %v", err)
				done <- err
				return nil
			case <-time.After(5 * time.Millisecond):
			}
		}
		inside(ctx, tx)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// waiting counts the sessions of PostgreSQL that wait for a lock.
func (r rotated) waiting(t *testing.T) (n int) {
	t.Helper()
	err := r.sql.QueryRowContext(t.Context(), `
SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid WHERE NOT l.granted AND a.datname = current_database()`).Scan(&n)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// SQLite has one writer at a time: there is nothing to wait for.
func eachRotatedOnPostgres(t *testing.T, test func(t *testing.T, r rotated)) {
	t.Helper()
	eachRotated(t, func(t *testing.T, r rotated) {
		if r.options.Engine == store.PostgreSQL {
			test(t, r)
		}
	})
}

func TestTheSealingKeyDoesNotChangeUnderAWriter(t *testing.T) {
	t.Parallel()
	eachRotatedOnPostgres(t, func(t *testing.T, r rotated) {
		if err := r.UseRing(t.Context(), ring(t, r.former, r.renewed)); err != nil {
			t.Fatal(err)
		}
		r.whileSealing(t, func() error { return r.BeginRotation(t.Context(), vault.Local(), r.renewed.Fingerprint()) },
			func(context.Context, store.Tx) {})
	})
}

// An edit moves the former token of a secret to its versions. One that read the
// secret before the rotation came by, and ends after it, must not leave a token
// behind under the former key.
func TestAnEditThatOutlastsThePassLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	eachRotatedOnPostgres(t, func(t *testing.T, r rotated) {
		r.begin(t)
		moved := must(r.store.SealedAfter(t.Context(), "secrets", nil, "", 1))[0]
		r.whileSealing(t, func() error {
			_, err := r.Reseal(t.Context(), vault.Local(), vault.ResealOptions{})
			return err
		}, func(ctx context.Context, tx store.Tx) {
			id := moved.Key[0].(int64)
			old := store.Secret{ID: id, Version: 2, Key: "KEY_0", Sealed: &moved.Sealed, KeyFingerprint: moved.KeyFingerprint}
			replaced := old
			now := must(tx.SealedAfter(ctx, "secrets", []any{id - 1}, "", 1))[0]
			replaced.Version, replaced.Sealed, replaced.KeyFingerprint = 3, &now.Sealed, now.KeyFingerprint
			if err := tx.ReplaceSecrets(ctx, []store.SecretChange{{Old: old, New: replaced}}); err != nil {
				t.Error(err)
			}
		})
		equal(t, "under the former key", r.under(t, r.former), int64(0))
	})
}

// A batch replaces only what is still as it was read.
func TestABatchLeavesWhatHasChanged(t *testing.T) {
	t.Parallel()
	eachRotated(t, func(t *testing.T, r rotated) {
		r.begin(t)
		for _, table := range store.SealedTables() {
			rows := must(r.store.SealedAfter(t.Context(), table, nil, "", 100))
			if len(rows) == 0 {
				continue
			}
			batch := make([]store.Resealed, len(rows))
			for i, row := range rows {
				batch[i] = store.Resealed{SealedRow: row, Token: "a new token"}
			}
			batch[0].Sealed = "what somebody else has replaced"
			var replaced int64
			err := r.store.Write(t.Context(), func(ctx context.Context, tx store.Tx) (err error) {
				replaced, err = tx.ReplaceSealed(ctx, table, r.renewed.Fingerprint(), batch)
				return err
			})
			if err != nil {
				t.Fatal(fault.Detail(err))
			}
			equal(t, table, replaced, int64(len(rows)-1))
			now := must(r.store.SealedAfter(t.Context(), table, nil, "", 100))
			equal(t, "the changed one", now[0], rows[0])
			for _, row := range now[1:] {
				equal(t, "the others", row.Sealed, "a new token")
				equal(t, "their key", row.KeyFingerprint, r.renewed.Fingerprint())
			}
		}
	})
}

// Rows that a client is changing are not waited for: a batch that waits while it
// holds others could be part of a deadlock.
func TestABatchDoesNotWaitForRows(t *testing.T) {
	t.Parallel()
	eachRotatedOnPostgres(t, func(t *testing.T, r rotated) {
		r.begin(t)
		held := must(r.sql.BeginTx(t.Context(), nil))
		if _, err := held.ExecContext(t.Context(), "UPDATE secrets SET comment = 'held' WHERE key = 'KEY_1'"); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		released := false
		_, err := r.Reseal(ctx, vault.Local(), vault.ResealOptions{Progress: func(done, _ int64) {
			if !released && done == sealedByFill-1 { // all but the one that is held
				released = true
				if err := held.Rollback(); err != nil {
					t.Error(err)
				}
			}
		}})
		if err != nil || !released {
			t.Fatal(released, err)
		}
		equal(t, "under the former key", r.under(t, r.former), int64(0))
	})
}

// A command that verifies or finishes what another one has undone meanwhile must
// not write its own view over it.
func TestWhatWasUndoneIsNotVerifiedOrFinished(t *testing.T) {
	t.Parallel()
	eachRotated(t, func(t *testing.T, r rotated) {
		r.begin(t)
		r.reseal(t)
		undone := false
		_, err := r.VerifyRotation(t.Context(), vault.Local(), func(int64, int64) {
			if !undone {
				undone = true
				if err := r.UndoRotation(t.Context(), vault.Local()); err != nil {
					t.Error(err)
				}
			}
		})
		isKind(t, "verifying", err, fault.Conflict)
		for _, undo := range []bool{false, true} {
			_, err = r.FinishRotation(t.Context(), vault.Local(), undo, 1)
			isKind(t, "finishing", err, fault.Conflict)
		}
		equal(t, "retired keys", r.count(t, "encryption_keys WHERE retired_at IS NOT NULL"), 0)
		r.readable(t)
	})
}

// A session that has left a transaction open keeps the key from being changed,
// but nobody who writes waits behind the attempt for long.
func TestAnOpenTransactionDoesNotStallWriters(t *testing.T) {
	t.Parallel()
	eachRotatedOnPostgres(t, func(t *testing.T, r rotated) {
		if err := r.UseRing(t.Context(), ring(t, r.former, r.renewed)); err != nil {
			t.Fatal(err)
		}
		held := must(r.sql.BeginTx(t.Context(), nil))
		if _, err := held.ExecContext(t.Context(), "SELECT 1 FROM encryption_keys FOR SHARE"); err != nil {
			t.Fatal(err)
		}
		begun := make(chan error, 1)
		go func() { begun <- r.BeginRotation(t.Context(), vault.Local(), r.renewed.Fingerprint()) }()
		for i := range 20 { // each would wait for ten seconds behind a lock that is waited for
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			value := api.NewValue(fmt.Sprint(i))
			_, _, err := r.PutSecret(ctx, r.ann, in(development, "WRITER"), api.PutSecret{Value: &value}, vault.Match{})
			cancel()
			if err != nil {
				t.Fatal(fault.Detail(err))
			}
		}
		if err := held.Rollback(); err != nil {
			t.Fatal(err)
		}
		if err := <-begun; err != nil {
			t.Fatal(err)
		}
	})
}

func TestTwoCommandsDoNotWorkAgainstEachOther(t *testing.T) {
	t.Parallel()
	eachRotated(t, func(t *testing.T, r rotated) {
		r.begin(t)
		undone := false
		_, err := r.Reseal(t.Context(), vault.Local(), vault.ResealOptions{Batch: 2, Progress: func(int64, int64) {
			if !undone {
				undone = true
				if err := r.UndoRotation(t.Context(), vault.Local()); err != nil {
					t.Error(err)
				}
			}
		}})
		isKind(t, "going on with what was undone", err, fault.Conflict)
		r.reseal(t)
		equal(t, "under the new key", r.under(t, r.renewed), int64(0))
		r.readable(t)
	})
}

// The fingerprint beside a token is a claim; verification opens the token.
func TestVerificationBelievesNoFingerprint(t *testing.T) {
	t.Parallel()
	eachRotated(t, func(t *testing.T, r rotated) {
		r.begin(t)
		r.exec(t, "UPDATE secrets SET key_fingerprint = ? WHERE key = 'KEY_2'", r.renewed.Fingerprint())
		r.reseal(t)
		seen := must(r.VerifyRotation(t.Context(), vault.Local(), nil))
		equal(t, "seen", seen, vault.Verification{Opened: sealedByFill - 1, Damaged: 1})
		isKind(t, "finishing", second(r.FinishRotation(t.Context(), vault.Local(), false, 0)), fault.Conflict)
	})
}
