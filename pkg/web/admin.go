package web

import (
	"slices"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/config"
	"github.com/heartlock/heartlock/pkg/vault"
)

const adminPage = "/admin/"

// adminRoutes are the pages of the administrators of the server. The policy keeps
// everybody else out, page by page.
func (s *Site) adminRoutes() []route {
	table := []route{{method: get, pattern: adminPage, action: vault.ActionReadStatus, serve: showStatus}}
	for _, part := range [][]route{adminUserRoutes(), adminProjectRoutes(), adminSSORoutes(), adminMailRoutes(), adminAuditRoutes()} {
		table = append(table, part...)
	}
	return table
}

type statusData struct {
	api.ServerStatus
	Mail      api.MailStatus
	Warnings  []warning
	KeySource string
	Debug     bool
	Schedule  string // of backups; "" if there is none
}

// Seals is the key that new values are encrypted with; nil: there is none.
func (d statusData) Seals() *api.KeyStatus {
	i := slices.IndexFunc(d.Keys, func(k api.KeyStatus) bool { return k.Seals })
	if i < 0 {
		return nil
	}
	return &d.Keys[i]
}

// DatabaseName is the engine as people know it.
func (d statusData) DatabaseName() string {
	if d.Database.Backend == "sqlite" {
		return "SQLite"
	}
	return "PostgreSQL"
}

// MailReaches reports whether mail is sent to the people that it is for.
func (d statusData) MailReaches() bool { return d.Mail.Backend == string(config.MailSMTP) }

func showStatus(v *visit) error {
	status, err := v.vault.Status(v, v.who)
	if err != nil {
		return err
	}
	mail, err := v.vault.MailStatus(v, v.who)
	if err != nil {
		return err
	}
	cfg := v.site.options.Config
	status.Version = v.site.options.Version
	data := statusData{ServerStatus: status, Mail: mail, KeySource: keySource(v), Debug: cfg.Debug}
	if cfg.Backup.Dir != "" {
		data.Schedule = "every " + span(cfg.Backup.Interval)
	}
	data.Warnings = warningsOf(status, mail, cfg, now())
	return v.show(page{Template: "admin-status", Title: "Status", Section: "status", Data: data})
}

// keySource is where this server has its encryption key from, in words; "" if it has
// none.
func keySource(v *visit) string {
	cfg := v.site.options.Config
	switch cfg.EncryptionKey.Source {
	case config.KeyFromAppConfig, config.KeyFromFile:
		return string(cfg.EncryptionKey.Source) + " in the data directory"
	case config.KeyFromEnvironment:
		return "the environment of the server"
	}
	return ""
}
