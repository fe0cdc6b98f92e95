package backup

import (
	"bufio"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"strconv"

	"filippo.io/age"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Writer writes a backup: the tables of the manifest in their order, each with
// its rows, then the end. Its methods must be called in that order; an error
// makes the file worthless.
type Writer struct {
	encrypted  io.WriteCloser
	compressed *gzip.Writer
	out        *bufio.Writer
	all        hash.Hash // over every line
	rows       hash.Hash // over the rows of the table
	manifest   Manifest
	tables     int // begun
	columns    []Column
	count      int64
	line       []byte
}

const bufferBytes = 256 << 10

// NewWriter begins a backup. The format, the version and whether keys are carried
// are filled into the manifest here.
func NewWriter(w io.Writer, m Manifest, e Encryption) (*Writer, error) {
	to, err := e.recipient()
	if err != nil {
		return nil, err
	}
	m.Format, m.Version, m.CarriesKeys = formatName, version, e.byPassphrase()
	out := &Writer{manifest: m, all: sha256.New(), rows: sha256.New()}
	if out.encrypted, err = age.Encrypt(w, to); err != nil {
		return nil, err
	}
	if out.compressed, err = gzip.NewWriterLevel(out.encrypted, gzip.BestSpeed); err != nil {
		return nil, err
	}
	out.out = bufio.NewWriterSize(out.compressed, bufferBytes)
	if err := out.object(m); err != nil || !m.CarriesKeys {
		return out, err
	}
	var keys keysLine
	for _, k := range e.Keys {
		keys.Keys = append(keys.Keys, k.Encode())
	}
	return out, out.object(keys)
}

// object writes a line that is no row.
func (w *Writer) object(v any) error {
	line, err := json.Marshal(v)
	if err != nil {
		return err
	}
	w.line = append(append(w.line[:0], line...), '\n')
	return w.write()
}

func (w *Writer) write() error {
	if len(w.line) > maxLine {
		return fmt.Errorf("a line has %d bytes", len(w.line))
	}
	_, _ = w.all.Write(w.line) // a hash takes everything
	_, err := w.out.Write(w.line)
	return err
}

// Table ends the table before and begins the next one of the manifest.
func (w *Writer) Table(name string, columns []Column) error {
	if err := w.endTable(); err != nil {
		return err
	}
	if w.tables >= len(w.manifest.Tables) || w.manifest.Tables[w.tables].Name != name {
		return fmt.Errorf("table %s is not the next of the manifest", name)
	}
	w.tables++
	w.columns, w.count = columns, 0
	w.rows.Reset()
	head := headLine{Table: name}
	for _, c := range columns {
		head.Columns = append(head.Columns, [2]string{c.Name, string(c.Kind)})
	}
	return w.object(head)
}

// endTable writes what ends the rows of a table, if one was begun.
func (w *Writer) endTable() error {
	if w.tables == 0 {
		return nil
	}
	if want := w.manifest.Tables[w.tables-1]; w.count != want.Rows {
		return fmt.Errorf("table %s has %d rows and not %d", want.Name, w.count, want.Rows)
	}
	return w.object(footLine{Rows: w.count, SHA256: hex.EncodeToString(w.rows.Sum(nil))})
}

// Row writes a row of the table: for each column a value of the type of its
// kind, or nil.
func (w *Writer) Row(values []any) error {
	if len(values) != len(w.columns) {
		return errors.New("a row has another number of values than the table has columns")
	}
	line := append(w.line[:0], '[')
	for i, value := range values {
		if i > 0 {
			line = append(line, ',')
		}
		var err error
		if line, err = appendValue(line, w.columns[i].Kind, value); err != nil {
			return fmt.Errorf("column %s: %w", w.columns[i].Name, err)
		}
	}
	w.line = append(line, ']', '\n')
	_, _ = w.rows.Write(w.line)
	w.count++
	return w.write()
}

var errKind = errors.New("a value is not of the kind of its column")

func appendValue(line []byte, kind Kind, value any) ([]byte, error) {
	switch v := value.(type) {
	case nil:
		return append(line, "null"...), nil
	case string:
		if kind == Text {
			return jsontext.AppendQuote(line, v)
		}
	case int64:
		if kind == Int {
			return strconv.AppendInt(line, v, 10), nil
		}
	case bool:
		if kind == Bool {
			return strconv.AppendBool(line, v), nil
		}
	case []byte:
		if kind == Bytes {
			line = append(line, '"')
			line = base64.StdEncoding.AppendEncode(line, v)
			return append(line, '"'), nil
		}
	}
	return line, errKind
}

// Close ends the backup. Without it the file is worthless. It does not close the
// writer below.
func (w *Writer) Close() error {
	if err := w.endTable(); err != nil {
		return err
	}
	if w.tables != len(w.manifest.Tables) {
		return errors.New("a table of the manifest is missing")
	}
	if err := w.object(endLine{SHA256: hex.EncodeToString(w.all.Sum(nil))}); err != nil {
		return err
	}
	for _, end := range []func() error{w.out.Flush, w.compressed.Close, w.encrypted.Close} {
		if err := end(); err != nil {
			return err
		}
	}
	return nil
}
