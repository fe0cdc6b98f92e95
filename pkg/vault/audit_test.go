package vault_test

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/store"
	"github.com/heartlock/heartlock/pkg/vault"
)

// failAudit makes every append to the audit trail fail in the database.
func (p *place) failAudit(t *testing.T) {
	t.Helper()
	if p.options.Engine == store.SQLite {
		p.exec(t, "CREATE TRIGGER no_audit BEFORE INSERT ON audit_events BEGIN SELECT RAISE(ABORT, 'no audit'); END")
		return
	}
	p.exec(t, "CREATE FUNCTION no_audit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no audit'; END $$")
	p.exec(t, "CREATE TRIGGER no_audit BEFORE INSERT ON audit_events FOR EACH ROW EXECUTE FUNCTION no_audit()")
}

// TestNothingHappensUnaudited runs every operation that is audited while the
// trail can not be written: none may succeed or change anything, so that a token
// that it has made is worth nothing, and none that reads may return a value.
func TestNothingHappensUnaudited(t *testing.T) {
	t.Parallel()
	eachPlace(t, func(t *testing.T, p place) {
		p.retention = vault.Retention{Versions: 1}
		h := p.house(t)
		h.put(t, "A", "the first value")
		h.put(t, "A", "a former value")
		h.put(t, "A", "a value")
		must(h.CreateEnvironment(t.Context(), h.ann, "shop", api.CreateEnvironment{Name: "Spare"}))
		own := must(h.CreateOwnToken(t.Context(), h.ann, api.CreatePersonalToken{Name: "laptop"}))
		machine := must(h.CreateServiceToken(t.Context(), h.ann, "shop", api.CreateServiceToken{Name: "ci", Environments: []string{"development"}, Access: api.AccessRead}))
		h.failAudit(t)
		before := h.dump(t)
		value, name, anonymous := api.NewValue("x"), "N", vault.Anonymous(request())
		for what, do := range map[string]func(context.Context) (any, error){
			"read": func(ctx context.Context) (any, error) {
				s, err := h.Secret(ctx, h.ann, in(development, "A"))
				return s.Value, err
			},
			"read all": func(ctx context.Context) (any, error) {
				l, err := h.SecretsWithValues(ctx, h.ann, development)
				return l.Results, err
			},
			"read version": func(ctx context.Context) (any, error) {
				s, err := h.SecretVersion(ctx, h.ann, in(development, "A"), 1)
				return s.Value, err
			},
			"read the past": func(ctx context.Context) (any, error) {
				l, err := h.SecretsAt(ctx, h.ann, development, vault.Moment{Revision: ptr(int64(1))}, true)
				return l.Results, err
			},
			"roll back": func(ctx context.Context) (any, error) {
				s, err := h.RollBack(ctx, h.ann, in(development, "A"), api.RollbackRequest{Version: 1}, vault.Match{})
				return s.Value, err
			},
			"restore": func(ctx context.Context) (any, error) {
				_, err := h.Restore(ctx, h.ann, development, api.RestoreRequest{Revision: ptr(int64(1))}, vault.Match{})
				return nil, err
			},
			"compare with the past": func(ctx context.Context) (any, error) {
				_, err := h.Restore(ctx, h.ann, development, api.RestoreRequest{Revision: ptr(int64(1)), DryRun: true}, vault.Match{})
				return nil, err
			},
			"matrix": func(ctx context.Context) (any, error) {
				m, err := h.Matrix(ctx, h.ann, "shop")
				return m.Rows, err
			},
			"compare": func(ctx context.Context) (any, error) {
				c, err := h.Compare(ctx, h.ann, "shop", "development", "staging", false)
				return c.OnlyA, err
			},
			"compare values": func(ctx context.Context) (any, error) {
				c, err := h.Compare(ctx, h.ann, "shop", "development", "staging", true)
				return c.OnlyA, err
			},
			"promote": func(ctx context.Context) (any, error) {
				r, err := h.Promote(ctx, h.ann, staging, api.PromoteRequest{From: "development"}, vault.Match{})
				return r.Created, err
			},
			"try to promote": func(ctx context.Context) (any, error) {
				r, err := h.Promote(ctx, h.ann, staging, api.PromoteRequest{From: "development", DryRun: true}, vault.Match{})
				return r.Created, err
			},
			"export": func(ctx context.Context) (any, error) {
				e, err := h.Export(ctx, h.ann, development, api.FormatJSON)
				return e, err
			},
			"import": func(ctx context.Context) (any, error) {
				r, err := h.Import(ctx, h.ann, development, api.FormatDotenv, api.ImportRequest{Text: api.NewValue("B=x")}, vault.Match{})
				return r.Created, err
			},
			"guess by importing": func(ctx context.Context) (any, error) {
				r, err := h.Import(ctx, h.ann, development, api.FormatDotenv, api.ImportRequest{Text: api.NewValue("A=x")}, vault.Match{})
				return r.Kept, err
			},
			"prune": func(ctx context.Context) (any, error) { return nil, h.Maintain(ctx) },
			"put": func(ctx context.Context) (any, error) {
				s, _, err := h.PutSecret(ctx, h.ann, in(development, "B"), api.PutSecret{Value: &value}, vault.Match{})
				return s.Value, err
			},
			"replace": func(ctx context.Context) (any, error) {
				s, _, err := h.PutSecret(ctx, h.ann, in(development, "A"), api.PutSecret{Value: &value}, vault.Match{})
				return s.Value, err
			},
			"patch": func(ctx context.Context) (any, error) {
				s, err := h.PatchSecret(ctx, h.ann, in(development, "A"), api.PatchSecret{Comment: &name}, vault.Match{})
				return s.Value, err
			},
			"delete": func(ctx context.Context) (any, error) {
				return nil, h.DeleteSecret(ctx, h.ann, in(development, "A"), vault.Match{})
			},
			"bulk": func(ctx context.Context) (any, error) {
				_, err := h.Bulk(ctx, h.ann, development, api.BulkRequest{Set: map[string]api.Value{"B": value}, Unset: []string{"A"}}, vault.Match{})
				return nil, err
			},
			"create project": func(ctx context.Context) (any, error) {
				_, err := h.CreateProject(ctx, h.ann, api.CreateProject{Name: "New"})
				return nil, err
			},
			"update project": func(ctx context.Context) (any, error) {
				_, err := h.UpdateProject(ctx, h.ann, "shop", api.UpdateProject{Name: &name})
				return nil, err
			},
			"delete project": func(ctx context.Context) (any, error) { return nil, h.DeleteProject(ctx, h.ann, "shop") },
			"create place": func(ctx context.Context) (any, error) {
				_, err := h.CreateEnvironment(ctx, h.ann, "shop", api.CreateEnvironment{Name: "New"})
				return nil, err
			},
			"update place": func(ctx context.Context) (any, error) {
				_, err := h.UpdateEnvironment(ctx, h.ann, development, api.UpdateEnvironment{Name: &name})
				return nil, err
			},
			"delete place": func(ctx context.Context) (any, error) {
				return nil, h.DeleteEnvironment(ctx, h.ann, vault.EnvironmentRef{Project: "shop", Environment: "spare"})
			},
			"service token": func(ctx context.Context) (any, error) {
				_, err := h.CreateServiceToken(ctx, h.ann, "shop", api.CreateServiceToken{Name: "x", Environments: []string{"spare"}, Access: api.AccessRead})
				return nil, err
			},
			"revoke token": func(ctx context.Context) (any, error) {
				return nil, h.RevokeServiceToken(ctx, h.ann, "shop", machine.ID)
			},
			"own token": func(ctx context.Context) (any, error) {
				_, err := h.CreateOwnToken(ctx, h.ann, api.CreatePersonalToken{Name: "x"})
				return nil, err
			},
			"revoke own": func(ctx context.Context) (any, error) { return nil, h.RevokeOwnToken(ctx, h.ann, own.ID) },
			"login": func(ctx context.Context) (any, error) {
				_, _, err := h.Login(ctx, anonymous, login("ann@example.com", password))
				return nil, err
			},
			"wrong login": func(ctx context.Context) (any, error) {
				_, _, err := h.Login(ctx, anonymous, login("ann@example.com", "wrong"))
				return nil, err
			},
			"logout": func(ctx context.Context) (any, error) { return nil, h.Logout(ctx, h.ann) },
			"profile": func(ctx context.Context) (any, error) {
				_, err := h.UpdateProfile(ctx, h.ann, api.UpdateMe{FirstName: &name})
				return nil, err
			},
			"password": func(ctx context.Context) (any, error) {
				_, err := h.ChangePassword(ctx, h.ann, api.ChangePassword{CurrentPassword: api.NewValue(password), NewPassword: api.NewValue("another passphrase")})
				return nil, err
			},
			"end session": func(ctx context.Context) (any, error) { return nil, h.EndSession(ctx, h.ann, h.ann.SessionID()) },
			"create admin": func(ctx context.Context) (any, error) {
				_, err := h.CreateAdmin(ctx, vault.Local(), admin("new@example.com"))
				return nil, err
			},
			"reset password": func(ctx context.Context) (any, error) {
				return nil, h.ResetPassword(ctx, vault.Local(), "ann@example.com", api.NewValue("another passphrase"), false)
			},
			"mark as exposed": func(ctx context.Context) (any, error) { return nil, h.MarkExposed(ctx, own.Token.Reveal(), request()) },
			"local sign-in": func(ctx context.Context) (any, error) {
				me := must(h.WhoAmI(ctx, h.ann))
				_, err := h.SignInLocally(ctx, vault.Local(), *me.Account, "x")
				return nil, err
			},
		} {
			got, err := do(t.Context())
			if !errors.Is(err, fault.Unavailable) {
				t.Errorf("%s: %v", what, err)
			}
			if strings.HasPrefix(what, "read") && !reflect.ValueOf(got).IsZero() {
				t.Errorf("%s returns something", what)
			}
			if h.dump(t) != before {
				t.Fatalf("%s has changed the database", what)
			}
		}
	})
}

