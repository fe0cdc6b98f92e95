package backup

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"strconv"

	"filippo.io/age"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/keyring"
)

// Reader reads a backup from its beginning to its end. Only what it has read to
// the end is known to be whole: what is done with rows before must be undone if
// an error follows.
type Reader struct {
	packed   *gzip.Reader
	in       *bufio.Reader
	manifest Manifest
	kind     LockKind
	keys     []keyring.Key
	all      hash.Hash
	rows     hash.Hash
	table    int
	inTable  bool
	columns  int
	count    int64
	row      []any
}

// NewReader opens a backup and reads its manifest.
func NewReader(r io.Reader, keys Keys) (*Reader, error) {
	file := bufio.NewReaderSize(r, 64<<10)
	kind, err := KindOf(file)
	if err != nil {
		return nil, err
	}
	identity, err := keys.identity(kind)
	if err != nil {
		return nil, err
	}
	opened, err := age.Decrypt(file, identity)
	if err != nil {
		return nil, keys.refused(kind, err)
	}
	packed, err := gzip.NewReader(opened)
	if err != nil {
		return nil, damaged("it can not be decompressed")
	}
	packed.Multistream(false)
	out := &Reader{
		packed: packed, in: bufio.NewReaderSize(packed, maxLine), kind: kind,
		all: sha256.New(), rows: sha256.New(), table: -1,
	}
	return out, out.begin()
}

// Manifest says what the backup holds.
func (r *Reader) Manifest() Manifest { return r.manifest }

// Kind says what the file is encrypted to.
func (r *Reader) Kind() LockKind { return r.kind }

// Keys are the encryption keys that a file under a passphrase carries.
func (r *Reader) Keys() []keyring.Key { return r.keys }

// begin reads what comes before the tables.
func (r *Reader) begin() error {
	var first manifestLine
	line, err := r.summed()
	if err != nil {
		return err
	}
	// A newer manifest may have members that this program does not know.
	if err := json.Unmarshal(line, &first); err != nil || first.Manifest.Format != FormatName {
		return damaged("it does not begin with a manifest")
	}
	m := first.Manifest
	if m.Version != FormatVersion {
		return fault.Newf(fault.Usage, "This backup has form %d, and this heartlock (which reads form %d) does not know it: it was made by a newer heartlock, %s. Use that one.", m.Version, FormatVersion, printable(m.Heartlock))
	}
	r.manifest = m
	if !r.kind.Passphrase {
		return nil
	}
	var carried keysLine
	if err := r.object(&carried); err != nil {
		return err
	}
	for _, text := range carried.Keys {
		key, err := keyring.ParseKey(text)
		if err != nil {
			return damaged("a key in it is none")
		}
		r.keys = append(r.keys, key)
	}
	return nil
}

// printable keeps a foreign text from steering a terminal.
func printable(text string) string {
	return fmt.Sprintf("%.40q", text)
}

// line reads a line, which stays valid until the next one.
func (r *Reader) line() ([]byte, error) {
	line, err := r.in.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return nil, damaged("a line is too long")
	case err != nil:
		return nil, damaged("it ends too early, or was changed")
	}
	return line, nil
}

// object reads a line that is no row into v.
func (r *Reader) object(v any) error {
	line, err := r.summed()
	if err != nil {
		return err
	}
	return decodeObject(line, v)
}

func decodeObject(line []byte, v any) error {
	if err := json.Unmarshal(line, v, json.RejectUnknownMembers(true)); err != nil {
		return damaged("a line is not as it should be")
	}
	return nil
}

// summed is line that counts for the sum over all lines.
func (r *Reader) summed() ([]byte, error) {
	line, err := r.line()
	_, _ = r.all.Write(line) // a hash takes everything
	return line, err
}

// NextTable goes to the next table. After the last one it sees that the file is
// whole and returns io.EOF.
func (r *Reader) NextTable() (name string, columns []string, err error) {
	if r.inTable {
		return "", nil, errors.New("the rows of a table were not read")
	}
	r.table++
	if r.table == len(r.manifest.Tables) {
		return "", nil, r.end()
	}
	var begin tableLine
	if err := r.object(&begin); err != nil {
		return "", nil, err
	}
	if begin.Table != r.manifest.Tables[r.table].Name || len(begin.Columns) == 0 {
		return "", nil, damaged("its tables do not follow its manifest")
	}
	r.inTable, r.count, r.columns = true, 0, len(begin.Columns)
	r.rows.Reset()
	return begin.Table, begin.Columns, nil
}

// Row reads a row: nil, string, int64 or bool for each column, bytes as base64.
// After the last row of the table it is io.EOF.
func (r *Reader) Row() ([]any, error) {
	line, err := r.summed()
	if err != nil {
		return nil, err
	}
	if line[0] != '[' {
		return nil, r.endTable(line)
	}
	_, _ = r.rows.Write(line)
	r.count++
	row, err := parseRow(line, r.columns)
	if err != nil {
		return nil, damaged(fmt.Sprintf("row %d of %s is not as it should be", r.count, r.manifest.Tables[r.table].Name))
	}
	return row, nil
}

var errRow = errors.New("not a row")

func parseRow(line []byte, columns int) ([]any, error) {
	d := jsontext.NewDecoder(bytes.NewReader(line))
	if _, err := d.ReadToken(); err != nil { // the bracket
		return nil, err
	}
	row := make([]any, 0, columns)
	for d.PeekKind() != ']' {
		token, err := d.ReadToken()
		if err != nil {
			return nil, err
		}
		value, err := valueOf(token)
		if err != nil {
			return nil, err
		}
		row = append(row, value)
	}
	if _, err := d.ReadToken(); err != nil || len(row) != columns {
		return nil, errRow
	}
	if _, err := d.ReadToken(); !errors.Is(err, io.EOF) {
		return nil, errRow
	}
	return row, nil
}

func valueOf(token jsontext.Token) (any, error) {
	switch token.Kind() {
	case 'n':
		return nil, nil
	case '"':
		return token.String(), nil
	case 't', 'f':
		return token.Bool(), nil
	case '0':
		return strconv.ParseInt(token.String(), 10, 64)
	}
	return nil, errRow
}

// endTable checks a table against its last line, which was read.
func (r *Reader) endTable(line []byte) error {
	var end endLine
	if err := decodeObject(line, &end); err != nil {
		return err
	}
	t := r.manifest.Tables[r.table]
	if end.End != t.Name || end.Rows != r.count || r.count != t.Rows || end.SHA256 != hex.EncodeToString(r.rows.Sum(nil)) {
		return damaged("the table " + t.Name + " is not whole")
	}
	r.inTable = false
	return io.EOF
}

// end checks the last line, and that nothing follows it.
func (r *Reader) end() error {
	want := hex.EncodeToString(r.all.Sum(nil))
	line, err := r.line()
	if err != nil {
		return err
	}
	var last lastLine
	if err := decodeObject(line, &last); err != nil {
		return err
	}
	if last.End != lastEnd || last.SHA256 != want {
		return damaged("its sum is not right")
	}
	if _, err := r.in.ReadByte(); !errors.Is(err, io.EOF) {
		return damaged("something follows its end")
	}
	return io.EOF
}
