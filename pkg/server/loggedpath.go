package server

import "strings"

// shortestLinkToken is less than what any of our links ends in, and more than
// most names in a path have without a hyphen or an underscore.
const shortestLinkToken = 40

// loggedPath is a path as it may stand in a log. The links that are mailed to
// people hold a secret in their path, which would let every reader of the log in:
// what looks like one is left out.
func loggedPath(path string) string {
	if len(path) < shortestLinkToken {
		return path
	}
	segments := strings.Split(path, "/")
	for i, s := range segments {
		if len(s) >= shortestLinkToken && strings.Trim(s, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") == "" {
			segments[i] = "[left out]"
		}
	}
	return strings.Join(segments, "/")
}
