package web

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/vault"
)

// SSOAdmin is what administrators do with the settings of single sign-on. Each method
// asks the policy itself. A change is made of the generation that the match names and
// reaches all servers.
type SSOAdmin interface {
	ReadSSO(ctx context.Context, who vault.Principal) (api.SSOSettings, error)
	UpdateSSO(ctx context.Context, who vault.Principal, in api.UpdateSSO, match vault.Match) (api.SSOSettings, error)
	ResetSSO(ctx context.Context, who vault.Principal, match vault.Match) error
	TestSSO(ctx context.Context, who vault.Principal, in api.UpdateSSO) (api.SSOTest, error)
}

const (
	adminSSOPage  = "/admin/oidc/"
	ssoTestPage   = adminSSOPage + "test/"
	ssoRemovePage = adminSSOPage + "remove/"
)

func adminSSORoutes() []route {
	return []route{
		{method: get, pattern: adminSSOPage, action: vault.ActionReadSSO, serve: showSSOSettings},
		{method: post, pattern: adminSSOPage, action: vault.ActionUpdateSSO, serve: saveSSO},
		{method: get, pattern: ssoTestPage, action: vault.ActionReadSSO, serve: showSSOSettings},
		{method: post, pattern: ssoTestPage, action: vault.ActionTestSSO, serve: testSSO},
		{method: post, pattern: ssoRemovePage, action: vault.ActionResetSSO, serve: removeSSO},
	}
}

type ssoData struct {
	api.SSOSettings
	Texts []ssoText
	// Enabling and Creating are what is saved of the two switches: see savedSwitch.
	Enabling, Creating string
	SecretSource       string
	// Saved: an administrator has saved something, which can be removed.
	Saved bool
	Test  *ssoFindings
}

// Lacking names the fields that single sign-on needs and that are not set.
func (d ssoData) Lacking() string {
	var labels []string
	for _, t := range d.Texts {
		if slices.Contains(d.Missing, t.Name) {
			labels = append(labels, t.Label)
		}
	}
	return strings.Join(labels, ", ")
}

// ByEnvironment reports whether the environment has decided on a switch, unless
// something else is saved.
func (d ssoData) ByEnvironment(name string) bool {
	return d.Sources[name] != savedHere && d.Sources[name] != "default" && d.Sources[name] != ""
}

// ssoText is one field of the form that is a text.
type ssoText struct {
	ssoField
	Value  string // as it is in force
	Source string // in words; "" if nothing has set it
}

// ssoField is a text among the settings of single sign-on.
type ssoField struct {
	Name, Label, Hint string
	Address           bool // a URL
	Needed            bool
	now               func(*api.SSOSettings) string
	next              func(*api.UpdateSSO) *api.Optional[string]
}

func ssoFields() []ssoField {
	return []ssoField{
		{
			Name: "client_id", Label: "Client ID", Needed: true, Hint: "The name of this server at the identity provider.",
			now:  func(s *api.SSOSettings) string { return s.ClientID },
			next: func(u *api.UpdateSSO) *api.Optional[string] { return &u.ClientID },
		},
		{
			Name: "issuer", Label: "Issuer", Address: true, Hint: "If it is set, the provider's ID tokens are checked against its published keys.",
			now:  func(s *api.SSOSettings) string { return s.Issuer },
			next: func(u *api.UpdateSSO) *api.Optional[string] { return &u.Issuer },
		},
		{
			Name: "authorization_endpoint", Label: "Authorization endpoint", Address: true, Needed: true, Hint: "Where people's browsers are sent to sign in.",
			now:  func(s *api.SSOSettings) string { return s.AuthorizationEndpoint },
			next: func(u *api.UpdateSSO) *api.Optional[string] { return &u.AuthorizationEndpoint },
		},
		{
			Name: "token_endpoint", Label: "Token endpoint", Address: true, Needed: true, Hint: "The client secret is sent there, and nowhere else: who changes it has to give the secret again.",
			now:  func(s *api.SSOSettings) string { return s.TokenEndpoint },
			next: func(u *api.UpdateSSO) *api.Optional[string] { return &u.TokenEndpoint },
		},
		{
			Name: "userinfo_endpoint", Label: "User info endpoint", Address: true, Needed: true, Hint: "Where this server asks who has signed in.",
			now:  func(s *api.SSOSettings) string { return s.UserinfoEndpoint },
			next: func(u *api.UpdateSSO) *api.Optional[string] { return &u.UserinfoEndpoint },
		},
		{
			Name: "end_session_endpoint", Label: "Logout endpoint", Address: true, Hint: "Signing out here ends the session there too, if it is set.",
			now:  func(s *api.SSOSettings) string { return s.EndSessionEndpoint },
			next: func(u *api.UpdateSSO) *api.Optional[string] { return &u.EndSessionEndpoint },
		},
		{
			Name: "scopes", Label: "Scopes", Hint: "Separated by blanks.",
			now:  func(s *api.SSOSettings) string { return s.Scopes },
			next: func(u *api.UpdateSSO) *api.Optional[string] { return &u.Scopes },
		},
		{
			Name: "redirect_uri", Label: "Redirect URI", Address: true, Hint: "Only if the address that people use is not the one shown above.",
			now:  func(s *api.SSOSettings) string { return s.RedirectURI },
			next: func(u *api.UpdateSSO) *api.Optional[string] { return &u.RedirectURI },
		},
	}
}

// savedHere is the source of what administrators have saved.
const savedHere = "appconfig.json"

