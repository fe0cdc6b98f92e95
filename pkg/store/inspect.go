package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"time"

	"github.com/uptrace/bun/dialect/sqlitedialect"
	"github.com/uptrace/bun/schema"

	"github.com/heartlock/heartlock/pkg/fault"
)

// OpenReadOnly opens a database to look at what is in it. On SQLite it makes no
// database and every write fails; the files that SQLite itself needs beside one
// in use are there only as long as the database is open. A SQLite file that is
// not there is [ErrNoDatabase]. PostgreSQL is opened as by [Open], which changes
// nothing: the caller must not write.
func OpenReadOnly(ctx context.Context, o Options) (*Store, error) {
	if o.Engine != SQLite {
		return Open(ctx, o)
	}
	if _, err := os.Stat(o.Path); err != nil {
		return nil, notThere(o.Path, err)
	}
	if err := o.chooseMigrations(); err != nil {
		return nil, err
	}
	if o.BusyTimeout == 0 {
		o.BusyTimeout = defaultBusyTimeout
	}
	_, dsn, err := sqliteDSNs(o)
	if err != nil {
		return nil, err
	}
	readers, err := sqlitePool(dsn, 1)
	if err != nil {
		return nil, err
	}
	s := newStore(o, readers, readers, func() schema.Dialect { return sqliteDialect{sqlitedialect.New()} })
	// The first query that reads a page, so that a file that is no database is found here.
	if _, err := s.appliedMigrations(ctx, s.readers); err != nil {
		_ = s.Close()
		return nil, err
	}
	return s, nil
}

// ErrNoDatabase says that there is no SQLite file.
var ErrNoDatabase = errors.New("there is no database file")

func notThere(path string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fault.Wrap(fault.NotFound, fmt.Errorf("%w: %w", ErrNoDatabase, err), "There is no database file "+path+".")
	case errors.Is(err, fs.ErrPermission):
		return fault.Wrap(fault.Usage, err, fmt.Sprintf("The user with the id %d may not open the database file %s.", os.Geteuid(), path))
	}
	return fault.Wrap(fault.Usage, err, "The database file "+path+" can not be opened.")
}

// Version is what the engine calls its version: "3.54.1", "17.2 (Debian …)".
func (s *Store) Version(ctx context.Context) (string, error) {
	query := "SELECT sqlite_version()"
	if s.engine == PostgreSQL {
		query = "SHOW server_version"
	}
	var version string
	err := s.readers.QueryRowContext(ctx, query).Scan(&version)
	return version, wrap(err)
}

// DatabaseBytes is the size of the database: on SQLite of its file without what
// waits beside it to be written into it.
func (q Queries) DatabaseBytes(ctx context.Context) (n int64, err error) {
	query := "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"
	if q.engine == PostgreSQL {
		query = "SELECT pg_database_size(current_database())"
	}
	err = q.db.QueryRowContext(ctx, query).Scan(&n)
	return n, wrap(err)
}

// QuickCheck reads the whole SQLite file and describes what is damaged in it,
// up to ten things; none means that its structure is sound. PostgreSQL has no
// such check, and nothing is described.
func (s *Store) QuickCheck(ctx context.Context) ([]string, error) {
	if s.engine == PostgreSQL {
		return nil, nil
	}
	conn, err := s.readers.Conn(ctx)
	if err != nil {
		return nil, wrap(err)
	}
	defer func() { _ = conn.Close() }()
	// What the connection still has in memory would hide what the file has become.
	if _, err := conn.ExecContext(ctx, "PRAGMA shrink_memory"); err != nil {
		return nil, wrap(err)
	}
	rows, err := conn.QueryContext(ctx, "PRAGMA quick_check(10)")
	if err != nil {
		return nil, wrap(err)
	}
	defer func() { _ = rows.Close() }()
	var damage []string
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return nil, wrap(err)
		}
		if text != "ok" {
			damage = append(damage, text)
		}
	}
	return damage, wrap(rows.Err())
}

// durable are the settings of PostgreSQL without which what it has acknowledged
// can be lost or damaged when the machine fails, and the values that are safe.
// synchronous_commit has safe values beside "on"; "off" alone acknowledges before
// the local disk has it.
var durable = []struct{ name, unsafe string }{
	{"fsync", "off"}, {"full_page_writes", "off"}, {"synchronous_commit", "off"},
}

// RiskySettings lists the settings of PostgreSQL, as "fsync = off", that let it
// lose what it has acknowledged. SQLite is opened with safe ones.
func (s *Store) RiskySettings(ctx context.Context) ([]string, error) {
	if s.engine != PostgreSQL {
		return nil, nil
	}
	var risky []string
	for _, setting := range durable {
		var value string
		if err := s.readers.QueryRowContext(ctx, "SELECT current_setting($1)", setting.name).Scan(&value); err != nil {
			return nil, wrap(err)
		}
		if value == setting.unsafe {
			risky = append(risky, setting.name+" = "+value)
		}
	}
	return risky, nil
}

