package vault

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
)

// Passwords are hashed with argon2id (RFC 9106) at the cost that OWASP names as
// the least: 19 MiB, two passes, one lane; about 30 ms and 20 MB a time.
const (
	argonMemory  = 19 << 10 // KiB
	argonTime    = 2
	argonLanes   = 1
	argonSalt    = 16
	argonKey     = 32
	maxArgonKey  = 128 // of a hash that was made elsewhere
	minPassword  = 8
	maxPassword  = 1024
	maxHashQueue = 32
)

// hasher hashes passwords, no more at once than there are processors: the cost
// that stops a guesser must not become a way to exhaust the server. Who finds
// the queue full is told to come back.
type hasher struct {
	slots   chan struct{}
	waiting atomic.Int64
	// dummy is compared with the password of an account that does not exist or
	// has no password, so that its answer takes as long as any other. What it is
	// the hash of does not matter: the comparison's result is thrown away.
	dummy string
}

func newHasher() *hasher {
	return &hasher{
		slots: make(chan struct{}, runtime.GOMAXPROCS(0)),
		dummy: encodePHC(make([]byte, argonSalt), make([]byte, argonKey)),
	}
}

// within runs f when a slot is free. Whom the queue does not take, or keeps for
// too long, is told to come back.
func (h *hasher) within(ctx context.Context, f func()) error {
	if h.waiting.Add(1) > int64(maxHashQueue+cap(h.slots)) {
		h.waiting.Add(-1)
		return hashingBusy()
	}
	defer h.waiting.Add(-1)
	select {
	case h.slots <- struct{}{}:
		defer func() { <-h.slots }()
		f()
		return nil
	case <-ctx.Done():
		return hashingBusy()
	}
}

func hashingBusy() error {
	return &fault.Error{
		Kind: fault.TooManyRequests, RetryAfter: time.Second,
		Message: "The server is busy checking passwords. Try again in a moment.",
	}
}

// hash gives the stored form of a password.
func (h *hasher) hash(ctx context.Context, password api.Value) (encoded string, err error) {
	err = h.within(ctx, func() { encoded = hashPassword(password.Reveal()) })
	return encoded, err
}

// verify compares a password with a stored form; an empty form never matches
// but takes as long.
func (h *hasher) verify(ctx context.Context, encoded string, password api.Value) (ok bool, err error) {
	if password.Len() > maxPassword {
		return false, nil
	}
	known := encoded != ""
	if !known {
		encoded = h.dummy
	}
	err = h.within(ctx, func() { ok = passwordMatches(encoded, password.Reveal()) && known })
	return ok, err
}

// hashPassword gives the PHC string of a password under a fresh salt.
func hashPassword(password string) string {
	salt := make([]byte, argonSalt)
	_, _ = rand.Read(salt) // never fails
	key := argon2.IDKey([]byte(password), salt, argonTime, argonMemory, argonLanes, argonKey)
	return encodePHC(salt, key)
}

func encodePHC(salt, key []byte) string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s",
		argon2.Version, argonMemory, argonTime, argonLanes, b64.EncodeToString(salt), b64.EncodeToString(key))
}

// phc is a parsed PHC string.
type phc struct {
	memory, time uint32
	lanes        uint8
	salt, key    []byte
}

func parsePHC(encoded string) (p phc, ok bool) {
	parts := strings.Split(encoded, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return p, false
	}
	// Sscanf passes over what follows, and over signs and zeros before a number.
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &p.memory, &p.time, &p.lanes); err != nil ||
		parts[3] != fmt.Sprintf("m=%d,t=%d,p=%d", p.memory, p.time, p.lanes) {
		return p, false
	}
	var err error
	if p.salt, err = base64.RawStdEncoding.Strict().DecodeString(parts[4]); err != nil {
		return p, false
	}
	if p.key, err = base64.RawStdEncoding.Strict().DecodeString(parts[5]); err != nil || len(p.key) < 16 || len(p.key) > maxArgonKey {
		return p, false
	}
	return p, p.memory > 0 && p.memory <= 1<<20 && p.time > 0 && p.time <= 16 && p.lanes > 0
}

func passwordMatches(encoded, password string) bool {
	p, ok := parsePHC(encoded)
	if !ok {
		return false
	}
	key := argon2.IDKey([]byte(password), p.salt, p.time, p.memory, p.lanes, uint32(len(p.key))) //nolint:gosec // maxArgonKey at most
	return subtle.ConstantTimeCompare(key, p.key) == 1
}

// outdated reports whether a stored form was made at another cost than ours, so
// that it should be made anew when the password is at hand.
func outdated(encoded string) bool {
	p, ok := parsePHC(encoded)
	return !ok || p.memory != argonMemory || p.time != argonTime || p.lanes != argonLanes || len(p.key) != argonKey
}

// checkPassword returns what is wrong with a new password for the account of
// this address, or "". There are no rules on what it is composed of: they make
// passwords worse.
func checkPassword(password api.Value, email string) string {
	text := password.Reveal()
	lower := strings.ToLower(text)
	email = strings.ToLower(email)
	local, _, _ := strings.Cut(email, "@")
	switch {
	case !utf8.ValidString(text):
		return "is not valid UTF-8"
	case utf8.RuneCountInString(text) < minPassword:
		return fmt.Sprintf("must have at least %d characters; 15 or more are better", minPassword)
	case len(text) > maxPassword:
		return fmt.Sprintf("must have at most %d bytes", maxPassword)
	case strings.Trim(text, "0123456789") == "":
		return "must not be all digits; add words or letters"
	case email != "" && strings.Contains(lower, email), len(local) >= 4 && strings.Contains(lower, local), strings.Contains(lower, "heartlock"):
		return "must not contain your address or the word heartlock"
	case isOneCharacter(lower):
		return "must not be one character repeated"
	case isCommonPassword(text):
		return "is one of the passwords that are guessed first; take several words that nobody else would put together"
	}
	return ""
}

// isOneCharacter reports whether text is one character repeated.
func isOneCharacter(text string) bool {
	first, _ := utf8.DecodeRuneInString(text)
	return strings.Trim(text, string(first)) == ""
}
