package interchange

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// terraformsOwn are the names that Terraform does not let a variable have.
var terraformsOwn = []string{"source", "version", "providers", "count", "for_each", "lifecycle", "depends_on", "locals"}

// refuseTFVars holds a secret to what Terraform does with text: it brings all of
// it into the normalization form C of Unicode.
func refuseTFVars(s Secret) string {
	switch {
	case slices.Contains(terraformsOwn, s.Key):
		return "Terraform does not let a variable have this name."
	case !norm.NFC.IsNormalString(s.Value.Reveal()):
		return "The value holds characters that Terraform replaces: it brings text into the normalization form C of Unicode."
	}
	return ""
}

// writeTFVars writes quoted strings of HCL (github.com/hashicorp/hcl, the native
// syntax's "Template Expressions").
func writeTFVars(b *bytes.Buffer, _ string, secrets []Secret) ([]Note, error) {
	for _, s := range secrets {
		b.WriteString(s.Key + " = \"")
		quoteHCL(b, s.Value.Reveal())
		b.WriteString("\"\n")
	}
	return nil, nil
}

func quoteHCL(b *bytes.Buffer, value string) {
	former := rune(0)
	for i, r := range value {
		switch {
		case r == '\\' || r == '"':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case (r == '$' || r == '%') && strings.HasPrefix(value[i+1:], "{"):
			quoteTemplate(b, r, former)
		case unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || r == '\ufeff':
			fmt.Fprintf(b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
		former = r
	}
}

// quoteTemplate writes the $ or % of a ${ or %{ that is text. It is doubled, but
// after one of the same kind, where it would not be clear which of them are
// doubled.
func quoteTemplate(b *bytes.Buffer, r, former rune) {
	if former == r {
		fmt.Fprintf(b, `\u%04x`, r)
		return
	}
	b.WriteRune(r)
	b.WriteRune(r)
}
