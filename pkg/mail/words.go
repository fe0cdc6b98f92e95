package mail

import (
	"bytes"
	"embed"
	htmltemplate "html/template"
	"strings"
	texttemplate "text/template"
	"time"
	"unicode/utf8"

	"github.com/heartlock/heartlock/pkg/fault"
)

//go:embed templates/*.txt templates/*.html
var templates embed.FS

// Content is a message put into words. Both parts say the same.
type Content struct {
	Subject string // one line
	Text    string // text/plain
	HTML    string // text/html; it loads nothing from anywhere
}

// view is what the templates see.
type view struct {
	M       Message // its texts made inert
	To      string  // the recipient's address
	Site    string  // the server's public address, or ""
	Subject string
}

// Word puts a message to the recipient into words. site is the public address of
// the server, or "" if it is not configured.
func Word(m Message, recipient, site string) (Content, error) {
	v := view{M: inertMessage(m), To: oneLine(recipient), Site: site}
	text, err := texttemplate.New("").Funcs(functions()).
		ParseFS(templates, "templates/layout.txt", "templates/"+m.Kind()+".txt")
	if err != nil {
		return Content{}, badTemplate(m, err)
	}
	var subject, plain, rich bytes.Buffer
	if err := text.ExecuteTemplate(&subject, "subject", v); err != nil {
		return Content{}, badTemplate(m, err)
	}
	v.Subject = oneLine(subject.String())
	if err := text.ExecuteTemplate(&plain, "layout", v); err != nil {
		return Content{}, badTemplate(m, err)
	}
	html, err := htmltemplate.New("").Funcs(functions()).
		ParseFS(templates, "templates/layout.html", "templates/"+m.Kind()+".html")
	if err != nil {
		return Content{}, badTemplate(m, err)
	}
	if err := html.ExecuteTemplate(&rich, "layout", v); err != nil {
		return Content{}, badTemplate(m, err)
	}
	return Content{Subject: v.Subject, Text: flow(plain.String()), HTML: rich.String()}, nil
}

func badTemplate(m Message, err error) error {
	return fault.Wrap(fault.Internal, err, "a mail of the kind "+m.Kind()+" could not be put into words")
}

// button is a link and what stands on it.
type button struct{ Label, Link string }

// fact is a line of a table.
type fact struct{ Name, Value string }

func functions() htmltemplate.FuncMap {
	return htmltemplate.FuncMap{
		"utc":     func(t time.Time) string { return t.UTC().Format("2 January 2006, 15:04 UTC") },
		"day":     func(t time.Time) string { return t.UTC().Format("2 January 2006") },
		"css":     func(name string) htmltemplate.CSS { return htmltemplate.CSS(styles()[name]) }, //nolint:gosec // constants
		"action":  func(label, link string) button { return button{label, link} },
		"facts":   facts,
		"meaning": meaning,
		"change":  change,
	}
}

// facts makes lines of names and values; those without a value are left out.
func facts(namesAndValues ...string) []fact {
	var lines []fact
	for i := 0; i+1 < len(namesAndValues); i += 2 {
		if namesAndValues[i+1] != "" {
			lines = append(lines, fact{namesAndValues[i], namesAndValues[i+1]})
		}
	}
	return lines
}

// meaning says what a role may do.
func meaning(role string) string {
	switch role {
	case "viewer":
		return "A viewer reads secrets and changes nothing."
	case "member":
		return "A member reads and changes secrets; in protected environments only admins change them."
	case "admin":
		return "An admin reads and changes all secrets, and manages members and tokens."
	case "owner":
		return "An owner may do everything in the project, including deleting it."
	}
	return ""
}

func change(kind string) string {
	switch kind {
	case "enabled":
		return "Two-factor sign-in was switched on for your account"
	case "disabled":
		return "Two-factor sign-in was switched off for your account"
	case "codes_refused":
		return "Someone with your password failed at two-factor sign-in"
	case "recovery_codes_renewed":
		return "New recovery codes were made for your account"
	}
	return "A recovery code was used to sign in to your account"
}

// styles are the inline styles: many mail programs know no others. What the dark
// colours of the layout change has a class as well.
func styles() map[string]string {
	const font = "font-family:-apple-system,BlinkMacSystemFont,'Segoe UI',Roboto,Helvetica,Arial,sans-serif;"
	return map[string]string{
		"page":       "margin:0;padding:0;background:#f3f5f8;",
		"gutter":     "padding:32px 12px;",
		"card":       "width:600px;max-width:100%;background:#ffffff;border:1px solid #dde2ea;border-radius:8px;border-collapse:separate;",
		"inside":     "padding:32px 36px;" + font,
		"brand":      "margin:0 0 20px;font-size:14px;line-height:20px;font-weight:600;letter-spacing:.02em;color:#5b6472;",
		"heading":    "margin:0 0 16px;font-size:22px;line-height:30px;font-weight:600;color:#171b22;word-break:break-word;",
		"text":       "margin:0 0 16px;font-size:16px;line-height:24px;color:#171b22;word-break:break-word;",
		"buttonbox":  "margin:8px 0 16px;",
		"button":     "background:#2d5bd7;border-radius:6px;",
		"buttontext": "display:inline-block;padding:12px 24px;font-size:16px;line-height:20px;font-weight:600;color:#ffffff;text-decoration:none;" + font,
		"link":       "color:#2d5bd7;word-break:break-all;",
		"small":      "margin:0 0 16px;font-size:13px;line-height:20px;color:#5b6472;",
		"facts":      "margin:0 0 16px;font-size:15px;line-height:22px;",
		"factname":   "padding:2px 16px 2px 0;color:#5b6472;white-space:nowrap;",
		"fact":       "padding:2px 0;color:#171b22;word-break:break-word;",
		"reason":     "margin:24px 0 12px;padding:16px 0 0;border-top:1px solid #dde2ea;font-size:13px;line-height:20px;color:#5b6472;word-break:break-word;",
	}
}

// textWidth is how long the lines of the text part become: those of a quoted
// reply still fit on the usual eighty.
const textWidth = 76

// flow breaks the paragraphs of a text anew. What is indented, such as a link,
// and the mark before the signature stay as they are.
func flow(text string) string {
	var out, paragraph []string
	end := func() {
		out = append(out, broken(paragraph)...)
		paragraph = nil
	}
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if line == "" || line[0] == ' ' || line == "--" {
			end()
			out = append(out, line)
			continue
		}
		paragraph = append(paragraph, strings.Fields(line)...)
	}
	end()
	return strings.TrimRight(strings.Join(out, "\n"), "\n") + "\n"
}

// broken puts words on lines.
func broken(words []string) (lines []string) {
	width := 0
	for _, word := range words {
		n := utf8.RuneCountInString(word)
		if len(lines) == 0 || width+1+n > textWidth {
			lines, width = append(lines, word), n
			continue
		}
		lines[len(lines)-1] += " " + word
		width += 1 + n
	}
	return lines
}

// oneLine keeps a text on one line, whatever it came with.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
