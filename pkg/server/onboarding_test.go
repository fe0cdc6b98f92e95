package server_test

import (
	"encoding/hex"
	"flag"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/config"
	"github.com/heartlock/heartlock/pkg/heartlocktest"
	"github.com/heartlock/heartlock/pkg/keyring"
	"github.com/heartlock/heartlock/pkg/server"
)

const onboarding = "/onboarding/"

func admin(email string) map[string]any {
	return map[string]any{"email": email, "password": heartlocktest.Password}
}

// race sends n first runs at the same time, spread over the servers, and
// returns how often each status was answered.
func race(n int, tokens []string, servers ...*heartlocktest.Server) map[int]int {
	answers := make([]heartlocktest.Answer, n)
	var ready, done sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		ready.Add(1)
		done.Go(func() {
			body := map[string]any{"admin": admin("admin" + string(rune('a'+i%26)) + "@example.com")}
			if len(tokens) > 0 {
				body["setup_token"] = tokens[i%len(tokens)]
			}
			c := servers[i%len(servers)].Anonymous()
			ready.Done()
			<-start
			answers[i] = c.Call("POST", onboarding, body)
		})
	}
	ready.Wait()
	close(start)
	done.Wait()
	statuses := map[int]int{}
	for _, a := range answers {
		statuses[a.Status]++
	}
	return statuses
}

// checkOneAdmin sees that exactly one of the attempts has left anything.
func checkOneAdmin(t *testing.T, s *heartlocktest.Server, statuses map[int]int) {
	t.Helper()
	for status := range statuses {
		switch status {
		case 201, 404, 403, 409, 429:
		default:
			t.Errorf("status %d was answered: %v", status, statuses)
		}
	}
	if statuses[201] != 1 {
		t.Errorf("%d first runs succeeded: %v", statuses[201], statuses)
	}
	for table, want := range map[string]int{"users": 1, "instance": 1, "sessions": 0, "tokens": 0, "projects": 0, "memberships": 0, "encryption_keys": 1} {
		if n := s.Count(table, "1 = 1"); n != want {
			t.Errorf("%s has %d rows, want %d", table, n, want)
		}
	}
	if n := s.Count("audit_events", "action = 'onboarding.finish'"); n != 1 {
		t.Errorf("%d first runs were recorded", n)
	}
	if n := s.Count("users", "is_superuser"); n != 1 {
		t.Errorf("%d superusers", n)
	}
}

var soak = flag.Bool("soak", false, "race for the first run for 200 rounds")

func rounds() int {
	if *soak {
		return 200
	}
	return 3
}

func TestOneFirstRunWins(t *testing.T) {
	heartlocktest.EachDatabase(t, func(t *testing.T, databaseURL string) {
		for range rounds() {
			url := databaseURL
			if url != "" {
				url = heartlocktest.Postgres(t)
			}
			s := heartlocktest.StartServer(t, heartlocktest.ServerOptions{DatabaseURL: url})
			checkOneAdmin(t, s, race(30, nil, s))
			s.Stop()
		}
	})
}

// TestOneFirstRunWinsInProduction: there every attempt brings a key of its own,
// and only the winner's may be left.
func TestOneFirstRunWinsInProduction(t *testing.T) {
	heartlocktest.EachDatabase(t, func(t *testing.T, databaseURL string) {
		s := heartlocktest.StartServer(t, heartlocktest.ServerOptions{DatabaseURL: databaseURL, Environ: openProduction()})
		checkOneAdmin(t, s, race(30, []string{s.SetupToken, s.SetupToken, "wrong"}, s))
		owner := s.Login(onlyAdmin(t, s))
		owner.Call("POST", "/projects/", map[string]any{"name": "Shop"}).Want(201)
	})
}

func onlyAdmin(t *testing.T, s *heartlocktest.Server) string {
	t.Helper()
	for i := range 26 {
		email := "admin" + string(rune('a'+i)) + "@example.com"
		if s.Count("users", "email = '"+email+"'") == 1 {
			return email
		}
	}
	t.Fatal("no administrator")
	return ""
}

// openProduction is production without the redirect to https.
func openProduction() []string {
	return append(heartlocktest.Production(), "SECURE_SSL_REDIRECT=False")
}

