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
	"time"

	"filippo.io/age"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/heartlock/heartlock/pkg/keyring"
)

// Writer writes a backup. Tables follow in the order of the manifest, and each
// has as many rows as it says.
type Writer struct {
	sealed   io.WriteCloser
	packed   *gzip.Writer
	out      *bufio.Writer
	manifest Manifest
	all      hash.Hash // over every line
	rows     hash.Hash // over those of the table
	table    int       // of the manifest, which is being written
	count    int64
	columns  int
	line     []byte
}

// NewWriter begins a backup on w. The format's name and version are filled in;
// keys are the instance's encryption keys, which go into a file under a
// passphrase alone.
func NewWriter(w io.Writer, lock Lock, m Manifest, keys []keyring.Key) (*Writer, error) {
	recipient, err := lock.recipient()
	if err != nil {
		return nil, err
	}
	sealed, err := age.Encrypt(w, recipient)
	if err != nil {
		return nil, err
	}
	packed, err := gzip.NewWriterLevel(sealed, gzip.BestSpeed) // most of it is noise
	if err != nil {
		return nil, err
	}
	m.Format, m.Version, m.CreatedAt = FormatName, FormatVersion, time.Now().UTC()
	out := &Writer{
		sealed: sealed, packed: packed, out: bufio.NewWriterSize(packed, 64<<10), manifest: m,
		all: sha256.New(), rows: sha256.New(), table: -1,
	}
	if err := out.object(manifestLine{m}); err != nil {
		return nil, err
	}
	if lock.Passphrase == nil {
		return out, nil
	}
	texts := make([]string, len(keys))
	for i, k := range keys {
		texts[i] = k.Encode()
	}
	return out, out.object(keysLine{texts})
}

// object writes a line that is no row.
func (w *Writer) object(v any) error {
	line, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return w.write(append(line, '\n'))
}

func (w *Writer) write(line []byte) error {
	if len(line) > maxLine {
		return fmt.Errorf("a line of %d bytes is longer than a backup can hold", len(line))
	}
	_, _ = w.all.Write(line) // a hash takes everything
	_, err := w.out.Write(line)
	return err
}

var errOrder = errors.New("the tables do not follow the manifest")

// Table begins the next table of the manifest.
func (w *Writer) Table(name string, columns []string) error {
	w.table++
	if w.table >= len(w.manifest.Tables) || w.manifest.Tables[w.table].Name != name {
		return errOrder
	}
	w.rows.Reset()
	w.count, w.columns = 0, len(columns)
	return w.object(tableLine{name, columns})
}

// Row writes a row: nil, string, int64, bool or []byte for each column.
func (w *Writer) Row(values []any) error {
	if len(values) != w.columns {
		return fmt.Errorf("a row of %d columns in a table of %d", len(values), w.columns)
	}
	line := append(w.line[:0], '[')
	for i, v := range values {
		if i > 0 {
			line = append(line, ',')
		}
		var err error
		if line, err = appendValue(line, v); err != nil {
			return err
		}
	}
	w.line = append(line, ']', '\n')
	w.count++
	_, _ = w.rows.Write(w.line)
	return w.write(w.line)
}

func appendValue(line []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return append(line, "null"...), nil
	case string:
		return jsontext.AppendQuote(line, v)
	case []byte:
		line = append(line, '"')
		return append(base64.StdEncoding.AppendEncode(line, v), '"'), nil
	case int64:
		return strconv.AppendInt(line, v, 10), nil
	case bool:
		return strconv.AppendBool(line, v), nil
	}
	return line, fmt.Errorf("a column of type %T", v)
}

// EndTable ends a table.
func (w *Writer) EndTable() error {
	t := w.manifest.Tables[w.table]
	if w.count != t.Rows {
		return fmt.Errorf("the table %s has %d rows, not %d as the manifest says", t.Name, w.count, t.Rows)
	}
	return w.object(endLine{t.Name, w.count, hex.EncodeToString(w.rows.Sum(nil))})
}

// Close ends the backup. Without it the file is not whole, and will be refused.
func (w *Writer) Close() error {
	if w.table != len(w.manifest.Tables)-1 {
		return errOrder
	}
	if err := w.object(lastLine{lastEnd, hex.EncodeToString(w.all.Sum(nil))}); err != nil {
		return err
	}
	return errors.Join(w.out.Flush(), w.packed.Close(), w.sealed.Close())
}
