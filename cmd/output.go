package cmd

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/term"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
)

// isTerminal reports whether a stream ends at a person's screen or keyboard.
func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// safeText spells out what would steer a terminal instead of being shown on it:
// control characters but the line break and the tab, the marks that reorder
// text, and bytes that are no UTF-8.
func safeText(text string) string {
	var b strings.Builder
	for len(text) > 0 {
		r, size := utf8.DecodeRuneInString(text)
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, text[0])
		case r == '\n' || r == '\t':
			b.WriteRune(r)
		case r < 0x80 && unicode.IsControl(r):
			fmt.Fprintf(&b, `\x%02x`, r)
		case steers(r):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
		text = text[size:]
	}
	return b.String()
}

// steers reports whether r is one of the control characters beyond ASCII, a
// line separator, or a mark that reorders the text around it.
func steers(r rune) bool {
	return r >= 0x80 && unicode.IsControl(r) || r == 0x061C || r == 0x200E || r == 0x200F ||
		r >= 0x2028 && r <= 0x202E || r >= 0x2066 && r <= 0x2069
}

// cell is text for a table, which is one line whatever the text holds.
func cell(text string) string {
	return strings.NewReplacer("\n", `\n`, "\r", `\r`, "\t", `\t`).Replace(text)
}

// write puts data on standard output, all of it or an error.
func (c *cli) write(data []byte) error {
	if _, err := c.streams.Out.Write(data); err != nil {
		return fault.Wrap(fault.Invalid, err, "Standard output can not be written to: "+ioReason(err)+".")
	}
	return nil
}

// printLine puts one line of data on standard output.
func (c *cli) printLine(text string) error {
	if isTerminal(c.streams.Out) {
		text = safeText(text)
	}
	return c.write([]byte(text + "\n"))
}

// printValue puts a value on standard output: exactly its bytes, unless a person
// looks at it. Then what would steer the terminal is spelled out, and a line
// break keeps the prompt off the value.
func (c *cli) printValue(v api.Value) error {
	if !isTerminal(c.streams.Out) {
		return c.write([]byte(v.Reveal()))
	}
	text := safeText(v.Reveal())
	if !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	return c.write([]byte(text))
}

// printJSON puts v on standard output as one indented document. Secret values in
// it are shown: who calls it has been asked for them.
func (c *cli) printJSON(v any) error {
	var b bytes.Buffer
	if err := api.Encode(&b, v); err != nil {
		return err
	}
	document := jsontext.Value(b.Bytes())
	if err := document.Indent(jsontext.WithIndent("  ")); err != nil {
		return err
	}
	text := string(document) + "\n"
	if isTerminal(c.streams.Out) {
		text = safeJSON(text)
	}
	return c.write([]byte(text))
}

// safeJSON is safeText for JSON, in which the plain control characters are
// escaped already. The others stand only inside strings, so that writing them as
// escapes leaves the document the same.
func safeJSON(text string) string {
	var b strings.Builder
	for _, r := range text {
		if steers(r) || r == 0x7f {
			fmt.Fprintf(&b, `\u%04x`, r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// table is columns of text for a person; programs ask for JSON.
type table struct {
	head []string
	rows [][]string
}

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

// printTable writes the columns two spaces apart under their names.
func (c *cli) printTable(t table) error {
	terminal := isTerminal(c.streams.Out)
	lines := append([][]string{t.head}, t.rows...)
	widths := make([]int, len(t.head))
	for _, line := range lines {
		for i := range line {
			line[i] = cell(line[i])
			if terminal {
				line[i] = safeText(line[i])
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(line[i]))
		}
	}
	var b strings.Builder
	for _, line := range lines {
		b.WriteString(row(line, widths))
		b.WriteByte('\n')
	}
	return c.write([]byte(b.String()))
}

func row(cells []string, widths []int) string {
	var b strings.Builder
	for i, text := range cells {
		b.WriteString(text)
		if i < len(cells)-1 {
			b.WriteString(strings.Repeat(" ", widths[i]-utf8.RuneCountInString(text)+2))
		}
	}
	return strings.TrimRight(b.String(), " ")
}

// when is a time as tables show it.
func when(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05Z") }

// whenOr is a time that may not be there.
func whenOr(t *time.Time, otherwise string) string {
	if t == nil {
		return otherwise
	}
	return when(*t)
}

// ioReason is the bare reason of a file system error: "no space left on device",
// without the operation and the path.
func ioReason(err error) string {
	var path *os.PathError
	if errors.As(err, &path) {
		return path.Err.Error()
	}
	return err.Error()
}
