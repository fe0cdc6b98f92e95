package server

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/store"
)

// soundness says how a server looks after the structure of its SQLite file.
// PostgreSQL looks after its own.
type soundness struct {
	every  time.Duration // between two looks at the whole file
	atOnce int64         // bytes up to which a file is looked at before the server is ready
}

// wholeLook reads about 700 MiB/s from memory: a file up to the size that is
// looked at before the start costs it a tenth of a second.
func defaultSoundness() soundness { return soundness{every: 24 * time.Hour, atOnce: 64 << 20} }

// examine lets SQLite read the whole file. What it finds is a fault whose cause
// names the damaged places.
func examine(ctx context.Context, st *store.Store) error {
	found, err := st.QuickCheck(ctx)
	switch {
	case len(found) > 0:
		return damaged(fmt.Errorf("%w: %s", store.ErrCorrupt, strings.Join(found, "; ")))
	case errors.Is(err, store.ErrCorrupt):
		return damaged(err)
	}
	return err
}

func damaged(cause error) error {
	return fault.Wrap(fault.Internal, cause, "The database is damaged. The server does not go on with it. Keep the files as they are, and restore a backup.")
}

// examineFirst is for the start: a small file is looked at before anybody is
// served. It reports whether it was; a large one follows in the background.
func (s *Server) examineFirst(ctx context.Context, st *store.Store) (done bool, err error) {
	if st.Engine() != store.SQLite {
		return true, nil
	}
	size, err := st.DatabaseBytes(ctx)
	if errors.Is(err, store.ErrCorrupt) {
		err = damaged(err)
	}
	if err != nil || size > s.soundness.atOnce {
		return false, err
	}
	return true, examine(ctx, st)
}

// examineDaily looks at the file from time to time until ctx ends, and at once
// unless that was done.
func (s *Server) examineDaily(ctx context.Context, done bool) {
	tick := time.NewTicker(s.soundness.every)
	defer tick.Stop()
	for ; ; done = false {
		if !done {
			s.examineCurrent(ctx)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (s *Server) examineCurrent(ctx context.Context) {
	now := s.acquire()
	if now == nil {
		return
	}
	defer now.users.RUnlock()
	if now.Store.Engine() != store.SQLite {
		return
	}
	err := examine(ctx, now.Store)
	s.observe(err)
	if err != nil && ctx.Err() == nil {
		s.log.Warn("the database file could not be examined", "error", fault.Detail(err))
	}
}

// observe ends the server if an error says that its SQLite file is damaged: what
// it reads can not be trusted, and what it writes may make it worse. An error
// from PostgreSQL concerns a part of what is in it, and its operator.
func (s *Server) observe(err error) {
	now := s.current.Load()
	if now == nil || now.Store.Engine() != store.SQLite || !errors.Is(err, store.ErrCorrupt) {
		return
	}
	select {
	case s.damage <- damaged(err):
	default: // it is ending already
	}
}
