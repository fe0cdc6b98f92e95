package vault

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/heartlock/heartlock/pkg/backup"
	"github.com/heartlock/heartlock/pkg/crashpoint"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/keyring"
	"github.com/heartlock/heartlock/pkg/store"
)

// How a restore never loses a value: it writes only into a database that holds
// nothing, in one transaction, and commits only when the whole backup was read,
// every sum was right and every value was opened. So there is either nothing or
// everything.

// RestoreOptions say how a backup is restored.
type RestoreOptions struct {
	Source BackupSource
	Keys   []keyring.Key // of the settings; everything is put under the first
	Former []keyring.Key // others that may open something
	// KeepDamaged restores values that no key opens as they are.
	KeepDamaged bool
	Progress    func(done, total int64)
}

// Restored is what a restore did.
type Restored struct {
	BackupContent
	Resealed int64 // values that were put under the first key
}

// Restore fills a database that holds nothing from a backup; its schema must be
// of the version of the backup. Every value is put under the first key. If
// anything is wrong, nothing was written: fault.Conflict says that the database
// holds something or is in use, [UnopenedError] that values do not open. Only a
// command on the server itself may.
//
// A restore believes who could make the file, which is whoever has the key that
// it is encrypted to, or its passphrase: people, roles, password hashes, digests
// of tokens and the audit trail become those of the file, so a forger with the key
// can make himself superuser. What is checked is that the file is whole and as it
// was written, that it holds every table of the schema with the right columns,
// that the rows meet the constraints of the schema (ids are unique, references
// lead somewhere, nothing is null that may not be), and that the values open. The
// rules of the interface for names, addresses and sizes are not applied again.
func Restore(ctx context.Context, st *store.Store, p Principal, o RestoreOptions) (Restored, error) {
	if _, err := admit(p, ActionRestore); err != nil {
		return Restored{}, err
	}
	r, file, err := o.Source()
	if err != nil {
		return Restored{}, err
	}
	defer func() { _ = file.Close() }()
	if len(o.Keys) == 0 {
		return Restored{}, errNoKey
	}
	ring, err := ringOf(slices.Concat(o.Keys, o.Former, r.Keys()))
	if err != nil {
		return Restored{}, err
	}
	if err := refuseRetired(r.Manifest(), ring.SealFingerprint()); err != nil {
		return Restored{}, err
	}
	if err := refuseSchema(ctx, st, r.Manifest()); err != nil {
		return Restored{}, err
	}
	job := &restore{options: o, ring: ring, stream: newBackupStream(r, ring, ring.SealFingerprint(), o.Progress)}
	err = st.Load(ctx, func(ctx context.Context, l *store.Loader) error { return job.load(ctx, p, l) })
	return Restored{job.stream.content, job.stream.resealed}, err
}

// refuseRetired keeps a key from being taken up again that a rotation had
// retired when the backup was made.
func refuseRetired(m backup.Manifest, first string) error {
	for _, k := range m.Keys {
		if k.Fingerprint == first && k.RetiredAt != nil {
			return fault.Newf(fault.Usage,
				"Key %s of the settings was retired by a rotation on %s, before the backup was made. Put key %s, or a new one, into the settings. Nothing was written.",
				first, k.RetiredAt.Format(time.DateOnly), m.Keys[0].Fingerprint)
		}
	}
	return nil
}

// refuseSchema sees once more that the schema was made for this file, which may
// have been replaced since.
func refuseSchema(ctx context.Context, st *store.Store, m backup.Manifest) error {
	version, err := st.SchemaVersion(ctx)
	if err == nil && version != m.SchemaVersion {
		err = fault.Newf(fault.Conflict, "The database has schema version %d, the backup has %d. Was the file replaced meanwhile? Nothing was written.", version, m.SchemaVersion)
	}
	return err
}

// restore is the filling of a database.
type restore struct {
	options RestoreOptions
	ring    *keyring.Ring
	stream  *backupStream
}

func (r *restore) load(ctx context.Context, p Principal, l *store.Loader) error {
	if err := CheckEmpty(ctx, l.Queries); err != nil {
		return err
	}
	if err := refuseServers(ctx, l.Queries); err != nil {
		return err
	}
	if err := l.ClearRest(ctx); err != nil {
		return err
	}
	if err := r.tables(ctx, l); err != nil {
		return err
	}
	if err := l.Complete(ctx); err != nil {
		return unfit("tables", err)
	}
	if err := r.stream.nameDamaged(ctx, r.options.Source); err != nil {
		return err
	}
	crashpoint.Reach("restore:filled")
	if r.stream.content.DamagedCount() > 0 && !r.options.KeepDamaged {
		return &UnopenedError{r.stream.content}
	}
	if err := l.SetSequences(ctx); err != nil {
		return err
	}
	if err := r.keys(ctx, l); err != nil {
		return err
	}
	return r.record(ctx, p, l)
}

// record goes on with the audit trail of the backup.
func (r *restore) record(ctx context.Context, p Principal, l *store.Loader) error {
	keeper := newChainKeeper(func() *keyring.Ring { return r.ring }, time.Now)
	m := r.stream.content.Manifest
	err := l.InsertEvent(ctx, auditRowAt(store.MicrosOf(time.Now()), p, event{action: ActionRestore, detail: map[string]string{
		"taken_at": m.TakenAt.Format(time.RFC3339Nano),
		"opened":   strconv.FormatInt(r.stream.content.Opened, 10),
		"damaged":  strconv.FormatInt(r.stream.content.DamagedCount(), 10),
		"resealed": strconv.FormatInt(r.stream.resealed, 10),
		"key":      r.ring.SealFingerprint(),
	}}), keeper)
	crashpoint.Reach("restore:recorded")
	return err
}

