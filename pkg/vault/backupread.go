package vault

import (
	"context"
	"errors"
	"io"
	"slices"

	"github.com/heartlock/heartlock/pkg/backup"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/keyring"
)

// BackupSource opens a backup from its start. It is called more than once where
// something has to be looked up.
type BackupSource func() (*backup.Reader, io.Closer, error)

// BackupContent is what was found in a backup.
type BackupContent struct {
	Manifest backup.Manifest
	Opened   int64            // values that were opened, former versions included
	Damaged  []DamagedSecret  // those that no key opens, up to MaxDamaged
	More     int64            // those beyond MaxDamaged
	Missing  map[string]int64 // values whose key is not at hand, by its fingerprint; they count as damaged
}

// DamagedCount is how many values no key opens.
func (c BackupContent) DamagedCount() int64 { return int64(len(c.Damaged)) + c.More }

// VerifyBackup reads a whole backup, checks every sum in it, and opens every
// value with one of the keys, or of those that the backup carries. It changes
// nothing and needs no database. Values that do not open are part of the result
// and no error. It is for the server's operator alone.
func VerifyBackup(ctx context.Context, source BackupSource, keys []keyring.Key, progress func(done, total int64)) (BackupContent, error) {
	r, file, err := source()
	if err != nil {
		return BackupContent{}, err
	}
	defer func() { _ = file.Close() }()
	ring, err := ringOf(append(slices.Clone(keys), r.Keys()...))
	if err != nil {
		return BackupContent{}, err
	}
	stream := newBackupStream(r, ring, "", progress)
	for {
		err := stream.nextTable()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return stream.content, err
		}
		for {
			_, err := stream.next(ctx)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return stream.content, err
			}
		}
	}
	return stream.content, stream.nameDamaged(ctx, source)
}

// ringOf is a ring of keys of which some may be given twice.
func ringOf(keys []keyring.Key) (*keyring.Ring, error) {
	var once []keyring.Key
	for _, k := range keys {
		if !slices.ContainsFunc(once, k.Equal) {
			once = append(once, k)
		}
	}
	if len(once) == 0 {
		return nil, fault.New(fault.Usage, "There is no encryption key.")
	}
	return keyring.NewRing(once[0], once[1:]...)
}

// backupStream reads the rows of a backup and opens, on all processors, the
// values in them. With to, the fingerprint of a key, values that are under
// another key are put under that one.
type backupStream struct {
	reader   *backup.Reader
	ring     *keyring.Ring
	to       string
	progress func(done, total int64)
	total    int64
	done     int64
	content  BackupContent
	places   map[string]place // of environments and projects, by their ids
	resealed int64

	table    string
	columns  []backup.Column
	at       map[string]int // columns by name
	rows     [][]any        // a batch
	failures []bool         // by row of the batch
	position int            // row of the batch
	ended    bool           // the table has no more rows
	unnamed  []unnamed
}

// place is an environment, or where it belongs to.
type place struct{ project, environment string }

// unnamed is a damaged value of a former version, whose environment is not known
// yet.
type unnamed struct {
	index    int // in content.Damaged
	secretID int64
}

func newBackupStream(r *backup.Reader, ring *keyring.Ring, to string, progress func(done, total int64)) *backupStream {
	s := &backupStream{
		reader: r, ring: ring, to: to, progress: progress, total: r.Manifest().Rows(),
		content: BackupContent{Manifest: r.Manifest(), Missing: map[string]int64{}}, places: map[string]place{},
	}
	s.rows = make([][]any, DefaultBatch)
	s.failures = make([]bool, DefaultBatch)
	return s
}

// nextTable begins the next table; io.EOF is the right end of the backup.
func (s *backupStream) nextTable() error {
	table, columns, err := s.reader.NextTable()
	if err != nil {
		return err
	}
	s.table, s.columns, s.ended = table.Name, columns, false
	s.at = map[string]int{}
	for i, c := range columns {
		s.at[c.Name] = i
	}
	s.rows, s.position = s.rows[:cap(s.rows)], 0
	for i := range s.rows {
		s.rows[i] = make([]any, len(columns))
	}
	s.rows = s.rows[:0]
	return nil
}

