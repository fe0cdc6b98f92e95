package keyring

import (
	"encoding/base64"
	"errors"
	"testing"
)

func TestResealKeepsValueAndTime(t *testing.T) {
	t.Parallel()
	old, renewed, foreign := Generate(), Generate(), Generate()
	both, err := NewRing(renewed, old)
	if err != nil {
		t.Fatal(err)
	}
	for _, value := range []string{"", "value", string(make([]byte, 64<<10))} {
		sealed, err := both.SealWith(old.Fingerprint(), []byte(value))
		if err != nil {
			t.Fatal(err)
		}
		resealed, err := both.Reseal(string(sealed), old.Fingerprint(), renewed.Fingerprint())
		if err != nil {
			t.Fatal(err)
		}
		only, err := NewRing(renewed)
		if err != nil {
			t.Fatal(err)
		}
		if text, err := only.OpenText(resealed, ""); err != nil || text != value {
			t.Errorf("%d bytes came back as %d: %v", len(value), len(text), err)
		}
		if timeOf(t, string(sealed)) != timeOf(t, resealed) {
			t.Error("the time has changed")
		}
		if _, err := only.Reseal(string(sealed), "", renewed.Fingerprint()); !errors.Is(err, ErrOpen) {
			t.Errorf("a foreign token: %v", err)
		}
		if _, err := both.Reseal(string(sealed), "", foreign.Fingerprint()); !errors.Is(err, ErrNoKey) {
			t.Errorf("a missing key: %v", err)
		}
	}
}

// An old token, as a program of ten years ago would have left it.
func TestResealKeepsATimeLongAgo(t *testing.T) {
	t.Parallel()
	const token = "gAAAAAAdwJ6wAAECAwQFBgcICQoLDA0ODy021cpGVWKZ_eEwCGM4BLLF_5CV9dOPmrhuVUPgJobwOz7JcbmrR64jVmpU4IwqDA=="
	spec, err := ParseKey("cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=")
	if err != nil {
		t.Fatal(err)
	}
	renewed := Generate()
	ring, err := NewRing(renewed, spec)
	if err != nil {
		t.Fatal(err)
	}
	resealed, err := ring.Reseal(token, spec.Fingerprint(), renewed.Fingerprint())
	if err != nil {
		t.Fatal(err)
	}
	if timeOf(t, resealed) != timeOf(t, token) {
		t.Error("the time has changed")
	}
}

func timeOf(t *testing.T, token string) string {
	t.Helper()
	raw, err := base64.URLEncoding.DecodeString(token)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw[1:9])
}
