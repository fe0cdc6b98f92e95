package api

// SSOSettings are the settings of single sign-on as they are in force on the
// server that answers, from whatever source. The client secret is never among
// them.
type SSOSettings struct {
	Enabled bool `json:"enabled"` // in force: switched on and complete
	// Missing names the fields that single sign-on needs and that are not set.
	Missing []string `json:"missing"`
	// CallbackURL is the redirect URI to register at the identity provider; null if
	// the server does not know its public address.
	CallbackURL *string `json:"callback_url"`
	// Generation counts what administrators have saved; it is the ETag as well. 0:
	// nothing was.
	Generation int64 `json:"generation"`

	Enable                *bool  `json:"enable"` // null: on as soon as nothing is missing
	Issuer                string `json:"issuer"`
	ClientID              string `json:"client_id"`
	ClientSecretSet       bool   `json:"client_secret_set"`
	AuthorizationEndpoint string `json:"authorization_endpoint"`
	TokenEndpoint         string `json:"token_endpoint"`
	UserinfoEndpoint      string `json:"userinfo_endpoint"`
	EndSessionEndpoint    string `json:"end_session_endpoint"`
	Scopes                string `json:"scopes"` // separated by spaces
	RedirectURI           string `json:"redirect_uri"`
	CreateUnknownUser     bool   `json:"create_unknown_user"`

	// Sources says of each field where its value comes from: "appconfig.json", the
	// name of a variable, with " (.env)" if it stands in that file, or "default".
	Sources map[string]string `json:"sources"`
}

// UpdateSSO changes what is saved of single sign-on. A field that is absent stays
// as it is; null removes it, so that the environment or the default counts again.
type UpdateSSO struct {
	Enable                Optional[bool]   `json:"enable,omitzero"`
	Issuer                Optional[string] `json:"issuer,omitzero"`
	ClientID              Optional[string] `json:"client_id,omitzero"`
	ClientSecret          Optional[Value]  `json:"client_secret,omitzero"`
	AuthorizationEndpoint Optional[string] `json:"authorization_endpoint,omitzero"`
	TokenEndpoint         Optional[string] `json:"token_endpoint,omitzero"`
	UserinfoEndpoint      Optional[string] `json:"userinfo_endpoint,omitzero"`
	EndSessionEndpoint    Optional[string] `json:"end_session_endpoint,omitzero"`
	Scopes                Optional[string] `json:"scopes,omitzero"`
	RedirectURI           Optional[string] `json:"redirect_uri,omitzero"`
	CreateUnknownUser     Optional[bool]   `json:"create_unknown_user,omitzero"`
}

// MaxSettingLength bounds each text of UpdateSSO, in bytes.
const MaxSettingLength = 2048

// SSOTest is what trying single sign-on out has shown.
type SSOTest struct {
	OK    bool          `json:"ok"`    // every step is
	Steps []SSOTestStep `json:"steps"` // in the order in which they were tried
}

// SSOTestStep is one step of the test.
type SSOTestStep struct {
	Part    string `json:"part"` // such as "token endpoint"
	OK      bool   `json:"ok"`
	Message string `json:"message"` // a sentence for an administrator
}
