package config

import (
	"errors"
	"slices"
	"strings"
)

// Origins is a list of web origins that is matched against Origin headers. The
// zero list matches nothing.
type Origins struct {
	exact     []string
	wildcards []wildcardOrigin
}

// wildcardOrigin stands for every host below suffix.
type wildcardOrigin struct {
	prefix string // "https://"
	suffix string // ".example.org" or ".example.org:8443"
}

// NewOrigins reads a list of origins: "https://app.example.com", with a port when
// it is not the scheme's own. With wildcards, "https://*.example.org" stands for
// every host below example.org, but not for example.org itself. Case, the default
// port and one trailing "/" do not matter; everything else that could never
// match, and "null", is an error.
func NewOrigins(entries []string, wildcards bool) (Origins, error) {
	var list Origins
	for _, entry := range entries {
		if err := list.add(entry, wildcards); err != nil {
			return Origins{}, err
		}
	}
	return list, nil
}

// Match reports whether the value of an Origin header is on the list.
func (o Origins) Match(header string) bool {
	origin, ok := ParseOriginHeader(header)
	if !ok {
		return false
	}
	return slices.Contains(o.exact, origin) || slices.ContainsFunc(o.wildcards, func(w wildcardOrigin) bool {
		host, found := strings.CutPrefix(origin, w.prefix)
		return found && strings.HasSuffix(host, w.suffix) // an origin has no empty label, so something is before the suffix
	})
}

// List returns the entries in normal form.
func (o Origins) List() []string {
	list := slices.Clone(o.exact)
	for _, w := range o.wildcards {
		list = append(list, w.prefix+"*"+w.suffix)
	}
	return list
}

// With returns the list with one more origin in normal form; "" adds nothing.
func (o Origins) With(origin string) Origins {
	if origin == "" || slices.Contains(o.exact, origin) {
		return o
	}
	return Origins{exact: append(slices.Clone(o.exact), origin), wildcards: o.wildcards}
}

func (o *Origins) add(entry string, wildcards bool) error {
	scheme, host, found := strings.Cut(entry, "://")
	if starred, ok := strings.CutPrefix(host, "*."); found && ok && wildcards {
		origin, err := ParseOrigin(scheme + "://" + starred)
		if err != nil {
			return err
		}
		prefix, suffix, _ := strings.Cut(origin, "://")
		if suffix[0] == '[' {
			return errors.New("a wildcard can not stand before an address")
		}
		o.wildcards = append(o.wildcards, wildcardOrigin{prefix: prefix + "://", suffix: "." + suffix})
		return nil
	}
	origin, err := ParseOrigin(entry)
	if err != nil {
		return err
	}
	if !slices.Contains(o.exact, origin) {
		o.exact = append(o.exact, origin)
	}
	return nil
}

// ParseOriginHeader reads an Origin header as browsers send it: scheme, host and
// port in lower case and nothing else. The result is in normal form, without the
// scheme's default port. "null", lists and everything else give false.
func ParseOriginHeader(header string) (origin string, ok bool) {
	if header != strings.ToLower(header) || strings.HasSuffix(header, "/") {
		return "", false
	}
	origin, err := ParseOrigin(header)
	return origin, err == nil
}

// ParseOrigin reads an http or https origin and returns it in normal form: lower
// case, without the default port and without a trailing "/". The error does not
// repeat the text.
func ParseOrigin(text string) (string, error) {
	if text == "null" {
		return "", errors.New(`"null" is the origin of every sandboxed page and can not be trusted`)
	}
	scheme, authority, found := strings.Cut(text, "://")
	if !found {
		return "", errors.New("an origin needs a scheme: write https://app.example.com")
	}
	scheme = strings.ToLower(scheme)
	if scheme != "http" && scheme != "https" {
		return "", errors.New("the scheme of an origin is http or https")
	}
	authority = strings.TrimSuffix(authority, "/")
	switch {
	case strings.Contains(authority, "@"):
		return "", errors.New("an origin holds no user name or password")
	case strings.ContainsAny(authority, "/?#"):
		return "", errors.New("an origin ends after the host and port: remove the path, query or fragment")
	case strings.Contains(authority, "*"):
		return "", errors.New("a wildcard is possible only as https://*.example.org in CSRF_TRUSTED_ORIGINS")
	}
	host, port, ok := SplitHost(authority)
	if !ok || strings.HasSuffix(authority, ".") || strings.Contains(authority, ".:") {
		return "", errors.New("the host or port of an origin is not valid (international names are written as xn--…)")
	}
	return scheme + "://" + host + portSuffix(scheme, port), nil
}

// portSuffix is ":port", or "" for the scheme's default port.
func portSuffix(scheme, port string) string {
	port = strings.TrimLeft(port, "0")
	if port == "" || scheme == "http" && port == "80" || scheme == "https" && port == "443" {
		return ""
	}
	return ":" + port
}
