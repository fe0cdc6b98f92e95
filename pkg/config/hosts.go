package config

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// HostPolicy decides which Host headers are answered. Make one with
// [NewHostPolicy]; the zero policy answers none.
type HostPolicy struct {
	entries   []string // as they are matched: lower case, addresses in canonical form
	anyHost   bool     // an entry "*"
	localhost bool     // DEBUG with an empty list: the names of this machine
}

// NewHostPolicy checks the entries of ALLOWED_HOSTS and makes a policy of them.
// An entry is a host name, a name with a leading dot (the name and everything
// below it), an address, an IPv6 address in brackets, or "*". What can never
// match, such as an entry with a port, is an error that shows the right spelling.
//
// With debug, an empty list stands for localhost, *.localhost, 127.0.0.1 and
// [::1]; without, for nothing.
func NewHostPolicy(entries []string, debug bool) (HostPolicy, error) {
	policy := HostPolicy{localhost: debug && len(entries) == 0}
	for _, entry := range entries {
		host, err := hostEntry(entry)
		if err != nil {
			return HostPolicy{}, err
		}
		if host == "*" {
			policy.anyHost = true
		}
		if !slices.Contains(policy.entries, host) {
			policy.entries = append(policy.entries, host)
		}
	}
	return policy, nil
}

// Entries are the entries of the list as they are matched.
func (p HostPolicy) Entries() []string { return slices.Clone(p.entries) }

// AllowsAny reports whether "*" is on the list.
func (p HostPolicy) AllowsAny() bool { return p.anyHost }

// Match reports whether a request with this Host header is answered.
func (p HostPolicy) Match(header string) bool {
	host, _, ok := SplitHost(header)
	if !ok {
		return false
	}
	if p.anyHost || slices.Contains(p.entries, host) {
		return true
	}
	if p.localhost {
		return host == "localhost" || strings.HasSuffix(host, ".localhost") || host == "127.0.0.1" || host == "[::1]"
	}
	return slices.ContainsFunc(p.entries, func(entry string) bool {
		return entry[0] == '.' && (host == entry[1:] || strings.HasSuffix(host, entry))
	})
}

// MatchExact reports whether the Host header names a host that is on the list
// letter by letter, not through "*" or a leading dot. Only such a host may be
// written into a link that is mailed.
func (p HostPolicy) MatchExact(header string) bool {
	host, _, ok := SplitHost(header)
	return ok && slices.Contains(p.entries, host)
}

// SplitHost takes a Host header apart: the host in lower case without a trailing
// dot (an IPv6 address in brackets and in canonical form), and the port, "" when
// there is none. ok is false for everything that is not a valid Host header.
func SplitHost(header string) (host, port string, ok bool) {
	host, port, ok = cutPort(strings.ToLower(header))
	if !ok {
		return "", "", false
	}
	if strings.HasPrefix(host, "[") {
		host, ok = canonicalIPv6(host)
		return host, port, ok
	}
	host = strings.TrimSuffix(host, ".")
	return host, port, validHostname(host)
}

// cutPort splits "host:port"; the port is decimal, at most 65535.
func cutPort(text string) (host, port string, ok bool) {
	colon := strings.LastIndexByte(text, ':')
	if colon < 0 || strings.LastIndexByte(text, ']') > colon {
		return text, "", true
	}
	host, port = text[:colon], text[colon+1:]
	return host, port, validPort(port) && (host == "" || host[0] == '[' || !strings.Contains(host, ":"))
}

func validPort(text string) bool {
	if text == "" || len(text) > 5 || strings.Trim(text, "0123456789") != "" {
		return false
	}
	n, err := strconv.Atoi(text)
	return err == nil && n <= 65535
}

// canonicalIPv6 reads "[address]" without a zone.
func canonicalIPv6(text string) (string, bool) {
	if len(text) < 2 || text[len(text)-1] != ']' {
		return "", false
	}
	addr, err := netip.ParseAddr(text[1 : len(text)-1])
	if err != nil || !addr.Is6() || addr.Zone() != "" {
		return "", false
	}
	return "[" + addr.String() + "]", true
}

// validHostname reports whether text, in lower case and without a trailing dot,
// is a host name or an IPv4 address (RFC 1123: labels of letters, digits and
// inner hyphens).
func validHostname(text string) bool {
	if text == "" || len(text) > 253 {
		return false
	}
	for label := range strings.SplitSeq(text, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for i := range len(label) {
			if c := label[i]; !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-') {
				return false
			}
		}
	}
	return true
}

// hostEntry is an entry of ALLOWED_HOSTS in the form in which it is matched.
func hostEntry(entry string) (string, error) {
	lower := strings.ToLower(entry)
	switch {
	case lower == "*":
		return lower, nil
	case strings.Contains(lower, "://"):
		return "", hostEntryError(entry, "has a scheme", hostWithin(lower))
	case strings.HasPrefix(lower, "*."):
		return "", hostEntryError(entry, "has a wildcard", lower[1:])
	case strings.HasPrefix(lower, "["):
		return bracketEntry(entry, lower)
	}
	if addr, err := netip.ParseAddr(lower); err == nil && addr.Is6() {
		return "", hostEntryError(entry, "is an IPv6 address without brackets", "["+addr.WithZone("").String()+"]")
	}
	if host, _, found := strings.Cut(lower, ":"); found {
		return "", hostEntryError(entry, "has a port", host)
	}
	if strings.HasSuffix(lower, ".") {
		return "", hostEntryError(entry, "ends in a dot", strings.TrimRight(lower, "."))
	}
	if !validHostname(strings.TrimPrefix(lower, ".")) {
		return "", hostEntryError(entry, "is not a host name (letters, digits, hyphens and dots; international names as xn--…)", "")
	}
	return lower, nil
}

func bracketEntry(entry, lower string) (string, error) {
	if host, ok := canonicalIPv6(lower); ok {
		return host, nil
	}
	if bracket := strings.LastIndexByte(lower, ']'); bracket > 0 {
		if host, ok := canonicalIPv6(lower[:bracket+1]); ok {
			return "", hostEntryError(entry, "has a port", host)
		}
	}
	return "", hostEntryError(entry, "is not an IPv6 address in brackets", "")
}

// hostWithin is the host of something that looks like a URL, "" when there is none.
func hostWithin(text string) string {
	_, rest, _ := strings.Cut(text, "://")
	if end := strings.IndexAny(rest, "/?#"); end >= 0 {
		rest = rest[:end]
	}
	host, _, ok := SplitHost(rest)
	if !ok {
		return ""
	}
	return host
}

// hostEntryError shows the entry and the right spelling, when both are harmless:
// a URL may hold a password, so anything with "@" is not repeated.
func hostEntryError(entry, problem, better string) error {
	name := shown(entry)
	if strings.ContainsAny(entry, "@/") {
		name = "an entry"
	}
	if check := strings.TrimPrefix(better, "."); !validHostname(check) && !strings.HasPrefix(better, "[") {
		return fmt.Errorf("%s %s, so it would never match", name, problem)
	}
	return fmt.Errorf("%s %s, so it would never match; write %s", name, problem, better)
}
