package web

import (
	"strconv"
	"strings"
	"time"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/vault"
)

const serviceTokensPath = projectPath + "tokens/"

func serviceTokenRoutes() []route {
	return []route{
		{method: get, pattern: serviceTokensPath, action: vault.ActionListTokens, serve: showServiceTokens},
		{method: get, pattern: serviceTokensPath + "new/", action: vault.ActionCreateToken, serve: showNewServiceToken},
		{method: post, pattern: serviceTokensPath + "new/", action: vault.ActionCreateToken, serve: createServiceToken},
		{method: post, pattern: serviceTokensPath + "{token}/revoke/", action: vault.ActionRevokeToken, serve: revokeServiceToken},
	}
}

type serviceTokensPage struct{ Tokens []serviceTokenRow }

type serviceTokenRow struct {
	api.ServiceToken
	Expired bool
	Soon    bool // it expires within soonExpiry
}

// soonExpiry is how long before its end a token is marked: its programs must be given
// another by then.
const soonExpiry = 14 * 24 * time.Hour

// Everywhere tells whether the token can be used from any address.
func (t serviceTokenRow) Everywhere() bool { return len(t.AllowedCIDRs) == 0 }

func showServiceTokens(v *visit) error {
	nav, err := v.projectNav("tokens")
	if err != nil {
		return err
	}
	list, err := v.vault.ServiceTokens(v, v.who, nav.Project.ID)
	if err != nil {
		return err
	}
	data := serviceTokensPage{}
	for _, t := range list.Results {
		row := serviceTokenRow{ServiceToken: t}
		if t.ExpiresAt != nil {
			row.Expired = !t.ExpiresAt.After(now())
			row.Soon = !row.Expired && t.ExpiresAt.Before(now().Add(soonExpiry))
		}
		data.Tokens = append(data.Tokens, row)
	}
	return v.show(page{Template: "tokens", Title: "Service tokens", Project: nav, Data: data})
}

// newServiceTokenPage is the form of a new token, with what was chosen if it was
// refused.
type newServiceTokenPage struct {
	Environments []environmentChoice
	Access       api.Access
	Expires      string
	Asked        string // when the form was shown; see tokenExpiry
}

type environmentChoice struct {
	api.Environment
	Chosen bool
}

// The choices of when a token expires, beside numbers of days.
const (
	expiresNever  = "never"
	expiresOnDay  = "day" // that of the field expires_on
	defaultExpiry = "90"
)

func showNewServiceToken(v *visit) error {
	nav, err := v.projectNav("tokens")
	if err != nil {
		return err
	}
	if !vault.RoleMay(nav.Project.Role, vault.ActionCreateToken) {
		// The list refuses in the words of the policy.
		_, err := v.vault.ServiceTokens(v, v.who, nav.Project.ID)
		return err
	}
	chosen := map[string]bool{v.query("environment"): true}
	for _, slug := range v.input["environments"] {
		chosen[slug] = true
	}
	data := newServiceTokenPage{Access: api.AccessRead, Expires: defaultExpiry, Asked: now().Format(time.RFC3339)}
	if v.input != nil {
		data.Access, data.Expires = api.Access(v.text("access")), v.text("expires")
	}
	for _, e := range nav.Environments {
		data.Environments = append(data.Environments, environmentChoice{e, chosen[e.Slug]})
	}
	return v.show(page{Template: "token-new", Title: "New service token", Project: nav, Data: data})
}

func createServiceToken(v *visit) error {
	if !v.input.Has("environments") {
		v.input["environments"] = nil // the form has the field, also while no box is ticked
	}
	expires, err := v.tokenExpiry(v.asked())
	if err != nil {
		return v.again(err, showNewServiceToken)
	}
	made, err := v.vault.CreateServiceToken(v, v.who, v.path("project"), api.CreateServiceToken{
		Name: v.text("name"), Environments: v.input["environments"], Access: api.Access(v.text("access")),
		AllowedCIDRs: strings.FieldsFunc(v.text("allowed_cidrs"), isSeparator), ExpiresAt: expires,
	})
	if err != nil {
		return v.again(namedAsFields(err), showNewServiceToken)
	}
	return v.showServiceToken(made)
}

func isSeparator(r rune) bool { return r == ',' || r == ' ' || r == '\t' || r == '\n' || r == '\r' }

// namedAsFields lets a problem of one network belong to the field of all of them.
func namedAsFields(err error) error {
	f := fault.As(err)
	if f == nil || len(f.Fields) == 0 {
		return err
	}
	named := *f
	named.Fields = nil
	for _, field := range f.Fields {
		if strings.HasPrefix(field.Location, "body.allowed_cidrs.") {
			field.Location = "body.allowed_cidrs"
		}
		named.Fields = append(named.Fields, field)
	}
	return &named
}

// asked is when the form was shown, which numbers of days are counted from: a form that
// is sent twice asks for the same both times.
func (v *visit) asked() time.Time {
	at, err := time.Parse(time.RFC3339, v.text("asked"))
	if age := now().Sub(at); err != nil || age < 0 || age > 24*time.Hour {
		return now()
	}
	return at
}

// tokenExpiry reads when a token is to expire; nil: never. The day that somebody
// chooses is the last one that it is good for, in UTC.
func (v *visit) tokenExpiry(from time.Time) (*time.Time, error) {
	var at time.Time
	switch choice := v.text("expires"); choice {
	case expiresNever:
		return nil, nil //nolint:nilnil // a token that does not expire
	case expiresOnDay:
		day, err := time.Parse(time.DateOnly, v.text("expires_on"))
		if err != nil {
			return nil, fault.InvalidField("body.expires_on", "must be a day such as 2026-01-31")
		}
		at = day.AddDate(0, 0, 1)
	default:
		days, err := strconv.Atoi(choice)
		if err != nil || days < 1 || days > 3650 {
			return nil, fault.InvalidField("body.expires", "must be one of the choices")
		}
		at = from.AddDate(0, 0, days).Truncate(time.Second)
	}
	if !at.After(from) {
		return nil, fault.InvalidField("body.expires_on", "must be in the future")
	}
	return &at, nil
}

// madeServiceToken is a new token, which is shown this one time, and what the examples
// of how to use it are filled with. They do not hold it.
type madeServiceToken struct {
	api.ServiceToken
	Text        string
	Server      string // public address
	Project     string
	Environment string // one of the token's
	Several     bool   // the token has others
}

// showServiceToken answers with the page itself, and not with a redirect to it: the
// token is in no address and no cookie.
func (v *visit) showServiceToken(made api.ServiceToken) error {
	nav, err := v.projectNav("tokens")
	if err != nil {
		return err
	}
	data := madeServiceToken{
		ServiceToken: made, Server: v.address(), Project: nav.Project.Slug,
		Environment: made.Environments[0], Several: len(made.Environments) > 1,
	}
	if made.Token != nil {
		data.Text = made.Token.Reveal()
	}
	return v.show(page{Template: "token-made", Title: "New service token", Project: nav, Data: data})
}

func revokeServiceToken(v *visit) error {
	err := v.vault.RevokeServiceToken(v, v.who, v.path("project"), v.path("token"))
	if err != nil && !v.gone(err) {
		return v.again(err, showServiceTokens)
	}
	return v.done("/projects/"+v.path("project")+"/tokens/", "service-token-revoked")
}