// TestOneFirstRunWinsOnTwoServers: two servers without a key share a database.
func TestOneFirstRunWinsOnTwoServers(t *testing.T) {
	t.Run("development", func(t *testing.T) {
		t.Parallel()
		for range rounds() {
			url := heartlocktest.Postgres(t)
			key := "HEARTLOCK_ENCRYPTION_KEY=" + newKey(t)
			first := heartlocktest.StartServer(t, heartlocktest.ServerOptions{DatabaseURL: url, Environ: []string{key}})
			second := heartlocktest.StartServer(t, heartlocktest.ServerOptions{DatabaseURL: url, Environ: []string{key}})
			checkOneAdmin(t, first, race(30, nil, first, second))
			first.Stop()
			second.Stop()
		}
	})
	t.Run("production, each with a key of its own", func(t *testing.T) {
		t.Parallel()
		for range rounds() {
			url := heartlocktest.Postgres(t)
			first := heartlocktest.StartServer(t, heartlocktest.ServerOptions{DatabaseURL: url, Environ: openProduction()})
			second := heartlocktest.StartServer(t, heartlocktest.ServerOptions{DatabaseURL: url, Environ: openProduction()})
			if first.SetupToken != second.SetupToken {
				t.Error("two servers with the same SECRET_KEY ask for different tokens")
			}
			checkOneAdmin(t, first, race(30, []string{first.SetupToken}, first, second))
			winner := first
			if _, err := os.Stat(filepath.Join(first.Dir, config.DataDirName, config.AppConfigName)); err != nil {
				winner = second
			}
			owner := winner.Login(onlyAdmin(t, winner))
			owner.Call("POST", "/projects/", map[string]any{"name": "Shop"}).Want(201)
			owner.Call("PUT", "/projects/shop/environments/development/secrets/KEY/", map[string]any{"value": "x"}).Want(201)
			winner.Restart(openProduction()...)
			owner.Call("GET", "/projects/shop/environments/development/secrets/KEY/", nil).Want(200)
			first.Stop()
			second.Stop()
		}
	})
}

func newKey(t *testing.T) string {
	t.Helper()
	return keyring.Generate().Encode()
}

