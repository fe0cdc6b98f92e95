// Package browser lets a test use Heartlock's pages as a person does: in a real
// Chromium, by the names that things have on the screen and in a screen reader.
//
// One Chromium runs for each test process, and every tab has cookies, cache and
// permissions of its own, so tests may be parallel. A package that uses it says
// so once:
//
//	func TestMain(m *testing.M) { os.Exit(browser.Main(m)) }
//
// and then
//
//	func TestRename(t *testing.T) {
//		server := heartlocktest.StartServer(t, heartlocktest.ServerOptions{})
//		owner := server.Onboard()
//		tab := browser.NewTab(t, server.URL, browser.Phone, browser.Dark)
//		tab.SignIn(owner) // or fill in the form, as below
//		tab.Open("/login/")
//		tab.Fill("Email", heartlocktest.OwnerEmail)
//		tab.Fill("Password", heartlocktest.Password)
//		tab.Click("Sign in")
//		tab.WantPath("/projects/")
//		tab.WantText("No projects yet")
//		tab.In("row", "DATABASE_URL").Click("Reveal")
//		tab.Press("Tab", "Enter", "Escape", "Control+k")
//		tab.Axe()
//	}
//
// # Names
//
// Click, Fill and the like take the accessible name of a control, exactly, as
// Chromium computes it: the text of a button or a link, the label of a field, an
// aria-label. What can not be found by its name can not be used with a screen
// reader either. When several controls have the name, say where with In. A
// failure lists the names that there are.
//
// # Waiting
//
// Nothing here sleeps. Every call tries until what it asks for is so, for Limit
// at most, and fails the test then. A click waits for the page that it leads to.
// WantNoText is true at once on a page that has not answered yet: want what the
// answer brings first.
//
// # What fails a test by itself
//
// An error in the console, an exception, a violation of the page's
// Content-Security-Policy, a request to another origin, a request of a script or
// a page's part that fails, and a JavaScript dialog: they fail the test when it
// ends. What a test provokes it announces with Tab.Allow and Tab.AllowOrigin.
//
// When a test has failed, a screenshot and the HTML of each of its tabs are kept
// in the test's artifacts (go test -artifacts), or else in a directory that the
// output names.
package browser
