package vault

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/keyring"
	"github.com/heartlock/heartlock/pkg/store"
)

// errNoKey answers everything that would need a key while there is none.
var errNoKey = fault.New(fault.Unavailable, "No encryption key is configured.")

// currentRing is the ring of keys at this moment; nil while no key is configured.
func (v *Vault) currentRing() *keyring.Ring { return v.ring.Load() }

// UseRing goes on with another ring of keys, for example because the settings
// were changed while the server runs. One that lacks a key that the database
// needs is refused, as fault.Usage, and the former one stays.
func (v *Vault) UseRing(ctx context.Context, ring *keyring.Ring) error {
	if err := v.HoldRing(ctx, ring); err != nil {
		return err
	}
	return v.checkKeys(ctx, true)
}

// HoldRing is UseRing that leaves what the database knows of its keys as it is.
func (v *Vault) HoldRing(ctx context.Context, ring *keyring.Ring) error {
	_, err := compareKeysAtOnce(ctx, v.store, ring)
	if err == nil {
		v.ring.Store(ring)
	}
	return err
}

// checkKeys makes sure that the ring opens everything that the database may
// hold, and with enter has the database know the ring's first key. Without a
// ring it only looks whether one is missing.
func (v *Vault) checkKeys(ctx context.Context, enter bool) error {
	ring := v.currentRing()
	known, err := compareKeysAtOnce(ctx, v.store, ring)
	if err != nil || ring == nil || !enter || sealing(known) != "" && isKnown(known, ring.SealFingerprint()) {
		return err
	}
	return v.store.Write(ctx, v.enterKey)
}

// isKnown reports whether the database knows a key, in whatever role.
func isKnown(known []store.EncryptionKey, fingerprint string) bool {
	return slices.ContainsFunc(known, func(k store.EncryptionKey) bool { return k.Fingerprint == fingerprint })
}

// enterKey makes the first key of the ring the one that seals, if that can be
// done without harm: two servers that start on a new database with different
// keys must not both believe in theirs, and no running server may meet values
// that it can not open. What can not be done now is tried again when the server
// reports (see Report). A key that the database knows already, in whatever role,
// is left in it: to change that is for RotateKey and its kin.
func (v *Vault) enterKey(ctx context.Context, tx store.Tx) error {
	if err := tx.LockEncryptionKeys(ctx); err != nil {
		return err
	}
	ring := v.currentRing()
	known, err := compareKeys(ctx, tx.Queries, ring)
	if err != nil {
		return err
	}
	first := ring.SealFingerprint()
	switch former := sealing(known); {
	case former == "" && isKnown(known, first): // entered by a release that did not choose
		return tx.SealWith(ctx, first)
	case former == "":
		return v.insertKey(ctx, tx, ring, first, true)
	case isKnown(known, first):
		return nil
	default:
		return v.takeUp(ctx, tx, ring, former)
	}
}

// takeUp begins the rotation to the first key of the ring, unless another one is
// under way or a running server does not have the key.
func (v *Vault) takeUp(ctx context.Context, tx store.Tx, ring *keyring.Ring, former string) error {
	under, err := tx.KeyRotation(ctx)
	if err != nil || under != nil {
		return err
	}
	lacking, err := lackingKey(ctx, tx.Queries, ring.SealFingerprint())
	if err != nil || len(lacking) > 0 {
		return err
	}
	return v.begin(ctx, tx, Local(), ring, rotationPlan{from: former, to: ring.SealFingerprint()})
}

// insertKey has the database know a key of the ring.
func (v *Vault) insertKey(ctx context.Context, tx store.Tx, ring *keyring.Ring, fingerprint string, seals bool) error {
	token, err := ring.SealCheckWith(fingerprint)
	if err != nil {
		return fault.Wrap(fault.Internal, err, "the key check could not be sealed")
	}
	return tx.InsertEncryptionKey(ctx, &store.EncryptionKey{
		Fingerprint: fingerprint, CheckToken: token, CreatedAt: v.micros(), IsSealing: seals,
	})
}

// sealing is the fingerprint of the key that seals, or "".
func sealing(known []store.EncryptionKey) string {
	for _, k := range known {
		if k.IsSealing {
			return k.Fingerprint
		}
	}
	return ""
}

// compareKeysAtOnce is compareKeys on one state of the database: another server
// may enter the first key between two queries.
func compareKeysAtOnce(ctx context.Context, st *store.Store, ring *keyring.Ring) (known []store.EncryptionKey, err error) {
	err = st.Snapshot(ctx, func(ctx context.Context, q store.Queries) (err error) {
		known, err = compareKeys(ctx, q, ring)
		return err
	})
	return known, err
}

