package vault_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/vault"
)

func (h *house) secretsIn(t *testing.T, e vault.EnvironmentRef) map[string]string {
	t.Helper()
	return stateOf(must(h.SecretsWithValues(t.Context(), h.ann, e)))
}

// unused is the dump but for the tokens: that one was used is noted by and by.
func (h *house) unused(t *testing.T) string {
	t.Helper()
	lines := strings.Split(h.dump(t), "\n")
	return strings.Join(slices.DeleteFunc(lines, func(line string) bool { return strings.HasPrefix(line, "tokens ") }), "\n")
}

// outcome is what a promotion did, without revisions.
func outcome(r api.PromoteResult) map[string][]string {
	out := map[string][]string{}
	for what, keys := range map[string][]string{"created": r.Created, "updated": r.Updated, "unchanged": r.Unchanged, "deleted": r.Deleted} {
		if len(keys) > 0 {
			out[what] = keys
		}
	}
	return out
}

func TestPromote(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		h.stock(t)
		promote := func(in api.PromoteRequest) api.PromoteResult {
			t.Helper()
			in.From = "staging"
			return must(h.Promote(t.Context(), h.ann, production, in, vault.Match{}))
		}
		before := h.secretsIn(t, production)
		compared := h.count(t, "audit_events WHERE action = 'secret.compare'")

		all := map[string][]string{"created": {"STAGE"}, "updated": {"ODD", "TWO"}, "unchanged": {"SAME"}}
		r := promote(api.PromoteRequest{DryRun: true})
		equal(t, "what would happen", outcome(r), all)
		equal(t, "revisions", []any{r.Revision, r.From, r.FromRevision, r.DryRun}, []any{int64(1), "staging", int64(1), true})
		equal(t, "a dry run", h.secretsIn(t, production), before)
		equal(t, "comparisons", h.count(t, "audit_events WHERE action = 'secret.compare' AND environment_name = 'production' AND target = 'staging'"), 1)
		all["deleted"] = []string{"PROD"}
		equal(t, "what would happen with deleting", outcome(promote(api.PromoteRequest{DryRun: true, Delete: true})), all)

		r = promote(api.PromoteRequest{Keys: []string{"STAGE"}})
		equal(t, "one key", outcome(r), map[string][]string{"created": {"STAGE"}})
		equal(t, "the revision", r.Revision, int64(2))
		want := maps.Clone(before)
		want["STAGE"] = "s|stage"
		equal(t, "the state after one key", h.secretsIn(t, production), want)

		// A comment alone is a difference too.
		must(h.PatchSecret(t.Context(), h.ann, in(staging, "SAME"), api.PatchSecret{Comment: ptr("new")}, vault.Match{}))
		equal(t, "a comment", outcome(promote(api.PromoteRequest{Keys: []string{"SAME"}})), map[string][]string{"updated": {"SAME"}})

		r = promote(api.PromoteRequest{Delete: true})
		equal(t, "all", outcome(r), map[string][]string{"updated": {"ODD", "TWO"}, "unchanged": {"SAME", "STAGE"}, "deleted": {"PROD"}})
		equal(t, "the state after all", h.secretsIn(t, production), h.secretsIn(t, staging))
		equal(t, "one revision", r.Revision, int64(4))
		events := h.count(t, "audit_events WHERE action IN ('secret.update', 'secret.delete') AND environment_name = 'production' AND detail LIKE '%promoted_from\":\"staging%'")
		equal(t, "events of single secrets", events, 4)
		equal(t, "promotions", h.count(t, "audit_events WHERE action = 'environment.promote' AND environment_name = 'production'"), 3)
		equal(t, "readings of the source", h.count(t, "audit_events WHERE action = 'secret.read' AND environment_name = 'staging' AND detail LIKE '%promoted_to\":\"production%'"), 3)

		r = promote(api.PromoteRequest{Delete: true})
		equal(t, "again", outcome(r), map[string][]string{"unchanged": {"ODD", "SAME", "STAGE", "TWO"}})
		equal(t, "no new revision", r.Revision, int64(4))
		equal(t, "comparisons at the end", h.count(t, "audit_events WHERE action = 'secret.compare'")-compared, 3)

		// A deleted key comes back as a further version of it.
		must(h.Promote(t.Context(), h.ann, staging, api.PromoteRequest{From: "development", Delete: true}, vault.Match{}))
		h.fill(t, staging, map[string]string{"PROD": "back"})
		promote(api.PromoteRequest{Keys: []string{"PROD"}})
		equal(t, "its version", must(h.Secret(t.Context(), h.ann, in(production, "PROD"))).Version, int64(3))
	})
}

