package server

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/config"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/vault"
)

// followEvery is how often a server looks whether an administrator has saved
// settings on another one.
const followEvery = 3 * time.Second

// follower keeps a server at the settings that administrators change while servers
// run. They are saved in the database, for all servers; each server writes them to
// its own appconfig.json, which stands above its environment, and goes on with
// them at once. What a person writes into that file is used by this server alone,
// until an administrator saves the next generation. See config.Managed for what
// these settings are.
type follower struct {
	server *Server

	mu      sync.Mutex // one change at a time
	applied vault.SettingsVersion
	// unsaved are the settings in force while they could not be written to the
	// file: it may lie in a directory that can only be read.
	unsaved *config.Managed
	said    string // the last problem that was logged
}

// begin brings an instance that nobody uses yet to the saved settings, unless its
// file has them already: then it may have been changed by hand since.
func (f *follower) begin(ctx context.Context, i *Instance) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	version, err := i.Vault.SettingsVersion(ctx)
	if err != nil {
		return err
	}
	file, _, err := config.ReadAppConfig(i.Config.DataDir)
	if err != nil {
		return err
	}
	if version.String() == file.SettingsVersion {
		f.applied = version
		return nil
	}
	if cfg := f.fetch(ctx, i.Vault, i.Config); cfg != nil {
		i.Config = i.Config.TakeOver(cfg)
		f.server.announceSettings(i, i.Config)
	}
	return nil
}

// follow looks once whether other settings are saved than those in force, and goes
// on with them.
func (f *follower) follow(ctx context.Context) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.catchUp(ctx)
}

// catchUp is follow for who holds f.mu.
func (f *follower) catchUp(ctx context.Context) {
	now := f.server.current.Load()
	if f.unsaved != nil {
		f.save(ctx, now.Config, *f.unsaved)
	}
	if cfg := f.fetch(ctx, now.Vault, now.Config); cfg != nil {
		f.reconfigure(ctx, cfg)
	}
}

// fetch reads the saved settings, if they are others than those in force, and
// writes them to the file. It returns the settings to go on with, or nil. What
// keeps it from doing so is logged: the next look tries again.
func (f *follower) fetch(ctx context.Context, v *vault.Vault, base *config.Server) *config.Server {
	version, err := v.SettingsVersion(ctx)
	if err == nil && (version == f.applied || version.Generation == 0) {
		f.applied = version
		return nil
	}
	var saved vault.SavedSettings
	if err == nil {
		saved, err = v.SavedSettings(ctx)
	}
	if err != nil {
		if ctx.Err() == nil {
			f.say(ctx, slog.LevelWarn, "the saved settings can not be read", err)
		}
		return nil
	}
	m, err := config.DecodeManaged(config.NewSecret(saved.Text.Reveal()))
	if err != nil {
		f.say(ctx, slog.LevelError, "the saved settings can not be used; the former ones stay in force", err)
		return nil
	}
	return f.adopt(ctx, base, m, saved.Version)
}

// adopt writes saved settings to the file and returns the settings to go on with,
// or nil if this server can not use them.
func (f *follower) adopt(ctx context.Context, base *config.Server, m config.Managed, version vault.SettingsVersion) *config.Server {
	cfg, err := base.With(m)
	if err != nil {
		f.say(ctx, slog.LevelError, "the saved settings can not be used on this server; the former ones stay in force", err)
		return nil
	}
	f.applied = version
	f.save(ctx, base, m)
	f.server.log.Info("saved settings taken over", "generation", version.Generation)
	return cfg
}

// save writes to the file the settings that are in force.
func (f *follower) save(ctx context.Context, cfg *config.Server, m config.Managed) {
	if err := config.SaveManaged(cfg.DataDir, m, f.applied.String()); err != nil {
		f.unsaved = &m
		f.say(ctx, slog.LevelWarn, "the saved settings are in force but could not be written to "+config.AppConfigName+"; after a restart they are read from the database again", err)
		return
	}
	f.unsaved, f.said = nil, ""
}

// reread loads the settings from their files and goes on with what of them can
// change while the server runs, but for the encryption keys: those are the
// caller's.
func (f *follower) reread(ctx context.Context) (*config.Server, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	cfg, err := f.server.options.Load()
	if err == nil && f.unsaved != nil {
		cfg, err = cfg.With(*f.unsaved)
	}
	if err == nil {
		f.reconfigure(ctx, cfg)
	}
	return cfg, err
}

