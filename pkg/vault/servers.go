package vault

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/heartlock/heartlock/pkg/store"
)

// Servers report every ReportEvery; one that has been silent for Silence is
// taken to be gone. It can do no harm if it is not: see sealer.
const (
	ReportEvery = 5 * time.Second
	Silence     = 30 * time.Second
)

// ServerInfo is what a running server says of itself.
type ServerInfo struct {
	ID               string // of the process
	Host             string
	Version          string
	ConfigGeneration string // equal where the settings files are
	// SettingsGeneration is that of the saved settings which it goes by; 0: none.
	SettingsGeneration int64
}

// RunningServer is a server that has reported lately.
type RunningServer struct {
	ServerInfo
	KeyFingerprints []string
	StartedAt       time.Time
	SeenAt          time.Time // by the database's clock
}

// Report tells the database that a server runs, with which keys.
func (v *Vault) Report(ctx context.Context, info ServerInfo) error {
	row := &store.Server{
		ID: info.ID, Host: info.Host, Version: info.Version,
		ConfigGeneration: info.ConfigGeneration, SettingsGeneration: info.SettingsGeneration,
	}
	if ring := v.currentRing(); ring != nil {
		row.KeyFingerprints = strings.Join(ring.Fingerprints(), ",")
	}
	return v.store.Write(ctx, func(ctx context.Context, tx store.Tx) error {
		return tx.ReportServer(ctx, row, 2*Silence)
	})
}

// Leave tells the database that a server stops.
func (v *Vault) Leave(ctx context.Context, id string) error {
	return v.store.Write(ctx, func(ctx context.Context, tx store.Tx) error { return tx.RemoveServer(ctx, id) })
}

// runningServers lists the servers that have reported lately.
func runningServers(ctx context.Context, q store.Queries) ([]RunningServer, error) {
	rows, err := q.LiveServers(ctx, Silence)
	servers := make([]RunningServer, len(rows))
	for i, row := range rows {
		servers[i] = RunningServer{
			ServerInfo: ServerInfo{
				ID: row.ID, Host: row.Host, Version: row.Version,
				ConfigGeneration: row.ConfigGeneration,
			},
			KeyFingerprints: strings.FieldsFunc(row.KeyFingerprints, func(r rune) bool { return r == ',' }),
			StartedAt:       row.StartedAt.Time(), SeenAt: row.SeenAt.Time(),
		}
	}
	return servers, err
}

// lackingKey lists the running servers that do not have a key.
func lackingKey(ctx context.Context, q store.Queries, fingerprint string) ([]RunningServer, error) {
	servers, err := runningServers(ctx, q)
	return slices.DeleteFunc(servers, func(s RunningServer) bool { return slices.Contains(s.KeyFingerprints, fingerprint) }), err
}

// serverNames names servers for a person.
func serverNames(servers []RunningServer) string {
	names := make([]string, len(servers))
	for i, s := range servers {
		names[i] = s.Host + " (running since " + s.StartedAt.Format(time.DateTime) + " UTC)"
	}
	return strings.Join(names, ", ")
}
