package config

import (
	"errors"
	"net/netip"
	"strconv"
	"strings"
)

// parsePostgres reads what follows "postgres://". A URL parser of the standard
// library would not do: passwords with "#", "[" or "@" are taken as they are,
// the host begins after the last "@".
func parsePostgres(rest string) (DatabaseURL, error) {
	authority, path, query, hasQuery, err := splitPostgres(rest)
	if err != nil {
		return DatabaseURL{}, err
	}
	database := DatabaseURL{Engine: Postgres}
	hosts := authority
	if at := strings.LastIndexByte(authority, '@'); at >= 0 {
		if err := database.setLogin(authority[:at]); err != nil {
			return DatabaseURL{}, err
		}
		hosts = authority[at+1:]
	}
	name := path
	if slash := strings.LastIndexByte(path, '/'); slash >= 0 {
		// "postgres:////var/run/postgresql/name": the path is a socket directory and a name.
		if hosts != "" || path[0] != '/' {
			return DatabaseURL{}, errors.New("the database name has a / in it; percent-encode it as %2F")
		}
		hosts, name = path[:slash], path[slash+1:]
	}
	if database.Hosts, err = parseHosts(hosts); err != nil {
		return DatabaseURL{}, err
	}
	if database.Database, err = percentDecode(name); err != nil {
		return DatabaseURL{}, err
	}
	if database.Database == "" {
		return DatabaseURL{}, errors.New("the URL names no database; write postgres://user:password@host:5432/database")
	}
	options, err := parseOptions(query, hasQuery)
	if err != nil {
		return DatabaseURL{}, err
	}
	if err := database.setPostgresOptions(options); err != nil {
		return DatabaseURL{}, err
	}
	return database, nil
}

// splitPostgres finds the parts, and a password with a bare "/" or "?", which
// would otherwise end up as a host or a database name.
func splitPostgres(rest string) (authority, path, query string, hasQuery bool, err error) {
	authority = rest
	if end := strings.IndexAny(rest, "/?"); end >= 0 {
		authority, path = rest[:end], rest[end:]
	}
	path, query, hasQuery = strings.Cut(path, "?")
	path = strings.TrimPrefix(path, "/")
	if strings.Contains(path, "@") || strings.Contains(query, "@") && (path == "" || !strings.Contains(authority, "@")) {
		return "", "", "", false, errors.New("the password contains / or ?; percent-encode it (/ is %2F, ? is %3F, @ is %40)")
	}
	return authority, path, query, hasQuery, nil
}

// setLogin reads "user:password".
func (d *DatabaseURL) setLogin(login string) error {
	user, password, _ := strings.Cut(login, ":")
	var err error
	if d.User, err = percentDecode(user); err != nil {
		return err
	}
	if password, err = percentDecode(password); err != nil {
		return err
	}
	d.Password = NewSecret(password)
	return nil
}

// parseHosts reads "h1:5432,h2:5433", "[::1]" or the directory of a unix socket,
// which may be percent-encoded.
func parseHosts(text string) ([]DatabaseHost, error) {
	if text == "" {
		return nil, nil
	}
	if strings.HasPrefix(text, "/") || strings.HasPrefix(strings.ToLower(text), "%2f") {
		host, err := socketHost(text)
		return []DatabaseHost{host}, err
	}
	items := strings.Split(text, ",")
	hosts := make([]DatabaseHost, len(items))
	withPort := 0
	for i, item := range items {
		host, given, err := parseHost(item)
		if err != nil {
			return nil, err
		}
		if given {
			withPort++
		}
		hosts[i] = host
	}
	if withPort != 0 && withPort != len(hosts) {
		return nil, errors.New("some of the hosts have a port and some have none; give each host its port")
	}
	return hosts, nil
}

// socketHost reads the directory of a unix socket, with an optional port when it
// is percent-encoded.
func socketHost(text string) (DatabaseHost, error) {
	directory, port, hasPort := text, "", false
	if text[0] == '%' {
		directory, port, hasPort = strings.Cut(text, ":")
	}
	directory, err := percentDecode(directory)
	if err != nil {
		return DatabaseHost{}, err
	}
	if strings.Contains(directory, ",") {
		return DatabaseHost{}, errors.New("a unix socket can not be one of several hosts")
	}
	host := DatabaseHost{Host: directory, Port: defaultPostgresPort}
	if hasPort {
		host.Port, err = parsePostgresPort(port)
	}
	return host, err
}

