package api

import (
	"net/url"
	"strings"
)

// maxLocalPath bounds what is kept of where someone wanted to go.
const maxLocalPath = 2000

// LocalPath is text if it is the path of a page of this server, and "/" if it is
// anything else: what comes in a link can have been chosen by anyone, and must lead
// nowhere else. Browsers read backslashes as slashes, skip control characters and
// take "//host" for another server, so none of these is let through.
func LocalPath(text string) string {
	if !strings.HasPrefix(text, "/") || strings.HasPrefix(text, "//") || len(text) > maxLocalPath {
		return "/"
	}
	for i := range len(text) {
		if c := text[i]; c <= ' ' || c >= 0x7f || c == '\\' {
			return "/"
		}
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "" || u.Host != "" || u.Opaque != "" || u.User != nil || strings.Contains(u.Path, "//") || strings.Contains(u.Path, `\`) {
		return "/"
	}
	return text
}
