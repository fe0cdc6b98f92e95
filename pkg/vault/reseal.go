package vault

import (
	"context"
	"fmt"
	"runtime"
	"strconv"
	"sync"

	"github.com/heartlock/heartlock/pkg/crashpoint"
	"github.com/heartlock/heartlock/pkg/keyring"
	"github.com/heartlock/heartlock/pkg/store"
)

// DefaultBatch is how many rows a transaction of Reseal replaces: enough that
// the transaction costs little, and so few that others wait for less than a
// tenth of a second.
const DefaultBatch = 2000

// ResealOptions say how Reseal works.
type ResealOptions struct {
	Batch    int                     // rows of a transaction; 0 = DefaultBatch
	Progress func(done, total int64) // called after each batch; may be nil
}

// Resealing is what Reseal did.
type Resealing struct {
	Resealed int64 // values that were put under the new key
	Damaged  int64 // values that no key opens; they stay as they are
}

// Reseal puts every value that is not under the key that seals under it. It may
// be interrupted at any moment and called again, and run while servers write.
// Only a command on the server itself may.
func (v *Vault) Reseal(ctx context.Context, p Principal, o ResealOptions) (Resealing, error) {
	if _, err := admit(p, ActionBeginRotation); err != nil {
		return Resealing{}, err
	}
	if o.Batch <= 0 {
		o.Batch = DefaultBatch
	}
	under, err := v.store.KeyRotation(ctx)
	if err != nil {
		return Resealing{}, err
	}
	if under == nil {
		return Resealing{}, errNoRotation
	}
	r := &resealer{vault: v, ring: v.currentRing(), to: under.ToFingerprint, options: o, damaged: map[string]bool{}}
	if r.total, err = v.countOthers(ctx, r.to); err != nil {
		return Resealing{}, err
	}
	// What was sealed before the rotation began may still be moved, by an edit
	// that is under way, from one table to another behind the pass. So after a
	// pass that found nothing those edits are waited for, and another pass made.
	if err := r.untilNothingIsFound(ctx); err != nil {
		return r.result(), err
	}
	if err := v.holdingKeys(ctx, func(context.Context, store.Tx) error { return nil }); err != nil {
		return r.result(), err
	}
	err = r.untilNothingIsFound(ctx)
	return r.result(), err
}

// countOthers counts the values that are not under the key.
func (v *Vault) countOthers(ctx context.Context, fingerprint string) (n int64, err error) {
	counts, err := v.store.CountSealedByKey(ctx)
	for key, count := range counts {
		if key != fingerprint {
			n += count
		}
	}
	return n, err
}

// resealer is one run of Reseal.
type resealer struct {
	vault    *Vault
	ring     *keyring.Ring
	to       string
	options  ResealOptions
	total    int64
	resealed int64
	batches  int
	damaged  map[string]bool // the rows that do not open
}

func (r *resealer) result() Resealing {
	return Resealing{Resealed: r.resealed, Damaged: int64(len(r.damaged))}
}

func (r *resealer) untilNothingIsFound(ctx context.Context) error {
	for {
		found := false
		for _, table := range store.SealedTables() {
			some, err := r.pass(ctx, table)
			if err != nil {
				return err
			}
			found = found || some
		}
		if !found {
			return nil
		}
	}
}

// pass goes once through a table and reports whether anything was to be done.
func (r *resealer) pass(ctx context.Context, table string) (found bool, err error) {
	var after []any
	for {
		rows, err := r.vault.store.SealedAfter(ctx, table, after, r.to, r.options.Batch)
		if err != nil || len(rows) == 0 {
			return found, err
		}
		after = rows[len(rows)-1].Key
		batch := r.reseal(table, rows)
		if len(batch) == 0 {
			continue
		}
		found = true
		if err := r.replace(ctx, table, batch); err != nil {
			return found, err
		}
	}
}

// replace writes a batch, if the key that seals is still the same.
func (r *resealer) replace(ctx context.Context, table string, batch []store.Resealed) error {
	r.batches++
	at := "rotate:" + strconv.Itoa(r.batches)
	crashpoint.Reach(at + ":before")
	var replaced int64
	err := r.vault.store.Write(ctx, func(ctx context.Context, tx store.Tx) error {
		seals, err := tx.SealingKey(ctx)
		if err != nil {
			return err
		}
		if seals != r.to {
			return errRotationChanged
		}
		if replaced, err = tx.ReplaceSealed(ctx, table, r.to, batch); err != nil {
			return err
		}
		crashpoint.Reach(at + ":mid")
		return nil
	})
	if err != nil {
		return err
	}
	crashpoint.Reach(at + ":after")
	r.resealed += replaced
	if r.options.Progress != nil {
		r.options.Progress(r.resealed, max(r.total, r.resealed))
	}
	return nil
}

// reseal makes the new tokens, on all processors. Rows that do not open are
// left out and remembered.
func (r *resealer) reseal(table string, rows []store.SealedRow) []store.Resealed {
	batch := make([]store.Resealed, len(rows))
	inParallel(len(rows), func(i int) {
		token, err := r.ring.Reseal(rows[i].Sealed, rows[i].KeyFingerprint, r.to)
		if err == nil {
			batch[i] = store.Resealed{SealedRow: rows[i], Token: token}
		}
	})
	kept := batch[:0]
	for i := range batch {
		if batch[i].Token == "" {
			r.damaged[table+fmt.Sprint(rows[i].Key)] = true
			continue
		}
		kept = append(kept, batch[i])
	}
	return kept
}

// inParallel calls do with 0 to n-1, on all processors.
func inParallel(n int, do func(i int)) {
	workers := min(runtime.GOMAXPROCS(0), n)
	var all sync.WaitGroup
	for w := range workers {
		all.Go(func() {
			for i := n * w / workers; i < n*(w+1)/workers; i++ {
				do(i)
			}
		})
	}
	all.Wait()
}