func TestPromoteIsBoundByWhatWasSeen(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		h.stock(t)
		before := h.dump(t)
		try := func(in api.PromoteRequest, m vault.Match) error {
			_, err := h.Promote(t.Context(), h.ann, production, in, m)
			return err
		}
		from := func(keys ...string) api.PromoteRequest { return api.PromoteRequest{From: "staging", Keys: keys} }
		for what, c := range map[string]struct {
			err  error
			kind fault.Kind
		}{
			"a stale target":          {try(from(), vault.Match{Revision: ptr(int64(0))}), fault.PreconditionFailed},
			"a stale source":          {try(api.PromoteRequest{From: "staging", FromRevision: ptr(int64(0))}, vault.Match{}), fault.PreconditionFailed},
			"a version":               {try(from(), vault.Match{Version: ptr(int64(1))}), fault.Invalid},
			"itself":                  {try(api.PromoteRequest{From: "production"}, vault.Match{}), fault.Invalid},
			"itself by its id":        {try(api.PromoteRequest{From: h.environmentID(t, "production")}, vault.Match{}), fault.Invalid},
			"no source":               {try(api.PromoteRequest{}, vault.Match{}), fault.Invalid},
			"a source that never was": {try(api.PromoteRequest{From: "never-was"}, vault.Match{}), fault.Invalid},
			"no keys":                 {try(api.PromoteRequest{From: "staging", Keys: []string{}}, vault.Match{}), fault.Invalid},
			"a key twice":             {try(from("SAME", "SAME"), vault.Match{}), fault.Invalid},
			"a bad key":               {try(from("a-b"), vault.Match{}), fault.Invalid},
			"a key that is nowhere":   {try(from("ODD", "NOWHERE"), vault.Match{}), fault.Invalid},
			"a key of the target":     {try(from("ODD", "PROD"), vault.Match{}), fault.Invalid},
		} {
			isKind(t, what, c.err, c.kind)
		}
		if h.dump(t) != before {
			t.Error("something was changed")
		}
		in := from("PROD")
		in.Delete, in.FromRevision = true, ptr(int64(1))
		r := must(h.Promote(t.Context(), h.ann, production, in, vault.Match{Revision: ptr(int64(1)), Exists: true}))
		equal(t, "a named key that is gone", outcome(r), map[string][]string{"deleted": {"PROD"}})

		h.exec(t, `UPDATE secrets SET sealed = 'gAAAAA' WHERE key = 'TWO' AND environment_id = (SELECT id FROM environments WHERE slug = 'staging')`)
		before = h.dump(t)
		isKind(t, "a damaged value", try(from(), vault.Match{}), fault.Internal)
		if h.dump(t) != before {
			t.Error("something was changed")
		}
		equal(t, "all but the damaged one", outcome(must(h.Promote(t.Context(), h.ann, production, from("ODD", "SAME"), vault.Match{}))), map[string][]string{"updated": {"ODD"}, "unchanged": {"SAME"}})
	})
}

// TestPromotingNeedsBothRights: to write here, and to read there.
func TestPromotingNeedsBothRights(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		limited := h.stock(t)
		viewer, _ := h.colleague(t, "viewer", api.RoleViewer)
		member, _ := h.colleague(t, "member", api.RoleMember)
		stranger, _ := h.someone(t, "stranger")
		must(h.CreateProject(t.Context(), stranger, api.CreateProject{Name: "Lab"}))
		readToken := h.service(t, api.AccessRead, "development", "production")
		writeToken := h.service(t, api.AccessWrite, "development")
		must(h.UpdateEnvironment(t.Context(), h.ann, production, api.UpdateEnvironment{Protected: ptr(true)}))
		id := h.environmentID(t, "production")
		before := h.unused(t)
		lab := vault.EnvironmentRef{Project: "lab", Environment: "development"}
		for _, c := range []struct {
			what string
			p    vault.Principal
			to   vault.EnvironmentRef
			from string
			kind fault.Kind
		}{
			{"a viewer", viewer, development, "staging", fault.Forbidden},
			{"a member into a protected environment", member, production, "staging", fault.Forbidden},
			{"a member into one that he may only read", limited, staging, "development", fault.Forbidden},
			{"a member into one that is withheld", limited, production, "development", fault.NotFound},
			{"a member from one that is withheld", limited, development, "production", fault.Invalid},
			{"a member from one that is withheld, by its id", limited, development, id, fault.Invalid},
			{"a token that reads", readToken, development, "production", fault.Forbidden},
			{"a token from elsewhere", writeToken, development, "production", fault.Invalid},
			{"a token to elsewhere", writeToken, production, "development", fault.NotFound},
			{"a stranger", stranger, development, "staging", fault.NotFound},
			{"a stranger from another project", stranger, lab, id, fault.Invalid},
			{"an owner to another project", h.ann, lab, "staging", fault.NotFound},
			{"nobody", vault.Anonymous(request()), development, "staging", fault.Unauthenticated},
		} {
			for _, dry := range []bool{true, false} {
				_, err := h.Promote(t.Context(), c.p, c.to, api.PromoteRequest{From: c.from, DryRun: dry}, vault.Match{})
				isKind(t, c.what, err, c.kind)
			}
		}
		if h.unused(t) != before {
			t.Error("something was changed, or told in the audit trail")
		}
		// What is withheld can not be told from what never was, also not by its state.
		_, withheld := h.Promote(t.Context(), limited, development, api.PromoteRequest{From: "production", FromRevision: ptr(int64(7)), Keys: []string{"PROD"}}, vault.Match{})
		_, never := h.Promote(t.Context(), limited, development, api.PromoteRequest{From: "never-was", FromRevision: ptr(int64(7)), Keys: []string{"PROD"}}, vault.Match{})
		equal(t, "the words", withheld.Error(), never.Error())

		must(h.Promote(t.Context(), limited, development, api.PromoteRequest{From: "staging"}, vault.Match{}))
		must(h.Promote(t.Context(), h.ann, production, api.PromoteRequest{From: "staging"}, vault.Match{}))
	})
}

