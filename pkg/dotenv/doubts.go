package dotenv

import (
	"bytes"
	"strings"
)

// The doubts.
const (
	doubtComment = "what follows the # is a comment here; some readers take it as part of the value. Quote the value, or give the comment a line of its own"
	doubtDollar  = "$ and backquotes are plain text here; shells and many readers replace what they name. Put the value into single quotes"
	doubtSpace   = "the spaces before the value belong to it here; many readers drop them. Quote the value"
)

// Doubts names the lines that [Parse] reads and that other readers may take for
// something else: a comment behind a value, $NAME or `command` outside single
// quotes, spaces before a value. A Reason is what is different, never the text.
func Doubts(text []byte) []Problem {
	text = bytes.TrimPrefix(text, []byte("\uFEFF"))
	var doubts []Problem
	number := 0
	for line := range bytes.Lines(text) {
		number++
		if _, ok, _ := parseLine(string(line)); !ok {
			continue
		}
		_, value, _ := strings.Cut(strings.TrimRight(string(line), "\r\n"), "=")
		for _, reason := range valueDoubts(value) {
			doubts = append(doubts, Problem{Line: number, Reason: reason})
		}
	}
	return doubts
}

func valueDoubts(text string) []string {
	var reasons []string
	plain := !strings.HasPrefix(text, `"`)
	if strings.HasPrefix(text, "'") {
		return nil // a comment behind a quote means the same to all
	}
	if plain && commentStart(text) < len(text) {
		reasons = append(reasons, doubtComment)
		text = text[:commentStart(text)]
	}
	if plain && trimLeft(text) != text && trimLeft(text) != "" {
		reasons = append(reasons, doubtSpace)
	}
	if expands(text) {
		reasons = append(reasons, doubtDollar)
	}
	return reasons
}

// expands reports whether a shell would replace something in text: $ before a
// name, a brace or a parenthesis, or a backquote. A backslash keeps it from that.
func expands(text string) bool {
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '`':
			return true
		case '$':
			if i+1 < len(text) && startsExpansion(text[i+1]) {
				return true
			}
		}
	}
	return false
}

func startsExpansion(c byte) bool {
	return c == '{' || c == '(' || c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("?!#@*$-", c) >= 0
}