// compareKeys reads the database's list of keys and reports what keeps a vault
// with this ring, which may be nil, from being opened over it.
func compareKeys(ctx context.Context, q store.Queries, ring *keyring.Ring) ([]store.EncryptionKey, error) {
	known, err := q.EncryptionKeys(ctx)
	if err != nil {
		return nil, err
	}
	if len(known) == 0 {
		return nil, refuseForeignData(ctx, q)
	}
	if ring == nil {
		return known, missingRing(inUse(known))
	}
	return known, checkKnown(known, ring)
}

// refuseForeignData keeps a key from being adopted by a database that holds
// values but no list of keys: nobody could say which key they need.
func refuseForeignData(ctx context.Context, q store.Queries) error {
	sealed, err := q.HasSealed(ctx)
	if err != nil || !sealed {
		return err
	}
	return fault.New(fault.Usage, "The database holds encrypted values but no record of their key. It was changed by hand; restore it from a backup.")
}

// inUse are the keys under which something may be sealed.
func inUse(known []store.EncryptionKey) []store.EncryptionKey {
	return slices.DeleteFunc(slices.Clone(known), func(k store.EncryptionKey) bool { return k.RetiredAt != nil })
}

func missingRing(known []store.EncryptionKey) error {
	return fault.New(fault.Usage, fmt.Sprintf(
		"The database holds values encrypted with key %s, but no encryption key is configured. Set HEARTLOCK_ENCRYPTION_KEY to that key, or put back the file that held it. No new key was generated.",
		fingerprints(known)))
}

// checkKnown compares the database's keys with the ring.
func checkKnown(known []store.EncryptionKey, ring *keyring.Ring) error {
	var missing []store.EncryptionKey
	for _, k := range known {
		switch {
		case k.RetiredAt != nil:
		case ring.VerifyCheck(k.CheckToken, k.Fingerprint):
		case slices.Contains(ring.Fingerprints(), k.Fingerprint):
			return fault.New(fault.Usage, fmt.Sprintf(
				"The database's record of key %s is damaged: the configured key does not open it. Restore the database from a backup.", k.Fingerprint))
		default:
			missing = append(missing, k)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return fault.New(fault.Usage, fmt.Sprintf(
		"The database holds values encrypted with key %s, but the configured key is %s. Set HEARTLOCK_ENCRYPTION_KEY to the key that the values were encrypted with; nothing was changed.",
		fingerprints(missing), strings.Join(ring.Fingerprints(), ", ")))
}

func fingerprints(keys []store.EncryptionKey) string {
	names := make([]string, len(keys))
	for i, k := range keys {
		names[i] = k.Fingerprint
	}
	return strings.Join(names, ", ")
}

// sealer seals values under the key that the database names, whatever the order
// of the configured keys: all servers seal with the same key, and none goes on
// with a former one behind the back of a rotation.
type sealer struct {
	ring        *keyring.Ring
	fingerprint string
}

// sealer is for one transaction. known is the key that seals, if a query of the
// transaction has told; "" asks.
func (v *Vault) sealer(ctx context.Context, tx store.Tx, known string) (s sealer, err error) {
	s = sealer{ring: v.currentRing(), fingerprint: known}
	if s.ring != nil && known == "" {
		s.fingerprint, err = tx.SealingKey(ctx)
	}
	return s, err
}

// seal encrypts a value for storage.
func (s sealer) seal(value api.Value) (sealed, fingerprint string, err error) {
	if s.ring == nil || s.fingerprint == "" {
		return "", "", errNoKey
	}
	token, err := s.ring.SealWith(s.fingerprint, []byte(value.Reveal()))
	switch {
	case errors.Is(err, keyring.ErrNoKey):
		return "", "", errKeyNotHere(s.fingerprint, err)
	case err != nil:
		return "", "", fault.Wrap(fault.Internal, err, "the value could not be sealed")
	}
	return string(token), s.fingerprint, nil
}

// errKeyNotHere answers while a rotation has reached the database but not this
// server, which looks at its settings every second.
func errKeyNotHere(fingerprint string, cause error) error {
	e := fault.Wrap(fault.Unavailable, cause, fmt.Sprintf(
		"The encryption key was rotated to %s, which this server does not have yet. Put it into its settings; where it comes from the environment, restart the server.", fingerprint))
	e.RetryAfter = time.Second
	return e
}

// open decrypts the value of a secret. A value that no key opens is damaged: the
// error names the secret, so that the others stay readable.
func (v *Vault) open(s *store.Secret) (api.Value, error) {
	ring := v.currentRing()
	if ring == nil {
		return api.Value{}, errNoKey
	}
	text, err := ring.OpenText(*s.Sealed, s.KeyFingerprint)
	switch {
	case err != nil && !ring.Has(s.KeyFingerprint):
		return api.Value{}, errKeyNotHere(s.KeyFingerprint, err)
	case err != nil:
		return api.Value{}, fault.Wrap(fault.Internal, err, fmt.Sprintf(
			"The stored value of %s can not be decrypted: it is damaged, or its key is missing. Run `heartlock check` on the server.", s.Key))
	}
	return api.NewValue(text), nil
}
