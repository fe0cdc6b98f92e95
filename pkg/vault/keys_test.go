package vault_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/go-json-experiment/json"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/keyring"
	"github.com/heartlock/heartlock/pkg/vault"
)

// refusedRing opens a vault with a ring that does not fit; the error must name
// the fingerprints and nothing may have changed.
func (h *house) refusedRing(t *testing.T, r *keyring.Ring, named ...string) {
	t.Helper()
	before := h.dump(t)
	v, err := h.vault(t, r)
	if v != nil || !errors.Is(err, fault.Usage) {
		t.Fatalf("opened, or failed otherwise: %v", err)
	}
	for _, text := range named {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("%q does not name %s", err, text)
		}
	}
	if h.dump(t) != before {
		t.Error("the database has changed")
	}
}

func TestAVaultNeedsTheKeysOfItsDatabase(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		h.put(t, "A", "value")
		another := ring(t, keyring.Generate())
		h.refusedRing(t, another, h.ring.SealFingerprint(), another.SealFingerprint())
		h.refusedRing(t, nil, h.ring.SealFingerprint(), "HEARTLOCK_ENCRYPTION_KEY", "No new key was generated")
	})
}

func TestACheckTokenOfAnotherKeyIsNoProof(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		forged := must(ring(t, keyring.Generate()).SealCheck())
		h.exec(t, "UPDATE encryption_keys SET check_token = ?", forged)
		h.refusedRing(t, h.ring, h.ring.SealFingerprint())
		h.exec(t, "UPDATE encryption_keys SET check_token = ?", "")
		h.refusedRing(t, h.ring, h.ring.SealFingerprint())
	})
}

func TestDataWithoutAListOfKeysIsRefused(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		h.put(t, "A", "value")
		h.exec(t, "DELETE FROM encryption_keys")
		h.refusedRing(t, h.ring, "no record of their key")
		h.refusedRing(t, ring(t, keyring.Generate()), "no record of their key")
		h.refusedRing(t, nil, "no record of their key")
	})
}

func TestOlderKeysStillOpen(t *testing.T) {
	t.Parallel()
	eachPlace(t, func(t *testing.T, p place) {
		older, newer := keyring.Generate(), keyring.Generate()
		p.ring = ring(t, older)
		h := p.house(t)
		h.put(t, "OLD", "under the old key")
		h.ring, h.keyEntry = ring(t, newer, older), vault.TakeUpKey
		h.Vault = must(h.vault(t, h.ring))
		h.put(t, "NEW", "under the new key")
		equal(t, "old", h.get(t, "OLD"), "under the old key")
		equal(t, "new", h.get(t, "NEW"), "under the new key")
		equal(t, "keys", h.count(t, "encryption_keys"), 2)
		equal(t, "by the new key", h.count(t, "secrets WHERE key_fingerprint = '"+newer.Fingerprint()+"'"), 1)
		h.refusedRing(t, ring(t, newer), older.Fingerprint(), newer.Fingerprint())
		h.refusedRing(t, ring(t, older), older.Fingerprint(), newer.Fingerprint())
		must(h.vault(t, ring(t, older, newer))) // in either order
	})
}

func TestVaultsThatStartAtOnceAgreeOnAKey(t *testing.T) {
	t.Parallel()
	for name, keys := range map[string][]keyring.Key{
		"one key":        {keyring.Generate()},
		"different keys": {keyring.Generate(), keyring.Generate()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachPlace(t, func(t *testing.T, p place) {
				const vaults = 8
				var all sync.WaitGroup
				start := make(chan struct{})
				results := make([]error, vaults)
				for i := range vaults {
					r := ring(t, keys[i%len(keys)])
					all.Go(func() {
						<-start
						_, results[i] = p.vault(t, r)
					})
				}
				close(start)
				all.Wait()
				opened := map[int]bool{}
				for i, err := range results {
					if err == nil {
						opened[i%len(keys)] = true
					} else {
						isKind(t, "a vault that lost", err, fault.Usage)
					}
				}
				equal(t, "keys that were believed in", len(opened), 1)
				equal(t, "keys in the list", p.count(t, "encryption_keys"), 1)
				if len(keys) == 1 && errors.Join(results...) != nil {
					t.Error(errors.Join(results...))
				}
			})
		})
	}
}