// sourceText says where a setting comes from, in words; "" for what nobody has set.
func sourceText(source string) string {
	name, fromFile := strings.CutSuffix(source, " (.env)")
	switch {
	case source == "" || source == "default":
		return ""
	case source == savedHere:
		return "Saved here."
	case fromFile:
		return "From " + name + " in the server's .env file. What you save here takes its place."
	}
	return "From " + name + " in the server's environment. What you save here takes its place."
}

func showSSOSettings(v *visit) error { return v.showSSO(nil) }

func (v *visit) showSSO(test *ssoFindings) error {
	settings, err := v.site.options.SSOAdmin.ReadSSO(v, v.who)
	if err != nil {
		return err
	}
	data := ssoData{SSOSettings: settings, Test: test, SecretSource: sourceText(settings.Sources["client_secret"])}
	data.Enabling, data.Creating = savedSwitch(&settings, "enable"), savedSwitch(&settings, "create_unknown_user")
	for _, f := range ssoFields() {
		data.Texts = append(data.Texts, ssoText{f, f.now(&settings), sourceText(settings.Sources[f.Name])})
	}
	for _, source := range settings.Sources {
		data.Saved = data.Saved || source == savedHere
	}
	return v.show(page{Template: "admin-oidc", Title: "Single sign-on", Section: "oidc", Data: data})
}

// ssoChange is what the form asks for: what differs from what is in force. An empty
// field removes what was saved, so that the environment or the default counts again.
func (v *visit) ssoChange(present *api.SSOSettings) (api.UpdateSSO, error) {
	var change api.UpdateSSO
	for _, f := range ssoFields() {
		was, text := f.now(present), v.text(f.Name)
		switch {
		case text == was:
		case text != "":
			*f.next(&change) = api.Some(text)
		case present.Sources[f.Name] == savedHere:
			*f.next(&change) = api.Null[string]()
		default:
			return change, fault.InvalidField("body."+f.Name, "is set by the server's environment: remove it there, or save something else here")
		}
	}
	switch secret := v.value("client_secret"); {
	case secret.Len() > 0:
		change.ClientSecret = api.Some(secret)
	case v.checked("forget_secret"):
		change.ClientSecret = api.Null[api.Value]()
	}
	var err error
	if change.Enable, err = v.ssoSwitch("enable", present); err != nil {
		return change, err
	}
	change.CreateUnknownUser, err = v.ssoSwitch("create_unknown_user", present)
	return change, err
}

// ssoSwitch is a switch of the form, if it is chosen otherwise than it is saved.
func (v *visit) ssoSwitch(name string, present *api.SSOSettings) (api.Optional[bool], error) {
	switch chosen := v.text(name); {
	case chosen == savedSwitch(present, name):
		return api.Optional[bool]{}, nil
	case chosen == "":
		return api.Null[bool](), nil
	case chosen == "true", chosen == "false":
		return api.Some(chosen == "true"), nil
	}
	return api.Optional[bool]{}, fault.InvalidField("body."+name, "must be one of the choices")
}

// savedSwitch is what administrators have saved of a switch: "true", "false", or "" if
// it is left to the environment and the defaults.
func savedSwitch(s *api.SSOSettings, name string) string {
	on := s.CreateUnknownUser
	if name == "enable" {
		on = s.Enable != nil && *s.Enable
	}
	if s.Sources[name] != savedHere {
		return ""
	}
	return strconv.FormatBool(on)
}

// generation is the one that the form was made from: a change is not made of what
// somebody else has saved meanwhile.
func (v *visit) generation() (vault.Match, error) {
	n, err := strconv.ParseInt(v.text("generation"), 10, 64)
	if err != nil {
		return vault.Match{}, fault.New(fault.Invalid, "Send this form from its page.")
	}
	return vault.Match{Revision: &n}, nil
}

func saveSSO(v *visit) error {
	match, err := v.generation()
	if err != nil {
		return v.again(err, showSSOSettings)
	}
	present, err := v.site.options.SSOAdmin.ReadSSO(v, v.who)
	if err != nil {
		return err
	}
	change, err := v.ssoChange(&present)
	if err == nil && change != (api.UpdateSSO{}) {
		_, err = v.site.options.SSOAdmin.UpdateSSO(v, v.who, change, match)
	}
	if err != nil {
		return v.again(settingsProblem(err), showSSOSettings)
	}
	return v.done(adminSSOPage, "sso-saved")
}

func removeSSO(v *visit) error {
	match, err := v.generation()
	if err == nil {
		err = v.site.options.SSOAdmin.ResetSSO(v, v.who, match)
	}
	if err != nil {
		return v.again(settingsProblem(err), showSSOSettings)
	}
	return v.done(adminSSOPage, "sso-removed")
}

// settingsProblem says in the page's words that somebody else was faster.
func settingsProblem(err error) error {
	if errors.Is(err, fault.PreconditionFailed) || errors.Is(err, fault.Conflict) {
		return fault.Wrap(fault.Conflict, err, "Somebody else has saved these settings since you opened this page. Open it anew, look at what they are now, and repeat your change.")
	}
	return err
}

// ssoFindings is what a test has shown.
type ssoFindings struct {
	api.SSOTest
	Typed bool // it was made with a secret that was typed, which the page does not keep
}

func testSSO(v *visit) error {
	present, err := v.site.options.SSOAdmin.ReadSSO(v, v.who)
	if err != nil {
		return err
	}
	change, err := v.ssoChange(&present)
	if err != nil {
		return v.again(err, showSSOSettings)
	}
	test, err := v.site.options.SSOAdmin.TestSSO(v, v.who, change)
	if err != nil {
		return v.again(err, showSSOSettings)
	}
	v.kept = true
	return v.showSSO(&ssoFindings{test, change.ClientSecret.Value != nil})
}
