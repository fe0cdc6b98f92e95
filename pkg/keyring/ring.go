package keyring

import (
	"bytes"
	"crypto/aes"
	"crypto/sha256"
	"encoding/base64"
	"errors"

	"github.com/fernet/fernet-go"

	"github.com/heartlock/heartlock/pkg/fault"
)

// ErrOpen says that a token could not be opened: it is damaged, or none of the
// keys sealed it. The two can not be told apart, because a token that was
// sealed with another key and one that was changed both fail the same check.
var ErrOpen = errors.New("the token is damaged or was sealed with a key that is not at hand")

// The layout of a token's bytes (Fernet spec, "Token Format"): version, time,
// IV, ciphertext, HMAC.
const (
	version       = 0x80
	overhead      = 1 + 8 + aes.BlockSize + sha256.Size
	shortestToken = overhead + aes.BlockSize // an empty value is one block of padding
)

// Ring is an ordered set of keys: the first one seals, all of them open. It
// does not change after [NewRing] and may be used by many goroutines at once.
type Ring struct {
	keys         []*fernet.Key            // the sealing key first
	fingerprints []string                 // in the order of keys
	preferring   map[string][]*fernet.Key // by fingerprint: all keys, that one first
}

// NewRing makes a ring that seals with seal and opens with seal and older. No
// key may be the zero Key; two keys with one fingerprint are refused, since the
// fingerprint is what a stored token names its key by. Errors are [fault.Usage].
func NewRing(seal Key, older ...Key) (*Ring, error) {
	r := &Ring{preferring: make(map[string][]*fernet.Key, 1+len(older))}
	for _, k := range append([]Key{seal}, older...) {
		if k.IsZero() {
			return nil, fault.New(fault.Usage, "There is no encryption key.")
		}
		fingerprint := k.Fingerprint()
		if _, twice := r.preferring[fingerprint]; twice {
			return nil, fault.Newf(fault.Usage, "Two of the encryption keys have the fingerprint %s: give each key once.", fingerprint)
		}
		r.preferring[fingerprint] = nil
		r.keys = append(r.keys, k.bytes())
		r.fingerprints = append(r.fingerprints, fingerprint)
	}
	for i, fingerprint := range r.fingerprints {
		r.preferring[fingerprint] = movedToFront(r.keys, i)
	}
	return r, nil
}

// movedToFront is a copy of keys with the i-th one before all others.
func movedToFront(keys []*fernet.Key, i int) []*fernet.Key {
	out := append([]*fernet.Key{keys[i]}, keys[:i]...)
	return append(out, keys[i+1:]...)
}

// SealFingerprint is the fingerprint of the key that seals.
func (r *Ring) SealFingerprint() string { return r.fingerprints[0] }

// Fingerprints are those of all keys, the sealing one first.
func (r *Ring) Fingerprints() []string { return append([]string(nil), r.fingerprints...) }

// Seal encrypts plaintext, which may be empty, with the sealing key. It returns
// the token, which is text, and the fingerprint to store beside it.
func (r *Ring) Seal(plaintext []byte) (token []byte, fingerprint string, err error) {
	token, err = fernet.EncryptAndSign(plaintext, r.keys[0])
	if err != nil {
		return nil, "", err
	}
	return token, r.fingerprints[0], nil
}

// Open decrypts a token that any key of the ring sealed, at whatever time.
// fingerprint is a hint as to which key to try first; "" or an unknown one
// tries them in order. The result is never nil when err is nil, and has no
// spare capacity. The error is [ErrOpen], whatever was wrong.
func (r *Ring) Open(token []byte, fingerprint string) ([]byte, error) {
	keys, known := r.preferring[fingerprint]
	if !known {
		keys = r.keys
	}
	return open(token, keys)
}

// open decrypts token with the first of keys that fits.
//
// fernet-go ignores what does not decode as base64, so a token with garbage
// after it would open; it indexes outside its slice when the MAC of a token
// that is too short is right; and it takes a padding of 0 or of several blocks.
// A token with a right MAC can be malformed only if another program that has
// the key wrote it, but that must not take the server down: the shape is
// checked before, the padding after.
func open(token []byte, keys []*fernet.Key) ([]byte, error) {
	size, ok := ciphertextSize(token)
	if !ok {
		return nil, ErrOpen
	}
	plaintext := fernet.VerifyAndDecrypt(token, 0, keys) // 0: of any age
	if plaintext == nil {
		return nil, ErrOpen
	}
	if padding := size - len(plaintext); padding < 1 || padding > aes.BlockSize {
		return nil, ErrOpen
	}
	return plaintext[:len(plaintext):len(plaintext)], nil
}

// ciphertextSize checks the shape of a token: canonical URL-safe base64 and
// nothing else, the version, and a whole number (at least one) of cipher blocks.
func ciphertextSize(token []byte) (size int, ok bool) {
	// Even a strict decoder of encoding/base64 skips line breaks.
	if len(token) < base64.URLEncoding.EncodedLen(shortestToken) || bytes.ContainsAny(token, "\r\n") {
		return 0, false
	}
	raw := make([]byte, base64.URLEncoding.DecodedLen(len(token)))
	n, err := base64.URLEncoding.Strict().Decode(raw, token)
	if err != nil || raw[0] != version {
		return 0, false
	}
	size = n - overhead
	return size, size%aes.BlockSize == 0
}
