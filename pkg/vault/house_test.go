package vault_test

import (
	"database/sql"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/heartlocktest"
	"github.com/heartlock/heartlock/pkg/keyring"
	"github.com/heartlock/heartlock/pkg/store"
	"github.com/heartlock/heartlock/pkg/vault"
)

const password = "a good long passphrase"

// house is a vault over a database of its own, set up, with the project shop of
// the administrator ann@example.com.
type house struct {
	*vault.Vault
	place
	ann vault.Principal // by session
}

// place is a database and a vault's way to open it.
type place struct {
	options store.Options
	store   *store.Store
	sql     *sql.DB // beside the store, for what no operation does
	ring    *keyring.Ring
	now     func() time.Time

	retention vault.Retention
	auditAge  time.Duration
	keyEntry  vault.KeyEntry

	factorDemand vault.SecondFactorDemand
}

// eachPlace runs test with an empty, migrated database on either engine.
func eachPlace(t *testing.T, test func(t *testing.T, p place)) {
	t.Helper()
	for _, engine := range []store.Engine{store.SQLite, store.PostgreSQL} {
		t.Run(engine.String(), func(t *testing.T) {
			t.Parallel()
			p := place{options: store.Options{Engine: engine, ConnMaxAge: -1}, ring: ring(t, keyring.Generate())}
			if engine == store.PostgreSQL {
				p.options.DSN = heartlocktest.Postgres(t)
			} else {
				p.options.Path = filepath.Join(t.TempDir(), "data", "db.sqlite3")
			}
			p.open(t)
			if _, err := p.store.Migrate(t.Context()); err != nil {
				t.Fatal(err)
			}
			test(t, p)
		})
	}
}

// eachHouse runs test in a house of its own on either engine.
func eachHouse(t *testing.T, test func(t *testing.T, h *house)) {
	t.Helper()
	eachPlace(t, func(t *testing.T, p place) { test(t, p.house(t)) })
}

func ring(t *testing.T, seal keyring.Key, older ...keyring.Key) *keyring.Ring {
	t.Helper()
	r, err := keyring.NewRing(seal, older...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (p *place) open(t *testing.T) {
	t.Helper()
	p.store = must(store.Open(t.Context(), p.options))
	driver, source := "pgx", p.options.DSN
	if p.options.Engine == store.SQLite {
		driver, source = "sqlite", "file:"+p.options.Path+"?_pragma=busy_timeout(10000)"
	}
	p.sql = must(sql.Open(driver, source))
	p.sql.SetMaxOpenConns(1)
	s, db := p.store, p.sql
	t.Cleanup(func() {
		if err := errors.Join(db.Close(), s.Close()); err != nil {
			t.Error(err)
		}
	})
}

// vault makes a vault with this ring, which may be nil.
func (p *place) vault(t *testing.T, r *keyring.Ring) (*vault.Vault, error) {
	t.Helper()
	recorder := store.NewRecorder(p.store)
	t.Cleanup(recorder.Close)
	return vault.New(t.Context(), vault.Options{
		Store: p.store, Recorder: recorder, Ring: r, SessionKeys: [][]byte{[]byte("a session key")}, Now: p.now, Retention: p.retention, AuditAge: p.auditAge, KeyEntry: p.keyEntry, SecondFactor: p.factorDemand,
	})
}

func (p *place) house(t *testing.T) *house {
	t.Helper()
	h := &house{place: *p}
	h.Vault = must(h.vault(t, p.ring))
	must(h.Onboard(t.Context(), vault.Anonymous(request()), admin("ann@example.com"), func() error { return nil }))
	h.ann = h.signIn(t, "ann@example.com", password)
	must(h.CreateProject(t.Context(), h.ann, api.CreateProject{Name: "Shop"}))
	return h
}

func request() vault.Request {
	return vault.Request{ID: "REQUEST", IP: netip.MustParseAddr("192.0.2.1"), UserAgent: "test"}
}

func admin(email string) api.NewAdmin {
	return api.NewAdmin{Email: email, Password: api.NewValue(password), FirstName: "Ann"}
}

func (h *house) signIn(t *testing.T, email, password string) vault.Principal {
	t.Helper()
	_, token, err := h.Login(t.Context(), vault.Anonymous(request()), api.LoginRequest{Email: email, Password: api.NewValue(password)})
	return must(h.IdentifySession(t.Context(), must(token, err).Reveal(), request()))
}

// service is a caller by a new service token of shop.
func (h *house) service(t *testing.T, access api.Access, environments ...string) vault.Principal {
	t.Helper()
	token := must(h.CreateServiceToken(t.Context(), h.ann, "shop", api.CreateServiceToken{Name: "ci", Environments: environments, Access: access}))
	return must(h.IdentifyToken(t.Context(), token.Token.Reveal(), request()))
}

var development = vault.EnvironmentRef{Project: "shop", Environment: "development"}

func in(e vault.EnvironmentRef, key string) vault.SecretRef {
	return vault.SecretRef{EnvironmentRef: e, Key: key}
}

func (h *house) put(t *testing.T, key, value string) {
	t.Helper()
	v := api.NewValue(value)
	if _, _, err := h.PutSecret(t.Context(), h.ann, in(development, key), api.PutSecret{Value: &v}, vault.Match{}); err != nil {
		t.Fatal(fault.Detail(err))
	}
}

func (h *house) get(t *testing.T, key string) string {
	t.Helper()
	s, err := h.Secret(t.Context(), h.ann, in(development, key))
	if err != nil {
		t.Errorf("%s: %v", key, fault.Detail(err))
		return ""
	}
	return s.Value.Reveal()
}

// exec runs statements beside the vault; ? are the arguments.
func (p *place) exec(t *testing.T, statement string, args ...any) {
	t.Helper()
	if p.options.Engine == store.PostgreSQL {
		for i := range args {
			statement = strings.Replace(statement, "?", fmt.Sprintf("$%d", i+1), 1)
		}
	}
	if _, err := p.sql.ExecContext(t.Context(), statement, args...); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

func (p *place) count(t *testing.T, table string) (n int) {
	t.Helper()
	if err := p.sql.QueryRowContext(t.Context(), "SELECT count(*) FROM "+table).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// dump is every row of every table as text, but for what reading changes.
func (p *place) dump(t *testing.T) string {
	t.Helper()
	var out strings.Builder
	for _, table := range []string{
		"instance", "encryption_keys", "users", "sessions", "projects", "memberships", "environments", "secrets",
		"secret_versions", "tokens", "token_environments", "audit_events", "idempotency_keys",
	} {
		rows := must(p.sql.QueryContext(t.Context(), "SELECT * FROM "+table+" ORDER BY 1, 2"))
		columns := must(rows.Columns())
		for rows.Next() {
			values, targets := make([]any, len(columns)), make([]any, len(columns))
			for i := range values {
				targets[i] = &values[i]
			}
			if err := rows.Scan(targets...); err != nil {
				t.Fatal(err)
			}
			fmt.Fprintln(&out, table, values)
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			t.Fatal(err)
		}
	}
	return out.String()
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(fault.Detail(err))
	}
	return value
}

func equal(t *testing.T, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func isKind(t *testing.T, what string, err error, kind fault.Kind) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Errorf("%s: %v, want %q", what, err, kind.Error())
	}
}
