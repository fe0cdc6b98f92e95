package keyring

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/fernet/fernet-go"
)

// FuzzOpensLikeFernet compares with fernet-go, whose tokens of every length must
// open, and whose judgement of changed ones is the same where it is sound.
func FuzzOpensLikeFernet(f *testing.F) {
	for _, n := range []int{0, 1, 15, 16, 17, 31, 32, 1000} {
		f.Add(bytes.Repeat([]byte{'x'}, n), 20, byte(1))
	}
	f.Add([]byte("unchanged"), 0, byte(0))
	key := Generate()
	ring := mustRing(f, key)
	f.Fuzz(func(t *testing.T, plain []byte, at int, flip byte) {
		token, _, err := ring.Seal(plain)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := ring.Open(token, ""); err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("%d bytes do not come back: %v", len(plain), err)
		}
		raw, err := base64.URLEncoding.DecodeString(string(token))
		if err != nil {
			t.Fatal(err)
		}
		raw[uint(at)%uint(len(raw))] ^= flip
		changed := base64.URLEncoding.EncodeToString(raw)
		want := fernet.VerifyAndDecrypt([]byte(changed), 0, []*fernet.Key{key.bytes()})
		got, err := ring.OpenText(changed, key.Fingerprint())
		if (err == nil) != (want != nil) || err == nil && got != string(want) {
			t.Fatalf("fernet-go judges otherwise: %v", err)
		}
	})
}

// TestPaddingIsChecked makes tokens with a right MAC and a wrong padding, as a
// faulty program with the key could.
func TestPaddingIsChecked(t *testing.T) {
	t.Parallel()
	key := Generate()
	ring := mustRing(t, key)
	for name, block := range map[string]string{
		"none":              strings.Repeat("a", aes.BlockSize-1) + "\x00",
		"longer than block": strings.Repeat("\x11", aes.BlockSize),
		"not all alike":     strings.Repeat("a", aes.BlockSize-3) + "\x01\x03\x03",
	} {
		token := sign(key, []byte(block))
		if got, err := ring.Open(token, ""); got != nil || !errors.Is(err, ErrOpen) {
			t.Errorf("%s: %v", name, err)
		}
	}
	good := strings.Repeat("a", aes.BlockSize-1) + "\x01"
	if got, err := ring.Open(sign(key, []byte(good)), ""); err != nil || string(got) != good[:aes.BlockSize-1] {
		t.Errorf("the test's own token does not open: %v", err)
	}
}

// sign makes a token of blocks that are padded already.
func sign(k Key, blocks []byte) []byte {
	half := keyBytes / 2
	raw := make([]byte, textOffset+len(blocks))
	raw[0] = version
	_, _ = rand.Read(raw[ivOffset:textOffset])
	block, err := aes.NewCipher(k.bytes()[half:])
	if err != nil {
		panic(err)
	}
	cipher.NewCBCEncrypter(block, raw[ivOffset:textOffset]).CryptBlocks(raw[textOffset:], blocks)
	mac := hmac.New(sha256.New, k.bytes()[:half])
	mac.Write(raw)
	return []byte(base64.URLEncoding.EncodeToString(mac.Sum(raw)))
}

// TestOpensAtTheSameTime is for the race detector: the scratch memory is shared.
func TestOpensAtTheSameTime(t *testing.T) {
	t.Parallel()
	ring := mustRing(t, Generate(), Generate())
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			text := strings.Repeat(string(rune('a'+i)), 10+500*i)
			token, fingerprint, err := ring.Seal([]byte(text))
			if err != nil {
				t.Error(err)
			}
			for range 200 {
				if got, err := ring.OpenText(string(token), fingerprint); err != nil || got != text {
					t.Errorf("a value came back changed: %v", err)
					return
				}
			}
		})
	}
	group.Wait()
}

// TestNothingIsLeftBehind looks for the value in the memory that is kept.
func TestNothingIsLeftBehind(t *testing.T) {
	t.Parallel()
	ring := mustRing(t, Generate())
	token, _, err := ring.Seal([]byte("a value that must not stay"))
	if err != nil {
		t.Fatal(err)
	}
	s := take(&ring.scratches, token)
	if _, err := s.open(ring.openers); err != nil {
		t.Fatal(err)
	}
	raw := s.raw[:cap(s.raw)]
	giveBack(&ring.scratches, s)
	if len(bytes.Trim(raw, "\x00")) > 0 {
		t.Error("the value is left in the scratch")
	}
}