func TestWithoutAKeyNothingIsSealed(t *testing.T) {
	t.Parallel()
	eachPlace(t, func(t *testing.T, p place) {
		v := must(p.vault(t, nil))
		wants := func(what string, err error) {
			t.Helper()
			isKind(t, what, err, fault.Unavailable)
			if err == nil || err.Error() != "No encryption key is configured." {
				t.Errorf("%s: %v", what, err)
			}
		}
		_, err := v.Onboard(t.Context(), vault.Anonymous(request()), admin("ann@example.com"), func() error { t.Error("persisted"); return nil })
		wants("onboarding", err)
		equal(t, "users", p.count(t, "users"), 0)
		equal(t, "fingerprint", v.Fingerprint(), "")

		h := p.house(t)
		h.put(t, "A", "value")
		h.exec(t, "DELETE FROM encryption_keys") // a vault without a key would not open over this database
		value := api.NewValue("x")
		h.exec(t, "UPDATE secrets SET sealed = NULL")
		h.exec(t, "DELETE FROM secrets")
		h.Vault = must(h.vault(t, nil))
		_, _, err = h.PutSecret(t.Context(), h.ann, in(development, "B"), api.PutSecret{Value: &value}, vault.Match{})
		wants("put", err)
		_, err = h.Bulk(t.Context(), h.ann, development, api.BulkRequest{Set: map[string]api.Value{"B": value}}, vault.Match{})
		wants("bulk", err)
		again := h.ann
		again.Request.IdempotencyKey = "k"
		_, err = h.CreateProject(t.Context(), again, api.CreateProject{Name: "Other"})
		wants("an answer to remember", err)
		equal(t, "projects", h.count(t, "projects"), 1)
		equal(t, "secrets", h.count(t, "secrets"), 0)
		h.Vault = must(h.vault(t, h.ring)) // which enters its key
		h.put(t, "B", "value")
	})
}

// pythonVectors are tokens made by Python's cryptography package.
func pythonVectors(t *testing.T) []struct {
	Key, Value, Token string
	Time              int64
} {
	t.Helper()
	var file struct {
		Vectors []struct {
			Key, Value, Token string
			Time              int64
		}
	}
	if err := json.Unmarshal(must(os.ReadFile("../keyring/testdata/fernet-python.json")), &file, json.MatchCaseInsensitiveNames(true)); err != nil {
		t.Fatal(err)
	}
	if len(file.Vectors) < 10 {
		t.Fatal("the vectors are missing")
	}
	return file.Vectors
}

func TestTokensMadeByPythonAreRead(t *testing.T) {
	t.Parallel()
	vectors := pythonVectors(t)
	eachPlace(t, func(t *testing.T, p place) {
		var keys []keyring.Key
		for _, v := range vectors {
			keys = append(keys, must(keyring.ParseKey(v.Key)))
		}
		own := keyring.Generate()
		p.ring = ring(t, own, keys...)
		h := p.house(t)
		for i, v := range vectors {
			key := "K" + string(rune('A'+i))
			h.put(t, key, "to be replaced")
			h.exec(t, "UPDATE secrets SET sealed = ?, key_fingerprint = ? WHERE key = ?", v.Token, keys[i].Fingerprint(), key)
			equal(t, key, h.get(t, key), v.Value)
		}
		list := must(h.SecretsWithValues(t.Context(), h.ann, development))
		for i, s := range list.Results {
			equal(t, "in the list: "+s.Key, s.Value.Reveal(), vectors[i].Value)
		}
	})
}

