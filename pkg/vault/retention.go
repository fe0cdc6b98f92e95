package vault

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/store"
)

// Retention says how long former versions of secrets are kept. The zero value
// keeps everything. What either limit speaks against goes; the present value of
// a secret never does, and a deleted secret can be brought back until its last
// value goes.
type Retention struct {
	Versions int           // former versions of each secret; 0: all
	Age      time.Duration // after a version was superseded or deleted; 0: for ever
}

func (r Retention) isOff() bool { return r.Versions <= 0 && r.Age <= 0 }

func (r Retention) rule(now time.Time) store.RetentionRule {
	rule := store.RetentionRule{Keep: -1}
	if r.Versions > 0 {
		rule.Keep = int64(r.Versions)
	}
	if r.Age > 0 {
		rule.Before = store.MicrosOf(now.Add(-r.Age))
	}
	return rule
}

// Bounds of one step of retention: what is read at once, and what one transaction
// removes, so that nobody who writes has to wait for long.
const (
	environmentsPerStep = 200
	versionsPerBatch    = 200
)

// pruneHistory removes the former versions that have had their time, everywhere.
// An environment that can not be done does not keep the others from it.
func (v *Vault) pruneHistory(ctx context.Context) error {
	if v.retention.isOff() {
		return nil
	}
	rule := v.retention.rule(v.now())
	var failures []error
	removed := false
	for after := ""; ; {
		page, err := v.store.EnvironmentsAfter(ctx, after, environmentsPerStep)
		if err != nil {
			return errors.Join(append(failures, err)...)
		}
		for i := range page {
			did, err := v.pruneEnvironment(ctx, &page[i], rule)
			removed = removed || did
			if err != nil && !errors.Is(err, fault.NotFound) { // deleted meanwhile
				failures = append(failures, err)
			}
			if ctx.Err() != nil {
				return errors.Join(failures...)
			}
		}
		if len(page) < environmentsPerStep {
			break
		}
		after = page[len(page)-1].ID
	}
	if removed {
		v.eraseTraces(ctx)
	}
	return errors.Join(failures...)
}

// pruneEnvironment looks first without a lock: mostly there is nothing to do.
func (v *Vault) pruneEnvironment(ctx context.Context, e *store.Environment, rule store.RetentionRule) (removed bool, err error) {
	outdated, err := v.store.Outdated(ctx, e.ID, rule)
	if err != nil || len(outdated) == 0 {
		return false, err
	}
	if err := v.announcePruning(ctx, e, outdated); err != nil {
		return false, err
	}
	for len(outdated) > 0 && err == nil {
		outdated, err = v.pruneBatch(ctx, e, outdated)
	}
	return true, err
}

// pruneBatch removes as many versions as one transaction may, and returns what is
// left to do.
func (v *Vault) pruneBatch(ctx context.Context, e *store.Environment, outdated []store.Outdated) (left []store.Outdated, err error) {
	err = v.store.Write(ctx, func(ctx context.Context, tx store.Tx) error {
		left = outdated
		if err := tx.LockEnvironment(ctx, e.ID); err != nil {
			return err
		}
		for room := int64(versionsPerBatch); room > 0 && len(left) > 0; {
			n, err := tx.DeleteOutdated(ctx, e.ID, left[0], room)
			if err != nil {
				return err
			}
			if room -= n; room > 0 { // nothing of this one is left
				left = left[1:]
			}
		}
		return nil
	})
	return left, err
}

// announcePruning records what is about to go, and takes it out of what the
// history tells, before any of it does: a state is told whole or not at all, also
// if the removal stops half-way.
func (v *Vault) announcePruning(ctx context.Context, e *store.Environment, outdated []store.Outdated) error {
	var versions, from int64
	for _, o := range outdated {
		versions, from = versions+o.Versions, max(from, o.Revision)
	}
	return v.store.Write(ctx, func(ctx context.Context, tx store.Tx) error {
		if err := tx.LockEnvironment(ctx, e.ID); err != nil {
			return err
		}
		if err := tx.RaiseHistoryFrom(ctx, e.ID, from); err != nil {
			return err
		}
		return v.record(ctx, tx, Local(), event{
			action: ActionPruneHistory, projectID: e.ProjectID, environment: e.Slug, target: e.Slug,
			detail: map[string]string{"versions": strconv.FormatInt(versions, 10), "history_from": strconv.FormatInt(from, 10)},
		})
	})
}

// eraseTimeout bounds what a deletion is kept waiting for its last traces.
const eraseTimeout = 2 * time.Second

// eraseTraces removes what was deleted from the files of the database, as far as
// that can be done now; it is deleted in any case. The end of the request that
// deleted it does not stop this.
func (v *Vault) eraseTraces(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), eraseTimeout)
	defer cancel()
	_ = v.store.EraseTraces(ctx) // it is tried again with the next deletion, and when the server stops
}
