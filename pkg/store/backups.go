package store

import (
	"context"
	"database/sql"
	"errors"

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

// LatestBackup is the finished backup with the newest state, or nil.
func (q Queries) LatestBackup(ctx context.Context) (*Backup, error) {
	row := new(Backup)
	err := q.db.NewSelect().Model(row).Where("b.finished_at IS NOT NULL").OrderExpr("b.taken_at DESC").Limit(1).Scan(ctx)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, wrap(err)
	}
	return row, nil
}
