package store

import (
	"context"
	"maps"
	"slices"
	"time"
)

// appendAudit writes events in a transaction of their own. On PostgreSQL that is
// one statement if nobody else has appended since this store did, which saves
// the way to the database and back to begin, to look and to end.
func (s *Store) appendAudit(ctx context.Context, events []AuditEvent) error {
	if head := s.chain.known(); head != nil && s.engine == PostgreSQL && len(events) > 0 {
		if appended, err := s.appendEvents(ctx, &s.chain, *head, events); err != nil || appended {
			return unrecorded(err)
		}
	}
	return s.Write(ctx, func(ctx context.Context, tx Tx) error { return tx.InsertAuditEvents(ctx, events) })
}

// Touch says that a credential was used.
type Touch struct {
	TokenID   string // exactly one of the two is set
	SessionID string
	At        Micros
	IP        string
}

// ApplyTouch writes when a credential was used last.
func (tx Tx) ApplyTouch(ctx context.Context, t Touch) error {
	if t.SessionID != "" {
		_, err := tx.db.NewUpdate().Model((*Session)(nil)).
			Set("last_seen_at = ?", t.At).Where("id = ?", t.SessionID).Exec(ctx)
		return wrap(err)
	}
	_, err := tx.db.NewUpdate().Model((*Token)(nil)).
		Set("last_used_at = ?", t.At).Set("last_used_ip = ?", t.IP).
		Where("id = ?", t.TokenID).Exec(ctx)
	return wrap(err)
}

// Recorder writes the audit events of reads. A read must not be answered before
// its event is durable, and one commit for each would make reading as slow as
// writing; so the events of all reads that wait at the same time share one.
type Recorder struct {
	store  *Store
	queue  chan entry
	closed chan struct{} // the loop has ended
}

type entry struct {
	event   *AuditEvent
	touch   *Touch
	durable chan<- error // nil: nobody waits
}

const (
	queueLength = 4096
	batchLength = 512

	// longestGap and longestWait bound how long entries wait for others to share
	// their commit: for the next one, and in all.
	longestGap  = 300 * time.Microsecond
	longestWait = 4 * time.Millisecond

	// commitTimeout ends a commit on a database that does not answer. Those who
	// wait for it have given up by then.
	commitTimeout = 30 * time.Second
)

// NewRecorder starts a recorder; Close ends it.
func NewRecorder(s *Store) *Recorder {
	r := &Recorder{store: s, queue: make(chan entry, queueLength), closed: make(chan struct{})}
	go r.run()
	return r
}

// Record appends an event and returns once it is durable. If ctx ends earlier the
// event may still be written.
func (r *Recorder) Record(ctx context.Context, event AuditEvent) error {
	if !recordsReads {
		return nil
	}
	if err := refuseNUL(auditTexts(&event)); err != nil {
		return err // and not all who share its commit
	}
	durable := make(chan error, 1)
	select {
	case r.queue <- entry{event: &event, durable: durable}:
	case <-ctx.Done():
		return wrap(ctx.Err())
	}
	select {
	case err := <-durable:
		return err
	case <-ctx.Done():
		return wrap(ctx.Err())
	}
}

// Touch notes the use of a credential soon. Under overload it may be dropped:
// it says when something was used, not whether it may be.
func (r *Recorder) Touch(t Touch) {
	select {
	case r.queue <- entry{touch: &t}:
	default:
	}
}

// Close writes what waits and ends the recorder. Nothing may be recorded after.
func (r *Recorder) Close() {
	close(r.queue)
	<-r.closed
}

func (r *Recorder) run() {
	defer close(r.closed)
	wanted := 1
	for first := range r.queue {
		batch := r.collect(first, wanted)
		err := r.write(batch)
		wanted = enough(len(batch) + len(r.queue))
		for _, e := range batch {
			if e.durable != nil {
				e.durable <- err
			}
		}
	}
}

// enough is how many entries a commit is worth waiting for, if so many readers
// were seen a moment ago: all of them. A commit takes more than it does itself: on
// SQLite every connection that reads has to read its pages again. Who reads alone
// never waits.
func enough(readers int) int { return min(max(1, readers), batchLength) }

// collect takes what waits, and waits for more until there are as many entries as
// wanted, as long as they keep coming: a commit costs as much for many as for one.
func (r *Recorder) collect(first entry, wanted int) []entry {
	batch := r.drain([]entry{first})
	if len(batch) >= wanted {
		return batch
	}
	latest := time.Now().Add(longestWait)
	gap := time.NewTimer(longestGap)
	defer gap.Stop()
	for len(batch) < wanted {
		select {
		case e, ok := <-r.queue:
			if !ok {
				return batch
			}
			batch = append(batch, e)
			if time.Now().After(latest) {
				return batch
			}
			gap.Reset(longestGap)
		case <-gap.C:
			return batch
		}
	}
	return batch
}

// drain takes what waits at this moment.
func (r *Recorder) drain(batch []entry) []entry {
	for len(batch) < batchLength {
		select {
		case e, ok := <-r.queue:
			if !ok {
				return batch
			}
			batch = append(batch, e)
		default:
			return batch
		}
	}
	return batch
}

func (r *Recorder) write(batch []entry) error {
	events := make([]AuditEvent, 0, len(batch))
	touches := make(map[string]Touch)
	for _, e := range batch {
		if e.event != nil {
			events = append(events, *e.event)
		}
		if e.touch != nil {
			touches[e.touch.TokenID+e.touch.SessionID] = *e.touch
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), commitTimeout)
	defer cancel()
	if len(touches) == 0 {
		return r.store.appendAudit(ctx, events)
	}
	return r.store.Write(ctx, func(ctx context.Context, tx Tx) error {
		if err := tx.InsertAuditEvents(ctx, events); err != nil {
			return err
		}
		// In one order: two servers that note the same two tokens the other way
		// round would wait for each other.
		for _, id := range slices.Sorted(maps.Keys(touches)) {
			if err := tx.ApplyTouch(ctx, touches[id]); err != nil {
				return err
			}
		}
		return nil
	})
}
