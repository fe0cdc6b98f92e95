package config

import (
	"errors"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Engine is a kind of database.
type Engine string

// The two engines.
const (
	SQLite   Engine = "sqlite"
	Postgres Engine = "postgres"
)

// DataDirName is the directory below the data root that holds everything the
// server writes by itself: the SQLite database, appconfig.json and secret.key.
const DataDirName = "heartlock_data"

// DatabaseURL is a DATABASE_URL, taken apart and checked. Printing it never shows
// the password.
type DatabaseURL struct {
	Engine Engine

	// SQLite.
	Path        string        // absolute; "" when InMemory
	InMemory    bool          // gone when the last connection closes
	Timeout     time.Duration // how long a writer waits for another; 0 = not given
	Synchronous string        // "full", "normal", or "" = not given

	// PostgreSQL.
	User     string
	Password Secret
	Hosts    []DatabaseHost // empty: the default unix socket
	Database string
	Options  DatabaseOptions
}

// DatabaseHost is one address of a PostgreSQL server.
type DatabaseHost struct {
	Host string // a name, an address without brackets, or the directory of a unix socket
	Port int
}

// DatabaseOptions are what may stand after the "?" of a PostgreSQL URL. The zero
// value of a field means that it was not given.
type DatabaseOptions struct {
	SSLMode            string
	SSLRootCert        string
	SSLCert            string
	SSLKey             string
	ConnectTimeout     time.Duration
	ApplicationName    string
	TargetSessionAttrs string
	SearchPath         string // from options=-c search_path=…

	// The pool. ConnMaxAge is how long a connection is kept; 0 means a new one for
	// every use. When the URL does not say, ConnMaxAgeSet is false, and LoadServer
	// fills in DB_CONN_MAX_AGE.
	ConnMaxAge       time.Duration
	ConnMaxAgeSet    bool
	ConnHealthChecks bool // check an idle connection before it is used
}

const defaultPostgresPort = 5432

// ParseDatabaseURL reads a DATABASE_URL. Relative SQLite paths start at dataRoot,
// which must be absolute.
//
//	sqlite:///heartlock_data/db.sqlite3      three slashes: below the data root
//	sqlite:////var/lib/heartlock/db.sqlite3  four: an absolute path
//	sqlite://:memory:                        in memory
//	postgres://user:password@host:5432/name?sslmode=verify-full
//	postgres://user@h1:5432,h2:5432/name     several hosts, the one that takes writes is used
//	postgres:///name?host=/run/postgresql    a unix socket
//
// The error says what is wrong without repeating any part of the URL, because a
// wrong URL may have its password anywhere.
func ParseDatabaseURL(text, dataRoot string) (DatabaseURL, error) {
	if err := checkURLText(text); err != nil {
		return DatabaseURL{}, err
	}
	scheme, rest, found := strings.Cut(text, "://")
	if !found {
		return DatabaseURL{}, missingSlashes(text)
	}
	switch strings.ToLower(scheme) {
	case "sqlite", "sqlite3":
		return parseSQLite(rest, dataRoot)
	case "postgres", "postgresql", "psql", "pgsql":
		return parsePostgres(rest)
	}
	return DatabaseURL{}, unknownScheme(scheme)
}

// checkURLText refuses what can not be in a URL at all.
func checkURLText(text string) error {
	switch {
	case text != strings.TrimSpace(text):
		return errors.New("there is a space or line break before or after the URL")
	case text != "" && (text[0] == '"' || text[0] == '\''):
		return errors.New("the URL is in quotes; remove them")
	}
	for _, r := range text {
		if r < 0x20 || r == 0x7f || r == '\uFFFD' {
			return errors.New("the URL holds a control character or is not valid UTF-8")
		}
	}
	return nil
}

func missingSlashes(text string) error {
	if scheme, _, _ := strings.Cut(strings.ToLower(text), ":"); scheme == "sqlite" || scheme == "sqlite3" {
		return errors.New("a SQLite URL has three slashes before a path below the working directory, four before an absolute path: sqlite:///heartlock_data/db.sqlite3")
	}
	return errors.New("this is not a URL; write sqlite:///heartlock_data/db.sqlite3 or postgres://user:password@host:5432/database")
}

// unknownScheme names the scheme only when it is one that people really try: any
// other text may be a part of a password.
func unknownScheme(scheme string) error {
	const use = "Heartlock works with sqlite:// and postgres://"
	lower := strings.ToLower(scheme)
	base, driver, _ := strings.Cut(lower, "+")
	for _, known := range []string{"mysql", "mariadb", "oracle", "mssql", "redis", "mongodb", "postgis", "file", "unix", "spatialite", "cockroachdb"} {
		if base == known && driver == "" {
			return errors.New("the scheme " + known + " is not supported; " + use)
		}
	}
	if base == "postgresql" || base == "postgres" || base == "mysql" {
		for _, known := range []string{"psycopg", "psycopg2", "asyncpg", "pg8000", "pymysql"} {
			if driver == known {
				return errors.New("the scheme " + base + "+" + known + " is not supported; " + use)
			}
		}
	}
	return errors.New("the scheme is not known; " + use)
}

// parseSQLite reads what follows "sqlite://".
func parseSQLite(rest, dataRoot string) (DatabaseURL, error) {
	target, query, hasQuery := strings.Cut(rest, "?")
	database := DatabaseURL{Engine: SQLite}
	switch {
	case target == ":memory:" || target == "/:memory:":
		database.InMemory = true
	case target == "" || target == "/":
		return DatabaseURL{}, errors.New("the URL names no file; write sqlite:///heartlock_data/db.sqlite3")
	case target[0] != '/':
		return DatabaseURL{}, errors.New("a SQLite URL has three slashes before a path below the working directory: did you mean sqlite:///… instead of sqlite://…?")
	default:
		path, err := percentDecode(target[1:])
		if err != nil {
			return DatabaseURL{}, err
		}
		if path == "" || strings.HasSuffix(path, "/") || filepath.Clean(path) == "." {
			return DatabaseURL{}, errors.New("the URL names a directory instead of a file")
		}
		database.Path = below(dataRoot, path)
	}
	options, err := parseOptions(query, hasQuery)
	if err != nil {
		return DatabaseURL{}, err
	}
	if err := database.setSQLiteOptions(options); err != nil {
		return DatabaseURL{}, err
	}
	return database, nil
}

// below is path seen from root: path itself when it is absolute.
func below(root, path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(root, path)
}

// percentDecode decodes %XX and leaves everything else, "+" included.
func percentDecode(text string) (string, error) {
	if !strings.Contains(text, "%") {
		return text, nil
	}
	var out strings.Builder
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c == '%' {
			if i+2 >= len(text) {
				return "", errPercent
			}
			n, err := strconv.ParseUint(text[i+1:i+3], 16, 8)
			if err != nil || n < 0x20 || n == 0x7f {
				return "", errPercent
			}
			c, i = byte(n), i+2
		}
		out.WriteByte(c)
	}
	if decoded := out.String(); strings.ToValidUTF8(decoded, "") == decoded {
		return decoded, nil
	}
	return "", errPercent
}

