package web

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/config"
)

// sound is an installation in which nothing is wrong at the moment at.
func sound(at time.Time) (api.ServerStatus, api.MailStatus, *config.Server) {
	exported := at.Add(-time.Hour)
	status := api.ServerStatus{
		Database:     api.DatabaseStatus{SchemaVersion: 4, SchemaExpected: 4},
		Keys:         []api.KeyStatus{{Fingerprint: "aaaaaaaa", Seals: true, ExportedAt: &exported}},
		Servers:      []api.RunningServer{{Host: "a", Version: "1", Keys: []string{"aaaaaaaa"}, ConfigGeneration: "x"}, {Host: "b", Version: "1", Keys: []string{"aaaaaaaa"}, ConfigGeneration: "x"}},
		LatestBackup: &api.Backup{TakenAt: at.Add(-time.Hour)},
	}
	cfg := &config.Server{EncryptionKey: config.EncryptionKey{Source: config.KeyFromAppConfig}}
	return status, api.MailStatus{Backend: "smtp"}, cfg
}

func TestWarnings(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	ago := func(d time.Duration) *time.Time { moment := at.Add(-d); return &moment }
	for name, c := range map[string]struct {
		spoil func(*api.ServerStatus, *api.MailStatus, *config.Server)
		want  []string
	}{
		"nothing is wrong": {func(*api.ServerStatus, *api.MailStatus, *config.Server) {}, nil},
		"a server without the key": {
			func(s *api.ServerStatus, _ *api.MailStatus, _ *config.Server) {
				s.Servers[1].Keys = []string{"bbbbbbbb"}
			},
			[]string{"The server on b can not write."},
		},
		"a key that is nowhere else": {
			func(s *api.ServerStatus, _ *api.MailStatus, _ *config.Server) { s.Keys[0].ExportedAt = nil },
			[]string{"Nobody has a copy of the encryption key."},
		},
		"a key of the environment": {
			func(s *api.ServerStatus, _ *api.MailStatus, c *config.Server) {
				s.Keys[0].ExportedAt, c.EncryptionKey.Source = nil, config.KeyFromEnvironment
			}, nil,
		},
		"servers that differ": {
			func(s *api.ServerStatus, _ *api.MailStatus, _ *config.Server) {
				s.Servers[1].Version, s.Servers[1].ConfigGeneration, s.Servers[1].SettingsGeneration = "2", "y", 3
			},
			[]string{"The servers have different settings.", "The servers run different versions.", "A server does not have the settings saved last."},
		},
		"a newer schema": {
			func(s *api.ServerStatus, _ *api.MailStatus, _ *config.Server) { s.Database.SchemaVersion = 5 },
			[]string{"The database was migrated by a newer version than this server's."},
		},
		"an older schema": {
			func(s *api.ServerStatus, _ *api.MailStatus, _ *config.Server) { s.Database.SchemaVersion = 3 },
			[]string{"A migration of the database is still to be applied."},
		},
		"a rotation under way": {
			func(s *api.ServerStatus, _ *api.MailStatus, _ *config.Server) {
				s.KeyRotation = &api.KeyRotation{StartedAt: *ago(time.Hour)}
			}, nil,
		},
		"a forgotten rotation": {
			func(s *api.ServerStatus, _ *api.MailStatus, _ *config.Server) {
				s.KeyRotation = &api.KeyRotation{StartedAt: *ago(3 * day)}
			},
			[]string{"A rotation of the encryption key has not come to its end."},
		},
		"a verified rotation": {
			func(s *api.ServerStatus, _ *api.MailStatus, _ *config.Server) {
				s.KeyRotation = &api.KeyRotation{StartedAt: *ago(time.Hour), VerifiedAt: ago(time.Minute)}
			},
			[]string{"The rotation of the encryption key is verified, but not finished."},
		},
		"a rotation that is undone": {
			func(s *api.ServerStatus, _ *api.MailStatus, _ *config.Server) {
				s.KeyRotation = &api.KeyRotation{Undo: true, StartedAt: *ago(time.Hour)}
			},
			[]string{"The undoing of a key rotation is not finished."},
		},
		"no backup": {
			func(s *api.ServerStatus, _ *api.MailStatus, _ *config.Server) { s.LatestBackup = nil },
			[]string{"There is no backup yet."},
		},
		"an old backup": {
			func(s *api.ServerStatus, _ *api.MailStatus, _ *config.Server) { s.LatestBackup.TakenAt = *ago(8 * day) },
			[]string{"The latest backup is 8 days old."},
		},
		"a backup that the schedule has missed": {
			func(s *api.ServerStatus, _ *api.MailStatus, c *config.Server) {
				c.Backup = config.Backup{Dir: "/backups", Interval: 6 * time.Hour}
				s.LatestBackup.TakenAt = *ago(8 * time.Hour)
			},
			[]string{"The latest backup is 8 hours old."},
		},
		"mail that waits, worst first": {
			func(s *api.ServerStatus, m *api.MailStatus, _ *config.Server) {
				s.LatestBackup, m.OldestAt = nil, ago(3*time.Hour)
				m.Failing = []api.QueuedMail{{LastError: "The mail server does not answer."}}
			},
			[]string{"Mail has been waiting for 3 hours.", "There is no backup yet."},
		},
		"mail that was given up": {
			func(_ *api.ServerStatus, m *api.MailStatus, _ *config.Server) { m.GivenUp = []api.QueuedMail{{}} },
			[]string{"Some mail was given up."},
		},
		"no mail server": {
			func(_ *api.ServerStatus, m *api.MailStatus, _ *config.Server) { m.Backend = "disabled" },
			[]string{"No mail is sent."},
		},
		"a development server": {
			func(s *api.ServerStatus, m *api.MailStatus, c *config.Server) {
				c.Debug, m.Backend, s.LatestBackup, s.Keys[0].ExportedAt = true, "console", nil, nil
			},
			[]string{"This is a development server."},
		},
	} {
		status, mail, cfg := sound(at)
		c.spoil(&status, &mail, cfg)
		var got []string
		for _, w := range warningsOf(status, mail, cfg, at) {
			got = append(got, w.Title)
			if w.Text == "" {
				t.Errorf("%s: nothing is said of what to do", name)
			}
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestSpansAndSizes(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0: "0 seconds", time.Second: "1 second", 90 * time.Second: "90 seconds", 2 * time.Minute: "2 minutes",
		119 * time.Minute: "119 minutes", 25 * time.Hour: "25 hours", 8 * day: "8 days",
	} {
		if got := span(d); got != want {
			t.Errorf("span(%s) = %q, want %q", d, got, want)
		}
	}
	for n, want := range map[int64]string{
		0: "0 bytes", 1: "1 byte", 1023: "1023 bytes", 1024: "1.0 KiB", 1536: "1.5 KiB", 393216: "384 KiB", 5 << 20: "5.0 MiB", 1 << 40: "1.0 TiB", 5 << 50: "5120 TiB",
	} {
		if got := bytesText(n); got != want {
			t.Errorf("bytesText(%d) = %q, want %q", n, got, want)
		}
	}
}
