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
// needs is refused, as fault.Usage, and the former one stays. What the database
// knows of its keys stays as it is.
func (v *Vault) UseRing(ctx context.Context, ring *keyring.Ring) error {
	_, err := v.compareKeysAtOnce(ctx, ring)
	if err == nil {
		v.ring.Store(ring)
	}
	return err
}

// KeyEntry says what opening a vault may change of what the database knows of
// its keys.
type KeyEntry int

const (
	// EnterFirstKey has a database that knows no key know the first of the ring.
	EnterFirstKey KeyEntry = iota
	// EnterNoKey changes nothing: for a first run whose key is not saved yet, and
	// which enters it if it wins (see Onboard).
	EnterNoKey
	// TakeUpKey is EnterFirstKey for a server that starts: a first key that the
	// database does not know begins a rotation, if all running servers have it.
	TakeUpKey
	// RotateKeys changes nothing, and opens a vault also without keys that nothing
	// is under: for a command that rotates keys.
	RotateKeys
)

// enterKeys does what the entry of the vault says, and makes sure that the ring
// opens everything that the database may hold. Without a ring it only looks
// whether one is missing.
func (v *Vault) enterKeys(ctx context.Context) error {
	ring := v.currentRing()
	known, err := v.compareKeysAtOnce(ctx, ring)
	if err != nil || ring == nil || v.keyEntry == EnterNoKey || v.keyEntry == RotateKeys {
		return err
	}
	if sealing(known) == "" {
		return v.holdingKeys(ctx, v.enterKey)
	}
	if v.keyEntry != TakeUpKey || isKnown(known, ring.SealFingerprint()) {
		return nil
	}
	// Without being asked to, nobody is kept waiting: rotate-key can do it later.
	err = v.store.Write(ctx, v.takeUp)
	if errors.Is(err, store.ErrKeysHeld) {
		err = nil
	}
	return err
}

// isKnown reports whether the database knows a key, in whatever role.
func isKnown(known []store.EncryptionKey, fingerprint string) bool {
	return slices.ContainsFunc(known, func(k store.EncryptionKey) bool { return k.Fingerprint == fingerprint })
}

// How long a change of the keys waits for others, and how often it tries.
const (
	keysPatience = 30 * time.Second
	keysPause    = 200 * time.Millisecond
)

// holdingKeys runs a transaction that holds the keys: nobody else changes them,
// and nobody seals anything meanwhile. Who is in the way is waited for between
// short attempts, so that nobody else has to wait for long.
func (v *Vault) holdingKeys(ctx context.Context, do func(context.Context, store.Tx) error) error {
	for deadline := time.Now().Add(keysPatience); ; {
		err := v.store.Write(ctx, func(ctx context.Context, tx store.Tx) error {
			if err := tx.LockEncryptionKeys(ctx); err != nil {
				return err
			}
			return do(ctx, tx)
		})
		if !errors.Is(err, store.ErrKeysHeld) || time.Now().After(deadline) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(keysPause):
		}
	}
}

// enterKey has a database that knows no key that seals know the first of the
// ring, unless another server has done so meanwhile: two servers that start on a
// new database with different keys must not both believe in theirs. The caller
// holds the keys.
func (v *Vault) enterKey(ctx context.Context, tx store.Tx) error {
	ring := v.currentRing()
	known, err := v.compareKeys(ctx, tx.Queries, ring)
	if err != nil || sealing(known) != "" {
		return err
	}
	first := ring.SealFingerprint()
	if isKnown(known, first) { // entered by a release that did not choose
		return tx.SealWith(ctx, first)
	}
	if err := v.insertKey(ctx, tx, ring, first, true); err != nil {
		return err
	}
	return v.keyChain(ctx, tx, first)
}

// keyChain gives the trail of what was recorded without an encryption key its
// secret key at once, by recording that there is one now. From then on a trail
// without a key is one that somebody has forged.
func (v *Vault) keyChain(ctx context.Context, tx store.Tx, fingerprint string) error {
	chain, err := tx.AuditChain(ctx)
	if err != nil || chain == nil || chain.Sealed != nil {
		return err
	}
	return v.record(ctx, tx, Local(), event{action: ActionEnterKey, detail: map[string]string{"key": fingerprint}})
}