var errPercent = errors.New("a % is not followed by two hexadecimal digits of a printable character; write a real % as %25")

// String shows the URL with the password as "***" and without its options.
func (d DatabaseURL) String() string {
	if d.Engine == SQLite {
		if d.InMemory {
			return "sqlite://:memory:"
		}
		return "sqlite:///" + d.Path
	}
	if d.Engine == "" {
		return ""
	}
	var out strings.Builder
	out.WriteString("postgres://")
	out.WriteString(d.User)
	if d.Password.IsSet() {
		out.WriteString(":***")
	}
	if d.User != "" || d.Password.IsSet() {
		out.WriteByte('@')
	}
	for i, h := range d.Hosts {
		if i > 0 {
			out.WriteByte(',')
		}
		out.WriteString(h.String())
	}
	return out.String() + "/" + d.Database
}

// GoString is String, so that %#v does not show the fields.
func (d DatabaseURL) GoString() string { return d.String() }

// String is "host", or "host:port" when the port is not PostgreSQL's own.
func (h DatabaseHost) String() string {
	host := h.Host
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if h.Port == defaultPostgresPort {
		return host
	}
	return host + ":" + strconv.Itoa(h.Port)
}

// isLocal reports whether a connection to h can not leave this machine.
func (h DatabaseHost) isLocal() bool { return h.isSocket() || isLoopback(h.Host) }

func (h DatabaseHost) isSocket() bool { return strings.HasPrefix(h.Host, "/") }

// isLoopback reports whether host, without brackets, is localhost or a loopback
// address.
func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
