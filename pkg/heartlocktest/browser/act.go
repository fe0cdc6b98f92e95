package browser

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/chromedp/cdproto/dom"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// spot is where an element can be clicked, or why not.
type spot struct {
	X, Y    float64
	Problem string
}

// aim finds the spot of an element: its middle, if it is enabled, on the screen,
// and not under something else. A checkbox that only its label shows is clicked
// there, as people do.
const aim = `function() {
	if (!this.isConnected) return {Problem: 'it is gone'};
	if (this.matches(':disabled, [aria-disabled=true]')) return {Problem: 'it is disabled'};
	const shown = e => { const r = e.getClientRects()[0]; return r && r.width > 1 && r.height > 1 && e.checkVisibility({visibilityProperty: true}) };
	let target = this;
	const label = this.labels && this.labels[0];
	if (label && (this.type === 'checkbox' || this.type === 'radio') && (!shown(this) || getComputedStyle(this).opacity === '0')) target = label;
	if (!shown(target)) return {Problem: 'it is not shown'};
	target.scrollIntoView({block: 'center', inline: 'nearest', behavior: 'instant'});
	const r = target.getClientRects()[0], X = r.x + r.width / 2, Y = r.y + r.height / 2;
	let top = document.elementFromPoint(X, Y);
	while (top && top.shadowRoot && top.shadowRoot.elementFromPoint(X, Y) !== top) top = top.shadowRoot.elementFromPoint(X, Y);
	const inner = top && (target.contains(top) || top.contains(target) && top.tagName === 'LABEL');
	if (!inner) return {X, Y, Problem: 'it is covered by ' + (top ? top.outerHTML.slice(0, 120) : 'nothing of the page')};
	return {X, Y, Problem: ''};
}`

// Click clicks the button, link, checkbox, tab or the like with this name, once it
// holds still, and waits for the page that it leads to, if it does.
func (p *Part) Click(name string) {
	p.tab.tb.Helper()
	p.click(clickable, name, 1)
}

// DoubleClick clicks twice.
func (p *Part) DoubleClick(name string) {
	p.tab.tb.Helper()
	p.click(slices.Concat(clickable, []string{"cell", "gridcell", "rowheader"}), name, 2)
}

func (p *Part) click(roles []string, name string, times int64) {
	p.tab.tb.Helper()
	p.tab.settle()
	var at, before spot
	p.until(func(ctx context.Context) error {
		element, err := p.one(ctx, roles, name)
		if err != nil {
			return err
		}
		at, err = chromedp.Run(ctx, chromedp.CallFunctionOn[spot](aim, on(element)))
		if err == nil && at.Problem != "" {
			err = fmt.Errorf("%q in %s can not be clicked: %s", name, p, at.Problem)
		}
		if err == nil && at != before {
			before = at
			err = fmt.Errorf("%q in %s does not hold still", name, p)
		}
		return err
	})
	p.tab.mouse(at, times)
	p.tab.settle()
}

// mouse clicks somewhere.
func (t *Tab) mouse(at spot, times int64) {
	t.tb.Helper()
	ctx, cancel := t.limited()
	defer cancel()
	event := input.DispatchMouseEventParams{Type: input.DispatchMouseEventTypeMouseMoved, X: at.X, Y: at.Y}
	err := command(ctx, input.DispatchMouseEvent, event)
	event.Button = input.MouseButtonLeft
	for n := int64(1); n <= times && err == nil; n++ {
		event.Type, event.Buttons, event.ClickCount = input.DispatchMouseEventTypeMousePressed, 1, n
		if err = command(ctx, input.DispatchMouseEvent, event); err != nil {
			break
		}
		event.Type, event.Buttons = input.DispatchMouseEventTypeMouseReleased, 0
		err = command(ctx, input.DispatchMouseEvent, event)
	}
	if err != nil {
		t.tb.Fatalf("a click: %v", err)
	}
}

// element waits for the only one with the name and one of the roles and does
// something with it; what fails is tried again.
func (p *Part) element(roles []string, name string, do func(context.Context, runtime.RemoteObjectID) error) {
	p.tab.tb.Helper()
	p.tab.settle()
	p.until(func(ctx context.Context) error {
		element, err := p.one(ctx, roles, name)
		if err != nil {
			return err
		}
		return do(ctx, element)
	})
}

// begin makes a field ready for a text that replaces the one that it has: it has
// the focus and everything in it is selected.
const begin = `function() {
	if (this.matches(':disabled') || this.readOnly) throw new Error('it can not be filled in');
	this.focus();
	if (document.activeElement !== this) throw new Error('it does not take the focus');
	if (this.select) this.select(); else getSelection().selectAllChildren(this);
}`

// put sets the value of a field in which no text can be typed, as its picker does.
const put = `function(value) {
	this.value = value;
	this.dispatchEvent(new Event('input', {bubbles: true}));
	this.dispatchEvent(new Event('change', {bubbles: true}));
	return this.value;
}`

