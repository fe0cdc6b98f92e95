package cmd

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/client"
	"github.com/heartlock/heartlock/pkg/fault"
)

// recorder is a server that answers from a table and writes down what it was
// asked: the scripts run a real one, this one shows what goes over the wire.
type recorder struct {
	*httptest.Server
	mu      sync.Mutex
	answers map[string]string // by "METHOD path": a body; "404 body" is a problem with that status
	seen    []string
}

func newRecorder(t *testing.T, answers map[string]string) *recorder {
	t.Helper()
	r := &recorder{answers: answers}
	r.Server = httptest.NewServer(r)
	t.Cleanup(r.Close)
	return r
}

func (r *recorder) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, _ := io.ReadAll(req.Body)
	r.mu.Lock()
	r.seen = append(r.seen, sorted(strings.TrimSpace(req.Method+" "+req.URL.RequestURI()+" "+string(body))))
	r.mu.Unlock()
	answer, ok := r.answers[req.Method+" "+req.URL.Path]
	if !ok {
		answer = `404 {"detail":"There is no such thing.","request_id":"req-7"}`
	}
	if before, problem, found := strings.Cut(answer, " "); found && len(before) == 3 {
		var status int
		_, _ = fmt.Sscan(before, &status)
		w.Header().Set("Content-Type", api.ProblemType)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, problem)
		return
	}
	if answer == "" {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, answer)
}

// sorted brings the names in the body of a request into one order.
func sorted(request string) string {
	i := strings.IndexByte(request, '{')
	if i < 0 {
		return request
	}
	body := jsontext.Value(request[i:])
	if err := body.Canonicalize(); err != nil {
		return request
	}
	return request[:i] + string(body)
}

// requests returns what was asked since the last call.
func (r *recorder) requests() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	seen := r.seen
	r.seen = nil
	return seen
}

const (
	serviceMe = `{"service_token":{"id":"i","name":"ci","project":"shop","environments":["production"],"access":"read","expires_at":null},"sso_enabled":false}`
	broadMe   = `{"service_token":{"id":"i","name":"ci","project":"shop","environments":["staging","production"],"access":"read","expires_at":null},"sso_enabled":false}`
	personMe  = `{"id":"i","email":"ann@example.com","first_name":"Ann","last_name":"Lee","is_superuser":false,"has_password":true,"sso_enabled":false}`
	secretA   = `{"key":"A","value":"line\r\n\u001b[31m ä\n","version":3,"comment":"","created_at":"2027-01-01T00:00:00Z","updated_at":"2027-01-01T00:00:00Z","updated_by":{"kind":"user","name":"ann@example.com"}}`
	shopProd  = "/api/v1/projects/shop/environments/production"
)

