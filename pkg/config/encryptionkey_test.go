package config

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func prints(s *Server) string {
	var list []string
	for _, k := range s.EncryptionKey.Keys {
		list = append(list, k.Encode())
	}
	return strings.Join(list, " ")
}

func TestEncryptionKeyPrecedence(t *testing.T) {
	t.Parallel()
	const keyFile = DataDirName + "/" + KeyFileName
	both := `{"encryption_key":"` + keyA + `","previous_encryption_keys":["` + keyB + `"]}`
	for name, c := range map[string]struct {
		f       *fixture
		source  KeySource
		keys    string
		warning string
	}{
		"appconfig.json first":          {newFixture(t, varEncryptionKey+"="+keyB).appConfig(`{"encryption_key":"` + keyA + `"}`), KeyFromAppConfig, keyA, "has no effect"},
		"the same key twice":            {newFixture(t, varEncryptionKey+"="+keyA).appConfig(`{"encryption_key":"` + keyA + `"}`), KeyFromAppConfig, keyA, ""},
		"appconfig.json with previous":  {newFixture(t).appConfig(both), KeyFromAppConfig, keyA + " " + keyB, ""},
		"a bad key that has no effect":  {newFixture(t, varEncryptionKey+"=x").appConfig(`{"encryption_key":"` + keyA + `"}`), KeyFromAppConfig, keyA, "is not a key"},
		"environment":                   {newFixture(t, varEncryptionKey+"="+keyA+","+keyB).write(keyFile, keyB, 0o600), KeyFromEnvironment, keyA + " " + keyB, ""},
		".env":                          {newFixture(t).env(varEncryptionKey + "=" + keyA), KeyFromEnvironment, keyA, ""},
		"file":                          {newFixture(t).write(keyFile, keyA+"\n", 0o600), KeyFromFile, keyA, ""},
		"file that others read":         {newFixture(t).write(keyFile, keyA+"\n", 0o640), KeyFromFile, keyA, "chmod 600"},
		"development without a key":     {newFixture(t), KeyMayBeGenerated, "", ""},
		"production without a key":      {newFixture(t, "DEBUG=False", "SECRET_KEY="+goodKey), KeyEphemeral, "", ""},
		"production ignores the file":   {newFixture(t, "DEBUG=False", "SECRET_KEY="+goodKey).write(keyFile, keyA, 0o600), KeyEphemeral, "", "is ignored with DEBUG=False"},
		"production with an empty one":  {newFixture(t, "DEBUG=False", "SECRET_KEY="+goodKey, varEncryptionKey+"="), KeyEphemeral, "", "empty"},
		"previous keys without a first": {newFixture(t).appConfig(`{"previous_encryption_keys":["` + keyA + `"]}`), KeyMayBeGenerated, "", "no effect"},
	} {
		s := c.f.load()
		if s.EncryptionKey.Source != c.source || prints(s) != c.keys {
			t.Errorf("%s: %s with %d keys", name, s.EncryptionKey.Source, len(s.EncryptionKey.Keys))
		}
		if c.warning != "" && !hasWarning(s, c.warning) {
			t.Errorf("%s: %q", name, s.Warnings)
		}
		if c.warning == "" && (hasWarning(s, varEncryptionKey) || hasWarning(s, "no effect")) {
			t.Errorf("%s: %q", name, s.Warnings)
		}
		for _, w := range s.Warnings {
			if strings.Contains(w, keyA) || strings.Contains(w, keyB) {
				t.Errorf("%s: a warning holds a key", name)
			}
		}
	}
}

func TestBothKeyNamesAreShownWhenTheyDiffer(t *testing.T) {
	t.Parallel()
	s := newFixture(t, varEncryptionKey+"="+keyB).appConfig(`{"encryption_key":"` + keyA + `"}`).load()
	other := newFixture(t, varEncryptionKey+"="+keyB).load()
	if !hasWarning(s, s.EncryptionKey.Keys[0].Fingerprint(), other.EncryptionKey.Keys[0].Fingerprint()) {
		t.Errorf("%q", s.Warnings)
	}
}

