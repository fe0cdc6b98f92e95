package keyring

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/fernet/fernet-go"

	"github.com/heartlock/heartlock/pkg/fault"
)

func mustRing(t testing.TB, seal Key, older ...Key) *Ring {
	t.Helper()
	r, err := NewRing(seal, older...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func mustSeal(t testing.TB, r *Ring, plaintext string) []byte {
	t.Helper()
	token, fingerprint, err := r.Seal([]byte(plaintext))
	if err != nil {
		t.Fatal(err)
	}
	if fingerprint != r.SealFingerprint() {
		t.Fatalf("sealed with %s, want %s", fingerprint, r.SealFingerprint())
	}
	return token
}

func readJSON(t *testing.T, name string, into any) {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, into); err != nil {
		t.Fatal(err)
	}
}

func TestSealOpen(t *testing.T) {
	r := mustRing(t, Generate())
	for _, value := range []string{"", "x", strings.Repeat("a", 15), strings.Repeat("a", 16), "pässword 🔑\r\n", "\x00\x01\xff", strings.Repeat("v", 1<<16)} {
		token := mustSeal(t, r, value)
		got, err := r.Open(token, r.SealFingerprint())
		if err != nil || string(got) != value || got == nil || cap(got) != len(got) {
			t.Errorf("a value of %d bytes came back with %d, nil %v, capacity %d, error %v", len(value), len(got), got == nil, cap(got), err)
		}
	}
	if token, _, err := r.Seal(nil); err != nil {
		t.Error(err)
	} else if got, err := r.Open(token, ""); err != nil || got == nil || len(got) != 0 {
		t.Errorf("nil came back as %v, error %v", got, err)
	}
	if a, b := mustSeal(t, r, "v"), mustSeal(t, r, "v"); bytes.Equal(a, b) {
		t.Error("one value gave the same token twice")
	}
}

func TestRingOpensWithEveryKey(t *testing.T) {
	first, second, third, stranger := Generate(), Generate(), Generate(), Generate()
	r := mustRing(t, first, second, third)
	for _, k := range []Key{first, second, third} {
		token := mustSeal(t, mustRing(t, k), "v")
		for _, hint := range []string{"", k.Fingerprint(), first.Fingerprint(), third.Fingerprint(), stranger.Fingerprint(), "nonsense"} {
			got, err := r.Open(token, hint)
			if err != nil || string(got) != "v" {
				t.Errorf("key %s, hint %q: %v", k, hint, err)
			}
		}
	}
	got, err := r.Open(mustSeal(t, mustRing(t, stranger), "v"), stranger.Fingerprint())
	if got != nil || !errors.Is(err, ErrOpen) {
		t.Errorf("a stranger's token: %v", err)
	}
	want := []string{first.Fingerprint(), second.Fingerprint(), third.Fingerprint()}
	if got := strings.Join(r.Fingerprints(), " "); got != strings.Join(want, " ") {
		t.Errorf("fingerprints %s", got)
	}
	r.Fingerprints()[0] = "changed"
	if r.SealFingerprint() != want[0] {
		t.Error("the ring can be changed from outside")
	}
}

func TestNewRingRefuses(t *testing.T) {
	a, b := Generate(), Generate()
	for name, keys := range map[string][]Key{"no key": {{}}, "an empty older key": {a, {}}, "one key twice": {a, b, mustKey(t, a.Encode())}} {
		r, err := NewRing(keys[0], keys[1:]...)
		if r != nil || !errors.Is(err, fault.Usage) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestOpensPythonsTokens(t *testing.T) {
	var file struct {
		Vectors []struct{ Key, Value, Token string }
	}
	readJSON(t, "fernet-python.json", &file)
	if len(file.Vectors) < 10 {
		t.Fatalf("only %d vectors", len(file.Vectors))
	}
	for i, v := range file.Vectors {
		k := mustKey(t, v.Key)
		got, err := mustRing(t, k).Open([]byte(v.Token), k.Fingerprint())
		if err != nil || string(got) != v.Value || got == nil {
			t.Errorf("vector %d: %v, %d bytes, want %d", i, err, len(got), len(v.Value))
		}
	}
}

func TestSpecVectors(t *testing.T) {
	type vector struct{ Desc, Token, Secret, Src string }
	var valid, invalid []vector
	readJSON(t, "fernet-spec-verify.json", &valid)
	readJSON(t, "fernet-spec-invalid.json", &invalid)
	for _, v := range valid {
		got, err := mustRing(t, mustKey(t, v.Secret)).Open([]byte(v.Token), "")
		if err != nil || string(got) != v.Src {
			t.Errorf("%q: %q, %v", v.Src, got, err)
		}
	}
	opened := 0
	for _, v := range invalid {
		got, err := mustRing(t, mustKey(t, v.Secret)).Open([]byte(v.Token), "")
		// Two vectors are invalid for their time alone, which storage does not look at.
		if strings.HasPrefix(v.Desc, "far-future TS") || strings.HasPrefix(v.Desc, "expired TTL") {
			if err != nil || len(got) != 0 {
				t.Errorf("%s: %q, %v", v.Desc, got, err)
			}
			opened++
			continue
		}
		if got != nil || !errors.Is(err, ErrOpen) {
			t.Errorf("%s: %q, %v", v.Desc, got, err)
		}
	}
	if opened != 2 || len(invalid) < 8 {
		t.Errorf("%d vectors, %d of them opened", len(invalid), opened)
	}
}

// TestOnlyTheCanonicalTokenOpens gives variants that fernet-go by itself, or
// Python, would open.
func TestOnlyTheCanonicalTokenOpens(t *testing.T) {
	r := mustRing(t, mustKey(t, specKey))
	for size := range 40 { // all three lengths of padding
		token := string(mustSeal(t, r, strings.Repeat("v", size)))
		raw, _ := base64.URLEncoding.DecodeString(token)
		variants := map[string]string{
			"garbage after it":       token + "!!!",
			"base64 after it":        token + "AAAA",
			"another padding":        token + "=",
			"itself after it":        token + token,
			"newline after it":       token + "\n",
			"line breaks inside":     token[:10] + "\r\n" + token[10:],
			"newline and four more":  token[:8] + "\n" + token[8:] + "AAA",
			"space before it":        " " + token,
			"standard alphabet":      base64.StdEncoding.EncodeToString(raw),
			"padding stripped":       strings.TrimRight(token, "="),
			"cut":                    token[:len(token)-4],
			"empty":                  "",
			"raw bytes":              string(raw),
			"NUL after it":           token + "\x00",
			"first character change": "h" + token[1:],
		}
		if flipped := nonCanonical(token); flipped != "" {
			variants["trailing bits"] = flipped
		}
		for name, variant := range variants {
			if variant == token { // nothing to strip or to translate in this one
				continue
			}
			if got, err := r.Open([]byte(variant), ""); got != nil || !errors.Is(err, ErrOpen) {
				t.Errorf("size %d, %s: opened", size, name)
			}
		}
	}
}

// nonCanonical sets a bit that stands for nothing in the last character before
// the padding; "" when there is none.
func nonCanonical(token string) string {
	body := strings.TrimRight(token, "=")
	if body == token {
		return ""
	}
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(alphabet, body[len(body)-1])
	return body[:len(body)-1] + string(alphabet[last|1]) + token[len(body):]
}

func TestEveryFlippedBitIsNoticed(t *testing.T) {
	r := mustRing(t, mustKey(t, specKey))
	raw, _ := base64.URLEncoding.DecodeString(string(mustSeal(t, r, "a value of some length")))
	for bit := range len(raw) * 8 {
		changed := bytes.Clone(raw)
		changed[bit/8] ^= 1 << (bit % 8)
		if got, err := r.Open([]byte(base64.URLEncoding.EncodeToString(changed)), ""); got != nil || !errors.Is(err, ErrOpen) {
			t.Fatalf("bit %d: opened", bit)
		}
	}
}

// handmade signs a token with an arbitrary padded text, as somebody who has the
// key could. body is what stands between the time and the MAC.
func handmade(k Key, body []byte) []byte {
	raw := append([]byte{version, 0, 0, 0, 0, 0, 0, 0, 0}, body...)
	mac := hmac.New(sha256.New, k.bytes()[:16])
	mac.Write(raw)
	return []byte(base64.URLEncoding.EncodeToString(mac.Sum(raw)))
}

func encrypted(k Key, padded []byte) []byte {
	block, err := aes.NewCipher(k.bytes()[16:])
	if err != nil {
		panic(err)
	}
	body := make([]byte, aes.BlockSize+len(padded))
	cipher.NewCBCEncrypter(block, body[:aes.BlockSize]).CryptBlocks(body[aes.BlockSize:], padded)
	return body
}

func TestMalformedTokensWithARightMAC(t *testing.T) {
	k := mustKey(t, specKey)
	r := mustRing(t, k, Generate())
	repeat := func(b byte, n int) []byte { return bytes.Repeat([]byte{b}, n) }
	text := []byte("sixteen bytes ok")
	if got, err := r.Open(handmade(k, encrypted(k, append(bytes.Clone(text), repeat(16, 16)...))), ""); err != nil || !bytes.Equal(got, text) {
		t.Fatalf("a well-formed handmade token does not open: %v", err)
	}
	bodies := map[string][]byte{
		"nothing":                     nil,
		"half an IV":                  repeat(0, 8),
		"an IV and no ciphertext":     repeat(0, 16),
		"part of a block":             repeat(0, 16+7),
		"a block and a part":          repeat(0, 16+16+1),
		"padding of 0":                encrypted(k, append(bytes.Clone(text[:15]), 0)),
		"a block of zeros":            encrypted(k, repeat(0, 16)),
		"padding of 17":               encrypted(k, append(bytes.Clone(text[:15]), repeat(17, 17)...)),
		"padding of 32, two blocks":   encrypted(k, repeat(32, 32)),
		"padding of 32, three blocks": encrypted(k, append(bytes.Clone(text), repeat(32, 32)...)),
		"padding of 48, three blocks": encrypted(k, repeat(48, 48)),
		"padding longer than all":     encrypted(k, append(bytes.Clone(text[:15]), 200)),
		"padding not uniform":         encrypted(k, append(bytes.Clone(text[:14]), 1, 2)),
	}
	for name, body := range bodies {
		if got, err := r.Open(handmade(k, body), k.Fingerprint()); got != nil || !errors.Is(err, ErrOpen) {
			t.Errorf("%s: opened as %q", name, got)
		}
	}
	short := hmac.New(sha256.New, k.bytes()[:16])
	short.Write([]byte{version})
	token := base64.URLEncoding.EncodeToString(short.Sum([]byte{version}))
	if _, err := r.Open([]byte(token), ""); !errors.Is(err, ErrOpen) {
		t.Error("a version and a MAC: opened")
	}
}

func TestCheckToken(t *testing.T) {
	k, other := Generate(), Generate()
	ring, both := mustRing(t, k), mustRing(t, other, k)
	token, err := ring.SealCheck()
	if err != nil {
		t.Fatal(err)
	}
	if !ring.VerifyCheck(token, k.Fingerprint()) || !both.VerifyCheck(token, k.Fingerprint()) {
		t.Error("the key's own check token is refused")
	}
	value := string(mustSeal(t, ring, "some value"))
	for name, wrong := range map[string]bool{
		"another ring":          mustRing(t, other).VerifyCheck(token, k.Fingerprint()),
		"another key":           both.VerifyCheck(token, other.Fingerprint()),
		"a fingerprint unknown": ring.VerifyCheck(token, other.Fingerprint()),
		"no fingerprint":        ring.VerifyCheck(token, ""),
		"another text":          ring.VerifyCheck(value, k.Fingerprint()),
		"empty":                 ring.VerifyCheck("", k.Fingerprint()),
		"garbage added":         ring.VerifyCheck(token+"!!", k.Fingerprint()),
	} {
		if wrong {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestConcurrentUse(t *testing.T) {
	r := mustRing(t, Generate(), Generate())
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				token, fingerprint, err := r.Seal([]byte("value"))
				if err != nil {
					t.Error(err)
					return
				}
				if got, err := r.Open(token, fingerprint); err != nil || string(got) != "value" {
					t.Errorf("%q, %v", got, err)
				}
			}
		})
	}
	wg.Wait()
}

func FuzzOpen(f *testing.F) {
	k := mustKey(f, specKey)
	r := mustRing(f, k)
	f.Add([]byte(""), "", false)
	f.Add(mustSeal(f, r, ""), "cbeb362f", false)
	f.Add(encrypted(k, bytes.Repeat([]byte{32}, 32)), "", true)
	f.Fuzz(func(t *testing.T, input []byte, hint string, sign bool) {
		token := input
		if sign {
			token = handmade(k, input)
		}
		got, err := r.Open(token, hint)
		if err != nil {
			if got != nil || !errors.Is(err, ErrOpen) {
				t.Fatalf("%d bytes with error %v", len(got), err)
			}
			return
		}
		// What opens here must open for fernet-go alone, with the same result.
		if want := fernet.VerifyAndDecrypt(token, 0, []*fernet.Key{k.bytes()}); !bytes.Equal(got, want) {
			t.Fatal("the result differs from fernet-go's")
		}
	})
}

func benchmarkSizes(b *testing.B, run func(b *testing.B, r *Ring, value []byte)) {
	for name, size := range map[string]int{"32B": 32, "1KiB": 1 << 10, "64KiB": 64 << 10} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(size))
			b.ReportAllocs()
			run(b, mustRing(b, Generate()), bytes.Repeat([]byte("x"), size))
		})
	}
}

func BenchmarkSeal(b *testing.B) {
	benchmarkSizes(b, func(b *testing.B, r *Ring, value []byte) {
		for b.Loop() {
			if _, _, err := r.Seal(value); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkOpen(b *testing.B) {
	benchmarkSizes(b, func(b *testing.B, r *Ring, value []byte) {
		token := mustSeal(b, r, string(value))
		for b.Loop() {
			if _, err := r.Open(token, r.SealFingerprint()); err != nil {
				b.Fatal(err)
			}
		}
	})
}
