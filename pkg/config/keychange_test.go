package config

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/keyring"
)

// fingerprints are those of keys, in their order.
func fingerprints(keys []keyring.Key) (all []string) {
	for _, k := range keys {
		all = append(all, k.Fingerprint())
	}
	return all
}

func TestReplaceKeysWritesWhereTheKeysLive(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(t *testing.T, dir string, key keyring.Key){
		AppConfigName: func(t *testing.T, dir string, key keyring.Key) {
			err := UpdateAppConfig(dir, func(c *AppConfig) error {
				c.AppURL, c.EncryptionKey = "https://kept.example.com", NewSecret(key.Encode())
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		},
		KeyFileName: func(t *testing.T, dir string, key keyring.Key) {
			if err := os.MkdirAll(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, KeyFileName), []byte(key.Encode()+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := t.TempDir()
			data := filepath.Join(root, DataDirName)
			former, renewed := keyring.Generate(), keyring.Generate()
			prepare(t, data, former)
			load := func() *Server {
				s, err := LoadServer(Options{Dir: root, Environ: []string{}})
				if err != nil {
					t.Fatal(err)
				}
				return s
			}
			server, stale := load(), load()
			before := Stamp(Options{Dir: root})
			if !server.KeysAreManaged() {
				t.Error("not managed")
			}
			if err := server.ReplaceKeys([]keyring.Key{renewed, former}); err != nil {
				t.Fatal(err)
			}
			if got, want := fingerprints(load().EncryptionKey.Keys), []string{renewed.Fingerprint(), former.Fingerprint()}; !slices.Equal(got, want) {
				t.Errorf("read back %v, want %v", got, want)
			}
			if Stamp(Options{Dir: root}) == before {
				t.Error("the stamp is the same")
			}
			if err := stale.ReplaceKeys([]keyring.Key{former}); !errors.Is(err, fault.Conflict) {
				t.Errorf("from a state that is gone: %v", err)
			}
			if err := server.ReplaceKeys([]keyring.Key{renewed}); err != nil {
				t.Fatal(err)
			}
			now := load()
			if got, want := fingerprints(now.EncryptionKey.Keys), []string{renewed.Fingerprint()}; !slices.Equal(got, want) {
				t.Errorf("read back %v, want %v", got, want)
			}
			if name == AppConfigName && now.AppURL != "https://kept.example.com" {
				t.Error("another setting was lost")
			}
			if info, err := os.Stat(filepath.Join(data, name)); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("mode %v, %v", info.Mode(), err)
			}
		})
	}
}

func TestKeysOfTheEnvironmentAreNotReplaced(t *testing.T) {
	t.Parallel()
	root, key := t.TempDir(), keyring.Generate()
	s, err := LoadServer(Options{Dir: root, Environ: []string{varEncryptionKey + "=" + key.Encode()}})
	if err != nil {
		t.Fatal(err)
	}
	if s.KeysAreManaged() || !errors.Is(s.ReplaceKeys([]keyring.Key{keyring.Generate()}), fault.Usage) {
		t.Error("keys of the environment were replaced")
	}
	if _, err := os.Stat(filepath.Join(root, DataDirName)); !errors.Is(err, os.ErrNotExist) {
		t.Error("something was written")
	}
}

func TestAFormerKeyIsSavedOnce(t *testing.T) {
	t.Parallel()
	s := &Server{DataDir: filepath.Join(t.TempDir(), DataDirName)}
	key := keyring.Generate()
	for range 2 {
		path, err := s.SaveFormerKey(key)
		if err != nil {
			t.Fatal(err)
		}
		keys, err := ReadKeyFile(path)
		if err != nil || len(keys) != 1 || !keys[0].Equal(key) {
			t.Errorf("read back %d keys, %v", len(keys), err)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("mode %v, %v", info.Mode(), err)
		}
	}
	if found := s.StorageFindings(); len(found) != 0 {
		t.Errorf("at first %v", found)
	}
	path := filepath.Join(s.DataDir, FormerKeysName, key.Fingerprint()+".key")
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if found := s.StorageFindings(); len(found) != 1 || found[0].Variable != path {
		t.Errorf("with a key that others can read: %v", found)
	}
	if _, err := ReadKeyFile(filepath.Join(s.DataDir, "no.key")); !errors.Is(err, fault.Usage) {
		t.Errorf("a missing file: %v", err)
	}
}

// What root changes for a server must stay readable for the server.
func TestChangingKeysKeepsTheOwner(t *testing.T) {
	t.Parallel()
	const somebody = 12345
	root, key := t.TempDir(), keyring.Generate()
	data := filepath.Join(root, DataDirName)
	owner := os.Geteuid()
	if owner == 0 {
		owner = somebody
	}
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(data, KeyFileName)
	if err := os.WriteFile(path, []byte(key.Encode()), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{data, path} {
		if err := os.Chown(name, owner, -1); err != nil {
			t.Fatal(err)
		}
	}
	s, err := LoadServer(Options{Dir: root, Environ: []string{}})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.ReplaceKeys([]keyring.Key{keyring.Generate(), key}); err != nil {
		t.Fatal(err)
	}
	former, err := s.SaveFormerKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{path, former, filepath.Dir(former), filepath.Join(data, lockName)} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if !ownedBy(info, owner) || owner != 0 && ownedBy(info, owner+1) {
			t.Errorf("%s belongs to somebody else", name)
		}
	}
}

func TestARepeatedKeyCanBeReplaced(t *testing.T) {
	t.Parallel()
	root, key, renewed := t.TempDir(), keyring.Generate(), keyring.Generate()
	data := filepath.Join(root, DataDirName)
	err := UpdateAppConfig(data, func(c *AppConfig) error {
		c.EncryptionKey, c.PreviousEncryptionKeys = NewSecret(key.Encode()), []Secret{NewSecret(key.Encode())}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	s, err := LoadServer(Options{Dir: root, Environ: []string{}})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.ReplaceKeys([]keyring.Key{renewed, key}); err != nil {
		t.Error(err)
	}
}

// A file that is there by the name of a former key is not believed to hold it.
func TestAFormerKeyIsNotTakenForSaved(t *testing.T) {
	t.Parallel()
	s := &Server{DataDir: filepath.Join(t.TempDir(), DataDirName)}
	key := keyring.Generate()
	path := filepath.Join(s.DataDir, FormerKeysName, key.Fingerprint()+".key")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, content := range []string{"", keyring.Generate().Encode(), key.Encode() + "," + keyring.Generate().Encode()} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := s.SaveFormerKey(key); !errors.Is(err, fault.Conflict) {
			t.Errorf("with %d bytes in the file: %v", len(content), err)
		}
	}
	if err := os.WriteFile(path, []byte(key.Encode()), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := s.SaveFormerKey(key); err != nil {
		t.Error(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestGenerationLeavesOutWhatMayDiffer(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	load := func(environ ...string) *Server {
		s, err := LoadServer(Options{Dir: root, Environ: environ})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	mac := []byte("a key")
	base := load("HEARTLOCK_ENCRYPTION_KEY=" + keyring.Generate().Encode())
	same := load("HEARTLOCK_ENCRYPTION_KEY="+keyring.Generate().Encode(), "HEARTLOCK_LISTEN=127.0.0.1:9999")
	if base.Generation(mac) != same.Generation(mac) {
		t.Error("keys or the address count")
	}
	if base.Generation(mac) == load("HEARTLOCK_APP_URL=https://x.example.com").Generation(mac) {
		t.Error("a setting does not count")
	}
	if base.Generation(mac) == base.Generation([]byte("another key")) {
		t.Error("the key of the hash does not count")
	}
}
