package client

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
)

const testToken = "hlp_testtesttest"

// serve starts a server with one handler and returns a client for it.
func serve(t *testing.T, h http.HandlerFunc) *Client {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return newClient(t, Options{Server: server.URL})
}

func newClient(t *testing.T, o Options) *Client {
	t.Helper()
	if o.Token.Len() == 0 {
		o.Token = api.NewValue(testToken)
	}
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func answerJSON(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

func TestNewChecksTheServer(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		server string
		origin string // "" = refused
	}{
		{"https://secrets.example.com", "https://secrets.example.com"},
		{"https://Secrets.Example.COM:443/", "https://secrets.example.com"},
		{"https://secrets.example.com:8443", "https://secrets.example.com:8443"},
		{"http://localhost:8082", "http://localhost:8082"},
		{"http://127.0.0.1:80", "http://127.0.0.1"},
		{"http://[::1]:8082", "http://[::1]:8082"},
		{"http://[::1]", "http://[::1]"},
		{"", ""},
		{"secrets.example.com", ""},
		{"ftp://secrets.example.com", ""},
		{"https://", ""},
		{"https://user:hunter2@secrets.example.com", ""},
		{"https://secrets.example.com/sub", ""},
		{"https://secrets.example.com/?a=b", ""},
		{"https://secrets.example.com/#x", ""},
		{"https:secrets.example.com", ""},
		{"http://secrets.example.com", ""},    // a token over plain http
		{"http://127.0.0.1.example.com", ""},  // only looks like loopback
		{"http://localhost.example.com", ""},  //
		{"http://10.0.0.7:8082", ""},          //
		{"http://[::ffff:10.0.0.7]:8082", ""}, //
		{"http://[::ffff:127.0.0.1]:80", "http://[::ffff:127.0.0.1]"},
	} {
		got, err := New(Options{Server: c.server, Token: api.NewValue(testToken)})
		if c.origin == "" {
			if !errors.Is(err, fault.Usage) {
				t.Errorf("%q: got %v, want a usage error", c.server, err)
			} else if strings.Contains(fault.Detail(err), "hunter2") || strings.Contains(fault.Detail(err), testToken) {
				t.Errorf("%q: the error holds a secret", c.server)
			}
			continue
		}
		if err != nil {
			t.Errorf("%q: %v", c.server, err)
		} else if got.Origin() != c.origin {
			t.Errorf("%q: origin %q, want %q", c.server, got.Origin(), c.origin)
		}
	}
}

func TestPlainHTTPNeedsPermissionOnlyForAToken(t *testing.T) {
	t.Parallel()
	for _, o := range []Options{
		{Server: "http://secrets.example.com"},
		{Server: "http://secrets.example.com", Token: api.NewValue(testToken), InsecureHTTP: true},
	} {
		if _, err := New(o); err != nil {
			t.Error(err)
		}
	}
}

func TestNewRefusesATokenThatIsNone(t *testing.T) {
	t.Parallel()
	for _, token := range []string{"hlp_x\n", "hlp x", "\x00", "hlp_é"} {
		_, err := New(Options{Server: "https://secrets.example.com", Token: api.NewValue(token)})
		if !errors.Is(err, fault.Usage) {
			t.Errorf("%q: %v", token, err)
		}
	}
}

func TestWhatIsSent(t *testing.T) {
	t.Parallel()
	type seen struct{ Method, Path, Query, Body, Auth, Agent, ContentType, IfMatch, Idempotency, IfNone string }
	var got seen
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		h := r.Header
		got = seen{
			r.Method, r.URL.EscapedPath(), r.URL.RawQuery, string(body), h.Get("Authorization"), h.Get("User-Agent"),
			h.Get("Content-Type"), h.Get("If-Match"), h.Get("Idempotency-Key"), h.Get("If-None-Match"),
		}
		switch {
		case r.Method == http.MethodDelete:
			w.WriteHeader(http.StatusNoContent)
		case h.Get("If-None-Match") != "":
			w.Header().Set("ETag", h.Get("If-None-Match"))
			w.WriteHeader(http.StatusNotModified)
		default:
			answerJSON(w, http.StatusCreated, `{"key":"A_KEY","value":"v","token":"hlp_new"}`)
		}
	})
	ctx := context.Background()
	e := Environment{Project: "shop", Slug: "production"}
	v := api.NewValue("a\"<b>\n")
	const auth, agent, ct = "Bearer " + testToken, "heartlock-go", "application/json"
	const base, env = "/api/v1/", "/api/v1/projects/shop/environments/production/"
	for _, step := range []struct {
		do   func() error
		want seen
	}{
		{func() error { _, err := c.Health(ctx); return err }, seen{Method: "GET", Path: base + "health/"}},
		{func() error { _, err := c.Ready(ctx); return err }, seen{Method: "GET", Path: base + "ready/"}},
		{func() error { _, err := c.Me(ctx); return err }, seen{Method: "GET", Path: base + "auth/me/"}},
		{
			func() error {
				_, err := c.CreatePersonalToken(ctx, api.CreatePersonalToken{Name: "n"}, IdempotencyKey("k1"))
				return err
			},
			seen{Method: "POST", Path: base + "auth/tokens/", Body: `{"name":"n"}`, Idempotency: "k1"},
		},
		{func() error { return c.RevokePersonalToken(ctx, "id") }, seen{Method: "DELETE", Path: base + "auth/tokens/id/"}},
		{func() error { _, err := c.Project(ctx, "a/b?c"); return err }, seen{Method: "GET", Path: base + "projects/a%2Fb%3Fc/"}},
		{func() error { return c.DeleteProject(ctx, "shop") }, seen{Method: "DELETE", Path: base + "projects/shop/"}},
		{
			func() error { _, err := c.UpdateProject(ctx, "shop", api.UpdateProject{}); return err },
			seen{Method: "PATCH", Path: base + "projects/shop/", Body: `{}`},
		},
		{func() error { _, err := c.Environment(ctx, e); return err }, seen{Method: "GET", Path: env}},
		{func() error { return c.DeleteEnvironment(ctx, e) }, seen{Method: "DELETE", Path: env}},
		{func() error { _, err := c.Secret(ctx, e, "A_KEY"); return err }, seen{Method: "GET", Path: env + "secrets/A_KEY/"}},
		{
			func() error {
				_, created, err := c.PutSecret(ctx, e, "A_KEY", api.PutSecret{Value: &v}, IfMatch(`"7"`))
				if !created {
					t.Error("201 is not reported as created")
				}
				return err
			},
			seen{Method: "PUT", Path: env + "secrets/A_KEY/", Body: `{"value":"a\"<b>\n"}`, IfMatch: `"7"`},
		},
		{
			func() error { return c.DeleteSecret(ctx, e, "A_KEY", IfMatch("")) },
			seen{Method: "DELETE", Path: env + "secrets/A_KEY/"},
		},
		{
			func() error {
				_, err := c.BulkSecrets(ctx, e, api.BulkRequest{Set: map[string]api.Value{"K": v}, Unset: []string{"L"}})
				return err
			},
			seen{Method: "POST", Path: env + "secrets/bulk/", Body: `{"set":{"K":"a\"<b>\n"},"unset":["L"],"dry_run":false}`},
		},
		{
			func() error { _, err := c.Secrets(ctx, e, ListSecrets{Values: true}); return err },
			seen{Method: "GET", Path: env + "secrets/", Query: "values=true"},
		},
		{
			func() error {
				s, err := c.Secrets(ctx, e, ListSecrets{IfNoneMatch: `"9"`})
				if !s.NotModified || s.ETag != `"9"` {
					t.Errorf("304: %+v", s)
				}
				return err
			},
			seen{Method: "GET", Path: env + "secrets/", IfNone: `"9"`},
		},
		{
			func() error {
				_, err := c.Secrets(ctx, e, ListSecrets{Values: true, Revision: new(int64)})
				return err
			},
			seen{Method: "GET", Path: env + "secrets/", Query: "revision=0&values=true"},
		},
		{
			func() error {
				at := time.Date(2027, 1, 31, 13, 0, 0, 5000, time.FixedZone("", 3600))
				_, err := c.Secrets(ctx, e, ListSecrets{At: &at})
				return err
			},
			seen{Method: "GET", Path: env + "secrets/", Query: "at=2027-01-31T12%3A00%3A00.000005Z"},
		},
		{func() error { _, err := c.DeletedSecrets(ctx, e); return err }, seen{Method: "GET", Path: env + "secrets/", Query: "deleted=true"}},
		{
			func() error { _, err := c.RollBackSecret(ctx, e, "A_KEY", 3, IfMatch(`"v4"`)); return err },
			seen{Method: "POST", Path: env + "secrets/A_KEY/rollback/", Body: `{"version":3}`, IfMatch: `"v4"`},
		},
		{
			func() error {
				_, err := c.RestoreEnvironment(ctx, e, api.RestoreRequest{Revision: new(int64), DryRun: true}, IfMatch(`"7"`))
				return err
			},
			seen{Method: "POST", Path: env + "restore/", Body: `{"revision":0,"dry_run":true}`, IfMatch: `"7"`},
		},
		{func() error { _, err := Collect(c.SecretVersions(ctx, e, "A_KEY")); return err }, seen{Method: "GET", Path: env + "secrets/A_KEY/versions/", Query: "limit=1000"}},
		{func() error { _, err := Collect(c.Revisions(ctx, e)); return err }, seen{Method: "GET", Path: env + "revisions/"}},
		{func() error { return c.RevokeServiceToken(ctx, "shop", "id") }, seen{Method: "DELETE", Path: base + "projects/shop/tokens/id/"}},
	} {
		got = seen{}
		if err := step.do(); err != nil {
			t.Errorf("%s %s: %v", step.want.Method, step.want.Path, fault.Detail(err))
		}
		step.want.Auth, step.want.Agent = auth, agent
		if step.want.Body != "" {
			step.want.ContentType = ct
		}
		if diff := cmp.Diff(step.want, got); diff != "" {
			t.Error(diff)
		}
	}
}

