package config

import (
	"errors"
	"reflect"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/heartlock/heartlock/pkg/fault"
)

// Managed is the part of appconfig.json that administrators change while servers
// run, and that all servers of an installation share: single sign-on and the
// public address. Database and encryption keys are no part of it: a server needs
// them before it can be told anything.
type Managed struct {
	AppURL string // "" decides nothing: each server keeps what its file says
	OIDC   AppConfigOIDC

	// What a newer version has added: it is kept, and not written to the file.
	unknown     map[string]jsontext.Value
	unknownOIDC map[string]jsontext.Value
}

// Managed is that part of the file.
func (c *AppConfig) Managed() Managed { return Managed{AppURL: c.AppURL, OIDC: c.OIDC} }

// SetManaged puts m in the place of that part of the file.
func (c *AppConfig) SetManaged(m Managed) {
	if m.AppURL != "" {
		c.AppURL = m.AppURL
	}
	c.OIDC = m.OIDC
}

// Encode writes m as JSON, with the same members as the file. It holds the
// client secret.
func (m Managed) Encode() (Secret, error) {
	c := AppConfig{AppURL: m.AppURL, OIDC: m.OIDC, unknown: m.unknown, unknownOIDC: m.unknownOIDC}
	text, err := c.encode()
	return NewSecret(string(text)), err
}

// DecodeManaged reads what Encode wrote. The error is fault.Internal and repeats
// nothing of it.
func DecodeManaged(text Secret) (Managed, error) {
	c, err := decodeAppConfig([]byte(text.Reveal()))
	if err != nil {
		return Managed{}, fault.Wrap(fault.Internal, err, "The saved settings can not be read.")
	}
	return Managed{AppURL: c.AppURL, OIDC: c.OIDC, unknown: c.unknown, unknownOIDC: c.unknownOIDC}, nil
}

// Changes tells what m says otherwise than former: for each key, such as
// "oidc.client_id", what it is now, "" if it is not set any more, and "***" for a
// secret.
func (m Managed) Changes(former Managed) map[string]string {
	changes := map[string]string{}
	before, after := former.fields(), m.fields()
	for i, f := range after {
		value := f.value()
		if value.Equal(before[i].value()) {
			continue
		}
		changes[f.key] = value.Reveal()
		if f.secret != nil && value.IsSet() {
			changes[f.key] = masked
		}
	}
	return changes
}

// fields are those of the file, with the keys of Definition.Managed.
func (m Managed) fields() []appField {
	all := []appField{{key: appURLKey, text: &m.AppURL}}
	for _, f := range m.OIDC.fields() {
		f.key = oidcKey + "." + f.key
		all = append(all, f)
	}
	return all
}

// With reads the settings anew, from the sources that s was read from, with m in
// the place of what appconfig.json says of it. It writes nothing. The error is an
// [*Errors].
func (s *Server) With(m Managed) (*Server, error) { return s.again(m) }

// CheckManaged reports what is wrong with m, by the rules of all settings, beside
// the other settings of this server: fault.Invalid, with a field for each thing,
// such as "body.token_endpoint". That the other settings can not be read any more
// is fault.Unavailable. Neither repeats a secret.
func (s *Server) CheckManaged(m Managed) error {
	_, err := s.With(m)
	var all *Errors
	if !errors.As(err, &all) {
		return err
	}
	wrong := &fault.Error{Kind: fault.Invalid, Cause: err}
	for _, p := range all.Problems {
		if key := managedKey(p.Variable); key != "" && p.Source == AppConfigName {
			wrong.Fields = append(wrong.Fields, fault.Field{Location: "body." + strings.TrimPrefix(key, oidcKey+"."), Message: p.Message})
		}
	}
	if len(wrong.Fields) == 0 {
		return fault.Wrap(fault.Unavailable, err, "The other settings of this server can not be read any more, so nothing can be changed. Run `heartlock check` on the server.")
	}
	lines := make([]string, len(wrong.Fields))
	for i, f := range wrong.Fields {
		lines[i] = f.Location + ": " + f.Message
	}
	wrong.Message = strings.Join(lines, "; ")
	return wrong
}

// managedKey is the key of a variable in the part that is Managed, or "".
func managedKey(variable string) string {
	for _, d := range Definitions() {
		if d.Name == variable && isManaged(d.Managed) {
			return d.Managed
		}
	}
	return ""
}

func isManaged(key string) bool { return key == appURLKey || strings.HasPrefix(key, oidcKey+".") }

// SaveManaged writes m to appconfig.json in the data directory, and beside it the
// version under which the installation has saved it. What else stands in the file
// is kept. See UpdateAppConfig.
func SaveManaged(dataDir string, m Managed, version string) error {
	return UpdateAppConfig(dataDir, func(c *AppConfig) error {
		c.SetManaged(m)
		c.SettingsVersion = version
		return nil
	})
}

// TakeOver is s with those settings of other that can change while a server runs:
// single sign-on, the public address, and the origins that are trusted with it.
// Everything else stays as the server was started with.
func (s *Server) TakeOver(other *Server) *Server {
	next := *s
	next.AppURL, next.OIDC = other.AppURL, other.OIDC
	next.Security.CSRFTrustedOrigins = other.Security.CSRFTrustedOrigins
	next.settings = slices.Clone(s.settings)
	for i, setting := range next.settings {
		if !changesRunning(setting) {
			continue
		}
		if j := slices.IndexFunc(other.settings, func(o Setting) bool { return o.Name == setting.Name }); j >= 0 {
			next.settings[i] = other.settings[j]
		}
	}
	return &next
}

// SameRunning reports whether TakeOver would change nothing.
func (s *Server) SameRunning(other *Server) bool {
	return s.AppURL == other.AppURL && reflect.DeepEqual(s.OIDC, other.OIDC) &&
		reflect.DeepEqual(s.Security.CSRFTrustedOrigins, other.Security.CSRFTrustedOrigins) &&
		reflect.DeepEqual(s.runningSettings(), other.runningSettings())
}

// runningSettings are the lines of the report that TakeOver takes over.
func (s *Server) runningSettings() []Setting {
	return slices.DeleteFunc(slices.Clone(s.settings), func(one Setting) bool { return !changesRunning(one) })
}

func changesRunning(s Setting) bool { return isManaged(s.Managed) || s.Name == varCSRFOrigins }

// RunningDifference names the settings that TakeOver would change.
func (s *Server) RunningDifference(other *Server) []string {
	var names []string
	theirs := other.runningSettings()
	for i, mine := range s.runningSettings() {
		if i < len(theirs) && !reflect.DeepEqual(mine, theirs[i]) {
			names = append(names, mine.Name)
		}
	}
	return names
}