func TestBadKeyFileIsAnErrorAndStays(t *testing.T) {
	t.Parallel()
	for _, content := range []string{"", canary, keyA + keyA, strings.TrimRight(keyA, "=")} {
		f := newFixture(t).write(DataDirName+"/"+KeyFileName, content, 0o600)
		names, text := f.fails()
		if len(names) != 1 || names[0] != "heartlock_data/secret.key" || strings.Contains(text, canary) {
			t.Errorf("%q: %s", content, text)
		}
		if kept, err := os.ReadFile(filepath.Join(f.root, DataDirName, KeyFileName)); err != nil || string(kept) != content {
			t.Errorf("the file was changed: %v", err)
		}
	}
	f := newFixture(t).write(DataDirName+"/x", "", 0o600)
	if err := os.Symlink("nowhere", filepath.Join(f.root, DataDirName, KeyFileName)); err != nil {
		t.Fatal(err)
	}
	f.fails()
}

func TestGenerateDevelopmentKey(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	s := f.load()
	created, err := s.GenerateDevelopmentKey()
	if err != nil || !created || s.EncryptionKey.Source != KeyFromFile || len(s.EncryptionKey.Keys) != 1 {
		t.Fatalf("created %v, %v, source %s", created, err, s.EncryptionKey.Source)
	}
	for _, setting := range s.Settings() {
		if setting.Name == varEncryptionKey && (setting.Source != "generated" || !strings.Contains(setting.Value, s.EncryptionKey.Keys[0].Fingerprint())) {
			t.Errorf("the report says %q from %q", setting.Value, setting.Source)
		}
	}
	info, err := os.Stat(filepath.Join(s.DataDir, KeyFileName))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if again := f.load(); again.EncryptionKey.Source != KeyFromFile || prints(again) != prints(s) {
		t.Error("the next start has another key")
	}
	if f.setting(varEncryptionKey).Source != KeyFileName {
		t.Errorf("source %q", f.setting(varEncryptionKey).Source)
	}
	if _, err := s.GenerateDevelopmentKey(); err == nil {
		t.Error("a second key was generated")
	}
	if _, err := production(t).load().GenerateDevelopmentKey(); err == nil {
		t.Error("a production key was generated")
	}
}

func TestServersThatStartTogetherEndWithOneKey(t *testing.T) {
	t.Parallel()
	for range 20 {
		f := newFixture(t)
		const count = 8
		servers := make([]*Server, count)
		for i := range servers {
			servers[i] = f.load() // all of them before any key is there
		}
		created := make([]bool, count)
		var group sync.WaitGroup
		for i, s := range servers {
			group.Go(func() {
				var err error
				if created[i], err = s.GenerateDevelopmentKey(); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		winners := 0
		for i, s := range servers {
			if prints(s) != prints(servers[0]) {
				t.Fatal("two servers have different keys")
			}
			if created[i] {
				winners++
			}
		}
		if winners != 1 {
			t.Fatalf("%d servers have created the key", winners)
		}
	}
}

// TestKeyFileThatAppearsIsNotReplaced: something that does not know the lock (an
// administrator, an older version) puts a key there after the settings were read.
func TestKeyFileThatAppearsIsNotReplaced(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), KeyFileName)
	if err := os.WriteFile(path, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, create := range map[string]func(string, []byte) error{"link": createExclusively, "no link": createWithoutLink} {
		if err := create(path, []byte("other")); !os.IsExist(err) && !strings.Contains(err.Error(), "file exists") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if content, _ := os.ReadFile(path); string(content) != "mine" {
		t.Error("the file was replaced")
	}
	f := newFixture(t)
	s := f.load()
	f.write(DataDirName+"/"+KeyFileName, keyB+"\n", 0o600)
	if created, err := s.GenerateDevelopmentKey(); created || err != nil || prints(s) != keyB {
		t.Errorf("created %v, %v", created, err)
	}
	s = newFixture(t).load()
	if err := os.MkdirAll(filepath.Join(s.DataDir, KeyFileName), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := s.GenerateDevelopmentKey(); err == nil {
		t.Error("a directory was taken for a key")
	}
}
