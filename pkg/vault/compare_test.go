package vault_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/vault"
)

var (
	staging    = vault.EnvironmentRef{Project: "shop", Environment: "staging"}
	production = vault.EnvironmentRef{Project: "shop", Environment: "production"}
)

// fill sets secrets of an environment; a comment is the key's, in small letters.
func (h *house) fill(t *testing.T, e vault.EnvironmentRef, secrets map[string]string) {
	t.Helper()
	set, comments := map[string]api.Value{}, map[string]string{}
	for key, value := range secrets {
		set[key], comments[key] = api.NewValue(value), strings.ToLower(key)
	}
	must(h.Bulk(t.Context(), h.ann, e, api.BulkRequest{Set: set, Comments: comments}, vault.Match{}))
}

// stock gives the three environments of shop secrets that are the same, differ and
// are missing, and returns a member who may read staging and not see production.
func (h *house) stock(t *testing.T) (limited vault.Principal) {
	t.Helper()
	h.fill(t, development, map[string]string{"SAME": "1", "ODD": "dev", "TWO": "x", "DEV": "d", "EMPTY": ""})
	h.fill(t, staging, map[string]string{"SAME": "1", "ODD": "stage", "TWO": "y", "STAGE": "s"})
	h.fill(t, production, map[string]string{"SAME": "1", "ODD": "prod", "TWO": "x", "PROD": "p"})
	limited, id := h.colleague(t, "limited", api.RoleMember)
	h.limit(t, id, map[string]api.EnvironmentAccess{"production": api.EnvironmentNone, "staging": api.EnvironmentRead})
	return limited
}

// groups are the rows of a matrix: "KEY 1 2 -".
func groups(m api.Matrix) (rows []string) {
	for _, r := range m.Rows {
		row := r.Key
		for _, c := range r.Cells {
			switch {
			case c.Damaged:
				row += " ?"
			case c.IsMissing():
				row += " -"
			default:
				row += fmt.Sprint(" ", c.Group)
			}
		}
		rows = append(rows, row)
	}
	return rows
}

func columns(m api.Matrix) (slugs []string) {
	for _, e := range m.Environments {
		slugs = append(slugs, e.Slug)
	}
	return slugs
}

func TestMatrixTellsWhatIsTheSameAndWhere(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		limited := h.stock(t)
		m := must(h.Matrix(t.Context(), h.ann, "shop"))
		equal(t, "the columns", columns(m), []string{"development", "staging", "production"})
		equal(t, "the rows", groups(m), []string{
			"DEV 1 - -", "EMPTY 1 - -", "ODD 1 2 3", "PROD - - 1", "SAME 1 1 1", "STAGE - 1 -", "TWO 1 2 1",
		})
		equal(t, "a cell", m.Rows[0].Cells[0], api.MatrixCell{Version: 1, Group: 1})
		equal(t, "the events", h.count(t, `audit_events WHERE action = 'secret.compare' AND detail LIKE '%development staging production%'`), 1)

		// Whoever can not see production does not learn of it, not even by a number.
		m = must(h.Matrix(t.Context(), limited, "shop"))
		equal(t, "his columns", columns(m), []string{"development", "staging"})
		equal(t, "his rows", groups(m), []string{"DEV 1 -", "EMPTY 1 -", "ODD 1 2", "SAME 1 1", "STAGE - 1", "TWO 1 2"})
		m = must(h.Matrix(t.Context(), h.service(t, api.AccessRead, "staging", "production"), "shop"))
		equal(t, "a token's columns", columns(m), []string{"staging", "production"})
		equal(t, "a token's rows", groups(m), []string{"ODD 1 2", "PROD - 1", "SAME 1 1", "STAGE 1 -", "TWO 1 2"})

		stranger, _ := h.someone(t, "stranger")
		_, err := h.Matrix(t.Context(), stranger, "shop")
		isKind(t, "a stranger", err, fault.NotFound)
		_, err = h.Matrix(t.Context(), vault.Anonymous(request()), "shop")
		isKind(t, "nobody", err, fault.Unauthenticated)

		// A value that is damaged is seen to be, beside all the others.
		h.exec(t, `UPDATE secrets SET sealed = 'gAAAAA' WHERE key = 'TWO' AND environment_id = (SELECT id FROM environments WHERE slug = 'staging')`)
		m = must(h.Matrix(t.Context(), h.ann, "shop"))
		equal(t, "the row with a damaged value", groups(m)[6], "TWO 1 ? 1")
	})
}

// TestMatrixWithoutTheKey: that this server has no key is not that every value is
// damaged.
func TestMatrixWithoutTheKey(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		h.stock(t)
		h.exec(t, "UPDATE secrets SET key_fingerprint = 'ffffffffffffffff', sealed = 'gAAAAA'")
		_, err := h.Matrix(t.Context(), h.ann, "shop")
		isKind(t, "a key that is not here", err, fault.Unavailable)
	})
}

