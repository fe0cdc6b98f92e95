//go:build unix

package soak

import (
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/heartlock/heartlock/pkg/keyring"
)

// canary stands in what is secret; it must never be printed.
const canary = "CANARY-73e1c8d2f0"

func (s *site) data(name string) string { return filepath.Join(s.dir, "heartlock_data", name) }

func (s *site) read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(s.data(name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// withData is a site that was set up and holds a secret.
func withData(t *testing.T, environ ...string) *site {
	t.Helper()
	s := newSite(t, environ...)
	owner := s.onboard(t)
	v := s.serve(t)
	token := v.shop(t, owner)
	s.environ = append(s.environ, "HEARTLOCK_SERVER="+v.url, "HEARTLOCK_TOKEN="+token.Reveal())
	s.mustRun(t, canary, "secrets", "set", "KEY", "-")
	v.stop(t)
	s.environ = environ
	return s
}

// refuses starts a server, which must end with exit code 2 and say these things,
// and none of those that are secret.
func (s *site) refuses(t *testing.T, says, secret []string) {
	t.Helper()
	e := s.run(t, "", "serve", "--listen", "127.0.0.1:0")
	if e.code != 2 {
		t.Errorf("exit code %d, want 2\n%s", e.code, e.err)
	}
	for _, text := range says {
		if !strings.Contains(e.err, text) {
			t.Errorf("nothing is said of %s:\n%s", text, e.err)
		}
	}
	for _, text := range append(secret, canary) {
		if text != "" && strings.Contains(e.out+e.err, text) {
			t.Errorf("something secret is printed")
		}
	}
}

func TestAServerStartsWithItsKeyOnly(t *testing.T) {
	t.Parallel()
	s := withData(t)
	key := strings.TrimSpace(s.read(t, "secret.key"))
	parsed, err := keyring.ParseKey(key)
	if err != nil {
		t.Fatal(err)
	}
	other := keyring.Generate()
	before := s.read(t, "db.sqlite3")

	s.environ = []string{"HEARTLOCK_ENCRYPTION_KEY=" + other.Encode()}
	s.refuses(t, []string{"HEARTLOCK_ENCRYPTION_KEY", parsed.Fingerprint(), other.Fingerprint()}, []string{key, other.Encode()})
	s.environ = []string{"HEARTLOCK_ENCRYPTION_KEY=" + other.Encode()[:40]}
	s.refuses(t, []string{"HEARTLOCK_ENCRYPTION_KEY"}, []string{other.Encode()[:20]})

	s.environ = nil
	if err := os.Remove(s.data("secret.key")); err != nil {
		t.Fatal(err)
	}
	s.refuses(t, []string{"HEARTLOCK_ENCRYPTION_KEY", parsed.Fingerprint()}, []string{key})
	if _, err := os.Stat(s.data("secret.key")); err == nil {
		t.Error("a new key was made over existing data")
	}
	if s.read(t, "db.sqlite3") != before {
		t.Error("the database has changed")
	}
	s.environ = []string{"HEARTLOCK_ENCRYPTION_KEY=" + key}
	s.serve(t).stop(t)
}

func TestAServerRefusesAProductionThatIsNone(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ environ, says, secret []string }{
		"no SECRET_KEY":      {[]string{"DEBUG=False", "ALLOWED_HOSTS=x.example"}, []string{"SECRET_KEY"}, nil},
		"empty SECRET_KEY":   {[]string{"DEBUG=False", "ALLOWED_HOSTS=x.example", "SECRET_KEY="}, []string{"SECRET_KEY"}, nil},
		"short SECRET_KEY":   {[]string{"DEBUG=False", "ALLOWED_HOSTS=x.example", "SECRET_KEY=" + canary}, []string{"SECRET_KEY"}, nil},
		"an example's":       {[]string{"DEBUG=False", "ALLOWED_HOSTS=x.example", "SECRET_KEY=django-insecure-" + strings.Repeat(canary, 4)}, []string{"SECRET_KEY"}, nil},
		"no Boolean":         {[]string{"DEBUG=maybe"}, []string{"DEBUG"}, nil},
		"no database":        {[]string{"DATABASE_URL=oracle://u:" + canary + "@host/db"}, []string{"DATABASE_URL"}, nil},
		"all at once":        {[]string{"DEBUG=maybe", "DATABASE_URL=x", "HEARTLOCK_ENCRYPTION_KEY=" + canary}, []string{"DEBUG", "DATABASE_URL", "HEARTLOCK_ENCRYPTION_KEY"}, nil},
		"a key of all zeros": {[]string{"HEARTLOCK_ENCRYPTION_KEY=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}, []string{"HEARTLOCK_ENCRYPTION_KEY"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, c.environ...)
			s.refuses(t, c.says, c.secret)
			if left, _ := filepath.Glob(s.data("*")); len(left) > 0 {
				t.Errorf("it leaves %v", left)
			}
		})
	}
}

func TestAServerReadsItsSettingsOrNothing(t *testing.T) {
	t.Parallel()
	for name, put := range map[string]func(t *testing.T, s *site){
		"not JSON":     func(t *testing.T, s *site) { s.put(t, "appconfig.json", `{"encryption_key": "`+canary, 0o600) },
		"another type": func(t *testing.T, s *site) { s.put(t, "appconfig.json", `{"encryption_key": ["`+canary+`"]}`, 0o600) },
		"not for us":   func(t *testing.T, s *site) { s.put(t, "appconfig.json", `{}`, 0o000) },
		"a folder": func(t *testing.T, s *site) {
			if err := os.Mkdir(s.data("appconfig.json"), 0o700); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t).unprivileged(t)
			if err := os.Mkdir(s.data(""), 0o755); err != nil {
				t.Fatal(err)
			}
			put(t, s)
			s.refuses(t, []string{"appconfig.json"}, nil)
		})
	}
}

