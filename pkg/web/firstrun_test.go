//go:build unix

package web_test

import (
	"context"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/config"
	"github.com/heartlock/heartlock/pkg/heartlocktest"
	"github.com/heartlock/heartlock/pkg/keyring"
)

const firstRun = "/onboarding/"

// openProduction is production that the tests' plain http can sign in to.
func openProduction() []string {
	return append(heartlocktest.Production(), "SECURE_SSL_REDIRECT=False")
}

// administrator is what the form of the first run is filled in with.
func administrator(more ...string) url.Values {
	values := field("email", heartlocktest.OwnerEmail, "password", heartlocktest.Password, "first_name", "Olga", "last_name", "Owner")
	for pair := range slices.Chunk(more, 2) {
		values.Set(pair[0], pair[1])
	}
	return values
}

// shownKey is the encryption key that the last page of the first run shows, or "".
func (d *document) shownKey() string {
	for _, area := range d.All("textarea", "id", "encryption-key") {
		return rawText(area)
	}
	return ""
}

// signedIn makes sure that somebody is.
func signedIn(t *testing.T, c *heartlocktest.Caller, email string) {
	t.Helper()
	var who api.Me
	c.Call("GET", "/auth/me/", nil).Want(http.StatusOK).Decode(&who)
	if who.Email != email {
		t.Errorf("signed in as %s, want %s", who.Email, email)
	}
}

// TestFirstRunInTheBrowser goes the whole way in production, without scripts.
func TestFirstRunInTheBrowser(t *testing.T) {
	t.Parallel()
	heartlocktest.EachDatabase(t, func(t *testing.T, databaseURL string) {
		s := heartlocktest.StartServer(t, heartlocktest.ServerOptions{DatabaseURL: databaseURL, Environ: openProduction()})
		c := s.Anonymous()
		for _, path := range []string{"/", "/login/", "/projects/"} {
			if page := open(t, c, path); page.Path != firstRun {
				t.Errorf("%s leads to %s", path, page.Path)
			}
		}
		form := open(t, c, firstRun).Has(t, "heartlock_data/setup-token").Form(t, firstRun)
		if guessed := form.Values().Get("app_url"); guessed != s.URL {
			t.Errorf("the address is guessed to be %q", guessed)
		}
		sent := administrator("setup_token", s.SetupToken, "app_url", "https://secrets.example.com/")
		page := form.Submit(t, sent).wants(t, http.StatusOK).Has(t, "Save the encryption key", "Without this key all secrets are lost", "You are signed in as "+heartlocktest.OwnerEmail)
		saved, _, err := config.ReadAppConfig(filepath.Join(s.Dir, config.DataDirName))
		if err != nil || page.shownKey() == "" || page.shownKey() != saved.EncryptionKey.Reveal() || saved.AppURL != "https://secrets.example.com" {
			t.Errorf("the page does not show the key that was saved, or its address is %q: %v", saved.AppURL, err)
		}
		if boxes := page.All("input", "type", "checkbox", "required", "*"); len(boxes) != 1 || !page.allows("/projects/") {
			t.Error("nobody has to say that he has saved the key")
		}
		signedIn(t, c, heartlocktest.OwnerEmail)
		open(t, c, "/projects/").Form(t, "/projects/").Submit(t, field("name", "Shop"))
		c.Call("PUT", "/projects/shop/environments/development/secrets/KEY/", map[string]any{"value": "x"}).Want(http.StatusCreated)

		nobody := s.Anonymous()
		closed := visit(t, nobody, firstRun)
		if random := visit(t, nobody, "/nowhere/"); closed.Status != http.StatusNotFound || canonical(closed) != canonical(random) {
			t.Errorf("the finished first run differs from no page: %d %s", closed.Status, closed.Text())
		}
		send(t, nobody, firstRun, sent).wants(t, http.StatusNotFound)
		if page := visit(t, nobody, "/"); page.Path != "/login/" {
			t.Errorf("afterwards / leads to %s", page.Path)
		}
		for _, secret := range []string{page.shownKey(), heartlocktest.Password} {
			if s.Logs.Contains(secret) {
				t.Error("the log holds the key or the password")
			}
		}
	})
}

// allows reports whether the page has a form that leads to this path by GET.
func (d *document) allows(path string) bool {
	return slices.ContainsFunc(d.All("form", "action", path), func(form *html.Node) bool {
		_, method := attribute(form, "method")
		return !method
	})
}

