package store_test

import (
	"context"
	"testing"

	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/store"
)

func TestUsers(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		equal(t, "by address", *must(w.UserByEmail(ctx, "ann@example.com")), w.ann)
		equal(t, "by id", *must(w.UserByID(ctx, w.bob.ID)), w.bob)
		_, err := w.UserByEmail(ctx, "ANN@example.com")
		isKind(t, "an address that is not canonical", err, fault.NotFound)
		_, err = w.UserByID(ctx, id(99))
		isKind(t, "an unknown id", err, fault.NotFound)

		twin := user(3, "ann@example.com")
		err = w.refusal(t, fault.Conflict, func(ctx context.Context, tx store.Tx) error { return tx.InsertUser(ctx, &twin) })
		if !store.IsDuplicate(err, "users", "email") {
			t.Errorf("the conflict does not name the address: %v", fault.Detail(err))
		}

		at := store.Micros(77)
		changed := w.ann
		changed.FirstName, changed.LastName, changed.LastLoginAt, changed.IsActive = "New", "not written", &at, false
		w.write(t, func(ctx context.Context, tx store.Tx) error {
			return tx.UpdateUser(ctx, &changed, "first_name", "last_login_at", "is_active")
		})
		changed.LastName = w.ann.LastName
		equal(t, "only the named columns change", *must(w.UserByID(ctx, w.ann.ID)), changed)
		equal(t, "another user", *must(w.UserByID(ctx, w.bob.ID)), w.bob)
		nobody := user(99, "x@example.com")
		w.refused(t, fault.NotFound, func(ctx context.Context, tx store.Tx) error {
			return tx.UpdateUser(ctx, &nobody, "first_name")
		})
	})
}

func TestSessions(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		session := func(n int, u store.User, seen, expires store.Micros) store.Session {
			return store.Session{ID: id(n), Digest: digest(n), UserID: u.ID, CreatedAt: 1, LastSeenAt: seen, ExpiresAt: expires, IP: "192.0.2.1", UserAgent: "x"}
		}
		rows := []store.Session{session(41, w.ann, 10, 100), session(42, w.ann, 30, 100), session(43, w.ann, 20, 50), session(44, w.bob, 5, 100)}
		w.write(t, func(ctx context.Context, tx store.Tx) error {
			for i := range rows {
				if err := tx.InsertSession(ctx, &rows[i]); err != nil {
					return err
				}
			}
			return nil
		})

		in := must(w.SessionByDigest(ctx, digest(41)))
		equal(t, "user of the session", in.User, store.User{
			ID: w.ann.ID, Email: w.ann.Email, FirstName: "F", LastName: "L", PasswordHash: "hash", IsActive: true, IsSuperuser: true,
		})
		equal(t, "session", in.Session, store.Session{ID: id(41), UserID: w.ann.ID, CreatedAt: 1, LastSeenAt: 10, ExpiresAt: 100})
		_, err := w.SessionByDigest(ctx, digest(99))
		isKind(t, "an unknown digest", err, fault.NotFound)

		sessionID := func(s store.Session) string { return s.ID }
		equal(t, "newest first, without those that ended", column(must(w.SessionsOfUser(ctx, w.ann.ID, 50)), sessionID), []string{id(42), id(41)})
		equal(t, "with those that end later", column(must(w.SessionsOfUser(ctx, w.ann.ID, 49)), sessionID), []string{id(42), id(43), id(41)})

		w.refused(t, fault.NotFound, func(ctx context.Context, tx store.Tx) error { return tx.DeleteSession(ctx, w.bob.ID, id(41)) })
		w.write(t, func(ctx context.Context, tx store.Tx) error { return tx.DeleteSession(ctx, w.ann.ID, id(41)) })
		w.refused(t, fault.NotFound, func(ctx context.Context, tx store.Tx) error { return tx.DeleteSession(ctx, w.ann.ID, id(41)) })

		w.write(t, func(ctx context.Context, tx store.Tx) error { return tx.DeleteExpiredSessions(ctx, 50, 5) })
		mustInt(t, w.Queries, "SELECT count(*) FROM sessions", 1) // 43 has expired, 44 is idle
		equal(t, "what is left", column(must(w.SessionsOfUser(ctx, w.ann.ID, 0)), sessionID), []string{id(42)})

		var ended int64
		w.write(t, func(ctx context.Context, tx store.Tx) (err error) {
			ended, err = tx.DeleteSessionsOfUser(ctx, w.ann.ID)
			return err
		})
		equal(t, "sessions ended", ended, int64(1))
	})
}