func TestNamesThatWouldChangeTheEndpoint(t *testing.T) {
	t.Parallel()
	c := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("a request was sent") })
	ctx := context.Background()
	for _, name := range []string{"", ".", ".."} {
		if _, err := c.Project(ctx, name); !errors.Is(err, fault.Invalid) {
			t.Errorf("project %q: %v", name, err)
		}
		if err := c.DeleteEnvironment(ctx, Environment{"shop", name}); !errors.Is(err, fault.Invalid) {
			t.Errorf("environment %q: %v", name, err)
		}
	}
	for _, key := range []string{"", "..", "a/b", "1A", "hunter2 is my password", "É"} {
		_, err := c.Secret(ctx, Environment{"shop", "production"}, key)
		if !errors.Is(err, fault.Invalid) {
			t.Errorf("key %q: %v", key, err)
		} else if key != "" && strings.Contains(err.Error(), "hunter2") {
			t.Error("the error repeats what stood in place of the key")
		}
	}
}

func TestPages(t *testing.T) {
	t.Parallel()
	requests := 0
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		requests++
		switch cursor := r.URL.Query().Get("cursor"); cursor {
		case "":
			answerJSON(w, 200, `{"results":[{"slug":"a"},{"slug":"b"}],"next":"c1"}`)
		case "c1":
			answerJSON(w, 200, `{"results":[{"slug":"c"}],"next":null}`)
		default:
			t.Errorf("cursor %q", cursor)
		}
	})
	projects, err := Collect(c.Projects(context.Background()))
	if err != nil {
		t.Fatal(err)
	}
	var slugs []string
	for _, p := range projects {
		slugs = append(slugs, p.Slug)
	}
	if diff := cmp.Diff([]string{"a", "b", "c"}, slugs); diff != "" {
		t.Error(diff)
	}
	requests = 0
	for _, err := range c.Projects(context.Background()) {
		if err != nil {
			t.Error(err)
		}
		break
	}
	if requests != 1 {
		t.Errorf("a list that was left after one item cost %d requests", requests)
	}
}