func (s *site) put(t *testing.T, name, text string, mode fs.FileMode) {
	t.Helper()
	if err := os.WriteFile(s.data(name), []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if s.credential != nil && mode != 0 {
		if err := os.Chown(s.data(name), int(s.credential.Uid), int(s.credential.Gid)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestAServerNeedsItsDirectory: what can not be written is named, with the user
// who can not.
func TestAServerNeedsItsDirectory(t *testing.T) {
	t.Parallel()
	s := newSite(t).unprivileged(t)
	if err := os.Chmod(s.dir, 0o555); err != nil {
		t.Fatal(err)
	}
	uid := os.Geteuid()
	if s.credential != nil {
		uid = int(s.credential.Uid)
	}
	s.refuses(t, []string{s.data(""), "id " + strconv.Itoa(uid)}, nil)
	if left, err := os.ReadDir(s.dir); err != nil || len(left) > 0 {
		t.Errorf("it leaves %v, %v", left, err)
	}
}

// TestNobodyElseCanReadTheData looks at the mode of everything that is made
// under a umask that takes nothing away.
func TestNobodyElseCanReadTheData(t *testing.T) {
	t.Parallel()
	for name, environ := range map[string][]string{
		"development": nil,
		"production":  {"DEBUG=False", "ALLOWED_HOSTS=localhost,127.0.0.1", "SECRET_KEY=Zk3w9Q-unguessable-0f81bd7a2c-production-secret-key-of-tests"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, environ...)
			s.umask = "000"
			first := s.serve(t) // before it is set up: makes the set-up token
			s.private(t)
			first.stop(t)
			s.onboard(t)
			s.private(t)
			v := s.serve(t)
			if name == "development" {
				v.shop(t, s.ownToken(t))
			}
			s.private(t) // with the files that are there only while it runs
			v.stop(t)
			s.private(t)
		})
	}
}

// private fails the test if anything below the data directory, or the client's
// own, is for others than its owner.
func (s *site) private(t *testing.T) {
	t.Helper()
	for _, top := range []string{s.data(""), filepath.Join(s.home, "heartlock")} {
		seen := 0
		err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			seen++
			info, err := d.Info()
			if err == nil && info.Mode().Perm()&0o077 != 0 {
				t.Errorf("%s has the mode %v", path, info.Mode())
			}
			return err
		})
		if err != nil && !os.IsNotExist(err) {
			t.Error(err)
		}
		if top == s.data("") && seen < 2 {
			t.Errorf("there is nothing in %s", top)
		}
	}
}
