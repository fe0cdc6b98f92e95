package store_test

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/store"
)

// TestSettingsAreReplacedByGeneration: of any number of transactions that replace
// the same generation, one succeeds.
func TestSettingsAreReplacedByGeneration(t *testing.T) {
	eachWorld(t, func(t *testing.T, s *world) {
		ctx := t.Context()
		if row, err := s.Settings(ctx); row != nil || err != nil {
			t.Fatalf("%v, %v", row, err)
		}
		if generation, at, err := s.SettingsVersion(ctx); generation != 0 || at != 0 || err != nil {
			t.Fatalf("%d, %d, %v", generation, at, err)
		}
		for from := range int64(3) {
			var won atomic.Int64
			var all sync.WaitGroup
			for i := range 5 {
				all.Go(func() {
					err := s.Write(ctx, func(ctx context.Context, tx store.Tx) error {
						return tx.ReplaceSettings(ctx, &store.Settings{
							Generation: from + 1, Sealed: "sealed", KeyFingerprint: "key", UpdatedAt: store.Micros(100*from + int64(i) + 1),
						}, from)
					})
					switch {
					case err == nil:
						won.Add(1)
					case !errors.Is(err, fault.Conflict):
						t.Errorf("%v", err)
					}
				})
			}
			all.Wait()
			if won.Load() != 1 {
				t.Errorf("from generation %d %d succeeded", from, won.Load())
			}
			row, err := s.Settings(ctx)
			generation, at, versionErr := s.SettingsVersion(ctx)
			if err != nil || versionErr != nil || row.Generation != from+1 || generation != from+1 || at != row.UpdatedAt || row.Sealed != "sealed" {
				t.Errorf("%v %v, generation %d", err, versionErr, generation)
			}
		}
	})
}

// PostgreSQL writes the texts of failed and of slow statements to its log, and
// shows them to other sessions. What is sealed is no part of them.
func TestSealedSettingsAreInNoStatement(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		if w.options.Engine != store.PostgreSQL {
			return // SQLite has no log
		}
		other := must(sql.Open("pgx", w.options.DSN))
		defer func() { _ = other.Close() }()
		for from := range int64(2) {
			var shown string
			w.write(t, func(ctx context.Context, tx store.Tx) error {
				if err := tx.ReplaceSettings(ctx, &store.Settings{Generation: from + 1, Sealed: "THE-SEALED-TEXT", KeyFingerprint: "key", UpdatedAt: 1}, from); err != nil {
					return err
				}
				return other.QueryRowContext(ctx, `SELECT query FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle in transaction'`).Scan(&shown)
			})
			if !strings.Contains(shown, "settings") || strings.Contains(shown, "SEALED") {
				t.Errorf("the statement is %s", shown)
			}
		}
	})
}
