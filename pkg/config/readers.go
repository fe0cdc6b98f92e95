package config

import (
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
)

func readAllowedHosts(l *loader, items []string) (err error) {
	l.server.Hosts, err = NewHostPolicy(items, l.server.Debug)
	return err
}

// readListen takes host:port as net.Listen does, with a host that is an address,
// a name or empty.
func readListen(l *loader, text string) error {
	host, port, err := net.SplitHostPort(text)
	if err != nil || !validPort(port) || host != strings.TrimSpace(host) {
		return fmt.Errorf("%s is not host:port; write 127.0.0.1:8082, [::1]:8082 or :8082", shown(text))
	}
	if _, err := netip.ParseAddr(host); err != nil && host != "" && !validHostname(strings.ToLower(host)) {
		return fmt.Errorf("the host in %s is neither a name nor an address", shown(text))
	}
	l.server.ListenAddress = text
	return nil
}

func readAppURL(l *loader, text string) error {
	if strings.HasSuffix(text, "/") {
		text = strings.TrimRight(text, "/")
		l.warn("%s ends in a slash; it is read without.", varAppURL)
	}
	origin, err := ParseOrigin(text)
	if err != nil {
		return fmt.Errorf("%w; write https://secrets.example.com", err)
	}
	l.server.AppURL = origin
	return nil
}

func readDatabaseURL(l *loader, text string) error {
	database, err := ParseDatabaseURL(text, l.server.Root)
	if err != nil {
		return err
	}
	if database.InMemory && !l.server.Debug {
		return errors.New("a database in memory is gone after a restart; it is possible only with DEBUG=True")
	}
	l.server.Database = database
	return nil
}

func readBackupDir(l *loader, text string) error {
	if err := checkPrintable(text); err != nil {
		return err
	}
	l.server.Backup.Dir = filepath.Clean(absolute(l.server.Root, text)) // compared with the folders of files
	return nil
}

// readSecretFallbacks splits at commas and nothing else: keys hold brackets,
// semicolons and quotes.
func readSecretFallbacks(l *loader, text string) error {
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item != "" {
			l.server.SecretKeyFallbacks = append(l.server.SecretKeyFallbacks, NewSecret(item))
		}
	}
	return checkPrintable(text)
}

func readTrustedProxies(l *loader, items []string) error {
	for i, item := range items {
		prefix, err := parsePrefix(item)
		if err != nil {
			return fmt.Errorf("item %d: %w", i+1, err)
		}
		l.server.Security.TrustedProxies.Prefixes = append(l.server.Security.TrustedProxies.Prefixes, prefix)
	}
	return nil
}

// parsePrefix reads a network such as 10.0.0.0/8, or a single address.
func parsePrefix(text string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(text); err == nil && addr.Zone() == "" {
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	prefix, err := netip.ParsePrefix(text)
	switch {
	case err != nil:
		return netip.Prefix{}, fmt.Errorf("%s is neither an address nor a network; write 10.0.0.0/8 or 192.0.2.7", shown(text))
	case prefix.Addr().Is4In6():
		return netip.Prefix{}, fmt.Errorf("%s is an IPv4 network in IPv6 form; write it as IPv4", shown(text))
	case prefix != prefix.Masked():
		return netip.Prefix{}, fmt.Errorf("%s has bits set behind its length; write %s", shown(text), prefix.Masked())
	}
	return prefix, nil
}

func readCORSOrigins(l *loader, items []string) (err error) {
	l.server.Security.CORSAllowedOrigins, err = NewOrigins(items, false)
	return err
}

func readCSRFOrigins(l *loader, items []string) (err error) {
	l.server.Security.CSRFTrustedOrigins, err = NewOrigins(items, true)
	return err
}

// endpoint reads an address of the identity provider.
func endpoint(field func(*OIDC) *string, query bool) reader {
	return func(l *loader, text string) error {
		u, err := parseWebURL(text)
		if err != nil {
			return err
		}
		if !query && (u.RawQuery != "" || u.ForceQuery) {
			return errors.New("the URL has a query; remove it")
		}
		if u.Scheme == "http" && !l.server.Debug && !isLoopback(u.Hostname()) {
			return errors.New("the URL is plain http; use https (http is possible for localhost or with DEBUG=True)")
		}
		*field(&l.server.OIDC) = text
		return nil
	}
}

// parseWebURL reads an absolute http or https URL. The error repeats nothing of
// it: a URL may hold a password.
func parseWebURL(text string) (*url.URL, error) {
	if strings.ContainsAny(text, " \\") || checkPrintable(text) != nil {
		return nil, errors.New("the URL holds a space, a backslash or a control character")
	}
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, errors.New("this is not a URL; write https://idp.example.com/path")
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, errors.New("the URL does not begin with https://")
	case u.User != nil:
		return nil, errors.New("the URL holds a user name or password; remove it")
	case strings.Contains(text, "#"):
		return nil, errors.New("the URL has a fragment (#…); remove it")
	}
	if _, _, ok := SplitHost(u.Host); !ok {
		return nil, errors.New("the URL has no valid host (international names are written as xn--…)")
	}
	return u, nil
}

