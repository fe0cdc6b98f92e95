//go:build unix

package web_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/heartlocktest"
)

const (
	production = "/projects/web/environments/production/"
	staging    = "/projects/web/environments/staging/"
)

// apiPath is an environment's path in the API.
func apiPath(environment string) string {
	return environment + "secrets/"
}

// set gives a secret a value.
func (w *team) set(environment, key, value string) {
	w.owner.Call("PUT", apiPath(environment)+key+"/", map[string]any{"value": value})
}

// values are the secrets of an environment with their values.
func (w *team) values(environment string) map[string]string {
	var list api.SecretList
	w.owner.Call("GET", apiPath(environment)+"?values=true", nil).Want(http.StatusOK).Decode(&list)
	values := map[string]string{}
	for _, s := range list.Results {
		values[s.Key] = s.Value.Reveal()
	}
	return values
}

// protect makes production protected.
func (w *team) protect() {
	w.owner.Call("PATCH", production, map[string]any{"protected": true}).Want(http.StatusOK)
}

// changed gives production a history: 1 creates KEY_A, 2 KEY_B, 3 another value of
// KEY_A, 4 renames KEY_B to KEY_C, 5 deletes KEY_A.
func (w *team) changed() {
	w.set(production, "KEY_A", "canary-a1")
	w.set(production, "KEY_B", "canary-b1")
	w.set(production, "KEY_A", "canary-a2")
	w.owner.Call("PATCH", apiPath(production)+"KEY_B/", map[string]any{"key": "KEY_C"}).Want(http.StatusOK)
	w.owner.Call("DELETE", apiPath(production)+"KEY_A/", nil).Want(http.StatusNoContent)
}

func TestHistoryTellsEveryChange(t *testing.T) {
	t.Parallel()
	heartlocktest.EachDatabase(t, func(t *testing.T, databaseURL string) {
		w := newTeam(t, databaseURL)
		open(t, w.viewer, production+"history/").Has(t, "Nothing has happened here yet")
		w.changed()
		open(t, w.viewer, production+"history/").Has(t,
			"Revision 5", "Deleted KEY_A", "Renamed KEY_B → KEY_C", "Updated KEY_A", "Created KEY_B", "by owner@example.com").Lacks(t, "canary")
		page := open(t, w.viewer, production+"history/3/")
		page.Has(t, "Before (revision 2)", "Now (revision 5)", "KEY_A updated version 1 version 2 – not there", "KEY_B version 1 as before", "KEY_C – not there").Lacks(t, "canary")
		if page.Offers(production + "history/3/preview/") {
			t.Error("a viewer is offered to restore")
		}
		before := w.Count("audit_events", "action = 'secret.read'")
		page.Form(t, production+"history/3/reveal/").Submit(t, nil).
			Has(t, "version 1 canary-a1 version 2 canary-a2", "canary-b1", "Hide values")
		if n := w.Count("audit_events", "action = 'secret.read'") - before; n != 3 {
			t.Errorf("to reveal three states was recorded %d times", n)
		}
		open(t, w.viewer, production+"history/0/").Has(t, "Before the first secret")
		open(t, w.viewer, production+"history/5/").Has(t, "Present state", "KEY_A deleted")
		open(t, w.viewer, production+"history/4/").Has(t, "KEY_C renamed from KEY_B")
		for _, revision := range []string{"6", "-1", "+1", "01", "x", "9223372036854775807", "9223372036854775808"} {
			if page := visit(t, w.viewer, production+"history/"+revision+"/"); page.Status != http.StatusNotFound {
				t.Errorf("revision %s: %d", revision, page.Status)
			}
		}
	})
}