func TestPagesEndAtAnErrorAndAtALoop(t *testing.T) {
	t.Parallel()
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		answerJSON(w, 200, `{"results":[{"slug":"a"}],"next":"same"}`)
	})
	if _, err := Collect(c.Projects(context.Background())); !errors.Is(err, fault.Unavailable) {
		t.Errorf("a list without end: %v", err)
	}
	c = serve(t, func(w http.ResponseWriter, r *http.Request) {
		answerProblem(w, 403, `{"detail":"No."}`)
	})
	if _, err := Collect(c.Audit(context.Background(), "shop", AuditFilter{})); !errors.Is(err, fault.Forbidden) {
		t.Errorf("error of a page: %v", err)
	}
}

func TestAuditFilter(t *testing.T) {
	t.Parallel()
	var query string
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		query = r.URL.RawQuery
		answerJSON(w, 200, `{"results":[],"next":null}`)
	})
	at := time.Date(2027, 1, 2, 3, 4, 5, 0, time.FixedZone("", 3600))
	if _, err := Collect(c.Audit(context.Background(), "shop", AuditFilter{Action: "secret.read", From: at})); err != nil {
		t.Fatal(err)
	}
	if want := "action=secret.read&from=2027-01-02T02%3A04%3A05Z&limit=1000"; query != want {
		t.Errorf("query %q, want %q", query, want)
	}
}

func TestAMissingValueIsNoEmptyValue(t *testing.T) {
	t.Parallel()
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/secrets/") {
			answerJSON(w, 200, `{"revision":1,"results":[{"key":"K"}],"next":null}`)
			return
		}
		answerJSON(w, 200, `{"key":"K","version":1}`)
	})
	e := Environment{"shop", "production"}
	if _, err := c.Secret(context.Background(), e, "K"); !errors.Is(err, fault.Unavailable) {
		t.Errorf("Secret: %v", err)
	}
	if _, err := c.Secrets(context.Background(), e, ListSecrets{Values: true}); !errors.Is(err, fault.Unavailable) {
		t.Errorf("Secrets: %v", err)
	}
}
