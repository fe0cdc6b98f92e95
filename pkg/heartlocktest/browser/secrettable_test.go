//go:build unix

package browser_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/heartlocktest"
	"github.com/heartlock/heartlock/pkg/heartlocktest/browser"
)

// openTable opens the table of some secrets.
func openTable(t *testing.T, secrets map[string]string) (*house, *browser.Tab) {
	t.Helper()
	h := newHouseWithProject(t, "shop", secrets)
	tab := h.tab(h.owner)
	tab.Open(shop)
	ready(tab, secrets)
	return h, tab
}

// ready waits until the scripts have given buttons to the rows.
func ready(tab *browser.Tab, secrets map[string]string) {
	for key := range secrets {
		tab.WantControl("Reveal " + key)
	}
}

// reads counts how often values were read, as the audit trail tells it.
func (h *house) reads(target string) int {
	return h.Count("audit_events", "action = 'secret.read' AND target = '"+target+"'")
}

func TestTheTableIsFilteredAndSorted(t *testing.T) {
	t.Parallel()
	secrets := map[string]string{"ALPHA": "1", "BETA": "2", "GAMMA": "3"}
	h, tab := openTable(t, secrets)
	h.owner.Call("PATCH", secretsOf("shop", "development")+"ALPHA/", map[string]any{"comment": "Of the betatron"}).Want(http.StatusOK)
	tab.Reload()
	ready(tab, secrets)
	tab.WantText("3 secrets")
	tab.Press("/")
	tab.WantFocus("Filter by key or comment")
	tab.Fill("Filter by key or comment", "beta")
	tab.WantText("2 of 3", "ALPHA", "BETA")
	tab.WantNoText("GAMMA")
	tab.Type("x")
	tab.WantText("0 of 3", "Neither a key nor a comment holds “betax”.")
	tab.Press("Escape")
	tab.WantText("3 secrets", "GAMMA")
	tab.Click("Changed")
	if text := tab.Text(); strings.Index(text, "ALPHA") > strings.Index(text, "BETA") {
		t.Error("what was changed last is not the first")
	}
	tab.Click("Key")
	tab.Axe()
}

// The rows of a long table come in groups, which are laid out when they are near.
func TestALongTableIsWorked(t *testing.T) {
	t.Parallel()
	secrets := map[string]string{}
	for i := range 300 {
		secrets[fmt.Sprintf("SERVICE_%03d_KEY", i)] = fmt.Sprintf("canary-%03d", i)
	}
	h := newHouseWithProject(t, "shop", secrets)
	tab := h.tab(h.owner)
	tab.Open(shop)
	tab.WantControl("Reveal SERVICE_000_KEY")
	browser.Evaluate[bool](tab, `(document.querySelector("tbody:last-of-type tr:last-child").scrollIntoView(), true)`)
	tab.Click("Reveal SERVICE_299_KEY")
	tab.WantText("canary-299")
	tab.Fill("Filter by key or comment", "_15")
	tab.WantText("10 of 300", "SERVICE_150_KEY", "SERVICE_159_KEY")
	tab.WantControl("Reveal SERVICE_155_KEY")
	tab.WantNoText("SERVICE_299_KEY", "SERVICE_149_KEY")
	tab.Press("ArrowDown", "End", "Delete")
	tab.WantText("SERVICE_159_KEY is deleted.", "9 of 299")
	tab.WantFocus("SERVICE_158_KEY")
	tab.Fill("Filter by key or comment", "")
	tab.WantText("299 secrets")
	tab.Click("Undo")
	tab.WantText("SERVICE_159_KEY is back.", "300 secrets")
	tab.Click("Changed")
	if first := browser.Evaluate[string](tab, `document.querySelector("tbody tr a").textContent`); first != "SERVICE_159_KEY" {
		t.Errorf("the first is %s", first)
	}
	if last := browser.Evaluate[string](tab, `[...document.querySelectorAll("tbody tr a")].at(-1).textContent`); last != "SERVICE_299_KEY" {
		t.Errorf("the last is %s", last)
	}
	tab.Click("Reveal all")
	tab.WantText("300 values are shown.")
	tab.Click("Hide all")
	if strings.Contains(tab.HTML(), "canary") {
		t.Error("the page still holds a value")
	}
}

