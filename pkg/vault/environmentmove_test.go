package vault_test

import (
	"strings"
	"testing"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/vault"
)

func TestEnvironmentsMove(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		order := func() string {
			t.Helper()
			var slugs []string
			for _, e := range must(h.Environments(t.Context(), h.ann, "shop")).Results {
				slugs = append(slugs, e.Slug)
			}
			return strings.Join(slugs, " ")
		}
		move := func(slug string, up bool, want string) {
			t.Helper()
			if err := h.MoveEnvironment(t.Context(), h.ann, vault.EnvironmentRef{Project: "shop", Environment: slug}, up); err != nil {
				t.Fatal(err)
			}
			equal(t, slug, order(), want)
		}
		move("production", true, "development production staging")
		move("development", false, "production development staging")
		move("production", true, "production development staging") // the first stays
		move("staging", false, "production development staging")   // and the last
		// Positions that are the same, or at their end, do not keep anything in its place.
		h.exec(t, "UPDATE environments SET position = 10000")
		move("production", true, "production development staging")
		move("staging", true, "production staging development")
		isKind(t, "another project", h.MoveEnvironment(t.Context(), h.ann, vault.EnvironmentRef{Project: "moon", Environment: "staging"}, true), fault.NotFound)
		isKind(t, "another environment", h.MoveEnvironment(t.Context(), h.ann, vault.EnvironmentRef{Project: "shop", Environment: "moon"}, true), fault.NotFound)
		machine := h.service(t, api.AccessWrite, "staging")
		isKind(t, "a service token", h.MoveEnvironment(t.Context(), machine, vault.EnvironmentRef{Project: "shop", Environment: "staging"}, true), fault.Forbidden)
	})
}