func TestGetAsksOnceIfTheEnvironmentIsConfigured(t *testing.T) {
	t.Parallel()
	server := newRecorder(t, map[string]string{"GET " + shopProd + "/secrets/A/": secretA, "GET /api/v1/auth/me/": serviceMe})
	base := []string{"HEARTLOCK_SERVER=" + server.URL, "HEARTLOCK_TOKEN=hlp_x"}
	get := "GET " + shopProd + "/secrets/A/"
	for name, c := range map[string]struct {
		environ []string
		args    []string
		file    string
		want    []string
	}{
		"flags":        {args: []string{"--project", "shop", "--environment", "production"}, want: []string{get}},
		"short flags":  {args: []string{"-p", "shop", "-e", "production"}, want: []string{get}},
		"variables":    {environ: []string{"HEARTLOCK_PROJECT=shop", "HEARTLOCK_ENVIRONMENT=production"}, want: []string{get}},
		"file":         {file: "project: shop\nenvironment: production\n", want: []string{get}},
		"nothing":      {want: []string{"GET /api/v1/auth/me/", get}},
		"project only": {args: []string{"-p", "shop"}, want: []string{"GET /api/v1/auth/me/", get}},
	} {
		s := newShell(t, append(base, c.environ...)...)
		if c.file != "" {
			writeFile(t, filepath.Join(s.cli.workDir, "heartlock.yaml"), c.file, 0o644)
		}
		got := s.run("", append([]string{"secrets", "get", "A"}, c.args...)...)
		if want := (result{0, "line\r\n\x1b[31m ä\n", ""}); got != want {
			t.Errorf("%s: %+v", name, got)
		}
		if diff := cmp.Diff(c.want, server.requests()); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestWhatATokenLeavesOpenIsAsked(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		me   string
		args []string
		want string
	}{
		"several environments": {broadMe, nil, "staging, production in shop"},
		"another project":      {serviceMe, []string{"-p", "blog"}, "Which environment?"},
		"a person":             {personMe, nil, "Which project and environment?"},
		"a person's project":   {personMe, []string{"-p", "shop"}, "Which environment?"},
	} {
		server := newRecorder(t, map[string]string{"GET /api/v1/auth/me/": c.me})
		s := newShell(t, "HEARTLOCK_SERVER="+server.URL, "HEARTLOCK_TOKEN=hlp_x")
		got := s.run("", append([]string{"secrets", "get", "A"}, c.args...)...)
		if got.code != 2 || got.stdout != "" || !strings.Contains(got.stderr, c.want) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestWhatSetSends(t *testing.T) {
	t.Parallel()
	server := newRecorder(t, map[string]string{
		"PUT " + shopProd + "/secrets/A/":       secretA,
		"POST " + shopProd + "/secrets/bulk/":   `{"revision":9,"created":["A"],"updated":["B"],"unchanged":[],"deleted":[],"dry_run":false,"warnings":["B is odd."]}`,
		"DELETE " + shopProd + "/secrets/A/":    "",
		"GET " + shopProd + "/secrets/":         `{"revision":9,"results":[` + secretA + `],"next":null}`,
		"GET " + shopProd + "/secrets/MISSING/": `404 {"detail":"There is no secret MISSING."}`,
	})
	s := newShell(t, "HEARTLOCK_SERVER="+server.URL, "HEARTLOCK_TOKEN=hlp_x", "HEARTLOCK_PROJECT=shop", "HEARTLOCK_ENVIRONMENT=production")
	writeFile(t, filepath.Join(s.cli.workDir, "value"), "from a file\r\n", 0o600)
	put, bulk := "PUT "+shopProd+"/secrets/A/ ", "POST "+shopProd+"/secrets/bulk/ "
	for _, c := range []struct {
		args  []string
		stdin string
		want  string
	}{
		{[]string{"set", "A=b=c"}, "", put + `{"value":"b=c"}`},
		{[]string{"set", "A="}, "", put + `{"value":""}`},
		{[]string{"set", "A", "b c\n"}, "", put + `{"value":"b c\n"}`},
		{[]string{"set", "A", "B=2"}, "", put + `{"value":"B=2"}`},
		{[]string{"set", "--", "A", "--x"}, "", put + `{"value":"--x"}`},
		{[]string{"set", "A", "-"}, " hunter2\n\n", put + `{"value":" hunter2\n\n"}`},
		{[]string{"set", "A", "-"}, "", put + `{"value":""}`},
		{[]string{"set", "A", "--file", "-"}, "x", put + `{"value":"x"}`},
		{[]string{"set", "A", "--file", "value"}, "", put + `{"value":"from a file\r\n"}`},
		{[]string{"set", "A=1", "--comment", "c"}, "", put + `{"value":"1","comment":"c"}`},
		{[]string{"set", "A=1", "--comment", ""}, "", put + `{"value":"1","comment":""}`},
		{[]string{"set", "A=1", "B="}, "", bulk + `{"set":{"A":"1","B":""},"dry_run":false}`},
		{[]string{"delete", "A"}, "", "DELETE " + shopProd + "/secrets/A/"},
		{[]string{"delete", "A", "B"}, "", bulk + `{"unset":["A","B"],"dry_run":false}`},
		{[]string{"list"}, "", "GET " + shopProd + "/secrets/"},
		{[]string{"list", "--show"}, "", "GET " + shopProd + "/secrets/?values=true"},
	} {
		got := s.run(c.stdin, append([]string{"secrets"}, c.args...)...)
		if got.code != 0 {
			t.Errorf("%q: %+v", c.args, got)
		}
		if strings.Contains(got.stderr, "hunter2") || c.args[0] != "list" && got.stdout != "" {
			t.Errorf("%q: prints %+v", c.args, got)
		}
		if diff := cmp.Diff([]string{sorted(c.want)}, server.requests()); diff != "" {
			t.Errorf("%q: %s", c.args, diff)
		}
	}
	for flag, want := range map[string]string{"": "Warning: B is odd.", "--quiet": ""} {
		args := []string{"secrets", "set", "A=1", "B=2"}
		if flag != "" {
			args = append(args, flag)
		}
		if got := s.run("", args...); !strings.Contains(got.stderr, want) || want == "" && got.stderr != "" {
			t.Errorf("%q: %+v", args, got)
		}
	}
	if got := s.run("", "secrets", "get", "MISSING"); got != (result{5, "", "heartlock: There is no secret MISSING.\n"}) {
		t.Errorf("%+v", got)
	}
}

func TestListHidesValuesUnlessToldNotTo(t *testing.T) {
	t.Parallel()
	hidden := strings.Replace(secretA, `"value":"line\r\n\u001b[31m ä\n",`, "", 1)
	server := newRecorder(t, map[string]string{"GET " + shopProd + "/secrets/": `{"revision":9,"results":[` + hidden + `],"next":null}`})
	s := newShell(t, "HEARTLOCK_SERVER="+server.URL, "HEARTLOCK_TOKEN=hlp_x", "HEARTLOCK_PROJECT=shop", "HEARTLOCK_ENVIRONMENT=production")
	got := s.run("", "secrets", "list")
	want := "KEY  VALUE     VERSION  UPDATED               BY               COMMENT\n" +
		"A    ********  3        2027-01-01 00:00:00Z  ann@example.com\n"
	if diff := cmp.Diff(result{0, want, ""}, got, cmp.AllowUnexported(result{})); diff != "" {
		t.Error(diff)
	}
	if got := s.run("", "secrets", "list", "--json"); got.code != 0 || strings.Contains(got.stdout, `"value"`) || !strings.HasPrefix(got.stdout, "[\n") {
		t.Errorf("%+v", got)
	}
}

func TestGetIntoAFile(t *testing.T) {
	t.Parallel()
	server := newRecorder(t, map[string]string{"GET " + shopProd + "/secrets/A/": secretA})
	s := newShell(t, "HEARTLOCK_SERVER="+server.URL, "HEARTLOCK_TOKEN=hlp_x", "HEARTLOCK_PROJECT=shop", "HEARTLOCK_ENVIRONMENT=production")
	path := filepath.Join(s.cli.workDir, "out")
	writeFile(t, path, "older and readable", 0o644)
	if got := s.run("", "secrets", "get", "A", "-o", "out"); got != (result{}) {
		t.Fatalf("%+v", got)
	}
	data, err := os.ReadFile(path)
	if err != nil || string(data) != "line\r\n\x1b[31m ä\n" {
		t.Errorf("%q, %v", data, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if got := s.run("", "secrets", "get", "A", "-o", "nowhere/out"); got.code != 2 || !strings.Contains(got.stderr, "no such file or directory") {
		t.Errorf("%+v", got)
	}
	if got := s.run("", "secrets", "get", "A", "-o", "-"); got.stdout != string(data) {
		t.Errorf("%+v", got)
	}
	if got := s.run("", "secrets", "get", "A", "--json"); !strings.Contains(got.stdout, `"value": "line\r\n\u001b[31m ä\n"`) {
		t.Errorf("%+v", got)
	}
}

func TestANewTokenIsAllThatStandardOutputHolds(t *testing.T) {
	t.Parallel()
	server := newRecorder(t, map[string]string{
		"POST /api/v1/projects/shop/tokens/": `{"id":"t1","name":"ci","prefix":"abc","environments":["production"],"access":"read","allowed_cidrs":["10.0.0.0/8"],"created_at":"2027-01-01T00:00:00Z","created_by":{"kind":"user","name":"a"},"expires_at":"2027-04-01T12:00:00Z","last_used_at":null,"exposed_at":null,"token":"hlp_new"}`,
	})
	s := newShell(t, "HEARTLOCK_SERVER="+server.URL, "HEARTLOCK_TOKEN=hlp_x", "HEARTLOCK_PROJECT=shop")
	got := s.run("", "tokens", "create", "ci", "-e", "production", "--expires", "90d", "--cidr", "10.0.0.0/8")
	if got.code != 0 || got.stdout != "hlp_new\n" || !strings.Contains(got.stderr, "may read the secrets of production in shop from 10.0.0.0/8, and expires at 2027-04-01 12:00:00Z") {
		t.Errorf("%+v", got)
	}
	want := `POST /api/v1/projects/shop/tokens/ {"name":"ci","environments":["production"],"access":"read","allowed_cidrs":["10.0.0.0/8"],"expires_at":"2027-04-01T12:00:00Z"}`
	if diff := cmp.Diff([]string{sorted(want)}, server.requests()); diff != "" {
		t.Error(diff)
	}
	if got := s.run("", "tokens", "create", "ci", "-e", "production", "--quiet"); got != (result{0, "hlp_new\n", ""}) {
		t.Errorf("%+v", got)
	}
	if got := s.run("", "tokens", "create", "ci", "-e", "production", "--json", "--quiet"); got.stderr != "" || !strings.Contains(got.stdout, `"token": "hlp_new"`) {
		t.Errorf("%+v", got)
	}
}

func TestFailuresOfTheServerBecomeExitCodes(t *testing.T) {
	t.Parallel()
	for answer, want := range map[string]result{
		`400 {"detail":"The request is not valid.","errors":[{"location":"body.name","message":"must not be empty"}]}`: {1, "", "heartlock: The request is not valid.\n  body.name: must not be empty\n"},
		`401 {"detail":"No."}`:                      {3, "", "heartlock: No.\n"},
		`403 {"detail":"No."}`:                      {4, "", "heartlock: No.\n"},
		`404 {"detail":"No."}`:                      {5, "", "heartlock: No.\n"},
		`409 {"detail":"No."}`:                      {6, "", "heartlock: No.\n"},
		`412 {"detail":"No."}`:                      {6, "", "heartlock: No.\n"},
		`429 {"detail":"No."}`:                      {7, "", "heartlock: No.\n"},
		`503 {"detail":"No.","request_id":"req-9"}`: {7, "", "heartlock: No.\n  The server's log knows more about it under the request id req-9.\n"},
	} {
		server := newRecorder(t, map[string]string{"GET /api/v1/projects/": answer})
		s := newShell(t, "HEARTLOCK_SERVER="+server.URL, "HEARTLOCK_TOKEN=hlp_x")
		if diff := cmp.Diff(want, s.run("", "projects"), cmp.AllowUnexported(result{})); diff != "" {
			t.Errorf("%s: %s", answer, diff)
		}
	}
}

func TestARefusedStoredTokenIsForgotten(t *testing.T) {
	t.Parallel()
	const other = "https://other.example.com"
	refusal := `401 {"detail":"The token is not valid."}`
	for name, c := range map[string]struct {
		answer  string
		environ []string
		args    []string
		kept    bool
	}{
		"refused by the server":     {answer: refusal},
		"accepted":                  {answer: serviceMe, kept: true},
		"forbidden":                 {answer: `403 {"detail":"No."}`, kept: true},
		"refused by a proxy":        {answer: `401 <html>`, kept: true},
		"another token was refused": {answer: refusal, environ: []string{"HEARTLOCK_TOKEN=hlp_y"}, kept: true},
		"a token of a flag":         {answer: refusal, args: []string{"--token", "hlp_y"}, kept: true},
	} {
		server := newRecorder(t, map[string]string{"GET /api/v1/auth/me/": c.answer})
		s := newShell(t, append(c.environ, "HEARTLOCK_SERVER="+server.URL)...)
		dir, _ := s.cli.userConfigDir()
		store := client.NewTokenStore(filepath.Join(dir, "heartlock"))
		for origin, token := range map[string]string{server.URL: "hlp_stored", other: "hlp_other"} {
			if err := store.Put(origin, client.StoredToken{Token: api.NewValue(token)}); err != nil {
				t.Fatal(err)
			}
		}
		got := s.run("", append([]string{"whoami"}, c.args...)...)
		if _, kept, err := store.Get(server.URL); kept != c.kept || err != nil {
			t.Errorf("%s: kept = %v (%v), %+v", name, kept, err, got)
		}
		if said := strings.Contains(got.stderr, "was removed from"); said == c.kept {
			t.Errorf("%s: %+v", name, got)
		}
		if _, kept, err := store.Get(other); !kept || err != nil {
			t.Errorf("%s: the token of another server is gone (%v)", name, err)
		}
	}
}

func TestALooseTokenStoreIsSaid(t *testing.T) {
	t.Parallel()
	server := newRecorder(t, map[string]string{"GET /api/v1/auth/me/": personMe})
	s := newShell(t, "HEARTLOCK_SERVER="+server.URL)
	dir, _ := s.cli.userConfigDir()
	store := client.NewTokenStore(filepath.Join(dir, "heartlock"))
	if err := store.Put(server.URL, client.StoredToken{Token: api.NewValue("hlp_stored")}); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(store.Path(), 0o644); err != nil {
		t.Fatal(err)
	}
	got := s.run("", "whoami")
	if got.code != 0 || !strings.Contains(got.stderr, "chmod 600") || !strings.Contains(got.stdout, "ann@example.com") {
		t.Errorf("%+v", got)
	}
}

func TestAnInterruptEndsTheCommand(t *testing.T) {
	t.Parallel()
	asked, release := make(chan struct{}), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(asked)
		<-release
	}))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(release) })
	s := newShell(t, "HEARTLOCK_SERVER="+server.URL, "HEARTLOCK_TOKEN=hlp_x")
	ctx, cancel := context.WithCancelCause(t.Context())
	s.ctx = ctx
	go func() { <-asked; cancel(interruption{2}) }()
	if got := s.run("", "whoami"); got.code != 130 {
		t.Errorf("%+v", got)
	}
}

func TestAnUnclassifiedErrorIsInternal(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	var errs strings.Builder
	s.cli.streams.Err = &errs
	if code := s.cli.report(classified(io.ErrUnexpectedEOF)); code != 1 || errs.String() != "heartlock: The command failed: unexpected EOF\n" {
		t.Errorf("%d %q", code, errs.String())
	}
	if code := s.cli.report(exitCode(42)); code != 42 {
		t.Errorf("exit code %d", code)
	}
	if err := classified(fault.NotFound); fault.KindOf(err) != fault.NotFound {
		t.Errorf("a bare kind became %v", fault.KindOf(err))
	}
}

func writeFile(t *testing.T, path, content string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
}
