//go:build unix

package browser_test

import (
	"strings"
	"testing"
	"time"

	"github.com/heartlock/heartlock/pkg/heartlocktest"
	"github.com/heartlock/heartlock/pkg/heartlocktest/browser"
)

// choose gives a file to the page's field for one, as the browser's dialog does.
func choose(tab *browser.Tab, name, content string) {
	browser.Evaluate[bool](tab, `(() => {
		const files = new DataTransfer(), input = document.getElementById('file');
		files.items.add(new File([`+content+`], '`+name+`'));
		input.files = files.files;
		return input.dispatchEvent(new Event('change'));
	})()`)
}

// TestAFileIsReadForAnImport: its text is put into the field, and nothing is sent.
func TestAFileIsReadForAnImport(t *testing.T) {
	t.Parallel()
	h := newHouseWithProject(t, "shop", map[string]string{"STAYS": "as it is"})
	tab := h.tab(h.owner)
	tab.Open(shop + "import/")
	heartlocktest.Eventually(t, "the file is in the field", func() bool {
		choose(tab, "secrets.yaml", `'A: "1"\n'`) // again, if the page's scripts were not loaded yet
		return strings.Contains(tab.Text(), "secrets.yaml is in the field")
	})
	tab.WantValue("Secrets", "A: \"1\"\n")
	tab.WantValue("Format", "yaml")
	choose(tab, "picture.png", `new Uint8Array([0x89, 0xff])`)
	tab.WantText("picture.png is not UTF-8 text.")
	tab.WantValue("Secrets", "A: \"1\"\n")
	choose(tab, "large.env", `'A='.padEnd(4 << 20, 'x')`)
	tab.WantText("The file is too large for a page.")
	tab.Click("Preview")
	tab.WantText("What would change", "read as YAML")
	// What was changed after the preview can not be imported unseen.
	tab.Fill("Secrets", "A: \"2\"\n")
	if !browser.Evaluate[bool](tab, `document.querySelector('button[form=import]').disabled`) {
		t.Error("the import is still offered")
	}
	tab.Click("Preview again")
	tab.Click("Import 1 secret")
	tab.WantText("The text is imported.")
	if h.value("shop", "development", "A") != "2" {
		t.Error("A has another value")
	}
}

func TestTheMatrixIsFiltered(t *testing.T) {
	t.Parallel()
	h := newHouseWithProject(t, "shop", map[string]string{"API_KEY": "1", "DB_URL": "2", "DB_USER": "3"})
	h.set("shop", "staging", map[string]string{"API_KEY": "1", "DB_URL": "2", "DB_USER": "4"})
	h.set("shop", "production", map[string]string{"API_KEY": "1", "DB_URL": "2"})
	tab := h.tab(h.owner)
	tab.Open("/projects/shop/matrix/")
	shown := func(keys string) {
		t.Helper()
		got := browser.Evaluate[string](tab, `[...document.querySelectorAll('tbody tr')].filter((r) => !r.hidden).map((r) => r.cells[0].firstChild.textContent.trim()).join(' ')`)
		if got != keys {
			t.Errorf("%q is shown, want %q", got, keys)
		}
	}
	tab.WantNoControl("Filter") // the script takes it away when it is ready
	tab.Press("/")
	tab.WantFocus("Filter by key")
	tab.Fill("Filter by key", "db")
	tab.WantText("2 of 3")
	shown("DB_URL DB_USER")
	tab.Check("Only differences", true)
	tab.WantText("1 of 3")
	shown("DB_USER")
	tab.Fill("Filter by key", "nothing")
	tab.WantText("No key matches")
	tab.Press("Escape")
	tab.Check("Only differences", false)
	tab.WantText("3 keys")
	shown("API_KEY DB_URL DB_USER")
	tab.Click("– copy DB_USER to Production")
	tab.WantText("Copy DB_USER to Production")
	tab.Click("Copy to Production")
	tab.WantText("The secret is copied.")
	if h.value("shop", "production", "DB_USER") != "3" {
		t.Error("another value was copied")
	}
}

// TestRowsAreSelected: what would be deleted is not among all that are selected at once.
func TestRowsAreSelected(t *testing.T) {
	t.Parallel()
	h := newHouseWithProject(t, "shop", map[string]string{"API_KEY": "1", "DB_URL": "canary-2", "DB_USER": "3"})
	h.set("shop", "staging", map[string]string{"DB_URL": "canary-other", "OLD": "5"})
	tab := h.tab(h.owner)
	tab.Open("/projects/shop/compare/?from=development&to=staging")
	tab.Fill("Filter by key", "db")
	heartlocktest.Eventually(t, "what is seen is selected", func() bool {
		tab.Check("Select all that can be copied", true) // again, if the page's scripts were not loaded yet
		return strings.Contains(tab.Text(), "2 to copy")
	})
	tab.Fill("Filter by key", "")
	tab.Check("Select all that can be copied", true)
	tab.WantText("3 to copy")
	tab.Check("Copy DB_USER", false)
	tab.Check("Delete OLD from Staging", true)
	tab.WantText("2 to copy, 1 to delete")
	tab.Click("Preview the selected")
	tab.WantText("Copy from Development to Staging?", "API_KEY", "DB_URL", "OLD")
	tab.WantNoText("DB_USER")
	tab.Click("Copy to Staging and delete 1")
	tab.WantText("The secrets are copied.")
	if h.value("shop", "staging", "DB_URL") != "canary-2" {
		t.Error("it was not copied")
	}
}

// TestRevealedPagesForget: values that the server has put into a page go after a
// minute, or when the tab is hidden.
func TestRevealedPagesForget(t *testing.T) {
	t.Parallel()
	h := newHouseWithProject(t, "shop", map[string]string{"API_KEY": "canary-old"})
	h.set("shop", "development", map[string]string{"API_KEY": "canary-new"})
	h.set("shop", "staging", map[string]string{"API_KEY": "canary-else"})
	for path, button := range map[string]string{
		shop + "history/2/":                                   "Reveal values",
		shop + "secrets/API_KEY/history/":                     "Reveal version 1",
		shop + "export/":                                      "Show it here",
		"/projects/shop/compare/?from=development&to=staging": "Reveal both values",
	} {
		tab := h.tab(h.owner)
		tab.Open(path)
		tab.Click(button)
		tab.WantText("canary-")
		heartlocktest.Eventually(t, "the values of "+path+" are gone", func() bool {
			tab.PassTime(61 * time.Second) // again, if the page's scripts were not loaded yet
			return !strings.Contains(tab.HTML(), "canary-")
		})
		tab.WantControl(button)
	}
}