func TestAValueIsRevealedAndCopied(t *testing.T) {
	t.Parallel()
	h, tab := openTable(t, map[string]string{"API_KEY": "canary-one", "OTHER": "canary-two"})
	tab.HoldClipboard()
	tab.In("row", "API_KEY").Click("Copy API_KEY")
	tab.WantText("The value of API_KEY is copied.")
	tab.WantClipboard("canary-one")
	if html := tab.HTML(); strings.Contains(html, "canary") {
		t.Error("the page holds a value that was only copied")
	}
	tab.Click("Reveal API_KEY")
	tab.WantText("canary-one")
	if html := tab.HTML(); strings.Contains(html, "canary-two") {
		t.Error("the page holds a value that nobody has asked for")
	}
	tab.Axe()
	tab.Click("Hide API_KEY")
	tab.WantNoText("canary-one")
	tab.Click("Reveal all")
	tab.WantText("canary-one", "canary-two", "2 values are shown.")
	tab.Click("Hide all")
	tab.WantNoText("canary-one", "canary-two")
	if strings.Contains(tab.HTML(), "canary") {
		t.Error("the page still holds a value")
	}
	if one, all := h.reads("API_KEY"), h.reads("*"); one != 2 || all != 1 {
		t.Errorf("the trail has %d readings of the one and %d of all", one, all)
	}
}

func TestRevealedValuesGoByThemselves(t *testing.T) {
	t.Parallel()
	t.Run("after a minute", func(t *testing.T) {
		t.Parallel()
		_, tab := openTable(t, map[string]string{"API_KEY": "canary-one"})
		tab.Click("Reveal all")
		tab.WantText("canary-one")
		tab.PassTime(59 * time.Second)
		tab.WantText("canary-one")
		tab.PassTime(2 * time.Second)
		if strings.Contains(tab.HTML(), "canary") {
			t.Error("the value is still there")
		}
	})
	t.Run("when the tab is hidden", func(t *testing.T) {
		t.Parallel()
		_, tab := openTable(t, map[string]string{"API_KEY": "canary-one"})
		tab.Click("Reveal API_KEY")
		tab.WantText("canary-one")
		tab.Hide()
		tab.WantNoText("canary-one")
		if strings.Contains(tab.HTML(), "canary") {
			t.Error("the value is still there")
		}
	})
	t.Run("as it is set", func(t *testing.T) {
		t.Parallel()
		_, tab := openTable(t, map[string]string{"API_KEY": "canary-one"})
		tab.Click("Settings of this table")
		tab.Click("after 5 minutes")
		tab.Press("Escape")
		tab.Reload()
		tab.Click("Reveal API_KEY")
		tab.WantText("canary-one")
		tab.PassTime(4 * time.Minute)
		tab.WantText("canary-one")
		tab.PassTime(2 * time.Minute)
		tab.WantNoText("canary-one")
	})
}

func TestAValueIsEditedInItsRow(t *testing.T) {
	t.Parallel()
	h, tab := openTable(t, map[string]string{"API_KEY": "first", "CERT": "one\r\ntwo\r\n"})
	tab.Click("Edit API_KEY")
	tab.WantValue("Value of API_KEY", "first")
	tab.Axe()
	tab.Type(" and more")
	tab.Press("Enter")
	tab.WantText("API_KEY is saved.")
	if got := h.value("shop", "development", "API_KEY"); got != "first and more" {
		t.Errorf("it is %q", got)
	}
	tab.Click("Edit API_KEY")
	tab.Fill("Value of API_KEY", "first and more\nsecond line")
	tab.Press("Enter") // of several lines: a line more
	tab.Press("Control+Enter")
	tab.WantNoControl("Value of API_KEY")
	if got := h.value("shop", "development", "API_KEY"); got != "first and more\nsecond line\n" {
		t.Errorf("it is %q", got)
	}
	tab.Click("Edit API_KEY")
	tab.WantValue("Value of API_KEY", "first and more\nsecond line\n")
	tab.Type("never mind")
	tab.Press("Escape")
	tab.WantNoControl("Value of API_KEY")
	tab.Click("Edit CERT")
	tab.WantValue("Value of CERT", "one\ntwo\n")
	tab.Type("three")
	tab.Press("Control+Enter")
	tab.WantText("CERT is saved.")
	if got := h.value("shop", "development", "CERT"); got != "one\r\ntwo\r\nthree" {
		t.Errorf("the line ends are not what they were: %q", got)
	}
	if got := h.value("shop", "development", "API_KEY"); got != "first and more\nsecond line\n" {
		t.Errorf("what was cancelled is %q", got)
	}
	if strings.Contains(tab.HTML(), "second line") {
		t.Error("the page holds a value after it was saved")
	}
}

