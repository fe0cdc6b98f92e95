package vault

import (
	"context"
	"path/filepath"
	"time"

	"github.com/heartlock/heartlock/pkg/store"
)

// BackupSchedule is a series of backups that servers make by themselves.
type BackupSchedule struct {
	Host     string // of the server that asks
	Dir      string // absolute
	Interval time.Duration
}

// ClaimLife is how long a scheduled backup may take: one that was begun longer
// ago counts as given up.
const ClaimLife = time.Hour

// ClaimBackup begins the next backup of a schedule if it is due: if the newest
// one that the schedule has made is older than the interval, and no server is
// making one. Of any number of servers that ask at the same time, one gets it;
// the others, and all when none is due, get nil.
func (v *Vault) ClaimBackup(ctx context.Context, p Principal, s BackupSchedule) (*BackupRun, error) {
	if _, err := admit(p, ActionBackup); err != nil {
		return nil, err
	}
	var run *BackupRun
	err := v.store.Write(ctx, func(ctx context.Context, tx store.Tx) error {
		run = nil
		if err := tx.LockBackups(ctx); err != nil {
			return err
		}
		made, err := tx.ScheduledBackups(ctx)
		if err != nil || !due(made, v.now(), s.Interval) {
			return err
		}
		run = v.newBackupRun(p, BackupTarget{Host: s.Host})
		run.row.IsScheduled = true
		run.row.Path = filepath.Join(s.Dir, scheduledName(&run.row))
		return tx.InsertBackup(ctx, &run.row)
	})
	return run, err
}

// due reports whether none is being made and the newest that was is too old.
func due(made []store.Backup, now time.Time, interval time.Duration) bool {
	for _, b := range made {
		age := now.Sub(b.TakenAt.Time())
		if isAhead(age) {
			continue
		}
		if b.FinishedAt == nil && age < ClaimLife || b.FinishedAt != nil && age < interval {
			return false
		}
	}
	return true
}

// isAhead reports whether a backup of this age says that it is of the future: it
// was made while a clock was wrong, or one is now. It says nothing of when the next
// is due, does not stand for a newer one, and is not removed.
func isAhead(age time.Duration) bool { return age < -ClaimLife }

// scheduledName is the name of a file that no other has.
func scheduledName(row *store.Backup) string {
	const random = 12 // of a UUID of version 7, which ends in random digits
	return "heartlock-" + row.TakenAt.Time().Format("20060102T150405Z") + "-" + row.ID[len(row.ID)-random:] + ".backup"
}

// BackupFile is a file that the schedule made.
type BackupFile struct {
	ID        string // in the list of backups
	Host      string
	Path      string
	IsGivenUp bool // it was never finished
}

// SurplusBackups lists the files of the schedule that may be removed: those that
// are older than the newest keep which were verified, and what was given up. As
// many that could not be verified are kept beside them: they stand for no other,
// and must not fill the disk while nobody looks.
// What says that it is of the future is neither counted nor listed.
func (v *Vault) SurplusBackups(ctx context.Context, p Principal, keep int) ([]BackupFile, error) {
	if _, err := admit(p, ActionBackup); err != nil {
		return nil, err
	}
	made, err := v.store.ScheduledBackups(ctx) // the newest first
	var surplus []BackupFile
	verified, unverified := 0, 0
	for _, b := range made {
		age := v.now().Sub(b.TakenAt.Time())
		switch {
		case isAhead(age), b.FinishedAt == nil && age < ClaimLife:
		case b.FinishedAt == nil, verified >= keep, b.VerifiedAt == nil && unverified >= keep:
			surplus = append(surplus, BackupFile{b.ID, b.Host, b.Path, b.FinishedAt == nil})
		case b.VerifiedAt != nil:
			verified++
		default:
			unverified++
		}
	}
	return surplus, err
}

// ForgetBackup takes a backup whose file was removed off the list of backups.
func (v *Vault) ForgetBackup(ctx context.Context, p Principal, id string) error {
	if _, err := admit(p, ActionBackup); err != nil {
		return err
	}
	return v.store.Write(ctx, func(ctx context.Context, tx store.Tx) error { return tx.DeleteBackup(ctx, id) })
}
