//go:build unix

package web_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"

	"github.com/heartlock/heartlock/pkg/heartlocktest"
)

const (
	development = "/projects/web/environments/development/"
	matrixPath  = "/projects/web/matrix/"
	copying     = matrixPath + "copy/"
)

// cells are the rows of a page's matrix as a screen reader says them.
func cells(d *document) (rows []string) {
	for _, body := range d.All("tbody") {
		for _, row := range all(body, "tr") {
			var said []string
			for cell := range row.ChildNodes() {
				if cell.Type == html.ElementNode {
					said = append(said, textOf(cell))
				}
			}
			rows = append(rows, strings.Join(said, " | "))
		}
	}
	return rows
}

func want(t *testing.T, d *document, rows ...string) {
	t.Helper()
	if diff := cmp.Diff(rows, cells(d)); diff != "" {
		t.Errorf("%s as %s:\n%s", d.Path, d.caller.Name, diff)
	}
}

// spread gives the three environments secrets that differ.
func (w *team) spread() {
	for environment, values := range map[string]map[string]string{
		development: {"ALIKE": "canary-1", "OTHER": "canary-2", "NEW": "canary-3"},
		staging:     {"ALIKE": "canary-1", "OTHER": "canary-4"},
		production:  {"ALIKE": "canary-1", "OTHER": "canary-2"},
	} {
		for key, value := range values {
			w.set(environment, key, value)
		}
	}
}

func TestMatrixShowsWhatIsMissingAndDifferent(t *testing.T) {
	t.Parallel()
	heartlocktest.EachDatabase(t, func(t *testing.T, databaseURL string) {
		w := newTeam(t, databaseURL)
		open(t, w.viewer, matrixPath).Has(t, "Nothing to compare yet")
		w.spread()
		w.protect()
		page := open(t, w.member, matrixPath).Has(t, "2 of 3 keys are not the same everywhere", "Development Staging Production protected").Lacks(t, "canary")
		want(t, page,
			"ALIKE | ✓ same | ✓ same | ✓ same",
			"NEW missing | ✓ same | – copy NEW to Staging | – missing",
			"OTHER different | value A | value B | value A")
		want(t, open(t, w.viewer, matrixPath+"?only=differences&q=n"), "NEW missing | ✓ same | – missing | – missing")
		want(t, open(t, w.viewer, matrixPath+"?q=al"), "ALIKE | ✓ same | ✓ same | ✓ same")
		open(t, w.viewer, matrixPath+"?q=nowhere").Has(t, "No key matches", "Show all keys")
		if len(page.All("a", "href", staging+"secrets/OTHER/")) != 1 {
			t.Error("a cell does not lead to its secret")
		}
		// What somebody can not read is no column, and makes no difference.
		w.limit(t)
		want(t, open(t, w.member, matrixPath).Lacks(t, "Production"),
			"ALIKE | ✓ same | ✓ same", "NEW missing | ✓ same | – missing", "OTHER different | value A | value B")
	})
}

// limit keeps the member out of production and from writing in staging.
func (w *team) limit(t *testing.T) {
	t.Helper()
	w.owner.Call("PATCH", "/projects/web/members/"+w.member.UserID+"/", map[string]any{
		"environments": map[string]any{"production": "none", "staging": "read"},
	}).Want(http.StatusOK)
}

func TestMissingSecretIsCopied(t *testing.T) {
	t.Parallel()
	heartlocktest.EachDatabase(t, func(t *testing.T, databaseURL string) {
		w := newTeam(t, databaseURL)
		w.spread()
		const path = copying + "?key=NEW&to=staging"
		page := open(t, w.member, path).Has(t, "Copy NEW to Staging", "Development version 1").Lacks(t, "canary")
		w.set(development, "NEW", "canary-5")
		state := w.State()
		stale := page.Form(t, copying).Submit(t, nil)
		if stale.Status != http.StatusPreconditionFailed || w.State() != state {
			t.Errorf("what nobody has seen was copied: %d", stale.Status)
		}
		stale.Has(t, "development has changed since you looked", "Development version 2")
		stale.Form(t, copying).Submit(t, nil).Has(t, "The secret is copied.", "NEW missing ✓ same ✓ same")
		if w.values(staging)["NEW"] != "canary-5" {
			t.Error("it has another value")
		}
		again := stale.Form(t, copying).Submit(t, nil)
		if again.Status != http.StatusPreconditionFailed {
			t.Errorf("a second time: %d", again.Status)
		}
		again.Has(t, "Staging has NEW by now")
		for _, from := range []string{"", "development", "nowhere:1", "staging:1"} {
			page := post(t, w.member, copying, url.Values{"key": {"NEW"}, "to": {"production"}, "seen": {"2"}, "from": {from}})
			if page.Status == http.StatusOK || w.values(production)["NEW"] != "" {
				t.Errorf("from %q: %d", from, page.Status)
			}
		}
		for _, query := range []string{"", "?key=NEW", "?to=staging", "?key=NEW&to=nowhere", "?key=N-W&to=staging"} {
			if page := visit(t, w.member, copying+query); page.Status != http.StatusNotFound {
				t.Errorf("%s: %d", query, page.Status)
			}
		}
		state = w.State()
		refused := post(t, w.viewer, copying, url.Values{"key": {"NEW"}, "to": {"production"}, "seen": {"2"}, "from": {"development:4"}})
		if refused.Status != http.StatusForbidden || w.State() != state {
			t.Errorf("a viewer: %d", refused.Status)
		}
	})
}

func TestMatrixShowsTextAsText(t *testing.T) {
	t.Parallel()
	w := newTeam(t, "")
	w.spread()
	for _, evil := range injections() {
		query := url.QueryEscape(evil)
		w.owner.Call("PATCH", staging, map[string]any{"name": "S " + evil}).Want(http.StatusOK)
		open(t, w.member, matrixPath).IsTame(t)
		open(t, w.member, matrixPath+"?only="+query+"&q="+query).IsTame(t)
		visit(t, w.member, copying+"?key="+query+"&to="+query).IsTame(t)
		open(t, w.member, copying+"?key=NEW&to=staging").IsTame(t)
		post(t, w.member, copying, url.Values{"key": {"NEW"}, "to": {"staging"}, "seen": {evil}, "from": {evil}}).IsTame(t)
		post(t, w.member, copying, url.Values{"key": {evil}, "to": {evil}, "seen": {"1"}, "from": {evil + ":1"}}).IsTame(t)
		comparison := "/projects/web/compare/"
		open(t, w.member, comparison+"?from=development&to=staging").IsTame(t)
		visit(t, w.member, comparison+"?from="+query+"&to="+query).IsTame(t)
		preview := post(t, w.member, comparison+"preview/", url.Values{"from": {"development"}, "to": {"staging"}, "key": {"NEW"}}).IsTame(t)
		preview.Has(t, strings.Join(strings.Fields("S "+evil), " "))
		post(t, w.member, comparison+"preview/", url.Values{"from": {"development"}, "to": {"staging"}, "key": {evil}}).IsTame(t)
		post(t, w.member, comparison+"promote/", url.Values{"from": {evil}, "to": {"staging"}, "key": {evil}, "seen": {evil}}).IsTame(t)
	}
}