func TestEveryReadingIsAudited(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		h.put(t, "A", "a value")
		h.put(t, "B", "another")
		machine := h.service(t, api.AccessRead, "development")
		must(h.Secret(t.Context(), machine, in(development, "A")))
		must(h.SecretsWithValues(t.Context(), h.ann, development))
		must(h.Secrets(t.Context(), h.ann, development)) // without values: no reading
		_, err := h.Secret(t.Context(), machine, in(development, "MISSING"))
		isKind(t, "a missing secret", err, fault.NotFound)
		page := must(h.Audit(t.Context(), h.ann, "shop", vault.AuditQuery{Action: "secret.read"}))
		equal(t, "readings", len(page.Results), 2)
		all, one := page.Results[0], page.Results[1]
		equal(t, "of all", []any{all.Target, all.Detail, all.Actor.Name, all.Environment}, []any{"*", map[string]string{"count": "2", "revision": "2"}, "ann@example.com", "development"})
		equal(t, "of one", []any{one.Target, one.Detail, one.Actor.Kind, one.Actor.Name, one.IP, one.UserAgent, one.RequestID, one.Outcome},
			[]any{"A", map[string]string{"version": "1"}, api.ActorServiceToken, "ci", "192.0.2.1", "test", "REQUEST", "success"})
	})
}