const openInPython = `
import sys, json
from cryptography.fernet import Fernet
f = Fernet(sys.argv[1])
print(json.dumps([f.decrypt(t.encode()).decode() for t in json.load(sys.stdin)]))
`

func TestPythonReadsWhatIsStored(t *testing.T) {
	t.Parallel()
	python := pythonWithFernet(t)
	eachPlace(t, func(t *testing.T, p place) {
		key := keyring.Generate()
		p.ring = ring(t, key)
		h := p.house(t)
		values := []string{"", "x", "pässword 🔑\r\nline\n", "\ufeffwith a BOM", strings.Repeat("a", api.MaxValueBytes)}
		for i, v := range values {
			h.put(t, "K"+string(rune('A'+i)), v)
		}
		var tokens, read []string
		rows := must(h.sql.QueryContext(t.Context(), "SELECT sealed FROM secrets ORDER BY key"))
		for rows.Next() {
			var token string
			if err := rows.Scan(&token); err != nil {
				t.Fatal(err)
			}
			tokens = append(tokens, token)
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), python, "-c", openInPython, key.Encode())
		cmd.Stdin = bytes.NewReader(must(json.Marshal(tokens)))
		if err := json.Unmarshal(must(cmd.Output()), &read); err != nil {
			t.Fatal(err)
		}
		equal(t, "values", read, values)
	})
}

func pythonWithFernet(t *testing.T) string {
	t.Helper()
	for _, path := range []string{"/usr/bin/python3", "python3"} {
		if exec.CommandContext(t.Context(), path, "-c", "import cryptography.fernet").Run() == nil {
			return path
		}
	}
	t.Fatal("Python's cryptography package not found: apt-get install python3-cryptography")
	return ""
}

// TestADamagedValueFailsAlone turns one bit of one stored token at a time.
func TestADamagedValueFailsAlone(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		for _, key := range []string{"FINE", "BROKEN", "OTHER"} {
			h.put(t, key, "value of "+key)
		}
		var sealed string
		if err := h.sql.QueryRowContext(t.Context(), "SELECT sealed FROM secrets WHERE key = 'BROKEN'").Scan(&sealed); err != nil {
			t.Fatal(err)
		}
		for what, damaged := range map[string]string{
			"first byte": "h" + sealed[1:], "time": sealed[:4] + flip(sealed[4]) + sealed[5:], "middle": sealed[:60] + flip(sealed[60]) + sealed[61:],
			"MAC": sealed[:len(sealed)-5] + flip(sealed[len(sealed)-5]) + sealed[len(sealed)-4:], "cut": sealed[:len(sealed)-4], "empty": "",
			"line break": sealed + "\n", "twice": sealed + sealed, "another key's": string(first(ring(t, keyring.Generate()).Seal([]byte("x")))),
		} {
			h.exec(t, "UPDATE secrets SET sealed = ? WHERE key = 'BROKEN'", damaged)
			s, err := h.Secret(t.Context(), h.ann, in(development, "BROKEN"))
			isKind(t, what, err, fault.Internal)
			if s.Value != nil || err == nil || !strings.Contains(err.Error(), "BROKEN") {
				t.Errorf("%s: %v", what, err)
			}
			equal(t, "a neighbour", h.get(t, "FINE"), "value of FINE")
			list, err := h.SecretsWithValues(t.Context(), h.ann, development)
			isKind(t, what+", with the others", err, fault.Internal)
			if len(list.Results) > 0 || err == nil || !strings.Contains(err.Error(), "BROKEN") {
				t.Errorf("%s: %v", what, err)
			}
			equal(t, "metadata", len(must(h.Secrets(t.Context(), h.ann, development)).Results), 3)
		}
		h.put(t, "BROKEN", "mended")
		equal(t, "after a new value", h.get(t, "BROKEN"), "mended")
	})
}

func flip(c byte) string {
	if c == 'A' {
		return "B"
	}
	return "A"
}

func first[A, B any](a A, _ B, err error) A { return must(a, err) }