func readScopes(l *loader, text string) error {
	if strings.Contains(text, ",") {
		return errors.New("the scopes are separated by spaces, not by commas")
	}
	if err := checkPrintable(text); err != nil {
		return err
	}
	scopes := strings.Fields(text)
	if !slices.Contains(scopes, "openid") {
		return errors.New("the scope openid is missing")
	}
	l.server.OIDC.Scopes = scopes
	return nil
}

func readRedirectURI(l *loader, text string) error {
	u, err := parseWebURL(text)
	if err != nil {
		return err
	}
	if u.Path != OIDCCallbackPath || u.RawQuery != "" || u.ForceQuery {
		return errors.New("the path of the URL is not " + OIDCCallbackPath)
	}
	if u.Scheme == "http" && !l.server.Debug && !isLoopback(u.Hostname()) {
		return errors.New("the URL is plain http; use https (http is possible for localhost or with DEBUG=True)")
	}
	l.server.OIDC.RedirectURI = text
	return nil
}

func readSecondFactor(l *loader, text string) error {
	switch text {
	case SecondFactorNone, SecondFactorSuperusers, SecondFactorEveryone:
		l.server.SecondFactor = text
		return nil
	}
	return errors.New("must be none, superusers or everyone")
}

// readMailBackend knows the short names and the dotted paths of Django.
func readMailBackend(l *loader, text string) error {
	name := strings.TrimSpace(text)
	name = strings.TrimPrefix(name, "django.core.mail.backends.")
	name = strings.TrimSuffix(name, ".EmailBackend")
	switch strings.ToLower(name) {
	case "console":
		l.server.Mail.Backend = MailConsole
	case "smtp":
		l.server.Mail.Backend = MailSMTP
	case "dummy":
		l.server.Mail.Backend = MailDummy
	case "filebased", "file":
		l.server.Mail.Backend = MailFile
	case "locmem", "memory":
		l.server.Mail.Backend = MailMemory
	default:
		return fmt.Errorf("%s is not known; write smtp, console, dummy, filebased or locmem", shown(text))
	}
	return nil
}

func readMailHost(l *loader, text string) error {
	_, err := netip.ParseAddr(text)
	if err != nil && !validHostname(strings.ReplaceAll(strings.ToLower(text), "_", "a")) {
		return errors.New("this is not a host name or address; the port goes into EMAIL_PORT")
	}
	l.server.Mail.Host = text
	return nil
}

func readMailFrom(l *loader, text string) error {
	if err := checkPrintable(text); err != nil {
		return err
	}
	from, err := mail.ParseAddress(text)
	if err != nil || strings.ContainsAny(from.Name+from.Address, "\r\n\x00") {
		return fmt.Errorf("%s is not one mail address; write Heartlock <noreply@example.com>", shown(text))
	}
	l.server.Mail.From = *from
	return nil
}

// fromText writes an address for people.
func fromText(a mail.Address) string {
	if a.Name == "" {
		return a.Address
	}
	return a.Name + " <" + a.Address + ">"
}

func readStaticURL(l *loader, text string) error {
	if err := checkPrintable(text); err != nil {
		return err
	}
	if !strings.HasSuffix(text, "/") || strings.ContainsAny(text, " \\?#") || strings.HasPrefix(text, "//") {
		return fmt.Errorf("%s is not a path or URL that ends in a slash; write static/", shown(text))
	}
	if strings.Contains(text, "://") {
		if _, err := parseWebURL(text); err != nil {
			return err
		}
	}
	l.server.Static.URL = text
	return nil
}