// ClockDifference is how far PostgreSQL's clock is ahead of ours, as far as the
// time that the question took lets it be known; 0 on SQLite, which has our clock.
func (s *Store) ClockDifference(ctx context.Context) (time.Duration, error) {
	if s.engine != PostgreSQL {
		return 0, nil
	}
	if err := s.Ping(ctx); err != nil { // connecting is not part of the measurement
		return 0, err
	}
	var micros int64
	before := time.Now()
	err := s.readers.QueryRowContext(ctx, "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint").Scan(&micros)
	after := time.Now()
	if err != nil {
		return 0, wrap(err)
	}
	theirs := time.UnixMicro(micros)
	switch {
	case theirs.Before(before):
		return theirs.Sub(before), nil
	case theirs.After(after):
		return theirs.Sub(after), nil
	}
	return 0, nil
}

// SealedValue is a stored value and where it belongs, for whoever wants to know
// whether it can be opened.
type SealedValue struct {
	Project        string // slug
	Environment    string // slug
	Key            string
	Version        int64
	Sealed         string
	KeyFingerprint string

	secretID int64
}

// CountSealed is the number of present values, and of former versions that are
// kept.
func (q Queries) CountSealed(ctx context.Context) (present, former int64, err error) {
	err = q.db.QueryRowContext(ctx, `
SELECT (SELECT count(*) FROM secrets WHERE sealed IS NOT NULL), (SELECT count(*) FROM secret_versions WHERE sealed IS NOT NULL)`).
		Scan(&present, &former)
	return present, former, wrap(err)
}

// sealedPage is how many values are read at once, so that neither the memory nor
// the time of one statement grows with the database.
const sealedPage = 500

const (
	presentValues = `
SELECT p.slug, e.slug, s.key, s.version, s.sealed, s.key_fingerprint, s.id
FROM secrets s JOIN environments e ON e.id = s.environment_id JOIN projects p ON p.id = e.project_id
WHERE s.sealed IS NOT NULL AND s.id < ? ORDER BY s.id DESC LIMIT ?`
	formerValues = `
SELECT p.slug, e.slug, v.key, v.version, v.sealed, v.key_fingerprint, v.secret_id
FROM secret_versions v JOIN secrets s ON s.id = v.secret_id
     JOIN environments e ON e.id = s.environment_id JOIN projects p ON p.id = e.project_id
WHERE v.sealed IS NOT NULL AND (v.secret_id < ? OR v.secret_id = ? AND v.version < ?)
ORDER BY v.secret_id DESC, v.version DESC LIMIT ?`
)

// EachPresentValue calls do with the present values of all projects, the newest
// secrets first, with at most limit of them.
func (q Queries) EachPresentValue(ctx context.Context, limit int64, do func(SealedValue) error) error {
	below := int64(math.MaxInt64)
	for limit > 0 {
		page, err := q.sealedValues(ctx, presentValues, below, min(limit, sealedPage))
		if err != nil || len(page) == 0 {
			return err
		}
		if err := each(page, do); err != nil {
			return err
		}
		limit -= int64(len(page))
		below = page[len(page)-1].secretID
	}
	return nil
}

// EachFormerValue calls do with the former versions that are kept, of all
// projects, the newest secrets first.
func (q Queries) EachFormerValue(ctx context.Context, do func(SealedValue) error) error {
	secret, version := int64(math.MaxInt64), int64(0)
	for {
		page, err := q.sealedValues(ctx, formerValues, secret, secret, version, sealedPage)
		if err != nil || len(page) == 0 {
			return err
		}
		if err := each(page, do); err != nil {
			return err
		}
		last := page[len(page)-1]
		secret, version = last.secretID, last.Version
	}
}

func each(page []SealedValue, do func(SealedValue) error) error {
	for _, v := range page {
		if err := do(v); err != nil {
			return err
		}
	}
	return nil
}

func (q Queries) sealedValues(ctx context.Context, query string, args ...any) ([]SealedValue, error) {
	rows, err := q.db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, wrap(err)
	}
	defer func() { _ = rows.Close() }()
	var page []SealedValue
	for rows.Next() {
		var v SealedValue
		if err := rows.Scan(&v.Project, &v.Environment, &v.Key, &v.Version, &v.Sealed, &v.KeyFingerprint, &v.secretID); err != nil {
			return nil, wrap(err)
		}
		page = append(page, v)
	}
	return page, wrap(rows.Err())
}

// SupportedVersion reports whether an engine of this version is one that can be
// trusted with data. The SQLite library is compiled in, so this guards the build.
func (s *Store) SupportedVersion(version string) bool {
	return s.engine != SQLite || versionAtLeast(version, oldestSQLite)
}
