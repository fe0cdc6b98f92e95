package keyring

import (
	"encoding/binary"
	"time"

	"github.com/fernet/fernet-go"
)

// Reseal opens a token and seals its value with the key of the fingerprint to.
// hint is the fingerprint of the key that sealed it, as for [Ring.Open]. The
// time that stands in the token, in seconds since 1970, is kept: it says when
// the value was stored, not when keys were changed.
//
// The error is [ErrOpen] for a token that no key opens, and [ErrNoKey].
func (r *Ring) Reseal(token, hint, to string) (string, error) {
	key, ok := r.sealers[to]
	if !ok {
		return "", ErrNoKey
	}
	s := take(&r.scratches, token)
	defer giveBack(&r.scratches, s)
	text, err := s.open(r.preferred(hint))
	if err != nil {
		return "", err
	}
	sealedAt := int64(binary.BigEndian.Uint64(s.raw[1:ivOffset])) //nolint:gosec // a time after the year 292,277,026,596 wraps and comes out the same
	sealed, err := fernet.EncryptAndSignAtTime(text, key, time.Unix(sealedAt, 0))
	return string(sealed), err
}
