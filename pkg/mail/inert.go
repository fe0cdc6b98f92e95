package mail

import (
	"reflect"
	"strings"
	"unicode"
	"unicode/utf8"
)

// longestForeign is how many characters of a text that a stranger has chosen a
// mail repeats.
const longestForeign = 200

// breaker is an invisible character (ZERO WIDTH NON-JOINER) that keeps mail
// programs from making a link of what they take for an address.
const breaker = "\u200c"

// inertMessage is a copy of a message in which every text but that of a link of
// our own making is inert. New fields are so without anybody thinking of it.
func inertMessage(m Message) Message {
	copied := reflect.New(reflect.TypeOf(m)).Elem()
	copied.Set(reflect.ValueOf(m))
	for i := range copied.NumField() {
		field := copied.Field(i)
		if field.Kind() != reflect.String {
			continue
		}
		if copied.Type().Field(i).Name == "Link" {
			field.SetString(printable(field.String()))
		} else {
			field.SetString(inert(field.String()))
		}
	}
	return copied.Interface().(Message)
}

// inert makes a text that strangers may have chosen one that only says what it
// says: on one line, without invisible or direction-changing characters, not too
// long, and not turned into a link by the mail program that shows it.
func inert(text string) string {
	text = oneLine(printable(text))
	if utf8.RuneCountInString(text) > longestForeign {
		text = string([]rune(text)[:longestForeign]) + "…"
	}
	var out strings.Builder
	runes := []rune(text)
	for i, r := range runes {
		out.WriteRune(r)
		if i+1 < len(runes) && isJoint(r, runes[i+1]) {
			out.WriteString(breaker)
		}
	}
	return out.String()
}

// isJoint reports whether two characters are such that programs look for an
// address around them: "example.com", "a@b", "https://".
func isJoint(r, next rune) bool {
	switch r {
	case '.', '。', '．', '｡': // but not in 192.0.2.1 or version 2.1
		return unicode.IsLetter(next)
	case '@':
		return unicode.IsLetter(next) || unicode.IsDigit(next)
	case ':':
		return next == '/'
	case '/':
		return next == '/' || unicode.IsLetter(next)
	}
	return false
}

// printable leaves control and format characters out, line ends among them.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == utf8.RuneError, unicode.Is(unicode.Cf, r):
			return -1
		case unicode.IsControl(r), unicode.Is(unicode.Zl, r), unicode.Is(unicode.Zp, r):
			return ' '
		}
		return r
	}, text)
}
