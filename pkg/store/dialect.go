package store

import (
	"strings"

	"github.com/uptrace/bun/dialect/pgdialect"
	"github.com/uptrace/bun/dialect/sqlitedialect"
)

// nulMarker stands in a statement for a text with a NUL byte, which PostgreSQL
// can not store and SQLite cuts off. It names a column that does not exist, so
// the statement fails as a whole, and wrap knows why. (bun would put a text of
// its own there, which fails as well, but like any defect.)
const nulMarker = "heartlock_text_with_a_nul_byte"

type sqliteDialect struct{ *sqlitedialect.Dialect }

func (d sqliteDialect) AppendString(b []byte, s string) []byte {
	if strings.IndexByte(s, 0) >= 0 {
		return append(b, nulMarker...)
	}
	return d.Dialect.AppendString(b, s)
}

type postgresDialect struct{ *pgdialect.Dialect }

func (d postgresDialect) AppendString(b []byte, s string) []byte {
	if strings.IndexByte(s, 0) >= 0 {
		return append(b, nulMarker...)
	}
	return d.Dialect.AppendString(b, s)
}
