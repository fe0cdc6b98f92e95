package server_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/heartlock/heartlock/pkg/heartlocktest"
	"github.com/heartlock/heartlock/pkg/rest"
)

// canaries are what must never be seen: not in a log, not in an error.
var canaries = map[string]string{
	"value":             "LEAK-value-4b1d",
	"comment":           "LEAK-comment-77ab",
	"password":          "LEAK-password-90cc",
	"SECRET_KEY":        "LEAK-secret-key-0123456789-abcdefghijklmnopqrstuvwxyz-5e2f",
	"database password": "LEAK-db-password-1f3a",
	"set-up token":      "LEAK-setup-token-6d6d",
}

// TestNothingLeaks runs every route with good and with broken requests, with
// the database there and away, in either mode, and looks for what must not be
// seen in the log at its most talkative and in every error.
func TestNothingLeaks(t *testing.T) {
	for mode, environ := range map[string][]string{"development": {"SECRET_KEY=" + canaries["SECRET_KEY"]}, "production": {
		"DEBUG=False", "SECRET_KEY=" + canaries["SECRET_KEY"], "ALLOWED_HOSTS=127.0.0.1", "SECURE_SSL_REDIRECT=False",
	}} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			postgres := heartlocktest.StartPostgres(t, heartlocktest.PostgresOptions{})
			address, err := url.Parse(postgres.URL("postgres"))
			if err != nil {
				t.Fatal(err)
			}
			address.User = url.UserPassword("postgres", canaries["database password"]) // which this server does not ask for
			key := newKey(t)
			s := heartlocktest.StartServer(t, heartlocktest.ServerOptions{DatabaseURL: address.String(), Environ: append(environ, "HEARTLOCK_ENCRYPTION_KEY="+key)})
			l := &leaks{t: t, s: s, secrets: map[string]string{"encryption key": key, "real set-up token": s.SetupToken}}
			for name, text := range canaries {
				l.secrets[name] = text
			}
			owner := s.Onboard()
			token := shop(t, owner)
			l.secrets["token"] = token.Token.Reveal()[4:]
			l.secrets["session"] = owner.Cookies["sessionid"]
			l.secrets["account's password"] = heartlocktest.Password
			owner.Call("PUT", secretPath, map[string]any{"value": canaries["value"]}).Want(200)
			callers := []*heartlocktest.Caller{owner, s.WithToken("ci", token.Token.Reveal()), s.Anonymous(), s.WithToken("bad", token.Token.Reveal()+"x")}
			l.allRoutes(callers)
			if dump := s.Dump(); strings.Contains(dump, canaries["value"]) || strings.Contains(dump, token.Token.Reveal()) || strings.Contains(dump, owner.Cookies["sessionid"]) {
				t.Error("the database holds a secret in the clear")
			}

			postgres.Stop(t)
			for _, r := range rest.Routes() {
				answer := l.call(owner, r, "{}")
				if open := r.Path == "/health/"; open {
					answer.Want(200)
				} else if answer.Status < 400 {
					t.Errorf("%s %s answered %d without a database", r.Method, r.Path, answer.Status)
				}
			}
			l.allRoutes(callers)
			away := owner.Call("GET", secretPath, nil)
			p := away.WantProblem(503)
			if away.Header.Get("Retry-After") == "" {
				t.Error("no Retry-After")
			}
			for _, inside := range []string{"postgres", "127.0.0.1", address.Port(), "dial", "SQL", "connect", "pgx"} {
				if strings.Contains(away.Body, inside) {
					t.Errorf("the answer shows %q: %s", inside, away.Body)
				}
			}
			if !s.Logs.Contains(p.RequestID) {
				t.Error("the log does not say why")
			}
			l.log()
			postgres.Start(t)
			owner.Call("GET", secretPath, nil).Want(200)
		})
	}
}

// leaks looks for secrets in what a server says.
type leaks struct {
	t       *testing.T
	s       *heartlocktest.Server
	secrets map[string]string // what it is -> the text
}

func (l *leaks) log() {
	l.t.Helper()
	log := l.s.Logs.String()
	for what, text := range l.secrets {
		if text == "" {
			continue
		}
		if at := strings.Index(log, text); at >= 0 {
			l.t.Errorf("the log holds the %s, after: %.300s", what, log[max(0, at-300):at])
		}
	}
}

func (l *leaks) call(c *heartlocktest.Caller, r rest.Route, body any) heartlocktest.Answer {
	l.t.Helper()
	path := strings.NewReplacer("{project}", "shop", "{environment}", "development", "{key}", "KEY", "{id}", "01a20c90-db09-712d-ad1f-b67fbbace0de").Replace(r.Path)
	if r.Method == "DELETE" && !strings.Contains(r.Path, "{id}") {
		path = strings.Replace(path, "shop", "none", 1) // what is there is needed further on
	}
	answer := c.Call(r.Method, path+l.query(r), body)
	if answer.Status >= 400 {
		for what, text := range l.secrets {
			if text != "" && strings.Contains(answer.Body, text) {
				l.t.Errorf("%s %s as %s: the error holds the %s", r.Method, path, c.Name, what)
			}
		}
	}
	return answer
}

func (l *leaks) query(r rest.Route) string {
	if r.Method == "GET" && strings.HasSuffix(r.Path, "/secrets/") {
		return "?values=true"
	}
	return ""
}

// allRoutes sends good and broken bodies full of secrets everywhere.
func (l *leaks) allRoutes(callers []*heartlocktest.Caller) {
	l.t.Helper()
	v, c, p, token := canaries["value"], canaries["comment"], canaries["password"], canaries["set-up token"]
	bodies := []any{
		nil,
		map[string]any{"value": v, "comment": c},
		map[string]any{"set": map[string]any{"KEY": v, "OTHER": v}},
		map[string]any{"set": map[string]any{v: c}, "unset": []string{v}},
		map[string]any{"email": p + "@example.com", "password": p},
		map[string]any{"email": heartlocktest.OwnerEmail, "password": p},
		map[string]any{"current_password": p, "new_password": p},
		map[string]any{"name": "x", "environments": []string{v}, "access": v},
		map[string]any{"name": "x", "slug": v},
		map[string]any{"name": "x", "expires_at": v},
		map[string]any{"key": v},
		map[string]any{"setup_token": token, "database_url": "postgres://u:" + p + "@127.0.0.1:1/db", "encryption_key": v, "admin": map[string]any{"email": p, "password": p}},
		map[string]any{"value": []any{v}},
		map[string]any{"value": map[string]any{v: v}},
		map[string]any{v: v},
		`{"value":"` + v, `{"value":"` + v + `"}` + v, `{"value":"` + v + "\xff" + `"}`, `"` + v + `"`, v, `{"` + v + `":`,
		`{"value":"` + v + `","value":"` + v + `"}`, `{"password":"` + p + `\ud800"}`, `{"value":"` + v + `\u0000"}`,
	}
	for _, r := range rest.Routes() {
		if r.Path == "/auth/logout/" {
			continue
		}
		for _, caller := range callers {
			for _, body := range bodies {
				if r.Method == "GET" && body != nil {
					continue
				}
				l.call(caller, r, body)
			}
			path := "/projects/shop/?token=" + l.secrets["token"] + "&password=" + p
			caller.Call("GET", path, nil)
			caller.Call("GET", "/health/?"+v, nil)
		}
	}
	l.log()
}
