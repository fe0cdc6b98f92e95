package keyring

import (
	"bytes"

	"github.com/fernet/fernet-go"

	"github.com/heartlock/heartlock/pkg/fault"
)

// checkText is what a check token holds. It is no secret.
const checkText = "heartlock key check 1"

// SealCheck makes a check token: a known text sealed with k, to be stored with
// the data that k protects. [VerifyCheck] later tells whether a key is that
// key, before it is used on anything that matters.
func SealCheck(k Key) (string, error) {
	if k.IsZero() {
		return "", fault.New(fault.Usage, "There is no encryption key.")
	}
	token, err := fernet.EncryptAndSign([]byte(checkText), k.bytes())
	return string(token), err
}

// VerifyCheck reports whether token is a check token that was made with k.
func VerifyCheck(token string, k Key) bool {
	if k.IsZero() {
		return false
	}
	text, err := open([]byte(token), []*fernet.Key{k.bytes()})
	return err == nil && bytes.Equal(text, []byte(checkText))
}
