package store_test

import (
	"context"
	"testing"

	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/store"
)

// loginOf is a code of ann's that serves until 100.
func (w *world) loginOf(n int, session string) store.CLILogin {
	return store.CLILogin{
		Digest: digest(n), UserID: w.ann.ID, SessionID: session, CodeChallenge: "challenge", Machine: "laptop", LifetimeDays: 90, CreatedAt: 10, ExpiresAt: 100,
	}
}

func (w *world) session(t *testing.T, n int) string {
	t.Helper()
	w.write(t, func(ctx context.Context, tx store.Tx) error {
		return tx.InsertSession(ctx, &store.Session{ID: id(n), Digest: digest(n), UserID: w.ann.ID, CreatedAt: 1, LastSeenAt: 1, ExpiresAt: 1000})
	})
	return id(n)
}

// waiting is a device authorization that can be decided until 100.
func waiting(n int) store.DeviceLogin {
	return store.DeviceLogin{
		DeviceDigest: digest(n), UserCodeDigest: digest(n + 1), Machine: "box", IP: "192.0.2.7", UserAgent: "heartlock/1", State: store.DevicePending, CreatedAt: 10, ExpiresAt: 100,
	}
}

// TestACodeOfTheCommandLineIsTakenOnce: by one caller, before its time is over, and
// while its session lasts.
func TestACodeOfTheCommandLineIsTakenOnce(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		session := w.session(t, 41)
		login := w.loginOf(51, session)
		insert := func(l store.CLILogin) {
			t.Helper()
			w.write(t, func(ctx context.Context, tx store.Tx) error { return tx.InsertCLILogin(ctx, &l) })
		}
		take := func(n int, now store.Micros, got *store.CLILogin) func(context.Context, store.Tx) error {
			return func(ctx context.Context, tx store.Tx) error {
				l, err := tx.TakeCLILogin(ctx, digest(n), now)
				if err == nil {
					*got = *l
				}
				return err
			}
		}
		insert(login)
		found := must(w.CLILoginByDigest(t.Context(), digest(51), 99))
		equal(t, "found", *found, login)
		_, err := w.CLILoginByDigest(t.Context(), digest(51), 100)
		isKind(t, "out of time", err, fault.NotFound)
		var got store.CLILogin
		w.refused(t, fault.NotFound, take(51, 100, &got))
		w.refused(t, fault.NotFound, take(52, 20, &got))
		w.write(t, take(51, 99, &got))
		equal(t, "taken", got, login)
		w.refused(t, fault.NotFound, take(51, 99, &got))

		insert(login)
		w.write(t, func(ctx context.Context, tx store.Tx) error { return tx.DeleteSession(ctx, w.ann.ID, session) })
		w.refused(t, fault.NotFound, take(51, 20, &got))
	})
}

// TestAWaitingDeviceIsDecidedOnce: and taken once, if that was yes.
func TestAWaitingDeviceIsDecidedOnce(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		session := w.session(t, 41)
		decide := func(n int, state string, now store.Micros) func(context.Context, store.Tx) error {
			l := store.DeviceLogin{DeviceDigest: digest(n), State: state}
			if state == store.DeviceApproved {
				l.UserID, l.SessionID, l.LifetimeDays = &w.ann.ID, &session, 90
			}
			return func(ctx context.Context, tx store.Tx) error { return tx.DecideDeviceLogin(ctx, &l, now) }
		}
		take := func(n int, now store.Micros) func(context.Context, store.Tx) error {
			return func(ctx context.Context, tx store.Tx) error { return tx.TakeDeviceLogin(ctx, digest(n), now) }
		}
		for _, n := range []int{51, 61, 71} {
			l := waiting(n)
			w.write(t, func(ctx context.Context, tx store.Tx) error { return tx.InsertDeviceLogin(ctx, &l) })
		}
		again := waiting(51)
		again.DeviceDigest = digest(99)
		w.refused(t, fault.Conflict, func(ctx context.Context, tx store.Tx) error { return tx.InsertDeviceLogin(ctx, &again) })

		equal(t, "waiting", *must(w.PendingDeviceLogin(t.Context(), digest(52), 99)), waiting(51))
		_, err := w.PendingDeviceLogin(t.Context(), digest(52), 100)
		isKind(t, "out of time", err, fault.NotFound)
		w.refused(t, fault.NotFound, take(51, 20)) // nobody has agreed
		w.refused(t, fault.NotFound, decide(51, store.DeviceApproved, 100))
		w.write(t, decide(51, store.DeviceApproved, 99))
		w.refused(t, fault.NotFound, decide(51, store.DeviceDenied, 20))
		w.write(t, decide(61, store.DeviceDenied, 20))
		w.refused(t, fault.NotFound, decide(61, store.DeviceApproved, 20))
		_, err = w.PendingDeviceLogin(t.Context(), digest(52), 20)
		isKind(t, "decided", err, fault.NotFound)
		equal(t, "state", must(w.DeviceLogin(t.Context(), digest(61), 99)).State, store.DeviceDenied)

		w.refused(t, fault.NotFound, take(61, 20)) // denied
		w.refused(t, fault.NotFound, take(51, 100))
		w.write(t, take(51, 99))
		w.refused(t, fault.NotFound, take(51, 99))

		w.write(t, decide(71, store.DeviceApproved, 20))
		w.write(t, func(ctx context.Context, tx store.Tx) error { return tx.DeleteSession(ctx, w.ann.ID, session) })
		_, err = w.DeviceLogin(t.Context(), digest(71), 20)
		isKind(t, "its session has ended", err, fault.NotFound)
	})
}

func TestPollsAreNotedWithADistance(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		l := waiting(51)
		w.write(t, func(ctx context.Context, tx store.Tx) error { return tx.InsertDeviceLogin(ctx, &l) })
		poll := func(now store.Micros) func(context.Context, store.Tx) error {
			return func(ctx context.Context, tx store.Tx) error { return tx.NotePoll(ctx, digest(51), now, now-5) }
		}
		w.write(t, poll(20))
		w.refused(t, fault.NotFound, poll(24))
		w.write(t, poll(25))
		w.refused(t, fault.NotFound, poll(29))
		equal(t, "last", *must(w.DeviceLogin(t.Context(), digest(51), 50)).LastPollAt, store.Micros(25))

		w.write(t, func(ctx context.Context, tx store.Tx) error { return tx.DeleteCLILogins(ctx, 99) })
		must(w.DeviceLogin(t.Context(), digest(51), 50))
		w.write(t, func(ctx context.Context, tx store.Tx) error { return tx.DeleteCLILogins(ctx, 100) })
		_, err := w.DeviceLogin(t.Context(), digest(51), 50)
		isKind(t, "removed", err, fault.NotFound)
	})
}
