package server

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/vault"
)

// How often a server looks whether a backup is due, and how long it waits after
// a failure: twice as long each time.
const (
	scheduleEvery = time.Minute
	firstPause    = 5 * time.Minute
	longestPause  = 6 * time.Hour
)

// scheduler has a server make backups by itself. Only the work loop calls tick.
type scheduler struct {
	server  *Server
	running atomic.Bool
	failed  backoff
}

// backoff is when to try again what fails.
type backoff struct {
	pause time.Duration
	until time.Time
}

// ready reports whether it may be tried at this time.
func (b *backoff) ready(now time.Time) bool { return !now.Before(b.until) }

// note remembers how a try ended.
func (b *backoff) note(now time.Time, err error) {
	if err == nil {
		*b = backoff{}
		return
	}
	b.pause = min(max(2*b.pause, firstPause), longestPause)
	b.until = now.Add(b.pause)
}

// tick makes a backup if one is due, beside everything else. It holds the
// instance, so that the database is closed only after it.
func (s *scheduler) tick(ctx context.Context) {
	if s.running.Load() || !s.failed.ready(time.Now()) {
		return
	}
	now := s.server.acquire()
	if now == nil {
		return
	}
	if now.Config.Backup.Dir == "" || now.Vault.Fingerprint() == "" {
		now.users.RUnlock()
		return
	}
	s.running.Store(true)
	go func() {
		defer s.running.Store(false)
		defer now.users.RUnlock()
		made, err := now.BackupIfDue(ctx, s.server.options.Version)
		if ctx.Err() != nil {
			return // the server stops
		}
		s.failed.note(time.Now(), err)
		s.tell(ctx, made, err)
	}()
}

func (s *scheduler) tell(ctx context.Context, made *ScheduledBackup, err error) {
	log := s.server.log
	if made != nil && made.Path != "" {
		level := slog.LevelInfo
		if !made.Verified() {
			level = slog.LevelError
		}
		log.Log(ctx, level, "backup made", "file", made.Path, "bytes", made.Bytes, "verified", made.Verified(),
			"opened", made.Content.Opened, "damaged", made.Content.DamagedCount(), "removed", made.Removed)
	}
	if err != nil {
		log.Error("the scheduled backup failed", "error", fault.Detail(err), "next_try_in", s.failed.pause.String())
	}
}

// ScheduledBackup is a backup that the schedule made.
type ScheduledBackup struct {
	BackupResult
	Path    string
	Removed int // older files of the schedule
}

// BackupIfDue makes the next backup of the schedule in the settings, if it is due
// and no other server makes it; otherwise the result is nil. Then the files that
// the schedule made before are removed but for as many as the settings keep; others
// are never touched, and one that does not open stands for no other.
func (i *Instance) BackupIfDue(ctx context.Context, version string) (*ScheduledBackup, error) {
	if done, err := i.Vault.Onboarded(ctx); err != nil || !done {
		return nil, err // there is nothing to back up
	}
	plan := i.Config.Backup
	run, err := i.Vault.ClaimBackup(ctx, vault.Local(), vault.BackupSchedule{Host: hostName(), Dir: plan.Dir, Interval: plan.Interval})
	if err != nil || run == nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, vault.ClaimLife)
	defer cancel()
	made := &ScheduledBackup{Path: run.Path()}
	err = os.MkdirAll(plan.Dir, 0o700)
	if err != nil {
		err = notWritten(run.Path(), err)
	} else {
		made.BackupResult, err = makeBackup(ctx, run, i.Vault, BackupOptions{Path: run.Path(), Version: version})
	}
	if err != nil {
		return nil, errors.Join(err, run.Abandon(context.WithoutCancel(ctx)))
	}
	if err := run.Finish(context.WithoutCancel(ctx), made.Bytes, made.Verified()); err != nil {
		return made, err
	}
	made.Removed, err = i.removeSurplus(ctx)
	return made, err
}

// removeSurplus removes the files of the schedule that are not kept any more.
func (i *Instance) removeSurplus(ctx context.Context) (removed int, err error) {
	surplus, err := i.Vault.SurplusBackups(ctx, vault.Local(), i.Config.Backup.Keep)
	if err != nil {
		return 0, err
	}
	for _, file := range surplus {
		if filepath.Dir(file.Path) != i.Config.Backup.Dir {
			continue // of another place, which may not be of this host
		}
		files, failed := removeBackup(file)
		if removed += files; failed != nil {
			err = errors.Join(err, failed)
			continue
		}
		if files == 0 && file.Host != hostName() {
			continue // it may be on the other host
		}
		err = errors.Join(err, i.Vault.ForgetBackup(ctx, vault.Local(), file.ID))
	}
	return removed, err
}

// removeBackup removes the file of a backup and, of one that was given up, what a
// server that was killed has left of it. The name of such a part begins with the
// name of the backup, which no other backup has.
func removeBackup(file vault.BackupFile) (removed int, err error) {
	paths := []string{file.Path}
	if file.IsGivenUp {
		dir, name := filepath.Split(file.Path)
		entries, err := os.ReadDir(dir)
		if err != nil {
			return 0, notWritten(file.Path, err)
		}
		for _, e := range entries {
			if strings.HasPrefix(e.Name(), "."+name+".") && strings.HasSuffix(e.Name(), partEnd) {
				paths = append(paths, filepath.Join(dir, e.Name()))
			}
		}
	}
	for _, path := range paths {
		gone := os.Remove(path)
		switch {
		case gone == nil:
			removed++
		case !errors.Is(gone, fs.ErrNotExist):
			err = errors.Join(err, fault.Wrap(fault.Unavailable, gone, path+" can not be removed: "+reasonOf(gone)+"."))
		}
	}
	return removed, err
}