// TestFirstRunSentTwice: whoever presses twice gets the same key on the page that his
// browser shows in the end, and nobody else gets it.
func TestFirstRunSentTwice(t *testing.T) {
	t.Parallel()
	heartlocktest.EachDatabase(t, func(t *testing.T, databaseURL string) {
		s := heartlocktest.StartServer(t, heartlocktest.ServerOptions{DatabaseURL: databaseURL, Environ: openProduction()})
		form := open(t, s.Anonymous(), firstRun).Form(t, firstRun)
		values := form.Values()
		for name, chosen := range administrator("setup_token", s.SetupToken) {
			values[name] = chosen
		}
		pages := make([]heartlocktest.Answer, 4)
		together(len(pages), func(i int) {
			pages[i] = s.Anonymous().Do("POST", firstRun, values.Encode(), "Content-Type: application/x-www-form-urlencoded")
		})
		keys := map[string]bool{}
		for _, answer := range pages {
			root, err := html.Parse(strings.NewReader(answer.Want(http.StatusOK).Body))
			if err != nil {
				t.Fatal(err)
			}
			keys[(&document{root: root}).shownKey()] = true
		}
		if len(keys) != 1 || keys[""] {
			t.Errorf("%d keys were shown", len(keys))
		}
		if n := s.Count("users", "1 = 1"); n != 1 {
			t.Errorf("%d accounts", n)
		}
		for name, change := range map[string]func(url.Values){
			"another password": func(v url.Values) { v.Set("password", "another-horse-battery-staple") },
			"another form":     func(v url.Values) { v.Set("once", "6fa459ea-ee8a-4ca4-894e-db77e160355e") },
			"no form":          func(v url.Values) { v.Del("once") },
			"another token":    func(v url.Values) { v.Set("setup_token", "wrong") },
		} {
			other := url.Values{}
			for field, chosen := range values {
				other[field] = chosen
			}
			change(other)
			if page := send(t, s.Anonymous(), firstRun, other); page.Status != http.StatusNotFound {
				t.Errorf("%s: %d", name, page.Status)
			}
		}
	})
}

// TestFirstRunRace: of two people, one sets the server up.
func TestFirstRunRace(t *testing.T) {
	t.Parallel()
	heartlocktest.EachDatabase(t, func(t *testing.T, databaseURL string) {
		s := heartlocktest.StartServer(t, heartlocktest.ServerOptions{DatabaseURL: databaseURL})
		statuses := make([]int, 12)
		forms := make([]url.Values, len(statuses))
		for i := range forms {
			forms[i] = open(t, s.Anonymous(), firstRun).Form(t, firstRun).Values()
			for name, chosen := range administrator("email", "admin"+string(rune('a'+i))+"@example.com") {
				forms[i][name] = chosen
			}
		}
		together(len(statuses), func(i int) {
			statuses[i] = s.Anonymous().Do("POST", firstRun, forms[i].Encode(), "Content-Type: application/x-www-form-urlencoded").Status
		})
		won := 0
		for _, status := range statuses {
			switch status {
			case http.StatusOK:
				won++
			case http.StatusNotFound:
			default:
				t.Errorf("%v", statuses)
			}
		}
		if users, super := s.Count("users", "1 = 1"), s.Count("users", "is_superuser"); won != 1 || users != 1 || super != 1 {
			t.Errorf("%d have won, %d accounts, %d administrators", won, users, super)
		}
	})
}

