package vault

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/keyring"
	"github.com/heartlock/heartlock/pkg/store"
)

// errNoKey answers everything that would need a key while there is none.
var errNoKey = fault.New(fault.Unavailable, "No encryption key is configured.")

// checkKeys makes sure that the ring opens everything that the database may
// hold, and with enter enters the sealing key into the database's list before
// the first value is sealed with it. Without a ring it only looks whether one is
// missing.
func (v *Vault) checkKeys(ctx context.Context, enter bool) error {
	known, err := compareKeysAtOnce(ctx, v.store, v.ring)
	if err != nil || v.ring == nil || !enter || lists(known, v.ring.SealFingerprint()) {
		return err
	}
	return v.store.Write(ctx, v.enterKey)
}

// enterKey adds the sealing key to the database's list, unless another server
// has meanwhile added it, or one that this vault does not have: two servers that
// start on a new database with different keys must not both believe in theirs.
func (v *Vault) enterKey(ctx context.Context, tx store.Tx) error {
	if err := tx.LockEncryptionKeys(ctx); err != nil {
		return err
	}
	known, err := compareKeys(ctx, tx.Queries, v.ring)
	if err != nil || lists(known, v.ring.SealFingerprint()) {
		return err
	}
	token, err := v.ring.SealCheck()
	if err != nil {
		return fault.Wrap(fault.Internal, err, "the key check could not be sealed")
	}
	return tx.InsertEncryptionKey(ctx, &store.EncryptionKey{
		Fingerprint: v.ring.SealFingerprint(), CheckToken: token, CreatedAt: v.micros(),
	})
}

// lists reports whether a key is among those of the database.
func lists(known []store.EncryptionKey, fingerprint string) bool {
	return slices.ContainsFunc(known, func(k store.EncryptionKey) bool { return k.Fingerprint == fingerprint })
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
		return known, missingRing(known)
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

// seal encrypts a value for storage.
func (v *Vault) seal(value api.Value) (sealed, fingerprint string, err error) {
	if v.ring == nil {
		return "", "", errNoKey
	}
	token, fingerprint, err := v.ring.Seal([]byte(value.Reveal()))
	if err != nil {
		return "", "", fault.Wrap(fault.Internal, err, "the value could not be sealed")
	}
	return string(token), fingerprint, nil
}

// open decrypts the value of a secret. A value that no key opens is damaged: the
// error names the secret, so that the others stay readable.
func (v *Vault) open(s *store.Secret) (api.Value, error) {
	if v.ring == nil {
		return api.Value{}, errNoKey
	}
	text, err := v.ring.OpenText(*s.Sealed, s.KeyFingerprint)
	if err != nil {
		return api.Value{}, fault.Wrap(fault.Internal, err, fmt.Sprintf(
			"The stored value of %s can not be decrypted: it is damaged, or its key is missing. Run `heartlock check` on the server.", s.Key))
	}
	return api.NewValue(text), nil
}