func TestASecretIsAddedRenamedAndDeleted(t *testing.T) {
	t.Parallel()
	h, tab := openTable(t, map[string]string{"API_KEY": "first"})
	tab.Click("Add secret")
	tab.WantFocus("Key")
	tab.Type("PATH")
	tab.Fill("Value", "/opt/bin")
	tab.Fill("Comment (optional)", "Where programs are")
	tab.In("form", "New secret").Click("Add secret")
	tab.WantText("PATH is added. PATH changes what programs execute", "2 secrets", "Where programs are")
	tab.WantFocus("Key")
	tab.Allow(http.StatusPreconditionFailed)
	tab.Type("API_KEY")
	tab.Fill("Value", "x")
	tab.Press("Enter")
	tab.WantText("There is a secret with this key already.")
	tab.Axe()
	tab.Press("Escape")
	tab.WantFocus("Add secret")

	tab.Click("More for API_KEY")
	tab.Click("Rename or comment…")
	tab.Axe()
	tab.In("dialog", "Rename or comment").Fill("Key", "SHOP_KEY")
	tab.In("dialog", "Rename or comment").Fill("Comment", "Of the shop")
	tab.In("dialog", "Rename or comment").Click("Save")
	tab.WantText("SHOP_KEY is saved.", "Of the shop")
	if got := h.value("shop", "development", "SHOP_KEY"); got != "first" {
		t.Errorf("renamed it is %q", got)
	}

	tab.Click("More for SHOP_KEY")
	tab.Click("Delete")
	tab.WantText("SHOP_KEY is deleted.", "1 secret")
	h.owner.Call("GET", secretsOf("shop", "development")+"SHOP_KEY/", nil).Want(http.StatusNotFound)
	tab.Click("Undo")
	tab.WantText("SHOP_KEY is back.", "2 secrets")
	if got := h.value("shop", "development", "SHOP_KEY"); got != "first" {
		t.Errorf("brought back it is %q", got)
	}
}