// TestFirstRunGoesOnAfterMistakes: everything that is wrong is said at once, at its
// field, and what was typed stays, but for what nobody else is to see.
func TestFirstRunGoesOnAfterMistakes(t *testing.T) {
	t.Parallel()
	s := heartlocktest.StartServer(t, heartlocktest.ServerOptions{Environ: openProduction()})
	c := s.Anonymous()
	before := s.State()
	form := open(t, c, firstRun).Form(t, firstRun)
	const urlSecret, ownKey = "hunter2-of-the-database", "not-a-key-but-secret"
	page := form.Submit(t, administrator(
		"setup_token", "wrong-token", "email", "nobody", "password", "short77", "first_name", "Ol\u202ega", "app_url", "secrets.example.com",
		"database", "postgres", "database_url", "postgres://heartlock:"+urlSecret+"@db.example.com:5432/heartlock?sslmode=verify-full", "key", "own", "encryption_key", ownKey,
	)).wants(t, http.StatusBadRequest)
	page.Has(t, "Must be an e-mail address", "Must have at least 8 characters", "text-direction marks", "An origin needs a scheme", "Its password was left out")
	page.keeps(t, urlSecret, ownKey, "short77", "wrong-token")
	kept := page.Form(t, firstRun).Values()
	for name, want := range map[string]string{
		"email": "nobody", "last_name": "Owner", "app_url": "secrets.example.com", "database": "postgres", "key": "own", "password": "", "encryption_key": "", "setup_token": "",
		"database_url": "postgres://heartlock@db.example.com:5432/heartlock?sslmode=verify-full",
	} {
		if got := kept.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	for name, c := range map[string]struct {
		values url.Values
		status int
		says   string
	}{
		"no token":        {administrator("setup_token", ""), http.StatusForbidden, "This is not the set-up token of this server."},
		"wrong token":     {administrator("setup_token", s.SetupToken+"0"), http.StatusForbidden, "This is not the set-up token of this server."},
		"no URL":          {administrator("setup_token", s.SetupToken, "database", "postgres"), http.StatusBadRequest, "Is needed, or choose SQLite."},
		"SQLite URL":      {administrator("setup_token", s.SetupToken, "database", "postgres", "database_url", "sqlite:///heartlock_data/x.db"), http.StatusBadRequest, "Is not the URL of a PostgreSQL database"},
		"broken URL":      {administrator("setup_token", s.SetupToken, "database", "postgres", "database_url", urlSecret), http.StatusBadRequest, "This is not a URL"},
		"no database":     {administrator("setup_token", s.SetupToken, "database", "postgres", "database_url", "postgres://u:"+urlSecret+"@127.0.0.1:1/db"), http.StatusBadRequest, "Can not be used"},
		"no key":          {administrator("setup_token", s.SetupToken, "key", "own"), http.StatusBadRequest, "Is needed, or let the server make one."},
		"wrong key":       {administrator("setup_token", s.SetupToken, "key", "own", "encryption_key", ownKey), http.StatusBadRequest, "key"},
		"common password": {administrator("setup_token", s.SetupToken, "password", "password1"), http.StatusBadRequest, "guessed first"},
	} {
		page := form.Submit(t, c.values)
		if page.Status != c.status || !strings.Contains(page.Text(), c.says) || len(page.All("input", "aria-invalid", "true")) != 1 {
			t.Errorf("%s: %d %s", name, page.Status, page.Text())
		}
		page.keeps(t, urlSecret, ownKey, s.SetupToken)
	}
	if after := s.State(); after != before {
		t.Error("what was refused has changed something")
	}
	if s.Logs.Contains(urlSecret) || s.Logs.Contains(ownKey) {
		t.Error("the log holds a secret")
	}
	form.Submit(t, administrator("setup_token", s.SetupToken)).wants(t, http.StatusOK)
}

func TestFirstRunWithAnotherDatabase(t *testing.T) {
	t.Parallel()
	target := heartlocktest.Postgres(t)
	s := heartlocktest.StartServer(t, heartlocktest.ServerOptions{Environ: openProduction()})
	c := s.Anonymous()
	key := keyring.Generate().Encode()
	values := administrator("setup_token", s.SetupToken, "database", "postgres", "database_url", target, "key", "own", "encryption_key", key)
	page := open(t, c, firstRun).Form(t, firstRun).Submit(t, values).wants(t, http.StatusOK)
	page.Has(t, "The key that you gave is saved", "Without this key all secrets are lost").keeps(t, key)
	signedIn(t, c, heartlocktest.OwnerEmail)
	if n := s.Count("users", "1 = 1"); n != 0 {
		t.Errorf("the former database has %d accounts", n)
	}

	// The database of a Heartlock is no database for another one.
	other := heartlocktest.StartServer(t, heartlocktest.ServerOptions{Environ: openProduction()})
	values.Set("setup_token", other.SetupToken)
	open(t, other.Anonymous(), firstRun).Form(t, firstRun).Submit(t, values).wants(t, http.StatusBadRequest).Has(t, "set up already")
	open(t, other.Anonymous(), firstRun)
}

// TestFirstRunAsksForWhatIsNotDecided: what the configuration has decided is not asked
// for.
func TestFirstRunAsksForWhatIsNotDecided(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		environ []string
		asked   []string
		says    []string
		after   string
	}{
		"development": {nil, []string{"app_url", "database"}, []string{"heartlock_data/secret.key"}, "The key is in heartlock_data/secret.key"},
		"production":  {openProduction(), []string{"app_url", "database", "encryption_key", "setup_token"}, nil, "Save the encryption key"},
		"decided": {
			append(openProduction(), "HEARTLOCK_APP_URL=https://secrets.example.com", "DATABASE_URL=sqlite:///heartlock_data/db.sqlite3", "HEARTLOCK_ENCRYPTION_KEY="+keyring.Generate().Encode()),
			[]string{"setup_token"},
			[]string{"HEARTLOCK_APP_URL", "DATABASE_URL", "HEARTLOCK_ENCRYPTION_KEY"},
			"The key comes from HEARTLOCK_ENCRYPTION_KEY",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := heartlocktest.StartServer(t, heartlocktest.ServerOptions{Environ: c.environ})
			page := open(t, s.Anonymous(), firstRun).Has(t, c.says...)
			var asked []string
			for _, field := range []string{"app_url", "database", "encryption_key", "setup_token"} {
				if len(page.All("input", "name", field)) > 0 {
					asked = append(asked, field)
				}
			}
			if !slices.Equal(asked, c.asked) {
				t.Errorf("asked for %q, want %q", asked, c.asked)
			}
			values := administrator()
			if s.SetupToken != "" {
				values.Set("setup_token", s.SetupToken)
			}
			page.Form(t, firstRun).Submit(t, values).wants(t, http.StatusOK).Has(t, c.after)
		})
	}
}