// CheckEmpty refuses, as fault.Conflict, a database that holds something, whatever
// its schema. An encryption key that a server has entered at its first start, with
// nothing under it, is nothing.
func CheckEmpty(ctx context.Context, q store.Queries) error {
	empty, err := q.HoldsNothing(ctx)
	if err != nil {
		return err
	}
	if !empty {
		return fault.New(fault.Conflict, "The database holds an installation already; nothing was overwritten. Restore into a new one: set DATABASE_URL to an empty database, or move the SQLite file away first.")
	}
	return nil
}

// refuseServers refuses a database that a running server uses.
func refuseServers(ctx context.Context, q store.Queries) error {
	servers, err := runningServers(ctx, q)
	if err == nil && len(servers) > 0 {
		err = fault.Newf(fault.Conflict, "A server uses the database: %s. Stop it and try again (one that was killed is forgotten after %d seconds); nothing was written.", serverNames(servers), int(Silence.Seconds()))
	}
	return err
}

func (r *restore) tables(ctx context.Context, l *store.Loader) error {
	for {
		err := r.stream.nextTable()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		columns := make([]store.Column, len(r.stream.columns))
		for i, c := range r.stream.columns {
			columns[i] = store.Column{Name: c.Name, Kind: store.ColumnKind(c.Kind)}
		}
		err = l.Table(ctx, r.stream.table, columns, func() ([]any, error) { return r.stream.next(ctx) })
		if err != nil {
			return unfit("table "+r.stream.table, err)
		}
		crashpoint.Reach("restore:" + r.stream.table)
	}
}

// unfit words that the database refuses rows, which nothing but a defect or a
// forgery makes it do. What is wrong with the file or the database itself stays
// as it is.
func unfit(what string, err error) error {
	if err == nil {
		return nil
	}
	known := fault.As(err)
	refused := known == nil || errors.Is(err, fault.Conflict) || errors.Is(err, store.ErrOtherSchema)
	if !refused || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return fault.Wrap(fault.Invalid, fmt.Errorf("%s: %w", what, err), "The backup does not fit the schema that it names. Nothing was written.")
}

// keys enters the key that seals, and those that the backup knew as retired: so
// are now all of them but the first.
func (r *restore) keys(ctx context.Context, l *store.Loader) error {
	now := store.MicrosOf(time.Now())
	first := r.ring.SealFingerprint()
	token, err := r.ring.SealCheckWith(first)
	if err != nil {
		return err
	}
	seals := store.EncryptionKey{Fingerprint: first, CheckToken: token, CreatedAt: now, IsSealing: true}
	var rows []store.EncryptionKey
	for _, k := range r.stream.content.Manifest.Keys {
		if k.Fingerprint == first {
			seals.CreatedAt = store.MicrosOf(k.CreatedAt)
			continue
		}
		row := store.EncryptionKey{Fingerprint: k.Fingerprint, CreatedAt: store.MicrosOf(k.CreatedAt), RetiredAt: store.OptionalMicros(k.RetiredAt)}
		if row.RetiredAt == nil {
			row.RetiredAt = &now
		}
		rows = append(rows, row)
	}
	return unfit("keys", l.InsertKeys(ctx, append(rows, seals)))
}

// UnopenedError says that a restore was refused because values of the backup do
// not open. It is a fault.Invalid.
type UnopenedError struct{ Content BackupContent }

// Error says what is wrong and what to do; it names the secrets, never a value.
func (e *UnopenedError) Error() string {
	var b strings.Builder
	c := e.Content
	if len(c.Missing) > 0 {
		b.WriteString(MissingKeys(c.Missing) + " ")
	}
	fmt.Fprintf(&b, "%s of the backup can not be decrypted:\n%s", counted(c.DamagedCount(), "value", "values"), c.DamagedList())
	b.WriteString("Nothing was written. --keep-damaged restores all the others, and these as they are.")
	return b.String()
}

// Unwrap is the kind of the error.
func (e *UnopenedError) Unwrap() error { return fault.New(fault.Invalid, e.Error()) }

// DamagedList names the damaged values, each in a line.
func (c BackupContent) DamagedList() string {
	var b strings.Builder
	for _, d := range c.Damaged {
		fmt.Fprintf(&b, "  %s/%s %s version %d (key %s)\n", d.Project, d.Environment, d.Key, d.Version, d.Fingerprint)
	}
	if c.More > 0 {
		fmt.Fprintf(&b, "  and %d more\n", c.More)
	}
	return b.String()
}

// MissingKeys says which keys are needed and how to give them.
func MissingKeys(missing map[string]int64) string {
	var names []string
	for fingerprint := range missing {
		names = append(names, fingerprint)
	}
	slices.Sort(names)
	list := strings.Join(names, ", ")
	return fmt.Sprintf("The backup needs key %s, which is not at hand. Give it with --key-file FILE; after a rotation the former key is in heartlock_data/%s/%s.key.", list, formerKeys, names[0])
}

// formerKeys is where rotate-key --finish keeps the keys that it retires.
const formerKeys = "former-keys"

func counted(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
