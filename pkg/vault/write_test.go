package vault_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/store"
	"github.com/heartlock/heartlock/pkg/vault"
)

// An attacker with a stolen credential opens a request, is identified, and holds
// the body back until the owner has revoked the credential. Nothing may come of
// the rest of the request, least of all a new token.
func TestWhatWasRevokedAfterItWasIdentifiedChangesNothing(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		env := vault.EnvironmentRef{Project: "shop", Environment: "production"}
		value := api.NewValue("x")
		attempts := map[string]func(vault.Principal) error{
			"a personal token": func(p vault.Principal) error {
				_, err := h.CreateOwnToken(t.Context(), p, api.CreatePersonalToken{Name: "thief"})
				return err
			},
			"a service token": func(p vault.Principal) error {
				_, err := h.CreateServiceToken(t.Context(), p, "shop", api.CreateServiceToken{Name: "thief", Environments: []string{"production"}, Access: api.AccessRead})
				return err
			},
			"a secret": func(p vault.Principal) error {
				_, _, err := h.PutSecret(t.Context(), p, in(env, "THIEF"), api.PutSecret{Value: &value}, vault.Match{})
				return err
			},
			"a project": func(p vault.Principal) error {
				_, err := h.CreateProject(t.Context(), p, api.CreateProject{Name: "thief"})
				return err
			},
			"the end of a project": func(p vault.Principal) error { return h.DeleteProject(t.Context(), p, "shop") },
		}
		stolen := h.signIn(t, "ann@example.com", password)
		token := must(h.CreateOwnToken(t.Context(), h.ann, api.CreatePersonalToken{Name: "stolen"}))
		byToken := must(h.IdentifyToken(t.Context(), token.Token.Reveal(), request()))
		service := h.service(t, api.AccessWrite, "production")

		if err := h.EndSession(t.Context(), h.ann, stolen.SessionID()); err != nil {
			t.Fatal(err)
		}
		if err := h.RevokeOwnToken(t.Context(), h.ann, token.ID); err != nil {
			t.Fatal(err)
		}
		for what, try := range attempts {
			isKind(t, what+" by an ended session", try(stolen), fault.Unauthenticated)
			if err := try(byToken); !errors.Is(err, fault.Unauthenticated) && !errors.Is(err, fault.Forbidden) {
				t.Errorf("%s by a revoked token: %v", what, err)
			}
		}
		for _, s := range must(h.ServiceTokens(t.Context(), h.ann, "shop")).Results {
			if err := h.RevokeServiceToken(t.Context(), h.ann, "shop", s.ID); err != nil {
				t.Fatal(err)
			}
		}
		isKind(t, "a secret by a revoked service token", attempts["a secret"](service), fault.NotFound)
	})
}

// On PostgreSQL a change waits for the one before it in the same environment.
// What is revoked while it waits must not go through when the wait is over.
func TestWhatIsRevokedWhileItWaitsChangesNothing(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		if h.options.Engine != store.PostgreSQL {
			return // SQLite has one writer: there is nothing to wait for in between
		}
		service := h.service(t, api.AccessWrite, "production")
		tokens := must(h.ServiceTokens(t.Context(), h.ann, "shop")).Results

		ctx := t.Context()
		holder := must(h.sql.BeginTx(ctx, nil))
		if _, err := holder.ExecContext(ctx, `SELECT 1 FROM environments WHERE slug = 'production' FOR UPDATE`); err != nil {
			t.Fatal(err)
		}
		result := make(chan error, 1)
		go func() {
			value := api.NewValue("x")
			_, _, err := h.PutSecret(context.WithoutCancel(ctx), service, in(vault.EnvironmentRef{Project: "shop", Environment: "production"}, "THIEF"), api.PutSecret{Value: &value}, vault.Match{})
			result <- err
		}()
		for waiting := 0; waiting == 0; {
			if err := holder.QueryRowContext(ctx, `SELECT count(*) FROM pg_locks WHERE NOT granted`).Scan(&waiting); err != nil {
				t.Fatal(err)
			}
		}
		if err := h.RevokeServiceToken(ctx, h.ann, "shop", tokens[0].ID); err != nil {
			t.Fatal(err)
		}
		if err := holder.Commit(); err != nil {
			t.Fatal(err)
		}
		isKind(t, "a write whose token was revoked while it waited", <-result, fault.NotFound)
	})
}

// Whoever reads an environment as a whole makes the server hold all its values.
func TestAnEnvironmentHasABoundedSize(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		env := vault.EnvironmentRef{Project: "shop", Environment: "staging"}
		large := api.NewValue(strings.Repeat("x", api.MaxValueBytes))
		fits := api.MaxEnvironmentBytes/api.MaxValueBytes - 1
		set := map[string]api.Value{}
		for i := range fits {
			set[fmt.Sprintf("KEY_%d", i)] = large
		}
		must(h.Bulk(t.Context(), h.ann, env, api.BulkRequest{Set: set}, vault.Match{}))
		for i, want := 0, error(nil); i < 3; i++ {
			_, _, err := h.PutSecret(t.Context(), h.ann, in(env, fmt.Sprintf("MORE_%d", i)), api.PutSecret{Value: &large}, vault.Match{})
			if err != nil {
				isKind(t, "too much", err, fault.Conflict)
				want = err
			}
			if i == 2 && want == nil {
				t.Error("there is no bound")
			}
		}
		if list := must(h.SecretsWithValues(t.Context(), h.ann, env)); len(list.Results) < fits {
			t.Errorf("%d secrets are left", len(list.Results))
		}
	})
}

// A client that hears nothing sends its request again, perhaps while the first
// is still being answered.
func TestRequestsAtOnceWithOneIdempotencyKeyCreateOneThing(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		ann := h.ann
		ann.Request.IdempotencyKey = "again"
		ids := make([]string, 8)
		var wg sync.WaitGroup
		for i := range ids {
			wg.Go(func() {
				project, err := h.CreateProject(t.Context(), ann, api.CreateProject{Name: "Once"})
				if err != nil {
					t.Error(err)
				}
				ids[i] = project.ID
			})
		}
		wg.Wait()
		for _, id := range ids {
			equal(t, "id", id, ids[0])
		}
		equal(t, "projects", h.count(t, "projects WHERE slug = 'once'"), 1)
	})
}
