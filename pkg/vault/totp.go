package vault

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"strings"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/totp"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
)

// One-time codes are those of RFC 6238 as every authenticator app knows them: six
// digits of HMAC-SHA-1, a new one every thirty seconds. SHA-1 is not weak in this
// use, and many apps ignore that another function was asked for.
const (
	totpPeriod  = 30 * time.Second
	totpDigits  = 6
	totpSecret  = 20 // bytes, as RFC 4226 recommends
	totpSkew    = 1  // steps that a clock may be off, to either side
	totpIssuer  = "Heartlock"
	maxCodeText = 64

	recoveryCodes       = 10
	recoveryCodeLength  = 16 // characters of base32: 80 bits
	recoveryCodeGrouped = 4
)

// newTOTPKey makes the secret of an account's second factor.
func newTOTPKey(email string) (*otp.Key, error) {
	key, err := totp.Generate(totp.GenerateOpts{
		Issuer: totpIssuer, AccountName: email, SecretSize: totpSecret, Period: uint(totpPeriod.Seconds()),
		Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1, Rand: rand.Reader,
	})
	if err != nil {
		return nil, fault.Wrap(fault.Internal, err, "the secret of a second factor could not be made")
	}
	return key, nil
}

// stepOfCode is the time step that a code belongs to, if it is the one of now or
// one beside it. All of them are compared, so that the time does not tell which.
func stepOfCode(secret, code string, now time.Time) (step int64, ok bool) {
	present := now.Unix() / int64(totpPeriod.Seconds())
	for s := present - totpSkew; s <= present+totpSkew; s++ {
		want, err := totp.GenerateCode(secret, time.Unix(s*int64(totpPeriod.Seconds()), 0))
		if err == nil && subtle.ConstantTimeCompare([]byte(want), []byte(code)) == 1 {
			step, ok = s, true
		}
	}
	return step, ok
}

// normalCode is what a person has typed without what is only for the eye.
func normalCode(code api.Value) string {
	if code.Len() > maxCodeText {
		return ""
	}
	return strings.ToUpper(strings.NewReplacer(" ", "", "-", "").Replace(code.Reveal()))
}

// isTOTPCode tells a code of the app from a recovery code.
func isTOTPCode(normal string) bool {
	return len(normal) == totpDigits && strings.Trim(normal, "0123456789") == ""
}

// newRecoveryCodes makes recovery codes, and what is stored of them.
func newRecoveryCodes(secret string) (codes []api.Value, digests [][]byte) {
	for range recoveryCodes {
		raw := make([]byte, recoveryCodeLength*5/8)
		_, _ = rand.Read(raw) // never fails
		code := base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(raw)
		digests = append(digests, recoveryDigest(secret, code))
		var groups []string
		for ; len(code) > 0; code = code[recoveryCodeGrouped:] {
			groups = append(groups, code[:recoveryCodeGrouped])
		}
		codes = append(codes, api.NewValue(strings.Join(groups, "-")))
	}
	return codes, digests
}

// recoveryDigest is what is stored of a recovery code: keyed with the secret of
// the second factor, which is sealed, so that whoever reads the database alone
// can not even try codes.
func recoveryDigest(secret, normal string) []byte {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte("recovery code\n" + normal))
	return mac.Sum(nil)
}
