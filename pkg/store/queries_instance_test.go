package store_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/store"
)

func TestOnboardingIsClosedOnce(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		if at := must(w.OnboardedAt(t.Context())); at != nil {
			t.Fatalf("closed at %d before it was", *at)
		}
		const tries = 20
		results := make(chan error, tries)
		start := make(chan struct{})
		for i := range tries {
			go func() {
				<-start
				results <- w.Write(within(t, time.Minute), func(ctx context.Context, tx store.Tx) error {
					return tx.CloseOnboarding(ctx, store.Micros(100+i))
				})
			}()
		}
		close(start)
		won := 0
		for range tries {
			switch err := <-results; {
			case err == nil:
				won++
			case !errors.Is(err, fault.Conflict):
				t.Error(fault.Detail(err))
			}
		}
		equal(t, "winners", won, 1)
		if at := must(w.OnboardedAt(t.Context())); at == nil || *at < 100 {
			t.Error("not closed")
		}
	})
}

func TestEncryptionKeysAreListed(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		equal(t, "at first", must(w.EncryptionKeys(t.Context())), []store.EncryptionKey(nil))
		older := store.EncryptionKey{Fingerprint: "zz", CheckToken: "t1", CreatedAt: 1}
		newer := store.EncryptionKey{Fingerprint: "aa", CheckToken: "t2", CreatedAt: 2}
		w.write(t, func(ctx context.Context, tx store.Tx) error {
			return errors.Join(tx.InsertEncryptionKey(ctx, &newer), tx.InsertEncryptionKey(ctx, &older))
		})
		equal(t, "oldest first", must(w.EncryptionKeys(t.Context())), []store.EncryptionKey{older, newer})
		w.refused(t, fault.Conflict, func(ctx context.Context, tx store.Tx) error { return tx.InsertEncryptionKey(ctx, &older) })
	})
}

func TestHasSealedSeesEverythingThatAKeyHasSealed(t *testing.T) {
	t.Parallel()
	for what, put := range map[string]func(w *world) func(context.Context, store.Tx) error{
		"a key": func(*world) func(context.Context, store.Tx) error {
			return func(ctx context.Context, tx store.Tx) error {
				return tx.InsertEncryptionKey(ctx, &store.EncryptionKey{Fingerprint: "f"})
			}
		},
		"a secret": func(w *world) func(context.Context, store.Tx) error {
			return func(ctx context.Context, tx store.Tx) error {
				return tx.InsertSecrets(ctx, []store.Secret{secret(w.shopDev, "A", "x")})
			}
		},
		"a remembered answer": func(*world) func(context.Context, store.Tx) error {
			return func(ctx context.Context, tx store.Tx) error {
				return tx.InsertIdempotencyKey(ctx, &store.IdempotencyKey{Owner: "o", Key: "k", RequestDigest: digest(1), Sealed: "x"})
			}
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			eachWorld(t, func(t *testing.T, w *world) {
				equal(t, "before", must(w.HasSealed(t.Context())), false)
				w.write(t, put(w))
				equal(t, "after", must(w.HasSealed(t.Context())), true)
			})
		})
	}
}

// TestHasSealedSeesFormerVersions: a secret that is deleted still has versions
// that its key opens.
func TestHasSealedSeesFormerVersions(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		w.write(t, func(ctx context.Context, tx store.Tx) error {
			return tx.InsertSecrets(ctx, []store.Secret{secret(w.shopDev, "A", "x")})
		})
		w.replace(t, w.shopDev, "A", remove)
		equal(t, "after the deletion", must(w.HasSealed(t.Context())), true)
	})
}

func TestIdempotencyKeysAreTheirOwners(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		row := func(owner, key string, at store.Micros) store.IdempotencyKey {
			return store.IdempotencyKey{Owner: owner, Key: key, RequestDigest: digest(1), Sealed: "s" + owner, KeyFingerprint: "f", CreatedAt: at}
		}
		a, b, c := row("ann", "k", 10), row("bob", "k", 20), row("ann", "k2", 30)
		w.write(t, func(ctx context.Context, tx store.Tx) error {
			return errors.Join(tx.InsertIdempotencyKey(ctx, &a), tx.InsertIdempotencyKey(ctx, &b), tx.InsertIdempotencyKey(ctx, &c))
		})
		w.refused(t, fault.Conflict, func(ctx context.Context, tx store.Tx) error { return tx.InsertIdempotencyKey(ctx, &a) })
		equal(t, "ann's", *must(w.IdempotencyKey(ctx, "ann", "k")), a)
		equal(t, "bob's", *must(w.IdempotencyKey(ctx, "bob", "k")), b)
		_, err := w.IdempotencyKey(ctx, "bob", "k2")
		isKind(t, "another's", err, fault.NotFound)
		w.write(t, func(ctx context.Context, tx store.Tx) error { return tx.DeleteIdempotencyKeys(ctx, 20) })
		_, err = w.IdempotencyKey(ctx, "ann", "k")
		isKind(t, "an old one", err, fault.NotFound)
		equal(t, "one at the bound stays", must(w.IdempotencyKey(ctx, "bob", "k")).Owner, "bob")
		w.write(t, func(ctx context.Context, tx store.Tx) error { return tx.DeleteIdempotencyKey(ctx, "ann", "k2") })
		mustInt(t, w.Queries, "SELECT count(*) FROM idempotency_keys", 1)
	})
}
