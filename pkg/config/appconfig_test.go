package config

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestAppConfigIsReadStrictly(t *testing.T) {
	t.Parallel()
	for content, part := range map[string]string{
		``:                                   "not valid JSON",
		`{`:                                  "line 1",
		"{\n\"app_url\": \"x\",\n}":          "near line 2",
		`[]`:                                 "not a JSON object",
		`null`:                               "not a JSON object",
		`{} {}`:                              "not valid JSON",
		`{"app_url":"a","app_url":"b"}`:      "a name stands twice",
		"{\"app_url\":\"a\xff\"}":            "not valid JSON",
		`{"app_url":7}`:                      "app_url is not a string",
		`{"database_url":["x"]}`:             "database_url is not a string",
		`{"previous_encryption_keys":"x"}`:   "previous_encryption_keys is not a list of strings",
		`{"previous_encryption_keys":[1]}`:   "previous_encryption_keys is not a list of strings",
		`{"oidc":"x"}`:                       "oidc is not an object",
		`{"oidc":{"enable":"true"}}`:         "oidc.enable is not true or false",
		`{"oidc":{"enable":1}}`:              "oidc.enable is not true or false",
		`{"oidc":{"client_id":true}}`:        "oidc.client_id is not a string",
		`{"oidc":{"scopes":["openid"]}}`:     "oidc.scopes is not a string",
		`{"oidc":{"enable":true,"enable":0}`: "a name stands twice",
	} {
		names, text := newFixture(t).appConfig(content).fails()
		if len(names) != 1 || names[0] != "heartlock_data/appconfig.json" || !strings.Contains(text, part) {
			t.Errorf("%q: %s, want %q", content, text, part)
		}
	}
}

func TestAppConfigFallsThroughWhereItIsEmpty(t *testing.T) {
	t.Parallel()
	for _, content := range []string{`{}`, `{"app_url":""}`, `{"app_url":null,"oidc":null}`, `{"oidc":{"enable":null,"client_id":""}}`} {
		f := newFixture(t, "HEARTLOCK_APP_URL=https://env", "OIDC_CLIENT_ID=env").appConfig(content)
		if s := f.load(); s.AppURL != "https://env" || s.OIDC.ClientID != "env" || len(s.Warnings) != 0 {
			t.Errorf("%s: %q %q %q", content, s.AppURL, s.OIDC.ClientID, s.Warnings)
		}
	}
}

func TestAppConfigUnreadable(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	if err := os.MkdirAll(filepath.Join(f.root, DataDirName, AppConfigName), 0o700); err != nil {
		t.Fatal(err)
	}
	if names, _ := f.fails(); len(names) != 1 || names[0] != "heartlock_data/appconfig.json" {
		t.Errorf("bad: %q", names)
	}
}

func TestAppConfigWarnings(t *testing.T) {
	t.Parallel()
	f := newFixture(t).write(DataDirName+"/"+AppConfigName, `{"DATABASE_URL":"sqlite:///x","oidc":{"x":1},"app_url":"https://h"}`, 0o644)
	s := f.load()
	if !hasWarning(s, `"DATABASE_URL"`) || !hasWarning(s, `"oidc.x"`) || !hasWarning(s, "chmod 600") || s.AppURL != "https://h" {
		t.Errorf("%q", s.Warnings)
	}
}

func TestUpdateAppConfig(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), DataDirName)
	yes := true
	want := AppConfig{
		AppURL: "https://h", DatabaseURL: NewSecret("postgres://u:p<&>@h/db"), EncryptionKey: NewSecret(keyA),
		PreviousEncryptionKeys: []Secret{NewSecret(keyB)},
		OIDC:                   AppConfigOIDC{Enable: &yes, ClientID: "id", ClientSecret: NewSecret("s\"\n\u2028"), Scopes: "openid", CreateUnknownUser: new(bool)},
	}
	if err := UpdateAppConfig(dir, func(c *AppConfig) error { *c = want; return nil }); err != nil {
		t.Fatal(err)
	}
	got, unknown, err := ReadAppConfig(dir)
	if err != nil || len(unknown) != 0 {
		t.Fatal(unknown, err)
	}
	if diff := cmp.Diff(want, got, cmp.FilterPath(func(p cmp.Path) bool { return strings.HasPrefix(p.Last().String(), ".unknown") }, cmp.Ignore())); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	err = filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	failure := errors.New("no")
	if err := UpdateAppConfig(dir, func(c *AppConfig) error { c.AppURL = "https://other"; return failure }); !errors.Is(err, failure) {
		t.Errorf("err = %v", err)
	}
	if c, _, _ := ReadAppConfig(dir); c.AppURL != "https://h" {
		t.Error("a refused change was written")
	}
}