func TestFirstRunThatIsSwitchedOff(t *testing.T) {
	t.Parallel()
	s := heartlocktest.StartServer(t, heartlocktest.ServerOptions{Environ: append(openProduction(), "HEARTLOCK_DISABLE_ONBOARDING=True")})
	c := s.Anonymous()
	for _, path := range []string{"/", "/login/", firstRun} {
		page := visit(t, c, path).wants(t, http.StatusNotFound)
		if page.Path != firstRun {
			t.Errorf("%s leads to %s", path, page.Path)
		}
		page.Has(t, "heartlock onboard --force")
	}
	send(t, c, firstRun, administrator()).wants(t, http.StatusNotFound).Has(t, "heartlock onboard --force")
	if n := s.Count("users", "1 = 1"); n != 0 {
		t.Errorf("%d accounts", n)
	}
}

func TestSetupTokensOfTheFormAreThrottled(t *testing.T) {
	t.Parallel()
	s := heartlocktest.StartServer(t, heartlocktest.ServerOptions{Environ: openProduction()})
	form := open(t, s.Anonymous(), firstRun).Form(t, firstRun)
	for range 30 {
		form.Submit(t, administrator("setup_token", "wrong")).wants(t, http.StatusForbidden)
	}
	page := form.Submit(t, administrator("setup_token", s.SetupToken)).wants(t, http.StatusTooManyRequests).Has(t, "Try again in 15 minutes.")
	if page.Header.Get("Retry-After") != "900" || s.Count("users", "1 = 1") != 0 {
		t.Errorf("Retry-After: %s, %d accounts", page.Header.Get("Retry-After"), s.Count("users", "1 = 1"))
	}
	s.Exec("UPDATE throttles SET blocked_to = 1") // as if the time had passed
	form.Submit(t, administrator("setup_token", s.SetupToken)).wants(t, http.StatusOK)
}

// TestFirstRunShowsTextAsText sends marks in every field, one after the other.
func TestFirstRunShowsTextAsText(t *testing.T) {
	t.Parallel()
	s := heartlocktest.StartServer(t, heartlocktest.ServerOptions{Environ: openProduction()})
	form := open(t, s.Anonymous(), firstRun).Form(t, firstRun)
	const attack = `"><script>alert(1)</script>'{{.Me}}`
	for _, field := range []string{"setup_token", "email", "password", "first_name", "last_name", "app_url", "database_url", "encryption_key"} {
		values := administrator("database", "postgres", "key", "own")
		values.Set(field, attack)
		if page := form.Submit(t, values); strings.Contains(page.Body, "<script>alert") || page.Status < 400 {
			t.Errorf("%s: %d %s", field, page.Status, page.Body)
		}
	}
	host := s.Anonymous().Do("GET", firstRun, nil, `Host: 127.0.0.1"><script>alert(1)</script>`)
	if host.Status != http.StatusBadRequest || strings.Contains(host.Body, "<script>alert") {
		t.Errorf("a host that is markup: %d", host.Status)
	}
	if _, err := os.Stat(filepath.Join(s.Dir, config.DataDirName, config.AppConfigName)); err == nil {
		t.Error("a refused first run wrote the settings")
	}
}

// TestFirstRunWhoseBrowserHasLeft: a browser that sends the form twice ends its first
// request. What that has begun is finished, and the second one shows the key.
func TestFirstRunWhoseBrowserHasLeft(t *testing.T) {
	t.Parallel()
	s := heartlocktest.StartServer(t, heartlocktest.ServerOptions{Environ: openProduction()})
	c := s.Anonymous()
	values := open(t, c, firstRun).Form(t, firstRun).Values()
	for name, chosen := range administrator("setup_token", s.SetupToken, "database", "postgres", "database_url", heartlocktest.Postgres(t)) {
		values[name] = chosen
	}
	left, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond) // while the tables are made
	defer cancel()
	r, err := http.NewRequestWithContext(left, http.MethodPost, s.URL+firstRun, strings.NewReader(values.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if answer, err := http.DefaultClient.Do(r); err == nil {
		_ = answer.Body.Close()
	}
	page := send(t, c, firstRun, values).wants(t, http.StatusOK).Has(t, "Save the encryption key", "You are signed in as")
	saved, _, err := config.ReadAppConfig(filepath.Join(s.Dir, config.DataDirName))
	if err != nil || page.shownKey() == "" || page.shownKey() != saved.EncryptionKey.Reveal() {
		t.Errorf("the page does not show the key that was saved: %v", err)
	}
	signedIn(t, c, heartlocktest.OwnerEmail)
}
