package vault

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/argon2"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
)

func TestPasswordRules(t *testing.T) {
	t.Parallel()
	for password, accepted := range map[string]bool{
		"":                           false,
		"short7!":                    false,
		"eight8!!":                   true,
		"ünïcödé!":                   true, // eight characters, thirteen bytes
		"ünïcödé":                    false,
		strings.Repeat("ab", 512):    true,
		strings.Repeat("ab", 513):    false,
		"18446744073709551616":       false, // digits alone
		"1844674407370955161x":       true,
		"aaaaaaaaaaaaaaaa":           false,
		"AaAaAaAaAaAa":               false,
		"éééééééééééé":               false,
		"🔑🔑🔑🔑🔑🔑🔑🔑":                   false,
		strings.Repeat("e\u0301", 6): true, // letters and accents in turn
		"my-heartlock-password":      false,
		"MY-HEARTLOCK-PASSWORD":      false,
		"hello annette, good day":    false, // the address is in it
		"hello Annette, good day":    false,
		"hello  annet  good day":     true,
		"pass\xffword!":              false,
		"correct horse battery st":   true,
		"  spaces around  ":          true,
	} {
		if problem := checkPassword(api.NewValue(password), "annette@example.com"); (problem == "") != accepted {
			t.Errorf("%q: %q", password, problem)
		} else if problem != "" && strings.Contains(problem, password) && password != "" {
			t.Errorf("the message repeats the password: %q", problem)
		}
	}
	if problem := checkPassword(api.NewValue("the abc of things"), "abc@example.com"); problem != "" {
		t.Errorf("an address of three letters is in many words: %q", problem)
	}
}

func TestStoredPasswords(t *testing.T) {
	t.Parallel()
	encoded := hashPassword("secret ü")
	prefix := fmt.Sprintf("$argon2id$v=19$m=%d,t=%d,p=%d$", argonMemory, argonTime, argonLanes)
	if !strings.HasPrefix(encoded, prefix) {
		t.Errorf("%s does not begin with %s", encoded, prefix)
	}
	if encoded == hashPassword("secret ü") {
		t.Error("two hashes of a password are equal: there is no salt")
	}
	if !passwordMatches(encoded, "secret ü") || passwordMatches(encoded, "secret u") || passwordMatches(encoded, "") {
		t.Error("the password is not told from another")
	}
	if outdated(encoded) {
		t.Error("a new hash is outdated")
	}
	parts := strings.Split(encoded, "$")
	with := func(i int, text string) string {
		changed := append([]string{}, parts...)
		changed[i] = text
		return strings.Join(changed, "$")
	}
	for what, broken := range map[string]string{
		"empty": "", "bcrypt": "$2b$12$abcdefghijklmnopqrstuv", "another variant": with(1, "argon2i"), "another version": with(2, "v=16"),
		"no version": strings.Join(append(parts[:2:2], parts[3:]...), "$"), "no cost": with(3, ""), "cost of zero": with(3, "m=0,t=2,p=1"),
		"no lanes": with(3, "m=19456,t=2,p=0"), "cost with garbage": with(3, parts[3]+"x"), "cost with more": with(3, parts[3]+",data=x"),
		"cost with a sign": with(3, "m=+19456,t=2,p=1"), "exhausting memory": with(3, "m=4194304,t=2,p=1"), "exhausting time": with(3, "m=19456,t=4000000000,p=1"),
		"padded salt": with(4, parts[4]+"=="), "lax salt": with(4, parts[4][:21]+"/"), "key cut": with(5, parts[5][:20]), "no key": with(5, ""), "longer": encoded + "$x",
		"a line break": encoded[:len(encoded)-1] + "\n",
	} {
		if passwordMatches(broken, "secret ü") {
			t.Errorf("%s: %s matches", what, broken)
		}
		if !outdated(broken) {
			t.Errorf("%s: %s is not outdated", what, broken)
		}
	}
}

