package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/uptrace/bun/dialect/sqlitedialect"
	"github.com/uptrace/bun/schema"
	"modernc.org/sqlite"

	"github.com/heartlock/heartlock/pkg/fault"
)

// oldestSQLite has the fix of a bug that could corrupt a database in WAL mode
// (3.7.0 to 3.51.2). The library is compiled in; this guards the pin in go.mod.
const oldestSQLite = "3.51.3"

const (
	defaultBusyTimeout = 10 * time.Second
	walSizeLimit       = 64 << 20 // bytes that the -wal file is cut back to
)

// openSQLite opens a file with one connection that writes and a pool that only
// reads: SQLite has one writer at a time, and connections that wait for it by
// polling are slow and unfair, so writers queue up before it (see Store.Write).
func openSQLite(ctx context.Context, o Options) (*Store, error) {
	if o.BusyTimeout == 0 {
		o.BusyTimeout = defaultBusyTimeout
	}
	if o.MaxConns == 0 {
		o.MaxConns = max(4, 2*runtime.NumCPU())
	}
	writerDSN, readerDSN, err := sqliteDSNs(o)
	if err != nil {
		return nil, err
	}
	writer, err := sqlitePool(writerDSN, 1)
	if err != nil {
		return nil, err
	}
	readers := writer // in memory, every connection would be another database
	if !o.InMemory {
		if err := createPrivate(o.Path); err != nil {
			return nil, errors.Join(err, writer.Close())
		}
		if readers, err = sqlitePool(readerDSN, o.MaxConns); err != nil {
			return nil, errors.Join(err, writer.Close())
		}
	}
	s := newStore(o, readers, writer, func() schema.Dialect { return sqliteDialect{sqlitedialect.New()} })
	if err := s.checkSQLite(ctx, o); err != nil {
		_ = s.Close()
		return nil, err
	}
	return s, nil
}

func sqlitePool(dsn string, conns int) (*sql.DB, error) {
	connector, err := sqlite.NewConnector(dsn)
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	return db, nil
}

// sqliteDSNs are the addresses of the writer and of the readers. The settings
// are in them because SQLite keeps most per connection.
func sqliteDSNs(o Options) (writer, reader string, err error) {
	synchronous := strings.ToUpper(o.Synchronous)
	switch synchronous {
	case "":
		synchronous = "FULL"
	case "FULL", "NORMAL":
	default:
		return "", "", fault.New(fault.Usage, "The setting synchronous of a SQLite database is full or normal.")
	}
	query := url.Values{
		"_busy_timeout": {strconv.FormatInt(o.BusyTimeout.Milliseconds(), 10)},
		"_foreign_keys": {"1"},
		"_synchronous":  {synchronous},
		"_dqs":          {"0"}, // "x" is a column or an error, never a text
		"_defensive":    {"1"}, // no statement can corrupt the file
		"_error_rc":     {"1"}, // no unrelated text in errors
		"_pragma": {
			"secure_delete(1)", // overwrite what is deleted, also in pages that are freed
			"trusted_schema(0)",
			fmt.Sprintf("journal_size_limit(%d)", walSizeLimit),
		},
	}
	address := "file::memory:"
	if !o.InMemory {
		if address, err = sqliteAddress(o.Path); err != nil {
			return "", "", err
		}
		query.Set("mode", "rw") // a file that vanished is an error, not a new database
	}
	query.Set("_query_only", "1")
	reader = address + "?" + query.Encode()
	query.Del("_query_only")
	query.Set("_txlock", "immediate") // a transaction that reads first must not find the lock taken later
	query.Set("_journal_mode", "WAL") // kept in the file, so for the readers too
	return address + "?" + query.Encode(), reader, nil
}

// sqliteAddress is path as a URI, so that no character in it has a meaning.
func sqliteAddress(path string) (string, error) {
	if path == "" {
		return "", fault.New(fault.Usage, "The SQLite database has no path.")
	}
	absolute, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	absolute = filepath.ToSlash(absolute)
	if !strings.HasPrefix(absolute, "/") { // C:/x
		absolute = "/" + absolute
	}
	return (&url.URL{Scheme: "file", Path: absolute}).String(), nil
}

// createPrivate makes the file, and the folders that lead to it, for the owner
// alone if they are not there. SQLite itself would make it readable for all; the
// files it makes beside it get the mode of this one.
//
// A file that is there is not opened: it may be open in this process already, and
// to close any descriptor of a file takes all the locks away that the process has
// on it (POSIX record locks). Another process that closes the database would then
// believe to be the last and delete the log that is being written here.
func createPrivate(path string) error {
	err := os.MkdirAll(filepath.Dir(path), 0o700)
	if err == nil {
		var f *os.File
		f, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
		switch {
		case err == nil:
			return f.Close()
		case errors.Is(err, fs.ErrExist):
			if err = usableFile(path); err == nil {
				return nil
			}
		}
	}
	if errors.Is(err, fs.ErrPermission) {
		return fault.Wrap(fault.Usage, err, fmt.Sprintf("The user with the id %d may not open the database file %s.", os.Geteuid(), path))
	}
	return fault.Wrap(fault.Usage, err, fmt.Sprintf("The database file %s can not be made.", path))
}

// usableFile sees that what is there is a file that the user may change, without
// opening it.
func usableFile(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return errors.New("it is not a regular file")
	}
	return mayReadAndWrite(path)
}

// checkSQLite opens the first connections and sees that they are as asked.
func (s *Store) checkSQLite(ctx context.Context, o Options) error {
	var version, journal string
	err := waitWhileBusy(ctx, func() error {
		return s.writer.QueryRowContext(ctx, "SELECT sqlite_version(), (SELECT journal_mode FROM pragma_journal_mode)").Scan(&version, &journal)
	})
	if err != nil {
		return wrap(err)
	}
	if !versionAtLeast(version, oldestSQLite) {
		return fmt.Errorf("SQLite %s is older than %s", version, oldestSQLite)
	}
	if journal != "wal" && !o.InMemory {
		return fault.Newf(fault.Usage, "The file system of %s does not support SQLite's write-ahead log; use a local disk.", o.Path)
	}
	return s.Ping(ctx)
}

// waitWhileBusy repeats what fails only because another process has the
// database, until ctx ends. SQLite's own waiting does not cover everything: the
// change to WAL mode fails at once when two processes start on a new file.
func waitWhileBusy(ctx context.Context, do func() error) error {
	for {
		err := do()
		if !isBusy(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// versionAtLeast compares versions like 3.51.3 by their numbers.
func versionAtLeast(version, oldest string) bool {
	have, want := strings.Split(version, "."), strings.Split(oldest, ".")
	for i := range want {
		if i >= len(have) {
			return false
		}
		h, err := strconv.Atoi(have[i])
		if err != nil {
			return false
		}
		if w, _ := strconv.Atoi(want[i]); h != w {
			return h > w
		}
	}
	return true
}