// Two people edit one value: the later one is shown both, and nothing is lost.
func TestTwoPeopleEditOneValue(t *testing.T) {
	t.Parallel()
	begin := func(t *testing.T) (*house, *browser.Tab) {
		t.Helper()
		h, tab := openTable(t, map[string]string{"API_KEY": "first"})
		ann := h.person("ann")
		h.AddMember(h.projectID("shop"), ann.UserID, api.RoleMember)
		tab.Allow(http.StatusPreconditionFailed, http.StatusNotFound)
		tab.Click("Edit API_KEY")
		tab.WantValue("Value of API_KEY", "first")
		ann.Call("PUT", secretsOf("shop", "development")+"API_KEY/", map[string]any{"value": "of ann"}).Want(http.StatusOK)
		tab.Fill("Value of API_KEY", "of the owner")
		tab.Press("Enter")
		tab.WantText("API_KEY was changed meanwhile", "ann@example.com has saved another value", "Saved by ann@example.com", "of ann")
		tab.WantValue("Yours, not saved", "of the owner")
		if got := h.value("shop", "development", "API_KEY"); got != "of ann" {
			t.Errorf("before anybody has chosen it is %q", got)
		}
		return h, tab
	}
	want := func(t *testing.T, h *house, value string) {
		t.Helper()
		if got := h.value("shop", "development", "API_KEY"); got != value {
			t.Errorf("it is %q, want %q", got, value)
		}
	}
	t.Run("mine", func(t *testing.T) {
		t.Parallel()
		h, tab := begin(t)
		tab.Axe()
		tab.Fill("Yours, not saved", "of both")
		tab.Click("Save mine")
		tab.WantText("API_KEY is saved.")
		want(t, h, "of both")
	})
	t.Run("theirs", func(t *testing.T) {
		t.Parallel()
		h, tab := begin(t)
		tab.Click("Keep theirs")
		tab.WantNoControl("Value of API_KEY")
		want(t, h, "of ann")
		if html := tab.HTML(); strings.Contains(html, "of ann") || strings.Contains(html, "of the owner") {
			t.Error("the page still holds a value")
		}
	})
	t.Run("neither", func(t *testing.T) {
		t.Parallel()
		h, tab := begin(t)
		tab.Press("Escape")
		tab.WantValue("Value of API_KEY", "of the owner")
		h.owner.Call("DELETE", secretsOf("shop", "development")+"API_KEY/", nil).Want(http.StatusNoContent)
		tab.Press("Enter")
		tab.WantText("API_KEY was deleted or renamed meanwhile", heartlocktest.OwnerEmail)
		tab.Click("Save mine as a new secret")
		tab.WantText("API_KEY is saved.")
		want(t, h, "of the owner")
	})
}

// projectID is the id of a project of the owner.
func (h *house) projectID(slug string) string {
	h.t.Helper()
	var project api.Project
	h.owner.Call("GET", "/projects/"+slug+"/", nil).Want(http.StatusOK).Decode(&project)
	return project.ID
}

func TestWhatOthersChangeIsOffered(t *testing.T) {
	t.Parallel()
	h, tab := openTable(t, map[string]string{"API_KEY": "first", "OTHER": "x", "THIRD": "y"})
	back := func() { browser.Evaluate[bool](tab, `dispatchEvent(new Event("focus"))`) }
	tab.Click("Edit API_KEY")
	tab.Fill("Value of API_KEY", "not saved yet")
	h.set("shop", "development", map[string]string{"API_KEY": "changed", "NEW_ONE": "z"})
	h.owner.Call("DELETE", secretsOf("shop", "development")+"THIRD/", nil).Want(http.StatusNoContent)
	back()
	tab.WantText(heartlocktest.OwnerEmail, "changed 3 secrets since this page was loaded.")
	tab.Click("Show the changes")
	tab.WantText("NEW_ONE", "3 secrets")
	tab.WantNoText("THIRD", "since this page was loaded")
	tab.WantValue("Value of API_KEY", "not saved yet")
	tab.Focus("Value of API_KEY")
	tab.Allow(http.StatusPreconditionFailed)
	tab.Press("Enter")
	tab.WantText("API_KEY was changed meanwhile")
	tab.Click("Save mine")
	tab.WantText("API_KEY is saved.")
	back()
	tab.Click("Reveal API_KEY")
	tab.WantText("not saved yet")
	tab.WantNoText("since this page was loaded")
}

// Somebody deletes a secret while another edits it: the edit stays open.
func TestAnEditOutlivesItsSecret(t *testing.T) {
	t.Parallel()
	h, tab := openTable(t, map[string]string{"API_KEY": "first", "OTHER": "x"})
	tab.Click("Edit API_KEY")
	tab.WantValue("Value of API_KEY", "first")
	tab.Fill("Value of API_KEY", "not saved yet")
	for _, key := range []string{"API_KEY", "OTHER"} {
		h.owner.Call("DELETE", secretsOf("shop", "development")+key+"/", nil).Want(http.StatusNoContent)
	}
	browser.Evaluate[bool](tab, `dispatchEvent(new Event("focus"))`)
	tab.WantText("Somebody has changed 2 secrets since this page was loaded.")
	tab.Click("Show the changes")
	tab.WantNoText("OTHER")
	tab.WantValue("Value of API_KEY", "not saved yet")
}

