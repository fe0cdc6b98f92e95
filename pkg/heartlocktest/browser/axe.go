package browser

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/go-json-experiment/json"
)

// axeFile is where scripts/axe.sh puts axe-core.
const axeFile = "bin/axe-core-4.14.1.min.js"

// axeRun runs the rules of WCAG 2.2, levels A and AA, and what axe's makers hold
// for good practice besides. Of long lists it looks at the beginning: what comes
// after it is made in the same way, and 500 rows would take it half a minute.
const axeRun = `axe.run({include: [['html']], exclude: [['tr:nth-child(n+30)'], ['tbody:nth-of-type(n+2)'], ['li:nth-child(n+30)']]}, {resultTypes: ['violations'], runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']})
	.then(result => JSON.stringify(result.violations))`

// violation is what axe-core has against a page.
type violation struct {
	ID     string `json:"id"`
	Impact string `json:"impact"`
	Help   string `json:"help"`
	URL    string `json:"helpUrl"`
	Nodes  []struct {
		HTML    string `json:"html"`
		Target  []any  `json:"target"` // selectors; a list of them within shadow trees
		Summary string `json:"failureSummary"`
	} `json:"nodes"`
}

// Axe looks for barriers on the page as it is shown now: contrast, names, roles,
// landmarks, headings and what else axe-core knows. Each one fails the test. It
// needs scripts.
func (t *Tab) Axe() {
	t.tb.Helper()
	violations, err := t.axe()
	if err != nil {
		t.tb.Fatalf("axe-core: %v", err)
	}
	for _, v := range violations {
		t.tb.Errorf("%s, barrier %s", t.Path(), v)
	}
}

// Barriers are what Axe would fail the test for, one text each.
func (t *Tab) Barriers() []string {
	t.tb.Helper()
	violations, err := t.axe()
	if err != nil {
		t.tb.Fatalf("axe-core: %v", err)
	}
	texts := make([]string, len(violations))
	for i, v := range violations {
		texts[i] = v.String()
	}
	return texts
}

func (t *Tab) axe() ([]violation, error) {
	_, here, _, _ := runtime.Caller(0)
	script, err := os.ReadFile(filepath.Join(filepath.Dir(here), "..", "..", "..", axeFile))
	if err != nil {
		return nil, fmt.Errorf("it is not there: run scripts/axe.sh, as scripts/test.sh does (%w)", err)
	}
	there, err := evaluate[bool](t, "typeof axe === 'object'")
	if err != nil {
		return nil, err
	}
	if !there {
		// Through the protocol, which the page's Content-Security-Policy does not stop.
		if _, err := evaluate[bool](t, string(script)+"\n;true"); err != nil {
			return nil, err
		}
	}
	text, err := evaluate[string](t, axeRun)
	if err != nil {
		return nil, err
	}
	var violations []violation
	return violations, json.Unmarshal([]byte(text), &violations)
}

// String names the rule, each element that breaks it, and what would mend it.
func (v violation) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s (%s): %s\n  %s", v.ID, v.Impact, v.Help, v.URL)
	for i, n := range v.Nodes {
		if i == 5 {
			fmt.Fprintf(&b, "\n  … and %d more", len(v.Nodes)-i)
			break
		}
		fmt.Fprintf(&b, "\n  at %v: %.200s\n    %s", n.Target, n.HTML, strings.ReplaceAll(n.Summary, "\n", "\n    "))
	}
	return b.String()
}