func TestUpdateAppConfigKeepsUnknownKeys(t *testing.T) {
	t.Parallel()
	f := newFixture(t).write(DataDirName+"/"+AppConfigName, `{"future":{"a":[1,2.50,"x"]},"oidc":{"later":true,"client_id":"a"},"app_url":"https://a"}`, 0o644)
	dir := filepath.Join(f.root, DataDirName)
	if err := UpdateAppConfig(dir, func(c *AppConfig) error { c.AppURL, c.OIDC.ClientID = "", ""; return nil }); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, AppConfigName))
	if err != nil {
		t.Fatal(err)
	}
	compact := strings.Join(strings.Fields(string(text)), "")
	if want := `{"future":{"a":[1,2.50,"x"]},"oidc":{"later":true}}`; compact != want {
		t.Errorf("%s, want %s", compact, want)
	}
	if info, _ := os.Stat(filepath.Join(dir, AppConfigName)); info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
}

func TestConcurrentUpdatesLoseNothing(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), DataDirName)
	var group sync.WaitGroup
	for i := range 20 {
		group.Go(func() {
			err := UpdateAppConfig(dir, func(c *AppConfig) error {
				c.PreviousEncryptionKeys = append(c.PreviousEncryptionKeys, NewSecret(fmt.Sprint(i)))
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if c, _, err := ReadAppConfig(dir); err != nil || len(c.PreviousEncryptionKeys) != 20 {
		t.Errorf("%d of 20 changes are there, %v", len(c.PreviousEncryptionKeys), err)
	}
}

// helperVariable makes this test binary a writer that is to be killed.
const helperVariable = "HEARTLOCK_TEST_APPCONFIG_WRITER"

func TestMain(m *testing.M) {
	if dir := os.Getenv(helperVariable); dir != "" {
		writeForEver(dir)
	}
	os.Exit(m.Run())
}

func writeForEver(dir string) {
	for i := 0; ; i++ {
		err := UpdateAppConfig(dir, func(c *AppConfig) error {
			c.AppURL = fmt.Sprintf("https://h%d", i)
			c.OIDC.ClientID = c.AppURL + strings.Repeat("x", 100_000)
			return nil
		})
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		if i == 0 {
			fmt.Println("writing")
		}
	}
}

func TestKilledWriterLeavesOldOrNew(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), DataDirName)
	for round := range 15 {
		writer := exec.Command(os.Args[0])
		writer.Env = append(os.Environ(), helperVariable+"="+dir)
		out, err := writer.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := writer.Start(); err != nil {
			t.Fatal(err)
		}
		first := make([]byte, 8)
		if _, err := out.Read(first); err != nil || string(first[:7]) != "writing" {
			t.Fatalf("the writer said %q, %v", first, err)
		}
		<-time.After(time.Duration(round) * 700 * time.Microsecond) // the moment of the kill is what varies
		if err := writer.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = writer.Wait() // it was killed
		c, _, err := ReadAppConfig(dir)
		if err != nil || !strings.HasPrefix(c.OIDC.ClientID, c.AppURL+"x") {
			t.Fatalf("round %d: a mixed file, %v", round, err)
		}
	}
	if err := UpdateAppConfig(dir, func(c *AppConfig) error { c.AppURL = "https://end"; return nil }); err != nil {
		t.Fatalf("a dead writer holds the lock: %v", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2 {
		t.Errorf("leftovers of killed writers: %v, %v", entries, err)
	}
}

func TestCheckAppConfig(t *testing.T) {
	t.Parallel()
	s := production(t).load()
	if err := s.CheckAppConfig(AppConfig{AppURL: "https://h", EncryptionKey: NewSecret(keyA)}); err != nil {
		t.Error(err)
	}
	err := s.CheckAppConfig(AppConfig{AppURL: canary, DatabaseURL: NewSecret("sqlite://:memory:"), EncryptionKey: NewSecret(canary), OIDC: AppConfigOIDC{TokenEndpoint: "http://h/x"}})
	var errs *Errors
	if !errors.As(err, &errs) || len(errs.Problems) != 4 || strings.Contains(err.Error(), canary) {
		t.Errorf("%v", err)
	}
}
