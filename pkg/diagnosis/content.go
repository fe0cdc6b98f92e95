package diagnosis

import (
	"context"
	"fmt"

	"github.com/heartlock/heartlock/pkg/keyring"
	"github.com/heartlock/heartlock/pkg/store"
	"github.com/heartlock/heartlock/pkg/vault"
)

// content looks at what is in a database of the right schema.
func (e *examination) content(ctx context.Context, st *store.Store) {
	onboarded, err := st.OnboardedAt(ctx)
	switch {
	case err != nil:
		e.failed(subjectSetup, err)
		return
	case onboarded == nil:
		e.found(Warning, subjectSetup, "The first run is not finished: there is no administrator. Run `heartlock onboard`.")
	default:
		e.right(subjectSetup, "finished on "+onboarded.Time().Format("2006-01-02"))
	}
	e.mail(ctx, st)
	ring, ok := e.key(ctx, st)
	if ok && ring != nil {
		e.custody(ctx, st, ring)
		e.values(ctx, st, ring)
	}
}

// key compares the configured key with those that the database names.
func (e *examination) key(ctx context.Context, st *store.Store) (*keyring.Ring, bool) {
	var ring *keyring.Ring
	if keys := e.config.EncryptionKey.Keys; len(keys) > 0 {
		var err error
		if ring, err = keyring.NewRing(keys[0], keys[1:]...); err != nil {
			e.failed(subjectKey, err)
			return nil, false
		}
	}
	if err := vault.CheckKeys(ctx, st, ring); err != nil {
		e.failed(subjectKey, err)
		return nil, false
	}
	if ring != nil {
		e.right(subjectKey, keyState(e.config)+", which is the database's")
	} else if !e.options.Deploy { // which has said so
		e.found(Warning, subjectKey, "There is none yet, and nothing that needs one. `heartlock onboard` makes one.")
	}
	return ring, true
}

// values opens what is stored and names what does not open.
func (e *examination) values(ctx context.Context, st *store.Store, ring *keyring.Ring) {
	check, err := vault.CheckValues(ctx, st, ring, e.options.DecryptAll)
	if err != nil {
		e.failed(subjectValues, err)
		return
	}
	for _, d := range check.Damaged {
		e.found(Error, d.Project+"/"+d.Environment+"/"+d.Key, fmt.Sprintf(
			"Version %d can not be decrypted: it is damaged, or key %s did not seal it as the database says. Set the secret anew, or restore it from a backup.", d.Version, d.Fingerprint))
	}
	if check.More > 0 {
		e.found(Error, subjectValues, count(check.More, "further value", "further values")+" can not be decrypted.")
	}
	if len(check.Damaged) > 0 {
		return
	}
	what := count(check.Checked, "value", "values")
	switch {
	case check.Total == 0:
		e.right(subjectValues, "none yet")
	case check.Checked < check.Total:
		e.right(subjectValues, fmt.Sprintf("the newest %s of %d can be decrypted (--decrypt-all tries the rest)", what, check.Total))
	case e.options.DecryptAll:
		e.right(subjectValues, what+" can be decrypted, former versions included")
	default:
		e.right(subjectValues, what+" can be decrypted")
	}
}