func TestHistoryHasPages(t *testing.T) {
	t.Parallel()
	w := newTeam(t, "")
	for i := range 51 {
		w.set(production, "KEY", fmt.Sprint("v", i))
	}
	page := open(t, w.viewer, production+"history/").Has(t, "Revision 51", "Revision 2").Lacks(t, "Revision 1 ")
	next, _ := attribute(page.All("a", "rel", "next")[0], "href")
	open(t, w.viewer, next).Has(t, "Revision 1 ", "Newest changes").Lacks(t, "Revision 2")
	page = open(t, w.viewer, production+"secrets/KEY/history/").Has(t, "Version 51", "Version 2 ").Lacks(t, "Version 1 ", "not kept")
	next, _ = attribute(page.All("a", "rel", "next")[0], "href")
	open(t, w.viewer, next).Has(t, "Version 1 ", "Created")
	for _, cursor := range []string{"x", "0", "-1", "1e3"} {
		if page := visit(t, w.viewer, production+"history/?before="+cursor); page.Status != http.StatusBadRequest {
			t.Errorf("cursor %s: %d", cursor, page.Status)
		}
	}
}

func TestRestoringShowsFirstWhatItChanges(t *testing.T) {
	t.Parallel()
	heartlocktest.EachDatabase(t, func(t *testing.T, databaseURL string) {
		w := newTeam(t, databaseURL)
		w.changed()
		const path = production + "history/2/"
		state := w.State()
		preview := open(t, w.member, path).Form(t, path+"preview/").Submit(t, nil)
		preview.Want(http.StatusOK)
		preview.Has(t, "Brought back 2 KEY_A KEY_B", "Deleted 1 KEY_C").Lacks(t, "canary")
		if w.State() != state {
			t.Error("the preview has changed something")
		}
		w.set(production, "KEY_D", "new")
		state = w.State()
		again := preview.Form(t, path+"restore/").Submit(t, nil)
		again.Has(t, "Production has changed since the preview", "Deleted 2 KEY_C KEY_D")
		if again.Status != http.StatusPreconditionFailed || w.State() != state {
			t.Errorf("what nobody has seen was overwritten: %d", again.Status)
		}
		again.Form(t, path+"restore/").Submit(t, nil).Has(t, "The environment is back at that state", "Revision 7")
		if got := w.values(production); len(got) != 2 || got["KEY_A"] != "canary-a1" || got["KEY_B"] != "canary-b1" {
			t.Errorf("restored: %d secrets", len(got))
		}
		open(t, w.member, production+"history/2/").Form(t, path+"preview/").Submit(t, nil).Has(t, "Nothing: Production holds exactly these")
	})
}

// TestWhoMayOnlyReadRestoresNothing: who may not write is told why, and gets nothing done
// with forms of his own.
func TestWhoMayOnlyReadRestoresNothing(t *testing.T) {
	t.Parallel()
	w := newTeam(t, "")
	w.changed()
	w.protect()
	for why, c := range map[string]*heartlocktest.Caller{"you are a viewer": w.viewer, "This environment is protected": w.member} {
		state := w.State()
		for _, path := range []string{"history/2/", "deleted/", "secrets/KEY_A/history/", "import/"} {
			page := open(t, c, production+path).Has(t, why)
			for _, action := range page.Actions() {
				if !strings.Contains(action, "/reveal/") {
					t.Errorf("%s is offered %s", c.Name, action)
				}
			}
		}
		for path, values := range map[string]url.Values{
			"history/2/preview/":               nil,
			"history/2/restore/":               {"seen": {"5"}},
			"deleted/KEY_A/restore/":           nil,
			"secrets/KEY_A/history/1/restore/": {"deleted": {"1"}},
			"import/":                          {"text": {"A=1"}},
		} {
			if page := post(t, c, production+path, values); page.Status != http.StatusForbidden {
				t.Errorf("%s posts %s: %d", c.Name, path, page.Status)
			}
		}
		if w.State() != state {
			t.Errorf("%s has changed something", c.Name)
		}
	}
}