// TestPromotionsInOppositeDirections: people who promote against each other, while
// others write, lose nothing and wait for nobody in a circle. Whatever the order,
// a promotion has copied one state of its source as a whole.
func TestPromotionsInOppositeDirections(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		pair := func(e vault.EnvironmentRef, n int) error {
			set := map[string]api.Value{"A": api.NewValue(fmt.Sprint(n)), "B": api.NewValue(fmt.Sprint(n))}
			_, err := h.Bulk(t.Context(), h.ann, e, api.BulkRequest{Set: set}, vault.Match{})
			return err
		}
		must(0, pair(development, 1))
		must(0, pair(staging, 2))
		var running sync.WaitGroup
		run := func(do func(n int) error) {
			running.Go(func() {
				for n := range 15 {
					if err := do(n); err != nil {
						t.Error(fault.Detail(err))
					}
				}
			})
		}
		promote := func(to vault.EnvironmentRef, from string) func(int) error {
			return func(int) error {
				_, err := h.Promote(t.Context(), h.ann, to, api.PromoteRequest{From: from, Delete: true}, vault.Match{})
				return err
			}
		}
		run(promote(development, "staging"))
		run(promote(staging, "development"))
		run(promote(production, "development"))
		run(func(n int) error { return pair(development, 100+n) })
		run(func(n int) error { return pair(staging, 200+n) })
		run(func(int) error {
			state := stateOf(must(h.SecretsWithValues(context.WithoutCancel(t.Context()), h.ann, production)))
			if state["A"] != state["B"] {
				return errors.New("half of a state was promoted: " + state["A"] + " and " + state["B"])
			}
			return nil
		})
		running.Wait()
		for _, e := range []vault.EnvironmentRef{development, staging, production} {
			if state := h.secretsIn(t, e); state["A"] != state["B"] || len(state) != 2 {
				t.Errorf("%s is %v", e.Environment, state)
			}
		}
	})
}

// TestPromotingWhatIsDeletedMeanwhile: when the source goes away, a promotion that
// deletes does not take that for an environment without secrets.
func TestPromotingWhatIsDeletedMeanwhile(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		spare := vault.EnvironmentRef{Project: "shop", Environment: "spare"}
		for range 10 {
			must(h.CreateEnvironment(t.Context(), h.ann, "shop", api.CreateEnvironment{Name: "Spare"}))
			h.fill(t, spare, map[string]string{"A": "x"})
			h.fill(t, development, map[string]string{"A": "x", "B": "y"})
			var running sync.WaitGroup
			running.Go(func() { must(0, h.DeleteEnvironment(t.Context(), h.ann, spare)) })
			running.Go(func() {
				_, err := h.Promote(t.Context(), h.ann, development, api.PromoteRequest{From: "spare", Delete: true}, vault.Match{})
				if err != nil && !errors.Is(err, fault.Invalid) {
					t.Error(fault.Detail(err))
				}
			})
			running.Wait()
			if state := h.secretsIn(t, development); state["A"] != "x|a" {
				t.Fatalf("the promotion has emptied the environment: %v", state)
			}
		}
	})
}

func TestNoValueIsInTheTrailOfAPromotion(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		const canary = "hunter2canary"
		h.fill(t, development, map[string]string{"A": canary, "B": canary + "b"})
		h.fill(t, staging, map[string]string{"B": canary})
		must(h.Matrix(t.Context(), h.ann, "shop"))
		must(h.Compare(t.Context(), h.ann, "shop", "development", "staging", true))
		must(h.Promote(t.Context(), h.ann, staging, api.PromoteRequest{From: "development"}, vault.Match{}))
		must(h.Export(t.Context(), h.ann, staging, api.FormatJSON))
		must(h.Import(t.Context(), h.ann, staging, api.FormatDotenv, api.ImportRequest{Text: api.NewValue("A=" + canary + "c\nC=" + canary)}, vault.Match{}))
		if strings.Contains(h.dump(t), canary) {
			t.Error("a value is in the database as it is")
		}
	})
}