// TestTheTableIsWorkedWithKeysAlone goes from the top of the page to each thing that
// can be done with a secret without a mouse.
func TestTheTableIsWorkedWithKeysAlone(t *testing.T) {
	t.Parallel()
	h, tab := openTable(t, map[string]string{"A_KEY": "one", "B_KEY": "two", "C_KEY": "three"})
	tab.HoldClipboard()
	tab.TabTo("Filter by key or comment")
	tab.Press("ArrowDown", "ArrowDown")
	tab.Press("r")
	tab.In("row", "B_KEY").WantText("two")
	tab.Press("c")
	tab.WantText("The value of B_KEY is copied.")
	tab.WantClipboard("two")
	tab.Press("Tab")
	tab.WantFocus("B_KEY")
	tab.Press("Tab")
	tab.WantFocus("Hide B_KEY")
	tab.Press("End", "Enter")
	tab.WantFocus("Value of C_KEY")
	tab.Type("!")
	tab.Press("Enter")
	tab.WantText("C_KEY is saved.")
	if got := h.value("shop", "development", "C_KEY"); got != "three!" {
		t.Errorf("C_KEY is %q", got)
	}
	tab.Press("ArrowUp", "Delete")
	tab.WantText("B_KEY is deleted.", "2 secrets")
	tab.Press("u")
	tab.WantText("B_KEY is back.", "3 secrets")
	tab.Press("?")
	tab.In("dialog", "Keys").WantText("Copy the value without showing it")
	tab.Axe()
	tab.Press("Escape", "n")
	tab.WantFocus("Key")
	tab.Fill("Key", "")
	tab.Type("n?/rc")
	tab.WantValue("Key", "n?/rc")
	tab.Press("Escape")
	tab.Click("Settings of this table")
	tab.Click("Single keys do things, such as c")
	tab.Press("Escape")
	tab.Press("n")
	tab.WantNoControl("Comment (optional)")
}

func TestADotenvTextIsPasted(t *testing.T) {
	t.Parallel()
	h, tab := openTable(t, map[string]string{"API_KEY": "first"})
	tab.Click("Add secret")
	paste := func(where, text string) {
		browser.Evaluate[bool](tab, `(() => {
			const data = new DataTransfer();
			data.setData("text/plain", `+quoted(text)+`);
			return `+where+`.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true }));
		})()`)
	}
	paste("document.activeElement", `export SHOP_URL="https://shop.example.com"`)
	tab.WantValue("Key", "SHOP_URL")
	tab.WantValue("Value", "https://shop.example.com")
	tab.In("form", "New secret").Click("Add secret")
	tab.WantText("SHOP_URL is added.")
	tab.Press("Escape")
	paste("document.body", "# of the shop\nONE=1\nTWO=2\n")
	tab.WantText("This looks like a .env text with 2 secrets.")
	tab.Click("Import it")
	tab.WantPath(shop + "import/")
	tab.WantText("What would change", "ONE", "TWO")
	if n := h.Count("secrets", "key IN ('ONE', 'TWO')"); n != 0 {
		t.Errorf("%d secrets came before anybody has agreed", n)
	}
}

// quoted is a text as JavaScript writes it.
func quoted(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(text) + `"`
}

// Who may only read is offered nothing else.
func TestAViewerReads(t *testing.T) {
	t.Parallel()
	h := newHouseWithProject(t, "shop", map[string]string{"API_KEY": "canary"})
	ann := h.person("ann")
	h.AddMember(h.projectID("shop"), ann.UserID, api.RoleViewer)
	tab := h.tab(ann)
	tab.Open(shop)
	tab.WantText("you are a viewer of this project")
	tab.Click("Reveal API_KEY")
	tab.WantText("canary")
	for _, name := range []string{"Add secret", "Import", "Edit API_KEY"} {
		tab.WantNoControl(name)
	}
	tab.Click("More for API_KEY")
	tab.WantNoControl("Delete")
	tab.Click("Open")
	tab.WantPath(shop + "secrets/API_KEY/")
	tab.WantNoText("canary")
	tab.Click("Reveal")
	tab.WantText("canary")
	tab.Axe()
}