// TestOtherCostsStillMatch reads hashes of the past and of the future, and of
// RFC 9106's reference code.
func TestOtherCostsStillMatch(t *testing.T) {
	t.Parallel()
	for _, encoded := range []string{
		// echo -n password | argon2 somesalt -id -t 2 -m 16 -p 1 -l 24 (reference implementation, README)
		"$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
	} {
		if !passwordMatches(encoded, "password") {
			t.Errorf("%s does not match", encoded)
		}
		if !outdated(encoded) {
			t.Errorf("%s is of another cost, but not outdated", encoded)
		}
	}
}

func TestTheHasherIsBounded(t *testing.T) {
	t.Parallel()
	const slots = 2
	h := &hasher{slots: make(chan struct{}, slots)}
	release, results := make(chan struct{}), make(chan error, slots+maxHashQueue)
	var running, asked sync.WaitGroup
	running.Add(slots)
	for range slots {
		asked.Go(func() {
			results <- h.within(context.Background(), func() { running.Done(); <-release })
		})
	}
	running.Wait() // every slot is taken now
	waiting := make(chan struct{}, maxHashQueue)
	for range maxHashQueue {
		asked.Go(func() {
			results <- h.within(announcing{context.Background(), waiting}, func() {})
		})
	}
	for range maxHashQueue {
		<-waiting // every place in the queue
	}
	err := h.within(context.Background(), func() { t.Error("one too many was let in") })
	if !errors.Is(err, fault.TooManyRequests) || fault.As(err).RetryAfter <= 0 {
		t.Errorf("with a full queue: %v", err)
	}
	if _, err := h.verify(context.Background(), "", api.NewValue("x")); !errors.Is(err, fault.TooManyRequests) {
		t.Errorf("verify with a full queue: %v", err)
	}
	if _, err := h.hash(context.Background(), api.NewValue("x")); !errors.Is(err, fault.TooManyRequests) {
		t.Errorf("hash with a full queue: %v", err)
	}
	close(release)
	asked.Wait()
	for range slots + maxHashQueue {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	if n := h.waiting.Load(); n != 0 || len(h.slots) != 0 {
		t.Errorf("afterwards %d wait and %d slots are taken", n, len(h.slots))
	}
}

// announcing is a context that tells when it is asked for its end: by one who
// waits.
type announcing struct {
	context.Context
	asked chan<- struct{}
}

func (a announcing) Done() <-chan struct{} {
	a.asked <- struct{}{}
	return a.Context.Done()
}

func TestWaitingForTheHasherEnds(t *testing.T) {
	t.Parallel()
	h := &hasher{slots: make(chan struct{}, 1)}
	h.slots <- struct{}{}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := h.within(ctx, func() { t.Error("ran") }); !errors.Is(err, fault.TooManyRequests) {
		t.Error(err)
	}
	if h.waiting.Load() != 0 {
		t.Error("who has gone still takes a place")
	}
}

// TestUnknownAccountsTakeAsLong sees that there is a hash to compare with, at
// our cost, and that it never matches.
func TestUnknownAccountsTakeAsLong(t *testing.T) {
	t.Parallel()
	h := newHasher()
	p, ok := parsePHC(h.dummy)
	if !ok || p.memory != argonMemory || p.time != argonTime || p.lanes != argonLanes || len(p.key) != argonKey {
		t.Errorf("the dummy hash is not like a real one: %s", h.dummy)
	}
	known := "a password that somebody knows"
	salt := []byte("0123456789abcdef")
	h.dummy = fmt.Sprintf("$argon2id$v=19$m=%d,t=%d,p=%d$MDEyMzQ1Njc4OWFiY2RlZg$%s", argonMemory, argonTime, argonLanes,
		base64.RawStdEncoding.EncodeToString(argon2.IDKey([]byte(known), salt, argonTime, argonMemory, argonLanes, argonKey)))
	if !passwordMatches(h.dummy, known) {
		t.Fatal("the test's own hash does not match")
	}
	if ok, err := h.verify(t.Context(), "", api.NewValue(known)); ok || err != nil {
		t.Errorf("an account without a password lets in: %v", err)
	}
	if ok, err := h.verify(t.Context(), h.dummy, api.NewValue(strings.Repeat("x", maxPassword+1))); ok || err != nil {
		t.Errorf("too long a password: %v, %v", ok, err)
	}
}
