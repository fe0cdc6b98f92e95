package backup

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"regexp"
	"strconv"

	"filippo.io/age"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/keyring"
)

// Reader reads a backup from its start to its end, once. Nothing that it gave
// may be relied on before NextTable has returned io.EOF.
type Reader struct {
	decrypted *bufio.Reader
	in        *bufio.Reader // the lines
	all       hash.Hash
	rows      hash.Hash
	manifest  Manifest
	keys      []keyring.Key
	tables    int // begun
	columns   []Column
	count     int64
	inTable   bool
	long      []byte // a line that did not fit into the buffer
	decoder   *jsontext.Decoder
	source    *bytes.Reader
}

// NewReader opens a backup and reads its manifest. [NeedsKey] says that the key
// is not at hand; a wrong or missing passphrase is fault.Usage; a file that is
// no backup, or none that this release reads, is fault.Invalid.
func NewReader(r io.Reader, o Opener) (*Reader, error) {
	decrypted, err := age.Decrypt(bufio.NewReaderSize(r, bufferBytes), identity{o})
	if err != nil {
		return nil, headerProblem(err)
	}
	in := &Reader{all: sha256.New(), rows: sha256.New(), source: bytes.NewReader(nil)}
	in.decoder = jsontext.NewDecoder(in.source)
	// gzip reads no more than it needs from what can give single bytes, so that
	// what follows its end is found.
	in.decrypted = bufio.NewReaderSize(decrypted, bufferBytes)
	compressed, err := gzip.NewReader(in.decrypted)
	if err != nil {
		return nil, damaged("it can not be decrypted or decompressed", withoutEOF(err))
	}
	compressed.Multistream(false)
	in.in = bufio.NewReaderSize(compressed, bufferBytes)
	if err := in.readManifest(); err != nil {
		return nil, err
	}
	return in, in.readKeys()
}

// withoutEOF hides io.EOF, which stands for a right end, from who asks.
func withoutEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// headerProblem words what age says of a file's header.
func headerProblem(err error) error {
	var needs NeedsKey
	switch {
	case errors.As(err, &needs):
		return needs
	case fault.As(err) != nil:
		return fault.As(err)
	}
	return fault.Wrap(fault.Invalid, fmt.Errorf("%w: %w", ErrDamaged, withoutEOF(err)), "This is no backup of Heartlock, or its beginning is damaged.")
}

func (r *Reader) readManifest() error {
	line, err := r.line()
	if err != nil {
		return err
	}
	var format struct { // all that a later version promises to keep
		Format  string         `json:"format"`
		Version int            `json:"version"`
		Rest    jsontext.Value `json:",unknown"`
	}
	if err := json.Unmarshal(line, &format); err != nil || format.Format != formatName || format.Version < 1 {
		return damaged("it does not begin as a backup does", err)
	}
	if format.Version > version {
		return fault.Newf(fault.Invalid, "The backup was made by a newer heartlock (format %d; this one reads up to %d). Use the release that made it, or a newer one.", format.Version, version)
	}
	if err := decode(line, &r.manifest); err != nil {
		return damaged("its manifest is not whole", err)
	}
	r.hash(line)
	return r.checkManifest()
}

// identifier is what a table and a column may be called.
var identifier = regexp.MustCompile(`^[a-z][a-z0-9_]{0,62}$`)

func (r *Reader) checkManifest() error {
	seen := map[string]bool{}
	for _, t := range r.manifest.Tables {
		if !identifier.MatchString(t.Name) || seen[t.Name] || t.Rows < 0 {
			return damaged("its manifest names tables wrongly", nil)
		}
		seen[t.Name] = true
	}
	return nil
}

func (r *Reader) readKeys() error {
	if !r.manifest.CarriesKeys {
		return nil
	}
	var keys keysLine
	if err := r.object(&keys); err != nil {
		return err
	}
	for _, text := range keys.Keys {
		key, err := keyring.ParseKey(text)
		if err != nil {
			return damaged("it carries a key that is none", err)
		}
		r.keys = append(r.keys, key)
	}
	return nil
}

// Manifest describes the backup.
func (r *Reader) Manifest() Manifest { return r.manifest }

// Keys are the encryption keys that the file carries; none unless it is
// encrypted with a passphrase.
func (r *Reader) Keys() []keyring.Key { return r.keys }

// NextTable begins the next table, whose rows Row then gives; those of the table
// before must have been read to their end. After the last one it sees that the
// file ends as it should and returns io.EOF.
func (r *Reader) NextTable() (Table, []Column, error) {
	if r.inTable {
		return Table{}, nil, errors.New("the table was not read to its end")
	}
	if r.tables == len(r.manifest.Tables) {
		return Table{}, nil, r.end()
	}
	var head headLine
	if err := r.object(&head); err != nil {
		return Table{}, nil, err
	}
	table := r.manifest.Tables[r.tables]
	if head.Table != table.Name {
		return Table{}, nil, damaged("table "+table.Name+" is missing where it should be", nil)
	}
	columns, err := head.columns()
	if err != nil {
		return Table{}, nil, err
	}
	r.tables++
	r.columns, r.count, r.inTable = columns, 0, true
	r.rows.Reset()
	return table, columns, nil
}

