package cmd

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/interchange"
)

const (
	shopEnvironment = `{"id":"e","slug":"production","name":"Production","position":0,"protected":false,"revision":7,"secret_count":0,"created_at":"2027-01-01T00:00:00Z","updated_at":"2027-01-01T00:00:00Z"}`
	bulkAnswer      = `{"revision":7,"created":["A"],"updated":[],"unchanged":[],"deleted":[],"dry_run":true}`
)

// TestImportWritesOnlyToWhatThePlanWasMadeOf: the write depends on the revision
// of the dry run, and says so when somebody else was quicker.
func TestImportWritesOnlyToWhatThePlanWasMadeOf(t *testing.T) {
	t.Parallel()
	var conditions []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		switch {
		case r.Method == http.MethodGet:
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, shopEnvironment)
		case bytes.Contains(body, []byte(`"dry_run":true`)):
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, bulkAnswer)
		default:
			conditions = append(conditions, r.Header.Get("If-Match"))
			w.Header().Set("Content-Type", api.ProblemType)
			w.WriteHeader(http.StatusPreconditionFailed)
			_, _ = io.WriteString(w, `{"detail":"It has changed."}`)
		}
	}))
	t.Cleanup(server.Close)
	s := newShell(t, "HEARTLOCK_SERVER="+server.URL, "HEARTLOCK_TOKEN=hlp_x", "HEARTLOCK_PROJECT=shop", "HEARTLOCK_ENVIRONMENT=production")
	got := s.run("A=hunter2\n", "import", "dotenv", "-", "--yes")
	if got.code != 6 || !strings.Contains(got.stderr, "changed by somebody else") || strings.Contains(got.stderr, "hunter2") {
		t.Errorf("%+v", got)
	}
	if diff := cmp.Diff([]string{`"7"`}, conditions); diff != "" {
		t.Errorf("conditions (-want +got):\n%s", diff)
	}
}

// TestImportSendsNothingOfABadFile: it is checked before the first request.
func TestImportSendsNothingOfABadFile(t *testing.T) {
	t.Parallel()
	server := newRecorder(t, nil)
	s := newShell(t, "HEARTLOCK_SERVER="+server.URL, "HEARTLOCK_TOKEN=hlp_x", "HEARTLOCK_PROJECT=shop", "HEARTLOCK_ENVIRONMENT=production")
	got := s.run("A=1\nhunter2\n", "import", "dotenv", "-", "--yes")
	if got.code != 1 || !strings.Contains(got.stderr, "line 2") || strings.Contains(got.stderr, "hunter2") {
		t.Errorf("%+v", got)
	}
	if sent := server.requests(); len(sent) > 0 {
		t.Errorf("sent %q", sent)
	}
	if got := s.run("hlp_x", "import", "dotenv", "-", "--token-file", "-"); got.code != 2 {
		t.Errorf("token and secrets from one standard input: %+v", got)
	}
}

// TestBulkRequestsFit: nothing is lost, and each request is within both bounds
// of the server, also where JSON makes six bytes of one.
func TestBulkRequestsFit(t *testing.T) {
	t.Parallel()
	comment := strings.Repeat("ü", 1000)
	var secrets []interchange.Secret
	for i := range 2500 {
		s := interchange.Secret{Key: fmt.Sprintf("K%d", i), Value: api.NewValue("x")}
		switch {
		case i%100 == 0:
			s.Value = api.NewValue(strings.Repeat("\x01", api.MaxValueBytes))
		case i%3 == 0:
			s.Comment = &comment
		}
		secrets = append(secrets, s)
	}
	seen, comments := map[string]bool{}, 0
	for _, r := range bulkRequests(secrets) {
		var b bytes.Buffer
		if err := api.Encode(&b, r); err != nil {
			t.Fatal(err)
		}
		if b.Len() > 1<<20 || len(r.Set) > api.MaxSecretsPerBulk || len(r.Set) == 0 {
			t.Errorf("a request with %d secrets and %d bytes", len(r.Set), b.Len())
		}
		for key := range r.Set {
			if seen[key] {
				t.Errorf("%s is sent twice", key)
			}
			seen[key] = true
		}
		comments += len(r.Comments)
	}
	if len(seen) != len(secrets) || comments == 0 {
		t.Errorf("%d of %d secrets are sent, with %d comments", len(seen), len(secrets), comments)
	}
	var small []interchange.Secret
	for i := range 2*api.MaxSecretsPerBulk + 1 {
		small = append(small, interchange.Secret{Key: fmt.Sprintf("K%d", i), Value: api.NewValue("x")})
	}
	for count, want := range map[int]int{0: 0, 1: 1, api.MaxSecretsPerBulk: 1, api.MaxSecretsPerBulk + 1: 2, len(small): 3} {
		if n := len(bulkRequests(small[:count])); n != want {
			t.Errorf("%d requests for %d small secrets, want %d", n, count, want)
		}
	}
}

// TestExportTakesNoNameOnTrust: what a server answers becomes names of files and
// commands of a shell.
func TestExportTakesNoNameOnTrust(t *testing.T) {
	t.Parallel()
	list := func(key string) string {
		return `{"revision":1,"results":[` + strings.Replace(secretA, `"key":"A"`, `"key":"`+key+`"`, 1) + `],"next":null}`
	}
	project := `{"id":"p","slug":"shop","name":"Shop","description":"","created_at":"2027-01-01T00:00:00Z","updated_at":"2027-01-01T00:00:00Z"}`
	for name, answers := range map[string]map[string]string{
		"a command": {"GET " + shopProd + "/": shopEnvironment, "GET " + shopProd + "/secrets/": list("A=1; touch pwn; B")},
		"a path":    {"GET " + shopProd + "/": strings.Replace(shopEnvironment, "production", "../evil", 1), "GET " + shopProd + "/secrets/": list("A")},
	} {
		answers["GET /api/v1/projects/shop/"] = project
		server := newRecorder(t, answers)
		s := newShell(t, "HEARTLOCK_SERVER="+server.URL, "HEARTLOCK_TOKEN=hlp_x", "HEARTLOCK_PROJECT=shop", "HEARTLOCK_ENVIRONMENT=production")
		got := s.run("", "export", "--format", "shell", "-o", "out/")
		if got.code != 7 || got.stdout != "" || !strings.Contains(got.stderr, "a name that can not be one") {
			t.Errorf("%s: %+v", name, got)
		}
		left, err := filepath.Glob(filepath.Join(s.cli.workDir, "*"))
		if _, statErr := os.Stat(filepath.Join(s.cli.workDir, "evil.sh")); err != nil || len(left) > 0 || statErr == nil {
			t.Errorf("%s: it wrote %q", name, left)
		}
	}
}
