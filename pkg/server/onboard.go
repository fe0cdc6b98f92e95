package server

import (
	"context"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/config"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/keyring"
	"github.com/heartlock/heartlock/pkg/vault"
)

// SetupTokenFile is where a server that waits for its first run writes the
// token that the wizard asks for.
const SetupTokenFile = "setup-token"

// setupToken is what proves that whoever finishes the first run over HTTP can
// read the server's log or files. It is derived from SECRET_KEY, so every
// replica asks for the same one.
func setupToken(cfg *config.Server) (string, error) {
	keys, err := purposeKeys(cfg, "heartlock set-up token 1")
	if err != nil {
		return "", err
	}
	return hex.EncodeToString(keys[0][:16]), nil
}

// needsSetupToken reports whether the first run asks for the token: always in
// production, where a proxy makes every peer look local, and on a development
// server that others can reach.
func needsSetupToken(cfg *config.Server) bool {
	host, _, err := net.SplitHostPort(cfg.ListenAddress)
	address, addressErr := netip.ParseAddr(host)
	local := err == nil && (host == "localhost" || addressErr == nil && address.IsLoopback())
	return !cfg.Debug || !local
}

// writeSetupToken puts the token where the operator finds it.
func writeSetupToken(cfg *config.Server) (token string, err error) {
	if token, err = setupToken(cfg); err != nil {
		return "", err
	}
	if err := os.MkdirAll(cfg.DataDir, 0o700); err != nil {
		return "", err
	}
	// A file from an earlier start may have another mode, or be a link.
	if err := removeSetupToken(cfg); err != nil {
		return "", err
	}
	file, err := os.OpenFile(filepath.Join(cfg.DataDir, SetupTokenFile), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) { // a server beside this one has just written the same
		return token, nil
	}
	if err != nil {
		return "", err
	}
	_, err = file.WriteString(token + "\n")
	return token, errors.Join(err, file.Close())
}

