package web_test

import (
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/heartlock/heartlock/pkg/heartlocktest"
	"github.com/heartlock/heartlock/pkg/web"
)

var loaded = regexp.MustCompile(`(?:href|src)="([^"]+\.(?:css|js|svg))"`)

// filesOf are the addresses of the files that the sign-in page loads.
func filesOf(t *testing.T, s *heartlocktest.Server) (page heartlocktest.Answer, addresses []string) {
	t.Helper()
	page = s.Anonymous().Do("GET", "/login/", nil).Want(http.StatusOK)
	for _, match := range loaded.FindAllStringSubmatch(page.Body, -1) {
		addresses = append(addresses, match[1])
	}
	if len(addresses) < 3 {
		t.Fatalf("the page loads %q", addresses)
	}
	return page, addresses
}

func TestFilesAreKeptForEver(t *testing.T) {
	t.Parallel()
	s := heartlocktest.StartServer(t, heartlocktest.ServerOptions{})
	s.Onboard()
	_, addresses := filesOf(t, s)
	for _, address := range addresses {
		file := s.Anonymous().Do("GET", address, nil).Want(http.StatusOK)
		if got := file.Header.Get("Cache-Control"); got != "public, max-age=31536000, immutable" {
			t.Errorf("%s: Cache-Control %q", address, got)
		}
		if file.Header.Get("X-Content-Type-Options") != "nosniff" || strings.Contains(file.Header.Get("Vary"), "Cookie") {
			t.Errorf("%s: %v", address, file.Header)
		}
		if got := file.Header.Get("Cross-Origin-Resource-Policy"); got != "cross-origin" {
			t.Errorf("%s: Cross-Origin-Resource-Policy %q", address, got)
		}
		zipped := s.Anonymous().Do("GET", address, nil, "Accept-Encoding: br, gzip;q=0.5").Want(http.StatusOK)
		if zipped.Header.Get("Content-Encoding") != "gzip" && len(file.Body) > 1000 {
			t.Errorf("%s is not compressed", address)
		}
		s.Anonymous().Do("GET", address, nil, "If-None-Match: "+file.Header.Get("ETag")).Want(http.StatusNotModified)
		s.Anonymous().Do("HEAD", address, nil).Want(http.StatusOK)
		s.Anonymous().Do("POST", address, nil).Want(http.StatusMethodNotAllowed)

		// Of a server of another version beside this one: the page is not left bare, but
		// nothing keeps what may be wrong.
		parts := strings.SplitN(address, "/", 4)
		other := s.Anonymous().Do("GET", "/"+parts[1]+"/0123456789abcdef/"+parts[3], nil).Want(http.StatusOK)
		if got := other.Header.Get("Cache-Control"); got != "no-cache" {
			t.Errorf("%s of another version: Cache-Control %q", address, got)
		}
	}
	for _, path := range []string{"/static/", "/static/x", "/static/0123456789abcdef/css/10-base.css", "/static/0123456789abcdef/", "/static"} {
		s.Anonymous().Do("GET", path, nil).Want(http.StatusNotFound)
	}
}

// TestFilesFromElsewhere: pages load from STATIC_URL what collectstatic has written
// for it, and the policy of the page allows that origin and no other.
func TestFilesFromElsewhere(t *testing.T) {
	t.Parallel()
	const cdn = "https://cdn.example.com/heartlock/"
	s := heartlocktest.StartServer(t, heartlocktest.ServerOptions{Environ: []string{"STATIC_URL=" + cdn}})
	s.Onboard()
	page, addresses := filesOf(t, s)
	root := t.TempDir()
	done, err := web.CollectStatic(root)
	if err != nil || done.Written == 0 {
		t.Fatal(done, err)
	}
	for _, address := range addresses {
		name, found := strings.CutPrefix(address, cdn)
		if !found {
			t.Errorf("%s is not below %s", address, cdn)
			continue
		}
		if _, err := os.Stat(filepath.Join(root, filepath.FromSlash(name))); err != nil {
			t.Error(err)
		}
	}
	policy := page.Header.Get("Content-Security-Policy")
	for _, want := range []string{"script-src 'self' https://cdn.example.com;", "style-src 'self' https://cdn.example.com;", "connect-src 'self';"} {
		if !strings.Contains(policy, want) {
			t.Errorf("the policy lacks %s: %s", want, policy)
		}
	}
	if strings.Count(page.Body, " crossorigin") != 2 {
		t.Error("scripts of another origin are loaded without CORS, which modules need")
	}
}

// TestCollectedFilesAreForAll: a web server of another account reads them, whatever
// the umask is.
func TestCollectedFilesAreForAll(t *testing.T) {
	t.Parallel()
	root := filepath.Join(t.TempDir(), "a", "b")
	for range 2 {
		if _, err := web.CollectStatic(root); err != nil {
			t.Fatal(err)
		}
	}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		want := fs.FileMode(0o644)
		if entry.IsDir() {
			want = 0o755
		}
		if err == nil && info.Mode().Perm() != want {
			t.Errorf("%s: %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
