package config

import (
	"bytes"
	stdjson "encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"go.yaml.in/yaml/v3"
)

// canary must never be seen.
const canary = "hunter2canary"

func TestSecretIsNeverPrinted(t *testing.T) {
	t.Parallel()
	type outer struct {
		Exported Secret
		hidden   Secret
	}
	secret := NewSecret(canary)
	value := outer{secret, secret}
	var printed strings.Builder
	for _, v := range []any{secret, &secret, value, &value, []Secret{secret}, map[string]Secret{"k": secret}, map[Secret]int{secret: 1}} {
		for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			fmt.Fprintf(&printed, format, v)
		}
	}
	for _, marshal := range []func() ([]byte, error){
		func() ([]byte, error) { return stdjson.Marshal(value) },
		func() ([]byte, error) { return json.Marshal(value) },
		func() ([]byte, error) { return yaml.Marshal(value) },
	} {
		text, err := marshal()
		if err != nil {
			t.Fatal(err)
		}
		printed.Write(text)
	}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "secret", secret, "struct", value)
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "secret", secret, "struct", value)
	printed.Write(log.Bytes())
	if strings.Contains(printed.String(), canary) || strings.Contains(printed.String(), fmt.Sprintf("%x", canary)) {
		t.Error("a secret was printed")
	}
	if secret.Reveal() != canary || !secret.IsSet() || NewSecret("").IsSet() || !secret.Equal(NewSecret(canary)) || secret.Equal(Secret{}) {
		t.Error("the secret itself is wrong")
	}
}

// malformedSecrets are texts that hold the canary and are wrong for something.
func malformedSecrets() []string {
	texts := []string{canary, canary + "\n", "\x00" + canary, canary + "\xff", `"` + canary + `"`, "'" + canary, " " + canary, "[" + canary + "]", "a;" + canary, canary + "," + canary, "$" + canary, strings.Repeat(canary, 500)}
	for _, form := range []string{
		"postgres://u:%s", "postgres://u:%s@", "postgres://u:%s@h", "postgres://u:%s@h:port/db", "postgres://u:%s/x@h/db", "postgres://u:%s?x@h/db", "postgres://u:a@b/%s@h/db",
		"postgres://u:p@h/db?%s", "postgres://u:p@h/db?%s=1", "postgres://u:p@h/db?sslmode=%s", "postgres://u:p@h/db?options=%s", "postgres://u:p@h/db?CONN_MAX_AGE=%s",
		"postgres://u:p@h/db?connect_timeout=%s", "postgres://u:p@h/db?conn_health_checks=%s", "postgres://u:p@h/db?target_session_attrs=%s", "postgres://u:p@[%s]/db", "postgres://u:%%zz%s@h/db", "postgres://u:p@h:1,%s/db", "postgres://u:p@h:%s/db",
		"postgres//u:%s@h/db", "%s://u:p@h/db", "mysql://u:%s@h/db", "mysql+%s://h/db", "sqlite://%s", "sqlite:%s", "sqlite:///x?%s", "sqlite:///x?timeout=%s", "sqlite:///x?synchronous=%s", "sqlite:///%s/", "u:%s@h",
		"https://u:%s@h/x", "https://h/%s", "https://h/?%s", "https://h#%s", "http://u:%s@", "//u:%s@h", "https://h:%s/", "https://%s h", "ftp://u:%s@h", "https://*.%s", "https://[%s]",
	} {
		texts = append(texts, fmt.Sprintf(form, canary))
	}
	return texts
}

// TestNoErrorRepeatsASecret feeds every secret and every URL with every malformed
// text, from every source, and looks for the canary in all that is printed.
func TestNoErrorRepeatsASecret(t *testing.T) {
	t.Parallel()
	for _, d := range Definitions() {
		if !d.Secret && d.Kind != kindURL && d.Name != varAllowedHosts && d.Name != varCORSOrigins && d.Name != varCSRFOrigins {
			continue
		}
		t.Run(d.Name, func(t *testing.T) {
			t.Parallel()
			for _, text := range malformedSecrets() {
				if d.Name == varAllowedHosts && !strings.Contains(text, "@") {
					continue // a list of hosts may be shown, what looks like a login not
				}
				for _, f := range []*fixture{
					newFixture(t, d.Name+"="+text),
					newFixture(t, "DEBUG=False", d.Name+"="+text),
					newFixture(t).env(d.Name + "=" + text + "\n"),
					newFixture(t).env(d.Name + "='" + text + "\n"),
					newFixture(t).appConfig(managedJSON(d.Managed, text)),
				} {
					checkNoCanary(t, d, f, text)
				}
			}
		})
	}
}

func checkNoCanary(t *testing.T, d Definition, f *fixture, text string) {
	t.Helper()
	s, err := LoadServer(f.opts)
	var printed strings.Builder
	if err != nil {
		printed.WriteString(err.Error())
	} else {
		fmt.Fprintf(&printed, "%q", s.Warnings)
		if d.Secret {
			for _, setting := range s.Settings() {
				value := setting.Value
				if d.Name == varDatabaseURL && strings.HasPrefix(value, "sqlite:") {
					value = "" // a path is no secret
				}
				printed.WriteString(value)
			}
			fmt.Fprintf(&printed, "%v", s.DeployFindings())
		}
	}
	if d.Name == varDatabaseURL && err == nil && strings.HasPrefix(s.Database.String(), "sqlite:") {
		return
	}
	if strings.Contains(printed.String(), canary) {
		t.Errorf("%s=%q: shown in %s", d.Name, text, printed.String())
	}
}

// managedJSON is an appconfig.json with one value, or one that is no JSON.
func managedJSON(key, text string) string {
	text = strings.ToValidUTF8(strings.ReplaceAll(text, "\x00", ""), "")
	quoted, err := stdjson.Marshal(text)
	if err != nil || key == "" {
		return `{"x": ` + text
	}
	if inner, found := strings.CutPrefix(key, "oidc."); found {
		return fmt.Sprintf(`{"oidc": {%q: %s}, "previous_encryption_keys": [%s]}`, inner, quoted, quoted)
	}
	return fmt.Sprintf(`{%q: %s}`, key, quoted)
}