func removeSetupToken(cfg *config.Server) error {
	err := os.Remove(filepath.Join(cfg.DataDir, SetupTokenFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func checkSetupToken(cfg *config.Server, sent api.Value) error {
	token, err := setupToken(cfg)
	if err != nil {
		return err
	}
	if subtle.ConstantTimeCompare([]byte(token), []byte(sent.Reveal())) != 1 {
		return fault.New(fault.Forbidden, "The set-up token is missing or wrong. The server has printed it at its start and written it to heartlock_data/setup-token.")
	}
	return nil
}

// firstRun is a first run that has been thought through: what it changes in
// the settings.
type firstRun struct {
	config   *config.Server // as it shall be
	appURL   string
	database string       // new DATABASE_URL, or ""
	key      *keyring.Key // to be written into appconfig.json, or nil
	returned bool         // the key was generated and must be shown once
}

// databaseParser reads a database URL: config.ParseDatabaseURL on the server
// itself, config.ParseDatabaseURLFromWizard for what comes over HTTP.
type databaseParser func(text, root string) (config.DatabaseURL, error)

// planFirstRun checks the answers against the settings. What the environment
// has decided can not be decided again: the answer would be ignored.
func planFirstRun(cfg *config.Server, in api.OnboardRequest, parse databaseParser) (firstRun, error) {
	changed := *cfg
	plan := firstRun{config: &changed, appURL: in.AppURL}
	for _, f := range fixed(cfg) {
		given := map[string]bool{"app_url": in.AppURL != "", "database_url": in.DatabaseURL.Len() > 0, "encryption_key": in.EncryptionKey.Len() > 0}
		if given[f] {
			return plan, fault.InvalidField("body."+f, "is decided by the server's configuration; leave it out")
		}
	}
	if in.AppURL != "" {
		origin, err := config.ParseOrigin(strings.TrimRight(in.AppURL, "/"))
		if err != nil {
			return plan, fault.InvalidField("body.app_url", err.Error())
		}
		plan.appURL = origin
	}
	if in.DatabaseURL.Len() > 0 {
		database, err := parse(in.DatabaseURL.Reveal(), cfg.Root)
		if err != nil {
			return plan, fault.InvalidField("body.database_url", err.Error())
		}
		changed.Database, plan.database = database, in.DatabaseURL.Reveal()
	}
	return plan, plan.chooseKey(in.EncryptionKey)
}

// chooseKey takes the given key, or generates one where there is none. A
// development server makes its own when it opens the database.
func (p *firstRun) chooseKey(given api.Value) error {
	source := p.config.EncryptionKey.Source
	switch {
	case given.Len() > 0 && source == config.KeyFromFile && p.database == "":
		return fault.InvalidField("body.encryption_key", "the database has a key already, that of heartlock_data/"+config.KeyFileName+"; leave this out")
	case given.Len() > 0:
		key, err := keyring.ParseKey(given.Reveal())
		if err != nil {
			return fault.InvalidField("body.encryption_key", err.Error())
		}
		p.key = &key
	case source == config.KeyEphemeral:
		key := keyring.Generate()
		p.key, p.returned = &key, true
	}
	if p.key != nil {
		p.config.EncryptionKey = config.EncryptionKey{Source: config.KeyFromAppConfig, Keys: []keyring.Key{*p.key}}
	}
	return nil
}

// fixed names the answers that the configuration has given already.
func fixed(cfg *config.Server) []string {
	var names []string
	for _, decided := range []struct{ name, variable string }{{"app_url", "HEARTLOCK_APP_URL"}, {"database_url", "DATABASE_URL"}} {
		for _, s := range cfg.Settings() {
			if s.Name == decided.variable && s.Source != "default" {
				names = append(names, decided.name)
			}
		}
	}
	if len(cfg.EncryptionKey.Keys) > 0 && cfg.EncryptionKey.Source != config.KeyFromFile {
		names = append(names, "encryption_key")
	}
	return names
}

// persist writes what the first run has decided to appconfig.json.
func (p *firstRun) persist() error {
	if p.appURL == "" && !p.changesInstance() {
		return nil
	}
	return config.UpdateAppConfig(p.config.DataDir, func(c *config.AppConfig) error {
		if p.appURL != "" {
			c.AppURL = p.appURL
		}
		if p.database != "" {
			c.DatabaseURL = config.NewSecret(p.database)
		}
		if p.key != nil {
			c.EncryptionKey = config.NewSecret(p.key.Encode())
		}
		return nil
	})
}

// settings are what the first run has decided for all servers; empty if it has
// decided nothing of the kind.
func (p *firstRun) settings() (api.Value, error) {
	if p.appURL == "" {
		return api.Value{}, nil
	}
	file, _, err := config.ReadAppConfig(p.config.DataDir)
	if err != nil {
		return api.Value{}, fault.Wrap(fault.Unavailable, err, "The settings file of this server can not be read. Run `heartlock check` on the server.")
	}
	m := file.Managed()
	m.AppURL = p.appURL
	text, err := m.Encode()
	return api.NewValue(text.Reveal()), err
}

// open opens the database and the key that the first run ends with.
func (p *firstRun) open(ctx context.Context, log *slog.Logger) (*Instance, error) {
	entry := vault.EnterFirstKey
	if p.key != nil { // which is not saved yet: Vault.Onboard enters it
		entry = vault.EnterNoKey
	}
	return openInstance(ctx, p.config, true, entry, log)
}

// changesInstance reports whether the first run needs another database or key
// than the present ones.
func (p *firstRun) changesInstance() bool { return p.database != "" || p.key != nil }

// Onboard finishes the first run from the server itself. It opens and migrates
// the database, creates the first administrator and writes appconfig.json; a
// server that is running takes over the result by itself. With login, a personal
// token for the administrator is returned as well.
func Onboard(ctx context.Context, cfg *config.Server, in api.OnboardRequest, login string, log *slog.Logger) (api.OnboardResponse, api.Value, error) {
	plan, err := planFirstRun(cfg, in, config.ParseDatabaseURL)
	if err != nil {
		return api.OnboardResponse{}, api.Value{}, err
	}
	i, err := plan.open(ctx, log)
	if err != nil {
		return api.OnboardResponse{}, api.Value{}, err
	}
	defer func() { _ = i.Close() }()
	answer, err := plan.finish(ctx, i, vault.Local(), in.Admin)
	if err != nil {
		return answer, api.Value{}, err
	}
	if err := removeSetupToken(cfg); err != nil {
		log.Warn("the set-up token's file could not be removed", "error", err)
	}
	if login == "" {
		return answer, api.Value{}, nil
	}
	token, err := i.Vault.SignInLocally(ctx, vault.Local(), answer.Account, login)
	return answer, token, err
}

// finish carries the plan out on an open instance.
func (p *firstRun) finish(ctx context.Context, i *Instance, who vault.Principal, admin api.NewAdmin) (api.OnboardResponse, error) {
	settings, err := p.settings()
	if err != nil {
		return api.OnboardResponse{}, err
	}
	account, err := i.Vault.OnboardWithSettings(ctx, who, admin, settings, p.persist)
	if err != nil {
		return api.OnboardResponse{}, err
	}
	if p.key != nil {
		// Somebody gave the key or is given it now. That this could not be noted
		// only means that `heartlock check` reminds of it.
		_ = i.Vault.MarkKeysExported(ctx, vault.Local())
	}
	answer := api.OnboardResponse{Account: account, Fingerprint: i.Vault.Fingerprint()}
	if p.returned {
		key := api.NewValue(p.key.Encode())
		answer.EncryptionKey = &key
	}
	return answer, nil
}