// takeUp begins the rotation to the first key of the ring, unless the database
// knows it already, another rotation is under way, or a running server does not
// have the key.
func (v *Vault) takeUp(ctx context.Context, tx store.Tx) error {
	ring := v.currentRing()
	lacking, err := lackingKey(ctx, tx.Queries, ring.SealFingerprint())
	if err != nil || len(lacking) > 0 {
		return err
	}
	if err := tx.LockEncryptionKeys(ctx); err != nil {
		return err
	}
	known, err := v.compareKeys(ctx, tx.Queries, ring)
	if err != nil || isKnown(known, ring.SealFingerprint()) {
		return err
	}
	under, err := tx.KeyRotation(ctx)
	if err != nil || under != nil {
		return err
	}
	return v.begin(ctx, tx, Local(), ring, rotationPlan{from: sealing(known), to: ring.SealFingerprint(), byServer: true})
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
func (v *Vault) compareKeysAtOnce(ctx context.Context, ring *keyring.Ring) ([]store.EncryptionKey, error) {
	return compareKeysAtOnce(ctx, v.store, ring, v.keyEntry == RotateKeys)
}

func compareKeysAtOnce(ctx context.Context, st *store.Store, ring *keyring.Ring, rotates bool) (known []store.EncryptionKey, err error) {
	err = st.Snapshot(ctx, func(ctx context.Context, q store.Queries) (err error) {
		known, err = compareKeys(ctx, q, ring, rotates)
		return err
	})
	return known, err
}

func (v *Vault) compareKeys(ctx context.Context, q store.Queries, ring *keyring.Ring) ([]store.EncryptionKey, error) {
	return compareKeys(ctx, q, ring, v.keyEntry == RotateKeys)
}

// compareKeys reads the database's list of keys and reports what keeps a vault
// with this ring, which may be nil, from being opened over it. A key that nothing
// is under, and that does not seal, is not needed; who rotates needs none that
// nothing is under.
func compareKeys(ctx context.Context, q store.Queries, ring *keyring.Ring, rotates bool) ([]store.EncryptionKey, error) {
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
	missing, err := missingKeys(known, ring)
	if err != nil || len(missing) == 0 {
		return known, err
	}
	counts, err := q.CountSealedByKey(ctx)
	if err != nil {
		return known, err
	}
	missing = slices.DeleteFunc(missing, func(k store.EncryptionKey) bool {
		return counts[k.Fingerprint] == 0 && (rotates || !k.IsSealing)
	})
	if len(missing) == 0 {
		return known, nil
	}
	return known, wrongRing(missing, ring)
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

func wrongRing(missing []store.EncryptionKey, ring *keyring.Ring) error {
	configured := "key is"
	if len(ring.Fingerprints()) > 1 {
		configured = "keys are"
	}
	return fault.New(fault.Usage, fmt.Sprintf(
		"The database holds values encrypted with key %s, but the configured %s %s. Add the missing key to the settings; HEARTLOCK_ENCRYPTION_KEY takes several, separated by commas. Nothing was changed.",
		fingerprints(missing), configured, strings.Join(ring.Fingerprints(), ", ")))
}

// missingKeys are those of the database's keys in use that the ring lacks.
func missingKeys(known []store.EncryptionKey, ring *keyring.Ring) (missing []store.EncryptionKey, err error) {
	for _, k := range inUse(known) {
		switch {
		case ring.VerifyCheck(k.CheckToken, k.Fingerprint):
		case ring.Has(k.Fingerprint):
			return nil, fault.New(fault.Usage, fmt.Sprintf(
				"The database's record of key %s is damaged: the configured key does not open it. Restore the database from a backup.", k.Fingerprint))
		default:
			missing = append(missing, k)
		}
	}
	return missing, nil
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
