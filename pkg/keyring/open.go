package keyring

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"hash"
	"sync"

	"github.com/fernet/fernet-go"
)

// The layout of a token's bytes (Fernet spec, "Token Format"): version, time,
// IV, ciphertext, HMAC.
const (
	version       = 0x80
	ivOffset      = 1 + 8
	textOffset    = ivOffset + aes.BlockSize
	overhead      = textOffset + sha256.Size
	shortestToken = overhead + aes.BlockSize // an empty value is one block of padding
)

// opener opens the tokens of one key. fernet-go would compute the key schedules
// anew for each token, which is most of the work of a short one; it also ignores
// garbage after a token, indexes outside of its slice when the MAC of a token
// that is too short is right, and takes a padding of 0 or of several blocks. So
// tokens are opened here, with the primitives of the standard library, by the
// steps of the specification ("Verifying", "Decrypting") but for the time.
type opener struct {
	block cipher.Block // under the second half of the key
	macs  sync.Pool    // of hash.Hash: HMAC-SHA256 under the first half
}

func newOpener(k *fernet.Key) (*opener, error) {
	const half = keyBytes / 2
	key := *k
	block, err := aes.NewCipher(key[half:])
	if err != nil {
		return nil, err
	}
	return &opener{block: block, macs: sync.Pool{New: func() any { return hmac.New(sha256.New, key[:half]) }}}, nil
}

// signed reports whether raw, a whole token, carries the MAC of the key.
func (o *opener) signed(raw []byte) bool {
	mac := o.macs.Get().(hash.Hash)
	defer o.macs.Put(mac)
	mac.Reset()
	end := len(raw) - sha256.Size
	_, _ = mac.Write(raw[:end]) // never fails: hash.Hash
	var sum [sha256.Size]byte
	return hmac.Equal(mac.Sum(sum[:0]), raw[end:])
}

// decrypt decrypts the text of a signed token in its place.
func (o *opener) decrypt(raw []byte) ([]byte, error) {
	text := raw[textOffset : len(raw)-sha256.Size]
	cipher.NewCBCDecrypter(o.block, raw[ivOffset:textOffset]).CryptBlocks(text, text)
	padding := int(text[len(text)-1])
	if padding < 1 || padding > aes.BlockSize {
		return nil, ErrOpen
	}
	end := len(text) - padding
	for _, b := range text[end:] {
		if int(b) != padding {
			return nil, ErrOpen
		}
	}
	return text[:end], nil
}

// scratch is the memory in which a token is opened.
type scratch struct {
	token []byte
	raw   []byte // its bytes; all that was written since the scratch was taken
}

// largestScratch bounds what is kept for the next token: one of the longest
// value that is allowed fits.
const largestScratch = 256 << 10

// open opens s.token with the first of the openers that fits. The result is in
// the scratch.
func (s *scratch) open(openers []*opener) ([]byte, error) {
	raw, ok := s.decode()
	if !ok {
		return nil, ErrOpen
	}
	for _, o := range openers {
		if o.signed(raw) {
			return o.decrypt(raw)
		}
	}
	return nil, ErrOpen
}

// decode checks the shape of a token: canonical URL-safe base64 and nothing
// else, the version, and a whole number (at least one) of cipher blocks.
func (s *scratch) decode() (raw []byte, ok bool) {
	// Even a strict decoder of encoding/base64 skips line breaks.
	if len(s.token) < base64.URLEncoding.EncodedLen(shortestToken) || bytes.ContainsAny(s.token, "\r\n") {
		return nil, false
	}
	if size := base64.URLEncoding.DecodedLen(len(s.token)); cap(s.raw) < size {
		s.raw = make([]byte, size)
	} else {
		s.raw = s.raw[:size]
	}
	n, err := base64.URLEncoding.Strict().Decode(s.raw, s.token)
	if err != nil || s.raw[0] != version {
		return nil, false
	}
	return s.raw[:n], (n-overhead)%aes.BlockSize == 0
}

// take lends a scratch that holds the token.
func take[T string | []byte](from *sync.Pool, token T) *scratch {
	s, ok := from.Get().(*scratch)
	if !ok {
		s = new(scratch)
	}
	s.token = append(s.token[:0], token...)
	return s
}

// giveBack returns a scratch, without the value that was in it.
func giveBack(to *sync.Pool, s *scratch) {
	clear(s.raw)
	s.raw = s.raw[:0]
	if cap(s.raw) <= largestScratch {
		to.Put(s)
	}
}