// next is the next row of the table, valid until the next call, or io.EOF.
func (s *backupStream) next(ctx context.Context) ([]any, error) {
	if s.position == len(s.rows) {
		if s.ended {
			return nil, io.EOF
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := s.readBatch(); err != nil {
			return nil, err
		}
		if len(s.rows) == 0 {
			return nil, io.EOF
		}
	}
	s.position++
	return s.rows[s.position-1], nil
}

// batchBytes bounds, beside DefaultBatch, what a batch holds: values may be
// large, and a server reads its own backups back beside everything else.
const batchBytes = 4 << 20

// readBatch reads rows, and opens what is sealed in them.
func (s *backupStream) readBatch() error {
	s.rows, s.position = s.rows[:cap(s.rows)], 0
	n, size := 0, 0
	for n < len(s.rows) && size < batchBytes {
		err := s.reader.Row(s.rows[n])
		if errors.Is(err, io.EOF) {
			s.ended = true
			break
		}
		if err != nil {
			return err
		}
		size += rowBytes(s.rows[n])
		n++
	}
	s.rows = s.rows[:n]
	s.remember()
	s.open()
	s.done += int64(n)
	if s.progress != nil {
		s.progress(s.done, s.total)
	}
	return nil
}

// rowBytes is about how much memory the values of a row take.
func rowBytes(row []any) (n int) {
	for _, value := range row {
		switch v := value.(type) {
		case string:
			n += len(v)
		case []byte:
			n += len(v)
		}
	}
	return n
}

// remember keeps the names of projects and environments, to say where a damaged
// value is.
func (s *backupStream) remember() {
	for _, row := range s.rows {
		switch s.table {
		case "projects":
			s.places[s.text(row, "id")] = place{project: s.text(row, "slug")}
		case "environments":
			in := s.places[s.text(row, "project_id")]
			in.environment = s.text(row, "slug")
			s.places[s.text(row, "id")] = in
		}
	}
}

func (s *backupStream) text(row []any, column string) string {
	if i, ok := s.at[column]; ok {
		text, _ := row[i].(string)
		return text
	}
	return ""
}

func (s *backupStream) number(row []any, column string) int64 {
	if i, ok := s.at[column]; ok {
		n, _ := row[i].(int64)
		return n
	}
	return 0
}

// open opens the sealed values of the batch. A table has some if it has the
// columns sealed and key_fingerprint.
func (s *backupStream) open() {
	sealed, has := s.at["sealed"]
	under, also := s.at["key_fingerprint"]
	if !has || !also {
		return
	}
	failures, changed := s.failures[:len(s.rows)], make([]bool, len(s.rows))
	clear(failures)
	inParallel(len(s.rows), func(i int) {
		token, isSealed := s.rows[i][sealed].(string)
		if !isSealed {
			return // a deleted secret
		}
		hint, _ := s.rows[i][under].(string)
		if s.to == "" || s.to == hint {
			_, err := s.ring.Open([]byte(token), hint)
			failures[i] = err != nil
			return
		}
		again, err := s.ring.Reseal(token, hint, s.to)
		if err != nil {
			failures[i] = true
			return
		}
		s.rows[i][sealed], s.rows[i][under] = again, s.to
		changed[i] = true
	})
	for i, row := range s.rows {
		switch {
		case row[sealed] == nil:
		case failures[i]:
			s.damaged(row)
		default:
			s.content.Opened++
		}
		if changed[i] {
			s.resealed++
		}
	}
}

func (s *backupStream) damaged(row []any) {
	fingerprint := s.text(row, "key_fingerprint")
	if !s.ring.Has(fingerprint) {
		s.content.Missing[fingerprint]++
	}
	if len(s.content.Damaged) == MaxDamaged {
		s.content.More++
		return
	}
	in := s.places[s.text(row, "environment_id")]
	if _, former := s.at["secret_id"]; former {
		s.unnamed = append(s.unnamed, unnamed{len(s.content.Damaged), s.number(row, "secret_id")})
	}
	s.content.Damaged = append(s.content.Damaged, DamagedSecret{in.project, in.environment, s.text(row, "key"), s.number(row, "version"), fingerprint})
}

// nameDamaged finds out where the damaged former versions belong, by reading the
// secrets of the backup once more.
func (s *backupStream) nameDamaged(ctx context.Context, source BackupSource) error {
	if len(s.unnamed) == 0 {
		return nil
	}
	r, file, err := source()
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	again := newBackupStream(r, s.ring, "", nil)
	for again.table != "secrets" {
		if again.table != "" {
			if err := again.skip(ctx); err != nil {
				return err
			}
		}
		if err := again.nextTable(); err != nil {
			return err
		}
	}
	return again.eachRaw(ctx, func(row []any) {
		for _, u := range s.unnamed {
			if again.number(row, "id") == u.secretID {
				in := s.places[again.text(row, "environment_id")]
				s.content.Damaged[u.index].Project, s.content.Damaged[u.index].Environment = in.project, in.environment
			}
		}
	})
}

// skip reads over the rows of the table.
func (s *backupStream) skip(ctx context.Context) error { return s.eachRaw(ctx, func([]any) {}) }

// eachRaw calls do with the rows of the table as they are in the file.
func (s *backupStream) eachRaw(ctx context.Context, do func(row []any)) error {
	row := make([]any, len(s.columns))
	for {
		err := s.reader.Row(row)
		if errors.Is(err, io.EOF) {
			return ctx.Err()
		}
		if err != nil {
			return err
		}
		do(row)
	}
}
