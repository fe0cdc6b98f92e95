package rest_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/client"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/heartlocktest"
)

// clientOf is the client of the API for a caller with a token.
func clientOf(t *testing.T, w *world, caller string) *client.Client {
	t.Helper()
	c, err := client.New(client.Options{Server: w.s.URL, Token: api.NewValue(w.callers[caller].Bearer)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// TestFromComparingToPromoting goes the way of a release with the client: look at
// the matrix, compare, try, promote; and out and in again as text.
func TestFromComparingToPromoting(t *testing.T) {
	heartlocktest.EachEngine(t, func(t *testing.T, s *heartlocktest.Server, owner *heartlocktest.Caller) {
		w := newWorld(t, s, owner)
		ctx, c := t.Context(), clientOf(t, w, "owner-token")
		in := func(slug string) client.Environment { return client.Environment{Project: w.p1.slug, Slug: slug} }
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(fault.Detail(err))
			}
		}
		owner.Call("PUT", "/projects/"+w.p1.slug+"/environments/staging/secrets/NEW/", map[string]any{"value": "n", "comment": "fresh"}).Want(201)

		matrix, err := c.Matrix(ctx, w.p1.slug)
		must(err)
		want := api.Matrix{Rows: []api.MatrixRow{
			{Key: "API_KEY", Cells: []api.MatrixCell{{Version: 1, Group: 1}, {Version: 1, Group: 1}, {Version: 1, Group: 1}}},
			{Key: "NEW", Cells: []api.MatrixCell{{}, {Version: 1, Group: 1}, {}}},
		}, Environments: []api.MatrixEnvironment{
			{Slug: "development", Name: "Development", Revision: 1},
			{Slug: "staging", Name: "Staging", Revision: 2},
			{Slug: "production", Name: "Production", Revision: 1, Protected: true},
		}}
		if diff := cmp.Diff(want, matrix); diff != "" {
			t.Errorf("the matrix (-want +got):\n%s", diff)
		}
		comparison, err := c.CompareEnvironments(ctx, in("staging"), "production", true)
		must(err)
		if len(comparison.OnlyA) != 1 || comparison.OnlyA[0].Value.Reveal() != "n" || !cmp.Equal(comparison.Same, []string{"API_KEY"}) {
			t.Errorf("the comparison is %v", comparison)
		}
		tried, err := c.Promote(ctx, in("production"), api.PromoteRequest{From: "staging", DryRun: true})
		must(err)
		_, err = c.Promote(ctx, in("production"), api.PromoteRequest{From: "staging"}, client.IfMatch(`"7"`))
		if !errors.Is(err, fault.PreconditionFailed) {
			t.Errorf("a stale revision: %v", err)
		}
		done, err := c.Promote(ctx, in("production"), api.PromoteRequest{From: "staging", FromRevision: &tried.FromRevision}, client.IfMatch(`"1"`))
		must(err)
		if diff := cmp.Diff(tried.Created, done.Created); diff != "" || done.Revision != 2 {
			t.Errorf("the promotion is %+v", done)
		}

		text, err := c.ExportSecrets(ctx, in("production"), api.FormatJSON)
		must(err)
		taken, err := c.ImportText(ctx, in("development"), api.FormatJSON, api.ImportRequest{Text: text}, client.IfMatch(`"1"`))
		must(err)
		if diff := cmp.Diff(api.ImportResult{Revision: 2, Created: []string{"NEW"}, Updated: []string{}, Unchanged: []string{"API_KEY"}, Kept: []string{}, Deleted: []string{}, Notes: []api.ImportNote{}}, taken); diff != "" {
			t.Errorf("the import (-want +got):\n%s", diff)
		}
		_, err = c.ExportSecrets(ctx, in("production"), "xml")
		if !errors.Is(err, fault.Invalid) {
			t.Errorf("an unknown format: %v", err)
		}
	})
}

// TestExportsAreFiles: a browser saves them and shows none; who has this state
// already gets nothing, and nothing is recorded.
func TestExportsAreFiles(t *testing.T) {
	heartlocktest.EachEngine(t, func(t *testing.T, s *heartlocktest.Server, owner *heartlocktest.Caller) {
		w := newWorld(t, s, owner)
		path := "/projects/" + w.p1.slug + "/environments/development/export/"
		for format, c := range map[string][2]string{
			"":                 {"text/plain; charset=utf-8", ".env"},
			"?format=dotenv":   {"text/plain; charset=utf-8", ".env"},
			"?format=shell":    {"text/plain; charset=utf-8", ".sh"},
			"?format=docker":   {"text/plain; charset=utf-8", ".docker.env"},
			"?format=json":     {"application/json", ".json"},
			"?format=yaml":     {"application/yaml", ".yaml"},
			"?format=k8s":      {"application/yaml", ".secret.yaml"},
			"?format=tfvars":   {"text/plain; charset=utf-8", ".tfvars"},
			"?format=DOTENV":   {},
			"?format=":         {"text/plain; charset=utf-8", ".env"},
			"?format=x%0d%0ay": {},
		} {
			answer := owner.Call("GET", path+format, nil)
			if c[0] == "" {
				answer.WantProblem(400)
				continue
			}
			answer.Want(200)
			for name, want := range map[string]string{
				"Content-Type": c[0], "Content-Disposition": `attachment; filename="` + w.p1.slug + "-development" + c[1] + `"`,
				"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Etag": `"1"`,
			} {
				if got := answer.Header.Get(name); got != want {
					t.Errorf("%s: %s is %q, want %q", format, name, got, want)
				}
			}
			if !strings.Contains(answer.Body, "API_KEY") {
				t.Errorf("%s: %q", format, answer.Body)
			}
		}
		reads := s.Count("audit_events", "action = 'secret.read'")
		if fresh := owner.Call("GET", path, nil, `If-None-Match: "1"`).Want(304); fresh.Body != "" {
			t.Errorf("the answer is %q", fresh.Body)
		}
		if n := s.Count("audit_events", "action = 'secret.read'") - reads; n != 0 {
			t.Errorf("%d readings of nothing", n)
		}
		owner.Call("GET", path, nil, `If-None-Match: "0"`).Want(200)
	})
}

// TestNobodyComparesWithWhatHeCanNotSee: the answers about an environment that is
// withheld, and about one of another project, are those about one that never was.
func TestNobodyComparesWithWhatHeCanNotSee(t *testing.T) {
	heartlocktest.EachEngine(t, func(t *testing.T, s *heartlocktest.Server, owner *heartlocktest.Caller) {
		w := newWorld(t, s, owner)
		development := "/projects/" + w.p1.slug + "/environments/development/"
		callers := w.asLimited()
		w.newToken("owner", &w.p1, "narrow", "write", []string{"development"})
		callers["service token"] = w.callers["narrow"]
		callers["service token"].Call("GET", development, nil).Want(200)
		before := s.State()
		for how, c := range callers {
			for _, query := range []string{"", "?values=true"} {
				never := c.Call("GET", development+"compare/"+randomID()+"/"+query, nil).Canonical()
				for _, other := range []string{"never-was", "production", w.p1.environments["production"], w.p2.environments["development"]} {
					if diff := cmp.Diff(never, c.Call("GET", development+"compare/"+other+"/"+query, nil).Canonical()); diff != "" || !strings.HasPrefix(never, http.StatusText(404)) {
						t.Errorf("comparing with %s by %s:\n%s%s", other, how, never, diff)
					}
				}
			}
			for _, extra := range []map[string]any{{}, {"dry_run": true}, {"keys": []string{"API_KEY"}}, {"from_revision": 1}, {"delete": true}} {
				body := func(from string) map[string]any {
					b := map[string]any{"from": from}
					for k, v := range extra {
						b[k] = v
					}
					return b
				}
				never := c.Call("POST", development+"promote/", body(randomID())).Canonical()
				for _, from := range []string{"never-was", "production", w.p1.environments["production"], w.p2.environments["development"], "../x", ""} {
					if diff := cmp.Diff(never, c.Call("POST", development+"promote/", body(from)).Canonical()); diff != "" || !strings.HasPrefix(never, http.StatusText(400)) {
						t.Errorf("promoting from %s by %s:\n%s%s", from, how, never, diff)
					}
				}
			}
			if seen := c.Call("GET", "/projects/"+w.p1.slug+"/matrix/", nil).Want(200).Body; strings.Contains(seen, "production") || strings.Contains(seen, "Production") {
				t.Errorf("the matrix for %s has what is withheld: %s", how, seen)
			}
		}
		if diff := cmp.Diff(before, s.State()); diff != "" {
			t.Errorf("what was refused changed the database:\n%s", diff)
		}
	})
}
