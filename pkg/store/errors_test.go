package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/store"
)

func TestDriverErrorsBecomeFaults(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, o store.Options) {
		s := migrated(t, o)
		mustWrite(t, s, "INSERT INTO parents VALUES (1, 'canary-one'); INSERT INTO children VALUES (1, 1, 'canary-key')")
		write := func(query string, args ...any) error { return s.Write(t.Context(), exec(query, args...)) }
		for name, c := range map[string]struct {
			err     error
			kind    fault.Kind
			table   string
			columns []string
		}{
			"primary key":    {write("INSERT INTO parents VALUES (1, 'x')"), fault.Conflict, "parents", []string{"id"}},
			"one column":     {write("INSERT INTO parents VALUES (2, 'canary-one')"), fault.Conflict, "parents", []string{"name"}},
			"two columns":    {write("INSERT INTO children VALUES (2, 1, 'canary-key')"), fault.Conflict, "children", []string{"parent_id", "key"}},
			"no parent":      {write("INSERT INTO children VALUES (3, 77, 'k')"), fault.Conflict, "", nil},
			"NUL by bun":     {write("INSERT INTO parents VALUES (3, ?)", "a\x00b"), fault.Invalid, "", nil},
			"NUL in a query": {second(s.Int("SELECT id FROM parents WHERE name = ?", "\x00")), fault.Invalid, "", nil},
			"not null":       {write("INSERT INTO parents VALUES (4, NULL)"), fault.Internal, "", nil},
			"no such table":  {write("INSERT INTO nowhere VALUES (1)"), fault.Internal, "", nil},
			"no row":         {store.Wrap(second(s.Int("SELECT id FROM parents WHERE id = 99"))), fault.NotFound, "", nil},
		} {
			err := store.Wrap(c.err)
			if err == nil || fault.KindOf(err) != c.kind {
				t.Errorf("%s: kind %v, want %v (%v)", name, fault.KindOf(err), c.kind, err)
				continue
			}
			if strings.Contains(fault.Detail(err), "canary") {
				t.Errorf("%s: the error shows a value: %s", name, fault.Detail(err))
			}
			var d *store.Duplicate
			if got := errors.As(err, &d); got != (c.table != "") {
				t.Errorf("%s: is a duplicate: %v", name, got)
			}
			if c.table != "" && (!store.IsDuplicate(err, c.table, c.columns...) || store.IsDuplicate(err, c.table) || store.IsDuplicate(err, "other", c.columns...)) {
				t.Errorf("%s: duplicate of %v", name, d)
			}
			if (name == "no parent") != errors.Is(err, store.ErrReference) {
				t.Errorf("%s: a wrong reference: %v", name, err)
			}
		}
	})
}

func second(_ int, err error) error { return store.Wrap(err) }

func TestEndOfContextStaysRecognisable(t *testing.T) {
	t.Parallel()
	slow := map[store.Engine]string{
		store.SQLite:     "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT count(*) FROM r",
		store.PostgreSQL: "SELECT 1 FROM (SELECT pg_sleep(60)) x",
	}
	eachEngine(t, func(t *testing.T, o store.Options) {
		s := opened(t, o)
		query := func(ctx context.Context) error {
			var n int
			return store.Wrap(s.ReaderPool().QueryRowContext(ctx, slow[o.Engine]).Scan(&n))
		}
		if err := query(within(t, 50*time.Millisecond)); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, fault.Unavailable) {
			t.Errorf("deadline: %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		timer := time.AfterFunc(50*time.Millisecond, cancel)
		defer timer.Stop()
		if err := query(ctx); !errors.Is(err, context.Canceled) || fault.As(err) != nil {
			t.Errorf("cancelled: %v", err)
		}
		if err := s.Ping(t.Context()); err != nil {
			t.Errorf("afterwards: %v", err)
		}
	})
}

func TestAFullDatabaseIsUnavailable(t *testing.T) {
	t.Parallel()
	s := migrated(t, freshDatabase(t, store.SQLite))
	if _, err := s.WriterPool().ExecContext(t.Context(), "PRAGMA max_page_count = 20"); err != nil {
		t.Fatal(err)
	}
	err := s.Write(t.Context(), exec("INSERT INTO parents VALUES (1, hex(zeroblob(200000)))"))
	if f := fault.As(err); f == nil || f.Kind != fault.Unavailable || f.RetryAfter == 0 {
		t.Errorf("%v", err)
	}
	mustWrite(t, s, "UPDATE counters SET n = 1")
}

func TestWrapByCode(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]fault.Kind{
		"08006": fault.Unavailable, "57P01": fault.Unavailable, "57P03": fault.Unavailable, "53300": fault.Unavailable,
		"53100": fault.Unavailable, "25006": fault.Unavailable, "28P01": fault.Unavailable, "3D000": fault.Unavailable,
		"40001": fault.Unavailable, "40P01": fault.Unavailable, "55P03": fault.Unavailable, "57014": fault.Unavailable,
		"58030": fault.Unavailable, "25P03": fault.Unavailable, "22021": fault.Invalid, "23503": fault.Conflict,
		"42601": fault.Internal, "XX000": fault.Internal, "": fault.Internal,
	} {
		err := store.Wrap(fmt.Errorf("query: %w", &pgconn.PgError{Code: code}))
		if fault.KindOf(err) != want {
			t.Errorf("%s: %v, want %v", code, fault.KindOf(err), want)
		}
		if want == fault.Unavailable && fault.As(err).RetryAfter == 0 {
			t.Errorf("%s: no time to retry", code)
		}
	}
	for _, code := range []string{"XX001", "XX002"} {
		if err := store.Wrap(&pgconn.PgError{Code: code}); !errors.Is(err, store.ErrCorrupt) {
			t.Errorf("%s: %v", code, err)
		}
	}
	plain := errors.New("plain")
	own := fault.New(fault.Forbidden, "No.")
	if store.Wrap(nil) != nil || store.Wrap(plain) != plain || store.Wrap(own) != error(own) {
		t.Error("wrap changes what it does not know")
	}
	if err := store.Wrap(io.ErrUnexpectedEOF); !errors.Is(err, fault.Unavailable) {
		t.Errorf("a lost connection: %v", err)
	}
	if err := store.Wrap(sql.ErrNoRows); err.Error() != "Not found." || !errors.Is(err, sql.ErrNoRows) {
		t.Errorf("no row: %v", err)
	}
}
