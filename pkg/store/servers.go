package store

import (
	"context"
	"time"
)

// The times of the registry of servers are by the database's clock, so that the
// clocks of the servers' machines do not matter. SQLite has its one machine's.
func (q Queries) databaseTime() string {
	if q.engine == PostgreSQL {
		return "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
	}
	return "CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)"
}

// ReportServer writes what a server says of itself, and removes those that have
// been silent for longer than forget, or that seem to report from the future: the
// database's clock was put back. The times in the row are ignored: the
// first report of an id is its start.
func (tx Tx) ReportServer(ctx context.Context, s *Server, forget time.Duration) error {
	now := tx.databaseTime()
	_, err := tx.hotExec(ctx, `
INSERT INTO servers (id, host, version, key_fingerprints, config_generation, settings_generation, started_at, seen_at)
VALUES (?, ?, ?, ?, ?, ?, `+now+`, `+now+`)
ON CONFLICT (id) DO UPDATE SET key_fingerprints = excluded.key_fingerprints,
    config_generation = excluded.config_generation, settings_generation = excluded.settings_generation, seen_at = excluded.seen_at`,
		s.ID, s.Host, s.Version, s.KeyFingerprints, s.ConfigGeneration, s.SettingsGeneration)
	if err != nil {
		return err
	}
	_, err = tx.hotExec(ctx, `DELETE FROM servers WHERE seen_at < `+now+` - ? OR seen_at > `+now+` + ?`,
		forget.Microseconds(), forget.Microseconds())
	return err
}

// RemoveServer removes a server that stops.
func (tx Tx) RemoveServer(ctx context.Context, id string) error {
	_, err := tx.hotExec(ctx, `DELETE FROM servers WHERE id = ?`, id)
	return err
}

// LiveServers lists the servers that have reported within the time given, the
// one that has been running longest first.
func (q Queries) LiveServers(ctx context.Context, within time.Duration) ([]Server, error) {
	var rows []Server
	err := q.db.NewSelect().Model(&rows).
		Where("sv.seen_at >= "+q.databaseTime()+" - ?", within.Microseconds()).
		Where("sv.seen_at <= "+q.databaseTime()+" + ?", within.Microseconds()).
		OrderExpr("sv.started_at, sv.id").Scan(ctx)
	return rows, wrap(err)
}

// SettingsGenerations are those of the settings that servers go by, by the
// server's id. LiveServers does not read them, because a database of an older
// schema, which is asked for its servers before it is restored into, has none.
func (q Queries) SettingsGenerations(ctx context.Context) (map[string]int64, error) {
	rows, err := q.db.QueryContext(ctx, `SELECT id, settings_generation FROM servers`)
	if err != nil {
		return nil, wrap(err)
	}
	defer func() { _ = rows.Close() }()
	generations := map[string]int64{}
	for rows.Next() {
		var id string
		var generation int64
		if err := rows.Scan(&id, &generation); err != nil {
			return nil, wrap(err)
		}
		generations[id] = generation
	}
	return generations, wrap(rows.Err())
}
