package store

import (
	"context"
	"database/sql"
	"errors"

	"github.com/heartlock/heartlock/pkg/fault"
)

// SettingsVersion tells which settings are saved, without reading them: their
// generation and when they were saved. Both are 0 if none are. It costs little,
// so that every server may ask every few seconds.
func (q Queries) SettingsVersion(ctx context.Context) (generation int64, at Micros, err error) {
	err = q.hotRow(ctx, []any{&generation, &at}, `SELECT generation, updated_at FROM settings WHERE id = 1`)
	if errors.Is(err, fault.NotFound) {
		return 0, 0, nil
	}
	return generation, at, err
}

// Settings is the row of settings, or nil.
func (q Queries) Settings(ctx context.Context) (*Settings, error) {
	row := new(Settings)
	err := q.db.NewSelect().Model(row).Where("st.id = 1").Scan(ctx)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, wrap(err)
	}
	return row, nil
}

// ReplaceSettings puts row in the place of the settings of a generation; 0 stands
// for there being none. If they are of another generation by now, nothing is
// changed and it is fault.Conflict.
func (tx Tx) ReplaceSettings(ctx context.Context, row *Settings, from int64) error {
	if from == 0 {
		return tx.insertRows(ctx, insertSettings, []any{1, row.Generation, row.Sealed, row.KeyFingerprint, row.UpdatedAt})
	}
	err := affected(tx.hotExec(ctx, replaceSettings, row.Generation, row.Sealed, row.KeyFingerprint, row.UpdatedAt, from))
	if errors.Is(err, fault.NotFound) {
		return fault.New(fault.Conflict, "The settings were changed meanwhile.")
	}
	return err
}

// What is sealed is written by statements with parameters: see insertUsers.
var insertSettings = newInsertion("settings", "id", "generation", "sealed", "key_fingerprint", "updated_at")

const replaceSettings = `UPDATE settings SET generation = ?, sealed = ?, key_fingerprint = ?, updated_at = ? WHERE id = 1 AND generation = ?`
