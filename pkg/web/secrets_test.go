//go:build unix

package web_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/heartlocktest"
)

// rows are the keys of the table, in its order.
func rows(d *document) (keys []string) {
	for _, row := range d.All("tr", "data-v", "*") {
		keys = append(keys, textOf(all(row, "a")[0]))
	}
	return keys
}

func TestProjectLeadsToItsFirstEnvironment(t *testing.T) {
	t.Parallel()
	w := newTeam(t, "")
	if page := open(t, w.viewer, "/projects/web/"); page.Path != development {
		t.Errorf("it leads to %s", page.Path)
	}
	none := map[string]any{"environments": map[string]any{"development": "none", "staging": "none", "production": "none"}}
	for _, who := range []*heartlocktest.Caller{w.viewer, w.member} {
		w.owner.Call("PATCH", "/projects/web/members/"+who.UserID+"/", none).Want(http.StatusOK)
	}
	page := open(t, w.viewer, "/projects/web/").Has(t, "No environment to show")
	if n := len(page.All("a", "href", "/projects/web/settings/")); n != 1 { // of the navigation
		t.Errorf("a viewer is sent to the settings %d times", n)
	}
	open(t, w.member, "/projects/web/").Has(t, "Create one in the settings")
}

func TestTableIsFilteredAndSortedByTheServer(t *testing.T) {
	t.Parallel()
	heartlocktest.EachDatabase(t, func(t *testing.T, databaseURL string) {
		w := newTeam(t, databaseURL)
		open(t, w.viewer, development).Has(t, "No secrets in Development yet", "heartlock secrets get DATABASE_URL -p web -e development").Lacks(t, "import the .env")
		open(t, w.member, development).Has(t, "import the .env file")
		for _, key := range []string{"C_ONE", "A_TWO", "B_THREE"} {
			w.set(development, key, "canary")
		}
		w.owner.Call("PATCH", apiPath(development)+"B_THREE/", map[string]any{"comment": "Of the ONE service"}).Want(http.StatusOK)
		for query, want := range map[string][]string{
			"":                        {"A_TWO", "B_THREE", "C_ONE"},
			"?sort=change":            {"B_THREE", "A_TWO", "C_ONE"},
			"?q=+one+":                {"B_THREE", "C_ONE"},
			"?q=one&sort=change":      {"B_THREE", "C_ONE"},
			"?q=nothing":              nil,
			"?q=%22%3E%3Cb%3E&sort=x": nil,
		} {
			page := open(t, w.viewer, development+query)
			if got := rows(page); !slices.Equal(got, want) {
				t.Errorf("%q: %q", query, got)
			}
			if len(page.All("b")) > 0 {
				t.Errorf("%q: text became markup", query)
			}
		}
		open(t, w.viewer, development+"?q=nothing").Has(t, "0 of 3", "No secret matches", "holds “ nothing ”")
	})
}

func TestAllValuesAreRevealedOnce(t *testing.T) {
	t.Parallel()
	w := newTeam(t, "")
	w.set(production, "KEY_A", "canary <b>one</b>")
	w.set(production, "KEY_B", "")
	w.protect()
	page := open(t, w.viewer, production)
	if strings.Contains(page.Body, "canary") {
		t.Fatal("the table holds a value that nobody has asked for")
	}
	page.Form(t, production+"reveal/").Submit(t, nil).Has(t, "KEY_A canary <b>one</b>", "Hide all")
	if n := w.Count("audit_events", "action = 'secret.read' AND target = '*'"); n != 1 {
		t.Errorf("it was recorded %d times", n)
	}
	open(t, w.viewer, production).Lacks(t, "canary")
}

