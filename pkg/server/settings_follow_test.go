package server_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/config"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/heartlocktest"
	"github.com/heartlock/heartlock/pkg/keyring"
	"github.com/heartlock/heartlock/pkg/server"
	"github.com/heartlock/heartlock/pkg/vault"
)

// saveAside saves settings in the database as a server would that ends before it
// has written its own file.
func saveAside(t *testing.T, s *heartlocktest.Server, text string) {
	t.Helper()
	i := instanceOf(t, s)
	ctx := t.Context()
	_, token, err := i.Vault.Login(ctx, vault.Anonymous(vault.Request{ID: "aside"}), api.LoginRequest{
		Email: heartlocktest.OwnerEmail, Password: api.NewValue(heartlocktest.Password),
	})
	who := must(i.Vault.IdentifySession(ctx, must(token, err).Reveal(), vault.Request{ID: "aside"}))
	from := must(i.Vault.SettingsVersion(ctx)).Generation
	must(i.Vault.SaveSettings(ctx, who, vault.SettingsChange{Action: vault.ActionUpdateSSO, From: from, Text: api.NewValue(text)}))
}

// instanceOf opens the server's database beside it.
func instanceOf(t *testing.T, s *heartlocktest.Server) *server.Instance {
	t.Helper()
	i, err := server.Open(t.Context(), must(s.Config()), false, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(fault.Detail(err))
	}
	t.Cleanup(func() {
		if err := i.Close(); err != nil {
			t.Error(err)
		}
	})
	return i
}

func onlyScopes(scopes string) string { return `{"oidc": {"scopes": "` + scopes + `"}}` }

func TestAnEndBetweenDatabaseAndFileIsMended(t *testing.T) {
	heartlocktest.EachEngine(t, func(t *testing.T, s *heartlocktest.Server, owner *heartlocktest.Caller) {
		saveAside(t, s, onlyScopes("openid one"))
		heartlocktest.Eventually(t, "the running server goes by it", func() bool { return readAppConfig(t, s).OIDC.Scopes == "openid one" })
		s.Stop()
		saveAside(t, s, onlyScopes("openid two"))
		if readAppConfig(t, s).OIDC.Scopes != "openid one" {
			t.Error("the file was written by somebody else")
		}
		s.Restart()
		if readAppConfig(t, s).OIDC.Scopes != "openid two" { // before it serves, so without waiting
			t.Error("a server that starts has an older file and serves")
		}
		if got := readSSO(owner.On(s)); got.Scopes != "openid two" || got.Generation != 2 {
			t.Errorf("%q, generation %d", got.Scopes, got.Generation)
		}
	})
}

// TestAFileChangedByHandStaysLocal until an administrator saves something.
func TestAFileChangedByHandStaysLocal(t *testing.T) {
	t.Parallel()
	s := heartlocktest.StartServer(t, heartlocktest.ServerOptions{})
	owner := s.Onboard()
	owner.Call("PUT", "/admin/oidc/", map[string]any{"scopes": "openid saved", "client_id": "heartlock"}).Want(200)
	text := must(os.ReadFile(appConfigPath(s)))
	writeAppConfig(t, s.Dir, strings.Replace(string(text), "openid saved", "openid by hand", 1))
	heartlocktest.Eventually(t, "it is used", func() bool { return readSSO(owner).Scopes == "openid by hand" })
	s.Restart()
	owner = owner.On(s)
	if got := readSSO(owner); got.Scopes != "openid by hand" || got.Generation != 1 {
		t.Errorf("after a restart %q, generation %d", got.Scopes, got.Generation)
	}
	owner.Call("PUT", "/admin/oidc/", map[string]any{"issuer": "https://idp.example.com"}).Want(200)
	if got := readSSO(owner); got.Scopes != "openid saved" || got.Issuer == "" || readAppConfig(t, s).OIDC.Scopes != "openid saved" {
		t.Errorf("after the next generation %q", got.Scopes)
	}
	// A file from before the settings were saved is an older one.
	s.Stop()
	writeAppConfig(t, s.Dir, onlyScopes("openid older"))
	s.Restart()
	if got := readSSO(owner.On(s)); got.Scopes != "openid saved" || got.Generation != 2 {
		t.Errorf("with an older file %q, generation %d", got.Scopes, got.Generation)
	}
}

