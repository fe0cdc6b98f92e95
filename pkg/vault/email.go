package vault

import (
	"net/netip"
	"strings"

	"golang.org/x/net/idna"
)

const (
	maxEmail = 254
	maxLabel = 63 // of a domain: RFC 1035
)

// canonicalEmail gives the one spelling under which an address is stored and
// looked up: lower case, the domain in its ASCII form. What is wrong with the
// address is returned as a message, or "". The local part must be ASCII, so that
// no two addresses look alike or fold to the same.
func canonicalEmail(address string) (canonical, problem string) {
	const wrong = "must be an e-mail address such as ann@example.com"
	if len(address) > maxEmail {
		return "", "is too long for an e-mail address"
	}
	at := strings.LastIndexByte(address, '@')
	if at < 1 || at > 64 {
		return "", wrong
	}
	local, domain := address[:at], address[at+1:]
	if !validLocalPart(local) {
		return "", wrong
	}
	domain, ok := canonicalDomain(domain)
	if !ok {
		return "", wrong
	}
	canonical = strings.ToLower(local) + "@" + domain
	if len(canonical) > maxEmail { // the ASCII form of a domain is longer
		return "", "is too long for an e-mail address"
	}
	return canonical, ""
}

// typedEmail is canonicalEmail for an address that is only looked up. Spaces around
// it are no part of it, so that no spelling of one address is counted apart.
func typedEmail(address string) (canonical, problem string) {
	return canonicalEmail(strings.TrimSpace(address))
}

// validLocalPart accepts the dot-atom of RFC 5322, not its quoted form.
func validLocalPart(local string) bool {
	for _, atom := range strings.Split(local, ".") {
		if atom == "" {
			return false
		}
		for i := range len(atom) {
			c := atom[i]
			letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
			if !letter && strings.IndexByte("!#$%&'*+-/=?^_`{|}~", c) < 0 {
				return false
			}
		}
	}
	return true
}

func canonicalDomain(domain string) (string, bool) {
	if literal, ok := strings.CutPrefix(domain, "["); ok {
		literal, ok = strings.CutSuffix(literal, "]")
		if !ok {
			return "", false
		}
		address, err := netip.ParseAddr(strings.TrimPrefix(literal, "IPv6:"))
		if err != nil || address.Zone() != "" {
			return "", false
		}
		if address.Is6() {
			return "[IPv6:" + address.String() + "]", true
		}
		return "[" + address.String() + "]", true
	}
	ascii, err := idna.Lookup.ToASCII(domain)
	if err != nil || ascii == "" || strings.HasSuffix(ascii, ".") || strings.Contains(ascii, "..") {
		return "", false
	}
	for label := range strings.SplitSeq(ascii, ".") {
		if len(label) > maxLabel {
			return "", false
		}
	}
	return strings.ToLower(ascii), true
}
