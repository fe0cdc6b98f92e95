package keyring

import (
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
)

// DerivedBytes is the length of what [Key.Derive] gives.
const DerivedBytes = sha256.Size

var errNoKeyToDerive = errors.New("there is no key to derive another one from")

// Derive gives a key of 32 bytes for another purpose than sealing values: HKDF
// with SHA-256 (RFC 5869) over the key's bytes. Other purposes and other salts,
// which may be empty, give keys that are independent of each other and do not
// tell the key. The result is as secret as the key.
func (k Key) Derive(purpose string, salt []byte) ([]byte, error) {
	if k.IsZero() {
		return nil, errNoKeyToDerive
	}
	return hkdf.Key(sha256.New, k.bytes()[:], salt, purpose, DerivedBytes)
}

// Keys are those of the ring, the first one first, for who derives from them.
func (r *Ring) Keys() []Key {
	keys := make([]Key, len(r.fingerprints))
	for i, fingerprint := range r.fingerprints {
		keys[i] = newKey(r.sealers[fingerprint])
	}
	return keys
}