// Fill replaces what is in the field with this label by the text, as one paste. A
// date is written as "2026-11-24", a date with a time as "2026-11-24T16:00".
func (p *Part) Fill(label, text string) {
	p.tab.tb.Helper()
	var typed bool
	p.element(fillable, label, func(ctx context.Context, field runtime.RemoteObjectID) error {
		kind, err := chromedp.Run(ctx, chromedp.CallFunctionOn[string](`function() { return this.type || '' }`, on(field)))
		if err != nil {
			return err
		}
		typed = !slices.Contains([]string{"date", "datetime-local", "time", "month", "color", "range"}, kind)
		if !typed {
			got, err := chromedp.Run(ctx, chromedp.CallFunctionOn[string](put, on(field), text))
			if err == nil && got != text {
				err = fmt.Errorf("the field %q takes no %q", label, text)
			}
			return err
		}
		_, err = chromedp.Run(ctx, chromedp.CallFunctionOn[any](begin, on(field)))
		if err != nil && !errors.Is(err, chromedp.ErrJSUndefined) {
			return fmt.Errorf("the field %q: %w", label, err)
		}
		return nil
	})
	if !typed {
		return
	}
	if text == "" {
		p.tab.Press("Delete")
		return
	}
	p.tab.Paste(text)
}

// Paste puts a text where the cursor is, all at once.
func (t *Tab) Paste(text string) {
	t.tb.Helper()
	ctx, cancel := t.limited()
	defer cancel()
	if err := command(ctx, input.InsertText, input.InsertTextParams{Text: text}); err != nil {
		t.tb.Fatal(err)
	}
}

// Select chooses the option with this text in the list with this label.
func (p *Part) Select(label, option string) {
	p.tab.tb.Helper()
	const choose = `function(text) {
		const option = [...this.options].find(o => o.label.trim() === text);
		if (!option) throw new Error('its options are ' + [...this.options].map(o => o.label.trim()).join(', '));
		option.selected = true;
		this.dispatchEvent(new Event('input', {bubbles: true}));
		this.dispatchEvent(new Event('change', {bubbles: true}));
		return option.label;
	}`
	p.element([]string{"combobox", "listbox", "PopUpButton"}, label, func(ctx context.Context, list runtime.RemoteObjectID) error {
		_, err := chromedp.Run(ctx, chromedp.CallFunctionOn[string](choose, on(list), option))
		if err != nil {
			return fmt.Errorf("the list %q has no %q: %w", label, option, err)
		}
		return nil
	})
	p.tab.settle()
}

// Check makes sure that the checkbox or radio button with this label is ticked, or
// is not.
func (p *Part) Check(label string, ticked bool) {
	p.tab.tb.Helper()
	var now bool
	roles := []string{"checkbox", "radio", "switch"}
	p.element(roles, label, func(ctx context.Context, box runtime.RemoteObjectID) (err error) {
		now, err = chromedp.Run(ctx, chromedp.CallFunctionOn[bool](`function() { return this.checked }`, on(box)))
		return err
	})
	if now != ticked {
		p.click(roles, label, 1)
	}
}

// Upload gives files to the field for files with this label, hidden or not.
func (p *Part) Upload(label string, files ...string) {
	p.tab.tb.Helper()
	const find = `function(text) {
		const fields = [...(this.querySelectorAll ? this : document).querySelectorAll('input[type=file]')];
		const name = f => f.ariaLabel || [...f.labels].map(l => l.textContent.replace(/\s+/g, ' ').trim()).join(' ');
		return fields.find(f => name(f) === text) || null;
	}`
	p.until(func(ctx context.Context) error {
		root, err := p.root(ctx)
		if err != nil {
			return err
		}
		field, err := chromedp.Run(ctx, chromedp.CallFunctionOn[*runtime.RemoteObject](find, on(root), label))
		if err != nil {
			return err
		}
		if field == nil || field.ObjectID == "" {
			return fmt.Errorf("%s has no field for files with the label %q", p, label)
		}
		return command(ctx, dom.SetFileInputFiles, dom.SetFileInputFilesParams{Files: files, ObjectID: field.ObjectID})
	})
	p.tab.settle()
}

// Focus puts the focus on the control with this name.
func (p *Part) Focus(name string) {
	p.tab.tb.Helper()
	p.element(slices.Concat(clickable, fillable), name, func(ctx context.Context, element runtime.RemoteObjectID) error {
		return command(ctx, dom.Focus, dom.FocusParams{ObjectID: element})
	})
}

// Press presses keys one after the other: "a", "Tab", "Enter", "Space", "Escape",
// "ArrowDown", with "Shift+", "Control+", "Alt+", "Meta+" before it. It waits for
// the page that one leads to, if it does.
func (t *Tab) Press(keys ...string) {
	t.tb.Helper()
	for _, key := range keys {
		ctx, cancel := t.limited()
		err := press(ctx, key)
		cancel()
		if err != nil {
			t.tb.Fatalf("the key %s: %v", key, err)
		}
		t.settle()
	}
}

// Type types a text key by key.
func (t *Tab) Type(text string) {
	t.tb.Helper()
	ctx, cancel := t.limited()
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.KeyEvent(text)); err != nil {
		t.tb.Fatal(err)
	}
	t.settle()
}

// press presses one key, with the keys that are held down before it.
func press(ctx context.Context, key string) error {
	name := key
	var held []chromedp.Modifier
	for {
		before, after, found := strings.Cut(name, "+")
		if !found || after == "" {
			break
		}
		modifier, known := modifiers[before]
		if !known {
			return fmt.Errorf("there is no modifier %q", before)
		}
		held, name = append(held, modifier), after
	}
	code, known := keyCodes[name]
	if !known {
		if len([]rune(name)) != 1 {
			return errors.New("it is not known here")
		}
		code = name
	}
	return chromedp.Do(ctx, chromedp.KeyEvent(code, chromedp.KeyModifiers(held...)))
}
