// Package backup is the form of a backup file: a text of JSON lines, compressed
// by gzip, in an age file (age-encryption.org/v1).
//
// The lines are, in this order:
//
//	{"manifest": {…}}                           what the file holds, see Manifest
//	{"keys": ["…"]}                             only under a passphrase: the encryption keys
//	{"table": "users", "columns": ["id", …]}    for each table …
//	["0190…", "ann@example.com", …]             … its rows in the order of the columns …
//	{"end": "users", "rows": 1, "sha256": "…"}  … and the sum over the lines of the rows
//	{"end": "backup", "sha256": "…"}            the sum over all lines before
//
// A column is a string, an integer, true, false or null; bytes are base64. Values
// of secrets are in it as they are in the database: sealed.
//
// A file is encrypted either to the instance's encryption key, and then says with
// which one, or to a passphrase; see lock.go. Whoever has the file and the key,
// or the file and the passphrase, has everything in it.
//
// Nothing is believed: a file that was cut off, changed or put together anew is
// refused, and a line has a bounded length.
package backup

import (
	"errors"
	"time"

	"github.com/heartlock/heartlock/pkg/fault"
)

// FormatName and FormatVersion stand in the manifest.
const (
	FormatName    = "heartlock backup"
	FormatVersion = 1
)

// maxLine bounds a line: the longest row is a secret of 64 KiB, sealed.
const maxLine = 1 << 20

// Manifest says what a backup holds.
type Manifest struct {
	Format        string      `json:"format"`
	Version       int         `json:"version"`
	CreatedAt     time.Time   `json:"created_at"`
	TakenAt       time.Time   `json:"taken_at"`       // the moment whose state it holds
	Heartlock     string      `json:"heartlock"`      // version of the program
	SchemaVersion int         `json:"schema_version"` // of the database
	Engine        string      `json:"engine"`         // "sqlite" or "postgres"; it can be restored into either
	Keys          []string    `json:"keys"`           // fingerprints of the keys that values are under, the one that seals first
	RetiredKeys   []string    `json:"retired_keys"`   // fingerprints of those that nothing is under any more
	Tables        []TableInfo `json:"tables"`         // in the order in which they follow
}

// TableInfo is a table and the number of its rows.
type TableInfo struct {
	Name string `json:"name"`
	Rows int64  `json:"rows"`
}

// Rows is the number of rows of a table.
func (m Manifest) Rows(table string) int64 {
	for _, t := range m.Tables {
		if t.Name == table {
			return t.Rows
		}
	}
	return 0
}

// ErrDamaged is the cause of every error that says that a file is not whole.
var ErrDamaged = errors.New("the backup is damaged")

func damaged(cause string) error {
	return fault.Wrap(fault.Invalid, errors.Join(ErrDamaged, errors.New(cause)), "The backup is damaged: "+cause+". Use another one.")
}

// The lines that are objects. Exactly one of the members is there.
type (
	manifestLine struct {
		Manifest Manifest `json:"manifest"`
	}
	keysLine struct {
		Keys []string `json:"keys"`
	}
	tableLine struct {
		Table   string   `json:"table"`
		Columns []string `json:"columns"`
	}
	endLine struct {
		End    string `json:"end"`
		Rows   int64  `json:"rows"`
		SHA256 string `json:"sha256"`
	}
	lastLine struct {
		End    string `json:"end"`
		SHA256 string `json:"sha256"`
	}
)

// lastEnd is what the last line ends.
const lastEnd = "backup"
