package vault

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/backup"
	"github.com/heartlock/heartlock/pkg/crashpoint"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/keyring"
	"github.com/heartlock/heartlock/pkg/store"
)

// BackupTarget says where the file of a backup is, for the list of backups.
type BackupTarget struct {
	Host string
	Path string // absolute; empty: standard output
}

// BackupRun is a backup that is being made. After Write it is finished or
// abandoned; one that is neither counts as given up.
type BackupRun struct {
	vault     *Vault
	principal Principal
	row       store.Backup
}

// BeginBackup enters a backup into the list of backups. Only a command on the
// server itself may.
func (v *Vault) BeginBackup(ctx context.Context, p Principal, to BackupTarget) (*BackupRun, error) {
	if _, err := admit(p, ActionBackup); err != nil {
		return nil, err
	}
	run := v.newBackupRun(p, to)
	return run, v.store.Write(ctx, func(ctx context.Context, tx store.Tx) error { return tx.InsertBackup(ctx, &run.row) })
}

// newBackupRun names the file as text: file systems allow names that are none,
// which no database and no later backup would take.
func (v *Vault) newBackupRun(p Principal, to BackupTarget) *BackupRun {
	return &BackupRun{vault: v, principal: p, row: store.Backup{
		ID: newID(), TakenAt: v.micros(), Host: clip(to.Host), Path: strings.ToValidUTF8(to.Path, "\uFFFD"),
	}}
}

// BackupOptions say how a backup is written.
type BackupOptions struct {
	// Passphrase encrypts the backup, which then carries the encryption keys; empty:
	// it is encrypted to the key that seals, and carries none.
	Passphrase api.Value
	Version    string                               // of this program
	Progress   func(what string, done, total int64) // may be nil
}

// progressEvery is after how many rows progress is told.
const progressEvery = 1000

// Write writes the backup: the state of one moment, whatever is written
// meanwhile, in memory that does not depend on how much there is. Everything that
// was acknowledged before Write was called is in it.
func (r *BackupRun) Write(ctx context.Context, w io.Writer, o BackupOptions) (backup.Manifest, error) {
	schema, err := r.vault.store.SchemaVersion(ctx)
	if err != nil {
		return backup.Manifest{}, err
	}
	d := &dump{run: r, options: o, schema: schema}
	r.row.TakenAt = r.vault.micros()
	err = r.vault.store.Snapshot(ctx, func(ctx context.Context, q store.Queries) error {
		if err := q.BeginDump(ctx); err != nil {
			return err
		}
		if err := d.describe(ctx, q); err != nil {
			return err
		}
		encryption, err := d.encryption()
		if err != nil {
			return err
		}
		r.row.EncryptedTo = encryption.To()
		return d.write(ctx, q, w, encryption)
	})
	return d.manifest, err
}

// dump is the writing of a backup.
type dump struct {
	run      *BackupRun
	options  BackupOptions
	schema   int
	manifest backup.Manifest
	total    int64 // rows
	done     int64
}

// describe makes the manifest.
func (d *dump) describe(ctx context.Context, q store.Queries) error {
	v := d.run.vault
	d.manifest = backup.Manifest{
		CreatedAt: v.now().UTC().Truncate(time.Microsecond), TakenAt: d.run.row.TakenAt.Time(),
		Heartlock: d.options.Version, SchemaVersion: d.schema, Engine: v.store.Engine().String(), Keys: []backup.KnownKey{},
	}
	known, err := q.EncryptionKeys(ctx)
	if err != nil {
		return err
	}
	for _, seals := range []bool{true, false} {
		for _, k := range known {
			if k.IsSealing == seals {
				d.manifest.Keys = append(d.manifest.Keys, backup.KnownKey{Fingerprint: k.Fingerprint, CreatedAt: k.CreatedAt.Time(), RetiredAt: timeOf(k.RetiredAt)})
			}
		}
	}
	for _, t := range store.DumpTables() {
		n, err := q.CountRows(ctx, t)
		if err != nil {
			return err
		}
		d.manifest.Tables = append(d.manifest.Tables, backup.Table{Name: t.Name, Rows: n})
	}
	d.total = d.manifest.Rows()
	return nil
}

