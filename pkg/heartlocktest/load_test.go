//go:build unix

package heartlocktest_test

import (
	"path/filepath"
	"testing"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/heartlocktest"
	"github.com/heartlock/heartlock/pkg/keyring"
)

// TestMass: what was put straight into the database is what the API shows.
func TestMass(t *testing.T) {
	t.Parallel()
	heartlocktest.EachEngine(t, func(t *testing.T, s *heartlocktest.Server, owner *heartlocktest.Caller) {
		cfg, err := s.Config()
		if err != nil {
			t.Fatal(err)
		}
		ring, err := keyring.NewRing(cfg.EncryptionKey.Keys[0])
		if err != nil {
			t.Fatal(err)
		}
		s.Stop()
		database := s.DatabaseURL
		if database == "" {
			database = filepath.Join(s.Dir, "heartlock_data", "db.sqlite3")
		}
		if err := (heartlocktest.Mass{Environments: 101, Secrets: 3, Ring: ring}).Load(t.Context(), database); err != nil {
			t.Fatal(err)
		}
		s.Restart()
		var list struct {
			Results []api.Secret `json:"results"`
		}
		owner.Call("GET", "/projects/mass-1/environments/e-0/secrets/?values=true", nil).Want(200).Decode(&list)
		for i, secret := range list.Results {
			if n := len(secret.Value.Reveal()); n < 32 || n > 64 || secret.Version != 1 {
				t.Errorf("secret %d: %d bytes, version %d", i, n, secret.Version)
			}
		}
		if len(list.Results) != 3 || s.Count("secrets", "true") != 303 || s.Count("environments", "secret_count <> 3") != 0 {
			t.Errorf("%d secrets are listed, %d stored", len(list.Results), s.Count("secrets", "true"))
		}
	})
}