// TestFirstRunInProduction goes the whole way: the token, the key that is
// returned once and written, and a server that goes on with it.
func TestFirstRunInProduction(t *testing.T) {
	heartlocktest.EachDatabase(t, func(t *testing.T, databaseURL string) {
		s := heartlocktest.StartServer(t, heartlocktest.ServerOptions{DatabaseURL: databaseURL, Environ: openProduction()})
		file := filepath.Join(s.Dir, config.DataDirName, server.SetupTokenFile)
		info, err := os.Stat(file)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Fatalf("the token's file: %v %v", info, err)
		}
		text, err := os.ReadFile(file)
		if err != nil || strings.TrimSpace(string(text)) != s.SetupToken || len(s.SetupToken) < 32 || !s.NeedsSetup {
			t.Fatalf("the token of %d characters is not in its file: %v", len(s.SetupToken), err)
		}

		var status api.OnboardingStatus
		s.Anonymous().Call("GET", onboarding, nil).Want(200).Decode(&status)
		if !status.Required {
			t.Error("the first run is not asked for")
		}
		s.Anonymous().Call("GET", "/ready/", nil).Want(200)
		before := s.State()
		for _, token := range []any{nil, "", "wrong", s.SetupToken[1:], s.SetupToken + "0", strings.ToUpper(s.SetupToken)} {
			body := map[string]any{"admin": admin("eve@example.com")}
			if token != nil {
				body["setup_token"] = token
			}
			if _, err := hex.DecodeString(s.SetupToken); token == strings.ToUpper(s.SetupToken) && (err != nil || token == s.SetupToken) {
				continue
			}
			answer := s.Anonymous().Call("POST", onboarding, body)
			answer.WantProblem(403)
			if strings.Contains(answer.Body, s.SetupToken) {
				t.Error("the answer tells the token")
			}
			s.Anonymous().Call("POST", onboarding, body, "X-Forwarded-For: 127.0.0.1", "X-Real-IP: ::1").WantProblem(403)
		}
		// A mistake in the form leaves nothing behind, no key either.
		for _, bad := range []map[string]any{admin("not an address"), {"email": "a@example.com", "password": "short"}, {"email": "a@example.com"}, {"password": heartlocktest.Password}} {
			s.Anonymous().Call("POST", onboarding, map[string]any{"setup_token": s.SetupToken, "admin": bad}).WantProblem(400)
		}
		if n := s.Count("audit_events", "outcome <> 'refused'"); n != 0 {
			t.Errorf("%d events of something that was done", n)
		}
		if diff := cmp.Diff(before, s.State()); diff != "" {
			t.Errorf("what was refused changed the database:\n%s", diff)
		}

		var answer api.OnboardResponse
		s.Anonymous().Call("POST", onboarding, map[string]any{"setup_token": s.SetupToken, "admin": admin(heartlocktest.OwnerEmail)}).Want(201).Decode(&answer)
		if answer.EncryptionKey == nil || !answer.Account.IsSuperuser || answer.Account.Email != heartlocktest.OwnerEmail {
			t.Fatalf("%+v", answer.Account)
		}
		saved, _, err := config.ReadAppConfig(filepath.Join(s.Dir, config.DataDirName))
		if err != nil || saved.EncryptionKey.Reveal() != answer.EncryptionKey.Reveal() {
			t.Fatalf("appconfig.json has another key: %v", err)
		}
		if info, err := os.Stat(filepath.Join(s.Dir, config.DataDirName, config.AppConfigName)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("appconfig.json: %v %v", info, err)
		}
		if _, err := os.Stat(file); !os.IsNotExist(err) {
			t.Errorf("the token's file is still there: %v", err)
		}

		// It goes on with the key, without a restart.
		owner := s.Login(heartlocktest.OwnerEmail)
		owner.Call("POST", "/projects/", map[string]any{"name": "Shop"}).Want(201)
		const secret = "/projects/shop/environments/development/secrets/KEY/"
		owner.Call("PUT", secret, map[string]any{"value": "kept"}).Want(201)
		var ready api.Readiness
		s.Anonymous().Call("GET", "/ready/", nil).Want(200).Decode(&ready)
		if ready.EncryptionKey != answer.Fingerprint || ready.OnboardingOpen {
			t.Errorf("%+v", ready)
		}

		closed := s.Dump()
		for _, token := range []string{s.SetupToken, "wrong"} {
			s.Anonymous().Call("POST", onboarding, map[string]any{"setup_token": token, "admin": admin("eve@example.com")}).WantProblem(404)
		}
		if got := s.Anonymous().Call("GET", onboarding, nil).Want(200).Body; got != `{"required":false}` {
			t.Errorf("a finished first run tells more than that: %s", got)
		}
		if diff := cmp.Diff(closed, s.Dump()); diff != "" {
			t.Errorf("a second first run changed the database:\n%s", diff)
		}
		s.Exec("DELETE FROM users")
		s.Restart(append(openProduction(), "HEARTLOCK_DISABLE_ONBOARDING=False")...)
		if s.NeedsSetup || s.SetupToken != "" {
			t.Error("without its administrators the first run is open again")
		}
		s.Anonymous().Call("POST", onboarding, map[string]any{"admin": admin("eve@example.com")}).WantProblem(404)
		if s.Logs.Contains(answer.EncryptionKey.Reveal()) {
			t.Error("the log holds the key")
		}
	})
}

// TestWrongSetupTokensAreThrottled: also the right one waits then, and only in the
// network that it was guessed from.
func TestWrongSetupTokensAreThrottled(t *testing.T) {
	t.Parallel()
	s := heartlocktest.StartServer(t, heartlocktest.ServerOptions{Environ: openProduction()})
	for range 30 {
		s.Anonymous().Call("POST", onboarding, map[string]any{"setup_token": "wrong", "admin": admin("eve@example.com")}).WantProblem(403)
	}
	right := map[string]any{"setup_token": s.SetupToken, "admin": admin("ann@example.com")}
	if answer := s.Anonymous().Call("POST", onboarding, right).Want(429); answer.Header.Get("Retry-After") != "900" {
		t.Errorf("Retry-After: %s", answer.Header.Get("Retry-After"))
	}
	if n := s.Count("users", "1 = 1"); n != 0 {
		t.Errorf("%d users", n)
	}
	s.Exec("UPDATE throttles SET blocked_to = 1") // as if the time had passed
	s.Anonymous().Call("POST", onboarding, right).Want(201)
}

