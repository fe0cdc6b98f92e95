package config

import (
	"path/filepath"
	"slices"
	"strings"
)

// Setting is one line of the report of all settings.
type Setting struct {
	Name      string   `json:"name"`
	Value     string   `json:"value"`     // the effective value; a secret is "***", the password in a URL too
	Source    string   `json:"source"`    // "flag", "appconfig.json", "environment", "OIDC_RP_CLIENT_ID (alias)", ".env", "default", …
	Overrides []string `json:"overrides"` // the sources that also have a value, highest first
	Secret    bool     `json:"secret"`
	Managed   string   `json:"managed,omitempty"` // its key in appconfig.json
	Doc       string   `json:"doc"`
}

// masked is shown for a secret that is set.
const masked = "***"

// Settings reports every setting in the order of the documentation: its
// effective value, where it comes from, and what that overrides.
func (s *Server) Settings() []Setting { return slices.Clone(s.settings) }

// report makes the settings' report.
func (l *loader) report() []Setting {
	all := make([]Setting, 0, len(l.definitions))
	for _, d := range l.definitions {
		all = append(all, l.setting(d))
	}
	l.server.settings = all
	l.server.setKeySetting("")
	return all
}

func (l *loader) setting(d Definition) Setting {
	setting := Setting{Name: d.Name, Secret: d.Secret, Managed: d.Managed, Doc: d.Doc, Source: "default"}
	winner, found := l.layers.get(d.Name)
	if found {
		setting.Source = winner.source()
		setting.Value = winner.text()
		for _, loser := range l.layers.losers(winner, d.Name) {
			setting.Overrides = append(setting.Overrides, loser.source())
		}
	}
	if source, ok := l.valueSources[d.Name]; ok {
		setting.Source = source
	}
	switch {
	case d.show != nil:
		setting.Value = d.show(l.server)
	case d.Secret && found:
		setting.Value = masked
	}
	return setting
}

// setKeySetting fills in the encryption key's line: its fingerprint and its
// source. An empty source keeps the one that loading found.
func (s *Server) setKeySetting(source string) {
	for i := range s.settings {
		setting := &s.settings[i]
		if setting.Name != varEncryptionKey {
			continue
		}
		if source == "" && setting.Source == "default" {
			source = string(s.EncryptionKey.Source)
		}
		if source != "" {
			setting.Source = source
		}
		if keys := s.EncryptionKey.Keys; len(keys) > 0 {
			prints := make([]string, len(keys))
			for i, k := range keys {
				prints[i] = k.Fingerprint()
			}
			setting.Value = masked + " (key " + strings.Join(prints, ", then ") + ")"
		}
	}
}

// readAppConfig reads the managed settings.
func (l *loader) readAppConfig() values {
	path := filepath.Join(l.server.DataDir, AppConfigName)
	config, unknown, err := ReadAppConfig(l.server.DataDir)
	if err != nil {
		problem, _ := strings.CutPrefix(err.Error(), path+": ")
		l.errs.add(path, "", "%s", problem)
		return nil
	}
	if l.managed != nil {
		config.SetManaged(*l.managed)
	}
	l.appConfig = config
	for _, name := range unknown {
		l.warn("%s: %s is not a known key; it has no effect and is kept.", path, shown(name))
	}
	if looserThan0600(path) {
		l.warn("%s can be read by other users; run chmod 600 on it.", path)
	}
	managed := config.managed()
	found := values{}
	for _, d := range l.definitions {
		if value, ok := managed[d.Managed]; ok && d.Managed != "" {
			found[d.Name] = candidate{value: value, layer: layerAppConfig, name: d.Name}
		}
	}
	if len(config.PreviousEncryptionKeys) > 0 && !config.EncryptionKey.IsSet() {
		l.warn("%s: previous_encryption_keys has no effect without encryption_key.", path)
	}
	return found
}

// CheckAppConfig reports, as an [*Errors], what a start of this server would
// refuse in c. Whoever writes appconfig.json calls it first: a server that does
// not start can not be mended through its own API.
func (s *Server) CheckAppConfig(c AppConfig) error {
	l := &loader{server: &Server{Root: s.Root, DataDir: s.DataDir, Debug: s.Debug}, appConfig: c, valueSources: map[string]string{}}
	managed := c.managed()
	for _, d := range Definitions() {
		value, ok := managed[d.Managed]
		if d.Managed == "" || !ok {
			continue
		}
		if err := d.read(l, value.Reveal()); err != nil {
			l.errs.add(d.Managed, AppConfigName, "%s", err)
		}
	}
	l.previousKeysRule()
	return l.errs.asError()
}