// encryption is to the key that seals, or to the passphrase.
func (d *dump) encryption() (backup.Encryption, error) {
	ring := d.run.vault.currentRing()
	if ring == nil || len(d.manifest.Keys) == 0 {
		return backup.Encryption{}, errNoKey
	}
	seals := d.manifest.Keys[0].Fingerprint
	for _, k := range ring.Keys() {
		if k.Fingerprint() == seals {
			return backup.Encryption{Key: k, Passphrase: d.options.Passphrase, Keys: ring.Keys()}, nil
		}
	}
	return backup.Encryption{}, errKeyNotHere(seals, keyring.ErrNoKey)
}

func (d *dump) write(ctx context.Context, q store.Queries, to io.Writer, e backup.Encryption) error {
	w, err := backup.NewWriter(to, d.manifest, e)
	if err != nil {
		return unwritable(err)
	}
	crashpoint.Reach("backup:begun")
	for _, t := range store.DumpTables() {
		if err := w.Table(t.Name, fileColumns(t.Columns)); err != nil {
			return unwritable(err)
		}
		err := q.EachRow(ctx, t, func(values []any) error {
			d.done++
			if d.options.Progress != nil && d.done%progressEvery == 0 {
				d.options.Progress("Backing up", d.done, d.total)
			}
			return unwritable(w.Row(values))
		})
		if err != nil {
			return err
		}
	}
	return unwritable(w.Close())
}

// unwritable marks what went wrong with the file, so that it is not taken for
// something of the database.
func unwritable(err error) error {
	if err == nil || fault.As(err) != nil {
		return err
	}
	if file := (*fs.PathError)(nil); errors.As(err, &file) {
		return fault.Wrap(fault.Unavailable, err, "The backup can not be written: is there room left?")
	}
	return fault.Wrap(fault.Internal, err, "the backup can not be written")
}

// fileColumns are a table's columns as the file names them.
func fileColumns(columns []store.Column) []backup.Column {
	list := make([]backup.Column, len(columns))
	for i, c := range columns {
		list[i] = backup.Column{Name: c.Name, Kind: backup.Kind(c.Kind)}
	}
	return list
}

// Finish tells the list of backups and the audit trail that the file is complete
// where it belongs. verified says that it was read back and everything in it
// opened.
func (r *BackupRun) Finish(ctx context.Context, bytes int64, verified bool) error {
	v := r.vault
	at := v.micros()
	r.row.FinishedAt, r.row.Bytes = &at, bytes
	if verified {
		r.row.VerifiedAt = &at
	}
	return v.store.Write(ctx, func(ctx context.Context, tx store.Tx) error {
		if err := tx.UpdateBackup(ctx, &r.row); err != nil {
			return err
		}
		return v.record(ctx, tx, r.principal, event{action: ActionBackup, target: clip(r.row.Path), detail: map[string]string{
			"taken_at":     r.row.TakenAt.Time().Format(time.RFC3339Nano),
			"bytes":        strconv.FormatInt(bytes, 10),
			"encrypted_to": r.row.EncryptedTo,
			"verified":     strconv.FormatBool(verified),
		}})
	})
}

// Abandon takes the backup off the list.
func (r *BackupRun) Abandon(ctx context.Context) error {
	return r.vault.store.Write(ctx, func(ctx context.Context, tx store.Tx) error { return tx.DeleteBackup(ctx, r.row.ID) })
}

// ID names the backup in the list of backups.
func (r *BackupRun) ID() string { return r.row.ID }

// Path is where the file belongs.
func (r *BackupRun) Path() string { return r.row.Path }

// TakenAt is the moment whose state the backup holds.
func (r *BackupRun) TakenAt() time.Time { return r.row.TakenAt.Time() }

// EncryptedTo says who can open the backup, once it is written: the fingerprint
// of a key, or "passphrase".
func (r *BackupRun) EncryptedTo() string { return r.row.EncryptedTo }

// Keys are the configured encryption keys, for a command on the server itself.
func (v *Vault) Keys() []keyring.Key {
	if ring := v.currentRing(); ring != nil {
		return ring.Keys()
	}
	return nil
}