func TestFirstRunCanBeSwitchedOff(t *testing.T) {
	for _, environ := range [][]string{{}, openProduction()} {
		s := heartlocktest.StartServer(t, heartlocktest.ServerOptions{Environ: append(environ, "HEARTLOCK_DISABLE_ONBOARDING=True")})
		if got := s.Anonymous().Call("GET", onboarding, nil).Want(200).Body; got != `{"required":false}` {
			t.Error(got)
		}
		s.Anonymous().Call("POST", onboarding, map[string]any{"admin": admin("eve@example.com")}).WantProblem(404)
		if _, err := os.Stat(filepath.Join(s.Dir, config.DataDirName, server.SetupTokenFile)); err == nil || s.SetupToken != "" {
			t.Error("there is a set-up token that nothing takes")
		}
		if n := s.Count("users", "1 = 1"); n != 0 {
			t.Errorf("%d users", n)
		}
	}
}

// TestWizardTakesNoOtherFile: who finishes the first run must not make the
// server write or read somewhere else.
func TestWizardTakesNoOtherFile(t *testing.T) {
	s := heartlocktest.StartServer(t, heartlocktest.ServerOptions{})
	outside := t.TempDir()
	before := s.Dump()
	for _, url := range []string{
		"sqlite:////" + strings.TrimPrefix(outside, "/") + "/x.db", "sqlite:///../x.db", "sqlite:///x.db", "sqlite:///heartlock_data/../x.db",
		"sqlite://:memory:", "sqlite:///heartlock_data/appconfig.json", "sqlite:///heartlock_data/secret.key",
		"postgres:///db", "postgres://%2Fvar%2Frun%2Fpostgresql/db", "postgres:///db?host=/run/postgresql", "mysql://u:p@h/db", "file:///etc/passwd",
		"postgres://u:hunter2secret@127.0.0.1:1/db?sslkey=/etc/shadow&sslcert=/etc/shadow", "postgres://u:hunter2secret@127.0.0.1:1/db?sslrootcert=/etc/shadow",
		"postgres://u:hunter2secret@127.0.0.1:1/db", "hunter2secret",
	} {
		answer := s.Anonymous().Call("POST", onboarding, map[string]any{"database_url": url, "admin": admin("eve@example.com")})
		if answer.Status != 400 && answer.Status != 503 {
			t.Errorf("%s: %d %s", url, answer.Status, answer.Body)
		}
		if strings.Contains(answer.Body, "hunter2secret") || s.Logs.Contains("hunter2secret") {
			t.Errorf("%s: the password is repeated: %s", url, answer.Body)
		}
	}
	if diff := cmp.Diff(before, s.Dump()); diff != "" {
		t.Errorf("refused databases changed the present one:\n%s", diff)
	}
	if left, err := os.ReadDir(outside); err != nil || len(left) > 0 {
		t.Errorf("files outside: %v %v", left, err)
	}
	if p := s.Anonymous().Call("POST", onboarding, map[string]any{"encryption_key": newKey(t), "admin": admin("eve@example.com")}).WantProblem(400); !strings.Contains(p.Detail, "secret.key") {
		t.Errorf("a second key: %s", p.Detail)
	}
	for _, bad := range []map[string]any{
		{"app_url": "ftp://h", "admin": admin("eve@example.com")},
		{"app_url": "https://h/path", "admin": admin("eve@example.com")},
		{"encryption_key": "short", "admin": admin("eve@example.com")},
		{"encryption_key": strings.Repeat("A", 43) + "=", "admin": admin("eve@example.com")},
	} {
		s.Anonymous().Call("POST", onboarding, bad).WantProblem(400)
	}
	if _, err := os.Stat(filepath.Join(s.Dir, config.DataDirName, config.AppConfigName)); err == nil {
		t.Error("a refused first run wrote appconfig.json")
	}
}

