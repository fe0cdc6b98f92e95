package client

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
)

func entry(token string) StoredToken {
	return StoredToken{Token: api.NewValue(token), SavedAt: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)}
}

func wantToken(t *testing.T, s *TokenStore, origin, want string) {
	t.Helper()
	got, ok, err := s.Get(origin)
	if err != nil {
		t.Fatal(err)
	}
	if ok != (want != "") || got.Token.Reveal() != want {
		t.Errorf("%s: got %q, want %q", origin, got.Token.Reveal(), want)
	}
}

func TestTokenStore(t *testing.T) {
	t.Parallel()
	s := NewTokenStore(filepath.Join(t.TempDir(), "a", "heartlock"))
	const one, two = "https://one.example.com", "https://two.example.com:8443"
	wantToken(t, s, one, "")
	if err := s.Delete(one); err != nil {
		t.Errorf("nothing to delete: %v", err)
	}
	for origin, token := range map[string]string{one: "hlp_1", two: "hlp_2"} {
		if err := s.Put(origin, entry(token)); err != nil {
			t.Fatal(err)
		}
	}
	wantToken(t, s, one, "hlp_1")
	if got, _, _ := s.Get(two); !got.Token.Equal(entry("hlp_2").Token) || !got.SavedAt.Equal(entry("hlp_2").SavedAt) {
		t.Errorf("got %+v", got)
	}
	if deleted, err := s.DeleteRefused(one, api.NewValue("hlp_older")); deleted || err != nil {
		t.Errorf("a token that is not the refused one was deleted (%v)", err)
	}
	wantToken(t, s, one, "hlp_1")
	if deleted, err := s.DeleteRefused(one, api.NewValue("hlp_1")); !deleted || err != nil {
		t.Errorf("the refused token was not deleted (%v)", err)
	}
	wantToken(t, s, one, "")
	wantToken(t, s, two, "hlp_2")
	if err := s.Delete(two); err != nil {
		t.Fatal(err)
	}
	wantToken(t, s, two, "")
	if w := s.Warnings(); w != nil {
		t.Errorf("warnings %q", w)
	}
}

func TestTokenStoreKeepsEveryConcurrentEntry(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var wg sync.WaitGroup
	const n = 24
	for i := range n {
		wg.Go(func() {
			s := NewTokenStore(dir)
			if err := s.Put(fmt.Sprintf("https://%d.example.com", i), entry(fmt.Sprintf("hlp_%d", i))); err != nil {
				t.Error(err)
			}
			if _, _, err := s.Get("https://0.example.com"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for i := range n {
		wantToken(t, NewTokenStore(dir), fmt.Sprintf("https://%d.example.com", i), fmt.Sprintf("hlp_%d", i))
	}
	left, err := filepath.Glob(filepath.Join(dir, ".tokens-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left over: %q %v", left, err)
	}
}

func TestTokenStoreThatIsNone(t *testing.T) {
	t.Parallel()
	for name, content := range map[string]string{
		"garbage":       "hunter2",
		"cut":           `{"version":1,"servers":{"https://a":{"token":"hunter2`,
		"newer":         `{"version":2,"servers":{}}`,
		"other fields":  `{"version":1,"servers":{},"hunter2":1}`,
		"empty":         "",
		"large":         strings.Repeat(" ", maxStoreBytes+1),
		"another shape": `[]`,
	} {
		s := NewTokenStore(t.TempDir())
		if err := os.WriteFile(s.Path(), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		_, _, err := s.Get("https://a")
		if !errors.Is(err, fault.Usage) || !strings.Contains(err.Error(), s.Path()) {
			t.Errorf("%s: %v", name, err)
		} else if strings.Contains(fault.Detail(err), "hunter2") {
			t.Errorf("%s: the error repeats the file", name)
		}
		if err := s.Put("https://a", entry("hlp_1")); !errors.Is(err, fault.Usage) {
			t.Errorf("%s: Put wrote over it (%v)", name, err)
		}
		if got, err := os.ReadFile(s.Path()); err != nil || string(got) != content {
			t.Errorf("%s: the file was changed (%v)", name, err)
		}
	}
}

func TestTokensAreNotPrinted(t *testing.T) {
	t.Parallel()
	stored := StoredToken{Token: api.NewValue("hunter2")}
	if text := fmt.Sprintf("%v %+v %#v", stored, &stored, []StoredToken{stored}); strings.Contains(text, "hunter2") {
		t.Error("fmt shows a stored token")
	}
	c := newClient(t, Options{Server: "http://localhost", Token: api.NewValue("hunter2")})
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d", "%x", "%q"} {
		if text := fmt.Sprintf(verb, c) + fmt.Sprintf(verb, *c); strings.Contains(text, "hunter2") || strings.Contains(text, "68756e746572") {
			t.Errorf("%s shows a client's token", verb)
		}
	}
}
