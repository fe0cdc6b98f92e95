package config

import (
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Finding is something that a server should not be run with.
type Finding struct {
	Variable string // the variable or file
	Message  string // what is wrong and what to do; never a secret
	Advice   bool   // it works and is not dangerous, but better is possible
}

// deployCheck collects findings.
type deployCheck struct {
	server   *Server
	findings []Finding
}

func (c *deployCheck) found(variable, message string) {
	c.findings = append(c.findings, Finding{Variable: variable, Message: message})
}

func (c *deployCheck) advise(variable, message string) {
	c.findings = append(c.findings, Finding{Variable: variable, Message: message, Advice: true})
}

// DeployFindings holds the settings to what a production server needs, DEBUG=True
// included among the findings. It looks at settings and files only; what the
// database, its migrations and the clock have to say is found elsewhere.
func (s *Server) DeployFindings() []Finding {
	c := &deployCheck{server: s}
	c.core()
	c.transport()
	c.database()
	c.mailAndOIDC()
	c.files()
	return c.findings
}

// StorageFindings is the part of [Server.DeployFindings] that holds for every
// server, a development server included: other users must not reach its files
// or listen to its database connection, and SQLite must not lie on a network
// file system.
func (s *Server) StorageFindings() []Finding {
	c := &deployCheck{server: s}
	c.networkFilesystem()
	c.databaseConnection()
	c.files()
	return c.findings
}

func (c *deployCheck) core() {
	s := c.server
	if s.Debug {
		c.found(varDebug, "DEBUG is True; set it to False.")
	}
	if problem := secretKeyProblem(s.SecretKey.Reveal()); problem != "" {
		c.found(varSecretKey, "SECRET_KEY "+problem+".")
	}
	for i, old := range s.SecretKeyFallbacks {
		if problem := secretKeyProblem(old.Reveal()); problem != "" {
			c.found(varSecretFallbacks, "item "+strconv.Itoa(i+1)+" "+problem+".")
		}
	}
	switch {
	case len(s.Hosts.entries) == 0:
		c.found(varAllowedHosts, "The list is empty; name the hosts that the server is reached by.")
	case s.Hosts.anyHost:
		c.found(varAllowedHosts, "* answers to every host; name the hosts that the server is reached by.")
	}
	switch {
	case s.AppURL == "":
		c.found(varAppURL, "It is not set; links in mail and single sign-on need the public address.")
	case strings.HasPrefix(s.AppURL, "http://"):
		c.found(varAppURL, "It begins with http://; use https.")
	}
	switch s.EncryptionKey.Source {
	case KeyFromFile:
		c.found(varEncryptionKey, "The key comes from "+KeyFileName+", which is read with DEBUG=True only; set HEARTLOCK_ENCRYPTION_KEY to the key in it.")
	case KeyMayBeGenerated, KeyEphemeral:
		c.found(varEncryptionKey, "There is no encryption key; `heartlock genkey` makes one.")
	}
}

func (c *deployCheck) transport() {
	security := c.server.Security
	if !security.SSLRedirect {
		c.found(varSSLRedirect, "It is False; plain http is served.")
	}
	switch {
	case security.HSTSSeconds == 0:
		c.advise(varHSTSSeconds, "It is 0; browsers are not told to insist on https.")
	case security.HSTSSeconds < preloadSeconds && security.HSTSPreload:
		c.advise(varHSTSSeconds, "It is below 31536000 (one year), which SECURE_HSTS_PRELOAD=True needs; raise it, or set SECURE_HSTS_PRELOAD=False.")
	}
	if !security.SessionCookieSecure {
		c.found(varSessionSecure, "The session cookie is sent over plain http too.")
	}
	if !security.CSRFCookieSecure {
		c.found(varCSRFSecure, "The CSRF cookie is sent over plain http too.")
	}
	for _, p := range security.TrustedProxies.Prefixes {
		if p.Bits() == 0 {
			c.found(varTrustedProxies, "It holds "+p.String()+", so everybody can forge the address he comes from.")
		}
	}
}

func (c *deployCheck) database() {
	if c.server.Database.InMemory {
		c.found(varDatabaseURL, "The database is in memory and gone after a restart.")
	}
	c.networkFilesystem()
	c.databaseConnection()
}

func (c *deployCheck) databaseConnection() {
	d := c.server.Database
	remote := false
	for _, h := range d.Hosts {
		remote = remote || !h.isLocal()
	}
	switch mode := d.sslMode(); {
	case !remote:
	case d.Options.SSLMode == "":
		c.found(varDatabaseURL, "It has no sslmode, so the connection is encrypted only if the server offers it; add ?sslmode=verify-full.")
	case mode == "disable" || mode == "allow" || mode == "prefer":
		c.found(varDatabaseURL, "sslmode="+mode+" lets the connection be unencrypted; use verify-full.")
	}
}

func (c *deployCheck) networkFilesystem() {
	d := c.server.Database
	if d.Engine != SQLite || d.InMemory {
		return
	}
	if name := networkFilesystem(existingParent(d.Path)); name != "" {
		c.found(varDatabaseURL, "The SQLite database lies on a network file system ("+name+"), whose locks can not be relied on; use a local disk or PostgreSQL.")
	}
}

func (c *deployCheck) mailAndOIDC() {
	m := c.server.Mail
	switch {
	case m.Backend == MailSMTP && m.TLS == MailTLSNone && !isLoopback(m.Host):
		c.found(varEmailTLS, "Mail is sent unencrypted; set EMAIL_USE_TLS or EMAIL_USE_SSL to True.")
	case m.Backend == MailDisabled:
		c.advise(varEmailHost, "It is not set; no invitations can be sent.")
	case m.Backend != MailSMTP:
		c.advise(varEmailBackend, "Mail goes to "+string(m.Backend)+" instead of to people.")
	}
	if (m.User == "") != !m.Password.IsSet() {
		c.advise(varEmailUser, "Only one of EMAIL_HOST_USER and EMAIL_HOST_PASSWORD is set.")
	}
	if missing := c.server.OIDC.Missing; len(missing) > 0 {
		c.advise(varOIDCEnable, "It is True, but "+strings.Join(missing, ", ")+" is not set; single sign-on is off.")
	}
}

// files looks at the modes of everything that holds secrets.
func (c *deployCheck) files() {
	s := c.server
	paths := []string{s.DataDir}
	if s.envFile != "" {
		paths = append(paths, s.envFile)
	}
	// What is in the data directory by other names is not ours to judge, but a copy
	// of the database or the settings is as secret as they are.
	paths = append(paths, regularFiles(s.DataDir)...)
	formerKeys := filepath.Join(s.DataDir, FormerKeysName)
	paths = append(append(paths, formerKeys), regularFiles(formerKeys)...)
	if s.Database.Path != "" && filepath.Dir(s.Database.Path) != s.DataDir {
		for _, suffix := range []string{"", "-wal", "-shm"} {
			paths = append(paths, s.Database.Path+suffix)
		}
	}
	for _, path := range paths {
		c.mode(path)
	}
}

// regularFiles are those in a directory; none if it can not be read.
func regularFiles(dir string) (paths []string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	for _, e := range entries {
		if e.Type().IsRegular() {
			paths = append(paths, filepath.Join(dir, e.Name()))
		}
	}
	return paths
}

func (c *deployCheck) mode(path string) {
	info, err := os.Stat(path)
	if err != nil || !modesMatter || info.Mode().Perm()&0o077 == 0 {
		return
	}
	want := fs.FileMode(0o600)
	if info.IsDir() {
		want = 0o700
	}
	c.found(path, "Other users have access (mode "+strconv.FormatUint(uint64(info.Mode().Perm()), 8)+"); run chmod "+strconv.FormatUint(uint64(want), 8)+" on it.")
}

// existingParent is path, or the nearest directory above it that is there.
func existingParent(path string) string {
	for {
		if _, err := os.Stat(path); err == nil || path == filepath.Dir(path) {
			return path
		}
		path = filepath.Dir(path)
	}
}
