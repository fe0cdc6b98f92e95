package keyring

import "bytes"

// checkText is what a check token holds. It is no secret.
const checkText = "heartlock key check 1"

// SealCheck makes a check token: a known text sealed with the first key, to be
// stored with the data that the key protects. [Ring.VerifyCheck] later tells
// whether a ring has that key, before it is used on anything that matters.
func (r *Ring) SealCheck() (string, error) {
	return r.SealCheckWith(r.SealFingerprint())
}

// SealCheckWith is SealCheck with the key of a fingerprint; a ring that lacks it
// answers [ErrNoKey].
func (r *Ring) SealCheckWith(fingerprint string) (string, error) {
	token, err := r.SealWith(fingerprint, []byte(checkText))
	return string(token), err
}

// VerifyCheck reports whether the ring has the key of this fingerprint and token
// is a check token that was made with it.
func (r *Ring) VerifyCheck(token, fingerprint string) bool {
	openers, ok := r.preferring[fingerprint]
	if !ok {
		return false
	}
	s := take(&r.scratches, token)
	defer giveBack(&r.scratches, s)
	text, err := s.open(openers[:1])
	return err == nil && bytes.Equal(text, []byte(checkText))
}
