package config

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// urlOption is one key=value after the "?", decoded.
type urlOption struct{ key, value string }

// poolOptions are written in capitals in the documentation, as Django does, and
// read in any case.
const (
	optionMaxAge       = "conn_max_age"
	optionHealthChecks = "conn_health_checks"
)

// parseOptions splits the query. It refuses an option that is given twice: which
// of the two counts differs from program to program.
func parseOptions(query string, given bool) ([]urlOption, error) {
	if !given || query == "" {
		return nil, nil
	}
	var options []urlOption
	for i, pair := range strings.Split(query, "&") {
		key, value, found := strings.Cut(pair, "=")
		if !found || key == "" {
			return nil, fmt.Errorf("option %d after the ? is not name=value", i+1)
		}
		value, err := percentDecode(value)
		if err != nil {
			return nil, err
		}
		if folded := strings.ToLower(key); folded == optionMaxAge || folded == optionHealthChecks {
			key = folded
		}
		if slices.ContainsFunc(options, func(o urlOption) bool { return o.key == key }) {
			return nil, fmt.Errorf("option %d after the ? is given twice", i+1)
		}
		options = append(options, urlOption{key, value})
	}
	return options, nil
}

func (d *DatabaseURL) setSQLiteOptions(options []urlOption) error {
	for i, o := range options {
		switch o.key {
		case "timeout":
			seconds, err := parseInt(o.value, 1, 600)
			if err != nil {
				return errors.New("the option timeout is not a number of seconds from 1 to 600")
			}
			d.Timeout = time.Duration(seconds) * time.Second
		case "synchronous":
			d.Synchronous = strings.ToLower(o.value)
			if d.Synchronous != "full" && d.Synchronous != "normal" {
				return errors.New("the option synchronous is either full or normal")
			}
		default:
			return fmt.Errorf("option %d after the ? is not known; the options of SQLite are timeout and synchronous", i+1)
		}
	}
	return nil
}

// setPostgresOptions reads the options that are allowed. The names of others are
// not repeated: a badly written URL may have its password there.
func (d *DatabaseURL) setPostgresOptions(options []urlOption) error {
	for i, o := range options {
		set, known := postgresOption(o.key)
		if !known {
			return fmt.Errorf("option %d after the ? is not known; the options of PostgreSQL are host, sslmode, sslrootcert, sslcert, sslkey, connect_timeout, application_name, target_session_attrs, options (-c search_path=…), CONN_MAX_AGE and CONN_HEALTH_CHECKS", i+1)
		}
		if err := set(d, o.value); err != nil {
			return err
		}
	}
	if (d.Options.SSLCert == "") != (d.Options.SSLKey == "") {
		return errors.New("sslcert and sslkey belong together; one of them is missing")
	}
	return nil
}

func postgresOption(key string) (set func(*DatabaseURL, string) error, known bool) {
	text := func(field func(*DatabaseOptions) *string) func(*DatabaseURL, string) error {
		return func(d *DatabaseURL, value string) error {
			if value == "" {
				return errors.New("the option " + key + " is empty")
			}
			*field(&d.Options) = value
			return nil
		}
	}
	choice := func(field func(*DatabaseOptions) *string, allowed ...string) func(*DatabaseURL, string) error {
		return func(d *DatabaseURL, value string) error {
			if !slices.Contains(allowed, value) {
				return errors.New("the option " + key + " is one of " + strings.Join(allowed, ", "))
			}
			*field(&d.Options) = value
			return nil
		}
	}
	switch key {
	case "host":
		return (*DatabaseURL).setSocketOption, true
	case "sslmode":
		return choice(func(o *DatabaseOptions) *string { return &o.SSLMode }, "disable", "allow", "prefer", "require", "verify-ca", "verify-full"), true
	case "sslrootcert":
		return text(func(o *DatabaseOptions) *string { return &o.SSLRootCert }), true
	case "sslcert":
		return text(func(o *DatabaseOptions) *string { return &o.SSLCert }), true
	case "sslkey":
		return text(func(o *DatabaseOptions) *string { return &o.SSLKey }), true
	case "application_name":
		return text(func(o *DatabaseOptions) *string { return &o.ApplicationName }), true
	case "target_session_attrs":
		// Heartlock writes: the values that may choose a standby are not offered.
		return choice(func(o *DatabaseOptions) *string { return &o.TargetSessionAttrs }, "any", "read-write", "primary"), true
	case "connect_timeout":
		return (*DatabaseURL).setConnectTimeout, true
	case "options":
		return (*DatabaseURL).setSearchPath, true
	case optionMaxAge:
		return (*DatabaseURL).setMaxAge, true
	case optionHealthChecks:
		return (*DatabaseURL).setHealthChecks, true
	}
	return nil, false
}

func (d *DatabaseURL) setSocketOption(directory string) error {
	if len(d.Hosts) > 0 {
		return errors.New("the option host stands beside a host; leave one of them away")
	}
	if !filepath.IsAbs(directory) || strings.Contains(directory, ",") {
		return errors.New("the option host is the absolute path of a unix socket's directory")
	}
	d.Hosts = []DatabaseHost{{Host: directory, Port: defaultPostgresPort}}
	return nil
}

func (d *DatabaseURL) setConnectTimeout(value string) error {
	seconds, err := parseInt(value, 1, 600)
	if err != nil {
		return errors.New("the option connect_timeout is not a number of seconds from 1 to 600")
	}
	d.Options.ConnectTimeout = time.Duration(seconds) * time.Second
	return nil
}

// setSearchPath takes "-c search_path=a,b" and no other server setting: some of
// them would switch off what makes a commit durable.
func (d *DatabaseURL) setSearchPath(value string) error {
	list, found := strings.CutPrefix(strings.TrimPrefix(value, "-c "), "search_path=")
	if !found || !strings.HasPrefix(value, "-c ") {
		return errors.New("the option options takes only -c search_path=…, percent-encoded: options=-c%20search_path%3Dname")
	}
	for schema := range strings.SplitSeq(list, ",") {
		if !validIdentifier(schema) {
			return errors.New("the search_path is a comma-separated list of plain schema names without spaces")
		}
	}
	d.Options.SearchPath = list
	return nil
}

func validIdentifier(text string) bool {
	for i := range len(text) {
		c := text[i]
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_'
		if !letter && (i == 0 || !('0' <= c && c <= '9')) {
			return false
		}
	}
	return text != "" && len(text) <= 63
}

func (d *DatabaseURL) setMaxAge(value string) error {
	seconds, err := parseInt(value, 0, maxConnAgeSeconds)
	if err != nil {
		return fmt.Errorf("the option CONN_MAX_AGE is not a number of seconds from 0 to %d", maxConnAgeSeconds)
	}
	d.Options.ConnMaxAge = time.Duration(seconds) * time.Second
	d.Options.ConnMaxAgeSet = true
	return nil
}

func (d *DatabaseURL) setHealthChecks(value string) error {
	on, err := parseBool(value)
	if err != nil {
		return errors.New("the option CONN_HEALTH_CHECKS is neither true nor false")
	}
	d.Options.ConnHealthChecks = on
	return nil
}