// TestWizardMovesToAnotherDatabase: the choice is carried out at once.
func TestWizardMovesToAnotherDatabase(t *testing.T) {
	url := heartlocktest.Postgres(t)
	s := heartlocktest.StartServer(t, heartlocktest.ServerOptions{Environ: openProduction()})
	key := newKey(t)
	var answer api.OnboardResponse
	s.Anonymous().Call("POST", onboarding, map[string]any{
		"setup_token": s.SetupToken, "database_url": url, "encryption_key": key, "app_url": "https://secrets.example.com/", "admin": admin(heartlocktest.OwnerEmail),
	}).Want(201).Decode(&answer)
	if answer.EncryptionKey != nil {
		t.Error("a key that was given is returned")
	}
	owner := s.Login(heartlocktest.OwnerEmail)
	owner.Call("POST", "/projects/", map[string]any{"name": "Shop"}).Want(201)
	if n := s.Count("users", "1 = 1"); n != 0 {
		t.Errorf("the former database has %d users", n)
	}
	var ready api.Readiness
	s.Anonymous().Call("GET", "/ready/", nil).Want(200).Decode(&ready)
	if ready.DatabaseBackend != "postgres" || ready.EncryptionKey != answer.Fingerprint {
		t.Errorf("%+v", ready)
	}
	saved, _, err := config.ReadAppConfig(filepath.Join(s.Dir, config.DataDirName))
	if err != nil || saved.AppURL != "https://secrets.example.com" || saved.DatabaseURL.Reveal() != url || saved.EncryptionKey.Reveal() != key {
		t.Errorf("appconfig.json: %v", err)
	}
	s.Restart(openProduction()...)
	owner.Call("GET", "/projects/shop/", nil).Want(200)
}

// TestWizardLeavesTheEnvironmentAlone: what is decided there can not be decided
// again.
func TestWizardLeavesTheEnvironmentAlone(t *testing.T) {
	environ := append(openProduction(), "HEARTLOCK_APP_URL=https://secrets.example.com", "HEARTLOCK_ENCRYPTION_KEY="+newKey(t), "DATABASE_URL=sqlite:///heartlock_data/db.sqlite3")
	s := heartlocktest.StartServer(t, heartlocktest.ServerOptions{Environ: environ})
	for range 5 {
		if got := s.Anonymous().Call("GET", onboarding, nil).Want(200).Body; got != `{"required":true,"fixed":["app_url","database_url","encryption_key"]}` {
			t.Error(got)
		}
	}
	for field, value := range map[string]string{"app_url": "https://other.example.com", "database_url": "sqlite:///heartlock_data/other.db", "encryption_key": newKey(t)} {
		p := s.Anonymous().Call("POST", onboarding, map[string]any{"setup_token": s.SetupToken, field: value, "admin": admin("eve@example.com")}).WantProblem(400)
		if p.Errors[0].Location != "body."+field {
			t.Errorf("%s: %+v", field, p)
		}
	}
	var answer api.OnboardResponse
	s.Anonymous().Call("POST", onboarding, map[string]any{"setup_token": s.SetupToken, "admin": admin(heartlocktest.OwnerEmail)}).Want(201).Decode(&answer)
	if answer.EncryptionKey != nil {
		t.Error("the environment's key is returned")
	}
	s.Login(heartlocktest.OwnerEmail).Call("POST", "/projects/", map[string]any{"name": "Shop"}).Want(201)
}

// TestCommandBesideARunningServer: `heartlock onboard` finishes the first run
// and the server takes it over.
func TestCommandBesideARunningServer(t *testing.T) {
	heartlocktest.EachDatabase(t, func(t *testing.T, databaseURL string) {
		s := heartlocktest.StartServer(t, heartlocktest.ServerOptions{DatabaseURL: databaseURL, Environ: openProduction()})
		cfg, err := s.Config()
		if err != nil {
			t.Fatal(err)
		}
		answer, token, err := server.Onboard(t.Context(), cfg, api.OnboardRequest{
			Admin: api.NewAdmin{Email: heartlocktest.OwnerEmail, Password: api.NewValue(heartlocktest.Password)},
		}, "terminal", slog.New(slog.NewTextHandler(io.Discard, nil)))
		if err != nil || answer.EncryptionKey == nil {
			t.Fatal(err)
		}
		heartlocktest.Eventually(t, "the server has the new key", func() bool {
			var ready api.Readiness
			s.Anonymous().Call("GET", "/ready/", nil).Decode(&ready)
			return ready.EncryptionKey == answer.Fingerprint
		})
		owner := s.WithToken("terminal", token.Reveal())
		owner.Call("POST", "/projects/", map[string]any{"name": "Shop"}).Want(201)
		owner.Call("PUT", "/projects/shop/environments/development/secrets/KEY/", map[string]any{"value": "x"}).Want(201)
		s.Anonymous().Call("POST", onboarding, map[string]any{"setup_token": s.SetupToken, "admin": admin("eve@example.com")}).WantProblem(404)
		if _, err := os.Stat(filepath.Join(s.Dir, config.DataDirName, server.SetupTokenFile)); !os.IsNotExist(err) {
			t.Errorf("the token's file is still there: %v", err)
		}
	})
}
