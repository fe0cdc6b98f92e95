package server

import (
	"context"
	"log/slog"
	"os"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/heartlock/heartlock/pkg/config"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/keyring"
	"github.com/heartlock/heartlock/pkg/vault"
)

// reporter keeps a running server up to date with the files that its settings come
// from, as far as they can change while it runs, and tells the database that it runs
// and which keys it holds. Only the server's work loop uses it.
type reporter struct {
	server *Server
	info   vault.ServerInfo
	stamp  string // of the settings files when they were read last
	said   string // the last problem that was logged
}

func newReporter(s *Server, stamp string) *reporter {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return &reporter{server: s, stamp: stamp, info: vault.ServerInfo{
		ID: uuid.Must(uuid.NewV7()).String(), Host: host, Version: s.options.Version,
	}}
}

func (r *reporter) look() string {
	if r.server.options.Stamp == nil {
		return ""
	}
	return r.server.options.Stamp()
}

// watch takes over what can change while the server runs, the encryption keys among
// it, when the settings files have changed. It reports at once, because a rotation
// may be waiting for it.
func (r *reporter) watch(ctx context.Context) {
	stamp := r.look()
	if stamp == r.stamp {
		return
	}
	cfg, err := r.server.follower.reread(ctx)
	if err != nil {
		r.say(ctx, slog.LevelWarn, "the settings files were changed and can not be read", err)
		return // being written, or wrong: looked at again in a second
	}
	if err := r.takeOver(ctx, cfg); err != nil {
		r.say(ctx, slog.LevelError, "the encryption keys of the changed settings can not be used; the former ones stay in use", err)
		return
	}
	r.stamp = stamp
	r.report(ctx)
}

// takeOver goes on with the keys of other settings, if they are others.
func (r *reporter) takeOver(ctx context.Context, cfg *config.Server) error {
	now := r.server.current.Load().Vault
	keys := cfg.EncryptionKey.Keys
	if len(keys) == 0 {
		return nil // none yet: the first run is watched for
	}
	ring, err := keyring.NewRing(keys[0], keys[1:]...)
	if err != nil || slices.Equal(ring.Fingerprints(), now.Fingerprints()) {
		return err
	}
	if now.Fingerprint() == "" {
		return nil // a first run has written the key, and is watched for
	}
	if err := now.UseRing(ctx, ring); err != nil {
		return err
	}
	r.server.log.Info("encryption keys taken over", "keys", strings.Join(ring.Fingerprints(), ", "))
	return nil
}

// report writes the server's line in the registry.
func (r *reporter) report(ctx context.Context) {
	now := r.server.current.Load()
	if keys, err := purposeKeys(now.Config, "heartlock config generation 1"); err == nil {
		r.info.ConfigGeneration = now.Config.Generation(keys[0])
	}
	r.info.SettingsGeneration = r.server.follower.generation()
	if err := now.Vault.Report(ctx, r.info); err != nil && ctx.Err() == nil {
		r.say(ctx, slog.LevelWarn, "the server could not report to its database", err)
		return
	}
	r.said = ""
}

// leave removes the line.
func (r *reporter) leave(ctx context.Context) {
	if now := r.server.current.Load(); now != nil {
		if err := now.Vault.Leave(ctx, r.info.ID); err != nil {
			r.say(ctx, slog.LevelWarn, "the server could not take leave of its database", err)
		}
	}
}

// say logs a problem, but not the same one every second.
func (r *reporter) say(ctx context.Context, level slog.Level, message string, err error) {
	if text := message + fault.Detail(err); text != r.said {
		r.said = text
		r.server.log.Log(ctx, level, message, "error", fault.Detail(err))
	}
}
