package config

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/heartlock/heartlock/pkg/fault"
)

// AppConfigName is the file in the data directory that holds the settings which
// the set-up wizard and the admin API manage.
const AppConfigName = "appconfig.json"

// AppConfig is the content of appconfig.json. Unset fields are not in the file
// and leave the setting to the environment. Members of the file that this version
// does not know are kept when it is rewritten.
type AppConfig struct {
	AppURL                 string
	DatabaseURL            Secret
	EncryptionKey          Secret   // the key that seals
	PreviousEncryptionKeys []Secret // further keys that open
	OIDC                   AppConfigOIDC
	// SettingsVersion is the version of the settings shared by all servers that
	// was last written to this file; "": none. See SaveManaged.
	SettingsVersion string

	unknown     map[string]jsontext.Value
	unknownOIDC map[string]jsontext.Value
}

// AppConfigOIDC is the object "oidc" of appconfig.json.
type AppConfigOIDC struct {
	Enable                *bool
	Issuer                string
	ClientID              string
	ClientSecret          Secret
	AuthorizationEndpoint string
	TokenEndpoint         string
	UserinfoEndpoint      string
	EndSessionEndpoint    string
	Scopes                string // separated by spaces
	RedirectURI           string
	CreateUnknownUser     *bool
}

// appField ties a key of the file to its place in AppConfig. Exactly one of the
// pointers is set.
type appField struct {
	key    string
	text   *string
	secret *Secret
	list   *[]Secret
	truth  **bool
}

func (c *AppConfig) fields() []appField {
	return []appField{
		{key: appURLKey, text: &c.AppURL},
		{key: "database_url", secret: &c.DatabaseURL},
		{key: "encryption_key", secret: &c.EncryptionKey},
		{key: "previous_encryption_keys", list: &c.PreviousEncryptionKeys},
		{key: "settings_version", text: &c.SettingsVersion},
	}
}

func (o *AppConfigOIDC) fields() []appField {
	return []appField{
		{key: "enable", truth: &o.Enable},
		{key: "issuer", text: &o.Issuer},
		{key: "client_id", text: &o.ClientID},
		{key: "client_secret", secret: &o.ClientSecret},
		{key: "authorization_endpoint", text: &o.AuthorizationEndpoint},
		{key: "token_endpoint", text: &o.TokenEndpoint},
		{key: "userinfo_endpoint", text: &o.UserinfoEndpoint},
		{key: "end_session_endpoint", text: &o.EndSessionEndpoint},
		{key: "scopes", text: &o.Scopes},
		{key: "redirect_uri", text: &o.RedirectURI},
		{key: "create_unknown_user", truth: &o.CreateUnknownUser},
	}
}

const (
	oidcKey   = "oidc" // the member that holds AppConfigOIDC
	appURLKey = "app_url"
)

// managed are the values of the file by the dotted keys of [Definition.Managed].
func (c *AppConfig) managed() map[string]Secret {
	found := map[string]Secret{}
	for _, f := range c.fields() {
		found[f.key] = f.value()
	}
	for _, f := range c.OIDC.fields() {
		found[oidcKey+"."+f.key] = f.value()
	}
	maps.DeleteFunc(found, func(_ string, s Secret) bool { return !s.IsSet() })
	return found
}

// value is the field's text, as a variable would have it.
func (f appField) value() Secret {
	switch {
	case f.text != nil:
		return NewSecret(*f.text)
	case f.secret != nil:
		return *f.secret
	case f.truth != nil && *f.truth != nil:
		return NewSecret(boolText(**f.truth))
	}
	return Secret{}
}

// ReadAppConfig reads appconfig.json in the data directory. A file that is not
// there is empty. The second result lists the unknown members. The error, of
// kind fault.Usage, names the file and what is wrong, never a value.
func ReadAppConfig(dataDir string) (AppConfig, []string, error) {
	text, err := readFile(filepath.Join(dataDir, AppConfigName))
	if errors.Is(err, fs.ErrNotExist) {
		return AppConfig{}, nil, nil
	}
	if err != nil {
		return AppConfig{}, nil, appConfigError(dataDir, "can not be read: "+fileReason(err))
	}
	config, err := decodeAppConfig(text)
	if err != nil {
		return AppConfig{}, nil, appConfigError(dataDir, err.Error())
	}
	return config, config.unknownKeys(), nil
}

func appConfigError(dataDir, problem string) error {
	return fault.Newf(fault.Usage, "%s: %s", filepath.Join(dataDir, AppConfigName), problem)
}

