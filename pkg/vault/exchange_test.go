package vault_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/vault"
)

// TestWhatIsExportedIsImported: every format that can be imported brings another
// environment to the same state.
func TestWhatIsExportedIsImported(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		set := map[string]api.Value{}
		for i, v := range []string{"", " a ", "it's \"$x\" `y` \\", "line\nbreak\r\n", "ünï 🙂", "a=b #c", "null", "yes"} {
			set[string(rune('A'+i))+"_KEY"] = api.NewValue(v)
		}
		must(h.Bulk(t.Context(), h.ann, development, api.BulkRequest{Set: set}, vault.Match{}))
		for _, format := range api.ImportFormats() {
			text := must(h.Export(t.Context(), h.ann, development, format))
			must(h.Import(t.Context(), h.ann, staging, format, api.ImportRequest{Text: text.Text, Overwrite: true}, vault.Match{}))
			equal(t, format, h.secretsIn(t, staging), h.secretsIn(t, development))
			must(h.Bulk(t.Context(), h.ann, staging, api.BulkRequest{Set: map[string]api.Value{"A_KEY": api.NewValue("other")}, Unset: []string{"B_KEY"}}, vault.Match{}))
		}
	})
}

func TestExport(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		h.fill(t, development, map[string]string{"A": "1", "UID": "x", "KEY": "line\nbreak"})
		reads := func() int {
			return h.count(t, `audit_events WHERE action = 'secret.read' AND target = '*' AND detail LIKE '%"count":"3","exported_as":"dotenv"%'`)
		}
		text := must(h.Export(t.Context(), h.ann, development, api.FormatDotenv))
		equal(t, "the text", text.Text.Reveal(), "A=1\nKEY=\"line\\nbreak\"\nUID=x\n")
		equal(t, "about it", []any{text.FileName, text.MediaType, text.Revision, len(text.Notes)}, []any{"shop-development.env", "text/plain; charset=utf-8", int64(1), 1})
		if !strings.HasPrefix(text.Notes[0], "KEY: ") || strings.Contains(text.Notes[0], "break\n") {
			t.Errorf("the note is %q", text.Notes[0])
		}
		equal(t, "readings", reads(), 1)
		events := h.count(t, "audit_events")
		for format, key := range map[string]string{api.FormatDocker: "KEY", api.FormatShell: "UID"} {
			_, err := h.Export(t.Context(), h.ann, development, format)
			isKind(t, format, err, fault.Conflict)
			if !strings.Contains(err.Error(), "\n"+key+": ") || strings.Contains(err.Error(), "break\n") {
				t.Errorf("%s: %v", format, err)
			}
		}
		_, err := h.Export(t.Context(), h.ann, development, "xml")
		isKind(t, "an unknown format", err, fault.Invalid)
		equal(t, "events of what was refused", h.count(t, "audit_events"), events)
		limited, id := h.colleague(t, "limited", api.RoleMember)
		h.limit(t, id, map[string]api.EnvironmentAccess{"development": api.EnvironmentNone})
		before := h.count(t, "audit_events")
		_, err = h.Export(t.Context(), limited, development, api.FormatJSON)
		isKind(t, "a withheld environment", err, fault.NotFound)
		equal(t, "events", h.count(t, "audit_events"), before)
	})
}