func parseHost(text string) (host DatabaseHost, portGiven bool, err error) {
	name, port, portGiven := strings.ToLower(text), "", false
	if colon := strings.LastIndexByte(name, ':'); colon > strings.LastIndexByte(name, ']') {
		name, port, portGiven = name[:colon], name[colon+1:], true
	}
	host.Port = defaultPostgresPort
	if portGiven {
		if host.Port, err = parsePostgresPort(port); err != nil {
			return DatabaseHost{}, false, err
		}
	}
	if host.Host, err = databaseHostName(name); err != nil {
		return DatabaseHost{}, false, err
	}
	return host, portGiven, nil
}

// databaseHostName checks a host name or address. Underscores are let through:
// container networks give such names to services.
func databaseHostName(name string) (string, error) {
	if strings.HasPrefix(name, "[") && strings.HasSuffix(name, "]") {
		if addr, err := netip.ParseAddr(name[1 : len(name)-1]); err == nil && addr.Is6() {
			return addr.String(), nil
		}
		return "", errors.New("the host in brackets is not an IPv6 address")
	}
	if !validHostname(strings.ReplaceAll(strings.TrimSuffix(name, "."), "_", "a")) {
		return "", errors.New("the host is not a valid host name or address (an IPv6 address stands in brackets; special characters in the password are percent-encoded)")
	}
	return name, nil
}

func parsePostgresPort(text string) (int, error) {
	if !validPort(text) {
		return 0, errors.New("the port is not a number from 1 to 65535")
	}
	port, err := strconv.Atoi(text)
	if err != nil || port == 0 {
		return 0, errors.New("the port is not a number from 1 to 65535")
	}
	return port, nil
}

// PostgresDSN is the connection string for pgx, in keyword/value form. It holds
// the password: it goes to pgx and nowhere else. "" for SQLite.
//
// sslmode is always written out ("prefer" when the URL has none), so that PGSSLMODE
// in the environment can not lower it. With several hosts, target_session_attrs
// is read-write unless the URL says otherwise.
func (d DatabaseURL) PostgresDSN() string {
	if d.Engine != Postgres {
		return ""
	}
	var hosts, ports []string
	for _, h := range d.Hosts {
		hosts = append(hosts, h.Host)
		ports = append(ports, strconv.Itoa(h.Port))
	}
	o := d.Options
	searchPath := ""
	if o.SearchPath != "" {
		searchPath = "-c search_path=" + o.SearchPath
	}
	timeout := ""
	if o.ConnectTimeout > 0 {
		timeout = strconv.Itoa(int(o.ConnectTimeout.Seconds()))
	}
	var out strings.Builder
	for _, pair := range [][2]string{
		{"host", strings.Join(hosts, ",")},
		{"port", strings.Join(ports, ",")},
		{"user", d.User},
		{"password", d.Password.Reveal()},
		{"dbname", d.Database},
		{"sslmode", d.sslMode()},
		{"sslrootcert", o.SSLRootCert},
		{"sslcert", o.SSLCert},
		{"sslkey", o.SSLKey},
		{"connect_timeout", timeout},
		{"application_name", o.ApplicationName},
		{"target_session_attrs", d.targetSessionAttrs()},
		{"options", searchPath},
	} {
		if pair[1] != "" {
			writePair(&out, pair[0], pair[1])
		}
	}
	return out.String()
}

func (d DatabaseURL) sslMode() string {
	if d.Options.SSLMode != "" {
		return d.Options.SSLMode
	}
	return "prefer"
}

func (d DatabaseURL) targetSessionAttrs() string {
	if d.Options.TargetSessionAttrs == "" && len(d.Hosts) > 1 {
		return "read-write"
	}
	return d.Options.TargetSessionAttrs
}

// writePair writes key='value' with the two escapes that libpq knows.
func writePair(out *strings.Builder, key, value string) {
	if out.Len() > 0 {
		out.WriteByte(' ')
	}
	out.WriteString(key + "='")
	out.WriteString(strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(value))
	out.WriteByte('\'')
}
