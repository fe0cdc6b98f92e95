package store_test

import (
	"context"
	"testing"

	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/store"
)

func TestTokensAreFoundByTheirDigest(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		personal := must(w.TokenByDigest(t.Context(), digest(32)))
		equal(t, "a personal token", *personal, store.TokenView{
			Token: store.Token{ID: id(32), Name: "laptop", UserID: &w.ann.ID},
			User: store.User{
				ID: w.ann.ID, Email: w.ann.Email, FirstName: "F", LastName: "L", PasswordHash: "hash", IsActive: true, IsSuperuser: true,
			},
		})
		service := must(w.TokenByDigest(t.Context(), digest(31)))
		equal(t, "a service token", *service, store.TokenView{
			Token: store.Token{ID: id(31), Name: "ci", ProjectID: &w.shop.ID, Access: "read"},
		})
		for _, d := range [][]byte{digest(99), nil, {}, digest(31)[:31]} {
			_, err := w.TokenByDigest(t.Context(), d)
			isKind(t, "another digest", err, fault.NotFound)
		}
		w.refused(t, fault.Conflict, func(ctx context.Context, tx store.Tx) error {
			twin := w.service
			twin.ID = id(33)
			return tx.InsertToken(ctx, &twin, nil)
		})
	})
}

func TestTokensBelongToOneOwner(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		for _, c := range []struct {
			what          string
			user, project *string
			access        string
		}{
			{"a person's and a project's", &w.ann.ID, &w.shop.ID, "read"},
			{"nobody's", nil, nil, ""},
			{"a person's with access", &w.ann.ID, nil, "read"},
			{"a project's without access", nil, &w.shop.ID, ""},
			{"a project's with another access", nil, &w.shop.ID, "admin"},
		} {
			if err := w.Write(ctx, func(ctx context.Context, tx store.Tx) error {
				return tx.InsertToken(ctx, &store.Token{ID: id(90), Digest: digest(90), UserID: c.user, ProjectID: c.project, Access: c.access}, nil)
			}); err == nil {
				t.Errorf("the database takes a token that is %s", c.what)
			}
		}
		equal(t, "ann's", must(w.TokensOfUser(ctx, w.ann.ID)), []store.Token{w.mine})
		equal(t, "bob's", len(must(w.TokensOfUser(ctx, w.bob.ID))), 0)
		equal(t, "shop's", must(w.TokensOfProject(ctx, w.shop.ID)), []store.ServiceToken{{Token: w.service, Environments: []string{"development"}}})
		equal(t, "lab's", len(must(w.TokensOfProject(ctx, w.lab.ID))), 0)
		equal(t, "number of ann's", must(w.CountTokens(ctx, w.ann.ID, "")), 1)
		equal(t, "number of shop's", must(w.CountTokens(ctx, "", w.shop.ID)), 1)
		equal(t, "number of bob's", must(w.CountTokens(ctx, w.bob.ID, "")), 0)

		for what, do := range map[string]func(context.Context, store.Tx) (*store.Token, error){
			"another user's": func(ctx context.Context, tx store.Tx) (*store.Token, error) {
				return tx.DeleteUserToken(ctx, w.bob.ID, id(32))
			},
			"a service token as a user's": func(ctx context.Context, tx store.Tx) (*store.Token, error) {
				return tx.DeleteUserToken(ctx, w.ann.ID, id(31))
			},
			"another project's": func(ctx context.Context, tx store.Tx) (*store.Token, error) {
				return tx.DeleteProjectToken(ctx, w.lab.ID, id(31))
			},
			"a personal token as a project's": func(ctx context.Context, tx store.Tx) (*store.Token, error) {
				return tx.DeleteProjectToken(ctx, w.shop.ID, id(32))
			},
		} {
			t.Log(what)
			w.refused(t, fault.NotFound, func(ctx context.Context, tx store.Tx) error { _, err := do(ctx, tx); return err })
		}
		w.write(t, func(ctx context.Context, tx store.Tx) error {
			gone, err := tx.DeleteUserToken(ctx, w.ann.ID, id(32))
			equal(t, "revoked", must(gone, err).Name, "laptop")
			gone, err = tx.DeleteProjectToken(ctx, w.shop.ID, id(31))
			equal(t, "revoked", must(gone, err).Name, "ci")
			return nil
		})
		_, err := w.TokenByDigest(ctx, digest(31))
		isKind(t, "a revoked token", err, fault.NotFound)
		mustInt(t, w.Queries, "SELECT count(*) FROM token_environments", 0)
	})
}

func TestATokenOfAForeignEnvironmentSeesNothing(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		strange := store.Token{ID: id(34), Digest: digest(34), Name: "x", ProjectID: &w.shop.ID, Access: "write"}
		w.write(t, func(ctx context.Context, tx store.Tx) error {
			return tx.InsertToken(ctx, &strange, []string{w.labDev.ID})
		})
		for _, project := range []string{"lab", "shop"} {
			_, err := w.EnvironmentFor(t.Context(), store.Caller{TokenID: strange.ID}, project, w.labDev.ID)
			isKind(t, "an environment of another project", err, fault.NotFound)
		}
		w.refused(t, fault.Conflict, func(ctx context.Context, tx store.Tx) error {
			return tx.InsertToken(ctx, &store.Token{ID: id(35), Digest: digest(35), ProjectID: &w.shop.ID, Access: "read"}, []string{id(99)})
		})
	})
}

func TestTheUseOfCredentialsIsNoted(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		session := store.Session{ID: id(41), Digest: digest(41), UserID: w.ann.ID, LastSeenAt: 1, ExpiresAt: 1000}
		w.write(t, func(ctx context.Context, tx store.Tx) error { return tx.InsertSession(ctx, &session) })
		w.write(t, func(ctx context.Context, tx store.Tx) error {
			for _, touch := range []store.Touch{
				{TokenID: id(31), At: 70, IP: "192.0.2.7"}, {SessionID: id(41), At: 71}, {TokenID: id(99), At: 72},
			} {
				if err := tx.ApplyTouch(ctx, touch); err != nil {
					return err
				}
			}
			return tx.MarkTokenExposed(ctx, id(31), 80)
		})
		w.write(t, func(ctx context.Context, tx store.Tx) error { return tx.MarkTokenExposed(ctx, id(31), 90) })
		token := must(w.TokensOfProject(t.Context(), w.shop.ID))[0]
		equal(t, "last use", []any{*token.LastUsedAt, token.LastUsedIP}, []any{store.Micros(70), "192.0.2.7"})
		equal(t, "the first exposure", *token.ExposedAt, store.Micros(80))
		equal(t, "of the session", must(w.SessionByDigest(t.Context(), digest(41))).Session.LastSeenAt, store.Micros(71))
		equal(t, "another token", must(w.TokensOfUser(t.Context(), w.ann.ID)), []store.Token{w.mine})
	})
}
