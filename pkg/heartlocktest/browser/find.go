package browser

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/cdp/jsonv2"
	"github.com/chromedp/cdproto/dom"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// Roles of what can be clicked and of what can be filled in, as Chromium calls
// them in the accessibility tree.
var (
	clickable = []string{
		"button", "link", "checkbox", "radio", "switch", "tab", "option", "menuitem", "menuitemradio", "menuitemcheckbox",
		"DisclosureTriangle", "PopUpButton", "treeitem",
	}
	fillable = []string{
		"textbox", "searchbox", "spinbutton", "combobox", "listbox", "Date", "DateTime", "InputTime", "slider", "ColorWell", "PopUpButton", "button",
	}
)

// Part is a part of a page, in which names are looked for. It is found anew with
// each use, so it may be kept while the page changes.
type Part struct {
	tab    *Tab
	within *Part // nil: the page
	role   string
	name   string
	only   string // the one role of controls that are looked for; empty: all
	any    bool   // the first of several will do
}

// In is a part of this part with a role and a name: ("dialog", "Delete secret?"),
// ("region", "Danger zone"), ("navigation", "Main"). The name of a "row" or a
// "listitem" is any text that one of its elements shows, exactly, and it alone.
func (p *Part) In(role, name string) *Part {
	return &Part{tab: p.tab, within: p, role: role, name: name}
}

// Only is the same part, in which controls of one role are looked for: "button"
// where a link has the same name.
func (p *Part) Only(role string) *Part {
	narrowed := *p
	narrowed.only = role
	return &narrowed
}

// Any is the same part, in which the first of several controls with one name is
// taken, because they do the same.
func (p *Part) Any() *Part {
	relaxed := *p
	relaxed.any = true
	return &relaxed
}

// String is how a failure calls the part.
func (p *Part) String() string {
	if p.within == nil {
		return "the page"
	}
	return fmt.Sprintf("the %s %q in %s", p.role, p.name, p.within)
}

// until tries until there is no error, for Limit at most, and fails the test with
// the last one.
func (p *Part) until(try func(context.Context) error) {
	p.tab.tb.Helper()
	ctx, cancel := p.tab.limited()
	defer cancel()
	tick := time.NewTicker(25 * time.Millisecond)
	defer tick.Stop()
	var last error
	for {
		err := try(ctx)
		if err == nil {
			return
		}
		if last == nil || ctx.Err() == nil {
			last = err // and not that the time was over during the last try
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			p.tab.tb.Fatalf("%v", last)
		}
	}
}

// root finds the element that is the part.
func (p *Part) root(ctx context.Context) (runtime.RemoteObjectID, error) {
	if p.role == "" {
		object, err := chromedp.Run(ctx, chromedp.Evaluate[*runtime.RemoteObject]("document"))
		if err != nil {
			return "", err
		}
		return object.ObjectID, nil
	}
	if p.role == "row" || p.role == "listitem" {
		return p.row(ctx)
	}
	return p.within.one(ctx, []string{p.role}, p.name)
}

// row finds the one row in which an element shows the name.
func (p *Part) row(ctx context.Context) (runtime.RemoteObjectID, error) {
	outer, err := p.within.root(ctx)
	if err != nil {
		return "", err
	}
	const find = `function(name, selector) {
		const text = e => (e.tagName === 'INPUT' ? e.value : e.textContent).replace(/\s+/g, ' ').trim();
		const rows = new Set();
		for (const e of this.querySelectorAll(':is(' + selector + ') *')) if (e.checkVisibility() && text(e) === name) rows.add(e.closest(selector));
		if (rows.size > 1) throw new Error(rows.size + ' of them');
		return [...rows][0] || null;
	}`
	selector := "tr, [role=row]"
	if p.role == "listitem" {
		selector = "li, [role=listitem]"
	}
	object, err := chromedp.Run(ctx, chromedp.CallFunctionOn[*runtime.RemoteObject](find, on(outer), p.name, selector))
	switch {
	case err != nil:
		return "", fmt.Errorf("%s: %w", p, err)
	case object == nil || object.ObjectID == "":
		return "", fmt.Errorf("%s is not there", p)
	}
	return object.ObjectID, nil
}

func on(object runtime.RemoteObjectID) chromedp.CallOption {
	return func(params *runtime.CallFunctionOnParams) { params.ObjectID = object }
}

// one finds the only element in the part that has the name and one of the roles.
func (p *Part) one(ctx context.Context, roles []string, name string) (runtime.RemoteObjectID, error) {
	root, err := p.root(ctx)
	if err != nil {
		return "", err
	}
	found, err := chromedp.Call(ctx, accessibility.QueryAXTree, accessibility.QueryAXTreeParams{ObjectID: root, AccessibleName: name})
	if err != nil {
		return "", err
	}
	var nodes []*accessibility.Node
	for _, n := range found.Nodes {
		role := axText(n.Role)
		if !n.Ignored && n.BackendDOMNodeID != 0 && slices.Contains(roles, role) && (p.only == "" || p.only == role) {
			nodes = append(nodes, n)
		}
	}
	switch {
	case len(nodes) == 0:
		return "", &missingError{part: p, roles: roles, name: name}
	case len(nodes) == 1 || p.any:
		resolved, err := chromedp.Call(ctx, dom.ResolveNode, dom.ResolveNodeParams{BackendNodeID: nodes[0].BackendDOMNodeID})
		if err != nil {
			return "", err
		}
		return resolved.Object.ObjectID, nil
	}
	return "", fmt.Errorf("%d things in %s are named %q: say which one with In, Only or Any", len(nodes), p, name)
}

// missingError says that nothing in a part has a name.
type missingError struct {
	part  *Part
	roles []string
	name  string
}

// Error says it with all the names that there are, as the page is when it is
// asked.
func (e *missingError) Error() string {
	kinds := strings.Join(e.roles, ", ")
	if len(e.roles) > 3 {
		kinds = strings.Join(e.roles[:2], ", ") + " …"
	}
	return fmt.Sprintf("nothing in %s (%s) is named %q; there are: %s", e.part, kinds, e.name, e.part.names(e.roles))
}

// names lists what in the part has one of the roles.
func (p *Part) names(roles []string) string {
	ctx, cancel := p.tab.limited()
	defer cancel()
	root, err := p.root(ctx)
	if err != nil {
		return err.Error()
	}
	found, err := chromedp.Call(ctx, accessibility.QueryAXTree, accessibility.QueryAXTreeParams{ObjectID: root})
	if err != nil {
		return err.Error()
	}
	var names []string
	for _, n := range found.Nodes {
		if role := axText(n.Role); !n.Ignored && slices.Contains(roles, role) {
			names = append(names, fmt.Sprintf("%s %q", role, axText(n.Name)))
		}
	}
	if len(names) > 60 {
		names = append(names[:60], "…")
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// axText is the text of a value of the accessibility tree, with every run of white
// space as one blank, as names are compared.
func axText(v *accessibility.Value) string {
	if v == nil {
		return ""
	}
	var text string
	if err := jsonv2.Unmarshal([]byte(v.Value), &text); err != nil {
		return "" // not a text
	}
	return strings.Join(strings.Fields(text), " ")
}

// Has reports whether a control with the name is there now. To wait for one, use
// WantControl.
func (p *Part) Has(name string) bool {
	p.tab.tb.Helper()
	ctx, cancel := p.tab.limited()
	defer cancel()
	_, err := p.one(ctx, slices.Concat(clickable, fillable), name)
	var missing *missingError
	if err != nil && !errors.As(err, &missing) {
		p.tab.tb.Fatal(err)
	}
	return err == nil
}
