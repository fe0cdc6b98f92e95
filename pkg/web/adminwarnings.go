package web

import (
	"fmt"
	"slices"
	"time"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/config"
	"github.com/heartlock/heartlock/pkg/vault"
)

// warning is something that an administrator should do, and why.
type warning struct {
	Bad   bool // it hurts already; else it may
	Title string
	Text  string // what to do
	Page  string // of ours, where more is said; may be empty
}

const (
	// oldestBackup is how old the latest backup may be where no schedule says it.
	oldestBackup = 7 * day
	// longestRotation is how long a rotation may be under way before it has likely
	// been forgotten.
	longestRotation = day
	// mailMayWait: a mail server that is restarted is no finding.
	mailMayWait = time.Hour
)

// warningsOf finds what is wrong in what is known of the installation, the worst
// first. `heartlock check` looks deeper, and says the same of the same.
func warningsOf(status api.ServerStatus, mail api.MailStatus, cfg *config.Server, at time.Time) []warning {
	all := slices.Concat(
		keyWarnings(status, cfg), serverWarnings(status), schemaWarnings(status.Database), rotationWarnings(status.KeyRotation, at),
		backupWarnings(status, cfg, at), mailWarnings(mail, cfg, at), debugWarnings(cfg),
	)
	slices.SortStableFunc(all, func(a, b warning) int {
		switch {
		case a.Bad == b.Bad:
			return 0
		case a.Bad:
			return -1
		}
		return 1
	})
	return all
}

func keyWarnings(status api.ServerStatus, cfg *config.Server) []warning {
	var seals string
	for _, k := range status.Keys {
		if k.Seals {
			seals = k.Fingerprint
		}
	}
	var found []warning
	for _, s := range status.Servers {
		if seals != "" && !slices.Contains(s.Keys, seals) {
			found = append(found, warning{
				Bad: true, Title: "The server on " + s.Host + " can not write.",
				Text: "It does not have the encryption key " + seals + ". Put that key into its settings.",
			})
		}
	}
	source := cfg.EncryptionKey.Source
	if cfg.Debug || source != config.KeyFromAppConfig && source != config.KeyFromFile {
		return found // a person has put it where it is
	}
	for _, k := range status.Keys {
		if k.RetiredAt == nil && k.ExportedAt == nil {
			found = append(found, warning{
				Title: "Nobody has a copy of the encryption key.",
				Text: fmt.Sprintf("Key %s is nowhere but in %s. If that file is lost, every secret is, and the backups with it. "+
					"Run `heartlock key export FILE` on the server and keep the file elsewhere.", k.Fingerprint, source),
			})
		}
	}
	return found
}

// serverWarnings compares the running servers with one another.
func serverWarnings(status api.ServerStatus) []warning {
	settings, versions, saved := map[string]bool{}, map[string]bool{}, map[int64]bool{}
	for _, s := range status.Servers {
		settings[s.ConfigGeneration], versions[s.Version], saved[s.SettingsGeneration] = true, true, true
	}
	var found []warning
	if len(settings) > 1 {
		found = append(found, warning{
			Title: "The servers have different settings.",
			Text:  fmt.Sprintf("There are %d sets of settings on %d servers. Compare what `heartlock config` says on each of them.", len(settings), len(status.Servers)),
		})
	}
	if len(versions) > 1 {
		found = append(found, warning{
			Title: "The servers run different versions.", Text: "That is right while an update is rolled out. Finish it.",
		})
	}
	if len(saved) > 1 {
		found = append(found, warning{
			Title: "A server does not have the settings saved last.",
			Text:  "Servers follow within some seconds. If this stays, look in the log of the one with the lower number below.",
		})
	}
	return found
}

func schemaWarnings(d api.DatabaseStatus) []warning {
	switch {
	case d.SchemaVersion > d.SchemaExpected:
		return []warning{{
			Title: "The database was migrated by a newer version than this server's.",
			Text:  fmt.Sprintf("It has schema %d, and this server was made for %d. Update this server.", d.SchemaVersion, d.SchemaExpected),
		}}
	case d.SchemaVersion < d.SchemaExpected:
		return []warning{{
			Bad: true, Title: "A migration of the database is still to be applied.",
			Text: fmt.Sprintf("It has schema %d, and this server was made for %d. Run `heartlock migrate` on the server.", d.SchemaVersion, d.SchemaExpected),
		}}
	}
	return nil
}

func rotationWarnings(r *api.KeyRotation, at time.Time) []warning {
	switch {
	case r == nil:
	case r.Undo:
		return []warning{{Title: "The undoing of a key rotation is not finished.", Text: "Run `heartlock rotate-key --undo` on the server to go on."}}
	case r.VerifiedAt != nil:
		return []warning{{
			Title: "The rotation of the encryption key is verified, but not finished.",
			Text:  "Run `heartlock rotate-key --finish` on the server, or --undo.",
		}}
	case at.Sub(r.StartedAt) > longestRotation:
		return []warning{{
			Title: "A rotation of the encryption key has not come to its end.",
			Text:  "It began " + span(at.Sub(r.StartedAt)) + " ago. Run `heartlock rotate-key` on the server to go on.",
		}}
	}
	return nil
}

func backupWarnings(status api.ServerStatus, cfg *config.Server, at time.Time) []warning {
	if cfg.Debug {
		return nil
	}
	allowed, how := oldestBackup, "Make one with `heartlock backup FILE`, or have the server make them: set HEARTLOCK_BACKUP_DIR."
	if plan := cfg.Backup; plan.Dir != "" {
		allowed, how = plan.Interval+vault.ClaimLife, "The server makes them by itself: see in its log why it did not."
	}
	switch latest := status.LatestBackup; {
	case latest == nil:
		return []warning{{Title: "There is no backup yet.", Text: how}}
	case at.Sub(latest.TakenAt) > allowed:
		return []warning{{Title: "The latest backup is " + span(at.Sub(latest.TakenAt)) + " old.", Text: how}}
	}
	return nil
}

func mailWarnings(m api.MailStatus, cfg *config.Server, at time.Time) []warning {
	var found []warning
	if m.OldestAt != nil && at.Sub(*m.OldestAt) > mailMayWait {
		text := "No server that runs has tried to send it."
		if len(m.Failing) > 0 {
			text = m.Failing[0].LastError
		}
		found = append(found, warning{
			Bad: true, Title: fmt.Sprintf("Mail has been waiting for %s.", span(at.Sub(*m.OldestAt))), Text: text, Page: adminMailPage,
		})
	}
	if n := len(m.GivenUp); n > 0 {
		found = append(found, warning{
			Title: "Some mail was given up.", Page: adminMailPage,
			Text: "People did not get what was written to them within the last 30 days. See why, and tell them in another way.",
		})
	}
	if config.MailBackend(m.Backend) != config.MailSMTP && !cfg.Debug {
		found = append(found, warning{
			Title: "No mail is sent.", Page: adminMailPage,
			Text: "Invitations and links to choose a password have to be passed on by hand, and nobody is told of changes to his account. Set EMAIL_HOST.",
		})
	}
	return found
}

func debugWarnings(cfg *config.Server) []warning {
	if !cfg.Debug {
		return nil
	}
	return []warning{{
		Title: "This is a development server.",
		Text: "DEBUG is on: the encryption key lies beside the database, and connections need no encryption. " +
			"Set DEBUG=False before anybody's secrets depend on it.",
	}}
}
