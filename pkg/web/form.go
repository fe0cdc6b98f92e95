package web

import (
	"errors"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/google/uuid"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
)

// maxForm bounds what a form may send: the largest .env text that makes sense,
// escaped as forms escape it.
const maxForm = 4 << 20

// maxStrangersForm bounds what somebody unknown may send: the forms that he has are for
// names, passwords and tokens.
const maxStrangersForm = 64 << 10

// onceField is the hidden field by which a form that is sent twice does its work
// once: see vault.Request.IdempotencyKey.
const onceField = "once"

// readForm reads what a form has sent. Only the form's own content type is taken,
// and nothing from the address.
func (v *visit) readForm() error {
	kind, _, err := mime.ParseMediaType(v.r.Header.Get("Content-Type"))
	if err != nil || kind != "application/x-www-form-urlencoded" {
		return fault.New(fault.UnsupportedMediaType, "Send this form from its page.")
	}
	largest := int64(maxForm)
	if v.who.IsAnonymous() {
		largest = maxStrangersForm
	}
	v.r.Body = http.MaxBytesReader(v.w, v.r.Body, largest)
	if err := v.r.ParseForm(); err != nil {
		if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
			return fault.New(fault.TooLarge, "This is more than the server takes at once. Send it in parts.")
		}
		if badly := url.EscapeError(""); errors.As(err, &badly) { // it holds a part of what was sent, and the log has causes
			return fault.New(fault.Invalid, "The form is not escaped as forms are. Send it from its page.")
		}
		return fault.Wrap(fault.Invalid, err, "The form could not be read to its end. Try again.")
	}
	v.input = v.r.PostForm //nolint:forbidigo // the parsed form, and not the function of net/http
	if once, err := uuid.Parse(v.input.Get(onceField)); err == nil {
		v.who.Request.IdempotencyKey = once.String()
	}
	return nil
}

// text is a line of the form, without the blanks around it.
func (v *visit) text(name string) string { return strings.TrimSpace(v.input.Get(name)) }

// value is a field that holds a secret, as it is. Browsers send line ends as CR
// LF whatever was typed (HTML, "multipart form data" and its siblings); what is
// stored has LF, as in the files that people paste from. Scripts send values
// through the API, which changes nothing.
func (v *visit) value(name string) api.Value {
	return api.NewValue(strings.ReplaceAll(v.input.Get(name), "\r\n", "\n"))
}

// checked reports whether a box is ticked.
func (v *visit) checked(name string) bool { return v.input.Get(name) != "" }

// isAnother reports whether a choice of the form is another than the page showed, which
// the form repeats in a field named was-…. What nobody has touched is not sent on: a page
// that was opened before somebody else narrowed something must not widen it again.
func (v *visit) isAnother(name string) bool {
	was := "was-" + name
	return !v.input.Has(was) || v.text(name) != v.text(was)
}

// problems are what was wrong with a form.
type problems struct {
	err    *fault.Error
	action string // the path that the form was sent to: a page may have several
}

// again shows a page anew because what its form has sent was refused: with what
// was wrong, and what was typed, but for what must not be in a page. Errors that
// are not about the input end the visit.
func (v *visit) again(err error, show func(*visit) error) error {
	f := fault.As(err)
	if f == nil {
		return err
	}
	switch f.Kind {
	case fault.Invalid, fault.Conflict, fault.Forbidden, fault.TooManyRequests, fault.Gone, fault.PreconditionFailed, fault.Unauthenticated:
	default:
		return err
	}
	v.recordRefusal(v, err)
	v.problems = &problems{err: f, action: v.r.URL.Path}
	setRetryAfter(v.w.Header(), f)
	return show(v)
}

// againFor is again, for an error of one more kind.
func (v *visit) againFor(err error, kind fault.Kind, show func(*visit) error) error {
	if f := fault.As(err); f != nil && f.Kind == kind {
		v.problems = &problems{err: f, action: v.r.URL.Path}
		return show(v)
	}
	return v.again(err, show)
}

// form is what a template knows of a form.
type form struct {
	input    url.Values
	problems *problems
	kept     bool // see visit
}

// Sent reports whether what was refused was sent by the form of this action, the
// path that it is sent to.
func (f form) Sent(action string) bool { return f.problems != nil && f.problems.action == action }

// For is what the form of this action knows: on a page with several forms, what was
// refused belongs to one of them.
func (f form) For(action string) form {
	if f.Sent(action) {
		return f
	}
	return form{}
}

// Value is what was typed into a field, or otherwise.
func (f form) Value(name, otherwise string) string {
	if f.problems == nil && !f.kept || !f.input.Has(name) {
		return otherwise
	}
	return f.input.Get(name)
}

// Problem is what was wrong with a field, or "".
func (f form) Problem(name string) string {
	if f.problems == nil {
		return ""
	}
	for _, field := range f.problems.err.Fields {
		if location := field.Location; location == "body."+name || strings.HasSuffix(location, "."+name) {
			return sentence(field.Message)
		}
	}
	return ""
}

// Message is what was wrong as a whole, unless fields say it.
func (f form) Message() string {
	if f.problems == nil || len(f.problems.err.Fields) > 0 && f.problems.allNamed(f.input) {
		return ""
	}
	return message(f.problems.err)
}

// allNamed reports whether every problem belongs to a field that the form has.
func (p *problems) allNamed(input url.Values) bool {
	for _, field := range p.err.Fields {
		if !input.Has(field.Location[strings.LastIndexByte(field.Location, '.')+1:]) {
			return false
		}
	}
	return true
}

// sentence makes the end of a sentence a sentence.
func sentence(text string) string {
	if text == "" {
		return ""
	}
	text = strings.ToUpper(text[:1]) + text[1:]
	if strings.HasSuffix(text, ".") || strings.HasSuffix(text, "?") {
		return text
	}
	return text + "."
}
