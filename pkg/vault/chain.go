package vault

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"errors"
	"sync/atomic"
	"time"

	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/keyring"
	"github.com/heartlock/heartlock/pkg/store"
)

// chainKeeper has the key of the audit trail's chain for a store: it is sealed
// like every value, so that rotations and backups carry it.
type chainKeeper struct {
	ring func() *keyring.Ring
	now  func() time.Time
	// key is that of the chain, once it was opened. It never changes.
	key atomic.Pointer[openChainKey]
}

// openChainKey is the key of the chain, and the token that it was opened from.
type openChainKey struct {
	sealed string
	key    []byte
}

const badChainKey = "The key of the audit trail's chain can not be decrypted: it is damaged, or its encryption key is missing. Nothing can be done without being recorded. If the encryption key is right, run `heartlock audit restart-chain` on the server: it begins a new chain, and what was recorded before stays, but is not protected any more."

var errChainKeyGone = fault.New(fault.Unavailable, "The key of the audit trail's chain was taken out of the database. Run `heartlock audit verify` on the server.")

var errChainKeyReplaced = fault.New(fault.Unavailable, "The key of the audit trail's chain is another one than this server knows. Run `heartlock audit verify` on the server; if the chain was begun anew on purpose, restart the server.")

func newChainKeeper(ring func() *keyring.Ring, now func() time.Time) *chainKeeper {
	return &chainKeeper{ring: ring, now: now}
}

// OpenChainKey opens the key of the chain. Whoever has opened it once goes on with
// it, also when a rotation has put it under a key that is not here yet; and does
// not take none for an answer: that would be a chain that everybody can forge.
func (k *chainKeeper) OpenChainKey(sealed *string, fingerprint string) ([]byte, error) {
	open := k.key.Load()
	switch {
	case sealed == nil && open != nil:
		return nil, errChainKeyGone
	case sealed == nil:
		return store.NoChainKey(), nil
	case open != nil && open.sealed == *sealed:
		return open.key, nil
	}
	key, err := unsealChainKey(k.ring(), *sealed, fingerprint)
	switch {
	case err != nil && open != nil:
		return open.key, nil // see above
	case err != nil:
		return nil, err
	case open != nil && !hmac.Equal(open.key, key):
		return nil, errChainKeyReplaced
	}
	k.key.Store(&openChainKey{*sealed, key})
	return key, nil
}

// chainKeyPurpose stands before the key of the chain where it is sealed. A token
// is not bound to its place: without this, whoever writes to the database could
// put the token of a secret of his own there, whose value he knows, and make the
// whole chain anew. No value of a secret holds a NUL.
const chainKeyPurpose = "\x00heartlock audit chain\x00"

func sealChainKey(ring *keyring.Ring, fingerprint string, key []byte) ([]byte, error) {
	return ring.SealWith(fingerprint, append([]byte(chainKeyPurpose), key...))
}

func unsealChainKey(ring *keyring.Ring, sealed, fingerprint string) ([]byte, error) {
	if ring == nil {
		return nil, errNoKey
	}
	text, err := ring.Open([]byte(sealed), fingerprint)
	key, ours := bytes.CutPrefix(text, []byte(chainKeyPurpose))
	if err == nil && (!ours || len(key) != store.ChainKeySize) {
		err = errors.New("what was sealed there is something else")
	}
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, badChainKey)
	}
	return key, nil
}

// opensChainKey reports whether the key of a chain that has one can be had.
func opensChainKey(ring *keyring.Ring, chain *store.AuditChain) bool {
	_, err := unsealChainKey(ring, *chain.Sealed, chain.KeyFingerprint)
	return err == nil
}

// NewChainKey makes the key of the chain as soon as there is an encryption key to
// seal it with.
func (k *chainKeeper) NewChainKey(ctx context.Context, tx store.Tx) (*store.NewChainKey, error) {
	ring := k.ring()
	if ring == nil || k.key.Load() != nil {
		return nil, nil
	}
	seals, err := tx.SealingKey(ctx)
	if err != nil || seals == "" || !ring.Has(seals) {
		return nil, err
	}
	key := make([]byte, store.ChainKeySize)
	_, _ = rand.Read(key) // never fails
	token, err := sealChainKey(ring, seals, key)
	if err != nil {
		return nil, err
	}
	tx.AfterCommit(func() { k.key.CompareAndSwap(nil, &openChainKey{string(token), key}) })
	return &store.NewChainKey{
		Key: key, Sealed: string(token), Fingerprint: seals,
		Event: auditRowAt(store.MicrosOf(k.now()), Local(), event{action: ActionBeginChain}),
	}, nil
}
