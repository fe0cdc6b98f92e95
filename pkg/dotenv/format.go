package dotenv

import (
	"fmt"
	"strings"
)

// The caveats.
const (
	caveatBreaks  = "holds line breaks, written as \\n in double quotes; .env readers take them for line breaks, a shell that sources the file does not"
	caveatEscapes = "is written with backslashes in double quotes; shells and docker compose take them away again, node and some other readers do not"
	caveatEnd     = "ends with a backslash, at which python-dotenv misses the end of the value and takes lines after it for more of it"
	caveatBraces  = "holds ${…}, which python-dotenv replaces unless it is told not to (interpolate=False)"
)

// Format is one line of .env text, with its line break, that [Parse] reads back
// as exactly this name and value. The name must be one that Parse takes; the
// value may be any text without NUL.
//
// The line means the same to as many other readers as can be: plain text where
// it needs no quotes, else single quotes, and double quotes with escapes for
// what these can not hold. A shell that sources it runs nothing and replaces
// nothing, whatever the value is. No form is read alike by all programs; what is
// left is said in caveats, sentence fragments about the value that do not show it.
func Format(key, value string) (line string, caveats []string) {
	var quoted string
	switch {
	case value != "" && strings.Trim(value, unquoted) == "":
		quoted = value
	case singleQuotable(value):
		quoted = "'" + value + "'"
	default:
		quoted = `"` + escaper.Replace(value) + `"`
		caveats = doubleCaveats(value)
	}
	if strings.Contains(value, "${") {
		caveats = append(caveats, caveatBraces)
	}
	return key + "=" + quoted + "\n", caveats
}

// unquoted are the characters that mean nothing to any reader.
const unquoted = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./:@%+,=-"

// singleQuotable reports whether every reader takes '…' as it stands. Some take
// \\ and \' in it as escapes.
func singleQuotable(value string) bool {
	return !strings.ContainsAny(value, "'\n\r") && !strings.Contains(value, `\\`) && !strings.HasSuffix(value, `\`)
}

var escaper = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "$", `\$`, "`", "\\`", "\n", `\n`, "\r", `\r`)

func doubleCaveats(value string) (caveats []string) {
	if strings.ContainsAny(value, "\n\r") {
		caveats = append(caveats, caveatBreaks)
	}
	if strings.ContainsAny(value, "\\\"$`") {
		caveats = append(caveats, caveatEscapes)
	}
	if strings.HasSuffix(value, `\`) {
		caveats = append(caveats, caveatEnd)
	}
	return caveats
}

// FormatShell is one command of a POSIX shell, with its line break, that sets
// and exports the variable to exactly this value: export NAME='…'. Whatever the
// value is, nothing in it is replaced or run. The name must be one of letters,
// digits and underscores that does not begin with a digit; the value may be any
// text without NUL.
func FormatShell(key, value string) string {
	return fmt.Sprintf("export %s='%s'\n", key, strings.ReplaceAll(value, "'", `'\''`))
}
