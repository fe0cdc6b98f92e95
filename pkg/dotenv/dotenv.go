// Package dotenv reads and writes .env text: one NAME=value on each line.
//
// # Grammar
//
// A line is optional spaces or tabs, an optional "export ", a name of ASCII
// letters, digits and "_", "=" with nothing between it and the name, and a value
// that ends with the line. Lines end with LF or CR LF. Blank lines are skipped,
// and so are lines whose first character after spaces is "#". A byte order mark
// at the beginning is skipped. The value is one of
//
//	plain text     as it stands, spaces at its end removed. A "#" after a space or
//	               tab begins a comment. Spaces before the text are kept.
//	'single'       as it stands
//	"double"       with \n \r \t \\ \" \$ and \` for a line break, a carriage return,
//	               a tab and the characters themselves
//
// After a closing quote only spaces and a comment, with a space before its "#",
// may follow. Nothing is expanded: $HOME, ${HOME} and `id` are text.
//
// Text that means the same to Django's django-environ and to the dotenv readers
// of other languages means that here too. Two differences to django-environ are
// intended: it keeps comments as part of the value, and it keeps \n inside double
// quotes as two characters. What a reader would have to guess (a line without
// "=", a quote that is not closed, an unknown escape) is an error.
package dotenv

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Entry is one variable. A name may occur more than once in a text; to most
// readers the last one counts.
type Entry struct {
	Key   string
	Value string
	Line  int // the first line is 1
}

// Problem is a line that can not be read.
type Problem struct {
	Line   int
	Reason string // what is wrong with it; never its text, which may hold a secret
}

// Error is every line of a text that can not be read.
type Error struct{ Problems []Problem }

// Error lists the lines and the reasons, never the text of a line.
func (e *Error) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = fmt.Sprintf("line %d: %s", p.Line, p.Reason)
	}
	return strings.Join(lines, "\n")
}

// The reasons.
const (
	reasonNUL         = "it holds a NUL character"
	reasonUTF8        = "it is not valid UTF-8"
	reasonNoEquals    = "it is not NAME=value"
	reasonSpace       = "there is a space before the =; write NAME=value"
	reasonName        = "the name before the = holds something else than letters, digits and _"
	reasonUnclosed    = "the quote is not closed on the same line (write a line break as \\n in double quotes)"
	reasonAfterQuote  = "there is text after the closing quote (a comment needs a space before its #)"
	reasonEscape      = `there is an unknown escape in double quotes; write a backslash as \\`
	reasonEmptyExport = "there is no name after export"
)

// Parse reads .env text and returns the variables in their order. When lines can
// not be read, the error is an [*Error] that names all of them, and the entries
// are those of the other lines.
func Parse(text []byte) ([]Entry, error) {
	text = bytes.TrimPrefix(text, []byte("\uFEFF"))
	var (
		entries []Entry
		bad     Error
		number  int
	)
	for line := range bytes.Lines(text) {
		number++
		entry, ok, reason := parseLine(string(line))
		switch {
		case reason != "":
			bad.Problems = append(bad.Problems, Problem{Line: number, Reason: reason})
		case ok:
			entry.Line = number
			entries = append(entries, entry)
		}
	}
	if len(bad.Problems) > 0 {
		return entries, &bad
	}
	return entries, nil
}

// parseLine reads one line; ok is false for a blank line or a comment.
func parseLine(line string) (entry Entry, ok bool, reason string) {
	line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
	switch {
	case strings.ContainsRune(line, 0):
		return Entry{}, false, reasonNUL
	case !utf8.ValidString(line):
		return Entry{}, false, reasonUTF8
	}
	rest := trimLeft(line)
	if rest == "" || rest[0] == '#' {
		return Entry{}, false, ""
	}
	name, text, found := strings.Cut(rest, "=")
	if !found {
		return Entry{}, false, reasonNoEquals
	}
	if after, exported := strings.CutPrefix(name, "export "); exported {
		name = trimLeft(after)
		if name == "" {
			return Entry{}, false, reasonEmptyExport
		}
	}
	if reason := nameProblem(name); reason != "" {
		return Entry{}, false, reason
	}
	value, reason := parseValue(text)
	return Entry{Key: name, Value: value}, reason == "", reason
}

func nameProblem(name string) string {
	if trimmed := trimRight(name); trimmed != name && nameProblem(trimmed) == "" {
		return reasonSpace
	}
	for i := range len(name) {
		c := name[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_') {
			return reasonName
		}
	}
	if name == "" {
		return reasonName
	}
	return ""
}

func parseValue(text string) (value, reason string) {
	switch {
	case strings.HasPrefix(text, "'"):
		value, rest, closed := strings.Cut(text[1:], "'")
		if !closed {
			return "", reasonUnclosed
		}
		return value, afterQuote(rest)
	case strings.HasPrefix(text, `"`):
		return parseDouble(text[1:])
	}
	return trimRight(text[:commentStart(text)]), ""
}

// parseDouble reads what follows an opening double quote.
func parseDouble(text string) (value, reason string) {
	var out strings.Builder
	for i := 0; i < len(text); i++ {
		switch c := text[i]; c {
		case '"':
			return out.String(), afterQuote(text[i+1:])
		case '\\':
			i++
			if i == len(text) {
				return "", reasonUnclosed
			}
			plain, known := unescape(text[i])
			if !known {
				return "", reasonEscape
			}
			out.WriteByte(plain)
		default:
			out.WriteByte(c)
		}
	}
	return "", reasonUnclosed
}

func unescape(c byte) (plain byte, known bool) {
	switch c {
	case 'n':
		return '\n', true
	case 'r':
		return '\r', true
	case 't':
		return '\t', true
	case '\\', '"', '$', '`':
		return c, true
	}
	return 0, false
}

// afterQuote checks that only spaces and a comment follow a closing quote.
func afterQuote(rest string) (reason string) {
	if trimRight(rest[:commentStart(rest)]) != "" {
		return reasonAfterQuote
	}
	return ""
}

// commentStart is where a comment begins: at a "#" after a space or tab. Without
// a comment it is the end of the text.
func commentStart(text string) int {
	for i := 1; i < len(text); i++ {
		if text[i] == '#' && (text[i-1] == ' ' || text[i-1] == '\t') {
			return i
		}
	}
	return len(text)
}

func trimLeft(text string) string  { return strings.TrimLeft(text, " \t") }
func trimRight(text string) string { return strings.TrimRight(text, " \t") }
