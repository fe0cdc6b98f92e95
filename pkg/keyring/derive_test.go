package keyring_test

import (
	"bytes"
	"encoding/hex"
	"testing"

	"github.com/heartlock/heartlock/pkg/keyring"
)

func TestDerive(t *testing.T) {
	t.Parallel()
	key, err := keyring.ParseKey("cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=")
	if err != nil {
		t.Fatal(err)
	}
	got := derive(t, key, "a purpose", []byte("salt"))
	// HKDF-SHA256 by RFC 5869, computed with Python's cryptography.
	if want := "c1f87d15dbb82b2fdc247e24e4b2fb0fdd32777a18e589444844e4c9cfd5bb9b"; hex.EncodeToString(got) != want {
		t.Errorf("%x, want %s", got, want)
	}
	for name, other := range map[string][]byte{
		"another purpose": derive(t, key, "another purpose", []byte("salt")),
		"another salt":    derive(t, key, "a purpose", []byte("pepper")),
		"no salt":         derive(t, key, "a purpose", nil),
		"another key":     derive(t, keyring.Generate(), "a purpose", []byte("salt")),
	} {
		if len(other) != keyring.DerivedBytes || bytes.Equal(other, got) {
			t.Errorf("%s gives %x", name, other)
		}
	}
	if _, err := (keyring.Key{}).Derive("a purpose", nil); err == nil {
		t.Error("something was derived from no key")
	}
}

func derive(t *testing.T, k keyring.Key, purpose string, salt []byte) []byte {
	t.Helper()
	out, err := k.Derive(purpose, salt)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestARingGivesItsKeys(t *testing.T) {
	t.Parallel()
	want := []keyring.Key{keyring.Generate(), keyring.Generate(), keyring.Generate()}
	ring, err := keyring.NewRing(want[0], want[1:]...)
	if err != nil {
		t.Fatal(err)
	}
	got := ring.Keys()
	if len(got) != len(want) {
		t.Fatalf("%d keys", len(got))
	}
	for i := range want {
		if !got[i].Equal(want[i]) {
			t.Errorf("key %d is %v, want %v", i, got[i], want[i])
		}
	}
}