func TestCompareTwoEnvironments(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		limited := h.stock(t)
		compare := func(p vault.Principal, a, b string, values bool) (api.Comparison, error) {
			return h.Compare(t.Context(), p, "shop", a, b, values)
		}
		texts := func(secrets ...api.Secret) (out []string) {
			for _, s := range secrets {
				text := s.Key
				if s.Value != nil {
					text += "=" + s.Value.Reveal()
				}
				out = append(out, text)
			}
			return out
		}
		different := func(c api.Comparison) (out []string) {
			for _, d := range c.Different {
				out = append(out, texts(d.A, d.B)...)
			}
			return out
		}
		c := must(compare(h.ann, "development", "staging", false))
		equal(t, "the sides", []any{c.A.Slug, c.A.Revision, c.B.Slug, c.B.Revision}, []any{"development", int64(1), "staging", int64(1)})
		equal(t, "only in a", texts(c.OnlyA...), []string{"DEV", "EMPTY"})
		equal(t, "only in b", texts(c.OnlyB...), []string{"STAGE"})
		equal(t, "different", different(c), []string{"ODD", "ODD", "TWO", "TWO"})
		equal(t, "same", c.Same, []string{"SAME"})
		equal(t, "a comment", c.OnlyB[0].Comment, "stage")
		equal(t, "readings", h.count(t, "audit_events WHERE action = 'secret.read'"), 0)
		equal(t, "comparisons", h.count(t, "audit_events WHERE action = 'secret.compare' AND environment_name = 'development' AND target = 'staging'"), 1)

		c = must(compare(h.ann, "production", "development", true))
		equal(t, "only in a, with values", texts(c.OnlyA...), []string{"PROD=p"})
		equal(t, "only in b, with values", texts(c.OnlyB...), []string{"DEV=d", "EMPTY="})
		equal(t, "different, with values", different(c), []string{"ODD=prod", "ODD=dev"})
		equal(t, "same, with values", c.Same, []string{"SAME", "TWO"})
		for slug, count := range map[string]int{"production": 2, "development": 3} {
			equal(t, "readings in "+slug, h.count(t, fmt.Sprintf(`audit_events WHERE action = 'secret.read' AND environment_name = '%s' AND detail LIKE '%%"count":"%d"%%'`, slug, count)), 1)
		}

		same := must(compare(h.ann, "staging", "staging", true))
		equal(t, "an environment and itself", []int{len(same.Same), len(same.Different), len(same.OnlyA), len(same.OnlyB)}, []int{4, 0, 0, 0})

		before := h.count(t, "audit_events")
		for _, pair := range [][2]string{{"production", "development"}, {"development", "production"}, {"production", "production"}, {"development", "never-was"}, {"development", h.environmentID(t, "production")}} {
			for _, values := range []bool{false, true} {
				_, err := compare(limited, pair[0], pair[1], values)
				isKind(t, fmt.Sprint("a limited member compares ", pair), err, fault.NotFound)
			}
		}
		_, err := compare(h.service(t, api.AccessRead, "development"), "development", "staging", false)
		isKind(t, "a token of one environment", err, fault.NotFound)
		equal(t, "events of what is not found", h.count(t, "audit_events WHERE action <> 'token.create' AND action <> 'token.use'"), before)

		h.exec(t, `UPDATE secrets SET sealed = 'gAAAAA' WHERE key = 'TWO' AND environment_id = (SELECT id FROM environments WHERE slug = 'staging')`)
		_, err = compare(h.ann, "development", "staging", false)
		isKind(t, "a damaged value", err, fault.Internal)
		if !strings.Contains(err.Error(), "TWO") {
			t.Errorf("it is not named: %v", err)
		}
	})
}

// TestMatrixIsQuick at its largest: 5,000 keys in three environments.
func TestMatrixIsQuick(t *testing.T) {
	eachHouse(t, func(t *testing.T, h *house) {
		for _, e := range []vault.EnvironmentRef{development, staging, production} {
			for i := range api.MaxSecretsPerEnvironment / api.MaxSecretsPerBulk {
				set := map[string]api.Value{}
				for k := range api.MaxSecretsPerBulk {
					set[fmt.Sprintf("K%d_%d", i, k)] = api.NewValue(strings.Repeat("v", 40) + fmt.Sprint(i, k%3 == 0 && e == staging))
				}
				must(h.Bulk(t.Context(), h.ann, e, api.BulkRequest{Set: set}, vault.Match{}))
			}
		}
		start := time.Now()
		m := must(h.Matrix(t.Context(), h.ann, "shop"))
		took := time.Since(start)
		t.Logf("a matrix of %d keys and %d environments took %v", len(m.Rows), len(m.Environments), took)
		if len(m.Rows) != api.MaxSecretsPerEnvironment || took > 5*time.Second {
			t.Errorf("%d rows in %v", len(m.Rows), took)
		}
		start = time.Now()
		r := must(h.Promote(t.Context(), h.ann, staging, api.PromoteRequest{From: "development"}, vault.Match{}))
		t.Logf("promoting %d of %d took %v", len(r.Updated), len(r.Updated)+len(r.Unchanged), time.Since(start))
	})
}
