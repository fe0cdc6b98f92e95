//go:build unix

package web_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/heartlock/heartlock/pkg/heartlocktest"
)

const (
	comparing   = "/projects/web/compare/"
	devToStage  = comparing + "?from=development&to=staging"
	stageToDev  = comparing + "?from=staging&to=development"
	stageToProd = comparing + "?from=staging&to=production"
)

func TestTwoEnvironmentsAreCompared(t *testing.T) {
	t.Parallel()
	heartlocktest.EachDatabase(t, func(t *testing.T, databaseURL string) {
		w := newTeam(t, databaseURL)
		w.spread()
		open(t, w.viewer, comparing).Has(t, "Staging compared with Production", "1 difference")
		page := open(t, w.viewer, devToStage).Has(t, "2 differences", "NEW only in Development", "OTHER different", "1 key with the same value in both ALIKE").Lacks(t, "canary", "Preview")
		before := w.Count("audit_events", "action = 'secret.read'")
		page.Form(t, comparing+"reveal/").Submit(t, nil).Has(t, "canary-3", "canary-2", "canary-4", "Hide values").Lacks(t, "canary-1")
		if n := w.Count("audit_events", "action = 'secret.read'") - before; n != 2 {
			t.Errorf("to reveal both sides was recorded %d times", n)
		}
		open(t, w.viewer, stageToDev).Has(t, "NEW only in Development")
		open(t, w.member, comparing+"?from=staging&to=staging").Has(t, "Choose two different environments.")
		for _, query := range []string{"?from=staging", "?to=staging", "?from=staging&to=nowhere"} {
			if page := visit(t, w.viewer, comparing+query); page.Status != http.StatusNotFound {
				t.Errorf("%s: %d", query, page.Status)
			}
		}
	})
}

// promotes sends what the preview's button sends.
func promotes(t *testing.T, preview *document) *document {
	t.Helper()
	preview.Want(http.StatusOK)
	return preview.Form(t, comparing+"promote/").Submit(t, nil)
}

func TestPromotionShowsFirstWhatItChanges(t *testing.T) {
	t.Parallel()
	heartlocktest.EachDatabase(t, func(t *testing.T, databaseURL string) {
		w := newTeam(t, databaseURL)
		w.spread()
		state := w.State()
		select1 := func(key, field string) url.Values { return url.Values{field: {key}} }
		preview := open(t, w.member, devToStage).Form(t, comparing+"preview/").Submit(t, select1("OTHER", "key"))
		preview.Has(t, "Copy from Development to Staging?", "Replaced 1 OTHER").Lacks(t, "canary", "NEW")
		if w.State() != state {
			t.Error("the preview has changed something")
		}
		promotes(t, preview).Has(t, "The secrets are copied.", "1 difference")
		want := map[string]string{"ALIKE": "canary-1", "OTHER": "canary-2"}
		if !cmp.Equal(w.values(staging), want) {
			t.Error("other secrets were copied")
		}
		// What only the other one has can be deleted, and is not unless it is chosen.
		post(t, w.member, comparing+"preview/", url.Values{"from": {"staging"}, "to": {"development"}, "all": {"1"}}).Has(t, "Nothing: Development has these values already.")
		promotes(t, open(t, w.member, stageToDev).Form(t, comparing+"preview/").Submit(t, select1("NEW", "remove")).
			Has(t, "Deleted 1 NEW", "and delete 1")).Has(t, "No difference")
		if !cmp.Equal(w.values(development), want) {
			t.Error("something else was deleted")
		}
	})
}

// TestNothingUnseenIsPromoted changes either side after the preview.
func TestNothingUnseenIsPromoted(t *testing.T) {
	t.Parallel()
	w := newTeam(t, "")
	w.spread()
	for _, changed := range []string{development, staging} {
		sent := url.Values{"from": {"development"}, "to": {"staging"}, "all": {"1"}}
		preview := post(t, w.member, comparing+"preview/", sent).Has(t, "Created")
		w.set(changed, "LATER", "canary-"+changed)
		state := w.State()
		again := preview.Form(t, comparing+"promote/").Submit(t, nil)
		again.Has(t, "One of the environments has changed since the preview", "Created")
		if again.Status != http.StatusPreconditionFailed || w.State() != state {
			t.Errorf("%s: %d", changed, again.Status)
		}
	}
	state := w.State()
	for name, c := range map[string]struct {
		status int
		says   string
		values url.Values
	}{
		"nothing selected": {http.StatusBadRequest, "Select the secrets to copy.", nil},
		"a wrong key":      {http.StatusBadRequest, "The selection names NOWHERE, which is not in development.", field("key", "NOWHERE")},
		"a key twice":      {http.StatusBadRequest, "The selection names NEW twice.", url.Values{"key": {"NEW", "NEW"}}},
		"no revision":      {http.StatusBadRequest, "The form is not whole.", url.Values{"key": {"NEW"}, "seen": {"2"}}},
	} {
		values := url.Values{"from": {"development"}, "to": {"staging"}, "seen": {"3"}, "from_seen": {"4"}}
		for k, v := range c.values {
			values[k] = v
		}
		if name == "no revision" {
			values.Del("from_seen")
		}
		page := post(t, w.member, comparing+"promote/", values).Has(t, c.says)
		if page.Status != c.status {
			t.Errorf("%s: %d", name, page.Status)
		}
	}
	if w.State() != state {
		t.Error("something has changed")
	}
}

// TestProtectedTargetSaysWhoMay: the page says it, and a form of one's own is refused.
func TestProtectedTargetSaysWhoMay(t *testing.T) {
	t.Parallel()
	w := newTeam(t, "")
	w.spread()
	w.set(staging, "LATE", "canary")
	w.protect()
	w.owner.Call("PATCH", "/projects/web/members/"+w.viewer.UserID+"/", map[string]any{"role": "member", "environments": map[string]any{"staging": "read"}}).Want(http.StatusOK)
	for _, c := range []struct {
		who      *heartlocktest.Caller
		path, to string
		says     string
		may      bool
	}{
		{w.member, stageToProd, "production", "Production is protected: only admins and owners of the project can copy secrets to it.", false},
		{w.viewer, devToStage, "staging", "You can read the secrets of Staging and not change them.", false},
		{w.admin, stageToProd, "production", "Preview all", true},
	} {
		page := open(t, c.who, c.path).Has(t, c.says)
		if offered := page.Offers(comparing+"preview/") && len(page.All("input", "name", "key")) > 0; offered != c.may {
			t.Errorf("%s is offered %s: %v", c.who.Name, c.path, offered)
		}
		before := w.State()
		sent := url.Values{"from": {"development"}, "to": {c.to}, "all": {"1"}, "seen": {"2"}, "from_seen": {"3"}}
		for _, step := range []string{"preview/", "promote/"} {
			answer := post(t, c.who, comparing+step, sent)
			if c.may != (answer.Status == http.StatusOK) || !c.may && answer.Status != http.StatusForbidden {
				t.Errorf("%s by %s: %d", step, c.who.Name, answer.Status)
			}
		}
		if changed := w.State() != before; changed != c.may {
			t.Errorf("%s has changed something: %v", c.who.Name, changed)
		}
	}
}
