package keyring

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"
)

// script runs one operation of Python's cryptography package on its input.
const script = `
import sys
from cryptography.fernet import Fernet
op, key, at = sys.argv[1], sys.argv[2], int(sys.argv[3])
f, data = Fernet(key), sys.stdin.buffer.read()
sys.stdout.buffer.write(f.encrypt_at_time(data, at) if op == "seal" else f.decrypt(data))
`

// pythonWithFernet finds an interpreter that has the cryptography package.
func pythonWithFernet(t *testing.T) string {
	for _, path := range []string{"/usr/bin/python3", "python3"} {
		if exec.Command(path, "-c", "import cryptography.fernet").Run() == nil {
			return path
		}
	}
	t.Fatal("Python's cryptography package not found: apt-get install python3-cryptography")
	return ""
}

func TestInteroperatesWithPython(t *testing.T) {
	python := pythonWithFernet(t)
	run := func(input []byte, args ...string) []byte {
		cmd := exec.Command(python, append([]string{"-c", script}, args...)...)
		cmd.Stdin = bytes.NewReader(input)
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	k := Generate()
	r := mustRing(t, k)
	const year2300 = "10413792000"
	for at, value := range map[string]string{
		"0": "", "1": "x", "1767225600": "pässword 🔑\r\nline", year2300: strings.Repeat("a", 1<<16), "1767225601": "\x00\x01\xff",
	} {
		got, err := r.Open(run([]byte(value), "seal", k.Encode(), at), "")
		if err != nil || string(got) != value {
			t.Errorf("Python's token of %d bytes made at %s: %v", len(value), at, err)
		}
		if got := run(mustSeal(t, r, value), "open", k.Encode(), "0"); string(got) != value {
			t.Errorf("Python read %d bytes from a token of %d", len(got), len(value))
		}
	}
}
