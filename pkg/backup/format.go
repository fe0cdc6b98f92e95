// Package backup is the file format of Heartlock's backups: it writes and reads
// them, and knows neither a database nor what the tables mean.
//
// # The file
//
// A backup is a file in the format of age (https://age-encryption.org/v1). What
// it encrypts is compressed with gzip (RFC 1952), and holds lines of JSON:
//
//	{"format":"heartlock backup","version":1,…}   the manifest
//	{"keys":["…"]}                                only with a passphrase
//	{"table":"users","columns":[["id","text"],…]}
//	["0199…","ann@example.com",…]                 one line for each row
//	{"rows":2,"sha256":"…"}                       over the lines of the rows
//	…                                             the other tables of the manifest
//	{"sha256":"…"}                                over every line before this one
//
// A time is a number of microseconds since 1970 in UTC where it is data of a
// table, and RFC 3339 in the manifest. The bytes of a column are standard base64.
//
// # Who can open it
//
// Either whoever has the instance's encryption key, by a stanza of the type
// heartlock (see instanceRecipient); the file then says which key it needs, and
// carries none. Or whoever knows a passphrase, by age's own scrypt stanza; then
// the file carries the instance's keys too, so that the passphrase is enough.
//
// # What a reader promises
//
// It hands nothing out of a file that was changed (age authenticates every 64
// KiB before they are seen), and reports one that is truncated, reordered, goes on
// after its end, or holds other rows than it says; what was read before must then
// be dropped. It holds one line in memory, and refuses lines that are too long and
// rows that are too many, so that no file can fill the memory or run for ever.
package backup

import (
	"errors"
	"fmt"
	"time"

	"github.com/heartlock/heartlock/pkg/fault"
)

// What the first line says. A reader refuses another format, and any later
// version.
const (
	formatName = "heartlock backup"
	version    = 1
)

// maxLine bounds a line in bytes: many times the longest row that there can be.
const maxLine = 4 << 20

// maxColumns bounds the columns of a table, because who reads makes room for many
// rows of that width.
const maxColumns = 200

// Manifest describes a backup.
type Manifest struct {
	Format        string     `json:"format"`
	Version       int        `json:"version"`
	CreatedAt     time.Time  `json:"created_at"`
	TakenAt       time.Time  `json:"taken_at"`  // everything that was acknowledged before is in it
	Heartlock     string     `json:"heartlock"` // version of the program
	SchemaVersion int        `json:"schema_version"`
	Engine        string     `json:"engine"` // "sqlite" or "postgres"
	Keys          []KnownKey `json:"keys"`   // that the instance knew, the one that seals first
	CarriesKeys   bool       `json:"carries_keys"`
	Tables        []Table    `json:"tables"` // in the order of the file
}

// KnownKey is an encryption key that the instance knew, by its fingerprint.
type KnownKey struct {
	Fingerprint string     `json:"fingerprint"`
	CreatedAt   time.Time  `json:"created_at"`
	RetiredAt   *time.Time `json:"retired_at"` // null: something may be sealed with it
}

// Table is a table of a backup and how many rows it has there.
type Table struct {
	Name string `json:"name"`
	Rows int64  `json:"rows"`
}

// Rows is the number of all rows.
func (m Manifest) Rows() (n int64) {
	for _, t := range m.Tables {
		n += t.Rows
	}
	return n
}

// Kind is what a column holds. Any of them may be null.
type Kind string

// The kinds, with the Go type of their values.
const (
	Text  Kind = "text"  // string
	Int   Kind = "int"   // int64
	Bool  Kind = "bool"  // bool
	Bytes Kind = "bytes" // []byte
)

// Column is a column of a table.
type Column struct {
	Name string
	Kind Kind
}

// The other lines.
type (
	keysLine struct {
		Keys []string `json:"keys"`
	}
	headLine struct {
		Table   string      `json:"table"`
		Columns [][2]string `json:"columns"` // name, kind
	}
	footLine struct {
		Rows   int64  `json:"rows"`
		SHA256 string `json:"sha256"`
	}
	endLine struct {
		SHA256 string `json:"sha256"`
	}
)

// ErrDamaged says that a file is no whole backup: it is truncated, was changed,
// or was never one.
var ErrDamaged = errors.New("the backup is damaged")

// damaged tells a person that the file can not be relied on. why is for the
// person too and must not repeat what is in the file.
func damaged(why string, cause error) error {
	if cause == nil {
		cause = ErrDamaged
	} else {
		cause = fmt.Errorf("%w: %w", ErrDamaged, cause)
	}
	return fault.Wrap(fault.Invalid, cause, "The backup is damaged: "+why+".")
}
