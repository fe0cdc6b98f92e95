package store_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/store"
)

func queued(n int, at store.Micros) *store.QueuedMail {
	sealed := "sealed"
	return &store.QueuedMail{ID: id(n), Kind: "test", Recipient: "ann@example.com", Sealed: &sealed, KeyFingerprint: "f", CreatedAt: at, NextAttemptAt: at}
}

func (w *world) queue(t *testing.T, mails ...*store.QueuedMail) {
	t.Helper()
	w.write(t, func(ctx context.Context, tx store.Tx) error {
		for _, m := range mails {
			if err := tx.InsertQueuedMail(ctx, m); err != nil {
				return err
			}
		}
		return nil
	})
}

func (w *world) claim(t *testing.T, now, until store.Micros) (m *store.QueuedMail) {
	t.Helper()
	w.write(t, func(ctx context.Context, tx store.Tx) (err error) {
		m, err = tx.ClaimMail(ctx, now, until)
		return err
	})
	return m
}

func TestMailIsClaimedInTheOrderInWhichItIsDue(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.queue(t, queued(1, 300), queued(2, 100), queued(3, 200), queued(4, 900))
		for _, want := range []string{id(2), id(3), id(1)} {
			m := w.claim(t, 500, 1000)
			if m == nil || m.ID != want || m.Attempts != 1 || m.Sealed == nil || *m.Sealed != "sealed" || m.NextAttemptAt != 1000 {
				t.Fatalf("claimed %+v, want %s", m, want)
			}
		}
		if m := w.claim(t, 500, 1000); m != nil || must(w.IsMailDue(t.Context(), 500)) {
			t.Errorf("claimed %+v, which is not due or is claimed", m)
		}
		if !must(w.IsMailDue(t.Context(), 950)) || !must(w.IsMailDue(t.Context(), 1000)) {
			t.Error("mail is due, and is not said to be")
		}
	})
}

// A claim that has run out is another server's: the first can not end it any more.
func TestAClaimThatWasLost(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.queue(t, queued(1, 100))
		first := w.claim(t, 100, 200)
		second := w.claim(t, 200, 300)
		if first == nil || second == nil || second.Attempts != 2 {
			t.Fatalf("claimed %+v and %+v", first, second)
		}
		for what, end := range map[string]func(context.Context, store.Tx) error{
			"sent":     func(ctx context.Context, tx store.Tx) error { return tx.MailSent(ctx, first, 250) },
			"given up": func(ctx context.Context, tx store.Tx) error { return tx.MailGivenUp(ctx, first, 250, "why") },
			"failed":   func(ctx context.Context, tx store.Tx) error { return tx.MailFailed(ctx, first, 250, "why") },
			"put back": func(ctx context.Context, tx store.Tx) error { return tx.MailPutBack(ctx, first, 250) },
		} {
			t.Log(what)
			w.refused(t, fault.NotFound, end)
		}
		w.write(t, func(ctx context.Context, tx store.Tx) error { return tx.MailSent(ctx, second, 250) })
		w.refused(t, fault.NotFound, func(ctx context.Context, tx store.Tx) error { return tx.MailSent(ctx, second, 260) })
	})
}

func TestWhatHasBecomeOfMail(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.queue(t, queued(1, 100), queued(2, 101), queued(3, 102), queued(4, 103))
		claims := []*store.QueuedMail{w.claim(t, 500, 1000), w.claim(t, 500, 1000), w.claim(t, 500, 1000), w.claim(t, 500, 1000)}
		w.write(t, func(ctx context.Context, tx store.Tx) error { return tx.MailSent(ctx, claims[0], 510) })
		w.write(t, func(ctx context.Context, tx store.Tx) error {
			return tx.MailGivenUp(ctx, claims[1], 520, "no such user")
		})
		w.write(t, func(ctx context.Context, tx store.Tx) error { return tx.MailFailed(ctx, claims[2], 700, "away") })
		w.write(t, func(ctx context.Context, tx store.Tx) error { return tx.MailPutBack(ctx, claims[3], 600) })

		oldest := store.Micros(102)
		equal(t, "counts", must(w.CountMail(t.Context())), store.MailCounts{Waiting: 2, Oldest: &oldest, Sent: 1, GivenUp: 1})
		at := store.Micros(520)
		equal(t, "given up", must(w.GivenUpMail(t.Context(), 9)), []store.QueuedMail{
			{ID: id(2), Kind: "test", Recipient: "ann@example.com", CreatedAt: 101, NextAttemptAt: 1000, Attempts: 1, LastError: "no such user", GivenUpAt: &at},
		})
		equal(t, "failing", must(w.FailingMail(t.Context(), 9)), []store.QueuedMail{
			{ID: id(3), Kind: "test", Recipient: "ann@example.com", CreatedAt: 102, NextAttemptAt: 700, Attempts: 1, LastError: "away"},
		})
		equal(t, "sealed", must(w.CountSealedByKey(t.Context())), map[string]int64{"f": 2})
		if m := w.claim(t, 600, 1000); m == nil || m.ID != id(4) || m.Attempts != 1 {
			t.Errorf("what was put back is claimed as %+v", m)
		}

		w.write(t, func(ctx context.Context, tx store.Tx) error { return tx.DeleteEndedMail(ctx, 515) })
		equal(t, "after the sent one was forgotten", must(w.CountMail(t.Context())), store.MailCounts{Waiting: 2, Oldest: &oldest, GivenUp: 1})
		w.write(t, func(ctx context.Context, tx store.Tx) error { return tx.DeleteEndedMail(ctx, 1e9) })
		equal(t, "after all that ended was forgotten", must(w.CountMail(t.Context())), store.MailCounts{Waiting: 2, Oldest: &oldest})
	})
}

