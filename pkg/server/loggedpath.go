package server

import (
	"regexp"
	"strings"
)

// linkToken is most of what any of our links ends in, also with something before or
// behind it, as when a sentence's end was copied along; and more letters in a row than
// most names in a path have.
var linkToken = regexp.MustCompile(`[0-9A-Za-z]{32}`)

// loggedPath is a path as it may stand in a log. The links that are mailed to
// people hold a secret in their path, which would let every reader of the log in:
// what looks like one is left out.
func loggedPath(path string) string {
	if !linkToken.MatchString(path) {
		return path
	}
	segments := strings.Split(path, "/")
	for i, s := range segments {
		if linkToken.MatchString(s) {
			segments[i] = "[left out]"
		}
	}
	return strings.Join(segments, "/")
}