// columns checks those of a table.
func (h headLine) columns() ([]Column, error) {
	if len(h.Columns) > maxColumns {
		return nil, damaged("table "+h.Table+" has too many columns", nil)
	}
	columns := make([]Column, 0, len(h.Columns))
	seen := map[string]bool{}
	for _, c := range h.Columns {
		column := Column{Name: c[0], Kind: Kind(c[1])}
		switch column.Kind {
		case Text, Int, Bool, Bytes:
		default:
			return nil, damaged("table "+h.Table+" has a column of an unknown kind", nil)
		}
		if !identifier.MatchString(column.Name) || seen[column.Name] {
			return nil, damaged("table "+h.Table+" names its columns wrongly", nil)
		}
		seen[column.Name] = true
		columns = append(columns, column)
	}
	return columns, nil
}

// Row reads the next row of the table into values, which must have as many
// elements as the table has columns. After the last row it sees that the rows are
// those that were written and returns io.EOF.
func (r *Reader) Row(values []any) error {
	line, err := r.line()
	if err != nil {
		return err
	}
	if line[0] != '[' {
		return r.endTable(line)
	}
	table := r.manifest.Tables[r.tables-1]
	if r.count == table.Rows {
		return damaged("table "+table.Name+" has more rows than it should", nil)
	}
	r.count++
	_, _ = r.rows.Write(line) // a hash takes everything
	r.hash(line)
	if err := r.values(line, values); err != nil {
		return damaged(fmt.Sprintf("row %d of table %s is not whole", r.count, table.Name), withoutEOF(err))
	}
	return nil
}

// values parses a row.
func (r *Reader) values(line []byte, values []any) error {
	if len(values) != len(r.columns) {
		return errKind
	}
	r.source.Reset(line)
	r.decoder.Reset(r.source)
	if _, err := r.decoder.ReadToken(); err != nil {
		return err
	}
	for i, c := range r.columns {
		token, err := r.decoder.ReadToken()
		if err != nil {
			return err
		}
		if values[i], err = value(token, c.Kind); err != nil {
			return fmt.Errorf("column %s: %w", c.Name, err)
		}
	}
	if token, err := r.decoder.ReadToken(); err != nil || token.Kind() != ']' {
		return errors.Join(errKind, err)
	}
	if _, err := r.decoder.ReadToken(); err != io.EOF {
		return errors.Join(errKind, err)
	}
	return nil
}

func value(token jsontext.Token, kind Kind) (any, error) {
	switch token.Kind() {
	case 'n':
		return nil, nil
	case '"':
		switch kind {
		case Text:
			return token.String(), nil
		case Bytes:
			return base64.StdEncoding.Strict().DecodeString(token.String())
		}
	case '0':
		if kind == Int {
			return strconv.ParseInt(token.String(), 10, 64)
		}
	case 't', 'f':
		if kind == Bool {
			return token.Bool(), nil
		}
	}
	return nil, errKind
}

// endTable checks the line after the rows.
func (r *Reader) endTable(line []byte) error {
	table := r.manifest.Tables[r.tables-1]
	var foot footLine
	if err := decode(line, &foot); err != nil {
		return damaged("table "+table.Name+" does not end as it should", withoutEOF(err))
	}
	if foot.Rows != r.count || r.count != table.Rows {
		return damaged(fmt.Sprintf("table %s has %d rows and should have %d", table.Name, r.count, table.Rows), nil)
	}
	if foot.SHA256 != hex.EncodeToString(r.rows.Sum(nil)) {
		return damaged("the rows of table "+table.Name+" are not those that were written", nil)
	}
	r.hash(line)
	r.inTable = false
	return io.EOF
}

// end checks the last line and that nothing follows, in any of the layers.
func (r *Reader) end() error {
	sum := hex.EncodeToString(r.all.Sum(nil))
	var end endLine
	if err := r.object(&end); err != nil {
		return err
	}
	if end.SHA256 != sum {
		return damaged("it is not what was written", nil)
	}
	for _, layer := range []*bufio.Reader{r.in, r.decrypted} {
		if _, err := layer.ReadByte(); err != io.EOF {
			return damaged("something follows its end", err)
		}
	}
	return io.EOF
}

// object reads a line that is no row.
func (r *Reader) object(v any) error {
	line, err := r.line()
	if err != nil {
		return err
	}
	if err := decode(line, v); err != nil {
		return damaged("a line is not what it should be", withoutEOF(err))
	}
	r.hash(line)
	return nil
}

func decode(line []byte, v any) error {
	return json.Unmarshal(line, v, json.RejectUnknownMembers(true))
}

func (r *Reader) hash(line []byte) { _, _ = r.all.Write(line) } // a hash takes everything

// line reads the next line with its end. It is valid until the next call.
func (r *Reader) line() ([]byte, error) {
	line, err := r.in.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		r.long = append(r.long[:0], line...)
		for errors.Is(err, bufio.ErrBufferFull) {
			if len(r.long) > maxLine {
				return nil, damaged("a line in it is too long", nil)
			}
			line, err = r.in.ReadSlice('\n')
			r.long = append(r.long, line...)
		}
		line = r.long
	}
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return nil, damaged("it ends too early", withoutEOF(err))
	case err != nil:
		return nil, damaged("it can not be decrypted or decompressed to its end", err)
	}
	return line, nil
}
