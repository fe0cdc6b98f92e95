package vault

import (
	"context"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/store"
)

// Status describes the installation to its administrators: the database, the
// keys, the running servers and the latest backup. It names keys by their
// fingerprints. The version of the server is not known here and left empty.
func (v *Vault) Status(ctx context.Context, p Principal) (api.ServerStatus, error) {
	if _, err := admit(p, ActionReadStatus); err != nil {
		return api.ServerStatus{}, err
	}
	answer := api.ServerStatus{Keys: []api.KeyStatus{}, Servers: []api.RunningServer{}}
	err := v.store.Snapshot(ctx, func(ctx context.Context, q store.Queries) error {
		state, err := knownKeys(ctx, q, nil)
		if err != nil {
			return err
		}
		backup, err := q.LatestBackup(ctx)
		if err != nil {
			return err
		}
		answer.LatestBackup = apiBackup(backup)
		generations, err := q.SettingsGenerations(ctx)
		if err != nil {
			return err
		}
		describe(&answer, state, generations)
		answer.Database.Bytes, err = q.DatabaseBytes(ctx)
		return err
	})
	if err != nil {
		return answer, err
	}
	answer.Database.Backend = v.store.Engine().String()
	migrations, err := v.store.Status(ctx)
	for _, m := range migrations { // by their versions
		if m.Applied {
			answer.Database.SchemaVersion, answer.Database.MigratedAt = m.Version, m.AppliedAt.UTC()
		}
		if m.Known {
			answer.Database.SchemaExpected = m.Version
		}
	}
	return answer, err
}

// describe fills in what the database knows of keys and servers; generations are
// those of the settings by the servers' ids.
func describe(answer *api.ServerStatus, state KeyState, generations map[string]int64) {
	for _, k := range state.Keys {
		answer.Keys = append(answer.Keys, api.KeyStatus{
			Fingerprint: k.Fingerprint, Seals: k.Seals, CreatedAt: k.CreatedAt, RetiredAt: k.RetiredAt, ExportedAt: k.ExportedAt,
		})
	}
	if r := state.Rotation; r != nil {
		answer.KeyRotation = &api.KeyRotation{From: r.From, To: r.To, Undo: r.IsUndo, StartedAt: r.StartedAt, VerifiedAt: r.VerifiedAt}
	}
	for _, s := range state.Servers {
		answer.Servers = append(answer.Servers, api.RunningServer{
			Host: s.Host, Version: s.Version, Keys: s.KeyFingerprints, ConfigGeneration: s.ConfigGeneration,
			SettingsGeneration: generations[s.ID], StartedAt: s.StartedAt, SeenAt: s.SeenAt,
		})
	}
}

func apiBackup(row *store.Backup) *api.Backup {
	if row == nil {
		return nil
	}
	return &api.Backup{
		TakenAt: row.TakenAt.Time(), VerifiedAt: timeOf(row.VerifiedAt), Host: row.Host, Bytes: row.Bytes,
		EncryptedTo: row.EncryptedTo, Scheduled: row.IsScheduled,
	}
}
