package backup

import (
	"bufio"
	"bytes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"regexp"

	"filippo.io/age"
	"golang.org/x/crypto/chacha20poly1305"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/keyring"
)

// A file that is encrypted to an encryption key has one stanza of a type of our
// own in its age header:
//
//	-> heartlock FINGERPRINT SALT
//
// Its body is age's file key, sealed by ChaCha20-Poly1305 under a key that HKDF
// makes from the encryption key and the salt. The nonce is zero, as in age's own
// stanzas: the key is used once. The fingerprint lets whoever lacks the key be
// told which one is needed.
const (
	stanzaType = "heartlock"
	keyPurpose = "heartlock backup file key 1"
	saltBytes  = 16
)

// Work factors of a passphrase (scrypt, as a power of two): what is written, and
// what is accepted, so that a foreign file can not keep a server busy for long.
const (
	workFactor    = 18
	maxWorkFactor = 20
)

// MinPassphrase is how many bytes a passphrase has at least.
const MinPassphrase = 12

// Lock is what a file is encrypted to: exactly one of the two.
type Lock struct {
	Key        *keyring.Key
	Passphrase *api.Value
}

// recipient is l for age.
func (l Lock) recipient() (age.Recipient, error) {
	if l.Key != nil {
		return keyRecipient{*l.Key}, nil
	}
	if l.Passphrase == nil || l.Passphrase.Len() < MinPassphrase {
		return nil, fault.Newf(fault.Usage, "The passphrase of a backup must have at least %d bytes.", MinPassphrase)
	}
	r, err := age.NewScryptRecipient(l.Passphrase.Reveal())
	if err != nil {
		return nil, err
	}
	r.SetWorkFactor(workFactor)
	return r, nil
}

// LockKind says what opens a file: a passphrase, or the key of a fingerprint.
type LockKind struct {
	Passphrase  bool
	Fingerprint string
}

// headerLine is the first stanza of an age header.
var headerLine = regexp.MustCompile(`^age-encryption\.org/v1\n-> (heartlock ([0-9a-f]{8}) [A-Za-z0-9+/]+|scrypt [A-Za-z0-9+/]+ [0-9]+)\n`)

// headerPeek is as much of a file as holds that line.
const headerPeek = 256

// KindOf looks at the beginning of a file. It takes nothing out of r.
func KindOf(r *bufio.Reader) (LockKind, error) {
	head, err := r.Peek(headerPeek)
	if err != nil && !errors.Is(err, io.EOF) {
		return LockKind{}, err
	}
	found := headerLine.FindSubmatch(head)
	if found == nil {
		return LockKind{}, fault.New(fault.Invalid, "This is not a backup of Heartlock.")
	}
	return LockKind{Passphrase: bytes.HasPrefix(found[1], []byte("scrypt")), Fingerprint: string(found[2])}, nil
}

// keyRecipient encrypts to an encryption key.
type keyRecipient struct{ key keyring.Key }

// Wrap seals age's file key.
func (r keyRecipient) Wrap(fileKey []byte) ([]*age.Stanza, error) {
	salt := make([]byte, saltBytes)
	if _, err := rand.Read(salt); err != nil {
		return nil, err
	}
	aead, err := keyCipher(r.key, salt)
	if err != nil {
		return nil, err
	}
	return []*age.Stanza{{
		Type: stanzaType, Args: []string{r.key.Fingerprint(), base64.RawStdEncoding.EncodeToString(salt)},
		Body: aead.Seal(nil, make([]byte, chacha20poly1305.NonceSize), fileKey, nil),
	}}, nil
}

func keyCipher(key keyring.Key, salt []byte) (cipher.AEAD, error) {
	derived, err := key.Derive(keyPurpose, salt)
	if err != nil {
		return nil, err
	}
	return chacha20poly1305.New(derived)
}

// keyIdentity opens what is encrypted to one of its keys.
type keyIdentity struct{ keys []keyring.Key }

// Unwrap finds age's file key. age goes on to the next identity, of which there
// is none, if the error is age.ErrIncorrectIdentity.
func (i keyIdentity) Unwrap(stanzas []*age.Stanza) ([]byte, error) {
	for _, s := range stanzas {
		if s.Type != stanzaType || len(s.Args) != 2 {
			continue
		}
		salt, err := base64.RawStdEncoding.Strict().DecodeString(s.Args[1])
		if err != nil || len(salt) != saltBytes {
			continue
		}
		for _, k := range i.keys {
			if k.Fingerprint() != s.Args[0] {
				continue
			}
			aead, err := keyCipher(k, salt)
			if err != nil {
				return nil, err
			}
			if fileKey, err := aead.Open(nil, make([]byte, chacha20poly1305.NonceSize), s.Body, nil); err == nil {
				return fileKey, nil
			}
		}
	}
	return nil, age.ErrIncorrectIdentity
}

// Keys are what may open a file.
type Keys struct {
	Keys       []keyring.Key
	Passphrase *api.Value
}

// identity is the way to open a file of a kind.
func (k Keys) identity(kind LockKind) (age.Identity, error) {
	if !kind.Passphrase {
		return keyIdentity{k.Keys}, nil
	}
	if k.Passphrase == nil {
		return nil, fault.New(fault.Usage, "This backup is encrypted with a passphrase. Give it with --passphrase-file, or at a terminal.")
	}
	identity, err := age.NewScryptIdentity(k.Passphrase.Reveal())
	if err != nil {
		return nil, fault.Wrap(fault.Usage, err, "This can not be the passphrase of a backup.")
	}
	identity.SetMaxWorkFactor(maxWorkFactor)
	return identity, nil
}

// refused words why a file can not be opened.
func (k Keys) refused(kind LockKind, err error) error {
	var none *age.NoIdentityMatchError
	switch {
	case !errors.As(err, &none):
		return damaged("its header can not be read")
	case kind.Passphrase:
		return fault.Wrap(fault.Usage, err, "The passphrase is not the one of this backup.")
	}
	for _, key := range k.Keys {
		if key.Fingerprint() == kind.Fingerprint {
			return damaged("its header does not open with the key that it names")
		}
	}
	have := "no key is at hand"
	if len(k.Keys) > 0 {
		have = "the keys at hand are"
		for i, key := range k.Keys {
			if i > 0 {
				have += ","
			}
			have += " " + key.Fingerprint()
		}
	}
	return fault.Wrap(fault.Usage, err, fmt.Sprintf(
		"This backup is encrypted to key %s; %s. Give that key with --key-file FILE. A key that a rotation retired is in heartlock_data/former-keys/%s.key of the server that rotated it, or where you keep your keys.",
		kind.Fingerprint, have, kind.Fingerprint))
}