// TestADirectoryThatCanNotBeWritten: the settings are in force all the same, and
// reach the file once it can be written.
func TestADirectoryThatCanNotBeWritten(t *testing.T) {
	t.Parallel()
	a, b, owner := pair(t)
	lock := filepath.Join(b.Dir, config.DataDirName, ".lock") // a directory of this name also stops root
	if err := os.RemoveAll(lock); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(lock, 0o700); err != nil {
		t.Fatal(err)
	}
	owner.Call("PUT", "/admin/oidc/", completeSSO()).Want(200)
	onB := owner.On(b)
	heartlocktest.Eventually(t, "the other server goes by it", func() bool { return ssoOn(onB) })
	if readAppConfig(t, b).OIDC.ClientID != "" || !b.Logs.Contains("could not be written to appconfig.json") {
		t.Error("the file was written, or nobody was told that it could not be")
	}
	// A change of another file must not make it forget them.
	if err := os.WriteFile(filepath.Join(b.Dir, ".env"), []byte("OIDC_SCOPES=openid env\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	heartlocktest.Eventually(t, "the other file is read", func() bool { return readSSO(onB).Scopes == "openid env" })
	if !ssoOn(onB) {
		t.Error("the settings were forgotten")
	}
	if err := os.Remove(lock); err != nil {
		t.Fatal(err)
	}
	heartlocktest.Eventually(t, "the file is written", func() bool { return readAppConfig(t, b).OIDC.ClientSecret.Reveal() == clientSecret })
	if a.Logs.Contains("could not be written") {
		t.Error("the first server had no reason to complain")
	}
}

// TestSettingsThatAServerCanNotUse: it stays with what it has, and says so.
func TestSettingsThatAServerCanNotUse(t *testing.T) {
	t.Parallel()
	s := heartlocktest.StartServer(t, heartlocktest.ServerOptions{})
	owner := s.Onboard()
	owner.Call("PUT", "/admin/oidc/", map[string]any{"scopes": "openid"}).Want(200)
	for _, text := range []string{onlyScopes("email"), `{"oidc": 7}`, `not JSON`} {
		saveAside(t, s, text)
		heartlocktest.Eventually(t, "it is said", func() bool { return s.Logs.Contains("can not be used") })
		if got := readSSO(owner); got.Scopes != "openid" || got.Generation != 1 {
			t.Errorf("%s: %q, generation %d", text, got.Scopes, got.Generation)
		}
	}
	s.Restart()
	if got := readSSO(owner.On(s)); got.Scopes != "openid" {
		t.Errorf("after a restart: %q", got.Scopes)
	}
	saveAside(t, s, onlyScopes("openid mended"))
	heartlocktest.Eventually(t, "it goes on", func() bool { return readSSO(owner.On(s)).Scopes == "openid mended" })
}

// TestTheAddressOfTheFirstRunReachesEveryServer: it is in one server's file only,
// were it not saved for all.
func TestTheAddressOfTheFirstRunReachesEveryServer(t *testing.T) {
	t.Parallel()
	url, key := heartlocktest.Postgres(t), "HEARTLOCK_ENCRYPTION_KEY="+newKey(t)
	o := heartlocktest.ServerOptions{
		DatabaseURL: url,
		Environ:     []string{key, "SECRET_KEY=the-same-on-both-servers", "SECURE_SSL_REDIRECT=True", "CSRF_TRUSTED_ORIGINS=https://test.example.com"},
		Headers:     []string{"X-Forwarded-Proto: https", "Origin: https://test.example.com"},
	}
	a, b := heartlocktest.StartServer(t, o), heartlocktest.StartServer(t, o)
	a.Anonymous().Call("POST", "/onboarding/", map[string]any{
		"app_url": "https://secrets.example.com/", "admin": map[string]any{"email": heartlocktest.OwnerEmail, "password": heartlocktest.Password},
	}).Want(201)
	heartlocktest.Eventually(t, "the other server's file has it", func() bool { return readAppConfig(t, b).AppURL == "https://secrets.example.com" })
	onB := b.Login(heartlocktest.OwnerEmail)
	heartlocktest.Eventually(t, "the other server goes by it", func() bool {
		got := readSSO(onB)
		return got.CallbackURL != nil && *got.CallbackURL == "https://secrets.example.com/oidc/callback/"
	})
	// Its origin is trusted from now on, as it would be after a restart.
	onB.Call("PATCH", "/auth/me/", map[string]any{"first_name": "Olga"}, "Origin: https://secrets.example.com").Want(200)
	onB.Call("PATCH", "/auth/me/", map[string]any{"first_name": "Olga"}, "Origin: https://other.example.com").Want(403)
	if to := onB.Do("GET", "/", nil, "X-Forwarded-Proto: http").Want(301).Header.Get("Location"); to != "https://secrets.example.com/" {
		t.Errorf("sent on to %s", to)
	}
}

func TestRestoredSettingsAreFollowed(t *testing.T) {
	heartlocktest.EachEngine(t, func(t *testing.T, s *heartlocktest.Server, owner *heartlocktest.Caller) {
		owner.Call("PUT", "/admin/oidc/", completeSSO()).Want(200)
		i := instanceOf(t, s)
		path := filepath.Join(t.TempDir(), "backup")
		if _, err := i.Backup(t.Context(), vault.Local(), server.BackupOptions{Path: path, Version: "1.2.3"}); err != nil {
			t.Fatal(fault.Detail(err))
		}
		owner.Call("PUT", "/admin/oidc/", map[string]any{"scopes": "openid after", "enable": false}).Want(200)
		keys := must(s.Config()).EncryptionKey.Keys

		other := heartlocktest.ServerOptions{Dir: t.TempDir(), Environ: []string{"HEARTLOCK_ENCRYPTION_KEY=" + keys[0].Encode()}}
		if s.DatabaseURL != "" {
			other.DatabaseURL = heartlocktest.Postgres(t)
		}
		// The file of a server that went by a later generation: the database counts anew.
		writeAppConfig(t, other.Dir, string(must(os.ReadFile(appConfigPath(s)))))
		restoreInto(t, other, path, keys)
		again := heartlocktest.StartServer(t, other)
		back := again.Login(heartlocktest.OwnerEmail)
		if got := readSSO(back); !got.Enabled || got.Generation != 1 || got.Scopes != "openid email profile" {
			t.Errorf("enabled %v, generation %d, %q", got.Enabled, got.Generation, got.Scopes)
		}
		if readAppConfig(t, again).OIDC.ClientSecret.Reveal() != clientSecret {
			t.Error("the secret did not come back")
		}
	})
}

func restoreInto(t *testing.T, o heartlocktest.ServerOptions, path string, keys []keyring.Key) {
	t.Helper()
	environ := o.Environ
	if o.DatabaseURL != "" {
		environ = append(environ, "DATABASE_URL="+o.DatabaseURL)
	}
	cfg := must(config.LoadServer(config.Options{Dir: o.Dir, Environ: environ}))
	if _, err := server.Restore(t.Context(), cfg, server.RestoreOptions{
		Path: path, Keys: keys, Log: slog.New(slog.DiscardHandler), Say: func(string, ...any) {},
	}); err != nil {
		t.Fatal(fault.Detail(err))
	}
}