func TestImport(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		h.fill(t, development, map[string]string{"SAME": "1", "OTHER": "old", "GONE": "x"})
		text := api.NewValue("SAME=1\nOTHER=new # said\nNEW='n'\nPATH=/x\n")
		imported := func(in api.ImportRequest) api.ImportResult {
			t.Helper()
			in.Text = text
			return must(h.Import(t.Context(), h.ann, development, api.FormatDotenv, in, vault.Match{}))
		}
		before := h.secretsIn(t, development)
		r := imported(api.ImportRequest{DryRun: true, Overwrite: true, DeleteMissing: true})
		equal(t, "what would happen", []any{r.Created, r.Updated, r.Unchanged, r.Kept, r.Deleted, r.DryRun, r.Revision},
			[]any{[]string{"NEW", "PATH"}, []string{"OTHER"}, []string{"SAME"}, []string{}, []string{"GONE"}, true, int64(1)})
		equal(t, "the notes", []any{len(r.Notes), r.Notes[0].Place, len(r.Warnings)}, []any{1, "line 2", 1})
		equal(t, "a dry run", h.secretsIn(t, development), before)
		equal(t, "comparisons", h.count(t, `audit_events WHERE action = 'secret.compare' AND detail LIKE '%"count":"2","dry_run":"true","imported_from":"dotenv"%'`), 1)

		r = imported(api.ImportRequest{})
		equal(t, "without overwriting", []any{r.Created, r.Updated, r.Unchanged, r.Kept, r.Deleted, r.Revision},
			[]any{[]string{"NEW", "PATH"}, []string{}, []string{"SAME"}, []string{"OTHER"}, []string{}, int64(2)})
		equal(t, "what was kept", h.get(t, "OTHER"), "old")
		equal(t, "comparisons without a dry run", h.count(t, `audit_events WHERE action = 'secret.compare' AND detail LIKE '%"dry_run":"false"%'`), 1)
		r = imported(api.ImportRequest{Overwrite: true, DeleteMissing: true})
		equal(t, "overwriting and deleting", []any{r.Created, r.Updated, r.Kept, r.Deleted, r.Revision},
			[]any{[]string{}, []string{"OTHER"}, []string{}, []string{"GONE"}, int64(3)})
		equal(t, "the state", h.secretsIn(t, development), map[string]string{"SAME": "1|same", "OTHER": "new|other", "NEW": "n|", "PATH": "/x|"})
		equal(t, "single events", h.count(t, `audit_events WHERE action IN ('secret.create', 'secret.update', 'secret.delete') AND detail LIKE '%imported_from":"dotenv%'`), 4)
	})
}

