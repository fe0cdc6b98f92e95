package browser

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// shown is the text that a part shows, with every space as one blank.
const shown = `function() { return ((this.body || this).innerText || '').replace(/\s+/g, ' ') }`

// Text is the text that the part shows now, with every run of white space as one
// blank. What is in fields is not in it, see WantValue.
func (p *Part) Text() string {
	p.tab.tb.Helper()
	var text string
	p.until(func(ctx context.Context) (err error) {
		text, err = p.text(ctx)
		return err
	})
	return text
}

func (p *Part) text(ctx context.Context) (string, error) {
	root, err := p.root(ctx)
	if err != nil {
		return "", err
	}
	return chromedp.Run(ctx, chromedp.CallFunctionOn[string](shown, on(root)))
}

// WantText waits until the part shows all of the texts. White space counts as one
// blank.
func (p *Part) WantText(texts ...string) {
	p.tab.tb.Helper()
	p.until(func(ctx context.Context) error {
		all, err := p.text(ctx)
		if err != nil {
			return err
		}
		for _, text := range texts {
			if !strings.Contains(all, strings.Join(strings.Fields(text), " ")) {
				return fmt.Errorf("%s does not show %q; it shows: %.1500s", p, text, all)
			}
		}
		return nil
	})
}

// WantNoText waits until the part shows none of the texts. It is so at once on a
// page that has not answered yet: want first what the answer brings.
func (p *Part) WantNoText(texts ...string) {
	p.tab.tb.Helper()
	p.until(func(ctx context.Context) error {
		all, err := p.text(ctx)
		if err != nil {
			return err
		}
		for _, text := range texts {
			if strings.Contains(all, strings.Join(strings.Fields(text), " ")) {
				return fmt.Errorf("%s still shows %q; it shows: %.1500s", p, text, all)
			}
		}
		return nil
	})
}

// WantValue waits until the field with this label holds the text.
func (p *Part) WantValue(label, text string) {
	p.tab.tb.Helper()
	p.element(fillable, label, func(ctx context.Context, field runtime.RemoteObjectID) error {
		got, err := chromedp.Run(ctx, chromedp.CallFunctionOn[string](`function() { return this.value ?? this.textContent }`, on(field)))
		if err == nil && got != text {
			err = fmt.Errorf("the field %q holds %q, want %q", label, got, text)
		}
		return err
	})
}

// WantControl waits for a control with this name.
func (p *Part) WantControl(name string) {
	p.tab.tb.Helper()
	p.element(slices.Concat(clickable, fillable), name, func(context.Context, runtime.RemoteObjectID) error { return nil })
}

// WantNoControl waits until no control has this name, as far as it is shown.
func (p *Part) WantNoControl(name string) {
	p.tab.tb.Helper()
	for range 2 { // what is hidden by a script that is just running
		p.tab.settle()
	}
	p.until(func(context.Context) error {
		if p.Has(name) {
			return fmt.Errorf("%s still has a control that is named %q", p, name)
		}
		return nil
	})
}

// WantPath waits until the tab is at a path with its query, and the page is
// there.
func (t *Tab) WantPath(path string) {
	t.tb.Helper()
	t.until(func(context.Context) error {
		if got := t.Path(); got != path {
			return fmt.Errorf("the tab is at %s, want %s", got, path)
		}
		return nil
	})
	t.settle()
}

// WantStatus fails the test unless the page came with this status.
func (t *Tab) WantStatus(status int) {
	t.tb.Helper()
	if got := t.Status(); got != status {
		t.tb.Fatalf("%s: %d, want %d", t.Path(), got, status)
	}
}

// Focused is the role and the name of what has the focus, such as
// `button "Save"`, or "" when nothing has it.
func (t *Tab) Focused() string {
	t.tb.Helper()
	ctx, cancel := t.limited()
	defer cancel()
	focused, err := t.focused(ctx)
	if err != nil {
		t.tb.Fatal(err)
	}
	return focused
}

// WantFocus waits until the control with this name has the focus.
func (t *Tab) WantFocus(name string) {
	t.tb.Helper()
	t.until(func(ctx context.Context) error {
		focused, err := t.focused(ctx)
		if err == nil && !strings.HasSuffix(focused, fmt.Sprintf(" %q", name)) {
			err = fmt.Errorf("the focus is on %s, want it on %q", focused, name)
		}
		return err
	})
}

// TabTo presses the Tab key until the control with this name has the focus, as
// somebody without a mouse does. After 200 times it fails the test.
func (t *Tab) TabTo(name string) {
	t.tb.Helper()
	var seen []string
	for range 200 {
		t.Press("Tab")
		focused := t.Focused()
		if strings.HasSuffix(focused, fmt.Sprintf(" %q", name)) {
			return
		}
		seen = append(seen, focused)
	}
	t.tb.Fatalf("the Tab key never comes to %q, but to %s", name, strings.Join(slices.Compact(seen), ", "))
}