// reconfigure goes on with the settings of other that can change while the server
// runs. Requests in flight end as they began.
func (f *follower) reconfigure(ctx context.Context, other *config.Server) {
	s := f.server
	for {
		now := s.current.Load()
		if now.Config.SameRunning(other) {
			return
		}
		next, err := s.assemble(now.Instance, now.Config.TakeOver(other))
		if err != nil {
			f.say(ctx, slog.LevelError, "the changed settings can not be used; the former ones stay in force", err)
			return
		}
		if s.current.CompareAndSwap(now, next) {
			s.announceSettings(next.Instance, next.Config)
			s.log.Info("changed settings taken over", "changed", strings.Join(now.Config.RunningDifference(next.Config), ", "))
			return
		}
	}
}

// announceSettings tells the parts of an instance that outlive its handler.
func (s *Server) announceSettings(i *Instance, cfg *config.Server) {
	i.Vault.UseAppURL(cfg.AppURL)
	if err := i.sso.use(cfg.OIDC, cfg.Debug); err != nil {
		s.log.Warn("single sign-on is off", "error", fault.Detail(err))
	}
}

// generation is that of the saved settings in force; 0: none.
func (f *follower) generation() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.applied.Generation
}

// say logs a problem, but not the same one every few seconds.
func (f *follower) say(ctx context.Context, level slog.Level, message string, err error) {
	if text := message + fault.Detail(err); text != f.said {
		f.said = text
		f.server.log.Log(ctx, level, message, "error", fault.Detail(err))
	}
}

// draft is a change of the saved settings that is being made.
type draft struct {
	from    int64 // generation
	managed config.Managed
}

// draft begins a change at the settings that are saved or, if none are, at those
// of this server's file. The caller holds f.mu.
func (f *follower) draft(ctx context.Context) (draft, error) {
	now := f.server.current.Load()
	saved, err := now.Vault.SavedSettings(ctx)
	if err != nil {
		return draft{}, err
	}
	if saved.Version.Generation > 0 {
		m, err := config.DecodeManaged(config.NewSecret(saved.Text.Reveal()))
		return draft{saved.Version.Generation, m}, err
	}
	file, _, err := config.ReadAppConfig(now.Config.DataDir)
	if err != nil {
		return draft{}, fault.Wrap(fault.Unavailable, err, "The settings file of this server can not be read, so nothing can be changed. Run `heartlock check` on the server.")
	}
	return draft{0, file.Managed()}, nil
}

// change saves the settings that edit makes of the present ones, for all servers,
// and goes on with them. The caller holds f.mu.
func (f *follower) change(ctx context.Context, who vault.Principal, action vault.Action, match vault.Match, edit func(*config.Managed) error) error {
	former, err := f.draft(ctx)
	if err != nil {
		return err
	}
	if err := checkGeneration(match, former.from); err != nil {
		return err
	}
	m := former.managed
	if err := edit(&m); err != nil {
		return err
	}
	now := f.server.current.Load()
	if err := now.Config.CheckManaged(m); err != nil {
		return err
	}
	text, err := m.Encode()
	if err != nil {
		return fault.Wrap(fault.Internal, err, "the settings can not be written as JSON")
	}
	version, err := now.Vault.SaveSettings(ctx, who, vault.SettingsChange{
		Action: action, From: former.from, Text: api.NewValue(text.Reveal()), Detail: auditDetail(m.Changes(former.managed)),
	})
	if err != nil {
		return err
	}
	if cfg := f.adopt(ctx, now.Config, m, version); cfg != nil {
		f.reconfigure(ctx, cfg)
	}
	return nil
}

// longestDetail bounds what the audit trail repeats of a value.
const longestDetail = 300

// auditDetail tells a change in the audit trail, by the names of the API.
func auditDetail(changes map[string]string) map[string]string {
	detail := map[string]string{}
	for key, value := range changes {
		if len(value) > longestDetail {
			value = strings.ToValidUTF8(value[:longestDetail], "") + "…"
		}
		detail[strings.TrimPrefix(key, "oidc.")] = value
	}
	return detail
}

// checkGeneration compares the precondition of a change with the generation that
// it is made from.
func checkGeneration(m vault.Match, generation int64) error {
	switch {
	case m.Absent || m.Version != nil:
		return fault.InvalidField("header", "a change of the settings can depend on their ETag alone, such as If-Match: \"12\"")
	case m.Revision != nil && *m.Revision != generation:
		return fault.Newf(fault.PreconditionFailed, "The settings have changed since you read them and are at generation %d now. Read them again and repeat your change.", generation)
	}
	return nil
}
