package keyring

import (
	"errors"
	"sync"

	"github.com/fernet/fernet-go"

	"github.com/heartlock/heartlock/pkg/fault"
)

// ErrOpen says that a token could not be opened: it is damaged, or none of the
// keys sealed it. The two can not be told apart, because a token that was
// sealed with another key and one that was changed both fail the same check.
var ErrOpen = errors.New("the token is damaged or was sealed with a key that is not at hand")

// ErrNoKey says that a ring lacks the key that something shall be sealed with.
var ErrNoKey = errors.New("the ring does not have this key")

// Ring is an ordered set of keys: the first one is preferred for sealing, all of
// them open. It does not change after [NewRing] and may be used by many
// goroutines at once.
type Ring struct {
	sealers      map[string]*fernet.Key // by fingerprint
	openers      []*opener              // of all keys, the sealing one first
	fingerprints []string               // in the same order
	preferring   map[string][]*opener   // by fingerprint: all of them, that one first
	scratches    sync.Pool              // of *scratch
}

// NewRing makes a ring that seals with seal and opens with seal and older. No
// key may be the zero Key; two keys with one fingerprint are refused, since the
// fingerprint is what a stored token names its key by. Errors are [fault.Usage].
func NewRing(seal Key, older ...Key) (*Ring, error) {
	r := &Ring{preferring: make(map[string][]*opener, 1+len(older)), sealers: make(map[string]*fernet.Key, 1+len(older))}
	for _, k := range append([]Key{seal}, older...) {
		if k.IsZero() {
			return nil, fault.New(fault.Usage, "There is no encryption key.")
		}
		fingerprint := k.Fingerprint()
		if _, twice := r.preferring[fingerprint]; twice {
			return nil, fault.Newf(fault.Usage, "Two of the encryption keys have the fingerprint %s: give each key once.", fingerprint)
		}
		r.preferring[fingerprint], r.sealers[fingerprint] = nil, k.bytes()
		o, err := newOpener(k.bytes())
		if err != nil {
			return nil, err
		}
		r.openers = append(r.openers, o)
		r.fingerprints = append(r.fingerprints, fingerprint)
	}
	for i, fingerprint := range r.fingerprints {
		r.preferring[fingerprint] = movedToFront(r.openers, i)
	}
	return r, nil
}

// movedToFront is a copy of openers with the i-th one before all others.
func movedToFront(openers []*opener, i int) []*opener {
	out := append([]*opener{openers[i]}, openers[:i]...)
	return append(out, openers[i+1:]...)
}

// SealFingerprint is the fingerprint of the first key.
func (r *Ring) SealFingerprint() string { return r.fingerprints[0] }

// Fingerprints are those of all keys, the first one first.
func (r *Ring) Fingerprints() []string { return append([]string(nil), r.fingerprints...) }

// Has reports whether the ring has the key of this fingerprint.
func (r *Ring) Has(fingerprint string) bool {
	_, ok := r.sealers[fingerprint]
	return ok
}

// Only is a ring of this one of the ring's keys; [ErrNoKey] if it has it not.
func (r *Ring) Only(fingerprint string) (*Ring, error) {
	key, ok := r.sealers[fingerprint]
	if !ok {
		return nil, ErrNoKey
	}
	return NewRing(newKey(key))
}

// Seal encrypts plaintext, which may be empty, with the first key. It returns
// the token, which is text, and the fingerprint to store beside it.
func (r *Ring) Seal(plaintext []byte) (token []byte, fingerprint string, err error) {
	token, err = r.SealWith(r.fingerprints[0], plaintext)
	if err != nil {
		return nil, "", err
	}
	return token, r.fingerprints[0], nil
}

// SealWith encrypts plaintext, which may be empty, with the key of this
// fingerprint. [ErrNoKey] says that the ring does not have it.
func (r *Ring) SealWith(fingerprint string, plaintext []byte) ([]byte, error) {
	key, ok := r.sealers[fingerprint]
	if !ok {
		return nil, ErrNoKey
	}
	return fernet.EncryptAndSign(plaintext, key)
}

// Open decrypts a token that any key of the ring sealed, at whatever time.
// fingerprint is a hint as to which key to try first; "" or an unknown one
// tries them in order. The result is never nil when err is nil, and has no
// spare capacity. The error is [ErrOpen], whatever was wrong.
func (r *Ring) Open(token []byte, fingerprint string) ([]byte, error) {
	s := take(&r.scratches, token)
	defer giveBack(&r.scratches, s)
	text, err := s.open(r.preferred(fingerprint))
	if err != nil {
		return nil, err
	}
	return append(make([]byte, 0, len(text)), text...), nil
}

// OpenText is Open for a token and a value that are text.
func (r *Ring) OpenText(token, fingerprint string) (string, error) {
	s := take(&r.scratches, token)
	defer giveBack(&r.scratches, s)
	text, err := s.open(r.preferred(fingerprint))
	return string(text), err
}

// preferred are all openers, that of the key with the fingerprint first.
func (r *Ring) preferred(fingerprint string) []*opener {
	if openers, known := r.preferring[fingerprint]; known {
		return openers
	}
	return r.openers
}