// TestTableOffersWhatRoleAllows compares what the pages offer with what the server does.
func TestTableOffersWhatRoleAllows(t *testing.T) {
	t.Parallel()
	w := newTeam(t, "")
	for _, environment := range []string{development, staging, production} {
		w.set(environment, "API_KEY", "canary")
	}
	w.protect()
	w.owner.Call("PATCH", "/projects/web/members/"+w.member.UserID+"/", map[string]any{"environments": map[string]any{"staging": "read"}}).Want(http.StatusOK)
	for role, c := range w.everybody() {
		for environment, why := range map[string]string{development: "you are a viewer", staging: "an admin of the project has limited you", production: "This environment is protected"} {
			writes := role == "owner" || role == "admin" || role == "member" && environment == development
			table, secret := open(t, c, environment), open(t, c, environment+"secrets/API_KEY/")
			forms := map[string]url.Values{
				"secrets/":                 field("key", "NEW_"+strings.ToUpper(role), "value", "x"),
				"secrets/API_KEY/value/":   field("value", "y"),
				"secrets/API_KEY/details/": field("key", "API_KEY", "comment", role),
			}
			for action, values := range forms {
				page := secret
				if action == "secrets/" {
					page = table
				}
				if page.Offers(environment+action) != writes {
					t.Errorf("%s: %s is offered %s: %t", role, environment+action, action, !writes)
				}
				want := http.StatusForbidden
				if writes {
					want = http.StatusOK
				}
				if answer := post(t, c, environment+action, values); answer.Status != want {
					t.Errorf("%s: POST %s: %d", role, environment+action, answer.Status)
				}
			}
			if secret.Offers(environment+"secrets/API_KEY/delete/") != writes {
				t.Errorf("%s in %s: to delete is offered: %t", role, environment, !writes)
			}
			switch {
			case writes:
				table.Lacks(t, "You can read these secrets and not change them")
			case role == "viewer":
				table.Has(t, "you are a viewer of this project")
				secret.Has(t, "you are a viewer of this project")
			default:
				table.Has(t, why)
				secret.Has(t, why)
			}
		}
	}
}

func TestSecretIsAdded(t *testing.T) {
	t.Parallel()
	heartlocktest.EachDatabase(t, func(t *testing.T, databaseURL string) {
		w := newTeam(t, databaseURL)
		add := func(key, value, comment string) *document {
			return open(t, w.member, development+"?add=1").Form(t, development+"secrets/").
				Submit(t, field("key", key, "value", value, "comment", comment))
		}
		add(" API_KEY ", "one\r\ntwo\r\n", "first\r\nsecond").Has(t, "The secret is there.", "API_KEY first second")
		if got := w.values(development)["API_KEY"]; got != "one\ntwo\n" {
			t.Errorf("it is %q", got)
		}
		page := add("API_KEY", "canary", "of <i>mine</i>").Has(t, "There is a secret API_KEY already.")
		if page.Status != http.StatusConflict || strings.Contains(page.Body, "canary") {
			t.Errorf("a key that is taken: %d, and the page holds the value: %t", page.Status, strings.Contains(page.Body, "canary"))
		}
		form := page.Form(t, development+"secrets/").Values()
		if form.Get("key") != "API_KEY" || form.Get("comment") != "of <i>mine</i>" || form.Get("value") != "" {
			t.Errorf("what was typed is %q", form)
		}
		page = add(`1"><script>alert(1)</script>`, "canary", `{{.Me}}"><script>alert(1)</script>`).Has(t, "must be 1 to 255 letters, digits or underscores")
		if page.Status != http.StatusBadRequest || strings.Contains(page.Body, "<script>alert") || strings.Contains(page.Body, "canary") {
			t.Errorf("a wrong key: %d %s", page.Status, page.Body)
		}
		if page = add("BIG", strings.Repeat("canary", 20_000), ""); page.Status != http.StatusBadRequest || strings.Contains(page.Body, "canary") {
			t.Errorf("a large value: %d", page.Status)
		}
		page.Has(t, "is larger than 64 KiB")
		if page = add("PATH", "/bin", ""); page.Path != development+"secrets/PATH/" {
			t.Errorf("after a key that changes what programs execute: %s", page.Path)
		}
		page.Has(t, "This key changes what programs execute.")
	})
}

// TestTableIsLight holds the page of a large environment to its size.
func TestTableIsLight(t *testing.T) {
	t.Parallel()
	w := newTeam(t, "")
	const count = 1000
	set, comments := map[string]string{}, map[string]string{}
	for i := range count {
		key := fmt.Sprintf("SERVICE_DATABASE_%04d", i)
		set[key], comments[key] = "x", "Of the service with this number"
	}
	w.owner.Call("POST", apiPath(development)+"bulk/", api.BulkRequest{}).Want(http.StatusBadRequest)
	w.owner.Call("POST", apiPath(development)+"bulk/", map[string]any{"set": set, "comments": comments}).Want(http.StatusOK)
	whole, none := open(t, w.owner, development), open(t, w.owner, development+"?q=nothing")
	if n := len(rows(whole)); n != count {
		t.Fatalf("%d rows", n)
	}
	if size := (len(whole.Body) - len(none.Body)) / count; size > 350 {
		t.Errorf("a row has %d bytes", size)
	}
	if groups := len(whole.All("tbody")); groups != count/50 {
		t.Errorf("%d groups", groups)
	}
}