// decodeAppConfig is strict: exact names, each at most once, the right types,
// valid UTF-8 and nothing after the object.
func decodeAppConfig(text []byte) (AppConfig, error) {
	var config AppConfig
	members, err := decodeObject(text, text, 0)
	if err != nil {
		return AppConfig{}, err
	}
	oidc, hasOIDC := members[oidcKey]
	delete(members, oidcKey)
	if err := decodeFields(members, config.fields(), ""); err != nil {
		return AppConfig{}, err
	}
	config.unknown = members
	if !hasOIDC || oidc.Kind() == 'n' {
		return config, nil
	}
	if oidc.Kind() != '{' {
		return AppConfig{}, errors.New(oidcKey + " is not an object")
	}
	members, err = decodeObject(oidc, text, strings.Index(string(text), string(oidc)))
	if err != nil {
		return AppConfig{}, err
	}
	if err := decodeFields(members, config.OIDC.fields(), oidcKey+"."); err != nil {
		return AppConfig{}, err
	}
	config.unknownOIDC = members
	return config, nil
}

// decodeObject splits an object into its members. The decoder's own error is
// left out, because it may repeat a part of the text.
func decodeObject(object, whole []byte, offset int) (map[string]jsontext.Value, error) {
	var members map[string]jsontext.Value
	err := json.Unmarshal(object, &members)
	var syntax *jsontext.SyntacticError
	switch {
	case errors.As(err, &syntax):
		line := 1 + strings.Count(string(whole[:min(len(whole), offset+int(syntax.ByteOffset))]), "\n")
		if errors.Is(err, jsontext.ErrDuplicateName) {
			return nil, fmt.Errorf("near line %d: a name stands twice in the same object", line)
		}
		return nil, fmt.Errorf("near line %d: this is not valid JSON", line)
	case err != nil || members == nil:
		return nil, errors.New("this is not a JSON object")
	}
	return members, nil
}

// decodeFields takes the known members out of members.
func decodeFields(members map[string]jsontext.Value, fields []appField, prefix string) error {
	for _, f := range fields {
		value, ok := members[f.key]
		if !ok {
			continue
		}
		delete(members, f.key)
		if value.Kind() == 'n' {
			continue
		}
		if err := f.decode(value); err != nil {
			return fmt.Errorf("%s%s is not %w", prefix, f.key, err)
		}
	}
	return nil
}

var (
	errNotString  = errors.New("a string")
	errNotBoolean = errors.New("true or false")
	errNotList    = errors.New("a list of strings")
)

func (f appField) decode(value jsontext.Value) error {
	switch {
	case f.text != nil:
		if json.Unmarshal(value, f.text) != nil {
			return errNotString
		}
	case f.secret != nil:
		var text string
		if json.Unmarshal(value, &text) != nil {
			return errNotString
		}
		*f.secret = NewSecret(text)
	case f.truth != nil:
		if json.Unmarshal(value, f.truth) != nil {
			return errNotBoolean
		}
	default:
		var texts []string
		if json.Unmarshal(value, &texts) != nil {
			return errNotList
		}
		for _, text := range texts {
			*f.list = append(*f.list, NewSecret(text))
		}
	}
	return nil
}

// unknownKeys are the names that this version does not know, sorted.
func (c *AppConfig) unknownKeys() []string {
	names := slices.Collect(maps.Keys(c.unknown))
	for name := range c.unknownOIDC {
		names = append(names, oidcKey+"."+name)
	}
	slices.Sort(names)
	return names
}

// encode is the content of the file: the known members in a fixed order, then
// the unknown ones.
func (c *AppConfig) encode() ([]byte, error) {
	oidc, err := encodeObject(c.OIDC.fields(), c.unknownOIDC)
	if err != nil {
		return nil, err
	}
	rest := maps.Clone(c.unknown)
	if string(oidc) != "{}" {
		if rest == nil {
			rest = map[string]jsontext.Value{}
		}
		rest[oidcKey] = oidc
	}
	text, err := encodeObject(c.fields(), rest)
	if err != nil {
		return nil, err
	}
	if err := text.Indent(); err != nil {
		return nil, err
	}
	return append(text, '\n'), nil
}

func encodeObject(fields []appField, rest map[string]jsontext.Value) (jsontext.Value, error) {
	var out strings.Builder
	encoder := jsontext.NewEncoder(&out)
	write := func(name string, value any) error {
		if err := encoder.WriteToken(jsontext.String(name)); err != nil {
			return err
		}
		return json.MarshalEncode(encoder, value)
	}
	if err := encoder.WriteToken(jsontext.BeginObject); err != nil {
		return nil, err
	}
	for _, f := range fields {
		if value := f.encoded(); value != nil {
			if err := write(f.key, value); err != nil {
				return nil, err
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(rest)) {
		if err := write(name, rest[name]); err != nil {
			return nil, err
		}
	}
	if err := encoder.WriteToken(jsontext.EndObject); err != nil {
		return nil, err
	}
	return jsontext.Value(strings.TrimSpace(out.String())), nil
}

// encoded is the field's JSON value, nil when it is unset.
func (f appField) encoded() any {
	switch {
	case f.text != nil && *f.text != "":
		return *f.text
	case f.secret != nil && f.secret.IsSet():
		return f.secret.Reveal()
	case f.truth != nil && *f.truth != nil:
		return **f.truth
	case f.list != nil && len(*f.list) > 0:
		texts := make([]string, len(*f.list))
		for i, s := range *f.list {
			texts[i] = s.Reveal()
		}
		return texts
	}
	return nil
}
