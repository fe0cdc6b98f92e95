package server_test

import (
	"log/slog"
	"testing"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/heartlocktest"
	"github.com/heartlock/heartlock/pkg/keyring"
	"github.com/heartlock/heartlock/pkg/server"
)

// testdata/schema-2.backup was made by the release before the third migration,
// with this passphrase. In it are the owner of the test servers, the project
// shop, API_KEY in development (version 2 is "second"), DATABASE_URL in
// production, and a service token for development.
const (
	formerPassphrase = "a passphrase of the former release"
	formerToken      = "hlp_XLGjCHGtAsiHKIU3PdXIgv7XkOyIesHUkHeeHz8O1nNOil"
)

// TestABackupOfAnOlderSchemaIsRestored: it is loaded as it was and then brought up
// to date, and a server goes on with it.
func TestABackupOfAnOlderSchemaIsRestored(t *testing.T) {
	t.Parallel()
	heartlocktest.EachDatabase(t, func(t *testing.T, databaseURL string) {
		key := keyring.Generate()
		var more []string
		if databaseURL != "" {
			more = append(more, "DATABASE_URL="+databaseURL)
		}
		cfg := settings(t, key, more...)
		done, err := server.Restore(t.Context(), cfg, server.RestoreOptions{
			Path: "testdata/schema-2.backup", Log: slog.New(slog.DiscardHandler), Say: func(string, ...any) {},
			Passphrase: func() (api.Value, error) { return api.NewValue(formerPassphrase), nil },
			Progress:   func(string, int64, int64) {},
		})
		if err != nil {
			t.Fatal(fault.Detail(err))
		}
		if done.Resealed != 3 {
			t.Errorf("%d values are under the new key, want 3", done.Resealed)
		}
		s := heartlocktest.StartServer(t, heartlocktest.ServerOptions{
			Dir: cfg.Root, DatabaseURL: databaseURL, Environ: []string{"HEARTLOCK_ENCRYPTION_KEY=" + key.Encode()},
		})
		const development = "/projects/shop/environments/development/secrets/"
		var secret api.Secret
		s.WithToken("ci", formerToken).Call("GET", development+"API_KEY/", nil).Want(200).Decode(&secret)
		if secret.Value.Reveal() != "second" || secret.Version != 2 {
			t.Errorf("the service token reads %q, version %d", secret.Value.Reveal(), secret.Version)
		}
		owner := s.Login(heartlocktest.OwnerEmail)
		owner.Call("GET", development+"API_KEY/?version=1", nil).Want(200).Decode(&secret)
		if secret.Value.Reveal() != "first" {
			t.Errorf("the former version is %q", secret.Value.Reveal())
		}
		owner.Call("PUT", development+"API_KEY/", map[string]any{"value": "third"}).Want(200)
		var trail api.Page[api.AuditEvent]
		owner.Call("GET", "/projects/shop/audit/", nil).Want(200).Decode(&trail)
		if len(trail.Results) < 6 {
			t.Errorf("the audit trail has only %d events", len(trail.Results))
		}
	})
}
