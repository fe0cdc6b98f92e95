package backup

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"filippo.io/age"
	"golang.org/x/crypto/chacha20poly1305"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/keyring"
)

const (
	stanzaType = "heartlock"
	purpose    = "heartlock backup file key 1"
	saltBytes  = 16

	// MinPassphrase is the fewest characters of a passphrase. Whoever has the file
	// can try as many as he likes.
	MinPassphrase = 12

	workFactor    = 18 // log2 of scrypt's N: a second or two, and 256 MiB
	maxWorkFactor = 20 // a file that asks for more is refused
	fileKeyBytes  = 16 // of age
)

// Encryption says who can open a backup: whoever has Key, or, where Passphrase
// is set, whoever knows that. Keys are the instance's encryption keys, the one
// that seals first; they are put into the file only with a passphrase.
type Encryption struct {
	Key        keyring.Key
	Passphrase api.Value
	Keys       []keyring.Key
}

// To says in the words of the backups table who can open a backup: the key's
// fingerprint, or "passphrase".
func (e Encryption) To() string {
	if e.byPassphrase() {
		return "passphrase"
	}
	return e.Key.Fingerprint()
}

func (e Encryption) byPassphrase() bool { return e.Passphrase.Len() > 0 }

func (e Encryption) recipient() (age.Recipient, error) {
	if !e.byPassphrase() {
		return instanceRecipient{e.Key}, nil
	}
	if err := CheckPassphrase(e.Passphrase); err != nil {
		return nil, err
	}
	r, err := age.NewScryptRecipient(e.Passphrase.Reveal())
	if err != nil {
		return nil, err
	}
	r.SetWorkFactor(workFactor)
	return r, nil
}

// CheckPassphrase refuses, as fault.Usage, a passphrase that is too short.
func CheckPassphrase(p api.Value) error {
	if n := len([]rune(p.Reveal())); n < MinPassphrase {
		return fault.Newf(fault.Usage, "The passphrase has %d characters; it needs at least %d. Several words that nobody could guess are best.", n, MinPassphrase)
	}
	return nil
}

// instanceRecipient encrypts to an encryption key of Heartlock. Its stanza is
//
//	-> heartlock FINGERPRINT SALT
//	BODY
//
// with the first eight hexadecimal digits of the SHA-256 of the key's 32 bytes,
// 16 random bytes in unpadded standard base64, and the file key in
// ChaCha20-Poly1305 (RFC 8439) with a nonce of zeros, under a key that is used
// for nothing else: HKDF-SHA256 (RFC 5869) of the key's 32 bytes, the salt and
// "heartlock backup file key 1".
type instanceRecipient struct{ key keyring.Key }

// Wrap makes the stanza.
func (r instanceRecipient) Wrap(fileKey []byte) ([]*age.Stanza, error) {
	salt := make([]byte, saltBytes)
	rand.Read(salt) // never fails: without randomness the program ends
	key, err := r.key.Derive(purpose, salt)
	if err != nil {
		return nil, err
	}
	aead, err := chacha20poly1305.New(key)
	if err != nil {
		return nil, err
	}
	return []*age.Stanza{{
		Type: stanzaType,
		Args: []string{r.key.Fingerprint(), base64.RawStdEncoding.EncodeToString(salt)},
		Body: aead.Seal(nil, make([]byte, chacha20poly1305.NonceSize), fileKey, nil),
	}}, nil
}

// Opener is what a backup can be opened with.
type Opener struct {
	Keys []keyring.Key
	// Passphrase is called for a file that needs one; nil: there is none.
	Passphrase func() (api.Value, error)
}

// identity opens both kinds of files. It is given all stanzas at once, so that it
// can say what is lacking.
type identity struct{ opener Opener }

// Unwrap finds the file key.
func (i identity) Unwrap(stanzas []*age.Stanza) ([]byte, error) {
	var needed []string
	for _, s := range stanzas {
		switch s.Type {
		case "scrypt":
			return i.byPassphrase(stanzas)
		case stanzaType:
			fileKey, err := i.byKey(s)
			if err != nil || fileKey != nil {
				return fileKey, err
			}
			needed = append(needed, s.Args[0])
		}
	}
	if len(needed) == 0 {
		return nil, fault.New(fault.Invalid, "This is a file of age, but no backup of Heartlock.")
	}
	return nil, NeedsKey{strings.Join(needed, " or ")}
}

// NeedsKey says that a backup, or a value in it, is encrypted to a key that is
// not at hand. The caller tells the person how to give it.
type NeedsKey struct{ Fingerprint string }

// Error names the key by its fingerprint.
func (e NeedsKey) Error() string { return "the backup is encrypted to key " + e.Fingerprint }

// byKey opens a stanza; nil means that its key is not at hand.
func (i identity) byKey(s *age.Stanza) ([]byte, error) {
	if len(s.Args) != 2 || len(s.Args[0]) != 8 || len(s.Body) != fileKeyBytes+chacha20poly1305.Overhead {
		return nil, damaged("its header is not whole", nil)
	}
	salt, err := base64.RawStdEncoding.Strict().DecodeString(s.Args[1])
	if err != nil || len(salt) != saltBytes {
		return nil, damaged("its header is not whole", err)
	}
	for _, k := range i.opener.Keys {
		if k.Fingerprint() != s.Args[0] {
			continue
		}
		key, err := k.Derive(purpose, salt)
		if err != nil {
			return nil, err
		}
		aead, err := chacha20poly1305.New(key)
		if err != nil {
			return nil, err
		}
		if fileKey, err := aead.Open(nil, make([]byte, chacha20poly1305.NonceSize), s.Body, nil); err == nil {
			return fileKey, nil
		}
		return nil, damaged("its header does not open with key "+k.Fingerprint(), nil)
	}
	return nil, nil
}

func (i identity) byPassphrase(stanzas []*age.Stanza) ([]byte, error) {
	if i.opener.Passphrase == nil {
		return nil, fault.New(fault.Usage, "The backup is encrypted with a passphrase. Give it with --passphrase-file FILE, or run the command on a terminal.")
	}
	passphrase, err := i.opener.Passphrase()
	if err != nil {
		return nil, err
	}
	id, err := age.NewScryptIdentity(passphrase.Reveal())
	if err != nil {
		return nil, fault.New(fault.Usage, "The passphrase is empty.")
	}
	id.SetMaxWorkFactor(maxWorkFactor)
	fileKey, err := id.Unwrap(stanzas)
	if errors.Is(err, age.ErrIncorrectIdentity) {
		return nil, fault.New(fault.Usage, "The passphrase is not the one of this backup.")
	}
	if err != nil {
		return nil, damaged("its header is not whole", fmt.Errorf("scrypt: %w", err))
	}
	return fileKey, nil
}
