//go:build linux

package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/client"
	"github.com/heartlock/heartlock/pkg/config"
	"github.com/heartlock/heartlock/pkg/heartlocktest"
	"github.com/heartlock/heartlock/pkg/keyring"
	"github.com/heartlock/heartlock/pkg/server"
)

// site is an installation of Heartlock as in production, whose first run is
// done, and the database of the floor beside it.
type site struct {
	engine  string
	dir     string
	environ []string // settings of the server; nothing else of the environment matters
	owner   api.Value
	token   api.Value // service token that reads and writes
	secrets map[string]map[string]string
	floorDB string
}

// newSite sets an installation up in dir, which is empty. postgres is the server
// that holds the databases if the engine is PostgreSQL.
func newSite(ctx context.Context, engine, dir string, postgres *heartlocktest.PostgresServer) (*site, error) {
	s := &site{engine: engine, dir: dir, secrets: someSecrets(), floorDB: filepath.Join(dir, "floor.sqlite3")}
	s.environ = []string{
		"DEBUG=False", "SECRET_KEY=" + rand.Text() + rand.Text(), "SECURE_SSL_REDIRECT=False",
		"ALLOWED_HOSTS=127.0.0.1", "HEARTLOCK_ENCRYPTION_KEY=" + keyring.Generate().Encode(),
	}
	if engine == enginePostgres {
		if err := createDatabases(ctx, postgres, "heartlock", "floor"); err != nil {
			return nil, err
		}
		s.environ = append(s.environ, "DATABASE_URL="+postgres.URL("heartlock"))
		s.floorDB = postgres.URL("floor")
	}
	cfg, err := s.load()
	if err != nil {
		return nil, err
	}
	admin := api.OnboardRequest{Admin: api.NewAdmin{Email: "bench@example.com", Password: api.NewValue(rand.Text())}}
	_, s.owner, err = server.Onboard(ctx, cfg, admin, "bench", slog.New(slog.DiscardHandler))
	return s, err
}

func (s *site) load() (*config.Server, error) {
	return config.LoadServer(config.Options{Dir: s.dir, Environ: s.environ})
}

func createDatabases(ctx context.Context, postgres *heartlocktest.PostgresServer, names ...string) error {
	conn, err := pgx.Connect(ctx, postgres.URL("postgres"))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	for _, name := range names {
		if _, err := conn.Exec(ctx, "create database "+pgx.Identifier{name}.Sanitize()); err != nil {
			return err
		}
	}
	return nil
}

// someSecrets are an environment to read and one with a secret for each client
// to write. The values are as long as a password or a key.
func someSecrets() map[string]map[string]string {
	secrets := map[string]map[string]string{readEnv: {}, writeEnv: {}}
	for i := range readSecrets {
		secrets[readEnv][fmt.Sprintf("SECRET_%03d", i)] = rand.Text() + rand.Text()
	}
	for i := range maxClients {
		secrets[writeEnv][clientKey(i)] = rand.Text() + rand.Text()
	}
	return secrets
}

func clientKey(i int) string { return fmt.Sprintf("CLIENT_%03d", i) }

// fill gives the server at url its project, secrets and service token.
func (s *site) fill(ctx context.Context, url string) error {
	c, err := client.New(client.Options{Server: url, Token: s.owner})
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := c.CreateProject(ctx, api.CreateProject{Name: "Bench", Slug: projectSlug}); err != nil {
		return err
	}
	for environment, secrets := range s.secrets {
		set := make(map[string]api.Value, len(secrets))
		for key, value := range secrets {
			set[key] = api.NewValue(value)
		}
		e := client.Environment{Project: projectSlug, Slug: environment}
		if _, err := c.BulkSecrets(ctx, e, api.BulkRequest{Set: set}); err != nil {
			return err
		}
	}
	token, err := c.CreateServiceToken(ctx, projectSlug, api.CreateServiceToken{
		Name: "bench", Access: api.AccessWrite, Environments: []string{readEnv, writeEnv},
	})
	if err == nil {
		s.token = *token.Token
	}
	return err
}

// path is where a side keeps an environment, or one secret of it.
func path(side, environment string, key ...string) string {
	prefix := "/" + environment + "/"
	if side != sideFloor {
		prefix = api.Prefix + "/projects/" + projectSlug + "/environments/" + environment + "/secrets/"
	}
	return prefix + strings.Join(append(key, ""), "/")
}

// floorSetup is what the floor of the site is told.
func (s *site) floorSetup() floorSetup {
	digest := sha256.Sum256([]byte(s.token.Reveal()))
	return floorSetup{Engine: s.engine, Address: s.floorDB, Digest: digest[:], Secrets: s.secrets}
}