func TestSecretIsRolledBackAndBroughtBack(t *testing.T) {
	t.Parallel()
	heartlocktest.EachDatabase(t, func(t *testing.T, databaseURL string) {
		w := newTeam(t, databaseURL)
		const path = production + "secrets/KEY/history/"
		w.set(production, "KEY", "canary-1")
		w.set(production, "KEY", "canary-2")
		w.owner.Call("PUT", apiPath(production)+"KEY/", map[string]any{"value": "canary-2", "comment": "about it"}).Want(http.StatusOK)
		page := open(t, w.member, path)
		page.Has(t, "Version 3 present", "Comment changed, and perhaps the value", "about it", "Version 2", "New value", "Version 1", "Created").Lacks(t, "canary")
		page.Form(t, path+"1/reveal/#v1").Submit(t, nil).Has(t, "canary-1").Lacks(t, "canary-2")
		if n := w.Count("audit_events", "action = 'secret.read' AND target = 'KEY'"); n != 1 {
			t.Errorf("the reading was recorded %d times", n)
		}
		w.set(production, "KEY", "canary-4")
		state := w.State()
		stale := page.Form(t, path+"1/restore/").Submit(t, nil)
		if stale.Status != http.StatusPreconditionFailed || w.State() != state {
			t.Errorf("what nobody has seen was overwritten: %d", stale.Status)
		}
		stale.Has(t, "The secret has changed", "Version 4 present")
		stale.Form(t, path+"1/restore/").Submit(t, nil).Has(t, "The secret has that value again", "Version 5 present")
		if got := w.values(production)["KEY"]; got != "canary-1" {
			t.Error("it has another value")
		}
		w.owner.Call("DELETE", apiPath(production)+"KEY/", nil).Want(http.StatusNoContent)
		open(t, w.member, path).Has(t, "KEY is deleted", "Version 6 deleted").Form(t, path+"2/restore/").Submit(t, nil).Has(t, "Brought back")
		if got := w.values(production)["KEY"]; got != "canary-2" {
			t.Error("it came back with another value")
		}
		w.bringsBack(t)
	})
}

// bringsBack deletes KEY and brings it back from the list of deleted ones.
func (w *team) bringsBack(t *testing.T) {
	t.Helper()
	w.owner.Call("DELETE", apiPath(production)+"KEY/", nil).Want(http.StatusNoContent)
	form := open(t, w.member, production+"deleted/").Has(t, "KEY", "owner@example.com").Lacks(t, "canary").Form(t, production+"deleted/KEY/restore/")
	form.Submit(t, nil).Has(t, "The secret is back, with its last value.", "Nothing to bring back")
	if got := w.values(production)["KEY"]; got != "canary-2" {
		t.Error("it came back with another value")
	}
	state := w.State()
	again := form.Submit(t, nil)
	if again.Status != http.StatusPreconditionFailed || w.State() != state {
		t.Errorf("a second time: %d", again.Status)
	}
	again.Has(t, "The secret exists already")
}

func TestHistoryShowsTextAsText(t *testing.T) {
	t.Parallel()
	w := newTeam(t, "")
	for i, evil := range injections() {
		key := fmt.Sprint("KEY_", i)
		w.owner.Call("PUT", apiPath(production)+key+"/", map[string]any{"value": evil, "comment": evil}).Want(http.StatusCreated)
		w.owner.Call("PATCH", production, map[string]any{"name": "P " + strings.Trim(evil, "{}")}).Want(http.StatusOK)
		history := production + "secrets/" + key + "/history/"
		open(t, w.member, history).IsTame(t).Form(t, history+"1/reveal/#v1").Submit(t, nil).
			Has(t, strings.Join(strings.Fields(evil), " ")).IsTame(t)
		open(t, w.member, production+"history/").IsTame(t)
		open(t, w.member, production+"deleted/").IsTame(t)
		revision := fmt.Sprint(production, "history/", i, "/")
		page := open(t, w.member, revision).IsTame(t)
		page.Form(t, revision+"reveal/").Submit(t, nil).Has(t, strings.Join(strings.Fields(evil), " ")).IsTame(t)
		page.Form(t, revision+"preview/").Submit(t, nil).IsTame(t)
		visit(t, w.member, production+"history/?before="+url.QueryEscape(evil)).IsTame(t)
		visit(t, w.member, production+"history/"+url.PathEscape(evil)+"/").IsTame(t)
	}
}