// Of many that claim at the same time, each gets another mail.
func TestEachMailIsClaimedOnce(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		const mails, servers = 60, 6
		for n := range mails {
			w.queue(t, queued(n+1, 100))
		}
		var mu sync.Mutex
		claimed := map[string]int{}
		var all sync.WaitGroup
		for range servers {
			all.Go(func() {
				for {
					var m *store.QueuedMail
					err := w.Write(within(t, time.Minute), func(ctx context.Context, tx store.Tx) (err error) {
						m, err = tx.ClaimMail(ctx, 200, 1e15)
						return err
					})
					if err != nil {
						t.Error(fault.Detail(err))
						return
					}
					if m == nil {
						if due, err := w.IsMailDue(t.Context(), 200); err != nil || !due {
							return
						}
						continue // the last ones are being claimed
					}
					mu.Lock()
					claimed[m.ID]++
					mu.Unlock()
				}
			})
		}
		all.Wait()
		for n, times := range claimed {
			if times != 1 {
				t.Errorf("mail %s was claimed %d times", n, times)
			}
		}
		if len(claimed) != mails {
			t.Errorf("%d of %d mails were claimed", len(claimed), mails)
		}
	})
}

// What is to be done after a commit is done after a commit alone.
func TestAfterCommit(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		done := 0
		w.refused(t, fault.Conflict, func(ctx context.Context, tx store.Tx) error {
			tx.AfterCommit(func() { done++ })
			return fault.New(fault.Conflict, "no")
		})
		if done != 0 {
			t.Error("it was done though nothing was committed")
		}
		w.write(t, func(ctx context.Context, tx store.Tx) error {
			tx.AfterCommit(func() {
				if due, err := w.IsMailDue(t.Context(), 200); err != nil || !due {
					t.Errorf("it was done before the commit: %t, %v", due, err)
				}
				done++
			})
			return tx.InsertQueuedMail(ctx, queued(1, 100))
		})
		if done != 1 {
			t.Errorf("it was done %d times", done)
		}
	})
}

func TestTokensToWarnOf(t *testing.T) {
	const day = store.Micros(24 * time.Hour / time.Microsecond)
	warning := store.TokenWarning{Long: 14 * day, Before: 7 * day, Short: 2 * day, ShortBefore: day}
	eachWorld(t, func(t *testing.T, w *world) {
		now := 1000 * day
		add := func(n int, created, expires store.Micros, change func(*store.Token)) {
			token := &store.Token{
				ID: id(n), Digest: digest(n), Prefix: "hlp_", Name: "token", UserID: &w.ann.ID, CreatedAt: created, ExpiresAt: &expires,
				CreatedBy: store.Actor{Kind: "user", ID: w.ann.ID, Name: "ann@example.com"},
			}
			if change != nil {
				change(token)
			}
			w.write(t, func(ctx context.Context, tx store.Tx) error { return tx.InsertToken(ctx, token, nil) })
		}
		add(101, now-30*day, now+7*day, nil)                     // long, a week before
		add(102, now-30*day, now+7*day+1, nil)                   // not yet
		add(103, now-6*day, now+2*day, nil)                      // short, not yet
		add(104, now-6*day, now+day, nil)                        // short, a day before
		add(105, now-day, now+day-1, nil)                        // too short to be told of
		add(106, now-30*day, now, nil)                           // has ended
		add(107, now-30*day, now+day, func(token *store.Token) { // of a project
			token.UserID, token.ProjectID, token.Access = nil, &w.lab.ID, "read"
		})
		found := must(w.TokensToWarnOf(t.Context(), now, warning, 9))
		equal(t, "tokens", column(found, func(e store.ExpiringToken) string { return e.ID }), []string{id(104), id(107), id(101)})
		equal(t, "one of a project", found[1], store.ExpiringToken{
			ID: id(107), Name: "token", ProjectID: w.lab.ID, ProjectName: w.lab.Name, CreatedBy: w.ann.ID, ExpiresAt: now + day,
		})
		for n, wanted := range map[int][]string{0: {"ann@example.com"}, 1: {"bob@example.com"}} { // ann made it, and is no member
			equal(t, found[n].ID, must(w.AddressesForToken(t.Context(), found[n])), wanted)
		}
		for _, first := range []bool{true, false} {
			w.write(t, func(ctx context.Context, tx store.Tx) error {
				marked, err := tx.MarkTokenWarned(ctx, id(104), now)
				if marked != first {
					t.Errorf("marked %t, want %t", marked, first)
				}
				return err
			})
		}
		equal(t, "after one was told", column(must(w.TokensToWarnOf(t.Context(), now, warning, 9)), func(e store.ExpiringToken) string { return e.ID }),
			[]string{id(107), id(101)})
	})
}