func TestImportRefuses(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		const canary = "hunter2"
		h.fill(t, development, map[string]string{"A": "1"})
		viewer, _ := h.colleague(t, "viewer", api.RoleViewer)
		limited, id := h.colleague(t, "limited", api.RoleMember)
		h.limit(t, id, map[string]api.EnvironmentAccess{"production": api.EnvironmentNone, "staging": api.EnvironmentRead})
		must(h.UpdateEnvironment(t.Context(), h.ann, production, api.UpdateEnvironment{Protected: ptr(true)}))
		member, _ := h.colleague(t, "member", api.RoleMember)
		readToken := h.service(t, api.AccessRead, "development")
		before := h.unused(t)
		try := func(what string, p vault.Principal, e vault.EnvironmentRef, format, text string, m vault.Match, kind fault.Kind) error {
			t.Helper()
			_, err := h.Import(t.Context(), p, e, format, api.ImportRequest{Text: api.NewValue(text), Overwrite: true, DeleteMissing: true}, m)
			isKind(t, what, err, kind)
			if err != nil && strings.Contains(err.Error(), canary) {
				t.Errorf("%s: the error repeats a value: %v", what, err)
			}
			return err
		}
		refused := func(what string, p vault.Principal, e vault.EnvironmentRef, format, text string, m vault.Match, kind fault.Kind) {
			t.Helper()
			_ = try(what, p, e, format, text, m, kind)
		}
		none := vault.Match{}
		refused("a viewer", viewer, development, "dotenv", "A=2", none, fault.Forbidden)
		refused("who may only read there", limited, staging, "dotenv", "A=2", none, fault.Forbidden)
		refused("who does not see it", limited, production, "dotenv", "A=2", none, fault.NotFound)
		refused("a member and a protected environment", member, production, "dotenv", "A=2", none, fault.Forbidden)
		refused("a token that reads", readToken, development, "dotenv", "A=2", none, fault.Forbidden)
		refused("nobody", vault.Anonymous(request()), development, "dotenv", "A=2", none, fault.Unauthenticated)
		refused("a stale environment", h.ann, development, "dotenv", "A=2", vault.Match{Revision: ptr(int64(0))}, fault.PreconditionFailed)
		refused("a version", h.ann, development, "dotenv", "A=2", vault.Match{Version: ptr(int64(1))}, fault.Invalid)
		refused("an unknown format", h.ann, development, "shell", "A=2", none, fault.Invalid)
		refused("nothing", h.ann, development, "dotenv", "", none, fault.Invalid)
		refused("only comments", h.ann, development, "dotenv", "# A=2\n", none, fault.Invalid)
		refused("an empty object", h.ann, development, "json", "{}", none, fault.Invalid)
		refused("nothing in YAML", h.ann, development, "yaml", "{}", none, fault.Invalid)
		refused("a key twice", h.ann, development, "dotenv", "A=2\nA="+canary, none, fault.Invalid)
		refused("an object in an object", h.ann, development, "json", `{"A":{"B":"`+canary+`"}}`, none, fault.Invalid)
		refused("null", h.ann, development, "json", `{"A":null}`, none, fault.Invalid)
		refused("an alias", h.ann, development, "yaml", "A: &a "+canary+"\nB: *a", none, fault.Invalid)
		refused("two environments", h.ann, development, "json", `{"format":"heartlock project export","version":1,"project":{"slug":"a","name":"a","description":""},"environments":[
			{"slug":"a","name":"a","protected":false,"secrets":[{"key":"A","value":"`+canary+`","comment":""}]},{"slug":"b","name":"b","protected":false,"secrets":[]}]}`, none, fault.Invalid)
		refused("a value that is too large", h.ann, development, "dotenv", "A="+strings.Repeat("x", api.MaxValueBytes+1), none, fault.Invalid)
		refused("a text that is too large", h.ann, development, "dotenv", strings.Repeat("#\n", api.MaxImportBytes/2+1), none, fault.TooLarge)
		err := try("bad lines", h.ann, development, "dotenv", "A=2\nB "+canary+"\nC='"+canary+"\na-b="+canary, none, fault.Invalid)
		var bad *fault.Error
		if !errors.As(err, &bad) || len(bad.Fields) != 3 || bad.Fields[0].Location != "body.text" || !strings.HasPrefix(bad.Fields[0].Message, "line 2: ") {
			t.Errorf("the fields are %v", bad.Fields)
		}
		if strings.Contains(err.Error(), "--") {
			t.Errorf("flags of the command line are named: %v", err)
		}
		if h.unused(t) != before {
			t.Error("something was changed")
		}
	})
}

// TestImportHoldsTheBoundsOfAnEnvironment, more than a bulk request may.
func TestImportHoldsTheBoundsOfAnEnvironment(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		lines := func(n int, prefix string) api.Value {
			var b strings.Builder
			for i := range n {
				b.WriteString(prefix + strings.Repeat("X", i%7) + "_" + strings.Repeat("Y", i/7%50) + "_" + strings.Repeat("Z", i/350) + "=v\n")
			}
			return api.NewValue(b.String())
		}
		r := must(h.Import(t.Context(), h.ann, development, "dotenv", api.ImportRequest{Text: lines(api.MaxSecretsPerEnvironment, "A")}, vault.Match{}))
		equal(t, "created", len(r.Created), api.MaxSecretsPerEnvironment)
		_, err := h.Import(t.Context(), h.ann, development, "dotenv", api.ImportRequest{Text: lines(1, "B")}, vault.Match{})
		isKind(t, "one more", err, fault.Conflict)
		_, err = h.Import(t.Context(), h.ann, staging, "dotenv", api.ImportRequest{Text: lines(api.MaxSecretsPerEnvironment+1, "A")}, vault.Match{})
		isKind(t, "one too many at once", err, fault.Invalid)
		r = must(h.Import(t.Context(), h.ann, development, "dotenv", api.ImportRequest{Text: lines(1, "B"), DeleteMissing: true}, vault.Match{}))
		equal(t, "all but one", []int{len(r.Created), len(r.Deleted)}, []int{1, api.MaxSecretsPerEnvironment})
	})
}
