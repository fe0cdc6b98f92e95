package api

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits that every input is held to.
const (
	MaxValueBytes            = 64 << 10
	MaxKeyLength             = 255
	MaxNameLength            = 100
	MaxTextLength            = 1000 // comments and descriptions
	MaxSecretsPerEnvironment = 5000
	MaxEnvironmentBytes      = 8 << 20 // of all values together: they are read as a whole
	MaxSecretsPerBulk        = 1000
	MaxEnvironments          = 100
	MaxPageSize              = 1000
	DefaultPageSize          = 100
)

// CheckKey returns what is wrong with a secret's key, or "".
func CheckKey(key string) string {
	if len(key) > 0 && len(key) <= MaxKeyLength && !isDigit(key[0]) && only(key, isKeyByte) {
		return ""
	}
	return fmt.Sprintf("must be 1 to %d letters, digits or underscores and not begin with a digit, such as DATABASE_URL", MaxKeyLength)
}

// CheckValue returns what is wrong with a secret's value, or "". Values are kept
// byte for byte: any UTF-8 but NUL, which no environment variable can hold.
func CheckValue(v Value) string {
	switch {
	case v.Len() > MaxValueBytes:
		return fmt.Sprintf("is larger than %d KiB, the most that every system can pass in an environment variable", MaxValueBytes>>10)
	case strings.IndexByte(v.Reveal(), 0) >= 0:
		return "holds a NUL byte, which no environment variable can"
	case !utf8.ValidString(v.Reveal()):
		return "is not valid UTF-8; encode binary data, for example as base64"
	}
	return ""
}

// CheckSlug returns what is wrong with a slug, or "".
func CheckSlug(slug string) string {
	if n := len(slug); n > 0 && n <= maxSlugLength && slug[0] != '-' && slug[n-1] != '-' && only(slug, isSlugByte) {
		return ""
	}
	return "must be 1 to 63 lower-case letters, digits or hyphens, and begin and end with a letter or digit"
}

const maxSlugLength = 63

// The sets are checked by hand rather than by regular expressions: compiling
// those would cost every command a millisecond at its start.
func only(text string, ok func(byte) bool) bool {
	for i := range len(text) {
		if !ok(text[i]) {
			return false
		}
	}
	return true
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
func isLower(c byte) bool { return c >= 'a' && c <= 'z' }
func isKeyByte(c byte) bool {
	return isLower(c) || c >= 'A' && c <= 'Z' || isDigit(c) || c == '_'
}
func isSlugByte(c byte) bool { return isLower(c) || isDigit(c) || c == '-' }

// CheckName returns what is wrong with the name of a project, environment,
// token or person, or "". A name that nobody sees, or that looks like another
// because of what nobody sees in it, is none.
func CheckName(name string) string {
	switch {
	case strings.TrimFunc(name, isBlank) == "":
		return "must not be empty"
	case utf8.RuneCountInString(name) > MaxNameLength:
		return fmt.Sprintf("must have at most %d characters", MaxNameLength)
	}
	if strings.ContainsFunc(name, isInvisible) {
		return "must not hold invisible characters"
	}
	return checkPrintable(name, false)
}

// isBlank reports whether a character alone makes no name.
func isBlank(r rune) bool {
	return unicode.IsSpace(r) || isJoiner(r) || r == 0x2800 || r == 0x3164 || r == 0xFFA0 || r == 0x115F || r == 0x1160
}

// isJoiner reports whether a character joins or parts its neighbours. Persian and
// many emojis need them.
func isJoiner(r rune) bool { return r == 0x200C || r == 0x200D }

// isInvisible finds the format characters of Unicode, which are not seen, but for
// those that change the look of their neighbours, and those of text direction,
// which checkPrintable names.
func isInvisible(r rune) bool {
	return unicode.Is(unicode.Cf, r) && !isJoiner(r) && !isDirection(r)
}

// isDirection reports whether a character changes the direction of the text.
func isDirection(r rune) bool {
	return r >= 0x202A && r <= 0x202E || r >= 0x2066 && r <= 0x2069 || r == 0x200E || r == 0x200F || r == 0x061C
}

// CheckText returns what is wrong with a comment or description, or "". Line
// breaks and tabs are welcome.
func CheckText(text string) string {
	if utf8.RuneCountInString(text) > MaxTextLength {
		return fmt.Sprintf("must have at most %d characters", MaxTextLength)
	}
	return checkPrintable(text, true)
}

// checkPrintable refuses what could forge a line of a terminal, a log, a mail
// header or a page: control characters and the marks that reorder text.
func checkPrintable(text string, multiline bool) string {
	if !utf8.ValidString(text) {
		return "is not valid UTF-8"
	}
	for _, r := range text {
		if multiline && (r == '\n' || r == '\t' || r == '\r') {
			continue
		}
		if unicode.IsControl(r) || isDirection(r) || r == 0x2028 || r == 0x2029 {
			return "must not hold control characters or text-direction marks"
		}
	}
	return ""
}

// Slugify makes a slug from a name, or "" if the name has no letter or digit of
// ASCII to make it from.
func Slugify(name string) string {
	var b strings.Builder
	dash := false
	for _, r := range strings.ToLower(name) {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			if dash && b.Len() > 0 {
				b.WriteByte('-')
			}
			b.WriteRune(r)
			dash = false
		} else {
			dash = true
		}
		if b.Len() >= maxSlugLength {
			break
		}
	}
	return strings.Trim(b.String()[:min(b.Len(), maxSlugLength)], "-")
}

// dangerousKeys are the names of environment variables that change what a
// program executes or how a shell reads commands. A name that ends in * stands
// for every name with that beginning.
var dangerousKeys = []string{
	"LD_*", "DYLD_*", "GCONV_PATH", "PATH", "IFS", "ENV", "BASH_ENV", "BASHOPTS", "SHELLOPTS", "PS4",
	"PROMPT_COMMAND", "NODE_OPTIONS", "PYTHONSTARTUP", "PYTHONPATH", "PYTHONHOME", "PYTHONWARNINGS",
	"PERL5LIB", "PERL5OPT", "RUBYLIB", "RUBYOPT", "JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS", "GIT_SSH*",
	"GIT_EXTERNAL_DIFF", "EDITOR", "PAGER", "HOME", "SHELL", "USER", "HEARTLOCK_*",
}

// DangerousKey reports whether an environment variable of this name would
// change what a program executes; `heartlock run` does not pass such a secret
// on unless told to.
func DangerousKey(key string) bool {
	for _, name := range dangerousKeys {
		if prefix, ok := strings.CutSuffix(name, "*"); key == name || ok && strings.HasPrefix(key, prefix) {
			return true
		}
	}
	return false
}
