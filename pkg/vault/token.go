package vault

import (
	"crypto/rand"
	"crypto/sha256"
	"hash/crc32"
	"strings"

	"github.com/heartlock/heartlock/pkg/api"
)

// A token is "hlp_", 40 base62 characters from a cryptographic generator and 6
// base62 characters of their CRC-32. The checksum lets typing errors be answered
// without the database, and lets secret scanners tell a token from noise.
//
// Only its SHA-256 is stored. 40 characters of base62 are 238 bits of entropy:
// nobody can guess or enumerate them, so neither a salt nor a slow hash would
// add anything, and a lookup by digest compares nothing that leaks by its time.
const (
	tokenMark        = "hlp_"
	tokenRandom      = 40
	tokenChecksum    = 6
	tokenLength      = len(tokenMark) + tokenRandom + tokenChecksum
	tokenPrefixShown = len(tokenMark) + 8
)

const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// newToken makes a token.
func newToken() api.Value {
	body := tokenMark + randomBase62(tokenRandom)
	return api.NewValue(body + checksum(body))
}

// randomBase62 returns n characters, each of 62 with the same chance: bytes of
// 248 and more, which would favour the first characters, are thrown away.
func randomBase62(n int) string {
	var b strings.Builder
	buffer := make([]byte, n)
	for b.Len() < n {
		_, _ = rand.Read(buffer) // never fails: crypto/rand ends the program instead
		for _, c := range buffer {
			if c < 248 && b.Len() < n {
				b.WriteByte(base62[c%62])
			}
		}
	}
	return b.String()
}

func checksum(body string) string {
	sum := crc32.ChecksumIEEE([]byte(body))
	var out [tokenChecksum]byte
	for i := tokenChecksum - 1; i >= 0; i-- {
		out[i] = base62[sum%62]
		sum /= 62
	}
	return string(out[:])
}

// wellFormed reports whether text can be a token at all.
func wellFormed(text string) bool {
	if len(text) != tokenLength || !strings.HasPrefix(text, tokenMark) {
		return false
	}
	for i := len(tokenMark); i < len(text); i++ {
		if strings.IndexByte(base62, text[i]) < 0 {
			return false
		}
	}
	body := text[:tokenLength-tokenChecksum]
	return checksum(body) == text[tokenLength-tokenChecksum:]
}

// digestOf is what is stored of a token: the digest of the whole text.
func digestOf(token string) []byte {
	sum := sha256.Sum256([]byte(token))
	return sum[:]
}
