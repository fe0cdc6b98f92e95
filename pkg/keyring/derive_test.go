package keyring

import (
	"bytes"
	"testing"
)

func TestDerivedKeysDiffer(t *testing.T) {
	t.Parallel()
	k := Generate()
	derive := func(k Key, purpose, salt string) []byte {
		t.Helper()
		out, err := k.Derive(purpose, []byte(salt))
		if err != nil || len(out) != 32 {
			t.Fatalf("%d bytes, %v", len(out), err)
		}
		return out
	}
	first := derive(k, "purpose", "salt")
	if !bytes.Equal(first, derive(k, "purpose", "salt")) {
		t.Error("the same is not the same")
	}
	raw := k.bytes()
	for what, other := range map[string][]byte{
		"purpose": derive(k, "another", "salt"), "salt": derive(k, "purpose", "pepper"),
		"key": derive(Generate(), "purpose", "salt"), "key itself": raw[:],
	} {
		if bytes.Equal(first, other) {
			t.Errorf("another %s gives the same", what)
		}
	}
}
