package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/uptrace/bun"
)

// Backup is a row of backups: one that was made of this database, or is being
// made.
type Backup struct {
	bun.BaseModel `bun:"table:backups,alias:b"`
	ID            string  `bun:",pk"`
	TakenAt       Micros  // the moment whose state it holds
	FinishedAt    *Micros // nil: being made, or given up
	VerifiedAt    *Micros // when it was read back and everything in it opened
	Host          string
	Path          string // on that host; empty: to standard output
	Bytes         int64
	EncryptedTo   string // fingerprint of a key, or "passphrase"
	IsScheduled   bool
}

// LatestBackup is the finished backup with the newest state, or nil. One that
// says that it is of the future was made while a clock was wrong, and is none.
func (q Queries) LatestBackup(ctx context.Context) (*Backup, error) {
	row := new(Backup)
	err := q.db.NewSelect().Model(row).Where("b.finished_at IS NOT NULL").Where("b.taken_at < ?", MicrosOf(time.Now().Add(time.Hour))).OrderExpr("b.taken_at DESC").Limit(1).Scan(ctx)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, wrap(err)
	}
	return row, nil
}

// InsertBackup enters a backup that is being made.
func (tx Tx) InsertBackup(ctx context.Context, row *Backup) error {
	_, err := tx.db.NewInsert().Model(row).Exec(ctx)
	return wrap(err)
}

// UpdateBackup writes the row of a backup anew; fault.NotFound if somebody has
// given it up.
func (tx Tx) UpdateBackup(ctx context.Context, row *Backup) error {
	return affected(tx.db.NewUpdate().Model(row).WherePK().Exec(ctx))
}

// DeleteBackup removes the row of a backup whose file is gone.
func (tx Tx) DeleteBackup(ctx context.Context, id string) error {
	_, err := tx.db.NewDelete().Model((*Backup)(nil)).Where("id = ?", id).Exec(ctx)
	return wrap(err)
}

// ScheduledBackups lists those that the schedule made or is making, the newest
// first.
func (q Queries) ScheduledBackups(ctx context.Context) ([]Backup, error) {
	var rows []Backup
	err := q.db.NewSelect().Model(&rows).Where("b.is_scheduled").OrderExpr("b.taken_at DESC, b.id DESC").Scan(ctx)
	return rows, wrap(err)
}

// LockBackups keeps others from entering backups until the transaction ends.
// SQLite has one writer at a time and needs nothing.
func (tx Tx) LockBackups(ctx context.Context) error {
	if tx.engine == SQLite {
		return nil
	}
	_, err := tx.db.ExecContext(ctx, `LOCK TABLE backups IN SHARE ROW EXCLUSIVE MODE`)
	return wrap(err)
}
