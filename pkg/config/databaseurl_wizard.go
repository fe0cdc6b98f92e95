package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
)

// ParseDatabaseURLFromWizard reads a database URL that came over HTTP. Whoever
// sends one must not make the server write or read files elsewhere or talk to
// local sockets: SQLite files only in the data directory below dataRoot, not in
// memory; PostgreSQL over TCP only, without client certificates, and a root
// certificate only from the data directory.
func ParseDatabaseURLFromWizard(text, dataRoot string) (DatabaseURL, error) {
	d, err := ParseDatabaseURL(text, dataRoot)
	if err != nil {
		return DatabaseURL{}, err
	}
	dataDir := filepath.Join(dataRoot, DataDirName)
	if d.Engine == SQLite {
		if d.InMemory {
			return DatabaseURL{}, errors.New("a database in memory is gone after a restart")
		}
		if !within(dataDir, d.Path) {
			return DatabaseURL{}, errors.New("the SQLite file must be in " + DataDirName + "; write sqlite:///" + DataDirName + "/db.sqlite3")
		}
		if name := filepath.Base(d.Path); name[0] == '.' || name == AppConfigName || name == KeyFileName {
			return DatabaseURL{}, errors.New("the SQLite file can not have the name of another file of the server; call it db.sqlite3")
		}
		return d, nil
	}
	if len(d.Hosts) == 0 {
		return DatabaseURL{}, errors.New("the URL names no host")
	}
	for _, h := range d.Hosts {
		if h.isSocket() {
			return DatabaseURL{}, errors.New("a unix socket can be set only on the server itself, by DATABASE_URL")
		}
	}
	if d.Options.SSLCert != "" || d.Options.SSLKey != "" {
		return DatabaseURL{}, errors.New("client certificates can be set only on the server itself, by DATABASE_URL")
	}
	if d.Options.SSLRootCert != "" {
		d.Options.SSLRootCert = below(dataRoot, d.Options.SSLRootCert)
		if !within(dataDir, d.Options.SSLRootCert) {
			return DatabaseURL{}, errors.New("the file of sslrootcert must be in " + DataDirName)
		}
	}
	return d, nil
}

// within reports whether path is below dir, also after following the links that
// are there.
func within(dir, path string) bool {
	return isBelow(dir, path) && isBelow(resolved(dir), resolved(path))
}

func isBelow(dir, path string) bool {
	relative, err := filepath.Rel(dir, path)
	return err == nil && relative != "." && filepath.IsLocal(relative)
}

// resolved follows the links in the part of path that exists.
func resolved(path string) string {
	rest := ""
	for at := filepath.Clean(path); ; at = filepath.Dir(at) {
		if target, err := filepath.EvalSymlinks(at); err == nil {
			return filepath.Join(target, rest)
		}
		if _, err := os.Lstat(at); err == nil { // a link to nowhere: where it leads can not be judged
			return ""
		}
		if at == filepath.Dir(at) {
			return path
		}
		rest = filepath.Join(filepath.Base(at), strings.TrimPrefix(rest, "/"))
	}
}
