// Package keyring holds the encryption keys of Heartlock and turns secret
// values into tokens and back. It seals with fernet-go, which no other package
// knows of, and opens with the standard library's primitives (see opener).
//
// # What is done to a value
//
// A value is sealed as a Fernet token (https://github.com/fernet/spec): AES-128
// in CBC mode with a random IV, authenticated by HMAC-SHA256 over everything
// before it, in URL-safe base64. Any Fernet implementation that has the key
// reads it. Tokens never expire: the time inside is not looked at.
//
// # Which key
//
// A [Ring] has one key that seals and any number of older keys that only open,
// so that the key can be replaced while values sealed with the former one are
// still there. A ring never changes; whoever rotates builds another one.
//
// Keys are told apart by their [Key.Fingerprint], which may be stored beside a
// token, logged and shown. The key itself is never printed: every way of
// formatting a Key gives its fingerprint.
package keyring

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"log/slog"
	"strings"

	"github.com/fernet/fernet-go"

	"github.com/heartlock/heartlock/pkg/fault"
)

// Sizes of a key in its two forms.
const (
	keyBytes = len(fernet.Key{})
	keyChars = 44 // base64 of 32 bytes, with its padding
)

// Key is one Fernet key. The zero Key is no key: [Key.IsZero] tells.
//
// The bytes are behind a function, so that not even a struct with an unexported
// Key in it shows them when it is printed: fmt does not call the methods of
// unexported fields, and follows a pointer when the verb does not suit it.
// A Key can therefore not be compared with ==; use [Key.Equal].
type Key struct {
	bytes func() *fernet.Key // nil for the zero Key
}

func newKey(k *fernet.Key) Key { return Key{bytes: func() *fernet.Key { return k }} }

// Generate makes a new random key from the operating system's source.
func Generate() Key {
	k := new(fernet.Key)
	rand.Read(k[:]) // never fails: without randomness the program ends
	return newKey(k)
}

// ParseKey reads a key from text: exactly 44 characters of base64 that stand
// for 32 bytes, in the URL-safe or the standard alphabet, and at most one line
// break after them. It refuses what other readers let through: a missing
// padding, hexadecimal digits, spaces, stray trailing bits, the key that is all
// zeros. The error is a [fault.Usage] whose message says what is wrong and
// never repeats the text.
func ParseKey(text string) (Key, error) {
	if line, ended := strings.CutSuffix(text, "\n"); ended {
		text = strings.TrimSuffix(line, "\r")
	}
	if problem := keyTextProblem(text); problem != "" {
		return Key{}, badKey(problem)
	}
	encoding := base64.URLEncoding.Strict()
	if strings.ContainsAny(text, "+/") {
		encoding = base64.StdEncoding.Strict()
	}
	raw, err := encoding.DecodeString(text)
	if err != nil || len(raw) != keyBytes {
		return Key{}, badKey("it is not valid base64 of 32 bytes")
	}
	k := fernet.Key(raw)
	if subtle.ConstantTimeCompare(k[:], make([]byte, keyBytes)) == 1 {
		return Key{}, badKey("it is all zeros, which anybody could guess")
	}
	return newKey(&k), nil
}

// keyTextProblem names the commonest mistakes in the text of a key; "" means
// that none of them was made.
func keyTextProblem(text string) string {
	switch {
	case text == "":
		return "it is empty"
	case strings.ContainsAny(text, " \t\r\n"):
		return "there is a space or a line break in it"
	case len(text) == hex.EncodedLen(keyBytes) && isHex(text):
		return "it looks like 64 hexadecimal digits"
	case len(text) == keyChars-1 && !strings.Contains(text, "="):
		return "it has 43 characters: the padding `=` is missing at its end"
	case len(text) != keyChars:
		return fmt.Sprintf("it has %d characters", len(text))
	}
	return ""
}

func isHex(text string) bool {
	_, err := hex.DecodeString(text)
	return err == nil
}

func badKey(problem string) error {
	return fault.Newf(fault.Usage,
		"This is not an encryption key: %s. A key is 44 characters of base64 that stand for 32 bytes; `heartlock genkey` makes one.", problem)
}

// ParseKeys reads several keys that are separated by commas, the one that
// seals first. Each is read as by [ParseKey]; spaces beside a comma are allowed.
// The same key twice is refused. Errors are [fault.Usage] and say which key of
// the list is meant.
func ParseKeys(text string) ([]Key, error) {
	items := strings.Split(text, ",")
	keys := make([]Key, 0, len(items))
	for i, item := range items {
		if len(items) > 1 {
			item = strings.Trim(item, " ")
		}
		k, err := ParseKey(item)
		if err != nil {
			if len(items) == 1 {
				return nil, err
			}
			return nil, fault.Newf(fault.Usage, "Key %d of %d: %s", i+1, len(items), err)
		}
		for j, earlier := range keys {
			if earlier.Equal(k) {
				return nil, fault.Newf(fault.Usage, "Keys %d and %d of the list are the same key, %s.", j+1, i+1, k.Fingerprint())
			}
		}
		keys = append(keys, k)
	}
	return keys, nil
}

// IsZero reports whether k is no key at all.
func (k Key) IsZero() bool { return k.bytes == nil }

// Equal reports whether k and other are the same key, in constant time.
func (k Key) Equal(other Key) bool {
	if k.IsZero() || other.IsZero() {
		return k.IsZero() && other.IsZero()
	}
	return subtle.ConstantTimeCompare(k.bytes()[:], other.bytes()[:]) == 1
}

// Encode is the key itself, as padded URL-safe base64: the form that
// [ParseKey] and every other Fernet implementation reads. It is the only method
// that gives the key away. The zero Key gives "".
func (k Key) Encode() string {
	if k.IsZero() {
		return ""
	}
	return k.bytes().Encode()
}

// Fingerprint names the key without giving it away: the first eight
// hexadecimal digits of the SHA-256 of its 32 bytes. The zero Key gives "".
func (k Key) Fingerprint() string {
	if k.IsZero() {
		return ""
	}
	sum := sha256.Sum256(k.bytes()[:])
	return hex.EncodeToString(sum[:4])
}

// String is what every kind of formatting shows instead of the key.
func (k Key) String() string {
	if k.IsZero() {
		return "[no key]"
	}
	return "[redacted key " + k.Fingerprint() + "]"
}

// GoString is String, for %#v.
func (k Key) GoString() string { return k.String() }

// Format writes String for every verb, %x and %d included.
func (k Key) Format(s fmt.State, _ rune) { _, _ = s.Write([]byte(k.String())) }

// LogValue is String, for slog.
func (k Key) LogValue() slog.Value { return slog.StringValue(k.String()) }

// MarshalText is String, for encoders. Nothing reads it back; see [Key.Encode].
func (k Key) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// MarshalJSON is String as a JSON string. Nothing reads it back.
func (k Key) MarshalJSON() ([]byte, error) { return []byte(`"` + k.String() + `"`), nil }
