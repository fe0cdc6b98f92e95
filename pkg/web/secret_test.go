//go:build unix

package web_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/heartlock/heartlock/pkg/heartlocktest"
)

const apiKey = development + "secrets/API_KEY/"

func TestSecretIsRevealedAndChanged(t *testing.T) {
	t.Parallel()
	heartlocktest.EachDatabase(t, func(t *testing.T, databaseURL string) {
		w := newTeam(t, databaseURL)
		w.set(development, "API_KEY", "\ncanary </textarea><b>\n")
		page := open(t, w.member, apiKey).Has(t, "Version 1").Lacks(t, "canary")
		if strings.Contains(page.Body, "canary") {
			t.Error("the page holds a value that nobody has asked for")
		}
		if page := page.Form(t, apiKey+"value/").Submit(t, nil).Has(t, "To make it empty, reveal the value first."); page.Status != http.StatusBadRequest {
			t.Errorf("a hidden value was emptied: %d", page.Status)
		}
		page = page.Form(t, apiKey+"reveal/").Submit(t, nil)
		if got := page.Form(t, apiKey+"value/").Values().Get("value"); got != "\ncanary </textarea><b>\n" || len(page.All("b")) > 0 {
			t.Errorf("revealed it is %q", got)
		}
		if n := w.Count("audit_events", "action = 'secret.read' AND target = 'API_KEY'"); n != 1 {
			t.Errorf("it was recorded %d times", n)
		}
		page.Form(t, apiKey+"value/").Submit(t, field("value", "second\r\nline")).Has(t, "Saved.", "Version 2")
		if got := w.values(development)["API_KEY"]; got != "second\nline" {
			t.Errorf("changed it is %q", got)
		}
		open(t, w.viewer, apiKey).Form(t, apiKey+"reveal/").Submit(t, nil).Has(t, "second line").
			Lacks(t, "Save value")
		open(t, w.member, apiKey).Form(t, apiKey+"reveal/").Submit(t, nil).
			Form(t, apiKey+"value/").Submit(t, field("value", "")).Has(t, "Saved.")
		if got, there := w.values(development)["API_KEY"]; got != "" || !there {
			t.Errorf("emptied it is %q", got)
		}
		if page := open(t, w.member, apiKey).Form(t, apiKey+"value/").Submit(t, field("value", strings.Repeat("canary", 20_000))); page.Status != http.StatusBadRequest || strings.Contains(page.Body, "canary") {
			t.Errorf("a large value: %d", page.Status)
		}
	})
}

func TestSecretIsRenamedAndDeleted(t *testing.T) {
	t.Parallel()
	w := newTeam(t, "")
	w.set(development, "API_KEY", "canary")
	w.set(development, "OTHER", "x")
	details := func(page *document, key, comment string) *document {
		return page.Form(t, apiKey+"details/").Submit(t, field("key", key, "comment", comment))
	}
	page := details(open(t, w.member, apiKey), "OTHER", `"><script>alert(1)</script>`).Has(t, "There is a secret OTHER already.")
	if page.Status != http.StatusConflict || strings.Contains(page.Body, "<script>alert") {
		t.Errorf("a key that is taken: %d", page.Status)
	}
	if form := page.Form(t, apiKey+"details/").Values(); form.Get("key") != "OTHER" || form.Get("comment") != `"><script>alert(1)</script>` {
		t.Errorf("what was typed is %q", form)
	}
	if page = details(open(t, w.member, apiKey), "no key", "x").Has(t, "Must be 1 to 255 letters"); page.Status != http.StatusBadRequest {
		t.Errorf("a wrong key: %d", page.Status)
	}
	stale := open(t, w.member, apiKey)
	page = details(open(t, w.member, apiKey), "NEW_KEY", "of {{.Me}} <b>mine</b>").Has(t, "Saved.", "of {{.Me}} <b>mine</b>", "Version 2")
	if page.Path != development+"secrets/NEW_KEY/" {
		t.Errorf("renamed it is at %s", page.Path)
	}
	if page = details(stale, "OTHER_KEY", ""); page.Status != http.StatusNotFound {
		t.Errorf("renamed by somebody else: %d", page.Status)
	}
	const renamed = development + "secrets/NEW_KEY/"
	stale = open(t, w.member, renamed)
	w.set(development, "NEW_KEY", "changed")
	if page = stale.Form(t, renamed+"details/").Submit(t, field("key", "X", "comment", "mine")); page.Status != http.StatusPreconditionFailed {
		t.Errorf("changed by somebody else: %d", page.Status)
	}
	page.Has(t, "has changed since you read it", "Version 3")
	open(t, w.member, renamed).Form(t, renamed+"delete/").Submit(t, nil).Has(t, "The secret is deleted.").Lacks(t, "NEW_KEY")
	if page := visit(t, w.member, renamed); page.Status != http.StatusNotFound {
		t.Errorf("deleted: %d", page.Status)
	}
}

// The later of two is shown both values, and the page is the only one that gives back
// what was typed.
func TestLaterOfTwoIsShownBothValues(t *testing.T) {
	t.Parallel()
	w := newTeam(t, "")
	w.set(development, "API_KEY", "first")
	page := open(t, w.member, apiKey).Form(t, apiKey+"reveal/").Submit(t, nil)
	w.owner.Call("PUT", apiPath(development)+"API_KEY/", map[string]any{"value": "of </pre> the owner"}).Want(http.StatusOK)
	page = page.Form(t, apiKey+"value/").Submit(t, field("value", "\r\nof </textarea> mine"))
	if page.Status != http.StatusPreconditionFailed {
		t.Fatalf("it was answered %d", page.Status)
	}
	page.Has(t, heartlocktest.OwnerEmail+" has changed this secret while you were editing it.", "of </pre> the owner")
	if got := page.Form(t, apiKey+"value/").Values().Get("value"); got != "\nof </textarea> mine" {
		t.Errorf("mine is %q", got)
	}
	if got := w.values(development)["API_KEY"]; got != "of </pre> the owner" {
		t.Errorf("it is %q", got)
	}
	if n := w.Count("audit_events", "action = 'secret.read' AND target = 'API_KEY'"); n != 2 {
		t.Errorf("two readings were recorded %d times", n)
	}
	page.Form(t, apiKey+"value/").Submit(t, field("value", "of both")).Has(t, "Saved.")
	if got := w.values(development)["API_KEY"]; got != "of both" {
		t.Errorf("it is %q", got)
	}

	stale := open(t, w.member, apiKey)
	w.owner.Call("DELETE", apiPath(development)+"API_KEY/", nil).Want(http.StatusNoContent)
	page = stale.Form(t, apiKey+"value/").Submit(t, field("value", "of mine alone")).Has(t, "Somebody has deleted this secret while you were editing it.")
	if page.Status != http.StatusPreconditionFailed {
		t.Fatalf("it was answered %d", page.Status)
	}
	page.Form(t, apiKey+"value/").Submit(t, nil).Has(t, "Saved.")
	if got := w.values(development)["API_KEY"]; got != "of mine alone" {
		t.Errorf("it is %q", got)
	}
}
